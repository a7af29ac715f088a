"""Subscriptions, publications, messages and INFO as the built-in models play them, both roles."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from siploadgen.model.errors import ModelError
from tests.engine.drive import (
    MS,
    SECOND,
    Bench,
    Sent,
    answerer,
    ask,
    back,
    caller,
    names,
    only,
    reply,
    within,
)

WATCH = "subscribe-presence"


def state(value: str, event: str = "presence") -> list[str]:
    return [f"Event: {event}", f"Subscription-State: {value}",
            "Contact: <sip:n@192.0.2.40:5062>"]


def notify(first: Sent, value: str, number: int, **changes: str) -> str:
    return back(first, "NOTIFY", cseq=number, branch=f"z9hG4bKn{number}{changes.get('tag', '')}",
                headers=state(value), **changes)


def granted(request: Sent, seconds: int = 600, status: int = 200) -> str:
    return reply(request, status, headers=[f"Expires: {seconds}",
                                           "Contact: <sip:n@192.0.2.40:5062>"])


def ended(bench: Bench) -> set[str]:
    """Names of the outcomes of calls, those of the program's own by name."""
    bench.drain()
    return set(bench.outcomes)


# --- subscriber ---


def test_subscribe_notify_and_the_end() -> None:
    bench = caller(WATCH)
    first = bench.start()
    assert (first.header("Event"), first.header("Expires")) == ("presence", "3600")
    assert first.header("Accept") == "application/pidf+xml"
    assert len(first.headers("Contact")) == 1
    assert not bench.feed(granted(first, status=202))
    sent = bench.feed(notify(first, "active;expires=600", 1))
    assert names(sent) == ["200/NOTIFY", "SUBSCRIBE"]
    last = sent[1]
    assert (last.header("Expires"), last.tag("To"), last.cseq) == ("0", "peer", first.cseq + 1)
    assert last.header("Call-ID") == first.header("Call-ID")
    assert last.uri == "sip:n@192.0.2.40:5062"
    # a NOTIFY that was on its way already is not the last one
    assert names(bench.feed(notify(first, "active;expires=599", 2))) == ["200/NOTIFY"]
    assert names(bench.feed(notify(first, "terminated;reason=timeout", 3))) == ["200/NOTIFY"]
    assert not bench.feed(granted(last, 0))
    assert ended(bench) == {"succeeded"}


def test_notify_before_the_2xx() -> None:
    bench = caller(WATCH)
    first = bench.start()
    assert names(bench.feed(notify(first, "active;expires=600", 1))) == ["200/NOTIFY"]
    last = only(bench.feed(granted(first)))
    assert last.header("Expires") == "0"
    bench.feed(granted(last, 0))
    bench.feed(notify(first, "terminated", 2))
    assert ended(bench) == {"succeeded"}


@pytest.mark.parametrize("t1_ms", [500, 100])
@pytest.mark.parametrize("answer_at", [0, 4])
def test_timer_n_counts_from_the_subscribe(answer_at: int, t1_ms: int) -> None:
    """RFC 6665 4.1.2.4: 64*T1 for the first NOTIFY."""
    bench = caller(WATCH, t1=t1_ms * MS)
    first = bench.start()
    bench.wait(answer_at * SECOND)
    bench.feed(granted(first))
    bench.run(64 * t1_ms * MS - 1)
    assert bench.outcomes == {}
    bench.run(64 * t1_ms * MS)
    assert list(bench.outcomes.values()) == [1]
    assert "succeeded" not in bench.outcomes
    # what comes now finds nobody
    assert only(bench.feed(notify(first, "active", 1))).status == 481
    bench.drain()


def test_a_poll() -> None:
    bench = caller(WATCH, settings={"poll": "yes"})
    first = bench.start()
    assert first.header("Expires") == "0"
    bench.feed(granted(first, 0))
    assert names(bench.feed(notify(first, "terminated;reason=timeout", 1))) == ["200/NOTIFY"]
    assert ended(bench) == {"succeeded"}


