"""One thread for each engine, with a UDP socket of its own."""

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from siploadgen.errors import InternalError, TargetError, UsageError
from siploadgen.figures import Figures, snapshot
from siploadgen.units import host_port

EngineFactory = Callable[..., Any]
_T = TypeVar("_T")


def compiled_engine(program: Any, **arguments: Any) -> Any:
    """Make an engine of the compiled core: the factory that everybody but tests uses."""
    from siploadgen.core.engine import Engine

    return Engine(program, **arguments)


def local_address(target: tuple[str, int]) -> str:
    """Numeric address that this host sends from when it sends to `target`.

    Raises TargetError when there is no route.
    """
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(target)
        except OSError as error:
            raise TargetError(f"target {host_port(target)}: no way to send there "
                              f"({error.strerror}); check the address and the routes, or give "
                              "--local") from None
        return str(probe.getsockname()[0])


def open_socket(address: tuple[str, int], option: str = "--local") -> socket.socket:
    """Bind a non-blocking UDP socket; port 0 lets the system choose.

    Raises UsageError that names the option when the address is not ours or taken.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise UsageError(f"{option} {host_port(address)}: {error.strerror}; choose another "
                         "address or port") from None
    return sock


# Policy, and niceness added, of the thread that samples.
GIVE_WAY = (os.SCHED_BATCH, 10)


def gently(work: Callable[[], _T], give_up: Callable[[], None]) -> _T:
    """Do something in a thread that lets the engines go first; return or raise what it does.

    A sample takes some milliseconds, and calls that are due meanwhile would start late. So this
    thread has a small share of a core that an engine needs, and engines, whose slices are short,
    interrupt it. It must keep a share: while it changes the memory of the process nobody else can,
    and an engine would wait for as long as a core without a pause keeps it from going on. As it has
    a thread of its own nothing has to be put back, which takes rights. An exception in the caller
    meanwhile, such as KeyboardInterrupt, calls `give_up`, which has to end the work.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        me = threading.get_native_id()
        policy, added = GIVE_WAY
        with contextlib.suppress(OSError):
            os.sched_setscheduler(me, policy, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + added)
        try:
            done.append(work())
        except BaseException as error:  # a thread has nobody to raise to
            failed.append(error)

    thread = threading.Thread(target=run, name="samples", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        give_up()
        thread.join()
        raise
    if failed:
        raise failed[0]
    return done[0]


class Worker(threading.Thread):
    """An engine, its socket and the thread that runs it. `run` releases the GIL."""

    def __init__(
        self,
        factory: EngineFactory,
        program: Any,
        sock: socket.socket,
        arguments: dict[str, Any],
        *,
        name: str,
        gso: bool = True,
        until_idle: bool = True,
        when_over: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self.engine = factory(program, now=time.monotonic_ns(), **arguments)
        self.tape: int = arguments.get("tape", 0)  # octets
        # From here on the descriptor is the engine's, which closes it.
        self.socket_facts: dict[str, Any] = self.engine.open_udp(sock.detach(), gso, gso)
        self.error: BaseException | None = None
        self.over = False  # the engine runs no more, though the thread may
        self.cpu_user_s = 0.0
        self.cpu_system_s = 0.0
        self._until_idle = until_idle
        self._when_over = when_over

    def run(self) -> None:
        """Run the engine until it is idle (or aborted); keep what goes wrong for the runner."""
        try:
            self.engine.run(self._until_idle)
        except BaseException as error:  # a thread has nobody to raise to
            self.error = error
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        self.cpu_user_s, self.cpu_system_s = usage.ru_utime, usage.ru_stime
        self.over = True
        if self._when_over is not None:
            self._when_over()

    def figures(self) -> Figures:
        """Copy the engine's figures."""
        return snapshot(self.engine)

    def raise_error(self) -> None:
        """Raise what the thread died of, if it did."""
        if self.error is not None:
            raise InternalError(f"engine {self.name} failed: {self.error}") from self.error
