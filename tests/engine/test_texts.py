"""What a program takes out of messages and puts into others: text variables, conditions, routes."""

from __future__ import annotations

import pytest

from siploadgen.model.recorder import Recorder
from tests.engine.drive import answering, ask, names, only, reply, scenario


def told(header: str, what: str, **more: str) -> str:
    """What an OPTIONS answer shows after it was captured: the Subject of the next request."""

    def play(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.capture("it", what)
        c.options(headers={"Subject": "[{it}]"})
        c.expect(200)

    bench = scenario(play)
    first = bench.start()
    second = only(bench.feed(reply(first, 200, headers=[header] if header else [])))
    bench.feed(reply(second, 200))
    bench.drain()
    return second.header("Subject")[1:-1]


@pytest.mark.parametrize(("header", "what", "text"), [
    ("SIP-ETag: abc12", "SIP-ETag", "abc12"),
    ("Subject: one\r\n two", "Subject", "one   two"),
    ("", "SIP-ETag", ""),
    ('Contact: "A, B" <sip:a@192.0.2.1;x=y?Subject=z>;q=0.5', "Contact.uri",
     "sip:a@192.0.2.1;x=y"),
    ("Contact: <sip:a@h>;Pub-GRUU=\"sip:b@h;gr=x\"", "Contact;pub-gruu", "sip:b@h;gr=x"),
    ("Refer-To: <sip:c@h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&X=y>", "Refer-To?Replaces",
     "a@b;to-tag=1;from-tag=2"),
    ("Refer-To: <sip:c@h?X=y&replaces=q>", "Refer-To?Replaces", "q"),
    ("Refer-To: <sip:c@h?Replaces=a%0d%0aX: y>", "Refer-To?Replaces", ""),  # no header smuggled in
    ("Refer-To: <sip:c@h>", "Refer-To?Replaces", ""),
    ("Refer-To: nonsense <", "Refer-To.uri", ""),
    ("Service-Route: <sip:a;lr>,<sip:b;lr>\r\nService-Route: <sip:c;lr>", "Service-Route.*",
     "<sip:a;lr>,<sip:b;lr>, <sip:c;lr>"),
    ("", "Service-Route.*", ""),
])
def test_texts_are_taken_from_headers(header: str, what: str, text: str) -> None:
    assert told(header, what) == text


CONTACTS = """\
Contact: "A;q=1" <sip:a@h?Subject=x>;q=0.25;expires=9, <mailto:b@h>;q=1
m: <sip:c@h;transport=udp>;q=0.5
Contact: sip:d@h;q=0.50, <sip:e@h>;Q=0.501, <tel:+1>, <sip:f@h>;q=0, <SIP:g@h>"""


@pytest.mark.parametrize(("rank", "uri"), [
    (1, "SIP:g@h"), (2, "sip:e@h"), (3, "sip:c@h;transport=udp"), (4, "sip:d@h"), (5, "sip:a@h"),
    (6, "sip:f@h"), (7, "")])
def test_addresses_are_ranked_by_q(rank: int, uri: str) -> None:
    """RFC 3261 8.1.3.4 and 20.10: over all Contact headers; who names no q comes first."""
    assert told(CONTACTS.replace("\n", "\r\n"), f"Contact.{rank}") == uri


@pytest.mark.parametrize(("header", "uri"), [
    ("", ""), ("Contact: *", ""), ("Contact: <sips:a@h>", ""),
    ("Contact: <sip:a@h>;q=9, <sip:b@h>;q=0.9", "sip:a@h"),     # nonsense counts as none
    ("Contact: <sip:a@h>;q=0.9999, <sip:b@h>;q=1.5", "sip:b@h"),
    (", ".join(["Contact: <sip:a0@h>;q=0.1", *(f"<sip:a{n}@h>;q=0.2" for n in range(1, 99))]),
     "sip:a1@h"),
])
def test_strange_lists_of_addresses(header: str, uri: str) -> None:
    assert told(header, "Contact.1") == uri


def test_request_uri_and_body_are_taken_by_the_answerer() -> None:
    def play(c: Recorder) -> None:
        c.capture("uri", "request_uri")
        c.capture("said", "body")
        c.respond(200, headers={"Subject": "{uri}"}, body="{said}!")

    bench = answering("MESSAGE", play)
    got = only(bench.feed(ask("MESSAGE", body="hello")))
    assert got.header("Subject") == "sip:b@192.0.2.10:5070"
    assert got.data.endswith(b"\r\n\r\nhello!")
    assert got.header("Content-Length") == "6"
    # the same request again gets the same octets, although its instance is gone
    assert only(bench.feed(ask("MESSAGE", body="hello"))).data == got.data
    bench.drain()


@pytest.mark.parametrize(("headers", "status"), [
    (["Supported: timer, 100REL;x=y"], 200), (["Supported: timer", "k: 100rel"], 200),
    (["Supported: timer"], 404), ([], 404), (["Supported: 100relx"], 404),
])
def test_a_header_is_asked_for_an_item(headers: list[str], status: int) -> None:
    def play(c: Recorder) -> None:
        with c.if_header("Supported", "100rel"):
            c.respond(200)
            c.end()
        c.respond(404)

    assert only(answering("OPTIONS", play).feed(ask("OPTIONS", headers=headers))).status == status


def test_a_text_is_compared() -> None:
    def play(c: Recorder) -> None:
        c.capture("tag", "SIP-If-Match")
        c.set("n", 1)
        c.text("wanted", "a{n}")
        with c.if_text("tag", "{wanted}"):
            c.respond(200)
            c.end()
        c.respond(412)

    def answer(tag: str) -> int:
        return only(answering("PUBLISH", play).feed(
            ask("PUBLISH", headers=["Event: x", f"SIP-If-Match: {tag}"]))).status

    assert [answer("a1"), answer("a0"), answer("A1")] == [200, 412, 412]


@pytest.mark.parametrize(("what", "header", "value"), [
    ("Session-Expires", "Session-Expires: 1800;refresher=uas", 1800),
    ("Min-SE", "Min-SE: 90", 90), ("Min-SE", "Min-SE: soon", -1), ("Min-SE", "", -1),
    ("Subscription-State;expires", "Subscription-State: active;expires=599", 599),
    ("Subscription-State;expires", "Subscription-State: active", -1),
])
def test_numbers_are_read(what: str, header: str, value: int) -> None:
    def play(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.extract("n", what)
        c.options(headers={"Subject": "{n}"})
        c.expect(200)

    bench = scenario(play)
    second = only(bench.feed(reply(bench.start(), 200, headers=[header] if header else [])))
    assert second.header("Subject") == str(value)


def test_requests_are_routed_to_a_uri() -> None:
    def play(c: Recorder) -> None:
        c.invite(sdp="g711")
        with c.expect(200).on("300-399"):
            c.capture("moved", "Contact.uri")
            c.redirect("{moved}")
        c.ack()

    bench = scenario(play)
    first = bench.start()
    sent = bench.feed(reply(first, 302, headers=["Contact: <sip:new@192.0.2.77:5099>"]))
    assert names(sent) == ["ACK", "INVITE"]
    ack, second = sent
    assert ack.to == ("192.0.2.20", 5060)
    assert second.to == ("192.0.2.77", 5099)
    assert second.uri == "sip:new@192.0.2.77:5099"
    assert (second.header("Call-ID"), second.cseq) == (first.header("Call-ID"), first.cseq + 1)
    assert second.branch != first.branch
    assert (second.header("To"), second.header("From")) == (first.header("To"),
                                                            first.header("From"))
    bench.feed(reply(second, 200), ("192.0.2.77", 5099))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_changed_variable_does_not_change_a_repeated_request() -> None:
    """A retransmission is the same octets, whatever the program did meanwhile (RFC 3261 17.1.2)."""

    def play(c: Recorder) -> None:
        c.set("n", 1)
        c.send("MESSAGE", body="{n}")
        c.set("n", 2)
        c.expect(200)

    bench = scenario(play)
    first = bench.start()
    again = only(bench.wait(500_000_000))
    assert again.data == first.data
    bench.feed(reply(first, 200))
    bench.drain()


def test_a_request_to_our_contact_opens_a_second_leg() -> None:
    """An INVITE to the Contact of a running call goes to that call when it waits for one."""

    def play(c: Recorder) -> None:
        c.invite(sdp="g711")
        c.expect(200)
        c.ack()
        c.expect("INVITE", leg="other")
        c.respond(200, sdp="g711", leg="other")
        c.expect("ACK", leg="other")
        c.bye(leg="other")
        c.expect(200, leg="other")
        c.bye()
        c.expect(200)

    bench = scenario(play)
    first = bench.start()
    contact = first.header("Contact").strip("<>")
    assert names(bench.feed(reply(first, 200))) == ["ACK"]
    ok = only(bench.feed(ask(uri=contact)))
    assert ok.status == 200
    assert ok.tag("To") not in (first.tag("From"), "")
    other = only(bench.feed(ask("ACK", uri=contact, branch="z9hG4bKack", to=ok.header("To"))))
    assert (other.name, other.uri) == ("BYE", "sip:a@192.0.2.20:5060")
    assert other.header("Call-ID") == "one@192.0.2.20"
    last = only(bench.feed(reply(other, 200)))
    assert (last.name, last.header("Call-ID")) == ("BYE", first.header("Call-ID"))
    bench.feed(reply(last, 200))
    # nobody waits for a call any more
    late = only(bench.feed(ask(uri=contact, branch="z9hG4bKthird", call_id="x")))
    assert late.status in (404, 405)
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_request_that_is_refused_takes_no_leg() -> None:
    """The next one that is right still finds the place that the program keeps for it."""

    def play(c: Recorder) -> None:
        c.invite(sdp="g711")
        c.expect(200)
        c.ack()
        c.expect("INVITE", leg="other")
        c.respond(486, leg="other")
        c.bye()
        c.expect(200)

    bench = scenario(play)
    first = bench.start()
    contact = first.header("Contact").strip("<>")
    bench.feed(reply(first, 200))
    wrong = ask(uri=contact, branch="z9hG4bKwrong", headers=["Require: nothing-known"])
    assert only(bench.feed(wrong)).status == 420
    sent = bench.feed(ask(uri=contact, cseq=2))
    assert names(sent) == ["486/INVITE", "BYE"]
    bench.feed(ask("ACK", uri=contact, cseq=2, to=sent[0].header("To")))
    bench.feed(reply(sent[1], 200))
    bench.drain()
