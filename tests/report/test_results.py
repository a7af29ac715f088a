"""Results and files: the schema, the keys that others read, sums, secrets, every kind of output."""

import json
from dataclasses import replace
from importlib import resources
from xml.etree import ElementTree

import jsonschema
import pytest

from siploadgen.errors import InternalError, UsageError
from siploadgen.report import summary
from siploadgen.report.collect import make_collector
from siploadgen.report.metrics import Names
from siploadgen.report.thresholds import parse_threshold
from siploadgen.report.writers import FILES, Output, Outputs, clean_message, parse_outputs, render
from tests.report.builders import HEAD, result_of, simulate
from tests.run.fake_engine import FakeProgram, World

SCHEMA = json.loads((resources.files("siploadgen.report") / "run.schema.json").read_text())
WORLDS = {
    "good": World(), "rejecting": World(reject_share=0.3, busy_share=0.1),
    "silent": World(silent=True), "late": World(late_s=0.05), "holding": World(hold_s=100),
    "dropping": World(receive_drops=3), "refusing": World(refused=True),
}


@pytest.fixture(params=WORLDS)
def result(request):
    return result_of(WORLDS[request.param], thresholds=[parse_threshold("srd: p(99) < 150ms"),
                                                        parse_threshold("failed: rate < 1%")])


def test_results_fit_the_schema(result):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(render("json", result)), SCHEMA)


def test_the_keys_that_others_read(result):
    assert list(result)[:4] == ["schema", "scenario", "target", "plan"]
    assert result["schema"] == "siploadgen/run/1"
    for key, inner in {
        "scenario": {"name", "digest"}, "target": {"uri", "transport"},
        "plan": {"rate_per_s", "duration_s", "arrival", "seed", "timers", "coalesce_s"},
        "verdict": {"state", "rules"},
        "calls": {"due", "started", "not_started", "succeeded", "failed", "in_progress"},
        "rate": {"due_per_s", "started_per_s", "succeeded_per_s"},
        "messages": {"sent", "received", "retransmitted", "retransmitted_own_fault", "malformed",
                     "unexpected"},
        "rfc6076": {"ser", "seer", "isa", "scr", "ira"},
        "generator": {"cpu_user_s", "cpu_system_s", "cores", "loop_busy", "send_late_p99_us",
                      "receive_drops", "gso", "gso_group"},
        "environment": {"version", "python", "kernel", "cpu"},
    }.items():
        assert inner <= set(result[key]), key
    assert {"count", "p50_us", "p90_us", "p95_us", "p99_us", "p99.9_us", "max_us", "mean_us",
            "from"} <= set(result["metrics"]["srd"])
    assert {"srd", "srd_service", "lateness", "receive_delay"} <= set(result["metrics"])
    assert {"expression", "value", "ok"} <= set(result["thresholds"][0])
    assert result["exit_code"] in (0, 91, 99, 100)


def test_both_sums_hold(result):
    counted = result["calls"]
    assert counted["due"] == counted["started"] + sum(counted["not_started"].values())
    assert counted["started"] == (counted["succeeded"] + sum(counted["failed"].values())
                                  + counted["in_progress"])


def test_every_text_can_be_made(result):
    text = render("summary", result)
    assert str(f"{result['calls']['due']:,}") in text
    first = text.splitlines()[0]
    if "never_answered" in result:
        assert first.startswith("NO ANSWER")
    elif result["verdict"]["state"] != "valid":
        assert first.startswith(result["verdict"]["state"].upper())
    markdown = render("md", result)
    assert markdown.startswith("# siploadgen: call\n")
    assert result["verdict"]["state"].upper() in markdown
    suite = ElementTree.fromstring(render("junit", result))
    names = [case.get("name") for case in suite]
    assert names[:3] == ["run validity", "srd: p(99) < 150ms", "failed: rate < 1%"]
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("tests")) == len(names)


def test_the_verdict_comes_first_with_its_rule():
    text = summary.plain(result_of(World(late_s=0.05)))
    assert text.startswith("INVALID: ")
    assert "late_start_p99 50" in text
    assert "invalid seconds began at 0 s, 1 s, 2 s" in text


