"""What executors hand out: calls with due time, number and phase, or levels of calls held up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from siploadgen.load.arrivals import CHUNK, FOREVER_NS, Pacer


@dataclass(frozen=True, slots=True)
class Phase:
    """A named span of an executor's time, from its start in ns; a call belongs where it is due.

    What is not measured (the warm-up) is counted for itself and left out of the totals. Without an
    end known before the run `end_ns` is FOREVER_NS.
    """

    name: str
    start_ns: int
    end_ns: int
    measured: bool = True


class Arrivals(NamedTuple):
    """Calls in order of their due times: ns from the start, number in the workload, phase."""

    due: NDArray[np.int64]
    number: NDArray[np.uint64]
    phase: NDArray[np.uint16]

    def deal(self, parts: int) -> list["Arrivals"]:
        """Share the calls out to `parts` engines: engine i gets numbers i, i + parts, ..."""
        first = int(self.number[0]) if len(self.number) else 0
        shares = [slice((i - first) % parts, None, parts) for i in range(parts)]
        return [Arrivals(self.due[share], self.number[share], self.phase[share])
                for share in shares]


class Levels(NamedTuple):
    """How many calls are to be held up from when on: one record for each change, and each phase."""

    when: NDArray[np.int64]
    wanted: NDArray[np.uint32]
    phase: NDArray[np.uint16]

    def deal(self, parts: int) -> list["Levels"]:
        """Share the calls out to `parts` engines, which add up to the whole at any time.

        Engine i holds one of the calls i, i + parts, ...; records that change nothing for an
        engine are left out.
        """
        shares = []
        for i in range(parts):
            wanted = ((self.wanted.astype(np.int64) - i + parts - 1) // parts).astype(np.uint32)
            moves = np.ones(len(wanted), bool)
            moves[1:] = (np.diff(wanted.astype(np.int64)) != 0) | (np.diff(
                self.phase.astype(np.int64)) != 0)
            shares.append(Levels(self.when[moves], wanted[moves], self.phase[moves]))
        return shares


class CallPacer(Protocol):
    """Hands out the calls of an open executor in order of their due times."""

    @property
    def handed(self) -> int:
        """Calls handed out so far."""
        ...

    @property
    def reached_ns(self) -> int:
        """Everything due before this time is handed out."""
        ...

    @property
    def end_ns(self) -> int:
        """When the schedule is over; FOREVER_NS until that is known."""
        ...

    @property
    def exhausted(self) -> bool:
        """True once the last call is handed out."""
        ...

    @property
    def factor(self) -> float:
        """How much faster than planned calls are started now."""
        ...

    def take(self, until_ns: int, limit: int = CHUNK) -> Arrivals:
        """Hand out the calls due before `until_ns`, at most `limit` of them."""
        ...

    def set_rate(self, factor: float) -> None:
        """Go on at `factor` times the planned rate, from `reached_ns` on."""
        ...


class RatePacer:
    """Calls of a rate shape. `edges` are the N at which phases end, but for the last one."""

    def __init__(self, pacer: Pacer, edges: Sequence[float]) -> None:
        self._pacer = pacer
        self._edges = np.asarray(edges, np.float64)

    @property
    def handed(self) -> int:
        """Calls handed out so far."""
        return self._pacer.handed

    @property
    def reached_ns(self) -> int:
        """Everything due before this time is handed out."""
        return self._pacer.reached_ns

    @property
    def end_ns(self) -> int:
        """When the schedule is over; known once it is exhausted."""
        return self._pacer.end_ns

    @property
    def exhausted(self) -> bool:
        """True once the last call is handed out."""
        return self._pacer.exhausted

    @property
    def factor(self) -> float:
        """How much faster than planned calls are started now."""
        return self._pacer.factor

    def set_rate(self, factor: float) -> None:
        """Play the rest of the shape at `factor` times its rates; phases keep their times."""
        self._pacer.set_rate(factor)

    def take(self, until_ns: int, limit: int = CHUNK) -> Arrivals:
        """Hand out the calls due before `until_ns`, at most `limit` of them."""
        first = self._pacer.handed
        due, reached = self._pacer.take_calls(until_ns, limit)
        number = np.arange(first, first + len(due), dtype=np.uint64)
        phase = np.searchsorted(self._edges, reached, side="right").astype(np.uint16)
        return Arrivals(due, number, phase)


class TracePacer:
    """Calls at recorded times, sorted. A factor plays the rest of the record so much faster."""

    def __init__(self, times_ns: NDArray[np.int64], edges_ns: Sequence[int]) -> None:
        self._times = times_ns
        self._phase = np.searchsorted(np.asarray(edges_ns, np.int64), times_ns,
                                      side="right").astype(np.uint16)
        self.handed = 0
        self.reached_ns = 0
        self.end_ns = FOREVER_NS
        self._factor = 1.0
        self._run0 = 0  # time of the run ...
        self._trace0 = 0  # ... that falls on this time of the record
        self._last = 0

    @property
    def exhausted(self) -> bool:
        """True once the last call is handed out."""
        return self.end_ns != FOREVER_NS

    @property
    def factor(self) -> float:
        """How much faster than planned calls are started now."""
        return self._factor

    def set_rate(self, factor: float) -> None:
        """Play the rest `factor` times as fast; at 0 the record stands still."""
        if not 0 <= factor < np.inf:
            raise ValueError("factor must be 0 or more")
        self._trace0 = self._trace_time(self.reached_ns)
        self._run0 = self.reached_ns
        self._factor = factor

    def take(self, until_ns: int, limit: int = CHUNK) -> Arrivals:
        """Hand out the calls due before `until_ns`, at most `limit` of them."""
        until_ns = max(until_ns, self.reached_ns)
        goal = self._trace_time(until_ns)
        all_end = int(np.searchsorted(self._times, goal, side="left"))
        first, end = self.handed, min(max(all_end, self.handed), self.handed + limit)
        due = self._times[first:end]
        if self._factor != 1.0 or self._run0 != self._trace0:
            due = self._run0 + np.rint((due - self._trace0) / (self._factor or 1.0)).astype(
                np.int64)
        if len(due):
            # A call that was left over when the rate changed is due at once, not before.
            due = np.maximum(due, self._last)
            self._last = int(due[-1])
        self.handed = end
        self.reached_ns = self._last if end < all_end else until_ns
        if end == len(self._times):
            self.end_ns = self._last
        return Arrivals(due, np.arange(first, end, dtype=np.uint64), self._phase[first:end])

    def _trace_time(self, run_ns: int) -> int:
        return self._trace0 + round((run_ns - self._run0) * self._factor)
