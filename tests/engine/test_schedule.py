"""Due times, bounds and the ends of a run: nothing that was due goes uncounted."""

from __future__ import annotations

import mmap
import platform
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.load.rows import Rows, generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from tests.engine.drive import (
    LOCAL,
    MS,
    PEER,
    SECOND,
    SIZES,
    TARGET,
    Bench,
    Sent,
    answerer,
    ask,
    caller,
    names,
    only,
    reply,
    scenario,
    talking,
    within,
)


def due(*seconds: float) -> Any:
    return np.array([int(at * SECOND) for at in seconds], dtype=np.int64)


def test_calls_start_at_their_nanosecond() -> None:
    bench = caller("options")
    bench.engine.schedule(np.array([1, 5, 5, 12_345_678_901], dtype=np.int64))
    bench.run(13 * SECOND)
    firsts: dict[str, int] = {}
    for one in bench.wire:
        firsts.setdefault(one.header("Call-ID"), one.at)
    assert sorted(firsts.values()) == [1, 5, 5, 12_345_678_901]
    assert bench.engine.histograms[0].sum() == 4
    assert bench.engine.histograms[0][0] == 4           # not late at all
    bench.drain()


def test_the_bound_on_open_calls() -> None:
    bench = caller(max_calls=3)
    bench.engine.schedule(due(0, 0, 0, 0, 0, 1))
    bench.run(2 * SECOND)
    assert bench.engine.in_progress == 3
    assert bench.counts["not_started_no_slot"] == 3
    assert bench.counts["due"] == 6
    assert bench.counts["started"] == 3
    bench.drain()
    bench.engine.schedule(np.array([bench.now], dtype=np.int64))
    bench.run(bench.now)
    assert bench.counts["started"] == 4
    bench.drain()


def test_no_record_left_is_no_slot() -> None:
    bench = caller(max_instances=2, max_calls=5)
    bench.engine.schedule(due(0, 0, 0))
    bench.run(0)
    assert bench.counts["not_started_no_slot"] == 1
    assert bench.counts["slab_full"] == 1
    bench.drain()


def test_stop_starts() -> None:
    bench = caller("options")
    bench.engine.schedule(due(0, 1, 2, 3))
    bench.run(1 * SECOND)
    bench.engine.stop_starts()
    bench.run(10 * SECOND)
    assert bench.counts["started"] == 2
    bench.drain()
    bench.engine.finish()
    assert bench.counts["not_started_stopped"] == 2
    assert bench.counts["due"] == 4
    bench.engine.check()
    assert bench.engine.done


def test_pause_makes_calls_late_not_lost() -> None:
    bench = caller("options")
    bench.engine.schedule(due(0, 1, 2))
    bench.run(0)
    bench.engine.pause(True)
    bench.run(5 * SECOND)
    assert bench.counts["started"] == 1
    bench.engine.pause(False)
    bench.run(5 * SECOND)
    assert bench.counts["started"] == 3
    assert bench.counts["late_starts"] == 2
    assert sum(one.at == 5 * SECOND for one in bench.wire) >= 2
    bench.drain()


def test_hang_up_cuts_the_hold() -> None:
    bench = caller(settings={"hold": "1000s"})
    talking(bench)
    bench.engine.stop_starts()
    bench.engine.hang_up()
    bye = only(bench.run(bench.now))
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_hang_up_cancels_what_rings() -> None:
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.engine.hang_up()
    cancel = only(bench.run(bench.now))
    assert cancel.name == "CANCEL"
    for name in ("Via", "From", "To", "Call-ID"):
        assert cancel.header(name) == invite.header(name)       # RFC 3261 9.1
    assert (cancel.cseq, cancel.uri) == (invite.cseq, invite.uri)
    bench.feed(reply(cancel, 200))
    assert names(bench.feed(reply(invite, 487))) == ["ACK"]
    assert bench.outcomes == {"cancelled": 1}
    bench.drain()


