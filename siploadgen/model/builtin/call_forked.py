"""`call-forked`: a call that rings and is answered at several places."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity, talk
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-forked",
    hold=call_model.settings["hold"],
    ring_limit=call_model.settings["ring_limit"],
    sdp=call_model.settings["sdp"],
    to=Setting("", "URI to call; the target, user `fork`, when empty", "uri"),
    **IDENTITY,
)
def call_forked(c: Recorder) -> None:
    """Make a call that forks: the first 2xx wins, the others get ACK and BYE (13.2.2.4)."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, start="srd setup", user="fork")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    challenged(c, answered, user, password)
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    talk(c, user, password)
