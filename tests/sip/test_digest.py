"""Digest answers against hashlib, published examples and the corpus folder's vectors."""

import hashlib
import itertools
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siploadgen.core.sip.digest import DigestAlgorithm, Digester, DigestQop, algorithm, qop

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("SIPLOADGEN_CORPUS", ROOT.parent / "shared" / "corpus"))
VECTORS = CORPUS / "digest" / "digest_vectors.json"
HASHES = {b"MD5": "md5", b"SHA-256": "sha256", b"SHA-512-256": "sha512_256"}
NAMES = [name + form for name in HASHES for form in (b"", b"-sess")]
QOPS = {b"": DigestQop.QOP_NONE, b"auth": DigestQop.QOP_AUTH, b"auth-int": DigestQop.QOP_AUTH_INT}
MUFASA = {
    "username": b"Mufasa", "realm": b"http-auth@example.org", "password": b"Circle of Life",
    "nonce": b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "method": b"GET",
    "uri": b"/dir/index.html", "cnonce": b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}
ALICE = {
    "username": b"alice", "realm": b"example.com", "password": b'pa:ss"w\xc3\xb6rd',
    "nonce": b"84f1c1ae6cbe5ua9c8e88dfa3ecm3459", "method": b"INVITE",
    "uri": b"sip:bob@example.com",
}


def expected(name, protection, *, username, realm, password, nonce, method, uri, cnonce, nc, body):
    """RFC 7616 3.4, with hashlib."""
    kind = HASHES[name.removesuffix(b"-sess")]

    def h(*parts):
        return hashlib.new(kind, b":".join(parts)).hexdigest().encode()

    ha1 = h(username, realm, password)
    if name.endswith(b"-sess"):
        ha1 = h(ha1, nonce, cnonce)
    ha2 = h(method, uri, h(body)) if protection == b"auth-int" else h(method, uri)
    if not protection:
        return h(ha1, nonce, ha2)
    return h(ha1, nonce, b"%08x" % nc, cnonce, protection, ha2)


texts = st.binary(max_size=200)


