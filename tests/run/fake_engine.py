"""A pure Python engine behind the door of `core.engine.Engine`: it simulates calls, sends nothing.

It keeps the same books as the real one, in real time (`run`) or in virtual time (`advance`).
"""

import heapq
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from siploadgen.core.counters import Counter
from siploadgen.core.engine import START_DTYPE
from siploadgen.core.program import Outcome
from siploadgen.core.sip.tokens import Method
from siploadgen.run.streams import SUPPLY

STRIDE = 23553
INVITE, ACK, BYE = Method.METHOD_INVITE, Method.METHOD_ACK, Method.METHOD_BYE


@dataclass(frozen=True)
class FakeProgram:
    """What the Python side looks at in a Program."""

    name: str = "call"
    clocks: tuple[str, ...] = ("srd", "setup")
    variables: tuple[str, ...] = ("hold",)
    counters: tuple[str, ...] = ("greeted",)
    outcomes: tuple[tuple[str, bool], ...] = (("busy", True), ("refused", False))
    columns: tuple[str, ...] = ()
    hooks: tuple[tuple[str, str, str], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    scenarios: tuple[str, ...] = ("call",)
    methods: tuple[int, ...] = (int(Method.METHOD_INVITE), int(Method.METHOD_BYE))
    pauses_ns: int = 0
    digest: str = "0123456789abcdef" * 4
    entries: Any = field(default_factory=lambda: np.zeros(1, [("flags", "<u2")]))
    code: Any = field(default_factory=lambda: np.zeros(5, "u1,u1,u2,u4,i8"))

    def step_name(self, pc: int) -> str:
        """What Program.step_name gives."""
        return ("SEND invite", "AWAIT", "SEND ack", "SEND bye", "END")[pc]


@dataclass
class World:
    """How the simulated target and network behave; shared by all engines of a run."""

    latency_s: float = 0.001
    hold_s: float = 0.0
    reject_share: float = 0.0
    throttled: int = 0  # so many calls are left out at first
    busy_share: float = 0.0  # a program's own outcome that counts as success
    silent: bool = False
    refused: bool = False
    unreachable: bool = False
    timeout_s: float = 0.15
    late_s: float = 0.0  # every start is this late
    receive_drops: int = 0
    cooked_books: bool = False  # started is counted twice
    crash: bool = False
    deaf_to_hang_up: bool = False
    engines: list["FakeEngine"] = field(default_factory=list)

    def engine(self, program: Any, **arguments: Any) -> "FakeEngine":
        engine = FakeEngine(self, program, **arguments)
        self.engines.append(engine)
        return engine


def due_alone(due: Any) -> np.ndarray:
    """Starts at these times, numbered from 0."""
    starts = np.zeros(len(due), START_DTYPE)
    starts["due"], starts["number"] = due, np.arange(len(due))
    return starts


def hist_index(value_us: int) -> int:
    if value_us > 3_600_000_000:
        return STRIDE - 1
    if value_us < 2048:
        return max(value_us, 0)
    bucket = value_us.bit_length() - 11
    return (bucket << 10) + (value_us >> bucket)


class Call(NamedTuple):
    """An open call."""

    due: int
    series: int
    closed: int | None


@dataclass
class FakeClosed:
    """A closed workload: its calls and how many are open."""

    levels: Any = ()
    keeps: bool = False
    last: bool = False
    factor: float = 1.0
    factors: list[float] = field(default_factory=list)  # all that were ever set
    given: list[np.ndarray] = field(default_factory=list)
    waiting: deque[Any] = field(default_factory=deque)
    wanted: int = 0
    series: int = 0
    busy: int = 0
    most: int = 0  # ever open

    @property
    def going(self) -> bool:
        """It has levels to come, or calls to hold."""
        over = not len(self.levels) or (
            self.wanted == 0 and time.monotonic_ns() > self.levels[-1]["when"])
        return not (over or (self.last and not self.waiting))


class FakeEngine:
    def __init__(self, world: World, program: Any, **arguments: Any) -> None:
        self.world, self.program, self.arguments = world, program, arguments
        self.rng = random.Random(arguments.get("seed", 1))
        self.counters = np.zeros(Counter.COUNT_COUNT, np.int64)
        self.series_outcomes = np.zeros((arguments.get("series", 1), Outcome.OUTCOME_COUNT),
                                        np.int64)
        self.series_starts = np.zeros((arguments.get("series", 1), 6), np.int64)
        self.answered_outcomes = np.zeros(Outcome.OUTCOME_COUNT, np.int64)
        self.sent_requests = np.zeros(16, np.int64)
        self.sent_responses = np.zeros((16, 600), np.int64)
        self.received_requests = np.zeros(16, np.int64)
        self.received_responses = np.zeros((16, 600), np.int64)
        self.retransmitted = np.zeros(16, np.int64)
        self.measures = np.zeros((len(self.series_starts), 17, STRIDE), np.int64)
        self.measured = np.zeros((len(self.series_starts), 17), np.int64)
        self.attempts = np.zeros((len(self.series_starts), 3, 600), np.int64)
        self.histograms = np.zeros((2 + 2 * len(program.clocks) * len(self.series_starts), STRIDE),
                                   np.int64)
        self.steps = np.zeros((len(program.code), 5), np.int64)
        self.user_counters = np.zeros(len(program.counters), np.int64)
        self.target_calls = np.zeros(64, np.int64)
        self.tables: list[Any] = []  # of set_targets
        self.in_progress = 0
        self.running = False
        self._due: deque[Any] = deque()  # starts
        self.numbers: list[int] = []  # of the calls that it got
        self.given: list[np.ndarray] = []  # starts of the schedule
        self.closed = [FakeClosed() for _ in range(arguments.get("closed", 0))]
        self._last = False
        self._events: list[tuple[int, int, str, int, int]] = []
        self._serial = 0
        self._stop = self._hang = self._abort = self._paused = False
        self._nap = threading.Event()  # never set
        self._open: dict[int, Call] = {}
        self._failures: list[dict[str, Any]] = []
        self._fd: int | None = None
        self._begun = 0

    @property
    def outcomes(self) -> np.ndarray:
        return self.series_outcomes.sum(axis=0)

    # --- control ---
    def schedule(self, starts: np.ndarray, last: bool = True, closed: int | None = None) -> None:
        if closed is not None:
            queue = self.closed[closed]
            assert not queue.last, "scheduled after the last"
            queue.given.append(starts)
            queue.waiting.extend(starts)
            queue.last = last
            return
        assert not self._last, "scheduled after the last"
        due = starts["due"]
        self.numbers += starts["number"].tolist()
        self.given.append(starts)
        assert np.all(np.diff(due) >= 0)
        assert not self._due or not len(due) or due[0] >= self._due[-1]["due"]
        self._due.extend(starts)
        self._last = last

    def hold(self, closed: int, levels: np.ndarray, keeps: bool = False) -> None:
        one = self.closed[closed]
        assert not len(one.levels), "held twice"
        one.levels, one.keeps = levels, keeps

    def scale_closed(self, closed: int, factor: float) -> None:
        self.closed[closed].factor = factor
        self.closed[closed].factors.append(factor)

    def closed_state(self, closed: int) -> dict[str, int]:
        one = self.closed[closed]
        return {"wanted": one.wanted, "asked": int(one.wanted * one.factor + 0.5),
                "busy": one.busy, "resting": 0, "parked": 0,
                "chunks": -(-len(one.waiting) // SUPPLY)}

    def stop_starts(self) -> None:
        self._stop = True

    def hang_up(self) -> None:
        self._hang = True

    def abort(self) -> None:
        self._abort = True

    def pause(self, paused: bool) -> None:
        self._paused = paused

    def set_targets(self, targets: Any) -> bool:
        self.tables.append(list(targets))
        return True

    def open_udp(self, fd: int, gso: bool, gro: bool) -> dict[str, Any]:
        self._fd = fd
        group = self.arguments.get("gso_group", 32) if gso else 1
        return {"gso": group > 1, "gro": gro, "timestamps": True, "gso_group": group,
                "receive_buffer": 1 << 20, "send_buffer": 1 << 20}

    # --- the simulation ---
    def _push(self, when: int, kind: str, call: int, due: int) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, kind, call, due))

    def _start(self, start: Any, now: int, series: int, closed: int | None = None) -> bool:
        due = now if closed is not None else int(start["due"])
        self._note(series, 0, Counter.COUNT_DUE)
        bound = self.arguments.get("max_calls") or 1 << 30
        if self.in_progress >= bound:
            self._note(series, 2, Counter.COUNT_NOT_STARTED_NO_SLOT)
            return False
        if self.counters[Counter.COUNT_NOT_STARTED_THROTTLED] < self.world.throttled:
            self._note(series, 5, Counter.COUNT_NOT_STARTED_THROTTLED)
            return False
        now += int(self.world.late_s * 1e9)
        self._note(series, 1, Counter.COUNT_STARTED)
        self.counters[Counter.COUNT_STARTED] += self.world.cooked_books
        if now - due > 1_000_000:
            self.counters[Counter.COUNT_LATE_STARTS] += 1
        self.in_progress += 1
        self.target_calls[0] += 1
        self._serial += 1
        call = self._serial
        self._open[call] = Call(due, series, closed)
        self.sent_requests[INVITE] += 1
        self.attempts[series, 0, 0] += 1
        self.steps[0, 0] += 1
        self.histograms[0, hist_index((now - due) // 1000)] += 1
        latency = int(self.rng.lognormvariate(0, 0.3) * self.world.latency_s * 1e9)
        if self.world.silent:
            self.sent_requests[INVITE] += 3
            self.retransmitted[INVITE] += 3
            self.counters[Counter.COUNT_RETRANSMITTED] += 3
            self._push(now + int(self.world.timeout_s * 1e9), "timeout", call, due)
        elif self.world.refused or self.world.unreachable:
            self._push(now + 1000, "refused", call, due)
        else:
            self._push(now + latency, "final", call, due)
            self._begun = now
        return True

    def _note(self, series: int, column: int, counter: int) -> None:
        self.counters[counter] += 1
        self.series_starts[series, column] += 1

    def _fill(self, now: int) -> None:
        """Start what the closed workloads want."""
        for number, one in enumerate(self.closed):
            for when, wanted, series, _ in one.levels:
                if when <= now:
                    one.wanted, one.series = int(wanted), int(series)
            while one.waiting and one.busy < int(one.wanted * one.factor + 0.5) and not (
                    self._stop or self._paused):
                if not self._start(one.waiting.popleft(), now, one.series, number):
                    break
                one.busy += 1
                one.most = max(one.most, one.busy)

    def _end(self, call: int, outcome: int, now: int) -> None:
        due, series, closed = self._open.pop(call)
        self.in_progress -= 1
        if closed is not None:
            self.closed[closed].busy -= 1
        self.series_outcomes[series, outcome] += 1
        if outcome not in (Outcome.OUTCOME_SUCCEEDED, Outcome.OUTCOME_USER):
            self._failures.append({
                "outcome": int(outcome), "status": 486, "due": due, "ended": now,
                "call_id": f"{call:024x}", "call_ids": [b"%024x@fake" % call], "pc": 1, "row": 0,
                "role": "caller", "ladder": [
                    {"at_s": 0.0, "what": "sent", "method": "INVITE", "status": None},
                    {"at_s": 0.0012, "what": "received", "method": "INVITE", "status": 486}],
                "message": b"SIP/2.0 486 Busy\r\nAuthorization: Digest username=\"a\", "
                           b"response=\"topsecret\"\r\n\r\n"})

    def advance(self, now: int) -> None:
        while self._due and self._due[0]["due"] <= now and not self._paused:
            start = self._due.popleft()
            if self._stop:
                self._stopped(start)
            else:
                self._start(start, now, int(start["series"]))
        self._fill(now)
        while self._events and (self._events[0][0] <= now
                                or (self._hang and not self.world.deaf_to_hang_up)):
            when, _, kind, call, due = heapq.heappop(self._events)
            self._happen(max(when, 0), kind, call, due)

    def _happen(self, now: int, kind: str, call: int, due: int) -> None:
        draw = self.rng.random()
        series = self._open[call].series if call in self._open else 0
        if kind == "timeout":
            self.attempts[series, 0, 1] += 1
            self._end(call, Outcome.OUTCOME_TIMEOUT, now)
        elif kind == "refused":
            self.attempts[series, 0, 2] += 1
            self.counters[Counter.COUNT_TRANSPORT_ERRORS] += 1
            self._end(call, Outcome.OUTCOME_TRANSPORT, now)
        elif kind == "final":
            rejected, busy = draw < self.world.reject_share, draw > 1 - self.world.busy_share
            column = 386 if rejected or busy else 100
            self.received_responses[INVITE, column] += 1
            self.attempts[series, 0, column] += 1
            for row in (1 + (column > 100), 7 + 2 * (column > 100)):
                self.measures[series, row, hist_index((now - self._begun) // 1000)] += 1
                self.measured[series, row] += 1
            self.sent_requests[ACK] += 1
            self.histograms[1, hist_index(20)] += 1
            for clock in range(len(self.program.clocks)):
                place = 2 + 2 * (self._open[call].series * len(self.program.clocks) + clock)
                self.histograms[place, hist_index((now - due) // 1000)] += 1
                self.histograms[place + 1, hist_index((now - self._begun) // 1000)] += 1
            if rejected:
                self._end(call, Outcome.OUTCOME_REJECTED, now)
            elif busy:
                self._end(call, Outcome.OUTCOME_USER, now)
            else:
                self._push(now + int(self.world.hold_s * 1e9), "bye", call, due)
        else:
            self.sent_requests[BYE] += 1
            self.received_responses[BYE, 100] += 1
            self._end(call, Outcome.OUTCOME_SUCCEEDED, now)

    def run(self, until_idle: bool = True) -> None:
        if self.world.crash:
            raise RuntimeError("the engine fell over")
        self.running = True
        while not self._abort:
            began = time.monotonic_ns()
            self.advance(began)
            self.counters[Counter.COUNT_LOOPS] += 1
            if until_idle and (self._stop or self._last) and not self._events and (
                    self._stop or not (self._due or any(one.going for one in self.closed))):
                break
            self.counters[Counter.COUNT_BUSY_NS] += time.monotonic_ns() - began
            self._nap.wait(0.001)
            self.counters[Counter.COUNT_WAIT_NS] += 1_000_000
        for call in list(self._open):
            self._end(call, Outcome.OUTCOME_ABORTED, time.monotonic_ns())
        self._events.clear()
        self.running = False

    def finish(self) -> None:
        for _ in range(len(self._due)):
            self._stopped(self._due.popleft())

    def _stopped(self, start: Any) -> None:
        self._note(int(start["series"]), 0, Counter.COUNT_DUE)
        self._note(int(start["series"]), 3, Counter.COUNT_NOT_STARTED_STOPPED)

    # --- results ---
    def udp_stats(self) -> dict[str, int]:
        sent = int(self.sent_requests.sum())
        return {"sent": sent, "sent_calls": sent, "sent_groups": 0, "send_again": 0,
                "send_errors": sent if self.world.unreachable else 0,
                "received": int(self.received_responses.sum()), "receive_calls": 0,
                "receive_drops": self.world.receive_drops,
                "icmp_errors": sent if self.world.refused else 0}

    def taped(self, call_ids: list[bytes], since: int
              ) -> dict[bytes, list[tuple[int, bool, tuple[str, int], bytes]]]:
        """As if the INVITE alone were left."""
        return {one: [(since, True, ("127.0.0.1", 5060), b"INVITE sip:a SIP/2.0\r\nCall-ID: "
                       + one + b"\r\nAuthorization: Digest response=\"topsecret\"\r\n\r\n")]
                for one in call_ids}

    def failures(self) -> list[dict[str, Any]]:
        taken, self._failures = self._failures, []
        return taken

    def back_memory(self) -> None:
        """Nothing to get."""

    def memory(self) -> dict[str, int]:
        return {"instances": 1000, "transactions": 2000}

    def census(self) -> dict[str, int]:
        return {"instances": self.in_progress}

    def check(self) -> None:
        assert self.in_progress == len(self._open)
