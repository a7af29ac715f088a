"""`siploadgen inspect`: jobs as they were read, and values with their layers."""

import json
from pathlib import Path

import pytest

from siploadgen.cli.inspect import HEAD, LEFT_OUT, as_yaml, cleaned, job_tree
from siploadgen.config.job import build, load_job
from siploadgen.model.builtin import MODELS
from siploadgen.model.located import load, plain

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
SECRET = "kT7-not-for-anybody"
TARGET = "sip:127.0.0.1:5060"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_job_as_read_is_the_same_job(path, tmp_path):
    """Written out and read again the file gives the same program."""
    job = load_job(str(path))
    (tmp_path / "data").symlink_to(path.parent / "data")
    copy = tmp_path / path.name
    copy.write_text(as_yaml(job_tree(job)))
    again = load_job(str(copy))
    if job.works and all(work.executor for work in job.works):
        assert build(again, TARGET).program.digest == build(job, TARGET).program.digest
    assert again.works == job.works
    assert again.thresholds == job.thresholds


@pytest.mark.parametrize("name", MODELS)
def test_a_built_in_model_is_a_scenario_file_too(command, tmp_path, name):
    done = command("inspect", name)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "copy.yaml"
    copy.write_text(done.out)
    assert load_job(str(copy)).works[0].calls == ((name, 1.0),)


def test_json_and_yaml_say_the_same(command):
    path = str(ROOT / "scenarios" / "busy-hour.yaml")
    said = command("inspect", path)
    assert json.loads(command("inspect", path, "-o", "json").out) == plain(load(said.out, "x"))


def test_a_file_in_python(command):
    done = command("inspect", str(ROOT / "scenarios" / "basic_call.py"))
    assert done.code == 0
    assert [*plain(load(done.out, "x"))] == ["version", "scenarios"]


def test_a_profile_lies_over_the_job(command, tmp_path):
    path = tmp_path / "calls.yaml"
    path.write_text("version: 1\nseed: 1\nx-steps: &steps [{send: OPTIONS}, {expect: 200}]\n"
                    "calls: {basic: {steps: *steps}}\nprofiles: {ci: {seed: 7}}\n")
    assert plain(load(command("inspect", str(path), "--profile", "ci").out, "x")) == {
        "version": 1, "seed": 7,
        "calls": {"basic": {"steps": [{"send": "OPTIONS"}, {"expect": 200}]}}}


def test_the_table_has_a_row_for_each_value(command):
    done = command("inspect", "call", "--resolved", "--rate", "2k")
    lines = done.out.splitlines()
    assert lines[0].split() == list(HEAD)
    assert ["rate", "2k", "command", "line", "--rate"] in [line.split() for line in lines]
    assert ["seed", "1", "default"] in [line.split() for line in lines]
    values = json.loads(command("inspect", "call", "--resolved", "--rate", "2k", "-o", "json").out)
    assert len(values["values"]) == len(lines) - 1
    assert values["model"] == "call"


def test_without_a_file_the_options_alone(command):
    assert command("inspect", "--resolved").code == 0
    done = command("inspect")
    assert done.code == 2
    assert "give --resolved" in done.err


FILE = f"""
version: 1
target: "sip:anna:{SECRET}@10.0.0.5"
calls:
  basic:
    variables: {{ password: {SECRET}, ha1: {SECRET}, hold: 1s }}
    steps:
      - send: OPTIONS
        from: "sip:bert:{SECRET}@example.com"
        headers: {{ Authorization: 'Digest response="{SECRET}"' }}
      - expect: {{ 200: {{}}, 401: {{ authenticate: {{ user: anna, password: {SECRET} }} }} }}
      - raw: |
          OPTIONS sip:x SIP/2.0
          Proxy-Authorization: Digest response="{SECRET}"
answers:
  proxy:
    method: INVITE
    steps: [{{ challenge: {{ password: {SECRET}, realm: r }}, do: [{{ respond: 401 }}] }}]
scenarios:
  load: {{ call: basic, executor: constant-calls, calls: 1, duration: 1s, password: {SECRET} }}
"""


def test_passwords_are_never_printed(tmp_path):
    path = tmp_path / "calls.yaml"
    path.write_text(FILE)
    text = as_yaml(cleaned(plain(load(path.read_text(), "x"))))
    assert SECRET not in text
    assert text.count(LEFT_OUT) >= 8
    assert "anna" in text
    assert cleaned({"password": "{password}"}) == {"password": "{password}"}  # a column


@pytest.mark.parametrize("output", ["text", "json"])
def test_nor_those_of_layers(command, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "siploadgen.toml").write_text(
        f'target = "sip:anna:{SECRET}@10.0.0.5"\n[set]\npassword = "{SECRET}"\nha1 = "{SECRET}"\n')
    monkeypatch.setenv("SIPLOADGEN_SET", f"aka_k={SECRET}")
    done = command("inspect", "register", "--resolved", "-o", output, "--set",
                   f"aka_opc={SECRET}", "--local", "10.0.0.1")
    assert done.code == 0
    assert SECRET not in done.out + done.err
    assert done.out.count(LEFT_OUT) == 5
