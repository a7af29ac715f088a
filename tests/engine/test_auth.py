"""Digest at both ends: RFC 3261 22, RFC 7616, RFC 8760. The answers are computed again here."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from siploadgen.core.sip.aka import SimCard
from siploadgen.core.sip.digest import Digester
from siploadgen.model.errors import ModelError
from siploadgen.model.recorder import Recorder
from tests.engine.drive import (
    LOCAL,
    SECOND,
    Bench,
    Sent,
    answerer,
    ask,
    caller,
    names,
    only,
    reply,
    scenario,
)

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256,
          "SHA-512-256": lambda data: hashlib.new("sha512_256", data)}


def parameters(text: str) -> dict[str, str]:
    assert text.startswith("Digest ")
    return {name: (quoted or plain)
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', text)}


def proves(request: Sent, password: str = "secret", *, proxy: bool = False,
           realm: str = "") -> dict[str, str]:
    """Check the credentials of a request by the letter of RFC 7616 3.4; their parameters."""
    text = next(one for one in
                request.headers("Proxy-Authorization" if proxy else "Authorization")
                if not realm or parameters(one)["realm"] == realm)
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
    for algorithm in ("MD5", "SHA-256", "MD5-sess", "SHA-256-sess", "SHA-512-256",
                      "SHA-512-256-sess", "")
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
    assert not ack.headers("Authorization")     # RFC 3261 17.1.1.3 names what it has
    assert ack2.headers("Authorization") == second.headers("Authorization")     # 22.1
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


# --- several realms ---

def calling(**settings: str) -> tuple[Bench, Sent]:
    bench = caller(settings={"user": "bob", "password": "secret", "hold": "5s", **settings})
    return bench, bench.start()


def asked(status: int, nonce: str = "n1", realm: str = "r", **more: str) -> dict[str, Any]:
    line = challenge(nonce, realm=realm, proxy=status == 407, **more)  # type: ignore[arg-type]
    return {"status": status, "headers": [line]}


def realms(request: Sent) -> list[tuple[str, str]]:
    return [(name[0], parameters(value)["realm"]) for name, value in request.head
            if name in ("Authorization", "Proxy-Authorization")]


def test_a_proxy_and_then_the_server_ask() -> None:
    """RFC 3261 22.3: credentials for each realm, all in the last request and in the ACK."""
    bench, first = calling()
    _, second = bench.feed(reply(first, **asked(407, "p1", "proxy")))
    assert realms(second) == [("P", "proxy")]
    _, third = bench.feed(reply(second, **asked(401, "s1", "server")))
    assert realms(third) == [("P", "proxy"), ("A", "server")]
    assert proves(third, proxy=True)["nc"] == "00000002"
    assert proves(third)["nc"] == "00000001"
    assert [one.cseq for one in (first, second, third)] == [1000, 1001, 1002]
    ack = only(bench.feed(reply(third, 200)))
    for name in ("Authorization", "Proxy-Authorization"):
        assert ack.headers(name) == third.headers(name)
    assert only(bench.feed(reply(third, 200))).data == ack.data
    bye = [one for one in bench.wait(5 * SECOND) if one.name == "BYE"][-1]
    assert proves(bye, proxy=True)["nc"] == "00000003"      # reused in the dialog (22.2)
    assert proves(bye)["nc"] == "00000002"
    bench.feed(reply(bye, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_two_proxies_and_a_server_ask_one_after_the_other() -> None:
    bench, request = calling()
    for status, realm in ((407, "a"), (407, "b"), (401, "c"), (401, "d")):
        _, request = bench.feed(reply(request, **asked(status, "n" + realm, realm)))
    assert realms(request) == [("P", "a"), ("P", "b"), ("A", "c"), ("A", "d")]
    for realm, proxy in (("a", True), ("b", True), ("c", False), ("d", False)):
        proves(request, realm=realm, proxy=proxy)
    ack, = bench.feed(reply(request, **asked(401, "ne", "e")))        # more realms than we keep
    assert ack.name == "ACK"
    assert bench.outcomes == {"auth_failed": 1}
    bench.drain()


def test_several_challenges_in_one_response() -> None:
    """RFC 3261 16.7: a proxy that forked collects them."""
    bench, first = calling()
    again = bench.feed(reply(first, 407, headers=[
        challenge("w1", realm="one"), challenge("x", "SHA3-999", realm="two", proxy=True),
        challenge("p1", "SHA-256", realm="two", proxy=True),
        challenge("p2", realm="two", proxy=True),
        challenge("p3", realm="three", proxy=True)]))[-1]
    assert sorted(realms(again)) == [("A", "one"), ("P", "three"), ("P", "two")]
    assert proves(again)["nonce"] == "w1"
    assert proves(again, realm="two", proxy=True)["nonce"] == "p1"
    assert proves(again, realm="three", proxy=True)["nonce"] == "p3"


def test_one_realm_as_a_proxy_and_as_a_server() -> None:
    bench, first = calling()
    _, second = bench.feed(reply(first, **asked(407, "p", "r")))
    _, third = bench.feed(reply(second, **asked(401, "s", "r")))
    assert realms(third) == [("P", "r"), ("A", "r")]
    bench.feed(reply(third, **asked(407, "q", "r")))
    assert bench.outcomes == {"auth_failed": 1}


def test_stale_of_one_realm_leaves_the_others_alone() -> None:
    bench, request = calling()
    _, request = bench.feed(reply(request, **asked(407, "p1", "proxy")))
    _, request = bench.feed(reply(request, **asked(407, "p2", "proxy", more="stale=true")))
    _, request = bench.feed(reply(request, **asked(401, "s1", "server")))
    _, request = bench.feed(reply(request, **asked(401, "s2", "server", more="stale=TRUE")))
    assert proves(request, proxy=True)["nonce"] == "p2"
    assert proves(request)["nonce"] == "s2"
    bench.feed(reply(request, 200))
    assert bench.outcomes == {}


def test_a_bye_is_challenged_anew() -> None:
    """A plain challenge of a later request is none of a refusal in a row."""
    bench, first = calling()
    _, second = bench.feed(reply(first, **asked(401, "n1")))
    bench.feed(reply(second, 200))
    bye = bench.wait(5 * SECOND)[-1]
    assert proves(bye)["nonce"] == "n1"
    again = only(bench.feed(reply(bye, **asked(401, "n2"))))
    assert proves(again)["nonce"] == "n2"
    bench.feed(reply(again, 200))
    assert bench.outcomes == {"succeeded": 1}
    bench.drain()


def test_a_repeat_keeps_its_nonce_when_another_request_is_challenged() -> None:
    def two(c: Recorder) -> None:
        for leg in ("a", "b"):
            c.options(leg=leg)
            c.expect(200, leg=leg).auth(401, user="u", password="secret")

    bench = scenario(two)
    first = bench.start()
    again = only(bench.feed(reply(first, **asked(401, "n1"))))
    other = only(bench.feed(reply(again, 200)))
    assert proves(other)["nonce"] == "n1"
    repeat = bench.wait(SECOND)[0]
    assert repeat.data == other.data


# --- what the server says afterwards ---

def rspauth(request: Sent, body: str = "", password: str = "secret") -> str:
    """RFC 7616 3.5: the server's own proof."""
    given = parameters(request.header("Authorization"))

    def h(value: str) -> str:
        return hashlib.md5(value.encode()).hexdigest()

    a2 = f":{given['uri']}" + (f":{h(body)}" if given["qop"] == "auth-int" else "")
    return h(f"{h(':'.join((given['username'], given['realm'], password)))}:{given['nonce']}:"
             f"{given['nc']}:{given['cnonce']}:{given['qop']}:{h(a2)}")


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("right", [True, False])
def test_the_servers_proof_is_checked(qop: str, right: bool) -> None:
    bench, first = register(refreshes="1", refresh_at="10s")
    second = only(bench.feed(reply(first, 401, headers=[challenge(qop=f'qop="{qop}"')])))
    given = parameters(second.header("Authorization"))
    proof = rspauth(second, password="secret" if right else "guess")
    bench.feed(reply(second, 200, headers=[
        f'Authentication-Info: qop={qop}, rspauth="{proof}", cnonce="{given["cnonce"]}", '
        f'nc={given["nc"]}']))
    assert bench.count("rspauth_mismatch") == (not right)


