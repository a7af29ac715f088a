"""The answering side: engines that take calls, until they are told to stop."""

import contextlib
import queue
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from siploadgen.figures import Figures, RunRecord, Sample, total
from siploadgen.run.hooks import HookServer, hook_arguments, serve_hooks
from siploadgen.run.observer import Observer, Silent
from siploadgen.run.plan import Tuning
from siploadgen.run.tapes import Failures
from siploadgen.run.worker import EngineFactory, Worker, compiled_engine, gently
from siploadgen.units import NANOS

_POLL_S = 0.02
_JOIN_S = 5.0
_TICK_NS = 250_000_000
READY_INSTANCES = 16_384


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """How calls are answered."""

    program: Any  # compile.program.Program
    seed: int = 1
    drop_share: float = 0.0
    rate_limit: float = 0.0
    lines: int = 0  # calls at once, of each engine; 0: no bound
    retry_after_s: int = 1  # asked for by a 503; 0: not at all
    oc: tuple[str, int] = ("", 0)  # "loss" and percent, "rate" and requests a second; "": none
    oc_validity_ms: int = 500
    tuning: Tuning = field(default_factory=Tuning)
    run_id: int = 1
    max_instances: int = 1_048_576


class Answerer:
    """One engine for each socket. They share the program and nothing else."""

    def __init__(
        self,
        plan: AnswerPlan,
        sockets: list[socket.socket],
        engine_factory: EngineFactory | None = None,
    ) -> None:
        self.plan = plan
        self.workers: list[Worker] = []
        self._hooks: HookServer | None = None
        beyond = hook_arguments(plan.program)
        if plan.program.shared:
            from siploadgen.core.shared import Shared

            beyond["shared"] = Shared(plan.program.shared, 1)
        for number, sock in enumerate(sockets):
            arguments = {
                "local": sock.getsockname()[:2], "engine_id": 255 - number,
                "run_id": plan.run_id, "seed": plan.seed + 1000 + number,
                "drop_share": plan.drop_share,
                "rate_limit": plan.rate_limit / len(sockets) if plan.rate_limit else 0.0,
                "lines": plan.lines, "retry_after": plan.retry_after_s,
                "oc_algorithm": plan.oc[0], "oc_value": plan.oc[1],
                "oc_validity": plan.oc_validity_ms,
                **plan.tuning.engine_arguments(), **beyond,
                "max_instances": plan.max_instances,
                "max_transactions": min(4_194_304, 4 * plan.max_instances),
                # Nobody says how many calls will come: what a page of each kind holds.
                "ready_instances": min(READY_INSTANCES, plan.max_instances),
                "ready_transactions": min(READY_INSTANCES, plan.max_instances),
            }
            self.workers.append(Worker(engine_factory or compiled_engine, plan.program, sock,
                                       arguments, name=f"answer-{number}",
                                       gso=plan.tuning.gso, until_idle=False))

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where each engine listens."""
        return [worker.local for worker in self.workers]

    def start(self) -> None:
        """Begin to answer."""
        self._hooks = serve_hooks(self.plan.program, self.workers)
        for worker in self.workers:
            worker.start()

    def figures(self) -> Figures:
        """Copy the figures of all engines, added up."""
        return total([worker.figures() for worker in self.workers])

    def back_memory(self) -> None:
        """Get memory for what the engines will soon need; several times a second."""
        for worker in self.workers:
            worker.engine.back_memory()

    def open_calls(self) -> int:
        """Count the calls that are being answered now."""
        from siploadgen.core.counters import Counter

        return sum(int(worker.engine.counters[Counter.COUNT_ANSWERED])
                   - int(worker.engine.answered_outcomes.sum()) for worker in self.workers)

    def hang_up(self) -> None:
        """Let open calls end early."""
        for worker in self.workers:
            worker.engine.hang_up()

    def stop(self, drain_ns: int = 0) -> None:
        """Wait up to `drain_ns` for open calls, then stop for good."""
        deadline = time.monotonic_ns() + drain_ns
        while self.open_calls() > 0 and time.monotonic_ns() < deadline:
            time.sleep(_POLL_S)
        for worker in self.workers:
            worker.engine.abort()
        for worker in self.workers:
            if worker.ident is not None:
                worker.join(_JOIN_S)
        if self._hooks is not None:
            self._hooks.stop()
        for worker in self.workers:
            worker.raise_error()

    @property
    def cpu_s(self) -> tuple[float, float]:
        """User and system time of the engines' threads, in seconds; known once stopped."""
        return (sum(worker.cpu_user_s for worker in self.workers),
                sum(worker.cpu_system_s for worker in self.workers))


