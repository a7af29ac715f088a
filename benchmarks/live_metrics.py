"""What live metrics cost: a Prometheus endpoint that is read each second, against none.

Caller on core 0, answerer on core 1, so many calls open that the caller's core is never idle; short
turns, with and without, one after the other. The kernel's own account of each thread says what the
threads beside the engine took (`schedstat`, ns): the cost is what they took more of the core with
the endpoint, the median over pairs of turns. With it goes the ratio of calls a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "versus_sipp")]

from common import ANSWERER_CORES, CALLER_CORES, figure, note, peers, scratch, tool  # noqa: E402

FILE = """version: 1
scenarios:
  full: {{ call: call, executor: constant-calls, calls: {calls}, duration: {seconds:g}s }}
"""
EDGE_S = 1.5  # at both ends of a turn, which are not counted


def beside_engine_ns(pid: int) -> int:
    """Time on a core of all threads but the one that had most."""
    took = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            took.append(int((task / "schedstat").read_text().split()[0]))
        except OSError:  # it has just ended
            continue
    return sum(took) - max(took, default=0)


def turn(port: int, folder: Path, live: bool, seconds: float) -> dict[str, float]:
    """Play once: share of the core beside the engine, calls a second."""
    metrics = peers.free_port()
    scenario = folder / "full.yaml"
    command = ["taskset", "-c", ",".join(map(str, CALLER_CORES)), sys.executable, "-m",
               "siploadgen", "run", str(scenario), "-t", tool.target(port), "--workers", "1",
               "--ui", "none", "--out", f"json={folder}/run.json"]
    if live:
        command += ["--out", f"prometheus={metrics}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        scrapes, octets, marks = 0, 0, []
        begun = None
        while process.poll() is None:
            time.sleep(0.05)
            took = beside_engine_ns(process.pid)
            now = time.monotonic()
            if begun is None:  # the engine has not started while one thread is all there is
                if len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1:
                    begun = now
                continue
            if EDGE_S <= now - begun <= seconds - EDGE_S:
                marks.append((now, took))
            if live and now - begun > scrapes + 1:
                scrapes += 1
                try:
                    octets = len(urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5).read())
                except OSError:
                    break
        process.wait(60)
    result = json.loads((folder / "run.json").read_text())
    (first, before), (last, after) = marks[0], marks[-1]
    return {"share": (after - before) / 1e9 / (last - first), "scrapes": scrapes,
            "octets": octets, "calls_per_s": result["calls"]["succeeded"] / result["load_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--open", type=int, default=1000, help="calls held open")
    options = parser.parse_args()
    shares, ratios, turns = [], [], []
    with scratch() as folder, tool.answering(folder, "--workers", "1",
                                             cores=ANSWERER_CORES) as answerer:
        (folder / "full.yaml").write_text(FILE.format(calls=options.open, seconds=options.seconds))
        for pair in range(options.pairs):
            order = (True, False) if pair % 2 else (False, True)
            found = {live: turn(answerer.port, folder, live, options.seconds) for live in order}
            shares.append(found[True]["share"] - found[False]["share"])
            ratios.append(found[True]["calls_per_s"] / found[False]["calls_per_s"])
            turns.append(found[True])
            note(f"pair {pair}: beside the engine {found[True]['share']:.2%} of the core with, "
                 f"{found[False]['share']:.2%} without; calls/s with to without {ratios[-1]:.3f}")
    figure("live_metrics.share_of_core", round(statistics.median(shares), 5), "share",
           least=round(min(shares), 5), most=round(max(shares), 5),
           scrapes=sum(one["scrapes"] for one in turns), octets=turns[-1]["octets"])
    figure("live_metrics.calls_with_to_without", round(statistics.median(ratios), 3), "ratio",
           least=round(min(ratios), 3), most=round(max(ratios), 3))


if __name__ == "__main__":
    main()
