# What time brings: timers, calls that are due, the wishes of the run (stop, hang up, abort).
from libc.stdint cimport uint32_t
from siploadgen.core.records cimport Closed, Core
from siploadgen.core.types cimport Nanos

# Everything that is due at core.now, at most `budget` things. True: there is more to do at this
# time.
cdef bint advance(Core* core, uint32_t budget) noexcept nogil
# instances that hooks have replied to go on; a part of advance
cdef void hooks_go_on(Core* core) noexcept nogil
# when advance has something to do; INT64_MAX: never
cdef Nanos advance_next(Core* core) noexcept nogil
# calls that a closed workload is to hold now: its level times what the run was scaled by
cdef uint32_t closed_wanted(const Closed* closed) noexcept nogil
# schedule over or stopped, and no scheduled call open
cdef bint advance_done(Core* core) noexcept nogil
# due times never reached become not started (stopped)
cdef void advance_finish(Core* core) noexcept nogil
# ends every instance and transaction, silently
cdef void advance_abort(Core* core) noexcept nogil
