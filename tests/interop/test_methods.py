"""The methods that calls do not need, with SIPp at the other end, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import SippStats, capture, nothing_malformed, sipp_uac, sipp_uas
from tests.interop.sipp_script import answer, ask, pause, recv, script, sdp
from tests.interop.tool import answering, calling, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

CALLS = 40
DTMF = "Content-Type: application/dtmf-relay"
ENDS = (ask("BYE", 9), recv(200))
RINGS = (recv(100, optional=True), recv(180, optional=True))


def call(*headers: str, user: str = "[service]", body: str = sdp()) -> tuple[str, ...]:
    return (ask("INVITE", 1, *headers, user=user, body=body, opens=True), *RINGS,
            recv(200, routes=True), ask("ACK", 1, user=user))


def told(*steps: str) -> tuple[str, ...]:
    """An answering SIPp: the call, what happens in it, BYE."""
    return (recv("INVITE", routes=True),
            answer("200 OK", "Allow: INVITE, ACK, BYE, UPDATE, INFO, PRACK", "Recv-Info: dtmf",
                   tag=True, body=sdp(), again=True),
            recv("ACK"), *steps, recv("BYE"), answer("200 OK"))


def sipp_calls(folder: Path, name: str, *steps: str, options: tuple[str, ...] = (),
               calls: int = CALLS) -> tuple[SippStats, dict[str, Any], str]:
    """SIPp plays the steps against our answering side: what both say, and SIPp's log."""
    with answering(folder, "--gso", "off", *options) as tool:
        with (capture(folder, tool.port) as taken,
              sipp_uac(folder, tool.port, rate=100, calls=calls,
                       scenario=script(folder, name, *steps)) as sipp):
            stats = sipp.wait(40)
        report = hang_up(tool)
    assert not nothing_malformed(taken)
    return stats, report, sipp.log()


def we_call(folder: Path, model: str, *steps: str, settings: tuple[str, ...] = ()
            ) -> dict[str, Any]:
    """We play the model against a SIPp that answers with the steps: our report."""
    given = [word for one in settings for word in ("--set", one)]
    with (sipp_uas(folder, scenario=script(folder, model, *steps)) as sipp,
          capture(folder, sipp.port) as taken,
          calling(folder, sipp.port, "--rate", "100/s", "--calls", str(CALLS), "--gso", "off",
                  *given, model=model) as tool):
        report = tool.finish(40)
        stats = sipp.quit()
    assert (stats.created, stats.failed) == (CALLS, 0), sipp.log()
    nothing_lost(report, CALLS)
    assert not nothing_malformed(taken)
    return report


