"""`transfer-blind`: a call whose other side is asked to call somebody else (RFC 5589 6)."""

from siploadgen.model.builtin.parts import identity
from siploadgen.model.builtin.transfer import (
    CALLING,
    REFERRING,
    call_up,
    ended,
    follow,
    hang_up,
    refer_headers,
    target_user_uri,
)
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

ENDS = {"": "parted"}


@call(
    name="transfer-blind",
    refer_to=Setting("", "URI that the other side is to call; user `transfer-target` of the "
                         "target when empty", "uri"),
    in_dialog=Setting("yes", "REFER in the call's dialog; `no`: in one of its own, with "
                             "Target-Dialog", "flag"),
    to=Setting("", "URI to call; the target, user `transferee`, when empty", "uri"),
    **REFERRING,
    **CALLING,
)
def transfer_blind_model(c: Recorder) -> None:
    """Call somebody and transfer him: INVITE, REFER, NOTIFYs, BYE."""
    user, password, from_uri = identity(c)
    call_up(c, c.v.to, "transferee", user, password, from_uri)
    headers = refer_headers(c, c.v.refer_to or target_user_uri(c), from_uri)
    leg = "" if c.v.in_dialog else "refer"
    if not c.v.in_dialog:
        c.capture("contact", "Contact.uri")
        c.capture("call", "Call-ID")
        c.capture("theirs", "To;tag")
        c.capture("ours", "From;tag")
        c.route("{contact}", leg=leg)
        # the tags as the one who gets it has them (RFC 4538 7)
        headers["Target-Dialog"] = "{call};local-tag={theirs};remote-tag={ours}"
    c.ack()
    with c.pause(c.v.talk).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.send("REFER", "" if c.v.in_dialog else "{contact}", leg=leg, from_=from_uri,
           start="refer transfer", headers=headers)
    follow(c, ENDS, user, password, leg=leg)
    hang_up(c, ENDS, clock="sdd")
    ended(c)
