"""Mixes: shares, and that nothing but seed, workload and number decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.errors import UsageError
from siploadgen.load.draw import below, bits, permuted, stream_key, uniform
from siploadgen.load.mix import choose

NUMBERS = np.arange(100_000, dtype=np.uint64)


def splitmix64(state):
    """One step of splitmix64 in plain integers: the reference."""
    mask = 2**64 - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_bits_are_those_of_splitmix64():
    # The published first outputs for the seed 1234567.
    assert bits(1234567, np.arange(3, dtype=np.uint64)).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert int(bits(99, np.array([5], np.uint64))[0]) == splitmix64(
        (99 + 5 * 0x9E3779B97F4A7C15) & (2**64 - 1))


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("weights", [[1.0, 1.0], [70.0, 30.0], [0.001, 0.999], [5, 0, 3, 2]])
def test_shares_are_within_three_sigma(weights, seed):
    found = np.bincount(choose(weights, seed, 0, NUMBERS), minlength=len(weights))
    share = np.array(weights) / sum(weights)
    sigma = np.sqrt(len(NUMBERS) * share * (1 - share))
    assert np.all(np.abs(found - len(NUMBERS) * share) <= 3 * sigma)
    assert np.all(found[share == 0] == 0)


def test_shares_hold_at_every_scale_of_time():
    chosen = choose([1.0, 3.0], 9, 0, NUMBERS).reshape(-1, 100).sum(axis=1)
    # Counts in hundreds have the variance of a binomial.
    assert chosen.var() == pytest.approx(100 * 0.75 * 0.25, rel=0.15)


@given(st.integers(0, 2**64 - 1), st.integers(0, 63), st.lists(st.integers(0, 999), max_size=8),
       st.integers(1, 9))
def test_chunks_and_workers_do_not_matter(seed, workload, cuts, workers):
    numbers = NUMBERS[:1000]
    whole = choose([2.0, 1.0, 4.0], seed, workload, numbers)
    parts = [choose([2.0, 1.0, 4.0], seed, workload, part)
             for part in np.split(numbers, sorted(cuts))]
    assert np.array_equal(np.concatenate(parts), whole)
    for worker in range(workers):
        assert np.array_equal(choose([2.0, 1.0, 4.0], seed, workload, numbers[worker::workers]),
                              whole[worker::workers])


def test_seeds_workloads_and_streams_differ():
    keys = [stream_key(seed, workload, stream) for seed in (0, 1, 2**32, 2**64 - 1)
            for workload in range(64) for stream in ("mix", "feed ", "feed callee")]
    assert len(set(keys)) == len(keys)
    a, b = (uniform(key, NUMBERS) for key in keys[:2])
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02


def test_below_reaches_every_number():
    drawn = below(5, NUMBERS, 7)
    assert set(drawn.tolist()) == set(range(7))
    assert below(5, NUMBERS, 2**32).max() < 2**32


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_a_shuffle_has_every_number_once(count, key, turn):
    shuffled = permuted(key, np.arange(count), np.full(count, turn), count)
    assert np.array_equal(np.sort(shuffled), np.arange(count))


def test_shuffles_differ_and_leave_no_order():
    first, second = (permuted(1, np.arange(1000), np.full(1000, turn), 1000) for turn in (0, 1))
    assert np.sum(first == second) < 20
    assert abs(np.corrcoef(np.arange(1000), first)[0, 1]) < 0.1


@pytest.mark.parametrize(("weights", "words"), [
    ([], "from 1"), ([0.0, 0.0], "all are 0"), ([1.0, -1.0], "-1"), ([float("nan")], "nan"),
    ([1.0] * 70_000, "65535"),
])
def test_weights_that_cannot_be_chosen_from(weights, words):
    with pytest.raises(UsageError, match=words):
        choose(weights, 1, 0, NUMBERS)