def test_too_brief_asks_for_the_minimum_once() -> None:
    bench = caller(WATCH, settings={"expires": "10"})
    first = bench.start()
    again = only(bench.feed(reply(first, 423, headers=["Min-Expires: 90"])))
    assert (again.method, again.header("Expires"), again.cseq) == (
        "SUBSCRIBE", "90", first.cseq + 1)
    assert not again.tag("To")
    assert not bench.feed(reply(again, 423, headers=["Min-Expires: 900"]))
    assert ended(bench) == {"rejected"}


@pytest.mark.parametrize("status", [489, 403, 500])
def test_a_refusal_ends_it(status: int) -> None:
    bench = caller(WATCH)
    assert not bench.feed(reply(bench.start(), status))
    assert ended(bench) == {"rejected"}


def test_notify_is_checked() -> None:
    """RFC 6665 4.1.3, 8.2.1."""
    bench = caller(WATCH, settings={"hold": "20s"})
    first = bench.start()
    bench.feed(granted(first))
    bench.feed(notify(first, "active;expires=600", 1))
    got = only(bench.feed(back(first, "NOTIFY", cseq=2, branch="z9hG4bKx1",
                               headers=["Event: dialog", "Subscription-State: active"])))
    assert (got.status, got.header("Allow-Events")) == (489, "presence")
    got = only(bench.feed(back(first, "NOTIFY", cseq=3, branch="z9hG4bKx2",
                               headers=["Event: presence"])))
    assert got.status == 400
    got = only(bench.feed(ask("NOTIFY", to=first.header("From")[:-1] + "f",
                              headers=state("active"))))
    assert got.status == 481
    got = only(bench.feed(ask("NOTIFY", branch="z9hG4bKx3", headers=state("active"))))
    assert got.status == 481


def test_refresh_follows_the_shortest_time() -> None:
    bench = caller(WATCH, settings={"refreshes": "1", "refresh_at": "50%"})
    first = bench.start()
    bench.feed(granted(first, 600))
    bench.feed(notify(first, "active;expires=100", 1))
    assert not bench.run(30 * SECOND)
    bench.feed(notify(first, "active;expires=10", 2))       # ends at 40 s: refresh at 35 s
    assert not bench.run(35 * SECOND - 1)[1:]
    refresh = only(bench.run(35 * SECOND))
    assert (refresh.method, refresh.header("Expires"), refresh.tag("To")) == (
        "SUBSCRIBE", "3600", "peer")
    bench.feed(granted(refresh))
    last = bench.feed(notify(first, "active;expires=600", 3))[-1]
    assert last.header("Expires") == "0"
    bench.feed(granted(last, 0))
    bench.feed(notify(first, "terminated", 4))
    assert ended(bench) == {"succeeded"}


@pytest.mark.parametrize(("reason", "after"), [
    (";reason=deactivated", 0), (";reason=timeout", 0), ("", 0), (";reason=strange", 0),
    (";reason=giveup", 0), (";reason=giveup;retry-after=5", 5),
    (";reason=probation;retry-after=7", 7), (";reason=probation", 30),
    (";reason=rejected", None), (";reason=noresource", None), (";reason=invariant", None),
])
def test_what_the_notifier_says_at_the_end(reason: str, after: int | None) -> None:
    """RFC 6665 4.1.3."""
    bench = caller(WATCH, settings={"hold": "600s"})
    first = bench.start()
    bench.feed(granted(first))
    bench.feed(notify(first, "active;expires=600", 1))
    bench.wait(SECOND)
    sent = bench.feed(notify(first, f"terminated{reason}", 2))
    assert sent[0].name == "200/NOTIFY"
    if after is None:
        assert len(sent) == 1
        assert bench.outcomes.keys().isdisjoint({"succeeded"})
        assert sum(bench.outcomes.values()) == 1
        bench.drain()
        return
    again = sent[1] if after == 0 else only(bench.run(bench.now + after * SECOND))
    assert again.at == (1 + after) * SECOND
    assert again.header("Expires") == "3600"
    assert not again.tag("To")
    assert again.header("Call-ID") != first.header("Call-ID")
    bench.feed(granted(again).replace(";tag=peer", ";tag=later"))
    bench.feed(notify(again, "active;expires=600", 1, tag="later"))
    # the second end is one too many for `resubscribe=1`
    bench.feed(notify(again, "terminated;reason=timeout", 2, tag="later"))
    assert sum(bench.outcomes.values()) == 1
    bench.drain()


