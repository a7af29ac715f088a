"""Calls of a plan played against the built-in answers, in virtual time and without a socket.

How many messages a call takes is up to its peer as well: how often a notifier notifies, whether a
server redirects. So the calls are made, and what goes over the wire between two engines is counted.
"""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siploadgen.compile.program import Program
from siploadgen.core.engine import Engine
from siploadgen.core.program import EntryFlag
from siploadgen.core.sip.tokens import Method
from siploadgen.load.planning import CallCost
from siploadgen.run.plan import RunPlan
from siploadgen.run.streams import ENGINES_NEXT, Stream

_CALLS = 400  # as many as are played for a mean
_DATAGRAMS = 20_000  # after so many no further call is played
_LONGEST = 50_000  # instants of one call at which something happens
_INSTANCES, _TRANSACTIONS = 1024, 65_536
_NEVER = 2**63 - 1

Address = tuple[str, int]


def rehearsed(plan: RunPlan, index: int, entry: int, answers: Program) -> CallCost | None:
    """Mean cost of a call of one entry of workload number `index`.

    None where that cannot be said: a call failed, was not started, or did not come to an end.
    """
    stage = _Stage(replace(plan, workers=1), answers)
    stream = Stream(stage.plan, index)
    calls = int(min(_CALLS, stream.workload.limit))
    starts = stream.starts(np.arange(calls, dtype=np.uint64))
    starts["entry"] = entry
    if (not plan.program.columns
            or plan.program.entries[entry]["flags"] & EntryFlag.ENTRY_OWNS_USER):
        starts["row"], starts["others"] = ENGINES_NEXT, 0
    made = 0
    for start in starts:
        start["due"] = stage.now
        if not stage.play(np.array([start])):
            return None
        made += 1
        if stage.datagrams > _DATAGRAMS:
            break
    return stage.cost(made) if made else None


class _Stage:
    """Two engines, what is on its way between them, and a clock."""

    def __init__(self, plan: RunPlan, answers: Program) -> None:
        self.plan = plan
        port = plan.target[1] + (1 if plan.target[1] < 65_535 else -1)
        self.home: Address = (plan.local[0], port)
        sizes: dict[str, Any] = {"max_instances": _INSTANCES, "max_transactions": _TRANSACTIONS}
        self.caller = Engine(plan.program, **{
            **plan.engine_arguments(0, port), **sizes, "ready_instances": 0,
            "ready_transactions": 0, "max_calls": 0, "bounds": [0] * len(plan.workloads),
            "unique": [], "closed": 0})
        self.answerer = Engine(answers, local=plan.target, seed=plan.seed,
                               run_id=plan.run_id ^ 0xFFFFFFFF, **sizes,
                               **plan.tuning.engine_arguments())
        self._ends = {self.home: self.caller, plan.target: self.answerer}
        self._flying: deque[tuple[bytes, Address, Address]] = deque()
        self.now = 0
        self.datagrams = self._hold_ns = 0
        self._sent, self._received = [0, 0], [0, 0]  # messages and octets of the caller

    def play(self, start: NDArray[np.void]) -> bool:
        """Make a call; False when it fails, or does not end."""
        begin = self.now
        self.caller.schedule(start, last=False)
        self.caller.advance(self.now)
        self._carry()
        for _ in range(_LONGEST):
            if not self.caller.in_progress:
                break
            self.now = min(engine.next_event() for engine in self._ends.values())
            if self.now == _NEVER:
                return False
            for engine in self._ends.values():
                if engine.next_event() <= self.now:
                    engine.advance(self.now)
            self._carry()
        self._hold_ns += self.now - begin
        return not self.caller.in_progress and all(
            map(self.plan.program.outcome_ok, np.flatnonzero(self.caller.outcomes)))

    def _carry(self) -> None:
        """Bring what was written to the other end, at once, until nobody has anything to say."""
        while True:
            for address, engine in self._ends.items():
                self._flying += [(data, to, address) for data, to in engine.outbox()]
            if not self._flying:
                return
            data, to, source = self._flying.popleft()
            self.datagrams += 1
            count = self._sent if source == self.home else self._received
            if self.home in (source, to):  # who answers may call himself, too
                count[0] += 1
                count[1] += len(data)
            if to in self._ends:
                self._ends[to].feed(data, source, self.now)

    def cost(self, calls: int) -> CallCost:
        """Divide what was seen among the calls."""
        sent, sent_octets = self._sent
        received, received_octets = self._received
        asked, heard = self.caller.sent_requests, self.caller.received_requests
        transactions = int(asked.sum() + heard.sum()
                           - asked[Method.METHOD_ACK] - heard[Method.METHOD_ACK])
        return CallCost(sent / calls, received / calls, sent_octets / calls,
                        received_octets / calls, self._hold_ns / calls, transactions / calls,
                        int(asked[Method.METHOD_INVITE]) / calls)
