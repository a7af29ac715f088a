"""The answering side of a call that is transferred: the transferee (RFC 5589)."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, bye, check_credentials
from siploadgen.model.builtin.transfer import REFERRED, carry_out, take_refer
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder

ENDS = {"": "parted"}


@answer("INVITE", user="transferee", name="answer-transferee", **REFERRED, **CHALLENGE)
def answer_transferee(c: Recorder) -> None:
    """Answer a call and do as its REFERs ask, in the dialog or beside it."""
    c.supports("norefersub", "replaces", "tdialog")
    check_credentials(c)
    c.respond(180)
    c.respond(200, sdp=c.v.sdp, method="INVITE", headers=accepted(c))
    c.label("talk")
    talk = c.expect("BYE").optional("ACK")
    with talk.on("REFER"):
        take_refer(c, "", "talk")
        carry_out(c, "", ENDS)
        c.jump("transferred")
    with talk.on("REFER", leg="refer"):  # to our Contact, with Target-Dialog (RFC 4538)
        take_refer(c, "refer", "talk")
        carry_out(c, "refer", ENDS)
        c.jump("transferred")
    with talk.on("INVITE"):  # they put us on hold before they transfer us
        c.respond(200, sdp=c.v.sdp, method="INVITE")
    with talk.on("timeout"):
        bye(c, "no_ack")
    c.respond(200, method="BYE")
    with c.if_(c.v.code >= 300):
        c.end("refused", ok=True)
    c.end()
    c.label("transferred")
    with c.if_(c.v.parted == 0):
        c.jump("talk")  # there was no call, and this one goes on (RFC 5589 6.2)
    with c.if_(c.v.code >= 300):
        c.end("refused", ok=True)
    c.end()
