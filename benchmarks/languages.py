"""The same call as a YAML file, a Python file and the built-in model; and a call that does more.

Short turns one after the other, each in a process of its own: caller on core 0, answerer on core 1,
so many calls open that the caller's core is never idle. Of each: calls in a second of that core
(the engine's and the kernel's work for it, not start and report), and its ratio to the built-in
model of the same round. Of the call with credentials, captures, variables and two legs: messages in
a second of that core, as a ratio to those of the plain call in the same round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import ANSWERER_CORES, CALLER_CORES, figure, note, scratch, tool  # noqa: E402

FILES = ROOT / "benchmarks" / "languages"
CALLS = {"builtin": "call", "yaml": str(FILES / "plain.yaml"), "python": str(FILES / "plain.py"),
         "rich": str(FILES / "rich.yaml")}


def digest(what: str) -> str:
    """Tell what is executed, whatever it was written in."""
    from siploadgen.compile.assemble import compile_scenarios
    from siploadgen.config.job import load_job

    model = next(iter(load_job(CALLS[what]).calls.values()))
    return compile_scenarios(model.record(target="sip:127.0.0.1:5060")).digest


def turn(what: str, target: str, open_calls: int, seconds: float) -> dict[str, float]:
    """Play one kind of call, in this process; what a second of the caller's core did."""
    from siploadgen import Run, constant_calls
    from siploadgen.config.job import load_job

    model = CALLS[what]
    chosen = model if what == "builtin" else next(iter(load_job(model).calls.values()))
    result = (Run(target, workers=1).add(chosen, constant_calls(open_calls, f"{seconds}s"))
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
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--open", type=int, default=1000, help="calls held open")
    parser.add_argument("--turn", choices=CALLS, help="one turn, which prints its JSON")
    parser.add_argument("--target")
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(turn(options.turn, options.target, options.open, options.seconds)))
        return
    figure("languages.same_program", int(digest("yaml") == digest("python")), "yes or no")
    rounds: list[dict[str, dict[str, float]]] = []
    names = list(CALLS)
    with scratch() as folder, tool.answering(folder, "--workers", "1",
                                             cores=ANSWERER_CORES) as answerer:
        for number in range(options.rounds):
            order = names[number % len(names):] + names[:number % len(names)]
            found = {what: taken(what, answerer.port, options.open, options.seconds)
                     for what in order}
            rounds.append(found)
            note(f"round {number}: " + ", ".join(
                f"{what} {one['calls_per_s']:,.0f}/s of CPU ({one['busy']:.0%} busy, "
                f"{one['failed']:.0f} failed)" for what, one in sorted(found.items())))
    for what in names:
        figure(f"languages.{what}", round(statistics.median(
            one[what]["calls_per_s"] for one in rounds)), "calls/s of a core",
            rounds=len(rounds), calls=round(sum(one[what]["calls"] for one in rounds)),
            failed=round(sum(one[what]["failed"] for one in rounds)))
    for what in ("yaml", "python"):
        ratios = [one[what]["calls_per_s"] / one["builtin"]["calls_per_s"] for one in rounds]
        figure(f"languages.{what}_to_builtin", round(statistics.median(ratios), 3), "ratio",
               least=round(min(ratios), 3), most=round(max(ratios), 3))
    ratios = [one["rich"]["messages_per_s"] / one["builtin"]["messages_per_s"] for one in rounds]
    figure("languages.rich_to_plain_messages", round(statistics.median(ratios), 3), "ratio",
           least=round(min(ratios), 3), most=round(max(ratios), 3))


if __name__ == "__main__":
    main()
