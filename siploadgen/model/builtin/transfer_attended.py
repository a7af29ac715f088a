"""`transfer-attended`: two calls that are joined (RFC 5589 7)."""

from siploadgen.model.builtin.parts import TX_TIMEOUT, challenged, identity
from siploadgen.model.builtin.transfer import (
    CALLING,
    REFERRING,
    TARGET,
    TARGET_USER,
    call_up,
    cancelled,
    ended,
    follow,
    hang_up,
    parting,
    refer_headers,
    target_user_uri,
)
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

ENDS = {"": "parted", TARGET: "replaced"}
FIRST = {"": "parted"}


@call(
    name="transfer-attended",
    second=Setting("", f"URI of the second call; the target, user `{TARGET_USER}`, when empty",
                   "uri"),
    to=Setting("", "URI of the first call; the target, user `transferee`, when empty", "uri"),
    **REFERRING,
    **CALLING,
)
def transfer_attended_model(c: Recorder) -> None:
    """Call two, and ask the first to take one's place at the second: REFER with Replaces."""
    user, password, from_uri = identity(c)
    call_up(c, c.v.to, "transferee", user, password, from_uri)
    c.ack()
    with c.pause(c.v.talk).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.invite(c.v.second or target_user_uri(c), sdp=c.v.sdp, from_=from_uri, leg=TARGET)
    answered = c.expect(leg=TARGET).optional("1xx")
    if user:
        challenged(c, answered, user, password)
    with answered.on("300-699"):
        hang_up(c, FIRST, clock="sdd")
        c.end("rejected")
    parting(c, answered, FIRST)
    c.expect("2xx", leg=TARGET, within=c.v.ring_limit)
    if c.v.ring_limit:
        with answered.on_late():
            cancelled(c, FIRST, TARGET)
            hang_up(c, FIRST, clock="sdd")
            c.end("no_answer")
    c.capture("contact", "Contact.uri")
    c.ack(leg=TARGET)
    parting(c, c.pause(c.v.talk), ENDS, "go on")
    c.capture("dialog", "dialog", leg=TARGET)
    c.text("place", "{dialog}", escaped=True)
    with c.if_(c.v.parted == 0):
        refer_to = "{contact}?Replaces={place}&Require=replaces"
        c.send("REFER", start="refer transfer", headers=refer_headers(c, refer_to, from_uri))
        follow(c, ENDS, user, password)
        hang_up(c, ENDS, clock="sdd")
    with c.if_(c.v.code == 200), c.loop(c.v.replaced == 0):
        last = c.expect(leg=TARGET, within=TX_TIMEOUT)
        with last.on("BYE", then="go on"):
            c.respond(200, method="BYE", leg=TARGET)
            c.set("replaced", 1)
        with last.on_late():
            hang_up(c, ENDS, TARGET)
            c.end("not_replaced")
    hang_up(c, ENDS, TARGET)
    with c.if_(c.v.code == 0):
        c.end("unexpected")
    ended(c)
