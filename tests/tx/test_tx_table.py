"""The compiled table against transitions that were typed from the RFCs, not from the table."""

import itertools

import pytest

from siploadgen import tx_table
from siploadgen.core.tx import TxAction, TxEvent, TxKind, TxState, rule

# One line for each machine and state: event > next state : actions. What is not here is a stray.
EXPECTED = """
INVITE_CLIENT IDLE       | START > CALLING : SEND
INVITE_CLIENT CALLING    | 1XX > PROCEEDING : PASS
INVITE_CLIENT CALLING    | 2XX > ACCEPTED : PASS
INVITE_CLIENT CALLING    | 3XX_6XX > COMPLETED : SEND_ACK PASS
INVITE_CLIENT CALLING    | RETRANSMIT > CALLING : RESEND
INVITE_CLIENT CALLING    | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
INVITE_CLIENT CALLING    | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
INVITE_CLIENT PROCEEDING | 1XX > PROCEEDING : PASS
INVITE_CLIENT PROCEEDING | 2XX > ACCEPTED : PASS
INVITE_CLIENT PROCEEDING | 3XX_6XX > COMPLETED : SEND_ACK PASS
INVITE_CLIENT PROCEEDING | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
INVITE_CLIENT PROCEEDING | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
INVITE_CLIENT COMPLETED  | 1XX > COMPLETED : ABSORB
INVITE_CLIENT COMPLETED  | 3XX_6XX > COMPLETED : SEND_ACK
INVITE_CLIENT COMPLETED  | LINGER > TERMINATED : END
INVITE_CLIENT COMPLETED  | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
INVITE_CLIENT ACCEPTED   | 1XX > ACCEPTED : ABSORB
INVITE_CLIENT ACCEPTED   | 2XX > ACCEPTED : PASS
INVITE_CLIENT ACCEPTED   | LINGER > TERMINATED : END
INVITE_CLIENT ACCEPTED   | TRANSPORT > ACCEPTED : ABSORB
CLIENT IDLE              | START > TRYING : SEND
CLIENT TRYING            | 1XX > PROCEEDING : PASS
CLIENT TRYING            | 2XX > COMPLETED : PASS
CLIENT TRYING            | 3XX_6XX > COMPLETED : PASS
CLIENT TRYING            | RETRANSMIT > TRYING : RESEND
CLIENT TRYING            | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
CLIENT TRYING            | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
CLIENT PROCEEDING        | 1XX > PROCEEDING : PASS
CLIENT PROCEEDING        | 2XX > COMPLETED : PASS
CLIENT PROCEEDING        | 3XX_6XX > COMPLETED : PASS
CLIENT PROCEEDING        | RETRANSMIT > PROCEEDING : RESEND
CLIENT PROCEEDING        | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
CLIENT PROCEEDING        | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
CLIENT COMPLETED         | 1XX > COMPLETED : ABSORB
CLIENT COMPLETED         | 2XX > COMPLETED : ABSORB
CLIENT COMPLETED         | 3XX_6XX > COMPLETED : ABSORB
CLIENT COMPLETED         | LINGER > TERMINATED : END
CLIENT COMPLETED         | TRANSPORT > COMPLETED : ABSORB
INVITE_SERVER IDLE       | START > PROCEEDING : PASS
INVITE_SERVER PROCEEDING | 1XX > PROCEEDING : SEND
INVITE_SERVER PROCEEDING | 2XX > ACCEPTED : SEND
INVITE_SERVER PROCEEDING | 3XX_6XX > COMPLETED : SEND
INVITE_SERVER PROCEEDING | REQUEST > PROCEEDING : RESEND
INVITE_SERVER PROCEEDING | RETRANSMIT > PROCEEDING : RESEND
INVITE_SERVER PROCEEDING | TIMEOUT > PROCEEDING : FAIL_TIMEOUT
INVITE_SERVER PROCEEDING | TRANSPORT > PROCEEDING : FAIL_TRANSPORT
INVITE_SERVER COMPLETED  | REQUEST > COMPLETED : RESEND
INVITE_SERVER COMPLETED  | ACK > CONFIRMED : PASS
INVITE_SERVER COMPLETED  | RETRANSMIT > COMPLETED : RESEND
INVITE_SERVER COMPLETED  | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
INVITE_SERVER COMPLETED  | TRANSPORT > COMPLETED : FAIL_TRANSPORT
INVITE_SERVER CONFIRMED  | REQUEST > CONFIRMED : ABSORB
INVITE_SERVER CONFIRMED  | ACK > CONFIRMED : ABSORB
INVITE_SERVER CONFIRMED  | LINGER > TERMINATED : END
INVITE_SERVER CONFIRMED  | TRANSPORT > CONFIRMED : ABSORB
INVITE_SERVER ACCEPTED   | 2XX > ACCEPTED : SEND
INVITE_SERVER ACCEPTED   | REQUEST > ACCEPTED : ABSORB
INVITE_SERVER ACCEPTED   | ACK > ACCEPTED : PASS
INVITE_SERVER ACCEPTED   | RETRANSMIT > ACCEPTED : RESEND
INVITE_SERVER ACCEPTED   | TIMEOUT > TERMINATED : FAIL_TIMEOUT END
INVITE_SERVER ACCEPTED   | LINGER > TERMINATED : END
INVITE_SERVER ACCEPTED   | TRANSPORT > ACCEPTED : FAIL_TRANSPORT
SERVER IDLE              | START > TRYING : PASS
SERVER TRYING            | 1XX > PROCEEDING : SEND
SERVER TRYING            | 2XX > COMPLETED : SEND
SERVER TRYING            | 3XX_6XX > COMPLETED : SEND
SERVER TRYING            | REQUEST > TRYING : ABSORB
SERVER TRYING            | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
SERVER PROCEEDING        | 1XX > PROCEEDING : SEND
SERVER PROCEEDING        | 2XX > COMPLETED : SEND
SERVER PROCEEDING        | 3XX_6XX > COMPLETED : SEND
SERVER PROCEEDING        | REQUEST > PROCEEDING : RESEND
SERVER PROCEEDING        | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
SERVER COMPLETED         | REQUEST > COMPLETED : RESEND
SERVER COMPLETED         | LINGER > TERMINATED : END
SERVER COMPLETED         | TRANSPORT > TERMINATED : FAIL_TRANSPORT END
"""

