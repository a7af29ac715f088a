"""The corpus folder: every message gets the verdict that a careful reader of the RFCs gave it."""

from __future__ import annotations

import csv
import json
import random
import re
import tarfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from siploadgen.core.sip.parse import Parsed, ParseStatus
from siploadgen.message import Message, ParseError, Uri, parse
from tests.sip.streams import pieces, receive

DISPUTED = Path(__file__).with_name("disputed.csv")
VALID = (b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
         b"From: <sip:b@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: 1\r\n"
         b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
OCTETWISE = 12_000  # octets: longer files are cut at random only, growing buffers are quadratic


def outcome(data: bytes) -> tuple[str, int]:
    """("ok" | "refuse" | "drop" | "keepalive", SIP status) of one datagram."""
    parsed = Parsed(data)
    if parsed.outcome == ParseStatus.PARSE_KEEPALIVE:
        return "keepalive", 0
    status = parsed.validate()
    fields = parsed.fields()
    if parsed.outcome == ParseStatus.PARSE_OK and status == 0:
        return "ok", 0
    assert fields["error"]
    assert fields["error_at"] <= len(data)
    return ("refuse" if fields["is_request"] and status else "drop"), status


@pytest.fixture(scope="module")
def rows(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "verdicts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def disputed() -> list[dict[str, str]]:
    with DISPUTED.open(newline="") as file:
        return list(csv.DictReader(file))


def dispute(file: str, data: bytes, disputed: list[dict[str, str]]) -> dict[str, str] | None:
    for row in disputed:
        if fnmatchcase(file, row["file"]) and re.search(row["contains"].encode(), data):
            return row
    return None


def judged(row: dict[str, str], data: bytes) -> str | None:
    """Why our verdict is another than the row's; None when it is not."""
    got, status = outcome(data)
    allowed = {
        "ok": {"ok"}, "liberal": {"ok"}, "reject": {"refuse", "drop"}, "drop": {"drop"},
        "keepalive": {"keepalive"}, "either": {"ok", "refuse", "drop", "keepalive"},
        "nocrash": {"ok", "refuse", "drop", "keepalive"},
    }[row["parse"]]
    if got not in allowed:
        return f"{row['file']}: {row['parse']} expected, {got} ({status}) found"
    statuses = {int(code) for code in re.findall(r"\b[4-6]\d\d\b", row["uas"] + row["also_ok"])}
    if row["parse"] == "reject" and got == "refuse" and statuses and status not in statuses:
        return f"{row['file']}: {row['uas']} expected, {status} found"
    return None


def test_verdicts(corpus: Path, rows: list[dict[str, str]],
                  disputed: list[dict[str, str]]) -> None:
    faults = []
    used = set()
    for row in rows:
        data = (corpus / row["file"]).read_bytes()
        ours = dispute(row["file"], data, disputed)
        if ours is None:
            fault = judged(row, data)
            if fault is not None:
                faults.append(fault)
            continue
        if ours["ours"] == "stream":
            used.add(ours["file"] + ours["contains"])
            continue
        got = outcome(data)[0]
        if (got == "ok") != (ours["ours"] == "accept"):
            # A pattern may cover messages whose verdict we share.
            assert "*" in ours["file"], row["file"]
            assert judged(row, data) is None, row["file"]
        elif judged(row, data) is not None:
            used.add(ours["file"] + ours["contains"])
    assert not faults, "\n".join(faults)
    assert used == {row["file"] + row["contains"] for row in disputed}, "a dispute is over"


def test_parse_agrees_with_the_core(corpus: Path, rows: list[dict[str, str]]) -> None:
    """`parse` returns a message exactly where the core finds no fault, and all of it is typed."""
    for row in rows:
        data = (corpus / row["file"]).read_bytes()
        if outcome(data)[0] == "ok":
            message = parse(data)
            assert message.via
            assert message.from_.uri.scheme
            assert message.to.uri.scheme
            assert message.call_id
            assert len(message.contact) >= 0
            assert all(one.scheme for one in (*message.challenges, *message.credentials))
        else:
            with pytest.raises(ParseError) as caught:
                parse(data)
            assert caught.value.rule
            assert 0 <= caught.value.offset <= len(data)


def test_streams_do_not_depend_on_cuts(corpus: Path, rows: list[dict[str, str]]) -> None:
    chance = random.Random(20261120)
    for row in rows:
        data = (corpus / row["file"]).read_bytes()
        whole = receive([data])
        if len(data) <= OCTETWISE:
            octets = receive(data[i:i + 1] for i in range(len(data)))
            assert octets == whole, row["file"]
        for _ in range(3):
            cuts = [chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 6))]
            assert receive(pieces(data, cuts)) == whole, (row["file"], cuts)


def test_streams_of_our_own(corpus: Path) -> None:
    expected = json.loads((corpus / "own" / "expected.json").read_text())
    seen = 0
    for name, values in expected.items():
        if not values.get("stream"):
            continue
        seen += 1
        got = receive([(corpus / "own" / name).read_bytes()])
        if "message_lengths" in values:
            assert [len(data) for kind, data in got if kind == "ok"] == values["message_lengths"]
        if values.get("need_more"):
            assert got == [("wait", b"")]
        if values["verdict"] == "reject":
            assert got[-1][0] == "close"
            assert not [kind for kind, _ in got if kind == "ok"]
    assert seen


