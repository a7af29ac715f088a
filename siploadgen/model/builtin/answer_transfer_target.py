"""The answering side of the call that a transfer leads to: the transfer target (RFC 5589)."""

from siploadgen.model.builtin.answer_call import answer_call
from siploadgen.model.builtin.parts import bye
from siploadgen.model.builtin.transfer import TARGET_USER, parting
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder

NEW = "new"  # leg of the call that takes the first one's place


@answer("INVITE", user=TARGET_USER, name="answer-transfer-target",
        ring=answer_call.settings["ring"], sdp=answer_call.settings["sdp"])
def answer_transfer_target(c: Recorder) -> None:
    """Answer a call, and one that replaces it: then the first is hung up (RFC 3891)."""
    c.supports("replaces")
    c.respond(180)
    with (waiting := c.pause(c.v.answer_after)).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("cancelled")
    with waiting.on("BYE"):
        c.respond(200, method="BYE")
        c.respond(487, method="INVITE")
        c.end("cancelled")
    c.respond(200, sdp=c.v.sdp, method="INVITE")
    talk = c.expect("BYE").optional("ACK")
    with talk.on("INVITE", leg=NEW):
        with c.if_header("Replaces"):
            c.respond(200, sdp=c.v.sdp, method="INVITE", leg=NEW)
            c.jump("replaced")
        c.respond(486, method="INVITE", leg=NEW)
    with talk.on("INVITE"):
        c.respond(200, sdp=c.v.sdp, method="INVITE")
    with talk.on("timeout"):
        bye(c, "no_ack")
    c.respond(200, method="BYE")
    c.end()
    c.label("replaced")
    c.bye()
    ended = c.expect("BYE", leg=NEW).optional("ACK")
    with ended.on("200-699", "timeout", "transport", method="BYE", leg=""):
        c.set("left", 1)
    parting(c, ended, {"": "parted"})  # their BYE crosses ours
    with ended.on("timeout"):
        c.bye(leg=NEW)
        c.expect("200-699", "timeout", "transport", leg=NEW, method="BYE")
        c.end("no_ack")
    c.respond(200, method="BYE", leg=NEW)
    with c.loop(c.v.left == 0):
        final = c.expect("200-699", "timeout", "transport", leg="", method="BYE")
        parting(c, final, {"": "parted"})
        c.set("left", 1)
