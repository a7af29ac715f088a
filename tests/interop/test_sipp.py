"""A hundred thousand calls with the incumbent, in each role. None may be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import HERE, kamailio, sipp_uac, sipp_uas
from tests.interop.tool import (
    QUIET,
    UNHURRIED,
    answering,
    calling,
    hang_up,
    nothing_lost,
    siploadgen,
)

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 100_000
RATE = 4_000  # a second; what a noisy machine with two cores carries on both sides without a loss


@pytest.mark.quiet
def test_siploadgen_calls_sipp(tmp_path: Path, peers: dict[str, str]) -> None:
    with (sipp_uas(tmp_path) as sipp,
          calling(tmp_path, sipp.port, "--rate", f"{RATE}/s", "--calls", str(CALLS),
                  "--set", "hold=0s") as tool):
        report = tool.finish(120)
        stats = sipp.quit()
    nothing_lost(report, CALLS)
    sent = report["messages"]["sent"]
    again = report["messages"]["retransmitted"]
    assert CALLS <= sent["INVITE"] <= CALLS + again
    assert sent["ACK"] >= CALLS
    assert CALLS <= sent["BYE"] <= CALLS + again
    assert stats.created == CALLS
    assert stats.failed == 0, sipp.log()


@pytest.mark.quiet
def test_sipp_calls_siploadgen(tmp_path: Path, peers: dict[str, str]) -> None:
    with answering(tmp_path) as tool:
        with sipp_uac(tmp_path, tool.port, rate=RATE, calls=CALLS) as sipp:
            stats = sipp.wait(120)
        report = hang_up(tool)
    assert (stats.successful, stats.failed) == (CALLS, 0), sipp.log()
    assert report["calls"]["succeeded"] == CALLS, report["calls"]
    assert sum(report["calls"]["failed"].values()) == 0
    assert report["messages"]["malformed"] == 0
    assert report["messages"]["received"]["INVITE"] >= CALLS


def test_sipp_with_routes_calls_siploadgen(tmp_path: Path, peers: dict[str, str]) -> None:
    """The answering side gives a recorded route back, or the BYE would not find its way."""
    calls = 1_000
    with (answering(tmp_path, "--answer-after", "20ms") as tool,
          kamailio(tmp_path, "proxy", target=tool.port) as proxy):
        with sipp_uac(tmp_path, proxy, rate=200, calls=calls,
                      scenario=HERE / "sipp" / "caller.xml") as sipp:
            stats = sipp.wait(60)
        report = hang_up(tool)
    assert (stats.successful, stats.failed) == (calls, 0), sipp.log()
    assert report["calls"]["succeeded"] == calls


def test_one_call_with_itself(tmp_path: Path) -> None:
    """The first thing that anybody types."""
    with siploadgen(tmp_path, "run", "call", "--self", "--calls", "1", *QUIET,
                    *UNHURRIED) as tool:
        report = tool.finish(60)
    nothing_lost(report, 1)
