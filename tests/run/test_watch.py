"""What a watch tells of an engine: exactly what it did, for every model and scenario."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import Engine
from siploadgen.core.program import Op
from siploadgen.model.builtin import MODELS
from siploadgen.model.python import call
from siploadgen.run.watch import Envelope, Happening, Watch, envelope
from tests.engine.drive import LOCAL, MS, PEER, SECOND, TARGET, Bench, caller, reply
from tests.matrix import users
from tests.sim.helpers import Trial
from tests.sim.network import ANSWERER, CALLER, Network

ROOT = Path(__file__).parents[2]


class Told:
    """A watch in the place of an engine in the simulated network; keeps what it tells."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.told: list[Happening] = []
        self._out: list[tuple[bytes, tuple[str, int]]] = []

    def _keep(self, told: list[Happening]) -> None:
        self.told += told
        self._out += [(one.data, one.peer) for one in told if one.kind == "sent"]

    def feed(self, data: bytes, source: tuple[str, int], now: int) -> None:
        self._keep(self.watch.feed(data, source, now))

    def advance(self, now: int) -> None:
        self._keep(self.watch.advance(now))

    def next_event(self) -> int:
        return self.watch.next_event()

    def outbox(self) -> list[tuple[bytes, tuple[str, int]]]:
        written, self._out = self._out, []
        return written


def watched(name: str, calls: int = 1) -> tuple[Network, Told, Told]:
    trial = Trial(name, calls=calls, users=users(name))
    network = trial.network()
    calling, answering = trial.programs()
    ends = Told(Watch(network.caller, calling)), Told(Watch(network.answerer, answering))
    network.ends = {CALLER: ends[0], ANSWERER: ends[1]}  # type: ignore[dict-item]
    network.run()
    return network, *ends


@pytest.mark.parametrize("name", MODELS)
def test_all_that_was_done_is_told(name: str) -> None:
    network, *ends = watched(name)
    for engine, end in zip((network.caller, network.answerer), ends, strict=True):
        program = end.watch.program
        kinds = Counter(one.kind for one in end.told)
        responses = int(engine.sent_responses.sum())
        pings = sum(envelope(one.data) == Envelope() for one in end.told if one.kind == "sent")
        assert kinds["sent"] == int(engine.sent_requests.sum()) + responses + pings
        assert kinds["started"] == kinds["ended"] == int(
            engine.outcomes.sum() + engine.answered_outcomes.sum())
        walked = Counter(one.pc for one in end.told if one.kind == "step"
                         and program.code["op"][one.pc] == Op.OP_SEND)
        for pc, count in walked.items():
            row = program.templates[int(program.code["a"][pc])]
            if "CANCEL" not in end.watch.program.step_name(pc) or row["kind"] == 0:
                assert count <= engine.steps[pc, 0] or "CANCEL" in program.step_name(pc)
        sends = {int(pc) for pc in engine.steps[:, 0].nonzero()[0]
                 if program.code["op"][pc] == Op.OP_SEND}
        assert sends <= set(walked), "a step that sent and was not told"
        taken = Counter(one.pc for one in end.told if one.kind == "step"
                        and program.code["op"][one.pc] == Op.OP_CASE)
        assert taken == Counter({int(pc): int(engine.steps[pc, 1])
                                 for pc in engine.steps[:, 1].nonzero()[0]})


def test_a_call_is_told_step_by_step() -> None:
    _, end, _ = watched("options")
    assert [(one.kind, one.text.partition(":")[0]) for one in end.told] == [
        ("started", "options"), ("step", "clock start options"), ("step", "send OPTIONS"),
        ("sent", "OPTIONS"),
        ("wait", "waits for 200-299/OPTIONS, 100/OPTIONS, 401/OPTIONS, 407/OPTIONS"),
        ("received", "200 OPTIONS"), ("step", "case 200-299/OPTIONS"),
        ("step", "clock stop options"), ("ended", "succeeded")]
    assert {one.call for one in end.told} == {1}
    assert next(one for one in end.told if "clock stop" in one.text).text.endswith(": 2 ms")


def test_calls_are_told_apart() -> None:
    _, end, _ = watched("call", calls=20)
    for number in range(1, 21):
        mine = [one.kind for one in end.told if one.call == number]
        assert mine.count("started") == mine.count("ended") == 1
        assert mine.count("sent") == mine.count("received") == 3


def scripted(model, **options) -> tuple[Bench, Watch]:
    """An engine whose peer is the test."""
    program = compile_scenarios(model.record(target=TARGET))
    engine = Engine(program, local=LOCAL, target=PEER, max_instances=64, max_transactions=256,
                    **options)
    return Bench(engine), Watch(engine, program)


@call(name="counted")
def counted(c) -> None:
    c.set("n", 0)
    with c.loop(3):
        c.add("n", 2)
    with c.if_(c.v.n == 6):
        c.options()
    with c.else_():
        c.send("MESSAGE")
    c.expect(200, within="2s")


def test_loops_and_branches_are_reckoned() -> None:
    bench, watch = scripted(counted)
    bench.engine.schedule(np.zeros(1, np.int64))
    told = watch.advance(0)
    jumps = [one.text for one in told if one.text.startswith("jump if")]
    assert sum("n" in text and "6" in text for text in jumps) == 1
    adds = [one for one in told if one.text == "add n += 2"]
    assert len(adds) == 3
    told = watch.advance(2 * SECOND)
    assert [(one.kind, one.text) for one in told if one.kind != "sent"] == [
        ("timeout", "the time to wait is over"), ("ended", "timeout (failed)")]


def test_what_fits_no_case_is_told() -> None:
    bench = caller("options")
    watch = Watch(bench.engine, Trial("options").programs()[0])
    bench.engine.schedule(np.zeros(1, np.int64))
    sent = next(one for one in watch.advance(0) if one.kind == "sent")
    from tests.engine.drive import Sent

    told = watch.feed(reply(Sent(0, sent.data, PEER), 486).encode(), PEER, 5 * MS)
    assert [one.kind for one in told] == ["received", "unexpected", "ended"]
    assert told[-1].text == "rejected (failed)"


def test_an_envelope_of_anything() -> None:
    assert envelope(b"") == envelope(b"\r\n\r\n") == Envelope()
    assert envelope(b"\x00\x01 \x02 a") .name == "\x00\x01"
    found = envelope(b"INVITE sip:bob@x SIP/2.0\r\nf: <sip:a@x>;tag=1\r\nt: <sip:b@x> ; tag=2\r\n"
                     b"i: q@x\r\nCSeq: 1 INVITE\r\n\r\nTo: <sip:no@x>;tag=9")
    assert found == Envelope("INVITE", 0, "q@x", "1", "2", "bob")
