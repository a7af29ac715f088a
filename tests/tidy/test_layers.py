"""A file imports only from floors below its own (ARCHITECTURE.md). Every arrow is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source import CORE, PACKAGE, ROOT, where

# The longest prefix of a module's name says on which floor it stands.
FLOORS = {
    "siploadgen.errors": 0, "siploadgen.units": 0, "siploadgen.tx_table": 0,
    "siploadgen.core.types": 0, "siploadgen.core.span": 0, "siploadgen.core.memory": 0,
    "siploadgen.core.slab": 0,
    "siploadgen.core.wheel": 0, "siploadgen.core.hist": 0, "siploadgen.core.counters": 0,
    "siploadgen.core.ring": 0, "siploadgen.core.rand": 0,
    "siploadgen.core.sip": 1, "siploadgen.core.net": 1,
    "siploadgen.core.tx": 2, "siploadgen.core.program": 2,
    "siploadgen.core.vm": 3, "siploadgen.core.dialog": 3, "siploadgen.core.match": 3,
    "siploadgen.core.engine": 4, "siploadgen.core.loop": 4,
    "siploadgen.model": 5, "siploadgen.compile": 5, "siploadgen.load": 5,
    "siploadgen.run": 6,
    "siploadgen.report": 7, "siploadgen.cluster": 7,
    "siploadgen.cli": 8, "siploadgen.__main__": 9, "siploadgen": 9,
}
# Arrows on one floor: inside a folder, and these. Types, spans and reserved memory are the words that
# every room is written in.
SAME_FLOOR = {
    ("siploadgen.core.engine", "siploadgen.core.loop"),
    ("siploadgen.core.loop", "siploadgen.core.engine"),
    ("siploadgen.compile", "siploadgen.model"),
}
WORDS = {"siploadgen.core.types", "siploadgen.core.span", "siploadgen.core.memory"}
# Arrows that point down and are forbidden all the same.
NEVER = {("siploadgen.report", "siploadgen.run")}
FOLDERS = {"siploadgen.core.sip", "siploadgen.core.net", "siploadgen.model", "siploadgen.compile",
           "siploadgen.load", "siploadgen.run", "siploadgen.report", "siploadgen.cluster",
           "siploadgen.cli"}

CIMPORT = re.compile(r"^\s*(?:from\s+(siploadgen[\w.]*)\s+c?import\s+([^#]*)"
                     r"|c?import\s+(siploadgen[\w.]*))", re.M)


def room(module: str) -> str | None:
    """The entry of FLOORS that a module belongs to."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    if module in FLOORS:
        return module
    # The package itself is the top floor: it must not swallow modules that have no floor yet.
    return next((name for name in names if name in FLOORS and name != "siploadgen"), None)


def module_of(path: Path) -> str:
    """Dotted name of a source file."""
    base = ROOT / "ext" if path.is_relative_to(ROOT / "ext") else ROOT
    name = ".".join(path.relative_to(base).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(module: str, names: list[str]) -> Iterator[str]:
    """What `from module import names` reaches: submodules where the names are some."""
    for name in names:
        inner = f"{module}.{name}"
        yield inner if inner in FLOORS or room(inner) != room(module) else module


def arrows(module: str, text: str, cython: bool) -> Iterator[tuple[str, int]]:
    """(imported module, line) for each import of ours in the text."""
    if cython:
        for match in CIMPORT.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            source, names, whole = match.groups()
            if whole:
                yield whole, line
            else:
                words = re.findall(r"\w+(?=\s*(?:as\s+\w+)?\s*(?:,|\)|$))", names) or [""]
                yield from ((target, line) for target in imported(source, words))
        return
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "siploadgen":
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*above, *([source] if source else [])])
            if source.split(".")[0] == "siploadgen":
                for target in imported(source, [alias.name for alias in node.names]):
                    yield target, node.lineno


def fault(module: str, target: str) -> str | None:
    """Why the arrow from module to target may not be; None when it may."""
    here, there = room(module), room(target)
    if here is None or there is None:
        name = module if here is None else target
        return f"{name} stands on no floor: give it one in {Path(__file__).name}"
    if (here, there) in NEVER:
        return f"{here} never imports {there}"
    if FLOORS[there] < FLOORS[here] or there in WORDS:
        return None
    if here == there and (here in FOLDERS or module == target):
        return None
    if (here, there) in SAME_FLOOR:
        return None
    direction = "up" if FLOORS[there] > FLOORS[here] else "sideways"
    return f"{module} (floor {FLOORS[here]}) reaches {direction} to {target} ({FLOORS[there]})"


def sources() -> list[Path]:
    cython = [*CORE.rglob("*.pyx"), *CORE.rglob("*.pxd")]
    return sorted([*cython, *PACKAGE.rglob("*.py")])


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    module = module_of(path)
    if path.name in ("__init__.pxd", "__init__.py") and room(module) is None:
        assert not list(arrows(module, path.read_text(), path.suffix == ".pxd"))
        return
    faults = [f"{where(path, line)}: {why}"
              for target, line in arrows(module, path.read_text(), path.suffix != ".py")
              if (why := fault(module, target))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")),
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_python_floors_never_cimport(path: Path) -> None:
    assert not re.search(r"^\s*(?:from\s+\S+\s+)?cimport\b|^import cython", path.read_text(), re.M)


@pytest.mark.parametrize(("module", "line", "legal"), [
    ("siploadgen.core.tx", "from siploadgen.core.types cimport Nanos", True),
    ("siploadgen.core.wheel", "from siploadgen.core.tx cimport Tx", False),
    ("siploadgen.core.wheel", "from siploadgen.core.slab cimport Slab", False),
    ("siploadgen.core.sip.parse", "from siploadgen.core.sip.tokens cimport Method", True),
    ("siploadgen.core.sip.parse", "from siploadgen.core.net.udp cimport UdpSocket", False),
    ("siploadgen.core.net.udp", "from siploadgen.core.sip cimport parse", False),
    ("siploadgen.core.engine", "from siploadgen.core.loop cimport loop_run", True),
    ("siploadgen.core.vm", "cimport siploadgen.core.engine", False),
    ("siploadgen.core.fresh", "from siploadgen.core.types cimport Nanos", False),
])
def test_a_cython_arrow_is_judged(module: str, line: str, legal: bool) -> None:
    targets = [target for target, _ in arrows(module, line, cython=True)]
    assert targets
    assert all(fault(module, target) is None for target in targets) is legal


@pytest.mark.parametrize(("module", "line", "legal"), [
    ("siploadgen.report.metrics", "from siploadgen.run.runner import Result", False),
    ("siploadgen.report.metrics", "from ..run import runner", False),
    ("siploadgen.report.metrics", "from .histogram import percentile", True),
    ("siploadgen.compile.assemble", "from siploadgen.model.scenario import Scenario", True),
    ("siploadgen.model.scenario", "from siploadgen.compile import assemble", False),
    ("siploadgen.load.arrivals", "from siploadgen import cli", False),
    ("siploadgen.run.worker", "from siploadgen.core.engine import Engine", True),
    ("siploadgen.core.engine", "import siploadgen.run.plan", False),
])
def test_a_python_arrow_is_judged(module: str, line: str, legal: bool) -> None:
    targets = [target for target, _ in arrows(module, line, cython=False)]
    assert targets
    assert all(fault(module, target) is None for target in targets) is legal
