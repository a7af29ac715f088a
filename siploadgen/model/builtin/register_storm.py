"""`register-storm`: all users come back at once, as after a power failure."""

from siploadgen.model.builtin.registration import (
    REGISTRATION,
    SECOND,
    longer,
    longest,
    register,
)
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, Share


@call(
    name="register-storm",
    columns="user password",
    window=Setting("uniform(0s,10s)", "when a user comes back, from when its call is due",
                   "distribution"),
    retries=Setting("always", "attempts after the first, or `always`", "times"),
    back_off=Setting("30s", "wait after a failure, before it was first lengthened", "duration"),
    back_off_factor=Setting("2", "each failure in a row makes the wait so many times as long",
                            "count"),
    back_off_max=Setting("30m", "longest wait", "duration"),
    back_off_share=Setting("uniform(50%,100%)", "share of it that is waited", "shares"),
    honour_retry_after=Setting("yes", "wait as long as Retry-After says instead", "flag"),
    **REGISTRATION,
)
def register_storm(c: Recorder) -> None:
    """Come back in an avalanche: REGISTER within a window, tried again until it works."""
    c.set("lifetime", c.v.expires)
    c.set("limit", c.v.back_off)
    c.start("registered")  # from when it was due: `window` is part of it
    c.pause(c.v.window)
    c.label("again")
    c.count("attempts")
    wait = register(c, expires=c.v.lifetime, clock="rrd")
    longer(c, wait)
    with wait.on("timeout", "transport"):
        c.count("unanswered")
        c.set("asked", -1)
        c.jump("failed")
    with wait.on("300-699"):
        c.count("refusals")
        c.extract("asked", "retry_after")
        c.jump("failed")
    c.stop("registered")
    c.end()
    c.label("failed")
    _wait(c)
    c.jump("again")


def _wait(c: Recorder) -> None:
    """Back off as RFC 5626 4.5 has it: the limit doubles, a random share of it is waited."""
    if c.v.retries is not None:
        c.add("failures", 1)
        with c.if_(c.v.failures > c.v.retries):
            c.end("gave_up")
    c.mul("limit", float(c.v.back_off_factor))
    longest(c, "limit", c.v.back_off_max)
    c.set("wait", c.v.limit)
    if isinstance(c.v.back_off_share, Share):
        c.mul("wait", c.v.back_off_share)
    else:
        c.set("wait", c.v.back_off_share)
    if c.v.honour_retry_after:
        with c.if_(c.v.asked >= 0):
            c.set("wait", c.v.asked)
            c.mul("wait", SECOND)
    c.jump("leave", when=c.stopping == 1)
    c.pause(c.v.wait)
    c.label("leave")
    with c.if_(c.stopping == 1):
        c.end("gave_up")
