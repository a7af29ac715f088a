"""Nothing in nogil code may take the GIL back: by reading the text, and by Cython's own word."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tidy.source import CORE, ROOT, where

# A cdef function's head, up to the colon or the end of a declaration, over lines.
HEAD = re.compile(r"^[ \t]*(?:cdef|cpdef|ctypedef)\s[^\n=#]*?"
                  r"\((?:[^()]|\([^()]*\))*\)([^\n#]*)", re.M)
BAD_HINTS = ("performance hint", "Not all members given")


def without_gil(tail: str) -> bool:
    return bool(re.search(r"\bnogil\b", tail))


def safe(tail: str) -> bool:
    return bool(re.search(r"\bnoexcept\b|\bexcept\b", tail))


def offences(text: str) -> list[int]:
    """Lines of nogil functions whose exceptions are neither excluded nor declared."""
    external = [match.span() for match in
                re.finditer(r"^cdef extern from[^\n]*\n(?:(?:[ \t]+[^\n]*)?\n)*", text, re.M)]
    found = []
    for match in HEAD.finditer(text):
        if any(low <= match.start() < high for low, high in external):
            continue  # a C function never raises; the block says nogil once
        if without_gil(match[1]) and not safe(match[1]):
            found.append(text.count("\n", 0, match.start()) + 1)
    return found


def sources(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in CORE.rglob(pattern))


@pytest.mark.parametrize("path", sources("*.pyx", "*.pxd"),
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_nogil_functions_say_noexcept(path: Path) -> None:
    assert not [where(path, line) for line in offences(path.read_text())]


@pytest.mark.parametrize("path", sources("*.pyx", "*.pxd"),
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_takes_the_gil_back(path: Path) -> None:
    assert not re.findall(r"^[^#\n]*\bwith gil\b", path.read_text(), re.M)


@pytest.mark.parametrize(("text", "count"), [
    ("cdef int f(int x) nogil:\n", 1),
    ("cdef int f(int x) noexcept nogil:\n", 0),
    ("cdef int f(int x) except -1 nogil:\n", 0),
    ("cdef inline void f(int* x,\n    int y) nogil\n", 1),
    ("cdef int f(int x):\n", 0),
    ('cdef extern from "a.h" nogil:\n    int f(int) nogil\n\ncdef int g() nogil\n', 1),
])
def test_a_head_is_judged(text: str, count: int) -> None:
    assert len(offences(text)) == count


def told(log: Path) -> tuple[str, set[Path]]:
    """What Cython said when this tree was built, and the modules that it has translated since."""
    if not log.exists():
        return "", set()
    said, built = log.read_text(), log.stat().st_mtime
    newest = max(path.stat().st_mtime for path in (ROOT / "setup.py", *sources("*.pxd")))
    names = re.findall(r"Cythonizing (\S+\.pyx)$", said, re.M) if newest < built else []
    return said, {path for path in (ROOT / name for name in names)
                  if path.stat().st_mtime < built}


@pytest.mark.timeout(900)
def test_cython_has_no_hints(tmp_path: Path) -> None:
    """Cython translates every module and must find nothing slow or half-initialised.

    What the build has just translated is judged by what it said, the rest is translated again.
    """
    directives = ",".join(("boundscheck=False", "wraparound=False", "cdivision=True",
                           "initializedcheck=False", "freethreading_compatible=True"))

    def translate(paths: list[Path]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cython", "-3", "-I", str(ROOT / "ext"), "-X", directives,
             "-o", str(tmp_path), *map(str, paths)],
            capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout

    log, done = told(ROOT / "build" / "build.log")
    left = [path for path in sources("*.pyx") if path not in done]
    with ThreadPoolExecutor(2) as pool:
        halves = [half for half in (left[::2], left[1::2]) if half]
        said = "\n".join([log, *pool.map(translate, halves)])
    assert len(list(tmp_path.glob("*.c"))) == len(left)
    assert not [line for line in said.splitlines() if any(bad in line for bad in BAD_HINTS)]
