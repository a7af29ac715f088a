"""How late calls start beside the thread that samples, by how that thread gives way.

Caller on core 0, answerer on core 1. Two scenes: `full`, where the engine has its core to itself
and as many calls as it carries, and `beside`, where a process that never rests shares the core. Of
each policy: lateness of the calls, and the longest time between two samples, which are due every
second. A turn of each policy after the other, so that the machine's moods are shared.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import ANSWERER_CORES, CALLER_CORES, SETTLE_S, figure, note, scratch, tool  # noqa: E402

# Name: (policy, niceness added); `now` is what the code has.
POLICIES = {"now": None, "idle": (os.SCHED_IDLE, 0), "batch+19": (os.SCHED_BATCH, 19),
            "batch+10": (os.SCHED_BATCH, 10), "other+10": (os.SCHED_OTHER, 10),
            "other": (os.SCHED_OTHER, 0)}
PINNED = ("taskset", "-c", ",".join(map(str, CALLER_CORES)))
START = ("import siploadgen.run.worker as w\n"
         "w.GIVE_WAY = {}\n"
         "from siploadgen.cli import main\n"
         "main()")


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep the caller's core busy with so many processes."""
    loops = [subprocess.Popen([*PINNED, sys.executable, "-c", "while True: pass"])
             for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def trial(policy: str, rate: float, seconds: float, neighbours: int) -> dict[str, float]:
    """Run once; lateness in us, longest interval in s."""
    given = POLICIES[policy]
    code = START.format(given) if given else "from siploadgen.cli import main\nmain()"
    with scratch() as folder, tool.answering(folder, "--workers", "1",
                                             cores=ANSWERER_CORES) as answerer:
        command = [*PINNED, sys.executable, "-c", code, "run", "options", "-t",
                   tool.target(answerer.port), "--rate", f"{rate:g}/s", "--duration",
                   f"{seconds:g}s", "--workers", "1", "--ui", "none", "--out", f"{folder}/out/"]
        with busy(neighbours):
            subprocess.run(command, cwd=ROOT, timeout=seconds + SETTLE_S + 60, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        report = json.loads((folder / "out" / "run.json").read_text())
        rows = [json.loads(line)
                for line in (folder / "out" / "intervals.ndjson").read_text().splitlines()]
    late = report["metrics"]["lateness"]
    return {"p50_us": late["p50_us"], "p99_us": late["p99_us"], "max_us": late["max_us"],
            "interval_s": max(row["length_s"] for row in rows),
            "busy": report["generator"]["loop_busy"] or 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", default="now,idle")
    parser.add_argument("--full-rate", type=float, default=100_000)
    parser.add_argument("--beside-rate", type=float, default=2_000)
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    scenes = {"full": (options.full_rate, 0), "beside": (options.beside_rate, options.neighbours)}
    for scene, (rate, neighbours) in scenes.items():
        taken: dict[str, list[dict[str, float]]] = {}
        for turn in range(options.turns):
            for policy in options.policies.split(","):
                found = trial(policy, rate, options.seconds, neighbours)
                taken.setdefault(policy, []).append(found)
                note(f"{scene} {policy:10} turn {turn}: " + ", ".join(
                    f"{name} {value:.6g}" for name, value in found.items()))
        for policy, turns in taken.items():
            for name in ("p50_us", "p99_us", "max_us", "interval_s"):
                values = [one[name] for one in turns]
                figure(f"sampling.{scene}.{policy}.{name}", round(statistics.median(values), 3),
                       name.rpartition("_")[2], worst=max(values), rate=rate,
                       neighbours=neighbours, turns=len(turns))


if __name__ == "__main__":
    main()
