"""Hooks: Python functions that calls ask while they run."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from siploadgen.model.errors import ModelError, nearest

Values = Mapping[str, int | str | bytes]


@dataclass(frozen=True, slots=True)
class HookCall:
    """What a hook is told of the call that asks.

    `values` are its variables (numbers and texts) by name, `row` its row of the data, `number` its
    number in the workload, `message` the octets of the message last matched (empty: none).
    """

    values: dict[str, int | str]
    row: int
    number: int
    message: bytes

    def __getitem__(self, name: str) -> int | str:
        """Give a variable by its name."""
        return self.values[name]


Hook = Callable[[HookCall], Values | None]

_known: dict[str, Hook] = {}
_files: dict[tuple[str, int], ModuleType] = {}  # by path and time of its last change


def named(function: Hook | str, folder: str | Path = "") -> str:
    """Give the name of a hook, `file.py:name`, under which `resolve` finds it again.

    Files are looked for from `folder` on. Functions that differ have different names: `name`,
    `name#2` ... ModelError: there is no such function.
    """
    first, found = (function, _find(function, Path(folder))) if isinstance(function, str) else (
        _name_of(function), function)
    name = first
    turn = 1
    while name in _known and not _alike(_known[name], found):
        turn += 1
        name = f"{first}#{turn}"
    _known[name] = found
    return name


def _name_of(function: Hook) -> str:
    if not callable(function):
        raise ModelError(f"{function!r} is no function", mend="write c.hook(function)")
    bare = inspect.unwrap(function)
    code = getattr(bare, "__code__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")
    if code is not None and "<lambda>" in name:
        name = f"line_{code.co_firstlineno}"
    file = code.co_filename if code is not None else type(function).__module__
    return f"{Path(file).name}:{name}"


def _alike(one: Hook, other: Hook) -> bool:
    """Tell whether two functions do the same: one of a model that is recorded again does."""
    def parts(function: Any) -> Any:
        cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
        return (getattr(function, "__code__", function), cells, function.__defaults__,
                function.__kwdefaults__, getattr(function, "__self__", None))

    if one is other:
        return True
    try:
        return bool(parts(one) == parts(other))
    except Exception:  # an object that is no function, or cells that cannot be compared
        return False


def _find(name: str, folder: Path) -> Hook:
    """Load the function that a text names: `file.py:name`, or `package.module:name`."""
    where, colon, attribute = name.rpartition(":")
    if not colon:
        raise ModelError(f"{name!r} names no function", mend="write it as file.py:name")
    module = _file(folder / where) if where.endswith(".py") else _module(where)
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [one for one, value in vars(module).items()
                 if callable(value) and not one.startswith("_")]
        raise ModelError(f"{where} has no function {attribute}", mend=nearest(attribute, known))
    found: Hook = function
    return found


def _file(file: Path) -> ModuleType:
    path = str(file.absolute())
    try:
        key = (path, file.stat().st_mtime_ns)
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}",
                         mend="name one from the folder of the scenario file") from None
    if key in _files:
        return _files[key]
    spec = importlib.util.spec_from_file_location(f"siploadgen_hooks_{len(_files)}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{file}: no file of Python", mend="name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = getattr(error, "lineno", None) or max(
            (one.lineno or 0 for one in traceback.extract_tb(error.__traceback__)
             if one.filename == path), default=0)
        raise ModelError(f"{type(error).__name__}: {error}", place=f"{file}:{line}",
                         mend="mend the file of the hook") from None
    _files[key] = module
    return module


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(f"{name}: {error}", mend="name a file, or a module on the path") from None


def resolve(name: str) -> Callable[..., Any]:
    """Give the function that the engine calls for a hook. ModelError: there is none."""
    if name not in _known:
        named(name)
    function = _known[name]

    def ask(values: dict[str, int | str], row: int, number: int, message: bytes) -> Values | None:
        return function(HookCall(values, row, number, message))

    return ask
