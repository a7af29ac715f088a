"""Thresholds such as `srd: p(99) < 150ms`: parsed before the run, measured during it.

`metric[{tag=value,...}]: <aggregate> <op> <number><unit> [over <window>] [in <phase>]
[abort [delay <time>]] [warn]`
"""

import difflib
import operator
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.figures import Figures, SparseFigures
from siploadgen.report import histogram, metrics
from siploadgen.report.metrics import Names
from siploadgen.units import NANOS, parse_duration

_OPS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}
_FORM = re.compile(
    r"\s*(?P<metric>[\w.]+)\s*(?:\{(?P<tags>[^{}]*)\})?\s*:"
    r"\s*(?P<aggregate>p\(\s*(?P<percent>[^()\s]*)\s*\)|[a-z]+)"
    r"\s*(?P<op><=|>=|==|!=|<|>)"
    r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>us|ms|s|%|/s)?"
    r"(?:\s+(?P<rest>.*?))?\s*")
_VALUED = ("over", "in", "delay")  # words behind the number that a value follows
_WORDS = (*_VALUED, "abort", "warn")

_LATENCY = ("p", "avg", "min", "max", "med", "count", "rate")
_COUNTED = ("count", "rate", "value")
_CALLS = ("due", "started", "not_started", "succeeded", "failed")
_MESSAGES = ("sent", "received", "retransmitted", "retransmitted_own_fault", "malformed",
             "unexpected", "stray")
