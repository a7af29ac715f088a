"""A caller and an answerer joined by a seeded, lossy network in virtual time.

The network loses, duplicates, delays and so reorders datagrams. Nothing here waits or opens a
socket; the same seed gives the same run, datagram by datagram.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siploadgen.core.engine import Engine

CALLER = ("127.0.0.1", 5061)
ANSWERER = ("127.0.0.1", 5060)
NEVER = 2**63 - 1
SECOND = 1_000_000_000


@dataclass
class Weather:
    """What the network does to datagrams; shares are 0 .. 1, times ns."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: int = 1_000_000
    jitter: int = 0


@dataclass
class Network:
    """Two engines, a clock and the datagrams under way."""

    caller: Engine
    answerer: Engine
    weather: Weather = field(default_factory=Weather)
    seed: int = 1
    now: int = 0
    lost: int = 0
    duplicated: int = 0
    carried: int = 0
    record: list[tuple[int, str, bytes]] | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.ends = {CALLER: self.caller, ANSWERER: self.answerer}
        self.flying: list[tuple[int, int, tuple[str, int], tuple[str, int], bytes]] = []
        self.order = 0

    def send(self, source: tuple[str, int]) -> None:
        """Put what an engine wrote on the wire."""
        weather = self.weather
        for data, to in self.ends[source].outbox():
            if self.record is not None:
                self.record.append((self.now, "caller" if source == CALLER else "answerer", data))
            copies = 1
            if self.random.random() < weather.loss:
                copies = 0
                self.lost += 1
            elif self.random.random() < weather.duplication:
                copies = 2
                self.duplicated += 1
            for _ in range(copies):
                self.order += 1
                self.carried += 1
                at = self.now + weather.delay + int(self.random.random() * weather.jitter)
                heapq.heappush(self.flying, (at, self.order, to, source, data))

    def step(self) -> bool:
        """The next thing that happens; False when nothing ever will."""
        first = min(self.caller.next_event(), self.answerer.next_event())
        if self.flying and self.flying[0][0] <= first:
            at, _, to, source, data = heapq.heappop(self.flying)
            self.now = max(self.now, at)
            if to in self.ends:
                self.ends[to].feed(data, source, self.now)
                self.send(to)
            return True
        if first == NEVER:
            return False
        self.now = max(self.now, first)
        for address, engine in self.ends.items():
            if engine.next_event() <= self.now:
                engine.advance(self.now)
                self.send(address)
        return True

    def run(self, limit: int = 100_000_000) -> None:
        """Until no datagram flies and no timer is armed."""
        for _ in range(limit):
            if not self.step():
                return
        raise AssertionError(f"no end after {limit} steps; seed {self.seed}")


def due_times(calls: int, rate_per_s: float) -> np.ndarray[Any, Any]:
    """Evenly spaced due times, ns."""
    return (np.arange(calls) * (SECOND / rate_per_s)).astype(np.int64)


def drained(engine: Engine) -> None:
    """No record is left over and every sum holds."""
    engine.check()
    census = engine.census()
    assert not any(census.values()), census
