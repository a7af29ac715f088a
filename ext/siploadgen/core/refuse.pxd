# Requests that are wrong, or that nobody here wants: which status RFC 3261 8.2 prescribes, and the
# response without a transaction (8.2.7).
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from siploadgen.core.program cimport Template
from siploadgen.core.records cimport Core
from siploadgen.core.span cimport Span
from siploadgen.core.types cimport Handle

# Status that refuses core.message, a request whose method somebody here serves; 0: nothing is
# wrong with it. `reason` then names the fault where the status alone does not.
cdef uint16_t refuse_find(Core* core, Span* reason) noexcept nogil
# Status for a request outside dialogs that no row of the answer table takes.
cdef uint16_t refuse_unwanted(Core* core) noexcept nogil
# An INVITE whose headers are more than an engine keeps of one (513, RFC 3261 21.5.7).
cdef bint refuse_too_large(Core* core) noexcept nogil
# The request has come by another path already (RFC 3261 8.2.2.2): its branch is another one.
cdef bint refuse_merged(Core* core) noexcept nogil
# `tx` is the transaction of core.message, for refuse_merged to compare later ones with.
cdef void refuse_merged_note(Core* core, uint32_t tx) noexcept nogil
# Count core.message, a response, when its Require names what its request, of this template, did not
# (RFC 3261 8.2.4): the peer is wrong, and the response is taken all the same.
cdef void refuse_note_required(Core* core, const Template* template) noexcept nogil
# A malformed request gets 400, 505 or 513 when a response can find its way; else it is dropped.
cdef void refuse_malformed(Core* core, int fault) noexcept nogil
# A final response to core.message without a transaction. leg: whose tag To gets, 0: one that the
# same request gets each time.
cdef void send_stateless(Core* core, uint16_t status, Handle leg) noexcept nogil
cdef void send_refusal(Core* core, uint16_t status, Span reason, Handle leg) noexcept nogil
# core.message, an ACK, acknowledges such a response.
cdef bint refuse_acknowledged(Core* core) noexcept nogil

cdef enum:
    REFUSE_LARGE = 4096         # shorter messages are never too large
    ABSENT = 0xFFFF             # SipMessage.first of a header that is not there
