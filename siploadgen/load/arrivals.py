"""Due times of calls: a rate shape and an arrival process, as sorted int64 nanoseconds.

The rate is a piecewise linear function of time; its integral N(t) is the number of calls wanted by
time t. The k-th call is due where N(t) reaches the k-th point of a process of unit rate: k for
uniform arrivals, a sum of k exponential gaps for Poisson arrivals (time change of a unit Poisson
process). A due time is therefore a function of k and the seed alone, however it is chunked.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import UsageError
from siploadgen.units import NANOS, parse_duration, parse_rate

CHUNK = 1_000_000  # most due times handed out at once
_BLOCK = 4096  # exponential gaps drawn at once: fixed, so that the sums never depend on chunking
_FOREVER_S = 1e9  # length of a stage without end, in seconds

Shape = Literal["linear", "step"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A piece of a rate shape: from `rate` to `target` (both per second) in `duration_ns`."""

    rate: float
    target: float
    duration_ns: int | None  # None: without end, for a run bounded by its number of calls

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.rate < 0 or self.target < 0 or not math.isfinite(self.rate + self.target):
            raise UsageError("rate: must be 0 or more")
        if self.duration_ns is None and (self.rate != self.target or self.rate == 0):
            raise UsageError("duration: a stage without end needs a constant rate above 0")
        if self.duration_ns is not None and self.duration_ns <= 0:
            raise UsageError("duration: must be longer than 0")

    @property
    def calls(self) -> float:
        """Integral of the rate over the stage."""
        if self.duration_ns is None:
            return math.inf
        return (self.rate + self.target) / 2 * self.duration_ns / NANOS


def constant(rate: float, duration_ns: int | None) -> tuple[Stage, ...]:
    """One stage at a constant rate."""
    return (Stage(rate, rate, duration_ns),)


def ramping(
    start_rate: float,
    ramps: Sequence[tuple[float, int, Shape]],
    duration_ns: int | None = None,
) -> tuple[Stage, ...]:
    """Stages from `start_rate` through ramps (target rate, length in ns, shape).

    `duration_ns` is the length of the whole, ramps included: what is left is held at the last rate.
    """
    stages: list[Stage] = []
    rate = start_rate
    for target, length_ns, shape in ramps:
        stages.append(Stage(target if shape == "step" else rate, target, length_ns))
        rate = target
    if duration_ns is not None:
        left = duration_ns - sum(length_ns for _, length_ns, _ in ramps)
        if left < 0:
            raise UsageError("duration: shorter than the ramps together; leave it out or "
                             "lengthen it")
        if left > 0:
            stages.append(Stage(rate, rate, left))
    return tuple(stages)


