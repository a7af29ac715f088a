"""Runs from Python, short ones, against the embedded answerer."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import jsonschema
import numpy as np
import pytest

from siploadgen import (
    Run,
    UsageError,
    answer,
    call,
    constant_arrival_rate,
    constant_calls,
    csv_users,
    day_curve,
    generated_users,
    lognormal,
    per_user,
    ramping_arrival_rate,
    ramping_calls,
    replay,
    shared_calls,
    stairs,
    users,
)
from siploadgen.errors import ScenarioError
from tests.report.test_results import SCHEMA

live = pytest.mark.loopback


@call(name="basic", hold=lognormal("20ms", 0.6))
def basic(c):
    c.invite(sdp="g711", start="srd")
    c.expect(optional=100).optional(180, 183, stop="srd")
    c.expect(200, within="32s").otherwise(end="failed")
    c.ack()
    c.pause(c.v.hold)
    c.bye()
    c.expect(200)


@live
def test_outputs_of_a_run(tmp_path):
    """What the command leaves: intervals, and failures with the messages of their calls."""
    @call(name="wrong")
    def wrong(c):
        c.send("OPTIONS", "sip:busy@{target.host}")
        c.expect(200)

    result = Run().add(wrong, shared_calls(10, concurrency=2)).execute(
        outputs=[f"{tmp_path}/run/", f"pcap={tmp_path}/failed.pcap"])
    folder = tmp_path / "run"
    assert json.loads((folder / "run.json").read_text()) == result.to_dict()
    assert len((folder / "intervals.ndjson").read_text().splitlines()) >= 1
    rows = [json.loads(line) for line in (folder / "errors.ndjson").read_text().splitlines()]
    assert len(rows) == 10 == sum(result.calls["failed"].values())
    assert all(one["messages"][0]["text"].startswith("OPTIONS ") for one in rows)
    assert (tmp_path / "failed.pcap").stat().st_size > 1000
    with pytest.raises(UsageError, match="pdf"):
        Run().add("options", shared_calls(1)).execute(outputs=["pdf=x"])


@live
def test_phases_thresholds_and_the_result(tmp_path):
    rows = tmp_path / "users.csv"
    rows.write_text("user,password\n" + "".join(f"u{n},p\n" for n in range(9)))

    people = csv_users(rows, pick="random")

    @call(users=people)
    def chat(c):
        c.send("MESSAGE", "sip:{callee.user}@{target.host}", body="from {user}", start="rtt")
        c.expect("2xx", stop="rtt")

    result = Run(seed=42, name="whole").add(
        basic, ramping_arrival_rate([("50/s", "1s", "ramp"), ("50/s", "1s", "busy")])).add(
        {chat: 3, "options": 1}, constant_arrival_rate("40/s", "1s"),
        callees=people, name="mixed").threshold(
        "srd{phase=busy}: p(99) < 30s", "calls.failed{scenario=mixed}: count == 0").execute()
    jsonschema.validate(result.to_dict(), SCHEMA)
    assert result.calls["failed"] == {}, result
    assert result.calls["due"] == result.calls["succeeded"] == 75 + 40
    assert [row["ok"] for row in result.thresholds] == [True, True]
    assert result.metric("srd").count == 75
    assert result.metric("srd", phase="busy").count == 50
    assert 0 < result.metric("srd").p(50) <= result.metric("srd").p(99) <= result.metric("srd").max
    with pytest.raises(KeyError, match=r'did you mean "busy"'):
        result.metric("srd", phase="bussy")
    result.save(f"{tmp_path}/out/", f"md={tmp_path}/x.md")
    assert (tmp_path / "out" / "run.json").exists()
    assert "calls" in str(result)
    assert result._repr_html_().startswith("<pre>")


@live
def test_closed_workloads_one_after_the_other():
    result = Run().add("register", per_user(5, think="20ms", duration="1s"),
                       users=generated_users(20), name="people").add(
        "options", constant_calls(3, "500ms"), start_after="people.done").add(
        basic, shared_calls(30, concurrency=10), start_after="people.ready").execute()
    parts = result.to_dict()["scenarios"]
    assert result.calls["failed"] == {}, result
    assert parts["basic"]["calls"]["succeeded"] == 30
    assert parts["people"]["calls"]["succeeded"] > 20
    assert parts["options"]["calls"]["succeeded"] > 3


@live
@pytest.mark.parametrize("executor", [
    shared_calls(20, concurrency=1), shared_calls(21, concurrency=2),
    per_user(2, iterations=4)])
def test_more_workers_than_calls_held_lose_no_call(executor):
    result = Run(workers=3).add("options", executor).execute()
    assert result.calls["due"] == result.calls["succeeded"] == executor.total


@live
def test_answers_of_ones_own():
    @answer("INVITE", name="busy")
    def busy(c):
        c.respond(486)
        c.end("was_busy", ok=True)

    @call(name="try")
    def attempt(c):
        c.invite(sdp="g711")
        c.expect(486).otherwise(end="surprise")

    result = Run().add(attempt, shared_calls(10, concurrency=2)).answer(busy).execute()
    assert result.calls["succeeded"] == 10


@live
def test_a_run_is_steered_while_it_goes_on():
    seen, going = [], threading.Event()

    def progress(snapshot):
        seen.append(snapshot)
        going.set()

    with Run().add("options", constant_arrival_rate("20/s", "60s")).start(progress) as run:
        run.rate(2.0)
        assert going.wait(60)
        assert run.snapshot().started
        run.pause()
        run.resume()
        run.drain()
        result = run.wait()
    assert result.interrupted
    assert result.exit_code == 105
    assert result.calls["due"] == result.calls["started"] + sum(
        result.calls["not_started"].values())
    assert seen


@live
def test_two_runs_at_once_do_not_meet():
    found = {}

    def go(name, count):
        found[name] = Run(seed=count).add(
            "options", shared_calls(count, concurrency=2), name=name).execute()

    threads = [threading.Thread(target=go, args=(f"run{n}", 50 + n)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[f"run{n}"].calls["succeeded"] for n in range(2)] == [50, 51]
    assert all(result.to_dict()["messages"]["stray"] == 0 for result in found.values())


@live
def test_an_interrupt_gives_the_result_so_far():
    script = textwrap.dedent("""
        from siploadgen import Run, constant_arrival_rate
        run = Run().add("options", constant_arrival_rate("50/s", "300s"))
        result = run.execute(lambda snapshot: print("going", flush=True))
        print("ended", result.interrupted, result.calls["succeeded"] > 0)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == "going\n"
        os.kill(process.pid, signal.SIGINT)
        said = process.stdout.read()
    assert said.endswith("ended True True\n")


