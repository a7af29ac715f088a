"""What each scenario says that it takes and knows; what peers require (RFC 3261 20.5, 20.37)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.drive import SECOND, Sent, answerer, ask, caller, names, only, reply, within
from tests.engine.test_call_models import with_body


def user(name: str, *headers: str) -> str:
    return ask(uri=f"sip:{name}@192.0.2.10:5070", to=f"<sip:{name}@192.0.2.10>",
               headers=["Content-Type: application/sdp", *headers])


def tags(sent: Sent) -> tuple[set[str], set[str]]:
    """What Allow and Supported list."""
    return (set(sent.header("Allow").split(", ")),
            set(filter(None, sent.header("Supported").split(", "))))


ALWAYS = {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"}


@pytest.mark.parametrize(("name", "methods", "known"), [
    ("anybody", {"UPDATE", "INFO", "PRACK"}, {"100rel", "timer"}), ("cancel", {"INFO"}, set()),
    ("transferee", {"REFER"}, {"norefersub", "replaces", "tdialog"}),
    ("transfer-target", set(), {"replaces"})])
def test_an_answer_lists_what_its_scenario_takes(name: str, methods: set[str],
                                                 known: set[str]) -> None:
    bench = answerer(settings={"pickup_after": "1s"})
    bench.feed(user(name))
    bench.wait(2 * SECOND)
    ok = next(one for one in bench.wire if one.name == "200/INVITE")
    assert tags(ok)[1] == known
    assert tags(ok)[0] >= ALWAYS | methods
    assert tags(ok)[0] <= ALWAYS | methods | {"NOTIFY"}
    # what is listed is taken, what is not is refused
    for number, method in enumerate(("INFO", "UPDATE", "MESSAGE"), start=2):
        bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
        no = only(bench.feed(within(ok, method, cseq=number, branch=f"z9hG4bK{method}")))
        assert (no.status == 405) is (method not in tags(ok)[0])


def test_requests_list_it_too() -> None:
    invite = caller().start()
    assert tags(invite) == (ALWAYS | {"UPDATE", "INFO"}, set())
    assert tags(caller("call-session-timer").start())[1] == {"timer"}
    assert tags(caller("transfer-blind").start())[0] >= ALWAYS | {"NOTIFY"}


@pytest.mark.parametrize(("name", "tag", "status"), [
    ("anybody", "100rel", 180), ("cancel", "100rel", 420), ("cancel", "timer", 420),
    ("anybody", "replaces", 420), ("transfer-target", "replaces", 180),
    ("transfer-target", "timer", 420)])
def test_what_may_be_required_is_the_scenario_s(name: str, tag: str, status: int) -> None:
    first = answerer().feed(user(name, f"Require: {tag}"))[0]
    assert first.status == status
    if status == 420:
        assert first.header("Unsupported") == tag


def test_in_a_dialog_its_scenario_is_asked() -> None:
    bench = answerer(settings={"reliable": "no"})
    ok = bench.feed(ask())[-1]
    assert tags(ok)[1] == {"timer"}
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    assert only(bench.feed(within(ok, "UPDATE", headers=["Require: timer"]))).status == 200
    assert only(bench.feed(within(ok, "UPDATE", cseq=3, branch="z9hG4bKu", headers=[
        "Require: 100rel"]))).status == 420


def test_a_response_that_requires_what_is_unknown_is_counted_and_taken() -> None:
    """RFC 3261 8.2.4 forbids it to the peer; a load generator reports it and goes on."""
    bench = caller("call-reliable")
    invite = bench.start()
    prack = only(bench.feed(with_body(reply(invite, 183, headers=[
        "Require: 100rel, foo", "RSeq: 1"]))))
    assert prack.name == "PRACK"
    assert bench.count("unknown_required") == 1
    bench.feed(reply(prack, 200))
    ack, bye = bench.feed(reply(invite, 200, headers=["Require: bar, baz"]))
    assert (ack.name, bye.name) == ("ACK", "BYE")
    assert bench.count("unknown_required") == 2
    bench.feed(reply(bye, 200, headers=["Require: 100rel"]))
    assert bench.count("unknown_required") == 3
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize(("model", "status", "tag", "counted"), [
    ("call-session-timer", 200, "timer", 0), ("call", 200, "timer", 1),
    ("call", 183, "100rel", 1), ("call-reliable", 421, "foo", 0), ("call", 486, "foo", 1)])
def test_what_our_request_supports_may_be_required(model: str, status: int, tag: str,
                                                   counted: int) -> None:
    bench = caller(model)
    bench.feed(reply(bench.start(), status, headers=[f"Require: {tag}", "RSeq: 1"]))
    assert bench.count("unknown_required") == counted


# --- requests that are too large for UDP ---


@pytest.mark.parametrize("extra", [0, 1])
def test_a_request_of_more_than_1300_octets_is_counted(extra: int, tmp_path: Path) -> None:
    """RFC 3261 18.1.1: it is sent all the same, the transport is the user's choice."""
    empty = len(caller(settings={"body": _body(tmp_path, 100)}).start().data)
    bench = caller(settings={"body": _body(tmp_path, 1300 - empty + 100 + extra)})
    invite = bench.start()
    assert len(invite.data) == 1300 + extra
    assert bench.count("large_requests") == extra
    bench.wait(SECOND)                          # a repeat counts, as it does in `sent`
    assert names(bench.wire) == ["INVITE", "INVITE"]
    assert bench.count("large_requests") == 2 * extra
    bench.feed(reply(invite, 200))              # ACK and BYE are short
    assert bench.count("large_requests") == 2 * extra


def test_a_large_response_is_none_of_them(tmp_path: Path) -> None:
    bench = answerer(settings={"answer_body": _body(tmp_path, 3000)})
    assert len(bench.feed(ask())[-1].data) > 3000
    assert bench.count("large_requests") == 0


def _body(folder: Path, octets: int) -> str:
    file = folder / f"body{octets}"
    file.write_bytes(b"x" * octets)
    return str(file)
