"""The ring against a dumb model: a deque with a budget of octets."""

import hashlib
import os
import threading
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from siploadgen.core.ring import ByteRing

CAPACITY = 64


def footprint(record):
    return (len(record) + 4 + 7) // 8 * 8


class RingMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.ring = ByteRing(CAPACITY)
        self.held = deque()
        self.dropped = 0

    @rule(record=st.binary(max_size=80))
    def push(self, record):
        fits = sum(map(footprint, self.held)) + footprint(record) <= CAPACITY
        assert self.ring.push(record) == fits
        if fits:
            self.held.append(record)
        else:
            self.dropped += 1

    @rule(room=st.integers(0, 90))
    def pop(self, room):
        expected = self.held.popleft()[:room] if self.held else None
        assert self.ring.pop(room) == expected

    @invariant()
    def agrees(self):
        self.ring.check()
        assert self.ring.dropped == self.dropped


TestRingModel = RingMachine.TestCase
TestRingModel.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def test_producer_and_consumer_threads():
    records = 20_000
    ring = ByteRing(4096)
    received = []

    def record(i):
        return hashlib.md5(b"%d" % i).digest() * (i % 17)

    def produce():
        for i in range(records):
            while not ring.push(record(i)):
                os.sched_yield()        # the other thread's turn

    def consume():
        while len(received) < records:
            got = ring.pop()
            if got is not None:
                received.append(got)
            else:
                os.sched_yield()

    threads = [threading.Thread(target=f, daemon=True) for f in (produce, consume)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    assert received == [record(i) for i in range(records)]
    ring.check()


def test_largest_record_fills_the_ring():
    ring = ByteRing(8)
    assert ring.push(b"four")
    assert not ring.push(b"")
    assert ring.pop() == b"four"
    assert not ring.push(b"five!")
    assert ring.dropped == 2


@pytest.mark.parametrize("capacity", [0, 4, 24, 100])
def test_capacity_is_a_power_of_two(capacity):
    with pytest.raises(ValueError, match="power of two"):
        ByteRing(capacity)
