"""Callers with different telephones: a table of codecs and their shares, unrolled by Python."""

from siploadgen import call

CODECS = {"g729": 0.3, "g711": 0.7}  # the last takes what is left


@call()
def codec_menu(c):
    """Call with one of the codecs, each with a stopwatch of its own."""
    left = 1.0
    for codec, share in CODECS.items():
        with c.chance(min(1.0, share / left)):
            talk(c, codec)
            c.end()
        left -= share


def talk(c, codec):
    """INVITE, 200, ACK, BYE."""
    c.invite(sdp=codec, start=f"setup_{codec}")
    c.expect(200, stop=f"setup_{codec}").optional("1xx")
    c.ack()
    c.pause("2s")
    c.bye()
    c.expect(200)
