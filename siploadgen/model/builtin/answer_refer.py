"""The answering side of REFER outside of calls."""

from siploadgen.model.builtin.parts import CHALLENGE, check_credentials
from siploadgen.model.builtin.transfer import REFERRED, carry_out, take_refer
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder


@answer("REFER", name="answer-refer", **REFERRED, **CHALLENGE)
def answer_refer(c: Recorder) -> None:
    """Call whom a REFER names: 200, NOTIFYs with the progress of that call, hold, BYE."""
    c.supports("norefersub", "replaces")
    check_credentials(c)
    take_refer(c, "", "bad")
    carry_out(c, "", {})
    with c.if_(c.v.code >= 300):
        c.end("refused", ok=True)
    c.end()
    c.label("bad")
    c.end("refused", ok=True)
