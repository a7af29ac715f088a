"""Start the engines, feed them due times ahead of time, sample them, and bring the run to an end.

The order of an end: the schedule is over, open calls may finish for `graceful_stop`; then they are
told to hang up and have 10 s more; then they are aborted. A stop asked for from outside, or by the
observer, goes straight to hanging up; a second one aborts at once.
"""

import contextlib
import math
import queue
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from siploadgen.core.engine import START_DTYPE
from siploadgen.errors import InternalError
from siploadgen.figures import RunRecord, Sample, total
from siploadgen.run.answer import Answerer
from siploadgen.run.hooks import HookServer, hook_arguments, serve_hooks
from siploadgen.run.observer import Observer, Silent
from siploadgen.run.plan import RunPlan
from siploadgen.run.streams import ClosedStream, OpenStream, make_streams, merged
from siploadgen.run.tapes import Failures
from siploadgen.run.targets import Book, Follower
from siploadgen.run.worker import (
    EngineFactory,
    Worker,
    compiled_engine,
    gently,
    open_socket,
)
from siploadgen.units import NANOS

START_DELAY_NS = 20_000_000  # from handing out the first due times to the first of them
FIRST_LEAD_NS = 120_000_000  # ... before the engines begin
LEAD_NS = 3 * NANOS  # how far ahead due times are handed out, at least: see gently
TICK_NS = 250_000_000  # between two looks at the engines
INTERVAL_NS = NANOS  # between two samples that are kept
CHUNK = 1_000_000  # most starts handed to an engine at once
DUE, STARTED = 0, 1  # columns of Figures.series_starts
HANG_UP_NS = 10 * NANOS  # what calls may take to end after they were told to


