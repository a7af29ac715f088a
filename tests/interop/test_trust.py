"""What a run says when something is wrong: with the target, with the generator, with the user."""

from __future__ import annotations

import multiprocessing
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import HOST, PeerError, free_port, kamailio, wait_until_bound
from tests.interop.tool import Tool, answering, calling, got, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

SECOND_US = 1_000_000


def pause(tool: Tool, seconds: float) -> None:
    """Stop a process for a while, as a busy host or a virtual machine does."""
    tool.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    tool.process.send_signal(signal.SIGCONT)


def wait_for_start(tool: Tool) -> None:
    """Give the generator the time to import and to open its ports."""
    time.sleep(1.0)
    if tool.process.poll() is not None:
        raise PeerError(f"siploadgen ended at once: {tool.said()}")


@pytest.mark.quiet
def test_a_paused_target_shows_in_the_percentiles(tmp_path: Path) -> None:
    """One second of silence in six is a sixth of all calls, so p99 must be close to a second."""
    with (answering(tmp_path) as answerer,
          calling(tmp_path, answerer.port, "--rate", "500/s", "--duration", "6s",
                  "--set", "hold=0s") as tool):
        wait_for_start(tool)
        time.sleep(1)
        pause(answerer, 1.0)
        report = tool.finish(60)
    assert report["calls"]["succeeded"] == report["calls"]["due"]
    assert report["metrics"]["srd"]["p50_us"] < 0.1 * SECOND_US
    assert 0.8 * SECOND_US <= report["metrics"]["srd"]["p99_us"] <= 2.0 * SECOND_US
    assert report["messages"]["retransmitted"] > 0


@pytest.mark.quiet
def test_a_paused_generator_says_so(tmp_path: Path) -> None:
    """Half a second of the generator's own: invalid, 91, and no call forgotten."""
    with (answering(tmp_path) as answerer,
          calling(tmp_path, answerer.port, "--rate", "1000/s", "--duration", "6s",
                  "--set", "hold=0s", hurried=True) as tool):
        wait_for_start(tool)
        time.sleep(2)
        pause(tool, 0.5)
        report = tool.finish(60)
    assert report["verdict"]["state"] == "invalid"
    assert any(not rule["ok"] for rule in report["verdict"]["rules"])
    assert report["exit_code"] == 91
    assert report["calls"]["due"] == pytest.approx(6000, abs=300)
    assert report["calls"]["in_progress"] == 0
    # The due time is what counts: calls that started late took that long.
    assert report["metrics"]["srd"]["p99_us"] >= 0.3 * SECOND_US
    assert report["generator"]["send_late_p99_us"] >= 0.3 * SECOND_US


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with answering(tmp_path) as answerer:
        with calling(tmp_path, answerer.port, "--rate", "500/s", "--duration", "60s",
                     "--set", "hold=1s") as tool:
            wait_for_start(tool)
            time.sleep(2)
            tool.process.send_signal(number)
            report = tool.finish(60)
        answered = hang_up(answerer)
    assert report["exit_code"] == 105
    assert report["calls"]["not_started"]["stopped"] > 0
    assert report["calls"]["started"] > 100
    assert report["calls"]["in_progress"] == 0
    assert sum(report["calls"]["failed"].values()) == 0
    assert answered["calls"]["succeeded"] == report["calls"]["started"], "every call got its BYE"


def test_a_second_signal_ends_the_run_at_once(tmp_path: Path) -> None:
    """Nobody answers, so the open calls would go on for half a minute: the user is not made to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        with calling(tmp_path, silent.getsockname()[1], "--rate", "100/s",
                     "--duration", "60s") as tool:
            silent.settimeout(60)
            silent.recv(65536)  # a call is open
            tool.interrupt()
            time.sleep(1)
            assert tool.process.poll() is None, "the first signal lets open calls end"
            tool.interrupt()
            began = time.monotonic()
            report = tool.finish(30)
    assert time.monotonic() - began < 10
    assert report["exit_code"] == 105
    assert report["calls"]["failed"]["aborted"] == report["calls"]["started"] > 0


def never_answered(tool: Tool, seconds: float) -> dict[str, Any]:
    """Wait for a run whose target must be found dead: in words, in the code, in the report."""
    assert tool.wait(seconds) == 100
    assert re.search("no answer|never answered", tool.said(), re.I), tool.said()
    report = tool.report()
    assert report["calls"]["succeeded"] == 0
    return report


def test_a_dead_target(tmp_path: Path) -> None:
    """Nobody listens: ICMP says so at once."""
    with calling(tmp_path, free_port(), "--rate", "100/s", "--duration", "2s") as tool:
        report = never_answered(tool, 60)
    assert report["calls"]["failed"] == {"transport": 200}


def test_a_silent_target(tmp_path: Path) -> None:
    """A socket that takes everything and says nothing: timer B, 3.2 seconds with this T1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        with calling(tmp_path, silent.getsockname()[1], "--rate", "50/s", "--duration", "2s",
                     "--t1", "50ms") as tool:
            report = never_answered(tool, 60)
    assert "only silence" in tool.said()
    assert report["plan"]["timers"] == {"t1_s": 0.05, "t2_s": 4.0, "t4_s": 5.0}
    assert report["calls"]["failed"] == {"timeout": 100}
    # Timer A: six repeats before timer B, the last one 50 ms before it, which a busy machine may
    # be late for. tests/sim/test_timers.py has the exact times.
    again = report["messages"]["retransmitted"]
    assert 400 <= again <= 600
    assert report["messages"]["sent"] == {"INVITE": 100 + again}


