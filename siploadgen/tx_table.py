"""The four transaction machines of RFC 3261 section 17, corrected by RFC 6026, as data.

`ROWS` says what an event does in a state, `CLOCKS` which timers run in a state. The compiled
walker (`siploadgen.core.tx`) reads both once, at import; the diagrams in `docs/transactions` are
drawn from them. Names are those of the enums in `ext/siploadgen/core/tx.pxd` without their prefix.

An event without a row is impossible there: it changes nothing and is counted as a stray.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["INVITE_CLIENT", "CLIENT", "INVITE_SERVER", "SERVER"]
State = Literal[
    "IDLE", "CALLING", "TRYING", "PROCEEDING", "COMPLETED", "CONFIRMED", "ACCEPTED", "TERMINATED"
]
Event = Literal[
    "START", "1XX", "2XX", "3XX_6XX", "REQUEST", "ACK", "RETRANSMIT", "TIMEOUT", "LINGER",
    "TRANSPORT",
]  # fmt: skip
Action = Literal[
    "SEND", "RESEND", "SEND_ACK", "PASS", "FAIL_TIMEOUT", "FAIL_TRANSPORT", "ABSORB", "END"
]
Repeat = Literal["", "A", "E", "G", "1XX", "2XX"]
First = Literal["", "T1", "RUNNING"]
Then = Literal["", "DOUBLE", "DOUBLE_TO_T2", "T2"]
Deadline = Literal["", "RUNNING", "B", "D", "F", "H", "I", "J", "K", "L", "M"]

# The timers of RFC 3261 17.1.1.1, as it sets them.
T1_NS, T2_NS, T4_NS = 500_000_000, 4_000_000_000, 5_000_000_000

KINDS: tuple[Kind, ...] = ("INVITE_CLIENT", "CLIENT", "INVITE_SERVER", "SERVER")


@dataclass(frozen=True, slots=True)
class Row:
    """In `state`, `event` leads to `then` and makes the caller do `actions`.

    `rfc` names the section that the row comes from; 3261 where no other RFC is named.
    """

    kind: Kind
    state: State
    event: Event
    then: State
    actions: tuple[Action, ...]
    rfc: str


@dataclass(frozen=True, slots=True)
class Clock:
    """The timers of a state; they start when it is entered from another one.

    `repeat` is the retransmission timer: it fires after `first` (RUNNING: keeps the instant that
    the state before had set) and then as `then` says; on a reliable transport only if `streams`.
    `deadline` is the timer that ends the state (RUNNING: that of the state before goes on) with
    the event `expires`; `zero_on_streams`: it lasts no time on a reliable transport. `after_ack`
    takes the deadline's place, counted from the same instant and with the event LINGER, when the
    ACK came.
    """

    kind: Kind
    state: State
    repeat: Repeat
    first: First
    then: Then
    deadline: Deadline
    expires: Literal["", "TIMEOUT", "LINGER"]
    rfc: str
    streams: bool = False
    zero_on_streams: bool = False
    after_ack: Deadline = ""


def _invite_client(
    state: State, event: Event, then: State, actions: tuple[Action, ...], rfc: str
) -> Row:
    return Row("INVITE_CLIENT", state, event, then, actions, rfc)


def _client(state: State, event: Event, then: State, actions: tuple[Action, ...], rfc: str) -> Row:
    return Row("CLIENT", state, event, then, actions, rfc)


def _invite_server(
    state: State, event: Event, then: State, actions: tuple[Action, ...], rfc: str
) -> Row:
    return Row("INVITE_SERVER", state, event, then, actions, rfc)


def _server(state: State, event: Event, then: State, actions: tuple[Action, ...], rfc: str) -> Row:
    return Row("SERVER", state, event, then, actions, rfc)


_INVITE_CLIENT_ROWS = (
    _invite_client("IDLE", "START", "CALLING", ("SEND",), "17.1.1.2"),
    _invite_client("CALLING", "1XX", "PROCEEDING", ("PASS",), "17.1.1.2"),
    _invite_client("CALLING", "2XX", "ACCEPTED", ("PASS",), "6026 7.2"),
    _invite_client("CALLING", "3XX_6XX", "COMPLETED", ("SEND_ACK", "PASS"), "17.1.1.2"),
    _invite_client("CALLING", "RETRANSMIT", "CALLING", ("RESEND",), "17.1.1.2"),
    _invite_client("CALLING", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "17.1.1.2"),
    _invite_client("CALLING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.1.4"),
    _invite_client("PROCEEDING", "1XX", "PROCEEDING", ("PASS",), "17.1.1.2"),
    _invite_client("PROCEEDING", "2XX", "ACCEPTED", ("PASS",), "6026 7.2"),
    _invite_client("PROCEEDING", "3XX_6XX", "COMPLETED", ("SEND_ACK", "PASS"), "17.1.1.2"),
    # Only after a CANCEL: 64*T1 without the 487 that should have followed.
    _invite_client("PROCEEDING", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "9.1"),
    # Nothing is sent here, but the connection that the final was to come on can be lost.
    _invite_client("PROCEEDING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.1.4"),
    _invite_client("COMPLETED", "1XX", "COMPLETED", ("ABSORB",), "17.1.1.2"),
    _invite_client("COMPLETED", "3XX_6XX", "COMPLETED", ("SEND_ACK",), "17.1.1.2"),
    _invite_client("COMPLETED", "LINGER", "TERMINATED", ("END",), "17.1.1.2"),
    _invite_client("COMPLETED", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.1.1.2"),
    _invite_client("ACCEPTED", "1XX", "ACCEPTED", ("ABSORB",), "6026 7.2"),
    # Every one, so that the core can acknowledge it: the machine never makes the ACK for a 2xx.
    _invite_client("ACCEPTED", "2XX", "ACCEPTED", ("PASS",), "6026 7.2"),
    _invite_client("ACCEPTED", "LINGER", "TERMINATED", ("END",), "6026 7.2"),
    _invite_client("ACCEPTED", "TRANSPORT", "ACCEPTED", ("ABSORB",), "6026 7.2"),
)

_CLIENT_ROWS = (
    _client("IDLE", "START", "TRYING", ("SEND",), "17.1.2.2"),
    _client("TRYING", "1XX", "PROCEEDING", ("PASS",), "17.1.2.2"),
    _client("TRYING", "2XX", "COMPLETED", ("PASS",), "17.1.2.2"),
    _client("TRYING", "3XX_6XX", "COMPLETED", ("PASS",), "17.1.2.2"),
    _client("TRYING", "RETRANSMIT", "TRYING", ("RESEND",), "17.1.2.2"),
    _client("TRYING", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "17.1.2.2"),
    _client("TRYING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.1.4"),
    _client("PROCEEDING", "1XX", "PROCEEDING", ("PASS",), "17.1.2.2"),
    _client("PROCEEDING", "2XX", "COMPLETED", ("PASS",), "17.1.2.2"),
    _client("PROCEEDING", "3XX_6XX", "COMPLETED", ("PASS",), "17.1.2.2"),
    _client("PROCEEDING", "RETRANSMIT", "PROCEEDING", ("RESEND",), "17.1.2.2"),
    _client("PROCEEDING", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "17.1.2.2"),
    _client("PROCEEDING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.1.4"),
    _client("COMPLETED", "1XX", "COMPLETED", ("ABSORB",), "17.1.2.2"),
    _client("COMPLETED", "2XX", "COMPLETED", ("ABSORB",), "17.1.2.2"),
    _client("COMPLETED", "3XX_6XX", "COMPLETED", ("ABSORB",), "17.1.2.2"),
    _client("COMPLETED", "LINGER", "TERMINATED", ("END",), "17.1.2.2"),
    _client("COMPLETED", "TRANSPORT", "COMPLETED", ("ABSORB",), "17.1.2.2"),
)

_INVITE_SERVER_ROWS = (
    _invite_server("IDLE", "START", "PROCEEDING", ("PASS",), "17.2.1"),
    _invite_server("PROCEEDING", "1XX", "PROCEEDING", ("SEND",), "17.2.1"),
    _invite_server("PROCEEDING", "2XX", "ACCEPTED", ("SEND",), "6026 7.1"),
    _invite_server("PROCEEDING", "3XX_6XX", "COMPLETED", ("SEND",), "17.2.1"),
    # RESEND turns into ABSORB while no response was sent: there is nothing to repeat. When the
    # timer asks for it, it turns into SEND: silent for 200 ms, a 100 is due (`tx_trying` arms it).
    _invite_server("PROCEEDING", "REQUEST", "PROCEEDING", ("RESEND",), "17.2.1"),
    # Else only while a reliable provisional response waits for its PRACK.
    _invite_server("PROCEEDING", "RETRANSMIT", "PROCEEDING", ("RESEND",), "17.2.1, 3262 3"),
    _invite_server("PROCEEDING", "TIMEOUT", "PROCEEDING", ("FAIL_TIMEOUT",), "3262 3"),
    _invite_server("PROCEEDING", "TRANSPORT", "PROCEEDING", ("FAIL_TRANSPORT",), "6026 7.1"),
    _invite_server("COMPLETED", "REQUEST", "COMPLETED", ("RESEND",), "17.2.1"),
    # The RFC's machine eats this ACK; a scenario may want to wait for it: it is told of the first.
    _invite_server("COMPLETED", "ACK", "CONFIRMED", ("PASS",), "17.2.1"),
    _invite_server("COMPLETED", "RETRANSMIT", "COMPLETED", ("RESEND",), "17.2.1"),
    _invite_server("COMPLETED", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "17.2.1"),
    _invite_server("COMPLETED", "TRANSPORT", "COMPLETED", ("FAIL_TRANSPORT",), "6026 7.1"),
    _invite_server("CONFIRMED", "REQUEST", "CONFIRMED", ("ABSORB",), "17.2.1"),
    _invite_server("CONFIRMED", "ACK", "CONFIRMED", ("ABSORB",), "17.2.1"),
    _invite_server("CONFIRMED", "LINGER", "TERMINATED", ("END",), "17.2.1"),
    _invite_server("CONFIRMED", "TRANSPORT", "CONFIRMED", ("ABSORB",), "6026 7.1"),
    _invite_server("ACCEPTED", "2XX", "ACCEPTED", ("SEND",), "6026 7.1"),
    _invite_server("ACCEPTED", "REQUEST", "ACCEPTED", ("ABSORB",), "6026 7.1"),
    # An ACK with the INVITE's own branch (RFC 2543 peers): the core's, and it stops the repeats.
    _invite_server("ACCEPTED", "ACK", "ACCEPTED", ("PASS",), "6026 7.1"),
    _invite_server("ACCEPTED", "RETRANSMIT", "ACCEPTED", ("RESEND",), "13.3.1.4"),
    _invite_server("ACCEPTED", "TIMEOUT", "TERMINATED", ("FAIL_TIMEOUT", "END"), "13.3.1.4"),
    _invite_server("ACCEPTED", "LINGER", "TERMINATED", ("END",), "6026 7.1"),
    _invite_server("ACCEPTED", "TRANSPORT", "ACCEPTED", ("FAIL_TRANSPORT",), "6026 7.1"),
)

_SERVER_ROWS = (
    _server("IDLE", "START", "TRYING", ("PASS",), "17.2.2"),
    _server("TRYING", "1XX", "PROCEEDING", ("SEND",), "17.2.2"),
    _server("TRYING", "2XX", "COMPLETED", ("SEND",), "17.2.2"),
    _server("TRYING", "3XX_6XX", "COMPLETED", ("SEND",), "17.2.2"),
    _server("TRYING", "REQUEST", "TRYING", ("ABSORB",), "17.2.2"),
    _server("TRYING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.2.4"),
    _server("PROCEEDING", "1XX", "PROCEEDING", ("SEND",), "17.2.2"),
    _server("PROCEEDING", "2XX", "COMPLETED", ("SEND",), "17.2.2"),
    _server("PROCEEDING", "3XX_6XX", "COMPLETED", ("SEND",), "17.2.2"),
    _server("PROCEEDING", "REQUEST", "PROCEEDING", ("RESEND",), "17.2.2"),
    _server("PROCEEDING", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.2.4"),
    _server("COMPLETED", "REQUEST", "COMPLETED", ("RESEND",), "17.2.2"),
    _server("COMPLETED", "LINGER", "TERMINATED", ("END",), "17.2.2"),
    _server("COMPLETED", "TRANSPORT", "TERMINATED", ("FAIL_TRANSPORT", "END"), "17.2.4"),
)

ROWS: tuple[Row, ...] = _INVITE_CLIENT_ROWS + _CLIENT_ROWS + _INVITE_SERVER_ROWS + _SERVER_ROWS

CLOCKS: tuple[Clock, ...] = (
    Clock("INVITE_CLIENT", "CALLING", "A", "T1", "DOUBLE", "B", "TIMEOUT", "17.1.1.2"),
    # No timer of its own; `tx_cancelled` arms B again once a CANCEL was sent.
    Clock("INVITE_CLIENT", "PROCEEDING", "", "", "", "", "TIMEOUT", "9.1"),
    Clock("INVITE_CLIENT", "COMPLETED", "", "", "", "D", "LINGER", "17.1.1.2",
          zero_on_streams=True),
    Clock("INVITE_CLIENT", "ACCEPTED", "", "", "", "M", "LINGER", "6026 7.2"),
    Clock("CLIENT", "TRYING", "E", "T1", "DOUBLE_TO_T2", "F", "TIMEOUT", "17.1.2.2"),
    # A 1xx does not reset timer E: the shot under way comes first, then one each T2.
    Clock("CLIENT", "PROCEEDING", "E", "RUNNING", "T2", "RUNNING", "TIMEOUT", "17.1.2.2"),
    Clock("CLIENT", "COMPLETED", "", "", "", "K", "LINGER", "17.1.2.2", zero_on_streams=True),
    # No timer of its own; `tx_reliable` starts one at a reliable provisional response.
    Clock("INVITE_SERVER", "PROCEEDING", "1XX", "", "DOUBLE", "", "TIMEOUT", "3262 3",
          streams=True),
    Clock("INVITE_SERVER", "COMPLETED", "G", "T1", "DOUBLE_TO_T2", "H", "TIMEOUT", "17.2.1"),
    Clock("INVITE_SERVER", "CONFIRMED", "", "", "", "I", "LINGER", "17.2.1", zero_on_streams=True),
    # The core's repeats of its 2xx live here too: also over streams, until the ACK or 64*T1 (as H).
    Clock("INVITE_SERVER", "ACCEPTED", "2XX", "T1", "DOUBLE_TO_T2", "H", "TIMEOUT",
          "13.3.1.4, 6026 7.1", streams=True, after_ack="L"),
    Clock("SERVER", "COMPLETED", "", "", "", "J", "LINGER", "17.2.2", zero_on_streams=True),
)  # fmt: skip
