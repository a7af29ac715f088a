"""What a load amounts to: messages, octets, open calls, records, for each phase and at its peak.

Numbers from arithmetic alone: the rate over time, and what one call costs. The target decides the
rest (how long it rings, what it refuses), so they are what is to be expected of a run in which
calls succeed at once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from siploadgen.load.arrivals import FOREVER_NS, Floats
from siploadgen.load.executor import Executor
from siploadgen.load.executors import ClosedExecutor
from siploadgen.load.open_load import RateExecutor, Replay
from siploadgen.load.pacing import Phase
from siploadgen.tx_table import T1_NS, T4_NS
from siploadgen.units import NANOS

IP_UDP_OCTETS = 28  # headers of IPv4 and UDP; IPv6 has 20 more
_POINTS = 500  # of a phase at which open calls are looked at
READY_NS = NANOS // 20  # how long a call is taken to last besides its pauses


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call sends, receives and holds: means. Times are ns.

    `hold_ns` is the time that it is open by its own pauses. `notes` say what the numbers leave out.
    """

    sent: float
    received: float
    sent_octets: float  # of SIP; headers of IP and UDP come on top
    received_octets: float
    hold_ns: float
    transactions: float
    invites: float = 0.0  # transactions among them that are INVITEs of ours
    notes: tuple[str, ...] = ()

    @property
    def messages(self) -> float:
        """Sent and received."""
        return self.sent + self.received

    def bits(self, ip_udp_octets: int = IP_UDP_OCTETS) -> tuple[float, float]:
        """Bits sent and received on IP, headers of IP and UDP included."""
        return ((self.sent_octets + self.sent * ip_udp_octets) * 8,
                (self.received_octets + self.received * ip_udp_octets) * 8)


def mixed(costs: Sequence[tuple[CallCost, float]]) -> CallCost:
    """Cost of a call that is one of several by their weights.

    >>> one, two = CallCost(1, 1, 9, 9, 0, 1), CallCost(3, 3, 9, 9, 0, 1)
    >>> mixed([(one, 1.0), (two, 1.0)]).messages
    4.0
    """
    whole = sum(weight for _, weight in costs)

    def mean(name: str) -> float:
        return float(sum(getattr(cost, name) * weight for cost, weight in costs) / whole)

    notes = tuple(dict.fromkeys(note for cost, _ in costs for note in cost.notes))
    return CallCost(mean("sent"), mean("received"), mean("sent_octets"), mean("received_octets"),
                    mean("hold_ns"), mean("transactions"), mean("invites"), notes)


@dataclass(frozen=True, slots=True)
class PhaseLoad:
    """What a phase of a workload amounts to; None where the target decides."""

    name: str
    start_ns: int
    end_ns: int  # FOREVER_NS: not known before the run
    calls: float | None
    mean_rate: float | None  # calls started per second
    peak_rate: float | None
    messages_per_s: float | None  # at the peak rate, sent and received
    bits_per_s: float | None
    open_calls: float | None  # most of them at once
    erlangs: float | None  # offered traffic: mean rate times mean holding time


@dataclass(frozen=True, slots=True)
class WorkloadLoad:
    """What a workload amounts to: its phases, and the peaks of them."""

    name: str
    cost: CallCost
    phases: tuple[PhaseLoad, ...]
    calls: float | None
    duration_ns: int | None
    bounded: bool  # `max_calls` keeps the open calls below what the rate would make of them

    @property
    def peak_rate(self) -> float | None:
        """Most calls started per second."""
        return _most(phase.peak_rate for phase in self.phases)

    @property
    def messages_per_s(self) -> float | None:
        """Most messages per second, sent and received."""
        return _most(phase.messages_per_s for phase in self.phases)

    @property
    def bits_per_s(self) -> float | None:
        """Most bits per second on IP, sent and received."""
        return _most(phase.bits_per_s for phase in self.phases)

    @property
    def open_calls(self) -> float | None:
        """Most calls open at once."""
        return _most(phase.open_calls for phase in self.phases)

    @property
    def erlangs(self) -> float | None:
        """Most traffic offered in a phase."""
        return _most(phase.erlangs for phase in self.phases)


@dataclass(frozen=True, slots=True)
class RunLoad:
    """What all workloads of a run amount to, None where the target decides.

    Peaks are sums of the workloads' own: more than at any one time, if those do not coincide.
    """

    workloads: tuple[WorkloadLoad, ...]

    @property
    def calls(self) -> float | None:
        """Calls of the whole run."""
        return _whole(load.calls for load in self.workloads)

    @property
    def peak_rate(self) -> float | None:
        """Most calls started per second."""
        return _whole(load.peak_rate for load in self.workloads)

    @property
    def messages_per_s(self) -> float | None:
        """Most messages per second, sent and received."""
        return _whole(load.messages_per_s for load in self.workloads)

    @property
    def bits_per_s(self) -> float | None:
        """Most bits per second on IP, sent and received."""
        return _whole(load.bits_per_s for load in self.workloads)

    @property
    def open_calls(self) -> float | None:
        """Most calls open at once."""
        return _whole(load.open_calls for load in self.workloads)

    @property
    def erlangs(self) -> float | None:
        """Most traffic offered in a phase."""
        return _whole(load.erlangs for load in self.workloads)

    def transactions(self, linger_ns: int = -1, t1_ns: int = T1_NS, t4_ns: int = T4_NS
                     ) -> float | None:
        """Most transactions that are open or remembered, by RFC 3261 where `linger_ns` is -1.

        An INVITE's is remembered for 64 T1 (timer M of RFC 6026), another one's for T4 (timer K).
        """
        each: list[float | None] = []
        for load in self.workloads:
            cost = load.cost
            invite, other = (64 * t1_ns, t4_ns) if linger_ns < 0 else (linger_ns, linger_ns)
            kept = cost.invites * invite + (cost.transactions - cost.invites) * other
            rate, open_calls = load.peak_rate, load.open_calls
            if rate is None or open_calls is None:
                each.append(None)
                continue
            most = rate * kept / NANOS + open_calls
            total = math.inf if load.calls is None else load.calls * cost.transactions
            each.append(min(most, total))
        return _whole(each)


