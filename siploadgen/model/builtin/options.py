"""`options`: ask for capabilities."""

from siploadgen.model.builtin.parts import IDENTITY, challenged, crossing, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="options",
    in_call=Setting("0", "OPTIONS in a call: how many; 0: one outside of calls", "count"),
    to=Setting("", "URI to ask; the target when empty", "uri"),
    **IDENTITY,
)
def options_model(c: Recorder) -> None:
    """Ask for capabilities: OPTIONS and its answer."""
    user, password, from_uri = identity(c)
    if not c.v.in_call:
        c.options(c.v.to, from_=from_uri, start="options")
        challenged(c, c.expect("2xx", stop="options").optional(100), user, password)
        return
    c.invite(c.v.to, sdp="g711", from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    challenged(c, answered, user, password)
    c.expect("2xx", stop="srd setup")
    c.ack()
    with c.loop(c.v.in_call):
        c.options(start="options")
        challenged(c, c.expect("2xx", stop="options").optional(100), user, password)
    c.bye(start="sdd")
    crossing(c, c.expect("2xx", stop="sdd").optional(100))
