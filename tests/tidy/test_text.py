"""What a reader trips over: long lines, unfinished places, paths of one machine, dead code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
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


def matches(paths: Iterable[Path], pattern: re.Pattern[str]) -> list[str]:
    """Places that match, this file apart."""
    return [f"{where(path, number)}: {line.strip()[:80]}" for path in paths if path != ME
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if pattern.search(line)]


def test_lines_fit() -> None:
    assert not [where(path, number) for path in CODE
                for number, line in enumerate(path.read_text().splitlines(), 1)
                if len(line) > WIDTH]


def test_nothing_is_left_unfinished() -> None:
    assert not matches(TEXT, UNFINISHED)


def test_no_path_of_one_machine() -> None:
    assert not matches(TEXT, MACHINE)


def test_no_code_in_comments() -> None:
    assert not matches(files(".py", ".pyx", ".pxd"), DEAD)


@pytest.mark.parametrize("line", ["# if x:", "    # foo(1, 2)", "# return f(x)", "# import os",
                                  "# a = b(c)", "# else:"])
def test_dead_code_is_seen(line: str) -> None:
    assert DEAD.match(line)


@pytest.mark.parametrize("line", ["# due = started + not started", "# the caller frees (RFC 3261)",
                                  "# if the answer is late, wait: it may come.", "# see `f(x)`"])
def test_prose_is_no_dead_code(line: str) -> None:
    assert not DEAD.match(line)


def test_public_names_are_documented() -> None:
    bare = []
    pending: list[tuple[Path, ast.AST, bool]] = [
        (path, ast.parse(path.read_text()), True) for path in sorted(PACKAGE.rglob("*.py"))]
    while pending:
        path, node, public = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                shown = public and not child.name.startswith("_")
                if shown and not ast.get_docstring(child):
                    bare.append(f"{where(path, child.lineno)}: {child.name}")
                if isinstance(child, ast.ClassDef):
                    pending.append((path, child, shown))
    assert not bare


def test_no_bare_except() -> None:
    assert not matches(files(".py", ".pyx"), re.compile(r"^\s*except\s*:"))


def test_only_real_peers_are_waited_for() -> None:
    """No sleeps in tests: time is a parameter everywhere below the loop."""
    mine = [path for path in sorted((ROOT / "tests").rglob("*.py"))
            if path.relative_to(ROOT / "tests").parts[0] not in ("loopback", "interop")]
    assert not matches(mine, re.compile(r"\bsleep\("))


def test_tests_with_sockets_are_where_make_looks_for_them() -> None:
    """`make test` looks for them in these places only: collecting all tests takes a while."""
    live = re.search(r"^LIVE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert live is not None
    places = [ROOT / word for word in live[1].split()]
    assert all(place.exists() for place in places)
    marked = [path for path in files(".py") if path.is_relative_to(ROOT / "tests") and path != ME
              and re.search(r"\bmark\.(?:loopback|interop|calm|quiet)\b", path.read_text())]
    assert len(marked) > 20
    assert not [where(path, 1) for path in marked
                if not any(path.is_relative_to(place) for place in places)]