def test_the_next_nonce_is_taken_over() -> None:
    bench, first = register(refreshes="3", refresh_at="10s")
    request = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    for number in range(2, 5):
        sent = bench.feed(reply(request, 200, headers=[
            "Expires: 3600", f'Authentication-Info: nextnonce="n{number}"']))
        assert sent == []
        request = bench.wait(10 * SECOND)[-1]
        given = proves(request)
        assert (given["nonce"], given["nc"]) == (f"n{number}", "00000001")


@pytest.mark.parametrize("info", ["", "nextnonce", "nextnonce=", "=", ',,"', 'nextnonce="', "nc=1",
                                  'rspauth="x', 'cnonce="other", nextnonce="stolen"',
                                  f'nextnonce="{"x" * 3000}"'])
def test_a_strange_authentication_info_changes_nothing(info: str) -> None:
    bench, first = register(refreshes="1", refresh_at="10s")
    request = only(bench.feed(reply(first, 401, headers=[challenge("n1")])))
    bench.feed(reply(request, 200, headers=[f"Authentication-Info: {info}", "Expires: 60"]))
    given = proves(bench.wait(10 * SECOND)[-1])
    assert (given["nonce"], given["nc"]) == ("n1", "00000002")


# --- later calls of the user ---

@pytest.mark.parametrize("cached", [True, False])
def test_a_users_nonce_can_serve_its_later_calls(cached: bool) -> None:
    bench = caller("register", users=2, settings={
        "remove": "no", "cache_nonce": "yes" if cached else "no"})
    counts = {}
    for round_ in range(6):
        bench.engine.schedule([bench.now], last=False)
        request = only(bench.run(bench.now))
        if not request.headers("Authorization"):
            assert round_ < 2 or not cached
            request = only(bench.feed(reply(request, **asked(401, f"n{round_}"))))
        given = proves(request)
        counts.setdefault(given["username"], []).append((given["nonce"], int(given["nc"], 16)))
        bench.feed(reply(request, 200))
    assert counts == {f"user00000{1 + user}": [
        (f"n{user if cached else user + 2 * k}", k + 1 if cached else 1) for k in range(3)]
        for user in range(2)}
    bench.engine.check()
    assert bench.engine.census()["texts"] == 0      # what users keep is not the calls'
    bench.drain()


