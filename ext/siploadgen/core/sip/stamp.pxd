# Template -> octets: a loop of copies. The caller has put the text of every field that the template
# needs into StampFields; literals come from the program's text, columns and variables from the
# instance.
from siploadgen.core.program cimport Segment, Template
from siploadgen.core.span cimport Span
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef enum:
    STAMP_FIELDS = 32
    TEXTS_MAX = 8                       # text variables of one instance
    FILL_MAX = 8192                     # octets that FIELD_FILL writes at most

cdef struct Column:                     # one column of the injected rows
    const uint8_t* blob
    const uint32_t* offsets             # rows + 1
    uint32_t feed                       # table of data that it stands in

cdef struct StampFields:
    # by Field; those that the template does not use may hold anything
    Span values[32]
    const Column* columns
    uint32_t rows[4]                    # by feed
    const int64_t* variables            # NULL: none, stamped as 0
    bint texts_known                    # else text variables are stamped empty
    Span texts[8]                       # text variables

# Octets written, 0 when `room` does not hold them.
cdef uint32_t stamp_message(const Template* template, const Segment* segments, const uint8_t* text,
                            const StampFields* fields, uint8_t* out, uint32_t room) noexcept nogil
# Bit f set: the template has Field f.
cdef uint32_t stamp_needs(const Template* template, const Segment* segments) noexcept nogil
