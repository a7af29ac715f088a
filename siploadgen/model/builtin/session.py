"""What either end of an established call does: changes of the session, and keeping it alive.

The variables: `version` and the text `flow` are what our description says last (RFC 3264 8),
`offered` is 1 while an ACK has to bring the answer to our offer, `unacked` while the peer's INVITE
has our 2xx and not yet its ACK. The session timer's (RFC 4028) are said at `agree`.
"""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.builtin.parts import bye
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.messages import session_changing, session_version
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting
from siploadgen.model.values import Uniform

# what answers an offer of these (RFC 3264 6.1); all others are answered by sendrecv
ANSWERS = {"a=sendonly": "recvonly", "a=recvonly": "sendonly", "a=inactive": "inactive"}
SECOND = 1_000_000_000
NEVER = 2**62
CLOSE = 1_000_000  # ns: what is that near is there; multiplying is not exact
TOO_EARLY = 5  # how often a change is tried again after 500 with Retry-After
TIMER = (("Require", "timer"), ("Session-Expires", "{interval};refresher={refresher}"))

HOLD: Mapping[str, Any] = {
    "holder": Setting("caller", "who puts the call on hold: caller, callee or both"),
    "talk": Setting("1s", "time before the hold, and after it", "distribution"),
    "held": Setting("1s", "time on hold", "distribution"),
    "direction": Setting("sendonly", "what a hold says: sendonly or inactive"),
}


# --- descriptions ---


def describe(c: Recorder, direction: str) -> None:
    """Say another direction from now on; the version counts on when that is something new."""
    with c.if_text("flow", ""):
        c.text("flow", "sendrecv")
        c.set("version", session_version(c.v.sdp))
    with c.if_text("flow", direction):
        pass
    with c.else_():
        c.text("flow", direction)
        c.add("version", 1)


def take_offer(c: Recorder) -> None:
    """Describe what answers the offer in the message at hand."""
    c.text("asked", "sendrecv")
    for line, answer in ANSWERS.items():
        with c.if_body(line):
            c.text("asked", answer)
    describe(c, "{asked}")


def acknowledged(c: Recorder) -> None:
    """Look at the ACK at hand: the answer to our offer, when we made one (RFC 3261 13.2.1)."""
    c.set("unacked", 0)
    with c.if_(c.v.offered == 1):
        with c.if_body("v=0"), c.if_body("o="), c.if_body("m="):
            c.set("offered", 0)
        with c.if_(c.v.offered == 1):
            with c.if_body():  # RFC 3261 14.2: no answer, no session
                bye(c, "bad_answer")
            # many test scenarios play without any session at all: counted, not hung up
            c.count("missing_answers")
            c.set("offered", 0)
    with c.else_(), c.if_body():
        c.count("unexpected_sdp")


def acknowledge_offer(c: Recorder) -> None:
    """Send the ACK with the answer to the offer in the 2xx; without one the call is hung up.

    RFC 3261 13.2.2.4: a session that cannot be is acknowledged and ended.
    """
    with c.if_body("v=0"), c.if_body("o="), c.if_body("m="):
        take_offer(c)
        c.ack(sdp=session_changing(c.v.sdp))
        c.jump("agreed")
    c.count("peer_errors")
    c.ack()
    bye(c, "no_offer")
    c.label("agreed")


# --- what the peer may ask for ---


def _answer(c: Recorder, method: str, timed: bool, sdp: str = "") -> None:
    """Accept a change or a refresh; with a session timer it starts anew."""
    if not timed:
        c.respond(200, sdp=sdp, method=method)
        return
    with c.if_(c.v.interval > 0):
        c.respond(200, sdp=sdp, method=method, headers=TIMER)
    with c.else_():
        c.respond(200, sdp=sdp, method=method)


def _change(c: Recorder, method: str, timed: bool) -> None:
    """Answer an INVITE or UPDATE in the call (RFC 3261 14.2, 3311 5.2)."""
    sdp = session_changing(c.v.sdp)
    if timed:
        refreshed(c)
    with c.if_body():
        take_offer(c)
        _answer(c, method, timed, sdp)
    with c.else_():
        if method == "INVITE":
            describe(c, "sendrecv")
            c.set("offered", 1)
            _answer(c, method, timed, sdp)
        else:
            _answer(c, method, timed)
    if method == "INVITE":
        c.set("unacked", 1)


def changes(c: Recorder, wait: Wait, *, again: str = "") -> Wait:
    """Add to a wait what the peer may ask for in a call but its end.

    With `again` a session timer may run: a refresh starts it anew, and the call goes on there.
    """
    for method in ("INVITE", "UPDATE"):
        with wait.on(method):
            _change(c, method, bool(again))
            if again:
                with c.if_(c.v.interval > 0):
                    plan(c)
                    c.jump(again, anew=True)
    with wait.on("INFO"):
        c.respond(200)
    with wait.on("ACK"):
        acknowledged(c)
    return wait


