# Single-producer single-consumer ring of byte records: traces out of the engine, commands and
# schedules into it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# The producer's words and the consumer's each have a cache line to themselves. head and tail count
# octets ever pushed and popped; each is stored with release by its side and loaded with acquire by
# the other.
cdef struct Ring:
    uint8_t* data
    uint64_t capacity           # bytes, a power of two
    uint64_t apart[6]
    uint64_t head               # the producer's
    uint64_t seen_tail          # the tail as the producer last read it
    uint64_t dropped            # records that found no room; the producer's own word
    uint64_t apart2[5]
    uint64_t tail               # the consumer's
    uint64_t seen_head          # the head as the consumer last read it

cdef int ring_open(Ring* ring, uint64_t capacity) except -1
cdef void ring_close(Ring* ring) noexcept nogil
# False: no room, counted
cdef bint ring_push(Ring* ring, const void* record, uint32_t length) noexcept nogil
# Length of the oldest record, or -1 when empty. Of one longer than room only the start is copied.
cdef int64_t ring_pop(Ring* ring, void* record, uint32_t room) noexcept nogil
