"""`register`: a registration, kept and taken back."""

import re

from siploadgen.model.builtin.registration import (
    REFRESH_AT,
    REGISTRATION,
    done,
    granted,
    longer,
    register,
    until_refresh,
)
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting, Share

REMOVALS = ("yes", "no", "all")


@call(
    name="register",
    columns="user password",
    contacts=Setting("{own}", "value of Contact, `{own}` our URI: `{own};q=0.7, "
                              "<mailto:bob@example.com>;q=0.1;expires=60`"),
    supported=Setting("", "option tags in Supported, such as `path, gruu`"),
    registrant=Setting("", "URI in From of who registers for the users; they themselves when empty",
                       "uri"),
    refusal=Setting("0", "status that the first REGISTER has to get, such as 403; 0: a 2xx",
                    "count"),
    follow=Setting("no", "send it to the Contact of a 3xx or 4xx", "flag"),
    body=Setting("", "file with the body of the first REGISTER", "file"),
    content_type=Setting("application/octet-stream", "what kind of body that is"),
    fetch=Setting("no", "ask for the bindings once registered", "flag"),
    refreshes=Setting("0", "refreshes before the registration is taken back, or `always`",
                      "times"),
    refresh_at=REFRESH_AT,
    remove=Setting("yes", "take the registration back at the end: yes, no, or all of the user's"),
    **REGISTRATION,
)
def register_model(c: Recorder) -> None:
    """Keep a registration: REGISTER with digest, refreshes, and its removal."""
    if c.v.remove not in REMOVALS:
        raise ModelError(f"setting remove: there is no {c.v.remove}",
                         mend=f"write {', '.join(REMOVALS)}")
    c.set("lifetime", c.v.expires)
    _registration(c, "rrd", body=c.v.body)
    if c.v.refusal:
        c.end("accepted")
        return
    if c.v.fetch:
        register(c, expires=None, contact="", clock="fetch", from_=c.v.registrant)
    if c.v.refreshes != 0:
        with c.loop(c.v.refreshes):
            c.jump("leave", when=c.stopping == 1)
            if isinstance(c.v.refresh_at, Share):
                until_refresh(c, "wait", c.v.refresh_at)
            c.pause(c.v.wait if isinstance(c.v.refresh_at, Share) else c.v.refresh_at)
            c.jump("leave", when=c.stopping == 1)
            _registration(c, "rerd")
        c.label("leave")
    if c.v.remove != "no":
        own = re.sub(r";\s*expires=[^;,]*", "", c.v.contacts)  # Expires: 0 is for all of them
        register(c, expires=0, from_=c.v.registrant,
                 contact="*" if c.v.remove == "all" else own)


def _registration(c: Recorder, clock: str, *, body: bytes = b"") -> None:
    """One REGISTER until its 200."""
    wait = register(c, expires=c.v.lifetime, contact=c.v.contacts, supported=c.v.supported,
                    clock=clock, from_=c.v.registrant, body=body,
                    content_type=c.v.content_type if body else "")
    longer(c, wait)
    if c.v.refusal:
        with wait.on(c.v.refusal):
            c.end("refused", ok=True)
    if c.v.follow:
        _follow(c, wait, clock)
    if c.v.refreshes != 0:
        granted(c)


def _follow(c: Recorder, wait: Wait, clock: str) -> None:
    """At a 3xx or a 4xx with a Contact once more, to there (RFC 3261 10.2.4, 21.3)."""
    with wait.on("300-499", then="go on"):
        c.capture("moved", "Contact.1")
        with c.if_text("moved", ""):
            c.end("rejected")
        c.count("redirects")
        c.redirect("{moved}")
        done(c, clock)
