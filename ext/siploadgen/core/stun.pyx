"""STUN Binding requests and responses (see stun.pxd). Sections are of RFC 5389.

The transaction id names the leg: its first 32 bits are this run's, turned over by the number of the
request, the other 64 the leg's handle. So a response is found without a search, and one that comes
too late is told from that to the latest request.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from siploadgen.core.counters cimport COUNT_BINDINGS_ANSWERED, COUNT_OVERSIZE
from siploadgen.core.net.outbox cimport outbox_commit
from siploadgen.core.outgoing cimport outgoing_room, send_octets
from siploadgen.core.records cimport Core, core_count, instance_at, Leg, leg_at, leg_handle
from siploadgen.core.slab cimport slab_get
from siploadgen.core.span cimport span_make
from siploadgen.core.types cimport Handle, PEER_IPV4, PEER_IPV6, SLG_ASSERT

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)

cdef enum:
    ATTRIBUTE_USERNAME = 0x0006
    ATTRIBUTE_INTEGRITY = 0x0008
    ATTRIBUTE_ERROR = 0x0009
    ATTRIBUTE_UNKNOWN = 0x000A
    ATTRIBUTE_REALM = 0x0014
    ATTRIBUTE_NONCE = 0x0015
    ATTRIBUTE_XOR_MAPPED = 0x0020
    ATTRIBUTE_OPTIONAL = 0x8000     # from here on they may be passed over (15)
    UNKNOWN_MAX = 8                 # unknown attributes that a 420 names


cdef inline uint16_t half_word(const uint8_t* at) noexcept nogil:
    return <uint16_t>(at[0] << 8 | at[1])


cdef inline uint8_t* put16(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value
    return at + 2


cdef inline uint8_t* put32(uint8_t* at, uint32_t value) noexcept nogil:
    return put16(put16(at, value >> 16), value & 0xFFFF)


cdef uint16_t stun_type(const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t at = STUN_HEADER
    if half_word(data + 2) != length - STUN_HEADER or length % 4:
        return 0
    while at < length:                          # attributes fill it, each padded to four octets
        at += 4 + (half_word(data + at + 2) + 3) // 4 * 4
    return half_word(data) if at == length else 0


cdef inline uint32_t run_word(Core* core, const Leg* leg) noexcept nogil:
    return stun_word(core.run_hex) ^ stun_word(core.run_hex + 4) << 4 ^ leg.local_cseq


cdef void stun_ask(Core* core, uint32_t leg_index, bint again) noexcept nogil:
    cdef uint8_t message[STUN_HEADER]
    cdef Leg* leg = leg_at(core, leg_index)
    cdef Handle handle = leg_handle(core, leg_index)
    cdef uint8_t* at = put32(put32(message, <uint32_t>STUN_REQUEST << 16), STUN_COOKIE)
    if not again:
        leg.local_cseq += 1
    at = put32(put32(at, run_word(core, leg)), <uint32_t>(handle >> 32))
    at = put32(at, <uint32_t>handle)
    SLG_ASSERT(at == &message[0] + STUN_HEADER)
    send_octets(core, instance_at(core, leg.instance), leg, span_make(message, STUN_HEADER))


cdef Leg* stun_asked(Core* core, const uint8_t* data) noexcept nogil:
    cdef Handle handle = <Handle>stun_word(data + 12) << 32 | stun_word(data + 16)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, handle)
    return leg if leg != NULL and stun_word(data + 8) == run_word(core, leg) else NULL


cdef inline bint is_credential(uint16_t kind) noexcept nogil:
    """Known, and of no account: anybody may keep a path open."""
    return kind == ATTRIBUTE_USERNAME or kind == ATTRIBUTE_INTEGRITY \
        or kind == ATTRIBUTE_REALM or kind == ATTRIBUTE_NONCE


cdef uint32_t unknown_find(const uint8_t* data, uint32_t length, uint8_t* out) noexcept nogil:
    """Attributes that must be understood and are not (7.3.1): their types; how many."""
    cdef uint32_t at = STUN_HEADER
    cdef uint32_t found = 0
    cdef uint16_t kind
    while at < length and found < UNKNOWN_MAX:
        kind = half_word(data + at)
        if kind < ATTRIBUTE_OPTIONAL and not is_credential(kind):
            put16(out + 2 * found, kind)
            found += 1
        at += 4 + (half_word(data + at + 2) + 3) // 4 * 4
    return found


cdef uint8_t* mapped_write(Core* core, const uint8_t* id, uint8_t* at) noexcept nogil:
    """XOR-MAPPED-ADDRESS of who asked (15.2)."""
    cdef bint v6 = core.source.family == PEER_IPV6
    cdef uint8_t mask[16]
    cdef uint32_t i
    put32(mask, STUN_COOKIE)
    memcpy(mask + 4, id, 12)
    at = put16(put16(at, ATTRIBUTE_XOR_MAPPED), 20 if v6 else 8)
    at = put16(put16(at, 2 if v6 else 1), core.source.port ^ (STUN_COOKIE >> 16))
    for i in range(16 if v6 else 4):
        at[i] = core.source.ip[i] ^ mask[i]
    return at + (16 if v6 else 4)


cdef uint8_t* error_write(const uint8_t* unknown, uint32_t count, uint8_t* at) noexcept nogil:
    """ERROR-CODE 420 and UNKNOWN-ATTRIBUTES (15.6, 15.9)."""
    at = put32(put16(put16(at, ATTRIBUTE_ERROR), 4 + 17), 4 << 8 | 20)
    memcpy(at, b"Unknown Attribute\0\0\0", 20)
    at = put16(put16(at + 20, ATTRIBUTE_UNKNOWN), 2 * count)
    memset(at, 0, (2 * count + 3) // 4 * 4)
    memcpy(at, unknown, 2 * count)
    return at + (2 * count + 3) // 4 * 4


cdef void stun_answer(Core* core, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint8_t unknown[2 * UNKNOWN_MAX]
    cdef uint8_t* out
    cdef uint8_t* end
    cdef uint32_t count
    if core.source.family != PEER_IPV4 and core.source.family != PEER_IPV6:
        return
    out = outgoing_room(core)
    if out == NULL:
        core_count(core, COUNT_OVERSIZE)
        return
    memcpy(out + 4, data + 4, STUN_HEADER - 4)  # cookie and transaction id
    count = unknown_find(data, length, unknown)
    if count:
        put16(out, STUN_ERROR)
        end = error_write(unknown, count, out + STUN_HEADER)
    else:
        put16(out, STUN_SUCCESS)
        end = mapped_write(core, data + 8, out + STUN_HEADER)
    put16(out + 2, <uint32_t>(end - out) - STUN_HEADER)
    outbox_commit(&core.outbox, <uint32_t>(end - out), &core.source, NULL)
    core_count(core, COUNT_BINDINGS_ANSWERED)


cdef bint stun_same(Core* core, Leg* leg, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t at = STUN_HEADER
    cdef uint32_t print, i
    cdef uint8_t address[20]
    cdef uint8_t mask[16]
    while at < length and half_word(data + at) != ATTRIBUTE_XOR_MAPPED:
        at += 4 + (half_word(data + at + 2) + 3) // 4 * 4
    if at >= length or half_word(data + at + 2) not in (8, 20):
        return False                            # a success must say it (10)
    length = half_word(data + at + 2)
    memcpy(address, data + at + 4, length)
    put32(mask, STUN_COOKIE)
    memcpy(mask + 4, data + 8, 12)
    for i in range(4, length):                  # an IPv6 address is masked by the id too
        address[i] ^= mask[i - 4]
    print = <uint32_t>slg_hash64(address, length, core.hash_seed) | 1
    if leg.mapped == 0:
        leg.mapped = print
    return leg.mapped == print
