"""Whether this host can carry a planned load: what is needed, what there is, what mends it."""

import math
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from siploadgen.compile.path import success_cost
from siploadgen.compile.program import Program
from siploadgen.load.planning import CallCost, RunLoad, WorkloadLoad, expected
from siploadgen.load.rows import Rows
from siploadgen.model.builtin import build_answerer
from siploadgen.model.python import CallModel
from siploadgen.model.values import mean_of, parse_distribution
from siploadgen.run.doctor import read_text
from siploadgen.run.plan import (
    CALLS_PER_S_PER_WORKER,
    INSTANCE_BYTES,
    MAX_INSTANCES,
    MAX_TRANSACTIONS,
    TRANSACTION_BYTES,
    RunPlan,
    Tuning,
    available_cores,
    free_memory,
)
from siploadgen.run.rehearsal import rehearsed
from siploadgen.units import SOCKET_BUFFER

# A call of seven messages is what the rate of one worker is measured with.
MESSAGES_PER_S_PER_WORKER = 7 * CALLS_PER_S_PER_WORKER
# Files of a process that runs: Python's own, logs and results; and of each engine: its socket, the
# connected ones beside it, what wakes it up.
FILES, FILES_PER_WORKER = 48, 8
# A buffer holds what comes while an engine does not run; the kernel counts a datagram with what it
# takes to keep it.
PAUSE_S, DATAGRAM_OCTETS = 0.05, 2304
_ALIKE = 0.05  # difference of means that may come of a sample
MIN_BUFFER = 212_992  # what kernels give without being asked


@dataclass(frozen=True, slots=True)
class Host:
    """Limits of a host: octets, or numbers."""

    cores: int
    memory: float
    files: float
    ports: int
    receive_buffer: int
    send_buffer: int


def this_host() -> Host:
    """Look at the host that we are on."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = math.inf if soft == resource.RLIM_INFINITY else float(soft)
    ports = read_text("/proc/sys/net/ipv4/ip_local_port_range").split()
    low, high = (int(ports[0]), int(ports[1])) if len(ports) == 2 else (32768, 60999)
    return Host(available_cores(), free_memory(), files, high - low + 1,
                _limit("rmem_max"), _limit("wmem_max"))


def _limit(name: str) -> int:
    text = read_text(f"/proc/sys/net/core/{name}")
    return int(text) if text.isdigit() else MIN_BUFFER


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a load needs; `needed` is None where the target decides how much."""

    name: str
    needed: float | None
    available: float
    unit: str
    mend: str

    @property
    def ok(self) -> bool:
        """Whether there is enough, as far as that is known."""
        return self.needed is None or self.needed <= self.available


def planned_load(plan: RunPlan, *, challenged: bool = False, answers: Iterable[CallModel] = ()
                 ) -> RunLoad:
    """Work out what a run amounts to, from its executors and what its call models cost.

    `challenged`: the target challenges the first request of a call that can answer. `answers` are
    models of the target's that come before the built-in ones. Raises ModelError.
    """
    first = tuple(answers)
    peers = [build_answerer(settings=plan.settings, first=first, strict=False, challenge=algorithm)
             for algorithm in (*(("md5",) if challenged else ()), "")]
    return RunLoad(tuple(_planned(plan, index, peers, challenged)
                         for index in range(len(plan.workloads))))


def _planned(plan: RunPlan, index: int, peers: Sequence[Program], challenged: bool
             ) -> WorkloadLoad:
    work = plan.workloads[index]
    costs = [(_cost(plan, index, entry, peers, challenged), share) for entry, share in work.entries]
    think = getattr(work.executor, "think", None)
    think_ns = mean_of(parse_distribution(think)) if think else 0.0
    load = expected(work.name, work.executor, costs, think_ns)
    if load.calls is not None and work.limit < load.calls:
        load = replace(load, calls=work.limit)
    return load


