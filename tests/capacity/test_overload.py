"""The overload curve of simulated targets: knee, collapse, recovery."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from siploadgen.capacity.overload import (
    Curve,
    Level,
    Step,
    analyse,
    as_markdown,
    as_text,
    curve_lines,
    sweep,
)


def levels(steps: list[Step], goodput: Callable[[Step], float], limited: tuple[str, ...] = (),
           ) -> list[Level]:
    return [Level(one.phase, one.rate_per_s, goodput(one), 0, one.up, one.phase in limited)
            for one in steps]


def seconds(steps: list[Step], goodput: Callable[[float, float], float],
            hold_s: int = 0) -> list[dict[str, float]]:
    """One row a second: `goodput` of time and offered rate, seen when calls end."""
    rows = []
    for t in range(int(steps[-1].end_s) + hold_s):
        due = next((one.rate_per_s for one in steps if one.start_s <= t < one.end_s), 0.0)
        then = next((one.rate_per_s for one in steps
                     if one.start_s <= t - hold_s < one.end_s), 0.0)
        rows.append({"t_s": float(t), "length_s": 1.0, "due_per_s": due,
                     "goodput_per_s": goodput(t, then)})
    return rows


STEPS = sweep(100, 600, 6, 4, 10)  # the knee at 300 is reached again at 32 s


def test_stairs() -> None:
    assert [one.phase for one in STEPS] == [
        "up-1", "up-2", "up-3", "up-4", "up-5", "up-6",
        "down-1", "down-2", "down-3", "down-4", "down-5", "rest"]
    assert [one.start_s for one in STEPS] == [4 * number for number in range(12)]
    assert STEPS[8].rate_per_s == 300
    assert STEPS[-1].end_s == 54


def test_a_target_that_sheds_load() -> None:
    curve = analyse(levels(STEPS, lambda one: min(one.rate_per_s, 300)), STEPS,
                    seconds(STEPS, lambda t, rate: min(rate, 300)))
    assert (curve.knee_per_s, curve.peak_per_s, curve.collapse_per_s) == (300, 300, None)
    assert curve.overload_goodput_per_s == 300
    assert curve.recovery_s == 0


def test_a_target_that_collapses_and_recovers_late() -> None:
    def good(one: Step) -> float:
        return one.rate_per_s if one.rate_per_s <= 300 else 320 - 0.5 * (one.rate_per_s - 300)

    ill = range(16, 37)  # seconds in which it does next to nothing
    curve = analyse(levels(STEPS, good), STEPS,
                    seconds(STEPS, lambda t, rate: 5 if t in ill else rate))
    assert curve.knee_per_s == 300
    assert (curve.peak_per_s, curve.peak_at_per_s) == (300, 300)
    assert (curve.collapse_per_s, curve.collapse_goodput_per_s) == (500, 220)
    assert curve.overload_goodput_per_s == 170
    assert curve.recovery_s == 5  # well again from 37 s on


def test_calls_are_held_against_what_was_offered_when_they_began() -> None:
    hold = 3
    curve = analyse(levels(STEPS, lambda one: min(one.rate_per_s, 300)), STEPS,
                    seconds(STEPS, lambda t, rate: min(rate, 300), hold), hold_s=hold)
    # until 35 s calls end that began above the knee
    assert curve.recovery_s == 3


def test_a_relapse_is_no_recovery() -> None:
    ill = {33, 34, 36, 38}
    curve = analyse(levels(STEPS, lambda one: min(one.rate_per_s, 300)), STEPS,
                    seconds(STEPS, lambda t, rate: 0 if t in ill else min(rate, 300)))
    assert curve.recovery_s == 7


def test_a_target_that_does_not_come_back() -> None:
    curve = analyse(levels(STEPS, lambda one: min(one.rate_per_s, 300) if one.up else 0), STEPS,
                    seconds(STEPS, lambda t, rate: 0))
    assert curve.recovery_s is None


def test_nothing_is_said_where_the_generator_was_the_limit() -> None:
    curve = analyse(levels(STEPS, lambda one: min(one.rate_per_s, 450), ("up-5",)), STEPS,
                    seconds(STEPS, lambda t, rate: min(rate, 450)))
    assert (curve.knee_per_s, curve.limited_per_s) == (400, 500)
    assert curve.recovery_s is None
    assert curve_lines(curve)[0][0] == "LIMITED"


def test_the_lowest_level_may_be_too_much() -> None:
    curve = analyse(levels(STEPS, lambda one: 20), STEPS, seconds(STEPS, lambda t, rate: 20))
    assert curve.knee_per_s is None
    assert "even the lowest level" in dict(curve_lines(curve))["knee"]


@pytest.mark.parametrize("render", [as_text, as_markdown])
def test_reports_name_every_level(render: Callable[..., str]) -> None:
    data = {"scenario": {"name": "call"}, "target": {"uri": "sip:x"}, "command": ["siploadgen"],
            "started_at": "now", "environment": {"cpu": "c", "cores": 2, "kernel": "k",
                                                 "version": "1"},
            "curve": {name: getattr(Curve(300, 310, 400, 500, 120, 100, 2.5, None), name)
                      for name in Curve.__slots__},
            "levels": [{"phase": one.phase, "offered_per_s": one.rate_per_s, "failed": 3,
                        "goodput_per_s": 50.0, "up": one.up, "limited": False, "p99_us": 1500}
                       for one in STEPS]}
    text = render(data)
    assert all(one.phase in text for one in STEPS)
    assert "at 500/s offered, where goodput is 120/s" in text
    assert "2.5 s after the offered rate was back" in text
