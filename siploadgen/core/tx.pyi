"""The transaction machines of RFC 3261 section 17 with RFC 6026, in virtual time."""

from enum import IntEnum

class TxKind(IntEnum):
    """The four machines."""

    TX_INVITE_CLIENT = 0
    TX_CLIENT = 1
    TX_INVITE_SERVER = 2
    TX_SERVER = 3
    TX_KINDS = 4

class TxState(IntEnum):
    """States of all four machines; TX_ACCEPTED is RFC 6026's."""

    TX_IDLE = 0
    TX_CALLING = 1
    TX_TRYING = 2
    TX_PROCEEDING = 3
    TX_COMPLETED = 4
    TX_CONFIRMED = 5
    TX_ACCEPTED = 6
    TX_TERMINATED = 7
    TX_STATES = 8

class TxEvent(IntEnum):
    """What can happen to a transaction."""

    TXE_START = 0
    TXE_1XX = 1
    TXE_2XX = 2
    TXE_3XX_6XX = 3
    TXE_REQUEST = 4
    TXE_ACK = 5
    TXE_RETRANSMIT = 6
    TXE_TIMEOUT = 7
    TXE_LINGER = 8
    TXE_TRANSPORT = 9
    TXE_EVENTS = 10

class TxAction(IntEnum):
    """What the caller does about it; bits, in this order."""

    TXA_SEND = 1
    TXA_RESEND = 2
    TXA_SEND_ACK = 4
    TXA_PASS = 8
    TXA_FAIL_TIMEOUT = 16
    TXA_FAIL_TRANSPORT = 32
    TXA_ABSORB = 64
    TXA_STRAY = 128
    TXA_END = 256

def rule(kind: int, state: int, event: int) -> tuple[int, int]:
    """Return the compiled row of a case: (next state, actions). IndexError: no such case."""

def spin(kind: int, events: list[int], rounds: int, *, reliable: bool = False) -> int:
    """Run a transaction through at most 16 events, `rounds` times, without the GIL.

    Timer events come when they are due. Returns the sum of all actions. ValueError: an event that
    is impossible in its state.
    """

class Transaction:
    """One transaction, driven by hand.

    Times are nanoseconds on any clock. `t1`, `t2`, `t4` set all timers as RFC 3261 says; single
    ones are overridden by letter (`d=0`, `l=2_000_000_000`, ...). TypeError: no such timer.

    >>> invite = Transaction(TxKind.TX_INVITE_CLIENT)
    >>> invite.on_event(TxEvent.TXE_START, 0), invite.next
    (1, 500000000)
    """

    def __init__(
        self,
        kind: int,
        *,
        reliable: bool = False,
        t1: int = 500_000_000,
        t2: int = 4_000_000_000,
        t4: int = 5_000_000_000,
        b: int = ...,
        d: int = ...,
        f: int = ...,
        h: int = ...,
        i: int = ...,
        j: int = ...,
        k: int = ...,
        l: int = ...,
        m: int = ...,
    ) -> None: ...
    def on_event(self, event: int, now: int, status: int = -1) -> int:
        """Take an event at `now`; returns TxAction bits. `status`: of the response it was."""
    def on_acked(self, now: int) -> int:
        """Take the ACK for our 2xx (RFC 3261 13.3.1.4); returns TxAction bits."""
    def on_cancelled(self, now: int) -> None:
        """Note that a CANCEL was sent (RFC 3261 9.1): the INVITE times out 64*T1 later."""
    def on_abandoned(self, now: int) -> None:
        """Note that nobody waits for the final response to this INVITE: it is repeated no more."""
    def on_silence(self, now: int) -> None:
        """Note that an INVITE has no response yet: 200 ms later a 100 is due (RFC 3261 17.2.1)."""
    def due(self, now: int) -> TxEvent | None:
        """Return the timer event due at `now`; the deadline wins over a retransmission."""
    @property
    def next(self) -> int:
        """When `due` has something to say; 2**63 - 1: never."""
    @property
    def kind(self) -> TxKind: ...
    @property
    def state(self) -> TxState: ...
    @property
    def acked(self) -> bool: ...
    @property
    def retransmits(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def next_retransmit(self) -> int: ...
    @property
    def deadline(self) -> int: ...
    @property
    def interval(self) -> int: ...
    @property
    def started(self) -> int: ...
