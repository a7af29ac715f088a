"""Failures with their datagrams, from engines that are played by hand."""

from types import SimpleNamespace

from siploadgen.run.tapes import SETTLE_NS, Failures

ORIGIN, EPOCH = 1000, 1_700_000_000_000_000_000
LATER = 1500 + 10 + SETTLE_NS    # a call that was due at 1500 has settled
LOCAL, PEER = ("192.0.2.10", 5070), ("192.0.2.20", 5060)


class Taped:
    """An engine with these failures to tell at each look, and this on its tape."""

    def __init__(self, looks, tape=None):
        self.looks, self.tape, self.asked = list(looks), tape or {}, []

    def failures(self):
        return self.looks.pop(0) if self.looks else []

    def taped(self, call_ids, since):
        self.asked.append((list(call_ids), since))
        return {one: [row for row in self.tape.get(one, ()) if row[0] >= since]
                for one in call_ids}


def worker(looks, tape=None, octets=1 << 18):
    return SimpleNamespace(engine=Taped(looks, tape), tape=octets, local=LOCAL)


def failed(name, due, *call_ids):
    return {"name": name, "due": due, "ended": due + 10, "call_ids": list(call_ids)}


def told(failures):
    return [one["name"] for one in failures]


def test_without_tapes_failures_are_handed_on_at_once():
    taken = Failures([worker([[failed("a", 1500, b"1")]], octets=0)], ORIGIN, EPOCH)
    one, = taken.take(1510)
    assert (one["due"], one["ended"]) == (500, 510)
    assert "datagrams" not in one


def test_with_a_tape_they_wait_for_what_follows():
    """An ACK that is written after its call has failed is there."""
    one = worker([[failed("a", 1500, b"1"), failed("b", 1501, b"2")], []],
                 {b"1": [(1500, True, PEER, b"INVITE")]})
    taken = Failures([one], ORIGIN, EPOCH)
    assert taken.take(LATER - 1) == []
    one.engine.tape[b"1"].append((1520, True, PEER, b"ACK"))
    first, = taken.take(LATER)
    assert [row.octets for row in first["datagrams"]] == [b"INVITE", b"ACK"]
    assert told(taken.take(LATER + 1)) == ["b"]
    assert taken.take(LATER + 2) == []
    assert one.engine.asked == [([b"1"], 1500), ([b"2"], 1501)]


def test_the_last_look_gives_all_in_order():
    taken = Failures([worker([[failed("a", 1500)], [failed("b", 1600)]]),
                      worker([[failed("c", 1500)], []])], ORIGIN, EPOCH)
    assert taken.take(1510) == []
    assert told(taken.take(1610, last=True)) == ["a", "b", "c"]
    assert taken.take(1610, last=True) == []


def test_times_and_addresses():
    one = worker([[failed("a", 1500, b"1")]], {b"1": [(1700, False, PEER, b"x")]})
    failure, = Failures([one], ORIGIN, EPOCH).take(1810, last=True)
    row, = failure["datagrams"]
    assert (row.at_ns, row.epoch_ns, row.sent) == (700, EPOCH + 700, False)
    assert (row.local, row.peer, row.octets) == (LOCAL, PEER, b"x")


def test_the_dialogs_of_a_call_are_in_one_order_of_time():
    one = worker([[failed("a", 1500, b"1", b"2")]], {
        b"1": [(1500, True, PEER, b"i"), (1900, True, PEER, b"iv")],
        b"2": [(1600, True, PEER, b"ii"), (1700, True, PEER, b"iii")]})
    failure, = Failures([one], ORIGIN, EPOCH).take(1810, last=True)
    assert [row.octets for row in failure["datagrams"]] == [b"i", b"ii", b"iii", b"iv"]


def test_what_a_user_did_before_is_another_calls():
    """Registrations of a user have one Call-ID; one datagram of two failures is one object."""
    one = worker([[failed("a", 1500, b"1"), failed("b", 1800, b"1")]], {
        b"1": [(1400, True, PEER, b"old"), (1500, True, PEER, b"i"), (1800, True, PEER, b"ii")]})
    first, second = Failures([one], ORIGIN, EPOCH).take(1810, last=True)
    assert [row.octets for row in first["datagrams"]] == [b"i", b"ii"]
    assert [row.octets for row in second["datagrams"]] == [b"ii"]
    assert second["datagrams"][0] is first["datagrams"][1]
