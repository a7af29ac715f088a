"""Calls that do not go the ordinary way, with SIPp, Kamailio and tshark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import (
    HERE,
    capture,
    kamailio,
    nothing_malformed,
    sipp_uas,
    tshark,
)
from tests.interop.tool import (
    QUIET,
    UNHURRIED,
    answering,
    calling,
    hang_up,
    no_stray,
    nothing_lost,
    siploadgen,
)

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 300
RATE = ("--rate", "150/s", "--calls", str(CALLS), "--gso", "off")


def test_a_proxy_forks_calls_to_two_answering_sides(tmp_path: Path, peers: dict[str, str]) -> None:
    """Each of the two answers each call; one of them is acknowledged, hung up and forgotten."""
    given = ("--answer-after", "50ms", "--gso", "off")
    with (answering(tmp_path, *given, name="one") as one,
          answering(tmp_path, *given, name="two") as two,
          kamailio(tmp_path, "fork", target=one.port, other=two.port) as proxy):
        with (capture(tmp_path, proxy) as taken,
              calling(tmp_path, proxy, *RATE, "--set", "hold=300ms",
                      model="call-forked") as caller):
            report = caller.finish(60)
        sides = [hang_up(side)["calls"] for side in (one, two)]
    nothing_lost(report, CALLS)
    # Kamailio may have cancelled the slower branch before its 200 was there.
    forked = report["messages"]["forked_2xx"]
    assert forked > 0
    assert sum(side["succeeded"] for side in sides) == CALLS + forked
    assert sum(sum(side["failed"].values()) for side in sides) == CALLS - forked
    assert all(set(side["failed"]) <= {"cancelled"} for side in sides)
    assert not nothing_malformed(taken)


def test_an_answering_side_forks_through_a_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    """Both 2xx of one answering side come through the proxy with dialogs of their own."""
    with (answering(tmp_path, "--answer-after", "20ms", "--set", "branches=3",
                    "--set", "answers=3") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with calling(tmp_path, proxy, *RATE, "--set", "hold=100ms", model="call-forked") as caller:
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert report["messages"]["forked_2xx"] == 2 * CALLS
    assert answered["calls"]["succeeded"] == CALLS
    assert answered["messages"]["received"]["BYE"] >= 3 * CALLS


def test_phone_numbers_go_through_a_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    with (answering(tmp_path, "--gso", "off") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with (capture(tmp_path, proxy) as taken,
              calling(tmp_path, proxy, *RATE, "--set", "to=tel:+1-201-555-0123",
                      "--set", "caller=tel:+12015550199") as caller):
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["succeeded"] == CALLS
    assert not nothing_malformed(taken)
    forwarded = tshark(taken.file, (proxy,), "-T", "fields", "-e", "frame.number", "-Y",
                       f'sip.Request-Line contains "INVITE tel:+1-201" && '
                       f"udp.dstport == {answerer.port}")
    assert len(forwarded.split()) >= CALLS


def test_a_redirecting_server_is_followed(tmp_path: Path, peers: dict[str, str]) -> None:
    with answering(tmp_path, "--gso", "off") as answerer:
        fields = tmp_path / "place.csv"
        fields.write_text(f"SEQUENTIAL\n{answerer.port};\n")
        with (sipp_uas(tmp_path, scenario=HERE / "sipp" / "redirect.xml",
                       extra=("-inf", str(fields))) as sipp,
              capture(tmp_path, sipp.port, answerer.port) as taken,
              calling(tmp_path, sipp.port, *RATE, model="call-redirect") as caller):
            report = caller.finish(60)
            stats = sipp.quit()
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert (stats.created, stats.failed) == (CALLS, 0), sipp.log()
    assert answered["calls"]["succeeded"] == CALLS
    assert report["counters"]["redirects"] == CALLS
    assert report["rfc6076"]["ser"] == 1
    assert not nothing_malformed(taken)


MODELS = ("call-busy", "call-no-answer", "call-cancel", "call-redirect", "call-auth",
          "call-forked", "keepalive", "options")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_with_itself(tmp_path: Path, model: str) -> None:
    """Nothing else is needed, and nothing fails."""
    settings = {"call-no-answer": "patience=200ms", "keepalive": "interval=100ms",
                "options": "in_call=2"}.get(model)
    with siploadgen(tmp_path, "run", model, "--self", "--calls", "50", "--rate", "100/s", *QUIET,
                    *UNHURRIED, *(("--set", settings) if settings else ())) as tool:
        report = tool.finish(60)
    nothing_lost(report, 50)
    no_stray(report, report["answerer"])


@pytest.mark.parametrize("model", ["call-no-answer", "call-cancel"])
def test_calls_are_cancelled_through_a_proxy(tmp_path: Path, peers: dict[str, str],
                                             model: str) -> None:
    """CANCEL goes hop by hop: the proxy answers ours and sends its own (RFC 3261 9.2)."""
    setting = "patience=200ms" if model == "call-no-answer" else "cancel_after=uniform(0ms,300ms)"
    with (answering(tmp_path) as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with calling(tmp_path, proxy, *RATE, "--set", setting, model=model) as caller:
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["succeeded"] == answered["calls"]["started"]
    assert report["messages"]["received"]["487/INVITE"] >= CALLS
