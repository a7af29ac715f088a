"""Events against a real presence server, and through a real proxy that records its route."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import absent
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
