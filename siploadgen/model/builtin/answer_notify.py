"""The answering side of NOTIFYs that nobody subscribed to."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, check_credentials
from siploadgen.model.errors import ModelError
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "NOTIFY",
    name="answer-notify",
    unsolicited=Setting("481", "answering side: 481 or 200 to a NOTIFY outside of subscriptions",
                        "count"),
    **CHALLENGE,
)
def answer_notify(c: Recorder) -> None:
    """Refuse a NOTIFY outside of subscriptions (RFC 6665 4.1.3), or take it, as telephones do."""
    if c.v.unsolicited not in (200, 481):
        raise ModelError(f"setting unsolicited: {c.v.unsolicited} is no answer to a NOTIFY",
                         mend="write 481 or 200")
    check_credentials(c)
    if c.v.unsolicited == 200:
        c.knows("check-sync")
        c.respond(200, headers=accepted(c))
        c.end()
    c.respond(481)
    c.end("refused", ok=True)
