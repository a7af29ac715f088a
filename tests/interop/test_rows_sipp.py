"""The rows of docs/methods.md with SIPp at the other end, in both directions.

Each scene is a short SIPp scenario that looks at what comes and answers as it must, or as it must
not. tshark reads all of them at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import (
    Capture,
    capture,
    free_port,
    nothing_malformed,
    sipp_uac,
    sipp_uas,
)
from tests.interop.scenes import ask, ask_back, got, rest, say, say_last, scene, sdp, took
from tests.interop.tool import Tool, answering, calling, hang_up

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 10
END = (took("BYE"), say_last(200))
RELIABLE = ("Require: 100rel", "RSeq: 7")
TIMED = ("Require: timer", "Supported: timer", "Allow: INVITE, ACK, BYE, UPDATE")
# SIPp takes an ACK that comes again for no message, or for one that it does not expect
NOT_SO_STRICT = ("-default_behaviors", "all,-abortunexp")


@dataclass(frozen=True)
class Called:
    """A scene of the called side, and what siploadgen has to make of it."""

    model: str
    steps: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    """No fewer than these."""
    extra: tuple[str, ...] = ()
    """Arguments of SIPp."""


ANSWERED = (took("INVITE"), say(180), say(200, body=sdp()), took("ACK"))
CALLED = {
    # I2, A2
    "delayed-offer": Called("call-delayed-offer", (
        took("INVITE", lacks=("m=audio",)), say(180), say(200, body=sdp("sendonly")),
        took("ACK", "m=audio", "a=recvonly"), *END)),
    "delayed-offer-in-18x": Called("call-reliable", (
        took("INVITE", "Require: 100rel", lacks=("m=audio",)),
        say(183, "INVITE", *RELIABLE, body=sdp()), took("PRACK", "RAck: 7 1000 INVITE", "m=audio"),
        say_last(200), say(200), took("ACK", lacks=("m=audio",)), *END),
        settings={"delayed_offer": "yes"}),
    "no-offer": Called("call-delayed-offer", (
        took("INVITE"), say(200), took("ACK", lacks=("m=audio",)), *END),
        failed={"no_offer": CALLS}, counters={"peer_errors": CALLS}),
    # 2.6: PRACK, UPDATE, session timers
    "reliable": Called("call-reliable", (
        took("INVITE", "Require: 100rel", "m=audio"), say(183, "INVITE", *RELIABLE, body=sdp()),
        took("PRACK", "RAck: 7 1000 INVITE"), say_last(200),
        say(180, "INVITE", "Require: 100rel", "RSeq: 8"), took("PRACK", "RAck: 8 1000 INVITE"),
        say_last(200), say(200), took("ACK"), *END)),
    "update": Called("call-update", (
        took("INVITE", "Supported: 100rel"), say(183, "INVITE", *RELIABLE, body=sdp()),
        took("PRACK"), say_last(200), took("UPDATE", "a=sendonly"),
        say_last(200, body=sdp("recvonly", 2)), say(200), took("ACK"),
        took("UPDATE", "a=sendrecv"), say_last(200, body=sdp("sendrecv", 3)), *END)),
    # I5
    "hold": Called("call-hold", (
        *ANSWERED, took("INVITE", "a=sendonly"), say_last(200, body=sdp("recvonly", 2)),
        took("ACK"), took("INVITE", "a=sendrecv"), say_last(200, body=sdp("sendrecv", 3)),
        took("ACK"), *END), settings={"talk": "50ms", "held": "50ms"}),
    # I6
    "refused-hold": Called("call-hold", (
        *ANSWERED, took("INVITE"), say_last(488), took("ACK"), *END),
        settings={"talk": "50ms"}, failed={"change_refused": CALLS}),
    # I7
    "glare": Called("call-hold", (
        *ANSWERED, took("INVITE"), say_last(491), took("ACK"), took("INVITE", "a=sendonly"),
        say_last(200, body=sdp("recvonly", 2)), took("ACK"), took("INVITE"),
        say_last(200, body=sdp("sendrecv", 3)), took("ACK"), *END),
        settings={"talk": "50ms", "held": "50ms"}, counters={"glare": CALLS}),
    # I9
    "session-timer": Called("call-session-timer", (
        took("INVITE", "Session-Expires: 90", "Supported: timer"),
        say(422, "INVITE", "Min-SE: 120"), took("ACK"),
        took("INVITE", "Session-Expires: 120", "Min-SE: 120"),
        say(200, "INVITE", *TIMED, "Session-Expires: 2;refresher=uac", body=sdp()), took("ACK"),
        took("UPDATE", "Session-Expires: 2;refresher=uac"),
        say_last(200, *TIMED, "Session-Expires: 2;refresher=uac"), *END),
        settings={"hold": "1500ms", "session_expires": "90"}),
    "session-timer-reinvite": Called("call-session-timer", (
        took("INVITE"),
        say(200, "INVITE", *TIMED[:2], "Session-Expires: 2;refresher=uac", body=sdp()),
        took("ACK"), took("INVITE", "Session-Expires: 2;refresher=uac", "m=audio"),
        say_last(200, *TIMED[:2], "Session-Expires: 2;refresher=uac", body=sdp()), took("ACK"),
        *END), settings={"hold": "1500ms"}),
    "session-runs-out": Called("call-session-timer", (
        took("INVITE"), say(200, "INVITE", *TIMED, "Session-Expires: 3;refresher=uas", body=sdp()),
        took("ACK"), *END), settings={"hold": "20s"}, failed={"session_expired": CALLS}),
    "refreshed-by-the-callee": Called("call-session-timer", (
        took("INVITE"), say(200, "INVITE", *TIMED, "Session-Expires: 3;refresher=uas", body=sdp()),
        took("ACK"), rest(1000), ask_back("UPDATE", 1, *TIMED, "Session-Expires: 3;refresher=uac"),
        got(200, "Session-Expires: 3;refresher=uac"), *END), settings={"hold": "2500ms"}),
    # I5, the other side asks
    "held-by-the-callee": Called("call", (
        *ANSWERED, ask_back("INVITE", 1, body=sdp("sendonly", 2)), got(200, "a=recvonly"),
        ask_back("ACK", 1), *END), settings={"hold": "300ms"}),
    # I4: so has each copy of a refusal
    "refusal-three-times": Called("call-busy", (
        took("INVITE"), *(say(486), rest(20)) * 3),
        arguments=("--rate", "20/s"), sent={"ACK": 2 * CALLS}, extra=NOT_SO_STRICT),
    # I10
    "early-media": Called("call", (
        took("INVITE"), say(100), say(183, body=sdp()), say(182), say(180), say(181),
        say(200, body=sdp()), took("ACK"), *END)),
    # I14, A1: each copy of a 2xx has its ACK
    "a-200-three-times": Called("call", (
        took("INVITE"), *(say(200, body=sdp()), rest(20)) * 3, *END),
        settings={"hold": "300ms"}, sent={"ACK": 3 * CALLS}, extra=NOT_SO_STRICT),
    # I8
    "expires": Called("call", (
        took("INVITE", "Expires: 1"), say(180), took("CANCEL"), say_last(200), say(487),
        took("ACK")), settings={"expires": "1"}, failed={"no_answer": CALLS}),
    # B1
    "callee-hangs-up": Called("call", (
        *ANSWERED, ask_back("BYE", 1), got(200)), settings={"callee_hangs_up": "yes"}),
    # C1
    "cancel": Called("call-cancel", (
        took("INVITE"), say(180), took("CANCEL", lacks=("Require:", "Route:")), say_last(200),
        say(487), took("ACK")),
        settings={"cancel_from": "ringing", "cancel_after": "50ms"}),
    # C2
    "cancel-is-held": Called("call-cancel", (
        took("INVITE"), rest(300), say(100), took("CANCEL"), say_last(200), say(487), took("ACK")),
        settings={"cancel_after": "50ms"}, sent={"CANCEL": CALLS}),
    # C3
    "cancel-meets-200": Called("call-cancel", (
        took("INVITE"), say(180), took("CANCEL"), say_last(200), say(200), took("ACK"), *END),
        settings={"cancel_from": "ringing", "cancel_after": "50ms"}),
    # C4
    "no-487": Called("call-cancel", (took("INVITE"), say(180), took("CANCEL"), say_last(200)),
                     settings={"cancel_from": "ringing", "cancel_after": "50ms"},
                     arguments=("--t1", "10ms"), failed={"cancel_timeout": CALLS}),
    # B2
    "early-bye": Called("call-cancel", (
        took("INVITE"), say(180), took("BYE"), say_last(200), say(487), took("ACK")),
        settings={"cancel_by": "bye", "cancel_after": "50ms"}),
    # M18
    "odd-codes": Called("call", (
        took("INVITE"), say(199), say(299, body=sdp()), took("ACK"), took("BYE"), say_last(299))),
    "odd-refusal": Called("call", (took("INVITE"), say(699), took("ACK")),
                          failed={"rejected": CALLS}),
    # M20
    "unknown-require": Called("call-reliable", (
        took("INVITE"), say(183, "INVITE", "Require: 100rel, foo", "RSeq: 7", body=sdp()),
        took("PRACK"), say_last(200), say(200), took("ACK"), *END),
        messages={"unknown_required": CALLS}),
    # M19
    "redirect-loop": Called("call-redirect", tuple(
        step for _ in range(4) for step in (
            took("INVITE"), say(302), took("ACK"))),
        settings={"hops": "3"}, failed={"redirect_loop": CALLS}),
}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory,
         peers: dict[str, str]) -> Iterator[tuple[Capture, list[str]]]:
    """A capture of everything from and to one port, and what was said about it."""
    port = free_port()
    with capture(tmp_path_factory.mktemp("wire"), port) as taken:
        yield taken, []


@pytest.mark.parametrize("name", CALLED)
def test_siploadgen_calls(name: str, tmp_path: Path, wire: tuple[Capture, list[str]]) -> None:
    one = CALLED[name]
    settings = [word for pair in one.settings.items() for word in ("--set", "=".join(pair))]
    port = wire[0].ports[0]
    with (sipp_uas(tmp_path, port=port, scenario=scene(tmp_path, name, *one.steps),
                   extra=one.extra) as sipp,
          calling(tmp_path, port, "--rate", "200/s", "--calls", str(CALLS), "--gso", "off",
                  *one.arguments, *settings, model=one.model) as tool):
        report = tool.finish(15)
        stats = sipp.quit()
    calls = report["calls"]
    assert calls["failed"] == dict(one.failed), calls
    assert calls["succeeded"] == CALLS - sum(one.failed.values())
    assert (stats.created, stats.successful, stats.failed) == (CALLS, CALLS, 0), sipp.log()
    for found, wanted in ((report["counters"], one.counters), (report["messages"], one.messages)):
        assert {key: found.get(key) for key in wanted} == dict(wanted)
    for method, least in one.sent.items():
        assert report["messages"]["sent"][method] >= least
