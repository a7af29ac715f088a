"""The course of a run: intervals with their histograms, in as many points as a page can show.

Whoever shows a run over time does not want 100,000 points. Neighbouring intervals are added up
until at most `POINTS` are left: counts and histograms lose nothing by that, so that a percentile of
a point is that of all its calls, never a mean of percentiles. `History.merged` says how many
intervals a point holds.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import ScenarioError
from siploadgen.report import histogram
from siploadgen.report.histogram import Counts

POINTS = 1000
EVIDENCE = 3  # failures kept of each outcome and step
_STATES = ("valid", "suspect", "invalid")
_OVERFLOW = re.compile(r"#\[Overflow: Tag=(\S+) (\S+) (\d+) ")


class Sparse:
    """A histogram without its empty buckets; `+=` adds another one."""

    __slots__ = ("counts", "places")

    def __init__(self, counts: Counts | None = None) -> None:
        dense = histogram.empty() if counts is None else counts
        self.places: NDArray[np.intp] = np.flatnonzero(dense != 0)
        self.counts: Counts = dense[self.places]

    def __iadd__(self, other: Self) -> Self:
        places = np.concatenate((self.places, other.places))
        if len(places):
            order = np.argsort(places, kind="stable")  # of two sorted runs: they are merged
            places, counts = places[order], np.concatenate((self.counts, other.counts))[order]
            first = np.flatnonzero(np.diff(places, prepend=-1))
            self.places, self.counts = places[first], np.add.reduceat(counts, first)
        return self

    def dense(self) -> Counts:
        """Return the array that the functions of `histogram` take."""
        counts = histogram.empty()
        counts[self.places] = self.counts
        return counts


class Total:
    """A histogram that many are added to, as long as its highest value needs."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counts = np.zeros(1024, np.int64)

    def add(self, one: Sparse) -> None:
        """Add a histogram."""
        if not len(one.places):
            return
        need = int(one.places[-1]) + 1
        if need > len(self._counts):
            self._counts = np.pad(self._counts, (0, max(need, 2 * len(self._counts))
                                                 - len(self._counts)))
        self._counts[one.places] += one.counts

    def dense(self) -> Counts:
        """Return the array that the functions of `histogram` take."""
        counts = histogram.empty()
        held = min(len(counts), len(self._counts))
        counts[:held] = self._counts[:held]
        return counts


@dataclass(slots=True)
class Point:
    """One interval, or several neighbouring ones added up. Times in seconds."""

    start_s: float
    length_s: float
    intervals: int
    state: str  # the worst verdict in it
    rules: dict[str, float | None]  # broken rules, and a value that broke them
    counts: dict[str, float]  # due, started, succeeded, failed, not_started, sent, received ...
    failed: dict[str, int]
    open_calls: int
    busy: float | None
    latencies: dict[str, dict[str, Any]]  # as the row of an interval has them
    histograms: dict[str, Sparse]

    @classmethod
    def of(cls, row: Mapping[str, Any], histograms: Mapping[str, Sparse]) -> Self:
        """Read the row of an interval, as intervals.ndjson has it."""
        calls, said, own = row["calls"], row["messages"], row["generator"]
        verdict = row["verdict"]
        counts = {
            **{name: calls[name] for name in ("due", "started", "succeeded")},
            "failed": sum(calls["failed"].values()),
            "not_started": sum(calls["not_started"].values()),
            **{name: said.get(name, 0) for name in ("sent", "received", "retransmitted")},
            **{name: own.get(name, 0) for name in ("receive_drops", "late_starts")},
        }
        return cls(row["t_s"], row["length_s"], 1, verdict["state"],
                   {rule["name"]: rule["value"] for rule in verdict["rules"]}, counts,
                   dict(calls["failed"]), calls["in_progress"], own["loop_busy"],
                   {name: found for name, found in row["metrics"].items() if found["count"]},
                   dict(histograms))

    def add(self, other: Self) -> None:
        """Take in the point that follows."""
        self.length_s = other.start_s + other.length_s - self.start_s
        self.intervals += other.intervals
        self.state = max(self.state, other.state, key=_STATES.index)
        self.rules |= other.rules
        for name, count in other.counts.items():
            self.counts[name] += count
        for name, count in other.failed.items():
            self.failed[name] = self.failed.get(name, 0) + count
        self.open_calls = other.open_calls
        self.busy = max((share for share in (self.busy, other.busy) if share is not None),
                        default=None)
        for name, more in other.histograms.items():
            if name in self.histograms:
                self.histograms[name] += more
            else:
                self.histograms[name] = more
        for name, found in other.latencies.items():
            mine = self.latencies.get(name)
            self.latencies[name] = found if mine is None else _highest(mine, found)


