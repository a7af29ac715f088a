"""Each compiled module that Python can see has a stub, and the two name the same things."""

from __future__ import annotations

import ast
import enum
import importlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.tidy.source import CORE, PACKAGE, ROOT


def stub_of(source: Path) -> Path:
    return PACKAGE / "core" / source.relative_to(CORE).with_suffix(".pyi")


def module_name(source: Path) -> str:
    return ".".join(("siploadgen", "core", *source.relative_to(CORE).with_suffix("").parts))


def stub_names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Public names that the statements of a stub define."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
        elif isinstance(node, ast.Assign):
            names.update({t.id: node for t in node.targets if isinstance(t, ast.Name)})
    return {name: node for name, node in names.items() if not name.startswith("_")}


def module_names(module: ModuleType) -> set[str]:
    """Public names that a compiled module defines itself."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    enums = [value for value in public.values() if isinstance(value, enum.EnumMeta)]
    members = {name for one in enums for name in one.__members__}
    return {name for name, value in public.items()
            if name not in members and not isinstance(value, ModuleType)
            and getattr(value, "__module__", module.__name__) == module.__name__}


def class_names(cls: type) -> set[str]:
    """Public attributes that a class defines itself."""
    if issubclass(cls, enum.Enum):
        return set(cls.__members__)
    return {name for name in vars(cls) if not name.startswith("_")}


def sources() -> list[Path]:
    return sorted(CORE.rglob("*.pyx"))


@pytest.mark.parametrize("source", sources(), ids=module_name)
def test_stub_and_module_name_the_same(source: Path) -> None:
    module = importlib.import_module(module_name(source))
    stub = stub_of(source)
    if not stub.exists():
        assert not module_names(module), f"no stub {stub.relative_to(ROOT)}"
        return
    names = stub_names(ast.parse(stub.read_text()).body)
    assert set(names) == module_names(module)
    for name, node in names.items():
        if isinstance(node, ast.ClassDef):
            cls = getattr(module, name)
            assert isinstance(cls, type), f"{name} is no class"
            assert set(stub_names(node.body)) == class_names(cls), name


@pytest.mark.parametrize("stub", sorted((PACKAGE / "core").rglob("*.pyi")),
                         ids=lambda stub: str(stub.relative_to(ROOT)))
def test_a_stub_has_a_module(stub: Path) -> None:
    assert (CORE / stub.relative_to(PACKAGE / "core").with_suffix(".pyx")).exists()
