"""Keeping paths open and finding the way back: STUN, rport and received, with tshark as judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peeking import wait_until_seen
from tests.interop.peers import (
    HOST,
    capture,
    free_port,
    kamailio,
    nothing_malformed,
    tshark,
)
from tests.interop.tool import answering, calling, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

PATHS = 50
VIA = ("-T", "fields", "-e", "ip.dst", "-e", "udp.dstport", "-e", "sip.Via.received", "-e",
       "sip.Via.rport")
STUN = ("--rate", "200/s", "--calls", str(PATHS), "--set", "form=stun", "--set", "interval=200ms",
        "--gso", "off", "--workers", "1")


def test_kamailio_answers_our_binding_requests(tmp_path: Path, peers: dict[str, str]) -> None:
    with (kamailio(tmp_path, "stun") as server,
          calling(tmp_path, server, *STUN, model="keepalive") as tool):
        report = tool.finish(30)
    nothing_lost(report, PATHS)
    assert report["counters"]["bindings"] == 3 * PATHS == report["metrics"]["binding"]["count"]
    assert report["messages"]["stray"] == 0


def test_our_answers_to_binding_requests_are_well_formed(tmp_path: Path,
                                                         peers: dict[str, str]) -> None:
    """tshark reads both; the address that it uncovers is the port that the caller sends from."""
    port = free_port()
    with answering(tmp_path, "--gso", "off") as answerer:
        with (capture(tmp_path, port) as taken,
              calling(tmp_path, answerer.port, *STUN, "--local", f"{HOST}:{port}",
                      model="keepalive") as tool):
            report = tool.finish(30)
        answered = hang_up(answerer)
    nothing_lost(report, PATHS)
    assert answered["messages"]["bindings_answered"] == 3 * PATHS
    decode = ("-d", f"udp.port=={answerer.port},stun")
    rows = tshark(taken.file, (), *decode, "-Y", "stun", "-T", "fields", "-e", "stun.type",
                  "-e", "stun.att.ipv4", "-e", "stun.att.port", "-e", "_ws.expert.severity")
    kinds = [row.split("\t") for row in rows.splitlines()]
    assert sum(row[0] == "0x0001" for row in kinds) == 3 * PATHS
    assert [row[1:3] for row in kinds if row[0] == "0x0101"] == [[HOST, str(port)]] * 3 * PATHS
    assert {row[3] for row in kinds} == {""}


def test_responses_find_their_way_by_rport(tmp_path: Path, peers: dict[str, str]) -> None:
    """RFC 3581: every response of ours to a request with rport has both, and goes there."""
    port = free_port()
    with (answering(tmp_path, "--gso", "off", "--reject", "486:30%") as answerer,
          capture(tmp_path, port, answerer.port) as taken,
          calling(tmp_path, answerer.port, "--rate", "200/s", "--calls", str(PATHS), "--gso", "off",
                  "--local", f"{HOST}:{port}", "--workers", "1", "--set", "hold=0s") as tool):
        tool.finish(30)
    ports = (port, answerer.port)
    requests = tshark(taken.file, ports, "-Y", f"sip.Method && udp.srcport == {port}", "-T",
                      "fields", "-e", "sip.Via").splitlines()
    assert len(requests) > 2 * PATHS
    assert all(";rport;" in via and "received" not in via for via in requests)
    rows = tshark(taken.file, ports, "-Y", f"sip.Status-Code && udp.dstport == {port}", *VIA)
    assert {tuple(row.split("\t")) for row in rows.splitlines()} == {
        (HOST, str(port), HOST, str(port))}


def test_a_proxy_asks_whether_we_are_there(tmp_path: Path, peers: dict[str, str]) -> None:
    """Proxies send OPTIONS too, and may leave a server out that does not answer them."""
    with answering(tmp_path, "--gso", "off") as tool:
        with (kamailio(tmp_path, "pinging", target=tool.port),
              capture(tmp_path, tool.port) as taken):
            wait_until_seen(taken, "sip.Status-Code == 200")
        report = hang_up(tool)
    assert report["messages"]["received"]["OPTIONS"] == report["messages"]["sent"]["200/OPTIONS"]
    assert not nothing_malformed(taken)
