"""The answering side of calls."""

from typing import Any

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import CHALLENGE, accepted, bye, check_credentials, crossing
from siploadgen.model.builtin.refusals import NO_ANSWER
from siploadgen.model.builtin.session import (
    HOLD,
    NEVER,
    SECOND,
    TIMER,
    acknowledged,
    changes,
    check_hold,
    hold_and_resume,
    keep_alive,
    rest,
    take_offer,
)
from siploadgen.model.errors import ModelError
from siploadgen.model.messages import session_changing
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting


@answer(
    "INVITE",
    name="answer-call",
    ring=Setting("0s", "answering side: time from 180 to 200", "distribution"),
    provisional=Setting("yes", "answering side: send 180 before the answer", "flag"),
    early_media=Setting("no", "answering side: 183 with SDP instead of 180", "flag"),
    reliable=Setting("auto", "answering side: provisional responses are reliable when the caller "
                     "can (auto), always (yes: 421 for others) or never (no: 420)"),
    no_answer=Setting("0%", "answering side: share of calls that ring until they are cancelled",
                      "share"),
    ring_time=Setting("180s", "answering side: longest ringing without an answer", "duration"),
    limit=Setting("0s", "answering side: hang up a call that lasts longer, 0s: never", "duration"),
    least_session=Setting("90", "answering side: shortest session interval in seconds, else 422",
                          "count"),
    answer_body=Setting("", "answering side: file with the body of the answer, in place of `sdp`",
                        "file"),
    content_type=call_model.settings["content_type"],
    hold=call_model.settings["hold"],
    callee_hangs_up=call_model.settings["callee_hangs_up"],
    sdp=call_model.settings["sdp"],
    **HOLD,
    **CHALLENGE,
)
def answer_call(c: Recorder) -> None:
    """Answer a call: 180, 200 with SDP, ACK; 200 to the BYE."""
    c.supports(*(("timer",) if c.v.reliable == "no" else ("100rel", "timer")))
    check_credentials(c)
    _extensions(c)
    left = 1.0
    for status, share in c.v.refusals:
        with c.chance(share / left if left > share else 1.0):
            if status == NO_ANSWER:
                _ring(c)
                _until_answered(c, c.v.ring_time)
                c.respond(480, method="INVITE")
                c.end("no_answer")
            else:
                c.respond(status, method="INVITE")
                c.end("refused", ok=True)
        left -= share
    _ring(c)
    if not c.instant(c.v.answer_after):
        _until_answered(c, c.v.answer_after)
    _accept(c)
    if c.v.callee_hangs_up or c.v.holder != "caller":
        with c.expect("ACK").on("timeout"):
            bye(c, "no_ack")
        acknowledged(c)
    if c.v.holder != "caller":
        check_hold(c)
        hold_and_resume(c, owner=False, outcome="succeeded")
    with c.if_(c.v.interval > 0):
        c.set("ends", c.v.hold if c.v.callee_hangs_up else c.v.limit or NEVER)
        if c.v.callee_hangs_up or c.v.limit:
            c.add("ends", c.elapsed)
        keep_alive(c, outcome="succeeded", owner=False)
        if c.v.limit and not c.v.callee_hangs_up:
            bye(c, "timeout")
        elif c.v.callee_hangs_up:
            _hang_up(c)
            c.end()
    if c.v.callee_hangs_up:
        rest(c, c.v.hold, "unexpected")
        _hang_up(c)
        return
    done = changes(c, c.expect("BYE", within=c.v.limit))
    with done.on("timeout"):  # never acknowledged, RFC 3261 13.3.1.4
        bye(c, "no_ack")
    if c.v.limit:
        with done.on_late():
            bye(c, "timeout")
    c.respond(200, method="BYE")


# --- before the answer ---


def _extensions(c: Recorder) -> None:
    """Look at what the caller can and wants: reliable responses, a session timer, an end."""
    if c.v.reliable not in ("auto", "yes", "no"):
        raise ModelError(f"setting reliable: there is no {c.v.reliable}",
                         mend="write auto, yes or no")
    if c.v.reliable == "no":
        c.set("described", 0)
        with c.if_header("Require", "100rel"):  # RFC 3262 3
            c.respond(420, headers={"Unsupported": "100rel"})
            c.end("refused", ok=True)
    else:
        for header in ("Supported", "Require"):
            with c.if_header(header, "100rel"):
                c.set("pracks", 1)
    if c.v.reliable == "yes":
        with c.if_(c.v.pracks == 0):
            c.respond(421, headers={"Require": "100rel"})
            c.end("refused", ok=True)
    with c.if_body():
        pass
    with c.else_():  # the offer is to be ours (RFC 3261 13.2.1)
        c.set("offered", 1)
    if c.v.refusals or not c.instant(c.v.answer_after):
        c.extract("good_for", "Expires")
    with c.if_header("Session-Expires"):
        _session_interval(c)


