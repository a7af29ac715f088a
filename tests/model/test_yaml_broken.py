"""Call files with faults: beside each stands what is said of it, all at once and with places.

SIPLOADGEN_GOLDEN=write writes that anew; then read the difference.
"""

import os
from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.errors import ScenarioError
from siploadgen.model.errors import ModelError
from siploadgen.model.located import FileError, load, read_text
from siploadgen.model.scenario import Role
from siploadgen.model.yaml import call_models

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(path.stem for path in BROKEN.glob("*.yaml"))


def said(name):
    """What is said of a file: of its form, else of each model when it is recorded and compiled."""
    found = []
    try:
        node = load(read_text(f"{name}.yaml"), f"{name}.yaml")
        models = [*call_models(node, f"{name}.yaml").values(),
                  *call_models(node, f"{name}.yaml", Role.ANSWERER, "answers").values()]
    except FileError as error:
        return str(error)
    for model in models:
        try:
            compile_scenarios(model.record(target="sip:127.0.0.1:5060"))
        except (ScenarioError, ModelError) as error:
            found.append(str(error))
    return "\n".join(found)


@pytest.mark.parametrize("name", FILES)
def test_all_faults_are_told(name, monkeypatch):
    monkeypatch.chdir(BROKEN)
    golden = BROKEN / f"{name}.txt"
    text = said(name) + "\n"
    if os.environ.get("SIPLOADGEN_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", FILES)
def test_each_fault_has_a_place_and_a_mend(name):
    for line in (BROKEN / f"{name}.txt").read_text().splitlines():
        assert line.startswith(f"{name}.yaml:"), line
        assert line.split(":")[1].isdigit(), line
        assert line.endswith(")"), line


def test_there_are_enough_of_them():
    assert len(FILES) >= 25
    assert {path.stem for path in BROKEN.glob("*.txt")} == set(FILES)
