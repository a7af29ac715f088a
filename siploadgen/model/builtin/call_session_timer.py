"""`call-session-timer`: a call that is kept alive by refreshes."""

from siploadgen.model.builtin.call import hang_up
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity
from siploadgen.model.builtin.session import agree, keep_alive, rest
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

REFRESHERS = ("uac", "uas", "any")


@call(
    name="call-session-timer",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    session_expires=Setting("1800", "session interval asked for, in seconds, at least 90", "count"),
    refresher=Setting("uac", "who refreshes: uac, the caller, uas, or any: as the callee likes"),
    refresh_by=Setting("auto", "refreshes: auto, UPDATE when the callee allows it, or invite"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_session_timer(c: Recorder) -> None:
    """Keep a call alive with a session timer: refreshes at half of its interval, then BYE."""
    for name, known in (("refresher", REFRESHERS), ("refresh_by", ("auto", "invite"))):
        if getattr(c.v, name) not in known:
            raise ModelError(f"setting {name}: there is no {getattr(c.v, name)}",
                             mend=nearest(getattr(c.v, name), known))
    who = "" if c.v.refresher == "any" else f";refresher={c.v.refresher}"
    user, password, from_uri = identity(c)
    c.set("interval", c.v.session_expires)
    c.set("least", 90)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, supported="timer", start="srd setup",
             headers={"Session-Expires": "{interval}" + who, "Min-SE": "{least}"})
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    with answered.on(422):  # once more, with the interval of who refused (RFC 4028 7.4)
        with c.if_(c.v.tries > 0):
            c.end("rejected")
        c.set("tries", 1)
        c.extract("least", "Min-SE")
        with c.if_(c.v.least < 0):
            c.end("rejected")
        c.set("interval", c.v.least)
        c.resend()
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    agree(c, answered=True)
    if c.v.refresh_by == "invite":
        c.set("by_update", 0)
    c.ack()
    with c.if_(c.v.interval > 0):
        c.set("ends", c.v.hold)
        c.add("ends", c.elapsed)
        keep_alive(c, outcome="unexpected", owner=True, clock="refresh")
    with c.else_():  # the callee knows of no timer, or wants none
        rest(c, c.v.hold, "unexpected")
    hang_up(c, user, password)
