"""`register-call`: a registration, and calls of whoever is registered."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import challenged, crossing, secret
from siploadgen.model.builtin.registration import INSTANCE, REGISTRATION, longer, register
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

GRUUS = {"no": "", "public": "pub-gruu", "temporary": "temp-gruu"}


@call(
    name="register-call",
    columns="user password",
    calls=Setting("1", "calls made while registered", "count"),
    gruu=Setting("no", "Contact of the calls: no (a plain one), or the GRUU that the registrar "
                       "gave, public or temporary"),
    hold=call_model.settings["hold"],
    sdp=call_model.settings["sdp"],
    to=call_model.settings["to"],
    **REGISTRATION,
)
def register_call(c: Recorder) -> None:
    """Register and call: REGISTER, calls by way of the Service-Route, the removal."""
    if c.v.gruu not in GRUUS:
        raise ModelError(f"setting gruu: there is no {c.v.gruu}",
                         mend=f"write {', '.join(GRUUS)}")
    supported = "path, gruu" if GRUUS[c.v.gruu] else "path"
    contact = f"{{own}};{INSTANCE}" if GRUUS[c.v.gruu] else "{own}"
    c.set("lifetime", c.v.expires)
    longer(c, register(c, expires=c.v.lifetime, contact=contact, supported=supported, clock="rrd"))
    c.capture("routes_home", "Service-Route.*")  # RFC 3608 6: in the order given
    if GRUUS[c.v.gruu]:
        c.capture("gruu", f"own;{GRUUS[c.v.gruu]}")
        with c.if_text("gruu", ""):
            c.end("no_gruu")
    with c.loop(c.v.calls):
        c.jump("leave", when=c.stopping == 1)
        with c.if_text("routes_home", ""):
            _call(c, "call", {})
        with c.else_():
            c.count("service_routes")
            _call(c, "routed", {"Route": "{routes_home}"})
    c.label("leave")
    register(c, expires=0, contact=contact, supported=supported)


def _call(c: Recorder, leg: str, headers: dict[str, str]) -> None:
    """One call on a leg of its own, whose Contact may be the GRUU (RFC 5627 4.4.1)."""
    user = c.v.auth_user or "{user}"
    c.leave(leg=leg)
    c.invite(c.v.to, sdp=c.v.sdp, from_=f"sip:{{user}}@{c.v.domain or '{target.host}'}",
             headers=headers, start="srd setup", leg=leg,
             contact="<{gruu}>" if GRUUS[c.v.gruu] else "")
    wait = c.expect(optional=100, leg=leg).optional("101-199", stop="srd")
    challenged(c, wait, user, secret(c))
    c.expect("2xx", stop="srd setup", leg=leg)
    c.ack(leg=leg)
    with c.pause(c.v.hold, leg=leg).on("BYE"):
        c.respond(200, leg=leg)
        c.end("unexpected")
    c.bye(start="sdd", leg=leg)
    ended = c.expect("2xx", stop="sdd", leg=leg).optional(100)
    challenged(c, ended, user, secret(c))
    crossing(c, ended, leg=leg, then=f"{leg} over")
    c.label(f"{leg} over")
