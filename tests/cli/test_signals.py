"""Signals end a run in order, and the report is written in every case."""

import json
import signal
from importlib import resources

import jsonschema
import pytest

SCHEMA = json.loads((resources.files("siploadgen.report") / "run.schema.json").read_text())

RUN = ("run", "call", "-t", "127.0.0.1:9", "-r", "50", "-d", "120s", "--ui", "line")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_calls_end(process, tmp_path, number):
    running = process('{"hold_s": 100}', *RUN, "--out", str(tmp_path))
    running.wait_for_line()
    running.signal(number)
    done = running.end()
    assert done.code == 105
    assert "Traceback" not in done.err
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    calls = result["calls"]
    assert result["interrupted"]
    assert result["exit_code"] == 105
    assert calls["succeeded"] == calls["started"] > 0
    assert calls["in_progress"] == 0
    assert calls["due"] == calls["started"] + sum(calls["not_started"].values())
    assert "stopped before its end" in done.out


def test_the_second_signal_stops_at_once(process, tmp_path):
    running = process('{"hold_s": 100, "deaf_to_hang_up": true}', *RUN, "--out", str(tmp_path))
    running.wait_for_line()
    running.signal()
    running.wait_for_line("stopping")
    running.signal()
    done = running.end()
    assert done.code == 105
    assert "Traceback" not in done.err
    calls = json.loads((tmp_path / "run.json").read_text())["calls"]
    assert calls["failed"] == {"aborted": calls["started"]}


def test_a_graceful_stop_has_an_end(process, tmp_path):
    running = process('{"hold_s": 100, "deaf_to_hang_up": true}', *RUN, "--graceful-stop", "200ms",
                      "--out", str(tmp_path))
    running.wait_for_line()
    running.signal()
    assert running.end().code == 105
    assert json.loads((tmp_path / "run.json").read_text())["calls"]["failed"]["aborted"] > 0


def test_an_answerer_says_when_it_is_ready_and_reports_when_it_is_stopped(process, tmp_path):
    running = process("{}", "answer", "--listen", "udp:127.0.0.1:0", "--workers", "2",
                      "--out", str(tmp_path))
    ready = running.popen.stdout.readline()
    assert ready.startswith("listening on udp:127.0.0.1:")
    assert ready.count("udp:") == 2
    running.signal(signal.SIGTERM)
    done = running.end()
    assert (done.code, done.err) == (0, "")
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert result["plan"]["role"] == "answerer"
    assert result["calls"]["due"] == 0
    assert "answered on" in done.out
