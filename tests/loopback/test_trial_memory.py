"""What a trial has used is given back when it is over: a search plays a hundred of them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from siploadgen.capacity.play import Player
from siploadgen.capacity.search import Trial
from siploadgen.cli.options import find_model
from siploadgen.cli.trials import Maker
from siploadgen.core import engine
from siploadgen.report.limits import parse_limits
from siploadgen.report.thresholds import parse_threshold

pytestmark = pytest.mark.loopback


class Watched(engine.Engine):  # the compiled class itself cannot be referred to weakly
    """An engine that can be seen to be gone."""


@pytest.mark.parametrize("goal", ["failed: rate == 0", "lateness: p(99) < 60s"])
def test_engines_go_with_their_trial(monkeypatch: pytest.MonkeyPatch, goal: str) -> None:
    """Without the garbage collector, which knows nothing of the engines' mappings."""
    made: list[weakref.ref[Any]] = []

    def make(*given: Any, **named: Any) -> Watched:
        one = Watched(*given, **named)
        made.append(weakref.ref(one))
        return one

    monkeypatch.setattr(engine, "Engine", make)
    player = Player(Maker(find_model("options"), None, {}).trial, [parse_threshold(goal)],
                    parse_limits(["late_start_p99=10s"]), settle_ns=0)
    gc.disable()
    try:
        for _ in range(2):
            player.play(Trial(50, 0.1))
            assert made
            assert [one() for one in made] == [None] * len(made)
    finally:
        gc.enable()
