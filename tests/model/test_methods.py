"""Numbers that are written down twice must be the same."""

import ast
import re
from enum import IntEnum
from pathlib import Path

import pytest

from siploadgen.core import counters, program
from siploadgen.model.methods import Method

ROOT = Path(__file__).parents[2]


def test_methods_are_those_of_the_core():
    text = (ROOT / "ext/siploadgen/core/sip/tokens.pxd").read_text()
    block = re.search(r"cpdef enum Method:\n(.*?)\n\n", text, re.DOTALL)[1]
    numbers, following = {}, 0
    for name, value in re.findall(r"METHOD_(\w+)(?: = (\d+))?", block):
        following = int(value) if value else following
        numbers[name] = following
        following += 1
    assert numbers.pop("COUNT") > max(Method)
    assert {one.name: one.value for one in Method} == numbers


@pytest.mark.parametrize("module", [program, counters])
def test_stubs_list_the_enums_of_the_module(module):
    stub = ROOT / "siploadgen/core" / f"{module.__name__.rpartition('.')[2]}.pyi"
    listed = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef):
            listed[node.name] = {item.targets[0].id: item.value.value for item in node.body}
    found = {name: {one.name: one.value for one in value} for name, value in vars(module).items()
             if isinstance(value, type) and issubclass(value, IntEnum) and value.__module__ ==
             module.__name__ and len(value)}
    assert listed == found
