"""REFER and transfers through good and bad networks: each ends by itself, both ends agree."""

from __future__ import annotations

import pytest

from siploadgen.core.sip.tokens import Method
from siploadgen.model.messages import SUPPORTED
from tests.sim.helpers import STORM, Trial, counts, outcomes
from tests.sim.network import Weather, drained

KNOWS = {"supported": ", ".join(SUPPORTED)}
HOLD = {"hold": "exponential(2s)"}
TRIALS = {
    "refer": Trial("refer", answerer_options=KNOWS),
    "refer-held": Trial("refer", answers={**HOLD, "ring": "1s"}, answerer_options=KNOWS),
    "refer-untold": Trial("refer", settings={"notify": "no"}, answerer_options=KNOWS),
    "transfer-blind": Trial("transfer-blind", settings={"talk": "500ms"}, answers=HOLD,
                            answerer_options=KNOWS),
    "transfer-blind-beside": Trial("transfer-blind", settings={"in_dialog": "no"},
                                   answers={"ring": "1s"}, answerer_options=KNOWS),
    "transfer-blind-challenged": Trial("transfer-blind", settings={"user": "bob"},
                                       answerer={"challenge": "md5"}, answerer_options=KNOWS),
    "transfer-attended": Trial("transfer-attended", answerer_options=KNOWS),
    "transfer-attended-held": Trial("transfer-attended", settings={"talk": "exponential(1s)"},
                                    answers={**HOLD, "ring": "1s"}, answerer_options=KNOWS),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", TRIALS)
def test_no_transfer_is_lost(name: str, seed: int) -> None:
    """The first seed with good weather."""
    weather = STORM if seed else Weather()
    network = TRIALS[name].run(seed, weather)
    assert outcomes(network.caller.outcomes) == {"succeeded": 200}, f"seed {seed}"
    answered = outcomes(network.answerer.answered_outcomes)
    challenged = answered.pop("user", 0)             # a call that was challenged first
    assert challenged == 0 or "challenged" in name, f"seed {seed}"
    assert answered == {"succeeded": 400}, f"seed {seed}"
    assert counts(network.answerer)["answered"] == 400 + challenged
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["refer", "transfer-blind"])
def test_both_ends_agree_on_transfers_that_fail(name: str, seed: int) -> None:
    """Somebody who refuses 40 % of the calls is the one to be called."""
    network = Trial(name, settings={"refer_to": "sip:bob@127.0.0.1:5060"},
                    answerer={"reject": "486:40%"}, answerer_options=KNOWS).run(seed, STORM)
    caller = outcomes(network.caller.outcomes)
    answered = outcomes(network.answerer.answered_outcomes)
    failed = 200 - caller["succeeded"]
    assert 40 < failed < 120, f"seed {seed}"
    # the one who was asked and the one who refused
    assert answered["user"] == 2 * failed, f"seed {seed}"
    assert answered["succeeded"] == 2 * caller["succeeded"], f"seed {seed}"
    assert network.caller.received_requests[Method.METHOD_NOTIFY] >= 400
    drained(network.caller)
    drained(network.answerer)
