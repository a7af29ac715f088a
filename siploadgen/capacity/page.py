"""The pages of a search and of an overload curve: of one file, with the look of a run's report."""

import csv
import io
import json
import shlex
from collections.abc import Mapping
from typing import Any

from siploadgen.capacity import charts, form
from siploadgen.capacity.overload import Curve, curve_lines
from siploadgen.errors import UsageError
from siploadgen.report.html import assembly, conditions, parts
from siploadgen.report.html.charts import Chart
from siploadgen.report.summary import rule_value
from siploadgen.units import NANOS, format_duration, format_rate, parse_duration

Data = Mapping[str, Any]
Rows = list[tuple[str, ...]]
_REMAKE = ", and search again."
# How a state looks: the badge of a run's report that means the same.
_LOOKS = {"found": "valid", "most": "valid", "none": "invalid", "limited": "invalid",
          "unfinished": "suspect"}
_SEARCH = (
    ("answer", "Answer"), ("response", "Load and response"), ("course", "Course"),
    ("form", "Report form"), ("trials", "Runs"), ("baseline", "Testbed"), ("goals", "Goals"),
    ("honesty", "Generator"), ("calculator", "Calculator"), ("conditions", "Conditions"))
_SWEEP = (
    ("answer", "Answer"), ("curve", "Curve"), ("seconds", "Over time"), ("levels", "Levels"),
    ("honesty", "Generator"), ("calculator", "Calculator"), ("conditions", "Conditions"))


def capacity_page(data: Data, *, library: bool = True) -> str:
    """Return the page of a search, from the object of capacity.json.

    `library`: charts are wanted; they are left out, with a word on the mend, when the plotly
    package is not installed.
    """
    drawn = [one for one in (charts.response(data), charts.course(data)) if one is not None]
    rate = data["rate_per_s"]
    context = {
        **assembly.headings(data), "title": f"{data['benchmark']}: {data['scenario']['name']}",
        "headline": f"{data['benchmark']} of {data['target']['uri']}: {data['scenario']['name']}",
        "source": "the trials of the search", "remake": _REMAKE, "contents": _SEARCH,
        "search": data, "look": _LOOKS[data["state"]], "more": _more(data), "tiles": _tiles(data),
        "form": data["form"], "template": form.TEMPLATE,
        "trials": [_trial(row) for row in data["trials"]],
        "baseline": data["baseline"],
        "baseline_trials": [_trial(row) for row in (data["baseline"] or {}).get("trials", ())],
        "embedded": data["target"]["embedded"], "rules": _rules(data),
        "own": _honesty(data), "about": _about(data), "command": shlex.join(data["command"]),
        "configuration": _resolved(data),
        "calculator": assembly.calculator(rate or 0.0, _hold_s(data), rate or 0.0),
    }
    return assembly.document("capacity.html", context, drawn, {
        "capacity.json": ("application/json", form.as_json(data)),
        "trials.csv": ("text/csv", _table(data["trials"]))}, library=library)


def overload_page(data: Data, *, library: bool = True) -> str:
    """Return the page of a sweep, from the object of overload.json."""
    curve = Curve(**data["curve"])
    found: list[Chart | None] = [charts.hysteresis(data), charts.seconds(data)]
    drawn = [one for one in found if one is not None]
    run = {**data["run"], **{name: data[name] for name in (
        "scenario", "target", "command", "environment", "started_at")}}
    lines = curve_lines(curve)
    context = {
        **assembly.headings(data), "title": f"Overload: {data['scenario']['name']}",
        "headline": f"Overload of {data['target']['uri']}: {data['scenario']['name']}",
        "source": "the intervals of the run", "remake": _REMAKE, "contents": _SWEEP,
        "state": data["verdict"], "said": _swept(curve), "lines": lines,
        "notes": parts.notes(run), "levels": [_level(row) for row in data["levels"]],
        "recovery": dict(lines)["recovery"],
        "rules": parts.rule_rows(run), "honesty": parts.honesty(run),
        "form": conditions.form(run), "host": conditions.host(run),
        "command": shlex.join(data["command"]), "configuration": json.dumps(
            {"plan": run["plan"], "settings": data["scenario"]["settings"]}, indent=1,
            ensure_ascii=False),
        "calculator": assembly.calculator(curve.knee_per_s or 0.0, _hold_s(data),
                                          curve.knee_per_s or 0.0)}
    return assembly.document("overload.html", context, drawn, {
        "overload.json": ("application/json", json.dumps(data, indent=1)),
        "levels.csv": ("text/csv", _table(data["levels"])),
        "seconds.csv": ("text/csv", _table(data["seconds"]))}, library=library)


def _more(data: Data) -> list[str]:
    """Return the sentences that go with the answer."""
    rate, missed, limit = (data[name] for name in (
        "rate_per_s", "missed_per_s", "generator_limit_per_s"))
    found = []
    if data["state"] == "found" and rate and missed:
        found.append(f"The truth lies between {format_rate(rate)}, where the goals were met, and "
                     f"{format_rate(missed)}, where they were missed: {missed / rate - 1:.2%} "
                     "apart.")
    good = data["conditional_per_s"]
    if good is not None and rate:
        found.append(f"In the trial that decides, {format_rate(good)} ended well at "
                     f"{format_rate(rate)}.")
    if limit is not None and data["state"] != "limited":
        found.append(f"At {format_rate(limit)} the generator was the limit; nothing above was "
                     "tried.")
    base = data["baseline"]
    if base is not None and base["rate_per_s"] and rate:
        least = "at least " if base["state"] == "most" else ""
        found.append(f"The testbed alone reaches {least}{base['rate_per_s'] / rate:.2g} times the "
                     "rate"
                     + ("." if base["rate_per_s"] > 1.2 * rate else ": the target was measured at "
                        "the end of the testbed."))
    return found


