"""`call-cancel`: a call that its caller gives up at any moment."""

from siploadgen.model.builtin.parts import (
    IDENTITY,
    TX_TIMEOUT,
    challenged,
    give_up,
    hang_up,
    identity,
)
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

WAYS = ("cancel", "bye")
MOMENTS = ("invite", "ringing")


@call(
    name="call-cancel",
    cancel_after=Setting("uniform(0ms,500ms)", "time to the CANCEL", "distribution"),
    cancel_from=Setting("invite", "what that time counts from: invite or ringing"),
    cancel_by=Setting("cancel", "CANCEL, or once it rings the BYE of the early dialog: cancel or "
                                "bye"),
    to=Setting("", "URI to call; the target, user `cancel`, when empty", "uri"),
    **IDENTITY,
)
def call_cancel(c: Recorder) -> None:
    """Give a call up: INVITE, CANCEL, 487, ACK."""
    if c.v.cancel_by not in WAYS or c.v.cancel_from not in MOMENTS:
        raise ModelError(f"setting cancel_by: {c.v.cancel_by}, cancel_from: {c.v.cancel_from}",
                         mend=f"write {' or '.join(WAYS)}, {' or '.join(MOMENTS)}")
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp="g711", from_=from_uri, start="srd", user="cancel")
    if c.v.cancel_from == "ringing" or c.v.cancel_by == "bye":
        ringing = c.expect(optional=100)
        challenged(c, ringing, user, password)
        with ringing.on("2xx"):
            hang_up(c, "cancel_race")
        c.expect("101-199", stop="srd")
    meanwhile = c.pause(c.v.cancel_after)
    meanwhile.optional(100).optional("101-199", stop="srd")
    challenged(c, meanwhile, user, password)
    with meanwhile.on("2xx"):
        hang_up(c, "cancel_race")
    if c.v.cancel_by == "cancel":
        give_up(c, "succeeded", clock="cancel")
        return
    _hang_up_early(c)


def _hang_up_early(c: Recorder) -> None:
    """End the early dialog by BYE (RFC 3261 15.1.2); an answer may be under way."""
    c.send("BYE", early=True, start="cancel")
    ended = c.expect("300-699", method="INVITE", stop="cancel", within=TX_TIMEOUT)
    ended.optional("1xx")
    with ended.on("200-699", method="BYE"):
        c.set("bye_answered", 1)
    with ended.on("2xx", method="INVITE"):
        c.ack()
        with c.if_(c.v.bye_answered == 0):
            c.expect("200-699", method="BYE")
        c.end("cancel_race", ok=True)
    with ended.on_late():
        with c.if_(c.v.bye_answered == 1):  # who has the BYE does not repeat the answer for ever
            c.end("cancel_race", ok=True)
        c.end("cancel_timeout")
