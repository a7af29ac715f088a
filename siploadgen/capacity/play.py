"""Plays the trials that a search asks for, one run each, and says how each ended."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from siploadgen.capacity.search import Answer, Finding, Search, Told, Trial
from siploadgen.errors import TargetError
from siploadgen.figures import Figures
from siploadgen.report import limits, summary
from siploadgen.report.collect import make_collector
from siploadgen.report.html.levels import headline
from siploadgen.report.thresholds import Threshold
from siploadgen.report.writers import Outputs, parse_outputs
from siploadgen.run.runner import Runner
from siploadgen.units import NANOS, format_duration, format_rate

PROBE_S = 1.0
PROBE_SHARE = 0.1  # rate of a probe, of the trial that was missed
MOST_PROBE_PER_S = 100.0
RECOVERY_NS = 60 * NANOS  # how long a target may take to answer probes again
LISTED = 3  # reasons that a row names


class Ready(Protocol):
    """A run that is prepared."""

    plan: Any
    answerer: Any
    head: dict[str, Any]
    load_s: float | None


Make = Callable[[Trial], Ready]


class StoppedError(Exception):
    """Somebody stopped the search."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A run held against its goals."""

    answer: Answer
    why: str = ""


def judge(result: Mapping[str, Any]) -> Judged:
    """Say how the run of a trial ended: the generator accuses itself first."""
    verdict = result["verdict"]
    if verdict["state"] == "invalid":
        broken = [rule for rule in verdict["rules"]
                  if not rule["ok"] and rule["severity"] == "invalid"]
        broken = [rule for rule in broken if rule["name"] != "invalid_intervals"] or broken
        return Judged("limited", "; ".join(summary.rule_text(rule) for rule in broken[:LISTED]))
    counted = result["calls"]
    if counted["not_started"].get("no_user"):
        return Judged("limited", f"no user was free for {counted['not_started']['no_user']:,} "
                                 "calls; give more --users")
    if "never_answered" in result:
        return Judged("missed", f"no answer: {result['never_answered']}")
    failed = [row for row in result["thresholds"]
              if not row["ok"] and row.get("severity") != "warn"]
    why = [f"{row['expression']} (measured {summary.number_text(row['value'])})"
           for row in failed[:LISTED]]
    if counted["failed"] and failed:
        why.append(", ".join(f"{count:,} {name}" for name, count in counted["failed"].items()))
    if counted["in_progress"]:
        why.append(f"{counted['in_progress']:,} calls never ended")
    return Judged("missed" if why else "met", "; ".join(why))


def allowed_failures(goals: Sequence[Threshold], trial: Trial) -> float | None:
    """Return how many calls may fail before a trial is lost for certain; None when any may.

    >>> from siploadgen.report.thresholds import parse_threshold
    >>> allowed_failures([parse_threshold("failed: rate < 1%")], Trial(100, 5))
    5.0
    """
    planned = trial.attempts or trial.rate * trial.duration_s
    most: list[float] = []
    for goal in goals:
        whole = not goal.tags and goal.phase is None and goal.window_ns is None
        whole = whole and goal.severity == "fail"
        zero = goal.op == "==" and goal.limit == 0
        if goal.metric == "calls.failed" and whole and (goal.op in ("<", "<=") or zero):
            share = {"%": planned, "/s": trial.duration_s}.get(goal.unit, 1.0)
            most.append(goal.limit * share)
    return min(most, default=None)


class _Hopeless:
    """Ends a trial that is lost whatever is still to come."""

    def __init__(self, stop: Callable[[], None], outcomes: Callable[[Figures], int],
                 allowed: float) -> None:
        self._stop, self._failed, self._allowed = stop, outcomes, allowed
        self._count = 0
        self.cut = False

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Count the failures of one interval."""
        self._count += self._failed(figures)
        if not self.cut and row["state"] == "running" and self._count > self._allowed:
            self.cut = True
            self._stop()

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Ignore them."""


