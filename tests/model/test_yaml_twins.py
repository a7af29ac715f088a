"""Built-in models written once more in YAML: the same programs, to the last octet."""

from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.listing import listing
from siploadgen.model.builtin import ANSWERERS, MODELS
from siploadgen.model.located import load, read_text
from siploadgen.model.scenario import Role
from siploadgen.model.values import Fixed
from siploadgen.model.yaml import call_models

FOLDER = Path(__file__).parent / "twins"
CALLERS = call_models(load(read_text(FOLDER / "callers.yaml"), "callers.yaml"), "callers.yaml")
ANSWERS = call_models(load(read_text(FOLDER / "answerers.yaml"), "answerers.yaml"),
                      "answerers.yaml", Role.ANSWERER, "answers")
TARGET = "sip:127.0.0.1:5060"
SETTINGS = {  # settings that both of them know, besides the defaults
    "call": {"hold": "lognormal(30s,0.6)", "ring_limit": "20s"},
    "call-auth": {"hold": "2s", "user": "bob", "password": "other"},
    "call-cancel": {"cancel_after": "3s"},
    "call-redirect": {"hops": "2"},
    "register": {"expires": "60"},
    "message": {"size": "uniform(10,100)"},
    "answer-auth": {"realm": "r", "password": "x"},
    "answer-no-answer": {"ring_time": "3s"},
}


def programs(name, settings):
    """The built-in one, and its twin."""
    if name in CALLERS:
        return [compile_scenarios(one.record(target=TARGET, settings=settings))
                for one in (MODELS[name].caller, CALLERS[name])]
    side = next(one for one in ANSWERERS if one.name == name)
    side = side.with_values({"answer_after": Fixed(0), "refusals": (), "challenge": ""})
    return [compile_scenarios(one.record(settings=settings)) for one in (side, ANSWERS[name])]


@pytest.mark.parametrize(("name", "settings"), [
    *((name, {}) for name in (*CALLERS, *ANSWERS)), *SETTINGS.items()])
def test_the_same_program(name, settings):
    python, yaml = programs(name, settings)
    assert listing(yaml) == listing(python)
    assert yaml.digest == python.digest
    assert yaml.sources != python.sources


def test_there_are_enough_of_them():
    assert len({*CALLERS, *ANSWERS}) >= 13
