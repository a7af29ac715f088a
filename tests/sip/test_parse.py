"""Whole messages against a dumb reference: what was put together is what is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.core.sip.parse import (
    Parsed,
    ParseFault,
    ParseStatus,
    parse_many,
    refusal,
)
from siploadgen.core.sip.tokens import HeaderId, header_number, header_text
from tests.sip.streams import pieces, receive

TOKEN = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=20).map(str.encode)
HOST = st.sampled_from([b"192.0.2.1", b"a.example.com", b"[2001:db8::1]", b"x"])
BLANK = st.sampled_from([b"", b" ", b"\t", b"  ", b"\r\n ", b" \r\n\t "])
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map(str.encode)
LENGTHS = st.integers(0, 90)


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def cased(name: bytes, upper: int) -> bytes:
    return bytes(byte ^ 0x20 if (upper >> i) & 1 and chr(byte).isalpha() else byte
                 for i, byte in enumerate(name))


@st.composite
def addresses(draw: st.DrawFn, tag: bytes | None) -> tuple[bytes, bytes]:
    """(header value, URI)."""
    uri = b"sip:" + draw(TOKEN).replace(b"%", b"") + b"u@" + draw(HOST)
    value = uri
    if draw(st.booleans()):
        value = draw(st.sampled_from([b"", b"Bob ", b"B. o-B\t"])) + b"<" + uri + b";tag=no>"
        uri += b";tag=no"
    elif draw(st.booleans()):
        value = quoted(draw(VISIBLE)) + draw(BLANK) + b"<" + uri + b">"
    for _ in range(draw(st.integers(0, 2))):
        value += draw(BLANK) + b";" + draw(BLANK) + b"p" + draw(TOKEN) + draw(BLANK)
        if draw(st.booleans()):
            value += b"=" + draw(BLANK) + draw(st.one_of(TOKEN, VISIBLE.map(quoted)))
    if tag is not None:
        value += (draw(BLANK) + b";" + draw(BLANK) + cased(b"tag", draw(LENGTHS)) + draw(BLANK)
                  + b"=" + draw(BLANK) + tag)
    return value, uri


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, dict[str, object]]:
    """A message and what has to be found in it."""
    request = draw(st.booleans())
    method = draw(st.one_of(TOKEN, st.sampled_from([b"INVITE", b"BYE", b"SUBSCRIBE"])))
    from_tag, to_tag = draw(TOKEN), draw(st.one_of(st.none(), TOKEN))
    from_value, _ = draw(addresses(from_tag))
    to_value, _ = draw(addresses(to_tag))
    contact_value, contact_uri = draw(addresses(None))
    branch, host, port = draw(TOKEN), draw(HOST), draw(st.integers(0, 65535))
    via = b"SIP/2.0/UDP " + host + (b":%d" % port if port else b"")
    others = draw(st.integers(0, 3))
    via += draw(BLANK) + b";" + draw(BLANK) + b"branch" + draw(BLANK) + b"=" + draw(BLANK) + branch
    via += b"".join(b"%s,%s SIP/2.0/TCP b;x=\",\"" % (draw(BLANK), draw(BLANK))
                    for _ in range(others))
    call_id, cseq = draw(TOKEN), draw(st.integers(0, 2**32 - 1))
    body = draw(st.binary(max_size=80))
    headers = [
        (b"Via", via), (b"From", from_value), (b"To", to_value), (b"Call-ID", call_id),
        (b"CSeq", b"%d %s" % (cseq, method)), (b"Contact", contact_value),
        (b"Content-Length", b"%d" % len(body)),
        *((b"X-" + draw(TOKEN), draw(VISIBLE)) for _ in range(draw(st.integers(0, 3)))),
        *((b"Via", b"SIP/2.0/TLS c") for _ in range(draw(st.integers(0, 2)))),
    ]
    order = draw(st.permutations(range(len(headers))))
    vias = [place for place in order if headers[place][0] == b"Via"]
    first = vias[0] == 0
    if request:
        start = method + b" sip:x@" + host + b" SIP/2.0\r\n"
    else:
        status = draw(st.integers(100, 699))
        start = b"SIP/2.0 %d reason\r\n" % status
    lines = []
    for place in order:
        name, value = headers[place]
        lines.append(cased(name, draw(LENGTHS)) + draw(st.sampled_from([b"", b" ", b"\t "]))
                     + b":" + draw(BLANK) + value + draw(st.sampled_from([b"", b" ", b"\t"])))
    data = start + b"\r\n".join(lines) + b"\r\n\r\n" + body
    expected: dict[str, object] = {
        "length": len(data), "method_text": method if request else b"", "call_id": call_id,
        "cseq": cseq, "cseq_method_text": method, "from_tag": from_tag, "to_tag": to_tag or b"",
        "body": body, "via_count": len(vias) + others, "contact_uri": contact_uri,
        "header_count": len(headers), "status": 0 if request else status, "start": 0,
    }
    if first:
        expected |= {"host": host, "port": port, "branch": branch}
    return data, expected


@given(messages())
def test_what_was_put_together_is_found(case: tuple[bytes, dict[str, object]]) -> None:
    data, expected = case
    for stream in (False, True):
        parsed = Parsed(data, stream)
        assert parsed.outcome == ParseStatus.PARSE_OK
        fields = {**parsed.fields(), "header_count": len(parsed.headers())}
        via = fields["via"]
        found = {**fields, "host": via["host"], "port": via["port"], "branch": via["branch"]}
        assert {key: found[key] for key in expected} == expected


@given(messages(), st.data())
def test_cuts_change_nothing(case: tuple[bytes, dict[str, object]], data: st.DataObject) -> None:
    octets = b"\r\n\r\n" + case[0] * 2
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=6))
    assert receive(pieces(octets, cuts)) == [("ok", case[0])] * 2 + [("wait", b"")]


@given(messages(), st.data())
def test_damage_is_survived(case: tuple[bytes, dict[str, object]], data: st.DataObject) -> None:
    octets = bytearray(case[0])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place:place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    message = bytes(octets)
    parsed = Parsed(message)
    assert parsed.outcome in (ParseStatus.PARSE_OK, ParseStatus.PARSE_BAD,
                              ParseStatus.PARSE_KEEPALIVE)
    parsed.validate()
    assert parsed.fields()["error_at"] <= len(message)
    assert receive(message[i:i + 1] for i in range(len(message))) == receive([message])


@given(st.binary(max_size=200))
def test_anything_is_survived(data: bytes) -> None:
    for stream in (False, True):
        parsed = Parsed(data, stream)
        if parsed.outcome == ParseStatus.PARSE_OK:
            parsed.validate()
        assert parsed.fields()["length"] <= len(data) or stream


def request(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([
        b"OPTIONS sip:a@example.com SIP/2.0", b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        b"From: <sip:b@example.com>;tag=1", b"To: <sip:a@example.com>", b"Call-ID: 1",
        b"CSeq: 1 OPTIONS", *headers, b"", body])


@pytest.mark.parametrize("header", [
    one for one in HeaderId if one.name not in ("HEADER_OTHER", "HEADER_COUNT")],
    ids=lambda one: one.name)
def test_every_header_is_known_wherever_it_stands(header: HeaderId) -> None:
    """In the middle, and at the end of the octets, where no sixteen are left to look at."""
    name = header_text(header)
    for line in (name.swapcase() + b":1", name + b" : 1"):
        for data in (request(line, b"X: y"), request(line)):
            numbers = [number for number, _, _ in Parsed(data).headers()]
            assert numbers.count(header) >= 1, data
    near = name[:-1] + b"!"
    assert header_number(near) == 0
    assert Parsed(request(near + b":1")).headers()[-1][0] == 0


def test_chains_of_one_header() -> None:
    parsed = Parsed(request(b"Route: <sip:1>", b"Q: 1", b"route: <sip:2>", b"Z: 2", b"ROUTE: 3"))
    assert parsed.chain(HeaderId.HEADER_ROUTE) == [5, 7, 9]
    assert parsed.chain(HeaderId.HEADER_OTHER) == [6, 8]
    assert parsed.chain(HeaderId.HEADER_CONTACT) == []


@pytest.mark.parametrize("count", [250, 251, 252, 1000])
def test_more_headers_than_are_kept(count: int) -> None:
    extra = [b"X-%d: %d" % (i, i) for i in range(count)]
    body = b"x"
    parsed = Parsed(request(*extra, b"Content-Length: 1", body=body), True)
    assert parsed.outcome == ParseStatus.PARSE_OK
    fields = parsed.fields()
    kept = parsed.headers()
    assert fields["body"] == body
    assert fields["too_many_headers"] == (count + 6 > 256)
    assert len(kept) == min(count + 6, 256)
    assert kept[-1][1] == (b"Content-Length" if count == 250 else b"X-%d" % (len(kept) - 6))


def test_duplicates_behind_the_kept_headers_are_seen() -> None:
    extra = [b"X-%d: %d" % (i, i) for i in range(1000)]
    fields = Parsed(request(*extra, b"Call-ID: 2")).fields()
    assert fields["error"] == ParseFault.FAULT_DUPLICATE


@pytest.mark.parametrize(("data", "length", "outcome"), [
    (b"\r\n", 2, ParseStatus.PARSE_KEEPALIVE),
    (b"\r\n\r\n", 4, ParseStatus.PARSE_KEEPALIVE),
    (b"\r\n\r\n\r", 4, ParseStatus.PARSE_KEEPALIVE),
    (b"\r", 0, ParseStatus.PARSE_PARTIAL),
    (b"", 0, ParseStatus.PARSE_PARTIAL),
    (b"jaK", 0, ParseStatus.PARSE_PARTIAL),
    (b"\0\0\0\0", 0, ParseStatus.PARSE_BAD),
    (b"\x16\x03\x01", 0, ParseStatus.PARSE_BAD),
    (b"SIP/", 0, ParseStatus.PARSE_PARTIAL),
    (b"GET/", 0, ParseStatus.PARSE_BAD),
])
def test_beginnings_of_a_stream(data: bytes, length: int, outcome: ParseStatus) -> None:
    parsed = Parsed(data, True)
    assert parsed.outcome == outcome
    assert parsed.fields()["length"] == length


@pytest.mark.parametrize(("data", "outcome"), [
    (b"\r\n", ParseStatus.PARSE_KEEPALIVE), (b"\0", ParseStatus.PARSE_KEEPALIVE),
    (b"jaK", ParseStatus.PARSE_KEEPALIVE), (b"jaKs", ParseStatus.PARSE_BAD),
    (b"\0a", ParseStatus.PARSE_BAD), (b"", ParseStatus.PARSE_BAD),
])
def test_datagrams_that_are_no_message(data: bytes, outcome: ParseStatus) -> None:
    assert Parsed(data).outcome == outcome


def test_stream_without_content_length() -> None:
    """Refused, as if the body were empty: the answer can be sent before closing."""
    data = request()
    fields = Parsed(data + b"OPTIONS", True).fields()
    assert fields["error"] == ParseFault.FAULT_NO_CONTENT_LENGTH
    assert fields["length"] == len(data)
    assert fields["call_id"] == b"1"


@pytest.mark.parametrize("value", [b"-1", b"1 2", b"", b"99999999999999999999", b"2147483648"])
def test_stream_with_bad_content_length(value: bytes) -> None:
    """No telling where the next message begins."""
    parsed = Parsed(request(b"Content-Length: " + value), True)
    assert parsed.outcome == ParseStatus.PARSE_BAD
    assert parsed.fields()["length"] == 0


def test_partial_tells_what_is_needed() -> None:
    data = request(b"Content-Length: 100")
    parsed = Parsed(data, True)
    assert parsed.outcome == ParseStatus.PARSE_PARTIAL
    assert parsed.fields()["length"] == len(data) + 100
    assert Parsed(data[:-1], True).fields()["length"] == 0


@pytest.mark.parametrize("where", ["start", "header"])
def test_a_section_has_a_limit(where: str) -> None:
    line = b"OPTIONS sip:" + b"x" * 70_000 if where == "start" else request(b"X: " + b"x" * 70_000)
    for stream in (False, True):
        parsed = Parsed(line, stream)
        assert parsed.outcome == ParseStatus.PARSE_BAD
        assert parsed.fields()["error"] == ParseFault.FAULT_TOO_LARGE
        assert parsed.validate() == 513


def test_a_bad_request_can_be_answered() -> None:
    """Everything that the answer copies is there in spite of the fault."""
    fields = Parsed(request(b"Call-ID: 2", b"Content-Length: 0")).fields()
    assert fields["error"] == ParseFault.FAULT_DUPLICATE
    assert fields["via"]["branch"] == b"z9hG4bK1"
    assert fields["cseq"] == 1
    assert fields["from_tag"] == b"1"


def test_every_fault_has_a_status() -> None:
    silent = {ParseFault.FAULT_NONE, ParseFault.FAULT_EMPTY, ParseFault.FAULT_STATUS}
    special = {ParseFault.FAULT_VERSION: 505, ParseFault.FAULT_TOO_LARGE: 513}
    for fault in ParseFault:
        if fault != ParseFault.FAULT_COUNT:
            assert refusal(fault) == (0 if fault in silent else special.get(fault, 400))


def test_many_for_benchmarks() -> None:
    assert parse_many([request(b"l: 0"), b"x"], 3) == 3
    with pytest.raises(ValueError, match="256"):
        parse_many([b""] * 257, 1)
