"""Load levels of a run: what was offered, what came of it, and which of its goals each level meets.

A level is a measured phase. Its calls are those that were due in it, however late they end, so that
offered and succeeded are of the same calls.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.report import histogram
from siploadgen.report.histogram import Counts
from siploadgen.report.history import History, Point
from siploadgen.report.thresholds import Threshold, parse_threshold

GOODPUT = 0.99  # of what is offered, where the run has no goals of its own
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_STEADY = ("constant-arrival-rate", "constant-calls", "shared-calls", "per-user")
_Z = 1.96  # of a normal distribution: 95 % lie within


@dataclass(frozen=True, slots=True)
class Goal:
    """A threshold of the run, applied to one level. `value` is None when it has none there."""

    expression: str
    value: float | None
    ok: bool


@dataclass(frozen=True, slots=True)
class Level:
    """One load level. Rates per second, latencies in microseconds, shares from 0 to 1."""

    name: str
    start_s: float
    length_s: float
    steady: bool
    due: int
    started: int
    succeeded: int
    failed: Mapping[str, int]
    latency: Mapping[str, float]  # p50 ... p99.9, max, mean of the headline latency
    p99_range: tuple[int, int] | None
    service_mean_us: float | None
    open_calls: float | None
    messages_per_s: float | None
    retransmitted_per_s: float | None
    ratios: Mapping[str, float | None]
    goals: tuple[Goal, ...]

    @property
    def offered_per_s(self) -> float:
        """Calls that were due."""
        return self.due / self.length_s

    @property
    def ok_per_s(self) -> float:
        """Calls that were due in the level and went well."""
        return self.succeeded / self.length_s

    @property
    def failed_share(self) -> float:
        """Share of the started calls that failed."""
        return sum(self.failed.values()) / self.started if self.started else 0.0

    @property
    def good(self) -> bool:
        """True when every goal is met; without goals when 99 % of what was offered went well."""
        if self.goals:
            return all(goal.ok for goal in self.goals)
        return self.due > 0 and self.succeeded >= GOODPUT * self.due


def headline(result: Mapping[str, Any]) -> str | None:
    """Return the name of the latency that a reader looks at first; None when there is none."""
    return next((name for name, found in result["metrics"].items()
                 if found["from"] == "due" and name != "lateness" and found["count"]), None)


def measured_phases(result: Mapping[str, Any]) -> dict[str, bool]:
    """Return for each phase whether it is measured."""
    return {name: found["measured"] for name, found in result.get("phases", {}).items()}


def spans(result: Mapping[str, Any]) -> dict[str, tuple[float, float, bool]]:
    """Return begin and end of each phase (s), and whether its load stays the same throughout.

    A phase that several workloads have reaches from its first to its last. Phases of a workload
    that waits for another one have no time that the plan knows: they are left out.
    """
    end_of_load = float(result["load_s"])
    found: dict[str, tuple[float, float, bool]] = {}
    for work in result["plan"].get("scenarios", ()):
        if work.get("start_after"):
            continue
        for phase in work.get("phases", ()):
            start = float(phase["start_s"])
            planned = end_of_load if phase["end_s"] is None else float(phase["end_s"])
            end = min(planned, end_of_load)
            if end <= start:
                continue
            steady = _steady(work, start, planned)
            if phase["name"] in found:
                first, last, before = found[phase["name"]]
                start, end, steady = min(first, start), max(last, end), steady and before
            found[phase["name"]] = (start, end, steady)
    return found


def _steady(work: Mapping[str, Any], start_s: float, end_s: float) -> bool:
    """Tell whether a workload offers the same load from begin to end of a phase."""
    kind = work["executor"]
    if kind in _STEADY:
        return True
    if kind == "stairs":
        at = next((phase for phase in work["phases"] if phase["start_s"] == start_s), None)
        return at is not None and not at["name"].startswith("ramp-")
    if kind not in ("ramping-arrival-rate", "ramping-calls"):
        return False
    at_s = max((phase["end_s"] for phase in work["phases"] if not phase["measured"]), default=0.0)
    before = work.get("start_rate_per_s", work.get("start_calls", 0))
    if start_s < at_s:
        return True  # a warm-up
    held: set[float] = set()
    for stage in work["stages"]:
        target = stage.get("target_per_s", stage.get("target"))
        ends = math.inf if stage["duration_s"] is None else at_s + stage["duration_s"]
        if ends > start_s + 1e-9 and at_s < end_s - 1e-9:
            held |= {target} if stage["shape"] == "step" else {before, target}
        before, at_s = target, ends
    return len(held) == 1


def levels(result: Mapping[str, Any], history: History) -> list[Level]:
    """Return the measured phases in the order of time; a run without phases is one level."""
    name = headline(result)
    goals = _goals(result)
    phases = result.get("phases") or {"main": {
        "calls": result["calls"], "metrics": result["metrics"], "measured": True}}
    times = spans(result) or {key: (0.0, float(result["load_s"]), True) for key in phases}
    found = []
    for phase, (start_s, end_s, steady) in sorted(times.items(), key=lambda item: item[1]):
        part = phases.get(phase)
        if part is None or not part["measured"] or end_s <= start_s or not part["calls"]["due"]:
            continue
        calls, latencies = part["calls"], part["metrics"]
        counts = history.phase(name, phase, len(phases) == 1) if name else None
        inside = [point for point in history.points
                  if start_s <= point.start_s + point.length_s / 2 < end_s]
        found.append(Level(
            phase, start_s, end_s - start_s, steady, calls["due"], calls["started"],
            calls["succeeded"], calls["failed"],
            _latency(latencies.get(name or "", {})),
            None if counts is None else percentile_range(counts, 99.0),
            latencies.get(f"{name}_service", {}).get("mean_us"),
            _mean(inside, "open"), _mean(inside, "messages"), _mean(inside, "retransmitted"),
            part.get("rfc6076", {}), tuple(_apply(goal, part, counts, name) for goal in goals)))
    return found


def _latency(found: Mapping[str, Any]) -> dict[str, float]:
    return {key.removesuffix("_us"): value for key, value in found.items()
            if key.endswith("_us") and value is not None}


def _mean(points: Sequence[Point], what: str) -> float | None:
    length_s = sum(point.length_s for point in points)
    if not length_s:
        return None
    if what == "open":
        return sum(point.open_calls * point.length_s for point in points) / length_s
    names = ("sent", "received") if what == "messages" else (what,)
    return sum(point.counts[name] for point in points for name in names) / length_s


def percentile_range(counts: Counts, percent: float) -> tuple[int, int] | None:
    """Return where a percentile lies with 95 % confidence, microseconds; None for too few values.

    By ranks: of n independent values as many as a binomial distribution says lie below it, whatever
    their own distribution. Calls of one run depend on each other, so the truth is rather wider.
    """
    held = histogram.count(counts)
    share = percent / 100
    middle, spread = held * share, _Z * math.sqrt(held * share * (1 - share))
    if held == 0 or middle + spread > held or middle - spread < 1:
        return None
    low, high = histogram.percentiles(counts, [100 * (middle - spread) / held,
                                               100 * (middle + spread) / held])
    return int(low), int(high)


def _goals(result: Mapping[str, Any]) -> list[Threshold]:
    """Return the thresholds that can be applied to each level by itself."""
    found = []
    for row in result["thresholds"]:
        try:
            goal = parse_threshold(row["expression"])
        except UsageError:  # of a later version
            continue
        if goal.window_ns is None and goal.phase is None and not goal.tags and (
                row.get("severity", "fail") == "fail"):
            found.append(goal)
    name = headline(result)
    known = {"calls.failed", "calls.succeeded", "ser", "seer", "isa", *([name] if name else [])}
    return [goal for goal in found if goal.metric in known and goal.aggregate not in (
        "count", "min") and goal.unit != "/s"]


def _apply(goal: Threshold, part: Mapping[str, Any], counts: Counts | None,
           name: str | None) -> Goal:
    calls, value = part["calls"], None
    if goal.metric == "calls.failed":
        value = _share(sum(calls["failed"].values()), calls["started"])
    elif goal.metric == "calls.succeeded":
        value = _share(calls["succeeded"], calls["started"])
    elif goal.metric in part.get("rfc6076", {}):
        value = part["rfc6076"][goal.metric]
    elif goal.metric == name:
        value = _time(goal, part["metrics"][name], counts)
    return Goal(goal.expression, value, goal.holds(value))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _time(goal: Threshold, found: Mapping[str, Any], counts: Counts | None) -> float | None:
    """Return what a threshold of a latency measures, in seconds."""
    percent = 50.0 if goal.aggregate == "med" else goal.percent
    key = {"avg": "mean_us", "max": "max_us"}.get(goal.aggregate, f"p{percent:g}_us")
    if key in found:
        value = found[key]
    elif counts is not None and counts.any():
        value = float(histogram.percentiles(counts, [percent])[0])
    else:
        value = None
    return None if value is None else value / 1e6


def knee(found: Sequence[Level]) -> Level | None:
    """Return the highest steady level that is good, all lower ones being good too."""
    best = None
    for level in sorted((one for one in found if one.steady), key=lambda one: one.offered_per_s):
        if not level.good:
            break
        best = level
    return best
