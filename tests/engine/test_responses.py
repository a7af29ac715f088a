"""Responses at the calling side: which transaction they belong to and what each copy does.

RFC 3261 17.1.3, 8.1.3.3, 13.2.2.4, 17.1.1.3; RFC 6026 7.2.
"""

from __future__ import annotations

from typing import Any

import pytest

from siploadgen.model.python import Recorder
from tests.engine.drive import (
    MS,
    SECOND,
    caller,
    names,
    only,
    reply,
    scenario,
    talking,
    times,
)

HOLD = {"hold": "10s"}


def via_of(invite_via: str, **changes: str) -> str:
    for old, new in changes.items():
        invite_via = invite_via.replace(old, new)
    return invite_via


STRAYS = {
    "branch of nobody": lambda via: via.split("branch=")[0] + "branch=z9hG4bKdeadbeef",
    "no cookie": lambda via: via.replace("z9hG4bK", "z9hG4bk"),
    "no branch": lambda via: via.split(";branch=")[0],
    "longer branch": lambda via: via + "0",
    "upper case branch": lambda via: via.split("branch=")[0] + "branch=z9hG4bK"
    + via.split("branch=z9hG4bK")[1].upper(),
    "other host": lambda via: via.replace("192.0.2.10", "192.0.2.11"),
    "other port": lambda via: via.replace(":5070", ":5071"),
    "default port": lambda via: via.replace(":5070", ""),
    "two Vias": lambda via: via + ", SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx",
    "other run": lambda via: via.replace("z9hG4bKa0a0a0a0", "z9hG4bKa0a0a0a1"),
    "other engine": lambda via: via[:-8] + "07" + via[-6:],
    "stale generation": lambda via: via[:-16] + "00000003" + via[-8:],
    "free record": lambda via: via[:-6] + "000005",
    "far index": lambda via: via[:-6] + "ffffff",
}


@pytest.mark.parametrize("case", STRAYS)
@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_response_of_another_transaction_changes_nothing(case: str, status: int) -> None:
    bench = caller(settings=HOLD)
    invite = bench.start()
    other = STRAYS[case](invite.header("Via"))
    assert other != invite.header("Via")
    assert bench.feed(reply(invite, status, via=other)) == []
    assert bench.counts == {"due": 1, "started": 1, "stray_response": 1}
    bench.run(SECOND)
    assert times(bench.wire, "INVITE") == [0, 0.5]      # still unanswered
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]


@pytest.mark.parametrize("cseq", ["1001 INVITE", "999 INVITE", "0 INVITE", "4294967295 INVITE",
                                  "1000 BYE", "1000 ACK", "1000 CANCEL", "1000 invite",
                                  "1000 OPTIONS"])
def test_a_response_with_another_cseq_is_stray(cseq: str) -> None:
    bench = caller(settings=HOLD)
    invite = bench.start()
    assert bench.feed(reply(invite, 200, cseq=cseq)) == []
    assert bench.count("stray_response") == 1
    assert bench.engine.in_progress == 1
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]


def test_a_response_after_the_transaction_has_gone_is_stray() -> None:
    bench = caller("options")
    options = bench.start()
    bench.feed(reply(options, 200))
    bench.drain()
    assert bench.feed(reply(options, 200)) == []
    assert bench.count("stray_response") == 1


def test_a_new_transaction_in_the_same_record_is_not_confused() -> None:
    """The slot is the same, the generation is not."""
    bench = caller("options", linger=0)
    first = bench.start()
    bench.feed(reply(first, 200))
    second = bench.start()
    assert first.branch[-8:] == second.branch[-8:]
    assert first.branch != second.branch
    assert bench.feed(reply(first, 200)) == []
    assert bench.count("stray_response") == 1
    assert bench.engine.in_progress == 1
    bench.feed(reply(second, 200))
    assert bench.outcomes == {"succeeded": 2}
    bench.drain()


