"""Due times of calls: a rate shape and an arrival process, as sorted int64 nanoseconds.

The rate is a function of time in pieces (linear, exponential, sine); its integral N(t) is the
number of calls wanted by time t. Call k (from 0) is due where N(t) reaches the k-th point of a
process of unit rate: k for uniform arrivals, a sum of k + 1 exponential gaps for Poisson arrivals
(time change of a unit Poisson process). A due time is therefore a function of k and the seed alone,
however it is chunked.

A piece from N = a to N = b starts the calls k with a <= k < b: ceil(b) - ceil(a) of them for
uniform arrivals. An N within 1e-6 of a whole number is taken as that number, so that 0.1/s for 30 s
are 3 calls, whatever the binary fractions say.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import UsageError
from siploadgen.units import NANOS, parse_duration, parse_rate

CHUNK = 1_000_000  # most due times handed out at once
FOREVER_NS = 2**62  # a time that never comes
_BLOCK = 4096  # exponential gaps drawn at once: fixed, so that the sums never depend on chunking
_FOREVER_S = 1e9  # length of a stage without end, in seconds
_WHOLE = 1e-6  # an N this near to a whole number is meant to be it
_GRID = 1024  # points of a sine's period from which its inverse is looked for

Floats: TypeAlias = NDArray[np.float64]
Shape = Literal["linear", "step"]
Curve = Literal["linear", "exp"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A piece of a rate shape: from `rate` to `target` (both per second) in `duration_ns`.

    `linear` adds the same each second, `exp` multiplies by the same.
    """

    rate: float
    target: float
    duration_ns: int | None  # None: without end, for a run bounded by its number of calls
    curve: Curve = "linear"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not (self.rate >= 0 and self.target >= 0 and math.isfinite(self.rate + self.target)):
            raise UsageError("rate: must be 0 or more")
        if self.duration_ns is None and (self.rate != self.target or self.rate == 0):
            raise UsageError("duration: a stage without end needs a constant rate above 0")
        if self.duration_ns is not None and self.duration_ns <= 0:
            raise UsageError("duration: must be longer than 0")
        if self.curve == "exp" and 0 in (self.rate, self.target):
            raise UsageError("shape: exp multiplies the rate and so needs both rates above 0; "
                             "use linear, or a low rate such as 1/s")

    @property
    def calls(self) -> float:
        """Integral of the rate over the stage."""
        if self.duration_ns is None:
            return math.inf
        if self.curved:
            return (self.target - self.rate) / self.growth
        return (self.rate + self.target) / 2 * self.duration_ns / NANOS

    @property
    def peak(self) -> float:
        """Highest rate, per second."""
        return max(self.rate, self.target)

    @property
    def curved(self) -> bool:
        """Whether the rate is not a linear function of time."""
        return self.curve == "exp" and self.rate != self.target

    @property
    def growth(self) -> float:
        """What the logarithm of an exponential rate grows by each second."""
        return math.log(self.target / self.rate) / ((self.duration_ns or 0) / NANOS)

    def rate_at(self, into: float) -> float:
        """Rate some seconds into the stage."""
        if self.curved:
            return self.rate * math.exp(self.growth * into)
        if self.duration_ns is None:
            return self.rate
        return self.rate + (self.target - self.rate) * into / (self.duration_ns / NANOS)

    def calls_into(self, into: float) -> float:
        """Integral of the rate over the first seconds of the stage."""
        if self.curved:
            return self.rate * math.expm1(self.growth * into) / self.growth
        return into * (self.rate + self.rate_at(into)) / 2

    def time_into(self, calls: Floats) -> Floats:
        """Seconds into a curved stage at which the integral reaches each number."""
        growth = self.growth
        # Beyond what a falling rate will ever give the end of the stage is near enough.
        inner = np.maximum(growth * calls / self.rate, min(self.target / self.rate, 1) / 2 - 1)
        result: Floats = np.log1p(inner) / growth
        return result


