"""The hot paths do not become slower unnoticed: instructions of a call and of a registration.

`benchmarks/micro/instructions.json` holds what each compiler's release build took when it was last
recorded (`instructions.py --record`, in the commit that makes the difference, and says why). With a
compiler that is not there, each figure is compared by its relation to that of a stray response,
in which the compilers known differ less than in the figures themselves.
"""

from __future__ import annotations

import json
import shutil

import pytest

from benchmarks.micro.instructions import KEPT, YARDSTICK, compiler, count
from tests.conftest import absent

pytestmark = [pytest.mark.ratchet, pytest.mark.timeout(600)]

MARGIN = 0.10
MARGIN_OF_ANOTHER = 0.25


def excess(found: dict[str, float], kept: dict[str, dict[str, float]],
           mine: str) -> dict[str, float]:
    """By which share each figure is above what it may be at most; empty: none is."""
    margin, scale = MARGIN, 1.0
    known = kept.get(mine)
    if known is None:
        known = kept[min(kept)]
        margin, scale = MARGIN_OF_ANOTHER, found[YARDSTICK] / known[YARDSTICK]
    shares = {name: value / (known[name] * scale) - 1 - margin for name, value in found.items()}
    return {name: round(share + margin, 3) for name, share in shares.items() if share > 0}


def test_a_call_and_a_registration_cost_what_they_did() -> None:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        absent("valgrind", "apt-get install valgrind")
    found = count(valgrind)
    too_many = excess(found, json.loads(KEPT.read_text()), compiler())
    assert not too_many, f"of {found}"


def test_what_is_too_much() -> None:
    kept = {"gcc-1-x": {"call": 1000.0, YARDSTICK: 100.0}}
    assert excess({"call": 1099.0, YARDSTICK: 100.0}, kept, "gcc-1-x") == {}
    assert excess({"call": 1120.0, YARDSTICK: 100.0}, kept, "gcc-1-x") == {"call": 0.12}
    assert excess({"call": 2400.0, YARDSTICK: 200.0}, kept, "gcc-2-x") == {}
    assert excess({"call": 1300.0, YARDSTICK: 100.0}, kept, "gcc-2-x") == {"call": 0.3}
