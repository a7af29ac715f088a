"""Runs made up for the report: results and histories with as many levels as are wanted."""

import copy
import math

import numpy as np

from siploadgen.report import histogram, metrics
from siploadgen.report.history import History
from tests.report.builders import HEAD, result_of

CLOCKS = ("srd", "setup")
OVER = ("lateness", "receive_delay")
TOP = 3_000_000


def spread(middle_us, calls, rng, sigma=0.4):
    """A histogram of lognormal latencies."""
    from siploadgen.core.hist import index

    counts = histogram.empty()
    values = np.minimum(rng.lognormal(math.log(middle_us), sigma, calls).astype(int) + 1, TOP)
    for value, times in zip(*np.unique(values, return_counts=True), strict=True):
        counts[index(int(value))] += times
    return counts


def latencies(tagged, phase=""):
    """The `metrics` of a row or of a part, from histograms by tag."""
    found = {}
    for name in (*(f"{clock}{kind}" for clock in CLOCKS for kind in ("", "_service")), *OVER):
        origin = "send" if name.endswith("_service") else "due"
        found[name] = metrics.latency(tagged.get(f"{name}{phase}", histogram.empty()), origin)
    return found


def interval(t_s, due, failed, tagged, *, state="valid", open_calls=0, length_s=1.0):
    """A row of intervals.ndjson."""
    good = due - sum(failed.values())
    rules = [] if state == "valid" else [
        {"name": "late_start_p99", "value": 0.005, "limit": 0.001, "ok": False,
         "severity": state}]
    return {
        "t_s": t_s, "length_s": length_s, "state": "running", "rate_factor": 1.0,
        "calls": {"due": due, "started": due, "not_started": {"no_slot": 0}, "succeeded": good,
                  "failed": failed, "in_progress": open_calls},
        "rate": {"due_per_s": due / length_s}, "messages": {
            "sent": 3 * due, "received": 3 * due, "retransmitted": sum(failed.values())},
        "metrics": latencies(tagged),
        "generator": {"loop_busy": 0.25, "receive_drops": 0, "send_errors": 0, "late_starts": 0},
        "verdict": {"state": state, "rules": rules}}


def stairs(rates, latency_us, *, seconds=5, failing=lambda _: {}, states=None, thresholds=()):
    """Return result and history of a run with a level for each rate; `latency_us(rate)`."""
    rng = np.random.default_rng(1)
    result = copy.deepcopy(result_of(thresholds=thresholds))
    result["plan"] = copy.deepcopy(HEAD["plan"])
    history, phases, rows = History(), [], {}
    for place, rate in enumerate(rates):
        name = f"level-{place + 1}"
        phases.append({"name": name, "start_s": place * seconds, "end_s": (place + 1) * seconds,
                       "measured": True, "calls": rate * seconds})
        whole, failed = {}, {}
        for second in range(seconds):
            tagged = {}
            lost = failing(rate)
            for clock in CLOCKS:
                for kind in ("", "_service"):
                    tagged[clock + kind] = spread(latency_us(rate), rate, rng)
            for one in OVER:
                tagged[one] = spread(20, 3 * rate, rng)
            tagged |= {f"{tag}.{name}": counts for tag, counts in tagged.items()
                       if tag not in OVER}
            t_s = float(place * seconds + second)
            history.add(interval(t_s, rate, lost, tagged, open_calls=rate // 10,
                                 state=(states or {}).get(t_s, "valid")), tagged)
            for tag, counts in tagged.items():
                whole[tag] = whole.get(tag, 0) + counts
            for kind, count in lost.items():
                failed[kind] = failed.get(kind, 0) + count
        due = rate * seconds
        rows[name] = {"measured": True, "metrics": {
            key: found for key, found in latencies(whole, f".{name}").items() if key not in OVER},
            "calls": {"due": due, "started": due, "not_started": {"no_slot": 0},
                      "succeeded": due - sum(failed.values()), "failed": failed,
                      "in_progress": 0}}
    result["phases"] = rows
    result["plan"]["scenarios"] = [{"name": "calls", "executor": "stairs", "phases": phases,
                                    "start_after": ""}]
    result["load_s"] = float(len(rates) * seconds)
    total = sum(rates) * seconds
    lost = {}
    for part in rows.values():
        for kind, count in part["calls"]["failed"].items():
            lost[kind] = lost.get(kind, 0) + count
    result["calls"] = {"due": total, "started": total, "not_started": {"no_slot": 0},
                       "succeeded": total - sum(lost.values()), "failed": lost, "in_progress": 0}
    per_s = total / result["load_s"]
    result["rate"] = {"due_per_s": per_s, "started_per_s": per_s,
                      "succeeded_per_s": result["calls"]["succeeded"] / result["load_s"]}
    result["metrics"] = latencies({
        name: history.latency(name, dict.fromkeys(rows, True))
        for name in (*(f"{clock}{kind}" for clock in CLOCKS for kind in ("", "_service")), *OVER)})
    return result, history


def law_latency(rate, one_s=0.02, sigma=0.03, kappa=0.0004):
    """Latency (us) at which a target that follows the scalability law bears this rate."""
    load = np.linspace(1, math.sqrt((1 - sigma) / kappa), 4000)
    borne = load / one_s / (1 + sigma * (load - 1) + kappa * load * (load - 1))
    at = float(np.interp(rate, borne, load))
    return at / rate * 1e6
