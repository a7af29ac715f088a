"""Datagrams over real sockets on loopback, bounded in count and time."""

import errno
import json
import select
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from siploadgen.core.net.udp import UdpDoor, address, monotonic
from tests.conftest import ROOT, absent

pytestmark = pytest.mark.loopback
SECOND = 1_000_000_000
LOCAL = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def bound(family: int = socket.AF_INET) -> tuple[socket.socket, bytes]:
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((LOCAL[family], 0))
    host, port = one.getsockname()[:2]
    return one, (f"[{host}]" if ":" in host else host).encode() + b":%d" % port


class End:
    """One socket with the core's input and output on it."""

    def __init__(self, family: int = socket.AF_INET, **options: object) -> None:
        one, self.address = bound(family)
        self.door = UdpDoor(**options)
        self.fd = one.detach()
        assert self.door.adopt(self.fd) == 0

    def wait(self, seconds: float = 2.0) -> bool:
        return bool(select.select([self.fd], [], [], seconds)[0])

    def collect(self, count: int, seconds: float = 5.0) -> list[tuple[bytes, bytes, int, int]]:
        """Everything that comes until there are `count` datagrams, or nothing for a while."""
        found: list[tuple[bytes, bytes, int, int]] = []
        end = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < end and self.wait(0.5):
            found += self.door.receive()
        return found


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)],
                ids=["gso-gro", "gso", "gro", "plain"])
def ends(request: pytest.FixtureRequest) -> tuple[End, End]:
    gso, gro = request.param
    return End(gso=gso, gro=gro), End(gso=gso, gro=gro)


def test_messages_arrive_whole_and_in_order(ends: tuple[End, End]) -> None:
    a, b = ends
    sent = [b"%03d" % i + b"x" * (500 if i % 50 else 700) for i in range(200)]
    for data in sent:
        a.door.post(data, b.address, order=1)
    a.door.flush()
    got = b.collect(len(sent))
    assert [data for data, *_ in got] == sent
    assert {source for _, source, *_ in got} == {a.address}
    assert {number for *_, number in got} == {0}
    stats = a.door.stats()
    assert stats["sent"] == 200
    assert stats["send_errors"] == 0
    assert (stats["sent_groups"] > 0) == a.door.gso
    assert b.door.stats()["received"] == 200


def test_an_ordinary_receiver_gets_single_datagrams() -> None:
    a = End()
    peer, peer_address = bound()
    with peer:
        peer.settimeout(2)
        for i in range(40):
            a.door.post(b"%02d" % i * 100, peer_address)
        a.door.flush()
        assert [peer.recv(65536) for _ in range(40)] == [b"%02d" % i * 100 for i in range(40)]


def test_a_gro_receiver_takes_single_datagrams_too() -> None:
    b = End(gro=True)
    peer, _ = bound()
    host, port = b.address.split(b":")
    with peer:
        for size in (1, 0, 1400, 9000):
            peer.sendto(b"y" * size, (host.decode(), int(port)))
        assert [len(data) for data, *_ in b.collect(4)] == [1, 0, 1400, 9000]


@pytest.mark.parametrize("size", [0, 1, 2, 1199, 1201, 1472, 1473, 9000, 32_500, 65_000, 65_507])
def test_every_size_goes_through(ends: tuple[End, End], size: int) -> None:
    a, b = ends
    count = 3
    for i in range(count):
        a.door.post(bytes([i]) * size, b.address)
    a.door.flush()
    assert [data for data, *_ in b.collect(count)] == [bytes([i]) * size for i in range(count)]
    assert a.door.stats()["sent"] == count


def test_ipv6(ends: tuple[End, End]) -> None:
    options = {"gso": ends[0].door.gso, "gro": ends[0].door.gro}
    try:
        a, b = End(socket.AF_INET6, **options), End(socket.AF_INET6, **options)
    except OSError:
        pytest.skip("no IPv6 on loopback")
    for i in range(50):
        a.door.post(b"%02d" % i * 200, b.address)
    a.door.flush()
    got = b.collect(50)
    assert [data for data, *_ in got] == [b"%02d" % i * 200 for i in range(50)]
    assert {source for _, source, *_ in got} == {a.address}


