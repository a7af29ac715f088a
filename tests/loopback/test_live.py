"""The live table and its keys on a real terminal: open and closed workloads in one run."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
FILE = """
version: 1
users:
  folk: { generated: 6 }
scenarios:
  offered: { call: options, executor: constant-arrival-rate, rate: 40/s, duration: 10m }
  held: { call: call, executor: constant-calls, calls: 10, duration: 10m, hold: 200ms }
  each: { call: options, executor: per-user, think: 200ms, users: folk, duration: 10m }
"""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """The command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        environment.pop("CI", None)
        environment.pop("NO_COLOR", None)
        self.pid, self.fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 40, 140, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "siploadgen", *arguments], environment)
        self.text = ""

    def read(self) -> bool:
        """Read on; False at the end."""
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += _ESCAPE.sub("", part.decode(errors="replace"))
        return bool(part)

    def until(self, pattern: str) -> re.Match[str]:
        """Read until a new picture shows something."""
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            assert self.read(), f"the end came before {pattern}: {self.text[-3000:]}"

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def end(self) -> int:
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_keys_steer_open_and_closed_workloads(tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text(FILE)
    screen = Screen("run", str(tmp_path / "mix.yaml"), "--self", "--ui", "rich", "--out",
                    f"json={tmp_path}/run.json")
    screen.until(r"scenario +planned +due +started +started/s +ok +failed +not +open")
    screen.until(r"held +10 open .* 10\s")  # as many are open as are to be held
    screen.until(r"each +6 open")
    screen.press("++")
    screen.until(r"rate x1\.21")
    screen.until(r"held +12 open .* 12\s")
    screen.press("*")
    screen.until(r"rate x12\.1")
    screen.until(r"held +64 open")  # of a closed workload four times its most, or 64
    screen.press("/")
    screen.until(r"rate x1\.21")
    screen.press("p")
    screen.until(r"paused")
    screen.until(r"offered +0/s .* 0\s")
    screen.until(r"held +0 open .* 0\s")
    screen.press("p-")
    screen.until(r"rate x1\.1")
    screen.until(r"held +11 open .* 11\s")
    screen.press("q")
    assert screen.end() == 105
    result = json.loads((tmp_path / "run.json").read_text())
    counted = result["calls"]
    assert counted["in_progress"] == 0
    assert counted["due"] == counted["started"] + sum(counted["not_started"].values())
    assert counted["started"] == counted["succeeded"] + sum(counted["failed"].values())
    assert not counted["failed"]
    assert set(counted["not_started"]) >= {"stopped"}
    assert sum(counted["not_started"].values()) == counted["not_started"]["stopped"]


def test_a_second_key_stops_at_once(tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text(FILE.replace("hold: 200ms", "hold: 1h"))
    screen = Screen("run", str(tmp_path / "mix.yaml"), "--self", "--ui", "rich", "--out",
                    f"json={tmp_path}/run.json")
    screen.until(r"held +10 open .* 10\s")
    screen.press("Q")
    assert screen.end() == 105
    held = json.loads((tmp_path / "run.json").read_text())["scenarios"]["held"]["calls"]
    assert held["failed"] == {"aborted": 10}
