"""Every built-in model through good and bad networks. A model that is added to `MODELS` is tested
here without a word more.

SIPLOADGEN_SEEDS=1000 makes the long run.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest

from siploadgen.core.engine import Engine
from siploadgen.core.program import Outcome
from siploadgen.core.sip.tokens import Method
from siploadgen.model.builtin import MODELS
from tests.matrix import plan, users
from tests.sim.helpers import STORM, Trial, counts
from tests.sim.network import ANSWERER, CALLER, Network, Weather, drained

SEEDS = int(os.environ.get("SIPLOADGEN_SEEDS") or 4)
CALLS = 60


class Ear:
    """Between an engine and the network: counts what goes in and out, and knows no more."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.heard: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.octets_heard = self.octets_said = 0
        self.asked: set[bytes] = set()  # branches of requests that belong to no dialog yet

    def feed(self, data: bytes, source: tuple[str, int], now: int) -> None:
        self.heard[kind(data)] += 1
        self.octets_heard += len(data)
        if begins(data):
            self.asked.add(data.split(b";branch=", 1)[1].split(b"\r\n", 1)[0].split(b";", 1)[0])
        self.engine.feed(data, source, now)

    def outbox(self) -> list[tuple[bytes, tuple[str, int]]]:
        written = self.engine.outbox()
        self.said.update(kind(data) for data, _ in written)
        self.octets_said += sum(len(data) for data, _ in written)
        return written

    def next_event(self) -> int:
        return self.engine.next_event()

    def advance(self, now: int) -> None:
        self.engine.advance(now)


def kind(data: bytes) -> str:
    """`INVITE` or `200`; empty for a ping that is no message."""
    words = data.split(b" ", 2)
    return words[words[0] == b"SIP/2.0"].decode() if len(words) > 1 else ""


def begins(data: bytes) -> bool:
    """A request outside a dialog that is a transaction of its own.

    What changes a publication or replaces a dialog goes to the instance that keeps it.
    """
    if (kind(data) in ("", "ACK", "CANCEL") or data.startswith(b"SIP/2.0 ")
            or b"\r\nSIP-If-Match:" in data or b"\r\nReplaces:" in data):
        return False
    to = next(line for line in data.split(b"\r\n") if line.startswith(b"To:"))
    return b";tag=" not in to


def listen(network: Network) -> dict[tuple[str, int], Ear]:
    """Put an ear on both ends."""
    ears = {address: Ear(engine) for address, engine in network.ends.items()}
    network.ends = ears  # type: ignore[assignment]
    return ears


def tally(requests: Any, responses: Any) -> dict[str, int]:
    """What an engine has counted, as an ear counts it."""
    by_status = np.asarray(responses).sum(axis=0)
    return {**{Method(i).name.removeprefix("METHOD_"): int(n)
               for i, n in enumerate(requests) if n},
            **{str(100 + i): int(n) for i, n in enumerate(by_status) if n}}


def failures(counted: Any, program: Any) -> dict[str, int]:
    """Outcomes that are no success, by name."""
    own = {Outcome.OUTCOME_USER + i: name if not good else ""
           for i, (name, good) in enumerate(program.outcomes)}
    names = {member.value: member.name.removeprefix("OUTCOME_").lower() for member in Outcome}
    names[Outcome.OUTCOME_SUCCEEDED] = ""
    names.update(own)
    return {names[i]: int(n) for i, n in enumerate(counted) if n and names[i]}


def run(name: str, seed: int, weather: Weather) -> tuple[dict[str, int], dict[str, int], Network]:
    """Play a model and audit it; gives the failures of both ends."""
    trial = Trial(name, calls=CALLS, users=users(name))
    network = trial.network(seed, weather)
    ears = listen(network)
    network.run()
    where = f"{name}, seed {seed}"
    for address, engine in ((CALLER, network.caller), (ANSWERER, network.answerer)):
        ear, count = ears[address], counts(engine)
        assert count.get("malformed", 0) == 0, where
        for ours, wire in (
                (tally(engine.received_requests, engine.received_responses), ear.heard),
                (tally(engine.sent_requests, engine.sent_responses), ear.said)):
            wire.pop("", None)
            assert ours == dict(wire), where
        assert engine.answers_in_progress == engine.in_progress == 0, where
        assert count.get("answered", 0) == int(engine.answered_outcomes.sum()), where
        drained(engine)
    ended = network.caller.outcomes
    assert int(ended.sum()) == counts(network.caller)["started"] == CALLS, where
    # what reached the answering side is what it took up, each once
    assert counts(network.answerer).get("answered", 0) == len(ears[ANSWERER].asked), where
    calling, answering = trial.programs()
    return (failures(ended, calling), failures(network.answerer.answered_outcomes, answering),
            network)


@pytest.mark.parametrize("name", MODELS)
def test_without_loss_every_call_succeeds(name: str) -> None:
    caller, answerer, network = run(name, 1, Weather())
    assert caller == answerer == {}
    for engine in (network.caller, network.answerer):
        count = counts(engine)
        for word in ("retransmitted", "stray_request", "stray_response", "dialog_mismatch",
                     "unexpected", "slab_full"):
            assert word not in count, count


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
@pytest.mark.parametrize("name", MODELS)
def test_loss_does_nothing_worse_than_it_must(name: str, seed: int) -> None:
    """5 % lost, 5 % doubled, all late by up to 20 ms: each call ends, by timers if it must."""
    caller, answerer, network = run(name, seed, STORM)
    allowed = plan(name).lossy
    assert set(caller) <= allowed, f"{name}, seed {seed}: caller {caller}"
    assert set(answerer) <= allowed, f"{name}, seed {seed}: answerer {answerer}"
    # 5 % of a few hundred datagrams: a network that loses none would prove nothing
    assert network.lost > 0 or network.carried < 200, f"{name}, seed {seed}"
