"""The outbox against a plain model, and what GSO and order ask of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.core.net.outbox import OutboxDoor

PEERS = [b"127.0.0.1:5060", b"127.0.0.1:5061", b"10.1.2.3:5060", b"[::1]:5060", b"[fe80::2]:9"]
messages = st.tuples(
    st.sampled_from(PEERS),
    st.sampled_from([0, 1, 400, 401, 700, 30_000]),
    st.one_of(st.none(), st.integers(0, 4)),
    st.integers(0, 1),
)


class Model:
    """Groups by searching from the latest back; positions of senders in a dict."""

    def __init__(self, group_max: int) -> None:
        self.group_max = group_max
        self.groups: list[tuple[tuple[bytes, int, int], list[bytes]]] = []
        self.latest: dict[int, int] = {}

    def commit(self, peer: bytes, data: bytes, order: int | None, socket: int) -> int:
        key = (peer, len(data), socket)
        least = self.latest.get(order, 0) if order is not None else 0
        same = [number for number, group in enumerate(self.groups) if group[0] == key]
        number = same[-1] if same else -1
        if not (
            number >= least
            and len(self.groups[number][1]) < self.group_max
            and (len(self.groups[number][1]) + 1) * len(data) <= 65_000
        ):
            self.groups.append((key, []))
            number = len(self.groups) - 1
        self.groups[number][1].append(data)
        if order is not None:
            self.latest[order] = number
        return number

    def clear(self) -> None:
        self.groups.clear()
        self.latest.clear()


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.one_of(messages, st.just("clear")), max_size=300),
    st.sampled_from([1, 2**32 - 2]),
)
def test_it_groups_as_the_model_does(group_max: int, steps: list, epoch: int) -> None:
    box, model = OutboxDoor(group_max), Model(group_max)
    box.set_epoch(epoch)
    sent: dict[int, list[bytes]] = {}
    for number, step in enumerate(steps):
        if step == "clear":
            check(box, model, sent)
            box.clear()
            model.clear()
            sent.clear()
            continue
        peer, length, order, socket = step
        data = str(number).encode().rjust(length, b".")[-length:] if length else b""
        group = box.commit(data, peer, order, socket)
        if group is None:
            continue
        assert group == model.commit(peer, data, order, socket)
        if order is not None and length > 4:
            sent.setdefault(order, []).append(data)
    check(box, model, sent)


def check(box: OutboxDoor, model: Model, sent: dict[int, list[bytes]]) -> None:
    groups = box.groups()
    assert groups == [(key[0], members) for key, members in model.groups]
    wire = [message for _, members in groups for message in members]
    for mine in sent.values():
        # No message of one sender overtakes another: they leave as they were committed.
        places = [wire.index(message) for message in mine]
        assert places == sorted(places)


def test_a_message_behind_its_sender_opens_a_new_group() -> None:
    box = OutboxDoor(32)
    assert box.commit(b"a" * 10, PEERS[0], order=1) == 0
    assert box.commit(b"b" * 20, PEERS[0], order=1) == 1
    assert box.commit(b"c" * 10, PEERS[0], order=2) == 0
    assert box.commit(b"d" * 10, PEERS[0], order=1) == 2     # not 0: it would overtake b
    assert box.commit(b"e" * 10, PEERS[0]) == 2              # nobody's: the latest that fits


def test_an_order_of_an_earlier_flush_binds_no_more() -> None:
    box = OutboxDoor(32)
    box.commit(b"a" * 10, PEERS[0])
    assert box.commit(b"b" * 20, PEERS[0], order=1) == 1
    box.clear()
    box.commit(b"a" * 10, PEERS[0])
    assert box.commit(b"c" * 10, PEERS[0], order=1) == 0


def test_group_max_one_keeps_every_message_by_itself() -> None:
    box = OutboxDoor(1)
    assert [box.commit(b"same", PEERS[0]) for _ in range(5)] == list(range(5))


@pytest.mark.parametrize(("wanted", "got"), [(0, 1), (1, 1), (32, 32), (64, 64), (1000, 64)])
def test_group_max_is_cut_to_what_kernels_take(wanted: int, got: int) -> None:
    assert OutboxDoor(wanted).group_max == got


def test_a_group_stays_below_one_datagram() -> None:
    box = OutboxDoor(64)
    numbers = [box.commit(b"x" * 1300, PEERS[0]) for _ in range(64)]
    assert numbers == [0] * 50 + [1] * 14


def test_it_is_full_after_256_messages() -> None:
    box = OutboxDoor(64)
    assert all(box.commit(b"%d" % (i % 7), PEERS[i % 5]) is not None for i in range(256))
    assert box.commit(b"x", PEERS[0]) is None
    box.clear()
    assert box.commit(b"x", PEERS[0]) == 0


def test_it_is_full_when_the_largest_message_would_not_fit() -> None:
    box = OutboxDoor(64)
    sizes = 0
    while box.commit(b"x" * 65_000, PEERS[0]) is not None:
        sizes += 1
    assert sizes == (1_048_576 - 65_507) // 65_000 + 1


def test_256_peers_have_a_group_each() -> None:
    box = OutboxDoor(64)
    for i in range(256):
        assert box.commit(b"x", b"127.0.0.1:%d" % (1024 + i)) == i


def test_filling_groups_what_can_be_grouped() -> None:
    assert OutboxDoor(32).fill(256, 32, [500]) == 8
    assert OutboxDoor(1).fill(600, 32, [500]) == 600
    assert OutboxDoor(32).fill(64, 1, [500, 400]) == 64      # one sender: its order allows none
    with pytest.raises(ValueError, match="1 to 64"):
        OutboxDoor().fill(1, 0, [1])


def test_what_cannot_be_sent_is_refused() -> None:
    box = OutboxDoor()
    with pytest.raises(ValueError, match="numeric"):
        box.commit(b"x", b"localhost:5060")
    with pytest.raises(ValueError, match="at most"):
        box.commit(b"x" * 65_508, PEERS[0])
    with pytest.raises(ValueError, match="order"):
        box.commit(b"x", PEERS[0], order=64)
