"""`keepalive`: pings that keep a path open."""

from siploadgen.model.builtin.parts import IDENTITY, identity
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

FORMS = ("options", "stun", "crlf")
REPEATS = 7  # of a STUN request that nobody answers, each twice as long after the one before
LAST_WAIT = 16  # T1 after the last of them (RFC 5389 7.2.1)


@call(
    name="keepalive",
    interval=Setting("uniform(24s,29s)", "time from one ping to the next", "distribution"),
    pings=Setting("3", "pings of one path, or `always`", "times"),
    form=Setting("options", "what a ping is: options, stun (a Binding request), or crlf, which "
                            "nobody answers"),
    to=Setting("", "URI to ask; the target when empty", "uri"),
    **IDENTITY,
)
def keepalive_model(c: Recorder) -> None:
    """Keep a path open: OPTIONS or STUN again and again, each with its answer."""
    if c.v.form not in FORMS:
        raise ModelError(f"setting form: there is no {c.v.form}",
                         mend=f"write {', '.join(FORMS)}")
    if c.v.pings == 0:
        return
    ping = {"options": _ask, "stun": _bind, "crlf": _crlf}[c.v.form]
    ping(c)
    with c.loop(None if c.v.pings is None else c.v.pings - 1):
        c.jump("leave", when=c.stopping == 1)
        c.pause(c.v.interval)
        c.jump("leave", when=c.stopping == 1)
        ping(c)
    c.label("leave")


def _ask(c: Recorder) -> None:
    """Any answer says that the other end is there; silence ends the call as `timeout`."""
    c.options(c.v.to, from_=identity(c)[2], start="options")
    c.expect("200-699", stop="options").optional("1xx")


def _crlf(c: Recorder) -> None:
    """Send a double CRLF (RFC 5626 3.5.1), as many do over UDP too."""
    c.datagram("\r\n\r\n")
    c.count("crlf")


def _bind(c: Recorder) -> None:
    """Ask by STUN; a flow fails by silence, an error, or when our address is another one."""
    c.set("bound", 0)
    for repeat in range(REPEATS):
        with c.if_(c.v.bound == 0):
            if repeat:
                c.binding(again=True)
                c.count("bindings_again")
            else:
                c.binding()
                c.start("binding")
                c.count("bindings")
            wait = c.expect(within=f"{LAST_WAIT if repeat == REPEATS - 1 else 2**repeat}*T1")
            with wait.on("binding", then="go on"):
                c.stop("binding")
                c.set("bound", 1)
            wait.ends("rebinding", end="flow_failed")
            if repeat < REPEATS - 1:
                with wait.on_late():
                    c.set("bound", 0)