_RATIOS = ("ser", "seer", "isa")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold. `limit` is in seconds, a share from 0 to 1, or a plain number."""

    expression: str
    metric: str
    tags: Mapping[str, str]
    aggregate: str  # p, avg, min, max, med, count, rate, value
    percent: float
    op: str
    limit: float
    unit: str
    window_ns: int | None = None
    phase: str | None = None
    abort: bool = False  # the run stops once it is broken
    delay_ns: int = 0  # ... judged from then on, from the first due time
    severity: str = "fail"  # warn: told, and decides nothing

    def holds(self, value: float | None) -> bool:
        """Tell whether a value keeps the threshold; nothing measured does not."""
        return value is not None and _OPS[self.op](value, self.limit)

    def worse(self, value: float, than: float) -> bool:
        """Tell which of two values is further on the wrong side."""
        if self.op in ("<", "<="):
            return value > than
        if self.op in (">", ">="):
            return value < than
        wrong = (abs(value - self.limit), abs(than - self.limit))
        return wrong[0] > wrong[1] if self.op == "==" else wrong[0] < wrong[1]


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f'threshold "{text}": {why}')


def parse_threshold(text: str) -> Threshold:
    """Parse one threshold; UsageError says what is wrong and what to write."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise _wrong(text, "write metric: aggregate op number unit, such as "
                           "srd: p(99) < 150ms or calls.failed: rate < 0.1%")
    aggregate, percent = match["aggregate"], 0.0
    if match["percent"] is not None:
        aggregate = "p"
        try:
            percent = float(match["percent"])
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            raise _wrong(text, f"p({match['percent']}): a percentile is a number from 0 to 100")
    elif aggregate not in {*_LATENCY, *_COUNTED} - {"p"}:
        raise _wrong(text, f'unknown aggregate "{aggregate}"; choose p(99), avg, min, max, med, '
                           "rate, count or value")
    tags = {}
    for part in filter(None, (match["tags"] or "").split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise _wrong(text, f'tag "{part.strip()}": write name=value')
        tags[name] = value
    words = _words(text, (match["rest"] or "").split())
    window = words.get("over")
    window_ns = None if window is None else parse_duration(window, f'threshold "{text}": window')
    if window_ns is not None and (window_ns < NANOS or window_ns % NANOS):
        raise _wrong(text, "over: whole seconds, at least 1s")
    delay_ns = parse_duration(words.get("delay", "0"), f'threshold "{text}": delay')
    unit = match["unit"] or ""
    number = float(match["number"])
    if unit in _SECONDS:
        number *= _SECONDS[unit]
    elif unit == "%":
        number /= 100
    metric = f"calls.{match['metric']}" if match["metric"] in _CALLS else match["metric"]
    threshold = Threshold(text.strip(), metric, tags, aggregate, percent,
                          match["op"], number, unit, window_ns, words.get("in"),
                          "abort" in words, delay_ns, "warn" if "warn" in words else "fail")
    if not threshold.metric.startswith(("calls.", "messages.")) and metric not in _RATIOS:
        _check_unit(threshold, _LATENCY)
    return threshold


def _words(text: str, rest: Sequence[str]) -> dict[str, str]:
    """Read what stands behind the number: each word once, with its value."""
    found: dict[str, str] = {}
    left = iter(rest)
    for word in left:
        if word not in _WORDS:
            close = difflib.get_close_matches(word.strip(",:="), _WORDS, n=1)
            raise _wrong(text, f'unknown word "{word}"; ' + (
                f'did you mean "{close[0]}"?' if close else
                "write metric: aggregate op number unit [over TIME] [in PHASE] "
                "[abort [delay TIME]] [warn]"))
        if word in found:
            raise _wrong(text, f"{word} stands there twice; leave one of them out")
        found[word] = next(left, "") if word in _VALUED else word
        if not found[word]:
            raise _wrong(text, f"{word}: its value is missing, such as {word} "
                               f"{'busy' if word == 'in' else '10s'}")
    if "delay" in found and "abort" not in found:
        raise _wrong(text, "delay is how long abort waits; write abort delay "
                           f"{found['delay']}, or leave it out")
    if "warn" in found and "abort" in found:
        raise _wrong(text, "what only warns stops no run; leave abort or warn out")
    return found


def _check_unit(threshold: Threshold, aggregates: Sequence[str]) -> None:
    """Refuse aggregates that a metric does not have, and units that do not fit."""
    text, aggregate, unit = threshold.expression, threshold.aggregate, threshold.unit
    if aggregate not in aggregates:
        names = ", ".join("p(99)" if name == "p" else name for name in aggregates)
        raise _wrong(text, f"{threshold.metric} has no {aggregate}; choose {names}")
    if aggregate in ("p", "avg", "min", "max", "med"):
        if unit not in _SECONDS and threshold.limit != 0:
            raise _wrong(text, "a time needs a unit: us, ms or s")
    elif aggregate == "count":
        if unit:
            raise _wrong(text, f'a count has no unit "{unit}"')
    elif aggregate == "rate":
        if unit not in ("%", "/s") and threshold.limit != 0:
            raise _wrong(text, "a rate is a share (%) or a number a second (/s)")
    elif unit not in ("", "%"):
        raise _wrong(text, "a value is a plain number or a percentage")


def check_thresholds(thresholds: Sequence[Threshold], names: Names) -> None:
    """Refuse, before the run, thresholds that this run cannot measure."""
    latencies = names.histograms()
    outcomes = {name for name, ok in names.outcomes.values() if not ok}
    known = [*latencies, *(f"calls.{name}" for name in _CALLS),
             *(f"messages.{name}" for name in _MESSAGES), *_RATIOS]
    for threshold in thresholds:
        text = threshold.expression
        _check_part(threshold, names)
        if threshold.metric not in known:
            close = difflib.get_close_matches(threshold.metric, known, n=1)
            mend = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(known)}"
            raise _wrong(text, f'unknown metric "{threshold.metric}" ({mend})')
        for tag, value in threshold.tags.items():
            if tag in ("phase", "scenario"):
                continue
            if tag != "class" or threshold.metric != "calls.failed":
                raise _wrong(text, f'{threshold.metric} has no tag "{tag}"; only calls.failed has '
                                   "one: class; latencies and calls have phase and scenario")
            if value not in outcomes:
                raise _wrong(text, f'no class of failures is named "{value}"; known: '
                                   f"{', '.join(sorted(outcomes))}")
        if threshold.metric in latencies:
            _check_unit(threshold, _LATENCY)
            if threshold.aggregate == "rate" and threshold.unit == "%":
                raise _wrong(text, "the rate of a latency is a number a second (/s)")
        elif threshold.metric in _RATIOS:
            _check_unit(threshold, ("value",))
        else:
            _check_unit(threshold, _COUNTED)
            if threshold.unit == "%" and threshold.metric in ("messages.sent", "messages.received"):
                raise _wrong(text, "has no share; use /s")


