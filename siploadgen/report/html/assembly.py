"""Puts the page together: texts, tables, charts, the chart library and the styles into one file."""

import base64
import csv
import gzip
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from siploadgen.report import summary
from siploadgen.report.history import History, Point
from siploadgen.report.html import charts, conditions, parts
from siploadgen.report.html.levels import Level, headline, knee, levels
from siploadgen.report.html.usl import Fit, fit
from siploadgen.report.thresholds import parse_threshold
from siploadgen.units import NANOS, format_duration, format_rate

_CONTENTS = (
    ("answer", "Answer"), ("response", "Load and response"), ("steps", "Steps"),
    ("model", "Model and forecast"), ("calculator", "Calculator"), ("timeline", "Time line"),
    ("spectrum", "Percentiles"), ("failures", "Failures"), ("registrations", "Registrations"),
    ("thresholds", "Thresholds"), ("honesty", "Generator"), ("conditions", "Conditions"))
_REMAKE = Markup(", then <code>siploadgen report RUN/ -o html</code> makes this page again, "
                 "with them.")
_HOLD_S = 120  # mean holding time of a call where the run has none to offer


def page(result: Mapping[str, Any], history: History, *, library: bool = True) -> str:
    """Return the whole page of a run.

    `library`: charts are wanted; they are left out, with a word on the mend, when the plotly
    package is not installed.
    """
    steps = levels(result, history)
    best = knee(steps)
    steady = [level for level in steps if level.steady]
    law, points = _law(steady)
    drawn = _charts(result, history, steady, best, law, points)
    said, more = parts.answer(result, steps, best)
    state = result["verdict"]["state"]
    rows = parts.threshold_rows(result)
    verdict = [line.strip(" -") for line in summary.verdict_lines(result)[1:]]
    context = {
        **headings(result), "title": f"{result['scenario']['name']}: {state}",
        "source": "the result of the run",
        "remake": _REMAKE, "result": result, "state": state, "headline": summary.headline(result),
        "contents": _CONTENTS, "said": said, "more": more, "notes": parts.notes(result),
        "verdict": verdict, "tiles": _tiles(result), "clock": headline(result) or "the latency",
        "response_missing": _response_missing(result, steady),
        "levels": steps, "goals": any(level.goals for level in steps),
        "ratios": list(dict.fromkeys(name for level in steps for name in level.ratios)),
        "workloads": _workloads(result),
        "latency_head": summary.LATENCY_HEAD, "latencies": summary.latency_rows(result),
        "law": None if law is None else {
            "poor": law.poor, "r2": law.r2, "levels": len(points), "rows": parts.law_rows(law)},
        "law_missing": parts.law_missing(steps, max((load for _, load, _ in points), default=0)),
        "calculator": _calculator(result, best),
        "resolution": _resolution(history), "doubts": _doubts(history),
        "no_intervals": "The course of the run was not kept: there are no intervals.",
        "no_histograms": "There is no histogram: no latency was measured, or hist.hlog is missing.",
        "failed": parts.failed_rows(result), "responses": parts.responses(result),
        "wrong_steps": parts.step_rows(result), "evidence": _evidence(history),
        "recorded": f"{history.failures:,}",
        "registrations": parts.registrations(result), "thresholds": rows,
        "broken": sum(row["state"] == "FAIL" for row in rows), "rules": parts.rule_rows(result),
        "honesty": parts.honesty(result), "form": conditions.form(result),
        "host": conditions.host(result), "definitions": conditions.DEFINITIONS,
        "messages": summary.message_lines(result), "command": shlex.join(result["command"]),
        "configuration": json.dumps({"plan": result["plan"], **{
            "settings": result["scenario"]["settings"]}}, indent=1, ensure_ascii=False),
    }
    return document("page.html", context, drawn, {
        "run.json": ("application/json", json.dumps(result, indent=2)),
        "timeline.csv": ("text/csv", _table(history, headline(result)))}, library=library)


