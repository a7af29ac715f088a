"""Dialogs that SUBSCRIBE, REFER and their NOTIFYs make, and publications (RFC 6665, 3515, 3903)."""

from __future__ import annotations

import pytest

from siploadgen.model.recorder import Recorder
from tests.engine.drive import answering, ask, back, names, only, reply, scenario, within

PACKAGE = {"Event": "presence", "Expires": "600"}
ACTIVE = ["Event: presence", "Subscription-State: active;expires=600",
          "Contact: <sip:notifier@192.0.2.40:5062>"]


@pytest.mark.parametrize("method", ["SUBSCRIBE", "REFER"])
def test_a_2xx_makes_the_dialog(method: str) -> None:
    def play(c: Recorder) -> None:
        c.send(method, headers=PACKAGE)
        c.expect("2xx")
        c.expect("NOTIFY")
        c.respond(200)
        c.send(method, headers=PACKAGE)
        c.expect("2xx")

    bench = scenario(play)
    first = bench.start()
    routes = ["Record-Route: <sip:192.0.2.31;lr>", "Record-Route: <sip:192.0.2.32;lr>"]
    bench.feed(reply(first, 202, headers=["Contact: <sip:n@192.0.2.40>", *routes]))
    sent = bench.feed(back(first, "NOTIFY", headers=[
        "Event: presence", "Subscription-State: active", "Contact: <sip:n@192.0.2.41:5062>"]))
    assert names(sent) == ["200/NOTIFY", method]
    again = sent[1]
    # a NOTIFY refreshes the target, never the route set (RFC 6665 4.4.1, RFC 3261 12.2)
    assert again.uri == "sip:n@192.0.2.41:5062"
    assert again.headers("Route") == ["<sip:192.0.2.32;lr>", "<sip:192.0.2.31;lr>"]
    assert (again.tag("To"), again.cseq) == ("peer", first.cseq + 1)
    assert again.to == ("192.0.2.32", 5060)
    bench.feed(reply(again, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_a_notify_before_the_2xx_makes_the_dialog() -> None:
    """RFC 6665 4.4.1: the subscription is there with the first NOTIFY."""

    def play(c: Recorder) -> None:
        c.send("SUBSCRIBE", headers=PACKAGE)
        with c.expect("2xx").on("NOTIFY"):
            c.respond(200)
        c.send("SUBSCRIBE", headers={"Event": "presence", "Expires": "0"})
        c.expect("2xx")

    bench = scenario(play)
    first = bench.start()
    got = only(bench.feed(back(first, "NOTIFY", headers=[
        *ACTIVE, "Record-Route: <sip:192.0.2.31;lr>"])))
    assert got.name == "200/NOTIFY"
    # from another notifier: another dialog, which nobody here has (RFC 6665 4.1.2.4)
    assert only(bench.feed(back(first, "NOTIFY", tag="fork", branch="z9hG4bKfork",
                                headers=ACTIVE))).status == 481
    again = only(bench.feed(reply(first, 200, headers=["Record-Route: <sip:192.0.2.31;lr>",
                                                       "Contact: <sip:n@192.0.2.42>"])))
    assert (again.tag("To"), again.headers("Route")) == ("peer", ["<sip:192.0.2.31;lr>"])
    assert again.uri == "sip:n@192.0.2.42"
    bench.feed(reply(again, 200))
    bench.drain()
    assert bench.outcomes == {"succeeded": 1}


def test_the_notifier_sends_in_the_dialog_of_the_subscribe() -> None:
    def play(c: Recorder) -> None:
        c.respond(200, headers={"Expires": "600"})
        c.send("NOTIFY", headers={"Event": "presence", "Subscription-State": "active"})
        c.expect("2xx")
        c.expect("SUBSCRIBE")
        c.respond(200, headers={"Expires": "0"})
        c.send("NOTIFY", headers={"Event": "presence",
                                  "Subscription-State": "terminated;reason=timeout"})
        c.expect("2xx")

    bench = answering("SUBSCRIBE", play)
    sent = bench.feed(ask("SUBSCRIBE", headers=["Event: presence", "Expires: 600",
                                                "Contact: <sip:a@192.0.2.50:5066>"]))
    assert names(sent) == ["200/SUBSCRIBE", "NOTIFY"]
    ok, notify = sent
    assert "Contact" in dict(ok.head)
    assert (notify.uri, notify.tag("To"), notify.tag("From")) == (
        "sip:a@192.0.2.50:5066", "from1", ok.tag("To"))
    assert notify.header("Call-ID") == "one@192.0.2.20"
    assert not bench.feed(reply(notify, 200))
    sent = bench.feed(within(ok, "SUBSCRIBE", headers=["Event: presence", "Expires: 0",
                                                       "Contact: <sip:a@192.0.2.51:5066>"]))
    assert names(sent) == ["200/SUBSCRIBE", "NOTIFY"]
    assert sent[1].uri == "sip:a@192.0.2.51:5066"
    bench.feed(reply(sent[1], 200))
    bench.drain()
    assert bench.answered == {"succeeded": 1}


def test_a_publication_is_found_by_its_entity_tag() -> None:
    """RFC 3903 4.1, 6: SIP-If-Match names the publication; every 2xx gives a new tag."""

    def play(c: Recorder) -> None:
        with c.if_header("SIP-If-Match"):
            c.respond(412)
            c.end("unknown", ok=True)
        c.set("n", 1)
        c.label("again")
        c.respond(200, headers={"SIP-ETag": "{token}.{n}", "Expires": "600"})
        c.expect("PUBLISH")
        c.capture("given", "SIP-If-Match")
        c.add("n", 1)
        c.jump("again", when=c.v.n < 3)
        c.respond(200, headers={"SIP-ETag": "{token}.{n}", "Expires": "0"})

    bench = answering("PUBLISH", play)

    def publish(tag: str, number: int) -> tuple[int, str]:
        headers = ["Event: presence"] + ([f"SIP-If-Match: {tag}"] if tag else [])
        got = only(bench.feed(ask("PUBLISH", branch=f"z9hG4bKp{number}", call_id=f"p{number}",
                                  from_=f"<sip:a@x>;tag=f{number}", headers=headers)))
        return got.status, got.headers("SIP-ETag")[0] if got.status == 200 else ""

    assert publish("never", 0) == (412, "")
    status, first = publish("", 1)
    assert status == 200
    status, second = publish(first, 2)
    assert status == 200
    assert second.split(".") == [first.split(".")[0], "2"]
    assert publish(second, 3)[0] == 200
    assert publish(second, 4) == (412, "")      # removed
    bench.drain()
    assert bench.answered == {"succeeded": 1, "user": 2}
