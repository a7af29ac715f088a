"""`keepalive`: pings that keep a path open."""

from siploadgen.model.builtin.parts import IDENTITY, identity
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting, Share
from siploadgen.model.values import parse_duration_ns, parse_share_distribution

FORMS = ("options", "stun", "crlf")
REPEATS = 7  # of a STUN request that nobody answers, each twice as long after the one before
LAST_WAIT = 16  # T1 after the last of them (RFC 5389 7.2.1)
BASE = parse_duration_ns("30s")  # base-time and max-time of RFC 5626 4.5
LONGEST = parse_duration_ns("1800s")
HALF_TO_ALL = Share(parse_share_distribution("uniform(50%,100%)"))


@call(
    name="keepalive",
    interval=Setting("uniform(24s,29s)", "time from one ping to the next", "distribution"),
    pings=Setting("3", "pings of one path, or `always`", "times"),
    form=Setting("options", "what a ping is: options, stun (a Binding request), or crlf, which "
                            "nobody answers"),
    recoveries=Setting("0", "times that a path which failed is tried again, or `always`; it waits "
                       "as RFC 5626 4.5 says", "times"),
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
    c.set("base", BASE)
    c.label("path")
    ping(c)
    c.set("base", BASE)
    with c.loop(None if c.v.pings is None else c.v.pings - 1):
        c.jump("leave", when=c.stopping == 1)
        c.pause(c.v.interval)
        c.jump("leave", when=c.stopping == 1)
        ping(c)
    c.label("leave")
    c.end()
    if c.v.recoveries != 0:
        _recover(c)


def _recover(c: Recorder) -> None:
    """Try a path that failed again after a while that grows (RFC 5626 4.5), as its only flow."""
    c.label("lost")
    c.count("flows_failed")
    if c.v.recoveries is not None:
        c.add("failures", 1)
        with c.if_(c.v.failures > c.v.recoveries):
            c.end("flow_failed")
    c.mul("base", 2)
    with c.if_(c.v.base > LONGEST):
        c.set("base", LONGEST)
    c.set("wait", c.v.base)
    c.mul("wait", HALF_TO_ALL)
    c.pause(c.v.wait)
    c.jump("leave", when=c.stopping == 1)
    c.leave()  # another flow, on which our address may be another one
    c.jump("path")


def _failing(c: Recorder, wait: Wait, *events: str) -> None:
    """Lead what ends a path to its recovery, where there is to be one."""
    if c.v.recoveries != 0:
        with wait.on(*events):
            c.jump("lost")


def _ask(c: Recorder) -> None:
    """Any answer says that the other end is there; silence ends the call as `timeout`."""
    c.options(c.v.to, from_=identity(c)[2], start="options")
    _failing(c, c.expect("200-699", stop="options").optional("1xx"), "timeout", "transport")


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
            last = repeat == REPEATS - 1
            wait = c.expect(within=f"{LAST_WAIT if last else 2**repeat}*T1")
            with wait.on("binding", then="go on"):
                c.stop("binding")
                c.set("bound", 1)
            if c.v.recoveries == 0:
                wait.ends("rebinding", end="flow_failed")
            _failing(c, wait, "rebinding")
            if not last or c.v.recoveries != 0:
                with wait.on_late():
                    if last:
                        c.jump("lost")
                    else:
                        c.set("bound", 0)
