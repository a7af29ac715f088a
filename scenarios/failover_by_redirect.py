"""A first choice that is often down: 302 names a second one, and the call goes there."""

from siploadgen import answer, call


@call()
def failover(c):
    """INVITE, perhaps 302 or 503, INVITE to the second, 200."""
    c.invite(sdp="g711", user="first", start="setup")
    wait = c.expect(200, stop="setup").optional("1xx")
    with wait.on(302):
        c.capture("second", "Contact.uri")
        c.count("sent_on")
        c.redirect("{second}")
    c.ack()
    c.pause("1s")
    c.bye()
    c.expect(200)


@answer("INVITE", user="first")
def first(c):
    """Be there for half of the calls."""
    with c.chance(0.5):
        c.respond(302, headers={"Contact": "<sip:second@{local}>"})
        c.end("sent_on", ok=True)
    talk(c)


@answer("INVITE", user="second")
def second(c):
    """Be there always."""
    talk(c)


def talk(c):
    """Answer a call."""
    c.respond(180)
    c.respond(200, sdp="g711")
    c.expect("BYE").optional("ACK")
    c.respond(200)
