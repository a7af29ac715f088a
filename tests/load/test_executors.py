"""Executors: starts of each phase, chunks, distributions, levels, live rates, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from siploadgen.errors import ScenarioError
from siploadgen.load.arrivals import FOREVER_NS, Arrival, RateShape, Sine, Stage
from siploadgen.load.executors import (
    DAY_NS,
    EXECUTORS,
    CallStage,
    ConstantArrivalRate,
    ConstantCalls,
    DayCurve,
    OnOff,
    ParameterError,
    PerUser,
    RampingArrivalRate,
    RampingCalls,
    RateStage,
    Replay,
    SharedCalls,
    Stairs,
)
from siploadgen.units import NANOS

S, H = NANOS, 3600 * NANOS
POISSON = Arrival("poisson")
ARRIVALS = [Arrival(), POISSON, Arrival("batch", 7)]


def everything(executor, seed=1, workload=0):
    """All calls of an executor at once, checked for what always holds."""
    pacer = executor.pacer(seed, workload)
    parts = []
    while not pacer.exhausted:
        parts.append(pacer.take(FOREVER_NS))
    due, number, phase = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    assert (due.dtype, number.dtype, phase.dtype) == (np.int64, np.uint64, np.uint16)
    assert np.array_equal(number, np.arange(len(due)))
    assert pacer.handed == len(due)
    assert np.all(np.diff(due) >= 0)
    for index, span in enumerate(executor.phases):
        inside = due[phase == index]
        assert np.all((inside >= span.start_ns) & (inside < span.end_ns))
    return due, number, phase


def counts(executor, seed=1):
    _, _, phase = everything(executor, seed)
    return np.bincount(phase, minlength=len(executor.phases)).tolist()


def trace_file(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


# --- how many, where ---

@pytest.mark.parametrize(("executor", "phases", "calls"), [
    (ConstantArrivalRate(0.1, 30 * S), ["main"], [3]),
    (ConstantArrivalRate(1 / 3, 9 * S, warmup=3 * S), ["warmup", "main"], [1, 3]),
    (ConstantArrivalRate(500.0, None, calls=1234, phase="busy-hour"), ["busy-hour"], [1234]),
    (ConstantArrivalRate(1.8e6 / 3600, 7 * S, Arrival("batch", 100)), ["main"], [3500]),
    (RampingArrivalRate(0.0, [RateStage(2000.0, 120 * S, phase="ramp"),
                              RateStage(2000.0, 600 * S, phase="busy-hour")]),
     ["ramp", "busy-hour"], [120_000, 1_200_000]),
    (RampingArrivalRate(0.1, [RateStage(0.3, 10 * S), RateStage(0.7, 10 * S, "step")]),
     ["stage-1", "stage-2"], [2, 7]),
    (RampingArrivalRate(0.0, [RateStage(10.0, 0), RateStage(10.0, S), RateStage(0.0, S, "step"),
                              RateStage(20.0, S, "step")], warmup=S),
     ["warmup", "stage-2", "stage-3", "stage-4"], [10, 10, 0, 20]),
    (RampingArrivalRate(100.0, [RateStage(200.0, S, phase="a"), RateStage(100.0, S, phase="a")]),
     ["a"], [300]),
    (Stairs(100.0, 50.0, 3, 2 * S, ramp_between=S, warmup=S),
     ["warmup", "level-1", "ramp-2", "level-2", "ramp-3", "level-3"],
     [100, 200, 125, 300, 175, 400]),
    (Stairs(100.0, -50.0, 3, 2 * S), ["level-1", "level-2", "level-3"], [200, 100, 0]),
    (DayCurve(100.0, 100.0, 60 * S, duration=30 * S), ["main"], [3000 + 1910]),
    (DayCurve(10.0, 4.0, 60 * S, duration=180 * S, warmup=S), ["warmup", "main"], [10, 1800]),
    (DayCurve(table=[(0, 0.0), (10 * S, 20.0), (20 * S, 0.0)], duration=30 * S), ["main"], [300]),
    (DayCurve(table=[(10 * S, 20.0), (20 * S, 0.0)]), ["main"], [300]),
    (OnOff(100.0, S, 2 * S, 10 * S, base=1.0), ["main"], [406]),
    (SharedCalls(1000, rate=77.0), ["main"], [1000]),
    (SharedCalls(1000, rate=10.0, duration=5 * S, warmup=S), ["warmup", "main"], [10, 50]),
])
def test_every_phase_starts_what_is_planned(executor, phases, calls):
    assert [phase.name for phase in executor.phases] == phases
    assert [phase.measured for phase in executor.phases] == [p != "warmup" for p in phases]
    assert list(executor.phase_calls) == calls
    assert counts(executor) == calls
    assert executor.total == sum(calls)
    assert executor.open


def test_the_shortest_of_tables_starts_its_first_call():
    assert counts(DayCurve(table=[(0, 1.0), (1, 1.0)])) == [1]


rates = st.floats(0.01, 3000) | st.just(0.0)
lengths = st.integers(1_000_000, 3 * S)


@st.composite
def rate_executors(draw):
    """Any open executor with a rate."""
    common = {"arrival": draw(st.sampled_from(ARRIVALS)), "warmup": draw(st.just(0) | lengths),
              "calls": draw(st.none() | st.integers(1, 3000))}
    positive = st.floats(0.01, 3000)
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return ConstantArrivalRate(draw(positive), draw(lengths), **common)
    if kind == 1:
        exp = st.builds(RateStage, positive, lengths, st.just("exp"))
        other = st.builds(RateStage, rates, st.just(0) | lengths, st.sampled_from(
            ["linear", "step"]))
        stages = [*draw(st.lists(other, max_size=3)), RateStage(draw(positive), S),
                  *draw(st.lists(exp, max_size=3))]
        return RampingArrivalRate(draw(rates), stages, **common)
    if kind == 2:
        return Stairs(draw(positive), draw(positive), draw(st.integers(1, 4)), draw(lengths),
                      draw(st.just(0) | lengths), **common)
    if kind == 3:
        mean = draw(positive)
        return DayCurve(mean, mean * draw(st.floats(0, 1)), draw(lengths),
                        draw(st.none() | lengths), duration=draw(lengths), **common)
    # A table as short as nanoseconds would be repeated too often.
    points = sorted(draw(st.sets(st.integers(0, 30_000), min_size=2, max_size=6)))
    points = [at * 100_000 for at in points]
    table = [(at, draw(positive)) for at in points]
    return DayCurve(table=table, duration=draw(st.none() | lengths), **common)


@given(rate_executors(), st.integers(0, 2**64 - 1))
@settings(max_examples=150, deadline=None)
def test_starts_equal_the_plan(executor, seed):
    found = counts(executor, seed)
    for count, planned in zip(found, executor.phase_calls, strict=True):
        if executor.arrival.kind == "poisson":
            assert abs(count - planned) <= 7 * math.sqrt(planned + 1) + 7
        else:
            assert count == planned


@given(rate_executors(), st.integers(0, 2**32), st.integers(0, 3),
       st.lists(st.integers(1, S), max_size=20))
@settings(max_examples=100, deadline=None)
def test_chunks_do_not_matter(executor, seed, workload, steps):
    whole = everything(executor, seed, workload)
    pacer = executor.pacer(seed, workload)
    until, parts = 0, []
    for step in steps:
        until += step
        parts.append(pacer.take(until, limit=1 + step % 977))
    while not pacer.exhausted:
        parts.append(pacer.take(FOREVER_NS, limit=5000))
    for column, wanted in zip(zip(*parts, strict=True), whole, strict=True):
        assert np.array_equal(np.concatenate(column), wanted)


@given(st.integers(1, 7), st.lists(st.integers(1, S), min_size=1, max_size=8))
@settings(deadline=None)
def test_engines_share_the_calls(parts, steps):
    executor = RampingArrivalRate(10.0, [RateStage(500.0, 2 * S), RateStage(0.0, 2 * S)],
                                  arrival=POISSON)
    due, number, phase = everything(executor, 5)
    pacer = executor.pacer(5)
    engines = [[] for _ in range(parts)]
    until = 0
    for step in [*steps, FOREVER_NS]:
        until += step
        for engine, share in zip(engines, pacer.take(until).deal(parts), strict=True):
            engine.append(share)
    for i, shares in enumerate(engines):
        assert np.array_equal(np.concatenate([s.due for s in shares]), due[i::parts])
        assert np.array_equal(np.concatenate([s.number for s in shares]), number[i::parts])
        assert np.array_equal(np.concatenate([s.phase for s in shares]), phase[i::parts])


def test_workloads_and_seeds_have_times_of_their_own():
    executor = ConstantArrivalRate(100.0, 10 * S, POISSON)
    # A seed beyond 32 bits must not be another workload's.
    keys = [(1, 0), (1, 1), (2, 0), (1 + 2**32, 0), (1 + 2**32, 1)]
    firsts = [tuple(everything(executor, *key)[0][:20]) for key in keys]
    assert len(set(firsts)) == len(keys)
    assert tuple(everything(executor, 1, 1)[0][:20]) == firsts[1]


# --- distributions ---

@pytest.mark.parametrize("seed", [1, 2, 3, 42])
@pytest.mark.parametrize("executor", [
    ConstantArrivalRate(1000.0, 20 * S, POISSON),
    RampingArrivalRate(0.0, [RateStage(2000.0, 20 * S)], POISSON),
    RampingArrivalRate(10.0, [RateStage(5000.0, 20 * S, "exp")], POISSON),
    DayCurve(1000.0, 900.0, 7 * S, duration=20 * S, arrival=POISSON),
    DayCurve(table=[(0, 10.0), (5 * S, 2000.0), (10 * S, 10.0)], duration=20 * S, arrival=POISSON),
    OnOff(2000.0, S, S, 20 * S, arrival=POISSON),
], ids=lambda executor: executor.name)
def test_poisson_gaps_are_exponential_in_the_integral(executor, seed):
    due, _, _ = everything(executor, seed)
    reached = np.array([executor.shape.calls_by(int(at)) for at in due])
    assert stats.kstest(np.diff(reached, prepend=0.0), "expon").pvalue > 0.01
    assert abs(len(due) - executor.total) < 5 * math.sqrt(executor.total)


@pytest.mark.parametrize("seed", [1, 7, 12])
def test_poisson_counts_have_the_dispersion_of_poisson(seed):
    due, _, _ = everything(ConstantArrivalRate(1000.0, None, POISSON, calls=100_000), seed)
    # 1e5 arrivals in 20,000 cells: the standard error of variance over mean is 0.01.
    cell = 5_000_000
    seen = np.bincount(due // cell)[:int(due[-1] // cell)]
    assert 0.95 < seen.var() / seen.mean() < 1.05


def test_batches_share_an_instant():
    due, _, _ = everything(ConstantArrivalRate(100.0, S, Arrival("batch", 10)))
    times, sizes = np.unique(due, return_counts=True)
    assert sizes.tolist() == [10] * 10
    assert np.array_equal(times, np.arange(10) * S // 10)


# --- shapes ---

@pytest.mark.parametrize("piece", [
    Stage(1.0, 1000.0, 10 * S, "exp"), Stage(1000.0, 1.0, 10 * S, "exp"),
    Stage(5.0, 5.0, S, "exp"), Stage(1e-3, 1e4, 100 * S, "exp"),
    Sine(100.0, 100.0, 10 * S, 0, 35 * S), Sine(100.0, 30.0, 10 * S, 7 * S, 4 * S),
    Sine(0.2, 0.2, DAY_NS, DAY_NS // 2, 3 * DAY_NS), Sine(10.0, 0.0, S, 0, 2 * S),
])
def test_integrals_and_their_inverses(piece):
    shape = RateShape([piece])
    length = piece.duration_ns / NANOS
    for share in (0.1, 0.33, 0.5, 0.9, 1.0):
        numeric, error = integrate.quad(piece.rate_at, 0, length * share, limit=500, epsabs=1e-9)
        assert shape.calls_by(int(piece.duration_ns * share)) == pytest.approx(
            numeric, abs=1e-5 + 2 * error, rel=1e-8)
    calls = np.linspace(0, shape.total, 2001)[:-1]
    times = shape.time_of(calls)
    assert np.all(np.diff(times) >= 0)
    back = np.array([shape.calls_by(int(at)) for at in times])
    # A time is right to half a nanosecond, and where the rate is 0 no number tells it better.
    assert np.allclose(back, calls, atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize("flat", [0.0, 1e-9])
def test_a_sine_that_touches_the_ground(flat):
    piece = Sine(1000.0, 1000.0 - flat, 100 * S, 50 * S, 100 * S)  # rate 0 at 0 and at the end
    due = RateShape([piece]).time_of(np.arange(100_000.0))
    assert len(due) == 100_000
    assert np.all(np.diff(due) > 0)
    # Near the trough N grows with the cube of the time.
    first = (1 / (1000 * (2 * np.pi / 100) ** 2 / 6)) ** (1 / 3)
    assert due[1] / NANOS == pytest.approx(first, rel=1e-3)


def test_exp_multiplies_by_the_same():
    due, _, _ = everything(RampingArrivalRate(100.0, [RateStage(1600.0, 4 * S, "exp")]))
    each = np.bincount(due // S).astype(float)
    assert np.allclose(each[1:] / each[:-1], 2.0, rtol=0.02)


def test_a_table_repeats_and_a_sine_has_its_crest_where_it_is_told():
    table = DayCurve(table=[(0, 10.0), (6 * H, 100.0), (24 * H, 10.0)], duration=48 * H)
    assert table.shape.calls_by(30 * H) == pytest.approx(
        table.shape.calls_by(24 * H) + table.shape.calls_by(6 * H))
    assert table.peak_rate == 100.0
    curve = DayCurve(100.0, 50.0, peak_at=15 * H)
    due, _, _ = everything(DayCurve(1.0, 0.5, peak_at=15 * H))
    hours = np.bincount(due // H, minlength=24)
    assert hours.argmax() in (14, 15)
    assert hours.argmin() in (2, 3)
    assert curve.peak_rate == 150.0
    assert DayCurve(100.0, 50.0, peak_at=15 * H, duration=H).peak_rate == pytest.approx(
        100 + 50 * math.cos(2 * math.pi * 15 / 24))


def test_uniform_starts_do_not_move_when_a_stage_is_added():
    one = everything(RampingArrivalRate(0.0, [RateStage(100.0, 10 * S)]))[0]
    two = everything(RampingArrivalRate(0.0, [RateStage(100.0, 10 * S), RateStage(7.0, S)]))[0]
    assert np.array_equal(one, two[:len(one)])


# --- live rates ---

@pytest.mark.parametrize("arrival", ARRIVALS, ids=str)
def test_a_changed_rate_holds_for_what_is_not_handed_out(arrival):
    pacer = RampingArrivalRate(1000.0, [RateStage(1000.0, 5 * S), RateStage(1000.0, 5 * S)],
                               arrival).pacer(3)
    before = pacer.take(2 * S)
    pacer.set_rate(2.0)
    double = pacer.take(6 * S)
    pacer.set_rate(0.0)
    none = pacer.take(8 * S)
    pacer.set_rate(0.5)
    half = pacer.take(10 * S)
    assert pacer.exhausted
    assert pacer.factor == 0.5
    assert len(none.due) == 0
    for part, wanted in ((before, 2000), (double, 8000), (half, 1000)):
        assert abs(len(part.due) - wanted) < (2 if arrival.kind == "uniform" else 6 * wanted**0.5)
    due = np.concatenate([before.due, double.due, half.due])
    assert np.all(np.diff(due) >= 0)
    assert pacer.handed == len(due)
    number = np.concatenate([before.number, double.number, half.number])
    assert np.array_equal(number, np.arange(len(due)))
    # Phases keep their times.
    phase = np.concatenate([before.phase, double.phase, half.phase])
    assert np.array_equal(phase, (due >= 5 * S).astype(int))


@pytest.mark.parametrize("factor", [-1.0, math.inf, math.nan])
def test_factors_that_are_none(factor, tmp_path):
    for executor in (ConstantArrivalRate(1.0, S), Replay(trace_file(tmp_path, "0\n1\n"))):
        with pytest.raises(ValueError, match="factor"):
            executor.pacer(1).set_rate(factor)


# --- replay ---

def test_replay_plays_the_file(tmp_path):
    path = trace_file(tmp_path, "at,call,prefix\n0,a,49\n0.5,b,1\n1s250ms,a,44\n3,a,7\n")
    executor = Replay(path, warmup=S)
    due, _, phase = everything(executor)
    assert due.tolist() == [0, S // 2, 5 * S // 4, 3 * S]
    assert phase.tolist() == [0, 0, 1, 1]
    assert executor.phase_calls == (2.0, 2.0)
    assert executor.total == 4
    assert executor.duration_ns == 3 * S + 1
    assert executor.peak_rate == 2
    trace = executor.trace
    assert trace.models == ("a", "b")
    numbers = np.array([3, 1], np.uint64)
    assert trace.model_of(numbers, ["b", "x", "a"]).tolist() == [2, 0]
    assert trace.rows.names == ("prefix",)
    assert [trace.rows.cell(0, row) for row in range(4)] == [b"49", b"1", b"44", b"7"]
    feed = executor.feed()
    assert feed.rows.names == ("replay.prefix",)
    assert feed.rows_for(9, 3, numbers).tolist() == [3, 1]
    with pytest.raises(ScenarioError, match=r'trace.csv:3: no call model "b"; did you mean "b2"'):
        trace.model_of(numbers, ["a", "b2"])


def test_replay_needs_no_header_and_can_be_faster(tmp_path):
    path = trace_file(tmp_path, "1000;x\n1000.5;y\n1001.000000001;z\n")
    assert Replay(path, speed=2.0, origin="first").trace.times_ns.tolist() == [
        0, S // 4, S // 2]
    executor = Replay(path, origin="first")
    assert executor.trace.times_ns.tolist() == [0, S // 2, S + 1]
    assert executor.trace.rows.names == ("field1",)
    assert Replay(path).trace.times_ns[0] == 1000 * S


def test_replay_at_another_rate_plays_every_call_once(tmp_path):
    path = trace_file(tmp_path, "".join(f"{i / 100}\n" for i in range(1000)))
    pacer = Replay(path).pacer(1)
    parts = [pacer.take(2 * S)]
    pacer.set_rate(2.0)
    parts.append(pacer.take(3 * S, limit=30))
    parts.append(pacer.take(3 * S))
    pacer.set_rate(0.0)
    parts.append(pacer.take(10 * S))
    pacer.set_rate(1.0)
    parts.append(pacer.take(FOREVER_NS // 2))
    assert [len(part.due) for part in parts] == [200, 30, 170, 0, 600]
    due = np.concatenate([part.due for part in parts])
    assert np.array_equal(np.concatenate([part.number for part in parts]), np.arange(1000))
    assert due[200] == 2 * S
    assert due[399] == 2 * S + 995_000_000
    assert due[400] == 10 * S
    assert pacer.exhausted
    assert pacer.end_ns == due[-1] == 10 * S + 5_990_000_000


# --- closed ones ---

def test_constant_calls():
    executor = ConstantCalls(50, 10 * S, warmup=2 * S, phase="busy")
    assert not executor.open
    levels = executor.levels()
    assert levels.when.tolist() == [0, 2 * S, 12 * S]
    assert levels.wanted.tolist() == [50, 50, 0]
    assert levels.phase.tolist() == [0, 1, 1]
    assert (executor.total, executor.peak_rate, executor.peak_calls) == (None, None, 50)
    assert executor.duration_ns == 12 * S
    with pytest.raises(TypeError, match="closed"):
        executor.pacer(1)


def test_ramping_calls_change_by_one():
    executor = RampingCalls([CallStage(4, 8 * S), CallStage(4, S, phase="top"),
                             CallStage(1, 3 * S), CallStage(10, S, "step")])
    levels = executor.levels()
    assert [phase.name for phase in executor.phases] == ["stage-1", "top", "stage-3", "stage-4"]
    assert levels.when.tolist() == [
        0, S, 3 * S, 5 * S, 7 * S, 8 * S, 9 * S, 9 * S + S // 2, 10 * S + S // 2, 11 * S + S // 2,
        12 * S, 13 * S]
    assert levels.wanted.tolist() == [0, 1, 2, 3, 4, 4, 4, 3, 2, 1, 10, 0]
    assert levels.phase.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    assert executor.peak_calls == 10


def level_at(levels, times):
    index = np.searchsorted(levels.when, times, side="right") - 1
    return levels.wanted[index].astype(np.int64)


call_stages = st.lists(st.builds(CallStage, st.integers(0, 300), st.just(0) | lengths,
                                 st.sampled_from(["linear", "step"])), min_size=1, max_size=5)


@given(call_stages, st.integers(0, 50), st.just(0) | lengths, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_levels_follow_the_line(stages, start, warmup, engines):
    stages = [CallStage(5, S), *stages]
    executor = RampingCalls(stages, start, warmup)
    levels = executor.levels()
    assert (levels.when.dtype, levels.wanted.dtype, levels.phase.dtype) == (
        np.int64, np.uint32, np.uint16)
    assert np.all(np.diff(levels.when) > 0)
    assert levels.when[0] == 0
    assert levels.when[-1] == executor.duration_ns
    assert levels.wanted[-1] == 0
    at, level = warmup, start
    for stage in stages:
        if stage.duration and stage.shape == "linear":
            times = np.linspace(at, at + stage.duration - 1, 50).astype(np.int64)
            line = level + (stage.target - level) * (times - at) / stage.duration
            assert np.all(np.abs(level_at(levels, times) - line) <= 0.5 + 1e-6)
        elif stage.duration:
            assert level_at(levels, np.array([at]))[0] == stage.target
        at, level = at + stage.duration, stage.target
    for phase, span in enumerate(executor.phases):
        assert np.all(levels.phase[(levels.when >= span.start_ns)
                                   & (levels.when < span.end_ns)] == phase)
        assert span.start_ns in levels.when
    # What engines hold adds up at any time, and none has a record too much.
    shares = levels.deal(engines)
    together = sum(level_at(share, levels.when) for share in shares)
    assert np.array_equal(together, levels.wanted)
    for share in shares:
        same = (np.diff(share.wanted.astype(int)) == 0) & (np.diff(share.phase.astype(int)) == 0)
        assert not np.any(same)


def test_long_ramps_are_exact():
    levels = RampingCalls([CallStage(1_000_000, 7 * DAY_NS)]).levels()
    assert len(levels.when) == 1_000_002
    odd = 2 * 765_432 - 1
    assert levels.when[765_432] == -(-odd * 7 * DAY_NS // 2_000_000)


def test_per_user():
    executor = PerUser(4, "exponential(5s)", iterations=3)
    assert executor.total == 12
    assert executor.peak_calls == 4
    assert executor.duration_ns is None
    assert executor.phases[0].end_ns == FOREVER_NS
    assert executor.levels().wanted.tolist() == [4]
    spread = PerUser(4, duration=10 * S, spread=4 * S, warmup=2 * S)
    assert spread.total is None
    levels = spread.levels()
    assert levels.when.tolist() == [0, S // 2, 3 * S // 2, 2 * S, 5 * S // 2, 7 * S // 2, 12 * S]
    assert levels.wanted.tolist() == [0, 1, 2, 2, 3, 4, 0]
    assert levels.phase.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert spread.levels().wanted.max() == 4


def test_shared_calls_are_open_with_a_rate_and_closed_without():
    closed = SharedCalls(1000, concurrency=50)
    assert not closed.open
    assert closed.total == 1000
    assert (closed.peak_calls, closed.duration_ns) == (50, None)
    assert closed.levels().wanted.tolist() == [50]
    assert SharedCalls(7, concurrency=50).levels().wanted.tolist() == [7]
    bounded = SharedCalls(1000, concurrency=50, duration=S, warmup=S)
    assert bounded.levels().when.tolist() == [0, S, 2 * S]
    with pytest.raises(TypeError, match="closed"):
        closed.pacer(1)
    with pytest.raises(TypeError, match="open"):
        SharedCalls(5, rate=1.0).levels()
    assert len(everything(SharedCalls(1000, rate=50.0, arrival=POISSON))[0]) == 1000


# --- what is told, what is refused ---

def test_every_executor_describes_itself(tmp_path):
    made = [ConstantArrivalRate(10.0, S), RampingArrivalRate(0.0, [RateStage(1.0, S)]),
            Stairs(1.0, 1.0, 2, S), DayCurve(1.0), OnOff(1.0, S, S, 2 * S),
            Replay(trace_file(tmp_path, "0\n1\n")), ConstantCalls(1, S),
            RampingCalls([CallStage(1, S)]), PerUser(1, iterations=1), SharedCalls(1, 1)]
    assert {type(executor) for executor in made} == set(EXECUTORS.values())
    for executor in made:
        plan = executor.describe()
        assert EXECUTORS[plan["executor"]] is type(executor)
        assert plan["calls"] == executor.total
        assert [p["name"] for p in plan["phases"]] == [p.name for p in executor.phases]
        if executor.open:
            assert plan["rate_per_s"] > 0
    plan = Stairs(100.0, 50.0, 2, 10 * S, warmup=S).describe()
    assert plan["phases"][1] == {"name": "level-1", "start_s": 1.0, "end_s": 11.0,
                                 "measured": True, "calls": 1000.0}


@pytest.mark.parametrize(("build", "parameter", "words"), [
    (lambda: ConstantArrivalRate(-1.0, S), "rate", "0 or more"),
    (lambda: ConstantArrivalRate(0.0, S), "rate", "above 0"),
    (lambda: ConstantArrivalRate(math.nan, S), "rate", "no rate"),
    (lambda: ConstantArrivalRate(1.0), "duration", "nothing ends"),
    (lambda: ConstantArrivalRate(1.0, 0), "duration", "longer than 0"),
    (lambda: ConstantArrivalRate(1.0, S, max_calls=0), "max_calls", "from 1"),
    (lambda: ConstantArrivalRate(1.0, S, calls=0), "calls", "from 1"),
    (lambda: ConstantArrivalRate(1.0, S, warmup=-1), "warmup", "0 or"),
    (lambda: ConstantArrivalRate(1.0, S, phase="warmup"), "phase", "taken"),
    (lambda: ConstantArrivalRate(1.0, S, phase="busy hour"), "phase", "busy-hour"),
    (lambda: RampingArrivalRate(1.0, []), "stages", "at least one"),
    (lambda: RampingArrivalRate(1.0, [RateStage(1.0, 0)]), "stages", "at least one"),
    (lambda: RampingArrivalRate(0.0, [RateStage(0.0, S)]), "stages", "0 all the time"),
    (lambda: RampingArrivalRate(1.0, [RateStage(1.0, S), RateStage(-2.0, S)]),
     "stages.1.target", "0 or more"),
    (lambda: RampingArrivalRate(0.0, [RateStage(2.0, S, "exp")]), "stages.0.shape", "exp"),
    (lambda: RampingArrivalRate(0.0, [RateStage(2.0, S, "sine")]), "stages.0.shape", "choose"),
    (lambda: RampingArrivalRate(1.0, [RateStage(2.0, None)], calls=5), "stages.0.duration",
     "last stage"),
    (lambda: RampingArrivalRate(1.0, [RateStage(1.0, None)]), "duration", "nothing ends"),
    (lambda: RampingArrivalRate(1.0, [RateStage(1.0, S, phase="a"), RateStage(1.0, S),
                                      RateStage(1.0, S, phase="a")]), "stages", '"a"'),
    (lambda: Stairs(10.0, -10.0, 3, S), "step", "level 3"),
    (lambda: Stairs(10.0, 10.0, 0, S), "levels", "from 1"),
    (lambda: Stairs(10.0, 10.0, 300, S), "levels", "256"),
    (lambda: Stairs(10.0, math.inf, 3, S), "step", "rate"),
    (DayCurve, "mean", "above 0"),
    (lambda: DayCurve(1.0, 2.0), "amplitude", "no rate is below 0"),
    (lambda: DayCurve(1.0, table=[(0, 1.0), (S, 1.0)]), "table", "leave out"),
    (lambda: DayCurve(table=[(0, 1.0)]), "table", "no curve"),
    (lambda: DayCurve(table=[(0, 1.0), (0, 2.0)]), "table.1", "rise"),
    (lambda: DayCurve(table=[(0, 1.0), (1, 2.0)], duration=H), "duration", "shorten"),
    (lambda: OnOff(1.0, 1, 1, H), "duration", "bursts"),
    (lambda: ConstantCalls(0, S), "calls", "from 1"),
    (lambda: RampingCalls([CallStage(0, S)]), "stages", "no calls"),
    (lambda: RampingCalls([CallStage(-1, S)]), "stages.0.target", "from 0"),
    (lambda: RampingCalls([]), "stages", "at least one"),
    (lambda: PerUser(5), "duration", "nothing ends"),
    (lambda: PerUser(5, "5", iterations=1), "think", "5s"),
    (lambda: PerUser(5, duration=S, spread=H), "spread", "shorten"),
    (lambda: SharedCalls(5), "concurrency", "either"),
    (lambda: SharedCalls(5, 1, 1.0), "concurrency", "either"),
    (lambda: SharedCalls(5, 1, max_calls=5), "max_calls", "leave it out"),
    (lambda: SharedCalls(5, 1, arrival=POISSON), "arrival", "leave it out"),
    (lambda: Replay("x", speed=0.0), "speed", "above 0"),
])
def test_what_has_no_meaning_is_refused(build, parameter, words):
    with pytest.raises(ParameterError) as error:
        build()
    assert error.value.parameter == parameter
    assert words in error.value.message
    assert str(error.value) == f"{parameter}: {error.value.message}"
