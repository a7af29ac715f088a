"""The built-in call models: their functions are what `siploadgen models show` prints.

Each model is a caller and, for the embedded answerer, what happens when its request arrives. One
answerer program serves INVITE, REGISTER and OPTIONS together.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.python import CallModel, answer, call
from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting, Share, literal, read_settings
from siploadgen.model.values import Distribution, parse_share, scaled

if TYPE_CHECKING:  # numpy, which a list of the models does not need
    from siploadgen.compile.program import Program

ALGORITHMS = ("md5", "sha-256")
NO_ANSWER = "no_answer"  # in a mix of refusals: let it ring
TX_TIMEOUT = "32s"  # 64 * T1, RFC 3261 9.1 and 13.3.1.4

_IDENTITY: dict[str, Any] = {
    "user": Setting("", "user name in From and for challenges; with users their column `user`"),
    "password": Setting("secret", "password for challenges; with users their column `password`"),
    "domain": Setting("", "domain of the users; the target's host when empty"),
}


def _identity(c: Recorder) -> tuple[str, str, str]:
    """User name, password and From URI of a caller; empty texts when it has no name."""
    user = "{user}" if "user" in c.columns else literal(c.v.user)
    password = "{password}" if "password" in c.columns else literal(c.v.password)
    if not user:
        return "", "", ""
    return user, password, f"sip:{user}@{c.v.domain or '{target.host}'}"


def _challenged(wait: Wait, user: str, password: str) -> None:
    """Answer challenges as this user; nobody in particular cannot answer any."""
    if user:
        wait.auth(401, 407, user=user, password=password)
    else:
        wait.ends(401, 407, end="auth_failed")


@call(
    name="call",
    hold=Setting("0s", "time between ACK and BYE", "distribution"),
    ring_limit=Setting("180s", "longest ringing before CANCEL, 0s: none", "duration"),
    callee_hangs_up=Setting("no", "the answering side sends the BYE, after `hold`", "flag"),
    sdp=Setting("g711", "session description: g711 or g729", "session"),
    to=Setting("", "URI to call; the target, user `service`, when empty", "uri"),
    **_IDENTITY,
)
def call_model(c: Recorder) -> None:
    """Make a call: INVITE with SDP, ringing, 200, ACK, hold, BYE."""
    user, password, from_uri = _identity(c)
    c.invite(c.v.to, sdp=c.v.sdp, from_=from_uri, start="srd setup")
    answered = c.expect(optional=100).optional("101-199", stop="srd")
    c.expect("2xx", stop="srd setup", within=c.v.ring_limit)
    _challenged(answered, user, password)
    with answered.on(487):  # ringing that was cancelled because the run ends is no refusal
        with c.if_(c.stopping == 1):
            c.end("cancelled")
        c.end("rejected")
    if c.v.ring_limit:
        with answered.on_late():
            _give_up(c)
    c.ack()
    if c.v.callee_hangs_up:
        c.expect("BYE")
        c.respond(200)
        c.end()
        return
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    done = c.expect("2xx", stop="sdd").optional(100)
    if user:
        _challenged(done, user, password)
    _crossing(c, done)


def _crossing(c: Recorder, done: Wait) -> None:
    """Two BYEs may cross: ours is then answered with 200 or 481, both fine (RFC 5407 3.2.1)."""
    with done.on("BYE"):
        c.respond(200)
        c.expect("200-699")
        c.end()


def _give_up(c: Recorder) -> None:
    """Cancel the INVITE; an answer that came first is acknowledged and hung up (RFC 3261 15)."""
    c.cancel()
    ended = c.expect("300-699", within=TX_TIMEOUT)
    ended.optional("1xx").optional("200-699", method="CANCEL")
    with ended.on("2xx"):
        c.ack()
        c.bye()
        c.expect("200-699")
        c.end("cancel_race", ok=True)
    c.end("no_answer")


@call(
    name="register",
    columns="user password",
    expires=Setting("3600", "seconds asked for", "count"),
    refreshes=Setting("0", "refreshes before the registration is taken back, or `always`",
                      "times"),
    refresh_at=Setting("uniform(50%,90%)", "when to refresh: share of the granted time, or a time",
                       "shares"),
    remove=Setting("yes", "take the registration back at the end", "flag"),
    domain=_IDENTITY["domain"],
)
def register_model(c: Recorder) -> None:
    """Keep a registration: REGISTER with digest, refreshes, and its removal."""
    c.set("lifetime", c.v.expires)
    _registration(c, "rrd")
    if c.v.refreshes != 0:
        with c.loop(c.v.refreshes):
            c.jump("leave", when=c.stopping == 1)
            if isinstance(c.v.refresh_at, Share):
                c.set("wait", c.v.granted)  # seconds, times a share and 1e9: nanoseconds
                c.mul("wait", Share(scaled(c.v.refresh_at.value, 1e9)))
                c.pause(c.v.wait)
            else:
                c.pause(c.v.refresh_at)
            c.jump("leave", when=c.stopping == 1)
            _registration(c, "rerd")
        c.label("leave")
    if c.v.remove:
        c.register(expires=0, domain=c.v.domain)
        c.expect("2xx").optional(100).auth(401, 407)


def _registration(c: Recorder, clock: str) -> None:
    """One REGISTER until its 200; at a 423 once more with the registrar's minimum."""
    c.register(expires=c.v.lifetime, domain=c.v.domain, start=clock)
    wait = c.expect("2xx", stop=clock).optional(100).auth(401, 407)
    with wait.on(423):  # RFC 3261 10.2.8
        with c.if_(c.v.lengthened == 1):
            c.end("rejected")
        c.set("lengthened", 1)
        c.extract("lifetime", "min_expires")
        with c.if_(c.v.lifetime < 0):
            c.end("rejected")
        c.resend()
    if c.v.refreshes != 0:
        c.extract("granted", "expires")
        with c.if_(c.v.granted < 0):  # no lifetime in the answer: what was asked for
            c.set("granted", c.v.lifetime)


