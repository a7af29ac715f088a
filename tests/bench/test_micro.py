"""The small benchmarks run: what they measure is judged nowhere here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("script", "figure"), [
    ("parse.py", "ns"), ("stamp.py", "build_ns"), ("tx.py", "ns_per_event")])
def test_a_small_benchmark_gives_its_figures(script: str, figure: str) -> None:
    options = ["--rounds", "1000", "--repeats", "1"] if script == "tx.py" else []
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "micro" / script, *options],
                          capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])[figure]
