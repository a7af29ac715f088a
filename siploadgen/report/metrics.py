"""From the engines' arrays to the names of run.json: calls, messages, latencies, ratios."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from siploadgen.core.counters import Counter
from siploadgen.core.measure import Measure
from siploadgen.core.program import Outcome
from siploadgen.core.sip.tokens import Method
from siploadgen.figures import Array, Figures, Series
from siploadgen.report import histogram, rfc6076

HIST_LATENESS = 0  # numbers of core.engine
HIST_RECEIVE_DELAY = 1
HIST_CLOCKS = 2
WHOLE = ("lateness", "receive_delay")  # latencies that are not told apart by phase and scenario
RFC6076 = "rfc6076."  # before the names of what that RFC defines

_CLASSES = ("2xx", "3xx", "4xx", "5xx", "6xx")
_SDT = (Measure.MEASURE_SDT, Measure.MEASURE_SDT_FAILED)
_CALLS = {int(Method.METHOD_INVITE)}
_BYES = {int(Method.METHOD_BYE)}
_MEASURED: Mapping[int, set[int]] = {  # methods that a program must send for a measure
    Measure.MEASURE_RRD: {int(Method.METHOD_REGISTER)},
    Measure.MEASURE_SRD: _CALLS, Measure.MEASURE_SRD_FAILED: _CALLS,
    Measure.MEASURE_SDD: _BYES, Measure.MEASURE_SDD_FAILED: _BYES,
    Measure.MEASURE_SDT: _BYES, Measure.MEASURE_SDT_FAILED: _BYES,
}

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_KEYS = ("p50_us", "p90_us", "p95_us", "p99_us", "p99.9_us")


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers of a program mean. `outcomes` says of each: name, counts as success."""

    clocks: tuple[str, ...]
    outcomes: Mapping[int, tuple[str, bool]]
    counters: tuple[str, ...]
    series: tuple[Series, ...] = ()
    methods: tuple[int, ...] = ()  # that the program sends

    @classmethod
    def of(cls, program: Any, series: tuple[Series, ...] = ()) -> Self:
        """Names of a compiled program, and of the series that its results are kept in."""
        outcomes = {int(outcome): (outcome.name.removeprefix("OUTCOME_").lower(),
                                   outcome == Outcome.OUTCOME_SUCCEEDED)
                    for outcome in Outcome if outcome < Outcome.OUTCOME_USER}
        for number, (name, ok) in enumerate(program.outcomes):
            outcomes[int(Outcome.OUTCOME_USER) + number] = (name, ok)
        return cls(tuple(program.clocks), outcomes, tuple(program.counters), series,
                   tuple(program.methods))

    def outcome(self, number: int) -> str:
        """Name of an outcome."""
        return self.outcomes.get(number, (f"outcome_{number}", False))[0]

    def chosen(self, workload: str | None = None, phase: str | None = None) -> list[int]:
        """Series of a workload and a phase; without a phase those that are measured."""
        rows = [number for number, one in enumerate(self.series)
                if workload in (None, one.workload) and (
                    phase == one.phase or (phase is None and one.measured))]
        return rows or [number for number, one in enumerate(self.series)
                        if phase is None and workload in (None, one.workload)]

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of the workloads, in the order of the plan."""
        return tuple(dict.fromkeys(one.workload for one in self.series))

    def of_workload(self, figures: Figures, workload: str) -> Figures:
        """Return the figures of all phases of a workload."""
        return figures.of_series([number for number, one in enumerate(self.series)
                                  if one.workload == workload])

    def whole(self, figures: Figures) -> Figures:
        """Add up all series."""
        return figures.of_series(range(len(self.series))) if len(self.series) > 1 else figures

    def part(self, figures: Figures, workload: str | None = None,
             phase: str | None = None) -> Figures:
        """Return the figures of a workload and a phase; without a phase those that are measured."""
        if len(self.series) <= 1:
            return figures
        return figures.of_series(self.chosen(workload, phase))

    def histograms(self) -> dict[str, tuple[int, str]]:
        """Return the number and the origin (due, send, received) of each latency by its name."""
        result = {}
        for clock, name in enumerate(self.clocks):
            result[name] = (HIST_CLOCKS + 2 * clock, "due")
            result[f"{name}_service"] = (HIST_CLOCKS + 2 * clock + 1, "send")
        result["lateness"] = (HIST_LATENESS, "due")
        result["receive_delay"] = (HIST_RECEIVE_DELAY, "received")
        return result

    def measures(self) -> dict[str, int]:
        """Return the row (of `core.measure`) of each latency that no clock of the model takes."""
        wanted = {row for row, methods in _MEASURED.items() if methods & set(self.methods)}
        result = {f"{RFC6076}{Measure(row).name.removeprefix('MEASURE_').lower()}": int(row)
                  for row in Measure if row in wanted}
        for place, method in enumerate(self.methods):
            for number, group in enumerate(_CLASSES):
                result[f"{method_name(method)}.{group}"] = (
                    int(Measure.MEASURE_METHODS) + len(_CLASSES) * place + number)
        return result

    def latencies(self) -> dict[str, str]:
        """Return where each latency counts from: due, send, received or answer; by its name."""
        origins = {name: origin for name, (_, origin) in self.histograms().items()}
        return origins | {name: "answer" if row in _SDT else "send"
                          for name, row in self.measures().items()}

    def counts(self, figures: Figures, name: str) -> Array:
        """Return the histogram of a latency. Raises KeyError for a name that there is not."""
        place = self.histograms().get(name)
        return (figures.measure(self.measures()[name]) if place is None
                else figures.histograms[place[0]])


def _ended(outcomes: Array, names: Names) -> tuple[int, dict[str, int]]:
    """Return the successes and the failures by class."""
    succeeded, failed = 0, {}
    for number in np.flatnonzero(outcomes):
        name, ok = names.outcomes.get(int(number), (f"outcome_{number}", False))
        if ok:
            succeeded += int(outcomes[number])
        else:
            failed[name] = int(outcomes[number])
    return succeeded, failed


def calls(figures: Figures, names: Names) -> dict[str, Any]:
    """Count the calls that a schedule started, as run.json has them."""
    counters = figures.counters
    succeeded, failed = _ended(figures.outcomes, names)
    return {
        "due": int(counters[Counter.COUNT_DUE]),
        "started": int(counters[Counter.COUNT_STARTED]),
        "not_started": {
            "no_slot": int(counters[Counter.COUNT_NOT_STARTED_NO_SLOT]),
            "stopped": int(counters[Counter.COUNT_NOT_STARTED_STOPPED]),
            "no_user": int(counters[Counter.COUNT_NOT_STARTED_NO_USER]),
            "throttled_by_oc": int(counters[Counter.COUNT_NOT_STARTED_THROTTLED]),
        },
        "succeeded": succeeded, "failed": failed, "in_progress": figures.in_progress,
    }


def answered_calls(figures: Figures, names: Names) -> dict[str, Any]:
    """Count the calls of the answering side; those above its bounds are not started."""
    succeeded, failed = _ended(figures.answered_outcomes, names)
    started = int(figures.counters[Counter.COUNT_ANSWERED])
    refused = {"limited": int(figures.counters[Counter.COUNT_LIMITED]),
               "lines_busy": int(figures.counters[Counter.COUNT_LINES_BUSY])}
    return {
        "due": started + sum(refused.values()), "started": started, "not_started": refused,
        "succeeded": succeeded, "failed": failed,
        "in_progress": started - int(figures.answered_outcomes.sum()),
    }


def calls_imbalance(counted: Mapping[str, Any]) -> str | None:
    """Say which of the two sums of a `calls` object does not hold; None when both do."""
    refused = sum(counted["not_started"].values())
    if counted["due"] != counted["started"] + refused:
        return f"due {counted['due']} is not started {counted['started']} + {refused}"
    ended = counted["succeeded"] + sum(counted["failed"].values()) + counted["in_progress"]
    if counted["started"] != ended:
        return f"started {counted['started']} is not {ended}"
    return None


_METHODS = {int(method): method.name.removeprefix("METHOD_") for method in Method
            if Method.METHOD_UNKNOWN < method < Method.METHOD_COUNT}


def method_name(number: int) -> str:
    """Name of a method: `INVITE`; `OTHER` for those that are not known by number."""
    return _METHODS.get(number, "OTHER")


TIMEOUTS: Mapping[str, Counter] = {
    "timer_b": Counter.COUNT_TIMER_B, "timer_f": Counter.COUNT_TIMER_F,
    "timer_h": Counter.COUNT_TIMER_H, "no_prack": Counter.COUNT_NO_PRACK}


def _message_counts(requests: Array, responses: Array) -> dict[str, int]:
    counts = {method_name(int(method)): int(requests[method])
              for method in np.flatnonzero(requests)}
    for method, status in np.argwhere(responses):
        name = f"{int(status) + 100}/{method_name(int(method))}"
        counts[name] = counts.get(name, 0) + int(responses[method, status])
    return counts


def messages(figures: Figures) -> dict[str, Any]:
    """Count the messages by method and by status/method, retransmissions included."""
    counters = figures.counters
    return {
        "sent": _message_counts(figures.sent_requests, figures.sent_responses),
        "received": _message_counts(figures.received_requests, figures.received_responses),
        "retransmitted": int(counters[Counter.COUNT_RETRANSMITTED]),
        "retransmitted_by_method": {
            method_name(int(method)): int(figures.retransmitted[method])
            for method in np.flatnonzero(figures.retransmitted)},
        "retransmitted_own_fault": int(counters[Counter.COUNT_RETRANSMITTED_OWN_FAULT]),
        "received_again": int(counters[Counter.COUNT_RECEIVED_AGAIN]),
        "malformed": int(counters[Counter.COUNT_MALFORMED]),
        "refused_malformed": int(counters[Counter.COUNT_REFUSED_MALFORMED]),
        "merged": int(counters[Counter.COUNT_MERGED]),
        "unexpected": int(counters[Counter.COUNT_UNEXPECTED]),
        "stray": int(counters[Counter.COUNT_STRAY_RESPONSE]
                     + counters[Counter.COUNT_STRAY_REQUEST]),
        "auto_answered": int(counters[Counter.COUNT_AUTO_ANSWERED]),
        "dialog_mismatch": int(counters[Counter.COUNT_DIALOG_MISMATCH]),
        "keepalive": int(counters[Counter.COUNT_KEEPALIVE]),
        "bindings_answered": int(counters[Counter.COUNT_BINDINGS_ANSWERED]),
        "oversize": int(counters[Counter.COUNT_OVERSIZE]),
        "rspauth_mismatch": int(counters[Counter.COUNT_RSPAUTH_MISMATCH]),
        "forked_2xx": int(counters[Counter.COUNT_FORKED_2XX]),
        "failover": int(counters[Counter.COUNT_FAILOVER]),
        "large_requests": int(counters[Counter.COUNT_LARGE_REQUESTS]),
        "unknown_required": int(counters[Counter.COUNT_UNKNOWN_REQUIRED]),
        "bindings_full": int(counters[Counter.COUNT_BINDINGS_FULL]),
        "timeouts": {name: int(counters[counter]) for name, counter in TIMEOUTS.items()},
    }


def messages_sent(figures: Figures) -> int:
    """Return how many messages were sent, retransmissions included."""
    return int(figures.sent_requests.sum() + figures.sent_responses.sum())


def messages_received(figures: Figures) -> int:
    """Return how many messages were received, repeats included."""
    return int(figures.received_requests.sum() + figures.received_responses.sum())


def latency(counts: Array, origin: str) -> dict[str, Any]:
    """Count, percentiles, maximum and mean (microseconds) of a histogram; null without values."""
    held = int(counts.sum())
    result: dict[str, Any] = {"count": held}
    if held:
        values = histogram.percentiles(counts, PERCENTILES)
        result.update(zip(_KEYS, (int(value) for value in values), strict=True))
        result["max_us"] = int(histogram.maximum(counts))
        result["mean_us"] = round(float(histogram.mean(counts)), 3)
    else:
        result.update(dict.fromkeys((*_KEYS, "max_us", "mean_us")))
    overflow = int(counts[-1])
    if overflow:
        result["overflow"] = overflow
    result["from"] = origin
    return result


def percentile_s(counts: Array, percent: float) -> float | None:
    """Return one percentile in seconds; None without values."""
    if not counts.any():
        return None
    return float(histogram.percentiles(counts, [percent])[0]) / 1e6


def latencies(figures: Figures, names: Names) -> dict[str, Any]:
    """Return every latency metric by its name: each clock twice, lateness, receive_delay, RFC 6076.

    Times to final responses by class are there for classes that came.
    """
    result = {name: latency(figures.histograms[number], origin)
              for name, (number, origin) in names.histograms().items()}
    seen = {row for _, row in figures.measures}
    for name, row in names.measures().items():
        if row in seen or name.startswith(RFC6076):
            result[name] = latency(figures.measure(row), "answer" if row in _SDT else "send")
    return result


def parts(figures: Figures, names: Names) -> dict[str, Any]:
    """Return calls and latencies of each workload and of each phase: keys of run.json.

    A call belongs to the phase in which it was due. Lateness and the delay of receiving are kept
    for the run as a whole.
    """
    def one(workload: str | None, phase: str | None, every: bool = False) -> dict[str, Any]:
        rows = [number for number, series in enumerate(names.series)
                if workload in (None, series.workload) and (every or phase == series.phase)]
        counted = calls(figures.of_series(rows), names)
        measured = names.part(figures, workload, phase)
        found = {name: row for name, row in latencies(measured, names).items() if name not in WHOLE}
        return {"calls": counted, "metrics": found, "rfc6076": rfc6076.ratios(measured)}

    measured = {series.phase: series.measured for series in names.series}
    return {
        "scenarios": {name: one(name, None, every=True)
                      for name in dict.fromkeys(series.workload for series in names.series)},
        "phases": {name: {"measured": measured[name], **one(None, name)} for name in measured},
    }


def loop_busy(figures: Figures) -> float | None:
    """Share of an engine's time that its loop was not waiting; None when it never ran."""
    busy = int(figures.counters[Counter.COUNT_BUSY_NS])
    whole = busy + int(figures.counters[Counter.COUNT_WAIT_NS])
    return busy / whole if whole else None


def steps(figures: Figures, program: Any) -> list[dict[str, Any]]:
    """Return the steps of the program with what happened at each; those without are left out."""
    columns = ("sent", "received", "retransmitted", "timeout", "unexpected")
    return [{"pc": pc, "step": program.step_name(pc),
             **dict(zip(columns, map(int, figures.steps[pc]), strict=True))}
            for pc in map(int, np.flatnonzero(figures.steps[:len(program.code)].any(axis=1)))]
