"""The answering side of calls with credentials: user `auth`."""

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import (
    CHALLENGE,
    accepted,
    bye,
    challenge_again,
    check_credentials,
)
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@answer(
    "INVITE",
    user="auth",
    name="answer-auth",
    algorithm=Setting("md5", "user `auth`: algorithm of the challenge: md5, sha-256-sess ..."),
    sdp=call_model.settings["sdp"],
    **CHALLENGE,
)
def answer_auth(c: Recorder) -> None:
    """Answer a call when its credentials are right, and its BYE likewise."""
    algorithm = c.v.challenge or c.v.algorithm
    check_credentials(c, algorithm)
    c.respond(180)
    c.respond(200, sdp=c.v.sdp, headers=accepted(c, algorithm))
    c.label("wait")
    done = c.expect("BYE").optional("ACK")
    with done.on("timeout"):
        bye(c, "no_ack")
    challenge_again(c, algorithm)
    c.respond(200, method="BYE")
