"""The answering side of calls that are given up: user `cancel`."""

from siploadgen.model.builtin.parts import CHALLENGE, cancelled, check_credentials, hung_up
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting
from siploadgen.model.values import Value


@answer(
    "INVITE",
    user="cancel",
    name="answer-cancel",
    progress_after=Setting("0s", "user `cancel`: time to the 180", "distribution"),
    pickup_after=Setting("10s", "user `cancel`: time from 180 to 200, if no CANCEL comes before",
                         "distribution"),
    ignore_cancel=Setting("no", "user `cancel`: no 487 before the caller has given that up too",
                          "flag"),
    **CHALLENGE,
)
def answer_cancel(c: Recorder) -> None:
    """Answer late: 180, and 487 to the CANCEL or 200 when none came."""
    check_credentials(c)
    _meanwhile(c, c.v.progress_after)
    c.respond(180)
    _meanwhile(c, c.v.pickup_after)
    c.respond(200, sdp="g711", method="INVITE")
    hung_up(c)


def _meanwhile(c: Recorder, length: Value) -> None:
    """Wait for a CANCEL, or the BYE of an early dialog."""
    wait = c.pause(length)
    if c.v.ignore_cancel:
        with wait.on("cancel"):
            c.pause("80*T1")  # longer than any caller waits
            c.respond(487, method="INVITE")
            c.end("cancelled")
    cancelled(c, wait, "succeeded")
