"""What a scenario can compute, look for, keep beyond a call, and ask Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import listing
from siploadgen.compile.program import Program
from siploadgen.core.engine import Engine
from siploadgen.core.shared import Shared
from siploadgen.load.rows import generated_users
from siploadgen.model.errors import ModelError
from siploadgen.model.hooks import HookCall
from siploadgen.model.python import Recorder, answer, call
from siploadgen.run.hooks import hook_arguments
from tests.engine.drive import LOCAL, PEER, SIZES, TARGET, Bench, ask, reply

LOW, HIGH = -(2**63), 2**63 - 1
Model = Callable[[Recorder], None]


def compiled(*models: Model, columns: tuple[str, ...] = ()) -> Program:
    """One program of callers."""
    return compile_scenarios(*(
        call(name=one.__name__, columns=columns)(one).record(target=TARGET, settings={})
        for one in models))


def bench_of(program: Program, **options: Any) -> Bench:
    rows = generated_users(program.columns, 3) if program.columns else None
    return Bench(Engine(program, local=LOCAL, target=PEER, rows=rows, **{
        "run_id": 0xA0A0A0A0, **SIZES, **hook_arguments(program), **options}))


def said(model: Model, **options: Any) -> str:
    """The value of the header Said in the only OPTIONS of a model."""
    bench = bench_of(compiled(model), **options)
    sent = bench.start()
    bench.feed(reply(sent, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    return sent.header("Said")


def with_body(text: str, body: bytes) -> bytes:
    """A message of `reply` with a body of its own."""
    head = text.removesuffix("Content-Length: 0\r\n\r\n")
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def tell(c: Recorder, text: str) -> None:
    c.options(headers={"Said": text})
    c.expect(200)


# --- numbers ---

def cut(value: int) -> int:
    return max(LOW, min(HIGH, value))


def quotient(a: int, b: int) -> int:
    return 0 if b == 0 else cut(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


NUMBERS = st.one_of(st.integers(LOW, HIGH), st.integers(-20, 20),
                    st.sampled_from([LOW, LOW + 1, HIGH, -1, 0, 1]))


@given(NUMBERS, NUMBERS)
def test_arithmetic_stays_within_64_bits(a: int, b: int) -> None:
    def model(c: Recorder) -> None:
        c.set("b", b)
        for name, how in (("sum", c.add), ("rest", c.sub), ("product", c.mul),
                          ("quotient", c.div), ("left", c.mod)):
            c.set(name, a)
            how(name, c.v.b)
        tell(c, "{sum} {rest} {product} {quotient} {left}")

    truth = (cut(a + b), cut(a - b), cut(a * b), quotient(a, b),
             a - b * quotient(a, b) if b not in (0, -1) else 0)
    assert said(model) == " ".join(map(str, truth))


@pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 2), (3, 2), (-1, 2)])
def test_variables_are_compared_with_each_other(a: int, b: int) -> None:
    def model(c: Recorder) -> None:
        c.set("a", a)
        c.set("b", b)
        c.set("held", 0)
        for bit, condition in enumerate((c.v.a == c.v.b, c.v.a != c.v.b, c.v.a < c.v.b,
                                         c.v.a <= c.v.b, c.v.a > c.v.b, c.v.a >= c.v.b)):
            with c.if_(condition):
                c.add("held", 1 << bit)
        tell(c, "{held}")

    truth = (a == b, a != b, a < b, a <= b, a > b, a >= b)
    assert said(model) == str(sum(1 << bit for bit, one in enumerate(truth) if one))


# --- regular expressions ---

SDP = ("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
       "m=audio 40002 RTP/AVP 0\r\na=sendrecv\r\n")


def found(pattern: str, where: str, headers: tuple[str, ...] = (), body: bytes = b"",
          **more: Any) -> bytes:
    """What a pattern finds in a 200, as the next request says it."""
    def model(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.find(pattern, where, **{"into": "one two", "numbers": "two", **more})
        tell(c, "[{one}] {two}")

    bench = bench_of(compiled(model))
    bench.feed(with_body(reply(bench.start(), 200, headers=headers), body))
    sent = bench.wire[-1]
    bench.feed(reply(sent, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    return sent.data.partition(b"\r\nSaid: ")[2].partition(b"\r\n")[0]


@pytest.mark.parametrize(("pattern", "where", "more", "truth"), [
    (r"c=IN IP4 ([0-9.]+).*m=audio ([0-9]+)", "body", {}, "[192.0.2.7] 40002"),
    (r"^SIP/2.0 ([2-6])([0-9]+) ", "start_line", {}, "[2] 0"),
    (r"^(.)(-?[0-9]+)", "X-Test", {}, "[a] -17"),
    (r"(x)([0-9]+)", "X-Test.2", {}, "[x] 99"),
    (r"(a)(z)", "X-Test", {}, "[] -1"),
    (r"(A)-(1)", "X-Test", {}, "[] -1"),
    (r"(A)-(1)", "X-Test", {"any_case": True}, "[a] 1"),
    (r"x-test: (.)(.)", "message", {"any_case": True}, "[a] -1"),
    (r"(folded).*(7)", "Subject", {}, "[folded] 7"),
    (r"(.*)(7)", "Subject", {}, "[folded    ] 7"),
    (r"([0-9])()$", "X-Absent", {}, "[] -1"),
    (r"tag=([a-z]+)()", "To", {}, "[peer] -1"),
])
def test_what_patterns_find(pattern: str, where: str, more: dict[str, Any], truth: str) -> None:
    assert found(pattern, where, ("X-Test: a-17", "x-tesT: x99", "Subject: folded\r\n  7"),
                 SDP.encode(),
                 **more) == truth.encode()


def test_a_text_is_searched_and_a_group_may_replace_it() -> None:
    def model(c: Recorder) -> None:
        c.text("all", "alpha=1;beta=22")
        c.find("beta=([0-9]+)", "{all}", into="beta", numbers="beta")
        c.find(";(.*)$", "{all}", into="all")
        tell(c, "{all} {beta}")

    assert said(model) == "beta=22 22"


def test_brackets_that_are_no_groups_are_none() -> None:
    def model(c: Recorder) -> None:
        c.text("all", "a(b")
        c.find("[(].", "{all}", into="part")
        tell(c, "{part}")

    assert said(model) == "(b"


def test_a_pattern_without_groups_takes_all_that_it_found() -> None:
    def model(c: Recorder) -> None:
        c.text("all", "x 123 y")
        c.find("[0-9]+", "{all}", into="number", numbers="number")
        with c.if_found("^x", "{all}"):
            c.add("number", 1000)
        with c.if_found("^y", "{all}", into="rest"):
            c.add("number", 5000)
        tell(c, "{number}{rest}")

    assert said(model) == "1123"


def test_octets_that_are_no_utf_8_are_octets() -> None:
    assert found("(=..)()$", "body", body=b"caf=\xe9\xff") == b"[=\xe9\xff] -1"


@pytest.mark.parametrize(("pattern", "into", "message"), [
    ("(a", "one", "unmatched"), ("a**{", "", "the pattern"), (r"(a)\1", "one", "refer back"),
    ("a", "one two", "without groups"), ("(a)", "one two", "has no group 2"),
    ("(" * 10 + "a" + ")" * 10, "one", "10 groups"), ("a\0", "", "NUL")])
def test_patterns_that_are_none(pattern: str, into: str, message: str) -> None:
    def model(c: Recorder) -> None:
        c.find(pattern, "body", into=into)
        tell(c, "x")

    with pytest.raises(ModelError, match=message) as raised:
        compiled(model)
    assert "test_language.py:" in str(raised.value)


# --- variables of users and the run ---

def counting(c: Recorder) -> None:
    c.add("run.calls", 1, into="mine")
    c.add("user.calls", 1)
    c.set("run.last", c.v.mine)
    tell(c, "{mine} {user.calls} {user} {run.last}")


def test_variables_of_the_run_are_those_of_all_engines() -> None:
    program = compiled(counting, columns=("user",))
    shared = Shared(program.shared, 3)
    said_ = []
    for engine in range(2):
        bench = bench_of(program, shared=shared, first_row=engine, row_stride=2)
        for _ in range(2):
            sent = bench.start()
            said_.append(sent.header("Said").split())
            bench.feed(reply(sent, 200))
            bench.drain()
    assert [one[0] for one in said_] == ["1", "2", "3", "4"]
    assert all(one[0] == one[3] for one in said_)
    calls: dict[str, int] = {}
    for _, of_user, user, _ in said_:
        calls[user] = calls.get(user, 0) + 1
        assert int(of_user) == calls[user]
    assert shared.value("run.calls") == 4
    assert sum(int(shared.value("user.calls", row)) for row in range(3)) == 4
    with pytest.raises(IndexError):
        shared.value("user.calls", 3)


def test_a_text_that_a_call_leaves_is_found_by_the_users_next() -> None:
    def model(c: Recorder) -> None:
        c.options(headers={"Said": "<{user.token}>"})
        c.expect(200)
        c.find("(.*)", "X-Token", into="user.token")

    bench = bench_of(compiled(model, columns=("user",)))
    heard = []
    for number in range(6):
        sent = bench.start()
        heard.append(sent.header("Said"))
        bench.feed(reply(sent, 200, headers=[f"X-Token: t{number}"]))
        bench.drain()
    assert heard == ["<>"] * 3 + ["<t0>", "<t1>", "<t2>"]
    assert bench.engine.shared.value("user.token", 1) == b"t4"


def test_what_is_too_long_for_a_cell_is_not_kept() -> None:
    def model(c: Recorder) -> None:
        c.options(headers={"Said": "<{run.token}>"})
        c.expect(200)
        c.find("(.*)", "body", into="run.token")

    bench = bench_of(compiled(model))
    heard = []
    for length in (500, 501, 1):
        sent = bench.start()
        heard.append(len(sent.header("Said")) - 2)
        bench.feed(with_body(reply(sent, 200), b"x" * length))
        bench.drain()
    assert heard == [0, 500, 0]


def test_another_scenario_of_the_program_reads_what_one_sets() -> None:
    def writes(c: Recorder) -> None:
        c.set("run.level", 7)
        tell(c, "-")

    def reads(c: Recorder) -> None:
        with c.if_(c.run.level >= 7):
            tell(c, "{run.level}")

    program = compiled(writes, reads)
    assert program.shared == (("run.level", "number"),)
    assert "run.level = run.level" in listing(program)


@pytest.mark.parametrize(("model", "message"), [
    (lambda c: c.options(headers={"Said": "{run.never}"}), "nothing is called {run.never}"),
    (lambda c: (c.add("user.calls", 1), tell(c, "-")), "there are no users"),
    (lambda c: (c.add("run.n", 1), c.text("run.n", "x"), tell(c, "-")), "a number and a text"),
])
def test_variables_beyond_the_call_that_cannot_be(model: Model, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        compile_scenarios(call(name="test")(model).record(target=TARGET, settings={}))


def test_who_answers_has_variables_of_the_run_only() -> None:
    def counts(c: Recorder) -> None:
        c.add("run.asked", 1)
        c.respond(200, headers={"Said": "{run.asked}"})

    program = compile_scenarios(answer("OPTIONS", name="test")(counts).record())
    bench = Bench(Engine(program, local=LOCAL, run_id=1, **SIZES))
    for number in range(3):
        bench.feed(ask("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    assert [one.header("Said") for one in bench.wire] == ["1", "2", "3"]

    def of_user(c: Recorder) -> None:
        c.add("user.asked", 1)
        c.respond(200)

    with pytest.raises(ModelError, match="no user of the data"):
        compile_scenarios(answer("OPTIONS", name="test")(of_user).record())


# --- hooks ---

def test_a_hook_sees_the_call_and_sets_variables() -> None:
    seen: list[HookCall] = []

    def price(call_: HookCall) -> dict[str, Any]:
        seen.append(call_)
        return {"price": int(call_["units"]) * 3, "mark": "é", "raw": b"\xff"}

    def model(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.set("units", 14)
        c.hook(price, sets="price", texts="mark raw")
        tell(c, "{price} {mark}")

    bench = bench_of(compiled(model))
    bench.feed(reply(bench.start(), 200))
    sent = bench.wire[-1]
    assert sent.header("Said") == "42 é"
    bench.feed(reply(sent, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    assert seen[0].message.startswith(b"SIP/2.0 200")
    assert seen[0].values == {"units": 14, "price": 0, "mark": "", "raw": ""}


@pytest.mark.parametrize("answer_", [
    lambda call_: 1 / 0, lambda call_: {"unknown": 1}, lambda call_: {"n": "x"},
    lambda call_: {"n": 2**70}, lambda call_: {"t": "x" * 40_000}])
def test_a_hook_that_fails_ends_its_call(answer_: Any) -> None:
    def model(c: Recorder) -> None:
        c.hook(answer_, sets="n", texts="t")
        tell(c, "-")

    bench = bench_of(compiled(model))
    bench.engine.schedule(np.zeros(2, dtype=np.int64))
    bench.run(0)
    bench.drain()
    assert bench.outcomes == {"user": 2}
    assert not bench.wire
    assert len(bench.engine.hook_failures) == 2
    bench.engine.check()


def test_a_hook_asks_again_and_again() -> None:
    def model(c: Recorder) -> None:
        c.set("n", 0)
        with c.loop(50):
            c.hook(lambda call_: {"n": int(call_["n"]) + 2}, sets="n")
        tell(c, "{n}")

    assert said(model) == "100"


def test_variables_are_not_called_as_fields_are() -> None:
    def model(c: Recorder) -> None:
        c.set("cseq", 1)
        tell(c, "-")

    with pytest.raises(ModelError, match="cseq is a field"):
        compiled(model)


def test_an_engine_wants_a_function_for_each_hook() -> None:
    def model(c: Recorder) -> None:
        c.hook(lambda call_: None)
        tell(c, "-")

    program = compiled(model)
    with pytest.raises(ValueError, match="0 functions for 1 hook"):
        Engine(program, local=LOCAL, target=PEER, **SIZES)
    with pytest.raises(ValueError, match="another program"):
        bench_of(program, shared=Shared((("run.n", "number"),), 1))


def test_no_reply_is_lost_when_many_are_long() -> None:
    def model(c: Recorder) -> None:
        c.hook(lambda _: {"long": "x" * 8000}, texts="long")
        tell(c, "-")

    bench = bench_of(compiled(model), max_instances=400, max_transactions=1600)
    bench.engine.schedule(np.zeros(300, dtype=np.int64))
    sent = bench.run(0)
    assert len(sent) == 300
    assert not bench.engine.hook_failures
    for one in sent:
        bench.feed(reply(one, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 300}


def test_a_hook_that_wants_to_exit_ends_its_call_only() -> None:
    def leave(_: HookCall) -> None:
        raise SystemExit(3)

    def model(c: Recorder) -> None:
        c.hook(leave)
        tell(c, "-")

    bench = bench_of(compiled(model))
    bench.engine.schedule(np.zeros(1, dtype=np.int64))
    bench.run(0)
    bench.drain()
    assert bench.outcomes == {"user": 1}
    assert isinstance(bench.engine.hook_failures[0][1], SystemExit)
