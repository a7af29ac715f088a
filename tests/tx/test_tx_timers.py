"""Schedules in virtual time: RFC 3261 section 17, table 4, and 13.3.1.4; RFC 6026 for L and M."""

import pytest

from siploadgen.core.tx import Transaction, TxAction, TxEvent, TxKind, TxState, spin

MS = 1_000_000
SECOND = 1000 * MS
NEVER = 2**63 - 1
INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER = (
    TxKind.TX_INVITE_CLIENT, TxKind.TX_CLIENT, TxKind.TX_INVITE_SERVER, TxKind.TX_SERVER,
)  # fmt: skip
START, R1XX, R2XX, FAILURE, REQUEST, ACK = (
    TxEvent.TXE_START, TxEvent.TXE_1XX, TxEvent.TXE_2XX, TxEvent.TXE_3XX_6XX,
    TxEvent.TXE_REQUEST, TxEvent.TXE_ACK,
)  # fmt: skip
SEND, RESEND, PASS, END, STRAY, ABSORB = (
    TxAction.TXA_SEND, TxAction.TXA_RESEND, TxAction.TXA_PASS, TxAction.TXA_END,
    TxAction.TXA_STRAY, TxAction.TXA_ABSORB,
)  # fmt: skip
FAIL = TxAction.TXA_FAIL_TIMEOUT

INVITE_TIMES = [500, 1500, 3500, 7500, 15_500, 31_500]
OTHER_TIMES = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]


def run(tx: Transaction, until_ns: int = NEVER - 1) -> list[tuple[float, TxEvent, int]]:
    """Fire every timer up to `until_ns`: (ms, event, actions)."""
    seen = []
    while tx.next <= until_ns:
        now = tx.next
        assert tx.due(now - 1) is None
        event = tx.due(now)
        assert event is not None
        seen.append((now / MS, event, tx.on_event(event, now)))
        assert len(seen) < 10_000
    return seen


def started(kind: TxKind, now: int = 0, **options: int) -> Transaction:
    tx = Transaction(kind, **options)
    assert tx.on_event(START, now) == (SEND if kind in (INVITE_CLIENT, CLIENT) else PASS)
    return tx


def resends(seen: list[tuple[float, TxEvent, int]]) -> list[float]:
    return [ms for ms, event, actions in seen if event == TxEvent.TXE_RETRANSMIT
            and actions == RESEND]


def test_an_invite_without_reply_leaves_seven_times_and_fails_after_32_s() -> None:
    tx = started(INVITE_CLIENT)
    seen = run(tx)
    assert resends(seen) == INVITE_TIMES
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)
    assert tx.retransmits == 6
    assert tx.state == TxState.TX_TERMINATED


def test_another_request_without_reply_leaves_eleven_times_and_fails_after_32_s() -> None:
    tx = started(CLIENT)
    seen = run(tx)
    assert resends(seen) == OTHER_TIMES
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)


def test_the_schedule_starts_when_the_transaction_does() -> None:
    tx = started(INVITE_CLIENT, now=123_456_789)
    assert resends(run(tx)) == [ms + 123.456789 for ms in INVITE_TIMES]
    assert tx.started == 123_456_789


def test_timer_a_runs_in_calling_only() -> None:
    tx = started(INVITE_CLIENT)
    assert resends(run(tx, 600 * MS)) == [500]
    assert tx.on_event(R1XX, 700 * MS) == PASS
    assert tx.next == NEVER
    assert tx.on_event(R1XX, 800 * MS) == PASS
    assert tx.next == NEVER


def test_timer_a_has_no_cap() -> None:
    tx = started(INVITE_CLIENT, b=200 * SECOND)
    assert resends(run(tx)) == [*INVITE_TIMES, 63_500, 127_500]


def test_a_1xx_slows_timer_e_down_to_t2() -> None:
    tx = started(CLIENT)
    assert resends(run(tx, 600 * MS)) == [500]
    assert tx.on_event(R1XX, 700 * MS) == PASS
    seen = run(tx)
    # The shot that was under way (1.5 s) is not reset by the 1xx; timer F goes on.
    assert resends(seen) == [1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500]
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)


def test_a_second_1xx_changes_no_timer() -> None:
    tx = started(CLIENT)
    tx.on_event(R1XX, 100 * MS)
    tx.on_event(R1XX, 300 * MS)
    assert resends(run(tx, 9 * SECOND)) == [500, 4500, 8500]


