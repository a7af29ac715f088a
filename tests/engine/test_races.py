"""Messages that cross (RFC 5407), CANCEL at any time (RFC 3261 9), forked answers (13.2.2.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.drive import (
    MS,
    SECOND,
    Bench,
    Sent,
    answered,
    answerer,
    answering,
    ask,
    back,
    caller,
    names,
    only,
    reply,
    scenario,
    talking,
    times,
    within,
)

HOLD = {"hold": "10s"}
OFFER = {"headers": ["Content-Type: application/sdp"],
         "body": "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nt=0 0\r\n"}


# --- CANCEL of ours ---

def ringing_out(**options: Any) -> tuple[Bench, Sent]:
    """A caller that gives up after 1 s; its INVITE."""
    bench = caller(settings={"ring_limit": "1s"}, **options)
    return bench, bench.start()


def test_c2_a_cancel_before_any_response_is_held_until_the_first_1xx() -> None:
    bench, invite = ringing_out()
    assert "CANCEL" not in names(bench.wait(3 * SECOND))
    cancel = only(bench.feed(reply(invite, 100)))
    assert (cancel.name, cancel.branch, cancel.uri, cancel.cseq) == (
        "CANCEL", invite.branch, invite.uri, invite.cseq)
    assert cancel.header("To") == invite.header("To")
    assert bench.feed(reply(invite, 180)) == []                 # one CANCEL only
    bench.feed(reply(cancel, 200))
    assert names(bench.feed(reply(invite, 487))) == ["ACK"]
    assert bench.outcomes == {"no_answer": 1}
    bench.drain()


@pytest.mark.parametrize("status", [200, 486])
def test_c2_a_held_cancel_is_not_sent_when_a_final_comes_first(status: int) -> None:
    bench, invite = ringing_out()
    bench.wait(3 * SECOND)
    sent = bench.feed(reply(invite, status))
    assert names(sent) == (["ACK", "BYE"] if status == 200 else ["ACK"])
    if status == 200:
        bench.feed(reply(sent[1], 200))
    bench.drain()
    assert "CANCEL" not in names(bench.wire)


def test_c3_a_cancel_meets_the_2xx() -> None:
    """RFC 5407 3.1.2 at the caller: ACK and BYE, which is no failure."""
    bench, invite = ringing_out()
    bench.feed(reply(invite, 180))
    cancel = bench.wait(SECOND)[-1]
    assert cancel.name == "CANCEL"
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    assert bench.feed(reply(cancel, 200)) == []
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"user": 1}                        # cancel_race, a good end
    assert sum(bench.outcomes.values()) == 1


def test_c4_no_487_comes() -> None:
    """RFC 3261 9.1: the INVITE is given up 64*T1 after its CANCEL."""
    bench, invite = ringing_out()
    bench.feed(reply(invite, 180))
    cancel = bench.wait(SECOND)[-1]
    bench.feed(reply(cancel, 200))
    assert bench.wait(31 * SECOND) == []
    assert bench.engine.in_progress == 1
    bench.wait(2 * SECOND)
    assert bench.engine.in_progress == 0
    bench.drain()
    assert bench.outcomes == {"user": 1}        # cancel_timeout


# --- CANCEL of the peer ---

def test_c5_the_answers_to_a_cancel_have_one_tag() -> None:
    def story(c: Any) -> None:
        c.pause("10s")
        c.respond(200, method="INVITE")

    bench = answering("INVITE", story)
    bench.feed(ask())
    sent = bench.feed(ask("CANCEL"))
    assert names(sent) == ["200/CANCEL", "487/INVITE"]
    assert sent[0].tag("To") == sent[1].tag("To") != ""
    assert bench.answered == {"cancelled": 1}
    assert names(bench.wait(500 * MS)) == ["487/INVITE"]        # timer G
    bench.feed(ask("ACK", to=sent[1].header("To")))
    bench.drain()


def test_c5_the_cancel_of_a_reinvite_leaves_the_call_alone() -> None:
    """RFC 3261 9.2 ends the INVITE that it names and nothing else."""
    def story(c: Any) -> None:
        c.respond(200, method="INVITE")
        c.expect("ACK")
        c.expect("INVITE")
        with c.pause("5s").on("BYE"):
            c.respond(200, method="BYE")
            c.end()
        c.respond(200, method="INVITE")

    bench = answering("INVITE", story)
    ok = answered(bench)
    bench.feed(within(ok, "INVITE", contact="<sip:a@192.0.2.20>"))
    sent = bench.feed(within(ok, "CANCEL"))
    assert names(sent) == ["200/CANCEL", "487/INVITE"]
    assert {one.tag("To") for one in sent} == {ok.tag("To")}
    bench.feed(within(ok, "ACK"))
    assert bench.answered == {}
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKb"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_5407_3_1_2_a_cancel_after_the_2xx_has_no_effect() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    assert names(bench.feed(ask("CANCEL"))) == ["200/CANCEL"]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    assert bench.answered == {"succeeded": 1}


# --- BYE and INVITE ---

def test_5407_3_1_1_the_invite_comes_again_after_the_2xx() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    assert bench.feed(ask()) == []
    assert names(bench.wait(500 * MS)) == ["200/INVITE"]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert bench.wait(5 * SECOND) == []


def early_bye(c: Any) -> None:
    c.invite()
    c.expect("180-299")
    c.bye()
    c.expect("2xx")


def test_b2_the_caller_ends_an_early_dialog_by_bye() -> None:
    """RFC 3261 15.1.2: 487 for the INVITE, before or after the answer to the BYE."""
    for first in ("INVITE", "BYE"):
        bench = scenario(early_bye)
        invite = bench.start()
        bye = only(bench.feed(reply(invite, 180)))
        assert bye.name == "BYE"
        assert bye.tag("To") == "peer"
        if first == "BYE":
            bench.feed(reply(bye, 200))
        assert names(bench.feed(reply(invite, 487))) == ["ACK"]
        assert bench.wire[-1].branch == invite.branch
        if first == "INVITE":
            bench.feed(reply(bye, 200))
        assert bench.outcomes == {"succeeded": 1}, first
        bench.drain()


def test_5407_3_1_3_an_early_bye_crosses_the_2xx() -> None:
    """The caller acknowledges the 2xx; its BYE has ended the dialog already."""
    bench = scenario(early_bye)
    invite = bench.start()
    bye = only(bench.feed(reply(invite, 180)))
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]     # each copy
    bench.drain()
    assert names(bench.wire).count("BYE") == 1


def test_5407_3_1_3_an_early_bye_at_the_callee() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    assert bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa")) == []
    assert bench.wait(40 * SECOND) == []
    bench.drain()
    assert bench.answered == {"succeeded": 1}


@pytest.mark.parametrize("lost", [True, False])
def test_5407_3_1_4_a_reinvite_comes_before_the_ack(lost: bool) -> None:
    """3.1.4 the ACK is late, 3.1.5 it is lost: 500, to be tried again; the call goes on."""
    bench = answerer()
    ok = bench.feed(ask())[-1]
    again = within(ok, "INVITE", contact="<sip:a@192.0.2.20>")
    no = only(bench.feed(again))
    assert no.name == "500/INVITE"
    assert 0 <= int(no.header("Retry-After")) <= 10
    bench.feed(within(ok, "ACK"))
    if lost:
        assert names(bench.wait(500 * MS)) == ["200/INVITE"]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    retry = within(ok, "INVITE", cseq=3, branch="z9hG4bK3", contact="<sip:a@192.0.2.20>")
    fresh = only(bench.feed(retry))
    assert fresh.name == "200/INVITE"
    bench.feed(within(fresh, "ACK", cseq=3, branch="z9hG4bKa3"))
    assert names(bench.feed(within(ok, "BYE", cseq=4, branch="z9hG4bKb"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_the_wait_before_another_reinvite_is_spread() -> None:
    """RFC 3261 14.2: 0 to 10 s by chance, and one value in all copies of a 500."""
    bench = answerer()
    waits = []
    ok = bench.feed(ask())[-1]
    for number in range(60):
        again = within(ok, "INVITE", branch=f"z9hG4bK{number:04}", contact="<sip:a@192.0.2.20>")
        no = only(bench.feed(again))
        waits.append(int(no.header("Retry-After")))
        assert only(bench.feed(again)).data == no.data
    assert min(waits) <= 1
    assert 9 <= max(waits) <= 10
    assert len(set(waits)) > 7


def test_5407_3_1_6_the_2xx_is_lost_and_the_bye_of_the_callee_comes() -> None:
    """The caller knows no dialog yet that it confirmed: the BYE finds the early one."""
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 180))
    assert names(bench.feed(back(invite, "BYE"))) == ["200/BYE"]
    assert bench.outcomes == {"unexpected": 1}
    # The INVITE is still waited for: its 2xx, late, is acknowledged and hung up.
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    bench.feed(reply(bye, 481))
    bench.drain()


def test_5407_3_2_1_crossing_byes() -> None:
    """200 to each; 200 or 481 to ours: all are good ends."""
    for status in (200, 481):
        bench = caller()
        invite = bench.start()
        _, bye = bench.feed(reply(invite, 200))
        assert names(bench.feed(back(invite, "BYE"))) == ["200/BYE"]
        bench.feed(reply(bye, status))
        bench.drain()
        assert bench.outcomes == {"succeeded": 1}, status


def test_b3_a_stray_bye_is_481() -> None:
    for bench in (answerer(), caller()):
        no = only(bench.feed(ask("BYE", to="<sip:b@192.0.2.10>;tag=gone")))
        assert no.name == "481/BYE"
        assert bench.counts == {"stray_request": 1, "auto_answered": 1}


@pytest.mark.parametrize(("method", "extra"), [
    ("INVITE", {"contact": "<sip:peer@192.0.2.20>"}), ("INFO", {}),
    ("REFER", {"headers": ["Refer-To: <sip:c@192.0.2.30>"]})])
def test_5407_3_2_2_and_3_3_3_a_request_crosses_our_bye(method: str, extra: dict[str, Any]) -> None:
    """re-INVITE (3.2.2) or REFER (3.3.3) in the mortal state: 481."""
    bench = caller()
    invite = bench.start()
    _, bye = bench.feed(reply(invite, 200))
    no = only(bench.feed(back(invite, method, **extra)))
    assert no.name == f"481/{method}"
    if method == "INVITE":
        assert bench.feed(back(invite, "ACK")) == []
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def reinviting(c: Any) -> None:
    c.invite()
    c.expect("2xx")
    c.ack()
    c.send("INVITE", sdp="g711")
    c.expect("2xx", within="40s")
    c.ack()


@pytest.mark.parametrize("routed", [False, True])
def test_5407_3_2_2_a_bye_crosses_our_reinvite(routed: bool) -> None:
    """The call ends by that BYE; what the peer says to the INVITE is acknowledged all the same."""
    route = ["Record-Route: <sip:192.0.2.31;lr>"] if routed else []
    bench = scenario(reinviting)
    first = bench.start()
    second = bench.feed(reply(first, 200, headers=route))[-1]
    assert second.name == "INVITE"
    assert names(bench.feed(back(first, "BYE"))) == ["200/BYE"]
    assert bench.outcomes == {"unexpected": 1}
    assert bench.wait(2 * SECOND) == []                         # and it is not repeated
    for _ in range(2):
        ack = only(bench.feed(reply(second, 481)))
        assert (ack.name, ack.branch, ack.uri, ack.cseq) == (
            "ACK", second.branch, second.uri, second.cseq)
        assert ack.headers("Route") == second.headers("Route")
        assert ack.header("From") == second.header("From")
        assert ack.to == second.to
    bench.drain()


def test_5407_3_2_3_the_2xx_of_a_reinvite_after_the_bye() -> None:
    bench = scenario(reinviting)
    first = bench.start()
    second = bench.feed(reply(first, 200))[-1]
    bench.feed(back(first, "BYE"))
    assert names(bench.feed(reply(second, 200))) == ["ACK"]     # nothing left to hang up
    bench.drain()


def test_an_invite_that_is_given_up_is_acknowledged_and_hung_up() -> None:
    """The program ends while its INVITE is open: the peer is not left in a call (13.2.2.4)."""
    def story(c: Any) -> None:
        c.invite()
        c.expect("2xx", within="1s")

    for status, expected in ((200, ["ACK", "BYE"]), (486, ["ACK"])):
        bench = scenario(story)
        invite = bench.start()
        bench.feed(reply(invite, 180))
        bench.wait(2 * SECOND)
        assert bench.outcomes == {"timeout": 1}
        sent = bench.feed(reply(invite, status))
        assert names(sent) == expected
        if status == 200:
            bench.feed(reply(sent[1], 200))
        bench.drain()
    bench = scenario(story)
    bench.start()
    bench.drain()                                               # no answer ever: B ends it


def test_5407_3_3_1_crossing_reinvites() -> None:
    bench = scenario(reinviting)
    first = bench.start()
    second = bench.feed(reply(first, 200))[-1]
    no = only(bench.feed(back(first, "INVITE", contact="<sip:peer@192.0.2.20>")))
    assert no.name == "491/INVITE"
    bench.feed(back(first, "ACK"))
    assert names(bench.feed(reply(second, 200))) == ["ACK"]
    bench.drain()


def test_5407_3_3_2_an_update_crosses_our_reinvite() -> None:
    """RFC 3311 5.2: 491 for an UPDATE with an offer; without one it is the program's matter."""
    bench = scenario(reinviting)
    first = bench.start()
    second = bench.feed(reply(first, 200))[-1]
    no = only(bench.feed(back(first, "UPDATE", **OFFER)))
    assert no.name == "491/UPDATE"
    assert only(bench.feed(back(first, "UPDATE", cseq=2, branch="z9hG4bKu2"))).status == 405
    assert names(bench.feed(reply(second, 200))) == ["ACK"]
    bench.drain()


