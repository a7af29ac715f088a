"""`call-no-answer`: a call that nobody answers."""

from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, hang_up, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-no-answer",
    patience=Setting("5s", "ringing before the caller gives up", "distribution"),
    to=Setting("", "URI to call; the target, user `no-answer`, when empty", "uri"),
    **IDENTITY,
)
def call_no_answer(c: Recorder) -> None:
    """Let it ring, then give up: INVITE, 180, CANCEL, 487, ACK."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp="g711", from_=from_uri, start="srd", user="no-answer")
    ringing = c.expect(optional=100)
    challenged(c, ringing, user, password)
    with ringing.on("2xx"):
        hang_up(c, "answered", ok=False)
    c.expect("101-199", stop="srd")
    with c.pause(c.v.patience).on("2xx"):
        hang_up(c, "answered", ok=False)
    give_up(c, "succeeded", clock="cancel")
