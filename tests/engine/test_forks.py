"""One INVITE that is answered as several branches of a fork do (RFC 3261 12.1, 13.2.2.4)."""

from __future__ import annotations

import pytest

from siploadgen.model.errors import ModelError
from siploadgen.model.python import answer
from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    SECOND,
    answerer,
    answering,
    ask,
    back,
    caller,
    names,
    only,
    reply,
    times,
    within,
)

FORK = "sip:fork@192.0.2.10:5070"


def fork(**changes: str) -> str:
    return ask(uri=FORK, to="<sip:fork@192.0.2.10>", **changes)


@pytest.mark.parametrize(("branches", "answers"), [(1, 1), (2, 1), (2, 2), (4, 3), (4, 4)])
def test_each_branch_has_a_dialog_of_its_own(branches: int, answers: int) -> None:
    bench = answerer(settings={"branches": str(branches), "answers": str(answers)})
    sent = bench.feed(fork(headers=["Record-Route: <sip:192.0.2.20;lr>"]))
    assert names(sent) == ["180/INVITE"] * branches + ["200/INVITE"] * answers
    tags = [one.tag("To") for one in sent]
    assert len(set(tags[:branches])) == branches
    assert tags[branches:] == tags[:answers]
    assert len({one.header("Contact") for one in sent}) == branches
    for one in sent:
        assert one.tag("To") in one.header("Contact")
        assert one.branch == "z9hG4bKone"
        assert (one.header("CSeq"), one.header("Call-ID")) == ("1 INVITE", "one@192.0.2.20")
        assert one.headers("Record-Route") == ["<sip:192.0.2.20;lr>"]
    for n, ok in enumerate(sent[branches:]):
        assert bench.feed(within(ok, "ACK", cseq=1, branch=f"z9hG4bKack{n}")) == []
    for n, ok in reversed(list(enumerate(sent[branches:]))):
        assert names(bench.feed(within(ok, "BYE", branch=f"z9hG4bKbye{n}"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_each_2xx_is_repeated_until_its_own_ack() -> None:
    bench = answerer()
    first, second = bench.feed(fork())[2:]
    bench.wait(SECOND // 4)
    bench.feed(within(first, "ACK", cseq=1, branch="z9hG4bKa"))
    again = bench.wait(2 * SECOND)
    assert {one.data for one in again} == {second.data}
    assert times(again, "200/INVITE") == [0.5, 1.5]
    bench.feed(within(second, "ACK", cseq=1, branch="z9hG4bKb"))
    assert bench.wait(20 * SECOND) == []
    bench.feed(within(second, "BYE", branch="z9hG4bKc"))
    bench.feed(within(first, "BYE", branch="z9hG4bKd"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_branch_that_is_never_acknowledged_is_hung_up() -> None:
    bench = answerer()
    first, second = bench.feed(fork())[2:]
    bench.feed(within(first, "ACK", cseq=1, branch="z9hG4bKa"))
    sent = bench.wait(33 * SECOND)
    assert {one.name for one in sent} == {"200/INVITE", "BYE"}
    bye = next(one for one in sent if one.name == "BYE")
    assert (bye.tag("From"), bye.uri) == (second.tag("To"), "sip:a@192.0.2.20:5060")
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.answered == {"no_ack": 1}


def test_a_repeated_invite_gets_the_first_branch_again() -> None:
    bench = answerer(settings={"ring": "5s"})
    first = bench.feed(fork())[0]
    assert [one.data for one in bench.feed(fork())] == [first.data]
    # one final response for the whole INVITE, whatever the branches said before
    bench.feed(ask("CANCEL", uri=FORK, contact=""))
    assert names(bench.wait(SECOND // 4)) == []
    assert names(bench.wire)[-2:] == ["200/CANCEL", "487/INVITE"]
    assert bench.wire[-1].tag("To") == first.tag("To")
    bench.drain()
    assert bench.answered == {"cancelled": 1}


def test_branches_may_begin_later() -> None:
    def play(c: Recorder) -> None:
        c.respond(180)
        c.pause("1s")
        c.respond(183, leg="b", sdp="g711")
        c.pause("1s")
        c.respond(200, leg="b")
        c.respond(200)
        c.expect("ACK", leg="b")
        c.bye(leg="b")
        c.expect(200, leg="b")
        c.expect("BYE")
        c.respond(200)

    bench = answering("INVITE", play)
    bench.feed(ask())
    sent = bench.wait(2 * SECOND)
    assert [(one.name, one.at // SECOND) for one in sent] == [
        ("183/INVITE", 1), ("200/INVITE", 2), ("200/INVITE", 2)]
    early, ok, own = sent
    assert early.tag("To") == ok.tag("To") != own.tag("To")
    bench.feed(within(own, "ACK", cseq=1, branch="z9hG4bKa"))
    bye = only(bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKb")))
    assert (bye.name, bye.header("From"), bye.header("To")) == (
        "BYE", ok.header("To"), ok.header("From"))
    bench.feed(reply(bye, 200))
    bench.feed(within(own, "BYE"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_branch_that_begins_after_the_answer_was_acknowledged_says_nothing() -> None:
    def play(c: Recorder) -> None:
        c.respond(200)
        c.expect("ACK")
        c.respond(200, leg="late")
        c.expect("BYE")
        c.respond(200)

    bench = answering("INVITE", play)
    ok = only(bench.feed(ask()))
    assert bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa")) == []
    bench.feed(within(ok, "BYE"))
    bench.drain()
    assert bench.count("unexpected") == 1


def test_a_branch_refuses_nothing() -> None:
    @answer("INVITE")
    def play(c: Recorder) -> None:
        c.respond(486, leg="b")

    with pytest.raises(ModelError, match="a branch of a fork answers with 486"):
        play.record()


def test_too_many_branches_are_refused() -> None:
    for settings in ({"branches": "5"}, {"answers": "0"}, {"answers": "3"}):
        with pytest.raises(ModelError, match="setting answers"):
            answerer(settings=settings)


def test_the_caller_takes_the_first_2xx_and_hangs_the_others_up() -> None:
    bench = caller("call-forked")
    invite = bench.start()
    assert invite.uri == "sip:fork@192.0.2.20:5060"
    for tag in "abc":   # one early dialog for each To tag
        assert bench.feed(reply(invite, 180, tag=tag, contact=f"<sip:{tag}@192.0.2.20>")) == []
    ack, bye = bench.feed(reply(invite, 200, tag="b", contact="<sip:b@192.0.2.20>"))
    assert (ack.name, ack.uri, ack.tag("To")) == ("ACK", "sip:b@192.0.2.20", "b")
    assert (bye.name, bye.uri, bye.tag("To")) == ("BYE", "sip:b@192.0.2.20", "b")
    for tag in "ca":
        other = reply(invite, 200, tag=tag, contact=f"<sip:{tag}@192.0.2.20>")
        ack, last = bench.feed(other)
        assert (ack.name, last.name, ack.tag("To"), last.tag("To")) == ("ACK", "BYE", tag, tag)
        assert last.uri == f"sip:{tag}@192.0.2.20"
        assert names(bench.feed(other)) == ["ACK"]      # a copy: acknowledged again, hung up once
        bench.feed(reply(last, 200))
    bench.feed(reply(bye, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}
    assert bench.count("forked_2xx") == 2
    assert bench.engine.histograms[4:8].sum() == 4      # srd and setup, each once


def test_a_bye_of_a_branch_that_lost_is_answered() -> None:
    """A late request of a dialog that was hung up is none of the call's."""
    bench = caller("call-forked", settings={"hold": "5s"})
    invite = bench.start()
    bench.feed(reply(invite, 200, tag="a"))
    bench.feed(reply(invite, 200, tag="b"))
    assert names(bench.feed(back(invite, "BYE", tag="b"))) == ["481/BYE"]
    assert bench.outcomes == {}
