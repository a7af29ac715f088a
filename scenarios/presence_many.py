"""A watcher of several people: one leg for each subscription, made by a Python loop."""

from siploadgen import call

WATCHED = ("alice", "bob", "carol")


@call()
def presence_many(c):
    """Subscribe to all, see one NOTIFY of each, end all."""
    c.knows("presence")
    for name in WATCHED:
        c.set("accepted", 0)
        c.set("notified", 0)
        c.send("SUBSCRIBE", f"sip:{name}@{{target.host}}:{{target.port}}", leg=name,
               start="notify", headers={"Event": "presence", "Expires": "600"})
        c.label(f"open_{name}")
        wait = c.expect(leg=name)
        with wait.on(200, then="go on"):
            c.set("accepted", 1)
        with wait.on("NOTIFY", then="go on", leg=name):
            c.stop("notify")
            c.respond(200, leg=name)
            c.set("notified", 1)
        c.jump(f"open_{name}", when=c.v.accepted == 0)
        c.jump(f"open_{name}", when=c.v.notified == 0)
    c.count("watching", len(WATCHED))
    for name in WATCHED:
        c.send("SUBSCRIBE", leg=name, headers={"Event": "presence", "Expires": "0"})
        with (wait := c.expect(leg=name)).on("NOTIFY", then="go on", leg=name):
            c.respond(200, leg=name)
        wait.optional(200)
