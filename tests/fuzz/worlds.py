"""The pairs of engines that the fuzzer plays with: what a caller does, what the other side answers.

The first octet of an input chooses a pair, so new pairs go to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.python import Recorder, answer, call

CALLER = ("192.0.2.10", 5070)
ANSWERER = ("192.0.2.20", 5060)
TARGET = f"sip:{ANSWERER[0]}:{ANSWERER[1]}"
START = 1_000_000_000_000
# Small slabs, which an input can fill; a T2 that makes retransmissions rare.
SIZES: dict[str, Any] = {"max_instances": 6, "max_transactions": 15, "trace_failures": 3,
                         "t2": 32_000_000_000, "tape": 1 << 18}


def model(name: str, *, users: int = 0, sizes: dict[str, Any] | None = None,
          **settings: str) -> dict[str, Any]:
    """An engine's arguments: a caller with a built-in model."""
    columns = ("user", "password") if users else ()
    program = build_caller(name, target_uri=TARGET, settings=settings, columns=columns)
    rows = generated_users(program.columns, users) if program.columns else None
    return {"program": program, "rows": rows, "local": CALLER, "target": ANSWERER,
            "run_id": 0xA0A0A0A0, **SIZES, **(sizes or {})}


def scenario(function: Callable[[Recorder], None], **options: Any) -> dict[str, Any]:
    """An engine's arguments: a caller with a scenario of this file."""
    program = compile_scenarios(call(name="fuzz")(function).record(target=TARGET, settings={}))
    return {"program": program, "local": CALLER, "target": ANSWERER, "run_id": 0xA0A0A0A0,
            **SIZES, **options}


def answerer(*, reject: str = "", challenge: str = "", options: dict[str, Any] | None = None,
             **settings: str) -> dict[str, Any]:
    """An engine's arguments: the built-in answerer."""
    program = build_answerer(settings=settings, reject=reject, challenge=challenge)
    return {"program": program, "local": ANSWERER, "target": CALLER, "run_id": 0xB0B0B0B0,
            **SIZES, **(options or {})}


def answering(method: str, function: Callable[[Recorder], None]) -> dict[str, Any]:
    """An engine's arguments: an answerer with a scenario of this file."""
    program = compile_scenarios(answer(method, name="fuzz")(function).record())
    return {"program": program, "local": ANSWERER, "target": CALLER, "run_id": 0xB0B0B0B0, **SIZES}


def reinvite(c: Recorder) -> None:
    """Changes the session twice, asks for more in between, listens while it holds."""
    c.set("n", 3)
    c.invite(sdp="g711", start="setup")
    c.expect("2xx", stop="setup").optional("1xx").auth(401, 407, user="u", password="p")
    c.ack()
    c.pause("1s")
    c.invite(sdp="g729", headers={"X-Count": "{n}"})
    again = c.expect("2xx", within="40s").optional("1xx")
    with again.on(491):
        c.pause("2s")
        c.invite(sdp="g729")
        c.expect("2xx").optional("1xx")
    c.ack()
    c.add("n", 1)
    c.send("INFO", headers={"X-Count": "{n}"})
    c.expect("2xx", "4xx", "timeout")
    c.bye()
    c.expect("200-699")


def impatient(c: Recorder) -> None:
    """Requests without waiting for answers; variables in what may be sent again after the end."""
    c.set("n", 7)
    c.options(headers={"X-Count": "{n}"})
    c.send("MESSAGE", headers={"X-Count": "{n}"})
    c.invite(headers={"X-Count": "{n}"})
    c.expect("2xx", within="3s").optional("1xx").late(end="gave_up")
    c.ack()
    c.bye(headers={"X-Count": "{n}"})


def listens(c: Recorder) -> None:
    """An answerer that hangs up, and that asks inside the dialog first."""
    c.respond(100)
    c.respond(180)
    c.respond(200, sdp="g711")
    with c.expect("ACK", within="20s").on("timeout"):
        c.bye()
        c.expect("200-699", "timeout", "transport")
        c.end("no_ack")
    c.send("INFO")
    c.expect("200-699").optional("BYE")
    c.invite(sdp="g729")
    c.expect("2xx").optional("1xx")
    c.ack()
    with c.pause("5s").on("BYE"):
        c.respond(200)
        c.end()
    c.bye()
    c.expect("200-699")


def all_worlds() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Caller and answerer of each pair."""
    yield model("call", hold="2s"), answerer()
    yield (model("call", users=3, hold="1s", ring_limit="5s"),
           answerer(challenge="md5", ring="1s", challenge_methods="INVITE,REGISTER,OPTIONS"))
    yield (model("register", users=5, expires="60", refreshes="2"),
           answerer(challenge="sha-256", min_expires="90"))
    yield model("options", to=f"{TARGET};x=y"), answerer(reject="486:30%,503:10%")
    yield (model("call", callee_hangs_up="yes", ring_limit="2s"),
           answerer(callee_hangs_up="yes", hold="1s", ring="uniform(100ms,3s)", early_media="yes"))
    yield (model("call", hold="exponential(3s)", ring_limit="0s"),
           answerer(no_answer="50%", ring_time="10s", provisional="no", limit="3s"))
    yield scenario(reinvite), answerer(ring="3s")
    yield scenario(impatient), answerer(provisional="no", ring="1s")
    yield model("call", hold="2s"), answering("INVITE", listens)
    yield scenario(reinvite, linger=0, max_instances=4, max_transactions=6), answerer(
        options={"max_instances": 3, "max_transactions": 5, "drop_share": 0.1, "rate_limit": 50.0})
    yield (model("register", users=2, expires="30", refreshes="always", refresh_at="10s",
                 sizes={"max_calls": 2}), answerer())
    yield (model("call", hold="1s", sizes={"obey_overload": True}),
           answerer(options={"oc_algorithm": "rate", "oc_value": 3, "rate_limit": 20.0}))
