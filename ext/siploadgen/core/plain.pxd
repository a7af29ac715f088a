# Text of the responses that no template gives: status line, the echo block of the request, and the
# headers that the RFC wants with that status.
from libc.stdint cimport uint8_t, uint16_t
from siploadgen.core.records cimport Core
from siploadgen.core.span cimport Span

cdef enum:
    PLAIN_ROOM = 2048           # most octets beside the echo block and the reason

# Where the response ends. `reason` of length 0: the RFC's own phrase. A 420, and a 400 or 513 for
# what the parser found, look at core.message.
cdef uint8_t* plain_write(Core* core, uint8_t* out, uint16_t status, Span reason, Span echo,
                          uint8_t method) noexcept nogil
# The item stands in a comma separated list of ours, any case; in "*" stands everything.
cdef bint plain_lists(Span list, Span item) noexcept nogil
# Option tags that core.message, a request, may require.
cdef Span plain_extensions(Core* core) noexcept nogil
