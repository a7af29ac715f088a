"""Retransmission schedules as they are seen on the wire, and how long finished transactions live.

Vectors: RFC 3261 17 and 13.3.1.4 with RFC 6026; every instant is exact.
"""

from __future__ import annotations

import pytest

from tests.engine.drive import (
    MS,
    SECOND,
    Bench,
    answerer,
    ask,
    caller,
    names,
    only,
    reply,
    talking,
    times,
    within,
)

A = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
E = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def transactions(bench: Bench) -> int:
    return int(bench.engine.census()["transactions"])


def ends_at(bench: Bench) -> float:
    """Seconds until the last record is gone, by the engine's own events."""
    assert any(bench.engine.census().values())
    while any(bench.engine.census().values()):
        bench.run(bench.engine.next_event())
    return bench.now / SECOND


# --- client side ---

def test_invite_without_answer() -> None:
    bench = caller()
    bench.start()
    bench.run(32 * SECOND - 1)
    assert times(bench.wire, "INVITE") == A
    assert bench.outcomes == {}
    bench.run(32 * SECOND)
    assert bench.outcomes == {"timeout": 1}
    bench.drain()
    assert times(bench.wire, "INVITE") == A
    assert bench.count("retransmitted") == 6
    assert bench.engine.sent_requests[1] == 7


@pytest.mark.parametrize(("model", "method"), [("register", "REGISTER"), ("options", "OPTIONS")])
def test_other_request_without_answer(model: str, method: str) -> None:
    bench = caller(model, users=3 if model == "register" else 0)
    bench.start()
    bench.run(32 * SECOND - 1)
    assert bench.outcomes == {}
    bench.drain()
    assert times(bench.wire, method) == E
    assert bench.now == 32 * SECOND
    assert bench.outcomes == {"timeout": 1}


def test_bye_without_answer() -> None:
    bench = caller()
    bench.start()
    bench.run(100 * MS)
    assert names(bench.feed(reply(bench.wire[0], 200))) == ["ACK", "BYE"]
    bench.run(32 * SECOND + 100 * MS - 1)
    assert bench.outcomes == {}
    bench.run(32 * SECOND + 100 * MS)
    assert times(bench.wire, "BYE") == pytest.approx([0.1 + at for at in E], abs=1e-9)
    assert bench.outcomes == {"timeout": 1}
    bench.drain()


@pytest.mark.parametrize(("t1", "t2"), [(100, 4000), (250, 1000), (1000, 2000), (500, 500)])
def test_other_timer_settings(t1: int, t2: int) -> None:
    """64 * T1 for B and F, doubling without a cap for A, capped at T2 for E."""
    for model, method, cap in (("call", "INVITE", 10**9), ("options", "OPTIONS", t2)):
        bench = caller(model, t1=t1 * MS, t2=t2 * MS)
        bench.start()
        bench.drain()
        expected, at, gap = [0], t1, t1
        while at < 64 * t1:
            expected.append(at)
            gap = min(2 * gap, cap)
            at += gap
        assert [round(at * 1000) for at in times(bench.wire, method)] == expected
        assert bench.now == 64 * t1 * MS
        assert bench.outcomes == {"timeout": 1}


