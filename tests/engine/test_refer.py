"""REFER, transfers and Replaces, message by message (RFC 3515, 3891, 3892, 4488, 5589)."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from siploadgen.model.builtin import build_answerer
from siploadgen.model.messages import SUPPORTED
from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    SECOND,
    Bench,
    Sent,
    answerer,
    answering,
    ask,
    back,
    caller,
    engine_of,
    names,
    only,
    reply,
    scenario,
    within,
)

FAILED = {"user": 1}  # transfer_failed
KNOWS = {"supported": ", ".join(SUPPORTED)}
REFER_TO = "Refer-To: <sip:c@192.0.2.30:5062>"
HERE = "Contact: <sip:a@192.0.2.20:5060>"


def notify(refer: Sent, status: int, *, cseq: int, state: str = "active;expires=60",
           event: str = "refer") -> str:
    body = f"SIP/2.0 {status} Any\r\n"
    return back(refer, "NOTIFY", cseq=cseq, branch=f"z9hG4bKnotify{cseq}", body=body, headers=[
        f"Event: {event}", f"Subscription-State: {state}", HERE,
        "Content-Type: message/sipfrag;version=2.0"])


def fragment(sent: Sent) -> str:
    assert sent.header("Content-Type") == "message/sipfrag;version=2.0"
    body = sent.data.split(b"\r\n\r\n", 1)[1].decode()
    assert body.endswith("\r\n")
    return body[:-2]


# --- REFER sent ---


@pytest.mark.parametrize(("last", "outcome"), [
    (200, {"succeeded": 1}), (486, FAILED), (603, FAILED)])
@pytest.mark.parametrize("accepted", [200, 202])
def test_the_final_sipfrag_drives_the_outcome(last: int, outcome: dict[str, int],
                                              accepted: int) -> None:
    """RFC 3515 2.4.5; RFC 7647 5: a 202 is taken for a 200."""
    bench = caller("refer")
    refer = bench.start()
    assert refer.uri == "sip:refer@192.0.2.20:5060"
    assert refer.header("Refer-To") == "<sip:transfer-target@192.0.2.20:5060>"
    assert refer.header("Referred-By") == "<sip:caller@192.0.2.10>"
    assert len(refer.headers("Contact")) == 1
    assert not bench.feed(reply(refer, accepted))
    assert names(bench.feed(notify(refer, 100, cseq=1))) == ["200/NOTIFY"]
    assert names(bench.feed(notify(refer, 180, cseq=2))) == ["200/NOTIFY"]
    assert names(bench.feed(notify(refer, last, cseq=3,
                                   state="terminated;reason=noresource"))) == ["200/NOTIFY"]
    bench.drain()
    assert bench.outcomes == outcome


@pytest.mark.parametrize("finals", [100, 200])
def test_a_notify_may_come_before_the_2xx(finals: int) -> None:
    """RFC 6665 4.4.1: even the last one."""
    bench = caller("refer")
    refer = bench.start()
    state = "active;expires=60" if finals == 100 else "terminated;reason=noresource"
    assert names(bench.feed(notify(refer, finals, cseq=1, state=state))) == ["200/NOTIFY"]
    assert not bench.feed(reply(refer, 200))
    if finals == 100:
        bench.feed(notify(refer, 200, cseq=2, state="terminated;reason=noresource"))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_subscription_that_ends_without_a_final_status() -> None:
    bench = caller("refer")
    refer = bench.start()
    bench.feed(reply(refer, 200))
    bench.feed(notify(refer, 100, cseq=1, state="terminated;reason=giveup"))
    bench.drain()
    assert sum(bench.outcomes.values()) == 1
    assert "succeeded" not in bench.outcomes


def test_nobody_tells_the_outcome() -> None:
    bench = caller("refer", settings={"outcome_limit": "5s"})
    refer = bench.start()
    bench.feed(reply(refer, 200))
    bench.wait(6 * SECOND)
    bench.drain()
    assert "succeeded" not in bench.outcomes
    assert "timeout" not in bench.outcomes


@pytest.mark.parametrize("granted", [True, False])
def test_norefersub(granted: bool) -> None:
    """RFC 4488 4: Refer-Sub: false in the 2xx says that there is no subscription."""
    bench = caller("refer", settings={"notify": "no"})
    refer = bench.start()
    assert (refer.header("Supported"), refer.header("Refer-Sub")) == ("norefersub", "false")
    bench.feed(reply(refer, 200, headers=["Refer-Sub: false"] if granted else []))
    if not granted:
        assert not bench.outcomes
        bench.feed(notify(refer, 200, cseq=1, state="terminated;reason=noresource"))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_refused_refer_is_a_transfer_that_failed() -> None:
    bench = caller("refer")
    bench.feed(reply(bench.start(), 603))
    bench.drain()
    assert "succeeded" not in bench.outcomes


def test_a_second_refer_of_a_dialog_is_told_by_its_number() -> None:
    """RFC 3515 2.4.6: `refer;id=` and the CSeq number of the REFER."""

    def play(c: Recorder) -> None:
        c.invite(sdp="g711")
        c.expect(200)
        c.ack()
        for _ in range(2):
            c.send("REFER", headers={"Refer-To": "<sip:c@192.0.2.30>"})
            c.expect("2xx")
            c.expect("NOTIFY")
            c.capture("id", "Event;id")
            c.respond(200)
        c.bye(headers={"Subject": "{id}"})
        c.expect(200)

    bench = scenario(play)
    invite = bench.start()
    first = bench.feed(reply(invite, 200))[-1]
    bench.feed(reply(first, 200))
    second = bench.feed(notify(first, 200, cseq=1, state="terminated;reason=noresource"))[-1]
    assert (second.name, second.cseq) == ("REFER", first.cseq + 1)
    bench.feed(reply(second, 200))
    bye = bench.feed(notify(second, 200, cseq=2, state="terminated;reason=noresource",
                            event=f"refer;id={second.cseq}"))[-1]
    assert bye.header("Subject") == str(second.cseq)
    bench.feed(reply(bye, 200))
    bench.drain()


# --- REFER received ---


def asked(bench: Bench, *headers: str, **changes: Any) -> list[Sent]:
    return bench.feed(ask("REFER", uri="sip:refer@192.0.2.10:5070", contact="",
                          headers=[REFER_TO, HERE, *headers], **changes))


TARGET = ("192.0.2.30", 5062)


def test_a_refer_is_carried_out_and_told_about() -> None:
    bench = answerer(**KNOWS)
    ok, trying, invite = asked(bench, "Referred-By: <sip:a@192.0.2.20>;x=y")
    assert names([ok, trying, invite]) == ["200/REFER", "NOTIFY", "INVITE"]
    assert len(ok.headers("Contact")) == 1
    assert (trying.header("Event"), fragment(trying)) == ("refer", "SIP/2.0 100 Trying")
    assert trying.header("Subscription-State").startswith("active;expires=")
    assert trying.header("Call-ID") == "one@192.0.2.20"
    assert (invite.uri, invite.to) == ("sip:c@192.0.2.30:5062", TARGET)
    assert invite.header("Referred-By") == "<sip:a@192.0.2.20>;x=y"
    assert invite.header("Call-ID") != trying.header("Call-ID")
    # no NOTIFY while one is open
    assert not bench.feed(reply(invite, 180, tag="c"), TARGET)
    assert not bench.feed(reply(trying, 200))
    ringing = only(bench.feed(reply(invite, 183, tag="c"), TARGET))
    assert fragment(ringing) == "SIP/2.0 183 Any"
    assert names(bench.feed(reply(invite, 200, tag="c", contact="<sip:c@192.0.2.30:5062>"),
                            TARGET)) == ["ACK"]
    last = only(bench.feed(reply(ringing, 200)))
    assert fragment(last) == "SIP/2.0 200 Any"
    assert last.header("Subscription-State") == "terminated;reason=noresource"
    bye = only(bench.feed(reply(last, 200)))
    assert (bye.name, bye.to) == ("BYE", TARGET)
    bench.feed(reply(bye, 200), TARGET)
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_the_refusal_of_the_call_is_told() -> None:
    bench = answerer(**KNOWS)
    _, trying, invite = asked(bench)
    assert "Referred-By" not in dict(invite.head)
    bench.feed(reply(trying, 200))
    ack, last = bench.feed(reply(invite, 486, tag="c"), TARGET)
    assert (ack.name, ack.uri, ack.branch) == ("ACK", invite.uri, invite.branch)
    assert fragment(last) == "SIP/2.0 486 Any"
    assert last.header("Subscription-State") == "terminated;reason=noresource"
    bench.feed(reply(last, 200))
    bench.drain()
    assert bench.answered == {"user": 1}


def test_silence_of_the_target_is_told_as_408() -> None:
    bench = answerer(**KNOWS)
    _, trying, _ = asked(bench)
    bench.feed(reply(trying, 200))
    last = [one for one in bench.wait(33 * SECOND) if one.method == "NOTIFY"]
    assert fragment(last[0]) == "SIP/2.0 408 Request Timeout"
    bench.feed(reply(last[0], 200))
    bench.drain()


def test_a_watcher_that_is_gone_gets_no_more() -> None:
    """RFC 6665 4.2.2: 481 to a NOTIFY ends the subscription; the call goes on."""
    bench = answerer(**KNOWS)
    _, trying, invite = asked(bench)
    bench.feed(reply(trying, 481))
    assert names(bench.feed(reply(invite, 180, tag="c"), TARGET)) == []
    sent = bench.feed(reply(invite, 200, tag="c", contact="<sip:c@192.0.2.30:5062>"), TARGET)
    assert names(sent) == ["ACK", "BYE"]
    bench.feed(reply(sent[1], 200), TARGET)
    bench.drain()


def test_norefersub_is_granted() -> None:
    bench = answerer(**KNOWS)
    ok, invite = asked(bench, "Require: norefersub", "Refer-Sub: false")
    assert (ok.name, ok.header("Refer-Sub"), invite.name) == ("200/REFER", "false", "INVITE")
    assert names(bench.feed(reply(invite, 486, tag="c"), TARGET)) == ["ACK"]
    bench.drain()


@pytest.mark.parametrize("headers", [
    [], [REFER_TO, REFER_TO], ["Refer-To: <sip:c@h>, <sip:d@h>"], ["Refer-To: <"]])
def test_not_exactly_one_refer_to(headers: list[str]) -> None:
    bench = answerer(**KNOWS)
    sent = only(bench.feed(ask("REFER", headers=[HERE, *headers])))
    assert sent.status == 400
    bench.drain()


def test_a_subscription_to_refer_without_refer() -> None:
    """RFC 3515 2.4.4."""
    headers = ["Event: refer;id=1", "Expires: 60", HERE]
    bench = answerer(**KNOWS)
    assert only(bench.feed(ask("SUBSCRIBE", headers=headers))).status == 403
    other = answering("SUBSCRIBE", lambda c: c.respond(200))
    assert only(other.feed(ask("SUBSCRIBE", headers=headers))).status == 403
    assert only(other.feed(ask("SUBSCRIBE", branch="z9hG4bKp", call_id="p",
                               headers=["Event: presence", HERE]))).status == 200


# --- transfers ---


def called(bench: Bench, user: str, **changes: Any) -> Sent:
    """Call a user; the 200, acknowledged."""
    uri = f"sip:{user}@192.0.2.10:5070"
    ok = bench.feed(ask(uri=uri, to=f"<{uri}>", **changes))[-1]
    assert ok.name == "200/INVITE"
    ack = {key: value for key, value in changes.items() if key in ("call_id",)}
    assert not bench.feed(within(ok, "ACK", cseq=ok.cseq, branch="z9hG4bKack" + user, **ack))
    return ok


def test_the_transferee_calls_and_lets_the_transferor_go() -> None:
    bench = answerer(settings={"hold": "5s"}, **KNOWS)
    ok = called(bench, "transferee")
    _, trying, invite = bench.feed(within(ok, "REFER", headers=[REFER_TO, HERE]))
    assert trying.header("To") == ok.header("From")
    assert invite.tag("From") != ok.tag("To")
    bench.feed(reply(trying, 200))
    _, last = bench.feed(reply(invite, 200, tag="c", contact="<sip:c@192.0.2.30:5062>"), TARGET)
    assert fragment(last).startswith("SIP/2.0 200")
    bench.feed(reply(last, 200))
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKbye"))) == ["200/BYE"]
    bye = only(bench.wait(5 * SECOND))
    assert (bye.name, bye.to) == ("BYE", TARGET)
    bench.feed(reply(bye, 200), TARGET)
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_transfer_that_fails_can_be_tried_again() -> None:
    """RFC 5589 6.2; the second REFER of the dialog has its number in Event (RFC 3515 2.4.6)."""
    bench = answerer(**KNOWS)
    ok = called(bench, "transferee")
    for cseq, event in ((2, "refer"), (3, "refer;id=3")):
        _, trying, invite = bench.feed(within(ok, "REFER", cseq=cseq, branch=f"z9hG4bK{cseq}",
                                              headers=[REFER_TO, HERE]))
        assert trying.header("Event") == event
        bench.feed(reply(trying, 200))
        _, last = bench.feed(reply(invite, 486, tag=f"c{cseq}"), TARGET)
        assert last.header("Event") == event
        assert not bench.feed(reply(last, 200))
    assert names(bench.feed(within(ok, "BYE", cseq=4, branch="z9hG4bKbye"))) == ["200/BYE"]
    bench.drain()


def test_the_transferor_may_leave_before_the_outcome_is_known() -> None:
    bench = answerer(**KNOWS)
    ok = called(bench, "transferee")
    _, trying, invite = bench.feed(within(ok, "REFER", headers=[REFER_TO, HERE]))
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKbye"))) == ["200/BYE"]
    bench.feed(reply(trying, 200))
    # the subscription outlives the call in its dialog (RFC 5057 4.2)
    ack, last = bench.feed(reply(invite, 200, tag="c", contact="<sip:c@192.0.2.30>"), TARGET)
    assert names([ack, last]) == ["ACK", "NOTIFY"]
    bye = only(bench.feed(reply(last, 200)))
    bench.feed(reply(bye, 200), TARGET)
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_refer_beside_the_dialog() -> None:
    """RFC 5589 6.1: to the Contact, with Target-Dialog."""
    bench = answerer(**KNOWS)
    ok = called(bench, "transferee")
    contact = ok.header("Contact").strip("<>")
    sent = bench.feed(ask("REFER", uri=contact, branch="z9hG4bKbeside", call_id="two",
                          headers=[REFER_TO, HERE, "Require: tdialog", "Target-Dialog: one@192.0"
                                   f".2.20;local-tag={ok.tag('To')};remote-tag=from1"]))
    assert names(sent) == ["200/REFER", "NOTIFY", "INVITE"]
    assert sent[1].header("Call-ID") == "two"
    bench.feed(reply(sent[1], 200))
    last = bench.feed(reply(sent[2], 486, tag="c"), TARGET)[-1]
    assert not bench.feed(reply(last, 200))
    assert names(bench.feed(within(ok, "BYE", cseq=4, branch="z9hG4bKbye"))) == ["200/BYE"]
    bench.drain()


def test_the_transferor_sends_a_refer_beside_the_dialog() -> None:
    bench = caller("transfer-blind", settings={"in_dialog": "no"})
    invite = bench.start()
    ack, refer = bench.feed(reply(invite, 200, contact="<sip:b@192.0.2.21:5063>"))
    assert names([ack, refer]) == ["ACK", "REFER"]
    assert (refer.uri, refer.to) == ("sip:b@192.0.2.21:5063", ("192.0.2.21", 5063))
    assert refer.header("Call-ID") != invite.header("Call-ID")
    assert refer.header("Target-Dialog") == (
        f"{invite.header('Call-ID')};local-tag=peer;remote-tag={invite.tag('From')}")
    bench.feed(reply(refer, 200, tag="refer"))
    bye = bench.feed(back(refer, "NOTIFY", tag="refer", body="SIP/2.0 200 OK\r\n", headers=[
        "Event: refer", "Subscription-State: terminated;reason=noresource"]))[-1]
    assert (bye.name, bye.header("Call-ID")) == ("BYE", invite.header("Call-ID"))
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_refer_that_crosses_a_bye() -> None:
    """RFC 5407 3.3.3: whoever has sent BYE answers the REFER with 481."""
    bench = caller("transfer-blind")
    invite = bench.start()
    _, refer = bench.feed(reply(invite, 200))
    assert names(bench.feed(back(invite, "BYE"))) == ["200/BYE"]
    bench.feed(reply(refer, 481))
    bench.drain()
    assert sum(bench.outcomes.values()) == 1
    assert "succeeded" not in bench.outcomes

    other = answerer(settings={"callee_hangs_up": "yes"}, **KNOWS)
    ok = other.feed(ask())[-1]
    assert names(other.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))) == ["BYE"]
    assert only(other.feed(within(ok, "REFER", headers=[REFER_TO, HERE]))).status == 481
    other.feed(reply(other.wire[-2], 200))
    other.drain()


def test_an_attended_transfer_asks_for_the_place_of_its_second_call() -> None:
    bench = caller("transfer-attended")
    first = bench.start()
    ack, second = bench.feed(reply(first, 200, tag="b", contact="<sip:b@192.0.2.21:5063>"))
    assert second.uri == "sip:transfer-target@192.0.2.20:5060"
    ack, refer = bench.feed(reply(second, 200, tag="c&1", contact="<sip:c@192.0.2.22:5064;x=y>"))
    assert (ack.name, ack.uri) == ("ACK", "sip:c@192.0.2.22:5064;x=y")
    assert (refer.name, refer.uri) == ("REFER", "sip:b@192.0.2.21:5063")
    assert refer.header("Refer-To") == (
        f"<sip:c@192.0.2.22:5064;x=y?Replaces={second.tag('From')}%40192.0.2.10%3Bto-tag%3Dc%261"
        f"%3Bfrom-tag%3D{second.tag('From')}&Require=replaces>")
    bench.feed(reply(refer, 202))
    # the second call is replaced before or after we are told
    assert names(bench.feed(back(second, "BYE", tag="c&1"))) == ["200/BYE"]
    sent = bench.feed(back(refer, "NOTIFY", tag="b", body="SIP/2.0 200 OK\r\n", headers=[
        "Event: refer", "Subscription-State: terminated;reason=noresource"]))
    assert names(sent) == ["200/NOTIFY", "BYE"]
    assert sent[1].header("Call-ID") == first.header("Call-ID")
    bench.feed(reply(sent[1], 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


# --- Replaces ---


def replacing(ok: Sent, *more: str, call_id: str = "one@192.0.2.20", to_tag: str = "",
              from_tag: str = "from1", suffix: str = "") -> str:
    value = f"{call_id};from-tag={from_tag};to-tag={to_tag or ok.tag('To')}{suffix}"
    return ask(uri=ok.header("Contact").strip("<>"), branch="z9hG4bKreplacing", call_id="new",
               from_="<sip:b@192.0.2.20>;tag=b", headers=[f"Replaces: {value}", *more])


def test_an_invite_takes_the_place_of_a_call() -> None:
    """RFC 3891 3: 200 to the new one, BYE in the old one."""
    bench = answerer(**KNOWS)
    ok = called(bench, "transfer-target")
    taken, bye = bench.feed(replacing(ok, "Require: replaces"))
    assert (taken.name, taken.header("Call-ID")) == ("200/INVITE", "new")
    assert taken.tag("To") not in ("", ok.tag("To"))
    assert (bye.name, bye.header("Call-ID")) == ("BYE", "one@192.0.2.20")
    assert not bench.feed(within(taken, "ACK", cseq=1, branch="z9hG4bKacknew"))
    assert not bench.feed(reply(bye, 200))
    assert names(bench.feed(within(taken, "BYE", branch="z9hG4bKend"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


@pytest.mark.parametrize(("changes", "status"), [
    ({"call_id": "other"}, 481), ({"from_tag": "other"}, 481), ({"to_tag": "other"}, 481),
    ({"to_tag": "b0b0b0b00000000700000000"}, 481), ({"suffix": ";early-only"}, 486),
])
def test_a_replaces_that_fits_nothing(changes: dict[str, str], status: int) -> None:
    bench = answerer(**KNOWS)
    ok = called(bench, "transfer-target")
    assert only(bench.feed(replacing(ok, **changes))).status == status
    assert names(bench.feed(within(ok, "BYE", branch="z9hG4bKend"))) == ["200/BYE"]
    bench.drain()


def test_ringing_cannot_be_replaced_where_it_rings() -> None:
    """RFC 3891 3: an early dialog is replaced at the end that began it."""
    bench = answerer(settings={"ring": "5s"}, **KNOWS)
    ringing = only(bench.feed(ask(uri="sip:transfer-target@192.0.2.10:5070")))
    assert ringing.status == 180
    assert only(bench.feed(replacing(ringing))).status == 481


def test_ringing_is_replaced_where_it_was_begun() -> None:
    def play(c: Recorder) -> None:
        c.invite(sdp="g711")
        wait = c.expect(200).optional("1xx")
        with wait.on("INVITE", leg="new"):
            c.respond(200, method="INVITE", leg="new")
            c.cancel()
            c.expect("300-699", method="INVITE")
            c.expect("BYE", leg="new").optional("ACK")
            c.respond(200, leg="new")
            c.end()

    bench = scenario(play)
    invite = bench.start()
    bench.feed(reply(invite, 180, tag="c"))
    request = ask(uri=invite.header("Contact").strip("<>"), headers=[
        f"Replaces: {invite.header('Call-ID')};to-tag={invite.tag('From')};from-tag=c;early-only"])
    ok, cancel = bench.feed(request)
    assert names([ok, cancel]) == ["200/INVITE", "CANCEL"]
    bench.feed(reply(cancel, 200))
    bench.feed(reply(invite, 487, tag="c"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_call_that_is_ending_is_not_replaced() -> None:
    bench = answerer(settings={"callee_hangs_up": "yes"}, **KNOWS)
    ok = bench.feed(ask())[-1]
    bye = only(bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack")))
    assert only(bench.feed(replacing(ok))).status == 603
    bench.feed(reply(bye, 200))
    bench.drain()


def test_a_call_that_waits_for_nothing_else_stays() -> None:
    bench = answerer(**KNOWS)
    ok = called(bench, "anybody")
    assert only(bench.feed(replacing(ok))).status == 480
    assert names(bench.feed(within(ok, "BYE", branch="z9hG4bKend"))) == ["200/BYE"]
    bench.drain()


def test_replaces_stands_once_and_in_an_invite() -> None:
    bench = answerer(**KNOWS)
    ok = called(bench, "transfer-target")
    assert only(bench.feed(replacing(ok, "Replaces: a;to-tag=b;from-tag=c"))).status == 400
    other = ask("OPTIONS", branch="z9hG4bKoptions", call_id="o",
                headers=["Replaces: a;to-tag=b;from-tag=c"])
    assert only(bench.feed(other)).status == 400


def test_a_replaces_without_the_extension() -> None:
    """Who does not list it in Supported refuses what requires it (RFC 3261 8.2.2.3)."""
    bench = engine_of(build_answerer(), supported="timer")
    ok = called(bench, "transfer-target")
    assert only(bench.feed(replacing(ok, "Require: replaces"))).status == 420


# --- what programs take and write ---


@pytest.mark.parametrize(("status", "reason", "line"), [
    (486, "Busy Here", "SIP/2.0 486 Busy Here"), (200, "", "SIP/2.0 200"),
])
def test_the_status_line_is_taken(status: int, reason: str, line: str) -> None:
    def play(c: Recorder) -> None:
        c.options()
        c.expect("200-699")
        c.capture("said", "status_line")
        c.options(headers={"Subject": "[{said}]"})
        c.expect("200-699")

    bench = scenario(play)
    answer = re.sub(r"^SIP/2.0 \d+ Any", f"SIP/2.0 {status} {reason}",
                    reply(bench.start(), status))
    assert only(bench.feed(answer)).header("Subject") in (f"[{line}]", f"[{line} ]")


def test_a_text_is_escaped_for_a_uri() -> None:
    def play(c: Recorder) -> None:
        c.options()
        c.expect(200)
        c.capture("it", "Subject")
        c.text("safe", "{it}", escaped=True)
        c.options(headers={"Subject": "{safe}"})
        c.expect(200)

    bench = scenario(play)
    again = only(bench.feed(reply(bench.start(), 200,
                                  headers=["Subject: a@b;c=d&e?f:[g]/%41 'h' <é>"])))
    assert again.header("Subject") == "a%40b%3Bc%3Dd%26e?f:[g]/%2541%20%27h%27%20%3C%C3%A9%3E"


# --- challenges to the call that a REFER asked for ---

CHALLENGED = {"referred_user": "bob", "referred_password": "hush"}


def proof(request: Sent, name: str, password: str = "hush") -> None:
    """The credentials of a request, computed here once more (RFC 2617 3.2.2)."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', request.header(name)))

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    assert given["response"] == h(":".join([
        h(f"bob:{given['realm']}:{password}"), given["nonce"], given["nc"], given["cnonce"],
        given["qop"], h(f"{request.line.split()[0]}:{given['uri']}")]))


