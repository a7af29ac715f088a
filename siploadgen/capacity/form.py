"""The report of a search: the answer, the form of RFC 7502 5, the trials; as json, md and text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from siploadgen.capacity.play import row_text
from siploadgen.capacity.search import Finding
from siploadgen.errors import Exit
from siploadgen.report.limits import LIMITS
from siploadgen.report.summary import rule_value
from siploadgen.units import NANOS, format_duration, format_rate

SCHEMA = "siploadgen/capacity/1"
SESSION, REGISTRATION, REREGISTRATION = (
    "Session Establishment Rate", "Registration Rate", "Re-registration Rate")
TEMPLATE = "RFC 7502 5"
_EXITS = {"found": Exit.OK, "most": Exit.OK, "none": Exit.THRESHOLD, "limited": Exit.INVALID,
          "unfinished": Exit.INTERRUPTED}
_TRANSPORTS = {"udp": "UDP"}


def answer_text(finding: Finding, what: str) -> str:
    """Say in a sentence what was found, and what was not.

    >>> answer_text(Finding("found", 496.0, 501.0), SESSION)
    'Session Establishment Rate: 496/s; the goals were missed at 501/s'
    """
    rate = None if finding.rate is None else format_rate(finding.rate)
    missed = "" if finding.missed is None else format_rate(finding.missed)
    match finding.state:
        case "found":
            return f"{what}: {rate}" + (f"; the goals were missed at {missed}" if missed else "")
        case "most":
            return (f"{what}: at least {rate}, the highest rate that was allowed; raise --max to "
                    "find it")
        case "none":
            return f"{what}: none; the goals were missed at {missed or 'every rate'}"
        case "limited":
            limit = format_rate(finding.limit or 0)
            least = f"the target carries {rate}, and " if rate else ""
            return (f"{what}: no answer; {least}at {limit} the generator or its host, not the "
                    "target, made the numbers. Nothing is said about rates above")
    known = f"; the goals were met at {rate}" if rate else ""
    return f"{what}: no answer, the search was stopped{known}"


def exit_code(finding: Finding) -> Exit:
    """Choose the exit code."""
    return _EXITS[finding.state]


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as the report has it."""
    return {"state": finding.state, "rate_per_s": finding.rate, "missed_per_s": finding.missed,
            "generator_limit_per_s": finding.limit,
            "conditional_per_s": None if finding.conditional_per_s is None
            else round(finding.conditional_per_s, 3)}


