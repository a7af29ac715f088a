"""`keepalive`: pings that keep a path open."""

from siploadgen.model.builtin.parts import IDENTITY, identity
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

FORMS = ("options", "crlf")


@call(
    name="keepalive",
    interval=Setting("uniform(24s,29s)", "time from one ping to the next", "distribution"),
    pings=Setting("3", "pings of one path, or `always`", "times"),
    form=Setting("options", "what a ping is: options, or crlf, which nobody answers"),
    to=Setting("", "URI to ask; the target when empty", "uri"),
    **IDENTITY,
)
def keepalive_model(c: Recorder) -> None:
    """Keep a path open: OPTIONS again and again, each with its answer."""
    if c.v.form not in FORMS:
        raise ModelError(f"setting form: there is no {c.v.form}",
                         mend=f"write {' or '.join(FORMS)}")
    if c.v.pings == 0:
        return
    _ping(c)
    with c.loop(None if c.v.pings is None else c.v.pings - 1):
        c.jump("leave", when=c.stopping == 1)
        c.pause(c.v.interval)
        c.jump("leave", when=c.stopping == 1)
        _ping(c)
    c.label("leave")


def _ping(c: Recorder) -> None:
    """Any answer says that the other end is there; silence ends the call as `timeout`."""
    if c.v.form == "crlf":  # RFC 5626 3.5.1, as many send it over UDP too
        c.datagram("\r\n\r\n")
        c.count("crlf")
        return
    c.options(c.v.to, from_=identity(c)[2], start="options")
    c.expect("200-699", stop="options").optional("1xx")