@pytest.mark.parametrize(("status", "asks", "answers"), [
    (401, "WWW-Authenticate", "Authorization"),
    (407, "Proxy-Authenticate", "Proxy-Authorization")])
@pytest.mark.parametrize("headers", [[], ["Referred-By: <sip:a@192.0.2.20>"]])
def test_the_transferee_answers_a_challenge_to_its_call(status: int, asks: str, answers: str,
                                                        headers: list[str]) -> None:
    bench = answerer(settings=CHALLENGED, **KNOWS)
    _, trying, invite = asked(bench, *headers)
    bench.feed(reply(trying, 200))
    ack, again = bench.feed(reply(invite, status, tag="c", headers=[
        f'{asks}: Digest realm="r", nonce="n", qop="auth"']), TARGET)
    assert (ack.name, again.name, again.cseq) == ("ACK", "INVITE", invite.cseq + 1)
    assert again.header("Call-ID") == invite.header("Call-ID")
    assert again.headers("Referred-By") == invite.headers("Referred-By")
    assert not again.tag("To")
    proof(again, answers)
    ack, last = bench.feed(reply(again, 200, tag="c", contact="<sip:c@192.0.2.30:5062>"), TARGET)
    proof_of_ack = ack.header(answers)
    assert proof_of_ack == again.header(answers)                    # RFC 3261 22.1
    assert fragment(last) == "SIP/2.0 200 Any"
    bye = only(bench.feed(reply(last, 200)))
    proof(bye, answers)
    bench.feed(reply(bye, 200), TARGET)
    bench.drain()
    assert bench.answered == {"succeeded": 1}


@pytest.mark.parametrize("user", ["bob", ""])
def test_a_challenge_that_is_not_answered_is_told(user: str) -> None:
    bench = answerer(settings={**CHALLENGED, "referred_user": user}, **KNOWS)
    _, trying, invite = asked(bench)
    bench.feed(reply(trying, 200))
    asks = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
    sent = bench.feed(reply(invite, 401, tag="c", headers=[asks]), TARGET)
    if user:
        sent = bench.feed(reply(sent[-1], 401, tag="c", headers=[asks]), TARGET)
    assert fragment(sent[-1]) == "SIP/2.0 401 Any"
    assert sent[-1].header("Subscription-State") == "terminated;reason=noresource"
    bench.feed(reply(sent[-1], 200))
    bench.drain()
    assert bench.answered == {"user": 1}
