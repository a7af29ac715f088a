"""`call-reliable`: a call whose provisional responses are acknowledged."""

from siploadgen.model.builtin.call import hang_up
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity
from siploadgen.model.builtin.session import acknowledge_offer, changes, rest, take_offer
from siploadgen.model.messages import session_changing
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-reliable",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    require=Setting("yes", "100rel stands in Require, not only in Supported", "flag"),
    delayed_offer=Setting("no", "the callee makes the offer, the PRACK brings the answer", "flag"),
    prack_offer=Setting("no", "the first PRACK brings a second offer", "flag"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_reliable(c: Recorder) -> None:
    """Make a call with reliable provisional responses: 180, PRACK, 200, ACK, BYE."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp="" if c.v.delayed_offer else c.v.sdp, from_=from_uri, supported="100rel",
             headers={"Require": "100rel"} if c.v.require else {}, start="srd setup")
    answered = c.expect(optional=100)
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    with answered.on("101-199", method="INVITE"):
        c.stop("srd")
        with c.if_header("Require", "100rel"):
            _acknowledge(c)
    answered.optional(100, method="PRACK")
    with answered.on("2xx", method="PRACK"):
        c.stop("prack")
    changes(c, answered)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    if c.v.delayed_offer:
        with c.if_(c.v.settled == 0):
            acknowledge_offer(c)
        with c.else_():
            c.ack()
    else:
        c.ack()
    rest(c, c.v.hold, "unexpected")
    hang_up(c, user, password)


def _acknowledge(c: Recorder) -> None:
    """Send the PRACK, with the answer or an offer where that is wanted (RFC 3262 5)."""
    if c.v.delayed_offer or c.v.prack_offer:
        with c.if_(c.v.settled == 0), c.if_body("m="):
            c.set("settled", 1)
            if c.v.delayed_offer:
                take_offer(c)
                c.prack(sdp=session_changing(c.v.sdp), start="prack")
            else:
                c.prack(sdp=c.v.sdp, start="prack")
            c.jump("acknowledged")
    c.prack(start="prack")
    c.label("acknowledged")
