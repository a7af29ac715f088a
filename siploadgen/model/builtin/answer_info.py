"""The answering side of `info-dtmf`, and of messages inside a call: user `dtmf`."""

from siploadgen.model.builtin.parts import CHALLENGE, accepted, bye, check_credentials
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

TYPES = ("application/dtmf-relay", "application/dtmf")  # without a package


@answer(
    "INVITE",
    user="dtmf",
    name="answer-info",
    recv_info=Setting("dtmf", "answering side: the Info-Package that user `dtmf` takes"),
    **CHALLENGE,
)
def answer_info(c: Recorder) -> None:
    """Answer a call, and the INFOs and messages in it."""
    check_credentials(c)
    offered = {"Recv-Info": c.v.recv_info}
    c.respond(180)
    c.respond(200, sdp="g711", headers={**offered, **accepted(c)})
    done = c.expect("BYE").optional("ACK")
    with done.on("timeout"):  # never acknowledged, RFC 3261 13.3.1.4
        bye(c, "no_ack")
    with done.on("INFO"):
        _answer_info(c, offered)
    with done.on("MESSAGE"):
        c.respond(200)
    with done.on("INVITE"):
        c.respond(200, sdp="g711", headers=offered)
    c.respond(200, method="BYE")


def _answer_info(c: Recorder, offered: dict[str, str]) -> None:
    """Answer an INFO: 469 to a package that was not offered, 415 to what is no digit."""
    c.set("known", 0)
    with c.if_header("Info-Package"):
        if c.v.recv_info:
            with c.if_header("Info-Package", c.v.recv_info):
                c.set("known", 1)
        with c.if_(c.v.known == 0):
            c.respond(469, "Bad Info Package", headers=offered)  # RFC 6086 4.2.2
    with c.else_():
        with c.if_header("Content-Type"):
            for name in TYPES:
                with c.if_header("Content-Type", name):
                    c.set("known", 1)
        with c.else_():
            c.set("known", 1)
        with c.if_(c.v.known == 0):
            c.respond(415, headers={"Accept": ", ".join(TYPES)})
    with c.if_(c.v.known == 1):
        c.respond(200)
