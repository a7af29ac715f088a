"""Thresholds: what parses and what does not, and what they measure."""

from xml.etree import ElementTree

import pytest

from siploadgen.errors import UsageError
from siploadgen.report.metrics import Names
from siploadgen.report.thresholds import Meter, check_thresholds, measure, parse_threshold
from siploadgen.report.writers import render
from tests.report.builders import figures, result_of
from tests.run.fake_engine import FakeProgram, Method, World

NAMES = Names.of(FakeProgram())


@pytest.mark.parametrize(("text", "fields"), [
    ("srd: p(99) < 150ms", ("srd", "p", 99.0, "<", 0.15, "ms")),
    ("srd:p(99.9)<=1s", ("srd", "p", 99.9, "<=", 1.0, "s")),
    ("setup_service : med > 10us", ("setup_service", "med", 0.0, ">", 1e-5, "us")),
    ("srd: avg < 0", ("srd", "avg", 0.0, "<", 0.0, "")),
    ("srd: count >= 1000", ("srd", "count", 0.0, ">=", 1000.0, "")),
    ("srd: rate > 10/s", ("srd", "rate", 0.0, ">", 10.0, "/s")),
    ("failed: rate == 0", ("calls.failed", "rate", 0.0, "==", 0.0, "")),
    ("calls.failed: rate < 0.1%", ("calls.failed", "rate", 0.0, "<", 0.001, "%")),
    ("calls.succeeded: count != 3", ("calls.succeeded", "count", 0.0, "!=", 3.0, "")),
    ("ser: value > 99.9%", ("ser", "value", 0.0, ">", 0.999, "%")),
    ("messages.retransmitted: rate < .5%", ("messages.retransmitted", "rate", 0, "<", .005, "%")),
    ("lateness: max < 1ms", ("lateness", "max", 0.0, "<", 0.001, "ms")),
])
def test_what_parses(text, fields):
    threshold = parse_threshold(text)
    check_thresholds([threshold], NAMES)
    assert (threshold.metric, threshold.aggregate, threshold.percent, threshold.op,
            pytest.approx(threshold.limit), threshold.unit) == fields
    assert threshold.expression == text


def test_windows_phases_and_tags_parse():
    threshold = parse_threshold("calls.failed{class=timeout, phase=busy}: rate<1% over 10s in b-h")
    assert threshold.window_ns == 10_000_000_000
    assert threshold.phase == "b-h"
    assert threshold.tags == {"class": "timeout", "phase": "busy"}


@pytest.mark.parametrize(("text", "why"), [
    ("", "write metric"), ("srd", "write metric"), ("srd: p(99)", "write metric"),
    ("srd: p(99) 150ms", "write metric"), ("srd: p(99) = 150ms", "write metric"),
    ("srd: p(99) < fast", "write metric"), ("srd: p(99) < 150ms maybe", "write metric"),
    ("srd: p(101) < 150ms", "from 0 to 100"), ("srd: p(-1) < 150ms", "from 0 to 100"),
    ("srd: p(x) < 150ms", "from 0 to 100"), ("srd: p() < 150ms", "from 0 to 100"),
    ("srd: p(nan) < 150ms", "from 0 to 100"),
    ("srd: p99 < 150ms", "write metric"), ("srd: mean < 150ms", "unknown aggregate"),
    ("srd: p(99) < 150", "needs a unit"), ("srd: p(99) < 3%", "needs a unit"),
    ("srd: count < 3ms", "no unit"), ("srd: value < 3", "has no value"),
    ("calls.failed: rate < 1ms", "a share"), ("calls.failed: rate < 1", "a share"),
    ("calls.failed: p(99) < 1ms", "has no p"), ("calls.failed: count < 1%", "no unit"),
    ("ser: rate > 1%", "has no rate"), ("ser: value > 1ms", "plain number"),
    ("srd: rate < 1%", "a number a second"), ("sdr: p(99) < 1ms", 'did you mean "srd"'),
    ("zzz: p(99) < 1ms", "known: srd"), ("srd{x: p(99) < 1ms", "write metric"),
    ("srd{x}: p(99) < 1ms", "write name=value"), ("srd{a=b}: p(99) < 1ms", "has no tag"),
    ("calls.failed{class=nope}: rate < 1%", "no class of failures"),
    ("calls.failed{class=succeeded}: rate < 1%", "no class of failures"),
    ("srd: p(99) < 1ms in ramp", 'no phase "ramp"'),
    ("srd{phase=a}: p(99) < 1ms", 'no phase "a"'),
    ("srd: p(99) < 1ms over 10", "a unit is missing"), ("srd: p(99) < 1ms over 1500ms",
     "whole seconds"), ("srd: p(99) < 1ms over 0s", "whole seconds"),
    ("srd: p(99) < 1ms abort: true", 'unknown word "abort:"; did you mean "abort"'),
    ("srd: p(99) < 1ms, delay 10s", "write metric"),
    ("srd: p(99) < 1ms severity warn", "[abort [delay TIME]] [warn]"),
    ("srd: p(99) < 1ms delay 10s", "write abort delay 10s"),
    ("srd: p(99) < 1ms abort delay", "its value is missing"),
    ("srd: p(99) < 1ms abort delay 10", "a unit is missing"),
    ("srd: p(99) < 1ms in", "its value is missing, such as in busy"),
    ("srd: p(99) < 1ms abort warn", "leave abort or warn out"),
    ("srd: p(99) < 1ms over 1s over 2s", "over stands there twice"),
    ("messages.received: rate < 1%", "no share"),
    ("messages.sent: rate < 5%", "no share"),
])
def test_what_does_not(text, why):
    with pytest.raises(UsageError, match="threshold") as error:
        check_thresholds([parse_threshold(text)], NAMES)
    assert why in str(error.value)


