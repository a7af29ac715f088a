"""A ring of datagrams that overwrites its oldest, between an engine and whoever reads it."""

from typing import Self, final

@final
class TapeDoor:
    """A tape written by hand. `capacity` and `block` in octets.

    A record has 40 octets and those of its datagram, padded to 8; records of one block are given up
    together. Raises ValueError for sizes that are no powers of two or fewer than two blocks.
    """

    def __new__(cls, capacity: int, block: int = 131072) -> Self: ...
    def write(self, when: int, sent: bool, peer: bytes, data: bytes) -> None:
        """Keep a datagram (one thread only); `peer` is `host:port`, `when` ns."""
    def read(self) -> list[tuple[int, bool, bytes, bytes]]:
        """All that is kept, oldest first: (when, sent, peer, octets). From any thread."""
    def calls(
        self, call_ids: list[bytes], since: int = -(2**63)
    ) -> list[tuple[int, int, bool, bytes]]:
        """Those with one of the Call-IDs, by time: (number of the Call-ID, when, sent, octets)."""
    @property
    def dropped(self) -> int:
        """Datagrams that no block has room for."""
