"""`info-dtmf`: digits in the INFOs of a call."""

from siploadgen.model.builtin.parts import IDENTITY, bye, challenged, identity
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

DIGITS = frozenset("0123456789*#ABCD")


@call(
    name="info-dtmf",
    digits=Setting("0123456789*#", "keys that are pressed, one INFO each"),
    interval=Setting("0s", "time from an answer to the next key", "distribution"),
    package=Setting("", "Info-Package of the INFOs (RFC 6086); the older form without when empty"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `dtmf`, when empty", "uri"),
    **IDENTITY,
)
def info_dtmf_model(c: Recorder) -> None:
    """Press keys in a call: INFOs with application/dtmf-relay, then BYE."""
    if not c.v.digits or set(c.v.digits) - DIGITS:
        raise ModelError(f"setting digits: {c.v.digits!r} are no keys", mend="write 0-9*#A-D")
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, user="dtmf", start="srd setup",
             headers={"Recv-Info": ""})
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup")
    challenged(c, answered, user, password)
    c.ack()
    if c.v.package:  # nothing is sent that was not asked for (RFC 6086 4.2.2)
        c.set("offered", 0)
        with c.if_header("Recv-Info", c.v.package):
            c.set("offered", 1)
        with c.if_(c.v.offered == 0):
            bye(c, "not_offered")
    for digit in c.v.digits:
        with c.pause(c.v.interval).on("BYE"):
            c.respond(200)
            c.end("unexpected")
        c.jump("done", when=c.stopping == 1)
        _press(c, digit)
        pressed = c.expect("2xx", stop="info").optional(100)
        challenged(c, pressed, user, password)
        pressed.ends(408, 481, end="rejected")  # these end the call too (RFC 6086 4.2.1)
        with pressed.on("300-699"):
            bye(c, "rejected")
        with pressed.on("timeout"):
            bye(c, "timeout")
        with pressed.on("BYE"):
            c.respond(200)
            c.end("unexpected")
    c.label("done")
    c.bye(start="sdd")
    challenged(c, c.expect("2xx", stop="sdd").optional(100), user, password)


def _press(c: Recorder, digit: str) -> None:
    """Send one key for 160 ms."""
    package = {"Info-Package": c.v.package, "Content-Disposition": "Info-Package"}
    c.send("INFO", headers=package if c.v.package else {}, start="info",
           content_type="application/dtmf-relay", body=f"Signal={digit}\nDuration=160\n")
