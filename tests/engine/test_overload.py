"""Overload control: what servers ask for, ignored or obeyed; what the answering side asks for."""

from __future__ import annotations

import re
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
    answerer,
    answering,
    ask,
    caller,
    names,
    only,
    reply,
    scenario,
    within,
)

A, B = ("192.0.2.20", 5060), ("192.0.2.21", 5060)
TAIL = ';oc;oc-algo="loss,rate"'
MANY: dict[str, Any] = {"max_instances": 20_000, "max_transactions": 80_000}
FEW: dict[str, Any] = {"max_instances": 200, "max_transactions": 800}


def obeying(model: str = "options", **options: Any) -> Bench:
    return caller(model, obey_overload=True, **{**MANY, **options})


def offer(bench: Bench, calls: int) -> list[Sent]:
    """Calls due now; the requests of those that start."""
    bench.engine.schedule(np.full(calls, bench.now, dtype=np.int64))
    sent = bench.run(bench.now)
    assert len(sent) == calls - new_throttled(bench)
    bench.engine.check()
    return sent


def new_throttled(bench: Bench) -> int:
    """Calls throttled since the last time."""
    seen = getattr(bench, "seen", 0)
    bench.seen = bench.count("not_started_throttled")  # type: ignore[attr-defined]
    return bench.count("not_started_throttled") - seen


def answer(bench: Bench, request: Sent, control: str = "", status: int = 200,
           *headers: str) -> None:
    """A response whose Via carries `control` in place of what the request announced."""
    via = request.header("Via")
    assert via.endswith(TAIL)
    bench.feed(reply(request, status, via=via.removesuffix(TAIL) + control, headers=headers),
               request.to)


def told(control: str, **options: Any) -> Bench:
    """A caller that has been told so by its first response."""
    bench = obeying(**options)
    answer(bench, only(offer(bench, 1)), control)
    return bench


def answer_all(bench: Bench, sent: list[Sent]) -> None:
    for one in sent:
        answer(bench, one)


# --- announcing ---


def test_every_request_announces_it() -> None:
    bench = obeying("call", settings={"hold": "1s"})
    invite = bench.start()
    ack = only(bench.feed(reply(invite, 200)))
    bye = only(bench.wait(SECOND))
    refused = bench.start()
    failure_ack = only(bench.feed(reply(refused, 486)))
    assert names([invite, ack, bye, failure_ack]) == ["INVITE", "ACK", "BYE", "ACK"]
    for one in (invite, ack, bye, failure_ack):
        assert re.fullmatch(r"SIP/2\.0/UDP 192\.0\.2\.10:5070;rport;branch=z9hG4bK[0-9a-f]{24}"
                            + re.escape(TAIL), one.header("Via"))
    assert failure_ack.header("Via") == refused.header("Via")       # RFC 3261 17.1.1.3
    bench.feed(reply(bye, 200))
    bench.drain()


