"""Datagrams waiting to be sent, grouped for UDP GSO."""

class OutboxDoor:
    """An outbox filled by hand; for tests.

    >>> box = OutboxDoor(group_max=2)
    >>> [box.commit(b"abc", b"127.0.0.1:5060") for _ in range(3)]
    [0, 0, 1]
    """

    def __init__(self, group_max: int = 32) -> None: ...
    def commit(
        self, data: bytes, peer: bytes, order: int | None = None, socket: int = 0
    ) -> int | None:
        """Append a message; returns the number of its group, None when the outbox is full.

        `order` (0 to 63) names a sender whose messages must stay in order. ValueError: no address,
        too long.
        """
    def groups(self) -> list[tuple[bytes, list[bytes]]]:
        """Return the groups in the order of sending: (peer, messages)."""
    def fill(self, rounds: int, senders: int, lengths: list[int], peers: int = 1) -> int:
        """Commit `rounds` messages without the GIL, clearing when full; returns the groups made.

        Senders (at most 64) take turns, each goes through `lengths` (at most 16). ValueError.
        """
    def clear(self) -> None:
        """Forget everything, as a flush does."""
    def set_epoch(self, epoch: int) -> None:
        """Go on as if so many flushes had been made."""
    @property
    def count(self) -> int: ...
    @property
    def group_max(self) -> int: ...
