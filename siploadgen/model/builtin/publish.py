"""`publish`: presence published, changed, kept and taken back."""

from siploadgen.model.builtin.bodies import PIDF, presence
from siploadgen.model.builtin.parts import IDENTITY, challenged, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, Share
from siploadgen.model.values import scaled

RESTARTS = 3  # a state that is forgotten so often in a row is not published again


@call(
    name="publish",
    expires=Setting("3600", "seconds asked for", "count"),
    modifies=Setting("1", "times that the state changes", "times"),
    modify_after=Setting("0s", "time from one change to the next", "distribution"),
    refreshes=Setting("0", "refreshes before the state is taken back, or `always`", "times"),
    refresh_at=Setting("uniform(50%,90%)", "when to refresh: share of the granted time, or a time",
                       "shares"),
    remove=Setting("yes", "take the state back at the end", "flag"),
    to=Setting("", "URI whose presence it is; that of the user, else the target", "uri"),
    **IDENTITY,
)
def publish_model(c: Recorder) -> None:
    """Publish presence: PUBLISH, a change, refreshes, and its removal (RFC 3903)."""
    c.set("lifetime", c.v.expires)
    c.set("change", 0)
    c.label("anew")
    _publish(c, "publish", state=True, known=False)
    if c.v.modifies != 0:
        with c.loop(c.v.modifies):
            c.pause(c.v.modify_after)
            c.jump("leave", when=c.stopping == 1)
            c.add("change", 1)
            _publish(c, "modify", state=True)
    if c.v.refreshes != 0:
        with c.loop(c.v.refreshes):
            if isinstance(c.v.refresh_at, Share):
                c.set("wait", c.v.granted)  # seconds, times a share and 1e9: nanoseconds
                c.mul("wait", Share(scaled(c.v.refresh_at.value, 1e9)))
                c.pause(c.v.wait)
            else:
                c.pause(c.v.refresh_at)
            c.jump("leave", when=c.stopping == 1)
            _publish(c, "refresh", state=False)
    c.label("leave")
    if c.v.remove:
        c.set("lifetime", 0)
        _publish(c, "remove", state=False)


def _publish(c: Recorder, clock: str, *, state: bool, known: bool = True) -> None:
    """One PUBLISH until its 2xx, whose entity tag names the state from then on (RFC 3903 4.1)."""
    user, password, from_uri = identity(c)
    entity = c.v.to or from_uri or (c.target.uri("service") if c.target else "")
    headers = {"Event": "presence", "Expires": "{lifetime}"}
    if known:
        headers["SIP-If-Match"] = "{etag}"
    c.send("PUBLISH", entity, from_=entity, headers=headers, start=clock,
           content_type=PIDF, body=presence(entity, "{change}") if state else "")
    wait = c.expect("2xx", stop=clock).optional(100)
    challenged(c, wait, user, password)
    with wait.on(423):  # once more with the shortest that is taken (RFC 3903 4.2)
        with c.if_(c.v.lengthened == 1):
            c.end("rejected")
        c.set("lengthened", 1)
        c.extract("lifetime", "min_expires")
        with c.if_(c.v.lifetime < 0):
            c.end("rejected")
        c.resend()
    if known and clock != "remove":
        with wait.on(412):  # forgotten there: drop the tag and begin again (RFC 3903 4.1)
            c.add("restarts", 1)
            with c.if_(c.v.restarts > RESTARTS):
                c.end("rejected")
            c.count("published_anew")
            c.jump("anew")
        c.set("restarts", 0)
    if clock != "remove":
        c.capture("etag", "SIP-ETag")
        with c.if_text("etag", ""):
            c.end("no_etag")
        c.extract("granted", "Expires")
        with c.if_(c.v.granted < 0):  # a 2xx must say it (RFC 3903 6); what was asked for then
            c.count("no_expires")
            c.set("granted", c.v.lifetime)
