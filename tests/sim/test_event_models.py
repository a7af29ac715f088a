"""Subscriptions, publications, messages and INFO through good and bad networks."""

from __future__ import annotations

import pytest

from tests.sim.helpers import STORM, Trial, counts, outcomes
from tests.sim.network import Weather, drained

PRESENCE = "subscribe-presence"
TRIALS = {
    "presence": Trial(PRESENCE),
    "presence-poll": Trial(PRESENCE, settings={"poll": "yes"}),
    "presence-refreshed": Trial(PRESENCE, settings={"expires": "60", "refreshes": "3",
                                                    "refresh_at": "50%", "hold": "5s"},
                                answers={"changes": "exponential(7s)"}),
    "presence-challenged": Trial(PRESENCE, settings={"user": "bob"}, answerer={"challenge": "md5"},
                                 answers={"challenge_methods": "SUBSCRIBE"}),
    "presence-too-brief": Trial(PRESENCE, settings={"expires": "10"},
                                answers={"min_subscription": "60"}),
    "presence-moved": Trial(PRESENCE, settings={"hold": "20s", "resubscribe": "9"},
                            answers={"end_after": "15s", "end_reason": "deactivated",
                                     "changes": "2s"}),
    "mwi": Trial("subscribe-mwi", answers={"changes": "1s"}, settings={"hold": "3s"}),
    "mwi-unsolicited": Trial("subscribe-mwi", settings={"send_unsolicited": "yes"},
                             answers={"unsolicited": "200"}),
    "publish": Trial("publish"),
    "publish-refreshed": Trial("publish", settings={"expires": "60", "refreshes": "2",
                                                    "refresh_at": "50%"}),
    "publish-too-brief": Trial("publish", settings={"expires": "10"},
                               answers={"min_publish": "60"}),
    "message": Trial("message", settings={"messages": "3", "size": "lognormal(300,0.8)"}),
    "message-in-call": Trial("message", settings={"messages": "3", "in_call": "yes"}),
    "info-dtmf": Trial("info-dtmf", settings={"digits": "12#"}),
    "info-dtmf-package": Trial("info-dtmf", settings={"digits": "1", "package": "dtmf",
                                                      "interval": "1s"}),
}
# each round is ended by the notifier before `hold` is over
ENDS = {"presence-moved": {"user"}}


@pytest.mark.parametrize("name", TRIALS)
def test_a_good_network_loses_nothing(name: str) -> None:
    network = TRIALS[name].run()
    assert set(outcomes(network.caller.outcomes)) == ENDS.get(name, {"succeeded"})
    for engine in (network.caller, network.answerer):
        assert {"retransmitted", "unexpected", "stray_request", "stray_response",
                "dialog_mismatch"}.isdisjoint(counts(engine))
        drained(engine)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", TRIALS)
def test_a_bad_network_leaves_nothing_open(name: str, seed: int) -> None:
    """5 % of the datagrams lost, 5 % doubled, all of them late by up to 20 ms and so reordered."""
    network = TRIALS[name].run(seed, STORM)
    assert network.lost > 0, f"seed {seed}"
    ended = outcomes(network.caller.outcomes)
    assert set(ended) == ENDS.get(name, {"succeeded"}), f"seed {seed}"
    assert sum(ended.values()) == 200
    answered = outcomes(network.answerer.answered_outcomes)
    assert sum(answered.values()) == counts(network.answerer)["answered"], f"seed {seed}"
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("model", ["subscribe-presence", "publish", "message", "info-dtmf"])
@pytest.mark.parametrize("loss", [0.6, 1.0])
def test_a_hopeless_network_still_ends_everything(model: str, loss: float) -> None:
    network = Trial(model, calls=100, settings={} if model != "info-dtmf" else {"digits": "1"})
    ran = network.network(3, Weather(loss=loss))
    for _ in range(1_000_000):
        if ran.now > 4000 * 10**9 or not ran.step():
            break
    assert sum(outcomes(ran.caller.outcomes).values()) == 100
    drained(ran.caller)
    if loss == 1.0:
        assert outcomes(ran.caller.outcomes) == {"timeout": 100}
