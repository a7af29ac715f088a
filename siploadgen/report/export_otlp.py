"""`--out otlp=URL`: OpenTelemetry metrics by OTLP over HTTP (needs the extra `otel`).

Sums are cumulative: what could not be delivered is made up for by the next interval.
Delays are exponential histograms of scale 6: buckets about 1 % wide, of the HDR histograms.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from siploadgen import __version__
from siploadgen.core.hist import LENGTH
from siploadgen.errors import UsageError
from siploadgen.figures import Array, Figures
from siploadgen.report import histogram
from siploadgen.report.exports import Base, Book, Point
from siploadgen.report.metrics import Names

SCALE = 6
TIMEOUT_S = 2.0
LAST_S = 5.0  # what the latest figures may take to be delivered once the run is over


def exponential(counts: Array) -> tuple[int, list[int], int]:
    """Offset and counts of the buckets of an exponential histogram of seconds, and its zeros.

    Bucket i holds values above 2 ** (i / 2 ** SCALE), up to 2 ** ((i + 1) / 2 ** SCALE).
    """
    used = np.flatnonzero(counts[: LENGTH])
    zeros = int(counts[0])
    used = used[used > 0]
    if not used.size:
        return 0, [], zeros
    seconds = histogram.MEDIAN_AT_US[used] / 1e6
    places = np.ceil(np.log2(seconds) * 2**SCALE).astype(np.int64) - 1
    offset = int(places[0])
    found = np.bincount(places - offset, weights=counts[used]).astype(np.int64)
    return offset, found.tolist(), zeros


class Exporter(Base):
    """Posts what was counted so far after each interval, on a thread of its own."""

    def __init__(self, where: str, names: Names) -> None:
        """Check the address. Raises UsageError when it is none, or the extra is not installed."""
        parts = urlsplit(where)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"--out otlp={where}: write a URL such as http://127.0.0.1:4318")
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        except ImportError:
            raise UsageError(f"--out otlp={where}: OpenTelemetry is not installed; "
                             "pip install 'siploadgen[otel]'") from None
        self.place = where if parts.path.strip("/") else f"{where.rstrip('/')}/v1/metrics"
        for name in ("opentelemetry.exporter.otlp.proto.http", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what failed is said once, by us
        self._exporter = OTLPMetricExporter(endpoint=self.place, timeout=TIMEOUT_S)
        self._began = time.time_ns()
        self._book = Book(names)
        self._waiting: queue.Queue[Any] = queue.Queue()
        self._failed = 0
        self._thread: threading.Thread | None = threading.Thread(
            target=self._post, name="otlp", daemon=True)
        self._thread.start()

    def interval(self, row: Mapping[str, Any], figures: Figures) -> None:
        """Hand the figures so far to the thread that posts them."""
        self._book.add(row, figures)
        self._waiting.put(list(self._book.points()))

    def _post(self) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        while (points := self._waiting.get()) is not None:
            while not self._waiting.empty():  # it was slow: the newest has all that came before
                newer = self._waiting.get()
                if newer is None:
                    self._waiting.put(None)
                    break
                points = newer
            sent = self._exporter.export(self._data(points), timeout_millis=TIMEOUT_S * 1000)
            self._failed = 0 if sent is MetricExportResult.SUCCESS else self._failed + 1

    def _data(self, points: list[Point]) -> Any:
        from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        now = time.time_ns()
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(point.name, []).append(point)
        metrics = [self._metric(group, now) for group in groups.values()]
        scope = ScopeMetrics(InstrumentationScope("siploadgen", __version__), metrics, "")
        resource = Resource.create({"service.name": "siploadgen"})
        return MetricsData([ResourceMetrics(resource, [scope], "")])

    def _metric(self, group: list[Point], now: int) -> Any:
        from opentelemetry.sdk.metrics.export import (
            AggregationTemporality,
            ExponentialHistogram,
            Gauge,
            Metric,
            NumberDataPoint,
            Sum,
        )

        first = group[0]
        data: Any
        if first.kind == "histogram":
            data = ExponentialHistogram([self._histogram(point, now) for point in group],
                                        AggregationTemporality.CUMULATIVE)
        else:
            numbers = [NumberDataPoint(dict(point.labels), self._began, now, point.value)
                       for point in group]
            data = Gauge(numbers) if first.kind == "gauge" else Sum(
                numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        unit = "s" if first.kind == "histogram" else "1"
        name = first.name.removesuffix("_seconds").replace("_", ".")
        return Metric(f"siploadgen.{name}", first.help, unit, data)

    def _histogram(self, point: Point, now: int) -> Any:
        from opentelemetry.sdk.metrics.export import Buckets, ExponentialHistogramDataPoint

        counts = point.counts
        assert counts is not None
        offset, found, zeros = exponential(counts)
        held = sum(found) + zeros  # without those above the range
        return ExponentialHistogramDataPoint(
            dict(point.labels), self._began, now, held, histogram.mean(counts) / 1e6 * held,
            SCALE, zeros, Buckets(offset, found), Buckets(0, []), 0,
            histogram.minimum(counts) / 1e6,
            min(histogram.maximum(counts) / 1e6, math.nextafter(histogram.ABOVE_US / 1e6, 0)))

    def close(self) -> None:
        """Let the latest figures be delivered, then end; a collector that is deaf is told of."""
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join(LAST_S)
        self._thread = None
        if self._failed:
            import sys

            sys.stderr.write(f"--out otlp={self.place}: the latest figures were not taken\n")
        self._exporter.shutdown()