def test_a_target_that_refuses_everything(tmp_path: Path, peers: dict[str, str]) -> None:
    with (kamailio(tmp_path, "busy") as server,
          calling(tmp_path, server, "--rate", "500/s", "--calls", "1000") as tool):
        report = tool.finish(60)
    assert report["exit_code"] == 99
    assert report["calls"]["failed"] == {"rejected": 1000}
    got(report, "503/INVITE", 1000)
    assert report["messages"]["sent"]["ACK"] >= 1000


def garbage(seed: int, count: int) -> list[bytes]:
    """Datagrams that are not SIP, in several shapes."""
    rng = random.Random(seed)
    shapes = [
        lambda: rng.randbytes(rng.randrange(5, 1200)),
        lambda: b"\1" * rng.randrange(5, 600),
        lambda: b"INVITE " + rng.randbytes(200) + b"\r\n\r\n",
        lambda: b"SIP/2.0 999999 \r\nVia: " + rng.randbytes(80),
        lambda: b"SIP/2.0 200 OK\r\n\r\n",
        lambda: b"{" * rng.randrange(5, 900),
    ]
    return [rng.choice(shapes)() for _ in range(count)]


def _throw(port: int, rate: int, seconds: float, sent: object) -> None:
    pieces = garbage(7, 2000)
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
        thrower.connect((HOST, port))
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while count < passed * rate:
                thrower.send(pieces[count % len(pieces)])
                count += 1
            time.sleep(0.0005)
    sent.value = count  # type: ignore[attr-defined]


@contextmanager
def garbage_thrower(port: int, rate: int, seconds: float) -> Iterator[object]:
    """Throw garbage at a port from another process; `value` is how much, once it is over."""
    spawn = multiprocessing.get_context("spawn")
    sent = spawn.Value("q", 0)
    thrower = spawn.Process(target=_throw, args=(port, rate, seconds, sent), daemon=True)
    thrower.start()
    try:
        yield sent
        thrower.join(seconds + 30)
    finally:
        thrower.kill()
        thrower.join()


@pytest.mark.quiet
@pytest.mark.parametrize("victim", ["caller", "answerer"])
def test_garbage_harms_no_call(tmp_path: Path, victim: str) -> None:
    """50,000 datagrams a second that are not SIP, for two seconds in the middle of a run."""
    mine = free_port()
    with answering(tmp_path) as answerer:
        with calling(tmp_path, answerer.port, "--rate", "500/s", "--duration", "5s",
                     "--workers", "1", "--local", f"{HOST}:{mine}", "--set", "hold=0s") as caller:
            wait_until_bound(mine, caller.process)
            with garbage_thrower(mine if victim == "caller" else answerer.port, 50_000,
                                 2.0) as sent:
                report = caller.finish(60)
        answered = hang_up(answerer)
    hit = report if victim == "caller" else answered
    thrown = sent.value  # type: ignore[attr-defined]
    assert thrown >= 20_000                     # a busy machine throws fewer
    assert thrown - hit["generator"]["receive_drops"] <= hit["messages"]["malformed"] <= thrown
    assert report["calls"]["succeeded"] == report["calls"]["due"]
    assert answered["calls"]["succeeded"] == report["calls"]["due"]


def test_a_lossy_target_costs_retransmissions_only(tmp_path: Path) -> None:
    """The answering side throws one request in fifty away: timers A and E mend it."""
    with (answering(tmp_path, "--drop", "2%") as answerer,
          calling(tmp_path, answerer.port, "--rate", "500/s", "--calls", "1000",
                  "--set", "hold=0s") as tool):
        report = tool.finish(90)
    assert report["messages"]["retransmitted"] > 0
    nothing_lost(report, 1000)
