"""The same call as a YAML file, a Python file and the built-in model; and a call that does more.

The three are one program (`same_program`: their digests are equal), so that any difference in speed
would be one of what is around it. Short turns one after the other, in changing order, each in a
process of its own: caller on core 0, answerer on core 1, so many calls open that the caller's core
is never idle. Of each: calls in a second of that core (the engine's and the kernel's work for it,
not start and report), and its ratio to the built-in model of the same round: the median of all
rounds, and the interval that holds it with 95 % (order statistics). Of the call with credentials,
captures, variables and two legs: messages in a second of that core, as a ratio to those of the
plain call in the same round; it has a turn in every fourth round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import ANSWERER_CORES, CALLER_CORES, figure, note, scratch, tool  # noqa: E402

CALLS = ("builtin", "yaml", "python", "rich")
TWINS = ROOT / "tests" / "model" / "twins" / "callers.yaml"
RICH_EACH = 4  # rounds


def model(what: str) -> Any:
    """Read a call model out of the package, of YAML or of a Python file."""
    from siploadgen.config.job import load_job
    from siploadgen.model.builtin import MODELS
    from siploadgen.model.located import load, read_text
    from siploadgen.model.yaml import call_models

    if what == "builtin":
        return MODELS["call"].caller
    if what == "yaml":
        return call_models(load(read_text(TWINS), TWINS.name), TWINS.name)["call"]
    file = (ROOT / "siploadgen" / "model" / "builtin" / "call.py" if what == "python"
            else ROOT / "benchmarks" / "languages" / "rich.yaml")
    return next(iter(load_job(str(file)).calls.values()))


def digest(what: str) -> str:
    """Tell what is executed, whatever it was written in."""
    from siploadgen.compile.assemble import compile_scenarios

    return compile_scenarios(model(what).record(target="sip:127.0.0.1:5060")).digest


def interval(ratios: list[float]) -> tuple[float, float]:
    """95 % interval of a median: values whose ranks a fair coin leaves in the middle."""
    ordered, reach = sorted(ratios), 0.98 * len(ratios) ** 0.5
    low = max(int(len(ordered) / 2 - reach), 0)
    return ordered[low], ordered[-1 - low]


def turn(what: str, target: str, open_calls: int, seconds: float) -> dict[str, float]:
    """Play one kind of call, in this process; what a second of the caller's core did."""
    from siploadgen import Run, constant_calls

    result = (Run(target, workers=1).add(model(what), constant_calls(open_calls, f"{seconds}s"))
              .execute().to_dict())
    counted, generator, messages = result["calls"], result["generator"], result["messages"]
    cpu_s = generator["cpu_user_s"] + generator["cpu_system_s"]
    carried = sum(messages["sent"].values()) + sum(messages["received"].values())
    return {"calls_per_s": counted["succeeded"] / cpu_s, "messages_per_s": carried / cpu_s,
            "calls": counted["succeeded"], "failed": sum(counted["failed"].values()),
            "again": messages["retransmitted"], "busy": generator["loop_busy"] or 0.0}


def taken(what: str, port: int, open_calls: int, seconds: float) -> dict[str, float]:
    """Play a turn in a process of its own, on the caller's core."""
    command = ["taskset", "-c", ",".join(map(str, CALLER_CORES)), sys.executable, __file__,
               "--turn", what, "--target", tool.target(port), "--open", str(open_calls),
               "--seconds", f"{seconds:g}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--open", type=int, default=1000, help="calls held open")
    parser.add_argument("--turn", choices=CALLS, help="one turn, which prints its JSON")
    parser.add_argument("--target")
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(turn(options.turn, options.target, options.open, options.seconds)))
        return
    figure("languages.same_program",
           int(digest("builtin") == digest("yaml") == digest("python")), "yes or no")
    rounds: list[dict[str, dict[str, float]]] = []
    with scratch() as folder, tool.answering(folder, "--workers", "1",
                                             cores=ANSWERER_CORES) as answerer:
        for number in range(options.rounds):
            names = [what for what in CALLS if what != "rich" or number % RICH_EACH == 0]
            place = number % len(names)
            found = {what: taken(what, answerer.port, options.open, options.seconds)
                     for what in names[place:] + names[:place]}
            rounds.append(found)
            note(f"round {number}: " + ", ".join(
                f"{what} {one['calls_per_s']:,.0f}/s of CPU ({one['busy']:.0%} busy, "
                f"{one['failed']:.0f} failed)" for what, one in sorted(found.items())))
    for what in CALLS:
        turns = [one[what] for one in rounds if what in one]
        figure(f"languages.{what}", round(statistics.median(
            one["calls_per_s"] for one in turns)), "calls/s of a core", rounds=len(turns),
            calls=round(sum(one["calls"] for one in turns)),
            failed=round(sum(one["failed"] for one in turns)))
    for what, key in (("yaml", "calls_per_s"), ("python", "calls_per_s"),
                      ("rich", "messages_per_s")):
        ratios = [one[what][key] / one["builtin"][key] for one in rounds if what in one]
        low, high = interval(ratios)
        name = "rich_to_plain_messages" if what == "rich" else f"{what}_to_builtin"
        figure(f"languages.{name}", round(statistics.median(ratios), 3), "ratio",
               low=round(low, 3), high=round(high, 3))


if __name__ == "__main__":
    main()
