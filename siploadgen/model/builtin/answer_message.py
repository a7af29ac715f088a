"""The answering side of instant messages."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, check_credentials
from siploadgen.model.errors import ModelError
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "MESSAGE",
    name="answer-message",
    message_status=Setting("200", "answering side: 200, or 202 as one that stores them", "count"),
    **CHALLENGE,
)
def answer_message(c: Recorder) -> None:
    """Take a message of any type: 200 or 202 (RFC 3428 7)."""
    if c.v.message_status not in (200, 202):
        raise ModelError(f"setting message_status: {c.v.message_status} accepts no message",
                         mend="write 200 or 202")
    check_credentials(c)
    c.respond(c.v.message_status, headers=accepted(c))
