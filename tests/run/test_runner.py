"""The life of a run against simulated engines: feeding, sampling, ends of every kind."""

import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from siploadgen.errors import InternalError, UsageError
from siploadgen.figures import snapshot
from siploadgen.load.arrivals import Arrival, constant, due_times
from siploadgen.load.executors import ConstantArrivalRate
from siploadgen.load.rows import generated_users
from siploadgen.run.answer import Answerer, AnswerPlan
from siploadgen.run.observer import Silent
from siploadgen.run.plan import RunPlan, Tuning, Workload, choose_workers
from siploadgen.run.runner import (
    FIRST_LEAD_NS,
    LEAD_NS,
    START_DELAY_NS,
    Runner,
    check_record,
)
from siploadgen.run.worker import local_address, open_socket
from siploadgen.units import NANOS
from tests.run.fake_engine import Counter, FakeProgram, Outcome, World, due_alone

MS = 1_000_000


def plan(rate=200.0, duration_ns=300 * MS, arrival=None, calls=None, feeds=(), **more):
    executor = ConstantArrivalRate(rate, duration_ns, arrival or Arrival(), calls=calls)
    return RunPlan(**{
        "name": "call", "program": FakeProgram(), "target_uri": "sip:127.0.0.1:5060",
        "target": ("127.0.0.1", 5060), "local": ("127.0.0.1", 0),
        "workloads": (Workload("call", executor, feeds=feeds),), **more})


class Book(Silent):
    live = True

    def __init__(self):
        self.ticks, self.kept, self.traced = [], [], []

    def tick(self, sample):
        self.ticks.append(sample)

    def interval(self, sample):
        self.kept.append(sample)

    def failures(self, failures):
        self.traced += failures


def run(the_plan, world, **more):
    book = Book()
    record = Runner(the_plan, observer=book, engine_factory=world.engine, **more).run()
    for engine in world.engines:
        engine.check()
        assert not engine.in_progress
    return record, book


@pytest.mark.parametrize("workers", [1, 3])
def test_every_planned_call_is_started(workers):
    world = World()
    record, book = run(plan(workers=workers, calls=40, duration_ns=None), world)
    check_record(record)
    figures = record.last.figures
    assert figures.counters[Counter.COUNT_DUE] == 40
    assert figures.counters[Counter.COUNT_STARTED] == 40
    assert figures.outcomes[Outcome.OUTCOME_SUCCEEDED] == 40
    assert figures.imbalance() is None
    assert record.last.planned == 40
    assert len(record.last.engines) == workers == len(set(record.local))
    assert not record.interrupted
    assert book.kept[-1].state == "ended"
    elapsed = [sample.elapsed_ns for sample in book.ticks]
    assert elapsed == sorted(elapsed)


@pytest.mark.timeout(30)
def test_an_engine_that_is_done_ends_the_run_at_once(monkeypatch):
    for name in ("TICK_NS", "INTERVAL_NS"):
        monkeypatch.setattr(f"siploadgen.run.runner.{name}", 3600 * NANOS)
    world = World(latency_s=0.05)
    record, _ = run(plan(calls=1, duration_ns=None, graceful_stop_ns=3600 * NANOS), world)
    assert record.last.figures.outcomes[Outcome.OUTCOME_SUCCEEDED] == 1


def test_a_load_is_as_long_as_planned_though_its_last_call_ends_before():
    record, _ = run(plan(rate=4.0, duration_ns=500 * MS), World())
    assert record.last.figures.counters[Counter.COUNT_DUE] == 2
    assert record.load_ns == 500 * MS


def test_engines_get_the_seeded_schedule(monkeypatch):
    monkeypatch.setattr("siploadgen.run.runner.LEAD_NS", 1000 * MS)
    world = World()
    seen = []
    original = World.engine

    def factory(program, **arguments):
        engine = original(world, program, **arguments)
        schedule = engine.schedule
        engine.schedule = lambda starts, last: (seen.append((engine, starts["due"].copy())),
                                                schedule(starts, last))[-1]
        return engine

    the_plan = plan(workers=2, arrival=Arrival("poisson"), seed=9, duration_ns=2000 * MS)
    Runner(the_plan, engine_factory=factory).run()
    whole = due_times(constant(200.0, 2000 * MS), Arrival("poisson"), 9)
    firsts = [np.concatenate([due for e, due in seen if e is engine]) for engine in world.engines]
    origin = firsts[0][0] - whole[0]
    for number, due in enumerate(firsts):
        assert np.array_equal(due - origin, whole[number::2])
    assert len([1 for engine, _ in seen if engine is world.engines[0]]) > 1, "fed in chunks"


