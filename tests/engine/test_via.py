"""What a response repeats of its request, and where it goes: RFC 3261 8.2.6.2, 18.2; RFC 3581."""

from __future__ import annotations

import pytest

from tests.engine.drive import Address, Sent, answerer, ask, caller, names, only, reply

NEAR = ("192.0.2.20", 5060)


def answer(via: str | list[str], source: Address, local: Address = ("192.0.2.10", 5070)) -> Sent:
    """The 200 to an OPTIONS with this Via from this source."""
    bench = answerer(local=local)
    sent = only(bench.feed(ask("OPTIONS", via=[via] if isinstance(via, str) else via), source))
    again = only(bench.feed(ask("OPTIONS", via=[via] if isinstance(via, str) else via), source))
    assert again.data == sent.data
    assert again.to == sent.to
    return sent


# (Via, source, Via of the answer, where it goes)
CASES = {
    "rport, equal": ("192.0.2.20:5060;rport;branch=z9hG4bK1", NEAR,
                     "192.0.2.20:5060;rport=5060;received=192.0.2.20;branch=z9hG4bK1", NEAR),
    "rport, other port": ("192.0.2.20:5060;rport;branch=z9hG4bK1", ("192.0.2.20", 7777),
                          "192.0.2.20:5060;rport=7777;received=192.0.2.20;branch=z9hG4bK1",
                          ("192.0.2.20", 7777)),
    "rport, other host": ("10.0.0.1:5060;branch=z9hG4bK1;rport", ("203.0.113.5", 40000),
                          "10.0.0.1:5060;branch=z9hG4bK1;rport=40000;received=203.0.113.5",
                          ("203.0.113.5", 40000)),
    "RPORT": ("192.0.2.20;branch=z9hG4bK1;RPORT", ("192.0.2.20", 1024),
              "192.0.2.20;branch=z9hG4bK1;RPORT=1024;received=192.0.2.20", ("192.0.2.20", 1024)),
    "no rport, equal": ("192.0.2.20:5062;branch=z9hG4bK1", ("192.0.2.20", 7777),
                        "192.0.2.20:5062;branch=z9hG4bK1", ("192.0.2.20", 5062)),
    "no rport, no port": ("192.0.2.20;branch=z9hG4bK1", ("192.0.2.20", 7777),
                          "192.0.2.20;branch=z9hG4bK1", ("192.0.2.20", 5060)),
    "no rport, other host": ("10.0.0.1:5080;branch=z9hG4bK1", ("203.0.113.5", 7777),
                             "10.0.0.1:5080;branch=z9hG4bK1;received=203.0.113.5",
                             ("203.0.113.5", 5080)),
    "a name": ("client.example.com;branch=z9hG4bK1", NEAR,
               "client.example.com;branch=z9hG4bK1;received=192.0.2.20", NEAR),
    "a parameter that ends like rport": ("10.0.0.1;xrport;branch=z9hG4bK1", NEAR,
                                         "10.0.0.1;xrport;branch=z9hG4bK1;received=192.0.2.20",
                                         NEAR),
    "rport before others": ("10.0.0.1;rport ;ttl=1;branch=z9hG4bK1", NEAR,
                            "10.0.0.1;rport=5060;received=192.0.2.20 ;ttl=1;branch=z9hG4bK1",
                            NEAR),
    "rport before a tab": ("10.0.0.1;rport\t;branch=z9hG4bK1", NEAR,
                           "10.0.0.1;rport=5060;received=192.0.2.20\t;branch=z9hG4bK1", NEAR),
    "IPv6 source": ("[2001:db8::9]:5066;rport;branch=z9hG4bK1", ("2001:db8::5", 5066),
                    "[2001:db8::9]:5066;rport=5066;received=2001:db8::5;branch=z9hG4bK1",
                    ("2001:db8::5", 5066)),
    "IPv6, no rport": ("[2001:db8::9];branch=z9hG4bK1", ("2001:db8::5", 7777),
                       "[2001:db8::9];branch=z9hG4bK1;received=2001:db8::5",
                       ("2001:db8::5", 5060)),
    "IPv6, equal": ("[2001:db8::5]:5061;branch=z9hG4bK1", ("2001:db8::5", 7777),
                    "[2001:db8::5]:5061;branch=z9hG4bK1", ("2001:db8::5", 5061)),
}


@pytest.mark.parametrize("case", CASES)
def test_received_and_rport(case: str) -> None:
    via, source, expected, to = CASES[case]
    local = ("2001:db8::1", 5070) if ":" in source[0] else ("192.0.2.10", 5070)
    sent = answer(f"SIP/2.0/UDP {via}", source, local)
    assert sent.header("Via") == f"SIP/2.0/UDP {expected}"
    assert sent.to == to


def test_the_second_of_two_vias_in_one_line_is_not_touched() -> None:
    other = "SIP/2.0/UDP 10.0.0.2;rport;branch=z9hG4bK2"
    sent = answer(f"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1,{other}", NEAR)
    first, _, second = sent.header("Via").partition(",")
    assert first == "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.20"
    assert second == other