def test_a_provisional_response_stops_the_invite() -> None:
    bench = caller(settings={"ring_limit": "0s"})
    invite = bench.start()
    bench.run(2 * SECOND)
    bench.feed(reply(invite, 100))
    bench.run(600 * SECOND)             # Proceeding has no end (RFC 3261 17.1.1.2)
    assert times(bench.wire, "INVITE") == [0, 0.5, 1.5]
    assert bench.engine.in_progress == 1
    assert names(bench.feed(reply(invite, 200))) == ["ACK", "BYE"]
    bench.feed(reply(bench.wire[-1], 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize(("at", "expected"), [
    # the timer that runs is not moved; from its next firing on the gaps are T2 (17.1.2.2)
    (0.2, [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]),
    (2.0, [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]),
])
def test_a_provisional_response_slows_other_requests(at: float, expected: list[float]) -> None:
    bench = caller("options")
    options = bench.start()
    bench.run(int(at * SECOND))
    bench.feed(reply(options, 100))
    bench.drain()
    assert times(bench.wire, "OPTIONS") == expected
    assert bench.now == 32 * SECOND
    assert bench.outcomes == {"timeout": 1}


# --- server side ---

def test_a_2xx_without_ack_is_repeated_then_bye() -> None:
    """RFC 3261 13.3.1.4: 64*T1, then the dialog is ended by a BYE."""
    bench = answerer()
    assert names(bench.feed(ask())) == ["180/INVITE", "200/INVITE"]
    bench.run(32 * SECOND)
    assert times(bench.wire, "200/INVITE") == E
    assert times(bench.wire, "BYE") == [32]
    assert len({one.data for one in bench.wire if one.name == "200/INVITE"}) == 1
    bench.feed(reply(bench.wire[-1], 200))
    bench.drain()
    assert bench.answered == {"no_ack": 1}


def test_the_ack_stops_the_2xx() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    bench.run(2 * SECOND)
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bench.run(60 * SECOND)
    assert times(bench.wire, "200/INVITE") == [0, 0.5, 1.5]
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_refusal_without_ack_is_repeated_until_h() -> None:
    bench = answerer(reject="486:100%")
    assert names(bench.feed(ask())) == ["486/INVITE"]
    assert ends_at(bench) == 32
    assert times(bench.wire, "486/INVITE") == E
    assert len({one.data for one in bench.wire}) == 1


def test_the_ack_stops_a_refusal() -> None:
    bench = answerer(reject="486:100%")
    no = only(bench.feed(ask()))
    bench.run(2 * SECOND)
    assert not bench.feed(within(no, "ACK", cseq=1, branch="z9hG4bKone"))
    assert transactions(bench) == 1             # Confirmed absorbs further ACKs for T4
    assert ends_at(bench) == 7
    assert times(bench.wire, "486/INVITE") == [0, 0.5, 1.5]


def test_server_timers_follow_t1_and_t2() -> None:
    bench = answerer(reject="486:100%", t1=100 * MS, t2=400 * MS)
    bench.feed(ask())
    assert ends_at(bench) == 6.4
    ms = [round(1000 * at) for at in times(bench.wire, "486/INVITE")]
    assert ms == [0, 100, 300, *range(700, 6400, 400)]


# --- how long a finished transaction is remembered ---

def finished(machine: str, **options: int) -> Bench:
    """A transaction that has just finished, at t = 1 s, and that alone."""
    if machine == "K":
        bench = caller("options", **options)
        options_sent = bench.start()
        bench.run(SECOND)
        bench.feed(reply(options_sent, 200))
    elif machine == "D":
        bench = caller(**options)
        invite = bench.start()
        bench.run(SECOND)
        assert names(bench.feed(reply(invite, 486))) == ["ACK"]
    elif machine == "M":
        bench = caller(**options)
        bench.start()
        bench.run(SECOND)
        bench.feed(reply(bench.wire[0], 200))
        bench.feed(reply(bench.wire[-1], 481))
    elif machine == "J":
        bench = answerer(**options)
        bench.run(SECOND)
        bench.feed(ask("OPTIONS"))
    elif machine == "L":
        bench = answerer(**options)
        bench.run(SECOND)
        ok = bench.feed(ask())[-1]
        bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
        bench.feed(within(ok, "BYE"))
    else:
        bench = answerer(reject="486:100%", **options)
        bench.run(SECOND)
        no = only(bench.feed(ask()))
        bench.feed(within(no, "ACK", cseq=1, branch="z9hG4bKone"))
    return bench


LIVES = {"K": 5.0, "D": 32.0, "M": 32.0, "J": 32.0, "L": 32.0, "I": 5.0}


@pytest.mark.parametrize("machine", LIVES)
def test_how_long_a_finished_transaction_lives(machine: str) -> None:
    bench = finished(machine)
    assert bench.engine.census()["instances"] == 0
    assert ends_at(bench) == 1 + LIVES[machine]
    bench.drain()


@pytest.mark.parametrize("machine", LIVES)
def test_lives_with_other_timers(machine: str) -> None:
    """64*T1 for J, L and M; T4 for I and K; D is at least 32 s whatever T1 is (17.1.1.2)."""
    bench = finished(machine, t1=100 * MS, t4=2 * SECOND)
    assert ends_at(bench) == 1 + {"K": 2, "I": 2, "D": 32}.get(machine, 6.4)


@pytest.mark.parametrize("machine", LIVES)
@pytest.mark.parametrize("linger", [0, 250 * MS, 3 * SECOND])
def test_lives_with_a_short_linger(machine: str, linger: int) -> None:
    bench = finished(machine, linger=linger)
    if linger == 0:
        assert not any(bench.engine.census().values())
    else:
        assert ends_at(bench) == pytest.approx(1 + linger / SECOND)
    bench.drain()


def test_no_linger_keeps_what_is_not_finished() -> None:
    """A 2xx that waits for its ACK, and a refusal that does, are not finished."""
    for reject, name in (("", "200/INVITE"), ("486:100%", "486/INVITE")):
        bench = answerer(reject=reject, linger=0)
        bench.feed(ask())
        bench.drain()
        assert times(bench.wire, name) == E


def test_a_linger_cut_by_memory_is_counted() -> None:
    """Linger auto: above three quarters of the slab finished transactions are forgotten at once."""
    bench = answerer(max_transactions=8)
    for number in range(40):
        sent = bench.feed(ask("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"{number}"))
        assert names(sent) == ["200/OPTIONS"]
    assert bench.count("linger_cut") > 0
    assert bench.count("slab_full") == 0
    bench.drain()


def test_linger_is_cut_for_whole_calls_too() -> None:
    """The INVITE of an acknowledged call lives for L; under pressure it must not fill the slab."""
    bench = answerer(max_transactions=8)
    for number in range(40):
        ok = bench.feed(ask(branch=f"z9hG4bKi{number}", call_id=f"{number}"))[-1]
        assert ok.name == "200/INVITE", number
        bench.feed(within(ok, "ACK", cseq=1, branch=f"z9hG4bKa{number}"))
        assert names(bench.feed(within(ok, "BYE", branch=f"z9hG4bKb{number}"))) == ["200/BYE"]
    assert bench.count("slab_full") == 0
    assert bench.answered == {"succeeded": 40}
    bench.drain()


def test_linger_is_cut_at_the_calling_side_too() -> None:
    bench = caller(max_transactions=8)
    for _ in range(40):
        bench.start()
        bench.feed(reply(bench.wire[-1], 200))
        bench.feed(reply(bench.wire[-1], 200))
    assert bench.outcomes == {"succeeded": 40}
    bench.drain()


def test_a_cancel_without_answer() -> None:
    """The CANCEL is repeated as any other request; its INVITE ends 64*T1 later (9.1)."""
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.run(SECOND)
    bench.engine.hang_up()
    bench.drain()
    assert times(bench.wire, "CANCEL") == [1 + at for at in E]
    assert len({one.data for one in bench.wire if one.name == "CANCEL"}) == 1
    assert bench.now == 33 * SECOND
    assert bench.outcomes == {"timeout": 1}


def test_every_transaction_of_a_call_ends() -> None:
    bench = caller()
    _, ack = talking_with_bye(bench)
    assert ack.cseq == 1000
    bench.feed(reply(bench.wire[-1], 200))
    assert transactions(bench) == 2             # INVITE in Accepted (M), BYE in Completed (K)
    bench.run(5 * SECOND)
    assert transactions(bench) == 1
    assert ends_at(bench) == 32


def talking_with_bye(bench: Bench) -> tuple[object, object]:
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, 200))
    assert names([ack, bye]) == ["ACK", "BYE"]
    return invite, ack


def test_a_call_with_hold_sends_its_bye_on_time() -> None:
    bench = caller(settings={"hold": "2s"})
    talking(bench)
    assert names(bench.run(2 * SECOND - 1)) == []
    assert names(bench.run(2 * SECOND)) == ["BYE"]


# --- what models wait for ---

@pytest.mark.parametrize("t1", [100, 500, 2000])
def test_models_wait_for_64_t1_as_the_engine_does(t1: int) -> None:
    """An early BYE without a final answer, a CANCEL without 487, a SUBSCRIBE without NOTIFY."""
    limit = 64 * t1 * MS
    bench = caller("call-cancel", settings={"cancel_after": "1s", "cancel_by": "bye"}, t1=t1 * MS)
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.feed(reply(only(bench.wait(SECOND)), 200))
    bench.run(bench.now + limit - MS)
    assert bench.engine.in_progress == 1
    bench.wait(2 * MS)
    assert bench.engine.in_progress == 0
    bench = caller("call-cancel", settings={"cancel_after": "1s"}, t1=t1 * MS)
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.feed(reply(only(bench.wait(SECOND)), 200))
    bench.run(bench.now + limit - MS)
    assert bench.engine.in_progress == 1
    bench.wait(2 * MS)
    assert bench.engine.in_progress == 0
    bench = caller("subscribe-mwi", t1=t1 * MS)
    bench.feed(reply(bench.start(), 200, headers=["Expires: 600"], contact="<sip:n@192.0.2.20>"))
    bench.run(limit - MS)
    assert bench.engine.in_progress == 1
    bench.wait(2 * MS)
    assert bench.engine.in_progress == 0
