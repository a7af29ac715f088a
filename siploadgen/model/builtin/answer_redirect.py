"""The answering side of calls that are sent on: user `redirect`."""

from siploadgen.model.builtin.parts import CHALLENGE, check_credentials
from siploadgen.model.builtin.refusals import parse_contacts
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "INVITE",
    user="redirect",
    name="answer-redirect",
    moved_status=Setting("302", "user `redirect`: status of the redirection", "count"),
    moved_to=Setting("busy;q=0.1 moved;q=0.9",
                     "user `redirect`: users here, with q, where it sends calls"),
    **CHALLENGE,
)
def answer_redirect(c: Recorder) -> None:
    """Send a call on: 302 with Contacts, ACK."""
    check_credentials(c)
    c.respond(c.v.moved_status, headers={"Contact": parse_contacts(c.v.moved_to)})
    c.end("redirected", ok=True)
