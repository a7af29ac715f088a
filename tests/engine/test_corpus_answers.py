"""Every request of the corpus folder put to an answering engine: the status is that of its verdict.

The verdicts stand in the columns `uas` and `also_ok` of verdicts.csv. Each message meets an engine
of its own, which serves INVITE, REGISTER and OPTIONS and holds messages to the whole grammar.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core.engine import Engine
from siploadgen.core.sip.parse import Parsed
from siploadgen.core.sip.tokens import Method
from siploadgen.model.builtin import build_answerer
from siploadgen.model.python import Recorder, answer
from tests.engine.drive import LOCAL, SIZES, Bench, Sent

# file -> (statuses given, () for none, and why the verdict does not hold here)
OURS: dict[str, tuple[tuple[int, ...], str]] = {
    "rfc4475/wsinv.dat": ((481,), "its To has a tag, of a dialog that nobody knows (12.2.2)"),
    "rfc4475/insuf.dat": ((), "no From, To or Call-ID: a response would not find its transaction"),
    "rfc4475/test.dat": ((), "no Via: a response would not find its way"),
    "own/h-no-cseq.sip": ((), "no CSeq: a response would not find its transaction"),
    "own/h-no-to.sip": ((), "no To: a response would not find its transaction"),
    "own/sl-tab-sep.sip": ((), "no Request-Line at all (7.1)"),
    "own/via-no-host.sip": ((), "no host in Via: a response would not find its way"),
    "jain-torture/024.sip": ((501,), "well formed, and a method that nobody knows (8.2.1)"),
    "jain-torture/035.sip": ((505,), "another version (21.5.6)"),
    "jain-torture/066.sip": ((), "an ACK is never answered (17)"),
    "jain-torture/354.sip": ((505,), "another version (21.5.6)"),
}
# Methods that the three scenarios do not serve, so that 405 would hide what else is wrong (8.2.1).
OTHERS = ("MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER")
# Well formed, and 400 all the same.
PICKY = {
    "sipp/asterisk-testsuite/1598_REGISTER.sip": "Contact * without Expires: 0 (10.3)",
    "sipp/asterisk-testsuite/1086_NOTIFY.sip": "no Subscription-State (6665 4.1.3)",
    "sipp/drachtio-drachtio-server/0102_PUBLISH.sip": "a first PUBLISH without a body (3903 4.1)",
}
SOURCE = ("192.0.2.20", 5060)


@pytest.fixture(scope="module")
def rows(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "verdicts.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if "response" not in row["kind"]]


@pytest.fixture(scope="module")
def three() -> Program:
    return build_answerer(settings={"reliable": "no"})


@pytest.fixture(scope="module")
def others() -> Program:
    """Methods that no built-in scenario serves."""
    def accept(c: Recorder) -> None:
        c.respond(200)

    return compile_scenarios(*(answer(method, name=f"a{i}")(accept).record()
                               for i, method in enumerate(OTHERS)))


def put(program: Program, data: bytes, strict: bool) -> tuple[Bench, list[Sent]]:
    bench = Bench(Engine(program, local=LOCAL, run_id=0xB0B0B0B0, strict=strict, **SIZES))
    return bench, bench.feed(data, SOURCE)


def finals(sent: list[Sent]) -> list[int]:
    return [one.status for one in sent if one.status >= 200]


def wanted(row: dict[str, str]) -> set[int]:
    """Statuses that the verdict names."""
    text = f"{row['uas']} {row['also_ok']}"
    found = {int(code) for code in re.findall(r"\b[2-6]\d\d\b", text)}
    if re.search(r"process|strip|ignore", text) or (found and row["parse"] == "either"):
        found.add(200)
    return found


def test_status_of_each_request(corpus: Path, rows: list[dict[str, str]], three: Program,
                                others: Program) -> None:
    faults = []
    seen = 0
    for row in rows:
        statuses = wanted(row)
        if not statuses:
            continue
        seen += 1
        data = (corpus / row["file"]).read_bytes()
        program = others if row["start"].split()[0] in OTHERS else three
        bench, sent = put(program, data, strict=True)
        given = tuple(finals(sent))
        if row["file"] in OURS:
            assert given == OURS[row["file"]][0], row["file"]
        elif not set(given) & statuses and not (405 in given and 501 in statuses):
            faults.append(f"{row['file']}: {row['uas']} / {row['also_ok']} expected, {given}")
        for one in sent:
            # What a 400 repeats of its request may be the fault itself.
            assert one.status == 400 or not Parsed(one.data).validate(), (row["file"], one.data)
        bench.drain()
    assert not faults, "\n".join(faults)
    assert seen > 60


def test_what_is_well_formed_is_not_called_malformed(
        corpus: Path, rows: list[dict[str, str]], three: Program) -> None:
    """As engines run by default. A request that is no ACK has one final answer."""
    refused = {}
    for row in rows:
        data = (corpus / row["file"]).read_bytes()
        bench, sent = put(three, data, strict=False)
        parsed = Parsed(data)
        if parsed.fields()["method"] == Method.METHOD_ACK:
            assert not sent, row["file"]
        elif parsed.fields()["is_request"] and parsed.validate() == 0:
            given = finals(sent)
            assert len(given) == 1, (row["file"], given)
            if given[0] in (400, 505, 513) and 400 not in wanted(row):
                refused[row["file"]] = given[0]
        bench.drain()
    assert refused == dict.fromkeys(PICKY, 400)
