"""The fixtures of pytest, in a pytest of their own."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
live = pytest.mark.loopback


@pytest.fixture
def outcome(pytester, monkeypatch):
    """Run a file of tests with the plug-in; gives what came of it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(text):
        pytester.makepyfile(text)
        return pytester.runpytest_subprocess("-p", "siploadgen.pytest_plugin", "--strict-markers")

    return run


@live
def test_runs_that_hold_what_they_must(outcome):
    outcome("""
        import pytest
        from siploadgen import answer, call, shared_calls

        def test_plain(siploadgen_run, siploadgen_answerer):
            result = siploadgen_run(seed=7).add("call", shared_calls(20, concurrency=4)) \\
                .threshold("srd: p(99) < 30s").execute()
            assert result.calls["succeeded"] == 20
            assert result.to_dict()["target"]["uri"] == siploadgen_answerer.target
            assert result.to_dict()["scenario"]["name"] == "test_plain"

        @pytest.mark.siploadgen_answerer(ring="100ms")
        def test_settings(siploadgen_run):
            result = siploadgen_run().add("call", shared_calls(4, concurrency=4)).execute()
            assert result.metric("setup").p(1) > 0.09

        @answer("INVITE", name="refuses")
        def refuses(c):
            c.respond(486)
            c.end("was_busy", ok=True)

        @call(name="tries")
        def tries(c):
            c.invite(sdp="g711")
            c.expect(486)

        @pytest.mark.siploadgen_answerer(refuses)
        def test_answers(siploadgen_run):
            siploadgen_run().add(tries, shared_calls(5, concurrency=1)).execute()

        def test_steered(siploadgen_run):
            with siploadgen_run().add("options", shared_calls(10**6, concurrency=2)).start() as run:
                run.drain()
    """).assert_outcomes(passed=4)


@live
def test_runs_that_fail_their_tests(outcome):
    found = outcome("""
        import pytest
        from siploadgen import shared_calls

        FEW = shared_calls(10, concurrency=2)

        def test_threshold(siploadgen_run):
            siploadgen_run().add("options", FEW).threshold("calls.succeeded: count > 10").execute()

        @pytest.mark.siploadgen_answerer(reject="503:100%")
        def test_calls(siploadgen_run):
            siploadgen_run().add("call", FEW).execute()

        def test_verdict(siploadgen_run):
            siploadgen_run(limits={"loop_busy": "0%"}, strict=True).add("options", FEW).execute()

        def test_silence(siploadgen_run):
            siploadgen_run("sip:127.0.0.1:9", t1="10ms", t2="10ms").add("options", FEW).execute()

        @pytest.mark.siploadgen_answerer(rings="1s")
        def test_setting(siploadgen_answerer):
            pass
    """)
    found.assert_outcomes(failed=4, errors=1)
    found.stdout.fnmatch_lines_random([
        "load test: calls.succeeded: count > 10 does not hold, it is 10.0",
        "load test: calls failed, were not started or did not end",
        "load test: the run is suspect, its numbers may not be the target's: loop_busy is *",
        "load test: nobody answered",
        '*UsageError: unknown setting rings (did you mean "ring"*',
    ])


def test_pytest_starts_without_it():
    """What is imported before a fixture is used: nothing that takes time."""
    script = ("import pytest, sys; before = set(sys.modules); import siploadgen.pytest_plugin\n"
              "print(*sorted(set(sys.modules) - before))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          cwd=ROOT, check=True, timeout=60)
    assert done.stdout.split() == ["siploadgen", "siploadgen.pytest_plugin"]


def test_it_is_where_pytest_looks_for_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["pytest11"]
    assert [(name, import_module(value).MARK) for name, value in points.items()] == [
        ("siploadgen.pytest_plugin", "siploadgen_answerer")]
