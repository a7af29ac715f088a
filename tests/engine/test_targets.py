"""Several targets: which one a call takes, and where its request goes when that one fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.drive import (
    MS,
    SECOND,
    Bench,
    Sent,
    caller,
    names,
    only,
    reply,
    times,
)
from tests.run.fake_engine import hist_index

A, B, C = ("192.0.2.20", 5060), ("192.0.2.21", 5060), ("192.0.2.22", 5080)
AT_B = "<sip:peer@192.0.2.21>"
MANY: dict[str, Any] = {"max_instances": 20_000, "max_transactions": 80_000}


def table(*targets: tuple[tuple[str, int], int, int]) -> list[tuple[str, int, int, int, int]]:
    """(address, priority, share) each; numbers in their order."""
    return [(*address, priority, share, number)
            for number, (address, priority, share) in enumerate(targets)]


IN_LINE = table((A, 1, 1), (B, 2, 1), (C, 3, 1))


def starts(bench: Bench, calls: int) -> list[Sent]:
    bench.engine.schedule(np.full(calls, bench.now, dtype=np.int64))
    return bench.run(bench.now)


def calls_at(bench: Bench) -> list[int]:
    counted = [int(count) for count in bench.engine.target_calls]
    assert not any(counted[3:])
    return counted[:3]


def challenge(nonce: str) -> str:
    return f'WWW-Authenticate: Digest realm="r", nonce="{nonce}", qop="auth", algorithm=MD5'


# --- choosing ---


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_hold_over_many_calls(seed: int) -> None:
    """1:3 on 10,000 calls: within four standard deviations (43 each) of 2,500."""
    bench = caller(targets=table((A, 7, 1), (B, 7, 3), (C, 8, 1000)), seed=seed, **MANY)
    sent = starts(bench, 10_000)
    share = sum(one.to == A for one in sent)
    assert abs(share - 2_500) < 174
    assert calls_at(bench) == [share, 10_000 - share, 0]
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_the_same_seed_chooses_the_same() -> None:
    one, other = ([sent.to for sent in starts(caller(targets=table((A, 1, 1), (B, 1, 1)), seed=5),
                                              100)] for _ in range(2))
    assert one == other
    assert {A, B} == set(one)


def test_a_single_target_takes_all() -> None:
    bench = caller()
    assert {sent.to for sent in starts(bench, 20)} == {bench.peer}
    assert calls_at(bench) == [20, 0, 0]
    bench.drain()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1000)), min_size=1, max_size=16))
def test_only_the_best_priority_is_chosen(rows: list[tuple[int, int]]) -> None:
    targets = [("192.0.2.20", 5060 + number, priority, share, number)
               for number, (priority, share) in enumerate(rows)]
    best = min(priority for priority, _ in rows)
    bench = caller(targets=targets)
    for sent in starts(bench, 10):
        assert rows[sent.to[1] - 5060][0] == best


def test_a_call_stays_with_its_target() -> None:
    """A Contact that is no address: ACK and BYE follow the INVITE, not the table."""
    bench = caller(targets=table((A, 1, 1), (B, 1, 1)), settings={"hold": "1s"})
    for _ in range(20):
        invite = bench.start()
        ack = only(bench.feed(reply(invite, 200, contact="<sip:peer@name.example>"), invite.to))
        bye = only(bench.wait(SECOND))
        assert (ack.to, bye.to) == (invite.to, invite.to)
        bench.feed(reply(bye, 200), bye.to)
    assert bench.outcomes == {"succeeded": 20}
    assert sum(calls_at(bench)) == 20
    bench.drain()


def test_a_challenge_is_answered_where_it_came_from() -> None:
    bench = caller("register", users=4, targets=table((A, 1, 1), (B, 1, 1)))
    for _ in range(10):
        first = bench.start()
        second = only(bench.feed(reply(first, 401, headers=[challenge("n")]), first.to))
        assert second.to == first.to
        third = only(bench.feed(reply(second, 200, headers=["Contact: <sip:x@192.0.2.10>"]),
                                first.to))
        assert third.to == first.to
        bench.feed(reply(third, 200), first.to)
    bench.drain()


# --- failing over ---


def test_a_503_moves_the_call_on() -> None:
    bench = caller(targets=IN_LINE, settings={"hold": "1s"})
    first = bench.start()
    bench.wait(40 * MS)
    ack, second = bench.feed(reply(first, 503), A)
    assert (first.to, ack.to, second.to) == (A, A, B)
    assert names([ack, second]) == ["ACK", "INVITE"]
    assert second.branch != first.branch
    assert ack.branch == first.branch
    for name in ("From", "To", "Call-ID", "CSeq", "Contact"):
        assert second.header(name) == first.header(name)    # RFC 3263 4.3: identical but for Via
    assert second.uri == first.uri
    bench.wait(10 * MS)
    ack = only(bench.feed(reply(second, 200, contact=AT_B), B))
    assert (ack.to, ack.cseq) == (B, second.cseq)
    bye = only(bench.wait(SECOND))
    assert bye.cseq == second.cseq + 1
    bench.feed(reply(bye, 200), B)
    assert bench.outcomes == {"succeeded": 1}
    assert bench.count("failover") == 1
    assert calls_at(bench) == [1, 1, 0]
    bench.drain()


def test_the_clock_runs_on_from_the_due_time() -> None:
    bench = caller("options", targets=IN_LINE)
    first = bench.start()
    bench.wait(40 * MS)
    second = only(bench.feed(reply(first, 503), A))
    bench.wait(10 * MS)
    bench.feed(reply(second, 200), B)
    clock = bench.engine.histograms[2]
    assert clock.sum() == 1
    assert clock[hist_index(50_000)] == 1       # microseconds
    bench.drain()


def test_the_answer_of_the_server_before_changes_nothing() -> None:
    bench = caller("options", targets=IN_LINE)
    first = bench.start()
    second = only(bench.feed(reply(first, 503), A))
    assert bench.feed(reply(first, 503), A) == []
    assert bench.feed(reply(first, 200), A) == []
    assert bench.outcomes == {}
    bench.feed(reply(second, 200), B)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_every_target_once_then_the_call_fails() -> None:
    bench = caller(targets=IN_LINE)
    sent = bench.start()
    seen = []
    for _ in range(3):
        seen.append(sent.to)
        sent = bench.feed(reply(sent, 503), sent.to)[-1]
    assert seen == [A, B, C]
    assert sent.name == "ACK"
    assert bench.outcomes == {"rejected": 1}
    assert bench.count("failover") == 2
    failure = only(bench.engine.failures())
    assert failure["status"] == 503
    assert [one["what"] for one in failure["ladder"]] == ["sent", "received"] * 3
    bench.drain()


def test_an_icmp_error_moves_the_call_on() -> None:
    bench = caller(targets=IN_LINE, settings={"hold": "1s"})
    first = bench.start()
    bench.engine.transport_error(first.data, bench.now)
    second = only(bench._take())
    assert (second.to, second.header("CSeq")) == (B, first.header("CSeq"))
    ack = only(bench.feed(reply(second, 200, contact=AT_B), B))
    assert ack.to == B
    assert bench.count("transport_errors") == 1
    assert bench.count("failover") == 1
    bench.engine.transport_error(first.data, bench.now)     # late: its transaction is over
    assert bench._take() == []
    bench.run(SECOND)
    bench.feed(reply(bench.wire[-1], 200), B)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_silence_moves_the_request_on() -> None:
    bench = caller("options", targets=IN_LINE)
    bench.start()
    bench.run(40 * SECOND)
    moved = [one for one in bench.wire if one.to == B]
    assert moved[0].at == 32 * SECOND
    assert len({one.branch for one in moved}) == 1
    bench.feed(reply(moved[0], 200), B)
    assert bench.outcomes == {"succeeded": 1}
    assert times(bench.wire, "OPTIONS")[:3] == [0, 0.5, 1.5]
    bench.drain()


def test_silence_after_a_first_answer_is_no_reason() -> None:
    """RFC 3263 4.3: only a server from which nothing came at all has failed."""
    bench = caller("options", targets=IN_LINE)
    bench.feed(reply(bench.start(), 100), A)
    bench.drain()
    assert {one.to for one in bench.wire} == {A}
    assert bench.outcomes == {"timeout": 1}
    assert bench.count("failover") == 0


@pytest.mark.parametrize("status", [302, 404, 486, 500, 504, 600])
def test_other_refusals_stay(status: int) -> None:
    bench = caller(targets=IN_LINE)
    assert names(bench.feed(reply(bench.start(), status), A)) == ["ACK"]
    assert bench.outcomes == {"rejected": 1}
    bench.drain()


def test_a_request_inside_a_dialog_stays() -> None:
    bench = caller(targets=IN_LINE, settings={"hold": "1s"})
    bench.feed(reply(bench.start(), 200), A)
    bye = only(bench.wait(SECOND))
    assert bench.feed(reply(bye, 503), A) == []
    assert bench.count("failover") == 0
    bench.drain()


def test_what_an_early_dialog_left_is_forgotten() -> None:
    bench = caller(targets=IN_LINE, settings={"hold": "1s"})
    first = bench.start()
    bench.feed(reply(first, 180, tag="early", headers=["Record-Route: <sip:192.0.2.99;lr>"]), A)
    ack, second = bench.feed(reply(first, 503, tag="early"), A)
    assert second.to == B
    assert second.tag("To") == ""
    assert second.headers("Route") == []
    assert ack.tag("To") == "early"
    ack = only(bench.feed(reply(second, 200, tag="other", contact=AT_B), B))
    assert (ack.tag("To"), ack.to, ack.headers("Route")) == ("other", B, [])
    bye = only(bench.wait(SECOND))
    bench.feed(reply(bye, 200), B)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_call_that_hangs_up_goes_nowhere_else() -> None:
    bench = caller(targets=IN_LINE)
    invite = bench.start()
    bench.feed(reply(invite, 180), A)
    bench.engine.hang_up()
    assert names(bench.run(bench.now)) == ["CANCEL"]
    assert names(bench.feed(reply(invite, 503), A)) == ["ACK"]
    assert bench.count("failover") == 0
    bench.feed(reply(bench.wire[1], 200), A)
    bench.drain()


def test_with_one_target_a_503_is_a_refusal() -> None:
    bench = caller()
    assert names(bench.feed(reply(bench.start(), 503))) == ["ACK"]
    assert bench.outcomes == {"rejected": 1}
    bench.drain()


def test_memory_that_is_used_up_ends_the_call() -> None:
    bench = caller("options", targets=IN_LINE, max_transactions=1)
    assert bench.feed(reply(bench.start(), 503), A) == []
    assert bench.outcomes == {"rejected": 1}
    assert bench.count("slab_full") == 1
    bench.drain()


def test_the_next_server_may_challenge_too() -> None:
    """The credentials go along, for it may be of the same domain; if not, it asks anew."""
    bench = caller("register", users=1, targets=IN_LINE)
    first = bench.start()
    second = only(bench.feed(reply(first, 401, headers=[challenge("a")]), A))
    third = only(bench.feed(reply(second, 503), A))
    assert third.to == B
    assert 'nonce="a"' in third.header("Authorization")
    assert "nc=00000002" in third.header("Authorization")
    fourth = only(bench.feed(reply(third, 401, headers=[challenge("b")]), B))
    assert fourth.to == B
    assert 'nonce="b"' in fourth.header("Authorization")
    assert fourth.cseq == third.cseq + 1 == second.cseq + 1
    fifth = only(bench.feed(reply(fourth, 200, headers=["Contact: <sip:x@192.0.2.10>"]), B))
    bench.feed(reply(fifth, 200), B)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_registration_stays_while_the_table_changes() -> None:
    bench = caller("register", users=1)
    first = bench.start()
    assert bench.engine.set_targets([(*B, 0, 1, 1)])
    bench.engine.advance(bench.now)
    second = only(bench.feed(reply(first, 200, headers=["Contact: <sip:x@192.0.2.10>"]), A))
    assert second.to == A
    bench.feed(reply(second, 200), A)
    assert bench.start().to == B
    assert calls_at(bench) == [1, 1, 0]
    bench.drain()


# --- leaving out ---


def fail(bench: Bench, *headers: str) -> None:
    """A call that A refuses and B takes."""
    first = bench.start()
    assert first.to == A
    second = bench.feed(reply(first, 503, headers=headers), A)[-1]
    bench.feed(reply(second, 200), second.to)


@pytest.mark.parametrize(("headers", "seconds"), [
    ((), 30), (("Retry-After: 7",), 7), (("Retry-After: 120 (maintenance);duration=60",), 120),
    (("Retry-After: soon",), 30), (("Retry-After: 99999999999",), 86400),
])
def test_a_target_that_failed_is_left_out_for_a_while(headers: tuple[str, ...],
                                                      seconds: int) -> None:
    bench = caller("options", targets=IN_LINE)
    fail(bench, *headers)
    bench.run(bench.now + seconds * SECOND - 1)
    second = bench.start()
    assert second.to == B
    bench.feed(reply(second, 200), B)
    bench.wait(1)
    third = bench.start()
    assert third.to == A
    bench.feed(reply(third, 200), A)
    bench.drain()


def test_never_all_of_them() -> None:
    bench = caller("options", targets=IN_LINE)
    sent = bench.start()
    for _ in range(3):
        back = bench.feed(reply(sent, 503), sent.to)
        sent = back[-1] if back else sent
    assert bench.outcomes == {"rejected": 1}
    again = bench.start()
    assert again.to == A                        # all are out: as if none were
    again = only(bench.feed(reply(again, 503), A))
    assert again.to == B
    bench.feed(reply(again, 200), B)
    assert bench.outcomes == {"rejected": 1, "succeeded": 1}
    bench.drain()


# --- another table ---


def test_another_table_is_for_calls_that_start_later() -> None:
    bench = caller(targets=table((A, 1, 1), (B, 2, 1)), settings={"hold": "1s"})
    old = bench.start()
    assert bench.engine.set_targets([(*C, 1, 1, 2), (*B, 2, 1, 1)])
    assert not bench.engine.set_targets([(*A, 1, 1, 0)])    # the one before is not taken yet
    new = bench.start()
    assert (old.to, new.to) == (A, C)
    ack = only(bench.feed(reply(old, 200, contact="<sip:peer@name.example>"), A))
    assert ack.to == A
    bench.feed(reply(new, 200), C)
    for bye in bench.wait(SECOND):
        bench.feed(reply(bye, 200), bye.to)
    assert bench.outcomes == {"succeeded": 2}
    assert calls_at(bench) == [1, 0, 1]
    bench.drain()


def test_a_target_stays_left_out_in_another_table() -> None:
    bench = caller("options", targets=table((A, 1, 1), (B, 2, 1)))
    fail(bench)
    assert bench.engine.set_targets(IN_LINE)
    sent = bench.start()
    assert sent.to == B
    bench.feed(reply(sent, 200), B)
    bench.drain()


def test_a_request_whose_target_is_gone_moves_on() -> None:
    bench = caller("options", targets=IN_LINE)
    first = bench.start()
    assert bench.engine.set_targets([(*B, 1, 1, 1), (*C, 1, 1, 2)])
    bench.wait(MS)
    bench.engine.advance(bench.now)
    second = only(bench.feed(reply(first, 503), A))
    assert second.to in (B, C)
    bench.feed(reply(second, 200), second.to)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


@pytest.mark.parametrize("targets", [
    [(*A, 1, 1, number) for number in range(17)], [(*A, -1, 1, 0)], [(*A, 65536, 1, 0)],
    [(*A, 1, 0, 0)], [(*A, 1, 1, 64)], [("a.example", 5060, 1, 1, 0)],
])
def test_a_wrong_table_is_refused(targets: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"target|numeric"):
        caller(targets=targets)
    bench = caller()
    with pytest.raises(ValueError, match=r"target|numeric"):
        bench.engine.set_targets(targets)
    with pytest.raises(ValueError, match="targets"):
        bench.engine.set_targets([])
    assert bench.start().to == bench.peer
    bench.drain()
