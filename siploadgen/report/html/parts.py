"""What the page says in words and tables, from the result, its levels and its history."""

from collections.abc import Mapping, Sequence
from typing import Any

from siploadgen.report.html.levels import GOODPUT, Level, headline
from siploadgen.report.html.usl import BUSY, LEAST, Fit
from siploadgen.report.summary import (
    number_text,
    rule_text,
    rule_value,
    stop_text,
    threshold_state,
)
from siploadgen.report.thresholds import parse_threshold
from siploadgen.units import NANOS, format_duration, format_rate

Result = Mapping[str, Any]
Rows = list[tuple[str, ...]]
_CAUSES = {
    "timeout": "no final response in time: datagrams lost, the target overloaded, or nobody there",
    "rejected": "a final response that the call model does not want; see the responses below",
    "failed": "a final response that the call model does not want; see the responses below",
    "busy": "the callee refuses (486, 600, 603), which says nothing about the target's capacity",
    "transport": "the network says that nobody listens there (ICMP), or has no route",
    "unexpected": "a message that the call model does not know at that step",
    "aborted": "still open when the time to end was over",
    "no_resource": "the generator had no memory left for the call: its own failure",
    "redirect_loop": "redirected too often",
    "cancelled": "given up before an answer",
}

_WHO = {"generator": "the generator or its host", "target": "the target, or the network to it",
        "nobody": "neither target nor generator"}


def duration(us: float | None) -> str:
    """Write a latency of microseconds; a dash for none."""
    return "–" if us is None else format_duration(us * 1000)


def percent(share: float | None, digits: int = 3) -> str:
    """Write a share as a percentage; a dash for none."""
    return "–" if share is None else f"{100 * share:.{digits}g} %"


def bhca(per_s: float) -> str:
    """Write a rate as busy-hour call attempts: `7.20 M BHCA`."""
    hourly = per_s * 3600
    for size, word in ((1e6, " M"), (1e3, " k")):
        if hourly >= size:
            return f"{hourly / size:.3g}{word} BHCA"
    return f"{hourly:.0f} BHCA"


def answer(result: Result, levels: Sequence[Level], best: Level | None) -> tuple[str, list[str]]:
    """Return the sentence that a reader came for, and those that go with it."""
    if result["plan"].get("role") == "answerer":
        return (f"{result['calls']['started']:,} calls came in "
                f"{format_duration(result['elapsed_s'] * NANOS)}.",
                ["This is the answering side: what was offered is known to the caller alone."])
    if result.get("never_answered"):
        return "The target never answered.", [str(result["never_answered"])]
    if result["verdict"]["state"] == "invalid":
        return ("No answer: the generator or its host, not the target, made these numbers.",
                ["What follows shows what was measured. It is no statement about the target."])
    steady = sorted((level for level in levels if level.steady),
                    key=lambda level: level.offered_per_s)
    if len(steady) > 1:
        return _of_levels(steady, best)
    counted, rate = result["calls"], result["rate"]
    ended_well = counted["succeeded"] / counted["started"] if counted["started"] else None
    name = headline(result)
    found = result["metrics"].get(name or "", {})
    said = (f"{percent(ended_well, 5)} of {counted['started']:,} calls went well"
            + (f" at {format_rate(rate['started_per_s'])} ({bhca(rate['started_per_s'])})"
               if rate["started_per_s"] else ""))
    if name:
        said += f", 99 % of {name} within {duration(found['p99_us'])}"
    more = [f"The load was held for {format_duration(result['load_s'] * NANOS)}. One load level "
            "shows that the target bears it, not how much more it would bear."]
    return said + ".", more


def _of_levels(steady: Sequence[Level], best: Level | None) -> tuple[str, list[str]]:
    by = "all goals met" if steady[0].goals else f"at least {GOODPUT:.0%} of the calls good"
    more = []
    broken = next((level for level in steady if not level.good), None)
    if best is None:
        said = (f"No level was good: already at {format_rate(steady[0].offered_per_s)} "
                "(the lowest one) the goals were missed.")
    elif broken is None:
        said = (f"The target bears at least {format_rate(best.offered_per_s)} "
                f"({bhca(best.offered_per_s)}): {by} at every level.")
        more.append("The run did not reach its end; more levels would tell where that is.")
    else:
        said = (f"The target bears {format_rate(best.offered_per_s)} "
                f"({bhca(best.offered_per_s)}) with {by}; it does not bear "
                f"{format_rate(broken.offered_per_s)}.")
    if broken is not None:
        causes = [f"{goal.expression} (measured "
                  f"{_measured(goal.value, parse_threshold(goal.expression).unit)})"
                  for goal in broken.goals if not goal.ok]
        more.append(f"First to break, at {format_rate(broken.offered_per_s)} ({broken.name}): "
                    + ("; ".join(causes) if causes else
                       f"{percent(broken.succeeded / broken.due)} of the calls went well") + ".")
    most = max(steady, key=lambda level: level.ok_per_s)
    more.append(f"Highest goodput: {format_rate(most.ok_per_s)} with "
                f"{format_rate(most.offered_per_s)} offered ({most.name}).")
    return said, more


