"""Both ends act at the same moment, in a network that delays, loses and doubles (RFC 5407)."""

from __future__ import annotations

import pytest

from tests.sim.helpers import Trial, counts, outcomes
from tests.sim.network import ANSWERER, Network, Weather, drained

NEAR = Weather(delay=1_000_000, jitter=40_000_000)
ROUGH = Weather(loss=0.05, duplication=0.05, delay=1_000_000, jitter=40_000_000)
WEATHERS = {"near": NEAR, "rough": ROUGH}


def finished(network: Network, calls: int = 200) -> None:
    """Every call has ended at both ends and nothing is left."""
    assert sum(outcomes(network.caller.outcomes).values()) == calls
    assert sum(outcomes(network.answerer.answered_outcomes).values()) == \
        counts(network.answerer)["answered"]
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", WEATHERS)
def test_5407_3_2_1_byes_cross(weather: str, seed: int) -> None:
    """Whoever is first, both calls end well, and 481 is as good an answer as 200."""
    network = Trial(settings={"hold": "1s"}, answers={"callee_hangs_up": "yes", "hold": "1s"}).run(
        seed, WEATHERS[weather])
    finished(network)
    ends = outcomes(network.caller.outcomes)
    assert set(ends) <= {"succeeded", "unexpected"}, ends       # unexpected: theirs came first
    assert ends["succeeded"] > 50
    crossed = network.caller.received_requests[3]               # BYE
    assert crossed > 20


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", WEATHERS)
def test_5407_3_1_2_cancel_and_2xx_cross(weather: str, seed: int) -> None:
    trial = Trial(settings={"ring_limit": "1s"}, answers={"ring": "uniform(0.95s,1.05s)"})
    network = trial.run(seed, WEATHERS[weather])
    finished(network)
    ends = outcomes(network.caller.outcomes, trial.programs()[0])
    assert set(ends) == {"succeeded", "no_answer", "cancel_race"}   # all three ways happened
    answered = outcomes(network.answerer.answered_outcomes)
    assert set(answered) <= {"succeeded", "cancelled"}, answered
    # What one end calls cancelled the other end gave up.
    assert answered.get("cancelled", 0) == ends["no_answer"]


@pytest.mark.parametrize("seed", range(4))
def test_5407_3_1_5_acks_and_2xx_are_lost(seed: int) -> None:
    """Half of everything that goes to the callee is lost: the 2xx, the ACK and the BYE repeat."""
    network = Trial(settings={"hold": "2s"}).network(seed, Weather(loss=0.3, jitter=10_000_000))
    network.run()
    finished(network)
    assert outcomes(network.caller.outcomes).get("succeeded", 0) > 150


def forked(data: bytes, tag: bytes) -> bytes:
    """A copy of a 2xx as another branch of a fork would have sent it."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line + b"x" + tag if line.startswith(b"To:") else line for line in head.split(b"\r\n")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_i11_every_call_is_forked() -> None:
    """A second branch answers each INVITE: every one of its dialogs is hung up, ours goes on."""
    network = Trial(calls=50, settings={"hold": "1s"}).network()
    seen = set()
    feed = network.caller.feed

    class Forking:
        """The caller, to whom each 2xx to an INVITE comes from two branches."""

        def __getattr__(self, name: str) -> object:
            return getattr(network.caller, name)

        def feed(self, data: bytes, source: tuple[str, int], now: int) -> None:
            feed(data, source, now)
            if data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in data:
                seen.add(data)
                feed(forked(data, b"1"), source, now)

    for address in list(network.ends):
        if address != ANSWERER:
            network.ends[address] = Forking()  # type: ignore[assignment]
    network.run()
    assert len(seen) == 50
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert counts(network.caller)["forked_2xx"] == 50
    assert network.answerer.received_requests[3] == 100         # 50 of them for unknown dialogs
    assert counts(network.answerer)["stray_request"] == 100     # ACK and BYE of each fork
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}
    drained(network.caller)
    drained(network.answerer)
