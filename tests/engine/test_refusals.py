"""What a wrong or unwanted request gets, and with which headers (RFC 3261 8.2); docs/answers.md."""

from __future__ import annotations

import re
from typing import Any

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.sip.parse import Parsed
from siploadgen.model.builtin import build_answerer
from siploadgen.model.python import Recorder, answer
from tests.engine.drive import (
    LOCAL,
    MS,
    SECOND,
    Bench,
    Sent,
    answered,
    answerer,
    answering,
    ask,
    caller,
    engine_of,
    names,
    only,
    reply,
    talking,
    within,
)

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
TYPE = "Content-Type: application/sdp"


def serving(*methods: str, **options: Any) -> Bench:
    """An engine that answers these methods with 200."""
    def accept(c: Recorder) -> None:
        c.respond(200)

    return engine_of(compile_scenarios(*(answer(one, name=f"a{i}")(accept).record()
                                         for i, one in enumerate(methods))), **options)


def refused(bench: Bench, request: str, status: int) -> Sent:
    """The one response, and the same again: it has no transaction (8.2.7)."""
    sent = only(bench.feed(request))
    assert sent.status == status, sent.data
    assert sent.tag("To")
    assert only(bench.feed(request)).data == sent.data
    assert bench.count("answered") == 0
    bench.drain()
    return sent


# --- malformed requests ---

@pytest.mark.parametrize(("old", "new", "phrase"), [
    ("CSeq: 1 INVITE", "CSeq: -1 INVITE", "Malformed CSeq"),
    ("CSeq: 1 INVITE", "CSeq: 1 BYE", "CSeq Method Does Not Match Request Method"),
    ("Max-Forwards: 70", "Max Forwards: 70", "Malformed Header Name"),
    ("Max-Forwards: 70", "Call-ID: two", "Header Twice"),
    ("Content-Length: 92", "Content-Length: 93", "Body Shorter Than Content-Length"),
    ("Content-Length: 92", "Content-Length: -7", "Malformed Content-Length"),
    ("To: <sip:b@192.0.2.10:5070>", "To: <sip:b@192.0.2.10:5070", "Malformed To"),
    ("sip:b@192.0.2.10:5070 SIP/2.0", "sip:b@192.0.2.10:5070  SIP/2.0", "Malformed Request-Line"),
])
def test_a_malformed_request_is_400_and_the_phrase_names_the_fault(
        old: str, new: str, phrase: str) -> None:
    bench = answerer()
    request = ask()
    assert old in request
    sent = refused(bench, request.replace(old, new), 400)
    assert sent.line == f"SIP/2.0 400 {phrase}"
    assert sent.branch == "z9hG4bKone"
    assert sent.to == ("192.0.2.20", 5060)
    assert bench.counts == {"malformed": 2, "refused_malformed": 2, "auto_answered": 2}


def test_the_cseq_of_a_400_is_that_of_its_request_whatever_it_is() -> None:
    sent = refused(answerer(), ask().replace("CSeq: 1 INVITE", "CSeq: 1.5 INVITE"), 400)
    assert sent.header("CSeq") == "1.5 INVITE"


def test_another_version_is_505() -> None:
    sent = refused(answerer(), ask("OPTIONS").replace("5070 SIP/2.0", "5070 SIP/7.0"), 505)
    assert sent.line == "SIP/2.0 505 Version Not Supported"


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_request_whose_answer_would_not_arrive_is_dropped(name: str) -> None:
    bench = answerer()
    lines = [line for line in ask().split("\r\n") if not line.startswith(name + ":")]
    assert bench.feed("\r\n".join(lines)) == []
    assert bench.counts == {"malformed": 1}


def test_a_malformed_ack_or_response_is_never_answered() -> None:
    bench = caller()
    invite = bench.start()
    assert bench.feed(ask("ACK").replace("CSeq: 1 ACK", "CSeq: x ACK")) == []
    short = reply(invite, 200).replace("Content-Length: 0", "Content-Length: 9")
    assert bench.feed(short) == []                      # 18.3: dropped
    assert bench.count("malformed") == 2
    assert bench.count("refused_malformed") == 0


def test_strict_holds_messages_to_the_whole_grammar() -> None:
    """By default an answerer does not look into headers that mean nothing to it."""
    request = ask("OPTIONS", headers=["Date: Fri, 01 Jan 2010 16:00:00 EST"])
    assert only(answerer().feed(request)).status == 200
    sent = refused(answerer(strict=True), request, 400)
    assert sent.line == "SIP/2.0 400 Malformed Date"