@call(name="options", to=Setting("", "URI to ask; the target when empty", "uri"), **_IDENTITY)
def options_model(c: Recorder) -> None:
    """Ask for capabilities: OPTIONS and its answer."""
    user, password, from_uri = _identity(c)
    c.options(c.v.to, from_=from_uri, start="options")
    _challenged(c.expect("2xx", stop="options").optional(100), user, password)


# --- the answering side ---

ANSWER_SETTINGS: Mapping[str, Setting] = {
    "ring": Setting("0s", "answering side: time from 180 to 200", "distribution"),
    "provisional": Setting("yes", "answering side: send 180 before the answer", "flag"),
    "early_media": Setting("no", "answering side: 183 with SDP instead of 180", "flag"),
    "no_answer": Setting("0%", "answering side: share of calls that ring until they are cancelled",
                         "share"),
    "ring_time": Setting("180s", "answering side: longest ringing without an answer", "duration"),
    "limit": Setting("0s", "answering side: hang up a call that lasts longer, 0s: never",
                     "duration"),
    "realm": Setting("siploadgen", "answering side: realm of challenges"),
    "challenge_methods": Setting("INVITE,REGISTER", "answering side: requests that are challenged"),
    "min_expires": Setting("0", "answering side: shortest registration in seconds, else 423",
                           "count"),
    "hold": call_model.settings["hold"],
    "callee_hangs_up": call_model.settings["callee_hangs_up"],
    "sdp": call_model.settings["sdp"],
    "password": _IDENTITY["password"],
}


def _check_credentials(c: Recorder) -> None:
    """Challenge a request that has no valid credentials (RFC 3261 22.2)."""
    if not c.v.challenge:
        return
    with c.challenge(literal(c.v.password), realm=literal(c.v.realm)):
        c.respond(401, headers={"WWW-Authenticate": f'Digest realm="{literal(c.v.realm)}", '
                                                    f"{{challenge.{c.v.challenge}}}"})
        c.end("challenged", ok=True)


