"""Templates of the built-in models against a join of their segments; the room; the numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.compile.program import Program
from siploadgen.core.program import Field, TemplateKind
from siploadgen.core.sip.stamp import Stamper
from siploadgen.load.rows import Rows, rows_from_columns
from siploadgen.model.builtin import build_answerer, build_caller

TARGET = "sip:service@192.0.2.1:5060"
USER = ("user", "password")
PROGRAMS = {
    "call": build_caller("call", target_uri=TARGET),
    "call-users": build_caller("call", target_uri=TARGET, columns=USER, settings={"sdp": "g729"}),
    "register": build_caller("register", target_uri=TARGET,
                             settings={"refreshes": "2", "domain": "example.org"}),
    "options": build_caller("options", target_uri=TARGET, settings={"user": "alice"}),
    "answer": build_answerer(reject="486:3%,no_answer:5%", challenge="sha-256",
                             settings={"min_expires": "60", "limit": "3s"}),
    "answer-hangs-up": build_answerer(settings={"callee_hangs_up": "yes", "early_media": "yes"}),
}
CASES = [(name, number) for name, program in PROGRAMS.items()
         for number in range(len(program.templates))]
COMPUTED = (Field.FIELD_LITERAL, Field.FIELD_COLUMN, Field.FIELD_VARIABLE,
            Field.FIELD_CONTENT_LENGTH, Field.FIELD_FILL)
MADE_UP = {int(kind): b"<%s>" % (kind.name.encode() * (1 + kind % 3))
           for kind in Field if kind not in COMPUTED}  # FIELD_TEXT: of every text variable
INT64 = st.integers(-2**63, 2**63 - 1)


def joined(program: Program, number: int, values: dict[int, bytes], rows: Rows | None = None,
           row: int = 0, variables: list[int] | None = None) -> bytes:
    """What a template is, read off its segments one by one."""
    template = program.templates[number]
    first, count, body = (int(template[name]) for name in ("first", "count", "body"))

    def one(index: int) -> bytes:
        kind, _, arg, offset, length = program.segments[index].tolist()
        if kind == Field.FIELD_LITERAL:
            return program.text[offset:offset + length]
        if kind == Field.FIELD_COLUMN:
            assert rows is not None
            return rows.cell(arg, row)
        if kind == Field.FIELD_VARIABLE:
            return b"%d" % (variables[arg] if variables else 0)
        if kind == Field.FIELD_CONTENT_LENGTH:
            return b"%d" % sum(len(one(k)) for k in range(first + body, first + count))
        return values[kind]

    return b"".join(map(one, range(first, first + count)))


def users(program: Program, count: int = 3) -> Rows | None:
    """Rows with cells of every length from none up."""
    if not program.columns:
        return None
    return rows_from_columns(program.columns, [[name * row for row in range(count)]
                                               for name in program.columns])


def with_segments(segments: list[tuple[int, int, bytes]], body: int,
                  base: Program = PROGRAMS["call"]) -> Program:
    """One template of (field, arg, literal), `body` segments before its body."""
    table = np.zeros(len(segments), base.segments.dtype)
    text = b""
    for index, (kind, arg, literal) in enumerate(segments):
        table[index] = (kind, 0, arg, len(text), len(literal))
        text += literal
    templates = base.templates[:1].copy()
    templates["first"], templates["count"], templates["body"] = 0, len(segments), body
    return replace(base, templates=templates, segments=table, text=text,
                   variables=("v", "w"), columns=("user",))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_template_is_the_join_of_its_segments(name: str, number: int) -> None:
    program = PROGRAMS[name]
    rows = users(program)
    stamper = Stamper(program, rows)
    variables = [-7 * 10**k for k in range(len(program.variables))]
    for row in range(rows.count if rows else 1):
        right = joined(program, number, MADE_UP, rows, row, variables)
        assert stamper.stamp(number, MADE_UP, row=row, variables=variables) == right
        assert stamper.repeat(number, MADE_UP, 3, row=row, variables=variables) == len(right)
        head, blank, body = right.partition(b"\r\n\r\n")
        if program.templates[number]["kind"] != TemplateKind.TEMPLATE_TEXT:
            length = re.search(rb"\r\nContent-Length: (\d+)$", head)
            assert blank
            assert length is not None
            assert int(length[1]) == len(body)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_needs_are_the_fields_of_the_segments(name: str, number: int) -> None:
    program = PROGRAMS[name]
    first, count = (int(program.templates[number][word]) for word in ("first", "count"))
    used = set(program.segments["field"][first:first + count].tolist())
    stamper = Stamper(program, users(program))
    assert stamper.needs(number) == sum(1 << kind for kind in used)
    for kind in used - set(COMPUTED):
        values = {key: value for key, value in MADE_UP.items() if key != kind}
        with pytest.raises(ValueError, match=f"no value for {Field(kind).name}$"):
            stamper.stamp(number, values)


@pytest.mark.parametrize("name", PROGRAMS)
def test_too_little_room_at_every_length(name: str) -> None:
    program = PROGRAMS[name]
    rows = users(program)
    stamper = Stamper(program, rows)
    for number in range(len(program.templates)):
        right = joined(program, number, MADE_UP, rows, 0)
        assert stamper.stamp(number, MADE_UP, room=len(right)) == right
        for room in range(len(right)):
            with pytest.raises(ValueError, match="room"):
                stamper.stamp(number, MADE_UP, room=room)


def test_the_room_of_a_datagram() -> None:
    program = with_segments([(Field.FIELD_ECHO, 0, b""), (Field.FIELD_LITERAL, 0, b"\r\n")], 2)
    stamper = Stamper(program)
    fits = {int(Field.FIELD_ECHO): bytes(65_505)}
    assert len(stamper.stamp(0, fits)) == stamper.repeat(0, fits, 1) == 65_507
    for beyond in (65_506, 65_507, 65_508, 200_000):
        values = {int(Field.FIELD_ECHO): bytes(beyond)}
        with pytest.raises(ValueError, match="65507 octets of room"):
            stamper.stamp(0, values)
        with pytest.raises(ValueError, match="65507 octets of room"):
            stamper.repeat(0, values, 1)


@given(INT64, INT64)
def test_variables_of_any_size_and_sign(v: int, w: int) -> None:
    program = with_segments([
        (Field.FIELD_VARIABLE, 1, b""), (Field.FIELD_LITERAL, 0, b" "),
        (Field.FIELD_CONTENT_LENGTH, 0, b""), (Field.FIELD_LITERAL, 0, b"\r\n\r\n"),
        (Field.FIELD_VARIABLE, 0, b"")], 4)
    stamper = Stamper(program)
    expected = f"{w} {len(str(v))}\r\n\r\n{v}".encode()
    assert stamper.stamp(0, {}, variables=[v, w], room=len(expected)) == expected
    with pytest.raises(ValueError, match="room"):
        stamper.stamp(0, {}, variables=[v, w], room=len(expected) - 1)


@pytest.mark.parametrize("value", [0, 9, 10, -1, -9, -10, 99, 100, 2**32 - 1, 2**32, -2**32,
                                   10**18, 10**18 - 1, 2**63 - 1, -2**63, 1 - 2**63])
def test_variables_at_their_edges(value: int) -> None:
    stamper = Stamper(with_segments([(Field.FIELD_VARIABLE, 0, b"")], 1))
    assert stamper.stamp(0, {}, variables=[value, 0]) == str(value).encode()
    assert stamper.stamp(0, {}) == b"0"


SEGMENTS = st.lists(st.one_of(
    st.tuples(st.just(int(Field.FIELD_LITERAL)), st.just(0), st.binary(max_size=12)),
    st.tuples(st.sampled_from(sorted(MADE_UP)), st.just(0), st.just(b"")),
    st.tuples(st.just(int(Field.FIELD_VARIABLE)), st.integers(0, 1), st.just(b"")),
    st.tuples(st.just(int(Field.FIELD_COLUMN)), st.just(0), st.just(b"")),
), max_size=12)


@settings(max_examples=200)
@given(SEGMENTS, SEGMENTS, st.dictionaries(st.sampled_from(sorted(MADE_UP)),
                                           st.binary(max_size=1100)),
       st.lists(INT64, min_size=2, max_size=2), st.integers(0, 2), st.data())
def test_any_template(head: list[tuple[int, int, bytes]], body: list[tuple[int, int, bytes]],
                      own: dict[int, bytes], variables: list[int], row: int,
                      data: st.DataObject) -> None:
    """The length of the body, whose parts are all variable, stands anywhere in the head."""
    at = data.draw(st.integers(0, len(head)))
    head = [*head[:at], (int(Field.FIELD_CONTENT_LENGTH), 0, b""), *head[at:]]
    program = with_segments([*head, *body], len(head))
    rows = users(program)
    values = MADE_UP | own
    right = joined(program, 0, values, rows, row, variables)
    stamper = Stamper(program, rows)
    assert stamper.stamp(0, values, row=row, variables=variables, room=len(right)) == right
    room = data.draw(st.integers(0, len(right) - 1))
    with pytest.raises(ValueError, match="room"):
        stamper.stamp(0, values, row=row, variables=variables, room=room)


def test_nothing_to_write_is_no_lack_of_room() -> None:
    stamper = Stamper(with_segments([(Field.FIELD_ROUTES, 0, b"")], 1))
    assert stamper.stamp(0, {Field.FIELD_ROUTES: b""}, room=0) == b""
    assert stamper.repeat(0, {Field.FIELD_ROUTES: b""}, 2) == 0


def test_what_the_door_refuses() -> None:
    program = PROGRAMS["call-users"]
    rows = users(program)
    stamper = Stamper(program, rows)
    for number in (-1, len(program.templates), 2**32, 2**70):
        for refused in (stamper.needs, lambda n: stamper.stamp(n, MADE_UP),
                        lambda n: stamper.repeat(n, MADE_UP, 1)):
            with pytest.raises(ValueError, match="the program has"):
                refused(number)
    named = next(number for number in range(len(program.templates))
                 if stamper.needs(number) >> Field.FIELD_COLUMN & 1)
    for row in (-1, 3, 2**32):
        with pytest.raises(ValueError, match="there are 3"):
            stamper.stamp(named, MADE_UP, row=row)
    with pytest.raises(ValueError, match="there are 0"):
        Stamper(program).stamp(named, MADE_UP)
    with pytest.raises(ValueError, match="at least once"):
        stamper.repeat(0, MADE_UP, 0)
    for key in (-1, max(Field) + 1, 32, 99, 2**70):
        with pytest.raises(ValueError, match="no Field"):
            stamper.stamp(0, MADE_UP | {key: b"x"})
    with pytest.raises(ValueError, match="columns"):
        Stamper(program, rows_from_columns(("other",), [["x"]]))
    assert rows is not None
    with pytest.raises(ValueError, match="broken offsets"):
        Stamper(program, replace(rows, offsets=[ends[::-1] for ends in rows.offsets]))
    with pytest.raises(ValueError, match="1 variables: the program has 2"):
        Stamper(with_segments([(Field.FIELD_VARIABLE, 0, b"")], 1)).stamp(0, {}, variables=[1])


@pytest.mark.parametrize(("table", "member", "value"), [
    ("templates", "first", 2**32 - 1), ("templates", "count", 2**16 - 1),
    ("templates", "body", 2**32 - 1), ("segments", "field", max(Field) + 1),
    ("segments", "offset", 2**32 - 1), ("segments", "length", 2**32 - 1),
])
def test_a_broken_program_is_refused(table: str, member: str, value: int) -> None:
    program = PROGRAMS["call"]
    broken = getattr(program, table).copy()
    broken[member][0] = value
    with pytest.raises(ValueError, match=r"beyond the table|leads nowhere"):
        Stamper(replace(program, **{table: broken}))


@pytest.mark.parametrize("kind", [Field.FIELD_VARIABLE, Field.FIELD_COLUMN])
def test_a_number_that_the_program_lacks_is_refused(kind: Field) -> None:
    with pytest.raises(ValueError, match="leads nowhere"):
        Stamper(with_segments([(kind, 2, b"")], 1))