# --- the Request-URI, Max-Forwards ---

@pytest.mark.parametrize(("uri", "status"), [
    ("sip:b@192.0.2.10", 200), ("SIP:b@192.0.2.10", 200), ("sips:b@192.0.2.10", 200),
    ("tel:+12015550123", 200), ("urn:service:sos", 416), ("mailto:b@example.com", 416),
    ("<sip:b@192.0.2.10>", 400), ("b@192.0.2.10", 400),
])
def test_the_scheme_of_the_request_uri(uri: str, status: int) -> None:
    sent = only(answerer().feed(ask("OPTIONS", uri=uri)))
    assert sent.status == status


def test_max_forwards_0_does_not_matter_to_a_server() -> None:
    """M8: 483 is an answer of proxies."""
    request = ask("OPTIONS").replace("Max-Forwards: 70", "Max-Forwards: 0")
    assert only(answerer().feed(request)).status == 200


def test_a_user_that_no_row_of_the_answer_table_names_is_404() -> None:
    def accept(c: Recorder) -> None:
        c.respond(200)

    bench = engine_of(compile_scenarios(
        answer("MESSAGE", user="alice", name="a")(accept).record()))
    assert only(bench.feed(ask("MESSAGE", uri="sip:alice@192.0.2.10"))).status == 200
    other = ask("MESSAGE", branch="z9hG4bKb", uri="sip:bob@192.0.2.10", cseq=2)
    assert only(bench.feed(other)).status == 404


@pytest.mark.parametrize("what", ["Via", "Record-Route", "Contact"])
def test_an_invite_with_more_than_is_kept_of_one_is_513(what: str) -> None:
    """RFC 3261 21.5.7. A long body, URI or Subject is no reason, as nothing keeps them."""
    size = "x" * 250
    changes: dict[str, Any] = {
        "Via": {"via": ["SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bKone",
                        *(f"SIP/2.0/UDP h{i}.example.com;branch=z9hG4bK{size}"
                          for i in range(30))]},
        "Record-Route": {"headers": [f"Record-Route: <sip:r{i}.example.com;lr;x={size}>"
                                     for i in range(30)]},
        "Contact": {"contact": f"<sip:a@192.0.2.20;x={size * 32}>"}}[what]
    sent = refused(answerer(), ask(**changes), 513)
    assert sent.line == "SIP/2.0 513 Message Too Large"
    assert len(sent.headers("Via")) == (31 if what == "Via" else 1)


def test_a_long_invite_is_answered() -> None:
    request = ask(uri=f"sip:b@192.0.2.10:5070;x={'y' * 9000}", headers=[
        TYPE, f"Subject: {'z' * 20000}", *(f"X-{i}: {i}" for i in range(1000))],
        body=SDP + "a=x\r\n" * 2000)
    bench = answerer(settings={"ring": "1s"})
    assert names(bench.feed(request)) == ["180/INVITE"]
    assert names(bench.wait(SECOND)) == ["200/INVITE"]
    assert bench.count("slab_full") == 0


# --- Require ---

@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_an_unknown_extension_is_420_and_named(method: str) -> None:
    request = ask(method, headers=["Require: foo, 100rel", "Require: bar"])
    sent = refused(answerer(supported="timer, 100rel"), request, 420)
    assert sent.line == "SIP/2.0 420 Bad Extension"
    assert sent.header("Unsupported") == "foo, bar"


def test_a_known_extension_is_no_reason_to_refuse() -> None:
    for supported in ("100rel,Timer", "*"):
        bench = answerer(supported=supported)
        sent = bench.feed(ask(headers=["Require: timer,100REL"]))
        assert (sent[-1].status, sent[-1].header("Require")) == (180, "100rel")


def test_a_proxy_require_is_for_proxies() -> None:
    assert only(answerer().feed(ask("OPTIONS", headers=["Proxy-Require: foo"]))).status == 200


def test_require_in_an_ack_or_cancel_is_ignored() -> None:
    """RFC 3261 8.2.2.3."""
    bench = answerer(settings={"ring": "1s"})
    bench.feed(ask())
    assert names(bench.feed(ask("CANCEL", headers=["Require: foo"]))) == ["200/CANCEL",
                                                                          "487/INVITE"]
    to = bench.wire[-1].header("To")
    assert bench.feed(ask("ACK", to=to, headers=["Require: foo"])) == []
    assert bench.wait(SECOND) == []
    bench.drain()


