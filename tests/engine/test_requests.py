"""Requests at either side: repeats, dialogs that are not, CANCEL at any time, refusals.

RFC 3261 8.2, 9.2, 12.2.2, 14.2, 15.1.2, 17.2; RFC 6026 7.1.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.engine.drive import (
    MS,
    SECOND,
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

RING = {"ring": "10s"}


def test_a_repeated_invite_gets_the_last_provisional_again() -> None:
    bench = answerer(settings=RING)
    ringing = only(bench.feed(ask()))
    assert ringing.name == "180/INVITE"
    bench.wait(500 * MS)
    assert only(bench.feed(ask())).data == ringing.data
    assert bench.count("received_again") == 1
    assert bench.count("answered") == 1


def test_a_repeated_invite_gets_nothing_after_the_2xx() -> None:
    """RFC 6026 7.1: absorbed; the core repeats its 2xx by itself."""
    bench = answerer()
    bench.feed(ask())
    assert bench.feed(ask()) == []
    ok = bench.wire[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert bench.feed(ask()) == []
    assert bench.count("received_again") == 2
    assert bench.count("answered") == 1


def test_a_repeated_invite_gets_the_refusal_again_until_it_is_acknowledged() -> None:
    bench = answerer(reject="486:100%")
    no = only(bench.feed(ask()))
    assert only(bench.feed(ask())).data == no.data
    bench.feed(within(no, "ACK", cseq=1, branch="z9hG4bKone"))
    assert bench.feed(ask()) == []
    bench.drain()


def test_a_repeated_bye_gets_the_same_answer_even_when_the_call_is_gone() -> None:
    bench = answerer()
    ok = answered(bench)
    bye = within(ok, "BYE")
    first = only(bench.feed(bye))
    assert first.name == "200/BYE"
    assert bench.engine.census()["instances"] == 0
    for _ in range(3):
        bench.wait(SECOND)
        again = only(bench.feed(bye))
        assert again.data == first.data
        assert again.to == first.to
    assert bench.answered == {"succeeded": 1}
    bench.drain()
    assert names(bench.feed(bye)) == ["481/BYE"]        # timer J is over


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER"])
def test_a_repeated_request_gets_the_same_answer(method: str) -> None:
    bench = answerer()
    request = ask(method, headers=["Expires: 60"])
    first = only(bench.feed(request))
    assert only(bench.feed(request)).data == first.data
    assert bench.count("answered") == 1
    bench.drain()


@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS", "INFO", "UPDATE", "XLOAD.1!"])
@pytest.mark.parametrize("tag", ["nobody", "b0b0b0b00000000100000000", "b0b0b0b00000000100000001",
                                 "b0b0b0b0ffffffff00ffffff", "B0B0B0B00000000100000000"])
def test_a_request_in_an_unknown_dialog_is_481(method: str, tag: str) -> None:
    bench = answerer()
    sent = only(bench.feed(ask(method, to=f"<sip:b@192.0.2.10>;tag={tag}")))
    assert sent.status == 481
    assert sent.header("To") == f"<sip:b@192.0.2.10>;tag={tag}"
    assert bench.count("stray_request") == 1
    assert bench.count("answered") == 0
    bench.drain()


def test_a_bye_that_names_no_dialog_is_481() -> None:
    """RFC 3261 15.1.2: a BYE without To tag cannot match a dialog."""
    for bench in (answerer(), caller()):
        sent = only(bench.feed(ask("BYE")))
        assert sent.status == 481


@pytest.mark.parametrize("change", [{"call_id": "other@192.0.2.20"},
                                    {"from_": '"A" <sip:a@192.0.2.20>;tag=from2'},
                                    {"from_": '"A" <sip:a@192.0.2.20>'},
                                    {"call_id": "one@192.0.2.200"}])
def test_our_tag_in_another_dialog_is_a_mismatch(change: dict[str, str]) -> None:
    bench = answerer()
    ok = answered(bench)
    assert only(bench.feed(within(ok, "BYE", **change))).status == 481
    assert bench.count("dialog_mismatch") == 1
    assert bench.answered == {}
    assert names(bench.feed(within(ok, "BYE", branch="z9hG4bKthree"))) == ["200/BYE"]


@pytest.mark.parametrize("case", ["Call-ID", "Call-ID host", "Call-ID longer", "tag", "no tag"])
def test_the_callers_dialog_is_compared_octet_by_octet(case: str) -> None:
    bench = caller(settings={"hold": "10s"})
    invite, _ = talking(bench)
    call_id = invite.header("Call-ID")
    change = {"Call-ID": {"call_id": "x" + call_id[1:]},
              "Call-ID host": {"call_id": call_id.split("@")[0] + "@192.0.2.99"},
              "Call-ID longer": {"call_id": call_id + "0"},
              "tag": {"tag": "other"},
              "no tag": {"from_": "<sip:service@192.0.2.20>"}}[case]
    assert only(bench.feed(back(invite, "BYE", **change))).status == 481
    assert bench.count("dialog_mismatch") == 1
    assert bench.engine.in_progress == 1
    assert names(bench.feed(back(invite, "BYE", branch="z9hG4bKright"))) == ["200/BYE"]
    assert bench.outcomes == {"unexpected": 1}


def test_a_lower_cseq_is_500() -> None:
    """RFC 3261 12.2.2."""
    bench = answerer()
    ok = answered(bench, cseq=100)
    sent = only(bench.feed(within(ok, "OPTIONS", cseq=99)))
    assert sent.status == 500
    assert bench.answered == {}
    assert names(bench.feed(within(ok, "BYE", cseq=4000000000, branch="z9hG4bKb"))) == ["200/BYE"]


# --- CANCEL ---

def test_cancel_before_the_final() -> None:
    bench = answerer(settings=RING)
    ringing = only(bench.feed(ask()))
    sent = bench.feed(ask("CANCEL"))
    assert names(sent) == ["200/CANCEL", "487/INVITE"]
    assert {one.tag("To") for one in sent} == {ringing.tag("To")}       # one tag (9.2)
    assert sent[0].branch == sent[1].branch == "z9hG4bKone"
    assert bench.answered == {"cancelled": 1}
    assert names(bench.feed(ask("CANCEL"))) == ["200/CANCEL"]
    bench.feed(within(sent[1], "ACK", cseq=1, branch="z9hG4bKone"))
    bench.drain()
    assert times(bench.wire, "487/INVITE") == [0]


def test_cancel_before_any_response() -> None:
    bench = answerer(settings={**RING, "provisional": "no"})
    bench.feed(ask())
    assert names(bench.feed(ask("CANCEL")))[-2:] == ["200/CANCEL", "487/INVITE"]


def test_cancel_after_the_2xx_has_no_effect() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    sent = only(bench.feed(ask("CANCEL")))
    assert sent.name == "200/CANCEL"
    assert sent.tag("To") == ok.tag("To")
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert names(bench.feed(ask("CANCEL"))) == ["200/CANCEL"]
    bench.feed(within(ok, "BYE"))
    assert names(bench.feed(ask("CANCEL"))) == ["200/CANCEL"]
    assert bench.answered == {"succeeded": 1}
    bench.drain()


def test_cancel_after_a_refusal_has_no_effect() -> None:
    bench = answerer(reject="486:100%")
    bench.feed(ask())
    assert names(bench.feed(ask("CANCEL"))) == ["200/CANCEL"]
    assert bench.answered == {"user": 1}
    bench.feed(ask("ACK", to=bench.wire[0].header("To")))
    bench.drain()


@pytest.mark.parametrize("change", [{}, {"branch": "z9hG4bKelse"},
                                    {"via": ["SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKone"]},
                                    {"via": ["SIP/2.0/UDP 192.0.2.20:5061;branch=z9hG4bKone"]}])
def test_cancel_of_nothing_is_481(change: dict[str, str]) -> None:
    bench = answerer(settings=RING)
    if change:
        bench.feed(ask())
    assert only(bench.feed(ask("CANCEL", **change))).name == "481/CANCEL"
    assert bench.answered == {}


def test_a_bye_in_the_early_dialog_ends_the_invite_by_487() -> None:
    """RFC 3261 15.1.2, whether the scenario thought of it or not."""
    for settings in (RING, {"no_answer": "100%"}):
        bench = answerer(settings=settings)
        ringing = only(bench.feed(ask()))
        sent = bench.feed(within(ringing, "BYE"))
        assert sorted(names(sent)) == ["200/BYE", "487/INVITE"]
        bench.feed(within(ringing, "ACK", cseq=1, branch="z9hG4bKone"))
        bench.drain()


# --- ACK ---

@pytest.mark.parametrize("to", ["<sip:b@192.0.2.10>", "<sip:b@192.0.2.10>;tag=x",
                                "<sip:b@192.0.2.10>;tag=b0b0b0b00000000100000000"])
def test_an_ack_of_nothing_is_counted_in_silence(to: str) -> None:
    bench = answerer()
    assert bench.feed(ask("ACK", to=to)) == []
    assert bench.counts == {"stray_request": 1}


def test_an_ack_before_the_final_changes_nothing() -> None:
    """Out of place; the INVITE is answered as if it had not come."""
    bench = answerer(settings=RING)
    ringing = only(bench.feed(ask()))
    assert bench.feed(within(ringing, "ACK", cseq=1, branch="z9hG4bKone")) == []
    bench.feed(ask(branch="z9hG4bKother", call_id="another", from_="<sip:z@z>;tag=z"))
    answers = [one for one in bench.wait(10 * SECOND) if one.name == "200/INVITE"]
    first = next(one for one in answers if one.header("Call-ID") == "one@192.0.2.20")
    assert first.branch == "z9hG4bKone"
    assert first.header("From") == ringing.header("From")


def test_a_second_ack_is_absorbed() -> None:
    bench = answerer()
    ok = answered(bench)
    again = within(ok, "ACK", cseq=1, branch="z9hG4bKack")
    assert bench.feed(again) == []
    assert bench.count("received_again") == 1


def test_an_ack_with_another_cseq_does_not_stop_the_2xx() -> None:
    bench = answerer()
    ok = bench.feed(ask(cseq=5))[-1]
    bench.feed(within(ok, "ACK", cseq=4, branch="z9hG4bKa"))
    assert names(bench.wait(500 * MS)) == ["200/INVITE"]
    bench.feed(within(ok, "ACK", cseq=5, branch="z9hG4bKb"))
    assert bench.wait(20 * SECOND) == []


# --- second INVITE in a dialog ---

def test_an_invite_while_the_first_is_open_is_500() -> None:
    """RFC 3261 14.2, with Retry-After of 0 to 10 s; the first goes on."""
    bench = answerer(settings=RING)
    ringing = only(bench.feed(ask()))
    second = within(ringing, "INVITE", cseq=2, contact="<sip:a@192.0.2.20>")
    no = only(bench.feed(second))
    assert no.name == "500/INVITE"
    assert 0 <= int(no.header("Retry-After")) <= 10
    bench.feed(within(ringing, "ACK", cseq=2))
    ok = only(bench.run(10 * SECOND))
    assert ok.name == "200/INVITE"
    assert ok.cseq == 1
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKb"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_an_invite_before_the_ack_of_the_first_does_not_lose_that_ack() -> None:
    """RFC 5407 3.1.4 and 3.1.5: refused for a while or taken; the call survives either way."""
    bench = answerer()
    ok = bench.feed(ask())[-1]
    sent = bench.feed(within(ok, "INVITE", cseq=2, contact="<sip:a@192.0.2.20>"))
    assert sent[0].status in (200, 491, 500)
    bench.feed(within(ok, "ACK", cseq=2, branch="z9hG4bKtwo" if sent[0].status > 299 else "z9x"))
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bench.run(40 * SECOND)
    assert bench.answered == {}
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKb"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_reinvite_is_answered_and_acknowledged() -> None:
    bench = answerer()
    ok = answered(bench)
    bench.wait(SECOND)
    fresh = only(bench.feed(within(ok, "INVITE", cseq=2, contact="<sip:new@192.0.2.20>")))
    assert fresh.name == "200/INVITE"
    assert fresh.cseq == 2
    assert fresh.tag("To") == ok.tag("To")
    bench.feed(within(ok, "ACK", cseq=2, branch="z9hG4bKa2"))
    assert bench.wait(5 * SECOND) == []
    bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKb"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_reinvite_that_nobody_wants_is_488_and_the_call_goes_on() -> None:
    def play(c: Any) -> None:
        c.invite(sdp="g711")
        c.expect(200)
        c.ack()
        c.pause("10s")
        c.bye()
        c.expect(200)

    bench = scenario(play)
    invite, _ = talking(bench)
    no = only(bench.feed(back(invite, "INVITE", contact="<sip:peer@192.0.2.20>")))
    assert no.name == "488/INVITE"
    bench.feed(back(invite, "ACK"))
    bye = bench.run(10 * SECOND)[-1]
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_two_open_requests_of_the_peer_are_both_answered() -> None:
    """No request stays without an answer and no transaction stays behind."""
    def story(c: Any) -> None:
        c.respond(180)
        c.respond(200, method="INVITE")
        with c.expect("BYE").optional("ACK").on("INFO"):
            c.pause("1s")
            c.respond(200, method="INFO")
        c.respond(200, method="BYE")

    bench = answering("INVITE", story)
    ok = answered(bench)
    bench.feed(within(ok, "INFO", cseq=2, branch="z9hG4bKi1"))
    bench.feed(within(ok, "INFO", cseq=3, branch="z9hG4bKi2"))
    bench.wait(2 * SECOND)
    bench.feed(within(ok, "BYE", cseq=4, branch="z9hG4bKb"))
    finals = {one.branch for one in bench.wire if one.status >= 200}
    assert {"z9hG4bKi1", "z9hG4bKi2", "z9hG4bKb"} <= finals
    bench.drain()


# --- refusals of the engine ---

def allowed(sent: Sent) -> set[str]:
    return set(re.split(r"\s*,\s*", sent.header("Allow")))


@pytest.mark.parametrize("method", ["XLOAD.1!", "invite", "Options"])
def test_a_method_that_sip_does_not_know_is_501(method: str) -> None:
    bench = answerer()
    sent = only(bench.feed(ask(method)))
    assert sent.name == f"501/{method}"
    assert allowed(sent) >= {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"}
    assert sent.tag("To")
    assert bench.count("auto_answered") == 1
    bench.drain()


@pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "PUBLISH", "REFER"])
def test_a_method_that_nobody_wants_is_405(method: str) -> None:
    sent = only(answerer().feed(ask(method)))
    assert sent.name == f"405/{method}"
    assert method not in allowed(sent)


def test_a_method_that_is_served_in_dialogs_only_is_481() -> None:
    """The built-in answerer takes INFO during a call, so Allow names it."""
    bench = answerer()
    assert only(bench.feed(ask("INFO"))).name == "481/INFO"
    assert "INFO" in allowed(only(bench.feed(ask("PING", branch="z9hG4bKp"))))


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_the_allow_of_a_405_does_not_name_the_refused_method(method: str) -> None:
    """RFC 3261 21.4.6: a list of valid methods; a caller takes no calls."""
    sent = only(caller().feed(ask(method)))
    assert sent.name == f"405/{method}"
    assert method not in allowed(sent)


def test_options_is_answered_without_a_program() -> None:
    """A proxy asks whether we are alive (RFC 3261 11)."""
    bench = caller()
    sent = only(bench.feed(ask("OPTIONS")))
    assert sent.name == "200/OPTIONS"
    assert "Allow" in sent.data.decode()
    assert "Accept" in sent.data.decode()
    assert only(bench.feed(ask("OPTIONS"))).data == sent.data


def test_options_within_a_call() -> None:
    for bench in (answerer(),):
        ok = answered(bench)
        assert names(bench.feed(within(ok, "OPTIONS"))) == ["200/OPTIONS"]
        assert names(bench.feed(within(ok, "MESSAGE", cseq=3, branch="z9hG4bKm"))) == [
            "405/MESSAGE"]
        assert names(bench.feed(within(ok, "BYE", cseq=4, branch="z9hG4bKb"))) == ["200/BYE"]


def test_no_room_is_503() -> None:
    bench = answerer(settings=RING, max_instances=3)
    for number in range(3):
        bench.feed(ask(branch=f"z9hG4bK{number}", call_id=str(number)))
    no = only(bench.feed(ask(branch="z9hG4bKfull", call_id="full")))
    assert no.name == "503/INVITE"
    assert "Retry-After" in no.data.decode()
    assert bench.feed(ask("ACK", branch="z9hG4bKfull", call_id="full", to=no.header("To"))) == []
    assert bench.count("slab_full") == 1
    assert bench.count("answered") == 3
    for number in range(3):
        bench.feed(ask("CANCEL", branch=f"z9hG4bK{number}", call_id=str(number)))
    bench.drain()


def test_no_transaction_left_is_503_and_the_sums_hold() -> None:
    bench = answerer(settings=RING, max_transactions=3)
    for number in range(5):
        sent = bench.feed(ask(branch=f"z9hG4bK{number}", call_id=str(number)))
        assert names(sent) == (["180/INVITE"] if number < 3 else ["503/INVITE"])
    assert bench.count("slab_full") == 2
    assert sum(bench.answered.values()) + bench.engine.answers_in_progress == \
        bench.count("answered")
    for number in range(3):
        bench.feed(ask("CANCEL", branch=f"z9hG4bK{number}", call_id=str(number)))
    bench.drain()


def test_drop_share() -> None:
    bench = answerer(drop_share=0.25, max_instances=5000, max_transactions=20000)
    for number in range(2000):
        bench.feed(ask("OPTIONS", branch=f"z9hG4bK{number}", call_id=str(number)))
    dropped = bench.count("dropped_by_request")
    assert 400 < dropped < 600
    assert len(bench.wire) == 2000 - dropped
    bench = answerer(drop_share=1.0)
    assert bench.feed(ask()) == []


def test_a_drop_spares_requests_in_dialogs() -> None:
    bench = answerer(drop_share=0.5, seed=3)
    while not (sent := bench.feed(ask())):
        pass
    ok = sent[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]


def test_rate_limit() -> None:
    bench = answerer(rate_limit=10.0)
    statuses = []
    for number in range(300):
        bench.run(number * 10 * MS)                     # 100 requests a second for 3 s
        statuses.append(only(bench.feed(ask("OPTIONS", branch=f"z9hG4bK{number}",
                                            call_id=str(number)))).status)
    assert set(statuses) == {200, 503}
    assert 29 <= statuses.count(200) <= 32
    assert bench.count("limited") == statuses.count(503)
    assert bench.count("answered") == statuses.count(200)


def test_an_unexpected_bye_ends_the_call() -> None:
    bench = caller(settings={"hold": "10s"})
    invite, _ = talking(bench)
    assert names(bench.feed(back(invite, "BYE"))) == ["200/BYE"]
    assert bench.outcomes == {"unexpected": 1}
    bench.drain()


def test_crossing_byes() -> None:
    """RFC 5407 3.2.1: 200 to each; both count as a good end."""
    bench = caller()
    invite = bench.start()
    _, bye = bench.feed(reply(invite, 200))
    assert names(bench.feed(back(invite, "BYE"))) == ["200/BYE"]
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_glare_is_491() -> None:
    """RFC 3261 14.2: the peer's re-INVITE crosses ours."""
    def story(c: Any) -> None:
        c.invite()
        c.expect("2xx")
        c.ack()
        c.send("INVITE")
        c.expect("2xx")
        c.ack()

    bench = scenario(story)
    first = bench.start()
    second = bench.feed(reply(first, 200))[-1]
    assert second.name == "INVITE"
    no = only(bench.feed(back(first, "INVITE", contact="<sip:peer@192.0.2.20>")))
    assert no.name == "491/INVITE"
    bench.feed(back(first, "ACK"))
    assert names(bench.feed(reply(second, 200))) == ["ACK"]
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize("via", ["SIP/2.0/UDP 192.0.2.20:5060",
                                 "SIP/2.0/UDP 192.0.2.20:5060;branch=1",
                                 "SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK"])
