"""How long a presence server takes from a change to its NOTIFY (RFC 3903, RFC 6665).

Each call watches its own user on one leg and publishes on another: `change` is the time from the
PUBLISH of a new state to the NOTIFY that tells it, `publish` the time to its answer.

    siploadgen run scenarios/publish_and_watch.py -t sip:HOST:PORT --users users.csv -r 50/s -d 60s
"""

from siploadgen.model.python import call
from siploadgen.model.settings import Setting

PIDF = "application/pidf+xml"
STATE = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{user}@{target.host}">
<tuple id="t{token}"><status><basic>open</basic></status><note>state {state}</note></tuple>
</presence>
"""


@call(name="publish-and-watch", columns="user",
      changes=Setting("3", "changes of the state", "count"))
def publish_and_watch(c):
    """Watch a user, publish its state, and time each change until it is told."""
    user = "sip:{user}@{target.host}"
    c.send("SUBSCRIBE", user, from_=user, leg="watch",
           headers={"Event": "presence", "Expires": "600", "Accept": PIDF})
    c.label("begin")
    wait = c.expect(optional=100, within="64*T1", leg="watch")
    with wait.on("2xx"):
        c.set("accepted", 1)
        c.jump("watching", when=c.v.told == 1)
    with wait.on("NOTIFY", leg="watch", then="go on"):
        c.set("told", 1)
        c.respond(200, leg="watch")
    c.jump("begin", when=c.v.accepted == 0)
    c.label("watching")
    with c.loop(c.v.changes):
        c.add("state", 1)
        headers = {"Event": "presence", "Expires": "600"}
        with c.if_(c.v.state == 1):
            c.send("PUBLISH", user, from_=user, headers=headers, content_type=PIDF, body=STATE,
                   start="publish change")
        with c.else_():
            c.send("PUBLISH", user, from_=user, headers={**headers, "SIP-If-Match": "{etag}"},
                   content_type=PIDF, body=STATE, start="publish change")
        c.set("accepted", 0)
        c.set("told", 0)
        c.label("change")
        wait = c.expect(optional=100, within="64*T1", method="PUBLISH")
        with wait.on("2xx"):
            c.stop("publish")
            c.capture("etag", "SIP-ETag")
            c.set("accepted", 1)
            c.jump("changed", when=c.v.told == 1)
        with wait.on("NOTIFY", leg="watch", then="go on"):
            c.stop("change")
            c.set("told", 1)
            c.respond(200, leg="watch")
        c.jump("change", when=c.v.accepted == 0)
        c.label("changed")
    c.send("SUBSCRIBE", leg="watch", headers={"Event": "presence", "Expires": "0", "Accept": PIDF})
    wait = c.expect("2xx", leg="watch", within="64*T1").optional(100)
    with wait.on("NOTIFY", leg="watch"):
        c.respond(200, leg="watch")
