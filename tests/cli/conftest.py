"""The command in this process, and in one of its own for signals."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from siploadgen import cli
from tests.run import fake_cli
from tests.run.fake_engine import World

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    code: int
    out: str
    err: str


@dataclass
class Command:
    """Calls `main` with simulated engines."""

    capsys: pytest.CaptureFixture
    monkeypatch: pytest.MonkeyPatch
    world: World = field(default_factory=World)
    answering: World = field(default_factory=World)

    def __call__(self, *arguments: str, **world) -> Done:
        self.world = World(**world)
        self.monkeypatch.setattr("siploadgen.run.runner.compiled_engine", self.world.engine)
        self.answering = World()
        self.monkeypatch.setattr("siploadgen.run.answer.compiled_engine", self.answering.engine)
        self.monkeypatch.setattr(sys, "argv", ["siploadgen", *arguments])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        captured = self.capsys.readouterr()
        code = end.value.code
        return Done(0 if code is None else int(code), captured.out, captured.err)


@pytest.fixture
def command(capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return Command(capsys, monkeypatch)


class Process:
    """The command as a process of its own."""

    def __init__(self, world: str, *arguments: str) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.popen = subprocess.Popen(
            [sys.executable, "-m", fake_cli.__name__, world, *arguments], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})

    def wait_for_line(self, text: str = "") -> None:
        """Read standard error until a line with `text` comes: `--ui line` writes one a second."""
        for line in self.popen.stderr:
            if text in line:
                return
        raise AssertionError(f"no line with {text!r} came")

    def signal(self, number: int = signal.SIGINT) -> None:
        self.popen.send_signal(number)

    def end(self) -> Done:
        out, err = self.popen.communicate(timeout=60)
        return Done(self.popen.returncode, out, err)


@pytest.fixture
def process():
    started = []

    def start(world, *arguments):
        started.append(Process(world, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.popen.poll() is None:
            one.popen.kill()
            one.popen.communicate()