def test_columns_and_shares_of_the_engines():
    the_plan = plan(workers=3, max_calls=7, rows=(generated_users(["user"], 5),), run_id=77,
                    program=FakeProgram(columns=("user",)))
    arguments = [the_plan.engine_arguments(i, 5000 + i) for i in range(3)]
    assert [a["max_calls"] for a in arguments] == [3, 2, 2]
    assert [a["first_row"] for a in arguments] == [0, 1, 2]
    assert {a["row_stride"] for a in arguments} == {3}
    assert [a["local"] for a in arguments] == [("127.0.0.1", 5000 + i) for i in range(3)]
    assert len({a["seed"] for a in arguments}) == 3
    assert all(a["run_id"] == 77 for a in arguments)


@pytest.mark.parametrize(("more", "instances", "transactions"), [
    ({}, 10, 120),  # 60 calls: 10 of them open at once (200/s for 50 ms), two transactions each
    ({"max_calls": 3}, 3, 120),
    ({"program": FakeProgram(pauses_ns=100 * MS)}, 30, 120),
    ({"workers": 2}, 5, 60),
    ({"tuning": Tuning(linger_ns=0)}, 10, 10),
    # finished ones stay for 64 T1 and for T4
    ({"duration_ns": 3600_000 * MS}, 10, 7410),
    ({"rate": 1e6, "duration_ns": 3600_000 * MS}, 50_000, 4_194_304),
])
def test_records_made_ready(more, instances, transactions, monkeypatch):
    monkeypatch.setattr("siploadgen.run.plan.free_memory", lambda: 8e9)
    arguments = plan(**more).engine_arguments(0, 5000)
    assert arguments["ready_instances"] == instances
    assert arguments["ready_transactions"] == transactions


class Sampled(Silent):
    """Looks at the thread that it is called in."""

    live = True

    def __init__(self):
        self.seen = set()

    def tick(self, sample):
        if sample.state != "ended":
            me = threading.get_native_id()
            self.seen.add((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, me)))


