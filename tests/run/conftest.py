"""The simulated engine is at hand in every test of these floors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run"))

import fake_engine  # noqa: F401
