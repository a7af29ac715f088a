"""Streams of a plan: which calls, when, with which rows; and their life in the runner."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from siploadgen.core.program import EntryFlag
from siploadgen.errors import ScenarioError, UsageError
from siploadgen.figures import Sample, snapshot
from siploadgen.load.arrivals import Arrival
from siploadgen.load.executors import (
    ConstantArrivalRate,
    ConstantCalls,
    PerUser,
    Replay,
    SharedCalls,
    Stairs,
)
from siploadgen.load.feeds import Feed, parse_pick
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer
from siploadgen.model.errors import ModelError
from siploadgen.run.plan import RunPlan, Workload
from siploadgen.run.runner import Runner, check_record
from siploadgen.run.streams import (
    ENGINES_NEXT,
    SUPPLY,
    ClosedStream,
    OpenStream,
    make_streams,
    merged,
    think_times,
)
from siploadgen.units import NANOS
from tests.run.fake_engine import FakeEngine, FakeProgram, World


def replayed(tmp_path, text):
    """The starts of a file, of a program with several entries."""
    path = tmp_path / "trace.csv"
    path.write_text(text)
    executor = Replay(path)
    program = build_answerer()
    feed = executor.feed()
    entries = tuple((entry, 1.0) for entry in (2, 0, 1))
    work = Workload("calls", executor, entries, feeds=(feed,) if feed else ())
    plan = RunPlan("x", program, "sip:127.0.0.1:5060", ("127.0.0.1", 5060), ("127.0.0.1", 0),
                   (work,), rows=(feed.rows,) if feed else ())
    stream = OpenStream(plan, 0)
    stream.origin_ns = 0
    return stream.take(100 * NANOS), program.scenarios


def test_a_replayed_file_names_the_model_of_each_call(tmp_path):
    names = build_answerer().scenarios
    starts, _ = replayed(tmp_path, f"at,call\n0,{names[1]}\n1,{names[2]}\n1.5,{names[0]}\n"
                                   f"2,{names[1]}\n")
    assert starts["entry"].tolist() == [1, 2, 0, 1]
    assert starts["due"].tolist() == [0, NANOS, 3 * NANOS // 2, 2 * NANOS]


def test_a_model_that_nobody_knows_is_told_before_the_run(tmp_path):
    name = build_answerer().scenarios[1]
    with pytest.raises(ScenarioError, match=rf'trace\.csv:3: no call model "{name}x"; did you'):
        replayed(tmp_path, f"at,call\n0,{name}\n1,{name}x\n")


def test_without_names_a_file_is_a_mix(tmp_path):
    starts, _ = replayed(tmp_path, "".join(f"{at / 100}\n" for at in range(300)))
    assert np.bincount(starts["entry"]).min() > 60


# --- streams of a plan ---

MS = 1_000_000


def program(entries=1, **more):
    return FakeProgram(entries=np.zeros(entries, [("flags", "<u2")]), **more)


def plan_of(*workloads, **more):
    return RunPlan(**{
        "name": "call", "program": program(3), "target_uri": "sip:127.0.0.1:5060",
        "target": ("127.0.0.1", 5060), "local": ("127.0.0.1", 0), "workloads": workloads, **more})


def users(count, **more):
    return Feed("", generated_users(["user"], count), **more)


def handed(plan, step_ns=300 * MS, until_ns=20 * NANOS):
    """Open starts by engine, as the runner deals them out."""
    streams = make_streams(plan)
    for number, stream in enumerate(streams):
        stream.origin_ns = 5 * NANOS + number * NANOS
    dealt = [[] for _ in range(plan.workers)]
    for until in range(0, until_ns, step_ns):
        chunks = [one.take(until) for one in streams if not one.exhausted]
        if chunks:
            starts = merged(chunks)
            for engine, mine in enumerate(dealt):
                mine.append(starts[starts["number"] % plan.workers == engine])
    return [np.concatenate(mine) for mine in dealt], streams


def as_set(starts, origins):
    """What starts say, their times from the origin of their workload."""
    return {(int(one["stream"]), int(one["number"]), int(one["due"]) - origins[one["stream"]],
             int(one["entry"]), int(one["row"]), *map(int, one["others"]), int(one["series"]))
            for one in starts}


def test_streams_are_those_of_the_plan():
    streams = make_streams(plan_of(
        Workload("a", ConstantArrivalRate(10.0, 2 * NANOS, warmup=NANOS)),
        Workload("b", ConstantCalls(5, NANOS)),
        Workload("c", PerUser(3, "1s", duration=NANOS, warmup=NANOS))))
    assert [type(one) for one in streams] == [OpenStream, ClosedStream, ClosedStream]
    assert [list(one.series) for one in streams] == [[0, 1], [2], [3, 4]]
    assert [one.closed for one in streams[1:]] == [0, 1]
    assert [one.wanted for one in streams[1:]] == [5, 3]
    assert [one.origin_ns for one in streams] == [None] * 3


@pytest.mark.parametrize("arrival", ["uniform", "poisson"])
def test_any_number_of_workers_gets_the_same_calls(arrival):
    def plan(workers):
        callees = Feed("callee", generated_users(["callee.user"], 13), parse_pick("random"))
        return plan_of(
            Workload("mix", ConstantArrivalRate(300.0, 6 * NANOS, Arrival(arrival),
                                                warmup=2 * NANOS),
                     ((0, 70.0), (2, 30.0)), (users(50), callees)),
            Workload("other", ConstantArrivalRate(100.0, 3 * NANOS, Arrival(arrival)), ((1, 1.0),),
                     (users(40, pick=parse_pick("zipf(1.1)")),)),
            workers=workers, seed=5)

    one, streams = handed(plan(1))
    three, _ = handed(plan(3), 170 * MS)
    origins = [stream.origin_ns for stream in streams]
    whole = as_set(one[0], origins)
    parts = [as_set(part, origins) for part in three]
    assert whole == set.union(*parts)
    assert sum(map(len, parts)) == len(whole) == len(one[0])
    assert sum(stream.handed for stream in streams) == len(whole)
    assert min(map(len, parts)) > len(whole) / 3 - 3
    for part in (*one, *three):
        assert np.all(np.diff(part["due"]) >= 0)


def test_calls_of_the_warm_up_are_in_its_series():
    (starts,), _ = handed(plan_of(
        Workload("x", ConstantArrivalRate(10.0, NANOS)),
        Workload("y", ConstantArrivalRate(100.0, 3 * NANOS, warmup=2 * NANOS))))
    mine = starts[starts["stream"] == 1]
    after = mine["due"] - 6 * NANOS >= 2 * NANOS
    assert mine["series"].tolist() == (1 + after).tolist()
    assert np.bincount(mine["series"]).tolist() == [0, 200, 300]


def test_shares_of_a_mix():
    (starts,), _ = handed(plan_of(Workload("x", ConstantArrivalRate(1000.0, 10 * NANOS),
                                           ((2, 1.0), (0, 3.0)))))
    count = len(starts)
    assert count == 10_000
    assert abs((starts["entry"] == 2).sum() - count / 4) < 3 * (count * 3 / 16) ** 0.5
    assert not (starts["entry"] == 1).any()


def test_entries_that_own_their_users_leave_the_row_to_the_engine():
    owning = program(2)
    owning.entries["flags"] = [EntryFlag.ENTRY_OWNS_USER, 0]
    (starts,), _ = handed(plan_of(
        Workload("x", ConstantArrivalRate(100.0, NANOS), ((0, 1.0), (1, 1.0)), (users(7),)),
        program=owning))
    own = starts["entry"] == 0
    assert (starts["row"][own] == ENGINES_NEXT).all()
    assert starts["row"][~own].tolist() == (starts["number"][~own] % 7).tolist()


def test_rows_begin_where_the_tables_of_the_run_say():
    (starts,), _ = handed(plan_of(Workload("x", ConstantArrivalRate(10.0, NANOS), feeds=(users(4),),
                                           offsets=(100,))))
    assert starts["row"].tolist() == [100 + n % 4 for n in range(10)]


@pytest.mark.parametrize("step_ns", [10 * MS, 250 * MS, 20 * NANOS])
@pytest.mark.parametrize("rows", [1, 30, 299, 300, 301])
def test_data_that_ends_bounds_the_calls(rows, step_ns):
    plan = plan_of(Workload("x", ConstantArrivalRate(100.0, 3 * NANOS),
                            feeds=(users(rows, exhaust="stop"),)))
    streams = make_streams(plan)
    streams[0].origin_ns = NANOS
    starts = []
    for until in range(0, 21 * NANOS, step_ns):
        if not streams[0].exhausted:
            starts.append(streams[0].take(until))
    starts = np.concatenate(starts)
    assert starts["number"].tolist() == list(range(min(rows, 300)))
    assert streams[0].handed == len(starts)
    assert streams[0].exhausted
    end = 3 * NANOS if rows >= 300 else (rows - 1) * 10 * MS
    assert streams[0].end_ns == NANOS + end
    assert plan.total_calls == min(rows, 300)


def test_merged_starts_are_in_order():
    (starts,), streams = handed(plan_of(
        *(Workload(name, ConstantArrivalRate(rate, 4 * NANOS, Arrival("poisson")))
          for name, rate in (("a", 200.0), ("b", 50.0), ("c", 120.0)))))
    assert np.all(np.diff(starts["due"]) >= 0)
    assert set(starts["stream"].tolist()) == {0, 1, 2}
    for stream in range(3):
        mine = starts["number"][starts["stream"] == stream]
        assert mine.tolist() == list(range(streams[stream].handed))


# --- closed ones ---


class Engines:
    """Engines that take what they are given, and use it up at once."""

    def __init__(self, count):
        self.engines = [FakeEngine(World(), program(3), closed=1) for _ in range(count)]

    def of(self, stream, rounds=3):
        stream.begin(self.engines, 7 * NANOS)
        for _ in range(rounds):
            for engine in self.engines:
                engine.closed[0].waiting.clear()
            stream.supply(self.engines)
        return [np.concatenate(engine.closed[0].given) for engine in self.engines]


@pytest.mark.parametrize("workers", [1, 3, 7])
@pytest.mark.parametrize(("calls", "concurrency"), [(100, 5), (2, 9), (70_000, 2), (10, 3)])
def test_shared_calls_are_shared_by_those_who_hold_some(calls, concurrency, workers):
    engines = Engines(workers)
    plan = plan_of(Workload("x", SharedCalls(calls, concurrency), feeds=(users(9),)),
                   workers=workers)
    given = engines.of(ClosedStream(plan, 0), 6)
    numbers = np.concatenate([one["number"] for one in given])
    assert sorted(numbers.tolist()) == list(range(calls))
    for engine, starts in zip(engines.engines, given, strict=True):
        closed = engine.closed[0]
        assert closed.last
        assert not len(starts) or closed.levels["wanted"].max() > 0
        assert closed.levels["when"].min() == 7 * NANOS
        assert (starts["row"] == starts["number"] % 9).all()
    assert sum(int(engine.closed[0].levels["wanted"].max()) for engine in engines.engines
               ) == min(concurrency, calls)


def test_a_supply_without_end_is_handed_out_by_and_by():
    engines = Engines(2)
    stream = ClosedStream(plan_of(Workload("x", ConstantCalls(4, 3 * NANOS, warmup=NANOS)),
                                  workers=2), 0)
    given = engines.of(stream, 2)
    for engine, starts in enumerate(given):
        assert np.array_equal(starts["number"], engine + 2 * np.arange(len(starts)))
        assert len(starts) == 2 * 3 * SUPPLY
        assert not engines.engines[engine].closed[0].last
        levels = engines.engines[engine].closed[0].levels
        assert [tuple(one)[:3] for one in levels.tolist()] == [
            (7 * NANOS, 2, 0), (8 * NANOS, 2, 1), (11 * NANOS, 0, 1)]
    assert stream.end_ns == 11 * NANOS


@pytest.mark.parametrize(("more", "total"), [({}, 12), ({"duration": 60 * NANOS}, 12)])
def test_users_make_their_iterations_also_beside_a_duration(more, total):
    engines = Engines(2)
    plan = plan_of(Workload("x", PerUser(4, "uniform(1s,2s)", iterations=3, **more)), workers=2)
    given = engines.of(ClosedStream(plan, 0))
    numbers = np.concatenate([one["number"] for one in given])
    assert sorted(numbers.tolist()) == list(range(total))
    rests = np.concatenate([one["due"] for one in given])
    assert NANOS <= rests.min() < rests.max() < 2 * NANOS
    assert all(engine.closed[0].keeps for engine in engines.engines)


def test_places_that_keep_rows_do_not_mix_owners_with_others():
    owning = program(2)
    owning.entries["flags"] = [EntryFlag.ENTRY_OWNS_USER, 0]
    mix = ((0, 1.0), (1, 1.0))
    with pytest.raises(UsageError, match=r"scenarios\.x: .*own"):
        make_streams(plan_of(Workload("x", PerUser(4, duration=NANOS), mix), program=owning))
    make_streams(plan_of(Workload("x", ConstantCalls(4, NANOS), mix), program=owning))
    make_streams(plan_of(Workload("x", PerUser(4, duration=NANOS), ((0, 1.0), (1, 0.0))),
                         program=owning))


# --- think times ---

LAWS = [
    ("uniform(1s,3s)", stats.uniform(1e9, 2e9)), ("exponential(2s)", stats.expon(scale=2e9)),
    ("weibull(2s,1.5)", stats.weibull_min(1.5, scale=2e9)),
    ("pareto(1s,2.5)", stats.pareto(2.5, scale=1e9)),
    ("gamma(500ms,0.3)", stats.gamma(0.3, scale=5e8)),
    ("gamma(1s,2.5)", stats.gamma(2.5, scale=1e9)),
    ("normal(10s,1s)", stats.norm(1e10, 1e9)),
    ("lognormal(200ms,0.4)", stats.lognorm(0.4, scale=2e8 * np.exp(-0.08)))]


@pytest.mark.parametrize(("text", "law"), LAWS)
def test_think_times_follow_their_law(text, law):
    numbers = np.arange(20_000, dtype=np.uint64)
    times = think_times(text, 3, 1, numbers)
    assert stats.kstest(times, law.cdf).pvalue > 0.01
    assert abs(times.mean() - law.mean()) < 3 * law.std() / len(times) ** 0.5


@pytest.mark.parametrize("text", [text for text, _ in LAWS])
def test_think_times_are_a_function_of_the_number(text):
    numbers = np.arange(600, dtype=np.uint64)
    whole = think_times(text, 3, 1, numbers)
    for part in (numbers[::3], numbers[::-1], numbers[17:18], numbers[:0]):
        assert np.array_equal(think_times(text, 3, 1, part), whole[part.astype(int)])
    assert not np.array_equal(think_times(text, 4, 1, numbers), whole)
    assert not np.array_equal(think_times(text, 3, 2, numbers), whole)


def test_think_times_of_samples_and_of_the_ends(tmp_path):
    path = tmp_path / "thinks.txt"
    path.write_text("1s\n2s\n2s\n")
    numbers = np.arange(9000, dtype=np.uint64)
    times = think_times(f"samples({path})", 1, 0, numbers)
    assert set(times.tolist()) == {NANOS, 2 * NANOS}
    assert abs((times == NANOS).sum() - 3000) < 3 * 2000**0.5
    assert think_times("pareto(1s,0.01)", 1, 0, numbers).max() == 2**61
    assert think_times("normal(0s,1s)", 1, 0, numbers).min() == 0


def test_faulty_think_times_are_told_before_the_run():
    with pytest.raises(ModelError, match="samples"):
        make_streams(plan_of(Workload("x", PerUser(2, "samples(/nowhere)", duration=NANOS))))
    with pytest.raises(ModelError, match="no distribution gauss"):
        make_streams(plan_of(Workload("x", PerUser(2, "gauss(1s)", duration=NANOS))))


# --- through the runner ---


def run(the_plan, world, act=None):
    runner = Runner(the_plan, engine_factory=world.engine)
    if act is not None:
        act(runner)
    record = runner.run()
    check_record(record)
    for engine in world.engines:
        engine.check()
        assert not engine.in_progress
    return record, runner


def phase_counts(record):
    return record.last.figures.series_starts[:, 1].tolist()


@pytest.mark.parametrize("workers", [1, 2])
def test_open_and_closed_workloads_in_one_run(workers):
    world = World(latency_s=0.002, hold_s=0.02)
    record, _ = run(plan_of(
        Workload("open", ConstantArrivalRate(200.0, 400 * MS, warmup=100 * MS)),
        Workload("held", ConstantCalls(6, 300 * MS)),
        Workload("shared", SharedCalls(25, 4)), workers=workers), world)
    counts = phase_counts(record)
    assert counts[:2] == [20, 80]
    assert counts[2] > 20
    assert counts[3] == 25
    assert record.last.planned == sum(counts)
    assert sum(engine.closed[0].most for engine in world.engines) == 6
    assert sum(engine.closed[1].most for engine in world.engines) == 4


@pytest.mark.parametrize(("what", "first"), [
    ("done", ConstantArrivalRate(100.0, 200 * MS)), ("ready", ConstantArrivalRate(100.0, 200 * MS)),
    ("done", ConstantCalls(3, 200 * MS)), ("done", SharedCalls(20, 4)),
    ("ready", SharedCalls(9, 3)),
    ("ready", ConstantCalls(3, 600 * MS)), ("done", PerUser(3, "1ms", iterations=4)),
    ("done", PerUser(3, "1ms", iterations=4, duration=400 * MS))])
@pytest.mark.parametrize("second", [ConstantArrivalRate(100.0, 100 * MS),
                                    ConstantCalls(2, 100 * MS)])
@pytest.mark.timeout(60)
def test_a_workload_begins_after_another(monkeypatch, what, first, second):
    # what is handed out already stays before it: so little is
    monkeypatch.setattr("siploadgen.run.runner.LEAD_NS", 50 * MS)
    monkeypatch.setattr("siploadgen.run.runner.TICK_NS", 5 * MS)
    world = World(latency_s=0.005, hold_s=0.01)
    record, runner = run(plan_of(Workload("b", second, start_after=f"a.{what}"),
                                 Workload("a", first)), world)
    after, before = runner.streams
    counts = phase_counts(record)
    assert counts[0] == 10 or not second.open
    assert counts[0] > 0
    if before.workload.total is not None and before.workload.total < 1000:
        assert counts[1] == before.workload.total
    assert after.origin_ns > before.origin_ns
    if what == "done" and first.open:
        assert after.origin_ns >= before.end_ns
    if what == "ready" and isinstance(first, ConstantCalls):
        assert after.origin_ns < before.end_ns


def test_ready_waits_for_what_calls_have_counted():
    """The models count themselves ready: as many as are wanted."""
    ready = program(1, counters=("other", "ready"))
    world = World(hold_s=0.01)
    runner = Runner(plan_of(Workload("a", ConstantCalls(4, 10 * NANOS)),
                            Workload("b", ConstantCalls(1, NANOS), start_after="a.ready"),
                            program=ready), engine_factory=world.engine)
    runner.streams[0].origin_ns = 0
    figures = snapshot(FakeEngine(world, ready, series=2))
    for count, holds in ((0, False), (3, False), (4, True), (5, True)):
        figures.user_counters[1] = count
        engine = FakeEngine(world, ready, closed=2)
        runner._workers = [SimpleNamespace(engine=engine)]
        sample = Sample(0, figures, (figures,))
        runner._clock = lambda: NANOS
        assert runner._reached("a.ready", sample) is holds


def test_rate_and_pause_keep_what_is_planned(monkeypatch):
    monkeypatch.setattr("siploadgen.run.runner.LEAD_NS", 50 * MS)
    monkeypatch.setattr("siploadgen.run.runner.TICK_NS", 5 * MS)
    world = World(hold_s=0.005)
    seen = []

    def act(runner):
        for when_s, action, value in ((0.1, runner.scale, 2.0), (0.2, runner.pause, True),
                                      (0.3, runner.pause, False), (0.4, runner.scale, 0.5)):
            timer = threading.Timer(when_s, action, [value])
            timer.daemon = True
            timer.start()
            seen.append(timer)

    record, runner = run(plan_of(
        Workload("a", ConstantArrivalRate(200.0, 600 * MS)),
        Workload("b", ConstantArrivalRate(100.0, calls=60), feeds=(users(40, exhaust="stop"),)),
        Workload("c", ConstantCalls(4, 700 * MS))), world, act)
    given = np.concatenate(world.engines[0].given)
    counts = record.last.figures.series_starts[:, 0].tolist()
    assert np.bincount(given["stream"]).tolist() == counts[:2]
    assert [one.handed for one in runner.streams[:2]] == counts[:2]
    assert counts[1] == 40
    assert record.last.planned == sum(counts)
    assert np.all(np.diff(given["due"]) >= 0)
    assert {0.0, 2.0, 0.5} <= set(world.engines[0].closed[0].factors)


def test_a_stop_ends_closed_workloads_too():
    world = World(hold_s=0.01)

    def act(runner):
        timer = threading.Timer(0.1, runner.stop)
        timer.daemon = True
        timer.start()

    record, _ = run(plan_of(Workload("a", ConstantCalls(4, 3600 * NANOS)),
                            Workload("b", ConstantCalls(1, NANOS), start_after="a.done")),
                    world, act)
    assert record.interrupted
    counts = phase_counts(record)
    assert counts[0] > 0
    assert counts[1] == 0


# --- bad plans ---


@pytest.mark.parametrize(("after", "message"), [
    (("b.ready", "a.done"), "waits for itself"), (("a.ready", ""), "waits for itself|is not b"),
    (("c.done", ""), r"c\.done is not b\.ready, b\.done"), (("b.gone", ""), r"b\.gone is not"),
    (("b", ""), "b is not")])
def test_orders_that_cannot_be(after, message):
    with pytest.raises(UsageError, match=message):
        plan_of(*(Workload(name, ConstantCalls(1, NANOS), start_after=one)
                  for name, one in zip("ab", after, strict=True)))


def test_names_and_numbers_of_workloads():
    one = Workload("a", ConstantCalls(1, NANOS))
    with pytest.raises(UsageError, match="two are named a"):
        plan_of(one, one)
    with pytest.raises(UsageError, match="from 1 to 64"):
        plan_of()
    with pytest.raises(UsageError, match="phases together"):
        plan_of(*(Workload(f"w{n}", Stairs(1.0, 1.0, 100, 10 * MS)) for n in range(3)))
