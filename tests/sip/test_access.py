"""Typed access on demand: URIs, addresses, Via, lists, parameters, challenges, credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.core.sip.parse import (
    Parsed,
    addresses,
    challenge,
    credentials,
    items,
    parameter,
    parameters,
    uri,
    vias,
)
from siploadgen.core.sip.tokens import HeaderId

TOKEN = st.text("abcXYZ019-.!*_+'~", min_size=1, max_size=12).map(str.encode)
VISIBLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.encode)


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def response(*headers: bytes) -> Parsed:
    return Parsed(b"\r\n".join([
        b"SIP/2.0 200 OK", b"Via: SIP/2.0/UDP 192.0.2.1", b"From: <sip:b@example.com>;tag=1",
        b"To: <sip:a@example.com>", b"Call-ID: 1", b"CSeq: 1 REGISTER", *headers, b"", b""]))


@pytest.mark.parametrize(("text", "parts"), [
    (b"sip:example.com", {"kind": 1, "host": b"example.com", "port": 0, "user": b""}),
    (b"SIPS:a:b@example.com:5061;x=y;lr?p=1&q", {
        "kind": 2, "scheme": b"SIPS", "user": b"a", "password": b"b", "host": b"example.com",
        "port": 5061, "parameters": b"x=y;lr", "headers": b"p=1&q"}),
    (b"sip:a;b?c=d/e@h", {"user": b"a;b?c=d/e", "host": b"h", "parameters": b""}),
    (b"sip:[2001:db8::1]:5060;lr", {"host": b"[2001:db8::1]", "port": 5060, "parameters": b"lr"}),
    (b"sip:a@[::1]", {"host": b"[::1]", "port": 0}),
    (b"sip:h?x", {"host": b"h", "headers": b"x"}),
    (b"sip:h:1?x", {"host": b"h", "port": 1, "headers": b"x"}),
    (b"tel:+1-2;ext=3", {"kind": 3, "user": b"+1-2", "parameters": b"ext=3", "host": b""}),
    (b"urn:service:sos", {"kind": 0, "scheme": b"urn", "user": b"service:sos"}),
    (b"h.323+x-y:a", {"kind": 0, "scheme": b"h.323+x-y"}),
])
def test_uri(text: bytes, parts: dict[str, object]) -> None:
    found = uri(text)
    assert found is not None
    assert {key: found[key] for key in parts} == parts  # type: ignore[literal-required]


@pytest.mark.parametrize("text", [
    b"", b"sip", b":a", b"1:a", b"sip:", b"sip:a@", b"sip:@h", b"sip:a@h:", b"sip:h:65536",
    b"sip:h:x", b"sip:[::1", b"sip:[::1]x", b"tel:", b"s p:a", b"sip::5060",
])
def test_no_uri(text: bytes) -> None:
    assert uri(text) is None


@given(TOKEN, st.one_of(st.just(b""), TOKEN), TOKEN, st.integers(0, 65535), st.lists(TOKEN),
       st.one_of(st.just(b""), TOKEN))
def test_uri_put_together(user: bytes, password: bytes, host: bytes, port: int,
                          names: list[bytes], headers: bytes) -> None:
    text = (b"sip:" + user + (b":" + password if password else b"") + b"@" + host
            + (b":%d" % port if port else b"") + b"".join(b";" + name for name in names)
            + (b"?" + headers if headers else b""))
    assert uri(text) == {
        "scheme": b"sip", "user": user, "password": password, "host": host, "port": port,
        "parameters": b";".join(names), "headers": headers, "kind": 1}


@given(st.lists(st.tuples(st.one_of(st.just(b""), VISIBLE.map(quoted), TOKEN), TOKEN,
                          st.lists(st.tuples(TOKEN, st.one_of(st.none(), TOKEN,
                                                              VISIBLE.map(quoted)))))))
def test_addresses_put_together(
        parts: list[tuple[bytes, bytes, list[tuple[bytes, bytes | None]]]]) -> None:
    def written(pairs: list[tuple[bytes, bytes | None]]) -> bytes:
        return b";".join(name + (b"=" + value if value is not None else b"")
                         for name, value in pairs)

    value = b" ,\t".join(
        display + b" <sip:" + host + b";a,b>" + (b" ;" + written(pairs) if pairs else b"")
        for display, host, pairs in parts)
    found = addresses(value)
    assert found == [(display, b"sip:" + host + b";a,b", written(pairs))
                     for display, host, pairs in parts]
    for (_, _, text), (_, _, pairs) in zip(found, parts, strict=True):
        assert parameters(text) == pairs


@pytest.mark.parametrize(("value", "found"), [
    (b"*", [(b"", b"*", b"")]),
    (b"sip:a@b;tag=1, sip:c@d", [(b"", b"sip:a@b", b"tag=1"), (b"", b"sip:c@d", b"")]),
    (b",, <sip:a> ,", [(b"", b"sip:a", b"")]),
    (b"Carol Lee <sip:c>", [(b"Carol Lee", b"sip:c", b"")]),
    (b'"<,;>\\"" <sip:c>', [(b'"<,;>\\""', b"sip:c", b"")]),
    (b"", []), (b'"a <sip:c>', None), (b"<sip:a", None), (b"<sip:a> b", None), (b"<>", None),
])
def test_addresses(value: bytes, found: list[tuple[bytes, bytes, bytes]] | None) -> None:
    assert addresses(value) == found


@pytest.mark.parametrize(("value", "hosts"), [
    (b"SIP/2.0/UDP a, SIP/2.0/TCP b:1", [(b"a", 0), (b"b", 1)]),
    (b'SIP / 2.0 / UDP [::1] : 5 ; x = "," ,SIP/2.0/X c', [(b"[::1]", 5), (b"c", 0)]),
    (b"SIP/2.0/UDP", None), (b"SIP/2.0 UDP a", None), (b"SIP/2.0/UDP a:65536", None),
    (b"SIP/2.0/UDP a;", None), (b"SIP/2.0/UDP a b", None), (b"SIP/2.0/UDP [::1", None),
    (b"SIP/2.0/UDP a;rport=x", None), (b'SIP/2.0/UDP a;x="', None),
])
def test_vias(value: bytes, hosts: list[tuple[bytes, int]] | None) -> None:
    found = vias(value)
    assert (found and [(one["host"], one["port"]) for one in found]) == hosts


def test_via_parameters() -> None:
    found = vias(b"SIP/2.0/UDP a;RPORT=7;Received=b;BRANCH = c ;rport")
    assert found is not None
    assert (found[0]["rport"], found[0]["received"], found[0]["branch"]) == (7, b"b", b"c")
    assert found[0]["has_rport"]
    bare = vias(b"SIP/2.0/UDP a;rport")
    assert bare is not None
    assert (bare[0]["has_rport"], bare[0]["rport"]) == (True, None)


VIA_NAME = st.sampled_from([b"rport", b"RPort", b"received", b"Received", b"branch", b"BRANCH",
                            b"rpor", b"rports", b"receiveds", b"ttl", b"x"])
VIA_VALUE = st.one_of(st.none(), TOKEN, st.sampled_from([
    b"", b"0", b"5060", b"65535", b"65536", b"99999999999999999999", b"5x", b"192.0.2.1",
    b"[2001:db8::1]", b'"q;,"']))


@given(st.lists(st.tuples(VIA_NAME, VIA_VALUE), max_size=5))
def test_via_parameters_mean_the_same_with_spaces_and_without(
        pairs: list[tuple[bytes, bytes | None]]) -> None:
    """What is written as everybody writes it is read by a shorter way."""
    def read(space: bytes) -> dict[str, object] | None:
        found = vias(b"SIP/2.0/UDP a" + b"".join(
            space + b";" + space + name + (
                space + b"=" + space + value if value is not None else b"")
            for name, value in pairs) + b", SIP/2.0/UDP b")
        return found and {key: value for key, value in found[0].items() if key != "parameters"}

    tight, loose = read(b""), read(b" ")
    assert tight == loose, (tight, loose)


@given(st.lists(st.one_of(TOKEN, VISIBLE.map(quoted), TOKEN.map(lambda t: b"<" + t + b",>"))))
def test_lists(parts: list[bytes]) -> None:
    assert items(b" , ".join(parts)) == parts
    assert items(b",,".join([b"", *parts, b""])) == parts


@pytest.mark.parametrize(("text", "name", "value"), [
    (b"a=b;c", b"a", b"b"), (b";a=b;c", b"c", b""), (b"A = b ; C", b"a", b"b"),
    (b'a="x;b=1";b=2', b"b", b"2"), (b'a="x\\"y"', b"a", b'x\\"y'), (b"a=", b"a", b""),
    (b"a=b", b"b", None), (b"", b"a", None), (b";;", b"a", None), (b"aa=b", b"a", None),
    (b'a="open', b"a", b'"open'), (b"a=1;a=2", b"a", b"1"),
])
def test_parameter(text: bytes, name: bytes, value: bytes | None) -> None:
    assert parameter(text, name) == value


def test_option_tags() -> None:
    parsed = response(b"Require: 100rel , Timer", b"require: \"x,y\", path", b"k: outbound")
    for token in (b"100rel", b"timer", b"path"):
        assert parsed.has(HeaderId.HEADER_REQUIRE, token)
    for token in (b"x", b"time", b"timers", b"outbound", b""):
        assert not parsed.has(HeaderId.HEADER_REQUIRE, token)
    assert parsed.has(HeaderId.HEADER_SUPPORTED, b"outbound")


@pytest.mark.parametrize(("line", "number"), [
    (b"Expires: 3600", 3600), (b"Expires: 0", 0), (b"Expires: 60;x=y", 60),
    (b"Expires: 60 (a minute)", 60), (b"Expires: soon", None), (b"Expires:", None),
    (b"Expires: -1", None), (b"Expires: 1.5", None), (b"Expires: 99999999999999999999", None),
    (b"Q: 1", None),
])
def test_numbers(line: bytes, number: int | None) -> None:
    assert response(line).number(HeaderId.HEADER_EXPIRES) == number


@pytest.mark.parametrize(("headers", "seconds"), [
    ([b"Contact: <sip:u@h>;expires=60", b"Expires: 7"], 60),
    ([b"Contact: <sip:x@h>;expires=60, <sip:u@h>;expires=30"], 30),
    ([b"Contact: <sip:x@h>;expires=60", b"m: <sip:u@h>", b"Expires: 7"], 7),
    ([b"Contact: <sip:u@h>;expires=soon"], 3600),
    ([b"Contact: <sip:u@h>"], -1),
    ([b"Contact: <sip:x@h>;expires=60"], -1),
    ([b"Contact: *", b"Expires: 0"], 0),
    ([b"Contact: <bad, <sip:u@h>;expires=5"], -1),
    ([], -1),
])
def test_expiry_of_our_binding(headers: list[bytes], seconds: int) -> None:
    assert response(*headers).expires(b"u") == seconds


def test_challenge() -> None:
    found = challenge(b'Digest realm="a,b\\"",nonce = "n=1" , algorithm=SHA-256,'
                      b'QOP="auth,auth-int",opaque="",stale=TRUE,x=y')
    assert found == {
        "scheme": b"Digest", "realm": b'a,b\\"', "nonce": b"n=1", "opaque": b"",
        "algorithm": b"SHA-256", "qop": b"auth,auth-int", "stale": True}
    assert challenge(b"Basic") is not None


@pytest.mark.parametrize("value", [
    b"", b"=a", b'Digest realm="a', b"Digest realm", b"Digest a=b c=d",
    b'Digest a="b"c', b"Di@gest a=b",
])
def test_no_challenge(value: bytes) -> None:
    assert challenge(value) is None
    assert credentials(value) is None


STRINGS = ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque")


@given(st.fixed_dictionaries(dict.fromkeys(STRINGS, VISIBLE)), st.permutations(range(7)))
def test_credentials_put_together(parts: dict[str, bytes], order: list[int]) -> None:
    pairs = [list(parts.items())[place] for place in order]
    text = b", ".join(name.encode() + b"=" + quoted(value) for name, value in pairs)
    found = credentials(b"Digest " + text + b",nc=0000000a,qop=auth,algorithm=MD5")
    assert found == {**{name: quoted(value)[1:-1] for name, value in parts.items()},
                     "scheme": b"Digest", "nc": b"0000000a", "qop": b"auth", "algorithm": b"MD5"}


@given(st.binary(max_size=60))
def test_anything_is_survived(data: bytes) -> None:
    for take in (uri, addresses, vias, items, parameters, challenge, credentials):
        take(data)
    parameter(data, b"a")
    response(b"m: " + data, b"Require: " + data).expires(data)
