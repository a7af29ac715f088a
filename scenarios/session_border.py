"""What comes through a border element: several Vias' worth of headers, and a long caller's name."""

from siploadgen import Setting, call


@call(size=Setting("600", "octets of the Subject", "count"))
def session_border(c):
    """Make a call whose INVITE is as large as real ones are."""
    headers = [("Supported", "timer, replaces"), ("Allow-Events", "presence, dialog"),
               ("P-Charging-Vector", "icid-value={token};orig-ioi=home.example"),
               ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=2340123456789abc"),
               ("Subject", "x" * c.v.size)]
    c.invite(sdp="g711", headers=headers, start="setup")
    c.expect(200, stop="setup").optional("1xx")
    c.ack(headers=[("P-Charging-Vector", "icid-value={token}")])
    c.pause("1s")
    c.bye()
    c.expect(200)