@pytest.mark.parametrize(("name", "protection"), list(itertools.product(NAMES, QOPS)))
@given(texts=st.tuples(*[texts] * 9), nc=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_response_is_hashlibs(name, protection, texts, nc):
    keys = ("username", "realm", "password", "nonce", "method", "uri", "cnonce", "body")
    fields = dict(zip(keys, texts, strict=False))
    assert Digester().response(name, QOPS[protection], nc=nc, **fields) == expected(
        name, protection, nc=nc, **fields)


def test_one_context_serves_all_in_turn():
    digester = Digester()
    for name, (protection, number) in itertools.product(NAMES, QOPS.items()):
        fields = {**ALICE, "cnonce": b"c1", "nc": 2, "body": b"v=0\r\n"}
        assert digester.response(name, number, **fields) == expected(name, protection, **fields)


@pytest.mark.parametrize(("name", "fields", "response"), [
    # RFC 2617 3.5
    (b"MD5", {"username": b"Mufasa", "realm": b"testrealm@host.com",
              "password": b"Circle Of Life", "nonce": b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
              "method": b"GET", "uri": b"/dir/index.html", "cnonce": b"0a4f113b"},
     b"6629fae49393a05397450978507c4ef1"),
    # RFC 7616 3.9.1
    (b"MD5", MUFASA, b"8ca523f5e9506fed4657c9700eebdbec"),
    (b"SHA-256", MUFASA, b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
])
def test_published_examples(name, fields, response):
    assert Digester().response(name, DigestQop.QOP_AUTH, **fields) == response


def corpus_vectors():
    return json.loads(VECTORS.read_text()) if VECTORS.exists() else []


def test_corpus_is_there():
    if not VECTORS.exists():
        assert os.environ.get("CI") != "true", f"no {VECTORS}"
        pytest.skip("no corpus folder")
    assert len(corpus_vectors()) >= 20


@pytest.mark.parametrize("vector", corpus_vectors(), ids=lambda v: f"{v['alg']}-{v['source']}")
def test_corpus_vectors(vector):
    def field(name):
        return vector.get(name, "").encode()

    digester = Digester()
    assert digester.response(
        field("alg"), QOPS[field("qop")], field("user"), field("realm"), field("pw"),
        field("nonce"), field("method"), field("uri"), field("cnonce"),
        int(vector.get("nc", "1"), 16), field("body")) == field("response")
    given = {"username": field("user"), "algorithm": field("alg"), **{
        name: field(name) for name in ("realm", "nonce", "uri", "response", "cnonce", "qop", "nc")}}
    assert digester.verify(given, field("method"), field("pw"), field("body"))


@pytest.mark.parametrize(("name", "kind", "session"), [
    (b"", "DIGEST_MD5", False), (b"MD5", "DIGEST_MD5", False), (b"md5", "DIGEST_MD5", False),
    (b"MD5-sess", "DIGEST_MD5", True), (b"SHA-256", "DIGEST_SHA256", False),
    (b"sha-256-SESS", "DIGEST_SHA256", True), (b"SHA-512-256", "DIGEST_SHA512_256", False),
    (b"SHA-512-256-sess", "DIGEST_SHA512_256", True),
])
def test_algorithm_names(name, kind, session):
    assert algorithm(name) == (DigestAlgorithm[kind], session)


@pytest.mark.parametrize("name", [b"-sess", b"AKAv1-MD5", b"MD5 ", b"SHA-512", b"MD", b"SHA-2560"])
def test_unknown_algorithm_names(name):
    assert algorithm(name)[0] == DigestAlgorithm.DIGEST_NONE


@pytest.mark.parametrize(("offered", "taken"), [
    (b"", "QOP_NONE"), (b"auth", "QOP_AUTH"), (b"auth-int", "QOP_AUTH_INT"),
    (b"auth-int,auth", "QOP_AUTH"), (b" auth-int , AUTH ", "QOP_AUTH"), (b"token", "QOP_NONE"),
    (b"token,auth-int,", "QOP_AUTH_INT"), (b",,", "QOP_NONE"), (b"auths", "QOP_NONE"),
])
def test_qop_choice(offered, taken):
    assert qop(offered) == DigestQop[taken]


def test_credentials_in_full():
    response = expected(b"MD5", b"auth", **ALICE, cnonce=b"0a4f113b", nc=1, body=b"")
    assert Digester().credentials(
        b"MD5", DigestQop.QOP_AUTH, **ALICE, cnonce=b"0a4f113b", opaque=b"5ccc"
    ) == (b'Digest username="alice", realm="example.com", '
          b'nonce="84f1c1ae6cbe5ua9c8e88dfa3ecm3459", uri="sip:bob@example.com", '
          b'response="' + response + b'", algorithm=MD5, cnonce="0a4f113b", qop=auth, '
          b'nc=00000001, opaque="5ccc"')


def test_credentials_leave_out_what_does_not_apply():
    text = Digester().credentials(b"", DigestQop.QOP_NONE, **ALICE, cnonce=b"unused")
    names = re.findall(rb"(\w+)=", text.removeprefix(b"Digest "))
    assert names == [b"username", b"realm", b"nonce", b"uri", b"response"]


def test_session_form_without_qop_still_says_cnonce():
    text = Digester().credentials(b"MD5-sess", DigestQop.QOP_NONE, **ALICE, cnonce=b"c1")
    assert b'algorithm=MD5-sess, cnonce="c1"' in text
    assert b"qop" not in text
    assert b"nc=" not in text


def test_strings_keep_their_backslashes():
    fields = {**ALICE, "username": rb"al\"ice\\", "realm": rb"a \"quoted\" realm"}
    text = Digester().credentials(b"MD5", DigestQop.QOP_NONE, **fields)
    assert rb'username="al\"ice\\", realm="a \"quoted\" realm", ' in text
    assert expected(b"MD5", b"", **fields, cnonce=b"", nc=1, body=b"") in text


def test_counter_is_hex():
    text = Digester().credentials(b"MD5", DigestQop.QOP_AUTH, **ALICE, cnonce=b"c", nc=0xABCDEF)
    assert text.endswith(b"nc=00abcdef")


def test_room():
    fields = {**ALICE, "cnonce": b"c1", "opaque": b"o"}
    text = Digester().credentials(b"SHA-256", DigestQop.QOP_AUTH_INT, **fields)
    for room in range(len(text)):
        assert Digester().credentials(
            b"SHA-256", DigestQop.QOP_AUTH_INT, **fields, room=room) is None
    assert Digester().credentials(
        b"SHA-256", DigestQop.QOP_AUTH_INT, **fields, room=len(text)) == text


def test_without_md5_the_others_work():
    digester = Digester()
    digester.forget(DigestAlgorithm.DIGEST_MD5)
    with pytest.raises(ValueError, match="MD5"):
        digester.response(b"MD5", DigestQop.QOP_NONE, **ALICE)
    assert digester.credentials(b"MD5", DigestQop.QOP_NONE, **ALICE) is None
    assert len(digester.response(b"SHA-256", DigestQop.QOP_NONE, **ALICE)) == 64


def parameters(text):
    """The parameters of credentials that this test made itself (no quotes inside)."""
    return {name.decode(): quoted or plain for name, quoted, plain in re.findall(
        rb'(\w+)=(?:"([^"]*)"|([^,]*))', text.removeprefix(b"Digest "))}


@pytest.mark.parametrize(("name", "protection"), list(itertools.product(NAMES, QOPS)))
def test_answer_of_the_one_side_fits_the_other(name, protection):
    digester = Digester()
    body = b"m=audio 9 RTP/AVP 0\r\n"
    right = parameters(digester.credentials(
        name, QOPS[protection], **ALICE, cnonce=b"c1", nc=0xA, body=body))
    method, password = ALICE["method"], ALICE["password"]
    assert digester.verify(right, method, password, body)
    assert not digester.verify(right, method, password + b"x", body)
    assert not digester.verify(right, b"BYE", password, body)
    assert digester.verify(right, method, password, b"") == (protection != b"auth-int")
    for field in right.keys() - {"algorithm", "qop", "nc"}:
        covered = field != "cnonce" or protection or name.endswith(b"-sess")
        changed = {**right, field: right[field] + b"0"}
        assert digester.verify(changed, method, password, body) != bool(covered)


@pytest.mark.parametrize("change", [
    {"scheme": b"Basic"}, {"algorithm": b"AKAv1-MD5"}, {"qop": b"auth,auth-int"},
    {"qop": b"token"}, {"nc": b""}, {"nc": b"1"}, {"nc": b"0000000g"}, {"nc": b"000000001"},
    {"response": b""}, {"qop": b""},
])
def test_malformed_credentials_are_refused(change):
    digester = Digester()
    right = parameters(digester.credentials(b"MD5", DigestQop.QOP_AUTH, **ALICE, cnonce=b"c1"))
    assert digester.verify(right, ALICE["method"], ALICE["password"])
    assert not digester.verify({**right, **change}, ALICE["method"], ALICE["password"])


def test_counter_is_hashed_as_it_was_written():
    fields = {**ALICE, "cnonce": b"c1"}
    ha1 = hashlib.md5(b":".join(fields[k] for k in ("username", "realm", "password"))).hexdigest()
    ha2 = hashlib.md5(fields["method"] + b":" + fields["uri"]).hexdigest()
    response = hashlib.md5(
        f"{ha1}:{fields['nonce'].decode()}:0000000A:c1:auth:{ha2}".encode()).hexdigest()
    given = {"username": fields["username"], "realm": fields["realm"], "nonce": fields["nonce"],
             "uri": fields["uri"], "cnonce": b"c1", "qop": b"auth", "nc": b"0000000A",
             "response": response.encode()}
    assert Digester().verify(given, fields["method"], fields["password"])


@given(secret=st.integers(0, 2**64 - 1), made=st.integers(0, 2**62),
       age=st.integers(0, 2**62 - 1))
def test_nonce_tells_its_age(secret, made, age):
    digester = Digester()
    nonce = digester.nonce(secret, made)
    assert re.fullmatch(rb"[0-9a-f]{32}", nonce)
    assert digester.nonce_age(secret, made + age, nonce) == age
    assert digester.nonce_age(secret, made - 1, nonce) == -1
    assert digester.nonce_age(secret ^ 1, made + age, nonce) == -1


@given(place=st.integers(0, 31), digit=st.sampled_from(b"0123456789abcdefABCDEFg\" "))
def test_changed_nonce_is_not_ours(place, digit):
    digester = Digester()
    nonce = bytearray(digester.nonce(99, 10**12))
    changed = nonce[place] != digit
    nonce[place] = digit
    assert (digester.nonce_age(99, 2**63 - 1, bytes(nonce)) == -1) == changed


@pytest.mark.parametrize("nonce", [b"", b"0" * 31, b"0" * 33, b"f" * 32])
def test_foreign_nonce(nonce):
    assert Digester().nonce_age(1, 2**62, nonce) == -1


@pytest.mark.parametrize(("name", "protection"), list(itertools.product(NAMES, QOPS)))
@pytest.mark.parametrize("upper", [False, True])
def test_a_hashed_password_is_as_good(name, protection, upper):
    kind = HASHES[name.removesuffix(b"-sess")]
    ha1 = hashlib.new(kind, b":".join(
        ALICE[one] for one in ("username", "realm", "password"))).hexdigest()
    secret = b"ha1:" + (ha1.upper() if upper else ha1).encode()
    fields = {**ALICE, "cnonce": b"c1", "nc": 3, "body": b"x"}
    assert Digester().response(name, QOPS[protection], **{**fields, "password": secret}) \
        == expected(name, protection, **fields)
    right = parameters(Digester().credentials(name, QOPS[protection], **fields))
    assert Digester().verify(right, ALICE["method"], secret, b"x")


@pytest.mark.parametrize("password", [b"ha1:", b"ha1:" + b"0" * 31, b"ha1:" + b"0" * 33,
                                      b"ha1:" + b"0" * 31 + b"g", b"HA1:" + b"0" * 32])
def test_what_only_looks_like_a_hashed_password_is_a_password(password):
    fields = {**ALICE, "password": password, "cnonce": b"", "nc": 1, "body": b""}
    assert Digester().response(b"MD5", DigestQop.QOP_NONE, **fields) == expected(
        b"MD5", b"", **fields)
