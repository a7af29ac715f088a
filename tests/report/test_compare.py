"""Comparisons of runs whose truth is known: what is found, what is not, what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import siploadgen
from siploadgen.cli.compare import spread
from siploadgen.errors import ScenarioError, UsageError
from siploadgen.report import bootstrap, histogram
from siploadgen.report.bootstrap import Sample
from siploadgen.report.compare import UnlikeError, compare_runs
from siploadgen.report.compare_text import markdown, render
from siploadgen.report.sample import measure
from siploadgen.report.saved import SavedRun, read_run
from siploadgen.report.tolerances import parse_tolerance
from tests.report.simulated import course, latencies, result, rows, run

WANTED = [parse_tolerance(text) for text in ("srd.p50: 5%", "srd.p99: 5%")]


def pair(number, slower=1.0, runs=1, **how):
    """Runs of both sides; every run of every pair has a seed of its own."""
    sides = []
    for side, factor in enumerate((1.0, slower)):
        sides.append([run(f"{side}-{one}", 10_000 * number + 100 * side + one, factor, **how)
                      for one in range(runs)])
    for one in (*sides[0], *sides[1]):
        one.result["plan"]["rate_per_s"] = 200.0
    return sides


def figure(found, name):
    return next(row for row in found.rows if row.figure == name)


# --- the two numbers ---


def test_equal_runs_raise_at_most_five_false_alarms_in_a_hundred():
    alarms = sum(compare_runs(*pair(number), WANTED).worse for number in range(100))
    assert alarms <= 5


def test_a_target_slower_by_a_tenth_is_found_at_least_95_times_in_a_hundred():
    found = sum(compare_runs(*pair(1000 + number, 1.1), WANTED).worse for number in range(100))
    assert found >= 95


def test_the_spread_of_runs_is_measured_where_there_are_several():
    # Runs that differ by 4 % from one to the next, four times what is assumed of single runs.
    how = {"runs": 4, "drift": 0.04, "seconds": 60}
    equal = [compare_runs(*pair(2000 + number, **how), WANTED[:1]) for number in range(40)]
    assert all(found.drift is None for found in equal)
    assert sum(found.worse for found in equal) <= 3
    inside = sum(row.low <= 0 <= row.high for found in equal for row in found.rows)
    assert inside >= 35
    single = [compare_runs(*pair(3000 + number, drift=0.04, seconds=60), WANTED[:1])
              for number in range(40)]
    assert sum(found.rows[0].low <= 0 <= found.rows[0].high for found in single) < inside


def test_the_interval_holds_the_truth():
    inside = 0
    for number in range(60):
        row = figure(compare_runs(*pair(4000 + number, 1.1, seconds=120), WANTED), "srd.p99")
        inside += row.low <= 0.1 <= row.high
    assert inside >= 54


def test_the_same_seed_says_the_same():
    base, new = pair(1, 1.05)
    assert compare_runs(base, new, WANTED) == compare_runs(base, new, WANTED)
    assert compare_runs(base, new, WANTED, seed=2) != compare_runs(base, new, WANTED)


# --- verdicts ---


@pytest.mark.parametrize(("slower", "verdict"), [(1.2, "worse"), (1.0, "no difference"),
                                                 (0.8, "better")])
def test_verdicts_of_a_latency(slower, verdict):
    found = compare_runs(*pair(7, slower), WANTED)
    assert {row.verdict for row in found.rows} == {verdict}
    assert found.exit_code == (90 if verdict == "worse" else 0)
    row = figure(found, "srd.p50")
    assert row.base == pytest.approx(0.020, rel=0.05)
    assert row.change == pytest.approx(slower - 1, abs=0.05)


def test_a_difference_within_the_tolerance_is_none_however_sure():
    how = {"drift": 0, "wander": 0, "rate": 1000}
    base, new = pair(8, 1.03, **how)
    row = compare_runs(base, new, WANTED[:1], drift=0).rows[0]
    assert row.low > 0
    assert (row.verdict, row.shown) == ("no difference", True)
    assert compare_runs(base, new, [parse_tolerance("srd.p50: 1%")], drift=0).worse
    assert compare_runs(base, new, [parse_tolerance("srd.p50: 300us")], drift=0).worse
    assert not compare_runs(base, new, [parse_tolerance("srd.p50: 900us")], drift=0).worse


def test_a_difference_that_chance_explains_is_none():
    base, new = pair(9, 1.03, seconds=20, rate=20)
    row = compare_runs(base, new, [parse_tolerance("srd.p50: 1%")]).rows[0]
    assert row.change > 0.01
    assert row.low < 0
    assert (row.verdict, row.shown) == ("no difference", False)


def counted(name, started, failed, **more):
    total, bad = sum(started), sum(failed)
    return SavedRun(name, result(calls=total, failed=bad, seconds=len(started), **more),
                    rows(started, failed))


@pytest.mark.parametrize(("bad", "text", "verdict"), [
    (5, "calls.failed: 0.1pp", "worse"), (0, "calls.failed: 0.1pp", "no difference"),
    (1, "failed: 1pp", "no difference"), (5, "ser: 1pp", "worse"),
    (5, "ser: 10pp", "no difference")])
def test_shares(bad, text, verdict):
    base, new = counted("a", [100] * 60, [0] * 60), counted("b", [100] * 60, [bad] * 60)
    row = compare_runs([base], [new], [parse_tolerance(text)]).rows[0]
    assert row.verdict == verdict
    assert compare_runs([new], [base], [parse_tolerance(text)]).rows[0].verdict == (
        "better" if verdict == "worse" else "no difference")


def test_no_failure_in_few_calls_says_little():
    base, new = counted("a", [1] * 60, [0] * 60), counted("b", [1] * 60, [0] * 60)
    row = compare_runs([base], [new], [parse_tolerance("calls.failed: 0.1pp")]).rows[0]
    assert (row.verdict, row.shown) == ("no difference", False)
    assert row.high > 0.01


def test_failures_that_come_in_bursts_are_known_less_well_than_single_ones():
    single = counted("a", [100] * 100, [1] * 100)
    bursts = counted("b", [100] * 100, [0] * 50 + [50, 50] + [0] * 48)
    wanted = parse_tolerance("calls.failed: 1pp")
    assert measure(bursts, wanted, {}).error > 3 * measure(single, wanted, {}).error


@pytest.mark.parametrize(("each", "verdict"), [(100, "no difference"), (90, "worse"),
                                               (110, "better")])
def test_rates(each, verdict):
    base, new = counted("a", [100] * 60, [0] * 60), counted("b", [each] * 60, [0] * 60)
    new.result["plan"]["rate_per_s"] = 100
    for text in ("calls.succeeded: 5%", "started: 5/s"):
        row = compare_runs([base], [new], [parse_tolerance(text)]).rows[0]
        assert row.verdict == verdict
        assert row.new == pytest.approx(each)


def test_phases_are_told_apart():
    random = np.random.default_rng(5)
    slow = course(latencies(random, seconds=60, median_us=40_000))
    quick = course(latencies(random, seconds=60))
    runs = []
    for name in "ab":
        one = counted(name, [200] * 60, [0] * 60)
        one.result["phases"] = {
            "warmup": {"measured": False, "calls": one.result["calls"]},
            "busy": {"measured": True, "calls": one.result["calls"]}}
        one.courses = {"srd": quick, "srd.warmup": slow, "srd.busy": quick}
        runs.append(one)
    runs[1].courses = {**runs[1].courses, "srd.busy": course(
        latencies(random, seconds=60, median_us=30_000))}
    found = compare_runs(runs[:1], runs[1:], [parse_tolerance(text) for text in (
        "srd.p50: 5%", "srd.p50{phase=warmup}: 5%", "srd{phase=busy}.p50: 5%")])
    assert [row.verdict for row in found.rows] == ["worse", "no difference", "worse"]
    assert found.rows[0].base == pytest.approx(0.020, rel=0.1)  # warm-up left out
    assert found.rows[1].base == pytest.approx(0.040, rel=0.1)


# --- not comparable, refused ---


def test_what_cannot_be_told_is_not_passed_over():
    base, new = pair(10, seconds=4)
    found = compare_runs(base, new, WANTED)
    assert {row.verdict for row in found.rows} == {"not comparable"}
    assert "too few" in found.rows[0].reason
    assert found.exit_code == 91
    few = compare_runs(*pair(11, rate=3, seconds=100), [parse_tolerance("srd.p99.9: 5%")])
    assert "too few for p99.9" in few.rows[0].reason
    many = compare_runs(*pair(12, seconds=4, runs=3), WANTED[:1])
    assert many.rows[0].verdict == "no difference"  # several short runs show their spread


def change(one, **values):
    """The run with other values in run.json, by their path."""
    data = json.loads(json.dumps(one.result))
    for path, value in values.items():
        place = data
        *above, last = path.split("__")
        for name in above:
            place = place[name]
        place[last] = value
    return SavedRun(one.name, data, one.rows, one.courses)


@pytest.mark.parametrize(("values", "told"), [
    ({"scenario__name": "register"}, "another scenario than 0-0 (call and register)"),
    ({"scenario__digest": "e"}, "another scenario digest than 0-0"),
    ({"scenario__likeness": "e"}, "another scenario digest than 0-0"),
    ({"scenario__settings": {"hold": "2s"}}, "another settings than 0-0 (none and hold=2s)"),
    ({"target__transport": "tcp"}, "another transport than 0-0 (udp and tcp)"),
    ({"plan__rate_per_s": 100.0}, "another rate than 0-0 (200 and 100)"),
    ({"plan__duration_s": 9.0}, "another duration than 0-0 (300 and 9)"),
    ({"plan__scenarios": [{"executor": "constant-calls"}]}, "another executors than 0-0"),
    ({"plan__scenarios": [{"executor": "constant-arrival-rate"}]}, "another load than 0-0"),
    ({"verdict__state": "invalid"}, "1-0: invalid"),
    ({"interrupted": True}, "1-0: stopped before its end"),
])
def test_unlike_and_invalid_runs_are_refused_unless_told(values, told):
    base, new = pair(13, seconds=30)
    base[0].result["plan"]["duration_s"] = new[0].result["plan"]["duration_s"] = 300.0
    other = [change(new[0], **values)]
    with pytest.raises(UnlikeError) as error:
        compare_runs(base, other, WANTED)
    assert told in str(error.value)
    assert error.value.exit_code == 91
    found = compare_runs(base, other, WANTED, anyway=True)
    assert len(found.differences) >= 1
    assert told in str(found)


def test_another_target_is_no_other_load_but_another_host_may_be():
    base, new = pair(14, seconds=30)
    for one, uri in ((base[0], "sip:192.0.2.1"), (new[0], "sip:192.0.2.2")):
        one.result["target"]["uri"] = one.result["scenario"]["digest"] = uri
        one.result["scenario"]["likeness"] = "same"
    assert not compare_runs(base, new, WANTED).worse
    new[0].result["environment"]["cpu"] = "y"
    assert not compare_runs(base, new, WANTED).worse
    with pytest.raises(UnlikeError, match="another host"):
        compare_runs(base, new, WANTED, same_host=True)


def test_suspect_runs_are_compared_with_a_word():
    base, new = pair(15, seconds=30)
    found = compare_runs(base, [change(new[0], verdict__state="suspect")], WANTED)
    assert "1-0 is suspect" in str(found)


@pytest.mark.parametrize(("text", "mend"), [
    ("srd.p99", "write figure: number unit"),
    ("srd: 5%", "write srd.p99"),
    ("srd.p0: 5%", "write srd.p99"),
    ("srd.p100: 5%", "write srd.p99"),
    ("srd.max: 5%", "write srd.p99.9"),
    ("srd.p99: 5pp", "write 5%, 500us or 2ms"),
    ("calls.failed: 5%", "write 0.1pp"),
    ("calls.started: 5ms", "write 1% or 10/s"),
    ("calls.stated: 5%", 'did you mean "calls.started"'),
    ("calls.started.p99: 5%", "has no p99"),
])
def test_tolerances_that_are_none(text, mend):
    with pytest.raises(UsageError) as error:
        parse_tolerance(text)
    assert mend in str(error.value)


@pytest.mark.parametrize(("text", "name"), [
    ("srd.p(99.9): 5%", "srd.p99.9"), ("srd.p99.9:5%", "srd.p99.9"), ("srd.med: 5ms", "srd.p50"),
    ("srd.mean: 1%", "srd.avg"), ("failed: 1pp", "calls.failed"), ("isa: 1pp", "isa"),
    ("calls.started.rate: 5/s", "calls.started"),
    ("srd.p99{phase=busy}: 5%", "srd.p99{phase=busy}"),
    ("srd{ phase = busy }.p99: 5%", "srd.p99{phase=busy}")])
def test_names_of_figures(text, name):
    assert parse_tolerance(text).name == name


@pytest.mark.parametrize(("text", "mend"), [
    ("srt.p99: 5%", 'did you mean "srd"'), ("srd.p99{phase=buys}: 5%", "no phase buys"),
    ("lateness.p99{phase=main}: 5%", "not told apart by phase"),
    ("messages.sent{phase=main}: 5%", "not told apart by phase")])
def test_figures_that_the_runs_do_not_have(text, mend):
    with pytest.raises(UsageError) as error:
        compare_runs(*pair(16, seconds=30), [parse_tolerance(text)])
    assert mend in str(error.value)


def test_a_run_is_not_compared_with_itself():
    base, _ = pair(17, seconds=30)
    with pytest.raises(UsageError, match="named twice"):
        compare_runs(base, base, WANTED)


# --- the parts ---


@given(st.floats(0.5, 0.9999), st.floats(1, 5000))
def test_quantiles_are_those_of_student(probability, freedom):
    assert bootstrap.student(probability, freedom) == pytest.approx(
        float(stats.t.ppf(probability, freedom)), rel=2e-4, abs=2e-4)


@pytest.mark.parametrize(("memory", "low", "high"), [(0.0, 0.8, 1.5), (0.8, 6, 13)])
def test_memory_is_the_autocorrelation_time(memory, low, high):
    random = np.random.default_rng(1)
    series = np.zeros(20_000)
    for step in range(1, len(series)):
        series[step] = memory * series[step - 1] + random.normal()
    assert low < bootstrap.memory(series) < high  # exactly (1 + m) / (1 - m)


def test_the_bootstrap_error_of_a_mean_is_the_textbooks():
    values = np.random.default_rng(2).normal(10, 3, 50)
    error = bootstrap.resample(np.stack([values, np.ones(50)], 1),
                               lambda sums: sums[:, 0] / sums[:, 1], 1, rounds=4000)
    assert error == pytest.approx(values.std(ddof=1) / math.sqrt(50), rel=0.05)


def test_a_percentile_is_that_of_the_whole_run():
    per_interval = latencies(np.random.default_rng(3), seconds=40)
    one = SavedRun("a", result(seconds=40), [], {"srd": course(per_interval)})
    dense = histogram.empty()
    np.add.at(dense, one.courses["srd"].place, one.courses["srd"].count)
    for percent in (10, 50, 90, 99, 99.8):
        wanted = replace(WANTED[0], percent=float(percent))
        assert measure(one, wanted, {}).value == pytest.approx(
            histogram.percentiles(dense, [percent])[0] / 1e6)
    assert measure(one, replace(WANTED[0], percent=None), {}).value == pytest.approx(
        histogram.mean(dense) / 1e6)


def test_what_is_known_within_runs_bounds_what_is_seen_between_them():
    same = [Sample(1, 0.0, 0.1, 20)] * 3
    found = bootstrap.compare_samples(same, same, 0.95, 0.01)
    assert found.between_runs
    assert found.high == pytest.approx(stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(2 / 3), rel=1e-3)


# --- files and the command ---


@pytest.fixture
def folders(tmp_path):
    """Run directories, as a run leaves them."""
    def write(name, seed, slower=1.0, seconds=30):
        per_interval = latencies(np.random.default_rng(seed), seconds=seconds,
                                 median_us=20_000 * slower)
        place = tmp_path / name
        place.mkdir()
        started = [len(values) for values in per_interval]
        whole = {"schema": "siploadgen/run/1", **result(calls=6000, seconds=seconds)}
        (place / "run.json").write_text(json.dumps(whole))
        (place / "intervals.ndjson").write_text(
            "".join(json.dumps(row) + "\n" for row in rows(started)))
        with histogram.HlogWriter(place / "hist.hlog", 1e9) as log:
            for second, values in enumerate(per_interval):
                counts = histogram.empty()
                kept = course([values])
                counts[kept.place] = kept.count
                log.write("srd", counts, float(second), 1.0)
                log.write("lateness", counts, float(second), 1.0)
        return str(place)
    return write


def test_a_run_directory_is_read_back(folders):
    one = read_run(folders("a", 1), ["srd"])
    assert list(one.courses) == ["srd"]
    kept = course(latencies(np.random.default_rng(1), seconds=30))
    for name in ("interval", "place", "count"):
        assert np.array_equal(getattr(one.courses["srd"], name), getattr(kept, name))
    assert len(one.rows) == 30


@pytest.mark.parametrize(("file", "text", "told"), [
    ("run.json", "{", "run.json: not JSON"), ("run.json", "{}", "not a result"),
    ("intervals.ndjson", "{}\n", "intervals.ndjson:1: not an interval"),
    ("intervals.ndjson", '{"t_s": 0}\n{', "intervals.ndjson:2: not JSON"),
    ("hist.hlog", "Tag=srd,1\n", "hist.hlog:1: not a line"),
    ("hist.hlog", "Tag=srd,0,1,1,HISTxxxx\n", "hist.hlog: srd: not an encoded histogram"),
])
def test_files_that_cannot_be_understood_are_named(folders, tmp_path, file, text, told):
    place = folders("a", 1)
    (tmp_path / "a" / file).write_text(text)
    with pytest.raises(ScenarioError) as error:
        read_run(place)
    assert told in str(error.value)


def test_the_library(folders):
    base, new = folders("a", 1), folders("b", 2, 1.3)
    found = siploadgen.compare(base, new, ["srd.p50: 5%"])
    assert found.worse
    assert found.to_dict()["rows"][0]["verdict"] == "worse"
    several = [folders(f"c{number}", 10 + number) for number in range(4)]
    assert not siploadgen.compare([base, *several[:2]], several[2:], ["srd.p50: 15%"]).worse


def test_the_command(command, folders):
    base, new, third = folders("a", 1), folders("b", 2), folders("c", 3, 1.4)
    done = command("compare", base, new)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no difference beyond the tolerances")
    assert "srd.p99" in done.out
    assert "lateness" not in done.out
    done = command("compare", base, third, "--tolerance", "srd.p50: 5%", "-o", "json")
    assert done.code == 90
    assert json.loads(done.out)["exit_code"] == 90
    done = command("compare", "--base", base, new, "--new", third, "-t", "srd.p50: 5%", "-o", "md")
    assert done.code == 90
    assert "**WORSE**" in done.out
    done = command("compare", base, third, "-t", "srd.p99.9: 5%")
    assert done.code == 91
    assert "NOT COMPARABLE" in done.out
    assert command("compare", base).code == 2
    assert command("compare", base, "--new", third).code == 2
    assert command("compare", "--base", base).code == 2
    assert command("compare", base, third + "x").code == 104
    assert command("compare", base, third, "-t", "srd.p50: 5s%").code == 2


def test_several_words_behind_an_option():
    assert spread(["--new", "a", "-t", "x", "--base", "b", "c", "d"]) == [
        "--new", "a", "-t", "x", "--base", "b", "--base", "c", "--base", "d"]


def test_texts():
    found = compare_runs(*pair(20, 1.2), [*WANTED, parse_tolerance("calls.failed: 0.1pp")])
    text = str(found)
    assert text == render("text", found)
    assert text.startswith("WORSE: srd.p50, srd.p99\n")
    assert "+0.000pp" in text
    assert "ms" in text
    table = [line for line in markdown(found).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {8}