def test_responses_of_another_source_are_taken() -> None:
    """A response is matched by its Via, not by where it comes from (RFC 3261 17.1.3)."""
    bench = caller("options")
    options = bench.start()
    bench.feed(reply(options, 200), ("203.0.113.9", 999))
    assert bench.outcomes == {"succeeded": 1}


def test_a_late_provisional_after_the_final_does_nothing() -> None:
    bench = caller(settings=HOLD)
    invite, _ = talking(bench)
    assert bench.feed(reply(invite, 180)) == []
    assert bench.count("received_again") == 1
    bench.run(10 * SECOND)
    bye = bench.wire[-1]
    assert bye.name == "BYE"
    bench.feed(reply(bye, 200))
    assert bench.feed(reply(bye, 100)) == []
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_each_2xx_is_acknowledged_by_the_same_octets() -> None:
    bench = caller(settings=HOLD)
    invite, ack = talking(bench)
    for number in range(1, 4):
        bench.wait(SECOND)
        again = only(bench.feed(reply(invite, 200)))
        assert again.data == ack.data
        assert bench.count("received_again") == number
        assert bench.engine.retransmitted[2] == number
    assert bench.engine.sent_requests[2] == 4


def test_the_ack_of_a_2xx_is_the_same_while_the_bye_is_under_way() -> None:
    bench = caller()
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, 200))
    assert only(bench.feed(reply(invite, 200))).data == ack.data
    assert bye.cseq == 1001
    assert ack.cseq == 1000
    assert bye.branch != ack.branch != invite.branch


def test_a_2xx_is_acknowledged_even_when_the_call_is_over() -> None:
    """RFC 3261 13.2.2.4: each copy, as long as the transaction can see them (64*T1)."""
    bench = caller()
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, 200))
    bench.feed(reply(bye, 200))
    assert bench.engine.in_progress == 0
    bench.wait(3 * SECOND)
    first = only(bench.feed(reply(invite, 200)))
    assert first.name == "ACK"
    assert first.uri == ack.uri == "sip:peer@192.0.2.20"
    assert first.cseq == ack.cseq
    for name in ("From", "To", "Call-ID"):
        assert first.header(name) == ack.header(name)
    bench.wait(3 * SECOND)
    assert only(bench.feed(reply(invite, 200))).data == first.data
    bench.drain()
    assert bench.feed(reply(invite, 200)) == []         # timer M is over
    assert bench.count("stray_response") == 1


def test_the_orphan_ack_takes_the_route_of_the_dialog() -> None:
    """RFC 3261 13.2.2.4 and 12.2.1.1: an ACK is a request in the dialog."""
    bench = caller()
    invite = bench.start()
    route = ["Record-Route: <sip:192.0.2.31;lr>, <sip:192.0.2.32;lr>"]
    ack, bye = bench.feed(reply(invite, 200, headers=route))
    bench.feed(reply(bye, 200))
    orphan = only(bench.feed(reply(invite, 200, headers=route)))
    assert orphan.to == ack.to == ("192.0.2.32", 5060)
    assert orphan.headers("Route") == ack.headers("Route")
    assert orphan.uri == ack.uri


@pytest.mark.parametrize("status", [300, 404, 486, 503, 603, 699])
def test_each_refusal_is_acknowledged_in_the_transaction(status: int) -> None:
    bench = caller()
    invite = bench.start()
    acks = []
    for _ in range(3):
        acks.append(only(bench.feed(reply(invite, status))))
        bench.wait(SECOND)
    assert {one.data for one in acks} == {acks[0].data}
    ack = acks[0]
    assert (ack.name, ack.branch, ack.cseq, ack.uri) == (
        "ACK", invite.branch, invite.cseq, invite.uri)
    assert ack.header("To").endswith(";tag=peer")       # of the response (17.1.1.3)
    assert ack.header("From") == invite.header("From")
    assert ack.header("Via") == invite.header("Via")
    assert ack.to == invite.to
    assert bench.outcomes == {"rejected": 1}
    assert bench.count("received_again") == 2
    bench.drain()