@answer("INVITE", name="answer-call")
def answer_call(c: Recorder) -> None:
    """Answer a call: 180, 200 with SDP, ACK; 200 to the BYE."""
    _check_credentials(c)
    left = 1.0
    for status, share in c.v.refusals:
        with c.chance(share / left if left > share else 1.0):
            if status == NO_ANSWER:
                _never_answer(c)
            else:
                c.respond(status)
                c.end("refused", ok=True)
        left -= share
    _ring(c)
    with (waiting := c.pause(c.v.answer_after)).on("cancel"):
        c.respond(487, method="INVITE")
        c.end("cancelled")
    with waiting.on("BYE"):  # the caller may end an early dialog by BYE, RFC 3261 15.1.2
        c.respond(200)
        c.respond(487, method="INVITE")
        c.end("cancelled")
    c.respond(200, sdp=c.v.sdp, method="INVITE")
    if c.v.callee_hangs_up:
        _hang_up_after_hold(c)
        return
    done = c.expect("BYE", within=c.v.limit).optional("ACK")
    with done.on("timeout"):  # never acknowledged, RFC 3261 13.3.1.4
        _bye(c, "no_ack")
    if c.v.limit:
        with done.on_late():
            _bye(c, "timeout")
    with done.on("INVITE"):  # a refresh, or a change of the session (RFC 3261 14.2)
        c.respond(200, sdp=c.v.sdp)
    with done.on("INFO"):
        c.respond(200)
    c.respond(200, method="BYE")


def _ring(c: Recorder) -> None:
    """Send a provisional response: 183 with SDP, 180, or 100 when the answer takes its time."""
    if c.v.early_media:
        c.respond(183, sdp=c.v.sdp)
    elif c.v.provisional:
        c.respond(180)
    elif not c.instant(c.v.answer_after):
        c.respond(100)


def _never_answer(c: Recorder) -> None:
    """Ring until the caller gives up."""
    c.respond(180)
    c.expect("cancel", within=c.v.ring_time).late(end="no_answer")
    c.respond(487, method="INVITE")
    c.end("cancelled")


def _hang_up_after_hold(c: Recorder) -> None:
    """Wait for the ACK, hold, send the BYE."""
    with c.expect("ACK").on("timeout"):
        _bye(c, "no_ack")
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    _crossing(c, c.expect("2xx", stop="sdd"))


def _bye(c: Recorder, outcome: str) -> None:
    """End the dialog, whatever comes back."""
    c.bye()
    c.expect("200-699", "timeout", "transport")
    c.end(outcome)


@answer("REGISTER", name="answer-register")
def answer_register(c: Recorder) -> None:
    """Accept a registration: 200 with the Contacts of the request."""
    _check_credentials(c)
    if c.v.min_expires:
        c.extract("asked", "expires")
        with c.if_(c.v.asked > 0), c.if_(c.v.asked < c.v.min_expires):
            c.respond(423, headers={"Min-Expires": str(c.v.min_expires)})
            c.end("refused", ok=True)
    c.respond(200)


@answer("OPTIONS", name="answer-options")
def answer_options(c: Recorder) -> None:
    """Answer OPTIONS: 200 with Allow and Accept."""
    _check_credentials(c)
    c.respond(200)


# --- the doors ---


@dataclass(frozen=True, slots=True)
class Model:
    """A built-in model: what callers do, what the embedded answerer does, and the settings."""

    name: str
    summary: str
    settings: Mapping[str, Setting]
    caller: CallModel
    answerer: CallModel

    @property
    def source(self) -> str:
        """Text of the functions that make the model, those that they call included."""
        found: dict[str, Callable[..., Any]] = {}
        for side in (self.caller, self.answerer):
            _collect(side.function, found)
        return "\n\n".join(inspect.getsource(one).rstrip() + "\n" for one in found.values())


def _collect(function: Callable[..., Any], found: dict[str, Callable[..., Any]]) -> None:
    """Add a function, and those of this module that it calls."""
    found[function.__name__] = function
    for name in function.__code__.co_names:
        inner = globals().get(name)
        if inspect.isfunction(inner) and inner.__module__ == __name__ and name not in found:
            _collect(inner, found)


def _both(caller: CallModel, answerer: CallModel, *names: str) -> Model:
    settings = {**caller.settings, **{name: ANSWER_SETTINGS[name] for name in names}}
    return Model(caller.name, caller.summary, settings, caller, answerer)


