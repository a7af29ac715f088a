"""Registrations with real peers: Kamailio as registrar, home and edge proxy, SIPp on both sides."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import (
    HERE,
    HOST,
    capture,
    free_port,
    kamailio,
    nothing_malformed,
    sipp_uac,
    sipp_uas,
    tshark,
    wait_for,
)
from tests.interop.recount import misuse, read
from tests.interop.test_harness import ask, registered
from tests.interop.tool import answering, calling, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

USERS = 200
HOME: dict[str, Any] = {"max_expires": 3600, "max_contacts": 10, "check": 0, "target": 9}
LOAD = ("--users", str(USERS), "--calls", str(USERS), "--rate", "200/s", "--gso", "off",
        "--workers", "1")


# what makes an edge proxy of Kamailio keep flows
OUTBOUND = """loadmodule "stun.so"
loadmodule "outbound.so"
modparam("outbound", "flow_token_secret", "secret")"""


def sets(**settings: object) -> list[str]:
    return [word for pair in settings.items() for word in ("--set", "=".join(map(str, pair)))]


def contacts(port: int) -> int:
    """How many Contacts the home proxy holds, by its own word."""
    answer = ask(port, f"OPTIONS sip:count@{HOST}:{port} SIP/2.0\n"
                       f"Via: SIP/2.0/UDP {HOST}:@MINE@;branch=z9hG4bKc2\nMax-Forwards: 5\n"
                       f"From: <sip:u@{HOST}>;tag=1\nTo: <sip:count@{HOST}:{port}>\nCall-ID: c2\n"
                       "CSeq: 1 OPTIONS\nContent-Length: 0\n\n")
    found = re.search(r"X-Contacts: (\d+)", answer)
    assert found, answer
    return int(found[1])


def shown(file: Path, port: int, what: str, *fields: str) -> list[str]:
    """Fields of the messages that tshark finds by a filter."""
    words = [word for field in fields for word in ("-e", field)]
    return tshark(file, (port,), "-Y", what, "-T", "fields", *words).splitlines()


# --- siploadgen registers with Kamailio ---

@pytest.mark.parametrize(("remove", "left"), [("no", 2 * USERS), ("yes", 0), ("all", 0)])
def test_several_contacts(tmp_path: Path, peers: dict[str, str], remove: str, left: int) -> None:
    """R3, R6, R7: two Contacts with q and times of their own, a fetch, the removal."""
    with kamailio(tmp_path, "home", **HOME) as home:
        with (capture(tmp_path, home) as taken,
              calling(tmp_path, home, *LOAD, *sets(
                  contacts="{own};q=0.7, <sip:{user}@192.0.2.9>;q=0.1;expires=60",
                  fetch="yes", remove=remove), model="register") as tool):
            report = tool.finish(60)
        assert contacts(home) == left
    nothing_lost(report, USERS)
    assert report["metrics"]["fetch"]["count"] == USERS
    assert nothing_malformed(taken) == []
    listed = shown(taken.file, home, "sip.Status-Code == 200 && sip.CSeq.seq == 1001",
                   "sip.msg_hdr")
    assert len(listed) >= USERS
    # what is left of the time, some seconds later
    assert all(re.search(r"q=0\.7;expires=3(600|5\d\d)\b", one)
               and re.search(r"q=0\.1;expires=(60|[345]\d)\b", one) for one in listed)


def test_the_granted_time_is_shorter(tmp_path: Path, peers: dict[str, str]) -> None:
    """R1, R2, R5: refreshes in time, with one Call-ID and rising CSeqs; seen by tshark."""
    port = free_port()
    with kamailio(tmp_path, "home", **{**HOME, "max_expires": 2}) as home:
        with (capture(tmp_path, home) as taken,
              calling(tmp_path, home, *LOAD, "--local", f"{HOST}:{port}",
                      *sets(refreshes=2, remove="no"), model="register") as tool):
            report = tool.finish(60)
        assert registered(home) == USERS
    nothing_lost(report, USERS)
    assert report["metrics"]["rerd"]["count"] == 2 * USERS
    assert nothing_malformed(taken) == []
    assert misuse(read(taken.file, (home,)), port) == []
    seen: dict[str, list[int]] = {}
    for line in shown(taken.file, home, 'sip.Method == "REGISTER"', "sip.Call-ID", "sip.CSeq.seq"):
        call_id, cseq = line.split("\t")
        seen.setdefault(call_id, []).append(int(cseq))
    assert len(seen) == USERS
    assert all(sorted(set(one)) == [1000, 1001, 1002] for one in seen.values())


@pytest.mark.parametrize(("check", "refusal", "left"), [(0, 0, USERS), (1, 403, 0)])
def test_third_parties(tmp_path: Path, peers: dict[str, str], check: int, refusal: int,
                       left: int) -> None:
    """R4: with and without a registrar that minds."""
    with kamailio(tmp_path, "home", **{**HOME, "check": check}) as home:
        with calling(tmp_path, home, *LOAD, *sets(
                registrant="sip:admin@example.com", refusal=refusal, remove="no"),
                model="register") as tool:
            report = tool.finish(60)
        assert registered(home) == left
    nothing_lost(report, USERS)


def test_a_body_is_passed_through(tmp_path: Path, peers: dict[str, str]) -> None:
    """R11."""
    body = tmp_path / "body.txt"
    body.write_text("anything\r\n")
    with (kamailio(tmp_path, "home", **HOME) as home, capture(tmp_path, home) as taken,
          calling(tmp_path, home, *LOAD, *sets(body=body, content_type="text/plain"),
                  model="register") as tool):
        nothing_lost(tool.finish(60), USERS)
    assert nothing_malformed(taken) == []
    assert len(shown(taken.file, home, 'sip.Method == "REGISTER" && sip.Content-Length == 10',
                     "frame.number")) >= USERS


@pytest.mark.parametrize("gruu", ["no", "public", "temporary"])
def test_calls_by_the_service_route(tmp_path: Path, peers: dict[str, str], gruu: str) -> None:
    """R12, R13: the home proxy takes calls by its Service-Route only; Contact is the GRUU."""
    port = free_port()
    with answering(tmp_path, "--gso", "off") as answerer:
        with kamailio(tmp_path, "home", **{**HOME, "target": answerer.port}) as home:
            with (capture(tmp_path, home) as taken,
                  calling(tmp_path, home, *LOAD, "--local", f"{HOST}:{port}",
                          *sets(gruu=gruu, calls=2, hold="50ms"), model="register-call") as tool):
                report = tool.finish(60)
            assert registered(home) == 0
        answered = hang_up(answerer)
    nothing_lost(report, USERS)
    assert report["counters"]["service_routes"] == 2 * USERS
    assert answered["calls"]["succeeded"] == 2 * USERS
    assert nothing_malformed(taken) == []
    assert misuse(read(taken.file, (home,)), port) == []
    calls = shown(taken.file, home, f'sip.Method == "INVITE" && udp.srcport == {port}',
                  "sip.contact.uri", "sip.Route")
    assert len(calls) >= 2 * USERS
    wanted = {"no": r"sip:[0-9a-f]{24}@", "public": r".*;gr=urn:uuid:", "temporary": r".*;gr\b"}
    for one in calls:
        assert re.match(wanted[gruu], one), one
        assert one.endswith(f"<sip:{HOST}:{home};lr>"), one


def test_flows_with_a_registrar(tmp_path: Path, peers: dict[str, str]) -> None:
    """R14: two flows of each instance, Require: outbound, Flow-Timer; both removed at the end."""
    port = free_port()
    with kamailio(tmp_path, "home", **HOME) as home:
        with (capture(tmp_path, home) as taken,
              calling(tmp_path, home, *LOAD, "--local", f"{HOST}:{port}",
                      *sets(flows=2, stay="2s", ping="300ms"),
                      model="register-outbound") as tool):
            report = tool.finish(60)
        assert registered(home) == 0
    nothing_lost(report, USERS)
    assert report["counters"]["flows"] == 2 * USERS     # so many 2xx with Require: outbound
    assert report["counters"]["crlf"] >= 2 * USERS
    assert "flow_failures" not in report["counters"] or not report["counters"]["flow_failures"]
    assert misuse(read(taken.file, (home,)), port) == []
    both = shown(taken.file, home, f"sip.Status-Code == 200 && udp.dstport == {port} && "
                                   'sip.msg_hdr contains "reg-id=1" && '
                                   'sip.msg_hdr contains "reg-id=2"', "frame.number")
    assert len(both) >= USERS


def test_flows_outlive_their_registrar(tmp_path: Path, peers: dict[str, str]) -> None:
    """R14: it goes, and ICMP says so; another comes, and the flows are back after their waits."""
    port = free_port()
    with ExitStack() as runs:
        with kamailio(tmp_path, "home", port=port, **HOME):
            tool = runs.enter_context(calling(
                tmp_path, port, "--users", "20", "--calls", "20", "--rate", "100/s",
                *sets(flows=1, stay="12s", refresh_at="uniform(300ms,600ms)",
                      back_off_all="500ms"), model="register-outbound"))
            wait_for(lambda: registered(port) == 20, 20, "all flows")
        time.sleep(1)                           # refreshes fail, and wait
        with kamailio(tmp_path, "home", port=port, **HOME):
            wait_for(lambda: registered(port) == 20, 30, "all flows again")
            report = tool.finish(60)
    nothing_lost(report, 20)
    assert report["counters"]["flow_failures"] >= 20
    assert report["counters"]["flows"] >= 40


# --- Kamailio and SIPp register with siploadgen ---

@pytest.mark.parametrize("ob", [1, 0])
def test_flows_through_an_edge_proxy(tmp_path: Path, peers: dict[str, str], ob: int) -> None:
    """R12, R14, R15: the edge stands in the Path; without its `ob` the registrar says 439."""
    with answering(tmp_path, "--gso", "off", "--set", "flow_timer=120") as registrar:
        with (kamailio(tmp_path, "edge", target=registrar.port,
                       outbound=OUTBOUND if ob else "") as edge,
              capture(tmp_path, edge, registrar.port) as taken,
              calling(tmp_path, edge, *LOAD, *sets(flows=1, stay="500ms"),
                      model="register-outbound") as tool):
            report = tool.finish(60)
        answered = hang_up(registrar)
    nothing_lost(report, USERS)
    assert nothing_malformed(taken) == []
    if ob:
        assert report["counters"]["flows"] == USERS
        assert len(shown(taken.file, edge, f"sip.Status-Code == 200 && sip.Path contains \"ob\" && "
                                           f"udp.srcport == {registrar.port}",
                         "frame.number")) >= USERS
    else:
        assert report["messages"]["received"]["439/REGISTER"] >= USERS
        assert report["counters"]["flow_failures"] >= USERS
    assert answered["calls"]["in_progress"] == 0


def test_sipp_registers_with_the_registrar(tmp_path: Path, peers: dict[str, str]) -> None:
    """R15: bindings, Path, remaining time, order, removals; SIPp checks each answer."""
    with answering(tmp_path, "--gso", "off") as registrar:
        with (capture(tmp_path, registrar.port) as taken,
              sipp_uac(tmp_path, registrar.port, rate=100, calls=300,
                       scenario=HERE / "sipp" / "register.xml") as sipp):
            stats = sipp.wait(60)
        answered = hang_up(registrar)
    assert (stats.successful, stats.failed) == (300, 0), sipp.log()
    assert answered["messages"]["malformed"] == 0
    assert answered["messages"]["bindings_full"] == 0
    assert nothing_malformed(taken) == []


def test_sipp_raises_the_time_and_sends_on(tmp_path: Path, peers: dict[str, str]) -> None:
    """R8, R10: 423 of one registrar, then its 302 leads to another."""
    with answering(tmp_path) as registrar:
        fields = tmp_path / "place.csv"
        fields.write_text(f"SEQUENTIAL\n{registrar.port};\n")
        with (sipp_uas(tmp_path, scenario=HERE / "sipp" / "registrar.xml",
                       extra=("-inf", str(fields))) as sipp,
              calling(tmp_path, sipp.port, *LOAD, *sets(expires=10, follow="yes", remove="no"),
                      model="register") as tool):
            report = tool.finish(60)
            stats = sipp.quit()
        answered = hang_up(registrar)
    nothing_lost(report, USERS)
    assert (stats.created, stats.failed) == (USERS, 0), sipp.log()
    assert report["counters"]["redirects"] == USERS
    assert answered["calls"]["succeeded"] == USERS


def test_an_avalanche_meets_a_limit(tmp_path: Path, peers: dict[str, str]) -> None:
    """All users at once, a registrar that admits 200 a second: everybody is in at last."""
    with answering(tmp_path, "--rate-limit", "200/s", "--retry-after", "1s") as registrar:
        with calling(tmp_path, registrar.port, "--users", "1000", "--calls", "1000", "--rate",
                     "10000/s", *sets(window="uniform(0s,1s)", back_off="500ms",
                                      back_off_max="4s"), model="register-storm") as tool:
            report = tool.finish(90)
        hang_up(registrar)
    nothing_lost(report, 1000)
    assert report["metrics"]["registered"]["count"] == 1000
    assert report["counters"]["attempts"] == 1000 + report["counters"]["refusals"]
    assert report["counters"]["refusals"] > 100
