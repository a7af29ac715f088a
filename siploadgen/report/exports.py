"""Where the figures of a run can go while it goes on: monitoring systems, and plug-ins.

An export is made by a factory of (destination, names) and is told of each interval. Those of other
packages are found by the entry point group `siploadgen.outputs`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from siploadgen.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from siploadgen.figures import Array, Figures
    from siploadgen.report.metrics import Names

GROUP = "siploadgen.outputs"
BUILT_IN: Mapping[str, str] = {
    "prometheus": "siploadgen.report.export_prometheus:Endpoint",
    "otlp": "siploadgen.report.export_otlp:Exporter",
    "statsd": "siploadgen.report.export_lines:Statsd",
    "influx": "siploadgen.report.export_lines:Influx",
    "hgrm": "siploadgen.report.export_hgrm:Distributions",
    "pcap": "siploadgen.report.export_pcap:FailedCalls",
    "github": "siploadgen.report.export_github:JobSummary",
}


class Export(Protocol):
    """What is told of a run. `place` is what the summary says of it, such as a file or a URL."""

    place: str

    def interval(self, row: Mapping[str, Any], figures: "Figures") -> None:
        """Take an interval: its row in intervals.ndjson, and what engines counted in it."""

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Take failures: the rows of errors.ndjson, with `datagrams` (figures.Datagram)."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Take the result: the object of run.json."""

    def close(self) -> None:
        """Give back what it holds; may be called twice."""


Factory = Callable[[str, "Names"], Export]


class Base:
    """An export that wants nothing of all this; others say what they do want."""

    place = ""

    def interval(self, row: Mapping[str, Any], figures: "Figures") -> None:
        """Pass over it."""

    def failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Pass over them."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Pass over it."""

    def close(self) -> None:
        """Hold nothing."""


def _plug_ins() -> dict[str, "EntryPoint"]:
    from importlib.metadata import entry_points

    return {one.name: one for one in entry_points(group=GROUP)}


def kinds() -> tuple[str, ...]:
    """Name all exports, those of plug-ins too."""
    return tuple(dict.fromkeys((*BUILT_IN, *_plug_ins())))


def is_kind(name: str) -> bool:
    """Tell whether there is an export of that name."""
    return name in BUILT_IN or name in _plug_ins()


def open_export(kind: str, where: str, names: "Names") -> Export:
    """Make an export. Raises UsageError when its destination is wrong or a package is missing."""
    import importlib

    factory: Factory
    if kind in BUILT_IN:
        module, _, name = BUILT_IN[kind].partition(":")
        factory = getattr(importlib.import_module(module), name)
    else:
        try:
            factory = _plug_ins()[kind].load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"--out {kind}={where}: its plug-in cannot be loaded: {error}"
                             ) from None
    return factory(where, names)


# --- what monitoring systems are told ---


@dataclass(frozen=True, slots=True)
class Point:
    """One number, or a histogram of microseconds, with its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    counts: "Array | None" = None
    help: str = ""


_TREES: Sequence[tuple[str, str, str, str]] = (  # name, key, inner key, label
    ("calls_not_started", "calls", "not_started", "cause"),
    ("calls_failed", "calls", "failed", "class"),
    ("retransmitted", "messages", "retransmitted_by_method", "method"),
    ("timeouts", "messages", "timeouts", "timer"),
)
HELP: Mapping[str, str] = {
    "calls_due": "Calls whose time had come",
    "calls_started": "Calls that were started",
    "calls_succeeded": "Calls that ended as planned",
    "calls_failed": "Calls that did not, by class",
    "calls_not_started": "Due calls that were not started, by cause",
    "messages_sent": "SIP messages sent, repeats included",
    "messages_received": "SIP messages received, repeats included",
    "received_again": "Messages received again",
    "retransmitted": "Messages sent again, by the method of their request",
    "retransmitted_own_fault": "Messages sent again although the answer lay in our queue",
    "timeouts": "Transactions given up, by timer",
    "receive_drops": "Datagrams that our receive queue lost",
    "send_errors": "Datagrams that the kernel refused",
    "calls_open": "Calls in progress",
    "loop_busy": "Share of its time that the busiest engine worked",
    "rfc6076": "Ratios of RFC 6076",
    "verdict": "1 for the state of the latest interval: valid, suspect or invalid",
    "latency_seconds": "Delays; siploadgen metrics defines each",
}


class Book:
    """What happened in one interval, or in all so far, as points."""

    def __init__(self, names: "Names") -> None:
        self._names = names
        self._figures: Figures | None = None
        self._counters: dict[tuple[str, str, str], int] = {}  # name, label, its value
        self._row: Mapping[str, Any] = {}

    def add(self, row: Mapping[str, Any], figures: "Figures") -> None:
        """Add an interval."""
        whole = self._names.whole(figures)
        self._figures = whole if self._figures is None else self._figures + whole
        self._row = row
        for key, value in _counted(row):
            self._counters[key] = self._counters.get(key, 0) + value

    def points(self) -> Iterator[Point]:
        """Yield everything: counters first, gauges of the latest interval, histograms."""
        from siploadgen.report import rfc6076

        if self._figures is None:
            return
        for (name, label, text), value in self._counters.items():
            yield _point(name, "counter", value, {label: text} if label else {})
        row = self._row
        yield _point("calls_open", "gauge", row["calls"]["in_progress"])
        if row["generator"]["loop_busy"] is not None:
            yield _point("loop_busy", "gauge", row["generator"]["loop_busy"])
        for state in ("valid", "suspect", "invalid"):
            yield _point("verdict", "gauge", int(row["verdict"]["state"] == state),
                         {"state": state})
        for name, share in rfc6076.ratios(self._figures).items():
            if share is not None:
                yield _point("rfc6076", "gauge", share, {"ratio": name})
        for name in self._names.latencies():
            counts = self._names.counts(self._figures, name)
            if counts.any():
                yield _point("latency_seconds", "histogram", int(counts.sum()), {"metric": name},
                             counts)


def _point(name: str, kind: Literal["counter", "gauge", "histogram"], value: float,
           labels: Mapping[str, str] | None = None, counts: "Array | None" = None) -> Point:
    return Point(name, kind, value, labels or {}, counts, HELP[name])


def _counted(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Yield the counters of an interval by name, label and its value."""
    for name in ("due", "started", "succeeded"):
        yield (f"calls_{name}", "", ""), row["calls"][name]
    for name in ("sent", "received"):
        yield (f"messages_{name}", "", ""), row["messages"][name]
    for name in ("received_again", "retransmitted_own_fault"):
        yield (name, "", ""), row["messages"][name]
    for name in ("receive_drops", "send_errors"):
        yield (name, "", ""), row["generator"][name]
    for name, key, inner, label in _TREES:
        for text, count in row[key][inner].items():
            yield (name, label, text), count


# --- destinations ---


def address(where: str, kind: str, port: int) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `:PORT` or `PORT`; without a host 127.0.0.1.

    Raises UsageError.

    >>> address("9464", "prometheus", 9464), address("[::1]", "statsd", 8125)
    (('127.0.0.1', 9464), ('::1', 8125))
    """
    host, _, digits = where.rpartition(":")
    if where.isdecimal():
        host, digits = "", where
    elif not digits.isdecimal():
        host, digits = where, str(port)
    if host and not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[\w.-]+", host):
        raise UsageError(f"--out {kind}={where}: write HOST:PORT")
    if int(digits) > 65535:
        raise UsageError(f"--out {kind}={where}: no port {digits}")
    return host.strip("[]") or "127.0.0.1", int(digits)
