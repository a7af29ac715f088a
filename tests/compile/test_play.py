"""The built-in models, caller against answerer, in the reference player."""

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.message import parse
from siploadgen.model.builtin import build_answerer, build_caller
from siploadgen.model.python import answer, call
from tests.compile.reference import World, stamp

TARGET = "sip:127.0.0.1:5060"
SECOND = 1_000_000_000
USER = {"user": "alice", "password": "secret"}


def play(model="call", *, settings=None, columns=(), row=None, seed=1, deaf=False, **answering):
    caller = build_caller(model, target_uri=TARGET, settings=settings, columns=columns)
    answerer = build_answerer(settings=settings, **answering)
    return World(caller, answerer, row=row, seed=seed, deaf=deaf)


def test_a_call_is_seven_messages_and_few_instructions():
    world = play()
    assert world.starts == ["INVITE", "180/INVITE", "200/INVITE", "ACK", "BYE", "200/BYE"]
    assert world.outcomes == ["succeeded", "succeeded"]
    assert [name for name, _ in world.caller.clocks] == ["srd", "setup", "sdd"]
    assert [one.executed for one in world.instances] == [15, 6]


def test_ring_and_hold_take_their_time():
    world = play(settings={"hold": "3s", "ring": "2s"})
    world.advance(10 * SECOND)
    assert world.outcomes == ["succeeded", "succeeded"]
    assert dict(world.caller.clocks) == {"srd": 0, "setup": 2 * SECOND, "sdd": 0}


def test_srd_ends_at_the_200_when_nothing_rang():
    world = play(settings={"provisional": "no"})
    assert world.starts[:2] == ["INVITE", "200/INVITE"]
    assert [name for name, _ in world.caller.clocks] == ["srd", "setup", "sdd"]


def test_a_slow_answer_without_ringing_is_announced_by_a_100():
    world = play(settings={"provisional": "no", "ring": "1s"})
    assert world.starts == ["INVITE", "100/INVITE"]
    assert "tag=" not in world.log[1].get("To")


def test_early_media_comes_with_the_session_description():
    world = play(settings={"early_media": "yes"})
    assert world.log[1].status == 183
    assert world.log[1].body.startswith("v=0\r\n")


def test_ring_limit_cancels():
    world = play(settings={"ring_limit": "5s"}, reject="no_answer:100%")
    world.advance(6 * SECOND)
    assert world.starts == ["INVITE", "180/INVITE", "CANCEL", "487/INVITE", "ACK"]
    assert world.outcomes == ["no_answer", "cancelled"]
    invite, _, cancel, _, ack = world.log
    # RFC 3261 9.1 and 17.1.1.3
    for other in (cancel, ack):
        assert other.start.split()[1] == invite.start.split()[1]
        assert other.branch == invite.branch
        assert other.get("CSeq").split()[0] == invite.get("CSeq").split()[0]
        assert other.get("From") == invite.get("From")
        assert other.get("Call-ID") == invite.get("Call-ID")
    assert cancel.get("To") == invite.get("To")
    assert ";tag=" in ack.get("To")


def test_an_answer_that_crosses_the_cancel_is_hung_up():
    @answer("INVITE")
    def stubborn(c):
        c.respond(180)
        c.pause("6s")
        c.respond(200)
        c.expect("BYE").optional("ACK")
        c.respond(200)

    caller = build_caller("call", target_uri=TARGET, settings={"ring_limit": "5s"})
    world = World(caller, compile_scenarios(stubborn.record()))
    world.advance(10 * SECOND)
    assert world.starts == ["INVITE", "180/INVITE", "CANCEL", "200/INVITE", "ACK", "BYE", "200/BYE"]
    assert world.caller.outcome == "cancel_race"
    assert ("cancel_race", True) in caller.outcomes


def test_a_silent_target_after_cancel_times_out():
    world = play(settings={"ring_limit": "5s"}, deaf=True)
    world.advance(80 * SECOND)
    assert world.starts == ["INVITE", "CANCEL"]
    assert world.caller.outcome == "cancel_timeout"


def test_nobody_answers_within_the_ring_time():
    world = play(reject="no_answer:100%", settings={"ring_time": "20s"})
    world.advance(30 * SECOND)
    assert world.instances[1].outcome == "no_answer"


@pytest.mark.parametrize("columns", [(), ("user", "password")])
def test_challenged_call(columns):
    settings = None if columns else {"user": "alice"}
    world = play(settings=settings, columns=columns, row=USER, challenge="md5")
    assert world.starts == ["INVITE", "401/INVITE", "ACK", "INVITE", "180/INVITE", "200/INVITE",
                            "ACK", "BYE", "200/BYE"]
    assert world.outcomes == ["succeeded", "challenged", "succeeded"]
    first, again = world.log[0], world.log[3]
    assert first.get("Call-ID") == again.get("Call-ID")
    assert int(again.get("CSeq").split()[0]) == int(first.get("CSeq").split()[0]) + 1
    assert again.branch != first.branch
    assert again.get("Authorization") == "Digest alice secret"
    assert again.get("From").startswith("<sip:alice@127.0.0.1>;tag=")
    assert world.log[2].branch == first.branch
    assert ";tag=" not in again.get("To")


