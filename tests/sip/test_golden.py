"""Traces of golden messages, our own torture messages, and every prefix of all of them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from siploadgen.core.sip.parse import Parsed, ParseStatus
from tests.sip.golden import FOLDER, cases, octets, trace
from tests.sip.streams import receive

TORTURE = FOLDER.parent / "torture"
SEEDS = FOLDER.parent / "corpus"
CASES = cases()


def torture() -> list[dict[str, str]]:
    with (TORTURE / "verdicts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def messages() -> list[tuple[str, bytes]]:
    return [*((title, octets(block)) for title, block, _ in CASES),
            *((path.name, path.read_bytes()) for path in sorted(TORTURE.glob("*.dat"))),
            *((path.name, path.read_bytes()) for path in sorted(SEEDS.glob("*.sip")))]


@pytest.mark.parametrize(("message", "expected"), [(m, e) for _, m, e in CASES],
                         ids=[title for title, _, _ in CASES])
def test_trace(message: str, expected: str) -> None:
    assert trace(octets(message)) == expected


def test_no_golden_message_is_left_out() -> None:
    titles = [title for path in FOLDER.glob("*.md")
              for title in re.findall(r"^## (.*)$", path.read_text(), re.M)]
    assert len(titles) == len(CASES) > 30


@pytest.mark.parametrize("row", torture(), ids=lambda row: Path(row["file"]).stem)
def test_torture(row: dict[str, str]) -> None:
    data = (TORTURE / row["file"]).read_bytes()
    parsed = Parsed(data)
    status = parsed.validate() if parsed.outcome != ParseStatus.PARSE_KEEPALIVE else 0
    if parsed.outcome == ParseStatus.PARSE_KEEPALIVE:
        got = "keepalive"
    elif parsed.fields()["error"] == 0:
        got = "ok"
    else:
        got = "refuse" if parsed.fields()["is_request"] else "drop"
    assert got == row["verdict"]
    if row["status"]:
        assert status == int(row["status"])


def test_torture_lists_every_file() -> None:
    assert {row["file"] for row in torture()} == {path.name for path in TORTURE.glob("*.dat")}


@pytest.mark.parametrize("data", [data for _, data in messages()],
                         ids=[title for title, _ in messages()])
def test_no_prefix_is_a_message(data: bytes) -> None:
    """A stream that stops early has given nothing but keepalives, a wait or a refusal."""
    whole = Parsed(data, True)
    first = whole.fields()["length"] if whole.outcome == ParseStatus.PARSE_OK else len(data)
    step = max(1, first // 2000)
    for end in range(0, first, step):
        parsed = Parsed(data[:end], True)
        assert parsed.outcome != ParseStatus.PARSE_OK, end
        if parsed.outcome == ParseStatus.PARSE_KEEPALIVE:
            assert not data[:end].strip(b"\r\n")
        if parsed.outcome == ParseStatus.PARSE_PARTIAL:
            assert parsed.fields()["length"] in (0, whole.fields()["length"])


@pytest.mark.parametrize("data", [data for _, data in messages()],
                         ids=[title for title, _ in messages()])
def test_octet_by_octet_is_the_same(data: bytes) -> None:
    if len(data) < 5000:
        assert receive(data[i:i + 1] for i in range(len(data))) == receive([data])
