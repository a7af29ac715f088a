"""Searches against models of a target: no sockets, no time."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.capacity.mlr import Measured, MlrSearch, Target, classify
from siploadgen.capacity.rfc7502 import Rfc7502Search
from siploadgen.capacity.search import Search, Told, Trial, run_search
from siploadgen.capacity.step import StepSearch
from siploadgen.errors import UsageError


class Model:
    """A target with a ceiling; `noise` moves it from trial to trial, `stray` spoils some."""

    def __init__(self, ceiling: float, *, noise: float = 0.0, stray: float = 0.0,
                 generator: float = math.inf, seed: int = 1, hint: bool = True) -> None:
        self.ceiling, self.noise, self.stray, self.generator = ceiling, noise, stray, generator
        self.random = random.Random(seed)
        self.trials: list[Trial] = []
        self.hint = hint

    def __call__(self, trial: Trial) -> Told:
        self.trials.append(trial)
        assert len(self.trials) < 500, "the search does not end"
        if trial.rate >= self.generator:
            return Told("limited")
        ceiling = self.ceiling * (1 + self.random.gauss(0, self.noise))
        met = trial.rate <= ceiling and self.random.random() >= self.stray
        good = min(trial.rate, ceiling) if self.hint else None
        return Told("met" if met else "missed", good)

    @property
    def seconds(self) -> float:
        return sum(one.duration_s for one in self.trials)


# --- RFC 7502 4.10 ---


@pytest.mark.parametrize(("ceiling", "rate", "trials"), [
    (460, 458, 38), (1000, 996, 46), (10_000, 9922, 70), (20_000, 19_929, 77)])
def test_rfc7502_by_its_vectors(ceiling: float, rate: int, trials: int) -> None:
    model = Model(ceiling)
    finding = run_search(Rfc7502Search(), model)
    assert (finding.state, finding.rate, len(model.trials)) == ("found", rate, trials)
    assert all(one.attempts == 50_000 for one in model.trials)


def test_rfc7502_names_a_miss_above_its_rate_alone() -> None:
    """A target that is not the same every time: missed at 110 and 99, met at 108 afterwards."""
    answers = {100: ["met"], 110: ["missed"], 99: ["missed", "met"]}

    def moody(trial: Trial) -> Told:
        some = answers.get(int(trial.rate), [])
        usual = "met" if trial.rate < 109 else "missed"
        return Told(some.pop(0) if some else usual)  # type: ignore[arg-type]

    finding = run_search(Rfc7502Search(), moody)
    assert finding.rate is not None
    assert finding.missed is not None
    assert 100 <= finding.rate < 109 <= finding.missed <= 120


def test_rfc7502_finds_most_of_any_ceiling() -> None:
    for ceiling in range(150, 20_000, 371):
        found = run_search(Rfc7502Search(), Model(ceiling)).rate
        assert found is not None
        assert 0.986 * ceiling <= found <= ceiling


def test_rfc7502_halves_its_steps_down_to_a_tenth() -> None:
    model = Model(100)
    run_search(Rfc7502Search(rate=100, increase="0.8"), model)
    # up by 0.8, down by 0.4; then 0.4 and 0.2; then 0.2 and 0.1
    assert [one.rate for one in model.trials[:5]] == [100, 180, 108, 86, 103]


def test_rfc7502_refuses_rates_that_would_never_rise() -> None:
    with pytest.raises(UsageError, match="begin at 11 or above"):
        Rfc7502Search(rate=9)
    assert Rfc7502Search(rate=10).ask() is not None


def test_rfc7502_ends_when_nothing_is_carried() -> None:
    finding = run_search(Rfc7502Search(), Model(0))
    assert (finding.state, finding.rate) == ("none", None)


def test_rfc7502_says_when_the_highest_rate_allowed_was_met() -> None:
    finding = run_search(Rfc7502Search(most=300), Model(1000))
    assert (finding.state, finding.rate) == ("most", 300)


# --- MLRsearch ---


@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("ceiling", [7, 55.5, 460, 500, 3333, 19_000])
def test_mlr_finds_a_ceiling(ceiling: float, hint: bool) -> None:
    model = Model(ceiling, hint=hint)
    finding = run_search(MlrSearch(most=20_000), model)
    assert finding.state == "found"
    assert finding.rate is not None
    assert finding.missed is not None
    assert finding.rate <= ceiling < finding.missed <= finding.rate * 1.0101
    assert finding.conditional_per_s == (finding.rate if hint else None)


def test_mlr_finds_a_noisy_ceiling_within_two_percent() -> None:
    wrong = []
    for seed in range(200):
        found = run_search(MlrSearch(most=20_000), Model(
            4137, noise=0.004, stray=0.01, seed=seed)).rate
        if found is None or abs(found / 4137 - 1) > 0.02:
            wrong.append(found)
    assert len(wrong) <= 4


def test_mlr_needs_few_long_trials() -> None:
    model = Model(4137)
    run_search(MlrSearch(most=20_000), model)
    assert sum(one.duration_s == 5 for one in model.trials) <= 6
    assert model.seconds < 70


def test_mlr_does_not_begin_at_the_top() -> None:
    model = Model(100)
    run_search(MlrSearch(most=20_000), model)
    assert model.trials[0].rate < 400


def test_mlr_is_not_led_astray_by_a_target_that_collapses() -> None:
    """Above its ceiling it manages next to nothing: what it managed is no hint then."""
    def collapsing(trial: Trial) -> Told:
        return Told("met", trial.rate) if trial.rate <= 900 else Told("missed", 3.0)

    finding = run_search(MlrSearch(most=20_000), collapsing)
    assert finding.rate is not None
    assert 0.99 * 900 <= finding.rate <= 900


def test_mlr_unlearns_what_short_trials_said() -> None:
    """A target that carries for a second what it cannot carry for long."""
    def tiring(trial: Trial) -> Told:
        return Told("met" if trial.rate <= 1000 / min(trial.duration_s, 4) ** 0.5 else "missed")

    finding = run_search(MlrSearch(most=20_000), tiring)
    assert finding.state == "found"
    assert finding.rate is not None
    assert 0.99 * 500 <= finding.rate <= 500


def test_mlr_says_when_all_or_nothing_is_carried() -> None:
    top = run_search(MlrSearch(most=3000), Model(5000))
    assert (top.state, top.rate, top.missed) == ("most", 3000, None)
    bottom = run_search(MlrSearch(most=3000, least=10), Model(5))
    assert (bottom.state, bottom.rate, bottom.missed) == ("none", None, 10)


@given(ceiling=st.floats(2, 1e5), generator=st.floats(2, 1e5), seed=st.integers(0, 99),
       start=st.floats(1, 50_000))
def test_mlr_ends_and_is_right(ceiling: float, generator: float, seed: int, start: float) -> None:
    search = MlrSearch(most=50_000, start=start)
    finding = run_search(search, Model(ceiling, generator=generator, seed=seed))
    if finding.rate is not None:
        assert finding.rate <= ceiling
        assert finding.rate < generator
    match finding.state:
        case "found":
            assert finding.rate is not None
            assert ceiling / finding.rate <= 1.0101
        case "most":
            assert ceiling >= 50_000 <= generator
        case "limited":
            assert generator <= 50_000
            assert ceiling > generator / 1.0101
        case state:
            pytest.fail(state)


def test_classes_of_the_draft() -> None:
    once = Target(60, 60, 0.005, 0.0)
    met, missed = Measured(60, True), Measured(60, False)
    assert classify([], once) is None
    assert classify([met], once) is True
    assert classify([met, missed], once) is False
    assert classify([Measured(1, False)], once) is False  # a short miss is a miss
    assert classify([Measured(1, True)], once) is None  # a short hit proves nothing
    half = Target(1, 21, 0.005, 0.5)
    assert classify([Measured(1, True)] * 10, half) is None
    assert classify([Measured(1, True)] * 11, half) is True
    assert classify([Measured(1, True)] * 10 + [Measured(1, False)] * 11, half) is False


# --- steps ---


def test_steps() -> None:
    model = Model(1049)
    finding = run_search(StepSearch(start=100, step=100, most=5000, duration_s=3), model)
    assert (finding.state, finding.rate, finding.missed) == ("found", 1000, 1100)
    assert len(model.trials) == 11
    top = run_search(StepSearch(start=100, step=70, most=200, duration_s=3), Model(1049))
    assert (top.state, top.rate) == ("most", 200)
    none = run_search(StepSearch(start=100, step=70, most=200, duration_s=3), Model(49))
    assert (none.state, none.rate, none.missed) == ("none", None, 100)


# --- the generator's limit ---


@pytest.mark.parametrize("search", [
    MlrSearch(most=20_000), Rfc7502Search(attempts=100),
    StepSearch(start=100, step=100, most=20_000, duration_s=1),
], ids=lambda one: type(one).__name__)
def test_no_answer_when_the_generator_was_the_limit(search: Search) -> None:
    finding = run_search(search, Model(5000, generator=900))
    assert finding.state == "limited"
    assert not finding.answered
    assert finding.missed is None
    assert finding.limit is not None
    assert finding.limit >= 900
    assert finding.rate is not None
    assert finding.rate < 900


def test_mlr_plays_again_what_a_busy_host_spoilt() -> None:
    """Now and then the host is busy, at any rate: what was measured above stays measured."""
    found = 0
    for seed in range(50):
        lots, model = random.Random(seed), Model(4137)

        def busy(trial: Trial, lots: random.Random = lots, model: Model = model) -> Told:
            return Told("limited") if lots.random() < 0.1 else model(trial)

        finding = run_search(MlrSearch(most=20_000, start=4000), busy)
        if finding.state == "found":
            assert finding.rate is not None
            assert 0.99 * 4137 <= finding.rate <= 4137
            found += 1
        else:
            assert finding.state == "limited"
            assert finding.missed is None or finding.missed > (finding.limit or 0)
    assert found >= 45


def test_mlr_takes_bounds_that_are_not_round() -> None:
    finding = run_search(MlrSearch(most=2011.23456, least=1.000001), Model(5000))
    assert (finding.state, finding.rate) == ("most", 2011)


def test_mlr_answers_below_the_generators_limit() -> None:
    """The generator was the limit of an early trial, and the target has its ceiling below."""
    finding = run_search(MlrSearch(most=20_000, start=1000), Model(600, generator=900))
    assert finding.state == "found"
    assert finding.rate is not None
    assert 0.99 * 600 <= finding.rate <= 600
    assert finding.limit == 1000


@pytest.mark.parametrize(("make", "text"), [
    (lambda: MlrSearch(most=1, least=2), "--min"),
    (lambda: MlrSearch(most=100, width=0.9), "--precision"),
    (lambda: MlrSearch(most=100, initial_s=9), "--trial"),
    (lambda: MlrSearch(most=100, exceed=1.0), "--exceed"),
    (lambda: StepSearch(start=0, step=1, most=2, duration_s=1), "--start"),
    (lambda: StepSearch(start=1, step=0, most=2, duration_s=1), "--step"),
    (lambda: Rfc7502Search(increase="1.5"), "--increase"),
    (lambda: Rfc7502Search(attempts=0), "--attempts"),
    (lambda: Rfc7502Search(most=50), "--start"),
])
def test_parameters_that_cannot_be(make: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()  # type: ignore[operator]
