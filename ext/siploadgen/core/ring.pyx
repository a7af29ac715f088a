"""Single-producer single-consumer ring of byte records: see ring.pxd.

A record is its length (uint32) and its octets, padded to 8, so a length never straddles the end
of the buffer.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from siploadgen.core.atomic cimport slg_load_acquire, slg_store_release
from siploadgen.core.memory cimport memory_release, memory_reserve
from siploadgen.core.types cimport SLG_ASSERT

cdef enum:
    HEAD_SIZE = 4


cdef inline uint64_t footprint(uint32_t length) noexcept nogil:
    return (<uint64_t>length + HEAD_SIZE + 7) & ~<uint64_t>7


cdef inline uint64_t first_part(Ring* ring, uint64_t at, uint32_t length) noexcept nogil:
    """Octets from `at` to the end of the buffer, at most `length`."""
    cdef uint64_t straight = ring.capacity - at
    return straight if straight < length else length


cdef bint ring_push(Ring* ring, const void* record, uint32_t length) noexcept nogil:
    cdef uint64_t need = footprint(length)
    cdef uint64_t mask = ring.capacity - 1
    cdef uint64_t at, part
    if ring.capacity - (ring.head - ring.seen_tail) < need:
        ring.seen_tail = slg_load_acquire(&ring.tail)
        if ring.capacity - (ring.head - ring.seen_tail) < need:
            ring.dropped += 1
            return False
    memcpy(ring.data + (ring.head & mask), &length, HEAD_SIZE)
    at = (ring.head + HEAD_SIZE) & mask
    part = first_part(ring, at, length)
    if length:
        memcpy(ring.data + at, record, part)
        memcpy(ring.data, <const uint8_t*>record + part, length - part)
    slg_store_release(&ring.head, ring.head + need)
    return True


cdef int64_t ring_pop(Ring* ring, void* record, uint32_t room) noexcept nogil:
    cdef uint64_t mask = ring.capacity - 1
    cdef uint64_t at, part
    cdef uint32_t length, copied
    if ring.seen_head == ring.tail:
        ring.seen_head = slg_load_acquire(&ring.head)
        if ring.seen_head == ring.tail:
            return -1
    memcpy(&length, ring.data + (ring.tail & mask), HEAD_SIZE)
    SLG_ASSERT(footprint(length) <= ring.seen_head - ring.tail)
    copied = length if length < room else room
    at = (ring.tail + HEAD_SIZE) & mask
    part = first_part(ring, at, copied)
    if copied:
        memcpy(record, ring.data + at, part)
        memcpy(<uint8_t*>record + part, ring.data, copied - part)
    slg_store_release(&ring.tail, ring.tail + footprint(length))
    return length


cdef int ring_open(Ring* ring, uint64_t capacity) except -1:
    ring.data = NULL
    if capacity < 8 or capacity & (capacity - 1):
        raise ValueError(f"{capacity} bytes: not a power of two from 8 on")
    ring.data = <uint8_t*>memory_reserve(capacity)
    ring.capacity = capacity
    ring.head = 0
    ring.seen_tail = 0
    ring.dropped = 0
    ring.tail = 0
    ring.seen_head = 0
    return 0


cdef void ring_close(Ring* ring) noexcept nogil:
    memory_release(ring.data, ring.capacity)
    ring.data = NULL


cdef int ring_check(Ring* ring) except -1:
    """Only while neither side is at work."""
    cdef uint64_t at = ring.tail
    cdef uint32_t length
    assert ring.head - ring.tail <= ring.capacity, "no more is held than fits"
    assert ring.seen_tail <= ring.tail, "the producer has not seen a later tail"
    assert ring.seen_head <= ring.head, "the consumer has not seen a later head"
    while at != ring.head:
        memcpy(&length, ring.data + (at & (ring.capacity - 1)), HEAD_SIZE)
        at += footprint(length)
        assert ring.head - at <= ring.capacity, "records end where the next begins"
    return 0


@cython.final
cdef class ByteRing:
    """A ring of byte records between two threads, for tests and traces."""

    cdef Ring ring

    def __cinit__(self, uint64_t capacity):
        ring_open(&self.ring, capacity)

    def __dealloc__(self):
        ring_close(&self.ring)

    def push(self, bytes record not None):
        """Append a record (one thread only); False when it finds no room."""
        cdef const uint8_t* data = record
        cdef uint32_t length = <uint32_t>len(record)
        cdef bint done
        with nogil:
            done = ring_push(&self.ring, data, length)
        return done

    def pop(self, uint32_t room=65536):
        """Take the oldest record (one thread only), cut to `room` octets; None when empty."""
        cdef bytearray record = bytearray(room)
        cdef uint8_t* data = record
        cdef int64_t length
        with nogil:
            length = ring_pop(&self.ring, data, room)
        return None if length < 0 else bytes(record[:length])

    @property
    def dropped(self):
        """Records that found no room."""
        return self.ring.dropped

    def check(self):
        """Raise AssertionError naming the first broken invariant; only while no thread works."""
        ring_check(&self.ring)