def _highest(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Bound what two rows of percentiles have in common, where there is no histogram of them."""
    counts = one["count"] + other["count"]
    mean = (one["mean_us"] * one["count"] + other["mean_us"] * other["count"]) / counts
    return {name: counts if name == "count" else mean if name == "mean_us"
            else max(value, other[name]) if isinstance(value, int) else value
            for name, value in one.items()}


@dataclass(slots=True)
class History:
    """The course of a run. `whole` has the latencies of each phase, by (metric, phase)."""

    limit: int = POINTS
    merged: int = 1
    intervals: int = 0
    points: list[Point] = field(default_factory=list)
    whole: dict[tuple[str, str], Total] = field(default_factory=dict)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0

    def add(self, row: Mapping[str, Any], tagged: Mapping[str, Counts]) -> None:
        """Take in the next interval and its histograms by tag: `srd`, and `srd.PHASE`."""
        plain = {}
        for tag, counts in tagged.items():
            name, phase = histogram.split_tag(tag)
            one = Sparse(counts)
            if not phase:
                plain[name] = one
            self.whole.setdefault((name, phase), Total()).add(one)
        self.intervals += 1
        point = Point.of(row, plain)
        if self.points and self.points[-1].intervals < self.merged:
            self.points[-1].add(point)
            return
        if len(self.points) >= self.limit:
            for first, second in zip(self.points[::2], self.points[1::2], strict=False):
                first.add(second)
            self.points = self.points[::2]
            self.merged *= 2
            if self.points[-1].intervals < self.merged:
                self.points[-1].add(point)
                return
        self.points.append(point)

    def failure(self, row: Mapping[str, Any]) -> None:
        """Take in a failure as errors.ndjson has it; the first of each kind are kept."""
        self.failures += 1
        kind = (row.get("outcome"), row.get("step"))
        if sum((one.get("outcome"), one.get("step")) == kind for one in self.evidence) < EVIDENCE:
            self.evidence.append(dict(row))

    def latency(self, name: str, phases: Mapping[str, bool]) -> Counts:
        """Return the histogram of a metric over the measured phases (name to `measured`).

        What is not told apart by phase is that of the whole run.
        """
        tagged = [counts for (metric, phase), counts in self.whole.items()
                  if metric == name and phase]
        if not tagged:
            found = self.whole.get((name, ""))
            return histogram.empty() if found is None else found.dense()
        return histogram.merge(counts.dense() for (metric, phase), counts in self.whole.items()
                               if metric == name and phase and phases.get(phase, True))

    def phase(self, name: str, phase: str, alone: bool) -> Counts | None:
        """Return the histogram of a metric in a phase; `alone`: there is no other phase."""
        found = self.whole.get((name, phase)) or (self.whole.get((name, "")) if alone else None)
        return None if found is None else found.dense()

    @classmethod
    def read(cls, folder: Path, limit: int = POINTS) -> Self:
        """Read what a run directory has of it; files that are missing are left out.

        Raises ScenarioError for a file that cannot be understood.
        """
        history = cls(limit)
        log = _Log(folder / "hist.hlog")
        for row in read_rows(folder / "intervals.ndjson"):
            try:
                history.add(row, log.interval(row["t_s"]))
            except (KeyError, TypeError) as error:
                raise ScenarioError(f"{folder / 'intervals.ndjson'}: interval "
                                    f"{history.intervals + 1}: incomplete: {error}") from None
        for row in read_rows(folder / "errors.ndjson"):
            history.failure(row)
        return history


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of an NDJSON file; none when there is no file.

    Raises ScenarioError with the line that is no JSON object.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ScenarioError(f"{path}:{number}: not JSON ({error})") from None
                if not isinstance(row, dict):
                    raise ScenarioError(f"{path}:{number}: not an object")
                yield row
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None


class _Log:
    """A histogram log, read along with the intervals: both are in the order of time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._read()
        self._next = next(self._lines, None)

    def _read(self) -> Iterator[tuple[str, str, Counts]]:
        """Yield start, tag and histogram of each line."""
        lost: dict[tuple[str, str], int] = {}
        try:
            with self._path.open(encoding="ascii") as file:
                for number, line in enumerate(file, 1):
                    if (note := _OVERFLOW.match(line)) is not None:
                        lost[note[2], note[1]] = int(note[3])
                    if not line.startswith("Tag="):
                        continue
                    try:
                        tag, start, _, _, encoded = line.rstrip("\n").split(",")
                        counts = histogram.decode(encoded.encode())
                    except ValueError as error:
                        raise ScenarioError(f"{self._path}:{number}: {error}") from None
                    tag = tag.removeprefix("Tag=")
                    counts[-1] = lost.pop((start, tag), 0)
                    yield start, tag, counts
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{self._path}: {error}") from None

    def interval(self, start_s: float) -> dict[str, Counts]:
        """Return the histograms of the interval that began then, by tag."""
        found: dict[str, Counts] = {}
        while self._next is not None and float(self._next[0]) <= start_s + 1e-6:
            if abs(float(self._next[0]) - start_s) <= 1e-6:
                found[self._next[1]] = self._next[2]
            self._next = next(self._lines, None)
        return found
