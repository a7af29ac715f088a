"""The call models with a scripted peer, message by message, in both roles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from siploadgen import parse
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.errors import ModelError
from siploadgen.model.messages import COMPACT
from tests.engine.drive import (
    OFFER,
    SECOND,
    TARGET,
    Bench,
    Sent,
    answerer,
    ask,
    back,
    caller,
    engine_of,
    names,
    only,
    reply,
    within,
)

CONTACT = "<sip:peer@192.0.2.20>"
SDP = ["Content-Type: application/sdp"]


def with_body(response: str, body: str = OFFER) -> str:
    """The same response with a session description."""
    head = response.partition("\r\n\r\n")[0].replace("Content-Length: 0", "")
    return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def line(sent: Sent, letter: str) -> str:
    """First line of a description that begins so."""
    found = re.search(rf"^{letter}=(.*?)\r$", sent.data.decode(), re.MULTILINE)
    assert found, sent.data
    return found[1]


def flow(sent: Sent) -> tuple[str, str]:
    """Version and direction of a description."""
    found = re.search(r"^a=(send\w+|recvonly|inactive)\r$", sent.data.decode(), re.MULTILINE)
    return line(sent, "o").split()[2], found[1] if found else ""


def hold(body: str, direction: str) -> str:
    return body + f"a={direction}\r\n"


# --- offers and answers ---


def test_the_address_says_its_family() -> None:
    for local, peer, text in ((("192.0.2.10", 5070), ("192.0.2.20", 5060), "IN IP4 192.0.2.10"),
                              (("2001:db8::1", 5070), ("2001:db8::2", 5060), "IN IP6 2001:db8::1")):
        invite = caller(local=local, target=peer).start()
        assert line(invite, "c") == text
        assert line(invite, "o").endswith(text)


def test_a_delayed_offer_is_answered_in_the_ack() -> None:
    bench = caller("call-delayed-offer", settings={"hold": "1s"})
    invite = bench.start()
    assert invite.header("Content-Length") == "0"
    ack = only(bench.feed(with_body(reply(invite, 200), hold(OFFER, "sendonly"))))
    assert (ack.name, flow(ack)) == ("ACK", ("2", "recvonly"))
    # each copy of the 2xx is acknowledged with the same answer (RFC 3261 13.2.2.4)
    assert only(bench.feed(with_body(reply(invite, 200), OFFER))).data == ack.data
    bye = bench.run(SECOND)[-1]
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_2xx_without_the_offer_is_the_peers_fault() -> None:
    bench = caller("call-delayed-offer")
    sent = bench.feed(reply(bench.start(), 200))
    assert names(sent) == ["ACK", "BYE"]
    assert sent[0].header("Content-Length") == "0"
    bench.feed(reply(sent[1], 200))
    bench.drain()
    assert "succeeded" not in bench.outcomes
    assert 1 in bench.engine.user_counters


@pytest.mark.parametrize(("body", "good"), [
    (OFFER, True), ("", True), ("no description", False), ("v=0\r\n", False)])
def test_the_answer_in_the_ack_is_looked_at(body: str, good: bool) -> None:
    bench = answerer()
    ok = bench.feed(ask(body=""))[-1]
    assert (ok.status, flow(ok)) == (200, ("1", "sendrecv"))
    sent = bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack", body=body, headers=SDP))
    assert names(sent) == ([] if good else ["BYE"])
    if good:
        bench.feed(within(ok, "BYE"))
    else:
        bench.feed(reply(sent[0], 200))
    bench.drain()
    assert (bench.answered == {"succeeded": 1}) is good


def test_a_hold_is_answered_and_the_version_counts_changes_only() -> None:
    bench = answerer()
    ok = bench.feed(ask())[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa1"))
    assert flow(ok) == ("1", "sendrecv")
    for cseq, (asked, wanted) in enumerate((
            ("sendrecv", ("1", "sendrecv")), ("sendonly", ("2", "recvonly")),
            ("sendonly", ("2", "recvonly")), ("inactive", ("3", "inactive")),
            ("recvonly", ("4", "sendonly")), ("sendrecv", ("5", "sendrecv"))), start=2):
        for method in ("INVITE", "UPDATE"):
            number = 2 * cseq + (method == "UPDATE")
            again = only(bench.feed(within(ok, method, cseq=number, branch=f"z9hG4bK{number}",
                                           body=hold(OFFER, asked), headers=SDP)))
            assert (again.status, flow(again)) == (200, wanted)
            if method == "INVITE":
                bench.feed(within(ok, "ACK", cseq=number, branch=f"z9hG4bKack{number}"))
    bench.feed(within(ok, "BYE", cseq=99, branch="z9hG4bKbye"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_an_ordinary_caller_takes_changes_of_the_callee() -> None:
    bench = caller(settings={"hold": "60s"})
    invite = bench.start()
    bench.feed(reply(invite, 200))
    bench.wait(SECOND)
    sent = only(bench.feed(back(invite, "INVITE", contact=CONTACT, body=hold(OFFER, "sendonly"),
                                headers=SDP)))
    assert (sent.name, flow(sent)) == ("200/INVITE", ("2", "recvonly"))
    bench.feed(back(invite, "ACK", branch="z9hG4bKacked"))
    assert only(bench.feed(back(invite, "INFO", cseq=2, branch="z9hG4bKi"))).status == 200
    bye = bench.run(60 * SECOND)[-1]
    assert (bye.name, bye.at) == ("BYE", 60 * SECOND)   # the pause goes on where it was cut
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


# --- hold ---


def holding(**settings: str) -> tuple[Bench, Sent]:
    bench = caller("call-hold", settings=settings)
    invite = bench.start()
    bench.feed(reply(invite, 200))
    again = bench.run(SECOND)[-1]
    assert (again.name, again.cseq, flow(again)) == ("INVITE", invite.cseq + 1, ("2", "sendonly"))
    assert again.header("Call-ID") == invite.header("Call-ID")
    return bench, again


def test_a_call_is_held_and_taken_back() -> None:
    bench, again = holding()
    assert only(bench.feed(with_body(reply(again, 200)))).name == "ACK"
    resume = bench.run(2 * SECOND)[-1]
    assert (resume.cseq, flow(resume)) == (again.cseq + 1, ("3", "sendrecv"))
    assert only(bench.feed(with_body(reply(resume, 200)))).name == "ACK"
    bye = bench.run(3 * SECOND)[-1]
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_refused_hold_leaves_the_call() -> None:
    bench, again = holding()
    sent = bench.feed(reply(again, 488))
    assert names(sent) == ["ACK", "BYE"]
    bench.feed(reply(sent[1], 200))
    bench.drain()
    assert sum(bench.outcomes.values()) == 1
    assert "succeeded" not in bench.outcomes


@pytest.mark.parametrize("status", [481, 408, 0])
def test_a_dialog_that_the_peer_lost_is_ended(status: int) -> None:
    bench, again = holding()
    sent = bench.feed(reply(again, status)) if status else bench.wait(33 * SECOND)
    bye = sent[-1]
    assert bye.name == "BYE"
    bench.feed(reply(bye, 481))
    bench.drain()
    assert "succeeded" not in bench.outcomes


def test_glare_waits_as_the_owner_of_the_call_id() -> None:
    waited = set()
    for seed in range(30):
        bench = caller("call-hold", seed=seed)
        invite = bench.start()
        bench.feed(reply(invite, 200))
        again = bench.run(SECOND)[-1]
        # the peer's own re-INVITE crosses ours: 491 to it, too
        assert bench.feed(back(invite, "INVITE", contact=CONTACT))[-1].status == 491
        bench.feed(reply(again, 491))
        retry = next(one for one in bench.wait(5 * SECOND) if one.name == "INVITE")
        assert 2.1 * SECOND <= retry.at - SECOND <= 4 * SECOND
        assert (retry.at - SECOND) % 10_000_000 == 0
        waited.add(retry.at)
        # once only
        sent = bench.feed(reply(retry, 491))
        assert names(sent) == ["ACK", "BYE"]
        bench.feed(reply(sent[1], 200))
    assert len(waited) > 15


def test_retry_after_is_waited_for() -> None:
    bench, again = holding()
    bench.feed(reply(again, 500, headers=["Retry-After: 3"]))
    retry = next(one for one in bench.wait(4 * SECOND) if one.name == "INVITE")
    assert (retry.name, retry.at) == ("INVITE", 4 * SECOND)
    bench.feed(reply(retry, 200))
    assert flow(retry) == flow(again)


def test_the_callee_holds_and_waits_for_less_at_glare() -> None:
    bench = answerer(settings={"holder": "callee"})
    ok = bench.feed(ask())[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa1"))
    again = bench.run(SECOND)[-1]
    assert (again.name, flow(again)) == ("INVITE", ("2", "sendonly"))
    bench.feed(reply(again, 491))
    retry = next(one for one in bench.wait(3 * SECOND) if one.name == "INVITE")
    assert 0 <= retry.at - SECOND <= 2 * SECOND
    assert (retry.at - SECOND) % 10_000_000 == 0
    bench.feed(reply(retry, 200))
    bench.feed(within(ok, "BYE", cseq=5, branch="z9hG4bKb"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


# --- reliable provisional responses ---


def rack(ringing: Sent, cseq: int = 1) -> list[str]:
    return [f"RAck: {ringing.header('RSeq')} {cseq} INVITE"]


@pytest.mark.parametrize(("setting", "headers", "wanted"), [
    ("auto", [], "180/INVITE"), ("auto", ["Supported: 100rel"], "reliable"),
    ("auto", ["Require: 100rel"], "reliable"), ("yes", ["Supported: 100rel"], "reliable"),
    ("yes", [], "421/INVITE"), ("no", ["Supported: 100rel"], "180/INVITE"),
    ("no", ["Require: 100rel"], "420/INVITE")])
def test_who_gets_reliable_responses(setting: str, headers: list[str], wanted: str) -> None:
    bench = answerer(settings={"reliable": setting})
    first = bench.feed(ask(headers=headers))[0]
    if wanted == "reliable":
        assert (first.status, first.header("Require")) == (180, "100rel")
    else:
        assert first.name == wanted
        assert "RSeq" not in dict(first.head)
    if wanted == "421/INVITE":
        assert first.header("Require") == "100rel"
    if wanted == "420/INVITE":
        assert first.header("Unsupported") == "100rel"


def test_the_answer_waits_for_the_prack_and_an_update_may_come_between() -> None:
    bench = answerer(settings={"early_media": "yes", "ring": "5s"})
    media = only(bench.feed(ask(headers=["Require: 100rel"])))
    assert (media.status, flow(media)) == (183, ("1", "sendrecv"))
    assert names(bench.wait(SECOND)) == ["183/INVITE"]      # the repetition, nothing else
    # an offer before the answer is acknowledged comes too early (RFC 3311 5.2)
    assert only(bench.feed(within(media, "UPDATE", cseq=2, branch="z9hG4bKu0", body=OFFER,
                                  headers=SDP))).status == 500
    sent = bench.feed(within(media, "PRACK", cseq=3, branch="z9hG4bKp1", headers=rack(media)))
    assert names(sent) == ["200/PRACK", "180/INVITE"]
    sent = bench.feed(within(media, "PRACK", cseq=4, branch="z9hG4bKp2", headers=rack(sent[1])))
    assert names(sent) == ["200/PRACK"]
    update = only(bench.feed(within(media, "UPDATE", cseq=5, branch="z9hG4bKu1",
                                    body=hold(OFFER, "sendonly"), headers=SDP)))
    assert (update.name, flow(update)) == ("200/UPDATE", ("2", "recvonly"))
    ok = bench.run(7 * SECOND)[0]
    assert (ok.name, ok.header("Content-Length")) == ("200/INVITE", "0")
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    bench.feed(within(ok, "BYE", cseq=6, branch="z9hG4bKbye"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_prack_may_bring_an_offer_or_the_answer() -> None:
    bench = answerer()
    ringing = only(bench.feed(ask(headers=["Require: 100rel"])))
    sent = bench.feed(within(ringing, "PRACK", headers=[*rack(ringing), *SDP],
                             body=hold(OFFER, "inactive")))
    assert names(sent) == ["200/PRACK", "200/INVITE"]
    assert flow(sent[0]) == ("2", "inactive")
    # without an offer in the INVITE the PRACK has to bring the answer (RFC 3262 5)
    for body, wanted in ((OFFER, "200/INVITE"), ("", "488/INVITE")):
        bench = answerer()
        ringing = only(bench.feed(ask(headers=["Require: 100rel"], body="")))
        assert flow(ringing) == ("1", "sendrecv")
        sent = bench.feed(within(ringing, "PRACK", headers=[*rack(ringing), *SDP], body=body))
        assert names(sent) == ["200/PRACK", wanted]


def test_the_caller_acknowledges_with_what_is_wanted() -> None:
    for setting, asked in (("delayed_offer", False), ("prack_offer", True)):
        bench = caller("call-reliable", settings={setting: "yes"})
        invite = bench.start()
        assert (b"v=0" in invite.data) is asked
        assert (invite.header("Require"), invite.header("Supported")) == ("100rel", "100rel")
        prack = only(bench.feed(with_body(reply(invite, 183, headers=[
            "Require: 100rel", "RSeq: 5"]))))
        assert (prack.name, prack.header("RAck")) == ("PRACK", f"5 {invite.cseq} INVITE")
        assert b"v=0" in prack.data
        bench.feed(with_body(reply(prack, 200)))
        second = only(bench.feed(reply(invite, 180, headers=["Require: 100rel", "RSeq: 6"])))
        assert b"v=0" not in second.data
        bench.feed(reply(second, 200))
        ack, bye = bench.feed(reply(invite, 200))
        assert (ack.name, ack.header("Content-Length"), bye.name) == ("ACK", "0", "BYE")
        bench.feed(reply(bye, 200))
        bench.drain()
        assert bench.outcomes == {"succeeded": 1}


# --- UPDATE ---


def updating(**settings: str) -> tuple[Bench, Sent, Sent]:
    """A call in its early dialog: bench, INVITE, UPDATE."""
    bench = caller("call-update", settings=settings)
    invite = bench.start()
    prack = only(bench.feed(with_body(reply(invite, 183, headers=["Require: 100rel", "RSeq: 5"]))))
    return bench, invite, only(bench.feed(reply(prack, 200)))


def test_a_call_is_updated_before_and_after_the_answer() -> None:
    bench, invite, update = updating()
    assert (update.name, update.header("Contact")[:5], flow(update)) == (
        "UPDATE", "<sip:", ("2", "sendonly"))
    bench.feed(with_body(reply(update, 200)))
    ack, again = bench.feed(reply(invite, 200))
    assert (ack.name, again.name, flow(again)) == ("ACK", "UPDATE", ("3", "sendrecv"))
    bye = only(bench.feed(with_body(reply(again, 200))))
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize("status", [491, 500, 504, 488])
def test_a_refused_update_leaves_the_call(status: int) -> None:
    bench, invite, update = updating(confirmed="no")
    assert not bench.feed(reply(update, status))
    sent = bench.feed(reply(invite, 200))
    assert names(sent) == ["ACK", "BYE"]
    bench.feed(reply(sent[1], 200))
    bench.drain()
    assert sum(bench.outcomes.values()) == 1
    assert "succeeded" not in bench.outcomes


def test_the_answer_may_overtake_the_update() -> None:
    bench, invite, update = updating(confirmed="no", offer="no")
    assert update.header("Content-Length") == "0"
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]
    bye = only(bench.feed(reply(update, 200)))
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


# --- session timer ---

TIMER = {"session_expires": "90", "hold": "300s"}


def test_the_caller_refreshes_at_half_the_interval() -> None:
    for allow, method in ((["Allow: INVITE, UPDATE"], "UPDATE"), ([], "INVITE")):
        bench = caller("call-session-timer", settings=TIMER)
        invite = bench.start()
        assert invite.header("Session-Expires") == "90;refresher=uac"
        assert (invite.header("Min-SE"), invite.header("Supported")) == ("90", "timer")
        agreed = ["Require: timer", "Session-Expires: 100;refresher=uac"]
        bench.feed(with_body(reply(invite, 200, headers=[*agreed, *allow])))
        for number in range(1, 6):
            refresh = bench.run(number * 50 * SECOND)[-1]
            assert (refresh.name, refresh.at) == (method, number * 50 * SECOND)
            assert refresh.header("Session-Expires") == "100;refresher=uac"
            if method == "INVITE":      # nothing changes: the same description (RFC 4028 7.4)
                assert flow(refresh) == flow(invite)
            bench.feed(reply(refresh, 200, headers=agreed))
        bye = bench.run(300 * SECOND)[-1]
        assert (bye.name, bye.at) == ("BYE", 300 * SECOND)
        bench.feed(reply(bye, 200))
        bench.drain()
        assert bench.outcomes == {"succeeded": 1}


def test_a_session_that_nobody_refreshes_is_ended_in_time() -> None:
    for interval, end in ((90, 60), (1800, 1768)):
        bench = caller("call-session-timer", settings={"hold": "2h"})
        invite = bench.start()
        bench.feed(with_body(reply(invite, 200, headers=[
            f"Session-Expires: {interval};refresher=uas"])))
        bye = bench.run(1790 * SECOND)[0]
        assert bye.name == "BYE"
        assert abs(bye.at - end * SECOND) < 1000
        bench.feed(reply(bye, 200))
        assert "succeeded" not in bench.outcomes


def test_an_interval_that_is_too_small_is_asked_for_again() -> None:
    bench = caller("call-session-timer", settings={"session_expires": "90"})
    invite = bench.start()
    ack, again = bench.feed(reply(invite, 422, headers=["Min-SE: 600"]))
    assert (ack.name, again.name, again.cseq) == ("ACK", "INVITE", invite.cseq + 1)
    assert again.header("Session-Expires") == "600;refresher=uac"
    assert again.header("Min-SE") == "600"
    assert names(bench.feed(reply(again, 422, headers=["Min-SE: 700"]))) == ["ACK"]
    bench.drain()
    assert bench.outcomes == {"rejected": 1}


@pytest.mark.parametrize("status", [481, 408])
def test_a_failed_refresh_ends_the_call(status: int) -> None:
    bench = caller("call-session-timer", settings=TIMER)
    invite = bench.start()
    bench.feed(with_body(reply(invite, 200, headers=["Session-Expires: 90;refresher=uac"])))
    refresh = bench.run(45 * SECOND)[-1]
    assert bench.feed(reply(refresh, status))[-1].name == "BYE"


@pytest.mark.parametrize(("headers", "wanted", "require"), [
    (["Supported: timer", "Session-Expires: 90"], "90;refresher=uac", True),
    (["Supported: timer", "Session-Expires: 90;refresher=uas"], "90;refresher=uas", True),
    (["Session-Expires: 90"], "90;refresher=uas", False), ([], "", False)])
def test_the_callee_agrees(headers: list[str], wanted: str, require: bool) -> None:
    bench = answerer()
    ok = bench.feed(ask(headers=headers))[-1]
    assert ok.status == 200
    assert ok.headers("Session-Expires") == ([wanted] if wanted else [])
    assert ok.headers("Require") == (["timer"] if require else [])


def test_the_callee_refuses_a_small_interval_of_who_knows_timers() -> None:
    for headers, status in ((["Supported: timer"], 422), ([], 200)):
        sent = answerer().feed(ask(headers=[*headers, "Session-Expires: 60"]))
        assert sent[-1].status == status
        assert sent[-1].headers("Min-SE") == (["90"] if status == 422 else [])


def test_the_callee_refreshes_or_ends_what_nobody_refreshes() -> None:
    bench = answerer()
    ok = bench.feed(ask(headers=["Supported: timer", "Session-Expires: 90;refresher=uas",
                                 "Allow: UPDATE"]))[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    refresh = only(bench.run(45 * SECOND))
    assert (refresh.name, refresh.header("Session-Expires")) == ("UPDATE", "90;refresher=uac")
    # from now on it is the peer who refreshes, once
    bench.feed(reply(refresh, 200, headers=["Session-Expires: 90;refresher=uas"]))
    bench.run(80 * SECOND)
    again = only(bench.feed(within(ok, "UPDATE", cseq=2, headers=[
        "Supported: timer", "Session-Expires: 90;refresher=uac"])))
    assert (again.status, again.header("Session-Expires")) == (200, "90;refresher=uac")
    bye = only(bench.run(140 * SECOND))
    assert bye.name == "BYE"
    assert abs(bye.at - 140 * SECOND) < 1000
    bench.feed(reply(bye, 200))
    bench.drain()
    assert "succeeded" not in bench.answered


# --- Expires, bodies ---


def test_a_caller_gives_up_when_its_invite_expires() -> None:
    bench = caller(settings={"expires": "2"})
    invite = bench.start()
    assert invite.header("Expires") == "2"
    bench.feed(reply(invite, 180))
    cancel = bench.run(2 * SECOND)[-1]
    assert (cancel.name, cancel.at) == ("CANCEL", 2 * SECOND)


def test_a_callee_ends_what_has_expired() -> None:
    for ring, status, at in (("5s", 487, 2), ("1s", 200, 1)):
        bench = answerer(settings={"ring": ring})
        bench.feed(ask(headers=["Expires: 2"]))
        final = bench.run(3 * SECOND)[0]
        assert (final.status, final.at) == (status, at * SECOND)


def test_octets_of_a_body_are_kept(tmp_path: Path) -> None:
    octets = (b"--part\r\nContent-Type: application/sdp\r\n\r\n" + OFFER.encode()
              + b"\r\n--part\r\nContent-Type: application/isup\r\n\r\n\x01\n\x00\xff\xfe{x}\r\n"
              + b"--part--\r\n")
    file = tmp_path / "body"
    file.write_bytes(octets)
    invite = caller(settings={"body": str(file)}).start()
    assert invite.header("Content-Type") == "multipart/mixed;boundary=part"
    assert invite.header("Content-Length") == str(len(octets))
    assert invite.data.partition(b"\r\n\r\n")[2] == octets
    bench = answerer(settings={"answer_body": str(file)})
    ok = bench.feed(invite.data, None)[-1]
    assert (ok.status, ok.data.partition(b"\r\n\r\n")[2]) == (200, octets)


# --- headers of the user's own ---


def test_headers_are_added_for_a_run_and_for_each_call() -> None:
    """RFC 3261 7.3.1, 8.1.1.6: any header, and another Max-Forwards."""
    bench = caller(settings={"headers": "Subject: a, b: c | X-Odd!: 7", "max_forwards": "0"})
    invite = bench.start()
    assert invite.header("Subject") == "a, b: c"
    assert invite.header("X-Odd!") == "7"
    assert invite.header("Max-Forwards") == "0"
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.header("Max-Forwards"), bye.headers("Subject")) == ("70", [])
    program = build_caller("call", target_uri="sip:192.0.2.20", columns=("user", "password"),
                           settings={"headers": "Subject: call of {user}"})
    bench = engine_of(program, rows=generated_users(program.columns, 5))
    bench.start(2)
    subjects = {one.header("Subject") for one in bench.wire}
    assert len(subjects) == 2
    assert all(re.fullmatch(r"call of user\d+", one) for one in subjects)


@pytest.mark.parametrize("text", ["Subject", ": x", "A B: x"])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="is no header"):
        caller(settings={"headers": text})


# --- compact header names ---

SHORT_NAMES = {"v", "f", "t", "i", "m", "k", "c", "l"}


def test_header_names_may_have_one_letter() -> None:
    """RFC 3261 7.3.3: all that have one, in requests and in what answers add to them."""
    def program(model: str) -> Bench:
        return engine_of(build_caller(model, target_uri=TARGET, compact=True))

    invite = program("call").start()
    found = {name for name, _ in invite.head}
    assert found >= SHORT_NAMES
    assert not found & set(COMPACT)
    long = caller().start()
    assert len(long.data) - len(invite.data) == sum(
        len(name) - 1 for name, _ in long.head if name in COMPACT)
    bench = engine_of(build_answerer(compact=True))
    ok = bench.feed(invite.data, None)[-1]
    assert ok.status == 200
    assert {name for name, _ in ok.head} >= {"m", "k", "c", "l"}
    parsed = parse(ok.data)
    assert (parsed.cseq.number, parsed.supported) == (1000, ("100rel", "timer"))


@pytest.mark.parametrize("status", [200, 486])
def test_what_belongs_to_a_compact_invite_is_whole(status: int) -> None:
    bench = engine_of(build_caller("call", target_uri="sip:192.0.2.20", compact=True,
                                   settings={"ring_limit": "1s"}))
    invite = bench.start()
    answer = (f"SIP/2.0 {{status}} Any\r\nVia: {invite.header('v')}\r\nFrom: "
              f"{invite.header('f')}\r\nTo: {invite.header('t')};tag=peer\r\nCall-ID: "
              f"{invite.header('i')}\r\nCSeq: {invite.cseq} INVITE\r\n\r\n")
    bench.feed(answer.format(status=180))
    cancel = only(bench.wait(SECOND))
    sent = bench.feed(answer.format(status=status))
    assert [one.line.split()[0] for one in (cancel, *sent)] == [
        "CANCEL", "ACK", *(["BYE"] if status == 200 else [])]
    for one in (cancel, *sent):
        parsed = parse(one.data)
        assert parsed.call_id == invite.header("i")
        assert parsed.cseq.number == invite.cseq + (one.line[:3] == "BYE")


def test_extensions_are_seen_behind_their_short_names() -> None:
    bench = engine_of(build_caller("call-session-timer", target_uri="sip:192.0.2.20", compact=True))
    invite = bench.start()
    assert invite.header("x") == "1800;refresher=uac"
    bench.feed(with_body(
        f"SIP/2.0 200 OK\r\nVia: {invite.header('v')}\r\nFrom: {invite.header('f')}\r\nTo: "
        f"{invite.header('t')};tag=peer\r\nCall-ID: {invite.header('i')}\r\nCSeq: "
        f"{invite.cseq} INVITE\r\nRequire: timer\r\nContent-Length: 0\r\n\r\n"))
    assert bench.count("unknown_required") == 0
