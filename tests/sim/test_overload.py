"""A caller that obeys overload control, and an answerer that asks for it, in a lossy network."""

from __future__ import annotations

from typing import Any

import pytest

from siploadgen.core.counters import Counter
from siploadgen.figures import snapshot
from tests.sim.helpers import STORM, Trial, outcomes
from tests.sim.network import Network, Weather

OBEY = {"obey_overload": True}


def kept(network: Network) -> dict[str, int]:
    """Both sums hold exactly, and the answerer saw what was started and nothing else."""
    caller = network.caller
    caller.check()
    network.answerer.check()
    assert snapshot(caller).imbalance() is None
    count = {one: int(caller.counters[one]) for one in Counter if one < Counter.COUNT_COUNT}
    assert count[Counter.COUNT_DUE] == (count[Counter.COUNT_STARTED]
                                        + count[Counter.COUNT_NOT_STARTED_THROTTLED])
    assert not any(caller.census().values())
    return {"due": count[Counter.COUNT_DUE], "started": count[Counter.COUNT_STARTED],
            "throttled": count[Counter.COUNT_NOT_STARTED_THROTTLED]}


@pytest.mark.parametrize("weather", [Weather(), STORM])
@pytest.mark.parametrize("seed", [1, 2])
def test_half_of_the_calls_are_left_out(weather: Weather, seed: int) -> None:
    network = Trial(calls=2000, caller_options=OBEY,
                    answerer_options={"oc_algorithm": "loss", "oc_value": 50}).run(seed, weather)
    count = kept(network)
    assert count["due"] == 2000
    assert abs(count["started"] - 1000) < 4 * 500 ** 0.5 + 50   # the first ones know of nothing
    assert outcomes(network.caller.outcomes) == {"succeeded": count["started"]}
    assert int(network.answerer.counters[Counter.COUNT_ANSWERED]) == count["started"]


def test_a_rate_is_kept_to() -> None:
    """100 requests a second: 50 calls a second of INVITE and BYE, of 1,000 that are due."""
    network = Trial(calls=5000, caller_options=OBEY,
                    answerer_options={"oc_algorithm": "rate", "oc_value": 100}).run()
    count = kept(network)
    assert 250 <= count["started"] <= 262
    assert outcomes(network.caller.outcomes) == {"succeeded": count["started"]}


def test_a_503_with_retry_after_stops_all_calls_for_a_while() -> None:
    """The answerer takes 20 calls a second and says 2 s; each time but a few calls find out."""
    limited: dict[str, Any] = {"rate_limit": 20.0, "retry_after": 2}
    obeying, ignoring = (Trial(calls=10_000, caller_options=options,
                               answerer_options=limited).run()
                         for options in (OBEY, {}))
    count = kept(obeying)
    refused = outcomes(obeying.caller.outcomes)["rejected"]
    assert refused == int(obeying.answerer.counters[Counter.COUNT_LIMITED]) < 50
    assert count["throttled"] > 9_800
    assert kept(ignoring)["throttled"] == 0
    assert outcomes(ignoring.caller.outcomes)["rejected"] > 9_000


def test_an_answerer_without_it_changes_nothing() -> None:
    network = Trial(calls=300, caller_options=OBEY).run(3, STORM)
    assert kept(network) == {"due": 300, "started": 300, "throttled": 0}
