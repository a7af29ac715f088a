# The loop of one engine on real sockets: receive, feed, advance, flush, wait.
from siploadgen.core.records cimport Core

cdef void loop_run(Core* core, bint until_idle) noexcept nogil