def headings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands above every page, from an object with environment, time and exit code."""
    about = data["environment"]
    return {"version": about["version"], "kernel": about["kernel"],
            "started_at": data["started_at"], "exit_code": data["exit_code"]}


def document(template: str, context: Mapping[str, Any], drawn: Sequence[charts.Chart],
             contained: Mapping[str, tuple[str, str]], *, library: bool = True) -> str:
    """Return a page of one file: a template filled in, its charts and the files it can give away.

    `contained` has kind and text of each by name. Without `library`, or without the plotly
    package, the page has no charts.
    """
    script = _library() if library and drawn else None
    return _environment().get_template(template).render({
        **context, "files": list(contained),
        "charts": {one["id"]: one["height"] for one in drawn},
        "style": _text("style.css"), "script": _text("page.js"),
        "calculator_script": _text("calculator.js"),
        "library": script, "library_name": _library_name(),
        "data": _packed(json.dumps({"charts": drawn, "files": {
            name: {"kind": kind, "text": text} for name, (kind, text) in contained.items()}},
            allow_nan=False, separators=(",", ":")).encode())})


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: str(_text(name))), autoescape=True,
        undefined=jinja2.StrictUndefined)
    found.filters |= {
        "us": parts.duration, "percent": parts.percent,
        "rate": lambda value: "–" if value is None else format_rate(value),
        "whole": lambda value: "–" if value is None else f"{value:,.0f}"}
    return found


def _text(name: str) -> Markup:
    """Return a file of this package: ours, so nothing in it is to be escaped."""
    return Markup((files(__package__) / "templates" / name).read_text(encoding="utf-8"))


def _packed(octets: bytes) -> Markup:
    """Compress octets and write them in letters that need no escape; the same each time.

    Level 4: of the chart library 9 leaves out a further 4 %, for more than twice the time.
    """
    return Markup(base64.b64encode(gzip.compress(octets, 4, mtime=0)).decode("ascii"))


def _library() -> Markup | None:
    """Return the chart library, packed; None when its package is not there."""
    spec = find_spec("plotly")  # its Python code is not needed, and takes long to import
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return _packed_file(path) if path.is_file() else None


@cache
def _packed_file(path: Path) -> Markup:
    return _packed(path.read_bytes())


def _library_name() -> str:
    try:
        return f"Plotly (Python package {version('plotly')})"
    except PackageNotFoundError:
        return "Plotly"


def _law(steady: list[Level]) -> tuple[Fit | None, list[tuple[str, float, float]]]:
    """Fit the levels; with each its name, calls at work (Little's law) and throughput."""
    points = [(level.name, level.ok_per_s * level.service_mean_us / 1e6, level.ok_per_s)
              for level in steady if level.service_mean_us and level.succeeded]
    if not points:
        return None, points
    import numpy as np

    return fit(np.array([load for _, load, _ in points]),
               np.array([rate for _, _, rate in points])), points


def _charts(result: Mapping[str, Any], history: History, steady: list[Level],
            best: Level | None, law: Fit | None,
            points: list[tuple[str, float, float]]) -> list[charts.Chart]:
    goals = [parse_threshold(goal.expression) for goal in (steady[0].goals if steady else ())]
    found = [
        charts.response(steady, best, goals) if len(steady) > 1 else None,
        None if law is None else charts.law(
            law, [load for _, load, _ in points], [rate for _, _, rate in points],
            [name for name, _, _ in points]),
        charts.timeline(result, history), charts.heat(result, history),
        charts.spectrum(result, history), charts.failures(history)]
    return [one for one in found if one is not None]


def _tiles(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    counted, rate = result["calls"], result["rate"]
    failed = sum(counted["failed"].values())
    share = parts.percent(failed / (counted["started"] or 1))
    rows = [("calls started", f"{counted['started']:,}"), (f"failed ({share})", f"{failed:,}")]
    if rate["started_per_s"] is not None:
        rows.append(("started, mean", format_rate(rate["started_per_s"])))
    name = headline(result)
    if name is not None:
        found = result["metrics"][name]
        rows += [(f"{name} p50", parts.duration(found["p50_us"])),
                 (f"{name} p99", parts.duration(found["p99_us"]))]
    rows += [(key.upper(), parts.percent(value, 4)) for key, value in result["rfc6076"].items()
             if value is not None]
    return rows


def _response_missing(result: Mapping[str, Any], steady: list[Level]) -> str:
    if result["plan"].get("role") == "answerer":
        return "This is the answering side: the caller's report has the curve."
    return ("A curve needs load levels that stay the same for a while; this run has "
            f"{'one' if len(steady) == 1 else 'none'}. The executor stairs makes them, and so do "
            "stages that hold a rate.")


def _workloads(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [(name, *(f"{part['calls'][key]:,}" for key in ("due", "started", "succeeded")),
             f"{sum(part['calls']['failed'].values()):,}")
            for name, part in result.get("scenarios", {}).items()]


def _calculator(result: Mapping[str, Any], best: Level | None) -> dict[str, str]:
    """Return what the calculator begins with: the run's own rate and capacity."""
    rate = best.offered_per_s if best else result["rate"].get("succeeded_per_s") or 0.0
    held = result["metrics"].get("sdt", {})
    return calculator(rate, held["mean_us"] / 1e6 if held.get("count") else None,
                      rate if result["verdict"]["state"] != "invalid" else 0.0)


def calculator(rate: float, hold_s: float | None, capacity: float) -> dict[str, str]:
    """Return what the calculator begins with, from a rate and a capacity, both a second."""
    hold = hold_s or _HOLD_S
    erlangs = rate * hold
    return {"bhca": f"{rate * 3600:.0f}", "hold": f"{hold:.4g}", "capacity": f"{capacity:.6g}",
            "lines": f"{erlangs * 1.05 + 5:.0f}"}


def _resolution(history: History) -> str:
    if history.merged == 1:
        return "Each point is one interval of the run."
    point = history.points[0]
    return (f"To keep the page small each point is {history.merged} intervals "
            f"({format_duration(point.length_s * NANOS)}) added up: {history.intervals:,} "
            f"intervals in {len(history.points):,} points. Counts and histograms are added, so "
            "percentiles are those of all calls of a point; what is shorter than a point shows in "
            "its maximum. intervals.ndjson has every interval.")


def _doubts(history: History) -> str:
    """Say in words which time is marked."""
    found = [point for point in history.points if point.state != "valid"]
    if not found:
        return ""
    names = list(dict.fromkeys(name for point in found for name in point.rules))
    return (f"{len(found):,} of {len(history.points):,} points are marked as suspect or invalid, "
            f"because of: {', '.join(names)}.")


def _evidence(history: History) -> list[dict[str, Any]]:
    rows = []
    for one in history.evidence:
        where = f" at {one['step']}" if one.get("step") else ""
        when = f", due at {one['due_s']:.3f} s" if one.get("due_s") is not None else ""
        rows.append({
            "title": f"{one.get('outcome')}{where}{when} - {one.get('call_id', '')}",
            "ladder": str(one.get("diagram") or "\n".join(
                _rung(rung) for rung in one.get("ladder") or ())),
            "message": str(one.get("message") or "").replace("\r\n", "\n"),
            "messages": "\n".join(_raw(message) for message in one.get("messages") or ())})
    return rows


def _raw(message: Mapping[str, Any]) -> str:
    """Write a message as it was on the wire, below a line that says when and whereto."""
    way = "to" if message.get("sent") else "from"
    text = str(message.get("text") or "").replace("\r\n", "\n")
    return f"--- {message.get('at_s')} s {way} {message.get('peer')}\n{text}"


def _rung(rung: Any) -> str:
    """Write one line of a failure's ladder."""
    if not isinstance(rung, Mapping):
        return str(rung)
    at = rung.get("at_s")
    said = " ".join(str(rung[key]) for key in ("what", "status", "method") if rung.get(key))
    return f"{'' if at is None else format_duration(at * NANOS):>10}  {said}"


def _table(history: History, name: str | None) -> str:
    """Return the points of the time line as CSV."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    first = ("t_s", "length_s", "intervals", "state")
    keys = ("due", "started", "succeeded", "failed", "not_started", "sent", "received",
            "retransmitted", "receive_drops", "late_starts")
    times = ("p50_us", "p90_us", "p99_us", "p99.9_us", "max_us") if name else ()
    out.writerow([*first, *keys, "open", *(f"{name}_{key}" for key in times)])
    for point in history.points:
        found = charts.percentiles(point, name) if name else {}
        out.writerow([*_begin(point), *(point.counts[key] for key in keys), point.open_calls,
                      *(found.get(key) for key in times)])
    return text.getvalue()


def _begin(point: Point) -> tuple[float, float, int, str]:
    return round(point.start_s, 6), round(point.length_s, 6), point.intervals, point.state
