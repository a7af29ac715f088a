# Words that every floor uses. No code but the three handle helpers.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef int64_t Nanos      # nanoseconds on the engine's monotonic clock; a parameter named `now`
ctypedef uint64_t Handle    # generation:32 | engine:8 | index:24; printed as 16 hex digits

cdef enum:
    NONE = 0xFFFFFFFF       # "no index"
    INDEX_BITS = 24
    INDEX_MAX = 0xFFFFFF    # most records of one kind in one engine
    TOKEN_LENGTH = 24       # run (8 hex) + handle (16 hex): the text of a handle on the wire

cdef extern from "slg_bits.h" nogil:
    void SLG_ASSERT(bint condition)
    void SLG_UNREACHABLE()
    bint SLG_LIKELY(bint condition)
    bint SLG_UNLIKELY(bint condition)
    int slg_ctz64(uint64_t x)
    int slg_clz64(uint64_t x)
    uint64_t slg_rotl64(uint64_t x, int k)
    uint64_t slg_rotr64(uint64_t x, int k)
    void slg_prefetch(const void* p)
    void SLG_POISON(void* data, size_t length)
    void SLG_UNPOISON(void* data, size_t length)

# Where a message came from or goes to. 20 bytes, compared and copied as a whole, always zeroed
# first.
cdef enum PeerFamily:
    PEER_NONE = 0
    PEER_IPV4 = 1           # ip[0..3]
    PEER_IPV6 = 2           # ip[0..15]
    PEER_STREAM = 3         # a stream record; its index is in ip[0..3]

cdef struct Peer:
    uint8_t ip[16]
    uint16_t port           # host order
    uint8_t family
    uint8_t socket          # which of the engine's sockets

cdef inline Handle handle_make(uint32_t generation, uint32_t engine, uint32_t index) noexcept nogil:
    return (<Handle>generation << 32) | (<Handle>(engine & 0xFF) << INDEX_BITS) | index

cdef inline uint32_t handle_index(Handle handle) noexcept nogil:
    return <uint32_t>(handle & INDEX_MAX)

cdef inline uint32_t handle_generation(Handle handle) noexcept nogil:
    return <uint32_t>(handle >> 32)