class AnswerRunner:
    """The life of an answering side of its own: until it is stopped, or an engine fails."""

    def __init__(
        self,
        answerer: Answerer,
        *,
        observer: Observer | None = None,
        graceful_stop_ns: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._answerer = answerer
        self._observer = observer or Silent()
        self._graceful_stop_ns = graceful_stop_ns
        self._clock = clock
        # A signal handler may put into it at any point of the program: it never waits for a lock.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stops = 0
        self._origin_ns = 0
        self._next_interval = 0
        self._failures = Failures((), 0, 0)

    def stop(self) -> None:
        """Ask for an end: the first time open calls may end, the second time at once."""
        self._stops += 1
        self._wake.put(None)

    def run(self) -> RunRecord:
        """Answer until stopped. Raises InternalError when an engine fails."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        started_ns = time.time_ns()
        self._origin_ns = self._clock()
        self._next_interval = self._origin_ns + NANOS
        self._answerer.start()
        workers = self._answerer.workers
        self._failures = Failures(workers, self._origin_ns, started_ns)
        try:
            gently(self._look_after, self.stop)
            load_ns = self._clock() - self._origin_ns
            self._answerer.hang_up()
            deadline = self._clock() + self._graceful_stop_ns
            while (self._stops < 2 and self._clock() < deadline
                   and self._answerer.open_calls() > 0):
                self._look()
                self._sleep(min(_TICK_NS, deadline - self._clock()) // 10)
        finally:
            self._answerer.stop()
        self._observer.failures(self._failures.take(self._clock(), last=True))
        last = self._sample("ended")
        self._observer.interval(last)
        used = resource.getrusage(resource.RUSAGE_SELF)
        return RunRecord(
            started_at=started_ns / NANOS, elapsed_ns=self._clock() - self._origin_ns,
            load_ns=load_ns, last=last, sockets=tuple(worker.socket_facts for worker in workers),
            cpu_user_s=used.ru_utime - usage.ru_utime,
            cpu_system_s=used.ru_stime - usage.ru_stime,
            local=tuple(self._answerer.addresses))

    def _look_after(self) -> None:
        """Sample until somebody stops it, or an engine fails."""
        workers = self._answerer.workers
        while not self._stops and not any(worker.error for worker in workers):
            self._look()
            self._sleep(min(_TICK_NS, self._next_interval - self._clock()))

    def _look(self) -> None:
        self._answerer.back_memory()
        self._observer.failures(self._failures.take(self._clock()))
        now = self._clock()
        if now < self._next_interval and not self._observer.live:
            return
        sample = self._sample("stopping" if self._stops else "running")
        self._observer.tick(sample)
        if now >= self._next_interval:
            self._next_interval += ((now - self._next_interval) // NANOS + 1) * NANOS
            self._observer.interval(sample)

    def _sample(self, state: str) -> Sample:
        engines = tuple(worker.figures() for worker in self._answerer.workers)
        return Sample(elapsed_ns=self._clock() - self._origin_ns, figures=total(engines),
                      engines=engines, state=state)

    def _sleep(self, wait_ns: int) -> None:
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=max(wait_ns, 0) / NANOS)
