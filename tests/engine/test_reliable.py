"""Reliable provisional responses, both sides (RFC 3262)."""

from __future__ import annotations

import pytest

from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    SECOND,
    answering,
    ask,
    names,
    only,
    reply,
    scenario,
    times,
    within,
)


def caller(c: Recorder) -> None:
    """Acknowledge every reliable provisional response."""
    c.invite(sdp="g711")
    wait = c.expect(200).optional("2xx", method="PRACK")
    with wait.on("101-199"), c.if_header("Require", "100rel"):
        c.prack()
    c.ack()


def reliable(number: int) -> list[str]:
    return ["Require: 100rel", f"RSeq: {number}", "Contact: <sip:peer@192.0.2.20>"]


def test_each_reliable_response_is_acknowledged_once_and_in_order() -> None:
    bench = scenario(caller)
    invite = bench.start()
    first = only(bench.feed(reply(invite, 180, contact="", headers=reliable(7))))
    assert (first.name, first.header("RAck")) == ("PRACK", f"7 {invite.cseq} INVITE")
    assert (first.cseq, first.uri) == (invite.cseq + 1, "sip:peer@192.0.2.20")
    assert first.tag("To") == "peer"
    assert not bench.feed(reply(invite, 180, contact="", headers=reliable(7)))  # again: dropped
    assert not bench.feed(reply(invite, 183, contact="", headers=reliable(9)))  # out of order
    bench.feed(reply(first, 200))
    second = only(bench.feed(reply(invite, 183, contact="", headers=reliable(8))))
    assert second.header("RAck") == f"8 {invite.cseq} INVITE"
    # its repetition still names what it acknowledged
    assert only(bench.wait(SECOND // 2)).data == second.data
    bench.feed(reply(second, 200))
    ack = only(bench.feed(reply(invite, 200)))
    assert (ack.name, ack.cseq) == ("ACK", invite.cseq)
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_response_that_is_not_reliable_is_not_acknowledged() -> None:
    bench = scenario(caller)
    invite = bench.start()
    assert not bench.feed(reply(invite, 180, headers=["RSeq: 7"]))
    assert not bench.feed(reply(invite, 100, headers=["Require: 100rel", "RSeq: 7"]))
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]
    bench.drain()


def callee(c: Recorder) -> None:
    """Ring reliably, answer after the PRACK."""
    c.respond(180, reliable=True)
    wait = c.expect("PRACK")
    with wait.on("timeout"):
        c.respond(504, method="INVITE")
        c.end("no_prack")
    c.respond(200, method="PRACK")
    c.respond(200, sdp="g711", method="INVITE")
    c.expect("BYE")
    c.respond(200)


def test_it_is_repeated_without_a_limit_to_the_gap_then_the_call_is_refused() -> None:
    bench = answering("INVITE", callee)
    ringing = only(bench.feed(ask()))
    assert (ringing.status, ringing.header("Require")) == (180, "100rel")
    assert 1 <= int(ringing.header("RSeq")) < 2**31
    sent = bench.run(40 * SECOND)
    assert times(bench.wire, "180/INVITE")[1:] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert all(one.data == ringing.data for one in sent if one.status == 180)
    assert times(bench.wire, "504/INVITE")[0] == 32.0
    assert bench.answered == {"user": 1}
    bench.drain()


def test_the_prack_ends_the_repeats() -> None:
    bench = answering("INVITE", callee)
    ringing = only(bench.feed(ask()))
    bench.wait(SECOND)
    rack = f"RAck: {ringing.header('RSeq')} 1 INVITE"
    for wrong in ("RAck: 1 1 INVITE", f"RAck: {ringing.header('RSeq')} 2 INVITE",
                  f"RAck: {ringing.header('RSeq')} 1 BYE", "Subject: none"):
        got = only(bench.feed(within(ringing, "PRACK", branch=f"z9hG4bK{hash(wrong)}",
                                     headers=[wrong])))
        assert got.status == 481
    sent = bench.feed(within(ringing, "PRACK", headers=[rack]))
    assert names(sent) == ["200/PRACK", "200/INVITE"]
    bench.feed(within(ringing, "ACK", cseq=1, branch="z9hG4bKack"))
    # acknowledged already: a PRACK of another transaction does not fit any more
    assert only(bench.feed(within(ringing, "PRACK", cseq=3, branch="z9hG4bKlate",
                                  headers=[rack]))).status == 481
    assert not bench.wait(10 * SECOND)
    bench.feed(within(ringing, "BYE", cseq=4, branch="z9hG4bKbye"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_the_next_one_has_the_next_number() -> None:
    def play(c: Recorder) -> None:
        c.respond(183, reliable=True, sdp="g711")
        c.expect("PRACK")
        c.respond(200, method="PRACK")
        c.respond(180, reliable=True)
        c.expect("PRACK")
        c.respond(200, method="PRACK")
        c.respond(486, method="INVITE")

    bench = answering("INVITE", play)
    first = only(bench.feed(ask()))
    sent = bench.feed(within(first, "PRACK", headers=[f"RAck: {first.header('RSeq')} 1 INVITE"]))
    assert names(sent) == ["200/PRACK", "180/INVITE"]
    assert int(sent[1].header("RSeq")) == int(first.header("RSeq")) + 1
    # a repeated INVITE gets the last provisional response
    assert only(bench.feed(ask())).data == sent[1].data
    sent = bench.feed(within(first, "PRACK", cseq=3, branch="z9hG4bKb",
                             headers=[f"RAck: {sent[1].header('RSeq')} 1 INVITE"]))
    assert names(sent) == ["200/PRACK", "486/INVITE"]
    bench.feed(ask("ACK", to=sent[1].header("To")))
    bench.drain()


def test_only_some_responses_can_be_reliable() -> None:
    from siploadgen.model.errors import ModelError

    for status in (100, 200):
        with pytest.raises(ModelError, match="cannot be reliable"):
            answering("INVITE", lambda c, status=status: c.respond(status, reliable=True))
