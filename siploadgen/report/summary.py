"""A result for people: plain text and Markdown, from the object of run.json alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from siploadgen.tx_table import T1_NS, T2_NS, T4_NS
from siploadgen.units import NANOS, SOCKET_BUFFER, format_duration, format_rate

SCHEMA = "siploadgen/run/1"  # of run.json
Result = Mapping[str, Any]
_TIMERS = {"t1": T1_NS, "t2": T2_NS, "t4": T4_NS}
_DURATIONS = ("late_start_p99", "receive_delay_p99")
_SHARES = ("attained", "loop_busy", "retransmitted_own_fault", "late_start_gap")
_MEANING = {
    "late_start_p99": "calls left later than they were due",
    "attained": "due calls were not started",
    "receive_drops": "our receive queue overflowed",
    "send_errors": "the kernel refused datagrams",
    "slab_full": "memory for calls was used up",
    "invalid_intervals": "seconds of the run were invalid",
    "receive_delay_p99": "messages waited for us",
    "loop_busy": "an engine worked all the time",
    "retransmitted_own_fault": "we repeated what was already answered",
    "answerer_receive_drops": "the embedded answerer lost datagrams",
}


_MARKS = {"ok": "ok", "FAIL": "FAILED", "WARN": "warning"}
# What mends it, where somebody can.
_MENDS = {
    "late_start_p99": "a quieter host, more --workers, or a lower --rate",
    "attained": "more memory, a lower --rate, or a --max-calls that is meant",
    "receive_drops": f"sysctl -w net.core.rmem_max={SOCKET_BUFFER}, or more --workers",
    "send_errors": f"see `doctor`: routes, ports, sysctl -w net.core.wmem_max={SOCKET_BUFFER}",
    "slab_full": "a lower --rate, shorter calls, more --workers, or --linger 0s",
    "receive_delay_p99": "a quieter host, a shorter --coalesce, or more --workers",
    "loop_busy": "more --workers, each on a core of its own",
    "answerer_receive_drops": f"sysctl -w net.core.rmem_max={SOCKET_BUFFER}, or an answerer on "
                              "another host",
}


def number_text(value: float | None) -> str:
    """Return a measured number; `nothing` when there was none."""
    return "nothing" if value is None else f"{value:,.6g}"


def rule_value(name: str, value: float | None) -> str:
    """Return the value of a rule in its unit."""
    if value is None:
        return "-"
    if name in _DURATIONS:
        return format_duration(value * 1e9)
    if name in _SHARES:
        return f"{value:.2%}"
    return f"{value:,.0f}"


def rule_text(rule: Mapping[str, Any]) -> str:
    """Return a broken rule as a phrase: what it means, its value and its limit."""
    name = rule["name"]
    meaning = _MEANING.get(name, name)
    return (f"{meaning} ({name} {rule_value(name, rule['value'])}, "
            f"limit {rule_value(name, rule['limit'])})")


def failed_text(counted: Mapping[str, Any]) -> str:
    """Return what went wrong with calls, by class: `4 timeout, 6 rejected`."""
    parts = [f"{count:,} {name}" for name, count in
             sorted(counted["failed"].items(), key=lambda item: -item[1])]
    parts += [f"{count:,} not started ({name})"
              for name, count in counted["not_started"].items() if count]
    if counted["in_progress"]:
        parts.append(f"{counted['in_progress']:,} still open")
    return ", ".join(parts)


def headline(result: Result) -> str:
    """Return the first line: what was done and how it ended."""
    plan = result["plan"]
    scenario = result["scenario"]["name"]
    if plan.get("role") == "answerer":
        where = ", ".join(result["generator"]["local"])
        return f"answered on {where} for {format_duration(result['elapsed_s'] * 1e9)}"
    load = f"{format_duration(result['load_s'] * 1e9)}"
    works = plan.get("scenarios", ())
    if len(works) > 1:
        what = f"{len(works)} scenarios"
    elif plan["rate_per_s"] is None:
        what = " ".join(str(one["executor"]) for one in works)
    else:
        what = f"{format_rate(plan['rate_per_s'])} {plan['arrival']}"
    return f"{scenario} to {result['target']['uri']}: {what} for {load}, seed {plan['seed']}"


def verdict_lines(result: Result) -> list[str]:
    """Return the verdict with the rules behind it; nothing for a valid run."""
    verdict = result["verdict"]
    if verdict["state"] == "valid":
        return []
    broken = [rule for rule in verdict["rules"] if not rule["ok"]]
    blame = "the generator or its host, not the target, made these numbers"
    if verdict["state"] == "suspect":
        blame = "look twice at these numbers"
    lines = [f"{verdict['state'].upper()}: {blame}"]
    for rule in broken:
        mend = _MENDS.get(rule["name"])
        lines.append(f"  - {rule_text(rule)}" + (f"; try {mend}" if mend else ""))
    times = [f"{row['t_s']:.0f} s" for row in verdict["intervals"]
             if row["state"] == verdict["state"]]
    if times:
        more = f" and {len(times) - 10} more" if len(times) > 10 else ""
        lines.append(f"  - {verdict['state']} seconds began at {', '.join(times[:10])}{more}")
    return lines


def limit_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of who was at its end; nothing where the verdict says it already."""
    limit, own = result["verdict"].get("limit"), result["generator"]
    if not limit or limit["who"] == "generator":
        return []
    busy = own["loop_busy"]
    room = "" if busy is None else f"; the generator was at work {busy:.0%} of its time"
    if limit["who"] == "target":
        return [("limit", f"the target, or the network to it: {limit['why']}{room}")]
    return [("limit", f"neither target nor generator{room}")]


