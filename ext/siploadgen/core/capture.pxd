# What a program learns from the message at hand: numbers, texts, and whether a header says
# something. All of it reads core.message, which may be NULL: then there is nothing to learn.
from libc.stdint cimport int64_t, uint16_t, uint32_t
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport Core, Instance

# EXTRACT_NUMBER and what follows it; -1: not there.
cdef int64_t extract_number(Core* core, Instance* instance, uint32_t what, int64_t c) noexcept nogil
# OP_CAPTURE: fill a text variable, or empty it.
cdef void capture(Core* core, Instance* instance, const Insn* insn) noexcept nogil
# OP_HAS, of a header and of a line of the body, and OP_SAME.
cdef bint message_has(Core* core, Instance* instance, const Insn* insn) noexcept nogil
cdef bint body_has(Core* core, Instance* instance, const Insn* insn) noexcept nogil
cdef bint text_same(Core* core, Instance* instance, const Insn* insn) noexcept nogil
# OP_ROUTE: requests of a leg go to the numeric host of a URI. Another host changes nothing, but
# where there is no target the message at hand shows the way: its sender knows where that host is.
cdef void leg_route(Core* core, Instance* instance, uint32_t leg, uint16_t text) noexcept nogil
# OP_DATAGRAM: octets that are no message, such as the double CRLF that keeps a NAT binding open.
cdef void leg_datagram(Core* core, Instance* instance, uint32_t leg, uint16_t text) noexcept nogil
