"""`message`: instant messages, outside of dialogs or inside a call."""

from siploadgen.model.builtin.parts import IDENTITY, bye, challenged, identity
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, literal

LONGEST = 7000  # octets of a body that is made up: a message is kept until its answer


@call(
    name="message",
    text=Setting("", "body of the messages; made up, of `size` octets, when empty"),
    size=Setting("100", "octets of a body that is made up, at most 7000; a distribution",
                 "amounts"),
    content_type=Setting("text/plain", "media type of the body"),
    messages=Setting("1", "messages of one instance, one after the other", "count"),
    interval=Setting("0s", "time from an answer to the next message", "distribution"),
    in_call=Setting("no", "send the messages inside a call, to user `dtmf`", "flag"),
    to=Setting("", "URI to send to; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def message_model(c: Recorder) -> None:
    """Send instant messages: MESSAGE and its answer (RFC 3428)."""
    user, password, from_uri = identity(c)
    if c.v.in_call:
        c.invite(c.v.to, sdp="g711", from_=from_uri, user="dtmf", start="setup")
        answered = c.expect("2xx", stop="setup").optional("1xx")
        challenged(c, answered, user, password)
        c.ack()
    _message(c, user, password, from_uri)
    if c.v.messages > 1:
        with c.loop(c.v.messages - 1):
            c.pause(c.v.interval)
            c.jump("done", when=c.stopping == 1)
            _message(c, user, password, from_uri)
        c.label("done")
    if c.v.in_call:
        c.bye()
        challenged(c, c.expect("2xx").optional(100), user, password)


def _message(c: Recorder, user: str, password: str, from_uri: str) -> None:
    """One message; a call does not outlive one that failed."""
    if not c.v.text:
        c.set("size_of_body", c.v.size)
        with c.if_(c.v.size_of_body > LONGEST):
            c.set("size_of_body", LONGEST)
    c.send("MESSAGE", c.v.to, body=literal(c.v.text) or "{fill.size_of_body}", from_=from_uri,
           content_type=c.v.content_type, start="message")
    wait = c.expect("2xx", stop="message").optional(100)
    challenged(c, wait, user, password)
    if c.v.in_call:
        with wait.on("300-699"):
            bye(c, "rejected")
        with wait.on("timeout"):
            bye(c, "timeout")
        with wait.on("BYE"):
            c.respond(200)
            c.end("unexpected")
