"""The slab against a dumb model: a dict from handle to contents."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from siploadgen.core.slab import SlabTable

OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
CAPACITY = 5
SIZE = 24


class SlabMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.slab = SlabTable(CAPACITY, SIZE)
        self.live = {}
        self.stale = set()
        self.exhausted = 0
        self.peak = 0

    @rule()
    def take(self):
        handle = self.slab.take()
        if len(self.live) == CAPACITY:
            assert handle is None
            self.exhausted += 1
            return
        assert handle not in self.live
        assert handle not in self.stale
        assert self.slab.read(handle) == bytes(SIZE - 4)
        self.live[handle] = bytes(SIZE - 4)
        self.peak = max(self.peak, len(self.live))

    @rule(data=st.data(), octets=st.binary(min_size=SIZE - 4, max_size=SIZE - 4))
    @precondition(lambda self: self.live)
    def write(self, data, octets):
        handle = data.draw(st.sampled_from(sorted(self.live)))
        self.slab.write(handle, octets)
        self.live[handle] = octets

    @rule(data=st.data())
    @precondition(lambda self: self.live)
    def give(self, data):
        handle = data.draw(st.sampled_from(sorted(self.live)))
        self.slab.give(handle)
        del self.live[handle]
        self.stale.add(handle)

    @rule(handle=st.integers(0, 2**64 - 1))
    def noise(self, handle):
        # the engine's number is not looked at
        expected = self.live.get(handle & 0xFFFFFFFF00FFFFFF)
        assert self.slab.read(handle) == expected

    @rule()
    def back(self):
        self.slab.ahead()

    @invariant()
    def agrees(self):
        self.slab.check()
        assert self.slab.used == len(self.live)
        assert self.slab.peak == self.peak
        assert self.slab.exhausted == self.exhausted
        for handle, octets in self.live.items():
            assert self.slab.read(handle) == octets
        for handle in self.stale:
            assert self.slab.read(handle) is None


TestSlabModel = SlabMachine.TestCase
TestSlabModel.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def test_freed_record_is_taken_first():
    slab = SlabTable(3, 8)
    first, second = slab.take(), slab.take()
    slab.give(first)
    again = slab.take()
    assert again & 0xFFFFFF == first & 0xFFFFFF
    assert again != first
    assert slab.read(second) == bytes(4)
    with pytest.raises(KeyError):
        slab.give(first)


@pytest.mark.parametrize(("capacity", "size"), [(0, 8), (1 << 24, 8), (1, 0), (1, 12), (1, 4)])
def test_sizes_out_of_range(capacity, size):
    with pytest.raises(ValueError, match="not"):
        SlabTable(capacity, size)


def test_failure_names_the_bytes():
    capacity, size = (1 << 24) - 1, 2**32 - 8
    with pytest.raises(MemoryError, match=f"cannot reserve {capacity * size} bytes"):
        SlabTable(capacity, size)


@pytest.mark.skipif(OVERCOMMIT.exists() and OVERCOMMIT.read_text().strip() == "2",
                    reason="this machine counts reserved memory as used")
def test_reserved_memory_is_not_touched():
    slabs = [SlabTable((1 << 24) - 1, 4096) for _ in range(4)]
    for slab in slabs:
        assert slab.take() == 1 << 32
        slab.check()


def test_ten_million_identifiers_are_all_different() -> None:
    """Call-ID, tags and branches are made of these (RFC 3261 8.1.1.4): none comes again.

    In the three ways in which records are used: each once, one over and over, and a crowd that
    comes and goes.
    """
    count = 10_000_000
    minted = np.zeros(count, dtype=np.uint64)
    slab = SlabTable(1_000_000, 8)
    slab.take_many(minted[:1_000_000])
    slab.give_many(minted[:1_000_000])
    for number in range(1_000_000, 3_000_000):
        one = minted[number : number + 1]
        slab.take_many(one)
        slab.give_many(one)
    number = 3_000_000
    while number < count:
        crowd = minted[number : number + 1 + number * 7919 % 5000]
        slab.take_many(crowd)
        slab.give_many(crowd[::2])
        slab.give_many(crowd[1::2])
        number += len(crowd)
    assert minted.all()
    minted.sort()
    assert (minted[1:] != minted[:-1]).all()
    slab.check()
