"""Two workloads in one run, over real sockets: a mix at a rate, and calls held open."""

from __future__ import annotations

import threading

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.program import Outcome
from siploadgen.load.executors import ConstantArrivalRate, ConstantCalls
from siploadgen.model.builtin import build_answerer
from siploadgen.model.hooks import HookCall
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.run.answer import Answerer, AnswerPlan
from siploadgen.run.observer import Silent
from siploadgen.run.plan import RunPlan, Workload
from siploadgen.run.runner import Runner, check_record
from siploadgen.run.worker import open_socket
from siploadgen.units import NANOS

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(60)]

HELD = 30


@call(name="ping")
def ping(c: Recorder) -> None:
    c.options()
    c.expect(200)
    c.count("pings")


@call(name="talk")
def talk(c: Recorder) -> None:
    c.invite(sdp="g711")
    c.expect(200, optional=(100, 180))
    c.ack()
    c.pause("uniform(20ms,60ms)")
    c.bye()
    c.expect(200)


class Watcher(Silent):
    """Looks at how many calls of the held workload are open."""

    live = True

    def __init__(self) -> None:
        self.open: list[tuple[float, int]] = []

    def tick(self, sample) -> None:
        figures = sample.figures
        self.open.append((sample.elapsed_ns / NANOS, int(
            figures.series_starts[1, 1] - figures.series_outcomes[1].sum())))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mix_and_calls_held_open(workers: int) -> None:
    answerer = Answerer(AnswerPlan(build_answerer()), [open_socket(("127.0.0.1", 0), "--listen")])
    answerer.start()
    address = answerer.addresses[0]
    uri = f"sip:{address[0]}:{address[1]}"
    program = compile_scenarios(*(one.record(target=uri, settings={}) for one in (ping, talk)))
    watcher = Watcher()
    plan = RunPlan("both", program, uri, address, ("127.0.0.1", 0), (
        Workload("mix", ConstantArrivalRate(400.0, 2 * NANOS), ((0, 3.0), (1, 1.0))),
        Workload("held", ConstantCalls(HELD, 2 * NANOS), ((1, 1.0),))), workers=workers, seed=4)
    try:
        record = Runner(plan, observer=watcher, answerer=answerer).run()
    finally:
        answerer.stop()
    check_record(record)
    figures = record.last.figures
    starts, outcomes = figures.series_starts, figures.series_outcomes
    assert starts[0, :2].tolist() == [800, 800]
    assert starts[1, 0] == starts[1, 1] > 5 * HELD
    assert outcomes[:, Outcome.OUTCOME_SUCCEEDED].tolist() == starts[:, 1].tolist()
    # a look may fall between the end of a call and the start of the next
    steady = [count for at, count in watcher.open if 0.2 < at < 1.9]
    assert steady
    assert all(abs(count - HELD) <= 2 * workers for count in steady)
    pings = int(figures.user_counters[program.counters.index("pings")])
    assert abs(pings - 600) < 3 * (800 * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize("workers", [1, 2])
def test_hooks_are_answered_while_the_run_goes_on(workers: int) -> None:
    threads = set()

    def even(asked: HookCall) -> dict[str, int]:
        threads.add(threading.current_thread().name)
        if asked["mine"] == 7:
            raise LookupError("seven is not to be had")
        return {"odd": int(asked["mine"]) % 2}

    @call(name="asks")
    def asks(c: Recorder) -> None:
        c.add("run.calls", 1, into="mine")
        c.hook(even, sets="odd")
        c.options()
        c.expect(200)
        with c.if_(c.v.odd == 1):
            c.count("odd")

    answerer = Answerer(AnswerPlan(build_answerer()), [open_socket(("127.0.0.1", 0), "--listen")])
    answerer.start()
    address = answerer.addresses[0]
    uri = f"sip:{address[0]}:{address[1]}"
    program = compile_scenarios(asks.record(target=uri, settings={}))
    plan = RunPlan("hooks", program, uri, address, ("127.0.0.1", 0), (
        Workload("asks", ConstantArrivalRate(300.0, NANOS), ((0, 1.0),)),), workers=workers)
    try:
        record = Runner(plan, answerer=answerer).run()
    finally:
        answerer.stop()
    check_record(record)
    figures = record.last.figures
    assert figures.series_outcomes.sum() == 300
    assert figures.series_outcomes[0, Outcome.OUTCOME_SUCCEEDED] == 299
    assert int(figures.user_counters[0]) == 149  # the seventh failed
    assert len(record.hook_failures) == 1
    assert "LookupError: seven" in record.hook_failures[0]
    assert threads == {"hooks"}


def test_a_call_does_not_wait_for_ever_for_its_hook() -> None:
    release = threading.Event()

    @call(name="waits")
    def waits(c: Recorder) -> None:
        c.hook(lambda _: release.wait(30) and None, within="50ms", end="slow")
        c.options()
        c.expect(200)

    answerer = Answerer(AnswerPlan(build_answerer()), [open_socket(("127.0.0.1", 0), "--listen")])
    answerer.start()
    address = answerer.addresses[0]
    uri = f"sip:{address[0]}:{address[1]}"
    program = compile_scenarios(waits.record(target=uri, settings={}))

    class Releases(Silent):
        live = True

        def tick(self, sample) -> None:
            if sample.figures.series_outcomes.sum():
                release.set()

    plan = RunPlan("hooks", program, uri, address, ("127.0.0.1", 0), (
        Workload("waits", ConstantArrivalRate(10.0, NANOS // 10), ((0, 1.0),)),))
    try:
        record = Runner(plan, observer=Releases(), answerer=answerer).run()
    finally:
        release.set()
        answerer.stop()
    assert record.last.figures.series_outcomes[0, Outcome.OUTCOME_USER] == 1
    assert not record.hook_failures


def test_a_hook_that_does_not_come_back_does_not_hold_the_run() -> None:
    release = threading.Event()

    @call(name="stays")
    def stays(c: Recorder) -> None:
        c.hook(lambda _: release.wait(60) and None, within="50ms", end="slow")

    answerer = Answerer(AnswerPlan(build_answerer()), [open_socket(("127.0.0.1", 0), "--listen")])
    answerer.start()
    address = answerer.addresses[0]
    uri = f"sip:{address[0]}:{address[1]}"
    program = compile_scenarios(stays.record(target=uri, settings={}))
    plan = RunPlan("hooks", program, uri, address, ("127.0.0.1", 0), (
        Workload("stays", ConstantArrivalRate(20.0, NANOS // 10), ((0, 1.0),)),))
    try:
        record = Runner(plan, answerer=answerer).run()
    finally:
        release.set()
        answerer.stop()
    assert record.last.figures.series_outcomes[0, Outcome.OUTCOME_USER] == 2
    assert "has not come back" in record.hook_failures[0]
