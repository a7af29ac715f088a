"""What becomes of the servers found: numbers, engines told beside the run, the report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siploadgen.errors import TargetError, UsageError
from siploadgen.run.resolve import Location, Resolver, Server
from siploadgen.run.targets import MOST_NUMBERS, Book, Follower, find_target
from tests.run.nameserver import NameServer

A, B, C = (Server("udp", f"192.0.2.{n}", 5060, n, n, n) for n in (1, 2, 3))


def test_numbers_stay_with_their_servers() -> None:
    book = Book([A, B])
    assert book.rows == [("192.0.2.1", 5060, 1, 1, 0), ("192.0.2.2", 5060, 2, 2, 1)]
    assert book.update([C, B])
    assert book.rows == [("192.0.2.3", 5060, 3, 3, 2), ("192.0.2.2", 5060, 2, 2, 1)]
    assert [(one.address, one.priority, one.calls) for one in book.uses([5, 6, 7])] == [
        ("192.0.2.1:5060", 1, 5), ("192.0.2.2:5060", 2, 6), ("192.0.2.3:5060", 3, 7)]


def test_the_same_servers_in_another_order_are_no_news() -> None:
    book = Book([A, B])
    assert not book.update([B, A])
    assert not book.update([])
    assert book.update([A])


def test_numbers_run_out() -> None:
    book = Book([A])
    for n in range(100):
        book.update([Server("udp", f"198.51.100.{n}", 5060)])
    assert max(number for *_, number in book.rows) == MOST_NUMBERS - 1
    assert book.update([A])
    assert len(book.uses([0] * MOST_NUMBERS)) == MOST_NUMBERS


class Ear:
    """An engine that is told targets; busy at first."""

    def __init__(self, busy: int = 0) -> None:
        self.busy, self.heard, self.told = busy, [], threading.Event()

    def set_targets(self, rows: Any) -> bool:
        if self.busy:
            self.busy -= 1
            return False
        self.heard.append(list(rows))
        self.told.set()
        return True


def follow(monkeypatch: pytest.MonkeyPatch, answers: list[Location | Exception],
           ears: list[Ear]) -> Follower:
    """Run a follower, without its waits, until the answers are used up."""
    monkeypatch.setattr("siploadgen.run.targets.LEAST_TTL_S", 0.0)
    left = iter(answers)

    def locate() -> Location:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    follower = Follower(Book([A]), 0.0, locate, ears)
    follower.run()                              # in this thread: it ends with the last answer
    return follower


def test_all_engines_hear_of_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = [Ear(), Ear(busy=2)]
    follow(monkeypatch, [Location((A,), 0.0), Location((B,), 0.0), Location((B, C), None)], ears)
    for ear in ears:
        assert [[row[-1] for row in rows] for rows in ear.heard] == [[1], [1, 2]]


def test_what_was_known_stays_when_the_name_servers_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    follower = follow(monkeypatch, [TargetError("no answer"), UsageError("outside"),
                                    Location((A,), None)], [ear])
    assert ear.heard == []
    assert follower.failures == 2


def test_it_ends_while_an_engine_does_not_listen() -> None:
    follower = Follower(Book([A]), 0.0, lambda: Location((B,), 0.0), [Ear(busy=10**9)])
    follower.start()
    follower.stop()
    follower.join(10)
    assert not follower.is_alive()


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Any]:
    def run(zone: list[str], text: str, **options: Any) -> Any:
        with NameServer(zone) as server:
            found = find_target(text, resolver=Resolver(server.address, hosts=tmp_path / "none"),
                                **options)
            if found.locate is not None:
                assert len(found.locate().servers) == len(found.location.servers)
            return found
    return run


def test_the_uri_stays_as_it_was_given(search: Callable[..., Any]) -> None:
    found = search(["a.test. 60 A 127.0.0.9"], "sip:carol@a.test")
    assert found.uri == "sip:carol@a.test"
    assert found.address == ("127.0.0.9", 5060)
    assert found.locate is not None


def test_numbers_are_not_followed(search: Callable[..., Any]) -> None:
    assert search([], "127.0.0.1").locate is None


def test_every_server_must_be_allowed(search: Callable[..., Any]) -> None:
    zone = ["_sip._udp.a.test. 60 SRV 1 1 5060 here.test.",
            "_sip._udp.a.test. 60 SRV 2 1 5060 there.test.",
            "here.test. 60 A 127.0.0.1", "there.test. 60 A 203.0.113.1"]
    with pytest.raises(UsageError, match=r"203.0.113.1 is outside.*--i-may-load-this-target"):
        search(zone, "a.test")
    assert len(search(zone, "a.test", may_load=True).location.servers) == 2


def test_a_name_that_moves_outside_is_not_followed(tmp_path: Path) -> None:
    with NameServer(["a.test. 1 A 127.0.0.1"]) as server:
        found = find_target("a.test:5060", resolver=Resolver(server.address,
                                                             hosts=tmp_path / "none"))
        server.tell(["a.test. 1 A 203.0.113.1"])
        assert found.locate is not None
        with pytest.raises(UsageError, match="outside"):
            found.locate()


def test_the_local_address_decides_on_the_family(search: Callable[..., Any]) -> None:
    zone = ["a.test. 60 A 127.0.0.1", "a.test. 60 AAAA ::1"]
    assert search(zone, "a.test:5060").address == ("127.0.0.1", 5060)
    assert search(zone, "a.test:5060", local="[::1]:5070").address == ("::1", 5060)
    with pytest.raises(TargetError, match="no IPv6 address"):
        search(zone[:1], "a.test:5060", local="::1")
