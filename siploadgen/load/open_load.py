"""Open executors: calls are due at times of their own, whatever becomes of other calls."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from siploadgen.load.arrivals import FOREVER_NS, Arrival, Pacer, Piece, RateShape, Sine, Stage
from siploadgen.load.executor import (
    MAIN,
    MAX_PHASES,
    WARMUP,
    Executor,
    check_count,
    check_phase,
    check_phases,
    check_rate,
    check_time,
    fail,
)
from siploadgen.load.feeds import Feed
from siploadgen.load.pacing import Phase, RatePacer, TracePacer
from siploadgen.load.trace import Trace, read_trace
from siploadgen.units import NANOS

MAX_PIECES = 100_000
DAY_NS = 86_400 * NANOS


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
class _Plan:
    """A rate shape and the phases over it; `edges` are the N at their ends."""

    shape: RateShape
    phases: tuple[Phase, ...]
    edges: tuple[float, ...]


def _plan(spans: Sequence[tuple[str, Piece]], parameter: str) -> _Plan:
    """Lay pieces end to end; neighbours of one name are one phase."""
    if len(spans) > MAX_PIECES:
        fail(parameter, f"{len(spans):,} pieces are too many; at most {MAX_PIECES:,}")
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
    check_phases(phases, parameter)
    if shape.peak == 0:
        fail(parameter, "the rate is 0 all the time; give a rate above 0")
    return _Plan(shape, tuple(phases), tuple(edges))


@lru_cache(maxsize=128)
def _plan_of(executor: "RateExecutor") -> _Plan:
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


class RateExecutor(Executor):
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
        check_time("warmup", self.warmup, zero=True)
        check_count("max_calls", self.max_calls)
        check_count("calls", self.calls, 2**53)
        plan = _plan_of(self)
        if self.calls is None and plan.shape.duration_ns is None:
            fail("duration", "nothing ends the run; give a duration or a number of calls")

    @property
    def open(self) -> bool:
        """Calls are due at times of their own."""
        return True

    @property
    def shape(self) -> RateShape:
        """The rate over time, warm-up included."""
        return _plan_of(self).shape

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """Pieces of the shape, each with the time at which it starts."""
        at = 0
        for piece in self.shape.stages:
            yield at, piece
            at += piece.duration_ns or 0

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
class ConstantArrivalRate(RateExecutor):
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
        check_rate("rate", self.rate, above=True)
        check_time("duration", self.duration)
        check_phase("phase", self.phase)
        self._check()

    def _spans(self) -> Iterator[tuple[str, Piece]]:
        yield self.phase or MAIN, Stage(self.rate, self.rate, self.duration)


@dataclass(frozen=True, slots=True)
class RampingArrivalRate(RateExecutor):
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
        check_rate("start_rate", self.start_rate)
        rate = self.start_rate
        for index, stage in enumerate(self.stages):
            where = f"stages.{index}"
            check_rate(f"{where}.target", stage.target)
            check_time(f"{where}.duration", stage.duration, zero=True)
            check_phase(f"{where}.phase", stage.phase)
            if stage.shape not in ("linear", "step", "exp"):
                fail(f"{where}.shape", f'"{stage.shape}" is none; choose linear, step or exp')
            if stage.shape == "exp" and stage.duration and 0 in (rate, stage.target):
                fail(f"{where}.shape", "exp multiplies the rate, which so cannot begin or end at "
                                        "0; use linear, or a low rate such as 1/s")
            if stage.duration is None and (index < len(self.stages) - 1 or (
                    stage.shape != "step" and stage.target != rate)):
                fail(f"{where}.duration", "only the last stage may be without end, at a constant "
                                           "rate; give a duration such as 30s")
            rate = stage.target
        if not any(stage.duration != 0 for stage in self.stages):
            fail("stages", "none has a length; give at least one such as "
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
class Stairs(RateExecutor):
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
        check_rate("start", self.start)
        if not math.isfinite(self.step):
            fail("step", f"{self.step:g} is no rate; write one such as 100/s")
        check_count("levels", self.levels, MAX_PHASES)
        check_time("level_duration", self.level_duration)
        check_time("ramp_between", self.ramp_between, zero=True)
        last = self.start + self.step * (self.levels - 1)
        if last < 0:
            fail("step", f"level {self.levels} would be at {last:g}/s; make the step "
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
class DayCurve(RateExecutor):
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
        check_time("duration", self.duration)
        check_phase("phase", self.phase)
        if self.table:
            self._check_table()
        else:
            check_rate("mean", self.mean, above=True)
            check_rate("amplitude", self.amplitude)
            if self.amplitude > self.mean:
                fail("amplitude", f"{self.amplitude:g}/s is more than the mean ({self.mean:g}/s), "
                                   "and no rate is below 0; lower it")
            check_time("period", self.period)
            check_time("peak_at", self.peak_at, zero=True)
        self._check()

    def _check_table(self) -> None:
        if self.mean or self.amplitude or self.peak_at is not None:
            fail("table", "gives the rates alone; leave out mean, amplitude and peak_at")
        before = -1
        for index, (at, rate) in enumerate(self.table):
            check_rate(f"table.{index}", rate)
            check_time(f"table.{index}", at, zero=True)
            if at <= before:
                fail(f"table.{index}", "the times must rise; for a jump give two points a "
                                        "millisecond apart")
            before = at
        if self.table[-1][0] == 0:
            fail("table", "one point at time 0 is no curve; add the end of the period, such as "
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
            fail("duration", f"repeats the table more often than {MAX_PIECES:,} lines allow; "
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
class OnOff(RateExecutor):
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
        check_rate("rate", self.rate, above=True)
        check_rate("base", self.base)
        for parameter in ("on", "off", "duration"):
            check_time(parameter, getattr(self, parameter))
        check_phase("phase", self.phase)
        if 2 * self.duration / (self.on + self.off) > MAX_PIECES:
            fail("duration", f"holds more than {MAX_PIECES // 2:,} bursts; shorten it, or "
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
    of the run is not measured. Further columns of the file are data of the calls: `feed`; a column
    `call` names the model of each call: `trace.models` and `trace.model_of`.
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
            fail("speed", f"{self.speed:g} is no speed; write a number above 0, such as 2")
        if self.origin not in ("zero", "first"):
            fail("origin", f'"{self.origin}" is none; choose zero or first')
        check_count("max_calls", self.max_calls)
        check_time("warmup", self.warmup, zero=True)
        check_phase("phase", self.phase)
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

    def feed(self) -> Feed | None:
        """Return the other columns as data of the calls, `{replay.NAME}`; None if there are none.

        A call gets the row of its own line.
        """
        rows = self.trace.rows
        return Feed("replay", rows.prefixed("replay")) if rows.names else None

    def pacer(self, seed: int, workload: int = 0) -> TracePacer:  # noqa: ARG002
        """Hand out the calls; neither seed nor workload make a difference."""
        return TracePacer(self.trace.times_ns, [p.end_ns for p in self.phases[:-1]])

    def _parameters(self) -> dict[str, Any]:
        duration = self.duration_ns
        return {"file": str(self.file), "speed": self.speed, "arrival": "replay",
                "rate_per_s": self.total * NANOS / duration}
