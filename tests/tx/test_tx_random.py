"""Random streams of events: invariants that hold whatever happens."""

from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.core.tx import Transaction, TxAction, TxEvent, TxKind, TxState

NEVER = 2**63 - 1
MS = 1_000_000
MESSAGES = [
    event
    for event in TxEvent
    if event not in (TxEvent.TXE_START, TxEvent.TXE_EVENTS)
]
steps = st.lists(
    st.tuples(
        st.sampled_from([*MESSAGES, "acked", "cancelled", "timer"]),
        st.integers(0, 5000).map(lambda ms: ms * MS),
    ),
    max_size=60,
)
timers = st.fixed_dictionaries(
    {},
    optional={letter: st.integers(0, 64_000).map(lambda ms: ms * MS) for letter in "bdfhijklm"},
)
shape = st.tuples(
    st.sampled_from([kind for kind in TxKind if kind != TxKind.TX_KINDS]),
    st.booleans(),
    st.integers(1, 2000).map(lambda ms: ms * MS),
    st.integers(100, 8000).map(lambda ms: ms * MS),
    timers,
)


def picture(tx: Transaction) -> tuple[object, ...]:
    return (tx.state, tx.acked, tx.retransmits, tx.next_retransmit, tx.deadline, tx.interval)


def step(tx: Transaction, what: object, now: int) -> int:
    """One step, with what must hold after each."""
    before = picture(tx)
    if what == "acked":
        actions = tx.on_acked(now)
    elif what == "cancelled":
        tx.on_cancelled(now)
        actions = 0
    elif what == "timer":
        event = tx.due(now)
        actions = TxAction.TXA_STRAY if event is None else tx.on_event(event, now)
        assert (event is None) == bool(actions & TxAction.TXA_STRAY)
    else:
        status = {TxEvent.TXE_1XX: 180, TxEvent.TXE_2XX: 200, TxEvent.TXE_3XX_6XX: 404}
        actions = tx.on_event(what, now, status.get(what, -1))
    if before[0] == TxState.TX_TERMINATED:
        assert picture(tx) == before
        assert actions in (0, TxAction.TXA_STRAY)
    else:
        assert bool(actions & TxAction.TXA_END) == (tx.state == TxState.TX_TERMINATED)
    if actions & TxAction.TXA_STRAY:
        assert actions == TxAction.TXA_STRAY
        assert picture(tx) == before
    if what == "timer" and tx.state != TxState.TX_TERMINATED and actions & TxAction.TXA_RESEND:
        assert tx.next_retransmit > now     # it never fires twice for one instant
    assert tx.next == min(tx.next_retransmit, tx.deadline)
    if tx.state == TxState.TX_TERMINATED:
        assert tx.next == NEVER
    return actions


@settings(deadline=None)
@given(shape, steps)
def test_no_stream_of_events_breaks_a_machine(
    given_shape: tuple[TxKind, bool, int, int, dict[str, int]],
    given_steps: list[tuple[object, int]],
) -> None:
    kind, reliable, t1, t2, single = given_shape
    tx = Transaction(kind, reliable=reliable, t1=t1, t2=t2, **single)
    tx.on_event(TxEvent.TXE_START, 0)
    now = 0
    ends = 0
    for what, gap in given_steps:
        now += gap
        ends += bool(step(tx, what, now) & TxAction.TXA_END)
    # The core answers what it was asked, the caller cancels what rings too long: then it must end
    # by itself.
    if kind in (TxKind.TX_INVITE_SERVER, TxKind.TX_SERVER):
        ends += bool(step(tx, TxEvent.TXE_3XX_6XX, now) & TxAction.TXA_END)
    ends += bool(step(tx, "cancelled", now) & TxAction.TXA_END)
    for _ in range(10_000):
        if tx.next == NEVER:
            break
        assert tx.due(tx.next - 1) is None or tx.next <= now
        now = max(now, tx.next)
        ends += bool(step(tx, "timer", now) & TxAction.TXA_END)
    assert tx.state == TxState.TX_TERMINATED
    assert ends == 1                        # the record is freed exactly once
