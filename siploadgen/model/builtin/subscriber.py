"""A subscription as its subscriber sees it: what `subscribe-presence` and `subscribe-mwi` share.

RFC 6665 4.1. The NOTIFY that a SUBSCRIBE brings may come before its 2xx; both are waited for, 64*T1
at most (timer N).
"""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.builtin.parts import (
    IDENTITY,
    TX_TIMEOUT,
    challenged,
    from_now,
    identity,
    time_left,
)
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting, Share

FINAL_REASONS = ("rejected", "noresource", "invariant")  # do not subscribe again
PATIENT_REASONS = ("probation", "giveup")  # again after retry-after (RFC 6665 4.1.3)

SUBSCRIBER: Mapping[str, Any] = {
    "expires": Setting("3600", "seconds asked for", "count"),
    "hold": Setting("0s", "time subscribed before the end", "distribution"),
    "refreshes": Setting("0", "refreshes before `hold`, or `always`", "times"),
    "refresh_at": Setting("uniform(50%,90%)",
                          "when to refresh: share of the time that is left", "shares"),
    "poll": Setting("no", "fetch the state once: SUBSCRIBE with Expires 0", "flag"),
    "resubscribe": Setting("1", "times to subscribe again where the notifier's reason allows it",
                           "count"),
    "retry_after": Setting("30s", "wait before that when the notifier says `probation` without "
                           "a time", "duration"),
    "forks": Setting("accept", "a second notifier (forked SUBSCRIBE): accept or refuse"),
    "to": Setting("", "URI to watch; that of the user, else the target", "uri"),
    **IDENTITY,
}


def subscription(c: Recorder, package: str, accept: str) -> None:
    """Subscribe, refresh, hold, and end by Expires 0 and the last NOTIFY."""
    c.knows(package)
    c.set("asked", c.v.expires)
    c.label("anew")
    c.set("timer_n", TX_TIMEOUT)
    c.add("timer_n", c.elapsed)
    if c.v.poll:
        c.set("asked", 0)
        _round(c, package, accept, "subscribe", opens=True, last=True)
        return
    _round(c, package, accept, "subscribe", opens=True)
    if c.v.refreshes != 0:
        with c.loop(c.v.refreshes):
            c.label("plan")
            if isinstance(c.v.refresh_at, Share):
                time_left(c, "due", "expiry")
                c.mul("due", c.v.refresh_at)
            else:
                c.set("due", c.v.refresh_at)
            c.add("due", c.elapsed)
            _watch(c, "refresh", replan="plan")
            c.jump("leave", when=c.stopping == 1)
            _round(c, package, accept, "refresh")
            if c.v.forks == "accept":
                with c.if_(c.v.forked == 1):
                    _round(c, package, accept, "refresh_fork", leg="fork")
    c.set("due", c.v.hold)
    c.add("due", c.elapsed)
    _watch(c, "hold")
    c.label("leave")
    c.set("asked", 0)
    _round(c, package, accept, "unsubscribe", last=True)
    if c.v.forks == "accept":
        with c.if_(c.v.forked == 1):
            _round(c, package, accept, "unsubscribe_fork", leg="fork", last=True)
    c.end()
    _terminated(c)


def _round(c: Recorder, package: str, accept: str, name: str, *, opens: bool = False,
           last: bool = False, leg: str = "") -> None:
    """SUBSCRIBE until its 2xx and a NOTIFY have come, in any order; `last` wants the last one."""
    user, password, from_uri = identity(c)
    target = c.target.uri("service") if c.target else ""
    clock = name.partition("_")[0]
    c.set("accepted", 0)
    c.set("notified", 0)
    c.send("SUBSCRIBE", c.v.to or from_uri or target, from_=from_uri, leg=leg,
           headers={"Event": package, "Expires": "{asked}", "Accept": accept,
                    "Allow-Events": package}, start=f"{clock} notify" if opens else clock)
    c.label(f"{name}_open")
    wait = c.expect(optional=100, within=TX_TIMEOUT, leg=leg)
    challenged(c, wait, user, password)
    with wait.on("2xx"):
        c.stop(clock)
        c.set("accepted", 1)
        _lifetime(c, "Expires")
        c.jump(f"{name}_done", when=c.v.notified == 1)
    if not last:
        with wait.on(423):  # once more with the shortest that is taken (RFC 6665 4.2.1.1)
            with c.if_(c.v.lengthened == 1):
                c.end("rejected")
            c.set("lengthened", 1)
            c.extract("asked", "min_expires")
            with c.if_(c.v.asked < 0):
                c.end("rejected")
            c.resend(leg=leg)
    if not opens:
        with wait.on(481):  # the notifier has ended it already (RFC 6665 4.1.2.2)
            if leg:
                c.set("forked", 0)
                c.leave(leg=leg)
                c.jump(f"{name}_done")
            elif last:
                c.jump(f"{name}_done")
            else:
                c.jump("gone")
    for of in ("", "fork") if c.v.forks == "accept" else ("",):
        own = of == leg
        with wait.on("NOTIFY", then="go on" if own else "stay", leg=of):
            if of and not own:
                _fork(c)
            else:
                _notified(c, own=own, last=own and last, leg=of)
    with wait.on_late():
        with c.if_(c.v.accepted == 0):
            c.end("timeout")
        c.end("no_notify")
    c.jump(f"{name}_open", when=c.v.accepted == 0)
    c.jump(f"{name}_open", when=c.v.notified == 0)
    c.label(f"{name}_done")


