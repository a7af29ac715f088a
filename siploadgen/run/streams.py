"""The workloads of a run while it goes on: which starts the engines get, and when."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siploadgen.core.engine import LEVEL_DTYPE, START_DTYPE
from siploadgen.core.program import EntryFlag
from siploadgen.errors import UsageError
from siploadgen.load import mix
from siploadgen.load.draw import stream_key, uniform
from siploadgen.load.executors import Replay
from siploadgen.model import values
from siploadgen.run.plan import RunPlan, Workload

SUPPLY = 16_384  # starts of a closed workload that an engine gets at once
ENGINES_NEXT = 2**32 - 1  # a row that the engine chooses
# Instances of these take a user of their engine's own, which looks after its share of the rows.
_OWN_USERS = EntryFlag.ENTRY_OWNS_USER | EntryFlag.ENTRY_KEEPS_NONCES


class Stream:
    """One workload. Its time runs from `origin_ns`, None before it has begun."""

    def __init__(self, plan: RunPlan, index: int) -> None:
        self.workload: Workload = plan.workloads[index]
        self.index = index
        self.origin_ns: int | None = None
        self._plan = plan
        self._series = sum(len(one.executor.phases) for one in plan.workloads[:index])
        self._feeds = tuple(feed.for_workers(plan.workers) for feed in self.workload.feeds)
        self._owns = plan.program.entries["flags"] & _OWN_USERS != 0
        self._owns_user = plan.program.entries["flags"] & EntryFlag.ENTRY_OWNS_USER != 0
        executor = self.workload.executor
        self._trace = executor.trace if isinstance(executor, Replay) else None
        self._names: list[str] = []
        if self._trace is not None and self._trace.models:
            self._names = [plan.program.scenarios[entry] for entry, _ in self.workload.entries]
            # ScenarioError for a model that nobody knows: now, not on the way.
            self._trace.model_of(np.empty(0, np.uint64), self._names)

    @property
    def series(self) -> range:
        """Numbers of its series."""
        return range(self._series, self._series + len(self.workload.executor.phases))

    def starts(self, numbers: NDArray[np.uint64], phase: NDArray[np.uint16] | int = 0,
               due: NDArray[np.int64] | int = 0) -> NDArray[np.void]:
        """Write the records of these calls: a function of their numbers alone."""
        work, seed = self.workload, self._plan.seed
        starts = np.zeros(len(numbers), START_DTYPE)
        starts["number"], starts["due"] = numbers, due
        starts["stream"] = self.index
        starts["series"] = self._series + np.asarray(phase)
        entries = np.array([entry for entry, _ in work.entries], np.uint16)
        shares = [share for _, share in work.entries]
        if self._trace is not None and self._trace.models:  # each call names its own
            chosen = self._trace.model_of(numbers, self._names)
        else:
            chosen = mix.choose(shares, seed, self.index, numbers)
        starts["entry"] = entries[chosen]
        starts["row"] = ENGINES_NEXT
        for place, feed in enumerate(self._feeds):
            rows = feed.rows_for(seed, self.index, numbers)
            rows = rows + np.uint32(work.offsets[place] if work.offsets else 0)
            if place:
                starts["others"][:, place - 1] = rows
            else:
                own = self._owns[starts["entry"]]
                starts["row"] = np.where(own, ENGINES_NEXT, rows)
        return starts


class OpenStream(Stream):
    """A workload whose calls are due at times of their own."""

    def __init__(self, plan: RunPlan, index: int) -> None:
        super().__init__(plan, index)
        self.pacer = self.workload.executor.pacer(plan.seed, index)
        self._limit = self.workload.limit
        self._cut_ns: int | None = None  # when its data came to an end

    @property
    def exhausted(self) -> bool:
        """True once the last call is handed out."""
        return self._cut_ns is not None or self.pacer.exhausted

    @property
    def end_ns(self) -> int:
        """Clock time at which its schedule is over, once it is exhausted."""
        end = self.pacer.end_ns if self._cut_ns is None else self._cut_ns
        return (self.origin_ns or 0) + end

    @property
    def handed(self) -> int:
        """Calls handed out so far."""
        return int(min(self.pacer.handed, self._limit))

    def take(self, until_ns: int) -> NDArray[np.void]:
        """Hand out the calls due before a clock time."""
        assert self.origin_ns is not None
        due, numbers, phase = self.pacer.take(until_ns - self.origin_ns, 2**62)
        if self.pacer.handed >= self._limit:
            keep = numbers < self._limit
            due, numbers, phase = due[keep], numbers[keep], phase[keep]
            if not self.pacer.exhausted or self.pacer.handed > self._limit:
                self._cut_ns = int(due[-1]) if len(due) else self.pacer.reached_ns
        return self.starts(numbers, phase, due + self.origin_ns)


class ClosedStream(Stream):
    """A workload that holds its calls open: the engines start the next as one ends."""

    def __init__(self, plan: RunPlan, index: int) -> None:
        super().__init__(plan, index)
        self.closed = sum(not one.executor.open for one in plan.workloads[:index])
        total = self.workload.total
        self._total = None if math.isinf(total) else int(total)
        think = getattr(self.workload.executor, "think", None)
        self._think = None if think is None else values.parse_distribution(think)
        self._given = [0] * plan.workers
        owns = {bool(self._owns_user[entry]) for entry, share in self.workload.entries if share}
        if self._think is not None and len(owns) > 1:
            raise UsageError(f"scenarios.{self.workload.name}: some of its call models own their "
                             "users and some do not; per-user takes either these or those")

    @property
    def end_ns(self) -> float:
        """Clock time from which on it holds no calls; infinite if their number ends it."""
        length = self.workload.executor.duration_ns
        return math.inf if length is None else (self.origin_ns or 0) + length

    @property
    def wanted(self) -> int:
        """Most calls that it holds."""
        return int(self.workload.executor.peak_calls or 0)

    def begin(self, engines: Sequence[Any], origin_ns: int) -> None:
        """Tell the engines how many calls to hold."""
        self.origin_ns = origin_ns
        shares = self.workload.executor.levels().deal(len(engines))  # type: ignore[attr-defined]
        for engine, (when, wanted, phase) in zip(engines, shares, strict=True):
            levels = np.zeros(len(when), LEVEL_DTYPE)
            levels["when"] = when + origin_ns
            levels["wanted"], levels["series"] = wanted, self._series + phase
            engine.hold(self.closed, levels, self._think is not None)
        self.supply(engines)

    def supply(self, engines: Sequence[Any]) -> None:
        """Give the engines starts to go on with: those that hold calls at any time share them."""
        parts = max(min(len(engines), self.wanted), 1)
        for place, engine in enumerate(engines):
            if place >= parts and self._given[place] >= 0:
                engine.schedule(np.empty(0, START_DTYPE), True, self.closed)
                self._given[place] = -1
            while self._given[place] >= 0 and engine.closed_state(self.closed)["chunks"] < 2:
                first = self._given[place]
                numbers = np.arange(first, first + SUPPLY, dtype=np.uint64) * np.uint64(parts)
                numbers += np.uint64(place)
                if self._total is not None:
                    numbers = numbers[numbers < self._total]
                last = len(numbers) < SUPPLY
                engine.schedule(self.starts(numbers, 0, self._rests(numbers)), last, self.closed)
                self._given[place] = -1 if last else first + SUPPLY

    def _rests(self, numbers: NDArray[np.uint64]) -> NDArray[np.int64] | int:
        if self._think is None:
            return 0
        return think_times(self._think, self._plan.seed, self.index, numbers)


def think_times(think: str | values.Distribution, seed: int, workload: int,
                numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Draw a time in ns for each call, by its number. ModelError: no distribution of times.

    >>> think_times("5s", 1, 0, np.arange(2, dtype=np.uint64))
    array([5000000000, 5000000000])
    """
    value = values.parse_distribution(think) if isinstance(think, str) else think

    def unit(name: str) -> NDArray[np.float64]:
        return uniform(stream_key(seed, workload, name), numbers)

    one = unit("think")
    match value:
        case values.Fixed(ns):
            times = np.full(len(numbers), float(ns))
        case values.Uniform(low, high):
            times = low + (high - low) * one
        case values.Exponential(mean):
            times = -mean * np.log1p(-one)
        case values.Weibull(scale, shape):
            times = scale * (-np.log1p(-one)) ** (1 / shape)
        case values.Pareto(least, shape):
            with np.errstate(over="ignore"):  # infinite ones are cut below
                times = least * (1 - one) ** (-1 / shape)
        case values.Samples(found):
            times = np.array(found, np.float64)[(one * len(found)).astype(np.int64)]
        case values.Normal():
            times = value.mean + value.deviation * _normal(one, unit("think angle"))
        case values.Lognormal():
            times = np.exp(value.mu + value.sigma * _normal(one, unit("think angle")))
        case values.Gamma(scale, shape):
            times = scale * _gamma(shape, unit)
    drawn: NDArray[np.int64] = np.clip(times, 0, 2.0**61).astype(np.int64)
    return drawn


