"""Every file of `scenarios/` and its answering side, in good and bad networks; and its messages.

The answering side is what the file has under `answers:`, else the embedded answerer.
`SIPLOADGEN_GOLDEN=write` writes the messages anew.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import templates_listing
from siploadgen.compile.path import success_cost
from siploadgen.compile.program import Program
from siploadgen.config.job import build, load_job
from siploadgen.core.engine import Engine
from siploadgen.core.program import Outcome
from siploadgen.load.executors import ConstantCalls
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer
from siploadgen.model.located import load, read_text
from siploadgen.model.python import CallModel
from siploadgen.model.scenario import Role
from siploadgen.model.yaml import STEPS
from siploadgen.run.hooks import hook_arguments
from tests.sim.network import ANSWERER, CALLER, Network, Weather, drained, due_times

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios"
GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".yaml", ".py"))
# What is told of one user on a leg because of another leg: tests/interop plays it with Kamailio.
PLAYED = [file for file in FILES if file != "publish_and_watch.py"]
TARGET = f"sip:{ANSWERER[0]}:{ANSWERER[1]}"
LOSS = Weather(loss=0.05, jitter=10_000_000)
CALLS = 20
# Ends that are wanted though they are no success, by file.
ENDS: dict[str, set[str]] = {}
# What the loss of a message may lead to besides.
LOSSY: dict[str, set[str]] = {
    "presence-watch.yaml": {"unsubscribed"},  # the last NOTIFY came after its subscriber had gone
}
# Calls that the engine answers by itself: no `answers:` hears of them.
SILENT = {"other-methods", "stun-keepalive"}


@cache
def models(file: str) -> dict[str, CallModel]:
    job = load_job(str(FOLDER / file))
    return {**{f"answer {name}": one for name, one in job.answers.items()}, **job.calls}


@cache
def programs(file: str) -> tuple[dict[str, Program], Program]:
    """The callers, by name, and whom they call."""
    sides = models(file).values()
    answers = [one.record() for one in sides if one.role is Role.ANSWERER]
    return ({one.name: compile_scenarios(one.record(target=TARGET)) for one in sides
             if one.role is Role.CALLER},
            compile_scenarios(*answers) if answers else build_answerer())


def ends(counted: object, program: Program) -> dict[str, int]:
    """Outcomes by name; those that are a success have the same one."""
    found: dict[str, int] = {}
    for number, count in enumerate(counted):  # type: ignore[arg-type]
        if count:
            good = number == Outcome.OUTCOME_SUCCEEDED or (
                number >= Outcome.OUTCOME_USER and program.outcome_ok(number))
            name = "succeeded" if good else program.outcome_name(number)
            found[name] = found.get(name, 0) + int(count)
    return found


def play(calling: Program, answering: Program, seed: int, weather: Weather) -> Network:
    """Run calls to their end."""
    rows = generated_users(calling.columns, CALLS * 2) if calling.columns else None
    caller = Engine(calling, local=CALLER, target=ANSWERER, run_id=0xA0000000 + seed, seed=seed,
                    rows=rows, max_instances=4000, max_transactions=20_000,
                    **hook_arguments(calling))
    answerer = Engine(answering, local=ANSWERER, run_id=0xB0000000 + seed, seed=seed + 1,
                      max_instances=4000, max_transactions=20_000)
    network = Network(caller, answerer, weather, seed)
    caller.schedule(due_times(CALLS, 50.0))
    network.run()
    return network


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("file", PLAYED)
def test_calls_end_as_they_should(file: str, seed: int) -> None:
    """Seed 0 is a network without faults; the others lose 5 % of all datagrams."""
    calling, answering = programs(file)
    assert calling, "a file without a call"
    allowed = {"succeeded"} | ENDS.get(file, set()) | (LOSSY.get(file, set()) if seed else set())
    for name, program in calling.items():
        network = play(program, answering, seed, LOSS if seed else Weather())
        found = ends(network.caller.outcomes, program)
        assert sum(found.values()) == CALLS
        assert set(found) <= allowed, f"{name}, seed {seed}: {found}"
        heard = ends(network.answerer.answered_outcomes, answering)
        assert set(heard) <= allowed, f"answers of {name}, seed {seed}: {heard}"
        if not seed:
            assert heard or name in SILENT
            assert found.get("succeeded") or file in ENDS
        drained(network.caller)
        drained(network.answerer)


@pytest.mark.parametrize("file", FILES)
def test_it_can_be_run_as_it_is(file: str) -> None:
    """As `run FILE --rate ... --duration ...` does it."""
    executor = ConstantCalls(1, 1_000_000_000)
    assert build(load_job(str(FOLDER / file)), TARGET, executor).workloads


@pytest.mark.parametrize("file", FILES)
def test_what_its_calls_cost_can_be_told(file: str) -> None:
    for program in programs(file)[0].values():
        cost = success_cost(program)
        assert cost.sent > 0
        assert cost.sent_octets > 0


@pytest.mark.parametrize("file", FILES)
def test_messages_are_as_kept(file: str) -> None:
    calling, answering = programs(file)
    text = "".join(f"=== {name} ===\n{templates_listing(one)}" for name, one in calling.items())
    if any(one.role is Role.ANSWERER for one in models(file).values()):
        text += f"=== answers ===\n{templates_listing(answering)}"
    kept = GOLDEN / f"{file}.txt"
    if os.environ.get("SIPLOADGEN_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        kept.write_text(text)
    assert kept.read_text() == text


def test_together_they_use_every_step() -> None:
    used: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, str):
            used.add(node)
        elif isinstance(node, list):
            for one in node:
                walk(one)
        elif isinstance(node, dict):
            used.add(str(next(iter(node), "")))
            for value in node.values():
                walk(value)

    for file in FILES:
        if file.endswith(".yaml"):
            root = load(read_text(FOLDER / file), file)
            walk([*root["calls"].values(), *root.get("answers", {}).values()])
    assert not set(STEPS) - used


def test_none_is_kept_for_nothing() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{file}.txt" for file in FILES}


@pytest.mark.parametrize("file", FILES)
def test_it_is_in_the_list(file: str) -> None:
    """README.md has one line for each, and says what the file says of itself."""
    lines = (FOLDER / "README.md").read_text().splitlines()
    assert sum(f"]({file})" in line for line in lines) == 1


@pytest.mark.parametrize("file", FILES)
def test_it_begins_with_what_it_is(file: str) -> None:
    first = (FOLDER / file).read_text().splitlines()[0]
    assert first.startswith(("# ", '"""'))
    assert len(first) > 20
