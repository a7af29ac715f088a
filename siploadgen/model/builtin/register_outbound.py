"""`register-outbound`: a user agent that keeps several flows (RFC 5626)."""

from siploadgen.model.builtin.parts import time_left
from siploadgen.model.builtin.registration import (
    INSTANCE,
    REFRESH_AT,
    REGISTRATION,
    SECOND,
    granted,
    longest,
    register,
    until_refresh,
)
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, Share, read_uri
from siploadgen.model.values import Uniform

FLOWS_MAX = 4
HALF_TO_ALL = Share(Uniform(0.5 * SECOND, 1.0 * SECOND))


@call(
    name="register-outbound",
    columns="user password",
    flows=Setting("2", f"flows that are kept, 1 to {FLOWS_MAX}", "count"),
    edges=Setting("", "URIs with numeric hosts, comma separated: where each flow goes; "
                      "the target when empty"),
    stay=Setting("60s", "how long the flows are kept", "distribution"),
    refresh_at=REFRESH_AT,
    ping=Setting("uniform(24s,29s)", "time between the pings (CRLF) of a flow, unless the "
                                     "registrar gives a Flow-Timer", "distribution"),
    back_off_all=Setting("30s", "base of the wait after a failure when every flow has failed",
                         "duration"),
    back_off_some=Setting("90s", "base of the wait when another flow works", "duration"),
    back_off_max=Setting("30m", "longest wait", "duration"),
    **REGISTRATION,
)
def register_outbound(c: Recorder) -> None:
    """Keep flows: a REGISTER for each, pings, refreshes, and a new one for a flow that fails."""
    flows = range(1, c.v.flows + 1)
    edges = [read_uri(one.strip()) for one in c.v.edges.split(",") if one.strip()]
    if not 1 <= c.v.flows <= FLOWS_MAX or (edges and len(edges) != c.v.flows):
        raise ModelError(f"{c.v.flows} flows, {len(edges)} edges",
                         mend=f"1 to {FLOWS_MAX} flows, and an edge for each or none")
    c.set("lifetime", c.v.expires)
    c.set("until", c.v.stay)
    c.set("ping_at", c.v.ping)
    c.set("timer", 0)
    for n, edge in enumerate(edges, 1):
        c.route(edge, leg=f"flow{n}")
    c.label("turn")
    for n in flows:
        time_left(c, "left", f"due{n}")
        with c.if_(c.v.left <= 0):
            _flow(c, n)
    time_left(c, "left", "ping_at")
    with c.if_(c.v.left <= 0):
        _ping(c)
    time_left(c, "left", "until")
    c.jump("leave", when=c.v.left <= 0)
    c.set("next", c.v.left)
    for name in ("ping_at", *(f"due{n}" for n in flows)):
        _sooner(c, name)
    c.pause(c.v.next)
    c.jump("leave", when=c.stopping == 1)
    c.jump("turn", anew=True)
    c.label("leave")
    for n in flows:
        with c.if_(getattr(c.v, f"up{n}") == 1):
            register(c, expires=0, contact=_contact(n), supported="path, outbound",
                     leg=f"flow{n}").on("timeout", "transport", "300-699", then="go on")


def _contact(n: int) -> str:
    return f"<sip:{{token}}@{{own_address}};ob>;{INSTANCE};reg-id={n}"


def _flow(c: Recorder, n: int) -> None:
    """Register one flow, or again; what comes next is `due` (RFC 5626 4.2.1, 4.5)."""
    wait = register(c, expires=c.v.lifetime, contact=_contact(n), supported="path, outbound",
                    clock="flow", leg=f"flow{n}")
    with wait.on("timeout", "transport", "300-699"):
        c.count("flow_failures")
        _back_off(c, n)
        c.jump(f"done{n}")
    with c.if_header("Require", "outbound"):
        c.count("flows")
    c.extract("timer", "Flow-Timer")
    granted(c, reg_id=n)
    until_refresh(c, f"due{n}", c.v.refresh_at)
    c.add(f"due{n}", c.elapsed)
    c.set(f"failures{n}", 0)
    c.set(f"up{n}", 1)
    c.label(f"done{n}")


def _back_off(c: Recorder, n: int) -> None:
    """min(longest, base * 2 ^ failures), and 50 to 100 % of that (RFC 5626 4.5)."""
    c.set(f"up{n}", 0)
    c.set("working", 0)
    for other in range(1, c.v.flows + 1):
        c.add("working", getattr(c.v, f"up{other}"))
    c.set("wait", c.v.back_off_some)
    with c.if_(c.v.working == 0):
        c.set("wait", c.v.back_off_all)
    c.add(f"failures{n}", 1)
    c.set("left", getattr(c.v, f"failures{n}"))
    with c.loop(c.v.left > 0):
        c.mul("wait", 2.0)
        longest(c, "wait", c.v.back_off_max)
        c.add("left", -1)
    c.set(f"due{n}", c.v.wait)
    c.mul(f"due{n}", HALF_TO_ALL)
    c.add(f"due{n}", c.elapsed)


def _ping(c: Recorder) -> None:
    """Ping each flow; the next one within 80 to 100 % of the Flow-Timer (RFC 5626 4.4)."""
    for n in range(1, c.v.flows + 1):
        with c.if_(getattr(c.v, f"up{n}") == 1):
            c.datagram("\r\n\r\n", leg=f"flow{n}")
            c.count("crlf")
    c.set("ping_at", c.v.ping)
    with c.if_(c.v.timer > 0):
        c.set("ping_at", c.v.timer)
        c.mul("ping_at", Share(Uniform(0.8 * SECOND * SECOND, 1.0 * SECOND * SECOND)))
    c.add("ping_at", c.elapsed)


def _sooner(c: Recorder, name: str) -> None:
    """Take what is left until a time as `next` when that is less."""
    time_left(c, "left", name)
    c.set("wait", c.v.next)
    c.mul("wait", -1)
    c.add("wait", c.v.left)
    with c.if_(c.v.wait < 0):
        c.set("next", c.v.left)
