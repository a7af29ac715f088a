"""Engines on real sockets: the loop, its clock and ICMP errors, bounded in count and time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from siploadgen import parse
from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.core.net.udp import monotonic
from siploadgen.model.builtin import build_answerer, build_caller
from tests.engine.drive import named
from tests.engine.test_stun import stun

pytestmark = pytest.mark.loopback
MS = 1_000_000


class Running:
    """An engine with a socket, in a thread of its own."""

    def __init__(self, program: Any, target: tuple[str, int] | None = None, *, gso: bool = True,
                 **options: Any) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            self.address: tuple[str, int] = one.getsockname()
            self.engine = Engine(program, local=self.address, target=target, now=monotonic(),
                                 max_instances=500, max_transactions=2000, **options)
            self.engine.open_udp(one.detach(), gso, gso)
        self.thread = threading.Thread(target=self.engine.run, args=(target is not None,))

    def finish(self, seconds: float = 20.0) -> None:
        self.thread.join(seconds)
        self.engine.abort()         # a run that hangs shall not hang the tests
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        self.engine.check()


def caller(target: tuple[str, int], **options: Any) -> Running:
    uri = f"sip:{target[0]}:{target[1]}"
    return Running(build_caller("call", target_uri=uri, settings={"hold": "20ms"}), target,
                   **options)


@pytest.fixture
def answering() -> Iterator[Running]:
    one = Running(build_answerer())
    one.thread.start()
    yield one
    one.finish(0.0)
    assert not any(one.engine.census().values())


@pytest.mark.parametrize(("gso", "coalesce"), [(True, 0), (False, 0), (True, 500_000)])
def test_calls_over_sockets(answering: Running, gso: bool, coalesce: int) -> None:
    one = caller(answering.address, gso=gso, coalesce=coalesce)
    one.engine.schedule(monotonic() + 50 * MS + np.arange(100, dtype=np.int64) * MS)
    one.thread.start()
    one.finish()
    assert named(one.engine.outcomes) == {"succeeded": 100}
    assert one.engine.udp_stats()


def options(number: int, address: tuple[str, int]) -> bytes:
    return (f"OPTIONS sip:{address[0]}:{address[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{address[1]};rport;branch=z9hG4bK-{number}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=t{number}\r\n"
            f"To: <sip:b@127.0.0.1>\r\nCall-ID: call-{number}\r\nCSeq: {number} OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n").encode()


def test_neighbours_in_a_batch_are_not_mistaken_for_each_other() -> None:
    """Each datagram is parsed while the one before it waits; all of these wait in the socket."""
    answering = Running(build_answerer(), gso=False)
    between = (b"", b"\r\n\r\n", b"SIP/2.0 garbage", stun(1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(answering.address)
        peer.settimeout(5.0)
        for number in range(1, 121):
            peer.send(options(number, answering.address))
            peer.send(between[number % 4])
        answering.thread.start()
        got = [peer.recv(2000) for _ in range(150)]
    answering.finish(0.0)
    answers = [parse(data) for data in got if data.startswith(b"SIP/2.0 200")]
    assert [(one.call_id, one.cseq and one.cseq.number, one.via[0].branch) for one in answers] == [
        (f"call-{number}", number, f"z9hG4bK-{number}") for number in range(1, 121)]
    assert len(got) - len(answers) == 30                # to the Binding requests
    counted = answering.engine.counters     # an empty one is malformed
    assert (counted[Counter.COUNT_MALFORMED], counted[Counter.COUNT_KEEPALIVE]) == (60, 30)


def test_nobody_there_is_a_transport_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        target = gone.getsockname()
    one = caller(target)
    one.engine.schedule(np.full(3, monotonic(), dtype=np.int64))
    one.thread.start()
    one.finish()
    assert named(one.engine.outcomes) == {"transport": 3}
    with pytest.raises(RuntimeError, match="before its first run"):
        one.engine.open_udp(0, False, False)


def test_an_abort_ends_open_calls() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        one = caller(silent.getsockname())
        one.engine.schedule(np.full(5, monotonic(), dtype=np.int64))
        one.thread.start()
        assert silent.recv(2000).startswith(b"INVITE ")
        with pytest.raises(RuntimeError, match="running already"):
            one.engine.run()
        one.finish(0.0)
    assert named(one.engine.outcomes) == {"aborted": 5}
    assert not any(one.engine.census().values())


def test_overload_control_over_sockets() -> None:
    other = Running(build_answerer(), oc_algorithm="loss", oc_value=100, oc_validity=60_000)
    other.thread.start()
    one = caller(other.address, obey_overload=True)
    one.engine.schedule(monotonic() + 20 * MS + np.array([0, 2000, 2010, 2020], np.int64) * MS)
    one.thread.start()
    one.finish()
    other.finish(0.0)
    assert named(one.engine.outcomes) == {"succeeded": 1}
    assert one.engine.counters[Counter.COUNT_DUE] == 4
    assert one.engine.counters[Counter.COUNT_NOT_STARTED_THROTTLED] == 3
