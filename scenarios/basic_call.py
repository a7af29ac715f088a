"""An ordinary call, and who answers it: the Python twin of basic-call.yaml."""

from siploadgen import Setting, answer, call


@call(hold=Setting("lognormal(30s,0.6)", "time from ACK to BYE", "distribution"))
def basic_call(c):
    """Call, talk, hang up."""
    c.invite(sdp="g711", start="srd setup")
    wait = c.expect(optional=100).optional(180, 183, stop="srd")
    wait.ends(486, 600, 603, end="busy").otherwise(end="failed")
    c.expect(200, stop="srd setup", within="180s")
    c.ack()
    c.pause(c.v.hold)
    c.bye(start="sdd")
    c.expect(200, stop="sdd")


@answer("INVITE", ring=Setting("2s", "time from 180 to 200", "distribution"))
def callee(c):
    """180, 200, and the caller's BYE."""
    c.respond(180)
    with c.pause(c.v.ring).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("cancelled")
    c.respond(200, method="INVITE", sdp="g711")
    c.expect("BYE").optional("ACK")
    c.respond(200)
