"""The compiled program: flat arrays that the engine reads, and the names that people read."""

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from siploadgen.core.program import Outcome

INSN = np.dtype([("op", "u1"), ("flags", "u1"), ("a", "<u2"), ("b", "<u4"), ("c", "<i8")])
SEGMENT = np.dtype([("field", "u1"), ("spare", "u1"), ("arg", "<u2"), ("offset", "<u4"),
                    ("length", "<u4")])
TEMPLATE = np.dtype([("kind", "u1"), ("method", "u1"), ("status", "<u2"), ("flags", "<u2"),
                     ("count", "<u2"), ("first", "<u4"), ("body", "<u4"), ("ack", "<u2"),
                     ("cancel", "<u2"), ("method_offset", "<u4"), ("method_length", "<u4")])
MATCHER = np.dtype([("kind", "u1"), ("method", "u1"), ("leg", "u1"), ("spare", "u1"),
                    ("low", "<u2"), ("high", "<u2"), ("flags", "<u4")])
OPERAND = np.dtype([("kind", "u1"), ("spare", "u1", 7), ("value", "<i8"), ("p1", "<f8"),
                    ("p2", "<f8")])
ENTRY = np.dtype([("pc", "<u4"), ("role", "<u2"), ("flags", "<u2"), ("legs", "<u2"),
                  ("spare", "<u2"), ("weight", "<u4")])
ANSWER = np.dtype([("method", "u1"), ("spare", "u1"), ("entry", "<u2"), ("user_offset", "<u4"),
                   ("user_length", "<u4"), ("flags", "<u4")])

NO_TEMPLATE = 0xFFFF
ANY_LEG = 0xFF
_MAGIC = b"siploadgen program 1\n"
_ARRAYS = {"code": INSN, "templates": TEMPLATE, "segments": SEGMENT, "matchers": MATCHER,
           "operands": OPERAND, "entries": ENTRY, "answers": ANSWER}

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What the engine executes. Two programs are equal when their digests are.

    `text` holds every literal; templates, matchers and so on refer to each other by index.
    `outcomes` are the scenario's own: (name, whether it counts as success), the first has the number
    OUTCOME_USER. `columns` are the data columns in the order of their numbers. `scenarios` names the
    entries. `step_names` and `sources` have one text for each instruction: what it does, and the
    `file:line` that it comes from.
    """

    code: Array
    templates: Array
    segments: Array
    matchers: Array
    operands: Array
    entries: Array
    answers: Array
    text: bytes
    clocks: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    outcomes: tuple[tuple[str, bool], ...] = ()
    columns: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    step_names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    # names that the arrays refer to; what is only shown to people does not change the digest
    _NAMES: ClassVar[tuple[str, ...]] = ("clocks", "variables", "counters", "outcomes", "columns")

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 1:
                raise TypeError(f"{name}: {array.dtype} where {dtype} is needed")
            array.flags.writeable = False

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
        """Name of an outcome by its number in the engine's tables."""
        if number >= Outcome.OUTCOME_USER:
            return self.outcomes[number - Outcome.OUTCOME_USER][0]
        return Outcome(number).name.removeprefix("OUTCOME_").lower()

    def outcome_ok(self, number: int) -> bool:
        """Whether an outcome counts as success."""
        if number >= Outcome.OUTCOME_USER:
            return self.outcomes[number - Outcome.OUTCOME_USER][1]
        return number == Outcome.OUTCOME_SUCCEEDED

    def to_bytes(self) -> bytes:
        """The whole program as octets, the same on every machine."""
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
        """The program that `to_bytes` wrote; ValueError when the octets are not one."""
        if not data.startswith(_MAGIC):
            raise ValueError("not a siploadgen program, or one of another version")
        line, newline, rest = data[len(_MAGIC):].partition(b"\n")
        if not newline:
            raise ValueError("the program is cut short")
        head = json.loads(line)
        at = 0
        arrays: dict[str, Array] = {}
        for name, dtype in _ARRAYS.items():
            size = head[name] * dtype.itemsize
            if at + size > len(rest):
                raise ValueError("the program is cut short")
            arrays[name] = np.frombuffer(rest[at:at + size], dtype)
            at += size
        names = {name: tuple(tuple(item) if isinstance(item, list) else item for item in value)
                 for name, value in head["names"].items()}
        program = cls(**arrays, text=rest[at:], **names)
        if program.digest != head["digest"]:
            raise ValueError("the program's digest does not fit its contents")
        return program
