"""YAML with places: where each key and value stands, and all faults of a file at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siploadgen.errors import ScenarioError

Path_ = Sequence[str | int]  # keys and indices from the top of the file


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
        super().__init__("\n".join(str(one) for one in self.faults))


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

    FileError: it is not YAML, a key stands twice, or the file is no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = YAML(typ="rt", pure=True)
    reader.allow_duplicate_keys = False
    try:
        found = reader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = (error.problem or "this is not YAML").splitlines()[0]
        mend = "" if "duplicate" not in problem else "leave one of them out"
        raise FileError([Fault(file, line, column, "", problem, mend)]) from None
    except YAMLError as error:
        raise FileError([Fault(file, 1, 1, "", str(error).splitlines()[0])]) from None
    if not isinstance(found, dict):
        raise FileError([Fault(file, 1, 1, "", "the file is no mapping",
                               "begin it with `version: 1`")])
    return found


def place(node: Any, path: Path_) -> tuple[int, int]:
    r"""Line and column, from 1, of what a path leads to: its key, or its item in a list.

    >>> place(load("a:\n  b: [1, 2]\n", "x"), ["a", "b", 1])
    (2, 10)
    """
    line, column = 0, 0
    for step in path:
        try:
            if isinstance(node, dict):
                line, column = node.lc.key(step)  # type: ignore[attr-defined]
            elif isinstance(node, list):
                line, column = node.lc.item(step)  # type: ignore[attr-defined]
            else:
                break
            node = node[step]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
    return line + 1, column + 1


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