def test_require_within_a_dialog() -> None:
    bench = answerer()
    ok = answered(bench)
    no = only(bench.feed(within(ok, "INFO", headers=["Require: foo"])))
    assert no.status == 420
    assert no.header("Unsupported") == "foo"
    assert no.tag("To") == ok.tag("To")
    assert names(bench.feed(within(ok, "BYE", cseq=3, branch="z9hG4bKb"))) == ["200/BYE"]


def test_options_names_what_is_supported() -> None:
    sent = only(caller(supported="100rel, timer", packages="presence").feed(ask("OPTIONS")))
    assert sent.header("Supported") == "100rel, timer"
    assert sent.header("Allow-Events") == "presence"


# --- bodies ---

def offer(kind: str, body: str = SDP, **changes: Any) -> str:
    return ask(headers=[f"Content-Type: {kind}", *changes.pop("headers", [])], body=body,
               **changes)


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP", "application/sdp;charset=x",
                                  "application/sdp ; a=b"])
def test_a_session_description_is_taken(kind: str) -> None:
    assert answerer().feed(offer(kind))[-1].status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/sdpx", "application/isup"])
def test_an_invite_with_another_body_is_415(kind: str) -> None:
    sent = refused(answerer(), offer(kind), 415)
    assert sent.header("Accept") == "application/sdp"
    assert sent.header("Accept-Encoding") == "identity"


def test_a_multipart_body_is_taken_when_a_part_describes_a_session() -> None:
    def parts(kind: str) -> str:
        return (f"--x\r\nContent-Type: {kind}\r\n\r\n{SDP}\r\n"
                "--x\r\nContent-Type: application/isup\r\n\r\nabc\r\n--x--\r\n")

    mixed = "multipart/mixed;boundary=x"
    assert answerer().feed(offer(mixed, parts("application/SDP")))[-1].status == 200
    refused(answerer(), offer(mixed, parts("text/plain")), 415)


def test_a_body_that_may_be_left_is_left() -> None:
    """RFC 3261 20.11."""
    header = ["Content-Disposition: signal;handling=optional"]
    assert answerer().feed(offer("application/isup", headers=header))[-1].status == 200
    required = ["Content-Disposition: signal;handling=required"]
    refused(answerer(), offer("application/isup", headers=required), 415)


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("identity", 200)])
def test_an_encoded_body(coding: str, status: int) -> None:
    sent = answerer().feed(offer("application/sdp", headers=[f"Content-Encoding: {coding}"]))[-1]
    assert sent.status == status
    assert (sent.headers("Accept-Encoding") == ["identity"]) is (status == 415)


def test_any_body_is_taken_where_nothing_is_made_of_it() -> None:
    request = ask("MESSAGE", headers=["Content-Type: text/plain"], body="hello")
    assert only(serving("MESSAGE").feed(request)).status == 200


@pytest.mark.parametrize(("accept", "status"), [
    ("application/sdp", 200), ("text/plain, application/sdp;level=1", 200), ("application/*", 200),
    ("*/*;q=0.1", 200), ("text/plain", 406), ("", 406),
])
def test_a_caller_that_does_not_accept_our_session_description(accept: str, status: int) -> None:
    """RFC 4475 3.3.15."""
    sent = answerer().feed(ask(headers=[f"Accept: {accept}"]))[-1]
    assert sent.status == status
    if status == 406:
        assert sent.header("Warning").startswith("399 ")


# --- REGISTER, events, REFER ---

@pytest.mark.parametrize(("changes", "status"), [
    ({"to": "<sips:b@192.0.2.10>"}, 200), ({"to": "sip:b@192.0.2.10"}, 200),
    ({"to": '"<x" <sip:b@192.0.2.10>'}, 200), ({"to": "<isbn:2983792873>"}, 400),
    ({"contact": "*", "headers": ["Expires: 0"]}, 200), ({"contact": "*"}, 400),
    ({"contact": "*", "headers": ["Expires: 60"]}, 400),
    ({"contact": "*", "headers": ["Expires: 0", "Contact: <sip:a@192.0.2.20>"]}, 400),
])
def test_a_register(changes: dict[str, Any], status: int) -> None:
    """RFC 3261 10.3 steps 3 and 6."""
    assert only(answerer().feed(ask("REGISTER", **changes))).status == status