def _check_part(threshold: Threshold, names: Names) -> None:
    """Refuse phases and workloads that this run does not have."""
    text, phase = threshold.expression, threshold.tags.get("phase", threshold.phase)
    if phase is not None and threshold.phase not in (None, phase):
        raise _wrong(text, "two phases; leave one of them out")
    for what, value, known in (
            ("phase", phase, [one.phase for one in names.series]),
            ("scenario", threshold.tags.get("scenario"), [one.workload for one in names.series])):
        if value is None:
            continue
        if value not in known:
            mend = ", ".join(dict.fromkeys(known)) or "none"
            raise _wrong(text, f'this run has no {what} "{value}"; known: {mend}')
        if threshold.metric.startswith("messages.") or threshold.metric in (
                "lateness", "receive_delay", *_RATIOS):
            raise _wrong(text, f"{threshold.metric} is not told apart by {what}; leave it out")
    scenario = threshold.tags.get("scenario")
    if None not in (phase, scenario) and not names.chosen(scenario, phase):
        mend = ", ".join(one.phase for one in names.series if one.workload == scenario)
        raise _wrong(text, f'{scenario} has no phase "{phase}"; known: {mend}')


def measure(threshold: Threshold, figures: Figures, length_s: float, names: Names) -> float | None:
    """Return the value of a threshold over a stretch of time; None when there is none.

    Seconds for times, shares from 0 to 1, numbers a second, or plain numbers.
    """
    latencies = names.histograms()
    if threshold.metric in _RATIOS:  # of messages, which are those of the whole run
        return metrics.rfc6076(names.whole(figures), names)[threshold.metric]
    figures = names.part(figures, threshold.tags.get("scenario"),
                         threshold.tags.get("phase", threshold.phase))
    if threshold.metric in latencies:
        return _latency(threshold, figures.histograms[latencies[threshold.metric][0]], length_s)
    count, whole = _counted(threshold, figures, names)
    if threshold.aggregate != "rate":
        return float(count)
    if threshold.unit == "/s":
        return count / length_s if length_s else None
    return count / whole if whole else 0.0


def _latency(threshold: Threshold, counts: Any, length_s: float) -> float | None:
    held = int(counts.sum())
    match threshold.aggregate:
        case "count":
            return float(held)
        case "rate":
            return held / length_s if length_s else None
    if not held:
        return None
    match threshold.aggregate:
        case "avg":
            return float(histogram.mean(counts)) / 1e6
        case "min":
            return float(histogram.percentiles(counts, [0.0])[0]) / 1e6
        case "max":
            return float(histogram.maximum(counts)) / 1e6
    percent = 50.0 if threshold.aggregate == "med" else threshold.percent
    return metrics.percentile_s(counts, percent)


def _counted(threshold: Threshold, figures: Figures, names: Names) -> tuple[int, int]:
    """Return a count and what it is a share of."""
    floor, _, name = threshold.metric.partition(".")
    if floor == "messages":
        sent = metrics.messages_sent(figures)
        received = metrics.messages_received(figures)
        if name in ("sent", "received"):
            return (sent if name == "sent" else received), 0
        found = metrics.messages(figures)[name]
        return found, sent if name.startswith("retransmitted") else received
    counted = metrics.calls(figures, names)
    match name:
        case "not_started":
            return sum(counted["not_started"].values()), counted["due"]
        case "failed":
            wanted = threshold.tags.get("class")
            failed = counted["failed"]
            count = sum(failed.values()) if wanted is None else failed.get(wanted, 0)
            return count, counted["started"]
        case "due":
            return counted["due"], counted["due"]
        case "started":
            return counted["started"], counted["due"]
    return counted["succeeded"], counted["started"]


