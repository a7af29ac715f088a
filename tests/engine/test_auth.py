"""Digest at both ends: RFC 3261 22, RFC 7616, RFC 8760. The answers are computed again here."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.engine.drive import SECOND, Bench, Sent, answerer, ask, caller, names, only, reply

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def parameters(text: str) -> dict[str, str]:
    assert text.startswith("Digest ")
    return {name: (quoted or plain)
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', text)}


def proves(request: Sent, password: str = "secret", *, proxy: bool = False) -> dict[str, str]:
    """Check the credentials of a request by the letter of RFC 7616 3.4; their parameters."""
    text = request.header("Proxy-Authorization" if proxy else "Authorization")
    given = parameters(text)
    algorithm = given.get("algorithm", "MD5")
    digest = HASHES[algorithm.removesuffix("-sess")]

    def h(value: str) -> str:
        return digest(value.encode()).hexdigest()

    a1 = h(f"{given['username']}:{given['realm']}:{password}")
    if algorithm.endswith("-sess"):
        a1 = h(f"{a1}:{given['nonce']}:{given['cnonce']}")
    assert given["uri"] == request.uri
    a2 = h(f"{request.method}:{given['uri']}")
    if given.get("qop") == "auth-int":
        body = request.data.split(b"\r\n\r\n", 1)[1].decode()
        a2 = h(f"{request.method}:{given['uri']}:{h(body)}")
    if "qop" in given:
        expected = h(f"{a1}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{a2}")
        assert re.search(r"[ ,]nc=[0-9a-f]{8}(,|$)", text), text           # not quoted
        assert re.search(r"[ ,]qop=auth(-int)?(,|$)", text), text
    else:
        expected = h(f"{a1}:{given['nonce']}:{a2}")
        assert "nc" not in given
        assert "cnonce" not in given
    assert given["response"] == expected
    return given


def challenge(nonce: str = "n1", algorithm: str = "MD5", qop: str = 'qop="auth"',
              realm: str = "r", more: str = "", proxy: bool = False) -> str:
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    parts = [f'realm="{realm}"', f'nonce="{nonce}"', f"algorithm={algorithm}" if algorithm else "",
             qop, more]
    return f"{name}: Digest " + ", ".join(part for part in parts if part)


def register(**settings: str) -> tuple[Bench, Sent]:
    bench = caller("register", users=3, settings={"remove": "no", **settings})
    return bench, bench.start()


# A session algorithm needs a cnonce, hence a qop.
@pytest.mark.parametrize(("algorithm", "qop"), [
    (algorithm, qop)
    for algorithm in ("MD5", "SHA-256", "MD5-sess", "SHA-256-sess", "")
    for qop in ('qop="auth"', 'qop="auth,auth-int"', 'qop="auth-int"', "")
    if qop or not algorithm.endswith("-sess")])
@pytest.mark.parametrize("proxy", [False, True])
def test_a_challenge_is_answered(algorithm: str, qop: str, proxy: bool) -> None:
    bench, first = register()
    second = only(bench.feed(reply(first, 407 if proxy else 401, headers=[
        challenge(algorithm=algorithm, qop=qop, proxy=proxy, more='opaque="op/aq=ue"')])))
    given = proves(second, proxy=proxy)
    assert given["opaque"] == "op/aq=ue"
    assert given.get("nc", "00000001") == "00000001"
    assert second.cseq == first.cseq + 1
    assert second.branch != first.branch
    assert second.header("Call-ID") == first.header("Call-ID")
    assert second.header("From") == first.header("From")
    assert second.header("To") == first.header("To")        # the tag of the 401 is not taken over
    bench.feed(reply(second, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_an_invite_is_acknowledged_and_sent_again_with_credentials() -> None:
    bench = caller(settings={"user": "bob", "password": "pw", "hold": "5s"})
    first = bench.start()
    ack, second = bench.feed(reply(first, 401, headers=[challenge()]))
    assert names([ack, second]) == ["ACK", "INVITE"]
    assert ack.branch == first.branch
    assert second.branch != first.branch
    assert ack.cseq == 1000
    assert second.cseq == 1001
    assert proves(second, "pw")["username"] == "bob"
    ack2 = only(bench.feed(reply(second, 200)))
    assert ack2.cseq == 1001
    assert not ack2.headers("Proxy-Authorization")
    bench.run(5 * SECOND)
    bye = bench.wire[-1]
    assert bye.name == "BYE"
    assert bye.cseq == 1002
    assert only(bench.feed(reply(second, 200))).data == ack2.data
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_retransmission_carries_the_same_credentials() -> None:
    bench, first = register()
    second = only(bench.feed(reply(first, 401, headers=[challenge()])))
    copies = [one for one in bench.wait(4 * SECOND) if one.name == "REGISTER"]
    assert len(copies) == 3
    assert {one.data for one in copies} == {second.data}


def test_a_stale_nonce_is_replaced_once_more() -> None:
    bench, first = register()
    second = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    third = only(bench.feed(reply(second, 401, headers=[challenge("n2", more="stale=TRUE")])))
    given = proves(third)
    assert given["nonce"] == "n2"
    assert given["nc"] == "00000001"
    bench.feed(reply(third, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_stale_for_ever_ends() -> None:
    bench, last = register()
    for number in range(10):
        sent = bench.feed(reply(last, 401, headers=[challenge(f"n{number}", more="stale=true")]))
        if not sent:
            break
        last = sent[-1]
    assert bench.outcomes == {"auth_failed": 1}
    bench.drain()


@pytest.mark.parametrize("stale", ["", "stale=false"])
def test_a_second_refusal_is_the_end(stale: str) -> None:
    bench, first = register()
    second = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    assert bench.feed(reply(second, 401, headers=[challenge("n2", more=stale)])) == []
    assert bench.outcomes == {"auth_failed": 1}
    bench.drain()


def test_the_nonce_count_goes_up_in_one_registration() -> None:
    bench, first = register(refreshes="3", refresh_at="10s")
    request = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    for number in range(1, 5):
        given = proves(request)
        assert given["nonce"] == "n1"
        assert given["nc"] == f"{number:08x}"
        bench.feed(reply(request, 200, headers=["Expires: 3600"]))
        if number < 4:
            request = only([one for one in bench.wait(10 * SECOND) if one.name == "REGISTER"])
    assert len({parameters(one.header("Authorization"))["cnonce"] for one in bench.wire[1:]}) == 4
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_new_nonce_in_a_later_challenge_starts_the_count_again() -> None:
    bench, first = register(refreshes="1", refresh_at="10s")
    request = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    bench.feed(reply(request, 200, headers=["Expires: 3600"]))
    request = only([one for one in bench.wait(10 * SECOND) if one.name == "REGISTER"])
    assert proves(request)["nc"] == "00000002"
    again = only(bench.feed(reply(request, 401, headers=[challenge("n2")])))
    assert proves(again)["nonce"] == "n2"
    assert proves(again)["nc"] == "00000001"
    bench.feed(reply(again, 200))
    assert bench.outcomes == {"succeeded": 1}


@pytest.mark.parametrize("first", [
    challenge(algorithm="SHA3-999"), 'WWW-Authenticate: Basic realm="x"',
    "WWW-Authenticate: Digest", "WWW-Authenticate: Bearer abc, def",
    'WWW-Authenticate: Digest realm="unterminated'])
def test_a_challenge_that_cannot_be_answered_is_skipped(first: str) -> None:
    """RFC 8760 2.4: the topmost that is supported."""
    bench, request = register()
    again = only(bench.feed(reply(request, 401, headers=[first, challenge("good", "SHA-256"),
                                                         challenge("late", "MD5")])))
    given = proves(again)
    assert (given["nonce"], given["algorithm"]) == ("good", "SHA-256")
    bench, request = register()
    assert bench.feed(reply(request, 401, headers=[first])) == []
    assert bench.outcomes == {"auth_failed": 1}
    bench.drain()


def test_a_401_without_a_challenge_is_a_failure() -> None:
    bench, request = register()
    assert bench.feed(reply(request, 401)) == []
    assert bench.outcomes == {"auth_failed": 1}


# --- the answering side ---

def credentials(refusal: Sent, method: str, uri: str, password: str = "secret", user: str = "u",
                **changes: str) -> str:
    given = parameters(refusal.header("WWW-Authenticate"))
    digest = HASHES[given["algorithm"]]

    def h(value: str) -> str:
        return digest(value.encode()).hexdigest()

    values = {"realm": given["realm"], "nonce": given["nonce"], "uri": uri, "nc": "00000001",
              "cnonce": "abc", "qop": "auth", **changes}
    proof = h(":".join([h(f"{user}:{values['realm']}:{password}"), values["nonce"], values["nc"],
                        values["cnonce"], values["qop"], h(f"{method}:{values['uri']}")]))
    return (f'Authorization: Digest username="{user}", realm="{values["realm"]}", '
            f'nonce="{values["nonce"]}", uri="{values["uri"]}", response="{proof}", '
            f'algorithm={given["algorithm"]}, cnonce="{values["cnonce"]}", qop={values["qop"]}, '
            f'nc={values["nc"]}')


@pytest.mark.parametrize("algorithm", ["md5", "sha-256"])
@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_the_answerer_challenges_and_checks(algorithm: str, method: str) -> None:
    bench = answerer(challenge=algorithm)
    no = only(bench.feed(ask(method)))
    assert no.status == 401
    given = parameters(no.header("WWW-Authenticate"))
    assert given["algorithm"].lower() == algorithm
    assert given["qop"] == "auth"
    uri = "sip:b@192.0.2.10:5070"
    for number, (password, expected) in enumerate([("secret", {180, 200}), ("wrong", {401})]):
        sent = bench.feed(ask(method, cseq=2 + number, branch=f"z9hG4bK{number}",
                              headers=[credentials(no, method, uri, password)]))
        assert {one.status for one in sent} <= expected
        assert sent[-1].status in expected - {180}


@pytest.mark.parametrize("change", [{"realm": "other"}, {"nonce": "0" * 32}, {"nonce": ""}])
def test_foreign_credentials_are_challenged_again(change: dict[str, str]) -> None:
    bench = answerer(challenge="md5")
    no = only(bench.feed(ask("REGISTER")))
    text = credentials(no, "REGISTER", "sip:b@192.0.2.10:5070", **change)
    again = ask("REGISTER", cseq=2, branch="z9hG4bK2", headers=[text])
    assert only(bench.feed(again)).status == 401


def test_an_old_nonce_is_challenged_again() -> None:
    bench = answerer(challenge="md5")
    no = only(bench.feed(ask("REGISTER")))
    bench.run(301 * SECOND)
    text = credentials(no, "REGISTER", "sip:b@192.0.2.10:5070")
    assert only(bench.feed(ask("REGISTER", branch="z9hG4bK2", headers=[text]))).status == 401


def test_a_repeated_request_gets_the_same_challenge() -> None:
    bench = answerer(challenge="md5")
    no = only(bench.feed(ask("REGISTER")))
    bench.wait(SECOND)
    assert only(bench.feed(ask("REGISTER"))).data == no.data

