"""The answering side of calls that are refused: user `busy`."""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.builtin.call_busy import call_busy
from siploadgen.model.builtin.parts import CHALLENGE, cancelled, check_credentials
from siploadgen.model.builtin.refusals import parse_refusals
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting

REFUSAL: Mapping[str, Any] = {name: call_busy.settings[name] for name in ("status", "others")}


@answer(
    "INVITE",
    user="busy",
    name="answer-busy",
    refuse_after=Setting("0s", "user `busy`: time from 180 to the refusal, 0s: no 180",
                         "distribution"),
    **REFUSAL,
    **CHALLENGE,
)
def answer_busy(c: Recorder) -> None:
    """Refuse a call: 486, ACK."""
    check_credentials(c)
    if not c.instant(c.v.refuse_after):
        c.respond(180)
        cancelled(c, c.pause(c.v.refuse_after))
    _refuse(c)


@answer("OPTIONS", user="busy", name="answer-options-busy", **REFUSAL, **CHALLENGE)
def answer_options_busy(c: Recorder) -> None:
    """Answer OPTIONS as an INVITE would be (RFC 3261 11.2)."""
    check_credentials(c)
    _refuse(c)


def _refuse(c: Recorder) -> None:
    """Answer with one of the refusals, each with its share."""
    left = 1.0
    for status, share in parse_refusals(c.v.others):
        with c.chance(share / left if left > share else 1.0):
            c.respond(int(status))
            c.end("refused", ok=True)
        left -= share
    c.respond(c.v.status)
    c.end("refused", ok=True)
