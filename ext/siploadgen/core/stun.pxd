# STUN Binding (RFC 5389), as SIP keeps paths over UDP open with it (RFC 5626 4.4.2): asked by
# callers, answered by every engine.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from siploadgen.core.records cimport Core, Leg
from siploadgen.core.types cimport Handle

cdef enum:
    STUN_HEADER = 20
    STUN_COOKIE = 0x2112A442
    STUN_REQUEST = 0x0001
    STUN_INDICATION = 0x0011
    STUN_SUCCESS = 0x0101
    STUN_ERROR = 0x0111

cdef inline uint32_t stun_word(const uint8_t* at) noexcept nogil:
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]

cdef inline bint stun_is(const uint8_t* data, uint32_t length) noexcept nogil:
    """A STUN message: no SIP message begins with two zero bits (RFC 5389 6, RFC 5626 8)."""
    return length >= STUN_HEADER and data[0] < 64 and stun_word(data + 4) == STUN_COOKIE

# Its type; 0 when it breaks the form of RFC 5389 6.
cdef uint16_t stun_type(const uint8_t* data, uint32_t length) noexcept nogil
# A Binding request to where the leg's requests go: a new one, or the last one once more.
cdef void stun_ask(Core* core, uint32_t leg, bint again) noexcept nogil
# The answer to a Binding request, to core.source.
cdef void stun_answer(Core* core, const uint8_t* data, uint32_t length) noexcept nogil
# The leg whose last Binding request this response answers, NULL.
cdef Leg* stun_asked(Core* core, const uint8_t* data) noexcept nogil
# Whether a response says what the leg's first one said of our address (RFC 5626 4.4.2).
cdef bint stun_same(Core* core, Leg* leg, const uint8_t* data, uint32_t length) noexcept nogil
