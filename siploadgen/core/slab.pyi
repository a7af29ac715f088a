"""Fixed-size records with a free list and generations."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray

@final
class SlabTable:
    """A slab of records, for tests. `record_size` in bytes, a multiple of 8.

    Raises ValueError for sizes out of range and MemoryError, naming the bytes, when they cannot
    be reserved.
    """

    def __new__(cls, capacity: int, record_size: int) -> Self: ...
    def take(self) -> int | None:
        """Handle of a fresh record, or None when all are live."""
    def give(self, handle: int) -> None:
        """Free a live record; KeyError when the handle is stale."""
    def take_many(self, handles: NDArray[np.uint64]) -> None:
        """Fill the array with handles of fresh records; MemoryError when there are not so many."""
    def give_many(self, handles: NDArray[np.uint64]) -> None:
        """Free live records; KeyError when a handle is stale."""
    def ahead(self) -> None:
        """Get memory for twice as many records as were first used since the last time."""
    def read(self, handle: int) -> bytes | None:
        """Return the record's octets after its generation, or None when the handle is stale."""
    def write(self, handle: int, data: bytes) -> None:
        """Overwrite the octets after the generation; KeyError when stale, ValueError for length."""
    @property
    def used(self) -> int:
        """Live records."""
    @property
    def peak(self) -> int:
        """Most live records seen."""
    @property
    def exhausted(self) -> int:
        """Times that `take` found nothing."""
    def check(self) -> None:
        """Raise AssertionError naming the first broken invariant."""
