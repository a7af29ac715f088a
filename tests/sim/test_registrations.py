"""Registrations through good and bad networks: every instance ends, both ends agree on who is
registered, and nothing is left over but the bindings.
"""

from __future__ import annotations

import os
import re

import pytest

from siploadgen.core.engine import Engine
from tests.sim.helpers import STORM, Trial, counts, outcomes
from tests.sim.network import CALLER, SECOND, Network, Weather, drained

CALLS = 200
SEEDS = range(int(os.environ.get("SIPLOADGEN_SEEDS", "5")))
GOOD = Weather()
TRIALS = {
    "first": Trial("register", settings={"remove": "no"}),
    "removed": Trial("register", settings={"refreshes": "3", "refresh_at": "1s"}),
    "all-removed": Trial("register", settings={"remove": "all", "fetch": "yes"}),
    "short-grants": Trial("register", settings={"refreshes": "5", "expires": "600"},
                          answers={"max_expires": "40"}),
    "too-brief": Trial("register", settings={"expires": "10"}, answers={"min_expires": "60"}),
    "contacts": Trial("register", settings={
        "contacts": "{own};q=0.7, <mailto:{user}@example.com>;q=0.1", "remove": "no"}),
    "challenged": Trial("register", settings={"refreshes": "2", "refresh_at": "1s"},
                        answerer={"challenge": "sha-256"}),
    "gruu": Trial("register-call", settings={"gruu": "temporary", "calls": "2"},
                  answers={"service_route": "<sip:127.0.0.1:5060;lr>"}),
    "flows": Trial("register-outbound", settings={"flows": "3", "stay": "300s", "expires": "60"},
                   answers={"flow_timer": "30"}),
    "avalanche": Trial("register-storm", settings={"window": "uniform(0s,1s)"}),
}


def play(name: str, seed: int, weather: Weather) -> Network:
    trial = TRIALS[name]
    trial.calls = trial.users = CALLS
    network = trial.run(seed, weather, record=True)
    drained(network.caller)
    drained(network.answerer)
    assert outcomes(network.caller.outcomes) == {"succeeded": CALLS}, f"seed {seed}"
    assert network.answerer.answered_outcomes.sum() == counts(network.answerer)["answered"]
    return network


def bindings(network: Network) -> dict[str, int]:
    """How many Contacts each user has there after the run, by a fetch of each."""
    found = {}
    users = {line for _, _, data in network.record or []
             for line in re.findall(rb"\r\nTo: (<sip:user\d+@[^>]*>)\r\n", data)}
    for number, user in enumerate(sorted(users)):
        network.answerer.feed(
            b"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bKx"
            b"%d\r\nFrom: %b;tag=x\r\nTo: %b\r\nCall-ID: x\r\nCSeq: %d REGISTER\r\n"
            b"Content-Length: 0\r\n\r\n" % (number, user, user, number + 1), CALLER, network.now)
        answer = network.answerer.outbox()[0][0]
        found[user.decode()] = answer.count(b"\r\nContact: ")
    return found


def check(name: str, network: Network) -> None:
    """Who is registered after the run."""
    if name == "challenged":
        return                                  # the fetch would be challenged too
    kept = {"first": 1, "contacts": 2, "avalanche": 1}.get(name, 0)
    network.now = 0                             # nothing has run out then
    found = bindings(network)
    assert len(found) == CALLS
    assert set(found.values()) == {kept}, name


@pytest.mark.parametrize("name", TRIALS)
def test_in_a_good_network(name: str) -> None:
    network = play(name, 1, GOOD)
    for engine in (network.caller, network.answerer):
        assert "retransmitted" not in counts(engine)
    check(name, network)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TRIALS)
def test_in_a_bad_network(name: str, seed: int) -> None:
    network = play(name, seed, STORM)
    assert network.lost
    check(name, network)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cseq_of_a_user_never_goes_back(seed: int) -> None:
    """RFC 3261 10.2: one Call-ID, and each new request one higher; never two of them open."""
    network = play("removed", seed, STORM)
    last: dict[bytes, int] = {}
    for _, who, data in network.record or []:
        if who != "caller":
            continue
        call_id = re.search(rb"\r\nCall-ID: ([^\r]*)", data)[1]  # type: ignore[index]
        cseq = int(re.search(rb"\r\nCSeq: (\d+)", data)[1])  # type: ignore[index]
        assert cseq in (last.get(call_id, cseq), last.get(call_id, cseq) + 1)
        last[call_id] = cseq
    assert len(last) == CALLS
    assert counts(network.answerer).get("bindings_full", 0) == 0


def avalanche(settings: dict[str, str], options: dict[str, object]) -> tuple[Network, Engine]:
    trial = Trial("register-storm", calls=2000, rate_per_s=1e6, users=2000, settings=settings,
                  answerer_options=options)
    network = trial.run(3)
    drained(network.caller)
    drained(network.answerer)
    return network, network.caller


@pytest.mark.parametrize("honour", ["yes", "no"])
def test_an_avalanche_over_a_limit_comes_to_its_end(honour: str) -> None:
    """2,000 users within a second, 200 a second admitted: all are registered at last."""
    network, caller = avalanche(
        {"window": "uniform(0s,1s)", "back_off": "2s", "back_off_max": "20s",
         "honour_retry_after": honour}, {"rate_limit": 200.0, "retry_after": 5})
    assert outcomes(caller.outcomes) == {"succeeded": 2000}
    program = Trial("register-storm").programs()[0]
    counted = dict(zip(program.counters, caller.user_counters.tolist(), strict=True))
    assert counted["attempts"] == 2000 + counted["refusals"]
    assert counted["refusals"] >= 1000
    assert network.now / SECOND >= 2000 / 200
    registered = caller.histograms[2 + 2 * program.clocks.index("registered")]
    assert registered.sum() >= 2000


def test_who_tries_too_seldom_gives_up() -> None:
    _, caller = avalanche({"window": "0s", "back_off": "1s", "retries": "1"},
                          {"rate_limit": 100.0})
    found = outcomes(caller.outcomes)
    assert found["user"] > 0
    assert found["user"] + found["succeeded"] == 2000