HELD = figures(
    COUNT_DUE=110, COUNT_STARTED=100, COUNT_NOT_STARTED_NO_SLOT=10, OUTCOME_SUCCEEDED=90,
    OUTCOME_TIMEOUT=4, OUTCOME_REJECTED=6, COUNT_RETRANSMITTED=20, COUNT_UNEXPECTED=3,
    requests={Method.METHOD_INVITE: 200}, responses={(Method.METHOD_INVITE, 200): 90},
    histograms={2: list(range(1, 101)), 4: [1] * 90})


@pytest.mark.parametrize(("text", "value"), [
    ("srd: p(99) < 1s", 99e-6), ("srd: p(0) < 1s", 1e-6), ("srd: p(100) < 1s", 100e-6),
    ("srd: med < 1s", 50e-6), ("srd: min < 1s", 1e-6), ("srd: max < 1s", 100e-6),
    ("srd: avg < 1s", 50.5e-6), ("srd: count < 1", 100), ("srd: rate < 1/s", 10),
    ("srd_service: p(99) < 1s", None),
    ("failed: rate < 1%", 0.1), ("failed: rate < 1/s", 1.0), ("failed: count < 1", 10),
    ("calls.failed{class=timeout}: count < 1", 4), ("not_started: rate < 1%", 10 / 110),
    ("succeeded: rate > 1%", 0.9), ("started: rate > 1%", 100 / 110), ("due: rate > 1/s", 11),
    ("messages.retransmitted: rate < 1%", 0.1), ("messages.unexpected: value == 0", 3),
    ("messages.sent: rate < 1/s", 20), ("ser: value > 1%", 0.9),
])
def test_measures(text, value):
    found = measure(parse_threshold(text), HELD, 10.0, NAMES)
    assert found == (value if value is None else pytest.approx(value, rel=1e-6))


def test_nothing_measured_does_not_hold():
    results = Meter([parse_threshold("srd: p(99) < 1s"), parse_threshold("failed: rate < 1%")],
                    NAMES).results(figures(), 1.0)
    assert [(row["value"], row["ok"]) for row in results] == [(None, False), (0.0, True)]


@pytest.mark.parametrize(("op", "holds"), [("<", False), ("<=", True), (">", False), (">=", True),
                                           ("==", True), ("!=", False)])
def test_operators(op, holds):
    assert parse_threshold(f"srd: count {op} 5").holds(5.0) is holds


def test_the_worst_window_is_reported():
    meter = Meter([parse_threshold("srd: p(99) < 5ms over 3s"),
                   parse_threshold("srd: count > 1 over 2s"),
                   parse_threshold("failed: rate < 20% over 2s")], NAMES)
    seconds = [figures(COUNT_STARTED=10, OUTCOME_TIMEOUT=failed, OUTCOME_SUCCEEDED=10 - failed,
                       histograms={2: [us] * count})
               for us, count, failed in ((1000, 10, 0), (9000, 10, 0), (1000, 4, 4), (1000, 1, 1),
                                         (1000, 2, 0), (1000, 10, 0))]
    total = seconds[0] - seconds[0]
    for held in seconds:
        meter.interval(held, 1.0)
        total = total + held
    slow, few, failing = meter.results(total, 6.0)
    assert slow["value"] == pytest.approx(0.009, rel=0.001)
    assert not slow["ok"]
    assert (few["value"], few["ok"]) == (3.0, True)
    assert (failing["value"], failing["ok"]) == (0.25, False)


def test_an_uneven_clock_does_not_change_windows():
    meter = Meter([parse_threshold("srd: count > 0 over 3s")], NAMES)
    for length in (1.003, 0.998, 1.01, 0.95, 1.05, 1.0):
        meter.interval(figures(histograms={2: [5]}), length)
    assert meter.results(figures(), 6.0)[0]["value"] == 3


def test_a_short_run_is_one_window():
    meter = Meter([parse_threshold("srd: count > 5 over 60s")], NAMES)
    held = figures(histograms={2: [5] * 10})
    meter.interval(held, 1.0)
    assert meter.results(held, 1.0)[0] == {
        "expression": "srd: count > 5 over 60s", "value": 10.0, "limit": 5.0, "ok": True,
        "severity": "fail", "stopped": False}


