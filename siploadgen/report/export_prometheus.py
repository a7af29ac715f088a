"""`--out prometheus=ADDRESS:PORT`: an endpoint that Prometheus scrapes while the run lasts.

Histograms have buckets at 1, 2 and 5 times powers of ten, counted from the HDR histograms.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from siploadgen.core.hist import LENGTH
from siploadgen.errors import UsageError
from siploadgen.figures import Array, Figures
from siploadgen.report import histogram
from siploadgen.report.exports import Base, Book, Point, address
from siploadgen.report.metrics import Names

BOUNDS_US = [digit * 10**power for power in range(1, 9) for digit in (1, 2, 5)]


def buckets(counts: Array) -> list[tuple[str, float]]:
    """Cumulative counts up to each bound in seconds; values that overflowed are in +Inf alone."""
    running = np.cumsum(counts[: LENGTH])
    places = np.searchsorted(histogram.HIGHEST_AT_US, BOUNDS_US, side="right") - 1
    result = [(f"{bound / 1e6:g}", float(running[place]))
              for bound, place in zip(BOUNDS_US, places, strict=True)]
    return [*result, ("+Inf", float(counts.sum()))]


def _family(point: Point) -> Metric:
    name, labels = f"siploadgen_{point.name}", list(point.labels)
    if point.kind == "counter":
        return CounterMetricFamily(name, point.help, labels=labels)
    if point.kind == "gauge":
        return GaugeMetricFamily(name, point.help, labels=labels)
    return HistogramMetricFamily(name, point.help, labels=labels)


class Endpoint(Base):
    """Serves what was counted so far."""

    def __init__(self, where: str, names: Names) -> None:
        """Listen. Raises UsageError when the port cannot be had."""
        host, port = address(where, "prometheus", 9464)
        self._book = Book(names)
        self._lock = threading.Lock()
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise UsageError(f"--out prometheus={where}: {error.strerror or error}") from None
        shown = f"[{host}]" if ":" in host else host
        self.place = f"http://{shown}:{self._server.server_port}/metrics"
        self._open = True

    def describe(self) -> list[Metric]:
        """Say nothing before there is something."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted so far, as prometheus_client wants it."""
        families: dict[str, Any] = {}
        with self._lock:
            points = list(self._book.points())
        for point in points:
            family = families.setdefault(point.name, _family(point))
            values = list(point.labels.values())
            if point.counts is not None:
                total = histogram.mean(point.counts) / 1e6 * point.value
                family.add_metric(values, buckets(point.counts), total)
            else:
                family.add_metric(values, point.value)
        yield from families.values()

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Add an interval to what is served."""
        with self._lock:
            self._book.add(row, figures)

    def close(self) -> None:
        """Stop listening."""
        if self._open:
            self._open = False
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