def test_a_refresh_that_finds_nothing_subscribes_again() -> None:
    bench = caller(WATCH, settings={"refreshes": "1", "refresh_at": "50%"})
    first = bench.start()
    bench.feed(granted(first, 100))
    bench.feed(notify(first, "active;expires=100", 1))
    refresh = only(bench.run(50 * SECOND))
    again = only(bench.feed(reply(refresh, 481)))
    assert not again.tag("To")
    assert again.header("Call-ID") != first.header("Call-ID")


def test_two_notifiers_behind_a_fork() -> None:
    """RFC 6665 4.1.2.4: one subscription each, refreshed and ended each."""
    bench = caller(WATCH, settings={"refreshes": "1", "refresh_at": "50%"})
    first = bench.start()
    bench.feed(granted(first, 100))
    bench.feed(notify(first, "active;expires=100", 1))
    other = {"tag": "other"}
    bench.run(20 * SECOND)
    assert names(bench.feed(notify(first, "active;expires=100", 1, **other))) == ["200/NOTIFY"]
    assert names(bench.feed(notify(first, "active;expires=100", 2, **other))) == ["200/NOTIFY"]
    # a third one finds no place
    assert only(bench.feed(notify(first, "active", 1, tag="third"))).status == 481
    refresh = only(bench.run(50 * SECOND))
    bench.feed(granted(refresh))
    sent = bench.feed(notify(first, "active;expires=100", 3))
    assert names(sent) == ["200/NOTIFY", "SUBSCRIBE"]
    second = sent[1]
    assert (second.tag("To"), second.tag("From")) == ("other", first.tag("From"))
    assert second.header("Call-ID") == first.header("Call-ID")
    bench.feed(granted(second).replace(";tag=peer", ""))
    last = bench.feed(notify(first, "active;expires=100", 3, **other))[-1]
    assert (last.header("Expires"), last.tag("To")) == ("0", "peer")
    bench.feed(granted(last, 0))
    last = bench.feed(notify(first, "terminated", 4))[-1]
    assert (last.header("Expires"), last.tag("To")) == ("0", "other")
    bench.feed(granted(last, 0))
    assert names(bench.feed(notify(first, "terminated", 4, **other))) == ["200/NOTIFY"]
    assert ended(bench) == {"succeeded"}


@pytest.mark.parametrize(("forks", "at", "status"), [
    ("refuse", 1, 481), ("accept", 1, 200), ("accept", 33, 481)])
def test_a_second_notifier_is_refused_by_wish_or_after_timer_n(forks: str, at: int,
                                                               status: int) -> None:
    bench = caller(WATCH, settings={"hold": "100s", "forks": forks})
    first = bench.start()
    bench.feed(granted(first, 600))
    bench.feed(notify(first, "active;expires=600", 1))
    bench.run(at * SECOND)
    assert only(bench.feed(notify(first, "active", 1, tag="other"))).status == status


def test_an_unsolicited_notify_is_sent() -> None:
    bench = caller("subscribe-mwi", settings={"send_unsolicited": "yes"})
    sent = bench.start()
    assert (sent.method, sent.header("Event"), sent.tag("To")) == ("NOTIFY", "message-summary", "")
    assert sent.header("Subscription-State") == "active"
    assert b"Messages-Waiting: yes\r\n" in sent.data
    bench.feed(reply(sent, 200))
    assert ended(bench) == {"succeeded"}


def test_a_telephone_is_told_to_read_its_settings() -> None:
    bench = caller("subscribe-mwi", settings={"send_unsolicited": "check-sync"})
    sent = bench.start()
    assert (sent.header("Event"), sent.header("Content-Length")) == ("check-sync", "0")
    assert sent.header("Subscription-State") == "terminated"
    bench.feed(reply(sent, 200))
    assert ended(bench) == {"succeeded"}
    with pytest.raises(ModelError):
        caller("subscribe-mwi", settings={"send_unsolicited": "perhaps"})