def law_rows(fit: Fit) -> Rows:
    """Return the parameters of the fit with their ranges."""
    low, high = fit.rate_range
    rows: Rows = [
        ("λ, one call at a time", f"{fit.rate_per_s:,.4g}/s", f"{low:,.4g} to {high:,.4g}"),
        ("σ, waits for its turn", percent(fit.sigma), "{} to {}".format(
            *(percent(value) for value in fit.sigma_range))),
        ("κ, agreement", f"{fit.kappa:.3g}", "{:.3g} to {:.3g}".format(*fit.kappa_range)),
        ("R²", f"{fit.r2:.4f}", "")]
    if fit.peak_at is not None and fit.peak_per_s is not None and fit.peak_range is not None:
        rows.append(("highest throughput", f"{format_rate(fit.peak_per_s)} with "
                     f"{fit.peak_at:,.4g} calls at work",
                     "{:,.5g} to {:,.5g}".format(*fit.peak_range)))
    else:
        rows.append(("highest throughput", "not in sight",
                     "the levels do not show that throughput falls again"))
    return rows


def law_missing(levels: Sequence[Level], most: float) -> str:
    """Say why there is no fit; `most`: calls that the target had at work at the highest level."""
    steady = sum(level.steady for level in levels)
    if steady < LEAST:
        have = "one load level" if steady == 1 else f"{steady} load levels"
        return (f"A model needs at least {LEAST} load levels that stay the same for a while; this "
                f"run has {have}. The executor stairs makes them.")
    if 0 < most < BUSY:
        return (f"There is nothing to model: even at the highest level the target had no more than "
                f"{most:.2g} calls at work at once (Little's law: calls that went well per second, "
                "times their mean latency), so none had to wait for another.")
    return ("The levels are too much alike, or have no latency or no successful calls: there is no "
            "curve to lay through them.")


def responses(result: Result) -> Rows:
    """Return failure responses received: status, method, count, share."""
    said = result["messages"]["received"]
    total = sum(said.values())
    rows = [(name, f"{count:,}", percent(count / total)) for name, count in sorted(
        said.items(), key=lambda item: -item[1]) if name[:1] in "3456"]
    return list(rows)


def failed_rows(result: Result) -> Rows:
    """Return each class of failure: count, share of the started calls, usual cause."""
    counted = result["calls"]
    started = counted["started"] or 1
    rows: Rows = [(name, f"{count:,}", percent(count / started), _CAUSES.get(name, ""))
                  for name, count in sorted(counted["failed"].items(), key=lambda item: -item[1])]
    rows += [(f"not started: {name}", f"{count:,}", percent(count / (counted["due"] or 1)), "")
             for name, count in counted["not_started"].items() if count]
    if counted["in_progress"]:
        rows.append(("still open at the end", f"{counted['in_progress']:,}",
                     percent(counted["in_progress"] / started), ""))
    return rows


def step_rows(result: Result) -> Rows:
    """Return the steps of the calls at which something went wrong."""
    return [(f"{row['pc']}", row["step"], *(f"{row[key]:,}" for key in (
        "sent", "received", "retransmitted", "timeout", "unexpected")))
        for row in result["steps"]
        if row["retransmitted"] or row["timeout"] or row["unexpected"]]


def registrations(result: Result) -> Rows:
    """Return what is known of registrations; nothing for a run without."""
    said = result["messages"]
    sent, heard = said["sent"].get("REGISTER", 0), said["received"].get("REGISTER", 0)
    if not sent and not heard:
        return []
    one, other = ("sent", "received") if sent else ("received", "sent")
    rows: Rows = [("REGISTER requests " + one, f"{max(sent, heard):,}")]
    answers = {name.partition("/")[0]: count for name, count in said[other].items()
               if name.endswith("/REGISTER")}
    rows += [(f"{status} {other}", f"{count:,}") for status, count in sorted(answers.items())]
    length_s = result["load_s"]
    if answers.get("200") and length_s:
        rows.append(("successful REGISTERs", format_rate(answers["200"] / length_s)))
    attempts = max(sent, heard) - answers.get("401", 0) - answers.get("407", 0)
    if attempts > 0:
        rows.append(("refused for good (4xx but 401, 402, 407; 5xx; 6xx)", percent(sum(
            count for status, count in answers.items()
            if status[0] in "456" and status not in ("401", "402", "407")) / attempts)))
    rows += [(name.upper(), percent(value)) for name, value in result["rfc6076"].items()
             if name.startswith("ira")]
    for name, found in result["metrics"].items():
        if found["count"] and name.startswith(("rrd", "register")):
            rows.append((name, f"p50 {duration(found['p50_us'])}, p99 {duration(found['p99_us'])}, "
                               f"max {duration(found['max_us'])} ({found['count']:,})"))
    return rows


