"""Trials in virtual time: two engines of the core, joined by a simulated network, no sockets.

Everything else is that of `siploadgen capacity`: how a trial is prepared, observed and judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from siploadgen.capacity.play import Player, Ready
from siploadgen.capacity.search import Trial
from siploadgen.cli.options import find_model
from siploadgen.cli.trials import Maker
from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.figures import RunRecord, Sample, snapshot
from siploadgen.report.collect import make_collector
from siploadgen.report.limits import parse_limits
from siploadgen.report.thresholds import parse_threshold
from siploadgen.run.streams import make_streams
from siploadgen.units import NANOS
from tests.sim.helpers import answer_program
from tests.sim.network import ANSWERER, CALLER, NEVER, Network

SOCKET = {"gso": True, "gso_group": 32, "gro": True, "timestamps": True, "receive_buffer": 4096}


class Drowsy:
    """An engine whose host lets it act only every so often: its calls start late."""

    def __init__(self, engine: Engine, grid_ns: int) -> None:
        self._engine, self._grid_ns = engine, grid_ns

    def next_event(self) -> int:
        at = int(self._engine.next_event())
        return at if at == NEVER else -(-at // self._grid_ns) * self._grid_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Simulated(Player):
    """A player of trials against an answerer that refuses calls above a rate.

    From `generator_per_s` on the calling host is too slow for what it is asked to do.
    """

    __slots__ = ("generator_per_s", "target")

    def _carry_out(self, ready: Ready, trial: Trial, place: Path | None,
                   ) -> tuple[dict[str, Any], bool]:
        assert place is None
        plan = ready.plan
        collector = make_collector(plan.program, thresholds=self.goals,
                                   limit_values=self.limit_values, series=plan.series)
        caller = Engine(plan.program, **plan.engine_arguments(0, CALLER[1]))
        starts = []
        for stream in make_streams(plan):
            stream.origin_ns = 0
            starts.append(stream.take(2**62))
        caller.schedule(np.concatenate(starts))
        planned = sum(map(len, starts))
        acting: Any = caller if trial.rate < self.generator_per_s else Drowsy(caller, NANOS // 4)
        answerer = Engine(answer_program((), ()), local=ANSWERER, run_id=7, seed=2,
                          max_instances=20_000, max_transactions=80_000, **self.target)
        network = Network(acting, answerer)
        mark = NANOS
        while int(caller.counters[Counter.COUNT_DUE]) < planned or caller.in_progress:
            assert network.step()
            while network.now >= mark:
                copy = snapshot(caller)
                collector.interval(Sample(mark, copy, (copy,)))
                mark += NANOS
        copy = snapshot(caller)
        last = Sample(max(network.now, 1), copy, (copy,), state="ended")
        collector.interval(last)
        load_ns = round(trial.duration_s * NANOS)
        record = RunRecord(
            started_at=1_700_000_000.0, elapsed_ns=max(network.now, load_ns), load_ns=load_ns,
            last=last, sockets=(SOCKET,), cpu_user_s=0.1, cpu_system_s=0.1, interrupted=False,
            local=(CALLER,), memory={"instances": 1})
        return collector.result(record, head=ready.head, load_s=ready.load_s), False


def simulated(ceiling: float = 0.0, *, goals: Sequence[str] = ("failed: rate == 0",),
              generator_per_s: float = float("inf"), model: str = "call",
              target: Mapping[str, Any] | None = None, **options: Any) -> Simulated:
    """A player whose target carries `ceiling` calls a second, and a tenth of that at once."""
    maker = replace(Maker(find_model(model), f"{ANSWERER[0]}:{ANSWERER[1]}", {}), workers="1")
    made = Simulated(maker.trial, [parse_threshold(text) for text in goals], parse_limits([]),
                     sleep=lambda _: None, **options)
    made.generator_per_s = generator_per_s
    made.target = {"rate_limit": ceiling, **(target or {})}
    return made
