"""A file imports only from floors below its own (ARCHITECTURE.md). Every arrow is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.source import CORE, PACKAGE, ROOT, where

# The house, from the ground up: floor, then its rooms in steps ("|"). A room may use what stands on
# a lower floor or on a lower step of its own. The longest prefix of a module's name finds its room.
HOUSE = {
    "siploadgen.core": (
        (0, "types atomic counters program | span memory | slab wheel ring table hist rand"
            " | texts"),
        (1, "sip net"),
        (2, "tx tape"),
        (3, "records | user measure | auth plain targets overload registrar departure | outgoing"
            " | dialog capture pattern shared hook refuse stun failover | vm"),
        (4, "ahead | feed | advance | loop | engine"),
    ),
    "siploadgen": (
        (0, "errors erlang tx_table | units"),
        (5, "figures ladder message model load | compile | model.builtin"),
        (6, "run"),
        (7, "report cluster | config"),
        (8, "capacity | cli loads | library | found"),
        (9, "__main__ pytest_plugin"),
    ),
}
FLOORS: dict[str, float] = {
    f"{package}.{name}": floor + step / 10
    for package, rows in HOUSE.items()
    for floor, rooms in rows
    for step, names in enumerate(rooms.split("|"))
    for name in names.split()
}
FLOORS["siploadgen"] = 9  # the package itself: what users import
# Arrows that point down and are forbidden all the same.
NEVER = {("siploadgen.report", "siploadgen.run")}
# Rooms that are folders: their files may use each other.
FOLDERS = {"siploadgen.core.sip", "siploadgen.core.net", "siploadgen.model",
           "siploadgen.model.builtin", "siploadgen.compile",
           "siploadgen.load", "siploadgen.run", "siploadgen.config",
           "siploadgen.report", "siploadgen.cluster",
           "siploadgen.capacity", "siploadgen.cli"}

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
        if name == "__version__":  # a word, not a room
            continue
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
    if FLOORS[there] < FLOORS[here]:
        return None
    if here == there and (here in FOLDERS or module == target):
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
    found = sorted(set(arrows(module, path.read_text(), path.suffix != ".py")))
    faults = [f"{where(path, line)}: {why}" for target, line in found
              if (why := fault(module, target))]
    assert not faults


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")),
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_python_floors_never_cimport(path: Path) -> None:
    assert not re.search(r"^\s*(?:from\s+\S+\s+)?cimport\b|^import cython", path.read_text(), re.M)


@pytest.mark.parametrize(("module", "line", "legal"), [
    ("siploadgen.core.tx", "from siploadgen.core.types cimport Nanos", True),
    ("siploadgen.core.wheel", "from siploadgen.core.tx cimport Tx", False),
    ("siploadgen.core.wheel", "from siploadgen.core.slab cimport Slab", False),
    ("siploadgen.core.wheel", "from siploadgen.core.memory cimport memory_reserve", True),
    ("siploadgen.core.loop", "from siploadgen.core.engine cimport Engine", False),
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
    ("siploadgen.report.live", "from siploadgen.cli.load import load_executor", False),
    ("siploadgen.cli.run", "from siploadgen.cli.load import load_executor", True),
    ("siploadgen.cli.run", "from siploadgen.run.runner import Runner", True),
    ("siploadgen.run.worker", "from siploadgen.core.engine import Engine", True),
    ("siploadgen.core.engine", "import siploadgen.run.plan", False),
])
def test_a_python_arrow_is_judged(module: str, line: str, legal: bool) -> None:
    targets = [target for target, _ in arrows(module, line, cython=False)]
    assert targets
    assert all(fault(module, target) is None for target in targets) is legal