def test_5407_3_3_2_a_reinvite_crosses_our_update() -> None:
    def story(c: Any) -> None:
        c.invite()
        c.expect("2xx")
        c.ack()
        c.send("UPDATE", sdp="g711")
        c.expect("2xx")

    bench = scenario(story)
    first = bench.start()
    update = bench.feed(reply(first, 200))[-1]
    assert update.name == "UPDATE"
    reinvite = back(first, "INVITE", contact="<sip:peer@192.0.2.20>", **OFFER)
    assert only(bench.feed(reinvite)).name == "491/INVITE"
    assert only(bench.feed(back(first, "UPDATE", cseq=2, branch="z9hG4bKu2", **OFFER))).name == \
        "491/UPDATE"
    bench.feed(reply(update, 200))
    bench.drain()


def test_a_second_update_before_the_first_is_answered_is_500() -> None:
    """RFC 3311 5.2."""
    def story(c: Any) -> None:
        c.respond(200, method="INVITE")
        c.expect("ACK")
        c.expect("UPDATE")
        c.pause("2s")
        c.respond(200, method="UPDATE")

    bench = answering("INVITE", story)
    ok = answered(bench)
    bench.feed(within(ok, "UPDATE", **OFFER))
    no = only(bench.feed(within(ok, "UPDATE", cseq=3, branch="z9hG4bKu2", **OFFER)))
    assert no.name == "500/UPDATE"
    assert 0 <= int(no.header("Retry-After")) <= 10
    assert names(bench.wait(2 * SECOND)) == ["200/UPDATE"]
    assert bench.wire[-1].branch == "z9hG4bKtwo"
    bench.drain()