def parse_ramp(text: str) -> tuple[float, int, Shape]:
    """Read a ramp: `TO/s:TIME` is linear to a rate within a time, `TO/s:TIME:step` a jump."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("linear", "step")):
        raise UsageError(f'--ramp "{text}": write TO/s:TIME, such as 2k/s:30s, or 2k/s:30s:step')
    shape: Shape = "step" if parts[-1] == "step" else "linear"
    length_ns = parse_duration(parts[1], "--ramp time")
    if length_ns == 0:
        raise UsageError(f'--ramp "{text}": the time must be longer than 0')
    return parse_rate(parts[0], "--ramp rate"), length_ns, shape


@dataclass(frozen=True, slots=True)
class Arrival:
    """The arrival process: uniform, poisson, or batch (`batch` calls at the same instant)."""

    kind: Literal["uniform", "poisson", "batch"] = "uniform"
    batch: int = 1

    def __str__(self) -> str:
        return f"batch({self.batch})" if self.kind == "batch" else self.kind


def parse_arrival(text: str) -> Arrival:
    """`uniform`, `poisson` or `batch(n)`."""
    word = text.strip().lower()
    if word in ("uniform", "poisson"):
        return Arrival("uniform" if word == "uniform" else "poisson")
    match = re.fullmatch(r"batch\((\d{1,6})\)", word)
    if match is None or int(match[1]) < 1:
        raise UsageError(f'--arrival "{text}": choose uniform, poisson or batch(n)')
    return Arrival("batch", int(match[1]))


class RateShape:
    """A piecewise linear rate, its integral N(t), and the inverse of that."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        if not stages:
            raise UsageError("rate: no stage")
        for stage in stages[:-1]:
            if stage.duration_ns is None:
                raise UsageError("duration: only the last stage may be without end")
        length = np.array([_FOREVER_S if s.duration_ns is None else s.duration_ns / NANOS
                           for s in stages])
        self.stages = tuple(stages)
        self._rate = np.array([s.rate for s in stages])
        self._slope = (np.array([s.target for s in stages]) - self._rate) / length
        self._time = np.concatenate(([0.0], np.cumsum(length)))
        wanted = (self._rate + np.array([s.target for s in stages])) / 2 * length
        self._calls = np.concatenate(([0.0], np.cumsum(wanted)))

    @property
    def total(self) -> float:
        """N at the end; infinite when the last stage has no end."""
        return math.inf if self.stages[-1].duration_ns is None else float(self._calls[-1])

    @property
    def duration_ns(self) -> int | None:
        """Length of all stages; None when the last has no end."""
        lengths = [s.duration_ns for s in self.stages]
        return None if lengths[-1] is None else sum(n for n in lengths if n is not None)

    @property
    def peak(self) -> float:
        """Highest rate, per second."""
        return max(max(s.rate, s.target) for s in self.stages)

    @property
    def mean(self) -> float:
        """Mean rate, per second."""
        length = self.duration_ns
        return self.stages[-1].rate if length is None else self.total * NANOS / length

    def calls_by(self, at_ns: int) -> float:
        """N(t): calls wanted by a time."""
        at = min(max(at_ns / NANOS, 0.0), float(self._time[-1]))
        stage = min(int(np.searchsorted(self._time, at, side="right")) - 1, len(self.stages) - 1)
        into = at - self._time[stage]
        return float(self._calls[stage] + into * (self._rate[stage]
                                                  + self._slope[stage] * into / 2))

    def time_of(self, calls: NDArray[np.float64]) -> NDArray[np.int64]:
        """When N reaches each of the sorted numbers, in ns; numbers beyond the end are clipped."""
        stage = np.searchsorted(self._calls, calls, side="right") - 1
        stage = np.clip(stage, 0, len(self.stages) - 1)
        # A stage at rate 0 holds no calls: a number that falls on it belongs to its end.
        more = calls - self._calls[stage]
        rate, slope = self._rate[stage], self._slope[stage]
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * more, 0.0))
        # The stable form of the quadratic's root; rate and slope may each be 0, not both here.
        with np.errstate(invalid="ignore", divide="ignore"):
            into = np.where(more > 0, 2 * more / (rate + root), 0.0)
        into = np.minimum(into, self._time[stage + 1] - self._time[stage])
        due = np.rint((self._time[stage] + into) * NANOS).astype(np.int64)
        return np.maximum.accumulate(due) if len(due) else due


