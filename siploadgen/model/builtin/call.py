"""`call`: an ordinary call."""

from siploadgen.model.builtin.parts import IDENTITY, challenged, crossing, give_up, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    callee_hangs_up=Setting("no", "the answering side sends the BYE, after `hold`", "flag"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_model(c: Recorder) -> None:
    """Make a call: INVITE with SDP, ringing, 200, ACK, hold, BYE."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    with answered.on(487):  # ringing that was cancelled because the run ends is no refusal
        with c.if_(c.stopping == 1):
            c.end("cancelled")
        c.end("rejected")
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    c.ack()
    if c.v.callee_hangs_up:
        c.expect("BYE")
        c.respond(200)
        c.end()
        return
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    done = c.expect("2xx", stop="sdd").optional(100)
    if user:
        challenged(c, done, user, password)
    crossing(c, done)
