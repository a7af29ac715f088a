"""The tape against a dumb model: a deque of blocks."""

import threading
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from siploadgen.core.tape import TapeDoor

BLOCK, BLOCKS = 256, 4
HEAD = 40
PEER = b"192.0.2.20:5060"


def footprint(data):
    return HEAD + (len(data) + 7) // 8 * 8


class Model:
    """Blocks of records; entering a new one gives the oldest up."""

    def __init__(self, block=BLOCK, blocks=BLOCKS):
        self.block = block
        self.blocks = deque([[]], maxlen=blocks)
        self.used = 0
        self.dropped = 0

    def write(self, record):
        need = footprint(record[3])
        if need > self.block:
            self.dropped += 1
            return
        if self.used + need > self.block:
            self.blocks.append([])
            self.used = 0
        self.used += need
        self.blocks[-1].append(record)

    @property
    def records(self):
        return [record for block in self.blocks for record in block]


class TapeMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.tape = TapeDoor(BLOCK * BLOCKS, BLOCK)
        self.model = Model()
        self.when = 0

    @rule(data=st.binary(max_size=240), sent=st.booleans(), step=st.integers(0, 5),
          peer=st.sampled_from([b"192.0.2.20:5060", b"[2001:db8::1]:5080", b"127.0.0.1:1"]))
    def write(self, data, sent, step, peer):
        self.when += step
        self.tape.write(self.when, sent, peer, data)
        self.model.write((self.when, sent, peer, data))

    @rule(size=st.sampled_from([0, 8, 24, 216]))
    def write_to_the_end_of_a_block(self, size):
        self.write(b"x" * size, True, 1, PEER)

    @invariant()
    def agrees(self):
        assert self.tape.read() == self.model.records
        assert self.tape.dropped == self.model.dropped


TestTapeModel = TapeMachine.TestCase
TestTapeModel.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def test_the_oldest_block_is_given_up_before_it_is_written_over():
    tape = TapeDoor(2 * 128, 128)
    data = [b"%04d" % number * 6 for number in range(6)]        # two records fill a block
    for number, one in enumerate(data):
        tape.write(number, True, PEER, one)
    assert [one[3] for one in tape.read()] == data[2:]          # 4 and 5 are where 0 and 1 were
    tape.write(6, True, PEER, b"")
    assert [one[0] for one in tape.read()] == [4, 5, 6]


def test_what_no_block_has_room_for_is_counted():
    tape = TapeDoor(2 * 128, 128)
    tape.write(1, True, PEER, b"x" * 88)
    tape.write(2, True, PEER, b"x" * 89)
    assert [one[0] for one in tape.read()] == [1]
    assert tape.dropped == 1


def test_any_datagram_fits_a_block_of_an_engine():
    tape = TapeDoor(1 << 18)
    tape.write(1, False, PEER, b"x" * 65_535)
    tape.write(2, False, PEER, b"y" * 65_535)
    assert [(one[0], len(one[3])) for one in tape.read()] == [(1, 65_535), (2, 65_535)]
    assert tape.dropped == 0


@pytest.mark.parametrize(("capacity", "block"), [
    (256, 256), (0, 128), (300, 100), (384, 128), (1024, 32), (1 << 18, 1 << 18)])
def test_sizes_are_powers_of_two(capacity, block):
    with pytest.raises(ValueError, match="powers of two"):
        TapeDoor(capacity, block)


def test_a_peer_is_an_address():
    with pytest.raises(ValueError, match="no numeric address"):
        TapeDoor(256, 128).write(1, True, b"example.com", b"")


def test_a_reader_beside_the_writer_sees_whole_records_in_a_row():
    """Each record says its number and length: a torn one, or a gap, would show."""
    records = 60_000
    tape = TapeDoor(4 * 1024, 1024)
    over = threading.Event()
    seen = []

    def data(number):
        return (b"%08d" % number) * (1 + number % 40)

    def write():
        for number in range(records):
            tape.write(number, bool(number % 2), PEER, data(number))
        over.set()

    def read():
        while not over.is_set():
            found = tape.read()
            seen.append(len(found))
            for before, after in pairwise(found):
                assert after[0] == before[0] + 1
            for when, sent, peer, octets in found:
                assert (sent, peer, octets) == (bool(when % 2), PEER, data(when))

    faults = []

    def kept(work):
        try:
            work()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=kept, args=(work,), daemon=True) for work in (write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    assert faults == []
    assert [one[0] for one in tape.read()][-1] == records - 1
    assert any(seen)


def message(call_id, text="OPTIONS sip:a@b SIP/2.0", name="Call-ID"):
    return (f"{text}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
            f"To: <sip:b@a>\r\n{name}: {call_id}\r\nCSeq: 1 OPTIONS\r\n\r\n").encode()


def test_calls_are_found_by_their_call_id():
    tape = TapeDoor(1 << 18)
    tape.write(50, True, PEER, message("one@a"))
    tape.write(40, False, PEER, message("two@a", "SIP/2.0 200 OK", name="i"))
    tape.write(60, False, PEER, b"\r\n\r\n")
    tape.write(70, False, PEER, b"\x00\x01\x00\x00!\x12\xa4Babcdefghijkl")
    tape.write(80, True, PEER, message("other@a"))
    tape.write(90, False, PEER, message("one@a").replace(b"To: <sip:b@a>\r\n", b""))
    assert tape.calls([b"one@a", b"two@a", b"absent"]) == [
        (1, 40, False, message("two@a", "SIP/2.0 200 OK", name="i")),
        (0, 50, True, message("one@a")),
        (0, 90, False, message("one@a").replace(b"To: <sip:b@a>\r\n", b""))]
    assert [one[1] for one in tape.calls([b"one@a", b"two@a"], 50)] == [50, 90]
    assert tape.calls([]) == []
    assert tape.calls([b"ONE@a"]) == []


@given(wanted=st.lists(st.integers(0, 300), max_size=60),
       written=st.lists(st.integers(0, 300), max_size=120))
@settings(deadline=None, max_examples=50)
def test_any_set_of_calls(wanted, written):
    tape = TapeDoor(1 << 18)
    for when, number in enumerate(written):
        tape.write(when, True, PEER, message(f"{number}@a"))
    found = tape.calls([b"%d@a" % number for number in wanted])
    first = {number: wanted.index(number) for number in wanted}
    assert [(place, when) for place, when, _, _ in found] == [
        (first[number], when) for when, number in enumerate(written) if number in first]
