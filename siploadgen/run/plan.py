"""What a run is to do: checked once, then frozen."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siploadgen.errors import UsageError
from siploadgen.figures import Series
from siploadgen.load.executors import Executor
from siploadgen.load.feeds import Feed, limit_of
from siploadgen.load.rows import Rows
from siploadgen.run.resolve import Server
from siploadgen.run.targets import Found
from siploadgen.tx_table import T1_NS, T2_NS, T4_NS
from siploadgen.units import NANOS, format_duration

# One engine carries this many call starts a second with a good margin (a call of 7 messages:
# 70,000 messages a second); more asks for a second worker.
CALLS_PER_S_PER_WORKER = 10_000
MAX_WORKERS = 64
MAX_WORKLOADS = 64
MAX_SERIES = 256
MAX_INSTANCES = 1_048_576
MAX_TRANSACTIONS = 4_194_304
# Records made ready before a run take a quarter of the memory that is free at most. One that is not
# costs time when it is first used: milliseconds for its page, on a virtual machine.
READY_SHARE = 4
INSTANCE_BYTES, TRANSACTION_BYTES = 1024, 160  # roughly, with legs, texts and timers
READY_NS = NANOS // 20  # how long a call is taken to last besides its pauses
GRACEFUL_STOP_NS = 30 * NANOS
GSO_GROUP = 32
MAX_GSO_GROUP = 64  # the most that every kernel with GSO takes
MAX_COALESCE_NS = NANOS // 10
MIN_TIMER_NS, MAX_TIMER_NS = NANOS // 1000, 3600 * NANOS


def free_memory() -> float:
    """Octets that the host can give without swapping, by its own account."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return math.inf


def choose_workers(asked: str | int, peak_per_s: float, cores: int, embedded: bool) -> int:
    """Choose the number of engines: as asked for, or as few as the peak rate needs.

    `auto` takes one for each 10,000 calls a second of the peak rate, at most the number of cores
    (one less with the embedded answerer, which needs one itself) and at least one. A peak rate that
    nobody knows is infinite.
    """
    if asked == "auto":
        spare = max(cores - 1, 1) if embedded else max(cores, 1)
        return max(1, math.ceil(min(peak_per_s / CALLS_PER_S_PER_WORKER, spare, MAX_WORKERS)))
    try:
        count = int(asked)
    except ValueError:
        count = 0
    if not 1 <= count <= MAX_WORKERS:
        raise UsageError(f'--workers "{asked}": write auto or a number from 1 to {MAX_WORKERS}')
    return count


def peak_rate(workload: "Workload") -> float:
    """Highest rate of starts of a workload; infinite when the target decides."""
    peak = workload.executor.peak_rate
    return math.inf if peak is None else peak


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Tuning:
    """What steers an engine and is no part of the load. Times are ns; UsageError names the option.

    >>> Tuning(gso=False).engine_arguments()["gso_group"]
    1
    """

    linger_ns: int = -1  # how long finished transactions are remembered; -1: as RFC 3261 says
    gso: bool = True
    gso_group: int = GSO_GROUP  # most datagrams in one GSO group
    # Shortest time from one wake-up to the next. The kernel has stamped what waits, so that the
    # time of one exchange is not longer; what a call sends next is that much later.
    coalesce_ns: int = 0
    t1_ns: int = T1_NS
    t2_ns: int = T2_NS
    t4_ns: int = T4_NS
    tape: int = 0  # octets of the latest datagrams that an engine keeps for its failures

    def __post_init__(self) -> None:
        """Refuse what an engine cannot do."""
        if not 1 <= self.gso_group <= MAX_GSO_GROUP:
            raise UsageError(f"--gso-group {self.gso_group}: from 1 to {MAX_GSO_GROUP}")
        _check_time("--coalesce", self.coalesce_ns, 0, MAX_COALESCE_NS)
        _check_time("--t1", self.t1_ns, MIN_TIMER_NS, MAX_TIMER_NS)
        _check_time("--t2", self.t2_ns, MIN_TIMER_NS, MAX_TIMER_NS)
        _check_time("--t4", self.t4_ns, 0, MAX_TIMER_NS)
        if self.t2_ns < self.t1_ns:
            # Repeats grow from T1 up to T2 (RFC 3261 17.1.2.2).
            raise UsageError(f"--t2 {format_duration(self.t2_ns)}: shorter than --t1 "
                             f"({format_duration(self.t1_ns)}), from which repeats grow up to it")

    def engine_arguments(self) -> dict[str, Any]:
        """Keyword arguments of an Engine."""
        return {"linger": self.linger_ns, "gso_group": self.gso_group if self.gso else 1,
                "coalesce": self.coalesce_ns, "t1": self.t1_ns, "t2": self.t2_ns, "t4": self.t4_ns,
                "tape": self.tape}

    def report(self) -> dict[str, Any]:
        """Keys of `plan` in run.json; what the kernel made of GSO is in `generator`."""
        return {
            "linger_s": None if self.linger_ns < 0 else self.linger_ns / NANOS,
            "timers": {"t1_s": self.t1_ns / NANOS, "t2_s": self.t2_ns / NANOS,
                       "t4_s": self.t4_ns / NANOS},
            "coalesce_s": self.coalesce_ns / NANOS,
        }