def test_wrong_password_ends_as_auth_failed():
    world = play(columns=("user", "password"), row={"user": "a", "password": "x"}, challenge="md5")
    assert world.starts.count("INVITE") == 2       # a plain second challenge is a refusal
    assert world.caller.outcome == "auth_failed"


def test_nobody_cannot_answer_a_challenge():
    world = play(challenge="sha-256")
    assert world.starts == ["INVITE", "401/INVITE", "ACK"]
    assert world.caller.outcome == "auth_failed"


def test_refusals_end_both_sides():
    world = play(reject="486:100%")
    assert world.starts == ["INVITE", "486/INVITE", "ACK"]
    assert world.outcomes == ["rejected", "refused"]


def test_the_mix_of_refusals_has_the_shares_asked_for():
    caller = build_caller("call", target_uri=TARGET)
    answerer = build_answerer(reject="486:30%,503:20%")
    count = {486: 0, 503: 0, 180: 0}
    for seed in range(600):
        count[World(caller, answerer, seed=seed).log[1].status] += 1
    # 3 sigma of a binomial with n = 600
    assert abs(count[486] - 180) < 3 * (600 * 0.3 * 0.7) ** 0.5
    assert abs(count[503] - 120) < 3 * (600 * 0.2 * 0.8) ** 0.5


def test_a_bye_of_the_callee_in_the_hold_is_answered_and_unexpected():
    @answer("INVITE")
    def impatient(c):
        c.respond(200)
        c.expect("ACK")
        c.pause("1s")
        c.bye()
        c.expect(200)

    caller = build_caller("call", target_uri=TARGET, settings={"hold": "5s"})
    world = World(caller, compile_scenarios(impatient.record()))
    world.advance(2 * SECOND)
    assert world.starts == ["INVITE", "200/INVITE", "ACK", "BYE", "200/BYE"]
    assert world.outcomes == ["unexpected", "succeeded"]


def test_the_callee_hangs_up_when_told_to():
    world = play(settings={"callee_hangs_up": "yes", "hold": "2s"})
    world.advance(5 * SECOND)
    assert world.starts == ["INVITE", "180/INVITE", "200/INVITE", "ACK", "BYE", "200/BYE"]
    assert world.outcomes == ["succeeded", "succeeded"]
    bye, invite, ok = world.log[4], world.log[0], world.log[2]
    assert bye.get("From") == ok.get("To")
    assert bye.get("To") == invite.get("From")
    assert bye.start == f"BYE {invite.contact} SIP/2.0"


def test_byes_that_cross_are_a_good_end():
    @answer("INVITE")
    def also_hangs_up(c):
        c.respond(200)
        c.expect("ACK")
        c.bye()
        with c.expect(200).on("BYE"):
            c.respond(200)

    caller = build_caller("call", target_uri=TARGET)
    world = World(caller, compile_scenarios(also_hangs_up.record()))
    assert sorted(world.starts[3:]) == ["200/BYE", "200/BYE", "BYE", "BYE"]
    assert world.outcomes == ["succeeded", "succeeded"]


def test_a_missing_ack_ends_the_answered_call_with_a_bye():
    from siploadgen.core.program import MatcherKind

    @call()
    def forgetful(c):
        c.invite(sdp="g711")
        c.expect(200)
        c.expect("BYE")
        c.respond(200)

    world = World(compile_scenarios(forgetful.record(target=TARGET)), build_answerer())
    world.instances[1].event(MatcherKind.MATCH_TIMEOUT)
    world.drain()
    assert world.starts == ["INVITE", "180/INVITE", "200/INVITE", "BYE", "200/BYE"]
    assert world.outcomes == ["succeeded", "no_ack"]


def test_a_call_that_lasts_too_long_is_ended_by_the_answerer():
    world = play(settings={"hold": "60s", "limit": "10s"})
    world.advance(20 * SECOND)
    assert world.outcomes == ["unexpected", "timeout"]


def test_the_session_can_be_refreshed_and_info_is_taken():
    @call()
    def talker(c):
        c.invite(sdp="g711")
        c.expect("2xx").optional("1xx")
        c.ack()
        c.send("INFO", body="Signal=1\n", content_type="application/dtmf-relay")
        c.expect(200)
        c.invite(sdp="g711")
        c.expect(200)
        c.ack()
        c.bye()
        c.expect(200)

    world = World(compile_scenarios(talker.record(target=TARGET)), build_answerer())
    assert world.outcomes == ["succeeded", "succeeded"]
    again = next(one for one in world.log[1:] if one.start.startswith("INVITE"))
    assert again.get("CSeq") == "1002 INVITE"
    assert ";tag=" in again.get("To")
    acks = [one.get("CSeq") for one in world.log if one.method == "ACK"]
    assert acks == ["1000 ACK", "1002 ACK"]


