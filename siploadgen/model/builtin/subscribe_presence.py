"""`subscribe-presence`: a watcher of somebody's presence."""

from siploadgen.model.builtin.bodies import PIDF
from siploadgen.model.builtin.subscriber import SUBSCRIBER, subscription
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder


@call(name="subscribe-presence", **SUBSCRIBER)
def subscribe_presence_model(c: Recorder) -> None:
    """Watch presence: SUBSCRIBE, its NOTIFYs, refreshes, and the end (RFC 6665, 3856)."""
    subscription(c, "presence", PIDF)
