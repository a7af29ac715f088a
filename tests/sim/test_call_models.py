"""The call models that change, refresh or describe their sessions, both sides, in good and bad
networks.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.helpers import STORM, Trial, counts, outcomes
from tests.sim.network import drained

TIMER = {"session_expires": "90", "hold": "300s"}
TRIALS = {
    "delayed-offer": Trial("call-delayed-offer"),
    "reliable": Trial("call-reliable"),
    "reliable-supported": Trial("call-reliable", settings={"require": "no"},
                                answers={"early_media": "yes", "ring": "1s"}),
    "reliable-delayed-offer": Trial("call-reliable", settings={"delayed_offer": "yes"}),
    "reliable-prack-offer": Trial("call-reliable", settings={"prack_offer": "yes"},
                                  answers={"ring": "uniform(0s,1s)"}),
    "update": Trial("call-update"),
    "update-ringing": Trial("call-update", answers={"ring": "2s"}),
    "update-without-offer": Trial("call-update", settings={"offer": "no"},
                                  answers={"ring": "2s"}),
    "hold": Trial("call-hold"),
    "hold-inactive": Trial("call-hold", settings={"direction": "inactive", "talk": "0s",
                                                  "held": "exponential(1s)"}),
    "hold-by-callee": Trial("call-hold", settings={"holder": "callee"},
                            answers={"holder": "callee"}),
    "hold-by-both": Trial("call-hold", settings={"holder": "both"}, answers={"holder": "both"}),
    "session-timer": Trial("call-session-timer", settings=TIMER),
    "session-timer-uas": Trial("call-session-timer", settings={**TIMER, "refresher": "uas"}),
    "session-timer-invite": Trial("call-session-timer",
                                  settings={**TIMER, "refresh_by": "invite"}),
    "session-timer-422": Trial("call-session-timer", settings=TIMER,
                               answers={"least_session": "120"}),
}
# Two that hold a call at once may meet again when they try once more (RFC 3261 14.1): 17 is
# `change_refused`, the call itself went on and was hung up. All else has to end well.
MAY_MEET = {"hold-by-both": {"user"}}


@pytest.mark.parametrize("name", TRIALS)
def test_a_good_network_loses_nothing(name: str) -> None:
    network = replace(TRIALS[name], calls=50).run()
    ended = outcomes(network.caller.outcomes)
    assert sum(ended.values()) == 50
    assert set(ended) <= {"succeeded"} | MAY_MEET.get(name, set())
    answered = outcomes(network.answerer.answered_outcomes)
    assert sum(answered.values()) == counts(network.answerer)["answered"]
    assert answered["succeeded"] == 50
    for engine in (network.caller, network.answerer):
        # the 2xx and the BYE of a call may rightly cross its UPDATE
        assert not set(counts(engine)) - {"due", "started", "answered", "unexpected"}
        drained(engine)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", TRIALS)
def test_a_bad_network_loses_no_call(name: str, seed: int) -> None:
    network = replace(TRIALS[name], calls=60).run(seed, STORM)
    assert network.lost > 0
    ended = outcomes(network.caller.outcomes)
    assert sum(ended.values()) == 60
    assert set(ended) <= {"succeeded"} | MAY_MEET.get(name, set()), f"seed {seed}"
    answered = outcomes(network.answerer.answered_outcomes)
    assert sum(answered.values()) == counts(network.answerer)["answered"], f"seed {seed}"
    assert answered["succeeded"] == 60 or name in MAY_MEET
    drained(network.caller)
    drained(network.answerer)