def test_the_sampling_thread_gives_way_and_keeps_a_share():
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    watcher = Sampled()
    Runner(plan(), engine_factory=World().engine, observer=watcher).run()
    assert watcher.seen == {(os.SCHED_BATCH, min(before + 10, 19))}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_run_is_given_up_when_its_caller_is(monkeypatch):
    runner = Runner(plan(duration_ns=3600_000 * MS), engine_factory=World().engine)
    real = threading.Thread.join

    def join(thread, timeout=None):
        if thread.name == "samples" and not runner._stops:
            raise KeyboardInterrupt
        real(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert not [one for one in threading.enumerate() if one.name.startswith(("samples", "call-"))]


def test_engines_are_no_idlers():
    policies = []
    world = World()
    original = world.engine

    def factory(program, **arguments):
        engine = original(program, **arguments)
        run_it = engine.run
        engine.run = lambda *given: (policies.append(os.sched_getscheduler(0)),
                                     run_it(*given))[-1]
        return engine

    Runner(plan(workers=2), engine_factory=factory).run()
    assert policies == [os.SCHED_OTHER] * 2


def test_a_policy_that_may_not_be_chosen_is_done_without(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    record, _ = run(plan(), World())
    assert record.last.figures.outcomes[Outcome.OUTCOME_SUCCEEDED] == 60


def test_what_is_made_ready_leaves_most_of_the_memory_free(monkeypatch):
    the_plan = plan(rate=1e6, duration_ns=3600_000 * MS, workers=2)
    monkeypatch.setattr("siploadgen.run.plan.free_memory", lambda: 4e8)
    ready = the_plan.engine_arguments(0, 5000)
    octets = 2 * (ready["ready_instances"] * 1024 + ready["ready_transactions"] * 160)
    assert 0.99e8 < octets < 1.01e8


def test_a_bound_on_open_calls_is_counted():
    world = World(hold_s=10)
    record, _ = run(plan(max_calls=5, graceful_stop_ns=0), world)
    counters = record.last.figures.counters
    assert counters[Counter.COUNT_STARTED] == 5
    assert counters[Counter.COUNT_NOT_STARTED_NO_SLOT] == 55


def test_open_calls_are_hung_up_after_the_graceful_stop():
    world = World(hold_s=60)
    record, book = run(plan(graceful_stop_ns=100 * MS), world)
    assert record.last.figures.outcomes[Outcome.OUTCOME_SUCCEEDED] == 60
    assert "draining" in {sample.state for sample in book.ticks}
    assert not record.interrupted


def test_calls_that_do_not_hang_up_are_aborted(monkeypatch):
    monkeypatch.setattr("siploadgen.run.runner.HANG_UP_NS", 100 * MS)
    world = World(hold_s=60, deaf_to_hang_up=True)
    record, book = run(plan(graceful_stop_ns=50 * MS), world)
    assert record.last.figures.outcomes[Outcome.OUTCOME_ABORTED] == 60
    assert record.last.figures.in_progress == 0
    assert book.traced


@pytest.mark.parametrize("stops", [1, 2])
def test_stops_from_outside(stops):
    world = World(hold_s=60, deaf_to_hang_up=stops == 2)
    runner = Runner(plan(duration_ns=60 * NANOS), engine_factory=world.engine)

    for stop in range(stops):
        threading.Timer(0.3 + 0.2 * stop, runner.stop).start()
    record = runner.run()
    check_record(record)
    assert record.interrupted
    outcome = Outcome.OUTCOME_SUCCEEDED if stops == 1 else Outcome.OUTCOME_ABORTED
    figures = record.last.figures
    assert figures.outcomes[outcome] == figures.counters[Counter.COUNT_STARTED] > 10
    assert figures.counters[Counter.COUNT_NOT_STARTED_STOPPED] > 0
    assert figures.imbalance() is None


class Strict(Book):
    """Calls the run off at its second sample."""

    def interval(self, sample):
        super().interval(sample)
        return len(self.kept) >= 2


@pytest.mark.timeout(30)
@pytest.mark.parametrize("deaf", [False, True])
def test_an_observer_calls_a_run_off(monkeypatch, deaf):
    monkeypatch.setattr("siploadgen.run.runner.INTERVAL_NS", 50 * MS)
    world = World(hold_s=3600, deaf_to_hang_up=deaf)
    book = Strict()
    runner = Runner(plan(duration_ns=3600 * NANOS, graceful_stop_ns=0 if deaf else 3600 * NANOS),
                    observer=book, engine_factory=world.engine)
    record = runner.run()
    check_record(record)
    assert not record.interrupted
    assert record.load_ns < 3600 * NANOS
    counters = record.last.figures.counters
    assert counters[Counter.COUNT_NOT_STARTED_STOPPED] > 0
    outcome = Outcome.OUTCOME_ABORTED if deaf else Outcome.OUTCOME_SUCCEEDED
    assert record.last.figures.outcomes[outcome] == counters[Counter.COUNT_STARTED]


def test_cooked_books_are_found():
    record, _ = run(plan(), World(cooked_books=True))
    with pytest.raises(InternalError, match="do not add up: engine 0: due"):
        check_record(record)


def test_a_crash_of_an_engine_is_an_internal_error():
    with pytest.raises(InternalError, match="fell over"):
        Runner(plan(), engine_factory=World(crash=True).engine).run()


def test_rate_and_pause_by_hand():
    world = World()
    runner = Runner(plan(rate=100.0, duration_ns=None, calls=300), engine_factory=world.engine)

    for when_s, action, value in ((0.2, runner.scale, 10), (1.2, runner.pause, True),
                                  (1.8, runner.pause, False)):
        threading.Timer(when_s, action, [value]).start()
    record = runner.run()
    assert record.last.figures.counters[Counter.COUNT_STARTED] == 300


def test_due_times_move_on_by_a_pause():
    now, handed = [0], []
    engine = SimpleNamespace(schedule=lambda starts, last: handed.append(starts["due"]))
    runner = Runner(plan(rate=100.0, duration_ns=60 * NANOS), clock=lambda: now[0])
    runner._workers = [SimpleNamespace(engine=engine)]
    runner.streams[0].origin_ns = 0
    runner._feed()
    before = len(handed)
    runner.pause(True)
    while now[0] < 5 * NANOS:
        now[0] += 249 * MS
        runner._hold_back()
        runner._feed()
    assert len(handed) == before
    runner.pause(False)
    now[0] += 249 * MS
    runner._hold_back()
    runner._feed()
    assert now[0] <= handed[before][0] < now[0] + 100 * MS
    assert np.all(np.diff(np.concatenate(handed)) > 0)


def test_starts_are_handed_out_faster_than_they_fall_due():
    """Writing the first seconds takes longer than the engines wait for the first call."""
    now, handed = [0], []

    def schedule(starts, last):
        now[0] += 4000 * len(starts)            # as much as a 100,000th of a second has room for
        handed.append((now[0], starts["due"]))

    runner = Runner(plan(rate=100_000.0, duration_ns=60 * NANOS), clock=lambda: now[0])
    runner._workers = [SimpleNamespace(engine=SimpleNamespace(schedule=schedule))]
    runner._fed_ns = runner.streams[0].origin_ns = START_DELAY_NS
    runner._feed(FIRST_LEAD_NS)
    ready = now[0] - START_DELAY_NS             # the engines begin
    assert ready < 0.5 * FIRST_LEAD_NS
    runner._feed()
    assert all(when <= due[0] + max(ready, 0) for when, due in handed)
    assert now[0] + 2 * NANOS < handed[-1][1][-1]
    assert np.array_equal(np.concatenate([due for _, due in handed]) - START_DELAY_NS,
                          np.arange(0, handed[-1][1][-1] - START_DELAY_NS + 1, 10_000))


def test_a_feeder_that_comes_late_does_not_hide_it():
    now, handed = [0], []
    engine = SimpleNamespace(schedule=lambda starts, last: handed.append(starts["due"]))
    runner = Runner(plan(rate=100.0, duration_ns=60 * NANOS), clock=lambda: now[0])
    runner._workers = [SimpleNamespace(engine=engine)]
    runner.streams[0].origin_ns = 0
    runner._feed()
    now[0] = 5 * NANOS
    runner._hold_back()
    runner._feed()
    assert np.array_equal(np.concatenate(handed),
                          np.arange(0, 5 * NANOS + LEAD_NS, 10 * MS))


def test_snapshots_are_copies():
    engine = World().engine(FakeProgram())
    engine.schedule(due_alone([0, 10]))
    before = snapshot(engine)
    engine.advance(100)
    after = snapshot(engine)
    assert before.counters[Counter.COUNT_DUE] == 0
    assert (after - before).counters[Counter.COUNT_DUE] == 2
    assert (before + after).in_progress == 2


def test_an_answerer_starts_and_stops():
    world = World()
    sockets = [open_socket(("127.0.0.1", 0), "--listen") for _ in range(2)]
    answerer = Answerer(AnswerPlan(FakeProgram(), rate_limit=10), sockets, world.engine)
    answerer.start()
    assert len(set(answerer.addresses)) == 2
    answerer.stop()
    assert answerer.figures().imbalance() is None
    assert [e.arguments["rate_limit"] for e in world.engines] == [5.0, 5.0]
    assert not any(worker.is_alive() for worker in answerer.workers)


TUNED = Tuning(linger_ns=7, gso_group=8, coalesce_ns=5 * MS, t1_ns=50 * MS, t2_ns=NANOS, t4_ns=0)
TUNED_ARGUMENTS = {"linger": 7, "gso_group": 8, "coalesce": 5_000_000, "t1": 50_000_000,
                   "t2": 1_000_000_000, "t4": 0}


def test_both_sides_are_tuned():
    world = World()
    record, _ = run(plan(tuning=TUNED, calls=3, duration_ns=None, workers=2), world)
    Answerer(AnswerPlan(FakeProgram(), tuning=TUNED), [open_socket(("127.0.0.1", 0))],
             world.engine)
    assert len(world.engines) == 3
    for engine in world.engines:
        assert {name: engine.arguments[name] for name in TUNED_ARGUMENTS} == TUNED_ARGUMENTS
    assert [facts["gso_group"] for facts in record.sockets] == [8, 8]
    untuned, _ = run(plan(tuning=Tuning(gso=False), calls=3, duration_ns=None), World())
    assert (untuned.sockets[0]["gso"], untuned.sockets[0]["gso_group"]) == (False, 1)


def test_the_engine_takes_what_a_tuning_gives():
    from siploadgen.core.engine import Engine
    from siploadgen.model.builtin import build_answerer

    # The real door knows every argument by name.
    Engine(build_answerer(), local=("127.0.0.1", 5060), max_instances=64, max_transactions=64,
           **TUNED.engine_arguments())
    assert Tuning().engine_arguments() == {
        "linger": -1, "gso_group": 32, "coalesce": 0, "t1": 500_000_000, "t2": 4_000_000_000,
        "t4": 5_000_000_000, "tape": 0}


def test_what_a_tuning_reports():
    assert TUNED.report() == {"linger_s": 7e-9, "coalesce_s": 0.005,
                              "timers": {"t1_s": 0.05, "t2_s": 1.0, "t4_s": 0.0}}
    assert Tuning().report()["linger_s"] is None
    assert Tuning(linger_ns=0).report()["linger_s"] == 0


@pytest.mark.parametrize(("change", "message"), [
    ({"gso_group": 0}, "--gso-group 0: from 1 to 64"), ({"gso_group": 65}, "--gso-group 65"),
    ({"coalesce_ns": 101 * MS}, "--coalesce 101 ms: from 0 to 100 ms"),
    ({"coalesce_ns": -1}, "--coalesce"), ({"t1_ns": 0}, "--t1 0 ns: from 1 ms to 1h00m00s"),
    ({"t1_ns": 3601 * NANOS}, "--t1"), ({"t2_ns": 3601 * NANOS}, "--t2"),
    ({"t4_ns": 3601 * NANOS}, "--t4"), ({"t4_ns": -1}, "--t4"),
    ({"t1_ns": 5 * NANOS}, r"--t2 4 s: shorter than --t1 \(5 s\)"),
])
def test_bad_tunings(change, message):
    with pytest.raises(UsageError, match=message):
        Tuning(**change)


@pytest.mark.parametrize(("asked", "peak", "cores", "embedded", "count"), [
    ("auto", 100, 8, False, 1), ("auto", 10_001, 8, False, 2), ("auto", 1e6, 8, False, 8),
    ("auto", 1e6, 8, True, 7), ("auto", 1e6, 1, True, 1), ("4", 1, 2, False, 4), (3, 1, 2, True, 3),
])
def test_workers(asked, peak, cores, embedded, count):
    assert choose_workers(asked, peak, cores, embedded) == count


def test_a_peak_rate_that_nobody_knows_takes_every_core():
    assert choose_workers("auto", float("inf"), 4, False) == 4


@pytest.mark.parametrize("asked", ["0", "-1", "65", "many", ""])
def test_bad_workers(asked):
    with pytest.raises(UsageError, match="--workers"):
        choose_workers(asked, 1, 1, False)


@pytest.mark.parametrize(("change", "message"), [
    ({"calls": 0}, "calls"), ({"duration_ns": None}, "duration"), ({"workers": 0}, "--workers"),
    ({"max_calls": 1, "workers": 2}, "--max-calls"), ({"local": ("127.0.0.1", 65535),
     "workers": 2}, "--local"), ({"program": FakeProgram(columns=("user",))}, "--users"),
    ({"program": FakeProgram(columns=("user",)), "rows": (generated_users(["a"], 1),)}, "users"),
])
def test_bad_plans(change, message):
    with pytest.raises(UsageError, match=message):
        plan(**change)


def test_sockets():
    with open_socket(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=rf"--local 127\.0\.0\.1:{port}: Address already"):
            open_socket(("127.0.0.1", port))
    with pytest.raises(UsageError, match=r"--listen 203\.0\.113\.1:0"):
        open_socket(("203.0.113.1", 0), "--listen")
    assert local_address(("127.0.0.1", 5060)) == "127.0.0.1"
