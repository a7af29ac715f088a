"""The judges judged: SIPp calling SIPp, alone and through our Kamailio, before anybody relies on
the harness. And the arithmetic of the recount on messages made by hand."""

from __future__ import annotations

import dataclasses
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import (
    HERE,
    HOST,
    PeerError,
    capture,
    free_port,
    kamailio,
    nothing_malformed,
    sipp_uac,
    sipp_uas,
)
from tests.interop.recount import Seen, misuse, percentile, read, recount

pytestmark = pytest.mark.interop
CALLS = 1000


def ask(port: int, text: str) -> str:
    """Send one datagram; give the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        probe.settimeout(5)
        mine = probe.getsockname()[1]
        probe.sendto(text.replace("@MINE@", str(mine)).replace("\n", "\r\n").encode(),
                     (HOST, port))
        return probe.recv(4000).decode()



def test_a_port_is_given_once() -> None:
    taken = [*(free_port() for _ in range(40)), *range(several := free_port(20), several + 20)]
    assert len(set(taken)) == 60


def test_sipp_calls_sipp_and_the_capture_agrees(tmp_path: Path, peers: dict[str, str]) -> None:
    caller = free_port()
    with (sipp_uas(tmp_path) as answering, capture(tmp_path, caller) as taken,
          sipp_uac(tmp_path, answering.port, rate=500, calls=CALLS, port=caller) as calling):
        stats = calling.wait(30)
        assert (stats.successful, stats.failed) == (CALLS, 0), calling.log()
    assert taken.dropped == 0
    assert not nothing_malformed(taken)
    told = recount(read(taken.file, (caller,)), caller)
    assert told.calls == told.answered == told.released == CALLS
    assert len(told.srd_us) == len(told.setup_us) == len(told.sdd_us) == CALLS
    # 180, 200 and 200 answer INVITE, ACK and BYE; beyond that there is nothing but repeats, which
    # a machine that pauses for half a second brings about
    assert told.requests.keys() == {"INVITE", "ACK", "BYE"}
    assert told.requests.total() + told.responses.total() == 6 * CALLS + told.retransmitted
    assert told.retransmitted >= stats.retransmissions
    assert not told.branches_reused
    assert not told.cseq_regressed
    assert 0 < percentile(told.srd_us, 50) <= percentile(told.setup_us, 50)


def test_sipp_calls_sipp_through_the_recording_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    caller = free_port()
    with (sipp_uas(tmp_path, scenario=HERE / "sipp" / "answerer.xml") as answering,
          kamailio(tmp_path, "proxy", target=answering.port) as proxy,
          capture(tmp_path, proxy) as taken,
          sipp_uac(tmp_path, proxy, rate=500, calls=CALLS, port=caller,
                   scenario=HERE / "sipp" / "caller.xml") as calling):
        stats = calling.wait(30)
    assert (stats.successful, stats.failed) == (CALLS, 0), calling.log()
    assert not nothing_malformed(taken)
    messages = read(taken.file, (proxy,))
    assert recount(messages, caller).released == CALLS
    # The ACK of the 200 and the BYE went through the proxy because the route was recorded.
    beyond = [m for m in messages if m.source == proxy and m.target == answering.port]
    for method in ("ACK", "BYE"):
        through = {m.call_id for m in beyond if m.method == method and not m.status}
        assert len(through) == CALLS, method


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_registrar_challenges(tmp_path: Path, peers: dict[str, str], algorithm: str) -> None:
    with kamailio(tmp_path, "registrar", algorithm=algorithm, password="secret", max_expires=3600,
                  min_expires=60, nonce_expire=300) as registrar:
        answer = ask(registrar, register(registrar, expires=120))
        assert answer.startswith("SIP/2.0 401 ")
        assert re.search(r'WWW-Authenticate: Digest realm="[^"]+", nonce="[^"]+", qop="auth"',
                         answer)
        assert (f"algorithm={algorithm}" in answer) or algorithm == "MD5"
        assert registered(registrar) == 0
        if algorithm == "MD5":  # SIPp knows no other
            users = tmp_path / "users.csv"
            users.write_text("SEQUENTIAL\n" + "".join(
                f"u{n};[authentication username=u{n} password=secret]\n" for n in range(200)))
            port = free_port()
            for lifetime, left in ((120, 200), (0, 0)):
                with sipp_uac(tmp_path, registrar, rate=200, calls=200, port=port,
                              extra=["-inf", str(users), "-key", "lifetime", str(lifetime)],
                              scenario=HERE / "sipp" / "registrant.xml") as calling:
                    stats = calling.wait(20)
                assert (stats.successful, stats.failed) == (200, 0), calling.log()
                assert registered(registrar) == left


def register(port: int, expires: int) -> str:
    return (f"REGISTER sip:{HOST}:{port} SIP/2.0\nVia: SIP/2.0/UDP {HOST}:@MINE@;branch=z9hG4bKr1\n"
            f"Max-Forwards: 5\nFrom: <sip:u@{HOST}:{port}>;tag=1\nTo: <sip:u@{HOST}:{port}>\n"
            f"Call-ID: r1\nCSeq: 1 REGISTER\nContact: <sip:u@{HOST}:@MINE@>\nExpires: {expires}\n"
            "Content-Length: 0\n\n")


def registered(port: int) -> int:
    """How many users the registrar holds, by its own word."""
    answer = ask(port, f"OPTIONS sip:count@{HOST}:{port} SIP/2.0\n"
                       f"Via: SIP/2.0/UDP {HOST}:@MINE@;branch=z9hG4bKc1\nMax-Forwards: 5\n"
                       f"From: <sip:u@{HOST}>;tag=1\nTo: <sip:count@{HOST}:{port}>\nCall-ID: c1\n"
                       "CSeq: 1 OPTIONS\nContent-Length: 0\n\n")
    found = re.search(r"X-Registered: (\d+)", answer)
    assert found, answer
    return int(found[1])


def test_the_busy_server_refuses(tmp_path: Path, peers: dict[str, str]) -> None:
    with (kamailio(tmp_path, "busy") as server,
          sipp_uac(tmp_path, server, rate=100, calls=50) as calling):
        stats = calling.wait(20)
    assert (stats.successful, stats.failed) == (0, 50)


def test_a_peer_that_ends_at_once_is_reported(tmp_path: Path, peers: dict[str, str]) -> None:
    with pytest.raises(PeerError, match="before listening"), \
            sipp_uas(tmp_path, scenario="no-such-scenario"):
        pytest.fail("it must not get here")


# --- the arithmetic of the recount, on a call written by hand ---

CALL = [
    Seen(0.0, 1, 2, "INVITE", 0, "a", 1, "b1", "f", ""),
    Seen(100.0, 2, 1, "INVITE", 100, "a", 1, "b1", "f", ""),
    Seen(250.0, 2, 1, "INVITE", 180, "a", 1, "b1", "f", "t"),
    Seen(900.0, 2, 1, "INVITE", 200, "a", 1, "b1", "f", "t"),
    Seen(950.0, 1, 2, "ACK", 0, "a", 1, "b2", "f", "t"),
    Seen(1000.0, 1, 2, "BYE", 0, "a", 2, "b3", "f", "t"),
    Seen(1070.0, 2, 1, "BYE", 200, "a", 2, "b3", "f", "t"),
]


def test_latencies_of_one_call() -> None:
    told = recount(CALL, caller=1)
    assert (told.srd_us, told.setup_us, told.sdd_us) == ([250.0], [900.0], [70.0])
    assert (told.calls, told.answered, told.released, told.retransmitted) == (1, 1, 1, 0)
    assert not told.branches_reused
    assert not told.cseq_regressed


def test_a_repeated_message_counts_once() -> None:
    again = [*CALL[:4], dataclasses.replace(CALL[0], at_us=500.0),
             dataclasses.replace(CALL[3], at_us=1400.0), *CALL[4:]]
    told = recount(again, caller=1)
    assert told.retransmitted == 2
    assert told.setup_us == [900.0]
    assert not told.branches_reused


def test_a_branch_used_twice_is_seen() -> None:
    told = recount([*CALL[:5], dataclasses.replace(CALL[5], branch="b1"), CALL[6]], caller=1)
    assert told.branches_reused == ["b1"]


def test_a_cseq_that_goes_back_is_seen() -> None:
    told = recount([*CALL[:5], dataclasses.replace(CALL[5], cseq=1), CALL[6]], caller=1)
    assert told.cseq_regressed == ["a 1 BYE"]


# --- and what is wrong with the requests of a port ---

FORKED = [
    *CALL[:5],
    Seen(910.0, 2, 1, "INVITE", 200, "a", 1, "b1", "f", "u"),
    Seen(960.0, 1, 2, "ACK", 0, "a", 1, "b4", "f", "u"),
    Seen(970.0, 1, 2, "BYE", 0, "a", 2, "b5", "f", "u"),
    *CALL[5:],
]
REFUSED = [
    CALL[0],
    Seen(90.0, 2, 1, "INVITE", 486, "a", 1, "b1", "f", "t"),
    Seen(95.0, 1, 2, "ACK", 0, "a", 1, "b1", "f", "t"),
]


@pytest.mark.parametrize("messages", [CALL, FORKED, REFUSED, [*CALL[:5], *CALL[4:]]],
                         ids=["call", "forked", "refused", "repeated"])
def test_right_use_of_branches_and_numbers(messages: list[Seen]) -> None:
    assert misuse(messages, 1) == misuse(messages, 2) == []


@pytest.mark.parametrize(("place", "change", "words"), [
    (5, {"branch": "b1"}, "branch b1 was that of"),
    (5, {"cseq": 1}, "after 1"),
    (4, {"branch": "b1"}, "has the branch of its INVITE"),
    (4, {"cseq": 9}, "no INVITE had this CSeq"),
])
def test_wrong_use_of_branches_and_numbers(place: int, change: dict[str, Any],
                                           words: str) -> None:
    messages = [*CALL[:place], dataclasses.replace(CALL[place], **change), *CALL[place + 1:]]
    (found,) = misuse(messages, 1)
    assert words in found
    assert misuse(messages, 2) == []


def test_registrations_are_numbered_across_tags() -> None:
    first = Seen(0.0, 1, 2, "REGISTER", 0, "r", 7, "b1", "f", "")
    later = dataclasses.replace(first, branch="b2", from_tag="g", cseq=8)
    assert misuse([first, later], 1) == []
    assert misuse([later, first], 1) == ["r 7 REGISTER: after 8"]


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (99, 99.0), (100, 100.0), (0.1, 1.0)])
def test_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value