def call_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of what happened to the calls."""
    counted, rate = result["calls"], result["rate"]
    due, started = counted["due"], counted["started"]
    failed = sum(counted["failed"].values())
    lines = [("calls", f"{due:,} due, {started:,} started, {counted['succeeded']:,} succeeded, "
                       f"{failed:,} failed"
              + (f", {counted['in_progress']:,} open" if counted["in_progress"] else ""))]
    wrong = failed_text(counted)
    if wrong:
        lines.append(("", wrong))
    if rate["started_per_s"] is not None:
        lines.append(("rate", f"{format_rate(rate['due_per_s'])} due, "
                              f"{format_rate(rate['started_per_s'])} started, "
                              f"{format_rate(rate['succeeded_per_s'])} succeeded"))
    ratios = [(name.upper(), value) for name, value in result["rfc6076"].items()
              if value is not None]
    if ratios:
        lines.append(("RFC 6076", ", ".join(f"{name} {value:.3%}" for name, value in ratios)))
    return lines


def target_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of where calls went, and could not go, when there are several."""
    target = result["target"] or {}
    rows = target.get("addresses", ())
    lines = []
    if len(rows) > 1:
        lines.append(("targets", ", ".join(
            f"{row['calls']:,} to {row['address']} (priority {row['priority']}, "
            f"weight {row['weight']})" for row in rows)))
    if others := target.get("left_out"):
        other, ours = (6, 4) if ":" in others[0] else (4, 6)
        lines.append(("left out", f"{', '.join(others)}: this run calls IPv{ours}; an address of "
                                  f"IPv{other} for --local makes it call these"))
    return lines


def latency_rows(result: Result) -> list[list[str]]:
    """Return a row for each latency that was measured: name, count, p50 ... max."""
    rows = []
    for name, metric in result["metrics"].items():
        if metric["count"]:
            rows.append([name, f"{metric['count']:,}",
                         *(format_duration(metric[key] * 1000) for key in (
                             "p50_us", "p90_us", "p99_us", "p99.9_us", "max_us"))])
    return rows


LATENCY_HEAD = ("latency", "count", "p50", "p90", "p99", "p99.9", "max")


def message_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of what was sent and received."""
    said = result["messages"]
    lines = []
    for label in ("sent", "received"):
        if said[label]:
            lines.append((label, ", ".join(f"{count:,} {name}"
                                           for name, count in said[label].items())))
    odd = [(name, said[name]) for name in (
        "retransmitted", "received_again", "unexpected", "malformed", "stray", "auto_answered",
        "dialog_mismatch", "oversize", "failover", "unknown_required",
        "bindings_full") if said.get(name)]
    if odd:
        lines.append(("of these", ", ".join(f"{count:,} {name.replace('_', ' ')}"
                                            for name, count in odd)))
    if said.get("large_requests"):
        lines.append(("warning", f"{said['large_requests']:,} requests of more than 1,300 octets "
                                 "went over UDP, where RFC 3261 18.1.1 asks for TCP: lost "
                                 "fragments lose them whole"))
    return lines


def generator_line(result: Result) -> str:
    """Return the generator's figures of itself, in one line."""
    own = result["generator"]
    parts = [f"{own['cores']} engine{'s' if own['cores'] != 1 else ''}"]
    if own["loop_busy"] is not None:
        parts.append(f"busy {own['loop_busy']:.0%}")
    if own["send_late_p99_us"] is not None:
        parts.append(f"lateness p99 {format_duration(own['send_late_p99_us'] * 1000)}")
    parts.append(f"CPU {own['cpu_user_s'] + own['cpu_system_s']:.2f} s")
    parts.append(f"{own['receive_drops']:,} receive drops")
    parts.append(f"GSO, groups of {own['gso_group']}" if own["gso"] else "no GSO")
    return ", ".join(parts)


