"""Runs benchmarks and keeps their figures.

    run.py                       all of them
    run.py micro versus_sipp     these groups
    run.py versus_sipp/memory    this one (further arguments after `--` go to it)
    run.py models                this one, which is a group by itself

A benchmark is a script in one of the groups that prints one JSON object a line for each figure:
{"name": ..., "value": ..., "unit": ...} and what else is worth knowing. The driver adds when and
where, and writes results/GROUP-SCRIPT.json: one figure a line, those of the last run.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GROUPS = ("micro", "loopback", "versus_sipp", "models", "languages", "replay",
          "live_metrics")
HELPERS = {"common.py", "driver.py", "__init__.py"}
LIMIT_S = 1800


def scripts(wanted: list[str]) -> list[Path]:
    """Scripts of the wanted groups, or the ones named GROUP/SCRIPT."""
    found = []
    for word in wanted or GROUPS:
        group, _, name = word.partition("/")
        alone = HERE / f"{group}.py"
        if name or alone.exists():
            found.append(HERE / group / f"{name.removesuffix('.py')}.py" if name else alone)
        else:
            found += sorted(path for path in (HERE / group).glob("*.py")
                            if path.name not in HELPERS)
    return found


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def conditions() -> dict[str, object]:
    """What a figure depends on besides the code."""
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": commit,
            "kernel": platform.release(), "python": platform.python_version(),
            "cpu": cpu_model(), "cpus": os.cpu_count()}


def run(script: Path, arguments: list[str]) -> bool:
    """Run one, keep its figures; True when it ended well."""
    name = script.relative_to(HERE).with_suffix("")
    print(f"== {name}", file=sys.stderr, flush=True)
    around = conditions()
    lines = []
    with subprocess.Popen([sys.executable, str(script), *arguments], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("{"):
                lines.append({**json.loads(line), **around})
        code = process.wait(LIMIT_S)
    if lines:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (results / f"{'-'.join(name.parts)}.json").write_text(text)
    return code == 0


def main() -> int:
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    failed = [script for script in scripts(words[:cut]) if not run(script, words[cut + 1:])]
    for script in failed:
        print(f"failed: {script.relative_to(HERE)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
