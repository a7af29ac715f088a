"""Parts that several built-in models share: callers' names, challenges, ends of calls."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from siploadgen.model.recorder import Recorder, Variable, Wait
from siploadgen.model.settings import Setting, literal

TX_TIMEOUT = "64*T1"  # RFC 3261 9.1 and 13.3.1.4
CANCEL_LIMIT = "140*T1"  # longer than the INVITE and then its CANCEL can take

IDENTITY: Mapping[str, Any] = {
    "user": Setting("", "user name in From and for challenges; with users their column `user`"),
    "password": Setting("secret", "password for challenges; with users their column `password`"),
    "domain": Setting("", "domain of the users; the target's host when empty"),
    "caller": Setting("", "URI in From, such as tel:+12015550123; sip:user@domain when empty",
                      "uri"),
    "ha1": Setting("", "HA1 (hex) in place of the password; with users their column `ha1`"),
    "aka_k": Setting("", "SIM card: K (hex), for AKAv1-MD5; or column"),
    "aka_opc": Setting("", "SIM card: OPc (hex); or column"),
    "aka_op": Setting("", "SIM card: OP (hex) in place of OPc; or column"),
    "aka_amf": Setting("", "SIM card: AMF (hex) that challenges must have, empty: any; or column"),
    "aka_sqn": Setting("", "SIM card: the last SQN that it took (hex), lower ones are answered "
                           "with AUTS, empty: all are taken; or column"),
    "cache_nonce": Setting("no", "keep challenges for the user's later calls", "flag"),
}
# what a user that registers is made of
SECRETS = {name: IDENTITY[name] for name in (
    "ha1", "aka_k", "aka_opc", "aka_op", "aka_amf", "aka_sqn", "cache_nonce", "domain")}

# answering side: what requests without credentials get
CHALLENGE: Mapping[str, Any] = {
    "realm": Setting("siploadgen", "answering side: realm of challenges"),
    "challenge_methods": Setting("INVITE,REGISTER", "answering side: requests that are challenged"),
    "challenge_qop": Setting("auth", "answering side: auth, auth-int, `auth,auth-int` or none"),
    "challenge_status": Setting("401", "answering side: 401, or 407 as a proxy", "count"),
    "nonce_life": Setting("5m", "answering side: how long a nonce is good", "duration"),
    "next_nonce": Setting("no", "answering side: a new nonce with each 2xx", "flag"),
    "password": IDENTITY["password"],
}


def _of_user(c: Recorder, name: str) -> str:
    """Text of a column, else of the setting of that name."""
    return f"{{{name}}}" if name in c.columns else literal(getattr(c.v, name))


def secret(c: Recorder) -> str:
    """Text that a caller proves itself with: a SIM card's secret, HA1 or the password."""
    if _of_user(c, "aka_k"):
        parts = [f"{part}={_of_user(c, f'aka_{part}')}"
                 for part in ("k", "opc", "op", "amf", "sqn")]
        return "aka:" + ",".join(part for part in parts if not part.endswith("="))
    if _of_user(c, "ha1"):
        return f"ha1:{_of_user(c, 'ha1')}"
    return _of_user(c, "password")


def identity(c: Recorder) -> tuple[str, str, str]:
    """User name, secret and From URI of a caller; empty texts when it has no name."""
    user = _of_user(c, "user")
    if not user:
        return "", "", c.v.caller
    return user, secret(c), c.v.caller or f"sip:{user}@{c.v.domain or '{target.host}'}"


def challenged(c: Recorder, wait: Wait, user: str, proof: str) -> None:
    """Answer challenges as this user; nobody in particular cannot answer any."""
    if user:
        wait.auth(401, 407, user=user, password=proof, cache=c.v.cache_nonce)
    else:
        wait.ends(401, 407, end="auth_failed")


def crossing(c: Recorder, done: Wait, *, leg: str = "", then: str = "") -> None:
    """Two BYEs may cross: ours is then answered with 200 or 481, both fine (RFC 5407 3.2.1)."""
    with done.on("BYE"):
        c.respond(200, leg=leg)
        c.expect("200-699", leg=leg)
        if then:
            c.jump(then)
        else:
            c.end()


