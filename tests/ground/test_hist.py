"""Histogram recording against the hdrhistogram package."""

import ctypes

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.core import hist

values = st.one_of(
    st.integers(0, 5000),
    st.integers(0, hist.HIGHEST_US),
    st.integers(0, 31).flatmap(lambda bits: st.integers(max(0, 2**bits - 2), 2**bits + 2)),
).filter(lambda v: v <= hist.HIGHEST_US)
REFERENCE = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)


def test_layout_is_hdrhs():
    assert REFERENCE.counts_len == hist.LENGTH == hist.OVERFLOW
    assert hist.STRIDE == hist.LENGTH + 1
    assert REFERENCE.sub_bucket_count == hist.SUB_BUCKETS


@given(values)
@settings(max_examples=2000, deadline=None)
def test_index_is_hdrhs(value):
    assert hist.index(value) == REFERENCE._counts_index_for(value)


@given(st.integers(hist.HIGHEST_US + 1, 2**63 - 1))
def test_above_the_highest_is_overflow(value):
    assert hist.index(value) == hist.OVERFLOW


@given(st.integers(-(2**63), -1))
def test_negative_counts_as_zero(value):
    assert hist.index(value) == 0


def test_ends():
    assert hist.index(hist.HIGHEST_US) == REFERENCE._counts_index_for(hist.HIGHEST_US)
    assert hist.index(hist.HIGHEST_US + 1) == hist.OVERFLOW
    assert hist.index(2047) == 2047
    assert hist.index(2048) == 2048
    assert hist.index(2049) == 2048


@given(st.lists(values, min_size=1, max_size=200))
@settings(max_examples=100, deadline=None)
def test_encoded_bytes_are_hdrhs(recorded):
    expected = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)
    for value in recorded:
        assert expected.record_value(value)
    counts = np.zeros(hist.STRIDE, np.int64)
    hist.Histogram(counts).record(np.array(recorded, np.int64))
    ours = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)
    ctypes.memmove(ours.counts, counts.ctypes.data, hist.LENGTH * 8)
    used = np.flatnonzero(counts[: hist.LENGTH])
    ours.set_internal_tacking_values(int(used[0]), int(used[-1]), len(recorded))
    assert ours.encode() == expected.encode()


def test_other_length_is_refused():
    with pytest.raises(ValueError, match="counters"):
        hist.Histogram(np.zeros(hist.LENGTH, np.int64))


def test_overflow_is_counted_apart():
    counts = np.zeros(hist.STRIDE, np.int64)
    hist.Histogram(counts).record(np.array([1, hist.HIGHEST_US + 1, 2**62], np.int64))
    assert counts[1] == 1
    assert counts[hist.OVERFLOW] == 2
    assert counts.sum() == 3