def test_a_2xx_after_a_refusal_is_stray() -> None:
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 486))
    assert bench.feed(reply(invite, 200)) == []
    assert bench.count("stray_response") == 1
    bench.drain()


def test_a_2xx_with_another_tag_has_its_own_ack() -> None:
    """A forked INVITE: the ACK of each 2xx goes into that 2xx's dialog (13.2.2.4)."""
    bench = caller(settings=HOLD)
    invite, ack = talking(bench)
    other = bench.feed(reply(invite, 200, tag="fork", contact="<sip:fork@192.0.2.77>"))
    assert names(other)[:1] == ["ACK"]
    assert other[0].header("To").endswith(";tag=fork")
    assert other[0].uri == "sip:fork@192.0.2.77"
    assert only(bench.feed(reply(invite, 200))).data == ack.data       # ours goes on
    bench.run(10 * SECOND)
    bye = bench.wire[-1]
    assert bye.name == "BYE"
    assert bye.header("To").endswith(";tag=peer")
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_the_dialog_is_that_of_the_2xx_not_of_the_180() -> None:
    bench = caller()
    invite = bench.start()
    bench.feed(reply(invite, 180, tag="early", contact="<sip:early@192.0.2.55>"))
    ack, bye = bench.feed(reply(invite, 200, tag="late", contact="<sip:late@192.0.2.66:5066>"))
    for one in (ack, bye):
        assert one.header("To").endswith(";tag=late")
        assert one.uri == "sip:late@192.0.2.66:5066"
        assert one.to == ("192.0.2.66", 5066)


def test_unknown_statuses_count_as_their_class() -> None:
    """RFC 3261 8.1.3.2."""
    bench = caller()
    invite = bench.start()
    assert bench.feed(reply(invite, 199)) == []
    assert names(bench.feed(reply(invite, 299))) == ["ACK", "BYE"]
    assert bench.engine.received_responses[1][299 - 100] == 1
    bench.feed(reply(bench.wire[-1], 299))
    assert bench.outcomes == {"succeeded": 1}


