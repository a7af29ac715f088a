"""What a verb loads before it does its work, and how plain words are read without pydantic."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperCommand
from typer.main import get_command

from siploadgen.cli.app import app
from siploadgen.cli.verbs import VERBS, plain

ROOT = Path(__file__).resolve().parents[2]
# Each takes longer to load than most verbs to do their work, or loads a lot of such.
HEAVY = ("pydantic", "rich", "jsonschema", "hdrh", "plotly", "hypothesis", "unittest", "asyncio",
         "email", "multiprocessing", "importlib.metadata", "xml", "numpy.random", "numpy.testing")
ARRAYS = ("numpy", "siploadgen.core.engine")


# The command, and at its end the names of all modules in the file of the first argument.
WITNESS = """
import atexit, pathlib, sys
note = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: note.write_text(" ".join(sys.modules)))
from siploadgen.cli import main
main()
"""


@pytest.fixture
def loaded(tmp_path):
    return lambda *arguments: modules(tmp_path / "modules", *arguments)


def modules(note: Path, *arguments: str) -> set[str]:
    """Return the modules that the command imports, packages of modules among them."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # a variable for a command would be a layer of its options, which takes pydantic to read
    others = {name: value for name, value in os.environ.items()
              if not name.startswith("SIPLOADGEN_")}
    done = subprocess.run(
        [sys.executable, "-c", WITNESS, str(note), *arguments],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
        env={**others, "PYTHONPATH": os.pathsep.join(paths)})
    assert done.returncode == 0, done.stderr
    names = set(note.read_text().split())
    assert "siploadgen.cli.app" in names
    return names


@pytest.mark.parametrize("arguments", [
    ("--help",), ("--version",), ("run", "--help"), ("models",), ("models", "show", "call"),
    ("doctor",),
], ids=" ".join)
def test_what_needs_no_arrays_loads_none(loaded, arguments):
    assert not loaded(*arguments) & {*HEAVY, *ARRAYS}


@pytest.mark.parametrize("arguments", [("check", "call"), ("show", "call", "--listing")],
                         ids=" ".join)
def test_what_compiles_loads_no_engine(loaded, arguments):
    assert sorted(loaded(*arguments) & {*HEAVY, "siploadgen.core.engine"}) == []


@pytest.mark.loopback
@pytest.mark.parametrize("ui", ["line", "none", "json"])
def test_a_run_loads_what_it_needs(loaded, ui, tmp_path):
    names = loaded("run", "call", "--self", "--calls", "1", "--ui", ui, "--limit",
                   "late_start_p99=10s", "--out", f"json={tmp_path}/run.json")
    assert not names & set(HEAVY)
    assert set(ARRAYS) <= names
    assert not loaded("report", str(tmp_path / "run.json")) & {*HEAVY, *ARRAYS}


def test_a_verb_loads_no_other(loaded):
    names = loaded("doctor")
    assert [verb for verb in VERBS if f"siploadgen.cli.{verb}" in names] == ["doctor"]


def parameters():
    """Yield each parameter of each command."""
    root = get_command(app)
    groups = [root, root.get_command(None, "models")]
    commands = [*groups, *(root.get_command(None, verb) for verb in VERBS)]
    commands += [group.get_command(None, name) for group in groups
                 for name in group.list_commands(None)]
    for command in commands:
        if isinstance(command, TyperCommand):
            for parameter in command.params:
                yield command, parameter


WORDS = ("", "5", "0", "-1", "64", "4294967295", "4294967296", "1.0", "1_0", " 5", "+5", "\u0661",
         "auto", "AUTO", "mermaid", "on", "none", "local", "md5", "sha-256", "hold=2s", "json",
         "caf\xe9", "\udcff")


@pytest.mark.parametrize(("command", "parameter"), [
    pytest.param(command, parameter, id=f"{command.name} {parameter.name}")
    for command, parameter in parameters()])
def test_a_plain_word_means_what_typer_says(command, parameter):
    if parameter.type_descriptor.annotation is bool:
        return  # typer takes flags as they are
    context = command.context_class(command, info_name=command.name)
    own = type(parameter).get_runtime_param(parameter)
    taken = 0
    for word in (None, parameter.default, *WORDS):
        value = word if word is None or not parameter.multiple else [word]
        try:
            meant = plain(value, parameter)
        except LookupError:
            continue
        taken += 1
        assert meant == own.coerce(value, param=parameter, ctx=context)
    assert taken > 2  # None, the default and some word
