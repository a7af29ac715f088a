# Single-producer single-consumer ring of byte records: traces out of the engine, commands and schedules into it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef struct Ring:
    uint8_t* data
    uint64_t capacity           # bytes, a power of two
    uint64_t head               # written by the producer (release), read by the consumer (acquire)
    uint64_t tail               # written by the consumer (release), read by the producer (acquire)
    uint64_t dropped            # records that found no room; the producer's own word

cdef int ring_open(Ring* ring, uint64_t capacity) except -1
cdef void ring_close(Ring* ring) noexcept nogil
cdef bint ring_push(Ring* ring, const void* record, uint32_t length) noexcept nogil     # False: no room, counted
cdef int64_t ring_pop(Ring* ring, void* record, uint32_t room) noexcept nogil   # length, or -1 when empty
