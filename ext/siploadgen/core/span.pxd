# A pointer and a length into somebody else's bytes: what the parser returns and the builder copies.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef struct Span:
    const uint8_t* data     # never NULL when length > 0
    uint32_t length

cdef inline Span span_make(const uint8_t* data, uint32_t length) noexcept nogil:
    cdef Span s
    s.data = data
    s.length = length
    return s

cdef inline Span span_between(const uint8_t* start, const uint8_t* end) noexcept nogil:
    return span_make(start, <uint32_t>(end - start) if end > start else 0)

cdef inline bint span_equal(Span a, Span b) noexcept nogil:
    return a.length == b.length and (a.length == 0 or memcmp(a.data, b.data, a.length) == 0)

cdef inline uint8_t byte_lower(uint8_t c) noexcept nogil:
    return c | 0x20 if 65 <= c <= 90 else c

cdef inline bint span_iequal(Span a, Span b) noexcept nogil:
    """Equal but for ASCII case."""
    cdef uint32_t i
    if a.length != b.length:
        return False
    for i in range(a.length):
        if byte_lower(a.data[i]) != byte_lower(b.data[i]):
            return False
    return True

cdef inline Span span_trim(Span s) noexcept nogil:
    """Without the spaces, tabs, CRs and LFs at both ends."""
    while s.length and (s.data[0] == 32 or 9 <= s.data[0] <= 13):
        s.data += 1
        s.length -= 1
    while s.length and (s.data[s.length - 1] == 32 or 9 <= s.data[s.length - 1] <= 13):
        s.length -= 1
    return s

cdef inline Span word_next(Span* rest) noexcept nogil:
    """Take the first word of a trimmed text off it, and the blanks behind it."""
    cdef uint32_t i = 0
    cdef Span word
    while i < rest.length and rest.data[i] != 32 and rest.data[i] != 9:
        i += 1
    word = span_make(rest.data, i)
    while i < rest.length and (rest.data[i] == 32 or rest.data[i] == 9):
        i += 1
    rest[0] = span_make(rest.data + i, rest.length - i)
    return word

cdef inline bint span_to_uint(Span s, uint64_t* value) noexcept nogil:
    """Decimal digits only, at most 18 significant ones; False and value untouched otherwise."""
    cdef uint64_t v = 0
    cdef uint32_t i
    if s.length == 0:
        return False
    for i in range(s.length):
        if s.data[i] < 48 or s.data[i] > 57 or v > 99999999999999999ULL:
            return False
        v = v * 10 + (s.data[i] - 48)
    value[0] = v
    return True
