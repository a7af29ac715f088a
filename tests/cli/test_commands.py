"""The command line: options, files, texts and exit codes, with simulated engines."""

import json
from importlib import resources

import jsonschema
import pytest

from siploadgen.cli.load import load_executor
from siploadgen.cli.options import check_gso, command_line, open_settings
from siploadgen.errors import UsageError
from siploadgen.model.builtin import MODELS
from siploadgen.units import NANOS

SCHEMA = json.loads((resources.files("siploadgen.report") / "run.schema.json").read_text())
QUICK = ("--ui", "none", "-r", "100", "-d", "100ms", "--limit", "late_start_p99=10s",
         "--limit", "receive_delay_p99=10s", "--limit", "loop_busy=100%")
TARGET = ("-t", "127.0.0.1:9")


def test_a_good_run_against_the_embedded_answerer(command, tmp_path):
    done = command("run", "call", "--self", *QUICK, "--out", str(tmp_path / "run1"))
    assert (done.code, done.err) == (0, "")
    assert "10 due, 10 started, 10 succeeded, 0 failed" in done.out
    assert "verdict    valid" in done.out
    result = json.loads((tmp_path / "run1" / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert result["target"]["embedded"]
    assert result["plan"]["rate_per_s"] == 100.0
    assert result["load_s"] == pytest.approx(0.1)
    assert result["rate"]["due_per_s"] == pytest.approx(100.0)
    assert result["exit_code"] == 0
    assert "answerer" in result


@pytest.mark.parametrize(("world", "more", "code"), [
    ({}, (), 0),
    ({"reject_share": 1.0}, (), 99),
    ({"reject_share": 1.0}, ("-T", "failed: rate <= 100%"), 0),
    ({"throttled": 2}, ("--obey-overload",), 99),
    ({"throttled": 2}, ("--obey-overload", "-T", "not_started: count == 2"), 0),
    ({}, ("-T", "srd: p(99) < 1us"), 99),
    ({"receive_drops": 5}, (), 91),
    ({"receive_drops": 5}, ("-T", "srd: p(99) < 1us"), 91),
    ({"receive_drops": 5}, ("--limit", "receive_drops=5"), 0),
    ({"silent": True}, (), 100),
    ({"refused": True}, (), 100),
    ({"unreachable": True}, (), 100),
    ({"cooked_books": True}, (), 1),
    ({"crash": True}, (), 1),
    ({"hold_s": 0.05}, ("--max-calls", "1", "--graceful-stop", "0"), 99),
    ({}, ("--limit", "receive_delay_p99=0"), 0),
    ({}, ("--limit", "receive_delay_p99=0", "--strict"), 91),
])
def test_exit_codes(command, world, more, code):
    done = command("run", "call", *TARGET, *QUICK, *more, **world)
    assert done.code == code, done


@pytest.mark.parametrize("file", ["ask-python", "counters-of-users", "find-in-messages", "sums",
                                  "subscribe-dialog"])
def test_what_a_file_computes_can_be_planned(command, file):
    path = resources.files("siploadgen").parent / "scenarios" / f"{file}.yaml"
    done = command("plan", str(path), "-r", "10", "-d", "1s")
    assert (done.code, done.err) == (0, "")
    assert f"{file}: " in done.out


@pytest.mark.timeout(60)
def test_a_threshold_stops_a_run(command, monkeypatch, tmp_path):
    """In a scenario file or on the command line; the load would last an hour."""
    monkeypatch.setattr("siploadgen.run.runner.INTERVAL_NS", NANOS // 20)
    path = tmp_path / "calls.yaml"
    path.write_text("version: 1\nscenarios: {calls: {call: call, executor: constant-arrival-rate, "
                    "rate: 100/s, duration: 1h}}\n"
                    'thresholds: {failed: {"rate < 1%": {abort: true, delay: 100ms}}}\n')
    words = (*TARGET, "--ui", "none", "--out", "json=-", *QUICK[6:])
    for more in ((str(path),), ("call", "-r", "100", "-d", "1h",
                                "-T", "failed: rate < 1% abort delay 100ms")):
        done = command("run", *more, *words, reject_share=1.0)
        assert done.code == 99, done
        result = json.loads(done.out)
        jsonschema.validate(result, SCHEMA)
        assert not result["interrupted"]
        stop = result["verdict"]["stopped_by"]
        assert stop["threshold"] == "failed: rate < 1% abort delay 100ms"
        assert 0.1 <= stop["t_s"] <= result["elapsed_s"] < 3600
        assert result["load_s"] < 3600
        assert result["calls"]["not_started"]["stopped"] > 0
        assert [row["stopped"] for row in result["thresholds"]] == [True]
        assert "by the threshold failed: rate < 1%" in done.err


def test_what_a_silent_target_looked_like(command):
    done = command("run", "call", *TARGET, *QUICK, silent=True)
    assert done.out.startswith("NO ANSWER from sip:127.0.0.1:9: only silence")
    done = command("run", "call", *TARGET, *QUICK, refused=True)
    assert "ICMP" in done.out.splitlines()[0]


@pytest.mark.parametrize(("arguments", "code", "said"), [
    ((), 2, "Usage"), (("bogus",), 2, "bogus"), (("run",), 2, "MODEL"),
    (("run", "call"), 2, "give either -t/--target URI or --self"),
    (("run", "call", "--self", *TARGET), 2, "not both"),
    (("run", "call", *TARGET, "--bogus"), 2, "--bogus"),
    (("run", "cal", *TARGET), 104, 'did you mean "call"'),
    (("run", "calls.yaml", *TARGET), 104, "calls.yaml: No such file"),
    (("run", "calls.xml", *TARGET), 104, "are not supported in this version"),
    (("run", "call", "-t", "8.8.8.8"), 2, "add --i-may-load-this-target"),
    (("run", "call", "-t", "tel:+1201"), 2, "give the next hop by -t sip:HOST"),
    (("run", "call", "-t", "a.invalid", "--dns", "ns.example"), 2, "--dns"),
    (("run", "call", "--self", "--dns", "127.0.0.1"), 2, "--dns: with --self"),
    (("run", "call", "-t", "host.invalid"), 100, "cannot be resolved"),
    (("run", "call", "-t", "sip:10.0.0.1;transport=tcp"), 2, "use transport=udp"),
    (("run", "call", *TARGET, "-r", "fast"), 2, '--rate "fast"'),
    (("run", "call", *TARGET, "-r", "0"), 2, "--rate: must be above 0"),
    (("run", "call", *TARGET, "-d", "10"), 2, "a unit is missing"),
    (("run", "call", *TARGET, "-d", "0"), 2, "longer than 0"),
    (("run", "call", *TARGET, "--calls", "0"), 2, "--calls"),
    (("run", "call", *TARGET, "--calls", "1.5"), 2, "whole number"),
    (("run", "call", *TARGET, "--arrival", "even"), 2, "uniform, poisson or batch(n)"),
    (("run", "call", *TARGET, "--ramp", "5"), 2, "--ramp"),
    (("run", "call", *TARGET, "--ramp", "5:10s", "-d", "1s"), 2, "shorter than the ramps"),
    (("run", "call", *TARGET, "--workers", "0"), 2, "--workers"),
    (("run", "call", *TARGET, "--max-calls", "1", "--workers", "2"), 2, "--max-calls"),
    (("run", "call", *TARGET, "--set", "hold"), 2, "write NAME=VALUE"),
    (("run", "call", *TARGET, "--set", "hol=3s"), 2, 'did you mean "hold"'),
    (("run", "call", *TARGET, "--set", "hold=never"), 2, "hold"),
    (("run", "call", *TARGET, "--users", "none.csv"), 104, "none.csv: No such file"),
    (("run", "call", *TARGET, "-T", "srd < 3"), 2, "threshold"),
    (("run", "call", *TARGET, "-T", "srdd: p(99) < 3ms"), 2, 'did you mean "srd"'),
    (("run", "call", *TARGET, "--out", "hgr=x"), 2, 'did you mean "hgrm"'),
    (("run", "call", *TARGET, "--limit", "x=1"), 2, "--limit"),
    (("run", "call", *TARGET, "--linger", "long"), 2, "--linger"),
    (("run", "call", *TARGET, "--t1", "500"), 2, '--t1 "500": a unit is missing'),
    (("run", "call", *TARGET, "--t1", "0"), 2, "--t1 0 ns: from 1 ms"),
    (("run", "call", *TARGET, "--t1", "-1s"), 2, "--t1"),
    (("run", "call", *TARGET, "--t1", "10s"), 2, "--t2 4 s: shorter than --t1"),
    (("run", "call", *TARGET, "--t2", "100ms"), 2, "--t2 100 ms: shorter than --t1 (500 ms)"),
    (("run", "call", *TARGET, "--t4", "2h"), 2, "--t4 2h00m00s: from 0 to 1h00m00s"),
    (("run", "call", *TARGET, "--gso-group", "0"), 2, "--gso-group 0: from 1 to 64"),
    (("run", "call", *TARGET, "--gso-group", "65"), 2, "--gso-group 65: from 1 to 64"),
    (("run", "call", *TARGET, "--gso-group", "all"), 2, "gso-group"),
    (("run", "call", *TARGET, "--coalesce", "often"), 2, '--coalesce "often"'),
    (("run", "call", *TARGET, "--coalesce", "1s"), 2, "--coalesce 1 s: from 0 to 100 ms"),
    (("run", "call", *TARGET, "--local", "203.0.113.1"), 2, "--local 203.0.113.1:0"),
    (("run", "call", *TARGET, "--graceful-stop", "x"), 2, "--graceful-stop"),
    (("run", "call", *TARGET, "--seed", "-1"), 2, "seed"),
    (("run", "call", *TARGET, "--ui", "gui"), 2, "gui"),
    (("answer", "--listen", "tcp:127.0.0.1:0"), 2, "use udp:"),
    (("answer", "--listen", "203.0.113.1:0"), 2, "--listen 203.0.113.1:0"),
    (("answer", "--t1", "soon"), 2, "--t1"), (("answer", "--t2", "1ms"), 2, "--t2"),
    (("answer", "--t4", "-5s"), 2, "--t4"), (("answer", "--gso-group", "99"), 2, "--gso-group"),
    (("answer", "--coalesce", "5"), 2, "--coalesce"), (("answer", "--linger", "x"), 2, "--linger"),
    (("answer", "--drop", "3"), 2, "--drop"), (("answer", "--rate-limit", "0"), 2, "--rate-limit"),
    (("answer", "--oc", "loss"), 2, '--oc "loss": write'), (("answer", "--oc", "x:1"), 2, "--oc"),
    (("answer", "--oc", "loss:101%"), 2, "--oc loss"),
    (("answer", "--oc", "rate:9000M"), 2, "--oc"), (("answer", "--oc", "rate:x"), 2, "--oc rate"),
    (("answer", "--oc-validity", "5"), 2, "--oc-validity"),
    (("answer", "--oc-validity", "9999h"), 2, "--oc-validity 9999h"),
    (("answer", "--retry-after", "1500ms"), 2, "whole seconds"),
    (("answer", "--reject", "200:3%"), 2, "200:3%"), (("answer", "--challenge", "md4"), 2, "md4"),
    (("answer", "--answer-after", "soon"), 2, "soon"), (("answer", "--ui", "rich"), 2, "--ui"),
    (("check", "x.xml"), 104, "x.xml"), (("check", "call", "--set", "hold=x"), 104, "hold"),
    (("show", "nothing"), 104, "nothing"), (("models", "show", "nothing"), 104, "nothing"),
    (("report", "nowhere/"), 104, "nowhere: No such file"),
    (("report", "x", "-o", "html"), 104, "x: No such file"),
    (("report", "x", "-o", "html="), 2, "KIND=PATH"),
    (("report", "x", "-o", "pdf"), 2, "choose summary"),
])
def test_wrong_command_lines(command, arguments, code, said):
    done = command(*arguments)
    assert done.code == code, done
    text = done.err if code != 2 or done.err else done.out
    assert said in text, text
    assert "Traceback" not in text
    if text.startswith("siploadgen: "):
        assert len(text.splitlines()) == 1


def test_help_everywhere(command):
    for words in ((), ("run",), ("answer",), ("models",), ("models", "show"), ("check",), ("show",),
                  ("report",), ("doctor",)):
        for option in ("-h", "--help"):
            done = command(*words, option)
            assert done.code == 0
            assert "Usage: siploadgen" in done.out
    assert command("--version").out.startswith("siploadgen 0.")


def test_models(command):
    lines = command("models").out.splitlines()
    assert [line.split()[0] for line in lines] == list(MODELS)
    shown = command("models", "show", "call").out
    assert "hold" in shown
    assert "def " in shown


def test_check_and_show(command):
    assert command("check", "call", "--set", "hold=2s").out.startswith("call: valid, ")
    assert "SEND" in command("show", "call", "--listing").out
    assert "INVITE sip:" in command("show", "call").out


def test_doctor(command):
    done = command("doctor")
    assert done.code == 0
    assert "net.core.rmem_max" in done.out


def test_results_can_be_reported_again(command, tmp_path):
    first = command("run", "call", *TARGET, *QUICK, "--out", str(tmp_path / "r"), reject_share=0.5)
    again = command("report", str(tmp_path / "r"))
    assert again.code == 0
    assert again.out == "\n".join(line for line in first.out.splitlines()
                                  if not line.startswith("files")) + "\n"
    saved = (tmp_path / "r" / "run.json").read_text()
    assert command("report", str(tmp_path / "r" / "run.json"), "-o", "json").out == saved
    assert command("report", str(tmp_path / "r"), "-o", "md").out == (
        tmp_path / "r" / "summary.md").read_text()
    assert "<testsuite" in command("report", str(tmp_path / "r"), "-o", "junit").out
    rows = (tmp_path / "r" / "intervals.ndjson").read_text()
    assert command("report", str(tmp_path / "r"), "-o", "ndjson").out == rows
    table = command("report", str(tmp_path / "r"), "-o", "csv").out.splitlines()
    assert len(table) == len(rows.splitlines()) + 1
    page = (tmp_path / "r" / "report.html").read_text()
    (tmp_path / "r" / "report.html").unlink()
    done = command("report", str(tmp_path / "r"), "-o", "html")
    assert (done.code, done.out) == (0, "")
    assert done.err.strip() == str(tmp_path / "r" / "report.html")
    assert (tmp_path / "r" / "report.html").read_text() == page
    assert command("report", str(tmp_path / "r"), "-o", "html=-").out == page
    command("report", str(tmp_path / "r"), "-o", f"md={tmp_path}/x.md")
    assert (tmp_path / "x.md").read_text() == (tmp_path / "r" / "summary.md").read_text()
    assert command("report", str(tmp_path / "r"), "-o", f"md={tmp_path}/no/x.md").code == 2
    (tmp_path / "r" / "intervals.ndjson").unlink()
    done = command("report", str(tmp_path / "r"), "-o", "csv")
    assert done.code == 104
    assert "keeps its intervals" in done.err
    (tmp_path / "r" / "run.json").write_text("{}")
    assert command("report", str(tmp_path / "r")).code == 104
    (tmp_path / "r" / "run.json").write_text("{")
    assert command("report", str(tmp_path / "r")).code == 104
    (tmp_path / "r" / "run.json").write_text('{"schema": "siploadgen/run/1"}')
    assert "incomplete" in command("report", str(tmp_path / "r")).err


def test_data_goes_to_stdout_alone(command):
    done = command("run", "call", *TARGET, *QUICK, "--ui", "json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert rows
    assert "10 due" in done.err
    done = command("run", "call", *TARGET, *QUICK, "--out", "json=-")
    assert json.loads(done.out)["calls"]["due"] == 10
    done = command("run", "call", *TARGET, *QUICK, "--ui", "line")
    assert "due" in done.err
    assert "due" in done.out


def test_a_table_without_a_terminal_does_no_harm(command):
    assert command("run", "call", *TARGET, *QUICK, "--ui", "rich").code == 0


def test_users_from_a_file_and_made_up(command, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("user,password\nalice,pw1\nbob,pw2\n")
    command("run", "register", *TARGET, *QUICK, "--users", str(users))
    rows, = command.world.engines[0].arguments["rows"]
    assert (rows.count, rows.names) == (2, ("user", "password"))
    command("run", "register", *TARGET, *QUICK)
    assert command.world.engines[0].arguments["rows"][0].count == 10
    command("run", "register", *TARGET, *QUICK, "--users", "1k")
    rows, = command.world.engines[0].arguments["rows"]
    assert rows.count == 1000
    assert rows.cell(1, 999) == b"secret"
    command("run", "call", *TARGET, *QUICK, "--users", str(users))
    assert command.world.engines[0].arguments["rows"][0].cell(0, 1) == b"bob"
    users.write_text("user\nalice\n")
    done = command("run", "register", *TARGET, *QUICK, "--users", str(users))
    assert done.code == 104
    assert 'users.csv:1: no column "password"' in done.err


def test_passwords_are_written_nowhere(command, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("user,password\nalice,pw-of-alice\n")
    done = command("run", "register", *TARGET, *QUICK, "--users", str(users),
                   "--set", "password=pw-of-all", "--out", str(tmp_path / "r"), reject_share=1.0)
    written = "".join(path.read_text() for path in (tmp_path / "r").iterdir())
    for text in (written, done.out, done.err):
        assert "pw-of" not in text
    assert json.loads((tmp_path / "r" / "run.json").read_text())["scenario"]["settings"] == {
        "password": "(left out)"}


def test_options_reach_the_engines(command):
    command("run", "call", *TARGET, *QUICK, "--workers", "2", "--max-calls", "6", "--gso", "off",
            "--linger", "0s", "--seed", "7", "--local", "127.0.0.1")
    first, second = (engine.arguments for engine in command.world.engines)
    assert (first["max_calls"], first["linger"], first["gso_group"], first["seed"]) == (3, 0, 1, 7)
    assert second["engine_id"] == 1
    assert first["target"] == ("127.0.0.1", 9)
    assert first["local"][0] == "127.0.0.1"
    assert first["local"][1] != second["local"][1]
    assert first["run_id"] == second["run_id"] != 0


TUNING = ("--t1", "50ms", "--t2", "1s", "--t4", "2s", "--gso-group", "8", "--linger", "3s",
          "--coalesce", "1ms")
TUNED = {"t1": 50_000_000, "t2": NANOS, "t4": 2 * NANOS, "gso_group": 8, "linger": 3 * NANOS,
         "coalesce": 1_000_000}
UNTUNED = {"t1": NANOS // 2, "t2": 4 * NANOS, "t4": 5 * NANOS, "gso_group": 32, "linger": -1}


def steering(engine):
    return {name: engine.arguments[name] for name in TUNED}


def test_tuning_reaches_the_engines_and_the_report(command, tmp_path):
    done = command("run", "call", "--self", *QUICK, *TUNING, "--out", f"json={tmp_path}/run.json")
    assert done.code == 0, done
    assert [steering(engine) for engine in command.world.engines] == [TUNED]
    # What waits at the answering side would be measured.
    assert [steering(engine) for engine in command.answering.engines] == [{**TUNED, "coalesce": 0}]
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    plan = result["plan"]
    assert plan["timers"] == {"t1_s": 0.05, "t2_s": 1.0, "t4_s": 2.0}
    assert (plan["linger_s"], plan["coalesce_s"]) == (3.0, 0.001)
    assert (result["generator"]["gso"], result["generator"]["gso_group"]) == (True, 8)
    assert "GSO, groups of 8" in done.out
    assert "T1 50 ms (not 500 ms), T2 1 s (not 4 s), T4 2 s (not 5 s), linger 3 s" in done.out


def test_without_tuning(command, tmp_path):
    done = command("run", "call", "--self", *QUICK, "--out", f"json={tmp_path}/run.json")
    assert steering(command.world.engines[0]) == {**UNTUNED, "coalesce": 0}
    assert steering(command.answering.engines[0]) == {**UNTUNED, "coalesce": 0}
    assert "timers" not in done.out
    plan = json.loads((tmp_path / "run.json").read_text())["plan"]
    assert plan["timers"] == {"t1_s": 0.5, "t2_s": 4.0, "t4_s": 5.0}
    assert (plan["linger_s"], plan["coalesce_s"]) == (None, 0.0)


@pytest.mark.parametrize("given", [False, True])
def test_an_answering_side_is_tuned_too(command, monkeypatch, tmp_path, given):
    from siploadgen.run.answer import AnswerRunner

    # It is told to stop before it starts.
    life = AnswerRunner.run
    monkeypatch.setattr(AnswerRunner, "run", lambda self: (self.stop(), life(self))[1])
    done = command("answer", "--listen", "udp:127.0.0.1:0", *(TUNING if given else ()),
                   "--out", f"json={tmp_path}/run.json")
    assert done.code == 0, done
    assert [steering(engine) for engine in command.answering.engines] == [
        TUNED if given else {**UNTUNED, "coalesce": 0}]
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert result["plan"]["timers"]["t1_s"] == (0.05 if given else 0.5)
    assert result["plan"]["coalesce_s"] == (0.001 if given else 0.0)
    assert result["generator"]["gso_group"] == (8 if given else 32)
    assert ("timers     T1 50 ms" in done.out) == given


@pytest.mark.parametrize("obey", [False, True])
def test_obedience_reaches_the_engines_and_the_report(command, tmp_path, obey):
    done = command("run", "call", *TARGET, *QUICK, *(["--obey-overload"] if obey else []),
                   "--out", f"json={tmp_path}/run.json", throttled=2 * obey)
    assert done.code == (99 if obey else 0), done
    assert [engine.arguments["obey_overload"] for engine in command.world.engines] == [obey]
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert result["plan"]["obey_overload"] is obey
    assert result["calls"]["not_started"]["throttled_by_oc"] == 2 * obey
    assert result["verdict"]["state"] == "valid"
    assert ("2 not started (throttled_by_oc)" in done.out) == obey


@pytest.mark.parametrize(("options", "arguments", "plan"), [
    ((), ("", 0, 500, 1), ("", 0.5, 1)),
    (("--oc", "loss:33.4%", "--oc-validity", "2s", "--retry-after", "0"),
     ("loss", 33, 2000, 0), ("loss:33.4%", 2.0, 0)),
    (("--oc", "rate:6k/m", "--oc-validity", "0", "--retry-after", "2m"),
     ("rate", 100, 0, 120), ("rate:6k/m", 0.0, 120)),
])
def test_an_answering_side_asks_for_less(command, monkeypatch, tmp_path, options, arguments, plan):
    from siploadgen.run.answer import AnswerRunner

    life = AnswerRunner.run
    monkeypatch.setattr(AnswerRunner, "run", lambda self: (self.stop(), life(self))[1])
    done = command("answer", "--listen", "udp:127.0.0.1:0", *options,
                   "--out", f"json={tmp_path}/run.json")
    assert done.code == 0, done
    engine, = command.answering.engines
    assert tuple(engine.arguments[name] for name in (
        "oc_algorithm", "oc_value", "oc_validity", "retry_after")) == arguments
    result = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(result, SCHEMA)
    assert tuple(result["plan"][name] for name in ("oc", "oc_validity_s", "retry_after_s")) == plan


@pytest.mark.parametrize(("options", "count"), [
    ((), 1), (("--workers", "auto"), 3), (("--workers", "auto", "--rate-limit", "15k"), 2),
    (("--workers", "2"), 2),
])
def test_workers_of_an_answering_side(command, monkeypatch, options, count):
    from siploadgen.run import plan
    from siploadgen.run.answer import AnswerRunner

    life = AnswerRunner.run
    monkeypatch.setattr(AnswerRunner, "run", lambda self: (self.stop(), life(self))[1])
    monkeypatch.setattr(plan, "available_cores", lambda: 3)
    done = command("answer", "--listen", "udp:127.0.0.1:0", *options)
    assert done.code == 0, done
    assert len(command.answering.engines) == count


@pytest.mark.parametrize(("options", "wanted"), [
    (("2k", "60s", None, None), (120_000, 60 * NANOS, None)),
    ((None, None, None, None), (100, 10 * NANOS, None)),
    (("100", None, "50", None), (float("inf"), None, 50)),
    (("0", None, None, ["100:10s"]), (500, 10 * NANOS, None)),
    (("100", "20s", None, ["200:10s"]), (3500, 20 * NANOS, None)),
    (("100", None, "5k", ["200:10s"]), (float("inf"), None, 5000)),
    (("100", None, None, ["200:10s:step", "50:10s:step"]), (2500, 20 * NANOS, None)),
])
def test_load(options, wanted):
    executor = load_executor(*options)
    assert (executor.shape.total, executor.shape.duration_ns, executor.calls) == wanted
    assert [phase.name for phase in executor.phases] == ["main"]
    warm = load_executor(*options, warmup="5s")
    assert [phase.measured for phase in warm.phases] == [False, True]
    assert warm.shape.total == pytest.approx(
        executor.shape.total + 5 * (executor.shape.stages[0].rate or 0), abs=501)


def test_secrets_are_left_out_of_command_lines():
    given = ["run", "--set", "password=x", "--set=my_secret=y", "--set", "hold=2s"]
    assert command_line(given) == [
        "siploadgen", "run", "--set", "password=(left out)", "--set=my_secret=(left out)",
        "--set", "hold=2s"]
    assert open_settings({"password": "x", "hold": "2s"}) == {"password": "(left out)",
                                                              "hold": "2s"}


def test_gso_must_be_there_when_it_is_asked_for(monkeypatch):
    from siploadgen.run import doctor

    assert check_gso("auto")
    assert not check_gso("off")
    monkeypatch.setattr(doctor, "UDP_SEGMENT", 9999)
    with pytest.raises(UsageError, match="--gso on: no"):
        check_gso("on")
