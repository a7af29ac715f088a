"""Kept octets in six slabs by size (see texts.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from siploadgen.core.slab cimport slab_close, slab_open, slab_take
from siploadgen.core.types cimport INDEX_MAX, NONE

cdef uint32_t[6] SIZES
SIZES[:] = [128, 256, 512, 1024, 2048, 8192]


cdef int texts_open(Texts* texts, uint32_t records) except -1:
    cdef uint64_t count
    cdef int kind
    memset(texts, 0, sizeof(Texts))
    # A call may keep several short texts, and each of its changing messages until it is done with.
    for kind in range(TEXT_CLASSES):
        count = <uint64_t>records * (4 if kind == 0 else 2)
        if kind > 3:
            count = max(records // 8, <uint32_t>64)
        if count > INDEX_MAX:
            count = INDEX_MAX
        slab_open(&texts.slabs[kind], <uint32_t>count, SIZES[kind])
    return 0


cdef void texts_close(Texts* texts) noexcept nogil:
    cdef int kind
    for kind in range(TEXT_CLASSES):
        slab_close(&texts.slabs[kind])


cdef uint32_t text_take(Texts* texts, uint32_t length) noexcept nogil:
    cdef uint32_t kind = 0
    cdef uint32_t index
    while kind < TEXT_CLASSES and SIZES[kind] - sizeof(TextHead) < length:
        kind += 1
    if kind == TEXT_CLASSES:
        return NONE
    index = slab_take(&texts.slabs[kind])
    if index == NONE:
        return NONE
    index |= kind << TEXT_INDEX_BITS
    text_head(texts, index).length = length
    return index
