"""Broken programs: refused with a ValueError or run to an end, never a crash."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core.engine import Engine
from siploadgen.core.program import Op, OperandKind, TemplateKind
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    LOCAL,
    MS,
    NEVER,
    PEER,
    SECOND,
    TARGET,
    Bench,
    ask,
    engine_of,
    reply,
    scenario,
    within,
)

TABLES = ("code", "templates", "segments", "matchers", "operands", "entries", "answers")
PROGRAMS = {
    "call": build_caller("call", target_uri=TARGET, settings={
        "hold": "exponential(2s)", "user": "bob", "ring_limit": "2s"}),
    "register": build_caller("register", target_uri=TARGET, settings={"refreshes": "2"}),
    "answer": build_answerer(settings={"ring": "1s", "limit": "3s", "min_expires": "5"},
                             challenge="md5"),
    "answer-plain": build_answerer(reject="486:20%,no_answer:20%"),
}


def everything(c: Recorder) -> None:
    """The instructions that no built-in model has."""
    c.add("run.calls", 1, into="number")
    c.options(headers={"X-Number": "{number} {user.seen} {user}"})
    c.expect("2xx")
    c.find("([0-9]+)", "CSeq", into="user.seen", numbers="user.seen")
    with c.if_found("o=(.*)", "body", into="owner"):
        c.text("run.owner", "{owner}")
    c.set("left", 7)
    for how in (c.sub, c.mul, c.div, c.mod):
        how("left", c.v.number)
    with c.if_(c.v.left < c.v.number):
        c.hook(lambda _: {"left": 1}, sets="left")


PROGRAMS["language"] = compile_scenarios(call(name="language", columns=("user",))(
    everything).record(target=TARGET, settings={}))


def build(program: Program) -> Bench:
    rows = generated_users(program.columns, 5) if program.columns else None
    return Bench(Engine(program, local=LOCAL, target=PEER, rows=rows, max_instances=20,
                        max_transactions=60, run_id=0xA0A0A0A0, tape=1 << 18,
                        hooks=[lambda *_: {}] * len(program.hooks)))


def play(bench: Bench) -> None:
    """Calls, requests and answers of every kind, then an end by force."""
    bench.engine.schedule(np.arange(6, dtype=np.int64) * SECOND // 2)
    answered = 0
    for number, method in enumerate(["INVITE", "REGISTER", "OPTIONS", "INVITE", "BYE", "MESSAGE"]):
        bench.feed(ask(method, branch=f"z9hG4bK{number}", call_id=f"c{number}",
                       headers=["Expires: 9"]))
    for _ in range(300):
        while answered < len(bench.wire) and answered < 300:
            one = bench.wire[answered]
            answered += 1
            if b"\r\nCSeq: " not in one.data or one.data.count(b"\r\nVia: ") < 1 \
                    or one.data.count(b"\r\nCall-ID: ") != 1:
                continue                # a broken template makes broken messages
            try:
                name, method = one.name, one.method
                if name.startswith("200/INVITE"):
                    bench.feed(within(one, "ACK", cseq=one.cseq, branch=f"z9hG4bKa{answered}"))
                    bench.feed(within(one, "BYE", cseq=one.cseq + 1, branch=f"z9hG4bKb{answered}"))
                elif not one.status and name != "ACK":
                    statuses = {"INVITE": (180, 401, 200), "REGISTER": (401, 200)}
                    for status in statuses.get(method, (200,)):
                        bench.feed(reply(one, status, headers=[
                            'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"']))
            except (AssertionError, IndexError, ValueError, UnicodeDecodeError, TypeError):
                continue                # the scripted peer cannot read it either
        at = bench.engine.next_event()
        if at == NEVER or at > bench.now + 100 * SECOND:
            break
        bench.now = max(bench.now, at)
        bench.engine.advance(bench.now)
        bench._take()
    bench.engine.check()
    bench.engine.stop_starts()
    bench.engine.hang_up()
    bench.engine.advance(bench.now)
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.engine.finish()
    bench.engine.taped([one for failure in bench.engine.failures() for one in failure["call_ids"]])
    bench.engine.check()
    assert not any(bench.engine.census().values()), bench.engine.census()


def changed(program: Program, table: str, row: int, column: int, value: int) -> Program:
    """The program with one cell overwritten."""
    array = getattr(program, table).copy()
    if not len(array):
        return program
    names = array.dtype.names
    name = names[column % len(names)]
    cell = array[name].dtype
    octets = (value % 2 ** (8 * cell.itemsize)).to_bytes(cell.itemsize, "little") \
        if cell.shape == () else bytes(cell.itemsize)
    array[name][row % len(array)] = np.frombuffer(octets, cell.base)[0]
    return dataclasses.replace(program, **{table: array})


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_sound_program_passes(name: str) -> None:
    play(build(PROGRAMS[name]))


NUMBERS = st.one_of(st.integers(0, 40), st.sampled_from([
    255, 0xFFFF, 0xFFFE, 0xFFFD, 2**31, 2**32 - 1, 2**63, 2**63 - 1, 2**64 - 1, 100, 699, 700]),
    st.integers(0, 2**64 - 1))


@given(name=st.sampled_from(sorted(PROGRAMS)), changes=st.lists(st.tuples(
    st.sampled_from(TABLES), st.integers(0, 400), st.integers(0, 12), NUMBERS),
    min_size=1, max_size=3))
@settings(max_examples=400)
def test_a_damaged_program_is_refused_or_ends(name: str, changes: list[tuple[Any, ...]]) -> None:
    program = PROGRAMS[name]
    for table, row, column, value in changes:
        program = changed(program, table, row, column, value)
    try:
        bench = build(program)
    except ValueError:
        return
    play(bench)


@given(name=st.sampled_from(sorted(PROGRAMS)), table=st.sampled_from(TABLES),
       keep=st.floats(0, 1))
@settings(max_examples=60)
def test_a_program_cut_short_is_refused_or_ends(name: str, table: str, keep: float) -> None:
    array = getattr(PROGRAMS[name], table)
    program = dataclasses.replace(PROGRAMS[name], **{table: array[:int(len(array) * keep)].copy()})
    try:
        bench = build(program)
    except ValueError:
        return
    play(bench)


@pytest.mark.parametrize("column", ["supported_offset", "supported_length"])
@pytest.mark.parametrize("table", ["templates", "entries"])
def test_option_tags_beyond_the_text_are_refused(table: str, column: str) -> None:
    damaged = getattr(PROGRAMS["call"], table).copy()
    damaged[column][0] = 2**32 - 1
    with pytest.raises(ValueError, match="option tags beyond the table"):
        build(dataclasses.replace(PROGRAMS["call"], **{table: damaged}))


def test_text_cut_short_is_refused() -> None:
    program = PROGRAMS["call"]
    with pytest.raises(ValueError, match="beyond the table"):
        build(dataclasses.replace(program, text=program.text[:100]))


def cell(program: Program, table: str, where: Any, **values: int) -> Program:
    array = getattr(program, table).copy()
    for name, value in values.items():
        array[name][where] = value
    return dataclasses.replace(program, **{table: array})


BROKEN = "leads nowhere|kind|samples|status|companion|beyond|op |runs off|broken"


def refused(table: str, where: Any, **values: int) -> None:
    with pytest.raises(ValueError, match=BROKEN):
        build(cell(PROGRAMS["register"], table, where, **values))


def test_each_index_is_checked() -> None:
    program = PROGRAMS["register"]
    code, templates = program.code, program.templates
    first = {op: int(np.flatnonzero(code["op"] == op)[0]) for op in Op if op in code["op"]}
    refused("code", 0, op=int(Op.OP_COUNT_OF_OPS))
    refused("code", first[Op.OP_SEND], a=len(templates))
    refused("code", first[Op.OP_SEND], b=1)                  # it has one leg
    refused("code", first[Op.OP_AWAIT], a=len(code))
    refused("code", first[Op.OP_AWAIT], c=-1)
    refused("code", first[Op.OP_AWAIT], flags=2)
    refused("code", first[Op.OP_AWAIT], flags=1, c=100_001)
    refused("code", first[Op.OP_CASE], b=len(code))
    refused("code", first[Op.OP_CASE], b=first[Op.OP_CASE])  # a CASE is nothing to run
    refused("code", first[Op.OP_CASE], a=len(program.matchers))
    refused("code", first[Op.OP_JUMP], b=2**32 - 1)
    refused("code", first[Op.OP_JUMP_IF], flags=6)
    refused("code", first[Op.OP_JUMP_IF], a=len(program.variables))
    refused("code", first[Op.OP_SET], a=0xFFFF)
    refused("code", first[Op.OP_SET], c=len(program.operands))
    refused("code", first[Op.OP_EXTRACT], b=8)
    refused("code", first[Op.OP_CREDENTIAL], a=0)            # no text
    refused("code", first[Op.OP_END], a=48)
    refused("code", -1, op=int(Op.OP_CLOCK_STOP), a=0)       # runs off the end
    refused("templates", 0, first=2**32 - 1, count=1)        # wraps round in 32 bits
    refused("templates", 0, kind=6)
    refused("templates", 0, method=15)
    refused("templates", 0, ack=0)                           # a request is no ACK
    refused("templates", 0, kind=int(TemplateKind.TEMPLATE_RESPONSE), status=99)
    refused("segments", 0, field=22)
    refused("segments", 0, offset=2**32 - 1)
    refused("operands", 0, kind=int(OperandKind.OPERAND_SAMPLES) + 1)
    refused("operands", 0, kind=int(OperandKind.OPERAND_SAMPLES))
    refused("operands", 0, kind=int(OperandKind.OPERAND_T1), value=100_001)
    refused("entries", 0, pc=len(code))
    refused("entries", 0, legs=0)
    refused("entries", 0, legs=9)


def test_a_program_that_never_waits_is_ended() -> None:
    program = PROGRAMS["call"]
    code = program.code.copy()
    code[0] = (int(Op.OP_JUMP), 0, 0, 0, 0)
    bench = engine_of(dataclasses.replace(program, code=code))
    bench.engine.schedule(np.zeros(3, dtype=np.int64))
    bench.run(0)
    assert bench.outcomes == {"no_resource": 3}
    bench.drain()


@pytest.mark.parametrize("options", [
    {"max_instances": 0}, {"max_transactions": 0}, {"max_instances": 2**24}, {"engine_id": 256},
    {"local": ("x" * 70, 5060)}, {"target": ("name.example.com", 5060)}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"max_|engine_id|too long|numeric|\d"):
        Engine(PROGRAMS["call"], **{"local": LOCAL, "target": PEER, **options})


@pytest.mark.parametrize("linger", [-1, 0])
def test_an_answer_larger_than_a_datagram_leaks_nothing(linger: int) -> None:
    program = PROGRAMS["answer-plain"]
    segments = program.segments.copy()
    literal = np.flatnonzero(segments["field"] == 0)
    text = b"x" * 60_000
    for number, row in enumerate(program.templates):
        if row["kind"] == TemplateKind.TEMPLATE_RESPONSE and row["method"] == 6:
            inside = [i for i in literal if row["first"] <= i < row["first"] + row["count"]]
            for i in inside:
                segments["offset"][i], segments["length"][i] = len(program.text), len(text)
            assert inside, number
    bench = engine_of(dataclasses.replace(program, segments=segments, text=program.text + text),
                      linger=linger)
    bench.feed(ask("OPTIONS"))
    assert bench.count("oversize") >= 1
    assert bench.answered == {"no_resource": 1}
    bench.drain()


@pytest.mark.parametrize("t1_ms", [500, 20])
def test_waits_pauses_and_variables_are_measured_in_t1(t1_ms: int) -> None:
    def body(c: Recorder) -> None:
        c.set("limit", "4*T1")
        c.pause("2*T1")
        c.pause(c.v.limit)
        c.options()
        with c.expect(200, within="10*T1").on_late():
            c.end("late")

    bench = scenario(body, t1=t1_ms * MS)
    bench.engine.schedule(np.array([0], dtype=np.int64))
    asked = bench.run(6 * t1_ms * MS)[0]
    assert (asked.name, asked.at) == ("OPTIONS", 6 * t1_ms * MS)
    bench.run(16 * t1_ms * MS - 1)
    assert bench.outcomes == {}
    bench.run(16 * t1_ms * MS)
    assert sum(bench.outcomes.values()) == 1
    bench.drain()