def test_ringing_that_is_cancelled_because_the_run_ends_is_no_refusal():
    world = play(settings={"ring": "1h"})
    world.stopping = True
    cancel = stamp(world.caller.program, 1, world.caller.leg)
    world.send(world.caller, cancel)  # as the engine does
    world.drain()
    assert world.starts == ["INVITE", "180/INVITE", "CANCEL", "487/INVITE", "ACK"]
    assert world.outcomes == ["cancelled", "cancelled"]


def test_stopping_cuts_the_hold_and_hangs_up():
    world = play(settings={"hold": "1h"})
    world.hang_up()
    assert world.outcomes == ["succeeded", "succeeded"]


def test_register_with_challenge_and_removal():
    world = play("register", row=USER, challenge="md5")
    assert world.starts == ["REGISTER", "401/REGISTER", "REGISTER", "200/REGISTER", "REGISTER",
                            "200/REGISTER"]
    assert world.caller.outcome == "succeeded"
    first, again, gone = world.log[0], world.log[2], world.log[4]
    assert first.start == "REGISTER sip:127.0.0.1 SIP/2.0"
    assert first.get("To") == "<sip:alice@127.0.0.1>"
    assert [one.get("Expires") for one in (first, again, gone)] == ["3600", "3600", "0"]
    assert [one.get("CSeq") for one in (first, again, gone)] == [
        "1000 REGISTER", "1001 REGISTER", "1002 REGISTER"]
    assert len({one.get("Call-ID") for one in (first, again, gone)}) == 1
    assert len({one.contact for one in (first, again, gone)}) == 1
    assert [name for name, _ in world.caller.clocks] == ["rrd"]


def test_refreshes_fall_into_their_window():
    for seed in range(20):
        world = play("register", row=USER, seed=seed, settings={"refreshes": "1", "expires": "100"})
        world.advance(49 * SECOND)
        assert world.starts.count("REGISTER") == 1
        world.advance(91 * SECOND)
        assert world.starts.count("REGISTER") == 3  # and the removal
        assert [name for name, _ in world.caller.clocks] == ["rrd", "rerd"]


def test_refresh_at_a_fixed_time():
    world = play("register", row=USER, settings={"refreshes": "3", "refresh_at": "10s"})
    world.advance(29 * SECOND)
    assert world.caller.outcome == ""
    world.advance(30 * SECOND)
    assert world.caller.outcome == "succeeded"
    assert world.starts.count("REGISTER") == 5


def test_always_refreshing_ends_when_the_run_stops():
    world = play("register", row=USER, settings={"refreshes": "always", "refresh_at": "10s"})
    world.advance(1000 * SECOND)
    assert world.starts.count("REGISTER") == 101
    world.hang_up()
    assert world.log[-2].get("Expires") == "0"
    assert world.caller.outcome == "succeeded"


def test_too_brief_a_registration_is_lengthened_once():
    settings = {"expires": "30", "min_expires": "90"}
    world = play("register", row=USER, settings=settings)
    assert [one.get("Expires") for one in world.log if one.start.startswith("REGISTER")] == [
        "30", "90", "0"]
    assert world.outcomes == ["succeeded", "refused", "succeeded", "succeeded"]


def test_a_registrar_that_insists_rejects():
    @answer("REGISTER")
    def never(c):
        c.respond(423, headers={"Min-Expires": "9999"})

    caller = build_caller("register", target_uri=TARGET)
    world = World(caller, compile_scenarios(never.record()), row=USER)
    assert world.starts == ["REGISTER", "423/REGISTER"] * 2
    assert world.caller.outcome == "rejected"


def test_a_423_without_a_minimum_rejects():
    @answer("REGISTER")
    def never(c):
        c.respond(423)

    caller = build_caller("register", target_uri=TARGET)
    world = World(caller, compile_scenarios(never.record()), row=USER)
    assert world.starts == ["REGISTER", "423/REGISTER"]
    assert world.caller.outcome == "rejected"


def test_the_registration_can_be_left_in_place():
    world = play("register", row=USER, settings={"remove": "no"})
    assert world.starts == ["REGISTER", "200/REGISTER"]


def test_options():
    world = play("options")
    assert world.starts == ["OPTIONS", "200/OPTIONS"]
    assert world.outcomes == ["succeeded", "succeeded"]
    assert world.log[1].has("Allow")
    assert world.log[1].has("Accept")
    assert [name for name, _ in world.caller.clocks] == ["options"]


def test_the_parser_of_the_project_takes_every_message():
    for model in ("call", "register", "options"):
        for message in play(model, columns=tuple(USER), row=USER, challenge="md5").log:
            assert parse(message.data).cseq.method in message.data.decode()
