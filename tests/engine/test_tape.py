"""An engine with a tape: which datagrams are found again, and of which call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.drive import (
    MS,
    PEER,
    SECOND,
    Bench,
    answerer,
    ask,
    caller,
    only,
    reply,
    scenario,
)

TAPE = 1 << 18
STRANGER = ("192.0.2.66", 5099)
Row = tuple[int, bool, tuple[str, int], bytes]


def failure_of(bench: Bench) -> dict[str, Any]:
    return only(bench.engine.failures())


def rows_of(bench: Bench, failure: dict[str, Any]) -> list[Row]:
    found = bench.engine.taped(failure["call_ids"], failure["due"])
    assert list(found) == failure["call_ids"]
    return [row for rows in found.values() for row in rows]


def test_a_refused_call_is_there_from_the_invite_to_its_ack() -> None:
    bench = caller(tape=TAPE)
    bench.run(SECOND)
    invite = bench.start()
    bench.wait(100 * MS)
    bench.feed(reply(invite, 180))
    bench.wait(150 * MS)
    ack = only(bench.feed(reply(invite, 486), STRANGER))
    failure = failure_of(bench)
    assert failure["call_ids"] == [invite.header("Call-ID").encode()]
    assert rows_of(bench, failure) == [
        (SECOND, True, PEER, invite.data),
        (SECOND + 100 * MS, False, PEER, reply(invite, 180).encode()),
        (SECOND + 250 * MS, False, STRANGER, reply(invite, 486).encode()),
        (SECOND + 250 * MS, True, PEER, ack.data)]
    bench.drain()


def test_repeats_are_there_each_time() -> None:
    bench = caller("options", tape=TAPE)
    bench.start()
    bench.drain()
    rows = rows_of(bench, failure_of(bench))
    assert [row[0] / SECOND for row in rows] == [
        0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [row[3] for row in rows] == [one.data for one in bench.wire]


def test_the_answering_side_names_the_call_id_of_its_peer() -> None:
    bench = answerer(tape=TAPE)
    bench.feed(ask())
    bench.wait(SECOND)
    sent = next(one.data for one in bench.wire if one.name == "200/INVITE")
    bench.wait(80 * SECOND)                     # no ACK comes
    failure = failure_of(bench)
    assert failure["role"] == "answerer"
    assert failure["call_ids"] == [b"one@192.0.2.20"]
    rows = rows_of(bench, failure)
    assert rows[0] == (0, False, PEER, ask().encode())
    assert [row[3] for row in rows if row[1]] == [one.data for one in bench.wire]
    assert sent in [row[3] for row in rows]


def test_each_leg_of_a_call_has_its_call_id() -> None:
    def two(c: Any) -> None:
        c.options()
        c.expect(200)
        c.options(leg="other")
        c.expect(200, leg="other")

    bench = scenario(two, tape=TAPE)
    first = bench.start()
    second = only(bench.feed(reply(first, 200)))
    bench.feed(reply(second, 404))
    failure = failure_of(bench)
    assert sorted(failure["call_ids"]) == sorted(
        one.header("Call-ID").encode() for one in (first, second))
    assert len(rows_of(bench, failure)) == 4


def test_a_registration_is_found_by_the_call_id_of_its_user() -> None:
    """Which all registrations of a user have: those of before are left out by their time."""
    bench = caller("register", users=1, settings={"remove": "no"}, tape=TAPE)
    first = bench.start()
    bench.feed(reply(first, 200, headers=[f"Contact: {first.header('Contact')};expires=60"]))
    bench.wait(40 * SECOND)
    again = bench.start()
    assert again.header("Call-ID") == first.header("Call-ID")
    bench.feed(reply(again, 403))
    failure = failure_of(bench)
    assert failure["call_ids"][0] == again.header("Call-ID").encode()
    rows = bench.engine.taped(failure["call_ids"][:1], failure["due"])
    assert [row[3] for row in rows[failure["call_ids"][0]]] == [
        again.data, reply(again, 403).encode()]
    assert len(bench.engine.taped(failure["call_ids"][:1])[failure["call_ids"][0]]) == 4


def test_a_tape_forgets_what_is_older_than_its_size() -> None:
    bench = caller(tape=TAPE)
    invite = bench.start()
    bench.feed(reply(invite, 180))
    call_id = invite.header("Call-ID").encode()
    assert len(bench.engine.taped([call_id])[call_id]) == 2
    noise = b"OPTIONS " + b"x" * 60_000
    for _ in range(2 * TAPE // 60_000):
        bench.feed(noise)
    assert bench.engine.taped([call_id]) == {call_id: []}
    bench.feed(reply(invite, 486))
    rows = rows_of(bench, failure_of(bench))
    assert [row[3][:12] for row in rows] == [b"SIP/2.0 486 ", b"ACK sip:serv"]


def test_what_is_no_sip_and_whose_call_is_another_is_left_out() -> None:
    bench = caller(tape=TAPE)
    invite = bench.start()
    bench.feed(b"\r\n\r\n")
    bench.feed(b"\x00" * 4)
    bench.feed(reply(invite, 404, call_id="other@192.0.2.20"))
    call_id = invite.header("Call-ID").encode()
    assert [row[3] for row in bench.engine.taped([call_id])[call_id]] == [invite.data]
    assert bench.engine.taped([b"nobody"]) == {b"nobody": []}
    assert bench.engine.taped([]) == {}


def test_without_a_tape_nothing_is_kept() -> None:
    bench = caller()
    invite = bench.start()
    call_id = invite.header("Call-ID").encode()
    assert bench.engine.taped([call_id]) == {call_id: []}
    assert bench.engine.memory()["tape"] == 0


@pytest.mark.parametrize(("asked", "given"), [
    (1, TAPE), (TAPE, TAPE), (TAPE + 1, 2 * TAPE), (1 << 24, 1 << 24)])
def test_the_size_is_raised_to_a_power_of_two(asked: int, given: int) -> None:
    assert caller(tape=asked).engine.memory()["tape"] == given


def test_a_tape_beyond_measure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 1073741824"):
        caller(tape=2**30 + 1)


def test_other_call_ids_than_octets_are_refused() -> None:
    with pytest.raises(TypeError):
        caller(tape=TAPE).engine.taped(["text"])  # type: ignore[list-item]