def test_all_vias_are_repeated_in_order() -> None:
    vias = ["SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKtop;rport",
            'SIP/2.0/TCP b.example.com;branch=z9hG4bKb;x="a,b", SIP/2.0/UDP c;branch=z9hG4bKc',
            "SIP / 2.0 / UDP  d.example.com : 5060 ;branch=z9hG4bKd"]
    sent = answer(vias, NEAR)
    assert sent.headers("Via")[1:] == vias[1:]
    assert len(sent.headers("Via")) == 3


def test_a_compact_via_is_read_too() -> None:
    bench = answerer()
    request = ask("OPTIONS").replace("Via:", "v:").replace("From:", "f:").replace("To:", "t:") \
        .replace("Call-ID:", "i:")
    sent = only(bench.feed(request))
    assert sent.status == 200
    assert sent.branch == "z9hG4bKone"
    assert sent.header("Call-ID") == "one@192.0.2.20"


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "SUBSCRIBE", "XLOAD"])
def test_the_parties_are_repeated_octet_by_octet(method: str) -> None:
    from_ = '"J \\" Doe, Ltd" <sip:j%20d@[2001:db8::1];x=1>;Tag2=a;tag=AbC.-1;q="a;tag=no"'
    to = "sip:b@192.0.2.10;user=phone"
    bench = answerer()
    sent = bench.feed(ask(method, from_=from_, to=to, cseq=4294967295,
                          call_id="~weird*(Call)'ID%\"<>/[]?{}@x"))
    for one in sent:
        assert one.header("From") == from_
        assert one.header("To").startswith(to)
        assert one.tag("To")
        assert one.header("Call-ID") == "~weird*(Call)'ID%\"<>/[]?{}@x"
        assert one.header("CSeq") == f"4294967295 {method}"
    assert len({one.tag("To") for one in sent}) == 1


def test_a_request_with_a_to_tag_keeps_it() -> None:
    sent = only(answerer().feed(ask("OPTIONS", to="<sip:b@h>;tag=known")))
    assert sent.status == 481
    assert sent.header("To") == "<sip:b@h>;tag=known"


def test_a_stateless_answer_has_the_same_tag_each_time() -> None:
    """RFC 3261 8.2.7."""
    bench = answerer()
    first = only(bench.feed(ask("PING")))
    assert only(bench.feed(ask("PING"))).data == first.data
    other = only(bench.feed(ask("PING", call_id="another")))
    assert other.tag("To") != first.tag("To")


def test_record_route_is_repeated_in_dialog_forming_answers() -> None:
    bench = answerer()
    routes = ["<sip:p1.example.com;lr>, <sip:192.0.2.31;lr;x=\"a,b\">", "<sip:192.0.2.32>"]
    sent = bench.feed(ask(headers=[f"Record-Route: {one}" for one in routes]))
    assert names(sent) == ["180/INVITE", "200/INVITE"]
    for one in sent:
        assert one.headers("Record-Route") == routes


def test_the_answers_go_where_the_first_request_came_from() -> None:
    """A repeat from elsewhere does not divert a transaction."""
    bench = answerer(settings={"ring": "1s"})
    bench.feed(ask(), ("192.0.2.20", 7000))
    assert bench.wire[0].to == ("192.0.2.20", 7000)
    ok = only(bench.run(1_000_000_000))
    assert ok.to == ("192.0.2.20", 7000)


def learned(via: str, **options: object) -> tuple[str, str]:
    """Contact and Via of the call after one whose first answer had these Via parameters."""
    bench = caller(learn_contact=True, **options)
    first = bench.start()
    assert "@192.0.2.10:5070>" in first.header("Contact")
    value = first.header("Via").replace(";rport", f";{via}")
    assert names(bench.feed(reply(first, 200, via=value))) == ["ACK", "BYE"]
    second = bench.start()
    return second.header("Contact").partition("@")[2].rstrip(">"), second.header("Via")


@pytest.mark.parametrize(("via", "contact"), {
    "rport=40001;received=203.0.113.7": "203.0.113.7:40001",
    "received=203.0.113.7": "203.0.113.7:5070",
    "rport=40001": "192.0.2.10:40001",
    "rport=5070;received=192.0.2.10": "192.0.2.10:5070",
    "rport=6000;received=2001:db8::7": "[2001:db8::7]:6000",
    "rport=6000;received=[2001:db8::7]": "[2001:db8::7]:6000",
    "rport": "192.0.2.10:5070",
    "rport=6000;received=evil.example": "192.0.2.10:5070",
}.items())
def test_the_contact_can_be_the_learned_address(via: str, contact: str) -> None:
    """RFC 3581 4: a client behind a NAT learns from its Via how others see it."""
    found, own = learned(via)
    assert found == contact
    assert "192.0.2.10:5070" in own


def test_the_learned_address_stands() -> None:
    """The dialog that taught it keeps its Contact; what other responses say changes nothing."""
    bench = caller(learn_contact=True, settings={"hold": "1s"})
    first, other = (bench.start() for _ in range(2))
    for port, one in ((7001, first), (7002, other)):
        via = one.header("Via").replace(";rport", f";rport={port};received=198.51.100.1")
        bench.feed(reply(one, 200, via=via, tag=f"peer{port}"))
    assert "@198.51.100.1:7001>" in bench.start().header("Contact")
    plain = caller()
    one = plain.start()
    via = one.header("Via").replace(";rport", ";rport=9;received=10.0.0.9")
    plain.feed(reply(one, 200, via=via))
    assert "@192.0.2.10:5070>" in plain.start().header("Contact")
