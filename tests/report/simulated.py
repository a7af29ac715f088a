"""Runs that never were: intervals with latencies whose distribution is known."""

from __future__ import annotations

import numpy as np

from siploadgen.report import histogram
from siploadgen.report.saved import Course, SavedRun

WIDTH = histogram.LOWEST_AT_US


def course(per_interval: list[np.ndarray]) -> Course:
    """Histograms of values in microseconds, an array for each interval."""
    counts = np.array([len(values) for values in per_interval])
    values = np.concatenate(per_interval)
    interval = np.repeat(np.arange(len(counts)), counts)
    place = np.searchsorted(WIDTH, values, side="right") - 1
    cells, held = np.unique(interval * len(WIDTH) + place, return_counts=True)
    return Course(len(counts), cells // len(WIDTH), cells % len(WIDTH), held)


def latencies(random: np.random.Generator, *, seconds: int = 300, rate: int = 200,
              median_us: float = 20_000, sigma: float = 0.5, drift: float = 0.01,
              wander: float = 0.05, memory: float = 0.8) -> list[np.ndarray]:
    """Lognormal latencies of a target that is a little slower or faster from run to run (`drift`)
    and from second to second (`wander`, an autoregressive process with that `memory`).
    """
    level = np.empty(seconds)
    state = random.normal(0, wander)
    for second in range(seconds):
        level[second] = state
        state = memory * state + random.normal(0, wander * np.sqrt(1 - memory**2))
    level += random.normal(0, drift) + np.log(median_us)
    counts = random.poisson(rate, seconds)
    values = np.exp(random.normal(np.repeat(level, counts), sigma))
    return np.split(values, np.cumsum(counts)[:-1])


def result(*, calls: int = 60_000, failed: int = 0, seconds: float = 300, state: str = "valid",
           **more) -> dict:
    """As much of run.json as a comparison looks at."""
    phases = [{"name": "main", "start_s": 0.0, "end_s": seconds, "measured": True}]
    counted = {"due": calls, "started": calls, "not_started": {"no_slot": 0, "stopped": 0},
               "succeeded": calls - failed, "failed": {"timeout": failed} if failed else {},
               "in_progress": 0}
    rules = [] if state == "valid" else [{"name": "loop_busy", "ok": False}]
    return {
        "scenario": {"name": "call", "digest": "d", "settings": {}},
        "target": {"uri": "sip:192.0.2.1:5060", "transport": "udp"},
        "plan": {"rate_per_s": calls / seconds, "duration_s": seconds, "timers": {},
                 "obey_overload": False,
                 "scenarios": [{"name": "call", "executor": "constant-arrival-rate",
                                "phases": phases}]},
        "verdict": {"state": state, "rules": rules}, "interrupted": False, "load_s": seconds,
        "calls": counted,
        "metrics": {name: {"count": calls} for name in ("srd", "srd_service", "lateness")},
        "messages": {"sent": {"INVITE": calls}, "received": {}, "retransmitted": 0},
        "rfc6076": {"ser": 1 - failed / calls},
        "phases": {"main": {"measured": True, "calls": counted}},
        "environment": {"cpu": "x", "cores": 2, "kernel": "Linux 6"}, **more}


def rows(started: list[int], failed: list[int] | None = None) -> list[dict]:
    """Objects of intervals.ndjson, one second each."""
    failed = failed or [0] * len(started)
    return [{"t_s": float(second), "length_s": 1.0,
             "calls": {"due": count, "started": count, "not_started": {"no_slot": 0},
                       "succeeded": count - bad, "failed": {"timeout": bad} if bad else {}},
             "messages": {"sent": 3 * count, "received": 3 * count, "retransmitted": 0}}
            for second, (count, bad) in enumerate(zip(started, failed, strict=True))]


def run(name: str, seed: int, slower: float = 1.0, **how) -> SavedRun:
    """A run whose target takes `slower` times as long."""
    per_interval = latencies(np.random.default_rng(seed), median_us=20_000 * slower, **how)
    started = [len(values) for values in per_interval]
    return SavedRun(name, result(calls=sum(started), seconds=len(started)), rows(started),
                    {"srd": course(per_interval)})