# --- notifier ---


def subscribe(number: int = 1, *headers: str, event: str = "presence",
              expires: int | None = 60) -> str:
    said = [f"Event: {event}", "Contact: <sip:a@192.0.2.20:5060>", *headers]
    if expires is not None:
        said.append(f"Expires: {expires}")
    return ask("SUBSCRIBE", branch=f"z9hG4bKs{number}", call_id=f"s{number}", headers=said)


def again(ok: Sent, number: int, expires: int) -> str:
    return within(ok, "SUBSCRIBE", cseq=number, branch=f"z9hG4bKa{number}", headers=[
        "Event: presence", f"Expires: {expires}", "Contact: <sip:a@192.0.2.20:5060>"])


def test_the_notifier_notifies_at_once_and_at_the_end() -> None:
    bench = answerer()
    ok, note = bench.feed(subscribe(event="presence;id=7"))
    assert (ok.status, ok.header("Expires")) == (200, "60")
    assert len(ok.headers("Contact")) == 1
    assert (note.method, note.header("Event")) == ("NOTIFY", "presence;id=7")
    assert note.header("Subscription-State") == "active;expires=60"
    assert note.header("Content-Type") == "application/pidf+xml"
    assert b'entity="sip:b@192.0.2.10:5070"' in note.data
    bench.wait(SECOND)
    assert not bench.feed(reply(note, 200))
    assert not bench.run(60 * SECOND - 1)
    last = only(bench.run(60 * SECOND))
    assert last.header("Subscription-State") == "terminated;reason=timeout"
    bench.feed(reply(last, 200))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_refresh_is_notified_and_the_end_too() -> None:
    bench = answerer()
    ok, note = bench.feed(subscribe(expires=None))
    assert ok.header("Expires") == "3600"
    # the next NOTIFY waits for the answer to this one (RFC 6665 4.2.2)
    fresh = only(bench.feed(again(ok, 2, 100)))
    assert fresh.name == "200/SUBSCRIBE"
    note = only(bench.feed(reply(note, 200)))
    assert note.header("Subscription-State") == "active;expires=100"
    bench.feed(reply(note, 200))
    bench.run(50 * SECOND)
    done, last = bench.feed(again(ok, 3, 0))
    assert (done.header("Expires"), last.header("Subscription-State")) == (
        "0", "terminated;reason=timeout")
    assert only(bench.feed(again(ok, 4, 60))).status == 481     # it is over
    bench.feed(reply(last, 200))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_changes_are_notified_one_after_the_other() -> None:
    bench = answerer(settings={"changes": "5s"})
    _, note = bench.feed(subscribe(event="message-summary"))
    assert note.header("Content-Type") == "application/simple-message-summary"
    assert b"Voice-Message: 1/0" in note.data
    bench.feed(reply(note, 200))
    second = only(bench.run(5 * SECOND))
    assert b"Voice-Message: 2/0" in second.data
    assert second.header("Subscription-State") == "active;expires=55"
    # not answered: it is repeated, and no other is sent, however the state changes
    assert {one.branch for one in bench.run(20 * SECOND)} == {second.branch}
    third = only(bench.feed(reply(second, 200)))
    assert third.cseq == second.cseq + 1


@pytest.mark.parametrize(("status", "outcome"), [(481, None), (0, "timeout"), (500, "rejected")])
def test_a_notify_that_fails_ends_the_subscription(status: int, outcome: str | None) -> None:
    """RFC 6665 4.2.2."""
    bench = answerer()
    _, note = bench.feed(subscribe())
    if status:
        bench.feed(reply(note, status))
    bench.drain()
    assert sum(bench.answered.values()) == 1
    assert "succeeded" not in bench.answered
    if outcome:
        assert bench.answered == {outcome: 1}


