"""What the models of registrations send, and what they make of the answers."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.engine.drive import PEER, SECOND, Bench, Sent, caller, names, only, reply

OUTBOUND = ["Require: outbound"]


def start(model: str = "register", **settings: str) -> tuple[Bench, Sent]:
    bench = caller(model, users=3, settings=settings)
    return bench, bench.start()


def ok(request: Sent, *headers: str, expires: int = 600) -> str:
    """A 200 that grants this time to each Contact of the request."""
    return reply(request, 200, headers=[
        *(f"Contact: {one};expires={expires}" for one in request.headers("Contact")), *headers])


def upcoming(bench: Bench) -> Sent:
    """The next REGISTER that a timer brings, when it comes."""
    for _ in range(10_000):
        sent = [one for one in bench.run(bench.engine.next_event())
                if one.data.startswith(b"REGISTER")]
        if sent:
            return only(sent)
    raise AssertionError("no REGISTER comes any more")


# --- register ---

def test_several_contacts_in_one_request() -> None:
    """RFC 3261 10.2.1."""
    bench, first = start(
        contacts="{own};q=0.7, <mailto:{user}@example.com>;q=0.1;expires=60", expires="300")
    own = re.match(r"(<sip:[0-9a-f]{24}@192\.0\.2\.10:5070>);q=0\.7, ", first.header("Contact"))
    assert own
    assert first.header("Contact").endswith("@example.com>;q=0.1;expires=60")
    assert first.header("Expires") == "300"
    last = only(bench.feed(ok(first)))
    assert last.header("Contact").endswith("@example.com>;q=0.1")   # nothing beats Expires: 0
    assert last.header("Expires") == "0"
    bench.feed(ok(last))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_somebody_else_registers() -> None:
    """RFC 3261 10.2: From is who asks, To whose registration it is, in all requests."""
    bench, first = start(registrant="sip:admin@example.com", auth_user="admin", fetch="yes")
    last = first
    for _ in range(3):
        assert last.header("From").startswith("<sip:admin@example.com>;tag=")
        assert last.header("To").startswith("<sip:user")
        sent = bench.feed(ok(last))
        last = sent[0] if sent else last
    assert names(bench.wire) == ["REGISTER"] * 3
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5'
    second = only(caller_401(challenge))
    assert 'username="admin"' in second.header("Authorization")


def caller_401(challenge: str) -> list[Sent]:
    bench, first = start(registrant="sip:admin@example.com", auth_user="admin")
    return bench.feed(reply(first, 401, headers=[challenge]))


@pytest.mark.parametrize(("status", "outcome"), [(403, "user"), (200, "user"), (404, "rejected")])
def test_a_refusal_may_be_what_is_expected(status: int, outcome: str) -> None:
    bench, first = start(registrant="sip:mallory@example.com", refusal="403")
    assert bench.feed(reply(first, status)) == []
    assert bench.outcomes == {outcome: 1}
    bench.drain()


def test_the_bindings_are_fetched() -> None:
    """RFC 3261 10.2.3: no Contact, and no time either."""
    bench, first = start(fetch="yes", remove="no")
    asked = only(bench.feed(ok(first)))
    assert asked.headers("Contact") == asked.headers("Expires") == []
    assert (asked.header("Call-ID"), asked.cseq) == (first.header("Call-ID"), first.cseq + 1)
    assert bench.feed(ok(asked)) == []
    assert bench.outcomes == {"succeeded": 1}


def test_all_bindings_are_removed() -> None:
    """RFC 3261 10.2.2."""
    bench, first = start(remove="all")
    last = only(bench.feed(ok(first)))
    assert (last.header("Contact"), last.header("Expires")) == ("*", "0")


@pytest.mark.parametrize("status", [302, 410])
def test_a_contact_in_a_refusal_is_followed(status: int) -> None:
    """RFC 3261 10.2.4, 21.3; the digest works there too."""
    bench, first = start(follow="yes", remove="no")
    second = only(bench.feed(reply(first, status,
                                   headers=["Contact: <sip:other.example.com>;q=0.1",
                                            "Contact: <sip:192.0.2.99:5080>"])))
    assert (second.uri, second.to) == ("sip:192.0.2.99:5080", ("192.0.2.99", 5080))
    assert (second.header("Call-ID"), second.cseq) == (first.header("Call-ID"), first.cseq + 1)
    third = only(bench.feed(reply(second, 401, headers=[
        'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5'])))
    assert third.to == ("192.0.2.99", 5080)
    assert bench.feed(ok(third)) == []
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


@pytest.mark.parametrize("status", [302, 403])
def test_a_refusal_without_a_contact_is_one(status: int) -> None:
    bench, first = start(follow="yes")
    assert bench.feed(reply(first, status)) == []
    assert bench.outcomes == {"rejected": 1}


def test_a_body_and_option_tags(tmp_path) -> None:
    body = tmp_path / "body"
    body.write_text("anything")
    bench, first = start(body=str(body), content_type="text/plain", supported="path, gruu",
                         refreshes="1", refresh_at="1s")
    assert first.data.endswith(b"\r\n\r\nanything")
    assert first.header("Content-Type") == "text/plain"
    assert first.header("Supported") == "path, gruu"
    bench.feed(ok(first))
    assert only(bench.wait(SECOND)).header("Content-Length") == "0"


def test_nothing_but_yes_no_and_all_removes() -> None:
    with pytest.raises(ValueError, match="setting remove: there is no some"):
        caller("register", users=1, settings={"remove": "some"})


# --- register-call ---

URN = re.compile(r'<urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}>"')


def test_calls_go_by_the_service_route() -> None:
    """RFC 3608 6: preloaded in the order given; refreshed with the registration."""
    bench, first = start("register-call", calls="2")
    assert first.header("Supported") == "path"
    invite = only(bench.feed(ok(first, "Service-Route: <sip:p1;lr>, <sip:p2;lr>",
                                "Service-Route: <sip:p3;lr>")))
    assert invite.header("Route") == "<sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>"
    assert invite.header("Call-ID") != first.header("Call-ID")
    _, bye = bench.feed(reply(invite, 200))
    assert bye.headers("Route") == []           # the dialog has a route set of its own
    again = only(bench.feed(reply(bye, 200)))
    assert again.header("Route") == invite.header("Route")
    assert again.header("Call-ID") != invite.header("Call-ID")
    _, bye = bench.feed(reply(again, 200))
    last = only(bench.feed(reply(bye, 200)))
    assert (last.header("Call-ID"), last.cseq) == (first.header("Call-ID"), first.cseq + 1)
    bench.feed(ok(last))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


@pytest.mark.parametrize(("gruu", "contact"), [
    ("public", "<sip:a@example.com;gr=urn:uuid:1>"), ("temporary", "<sip:tgruu.7@example.com;gr>")])
def test_calls_have_the_gruu_as_contact(gruu: str, contact: str) -> None:
    """RFC 5627 4.4.1."""
    bench, first = start("register-call", gruu=gruu)
    assert URN.search(first.header("Contact"))
    assert first.header("Supported") == "path, gruu"
    own = first.header("Contact")
    other = '<sip:other@h>;pub-gruu="sip:no";temp-gruu="sip:no"'
    invite = only(bench.feed(reply(first, 200, headers=[
        f"Contact: {other}", f'Contact: {own};temp-gruu="sip:tgruu.7@example.com;gr"'
        ';pub-gruu="sip:a@example.com;gr=urn:uuid:1"'])))
    assert invite.header("Contact") == contact
    ack, _ = bench.feed(reply(invite, 200))
    assert ack.name == "ACK"


def test_without_a_gruu_there_is_no_call() -> None:
    bench, first = start("register-call", gruu="public")
    assert bench.feed(ok(first)) == []
    assert bench.outcomes == {"user": 1}


def test_each_user_is_an_instance_of_its_own() -> None:
    bench = caller("register-call", users=3, settings={"gruu": "public"})
    bench.start(3)
    assert len({URN.search(one.header("Contact"))[0] for one in bench.wire}) == 3


# --- register-outbound: RFC 5626 ---

def test_each_flow_is_registered() -> None:
    bench, first = start("register-outbound", flows="2", stay="30s", ping="10s")
    second = only(bench.feed(ok(first, *OUTBOUND)))
    for number, one in enumerate((first, second), 1):
        assert re.search(rf"@192\.0\.2\.10:5070;ob>;.*;reg-id={number}$", one.header("Contact"))
        assert one.header("Supported") == "path, outbound"
    assert URN.search(first.header("Contact"))[0] == URN.search(second.header("Contact"))[0]
    assert (second.header("Call-ID"), second.cseq) == (first.header("Call-ID"), first.cseq + 1)
    assert bench.feed(ok(second, *OUTBOUND)) == []
    pings = bench.wait(29 * SECOND)
    assert [one.data for one in pings] == [b"\r\n\r\n"] * 4
    removal = upcoming(bench)
    assert removal.at == 30 * SECOND
    other = only(bench.feed(ok(removal)))
    assert [one.header("Contact")[-1] for one in (removal, other)] == ["1", "2"]
    assert removal.header("Expires") == other.header("Expires") == "0"
    bench.feed(ok(other))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_flows_go_to_their_edges() -> None:
    bench, first = start("register-outbound", edges="sip:192.0.2.81, sip:192.0.2.82:5070")
    second = only(bench.feed(ok(first, *OUTBOUND)))
    assert (first.to, second.to) == (("192.0.2.81", 5060), ("192.0.2.82", 5070))


@pytest.mark.parametrize(("timer", "low", "high"), [("", 24, 29), ("100", 80, 100)])
def test_the_flow_timer_says_when_to_ping(timer: str, low: int, high: int) -> None:
    """RFC 5626 4.4: 80 to 100 % of it."""
    bench, first = start("register-outbound", flows="1", stay="1000s")
    bench.feed(ok(first, *OUTBOUND, *([f"Flow-Timer: {timer}"] if timer else []), expires=3600))
    pings = [one.at / SECOND for one in bench.wait(900 * SECOND)]
    # what the registrar says is known after the first ping was planned
    gaps = [b - a for a, b in pairwise(pings)]
    assert gaps
    assert all(low <= gap <= high for gap in gaps)
    assert max(gaps) - min(gaps) > 0.5


def test_a_flow_is_refreshed_by_what_was_granted_to_it() -> None:
    bench, first = start("register-outbound", flows="2", ping="1000s", stay="2000s",
                         refresh_at="uniform(50%,50%)")
    second = only(bench.feed(ok(first, *OUTBOUND, expires=100)))
    both = [f"Contact: {first.header('Contact')};expires=100",
            f"Contact: {second.header('Contact')};expires=300"]
    bench.feed(reply(second, 200, headers=[*both, *OUTBOUND]))
    again = upcoming(bench)
    assert (again.header("Contact"), again.at) == (first.header("Contact"), 50 * SECOND)
    bench.feed(ok(again, *OUTBOUND, expires=1000))
    again = upcoming(bench)
    assert (again.header("Contact"), again.at) == (second.header("Contact"), 150 * SECOND)


@pytest.mark.parametrize(("works", "base"), [(True, 90), (False, 30)])
def test_a_flow_that_fails_backs_off(works: bool, base: int) -> None:
    """RFC 5626 4.5: W = min(1800, base * 2^failures), 50 to 100 % of it."""
    bench, request = start("register-outbound", flows="2" if works else "1", ping="5h",
                           stay="10h", refresh_at="10h")
    if works:
        request = only(bench.feed(ok(request, *OUTBOUND)))
    for failures in range(1, 9):
        began = bench.now
        assert bench.feed(reply(request, 503)) == []
        request = upcoming(bench)
        limit = min(1800, base * 2 ** failures)
        assert limit / 2 <= (request.at - began) / SECOND <= limit, failures
    assert bench.outcomes == {}


def test_a_flow_comes_back_and_begins_anew() -> None:
    bench, request = start("register-outbound", flows="1", ping="5h", stay="10h",
                           refresh_at="1h")
    for _ in range(3):
        bench.feed(reply(request, 503))
        request = upcoming(bench)
    bench.feed(ok(request, *OUTBOUND))
    request = upcoming(bench)
    bench.feed(reply(request, 500))
    assert 30 <= (upcoming(bench).at - request.at) / SECOND <= 60


def test_silence_and_icmp_are_failures_of_a_flow() -> None:
    bench, first = start("register-outbound", flows="2", ping="1h", stay="2h")
    bench.engine.transport_error(first.data, bench.now)
    second = bench._take()[0]
    assert second.header("Contact").endswith("reg-id=2")
    bench.wait(62 * SECOND)                     # timer F of the second comes after 32 s
    third = next(one for one in bench.wire if one.branch not in (first.branch, second.branch))
    assert third.header("Contact") == first.header("Contact")
    assert 30 <= third.at / SECOND <= 60
    assert bench.outcomes == {}


@pytest.mark.parametrize("settings", [{"flows": "0"}, {"flows": "5"},
                                      {"flows": "2", "edges": "sip:192.0.2.1"}])
def test_flows_that_cannot_be(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="flows"):
        caller("register-outbound", users=1, settings=settings)


# --- register-storm ---

def test_users_come_back_within_the_window() -> None:
    bench = caller("register-storm", users=100, settings={"window": "uniform(2s,4s)"})
    bench.engine.schedule([0] * 100)
    assert bench.run(2 * SECOND - 1) == []
    assert {one.uri for one in bench.run(4 * SECOND)} == {f"sip:{PEER[0]}"}
    assert len({one.header("To") for one in bench.wire}) == 100


def test_an_attempt_that_fails_is_followed_by_another() -> None:
    """Doubled waits, 50 to 100 % of them, up to the longest (RFC 5626 4.5)."""
    bench, request = start("register-storm", window="0s", back_off="10s", back_off_max="50s")
    for limit in (20, 40, 50, 50):
        began = bench.now
        assert bench.feed(reply(request, 500)) == []
        again = upcoming(bench)
        assert limit / 2 <= (again.at - began) / SECOND <= limit
        assert again.cseq == request.cseq + 1
        request = again
    bench.feed(ok(request))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


@pytest.mark.parametrize(("honour", "at"), [("yes", 7), ("no", 3)])
def test_retry_after_is_obeyed_or_not(honour: str, at: int) -> None:
    bench, request = start("register-storm", window="0s", back_off="3s", back_off_factor="1",
                           back_off_share="100%", honour_retry_after=honour)
    bench.feed(reply(request, 503, headers=["Retry-After: 7"]))
    assert upcoming(bench).at == at * SECOND


def test_silence_is_followed_by_another_attempt() -> None:
    bench, request = start("register-storm", window="0s", back_off="1s", back_off_share="100%",
                           back_off_factor="1")
    later = [one for one in bench.wait(34 * SECOND) if one.branch != request.branch]
    assert later[0].at == 33 * SECOND
    assert later[0].cseq == request.cseq + 1


def test_attempts_may_be_bounded() -> None:
    bench, request = start("register-storm", window="0s", back_off="1s", retries="1")
    bench.feed(reply(request, 503))
    assert bench.feed(reply(upcoming(bench), 503)) == []
    assert bench.outcomes == {"user": 1}
    bench.drain()


def test_the_end_of_the_run_ends_the_waits() -> None:
    bench, request = start("register-storm", window="0s")
    bench.feed(reply(request, 503))
    bench.engine.hang_up()
    bench.run(bench.now + SECOND)
    assert bench.outcomes == {"user": 1}
