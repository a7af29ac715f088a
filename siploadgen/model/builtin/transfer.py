"""Parts of the models that refer: asking somebody to call, and calling as one was asked."""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.builtin.call import call_model
from siploadgen.model.builtin.parts import IDENTITY, TX_TIMEOUT, challenged
from siploadgen.model.recorder import DEFAULT_FROM, Recorder, Wait
from siploadgen.model.settings import Setting, literal

TARGET_USER = "transfer-target"  # whom a transferee is asked to call when nobody is named
TARGET = "target"  # leg of the call that a REFER asks for
SIPFRAG = "message/sipfrag;version=2.0"
UNTOLD = 700  # in place of a status: no NOTIFY said how it ended

# of those who refer
REFERRING: Mapping[str, Any] = {
    "notify": Setting("yes", "have NOTIFYs tell the outcome; `no` asks for none (RFC 4488)",
                      "flag"),
    "referred_by": Setting("yes", "REFER says who sends it (RFC 3892)", "flag"),
    "outcome_limit": Setting("180s", "longest wait for the next NOTIFY of a REFER", "duration"),
}
# of those who are referred
REFERRED: Mapping[str, Any] = {
    "hold": call_model.settings["hold"],
    "call_limit": Setting("180s", "answering side: longest ringing of the call that a REFER asked "
                                  "for", "duration"),
    "sdp": call_model.settings["sdp"],
    "referred_user": Setting("", "answering side: user name for challenges to the call that a "
                             "REFER asked for; none are answered when empty"),
    "referred_password": Setting("secret", "answering side: password likewise"),
}
# of those who call before they refer
CALLING: Mapping[str, Any] = {
    **IDENTITY,
    "sdp": call_model.settings["sdp"],
    "ring_limit": call_model.settings["ring_limit"],
    "talk": Setting("0s", "time between the ACK and the next step", "distribution"),
}
Ends = Mapping[str, str]  # leg -> the variable that is 1 once its peer has sent BYE


# --- asking ---


def target_user_uri(c: Recorder) -> str:
    """URI of the answering side's user who is there to be called by others."""
    assert c.target is not None
    uri = c.target.uri(TARGET_USER)
    return uri if c.target.user == "" else uri.replace(f"{c.target.user}@", f"{TARGET_USER}@", 1)


def refer_headers(c: Recorder, refer_to: str, from_uri: str) -> dict[str, str]:
    """Headers of a REFER: whom to call, who asks, and whether NOTIFYs are wanted."""
    headers = {"Refer-To": f"<{refer_to}>"}
    if c.v.referred_by:
        headers["Referred-By"] = f"<{from_uri or DEFAULT_FROM}>"
    if not c.v.notify:
        headers |= {"Supported": "norefersub", "Refer-Sub": "false"}
    return headers


def follow(c: Recorder, ends: Ends, user: str, password: str, *, leg: str = "") -> None:
    """Wait until a REFER's outcome is known: `code` is then a final status, or UNTOLD.

    NOTIFYs may come before the 2xx (RFC 6665 4.4.1). The last one's status is that of the call
    which was asked for; that of the REFER itself stands when it was refused.
    """
    accepted = c.expect("2xx", stop="refer", leg=leg, method="REFER").optional(100)
    if user:
        challenged(c, accepted, user, password)
    with accepted.on("300-699", method="REFER"):
        c.extract("code", "status")
        c.jump("known")
    with accepted.on("NOTIFY"):
        _told(c, leg)
    parting(c, accepted, ends)
    if not c.v.notify:
        with c.if_header("Refer-Sub", "false"):
            c.set("code", 200)
    with c.loop(c.v.code < 200):
        told = c.expect(leg=leg, within=c.v.outcome_limit)
        with told.on("NOTIFY", then="go on"):
            _told(c, leg)
        parting(c, told, ends)
        with told.on_late():
            c.set("code", UNTOLD)
    c.label("known")