KINDS = [kind for kind in TxKind if kind != TxKind.TX_KINDS]
STATES = [state for state in TxState if state != TxState.TX_STATES]
EVENTS = [event for event in TxEvent if event != TxEvent.TXE_EVENTS]


def typed() -> dict[tuple[TxKind, TxState, TxEvent], tuple[TxState, int]]:
    cases = {}
    for line in EXPECTED.strip().splitlines():
        where, what = line.split("|")
        kind, state = where.split()
        event, what = what.split(">")
        then, actions = what.split(":")
        case = (
            TxKind[f"TX_{kind}"], TxState[f"TX_{state}"], TxEvent[f"TXE_{event.strip()}"],
        )  # fmt: skip
        assert case not in cases, line
        bits = sum(TxAction[f"TXA_{action}"] for action in actions.split())
        cases[case] = TxState[f"TX_{then.strip()}"], bits
    return cases


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_case_is_as_typed(kind: TxKind) -> None:
    cases = typed()
    for state, event in itertools.product(STATES, EVENTS):
        expected = cases.get((kind, state, event), (state, int(TxAction.TXA_STRAY)))
        assert rule(kind, state, event) == expected, (kind.name, state.name, event.name)


def test_a_case_that_does_not_exist_is_refused() -> None:
    with pytest.raises(IndexError):
        rule(TxKind.TX_KINDS, 0, 0)


def test_no_row_leaves_the_terminated_state() -> None:
    assert not [row for row in tx_table.ROWS if row.state == "TERMINATED"]


def test_end_and_terminated_go_together() -> None:
    for row in tx_table.ROWS:
        assert ("END" in row.actions) == (row.then == "TERMINATED"), row


def test_every_state_that_is_entered_can_be_left() -> None:
    for kind in tx_table.KINDS:
        rows = [row for row in tx_table.ROWS if row.kind == kind]
        entered = {row.then for row in rows} - {"TERMINATED"}
        assert entered <= {row.state for row in rows if row.then != row.state}


def test_every_clock_has_rows_for_what_it_fires() -> None:
    events = {(row.kind, row.state, row.event) for row in tx_table.ROWS}
    for clock in tx_table.CLOCKS:
        if clock.repeat:
            assert (clock.kind, clock.state, "RETRANSMIT") in events
        assert (clock.kind, clock.state, clock.expires) in events
        if clock.after_ack:
            assert (clock.kind, clock.state, "LINGER") in events


def test_every_row_names_its_section() -> None:
    assert all(row.rfc for row in tx_table.ROWS)
    assert all(clock.rfc for clock in tx_table.CLOCKS)