def test_the_notifier_refuses() -> None:
    bench = answerer(settings={"min_subscription": "30"})
    got = only(bench.feed(subscribe(1, event="dialog")))
    assert got.status == 489
    assert {"presence", "message-summary"} <= set(got.header("Allow-Events").split(", "))
    got = only(bench.feed(ask("SUBSCRIBE", branch="z9hG4bKno", call_id="no")))
    assert got.status == 489
    got = only(bench.feed(subscribe(2, expires=10)))
    assert (got.status, got.header("Min-Expires")) == (423, "30")
    ok, _ = bench.feed(subscribe(3, expires=9999))
    assert ok.header("Expires") == "3600"


def test_the_notifier_ends_by_wish() -> None:
    bench = answerer(settings={"end_after": "5s", "end_reason": "probation",
                               "end_retry_after": "9"})
    _, note = bench.feed(subscribe())
    bench.feed(reply(note, 200))
    last = only(bench.run(5 * SECOND))
    assert last.header("Subscription-State") == "terminated;reason=probation;retry-after=9"
    bench.feed(reply(last, 200))
    bench.drain()


@pytest.mark.parametrize("wanted", [481, 200])
def test_an_unsolicited_notify_is_answered(wanted: int) -> None:
    bench = answerer(settings={"unsolicited": str(wanted)})
    got = only(bench.feed(ask("NOTIFY", headers=state("active", "message-summary"))))
    assert got.status == wanted


@pytest.mark.parametrize(("wanted", "status"), [(200, 200), (481, 489)])
def test_check_sync_is_taken_where_unsolicited_notifys_are(wanted: int, status: int) -> None:
    bench = answerer(settings={"unsolicited": str(wanted)})
    got = only(bench.feed(ask("NOTIFY", headers=state("terminated", "check-sync;reboot=true"))))
    assert got.status == status
    refused = only(bench.feed(subscribe(2, event="check-sync")))    # nobody can subscribe to it
    assert refused.status == 489
    assert "check-sync" not in refused.header("Allow-Events")
    bench.drain()


# --- publications ---


def etag(tag: str, seconds: int = 3600) -> list[str]:
    return [f"SIP-ETag: {tag}", f"Expires: {seconds}"]


def test_publish_change_refresh_and_remove() -> None:
    """RFC 3903 4.1: the newest entity tag each time."""
    bench = caller("publish", settings={"refreshes": "1", "refresh_at": "50%"})
    first = bench.start()
    assert not first.headers("SIP-If-Match")
    assert first.header("Content-Type") == "application/pidf+xml"
    assert not first.headers("Contact")
    change = only(bench.feed(reply(first, 200, headers=etag("one", 100))))
    assert change.header("SIP-If-Match") == "one"
    assert b"<note>state 1</note>" in change.data
    assert (change.header("Call-ID"), change.tag("To")) == (first.header("Call-ID"), "")
    assert not bench.feed(reply(change, 200, headers=etag("two", 100)))
    refresh = only(bench.run(50 * SECOND))
    assert (refresh.header("SIP-If-Match"), refresh.header("Content-Length")) == ("two", "0")
    assert refresh.header("Expires") == "3600"
    remove = only(bench.feed(reply(refresh, 200, headers=etag("three"))))
    assert (remove.header("SIP-If-Match"), remove.header("Expires")) == ("three", "0")
    assert remove.header("Content-Length") == "0"
    bench.feed(reply(remove, 200, headers=["Expires: 0"]))
    assert ended(bench) == {"succeeded"}


def test_a_forgotten_publication_begins_again() -> None:
    bench = caller("publish")
    first = bench.start()
    change = only(bench.feed(reply(first, 200, headers=etag("one"))))
    anew = only(bench.feed(reply(change, 412)))
    assert not anew.headers("SIP-If-Match")
    assert anew.header("Content-Length") != "0"


@pytest.mark.parametrize(("status", "headers"), [
    (412, ()), (489, ()), (415, ()), (423, ()), (200, ("Expires: 60",))])
def test_a_publication_that_fails(status: int, headers: Iterable[str]) -> None:
    bench = caller("publish")
    assert not bench.feed(reply(bench.start(), status, headers=headers))
    assert "succeeded" not in ended(bench)


def test_a_publication_that_is_too_brief() -> None:
    bench = caller("publish", settings={"expires": "5"})
    longer = only(bench.feed(reply(bench.start(), 423, headers=["Min-Expires: 60"])))
    assert longer.header("Expires") == "60"


