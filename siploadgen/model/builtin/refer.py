"""`refer`: ask somebody to call somebody else."""

from siploadgen.model.builtin.parts import IDENTITY, identity
from siploadgen.model.builtin.transfer import (
    REFERRING,
    ended,
    follow,
    refer_headers,
    target_user_uri,
)
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="refer",
    refer_to=Setting("", "URI that is to be called; user `transfer-target` of the target when "
                         "empty", "uri"),
    to=Setting("", "URI that is asked; the target, user `refer`, when empty", "uri"),
    **REFERRING,
    **IDENTITY,
)
def refer_model(c: Recorder) -> None:
    """Ask for a call to somebody: REFER, and NOTIFYs until its outcome."""
    user, password, from_uri = identity(c)
    c.send("REFER", c.v.to, user="refer", from_=from_uri, start="refer transfer",
           headers=refer_headers(c, c.v.refer_to or target_user_uri(c), from_uri))
    follow(c, {}, user, password)
    ended(c)