def form(
    *,
    what: str,
    finding: Finding,
    search: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any] | None,
    notes: str,
    waited_s: float | None = None,
) -> list[dict[str, str]]:
    """Fill in the form of RFC 7502 5.1 to 5.3, and what else bears on the numbers.

    `results` are those of all runs, each an object of run.json.
    """
    last = results[-1]
    plan, settings = last["plan"], last["scenario"]["settings"]
    calls = what == SESSION
    rate = _unknown(finding.rate, finding.state)
    embedded = last["target"]["embedded"]
    transport = _TRANSPORTS.get(last["target"]["transport"], last["target"]["transport"])
    timers = plan["timers"]
    challenged = sorted({name for one in results for name in one["messages"]["received"]
                         if name.startswith(("401/", "407/"))})
    initial = search.get("r", search.get("start_per_s"))
    connection = "no connection: " + transport
    attempts = search.get("N")
    rows = [
        ("5.1", "SIP transport protocol", transport),
        ("5.1", "DUT receives requests on one connection", connection),
        ("5.1", "DUT sends requests on one connection", connection),
        ("5.1", "Session Attempt Rate (initial r)", f"{initial:g}/s"),
        ("5.1", "Session Duration", settings.get("hold", "0s (BYE right after the 200)")
         if calls else "none: registrations"),
        ("5.1", "Total Sessions Attempted", f"{sum(one['calls']['due'] for one in results):,}"
         + (f" ({attempts:,} in each trial)" if attempts else "")),
        ("5.1", "Media streams per session", "0: signalling only"),
        ("5.1", "Associated media protocol", "none"),
        ("5.1", "Codec", "none is sent; the SDP offers what the model says" if calls else "none"),
        ("5.1", "Media packet size", "none"),
        ("5.1", "Establishment Threshold Time", f"{64 * timers['t1_s']:g} s (64*T1, timer "
         f"{'B' if calls else 'F'})"),
        ("5.1", "TLS cipher suite", "none: no TLS"),
        ("5.1", "IPsec profile", "none used by the tester"),
        ("5.2", "Session Establishment Rate", rate if calls else "not measured"),
        ("5.2", "DUT acts as media relay", "no media is sent (RFC 7502 6.2)"),
        ("5.3", "Registration Rate", rate if what == REGISTRATION else "not measured"),
        ("5.3", "Re-registration Rate", (rate if what == REREGISTRATION else "not measured")
         + ("" if waited_s is None else f", {format_duration(waited_s * NANOS)} after the "
            "registrations")),
        ("5.3", "Notes on the DUT and its backend", notes or "none given"),
        ("6.1", "Testbed baseline, without DUT", _baseline_text(baseline, embedded)),
        ("own", "Authentication", f"challenges seen: {', '.join(challenged)}" if challenged
         else "no challenge seen"),
        ("own", "Timers", ", ".join(f"{name.upper()} {format_duration(timers[name + '_s'] * NANOS)}"
                                    for name in ("t1", "t2", "t4"))),
        ("own", "Finished transactions remembered", "as RFC 3261 says" if plan["linger_s"] is None
         else format_duration(plan["linger_s"] * NANOS)),
        ("own", "Rate at which the generator was the limit", "not reached"
         if finding.limit is None else format_rate(finding.limit)),
        ("own", "Limits of the verdict", _limits_text(last["verdict"]["rules"])),
        ("own", "Arrivals", f"{plan['arrival']}, seed {plan['seed']}, {plan['workers']} workers"),
    ]
    return [{"section": section, "name": name, "value": str(value)}
            for section, name, value in rows]


def _limits_text(rules: Sequence[Mapping[str, Any]]) -> str:
    """Name the limits that are not the usual ones; a share of the mean gap may raise the first."""
    other = [f"{rule['name']} {rule_value(rule['name'], rule['limit'])}" for rule in rules
             if rule["name"] in LIMITS and rule["limit"] != LIMITS[rule["name"]].default]
    return ", ".join(other) or "the usual ones"


