"""AKAv1-MD5 (RFC 3310) with Milenage (3GPP TS 35.206)."""

from typing import Self, final

@final
class SimCard:
    """One secret and the answers to challenges, for tests."""

    def __new__(cls, secret: bytes) -> Self: ...
    def milenage(self, rand: bytes, sqn: bytes, amf: bytes) -> tuple[bytes, bytes, bytes]:
        """Return MAC (f1), RES (f2) and AK (f5); ValueError for a broken secret or lengths."""
    def resync(self, rand: bytes, sqn: bytes, amf: bytes) -> tuple[bytes, bytes]:
        """Return MAC-S (f1*) and AK (f5*); ValueError for a broken secret or lengths."""
    def answer(self, nonce: bytes) -> bytes | None:
        """RES for a nonce, or AUTS; None when it cannot be answered."""
