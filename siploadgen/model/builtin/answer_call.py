"""The answering side of calls."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import CHALLENGE, accepted, bye, check_credentials, crossing
from siploadgen.model.builtin.refusals import NO_ANSWER
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "INVITE",
    name="answer-call",
    ring=Setting("0s", "answering side: time from 180 to 200", "distribution"),
    provisional=Setting("yes", "answering side: send 180 before the answer", "flag"),
    early_media=Setting("no", "answering side: 183 with SDP instead of 180", "flag"),
    no_answer=Setting("0%", "answering side: share of calls that ring until they are cancelled",
                      "share"),
    ring_time=Setting("180s", "answering side: longest ringing without an answer", "duration"),
    limit=Setting("0s", "answering side: hang up a call that lasts longer, 0s: never", "duration"),
    hold=call_model.settings["hold"],
    callee_hangs_up=call_model.settings["callee_hangs_up"],
    sdp=call_model.settings["sdp"],
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
    _ring(c)
    with (waiting := c.pause(c.v.answer_after)).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("cancelled")
    with waiting.on("BYE"):  # the caller may end an early dialog by BYE, RFC 3261 15.1.2
        c.respond(200)
        c.respond(487, method="INVITE")
        c.end("cancelled")
    c.respond(200, sdp=c.v.sdp, method="INVITE", headers=accepted(c))
    if c.v.callee_hangs_up:
        _hang_up_after_hold(c)
        return
    done = c.expect("BYE", within=c.v.limit).optional("ACK")
    with done.on("timeout"):  # never acknowledged, RFC 3261 13.3.1.4
        bye(c, "no_ack")
    if c.v.limit:
        with done.on_late():
            bye(c, "timeout")
    with done.on("INVITE"):  # a refresh, or a change of the session (RFC 3261 14.2)
        c.respond(200, sdp=c.v.sdp)
    with done.on("INFO"):
        c.respond(200)
    c.respond(200, method="BYE")


def _ring(c: Recorder) -> None:
    """Send a provisional response: 183 with SDP, 180, or 100 when the answer takes its time."""
    if c.v.early_media:
        c.respond(183, sdp=c.v.sdp)
    elif c.v.provisional:
        c.respond(180)
    elif not c.instant(c.v.answer_after):
        c.respond(100)


def _never_answer(c: Recorder) -> None:
    """Ring until the caller gives up."""
    c.respond(180)
    c.expect("cancel", within=c.v.ring_time).late(end="no_answer")
    c.respond(487, method="INVITE")
    c.end("cancelled")


def _hang_up_after_hold(c: Recorder) -> None:
    """Wait for the ACK, hold, send the BYE."""
    with c.expect("ACK").on("timeout"):
        bye(c, "no_ack")
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    crossing(c, c.expect("2xx", stop="sdd"))
