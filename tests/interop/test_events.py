"""Events against a real presence server, and through a real proxy that records its route."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.interop.peeking import wait_until_seen
from tests.interop.peers import (
    capture,
    free_port,
    kamailio,
    kamailio_modules,
    nothing_malformed,
    tshark,
)
from tests.interop.tool import answering, calling, got, hang_up, no_stray, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

TABLES = Path("/usr/share/kamailio/dbtext/kamailio")
SCENARIOS = Path(__file__).parents[2] / "scenarios"
CALLS = 150


@contextmanager
def presence_server(folder: Path, min_expires: int = 0) -> Iterator[int]:
    """Run Kamailio as a presence server with empty tables of its own; yields its port."""
    if not (kamailio_modules() / "presence_xml.so").exists() or not TABLES.exists():
        absent("Kamailio's presence modules", "apt-get install kamailio-presence-modules")
    tables = folder / "tables"
    tables.mkdir()
    for name in ("version", "presentity", "active_watchers", "watchers", "xcap", "pua"):
        shutil.copy(TABLES / name, tables / name)
    with kamailio(folder, "presence", db=tables, min_expires=min_expires) as port:
        yield port


@pytest.mark.parametrize("model", ["subscribe-presence", "subscribe-mwi"])
def test_subscriptions_to_a_presence_server(tmp_path: Path, peers: dict[str, str],
                                            model: str) -> None:
    port = free_port()
    with (presence_server(tmp_path) as server,
          capture(tmp_path, server) as taken,
          calling(tmp_path, server, "--rate", "100/s", "--calls", str(CALLS), "--gso", "off",
                  "--local", f"127.0.0.1:{port}", "--set", "user=alice",
                  "--set", "expires=20", "--set", "refreshes=1", "--set", "refresh_at=1s",
                  model=model) as tool):
        report = tool.finish(120)
    nothing_lost(report, CALLS)
    # at once, after the refresh, at the end
    assert report["messages"]["received"]["NOTIFY"] >= 3 * CALLS
    assert report["metrics"]["notify"]["count"] == CALLS
    assert not nothing_malformed(taken)
    states = tshark(taken.file, taken.ports, "-Y", "sip.Method == NOTIFY", "-T", "fields",
                    "-e", "sip.Subscription-State").splitlines()
    assert sum(one.startswith("terminated") for one in states) >= CALLS


def test_a_poll_of_a_presence_server(tmp_path: Path, peers: dict[str, str]) -> None:
    with (presence_server(tmp_path) as server,
          calling(tmp_path, server, "--rate", "100/s", "--calls", str(CALLS),
                  "--set", "poll=yes", "--set", "user=bob", model="subscribe-presence") as tool):
        nothing_lost(tool.finish(60), CALLS)


def test_publications_to_a_presence_server(tmp_path: Path, peers: dict[str, str]) -> None:
    """Each user publishes, changes, refreshes and takes back; the tag is another each time."""
    users = tmp_path / "users.csv"
    users.write_text("user,password\n" + "".join(f"user{n:05},x\n" for n in range(CALLS)))
    port = free_port()
    with (presence_server(tmp_path) as server,
          capture(tmp_path, server) as taken,
          calling(tmp_path, server, "--rate", "100/s", "--calls", str(CALLS), "--gso", "off",
                  "--local", f"127.0.0.1:{port}", "--users", str(users),
                  "--set", "refreshes=1", "--set", "refresh_at=500ms", model="publish") as tool):
        report = tool.finish(120)
    nothing_lost(report, CALLS)
    got(report, "200/PUBLISH", 4 * CALLS)
    assert not nothing_malformed(taken)


def test_a_subscription_that_is_too_brief(tmp_path: Path, peers: dict[str, str]) -> None:
    with (presence_server(tmp_path, min_expires=60) as server,
          calling(tmp_path, server, "--rate", "50/s", "--calls", "50", "--set", "expires=10",
                  "--set", "user=carol", model="subscribe-presence") as tool):
        report = tool.finish(60)
    nothing_lost(report, 50)
    got(report, "423/SUBSCRIBE", 50)


@pytest.mark.parametrize(("model", "options"), [
    ("subscribe-presence", ("refreshes=1", "refresh_at=1s")), ("subscribe-mwi", ("hold=1s",)),
    ("publish", ()), ("message", ("messages=3",)), ("message", ("in_call=yes",)),
    ("info-dtmf", ("digits=123",))])
def test_both_sides_through_the_recording_proxy(tmp_path: Path, peers: dict[str, str], model: str,
                                                options: tuple[str, ...]) -> None:
    given = [word for option in options for word in ("--set", option)]
    with (answering(tmp_path, "--set", "changes=400ms") as answerer,
          kamailio(tmp_path, "proxy", target=answerer.port) as proxy):
        with calling(tmp_path, proxy, "--rate", "100/s", "--calls", str(CALLS), *given,
                     model=model) as caller:
            report = caller.finish(60)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    assert answered["calls"]["failed"] == {}
    no_stray(report, answered)
    assert report["messages"]["malformed"] == answered["messages"]["malformed"] == 0


def test_two_notifiers_behind_a_forking_proxy(tmp_path: Path, peers: dict[str, str]) -> None:
    """The proxy gives back one 2xx, but both notify: two subscriptions (RFC 6665 4.4.1)."""
    calls = 100
    with (answering(tmp_path, "--gso", "off", name="one") as one,
          answering(tmp_path, "--gso", "off", name="two") as two,
          kamailio(tmp_path, "fork", target=one.port, other=two.port) as proxy):
        with (capture(tmp_path, proxy, one.port, two.port) as taken,
              calling(tmp_path, proxy, "--rate", "100/s", "--calls", str(calls), "--gso", "off",
                      "--set", "hold=500ms", model="subscribe-presence") as tool):
            report = tool.finish(60)
        sides = [hang_up(side) for side in (one, two)]
    nothing_lost(report, calls)
    assert report["counters"]["forks"] == calls
    for side in sides:                                      # each was left by Expires: 0
        assert side["calls"]["failed"] == {}
        assert side["calls"]["succeeded"] == side["calls"]["started"] == calls
        assert side["messages"]["received"]["200/NOTIFY"] == 2 * calls
    assert not nothing_malformed(taken)


def test_the_time_from_a_change_to_its_notify_is_measured(tmp_path: Path, peers: dict[str, str]
                                                          ) -> None:
    """Each call watches its own user and publishes three states: PUBLISH to NOTIFY."""
    users = tmp_path / "users.csv"
    users.write_text("user\n" + "".join(f"user{n:05}\n" for n in range(CALLS)))
    port = free_port()
    with (presence_server(tmp_path) as server,
          capture(tmp_path, server) as taken,
          calling(tmp_path, server, "--rate", "30/s", "--calls", str(CALLS), "--gso", "off",
                  "--local", f"127.0.0.1:{port}", "--users", str(users),
                  model=str(SCENARIOS / "publish_and_watch.py")) as tool):
        report = tool.finish(120)
    nothing_lost(report, CALLS)
    for clock in ("publish", "change", "change_service"):
        assert report["metrics"][clock]["count"] == 3 * CALLS
    assert 0 < report["metrics"]["change"]["p50_us"] < 5_000_000
    assert not nothing_malformed(taken)


def test_watchers_hear_what_is_published(tmp_path: Path, peers: dict[str, str]) -> None:
    """Kamailio stands between: a subscriber sees the state that a publisher gave it."""
    with (presence_server(tmp_path) as server,
          capture(tmp_path, server) as taken,
          calling(tmp_path, server, "--calls", "20", "--rate", "100/s", "--gso", "off", "--set",
                  "user=dora", "--set", "hold=6s", model="subscribe-presence",
                  name="watchers") as watchers):
        wait_until_seen(taken, "sip.Method == NOTIFY")
        with calling(tmp_path, server, "--calls", "1", "--rate", "1/s", "--gso", "off", "--set",
                     "user=dora", "--set", "modifies=0", "--set", "remove=no", model="publish",
                     name="publisher") as publisher:
            nothing_lost(publisher.finish(30), 1)
        report = watchers.finish(60)
    nothing_lost(report, 20)
    assert report["messages"]["received"]["NOTIFY"] >= 3 * 20   # at once, the change, the end
    bodies = tshark(taken.file, taken.ports, "-Y",
                    'sip.Method == NOTIFY && frame contains "<basic>open"', "-T", "fields",
                    "-e", "sip.Call-ID")
    assert len(set(bodies.split())) == 20
    assert not nothing_malformed(taken)


def test_kamailio_publishes_to_us(tmp_path: Path, peers: dict[str, str]) -> None:
    """`pua_usrloc`: whoever registers there is published here, and again when he leaves."""
    users = 20
    if not TABLES.exists():
        absent("Kamailio's tables", "apt-get install kamailio-presence-modules")
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("version", "pua", "location"):
        shutil.copy(TABLES / name, tables / name)
    with answering(tmp_path, "--gso", "off") as compositor:
        with (kamailio(tmp_path, "pua", db=tables, target=compositor.port) as registrar,
              capture(tmp_path, compositor.port) as taken,
              calling(tmp_path, registrar, "--users", str(users), "--calls", str(users), "--rate",
                      "50/s", "--set", "refreshes=1", "--set", "refresh_at=1s",
                      model="register") as tool):
            report = tool.finish(30)
            wait_until_seen(taken, "sip.Status-Code == 200 && sip.CSeq.method == PUBLISH",
                            times=2 * users)
        answered = hang_up(compositor)
    nothing_lost(report, users)
    assert answered["messages"]["received"]["PUBLISH"] >= 2 * users
    assert answered["messages"]["sent"]["200/PUBLISH"] >= 2 * users
    assert not nothing_malformed(taken)
