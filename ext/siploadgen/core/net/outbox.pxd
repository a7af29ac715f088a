# Datagrams waiting to be sent, grouped for UDP GSO by peer and size; order within a call is kept.
from siploadgen.core.types cimport Peer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    OUTBOX_MESSAGES = 256           # messages held before a flush is due
    OUTBOX_BYTES = 1048576          # room for their octets
    OUTBOX_MESSAGE_MAX = 65507      # largest UDP payload

cdef struct OutMessage:
    uint8_t* data
    uint32_t length
    uint32_t group                  # number of its GSO group in this flush
    Peer peer

cdef struct OutOrder:               # one for each sender whose messages must stay in order (an instance)
    uint32_t epoch                  # flush it was last written in
    uint32_t group                  # latest group that holds one of its messages

cdef struct Outbox:
    uint8_t* bytes
    uint32_t used                   # octets
    uint32_t count                  # messages
    uint32_t epoch                  # counts flushes
    uint32_t groups                 # GSO groups opened in this flush
    uint32_t group_max              # most datagrams in one group; 1 switches grouping off
    OutMessage* messages
    void* state                     # outbox.pyx's own: open groups

cdef int outbox_open(Outbox* outbox, uint32_t group_max) except -1
cdef void outbox_close(Outbox* outbox) noexcept nogil
cdef void outbox_commit(Outbox* outbox, uint32_t length, const Peer* to, OutOrder* order) noexcept nogil   # order may be NULL
cdef void outbox_clear(Outbox* outbox) noexcept nogil

cdef inline uint8_t* outbox_reserve(Outbox* outbox) noexcept nogil:
    """Room for one message of up to OUTBOX_MESSAGE_MAX octets; NULL: flush first."""
    if outbox.count == OUTBOX_MESSAGES or outbox.used + OUTBOX_MESSAGE_MAX > OUTBOX_BYTES:
        return NULL
    return outbox.bytes + outbox.used