# --- forked answers ---

FORK = {"tag": "fork", "contact": "<sip:fork@192.0.2.77:5077>",
        "headers": ["Record-Route: <sip:192.0.2.41;lr>, <sip:192.0.2.42:5042;lr>"]}


def test_i11_each_further_2xx_of_a_fork_is_acknowledged_and_hung_up() -> None:
    bench = caller(settings=HOLD)
    invite, ack = talking(bench)
    first, bye = bench.feed(reply(invite, 200, **FORK))
    assert (first.name, bye.name) == ("ACK", "BYE")
    for one in (first, bye):
        assert one.uri == "sip:fork@192.0.2.77:5077"
        assert one.to == ("192.0.2.42", 5042)
        assert one.headers("Route") == ["<sip:192.0.2.42:5042;lr>", "<sip:192.0.2.41;lr>"]
        assert one.tag("To") == "fork"
        assert one.header("From") == ack.header("From")
        assert one.header("Call-ID") == ack.header("Call-ID")
    assert (first.cseq, bye.cseq) == (invite.cseq, invite.cseq + 1)
    assert len({first.branch, bye.branch, ack.branch, invite.branch}) == 4
    assert bench.count("forked_2xx") == 1
    # Each copy is acknowledged again and hung up once.
    assert only(bench.feed(reply(invite, 200, **FORK))).data == first.data
    bench.feed(reply(bye, 200))
    assert only(bench.feed(reply(invite, 200, **FORK))).data == first.data
    third = bench.feed(reply(invite, 200, tag="third", contact="<sip:third@192.0.2.78>"))
    assert names(third) == ["ACK", "BYE"]
    assert third[0].branch != first.branch
    bench.feed(reply(third[1], 481))
    assert bench.count("forked_2xx") == 2
    ours = bench.run(10 * SECOND)[-1]                           # our own call goes on
    assert ours.name == "BYE"
    assert ours.tag("To") == "peer"
    bench.feed(reply(ours, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_i11_the_bye_to_a_fork_is_a_transaction() -> None:
    """Repeated as timer E says, given up by timer F, and nobody's failure."""
    bench = caller()
    invite = bench.start()
    bye = bench.feed(reply(invite, 200))[-1]
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bye = bench.feed(reply(invite, 200, **FORK))[-1]            # also when the call is over
    again = bench.wait(40 * SECOND)
    assert [one.at / SECOND for one in again] == [.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5,
                                                  31.5]
    assert {one.data for one in again} == {bye.data}
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    assert bench.count("forked_2xx") == 1


def test_i11_a_provisional_or_challenged_bye_to_a_fork_ends_too() -> None:
    bench = caller(settings=HOLD)
    invite, _ = talking(bench)
    bye = bench.feed(reply(invite, 200, **FORK))[-1]
    bench.feed(reply(bye, 100))
    assert times(bench.wait(6 * SECOND), "BYE") == [.5, 4.5]    # a 1xx slows it
    assert bench.feed(reply(bye, 401)) == []
    assert bench.wait(3 * SECOND) == []


def test_i11_an_icmp_error_ends_the_bye_to_a_fork() -> None:
    bench = caller(settings=HOLD)
    invite, _ = talking(bench)
    bye = bench.feed(reply(invite, 200, **FORK))[-1]
    bench.engine.transport_error(bye.data, bench.now)
    assert bench.wait(5 * SECOND) == []
    assert bench.engine.in_progress == 1
    assert bench.count("transport_errors") == 1


def test_i11_no_room_for_the_bye_is_counted() -> None:
    bench = caller(settings=HOLD, max_transactions=1)
    invite, _ = talking(bench)
    assert names(bench.feed(reply(invite, 200, **FORK))) == ["ACK"]
    assert bench.count("slab_full") == 1
    bench.engine.check()


def test_a_2xx_that_the_program_does_not_want_is_acknowledged_and_hung_up() -> None:
    def story(c: Any) -> None:
        c.invite()
        c.expect(486)

    bench = scenario(story)
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    assert bench.outcomes == {"unexpected": 1}
    assert only(bench.feed(reply(invite, 200))).data == ack.data
    bench.feed(reply(bye, 200))
    bench.drain()


def test_a_copy_of_the_2xx_is_acknowledged_as_long_as_the_dialog_lives() -> None:
    """Also after timer M (rule 1 of what load generators get wrong: minutes later)."""
    bench = caller(settings={"hold": "300s"})
    invite, ack = talking(bench)
    bench.wait(200 * SECOND)
    assert bench.engine.census()["transactions"] == 0
    assert only(bench.feed(reply(invite, 200))).data == ack.data
    assert bench.count("stray_response") == 0
    assert bench.feed(reply(invite, 200, tag="other")) == []
    assert bench.feed(reply(invite, 200, cseq="1001 INVITE")) == []
    assert bench.feed(reply(invite, 486)) == []
    assert bench.count("stray_response") == 3


# --- transport errors (RFC 6026 7.1) ---

def test_6026_an_error_for_a_response_does_not_end_its_transaction() -> None:
    bench = answerer(settings={"ring": "2s"})
    ringing = only(bench.feed(ask()))
    bench.engine.transport_error(ringing.data, bench.now)
    ok = only(bench.run(2 * SECOND))
    assert ok.name == "200/INVITE"
    bench.engine.transport_error(ok.data, bench.now)
    assert names(bench.wait(500 * MS)) == ["200/INVITE"]        # still repeated
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}
