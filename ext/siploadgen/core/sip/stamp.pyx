"""Template to octets (see stamp.pxd)."""

from array import array

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from siploadgen.core.program cimport (
    FIELD_COLUMN, FIELD_CONTENT_LENGTH, FIELD_FILL, FIELD_LITERAL, FIELD_TEXT, FIELD_OWN_ADDRESS,
    FIELD_VARIABLE, Segment, Template,
)
from siploadgen.core.program import Field
from siploadgen.core.span cimport Span, span_make

cdef enum:
    ROOM = 65507    # the most that a datagram over IPv4 holds

cdef extern from "slg_hash.h" nogil:
    uint32_t slg_decimal(uint8_t* out, uint64_t value)


# lines of 64 octets that say nothing, for bodies whose length alone matters
cdef uint8_t FILL[FILL_MAX]


cdef void fill_make() noexcept nogil:
    cdef const char* line = b"0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVW.\r\n"
    cdef uint32_t i
    for i in range(<uint32_t>FILL_MAX):
        FILL[i] = line[i % 64]


fill_make()


cdef inline uint32_t decimal_signed(uint8_t* out, int64_t value) noexcept nogil:
    if value >= 0:
        return slg_decimal(out, <uint64_t>value)
    out[0] = 45
    return 1 + slg_decimal(out + 1, <uint64_t>(-(value + 1)) + 1)


cdef inline uint32_t fill_length(int64_t wanted) noexcept nogil:
    return <uint32_t>(0 if wanted < 0 else FILL_MAX if wanted > FILL_MAX else wanted)


cdef inline Span segment_text(const Segment* segment, const uint8_t* text,
                              const StampFields* fields,
                              uint8_t* digits) noexcept nogil:
    """What one segment writes, FIELD_CONTENT_LENGTH apart."""
    cdef const uint32_t* offsets
    if segment.field == FIELD_LITERAL:
        return span_make(text + segment.offset, segment.length)
    if segment.field == FIELD_COLUMN:
        offsets = fields.columns[segment.arg].offsets \
            + fields.rows[fields.columns[segment.arg].feed]
        return span_make(fields.columns[segment.arg].blob + offsets[0], offsets[1] - offsets[0])
    if segment.field == FIELD_VARIABLE:
        return span_make(digits, decimal_signed(
            digits, fields.variables[segment.arg] if fields.variables != NULL else 0))
    if segment.field == FIELD_FILL:
        return span_make(FILL, fill_length(fields.variables[segment.arg])
                         if fields.variables != NULL else 0)
    if segment.field == FIELD_TEXT:
        return fields.texts[segment.arg] if fields.texts_known else span_make(NULL, 0)
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


# --- the door ---


cdef bint stamp_is_empty(const Template* template, const Segment* segments, const uint8_t* text,
                         const StampFields* fields) noexcept nogil:
    """Whether there is nothing to write, which stamp_message does not tell from too little room."""
    cdef uint8_t digits[24]
    cdef uint32_t i
    for i in range(template.first, template.first + template.count):
        if segments[i].field == FIELD_CONTENT_LENGTH \
                or segment_text(segments + i, text, fields, digits).length:
            return False
    return True


