"""Parts of the models that register: one REGISTER until its end, times to refresh and to wait."""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.builtin.parts import SECRETS, challenged, secret
from siploadgen.model.recorder import Recorder, Variable, Wait
from siploadgen.model.settings import Setting, Share
from siploadgen.model.values import Distribution, scaled

SECOND = 1_000_000_000  # ns

REGISTRATION: Mapping[str, Any] = {
    "expires": Setting("3600", "seconds asked for", "count"),
    "auth_user": Setting("", "user name for challenges; the user's own when empty"),
    **SECRETS,
}
REFRESH_AT = Setting("uniform(50%,90%)", "when to refresh: share of the granted time, or a time",
                     "shares")
# URI of a Contact whose requests come by the flow that registered it (RFC 5626 4.3)
INSTANCE = '+sip.instance="<urn:uuid:{uuid}>"'


def register(c: Recorder, *, expires: int | Variable | None, contact: str = "{own}",
             supported: str = "", clock: str = "", leg: str = "", from_: str = "",
             body: str | bytes = "", content_type: str = "") -> Wait:
    """Send a REGISTER and wait for its 2xx, challenges answered; more cases may be added."""
    c.register(expires=expires, domain=c.v.domain, contact=contact, leg=leg, from_=from_,
               headers={"Supported": supported} if supported else {}, start=clock, body=body,
               content_type=content_type)
    return done(c, clock, leg=leg)


def done(c: Recorder, clock: str = "", *, leg: str = "") -> Wait:
    """Wait for the 2xx of a REGISTER, challenges answered."""
    wait = c.expect("2xx", stop=clock, leg=leg).optional(100)
    challenged(c, wait, c.v.auth_user or "{user}", secret(c))
    return wait


def longer(c: Recorder, wait: Wait) -> None:
    """At a 423 once more with the registrar's minimum (RFC 3261 10.2.8)."""
    with wait.on(423):
        with c.if_(c.v.lengthened == 1):
            c.end("rejected")
        c.set("lengthened", 1)
        c.extract("lifetime", "min_expires")
        with c.if_(c.v.lifetime < 0):
            c.end("rejected")
        c.resend()


def granted(c: Recorder, *, reg_id: int = 0) -> None:
    """Set `granted` to the seconds of the 2xx; what was asked for when it says none."""
    c.extract("granted", "expires", reg_id=reg_id)
    with c.if_(c.v.granted < 0):
        c.set("granted", c.v.lifetime)


def until_refresh(c: Recorder, name: str, when: Share | Distribution) -> None:
    """Set a variable to the time from a 2xx to the refresh."""
    if isinstance(when, Share):
        c.set(name, c.v.granted)  # seconds, times a share and 1e9: nanoseconds
        c.mul(name, Share(scaled(when.value, SECOND)))
    else:
        c.set(name, when)


def longest(c: Recorder, name: str, limit: int) -> None:
    """Keep a variable at or below a limit."""
    with c.if_(getattr(c.v, name) > limit):
        c.set(name, limit)
