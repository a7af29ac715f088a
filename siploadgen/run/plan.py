"""What a run is to do: checked once, then frozen."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.load.arrivals import Arrival, RateShape
from siploadgen.load.rows import Rows
from siploadgen.units import NANOS

# One engine carries this many call starts a second with a good margin (a call of 7 messages:
# 70,000 messages a second); more asks for a second worker.
CALLS_PER_S_PER_WORKER = 10_000
MAX_WORKERS = 64
MAX_INSTANCES = 1_048_576
MAX_TRANSACTIONS = 4_194_304
GRACEFUL_STOP_NS = 30 * NANOS


def choose_workers(asked: str | int, peak_per_s: float, cores: int, embedded: bool) -> int:
    """Choose the number of engines: as asked for, or as few as the peak rate needs.

    `auto` takes one for each 10,000 calls a second of the peak rate, at most the number of cores
    (one less with the embedded answerer, which needs one itself) and at least one.
    """
    if asked == "auto":
        spare = max(cores - 1, 1) if embedded else max(cores, 1)
        return max(1, min(math.ceil(peak_per_s / CALLS_PER_S_PER_WORKER), spare, MAX_WORKERS))
    try:
        count = int(asked)
    except ValueError:
        count = 0
    if not 1 <= count <= MAX_WORKERS:
        raise UsageError(f'--workers "{asked}": write auto or a number from 1 to {MAX_WORKERS}')
    return count


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run of one model. Addresses are numeric; times are ns."""

    name: str
    program: Any  # compile.program.Program
    target_uri: str
    target: tuple[str, int]
    local: tuple[str, int]  # port 0: the system chooses; otherwise engine i takes port + i
    shape: RateShape
    arrival: Arrival = field(default_factory=Arrival)
    seed: int = 1
    calls: int | None = None
    max_calls: int | None = None  # bound on open calls, all engines together
    workers: int = 1
    rows: Rows | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    graceful_stop_ns: int = GRACEFUL_STOP_NS
    linger_ns: int = -1
    gso: bool = True
    run_id: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if not 1 <= self.workers <= MAX_WORKERS:
            raise UsageError(f"--workers {self.workers}: from 1 to {MAX_WORKERS}")
        if self.calls is not None and self.calls < 1:
            raise UsageError("--calls: at least 1")
        if self.calls is None and math.isinf(self.shape.total):
            raise UsageError("--duration: give --duration or --calls; neither bounds the run")
        if self.max_calls is not None and self.max_calls < self.workers:
            raise UsageError(f"--max-calls {self.max_calls}: at least one for each of the "
                             f"{self.workers} workers; lower --workers")
        if self.local[1] and self.local[1] + self.workers - 1 > 65535:
            raise UsageError(f"--local: port {self.local[1]} leaves no room for {self.workers} "
                             "workers, which take one port each")
        if self.shape.peak == 0:
            raise UsageError("--rate: must be above 0 at some time")
        columns = tuple(self.program.columns)
        if columns and (self.rows is None or self.rows.count == 0):
            raise UsageError(f"--users: the model needs the columns {', '.join(columns)}")
        if self.rows is not None and self.rows.names != columns:
            raise UsageError("users: not the columns that the model wants")

    @property
    def total_calls(self) -> float:
        """Number of calls planned; for Poisson arrivals without --calls the expected number."""
        return min(self.shape.total, math.inf if self.calls is None else self.calls)

    @property
    def duration_ns(self) -> float:
        """Length of the schedule; estimated when the number of calls ends it."""
        length = self.shape.duration_ns
        if self.calls is not None and self.calls < self.shape.total:
            ended = self.calls / self.shape.mean * NANOS if length is None else length
            return min(ended, math.inf if length is None else length)
        return math.inf if length is None else length

    def engine_arguments(self, engine: int, port: int) -> dict[str, Any]:
        """Keyword arguments of the Engine number `engine`, bound to `port`."""
        total = self.total_calls / self.workers
        # Twice the plan, as the rate can be raised by hand. A call takes a few transactions, which
        # linger for up to 32 s; the memory is reserved, and only used as far as it is needed.
        instances = min(MAX_INSTANCES, max(64, math.ceil(total * 2) + 64))
        bound = 0
        if self.max_calls is not None:
            share, rest = divmod(self.max_calls, self.workers)
            bound = share + (engine < rest)
            instances = min(MAX_INSTANCES, max(instances, bound + 64))
        return {
            "local": (self.local[0], port), "target": self.target, "rows": self.rows,
            "engine_id": engine, "run_id": self.run_id, "seed": self.seed + engine,
            "max_calls": bound, "max_instances": instances,
            "max_transactions": min(MAX_TRANSACTIONS, 8 * instances),
            "first_row": engine, "row_stride": self.workers,
            "linger": self.linger_ns, "gso_group": 32 if self.gso else 1,
        }
