"""`call-delayed-offer`: the callee makes the offer."""

from siploadgen.model.builtin.call import hang_up
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity
from siploadgen.model.builtin.session import acknowledge_offer, rest
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-delayed-offer",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_delayed_offer(c: Recorder) -> None:
    """Make a call whose INVITE has no offer: 200 with the offer, ACK with the answer, BYE."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    acknowledge_offer(c)
    rest(c, c.v.hold, "unexpected")
    hang_up(c, user, password)
