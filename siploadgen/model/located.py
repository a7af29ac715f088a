"""YAML with places: where each key and value stands, and all faults of a file at once."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siploadgen.errors import ScenarioError

Path_ = Sequence[str | int]  # keys and indices from the top of the file
LENGTH_MAX = 16 * 1024 * 1024
VALUES_MAX = 1_000_000  # a few aliases of aliases could stand for more than a memory holds
_OWN_TAGS = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MENDS = {  # words in what the YAML reader says, and the mend
    r"\t": "indent by blanks", "mapping values": "put the text in quotes, or indent as above",
    "another document": "write one document, without a second ---",
    "alias": "define &name before *name; a text that begins with * must be in quotes",
    "expected": "look for a bracket or quote that is not closed, and at the indentation",
    "unexpected end": "look for a bracket or quote that is not closed",
    "could not find": "put a colon behind the key",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a file; lines and columns count from 1, 0 stands for the whole file.

    >>> print(Fault("calls.yaml", 12, 5, "calls.a", "unknown key", 'did you mean "b"?'))
    calls.yaml:12:5 calls.a: unknown key (did you mean "b"?)
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{place} {self.path}" if self.path else place
        return f"{where}: {self.message}" + (f" ({self.mend})" if self.mend else "")


class FileError(ScenarioError):
    """A file with faults: all of them, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda one: (one.file, one.line, one.column)))
        super().__init__("\n".join(dict.fromkeys(str(one) for one in self.faults)))


def read_text(path: str | Path) -> str:
    """Text of a file; FileError when it cannot be read or is no UTF-8."""
    name = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError([Fault(name, 0, 0, "", error.strerror or str(error),
                               "name a file that can be read")]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise FileError([Fault(name, before.count(b"\n") + 1,
                               error.start - (before.rfind(b"\n") + 1) + 1, "",
                               "not UTF-8", "convert the file")]) from None


def load(text: str, file: str) -> Any:
    """Read YAML 1.2 into mappings and lists that know their places.

    FileError: it is not YAML, the file is no mapping; all keys that stand twice, all tags, all that
    is no key.
    """
    if len(text) > LENGTH_MAX:
        raise FileError([Fault(file, 0, 0, "", f"longer than {LENGTH_MAX} characters",
                               "write what is long into files of its own")])
    found, twice = _parsed(text, file)
    faults = [Fault(file, line, column, "", f"the key {key} stands twice", "leave one of them out")
              for key, line, column in twice]
    if not isinstance(found, dict):
        faults.append(Fault(file, 1, 1, "", "the file is no mapping", "begin it with `version: 1`"))
    else:
        _walk(found, [], found, file, faults, {}, set())
    if faults:
        raise FileError(faults)
    return found


def _parsed(text: str, file: str) -> tuple[Any, list[tuple[Any, int, int]]]:
    """Read YAML; also the keys that stand twice, and where."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import RoundTripConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.resolver import VersionedResolver

    twice: list[tuple[Any, int, int]] = []

    class Constructor(RoundTripConstructor):
        """Notes keys that stand twice instead of stopping at the first."""

        def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any,
                              value: Any) -> bool:
            del node, value
            if key in mapping:
                twice.append((key, key_node.start_mark.line + 1, key_node.start_mark.column + 1))
                return False
            return True

    class Resolver(VersionedResolver):
        """The types of YAML 1.2: a date is a text."""

        @property
        def versioned_resolver(self) -> Any:
            return {first: [row for row in rows if not row[0].endswith("timestamp")]
                    for first, rows in super().versioned_resolver.items()}

    reader = YAML(typ="rt", pure=True)
    reader.Constructor = Constructor
    reader.Resolver = Resolver
    try:
        return reader.load(text), twice
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join((error.problem or "this is not YAML").split())
        mend = next((mend for word, mend in _MENDS.items() if word in problem), "")
        raise FileError([Fault(file, line, column, "", problem, mend)]) from None
    except RecursionError:
        raise FileError([Fault(file, 0, 0, "", "nested too deeply", "write it flatter")]) from None
    except (YAMLError, ValueError) as error:
        bad = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, bad.start()) + 1 if bad else 1
        column = bad.start() - text.rfind("\n", 0, bad.start()) if bad else 1
        message = (f"the character {bad[0]!r} is not allowed" if bad
                   else str(error).splitlines()[0])
        raise FileError([Fault(file, line, column, "", message,
                               r'write it in double quotes, as "\x01"' if bad else "")]) from None


def _walk(root: Any, path: list[str | int], node: Any, file: str, faults: list[Fault],
          sizes: dict[int, int], above: set[int]) -> int:
    """Refuse what YAML can say and nobody here means; how many values there are."""
    def fault(message: str, mend: str) -> int:
        faults.append(Fault(file, *place(root, path), path_text(path), message, mend))
        return 1

    tag = str(getattr(getattr(node, "tag", None), "value", None) or "")
    if tag.removeprefix(_OWN_TAGS) not in ("", "map", "seq", "str", "int", "float", "bool", "null"):
        return fault(f"the tag {tag.replace(_OWN_TAGS, '!!')} means nothing here",
                     "leave the tag out")
    if not isinstance(node, dict | list):
        return 1
    if id(node) in above:
        return fault("this contains itself", "leave the alias out")
    if id(node) in sizes:
        return sizes[id(node)]
    above.add(id(node))
    size = 1
    inside: Any = node
    keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
    for key in keys:
        if isinstance(key, bool) or not isinstance(key, str | int):
            fault(f"{'nothing' if key is None else plain(key)} is no key",
                  "a key is a text or a whole number; put it in quotes")
            continue
        size += _walk(root, [*path, key], inside[key], file, faults, sizes, above)
    above.discard(id(node))
    sizes[id(node)] = size = min(size, VALUES_MAX + 1)
    if size > VALUES_MAX and not path:
        fault(f"its aliases stand for more than {VALUES_MAX} values", "write fewer aliases")
    return size


def place(node: Any, path: Path_) -> tuple[int, int]:
    r"""Line and column, from 1, of what a path leads to: its key, or its item in a list.

    What is not there has the place of what should hold it.

    >>> place(load("a:\n  b: [1, 2]\n", "x"), ["a", "b", 1])
    (2, 10)
    """
    line, column = 0, 0
    for step in path:
        found = _entry(node, step)
        if found is None:
            break
        line, column = found
        node = node[step]
    return line + 1, column + 1


def _entry(node: Any, step: str | int) -> tuple[int, int] | None:
    try:
        if isinstance(node, list):
            line, column = node.lc.item(step)  # type: ignore[attr-defined]
            return line, column
        if isinstance(node, dict) and step in node:
            if step in (node.lc.data or {}):  # type: ignore[attr-defined]
                line, column = node.lc.key(step)  # type: ignore[attr-defined]
                return line, column
            for merged in getattr(node, "merge", ()):  # `<<: *other`
                found = _entry(merged, step)
                if found is not None:
                    return found
    except (KeyError, IndexError, AttributeError, TypeError):
        pass
    return None


def path_text(path: Path_) -> str:
    """Write a path as people do.

    >>> path_text(["calls", "a", "steps", 0, "send"])
    'calls.a.steps[0].send'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def plain(node: Any) -> Any:
    """Copy without places: dicts, lists and scalars of Python.

    >>> plain(load("a: [1, x]", "x"))
    {'a': [1, 'x']}
    """
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
