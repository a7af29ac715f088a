"""Results by workload and phase: their sums, thresholds on them, tags and keys."""

import json
from importlib import resources

import jsonschema
import numpy as np
import pytest

from siploadgen.errors import UsageError
from siploadgen.figures import Series, snapshot
from siploadgen.report import metrics
from siploadgen.report.metrics import Names
from siploadgen.report.thresholds import check_thresholds, measure, parse_threshold
from siploadgen.report.writers import Output, Outputs
from tests.report.builders import result_of
from tests.run.fake_engine import FakeProgram, World, due_alone, hist_index

MS = 1_000_000
SERIES = (Series("a", "warmup", False), Series("a", "main"), Series("b", "warmup", False),
          Series("b", "main"), Series("b", "late"))
CALLS = (5, 20, 3, 10, 7)
NAMES = Names.of(FakeProgram(), SERIES)


def played(program):
    """A run in virtual time: so many calls of each series, the last ones still open."""
    engine = World(latency_s=0.02, reject_share=0.3).engine(program, series=5)
    starts = due_alone(np.arange(sum(CALLS)) * MS)
    starts["series"] = np.repeat(np.arange(5), CALLS)
    engine.schedule(starts)
    for now in range(0, 55 * MS, MS):
        engine.advance(now)
    return snapshot(engine)


FIGURES = played(FakeProgram())


def test_series_add_up():
    assert FIGURES.in_progress > 0
    assert FIGURES.series_starts[:, 0].tolist() == list(CALLS)
    every = FIGURES.of_series(range(5))
    assert every.imbalance() is None
    assert every.in_progress == FIGURES.in_progress
    assert np.array_equal(every.outcomes, FIGURES.outcomes)
    parts = [FIGURES.of_series([number]) for number in range(5)]
    for part in parts:
        assert part.imbalance() is None
    assert sum(part.in_progress for part in parts) == FIGURES.in_progress
    clocks = slice(2, 2 + 2 * len(FakeProgram().clocks))
    assert np.array_equal(sum(part.histograms[clocks] for part in parts), every.histograms[clocks])


def test_only_measured_latencies_are_told():
    measured = FIGURES.measured(SERIES)
    assert np.array_equal(measured.histograms, FIGURES.of_series([1, 3, 4]).histograms)
    assert np.array_equal(measured.counters, FIGURES.counters)
    assert FIGURES.measured([Series("a", "warmup", False)] * 5) is FIGURES


def test_parts_add_up_to_the_calls():
    whole = metrics.calls(NAMES.whole(FIGURES), NAMES)
    parts = metrics.parts(FIGURES, NAMES)
    assert list(parts["scenarios"]) == ["a", "b"]
    assert list(parts["phases"]) == ["warmup", "main", "late"]
    assert [row["measured"] for row in parts["phases"].values()] == [False, True, True]
    for rows in parts.values():
        for key in ("due", "started", "succeeded", "in_progress"):
            assert sum(row["calls"][key] for row in rows.values()) == whole[key]
        for row in rows.values():
            assert metrics.calls_imbalance(row["calls"]) is None
            assert {"srd", "srd_service", "setup", "setup_service", "rfc6076.srd"} \
                <= set(row["metrics"])
            assert not {"lateness", "receive_delay"} & set(row["metrics"])
    assert [row["calls"]["due"] for row in parts["scenarios"].values()] == [25, 20]
    assert [row["calls"]["due"] for row in parts["phases"].values()] == [8, 30, 7]
    # calls of the warm-up count, their latencies do not
    assert parts["scenarios"]["a"]["metrics"]["srd"]["count"] == int(
        FIGURES.of_series([1]).histograms[2].sum())
    assert parts["phases"]["warmup"]["metrics"]["srd"]["count"] > 0


@pytest.mark.parametrize(("text", "rows"), [
    ("calls.due: count > 0", [1, 3, 4]), ("calls.due{phase=warmup}: count > 0", [0, 2]),
    ("calls.due{scenario=b}: count > 0", [3, 4]), ("calls.due: count > 0 in main", [1, 3]),
    ("calls.due{scenario=a,phase=warmup}: count > 0", [0]),
    ("calls.due{scenario=b}: count > 0 in late", [4])])
def test_thresholds_of_parts(text, rows):
    threshold = parse_threshold(text)
    check_thresholds([threshold], NAMES)
    assert measure(threshold, FIGURES, 1.0, NAMES) == sum(CALLS[row] for row in rows)
    late = parse_threshold(text.replace("calls.due", "srd").replace("count > 0", "p(95) < 1s"))
    check_thresholds([late], NAMES)
    counts = FIGURES.of_series(rows).histograms[2]
    value = measure(late, FIGURES, 1.0, NAMES)
    if counts.any():
        assert counts[hist_index(round(value * 1e6))] > 0
    else:
        assert value is None


@pytest.mark.parametrize(("text", "message"), [
    ("srd{phase=mian}: p(95) < 1s", 'no phase "mian"'), ("srd: p(95) < 1s in later", "no phase"),
    ("srd{scenario=c}: p(95) < 1s", "known: a, b"), ("srd{phase=main}: p(95) < 1s in late", "two"),
    ("srd{scenario=a}: p(95) < 1s in late", 'a has no phase "late"; known: warmup, main'),
    ("lateness{phase=main}: p(95) < 1s", "not told apart"),
    ("ser{scenario=c}: value > 1%", "a, b")])
def test_thresholds_of_parts_that_there_are_not(text, message):
    with pytest.raises(UsageError, match=message):
        check_thresholds([parse_threshold(text)], NAMES)


def test_ratios_of_parts():
    """An attempt belongs to the phase and the scenario of its call."""
    both = []
    for text, rows in (("ser: value > 1%", [1, 3, 4]), ("ser{scenario=a}: value > 1%", [1]),
                       ("ser{phase=warmup}: value > 1%", [0, 2])):
        counted = FIGURES.attempts[rows, 0].sum(axis=0)
        ended = counted[1:3].sum() + counted[100:].sum()
        value = measure(parse_threshold(text), FIGURES, 1.0, NAMES)
        assert value == counted[100:200].sum() / ended
        both.append(value)
    assert len(set(both)) > 1


def test_histogram_logs_have_a_tag_for_each_phase(tmp_path):
    path = tmp_path / "hist.hlog"
    files = Outputs([Output("hlog", str(path))], NAMES, 1_700_000_000.0)
    files.interval({"t_s": 0.0, "length_s": 1.0}, FIGURES)
    files.close()
    tags = {line.split(",")[0] for line in path.read_text().splitlines() if "Tag=" in line}
    phases = ["", ".warmup", ".main"]
    phases += [".late"] if FIGURES.of_series([4]).histograms[2].any() else []
    expected = {f"Tag={name}{tag}" for name in ("srd", "srd_service", "setup", "setup_service")
                for tag in phases}
    assert expected | {"Tag=lateness", "Tag=receive_delay"} == {
        tag for tag in tags if "rfc6076." not in tag and "INVITE." not in tag}
    assert {f"Tag=rfc6076.srd{tag}" for tag in phases} <= tags


def test_the_schema_knows_scenarios_and_phases():
    schema = json.loads((resources.files("siploadgen.report") / "run.schema.json").read_text())
    result = {**result_of(), **metrics.parts(FIGURES, NAMES)}
    jsonschema.validate(json.loads(json.dumps(result)), schema)
    del result["phases"]["main"]["calls"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(result)), schema)
