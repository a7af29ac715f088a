"""Every known word, its neighbours, and the tables against the enums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.core.sip.tokens import (
    HeaderId,
    Method,
    header_number,
    header_text,
    method_number,
    method_text,
)

HEADERS = [one for one in HeaderId if one.name not in ("HEADER_OTHER", "HEADER_COUNT")]
METHODS = [one for one in Method if one.name not in ("METHOD_UNKNOWN", "METHOD_COUNT")]
# RFC 3261 7.3.3 and the IANA registry of compact forms.
COMPACT = {
    "v": "VIA", "f": "FROM", "t": "TO", "i": "CALL_ID", "m": "CONTACT", "l": "CONTENT_LENGTH",
    "c": "CONTENT_TYPE", "k": "SUPPORTED", "o": "EVENT", "r": "REFER_TO", "b": "REFERRED_BY",
    "x": "SESSION_EXPIRES", "e": "CONTENT_ENCODING", "s": "SUBJECT", "u": "ALLOW_EVENTS",
}


def plain(name: str) -> str:
    return name.upper().replace("-", "_")


@pytest.mark.parametrize("header", HEADERS, ids=lambda one: one.name)
def test_header_names(header: HeaderId) -> None:
    name = header_text(header)
    assert plain(name.decode()) == header.name[len("HEADER_"):]
    for form in (name, name.upper(), name.lower(), name.swapcase()):
        assert header_number(form) == header
    for i in range(len(name)):
        for other in (bytes([name[i] ^ 0x40]), b"\r", b"-", b"Z", b"\0"):
            near = name[:i] + other + name[i + 1:]
            if near.lower() != name.lower():
                assert header_number(near) != header, near
    assert header_number(name + b"x") == 0
    assert len(name) == 2 or header_number(name[:-1]) != header  # "T" is To


@pytest.mark.parametrize("letter", [chr(code) for code in range(256)])
def test_compact_names(letter: str) -> None:
    wanted = COMPACT.get(letter.lower() if letter.isascii() else letter)
    number = getattr(HeaderId, f"HEADER_{wanted}") if wanted else 0
    assert header_number(letter.encode("latin-1")) == number


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
def test_methods(method: Method) -> None:
    name = method_text(method)
    assert name.decode() == method.name[len("METHOD_"):]
    assert method_number(name) == method
    assert method_number(name.lower()) == 0
    assert method_number(name + b"X") == 0
    assert method_number(name[:-1]) != method


@given(st.binary(max_size=24))
def test_nothing_else_is_known(name: bytes) -> None:
    known = {header_text(one).lower() for one in HEADERS} | {letter.encode() for letter in COMPACT}
    assert (header_number(name) != 0) == (name.lower() in known)
    assert (method_number(name) != 0) == (name in {method_text(one) for one in METHODS})


@pytest.mark.parametrize("number", [-1, 0, 48, 255, 256])
def test_numbers_without_a_name(number: int) -> None:
    assert header_text(number) == b""
    assert method_text(number) == b""
