"""Trials: what becomes of a run, when it is played again, when the target is given time."""

from __future__ import annotations

from typing import Any

import pytest

from siploadgen.capacity.play import Judged, Player, StoppedError, allowed_failures, judge, row_text
from siploadgen.capacity.search import Trial
from siploadgen.capacity.step import StepSearch
from siploadgen.errors import TargetError
from siploadgen.report.thresholds import parse_threshold
from tests.report.builders import HEAD


def result(**changes: Any) -> dict[str, Any]:
    """What a player reads of run.json."""
    calls = {"due": 100, "started": 100, "not_started": {}, "succeeded": 100, "failed": {},
             "in_progress": 0, **changes.pop("calls", {})}
    return {**HEAD, "verdict": {"state": "valid", "rules": []}, "calls": calls, "load_s": 2.0,
            "rate": {"succeeded_per_s": 50.0}, "metrics": {}, "thresholds": [],
            "messages": {"retransmitted": 0}, **changes}


BROKEN = {"expression": "failed: rate == 0", "value": 0.25, "limit": 0.0, "ok": False}
LATE = {"state": "invalid", "rules": [
    {"name": "late_start_p99", "value": 0.02, "limit": 0.001, "ok": False, "severity": "invalid"},
    {"name": "loop_busy", "value": 0.99, "limit": 0.95, "ok": False, "severity": "suspect"},
    {"name": "invalid_intervals", "value": 1, "limit": 0, "ok": False, "severity": "invalid"}]}


def test_a_run_that_keeps_its_goals_is_met() -> None:
    assert judge(result()) == Judged("met", "")


def test_what_failed_is_named() -> None:
    told = judge(result(thresholds=[BROKEN], calls={"failed": {"rejected": 20, "timeout": 5}}))
    assert told.answer == "missed"
    assert told.why == "failed: rate == 0 (measured 0.25); 20 rejected, 5 timeout"


def test_calls_that_never_end_are_a_miss() -> None:
    assert judge(result(calls={"in_progress": 3})) == Judged("missed", "3 calls never ended")


def test_the_generator_accuses_itself_first() -> None:
    told = judge(result(verdict=LATE, thresholds=[BROKEN]))
    assert told.answer == "limited"
    assert "20 ms" in told.why
    assert "invalid_intervals" not in told.why
    assert "loop_busy" not in told.why
    assert judge(result(calls={"not_started": {"no_user": 4}})).answer == "limited"


@pytest.mark.parametrize(("goals", "allowed"), [
    (["failed: rate == 0"], 0.0), (["failed: count <= 3", "failed: rate < 1%"], 3.0),
    (["failed: rate < 2/s"], 10.0), (["srd: p(99) < 1s"], None), (["failed: rate > 1%"], None),
    (["failed{class=timeout}: count == 0"], None), (["failed: rate < 1% over 2s"], None)])
def test_failures_that_a_trial_may_have(goals: list[str], allowed: float | None) -> None:
    assert allowed_failures([parse_threshold(text) for text in goals], Trial(100, 5)) == allowed
    if goals == ["failed: rate < 2/s"]:
        return
    exact = allowed_failures([parse_threshold("failed: rate < 1%")], Trial(100, 5, attempts=50))
    assert exact == 0.5


class Scripted(Player):
    """A player whose runs are written down beforehand: kind, rate and answer of each."""

    __slots__ = ("script",)

    def _run(self, trial: Trial, kind: str) -> tuple[dict[str, Any], Judged]:
        if self.stopped:
            raise StoppedError
        answer = self.script.pop(0)
        told = result() if answer != "silent" else result(never_answered="only silence")
        judged = Judged("missed" if answer == "silent" else answer, "")
        self.rows.append({"kind": kind, "rate_per_s": trial.rate, "answer": judged.answer})
        return told, judged


def player(script: list[str], **options: Any) -> Scripted:
    rested: list[float] = []
    made = Scripted(lambda trial: None, [], {}, sleep=rested.append, **options)  # type: ignore
    made.script = script
    return made


def played(one: Player) -> list[tuple[str, float, str]]:
    return [(row["kind"], row["rate_per_s"], row["answer"]) for row in one.rows]


def steps() -> StepSearch:
    return StepSearch(start=100, step=100, most=300, duration_s=1)


def test_a_spoilt_run_is_played_again() -> None:
    one = player(["met", "limited", "limited", "met", "met"])
    assert one.find(steps()).rate == 300
    assert [row[0] for row in played(one)] == ["trial", "trial", "again", "again", "trial"]


def test_no_answer_above_what_the_generator_can() -> None:
    one = player(["met", "limited", "limited"], retries=1)
    finding = one.find(steps())
    assert (finding.state, finding.rate, finding.limit) == ("limited", 100, 200)
    assert not one.script


def test_its_own_limit_is_the_answer_for_its_own_ceiling() -> None:
    finding = player(["met", "limited", "limited"], retries=1, own_limit=True).find(steps())
    assert (finding.state, finding.rate, finding.missed) == ("found", 100, 200)


def test_after_a_miss_the_target_is_probed_until_it_is_well() -> None:
    one = player(["missed", "missed", "limited", "met", "met", "met"])
    for rate in (2000, 500, 600):
        one.play(Trial(rate, 1))
    assert played(one) == [
        ("trial", 2000, "missed"), ("probe", 100, "missed"), ("probe", 100, "limited"),
        ("probe", 100, "met"), ("trial", 500, "met"), ("trial", 600, "met")]


def test_a_target_that_never_answers_ends_the_search_at_once() -> None:
    one = player(["silent", "met"])
    with pytest.raises(TargetError, match="never answered: only silence"):
        one.find(steps())
    assert one.script == ["met"]


def test_a_target_that_has_answered_may_fall_silent() -> None:
    assert player(["met", "silent"]).find(steps()).state == "found"


def test_a_stop_ends_the_search() -> None:
    one = player(["met"])
    one.stop()
    assert one.find(steps()).state == "unfinished"
    assert one.script == ["met"]


def test_a_row_is_a_line() -> None:
    row = {"number": 7, "kind": "trial", "rate_per_s": 500.0, "duration_s": 0.894,
           "succeeded": 447, "due": 447, "answer": "missed", "why": "late", "cut": True}
    assert row_text(row) == (
        "  7  trial       500/s   0.894 s       447 of 447  missed: late (cut short)")