def _lifetime(c: Recorder, where: str) -> None:
    """How long the subscription lasts, if the message says so (RFC 6665 4.1.2.1, 4.1.3)."""
    c.extract("left", where)
    with c.if_(c.v.left >= 0):
        from_now(c, "expiry", c.v.left)


def _watch(c: Recorder, name: str, replan: str = "") -> None:
    """Take NOTIFYs until the time `due`; one may shorten the subscription."""
    c.label(f"{name}_watch")
    time_left(c, "left", "due")
    waiting = c.pause(c.v.left)
    with waiting.on("NOTIFY"):
        _notified(c)
        if replan:
            c.set("left", c.v.expiry)
            c.mul("left", -1)
            c.add("left", c.v.due)
            with c.if_(c.v.left >= 0):
                c.jump(replan, anew=True)
        c.jump(f"{name}_watch", anew=True)
    if c.v.forks == "accept":
        with waiting.on("NOTIFY", leg="fork"):
            _fork(c)
            c.jump(f"{name}_watch", anew=True)


def _notified(c: Recorder, *, own: bool = True, last: bool = False, leg: str = "") -> None:
    """Answer a NOTIFY; one that ends the subscription leads to `terminated`."""
    c.stop("notify")
    c.respond(200, leg=leg)
    c.count("notifies")
    with c.if_header("Subscription-State", "terminated"):
        if last:
            c.set("notified", 1)
        elif leg:
            c.set("forked", 0)
            c.set("notified", 1)
            c.set("accepted", 1)
            c.leave(leg=leg)
        else:
            c.jump("terminated")
    with c.else_():
        if own and not last:
            c.set("notified", 1)
        if not leg:
            _lifetime(c, "Subscription-State;expires")


def _fork(c: Recorder) -> None:
    """Answer another notifier: a subscription of its own until timer N has run out, then 481."""
    with c.if_(c.v.forked == 0):
        time_left(c, "left", "timer_n")
        with c.if_(c.v.left < 0):
            c.respond(481, leg="fork")
            c.leave(leg="fork")
        with c.else_():
            c.set("forked", 1)
            c.count("forks")
    with c.if_(c.v.forked == 1):
        c.respond(200, leg="fork")
        with c.if_header("Subscription-State", "terminated"):
            c.set("forked", 0)
            c.leave(leg="fork")


def _terminated(c: Recorder) -> None:
    """Subscribe again after a last NOTIFY, if its reason allows it (RFC 6665 4.1.3)."""
    c.label("terminated")
    c.capture("reason", "Subscription-State;reason")
    c.extract("left", "Subscription-State;retry-after")
    for word in FINAL_REASONS:
        with c.if_text("reason", word):
            c.end("terminated")
    c.set("due", 0)
    for word in PATIENT_REASONS:
        with c.if_text("reason", word):
            with c.if_(c.v.left >= 0):
                c.set("due", c.v.left)
                c.mul("due", 1e9)
            if word == "probation":
                with c.else_():
                    c.set("due", c.v.retry_after)
    c.jump("anew_later")
    c.label("gone")
    c.set("due", 0)
    c.label("anew_later")
    c.add("resubscribed", 1)
    with c.if_(c.v.resubscribed > c.v.resubscribe):
        c.end("terminated")
    c.count("subscribed_anew")
    c.leave()
    if c.v.forks == "accept":
        c.leave(leg="fork")
        c.set("forked", 0)
    c.pause(c.v.due)
    with c.if_(c.stopping == 1):
        c.end()
    c.jump("anew")