class _Window:
    """The latest intervals of a windowed threshold, their sum, and the worst window so far."""

    def __init__(self) -> None:
        self.length_s = 0.0
        self.worst: float | None = None
        self.latest: float | None = None
        self._sum: Figures | None = None
        self._parts: deque[tuple[SparseFigures, float]] = deque()

    def slide(self, figures: Figures, length_s: float, window_s: float) -> Figures | None:
        """Take an interval in and old ones out; return the sum once the window is full."""
        part = SparseFigures(figures)
        if self._sum is None:
            self._sum = figures - figures
        self._sum = part.added_to(self._sum, 1)
        self._parts.append((part, length_s))
        self.length_s += length_s
        # Intervals are a second, give or take the scheduling of the thread that samples.
        while self.length_s - self._parts[0][1] > window_s - 0.5:
            old, old_s = self._parts.popleft()
            self.length_s -= old_s
            self._sum = old.added_to(self._sum, -1)
        return self._sum if self.length_s >= window_s - 0.5 else None


@dataclass(frozen=True, slots=True)
class Stop:
    """A threshold that stopped the run, when, and what it measured then."""

    threshold: Threshold
    t_s: float
    value: float

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in run.json."""
        return {"threshold": self.threshold.expression, "t_s": round(self.t_s, 3),
                "value": self.value}


class Meter:
    """Measures thresholds: windows as the intervals go by, the rest at the end."""

    def __init__(self, thresholds: Sequence[Threshold], names: Names) -> None:
        check_thresholds(thresholds, names)
        self.thresholds = thresholds
        self._names = names
        self._windows = [_Window() for _ in thresholds]
        self.stopped: Stop | None = None

    def interval(self, figures: Figures, length_s: float) -> None:
        """Take in what happened in one interval; windows slide by one interval."""
        for threshold, window in zip(self.thresholds, self._windows, strict=True):
            if threshold.window_ns is None:
                continue
            window.latest = None
            held = window.slide(figures, length_s, threshold.window_ns / NANOS)
            if held is None:
                continue
            value = window.latest = measure(threshold, held, window.length_s, self._names)
            # A window without a value breaks nothing.
            if value is not None and (window.worst is None
                                      or threshold.worse(value, window.worst)):
                window.worst = value

    def judge(self, figures: Figures, elapsed_s: float) -> "Stop | None":
        """Return what is to stop the run: the first threshold with `abort` that is broken now.

        `figures` are those of the run so far. Windows are judged one by one; nothing measured yet
        breaks nothing. Once there is one it stays.
        """
        for threshold, window in zip(self.thresholds, self._windows, strict=True):
            if self.stopped or not threshold.abort or elapsed_s * NANOS < threshold.delay_ns:
                continue
            value = window.latest if threshold.window_ns is not None else measure(
                threshold, figures, elapsed_s, self._names)
            if value is not None and not threshold.holds(value):
                self.stopped = Stop(threshold, elapsed_s, value)
        return self.stopped

    def results(self, figures: Figures, length_s: float) -> list[dict[str, Any]]:
        """Measure the whole run: the `thresholds` list of run.json.

        A run shorter than a window is one window.
        """
        found = []
        for threshold, window in zip(self.thresholds, self._windows, strict=True):
            value = window.worst
            if value is None:
                value = measure(threshold, figures, length_s, self._names)
            stopped = self.stopped is not None and self.stopped.threshold is threshold
            if self.stopped is not None and stopped and threshold.window_ns is None:
                value = self.stopped.value  # what was measured then, not what became of it
            found.append({"expression": threshold.expression, "value": value,
                          "limit": threshold.limit, "ok": not stopped and threshold.holds(value),
                          "severity": threshold.severity, "stopped": stopped})
        return found
