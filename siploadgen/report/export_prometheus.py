"""`--out prometheus=ADDRESS:PORT`: an endpoint that Prometheus scrapes while the run lasts.

Histograms have buckets at 1, 2 and 5 times powers of ten, counted from the HDR histograms. A
scraper that takes OpenMetrics 2.0 gets native histograms beside them, of the same counts.
"""

import math
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import BucketSpan, NativeHistogram, Sample

from siploadgen.core.hist import LENGTH
from siploadgen.errors import UsageError
from siploadgen.figures import Array, Figures
from siploadgen.report import histogram
from siploadgen.report.export_otlp import SCALE, exponential
from siploadgen.report.exports import Base, Book, Point, address
from siploadgen.report.metrics import Names

ZERO_S = 5e-7  # below it values are counted as zeros
_MODERN = re.compile(r"application/openmetrics-text[^,]*version=[2-9]")
BOUNDS_US = [digit * 10**power for power in range(1, 9) for digit in (1, 2, 5)]


def buckets(counts: Array) -> list[tuple[str, float]]:
    """Cumulative counts up to each bound in seconds; values that overflowed are in +Inf alone."""
    running = np.cumsum(counts[: LENGTH])
    places = np.searchsorted(histogram.HIGHEST_AT_US, BOUNDS_US, side="right") - 1
    result = [(f"{bound / 1e6:g}", float(running[place]))
              for bound, place in zip(BOUNDS_US, places, strict=True)]
    return [*result, ("+Inf", float(counts.sum()))]


def native(counts: Array, total_s: float) -> NativeHistogram:
    """Return a native histogram of seconds; what overflowed is above an hour.

    Bucket i holds values above 2 ** ((i - 1) / 2 ** SCALE), up to 2 ** (i / 2 ** SCALE).
    """
    offset, found, zeros = exponential(counts)
    buckets = {offset + 1 + place: count for place, count in enumerate(found) if count}
    if counts[-1]:
        beyond = math.floor(math.log2(histogram.ABOVE_US / 1e6) * 2**SCALE) + 1
        buckets[beyond] = buckets.get(beyond, 0) + int(counts[-1])
    spans: list[tuple[int, int]] = []
    deltas = []
    end = before = 0
    for place, count in sorted(buckets.items()):
        if spans and place == end:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((place - end, 1))  # the first from 0, others from where the last ended
        deltas.append(count - before)
        end, before = place + 1, count
    return NativeHistogram(
        int(counts.sum()), total_s, SCALE, ZERO_S, zeros,
        pos_spans=[BucketSpan(*span) for span in spans] or None, pos_deltas=deltas or None)


def _family(point: Point) -> Metric:
    name, labels = f"siploadgen_{point.name}", list(point.labels)
    if point.kind == "counter":
        return CounterMetricFamily(name, point.help, labels=labels)
    if point.kind == "gauge":
        return GaugeMetricFamily(name, point.help, labels=labels)
    return HistogramMetricFamily(name, point.help, labels=labels)


class _View(Collector):
    """What one registry collects."""

    def __init__(self, endpoint: "Endpoint", modern: bool) -> None:
        self._endpoint, self._modern = endpoint, modern

    def describe(self) -> list[Metric]:
        """Say nothing before there is something."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted so far."""
        return self._endpoint.collect(self._modern)


class Endpoint(Base):
    """Serves what was counted so far."""

    def __init__(self, where: str, names: Names) -> None:
        """Listen. Raises UsageError when the port cannot be had."""
        host, port = address(where, "prometheus", 9464)
        self._book = Book(names)
        self._lock = threading.Lock()
        classic, modern = CollectorRegistry(), CollectorRegistry()
        classic.register(_View(self, modern=False))
        modern.register(_View(self, modern=True))
        try:
            self._server, self._thread = start_http_server(port, host, classic)
        except OSError as error:
            raise UsageError(f"--out prometheus={where}: {error.strerror or error}") from None
        shown = f"[{host}]" if ":" in host else host
        self.place = f"http://{shown}:{self._server.server_port}/metrics"
        self._open = True
        apps = {False: make_wsgi_app(classic), True: make_wsgi_app(modern)}
        # Older formats have no word for native histograms.
        self._server.set_app(lambda environ, start: apps[
            bool(_MODERN.search(environ.get("HTTP_ACCEPT", "")))](environ, start))

    def collect(self, modern: bool) -> Iterator[Metric]:
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
                if modern:
                    family.samples.append(Sample(
                        family.name, dict(point.labels), 0.0, None, None,
                        native(point.counts, total)))
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
