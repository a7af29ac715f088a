"""The timing wheel against a dumb model: a dict from node to due time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from siploadgen.core.wheel import TimerWheel

NODES = 12
TICK = 1 << 16
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
FOREVER = 2**63 - 1
# Every scale that the levels tell apart, and the edges of ticks, slots and turns.
delays = st.one_of(
    st.integers(0, 3 * TICK),
    st.integers(0, 70 * TICK),
    st.integers(0, 5000 * TICK),
    st.integers(0, 100 * SECOND),
    st.integers(0, 50 * HOUR),
    st.integers(0, 34).flatmap(lambda bits: st.integers(-2, 2).map(lambda d: (TICK << bits) + d)),
)


class WheelMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 0
        self.due = {}

    @initialize(start=delays)
    def open(self, start):
        self.now = start
        self.wheel = TimerWheel(NODES, start)

    @rule(node=st.integers(0, NODES - 1), delay=delays)
    def add(self, node, delay):
        self.wheel.add(node, self.now + delay)
        self.due[node] = self.now + delay

    @rule(node=st.integers(0, NODES - 1), queue=st.integers(0, 7), delay=delays)
    def add_behind(self, node, queue, delay):
        self.wheel.add_behind(node, self.now + delay, queue)
        self.due[node] = self.now + delay

    @rule(nodes=st.lists(st.integers(0, NODES - 1)), queue=st.integers(0, 1))
    def linger(self, nodes, queue):
        """All for the same time ahead."""
        for node in nodes:
            self.wheel.add_behind(node, self.now + 5 * SECOND, queue)
            self.due[node] = self.now + 5 * SECOND

    @rule(node=st.integers(0, NODES - 1), ago=delays)
    def add_past(self, node, ago):
        self.wheel.add(node, self.now - ago)
        self.due[node] = self.now - ago

    @rule(node=st.integers(0, NODES - 1))
    def delete(self, node):
        self.wheel.delete(node)
        self.due.pop(node, None)

    def pop_all(self, now):
        self.now = now
        got = []
        while (node := self.wheel.pop(now)) is not None:
            assert len(got) < NODES
            got.append(node)
        expected = {n for n, when in self.due.items() if when <= now}
        assert sorted(got) == sorted(expected)
        for node in got:
            del self.due[node]

    @rule(delay=delays)
    def advance(self, delay):
        self.pop_all(self.now + delay)

    @rule(delay=delays, node=st.integers(0, NODES - 1))
    def pop_one_then_change(self, delay, node):
        """Callbacks arm and disarm while a pop loop is under way."""
        self.now += delay
        first = self.wheel.pop(self.now)
        if first is None:
            assert all(when > self.now for when in self.due.values())
        else:
            assert self.due.pop(first) <= self.now
        self.wheel.delete(node)
        self.due.pop(node, None)
        self.wheel.add(node, self.now)
        self.due[node] = self.now

    @rule()
    def follow_next(self):
        """An engine that sleeps until wheel_next delivers each node at its own nanosecond."""
        if not self.due:
            return
        first = min(self.due.values())
        for _ in range(200):
            when = self.wheel.next()
            assert when is not None
            if when <= self.now and first > self.now:
                # a bound left behind by a deleted node: one look at the same time settles it
                assert self.wheel.pop(self.now) is None
                assert self.wheel.next() > self.now
                continue
            assert when <= max(first, self.now)
            if when >= first or first <= self.now:
                self.pop_all(max(when, self.now))
                return
            self.now = when
            assert self.wheel.pop(when) is None
        pytest.fail("wheel_next does not get to the first node")

    @invariant()
    def agrees(self):
        self.wheel.check()
        assert self.wheel.armed == len(self.due)
        for node in range(NODES):
            assert self.wheel.when(node) == self.due.get(node)
        following = self.wheel.next()
        if self.due:
            assert following <= max(min(self.due.values()), self.now)
        else:
            assert following is None


TestWheelModel = WheelMachine.TestCase
TestWheelModel.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(delays, st.booleans()), min_size=1, max_size=300), st.lists(delays))
@settings(max_examples=200, deadline=None)
def test_many_nodes_are_delivered_once_in_the_right_pop(timers, jumps):
    wheel = TimerWheel(len(timers))
    due = {}
    for node, (when, kept) in enumerate(timers):
        wheel.add(node, when)
        if kept:
            due[node] = when
        else:
            wheel.delete(node)
    now = 0
    for jump in [*sorted(jumps), FOREVER]:
        now = max(now, jump)
        got = []
        while (node := wheel.pop(now)) is not None:
            got.append(node)
        assert sorted(got) == sorted(n for n, when in due.items() if when <= now)
        for node in got:
            del due[node]
        wheel.check()
    assert wheel.armed == 0


def test_none_early_by_a_nanosecond():
    wheel = TimerWheel(1)
    wheel.add(0, 500_000_000)
    assert wheel.pop(499_999_999) is None
    assert wheel.pop(500_000_000) == 0
    assert wheel.pop(500_000_000) is None


def test_readded_node_waits_for_a_following_pop():
    wheel = TimerWheel(3)
    for node in range(3):
        wheel.add(node, node)
    first = wheel.pop(10)
    wheel.add(first, 5)
    rest = [wheel.pop(10) for _ in range(4)]
    assert sorted(rest[:2]) == sorted({0, 1, 2} - {first})
    assert rest[2:] == [first, None]


def test_due_node_can_still_be_disarmed_and_moved():
    wheel = TimerWheel(3)
    for node in range(3):
        wheel.add(node, 7)
    first = wheel.pop(10)
    second, third = (n for n in range(3) if n != first)
    wheel.delete(second)
    wheel.add(third, 20)
    assert wheel.pop(10) is None
    assert wheel.next() == 20
    assert wheel.pop(20) == third


def test_next_is_exact_within_the_lowest_level():
    wheel = TimerWheel(2, 5)
    wheel.add(0, 12345)
    assert wheel.next() == 12345
    wheel.delete(0)
    assert wheel.next() is None


def test_jump_of_hours_over_occupied_slots():
    wheel = TimerWheel(1000)
    for node in range(1000):
        wheel.add(node, node * 61 * SECOND)
    got = []
    while (node := wheel.pop(40 * HOUR)) is not None:
        got.append(node)
    assert sorted(got) == list(range(1000))


def test_six_million_nodes_cost_nothing_until_used():
    wheel = TimerWheel(6_000_000)
    wheel.add(5_999_999, 1)
    assert wheel.when(0) is None
    assert wheel.pop(1) == 5_999_999


@pytest.mark.parametrize("capacity", [0, 2**31 - 1])
def test_capacity_out_of_range(capacity):
    with pytest.raises(ValueError, match="nodes"):
        TimerWheel(capacity)


def test_unknown_node():
    wheel = TimerWheel(2)
    for act in (lambda: wheel.add(2, 0), lambda: wheel.delete(2), lambda: wheel.when(2)):
        with pytest.raises(IndexError):
            act()
