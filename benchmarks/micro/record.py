"""Nanoseconds to record a value in an HDR histogram, in the engine and by the hdrhistogram package.

`usual`: values as delays of calls are (lognormal about 2 ms). `far`: values over the whole range,
so that most counters are in no cache. The package is called as one calls it from Python.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
from hdrh.histogram import HdrHistogram

from siploadgen.core import hist

VALUES, FEW, REPEATS = 2_000_000, 50_000, 7


def best_ns(work: Callable[[], object], steps: int) -> float:
    """The least of several runs: the machine can only make it slower."""
    least = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        work()
        least = min(least, time.perf_counter_ns() - start)
    return least / steps


def main() -> None:
    random = np.random.default_rng(1)
    scenes = {"usual": random.lognormal(np.log(2000), 0.8, VALUES),
              "far": 10 ** random.uniform(0, 9.5, VALUES)}
    for name, drawn in scenes.items():
        values = drawn.astype(np.int64)
        counts = np.zeros(hist.STRIDE, np.int64)
        ours = hist.Histogram(counts)
        took = best_ns(lambda o=ours, v=values: o.record(v), len(values))
        assert counts.sum() == REPEATS * len(values)
        package = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)
        few = values[:FEW].tolist()

        def record(package: HdrHistogram = package, few: list[int] = few) -> None:
            for value in few:
                package.record_value(value)

        theirs = best_ns(record, FEW)
        print(json.dumps({"name": f"record.{name}", "value": round(took, 2), "unit": "ns",
                          "package_ns": round(theirs, 1)}))
        print(json.dumps({"name": f"record.{name}_to_package", "value": round(took / theirs, 4),
                          "unit": "ratio"}))


if __name__ == "__main__":
    main()
