"""The answering side of calls that fork: user `fork`."""

from siploadgen.model.builtin.answer_call import answer_call
from siploadgen.model.builtin.parts import CHALLENGE, bye, cancelled, check_credentials
from siploadgen.model.errors import ModelError
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting

BRANCHES_MAX = 4


@answer(
    "INVITE",
    user="fork",
    name="answer-fork",
    branches=Setting("2", f"user `fork`: places that ring, 1 to {BRANCHES_MAX}", "count"),
    answers=Setting("2", "user `fork`: how many of them answer", "count"),
    ring=answer_call.settings["ring"],
    sdp=answer_call.settings["sdp"],
    **CHALLENGE,
)
def answer_fork(c: Recorder) -> None:
    """Answer a call as several branches of a fork do, each with a tag of its own."""
    if not 1 <= c.v.answers <= c.v.branches <= BRANCHES_MAX:
        raise ModelError(f"setting answers: {c.v.answers} of {c.v.branches} branches",
                         mend=f"at most {BRANCHES_MAX} branches, and one or more that answer")
    check_credentials(c)
    legs = ["", "second", "third", "fourth"][:c.v.branches]
    for leg in legs:
        c.respond(180, leg=leg)
    cancelled(c, c.pause(c.v.answer_after))
    for leg in legs[:c.v.answers]:
        c.respond(200, sdp=c.v.sdp, method="INVITE", leg=leg)
    c.set("open", c.v.answers)
    c.label("wait")
    for leg in legs[1:c.v.answers]:
        other = c.expect(optional="ACK", leg=leg)
        _ended(c, other, leg)
    last = c.expect("BYE").optional("ACK")
    with last.on("timeout"):
        bye(c, "no_ack")
    c.respond(200, method="BYE")
    c.add("open", -1)
    c.jump("wait", when=c.v.open > 0)


def _ended(c: Recorder, wait: Wait, leg: str) -> None:
    """Take the BYE of another branch, which may come before or after the first one's."""
    with wait.on("BYE"):
        c.respond(200, leg=leg)
        c.add("open", -1)
        c.jump("wait", when=c.v.open > 0)
        c.end()
    with wait.on("timeout"):
        bye(c, "no_ack", leg=leg)
