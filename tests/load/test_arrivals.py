"""Due times: counts, order, distributions, chunks, live rate changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siploadgen.errors import UsageError
from siploadgen.load.arrivals import (
    Arrival,
    Pacer,
    RateShape,
    Stage,
    constant,
    due_times,
    parse_arrival,
    parse_ramp,
    ramping,
)
from siploadgen.units import NANOS

POISSON = Arrival("poisson")

# A call in eleven days is the slowest that anybody plans.
rates = st.floats(1e-6, 2000) | st.just(0.0)
stage_lists = st.lists(
    st.builds(
        Stage,
        rate=rates, target=rates,
        duration_ns=st.integers(1_000_000, 5 * NANOS)),
    min_size=1, max_size=5)


@given(stage_lists)
@settings(max_examples=60, deadline=None)
def test_every_stage_starts_as_many_calls_as_its_integral(stages):
    due = due_times(stages, Arrival())
    assert np.all(np.diff(due) >= 0)
    start = 0
    for stage in stages:
        end = start + stage.duration_ns
        count = int(np.sum((due >= start) & (due < end)))
        assert abs(count - stage.calls) <= 1 + 1e-6 * stage.calls
        start = end
    assert abs(len(due) - sum(s.calls for s in stages)) <= 1


@given(stage_lists, st.sampled_from([Arrival(), POISSON, Arrival("batch", 7)]),
       st.integers(1, 2**32), st.lists(st.integers(1, 2 * NANOS), max_size=20))
@settings(max_examples=50, deadline=None)
def test_chunks_do_not_matter(stages, arrival, seed, steps):
    whole = due_times(stages, arrival, seed)
    pacer = Pacer(RateShape(stages), arrival, seed)
    until, chunks = 0, []
    for step in steps:
        until += step
        chunks.append(pacer.take(until, limit=1 + step % 977))
    while not pacer.exhausted:
        chunks.append(pacer.take(sum(s.duration_ns for s in stages)))
    assert np.array_equal(np.concatenate(chunks), whole)


def test_a_chunk_just_before_the_end_holds_no_more_than_the_whole():
    stages = [Stage(1e-6, 1e-6, 1_000_000)]
    pacer = Pacer(RateShape(stages), Arrival(), 1)
    assert len(pacer.take(1)) + len(pacer.take(1_000_000)) == len(due_times(stages, Arrival()))


def test_constant_rate_is_exact():
    assert np.array_equal(due_times(constant(1000.0, NANOS), Arrival()),
                          np.arange(1000) * 1_000_000)


def test_ramp_from_nothing_matches_the_quadratic():
    due = due_times([Stage(0, 100, 10 * NANOS)], Arrival())
    assert len(due) == 500
    assert np.allclose(due / NANOS, np.sqrt(2 * np.arange(500) / 10), atol=1e-8)


def test_a_pause_in_the_shape_holds_no_calls():
    stages = [*constant(100, NANOS), *constant(0, NANOS), *constant(100, NANOS)]
    due = due_times(stages, Arrival())
    assert len(due) == 200
    assert not np.any((due > NANOS) & (due < 2 * NANOS))


@pytest.mark.parametrize("seed", [1, 2, 3, 42])
def test_poisson_gaps_are_exponential(seed):
    due = due_times(constant(1000.0, 20 * NANOS), POISSON, seed)
    gaps = np.diff(due) / NANOS
    assert stats.kstest(gaps, "expon", args=(0, 1 / 1000)).pvalue > 0.01
    assert abs(len(due) - 20_000) < 5 * np.sqrt(20_000)


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("window_ns", [1_000_000, 10_000_000])
def test_poisson_counts_have_the_dispersion_of_poisson(seed, window_ns):
    windows = 20_000
    due = due_times(constant(10_000.0, windows * window_ns), POISSON, seed)
    counts = np.bincount(due // window_ns, minlength=windows)[:windows]
    # Variance over mean of 20,000 counts: standard error sqrt(2 / 19,999) = 0.01.
    assert 0.95 < counts.var() / counts.mean() < 1.05


def test_even_arrivals_have_none():
    due = due_times(constant(10_000.0, 20_000 * 10_000_000), Arrival())
    counts = np.bincount(due // 10_000_000)
    assert counts.var() / counts.mean() < 0.01


@pytest.mark.parametrize("seed", [1, 2])
def test_poisson_in_a_ramp_is_uniform_in_the_integral(seed):
    stage = Stage(0, 2000, 10 * NANOS)
    due = due_times([stage], POISSON, seed) / NANOS
    assert stats.kstest(due**2 / 100, "uniform").pvalue > 0.01


def test_batches_share_an_instant():
    due = due_times(constant(100.0, NANOS), Arrival("batch", 10))
    times, counts = np.unique(due, return_counts=True)
    assert list(counts) == [10] * 10
    assert np.array_equal(times, np.arange(10) * 100_000_000)


@pytest.mark.parametrize("arrival", [Arrival(), POISSON, Arrival("batch", 3)])
@pytest.mark.parametrize("calls", [1, 2, 100, 12_345])
def test_number_of_calls_is_exact(arrival, calls):
    assert len(due_times(constant(5000.0, None), arrival, 1, calls)) == calls


def test_calls_bound_a_duration():
    assert len(due_times(constant(100.0, 10 * NANOS), Arrival(), 1, 30)) == 30
    assert len(due_times(constant(100.0, NANOS), Arrival(), 1, 300)) == 100


@given(st.integers(1, 7), st.lists(st.integers(1, NANOS), min_size=1, max_size=8))
def test_engines_share_the_sequence(parts, steps):
    stages = constant(313.0, 4 * NANOS)
    whole = due_times(stages, POISSON, 5)
    pacer = Pacer(RateShape(stages), POISSON, 5)
    engines = [[] for _ in range(parts)]
    until = 0
    for step in [*steps, 4 * NANOS]:
        until += step
        for engine, due in zip(engines, pacer.take_split(until, parts), strict=True):
            engine.append(due)
    for i, chunks in enumerate(engines):
        assert np.array_equal(np.concatenate(chunks), whole[i::parts])


@pytest.mark.parametrize("arrival", [Arrival(), POISSON, Arrival("batch", 5)])
def test_rate_changes_apply_to_what_is_not_handed_out(arrival):
    pacer = Pacer(RateShape(constant(1000.0, 10 * NANOS)), arrival, 3)
    before = pacer.take(2 * NANOS)
    pacer.set_rate(2.0)
    double = pacer.take(5 * NANOS)
    pacer.set_rate(0.5)
    half = pacer.take(10 * NANOS)
    assert pacer.exhausted
    assert double[0] >= 2 * NANOS - 10_000_000
    for due, wanted in ((before, 2000), (double, 6000), (half, 2500)):
        assert abs(len(due) - wanted) < (2 if arrival.kind == "uniform" else 6 * wanted**0.5)
    everything = np.concatenate([before, double, half])
    assert np.all(np.diff(everything) >= 0)


def test_seeds_differ_and_repeat():
    a, b, c = (due_times(constant(100.0, NANOS), POISSON, seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a[:50], c[:50])


def test_ramping_holds_the_last_rate():
    stages = ramping(0.0, [(100.0, NANOS, "linear"), (50.0, NANOS, "step")], 5 * NANOS)
    assert [(s.rate, s.target, s.duration_ns) for s in stages] == [
        (0.0, 100.0, NANOS), (50.0, 50.0, NANOS), (50.0, 50.0, 3 * NANOS)]
    shape = RateShape(stages)
    assert shape.total == 50 + 50 + 150
    assert shape.peak == 100
    assert shape.mean == 50


def test_what_has_no_meaning_is_refused():
    for build in (
        lambda: Stage(-1, 1, NANOS),
        lambda: Stage(1, 1, 0),
        lambda: Stage(0, 0, None),
        lambda: RateShape([]),
        lambda: RateShape([*constant(1, None), *constant(1, NANOS)]),
        lambda: ramping(1.0, [(2.0, 2 * NANOS, "linear")], NANOS),
        lambda: Pacer(RateShape(constant(1.0, None)), Arrival(), 1),
    ):
        with pytest.raises(UsageError):
            build()


def test_texts():
    assert parse_ramp("2k/s:30s") == (2000.0, 30 * NANOS, "linear")
    assert parse_ramp("120/m:1m:step") == (2.0, 60 * NANOS, "step")
    assert parse_arrival("Poisson") == POISSON
    assert str(parse_arrival("batch(12)")) == "batch(12)"
    for bad in ("2k", "2k:", "2k:30", "2k:0", "2k:3s:exp", ":3s"):
        with pytest.raises(UsageError, match="--ramp"):
            parse_ramp(bad)
    for bad in ("", "batch", "batch(0)", "batch(-1)", "even"):
        with pytest.raises(UsageError, match="--arrival"):
            parse_arrival(bad)


def test_long_runs_need_no_memory_ahead():
    pacer = Pacer(RateShape(constant(10_000.0, 24 * 3600 * NANOS)), Arrival(), 1)
    first = pacer.take(NANOS)
    assert len(first) == 10_000
    assert len(pacer.take(1000 * NANOS)) == 1_000_000
    assert pacer.take(1000 * NANOS)[0] == 101 * NANOS
