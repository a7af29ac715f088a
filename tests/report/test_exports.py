"""Figures on their way to monitoring systems, each read by a receiver of the test's own."""

import copy
import gzip
import math
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from siploadgen.core.hist import STRIDE
from siploadgen.errors import UsageError
from siploadgen.report import exports, histogram, summary
from siploadgen.report.export_github import annotations
from siploadgen.report.export_otlp import SCALE, exponential
from siploadgen.report.export_prometheus import buckets, native
from siploadgen.report.metrics import Names
from siploadgen.report.thresholds import parse_threshold
from siploadgen.report.writers import Outputs, parse_outputs
from tests.report.builders import HEAD, hist_index, result_of, simulate
from tests.run.fake_engine import FakeProgram, World

NAMES = Names.of(FakeProgram())


def opened(*texts):
    return Outputs(parse_outputs(texts), NAMES, 1_700_000_000.0)


def played(files, **more):
    """A simulated run, its result; the exports are still open."""
    collector, record = simulate(World(reject_share=0.2, receive_drops=3), writers=[files], **more)
    return collector.result(record, head=HEAD)


def listener():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(10)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return receiver


def datagrams(receiver):
    """Everything that has come; loopback delivers at once."""
    receiver.setblocking(False)
    found = []
    while True:
        try:
            found.append(receiver.recv(65536).decode())
        except BlockingIOError:
            return found


@pytest.mark.loopback
def test_prometheus_scrapes_what_the_report_says():
    files = opened("prometheus=0")
    try:
        result = played(files)
        url = files.paths[-1]
        assert url.startswith("http://127.0.0.1:")
        text = urlopen(url, timeout=10).read().decode()
    finally:
        files.close()
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=10)
    found = {(sample.name, *sorted(sample.labels.items())): sample.value
             for family in text_string_to_metric_families(text) for sample in family.samples}
    calls = result["calls"]
    assert found[("siploadgen_calls_due_total",)] == calls["due"] == 300
    assert found[("siploadgen_calls_succeeded_total",)] == calls["succeeded"]
    assert found["siploadgen_calls_failed_total", ("class", "rejected")] == calls["failed"][
        "rejected"] > 0
    assert found["siploadgen_rfc6076", ("ratio", "ser")] == pytest.approx(
        result["rfc6076"]["ser"])
    assert found[("siploadgen_messages_sent_total",)] == sum(result["messages"]["sent"].values())
    for name, metric in result["metrics"].items():
        if metric["count"]:
            label = ("metric", name)
            assert found["siploadgen_latency_seconds_count", label] == metric["count"]
            assert found["siploadgen_latency_seconds_bucket", ("le", "+Inf"), label] == metric[
                "count"]
            below = found["siploadgen_latency_seconds_bucket", ("le", "0.001"), label]
            assert (below >= metric["count"] / 2) == (metric["p50_us"] <= 1000)
            assert found["siploadgen_latency_seconds_sum", label] == pytest.approx(
                metric["mean_us"] * metric["count"] / 1e6, rel=1e-3)


@pytest.mark.loopback
def test_native_histograms_hold_the_same_counts():
    files = opened("prometheus=0")
    try:
        result = played(files)
        asked = Request(files.paths[-1], headers={
            "Accept": "application/openmetrics-text;version=2.0.0,text/plain;version=0.0.4"})
        text = urlopen(asked, timeout=10).read().decode()
    finally:
        files.close()
    # prometheus_client's own parser does not know spans that begin below 0: those under a second
    lines = re.findall(r'^siploadgen_latency_seconds\{metric="([^"]+)"\} '
                       r"\{count:(\d+),sum:([\d.e-]+),"
                       r"schema:6,zero_threshold:5e-07,zero_count:(\d+)(.*)\}$", text, re.M)
    metrics = {name: one for name, one in result["metrics"].items() if one["count"]}
    assert {name for name, *_ in lines} == set(metrics)
    for name, count, total, zeros, more in lines:
        deltas = re.search(r"positive_deltas:\[([-\d,]*)\]", more)
        inside = np.cumsum([int(one) for one in deltas[1].split(",")]).sum() if deltas else 0
        assert inside + int(zeros) == int(count) == metrics[name]["count"]
        assert float(total) == pytest.approx(metrics[name]["mean_us"] * int(count) / 1e6, rel=1e-3)
    assert text.endswith("# EOF\n")


