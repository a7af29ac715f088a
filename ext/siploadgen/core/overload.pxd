# Overload control between a caller and the server next to it: the `oc` parameters of Via (RFC 7339,
# with the rate of RFC 7415) and the Retry-After of a 503. What a server asks for stands with its
# target; a caller that obeys (core.obey) leaves calls out, never requests of calls that run.
from libc.stdint cimport uint8_t, uint64_t
from siploadgen.core.records cimport Core, Leg, Overload, Target
from siploadgen.core.types cimport Peer

# The engine obeys, and says so in the Via of its requests.
cdef void overload_obey(Core* core) noexcept nogil
cdef void overload_clear(Overload* state) noexcept nogil
# core.message is a response of the server at this address; `first`: and no copy of an earlier one.
cdef void overload_heard(Core* core, const Peer* peer, bint first) noexcept nogil
# The targets that want no calls for now, a bit for each by number.
cdef uint64_t overload_closed(Core* core) noexcept nogil
# Whether one more call may go to the target.
cdef bint overload_admits(Core* core, const Target* target) noexcept nogil
# A request goes out by this leg: its target has one less of the rate that it gave.
cdef void overload_spend(Core* core, const Leg* leg) noexcept nogil
# The answering side: the topmost Via of a response, between `via` and `end`, gets what is announced
# when the request asked for it. There is room for 128 octets more; the new end.
cdef uint8_t* overload_announce(Core* core, uint8_t* via, uint8_t* end) noexcept nogil
