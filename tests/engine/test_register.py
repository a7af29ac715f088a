"""Registrations: RFC 3261 10.2 and 10.3, at either side."""

from __future__ import annotations

import pytest

from tests.engine.drive import SECOND, Bench, Sent, answerer, ask, caller, only, reply


def registering(**settings: str) -> tuple[Bench, Sent]:
    bench = caller("register", users=3, settings=settings)
    return bench, bench.start()


def test_the_request() -> None:
    """10.2: the domain as Request-URI, To and From the address of record."""
    _, request = registering(domain="example.com")
    assert request.uri == "sip:example.com"
    assert request.header("To").startswith("<sip:")
    assert request.header("From").startswith(request.header("To") + ";tag=")
    assert request.header("Expires") == "3600"
    assert request.header("Contact").endswith("@192.0.2.10:5070>")


def test_a_registration_keeps_its_call_id_and_counts_its_cseq() -> None:
    bench, first = registering(refreshes="2", refresh_at="10s")
    request = first
    for number in range(4):
        assert request.header("Call-ID") == first.header("Call-ID")
        assert request.tag("From") == first.tag("From")
        assert request.cseq == first.cseq + number
        assert request.header("Contact") == first.header("Contact")
        sent = bench.feed(reply(request, 200, headers=["Expires: 3600"]))
        request = sent[-1] if sent else ([*bench.wait(10 * SECOND), request])[0]
    assert [one.header("Expires") for one in bench.wire] == ["3600", "3600", "3600", "0"]
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


@pytest.mark.parametrize(("headers", "granted"), [
    (["Contact: {own};expires=100"], 100),
    (["Contact: {own}", "Expires: 200"], 200),
    (["Contact: {own};expires=100", "Expires: 200"], 100),
    (["Contact: <sip:other@192.0.2.9>;expires=7, {own};q=0.5;expires=60"], 60),
    (["Contact: <sip:other@192.0.2.9>;expires=7", "m: {own};EXPIRES=80"], 80),
    ([], 3600),
])
def test_the_refresh_follows_what_was_granted(headers: list[str], granted: int) -> None:
    bench, first = registering(refreshes="1", refresh_at="uniform(50%,90%)", remove="no")
    own = first.header("Contact")
    bench.feed(reply(first, 200, headers=[one.format(own=own) for one in headers]))
    refresh = bench.engine.next_event()
    while not bench.run(refresh):
        refresh = bench.engine.next_event()
    assert 0.5 * granted <= bench.now / SECOND <= 0.9 * granted


def test_a_longer_minimum_is_accepted_once() -> None:
    """10.2.8."""
    bench, first = registering(remove="no", expires="60")
    second = only(bench.feed(reply(first, 423, headers=["Min-Expires: 600"])))
    assert second.header("Expires") == "600"
    assert second.cseq == first.cseq + 1
    assert bench.feed(reply(second, 423, headers=["Min-Expires: 1200"])) == []
    assert bench.outcomes == {"rejected": 1}
    bench.drain()


def test_a_423_without_a_minimum_is_a_failure() -> None:
    bench, first = registering(remove="no")
    assert bench.feed(reply(first, 423)) == []
    assert bench.outcomes == {"rejected": 1}


# --- the registrar's side ---

def contacts(sent: Sent) -> list[str]:
    return sent.headers("Contact")


@pytest.mark.parametrize(("contact", "expires", "expected"), [
    ("<sip:a@192.0.2.20>", "60", ["<sip:a@192.0.2.20>;expires=60"]),
    ("sip:a@192.0.2.20;expires=30", "60", ["<sip:a@192.0.2.20>;expires=30"]),
    ("<sip:a@h;x=1>;q=0.3;expires=5, \"b, c\" <sip:b@h>", "60",
     ["<sip:a@h;x=1>;q=0.3;expires=5", "<sip:b@h>;expires=60"]),
    ("<sip:a@h>;expires=0", "60", []),
    ("<sip:a@h>;expires=soon", "60", ["<sip:a@h>;expires=3600"]),
    ("<sip:a@h>", "0", []),
    ("*", "0", []),
    ("<mailto:a@example.com>", "60", ["<mailto:a@example.com>;expires=60"]),
])
def test_the_answer_lists_the_bindings(contact: str, expires: str, expected: list[str]) -> None:
    bench = answerer()
    sent = only(bench.feed(ask("REGISTER", contact=contact, headers=[f"Expires: {expires}"])))
    assert sent.status == 200
    assert contacts(sent) == expected
    assert only(bench.feed(ask("REGISTER", contact=contact,
                               headers=[f"Expires: {expires}"]))).data == sent.data


def test_a_fetch_lists_nothing() -> None:
    sent = only(answerer().feed(ask("REGISTER", contact="")))
    assert sent.status == 200
    assert contacts(sent) == []


def test_too_brief_an_interval() -> None:
    bench = answerer(settings={"min_expires": "300"})
    sent = only(bench.feed(ask("REGISTER", headers=["Expires: 60"])))
    assert sent.status == 423
    assert sent.header("Min-Expires") == "300"
    sent = only(bench.feed(ask("REGISTER", branch="z9hG4bK2", cseq=2, headers=["Expires: 300"])))
    assert sent.status == 200
    sent = only(bench.feed(ask("REGISTER", branch="z9hG4bK3", cseq=3, headers=["Expires: 0"])))
    assert sent.status == 200
    assert bench.feed(ask("REGISTER", branch="z9hG4bK3", cseq=3, headers=["Expires: 0"]))
