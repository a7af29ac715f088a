"""Engines that say what they do: for runs of a few calls whose author wants to see each step.

The engine is the compiled one, driven from outside instead of by its own loop: datagrams are read,
handed over and sent one by one by Python, which is slow and changes nothing of what is sent.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from siploadgen.run.watch import NEVER, Happening, Watch
from siploadgen.run.worker import compiled_engine
from siploadgen.units import NANOS

MOST_WAIT_NS = NANOS // 100  # how soon a command, or what a hook replies, is seen
LARGEST = 65_535  # octets of a datagram
_IP_RECVERR, _IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h

Teller = Callable[[Happening], None]


class DebugEngine:
    """An engine that tells everything it does; otherwise as core.engine.Engine."""

    def __init__(self, engine: Any, program: Any, tell: Teller) -> None:
        self._engine = engine
        self._watch = Watch(engine, program)
        self._tell = tell
        self._socket: socket.socket | None = None
        self._aborted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def open_udp(self, fd: int, gso: bool, gro: bool) -> dict[str, Any]:  # noqa: ARG002
        """Take over a bound UDP socket."""
        sock = self._socket = socket.socket(fileno=fd)
        with contextlib.suppress(OSError):
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        size = {name: sock.getsockopt(socket.SOL_SOCKET, option) for name, option in (
            ("receive_buffer", socket.SO_RCVBUF), ("send_buffer", socket.SO_SNDBUF))}
        return {"gso": False, "gro": False, "timestamps": False, "gso_group": 1, **size}

    def abort(self) -> None:
        """End every open call at once and leave `run`."""
        self._aborted = True
        self._engine.abort()

    def run(self, until_idle: bool = True) -> None:
        """Loop until the schedule is over and no call open, or until `abort`."""
        sock = self._socket
        if sock is None:
            raise RuntimeError("no socket: call open_udp first")
        with sock:
            poll = select.poll()
            poll.register(sock, select.POLLIN | select.POLLERR)
            while True:
                self._advance(sock)
                if self._aborted or (until_idle and self._engine.done):
                    return
                wait_ns = min(self._watch.next_event() - time.monotonic_ns(), MOST_WAIT_NS)
                if wait_ns > 0:
                    poll.poll(wait_ns / 1_000_000)
                self._receive(sock)

    def _advance(self, sock: socket.socket) -> None:
        aborted = self._aborted  # seen before, so that it is told below
        if self._watch.next_event() < NEVER or aborted:
            self._told(sock, self._watch.advance(time.monotonic_ns()))

    def _receive(self, sock: socket.socket) -> None:
        while True:
            try:
                data, source = sock.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                self._errors(sock)
                continue
            self._told(sock, self._watch.feed(data, source[:2], time.monotonic_ns()))

    def _errors(self, sock: socket.socket) -> None:
        """Hand over the ICMP errors that wait."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = sock.recvmsg(LARGEST, 512, socket.MSG_ERRQUEUE)[0]
                self._told(sock, self._watch.transport_error(data, time.monotonic_ns()))

    def _told(self, sock: socket.socket, told: list[Happening]) -> None:
        for one in told:  # what is sent does not wait for what is told
            if one.kind == "sent":
                self._send(sock, one)
        for one in told:
            self._tell(one)

    def _send(self, sock: socket.socket, one: Happening) -> None:
        for _ in range(2):  # an error of before may be told by a sending; it is read at its time
            try:
                sock.sendto(one.data, one.peer)
                return
            except OSError as error:
                failed = error
        self._tell(replace(one, kind="unexpected",
                           text=f"{one.text} was not sent: {failed.strerror}"))


def debug_engines(tell: Callable[[int, Happening], None]) -> Callable[..., DebugEngine]:
    """Make the factory of a run's engines; `tell` gets the number of the engine, too."""
    made = 0

    def factory(program: Any, **arguments: Any) -> DebugEngine:
        nonlocal made
        number, made = made, made + 1
        engine = compiled_engine(program, **arguments)
        return DebugEngine(engine, program, lambda one: tell(number, one))

    return factory
