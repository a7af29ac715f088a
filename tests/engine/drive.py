"""One engine and a scripted peer: messages as text, virtual time to the nanosecond, no sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.compile.program import Program
from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.core.program import Outcome
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.messages import REGISTRAR_SUPPORTED, SUPPORTED
from siploadgen.model.python import Recorder, answer, call

LOCAL = ("192.0.2.10", 5070)
PEER = ("192.0.2.20", 5060)
TARGET = f"sip:{PEER[0]}:{PEER[1]}"
MS = 1_000_000
SECOND = 1000 * MS
NEVER = 2**63 - 1
Address = tuple[str, int]
OFFER = ("v=0\r\no=peer 7 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
         "m=audio 4000 RTP/AVP 0\r\n")


@dataclass(frozen=True)
class Sent:
    """A datagram that the engine wrote."""

    at: int
    data: bytes
    to: Address

    @property
    def line(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode()

    @property
    def method(self) -> str:
        """Method of a request, of the CSeq of a response."""
        return self.header("CSeq").split()[1]

    @property
    def status(self) -> int:
        return int(self.line.split()[1]) if self.line.startswith("SIP/") else 0

    @property
    def uri(self) -> str:
        return self.line.split()[1]

    @property
    def name(self) -> str:
        """`INVITE` or `200/INVITE`."""
        return f"{self.status}/{self.method}" if self.status else self.line.split()[0]

    @property
    def head(self) -> list[tuple[str, str]]:
        lines = self.data.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace").split("\r\n")[1:]
        return [(name, value.strip()) for name, _, value in (one.partition(":") for one in lines)]

    def headers(self, name: str) -> list[str]:
        return [value for known, value in self.head if known.lower() == name.lower()]

    def header(self, name: str) -> str:
        found = self.headers(name)
        assert len(found) == 1, f"{len(found)} times {name} in {self.data!r}"
        return found[0]

    @property
    def branch(self) -> str:
        return re.search(r"branch=([^;,\s]+)", self.headers("Via")[0])[1]  # type: ignore[index]

    def tag(self, name: str) -> str:
        found = re.search(r";tag=([^;\s]+)", self.header(name))
        return found[1] if found else ""

    @property
    def cseq(self) -> int:
        return int(self.header("CSeq").split()[0])


@dataclass
class Bench:
    """An engine under test; `wire` is all that it ever sent."""

    engine: Engine
    peer: Address = PEER
    now: int = 0
    wire: list[Sent] = field(default_factory=list)

    def _take(self) -> list[Sent]:
        new = [Sent(self.now, data, to) for data, to in self.engine.outbox()]
        self.wire += new
        return new

    def run(self, until: int) -> list[Sent]:
        """Every timer up to `until` at its own instant; what was sent."""
        new: list[Sent] = []
        for _ in range(1_000_000):
            at = self.engine.next_event()
            if at > until:
                self.now = max(self.now, until)
                return new
            self.now = max(self.now, at)
            self.engine.advance(self.now)
            new += self._take()
        raise AssertionError("the engine never rests")

    def wait(self, length: int) -> list[Sent]:
        return self.run(self.now + length)

    def feed(self, data: bytes | str, source: Address | None = None) -> list[Sent]:
        """A datagram arrives now; what the engine says to it at once."""
        octets = data.encode() if isinstance(data, str) else data
        self.engine.feed(octets, source or self.peer, self.now)
        return self._take()

    def start(self, calls: int = 1) -> Sent:
        """Calls due now; the first request of the last one."""
        self.engine.schedule(np.full(calls, self.now, dtype=np.int64))
        return self.run(self.now)[-1]

    def drain(self) -> None:
        """To the end of every timer, where nothing may be left."""
        for _ in range(1_000_000):
            if self.engine.next_event() == NEVER:
                break
            self.run(self.engine.next_event())
        self.engine.check()
        assert not any(self.engine.census().values()), self.engine.census()

    def count(self, name: str) -> int:
        return int(self.engine.counters[Counter[f"COUNT_{name.upper()}"]])

    @property
    def counts(self) -> dict[str, int]:
        return {one.name.removeprefix("COUNT_").lower(): int(self.engine.counters[one])
                for one in Counter if one < len(self.engine.counters) and self.engine.counters[one]}

    @property
    def outcomes(self) -> dict[str, int]:
        return named(self.engine.outcomes)

    @property
    def answered(self) -> dict[str, int]:
        return named(self.engine.answered_outcomes)


def named(counts: Any) -> dict[str, int]:
    names = {one.value: one.name.removeprefix("OUTCOME_").lower() for one in Outcome}
    found: dict[str, int] = {}
    for number, count in enumerate(counts):
        if count:
            name = names.get(number, "user")  # the program's own are not told apart
            found[name] = found.get(name, 0) + int(count)
    return found


SIZES: dict[str, Any] = {"max_instances": 200, "max_transactions": 800,
                         "supported": ", ".join((*SUPPORTED, *REGISTRAR_SUPPORTED))}


def caller(model: str = "call", *, users: int = 0, target: Address = PEER,
           local: Address = LOCAL, settings: Mapping[str, str] | None = None,
           **options: Any) -> Bench:
    """An engine with a built-in model, ready to be given due times."""
    host = f"[{target[0]}]" if ":" in target[0] else target[0]
    program = build_caller(model, target_uri=f"sip:{host}:{target[1]}",
                           settings=dict(settings or {}))
    rows = generated_users(program.columns, users) if users else None
    return Bench(Engine(program, local=local, target=target, rows=rows,
                        **{"run_id": 0xA0A0A0A0, **SIZES, **options}), target)


def answerer(*, settings: Mapping[str, str] | None = None, reject: str = "", challenge: str = "",
             local: Address = LOCAL, **options: Any) -> Bench:
    """An engine that answers INVITE, REGISTER and OPTIONS."""
    program = build_answerer(settings=dict(settings or {}), reject=reject, challenge=challenge)
    return Bench(Engine(program, local=local, **{"run_id": 0xB0B0B0B0, **SIZES, **options}))


def scenario(function: Callable[[Recorder], None], **options: Any) -> Bench:
    """A caller that plays a scenario of the test's own."""
    program = compile_scenarios(call(name="test")(function).record(target=TARGET, settings={}))
    return Bench(Engine(program, local=LOCAL, target=PEER,
                        **{"run_id": 0xA0A0A0A0, **SIZES, **options}))


