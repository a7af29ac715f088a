"""`siploadgen run MODEL --self`, as a user types it: every model, over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from siploadgen.model.builtin import MODELS
from tests.interop.tool import QUIET, UNHURRIED, no_stray, nothing_lost, siploadgen
from tests.matrix import arguments

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(60)]

CALLS = 200
# the call that was asked for goes on after who asked for it has left
OUTLIVED = ("transfer-blind", "transfer-attended", "refer")
UNWANTED = ("malformed", "unexpected", "dialog_mismatch", "oversize")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_needs_nothing_but_itself(tmp_path: Path, name: str) -> None:
    with siploadgen(tmp_path, "run", name, "--self", "--rate", "1000/s", "--calls", str(CALLS),
                    *QUIET, *UNHURRIED, *arguments(name)) as tool:
        report = tool.finish(45)
    nothing_lost(report, CALLS)
    assert report["calls"]["failed"] == {}
    assert report["answerer"]["calls"] > 0
    assert report["answerer"]["in_progress"] == 0 or name in OUTLIVED
    no_stray(report, report["answerer"])
    for messages in (report["messages"], report["answerer"]["messages"]):
        assert not {word: messages[word] for word in UNWANTED if messages[word]}


@pytest.mark.parametrize("name", OUTLIVED)
def test_a_burst_finds_room_on_the_answering_side(tmp_path: Path, name: str) -> None:
    """All calls at once, as after a pause; each is answered by up to three instances."""
    with siploadgen(tmp_path, "run", name, "--self", "--rate", "20000/s", "--calls", str(CALLS),
                    *QUIET, *UNHURRIED, *arguments(name)) as tool:
        report = tool.finish(45)
    nothing_lost(report, CALLS)
    assert "503/INVITE" not in report["answerer"]["messages"]["sent"]