def typed_uri(uri: Uri, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if key == "params":
            assert uri.parameters == value
        elif key == "user_decoded":
            assert re.sub("%(..)", lambda m: chr(int(m[1], 16)), uri.user) == value
        else:
            assert getattr(uri, key) == value


def typed_contacts(message: Message, expected: list[Any]) -> None:
    if expected == ["*"]:
        assert message.contact_is_star
        assert not message.contact
        return
    for contact, wanted in zip(message.contact, expected, strict=True):
        assert str(contact.uri) == wanted["uri"]
        for name, value in wanted.get("params", {}).items():
            assert contact.parameters[name] == value
        if "expires" in wanted:
            assert contact.expires == wanted["expires"]


def typed_via(message: Message, expected: dict[str, Any]) -> None:
    via = message.via[0]
    for key, value in expected.items():
        if key == "params":
            assert {name: via.parameters[name] for name in value} == value
        else:
            assert getattr(via, key) == value


def typed_from(message: Message, expected: dict[str, Any]) -> None:
    assert message.from_.tag == expected["tag"]
    assert str(message.from_.uri) == expected["uri"]
    assert message.from_.display == expected.get("display", message.from_.display)


def typed_challenges(message: Message, expected: list[dict[str, Any]]) -> None:
    for challenge, wanted in zip(message.challenges, expected, strict=True):
        for key, value in wanted.items():
            got = getattr(challenge, key)
            assert (list(got) if key == "qop" else got) == value


def typed_replaces(message: Message, expected: dict[str, Any]) -> None:
    item = message.item("Replaces")
    assert item is not None
    assert item.value == expected["call_id"]
    assert item.parameters["to-tag"] == expected["to_tag"]
    assert item.parameters["from-tag"] == expected["from_tag"]
    assert ("early-only" in item.parameters) is expected["early_only"]


def typed_authorization(message: Message, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        assert getattr(message.credentials[0], key) == value


def retry_after(message: Message) -> int | None:
    if "Retry-After" in message.headers:
        return message.number("Retry-After")
    return int(parameter(message, "Subscription-State", "retry-after") or -1)


def parameter(message: Message, header: str, name: str) -> str | None:
    item = message.item(header)
    assert item is not None
    return item.parameters[name]


def value(message: Message, header: str) -> str:
    item = message.item(header)
    assert item is not None
    return item.value


CHECKS: dict[str, Callable[[Message, Any], None]] = {
    "uri": lambda m, x: typed_uri(m.uri, x) if m.uri else pytest.fail("no URI"),
    "contacts": typed_contacts, "via0": typed_via, "from": typed_from,
    "challenges": typed_challenges, "replaces": typed_replaces,
    "authorization": typed_authorization,
}
VALUES: dict[str, Callable[[Message], Any]] = {
    "type": lambda m: "request" if m.is_request else "response",
    "body_len": lambda m: len(m.body),
    "content_type": lambda m: value(m, "Content-Type").lower(),
    "cseq": lambda m: [m.cseq.number, m.cseq.method],
    "subject": lambda m: m.headers["Subject"],
    "call_id": lambda m: m.call_id,
    "from_tag": lambda m: m.from_.tag,
    "to_tag": lambda m: m.to.tag,
    "via_count": lambda m: len(m.via),
    "max_forwards": lambda m: m.max_forwards,
    "class": lambda m: m.status // 100 * 100,
    "status": lambda m: m.status,
    "method": lambda m: m.method,
    "reason": lambda m: m.reason,
    "usable_challenges": lambda m: sum(
        c.scheme.lower() == "digest" and c.algorithm.upper() in ("", "MD5", "SHA-256")
        for c in m.challenges),
    "event": lambda m: value(m, "Event"),
    "event_id": lambda m: parameter(m, "Event", "id"),
    "expires": lambda m: m.expires,
    "route": lambda m: list(m.options("Route")),
    "sip_if_match": lambda m: m.headers["SIP-If-Match"],
    "refer_to": lambda m: str(m.addresses("Refer-To")[0].uri),
    "require": lambda m: list(m.require),
    "retry_after": retry_after,
    "retry_duration": lambda m: int(parameter(m, "Retry-After", "duration") or -1),
    "min_se": lambda m: m.number("Min-SE"),
    "session_expires": lambda m: m.number("Session-Expires"),
    "refresher": lambda m: (parameter(m, "Session-Expires", "refresher") or "").lower(),
    "sub_state": lambda m: value(m, "Subscription-State"),
    "sub_reason": lambda m: parameter(m, "Subscription-State", "reason"),
    "warnings": lambda m: [int(item[:3]) for item in m.options("Warning")],
}
NOT_FIELDS = {"uas", "verdict", "stream", "message_lengths", "need_more"}


def test_values(corpus: Path) -> None:
    expected = json.loads((corpus / "own" / "expected.json").read_text())
    compared = 0
    for name, values in expected.items():
        fields = {key: item for key, item in values.items() if key not in NOT_FIELDS}
        if not fields or values.get("stream"):
            continue
        message = parse((corpus / "own" / name).read_bytes())
        for key, wanted in fields.items():
            compared += 1
            if key in CHECKS:
                CHECKS[key](message, wanted)
            else:
                assert VALUES[key](message) == wanted, (name, key)
    assert compared > 100


def test_hostile_cases(corpus: Path) -> None:
    """No crash, no hang, no memory of it: a good request still parses after each."""
    chance = random.Random(7)
    archive = corpus / "protos-c07" / "protos-c07.tar.gz"
    seen = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            data = file.read()
            seen += 1
            outcome(data)
            whole = receive([data])
            cuts = [chance.randrange(len(data) + 1) for _ in range(3)]
            assert receive(pieces(data, cuts)) == whole, member.name
            assert outcome(VALID) == ("ok", 0)
    assert seen > 2700
