"""The answering side: engines that take calls, until they are told to stop."""

import socket
import time
from dataclasses import dataclass
from typing import Any

from siploadgen.figures import Figures, total
from siploadgen.run.worker import EngineFactory, Worker, compiled_engine

_POLL_S = 0.02
_JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """How calls are answered."""

    program: Any  # compile.program.Program
    seed: int = 1
    drop_share: float = 0.0
    rate_limit: float = 0.0
    linger_ns: int = -1
    gso: bool = True
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
        self.workers = []
        for number, sock in enumerate(sockets):
            arguments = {
                "local": sock.getsockname()[:2], "engine_id": 255 - number,
                "run_id": plan.run_id, "seed": plan.seed + 1000 + number,
                "drop_share": plan.drop_share,
                "rate_limit": plan.rate_limit / len(sockets) if plan.rate_limit else 0.0,
                "linger": plan.linger_ns, "gso_group": 32 if plan.gso else 1,
                "max_instances": plan.max_instances,
                "max_transactions": min(4_194_304, 4 * plan.max_instances),
            }
            self.workers.append(Worker(engine_factory or compiled_engine, plan.program, sock,
                                       arguments, name=f"answer-{number}", gso=plan.gso,
                                       until_idle=False))

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where each engine listens."""
        return [worker.local for worker in self.workers]

    def start(self) -> None:
        """Begin to answer."""
        for worker in self.workers:
            worker.start()

    def figures(self) -> Figures:
        """Copy the figures of all engines, added up."""
        return total([worker.figures() for worker in self.workers])

    def failures(self) -> list[dict[str, Any]]:
        """Collect the failures that the engines kept since the last call."""
        return [failure for worker in self.workers for failure in worker.engine.failures()]

    def open_calls(self) -> int:
        """Number of calls that are being answered now."""
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
        for worker in self.workers:
            worker.raise_error()

    @property
    def cpu_s(self) -> tuple[float, float]:
        """User and system time of the engines' threads, in seconds; known once stopped."""
        return (sum(worker.cpu_user_s for worker in self.workers),
                sum(worker.cpu_system_s for worker in self.workers))
