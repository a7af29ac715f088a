"""One figure of one run, and how sure it is: percentiles and means, rates, shares."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siploadgen.core.hist import LENGTH
from siploadgen.report import bootstrap, histogram
from siploadgen.report.bootstrap import Floats, Sample
from siploadgen.report.saved import Course, SavedRun
from siploadgen.report.tolerances import Tolerance

BEYOND = 10  # values that must lie beyond a percentile


@dataclass(frozen=True, slots=True)
class _Table:
    """Values by block of the run (rows) and by bucket, and what the buckets stand for."""

    blocks: Floats
    middle_us: Floats
    upper_us: Floats


def _few(value: float, at: float, intervals: int) -> Sample:
    return Sample(value, at, math.inf, 1, f"{intervals} intervals are too few for one run; it "
                                          f"takes {bootstrap.LEAST_BLOCKS}, or more runs")


def _table(course: Course) -> _Table | str:
    """Cut a run into blocks that are longer than what its latencies remember."""
    if not course.count.size:
        return "nothing was measured, or hist.hlog is missing"
    first = int(course.interval.min())
    inside = course.interval - first
    intervals = int(inside.max()) + 1
    used = np.bincount(course.place) > 0
    places = np.flatnonzero(used)
    compact = (np.cumsum(used) - 1)[course.place]
    known = np.minimum(places, LENGTH - 1)
    beyond = places >= LENGTH
    middle = np.where(beyond, histogram.ABOVE_US, histogram.MEDIAN_AT_US[known]).astype(float)
    upper = np.where(beyond, histogram.ABOVE_US, histogram.HIGHEST_AT_US[known]).astype(float)
    counts = np.bincount(inside, course.count, intervals)
    sums = np.bincount(inside, course.count * np.log(middle + 1)[compact], intervals)
    level = sums[counts > 0] / counts[counts > 0]
    blocks = bootstrap.block_count(level)
    cells = bootstrap.block_of(intervals, blocks)[inside] * len(places) + compact
    table = bootstrap.add_up(cells, course.count, blocks * len(places))
    return _Table(table.reshape(blocks, -1), middle, upper)


def _rank(running: Floats, share: float) -> Floats:
    """Which of the sorted values a percentile is, as `histogram.percentiles` counts."""
    return np.maximum(np.floor(share * running[:, -1:] + 0.5), 1)


def _near(blocks: Floats, upper_us: Floats, share: float) -> tuple[Floats, Floats]:
    """Add up over the buckets, of those that a percentile of some of the blocks may lie in.

    It lies between the least and the greatest of the percentiles of single blocks. The last column
    is the number of all values. Running sums add up over blocks as counts do.
    """
    running = np.cumsum(blocks, axis=1)
    places = (running < _rank(running, share)).sum(axis=1)[running[:, -1] > 0]
    low, high = max(int(places.min()) - 1, 0), min(int(places.max()) + 2, len(upper_us))
    return (np.concatenate([running[:, low:high], running[:, -1:]], axis=1),
            np.append(upper_us[low:high], upper_us[high - 1]))


def _latency(table: _Table, percent: float | None, seed: int) -> Sample | str:
    """Percentile, or mean, of the histograms of a run's intervals."""
    total = float(table.blocks.sum())
    if percent is not None and total * min(1 - percent / 100, percent / 100) < BEYOND - 1e-6:
        return f"{total:,.0f} values are too few for p{percent:g}"

    blocks, upper_us = table.blocks, table.upper_us
    if percent is not None:
        blocks, upper_us = _near(blocks, upper_us, percent / 100)

    def statistic(rows: Floats) -> Floats:
        if percent is None:
            found = rows @ table.middle_us / rows.sum(axis=1)
        else:
            found = upper_us[(rows[:, :-1] < _rank(rows, percent / 100)).sum(axis=1)]
        with np.errstate(divide="ignore"):
            logs: Floats = np.log(found)
        return logs

    at = float(statistic(blocks.sum(axis=0, keepdims=True))[0])
    if not math.isfinite(at):
        return "it is 0"
    if len(blocks) < bootstrap.LEAST_BLOCKS:
        return _few(math.exp(at) / 1e6, at, len(blocks))
    error = bootstrap.resample(blocks, statistic, seed)
    if percent is not None:  # a value is known no better than its bucket
        place = int(np.searchsorted(histogram.HIGHEST_AT_US, round(math.exp(at))))
        width = 1.0 if place >= LENGTH else float(
            histogram.HIGHEST_AT_US[place] - histogram.LOWEST_AT_US[place] + 1)
        error = math.hypot(error, width / math.sqrt(12) / math.exp(at))
    return Sample(math.exp(at) / 1e6, at, error, len(blocks) - 1)


