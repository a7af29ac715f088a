"""Calls that do not go the ordinary way, in both roles: refused, unanswered, given up, sent on,
challenged; pings; codes and URIs that are seldom seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from siploadgen.compile.program import Program
from siploadgen.core.program import Outcome
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.errors import ModelError
from tests.engine.drive import (
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
    times,
    within,
)


def outcome_names(program: Program) -> Mapping[int, str]:
    names = {one.value: one.name.removeprefix("OUTCOME_").lower() for one in Outcome}
    return {**names, **{Outcome.OUTCOME_USER + n: name
                        for n, (name, _) in enumerate(program.outcomes)}}


def play(model: str, *, target: str = TARGET, **settings: str) -> tuple[Bench, Mapping[int, str]]:
    """A caller, and the names of the outcomes of its own."""
    program = build_caller(model, target_uri=target, settings=settings)
    return engine_of(program), outcome_names(program)


def ended(bench: Bench, own: Mapping[int, str]) -> list[str]:
    """How its calls ended, after every timer."""
    bench.drain()
    return [own[number] for number, count in enumerate(bench.engine.outcomes) if count]


def answered_ends(bench: Bench, **settings: str) -> list[str]:
    known = outcome_names(build_answerer(settings=settings))
    return [known[number] for number, count in enumerate(bench.engine.answered_outcomes) if count]


def user(name: str, **changes: str) -> str:
    return ask(uri=f"sip:{name}@192.0.2.10:5070", to=f"<sip:{name}@192.0.2.10>", **changes)


def cancel(name: str, **changes: str) -> str:
    return ask("CANCEL", uri=f"sip:{name}@192.0.2.10:5070", to=f"<sip:{name}@192.0.2.10>",
               contact="", **changes)


# --- refused ---


@pytest.mark.parametrize(("status", "outcome"), [
    (486, "refused"), (603, "refused"), (503, "rejected"), (302, "rejected"), (499, "rejected")])
def test_a_refusal_that_was_expected_is_what_the_model_wants(status: int, outcome: str) -> None:
    bench, own = play("call-busy", others="603:10%")
    invite = bench.start()
    assert invite.uri == "sip:busy@192.0.2.20:5060"
    assert names(bench.feed(reply(invite, 180))) == []
    for _ in range(3):  # each copy of the final response is acknowledged (RFC 3261 17.1.1.3)
        ack = only(bench.feed(reply(invite, status)))
        assert (ack.name, ack.branch, ack.to) == ("ACK", invite.branch, invite.to)
    assert ended(bench, own) == [outcome]


def test_a_call_that_should_have_been_refused_is_hung_up() -> None:
    bench, own = play("call-busy")
    invite = bench.start()
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["answered"]


def test_the_busy_user_refuses_invite_and_options_alike() -> None:
    bench = answerer(settings={"status": "600"})
    refusal = only(bench.feed(user("busy")))
    assert refusal.name == "600/INVITE"
    assert not bench.feed(user("busy", cseq_method="ACK").replace("INVITE", "ACK", 1).replace(
        "<sip:busy@192.0.2.10>", refusal.header("To")))
    options = only(bench.feed(ask("OPTIONS", uri="sip:busy@192.0.2.10:5070",
                                  branch="z9hG4bKo")))
    assert options.name == "600/OPTIONS"        # RFC 3261 11.2: as an INVITE would be answered
    bench.drain()
    assert answered_ends(bench) == ["refused"]


def test_the_busy_user_rings_first_and_can_be_cancelled() -> None:
    bench = answerer(settings={"refuse_after": "2s"})
    ringing = only(bench.feed(user("busy")))
    assert ringing.name == "180/INVITE"
    assert names(bench.feed(cancel("busy"))) == ["200/CANCEL", "487/INVITE"]
    bench.drain()
    other = answerer(settings={"refuse_after": "2s"})
    other.feed(user("busy"))
    assert times(other.wait(3 * SECOND), "486/INVITE")[0] == 2


# --- unanswered, given up ---


def test_the_caller_loses_patience() -> None:
    bench, own = play("call-no-answer", patience="3s")
    invite = bench.start()
    bench.feed(reply(invite, 180))
    cancelling = only(bench.wait(3 * SECOND))
    assert (cancelling.name, cancelling.branch, cancelling.uri) == (
        "CANCEL", invite.branch, invite.uri)
    assert cancelling.cseq == invite.cseq
    bench.feed(reply(cancelling, 200))
    assert names(bench.feed(reply(invite, 487))) == ["ACK"]
    assert ended(bench, own) == ["succeeded"]


@pytest.mark.parametrize("after", [1, 4])
def test_an_answer_is_not_what_no_answer_wants(after: int) -> None:
    bench, own = play("call-no-answer", patience="3s")
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bench.wait(after * SECOND)
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["answered" if after < 3 else "cancel_race"]


def test_a_cancel_waits_for_a_provisional_response() -> None:
    bench, own = play("call-cancel", cancel_after="100ms")
    invite = bench.start()
    assert names(bench.wait(SECOND)) == ["INVITE"]      # a repeat; no CANCEL (RFC 3261 9.1)
    assert names(bench.feed(reply(invite, 100))) == ["CANCEL"]
    assert names(bench.feed(reply(invite, 487))) == ["ACK"]
    assert ended(bench, own) == ["succeeded"]


def test_a_cancel_is_not_sent_after_a_final_response() -> None:
    bench, own = play("call-cancel", cancel_after="100ms")
    invite = bench.start()
    bench.wait(SECOND)
    assert names(bench.feed(reply(invite, 486))) == ["ACK"]
    assert ended(bench, own) == ["succeeded"]
    assert not [one for one in bench.wire if one.name == "CANCEL"]


def test_an_answer_races_the_cancel() -> None:
    bench, own = play("call-cancel", cancel_after="1s")
    invite = bench.start()
    bench.feed(reply(invite, 180))
    assert names(bench.wait(SECOND)) == ["CANCEL"]
    ack, bye = bench.feed(reply(invite, 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["cancel_race"]


@pytest.mark.parametrize(("heard", "outcome"), [(True, "cancel_timeout"), (False, "timeout")])
def test_no_487_comes(heard: bool, outcome: str) -> None:
    bench, own = play("call-cancel", cancel_after="1s")
    invite = bench.start()
    if heard:
        bench.feed(reply(invite, 180))
    bench.wait(31 * SECOND)
    assert bench.outcomes == {}
    assert ended(bench, own) == [outcome]


def test_a_cancel_counts_from_the_ringing() -> None:
    bench, own = play("call-cancel", cancel_after="2s", cancel_from="ringing")
    invite = bench.start()
    bench.wait(SECOND)
    bench.feed(reply(invite, 100))
    bench.wait(4 * SECOND)
    bench.feed(reply(invite, 183))
    bench.wait(10 * SECOND)
    assert times(bench.wire, "CANCEL")[0] == 7
    bench.feed(reply(invite, 487))
    assert ended(bench, own) == ["succeeded"]


def test_an_early_dialog_ends_by_bye() -> None:
    bench, own = play("call-cancel", cancel_after="1s", cancel_by="bye")
    invite = bench.start()
    bench.feed(reply(invite, 180, contact="<sip:peer@192.0.2.21:5080>"))
    bye = only(bench.wait(SECOND))
    assert (bye.name, bye.uri, bye.tag("To")) == ("BYE", "sip:peer@192.0.2.21:5080", "peer")
    bench.feed(reply(bye, 200))
    assert names(bench.feed(reply(invite, 487))) == ["ACK"]
    assert ended(bench, own) == ["succeeded"]


def test_an_answer_races_the_bye_of_the_early_dialog() -> None:
    bench, own = play("call-cancel", cancel_after="1s", cancel_by="bye")
    invite = bench.start()
    bench.feed(reply(invite, 180))
    bye = only(bench.wait(SECOND))
    assert names(bench.feed(reply(invite, 200))) == ["ACK"]
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["cancel_race"]


def test_how_to_cancel_is_checked() -> None:
    with pytest.raises(ModelError, match="cancel_by"):
        play("call-cancel", cancel_by="hope")


@pytest.mark.parametrize("name", ["no-answer", "cancel", "fork"])
def test_who_rings_is_cancelled(name: str) -> None:
    bench = answerer(settings={"ring": "5s"})
    ringing = bench.feed(user(name))[0]
    got = bench.feed(cancel(name))
    assert names(got) == ["200/CANCEL", "487/INVITE"]
    # RFC 3261 9.2: the same To tag as other responses to the INVITE
    assert {one.tag("To") for one in got} == {ringing.tag("To")}
    assert names(bench.feed(cancel(name))) == ["200/CANCEL"]     # late: no effect
    assert names(bench.feed(cancel(name, branch="z9hG4bKother"))) == ["481/CANCEL"]
    bench.drain()
    assert len(bench.answered) == 1


@pytest.mark.parametrize("name", ["no-answer", "cancel", "fork"])
def test_who_rings_is_hung_up(name: str) -> None:
    bench = answerer(settings={"ring": "5s"})
    ringing = bench.feed(user(name))[0]
    assert names(bench.feed(within(ringing, "BYE"))) == ["200/BYE", "487/INVITE"]
    bench.drain()


def test_who_rings_gives_up_some_time() -> None:
    bench = answerer(settings={"ring_time": "20s"})
    bench.feed(user("no-answer"))
    assert names(bench.wait(20 * SECOND)) == ["480/INVITE"]
    bench.drain()
    assert bench.answered == {"no_answer": 1}


def test_user_cancel_answers_when_no_cancel_comes() -> None:
    bench = answerer(settings={"progress_after": "1s", "pickup_after": "2s"})
    assert bench.feed(user("cancel")) == []
    assert [(one.name, one.at) for one in bench.wait(3 * SECOND)] == [
        ("100/INVITE", SECOND // 5), ("180/INVITE", SECOND), ("200/INVITE", 3 * SECOND)]
    ok = bench.wire[-1]
    assert names(bench.feed(cancel("cancel"))) == ["200/CANCEL"]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_user_cancel_can_ignore_it() -> None:
    bench = answerer(settings={"ignore_cancel": "yes"})
    bench.feed(user("cancel"))
    assert names(bench.feed(cancel("cancel"))) == ["200/CANCEL"]
    assert names(bench.wait(39 * SECOND)) == []
    assert names(bench.wait(SECOND)) == ["487/INVITE"]
    bench.drain()


# --- sent on ---

MOVED = 'Contact: <sip:a@192.0.2.31>;q=0.2, "B" <sip:b@192.0.2.32:5070?Subject=x>;q=0.9'


def moved(invite: Sent, *contacts: str, status: int = 302) -> str:
    return reply(invite, status, headers=contacts or (MOVED,))


def test_a_redirection_is_followed_by_q() -> None:
    bench, own = play("call-redirect")
    invite = bench.start()
    assert invite.uri == "sip:redirect@192.0.2.20:5060"
    ack, best = bench.feed(moved(invite))
    assert (ack.name, ack.branch) == ("ACK", invite.branch)
    assert (best.uri, best.to) == ("sip:b@192.0.2.32:5070", ("192.0.2.32", 5070))
    assert best.branch != invite.branch
    assert best.cseq == invite.cseq + 1
    for name in ("To", "From", "Call-ID"):
        assert best.header(name) == invite.header(name)
    # the best refuses: the next by q
    ack, second = bench.feed(reply(best, 486, tag="b"), ("192.0.2.32", 5070))
    assert (ack.to, second.uri, second.to) == (
        ("192.0.2.32", 5070), "sip:a@192.0.2.31", ("192.0.2.31", 5060))
    # RFC 3261 17.1.1.3: Request-URI, branch and To as they were, also after the call has gone on
    for copy in (ack, only(bench.feed(reply(best, 486, tag="b"), ("192.0.2.32", 5070)))):
        assert (copy.uri, copy.branch, copy.tag("To")) == (best.uri, best.branch, "b")
        assert copy.cseq == best.cseq
    ack, bye = bench.feed(reply(second, 200, tag="a", contact="<sip:a@192.0.2.31>"),
                          ("192.0.2.31", 5060))
    assert (ack.name, bye.name, bye.tag("To"), bye.cseq) == (
        "ACK", "BYE", "a", invite.cseq + 3)
    bench.feed(reply(bye, 200), ("192.0.2.31", 5060))
    assert ended(bench, own) == ["succeeded"]
    assert bench.engine.user_counters.tolist() == [1]


def test_nobody_of_the_contacts_answers() -> None:
    bench, own = play("call-redirect")
    last = bench.start()
    last = bench.feed(moved(last))[1]
    last = bench.feed(reply(last, 404))[1]
    assert names(bench.feed(reply(last, 480))) == ["ACK"]
    assert ended(bench, own) == ["rejected"]


@pytest.mark.parametrize("status", [600, 603])
def test_a_global_failure_ends_the_search(status: int) -> None:
    bench, own = play("call-redirect")
    best = bench.feed(moved(bench.start()))[1]
    assert names(bench.feed(reply(best, status))) == ["ACK"]
    assert ended(bench, own) == ["rejected"]


def test_a_loop_of_redirections_ends() -> None:
    bench, own = play("call-redirect", hops="3")
    invite = bench.start()
    for _ in range(3):
        invite = bench.feed(moved(invite, "Contact: <sip:again@192.0.2.20:5060>"))[1]
    assert names(bench.feed(moved(invite))) == ["ACK"]
    assert ended(bench, own) == ["redirect_loop"]


def test_a_redirection_to_nowhere_is_a_rejection() -> None:
    for contacts in (["Contact: <tel:+1201>"], ["Contact: *"], ["X-Contact: none"]):
        bench, own = play("call-redirect")
        assert names(bench.feed(moved(bench.start(), *contacts))) == ["ACK"]
        assert ended(bench, own) == ["rejected"]


def test_a_place_that_was_named_may_challenge() -> None:
    bench, own = play("call-redirect", user="alice")
    best = bench.feed(moved(bench.start()))[1]
    again = bench.feed(reply(best, 401, headers=[
        'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5']), ("192.0.2.32", 5070))[1]
    assert (again.uri, again.to) == (best.uri, best.to)
    assert 'uri="sip:b@192.0.2.32:5070"' in again.header("Authorization")
    bench.feed(reply(again, 603))
    assert ended(bench, own) == ["rejected"]


def test_a_cancel_goes_where_the_redirected_invite_went() -> None:
    bench, own = play("call-redirect", ring_limit="3s")
    best = bench.feed(moved(bench.start()))[1]
    bench.feed(reply(best, 180, tag="b"), ("192.0.2.32", 5070))
    cancelling = only(bench.wait(3 * SECOND))
    assert (cancelling.name, cancelling.uri, cancelling.to, cancelling.branch) == (
        "CANCEL", best.uri, best.to, best.branch)
    ack = only(bench.feed(reply(best, 487, tag="b"), ("192.0.2.32", 5070)))
    assert (ack.uri, ack.to) == (best.uri, best.to)
    assert ended(bench, own) == ["no_answer"]


def test_user_redirect_sends_calls_on() -> None:
    bench = answerer(settings={"moved_status": "301"})
    got = only(bench.feed(user("redirect")))
    assert got.name == "301/INVITE"
    assert got.header("Contact") == ("<sip:busy@192.0.2.10:5070>;q=0.1, "
                                     "<sip:moved@192.0.2.10:5070>;q=0.9")
    bench.drain()
    assert answered_ends(bench) == ["redirected"]
    with pytest.raises(ModelError, match="no user"):
        answerer(settings={"moved_to": "<x>"})


# --- challenged ---


def test_user_auth_challenges_without_being_told_to() -> None:
    bench = answerer(settings={"algorithm": "sha-256", "challenge_status": "407"})
    got = only(bench.feed(user("auth")))
    assert got.name == "407/INVITE"
    assert "algorithm=SHA-256" in got.header("Proxy-Authenticate")


def test_a_bye_without_credentials_is_challenged_too() -> None:
    bench, own = play("call-auth", target="sip:192.0.2.10:5070")
    other = answerer()
    invite = bench.start()
    refused = only(other.feed(invite.data))
    ack, proven = bench.feed(refused.data)
    other.feed(ack.data)
    ok = other.feed(proven.data)[-1]
    assert ok.name == "200/INVITE"
    ack, bye = bench.feed(ok.data)
    other.feed(ack.data)
    bare = b"\r\n".join(line for line in bye.data.split(b"\r\n")
                        if not line.startswith(b"Authorization"))
    assert bare != bye.data
    bare = bare.replace(bye.branch.encode(), b"z9hG4bKbare")
    again = only(other.feed(bare))
    assert again.name == "401/BYE"
    assert again.headers("WWW-Authenticate")
    raised = bye.data       # the caller's own BYE, in time, is as good as ever
    assert only(other.feed(raised)).name == "200/BYE"
    bench.feed(other.wire[-1].data)
    other.drain()
    assert ended(bench, own) == ["succeeded"]


def test_a_wrong_password_is_refused_as_expected() -> None:
    bench, own = play("call-auth", target="sip:192.0.2.10:5070", wrong="yes")
    other = answerer()
    invite = bench.start()
    ack, proven = bench.feed(only(other.feed(invite.data)).data)
    other.feed(ack.data)
    assert names(bench.feed(only(other.feed(proven.data)).data)) == ["ACK"]
    assert ended(bench, own) == ["refused"]


def test_a_wrong_password_that_is_taken_is_a_failure() -> None:
    bench, own = play("call-auth", wrong="yes")
    ack, bye = bench.feed(reply(bench.start(), 200))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["wrong_accepted"]


# --- pings ---


def test_pings_go_on_until_their_number() -> None:
    bench, own = play("keepalive", interval="25s", pings="3")
    first = bench.start()
    for status in (200, 404, 200):
        bench.feed(reply(bench.wire[-1], status))
        bench.wait(25 * SECOND)
    assert times(bench.wire, "OPTIONS") == [0, 25, 50]
    assert [one.cseq - first.cseq for one in bench.wire] == [0, 1, 2]
    assert {one.header("Call-ID") for one in bench.wire} == {first.header("Call-ID")}
    assert ended(bench, own) == ["succeeded"]


def test_a_path_that_is_silent_is_lost() -> None:
    bench, own = play("keepalive")
    bench.feed(reply(bench.start(), 200))
    assert ended(bench, own) == ["timeout"]


def test_pings_can_be_line_ends() -> None:
    bench, own = play("keepalive", form="crlf", interval="10s", pings="always")
    bench.engine.schedule([0])
    bench.run(35 * SECOND)
    assert [(one.data, one.to, one.at // SECOND) for one in bench.wire] == [
        (b"\r\n\r\n", ("192.0.2.20", 5060), at) for at in (0, 10, 20, 30)]
    bench.engine.hang_up()
    assert ended(bench, own) == ["succeeded"]
    assert bench.engine.user_counters.tolist() == [4]


@pytest.mark.parametrize("ping", [b"\r\n\r\n", b"\r\n", b"jaK", b"\0\0\0\0"])
def test_pings_that_are_no_messages_are_ignored(ping: bytes) -> None:
    bench = answerer()
    assert bench.feed(ping) == []
    assert bench.counts == {"keepalive": 1}


def test_options_inside_a_call() -> None:
    bench, own = play("options", in_call="2")
    invite = bench.start()
    ack, first = bench.feed(reply(invite, 200))
    assert (ack.name, first.name, first.tag("To"), first.cseq) == (
        "ACK", "OPTIONS", "peer", invite.cseq + 1)
    second = only(bench.feed(reply(first, 200)))
    bye = only(bench.feed(reply(second, 200)))
    # asked back meanwhile: answered, and nothing unusual (RFC 3261 11)
    got = only(bench.feed(back(invite, "OPTIONS")))
    assert got.name == "200/OPTIONS"
    assert got.headers("Allow")
    assert got.headers("Accept")
    assert "unexpected" not in bench.counts
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["succeeded"]


# --- codes and URIs ---


@pytest.mark.parametrize(("status", "outcome"), [
    (199, None), (299, "succeeded"), (399, "rejected"), (499, "rejected"), (599, "rejected"),
    (699, "rejected")])
def test_an_unknown_code_is_taken_as_x00(status: int, outcome: str | None) -> None:
    bench = caller()
    sent = bench.feed(reply(bench.start(), status))
    assert bench.engine.received_responses[1][status - 100] == 1
    if outcome is None:
        assert sent == []
        assert bench.outcomes == {}
        return
    if outcome == "succeeded":
        bench.feed(reply(sent[-1], 200))
    bench.drain()
    assert bench.outcomes == {outcome: 1}


@pytest.mark.parametrize(("uri", "to"), [
    ("tel:+1-201-555-0123", "<tel:+1-201-555-0123>"),
    ("tel:7042;phone-context=example.com;ext=5", "<tel:7042;phone-context=example.com;ext=5>"),
    ("sip:+12015550123@gw.example;user=phone", "<sip:+12015550123@gw.example;user=phone>"),
])
def test_phone_numbers_are_called_through_the_target(uri: str, to: str) -> None:
    bench, own = play("call", to=uri, caller="tel:+12015550199")
    invite = bench.start()
    assert (invite.uri, invite.header("To"), invite.to) == (uri, to, ("192.0.2.20", 5060))
    assert invite.header("From").startswith("<tel:+12015550199>;tag=")
    assert invite.header("Contact").startswith("<sip:")
    bye = bench.feed(reply(invite, 200))[1]
    assert bye.uri == "sip:peer@192.0.2.20"
    assert bye.header("To").startswith(to + ";tag=")
    bench.feed(reply(bye, 200))
    assert ended(bench, own) == ["succeeded"]


@pytest.mark.parametrize("uri", ["tel:+1-201-555-0123", "tel:7042;phone-context=+1;isub=1",
                                 "sip:+12015550123@192.0.2.10;user=phone"])
def test_a_phone_number_is_answered(uri: str) -> None:
    bench = answerer()
    sent = bench.feed(ask(uri=uri, to=f"<{uri}>", from_="<tel:+12015550199>;tag=f"))
    ok = sent[-1]
    assert ok.name == "200/INVITE"
    assert ok.header("To").startswith(f"<{uri}>;tag=")
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_an_ack_brings_no_second_offer() -> None:
    """RFC 3261 13.2.1: the offer was in the INVITE, so a session in the ACK is the peer's error."""
    bench = answerer()
    kind = ["Content-Type: application/sdp"]
    ok = bench.feed(ask(headers=kind, body="v=0\r\n"))[-1]
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack", headers=kind, body="v=0\r\n"))
    assert bench.count("unexpected") == 1
    other = answerer()
    ok = other.feed(ask())[-1]                  # no offer in the INVITE: the answer comes with ACK
    other.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack", headers=kind, body="v=0\r\n"))
    assert other.count("unexpected") == 0