def publish(bench: Bench, number: int, tag: str = "", *headers: str, body: str = "<p/>",
            kind: str = "application/pidf+xml", event: str = "presence") -> Sent:
    said = [*([f"Event: {event}"] if event else []), *headers]
    if tag:
        said.append(f"SIP-If-Match: {tag}")
    if body:
        said.append(f"Content-Type: {kind}")
    return only(bench.feed(ask("PUBLISH", branch=f"z9hG4bKp{number}", call_id=f"p{number}",
                               from_=f"<sip:a@x>;tag=f{number}", headers=said, body=body)))


def test_the_compositor_keeps_a_publication() -> None:
    bench = answerer(settings={"min_publish": "30", "max_publish": "100"})
    first = publish(bench, 1)
    assert (first.status, first.header("Expires")) == (200, "100")
    second = publish(bench, 2, first.header("SIP-ETag"), "Expires: 60", body="")
    assert second.header("Expires") == "60"
    assert second.header("SIP-ETag") != first.header("SIP-ETag")
    assert publish(bench, 3, first.header("SIP-ETag"), body="").status == 412   # an old tag
    tag = second.header("SIP-ETag")
    brief = publish(bench, 4, tag, "Expires: 5", body="")
    assert (brief.status, brief.header("Min-Expires")) == (423, "30")
    wrong = publish(bench, 5, tag, kind="text/plain")
    assert (wrong.status, wrong.header("Accept")) == (415, "application/pidf+xml")
    assert publish(bench, 6, tag, event="dialog").status == 489
    # what was refused has changed nothing, not even when it ends
    bench.run(60 * SECOND - 1)
    third = publish(bench, 7, tag, "Expires: 60")
    assert third.status == 200
    gone = publish(bench, 8, third.header("SIP-ETag"), "Expires: 0", body="")
    assert (gone.status, gone.header("Expires")) == (200, "0")
    assert gone.headers("SIP-ETag")
    assert publish(bench, 9, gone.header("SIP-ETag"), body="").status == 412
    bench.drain()


def test_a_publication_expires() -> None:
    bench = answerer()
    tag = publish(bench, 1, "", "Expires: 60").header("SIP-ETag")
    bench.run(40 * SECOND)
    tag = publish(bench, 2, tag, "Expires: 60", body="").header("SIP-ETag")     # refreshed
    bench.run(70 * SECOND)
    tag = publish(bench, 3, tag, "Expires: 60", body="").header("SIP-ETag")
    bench.run(130 * SECOND)
    assert publish(bench, 4, tag, body="").status == 412


def test_the_compositor_refuses() -> None:
    bench = answerer(settings={"min_publish": "30"})
    assert publish(bench, 1, "", event="").status == 489
    unknown = publish(bench, 2, "", event="dialog")
    assert (unknown.status, "presence" in unknown.header("Allow-Events")) == (489, True)
    assert publish(bench, 3, "", body="").status == 400
    assert publish(bench, 4, "", kind="text/plain").status == 415
    assert publish(bench, 5, "", "Expires: 5").status == 423
    assert publish(bench, 6, "never").status == 412
    bench.drain()


# --- messages ---


@pytest.mark.parametrize("size", [0, 1, 100, 1300, 7000])
def test_a_message_of_any_length(size: int) -> None:
    bench = caller("message", settings={"size": str(size)})
    sent = bench.start()
    assert not sent.headers("Contact")
    body = sent.data.split(b"\r\n\r\n", 1)[1]
    assert (len(body), sent.header("Content-Length")) == (size, str(size))
    bench.feed(reply(sent, 202))
    assert ended(bench) == {"succeeded"}


def test_a_text_of_ones_own() -> None:
    bench = caller("message", settings={"text": "a {b}", "content_type": "text/x-own"})
    sent = bench.start()
    assert sent.data.endswith(b"Content-Type: text/x-own\r\nContent-Length: 5\r\n\r\na {b}")


