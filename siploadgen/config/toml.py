"""TOML with places: where each key of a file stands, which the reader of Python does not say."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from siploadgen.model.located import Fault, FileError, Path_, path_text, read_text

Place = tuple[int, int]  # line and column, from 1
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE = re.compile(r"[A-Za-z0-9_-]*")
_GAP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_PLAIN = re.compile(r"[^,\]}\n#]*")
_STRINGS = tuple(re.compile(text, re.S) for text in (
    r'"""(?:\\.|[^\\])*?"""+', r"'''.*?'''+", r'"(?:\\.|[^"\\\n])*"', r"'[^'\n]*'"))
_MENDS = {  # words in what the TOML reader says, and the mend
    "Cannot overwrite": "leave one of the keys out",
    "Cannot declare": "leave one of the tables out",
    "Expected ']'": "close the bracket", "Invalid value": "put texts in quotes",
    "after a key": 'write key = "value"',
    "Expected newline": "put the text in quotes, or the next key on a line of its own",
    "Unclosed array": "look for a bracket that is not closed",
    "Expected '": "look for a quote that is not closed",
    'Expected "': "look for a quote that is not closed",
    "Unclosed inline": "look for a bracket that is not closed",
    "Unterminated string": "look for a quote that is not closed",
    "Illegal character": "look for a quote that is not closed",
    "Invalid statement": 'write key = "value" or [table]',
    "Unescaped '\\'": "write the text in single quotes, or the backslash twice",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file that was read."""

    file: str
    data: Mapping[str, Any]
    places: Mapping[tuple[str | int, ...], Place] = field(default_factory=dict)

    def place(self, path: Path_) -> Place:
        """Line and column of what a path leads to, or of what should hold it; 1, 1 for the file."""
        steps = tuple(path)
        while steps and steps not in self.places:
            steps = steps[:-1]
        return self.places.get(steps, (1, 1))

    def fault(self, path: Path_, message: str, mend: str = "") -> Fault:
        """Make a fault with its place."""
        return Fault(self.file, *self.place(path), path_text(path), message, mend)


def load(file: str) -> Document:
    """Read a file. FileError: it cannot be read, is no UTF-8, or no TOML."""
    return parse(read_text(file), file)


def parse(text: str, file: str) -> Document:
    r"""Read TOML; FileError with the place of what is no TOML.

    >>> parse("a = 1\n[b]\n'c d' = {e = 2}\n", "x.toml").place(("b", "c d", "e"))
    (3, 10)
    """
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        found = _AT.search(said)
        end = text.rstrip()
        line, column = end.count("\n") + 1, len(end) - end.rfind("\n")
        if found is not None and found[1]:
            line, column = int(found[1]), int(found[2])
        message = _AT.sub("", said)
        mend = next((mend for words, mend in _MENDS.items() if words in message), "")
        raise FileError([Fault(file, line, column, "", message[:1].lower() + message[1:], mend)]
                        ) from None
    except RecursionError:
        raise FileError([Fault(file, 0, 0, "", "nested too deeply", "write it flatter")]) from None
    return Document(file, data, _Scanner(text).places())


class _Scanner:
    """Walks through text that is known to be TOML, and notes where each key stands."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[tuple[str | int, ...], Place] = {}

    def places(self) -> dict[tuple[str | int, ...], Place]:
        table: tuple[str | int, ...] = ()
        self._skip(_GAP)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                self._skip(re.compile(r"\[+[ \t]*"))
                table = self._key(())
                self._skip(re.compile(r"[ \t\]]*"))
            else:
                path = self._key(table)
                self._skip(re.compile(r"[ \t]*=[ \t]*"))
                self._value(path)
            self._skip(_GAP)
        return self.found

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match[0]

    def _note(self, path: tuple[str | int, ...], at: int) -> None:
        line = self.text.count("\n", 0, at) + 1
        self.found.setdefault(path, (line, at - self.text.rfind("\n", 0, at)))

    def _key(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Read a dotted key."""
        while True:
            start = self.at
            word = self._string()
            name = next(iter(tomllib.loads(f"{word} = 0"))) if word else self._skip(_BARE)
            path = (*path, name)
            self._note(path, start)
            if "." not in self._skip(re.compile(r"[ \t]*\.?[ \t]*")):
                return path

    def _string(self) -> str:
        for pattern in _STRINGS:
            match = pattern.match(self.text, self.at)
            if match is not None:
                self.at = match.end()
                return match[0]
        return ""

    def _value(self, path: tuple[str | int, ...]) -> None:
        first = self.text[self.at : self.at + 1]
        if first not in "[{" or not first:
            if not self._string():
                self._skip(_PLAIN)
            return
        self.at += 1
        number = 0
        while True:
            self._skip(_GAP)
            if self.text[self.at] in "]}":
                self.at += 1
                return
            if first == "[":
                self._note((*path, number), self.at)
                self._value((*path, number))
                number += 1
            else:
                inner = self._key(path)
                self._skip(re.compile(r"[ \t]*=[ \t]*"))
                self._value(inner)


def table(document: Document, path: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the table at a path; None when there is none. FileError: it is no table."""
    node: Any = document.data
    for number, name in enumerate(path, 1):
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
        if not isinstance(node, Mapping):
            raise FileError([document.fault(path[:number], "no table",
                                            f"write [{'.'.join(path[:number])}]")])
    return node  # type: ignore[no-any-return]
