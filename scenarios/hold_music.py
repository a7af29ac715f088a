"""A call that is put on hold again and again: the versions of the descriptions count on."""

from siploadgen import Setting, call

SESSION = ("v=0\no=- 1 {version} IN {sdp_address}\ns=-\nc=IN {sdp_address}\nt=0 0\n"
           "m=audio 6000 RTP/AVP 8\na={flow}\n")


@call(times=Setting("3", "how often", "count"))
def hold_music(c):
    """INVITE, then sendonly and sendrecv in turn, BYE."""
    c.set("version", 1)
    c.text("flow", "sendrecv")
    c.invite(sdp=SESSION)
    c.expect(200).optional("1xx")
    c.ack()
    with c.loop(c.v.times):
        for flow in ("sendonly", "sendrecv"):
            c.pause("2s")
            c.add("version", 1)
            c.text("flow", flow)
            c.invite(sdp=SESSION, start=flow)
            c.expect(200, stop=flow).optional("1xx")
            c.ack()
    c.bye()
    c.expect(200)