def test_several_targets_are_shown():
    result = result_of(World())
    assert len(result["target"]["addresses"]) == 0          # the record of this run names none
    assert "\ntargets" not in summary.plain(result)
    one = {"address": "192.0.2.1:5060", "transport": "udp", "priority": 10, "weight": 1,
           "calls": 2500}
    result["target"]["addresses"] = [one]
    assert "\ntargets" not in summary.plain(result)
    result["target"]["left_out"] = ["2001:db8::6"]
    assert summary.target_lines(result) == [
        ("left out", "2001:db8::6: this run calls IPv4; an address of IPv6 for --local makes it "
                     "call these")]
    result["target"]["left_out"] = []
    result["target"]["addresses"] = [one, {**one, "address": "192.0.2.2:5061", "weight": 3}]
    line = ("2,500 to 192.0.2.1:5060 (priority 10, weight 1), "
            "2,500 to 192.0.2.2:5061 (priority 10, weight 3)")
    assert f"\ntargets    {line}\n" in summary.plain(result)
    assert f"| targets | {line} |" in summary.markdown(result)


@pytest.mark.parametrize(("change", "line"), [
    ({}, None),
    ({"linger_s": 0.0}, "no linger"), ({"linger_s": 0.25}, "linger 250 ms"),
    ({"timers": {"t1_s": 0.05, "t2_s": 4.0, "t4_s": 0.0}, "linger_s": 32.0},
     "T1 50 ms (not 500 ms), T4 0 ns (not 5 s), linger 32 s"),
])
def test_timers_that_are_not_those_of_the_rfc_are_named(change, line):
    collector, record = simulate()
    result = collector.result(record, head={**HEAD, "plan": {**HEAD["plan"], **change}})
    text, markdown = summary.plain(result), summary.markdown(result)
    if line is None:
        assert "timers" not in text + markdown
    else:
        assert f"\ntimers     {line}\n" in text
        assert f"\n| timers | {line} |\n" in markdown


def test_the_size_of_the_groups_is_named():
    collector, record = simulate()
    result = collector.result(record, head=HEAD)
    assert result["generator"]["gso_group"] == 32
    assert "GSO, groups of 32" in summary.generator_line(result)
    plain = replace(record, sockets=({"gso": True, "gso_group": 32},
                                     {"gso": False, "gso_group": 1}))
    result = collector.result(plain, head=HEAD)
    assert (result["generator"]["gso"], result["generator"]["gso_group"]) == (False, 1)
    assert summary.generator_line(result).endswith(", no GSO")


def test_junit_has_a_case_for_the_calls_without_thresholds():
    suite = ElementTree.fromstring(render("junit", result_of(World(reject_share=1.0))))
    failures = suite.findall("testcase/failure")
    assert len(failures) == 1
    assert failures[0].get("message") == "300 of 300 did not: 300 rejected"


def test_strict_makes_suspect_invalid():
    world = World()
    found = result_of(world, limit_values={**make_collector(FakeProgram()).judge.limits,
                                           "receive_delay_p99": 0.0})
    assert found["verdict"]["state"] == "suspect"
    assert found["exit_code"] == 0
    found = result_of(world, strict=True, limit_values={
        **make_collector(FakeProgram()).judge.limits, "receive_delay_p99": 0.0})
    assert found["exit_code"] == 91


def test_a_contradiction_is_an_internal_error():
    collector, record = simulate(World(cooked_books=True))
    with pytest.raises(InternalError, match="do not add up: due 300 is not started 600"):
        collector.result(record, head=HEAD)


def test_a_folder_holds_everything(tmp_path):
    outputs = parse_outputs([str(tmp_path / "run1")])
    files = Outputs(outputs, Names.of(FakeProgram()), 1_700_000_000.0)
    collector, record = simulate(World(reject_share=0.5), writers=[files])
    result = collector.result(record, head=HEAD)
    files.finish(result)
    folder = tmp_path / "run1"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES.values())
    assert json.loads((folder / "run.json").read_text()) == json.loads(render("json", result))
    rows = [json.loads(line) for line in (folder / "intervals.ndjson").read_text().splitlines()]
    assert [row["t_s"] for row in rows] == [0.0, 1.0, 2.0]
    for name in ("due", "started", "succeeded"):
        assert sum(row["calls"][name] for row in rows) == result["calls"][name]
    for number in (2, 3):
        assert sum(row["metrics"]["srd"]["count"] for row in rows[:number]) <= result[
            "metrics"]["srd"]["count"]
    errors = [json.loads(line) for line in (folder / "errors.ndjson").read_text().splitlines()]
    assert len(errors) == result["calls"]["failed"]["rejected"]
    assert errors[0]["outcome"] == "rejected"
    assert errors[0]["step"] == "AWAIT"
    assert errors[0]["diagram"].splitlines() == [
        "            caller            peer",
        "   0.000 s  |-- INVITE ------>|",
        "   0.001 s  |<-- 486 INVITE --|"]
    assert "486 Busy" in errors[0]["message"]
    assert "topsecret" not in (folder / "errors.ndjson").read_text()
    assert sorted(files.paths) == sorted(str(path) for path in folder.iterdir())