MODELS: dict[str, Model] = {
    "call": _both(call_model, answer_call, "ring", "provisional", "early_media", "no_answer",
                  "ring_time", "limit", "realm", "challenge_methods"),
    "register": _both(register_model, answer_register, "min_expires", "password", "realm",
                      "challenge_methods"),
    "options": _both(options_model, answer_options, "realm", "challenge_methods"),
}


def parse_refusals(text: str) -> tuple[tuple[int | str, float], ...]:
    """Read a mix of refusals: statuses and their shares; `no_answer` lets calls ring.

    >>> parse_refusals("486:3%,503:1%")
    ((486, 0.03), (503, 0.01))
    """
    found: list[tuple[int | str, float]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        status, colon, share = part.partition(":")
        valid = status == NO_ANSWER or (
            status.isdecimal() and len(status) == 3 and 300 <= int(status) <= 699)
        if not colon or not valid:
            raise ModelError(f"{part!r} is not a share of refusals",
                             mend="write it as 486:3%,503:1%, statuses from 300 to 699")
        found.append((status if status == NO_ANSWER else int(status), parse_share(share)))
    if sum(share for _, share in found) > 1 + 1e-9:
        raise ModelError(f"{text!r}: the shares add up to more than 100%", mend="lower them")
    return tuple(one for one in found if one[1] > 0)


def build_caller(model: str, *, target_uri: str, settings: Mapping[str, str] | None = None,
                 columns: Iterable[str] = ()) -> "Program":
    """Program of a built-in model's calling side.

    `columns` names the columns of the data rows: with a column `user` the calls are made and
    challenges answered in the names of the rows. ModelError: unknown model or setting, bad value.

    >>> build_caller("call", target_uri="sip:127.0.0.1:5060", settings={"hold": "2s"}).scenarios
    ('call',)
    """
    from siploadgen.compile.assemble import compile_scenarios

    if model not in MODELS:
        raise ModelError(f"there is no model {model}", mend=nearest(model, MODELS))
    chosen = MODELS[model]
    given = dict(settings or {})
    read_settings(chosen.settings, given)  # those of the answering side are checked as well
    own = {name: text for name, text in given.items() if name in chosen.caller.settings}
    return compile_scenarios(chosen.caller.record(target=target_uri, settings=own,
                                                  columns=columns))


def build_answerer(*, settings: Mapping[str, str] | None = None, answer_after: str = "",
                   reject: str = "", challenge: str = "", transport: str = "udp") -> "Program":
    """Program of the answering side: INVITE, REGISTER and OPTIONS in one answer table.

    `answer_after` is the time from 180 to 200 (a distribution; the setting `ring` when empty),
    `reject` the mix of refusals, `challenge` the digest algorithm that requests must answer with
    (empty: none), `transport` that of its Contact. Settings of callers are taken and ignored.
    ModelError as `build_caller`.

    >>> build_answerer(reject="486:3%").outcomes
    (('refused', True),)
    """
    from siploadgen.compile.assemble import compile_scenarios

    given = dict(settings or {})
    known = {name: setting for one in MODELS.values() for name, setting in one.settings.items()}
    values: dict[str, Any] = read_settings({**known, **ANSWER_SETTINGS}, given)
    if challenge and challenge not in ALGORITHMS:
        raise ModelError(f"there is no challenge {challenge}", mend=nearest(challenge, ALGORITHMS))
    after: Distribution = values["ring"]
    if answer_after and answer_after not in ("0", "0s"):
        after = ANSWER_SETTINGS["ring"].read(answer_after, "answer_after")
    refusals = parse_refusals(reject)
    if values["no_answer"]:
        refusals += parse_refusals(f"{NO_ANSWER}:{values['no_answer']}")
    methods = {word.strip() for word in values["challenge_methods"].split(",")}
    scenarios = []
    for side in (answer_call, answer_register, answer_options):
        values.update(answer_after=after, refusals=refusals,
                      challenge=challenge if side.method in methods else "")
        scenarios.append(side.with_values(values).record(transport=transport))
    return compile_scenarios(*scenarios)