def _check_time(option: str, value_ns: int, least_ns: int, most_ns: int) -> None:
    if not least_ns <= value_ns <= most_ns:
        least = format_duration(least_ns) if least_ns else "0"
        raise UsageError(f"{option} {format_duration(value_ns)}: from {least} to "
                         f"{format_duration(most_ns)}")


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls that one executor starts: one call model, or several with weights.

    `feeds` are its tables of data, the users first; without any the engines go through the rows of
    the run. `start_after` is `NAME.ready` (another workload holds all the calls that it wants, and
    each has counted itself `ready` if its model counts that) or `NAME.done` (it is over).
    """

    name: str
    executor: Executor
    entries: tuple[tuple[int, float], ...] = ((0, 1.0),)  # entry of the program, weight
    feeds: tuple[Feed, ...] = ()
    offsets: tuple[int, ...] = ()  # where the rows of each feed begin in the tables of the run
    start_after: str = ""

    @property
    def limit(self) -> float:
        """Calls that there is data for."""
        return limit_of(self.feeds)

    @property
    def total(self) -> float:
        """Calls that are planned; infinite when nobody knows."""
        planned = self.executor.total
        return min(math.inf if planned is None else planned, self.limit)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run. Addresses are numeric; times are ns."""

    name: str
    program: Any  # compile.program.Program
    target_uri: str
    target: tuple[str, int]
    local: tuple[str, int]  # port 0: the system chooses; otherwise engine i takes port + i
    workloads: tuple[Workload, ...]
    seed: int = 1
    max_calls: int | None = None  # bound on open calls, all engines and workloads together
    workers: int = 1
    rows: tuple[Rows, ...] = ()  # one table for each feed
    settings: Mapping[str, str] = field(default_factory=dict)
    graceful_stop_ns: int = GRACEFUL_STOP_NS
    tuning: Tuning = field(default_factory=Tuning)
    run_id: int = 1
    obey_overload: bool = False  # calls that a target in overload does not want are left out
    learn_contact: bool = False  # Contacts have the address that the first response tells
    found: Found | None = None  # the servers behind the target; without it `target` is the only one

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if not 1 <= self.workers <= MAX_WORKERS:
            raise UsageError(f"--workers {self.workers}: from 1 to {MAX_WORKERS}")
        if not 1 <= len(self.workloads) <= MAX_WORKLOADS:
            raise UsageError(f"scenarios: from 1 to {MAX_WORKLOADS}")
        if len(self.series) > MAX_SERIES:
            raise UsageError(f"scenarios: {len(self.series)} phases together; at most {MAX_SERIES}")
        if self.max_calls is not None and self.max_calls < self.workers:
            raise UsageError(f"--max-calls {self.max_calls}: at least one for each of the "
                             f"{self.workers} workers; lower --workers")
        if self.local[1] and self.local[1] + self.workers - 1 > 65535:
            raise UsageError(f"--local: port {self.local[1]} leaves no room for {self.workers} "
                             "workers, which take one port each")
        columns = tuple(self.program.columns)
        have = {name for rows in self.rows if rows.count for name in rows.names}
        if not have.issuperset(columns):
            missing = [name for name in columns if name not in have]
            raise UsageError(f"--users: the model needs the columns {', '.join(missing)}")
        self._check_order()

    def _check_order(self) -> None:
        """Refuse workloads that wait for nobody, or for each other."""
        names = [one.name for one in self.workloads]
        if len(set(names)) < len(names):
            raise UsageError(f"scenarios: two are named {max(names, key=names.count)}")
        after = {}
        for one in self.workloads:
            other, _, what = one.start_after.rpartition(".")
            if one.start_after and (other not in names or what not in ("ready", "done")):
                raise UsageError(f"scenarios.{one.name}.start_after: {one.start_after} is not "
                                 + ", ".join(f"{name}.ready, {name}.done" for name in names
                                             if name != one.name))
            after[one.name] = other
        for name in names:
            at, seen = name, set()
            while at:
                if at in seen:
                    raise UsageError(f"scenarios.{name}.start_after: it waits for itself")
                seen.add(at)
                at = after[at]

    @property
    def series(self) -> tuple[Series, ...]:
        """What results are kept for: the phases of each workload in turn."""
        return tuple(Series(one.name, phase.name, phase.measured)
                     for one in self.workloads for phase in one.executor.phases)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Where calls may go; `target` is the first of them."""
        return self.found.location.servers if self.found else (Server("udp", *self.target),)

    @property
    def total_calls(self) -> float:
        """Number of calls planned; expected ones for Poisson arrivals, infinite if nobody knows."""
        return sum(one.total for one in self.workloads)

    @property
    def duration_ns(self) -> float:
        """Length of the schedule; infinite when nobody knows."""
        lengths = [one.executor.duration_ns for one in self.workloads]
        return max(math.inf if length is None else length for length in lengths)

    @property
    def peak_per_s(self) -> float:
        """Highest rate of starts; infinite when the target decides."""
        return sum(peak_rate(one) for one in self.workloads)

    def engine_arguments(self, engine: int, port: int) -> dict[str, Any]:
        """Keyword arguments of the Engine number `engine`, bound to `port`."""
        total = min(self.total_calls / self.workers, MAX_INSTANCES)
        # Twice the plan, as the rate can be raised by hand. A call takes a few transactions, which
        # linger for up to 32 s; the memory is reserved, and only used as far as it is needed.
        instances = min(MAX_INSTANCES, max(64, math.ceil(total * 2) + 64))
        bound = 0
        if self.max_calls is not None:
            share, rest = divmod(self.max_calls, self.workers)
            bound = share + (engine < rest)
            instances = min(MAX_INSTANCES, max(instances, bound + 64))
        return {
            "local": (self.local[0], port), "target": self.target,
            "rows": self.rows or None, "series": len(self.series),
            "bounds": [self._bound(one, engine) for one in self.workloads],
            "unique": [bool(one.feeds) and one.feeds[0].exclusive for one in self.workloads],
            "closed": sum(not one.executor.open for one in self.workloads),
            "engine_id": engine, "run_id": self.run_id, "seed": self.seed + engine,
            "draw_seed": self.seed,
            "max_calls": bound, "max_instances": instances,
            "max_transactions": min(MAX_TRANSACTIONS, 8 * instances),
            **self._ready(instances),
            "first_row": engine, "row_stride": self.workers,
            "obey_overload": self.obey_overload, "learn_contact": self.learn_contact,
            **self.tuning.engine_arguments(),
        }

    def shared_arguments(self) -> dict[str, Any]:
        """Arguments that all engines of a run have in common: its variables of users and run."""
        if not self.program.shared:
            return {}
        from siploadgen.core.shared import Shared

        return {"shared": Shared(self.program.shared, self.rows[0].count if self.rows else 1)}

    def _bound(self, workload: Workload, engine: int) -> int:
        """Share of an engine in the bound on a workload's open calls; 0: none."""
        most = workload.executor.peak_calls if workload.executor.open else None
        if most is None:
            return 0
        share, rest = divmod(most, self.workers)
        if share + (engine < rest) == 0:
            raise UsageError(f"max_calls {most}: at least one for each of the {self.workers} "
                             "workers; lower --workers")
        return share + (engine < rest)

    def _ready(self, instances: int) -> dict[str, int]:
        """Give the records that an engine will need: they get their memory before the run."""
        total = self.total_calls / self.workers
        held = sum(one.executor.peak_calls or 0 for one in self.workloads
                   if not one.executor.open) / self.workers
        per_ns = sum(peak_rate(one) for one in self.workloads if one.executor.open
                     ) / self.workers / NANOS
        tuning = self.tuning
        # Of a call's two transactions the INVITE's stays for 64 T1 (timer M), the BYE's for T4 (K).
        linger_ns = (2 * tuning.linger_ns if tuning.linger_ns >= 0
                     else 64 * tuning.t1_ns + tuning.t4_ns)
        open_calls = min(total, per_ns * (self.program.pauses_ns + READY_NS) + held)
        if self.max_calls is not None:
            open_calls = min(open_calls, math.ceil(self.max_calls / self.workers))
        open_calls = min(open_calls, instances)
        transactions = min(2 * total, per_ns * linger_ns + open_calls, MAX_TRANSACTIONS)
        wanted = (open_calls * INSTANCE_BYTES + transactions * TRANSACTION_BYTES) * self.workers
        share = min(1.0, free_memory() / READY_SHARE / wanted) if wanted else 1.0
        return {
            "ready_instances": math.ceil(open_calls * share),
            "ready_transactions": math.ceil(transactions * share),
        }