@pytest.mark.parametrize(("t1", "t2", "times", "end"), [
    (100, 400, [100, 300, 700, 1100, 1500], 6400),
    (1000, 8000, [1000, 3000, 7000, 15_000, 23_000], 64_000),
    (500, 500, [500, 1000, 1500, 2000, 2500], 32_000),
])  # fmt: skip
def test_t1_and_t2_shape_the_capped_schedules(
    t1: int, t2: int, times: list[float], end: int
) -> None:
    client = started(CLIENT, t1=t1 * MS, t2=t2 * MS)
    server = started(INVITE_SERVER, t1=t1 * MS, t2=t2 * MS)
    server.on_event(FAILURE, 0, 486)
    accepted = started(INVITE_SERVER, t1=t1 * MS, t2=t2 * MS)
    accepted.on_event(R2XX, 0, 200)
    for tx in (client, server, accepted):
        seen = run(tx)
        assert resends(seen)[:5] == times
        assert seen[-1] == (end, TxEvent.TXE_TIMEOUT, FAIL | END)


def test_t1_shapes_the_uncapped_schedule() -> None:
    seen = run(started(INVITE_CLIENT, t1=10 * MS, t2=20 * MS))
    assert resends(seen) == [10, 30, 70, 150, 310, 630]
    assert seen[-1][0] == 640


def test_a_failure_response_is_repeated_until_its_ack() -> None:
    tx = started(INVITE_SERVER)
    assert tx.on_event(FAILURE, 0, 486) == SEND
    assert resends(run(tx, 8 * SECOND)) == [500, 1500, 3500, 7500]
    assert tx.on_event(ACK, 9 * SECOND) == PASS
    assert tx.on_event(ACK, 10 * SECOND) == ABSORB
    assert run(tx) == [(14_000, TxEvent.TXE_LINGER, END)]      # I = T4, from the first ACK


def test_a_failure_response_without_ack_fails_after_32_s() -> None:
    tx = started(INVITE_SERVER)
    tx.on_event(FAILURE, 0, 500)
    seen = run(tx)
    assert resends(seen) == OTHER_TIMES
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)


@pytest.mark.parametrize("reliable", [False, True])
def test_a_2xx_without_ack_is_repeated_on_any_transport(reliable: bool) -> None:
    tx = started(INVITE_SERVER, reliable=reliable)
    assert tx.on_event(R2XX, 0, 200) == SEND
    seen = run(tx)
    assert resends(seen) == OTHER_TIMES
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)


def test_the_ack_stops_the_2xx_and_leaves_timer_l_running_from_the_2xx() -> None:
    tx = started(INVITE_SERVER)
    tx.on_event(R2XX, SECOND, 200)
    assert resends(run(tx, 3 * SECOND)) == [1500, 2500]
    assert tx.on_acked(3 * SECOND) == 0
    assert tx.acked
    assert tx.on_acked(4 * SECOND) == 0                         # a repeated ACK
    assert tx.on_event(REQUEST, 5 * SECOND) == ABSORB
    assert run(tx) == [(33_000, TxEvent.TXE_LINGER, END)]


def test_an_ack_with_the_branch_of_the_invite_stops_the_2xx_too() -> None:
    tx = started(INVITE_SERVER)
    tx.on_event(R2XX, 0, 200)
    assert tx.on_event(ACK, 100 * MS) == PASS
    assert tx.acked
    assert run(tx) == [(32_000, TxEvent.TXE_LINGER, END)]


@pytest.mark.parametrize("linger_ms", [0, 50])
def test_with_a_short_linger_a_2xx_still_waits_for_its_ack(linger_ms: int) -> None:
    tx = started(INVITE_SERVER, l=linger_ms * MS)
    assert tx.on_event(R2XX, 0, 200) == SEND
    assert resends(run(tx, 8 * SECOND)) == [500, 1500, 3500, 7500]
    assert tx.on_acked(9 * SECOND) == END
    assert tx.state == TxState.TX_TERMINATED
    assert tx.next == NEVER


def test_with_a_short_linger_a_2xx_without_ack_ends_after_32_s() -> None:
    seen = run(accepted_with(l=0))
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)


