"""The answering side of calls."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import CHALLENGE, accepted, bye, check_credentials, crossing
from siploadgen.model.builtin.refusals import NO_ANSWER
from siploadgen.model.builtin.session import (
    HOLD,
    NEVER,
    SECOND,
    agree,
    changes,
    hold_and_resume,
    keep_alive,
    rest,
    take_offer,
)
from siploadgen.model.errors import ModelError
from siploadgen.model.messages import session_changing
from siploadgen.model.python import answer
from siploadgen.model.recorder import Headers, Recorder, Wait
from siploadgen.model.settings import Setting
from siploadgen.model.values import Fixed

CANCELLED = "cancelled"


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
    check_credentials(c)
    left = 1.0
    for status, share in c.v.refusals:
        with c.chance(share / left if left > share else 1.0):
            if status == NO_ANSWER:
                _never_answer(c)
            else:
                c.respond(status)
                c.end("refused", ok=True)
        left -= share
    _extensions(c)
    with c.if_body():
        pass
    with c.else_():  # the offer is ours (RFC 3261 13.2.1)
        c.set("offered", 1)
    with c.if_(c.v.reliable == 1):
        _ring_reliably(c)
        c.jump("rings")
    _ring(c)
    c.label("rings")
    _wait_until_answered(c)
    _accept(c)
    if c.v.holder in ("callee", "both"):
        _hold(c)
    with c.if_(c.v.interval > 0):
        c.set("ends", NEVER if not (c.v.limit or c.v.callee_hangs_up) else
              c.v.hold if c.v.callee_hangs_up else c.v.limit)
        c.add("ends", c.elapsed)
        keep_alive(c, outcome="succeeded", owner=False)
        if c.v.callee_hangs_up:
            _hang_up(c)
            c.end()
        elif c.v.limit:
            bye(c, "timeout")
    if c.v.callee_hangs_up:
        with c.expect("ACK").on("timeout"):
            bye(c, "no_ack")
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


def _extensions(c: Recorder) -> None:
    """Look at what the caller can and wants: reliable responses, a session timer."""
    if c.v.reliable not in ("auto", "yes", "no"):
        raise ModelError(f"setting reliable: there is no {c.v.reliable}",
                         mend="write auto, yes or no")
    with c.if_header("Supported", "100rel"):
        c.set("reliable_", 1)


def _ring(c: Recorder) -> None:
    """Send a provisional response: 183 with SDP, 180, or 100 when the answer takes its time."""
    if c.v.early_media:
        c.respond(183, sdp=c.v.sdp)
    elif c.v.provisional:
        c.respond(180)
    elif not c.instant(c.v.answer_after):
        c.respond(100)