def test_options_of_a_threshold():
    threshold = parse_threshold("srd: p(99) < 1s abort delay 30s in busy over 10s")
    assert (threshold.window_ns, threshold.phase, threshold.abort, threshold.delay_ns) == (
        10_000_000_000, "busy", True, 30_000_000_000)
    assert threshold.severity == "fail"
    assert parse_threshold("srd: p(99) < 1s warn").severity == "warn"


def played(text, *failed):
    """Give a meter seconds of ten calls with so many failures each: (meter, sum, stops)."""
    meter = Meter([parse_threshold(text)], NAMES)
    total, stops = figures(), []
    for second, count in enumerate(failed, 1):
        held = figures(COUNT_STARTED=10, OUTCOME_TIMEOUT=count, OUTCOME_SUCCEEDED=10 - count)
        total = total + held
        meter.interval(held, 1.0)
        stops.append(meter.judge(total, float(second)))
    return meter, total, stops


@pytest.mark.parametrize(("text", "failed", "t_s", "value"), [
    ("failed: rate < 20% abort", (0, 1, 10), 3, 11 / 30),
    ("failed: rate < 20% abort", (0, 1, 1), None, None),
    ("failed: rate < 20%", (10, 10, 10), None, None),
    ("failed: rate < 20% abort delay 3s", (10, 0, 0), 3, 10 / 30),
    ("failed: rate < 20% abort delay 3s", (5, 0, 0), None, None),
    ("failed: rate < 20% over 2s abort", (0, 0, 5), 3, 0.25),
    ("failed: rate < 20% over 2s abort", (10,), None, None),  # no window is full
    ("failed: rate < 20% over 1s abort delay 2s", (10, 0, 0), None, None),
    ("srd: p(99) < 1s abort", (0, 0), None, None),  # nothing measured
])
def test_a_broken_threshold_stops_the_run(text, failed, t_s, value):
    _, _, stops = played(text, *failed)
    found = stops[-1]
    assert (found.t_s, found.value) == (t_s, pytest.approx(value)) if t_s else found is None
    assert not t_s or not any(stops[:t_s - 1])


def test_what_stopped_a_run_stays_broken():
    meter, total, stops = played("failed: rate < 20% abort", 5, 0, 0, 0)
    assert all(stop is stops[0] for stop in stops)
    row = meter.results(total, 4.0)[0]
    assert (row["value"], row["ok"], row["stopped"]) == (0.5, False, True)
    assert stops[0].as_json() == {"threshold": "failed: rate < 20% abort", "t_s": 1.0,
                                  "value": 0.5}


def test_a_run_that_was_stopped_says_so():
    result = result_of(World(reject_share=1.0), seconds=4,
                       thresholds=[parse_threshold("failed: rate < 5% abort delay 2s")])
    assert not result["interrupted"]
    assert result["exit_code"] == 99
    assert result["verdict"]["stopped_by"] == {
        "threshold": "failed: rate < 5% abort delay 2s", "t_s": 2.0,
        "value": pytest.approx(0.995, abs=0.001)}
    said = ("stopped after 2 s by the threshold failed: rate < 5% abort delay 2s "
            "(measured 0.99")
    assert said in render("summary", result)
    assert said in render("md", result)
    assert said in render("junit", result).replace("&lt;", "<")


def test_a_warning_decides_nothing():
    warning = parse_threshold("srd: p(99) < 1us warn")
    result = result_of(World(), thresholds=[warning])
    assert result["exit_code"] == 0
    assert [row["severity"] for row in result["thresholds"]] == ["warn"]
    assert "WARN  srd: p(99) < 1us warn" in render("summary", result)
    assert "| warning |" in render("md", result)
    suite = ElementTree.fromstring(render("junit", result))
    assert suite.get("failures") == "0"
    assert ["warning" in out.text for out in suite.iter("system-out")] == [True]
    assert {case.get("name") for case in suite} >= {"every call ends as planned"}
    # Beside it calls that fail do what they do without thresholds; and so do thresholds that fail.
    assert result_of(World(reject_share=0.2), thresholds=[warning])["exit_code"] == 99
    lenient = parse_threshold("failed: rate < 90%")
    assert result_of(World(reject_share=0.2), thresholds=[warning, lenient])["exit_code"] == 0


def test_thresholds_decide_the_exit_code():
    world = World(reject_share=0.2)
    bad = [parse_threshold("failed: rate < 1%")]
    lenient = [parse_threshold("failed: rate < 90%"), parse_threshold("srd: p(50) < 1s")]
    assert result_of(world)["exit_code"] == 99
    assert result_of(world, thresholds=bad)["exit_code"] == 99
    assert result_of(world, thresholds=lenient)["exit_code"] == 0
