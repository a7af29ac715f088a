"""Users: one record for each row, whose registration and nonces outlive the instances."""

from __future__ import annotations

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import Engine
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_caller
from siploadgen.model.python import answer, call
from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    LOCAL,
    PEER,
    SECOND,
    SIZES,
    TARGET,
    Bench,
    Sent,
    ask,
    caller,
    names,
    only,
    reply,
)


def user_of(request: Sent) -> str:
    return request.header("From").split("@")[0].removeprefix("<sip:")


def finish(bench: Bench, request: Sent) -> None:
    """Grant a registration, and its removal if there is one."""
    sent = bench.feed(reply(request, 200, headers=["Expires: 3600"]))
    while sent:
        sent = bench.feed(reply(sent[-1], 200))


def test_all_registrations_of_a_user_have_one_call_id() -> None:
    """RFC 3261 10.2: the same Call-ID, the CSeq one higher each time, also in later instances."""
    bench = caller("register", users=2)
    seen: dict[str, list[Sent]] = {}
    for _ in range(5):
        bench.engine.schedule([bench.now], last=False)
        first = only(bench.run(bench.now))
        finish(bench, first)
    for request in bench.wire:
        seen.setdefault(user_of(request), []).append(request)
    assert sorted(map(len, seen.values())) == [4, 6]
    for requests in seen.values():
        assert len({one.header("Call-ID") for one in requests}) == 1
        assert len({one.header("Contact") for one in requests}) == 1
        assert [one.cseq for one in requests] == list(range(1000, 1000 + len(requests)))
        assert len({one.tag("From") for one in requests}) == len(requests) / 2
    assert len({one.header("Call-ID") for one in bench.wire}) == 2
    bench.drain()


def test_a_repeat_of_a_registration_is_the_same_octets() -> None:
    bench = caller("register", users=1)
    first = bench.start()
    copies = bench.wait(4 * SECOND)
    assert {one.data for one in copies} == {first.data}
    assert len(copies) == 3


def test_a_busy_user_is_passed_over() -> None:
    bench = caller("register", users=3, settings={"refreshes": "always"})
    for _ in range(2):
        bench.engine.schedule([bench.now], last=False)
    one, two = bench.run(bench.now)
    assert [user_of(one), user_of(two)] == ["user000001", "user000002"]
    bench.feed(reply(two, 403))                     # the second user is free again
    bench.engine.schedule([0, 0, 0], last=False)
    more = bench.run(bench.now)
    assert [user_of(request) for request in more] == ["user000003", "user000002"]
    assert bench.count("not_started_no_user") == 1
    bench.engine.check()
    bench.engine.abort()
    bench.engine.advance(bench.now)
    assert bench.counts["due"] == bench.counts["started"] + 1 == 5
    bench.drain()


def test_users_that_were_given_back_are_taken_in_that_order() -> None:
    bench = caller("register", users=4, settings={"remove": "no"})
    bench.engine.schedule([0] * 4, last=False)
    first = bench.run(0)
    for number in (2, 0, 3, 1):
        finish(bench, first[number])
    bench.engine.schedule([0] * 5)
    assert [user_of(one) for one in bench.run(0)] == [
        "user000003", "user000001", "user000004", "user000002"]
    assert bench.count("not_started_no_user") == 1


def test_engines_share_the_users_out() -> None:
    program = build_caller("register", target_uri=TARGET)
    rows = generated_users(program.columns, 10)
    seen = []
    for engine in range(3):
        bench = Bench(Engine(program, local=LOCAL, target=PEER, rows=rows, first_row=engine,
                             row_stride=3, engine_id=engine, **SIZES))
        bench.engine.schedule([0] * 10)
        seen += [user_of(one) for one in bench.run(0)]
        assert bench.count("not_started_no_user") == 10 - len(range(engine, 10, 3))
        with pytest.raises(IndexError):
            bench.engine.user(engine + 1)
        assert bench.engine.user(engine)["busy"]
    assert sorted(seen) == [rows.cell(0, row).decode() for row in range(10)]


def test_an_engine_without_a_row_of_its_own_starts_nothing() -> None:
    program = build_caller("register", target_uri=TARGET)
    bench = Bench(Engine(program, local=LOCAL, target=PEER, first_row=3, row_stride=4,
                         rows=generated_users(program.columns, 2), **SIZES))
    bench.engine.schedule([0, 0])
    assert bench.run(0) == []
    assert bench.count("not_started_no_user") == 2


def test_the_record_knows_the_registration() -> None:
    bench = caller("register", users=1, settings={"refreshes": "1", "refresh_at": "10s"})
    first = bench.start()
    assert bench.engine.user(0) == {"busy": True, "cseq": 1000, "expires": 0}
    own = first.header("Contact")
    bench.feed(reply(first, 200, headers=[f"Contact: <sip:x@h>;expires=7, {own};expires=60"]))
    assert bench.engine.user(0)["expires"] == 60 * SECOND
    second = only(bench.wait(10 * SECOND))
    assert second.cseq == 1001
    third = only(bench.feed(reply(second, 200, headers=[f"Contact: {own};expires=90"])))
    assert bench.engine.user(0)["expires"] == 100 * SECOND
    bench.feed(reply(third, 200))
    assert bench.engine.user(0) == {"busy": False, "cseq": 1002, "expires": 0}
    bench.drain()


def both(users: int = 3) -> Bench:
    """Registers its users and answers calls."""

    @call(columns="user password")
    def register(c: Recorder) -> None:
        c.register()
        c.expect(200)
        c.pause("1000s")

    @answer("INVITE", columns="user password")
    def take(c: Recorder) -> None:
        c.respond(200, headers={"X-User": "{user}"})
        c.expect("BYE").optional("ACK")
        c.respond(200)

    program = compile_scenarios(register.record(target=TARGET), take.record())
    return Bench(Engine(program, local=LOCAL, target=PEER,
                        rows=generated_users(program.columns, users), **SIZES))


def test_a_call_to_a_registered_contact_is_its_users() -> None:
    bench = both()
    bench.engine.schedule([0, 0, 0])
    registrations = bench.run(0)
    for request in registrations:
        bench.feed(reply(request, 200, headers=["Expires: 3600"]))
    for number, request in enumerate(reversed(registrations)):
        uri = request.header("Contact").strip("<>")
        ok = only(bench.feed(ask(uri=uri, branch=f"z9hG4bK{number}", call_id=f"c{number}")))
        assert ok.header("X-User") == user_of(request)
        # in the dialog the leg's own token stands for it
        assert ok.header("Contact") != request.header("Contact")
    assert names(bench.feed(ask(uri="sip:bob@192.0.2.10:5070", branch="z9hG4bKx", call_id="x")))
    assert bench.wire[-1].header("X-User") == "user000001"     # nobody's: the first row


@pytest.mark.parametrize("change", ["run", "engine", "index", "generation"])
def test_another_runs_contact_is_nobodys(change: str) -> None:
    bench = both(1)
    request = bench.start()
    token = request.header("Contact").removeprefix("<sip:").split("@")[0]
    assert len(token) == 24
    place = {"run": 0, "engine": 17, "index": 23, "generation": 15}[change]
    digit = "1" if token[place] != "1" else "4"
    changed = token[:place] + digit + token[place + 1:]
    bench.feed(ask(uri=f"sip:{changed}@192.0.2.10:5070", branch="z9hG4bKx"))
    bench.feed(ask("BYE", to=f"<sip:b@h>;tag={token}", branch="z9hG4bKy"))
    assert names(bench.wire)[-2:] == ["200/INVITE", "481/BYE"]
    bench.engine.check()
