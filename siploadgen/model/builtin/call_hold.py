"""`call-hold`: a call that is put on hold and taken back."""

from siploadgen.model.builtin.call import hang_up
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity
from siploadgen.model.builtin.session import HOLD, check_hold, hold_and_resume, rest
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-hold",
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **HOLD,
    **IDENTITY,
)
def call_hold(c: Recorder) -> None:
    """Hold a call and take it back: INVITE, re-INVITE with sendonly, with sendrecv, BYE."""
    check_hold(c)
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    c.ack()
    if c.v.holder == "callee":  # it begins when it has our ACK and takes as long as it takes
        for time in (c.v.talk, c.v.held, c.v.talk, "1s"):
            rest(c, time, "unexpected")
        hang_up(c, user, password)
        return
    hold_and_resume(c, owner=True, outcome="unexpected")
    hang_up(c, user, password)
    with c.if_(c.v.refused == 1):
        c.end("change_refused")
