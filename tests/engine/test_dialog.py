"""Dialogs: route sets, remote targets and next hops at either side. RFC 3261 12, 16.12."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.drive import (
    SECOND,
    Sent,
    answered,
    answerer,
    ask,
    back,
    caller,
    names,
    only,
    reply,
    scenario,
    within,
)

LOOSE = ["<sip:192.0.2.31;lr>", "<sip:192.0.2.32:5090;lr>", "<sip:proxy.example.com;lr;x=\"a,b\">"]


def bye_of_caller(contact: str, routes: list[str], status: int = 200) -> tuple[Sent, Sent]:
    """ACK and BYE of a call answered with this Contact and Record-Route lines."""
    bench = caller()
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, status, contact=contact,
                                headers=[f"Record-Route: {one}" for one in routes]))
    assert names([ack, bye]) == ["ACK", "BYE"]
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    return ack, bye


def bye_of_answerer(contact: str, routes: list[str], source: tuple[str, int]) -> Sent:
    """BYE of an answerer that hangs up after a second."""
    bench = answerer(settings={"limit": "1s"})
    ok = bench.feed(ask(contact=contact, headers=[f"Record-Route: {one}" for one in routes]),
                    source)[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"), source)
    bye = only(bench.run(SECOND))
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    bench.drain()
    return bye


@pytest.mark.parametrize("routes", [LOOSE, [", ".join(LOOSE)], [", ".join(LOOSE[:2]), LOOSE[2]]],
                         ids=["lines", "one line", "mixed"])
def test_the_caller_reverses_the_record_route(routes: list[str]) -> None:
    for one in bye_of_caller("<sip:peer@198.51.100.7:5099;x=y>", routes):
        assert one.headers("Route") == LOOSE[::-1]
        assert one.uri == "sip:peer@198.51.100.7:5099;x=y"
        # its first route is a name, which is not resolved here: where the answer came from
        assert one.to == ("192.0.2.20", 5060)


def test_a_numeric_first_route_is_the_next_hop() -> None:
    for one in bye_of_caller("<sip:peer@198.51.100.7>", LOOSE[:2]):
        assert one.to == ("192.0.2.32", 5090)
    for one in bye_of_caller("<sip:peer@198.51.100.7>", LOOSE[:1]):
        assert one.to == ("192.0.2.31", 5060)


def test_the_answerer_keeps_the_order() -> None:
    bye = bye_of_answerer("<sip:a@198.51.100.9>", LOOSE, ("192.0.2.31", 5060))
    assert bye.headers("Route") == LOOSE
    assert bye.uri == "sip:a@198.51.100.9"
    assert bye.to == ("192.0.2.31", 5060)


def test_a_strict_router_takes_the_request_uri() -> None:
    """12.2.1.1: R-URI = first route, remote target appended as the last Route."""
    routes = ["<sip:192.0.2.32;lr>", "<sip:192.0.2.31>"]
    for one in bye_of_caller("<sip:peer@198.51.100.7>", routes):
        assert one.uri == "sip:192.0.2.31"
        assert one.headers("Route") == ["<sip:192.0.2.32;lr>", "<sip:peer@198.51.100.7>"]
        assert one.to == ("192.0.2.31", 5060)
    bye = bye_of_answerer("<sip:a@198.51.100.9>", ["<sip:192.0.2.33;x>"], ("192.0.2.33", 5060))
    assert bye.uri == "sip:192.0.2.33;x"
    assert bye.headers("Route") == ["<sip:a@198.51.100.9>"]


@pytest.mark.parametrize(("contact", "uri", "to"), [
    ("<sip:peer@198.51.100.7:5099>", "sip:peer@198.51.100.7:5099", ("198.51.100.7", 5099)),
    ("sip:198.51.100.7", "sip:198.51.100.7", ("198.51.100.7", 5060)),
    ('"x" <sip:peer@name.example.com>;q=1', "sip:peer@name.example.com", ("192.0.2.20", 5060)),
    ("<sip:p@[2001:db8::7]:5061>", "sip:p@[2001:db8::7]:5061", ("2001:db8::7", 5061)),
    ("<sip:p@[2001:db8::7]>", "sip:p@[2001:db8::7]", ("2001:db8::7", 5060)),
])
def test_the_remote_target_is_the_contact(contact: str, uri: str, to: tuple[str, int]) -> None:
    for one in bye_of_caller(contact, []):
        assert one.uri == uri
        assert one.to == to


@pytest.mark.parametrize("contact", ["<sip:pe\x05er@192.0.2.77>", "<sip:pe\x00er@192.0.2.77>",
                                     "<sip:peer\r\n @192.0.2.77>", "<sip:pe er@192.0.2.77>"])
def test_a_contact_that_would_break_the_start_line_is_none(contact: str) -> None:
    ack, bye = bye_of_caller(contact, [])
    assert ack.line == "ACK sip:192.0.2.20:5060 SIP/2.0"
    assert bye.line == "BYE sip:192.0.2.20:5060 SIP/2.0"


def test_a_strict_router_whose_uri_would_break_the_start_line_stays_a_route() -> None:
    ack, _ = bye_of_caller("<sip:peer@192.0.2.20>", ["<sip:pro\x01xy@192.0.2.31>"])
    assert ack.line == "ACK sip:peer@192.0.2.20 SIP/2.0"
    assert ack.header("Route") == "<sip:pro\x01xy@192.0.2.31>"


def test_an_ipv6_target_and_local_address() -> None:
    bench = caller(target=("2001:db8::2", 5060), local=("2001:db8::1", 5070))
    invite = bench.start()
    assert invite.to == ("2001:db8::2", 5060)
    assert invite.uri == "sip:service@[2001:db8::2]:5060"
    assert invite.header("Via").startswith("SIP/2.0/UDP [2001:db8::1]:5070;")
    ack, bye = bench.feed(reply(invite, 200, contact="<sip:p@[2001:db8::3]:5063>"))
    assert ack.to == bye.to == ("2001:db8::3", 5063)
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_who_sends_no_contact_is_reached_where_he_is() -> None:
    bench = answerer(settings={"limit": "1s"})
    ok = bench.feed(ask(contact=""), ("192.0.2.20", 5065))[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bye = only(bench.run(SECOND))
    assert bye.uri == "sip:192.0.2.20:5065"
    assert bye.to == ("192.0.2.20", 5065)


def refreshing(c: Any) -> None:
    c.invite()
    c.expect("2xx")
    c.ack()
    c.send("INVITE")
    c.expect("2xx")
    c.ack()
    c.bye()
    c.expect("2xx")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("routed", [False, True])
def test_a_2xx_to_our_reinvite_moves_the_target_but_not_the_routes(routed: bool,
                                                                   strict: bool) -> None:
    """12.2.1.2: the remote target follows, the route set is fixed."""
    bench = scenario(refreshing)
    first = bench.start()
    route = "<sip:192.0.2.31>" if strict else "<sip:192.0.2.31;lr>"
    headers = [f"Record-Route: {route}"] if routed else []
    second = bench.feed(reply(first, 200, headers=headers))[-1]
    assert second.name == "INVITE"
    assert second.cseq == 1001
    assert second.tag("To") == "peer"
    assert second.tag("From") == first.tag("From")
    ack, bye = bench.feed(reply(second, 200, contact="<sip:moved@198.51.100.8:5088>",
                                headers=["Record-Route: <sip:192.0.2.99;lr>"]))
    for one in (ack, bye):
        if routed and strict:
            assert one.uri == "sip:192.0.2.31"
            assert one.headers("Route") == ["<sip:moved@198.51.100.8:5088>"]
        else:
            assert one.uri == "sip:moved@198.51.100.8:5088"
            assert one.headers("Route") == ([route] if routed else [])
        assert one.to == (("192.0.2.31", 5060) if routed else ("198.51.100.8", 5088))
    assert (ack.cseq, bye.cseq) == (1001, 1002)
    bench.feed(reply(bye, 200))
    bench.drain()


def test_a_reinvite_of_the_peer_moves_the_target() -> None:
    bench = answerer(settings={"limit": "5s"})
    ok = answered(bench)
    bench.feed(within(ok, "INVITE", cseq=2, contact="<sip:moved@198.51.100.8:5088>"))
    bench.feed(within(ok, "ACK", cseq=2, branch="z9hG4bKa2"))
    bye = only(bench.run(5 * SECOND))
    assert bye.uri == "sip:moved@198.51.100.8:5088"
    assert bye.to == ("198.51.100.8", 5088)


def test_parties_of_a_request_of_the_answerer_are_exchanged() -> None:
    bye = bye_of_answerer("<sip:a@192.0.2.20>", [], ("192.0.2.20", 5060))
    assert bye.header("To") == '"A" <sip:a@192.0.2.20>;tag=from1'
    assert bye.header("From").startswith("<sip:b@192.0.2.10:5070>;tag=b0b0b0b0")
    assert bye.header("Call-ID") == "one@192.0.2.20"
    assert bye.cseq < 2**31


def test_a_route_set_too_large_to_keep_is_counted_and_ends_cleanly() -> None:
    bench = caller()
    invite = bench.start()
    routes = [f"Record-Route: <sip:192.0.2.{i % 250}:5060;lr;x={'y' * 300}>" for i in range(30)]
    bench.feed(reply(invite, 200, headers=routes))
    assert bench.count("slab_full") >= 1
    assert names(bench.wire) == ["INVITE"]      # no ACK without a Request-URI
    bench.drain()
    assert bench.outcomes == {"no_resource": 1}


def test_the_failure_ack_of_a_reinvite_keeps_uri_and_route() -> None:
    """17.1.1.3: Request-URI and Route of the INVITE."""
    bench = scenario(refreshing)
    first = bench.start()
    second = bench.feed(reply(first, 200, headers=["Record-Route: <sip:192.0.2.31;lr>"]))[-1]
    ack = only(bench.feed(reply(second, 488)))
    assert (ack.name, ack.uri, ack.branch, ack.to) == (
        "ACK", second.uri, second.branch, second.to)
    assert ack.headers("Route") == second.headers("Route") == ["<sip:192.0.2.31;lr>"]
    # With the call its leg is gone, and with that the Request-URI: better no ACK than a wrong one.
    assert bench.feed(reply(second, 488)) == []
    bench.drain()


def test_a_request_of_the_peer_is_found_in_the_early_dialog() -> None:
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 180))
    assert names(bench.feed(back(invite, "OPTIONS"))) == ["200/OPTIONS"]
    assert only(bench.feed(back(invite, "OPTIONS", tag="fork", branch="z9hG4bKf"))).status == 481
    assert bench.count("dialog_mismatch") == 1