def _told(c: Recorder, leg: str) -> None:
    """Take a NOTIFY: the status in its body (RFC 3515 2.4.5)."""
    c.extract("code", "sipfrag")
    with c.if_(c.v.code >= 200):
        c.stop("transfer")
    with c.else_(), c.if_header("Subscription-State", "terminated"):
        c.set("code", UNTOLD)
    c.respond(200, method="NOTIFY", leg=leg)


def parting(c: Recorder, wait: Wait, ends: Ends, then: str = "stay") -> None:
    """Let the peers of these legs hang up while something else is waited for."""
    for leg, gone in ends.items():
        with wait.on("BYE", leg=leg, then=then):
            c.respond(200, method="BYE", leg=leg)
            c.set(gone, 1)


def hang_up(c: Recorder, ends: Ends, leg: str = "", *, clock: str = "") -> None:
    """Send BYE on a leg whose peer has not; both may cross (RFC 5407 3.2.1)."""
    with c.if_(getattr(c.v, ends[leg]) == 0):
        c.bye(leg=leg, start=clock)
        done = c.expect("2xx", stop=clock, leg=leg, method="BYE").optional(100)
        with done.on("300-699", then="go on", method="BYE"):
            pass
        parting(c, done, ends)


def call_up(c: Recorder, to: str, name: str, user: str, password: str, from_uri: str) -> None:
    """Make the call that is to be transferred, and talk."""
    c.invite(to, user=name, sdp=c.v.sdp, from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    challenged(c, answered, user, password)
    if c.v.ring_limit:
        with answered.on_late():
            cancelled(c, {})
            c.end("no_answer")


def cancelled(c: Recorder, ends: Ends, leg: str = "") -> None:
    """Cancel an INVITE and see its end; an answer that came first is hung up (RFC 3261 15)."""
    c.cancel(leg=leg)
    final = c.expect(leg=leg, method="INVITE", within=TX_TIMEOUT).optional("1xx")
    with final.on("300-699", then="go on", method="INVITE"):
        pass
    with final.on("2xx", then="go on", method="INVITE"):
        c.ack(leg=leg)
        c.bye(leg=leg)
        parting(c, c.expect("200-699", leg=leg, method="BYE"), ends)
    parting(c, final, ends)
    with final.on_late():
        c.end("no_answer")


def ended(c: Recorder) -> None:
    """End by what became of the transfer."""
    with c.if_(c.v.code == UNTOLD):
        c.end("no_outcome")
    with c.if_(c.v.code >= 300):
        c.end("transfer_failed")


# --- being asked ---


def take_refer(c: Recorder, leg: str, bad: str) -> None:
    """Answer a REFER and begin to tell about it; one whose URI cannot be read goes to `bad`."""
    c.capture("target", "Refer-To.uri")
    with c.if_text("target", ""):
        c.respond(400, method="REFER", leg=leg)
        c.jump(bad)
    c.capture("replaces", "Refer-To?Replaces")
    c.capture("by", "Referred-By")
    c.capture("me", "To.uri")
    c.route("{target}", leg=TARGET + leg)
    c.set("silent", 0)
    c.set("telling", 0)
    c.extract("id", "CSeq")
    c.add("refers", 1)
    c.text("event", "refer")
    with c.if_(c.v.refers > 1):  # a later REFER of a dialog is named (RFC 3515 2.4.6)
        c.text("event", "refer;id={id}")
    with c.if_header("Refer-Sub", "false"):
        c.set("silent", 1)
        c.respond(200, method="REFER", leg=leg,
                  headers={"Supported": "norefersub", "Refer-Sub": "false"})
    with c.else_():
        c.respond(200, method="REFER", leg=leg)
        _tell(c, leg, "SIP/2.0 100 Trying", f"active;expires={c.v.call_limit // 10**9 + 60}")


def _tell(c: Recorder, leg: str, line: str, state: str) -> None:
    """Send a NOTIFY with a status line, unless nobody wants any."""
    with c.if_(c.v.silent == 0):
        c.send("NOTIFY", leg=leg, content_type=SIPFRAG, body=f"{line}\n",
               headers={"Event": "{event}", "Subscription-State": state})
        c.set("telling", 1)


def _hear(c: Recorder, wait: Wait, leg: str, then: str = "stay") -> None:
    """Take the answers to NOTIFYs; where one fails nobody wants more (RFC 6665 4.2.2)."""
    with wait.on("2xx", method="NOTIFY", leg=leg, then=then):
        c.set("telling", 0)
    with wait.on("300-699", "timeout", "transport", method="NOTIFY", leg=leg, then=then):
        c.set("telling", 0)
        c.set("silent", 1)


def _settle(c: Recorder, leg: str, ends: Ends) -> None:
    """Wait until the last NOTIFY is answered: the next may not overtake it."""
    with c.loop(c.v.telling == 1):
        wait = c.expect(leg=leg)
        _hear(c, wait, leg, "go on")
        parting(c, wait, ends)


def _invite_target(c: Recorder, target: str) -> None:
    """Call whom the REFER named, with what it gave for it (RFC 3892 2, 3515 2.4.1)."""
    def variants(headers: dict[str, str]) -> None:
        with c.if_text("by", ""):
            c.invite("{target}", sdp=c.v.sdp, leg=target, from_="{me}", headers=headers)
        with c.else_():
            c.invite("{target}", sdp=c.v.sdp, leg=target, from_="{me}",
                     headers={"Referred-By": "{by}", **headers})

    with c.if_text("replaces", ""):
        variants({})
    with c.else_():
        variants({"Require": "replaces", "Replaces": "{replaces}"})


def carry_out(c: Recorder, leg: str, ends: Ends) -> None:
    """Make the call that was asked for, tell how it goes, part from who asked, hold, hang up.

    `code` is then 200, or at least 300 when there was no call and nobody parted.
    """
    target = TARGET + leg  # a leg for each, because the dialog of one is not that of the other
    refused, over = f"refused.{leg}", f"over.{leg}"
    last = "terminated;reason=noresource"
    both = {**ends, target: "dropped"}
    c.set("dropped", 0)
    c.label(f"call.{leg}")
    _invite_target(c, target)
    answer = c.expect(leg=target, method="INVITE")
    if c.v.referred_user:
        with answer.on(401, 407, method="INVITE"):
            c.capture("said", "status_line")
            c.authenticate(literal(c.v.referred_user), literal(c.v.referred_password), refused,
                           leg=target)
            c.jump(f"call.{leg}", anew=True)
    with answer.on("101-199", method="INVITE"), c.if_(c.v.telling == 0):
        c.capture("said", "status_line")
        _tell(c, leg, "{said}", f"active;expires={c.v.call_limit // 10**9 + 60}")
    with answer.on("300-699", method="INVITE"):
        c.capture("said", "status_line")
        c.jump(refused)
    with answer.on("timeout"):
        c.text("said", "SIP/2.0 408 Request Timeout")
        c.jump(refused)
    with answer.on("transport"):
        c.text("said", "SIP/2.0 503 Service Unavailable")
        c.jump(refused)
    _hear(c, answer, leg)
    parting(c, answer, ends)
    c.expect("2xx", leg=target, method="INVITE", within=c.v.call_limit)
    with answer.on_late():
        cancelled(c, ends, target)
        c.text("said", "SIP/2.0 487 Request Terminated")
        c.jump(refused)
    c.capture("said", "status_line")
    c.set("code", 200)
    c.ack(leg=target)
    _settle(c, leg, both)
    _tell(c, leg, "{said}", last)
    _settle(c, leg, both)
    for other, gone in ends.items():
        with c.loop(getattr(c.v, gone) == 0):
            last_words = c.expect(leg=other, within=TX_TIMEOUT)
            parting(c, last_words, both, "go on")
            with last_words.on_late():
                hang_up(c, both, other)
                c.set(gone, 1)
    with c.if_(c.v.dropped == 0):
        parting(c, c.pause(c.v.hold, leg=target), {target: "dropped"}, "go on")
        hang_up(c, both, target)
    c.jump(over)
    c.label(refused)
    c.set("code", 500)
    _settle(c, leg, ends)
    _tell(c, leg, "{said}", last)
    _settle(c, leg, ends)
    c.label(over)
