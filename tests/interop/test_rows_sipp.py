"""The rows of docs/methods.md with SIPp at the other end, in both directions.

Each scene is a short SIPp scenario that looks at what comes and answers as it must, or as it must
not. tshark reads all of them at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.interop.peers import (
    Capture,
    capture,
    free_port,
    nothing_malformed,
    sipp_uac,
    sipp_uas,
)
from tests.interop.scenes import (
    ask,
    ask_back,
    back,
    got,
    rest,
    say,
    say_last,
    scene,
    sdp,
    took,
)
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
    # I3: what we answered with was not to their liking
    "bye-after-the-ack": Called("call-delayed-offer", (
        took("INVITE"), say(200, body=sdp()), took("ACK", "m=audio"), ask_back("BYE", 1), got(200)),
        settings={"hold": "2s"}, failed={"unexpected": CALLS}),
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


@dataclass
class Wire:
    """A capture of everything from and to one port."""

    stack: ExitStack
    taken: Capture
    port: int

    def end(self) -> Capture:
        """End it; give what was captured."""
        self.stack.close()
        return self.taken


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory, peers: dict[str, str]) -> Iterator[Wire]:
    port = free_port()
    with ExitStack() as stack:
        yield Wire(stack, stack.enter_context(capture(tmp_path_factory.mktemp("wire"), port)), port)


@pytest.mark.parametrize("name", CALLED)
def test_siploadgen_calls(name: str, tmp_path: Path, wire: Wire) -> None:
    one = CALLED[name]
    settings = [word for pair in one.settings.items() for word in ("--set", "=".join(pair))]
    port = wire.port
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


# --- SIPp calls ---

OFFER = sdp()
TAIL = (ask("BYE", 9, dialog=True), got(200))
CALLED_UP = (got(180, optional=True), got(200, "m=audio", "Allow: INVITE", "Supported: 100rel"),
             ask("ACK", 1, dialog=True))
TIMER = ("Supported: timer", "Allow: INVITE, ACK, BYE, UPDATE")


RINGING = (ask("INVITE", 1, "Require: 100rel", body=OFFER),
           got(180, "Require: 100rel", "m=audio", keep="RSeq"),
           ask("PRACK", 2, "RAck:[$keptRSeq] 1 INVITE", dialog=True), got(200))
CALLING = {
    # I2
    "delayed-offer": (
        ask("INVITE", 1), got(180, optional=True), got(200, "m=audio"),
        ask("ACK", 1, body=OFFER, dialog=True), *TAIL),
    # I3: no session can come of it
    "bad-answer": (
        ask("INVITE", 1), got(180, optional=True), got(200, "m=audio"),
        ask("ACK", 1, body="v=0\n", dialog=True), back("BYE"), say_last(200)),
    # A2
    "second-offer": (ask("INVITE", 1, body=OFFER), *CALLED_UP[:2],
                     ask("ACK", 1, body=OFFER, dialog=True), *TAIL),
    # 2.6
    "reliable": (
        *RINGING, got(200, lacks=("m=audio",)), ask("ACK", 1, dialog=True), *TAIL),
    # C5
    "cancel": (
        ask("INVITE", 1, "Supported: 100rel", body=OFFER, user="cancel"), got(180),
        ask("CANCEL", 1, user="cancel", branch="[branch-2]", repeats=False), got(200), got(487),
        ask("ACK", 1, user="cancel", branch="[branch-4]")),
    "update-confirmed": (
        ask("INVITE", 1, body=OFFER), *CALLED_UP,
        ask("UPDATE", 2, body=sdp("sendonly", 2), dialog=True), got(200, "a=recvonly"), *TAIL),
    # I5
    "hold": (
        ask("INVITE", 1, body=OFFER), *CALLED_UP,
        ask("INVITE", 2, body=sdp("sendonly", 2), dialog=True), got(100, optional=True),
        got(200, "a=recvonly"), ask("ACK", 2, dialog=True),
        ask("INVITE", 3, body=sdp("sendrecv", 3), dialog=True), got(100, optional=True),
        got(200, "a=sendrecv"), ask("ACK", 3, dialog=True), *TAIL),
    # I9
    "session-timer": (
        ask("INVITE", 1, *TIMER, "Session-Expires: 60", body=OFFER), got(422, "Min-SE: 90"),
        ask("ACK", 1, branch="[branch-2]"),
        ask("INVITE", 2, *TIMER, "Session-Expires: 90;refresher=uac", "Min-SE: 90", body=OFFER),
        got(180, optional=True),
        got(200, "Session-Expires: 90;refresher=uac", "Require: timer"),
        ask("ACK", 2, dialog=True),
        ask("UPDATE", 3, *TIMER, "Session-Expires: 90;refresher=uac", dialog=True),
        got(200, "Session-Expires: 90;refresher=uac"), *TAIL),
    # B2
    "early-bye": (
        ask("INVITE", 1, body=OFFER, user="cancel"), got(180),
        ask("BYE", 2, dialog=True, user="cancel", repeats=False), got(200), got(487),
        ask("ACK", 1, user="cancel", branch="[branch-4]", dialog=True)),
    # B3
    "stray-bye": (ask("BYE", 7, dialog=False), got(481)),
    # C5
    "cancel-of-nothing": (ask("CANCEL", 7), got(481)),
    # M2, M3
    "unknown-methods": (
        ask("PING", 1), got(501, "Allow: .*INVITE"), ask("invite", 2), got(501, "Allow: .*INVITE")),
    # M12, M16, M20
    "refused": (
        ask("INVITE", 1, "Require: foo, 100rel", body=OFFER), got(420, "Unsupported: foo"),
        ask("ACK", 1, branch="[branch-2]"),
        ask("INVITE", 2, "Content-Encoding: gzip", body=OFFER), got(415, "Accept-Encoding"),
        ask("ACK", 2, branch="[branch-2]"),
        ask("INVITE", 3, body=OFFER, uri="mailto:a@example.org"), got(416),
        ask("ACK", 3, branch="[branch-2]", uri="mailto:a@example.org")),
    # I14
    "late-ack": (
        ask("INVITE", 1, body=OFFER), *CALLED_UP[:2], rest(700), ask("ACK", 1, dialog=True),
        *TAIL),
    # I7: a second INVITE before the first is acknowledged
    "second-invite": (
        ask("INVITE", 1, body=OFFER), *CALLED_UP[:2],
        ask("INVITE", 2, body=OFFER, dialog=True, repeats=False), got(500, "Retry-After: "),
        ask("ACK", 2, branch="[branch-2]", dialog=True), ask("ACK", 1, dialog=True), *TAIL),
}


# where the answering side is set to do something else
SLOW = ("--answer-after", "1500ms")
LEAVING = ("--set", "callee_hangs_up=yes", "--set", "hold=200ms")
REFRESHING = ("--set", "least_session=2")
HOLDING = ("--set", "holder=callee", "--set", "talk=50ms", "--set", "held=50ms")
OTHERWISE = {
    # 2.6
    "update": (SLOW, (
        *RINGING, ask("UPDATE", 3, body=sdp("sendonly", 2), dialog=True), got(200, "a=recvonly"),
        got(200, lacks=("m=audio",)), ask("ACK", 1, dialog=True), *TAIL)),
    # I8: before the answer it ends the INVITE, afterwards it means nothing
    "expires": (SLOW, (
        ask("INVITE", 1, "Expires: 1", body=OFFER), got(180), got(487),
        ask("ACK", 1, branch="[branch-3]"))),
    "expires-later": (SLOW, (
        ask("INVITE", 1, "Expires: 2", body=OFFER), got(180), got(200),
        ask("ACK", 1, dialog=True), rest(700), *TAIL)),
    # B1
    "callee-hangs-up": (LEAVING, (
        ask("INVITE", 1, body=OFFER), *CALLED_UP, back("BYE"), say_last(200))),
    # B4
    "byes-cross": (LEAVING, (
        ask("INVITE", 1, body=OFFER), *CALLED_UP, back("BYE"),
        ask("BYE", 2, dialog=True, repeats=False), got(200))),
    # I9
    "callee-refreshes": (REFRESHING, (
        ask("INVITE", 1, *TIMER, "Session-Expires: 2;refresher=uas", body=OFFER),
        got(180, optional=True), got(200, "Session-Expires: 2;refresher=uas"),
        ask("ACK", 1, dialog=True), back("UPDATE", "Session-Expires: 2;refresher=uac"),
        say_last(200, "Require: timer", "Session-Expires: 2;refresher=uac"), *TAIL)),
    "nobody-refreshes": (REFRESHING, (
        ask("INVITE", 1, *TIMER, "Session-Expires: 2;refresher=uac", body=OFFER),
        got(180, optional=True), got(200, "Session-Expires: 2;refresher=uac"),
        ask("ACK", 1, dialog=True), back("BYE"), say_last(200))),
    # I5, I7
    "callee-holds": (HOLDING, (
        ask("INVITE", 1, body=OFFER), *CALLED_UP, back("INVITE", "a=sendonly"), say_last(491),
        back("ACK"), back("INVITE", "a=sendonly"), say_last(200, body=sdp("recvonly", 2)),
        back("ACK"), back("INVITE", "a=sendrecv"), say_last(200, body=sdp("sendrecv", 3)),
        back("ACK"), *TAIL)),
}


@pytest.fixture(scope="module")
def answerers(tmp_path_factory: pytest.TempPathFactory, peers: dict[str, str],
              ) -> Iterator[Callable[..., Tool]]:
    """An answering side for each set of arguments, started when it is needed."""
    started: dict[tuple[str, ...], Tool] = {}
    with ExitStack() as all_of_them:
        def give(*arguments: str, port: int | None = None) -> Tool:
            if arguments not in started:
                folder = tmp_path_factory.mktemp("answerer")
                started[arguments] = all_of_them.enter_context(
                    answering(folder, "--gso", "off", *arguments, port=port))
            return started[arguments]
        yield give


def plays(folder: Path, port: int, name: str, steps: tuple[str, ...]) -> None:
    """SIPp calls the port and plays the scene to its end, each time."""
    with sipp_uac(folder, port, rate=200, calls=CALLS, scenario=scene(folder, name, *steps)) as one:
        stats = one.wait(20)
    assert (stats.successful, stats.failed) == (CALLS, 0), one.log()


@pytest.mark.parametrize("name", CALLING)
def test_sipp_calls(name: str, tmp_path: Path, answerers: Callable[..., Tool],
                    wire: Wire) -> None:
    plays(tmp_path, answerers(port=wire.port).port, name, CALLING[name])


@pytest.mark.parametrize("name", OTHERWISE)
def test_sipp_calls_a_side_with_other_settings(name: str, tmp_path: Path,
                                               answerers: Callable[..., Tool]) -> None:
    arguments, steps = OTHERWISE[name]
    plays(tmp_path, answerers(*arguments).port, name, steps)


def test_the_answering_side_has_counted(answerers: Callable[..., Tool], wire: Wire) -> None:
    """What the scenes did wrong has a name in run.json."""
    report = hang_up(answerers(port=wire.port))
    calls = report["calls"]
    assert calls["failed"] == {"bad_answer": CALLS}
    assert calls["in_progress"] == 0
    assert report["counters"]["unexpected_sdp"] == CALLS
    assert report["messages"]["malformed"] == 0


def test_nothing_on_the_wire_was_malformed(wire: Wire) -> None:
    taken = wire.end()
    assert taken.dropped == 0
    assert taken.captured > 1000
    assert nothing_malformed(taken) == []