def test_mistakes_are_told_where_they_are_made():
    with pytest.raises(UsageError, match="nothing to do"):
        Run().execute()
    with pytest.raises(UsageError, match=r'did you mean "call"'):
        Run().add("cal", shared_calls(1))
    with pytest.raises(UsageError, match=r'did you mean "hold"'):
        Run().add("call", shared_calls(1, concurrency=1), hodl="1s")
    with pytest.raises(UsageError, match="rate"):
        constant_arrival_rate("fast", "1s")
    with pytest.raises(UsageError, match="duration"):
        constant_arrival_rate("1/s")
    with pytest.raises(UsageError, match="p\\(101\\)"):
        Run().threshold("srd: p(101) < 1s")
    with pytest.raises(ScenarioError, match=r"none\.csv"):
        csv_users("none.csv")
    with pytest.raises(UsageError, match="callee"):
        Run("sip:127.0.0.1:9").add(call(name="x")(lambda c: c.options("sip:{callee.user}@a")),
                                   shared_calls(1, concurrency=1)).execute()


def test_executors_by_words(tmp_path):
    times = tmp_path / "times.csv"
    times.write_text("at\n0.1\n0.2\n")
    assert stairs("10/s", "10/s", 3, "2s").total == 120
    assert ramping_calls([(10, "1s"), (0, "1s")]).peak_calls == 10
    assert replay(times).total == 2
    assert day_curve("10/s", "5/s", period="10s", duration="10s").total == pytest.approx(100)
    assert users({"user": np.array(["a", "b"])}).names == ("user",)
