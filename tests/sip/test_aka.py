"""Milenage against the test sets of 3GPP TS 35.208, and the nonces of RFC 3310."""

import base64
import hashlib

import pytest

from siploadgen.core.sip.aka import SimCard
from siploadgen.core.sip.digest import Digester, DigestQop

# TS 35.208 4.3: K, RAND, SQN, AMF, OP, OPc, f1, f2, f5
SETS = [tuple(map(bytes.fromhex, line.split())) for line in """\
465b5ce8b199b49faa5f0a2ee238a6bc 23553cbe9637a89d218ae64dae47bf35 ff9bb4d0b607 b9b9 \
cdc202d5123e20f62b6d676ac72cb318 cd63cb71954a9f4e48a5994e37a02baf 4a9ffac354dfafb3 \
a54211d5e3ba50bf aa689c648370
0396eb317b6d1c36f19c1c84cd6ffd16 c00d603103dcee52c4478119494202e8 fd8eef40df7d af17 \
ff53bade17df5d4e793073ce9d7579fa 53c15671c60a4b731c55b4a441c0bde2 5df5b31807e258b0 \
d3a628ed988620f0 c47783995f72
fec86ba6eb707ed08905757b1bb44b8f 9f7c8d021accf4db213ccff0c7f71a6a 9d0277595ffc 725c \
dbc59adcb6f9a0ef735477b7fadf8374 1006020f0a478bf6b699f15c062e42b3 9cabc3e99baf7281 \
8011c48c0c214ed2 33484dc2136b
9e5944aea94b81165c82fbf9f32db751 ce83dbc54ac0274a157c17f80d017bd6 0b604a81eca8 9e09 \
223014c5806694c007ca1eeef57f004f a64a507ae1a2a98bb88eb4210135dc87 74a58220cba84c49 \
f365cd683cd92e96 f0b9c08ad02e
4ab1deb05ca6ceb051fc98e77d026a84 74b0cd6031a1c8339b2b6ce2b8c4a186 e880a1b580b6 9f07 \
2d16c5cd1fdf6b22383584e3bef2a8d8 dcf07cbd51855290b92a07a9891e523e 49e785dd12626ef2 \
5860fc1bce351e7e 31e11a609118
""".replace(" \\\n", " ").splitlines()]


def nonce_of(rand, sqn, amf, mac, ak, more=b""):
    hidden = bytes(a ^ b for a, b in zip(sqn, ak, strict=True))
    return base64.b64encode(rand + hidden + amf + mac + more)


@pytest.mark.parametrize("values", SETS)
def test_the_published_sets(values):
    k, rand, sqn, amf, op, opc, mac, res, ak = values
    for name, value in (("op", op), ("opc", opc)):
        card = SimCard(f"aka:k={k.hex()},{name}={value.hex().upper()}".encode())
        assert card.milenage(rand, sqn, amf) == (mac, res, ak)
        assert card.answer(nonce_of(rand, sqn, amf, mac, ak)) == res
        assert card.answer(nonce_of(rand, sqn, amf, mac, ak, b"the server's own")) == res
        assert card.answer(nonce_of(rand, sqn, amf, mac, ak).rstrip(b"=")) == res


# f1* and f5* of the same sets (TS 35.207)
RESYNCS = [tuple(map(bytes.fromhex, line.split())) for line in """\
01cfaf9ec4e871e9 451e8beca43b
a8c016e51ef4a343 30f1197061c1
95814ba2b3044324 deacdd848cc6
ac2cc74a96871837 6085a86c6f63
9e85790336bb3fa2 fe2555e54aa9
""".splitlines()]


@pytest.mark.parametrize(("values", "star"), list(zip(SETS, RESYNCS, strict=True)))
def test_a_sequence_number_that_is_not_fresh_is_told_by_auts(values, star):
    """RFC 3310 3.4; TS 33.102 6.3.3: AUTS is SQN of the card, hidden by f5*, and f1* of it."""
    k, rand, sqn, amf, _, opc, mac, res, ak = values
    secret = f"aka:k={k.hex()},opc={opc.hex()}"
    assert SimCard(secret.encode()).resync(rand, sqn, amf) == star
    nonce = nonce_of(rand, sqn, amf, mac, ak)
    number = int.from_bytes(sqn, "big")
    for taken in (number, number + 1, 2**48 - 1):
        card = SimCard(f"{secret},sqn={taken:012X}".encode())
        told = taken.to_bytes(6, "big")
        proof, hidden = card.resync(rand, told, b"\0\0")
        assert card.answer(nonce) == bytes(
            a ^ b for a, b in zip(told, hidden, strict=True)) + proof
    assert SimCard(f"{secret},sqn={number - 1:012x}".encode()).answer(nonce) == res


def test_a_challenge_that_is_not_the_networks_is_not_answered():
    k, rand, sqn, amf, _, opc, mac, _, ak = SETS[0]
    secret = f"aka:k={k.hex()},opc={opc.hex()}".encode()
    good = bytearray(base64.b64decode(nonce_of(rand, sqn, amf, mac, ak)))
    assert SimCard(secret).answer(base64.b64encode(good)) is not None
    for place in range(32):
        changed = bytearray(good)
        changed[place] ^= 1
        assert SimCard(secret).answer(base64.b64encode(changed)) is None
    assert SimCard(secret + b",amf=B9b9").answer(base64.b64encode(good)) is not None
    assert SimCard(secret + b",amf=b9b8").answer(base64.b64encode(good)) is None


@pytest.mark.parametrize("nonce", [b"", b"A" * 42, b"*" * 44, b"dcd98b7102dd2f0e8b11d0f600bfb"])
def test_a_nonce_that_is_no_challenge(nonce):
    assert SimCard(b"aka:k=" + b"0" * 32 + b",op=" + b"0" * 32).answer(nonce) is None


@pytest.mark.parametrize("secret", [
    b"secret", b"aka:", b"aka:k=00", b"aka:k=" + b"0" * 32, b"aka:op=" + b"0" * 32,
    b"aka:k=" + b"0" * 31 + b"g,op=" + b"0" * 32, b"aka:k=" + b"0" * 32 + b",op=" + b"0" * 34,
    b"aka:k=" + b"0" * 32 + b",op=" + b"0" * 32 + b",opc=" + b"0" * 32,
    b"aka:k=" + b"0" * 32 + b",op=" + b"0" * 32 + b",sqn=0",
    b"aka:k=" + b"0" * 32 + b",op=" + b"0" * 32 + b",rand=0"])
def test_a_broken_secret(secret):
    with pytest.raises(ValueError, match="broken"):
        SimCard(secret).milenage(b"0" * 16, b"0" * 6, b"00")
    assert SimCard(secret).answer(base64.b64encode(b"0" * 32)) is None


def test_the_digest_takes_the_binary_answer_as_its_password():
    """RFC 3310 3.3."""
    res = SETS[0][7]
    fields = {"username": b"u", "realm": b"r", "nonce": b"n", "method": b"REGISTER",
              "uri": b"sip:r"}
    ha1 = hashlib.md5(b"u:r:" + res).hexdigest()
    ha2 = hashlib.md5(b"REGISTER:sip:r").hexdigest()
    assert Digester().response(b"MD5", DigestQop.QOP_NONE, password=res, **fields) \
        == hashlib.md5(f"{ha1}:n:{ha2}".encode()).hexdigest().encode()