def test_a_cached_nonce_that_is_refused_is_replaced() -> None:
    bench = caller("register", users=1, settings={"remove": "no", "cache_nonce": "yes"})
    for number in range(3):
        bench.engine.schedule([bench.now], last=False)
        request = only(bench.run(bench.now))
        request = only(bench.feed(reply(request, **asked(401, f"n{number}"))))
        assert (proves(request)["nonce"], proves(request)["nc"]) == (f"n{number}", "00000001")
        bench.feed(reply(request, 200))
    assert bench.outcomes == {"succeeded": 3}


def test_calls_of_one_user_share_its_nonce_and_count() -> None:
    bench = caller("options", settings={"user": "bob", "cache_nonce": "yes"})
    bench.engine.schedule([0], last=False)
    request = only(bench.feed(reply(only(bench.run(0)), **asked(401))))
    bench.feed(reply(request, 200))
    bench.engine.schedule([0] * 20)
    sent = bench.run(0)
    assert sorted(int(proves(one)["nc"], 16) for one in sent) == list(range(2, 22))
    assert len({proves(one)["cnonce"] for one in sent}) == 20


# --- HA1 and SIM cards ---

@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
def test_ha1_in_place_of_the_password(algorithm: str) -> None:
    ha1 = HASHES[algorithm.removesuffix("-sess")](b"bob:r:secret").hexdigest()
    bench, first = calling(ha1=ha1, password="not this")
    again = bench.feed(reply(first, **asked(401, algorithm=algorithm)))[-1]
    proves(again)


def test_a_network_challenges_a_sim_card() -> None:
    """RFC 3310: the nonce is RAND and AUTN, the password RES (TS 35.208 test set 1)."""
    k, opc = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"
    rand, hidden = "23553cbe9637a89d218ae64dae47bf35", "55f328b43577"    # SQN ^ AK
    nonce = base64.b64encode(bytes.fromhex(rand + hidden + "b9b9" + "4a9ffac354dfafb3")).decode()
    bench, first = calling(aka_k=k, aka_opc=opc)
    again = bench.feed(reply(first, 401, headers=[
        challenge("n1", "MD5"), challenge(nonce, "AKAv1-MD5")]))[-1]
    given = parameters(again.header("Authorization"))
    assert given["algorithm"] == "AKAv1-MD5"

    def h(value: bytes) -> bytes:
        return hashlib.md5(value).hexdigest().encode()

    a1 = h(b"bob:r:" + bytes.fromhex("a54211d5e3ba50bf"))
    a2 = h(f"INVITE:{given['uri']}".encode())
    assert given["response"].encode() == h(b":".join([
        a1, nonce.encode(), given["nc"].encode(), given["cnonce"].encode(), b"auth", a2]))
    bench, first = calling(aka_k=k, aka_opc=opc, aka_amf="b9b8")
    assert names(bench.feed(reply(first, 401, headers=[challenge(nonce, "AKAv1-MD5")]))) == ["ACK"]
    assert bench.outcomes == {"auth_failed": 1}
    bench, first = calling()                                # a password is no SIM card
    bench.feed(reply(first, 401, headers=[challenge(nonce, "AKAv1-MD5")]))
    assert bench.outcomes == {"auth_failed": 1}


