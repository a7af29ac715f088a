"""Examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import siploadgen.compile
import siploadgen.model
from siploadgen.model.recorder import Recorder
from siploadgen.model.target import parse_target

MODULES = [info.name for package in (siploadgen.model, siploadgen.compile)
           for info in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        example.globs["c"] = Recorder("example", target=parse_target("sip:127.0.0.1:5060"))
        runner.run(example)
    assert runner.failures == 0