def _cost(plan: RunPlan, index: int, entry: int, peers: Sequence[Program], challenged: bool
          ) -> CallCost:
    """Find what a call costs: played with a peer, or along its course.

    Where both find the same numbers they are the latter's, whose means are exact and not of a
    sample. A peer is passed over if calls fail with it (for want of a password, say).
    """
    walked = success_cost(plan.program, entry, challenged=challenged,
                          column_octets=lambda name: _cell_octets(plan.rows, name))
    for peer in peers:
        played = rehearsed(plan, index, entry, peer)
        if played is None:
            continue
        alike = all(math.isclose(getattr(played, name), getattr(walked, name), rel_tol=_ALIKE)
                    for name in ("sent", "received"))
        if not alike or walked.notes:
            return played
        return replace(walked, sent_octets=played.sent_octets * walked.sent / played.sent,
                       received_octets=played.received_octets
                       and played.received_octets * walked.received / played.received)
    return replace(walked, notes=(*walked.notes, "it does not succeed with the built-in answers; "
                                  "what its peer sends is guessed"))


def _cell_octets(tables: Sequence[Rows], name: str) -> float:
    """Mean length of the cells of a column, in the first table that has it."""
    for rows in tables:
        if name in rows.names and rows.count:
            return len(rows.blobs[rows.names.index(name)]) / rows.count
    return 0.0


def needs(load: RunLoad, workers: int, host: Host, tuning: Tuning | None = None) -> list[Need]:
    """Hold a load against a host.

    >>> from siploadgen.load.executors import ConstantArrivalRate
    >>> from siploadgen.load.planning import CallCost, expected
    >>> call = CallCost(3, 4, 1400, 1500, 10**9, 2, 1)
    >>> steady = expected("calls", ConstantArrivalRate(2000.0, 60 * 10**9), [(call, 1.0)])
    >>> small = Host(1, 10e6, 1024, 28000, 212992, 212992)
    >>> [need.name for need in needs(RunLoad((steady,)), 1, small) if not need.ok]
    ['memory', 'receive buffer', 'send buffer']
    """
    tuning = tuning or Tuning()
    open_calls = load.open_calls
    transactions = load.transactions(tuning.linger_ns, tuning.t1_ns, tuning.t4_ns)
    memory = None
    if open_calls is not None and transactions is not None:
        memory = open_calls * INSTANCE_BYTES + transactions * TRANSACTION_BYTES
    messages = load.messages_per_s
    received = sent = None
    if messages is not None:
        # Answers come in as fast as requests go out; of a batch each side has its half.
        burst = messages / 2 / workers * PAUSE_S * DATAGRAM_OCTETS
        received = sent = min(max(burst, MIN_BUFFER), SOCKET_BUFFER)
    cores = None if messages is None else math.ceil(messages / MESSAGES_PER_S_PER_WORKER)
    return [
        Need("cores", cores, host.cores, "",
             "use a larger host or several; give no more rate than the cores carry"),
        Need("workers", cores, workers, "", f"give --workers {cores or 'auto'}"),
        Need("memory", memory, host.memory, "octets",
             "free memory; --linger 5s keeps finished transactions for less time"),
        Need("open calls", open_calls, MAX_INSTANCES * workers, "",
             "give more --workers, or a bound by --max-calls"),
        Need("transactions", transactions, MAX_TRANSACTIONS * workers, "",
             "give more --workers, or --linger 5s"),
        Need("open files", FILES + FILES_PER_WORKER * workers, host.files, "",
             f"ulimit -n {1024 * math.ceil((FILES + FILES_PER_WORKER * workers) / 1024)}"),
        Need("local ports", workers, host.ports, "",
             'sysctl -w net.ipv4.ip_local_port_range="15000 64999"'),
        Need("receive buffer", received, host.receive_buffer, "octets",
             f"sysctl -w net.core.rmem_max={SOCKET_BUFFER}"),
        Need("send buffer", sent, host.send_buffer, "octets",
             f"sysctl -w net.core.wmem_max={SOCKET_BUFFER}"),
    ]