def ended(c: Recorder, wait: Wait, outcome: str) -> Wait:
    """Take that the peer hangs up."""
    with wait.on("BYE"):
        c.respond(200)
        c.end(outcome)
    return wait


def rest(c: Recorder, duration: Any, outcome: str) -> None:
    """Stay in the call for a time, whatever the peer changes; its BYE ends it with `outcome`."""
    waiting = ended(c, changes(c, c.pause(duration)), outcome)
    with waiting.on("timeout"):  # our 2xx was never acknowledged
        bye(c, "no_ack")


# --- changes of our own ---


def change(c: Recorder, name: str, direction: str, *, method: str = "INVITE", owner: bool,
           outcome: str, clock: str = "") -> None:
    """Change the session by a re-INVITE or UPDATE; once more after 491, or 500 with Retry-After.

    When it is refused the call goes on as it was, with `refused` 1; 481, 408 and silence end it
    (RFC 3261 14.1). `owner` made the Call-ID, `outcome` is that of a BYE of the peer meanwhile.
    """
    with c.if_(c.v.unacked == 1):  # RFC 3261 14.1: the peer's INVITE comes first
        waiting = ended(c, changes(c, c.expect("ACK")), outcome)
        with waiting.on("timeout"):
            bye(c, "no_ack")
        acknowledged(c)
    with c.if_text("flow", ""):
        c.text("flow", "sendrecv")
        c.set("version", session_version(c.v.sdp))
    c.text("before", "{flow}")
    describe(c, direction)
    c.set("tries", 0)
    c.label(f"{name}_again")
    c.send(method, sdp=session_changing(c.v.sdp), start=clock)
    wait = c.expect("2xx", stop=clock, method=method).optional(100, method=method)
    ended(c, wait, outcome)
    with wait.on("INFO"):
        c.respond(200)
    for status in (491, 500):
        with wait.on(status, method=method):
            c.add("tries", 1)
            c.count("glare" if status == 491 else "too_early")
            c.jump(f"{name}_refused", when=c.v.tries > (1 if status == 491 else TOO_EARLY))
            if status == 491:
                _glare_time(c, owner)
            else:
                _retry_after(c)
            rest(c, c.v.wait, outcome)
            c.jump(f"{name}_again")
    with wait.on(408, 481, method=method):
        bye(c, "session_lost")
    with wait.on("timeout"):
        bye(c, "session_lost")
    with wait.on("300-699", method=method):
        c.jump(f"{name}_refused")
    if method == "INVITE":
        c.ack()
    c.jump(f"{name}_done")
    c.label(f"{name}_refused")
    c.set("refused", 1)
    c.text("flow", "{before}")  # what holds is the last description that was agreed upon
    c.add("version", 1)
    c.label(f"{name}_done")


def _glare_time(c: Recorder, owner: bool) -> None:
    """How long to wait after 491, in steps of 10 ms (RFC 3261 14.1)."""
    c.set("wait", Uniform(210, 400) if owner else Uniform(0, 200))
    c.mul("wait", 10_000_000)


def _retry_after(c: Recorder) -> None:
    c.extract("wait", "retry_after")
    with c.if_(c.v.wait < 0):
        c.set("wait", 0)
    c.mul("wait", SECOND)


def check_hold(c: Recorder) -> None:
    """Refuse settings that mean nothing."""
    for name, known in (("holder", ("caller", "callee", "both")),
                        ("direction", ("sendonly", "inactive"))):
        if getattr(c.v, name) not in known:
            raise ModelError(f"setting {name}: there is no {getattr(c.v, name)}",
                             mend=nearest(getattr(c.v, name), known))


def hold_and_resume(c: Recorder, *, owner: bool, outcome: str) -> None:
    """Talk, hold the call, take it back, talk again; a refused hold is not taken back.

    Both changes are timed at the side that made the call.
    """
    rest(c, c.v.talk, outcome)
    change(c, "hold", c.v.direction, owner=owner, outcome=outcome, clock="hold" if owner else "")
    with c.if_(c.v.refused == 0):
        rest(c, c.v.held, outcome)
        change(c, "resume", "sendrecv", owner=owner, outcome=outcome,
               clock="resume" if owner else "")
        rest(c, c.v.talk, outcome)


# --- session timer (RFC 4028) ---


def agree(c: Recorder, *, answered: bool) -> None:
    """Learn from the message at hand what the timer is; `interval` 0: there is none.

    `interval` is in seconds, `refresher` a text: uac or uas; `mine` is 1 when we refresh; `due` is
    when something is to be done, in ns of the call: refresh it, or else end it; `by_update` says
    that the peer takes UPDATE. `answered`: the message is an answer, so we are the uac.
    """
    c.extract("interval", "Session-Expires")
    with c.if_(c.v.interval < 0):
        c.set("interval", 0)
    c.capture("refresher", "Session-Expires;refresher")
    c.set("mine", 1 if answered else 0)
    with c.if_text("refresher", "uas"):
        c.set("mine", 0 if answered else 1)
    with c.if_header("Allow", "UPDATE"):
        c.set("by_update", 1)