def expected(
    name: str, executor: Executor, costs: Sequence[tuple[CallCost, float]], think_ns: float = 0
) -> WorkloadLoad:
    """Work out what a workload amounts to, of call models with their weights.

    `think_ns` is the mean of the time between two calls of a user (`per-user`).

    >>> from siploadgen.load.executors import ConstantArrivalRate
    >>> call = CallCost(3, 4, 1500, 1600, 120 * NANOS, 2)
    >>> busy = expected("calls", ConstantArrivalRate(55.6, 3600 * NANOS), [(call, 1.0)])
    >>> round(busy.open_calls), round(busy.messages_per_s)
    (6675, 389)
    """
    cost = mixed(costs)
    if isinstance(executor, ClosedExecutor) and executor.open:
        executor = executor.open_form()
    if isinstance(executor, ClosedExecutor):
        phases = _closed(executor, cost, think_ns)
    else:
        phases = _open(executor, cost)
    bound = executor.peak_calls if executor.open else None
    bounded = False
    rows = []
    for phase in phases:
        open_calls = phase[-1]
        if bound is not None and open_calls is not None and open_calls > bound:
            bounded, open_calls = True, float(bound)
        rows.append(_row(cost, *phase[:-1], open_calls))
    return WorkloadLoad(name, cost, tuple(rows), executor.total, executor.duration_ns, bounded)


_Figures = tuple[Phase, float | None, float | None, float | None, float | None]


def _row(
    cost: CallCost, phase: Phase, calls: float | None, mean: float | None, peak: float | None,
    open_calls: float | None,
) -> PhaseLoad:
    return PhaseLoad(
        phase.name, phase.start_ns, phase.end_ns, calls, mean, peak,
        None if peak is None else peak * cost.messages,
        None if peak is None else peak * sum(cost.bits()), open_calls,
        None if mean is None else mean * cost.hold_ns / NANOS)


def _open(executor: Executor, cost: CallCost) -> list[_Figures]:
    """Phase, calls, mean rate, peak rate and most open calls, for each phase."""
    hold_ns = cost.hold_ns + READY_NS
    rows: list[_Figures] = []
    for phase, calls in zip(executor.phases, executor.phase_calls, strict=True):
        assert calls is not None
        end = phase.end_ns
        if end == FOREVER_NS:  # the number of calls ends it
            end = max(executor.duration_ns or 0, phase.start_ns + 1)
        # A call that started in an earlier phase is open in this one, too.
        at = np.linspace(phase.start_ns, end, _POINTS)
        started = _started(executor, at) - _started(executor, np.maximum(at - hold_ns, 0.0))
        mean = calls * NANOS / max(end - phase.start_ns, 1)
        peak = executor.peak_rate or 0.0
        if isinstance(executor, RateExecutor):
            peak = max(p.peak for s, p in executor.pieces() if phase.start_ns <= s < end)
        rows.append((phase, calls, mean, peak, float(np.max(started))))
    return rows


def _started(executor: Executor, at: Floats) -> Floats:
    """Count the calls started by each time."""
    if isinstance(executor, Replay):
        return np.searchsorted(executor.trace.times_ns, at).astype(np.float64)
    assert isinstance(executor, RateExecutor)
    calls = np.array([executor.shape.calls_by(int(time)) for time in at])
    result: Floats = np.minimum(calls, executor.total)
    return result


def _closed(executor: ClosedExecutor, cost: CallCost, think_ns: float) -> list[_Figures]:
    """As `_open`: a level of calls that each take their holding time, and think in between."""
    levels = executor.levels()
    round_ns = cost.hold_ns + think_ns
    rows: list[_Figures] = []
    for index, phase in enumerate(executor.phases):
        inside = levels.phase == index
        most = float(levels.wanted[inside].max())
        if round_ns < READY_NS:
            # Calls without a length: how fast they follow each other is up to the target.
            rows.append((phase, None, None, None, most))
            continue
        length = phase.end_ns - phase.start_ns
        if phase.end_ns == FOREVER_NS:
            rate = most * NANOS / round_ns
            rows.append((phase, executor.total, rate, rate, most))
            continue
        edges = np.append(levels.when[inside], phase.end_ns)
        mean = float(np.sum(np.diff(edges) * levels.wanted[inside]) / length)
        calls = mean * length / round_ns
        rows.append((phase, calls, mean * NANOS / round_ns, most * NANOS / round_ns, most))
    return rows


def _most(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else max((v for v in known if v is not None), default=0.0)


def _whole(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum((v for v in known if v is not None), 0.0)
