"""Fixed-size records with a free list and generations: see slab.pxd."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siploadgen.core.memory cimport (
    memory_ahead, memory_ready, memory_release, memory_reserve,
)
from siploadgen.core.types cimport INDEX_MAX, NONE, Handle, handle_make, SLG_ASSERT, SLG_UNPOISON


cdef int slab_open(Slab* slab, uint32_t capacity, uint32_t record_size) except -1:
    slab.base = NULL
    if record_size < sizeof(SlabHead) or record_size % 8:
        raise ValueError(f"record size {record_size}: not a multiple of 8 from 8 on")
    if capacity < 1 or capacity > INDEX_MAX:
        raise ValueError(f"{capacity} records: not from 1 to {INDEX_MAX}")
    slab.base = <uint8_t*>memory_reserve(<uint64_t>capacity * record_size)
    slab.record_size = record_size
    slab.capacity = capacity
    slab.used = 0
    slab.high = 0
    slab.free_head = NONE
    slab.peak = 0
    slab.exhausted = 0
    slab.ahead.backed = 0
    slab.ahead.seen = 0
    return 0


cdef void slab_ready(Slab* slab, uint32_t records) noexcept nogil:
    SLG_ASSERT(slab.high == 0)
    slab.ahead.backed = <uint64_t>min(records, slab.capacity) * slab.record_size
    memory_ready(slab.base, slab.ahead.backed)


cdef void slab_ahead(Slab* slab) noexcept nogil:
    memory_ahead(&slab.ahead, slab.base, slab.record_size, 0, slab.high, slab.capacity)


cdef void slab_close(Slab* slab) noexcept nogil:
    SLG_UNPOISON(slab.base, <uint64_t>slab.high * slab.record_size)     # others will map it
    memory_release(slab.base, <uint64_t>slab.capacity * slab.record_size)
    slab.base = NULL
    slab.capacity = 0
    slab.used = 0
    slab.high = 0
    slab.free_head = NONE


cdef int slab_check(Slab* slab) except -1:
    cdef uint32_t index, live = 0, free = 0
    cdef SlabHead* head
    assert slab.used <= slab.high <= slab.capacity, "used <= high <= capacity"
    assert slab.used <= slab.peak <= slab.high, "used <= peak <= high"
    for index in range(slab.high):
        live += (<SlabHead*>slab_at(slab, index)).generation & 1
    assert live == slab.used, "every record with an odd generation is counted as used"
    index = slab.free_head
    while index != NONE:
        assert index < slab.high, "free records have been used before"
        head = <SlabHead*>slab_at(slab, index)
        assert not head.generation & 1, "free records have an even generation"
        free += 1
        assert free <= slab.high - slab.used, "the free list holds every free record once"
        index = head.next_free
    assert free == slab.high - slab.used, "the free list holds every free record"
    if slab.high < slab.capacity:
        head = <SlabHead*>slab_at(slab, slab.high)
        assert head.generation == 0, "records from high on are untouched"
    return 0


@cython.final
cdef class SlabTable:
    """A slab of records, for tests."""

    cdef Slab slab

    def __cinit__(self, uint32_t capacity, uint32_t record_size):
        slab_open(&self.slab, capacity, record_size)

    def __dealloc__(self):
        slab_close(&self.slab)

    def take(self):
        """Handle of a fresh record, or None when all are live."""
        cdef uint32_t index = slab_take(&self.slab)
        if index == NONE:
            return None
        return handle_make((<SlabHead*>slab_at(&self.slab, index)).generation, 0, index)

    def give(self, Handle handle):
        """Free a live record; KeyError when the handle is stale."""
        if slab_get(&self.slab, handle) == NULL:
            raise KeyError(handle)
        slab_give(&self.slab, handle_index(handle))

    def take_many(self, Handle[::1] handles not None):
        """Fill the array with handles of fresh records; MemoryError when there are not so many."""
        cdef uint32_t index
        for n in range(handles.shape[0]):
            index = slab_take(&self.slab)
            if index == NONE:
                raise MemoryError(f"{n} records were left")
            handles[n] = handle_make((<SlabHead*>slab_at(&self.slab, index)).generation, 0, index)

    def give_many(self, const Handle[:] handles not None):
        """Free live records; KeyError when a handle is stale."""
        for n in range(handles.shape[0]):
            if slab_get(&self.slab, handles[n]) == NULL:
                raise KeyError(handles[n])
            slab_give(&self.slab, handle_index(handles[n]))

    def ahead(self):
        """Get memory for twice as many records as were first used since the last time."""
        slab_ahead(&self.slab)

    def read(self, Handle handle):
        """Return the record's octets after its generation, or None when the handle is stale."""
        cdef uint8_t* record = <uint8_t*>slab_get(&self.slab, handle)
        if record == NULL:
            return None
        return record[4:self.slab.record_size]

    def write(self, Handle handle, bytes data not None):
        """Overwrite the octets after the generation; KeyError when stale, ValueError for length."""
        cdef uint8_t* record = <uint8_t*>slab_get(&self.slab, handle)
        if record == NULL:
            raise KeyError(handle)
        if len(data) != self.slab.record_size - 4:
            raise ValueError(f"{len(data)} octets: not {self.slab.record_size - 4}")
        memcpy(record + 4, <const uint8_t*>data, self.slab.record_size - 4)

    @property
    def used(self):
        """Live records."""
        return self.slab.used

    @property
    def peak(self):
        """Most live records seen."""
        return self.slab.peak

    @property
    def exhausted(self):
        """Times that `take` found nothing."""
        return self.slab.exhausted

    def check(self):
        """Raise AssertionError naming the first broken invariant."""
        slab_check(&self.slab)