@pytest.mark.parametrize("method", ["SUBSCRIBE", "NOTIFY", "PUBLISH"])
def test_an_unknown_event_package_is_489(method: str) -> None:
    state = ["Subscription-State: active"]
    for event, packages, status in [("presence", "presence, dialog", 200),
                                    ("Dialog;id=7", "presence, dialog", 200),
                                    ("winfo", "presence, dialog", 489), ("winfo", "", 200)]:
        bench = serving(method, packages=packages)
        sent = only(bench.feed(ask(method, headers=[f"Event: {event}", *state])))
        assert sent.status == status
        if status == 489:
            assert sent.header("Allow-Events") == "presence, dialog"
    assert only(serving(method).feed(ask(method, headers=state))).line == \
        "SIP/2.0 489 Missing Event"


def test_a_notify_says_the_state_of_its_subscription() -> None:
    """RFC 6665 4.1.3."""
    sent = only(serving("NOTIFY").feed(ask("NOTIFY", headers=["Event: presence"])))
    assert sent.line == "SIP/2.0 400 Missing Subscription-State"


@pytest.mark.parametrize(("headers", "status"), [
    (["Refer-To: <sip:c@192.0.2.30>"], 200), ([], 400),
    (["Refer-To: <sip:c@192.0.2.30>", "Refer-To: <sip:d@192.0.2.30>"], 400),
    (["Refer-To: <sip:c@192.0.2.30>, <sip:d@192.0.2.30>"], 400),
])
def test_a_refer_names_one_target(headers: list[str], status: int) -> None:
    """RFC 3515 2.4.2."""
    assert only(serving("REFER").feed(ask("REFER", headers=headers))).status == status


def test_allow_names_what_the_program_serves() -> None:
    bench = serving("MESSAGE", "SUBSCRIBE")
    sent = only(bench.feed(ask("PING")))
    assert set(re.split(", ", sent.header("Allow"))) == {
        "ACK", "BYE", "CANCEL", "OPTIONS", "MESSAGE", "SUBSCRIBE"}


# --- merged requests ---

def test_a_request_that_came_by_two_paths_is_482() -> None:
    """RFC 3261 8.2.2.2: the same From tag, Call-ID and CSeq, another branch."""
    bench = answerer(settings={"ring": "1s"})
    assert names(bench.feed(ask())) == ["180/INVITE"]
    no = only(bench.feed(ask(branch="z9hG4bKother")))
    assert no.name == "482/INVITE"
    assert bench.count("merged") == 1
    assert bench.feed(ask("ACK", branch="z9hG4bKother", to=no.header("To"))) == []
    assert bench.count("stray_request") == 0            # the ACK of that 482
    assert bench.count("answered") == 1
    ok = bench.wait(SECOND)[-1]
    assert ok.branch == "z9hG4bKone"
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKack"))
    assert names(bench.feed(within(ok, "BYE"))) == ["200/BYE"]
    bench.drain()
    assert bench.feed(ask(branch="z9hG4bKthird"))       # the first is forgotten: a new call


@pytest.mark.parametrize("changes", [
    {"cseq": 2}, {"call_id": "two"}, {"from_": "<sip:a@192.0.2.20>;tag=from2"}])
def test_what_differs_is_not_merged(changes: dict[str, Any]) -> None:
    bench = answerer(settings={"ring": "1s"})
    bench.feed(ask())
    assert names(bench.feed(ask(branch="z9hG4bKother", **changes))) == ["180/INVITE"]


def test_merging_can_be_switched_off() -> None:
    bench = answerer(settings={"ring": "1s"}, merge=False)
    bench.feed(ask())
    assert names(bench.feed(ask(branch="z9hG4bKother"))) == ["180/INVITE"]


def test_an_old_peer_without_tags_is_not_merged() -> None:
    """RFC 2543: a null tag is everybody's."""
    bench = answerer(settings={"ring": "1s"})
    bench.feed(ask(from_="<sip:a@192.0.2.20>"))
    assert names(bench.feed(ask(from_="<sip:a@192.0.2.20>", branch="z9hG4bKb"))) == ["180/INVITE"]


# --- 100 Trying ---

