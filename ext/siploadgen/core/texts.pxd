# Octets that a record has to keep: tags, targets, route sets, echo blocks, challenges. Six slabs by
# size.
from libc.stdint cimport uint8_t, uint32_t
from siploadgen.core.slab cimport Slab, slab_at, slab_give, slab_take
from siploadgen.core.span cimport Span, span_make
from siploadgen.core.types cimport NONE, SLG_ASSERT

cdef enum:
    TEXT_CLASSES = 6
    TEXT_MAX = 8184             # octets in the largest class
    TEXT_INDEX_BITS = 28

cdef struct Texts:
    Slab slabs[6]

cdef struct TextHead:
    uint32_t generation
    uint32_t length             # octets in use

cdef int texts_open(Texts* texts, uint32_t records) except -1
# Backs the first few of the small classes with memory, at most `records`, before any is taken.
cdef void texts_ready(Texts* texts, uint32_t records) noexcept nogil
# slab_ahead of each.
cdef void texts_ahead(Texts* texts) noexcept nogil
cdef void texts_close(Texts* texts) noexcept nogil
# A text of `length` octets, or NONE when its class is full or it is longer than TEXT_MAX.
cdef uint32_t text_take(Texts* texts, uint32_t length) noexcept nogil

cdef inline TextHead* text_head(Texts* texts, uint32_t text) noexcept nogil:
    SLG_ASSERT(text != NONE)
    return <TextHead*>slab_at(&texts.slabs[text >> TEXT_INDEX_BITS], text & 0xFFFFFFF)

cdef inline uint8_t* text_data(Texts* texts, uint32_t text) noexcept nogil:
    return <uint8_t*>text_head(texts, text) + sizeof(TextHead)

cdef inline Span text_span(Texts* texts, uint32_t text) noexcept nogil:
    """Its octets; none for NONE."""
    if text == NONE:
        return span_make(NULL, 0)
    return span_make(text_data(texts, text), text_head(texts, text).length)

cdef inline void text_give(Texts* texts, uint32_t text) noexcept nogil:
    """Nothing for NONE."""
    if text != NONE:
        slab_give(&texts.slabs[text >> TEXT_INDEX_BITS], text & 0xFFFFFFF)