@pytest.mark.parametrize("status", [200, 202])
def test_a_message_is_taken(status: int) -> None:
    bench = answerer(settings={"message_status": str(status)})
    got = only(bench.feed(ask("MESSAGE", headers=["Content-Type: image/png"], body="\x01")))
    assert (got.status, got.headers("Contact")) == (status, [])
    bench.drain()


def test_messages_inside_a_call() -> None:
    bench = caller("message", settings={"in_call": "yes", "messages": "2"})
    invite = bench.start()
    assert invite.uri.startswith("sip:dtmf@")
    ack, first = bench.feed(reply(invite, 200))
    assert (ack.method, first.method, first.tag("To")) == ("ACK", "MESSAGE", "peer")
    second = only(bench.feed(reply(first, 200)))
    assert second.cseq == first.cseq + 1
    bye = only(bench.feed(reply(second, 488)))
    assert bye.method == "BYE"
    bench.feed(reply(bye, 200))
    assert ended(bench) == {"rejected"}


# --- INFO ---


@pytest.mark.parametrize("package", ["", "dtmf"])
def test_digits(package: str) -> None:
    bench = caller("info-dtmf", settings={"digits": "1#", "interval": "1s", "package": package})
    invite = bench.start()
    assert invite.header("Recv-Info") == ""
    bench.feed(reply(invite, 200, headers=["Recv-Info: other, dtmf"]))
    first = only(bench.run(SECOND))
    assert first.header("Content-Type") == "application/dtmf-relay"
    assert first.data.endswith(b"\r\n\r\nSignal=1\r\nDuration=160\r\n")
    assert first.headers("Info-Package") == ([package] if package else [])
    bench.feed(reply(first, 200))
    second = only(bench.run(2 * SECOND))
    assert b"Signal=#" in second.data
    bye = only(bench.feed(reply(second, 200)))
    bench.feed(reply(bye, 200))
    assert ended(bench) == {"succeeded"}


def test_a_package_that_was_not_offered_is_not_used() -> None:
    bench = caller("info-dtmf", settings={"package": "dtmf"})
    sent = bench.feed(reply(bench.start(), 200, headers=["Recv-Info: other"]))
    assert names(sent) == ["ACK", "BYE"]
    bench.feed(reply(sent[1], 200))
    assert "succeeded" not in ended(bench)


@pytest.mark.parametrize(("status", "then"), [(469, ["BYE"]), (415, ["BYE"]), (481, [])])
def test_an_info_that_fails(status: int, then: list[str]) -> None:
    bench = caller("info-dtmf")
    info = bench.feed(reply(bench.start(), 200))[-1]
    sent = bench.feed(reply(info, status))
    assert names(sent) == then
    for one in sent:
        bench.feed(reply(one, 200))
    assert ended(bench) == {"rejected"}


def test_the_callee_answers_infos() -> None:
    """RFC 6086 4.2.2."""
    bench = answerer()
    _, ok = bench.feed(ask(uri="sip:dtmf@192.0.2.10:5070"))
    assert ok.header("Recv-Info") == "dtmf"
    bench.feed(within(ok, "ACK", cseq=1))

    def info(number: int, *headers: str, body: str = "x") -> Sent:
        return only(bench.feed(within(ok, "INFO", cseq=number, branch=f"z9hG4bKi{number}",
                                      headers=headers, body=body)))

    assert info(2, "Content-Type: application/dtmf-relay").status == 200
    assert info(3, "Info-Package: dtmf", "Content-Type: application/dtmf-relay").status == 200
    refused = info(4, "Info-Package: other", "Content-Type: text/plain")
    assert (refused.status, refused.header("Recv-Info")) == (469, "dtmf")
    assert re.fullmatch(r"SIP/2.0 469 Bad Info Package", refused.line)
    refused = info(5, "Content-Type: text/plain")
    assert (refused.status, "application/dtmf" in refused.header("Accept")) == (415, True)
    assert info(6, body="").status == 200
    assert only(bench.feed(within(ok, "MESSAGE", cseq=7, branch="z9hG4bKm"))).status == 200
    assert only(bench.feed(within(ok, "BYE", cseq=8, branch="z9hG4bKb"))).status == 200
    bench.drain()
    assert bench.answered == {"succeeded": 1}