class Pacer:
    """Hands out the due times of a run in order, in chunks, with a rate that can be changed live.

    Times are ns from the start of the run. The same shape, arrival process and seed give the same
    times whatever the chunks. `set_rate` stretches what has not been handed out yet.
    """

    def __init__(
        self, shape: RateShape, arrival: Arrival, seed: int, calls: int | None = None
    ) -> None:
        if calls is None and math.isinf(shape.total):
            raise UsageError("duration: give --duration or --calls; neither bounds the run")
        self.shape = shape
        self.arrival = arrival
        self.calls = calls
        self.handed = 0  # due times handed out so far
        self.reached_ns = 0  # everything due before this time is handed out
        self.end_ns = 2**62  # when the schedule is over; known once it is exhausted
        # numpy's generators are a module of their own, loaded only for those who draw.
        self._rng: np.random.Generator | None = (
            np.random.default_rng(seed) if arrival.kind == "poisson" else None)
        self._points = np.empty(0)  # Poisson: points drawn and not handed out
        self._last_point = 0.0
        self._factor = 1.0
        self._x0 = 0.0  # position in the unit process ...
        self._y0 = 0.0  # ... that falls on this number of calls of the shape
        self._more = False  # the last chunk was cut at its limit
        self._done = False

    @property
    def exhausted(self) -> bool:
        """True once the last due time is handed out."""
        return self._done

    @property
    def factor(self) -> float:
        """How much faster than planned calls are started now."""
        return self._factor

    def set_rate(self, factor: float) -> None:
        """Play the rest of the shape at `factor` times its rates, from `reached_ns` on."""
        if not 0 < factor < math.inf:
            raise ValueError("factor must be above 0")
        y = self.shape.calls_by(self.reached_ns)
        self._x0 += (y - self._y0) * self._factor
        self._y0 = y
        self._factor = factor

    def take(self, until_ns: int, limit: int = CHUNK) -> NDArray[np.int64]:
        """Hand out the next due times before `until_ns`, at most `limit` of them, sorted."""
        if self._done or (until_ns <= self.reached_ns and not self._more):
            return np.empty(0, np.int64)
        until_ns = max(until_ns, self.reached_ns)
        end_ns = self.shape.duration_ns
        ends = end_ns is not None and until_ns >= end_ns
        last = self.shape.total
        wanted = last if ends else self.shape.calls_by(until_ns)
        # The shape's end is exact but for rounding: the call due at the very end is not wanted, nor
        # is it by a chunk that ends just before.
        top = self._x0 + (last - self._y0) * self._factor
        top -= 1e-9 * max(1.0, top) if math.isfinite(top) else 0.0
        goal = min(self._x0 + (wanted - self._y0) * self._factor, top)
        if self.calls is not None:
            limit = min(limit, self.calls - self.handed)
        points, self._more = self._take_points(goal, limit)
        due = self.shape.time_of(self._y0 + (points - self._x0) / self._factor)
        self.handed += len(due)
        if self.handed == self.calls:
            self._done, self.end_ns = True, int(due[-1]) if len(due) else self.reached_ns
        elif ends and not self._more:
            self._done, self.end_ns = True, until_ns if end_ns is None else end_ns
        self.reached_ns = int(due[-1]) if self._more and len(due) else until_ns
        return due

    def take_split(self, until_ns: int, parts: int) -> list[NDArray[np.int64]]:
        """As `take`, dealt out to `parts` engines: engine i gets calls i, i + parts, ..."""
        first = self.handed
        due = self.take(until_ns)
        return [due[(i - first) % parts::parts] for i in range(parts)]

    def _take_points(self, goal: float, limit: int) -> tuple[NDArray[np.float64], bool]:
        """Points of the unit process below `goal`, and whether `limit` left some of them."""
        if self.arrival.kind == "poisson":
            return self._take_poisson(goal, limit)
        batch = self.arrival.batch
        # Batch b is due at b * batch: calls of one batch share a point.
        end = math.ceil(goal / batch) * batch
        count = max(end - self.handed, 0)
        index = np.arange(self.handed, self.handed + min(count, limit), dtype=np.int64)
        return (index // batch * batch).astype(np.float64), count > limit

    def _take_poisson(self, goal: float, limit: int) -> tuple[NDArray[np.float64], bool]:
        assert self._rng is not None
        blocks = [self._points]
        held = len(self._points)
        while self._last_point < goal and held <= limit:
            block = self._last_point + np.cumsum(self._rng.standard_exponential(_BLOCK))
            self._last_point = float(block[-1])
            blocks.append(block)
            held += _BLOCK
        points = np.concatenate(blocks)
        count = int(np.searchsorted(points, goal))
        taken = min(count, limit)
        self._points = points[taken:]
        return points[:taken], count > limit


def due_times(
    stages: Sequence[Stage], arrival: Arrival, seed: int = 1, calls: int | None = None
) -> NDArray[np.int64]:
    """All due times of a run at once, in ns from its start: for tests and plots.

    >>> due_times(constant(4.0, NANOS), Arrival())
    array([        0, 250000000, 500000000, 750000000])
    """
    pacer = Pacer(RateShape(stages), arrival, seed, calls)
    end = pacer.shape.duration_ns
    chunks = []
    while not pacer.exhausted:
        chunks.append(pacer.take(2**62 if end is None else end))
    return np.concatenate(chunks)