def _rules(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each rule of the verdict: its limit, and in how many of the runs it was broken."""
    found: dict[str, dict[str, Any]] = {}
    for one in results:
        for rule in one["verdict"]["rules"]:
            row = found.setdefault(rule["name"], {
                "name": rule["name"], "limit": rule["limit"], "severity": rule.get("severity"),
                "broken": 0, "runs": 0})
            row["runs"] += 1
            row["broken"] += not rule.get("ok", True)
    return list(found.values())


def _unknown(rate: float | None, state: str) -> str:
    if rate is None:
        return "none found"
    return format_rate(rate) if state == "found" else f"at least {format_rate(rate)}"


def _baseline_text(baseline: Mapping[str, Any] | None, embedded: bool) -> str:
    if embedded:
        return "this is it: the target is the embedded answerer"
    if baseline is None:
        return "not measured"
    if baseline["rate_per_s"] is None:
        return "no rate was carried"
    least = "at least " if baseline["state"] == "most" else ""
    return (f"{least}{format_rate(baseline['rate_per_s'])}, the same model against the embedded "
            "answerer on this host")


def report_data(
    *,
    what: str,
    finding: Finding,
    search: Mapping[str, Any],
    goals: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any] | None,
    notes: str,
    code: Exit,
    waited_s: float | None = None,
    fault: str = "",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the object of capacity.json; `fault` says why the search came to no end.

    `options` are those of the search that neither the method nor the plan of a run knows.
    """
    last = results[-1]
    return {
        "schema": SCHEMA, "benchmark": what,
        "answer": f"{what}: no answer; {fault}" if fault else answer_text(finding, what),
        **finding_data(finding),
        "scenario": last["scenario"], "target": {
            name: last["target"][name] for name in ("uri", "transport", "address", "embedded")},
        "search": dict(search), "goals": list(goals),
        "form": form(what=what, finding=finding, search=search, results=results, baseline=baseline,
                     notes=notes, waited_s=waited_s),
        "trials": list(rows), "baseline": baseline, "rules": _rules(results),
        "plan": last["plan"], "options": dict(options or {}),
        "started_at": results[0]["started_at"],
        "elapsed_s": round(sum(one["elapsed_s"] for one in results), 3),
        "command": last["command"], "environment": last["environment"], "exit_code": int(code),
    }


def _search_text(search: Mapping[str, Any]) -> str:
    pairs = ", ".join(f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
                      for name, value in search.items() if name != "method" and value is not None)
    return f"{search['method']}: {pairs}"


def about(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and text of what was searched, how, and where."""
    host = data["environment"]
    return [
        ("target", data["target"]["uri"] + (" (embedded)" if data["target"]["embedded"] else "")),
        ("model", data["scenario"]["name"]), ("goals", "; ".join(data["goals"])),
        ("search", _search_text(data["search"])),
        ("runs", f"{len(data['trials'])}, {data['elapsed_s']:,.0f} s of load"),
        ("host", f"{host['cpu']}, {host['cores']} cores, {host['kernel']}, siploadgen "
                 f"{host['version']}"),
        ("begun", data["started_at"])]


def brief(data: Mapping[str, Any]) -> str:
    """Return the report for a terminal on which the runs were shown one by one."""
    lines = [data["answer"], ""]
    lines += [f"{name:<8} {value}" for name, value in about(data)]
    width = max(len(row["name"]) for row in data["form"])
    lines += ["", "Report form of " + TEMPLATE]
    lines += [f"  {row['section']:<4} {row['name']:<{width}}  {row['value']}"
              for row in data["form"]]
    return "\n".join(lines) + "\n"


def as_text(data: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return brief(data) + "\n".join(["", "Runs", *(row_text(row) for row in data["trials"])]) + "\n"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")


def as_markdown(data: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [f"# {data['benchmark']}: {data['scenario']['name']}", "", f"**{data['answer']}**", "",
             "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in about(data)]
    lines += [f"| command | `{_cell(' '.join(data['command']))}` |"]
    lines += ["", f"## Report form ({TEMPLATE})", "", "| section | field | value |",
              "|---|---|---|"]
    lines += [f"| {row['section']} | {row['name']} | {_cell(row['value'])} |"
              for row in data["form"]]
    lines += ["", "Section `own`: what the RFC does not ask for and the numbers depend on.", "",
              "## Runs", "",
              "| | kind | rate | length | ended well | failed | repeats | p99 | answer |",
              "|---:|---|---:|---:|---:|---:|---:|---:|---|"]
    for row in data["trials"]:
        delay = "" if row["delay_p99_us"] is None else format_duration(row["delay_p99_us"] * 1000)
        why = f": {row['why']}" if row["why"] else ""
        lines.append(
            f"| {row['number']} | {row['kind']} | {format_rate(row['rate_per_s'])} | "
            f"{row['duration_s']:g} s | {row['succeeded']:,} of {row['due']:,} | "
            f"{row['failed']:,} | {row['retransmitted']:,} | {delay} | "
            f"{_cell(row['answer'] + why)} |")
    base = data["baseline"]
    if base is not None:
        lines += ["", "## Testbed baseline (RFC 7502 6.1)", "", base["answer"] + "."]
    return "\n".join(lines) + "\n"


def as_json(data: Mapping[str, Any]) -> str:
    """Return the report as JSON."""
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


RENDER = {"brief": brief, "text": as_text, "md": as_markdown, "json": as_json}