class Runner:
    """One run. `run` blocks; the other public methods may be called from any thread or handler."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        observer: Observer | None = None,
        engine_factory: EngineFactory | None = None,
        answerer: Answerer | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.plan = plan
        self.streams = make_streams(plan)
        self._open_streams = [one for one in self.streams if isinstance(one, OpenStream)]
        self._closed_streams = [one for one in self.streams if isinstance(one, ClosedStream)]
        self._series = plan.series
        self._observer = observer or Silent()
        self._factory = engine_factory or compiled_engine
        self._answerer = answerer
        self._clock = clock
        # A signal handler may put into it at any point of the program: it never waits for a lock.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stops = 0  # how often somebody asked for an end
        self._called_off = False  # ... and whether the first was the observer
        self._paused = False
        self._held = False  # paused when the feeding thread last looked
        self._factor = 1.0
        self._applied = 1.0  # what the closed workloads were told
        self._throttled = False  # ... and whether they were told to pause
        self._workers: list[Worker] = []
        self._book = Book(plan.servers)
        self._follower: Follower | None = None
        self._hooks: HookServer | None = None
        self._failures = Failures((), 0, 0)
        self._origin_ns = 0  # clock time of due time 0
        self._fed_ns = 0  # clock time before which every start is handed out
        self._next_interval = 0  # clock time of the next sample that is kept
        self._last_handed = False
        self._state = "running"
        self._problems: list[str] = []
        self._skewed = False  # the last sample was not in balance

    # --- from outside ---

    def stop(self) -> None:
        """Ask for an end: the first time open calls may hang up, the second time at once."""
        self._stops += 1
        self._wake.put(None)

    def abort(self) -> None:
        """End at once."""
        self._stops = max(self._stops + 1, 2)
        self._wake.put(None)

    def scale(self, factor: float) -> float:
        """Change the rate to `factor` times the planned; in force within two seconds."""
        self._factor = min(max(factor, 1e-3), 1e3)
        return self._factor

    def pause(self, paused: bool) -> None:
        """Hold back new calls, or go on; due times move on by as much, so no call is late."""
        self._paused = paused

    @property
    def paused(self) -> bool:
        """True while new calls are held back."""
        return self._paused

    @property
    def factor(self) -> float:
        """The rate asked for, relative to the planned."""
        return self._factor

    # --- the run ---

    def run(self) -> RunRecord:
        """Carry the plan out. Raises InternalError when an engine fails or its figures do."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._open()
        self._origin_ns = self._fed_ns = self._clock() + START_DELAY_NS
        self._next_interval = self._origin_ns + INTERVAL_NS
        started_ns = time.time_ns() + START_DELAY_NS
        self._failures = Failures(self._workers, self._origin_ns, started_ns)
        self._begin(None)
        self._feed(FIRST_LEAD_NS)
        for worker in self._workers:
            worker.start()
        if self._follower is not None:
            self._follower.start()
        try:
            load_ns = gently(self._look_after, self.abort)
        finally:
            if self._follower is not None:
                self._follower.stop()
            self._abort()
            if self._hooks is not None:
                self._hooks.stop()
        end_ns = self._clock()
        for worker in self._workers:
            worker.engine.finish()
        self._observer.failures(self._failures.take(end_ns, last=True))
        last = self._sample(final=True)
        self._observer.tick(last)
        self._observer.interval(last)
        for worker in self._workers:
            worker.raise_error()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return RunRecord(
            started_at=started_ns / NANOS,
            elapsed_ns=end_ns - self._origin_ns,
            load_ns=load_ns,
            last=last,
            sockets=tuple(worker.socket_facts for worker in self._workers),
            cpu_user_s=used.ru_utime - usage.ru_utime,
            cpu_system_s=used.ru_stime - usage.ru_stime,
            interrupted=self._stops > self._called_off,
            hook_failures=tuple(self._hooks.failures(self.plan.program)) if self._hooks else (),
            problems=tuple(self._problems),
            local=tuple(worker.local for worker in self._workers),
            memory=self._memory(),
            targets=self._book.uses(np.sum([worker.engine.target_calls
                                            for worker in self._workers], axis=0)),
        )

    def _look_after(self) -> int:
        """Feed and sample until no engine runs; return how long the load was, in ns."""
        load_ns = self._load()
        self._drain()
        return load_ns

    def _open(self) -> None:
        address, port = self.plan.local
        sockets = [open_socket((address, port + number if port else 0))
                   for number in range(self.plan.workers)]
        beyond = {**hook_arguments(self.plan.program), **self.plan.shared_arguments()}
        for number, sock in enumerate(sockets):  # no worker knows us: engines go when we go
            arguments = self.plan.engine_arguments(number, sock.getsockname()[1]) | beyond
            if len(self._book.rows) > 1:
                arguments["targets"] = self._book.rows
            self._workers.append(Worker(self._factory, self.plan.program, sock, arguments,
                                        name=f"call-{number}", gso=self.plan.tuning.gso,
                                        when_over=partial(self._wake.put, None)))
        self._hooks = serve_hooks(self.plan.program, self._workers)
        found = self.plan.found
        if found is not None and found.locate is not None:
            self._follower = Follower(self._book, found.location.ttl_s, found.locate,
                                      [worker.engine for worker in self._workers])

    def _load(self) -> int:
        """Feed and sample until every due time has passed; return how long the load was, in ns."""
        while not self._stops and not self._over():
            self._look()
            self._hold_back()
            self._begin(self._sample() if self._waiting() else None)
            self._feed()
            wait = min(TICK_NS, self._next_interval - self._clock())
            if self._last_handed and self._last_due() < math.inf:
                wait = min(wait, max(int(self._last_due()) - self._clock(), 1_000_000))
            self._sleep(wait)
        return int(max(min(self._clock(), self._last_due()) - self._origin_ns, 0))

    def _over(self) -> bool:
        """Tell whether the schedule is over, though its last call may have ended long before."""
        if any(worker.error for worker in self._workers):
            return True
        if self._last_handed and self._last_due() < math.inf:
            return self._clock() >= self._last_due()
        return self._idle()

    def _idle(self) -> bool:
        """Tell whether no engine runs any more."""
        return all(worker.over or not worker.is_alive() for worker in self._workers)

    def _last_due(self) -> float:
        """Clock time at which the schedule is over; infinite while nobody knows."""
        return max(one.end_ns for one in self.streams)

    def _drain(self) -> None:
        """Wait for open calls, then hang up, then give up."""
        deadline = self._clock() + self.plan.graceful_stop_ns
        self._state = "draining"
        told = False
        if self._stops >= 2:  # at once: nobody hangs up
            return
        if self._stops:
            self._hang_up()
            told = True
        while not self._idle():
            if self._stops and not told:
                deadline = self._clock() + self.plan.graceful_stop_ns
                self._hang_up()
                told = True
            now = self._clock()
            if self._stops >= 2 or any(worker.error for worker in self._workers):
                return
            if now >= deadline:
                if told:
                    return
                self._hang_up()
                told, deadline = True, now + HANG_UP_NS
            self._look()
            wake = min(now + TICK_NS, self._next_interval, max(deadline, now + 1_000_000))
            stops = self._stops
            while self._clock() < wake and self._stops == stops:
                if self._idle():
                    return
                self._sleep(wake - self._clock())

    def _hang_up(self) -> None:
        self._state = "stopping"
        for worker in self._workers:
            worker.engine.stop_starts()
            worker.engine.hang_up()

    def _abort(self) -> None:
        """Leave no engine running, whatever has happened."""
        for worker in self._workers:
            if worker.is_alive():
                worker.engine.abort()
        for worker in self._workers:
            if worker.ident is not None:
                worker.join(HANG_UP_NS / NANOS)
            if worker.is_alive():
                self._problems.append(f"engine {worker.name} did not stop within 10 s")

    def _waiting(self) -> list[OpenStream | ClosedStream]:
        """Workloads that have not begun."""
        return [one for one in self.streams if one.origin_ns is None]

    def _begin(self, sample: Sample | None) -> None:
        """Begin the workloads whose time has come; without a sample those that wait for nobody."""
        if self._stops or self._paused:
            return
        for one in self._waiting():
            after = one.workload.start_after
            if after and (sample is None or not self._reached(after, sample)):
                continue
            # What is handed out already stays before it.
            origin = (self._origin_ns if sample is None
                      else max(self._fed_ns, self._clock() + START_DELAY_NS))
            if isinstance(one, ClosedStream):
                one.begin([worker.engine for worker in self._workers], origin)
            else:
                one.origin_ns = origin

    def _reached(self, condition: str, sample: Sample) -> bool:
        """Tell whether `NAME.ready` or `NAME.done` holds; what is done is ready."""
        name, _, what = condition.rpartition(".")
        other = next(one for one in self.streams if one.workload.name == name)
        if other.origin_ns is None:
            return False
        rows = list(other.series)
        due = int(sample.figures.series_starts[rows, DUE].sum())
        started = int(sample.figures.series_starts[rows, STARTED].sum())
        ended = int(sample.figures.series_outcomes[rows].sum())
        over = started == ended and self._clock() >= other.end_ns
        if isinstance(other, OpenStream):
            over = over and other.exhausted and due == other.handed
        elif not over and started:
            engines = [worker.engine for worker in self._workers]
            # Of places that keep their rows those at rest stay. What starts last leaves no chunk.
            over = not any(engine.closed_state(other.closed)["chunks"] for engine in engines)
            states = [engine.closed_state(other.closed) for engine in engines]
            over = over and all(state["busy"] == state["resting"] for state in states)
        if what == "done" or over:
            return over
        if isinstance(other, OpenStream):
            return other.exhausted and self._clock() >= other.end_ns
        if "ready" in self.plan.program.counters:
            number = list(self.plan.program.counters).index("ready")
            return int(sample.figures.user_counters[number]) >= other.wanted
        return started - ended >= other.wanted

    def _feed(self, lead_ns: int | None = None) -> None:
        """Hand out the starts of the next while."""
        lead_ns = LEAD_NS if lead_ns is None else lead_ns
        engines = [worker.engine for worker in self._workers]
        if self._stops:
            return
        if not self._paused:
            for closed in self._closed_streams:
                if closed.origin_ns is not None:
                    closed.supply(engines)
        if self._factor != self._applied or self._paused != self._throttled:
            self._applied, self._throttled = self._factor, self._paused
            for one in self._closed_streams:
                for engine in engines:
                    engine.scale_closed(one.closed, 0.0 if self._paused else self._factor)
        # In steps: writing the starts of one must not outlast what was handed out before.
        step = max(self._fed_ns - self._clock(), 0) + FIRST_LEAD_NS
        while not (self._last_handed or self._paused):
            self._hand(self._clock() + min(step, lead_ns))
            if step >= lead_ns:
                break
            step *= 2

    def _hand(self, until: int) -> None:
        """Hand out the starts that are due before a clock time."""
        engines = [worker.engine for worker in self._workers]
        begun = [one for one in self._open_streams if one.origin_ns is not None]
        chunks = []
        for stream in begun:
            if not stream.exhausted:
                if stream.pacer.factor != self._factor:
                    stream.pacer.set_rate(self._factor)
                chunks.append(stream.take(until))
        self._fed_ns = max(self._fed_ns, until) if begun else self._fed_ns
        self._last_handed = not self._waiting() and all(one.exhausted for one in begun)
        starts = merged(chunks) if chunks else np.empty(0, START_DTYPE)
        for place, engine in enumerate(engines):
            # Each workload's calls are dealt out by number, whatever the chunks.
            mine = starts[starts["number"] % len(engines) == place] if len(engines) > 1 else starts
            for first in range(0, max(len(mine), 1), CHUNK):
                part = mine[first : first + CHUNK]
                if len(part) or self._last_handed:
                    engine.schedule(part, self._last_handed and first + CHUNK >= len(mine))

    def _hold_back(self) -> None:
        """Move what is not handed out yet on by the time that a pause takes."""
        held, self._held = self._held or self._paused, self._paused
        if held and not self._last_handed:
            behind = max(self._clock() + START_DELAY_NS - self._fed_ns, 0)
            self._fed_ns += behind
            for one in self._open_streams:
                if one.origin_ns is not None:
                    one.origin_ns += behind

    def _sleep(self, wait_ns: int) -> None:
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=max(wait_ns, 0) / NANOS)

    # --- looking ---

    def _look(self) -> None:
        """Show a sample; keep it when a second has passed since the last one kept."""
        for worker in self._workers:
            worker.engine.back_memory()
        if self._answerer is not None:
            self._answerer.back_memory()
        self._observer.failures(self._failures.take(self._clock()))
        late_ns = self._clock() - self._next_interval
        if late_ns < 0 and not self._observer.live:
            return
        sample = self._sample()
        self._observer.tick(sample)
        if late_ns >= 0:
            self._next_interval += (late_ns // INTERVAL_NS + 1) * INTERVAL_NS
            if self._observer.interval(sample) and not self._stops:
                self._called_off = True
                self.stop()

    def _sample(self, final: bool = False) -> Sample:
        engines = tuple(worker.figures() for worker in self._workers)
        self._audit([one.imbalance() for one in engines], final)
        figures = total(engines)
        return Sample(
            elapsed_ns=self._clock() - self._origin_ns,
            figures=figures,
            engines=engines,
            answerer=self._answerer.figures() if self._answerer else None,
            factor=self._factor,
            state="ended" if final else "paused" if self._paused else self._state,
            planned=sum(one.handed for one in self._open_streams) + sum(
                int(figures.series_starts[list(one.series), DUE].sum())
                for one in self._closed_streams),
            held=tuple(self._held_open(one) for one in self.streams),
        )

    def _held_open(self, stream: OpenStream | ClosedStream) -> int | None:
        """Return how many calls a workload is to hold open now; None: it does not."""
        if isinstance(stream, OpenStream):
            return None
        return sum(int(worker.engine.closed_state(stream.closed)["asked"])
                   for worker in self._workers)

    def _audit(self, faults: list[str | None], final: bool) -> None:
        """Hold the engines to their two sums.

        A copy can be taken while an engine is held up in the middle of a step, so a sample counts
        as wrong only together with the next one, and the last one always.
        """
        skewed = any(faults)
        if skewed and (final or self._skewed):
            self._problems += [f"engine {number}: {fault}" for number, fault in enumerate(faults)
                               if fault and f"engine {number}: {fault}" not in self._problems]
        self._skewed = skewed

    def _memory(self) -> dict[str, int]:
        result: dict[str, int] = {}
        for worker in self._workers:
            for name, value in worker.engine.memory().items():
                result[name] = result.get(name, 0) + int(value)
        return result


def check_record(record: RunRecord) -> None:
    """Raise InternalError when the figures of a run contradict each other."""
    if record.problems:
        raise InternalError("the figures do not add up: " + "; ".join(record.problems[:5]))
