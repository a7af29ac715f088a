"""`call-busy`: a call that is refused."""

from siploadgen.model.builtin.parts import IDENTITY, challenged, hang_up, identity
from siploadgen.model.builtin.refusals import parse_refusals
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-busy",
    status=Setting("486", "the refusal", "count"),
    others=Setting("", "refusals beside it and their shares: 603:10%,480:5%"),
    to=Setting("", "URI to call; the target, user `busy`, when empty", "uri"),
    **IDENTITY,
)
def call_busy(c: Recorder) -> None:
    """Call somebody who refuses: INVITE, 486, ACK."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp="g711", from_=from_uri, start="srd_failed", user="busy")
    refused = c.expect(optional="1xx")
    challenged(c, refused, user, password)
    with refused.on("2xx"):
        hang_up(c, "answered", ok=False)
    c.expect(c.v.status, *(status for status, _ in parse_refusals(c.v.others)), stop="srd_failed")
    c.end("refused", ok=True)