def test_a_burst_is_received_or_counted_as_dropped(ends: tuple[End, End]) -> None:
    """Nothing vanishes: with a receive buffer too small for it, what is missing was counted."""
    a, b = ends
    with socket.socket(fileno=socket.dup(b.fd)) as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    total, got = 10_000, 0
    for i in range(total):
        a.door.post(b"z" * 400, b.address)
        if i == total // 2:
            a.door.flush()
            got += len(b.collect(total))        # the second half meets an empty buffer again
    a.door.flush()
    got += len(b.collect(total))
    b.door.tick()
    stats = b.door.stats()
    assert a.door.stats()["sent"] == total
    assert stats["receive_drops"] > 0
    assert got == stats["received"]
    if a.door.gso and b.door.gro:
        # A group crosses loopback as one buffer, and the kernel counts a dropped buffer once.
        assert got + stats["receive_drops"] < total
        assert got + 32 * stats["receive_drops"] >= total
    else:
        assert got + stats["receive_drops"] == total


def test_a_burst_fits_into_the_buffers_that_were_asked_for() -> None:
    a, b = End(), End()
    receive, send = b.door.buffers()
    assert receive > 0
    assert send > 0
    if receive < 16_000_000:
        pytest.skip("the system allows no larger receive buffer")
    for _ in range(10_000):
        a.door.post(b"z" * 400, b.address)
    a.door.flush()
    assert len(b.collect(10_000)) == 10_000
    b.door.tick()
    assert b.door.stats()["receive_drops"] == 0


@pytest.mark.parametrize("gso", [True, False])
def test_a_refused_datagram_is_named(gso: bool) -> None:
    a = End(gso=gso)
    closed, nobody = bound()
    closed.close()
    a.door.post(b"BYE sip:nobody SIP/2.0", nobody)
    a.door.flush()
    assert a.wait()
    assert a.door.receive() == []
    code, peer, head = a.door.error() or (0, b"", b"")
    assert code == errno.ECONNREFUSED
    assert peer == nobody
    assert head == b"BYE sip:nobody SIP/2.0"
    assert a.door.error() is None
    assert a.door.stats()["icmp_errors"] == 1


@pytest.mark.parametrize("gso", [True, False])
def test_a_refusal_loses_no_other_message(gso: bool) -> None:
    """The error of one datagram is reported by the next call, which must not cost its message."""
    a, b = End(gso=gso), End()
    closed, nobody = bound()
    closed.close()
    for i in range(100):
        a.door.post(b"lost %03d" % i, nobody)
        a.door.post(b"kept %03d" % i, b.address)
        if i % 10 == 9:
            a.door.flush()
    assert [data for data, *_ in b.collect(100)] == [b"kept %03d" % i for i in range(100)]
    stats = a.door.stats()
    assert stats["send_errors"] == 0
    assert stats["sent"] == 200
    errors = 0
    while a.door.error():
        errors += 1
    assert errors > 0


def test_errors_are_looked_for_when_told_of_and_at_each_tick() -> None:
    a = End()
    closed, nobody = bound()
    closed.close()
    a.door.post(b"lost", nobody)
    a.door.flush()
    assert a.wait()
    assert a.door.error() is None       # no call has told of it yet
    a.door.tick()
    assert a.door.error() is not None


def test_a_receiver_with_pending_errors_still_receives() -> None:
    a, b = End(), End()
    closed, nobody = bound()
    closed.close()
    a.door.post(b"lost", nobody)
    a.door.flush()
    b.door.post(b"kept", a.address)
    b.door.flush()
    assert [data for data, *_ in a.collect(1)] == [b"kept"]


def test_received_times_lie_between_sending_and_reading(ends: tuple[End, End]) -> None:
    a, b = ends
    b.door.tick()
    before = monotonic()
    a.door.post(b"tick", b.address)
    a.door.flush()
    sent = monotonic()
    assert b.wait()
    time.sleep(0.05)                            # the kernel's stamp is older than our reading
    got = b.door.receive()
    assert b.door.timestamps
    stamp = got[0][2]
    slack = SECOND // 1000                      # the two clocks are read one after the other
    assert before - slack <= stamp <= sent + slack


def test_a_time_from_the_future_is_cut_to_now() -> None:
    a, b = End(), End()
    b.door.set_realtime_offset(b.door.realtime_offset - 10 * SECOND)
    a.door.post(b"tick", b.address)
    a.door.flush()
    assert b.wait()
    before = monotonic()
    got = b.door.receive()
    assert before <= got[0][2] <= monotonic()
    b.door.tick()
    real = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.monotonic_ns()
    assert abs(b.door.realtime_offset - real) < SECOND


