"""`call-update`: a call that is changed by UPDATE, before and after the answer."""

from siploadgen.model.builtin.call import hang_up
from siploadgen.model.builtin.parts import IDENTITY, bye, challenged, give_up, identity
from siploadgen.model.builtin.session import change, changes, describe, rest
from siploadgen.model.messages import session_changing
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from siploadgen.model.settings import Setting


@call(
    name="call-update",
    early=Setting("yes", "UPDATE before the answer, after a reliable 18x with SDP", "flag"),
    confirmed=Setting("yes", "UPDATE after the answer", "flag"),
    offer=Setting("yes", "the UPDATEs carry an offer", "flag"),
    hold=Setting("0s", "time between the last UPDATE and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **IDENTITY,
)
def call_update(c: Recorder) -> None:
    """Change a call by UPDATE: in the early dialog, and once more when it is answered."""
    user, password, from_uri = identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, supported="100rel" if c.v.early else "",
             start="srd setup")
    answered = c.expect(optional=100)
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    with answered.on("101-199", method="INVITE"):
        c.stop("srd")
        if c.v.early:
            with c.if_header("Require", "100rel"):
                with c.if_body("m="):
                    c.set("settled", 1)
                c.prack()
    if c.v.early:
        answered.optional(100, method="PRACK").optional(100, method="UPDATE")
        with answered.on("2xx", method="PRACK"), c.if_(c.v.settled == 1), c.if_(c.v.asked_for == 0):
            _update_early(c)
        with answered.on("200-699", method="UPDATE"):
            _updated_early(c)
    changes(c, answered)
    if c.v.ring_limit:
        with answered.on_late():
            give_up(c)
    c.ack()
    if c.v.early:
        with c.if_(c.v.asked_for == 1):  # the answer to the INVITE came first
            changes(c, c.expect("200-699", method="UPDATE").optional(100, method="UPDATE"))
            _updated_early(c)
    if c.v.confirmed and c.v.offer:
        change(c, "update", "sendrecv", method="UPDATE", owner=True, outcome="unexpected",
               clock="update")
    elif c.v.confirmed:
        c.send("UPDATE", start="update")
        done = changes(c, c.expect("2xx", stop="update").optional(100))
        with done.on("timeout", 408, 481):
            bye(c, "session_lost")
    rest(c, c.v.hold, "unexpected")
    hang_up(c, user, password)
    if c.v.early or (c.v.confirmed and c.v.offer):
        with c.if_(c.v.refused == 1):
            c.end("change_refused")


def _update_early(c: Recorder) -> None:
    """Send an UPDATE in the early dialog: the first offer has had its answer (RFC 3311 5.1)."""
    c.set("asked_for", 1)
    if c.v.offer:
        describe(c, "sendonly")
        c.send("UPDATE", sdp=session_changing(c.v.sdp), start="update", early=True)
    else:
        c.send("UPDATE", start="update", early=True)


def _updated_early(c: Recorder) -> None:
    """Note what became of it; a refused change leaves the call as it was."""
    c.stop("update")
    c.set("asked_for", 2)
    with c.if_(c.status >= 300):
        c.set("refused", 1)
        if c.v.offer:
            describe(c, "sendrecv")
