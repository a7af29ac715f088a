"""The public `parse`: text, types and errors."""

from __future__ import annotations

import doctest
from dataclasses import FrozenInstanceError

import pytest

import siploadgen.message
from siploadgen.core.sip.parse import ParseFault
from siploadgen.message import ParseError, Uri, parse

DATA = (
    b"REGISTER sip:Example.COM:5070;transport=tcp SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKm, SIP/2.0/TCP p.example.com\r\n"
    b"f: \"A \\\"B\\\"\" <sip:alice@example.com>;tag=1\r\n"
    b"To: <sip:alice@example.com>\r\nCall-ID: m1\r\nCSeq: 12 REGISTER\r\n"
    b"m: <sip:alice@192.0.2.1>;expires=60;q=\"0.5\", <sip:a@192.0.2.2>\r\n"
    b"Contact: <sip:a@192.0.2.3>;expires=x\r\nSubject: one\r\n \t two\r\n"
    b"Require: path,\r\n outbound\r\nk:\r\nMax-Forwards: 70\r\nExpires: 600\r\n"
    b"Path: <sip:p;lr>\r\nX-Own: \xff\r\nx-own: 2\r\n"
    b"Authorization: Digest username=\"a\\\"b\",realm=\"r\",nonce=\"n\",uri=\"sip:r\","
    b"response=\"0\",nc=0000000b\r\n"
    b"Proxy-Authorization: broken=\r\nContent-Length: 2\r\n\r\nhi\0")


def test_a_request_in_full() -> None:
    message = parse(DATA)
    assert message.is_request
    assert (message.method, message.status, message.reason) == ("REGISTER", 0, "")
    assert message.uri is not None
    assert (message.uri.host, message.uri.port) == ("example.com", 5070)
    assert message.uri.parameters == {"transport": "tcp"}
    assert str(message.uri) == "sip:Example.COM:5070;transport=tcp"
    assert [via.host for via in message.via] == ["192.0.2.1", "p.example.com"]
    assert message.via[0].parameters == {"rport": None, "branch": "z9hG4bKm"}
    assert (message.via[0].port, message.via[0].rport, message.via[1].branch) == (5062, None, None)
    assert (message.from_.display, message.from_.tag, message.to.tag) == ('A "B"', "1", None)
    assert (message.cseq.number, message.cseq.method, message.call_id) == (12, "REGISTER", "m1")
    assert [contact.uri.host for contact in message.contact] == ["192.0.2.1", "192.0.2.2",
                                                                 "192.0.2.3"]
    assert [contact.expires for contact in message.contact] == [60, None, 3600]
    assert message.contact[0].parameters["q"] == '"0.5"'
    assert (message.require, message.supported) == (("path", "outbound"), ())
    assert (message.max_forwards, message.expires, message.content_length) == (70, 600, 2)
    assert (message.body, message.complete, message.contact_is_star) == (b"hi", True, False)
    assert [str(hop.uri) for hop in message.path] == ["sip:p;lr"]
    assert message.route == message.record_route == message.service_route == ()
    assert len(message.credentials) == 1
    assert (message.credentials[0].username, message.credentials[0].nc) == ('a"b', 11)
    assert message.challenges == ()


def test_headers_by_name() -> None:
    headers = parse(DATA).headers
    assert headers["SUBJECT"] == headers["s"] == "one two"
    assert headers["v"] == headers["Via"]
    assert headers.all("X-OWN") == ("\udcff", "2")
    assert headers.all("Route") == ()
    assert headers.get("Route") is None
    assert "i" in headers
    assert "Nothing" not in headers
    assert list(headers)[:4] == ["Via", "From", "To", "Call-ID"]
    assert len(headers) == len(list(headers)) == len(headers.pairs) - 2
    assert "Subject" in repr(headers)
    with pytest.raises(KeyError):
        headers["Route"]


def test_a_response() -> None:
    message = parse(
        b"SIP/2.0 401 Go away\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>;tag=9\r\n"
        b"Call-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: *\r\nSession-Expires: 90 ; Refresher=uac\r\n"
        b"WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth, auth-int\"\r\n\r\n")
    assert not message.is_request
    assert message.uri is None
    assert (message.status, message.reason, message.method) == (401, "Go away", "REGISTER")
    assert message.to.tag == "9"
    assert message.contact_is_star
    assert message.contact == ()
    assert message.challenges[0].qop == ("auth", "auth-int")
    assert not message.challenges[0].proxy
    item = message.item("x")
    assert item is not None
    assert (item.value, item.parameters) == ("90", {"refresher": "uac"})
    assert message.item("Event") is None
    assert message.number("Min-SE") is None


@pytest.mark.parametrize(("data", "fault", "offset", "status"), [
    (DATA.replace(b"12 REGISTER", b"12 INVITE"), ParseFault.FAULT_CSEQ_METHOD,
     DATA.index(b"12 REG") + 3, 400),
    (DATA.replace(b"SIP/2.0\r", b"SIP/4.0\r"), ParseFault.FAULT_VERSION, 44, 505),
    (DATA.replace(b"Forwards: 70", b"Forwards: x"), ParseFault.FAULT_NUMBER,
     DATA.index(b"70\r"), 400),
    (b"", ParseFault.FAULT_EMPTY, 0, 0),
    (b"\r\n\r\n", ParseFault.FAULT_NONE, 0, 0),
])
def test_errors(data: bytes, fault: ParseFault, offset: int, status: int) -> None:
    with pytest.raises(ParseError) as caught:
        parse(data)
    error = caught.value
    assert isinstance(error, ValueError)
    assert (error.fault, error.offset, error.status) == (fault, offset, status)
    assert str(error) == f"octet {offset}: {error.rule}"


def test_every_fault_has_a_rule() -> None:
    silent = {ParseFault.FAULT_NONE, ParseFault.FAULT_COUNT}
    assert set(siploadgen.message._RULES) == set(ParseFault) - silent


def test_a_uri_alone() -> None:
    assert Uri.parse("tel:+1").user == "+1"
    with pytest.raises(ValueError, match="not a URI"):
        Uri.parse("nothing")


def test_messages_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        parse(DATA).status = 1  # type: ignore[misc]


def test_too_many_headers_are_said() -> None:
    extra = b"".join(b"X-%d: 1\r\n" % i for i in range(300))
    message = parse(DATA.replace(b"Subject", extra + b"Subject"))
    assert not message.complete


def test_the_example_runs() -> None:
    assert doctest.testmod(siploadgen.message).failed == 0