def test_a_peer_of_rfc_2543(via: str) -> None:
    """17.2.3: without the cookie other fields tell transactions apart, the branch does not."""
    bench = answerer(reject="486:50%", seed=5)
    seen = set()
    for number in range(20):
        call_id = f"old{number}"
        sent = bench.feed(ask(via=[via], call_id=call_id))
        assert sent, number
        final = sent[-1]
        seen.add(final.status)
        again = bench.feed(ask(via=[via], call_id=call_id))
        assert [one.data for one in again] == ([final.data] if final.status == 486 else [])
        assert bench.feed(within(final, "ACK", cseq=1, via=[via])) == []
        if final.status == 200:
            assert names(bench.feed(within(final, "BYE", via=[via]))) == ["200/BYE"]
    assert seen == {200, 486}
    assert bench.wait(SECOND) == []                     # all of them acknowledged
    bench.drain()


def test_an_extension_method_is_sent_and_answered() -> None:
    """M4: any token as method, by the rules of non-INVITE transactions."""
    def story(c: Any) -> None:
        c.send("XLOAD.1!")
        c.expect("2xx")

    bench = scenario(story)
    request = bench.start()
    assert request.name == "XLOAD.1!"
    assert request.method == "XLOAD.1!"
    assert bench.feed(reply(request, 200, cseq="1000 XOTHER")) == []
    assert bench.count("stray_response") == 1
    bench.feed(reply(request, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_bye_before_the_ack_stops_the_2xx() -> None:
    """The dialog is over: nobody waits for its ACK any more."""
    bench = answerer()
    ok = bench.feed(ask())[-1]
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    assert bench.wait(40 * SECOND) == []
    assert bench.answered == {"succeeded": 1}
    bench.drain()
