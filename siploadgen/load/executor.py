"""What all executors have in common, and the checks of their parameters."""

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from siploadgen.errors import UsageError
from siploadgen.load.arrivals import FOREVER_NS
from siploadgen.load.pacing import CallPacer, Phase
from siploadgen.units import NANOS

MAX_PHASES = 256
MAX_CALLS = 2**32 - 1  # that one workload can hold up at once
WARMUP, MAIN = "warmup", "main"
_RESERVED = (WARMUP, "drain")
_PHASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


class ParameterError(UsageError):
    """A parameter of an executor cannot be used; `parameter` is its path: `stages.1.target`."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter
        self.message = message


def fail(parameter: str, message: str) -> NoReturn:
    """Raise ParameterError."""
    raise ParameterError(parameter, message)


def check_rate(parameter: str, rate: float, above: bool = False) -> None:
    """Refuse what is no rate per second."""
    if not (math.isfinite(rate) and rate >= 0):
        fail(parameter, f"{rate:g} is no rate; write 0 or more, such as 500/s")
    if above and rate == 0:
        fail(parameter, "must be above 0, such as 500/s")


def check_time(parameter: str, value_ns: int | None, zero: bool = False) -> None:
    """Refuse what is no time in ns; None is none given."""
    if value_ns is None:
        return
    if value_ns < 0 or value_ns > FOREVER_NS // 8 or (value_ns == 0 and not zero):
        fail(parameter, f"must be {'0 or' if zero else 'longer than 0 and'} at most 18 years, "
                         "such as 30s")


def check_count(parameter: str, value: int | None, most: int = MAX_CALLS) -> None:
    """Refuse what is no whole number from 1 on; None is none given."""
    if value is not None and not 1 <= value <= most:
        fail(parameter, f"{value} is none; write a whole number from 1 to {most:,}")


def check_phase(parameter: str, name: str) -> None:
    """Refuse what is no name of a phase; an empty one is none given."""
    if not name:
        return
    if name in _RESERVED:
        mend = "give `warmup: TIME`" if name == WARMUP else "it is what follows the last phase"
        fail(parameter, f'the name "{name}" is taken; {mend} or choose another name')
    if not _PHASE_NAME.fullmatch(name):
        fail(parameter, f'"{name}" is no name of a phase; use letters, digits and - _ . :, '
                         "such as busy-hour")


def check_phases(phases: Sequence[Phase], parameter: str) -> None:
    """Refuse phases that cannot be told apart, or too many."""
    names = [phase.name for phase in phases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        fail(parameter, f'two stages that are not neighbours are named "{twice}"; give them two '
                         "names, since each phase has figures of its own")
    if len(phases) > MAX_PHASES:
        fail(parameter, f"{len(phases)} phases, each with figures of its own; at most "
                         f"{MAX_PHASES}: give neighbours one name")


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