ANSWERED = {
    "options": (ask("OPTIONS", 1, opens=True),
                recv(200, header=("Allow", "SUBSCRIBE.*|INVITE.*"))),
    "info": (*call(user="dtmf"),
             ask("INFO", 2, DTMF, user="dtmf", body="Signal=1\nDuration=160"), recv(200),
             ask("INFO", 3, "Info-Package: foreign", user="dtmf"),
             recv(469, header=("Recv-Info", "dtmf")),
             ask("INFO", 4, "Content-Type: text/plain", user="dtmf", body="no digit"), recv(415),
             *ENDS),
    "update": (*call(),
               ask("UPDATE", 2, body=sdp(2)), recv(200, body="m=audio"),
               ask("UPDATE", 3), recv(200), *ENDS),
    "message": (ask("MESSAGE", 1, "Content-Type: text/plain", body="hello", opens=True),
                recv(200)),
    "subscriber": (ask("SUBSCRIBE", 1, "Event: presence", "Expires: 60", opens=True),
                   recv(200, routes=True, header=("Expires", "60")),
                   recv("NOTIFY", header=("Subscription-State", "active;expires=60")),
                   answer("200 OK"),
                   ask("SUBSCRIBE", 2, "Event: presence", "Expires: 30"),
                   recv(200, header=("Expires", "30")),
                   recv("NOTIFY", header=("Subscription-State", "active;expires=30")),
                   answer("200 OK"),
                   ask("SUBSCRIBE", 3, "Event: presence", "Expires: 0"), recv(200),
                   recv("NOTIFY", header=("Subscription-State", "terminated;reason=timeout")),
                   answer("200 OK")),
    "subscriber-to-refer": (ask("SUBSCRIBE", 1, "Event: refer", "Expires: 60", opens=True),
                            recv(403)),
    "stray-notify": (ask("NOTIFY", 1, "Event: message-summary", "Subscription-State: active",
                         opens=True), recv(481)),
    "publisher": (ask("PUBLISH", 1, "Event: presence", "Content-Type: application/pidf+xml",
                      body="<presence/>", opens=True),
                  recv(200, header=("SIP-ETag", ".+")),
                  ask("PUBLISH", 2, "Event: presence", "SIP-If-Match: unknown", opens=True),
                  recv(412)),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all scenarios left behind: they have one answering side and one capture."""

    played: dict[str, tuple[SippStats, str]]
    report: dict[str, Any]
    malformed: list[str]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, peers: dict[str, str]) -> Evidence:
    folder = tmp_path_factory.mktemp("methods")
    played = {}
    with answering(folder, "--gso", "off") as tool:
        with capture(folder, tool.port) as taken:
            for name, steps in ANSWERED.items():
                with sipp_uac(folder, tool.port, rate=200, calls=CALLS,
                              scenario=script(folder, name, *steps)) as sipp:
                    played[name] = sipp.wait(30), sipp.log()
        report = hang_up(tool)
    return Evidence(played, report, nothing_malformed(taken))


@pytest.mark.parametrize("name", ANSWERED)
def test_sipp_asks_us(name: str, evidence: Evidence) -> None:
    stats, log = evidence.played[name]
    assert (stats.successful, stats.failed) == (CALLS, 0), log


def test_what_we_answered_is_well_formed(evidence: Evidence) -> None:
    assert evidence.malformed == []
    assert evidence.report["messages"]["malformed"] == 0
    assert set(evidence.report["calls"]["failed"]) <= {"aborted"}   # publications that still live


def test_sipp_tells_us_to_read_settings(tmp_path: Path, peers: dict[str, str]) -> None:
    stats, _, log = sipp_calls(
        tmp_path, "check-sync", ask("NOTIFY", 1, "Event: check-sync;reboot=false",
                                    "Subscription-State: terminated", opens=True), recv(200),
        options=("--set", "unsolicited=200"))
    assert (stats.successful, stats.failed) == (CALLS, 0), log


ASKED = {
    "info-dtmf": (told(recv("INFO", body="Signal=1", header=("Info-Package", "dtmf")),
                       answer("200 OK"), recv("INFO", body="Signal=2"), answer("200 OK")),
                  ("digits=12", "package=dtmf")),
    "call-update": (told(recv("UPDATE", body="m=audio"), answer("200 OK", body=sdp(2))), ()),
    "message": ((recv("MESSAGE"), answer("202 Accepted", tag=True)), ()),
    "options": ((recv("OPTIONS"), answer("200 OK", "Allow: INVITE, ACK, BYE", tag=True)), ()),
    "subscribe-mwi": ((recv("NOTIFY", header=("Event", "check-sync")), answer("200 OK", tag=True)),
                      ("send_unsolicited=check-sync",)),
    "publish": ((recv("PUBLISH", header=("Event", "presence")),
                 answer("200 OK", "SIP-ETag: one", "Expires: 600", tag=True),
                 recv("PUBLISH", header=("SIP-If-Match", "one")),
                 answer("412 Gone", tag=True),
                 recv("PUBLISH", body="presence"),
                 answer("200 OK", "SIP-ETag: two", "Expires: 600", tag=True),
                 recv("PUBLISH", header=("SIP-If-Match", "two")),
                 answer("200 OK", "SIP-ETag: three", "Expires: 600", tag=True),
                 recv("PUBLISH", header=("SIP-If-Match", "three")),
                 answer("200 OK", "SIP-ETag: four", "Expires: 0", tag=True)), ()),
}


@pytest.mark.parametrize("model", ASKED)
def test_we_ask_sipp(tmp_path: Path, peers: dict[str, str], model: str) -> None:
    steps, settings = ASKED[model]
    we_call(tmp_path, model, *steps, settings=settings)


# --- reliable provisional responses (RFC 3262) ---


RELIABLE = ("--set", "reliable=yes")


def test_sipp_acknowledges_our_reliable_response(tmp_path: Path, peers: dict[str, str]) -> None:
    stats, report, log = sipp_calls(
        tmp_path, "prack", ask("INVITE", 1, "Supported: 100rel", body=sdp(), opens=True),
        recv(100, optional=True), recv(180, routes=True, header=("RSeq", "[0-9]+")),
        ask("PRACK", 2, "RAck: [$seen] 1 INVITE"), recv(200),
        recv(200, routes=True), ask("ACK", 1), *ENDS, options=RELIABLE)
    assert (stats.successful, stats.failed) == (CALLS, 0), log
    assert report["messages"]["received"]["PRACK"] == CALLS


def test_a_call_without_its_prack_is_refused(tmp_path: Path, peers: dict[str, str]) -> None:
    """64*T1, here 1.28 s, after the 180: a 5xx (RFC 3262 3)."""
    stats, _, log = sipp_calls(
        tmp_path, "no-prack", ask("INVITE", 1, "Supported: 100rel", body=sdp(), opens=True),
        recv(100, optional=True), recv(180, header=("Require", "100rel")), recv(504),
        ask("ACK", 1, opens=True),
        options=(*RELIABLE, "--t1", "20ms"), calls=10)
    assert (stats.successful, stats.failed) == (10, 0), log


def test_we_acknowledge_sipps_reliable_responses(tmp_path: Path, peers: dict[str, str]) -> None:
    report = we_call(
        tmp_path, "call-reliable", recv("INVITE", routes=True, keep=True),
        answer("183 Progress", "Require: 100rel", "RSeq: 71", tag=True, body=sdp(), kept=True),
        recv("PRACK", header=("RAck", "71 [0-9]+ INVITE")), answer("200 OK"),
        answer("180 Ringing", "Require: 100rel", "RSeq: 73", tag=True, kept=True), pause(50),
        answer("180 Ringing", "Require: 100rel", "RSeq: 72", tag=True, kept=True),
        recv("PRACK", header=("RAck", "72 [0-9]+ INVITE")), answer("200 OK"),
        answer("200 OK", tag=True, kept=True, again=True),
        recv("ACK"), recv("BYE"), answer("200 OK"))
    # the one that came out of order got none (RFC 3262 4)
    assert report["messages"]["sent"]["PRACK"] == 2 * CALLS
