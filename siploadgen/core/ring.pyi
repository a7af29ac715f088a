"""Single-producer single-consumer ring of byte records."""

from typing import Self, final

@final
class ByteRing:
    """A ring of byte records between two threads. `capacity` in bytes, a power of two.

    Raises ValueError for another capacity and MemoryError, naming the bytes, when they cannot
    be reserved.
    """

    def __new__(cls, capacity: int) -> Self: ...
    def push(self, record: bytes) -> bool:
        """Append a record (one thread only); False when it finds no room."""
    def pop(self, room: int = 65536) -> bytes | None:
        """Take the oldest record (one thread only), cut to `room` octets; None when empty."""
    @property
    def dropped(self) -> int:
        """Records that found no room."""
    def check(self) -> None:
        """Raise AssertionError naming the first broken invariant.

        Only while no thread is at work.
        """
