"""A target of a known ceiling, in virtual time: what a search says of it is true within 2 %.

The answerer refuses calls above a rate, but lets a tenth of a second of that rate through at once.
So `r` calls a second for `t` seconds all end well as long as r t <= ceiling (t + 0.1 s): what a
trial can carry is above the ceiling by a share of 0.1 s / t, or of 0.1 s * ceiling in N calls.
"""

from __future__ import annotations

import pytest

from siploadgen.capacity import form
from siploadgen.capacity.mlr import MlrSearch
from siploadgen.capacity.rfc7502 import Rfc7502Search
from siploadgen.capacity.search import Search
from siploadgen.capacity.step import StepSearch
from siploadgen.errors import Exit
from tests.capacity.simulated import simulated

CEILING = 200.0
TRIAL_S = 20.0  # the burst is 0.5 % of it


def search(method: str) -> Search:
    """A search of the method, whose trials are long enough for an answer within 1 %."""
    if method == "mlr":
        return MlrSearch(most=1000, start=150, initial_s=4, final_s=TRIAL_S, sum_s=TRIAL_S,
                         exceed=0.0)
    if method == "rfc7502":
        return Rfc7502Search(attempts=int(TRIAL_S * CEILING), rate=180, most=1000)
    return StepSearch(start=190, step=2, most=1000, duration_s=TRIAL_S)


@pytest.mark.parametrize("method", ["mlr", "rfc7502", "step"])
def test_the_ceiling_is_found_within_two_percent(method: str) -> None:
    player = simulated(CEILING)
    finding = player.find(search(method))
    assert finding.state == "found"
    assert finding.rate is not None
    assert abs(finding.rate / CEILING - 1) <= 0.02
    assert finding.missed is not None
    assert finding.missed > CEILING * 0.98
    for row in player.rows:  # what is missed failed by the target's word, and by nothing else
        assert row["verdict"] == "valid"
        assert row["due"] == row["succeeded"] + row["failed"]
        assert (row["failed"] > 0) is (row["answer"] == "missed")


@pytest.mark.parametrize("method", ["mlr", "rfc7502", "step"])
def test_no_answer_when_the_generator_comes_to_its_end_first(method: str) -> None:
    player = simulated(CEILING, generator_per_s=192)
    finding = player.find(search(method))
    assert finding.state == "limited"
    assert form.exit_code(finding) is Exit.INVALID
    assert finding.missed is None
    assert finding.rate is not None
    assert finding.rate < 192 <= (finding.limit or 0)
    assert "no answer" in form.answer_text(finding, form.SESSION)
    spoilt = [row for row in player.rows if row["rate_per_s"] >= 192]
    assert {row["answer"] for row in spoilt} == {"limited"}
    assert all("sends" in row["why"] or "late" in row["why"] for row in spoilt)


def test_a_trial_that_is_too_short_lets_more_through() -> None:
    """Why the length matters: in one second a tenth more than the ceiling is carried."""
    player = simulated(CEILING)
    finding = player.find(StepSearch(start=190, step=2, most=300, duration_s=1))
    assert finding.rate is not None
    assert finding.rate == pytest.approx(CEILING * 1.1, rel=0.01)
