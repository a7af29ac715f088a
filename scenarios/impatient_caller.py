"""Impatient callers: each waits its own time, and calls again when nobody answers."""

from siploadgen import Setting, answer, call, exponential


@call(patience=Setting("exponential(6s)", "ringing before the caller gives up", "distribution"),
      attempts=Setting("3", "calls before the caller gives up for good", "count"))
def impatient_caller(c):
    """INVITE, CANCEL, and once more."""
    c.label("dial")
    c.add("calls", 1)
    c.invite(sdp="g711", start="setup")
    c.set("answered", 0)
    waiting = c.pause(c.v.patience).optional("1xx")
    with waiting.on(200, then="go on"):
        c.set("answered", 1)
    with c.if_(c.v.answered == 0):
        c.cancel()
        final = c.expect(487).optional("1xx").optional("200-699", method="CANCEL")
        with final.on("2xx", method="INVITE"):  # the answer was faster
            c.jump("talk")
        with c.if_(c.v.calls >= c.v.attempts):
            c.end("given_up", ok=True)
        c.pause("2s")
        c.jump("dial")
    c.label("talk")
    c.stop("setup")
    c.ack()
    c.pause("3s")
    c.bye()
    c.expect(200)


@answer("INVITE", pick_up=exponential("4s"))
def walks_to_the_telephone(c):
    """Answer after a random time."""
    c.respond(180)
    with c.pause(c.v.pick_up).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("caller_gave_up", ok=True)
    c.respond(200, method="INVITE", sdp="g711")
    c.expect("BYE").optional("ACK")
    c.respond(200)
