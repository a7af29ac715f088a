"""The container: layout, digest, octets, and what it refuses."""

import re
from dataclasses import replace

import numpy as np
import pytest

from siploadgen.compile import program as container
from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core import program as core
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.python import call

TARGET = "sip:127.0.0.1:5060"


@pytest.mark.parametrize(("name", "dtype"), [
    ("Insn", container.INSN), ("Segment", container.SEGMENT), ("Template", container.TEMPLATE),
    ("Matcher", container.MATCHER), ("Operand", container.OPERAND), ("Entry", container.ENTRY),
    ("Answer", container.ANSWER)])
def test_numpy_and_c_lay_records_out_alike(name, dtype):
    layout = core.layouts()[name]
    assert layout.pop("") == (0, dtype.itemsize)
    assert layout == {field: (dtype.fields[field][1], dtype.fields[field][0].itemsize)
                      for field in dtype.names}


def test_every_layout_has_a_dtype():
    assert set(core.layouts()) == {"Insn", "Segment", "Template", "Matcher", "Operand", "Entry",
                                   "Answer"}


def test_equal_scenarios_have_equal_digests():
    one, two = (build_caller("call", target_uri=TARGET, settings={"hold": "2s"}) for _ in "ab")
    assert one.digest == two.digest
    assert one == two
    assert len(one.digest) == 64


def test_the_digest_knows_what_matters_and_nothing_else():
    def body(c):
        c.send("MESSAGE", start="a")
        c.expect(200, stop="a")

    def other_clock(c):
        c.send("MESSAGE", start="b")
        c.expect(200, stop="b")

    base = compile_scenarios(call()(body).record(target=TARGET))
    assert compile_scenarios(call(name="renamed")(body).record(target=TARGET)) == base
    assert compile_scenarios(call()(other_clock).record(target=TARGET)) != base
    assert compile_scenarios(call()(body).record(target="sip:h")) != base


def test_octets_and_back():
    for program in (build_caller("register", target_uri=TARGET, settings={"refreshes": "2"}),
                    build_answerer(reject="486:3%", answer_after="lognormal(200ms,0.4)")):
        again = Program.from_bytes(program.to_bytes())
        assert again == program
        assert again.to_bytes() == program.to_bytes()
        for name in ("clocks", "variables", "counters", "outcomes", "columns", "scenarios",
                     "sources"):
            assert getattr(again, name) == getattr(program, name)


def test_damaged_octets_are_refused():
    data = build_answerer().to_bytes()
    for broken in (b"", b"x" + data, data[:40], data[:-1], data + b"x",
                   data.replace(b'"code":', b'"cide":'), data.replace(b"Server", b"SERVER")):
        with pytest.raises(ValueError, match="program"):
            Program.from_bytes(broken)


def test_arrays_are_read_only():
    program = build_answerer()
    with pytest.raises(ValueError, match="read-only"):
        program.code["a"][0] = 1


def test_wrong_dtypes_are_refused():
    with pytest.raises(TypeError, match="code"):
        replace(build_answerer(), code=np.zeros(1, np.uint8))


BREAKS = [  # table, row, member, value
    ("code", 0, "op", 200), ("code", 0, "a", 999), ("code", 2, "b", 9999), ("code", 2, "a", 9999),
    ("code", 3, "a", 999), ("code", -1, "op", core.Op.OP_SEND), ("code", 0, "b", 9999),
    ("templates", 0, "count", 60_000), ("templates", 0, "first", 9999),
    ("templates", 0, "ack", 999),
    ("templates", 0, "kind", 77), ("templates", 0, "body", 999),
    ("templates", 0, "method_length", 99999), ("segments", 0, "field", 99),
    ("segments", 0, "length", 99999), ("matchers", 0, "kind", 99), ("entries", 0, "pc", 99999),
    ("entries", 0, "legs", 9), ("entries", 0, "role", 2), ("answers", 0, "entry", 99),
    ("answers", 0, "user_length", 99999)]


@pytest.mark.parametrize(("table", "row", "member", "value"), BREAKS)
def test_indices_that_lead_nowhere_are_found(table, row, member, value):
    program = build_answerer()
    program.check()
    array = getattr(program, table).copy()
    array[member][row] = value
    with pytest.raises(ValueError, match="leads nowhere"):
        replace(program, **{table: array}).check()


@pytest.mark.parametrize(("op", "member", "value"), [
    (core.Op.OP_SET, "a", 90), (core.Op.OP_SET, "c", 90), (core.Op.OP_PAUSE, "c", -1),
    (core.Op.OP_JUMP_IF, "flags", 6), (core.Op.OP_EXTRACT, "b", 90),
    (core.Op.OP_CREDENTIAL, "c", 99), (core.Op.OP_CLOCK_START, "a", 9), (core.Op.OP_END, "a", 17)])
def test_operands_are_checked_by_instruction(op, member, value):
    program = build_caller("register", target_uri=TARGET, settings={"refreshes": "2"})
    code = program.code.copy()
    code[member][list(code["op"]).index(op)] = value
    with pytest.raises(ValueError, match="leads nowhere"):
        replace(program, code=code).check()


def test_arguments_of_fields_and_operands_are_checked():
    program = build_caller("register", target_uri=TARGET, settings={"refreshes": "2"})
    for field in (core.Field.FIELD_COLUMN, core.Field.FIELD_VARIABLE):
        segments = program.segments.copy()
        segments["arg"][list(segments["field"]).index(field)] = 50
        with pytest.raises(ValueError, match="argument leads nowhere"):
            replace(program, segments=segments).check()
    operands = program.operands.copy()
    operands["value"][list(operands["kind"]).index(core.OperandKind.OPERAND_VARIABLE)] = 50
    with pytest.raises(ValueError, match="value leads nowhere"):
        replace(program, operands=operands).check()


def test_outcomes_have_names_and_a_meaning():
    program = build_answerer(reject="486:1%")
    assert program.outcome_name(0) == "succeeded"
    assert program.outcome_name(core.Outcome.OUTCOME_NO_ANSWER) == "no_answer"
    assert program.outcome_name(16) == "refused"
    assert program.outcome_ok(0)
    assert program.outcome_ok(16)
    assert not program.outcome_ok(1)


def test_every_instruction_has_a_name_and_a_source():
    program = build_caller("call", target_uri=TARGET)
    assert len(program.sources) == len(program.code)
    assert all(program.step_name(pc) for pc in range(len(program.code)))
    assert program.step_name(2) == "send INVITE"
    assert all(re.match(r"[a-z_]+\.py:\d+$", source) for source in program.sources)
