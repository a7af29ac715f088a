# Fixed-size records in one reserved mapping. A record's first uint32 is its generation: odd while
# the record is live, even while it is free, so a handle that carries the generation recognises a
# stale record at once. Memory is reserved at open and touched only as records are first used;
# nothing is allocated later. Under AddressSanitizer a free record must not be touched.
from siploadgen.core.memory cimport Ahead
from siploadgen.core.types cimport (
    Handle, NONE, handle_generation, handle_index, SLG_ASSERT, SLG_POISON, SLG_UNPOISON,
)
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

cdef struct Slab:
    uint8_t* base
    uint32_t record_size    # bytes, a multiple of 8
    uint32_t capacity
    uint32_t used           # live records
    uint32_t high           # records below this index have been used at least once
    uint32_t free_head      # most recently freed (hot in cache), NONE when empty
    uint32_t peak           # most live records seen
    uint64_t exhausted      # times that slab_take found nothing
    Ahead ahead             # slab_ahead's own

cdef struct SlabHead:       # how every record begins
    uint32_t generation
    uint32_t next_free      # while free; the owner's word while live

cdef int slab_open(Slab* slab, uint32_t capacity, uint32_t record_size) except -1
# Backs the first `records` with memory, before any is taken.
cdef void slab_ready(Slab* slab, uint32_t records) noexcept nogil
# memory_ahead of its records.
cdef void slab_ahead(Slab* slab) noexcept nogil
cdef void slab_close(Slab* slab) noexcept nogil
# Walks everything; raises AssertionError naming the broken rule
cdef int slab_check(Slab* slab) except -1

cdef inline void* slab_at(Slab* slab, uint32_t index) noexcept nogil:
    SLG_ASSERT(index < slab.capacity)
    return slab.base + <uint64_t>index * slab.record_size

cdef inline uint32_t slab_take(Slab* slab) noexcept nogil:
    """Index of a record whose bytes after the generation are zero; NONE when all are live."""
    cdef uint32_t index = slab.free_head
    cdef SlabHead* head
    if index != NONE:
        head = <SlabHead*>slab_at(slab, index)
        slab.free_head = head.next_free
        SLG_UNPOISON(head, slab.record_size)
        memset(<uint8_t*>head + 4, 0, slab.record_size - 4)
    elif slab.high < slab.capacity:
        index = slab.high
        slab.high += 1
        head = <SlabHead*>slab_at(slab, index)
    else:
        slab.exhausted += 1
        return NONE
    head.generation += 1
    SLG_ASSERT(head.generation & 1)
    slab.used += 1
    if slab.used > slab.peak:
        slab.peak = slab.used
    return index

cdef inline void slab_give(Slab* slab, uint32_t index) noexcept nogil:
    cdef SlabHead* head = <SlabHead*>slab_at(slab, index)
    SLG_ASSERT(head.generation & 1)
    head.generation += 1
    head.next_free = slab.free_head
    SLG_POISON(<uint8_t*>head + 8, slab.record_size - 8)
    slab.free_head = index
    slab.used -= 1

cdef inline void* slab_get(Slab* slab, Handle handle) noexcept nogil:
    """The live record that the handle was minted for, or NULL."""
    cdef uint32_t index = handle_index(handle)
    cdef SlabHead* head
    if index >= slab.high:
        return NULL
    head = <SlabHead*>(slab.base + <uint64_t>index * slab.record_size)
    if head.generation != handle_generation(handle) or not head.generation & 1:
        return NULL
    return head
