"""Through a real proxy that records its route, and to a real registrar that challenges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import (
    HERE,
    capture,
    free_port,
    kamailio,
    nothing_malformed,
    sipp_uas,
    wait_for,
)
from tests.interop.recount import read
from tests.interop.test_harness import registered
from tests.interop.tool import answering, calling, got, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CALLS = 10_000
RATE = "700/s"  # well below what a Kamailio of two processes carries beside its neighbours
USERS = 10_000
REGISTRAR = {"password": "secret", "max_expires": 3600, "min_expires": 60, "nonce_expire": 300}


def users_file(folder: Path, count: int) -> Path:
    """Write users of the registrar, one a line, with the header line that names the columns."""
    path = folder / "users.csv"
    path.write_text("user,password\n" + "".join(f"user{n:05},secret\n" for n in range(count)))
    return path


@pytest.mark.quiet
def test_calls_to_sipp_through_the_recording_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    with (sipp_uas(tmp_path, scenario=HERE / "sipp" / "answerer.xml") as sipp,
          kamailio(tmp_path, "proxy", target=sipp.port, workers=2) as proxy,
          calling(tmp_path, proxy, "--rate", RATE, "--calls", str(CALLS),
                  "--set", "hold=100ms") as tool):
        report = tool.finish(120)
        stats = sipp.quit()
    nothing_lost(report, CALLS)
    # SIPp saw every ACK and BYE: they came back through the proxy along the recorded route.
    assert (stats.created, stats.failed) == (CALLS, 0), sipp.log()


@pytest.mark.quiet
def test_calls_to_siploadgen_through_the_recording_proxy(tmp_path: Path,
                                                         peers: dict[str, str]) -> None:
    """Here a 200 may overtake its 180, and a BYE its ACK: the proxy works with two processes."""
    with (answering(tmp_path) as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port, workers=2) as proxy):
        with calling(tmp_path, proxy, "--rate", RATE, "--calls", str(CALLS),
                     "--set", "hold=0s") as caller:
            report = caller.finish(120)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["succeeded"] == CALLS


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_proxy_and_the_answering_side_both_ask(
        tmp_path: Path, peers: dict[str, str], algorithm: str) -> None:
    """407 of Kamailio, then 401 of what is behind it; ACK and BYE carry the credentials too."""
    calls = 500
    with (answering(tmp_path, "--challenge", "sha-512-256", "--set", "next_nonce=yes") as answerer,
          kamailio(tmp_path, "guard", target=answerer.port, algorithm=algorithm, password="secret",
                   nonce_expire=300) as proxy):
        with calling(tmp_path, proxy, "--rate", "200/s", "--calls", str(calls), "--set",
                     "user=bob", "--set", "hold=50ms") as caller:
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, calls)
    got(report, "407/INVITE", calls)
    got(report, "401/INVITE", calls)
    got(report, "407/BYE", 0)
    assert report["messages"]["sent"]["INVITE"] >= 3 * calls
    # one ACK for each 401, made by the proxy, and one for each 200, which passed the guard
    assert answered["messages"]["received"]["ACK"] >= 2 * calls
    assert answered["calls"]["failed"] == {}


def test_in_dialog_requests_carry_the_route(tmp_path: Path, peers: dict[str, str]) -> None:
    port = free_port()
    with (answering(tmp_path, "--gso", "off") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy,
          capture(tmp_path, proxy) as taken,
          calling(tmp_path, proxy, "--rate", "100/s", "--calls", "200", "--gso", "off",
                  "--local", f"127.0.0.1:{port}", "--set", "hold=0s") as caller):
        nothing_lost(caller.finish(60), 200)
    assert not nothing_malformed(taken)
    messages = read(taken.file, (proxy,))
    inward = [m for m in messages if m.source == proxy and m.target == answerer.port]
    for method in ("INVITE", "ACK", "BYE"):
        assert sum(m.method == method and not m.status for m in inward) >= 200, method


@pytest.mark.parametrize(("algorithm", "users"), [("MD5", USERS), ("SHA-256", 1_000)])
def test_users_register_with_a_challenging_registrar(
        tmp_path: Path, peers: dict[str, str], algorithm: str, users: int) -> None:
    with kamailio(tmp_path, "registrar", algorithm=algorithm, workers=2, **REGISTRAR) as registrar:
        with calling(tmp_path, registrar, "--users", str(users_file(tmp_path, users)),
                     "--rate", "1000/s", "--calls", str(users), "--set", "expires=300",
                     "--set", "remove=no", model="register") as tool:
            report = tool.finish(120)
        nothing_lost(report, users)
        assert registered(registrar) == users
    assert report["messages"]["received"]["401/REGISTER"] >= users
    assert report["messages"]["received"]["200/REGISTER"] >= users
    assert report["metrics"]["rrd"]["count"] == users


def test_registrations_are_refreshed_and_removed(tmp_path: Path, peers: dict[str, str]) -> None:
    """The registrar grants two seconds: three refreshes in time keep a user, then he leaves."""
    users = 500
    short = {**REGISTRAR, "max_expires": 2, "min_expires": 1}
    with (kamailio(tmp_path, "registrar", algorithm="MD5", **short) as registrar,
          calling(tmp_path, registrar, "--users", str(users_file(tmp_path, users)),
                  "--rate", "500/s", "--calls", str(users), "--set", "expires=300",
                  "--set", "refreshes=3", model="register") as tool):
        wait_for(lambda: registered(registrar) == users, 20, "all users registered at once")
        report = tool.finish(60)
        left = registered(registrar)
    nothing_lost(report, users)
    got(report, "200/REGISTER", 5 * users)
    assert report["metrics"]["rrd"]["count"] == users
    assert report["metrics"]["rerd"]["count"] == 3 * users
    assert left == 0


def test_a_wrong_password_fails_and_does_not_loop(tmp_path: Path, peers: dict[str, str]) -> None:
    users = tmp_path / "users.csv"
    users.write_text("user,password\n" + "".join(f"user{n:05},wrong\n" for n in range(100)))
    with (kamailio(tmp_path, "registrar", algorithm="MD5", **REGISTRAR) as registrar,
          calling(tmp_path, registrar, "--users", str(users), "--rate", "200/s", "--calls", "100",
                  model="register") as tool):
        report = tool.finish(60)
    assert report["exit_code"] == 99
    assert report["calls"]["failed"]["auth_failed"] == 100
    assert report["messages"]["sent"]["REGISTER"] <= 300


def test_an_expiry_that_is_too_brief_is_raised(tmp_path: Path, peers: dict[str, str]) -> None:
    """423 with Min-Expires (RFC 3261 10.2.8): asked again with what the registrar wants."""
    with (kamailio(tmp_path, "registrar", algorithm="MD5", **REGISTRAR) as registrar,
          calling(tmp_path, registrar, "--users", str(users_file(tmp_path, 100)),
                  "--rate", "200/s", "--calls", "100", "--set", "expires=10",
                  "--set", "remove=no", model="register") as tool):
        report = tool.finish(60)
        assert registered(registrar) == 100
    nothing_lost(report, 100)
    assert report["messages"]["received"]["423/REGISTER"] >= 100
