"""Executors: when the calls of a workload start, or how many of them are held up at once.

Open ones say when calls are due, whatever the target does (`pacer`); closed ones hold calls up and
start the next as one ends (`levels`). Rates are per second, times ns. What makes no sense raises
ParameterError, which names the parameter and the mend.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np

from siploadgen.errors import UsageError
from siploadgen.load.arrivals import (
    FOREVER_NS,
    Arrival,
    Pacer,
    Piece,
    RateShape,
    Sine,
    Stage,
)
from siploadgen.load.pacing import Arrivals, CallPacer, Levels, Phase, RatePacer, TracePacer
from siploadgen.load.trace import Trace, read_trace
from siploadgen.units import NANOS, parse_duration

__all__ = ["EXECUTORS", "Arrivals", "CallPacer", "CallStage", "ConstantArrivalRate",
           "ConstantCalls", "DayCurve", "Executor", "Levels", "OnOff", "ParameterError", "PerUser",
           "Phase", "RampingArrivalRate", "RampingCalls", "RateStage", "Replay", "SharedCalls",
           "Stairs"]

MAX_PHASES = 256
MAX_PIECES = 100_000
MAX_CALLS = 2**32 - 1  # that one workload can hold up at once
WARMUP, MAIN = "warmup", "main"
_RESERVED = (WARMUP, "drain")
_PHASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
DAY_NS = 86_400 * NANOS


class ParameterError(UsageError):
    """A parameter of an executor cannot be used; `parameter` is its path: `stages.1.target`."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter
        self.message = message


def _fail(parameter: str, message: str) -> NoReturn:
    raise ParameterError(parameter, message)


def _check_rate(parameter: str, rate: float, above: bool = False) -> None:
    if not (math.isfinite(rate) and rate >= 0):
        _fail(parameter, f"{rate:g} is no rate; write 0 or more, such as 500/s")
    if above and rate == 0:
        _fail(parameter, "must be above 0, such as 500/s")


def _check_time(parameter: str, value_ns: int | None, zero: bool = False) -> None:
    if value_ns is None:
        return
    if value_ns < 0 or value_ns > FOREVER_NS // 8 or (value_ns == 0 and not zero):
        _fail(parameter, f"must be {'0 or' if zero else 'longer than 0 and'} at most 18 years, "
                         "such as 30s")


def _check_count(parameter: str, value: int | None, most: int = MAX_CALLS) -> None:
    if value is not None and not 1 <= value <= most:
        _fail(parameter, f"{value} is none; write a whole number from 1 to {most:,}")


def _check_phase(parameter: str, name: str) -> None:
    if not name:
        return
    if name in _RESERVED:
        mend = "give `warmup: TIME`" if name == WARMUP else "it is what follows the last phase"
        _fail(parameter, f'the name "{name}" is taken; {mend} or choose another name')
    if not _PHASE_NAME.fullmatch(name):
        _fail(parameter, f'"{name}" is no name of a phase; use letters, digits and - _ . :, '
                         "such as busy-hour")


@dataclass(frozen=True, slots=True)
class RateStage:
    """A stage of a ramping arrival rate: to `target` (per second) in `duration` (ns).

    `linear` and `exp` go there from the rate before, `step` jumps there at once and stays. A stage
    of no length only jumps. Without a name it is the phase `stage-1`, `stage-2` ...
    """

    target: float
    duration: int | None  # None: without end, for the last stage of a run with `calls`
    shape: Literal["linear", "step", "exp"] = "linear"
    phase: str = ""


@dataclass(frozen=True, slots=True)
class CallStage:
    """A stage of ramping calls: to `target` calls held up in `duration` (ns), by lines or steps."""

    target: int
    duration: int
    shape: Literal["linear", "step"] = "linear"
    phase: str = ""


