"""Whole scenario files: what they mean, and everything that is wrong with them at once."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from siploadgen.cli.new import TEMPLATES
from siploadgen.config.job import build, load_job
from siploadgen.errors import ScenarioError
from siploadgen.model.errors import ModelError
from siploadgen.model.located import FileError

TARGET = "sip:127.0.0.1:5060"
BROKEN = Path(__file__).parent / "broken"
FILE = """
version: 1
target: { uri: "sip:10.0.0.5:5060" }
users: { callers: { csv: users.csv, pick: unique } }
seed: 42
warmup: 2s
calls:
  basic:
    variables: { hold: 1s }
    steps:
      - send: INVITE
        to: "sip:{callee.user}@{target.host}"
        sdp: g711
        start: srd
      - expect: { 1xx: optional, 401|407: authenticate }
      - expect: { 200: { stop: srd } }
      - send: ACK
      - pause: "{hold}"
      - send: BYE
      - expect: { 200: {} }
scenarios:
  registrations: { call: register, executor: constant-calls, calls: 10, duration: 5s, expires: 300 }
  load:
    mix: { basic: 3, options: 1 }
    callees: callers
    executor: ramping-arrival-rate
    start_after: registrations.ready
    stages: [{ phase: ramp, target: 100/s, duration: 2s },
             { phase: busy, target: 100/s, duration: 4s }]
thresholds:
  srd{phase=busy}: ["p(99) < 150ms", "p(50) < 50ms"]
profiles: { ci: { scenarios.load.stages: [{ phase: busy, target: 20/s, duration: 1s }], seed: 7 } }
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "users.csv").write_text("user,password\n" + "".join(
        f"u{number},secret\n" for number in range(20)))
    path = tmp_path / "calls.yaml"
    path.write_text(FILE)
    return str(path)


def test_a_whole_file(file):
    job = load_job(file)
    assert (job.target, job.file.seed) == ("sip:10.0.0.5:5060", 42)
    assert job.thresholds == ("srd{phase=busy}: p(99) < 150ms", "srd{phase=busy}: p(50) < 50ms")
    built = build(job, TARGET)
    assert built.program.scenarios == ("register", "basic", "options")
    registrations, load = built.workloads
    assert [phase.name for phase in load.executor.phases] == ["warmup", "ramp", "busy"]
    assert load.entries == ((1, 3.0), (2, 1.0))
    assert load.start_after == "registrations.ready"
    assert [rows.names for rows in built.rows] == [
        ("user", "password"), ("callee.user", "callee.password")]
    numbers = np.arange(1000, dtype=np.uint64)
    callers, callees = (feed.rows_for(42, 1, numbers) for feed in load.feeds)
    assert (callers != callees).all()
    assert registrations.feeds[0].exclusive


def test_a_profile_lies_over_the_file(file):
    job = load_job(file, "ci")
    assert job.file.seed == 7
    assert [phase.name for phase in job.works[1].executor.phases] == ["warmup", "busy"]
    with pytest.raises(FileError, match=r"there is no profile cy \(known: ci\)"):
        load_job(file, "cy")


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_templates_are_sound(name, tmp_path):
    path = tmp_path / f"{name}.yaml"
    path.write_text((resources.files("siploadgen") / "templates" / f"{name}.yaml").read_text())
    assert build(load_job(str(path)), TARGET).workloads


def test_the_template_in_python(tmp_path):
    path = tmp_path / "call.py"
    path.write_text((resources.files("siploadgen") / "templates" / "call.py.txt").read_text())
    job = load_job(str(path))
    assert [work.name for work in job.works] == ["basic-call"]


CASES = sorted(path for path in BROKEN.iterdir() if path.suffix in (".yaml", ".py"))


@pytest.mark.parametrize("path", CASES, ids=[path.name for path in CASES])
def test_what_is_broken_is_told_with_its_place(path, monkeypatch):
    """Beside each file stands what is said of it."""
    monkeypatch.chdir(BROKEN)
    with pytest.raises((ScenarioError, ModelError)) as caught:
        build(load_job(path.name), TARGET)
    assert str(caught.value) + "\n" == path.with_suffix(path.suffix + ".txt").read_text()


def test_there_are_many_broken_files():
    assert len(CASES) >= 25


@pytest.mark.parametrize(("name", "data", "message"), [
    ("none.yaml", None, "none.yaml: No such file"), ("latin.yaml", b"a: \xe4\n", "latin.yaml:1:4"),
])
def test_files_that_cannot_be_read(tmp_path, monkeypatch, name, data, message):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        Path(name).write_bytes(data)
    with pytest.raises(FileError) as caught:
        load_job(name)
    assert str(caught.value).startswith(message)
