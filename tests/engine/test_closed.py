"""Closed workloads: as many calls open as are wanted, places that keep their rows, every end."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import LEVEL_DTYPE, START_DTYPE, Engine
from siploadgen.figures import Figures
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_caller
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from tests.engine.drive import LOCAL, MS, NEVER, PEER, SECOND, SIZES, TARGET, Bench, Sent, reply
from tests.sim.helpers import Trial
from tests.sim.network import Weather, drained

NEXT_ROW = 2**32 - 1
# columns of series_starts
DUE, STARTED, NO_SLOT, STOPPED, NO_USER = range(5)


def supply(count: int, *, first: int = 0, rows: int = 0, rest: int = 0, entry: int = 0,
           stream: int = 0) -> Any:
    """Starts of a closed workload; with `rows` number n has row n modulo rows."""
    starts = np.zeros(count, START_DTYPE)
    starts["number"] = np.arange(first, first + count)
    starts["due"] = rest
    starts["row"] = starts["number"] % rows if rows else NEXT_ROW
    starts["entry"], starts["stream"] = entry, stream
    return starts


def levels(*steps: Sequence[int]) -> Any:
    """(when, wanted) or (when, wanted, series)."""
    return np.array([(*one, *(0,) * (4 - len(one))) for one in steps], LEVEL_DTYPE)


def balanced(engine: Engine) -> None:
    """Both sums hold, over all and for each series."""
    engine.check()
    arrays = {one.name: getattr(engine, one.name, None) for one in fields(Figures)}
    series = len(engine.series_starts)
    # a copy of the histograms at each step would be most of the work
    arrays |= {"histograms": np.zeros((2 + 2 * series, 1), np.int64), "udp": {}}
    figures = Figures(**arrays)  # type: ignore[arg-type]
    assert figures.imbalance() is None
    parts = [figures.of_series([number]) for number in range(series)]
    assert [part.imbalance() for part in parts] == [None] * series
    assert sum(part.in_progress for part in parts) == engine.in_progress


@dataclass
class Peer:
    """Answers each new request after a time of its own; the time goes from event to event."""

    bench: Bench
    length: Callable[[Sent], int | None]  # None: never
    status: int = 200
    waiting: list[tuple[int, int, Sent]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    starts: list[Sent] = field(default_factory=list)
    ends: list[tuple[int, Sent]] = field(default_factory=list)

    def take(self, sent: Sequence[Sent]) -> None:
        for one in sent:
            if one.branch not in self.seen:
                self.seen.add(one.branch)
                self.starts.append(one)
                length = self.length(one)
                if length is not None:
                    heapq.heappush(self.waiting, (one.at + length, len(self.seen), one))

    def run(self, until: int, look: Callable[[], None] | None = None) -> None:
        """Go on to `until`; `look` is called after each feed and each advance."""
        bench = self.bench
        for _ in range(200_000):
            at = bench.engine.next_event()
            answer = self.waiting[0][0] if self.waiting else NEVER
            if min(at, answer) > until:
                bench.now = max(bench.now, until)
                return
            if answer <= at:
                _, _, request = heapq.heappop(self.waiting)
                bench.now = max(bench.now, answer)
                self.ends.append((bench.now, request))
                self.take(bench.feed(reply(request, self.status, headers=["Expires: 3600"])))
            else:
                bench.now = max(bench.now, at)
                bench.engine.advance(bench.now)
                self.take(bench._take())
            balanced(bench.engine)
            if look is not None:
                look()
        raise AssertionError("the engine never rests")


def user_of(request: Sent) -> str:
    return request.header("From").split("@")[0].removeprefix("<sip:")


def closed(model: str = "options", rows: int = 0, **options: Any) -> Bench:
    words = {"remove": "no"} if model == "register" else {}
    program = build_caller(model, target_uri=TARGET, settings=words)
    table = generated_users(("user", "password"), rows) if rows else None
    return Bench(Engine(program, local=LOCAL, target=PEER, rows=table,
                        **{"run_id": 0xA0A0A0A0, "closed": 1, **SIZES, **options}))


def drawn(seed: int, most: int = 400 * MS) -> Callable[[Sent], int]:
    """Lengths of calls, below T1 so that nothing is sent twice."""
    rng = random.Random(seed)
    return lambda _request: rng.randrange(MS, most)


# --- how many are open ---


@pytest.mark.parametrize("seed", range(3))
def test_as_many_calls_are_open_as_are_wanted(seed: int) -> None:
    bench = closed()
    steps = [(0, 7), (2 * SECOND, 20), (4 * SECOND, 3), (6 * SECOND, 11), (8 * SECOND, 0)]
    bench.engine.hold(0, levels(*steps))
    bench.engine.schedule(supply(10_000), last=False, closed=0)
    peer = Peer(bench, drawn(seed))
    before = 0
    most_under = 0

    def look() -> None:
        nonlocal before, most_under
        wanted = max((when, count) for when, count in steps if when <= bench.now)[1]
        have = bench.engine.in_progress
        assert have <= max(wanted, before), "a call started above the level"
        before = have
        if bench.engine.next_event() > bench.now:
            assert have >= wanted
        most_under = max(most_under, wanted - have)

    peer.run(9 * SECOND, look)
    # an answer at the very instant of a level comes before it
    assert most_under <= 17
    assert not bench.engine.in_progress
    assert bench.engine.series_starts[0, STARTED] == len(peer.starts) > 200
    assert bench.engine.histograms[0].sum() == bench.engine.histograms[0][0] == len(peer.starts)
    bench.drain()


@given(st.lists(st.tuples(st.integers(0, 2 * SECOND), st.integers(0, 12)), min_size=1, max_size=6),
       st.integers(0, 2**32))
@settings(max_examples=40)
def test_between_a_feed_and_an_advance_one_call_is_missing(steps: Any, seed: int) -> None:
    bench = closed()
    steps = [(when, count) for when, count in sorted(steps, key=lambda one: one[0])]
    bench.engine.hold(0, levels(*steps))
    bench.engine.schedule(supply(10_000), closed=0)
    peer = Peer(bench, drawn(seed))

    def look() -> None:
        wanted = bench.engine.closed_state(0)["wanted"]
        missing = wanted - bench.engine.in_progress
        assert missing <= 1
        assert missing <= 0 or bench.engine.next_event() == bench.now

    peer.run(3 * SECOND, look)
    assert bench.engine.closed_state(0)["wanted"] == steps[-1][1]


def test_a_supply_that_ends() -> None:
    bench = closed()
    bench.engine.hold(0, levels((0, 4)))
    bench.engine.schedule(np.zeros(0, START_DTYPE))
    bench.engine.schedule(supply(6), last=False, closed=0)
    bench.engine.schedule(supply(3, first=6), closed=0)
    peer = Peer(bench, lambda _: 100 * MS)
    peer.run(150 * MS)
    assert not bench.engine.done
    peer.run(SECOND)
    assert [one.at // MS for one in peer.starts] == [0] * 4 + [100] * 4 + [200]
    assert bench.engine.done
    assert bench.engine.closed_state(0)["chunks"] == 0
    bench.drain()


def test_calls_come_again_as_soon_as_there_are_more() -> None:
    bench = closed()
    bench.engine.hold(0, levels((0, 2)))
    bench.engine.schedule(supply(2), last=False, closed=0)
    peer = Peer(bench, lambda _: 10 * MS)
    peer.run(SECOND)
    assert len(peer.starts) == 2
    assert not bench.engine.done
    bench.engine.schedule(supply(1, first=2), closed=0)
    peer.run(2 * SECOND)
    assert peer.starts[2].at == SECOND


def test_two_closed_workloads_and_an_open_one() -> None:
    bench = closed(closed=2, series=3, bounds=(0, 0, 0))
    for number, wanted in ((0, 3), (1, 5)):
        bench.engine.hold(number, levels((0, wanted, number)))
        bench.engine.schedule(supply(1000, stream=number), closed=number)
    starts = supply(20, stream=2)
    starts["due"], starts["series"] = np.arange(20) * 50 * MS, 2
    bench.engine.schedule(starts)
    peer = Peer(bench, lambda _: 100 * MS)
    peer.run(SECOND - 1)
    assert bench.engine.series_starts[:, STARTED].tolist() == [30, 50, 20]
    assert bench.engine.in_progress == 3 + 5 + 2


def test_results_go_to_the_series_of_the_level() -> None:
    bench = closed(series=3)
    bench.engine.hold(0, levels((0, 2, 1), (SECOND, 2, 2), (2 * SECOND, 0, 2)))
    bench.engine.schedule(supply(1000), closed=0)
    peer = Peer(bench, lambda _: 300 * MS)
    peer.run(3 * SECOND)
    # at 0, 300, 600, 900 in the first; what began there ends there, however late
    assert bench.engine.series_starts[:, STARTED].tolist() == [0, 8, 6]
    assert bench.engine.series_outcomes.sum(axis=1).tolist() == [0, 8, 6]


def test_two_engines_joined() -> None:
    """The answering engine talks to the calling one: calls with a hold of random length."""
    trial = Trial(calls=0, settings={"hold": "uniform(0s,2s)"}, caller_options={"closed": 1})
    network = trial.network(3, Weather(jitter=20 * MS))
    engine = network.caller
    engine.hold(0, levels((0, 10), (5 * SECOND, 25), (10 * SECOND, 0)))
    engine.schedule(supply(10_000), closed=0)
    looks = 0
    while network.step():
        wanted = 0 if network.now >= 10 * SECOND else 25 if network.now >= 5 * SECOND else 10
        if wanted:
            assert wanted - 1 <= engine.in_progress <= wanted
            looks += 1
    balanced(engine)
    assert engine.done
    assert looks > 500
    assert engine.outcomes[0] == engine.outcomes.sum() > 100
    drained(engine)


# --- scaled by hand ---


def test_scaled_up_down_and_back() -> None:
    bench = closed()
    bench.engine.hold(0, levels((0, 10)))
    bench.engine.schedule(supply(10_000), closed=0)
    peer = Peer(bench, drawn(5))
    for factor, wanted in ((1, 10), (2.5, 25), (0, 0), (0.26, 3), (1e6, 64), (1, 10)):
        bench.engine.scale_closed(0, factor)
        peer.run(bench.now + 2 * SECOND)
        assert bench.engine.in_progress == wanted, factor
    for factor in (-0.1, float("nan"), 2e6):
        with pytest.raises(ValueError, match="closed workload 0 times"):
            bench.engine.scale_closed(0, factor)


def test_scaled_places_keep_their_rows_and_are_as_many() -> None:
    """Half the users, not all users half of the time; back again the same users go on."""
    bench = closed("register", rows=20)
    bench.engine.hold(0, levels((0, 8)), keeps=True)
    bench.engine.schedule(supply(10_000, rest=SECOND), closed=0)
    peer = Peer(bench, lambda _: 100 * MS)
    peer.run(10 * SECOND)
    users = {user_of(one) for one in peer.starts}
    assert len(users) == 8
    bench.engine.scale_closed(0, 0.5)
    peer.run(12 * SECOND)
    first = len(peer.starts)
    peer.run(20 * SECOND)
    assert len({user_of(one) for one in peer.starts[first:]}) == 4
    state = bench.engine.closed_state(0)
    assert (state["busy"], state["parked"]) == (4, 4)
    bench.engine.scale_closed(0, 0)
    peer.run(25 * SECOND)
    assert bench.engine.closed_state(0) == {"wanted": 8, "asked": 0, "busy": 0, "resting": 0,
                                            "parked": 8, "chunks": 1}
    first = len(peer.starts)
    peer.run(30 * SECOND)
    assert len(peer.starts) == first
    bench.engine.scale_closed(0, 1)
    peer.run(35 * SECOND)
    assert {user_of(one) for one in peer.starts[first:]} == users
    assert {one.at for one in peer.starts[first:first + 8]} == {30 * SECOND}
    # nobody was late: a place that is not wanted is not due
    assert bench.engine.histograms[0].sum() == bench.engine.histograms[0][0]
    assert bench.engine.series_starts[0, NO_USER] == 0


# --- places ---


def test_a_place_keeps_its_row_and_rests_exactly() -> None:
    bench = closed("register", rows=6)
    bench.engine.hold(0, levels((0, 3)), keeps=True)
    rests = [5 * MS, 1_000_000_007, 0, 3 * SECOND + 1]
    starts = supply(400)
    starts["due"] = [rests[n % 4] for n in range(400)]
    bench.engine.schedule(starts, closed=0)
    peer = Peer(bench, drawn(8))
    peer.run(20 * SECOND)
    ends = {request.branch: at for at, request in peer.ends}
    by_user: dict[str, list[Sent]] = {}
    for one in peer.starts:
        by_user.setdefault(user_of(one), []).append(one)
    assert sorted(by_user) == ["user000001", "user000002", "user000003"]
    number = {one.branch: n for n, one in enumerate(peer.starts)}
    for calls in by_user.values():
        for one, after in pairwise(calls):
            assert after.at == ends[one.branch] + rests[number[one.branch] % 4]
    assert bench.engine.histograms[0].sum() == bench.engine.histograms[0][0]


def test_owned_users_are_never_two_calls() -> None:
    """Also beside an open workload that takes users of the same engine."""
    bench = closed("register", rows=8, series=2, bounds=(0, 0))
    bench.engine.hold(0, levels((0, 5)), keeps=True)
    bench.engine.schedule(supply(2000, rest=50 * MS), closed=0)
    starts = supply(400, stream=1)
    starts["due"], starts["series"] = np.arange(400) * 10 * MS, 1
    bench.engine.schedule(starts)
    peer = Peer(bench, drawn(9))
    busy: list[str] = []

    def look() -> None:
        open_now = sorted(user_of(one) for _, _, one in peer.waiting)
        assert len(set(open_now)) == len(open_now)
        busy[:] = open_now

    peer.run(3 * SECOND, look)
    assert busy
    assert bench.engine.series_starts[1, NO_USER] > 0
    assert bench.engine.series_starts[0, NO_USER] == 0
    assert len({user_of(one) for one in peer.starts}) == 8


def test_users_named_by_the_start_are_the_engines_all_the_same() -> None:
    bench = closed("register", rows=4)
    bench.engine.hold(0, levels((0, 3)))
    bench.engine.schedule(supply(200, rows=4), closed=0)
    peer = Peer(bench, drawn(10))
    peer.run(2 * SECOND)
    assert bench.engine.series_starts[0, STARTED] > 12


def test_a_keeping_workload_without_users_for_all() -> None:
    bench = closed("register", rows=2)
    bench.engine.hold(0, levels((0, 3)), keeps=True)
    bench.engine.schedule(supply(1000, rest=10 * MS), closed=0)
    peer = Peer(bench, lambda _: 100 * MS)
    peer.run(SECOND)
    assert bench.engine.in_progress <= 2
    assert len({user_of(one) for one in peer.starts}) == 2
    # tried again when a call ends or after a tenth of a second, not in circles
    assert 1 <= bench.engine.series_starts[0, NO_USER] <= 40


def test_an_entry_mix_that_owns_users_now_and_then_is_refused() -> None:
    @call(name="plain")
    def plain(c: Recorder) -> None:
        c.options()
        c.expect(200)

    @call(name="owner", columns="user password")
    def owner(c: Recorder) -> None:
        c.register()
        c.expect(200)

    program = compile_scenarios(*(one.record(target=TARGET, settings={})
                                  for one in (plain, owner)))
    bench = Bench(Engine(program, local=LOCAL, target=PEER, closed=1,
                         rows=generated_users(("user", "password"), 5), **SIZES))
    bench.engine.hold(0, levels((0, 3)), keeps=True)
    starts = supply(6)
    starts["entry"] = [0, 1] * 3
    with pytest.raises(ValueError, match="own"):
        bench.engine.schedule(starts, closed=0)


# --- bounds ---


def test_a_bound_of_the_stream_is_counted_and_not_run_against() -> None:
    bench = closed(bounds=(3,))
    bench.engine.hold(0, levels((0, 5)))
    bench.engine.schedule(supply(10_000), closed=0)
    peer = Peer(bench, lambda _: 70 * MS)
    peer.run(SECOND, lambda: None)
    assert bench.engine.in_progress == 3
    starts = bench.engine.series_starts[0]
    assert starts[STARTED] == len(peer.starts) == 3 * 15
    assert 1 <= starts[NO_SLOT] <= starts[STARTED]


def test_a_bound_of_the_engine_with_nothing_open_is_tried_again() -> None:
    """Answered calls have the last record: nothing of the workload can end."""
    bench = closed(max_instances=1, max_calls=1)
    bench.engine.schedule(np.zeros(1, np.int64), last=False)
    bench.run(0)
    bench.engine.hold(0, levels((0, 2)), keeps=True)
    bench.engine.schedule(supply(100, rest=MS), closed=0)
    peer = Peer(bench, lambda _: 5 * MS)
    peer.take(bench.wire)
    bench.wait(250 * MS)
    assert 3 <= bench.engine.series_starts[0, NO_SLOT] <= 4
    peer.run(SECOND)
    assert bench.engine.in_progress <= 1
    assert bench.engine.series_starts[0, STARTED] > 10


# --- ends ---


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("ways", [("stop_starts",), ("stop_starts", "hang_up"), ("abort",),
                                  ("hang_up",), ("pause",)])
def test_every_end_adds_up(ways: tuple[str, ...], keeps: bool) -> None:
    bench = closed("register", rows=30, series=2)
    bench.engine.hold(0, levels((0, 9, 0), (SECOND, 12, 1)), keeps=keeps)
    bench.engine.schedule(supply(10_000, rest=30 * MS), closed=0)
    peer = Peer(bench, drawn(11))
    peer.run(1500 * MS)
    before = int(bench.engine.series_starts[:, STARTED].sum())
    for way in ways:
        if way == "pause":
            bench.engine.pause(True)
        else:
            getattr(bench.engine, way)()
    peer.run(3 * SECOND)
    if ways == ("hang_up",):
        assert bench.engine.in_progress == 12 or keeps
    else:
        assert bench.engine.in_progress == 0
        assert bench.engine.series_starts[:, STARTED].sum() == before or ways == ("abort",)
    bench.engine.stop_starts()
    peer.run(40 * SECOND)
    assert bench.engine.done
    bench.engine.finish()
    balanced(bench.engine)
    bench.drain()


# --- against a dumb reference ---


@dataclass
class Reference:
    """Places in lists, searched from end to end."""

    wanted: int = 0
    factor: float = 1.0
    room: int = 64
    taken: int = 0
    places: int = 0
    open: dict[int, tuple[int, int]] = field(default_factory=dict)  # number -> row, rest
    resting: list[tuple[int, int]] = field(default_factory=list)  # until, row
    parked: list[int] = field(default_factory=list)

    @property
    def target(self) -> int:
        return min(int(self.wanted * self.factor + 0.5), self.room)

    def end(self, number: int, now: int) -> None:
        row, rest = self.open.pop(number)
        self.resting.append((now + rest, row))

    def fill(self, now: int, rest: Callable[[int], int], total: int) -> list[tuple[int, int]]:
        """(number, row) of the calls that start."""
        begun = []
        while self.taken < total:
            over = [one for one in self.resting if one[0] <= now]
            if over:
                first = min(over, key=lambda one: one[0])
                if len(self.open) + len(self.resting) > self.target:
                    self.resting.remove(first)
                    self.parked.append(first[1])
                    continue
                self.resting.remove(first)
                row = first[1]
            elif len(self.open) + len(self.resting) < self.target:
                row = self.parked.pop() if self.parked else self.places
                self.places = max(self.places, row + 1)
            else:
                break
            self.open[self.taken] = (row, rest(self.taken))
            begun.append((self.taken, row))
            self.taken += 1
        return begun


@given(steps=st.lists(st.tuples(st.integers(0, 4 * SECOND), st.integers(0, 9)), min_size=1,
                      max_size=5),
       changes=st.lists(st.tuples(st.integers(0, 4 * SECOND),
                                  st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.7, 4.0])), max_size=5),
       rests=st.lists(st.integers(0, 700 * MS), min_size=1, max_size=5),
       seed=st.integers(0, 2**32), total=st.integers(1, 150))
@settings(max_examples=60)
def test_as_the_reference(steps: Any, changes: Any, rests: list[int], seed: int,
                          total: int) -> None:
    steps = sorted(steps, key=lambda one: one[0])
    changes = sorted(dict(changes).items())  # the last word of a moment counts
    bench = closed("register", rows=200)
    bench.engine.hold(0, levels(*steps), keeps=True)
    starts = supply(total)
    starts["due"] = [rests[n % len(rests)] for n in range(total)]
    bench.engine.schedule(starts, closed=0)
    peer = Peer(bench, drawn(seed))
    lengths = drawn(seed)
    wanted = Reference()
    expected: list[tuple[int, int]] = []  # when, row
    ends: list[tuple[int, int]] = []
    moments = [(when, 1, count) for when, count in steps]
    moments += [(when, 0, factor) for when, factor in changes]
    # the reference, on its own
    now = 0
    while True:
        times = [one[0] for one in moments] + [end for end, _ in ends]
        times += [until for until, _ in wanted.resting if until > now]
        if not times or min(times) > 6 * SECOND:
            break
        now = min(times)
        for one in [one for one in moments if one[0] == now]:
            if one[1]:
                wanted.wanted = one[2]
            else:
                wanted.factor = one[2]
        moments = [one for one in moments if one[0] != now]
        for end in sorted(one for one in ends if one[0] == now):
            ends.remove(end)
            wanted.end(end[1], now)
        for number, row in wanted.fill(now, lambda n: rests[n % len(rests)], total):
            expected.append((now, row))
            ends.append((now + lengths(None), number))  # type: ignore[arg-type]
    # and the engine
    for when, factor in changes:
        if when:
            peer.run(when - 1)
        bench.engine.scale_closed(0, factor)
        bench.now = when
    peer.run(6 * SECOND)
    assert [(one.at, int(user_of(one)[4:]) - 1) for one in peer.starts] == expected
    state = bench.engine.closed_state(0)
    assert state["busy"] == len(wanted.open) + len(wanted.resting)
    if wanted.taken < total:
        assert (state["resting"], state["parked"]) == (len(wanted.resting), len(wanted.parked))


# --- what is refused ---


def test_bad_words_of_closed_workloads() -> None:
    bench = closed(series=2)
    for bad in (levels(), levels((5, 1), (4, 1)), levels((0, 1, 2))):
        with pytest.raises(ValueError, match="levels: some, sorted"):
            bench.engine.hold(0, bad)
    with pytest.raises(ValueError, match="closed workload 1"):
        bench.engine.hold(1, levels((0, 1)))
    bench.engine.hold(0, levels((0, 1)))
    with pytest.raises(ValueError, match="closed workload 0: not one that waits"):
        bench.engine.hold(0, levels((0, 1)))
    with pytest.raises(ValueError, match="closed workload 1"):
        bench.engine.schedule(supply(1), closed=1)
    with pytest.raises(ValueError, match="closed workload 7"):
        bench.engine.closed_state(7)
    with pytest.raises(ValueError, match="rest for less"):
        bench.engine.schedule(supply(1, rest=-1), closed=0)
    with pytest.raises(ValueError, match="closed: 0"):
        closed(closed=65)


def test_chunks_of_a_closed_workload_are_bounded() -> None:
    bench = closed()
    for number in range(64):
        bench.engine.schedule(supply(1, first=number), last=False, closed=0)
    with pytest.raises(BufferError):
        bench.engine.schedule(supply(1), last=False, closed=0)
    assert bench.engine.closed_state(0)["chunks"] == 64
    assert bench.engine.chunks_waiting == 0
