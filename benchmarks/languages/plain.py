"""The built-in `call` as far as it goes well, in Python."""

from siploadgen import call


@call()
def plain(c):
    """INVITE, ACK, BYE."""
    c.invite("sip:service@{target.host}:{target.port}", sdp="g711",
             from_="sip:caller@{target.host}", start="srd setup")
    c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within="180s")
    c.ack()
    c.bye(start="sdd")
    c.expect("2xx", stop="sdd").optional(100)