def _normal(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0, deviation 1 (Box and Muller)."""
    deviates: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-one)) * np.cos(2 * math.pi * two)
    return deviates


def _gamma(shape: float, unit: Callable[[str], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Scale 1 (Marsaglia and Tsang 2000): those refused in one round are drawn in the next."""
    raised = shape if shape >= 1 else shape + 1
    d = raised - 1 / 3
    c = 1 / math.sqrt(9 * d)
    drawn = np.zeros(len(unit("think")))
    left = np.ones(len(drawn), bool)
    turn = 0
    while left.any():
        x = _normal(unit(f"think {turn} size"), unit(f"think {turn} angle"))
        v = np.maximum((1 + c * x) ** 3, 1e-300)
        fits = left & (1 + c * x > 0) & (
            np.log1p(-unit(f"think {turn} accept")) < x * x / 2 + d - d * v + d * np.log(v))
        drawn[fits] = d * v[fits]
        left &= ~fits
        turn += 1
    return drawn if shape >= 1 else drawn * (1 - unit("think")) ** (1 / shape)


def make_streams(plan: RunPlan) -> list[OpenStream | ClosedStream]:
    """Make the streams of a plan, in its order."""
    return [(OpenStream if one.executor.open else ClosedStream)(plan, index)
            for index, one in enumerate(plan.workloads)]


def merged(chunks: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Put the starts of several workloads into one order."""
    if len(chunks) == 1:
        return chunks[0]
    starts = np.concatenate(chunks)
    return starts[np.argsort(starts["due"], kind="stable")]
