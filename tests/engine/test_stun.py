"""STUN keep-alive over UDP (RFC 5626 4.4.2, RFC 5389): asked and answered, octet by octet."""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.drive import MS, PEER, SECOND, Bench, answerer, ask, caller, only

COOKIE = 0x2112A442
ID = bytes(range(12))
OURS = ("192.0.2.10", 5070)


def stun(kind: int, transaction: bytes = ID, attributes: bytes = b"") -> bytes:
    return struct.pack(">HHI", kind, len(attributes), COOKIE) + transaction + attributes


def mapped(address: str, port: int, transaction: bytes = ID) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 5389 15.2), written here once more and without the engine."""
    ip = ipaddress.ip_address(address)
    mask = struct.pack(">I", COOKIE) + transaction
    value = struct.pack(">BBH", 0, 1 if ip.version == 4 else 2, port ^ (COOKIE >> 16)) + bytes(
        a ^ b for a, b in zip(ip.packed, mask, strict=False))
    return struct.pack(">HH", 0x0020, len(value)) + value


def bound(request: bytes, address: tuple[str, int] = OURS) -> bytes:
    return stun(0x0101, request[8:20], mapped(*address, request[8:20]))


def pinging(**settings: str) -> Bench:
    return caller("keepalive", settings={"form": "stun", "interval": "25s", **settings})


@pytest.mark.parametrize("source", [PEER, ("2001:db8::7", 40_000)])
def test_a_binding_request_is_answered_with_its_source(source: tuple[str, int]) -> None:
    bench = answerer(local=("192.0.2.10", 5070))
    answer = only(bench.feed(stun(1), source))
    assert answer.data == stun(0x0101, ID, mapped(*source))
    assert answer.to == source
    assert bench.counts == {"bindings_answered": 1}
    bench.drain()


def test_credentials_and_what_may_be_passed_over_do_not_matter() -> None:
    bench = answerer()
    extra = (struct.pack(">HH4s", 0x0006, 3, b"abc\0") + struct.pack(">HH4s", 0x8022, 4, b"SOFT")
             + struct.pack(">HHI", 0x8028, 4, 7))
    assert only(bench.feed(stun(1, ID, extra))).data == stun(0x0101, ID, mapped(*PEER))


def test_an_attribute_that_must_be_understood_is_420() -> None:
    bench = answerer()
    extra = struct.pack(">HHI", 0x7777, 4, 0) + struct.pack(">HHI", 0x0024, 4, 0)
    data = only(bench.feed(stun(1, ID, extra))).data
    kind, length, cookie = struct.unpack(">HHI", data[:8])
    assert (kind, length, cookie, data[8:20]) == (0x0111, len(data) - 20, COOKIE, ID)
    assert data[20:28] == struct.pack(">HHHBB", 0x0009, 21, 0, 4, 20)
    assert data[28:48] == b"Unknown Attribute\0\0\0"
    assert data[48:] == struct.pack(">HHHH", 0x000A, 4, 0x7777, 0x0024)


@pytest.mark.parametrize(("data", "counted"), [
    (stun(0x0011), "keepalive"),                                    # a Binding indication
    (stun(0x0101), "stray_response"), (stun(0x0111), "stray_response"),
    (stun(0x0002), "malformed"),                                    # no method of RFC 5389
    (stun(1)[:-1], "malformed"), (stun(1) + b"\0", "malformed"),
    (stun(1, ID, struct.pack(">HH", 6, 9)), "malformed"),           # an attribute beyond the end
    (struct.pack(">HHI", 1, 0, 0) + ID, "malformed"),               # RFC 3489: no cookie
])
def test_what_gets_no_answer(data: bytes, counted: str) -> None:
    bench = answerer()
    assert bench.feed(data) == []
    assert bench.counts == {counted: 1}


def test_line_ends_before_a_request_are_no_stun() -> None:
    assert answerer().feed("\r\n\r\n" + ask("OPTIONS"))[0].status == 200


def test_bindings_go_on_until_their_number() -> None:
    bench = pinging(pings="3")
    bench.start()
    for _ in range(3):
        request = bench.wire[-1].data
        assert request == stun(1, request[8:20])
        bench.wait(20 * MS)
        bench.feed(bound(request))
        bench.wait(25 * SECOND)
    assert [one.to for one in bench.wire] == [PEER] * 3
    assert len({one.data for one in bench.wire}) == 3
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    assert bench.engine.user_counters.sum() == 3


@pytest.mark.parametrize("t1_ms", [500, 100])
def test_silence_is_asked_seven_times(t1_ms: int) -> None:
    """RFC 5389 7.2.1: at 0, 1, 3, 7, 15, 31 and 63 times RTO, and 16 times RTO more."""
    bench = caller("keepalive", settings={"form": "stun"}, t1=t1_ms * MS)
    bench.start()
    bench.run(79 * t1_ms * MS - 1)
    assert bench.outcomes == {}
    assert [one.at // (t1_ms * MS) for one in bench.wire] == [0, 1, 3, 7, 15, 31, 63]
    assert len({one.data for one in bench.wire}) == 1
    bench.drain()
    assert bench.outcomes == {"timeout": 1}


def test_a_repeat_is_answered_and_a_late_answer_is_stray() -> None:
    bench = pinging(pings="2")
    first = bench.start()
    again = only(bench.wait(500 * MS))
    assert again.data == first.data
    bench.feed(bound(first.data))
    second = only(bench.wait(25 * SECOND))
    bench.feed(bound(first.data))                                   # once more, of the first ping
    assert bench.count("stray_response") == 1
    bench.wait(SECOND // 4)
    assert bench.outcomes == {}
    bench.feed(bound(second.data))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize("answer", [
    lambda request: bound(request, ("192.0.2.10", 6000)),
    lambda request: stun(0x0101, request[8:20]),
    lambda request: stun(0x0111, request[8:20], struct.pack(">HHHBB", 9, 4, 0, 5, 0))])
def test_a_flow_fails_by_another_address_or_an_error(answer: Callable[[bytes], bytes]) -> None:
    """RFC 5626 4.4.2."""
    bench = pinging()
    bench.feed(bound(bench.start().data))
    request = only(bench.wait(25 * SECOND))
    bench.feed(answer(request.data))
    bench.drain()
    assert "succeeded" not in bench.outcomes
    assert sum(bench.outcomes.values()) == 1


@pytest.mark.parametrize("form", ["stun", "options"])
def test_a_flow_that_failed_is_tried_again_ever_later(form: str) -> None:
    """RFC 5626 4.5: after 30-60 s, 1-2, 2-4, 4-8, 8-16 and then 15-30 minutes."""
    bench = caller("keepalive", settings={"form": form, "recoveries": "8"})
    bench.start()
    bench.drain()
    tries = sorted({one.data[8:20] if form == "stun" else one.branch.encode(): one.at
                    for one in reversed(bench.wire)}.values())
    silence = (39.5 if form == "stun" else 32) * SECOND
    waits = [(after - before - silence) / SECOND
             for before, after in itertools.pairwise(tries)]
    assert len(waits) == 8
    for wait, longest in zip(waits, [60, 120, 240, 480, 960, 1800, 1800, 1800], strict=True):
        assert longest / 2 <= wait <= longest
    assert sum(bench.outcomes.values()) == 1
    assert "succeeded" not in bench.outcomes


def test_a_flow_that_came_back_goes_on() -> None:
    bench = pinging(recoveries="always", pings="2")
    bench.feed(bound(bench.start().data))
    elsewhere = ("192.0.2.10", 6000)
    bench.feed(bound(only(bench.wait(25 * SECOND)).data, elsewhere))
    bench.feed(bound(only(bench.wait(60 * SECOND)[:1]).data, elsewhere))
    bench.feed(bound(only(bench.wait(25 * SECOND)).data, elsewhere))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@given(kind=st.sampled_from([1, 0x11, 0x101, 0x111, 0x3FFF]), body=st.binary(max_size=80),
       length=st.one_of(st.none(), st.integers(0, 0xFFFF)), mine=st.booleans())
def test_hostile_datagrams_are_survived(kind: int, body: bytes, length: int | None,
                                        mine: bool) -> None:
    bench = pinging(recoveries="1")
    asked = bench.start().data
    data = struct.pack(">HHI", kind, len(body) if length is None else length, COOKIE)
    sent = bench.feed(data + (asked[8:20] if mine else ID) + body)
    assert len(sent) <= 1
    assert kind == 1 or not sent
    bench.engine.check()
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.drain()


@given(attributes=st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=12))
def test_whatever_is_well_formed_is_answered(attributes: list[tuple[int, bytes]]) -> None:
    octets = b"".join(struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)
                      for kind, value in attributes)
    data = only(answerer().feed(stun(1, ID, octets))).data
    unknown = [kind for kind, _ in attributes if kind < 0x8000 and kind not in (6, 8, 0x14, 0x15)]
    assert struct.unpack(">H", data[2:4])[0] == len(data) - 20
    if unknown:
        assert data[:2] == b"\x01\x11"
        told = data[48:]
        count = struct.unpack(">H", told[2:4])[0] // 2
        assert list(struct.unpack(f">{count}H", told[4:4 + 2 * count])) == unknown[:8]
    else:
        assert data == stun(0x0101, ID, mapped(*PEER))
