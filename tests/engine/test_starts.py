"""What a start says about its call: entry, rows of several feeds, series, and what it draws."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Any

import numpy as np
import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core.engine import HIST_CLOCKS, START_DTYPE, Engine
from siploadgen.load.rows import rows_from_columns
from siploadgen.model.python import answer, call
from siploadgen.model.recorder import Recorder
from siploadgen.model.values import (
    Distribution,
    exponential,
    gamma,
    lognormal,
    pareto,
    uniform,
    weibull,
)
from tests.engine.drive import (
    LOCAL,
    MS,
    NEVER,
    PEER,
    SECOND,
    SIZES,
    TARGET,
    Bench,
    Sent,
    ask,
    names,
    only,
    reply,
    within,
)

NEXT_ROW = 2**32 - 1
USERS = rows_from_columns(("user", "password"), [[f"u{n}" for n in range(5)], ["secret"] * 5])
CALLEES = rows_from_columns(("callee.user", "callee.dept"),
                            [[f"callee{n}" for n in range(7)], [f"d{n}" for n in range(7)]])
ROUTES = rows_from_columns(("routes.prefix",), [[f"+{n}" for n in range(3)]])
FEEDS = (USERS, CALLEES, ROUTES)


@cache
def program() -> Program:
    """Three entries: OPTIONS, MESSAGE and a call, each with columns of three feeds."""
    words = {"X-Who": "{user} {callee.user} {routes.prefix}"}

    @call(name="options", columns="user")
    def options(c: Recorder) -> None:
        c.options(headers=words, start="answer")
        c.expect(200, stop="answer")

    @call(name="message", columns="user")
    def message(c: Recorder) -> None:
        c.send("MESSAGE", "sip:{callee.user}@192.0.2.20", body="to {callee.dept}", headers=words)
        c.expect(200).ends(486, end="busy")

    @call(name="invite", columns="user")
    def invite(c: Recorder) -> None:
        c.invite("sip:{routes.prefix}{callee.user}@192.0.2.20", sdp="g711", headers=words)
        c.expect(200, optional=(100, 180)).ends(486, end="busy")
        c.ack(headers=words)

    return compile_scenarios(*(one.record(target=TARGET, settings={})
                               for one in (options, message, invite)))


def bench_of(**options: Any) -> Bench:
    return Bench(Engine(program(), local=LOCAL, target=PEER,
                        **{"run_id": 0xA0A0A0A0, "rows": FEEDS, **SIZES, **options}))


def start(due: int = 0, *, number: int = 0, row: int = NEXT_ROW, others: tuple[int, ...] = (0, 0),
          entry: int = 0, series: int = 0, stream: int = 0) -> Any:
    starts = np.zeros(1, START_DTYPE)
    starts["due"], starts["number"], starts["row"], starts["entry"] = due, number, row, entry
    starts["series"], starts["stream"] = series, stream
    starts["others"][0, :len(others)] = others
    return starts


def play(bench: Bench, *starts: Any) -> list[Sent]:
    bench.engine.schedule(np.concatenate(starts), last=False)
    return bench.run(bench.now)


# --- entry and rows ---


def test_the_start_chooses_the_entry() -> None:
    bench = bench_of()
    sent = play(bench, *(start(entry=entry) for entry in (2, 0, 1, 0)))
    assert names(sent) == ["INVITE", "OPTIONS", "MESSAGE", "OPTIONS"]


def test_columns_of_several_feeds_in_one_message() -> None:
    bench = bench_of()
    one, two = play(bench, start(row=3, others=(6, 2), entry=1), start(row=0, others=(0, 1)))
    assert one.header("X-Who") == "u3 callee6 +2"
    assert one.uri == "sip:callee6@192.0.2.20"
    assert one.data.endswith(b"to d6")
    assert two.header("X-Who") == "u0 callee0 +1"


def test_rows_that_no_start_names_are_the_engines() -> None:
    bench = bench_of(first_row=1, row_stride=3)
    sent = play(bench, *(start(others=(n % 7, 0)) for n in range(4)), start(row=0))
    assert [one.header("X-Who").split()[0] for one in sent] == ["u1", "u4", "u1", "u4", "u0"]


def test_what_is_sent_again_has_the_same_columns() -> None:
    bench = bench_of()
    sent = play(bench, start(row=4, others=(5, 2), entry=2), start(row=0, others=(1, 1), entry=2),
                start(row=2, others=(3, 0), entry=1))
    assert [one.header("X-Who") for one in sent] == [
        "u4 callee5 +2", "u0 callee1 +1", "u2 callee3 +0"]
    copies = bench.wait(10 * SECOND)
    assert len(copies) == 4 + 4 + 4
    assert {one.data for one in copies} == {one.data for one in sent}
    for invite in sent[:2]:
        ack = only(bench.feed(reply(invite, 200)))
        assert ack.header("X-Who") == invite.header("X-Who")


def test_an_ack_of_a_refusal_goes_to_the_callee_again() -> None:
    bench = bench_of(max_instances=1)
    invite = only(play(bench, start(row=4, others=(5, 2), entry=2)))
    assert invite.uri == "sip:+2callee5@192.0.2.20"
    busy = reply(invite, 486)
    ack = only(bench.feed(busy))
    assert (ack.name, ack.uri) == ("ACK", invite.uri)
    assert bench.engine.in_progress == 0
    bench.engine.schedule(start(bench.now, row=0, others=(1, 1)), last=False)
    bench.run(bench.now)
    assert [one.data for one in bench.feed(busy)] == [ack.data]


def test_a_cancel_of_a_call_that_hangs_up() -> None:
    bench = bench_of()
    invite = only(play(bench, start(row=1, others=(3, 1), entry=2)))
    bench.feed(reply(invite, 180))
    bench.engine.hang_up()
    cancel = only(bench.run(bench.now))
    assert (cancel.name, cancel.uri) == ("CANCEL", invite.uri)
    bench.feed(reply(cancel, 200))
    ack = only(bench.feed(reply(invite, 487)))
    assert ack.uri == invite.uri


def test_a_row_for_one_call_at_a_time() -> None:
    bench = bench_of(unique=(True, False), bounds=(0, 0), series=2)
    sent = play(bench, start(row=1), start(row=2), start(row=1),
                start(row=1, stream=1, series=1), start(row=1, stream=1, series=1))
    assert [one.header("X-Who")[:2] for one in sent] == ["u1", "u2", "u1", "u1"]
    assert bench.engine.series_starts[:, 4].tolist() == [1, 0]     # no_user
    # the end of a call that only has the same row gives nothing back
    bench.feed(reply(sent[2], 200))
    assert play(bench, start(bench.now, row=1)) == []
    bench.feed(reply(sent[0], 200))
    assert len(play(bench, start(bench.now, row=1))) == 1
    bench.engine.check()


def test_columns_are_looked_for_in_the_feeds_in_order() -> None:
    @call(name="t", columns="user")
    def model(c: Recorder) -> None:
        c.options(headers={"X": "{user}"})
        c.expect(200)

    other = rows_from_columns(("user", "other"), [["wrong"], ["x"]])
    bench = Bench(Engine(compile_scenarios(model.record(target=TARGET, settings={})), local=LOCAL,
                         target=PEER, rows=(USERS, other), **SIZES))
    assert only(play(bench, start(row=2))).header("X") == "u2"


@pytest.mark.parametrize("rows", [None, USERS, (USERS, ROUTES), (USERS,) * 5,
                                  (USERS, CALLEES, rows_from_columns(("routes.prefix",), [[]]))])
def test_feeds_that_do_not_do(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"columns|feeds"):
        bench_of(rows=rows)


# --- series ---


def test_outcomes_and_latencies_go_to_the_series() -> None:
    bench = bench_of(series=3)
    sent = play(bench, start(series=1), start(series=2), start(series=2),
                start(series=1, entry=1), start(series=2, entry=1))
    bench.now += 10 * MS
    for one in sent[:2]:
        bench.feed(reply(one, 200))
    bench.now += 90 * MS
    bench.feed(reply(sent[2], 200))
    bench.feed(reply(sent[3], 486))
    outcomes = bench.engine.series_outcomes
    assert outcomes[:, 0].tolist() == [0, 1, 2]
    assert outcomes.sum(axis=1).tolist() == [0, 2, 2]
    assert bench.engine.series_starts[:, :2].tolist() == [[0, 0], [2, 2], [3, 3]]
    clocks = bench.engine.histograms[HIST_CLOCKS:].reshape(3, 1, 2, -1)
    assert clocks.sum(axis=(1, 3)).tolist() == [[0, 0], [1, 1], [2, 2]]
    # 10 ms and 100 ms, in microseconds with three digits: the two cells are far apart
    assert np.flatnonzero(clocks[1, 0, 0]).size == 1
    assert np.flatnonzero(clocks[2, 0, 0]).size == 2
    bench.engine.check()


def test_answered_calls_have_a_series_of_their_own() -> None:
    @call(name="ask")
    def ask_model(c: Recorder) -> None:
        c.options(start="answer")
        c.expect(200, stop="answer")

    @answer("INVITE", name="take")
    def take(c: Recorder) -> None:
        c.respond(200)
        c.start("talk")
        c.expect("ACK")
        c.expect("BYE", stop="talk")
        c.respond(200)

    both = compile_scenarios(ask_model.record(target=TARGET, settings={}), take.record())
    bench = Bench(Engine(both, local=LOCAL, target=PEER, series=3, answer_series=2, **SIZES))
    bench.feed(reply(only(play(bench, start(series=1))), 200))
    ok = only(bench.feed(ask()))
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    bench.feed(within(ok, "BYE"))
    assert bench.answered == {"succeeded": 1}
    assert bench.engine.series_outcomes.sum(axis=1).tolist() == [0, 1, 0]
    histograms = bench.engine.histograms[HIST_CLOCKS:].reshape(3, 2, 2, -1).sum(axis=(2, 3))
    talk = both.clocks.index("talk")
    assert histograms[:, talk].tolist() == [0, 0, 2]
    assert histograms[:, 1 - talk].tolist() == [0, 2, 0]


def test_a_bound_for_each_stream() -> None:
    bench = bench_of(bounds=(2, 0, 1), series=3)
    play(bench, *(start(stream=stream, series=stream) for stream in (0, 1, 2) for _ in range(4)))
    assert bench.engine.series_starts[:, 1].tolist() == [2, 4, 1]
    assert bench.engine.series_starts[:, 2].tolist() == [2, 0, 3]
    bench.engine.check()


def test_starts_never_reached_are_counted_in_their_series() -> None:
    bench = bench_of(series=2)
    play(bench, start(), start(5 * SECOND, series=1), start(6 * SECOND))
    bench.engine.stop_starts()
    bench.engine.finish()
    assert bench.engine.series_starts[:, [0, 1, 3]].tolist() == [[2, 1, 1], [1, 0, 1]]
    bench.engine.check()


# --- what is refused ---


@pytest.mark.parametrize(("change", "message"), [
    ({"entry": 3}, "an entry, a series or a stream"), ({"series": 2}, "an entry, a series"),
    ({"stream": 1}, "a stream"), ({"row": 5}, "row 5 of 5"), ({"others": (7, 0)}, "row of feed 1"),
    ({"others": (0, 3)}, "row of feed 2"), ({"others": (0, 0, 1)}, "row of feed 3")])
def test_starts_that_name_nothing(change: dict[str, Any], message: str) -> None:
    bench = bench_of(series=2, closed=1)
    good = start()
    for closed in (None, 0):
        with pytest.raises(ValueError, match=message):
            bench.engine.schedule(np.concatenate((good, start(**change))), closed=closed)
    assert bench.engine.next_event() == NEVER
    assert bench.engine.chunks_waiting == 0


def test_starts_out_of_order_are_refused() -> None:
    bench = bench_of()
    with pytest.raises(ValueError, match="sorted"):
        bench.engine.schedule(np.concatenate((start(5), start(4))))


@pytest.mark.parametrize("change", [{"series": 0}, {"series": 257}, {"answer_series": 1},
                                    {"bounds": ()}, {"bounds": (0,) * 65}])
def test_numbers_of_streams_that_do_not_do(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"series|bounds"):
        bench_of(**change)


# --- draws ---


@cache
def drawing() -> Program:
    @call(name="draws")
    def draws(c: Recorder) -> None:
        values: list[Distribution] = [
            uniform("1s", "2s"), exponential("1s"), lognormal("1s", 0.5), weibull("1s", 1.5),
            pareto("10ms", 2.5), gamma("100ms", 0.7)]
        for number, value in enumerate(values):
            c.set(f"n{number}", value)
        c.pause(exponential("300ms"))
        c.options(headers={"X-Drawn": " ".join(f"{{n{n}}}" for n in range(6))})
        c.expect(200)
        c.pause(uniform("0s", "100ms"))
        with c.chance(0.4):
            c.send("MESSAGE", body="{n5}")
            c.expect(200)

    return compile_scenarios(draws.record(target=TARGET, settings={}))


def told(numbers: Any, *, seed: int = 77, stream: int = 2, **options: Any
         ) -> dict[int, list[tuple[int, str]]]:
    """What each call sends: times since it was due, and text without its identifiers."""
    engine = Engine(drawing(), local=LOCAL, target=PEER, run_id=0xA0A0A0A0, bounds=(0, 0, 0),
                    draw_seed=seed, **{"max_instances": 400, "max_transactions": 1600, **options})
    bench = Bench(engine)
    starts = np.zeros(len(numbers), START_DTYPE)
    starts["number"], starts["stream"] = numbers, stream
    # one at a time: its identifiers tell which call it is
    starts["due"] = np.arange(len(numbers)) * 1000 * SECOND
    engine.schedule(starts)
    said: dict[int, list[tuple[int, str]]] = {int(number): [] for number in numbers}
    while (at := engine.next_event()) < NEVER:
        for one in bench.run(at):
            place = one.at // (1000 * SECOND)
            text = re.sub(r"[0-9a-f]{24}|branch=[^\s;]+|tag=[^\s;]+", "-", one.data.decode())
            said[int(numbers[place])].append((one.at % (1000 * SECOND), text))
            bench.feed(reply(one, 200))
    return said


def test_a_call_draws_the_same_in_every_engine() -> None:
    whole = told(np.arange(60))
    parts: dict[int, list[tuple[int, str]]] = {}
    for engine in range(3):
        mine = list(range(engine, 60, 3))
        random.Random(engine).shuffle(mine)
        parts |= told(mine, engine_id=engine, seed=77)
    assert parts == whole
    assert len({str(one) for one in whole.values()}) == 60
    assert {len(one) for one in whole.values()} == {1, 2}


def test_the_engines_own_numbers_do_not_count() -> None:
    assert told([3, 9], seed=5) == told([9, 3], seed=5, drop_share=0.5)
    engines = [told(np.arange(5), seed=8, engine_id=1), told(np.arange(5), seed=8)]
    assert engines[0] == engines[1]


@pytest.mark.parametrize("change", [{"seed": 78}, {"stream": 1}])
def test_another_seed_or_stream_draws_otherwise(change: dict[str, int]) -> None:
    before, after = told(np.arange(10)), told(np.arange(10), **change)
    assert all(before[number] != after[number] for number in range(10))


def test_without_a_seed_of_their_own_draws_follow_the_engines() -> None:
    def engine(**options: Any) -> str:
        bench = Bench(Engine(drawing(), local=LOCAL, target=PEER, **SIZES, **options))
        bench.engine.schedule(np.zeros(1, np.int64))
        return bench.run(100 * SECOND)[0].header("X-Drawn")

    assert engine(seed=4) == engine(seed=9, draw_seed=4) != engine(seed=9)
