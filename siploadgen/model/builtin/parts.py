"""Parts that several built-in models share: callers' names, challenges, ends of calls."""

from collections.abc import Mapping
from typing import Any

from siploadgen.model.recorder import Recorder, Wait
from siploadgen.model.settings import Setting, literal

TX_TIMEOUT = "32s"  # 64 * T1, RFC 3261 9.1 and 13.3.1.4

IDENTITY: Mapping[str, Any] = {
    "user": Setting("", "user name in From and for challenges; with users their column `user`"),
    "password": Setting("secret", "password for challenges; with users their column `password`"),
    "domain": Setting("", "domain of the users; the target's host when empty"),
}

# answering side: what requests without credentials get
CHALLENGE: Mapping[str, Any] = {
    "realm": Setting("siploadgen", "answering side: realm of challenges"),
    "challenge_methods": Setting("INVITE,REGISTER", "answering side: requests that are challenged"),
    "password": IDENTITY["password"],
}


def identity(c: Recorder) -> tuple[str, str, str]:
    """User name, password and From URI of a caller; empty texts when it has no name."""
    user = "{user}" if "user" in c.columns else literal(c.v.user)
    password = "{password}" if "password" in c.columns else literal(c.v.password)
    if not user:
        return "", "", ""
    return user, password, f"sip:{user}@{c.v.domain or '{target.host}'}"


def challenged(wait: Wait, user: str, password: str) -> None:
    """Answer challenges as this user; nobody in particular cannot answer any."""
    if user:
        wait.auth(401, 407, user=user, password=password)
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
    with c.challenge(literal(c.v.password), realm=literal(c.v.realm)):
        c.respond(401, headers={"WWW-Authenticate": f'Digest realm="{literal(c.v.realm)}", '
                                                    f"{{challenge.{c.v.challenge}}}"})
        c.end("challenged", ok=True)


def bye(c: Recorder, outcome: str) -> None:
    """End the dialog, whatever comes back."""
    c.bye()
    c.expect("200-699", "timeout", "transport")
    c.end(outcome)
