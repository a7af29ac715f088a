"""A call centre: callers wait in a queue, some find it full, the others talk to an agent."""

from siploadgen import answer, call, exponential, uniform


@call(talk=uniform("5s", "20s"))
def customer(c):
    """Wait in the queue, talk, hang up."""
    c.invite(sdp="g711", user="support", start="queue")
    wait = c.expect(optional=100).optional(180, 182)
    with wait.on(480):
        c.end("queue_full", ok=True)
    c.expect(200, stop="queue")
    c.ack()
    with c.pause(c.v.talk).on("BYE"):
        c.respond(200)
        c.end("agent_hung_up", ok=True)
    c.bye()
    c.expect("2xx", 481)


@answer("INVITE", user="support", queue=exponential("10s"))
def agent(c):
    """182 while all are busy, then the call; one in ten finds the queue full."""
    with c.chance("10%"):
        c.respond(480)
        c.end("turned_away", ok=True)
    c.respond(182)
    with (waiting := c.pause(c.v.queue)).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("caller_gave_up", ok=True)
    waiting.optional("ACK")
    c.respond(200, method="INVITE", sdp="g711")
    c.expect("BYE").optional("ACK")
    c.respond(200)