def held(one):
    """Count what lies in its buckets, which are told by their differences."""
    return sum(np.cumsum(one.pos_deltas).tolist()) if one.pos_deltas else 0


@given(st.lists(st.tuples(st.integers(0, 4_000_000_000), st.integers(1, 10**6)), max_size=20))
def test_native_buckets_hold_their_values(pairs):
    counts = np.zeros(STRIDE, np.int64)
    for us, count in pairs:
        counts[hist_index(us)] += count
    one = native(counts, 0.0)
    places, at = [], 0
    for span in one.pos_spans or ():
        at += span.offset
        places += range(at, at + span.length)
        at += span.length
    values = np.cumsum(one.pos_deltas or [0]).tolist()
    assert one.zero_count + (held(one) if places else 0) == counts.sum()
    told = dict(zip(places, values, strict=False))
    for us, _ in pairs:
        if hist_index(us):
            seconds = min(histogram.MEDIAN_AT_US[min(hist_index(us), STRIDE - 2)] / 1e6, 3600.0)
            near = math.ceil(math.log2(seconds) * 2**SCALE)
            assert any(told.get(near + step, 0) > 0 for step in (-1, 0, 1))


def test_buckets_are_cumulative_and_exact():
    counts = np.zeros(STRIDE, np.int64)
    for us in (5, 10, 11, 1000, 1001, 50_000, 4_000_000_000):
        counts[hist_index(us)] += 1
    found = dict(buckets(counts))
    assert [found[bound] for bound in ("1e-05", "2e-05", "0.001", "0.002", "0.05", "500", "+Inf")
            ] == [2, 3, 4, 5, 5 + (histogram.HIGHEST_AT_US[hist_index(50_000)] <= 50_000), 6, 7]
    assert list(found.values()) == sorted(found.values())


def test_a_port_in_use_is_told():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match=r"prometheus=.*in use"):
            opened(f"prometheus=127.0.0.1:{other.getsockname()[1]}")


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.got.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.loopback
def test_opentelemetry_gets_the_same():
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    server = HTTPServer(("127.0.0.1", 0), Collector)
    server.got = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        files = opened(f"otlp=http://127.0.0.1:{server.server_port}")
        result = played(files)
        files.finish(result)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    path, body = server.got[-1]
    assert path == "/v1/metrics"
    request = ExportMetricsServiceRequest.FromString(body)
    resource = request.resource_metrics[0]
    assert any(pair.key == "service.name" and pair.value.string_value == "siploadgen"
               for pair in resource.resource.attributes)
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    due = metrics["siploadgen.calls.due"].sum
    assert due.is_monotonic
    assert due.data_points[0].as_int == 300
    failed = {point.attributes[0].value.string_value: point.as_int
              for point in metrics["siploadgen.calls.failed"].sum.data_points}
    assert failed == result["calls"]["failed"]
    for point in metrics["siploadgen.latency"].exponential_histogram.data_points:
        metric = result["metrics"][point.attributes[0].value.string_value]
        assert point.count == metric["count"] == sum(point.positive.bucket_counts) + \
            point.zero_count
        assert point.scale == SCALE
        running = np.cumsum([point.zero_count, *point.positive.bucket_counts])
        bucket = int(np.searchsorted(running, metric["count"] / 2))
        high = 2 ** ((point.positive.offset + bucket) / 2**SCALE)
        assert bucket == 0 or metric["p50_us"] / 1e6 == pytest.approx(high, rel=0.013)


