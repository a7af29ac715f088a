"""`run --debug`: what a call does, as it happens, on real sockets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]


def debug(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "siploadgen", "run", *arguments, "--debug"],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout


def told(text: str) -> list[str]:
    """The lines of happenings, without their times."""
    return [line[11:].strip() for line in text.splitlines()
            if re.match(r" *[0-9]+\.[0-9]{6}  ", line)]


def test_one_call_is_told_and_reported() -> None:
    code, text = debug("call", "--self", "--set", "hold=50ms")
    assert code == 0, text
    lines = told(text)
    assert lines[0].endswith("*** started: call")
    assert lines[-1].endswith("*** ended: succeeded")
    assert [re.sub(r" (to|from) 127.*", "", line).split(maxsplit=2)[2] for line in lines
            if ">>>" in line or "<<<" in line] == [
        "2  >>> sent INVITE", "<<< received 180 INVITE", "<<< received 200 INVITE",
        "12  >>> sent ACK", "20  >>> sent BYE", "<<< received 200 BYE"]
    assert any(line.endswith("pause 50 ms") for line in lines)
    assert "    | INVITE sip:service@127.0.0.1" in text
    assert "calls      1 due, 1 started, 1 succeeded, 0 failed" in text


def test_more_calls_when_asked_for_and_data_apart(tmp_path: Path) -> None:
    code, text = debug("options", "--self", "--calls", "3", "--out", f"json={tmp_path}/run.json")
    assert code == 0
    assert sum("*** ended" in line for line in told(text)) == 3
    assert json.loads((tmp_path / "run.json").read_text())["calls"]["succeeded"] == 3


def test_every_scenario_of_a_file_makes_a_call(tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text("""
version: 1
scenarios:
  one: { call: options, executor: constant-arrival-rate, rate: 40/s, duration: 10m }
  two: { call: message, executor: constant-calls, calls: 10, duration: 10m }
""")
    code, text = debug(str(tmp_path / "mix.yaml"), "--self")
    assert code == 0
    assert sorted(line.split("*** ")[1] for line in told(text) if "*** started" in line) == [
        "started: message", "started: options"]


def test_a_port_where_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    code, text = debug("options", "-t", f"127.0.0.1:{port}")
    assert code == 100
    lines = told(text)
    assert any(line.endswith("OPTIONS could not be delivered (ICMP)") for line in lines)
    assert lines[-1].endswith("*** ended: transport (failed)")


def test_hooks_are_asked() -> None:
    code, text = debug("scenarios/ask-python.yaml", "--self")
    assert code == 0
    assert any("hook data/signer.py:sign: yes" in line for line in told(text))