class Executor:
    """What all executors know. `open` ones have a `pacer`, closed ones `levels` and no pacer."""

    __slots__ = ()
    name: ClassVar[str]  # as scenario files write it

    @property
    def open(self) -> bool:
        """Whether calls are due at times of their own, whatever becomes of other calls."""
        raise NotImplementedError

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases in order; each call belongs to one of them."""
        raise NotImplementedError

    @property
    def total(self) -> float | None:
        """Calls that are planned; expected ones for Poisson arrivals; None if nobody knows."""
        raise NotImplementedError

    @property
    def phase_calls(self) -> tuple[float | None, ...]:
        """As `total`, for each phase."""
        return (None,) * len(self.phases)

    @property
    def peak_rate(self) -> float | None:
        """Highest rate of starts, per second; None if the target decides."""
        return None

    @property
    def peak_calls(self) -> int | None:
        """Most calls open at once; None without a bound."""
        return None

    @property
    def duration_ns(self) -> int | None:
        """Time in which calls start, warm-up included; None if nobody knows."""
        raise NotImplementedError

    def pacer(self, seed: int, workload: int = 0) -> CallPacer:
        """Hand out the calls of a workload: a function of the seed and the workload's number."""
        raise TypeError(f"{self.name} has no due times for workload {workload} (seed {seed}); it "
                        "is a closed model")

    def describe(self) -> dict[str, Any]:
        """Keys of `plan` in run.json: what was asked for, and the phases that come of it."""
        duration = self.duration_ns
        rows = []
        for phase, calls in zip(self.phases, self.phase_calls, strict=True):
            ends = None if phase.end_ns == FOREVER_NS else phase.end_ns / NANOS
            rows.append({"name": phase.name, "start_s": phase.start_ns / NANOS, "end_s": ends,
                         "measured": phase.measured, "calls": calls})
        return {"executor": self.name, **self._parameters(),
                "duration_s": None if duration is None else duration / NANOS,
                "calls": self.total, "peak_rate_per_s": self.peak_rate,
                "max_calls": self.peak_calls, "phases": rows}

    def _parameters(self) -> dict[str, Any]:
        """Give what is particular to the executor, for `describe`."""
        return {}


@dataclass(frozen=True, slots=True)
class _Plan:
    """A rate shape and the phases over it; `edges` are the N at their ends."""

    shape: RateShape
    phases: tuple[Phase, ...]
    edges: tuple[float, ...]


def _plan(spans: Sequence[tuple[str, Piece]], parameter: str) -> _Plan:
    """Lay pieces end to end; neighbours of one name are one phase."""
    if len(spans) > MAX_PIECES:
        _fail(parameter, f"{len(spans):,} pieces are too many; at most {MAX_PIECES:,}")
    shape = RateShape([piece for _, piece in spans])
    phases: list[Phase] = []
    edges: list[float] = []
    at = 0
    for index, (name, piece) in enumerate(spans):
        end = FOREVER_NS if piece.duration_ns is None else at + piece.duration_ns
        if phases and phases[-1].name == name:
            phases[-1] = Phase(name, phases[-1].start_ns, end, name != WARMUP)
            edges.pop()
        else:
            phases.append(Phase(name, at, end, name != WARMUP))
        edges.append(float(shape.calls_at[index + 1]))
        at = end
    _check_phases(phases, parameter)
    if shape.peak == 0:
        _fail(parameter, "the rate is 0 all the time; give a rate above 0")
    return _Plan(shape, tuple(phases), tuple(edges))