def test_a_cancel_waits_for_the_first_provisional() -> None:
    """RFC 3261 9.1."""
    bench = caller()
    invite = bench.start()
    bench.engine.hang_up()
    assert bench.run(400 * MS) == []
    assert names(bench.feed(reply(invite, 100))) == ["CANCEL"]
    bench.feed(reply(invite, 487))
    assert bench.outcomes == {"cancelled": 1}
    bench.drain()


def test_a_final_response_before_any_provisional_needs_no_cancel() -> None:
    bench = caller()
    invite = bench.start()
    bench.engine.hang_up()
    bench.run(400 * MS)
    assert names(bench.feed(reply(invite, 486))) == ["ACK"]
    bench.drain()
    assert "CANCEL" not in names(bench.wire)


def test_a_hang_up_reaches_the_answer_to_a_challenge() -> None:
    bench = caller(settings={"user": "bob"})
    invite = bench.start()
    bench.engine.hang_up()
    bench.run(100 * MS)
    again = bench.feed(reply(invite, 401, headers=[
        'WWW-Authenticate: Digest realm="r", nonce="n"']))[-1]
    assert again.name == "INVITE"
    assert names(bench.feed(reply(again, 180))) == ["CANCEL"]
    bench.feed(reply(again, 487))
    assert bench.outcomes == {"cancelled": 1}
    bench.drain()


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    """RFC 3261 15: ACK, then BYE."""
    bench = caller(settings={"hold": "100s"})
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.engine.hang_up()
    cancel = only(bench.run(bench.now))
    sent = bench.feed(reply(invite, 200))
    assert names(sent) == ["ACK", "BYE"]
    bench.feed(reply(cancel, 200))
    bench.feed(reply(sent[-1], 200))
    bench.drain()
    assert sum(bench.outcomes.values()) == 1


def test_no_487_ends_the_call_after_64_t1() -> None:
    """RFC 3261 9.1."""
    bench = caller(settings={"ring_limit": "0s"})
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.run(10 * SECOND)
    bench.engine.hang_up()
    bench.feed(reply(only(bench.run(bench.now)), 200))
    bench.run(42 * SECOND - 1)
    assert bench.engine.in_progress == 1
    bench.run(42 * SECOND)
    assert bench.engine.in_progress == 0
    bench.drain()


