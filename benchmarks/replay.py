"""How far starts are from the times of a file that is replayed, on the real clock.

A file of times is made (Poisson, so that some stand close together), played by the `replay`
executor against the answerer on the other core, and the run's own histogram says how late each
call and each request that has a due time left. Wanted: at most 1 ms. Before each turn a process
that does nothing but sleep until such times says what the host itself makes of them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import (  # noqa: E402
    ANSWERER_CORES,
    CALLER_CORES,
    SETTLE_S,
    figure,
    note,
    peers,
    scratch,
    tool,
)

FILE = """version: 1
scenarios:
  again: {{ call: {call}, executor: replay, file: times.csv }}
"""


def write(folder: Path, rate: float, seconds: float, seed: int, call: str) -> tuple[Path, int]:
    """Make the scenario and its file of times; the scenario's path, and how many calls."""
    draw, at, times = random.Random(seed), 0.0, []
    while (at := at + draw.expovariate(rate)) < seconds:
        times.append(at)
    (folder / "times.csv").write_text("at\n" + "".join(f"{at:.9f}\n" for at in times))
    file = folder / "replay.yaml"
    file.write_text(FILE.format(call=call))
    return file, len(times)


def bare(rate: float, seconds: float, seed: int) -> None:
    """Sleep until times of the same kind, in a process of its own; print how late it woke."""
    if not os.fork():
        os.sched_setaffinity(0, CALLER_CORES)
        draw, late = random.Random(seed), []
        at = time.monotonic_ns() + 10_000_000
        for _ in range(int(rate * seconds)):
            at += int(draw.expovariate(rate) * 1e9)
            while (left := at - time.monotonic_ns()) > 0:
                time.sleep(left / 1e9)
            late.append((time.monotonic_ns() - at) / 1000)
        late.sort()
        for name, value in (("p50", late[len(late) // 2]), ("p99", late[int(len(late) * 0.99)]),
                            ("max", late[-1])):
            figure(f"replay.bare_{rate:g}.{name}", round(value), "us", turn=seed - 1)
        note(f"a process that only sleeps, {rate:g}/s: late p50 {late[len(late) // 2]:.0f} us, "
             f"p99 {late[int(len(late) * 0.99)]:.0f} us, max {late[-1]:.0f} us")
        os._exit(0)
    os.wait()


def measure(peer: str, rate: float, seconds: float, turn: int) -> None:
    """Replay once and print what the run measured."""
    with scratch() as folder:
        file, calls = write(folder, rate, seconds, turn + 1, "call")
        answering = (peers.sipp_uas(folder, cores=ANSWERER_CORES) if peer == "sipp" else
                     tool.answering(folder, "--workers", "1", cores=ANSWERER_CORES))
        with answering as answerer, tool.siploadgen(
                folder, "run", str(file), "-t", tool.target(answerer.port), *tool.QUIET,
                "--workers", "1", cores=CALLER_CORES) as caller:
            report = caller.finish(seconds + SETTLE_S)
    late, counted = report["metrics"]["lateness"], report["calls"]
    note(f"{peer} {rate:g}/s turn {turn}: {counted['succeeded']} of {calls} calls, late p50 "
         f"{late['p50_us']} us, p99 {late['p99_us']} us, max {late['max_us']} us, "
         f"{report['verdict']['state']}")
    for name in ("p50_us", "p99_us", "max_us"):
        figure(f"replay.{peer}_{rate:g}.{name.removesuffix('_us')}", late[name], "us", turn=turn,
               calls=calls, succeeded=counted["succeeded"], verdict=report["verdict"]["state"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default="self", help="self, sipp or both, comma separated")
    parser.add_argument("--rates", default="200,2000")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    for peer in options.peers.split(","):
        for rate in (float(word) for word in options.rates.split(",")):
            for turn in range(options.turns):
                bare(rate, options.seconds / 2, turn + 1)
                measure(peer, rate, options.seconds, turn)


if __name__ == "__main__":
    main()
