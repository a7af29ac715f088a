"""The enums of the compiled core, read from its .pxd files: lets these tests run without a build."""

import importlib.util
import re
import sys
import types
from enum import IntEnum
from pathlib import Path

CORE = Path(__file__).resolve().parents[2] / "ext" / "siploadgen" / "core"
MODULES = ("counters", "program", "sip.tokens")


def enums_of(text: str) -> dict[str, type[IntEnum]]:
    result = {}
    for name, body in re.findall(r"^cpdef enum (\w+):[^\n]*\n((?:[ \t]+[^\n]*\n|\n)+)", text, re.M):
        members, value = {}, 0
        for line in body.splitlines():
            match = re.match(r"\s+([A-Z]\w*)(?:\s*=\s*(\w+))?\s*(?:#.*)?$", line)
            if match:
                value = int(match[2], 0) if match[2] else value
                members[match[1]] = value
                value += 1
        result[name] = IntEnum(name, members)
    return result


def install() -> None:
    """Put modules of enums where the compiled ones are missing."""
    for name in MODULES:
        full = f"siploadgen.core.{name}"
        if importlib.util.find_spec(full) is not None:
            continue
        module = types.ModuleType(full)
        for enum_name, enum in enums_of((CORE / f"{name.replace('.', '/')}.pxd").read_text()
                                        ).items():
            setattr(module, enum_name, enum)
            for member in enum:
                setattr(module, member.name, member)
        sys.modules[full] = module
        parent, _, leaf = full.rpartition(".")
        setattr(sys.modules.get(parent) or importlib.import_module(parent), leaf, module)
