"""The course of a run: what is added up stays exact, and files say the same as the run itself."""

import json

import numpy as np
import pytest

from siploadgen.errors import ScenarioError
from siploadgen.report import histogram
from siploadgen.report.history import History, Sparse
from siploadgen.report.intervals import table
from siploadgen.report.writers import Outputs, parse_outputs
from tests.report.builders import HEAD, simulate
from tests.report.made_up import interval, spread
from tests.run.fake_engine import World


def test_sparse_histograms_add_as_arrays_do():
    rng = np.random.default_rng(7)
    one, other = spread(300, 1000, rng), spread(900, 500, rng)
    one[-1] = 3
    total = Sparse(one)
    total += Sparse(other)
    total += Sparse()
    assert (total.dense() == one + other).all()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 129])
def test_points_hold_everything_however_many_intervals_there_are(count):
    rng = np.random.default_rng(count)
    history, parts = History(8), []
    for second in range(count):
        parts.append(spread(500, 40, rng))
        state = "suspect" if second == count - 1 else "valid"
        history.add(interval(float(second), 40, {"busy": second % 3}, {"srd": parts[-1]},
                             open_calls=second, state=state),
                    {"srd": parts[-1], "srd.main": parts[-1]})
    assert len(history.points) <= 8
    assert len(history.points) > 4 or count < 8
    assert sum(point.intervals for point in history.points) == history.intervals == count
    assert {point.intervals for point in history.points[:-1]} <= {history.merged}
    assert sum(point.counts["due"] for point in history.points) == 40 * count
    assert sum(point.failed["busy"] for point in history.points) == sum(
        second % 3 for second in range(count))
    assert history.points[-1].state == "suspect"
    assert history.points[-1].open_calls == count - 1
    ends = [point.start_s + point.length_s for point in history.points]
    assert ends[:-1] == [point.start_s for point in history.points[1:]]
    assert ends[-1] == count
    whole = histogram.merge(parts)
    assert (histogram.merge(point.histograms["srd"].dense() for point in history.points)
            == whole).all()
    assert (history.latency("srd", {"main": True}) == whole).all()
    assert not history.latency("srd", {"main": False}).any()


def test_without_histograms_percentiles_are_bounds():
    rng = np.random.default_rng(1)
    history = History(1)
    parts = [spread(500, 100, rng), spread(5000, 100, rng)]
    for second, counts in enumerate(parts):
        history.add(interval(float(second), 100, {}, {"srd": counts}), {})
    found = history.points[0].latencies["srd"]
    highest = histogram.percentiles(parts[1], [99])[0]
    assert (found["count"], found["p99_us"]) == (200, highest)
    assert found["mean_us"] == pytest.approx(histogram.mean(parts[0] + parts[1]), rel=1e-3)


def test_failures_are_kept_until_there_are_enough_of_a_kind():
    history = History()
    for number in range(10):
        history.failure({"outcome": "busy" if number % 2 else "timeout", "step": "await"})
    assert history.failures == 10
    assert [one["outcome"] for one in history.evidence].count("busy") == 3
    assert len(history.evidence) == 6


def test_a_run_directory_gives_the_same_page_as_the_run(tmp_path):
    from siploadgen.report.html import page
    from siploadgen.report.metrics import Names
    from tests.run.fake_engine import FakeProgram

    files = Outputs(parse_outputs([str(tmp_path)]), Names.of(FakeProgram()), 1_700_000_000.0)
    collector, record = simulate(World(reject_share=0.5), writers=[files])
    result = collector.result(record, head=HEAD)
    files.finish(result)
    history = History.read(tmp_path)
    assert history.intervals == 3
    assert (history.latency("srd", {}).sum()) == result["metrics"]["srd"]["count"]
    again = page(json.loads((tmp_path / "run.json").read_text()), history)
    assert (tmp_path / "report.html").read_text() == again


def test_csv_has_a_line_for_each_interval(tmp_path):
    path = tmp_path / "x.csv"
    from siploadgen.report.metrics import Names
    from tests.run.fake_engine import FakeProgram

    files = Outputs(parse_outputs([f"csv={path}", f"ndjson={tmp_path}/x.ndjson"]),
                    Names.of(FakeProgram()), 0.0)
    collector, record = simulate(World(reject_share=0.5), writers=[files])
    files.finish(collector.result(record, head=HEAD))
    head, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert len(lines) == len(rows) == 3
    columns = head.split(",")
    place = columns.index("calls.failed.rejected")
    assert [int(line.split(",")[place]) for line in lines] == [
        row["calls"]["failed"].get("rejected", 0) for row in rows]
    assert path.read_text() == table(lambda: rows)
    assert {"verdict.state", "verdict.rules", "metrics.srd.p99.9_us"} <= set(columns)


@pytest.mark.parametrize(("name", "text", "why"), [
    ("intervals.ndjson", "{}\n{", r"intervals.ndjson: interval 1: incomplete: 't_s'"),
    ("intervals.ndjson", "[]\n", r"intervals.ndjson:1: not an object"),
    ("intervals.ndjson", "{\n", r"intervals.ndjson:1: not JSON"),
    ("errors.ndjson", "{}\nx\n", r"errors.ndjson:2: not JSON"),
    ("hist.hlog", "Tag=srd,0.0,1.0,2.0,xxxx\n", r"hist.hlog:1: not an encoded histogram"),
    ("hist.hlog", "#[x]\nTag=srd,0.0\n", r"hist.hlog:2: not enough values"),
])
def test_files_that_are_not_what_they_should_be(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(ScenarioError, match=why):
        History.read(tmp_path)


def test_a_folder_without_them_has_no_course(tmp_path):
    assert not History.read(tmp_path).points