def test_hang_up_takes_a_registration_back() -> None:
    bench = caller("register", users=3, settings={"refreshes": "always"})
    first = bench.start()
    bench.feed(reply(first, 200, headers=["Expires: 3600"]))
    bench.run(10 * SECOND)
    bench.engine.hang_up()
    last = only(bench.run(bench.now))
    assert last.name == "REGISTER"
    assert last.header("Expires") == "0"
    assert last.header("Call-ID") == first.header("Call-ID")
    assert last.cseq == first.cseq + 1
    bench.feed(reply(last, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_abort_ends_everything_at_once() -> None:
    bench = caller(settings={"hold": "100s"})
    talking(bench)
    bench.engine.schedule(np.full(5, bench.now, dtype=np.int64))
    bench.run(bench.now)
    bench.engine.stop_starts()
    bench.engine.abort()
    bench.engine.advance(bench.now)
    assert bench.outcomes == {"aborted": 6}
    bench.drain()
    side = answerer(settings={"ring": "100s"})
    side.feed(ask())
    side.engine.abort()
    side.engine.advance(side.now)
    assert side.answered == {"aborted": 1}
    assert names(side._take())[-1:] == ["500/INVITE"]       # no request stays unanswered
    side.drain()


def test_rows_by_first_and_stride() -> None:
    program = build_caller("options", target_uri=TARGET, columns=("user", "password"))
    rows = generated_users(program.columns, 10)
    assert isinstance(rows, Rows)
    for first, stride in ((0, 1), (3, 1), (1, 4), (9, 10), (7, 3)):
        bench = Bench(Engine(program, local=LOCAL, target=PEER, rows=rows, first_row=first,
                             row_stride=stride, **SIZES))
        bench.engine.schedule(np.arange(12, dtype=np.int64))
        bench.run(100)
        users = [one.header("From").split("@")[0].removeprefix("<sip:") for one in bench.wire]
        own = range(first, 10, stride)      # a row is one engine's only
        expected = [rows.cell(0, own[k % len(own)]).decode() for k in range(12)]
        assert users == expected
        bench.engine.abort()
        bench.engine.advance(100)


def test_a_call_that_does_not_start_takes_its_row_along() -> None:
    """Call k has row k whatever became of the calls before it."""
    program = build_caller("options", target_uri=TARGET, columns=("user", "password"))
    bench = Bench(Engine(program, local=LOCAL, target=PEER, max_calls=1, linger=0,
                         rows=generated_users(program.columns, 10), **SIZES))
    bench.engine.schedule(np.array([0, 0, 0], dtype=np.int64), last=False)
    bench.run(0)
    bench.feed(reply(bench.wire[0], 403))
    bench.engine.schedule(np.array([1], dtype=np.int64))
    bench.run(1)
    assert bench.wire[-1].header("From") != bench.wire[0].header("From")
    rows = generated_users(program.columns, 10)
    assert rows.cell(0, 3).decode() in bench.wire[-1].header("From")


def test_chunks() -> None:
    bench = caller("options", linger=0)
    for number in range(64):
        bench.engine.schedule(np.array([number * MS], dtype=np.int64), last=False)
    with pytest.raises(BufferError):
        bench.engine.schedule(np.array([SECOND], dtype=np.int64), last=False)
    assert bench.engine.chunks_waiting == 64
    bench.run(31 * MS)
    assert bench.engine.chunks_waiting == 32
    assert not bench.engine.done
    for number in range(64, 96):
        bench.engine.schedule(np.array([number * MS] * 2, dtype=np.int64), last=False)
    bench.engine.schedule(np.array([], dtype=np.int64), last=True)
    bench.run(SECOND)
    assert bench.counts["started"] == 64 + 64
    assert bench.engine.chunks_waiting == 0
    bench.drain()
    assert bench.engine.done
    with pytest.raises(ValueError, match="sorted"):
        bench.engine.schedule(np.array([5, 4], dtype=np.int64))


def test_a_slab_full_in_the_middle_of_calls() -> None:
    """Fewer transactions than calls need: NO_RESOURCE, and nothing is left over."""
    bench = caller(settings={"hold": "1s"}, max_transactions=5, linger=0)
    bench.engine.schedule(np.zeros(8, dtype=np.int64))
    invites = [one for one in bench.run(0) if one.name == "INVITE"]
    assert len(invites) == 5
    assert bench.outcomes == {"no_resource": 3}
    for one in invites:
        bench.feed(reply(one, 200))
    bench.run(SECOND)
    for one in [one for one in bench.wire if one.name == "BYE"]:
        bench.feed(reply(one, 200))
    bench.drain()
    assert sum(bench.outcomes.values()) == 8


def test_no_transaction_for_the_bye() -> None:
    bench = caller(settings={"hold": "1s"}, max_transactions=1)
    invite = bench.start()
    bench.feed(reply(invite, 200))          # lives on in Accepted
    bench.run(2 * SECOND)
    assert bench.outcomes == {"no_resource": 1}
    bench.drain()


def test_no_leg_for_a_second_dialog() -> None:
    def story(c: Any) -> None:
        c.options()
        c.expect("2xx")
        c.options(leg="other")
        c.expect("2xx", leg="other")

    bench = scenario(story, max_instances=2)
    bench.engine.schedule(np.zeros(2, dtype=np.int64))
    for one in bench.run(0):
        bench.feed(reply(one, 200))
    bench.drain()
    # The first to ask has no leg, and leaves its own to the second, which nobody answers.
    assert bench.outcomes == {"no_resource": 1, "timeout": 1}


def test_no_room_for_the_texts_of_a_request() -> None:
    """The echo of a large request has few places; without one it is not answered wrongly."""
    bench = answerer(settings={"ring": "1s"}, max_instances=100)
    big = "X-Big: " + "x" * 10
    routes = [f"Record-Route: <sip:p{i}.example.com;lr;x={'r' * 150}>" for i in range(8)]
    for number in range(90):
        bench.feed(ask(branch=f"z9hG4bK{number}", call_id=f"c{number}", headers=[big, *routes]))
    bench.run(40 * SECOND)
    for one in [one for one in bench.wire if one.status]:
        assert one.header("Call-ID")[1:] == one.branch.removeprefix("z9hG4bK")
    assert bench.count("slab_full") > 0
    for one in [one for one in bench.wire if one.name == "200/INVITE"]:
        bench.feed(within(one, "ACK", cseq=1, branch=f"z9hG4bKa{one.branch}"))
        bench.feed(within(one, "BYE", cseq=2, branch=f"z9hG4bKb{one.branch}"))
    for one in [one for one in bench.wire if one.name == "BYE"]:
        bench.feed(reply(one, 200))
    bench.drain()


class Interleaving(RuleBasedStateMachine):
    """Any order of datagrams, time and commands; the sums hold after every step."""

    @initialize(model=st.sampled_from(["call", "options", "register", "answer"]),
                seed=st.integers(1, 10**6), linger=st.sampled_from([-1, 0, SECOND]),
                bound=st.integers(1, 6))
    def begin(self, model: str, seed: int, linger: int, bound: int) -> None:
        settings = {"hold": "uniform(0s,4s)", "ring_limit": "3s"} if model == "call" else {}
        if model == "register":
            settings = {"refreshes": "1", "refresh_at": "1s"}
        if model == "answer":
            program = build_answerer(settings={"ring": "uniform(0s,2s)", "limit": "3s"},
                                     reject="486:20%,no_answer:10%")
        else:
            program = build_caller(model, target_uri=TARGET, settings=settings)
        rows = generated_users(program.columns, 4) if program.columns else None
        self.bench = Bench(Engine(program, local=LOCAL, target=PEER, rows=rows, seed=seed,
                                  linger=linger, max_instances=8, max_transactions=20,
                                  max_calls=bound))
        self.asked = 0
        self.last = 0

    def sent(self, number: int, requests: bool) -> Sent | None:
        found = [one for one in self.bench.wire[-60:] if (one.status == 0) == requests]
        return found[number % len(found)] if found else None

    @rule(ahead=st.lists(st.integers(0, 3 * SECOND), max_size=5))
    def schedule(self, ahead: list[int]) -> None:
        if self.bench.engine.chunks_waiting < 60:
            self.bench.engine.schedule(self.bench.now + np.array(sorted(ahead), dtype=np.int64),
                                       last=False)

    @rule(length=st.one_of(st.integers(0, 5 * SECOND), st.just(40 * SECOND)))
    def time_passes(self, length: int) -> None:
        self.bench.wait(length)

    @rule(length=st.integers(0, 10 * SECOND))
    def time_jumps(self, length: int) -> None:
        """The process slept: every timer between is late."""
        self.bench.now += length
        self.bench.engine.advance(self.bench.now)
        self.bench._take()

    @rule(number=st.integers(0, 50), tag=st.sampled_from(["peer", "fork", ""]),
          status=st.sampled_from([100, 180, 183, 200, 202, 302, 401, 407, 423, 486, 487, 503, 603]))
    def answer(self, number: int, status: int, tag: str) -> None:
        request = self.sent(number, True)
        if request is not None and request.name != "ACK":
            self.bench.feed(reply(request, status, tag=tag, headers=[
                'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"', "Min-Expires: 60",
                "Expires: 30"]))

    @rule(number=st.integers(0, 50), cseq=st.integers(0, 5),
          method=st.sampled_from(["ACK", "BYE", "INVITE", "OPTIONS", "CANCEL", "INFO"]))
    def ask_within(self, number: int, method: str, cseq: int) -> None:
        response = self.sent(number, False)
        if response is not None:
            same = method == "CANCEL" or (method == "ACK" and response.status >= 300)
            branch = response.branch if same else f"z9hG4bK{number}{cseq}{method}"
            self.bench.feed(within(response, method, cseq=response.cseq if same or method == "ACK"
                                   else cseq, branch=branch))

    @rule(method=st.sampled_from(["INVITE", "REGISTER", "OPTIONS", "BYE", "XX"]),
          again=st.booleans())
    def ask(self, method: str, again: bool) -> None:
        self.asked += not again
        self.bench.feed(ask(method, branch=f"z9hG4bKq{self.asked}", call_id=f"q{self.asked}"))

    @rule()
    def icmp(self) -> None:
        request = self.sent(0, True)
        if request is not None:
            self.bench.engine.transport_error(request.data[:400], self.bench.now)
            self.bench._take()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.bench.engine.pause(paused)

    @rule(kind=st.sampled_from(["stop_starts", "hang_up", "abort", "finish"]),
          really=st.integers(0, 3))
    def command(self, kind: str, really: int) -> None:
        if not really:
            getattr(self.bench.engine, kind)()

    @invariant()
    def sums_hold(self) -> None:
        if not hasattr(self, "bench"):
            return
        engine = self.bench.engine
        engine.check()
        count = engine.counters
        refused = sum(int(count[one]) for one in Counter if "NOT_STARTED" in one.name)
        assert int(count[Counter.COUNT_DUE]) == int(count[Counter.COUNT_STARTED]) + refused
        assert int(count[Counter.COUNT_STARTED]) == int(engine.outcomes.sum()) + engine.in_progress
        assert int(count[Counter.COUNT_ANSWERED]) == (
            int(engine.answered_outcomes.sum()) + engine.answers_in_progress)

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        bench = self.bench
        bench.engine.pause(False)
        bench.engine.stop_starts()
        bench.engine.finish()
        # Answered calls end by themselves, so do calls: without a word from the peer.
        for _ in range(400):
            if not any(bench.engine.census().values()):
                break
            before = bench.engine.next_event()
            assert before < 2**63 - 1, ("stuck", bench.engine.census())
            bench.run(before)
            if bench.now > 4000 * SECOND:
                break
        census = bench.engine.census()
        assert not census["transactions"] or census["instances"], ("a leak", census)
        bench.engine.hang_up()
        bench.engine.abort()
        bench.engine.advance(bench.now)
        bench.drain()


TestInterleaving = Interleaving.TestCase


def resident() -> int:
    """Octets of this process that are backed by memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


def test_records_are_backed_before_the_run_when_asked_for():
    before = resident()
    big = {"max_instances": 100_000, "max_transactions": 400_000}
    cold = caller(**big)
    cold_grown = resident() - before
    warm = caller(**big, ready_instances=50_000, ready_transactions=400_000)
    warm_grown = resident() - before - cold_grown
    assert warm_grown - cold_grown > 400_000 * 144, "128 octets for each and its timer"
    for bench in (cold, warm):
        assert bench.start().method == "INVITE"


def test_records_are_backed_before_they_are_needed():
    """Twice as many as have come into use since the last look; Linux 5.14 and later."""
    bench = caller(max_instances=400_000, max_transactions=400_000, settings={"hold": "100s"})
    bench.engine.schedule([bench.now + number for number in range(20_000)])
    bench.wait(MS)
    bench.engine.outbox()
    assert bench.engine.in_progress == 20_000
    before = resident()
    bench.engine.back_memory()
    grown = resident() - before
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    assert grown > (30_000 * 256 if release >= (5, 14) else -1)
    bench.engine.back_memory()
    assert resident() - before - grown < 1_000_000
    bench.engine.abort()
    bench.engine.advance(bench.now)
    assert bench.engine.in_progress == 0


def test_more_than_there_are_cannot_be_made_ready():
    bench = caller(ready_instances=10**6, ready_transactions=10**7)
    assert bench.start().method == "INVITE"
