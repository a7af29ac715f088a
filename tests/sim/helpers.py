"""Runs of a built-in model against the answerer in the simulated network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from siploadgen.compile.program import Program
from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.core.program import Outcome
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.messages import REGISTRAR_SUPPORTED, SUPPORTED
from tests.sim.network import ANSWERER, CALLER, Network, Weather, due_times

TARGET = f"sip:{ANSWERER[0]}:{ANSWERER[1]}"
STORM = Weather(loss=0.05, duplication=0.05, jitter=20_000_000)


Words = tuple[tuple[str, Any], ...]


@cache
def caller_program(model: str, settings: Words) -> Program:
    """Program of the calling side, compiled once: nothing in it depends on the seed."""
    return build_caller(model, target_uri=TARGET, settings=dict(settings))


@cache
def answer_program(settings: Words, answerer: Words) -> Program:
    """Program of the answering side, which is the same for all models."""
    return build_answerer(settings=dict(settings), **dict(answerer))


def words(values: Mapping[str, Any]) -> Words:
    """What may be the key of a cache."""
    return tuple(sorted(values.items()))


@dataclass
class Trial:
    """What to run; `run` gives the network after its end."""

    model: str = "call"
    calls: int = 200
    rate_per_s: float = 1000.0
    settings: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    answerer: Mapping[str, Any] = field(default_factory=dict)
    users: int = 0
    caller_options: Mapping[str, Any] = field(default_factory=dict)
    answerer_options: Mapping[str, Any] = field(default_factory=dict)

    def programs(self) -> tuple[Program, Program]:
        """The calling program and the answering one."""
        return (caller_program(self.model, words(self.settings)),
                answer_program(words(self.answers), words(self.answerer)))

    def network(self, seed: int = 1, weather: Weather | None = None) -> Network:
        """Both engines joined, the schedule handed over, nothing run yet."""
        calling, answering = self.programs()
        sizes = {"max_instances": 20_000, "max_transactions": 80_000,
                 "supported": ", ".join((*SUPPORTED, *REGISTRAR_SUPPORTED))}
        rows = generated_users(calling.columns, self.users) if self.users else None
        caller = Engine(calling, local=CALLER, target=ANSWERER, run_id=0xA0000000 + seed,
                        seed=seed, rows=rows, **{**sizes, **self.caller_options})
        answerer = Engine(answering, local=ANSWERER, run_id=0xB0000000 + seed, seed=seed + 1,
                          **{**sizes, **self.answerer_options})
        network = Network(caller, answerer, weather or Weather(), seed)
        caller.schedule(due_times(self.calls, self.rate_per_s))
        return network

    def run(self, seed: int = 1, weather: Weather | None = None, record: bool = False) -> Network:
        network = self.network(seed, weather)
        network.record = [] if record else None
        network.run()
        return network


def outcomes(counts: Any, program: Program | None = None) -> dict[str, int]:
    """Non-zero outcomes by name; those of the program's own are `user` when it is not given."""
    names = {member.value: member.name.removeprefix("OUTCOME_").lower() for member in Outcome
             if member <= Outcome.OUTCOME_USER}
    if program is not None:
        names.update((Outcome.OUTCOME_USER + i, name)
                     for i, (name, _) in enumerate(program.outcomes))
    found: dict[str, int] = {}
    for number, count in enumerate(counts):
        name = names.get(number, "user")
        if count:
            found[name] = found.get(name, 0) + int(count)
    return found


def counts(engine: Engine) -> dict[str, int]:
    """Non-zero counters by name."""
    return {Counter(i).name.removeprefix("COUNT_").lower(): int(n)
            for i, n in enumerate(engine.counters) if n}
