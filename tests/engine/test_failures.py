"""What is kept of a failed call: its ladder and the message that decided it."""

from __future__ import annotations

import numpy as np

from siploadgen.core.program import Outcome
from tests.engine.drive import (
    MS,
    SECOND,
    answerer,
    ask,
    caller,
    names,
    only,
    reply,
    talking,
    within,
)


def test_a_refusal_is_kept_with_its_message() -> None:
    bench = caller()
    bench.run(SECOND)
    invite = bench.start()
    bench.wait(100 * MS)
    bench.feed(reply(invite, 180))
    bench.wait(150 * MS)
    no = reply(invite, 486, headers=["Reason: busy"])
    bench.feed(no)
    found = bench.engine.failures()
    assert len(found) == 1
    failure = found[0]
    assert failure["outcome"] == Outcome.OUTCOME_REJECTED
    assert failure["status"] == 486
    assert failure["role"] == "caller"
    assert failure["due"] == SECOND
    assert failure["ended"] == SECOND + 250 * MS
    assert failure["message"] == no.encode()
    assert invite.header("Call-ID").startswith(failure["call_id"])
    assert [(one["at_s"], one["what"], one["method"], one["status"])
            for one in failure["ladder"]] == [
        (0.0, "sent", "INVITE", None), (0.1, "received", "INVITE", 180),
        (0.25, "received", "INVITE", 486)]
    assert bench.engine.failures() == []
    bench.drain()


def test_a_timeout_has_no_message() -> None:
    bench = caller("options")
    bench.start()
    bench.drain()
    failure = only(bench.engine.failures())
    assert failure["outcome"] == Outcome.OUTCOME_TIMEOUT
    assert failure["status"] is None
    assert failure["message"] == b""
    assert failure["ladder"][-1]["what"] == "timeout"
    assert failure["ladder"][-1]["at_s"] == 32.0


def test_an_icmp_error_ends_the_call() -> None:
    bench = caller()
    invite = bench.start()
    bench.engine.transport_error(invite.data[:200], 5 * MS)
    assert bench.outcomes == {"transport": 1}
    assert bench.count("transport_errors") == 1
    failure = only(bench.engine.failures())
    assert failure["outcome"] == Outcome.OUTCOME_TRANSPORT
    assert failure["ladder"][-1]["what"] == "transport"
    bench.drain()


def test_an_icmp_error_of_others_changes_nothing() -> None:
    bench = caller()
    invite = bench.start()
    for data in (b"", b"z9hG4bK", invite.data[:40], invite.data.replace(b"a0a0a0a0", b"b0b0b0b0")):
        bench.engine.transport_error(data, 5 * MS)
    assert bench.outcomes == {}
    bench.drain()


def test_the_ladder_keeps_the_latest_eight() -> None:
    bench = caller()
    invite = bench.start()
    for number in range(12):
        bench.wait(10 * MS)
        bench.feed(reply(invite, 180 + number % 4))
    bench.feed(reply(invite, 600))
    ladder = only(bench.engine.failures())["ladder"]
    assert len(ladder) == 8
    assert ladder[-1]["status"] == 600
    assert [one["at_s"] for one in ladder] == sorted(one["at_s"] for one in ladder)
    assert ladder[0]["status"] == 180 + (12 - 7) % 4


def test_the_ladder_of_a_very_long_call() -> None:
    """More than 255 steps: the count wraps, the latest eight are still the latest."""
    bench = caller(settings={"ring_limit": "0s"})
    invite = bench.start()
    for number in range(300):
        bench.wait(10 * MS)
        bench.feed(reply(invite, 101 + number % 90))
    bench.feed(reply(invite, 600))
    ladder = only(bench.engine.failures())["ladder"]
    assert len(ladder) == 8
    assert [one["status"] for one in ladder] == [101 + n % 90 for n in range(293, 300)] + [600]


def test_only_so_many_of_each_outcome_are_kept() -> None:
    bench = caller(trace_failures=3)
    bench.engine.schedule(np.zeros(10, dtype=np.int64))
    for one in bench.run(0):
        bench.feed(reply(one, 404))
    assert bench.outcomes == {"rejected": 10}
    assert len(bench.engine.failures()) == 3
    invite = bench.start()
    bench.engine.transport_error(invite.data, bench.now)
    assert [one["outcome"] for one in bench.engine.failures()] == [Outcome.OUTCOME_TRANSPORT]
    bench.drain()


def test_none_are_kept_when_none_are_wanted() -> None:
    bench = caller(trace_failures=0)
    bench.feed(reply(bench.start(), 404))
    assert bench.engine.failures() == []
    bench.drain()


def test_a_long_message_is_cut() -> None:
    bench = caller()
    bench.feed(reply(bench.start(), 404, headers=["X: " + "x" * 9000]))
    assert len(only(bench.engine.failures())["message"]) == 2048


def test_what_does_not_fit_the_ring_is_counted() -> None:
    bench = caller(trace_failures=5000, max_instances=2000, max_transactions=9000)
    bench.engine.schedule(np.zeros(1000, dtype=np.int64))
    for one in bench.run(0):
        bench.feed(reply(one, 404, headers=["X: " + "x" * 3000]))
    kept = len(bench.engine.failures())
    assert 0 < kept < 1000
    assert kept + bench.count("trace_dropped") == 1000
    bench.drain()


def test_a_failure_of_the_answering_side() -> None:
    bench = answerer(settings={"ring": "10s"})
    ringing = only(bench.feed(ask()))
    bench.wait(SECOND)
    cancel = ask("CANCEL")
    assert names(bench.feed(cancel)) == ["200/CANCEL", "487/INVITE"]
    failure = only(bench.engine.failures())
    assert failure["role"] == "answerer"
    assert failure["outcome"] == Outcome.OUTCOME_CANCELLED
    assert failure["message"] == cancel.encode()
    assert failure["ladder"][0]["method"] == "INVITE"
    bench.feed(within(ringing, "ACK", cseq=1, branch="z9hG4bKone"))
    bench.drain()


def test_a_success_leaves_nothing() -> None:
    bench = caller(settings={"hold": "1s"})
    talking(bench)
    bench.run(SECOND)
    bench.feed(reply(bench.wire[-1], 200))
    assert bench.outcomes == {"succeeded": 1}
    assert bench.engine.failures() == []
    bench.drain()


def test_steps_show_where_calls_are() -> None:
    bench = caller("options")
    options = bench.start()
    bench.wait(SECOND)
    bench.feed(reply(options, 200))
    steps = bench.engine.steps
    sent = steps[:, 0]
    assert sent.sum() == 1
    assert steps[:, 2].sum() == 1
    assert steps[:, 1].sum() == 1                           # one received
    bench.drain()
