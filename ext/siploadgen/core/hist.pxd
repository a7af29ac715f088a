# HDR histogram recording: bucket arithmetic identical to the hdrhistogram package's for 1 us to
# 1 h at 3 digits.
from libc.stdint cimport int64_t, uint32_t
from siploadgen.core.types cimport slg_clz64

cdef enum:
    HIST_LOWEST_US = 1
    HIST_HIGHEST_US = 3600000000
    HIST_DIGITS = 3
    HIST_SUB_BUCKETS = 2048         # per bucket; half of them are used from the second bucket on
    HIST_LENGTH = 23552             # counters in one histogram
    HIST_OVERFLOW = 23552           # index of one counter more: values above the highest
    HIST_STRIDE = 23553             # counters from one histogram to the next

cdef inline uint32_t hist_index(int64_t value_us) noexcept nogil:
    """Counter of a value in microseconds; below 0 counts as 0, above the highest as overflow."""
    # Without a branch that depends on the value, but for those that are too high: delays lie on
    # both sides of the end of the first bucket, and no processor can guess on which.
    cdef int64_t value = value_us if value_us > 0 else 0
    cdef int bucket = 53 - slg_clz64(<unsigned long long>(value | HIST_SUB_BUCKETS // 2))
    if value_us > HIST_HIGHEST_US:
        return HIST_OVERFLOW
    return <uint32_t>((bucket << 10) + (value >> bucket))

cdef inline void hist_record(int64_t* counts, int64_t value_us) noexcept nogil:
    counts[hist_index(value_us)] += 1