def test_exponential_buckets_hold_their_values():
    counts = np.zeros(STRIDE, np.int64)
    for us in (0, 1, 1_000_000, 1_000_000, 3_000_000):
        counts[hist_index(us)] += 1
    offset, found, zeros = exponential(counts)
    assert zeros == 1
    assert sum(found) == 4
    for us, times in ((1, 1), (1_000_000, 2), (3_000_000, 1)):
        seconds = histogram.MEDIAN_AT_US[hist_index(us)] / 1e6
        place = next(number + offset for number, held in enumerate(found)
                     if held and 2 ** ((number + offset) / 64) < seconds
                     <= 2 ** ((number + offset + 1) / 64))
        assert found[place - offset] == times


@pytest.mark.loopback
def test_a_collector_that_is_not_there_stops_nothing(capsys):
    with socket.socket() as other:  # bound, and nobody listens
        other.bind(("127.0.0.1", 0))
        files = opened(f"otlp=http://127.0.0.1:{other.getsockname()[1]}/v1/metrics")
        files.finish(played(files))
    assert "were not taken" in capsys.readouterr().err


@pytest.mark.loopback
def test_statsd_lines_add_up():
    with listener() as receiver:
        files = opened(f"statsd=127.0.0.1:{receiver.getsockname()[1]}")
        result = played(files)
        files.finish(result)
        got = datagrams(receiver)
    assert all(len(one) <= 1400 for one in got)
    lines = [line for one in got for line in one.split("\n")]
    assert all(re.fullmatch(r"siploadgen\.[\w.]+:-?[\d.e+-]+\|[cg]", line) for line in lines)
    counted = {}
    for line in lines:
        name, value, kind = re.fullmatch(r"([^:]+):([^|]+)\|(.)", line).groups()
        counted[name] = counted.get(name, 0) + float(value) if kind == "c" else float(value)
    assert counted["siploadgen.calls_due"] == 300
    assert counted["siploadgen.calls_failed.rejected"] == result["calls"]["failed"]["rejected"]
    assert counted["siploadgen.latency.srd.count"] == result["metrics"]["srd"]["count"]
    assert 0 < counted["siploadgen.latency.rfc6076.srd.p50"] < 100


def influx_sums(lines):
    sums = {}
    for line in lines:
        series, fields, stamp = re.fullmatch(r"((?:[^ \\]|\\.)+) (\S+) (\d+)", line).groups()
        assert len(stamp) == 19
        for field in fields.split(","):
            name, _, value = field.partition("=")
            key = f"{series} {name}"
            sums[key] = sums.get(key, 0) + float(value.rstrip("i"))
    return sums


@pytest.mark.loopback
def test_influx_lines_add_up(tmp_path):
    with listener() as receiver:
        path = tmp_path / "a" / "lines.lp"
        files = opened(f"influx={path}", f"influx=udp:127.0.0.1:{receiver.getsockname()[1]}")
        result = played(files)
        files.finish(result)
        by_udp = influx_sums(line for one in datagrams(receiver) for line in one.split("\n"))
    sums = influx_sums(path.read_text().splitlines())
    assert {name: value for name, value in sums.items() if "_ns" not in name} == by_udp
    assert sums["siploadgen_calls_due value"] == 300
    assert sums["siploadgen_calls_failed,class=rejected value"] == result["calls"]["failed"][
        "rejected"]
    assert sums["siploadgen_latency_seconds,metric=srd count"] == result["metrics"]["srd"]["count"]


def test_distributions_are_those_of_the_report(tmp_path):
    files = opened(f"hgrm={tmp_path}/hgrm")
    result = played(files)
    files.close()
    files.finish(result)
    held = {name for name, metric in result["metrics"].items() if metric["count"]}
    assert {path.name for path in (tmp_path / "hgrm").iterdir()} == {
        f"{name}.hgrm" for name in held}
    for name in held:
        metric = result["metrics"][name]
        text = (tmp_path / "hgrm" / f"{name}.hgrm").read_text()
        rows = [[float(cell) for cell in line.split()[:3]] for line in text.splitlines()
                if re.match(r"\s*\d[\d.]* ", line)]
        assert rows[-1][2] == metric["count"]
        assert rows[-1][0] * 1000 == pytest.approx(metric["max_us"], abs=1)
        half = next(value for value, share, _ in rows if share >= 0.5)
        assert metric["p50_us"] - 1 <= half * 1000 <= metric["p90_us"] + 1
        assert re.search(rf"TotalCount +=[ ]+{metric['count']}\.000\]", text)