def test_an_answer_without_a_tag_or_a_contact_does_no_harm() -> None:
    bench = caller()
    invite = bench.start()
    sent = bench.feed(reply(invite, 200, tag="", contact=""))
    assert names(sent) == ["ACK", "BYE"]
    assert all(" sip:" in one.line for one in sent), [one.line for one in sent]
    bench.feed(reply(sent[-1], 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_an_old_invites_2xx_is_acknowledged_after_a_new_invite() -> None:
    """13.2.2.4: also when the dialog has gone on to a re-INVITE."""
    def story(c: Any) -> None:
        c.invite()
        c.expect("2xx")
        c.ack()
        c.send("INVITE")
        c.expect("2xx")
        c.ack()
        c.pause("10s")
        c.bye()
        c.expect("2xx")

    bench = scenario(story)
    first = bench.start()
    ack, second = bench.feed(reply(first, 200))
    assert second.name == "INVITE"
    assert second.cseq == 1001
    again = bench.feed(reply(first, 200))
    assert names(again) == ["ACK"]
    assert again[0].cseq == 1000
    assert names(bench.feed(reply(second, 200))) == ["ACK"]
    again = bench.feed(reply(first, 200))
    assert names(again) == ["ACK"]
    assert again[0].cseq == 1000
    assert ack.cseq == 1000


def test_the_end_of_a_cancelled_call_does_not_touch_another_call() -> None:
    """The record of an answered CANCEL is used again while its INVITE still waits for a 487."""
    def story(c: Any) -> None:
        c.invite()
        with c.expect("2xx", within="1s").optional("1xx").on_late():
            c.cancel()
            c.expect("300-699", within="3s").optional("200", method="CANCEL").late(end="no_answer")
            c.end("no_answer")
        c.ack()

    bench = scenario(story, t4=100 * MS)
    first = bench.start()
    bench.feed(reply(first, 180))
    cancel = bench.run(SECOND)[-1]
    assert cancel.name == "CANCEL"
    assert cancel.branch == first.branch
    bench.feed(reply(cancel, 200))
    bench.run(3500 * MS)                                # timer K frees the CANCEL
    second = bench.start()                              # takes its record
    bench.run(4200 * MS)                                # no 487 came: the first call ends
    assert bench.outcomes == {"no_answer": 1}
    bench.engine.check()
    assert names(bench.feed(reply(second, 200))) == ["ACK"]
    assert bench.outcomes == {"no_answer": 1, "succeeded": 1}
    bench.drain()


def test_a_response_to_an_answered_cancel_is_absorbed_or_stray() -> None:
    bench = caller("call", settings={"ring_limit": "1s"}, t4=100 * MS)
    first = bench.start()
    bench.feed(reply(first, 180))
    cancel = bench.run(SECOND)[-1]
    bench.feed(reply(cancel, 200))
    bench.wait(SECOND)
    second = bench.start()
    bench.feed(reply(second, 180))
    other = bench.wait(SECOND)[-1]                      # the CANCEL of the second call
    assert other.name == "CANCEL"
    assert other.branch == second.branch
    strays = bench.count("stray_response")
    bench.feed(reply(cancel, 200))
    assert bench.count("stray_response") == strays + 1
    assert [one.name for one in bench.wait(600 * MS)] == ["CANCEL"]     # still unanswered


# --- hex digits of a branch ---

@pytest.mark.parametrize("place", [8, 11, 15, 16, 20, 23])
def test_an_octet_that_is_no_digit_makes_another_branch(place: int) -> None:
    """The token behind z9hG4bK: of its last 16 digits each octet but the right one is refused."""
    bench = caller(settings=HOLD)
    invite = bench.start()
    via = invite.header("Via").encode()
    at = via.index(b"z9hG4bK") + 7 + place
    answer = reply(invite, 180, via="@VIA@").encode()
    others = [octet for octet in range(33, 256) if octet not in b',;"' and octet != via[at]]
    for octet in others:
        bench.feed(answer.replace(b"@VIA@", via[:at] + bytes([octet]) + via[at + 1:]))
    assert bench.count("stray_response") + bench.count("malformed") == len(others)
    bench.feed(answer.replace(b"@VIA@", via))
    assert bench.count("stray_response") + bench.count("malformed") == len(others)


# --- a success that no step waits for ---

@pytest.mark.parametrize("within", ["", "2s"])
def test_a_success_instead_of_a_refusal_ends_the_call(within: str) -> None:
    """Nothing more can come; a limit that the author has set is kept."""
    def model(c: Recorder) -> None:
        c.options()
        c.expect(486, within=within)

    bench = scenario(model)
    bench.feed(reply(bench.start(), 200))
    assert bench.count("unexpected") == 1
    if within:
        assert bench.engine.in_progress == 1
        bench.wait(2 * SECOND)
    assert bench.outcomes == {"timeout" if within else "unexpected": 1}
    bench.drain()


def test_a_success_that_nobody_waits_for_leaves_room_for_what_may_come() -> None:
    """A request of the peer, or the answer to another request that is open."""
    def asked(c: Recorder) -> None:
        c.options()
        c.expect(486, "INFO")

    def beside(c: Recorder) -> None:
        c.invite()
        c.expect(183)
        c.send("INFO")
        c.expect(486, method="INVITE")

    bench = scenario(asked)
    bench.feed(reply(bench.start(), 200))
    assert bench.engine.in_progress == 1

    bench = scenario(beside)
    invite = bench.start()
    info = only(bench.feed(reply(invite, 183)))
    bench.feed(reply(info, 200))
    assert bench.engine.in_progress == 1
    bench.feed(reply(invite, 486))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()
