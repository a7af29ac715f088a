"""The notifier: the answering side of subscriptions to presence and message-summary."""

from siploadgen.model.builtin.bodies import PIDF, SUMMARY, message_summary, presence
from siploadgen.model.builtin.parts import (
    CHALLENGE,
    accepted,
    check_credentials,
    from_now,
    time_left,
)
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting
from siploadgen.model.values import Fixed

DEFAULT = 3600  # seconds granted to who asks for no time
PACKAGES = "presence, message-summary"
REASONS = ("deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant")


@answer(
    "SUBSCRIBE",
    name="answer-subscribe",
    min_subscription=Setting("0", "answering side: shortest subscription in seconds, else 423",
                             "count"),
    max_subscription=Setting("3600", "answering side: longest subscription in seconds", "count"),
    changes=Setting("0s", "answering side: time from one change of the state, and its NOTIFY, to "
                    "the next; 0s: none", "distribution"),
    end_after=Setting("0s", "answering side: end subscriptions after this time; 0s: never",
                      "duration"),
    end_reason=Setting("deactivated", "answering side: reason given then"),
    end_retry_after=Setting("0", "answering side: retry-after in seconds given then; 0: none",
                            "count"),
    **CHALLENGE,
)
def answer_subscribe(c: Recorder) -> None:
    """Notify of presence or of waiting messages: at once, on change, at the end (RFC 6665 4.2)."""
    if c.v.end_reason not in REASONS:
        raise ModelError(f"setting end_reason: there is no {c.v.end_reason}",
                         mend=nearest(c.v.end_reason, REASONS))
    check_credentials(c)
    c.knows("presence", "message-summary")
    with c.if_header("Event", "check-sync"):  # which comes of its own accord or not at all
        c.respond(489, headers={"Allow-Events": PACKAGES})
        c.end("refused", ok=True)
    c.capture("event", "Event")  # with its id, which NOTIFYs repeat (RFC 6665 8.2.1)
    c.capture("who", "To.uri")
    with c.if_header("Event", "message-summary"):
        c.set("summary", 1)
    c.set("version", 1)
    if c.v.min_subscription:
        c.extract("asked", "Expires")
        with c.if_(c.v.asked > 0), c.if_(c.v.asked < c.v.min_subscription):
            c.respond(423, headers={"Min-Expires": str(c.v.min_subscription)})
            c.end("refused", ok=True)
    _accept(c)
    c.set("ends", c.v.end_after)
    c.set("change_at", c.elapsed)
    if c.v.changes != Fixed(0):
        c.add("change_at", c.v.changes)
    c.label("notify")
    _notify(c)
    wait = c.expect("2xx", stop="notify").optional(100)
    with wait.on("SUBSCRIBE"):  # the next NOTIFY follows the answer to this one (RFC 6665 4.2.2)
        with c.if_(c.v.over == 1):
            c.respond(481)
        with c.else_():
            _accept(c)
            c.set("again", 1)
    wait.ends(481, end="unsubscribed")
    with c.if_(c.v.over == 1):
        c.end()
    with c.if_(c.v.again == 1):
        c.set("again", 0)
        c.jump("notify")
    _wait(c)
    c.jump("notify")


def _accept(c: Recorder) -> None:
    """200 with what is granted."""
    c.extract("asked", "Expires")
    with c.if_(c.v.asked < 0):
        c.set("asked", DEFAULT)
    with c.if_(c.v.asked > c.v.max_subscription):
        c.set("asked", c.v.max_subscription)
    from_now(c, "expiry", c.v.asked)
    c.respond(200, headers={"Expires": "{asked}", "Allow-Events": PACKAGES,
                            **accepted(c)})


def _notify(c: Recorder) -> None:
    """Send the state, and how long it will be told."""
    time_left(c, "left", "expiry")
    with c.if_(c.v.left <= 0):
        c.text("state", "terminated;reason=timeout")
        c.set("over", 1)
    with c.else_():
        c.add("left", 999_999_999)
        c.mul("left", 1e-9)
        c.text("state", "active;expires={left}")
    if c.v.end_after:
        again = f";retry-after={c.v.end_retry_after}" if c.v.end_retry_after else ""
        with c.if_(c.v.over == 0):
            time_left(c, "left", "ends")
            with c.if_(c.v.left <= 0):
                c.text("state", f"terminated;reason={c.v.end_reason}{again}")
                c.set("over", 1)
    with c.if_(c.stopping == 1), c.if_(c.v.over == 0):  # we leave: others may serve it
        c.text("state", "terminated;reason=deactivated")
        c.set("over", 1)
    headers = {"Event": "{event}", "Subscription-State": "{state}"}
    with c.if_(c.v.summary == 1):
        c.send("NOTIFY", headers=headers, content_type=SUMMARY, start="notify",
               body=message_summary("{who}", "{version}"))
    with c.else_():
        c.send("NOTIFY", headers=headers, content_type=PIDF, start="notify",
               body=presence("{who}", "{version}"))


def _wait(c: Recorder) -> None:
    """Until the subscription expires, the state changes, or it is refreshed or ended."""
    time_left(c, "left", "expiry")
    for name, wanted in (("ends", c.v.end_after), ("change_at", c.v.changes != Fixed(0))):
        if wanted:  # the earlier of the two times
            time_left(c, "other", name)
            c.set("longer", c.v.other)
            c.mul("longer", -1)
            c.add("longer", c.v.left)
            with c.if_(c.v.longer > 0):
                c.set("left", c.v.other)
    with c.pause(c.v.left).on("SUBSCRIBE"):
        _accept(c)
        c.jump("notify")
    if c.v.changes != Fixed(0):
        time_left(c, "left", "change_at")
        with c.if_(c.v.left <= 0):
            c.add("version", 1)
            c.set("change_at", c.elapsed)
            c.add("change_at", c.v.changes)
