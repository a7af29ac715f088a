# Datagrams waiting to be sent, grouped for UDP GSO by peer and size; order within a call is kept.
from siploadgen.core.types cimport Nanos, Peer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    OUTBOX_MESSAGES = 256           # messages held before a flush is due
    OUTBOX_BYTES = 1048576          # room for their octets
    OUTBOX_MESSAGE_MAX = 65507      # largest UDP payload
    OUTBOX_GROUP_MAX = 64           # most datagrams in one group that every kernel with GSO takes
    OUTBOX_GROUP_BYTES = 65000      # most octets in one group: it crosses the stack as one datagram
    OUTBOX_TABLE = 512              # look-up of the latest group by peer and length; power of two

cdef struct OutMessage:
    uint8_t* data
    uint32_t length
    uint32_t group                  # number of its GSO group in this flush
    Nanos left                      # when it was given to the kernel; 0: not yet, or never
    Peer peer

cdef struct OutOrder:               # of a sender whose messages must stay in order (an instance)
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

cdef struct OutGroup:               # messages of one peer and one length, in the order of commit
    uint32_t first                  # message
    uint32_t last
    uint32_t count

cdef struct OutSlot:
    uint32_t epoch                  # stale unless it is the outbox's
    uint32_t group

cdef struct OutGroups:              # what Outbox.state points to; groups are sent in this order
    OutGroup groups[256]
    uint32_t next[256]              # the message after this one in its group, NONE
    OutSlot table[512]

cdef inline const OutGroup* outbox_group(const Outbox* outbox, uint32_t group) noexcept nogil:
    return &(<const OutGroups*>outbox.state).groups[group]

cdef inline uint32_t outbox_next(const Outbox* outbox, uint32_t message) noexcept nogil:
    """The message after this one in its group, or NONE."""
    return (<const OutGroups*>outbox.state).next[message]

# `group_max` is cut to 1..OUTBOX_GROUP_MAX. A zeroed OutOrder is a fresh one.
cdef int outbox_open(Outbox* outbox, uint32_t group_max) except -1
cdef void outbox_close(Outbox* outbox) noexcept nogil
# `length` octets at outbox_reserve are a message. `order` may be NULL: nobody's order.
cdef void outbox_commit(
    Outbox* outbox, uint32_t length, const Peer* to, OutOrder* order
) noexcept nogil
cdef void outbox_clear(Outbox* outbox) noexcept nogil

cdef inline uint8_t* outbox_reserve(Outbox* outbox) noexcept nogil:
    """Room for one message of up to OUTBOX_MESSAGE_MAX octets; NULL: flush first."""
    if outbox.count == OUTBOX_MESSAGES or outbox.used + OUTBOX_MESSAGE_MAX > OUTBOX_BYTES:
        return NULL
    return outbox.bytes + outbox.used