cdef class Stamper:
    """The templates of a program, for tests and benchmarks."""

    cdef bytes templates_held, segments_held, text_held
    cdef list columns_held
    cdef bytearray columns_array
    cdef const Template* templates
    cdef const Segment* segments
    cdef const uint8_t* text
    cdef uint32_t count         # of templates
    cdef uint32_t variables     # that the program has
    cdef uint32_t rows

    def __cinit__(self, program not None, rows=None):
        self.templates_held = program.templates.tobytes()
        self.segments_held = program.segments.tobytes()
        self.text_held = program.text
        self.templates = <const Template*><const uint8_t*>self.templates_held
        self.segments = <const Segment*><const uint8_t*>self.segments_held
        self.text = self.text_held
        self.count = <uint32_t>(len(self.templates_held) // sizeof(Template))
        self.variables = <uint32_t>len(program.variables)
        self.check(len(self.segments_held) // sizeof(Segment), len(program.columns))
        if rows is not None:
            self.take_rows(rows, program.columns)

    cdef int check(self, uint64_t segments, uint64_t columns) except -1:
        """Raise ValueError unless every index leads somewhere."""
        cdef const Template* template
        cdef const Segment* segment
        cdef uint64_t text = len(self.text_held)
        cdef uint32_t i
        for i in range(self.count):
            template = self.templates + i
            if <uint64_t>template.first + template.count > segments \
                    or template.body > template.count:
                raise ValueError(f"template {i}: segments beyond the table")
        for i in range(<uint32_t>segments):
            segment = self.segments + i
            if segment.field > FIELD_OWN_ADDRESS \
                    or <uint64_t>segment.offset + segment.length > text \
                    or segment.field == FIELD_COLUMN and segment.arg >= columns \
                    or segment.field == FIELD_TEXT and segment.arg >= TEXTS_MAX \
                    or segment.field in (FIELD_VARIABLE, FIELD_FILL) \
                    and segment.arg >= self.variables:
                raise ValueError(f"segment {i} leads nowhere")
        return 0

    cdef int take_rows(self, rows, tuple names) except -1:
        """Keep the program's columns of the rows."""
        cdef Py_ssize_t wanted = len(names), count = rows.count
        cdef Column* columns
        cdef Py_ssize_t i, k
        cdef bytes blob, offsets
        cdef const uint32_t* ends
        if count < 1 or tuple(rows.names)[:wanted] != names:
            raise ValueError(f"the program needs rows with the columns {list(names)}")
        self.columns_array = bytearray(wanted * sizeof(Column))
        self.columns_held = []
        columns = <Column*><uint8_t*>self.columns_array
        for i in range(wanted):
            blob = rows.blobs[i]
            offsets = rows.offsets[i].astype("u4").tobytes()
            ends = <const uint32_t*><const uint8_t*>offsets
            if len(offsets) != 4 * (count + 1) or ends[count] > <uint64_t>len(blob):
                raise ValueError(f"column {names[i]}: broken offsets")
            for k in range(count):
                if ends[k] > ends[k + 1]:
                    raise ValueError(f"column {names[i]}: broken offsets")
            self.columns_held.append((blob, offsets))
            columns[i].blob = blob
            columns[i].offsets = ends
            columns[i].feed = 0
        self.rows = <uint32_t>count
        return 0

    cdef const Template* template_at(self, template) except NULL:
        if not 0 <= template < self.count:
            raise ValueError(f"template {template}: the program has {self.count}")
        return self.templates + <uint32_t>template

    cdef list fill(self, StampFields* fields, const Template* template, dict values, row,
                   variables):
        """Put everything into `fields`; what must live as long as they do is returned."""
        cdef uint32_t needs = stamp_needs(template, self.segments)
        cdef uint32_t given = 1 << FIELD_LITERAL | 1 << FIELD_CONTENT_LENGTH \
            | 1 << FIELD_VARIABLE | 1 << FIELD_FILL
        cdef uint32_t field, i
        cdef bytes value
        cdef int64_t[::1] numbers
        cdef list held = []
        memset(fields, 0, sizeof(StampFields))
        for key, value in values.items():
            if not 0 <= key <= FIELD_OWN_ADDRESS or value is None:
                raise ValueError(f"value of field {key}: no Field, or None")
            field = key
            fields.values[field] = span_make(value, <uint32_t>len(value))
            given |= <uint32_t>1 << field
            held.append(value)
            if field == FIELD_TEXT:
                fields.texts_known = True
                for i in range(<uint32_t>TEXTS_MAX):
                    fields.texts[i] = fields.values[field]
        if needs & 1 << FIELD_COLUMN:
            if not 0 <= row < self.rows:
                raise ValueError(f"row {row}: there are {self.rows}")
            fields.columns = <const Column*><uint8_t*>self.columns_array
            fields.rows[0] = <uint32_t>row
            given |= 1 << FIELD_COLUMN
        if variables is not None:
            numbers = array("q", variables)
            if numbers.shape[0] < self.variables:
                raise ValueError(f"{numbers.shape[0]} variables: the program has {self.variables}")
            if numbers.shape[0]:
                fields.variables = &numbers[0]
            held.append(numbers)
        if needs & ~given:
            raise ValueError("no value for " + ", ".join(
                name for name, one in Field.__members__.items() if needs & ~given & 1 << one))
        return held

    def stamp(self, template, dict values not None, *, row=0, variables=None, uint32_t room=ROOM):
        """Return the octets of a message; ValueError when `room` does not hold them."""
        cdef const Template* chosen = self.template_at(template)
        cdef StampFields fields
        cdef list _held = self.fill(&fields, chosen, values, row, variables)
        # One octet more than the room: an empty bytearray has no place of its own.
        cdef bytearray out = bytearray(room + <uint64_t>1)
        cdef uint8_t* start = out
        cdef uint32_t octets
        with nogil:
            octets = stamp_message(chosen, self.segments, self.text, &fields, start, room)
        if not octets and not stamp_is_empty(chosen, self.segments, self.text, &fields):
            raise ValueError(f"template {template}: {room} octets of room are not enough")
        return bytes(out[:octets])

    def needs(self, template):
        """Return the fields of a template: bit f for Field f."""
        return stamp_needs(self.template_at(template), self.segments)

    def repeat(self, template, dict values not None, uint64_t times, *, row=0, variables=None):
        """Stamp a message `times` times into the same place; return the octets of one."""
        cdef const Template* chosen = self.template_at(template)
        cdef StampFields fields
        cdef list _held = self.fill(&fields, chosen, values, row, variables)
        cdef bytearray out = bytearray(ROOM)
        cdef uint8_t* start = out
        cdef uint64_t octets = 0
        cdef uint64_t _turn
        if times < 1:
            raise ValueError("at least once")
        with nogil:
            for _turn in range(times):
                octets += stamp_message(chosen, self.segments, self.text, &fields, start, ROOM)
        if not octets and not stamp_is_empty(chosen, self.segments, self.text, &fields):
            raise ValueError(f"template {template}: {ROOM} octets of room are not enough")
        return octets // times
