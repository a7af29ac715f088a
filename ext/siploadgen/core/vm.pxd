# The call program: run an instance until it waits, wake it with what it waited for, end it.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from siploadgen.core.records cimport Core
from siploadgen.core.types cimport Nanos

# A new instance of entry number `entry` with its first leg taken; NONE when a slab is full.
cdef uint32_t vm_take(Core* core, uint32_t entry, uint8_t role, Nanos due) noexcept nogil
cdef void vm_run(Core* core, uint32_t instance) noexcept nogil
# Something happened to a leg (MatcherKind, method, status). True: a CASE took it and the program
# went on.
cdef bint vm_event(Core* core, uint32_t instance, uint8_t kind, uint8_t leg, uint8_t method,
                   uint16_t status) noexcept nogil
# A request from outside that opens a dialog with this instance: a fresh leg of those that its wait
# names for such a request, NONE when it names none.
cdef uint32_t vm_invites(Core* core, uint32_t instance, uint8_t method) noexcept nogil
# It waits without a limit for responses only, and none of its requests is open to bring one.
cdef bint vm_forlorn(Core* core, uint32_t instance) noexcept nogil
cdef void vm_timer(Core* core, uint32_t instance) noexcept nogil        # its wheel node fired
# cut its pause, cancel its ringing INVITE
cdef void vm_hang_up(Core* core, uint32_t instance) noexcept nogil
cdef void vm_end(Core* core, uint32_t instance, uint16_t outcome) noexcept nogil
