"""The thread that answers the hooks of calls."""

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from siploadgen.model.hooks import named, resolve
from siploadgen.model.scenario import Hook, Role, Scenario

LAST_WAIT_S = 2.0  # for a function that is at work when the last call has ended


def hook_arguments(program: Any) -> dict[str, Any]:
    """Arguments of an Engine for a program's hooks: their functions. ModelError: one is missing."""
    return {"hooks": [resolve(hook[0]) for hook in program.hooks]} if program.hooks else {}


def hook_cost_s(calls: int = 2000) -> float:
    """Measure what asking a function that does nothing takes here, without sockets."""
    from siploadgen.compile.assemble import compile_scenarios
    from siploadgen.core.engine import Engine

    nothing = Scenario("nothing", Role.CALLER, (Hook(named(lambda _: None)),))
    program = compile_scenarios(nothing)
    engine = Engine(program, local=("127.0.0.1", 5060), max_instances=64, max_transactions=64,
                    **hook_arguments(program))
    engine.schedule(np.arange(calls, dtype=np.int64))
    began = time.perf_counter()
    for now in range(0, calls, 32):
        engine.advance(now + 32)
    return (time.perf_counter() - began) / calls


class HookServer:
    """Calls the functions that calls of some engines wait for, one after the other."""

    def __init__(self, engines: Sequence[Any]) -> None:
        self._engines = engines
        self._asked = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopped = False
        for engine in engines:
            engine.announce_hooks(self._asked)
        self._thread = threading.Thread(target=self._serve, name="hooks", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, wait_s: float = LAST_WAIT_S) -> None:
        """Answer no more, once the engines have stopped.

        A function that is still at work after `wait_s` is left to itself, and told as a failure.
        """
        if self._stopped:
            return
        self._stopped = True
        os.eventfd_write(self._asked, 1)
        self._thread.join(wait_s)
        if not self._thread.is_alive():
            os.close(self._asked)

    def _serve(self) -> None:
        while not self._stopped:
            os.eventfd_read(self._asked)
            for engine in self._engines:
                engine.serve_hooks()

    def failures(self, program: Any) -> list[str]:
        """Say what the functions raised, each once."""
        found = [f"hook {program.hooks[number][0]}: {type(error).__name__}: {error}"
                 for engine in self._engines for number, error in engine.hook_failures]
        if self._thread.is_alive():
            found.append(f"a hook has not come back {LAST_WAIT_S:g} s after the last call")
        return list(dict.fromkeys(found))


def serve_hooks(program: Any, workers: Sequence[Any]) -> HookServer | None:
    """Start answering for the engines of these workers; None when the program has no hooks."""
    if not program.hooks:
        return None
    server = HookServer([worker.engine for worker in workers])
    server.start()
    return server