@pytest.mark.parametrize(("size", "still_on"), [(400, False), (1300, True)])
def test_a_refused_group_leaves_as_single_datagrams(size: int, still_on: bool) -> None:
    """A device that cannot cut groups up costs no message; a long one only lowers the limit."""
    a, b = End(), End()
    if not a.door.gso:
        pytest.skip("no GSO here")
    with socket.socket(fileno=socket.dup(a.fd)) as handle:
        handle.setsockopt(socket.SOL_SOCKET, 11, 1)     # SO_NO_CHECK: the kernel refuses groups
    sent = [b"%02d" % i * (size // 2) for i in range(64)]
    for data in sent:
        a.door.post(data, b.address)
    a.door.flush()
    assert [data for data, *_ in b.collect(64)] == sent
    assert a.door.gso is still_on
    if still_on:
        assert a.door.gso_size == size - 1
    stats = a.door.stats()
    assert (stats["sent"], stats["send_errors"], stats["sent_groups"]) == (64, 0, 0)


def test_each_socket_sends_and_receives_its_own() -> None:
    a, b = End(), End()
    other, other_address = bound()
    assert a.door.adopt(other.detach()) == 1
    a.door.post(b"one", b.address, socket=0)
    a.door.post(b"two", b.address, socket=1)
    a.door.flush()
    got = {data: source for data, source, *_ in b.collect(2)}
    assert got == {b"one": a.address, b"two": other_address}
    b.door.post(b"back", other_address)
    b.door.flush()
    for _ in range(100):
        back = a.door.receive(1)
        if back:
            break
        time.sleep(0.01)
    assert [(data, number) for data, _, _, number in back] == [(b"back", 1)]
    assert a.door.receive(0) == []


class Talk:
    """Two ends and a stranger; `a` listens to `b` often enough to give it a socket of its own."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.a, self.b = End(family), End(family)
        self.stranger, self.stranger_address = bound(family)
        self.stranger.settimeout(2)

    def hear(self, count: int = 400, length: int = 100) -> list[bytes]:
        for number in range(count):
            self.b.door.post(b"%04d" % number + b"b" * length, self.a.address, order=1)
        self.b.door.flush()
        return self.read(count)

    def read(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        end = time.monotonic() + 5
        while len(found) < count and time.monotonic() < end:
            found += [data for data, *_ in self.a.door.receive()]
        return found


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def test_the_chief_peer_gets_a_socket_of_its_own(family: int) -> None:
    talk = Talk(family)
    a, b = talk.a, talk.b
    assert a.door.chief() is None
    expected = talk.hear()
    a.door.tick()
    assert a.door.chief() == b.address
    assert talk.hear() == expected                  # in order, by the new socket
    with talk.stranger as stranger:
        # both ways with both: with the stranger by the open socket still
        stranger.sendto(b"hello", a_name := stranger_target(a, family))
        assert talk.read(1) == [b"hello"]
        a.door.post(b"to b", b.address)
        a.door.post(b"to the stranger", talk.stranger_address)
        a.door.flush()
        assert [(data, source) for data, source, *_ in b.collect(1)] == [(b"to b", a.address)]
        data, source = stranger.recvfrom(100)
        assert (data, source[:2]) == (b"to the stranger", a_name[:2])
    assert a.door.stats()["connected"] == 1
    assert a.door.stats()["send_errors"] == 0


def stranger_target(end: End, family: int) -> tuple[str, int]:
    return LOCAL[family], int(end.address.rsplit(b":", 1)[1])


def test_another_peer_may_become_the_chief() -> None:
    talk = Talk()
    talk.hear()
    talk.a.door.tick()
    first, talk.b = talk.b, End()
    talk.hear()
    talk.a.door.tick()
    assert talk.a.door.chief() == talk.b.address
    talk.a.door.post(b"to the first", first.address)
    talk.a.door.flush()
    assert [data for data, *_ in first.collect(1)] == [b"to the first"]
    assert len(talk.hear()) == 400


def test_a_peer_that_is_heard_seldom_is_no_chief() -> None:
    talk = Talk()
    talk.hear(50)
    talk.a.door.tick()
    assert talk.a.door.chief() is None


def test_two_peers_that_are_heard_alike_share_the_open_socket() -> None:
    talk = Talk()
    other = End()
    for number in range(300):
        talk.b.door.post(b"b" * (50 + number), talk.a.address)      # lengths that nothing joins
        other.door.post(b"o" * (50 + number), talk.a.address)
        talk.b.door.flush()
        other.door.flush()
    assert len(talk.read(600)) == 600
    talk.a.door.tick()
    assert talk.a.door.chief() is None


def test_the_port_is_shared_with_nobody_afterwards() -> None:
    talk = Talk()
    talk.hear()
    talk.a.door.tick()
    assert talk.a.door.chief() is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
        third.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            third.bind(stranger_target(talk.a, socket.AF_INET))


def test_a_refusal_by_the_chief_peer_is_named() -> None:
    talk = Talk()
    talk.hear()
    talk.a.door.tick()
    assert talk.a.door.chief() == talk.b.address
    gone, address_of_it = talk.b, talk.b.address
    del talk.b
    del gone
    talk.a.door.post(b"nobody there", address_of_it)
    talk.a.door.flush()
    error = None
    end = time.monotonic() + 2
    while error is None and time.monotonic() < end:
        talk.a.door.receive()
        error = talk.a.door.error()
    assert error == (errno.ECONNREFUSED, address_of_it, b"nobody there")


@pytest.fixture(scope="module")
def narrow() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "tests.loopback.narrow"], cwd=ROOT, timeout=60,
                          capture_output=True, text=True)
    if done.returncode == 77:
        absent("a network namespace of our own", "run as root")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_what_is_longer_than_a_packet_leaves_by_the_open_socket(narrow: dict[str, Any]) -> None:
    assert narrow["chief"]
    assert narrow["whole"]
    assert narrow["from"] == [narrow["address"]]
    assert (narrow["stats"]["sent"], narrow["stats"]["send_errors"]) == (7, 0)


def test_the_length_of_a_packet_is_no_error_of_a_peer(narrow: dict[str, Any]) -> None:
    assert narrow["error"] == "None"
    assert narrow["stats"]["icmp_errors"] == 0


def test_what_cannot_be_sent_is_counted() -> None:
    a = End()
    a.door.post(b"x", b"127.0.0.1:9", socket=5)         # no such socket
    a.door.post(b"x", b"[::1]:9")                       # IPv6 through a socket of IPv4
    a.door.post(b"x" * 65_507, b"255.255.255.255:9")    # broadcast was not asked for
    a.door.flush()
    stats = a.door.stats()
    assert stats["send_errors"] == 3
    assert stats["sent"] == 0


def test_a_full_send_buffer_delays_but_does_not_lose() -> None:
    a, b = End(gso=False), End()
    with socket.socket(fileno=socket.dup(a.fd)) as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    for _ in range(200):
        a.door.post(b"q" * 1000, b.address)
    a.door.flush()
    stats = a.door.stats()
    assert stats["sent"] + stats["send_errors"] == 200
    assert len(b.collect(200)) == stats["sent"]


def test_only_datagram_sockets_are_taken() -> None:
    door = UdpDoor()
    with socket.socket() as stream, pytest.raises(ValueError, match="datagram"):
        door.adopt(stream.fileno())
    with pytest.raises(OSError, match="descriptor"):
        door.adopt(9999)
    with pytest.raises(IndexError):
        door.receive(0)


def test_there_are_at_most_eight_sockets() -> None:
    door = UdpDoor()
    for number in range(8):
        assert door.adopt(bound()[0].detach()) == number
    one, _ = bound()
    with one, pytest.raises(ValueError, match="at most 8"):
        door.adopt(one.fileno())


@pytest.mark.parametrize(("text", "expected"), [
    (b"1.2.3.4", b"1.2.3.4:5060"), (b"1.2.3.4:5", b"1.2.3.4:5"),
    (b"255.255.255.255:65535", b"255.255.255.255:65535"), (b"1.2.3.4:0", b"1.2.3.4:0"),
    (b"::1", b"[::1]:5060"), (b"[::1]", b"[::1]:5060"), (b"[::1]:5061", b"[::1]:5061"),
    (b"[2001:DB8:0:0:0:0:0:1]:1", b"[2001:db8::1]:1"),
    (b"[::ffff:1.2.3.4]:5060", b"[::ffff:1.2.3.4]:5060"),
    (b"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
     b"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    (b"", None), (b"localhost", None), (b"1.2.3", None), (b"1.2.3.4:", None),
    (b"1.2.3.4:65536", None), (b"1.2.3.4:x", None), (b"1.2.3.4:-1", None), (b"[::1", None),
    (b"::1]", None), (b"[1.2.3.4]:5", None), (b"[::1]5060", None), (b"[]:5060", None),
    (b"1.2.3.4\0:5060", None), (b"1.2.3.4 :5060", None), (b"[fe80::1%lo]:5060", None),
    (b"[" + b":" * 80 + b"]", None), (b"1" * 200, None), (b"01.2.3.4", None),
])  # fmt: skip
def test_addresses_are_read_and_written(text: bytes, expected: bytes | None) -> None:
    assert address(text) == expected
