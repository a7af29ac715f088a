"""`options`: ask for capabilities."""

from siploadgen.model.builtin.parts import IDENTITY, challenged, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(name="options", to=Setting("", "URI to ask; the target when empty", "uri"), **IDENTITY)
def options_model(c: Recorder) -> None:
    """Ask for capabilities: OPTIONS and its answer."""
    user, password, from_uri = identity(c)
    c.options(c.v.to, from_=from_uri, start="options")
    challenged(c, c.expect("2xx", stop="options").optional(100), user, password)