def test_with_a_long_linger_a_2xx_without_ack_ends_after_32_s_all_the_same() -> None:
    tx = accepted_with(l=100 * SECOND)
    seen = run(tx)
    assert seen[-1] == (32_000, TxEvent.TXE_TIMEOUT, FAIL | END)
    assert tx.state == TxState.TX_TERMINATED


def accepted_with(**options: int) -> Transaction:
    tx = started(INVITE_SERVER, **options)
    tx.on_event(R2XX, 0, 200)
    return tx


def test_a_linger_that_is_not_over_when_the_ack_comes_runs_out_from_the_2xx() -> None:
    tx = accepted_with(l=2 * SECOND)
    assert tx.on_acked(SECOND) == 0
    assert run(tx) == [(2000, TxEvent.TXE_LINGER, END)]


@pytest.mark.parametrize(("kind", "final", "reliable", "linger_ms"), [
    (INVITE_CLIENT, FAILURE, False, 32_000),    # D
    (INVITE_CLIENT, FAILURE, True, 0),
    (INVITE_CLIENT, R2XX, False, 32_000),       # M
    (INVITE_CLIENT, R2XX, True, 32_000),
    (CLIENT, R2XX, False, 5000),                # K
    (CLIENT, FAILURE, True, 0),
    (SERVER, R2XX, False, 32_000),              # J
    (SERVER, FAILURE, True, 0),
])  # fmt: skip
def test_finished_transactions_linger(
    kind: TxKind, final: TxEvent, reliable: bool, linger_ms: int
) -> None:
    tx = started(kind, reliable=reliable)
    actions = tx.on_event(final, SECOND, 200)
    if linger_ms == 0:
        assert actions & END
        assert tx.state == TxState.TX_TERMINATED
        assert tx.next == NEVER
    else:
        assert not actions & END
        assert run(tx) == [(1000 + linger_ms, TxEvent.TXE_LINGER, END)]


def test_timer_i_is_zero_on_streams() -> None:
    tx = started(INVITE_SERVER, reliable=True)
    assert tx.on_event(FAILURE, 0, 404) == SEND
    assert tx.next == 32 * SECOND               # no G, but H
    assert tx.on_event(ACK, SECOND) == PASS | END


def test_timer_d_does_not_follow_t1() -> None:
    tx = started(INVITE_CLIENT, t1=10 * MS)
    tx.on_event(FAILURE, 0)
    assert tx.next == 32 * SECOND


@pytest.mark.parametrize(("letter", "kind", "events"), [
    ("b", INVITE_CLIENT, []), ("d", INVITE_CLIENT, [FAILURE]), ("m", INVITE_CLIENT, [R2XX]),
    ("f", CLIENT, []), ("k", CLIENT, [R2XX]), ("h", INVITE_SERVER, [FAILURE]),
    ("i", INVITE_SERVER, [FAILURE, ACK]), ("j", SERVER, [FAILURE]),
])  # fmt: skip
def test_each_timer_can_be_set_alone(letter: str, kind: TxKind, events: list[TxEvent]) -> None:
    tx = started(kind, **{letter: 77 * MS})
    for event in events:
        tx.on_event(event, 0, 200)
    assert tx.deadline == 77 * MS
    if letter not in "bfh":
        gone = started(kind, **{letter: 0})
        actions = [gone.on_event(event, 0, 200) for event in events]
        assert actions[-1] & END
        assert gone.next == NEVER


def test_a_timer_set_to_never_does_not_wrap() -> None:
    tx = started(INVITE_CLIENT, now=SECOND, b=NEVER)
    assert tx.deadline == NEVER
    tx = started(INVITE_SERVER, now=SECOND, h=NEVER)
    tx.on_event(R2XX, 2 * SECOND, 200)
    assert tx.deadline == NEVER
    assert tx.on_acked(3 * SECOND) == 0
    assert tx.deadline == 35 * SECOND


@pytest.mark.parametrize("kind", [INVITE_CLIENT, CLIENT])
def test_streams_repeat_no_request_but_time_out(kind: TxKind) -> None:
    tx = started(kind, reliable=True)
    assert run(tx) == [(32_000, TxEvent.TXE_TIMEOUT, FAIL | END)]


def test_streams_repeat_nothing_after_a_1xx_either() -> None:
    tx = started(CLIENT, reliable=True)
    tx.on_event(R1XX, SECOND)
    assert run(tx) == [(32_000, TxEvent.TXE_TIMEOUT, FAIL | END)]