def test_a_silent_program_lets_the_engine_say_100() -> None:
    """RFC 3261 17.2.1: after 200 ms, without a To tag, with the Timestamp of the INVITE."""
    def story(c: Any) -> None:
        c.pause("1s")
        c.respond(200, method="INVITE")
        c.expect("ACK")

    bench = answering("INVITE", story)
    invite = ask(headers=["Timestamp: 54"])
    assert bench.feed(invite) == []
    assert bench.wait(199 * MS) == []
    trying = only(bench.wait(MS))
    assert trying.line == "SIP/2.0 100 Trying"
    assert trying.at == 200 * MS
    assert trying.tag("To") == ""
    assert trying.header("Timestamp") == "54"
    assert only(bench.feed(invite)).data == trying.data         # repeated for a repeat
    ok = only(bench.run(SECOND))
    assert ok.name == "200/INVITE"
    assert ok.tag("To")
    bench.feed(within(ok, "ACK", cseq=1, branch="z9hG4bKa"))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_no_100_after_another_provisional_response() -> None:
    bench = answerer(settings={"ring": "1s"})
    assert names(bench.feed(ask())) == ["180/INVITE"]
    assert bench.wait(900 * MS) == []


def test_no_100_for_other_requests() -> None:
    """RFC 4320 4.1: not before 3.5 s over UDP, and nobody needs it later."""
    def story(c: Any) -> None:
        c.pause("10s")
        c.respond(200)

    bench = answering("MESSAGE", story)
    bench.feed(ask("MESSAGE"))
    assert names(bench.wait(10 * SECOND)) == ["200/MESSAGE"]


def test_a_100_in_a_dialog_has_the_tag_of_its_request() -> None:
    """RFC 3261 8.2.6.2: a To tag that was there stays."""
    def story(c: Any) -> None:
        c.respond(200, method="INVITE")
        c.expect("ACK")
        c.expect("INVITE")
        c.pause("1s")
        c.respond(200, method="INVITE")
        c.expect("ACK")

    bench = answering("INVITE", story)
    ok = answered(bench)
    bench.feed(within(ok, "INVITE", contact="<sip:a@192.0.2.20>"))
    trying = only(bench.wait(500 * MS))
    assert trying.status == 100
    assert trying.tag("To") == ok.tag("To")


# --- what the engine says is valid ---

def test_every_refusal_is_a_valid_response() -> None:
    bench = answerer(supported="timer", packages="presence")
    ok = answered(bench)
    statuses = []
    for number, request in enumerate([
            ask("PING", branch="z9hG4bK01"), ask("REFER", branch="z9hG4bK02"),
            ask(branch="z9hG4bK03", cseq=3, headers=["Require: foo"]),
            ask(branch="z9hG4bK04", cseq=4, headers=["Content-Type: a/b"], body="x"),
            ask(branch="z9hG4bK05", cseq=5, headers=["Accept: a/b"]),
            ask(branch="z9hG4bK06", cseq=6, uri="urn:x"),
            ask("BYE", branch="z9hG4bK07", to="<sip:b@192.0.2.10>;tag=nobody"),
            ask(branch="z9hG4bK08"), within(ok, "OPTIONS", cseq=0, branch="z9hG4bK09"),
            ask("OPTIONS", branch="z9hG4bK10", cseq=9, rport="")]):
        sent = only(bench.feed(request))
        assert Parsed(sent.data).validate() == 0, sent.data
        assert sent.header("Via").endswith(f"branch=z9hG4bK{number + 1:02}")
        statuses.append(sent.status)
    assert statuses == [501, 400, 420, 415, 406, 416, 481, 482, 500, 200]


def test_lists_have_a_limit() -> None:
    for name in ("supported", "packages"):
        with pytest.raises(ValueError, match="at most 256"):
            answerer(**{name: ",".join(f"extension{i}" for i in range(40))})


def test_a_built_in_answerer_is_what_the_command_runs() -> None:
    """The embedded answerer takes what our own callers send."""
    assert build_answerer(settings={}).answers.size
    bench = caller()
    invite = bench.start()
    other = answerer()
    assert other.feed(invite.data, LOCAL)[-1].status == 200


def test_the_callers_side_refuses_alike() -> None:
    bench = caller(settings={"hold": "10s"})
    invite, _ = talking(bench)
    assert refuse_status(bench, "MESSAGE") == 405
    assert refuse_status(bench, "PING") == 501
    assert invite.name == "INVITE"


def refuse_status(bench: Bench, method: str) -> int:
    return only(bench.feed(ask(method, branch=f"z9hG4bK{method}"))).status