Tables = dict[tuple[str, str], _Table | str]


def measure(run: SavedRun, one: Tolerance, tables: Tables, seed: int = 1) -> Sample | str:
    """Return a figure of a run with its standard error; a text says why there is none.

    `tables` keeps what several figures of the run are taken from.
    """
    if one.kind == "time":
        table = tables.get((one.metric, one.phase))
        if table is None:
            table = tables[one.metric, one.phase] = _table(run.course(one.metric, one.phase))
        return table if isinstance(table, str) else _latency(table, one.percent, seed)
    if one.kind == "rate":
        return _rate(run, one, seed)
    return _share(run, one, seed)


def _series(run: SavedRun, one: Tolerance) -> tuple[Floats, Floats, Floats]:
    """Count in each interval of the load: what, of how much, in what time."""
    start, end = _span(run, one.phase)
    part, whole, length = [], [], []
    for row in run.rows:
        middle = row["t_s"] + row["length_s"] / 2
        if start <= middle < end:
            of, out_of = _counted(one.metric, row)
            part.append(of)
            whole.append(out_of)
            length.append(row["length_s"])
    return np.array(part, float), np.array(whole, float), np.array(length, float)


def _span(run: SavedRun, phase: str) -> tuple[float, float]:
    """Start and end of the load, or of a phase of it, in seconds."""
    for work in run.result["plan"].get("scenarios", ()) if phase else ():
        for row in work["phases"]:
            if row["name"] == phase:
                end = row["end_s"]
                return row["start_s"], run.result["load_s"] if end is None else end
    return 0.0, run.result["load_s"]


def _sum(value: Any) -> float:
    return float(sum(value.values()) if isinstance(value, Mapping) else value or 0)


def _counted(metric: str, row: Mapping[str, Any]) -> tuple[float, float]:
    """Count what a figure is about, and what it is a share of, in an interval or a whole run."""
    group, _, name = metric.partition(".")
    if not name:  # a ratio of RFC 6076
        ratio = row.get("rfc6076", {}).get(metric)
        weight = 0.0 if ratio is None else float(row["calls"]["started"])
        return (ratio or 0.0) * weight, weight
    counted = row[group]
    whole = {"calls.failed": "started", "calls.not_started": "due",
             "messages.retransmitted": "sent"}.get(metric)
    return _sum(counted.get(name)), 0.0 if whole is None else _sum(counted[whole])


def _in_blocks(blocks: int, *series: Floats) -> Floats:
    """Add each series up in blocks: a column for each."""
    number = bootstrap.block_of(len(series[0]), blocks)
    return np.stack([bootstrap.add_up(number, one, blocks) for one in series], axis=1)


def _rate(run: SavedRun, one: Tolerance, seed: int) -> Sample | str:
    start, end = _span(run, one.phase)
    group, _, name = one.metric.partition(".")
    source = run.result["phases"][one.phase] if one.phase else run.result
    count = _sum(source[group][name])
    if name == "due":
        count -= source[group]["not_started"].get("stopped", 0)
    if count <= 0 or end <= start:
        return "there were none"
    value = count / (end - start)
    part, _, length = _series(run, one)
    if len(part) < bootstrap.LEAST_BLOCKS:
        return _few(value, math.log(value), len(part))
    blocks = bootstrap.block_count(part / length)
    table = _in_blocks(blocks, part, length)
    with np.errstate(divide="ignore"):
        error = bootstrap.resample(table, lambda rows: np.log(rows[:, 0] / rows[:, 1]), seed)
    return Sample(value, math.log(value), error, blocks - 1)


def _share(run: SavedRun, one: Tolerance, seed: int) -> Sample | str:
    source = run.result["phases"][one.phase] if one.phase else run.result
    of, out_of = _counted(one.metric, source)
    if out_of <= 0:
        return "there was nothing that it is a share of"
    value = of / out_of
    # Never surer than independent calls make it, even where none of them failed.
    likely = (of + 0.5) / (out_of + 1)
    error, freedom = math.sqrt(likely * (1 - likely) / out_of), out_of
    part, whole, _ = _series(run, one)
    if len(part) >= bootstrap.LEAST_BLOCKS and whole.sum() > 0:
        blocks = bootstrap.block_count(part / np.maximum(whole, 1))
        table = _in_blocks(blocks, part, whole)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = bootstrap.resample(table, lambda rows: rows[:, 0] / rows[:, 1], seed)
        if error < drawn < math.inf:
            error, freedom = drawn, blocks - 1
    return Sample(value, value, error, freedom)
