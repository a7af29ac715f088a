"""The compiled program: flat arrays that the engine reads, and the names that people read."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from siploadgen.core.program import (
    Capture,
    Compare,
    Extract,
    Field,
    MatcherKind,
    Op,
    OperandKind,
    Outcome,
    PseudoVariable,
    Share,
    TemplateKind,
)
from siploadgen.core.sip.tokens import HeaderId

INSN = np.dtype([("op", "u1"), ("flags", "u1"), ("a", "<u2"), ("b", "<u4"), ("c", "<i8")])
SEGMENT = np.dtype([("field", "u1"), ("spare", "u1"), ("arg", "<u2"), ("offset", "<u4"),
                    ("length", "<u4")])
TEMPLATE = np.dtype([("kind", "u1"), ("method", "u1"), ("status", "<u2"), ("flags", "<u2"),
                     ("count", "<u2"), ("first", "<u4"), ("body", "<u4"), ("ack", "<u2"),
                     ("cancel", "<u2"), ("method_offset", "<u4"), ("method_length", "<u4"),
                     ("supported_offset", "<u4"), ("supported_length", "<u4")])
MATCHER = np.dtype([("kind", "u1"), ("method", "u1"), ("leg", "u1"), ("spare", "u1"),
                    ("low", "<u2"), ("high", "<u2"), ("flags", "<u4")])
OPERAND = np.dtype([("kind", "u1"), ("spare", "u1", 7), ("value", "<i8"), ("p1", "<f8"),
                    ("p2", "<f8")])
ENTRY = np.dtype([("pc", "<u4"), ("role", "<u2"), ("flags", "<u2"), ("legs", "<u2"),
                  ("spare", "<u2"), ("weight", "<u4"), ("supported_offset", "<u4"),
                  ("supported_length", "<u4")])
SAMPLE = np.dtype("<i8")
ANSWER = np.dtype([("method", "u1"), ("spare", "u1"), ("entry", "<u2"), ("user_offset", "<u4"),
                   ("user_length", "<u4"), ("flags", "<u4")])

NO_TEMPLATE = 0xFFFF
ANY_LEG = 0xFF
LEGS_MAX = 8  # of one instance
GROUPS = 10  # of a pattern: the whole, and nine in brackets
# what the members of an instruction lead to
_OPERANDS: dict[int, dict[str, str]] = {
    Op.OP_END: {"a": "outcome"},
    Op.OP_SEND: {"a": "template"},
    Op.OP_AWAIT: {"b": "pc"},
    Op.OP_CASE: {"a": "matcher", "b": "pc"},
    Op.OP_PAUSE: {"b": "pc", "c": "operand"},
    Op.OP_JUMP: {"b": "pc"},
    Op.OP_JUMP_IF: {"a": "variable", "b": "pc"},
    Op.OP_CHANCE: {"b": "pc"},
    Op.OP_CLOCK_START: {"a": "clock"},
    Op.OP_CLOCK_STOP: {"a": "clock"},
    Op.OP_SET: {"a": "variable", "c": "operand"},
    Op.OP_ADD: {"a": "variable", "c": "operand"},
    Op.OP_MUL: {"a": "variable", "c": "operand"},
    Op.OP_EXTRACT: {"a": "variable", "b": "extract"},
    Op.OP_CREDENTIAL: {"a": "template", "b": "pc", "c": "template"},
    Op.OP_COUNT: {"a": "counter"},
    Op.OP_CHALLENGE_CHECK: {"a": "template", "b": "pc", "c": "template"},
    Op.OP_CAPTURE: {"a": "text"},
    Op.OP_HAS: {"a": "template", "b": "pc"},
    Op.OP_SAME: {"a": "text", "b": "pc", "c": "template"},
    Op.OP_ROUTE: {"a": "template", "b": "leg"},
    Op.OP_DATAGRAM: {"a": "template", "b": "leg"},
    Op.OP_BINDING: {"b": "leg"},
    Op.OP_LEAVE: {"b": "leg"},
    Op.OP_BIND: {"a": "variable"},
    Op.OP_SUB: {"a": "variable", "c": "operand"},
    Op.OP_TIMES: {"a": "variable", "c": "operand"},
    Op.OP_DIV: {"a": "variable", "c": "operand"},
    Op.OP_MOD: {"a": "variable", "c": "operand"},
    Op.OP_SHARE: {"b": "shared"},
    Op.OP_MATCH: {"a": "template", "b": "pc"},
    Op.OP_GROUP: {"b": "group"},
    Op.OP_HOOK: {"a": "hook", "b": "pc"},
}
_KINDS = {kinds: frozenset(map(int, kinds))
          for kinds in (Field, MatcherKind, OperandKind, TemplateKind)}
_PSEUDO = frozenset(int(item) for item in PseudoVariable)
_MAGIC = b"siploadgen program 1\n"
_ARRAYS = {"code": INSN, "templates": TEMPLATE, "segments": SEGMENT, "matchers": MATCHER,
           "operands": OPERAND, "entries": ENTRY, "answers": ANSWER, "samples": SAMPLE}

Array = NDArray[Any]


def _rows(table: Array) -> list[dict[str, Any]]:
    """Give the rows of a table as Python's numbers, which are far quicker to look at."""
    names = table.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in table.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What the engine executes. Two programs are equal when their digests are.

    `samples` are the numbers that operands draw from, `text` holds every literal; templates,
    matchers and so on refer to each other by index.
    `outcomes` are the scenario's own: (name, whether it counts as success), the first has the
    number OUTCOME_USER. `columns` are the data columns in the order of their numbers. `packages`
    are the event packages that are known, all when there are none. `registrar` has the settings of
    the bindings that the program keeps, none when it keeps none. `shared` are the variables of
    users (`user.NAME`) and of the run, each with "number" or "text". `hooks` are the functions that
    calls ask, each with the variables and the texts that it sees and may set, as `name=place`
    between blanks. `scenarios` names the entries.
    `sources` has the `file:line` that each instruction comes from.
    """

    code: Array
    templates: Array
    segments: Array
    matchers: Array
    operands: Array
    entries: Array
    answers: Array
    samples: Array
    text: bytes
    clocks: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    outcomes: tuple[tuple[str, bool], ...] = ()
    columns: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    registrar: tuple[tuple[str, int], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    hooks: tuple[tuple[str, str, str], ...] = ()
    scenarios: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    # names that the arrays refer to; what is only shown to people does not change the digest
    _NAMES: ClassVar[tuple[str, ...]] = ("clocks", "variables", "texts", "counters", "outcomes",
                                         "columns", "packages", "registrar", "shared", "hooks")

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 1:
                raise TypeError(f"{name}: {array.dtype} where {dtype} is needed")
            array.flags.writeable = False  # one copy serves every engine

    @property
    def methods(self) -> tuple[int, ...]:
        """Numbers (`core.sip.tokens.Method`) of the requests that it sends, without ACK, CANCEL."""
        kinds, methods = self.templates["kind"], self.templates["method"]
        requests = methods[kinds == TemplateKind.TEMPLATE_REQUEST]
        return tuple(int(method) for method in np.unique(requests))

    @property
    def pauses_ns(self) -> int:
        """Time that a call spends in pauses of a constant length, if it comes by all of them."""
        number = self.code["c"][self.code["op"] == Op.OP_PAUSE]
        operands = self.operands[number]
        constant = operands["kind"] == OperandKind.OPERAND_CONST
        return int(operands["value"][constant].sum())

    def step_name(self, pc: int) -> str:
        """Describe one instruction in a few words, for tables of steps."""
        from siploadgen.compile.listing import step_name

        return step_name(self, pc)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the arrays and the names that they refer to."""
        state = hashlib.sha256(_MAGIC)
        for name in _ARRAYS:
            data = getattr(self, name).tobytes()
            state.update(f"{name} {len(data)}\n".encode() + data)
        state.update(self.text)
        state.update(json.dumps([getattr(self, name) for name in self._NAMES]).encode())
        return state.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def outcome_name(self, number: int) -> str:
        """Name an outcome by its number in the engine's tables."""
        own = number - int(Outcome.OUTCOME_USER)
        if own >= 0:
            return self.outcomes[own][0]
        return Outcome(number).name.removeprefix("OUTCOME_").lower()

    def outcome_ok(self, number: int) -> bool:
        """Whether an outcome counts as success."""
        own = number - int(Outcome.OUTCOME_USER)
        return self.outcomes[own][1] if own >= 0 else number == int(Outcome.OUTCOME_SUCCEEDED)

    def to_bytes(self) -> bytes:
        """Write the whole program as octets, the same on every machine."""
        head: dict[str, Any] = {name: len(getattr(self, name)) for name in _ARRAYS}
        head["text"] = len(self.text)
        names = [f.name for f in fields(self) if f.name not in (*_ARRAYS, "text")]
        head["names"] = {name: getattr(self, name) for name in names}
        head["digest"] = self.digest
        line = json.dumps(head, separators=(",", ":")).encode() + b"\n"
        return _MAGIC + line + b"".join(getattr(self, name).tobytes() for name in _ARRAYS
                                        ) + self.text

    @classmethod
    def from_bytes(cls, data: bytes) -> "Program":
        """Read what `to_bytes` wrote; ValueError when the octets are no sound program."""
        if not data.startswith(_MAGIC):
            raise ValueError("not a siploadgen program, or one of another version")
        line, _, rest = data[len(_MAGIC):].partition(b"\n")
        try:
            head = json.loads(line)
            members: dict[str, Any] = {
                name: tuple(tuple(item) if isinstance(item, list) else str(item) for item in value)
                for name, value in head["names"].items()}
            at = 0
            for name, dtype in _ARRAYS.items():
                size = int(head[name]) * dtype.itemsize
                members[name] = np.frombuffer(rest[at:at + size], dtype, count=int(head[name]))
                at += size
            program = cls(text=rest[at:], **members)
            sound = program.digest == head["digest"]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"the program is damaged: {error}") from None
        if not sound:
            raise ValueError("the program is damaged: its digest does not fit its contents")
        program.check()
        return program

    def check(self) -> None:
        """Raise ValueError unless every index in the program leads somewhere.

        The engine follows indices without asking, so a program from elsewhere must pass here.
        """
        code = self.code
        sizes = {"pc": len(code), "template": len(self.templates), "matcher": len(self.matchers),
                 "operand": len(self.operands), "clock": len(self.clocks),
                 "variable": len(self.variables), "counter": len(self.counters),
                 "outcome": int(Outcome.OUTCOME_USER) + len(self.outcomes), "extract": len(Extract),
                 "column": len(self.columns), "text": len(self.texts), "leg": LEGS_MAX,
                 "header": int(HeaderId.HEADER_COUNT), "shared": len(self.shared),
                 "group": GROUPS, "hook": len(self.hooks)}

        def need(holds: bool, where: str, what: str) -> None:
            if not holds:
                raise ValueError(f"{where}: {what} leads nowhere")

        for pc, (op, flags, a, b, c) in enumerate(code.tolist()):
            where = f"instruction {pc}"
            need(op < int(Op.OP_COUNT_OF_OPS), where, "the opcode")
            if op == Op.OP_CHALLENGE_CHECK:
                c &= 0xFFFFFFFF  # noqa: PLW2901 - above it stands the life of a nonce
            for member, value in zip("abc", (a, b, c), strict=True):
                kind = _OPERANDS[op].get(member)
                if kind == "variable" and a in _PSEUDO and op == Op.OP_JUMP_IF:
                    continue
                need(kind is None or 0 <= value < sizes[kind], where, f"{member} ({kind})")
            if op in (Op.OP_AWAIT, Op.OP_PAUSE):
                cases = code["op"][pc + 1:pc + 1 + a]
                need(len(cases) == a and bool((cases == Op.OP_CASE).all()), where, "its cases")
                need(op == Op.OP_PAUSE or (c >= 0 and flags <= 1), where, "its time")
            if op == Op.OP_JUMP_IF:
                need(flags & ~Compare.CMP_OPERAND <= Compare.CMP_GE, where, "its comparison")
                need(not flags & Compare.CMP_OPERAND or 0 <= c < sizes["operand"], where, "c")
            if op == Op.OP_MATCH:
                groups = code["op"][pc + 1:pc + 1 + flags]
                need(len(groups) == flags and bool((groups == Op.OP_GROUP).all()), where,
                     "its groups")
            if op == Op.OP_GROUP:
                need(a < sizes["variable" if flags else "text"], where, "what it fills")
            if op == Op.OP_SHARE:
                text = flags >= Share.SHARE_READ_TEXT
                need(flags < len(Share) and a < sizes["text" if text else "variable"], where, "a")
                need((self.shared[b][1] == "text") is text, where, "its variable")
            if op == Op.OP_SEND:
                need(b < LEGS_MAX, where, "its leg")
            if op == Op.OP_CAPTURE:
                need(flags < len(Capture) and self._capture_leads(flags, c), where, "what it takes")
            if op == Op.OP_EXTRACT and b == Extract.EXTRACT_NUMBER:
                need(0 <= c < sizes["header"], where, "its header")
            if op == Op.OP_HAS:
                need(c >= 0 and c & 0xFF < sizes["header"] and c >> 8 < sizes["template"], where,
                     "its header")
            if op == Op.OP_EXTRACT and b == Extract.EXTRACT_PARAMETER:
                need(self._capture_leads(Capture.CAPTURE_PARAMETER, c), where, "its parameter")
        # the last instruction must not run on into nothing
        need(len(code) > 0 and code["op"][-1] in (Op.OP_END, Op.OP_JUMP), "the code", "its end")
        self._check_tables(need)

    def _capture_leads(self, what: int, c: int) -> bool:
        """Whether the last operand of a capture leads somewhere."""
        header, text = c & 0xFF, c >> 8
        match Capture(what):
            case Capture.CAPTURE_TEXT | Capture.CAPTURE_ESCAPED:
                return 0 <= c < len(self.templates)
            case Capture.CAPTURE_DIALOG:
                return 0 <= c < LEGS_MAX
            case Capture.CAPTURE_HEADER | Capture.CAPTURE_URI | Capture.CAPTURE_LIST:
                return 0 <= c < HeaderId.HEADER_COUNT
            case (Capture.CAPTURE_URI_HEADER | Capture.CAPTURE_PARAMETER
                  | Capture.CAPTURE_OWN):
                return c >= 0 and header < HeaderId.HEADER_COUNT and text < len(self.templates)
            case Capture.CAPTURE_RANKED:
                return header < HeaderId.HEADER_COUNT and text > 0
            case _:
                return True

    def _check_tables(self, need: Callable[[bool, str, str], None]) -> None:
        length = len(self.text)
        for number, row in enumerate(_rows(self.templates)):
            where = f"template {number}"
            need(row["kind"] in _KINDS[TemplateKind], where, "its kind")
            need(row["first"] + row["count"] <= len(self.segments), where, "a segment")
            need(row["body"] <= row["count"], where, "its body")
            need(row["method_offset"] + row["method_length"] <= length, where, "its method")
            need(row["supported_offset"] + row["supported_length"] <= length, where,
                 "its option tags")
            for companion in ("ack", "cancel"):
                need(row[companion] == NO_TEMPLATE or row[companion] < len(self.templates), where,
                     companion)
        limits = {int(Field.FIELD_VARIABLE): len(self.variables),
                  int(Field.FIELD_FILL): len(self.variables),
                  int(Field.FIELD_COLUMN): len(self.columns),
                  int(Field.FIELD_TEXT): len(self.texts)}
        for number, (kind, _, arg, offset, size) in enumerate(self.segments.tolist()):
            where = f"segment {number}"
            need(kind in _KINDS[Field], where, "its field")
            need(arg < limits.get(kind, arg + 1), where, "its argument")
            need(offset + size <= length, where, "its text")
        for number, row in enumerate(_rows(self.matchers)):
            need(row["kind"] in _KINDS[MatcherKind], f"matcher {number}", "its kind")
        limits = {int(OperandKind.OPERAND_VARIABLE): len(self.variables),
                  int(OperandKind.OPERAND_COLUMN): len(self.columns)}
        for number, row in enumerate(_rows(self.operands)):
            kind = int(row["kind"])
            need(kind in _KINDS[OperandKind], f"operand {number}", "its kind")
            drawn = kind == OperandKind.OPERAND_SAMPLES
            need(not drawn or (1 <= row["p1"] <= len(self.samples)
                               and 0 <= row["value"] <= len(self.samples) - row["p1"]),
                 f"operand {number}", "its samples")
            pseudo = kind == OperandKind.OPERAND_VARIABLE and int(row["value"]) in _PSEUDO
            need(kind not in limits or pseudo or 0 <= row["value"] < limits[kind],
                 f"operand {number}", "its value")
        need(len(self.scenarios) == len(self.entries) > 0, "the entries", "a name")
        for number, row in enumerate(_rows(self.entries)):
            where = f"entry {number}"
            need(row["pc"] < len(self.code), where, "its pc")
            need(row["role"] <= 1 and 1 <= row["legs"] <= LEGS_MAX, where, "its role or legs")
            need(row["supported_offset"] + row["supported_length"] <= length, where,
                 "its option tags")
        for number, row in enumerate(_rows(self.answers)):
            where = f"answer {number}"
            need(row["entry"] < len(self.entries), where, "its entry")
            need(row["user_offset"] + row["user_length"] <= length, where, "its user")
