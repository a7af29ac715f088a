"""Timing wheel over node numbers."""

from typing import Self, final

@final
class TimerWheel:
    """A timing wheel over the nodes 0 .. capacity - 1, for tests. Times are int64 nanoseconds.

    Raises ValueError for a capacity out of range and MemoryError, naming the bytes, when they
    cannot be reserved; methods raise IndexError for an unknown node.
    """

    def __new__(cls, capacity: int, now: int = 0) -> Self: ...
    def add(self, node: int, when: int) -> None:
        """Arm or move a node."""
    def add_behind(self, node: int, when: int, queue: int) -> None:
        """Arm or move a node by one of 8 queues: behind its last node, else as `add` does."""
    def delete(self, node: int) -> None:
        """Disarm a node."""
    def pop(self, now: int) -> int | None:
        """Disarm and return a node that is due at `now`, or None."""
    def next(self) -> int | None:
        """When to pop again, or None when nothing is armed."""
    def when(self, node: int) -> int | None:
        """When a node is due, or None when it is not armed."""
    @property
    def armed(self) -> int:
        """Armed nodes."""
    def check(self) -> None:
        """Raise AssertionError naming the first broken invariant."""
