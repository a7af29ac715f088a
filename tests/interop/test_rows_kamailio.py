"""Rows of docs/methods.md that want a real proxy in the middle, octets compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.net.udp import monotonic
from siploadgen.model.python import call
from siploadgen.model.recorder import Recorder
from tests.engine.drive import named
from tests.interop.peers import HOST, capture, free_port, kamailio, nothing_malformed, tshark
from tests.interop.recount import misuse, read
from tests.interop.tool import answering, calling, hang_up, nothing_lost
from tests.loopback.test_engine import Running

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 50
RATE = ("--rate", "100/s", "--calls", str(CALLS), "--gso", "off")
# octets that a text tool would damage
MULTIPART = (
    b"--part\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
    b"c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n\r\n--part\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Disposition: signal;"
    b"handling=optional\r\n\r\n" + bytes(range(256)) + b"\r\n--part\r\n"
    b"Content-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n"
    b"<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"/>\r\n"
    b"--part--\r\n")


def bodies(file: Path, ports: tuple[int, ...], wanted: str) -> list[bytes]:
    """Give the bodies of the messages that a filter chooses, octet by octet."""
    shown = tshark(file, ports, "-Y", wanted, "-T", "fields", "-e", "udp.payload")
    return [bytes.fromhex(line.replace(":", "")).partition(b"\r\n\r\n")[2]
            for line in shown.split()]


def test_i13_bodies_pass_a_proxy_untouched(tmp_path: Path, peers: dict[str, str]) -> None:
    """Several parts, one of them binary, in the INVITE and in its 200 (RFC 5621)."""
    body = tmp_path / "body"
    body.write_bytes(MULTIPART)
    with (answering(tmp_path, "--gso", "off", "--set", f"answer_body={body}") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with (capture(tmp_path, proxy) as taken,
              calling(tmp_path, proxy, *RATE, "--set", f"body={body}") as caller):
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["succeeded"] == CALLS
    assert report["messages"]["large_requests"] == 0
    for wanted in (f'sip.Method == "INVITE" && udp.dstport == {answerer.port}',
                   f'sip.Status-Code == 200 && sip.CSeq.method == "INVITE" && '
                   f"udp.srcport == {proxy}"):
        seen = bodies(taken.file, (proxy,), wanted)
        assert len(seen) >= CALLS
        assert set(seen) == {MULTIPART}
    # of the stray characters tshark speaks as soon as a part has all octets in it
    assert not [line for line in nothing_malformed(taken) if "\tTrailing stray" not in line]


def test_m8_no_hop_is_left(tmp_path: Path, peers: dict[str, str]) -> None:
    with (kamailio(tmp_path, "proxy", target=free_port()) as proxy,
          calling(tmp_path, proxy, *RATE, "--set", "max_forwards=0") as caller):
        report = caller.finish(60)
    assert report["calls"]["failed"] == {"rejected": CALLS}
    assert report["messages"]["received"]["483/INVITE"] >= CALLS


def test_m13_headers_pass_a_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    """One for all calls and one for each, as the other side of the proxy sees them."""
    with (answering(tmp_path, "--gso", "off") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy,
          capture(tmp_path, proxy) as taken,
          calling(tmp_path, proxy, *RATE, "--users", str(CALLS), "--set",
                  "headers=Subject: load | X-Row: {user}") as caller):
        nothing_lost(caller.finish(60), CALLS)
    wanted = f'sip.Method == "INVITE" && udp.dstport == {answerer.port}'
    shown = tshark(taken.file, (proxy,), "-Y", wanted, "-T", "fields", "-e", "udp.payload")
    invites = [bytes.fromhex(line.replace(":", "")) for line in shown.split()]
    assert all(b"\r\nSubject: load\r\n" in one for one in invites)
    rows = {one.partition(b"\r\nX-Row: ")[2].partition(b"\r\n")[0] for one in invites}
    assert len(rows) > CALLS // 2


def test_m17_short_names_pass_a_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    """Both ends write them, the proxy adds its own long ones."""
    with (answering(tmp_path, "--compact", "--gso", "off") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with (capture(tmp_path, proxy) as taken,
              calling(tmp_path, proxy, *RATE, "--compact", "--set", "talk=50ms", "--set",
                      "held=50ms", model="call-hold") as caller):
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["succeeded"] == CALLS
    assert not nothing_malformed(taken)


def strange(c: Recorder) -> None:
    """Send what no RFC knows."""
    c.send("XLOAD.1!")
    c.expect(501, method="XLOAD.1!")
    c.send("XLOAD.1!")
    c.expect(501, method="XLOAD.1!")


def test_m4_a_method_of_ones_own_goes_through_a_proxy_and_back(
        tmp_path: Path, peers: dict[str, str]) -> None:
    """Forwarded as it is, answered by 501 with Allow, and found by its CSeq (RFC 3261 16)."""
    with (answering(tmp_path, "--gso", "off") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with capture(tmp_path, proxy) as taken:
            program = compile_scenarios(
                call(name="strange")(strange).record(target=f"sip:{HOST}:{proxy}"))
            one = Running(program, (HOST, proxy), gso=False)
            one.engine.schedule(np.full(5, monotonic(), dtype=np.int64))
            one.thread.start()
            one.finish()
        report = hang_up(answerer)
    assert named(one.engine.outcomes) == {"succeeded": 5}
    assert report["messages"]["malformed"] == 0
    seen = read(taken.file, (proxy,))
    asked = [m for m in seen if m.target == answerer.port and not m.status]
    assert {m.method for m in asked} == {"XLOAD.1!"}
    assert {m.status for m in seen if m.source == proxy and m.status} == {501}
    assert not misuse(seen, one.address[1])


@pytest.mark.parametrize(("refresher", "refresh_by"), [("uac", "auto"), ("uas", "invite")])
def test_i9_a_proxy_wants_longer_sessions(tmp_path: Path, peers: dict[str, str], refresher: str,
                                          refresh_by: str) -> None:
    """RFC 4028 8: the 422 comes from the proxy, which minds the dialog from then on."""
    calls = 20
    with (answering(tmp_path, "--gso", "off") as answerer,
          kamailio(tmp_path, "sst", target=answerer.port, min_se=200) as proxy):
        with (capture(tmp_path, proxy) as taken,
              calling(tmp_path, proxy, "--rate", "50/s", "--calls", str(calls), "--gso", "off",
                      "--set", "session_expires=90", "--set", f"refresher={refresher}",
                      "--set", f"refresh_by={refresh_by}", "--set", "hold=100ms",
                      model="call-session-timer") as caller):
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, calls)
    assert report["messages"]["received"]["422/INVITE"] >= calls
    assert answered["calls"]["succeeded"] == calls
    asked = tshark(taken.file, (proxy,), "-T", "fields", "-e", "sip.Session-Expires", "-e",
                   "sip.Min-SE", "-Y",
                   f'sip.Method == "INVITE" && udp.dstport == {answerer.port}')
    assert {line.split(";")[0].split("\t")[0] for line in asked.splitlines()} == {"200"}
    assert not nothing_malformed(taken)
