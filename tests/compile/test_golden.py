"""Listings of the built-in models, kept as files.

After a wanted change: `SIPLOADGEN_GOLDEN=write pytest tests/compile/test_golden.py`, then read the
difference.
"""

import os
from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import listing, templates_listing
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.python import call
from siploadgen.model.values import lognormal

GOLDEN = Path(__file__).parent / "golden"
TARGET = "sip:127.0.0.1:5060"


@call(columns="callee.user", hold=lognormal("30s", 0.6))
def basic_call(c):
    """The example of the manual."""
    c.invite(to="sip:{callee.user}@{target.host}", sdp="g711", start="srd")
    c.expect(optional=100).auth(401, 407, user="a", password="b").optional(180, 183, stop="srd")
    c.expect(200, within="32s").otherwise(end="failed")
    c.ack()
    c.pause(c.v.hold)
    c.bye()
    c.expect(200)


@call()
def every_step(c):
    """Each kind of step once."""
    c.set("n", 0)
    c.label("again")
    c.start("round")
    with c.loop(2):
        c.add("n", c.v.n)
        c.mul("n", 1.5)
    with c.if_(c.v.n > 3):
        c.count("large")
    with c.else_():
        c.count("small", 2)
    with c.chance("10%"):
        c.count("lucky")
        c.pause("uniform(1ms,2ms)")
    c.send("XLOAD.1!", headers={"X-Round": "{n}"})
    with c.expect(200, stop="round").on("503"):
        c.extract("n", "retry_after")
        c.jump("again", when=c.v.n < 10)
        c.end("overloaded")
    c.jump("out", when=c.stopping == 1)
    c.jump("again")
    c.label("out")


PROGRAMS = {
    "call": lambda: build_caller("call", target_uri=TARGET),
    "call-full": lambda: build_caller(
        "call", target_uri="sip:bob@10.0.0.5", columns=("user", "password"),
        settings={"hold": "lognormal(30s,0.6)", "ring_limit": "20s"}),
    "call-remote-bye": lambda: build_caller(
        "call", target_uri=TARGET, settings={"callee_hangs_up": "yes"}),
    "register": lambda: build_caller("register", target_uri=TARGET, settings={"refreshes": "2"}),
    "register-full": lambda: build_caller("register", target_uri=TARGET, settings={
        "contacts": "{own};q=0.7, <mailto:bob@example.com>;q=0.1;expires=60", "follow": "yes",
        "supported": "path, gruu", "fetch": "yes", "remove": "all", "expires": "600"}),
    "register-call": lambda: build_caller(
        "register-call", target_uri=TARGET, settings={"gruu": "public"}),
    "register-outbound": lambda: build_caller("register-outbound", target_uri=TARGET),
    "register-storm": lambda: build_caller("register-storm", target_uri=TARGET),
    "options": lambda: build_caller("options", target_uri=TARGET),
    "options-in-call": lambda: build_caller(
        "options", target_uri=TARGET, settings={"in_call": "2"}),
    "call-cancel-bye": lambda: build_caller(
        "call-cancel", target_uri=TARGET, settings={"cancel_by": "bye"}),
    "call-redirect": lambda: build_caller("call-redirect", target_uri=TARGET),
    "keepalive-crlf": lambda: build_caller(
        "keepalive", target_uri=TARGET, settings={"form": "crlf"}),
    "answer": build_answerer,
    "answer-full": lambda: build_answerer(
        answer_after="lognormal(200ms,0.4)", reject="486:3%,503:1%", challenge="sha-256",
        settings={"no_answer": "2%", "min_expires": "60", "limit": "1h"}),
    "answer-remote-bye": lambda: build_answerer(settings={"callee_hangs_up": "yes", "hold": "1s"}),
    "basic-call": lambda: compile_scenarios(basic_call.record(target=TARGET)),
    "every-step": lambda: compile_scenarios(every_step.record(target=TARGET)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_listing(name):
    program = PROGRAMS[name]()
    text = f"{listing(program)}\n{templates_listing(program)}"
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("SIPLOADGEN_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text()


def test_no_golden_file_is_left_over():
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(PROGRAMS)


def test_passwords_are_not_shown():
    program = build_caller("call", target_uri=TARGET, settings={"user": "u", "password": "hush"})
    steps = [program.step_name(pc) for pc in range(len(program.code))]
    assert "hush" not in listing(program) + templates_listing(program) + str(steps)
