"""Values of a running program: variables, distributions, comparisons, extracts, counters."""

from __future__ import annotations

import numpy as np
import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import Engine
from siploadgen.model.python import Recorder, call
from tests.engine.drive import LOCAL, PEER, SIZES, TARGET, Bench, only, reply, scenario


def answered(what: str, *headers: str) -> int:
    """The number that a program reads out of a 200, counted by it."""
    def model(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.extract("n", what)
        c.label("again")
        with c.if_(c.v.n > 0):
            c.add("n", -1)
            c.count("units")
            c.jump("again")

    bench = scenario(model)
    bench.feed(reply(bench.start(), 200, headers=headers))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    return int(bench.engine.user_counters[0])


@pytest.mark.parametrize(("what", "header", "value"), [
    ("status", "X: y", 200), ("retry_after", "Retry-After: 18 (busy);duration=3", 18),
    ("min_expires", "Min-Expires: 7", 7), ("expires", "Expires: 9", 9),
    ("retry_after", "X: y", 0)])
def test_extracts(what: str, header: str, value: int) -> None:
    assert answered(what, header) == value


@pytest.mark.parametrize("value", [-1, 3, 4, 5])
def test_comparisons(value: int) -> None:
    def model(c: Recorder) -> None:
        c.set("n", value)
        for number, condition in enumerate((c.v.n == 4, c.v.n != 4, c.v.n < 4, c.v.n <= 4,
                                            c.v.n > 4, c.v.n >= 4)):
            with c.if_(condition):
                c.count(f"holds{number}")
            with c.else_():
                c.count(f"fails{number}")

    program = compile_scenarios(call(name="test")(model).record(target=TARGET, settings={}))
    bench = Bench(Engine(program, local=LOCAL, target=PEER, run_id=1, **SIZES))
    bench.engine.schedule(np.zeros(1, dtype=np.int64))
    bench.run(0)
    bench.drain()
    held = {program.counters[i] for i, n in enumerate(bench.engine.user_counters) if n}
    truth = (value == 4, value != 4, value < 4, value <= 4, value > 4, value >= 4)
    assert held == {f"{'holds' if one else 'fails'}{i}" for i, one in enumerate(truth)}


@pytest.mark.parametrize(("pause", "low", "high"), [
    ("uniform(1s,2s)", 1.0, 2.0), ("normal(2s,1ms)", 1.9, 2.1), ("lognormal(1s,0.01)", 0.0, 60.0),
    ("exponential(1s)", 0.0, 60.0), ("1500ms", 1.5, 1.5)])
def test_pauses_by_distribution(pause: str, low: float, high: float) -> None:
    def model(c: Recorder) -> None:
        c.pause(pause)
        c.options()
        c.expect(200)

    bench = scenario(model)
    bench.engine.schedule(np.zeros(1, dtype=np.int64))
    asked = only(bench.run(100_000_000_000)[:1])
    assert low <= asked.at / 1e9 <= high
    bench.feed(reply(asked, 200))
    bench.drain()