def _session_interval(c: Recorder) -> None:
    """Agree upon a session timer as it was asked for (RFC 4028 9)."""
    c.extract("interval", "Session-Expires")
    for header in ("Supported", "Require"):
        with c.if_header(header, "timer"):
            c.set("timer", 1)
    with c.if_(c.v.timer == 1), c.if_(c.v.interval < c.v.least_session):
        c.respond(422, headers={"Min-SE": str(c.v.least_session)})
        c.end("refused", ok=True)
    c.capture("refresher", "Session-Expires;refresher")
    with c.if_text("refresher", ""):
        c.text("refresher", "uac")
    with c.if_(c.v.timer == 0):  # table 2: who cannot refresh, need not
        c.text("refresher", "uas")
    with c.if_text("refresher", "uas"):
        c.set("mine", 1)
    with c.if_header("Allow", "UPDATE"):
        c.set("by_update", 1)


def _ring(c: Recorder) -> None:
    """Send provisional responses, reliable ones to who wants them."""
    if c.v.reliable == "no":
        _ring_once(c)
        return
    with c.if_(c.v.pracks == 1):
        _ring_reliably(c)
    with c.else_():
        _ring_once(c)


def _ring_once(c: Recorder) -> None:
    """Send 183 with SDP, 180, or 100 when the answer takes its time."""
    if c.v.early_media:
        c.respond(183, sdp=c.v.sdp, method="INVITE")
    elif c.v.provisional:
        c.respond(180, method="INVITE")
    elif not c.instant(c.v.answer_after):
        c.respond(100, method="INVITE")


def _ring_reliably(c: Recorder) -> None:
    """Send 180, or 183 and 180, each until its PRACK; the first brings our description.

    It is the answer, or the offer to an INVITE without one (RFC 3262 3 and 5).
    """
    c.set("described", 1)
    if c.v.early_media:
        c.respond(183, sdp=c.v.sdp, reliable=True)
        _until_pracked(c)
        c.respond(180, reliable=True)
    else:
        c.respond(180, sdp=c.v.sdp, reliable=True)
    _until_pracked(c)


def _until_pracked(c: Recorder) -> None:
    """Wait for the PRACK, and take the answer or the offer that it brings."""
    with _early(c, c.expect("PRACK")).on("timeout"):  # RFC 3262 3
        c.respond(504, method="INVITE")
        c.end("no_prack")
    with c.if_(c.v.offered == 1):
        with c.if_body("v=0"), c.if_body("o="), c.if_body("m="):
            c.set("offered", 0)
        c.respond(200, method="PRACK")
        with c.if_(c.v.offered == 1):
            c.respond(488, method="INVITE")
            c.end("bad_answer")
    with c.else_():
        with c.if_body():
            take_offer(c)
            c.respond(200, sdp=session_changing(c.v.sdp), method="PRACK")
        with c.else_():
            c.respond(200, method="PRACK")


def _early(c: Recorder, wait: Wait) -> Wait:
    """Add to a wait what the caller may ask for before the answer."""
    with wait.on("cancel"):
        c.respond(487, method="INVITE")
        c.end("cancelled")
    with wait.on("BYE"):  # the caller may end an early dialog by BYE, RFC 3261 15.1.2
        c.respond(200, method="BYE")
        c.respond(487, method="INVITE")
        c.end("cancelled")
    with wait.on("UPDATE"):  # with an offer: the engine has seen that none is open
        with c.if_body():
            take_offer(c)
            c.respond(200, sdp=session_changing(c.v.sdp), method="UPDATE")
        with c.else_():
            c.respond(200, method="UPDATE")
    return wait


def _until_answered(c: Recorder, time: Any) -> None:
    """Ring for a time, no longer than the INVITE is good for (RFC 3261 13.3.1)."""
    c.set("ring_for", time)
    with c.if_(c.v.good_for >= 0):
        c.set("wait", c.elapsed)
        c.mul("wait", -1)
        c.mul("good_for", SECOND)
        c.add("wait", c.v.good_for)
        c.set("longer", c.v.wait)
        c.mul("longer", -1)
        c.add("longer", c.v.ring_for)
        with c.if_(c.v.longer > 0):
            _early(c, c.pause(c.v.wait))
            c.respond(487, method="INVITE")
            c.end("expired")
    _early(c, c.pause(c.v.ring_for))


# --- the answer and the end ---


def _accept(c: Recorder) -> None:
    """Send 200, with SDP unless a reliable response brought it."""
    def described(headers: dict[str, str]) -> None:
        body = c.v.answer_body
        c.respond(200, sdp="" if body else c.v.sdp, body=body, method="INVITE", headers=headers,
                  content_type=c.v.content_type if body else "")

    def ok(headers: dict[str, str]) -> None:
        if c.v.reliable == "no":
            described(headers)
            return
        with c.if_(c.v.described == 1):
            c.respond(200, method="INVITE", headers=headers)
        with c.else_():
            described(headers)

    with c.if_(c.v.interval > 0):
        with c.if_(c.v.timer == 1):
            ok({**accepted(c), **dict(TIMER)})
        with c.else_():  # put there by a proxy: the caller knows nothing of it
            ok({**accepted(c), TIMER[1][0]: TIMER[1][1]})
    with c.else_():
        ok(accepted(c))


def _hang_up(c: Recorder) -> None:
    """Send the BYE and see its answer."""
    c.bye(start="sdd")
    crossing(c, c.expect("2xx", stop="sdd"))
