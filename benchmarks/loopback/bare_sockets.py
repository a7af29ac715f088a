"""The machine's ceiling: six-datagram calls over bare sockets, without GSO, with it, and with GRO.

Compiles bare_sockets.c, runs the modes in turn several times and prints one JSON object with the
least, the middle and the greatest of each figure. The modes take turns so that a busy minute of the
machine hits all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix(".c")
MODES = {
    "plain": ["--window", "512"],
    "gso": ["--window", "2048", "--gso"],
    "gso_gro": ["--window", "2048", "--gso", "--gro"],
}
FIGURES = ("calls_per_s", "messages_per_s", "calls_per_cpu_s", "lost_calls")


def compiled(folder: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        sys.exit("bare_sockets: no C compiler: apt-get install gcc")
    program = folder / "bare_sockets"
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-pthread"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(program)], check=True)
    return program


def run(program: Path, options: list[str], seconds: float) -> dict[str, Any]:
    command = [str(program), *options, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    if not done.stdout:
        sys.exit(f"bare_sockets: {done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    cpu = figures["caller_cpu_s"] + figures["answerer_cpu_s"]
    figures["calls_per_cpu_s"] = round(figures["calls"] / cpu) if cpu else 0
    return figures


def spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def measure(
    runs: int, seconds: float, sizes: str | None = None, cores: str | None = None
) -> dict[str, Any]:
    extra = [*(["--sizes", sizes] if sizes else []), *(["--cores", cores] if cores else [])]
    seen: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        for _ in range(runs):
            for mode, options in MODES.items():
                seen[mode].append(run(program, [*options, *extra], seconds))
    return {
        "benchmark": "bare_sockets",
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "runs": runs,
        "seconds": seconds,
        "sizes": seen["plain"][0]["sizes"],
        "modes": {
            mode: {name: spread([figures[name] for figures in results]) for name in FIGURES}
            for mode, results in seen.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run")
    parser.add_argument("--sizes", help="octets of INVITE,180,200,ACK,BYE,200")
    parser.add_argument("--cores", help="ANSWERER,CALLER")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.runs, asked.seconds, asked.sizes, asked.cores)))


if __name__ == "__main__":
    main()
