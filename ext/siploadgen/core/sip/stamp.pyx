"""Template to octets (see stamp.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from siploadgen.core.program cimport (
    FIELD_COLUMN, FIELD_CONTENT_LENGTH, FIELD_LITERAL, FIELD_VARIABLE, Segment, Template,
)
from siploadgen.core.span cimport Span, span_make

cdef extern from "slg_hash.h" nogil:
    uint32_t slg_decimal(uint8_t* out, uint64_t value)


cdef inline uint32_t decimal_signed(uint8_t* out, int64_t value) noexcept nogil:
    if value >= 0:
        return slg_decimal(out, <uint64_t>value)
    out[0] = 45
    return 1 + slg_decimal(out + 1, <uint64_t>(-(value + 1)) + 1)


cdef inline Span segment_text(const Segment* segment, const uint8_t* text,
                              const StampFields* fields,
                              uint8_t* digits) noexcept nogil:
    """What one segment writes, FIELD_CONTENT_LENGTH apart."""
    cdef const uint32_t* offsets
    if segment.field == FIELD_LITERAL:
        return span_make(text + segment.offset, segment.length)
    if segment.field == FIELD_COLUMN:
        offsets = fields.columns[segment.arg].offsets + fields.row
        return span_make(fields.columns[segment.arg].blob + offsets[0], offsets[1] - offsets[0])
    if segment.field == FIELD_VARIABLE:
        return span_make(digits, decimal_signed(
            digits, fields.variables[segment.arg] if fields.variables != NULL else 0))
    return fields.values[segment.field]


cdef uint32_t stamp_message(const Template* template, const Segment* segments, const uint8_t* text,
                            const StampFields* fields, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Segment* segment = segments + template.first
    cdef uint8_t digits[24]
    cdef uint8_t* at = out
    cdef uint8_t* end = out + room
    cdef uint32_t i, k
    cdef uint64_t body
    cdef Span piece
    for i in range(template.count):
        if segment[i].field == FIELD_CONTENT_LENGTH:
            body = 0
            for k in range(template.body, template.count):
                body += segment_text(segment + k, text, fields, digits).length
            piece = span_make(digits, slg_decimal(digits, body))
        else:
            piece = segment_text(segment + i, text, fields, digits)
        if piece.length > <uint64_t>(end - at):
            return 0
        if piece.length:
            memcpy(at, piece.data, piece.length)
            at += piece.length
    return <uint32_t>(at - out)


cdef uint32_t stamp_needs(const Template* template, const Segment* segments) noexcept nogil:
    cdef uint32_t needs = 0
    cdef uint32_t i
    for i in range(template.count):
        needs |= <uint32_t>1 << segments[template.first + i].field
    return needs
