"""Closed workloads, series, rows and draws of the schedule, in virtual time."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import LEVEL_DTYPE, START_DTYPE, Engine
from siploadgen.core.rand import Random
from siploadgen.figures import snapshot
from siploadgen.load.rows import generated_users, rows_from_columns
from siploadgen.model.builtin import build_caller
from siploadgen.model.python import call
from tests.engine.drive import LOCAL, MS, PEER, SECOND, SIZES, TARGET, Bench, reply

NEXT = 2**32 - 1
FOREVER = 2**62


@call(name="ask", hold=None)
def ask(c):
    c.options("sip:x@{target.host}", start="rrd")
    c.expect(200, stop="rrd")
    c.pause("uniform(10ms,90ms)")


@call(name="owner", columns="user")
def owner(c):
    c.send("MESSAGE", "sip:{user}@{target.host}", body="from {user}")
    c.expect(200)
    c.pause("20ms")


def engine(models=(ask,), *, rows=None, **options) -> Bench:
    program = compile_scenarios(*(one.record(target=TARGET) for one in models))
    return Bench(Engine(program, local=LOCAL, target=PEER, rows=rows,
                        **{"run_id": 0xA0A0A0A0, **SIZES, **options}))


def starts(count: int, *, first: int = 0, step: int = 1, **fields) -> np.ndarray:
    array = np.zeros(count, START_DTYPE)
    array["number"] = first + step * np.arange(count)
    array["row"] = NEXT
    for name, value in fields.items():
        array[name] = value
    return array


def levels(*rows: tuple[int, int] | tuple[int, int, int]) -> np.ndarray:
    array = np.zeros(len(rows), LEVEL_DTYPE)
    for at, row in zip(array, rows, strict=True):
        at["when"], at["wanted"] = row[:2]
        at["series"] = row[2] if len(row) > 2 else 0
    return array


def play(bench: Bench, until: int, watch) -> None:
    """Answer every request at once; `watch` is called after each step of the engine."""
    while bench.engine.next_event() <= until:
        for sent in bench.run(bench.engine.next_event()):
            if not sent.status:
                bench.feed(reply(sent, 200))
        assert snapshot(bench.engine).imbalance() is None
        watch()
    bench.now = max(bench.now, until)


def test_a_closed_workload_is_never_off_by_a_call() -> None:
    bench = engine(closed=1, series=2)
    plan = [(0, 5), (1 * SECOND, 9, 1), (2 * SECOND, 2, 1), (3 * SECOND, 0, 1)]
    bench.engine.hold(0, levels(*plan))
    bench.engine.schedule(starts(10_000), True, 0)
    bench.engine.schedule(starts(0), True)
    seen = set()

    def watch() -> None:
        wanted = [row[1] for row in plan if row[0] <= bench.now][-1]
        state = bench.engine.closed_state(0)
        assert state["wanted"] == wanted
        assert bench.engine.in_progress == state["busy"]
        if wanted != 2:                         # when it falls, calls end by themselves
            assert abs(bench.engine.in_progress - wanted) <= 1 or wanted == 0
        assert bench.engine.in_progress <= max(row[1] for row in plan)
        seen.add(wanted)

    play(bench, 4 * SECOND, watch)
    assert seen == {5, 9, 2, 0}
    assert bench.engine.done
    counts = bench.engine.series_starts[:, 1]
    assert counts.sum() == bench.engine.series_outcomes.sum() > 100
    assert counts[0]
    assert counts[1]
    bench.drain()


def test_a_supply_ends() -> None:
    bench = engine(closed=1)
    bench.engine.hold(0, levels((0, 4)))
    bench.engine.schedule(starts(50), True, 0)
    bench.engine.schedule(starts(0), True)
    play(bench, 60 * SECOND, lambda: None)
    assert bench.outcomes == {"succeeded": 50}
    assert bench.engine.done


def test_places_keep_their_rows_and_rest() -> None:
    rows = rows_from_columns(["user"], [["anna", "bert", "carl"]])
    bench = engine((owner,), rows=[rows], closed=1)
    bench.engine.hold(0, levels((0, 3)), True)
    supply = starts(300, due=100 * MS)
    supply["row"] = supply["number"] % 3
    bench.engine.schedule(supply, True, 0)
    bench.engine.schedule(starts(0), True)
    play(bench, 2 * SECOND, lambda: None)
    at: dict[str, list[int]] = {}
    for sent in bench.wire:
        at.setdefault(sent.uri.split("@")[0], []).append(sent.at)
        assert sent.data.endswith(b"from " + sent.uri[4:].split("@")[0].encode())
    assert set(at) == {"sip:anna", "sip:bert", "sip:carl"}
    for times in at.values():
        assert len(times) > 10
        assert all(later - earlier == 120 * MS for earlier, later in pairwise(times))


def test_places_keep_their_users_to_themselves() -> None:
    program = build_caller("register", target_uri=TARGET, columns=("user", "password"))
    bench = Bench(Engine(program, local=LOCAL, target=PEER, rows=generated_users(
        program.columns, 4), run_id=1, closed=1, **SIZES))
    bench.engine.hold(0, levels((0, 4)), True)
    bench.engine.schedule(starts(400, due=10 * MS), True, 0)
    bench.engine.schedule(starts(0), True)
    play(bench, SECOND, lambda: None)
    assert not bench.count("not_started_no_user")
    users = {sent.header("To").split(";")[0] for sent in bench.wire if sent.method == "REGISTER"}
    assert len(users) == 4


def test_the_held_calls_are_changed_live() -> None:
    bench = engine(closed=1)
    bench.engine.hold(0, levels((0, 10)))
    bench.engine.schedule(starts(100_000), True, 0)
    for factor, open_calls in ((1.0, 10), (2.0, 20), (0.0, 0), (0.5, 5)):
        bench.engine.scale_closed(0, factor)
        play(bench, bench.now + 200 * MS, lambda: None)
        assert bench.engine.in_progress == open_calls
    bench.engine.stop_starts()
    bench.engine.hang_up()
    play(bench, bench.now + SECOND, lambda: None)
    assert bench.engine.done


def test_bounds_of_streams_are_counted() -> None:
    bench = engine(bounds=[2, 0])
    plan = starts(10)
    plan["stream"] = [0, 1] * 5
    bench.engine.schedule(plan, True)
    bench.run(0)
    assert bench.count("not_started_no_slot") == 3
    assert bench.engine.in_progress == 7


def test_a_row_can_be_for_one_call_at_a_time() -> None:
    rows = rows_from_columns(["user"], [["anna", "bert"]])
    bench = engine((owner,), rows=[rows], unique=[True])
    plan = starts(4)
    plan["row"] = [0, 1, 0, 1]
    plan["due"] = [0, 0, 0, 50 * MS]
    bench.engine.schedule(plan, True)
    play(bench, SECOND, lambda: None)
    assert bench.count("not_started_no_user") == 1
    assert bench.outcomes == {"succeeded": 3}


def test_results_are_kept_by_series() -> None:
    bench = engine(series=3)
    plan = starts(30, due=np.arange(30) * 10 * MS)
    plan["series"] = [0] * 5 + [2] * 25
    bench.engine.schedule(plan, True)
    play(bench, 2 * SECOND, lambda: None)
    assert bench.engine.series_starts[:, 1].tolist() == [5, 0, 25]
    assert bench.engine.series_outcomes.sum(axis=1).tolist() == [5, 0, 25]
    figures = snapshot(bench.engine)
    assert figures.of_series([0]).histograms[2].sum() == 5
    assert figures.of_series([0, 2]).histograms[2].sum() == 30
    assert figures.of_series([2]).imbalance() is None


def test_columns_of_several_tables() -> None:
    @call(name="two", columns="user callee.user")
    def two(c):
        c.send("MESSAGE", "sip:{callee.user}@{target.host}", body="{user} to {callee.user}")
        c.expect(200)

    users = rows_from_columns(["user"], [["anna", "bert"]])
    callees = rows_from_columns(["callee.user"], [["x", "y", "z"]])
    bench = engine((two,), rows=[users, callees])
    plan = starts(2)
    plan["row"] = [1, 0]
    plan["others"][:, 0] = [2, 1]
    bench.engine.schedule(plan, True)
    sent = bench.run(0)
    assert [one.data.rpartition(b"\r\n\r\n")[2] for one in sent] == [b"bert to z", b"anna to y"]
    again = bench.run(500 * MS)                 # repeats are the same
    assert [one.data for one in again] == [one.data for one in sent]


@pytest.mark.parametrize(("field", "value", "message"), [
    ("entry", 1, "entry"), ("series", 1, "series"), ("stream", 1, "stream"), ("row", 5, "row 5"),
    ("others", 1, "feed 1"),
])
def test_starts_that_name_nothing_are_refused(field, value, message) -> None:
    plan = starts(2)
    plan[field] = value
    with pytest.raises(ValueError, match=message):
        engine().engine.schedule(plan, True)


def drawn(engine_id: int, numbers: list[int]) -> dict[int, int]:
    """How long each call paused, by its number."""
    bench = engine(engine_id=engine_id, seed=100 + engine_id, draw_seed=7)
    plan = starts(len(numbers))
    plan["number"] = numbers
    plan["due"] = np.arange(len(numbers)) * SECOND
    bench.engine.schedule(plan, True)
    found = {}
    for place, number in enumerate(numbers):
        bench.run(place * SECOND)
        bench.feed(reply(bench.wire[-1], 200))
        before = bench.now
        while bench.engine.in_progress:
            bench.run(bench.engine.next_event())
        found[number] = bench.now - before
    return found


def test_draws_of_a_call_are_those_of_its_number() -> None:
    whole = drawn(0, list(range(30)))
    parts = {**drawn(1, list(range(0, 30, 3))), **drawn(2, list(range(28, 0, -3))),
             **drawn(3, list(range(2, 30, 3)))}
    assert parts == whole
    assert len(set(whole.values())) > 25


@pytest.mark.parametrize(("kind", "shape", "law"), [
    ("unit", 0, stats.uniform()), ("normal", 0, stats.norm()), ("exponential", 0, stats.expon()),
    ("gamma", 0.3, stats.gamma(0.3)), ("gamma", 1.0, stats.gamma(1.0)),
    ("gamma", 2.5, stats.gamma(2.5)), ("weibull", 0.7, stats.weibull_min(0.7)),
    ("weibull", 1.5, stats.weibull_min(1.5)), ("pareto", 2.5, stats.pareto(2.5)),
])
def test_distributions(kind, shape, law) -> None:
    values = Random(5).draws(kind, shape, 20_000)
    assert stats.kstest(values, law.cdf).pvalue > 0.01


def test_messages_of_a_seed_do_not_depend_on_the_engine() -> None:
    rows = rows_from_columns(["user"], [["anna", "bert", "carl"]])

    def messages(numbers: list[int], engine_id: int) -> list[bytes]:
        bench = engine((owner,), rows=[rows], engine_id=engine_id, draw_seed=3)
        plan = starts(len(numbers))
        plan["number"], plan["row"] = numbers, np.array(numbers) % 3
        bench.engine.schedule(plan, True)
        return [re.sub(rb"a0a0a0a0[0-9a-f]{16}", b"ID", one.data) for one in bench.run(0)]

    whole = messages(list(range(6)), 0)
    assert sorted(whole) == sorted(messages([0, 2, 4], 1) + messages([1, 3, 5], 2))
