"""What engines counted, copied out of them: what `run` hands to `report`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
_FIRST_CLOCK = 2  # histograms before it are of the whole run

_ARRAYS = ("counters", "outcomes", "answered_outcomes", "sent_requests", "sent_responses",
           "received_requests", "received_responses", "retransmitted", "histograms", "steps",
           "user_counters", "series_outcomes", "series_starts", "attempts")


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram of a call that failed; times in ns, from the start of the run and since 1970."""

    at_ns: int
    epoch_ns: int
    sent: bool  # by us; otherwise received
    local: tuple[str, int]
    peer: tuple[str, int]
    octets: bytes


@dataclass(frozen=True, slots=True)
class Series:
    """What results are kept for: calls of a workload that were due in one of its phases."""

    workload: str
    phase: str
    measured: bool = True  # the warm-up is not: it counts, but not among the measurements


@dataclass(frozen=True, slots=True)
class Figures:
    """A copy of the arrays of one engine, or the sum or difference of several copies.

    The arrays are laid out as `core.engine.Engine` says; `udp` has the fields of
    `Engine.udp_stats()`; `in_progress` is the number of open calls that the schedule started.
    """

    counters: Array
    outcomes: Array
    answered_outcomes: Array
    sent_requests: Array
    sent_responses: Array
    received_requests: Array
    received_responses: Array
    retransmitted: Array
    histograms: Array
    steps: Array
    user_counters: Array
    series_outcomes: Array  # [series, Outcome]
    series_starts: Array  # [series, (due, started, and by cause not started)]
    attempts: Array  # [series, AttemptKind, AttemptColumn or final status - 100]
    udp: Mapping[str, int]
    in_progress: int
    # what is measured of every call, by (series, row of core.measure); without those of no values
    measures: Mapping[tuple[int, int], Array] = field(default_factory=dict)

    def measure(self, row: int) -> Array:
        """Return the histogram of a row of `core.measure`, all series added up."""
        from siploadgen.core.hist import STRIDE

        found = [counts for (_, number), counts in self.measures.items() if number == row]
        return sum(found[1:], start=found[0]) if found else np.zeros(STRIDE, np.int64)

    def _measures(self, other: Self, sign: int) -> dict[tuple[int, int], Array]:
        result = dict(self.measures)
        for key, counts in other.measures.items():
            before = result.get(key)
            result[key] = sign * counts if before is None else before + sign * counts
        return {key: counts for key, counts in result.items() if counts.any()}

    def _combined(self, other: Self, sign: int) -> Self:
        arrays = {name: getattr(self, name) + sign * getattr(other, name) for name in _ARRAYS}
        udp = {name: value + sign * other.udp.get(name, 0) for name, value in self.udp.items()}
        return type(self)(**arrays, udp=udp, measures=self._measures(other, sign),
                          in_progress=self.in_progress + sign * other.in_progress)

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        """Return what happened between two copies; `in_progress` is then the change."""
        return self._combined(other, -1)

    def of_series(self, chosen: Sequence[int]) -> Self:
        """Return the figures of some series: their calls, and their latencies added up.

        `histograms` has one pair of rows for each clock then. What is not told apart by series
        (messages, lateness, receive delay) stays that of the whole.
        """
        from siploadgen.core.counters import Counter

        rows = list(chosen)
        count = len(self.series_starts)
        clocks = len(self.histograms) - _FIRST_CLOCK
        if rows == list(range(count)) and count == 1:
            return self
        by_series = self.histograms[_FIRST_CLOCK:].reshape(
            count, clocks // count, self.histograms.shape[1])
        starts = self.series_starts[rows].sum(axis=0)
        outcomes = self.series_outcomes[rows].sum(axis=0)
        counters = self.counters.copy()
        counters[[Counter.COUNT_DUE, Counter.COUNT_STARTED, Counter.COUNT_NOT_STARTED_NO_SLOT,
                  Counter.COUNT_NOT_STARTED_STOPPED, Counter.COUNT_NOT_STARTED_NO_USER,
                  Counter.COUNT_NOT_STARTED_THROTTLED]] = starts
        return replace(
            self, counters=counters, outcomes=outcomes,
            histograms=np.concatenate((self.histograms[:_FIRST_CLOCK],
                                       by_series[rows].sum(axis=0))),
            series_outcomes=outcomes[None], series_starts=starts[None],
            attempts=self.attempts[rows].sum(axis=0)[None],
            measures=self._merged(rows), in_progress=int(starts[1] - outcomes.sum()))

    def _merged(self, rows: Sequence[int]) -> dict[tuple[int, int], Array]:
        """Return the measures of some series, added up as those of one."""
        result: dict[tuple[int, int], Array] = {}
        for (series, number), counts in self.measures.items():
            if series in rows:
                before = result.get((0, number))
                result[0, number] = counts if before is None else before + counts
        return result

    def measured(self, series: Sequence[Series]) -> Self:
        """Return the figures whose latencies are those of the measured phases; calls are all."""
        rows = [number for number, one in enumerate(series) if one.measured]
        if len(series) <= 1 or not rows:
            return self
        chosen = self.of_series(rows)
        return replace(self, histograms=chosen.histograms, attempts=chosen.attempts,
                       measures=chosen.measures)

    def imbalance(self) -> str | None:
        """Say which of the two sums that hold at every instant does not; None when both do."""
        from siploadgen.core.counters import Counter

        due, started = (int(self.counters[index])
                        for index in (Counter.COUNT_DUE, Counter.COUNT_STARTED))
        refused = sum(int(self.counters[index]) for index in (
            Counter.COUNT_NOT_STARTED_NO_SLOT, Counter.COUNT_NOT_STARTED_STOPPED,
            Counter.COUNT_NOT_STARTED_NO_USER, Counter.COUNT_NOT_STARTED_THROTTLED))
        ended = int(self.outcomes.sum())
        if due != started + refused:
            return f"due {due} is not started {started} + not started {refused}"
        if started != ended + self.in_progress:
            return f"started {started} is not ended {ended} + in progress {self.in_progress}"
        return None


class SparseFigures:
    """Figures with their zeros left out: what an interval takes when many must be kept."""

    def __init__(self, figures: Figures) -> None:
        self._in_progress = figures.in_progress
        self._cells = {name: _nonzero(getattr(figures, name)) for name in _ARRAYS}
        self._measures = {key: _nonzero(counts) for key, counts in figures.measures.items()}

    def added_to(self, figures: Figures, sign: int) -> Figures:
        """Add to (or, with sign -1, take from) `figures`, whose arrays are changed in place."""
        for name, (used, values) in self._cells.items():
            getattr(figures, name).reshape(-1)[used] += sign * values
        measures = dict(figures.measures)
        for key, (used, values) in self._measures.items():
            counts = measures.setdefault(key, np.zeros(figures.histograms.shape[1], np.int64))
            counts[used] += sign * values
        return replace(figures, measures=measures,
                       in_progress=figures.in_progress + sign * self._in_progress)


def _nonzero(array: Array) -> tuple[Array, Array]:
    flat = array.reshape(-1)
    used = np.flatnonzero(flat)
    return used, flat[used]


def total(parts: Sequence[Figures]) -> Figures:
    """Sum of the figures of several engines."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def snapshot(engine: Any, tries: int = 20) -> Figures:
    """Copy an engine's arrays while it runs.

    Each number is right; numbers of one copy may be some microseconds apart. A copy taken in the
    middle of a step is taken again, so that the sums hold unless the engine itself is wrong.
    """
    for attempt in range(tries):
        measured = engine.measured.copy()       # numpy finds no places in an array that changes
        figures = Figures(
            **{name: getattr(engine, name).copy() for name in _ARRAYS},
            udp=dict(engine.udp_stats()), in_progress=int(engine.in_progress),
            measures={(int(series), int(row)): engine.measures[series, row].copy()
                      for series, row in np.argwhere(measured)})
        if figures.imbalance() is None:
            break
        time.sleep(0.0002 * attempt)
    return figures


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything there is to know at one instant of a run; monotone but for what is open."""

    elapsed_ns: int  # since the first due time
    figures: Figures  # all engines of the calling side
    engines: tuple[Figures, ...]  # one by one, for what must not be averaged
    answerer: Figures | None = None  # the embedded answerer's
    factor: float = 1.0  # rate asked for, relative to the plan
    state: str = "running"  # running, paused, draining, stopping
    planned: int = 0  # due times handed to the engines so far
    # for each workload: calls that it is to hold open now; None when its calls have due times
    held: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetUse:
    """A server that calls could go to."""

    address: str  # with its port
    transport: str
    priority: int
    weight: int
    calls: int  # sent there, those that failed over from elsewhere included


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a finished run leaves behind."""

    started_at: float  # unix time of the first due time
    elapsed_ns: int  # from the first due time until the last engine stopped
    load_ns: int  # ... until the schedule was over or stopped
    last: Sample
    sockets: tuple[Mapping[str, Any], ...]  # what Engine.open_udp said
    cpu_user_s: float
    cpu_system_s: float
    interrupted: bool = False  # stopped before its end by a signal or by a key
    hook_failures: tuple[str, ...] = ()  # what hooks raised, the first of each
    problems: tuple[str, ...] = ()  # figures that contradict each other, engines that failed
    local: tuple[tuple[str, int], ...] = ()
    memory: Mapping[str, int] = field(default_factory=dict)
    targets: tuple[TargetUse, ...] = ()
