"""Several models of one file, made by a function: a call for each codec."""

from siploadgen import call


def make(codec):
    """A call model for one session description."""
    @call(name=f"call-{codec}")
    def model(c):
        """Call with one codec."""
        c.invite(sdp=codec, start=f"setup_{codec}")
        c.expect(200, stop=f"setup_{codec}").optional("1xx")
        c.ack()
        c.pause("2s")
        c.bye()
        c.expect(200)
    return model


call_g711 = make("g711")
call_g729 = make("g729")
