"""Digits by INFO, one request for each: Python unrolls the loop when the call is recorded."""

from siploadgen import Setting, call

KEYS = frozenset("0123456789*#ABCD")


@call(digits=Setting("1234#", "keys to press"), between=Setting("300ms", "", "distribution"))
def dtmf_digits(c):
    """INVITE, an INFO for each key, BYE."""
    c.invite(sdp="g711", user="dtmf")
    c.expect(200).optional("1xx")
    c.ack()
    for digit in c.v.digits:
        if digit not in KEYS:
            raise ValueError(f"{digit} is no key")
        c.pause(c.v.between)
        c.send("INFO", body=f"Signal={digit}\nDuration=160\n", start="info",
               content_type="application/dtmf-relay")
        c.expect(200, stop="info")
    c.bye()
    c.expect(200)
