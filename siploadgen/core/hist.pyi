"""Histogram recording: HDR buckets for 1 us to 1 h at three digits."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray

LENGTH: int  # counters of one histogram
OVERFLOW: int  # index of one counter more: values above the highest
STRIDE: int  # counters from one histogram to the next
LOWEST_US: int
HIGHEST_US: int
DIGITS: int
SUB_BUCKETS: int  # in a bucket; half of them are used from the second bucket on

def index(value_us: int) -> int:
    """Counter of a value in microseconds."""

@final
class Histogram:
    """One histogram over a caller's int64 array of STRIDE counters, for tests.

    Raises ValueError for an array of another length.
    """

    def __new__(cls, counts: NDArray[np.int64]) -> Self: ...
    def record(self, values_us: NDArray[np.int64]) -> None:
        """Count every value (microseconds)."""
