# The latest datagrams of an engine, sent and received, where raw messages of failed calls are found.
# New ones are written over the oldest. The engine's thread writes; any thread may read meanwhile.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from siploadgen.core.types cimport Nanos, Peer

cdef enum:
    TAPE_BLOCK = 131072         # octets that are given up together; more than any record has

cdef struct TapeRecord:         # 40 octets, followed by those of the datagram, padded to 8
    uint32_t length             # of the datagram; NONE: the next record begins the next block
    uint32_t sent               # 1: by us, 0: received
    Nanos when
    Peer peer
    uint32_t spare

# head and tail count octets ever written. No record crosses the end of a block. Before the writer
# enters a block, the tail moves past what that held: whatever a reader has copied from between a
# tail that it loads *afterwards* and a head that it loaded before is whole.
cdef struct Tape:
    uint8_t* data               # NULL: there is none
    uint64_t capacity           # octets, a power of two, at least two blocks
    uint64_t block              # octets, a power of two
    uint64_t dropped            # datagrams longer than a block
    uint64_t apart[4]
    uint64_t head               # the writer's, both (release)
    uint64_t tail

# ValueError: a size that is no power of two, or fewer than two blocks. The memory is touched here.
cdef int tape_open(Tape* tape, uint64_t capacity, uint64_t block) except -1
cdef void tape_close(Tape* tape) noexcept nogil
cdef void tape_write(Tape* tape, Nanos when, bint sent, const Peer* peer, const uint8_t* data,
                     uint32_t length) noexcept nogil
# What is on the tape of dialogs with these Call-IDs (bytes), from `since` on, in the order of time:
# tuples (number of the Call-ID, when, sent, octets of the Peer, datagram). From any thread.
cdef list tape_calls(Tape* tape, list call_ids, Nanos since)