@pytest.mark.parametrize("more", [0, 1])
def test_a_sim_card_that_is_ahead_asks_for_another_challenge(more: int) -> None:
    """RFC 3310 3.4: AUTS and an empty password, then the next challenge is answered by RES."""
    k, opc = "465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"
    rand = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
    old, new = 0xFF9BB4D0B607, 0xFF9BB4D0B609
    card = SimCard(f"aka:k={k},opc={opc}".encode())

    def nonce_of(number: int) -> str:
        sqn = number.to_bytes(6, "big")
        mac, _, ak = card.milenage(rand, sqn, b"\xb9\xb9")
        hidden = bytes(a ^ b for a, b in zip(sqn, ak, strict=True))
        return base64.b64encode(rand + hidden + b"\xb9\xb9" + mac).decode()

    def h(value: bytes) -> bytes:
        return hashlib.md5(value).hexdigest().encode()

    def proof(given: dict[str, str], password: bytes) -> str:
        return h(b":".join([h(b"bob:r:" + password), given["nonce"].encode(), given["nc"].encode(),
                            given["cnonce"].encode(), b"auth",
                            h(f"INVITE:{given['uri']}".encode())])).decode()

    bench, first = calling(aka_k=k, aka_opc=opc, aka_sqn=f"{old + more:012x}")
    again = bench.feed(reply(first, 401, headers=[challenge(nonce_of(old), "AKAv1-MD5")]))[-1]
    given = parameters(again.header("Authorization"))
    told = base64.b64decode(given["auts"])
    proof_of_card, hidden = card.resync(rand, (old + more).to_bytes(6, "big"), b"\0\0")
    assert told[6:] == proof_of_card
    assert bytes(a ^ b for a, b in zip(told[:6], hidden, strict=True)) \
        == (old + more).to_bytes(6, "big")
    assert given["response"] == proof(given, b"")
    last = bench.feed(reply(again, 401, headers=[challenge(nonce_of(new), "AKAv1-MD5")]))[-1]
    given = parameters(last.header("Authorization"))
    assert "auts" not in given
    assert given["response"] == proof(given, bytes.fromhex("a54211d5e3ba50bf"))
    assert (last.cseq, last.header("Call-ID")) == (first.cseq + 2, first.header("Call-ID"))
    bench.feed(reply(last, 401, headers=[challenge(nonce_of(new), "AKAv1-MD5")]))
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


KINDS = [(algorithm + form, qop) for algorithm in ("md5", "sha-256", "sha-512-256")
         for form in ("", "-sess") for qop in ("auth", "auth-int", "auth,auth-int", "none")
         if form == "" or qop != "none"]


@pytest.mark.parametrize("status", ["401", "407"])
@pytest.mark.parametrize(("algorithm", "qop"), KINDS)
def test_our_caller_answers_our_challenger(algorithm: str, qop: str, status: str) -> None:
    """Every kind of challenge, the one engine against the other."""
    settings = {"challenge_qop": qop, "challenge_status": status, "next_nonce": "yes"}
    server = answerer(challenge=algorithm, settings=settings)
    client = caller(settings={"user": "bob", "password": "secret"},
                    target=LOCAL, local=("192.0.2.20", 5060))
    client.start()
    for _ in range(8):
        for one in client.wire[:]:
            client.wire.remove(one)
            server.feed(one.data, ("192.0.2.20", 5060))
        for one in server.wire[:]:
            server.wire.remove(one)
            if one.status == int(status):
                name = "WWW-Authenticate" if status == "401" else "Proxy-Authenticate"
                given = parameters(one.header(name))
                assert given["algorithm"].lower() == algorithm
                assert given.get("qop", "none") == qop
            client.feed(one.data, LOCAL)
        client.run(client.now)
    assert client.outcomes == {"succeeded": 1}
    assert sum(server.answered.values()) == 2


@pytest.mark.parametrize("change", [
    {"algorithm": "MD5"}, {"algorithm": "SHA-256-sess"}, {"qop": "auth"}, {"qop": ""}])
