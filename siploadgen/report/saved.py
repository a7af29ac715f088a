"""A run directory, read back: run.json, the intervals, the histograms of each of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import ScenarioError
from siploadgen.report import histogram
from siploadgen.report.summary import SCHEMA


@dataclass(frozen=True, slots=True)
class Course:
    """Histograms of one latency over the intervals of a run, without empty buckets."""

    intervals: int
    interval: NDArray[np.int64]  # number of the interval, for each bucket in use
    place: NDArray[np.int64]  # index of the bucket
    count: NDArray[np.int64]

    def __add__(self, other: "Course") -> "Course":
        return Course(max(self.intervals, other.intervals),
                      np.concatenate([self.interval, other.interval]),
                      np.concatenate([self.place, other.place]),
                      np.concatenate([self.count, other.count]))


NOTHING = Course(0, *(np.zeros(0, np.int64) for _ in range(3)))


@dataclass(slots=True)
class SavedRun:
    """One run. `rows` are the objects of intervals.ndjson, `courses` latencies by their tag."""

    name: str
    result: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    courses: dict[str, Course] = field(default_factory=dict)

    @property
    def phases(self) -> dict[str, bool]:
        """Phases of the run; True for those that are measured."""
        return {name: bool(one["measured"])
                for name, one in self.result.get("phases", {}).items()}

    def course(self, metric: str, phase: str = "") -> Course:
        """Return a latency in a phase, or in all that are measured; `NOTHING` when not kept."""
        phases = self.phases
        if len(phases) <= 1:
            return NOTHING if phase and phase not in phases else self.courses.get(metric, NOTHING)
        wanted = [phase] if phase else [name for name, measured in phases.items() if measured]
        found = [self.courses[tag] for name in wanted
                 if (tag := f"{metric}.{name}") in self.courses]
        if not found and not phase and metric in self.courses:
            return self.courses[metric]  # what is not told apart by phase
        return sum(found, NOTHING)


def read_result(path: Path) -> dict[str, Any]:
    """Read run.json, of a folder or itself. Raises ScenarioError with what is wrong."""
    path = path / "run.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON ({error})") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ScenarioError(f"{path}: not a result of this version (schema {SCHEMA})")
    return result


def read_run(
    path: str | Path, metrics: Iterable[str] | None = None, rows: bool = True
) -> SavedRun:
    """Read a run directory, or what lies beside a run.json.

    Of the latencies only those that are named, all without `metrics`; intervals only with `rows`.
    Files besides run.json that
    are missing are left out. Raises ScenarioError for what cannot be understood.
    """
    place = Path(path)
    result = read_result(place)
    folder = place if place.is_dir() else place.parent
    wanted = None if metrics is None else set(metrics)
    return SavedRun(str(path), result, _rows(folder / "intervals.ndjson") if rows else [],
                    _courses(folder / "hist.hlog", wanted))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ScenarioError(f"{path}:{number}: not JSON ({error})") from None
                if not isinstance(row, dict) or "t_s" not in row:
                    raise ScenarioError(f"{path}:{number}: not an interval")
                rows.append(row)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    return rows


def _courses(path: Path, wanted: set[str] | None) -> dict[str, Course]:
    """Read a histogram log: each tag that is wanted, over the intervals in the order of time."""
    starts: dict[str, int] = {}
    texts: dict[str, list[bytes]] = {}
    places: dict[str, list[int]] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.startswith(b"Tag="):
                    continue
                parts = line[4:].rstrip().split(b",")
                if len(parts) != 5:
                    raise ScenarioError(f"{path}:{number}: not a line of a histogram log")
                tag, start = parts[0].decode("utf-8", "replace"), parts[1].decode()
                interval = starts.setdefault(start, len(starts))
                if wanted is None or histogram.split_tag(tag)[0] in wanted:
                    texts.setdefault(tag, []).append(parts[4])
                    places.setdefault(tag, []).append(interval)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    found = {}
    for tag, encoded in texts.items():
        try:
            which, place, count = histogram.decode_all(encoded)
        except ValueError as error:
            raise ScenarioError(f"{path}: {tag}: {error}") from None
        found[tag] = Course(len(starts), np.asarray(places[tag])[which], place, count)
    return found
