# The servers that calls go to: a small table that Python fills (names are resolved there, beside
# the run) and that the engine chooses from, by RFC 3263 and RFC 2782.
from libc.stdint cimport uint64_t
from siploadgen.core.records cimport Core, Leg, Target
from siploadgen.core.types cimport Nanos, Peer

# A table that Python has left comes into force; between calls, never inside one.
cdef void targets_take(Core* core) noexcept nogil
# One of the best priority that is not left out, by its share; what `tried` has a bit for (by
# number) is never chosen. When all are left out, none is. NULL: nothing untried.
cdef const Target* target_choose(Core* core, uint64_t tried) noexcept nogil
# The target of a leg that has sent nothing yet: its call's, or a new choice, which is counted.
cdef void target_assign(Core* core, Leg* leg) noexcept nogil
# The leg, and with it its call, goes to this target from now on; counted.
cdef void target_bind(Core* core, Leg* leg, const Target* target) noexcept nogil
# Leave the target at this address out of choices for a while; its bit, 0: not in the table.
cdef uint64_t target_failed(Core* core, const Peer* peer, Nanos length) noexcept nogil
