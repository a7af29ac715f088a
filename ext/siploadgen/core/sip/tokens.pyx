# Numbers for the words of SIP. The tables are in slg_names.h, where the parser inlines them too.
from libc.stdint cimport uint8_t, uint32_t
from siploadgen.core.span cimport Span, span_make

cdef extern from "slg_names.h" nogil:
    ctypedef struct slg_name:
        uint8_t length
        char* text
    const slg_name* slg_header_names
    unsigned slg_header_find(const uint8_t* p, uint32_t length)
    unsigned slg_method_find(const uint8_t* p, uint32_t length)

cdef const char* METHODS[METHOD_COUNT]
METHODS[:] = [
    b"", b"INVITE", b"ACK", b"BYE", b"CANCEL", b"REGISTER", b"OPTIONS", b"SUBSCRIBE", b"NOTIFY",
    b"PUBLISH", b"REFER", b"INFO", b"UPDATE", b"PRACK", b"MESSAGE", b"",
]
cdef uint8_t METHOD_LENGTHS[METHOD_COUNT]
METHOD_LENGTHS[:] = [0, 6, 3, 3, 6, 8, 7, 9, 6, 7, 5, 4, 6, 5, 7, 0]


cdef uint8_t method_find(const uint8_t* data, uint32_t length) noexcept nogil:
    return <uint8_t>slg_method_find(data, length)


cdef uint8_t header_find(const uint8_t* data, uint32_t length) noexcept nogil:
    return <uint8_t>slg_header_find(data, length)


cdef Span method_name(uint8_t method) noexcept nogil:
    if method >= METHOD_COUNT:
        return span_make(NULL, 0)
    return span_make(<const uint8_t*>METHODS[method], METHOD_LENGTHS[method])


cdef Span header_name(uint8_t id) noexcept nogil:
    if id >= HEADER_COUNT:
        return span_make(NULL, 0)
    return span_make(<const uint8_t*>slg_header_names[id].text, slg_header_names[id].length)


def method_number(name: bytes) -> int:
    """Return the Method of a method name, compared octet by octet (RFC 3261 7.1)."""
    return method_find(<const uint8_t*><const char*>name, <uint32_t>len(name))


def header_number(name: bytes) -> int:
    """Return the HeaderId of a long or compact header name in any case (RFC 3261 7.3.3)."""
    return header_find(<const uint8_t*><const char*>name, <uint32_t>len(name))


def method_text(method: int) -> bytes:
    """Return the name of a Method, empty for METHOD_UNKNOWN and numbers that are none."""
    cdef Span name = method_name(<uint8_t>(method if 0 <= method < 256 else 255))
    return name.data[:name.length]


def header_text(header: int) -> bytes:
    """Return the long name of a HeaderId, empty for HEADER_OTHER and numbers that are none."""
    cdef Span name = header_name(<uint8_t>(header if 0 <= header < 256 else 255))
    return name.data[:name.length]
