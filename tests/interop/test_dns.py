"""Calls to a name. The name server is of the tests' own, on loopback; the servers are real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.peers import HOST, free_port, sipp_uas, wait_for
from tests.interop.tool import QUIET, UNHURRIED, Tool, answering, hang_up, nothing_lost, siploadgen
from tests.run.nameserver import NameServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

NAME = "sip.test"


def zone(*records: tuple[int, int, int], ttl: int = 60) -> list[str]:
    """SRV records: priority, weight and port of servers on this host."""
    return [f"one.{NAME}. {ttl} A {HOST}",
            *(f"_sip._udp.{NAME}. {ttl} SRV {priority} {weight} {port} one.{NAME}."
              for priority, weight, port in records)]


@contextmanager
def calling_name(folder: Path, server: NameServer, *arguments: str) -> Iterator[Tool]:
    host, port = server.address
    with siploadgen(folder, "run", "call", "-t", f"sip:{NAME}", "--dns", f"{host}:{port}", *QUIET,
                    *UNHURRIED, *arguments) as tool:
        yield tool


def test_a_dead_server_loses_no_call(tmp_path: Path, peers: dict[str, str]) -> None:
    """Half of the weight is on a port where nobody listens: ICMP moves those calls on."""
    dead = free_port()
    with (sipp_uas(tmp_path) as sipp,
          NameServer(zone((10, 50, dead), (10, 50, sipp.port))) as server,
          calling_name(tmp_path, server, "--rate", "500/s", "--calls", "1000") as tool):
        report = tool.finish(60)
        stats = sipp.quit()
    nothing_lost(report, 1000)
    assert (stats.created, stats.failed) == (1000, 0), sipp.log()
    uses = {row["address"]: row for row in report["target"]["addresses"]}
    alive = uses[f"{HOST}:{sipp.port}"]
    assert (alive["transport"], alive["priority"], alive["weight"]) == ("udp", 10, 50)
    assert alive["calls"] == 1000
    failed_over = report["messages"]["failover"]
    assert uses[f"{HOST}:{dead}"]["calls"] == failed_over
    assert 1 <= failed_over < 300               # left out after the first errors; else 500
    assert report["target"]["uri"] == f"sip:{NAME}"
    assert f"1,000 to {HOST}:{sipp.port} (priority 10, weight 50)" in tool.said()


def test_a_server_that_refuses_is_left_out(tmp_path: Path) -> None:
    with (answering(tmp_path, "--reject", "503:100%", name="refuses") as busy,
          answering(tmp_path, name="takes") as free,
          NameServer(zone((1, 0, busy.port), (2, 0, free.port))) as server,
          calling_name(tmp_path, server, "--rate", "200/s", "--calls", "400") as tool):
        report = tool.finish(60)
        turned_away, taken = hang_up(busy), hang_up(free)
    nothing_lost(report, 400)
    assert taken["calls"]["succeeded"] == 400
    assert turned_away["calls"]["due"] == report["messages"]["failover"] >= 1
    assert turned_away["calls"]["due"] < 200    # left out; else all 400


def test_a_name_that_moves_is_followed(tmp_path: Path) -> None:
    """Beside the run: no call is lost, and none starts at the old place long after the change."""
    with (answering(tmp_path, name="old") as old, answering(tmp_path, name="new") as new,
          NameServer(zone((1, 1, old.port), ttl=1)) as server,
          calling_name(tmp_path, server, "--rate", "50/s", "--duration", "8s") as tool):
        wait_for(lambda: server.count("SRV") >= 2, 20, "a second look at the name")
        server.tell(zone((1, 1, new.port), ttl=1))
        report = tool.finish(60)
        before, after = hang_up(old), hang_up(new)
    nothing_lost(report, 400)
    assert before["calls"]["succeeded"] >= 20
    assert after["calls"]["succeeded"] >= 20
    assert [row["calls"] for row in report["target"]["addresses"]] == [
        before["calls"]["succeeded"], after["calls"]["succeeded"]]


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    with NameServer(zone()) as server, calling_name(tmp_path, server, "--calls", "1") as tool:
        assert tool.wait(20) == 100
    said = tool.said()
    assert f"target {NAME}: the name cannot be resolved" in said
    assert said.count("\n") == 1