def answering(method: str, function: Callable[[Recorder], None], **options: Any) -> Bench:
    """An answerer with a scenario of the test's own."""
    program = compile_scenarios(answer(method, name="test")(function).record())
    return Bench(Engine(program, local=LOCAL, **{"run_id": 0xB0B0B0B0, **SIZES, **options}))


def engine_of(program: Program, **options: Any) -> Bench:
    return Bench(Engine(program, local=LOCAL, target=PEER,
                        **{"run_id": 0xA0A0A0A0, **SIZES, **options}))


def reply(request: Sent, status: int, *, tag: str = "peer", contact: str = "<sip:peer@192.0.2.20>",
          headers: Iterable[str] = (), **changes: str) -> str:
    """A response to a request of the engine; `changes` replaces headers (via, cseq, ...)."""
    to = request.header("To")
    if tag and status > 100 and ";tag=" not in to:
        to += f";tag={tag}"
    lines = [f"SIP/2.0 {status} Any",
             *(f"Via: {value}" for value in ([changes["via"]] if "via" in changes
                                             else request.headers("Via"))),
             f"From: {changes.get('from_', request.header('From'))}",
             f"To: {changes.get('to', to)}",
             f"Call-ID: {changes.get('call_id', request.header('Call-ID'))}",
             f"CSeq: {changes.get('cseq', request.header('CSeq'))}"]
    if contact and 100 < status < 300 and request.method == "INVITE":
        lines.append(f"Contact: {contact}")
    lines += [*headers, "Content-Length: 0", "", ""]
    return "\r\n".join(lines)


def ask(method: str = "INVITE", *, branch: str = "z9hG4bKone", call_id: str = "one@192.0.2.20",
        from_: str = '"A" <sip:a@192.0.2.20>;tag=from1', to: str = "<sip:b@192.0.2.10:5070>",
        cseq: int = 1, cseq_method: str = "", via: Iterable[str] = (),
        uri: str = "sip:b@192.0.2.10:5070", contact: str = "<sip:a@192.0.2.20:5060>",
        headers: Iterable[str] = (), body: str | None = None, rport: str = ";rport") -> str:
    """A request of the scripted peer; an INVITE has an offer unless `body` says otherwise."""
    headers = list(headers)
    if body is None:
        body = OFFER if method == "INVITE" else ""
        if body and not any(one.startswith("Content-") for one in headers):
            headers.append("Content-Type: application/sdp")
    lines = [f"{method} {uri} SIP/2.0",
             *(f"Via: {one}" for one in
               (via or [f"SIP/2.0/UDP 192.0.2.20:5060{rport};branch={branch}"])),
             "Max-Forwards: 70", f"From: {from_}", f"To: {to}", f"Call-ID: {call_id}",
             f"CSeq: {cseq} {cseq_method or method}"]
    if contact and method in ("INVITE", "REGISTER"):
        lines.append(f"Contact: {contact}")
    lines += [*headers, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines)


def within(response: Sent, method: str, *, cseq: int = 2, branch: str = "z9hG4bKtwo",
           **changes: Any) -> str:
    """A request of the peer in the dialog that `response` of the engine made."""
    values: dict[str, Any] = {"from_": response.header("From"), "to": response.header("To"),
                              "call_id": response.header("Call-ID"), "contact": ""}
    return ask(method, branch=branch, cseq=cseq, **{**values, **changes})


def back(request: Sent, method: str, *, cseq: int = 1, tag: str = "peer",
         branch: str = "z9hG4bKback", **changes: Any) -> str:
    """A request of the peer in the dialog that a request of the engine opened."""
    values: dict[str, Any] = {
        "from_": request.header("To").split(";tag=")[0] + f";tag={tag}",
        "to": request.header("From"), "call_id": request.header("Call-ID"),
        "uri": "sip:x@192.0.2.10:5070", "contact": ""}
    return ask(method, branch=branch, cseq=cseq, **{**values, **changes})


def names(sent: Iterable[Sent]) -> list[str]:
    return [one.name for one in sent]


def only(sent: list[Sent]) -> Sent:
    assert len(sent) == 1, [one.data for one in sent]
    return sent[0]


def times(sent: Iterable[Sent], name: str) -> list[float]:
    """Seconds at which messages of a name left."""
    return [one.at / SECOND for one in sent if one.name == name]


def talking(bench: Bench) -> tuple[Sent, Sent]:
    """Answer the call that is due now with 200 and see its ACK: (INVITE, ACK)."""
    invite = bench.start()
    return invite, only(bench.feed(reply(invite, 200)))


def answered(bench: Bench, **changes: Any) -> Sent:
    """Call the engine, take its 200, acknowledge it; the 200."""
    sent = bench.feed(ask(**changes))
    ok = sent[-1]
    assert ok.status == 200, ok.data
    assert not bench.feed(within(ok, "ACK", cseq=ok.cseq, branch="z9hG4bKack"))
    return ok
