"""REFER with SIPp at the other end, in both directions, read by tshark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import (
    HERE,
    HOST,
    capture,
    kamailio,
    nothing_malformed,
    sipp_uac,
    sipp_uas,
)
from tests.interop.tool import answering, calling, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

CALLS = 50
SIPP = HERE / "sipp"
RATE = ("--rate", "100/s", "--calls", str(CALLS), "--gso", "off", "--workers", "1")


@pytest.mark.parametrize(("scenario", "notifies"), [("transferor", 2), ("quiet-referrer", 0)])
def test_sipp_refers_us(tmp_path: Path, peers: dict[str, str], scenario: str,
                        notifies: int) -> None:
    """We call whom SIPp named and tell how it went, unless it did not want to know."""
    with answering(tmp_path, "--gso", "off", "--workers", "1") as tool:
        with (capture(tmp_path, tool.port) as taken,
              sipp_uac(tmp_path, tool.port, rate=100, calls=CALLS,
                       scenario=SIPP / f"{scenario}.xml",
                       extra=("-key", "goal", f"sip:transfer-target@{HOST}:{tool.port}")) as sipp):
            stats = sipp.wait(40)
        report = hang_up(tool)
    assert (stats.successful, stats.failed) == (CALLS, 0), sipp.log()
    assert report["calls"]["failed"] == {}
    # the transferee, where there is a call with it, and the call that it made, at both its ends
    assert report["messages"]["received"]["200/BYE"] >= CALLS
    sent = report["messages"]["sent"]
    assert notifies * CALLS <= sent.get("NOTIFY", 0) <= (notifies + 1) * CALLS * bool(notifies)
    assert not nothing_malformed(taken)


@pytest.mark.parametrize(("outcome", "ends"), [("200 OK", "succeeded"),
                                               ("486 Busy Here", "transfer_failed")])
def test_we_refer_sipp(tmp_path: Path, peers: dict[str, str], outcome: str, ends: str) -> None:
    with (sipp_uas(tmp_path, scenario=SIPP / "transferee.xml",
                   extra=("-key", "outcome", outcome)) as sipp,
          capture(tmp_path, sipp.port) as taken,
          calling(tmp_path, sipp.port, *RATE, model="transfer-blind") as tool):
        report = tool.finish(40)
        stats = sipp.quit()
    calls = report["calls"]
    assert {"succeeded": calls["succeeded"], **calls["failed"]}[ends] == CALLS, calls
    assert (stats.created, stats.failed) == (CALLS, 0), sipp.log()
    assert report["messages"]["received"]["202/REFER"] == CALLS
    assert report["metrics"]["transfer"]["count"] == CALLS
    assert not nothing_malformed(taken)


def test_we_refer_sipp_without_notifys(tmp_path: Path, peers: dict[str, str]) -> None:
    with (sipp_uas(tmp_path, scenario=SIPP / "quiet-referee.xml") as sipp,
          calling(tmp_path, sipp.port, *RATE, "--set", "notify=no", model="refer") as tool):
        nothing_lost(tool.finish(40), CALLS)
        stats = sipp.quit()
    assert (stats.created, stats.failed) == (CALLS, 0), sipp.log()


def test_a_guarded_target_challenges_the_transferee(tmp_path: Path, peers: dict[str, str]) -> None:
    """The call that a REFER asks for goes through a proxy that wants the transferee's password."""
    with (answering(tmp_path, "--set", "referred_user=bob", "--set", "referred_password=secret",
                    "--set", "hold=50ms") as tool,
          kamailio(tmp_path, "guard", target=tool.port, algorithm="MD5", password="secret",
                   nonce_expire=300) as guard):
        with calling(tmp_path, tool.port, *RATE, "--set",
                     f"refer_to=sip:transfer-target@{HOST}:{guard}",
                     model="transfer-blind") as caller:
            report = caller.finish(40)
        answered = hang_up(tool)
    nothing_lost(report, CALLS)
    assert answered["messages"]["received"]["407/INVITE"] >= CALLS
    assert answered["calls"]["failed"] == {}