def give_up(c: Recorder, end: str = "no_answer", *, clock: str = "") -> None:
    """Cancel the INVITE; an answer that came first is acknowledged and hung up (RFC 3261 15)."""
    c.start(*clock.split())
    with c.if_(c.status >= 100), c.if_(c.status < 200):
        c.set("progress", 1)
    c.cancel()
    ended = c.expect("300-699", stop=clock, within=CANCEL_LIMIT).late(end="cancel_timeout")
    ended.optional("200-699", method="CANCEL")
    with ended.on("1xx"):  # the CANCEL waited for it (RFC 3261 9.1)
        c.set("progress", 1)
    with ended.on("2xx"):
        hang_up(c, "cancel_race")
    with ended.on("timeout"):
        with c.if_(c.v.progress == 1):  # no 487 came
            c.end("cancel_timeout")
        c.end("timeout")
    c.end(end)


def hang_up(c: Recorder, end: str, *, ok: bool = True) -> None:
    """Acknowledge an answer that is not wanted, and end its call."""
    c.ack()
    c.bye()
    c.expect("200-699")
    c.end(end, ok=ok)


def talk(c: Recorder, user: str, proof: str) -> None:
    """Acknowledge the answer, hold, hang up."""
    c.ack()
    with c.pause(c.v.hold).on("BYE"):
        c.respond(200)
        c.end("unexpected")
    c.bye(start="sdd")
    done = c.expect("2xx", stop="sdd").optional(100)
    if user:
        challenged(c, done, user, proof)
    crossing(c, done)


def check_credentials(c: Recorder, algorithm: str = "") -> None:
    """Challenge a request that has no valid credentials (RFC 3261 22.2)."""
    algorithm = algorithm or c.v.challenge
    if algorithm:
        with _unproven(c, algorithm):
            c.end("challenged", ok=True)


def challenge_again(c: Recorder, algorithm: str, label: str = "wait") -> None:
    """Challenge a request in the dialog likewise, and wait for it again at the label."""
    with _unproven(c, algorithm):
        c.jump(label)


@contextmanager
def _unproven(c: Recorder, algorithm: str) -> Iterator[None]:
    """Record a block for after the challenge of a request without valid credentials."""
    kind = algorithm if c.v.challenge_qop == "auth" else f"{algorithm}.{c.v.challenge_qop}"
    proxy = c.v.challenge_status == 407
    with c.challenge(literal(c.v.password), realm=literal(c.v.realm), kind=kind, proxy=proxy,
                     life=c.v.nonce_life):
        c.respond(c.v.challenge_status, headers={
            "Proxy-Authenticate" if proxy else "WWW-Authenticate":
                f'Digest realm="{literal(c.v.realm)}", {{challenge.{kind}}}'})
        yield


def accepted(c: Recorder, algorithm: str = "") -> dict[str, str]:
    """Headers of a 2xx to a request whose credentials were right (RFC 3261 20.6)."""
    if (algorithm or c.v.challenge) and c.v.next_nonce:
        return {"Authentication-Info": "{challenge.next}"}
    return {}


def from_now(c: Recorder, name: str, seconds: Variable) -> None:
    """Set a variable to the time (of `c.elapsed`) when so many seconds will have passed."""
    c.set(name, seconds)
    c.mul(name, 1e9)
    c.add(name, c.elapsed)


def time_left(c: Recorder, name: str, until: str) -> None:
    """Set a variable to the nanoseconds until a time, below 0 when it has passed."""
    c.set(name, c.elapsed)
    c.mul(name, -1)
    c.add(name, getattr(c.v, until))


def bye(c: Recorder, outcome: str, *, leg: str = "") -> None:
    """End the dialog, whatever comes back."""
    c.bye(leg=leg)
    c.expect("200-699", "timeout", "transport", leg=leg)
    c.end(outcome)


def cancelled(c: Recorder, wait: Wait, end: str = "cancelled") -> None:
    """Answering side: the caller gives the INVITE up, by CANCEL or by BYE (RFC 3261 15.1.2)."""
    with wait.on("cancel"):
        c.respond(487, method="INVITE")
        c.end(end)
    with wait.on("BYE"):
        c.respond(200)
        c.respond(487, method="INVITE")
        c.end(end)


def hung_up(c: Recorder, end: str = "succeeded") -> None:
    """Answering side: after the 200, the ACK and the caller's BYE."""
    done = c.expect("BYE").optional("ACK")
    with done.on("timeout"):  # never acknowledged, RFC 3261 13.3.1.4
        bye(c, "no_ack")
    with done.on("INVITE"):
        c.respond(200, sdp="g711")
    with done.on("INFO", "OPTIONS"):
        c.respond(200)
    c.respond(200, method="BYE")
    c.end(end)