@dataclass(frozen=True, slots=True)
class Sine:
    """A rate that swings: mean + amplitude * cos(2 pi (t - peak_at) / period), per second."""

    mean: float
    amplitude: float
    period_ns: int
    peak_at_ns: int
    duration_ns: int

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not (self.mean > 0 and math.isfinite(self.mean)):
            raise UsageError("mean: must be above 0")
        if not 0 <= self.amplitude <= self.mean:
            raise UsageError("amplitude: from 0 to the mean, as no rate is below 0")
        if self.period_ns <= 0:
            raise UsageError("period: must be longer than 0")
        if self.duration_ns <= 0:
            raise UsageError("duration: must be longer than 0")

    @property
    def calls(self) -> float:
        """Integral of the rate over the piece."""
        return self.calls_into(self.duration_ns / NANOS)

    @property
    def peak(self) -> float:
        """Highest rate, per second: the crest, unless the piece ends before it."""
        first = self.peak_at_ns % self.period_ns
        if first <= self.duration_ns:
            return self.mean + self.amplitude
        return max(self.rate_at(0.0), self.rate_at(self.duration_ns / NANOS))

    @property
    def curved(self) -> bool:
        """Whether the rate is not a linear function of time."""
        return True

    def rate_at(self, into: float) -> float:
        """Rate some seconds into the piece."""
        turn = 2 * math.pi * (into * NANOS - self.peak_at_ns) / self.period_ns
        return self.mean + self.amplitude * math.cos(turn)

    def calls_into(self, into: float) -> float:
        """Integral of the rate over the first seconds."""
        period = self.period_ns / NANOS
        whole, rest = divmod(into, period)
        return self.mean * period * whole + float(self._integral(np.array([rest]))[0])

    def time_into(self, calls: Floats) -> Floats:
        """Seconds at which the integral reaches each number, to a tenth of a nanosecond.

        The start is read from a table of one period; Newton steps follow, and a step that leaves
        the bracket, where the rate is near 0, is replaced by halving it.
        """
        period = self.period_ns / NANOS
        each = self.mean * period
        whole = np.floor(calls / each)
        wanted = calls - whole * each
        grid = np.linspace(0.0, period, _GRID + 1)
        reached = self._integral(grid)
        cell = np.clip(np.searchsorted(reached, wanted, side="right") - 1, 0, _GRID - 1)
        low, high = grid[cell], grid[cell + 1]
        share = (wanted - reached[cell]) / np.maximum(reached[cell + 1] - reached[cell], 1e-300)
        at = low + np.clip(share, 0.0, 1.0) * (high - low)
        for _ in range(60):
            off = self._integral(at) - wanted
            low, high = np.where(off <= 0, at, low), np.where(off > 0, at, high)
            turn = 2 * np.pi * (at - self.peak_at_ns / NANOS) / period
            rate = self.mean + self.amplitude * np.cos(turn)
            step = at - off / np.maximum(rate, 1e-300)
            step = np.where((step < low) | (step > high), (low + high) / 2, step)
            moved = float(np.max(np.abs(step - at), initial=0.0))
            at = step
            if moved < 1e-10:
                break
        result: Floats = whole * period + at
        return result

    def _integral(self, at: Floats) -> Floats:
        """Integral of the rate from 0 to times within the first period."""
        omega = 2 * math.pi / (self.period_ns / NANOS)
        start = omega * self.peak_at_ns / NANOS
        # sin(wt - s) - sin(-s), written as a product: no difference of nearly equal numbers.
        half = omega * at / 2
        result: Floats = (self.mean * at
                          + 2 * self.amplitude / omega * np.sin(half) * np.cos(half - start))
        return result


Piece: TypeAlias = Stage | Sine


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
    """A rate in pieces, its integral N(t), and the inverse of that."""

    def __init__(self, stages: Sequence[Piece]) -> None:
        if not stages:
            raise UsageError("rate: no stage")
        for stage in stages[:-1]:
            if stage.duration_ns is None:
                raise UsageError("duration: only the last stage may be without end")
        lengths_ns = [round(_FOREVER_S * NANOS) if s.duration_ns is None else s.duration_ns
                      for s in stages]
        # A curved piece is linear here for all formulas but the two that ask the piece itself.
        rate = [s.rate if isinstance(s, Stage) else s.mean for s in stages]
        target = [s.target if isinstance(s, Stage) else s.mean for s in stages]
        self.stages = tuple(stages)
        self._curved = [i for i, s in enumerate(stages) if s.curved]
        self._start_ns = np.concatenate(([0], np.cumsum(lengths_ns, dtype=np.int64)))
        self._rate = np.array(rate, np.float64)
        self._slope = (np.array(target) - self._rate) / (np.array(lengths_ns) / NANOS)
        wanted = [s.rate * _FOREVER_S if s.duration_ns is None and isinstance(s, Stage)
                  else s.calls for s in stages]
        self.calls_at = _whole(np.concatenate(([0.0], np.cumsum(wanted))))

    @property
    def total(self) -> float:
        """N at the end; infinite when the last stage has no end."""
        return math.inf if self.stages[-1].duration_ns is None else float(self.calls_at[-1])

    @property
    def duration_ns(self) -> int | None:
        """Length of all stages; None when the last has no end."""
        return None if self.stages[-1].duration_ns is None else int(self._start_ns[-1])

    @property
    def peak(self) -> float:
        """Highest rate, per second."""
        return max(s.peak for s in self.stages)

    @property
    def mean(self) -> float:
        """Mean rate, per second."""
        length = self.duration_ns
        if length is None:
            return self.stages[-1].peak
        return self.total * NANOS / length

    def calls_by(self, at_ns: int) -> float:
        """N(t): calls wanted by a time."""
        at = min(max(at_ns, 0), int(self._start_ns[-1]))
        stage = min(int(np.searchsorted(self._start_ns, at, side="right")) - 1,
                    len(self.stages) - 1)
        into = self.stages[stage].calls_into((at - int(self._start_ns[stage])) / NANOS)
        return float(min(self.calls_at[stage] + into, self.calls_at[stage + 1]))

    def time_of(self, calls: Floats) -> NDArray[np.int64]:
        """When N reaches each of the sorted numbers, in ns; numbers beyond the end are clipped.

        A number is reached within its piece: what would round up to the start of the next one
        stays a nanosecond before it.
        """
        stage = np.searchsorted(self.calls_at, calls, side="right") - 1
        stage = np.clip(stage, 0, len(self.stages) - 1)
        # A stage at rate 0 holds no calls: a number that falls on it belongs to its end.
        more = calls - self.calls_at[stage]
        rate, slope = self._rate[stage], self._slope[stage]
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * more, 0.0))
        # The stable form of the quadratic's root; rate and slope may each be 0, not both here.
        with np.errstate(invalid="ignore", divide="ignore"):
            into = np.where(more > 0, 2 * more / (rate + root), 0.0)
        if self._curved and len(stage):
            for index in self._curved:
                first, end = np.searchsorted(stage, (index, index + 1))
                if first < end:
                    into[first:end] = self.stages[index].time_into(
                        np.maximum(more[first:end], 0.0))
        start, end_ns = self._start_ns[stage], self._start_ns[stage + 1]
        length = (end_ns - start).astype(np.float64)
        due = start + np.rint(np.minimum(into * NANOS, length)).astype(np.int64)
        result: NDArray[np.int64] = np.minimum(due, end_ns - 1)
        return result


