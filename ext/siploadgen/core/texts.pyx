"""Kept octets in six slabs by size (see texts.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from siploadgen.core.slab cimport slab_ahead, slab_close, slab_open, slab_ready, slab_take
from siploadgen.core.types cimport INDEX_MAX, NONE

cdef enum:
    READY_MOST = 4096
    SMALL_CLASSES = 3           # one of these for each record; seldom anything longer

cdef uint32_t[6] SIZES
SIZES[:] = [128, 256, 512, 1024, 2048, 8192]


cdef int texts_open(Texts* texts, uint32_t records) except -1:
    cdef int kind
    memset(texts, 0, sizeof(Texts))
    # A call may keep several short texts, and each of its changing messages until it is done with.
    for kind in range(TEXT_CLASSES):
        # 256 also serves what finished transactions remember of their message.
        slab_open(&texts.slabs[kind],
                  min(<uint64_t>records * (4 if kind < 2 else 2), <uint64_t>INDEX_MAX)
                  if kind <= <int>SMALL_CLASSES else max(records // 8, 64), SIZES[kind])
    return 0


cdef void texts_ready(Texts* texts, uint32_t records) noexcept nogil:
    cdef int kind
    for kind in range(<int>SMALL_CLASSES):
        # A call uses one class of the three, and which one shows only later.
        slab_ready(&texts.slabs[kind], min(records, READY_MOST))


cdef void texts_ahead(Texts* texts) noexcept nogil:
    cdef int kind
    for kind in range(TEXT_CLASSES):
        slab_ahead(&texts.slabs[kind])


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
