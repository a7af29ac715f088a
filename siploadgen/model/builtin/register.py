"""`register`: a registration, kept and taken back."""

from siploadgen.model.builtin.parts import SECRETS, challenged, secret
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, Share
from siploadgen.model.values import scaled


@call(
    name="register",
    columns="user password",
    expires=Setting("3600", "seconds asked for", "count"),
    refreshes=Setting("0", "refreshes before the registration is taken back, or `always`",
                      "times"),
    refresh_at=Setting("uniform(50%,90%)", "when to refresh: share of the granted time, or a time",
                       "shares"),
    remove=Setting("yes", "take the registration back at the end", "flag"),
    **SECRETS,
)
def register_model(c: Recorder) -> None:
    """Keep a registration: REGISTER with digest, refreshes, and its removal."""
    c.set("lifetime", c.v.expires)
    _registration(c, "rrd")
    if c.v.refreshes != 0:
        with c.loop(c.v.refreshes):
            c.jump("leave", when=c.stopping == 1)
            if isinstance(c.v.refresh_at, Share):
                c.set("wait", c.v.granted)  # seconds, times a share and 1e9: nanoseconds
                c.mul("wait", Share(scaled(c.v.refresh_at.value, 1e9)))
                c.pause(c.v.wait)
            else:
                c.pause(c.v.refresh_at)
            c.jump("leave", when=c.stopping == 1)
            _registration(c, "rerd")
        c.label("leave")
    if c.v.remove:
        c.register(expires=0, domain=c.v.domain)
        challenged(c, c.expect("2xx").optional(100), "{user}", secret(c))


def _registration(c: Recorder, clock: str) -> None:
    """One REGISTER until its 200; at a 423 once more with the registrar's minimum."""
    c.register(expires=c.v.lifetime, domain=c.v.domain, start=clock)
    wait = c.expect("2xx", stop=clock).optional(100)
    challenged(c, wait, "{user}", secret(c))
    with wait.on(423):  # RFC 3261 10.2.8
        with c.if_(c.v.lengthened == 1):
            c.end("rejected")
        c.set("lengthened", 1)
        c.extract("lifetime", "min_expires")
        with c.if_(c.v.lifetime < 0):
            c.end("rejected")
        c.resend()
    if c.v.refreshes != 0:
        c.extract("granted", "expires")
        with c.if_(c.v.granted < 0):  # no lifetime in the answer: what was asked for
            c.set("granted", c.v.lifetime)
