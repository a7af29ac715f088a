"""The event state compositor: the answering side of publications."""

from siploadgen.model.builtin.bodies import PIDF
from siploadgen.model.builtin.parts import (
    CHALLENGE,
    accepted,
    check_credentials,
    from_now,
    time_left,
)
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

DEFAULT = 3600  # seconds granted to who asks for no time


@answer(
    "PUBLISH",
    name="answer-publish",
    min_publish=Setting("0", "answering side: shortest publication in seconds, else 423", "count"),
    max_publish=Setting("3600", "answering side: longest publication in seconds", "count"),
    forgets=Setting("0%", "answering side: share of the changes and refreshes that get 412",
                    "share"),
    **CHALLENGE,
)
def answer_publish(c: Recorder) -> None:
    """Keep a published state: an entity tag for each PUBLISH, until it expires (RFC 3903 6)."""
    check_credentials(c)
    c.knows("presence")
    c.set("version", 0)
    with c.if_header("SIP-If-Match"):  # nobody has this tag: a live one would have found its state
        c.respond(412)
        c.end("unknown_etag", ok=True)
    _refuse(c, first=True)
    c.label("keep")
    c.add("version", 1)
    c.respond(200, headers={"SIP-ETag": "{token}.{version}", "Expires": "{asked}", **accepted(c)})
    with c.if_(c.v.asked == 0):
        c.end()
    from_now(c, "expiry", c.v.asked)
    c.label("kept")
    time_left(c, "left", "expiry")
    with c.pause(c.v.left).on("PUBLISH"):
        check_credentials(c)
        if c.v.forgets:
            with c.chance(c.v.forgets):
                c.respond(412)
                c.end("forgotten", ok=True)
        c.capture("given", "SIP-If-Match")
        with c.if_text("given", "{token}.{version}"):
            _refuse(c, first=False)
            c.jump("keep", anew=True)
        c.respond(412)  # a tag that is no longer the latest
        c.jump("kept", anew=True)
    c.end("lapsed", ok=True)


def _refuse(c: Recorder, *, first: bool) -> None:
    """Answer what is wrong with a PUBLISH; a state that is there already stays as it is."""
    def stop() -> None:
        if first:
            c.end("refused", ok=True)
        else:
            c.jump("kept", anew=True)

    c.extract("asked", "Expires")
    with c.if_(c.v.asked < 0):
        c.set("asked", DEFAULT)
    if c.v.min_publish:
        with c.if_(c.v.asked > 0), c.if_(c.v.asked < c.v.min_publish):
            c.respond(423, headers={"Min-Expires": str(c.v.min_publish)})
            stop()
    with c.if_(c.v.asked > c.v.max_publish):
        c.set("asked", c.v.max_publish)
    c.extract("length", "content_length")
    with c.if_(c.v.length > 0):
        c.set("presence", 0)
        with c.if_header("Content-Type", PIDF):
            c.set("presence", 1)
        with c.if_(c.v.presence == 0):
            c.respond(415, headers={"Accept": PIDF})
            stop()
    if first:
        with c.else_():
            c.respond(400, "Missing Body")
            stop()
