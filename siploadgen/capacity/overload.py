"""The overload curve: what a target still carries above its knee, and when it recovers.

Goodput is what ends well. The knee is the highest level on the way up that was carried as offered;
the target collapses at the first level above whose goodput falls below a share of the peak;
recovery is counted from when the offered rate is back at the knee.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from siploadgen.capacity.play import main_delay
from siploadgen.figures import Figures
from siploadgen.report import metrics
from siploadgen.units import NANOS, format_duration, format_rate

SCHEMA = "siploadgen/overload/1"
CARRIED = 0.99  # share of the offered calls that end well where a level is carried
COLLAPSED = 0.90  # share of the peak goodput below which the target has collapsed
RECOVERED = 0.95  # share of the offered rate that goodput has again
STEADY_S = 3.0  # ... for so long
RESOLUTION_S = 1.0  # length of the intervals that recovery is read from


@dataclass(frozen=True, slots=True)
class Step:
    """A level of the sweep: its phase, offered rate, start and length in seconds."""

    phase: str
    rate_per_s: float
    start_s: float
    length_s: float
    up: bool

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True)
class Level:
    """What became of the calls that were due in a step."""

    phase: str
    offered_per_s: float
    goodput_per_s: float
    failed: int
    up: bool
    limited: bool  # the generator was the limit in a second of it
    p99_us: int | None = None


def sweep(low: float, high: float, levels: int, level_s: float, rest_s: float) -> list[Step]:
    """Return the stairs: up from `low` to `high`, down again, and a rest at `low`.

    >>> [step.rate_per_s for step in sweep(100, 300, 3, 1, 2)]
    [100.0, 200.0, 300.0, 200.0, 100.0, 100.0]
    """
    rates = [low + (high - low) * number / (levels - 1) for number in range(levels)]
    steps: list[Step] = []
    for number, rate in enumerate([*rates, *rates[-2::-1]]):
        up = number < levels
        name = f"up-{number + 1}" if up else f"down-{number + 1 - levels}"
        steps.append(Step(name, float(rate), number * level_s, level_s, up))
    steps.append(Step("rest", float(low), len(steps) * level_s, rest_s, False))
    return steps


@dataclass(slots=True)
class Seconds:
    """Keeps what happened in each second of the run: a writer of the collector."""

    names: metrics.Names
    rows: list[dict[str, float]] = field(default_factory=list)
    spoilt: list[tuple[float, float]] = field(default_factory=list)  # seconds that are invalid

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:  # noqa: ARG002
        """Keep an interval."""
        length = row["length_s"]
        calls = row["calls"]
        self.rows.append({
            "t_s": row["t_s"], "length_s": length, "due_per_s": round(calls["due"] / length, 3),
            "goodput_per_s": round(calls["succeeded"] / length, 3),
            "failed_per_s": round(sum(calls["failed"].values()) / length, 3),
            "open": calls["in_progress"]})
        if row["verdict"]["state"] == "invalid":
            self.spoilt.append((row["t_s"], row["t_s"] + length))

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Ignore them."""


def levels_of(steps: Sequence[Step], phases: Mapping[str, Any],
              spoilt: Sequence[tuple[float, float]]) -> list[Level]:
    """Return the levels, from the phases of run.json."""
    found = []
    for step in steps:
        counted, latencies = phases[step.phase]["calls"], phases[step.phase]["metrics"]
        name = main_delay(latencies)
        first = None if name is None else latencies[name]["p99_us"]
        found.append(Level(
            step.phase, round(counted["due"] / step.length_s, 3),
            round(counted["succeeded"] / step.length_s, 3), sum(counted["failed"].values()),
            step.up, any(start < step.end_s and end > step.start_s for start, end in spoilt),
            first))
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """What a sweep says. Rates a second, times in seconds; None: not seen."""

    knee_per_s: float | None
    peak_per_s: float
    peak_at_per_s: float
    collapse_per_s: float | None
    collapse_goodput_per_s: float | None
    overload_goodput_per_s: float  # at the top of the stairs
    recovery_s: float | None
    limited_per_s: float | None  # lowest level on the way up that the generator spoilt
    back_s: float | None = None  # when the offered rate was back at the knee


def analyse(levels: Sequence[Level], steps: Sequence[Step], seconds: Sequence[Mapping[str, float]],
            hold_s: float = 0.0) -> Curve:
    """Find knee, peak, collapse and recovery. `hold_s`: how long a call lasts that goes well."""
    climb = [one for one in levels if one.up]
    limited = next((one.offered_per_s for one in climb if one.limited), None)
    honest = climb if limited is None else climb[: next(
        number for number, one in enumerate(climb) if one.limited)]
    knee = None
    for one in honest:
        if one.goodput_per_s < CARRIED * one.offered_per_s:
            break
        knee = one.offered_per_s
    peak = max(honest, key=lambda one: one.goodput_per_s, default=None)
    fallen = None if peak is None else next(
        (one for one in honest[honest.index(peak) + 1:]
         if one.goodput_per_s < COLLAPSED * peak.goodput_per_s), None)
    back = None
    if limited is None and knee is not None and knee < climb[-1].offered_per_s:
        back = next((step.start_s for step in steps
                     if not step.up and step.rate_per_s <= knee * 1.001), None)
    return Curve(
        knee, peak.goodput_per_s if peak else 0.0, peak.offered_per_s if peak else 0.0,
        fallen.offered_per_s if fallen else None, fallen.goodput_per_s if fallen else None,
        honest[-1].goodput_per_s if honest else 0.0,
        None if back is None else _recovery(steps, seconds, back, hold_s), limited, back)


