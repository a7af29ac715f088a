"""The answering side of registrations."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, check_credentials
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "REGISTER",
    name="answer-register",
    min_expires=Setting("0", "answering side: shortest registration in seconds, else 423",
                        "count"),
    **CHALLENGE,
)
def answer_register(c: Recorder) -> None:
    """Accept a registration: 200 with the Contacts of the request."""
    check_credentials(c)
    if c.v.min_expires:
        c.extract("asked", "expires")
        with c.if_(c.v.asked > 0), c.if_(c.v.asked < c.v.min_expires):
            c.respond(423, headers={"Min-Expires": str(c.v.min_expires)})
            c.end("refused", ok=True)
    c.respond(200, headers=accepted(c))
