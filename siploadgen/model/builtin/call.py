"""`call`: an ordinary call."""

import re

from siploadgen.model.builtin.parts import IDENTITY, challenged, crossing, give_up, identity
from siploadgen.model.builtin.session import changes
from siploadgen.model.errors import ModelError
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

HEADER_NAME = re.compile(r"[\w.!%*+`'~-]+", re.ASCII)  # RFC 3261 25.1, token


@call(
    name="call",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    expires=Setting("0", "seconds that the INVITE is good for, then CANCEL; 0: unlimited", "count"),
    callee_hangs_up=Setting("no", "the answering side sends the BYE, after `hold`", "flag"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    body=Setting("", "file with the body of the INVITE, in place of `sdp`", "file"),
    content_type=Setting("multipart/mixed;boundary=part", "what kind of body that is"),
    max_forwards=Setting("70", "Max-Forwards of the INVITE", "count"),
    headers=Setting("", "headers of the INVITE, such as `Subject: load | X-Row: {user}`: `|` is "
                    "between them, {names} of columns give those of the row"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_model(c: Recorder) -> None:
    """Make a call: INVITE with SDP, ringing, 200, ACK, hold, BYE."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp="" if c.v.body else c.v.sdp, body=c.v.body,
             content_type=c.v.content_type if c.v.body else "", from_=from_uri,
             headers=_headers(c), start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    limit = patience(c)
    c.expect("2xx", stop="srd setup", within=limit)
    challenged(c, answered, user, password)
    with answered.on(487):  # ringing that was cancelled because the run ends is no refusal
        with c.if_(c.stopping == 1):
            c.end("cancelled")
        c.end("rejected")
    if limit:
        with answered.on_late():
            give_up(c)
    c.ack()
    if c.v.callee_hangs_up:
        changes(c, c.expect("BYE"))
        c.respond(200, method="BYE")
        c.end()
        return
    with changes(c, c.pause(c.v.hold)).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    hang_up(c, user, password)


def _headers(c: Recorder) -> list[tuple[str, str]]:
    """Read what the INVITE carries besides."""
    found = [("Expires", str(c.v.expires))] if c.v.expires else []
    if c.v.max_forwards != 70:
        found.append(("Max-Forwards", str(c.v.max_forwards)))
    for text in filter(None, c.v.headers.split("|")):
        name, colon, value = text.partition(":")
        if not colon or not HEADER_NAME.fullmatch(name.strip()):
            raise ModelError(f"setting headers: {text.strip()!r} is no header",
                             mend="write `Name: value`, with | between several")
        found.append((name.strip(), value.strip()))
    return found


def patience(c: Recorder) -> int:
    """How long a caller waits for an answer (RFC 3261 13.2.1), in ns; 0: without end."""
    limits = [one for one in (c.v.ring_limit, c.v.expires * 1_000_000_000) if one]
    return min(limits, default=0)


def hang_up(c: Recorder, user: str, password: str) -> None:
    """Send the BYE and see its answer."""
    c.bye(start="sdd")
    done = c.expect("2xx", stop="sdd").optional(100)
    if user:
        challenged(c, done, user, password)
    crossing(c, done)
