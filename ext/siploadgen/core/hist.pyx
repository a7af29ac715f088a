"""Histogram recording: see hist.pxd."""

cimport cython
from libc.stdint cimport int64_t

LENGTH = HIST_LENGTH            # the layout, for Python: see hist.pxd
OVERFLOW = HIST_OVERFLOW
STRIDE = HIST_STRIDE
LOWEST_US = HIST_LOWEST_US
HIGHEST_US = <int64_t>HIST_HIGHEST_US
DIGITS = HIST_DIGITS
SUB_BUCKETS = HIST_SUB_BUCKETS


def index(int64_t value_us):
    """Counter of a value in microseconds."""
    return hist_index(value_us)


@cython.final
cdef class Histogram:
    """One histogram over a caller's int64 array of HIST_STRIDE counters, for tests."""

    cdef int64_t[::1] counts

    def __cinit__(self, int64_t[::1] counts not None):
        if counts.shape[0] != HIST_STRIDE:
            raise ValueError(f"{counts.shape[0]} counters: not {HIST_STRIDE}")
        self.counts = counts

    def record(self, const int64_t[::1] values_us not None):
        """Count every value (microseconds)."""
        cdef Py_ssize_t i
        cdef int64_t* counts = &self.counts[0]
        with nogil:
            for i in range(values_us.shape[0]):
                hist_record(counts, values_us[i])