def _whole(calls: Floats) -> Floats:
    """Numbers of calls; those that are meant to be whole are."""
    nearest = np.rint(calls)
    result: Floats = np.where((np.abs(calls - nearest) <= _WHOLE) & (nearest > 0), nearest, calls)
    return result


class Pacer:
    """Hands out the due times of a run in order, in chunks, with a rate that can be changed live.

    Times are ns from the start of the run. The same shape, arrival process and seed give the same
    times whatever the chunks. `set_rate` stretches what has not been handed out yet.
    """

    def __init__(
        self, shape: RateShape, arrival: Arrival, seed: int, calls: int | None = None,
        workload: int = 0,
    ) -> None:
        if calls is None and math.isinf(shape.total):
            raise UsageError("duration: give --duration or --calls; neither bounds the run")
        self.shape = shape
        self.arrival = arrival
        self.calls = calls
        self.handed = 0  # due times handed out so far
        self.reached_ns = 0  # everything due before this time is handed out
        self.end_ns = FOREVER_NS  # when the schedule is over; known once it is exhausted
        # numpy's generators are a module of their own, loaded only for those who draw.
        self._rng: np.random.Generator | None = None
        if arrival.kind == "poisson":
            key = (workload,) if workload else ()
            self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        self._points = np.empty(0)  # Poisson: points drawn and not handed out
        self._last_point = 0.0
        self._last_due = 0
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
        """Play the rest of the shape at `factor` times its rates, from `reached_ns` on.

        At 0 time goes on without calls. Raises ValueError for what is no factor.
        """
        if not 0 <= factor < math.inf:
            raise ValueError("factor must be 0 or more")
        # A chunk that was cut at its limit ends with a call, which is not to be passed again.
        y = max(self.shape.calls_by(self.reached_ns), self._y0)
        self._x0 += (y - self._y0) * self._factor
        self._y0 = y
        self._factor = factor

    def take(self, until_ns: int, limit: int = CHUNK) -> NDArray[np.int64]:
        """Hand out the next due times before `until_ns`, at most `limit` of them, sorted."""
        return self.take_calls(until_ns, limit)[0]

    def take_calls(self, until_ns: int, limit: int = CHUNK) -> tuple[NDArray[np.int64], Floats]:
        """As `take`, and for each call the N of the shape at which it is due."""
        if self._done or (until_ns <= self.reached_ns and not self._more):
            return np.empty(0, np.int64), np.empty(0)
        until_ns = max(until_ns, self.reached_ns)
        end_ns = self.shape.duration_ns
        ends = end_ns is not None and until_ns >= end_ns
        last = self.shape.total
        wanted = last if ends else self.shape.calls_by(until_ns)
        # The shape's end is exact but for rounding: the call due at the very end is not wanted, nor
        # is it by a chunk that ends just before.
        top = self._x0 + (last - self._y0) * self._factor if self._factor else self._x0
        if math.isfinite(top):
            top = float(_whole(np.array([top]))[0])
        goal = min(self._x0 + (wanted - self._y0) * self._factor, top)
        if self.calls is not None:
            limit = min(limit, self.calls - self.handed)
        points, self._more = self._take_points(goal, limit)
        reached = self._y0 + (points - self._x0) / (self._factor or 1.0)
        due = self.shape.time_of(reached)
        if len(due):
            # Sorted across chunks too: rounding may turn two neighbours over.
            due[0] = max(int(due[0]), self._last_due)
            due = np.maximum.accumulate(due)
            self._last_due = int(due[-1])
        self.handed += len(due)
        if self.handed == self.calls:
            self._done, self.end_ns = True, int(due[-1]) if len(due) else self.reached_ns
        elif ends and not self._more:
            self._done, self.end_ns = True, until_ns if end_ns is None else end_ns
        self.reached_ns = int(due[-1]) if self._more and len(due) else until_ns
        return due, reached

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
    stages: Sequence[Piece], arrival: Arrival, seed: int = 1, calls: int | None = None
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
