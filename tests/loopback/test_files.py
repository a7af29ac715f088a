"""Scenario files through the command, against the embedded answerer."""

import json
import subprocess
import sys

import jsonschema
import pytest

from tests.report.test_results import SCHEMA

pytestmark = [pytest.mark.loopback]


def command(*words, folder):
    return subprocess.run([sys.executable, "-m", "siploadgen", *words], cwd=folder, timeout=100,
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("template", ["call", "register", "answer"])
def test_a_new_file_is_checked_planned_shown_and_run(tmp_path, template):
    assert command("new", "my.yaml", "--template", template, folder=tmp_path).returncode == 0
    again = command("new", "my.yaml", folder=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    for verb in ("check", "show", "plan"):
        done = command(verb, "my.yaml", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    done = command("run", "my.yaml", "--self", "--ui", "none", "--out", "json=run.json",
                   "--graceful-stop", "60s", folder=tmp_path)
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert result["calls"]["failed"] == {}, done
    assert result["calls"]["due"] == result["calls"]["succeeded"] > 0
    for part in ("scenarios", "phases"):
        rows = result[part].values()
        assert sum(row["calls"]["due"] for row in rows) == result["calls"]["due"]
        assert sum(row["calls"]["succeeded"] for row in rows) == result["calls"]["succeeded"]


def test_a_python_file_is_run_as_it_is(tmp_path):
    assert command("new", "my.py", folder=tmp_path).returncode == 0
    done = command("run", "my.py", "--self", "--ui", "none", "--calls", "20", "--rate", "50/s",
                   "--set", "hold=0s", "--out", "json=run.json", folder=tmp_path)
    result = json.loads((tmp_path / "run.json").read_text())
    assert result["calls"]["succeeded"] == 20, done


def test_a_broken_file_is_told_of_without_a_traceback(tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\ncals: {}\n")
    for verb in ("run", "check", "show", "plan"):
        words = (verb, "bad.yaml", *(("--self",) if verb == "run" else ()))
        done = command(*words, folder=tmp_path)
        assert done.returncode == 104
        assert 'bad.yaml:2:1 cals: unknown key (did you mean "calls"?)' in done.stderr
        assert "Traceback" not in done.stderr


def test_several_scenarios_take_no_rate_of_the_command(tmp_path):
    command("new", "my.yaml", "--template", "register", folder=tmp_path)
    done = command("run", "my.yaml", "--self", "--rate", "5/s", folder=tmp_path)
    assert done.returncode == 2
    assert "this one has 2 (registrations, calls)" in done.stderr