def ceiling_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of what this host reached in selftest; nothing without one."""
    known = result["generator"].get("ceiling")
    if not known:
        return []
    return [("ceiling", f"this host reached {format_rate(known['rate_per_s'])} of model "
                        f"{known['model']} in selftest of {known['date'][:10]}; this run used "
                        f"{known['used']:.1%}")]


def timer_lines(result: Result) -> list[tuple[str, str]]:
    """Return label and text of the timers that are not those of RFC 3261; nothing when all are."""
    plan = result["plan"]
    parts = [f"{name.upper()} {format_duration(seconds * NANOS)} (not "
             f"{format_duration(usual)})" for name, usual in _TIMERS.items()
             if round((seconds := plan["timers"][f"{name}_s"]) * NANOS) != usual]
    linger = plan["linger_s"]
    if linger is not None:
        parts.append(f"linger {format_duration(linger * NANOS)}" if linger else "no linger")
    return [("timers", ", ".join(parts))] if parts else []


def threshold_lines(result: Result) -> list[str]:
    """Return a line for each threshold."""
    return [f"{threshold_state(row):<4}  {row['expression']}  "
            f"(measured {number_text(row['value'])})" for row in result["thresholds"]]


def threshold_state(row: Mapping[str, Any]) -> str:
    """Return how a threshold came out: `ok`, `WARN` or `FAIL`."""
    return "ok" if row["ok"] else "WARN" if row.get("severity") == "warn" else "FAIL"


def deciding(thresholds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of thresholds that decide: those that do more than warn."""
    return [row for row in thresholds if row.get("severity", "fail") == "fail"]


def stop_text(result: Result) -> str:
    """Return which threshold stopped the run, and when; empty: none did."""
    stop = result["verdict"].get("stopped_by")
    return "" if stop is None else (
        f"stopped after {stop['t_s']:.0f} s by the threshold {stop['threshold']} "
        f"(measured {number_text(stop['value'])})")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    return [("  ".join([line[0].ljust(widths[0]),
                        *(cell.rjust(width) for cell, width in
                          zip(line[1:], widths[1:], strict=True))])).rstrip()
            for line in [head, *rows]]


def plain(result: Result, paths: Sequence[str] = ()) -> str:
    """Return the summary that a run prints at its end."""
    lines: list[str] = []
    if result.get("never_answered"):
        lines.append(f"NO ANSWER from {result['target']['uri']}: {result['never_answered']}")
    lines += verdict_lines(result)
    if result["interrupted"]:
        lines.append("stopped before its end")
    if stop_text(result):
        lines.append(stop_text(result))
    lines += result.get("hook_failures", ())
    lines += ["", headline(result)] if lines else [headline(result)]
    pairs = [*call_lines(result), *target_lines(result), *message_lines(result)]
    lines += [f"{label:<10} {text}" for label, text in pairs]
    rows = latency_rows(result)
    if rows:
        lines += ["", *_table(LATENCY_HEAD, rows), ""]
    lines.append(f"{'generator':<10} {generator_line(result)}")
    if "answerer" in result:
        other = result["answerer"]
        busy = "" if other["loop_busy"] is None else f", busy {other['loop_busy']:.0%}"
        lines.append(f"{'answerer':<10} {other['calls']:,} calls{busy}, "
                     f"{other['udp'].get('receive_drops', 0):,} receive drops")
    lines += [f"{label:<10} {text}" for label, text in (
        *limit_lines(result), *ceiling_lines(result), *timer_lines(result))]
    if result["thresholds"]:
        lines += ["", *threshold_lines(result)]
    if result["verdict"]["state"] == "valid":
        lines.append(f"{'verdict':<10} valid")
    if paths:
        lines.append(f"{'files':<10} {', '.join(paths)}")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def markdown(result: Result) -> str:
    """Return the summary as Markdown, for a pull request or a job's page."""
    state = result["verdict"]["state"]
    lines = [f"# siploadgen: {result['scenario']['name']}", "", f"**{state.upper()}** · "
             f"exit code {result['exit_code']} · {_cell(headline(result))}", ""]
    if result.get("never_answered"):
        lines += [f"> The target never answered: {result['never_answered']}", ""]
    said = [*verdict_lines(result), *filter(None, [stop_text(result)])]
    lines += [f"> {_cell(line.strip())}  " for line in said]
    if said:
        lines.append("")
    lines += ["| | |", "|---|---|"]
    lines += [f"| {label} | {_cell(text)} |" for label, text in
              [*call_lines(result), *target_lines(result), *message_lines(result),
               ("generator", generator_line(result)), *limit_lines(result), *ceiling_lines(result),
               *timer_lines(result)]]
    rows = latency_rows(result)
    if rows:
        lines += ["", "| " + " | ".join(LATENCY_HEAD) + " |",
                  "|---|" + "---:|" * (len(LATENCY_HEAD) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
    if result["thresholds"]:
        lines += ["", "| threshold | measured | |", "|---|---:|---|"]
        lines += [f"| `{_cell(row['expression'])}` | {number_text(row['value'])} | "
                  f"{_MARKS[threshold_state(row)]} |" for row in result["thresholds"]]
    lines += ["", "| rule | value | limit | |", "|---|---:|---:|---|"]
    lines += [f"| {rule['name']} | {rule_value(rule['name'], rule['value'])} | "
              f"{rule_value(rule['name'], rule['limit'])} | {'ok' if rule['ok'] else 'BROKEN'} |"
              for rule in result["verdict"]["rules"]]
    about = result["environment"]
    lines += ["", f"siploadgen {about['version']}, Python {about['python']}, {about['kernel']}, "
                  f"{about['cpu']}"]
    return "\n".join(lines) + "\n"
