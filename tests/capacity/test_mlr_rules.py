"""The rules of MLRsearch, held against the package of those who wrote the draft (FD.io)."""

from __future__ import annotations

import doctest
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from MLRsearch import (
    AbstractMeasurer,
    Config,
    MeasurementResult,
    MultipleLossRatioSearch,
    SearchGoal,
)
from MLRsearch.discrete_load import DiscreteLoad
from MLRsearch.discrete_result import DiscreteResult
from MLRsearch.discrete_width import DiscreteWidth
from MLRsearch.load_rounding import LoadRounding
from MLRsearch.target_spec import TargetSpec
from MLRsearch.target_stat import TargetStat

from siploadgen.capacity import mlr
from siploadgen.capacity.mlr import Measured, MlrSearch, Target, classify, conditional
from siploadgen.capacity.search import Told, Trial, run_search

LOAD, CALLS = 1000.0, 1000  # of each trial here
ROUND = LoadRounding(min_load=1.0, max_load=10_000.0, float_goals=(0.01,))
POINT = DiscreteLoad.float_conver(rounding=ROUND)(LOAD).rounded_down()

EXACT = (0.0, 0.5, 0.75, 0.875)  # e / (1 - e) without rounding: a tie is one for both
trials = st.lists(st.tuples(st.sampled_from([1, 2, 3, 5, 8]), st.sampled_from(
    [0, 0, 0, 1, 2, 100, 1000])), max_size=12)


def theirs(target: Target, rows: list[tuple[int, int]]) -> TargetStat:
    """What the package makes of trials: seconds, and calls lost of a thousand."""
    stat = TargetStat(TargetSpec(
        loss_ratio=0.0, exceed_ratio=target.exceed, discrete_width=DiscreteWidth(
            rounding=ROUND, int_width=1), trial_duration=target.duration_s,
        duration_sum=target.sum_s, expansion_coefficient=2, fail_fast=False, preceding=None))
    for seconds, lost in rows:
        stat.add(DiscreteResult(intended_duration=seconds, intended_load=float(POINT),
                                offered_count=CALLS, loss_count=lost, discrete_load=POINT))
    return stat


def ours(rows: list[tuple[int, int]]) -> list[Measured]:
    """The same for us."""
    return [Measured(float(seconds), lost == 0, LOAD * (CALLS - lost) / CALLS)
            for seconds, lost in rows]


def clear(target: Target, rows: list[tuple[int, int]]) -> bool:
    """No tie that rounding could decide either way."""
    stat = theirs(target, rows)
    share = target.exceed
    high = stat.bad_long + max(0.0, stat.bad_short - stat.good_short * share / (1 - share))
    whole = max(stat.good_long + high, target.sum_s)
    full = max(stat.good_long + stat.bad_long, target.sum_s)
    marks = [high - whole * share, whole - stat.good_long - whole * share]
    left = full * share - (full - stat.good_long - stat.bad_long)
    for ratio in sorted(stat.long_losses, reverse=True):
        marks.append(left)
        left -= stat.long_losses[ratio]
    return all(abs(mark) > 1e-6 for mark in [*marks, left])


@given(rows=trials, length=st.sampled_from([1, 2, 3, 5, 8]), more=st.integers(0, 30),
       exceed=st.one_of(st.sampled_from(EXACT), st.floats(0.01, 0.95)))
def test_a_load_is_classed_as_the_package_does(rows: list[tuple[int, int]], length: int, more: int,
                                               exceed: float) -> None:
    target = Target(length, length + more, 0.01, exceed)
    assume(exceed in EXACT or clear(target, rows))
    optimistic, pessimistic = theirs(target, rows).estimates()
    found = classify(ours(rows), target)
    assert found is (optimistic if optimistic == pessimistic else None)


@given(rows=trials, length=st.sampled_from([1, 2, 3, 5, 8]), more=st.integers(0, 30),
       exceed=st.one_of(st.sampled_from(EXACT), st.floats(0.01, 0.95)))
def test_the_conditional_rate_is_that_of_the_package(rows: list[tuple[int, int]], length: int,
                                                     more: int, exceed: float) -> None:
    target = Target(length, length + more, 0.01, exceed)
    stat = theirs(target, rows)
    assume(stat.long_losses)
    assume(exceed in EXACT or clear(target, rows))
    found = conditional(ours(rows), target)
    assert found is not None
    assert abs(found - LOAD * (1 - stat.pessimistic_loss_ratio)) < 1e-6
    if classify(ours(rows), target) is True:
        assert found == LOAD  # no loss in the trial that decides


class Measurer(AbstractMeasurer):  # type: ignore[misc]
    """A target that loses whatever is above its ceiling, as the package asks for it."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling = ceiling

    def measure(self, intended_duration: float, intended_load: float) -> Any:
        offered = round(intended_duration * intended_load)
        lost = 0 if intended_load <= self.ceiling else max(
            offered - round(intended_duration * self.ceiling), 1)
        return MeasurementResult(intended_duration, intended_load, offered, lost)


@given(ceiling=st.floats(3, 19_000), width=st.sampled_from([0.005, 0.01, 0.05]),
       exceed=st.sampled_from([0.0, 0.5]))
def test_both_searches_end_at_the_same_bounds(ceiling: float, width: float, exceed: float) -> None:
    """They go different ways; what they find of a ceiling lies within the width asked for."""
    goal = SearchGoal(loss_ratio=0.0, exceed_ratio=exceed, relative_width=width,
                      initial_trial_duration=1.0, final_trial_duration=5.0, duration_sum=15.0,
                      preceding_targets=2, fail_fast=False)
    config = Config()
    config.goals, config.min_load, config.max_load = [goal], 1.0, 20_000.0
    config.search_duration_max = 60.0
    bound = MultipleLossRatioSearch(config=config).search(
        Measurer(ceiling), debug=lambda _: None)[goal].relevant_lower_bound

    def target(trial: Trial) -> Told:
        good = min(trial.rate, ceiling)
        return Told("met" if trial.rate <= ceiling else "missed", good)

    found = run_search(MlrSearch(most=20_000, width=width, exceed=exceed), target)
    assert found.rate is not None
    assert found.missed is not None
    assert found.rate <= ceiling < found.missed
    assert float(bound) <= ceiling
    # Ours is relative to the lower bound, the package's to the upper.
    assert 1 / (1 + 1.001 * width) <= found.rate / float(bound) <= 1.001 / (1 - width)
    assert found.conditional_per_s == found.rate


def test_examples_are_true() -> None:
    assert doctest.testmod(mlr).failed == 0