def test_a_repeat_and_a_cancel_carry_the_same_via() -> None:
    bench = obeying("call", settings={"ring_limit": "1s"})
    invite = bench.start()
    again = only(bench.wait(SECOND // 2))
    assert again.data == invite.data
    bench.feed(reply(invite, 180))
    cancel, repeat = bench.wait(SECOND)
    assert cancel.name == "CANCEL"
    assert repeat.data == cancel.data
    assert cancel.header("Via") == invite.header("Via")             # RFC 3261 9.1
    bench.feed(reply(cancel, 200))
    bench.feed(reply(invite, 487))
    bench.drain()


def test_the_ack_and_bye_of_a_fork_carry_it_too() -> None:
    bench = obeying("call", settings={"hold": "1s"})
    invite = bench.start()
    bench.feed(reply(invite, 200))
    other = bench.feed(reply(invite, 200, tag="other"))
    assert names(other) == ["ACK", "BYE"]
    assert all(one.header("Via").endswith(TAIL) for one in other)
    bench.feed(reply(other[1], 200))
    bench.feed(reply(only(bench.wait(SECOND)), 200))
    bench.drain()


def test_it_is_ignored_unless_asked_for() -> None:
    bench = caller("options", **MANY)
    request = bench.start()
    assert "oc" not in request.header("Via").replace("branch=" + request.branch, "")
    bench.feed(reply(request, 200, via=request.header("Via") + ";oc=100;oc-validity=60000"))
    second = bench.start()
    bench.feed(reply(second, 503, headers=["Retry-After: 60"]))
    assert len(offer(bench, 100)) == 100
    assert bench.count("not_started_throttled") == 0
    bench.engine.abort()
    bench.engine.advance(bench.now)


# --- loss ---


@pytest.mark.parametrize(("percent", "seed"), [(10, 1), (50, 2), (50, 3), (90, 4)])
def test_loss_drops_a_share_of_new_calls(percent: int, seed: int) -> None:
    """Of 10,000 calls: within four standard deviations of a binomial distribution."""
    bench = told(f';oc={percent};oc-algo="loss";oc-validity=1000', seed=seed)
    sent = len(offer(bench, 10_000))
    share = percent / 100
    assert abs(10_000 - sent - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5
    assert bench.count("due") == 10_001
    assert bench.count("started") == sent + 1
    assert bench.count("not_started_throttled") == 10_000 - sent
    assert int(bench.engine.target_calls[0]) == sent + 1
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.engine.check()


@pytest.mark.parametrize(("control", "started"), [
    (";oc=0", 50), (";oc=100", 0), (';oc=100;oc-algo="loss"', 0), (";OC=100;OC-ALGO=\"LOSS\"", 0),
    (";oc", 50), (";oc=", 50), (";oc=many", 50), (";oc=101", 50), (";oc=-1", 50), ("", 50),
    (';oc=100;oc-algo="window"', 50), (';oc=100;oc-algo=""', 50), (TAIL, 50),
    (";oc=100;oc-validity=0", 50), (";oc=100;oc-validity=soon", 0),
    (";oc=99999999999999999999", 50), (';oc=4294967296;oc-algo="rate"', 50),
])
def test_what_an_answer_says(control: str, started: int) -> None:
    bench = told(control)
    assert len(offer(bench, 50)) == started
    bench.engine.abort()
    bench.engine.advance(bench.now)


@pytest.mark.parametrize("status", [100, 180, 200, 404, 503])
def test_any_response_may_carry_it(status: int) -> None:
    bench = obeying("call")
    answer(bench, bench.start(), ";oc=100", status)
    new_throttled(bench)
    assert offer(bench, 10) == []
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_calls_that_run_go_on() -> None:
    bench = obeying("call", settings={"hold": "100ms"})
    invite = bench.start()
    answer(bench, invite, ";oc=100;oc-validity=60000")
    bye = bench.wait(SECOND // 10)[-1]
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_response_of_somebody_else_says_nothing() -> None:
    bench = obeying()
    request = only(offer(bench, 1))
    via = request.header("Via").removesuffix(TAIL) + ";oc=100"
    stray = via.replace(request.branch, request.branch[:-1] + ("0" if request.branch[-1] != "0"
                                                              else "1"))
    bench.feed(reply(request, 200, via=stray))
    assert bench.count("stray_response") == 1
    sent = offer(bench, 10)
    assert len(sent) == 10
    answer_all(bench, [request, *sent])
    bench.drain()


# --- validity and order ---


@pytest.mark.parametrize(("validity", "ms"), [
    ("", 500), (";oc-validity=2000", 2000), (";oc-validity=1", 1),
    (";oc-validity=99999999999999", 86_400_000)])
def test_the_control_expires(validity: str, ms: int) -> None:
    bench = told(f";oc=100{validity}")
    bench.run(bench.now + ms * MS - 1)
    assert offer(bench, 5) == []
    bench.run(bench.now + 1)
    sent = offer(bench, 5)
    assert len(sent) == 5
    answer_all(bench, sent)
    bench.drain()


def test_a_validity_of_0_ends_it() -> None:
    bench = obeying()
    first, second = offer(bench, 2)
    answer(bench, first, ";oc=100;oc-validity=60000;oc-seq=1.0")
    assert offer(bench, 5) == []
    answer(bench, second, ";oc=100;oc-validity=0;oc-seq=2.0")
    sent = offer(bench, 5)
    assert len(sent) == 5
    answer_all(bench, sent)
    bench.drain()


@pytest.mark.parametrize(("old", "new", "taken"), [
    ("5.5", "5.6", True), ("5.6", "5.5", False), ("5.5", "5.5", True), ("9.9", "10.1", True),
    ("10.1", "9.9", False), ("5.10", "5.9", True), ("5.09", "5.1", True), ("5.1", "5.09", False),
    ("1282321615.782", "1282321615.781", False), ("5", "6.0", True), ("6", "5.99999", False),
    ("999999999999.99999", "1.0", False),
    # what is no sequence number orders nothing
    ("5.5", "4.123456", True), ("5.5", "1234567890123.0", True), ("5.5", "x", True),
    ("5.5", "4.x", True), ("5.5", ".1", True), ("5.5", "4.", True)])
def test_the_newer_one_wins(old: str, new: str, taken: bool) -> None:
    bench = obeying()
    first, second = offer(bench, 2)
    answer(bench, first, f";oc=0;oc-seq={old}")
    answer(bench, second, f";oc=100;oc-seq={new}")
    assert (offer(bench, 5) == []) is taken
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_an_older_one_does_not_undo_an_end() -> None:
    bench = obeying()
    first, second = offer(bench, 2)
    answer(bench, first, ";oc=0;oc-validity=0;oc-seq=2.0")
    answer(bench, second, ";oc=100;oc-validity=60000;oc-seq=1.0")
    assert len(offer(bench, 5)) == 5
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_a_server_that_began_anew_is_heard_after_a_while() -> None:
    bench = told(";oc=0;oc-validity=1000;oc-seq=1000.0")
    bench.wait(SECOND)
    answer(bench, only(offer(bench, 1)), ";oc=100;oc-seq=1.0")
    assert offer(bench, 5) == []
    bench.drain()


# --- rate ---


def spread(bench: Bench, calls: int, per_s: int) -> list[Sent]:
    """Calls evenly spaced, each answered at once without any word of control."""
    due = bench.now + np.arange(calls, dtype=np.int64) * (SECOND // per_s)
    bench.engine.schedule(due)
    sent = []
    for when in due:
        for one in bench.run(int(when)):
            sent.append(one)
            answer(bench, one)
    new_throttled(bench)
    return sent


@pytest.mark.parametrize("rate", [1, 7, 100, 450])
def test_rate_lets_so_many_requests_through(rate: int) -> None:
    """1,000 calls a second for 3 s."""
    bench = told(f';oc={rate};oc-algo="rate";oc-validity=60000')
    sent = spread(bench, 3000, 1000)
    assert 3 * rate - 1 <= len(sent) <= 3 * rate + 2
    assert bench.count("not_started_throttled") == 3000 - len(sent)
    at = sorted(one.at for one in sent)
    burst = max(5, rate // 100)
    for first in range(0, len(at), max(len(at) // 50, 1)):      # never more in any second
        assert sum(at[first] <= when < at[first] + SECOND for when in at) <= rate + burst
    bench.drain()


def test_calls_below_the_rate_all_start() -> None:
    bench = told(';oc=200;oc-algo="rate";oc-validity=60000')
    assert len(spread(bench, 300, 100)) == 300
    assert bench.count("not_started_throttled") == 0
    bench.drain()


def test_a_rate_of_0_lets_none_through() -> None:
    bench = told(';oc=0;oc-algo="rate";oc-validity=1000')
    assert spread(bench, 999, 1000) == []
    bench.wait(SECOND)
    assert len(spread(bench, 10, 1000)) == 10
    bench.drain()


def test_requests_of_running_calls_come_out_of_the_rate() -> None:
    """INVITE and BYE: half as many calls as requests; ACK is none of them."""
    bench = obeying("call")
    answer(bench, bench.start(), ';oc=100;oc-algo="rate";oc-validity=600000', 486)
    due = bench.now + np.arange(2000, dtype=np.int64) * MS
    bench.engine.schedule(due)
    invites = 0
    for when in due:
        for invite in bench.run(int(when)):
            invites += 1
            bye = bench.feed(reply(invite, 200))[-1]
            assert bye.name == "BYE"
            bench.feed(reply(bye, 200))
    assert 98 <= invites <= 103
    assert bench.outcomes == {"rejected": 1, "succeeded": invites}
    bench.drain()


def test_a_new_rate_keeps_what_was_earned() -> None:
    bench = told(';oc=1;oc-algo="rate";oc-validity=60000;oc-seq=1.0')
    held = only(offer(bench, 1))                # the one token that a control begins with
    assert offer(bench, 1) == []
    bench.wait(3 * SECOND)
    answer(bench, held, ';oc=100;oc-algo="rate";oc-validity=60000;oc-seq=2.0')
    sent = offer(bench, 10)
    assert len(sent) == 3
    answer_all(bench, sent)
    bench.drain()


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=40),
       st.integers(0, 50))
def test_the_bucket_against_a_dumb_one(waits: list[tuple[int, int]], rate: int) -> None:
    bench = told(f';oc={rate};oc-algo="rate";oc-validity=6000000', **FEW)
    tokens, last = 1.0, bench.now
    for wait, calls in waits:
        bench.wait(wait * MS)
        tokens = min(tokens + (bench.now - last) / SECOND * rate, 5.0)
        last = bench.now
        fit = min(calls, int(tokens + 1e-6)) if rate else 0
        sent = offer(bench, calls)
        assert len(sent) == fit
        tokens -= fit
        answer_all(bench, sent)
    bench.drain()


# --- 503 ---


@pytest.mark.parametrize(("headers", "seconds"), [
    (("Retry-After: 7",), 7), (("Retry-After: 120 (maintenance);duration=60",), 120),
    (("Retry-After: 99999999999",), 86_400)])
def test_no_calls_while_a_503_asks_for_time(headers: tuple[str, ...], seconds: int) -> None:
    bench = obeying()
    answer(bench, only(offer(bench, 1)), "", 503, *headers)
    assert bench.outcomes == {"rejected": 1}
    bench.run(bench.now + seconds * SECOND - 1)
    assert offer(bench, 4) == []
    bench.run(bench.now + 1)
    sent = offer(bench, 4)
    assert len(sent) == 4
    answer_all(bench, sent)
    bench.drain()


@pytest.mark.parametrize(("status", "headers"), [
    (503, ()), (503, ("Retry-After: soon",)), (503, ("Retry-After: 0",)),
    (480, ("Retry-After: 60",)), (500, ("Retry-After: 60",))])
def test_other_failures_are_the_request_s_alone(status: int, headers: tuple[str, ...]) -> None:
    bench = obeying()
    answer(bench, only(offer(bench, 1)), "", status, *headers)
    sent = offer(bench, 4)
    assert len(sent) == 4
    answer_all(bench, sent)
    bench.drain()


def test_a_copy_of_a_503_does_not_ask_again() -> None:
    bench = obeying("call")
    invite = bench.start()
    answer(bench, invite, "", 503, "Retry-After: 1")
    bench.wait(SECOND // 2)
    answer(bench, invite, "", 503, "Retry-After: 1")
    assert bench.count("received_again") == 1
    bench.wait(SECOND // 2)
    assert len(offer(bench, 3)) == 3
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_a_503_inside_a_call_counts_as_well() -> None:
    bench = obeying("call")
    bye = bench.feed(reply(bench.start(), 200))[-1]
    answer(bench, bye, "", 503, "Retry-After: 1")
    new_throttled(bench)
    assert offer(bench, 3) == []
    bench.drain()


# --- several targets ---

BOTH = [(*A, 1, 1, 0), (*B, 2, 1, 1)]


def test_calls_go_where_they_are_wanted() -> None:
    bench = obeying(targets=BOTH)
    first = only(offer(bench, 1))
    assert first.to == A
    second = bench.feed(reply(first, 503, headers=["Retry-After: 10"]), A)[-1]
    assert second.to == B
    answer(bench, second)
    sent = offer(bench, 3)
    assert [one.to for one in sent] == [B] * 3
    answer(bench, sent[0], "", 503, "Retry-After: 20")      # neither wants any more
    assert bench.outcomes == {"succeeded": 1, "rejected": 1}
    assert offer(bench, 3) == []
    bench.wait(10 * SECOND)
    back = only(offer(bench, 1))
    assert back.to == A
    answer_all(bench, [*sent[1:], back])
    assert [int(count) for count in bench.engine.target_calls[:2]] == [2, 4]
    bench.drain()


def test_a_control_is_the_target_s_own() -> None:
    bench = obeying(targets=[(*A, 1, 1, 0), (*B, 1, 1, 1)])
    while (one := only(offer(bench, 1))).to != A:
        answer(bench, one)
    answer(bench, one, ";oc=100;oc-validity=60000")
    sent = offer(bench, 400)
    assert {one.to for one in sent} == {B}
    assert 150 < len(sent) < 250                # the share of the other is dropped
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_a_control_stays_in_another_table() -> None:
    bench = told(";oc=100;oc-validity=60000", targets=[(*A, 1, 1, 0)])
    assert bench.engine.set_targets([(*A, 1, 1, 1), (*B, 2, 1, 2)])
    assert offer(bench, 3) == []
    assert bench.engine.set_targets([(*B, 2, 1, 2)])
    sent = offer(bench, 3)
    assert [one.to for one in sent] == [B] * 3
    answer_all(bench, sent)
    bench.drain()


def test_a_failover_asks_too() -> None:
    bench = obeying(targets=[(*B, 1, 1, 1)])
    answer(bench, only(offer(bench, 1)), ";oc=100;oc-validity=60000")
    assert bench.engine.set_targets(BOTH)
    first = only(offer(bench, 1))
    assert first.to == A
    answer(bench, first, "", 503)
    assert bench.outcomes == {"succeeded": 1, "rejected": 1}
    assert bench.count("failover") == 0
    bench.drain()


# --- with the other reasons ---


def test_every_call_that_is_due_is_told_of() -> None:
    bench = obeying("call", max_calls=2)
    bench.start(3)
    first, _ = bench.wire
    answer(bench, first, ";oc=100", 180)
    bench.engine.schedule(np.zeros(3, dtype=np.int64))
    assert bench.run(0) == []
    bench.engine.schedule(np.array([SECOND], dtype=np.int64))
    bench.engine.stop_starts()
    bench.engine.finish()
    assert bench.counts["due"] == 7
    assert bench.counts["started"] == 2
    assert bench.counts["not_started_no_slot"] == 1
    assert bench.counts["not_started_throttled"] == 3
    assert bench.counts["not_started_stopped"] == 1
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.engine.check()


def test_a_throttled_call_takes_no_user() -> None:
    bench = obeying("register", users=3, settings={"remove": "no"})
    answer(bench, bench.start(), ";oc=100;oc-validity=1000")
    bench.engine.schedule(np.zeros(2, dtype=np.int64))
    assert bench.run(0) == []
    assert bench.count("not_started_throttled") == 2
    bench.wait(SECOND)
    assert bench.start(2).name == "REGISTER"
    assert bench.count("not_started_no_user") == 0
    bench.engine.abort()
    bench.engine.advance(bench.now)


def test_a_scenario_may_send_late() -> None:
    def late(c: Any) -> None:
        c.pause("1s")
        c.options()
        c.expect(200)

    bench = scenario(late, obey_overload=True)
    bench.engine.schedule(np.zeros(1, dtype=np.int64))
    assert bench.run(0) == []
    request = only(bench.run(SECOND))
    assert request.to == A
    answer(bench, request)
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


# --- asked for by the answering side ---


def asked(via: str, method: str = "OPTIONS", **options: Any) -> str:
    bench = answerer(**{"oc_algorithm": "loss", "oc_value": 40, **options})
    sent = bench.feed(ask(method, via=[via]))
    return sent[-1].headers("Via")[0]


TOP = "SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bKone"
SEEN = "SIP/2.0/UDP 192.0.2.20:5060;rport=5060;received=192.0.2.20;branch=z9hG4bKone"


@pytest.mark.parametrize("announced", [
    TAIL, ";oc", ';oc-algo="loss";oc', ';oc;oc-algo="rate , LOSS"', ";OC", " ;oc ;oc-algo=loss"])
def test_answers_carry_it_when_it_was_announced(announced: str) -> None:
    via = asked(TOP + announced)
    assert re.fullmatch(re.escape(SEEN) + r" ?;oc=40;oc-algo=\"loss\";oc-validity=500"
                        r";oc-seq=\d{1,12}\.\d{5}", via), via


@pytest.mark.parametrize("announced", [
    "", ";oc=7", ";ocx", ";x=oc", ';x=";oc;"', ';oc;oc-algo="rate"', ';oc;oc-algo=""'])
def test_other_answers_do_not(announced: str) -> None:
    assert asked(TOP + announced) == SEEN + announced


def test_what_stands_beside_it_stays() -> None:
    below = ", SIP/2.0/UDP other;branch=z9hG4bK2;oc"
    via = asked(TOP + ';x="a;oc,b\\"";oc;y=1;oc-algo="loss";z' + below)
    assert re.fullmatch(re.escape(SEEN + ';x="a;oc,b\\"";y=1;z;oc=40;oc-algo="loss";')
                        + r"oc-validity=500;oc-seq=[\d.]+" + re.escape(below), via), via


def test_a_rate_is_announced_to_those_that_know_it() -> None:
    how: dict[str, Any] = {"oc_algorithm": "rate", "oc_value": 200, "oc_validity": 0}
    assert ';oc=200;oc-algo="rate";oc-validity=0;oc-seq=' in asked(TOP + TAIL, **how)
    assert asked(TOP + ";oc", **how) == SEEN + ";oc"


def test_a_later_answer_has_a_higher_number() -> None:
    bench = answerer(oc_algorithm="loss", oc_value=1)
    numbers = []
    for number in range(4):
        ok = only(bench.feed(ask("OPTIONS", via=[f"{TOP}{number}{TAIL}"], call_id=str(number))))
        numbers.append(float(ok.header("Via").split("oc-seq=")[1]))
        bench.wait(7 * MS)
    assert np.allclose(np.diff(numbers), 0.007)


def test_requests_in_dialogs_and_refusals_carry_it() -> None:
    bench = answerer(oc_algorithm="loss", oc_value=9)
    ok = bench.feed(ask(via=[TOP + TAIL]))[-1]
    assert not bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bye = only(bench.feed(within(ok, "BYE", via=[TOP + "2" + TAIL])))
    refused = only(bench.feed(ask("PUBLISH", via=[TOP + "3" + TAIL], call_id="x")))
    assert (bye.status, refused.status) == (200, 489)
    for one in (ok, bye, refused):
        assert ";oc=9;" in one.header("Via")
    bench.drain()


def test_the_100_of_a_silent_program_carries_it() -> None:
    """RFC 7339 4: any response may, and the first one comes soonest."""
    bench = answerer(settings={"ring": "2s"}, oc_algorithm="loss", oc_value=9)
    silent = answering("INVITE", lambda c: c.pause("2s"), oc_algorithm="loss", oc_value=9)
    assert ";oc=9;" in bench.feed(ask(via=[TOP + TAIL]))[0].header("Via")
    assert not silent.feed(ask(via=[TOP + TAIL]))
    trying = only(silent.wait(200 * MS))
    assert trying.status == 100
    assert ';oc=9;oc-algo="loss";oc-validity=500;oc-seq=' in trying.header("Via")
    for one in (bench, silent):
        one.engine.abort()
        one.engine.advance(one.now)
        one.drain()


def test_a_repeated_2xx_is_the_same_octet_by_octet() -> None:
    bench = answerer(oc_algorithm="loss", oc_value=9)
    ok = bench.feed(ask(via=[TOP + TAIL]))[-1]
    again = bench.wait(SECOND // 2)
    assert [one.data for one in again] == [ok.data]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bench.feed(within(ok, "BYE"))
    bench.drain()


@pytest.mark.parametrize(("seconds", "lines"), [(1, ["1"]), (120, ["120"]), (0, [])])
def test_a_503_over_the_rate_limit_says_when_to_come_again(seconds: int, lines: list[str]) -> None:
    bench = answerer(rate_limit=1.0, retry_after=seconds)
    bench.feed(ask("OPTIONS"))
    refused = only(bench.feed(ask("OPTIONS", branch="z9hG4bKtwo", call_id="two")))
    assert refused.status == 503
    assert refused.headers("Retry-After") == lines


ODDS = st.lists(st.sampled_from([
    ";", ",", "=", '"', "\\", " ", "\t", "oc", "OC", "oc-algo", "oc-seq", "oc-validity", "loss",
    "rate", "1", "99", ".", "branch", "x", "<", ">", "[", "\xe9", ";oc", ';oc-algo="']),
    max_size=14)


@given(ODDS, st.sampled_from(["loss", "rate"]))
def test_whatever_stands_in_via_is_survived(odds: list[str], algorithm: str) -> None:
    text = "".join(odds)
    bench = answerer(oc_algorithm=algorithm, oc_value=7)
    sent = bench.feed(ask("OPTIONS", via=[TOP + text, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9"]))
    assert all(one.headers("Via")[1] == "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9" for one in sent)
    bench = obeying(**FEW)
    request = only(offer(bench, 1))
    answer(bench, request, text)
    offer(bench, 3)
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.engine.check()


@pytest.mark.parametrize("wrong", [
    {"oc_algorithm": "window"}, {"oc_algorithm": "loss", "oc_value": 101}])
def test_an_engine_refuses_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="overload control"):
        answerer(**wrong)
