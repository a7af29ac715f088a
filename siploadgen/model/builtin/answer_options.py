"""The answering side of OPTIONS."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, check_credentials
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder


@answer("OPTIONS", name="answer-options", **CHALLENGE)
def answer_options(c: Recorder) -> None:
    """Answer OPTIONS: 200 with Allow and Accept."""
    check_credentials(c)
    c.respond(200, headers=accepted(c))