def _recovery(steps: Sequence[Step], seconds: Sequence[Mapping[str, float]], back: float,
              hold_s: float) -> float | None:
    """Return the time from the first step back at the knee until goodput is steady again."""
    end = steps[-1].end_s
    good_since = None
    for row in seconds:
        start, until = row["t_s"], row["t_s"] + row["length_s"]
        if start < back or until > end + 0.5:
            continue
        offered = _offered(steps, start - hold_s, until - hold_s)
        if row["goodput_per_s"] < RECOVERED * offered:
            good_since = None
        elif good_since is None:
            good_since = start
        if good_since is not None and until - good_since >= STEADY_S - 0.5:
            return round(max(good_since - back, 0.0), 3)
    return None


def _offered(steps: Sequence[Step], start_s: float, end_s: float) -> float:
    """Return the mean offered rate of a stretch of time."""
    calls = sum(step.rate_per_s * max(0.0, min(end_s, step.end_s) - max(start_s, step.start_s))
                for step in steps)
    return calls / (end_s - start_s)


def curve_lines(curve: Curve) -> list[tuple[str, str]]:
    """Return label and text of what was found."""
    collapse = "not seen: goodput stays near its peak"
    if curve.collapse_per_s is not None:
        collapse = (f"at {format_rate(curve.collapse_per_s)} offered, where goodput is "
                    f"{format_rate(curve.collapse_goodput_per_s or 0)}")
    recovery = "not seen"
    if curve.recovery_s is not None and curve.recovery_s < RESOLUTION_S:
        recovery = "at once: within a second of the offered rate being back at the knee"
    elif curve.recovery_s is not None:
        recovery = (f"{format_duration(curve.recovery_s * NANOS)} after the offered rate was back "
                    "at the knee")
    lines = [
        ("knee", "none: even the lowest level was not carried" if curve.knee_per_s is None
         else f"{format_rate(curve.knee_per_s)}, the highest level carried as offered"),
        ("peak", f"goodput {format_rate(curve.peak_per_s)} at {format_rate(curve.peak_at_per_s)} "
                 "offered"),
        ("overload", f"goodput {format_rate(curve.overload_goodput_per_s)} at the highest level"),
        ("collapse", collapse), ("recovery", recovery)]
    if curve.limited_per_s is not None:
        lines.insert(0, ("LIMITED", f"at {format_rate(curve.limited_per_s)} the generator or its "
                                    "host, not the target, made the numbers; nothing is said "
                                    "about this level and above"))
    return lines


def report_data(result: Mapping[str, Any], levels: Sequence[Level], curve: Curve,
                seconds: Sequence[Mapping[str, float]], code: int) -> dict[str, Any]:
    """Return the object of overload.json."""
    return {"schema": SCHEMA, "scenario": result["scenario"],
            "target": {name: result["target"][name] for name in (
                "uri", "transport", "address", "embedded")},
            "curve": asdict(curve), "levels": [asdict(one) for one in levels],
            "seconds": list(seconds), "verdict": result["verdict"]["state"],
            "started_at": result["started_at"], "command": result["command"],
            "environment": result["environment"], "exit_code": code,
            "run": {name: result[name] for name in (
                "plan", "calls", "load_s", "elapsed_s", "interrupted", "messages", "metrics",
                "generator", "thresholds", "answerer", "hook_failures") if name in result}
            | {"verdict": {name: result["verdict"].get(name) for name in (
                "state", "rules", "strict", "stopped_by")}}}


_HEAD = ("level", "offered", "goodput", "share", "failed", "p99")


def _cells(row: Mapping[str, Any]) -> list[str]:
    share = row["goodput_per_s"] / row["offered_per_s"] if row["offered_per_s"] else 0.0
    delay = "-" if row["p99_us"] is None else format_duration(row["p99_us"] * 1000)
    return [row["phase"] + (" (generator)" if row["limited"] else ""),
            format_rate(row["offered_per_s"]), format_rate(row["goodput_per_s"]), f"{share:.1%}",
            f"{row['failed']:,}", delay]


def as_text(data: Mapping[str, Any]) -> str:
    """Return the report for a terminal: what was found, and the curve as bars."""
    curve = Curve(**data["curve"])
    lines = [f"{label:<9} {text}" for label, text in curve_lines(curve)] + [""]
    rows = [_cells(row) for row in data["levels"]]
    top = max((row["goodput_per_s"] for row in data["levels"]), default=0.0) or 1.0
    widths = [max(len(line[column]) for line in [list(_HEAD), *rows])
              for column in range(len(_HEAD))]
    lines.append("  ".join(cell.rjust(width) for cell, width in zip(_HEAD, widths, strict=True)))
    for cells, row in zip(rows, data["levels"], strict=True):
        bar = "#" * round(30 * row["goodput_per_s"] / top)
        lines.append("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
                     + f"  {bar}")
    return "\n".join(lines) + "\n"


def as_markdown(data: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [f"# Overload: {data['scenario']['name']} to {data['target']['uri']}", "",
             "| | |", "|---|---|"]
    lines += [f"| {label} | {text} |" for label, text in curve_lines(Curve(**data["curve"]))]
    lines += ["", "| " + " | ".join(_HEAD) + " |", "|---|" + "---:|" * (len(_HEAD) - 1)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in data["levels"]]
    about = data["environment"]
    lines += ["", f"`{' '.join(data['command'])}`  ", f"{data['started_at']}, {about['cpu']}, "
              f"{about['cores']} cores, {about['kernel']}, siploadgen {about['version']}"]
    return "\n".join(lines) + "\n"


def as_json(data: Mapping[str, Any]) -> str:
    """Return the report as JSON."""
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


RENDER = {"brief": as_text, "text": as_text, "md": as_markdown, "json": as_json}
