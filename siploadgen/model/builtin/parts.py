"""Parts that several built-in models share: callers' names, challenges, ends of calls."""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.recorder import Recorder, Variable, Wait
from siploadgen.model.settings import Setting, literal

TX_TIMEOUT = "32s"  # 64 * T1, RFC 3261 9.1 and 13.3.1.4

IDENTITY: Mapping[str, Any] = {
    "user": Setting("", "user name in From and for challenges; with users their column `user`"),
    "password": Setting("secret", "password for challenges; with users their column `password`"),
    "domain": Setting("", "domain of the users; the target's host when empty"),
    "ha1": Setting("", "HA1 (hex) in place of the password; with users their column `ha1`"),
    "aka_k": Setting("", "SIM card: K (hex), for AKAv1-MD5; or column"),
    "aka_opc": Setting("", "SIM card: OPc (hex); or column"),
    "aka_op": Setting("", "SIM card: OP (hex) in place of OPc; or column"),
    "aka_amf": Setting("", "SIM card: AMF (hex) that challenges must have, empty: any; or column"),
    "cache_nonce": Setting("no", "keep challenges for the user's later calls", "flag"),
}
# what a user that registers is made of
SECRETS = {name: IDENTITY[name] for name in (
    "ha1", "aka_k", "aka_opc", "aka_op", "aka_amf", "cache_nonce", "domain")}

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
        parts = [f"{part}={_of_user(c, f'aka_{part}')}" for part in ("k", "opc", "op", "amf")]
        return "aka:" + ",".join(part for part in parts if not part.endswith("="))
    if _of_user(c, "ha1"):
        return f"ha1:{_of_user(c, 'ha1')}"
    return _of_user(c, "password")


def identity(c: Recorder) -> tuple[str, str, str]:
    """User name, secret and From URI of a caller; empty texts when it has no name."""
    user = _of_user(c, "user")
    if not user:
        return "", "", ""
    return user, secret(c), f"sip:{user}@{c.v.domain or '{target.host}'}"


def challenged(c: Recorder, wait: Wait, user: str, proof: str) -> None:
    """Answer challenges as this user; nobody in particular cannot answer any."""
    if user:
        wait.auth(401, 407, user=user, password=proof, cache=c.v.cache_nonce)
    else:
        wait.ends(401, 407, end="auth_failed")


def crossing(c: Recorder, done: Wait) -> None:
    """Two BYEs may cross: ours is then answered with 200 or 481, both fine (RFC 5407 3.2.1)."""
    with done.on("BYE"):
        c.respond(200)
        c.expect("200-699")
        c.end()


def give_up(c: Recorder) -> None:
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


def check_credentials(c: Recorder) -> None:
    """Challenge a request that has no valid credentials (RFC 3261 22.2)."""
    if not c.v.challenge:
        return
    kind = c.v.challenge if c.v.challenge_qop == "auth" else \
        f"{c.v.challenge}.{c.v.challenge_qop}"
    proxy = c.v.challenge_status == 407
    with c.challenge(literal(c.v.password), realm=literal(c.v.realm), kind=kind, proxy=proxy,
                     life=c.v.nonce_life):
        c.respond(c.v.challenge_status, headers={
            "Proxy-Authenticate" if proxy else "WWW-Authenticate":
                f'Digest realm="{literal(c.v.realm)}", {{challenge.{kind}}}'})
        c.end("challenged", ok=True)


def accepted(c: Recorder) -> dict[str, str]:
    """Headers of a 2xx to a request whose credentials were right (RFC 3261 20.6)."""
    if c.v.challenge and c.v.next_nonce:
        return {"Authentication-Info": "{challenge.next}"}
    return {}


def from_now(c: Recorder, name: str, seconds: Variable) -> None:
    """Set a variable to the time (of `c.now`) when so many seconds will have passed."""
    c.set(name, seconds)
    c.mul(name, 1e9)
    c.add(name, c.now)


def time_left(c: Recorder, name: str, until: str) -> None:
    """Set a variable to the nanoseconds until a time, below 0 when it has passed."""
    c.set(name, c.now)
    c.mul(name, -1)
    c.add(name, getattr(c.v, until))


def bye(c: Recorder, outcome: str) -> None:
    """End the dialog, whatever comes back."""
    c.bye()
    c.expect("200-699", "timeout", "transport")
    c.end(outcome)