def _tiles(data: Data) -> Rows:
    rate = data["rate_per_s"]
    rows: Rows = [("highest rate met", "none" if rate is None else format_rate(rate))]
    if rate:
        rows.append(("busy-hour call attempts", parts.bhca(rate)))
    if data["missed_per_s"] is not None:
        rows.append(("lowest rate missed", format_rate(data["missed_per_s"])))
    if data["generator_limit_per_s"] is not None:
        rows.append(("generator's limit", format_rate(data["generator_limit_per_s"])))
    if data["baseline"] is not None and data["baseline"]["rate_per_s"]:
        least = "≥ " if data["baseline"]["state"] == "most" else ""
        rows.append(("testbed alone", least + format_rate(data["baseline"]["rate_per_s"])))
    rows += [("runs", f"{len(data['trials'])}"),
             ("under load", format_duration(data["elapsed_s"] * NANOS))]
    return rows


def _trial(row: Data) -> dict[str, Any]:
    """Return a run as its row shows it."""
    return {
        **row, "rate": format_rate(row["rate_per_s"]),
        "length": f"{row['duration_s']:.3g} s" + (", cut short" if row["cut"] else ""),
        "good": "–" if row["good_per_s"] is None else format_rate(row["good_per_s"]),
        "well": f"{row['succeeded']:,} of {row['due']:,}",
        "delay_text": parts.duration(row["delay_p99_us"]),
        "late": parts.duration(row.get("late_p99_us")),
        "busy": parts.percent(row.get("loop_busy")),
        "look": {"met": "ok", "missed": "bad", "limited": "suspect"}[row["answer"]]}


def _rules(data: Data) -> list[dict[str, Any]]:
    return [{**rule, "limit": rule_value(rule["name"], rule["limit"])} for rule in data["rules"]]


def _honesty(data: Data) -> Rows:
    """Return what the generator says of itself, over all runs."""
    rows = data["trials"]
    states = [row["verdict"] for row in rows]
    late = max((row["late_p99_us"] for row in rows if row.get("late_p99_us") is not None),
               default=None)
    busy = max((row["loop_busy"] for row in rows if row.get("loop_busy") is not None),
               default=None)
    spoilt = [row for row in rows if row["answer"] == "limited"]
    return [
        ("runs by verdict", ", ".join(f"{states.count(state)} {state}" for state in (
            "valid", "suspect", "invalid") if state in states)),
        ("runs that say nothing of the target", f"{len(spoilt)}"),
        ("lateness of sends, p99 of the worst run", parts.duration(late)),
        ("busiest engine, of the busiest run", parts.percent(busy)),
        ("lost in our own receive queue",
         f"{sum(row.get('receive_drops') or 0 for row in rows):,}")]


def _about(data: Data) -> Rows:
    plan = data["plan"]
    return [*form.about(data), ("address", data["target"]["address"]),
            ("seed", str(plan["seed"])), ("workers", f"{plan['workers']}"),
            ("arrivals", str(plan["arrival"])),
            ("digest of the compiled calls", str(data["scenario"].get("digest", "–"))),
            ("Python", str(data["environment"].get("python", "–")))]


def _resolved(data: Data) -> str:
    return json.dumps({"search": data["search"], "goals": data["goals"],
                       "options": data["options"], "plan": data["plan"],
                       "settings": data["scenario"]["settings"]}, indent=1, ensure_ascii=False)


def _hold_s(data: Data) -> float | None:
    """Return how long a call is held by its setting; None where that is not a plain time."""
    try:
        held = parse_duration(str(data["scenario"]["settings"]["hold"]), "hold") / NANOS
    except (KeyError, UsageError):
        return None
    return held or None


def _level(row: Data) -> dict[str, Any]:
    offered = row["offered_per_s"]
    return {**row, "offered": format_rate(offered), "goodput": format_rate(row["goodput_per_s"]),
            "share": parts.percent(row["goodput_per_s"] / offered if offered else None),
            "delay": parts.duration(row["p99_us"])}


def _swept(curve: Curve) -> str:
    """Say what a sweep has found."""
    if curve.limited_per_s is not None:
        return (f"No answer from {format_rate(curve.limited_per_s)} on: there the generator or "
                "its host, not the target, made the numbers.")
    if curve.knee_per_s is None:
        return "The target did not even carry the lowest level."
    knee = f"The target carries {format_rate(curve.knee_per_s)}"
    if curve.collapse_per_s is not None:
        return f"{knee} and collapses at {format_rate(curve.collapse_per_s)}."
    return (f"{knee}; overloaded, it still serves {format_rate(curve.overload_goodput_per_s)} "
            "and does not collapse.")


def _table(rows: Any) -> str:
    """Return rows as CSV."""
    if not rows:
        return ""
    text = io.StringIO()
    out = csv.DictWriter(text, list(rows[0]), lineterminator="\n", extrasaction="ignore")
    out.writeheader()
    out.writerows(rows)
    return text.getvalue()
