"""Digest access authentication (RFC 2617, 7616, 8760)."""

from enum import IntEnum
from typing import Self, final

class DigestAlgorithm(IntEnum):
    """A hash that challenges name."""

    DIGEST_NONE = 0
    DIGEST_MD5 = 1
    DIGEST_SHA256 = 2
    DIGEST_SHA512_256 = 3

class DigestQop(IntEnum):
    """Quality of protection: what the response covers."""

    QOP_NONE = 0
    QOP_AUTH = 1
    QOP_AUTH_INT = 2

def algorithm(name: bytes) -> tuple[DigestAlgorithm, bool]:
    """DigestAlgorithm of a challenge's algorithm parameter and whether it is a -sess form."""

def qop(offered: bytes) -> DigestQop:
    """DigestQop that we take of a challenge's list."""

@final
class Digester:
    """The hashes of one engine, for tests. All texts are bytes."""

    def __new__(cls) -> Self: ...
    def forget(self, kind: DigestAlgorithm) -> None:
        """Do without one algorithm from now on, as under a FIPS policy."""
    def response(
        self,
        algorithm: bytes,
        qop: int,
        username: bytes,
        realm: bytes,
        password: bytes,
        nonce: bytes,
        method: bytes,
        uri: bytes,
        cnonce: bytes = b"",
        nc: int = 1,
        body: bytes = b"",
    ) -> bytes:
        """Return the response parameter (RFC 7616 3.4.1); ValueError when it cannot be computed."""
    def credentials(
        self,
        algorithm: bytes,
        qop: int,
        username: bytes,
        realm: bytes,
        password: bytes,
        nonce: bytes,
        method: bytes,
        uri: bytes,
        cnonce: bytes = b"",
        nc: int = 1,
        body: bytes = b"",
        opaque: bytes = b"",
        room: int = 1024,
    ) -> bytes | None:
        """Return the value of an Authorization header; None when `room` octets are not enough."""
    def verify(
        self, credentials: dict[str, bytes], method: bytes, password: bytes, body: bytes = b""
    ) -> bool:
        """Whether the response fits; `credentials` holds the parameters by name."""
    def nonce(self, secret: int, now: int) -> bytes:
        """Return a nonce of ours, made at `now` (ns)."""
    def nonce_age(self, secret: int, now: int, nonce: bytes) -> int:
        """Age of a nonce of ours in ns; -1 when it is not."""
