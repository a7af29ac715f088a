"""What a reader trips over: long lines, unfinished places, paths of one machine, dead code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.tidy.source import PACKAGE, ROOT, files, where

WIDTH = 100
CODE = files(".py", ".pyx", ".pxd", ".h", ".c")
TEXT = files(".py", ".pyx", ".pxd", ".pyi", ".h", ".c", ".md", ".toml", ".yaml", ".xml", ".sh",
             ".cfg")
ME = Path(__file__).resolve()

UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?<![\w.$}])/(?:tmp|root|home|work|mnt)/\w")
# A comment that would run: a statement with its colon, an assignment from a call, an import.
DEAD = re.compile(
    r"^\s*#\s*(?:(?:if|elif|for|while|with|def|cdef|cpdef|class)\b[^.]*:\s*$"
    r"|(?:else|try|finally)\s*:\s*$"
    r"|(?:from\s+[\w.]+\s+)?c?import\s+[\w., ]+$"
    r"|return(?:\s+[\w.]+\(.*\))?\s*$"
    r"|[\w.\[\]]+\s*[-+*/|&]?=\s*[\w.]+\(.*\)\s*$"
    r"|[\w.]+\(.*\)\s*$)")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def matches(path: Path, pattern: re.Pattern[str]) -> list[str]:
    return [f"{where(path, number)}: {line.strip()[:80]}"
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if pattern.search(line)]


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_lines_fit(path: Path) -> None:
    assert not [where(path, number)
                for number, line in enumerate(path.read_text().splitlines(), 1)
                if len(line) > WIDTH]


@pytest.mark.parametrize("path", TEXT, ids=ids)
def test_nothing_is_left_unfinished(path: Path) -> None:
    if path != ME:
        assert not matches(path, UNFINISHED)


@pytest.mark.parametrize("path", TEXT, ids=ids)
def test_no_path_of_one_machine(path: Path) -> None:
    if path != ME:
        assert not matches(path, MACHINE)


@pytest.mark.parametrize("path", files(".py", ".pyx", ".pxd"), ids=ids)
def test_no_code_in_comments(path: Path) -> None:
    assert not matches(path, DEAD)


@pytest.mark.parametrize("line", ["# if x:", "    # foo(1, 2)", "# return f(x)", "# import os",
                                  "# a = b(c)", "# else:"])
def test_dead_code_is_seen(line: str) -> None:
    assert DEAD.match(line)


@pytest.mark.parametrize("line", ["# due = started + not started", "# the caller frees (RFC 3261)",
                                  "# if the answer is late, wait: it may come.", "# see `f(x)`"])
def test_prose_is_no_dead_code(line: str) -> None:
    assert not DEAD.match(line)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=ids)
def test_public_names_are_documented(path: Path) -> None:
    bare = []
    pending: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text()), True)]
    while pending:
        node, public = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                shown = public and not child.name.startswith("_")
                if shown and not ast.get_docstring(child):
                    bare.append(f"{where(path, child.lineno)}: {child.name}")
                if isinstance(child, ast.ClassDef):
                    pending.append((child, shown))
    assert not bare


@pytest.mark.parametrize("path", files(".py", ".pyx"), ids=ids)
def test_no_bare_except(path: Path) -> None:
    assert not matches(path, re.compile(r"^\s*except\s*:"))


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=ids)
def test_only_real_peers_are_waited_for(path: Path) -> None:
    """No sleeps in tests: time is a parameter everywhere below the loop."""
    part = path.relative_to(ROOT / "tests").parts[0]
    if part not in ("loopback", "interop") and path != ME:
        assert not matches(path, re.compile(r"\bsleep\("))
