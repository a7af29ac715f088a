"""The servers that a run calls: found before it, followed in DNS beside it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from siploadgen import units
from siploadgen.errors import SiploadgenError, UsageError
from siploadgen.figures import TargetUse
from siploadgen.run.resolve import LEAST_TTL_S, Location, Resolver, Server, parse_dns

MOST_NUMBERS = 64  # servers that one run tells apart
_TRY_AGAIN_S = 30.0  # at the latest, when the name servers have failed
_NOT_TAKEN_S = 0.02  # an engine looks for a new table at least every 5 ms

Row = tuple[str, int, int, int, int]  # as Engine.set_targets wants it
Locate = Callable[[], Location]


@dataclass(frozen=True, slots=True)
class Found:
    """A target as given, its servers, and how to ask for them again (None: no need)."""

    uri: str
    location: Location
    locate: Locate | None

    @property
    def address(self) -> tuple[str, int]:
        """The first server's address."""
        first = self.location.servers[0]
        return first.address, first.port


def find_target(
    text: str, *, dns: str | None = None, local: str | None = None, may_load: bool = False,
    seed: int = 1, resolver: Resolver | None = None,
) -> Found:
    """Find the servers of `--target`. `dns` is what `--dns` says, `local` what `--local` says.

    Raises TargetError when there are none, UsageError when the target is wrong or, without
    `may_load`, outside loopback and private networks.
    """
    target = units.parse_target(text)
    family = 0
    if local is not None:
        host, _ = units.parse_local(local)
        family = 6 if ":" in units.resolve(host, 0, "--local")[0] else 4
    resolver = resolver or Resolver(parse_dns(dns) if dns is not None else None, seed=seed)
    location = resolver.locate(target, family=family)
    _check_allowed(target.uri, location, may_load)

    def locate() -> Location:
        again = resolver.locate(target, family=location.family)
        _check_allowed(target.uri, again, may_load)
        return again

    return Found(target.uri, location, locate if location.ttl_s is not None else None)


def _check_allowed(uri: str, location: Location, may_load: bool) -> None:
    """Refuse servers that are nobody's own, unless somebody takes the blame; all of them count."""
    for server in location.servers:
        if not may_load and not units.is_local_network(server.address):
            raise UsageError(f"target {uri}: {server.address} is outside loopback and private "
                             "networks; if it may be loaded, add --i-may-load-this-target")


class Book:
    """The servers of a run by number: what engines are told, and what the report says of them."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._known: dict[tuple[str, str, int], tuple[int, Server]] = {}
        self.rows: list[Row] = []
        self.update(servers)

    def update(self, servers: Sequence[Server]) -> bool:
        """Take other servers; False when nothing changed, or when there is no number left."""
        rows = []
        for server in servers:
            number, _ = self._known.get(server.place, (len(self._known), server))
            if number < MOST_NUMBERS:
                self._known[server.place] = number, server
                rows.append((server.address, server.port, server.priority, server.share, number))
        if not rows or sorted(rows) == sorted(self.rows):
            return False
        self.rows = rows
        return True

    def uses(self, calls: Sequence[int]) -> tuple[TargetUse, ...]:
        """Say of each server that was ever in force how many calls went there."""
        return tuple(
            TargetUse(units.host_port((server.address, server.port)), server.transport,
                      server.priority, server.weight, int(calls[number]))
            for number, server in self._known.values())


class Follower(threading.Thread):
    """Asks for the servers again whenever what DNS said runs out, and tells the engines."""

    def __init__(self, book: Book, ttl_s: float | None, locate: Locate,
                 engines: Sequence[Any]) -> None:
        super().__init__(name="dns", daemon=True)
        self._book, self._locate, self._engines = book, locate, engines
        self._ttl_s = ttl_s
        self._over = threading.Event()
        self.failures = 0  # questions that got no usable answer; the servers known stayed in force

    def run(self) -> None:
        """Follow until `stop`, or until an answer holds for ever."""
        wait_s = self._ttl_s
        while wait_s is not None and not self._over.wait(max(wait_s, LEAST_TTL_S)):
            try:
                location = self._locate()
            except SiploadgenError:
                self.failures += 1
                wait_s = min(wait_s, _TRY_AGAIN_S)
                continue
            wait_s = location.ttl_s
            if self._book.update(location.servers):
                self._tell()

    def _tell(self) -> None:
        for engine in self._engines:
            while not engine.set_targets(self._book.rows):
                if self._over.wait(_NOT_TAKEN_S):
                    return

    def stop(self) -> None:
        """End it; a question under way is not waited for."""
        self._over.set()
        self.join(_NOT_TAKEN_S)
