"""The JSON Schemas that are published: what is right fits them, what is wrong in form does not."""

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from siploadgen.cli.new import schema_text
from siploadgen.model.located import load, plain

ROOT = Path(__file__).resolve().parents[2]
BROKEN = Path(__file__).parent / "broken"
TEMPLATES = ROOT / "siploadgen" / "templates"
FILES = jsonschema.Draft202012Validator(json.loads(schema_text()))
CONFIGS = jsonschema.Draft202012Validator(json.loads(schema_text(config=True)))
GOOD = sorted([*(ROOT / "scenarios").glob("*.yaml"), *TEMPLATES.glob("*.yaml")])


def tree(path: Path):
    return plain(load(path.read_text(), path.name))


@pytest.mark.parametrize("schema", [FILES, CONFIGS])
def test_they_are_schemas(schema):
    jsonschema.Draft202012Validator.check_schema(schema.schema)
    used = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema.schema)))
    assert used <= set(schema.schema["$defs"])


def test_there_are_files_to_try():
    assert len(GOOD) > 60


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_is_right_fits(path):
    FILES.validate(tree(path))


# What is wrong with the others is no matter of form: names of calls, order, what a file holds.
@pytest.mark.parametrize("name", [
    "duration", "executor", "key", "limits", "missing", "outputs", "rate", "seed",
    "stage", "severity", "step", "target", "threshold-option", "timers", "ui",
    "users-key", "version", "warmup", "weight"])
def test_what_is_wrong_in_form_does_not(name):
    with pytest.raises(jsonschema.ValidationError):
        FILES.validate(tree(BROKEN / f"{name}.yaml"))


def test_the_template_of_a_configuration_fits():
    text = (resources.files("siploadgen") / "templates" / "siploadgen.toml").read_text()
    CONFIGS.validate(tomllib.loads(text))
    # and so does what is commented out
    CONFIGS.validate(tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.M)))


@pytest.mark.parametrize("text", [
    'rate = "fast"', "rate = true", 'raet = "2k"', 'duration = "30"', "seed = -1", 'seed = "1"',
    'self = "yes"', 'threshold = "srd: p(99) < 1s"', 'gso = "maybe"', "gso_group = 65",
    "[limit]\nlate = 1", "[set]\nhold = []", '[answer]\nrate = "2k"', '[profiles.ci]\nraet = "2k"',
    '[profiles.ci]\nprofile = "other"', "profiles = 3", 'drop = "1"', '[answer]\ndrop = "101"',
])
def test_a_configuration_that_is_wrong_in_form_does_not(text):
    with pytest.raises(jsonschema.ValidationError):
        CONFIGS.validate(tomllib.loads(text))
