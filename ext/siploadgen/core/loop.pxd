# The loop of one engine on real sockets: receive, feed, advance, flush, wait.
from siploadgen.core.records cimport Core

cdef int loop_open(Core* core) except -1        # after the sockets were adopted
cdef void loop_close(Core* core) noexcept nogil
cdef void loop_run(Core* core, bint until_idle) noexcept nogil
