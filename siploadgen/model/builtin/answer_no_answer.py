"""The answering side of calls that nobody answers: user `no-answer`."""

from siploadgen.model.builtin.answer_call import answer_call
from siploadgen.model.builtin.parts import CHALLENGE, cancelled, check_credentials
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder


@answer("INVITE", user="no-answer", name="answer-no-answer",
        ring_time=answer_call.settings["ring_time"], **CHALLENGE)
def answer_no_answer(c: Recorder) -> None:
    """Ring until the caller gives up: 180, 487 to the CANCEL."""
    check_credentials(c)
    c.respond(180)
    cancelled(c, c.pause(c.v.ring_time), "succeeded")
    c.respond(480, method="INVITE")
    c.end("no_answer")