def refreshed(c: Recorder) -> None:
    """Take over what a refresh of the peer says: who refreshes from now on, and how often."""
    c.capture("refresher", "Session-Expires;refresher")
    with c.if_header("Session-Expires"):
        c.extract("interval", "Session-Expires")
    with c.if_text("refresher", ""):  # nothing is said: it stays with whom it was
        c.text("refresher", "uac")
        with c.if_(c.v.mine == 1):
            c.text("refresher", "uas")
    c.set("mine", 0)
    with c.if_text("refresher", "uas"):
        c.set("mine", 1)


def plan(c: Recorder) -> None:
    """Plan what comes next: a refresh at half the interval, else the end shortly before all of it.

    Shortly is 32 s or a third of the interval, what is less (RFC 4028 10).
    """
    c.set("due", c.v.interval)
    with c.if_(c.v.mine == 1):
        c.mul("due", SECOND // 2)
    with c.else_():
        _margin(c)
        c.mul("due", SECOND)
        c.add("due", c.v.margin)
    c.add("due", c.elapsed)


def _margin(c: Recorder) -> None:
    """Set `margin` to what is to be added to the end of the interval."""
    c.set("margin", c.v.interval)
    c.mul("margin", -SECOND / 3)
    with c.if_(c.v.margin < -32 * SECOND):
        c.set("margin", -32 * SECOND)


def keep_alive(c: Recorder, *, outcome: str, owner: bool, clock: str = "") -> None:
    """Stay in the call until `ends`, refreshed by whoever has to; the peer's BYE is `outcome`."""
    plan(c)
    c.label("alive")
    c.set("wait", c.v.due)
    c.mul("wait", -1)
    c.add("wait", c.v.ends)
    with c.if_(c.v.wait > 0):  # `due` comes before `ends`
        c.set("wait", c.v.due)
    with c.else_():
        c.set("wait", c.v.ends)
    c.set("margin", c.elapsed)
    c.mul("margin", -1)
    c.add("wait", c.v.margin)
    waiting = ended(c, changes(c, c.pause(c.v.wait), again="alive"), outcome)
    with waiting.on("timeout"):
        bye(c, "no_ack")
    c.jump("over", when=c.stopping == 1)
    c.set("wait", c.elapsed)
    c.mul("wait", -1)
    c.add("wait", c.v.ends)
    c.jump("over", when=c.v.wait < CLOSE)
    with c.if_(c.v.mine == 0):
        bye(c, "session_expired")
    with c.if_(c.v.by_update == 1):
        _refresh(c, "UPDATE", outcome, owner, clock)
    with c.else_():
        _refresh(c, "INVITE", outcome, owner, clock)
    plan(c)
    c.jump("alive", anew=True)
    c.label("over")


def _refresh(c: Recorder, method: str, outcome: str, owner: bool, clock: str) -> None:
    """One refresh; 422 and 491 once more, 481, 408 and silence end the call (RFC 4028 7.4, 10)."""
    name = method.lower()
    c.set("tries", 0)
    c.label(f"refresh_{name}")
    if method == "INVITE":
        with c.if_text("flow", ""):
            c.text("flow", "sendrecv")
            c.set("version", session_version(c.v.sdp))
    c.send(method, sdp=session_changing(c.v.sdp) if method == "INVITE" else "", start=clock,
           supported="timer", headers={"Session-Expires": "{interval};refresher=uac"})
    wait = c.expect("2xx", stop=clock, method=method).optional(100, method=method)
    ended(c, wait, outcome)
    with wait.on("INFO"):
        c.respond(200)
    with wait.on(422, method=method):
        c.add("tries", 1)
        c.jump(f"refused_{name}", when=c.v.tries > 1)
        c.extract("interval", "Min-SE")
        with c.if_(c.v.interval <= 0):
            bye(c, "session_lost")
        c.jump(f"refresh_{name}")
    for status in (491, 500):
        with wait.on(status, method=method):
            c.add("tries", 1)
            c.jump(f"refused_{name}", when=c.v.tries > (1 if status == 491 else TOO_EARLY))
            if status == 491:
                _glare_time(c, owner)
            else:
                _retry_after(c)
            rest(c, c.v.wait, outcome)
            c.jump(f"refresh_{name}")
    with wait.on(408, 481, method=method):
        bye(c, "session_lost")
    with wait.on("timeout"):
        bye(c, "session_lost")
    with wait.on("300-699", method=method):
        c.jump(f"refused_{name}")
    c.count("refreshes")
    with c.if_header("Session-Expires"):
        agree(c, answered=True)
    if method == "INVITE":
        c.ack()
    c.jump(f"refreshed_{name}")
    c.label(f"refused_{name}")  # the session runs out, half of it is over
    c.set("mine", 0)
    plan(c)
    c.set("wait", c.v.interval)
    c.mul("wait", -SECOND // 2)
    c.add("due", c.v.wait)
    c.jump("alive", anew=True)
    c.label(f"refreshed_{name}")