@dataclass(slots=True)
class Player:
    """Plays trials; keeps a row for each run.

    `settle_ns` is the rest between trials. After one that was missed, probes at a low rate go on
    until one meets the goals. A run that the generator spoilt is played again `retries` times.
    With `own_limit` the generator's limit is the answer, not the end: for its own ceiling.
    """

    make: Make
    goals: Sequence[Threshold]
    limit_values: Mapping[str, float]
    folder: Path | None = None
    settle_ns: int = NANOS
    retries: int = 2
    own_limit: bool = False
    show: Callable[[str], None] = lambda _: None
    rows: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    sleep: Callable[[float], None] = time.sleep
    _runner: Runner | None = None
    _stopped: int = 0
    _last: Answer | None = None
    _answered: bool = False

    def stop(self) -> None:
        """End the search: the run that goes on is drained first, a second time at once."""
        self._stopped += 1
        self._cut()

    def _cut(self) -> None:
        """End the run that goes on; who asks must not hold it, and with it its engines' memory."""
        if self._runner is not None:
            self._runner.stop()

    @property
    def stopped(self) -> bool:
        """True once somebody asked for an end."""
        return self._stopped > 0

    def find(self, search: Search) -> Finding:
        """Carry a search out. Raises TargetError when the target does not come back."""
        try:
            while (trial := search.ask()) is not None:
                search.tell(self.play(trial))
        except StoppedError:
            pass
        return search.finding()

    def play(self, trial: Trial) -> Told:
        """Play a trial until it says something. Raises TargetError for a target that is silent."""
        self._settle()
        for attempt in range(self.retries + 1):
            result, judged = self._run(trial, "trial" if not attempt else "again")
            if judged.answer != "limited":
                break
        if "never_answered" in result and not self._answered:
            raise TargetError(f"{result['target']['uri']} never answered: "
                              f"{result['never_answered']}")
        self._answered = True
        self._last = judged.answer
        length_s = result["load_s"]
        good = result["calls"]["succeeded"] / length_s if length_s else None
        if judged.answer == "limited" and self.own_limit:
            return Told("missed", None)
        return Told(judged.answer, good)

    def _settle(self) -> None:
        """Let the target rest; after a trial that was missed wait until it answers as it should."""
        if self._last is None:
            return
        self._pause()
        if self._last == "met" or self.own_limit:
            return
        rate = max(1.0, min(self.rows[-1]["rate_per_s"] * PROBE_SHARE, MOST_PROBE_PER_S))
        deadline = time.monotonic_ns() + RECOVERY_NS
        while True:
            _, judged = self._run(Trial(rate, max(PROBE_S, 1 / rate)), "probe")
            if judged.answer == "met":
                return
            if time.monotonic_ns() > deadline:
                raise TargetError(
                    f"{format_duration(RECOVERY_NS)} after a trial that was missed the target "
                    f"still does not meet the goals at {format_rate(rate)} ({judged.why}); restart "
                    "it, or lower --max")
            self._pause()

    def _pause(self) -> None:
        if self._stopped:
            raise StoppedError
        self.sleep(self.settle_ns / NANOS)

    def _run(self, trial: Trial, kind: str) -> tuple[dict[str, Any], Judged]:
        """Play one run and keep its row."""
        if self._stopped:
            raise StoppedError
        number = len(self.rows) + 1
        place = None if self.folder is None else self.folder / f"{number:03}" / "run.json"
        result, cut = self._carry_out(self.make(trial), trial, place)
        judged = judge(result)
        row = _row(number, kind, trial, result, judged, cut)
        if place is not None and self.folder is not None:
            row["file"] = str(place.relative_to(self.folder.parent))
        self.rows.append(row)
        self.results.append(result)
        self.show(row_text(row))
        if self._stopped:
            raise StoppedError
        return result, judged

    def _carry_out(self, ready: Ready, trial: Trial, place: Path | None,
                   ) -> tuple[dict[str, Any], bool]:
        """Return the object of run.json, and whether the run was cut short for its failures."""
        collector = make_collector(ready.plan.program, thresholds=self.goals,
                                   limit_values=self.limit_values, series=ready.plan.series)
        files = Outputs(parse_outputs([] if place is None else [f"json={place}"]),
                        collector.names, time.time())
        runner = self._runner = Runner(ready.plan, observer=collector, answerer=ready.answerer)
        allowed = allowed_failures(self.goals, trial)
        hopeless = None
        if allowed is not None and not self.own_limit:
            bad = [index for index, (_, ok) in collector.names.outcomes.items() if not ok]
            hopeless = _Hopeless(self._cut, lambda figures: int(figures.outcomes[bad].sum()),
                                 allowed)
            collector.writers.append(hopeless)
        if self._stopped:
            runner.stop()
        try:
            if ready.answerer is not None:
                ready.answerer.start()
            record = runner.run()
        finally:
            self._runner = None
            if ready.answerer is not None:
                ready.answerer.stop()
            files.close()
        result = collector.result(record, head=ready.head,
                                  load_s=None if record.interrupted else ready.load_s)
        files.finish(result)
        return result, hopeless is not None and hopeless.cut


def _row(number: int, kind: str, trial: Trial, result: Mapping[str, Any], judged: Judged,
         cut: bool) -> dict[str, Any]:
    counted, metrics = result["calls"], result["metrics"]
    first = main_delay(metrics)
    return {
        "number": number, "kind": kind, "rate_per_s": trial.rate,
        "duration_s": round(trial.duration_s, 3), "attempts": trial.attempts,
        "answer": judged.answer, "why": judged.why, "cut": cut,
        "due": counted["due"], "succeeded": counted["succeeded"],
        "failed": sum(counted["failed"].values()), "good_per_s": result["rate"]["succeeded_per_s"],
        "retransmitted": result["messages"]["retransmitted"],
        "delay": first, "delay_p99_us": metrics[first]["p99_us"] if first else None,
        "verdict": result["verdict"]["state"], **_own(result), "file": None,
    }


def main_delay(metrics: Mapping[str, Any]) -> str | None:
    """Return the name of the delay that a row shows: that of the RFC, or the model's first."""
    known = next((name for name in ("srd", "rrd") if name in metrics), None)
    return known or headline({"metrics": metrics})


def _own(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what bears on how honest the generator was: its lateness, its load, its losses."""
    own = result.get("generator", {})
    return {"late_p99_us": own.get("send_late_p99_us"), "loop_busy": own.get("loop_busy"),
            "receive_drops": own.get("receive_drops")}


def row_text(row: Mapping[str, Any]) -> str:
    """Return a run of the search as a line."""
    text = (f"{row['number']:>3}  {row['kind']:<5}  {format_rate(row['rate_per_s']):>10}  "
            f"{row['duration_s']:>6.3g} s  {row['succeeded']:>8,} of {row['due']:,}  "
            f"{row['answer']}")
    return text + (f": {row['why']}" if row["why"] else "") + (" (cut short)" if row["cut"] else "")


def default_limits(texts: Sequence[str]) -> dict[str, float]:
    """Read --limit."""
    return limits.parse_limits(texts)