def test_weaker_credentials_than_were_asked_for_are_refused(change: dict[str, str]) -> None:
    bench = answerer(merge=False, challenge="sha-256", settings={"challenge_qop": "auth-int"})
    no = only(bench.feed(ask("REGISTER")))
    given = parameters(no.header("WWW-Authenticate"))
    uri = "sip:b@192.0.2.10:5070"

    def text(algorithm: str = "SHA-256", qop: str = "auth-int") -> str:
        values = Digester().credentials(
            algorithm.encode(), {"": 0, "auth": 1, "auth-int": 2}[qop], b"u", b"siploadgen",
            b"secret", given["nonce"].encode(), b"REGISTER", uri.encode(), cnonce=b"c")
        assert values is not None
        return f"Authorization: {values.decode()}"

    for number, (line, status) in enumerate([(text(**change), 401), (text(), 200)]):
        sent = bench.feed(ask("REGISTER", branch=f"z9hG4bKx{number}", headers=[line]))
        assert only(sent).status == status


def test_an_old_nonce_is_called_stale_to_who_knows_the_password() -> None:
    bench = answerer(merge=False, challenge="md5", settings={"nonce_life": "10s"})
    no = only(bench.feed(ask("REGISTER")))
    uri = "sip:b@192.0.2.10:5070"
    right = credentials(no, "REGISTER", uri)
    assert only(bench.feed(ask("REGISTER", branch="z9hG4bK2", headers=[right]))).status == 200
    bench.run(11 * SECOND)
    stale = only(bench.feed(ask("REGISTER", branch="z9hG4bK3", headers=[right])))
    assert parameters(stale.header("WWW-Authenticate"))["stale"] == "true"
    assert only(bench.feed(ask("REGISTER", branch="z9hG4bK3", headers=[right]))).data == stale.data
    wrong = credentials(no, "REGISTER", uri, password="guess")
    plain = only(bench.feed(ask("REGISTER", branch="z9hG4bK4", headers=[wrong])))
    assert "stale" not in plain.header("WWW-Authenticate")
    fresh = credentials(stale, "REGISTER", uri)
    assert only(bench.feed(ask("REGISTER", branch="z9hG4bK5", cseq=2,
                               headers=[fresh]))).status == 200


def test_a_next_nonce_is_good() -> None:
    bench = answerer(merge=False, challenge="md5",
                     settings={"next_nonce": "yes", "nonce_life": "10s"})
    no = only(bench.feed(ask("REGISTER")))
    uri = "sip:b@192.0.2.10:5070"
    for number in range(5):
        ok = only(bench.feed(ask("REGISTER", branch=f"z9hG4bK{number}", cseq=number + 1,
                                 headers=[credentials(no, "REGISTER", uri)])))
        assert ok.status == 200
        nonce = re.fullmatch(r'nextnonce="([0-9a-f]{32})"', ok.header("Authentication-Info"))
        assert nonce is not None
        no = Sent(0, no.data.replace(
            parameters(no.header("WWW-Authenticate"))["nonce"].encode(), nonce[1].encode()),
            no.to)
        bench.wait(8 * SECOND)


@pytest.mark.parametrize(("settings", "message"), [
    ({"challenge_qop": "maybe"}, "challenge_qop"), ({"challenge_status": "403"}, "403")])
def test_settings_of_a_challenge_are_checked(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        answerer(merge=False, challenge="md5", settings=settings)


@pytest.mark.parametrize("attempts", [0, 4])
def test_so_many_attempts_are_not_possible(attempts: int) -> None:
    def often(c: Recorder) -> None:
        c.options()
        c.expect(200).auth(401, user="u", password="p", attempts=attempts)

    with pytest.raises(ModelError, match="attempts"):
        scenario(often)


@given_(data=st.data())
def test_hostile_challenges_and_infos_are_survived(data: st.DataObject) -> None:
    bench, request = register(refreshes="1", refresh_at="1s", cache_nonce="yes")
    texts = st.text(st.sampled_from('Digest realm=nonce",\\ \taka:MD5=<>;stalequopinf'),
                    max_size=60)
    kinds = st.sampled_from(["WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info"])
    for _ in range(6):
        headers = data.draw(st.lists(st.builds(
            lambda kind, good, text, extra: f"{kind}: " + (
                f'Digest realm="{extra}", nonce="{extra}", nextnonce="{extra}", {text}'
                if good else text),
            kinds, st.booleans(), texts, st.sampled_from(["", "a", "b", "c" * 1500, "d" * 3000])),
            max_size=6))
        status = data.draw(st.sampled_from([401, 407, 200]))
        bench.feed(reply(request, status, headers=headers))
        later = [one for one in bench.wait(2 * SECOND) if one.name == "REGISTER"]
        request = later[-1] if later else bench.wire[-1]
        bench.engine.check()
    bench.engine.abort()
    bench.engine.advance(bench.now)
    bench.drain()