def test_the_deadline_wins_over_a_retransmission_at_the_same_instant() -> None:
    tx = started(INVITE_CLIENT, b=1500 * MS)
    assert resends(run(tx, 600 * MS)) == [500]
    assert tx.next_retransmit == tx.deadline == 1500 * MS
    assert tx.due(1500 * MS) == TxEvent.TXE_TIMEOUT
    assert tx.on_event(TxEvent.TXE_RETRANSMIT, 1500 * MS) == STRAY


def test_a_late_look_keeps_the_schedule_and_makes_no_burst() -> None:
    tx = started(CLIENT)
    assert tx.on_event(TxEvent.TXE_RETRANSMIT, 501 * MS) == RESEND      # 1 ms late
    assert tx.next == 1500 * MS
    assert tx.on_event(TxEvent.TXE_RETRANSMIT, 9 * SECOND) == RESEND    # slept over two more
    assert tx.next == 11 * SECOND


def test_timers_that_are_not_due_are_strays() -> None:
    tx = started(INVITE_CLIENT)
    for event in (TxEvent.TXE_RETRANSMIT, TxEvent.TXE_TIMEOUT, TxEvent.TXE_LINGER):
        assert tx.on_event(event, 499 * MS) == STRAY
    assert tx.next == 500 * MS


def test_a_cancelled_invite_gives_up_after_64_t1() -> None:
    tx = started(INVITE_CLIENT)
    tx.on_cancelled(0)
    assert tx.deadline == 32 * SECOND       # in Calling: timer B, no CANCEL may go out yet
    tx.on_event(R1XX, SECOND)
    assert tx.next == NEVER
    tx.on_cancelled(2 * SECOND)
    tx.on_cancelled(3 * SECOND)
    assert run(tx) == [(34_000, TxEvent.TXE_TIMEOUT, FAIL | END)]


def test_a_cancelled_invite_that_gets_its_487_ends_as_any_other() -> None:
    tx = started(INVITE_CLIENT)
    tx.on_event(R1XX, SECOND)
    tx.on_cancelled(2 * SECOND)
    assert tx.on_event(FAILURE, 3 * SECOND) == TxAction.TXA_SEND_ACK | PASS
    assert run(tx) == [(35_000, TxEvent.TXE_LINGER, END)]


def test_repeats_before_any_response_are_absorbed() -> None:
    tx = started(INVITE_SERVER)
    assert tx.on_event(REQUEST, 0) == ABSORB
    tx.on_event(R1XX, 0, 180)
    assert tx.on_event(REQUEST, 0) == RESEND
    assert tx.retransmits == 1


def test_a_new_start_forgets_the_last_use_of_the_record() -> None:
    tx = started(SERVER, j=0)
    assert tx.on_event(FAILURE, 0, 500) == SEND | END
    assert tx.status == 500
    assert tx.on_event(START, 1) == STRAY   # only an idle record starts


def test_retransmissions_are_counted_up_to_255() -> None:
    tx = started(INVITE_SERVER)
    tx.on_event(R1XX, 0, 183)
    for _ in range(300):
        tx.on_event(REQUEST, 1)
    assert tx.retransmits == 255


def test_a_t1_or_t2_of_zero_means_no_repeats_rather_than_endless_ones() -> None:
    assert started(CLIENT, t1=0, f=SECOND).next == SECOND
    tx = started(CLIENT, t2=0)
    assert resends(run(tx)) == [500]


def test_spinning_is_the_same_machine() -> None:
    events = [START, R1XX, R2XX, R2XX, TxEvent.TXE_LINGER]
    assert spin(INVITE_CLIENT, events, 10) == 10 * (SEND + PASS + PASS + PASS + END)
    with pytest.raises(ValueError, match="impossible"):
        spin(INVITE_CLIENT, [START, ACK], 1)
    with pytest.raises(ValueError, match="16"):
        spin(INVITE_CLIENT, [START] * 17, 1)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="no timer"):
        Transaction(CLIENT, z=1)
    with pytest.raises(ValueError, match="kind"):
        Transaction(TxKind.TX_KINDS)
    with pytest.raises(ValueError, match="event"):
        Transaction(CLIENT).on_event(TxEvent.TXE_EVENTS, 0)
