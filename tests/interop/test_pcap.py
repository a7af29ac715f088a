"""The capture of failed calls, read by the real tshark as it comes: which calls, which messages."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import PeerError, capture, free_port, tshark
from tests.interop.tool import answering, calling, hang_up

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

CALLS = 1_000
CHECKS = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
KEY = ("sip.Method", "sip.Status-Code", "sip.CSeq.method", "sip.Call-ID", "udp.srcport",
       "udp.dstport")


def read(file: Path, *arguments: str) -> list[str]:
    """Lines of tshark without a word on what the ports are for."""
    done = subprocess.run(["tshark", "-n", "-r", str(file), *arguments], capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode:
        raise PeerError(f"tshark: {done.stderr[-1000:]}")
    return done.stdout.splitlines()


def fields(*names: str) -> list[str]:
    return ["-T", "fields", *(word for name in names for word in ("-e", name))]


def errors(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "errors.ndjson").read_text().splitlines()]


def sound(file: Path) -> None:
    """Everything is SIP, well formed, and with right checksums."""
    bad = ("!sip || _ws.malformed || _ws.expert.severity >= 0x800000 "
           "|| !(ip.checksum.status == 1) || !(udp.checksum.status == 1)")
    assert read(file, *CHECKS, "-Y", bad, *fields("frame.number", "_ws.col.Info")) == []


def test_the_failed_calls_and_no_others(tmp_path: Path, peers: dict[str, str]) -> None:
    """What a real capture of the same run has of the failed calls, message by message."""
    port, file = free_port(), tmp_path / "failed.pcap"
    with (answering(tmp_path, "--gso", "off", "--reject", "486:4%,503:2%", "--answer-after", "5ms")
          as other, capture(tmp_path, port) as taken,
          calling(tmp_path, other.port, "--rate", "500/s", "--calls", str(CALLS), "--set",
                  "hold=0s", "--gso", "off", "--workers", "1", "--local", f"127.0.0.1:{port}",
                  "--out", f"pcap={file}", whole=True) as tool):
        report = tool.finish(60)
        hang_up(other)
    assert taken.dropped == 0
    rows = errors(tool.out)
    failed = report["calls"]["failed"]["rejected"]
    assert len(rows) == failed > 20
    sound(file)
    known = {call_id for row in rows for call_id in row["call_ids"]}
    assert len(known) == failed
    found = [tuple(line.split("\t")) for line in read(file, *fields(*KEY))]
    assert {row[3] for row in found} == known
    wire = [tuple(line.split("\t")) for line in tshark(
        taken.file, (port, other.port), *fields(*KEY)).splitlines()]
    assert Counter(found) == Counter(row for row in wire if row[3] in known)
    statuses = Counter(row["status"] for row in rows)
    kinds = Counter(row[0] or row[1] for row in found)
    assert {status: kinds[str(status)] for status in statuses} == statuses
    assert kinds["INVITE"] >= failed
    assert kinds["ACK"] >= failed


def test_times_are_those_of_the_wall(tmp_path: Path, peers: dict[str, str]) -> None:
    """Between the kernel's time of a datagram in a capture and ours lies less than the call."""
    port, file = free_port(), tmp_path / "failed.pcap"
    with (answering(tmp_path, "--gso", "off", "--reject", "486:100%") as other,
          capture(tmp_path, port) as taken,
          calling(tmp_path, other.port, "--rate", "50/s", "--calls", "20", "--gso", "off",
                  "--workers", "1", "--local", f"127.0.0.1:{port}", "--out", f"pcap={file}")
          as tool):
        tool.finish(60)
    seen = ("sip.Call-ID", "sip.Method", "sip.Status-Code", "frame.time_epoch")
    times = [{tuple(row[:3]): float(row[3]) for row in (line.split("\t") for line in lines)}
             for lines in (read(file, *fields(*seen)), tshark(
                 taken.file, (port, other.port), *fields(*seen)).splitlines())]
    assert times[0].keys() <= times[1].keys()
    assert len(times[0]) == 60
    assert all(abs(when - times[1][key]) < 0.5 for key, when in times[0].items())


def test_the_answering_side_has_one_too(tmp_path: Path, peers: dict[str, str]) -> None:
    """Callers that give up: each call ends as cancelled, under the Call-ID of its peer."""
    file = tmp_path / "failed.pcap"
    with answering(tmp_path, "--answer-after", "20s", "--out", f"pcap={file}",
                   whole=True) as other:
        with calling(tmp_path, other.port, "--rate", "100/s", "--calls", "30", "--set",
                     "ring_limit=200ms") as tool:
            tool.finish(60)
        report = hang_up(other)
    rows = errors(other.out)
    assert len(rows) == sum(report["calls"]["failed"].values()) == 30
    sound(file)
    assert {row for row, in (line.split("\t") for line in read(file, *fields("sip.Call-ID")))
            } == {call_id for row in rows for call_id in row["call_ids"]}
    kinds = Counter("".join(line.split("\t")) for line in read(
        file, *fields("sip.Method", "sip.Status-Code")))
    assert kinds["INVITE"] >= 30
    assert kinds["CANCEL"] >= 30
    assert kinds["487"] >= 30


def test_credentials_are_left_out(tmp_path: Path, peers: dict[str, str]) -> None:
    """Registrations whose password is wrong: tshark reads them, and finds no digest."""
    file = tmp_path / "failed.pcap"
    with (answering(tmp_path, "--challenge", "md5", "--set", "password=right") as other,
          calling(tmp_path, other.port, "--rate", "100/s", "--calls", "20", "--users", "20",
                  "--set", "password=wrong", "--out", f"pcap={file}", model="register") as tool):
        report = tool.finish(60)
    assert sum(report["calls"]["failed"].values()) == 20
    sound(file)
    assert read(file, "-Y", "sip.Authorization && sip.auth.digest.response",
                *fields("frame.number")) == []
    shown = read(file, "-Y", "sip.Authorization", *fields("sip.Authorization"))
    assert len(shown) >= 20
    assert {line.strip() for line in shown} == {"(left out)"}
    assert b"response=" not in file.read_bytes()