def threshold_rows(result: Result) -> list[dict[str, str]]:
    """Return each threshold with value, limit, and how far the value is from it."""
    rows = []
    for row in result["thresholds"]:
        value, limit = row["value"], row["limit"]
        margin = ("–" if value is None or not limit else f"{(limit - value) / limit:+.1%}"
                  if abs(value) < 2 * limit else f"{value / limit:.3g} times the limit")
        unit = parse_threshold(row["expression"]).unit
        rows.append({"expression": row["expression"], "value": _measured(value, unit),
                     "limit": _measured(limit, unit), "margin": margin,
                     "state": threshold_state(row)})
    return rows


def _measured(value: float | None, unit: str) -> str:
    if value is None:
        return "nothing"
    if unit in ("us", "ms", "s"):
        return format_duration(value * NANOS)
    if unit == "%":
        return percent(value, 4)
    return number_text(value) + unit


def rule_rows(result: Result) -> list[dict[str, Any]]:
    """Return each rule of the verdict: name, value, limit, what it means when it is broken."""
    return [{"name": rule["name"], "value": rule_value(rule["name"], rule["value"]),
             "limit": rule_value(rule["name"], rule["limit"]), "ok": rule["ok"],
             "severity": rule["severity"], "text": "" if rule["ok"] else rule_text(rule)}
            for rule in result["verdict"]["rules"]]


def honesty(result: Result) -> Rows:
    """Return what the generator says of itself."""
    own, calls, metrics = result["generator"], result["calls"], result["metrics"]
    late = metrics.get("lateness", {})
    limit = result["verdict"].get("limit") or {"who": "", "why": ""}
    rows: Rows = [("who was at its end", _WHO[limit["who"]] + (
        f": {limit['why']}" if limit["why"] else ""))] if limit["who"] else []
    rows += [
        ("planned and started", f"{calls['due']:,} due, {calls['started']:,} started"
         + (f" ({percent(calls['started'] / calls['due'], 6)})" if calls["due"] else "")),
        ("lateness of sends", f"p50 {duration(late.get('p50_us'))}, p99 "
         f"{duration(late.get('p99_us'))}, max {duration(late.get('max_us'))}; "
         f"{own['late_starts']:,} later than 1 ms"),
        ("engines", f"{own['cores']}, the busiest at work {percent(own['loop_busy'])} of the time"),
        ("CPU", f"{own['cpu_user_s']:.2f} s user, {own['cpu_system_s']:.2f} s system in "
                f"{format_duration(result['elapsed_s'] * NANOS)}"),
        ("lost in our own receive queue", f"{own['receive_drops']:,}"),
        ("sent twice by our own fault", f"{result['messages']['retransmitted_own_fault']:,}"),
        ("memory used up, transactions forgotten early",
         f"{own['slab_full']:,}, {own['linger_cut']:,}"),
        ("datagrams in groups (GSO, GRO)", f"{'yes' if own['gso'] else 'no'}"
         + (f", at most {own['gso_group']}" if own["gso"] else "")
         + f"; {'yes' if own['gro'] else 'no'}"),
        ("receive times from the kernel", "yes" if own["kernel_timestamps"] else "no"),
        ("receive buffer", f"{own['receive_buffer']:,} octets")]
    if "answerer" in result:
        other = result["answerer"]
        rows.append(("embedded answerer, on the same host", f"{other['calls']:,} calls, busy "
                     f"{percent(other['loop_busy'])}, {other['udp'].get('receive_drops', 0):,} "
                     "datagrams lost"))
    return rows


def notes(result: Result) -> list[str]:
    """Return what must be known before a number is read: an early end, failed hooks."""
    found = [stop_text(result)] if stop_text(result) else []
    if result["interrupted"]:
        found.append("The run was stopped before its end.")
    return [*found, *result.get("hook_failures", ())]
