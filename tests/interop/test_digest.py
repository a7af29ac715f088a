"""Digest with other people's software at both ends, and computed once more from a capture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.peers import (
    HERE,
    HOST,
    Capture,
    capture,
    free_port,
    kamailio,
    nothing_malformed,
    sipp_uac,
    tshark,
)
from tests.interop.tool import answering, calling, hang_up, nothing_lost

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

CALLS = 100
FIELDS = ("sip.Method", "sip.auth.username", "sip.auth.realm", "sip.auth.nonce", "sip.auth.uri",
          "sip.auth.digest.response", "sip.auth.algorithm", "sip.auth.cnonce", "sip.auth.qop",
          "sip.auth.nc", "udp.payload")
HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda octets: hashlib.md5(octets).hexdigest(),
    "SHA-256": lambda octets: hashlib.sha256(octets).hexdigest(),
    "SHA-512-256": lambda octets: hashlib.new("sha512_256", octets).hexdigest(),
}


def expected(password: str, method: str, user: str, realm: str, nonce: str, uri: str,
             algorithm: str, cnonce: str, qop: str, nc: str, body: bytes) -> str:
    """What RFC 7616 3.4.1 says, from the text of the RFC alone."""
    h = HASHES[algorithm.removesuffix("-sess") or "MD5"]

    def of(*parts: str) -> str:
        return h(":".join(parts).encode())

    a1 = of(user, realm, password)
    if algorithm.endswith("-sess"):
        a1 = of(a1, nonce, cnonce)
    a2 = of(method, uri, h(body)) if qop == "auth-int" else of(method, uri)
    return of(a1, nonce, nc, cnonce, qop, a2) if qop else of(a1, nonce, a2)


def proofs(taken: Capture, password: str) -> tuple[int, list[str]]:
    """How many requests carried credentials, and those whose proof is another one.

    The ACK for a 2xx has those of its INVITE (RFC 3261 22.1).
    """
    rows = tshark(taken.file, taken.ports, "-Y", "sip.auth.digest.response && sip.Method", "-T",
                  "fields", "-E", "occurrence=f", *(w for name in FIELDS for w in ("-e", name)))
    wrong = []
    invites = set()
    for row in rows.splitlines():
        method, user, realm, nonce, uri, response, algorithm, cnonce, qop, nc, octets = (
            cell.strip('"') for cell in row.split("\t"))
        body = bytes.fromhex(octets).partition(b"\r\n\r\n")[2]
        good = response in invites if method == "ACK" else response == expected(
            password, method, user, realm, nonce, uri, algorithm, cnonce, qop, nc, body)
        if method == "INVITE":
            invites.add(response)
        if not good:
            wrong.append(row)
    return len(rows.splitlines()), wrong


@pytest.mark.parametrize(("algorithm", "qop"), [
    ("md5", "auth"), ("sha-256", "auth-int"), ("sha-512-256-sess", "auth"), ("md5", "none")])
def test_our_proofs_are_those_of_the_rfc(tmp_path: Path, peers: dict[str, str], algorithm: str,
                                         qop: str) -> None:
    port = free_port()
    with answering(tmp_path, "--gso", "off", "--set", f"algorithm={algorithm}", "--set",
                   f"challenge_qop={qop}") as answerer:
        with (capture(tmp_path, port) as taken,
              calling(tmp_path, answerer.port, "--rate", "200/s", "--calls", str(CALLS), "--gso",
                      "off", "--local", f"{HOST}:{port}", "--set", "hold=0s", model="call-auth"
                      ) as tool):
            report = tool.finish(40)
        hang_up(answerer)
    nothing_lost(report, CALLS)
    count, wrong = proofs(taken, "secret")
    assert count >= 3 * CALLS                   # INVITE, its ACK and BYE
    assert not wrong
    assert not nothing_malformed(taken)


def test_sipp_answers_our_challenge(tmp_path: Path, peers: dict[str, str]) -> None:
    """With -au and -ap; it knows MD5 alone."""
    with answering(tmp_path, "--challenge", "md5", "--gso", "off") as tool:
        with (capture(tmp_path, tool.port) as taken,
              sipp_uac(tmp_path, tool.port, rate=100, calls=CALLS,
                       scenario=HERE / "sipp" / "caller-with-password.xml",
                       extra=("-au", "bob", "-ap", "secret")) as sipp):
            stats = sipp.wait(30)
        report = hang_up(tool)
    assert (stats.successful, stats.failed) == (CALLS, 0), sipp.log()
    assert report["messages"]["sent"]["401/INVITE"] == CALLS
    assert report["calls"]["failed"] == {}
    assert not nothing_malformed(taken)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_kamailio_checks_our_proofs(tmp_path: Path, peers: dict[str, str],
                                    algorithm: str) -> None:
    """Requests outside of calls too: a MESSAGE of each user through the guard."""
    with (answering(tmp_path) as answerer,
          kamailio(tmp_path, "guard", target=answerer.port, algorithm=algorithm, password="secret",
                   nonce_expire=300) as proxy):
        with calling(tmp_path, proxy, "--rate", "200/s", "--calls", str(CALLS), "--set",
                     "user=bob", "--set", "messages=2", model="message") as caller:
            report = caller.finish(40)
        answered = hang_up(answerer)
    nothing_lost(report, CALLS)
    received = report["messages"]["received"]
    assert (received["407/MESSAGE"], received["200/MESSAGE"]) == (CALLS, 2 * CALLS)
    assert answered["messages"]["received"]["MESSAGE"] == 2 * CALLS
