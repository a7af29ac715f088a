"""`call-redirect`: a call that is sent on."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import IDENTITY, challenged, give_up, identity, talk
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting


@call(
    name="call-redirect",
    hops=Setting("5", "most INVITEs after the first; one more is a loop", "count"),
    hold=call_model.settings["hold"],
    ring_limit=call_model.settings["ring_limit"],
    sdp=call_model.settings["sdp"],
    to=Setting("", "URI to call; the target, user `redirect`, when empty", "uri"),
    **IDENTITY,
)
def call_redirect(c: Recorder) -> None:
    """Follow a redirection: INVITE, 302, INVITE to its best Contact, 200, ACK, hold, BYE."""
    who = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=who[2], start="srd setup", user="redirect")
    _answer(c, who)
    c.jump("answered")
    c.label("next")  # RFC 3261 8.1.3.4: by q, and what fails is followed by what is left
    c.add("hops_made", 1)
    with c.if_(c.v.hops_made > c.v.hops):
        c.end("redirect_loop")
    with c.if_text("first", ""):
        c.end("rejected")
    c.redirect("{first}")
    _answer(c, who)
    c.label("answered")
    talk(c, who[0], who[1])


def _answer(c: Recorder, who: tuple[str, str, str]) -> None:
    """Wait for the 2xx of an INVITE; go to the label `next` when it is elsewhere."""
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    challenged(c, answered, who[0], who[1])
    _sent_on(c, answered)
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)


def _sent_on(c: Recorder, answered: Wait) -> None:
    """At a 3xx its Contacts come next, at a failure those that are left."""
    with answered.on("300-399"):
        c.count("redirects")
        c.capture("first", "Contact.1")
        c.capture("second", "Contact.2")
        c.capture("third", "Contact.3")
        c.jump("next")
    with answered.on(487):
        c.end("cancelled")
    with answered.on("400-599"):  # a 6xx is said for every place (RFC 3261 21.6)
        c.text("first", "{second}")
        c.text("second", "{third}")
        c.text("third", "")
        c.jump("next")