def _check_phases(phases: Sequence[Phase], parameter: str) -> None:
    names = [phase.name for phase in phases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        _fail(parameter, f'two stages that are not neighbours are named "{twice}"; give them two '
                         "names, since each phase has figures of its own")
    if len(phases) > MAX_PHASES:
        _fail(parameter, f"{len(phases)} phases, each with figures of its own; at most "
                         f"{MAX_PHASES}: give neighbours one name")


@lru_cache(maxsize=128)
def _plan_of(executor: "_RateExecutor") -> _Plan:
    spans = list(executor._spans())
    if executor.warmup:
        first = next((rate for _, piece in spans for rate in _rates(piece) if rate > 0), 0.0)
        spans.insert(0, (WARMUP, Stage(first, first, executor.warmup)))
    return _plan(spans, executor._stages_parameter())


def _rates(piece: Piece) -> tuple[float, float]:
    """Rates at the start and the end of a piece."""
    if isinstance(piece, Stage):
        return piece.rate, piece.target
    return piece.rate_at(0.0), piece.rate_at(piece.duration_ns / NANOS)


class _RateExecutor(Executor):
    """An open executor with a rate: what follows from its pieces."""

    __slots__ = ()
    # Each of them has these fields; declared here for the methods below.
    arrival: Arrival
    max_calls: int | None
    calls: int | None
    warmup: int

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        """Pieces in order, each with the name of its phase."""
        raise NotImplementedError

    def _stages_parameter(self) -> str:
        """Name the parameter that faults of the whole are told of."""
        return "rate"

    def _check(self) -> None:
        """Refuse what all of them refuse, last."""
        _check_time("warmup", self.warmup, zero=True)
        _check_count("max_calls", self.max_calls)
        _check_count("calls", self.calls, 2**53)
        plan = _plan_of(self)
        if self.calls is None and plan.shape.duration_ns is None:
            _fail("duration", "nothing ends the run; give a duration or a number of calls")

    @property
    def open(self) -> bool:
        """Calls are due at times of their own."""
        return True

    @property
    def shape(self) -> RateShape:
        """The rate over time, warm-up included."""
        return _plan_of(self).shape

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases in order."""
        return _plan_of(self).phases

    @property
    def phase_calls(self) -> tuple[float | None, ...]:
        """Calls of each phase; expected ones for Poisson arrivals."""
        counts, before = [], 0.0
        for edge in _plan_of(self).edges:
            by = self._started_by(edge)
            counts.append(by - before)
            before = by
        return tuple(counts)

    def _started_by(self, edge: float) -> float:
        """Count the calls started when N is at `edge`."""
        if math.isfinite(edge) and self.arrival.kind != "poisson":
            edge = float(math.ceil(edge / self.arrival.batch) * self.arrival.batch)
        return edge if self.calls is None else min(edge, float(self.calls))

    @property
    def total(self) -> float:
        """Calls that are planned; expected ones for Poisson arrivals."""
        return self._started_by(self.shape.total)

    @property
    def peak_rate(self) -> float:
        """Highest rate, per second."""
        return self.shape.peak

    @property
    def peak_calls(self) -> int | None:
        """Bound on open calls."""
        return self.max_calls

    @property
    def duration_ns(self) -> int:
        """Length of the schedule; about that, where the number of calls ends it."""
        shape = self.shape
        length = shape.duration_ns
        if self.calls is not None and self.calls < shape.total:
            return int(shape.time_of(np.array([float(self.calls)]))[0])
        assert length is not None
        return length

    def pacer(self, seed: int, workload: int = 0) -> RatePacer:
        """Hand out the calls of a workload: a function of the seed and the workload's number."""
        plan = _plan_of(self)
        return RatePacer(Pacer(plan.shape, self.arrival, seed, self.calls, workload),
                         plan.edges[:-1])

    def describe(self) -> dict[str, Any]:
        """Keys of `plan` in run.json."""
        rows = super().describe()
        duration = self.duration_ns
        rows["rate_per_s"] = self.total * NANOS / duration if duration else self.peak_rate
        rows["arrival"] = str(self.arrival)
        return rows


@dataclass(frozen=True, slots=True)
class ConstantArrivalRate(_RateExecutor):
    """Calls at a constant rate.

    >>> ConstantArrivalRate(500.0, 60 * NANOS).total
    30000.0
    """

    name = "constant-arrival-rate"
    rate: float
    duration: int | None = None  # None: until `calls` are made
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    calls: int | None = None
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_rate("rate", self.rate, above=True)
        _check_time("duration", self.duration)
        _check_phase("phase", self.phase)
        self._check()

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        yield self.phase or MAIN, Stage(self.rate, self.rate, self.duration)


@dataclass(frozen=True, slots=True)
class RampingArrivalRate(_RateExecutor):
    """A rate that goes through stages.

    >>> ramp = RampingArrivalRate(0.0, [RateStage(100.0, 10 * NANOS), RateStage(100.0, NANOS)])
    >>> ramp.phase_calls
    (500.0, 100.0)
    """

    name = "ramping-arrival-rate"
    start_rate: float
    stages: Sequence[RateStage]
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    calls: int | None = None
    warmup: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        object.__setattr__(self, "stages", tuple(self.stages))
        _check_rate("start_rate", self.start_rate)
        rate = self.start_rate
        for index, stage in enumerate(self.stages):
            where = f"stages.{index}"
            _check_rate(f"{where}.target", stage.target)
            _check_time(f"{where}.duration", stage.duration, zero=True)
            _check_phase(f"{where}.phase", stage.phase)
            if stage.shape not in ("linear", "step", "exp"):
                _fail(f"{where}.shape", f'"{stage.shape}" is none; choose linear, step or exp')
            if stage.shape == "exp" and stage.duration and 0 in (rate, stage.target):
                _fail(f"{where}.shape", "exp multiplies the rate, which so cannot begin or end at "
                                        "0; use linear, or a low rate such as 1/s")
            if stage.duration is None and (index < len(self.stages) - 1 or (
                    stage.shape != "step" and stage.target != rate)):
                _fail(f"{where}.duration", "only the last stage may be without end, at a constant "
                                           "rate; give a duration such as 30s")
            rate = stage.target
        if not any(stage.duration != 0 for stage in self.stages):
            _fail("stages", "none has a length; give at least one such as "
                            "{target: 500/s, duration: 30s}")
        self._check()

    def _stages_parameter(self) -> str:
        return "stages"

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        rate = self.start_rate
        for index, stage in enumerate(self.stages, 1):
            if stage.duration != 0:
                first = stage.target if stage.shape == "step" else rate
                curve: Literal["linear", "exp"] = "exp" if stage.shape == "exp" else "linear"
                yield (stage.phase or f"stage-{index}",
                       Stage(first, stage.target, stage.duration, curve))
            rate = stage.target

    def _parameters(self) -> dict[str, Any]:
        return {"start_rate_per_s": self.start_rate, "stages": [
            {"target_per_s": s.target, "duration_s": None if s.duration is None
             else s.duration / NANOS, "shape": s.shape} for s in self.stages]}


@dataclass(frozen=True, slots=True)
class Stairs(_RateExecutor):
    """Levels of constant rate, each a phase: `level-1` at `start`, then `step` more each time.

    `ramp_between` is the time from one level to the next, a phase of its own: `ramp-2` leads to
    `level-2`, whose figures it so stays out of.

    >>> [phase.name for phase in Stairs(100.0, 50.0, 2, 60 * NANOS, 5 * NANOS).phases]
    ['level-1', 'ramp-2', 'level-2']
    """

    name = "stairs"
    start: float
    step: float
    levels: int
    level_duration: int
    ramp_between: int = 0
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    calls: int | None = None
    warmup: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_rate("start", self.start)
        if not math.isfinite(self.step):
            _fail("step", f"{self.step:g} is no rate; write one such as 100/s")
        _check_count("levels", self.levels, MAX_PHASES)
        _check_time("level_duration", self.level_duration)
        _check_time("ramp_between", self.ramp_between, zero=True)
        last = self.start + self.step * (self.levels - 1)
        if last < 0:
            _fail("step", f"level {self.levels} would be at {last:g}/s; make the step "
                          "smaller or the levels fewer")
        self._check()

    def _stages_parameter(self) -> str:
        return "levels"

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        for level in range(1, self.levels + 1):
            rate = self.start + self.step * (level - 1)
            if level > 1 and self.ramp_between:
                yield f"ramp-{level}", Stage(rate - self.step, rate, self.ramp_between)
            yield f"level-{level}", Stage(rate, rate, self.level_duration)

    def _parameters(self) -> dict[str, Any]:
        return {"start_per_s": self.start, "step_per_s": self.step, "levels": self.levels,
                "level_duration_s": self.level_duration / NANOS,
                "ramp_between_s": self.ramp_between / NANOS}


@dataclass(frozen=True, slots=True)
class DayCurve(_RateExecutor):
    """A rate that follows the day: a sine, or points with straight lines between them.

    Sine: mean + amplitude * cos(2 pi (t - peak_at) / period); without `peak_at` it starts at the
    mean and rises. Table: (time, rate) in order of time; before the first point its rate is held,
    and the last is the end of a period, after which the table begins again. Without a duration one
    period is played.

    >>> day = DayCurve(table=[(0, 10.0), (12 * 3600 * NANOS, 90.0), (DAY_NS, 10.0)])
    >>> day.total, day.peak_rate
    (4320000.0, 90.0)
    """

    name = "day-curve"
    mean: float = 0.0
    amplitude: float = 0.0
    period: int = DAY_NS
    peak_at: int | None = None
    table: Sequence[tuple[int, float]] = ()
    duration: int | None = None
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    calls: int | None = None
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        object.__setattr__(self, "table", tuple((at, rate) for at, rate in self.table))
        _check_time("duration", self.duration)
        _check_phase("phase", self.phase)
        if self.table:
            self._check_table()
        else:
            _check_rate("mean", self.mean, above=True)
            _check_rate("amplitude", self.amplitude)
            if self.amplitude > self.mean:
                _fail("amplitude", f"{self.amplitude:g}/s is more than the mean ({self.mean:g}/s), "
                                   "and no rate is below 0; lower it")
            _check_time("period", self.period)
            _check_time("peak_at", self.peak_at, zero=True)
        self._check()

    def _check_table(self) -> None:
        if self.mean or self.amplitude or self.peak_at is not None:
            _fail("table", "gives the rates alone; leave out mean, amplitude and peak_at")
        before = -1
        for index, (at, rate) in enumerate(self.table):
            _check_rate(f"table.{index}", rate)
            _check_time(f"table.{index}", at, zero=True)
            if at <= before:
                _fail(f"table.{index}", "the times must rise; for a jump give two points a "
                                        "millisecond apart")
            before = at
        if self.table[-1][0] == 0:
            _fail("table", "one point at time 0 is no curve; add the end of the period, such as "
                           "[24h, 10/s]")

    def _stages_parameter(self) -> str:
        return "table" if self.table else "mean"

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        name = self.phase or MAIN
        if not self.table:
            peak_at = self.period // 4 if self.peak_at is None else self.peak_at
            yield name, Sine(self.mean, self.amplitude, self.period, peak_at,
                             self.duration or self.period)
            return
        points = [*([(0, self.table[0][1])] if self.table[0][0] else []), *self.table]
        period = points[-1][0]
        left = self.duration or period
        if left / period * len(points) > MAX_PIECES:
            _fail("duration", f"repeats the table more often than {MAX_PIECES:,} lines allow; "
                              "shorten it")
        while left > 0:
            for (start, rate), (end, target) in pairwise(points):
                length = min(end - start, left)
                if length > 0:
                    share = length / (end - start)
                    yield name, Stage(rate, rate + (target - rate) * share, length)
                left -= length

    def _parameters(self) -> dict[str, Any]:
        if self.table:
            return {"table": [[at / NANOS, rate] for at, rate in self.table]}
        return {"mean_per_s": self.mean, "amplitude_per_s": self.amplitude,
                "period_s": self.period / NANOS}


@dataclass(frozen=True, slots=True)
class OnOff(_RateExecutor):
    """Bursts: `rate` for the time `on`, `base` for the time `off`, and again."""

    name = "on-off"
    rate: float
    on: int
    off: int
    duration: int
    base: float = 0.0
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    calls: int | None = None
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_rate("rate", self.rate, above=True)
        _check_rate("base", self.base)
        for parameter in ("on", "off", "duration"):
            _check_time(parameter, getattr(self, parameter))
        _check_phase("phase", self.phase)
        if 2 * self.duration / (self.on + self.off) > MAX_PIECES:
            _fail("duration", f"holds more than {MAX_PIECES // 2:,} bursts; shorten it, or "
                              "lengthen them")
        self._check()

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        left = self.duration
        while left > 0:
            for rate, length in ((self.rate, self.on), (self.base, self.off)):
                if left > 0:
                    yield self.phase or MAIN, Stage(rate, rate, min(length, left))
                left -= length

    def _parameters(self) -> dict[str, Any]:
        return {"burst_rate_per_s": self.rate, "base_rate_per_s": self.base,
                "on_s": self.on / NANOS, "off_s": self.off / NANOS}


@dataclass(frozen=True, slots=True)
class Replay(Executor):
    """Calls at the times of a file, played `speed` times as fast (`siploadgen.load.trace`).

    Times are those of the run; with `origin="first"` the first call is due at 0. The first `warmup`
    of the run is not measured. Further columns of the file are data of the calls: `feed()`; a
    column `call` names the model of each call: `models` and `model_of`.
    Raises ScenarioError with file:line for what the file has wrong.
    """

    name = "replay"
    file: str | Path
    speed: float = 1.0
    origin: Literal["zero", "first"] = "zero"
    max_calls: int | None = None
    warmup: int = 0
    phase: str = ""
    trace: Trace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the file, and refuse what has no meaning."""
        if not (math.isfinite(self.speed) and self.speed > 0):
            _fail("speed", f"{self.speed:g} is no speed; write a number above 0, such as 2")
        if self.origin not in ("zero", "first"):
            _fail("origin", f'"{self.origin}" is none; choose zero or first')
        _check_count("max_calls", self.max_calls)
        _check_time("warmup", self.warmup, zero=True)
        _check_phase("phase", self.phase)
        object.__setattr__(self, "trace", read_trace(self.file, self.speed, self.origin))

    @property
    def open(self) -> bool:
        """Calls are due at times of their own."""
        return True

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The warm-up, if any, and the rest."""
        main = Phase(self.phase or MAIN, self.warmup, max(self.duration_ns, self.warmup))
        return (Phase(WARMUP, 0, self.warmup, False), main) if self.warmup else (main,)

    @property
    def total(self) -> float:
        """Calls of the file."""
        return float(len(self.trace.times_ns))

    @property
    def phase_calls(self) -> tuple[float | None, ...]:
        """Calls of each phase."""
        early = float(np.searchsorted(self.trace.times_ns, self.warmup))
        return (early, self.total - early) if self.warmup else (self.total,)

    @property
    def peak_rate(self) -> float:
        """Most calls within a second of the file, or all, if they take less."""
        times = self.trace.times_ns
        ahead = np.searchsorted(times, times + NANOS, side="left")
        return float(np.max(ahead - np.arange(len(times))))

    @property
    def peak_calls(self) -> int | None:
        """Bound on open calls."""
        return self.max_calls

    @property
    def duration_ns(self) -> int:
        """Until just after the last call."""
        return int(self.trace.times_ns[-1]) + 1

    def pacer(self, seed: int, workload: int = 0) -> TracePacer:  # noqa: ARG002
        """Hand out the calls; neither seed nor workload make a difference."""
        return TracePacer(self.trace.times_ns, [p.end_ns for p in self.phases[:-1]])

    def _parameters(self) -> dict[str, Any]:
        duration = self.duration_ns
        return {"file": str(self.file), "speed": self.speed, "arrival": "replay",
                "rate_per_s": self.total * NANOS / duration}


class ClosedExecutor(Executor):
    """An executor that holds calls up and starts the next as one ends."""

    __slots__ = ()

    @property
    def open(self) -> bool:
        """Calls start as others end."""
        return False

    def levels(self) -> Levels:
        """How many calls are held up, from when on; 0 where no more are started."""
        raise NotImplementedError


def _levels(
    rows: Sequence[tuple[int, int]], phases: Sequence[Phase], end_ns: int | None
) -> Levels:
    """Levels of (when, wanted), with a record for each phase that begins between them."""
    when = np.array([at for at, _ in rows], np.int64)
    wanted = np.array([level for _, level in rows], np.uint32)
    return _merged(when, wanted, phases, end_ns)


def _merged(
    when: np.ndarray[Any, np.dtype[np.int64]], wanted: np.ndarray[Any, np.dtype[np.uint32]],
    phases: Sequence[Phase], end_ns: int | None,
) -> Levels:
    starts = np.array([phase.start_ns for phase in phases], np.int64)
    held = np.searchsorted(when, starts, side="right") - 1
    missing = when[held] != starts
    when = np.concatenate((when, starts[missing]))
    wanted = np.concatenate((wanted, wanted[held[missing]]))
    order = np.argsort(when, kind="stable")
    when, wanted = when[order], wanted[order]
    phase = (np.searchsorted(starts, when, side="right") - 1).astype(np.uint16)
    if end_ns is not None:
        when = np.append(when, np.int64(end_ns))
        wanted = np.append(wanted, np.uint32(0))
        phase = np.append(phase, np.uint16(len(phases) - 1))
    return Levels(when, wanted, phase)


def _warm_phases(warmup: int, name: str, end_ns: int | None) -> tuple[Phase, ...]:
    end = FOREVER_NS if end_ns is None else end_ns
    main = Phase(name or MAIN, warmup, end)
    return (Phase(WARMUP, 0, warmup, False), main) if warmup else (main,)


@dataclass(frozen=True, slots=True)
class ConstantCalls(ClosedExecutor):
    """`calls` held up at once for a duration, which begins after the warm-up.

    >>> ConstantCalls(100, 60 * NANOS).levels().wanted.tolist()
    [100, 0]
    """

    name = "constant-calls"
    calls: int
    duration: int
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_count("calls", self.calls)
        _check_time("duration", self.duration)
        _check_time("warmup", self.warmup, zero=True)
        _check_phase("phase", self.phase)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The warm-up, if any, and the rest."""
        return _warm_phases(self.warmup, self.phase, self.duration_ns)

    @property
    def total(self) -> float | None:
        """The target decides."""
        return None

    @property
    def peak_calls(self) -> int:
        """Calls held up."""
        return self.calls

    @property
    def duration_ns(self) -> int:
        """Warm-up and duration."""
        return self.warmup + self.duration

    def levels(self) -> Levels:
        """One level, and its end."""
        return _levels([(0, self.calls)], self.phases, self.duration_ns)


@dataclass(frozen=True, slots=True)
class RampingCalls(ClosedExecutor):
    """Calls held up at once, in stages: a record for each change by one call.

    A line from a to b changes to its j-th next level half-way between two: after (2 j - 1) of
    2 |b - a| parts of the time. So the level is never more than half a call off the line. The
    warm-up holds `start_calls`, or the first target if that is 0.

    >>> RampingCalls([CallStage(2, 4 * NANOS)]).levels().when.tolist()
    [0, 1000000000, 3000000000, 4000000000]
    """

    name = "ramping-calls"
    stages: Sequence[CallStage]
    start_calls: int = 0
    warmup: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        object.__setattr__(self, "stages", tuple(self.stages))
        if not 0 <= self.start_calls <= MAX_CALLS:
            _fail("start_calls", f"{self.start_calls} is none; from 0 to {MAX_CALLS:,}")
        for index, stage in enumerate(self.stages):
            where = f"stages.{index}"
            if not 0 <= stage.target <= MAX_CALLS:
                _fail(f"{where}.target", f"{stage.target} is none; from 0 to {MAX_CALLS:,}")
            _check_time(f"{where}.duration", stage.duration, zero=True)
            _check_phase(f"{where}.phase", stage.phase)
            if stage.shape not in ("linear", "step"):
                _fail(f"{where}.shape", f'"{stage.shape}" is none; choose linear or step')
        _check_time("warmup", self.warmup, zero=True)
        if not any(stage.duration for stage in self.stages):
            _fail("stages", "none has a length; give at least one such as "
                            "{target: 100, duration: 30s}")
        if self.peak_calls == 0:
            _fail("stages", "hold no calls at any time; give a target above 0")
        _check_phases(self.phases, "stages")

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The warm-up, if any, and a phase for each stage or name."""
        phases = [Phase(WARMUP, 0, self.warmup, False)] if self.warmup else []
        at = self.warmup
        for index, stage in enumerate(self.stages, 1):
            if not stage.duration:
                continue
            name = stage.phase or f"stage-{index}"
            start = phases.pop().start_ns if phases and phases[-1].name == name else at
            at += stage.duration
            phases.append(Phase(name, start, at))
        return tuple(phases)

    @property
    def total(self) -> float | None:
        """The target decides."""
        return None

    @property
    def peak_calls(self) -> int:
        """Most calls held up."""
        return max([self.start_calls, *(stage.target for stage in self.stages)])

    @property
    def duration_ns(self) -> int:
        """Warm-up and stages."""
        return self.warmup + sum(stage.duration for stage in self.stages)

    def levels(self) -> Levels:
        """Each change by one call, and the end."""
        level, at = self.start_calls, self.warmup
        warm = level or next((s.target for s in self.stages if s.target), 0)
        times, wanted = [np.array([0], np.int64)], [np.array([warm if at else level], np.uint32)]
        if at and warm != level:
            times.append(np.array([at], np.int64))
            wanted.append(np.array([level], np.uint32))
        for stage in self.stages:
            change = abs(stage.target - level)
            if stage.shape == "step" or not stage.duration:
                steps = np.full(min(change, 1), at, np.int64)
                reached = np.full(min(change, 1), stage.target, np.int64)
            else:
                number = np.arange(1, change + 1, dtype=np.int64)
                # (2 j - 1) * duration / (2 change), rounded up, in 64 bits.
                whole, rest = divmod(stage.duration, 2 * change) if change else (0, 0)
                odd = 2 * number - 1
                steps = at + odd * whole - (-odd * rest // max(2 * change, 1))
                reached = level + (number if stage.target > level else -number)
            times.append(steps)
            wanted.append(reached.astype(np.uint32))
            level, at = stage.target, at + stage.duration
        when, levels = np.concatenate(times), np.concatenate(wanted)
        # Of two jumps at one time the later one counts; what falls on the end changes nothing.
        last = np.append(when[1:] != when[:-1], True) & (when < self.duration_ns)
        return _merged(when[last], levels[last], self.phases, self.duration_ns)

    def _parameters(self) -> dict[str, Any]:
        return {"start_calls": self.start_calls, "stages": [
            {"target": s.target, "duration_s": s.duration / NANOS, "shape": s.shape}
            for s in self.stages]}


@dataclass(frozen=True, slots=True)
class PerUser(ClosedExecutor):
    """Users who each make one call after the other, thinking in between.

    `think` is a time or a distribution as scenario files write it: `5s`, `exponential(30s)`. They
    make `iterations` calls each on average, or as many as fit into `duration`. `spread` is the time over
    which users begin, evenly: those who all begin at once stay in step. Number n of the workload is
    a call of user n modulo `users`.
    """

    name = "per-user"
    users: int
    think: str = "0"
    duration: int | None = None
    iterations: int | None = None
    spread: int = 0
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_count("users", self.users)
        _check_think(self.think)
        _check_time("duration", self.duration)
        _check_count("iterations", self.iterations)
        _check_time("spread", self.spread, zero=True)
        _check_time("warmup", self.warmup, zero=True)
        _check_phase("phase", self.phase)
        if self.duration is None and self.iterations is None:
            _fail("duration", "nothing ends the run; give a duration or iterations")
        if self.duration is not None and self.spread > self.duration + self.warmup:
            _fail("spread", "longer than the run; shorten it")

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The warm-up, if any, and the rest."""
        return _warm_phases(self.warmup, self.phase, self.duration_ns)

    @property
    def total(self) -> float | None:
        """Calls, if there are iterations; fewer where the duration ends before."""
        return None if self.iterations is None else float(self.users * self.iterations)

    @property
    def peak_calls(self) -> int:
        """Every user has one call at most."""
        return self.users

    @property
    def duration_ns(self) -> int | None:
        """Warm-up and duration; None if iterations end the run."""
        return None if self.duration is None else self.warmup + self.duration

    def levels(self) -> Levels:
        """Users who have begun; without a duration the level stays until the calls are used up."""
        if not self.spread:
            return _levels([(0, self.users)], self.phases, self.duration_ns)
        ramp = RampingCalls([CallStage(self.users, self.spread)]).levels()
        when, wanted = ramp.when[:-1], ramp.wanted[:-1]
        return _merged(when, wanted, self.phases, self.duration_ns)

    def _parameters(self) -> dict[str, Any]:
        return {"users": self.users, "think": self.think, "iterations": self.iterations,
                "spread_s": self.spread / NANOS}


def _check_think(text: str) -> None:
    """Check the form; which distributions there are is known to those who compile it."""
    if re.fullmatch(r"\s*[a-z_]+\s*\(.*\)\s*", text):
        return
    try:
        parse_duration(text, "think")
    except UsageError:
        _fail("think", f'"{text}" is no time; write 5s, or a distribution such as '
                       "exponential(30s)")


@dataclass(frozen=True, slots=True)
class SharedCalls(ClosedExecutor):
    """Exactly `calls` calls: `concurrency` of them at once, or at a rate.

    With `concurrency` the model is closed, with `rate` it is open. `duration` ends the run earlier;
    calls of the warm-up are among the `calls`.

    >>> SharedCalls(1000, rate=100.0).duration_ns
    10000000000
    """

    name = "shared-calls"
    calls: int
    concurrency: int | None = None
    rate: float | None = None
    duration: int | None = None
    arrival: Arrival = field(default_factory=Arrival)
    max_calls: int | None = None
    warmup: int = 0
    phase: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_count("calls", self.calls, 2**53)
        _check_count("concurrency", self.concurrency)
        if (self.concurrency is None) == (self.rate is None):
            _fail("concurrency", "give either the calls held up at once or a rate")
        _check_time("duration", self.duration)
        _check_time("warmup", self.warmup, zero=True)
        _check_phase("phase", self.phase)
        if self.rate is not None:
            self._rated()
        elif self.max_calls is not None:
            _fail("max_calls", "the concurrency bounds the calls already; leave it out")
        elif self.arrival != Arrival():
            _fail("arrival", "calls start as others end; leave it out, or give a rate")

    def _rated(self) -> ConstantArrivalRate:
        assert self.rate is not None
        # The warm-up is the first part of these calls, not more of them.
        return ConstantArrivalRate(self.rate, self.duration, self.arrival, self.max_calls,
                                   self.calls, self.warmup, self.phase)

    @property
    def open(self) -> bool:
        """Whether there is a rate."""
        return self.rate is not None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The warm-up, if any, and the rest."""
        if self.open:
            return self._rated().phases
        end = None if self.duration is None else self.warmup + self.duration
        return _warm_phases(self.warmup, self.phase, end)

    @property
    def phase_calls(self) -> tuple[float | None, ...]:
        """Calls of each phase, if there is a rate."""
        if self.open:
            return self._rated().phase_calls
        return (self.total,) if len(self.phases) == 1 else (None, None)

    @property
    def total(self) -> float:
        """All calls, unless the duration ends the run before."""
        return self._rated().total if self.open else float(self.calls)

    @property
    def peak_rate(self) -> float | None:
        """The rate, if there is one."""
        return self.rate

    @property
    def peak_calls(self) -> int | None:
        """Calls held up, or the bound on open ones."""
        return self.max_calls if self.concurrency is None else min(self.concurrency, self.calls)

    @property
    def duration_ns(self) -> int | None:
        """Length of the schedule; None if the calls end it."""
        if self.open:
            return self._rated().duration_ns
        return None if self.duration is None else self.warmup + self.duration

    def pacer(self, seed: int, workload: int = 0) -> CallPacer:
        """Hand out the calls, if there is a rate."""
        if not self.open:
            return super(SharedCalls, self).pacer(seed, workload)
        return self._rated().pacer(seed, workload)

    def levels(self) -> Levels:
        """One level, which stays until the calls are used up."""
        if self.concurrency is None:
            raise TypeError("shared-calls with a rate holds no calls up; it is an open model")
        return _levels([(0, min(self.concurrency, self.calls))], self.phases, self.duration_ns)

    def _parameters(self) -> dict[str, Any]:
        if self.open:
            return {"rate_per_s": self.rate, "arrival": str(self.arrival)}
        return {"concurrency": self.concurrency}


EXECUTORS: dict[str, type[Executor]] = {kind.name: kind for kind in (
    ConstantArrivalRate, RampingArrivalRate, Stairs, DayCurve, OnOff, Replay, ConstantCalls,
    RampingCalls, PerUser, SharedCalls)}