PLUG_IN = """
class Kept:
    place = "kept"
    def __init__(self, where, names):
        self.where, self.names, self.rows, self.result = where, names, [], None
        KEPT.append(self)
    def interval(self, row, figures):
        self.rows.append(row)
    def failures(self, failures):
        pass
    def finish(self, result):
        self.result = result
    def close(self):
        pass

KEPT = []
"""


def test_a_plug_in_is_found_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "kept_output.py").write_text(PLUG_IN)
    about = tmp_path / "kept_output-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kept-output\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        f"[{exports.GROUP}]\nkept = kept_output:Kept\nbroken = kept_output:Nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    files = opened("kept=there")
    result = played(files)
    files.finish(result)
    (one,) = sys.modules["kept_output"].KEPT
    assert (one.where, one.names, one.result) == ("there", NAMES, result)
    assert sum(row["calls"]["due"] for row in one.rows) == 300
    assert files.paths[-1] == "kept"
    with pytest.raises(UsageError, match="cannot be loaded"):
        opened("broken=x")


@pytest.mark.parametrize(("where", "found"), [
    ("", ("127.0.0.1", 7)), ("9464", ("127.0.0.1", 9464)), (":9464", ("127.0.0.1", 9464)),
    ("0.0.0.0:1", ("0.0.0.0", 1)), ("10.0.0.1", ("10.0.0.1", 7)), ("[::1]:5", ("::1", 5)),
    ("[::1]", ("::1", 7)), ("stats.example.com", ("stats.example.com", 7)),
    ("host:8125", ("host", 8125)), ("host2", ("host2", 7))])
def test_addresses(where, found):
    assert exports.address(where, "statsd", 7) == found


@pytest.mark.parametrize(("text", "why"), [
    ("otlp=127.0.0.1:4318", "write a URL"), ("prometheus=a b", "write HOST:PORT"),
    ("statsd=127.0.0.1:70000", "no port 70000"), ("promteheus=1", "prometheus"),
    ("influx=-", "a file name is missing"), ("prometheus=", "a file name is missing"),
    ("statsd", "write a folder")])
def test_destinations_that_are_none(text, why):
    with pytest.raises(UsageError, match="--out") as error:
        opened(text)
    assert why in str(error.value)


def test_the_page_of_a_job_gets_the_summary_and_what_failed(tmp_path, monkeypatch, capsys):
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    result = result_of(thresholds=[parse_threshold("srd: p(50) < 1us"),
                                   parse_threshold("calls.failed: rate < 100%")])
    for inside in ("", "true"):
        monkeypatch.setenv("GITHUB_ACTIONS", inside)
        export = exports.open_export(*parse_out("github"), Names.of(FakeProgram()))
        export.finish(result)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.count(summary.markdown(result)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("::error title=siploadgen call::srd: p(50) < 1us: measured ")


def test_annotations_are_one_line_each():
    result = copy.deepcopy(result_of())
    result["scenario"]["name"] = "a, b: c"
    result["verdict"] |= {"state": "suspect", "rules": [
        {**result["verdict"]["rules"][0], "ok": False}]}
    result["exit_code"] = 99
    found = annotations(result)
    assert [one.partition(" title=siploadgen a%2C b%3A c::")[0] for one in found] == [
        "::warning", "::error"]
    assert all(one.count("\n") == 1 and one.endswith("\n") for one in found)


def parse_out(text):
    (output,) = parse_outputs([text])
    return output.kind, output.path
