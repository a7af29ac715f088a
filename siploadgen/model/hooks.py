"""Hooks: Python functions that calls ask while they run."""

import importlib
import importlib.util
import inspect
import sys
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
_files: dict[str, ModuleType] = {}


def named(function: Hook | str, folder: str | Path = "") -> str:
    """Give the name of a hook, `file.py:name`, under which `resolve` finds it again.

    Files are looked for from `folder` on. Where two functions have one name, the last one counts.
    ModelError: there is no such function.
    """
    if isinstance(function, str):
        _known[function] = _find(function, Path(folder))
        return function
    if not callable(function):
        raise ModelError(f"{function!r} is no function", mend="write c.hook(function)")
    code = inspect.unwrap(function)
    file = getattr(getattr(code, "__code__", None), "co_filename", getattr(code, "__module__", "?"))
    name = getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", "")
    if "<lambda>" in name:
        name = f"line {code.__code__.co_firstlineno}".replace(" ", "_")
    name = f"{Path(file).name}:{name}"
    _known[name] = function  # a notebook's cell that runs again means the new one
    return name


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
    if path in _files:
        return _files[path]
    spec = importlib.util.spec_from_file_location(f"siploadgen_hooks_{len(_files)}", path)
    if spec is None or spec.loader is None or not file.is_file():
        raise ModelError(f"{file}: there is no such file",
                         mend="name one from the folder of the scenario file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{file}: {type(error).__name__}: {error}",
                         mend="mend the file; `python -c` shows where") from None
    _files[path] = module
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