def test_a_run_that_cannot_begin_leaves_the_files_of_the_one_before(tmp_path):
    folder = tmp_path / "run1"
    folder.mkdir()
    for name in FILES.values():
        if name != "report.html":
            (folder / name).write_text(f"{name} of before")
    Outputs(parse_outputs([str(folder)]), Names.of(FakeProgram()), 0.0).close()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: f"{name} of before" for name in FILES.values() if name != "report.html"}
    with pytest.raises(UsageError, match="--out"):
        Outputs([Output("json", str(tmp_path / "new.json")),
                 Output("md", str(folder / "run.json" / "x.md"))], Names.of(FakeProgram()), 0.0)
    assert not (tmp_path / "new.json").exists()


def test_the_histogram_log_is_read_by_the_public_reader(tmp_path):
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    path = tmp_path / "hist.hlog"
    files = Outputs([Output("hlog", str(path))], Names.of(FakeProgram()), 1_700_000_000.0)
    collector, record = simulate(writers=[files])
    result = collector.result(record, head=HEAD)
    files.finish(result)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    counts = {}
    while (histogram := reader.get_next_interval_histogram()) is not None:
        tag = histogram.get_tag()
        counts[tag] = counts.get(tag, 0) + histogram.total_count
    assert counts == {name: metric["count"] for name, metric in result["metrics"].items()
                      if metric["count"]}


def test_one_kind_to_one_place(tmp_path, capsys):
    outputs = parse_outputs([f"junit={tmp_path}/a/b.xml", "json=-"])
    files = Outputs(outputs, Names.of(FakeProgram()), 0.0)
    result = result_of()
    files.finish(result)
    assert (tmp_path / "a" / "b.xml").read_text() == render("junit", result)
    assert json.loads(capsys.readouterr().out)["exit_code"] == 0


@pytest.mark.parametrize(("texts", "why"), [
    (["hgrm="], "a file name is missing"), (["html"], "write a folder"), (["pdf=x"], "unknown"),
    (["json="], "a file name is missing"), (["hlog=-"], "a file name is missing"), ([""], "write"),
    (["json=-", "md=-"], "only one kind"), (["github"], "GITHUB_STEP_SUMMARY is not set"),
    (["run.json"], "KIND=run.json"), (["json"], "write"),
])
def test_bad_outputs(texts, why, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    with pytest.raises(UsageError, match="--out") as error:
        parse_outputs(texts)
    assert why in str(error.value)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="a file is there"):
        parse_outputs([str(tmp_path / "file")])
    with pytest.raises(UsageError, match="--out"):
        Outputs([Output("json", str(tmp_path / "file" / "x.json"))], Names.of(FakeProgram()), 0.0)


def test_credentials_are_left_out_of_messages():
    text = clean_message(b"INVITE sip:a SIP/2.0\r\nproxy-authorization : Digest a=\"b\",\r\n"
                         b" response=\"deadbeef\"\r\nAuthorization: Digest response=\"cafe\"\r\n"
                         b"From: <sip:a@b>\r\n\r\n\xff")
    assert "deadbeef" not in text
    assert "cafe" not in text
    assert "From: <sip:a@b>" in text
    assert text.endswith("\\xff")


def test_an_answering_side_has_a_result():
    collector, record = simulate(answering=True)
    held = record.last.figures
    held.counters[:] = 0
    held.outcomes[:] = 0
    head = {**HEAD, "target": None, "plan": {
        "role": "answerer", "answer_after": "", "reject": "", "drop": 0.0, "challenge": "",
        "rate_limit_per_s": None, "lines": None, "workers": 1, "seed": 1,
        **{key: HEAD["plan"][key] for key in ("linger_s", "timers", "coalesce_s")}}}
    result = collector.result(record, head=head)
    jsonschema.validate(json.loads(render("json", result)), SCHEMA)
    assert result["exit_code"] == 0
    assert "never_answered" not in result
    for kind in ("summary", "md", "junit"):
        assert "answered on 127.0.0.1:40000" in render(kind, result) or kind == "junit"


def test_large_requests_are_warned_of():
    result = result_of(World())
    assert "1,300" not in render("summary", result)
    result = {**result, "messages": {**result["messages"], "large_requests": 2000}}
    for kind in ("summary", "md"):
        assert render(kind, result).count("2,000 requests of more than 1,300 octets") == 1
