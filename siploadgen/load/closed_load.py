"""Closed executors: calls are held up, and the next one starts as one ends."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from siploadgen.errors import UsageError
from siploadgen.load.arrivals import FOREVER_NS, Arrival
from siploadgen.load.executor import (
    MAIN,
    MAX_CALLS,
    WARMUP,
    Executor,
    check_count,
    check_phase,
    check_phases,
    check_time,
    fail,
)
from siploadgen.load.open_load import ConstantArrivalRate
from siploadgen.load.pacing import CallPacer, Levels, Phase
from siploadgen.units import NANOS, parse_duration


@dataclass(frozen=True, slots=True)
class CallStage:
    """A stage of ramping calls: to `target` calls held up in `duration` (ns), by lines or steps."""

    target: int
    duration: int
    shape: Literal["linear", "step"] = "linear"
    phase: str = ""


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

    def open_form(self) -> Executor:
        """Return the open executor that this one is, if it is one."""
        raise TypeError(f"{self.name} is a closed model")


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
        check_count("calls", self.calls)
        check_time("duration", self.duration)
        check_time("warmup", self.warmup, zero=True)
        check_phase("phase", self.phase)

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
            fail("start_calls", f"{self.start_calls} is none; from 0 to {MAX_CALLS:,}")
        for index, stage in enumerate(self.stages):
            where = f"stages.{index}"
            if not 0 <= stage.target <= MAX_CALLS:
                fail(f"{where}.target", f"{stage.target} is none; from 0 to {MAX_CALLS:,}")
            check_time(f"{where}.duration", stage.duration, zero=True)
            check_phase(f"{where}.phase", stage.phase)
            if stage.shape not in ("linear", "step"):
                fail(f"{where}.shape", f'"{stage.shape}" is none; choose linear or step')
        check_time("warmup", self.warmup, zero=True)
        if not any(stage.duration for stage in self.stages):
            fail("stages", "none has a length; give at least one such as "
                            "{target: 100, duration: 30s}")
        if self.peak_calls == 0:
            fail("stages", "hold no calls at any time; give a target above 0")
        check_phases(self.phases, "stages")

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
    make `iterations` calls each on average, or as many as fit into `duration`. `spread` is the time
    over which users begin, evenly: those who all begin at once stay in step. Number n of the
    workload is a call of user n modulo `users`.
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
        check_count("users", self.users)
        _check_think(self.think)
        check_time("duration", self.duration)
        check_count("iterations", self.iterations)
        check_time("spread", self.spread, zero=True)
        check_time("warmup", self.warmup, zero=True)
        check_phase("phase", self.phase)
        if self.duration is None and self.iterations is None:
            fail("duration", "nothing ends the run; give a duration or iterations")
        if self.duration is not None and self.spread > self.duration + self.warmup:
            fail("spread", "longer than the run; shorten it")

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
        fail("think", f'"{text}" is no time; write 5s, or a distribution such as '
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
        check_count("calls", self.calls, 2**53)
        check_count("concurrency", self.concurrency)
        if (self.concurrency is None) == (self.rate is None):
            fail("concurrency", "give either the calls held up at once or a rate")
        check_time("duration", self.duration)
        check_time("warmup", self.warmup, zero=True)
        check_phase("phase", self.phase)
        if self.rate is not None:
            self.open_form()
        elif self.max_calls is not None:
            fail("max_calls", "the concurrency bounds the calls already; leave it out")
        elif self.arrival != Arrival():
            fail("arrival", "calls start as others end; leave it out, or give a rate")

    def open_form(self) -> ConstantArrivalRate:
        """Return the calls as those of a rate."""
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
            return self.open_form().phases
        end = None if self.duration is None else self.warmup + self.duration
        return _warm_phases(self.warmup, self.phase, end)

    @property
    def phase_calls(self) -> tuple[float | None, ...]:
        """Calls of each phase, if there is a rate."""
        if self.open:
            return self.open_form().phase_calls
        return (self.total,) if len(self.phases) == 1 else (None, None)

    @property
    def total(self) -> float:
        """All calls, unless the duration ends the run before."""
        return self.open_form().total if self.open else float(self.calls)

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
            return self.open_form().duration_ns
        return None if self.duration is None else self.warmup + self.duration

    def pacer(self, seed: int, workload: int = 0) -> CallPacer:
        """Hand out the calls, if there is a rate."""
        if not self.open:
            return super(SharedCalls, self).pacer(seed, workload)
        return self.open_form().pacer(seed, workload)

    def levels(self) -> Levels:
        """One level, which stays until the calls are used up."""
        if self.concurrency is None:
            raise TypeError("shared-calls with a rate holds no calls up; it is an open model")
        return _levels([(0, min(self.concurrency, self.calls))], self.phases, self.duration_ns)

    def _parameters(self) -> dict[str, Any]:
        if self.open:
            return {"rate_per_s": self.rate, "arrival": str(self.arrival)}
        return {"concurrency": self.concurrency}
