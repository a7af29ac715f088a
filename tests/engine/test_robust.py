"""Whatever arrives, nothing breaks: the corpus and damaged messages against running calls.

Meant for the build with sanitizers; in any build every engine must come to rest in balance.
"""

from __future__ import annotations

import csv
import random
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from siploadgen.core.sip.parse import Parsed, ParseStatus
from tests.engine.drive import MS, Bench, answerer, ask, caller, names, reply
from tests.sim.helpers import Trial
from tests.sim.network import ANSWERER, CALLER, Network, Weather, drained

STRANGER = ("203.0.113.77", 5077)


def corpus_messages(corpus: Path) -> Iterator[bytes]:
    with (corpus / "verdicts.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            path = corpus / row["file"]
            if path.is_file():
                yield path.read_bytes()


def protos_messages(corpus: Path) -> Iterator[bytes]:
    with tarfile.open(corpus / "protos-c07" / "protos-c07.tar.gz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield file.read()


def busy_ends() -> list[Bench]:
    """Both kinds of engine, each in the middle of calls."""
    out = caller(settings={"hold": "5s", "user": "bob"}, max_transactions=4000)
    out.engine.schedule(np.arange(20, dtype=np.int64) * 50 * MS)
    out.run(100 * MS)
    side = answerer(settings={"ring": "5s", "limit": "20s"}, max_instances=3000,
                    max_transactions=4000)
    side.feed(ask(branch="z9hG4bKlive"))
    proof = answerer(challenge="md5", max_instances=3000, max_transactions=4000)
    return [out, side, proof]


def flood(ends: list[Bench], messages: Iterable[bytes]) -> tuple[int, int]:
    """Feed all; (messages, how many of them the parser calls bad)."""
    count = bad = 0
    for data in messages:
        if len(data) > 65535:
            continue
        count += 1
        bad += Parsed(data).outcome == ParseStatus.PARSE_BAD
        for bench in ends:
            bench.feed(data, STRANGER)
        if count % 50 == 0:
            for bench in ends:
                bench.wait(10 * MS)
                bench.engine.check()
    return count, bad


def rest(ends: list[Bench]) -> None:
    for bench in ends:
        bench.engine.failures()
        for _ in range(200_000):
            if bench.engine.next_event() == 2**63 - 1:
                break
            bench.now = max(bench.now, bench.engine.next_event())
            bench.engine.advance(bench.now)
            bench.engine.outbox()
        # Calls that wait for a BYE which nobody sends are ended by force.
        bench.engine.abort()
        bench.engine.advance(bench.now)
        drained(bench.engine)


@pytest.mark.parametrize("source", ["verdicts", "protos"])
def test_the_corpus_against_busy_engines(corpus: Path, source: str) -> None:
    ends = busy_ends()
    messages = corpus_messages(corpus) if source == "verdicts" else protos_messages(corpus)
    count, bad = flood(ends, messages)
    assert count > 500
    for bench in ends:
        assert bench.count("malformed") == bad
    rest(ends)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One message with a few octets, lines or whole stretches changed."""
    octets = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(8)
        at = chance.randrange(len(octets)) if octets else 0
        if kind == 0 and octets:
            octets[at] = chance.randrange(256)
        elif kind == 1:
            octets[at:at] = bytes(chance.choices(b";,:=<>\"@[]%0 \r\n\t\x00\xff", k=3))
        elif kind == 2:
            del octets[at:at + chance.randint(1, 40)]
        elif kind == 3:
            octets = octets[:at]
        else:
            lines = bytes(octets).split(b"\r\n")
            number = chance.randrange(len(lines))
            if kind == 4:
                lines.insert(chance.randrange(len(lines) + 1), lines[number])
            elif kind == 5:
                del lines[number]
            elif kind == 6:
                lines[number] += b"x" * chance.choice([1, 100, 5000])
            else:
                other = chance.randrange(len(lines))
                lines[number], lines[other] = lines[other], lines[number]
            octets = bytearray(b"\r\n".join(lines))
    return bytes(octets[:65000])


TRIALS = {
    "call": Trial(calls=40, settings={"hold": "1s", "ring_limit": "4s"},
                  answers={"ring": "uniform(0s,6s)", "limit": "60s"}),
    "call-challenged": Trial(calls=40, settings={"user": "bob"}, answerer={"challenge": "md5"},
                             answers={"limit": "60s"}),
    "callee-hangs-up": Trial(calls=40, settings={"callee_hangs_up": "yes"},
                             answers={"callee_hangs_up": "yes", "hold": "1s"}),
    "register": Trial("register", calls=40, users=40, settings={"refreshes": "1",
                                                                "refresh_at": "2s"},
                      answerer={"challenge": "sha-256"}),
    "refused": Trial(calls=40, answerer={"reject": "486:30%,503:20%,no_answer:20%"},
                     settings={"ring_limit": "2s"}, answers={"limit": "60s"}),
}


class Hostile(Network):
    """A network that sends damaged copies of what it carries along with it, to both ends."""

    def send(self, source: tuple[str, int]) -> None:
        before = len(self.flying)
        super().send(source)
        for at, _, _to, origin, data in self.flying[before:]:
            if self.random.random() < 0.7:
                continue
            for end in (CALLER, ANSWERER):
                self.order += 1
                copy = damaged(data, self.random)
                self.flying.append((at + self.random.randrange(3_000_000), self.order, end, origin,
                                    copy))
        self.flying.sort()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", TRIALS)
def test_damaged_copies_of_a_live_conversation(name: str, seed: int) -> None:
    trial = TRIALS[name]
    calm = trial.network(seed, Weather(loss=0.02, duplication=0.02))
    network = Hostile(calm.caller, calm.answerer, calm.weather, seed)
    for _ in range(60_000):
        if not network.step() or network.now > 400 * 1_000_000_000:
            break
    for engine in (network.caller, network.answerer):
        engine.check()
        engine.failures()
        assert engine.counters[9] > 0           # COUNT_MALFORMED
        engine.stop_starts()
        engine.abort()
        engine.advance(network.now)
        engine.outbox()
        drained(engine)
    assert int(network.caller.outcomes.sum()) == 40


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b"jaK"])
def test_keepalives_are_no_messages(data: bytes) -> None:
    bench = answerer()
    assert bench.feed(data) == []
    assert bench.counts in ({"keepalive": 1}, {"malformed": 1})


def test_the_largest_datagram_is_answered() -> None:
    bench = answerer()
    request = ask("OPTIONS", headers=["X-Large: " + "x" * 64_900])
    assert len(request) < 65_507
    sent = bench.feed(request)
    assert [(one.status, one.branch) for one in sent] == [(200, "z9hG4bKone")]
    # One whose Vias and parties alone are too large to repeat has no answer, and no record.
    request = ask("INVITE", branch="z9hG4bK2", call_id="2",
                  from_='"' + "n" * 64_500 + '" <sip:a@192.0.2.20>;tag=1')
    bench.feed(request)
    bench.run(200_000 * MS)
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.drain()


def test_a_refusal_whose_parties_do_not_fit_is_not_acknowledged_in_part() -> None:
    bench = caller()
    invite = bench.start()
    long = invite.header("To").replace("<", f'"{"x" * 4500}" <') + ";tag=peer"
    assert names(bench.feed(reply(invite, 486, to=long))) == []
    bench.drain()
    assert bench.outcomes == {"rejected": 1}


def test_a_request_too_large_to_answer_gets_no_answer_in_part() -> None:
    bench = answerer()
    assert bench.feed(ask(headers=[f"Record-Route: <sip:{'x' * 65_000}>"])) == []
    assert bench.feed(ask("OPTIONS", headers=[f"Record-Route: <sip:{'x' * 65_000}>"])) == []
    bench.drain()
    assert bench.answered == {"no_resource": 1}     # the INVITE is refused before
