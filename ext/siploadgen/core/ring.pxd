# Single-producer single-consumer ring of byte records: traces out of the engine, commands and schedules into it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef struct Ring:               # the producer's words and the consumer's each have a cache line to themselves
    uint8_t* data
    uint64_t capacity           # bytes, a power of two
    uint64_t apart[6]
    uint64_t head               # octets ever pushed; written by the producer (release), read by the consumer (acquire)
    uint64_t seen_tail          # the tail as the producer last read it
    uint64_t dropped            # records that found no room; the producer's own word
    uint64_t apart2[5]
    uint64_t tail               # octets ever popped; written by the consumer (release), read by the producer (acquire)
    uint64_t seen_head          # the head as the consumer last read it

cdef int ring_open(Ring* ring, uint64_t capacity) except -1
cdef void ring_close(Ring* ring) noexcept nogil
cdef bint ring_push(Ring* ring, const void* record, uint32_t length) noexcept nogil     # False: no room, counted
cdef int64_t ring_pop(Ring* ring, void* record, uint32_t room) noexcept nogil   # length, or -1 when empty; a record longer
                                                                                # than room is cut, its length is not
