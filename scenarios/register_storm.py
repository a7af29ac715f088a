"""Telephones after a power cut: all register at once, patiently when the registrar is busy."""

from siploadgen import answer, call


@call(columns="user password")
def register_storm(c):
    """REGISTER until it is accepted; 503 is obeyed, and each wait is longer than the one before."""
    c.set("wait", "1s")
    c.start("registered")
    c.label("again")
    c.register(expires=600)
    wait = c.expect(200).optional("1xx").auth(401)
    with wait.on(500, 503, 408):
        c.count("refusals")
        c.add("tries", 1)
        with c.if_(c.v.tries > 8):
            c.end("never_registered")
        c.mul("wait", 1.5)
        c.pause(c.v.wait)
        c.jump("again")
    c.stop("registered")


@answer("REGISTER")
def small_registrar(c):
    """Refuse a third of what comes, and register the others."""
    with c.chance("33%"):
        c.respond(503)
        c.end("shed", ok=True)
    c.bind("verdict", bindings=100_000)
    c.respond(200)
