# When messages leave. A delay counts from the moment at which its first message is given to the
# kernel, not from the one at which it was made, and so does lateness: messages wait for company in
# the outbox, and each takes its turn in a system call.
from libc.stdint cimport uint8_t
from siploadgen.core.records cimport Core
from siploadgen.core.types cimport Handle, Nanos

# The message last committed. Clocks of the transaction, of the instance that owns it and of the leg
# that say core.now will say when it left; `intended` is when it should have (-1: it had no due
# time). Handles may be 0: none. In virtual time it leaves as it is made.
cdef void departing(Core* core, Handle tx, Handle leg, uint8_t method,
                    Nanos intended) noexcept nogil
# Send lateness (ns) of a call's first request, or of one that a pause put off.
cdef void record_lateness(Core* core, Nanos late) noexcept nogil
# What the outbox holds goes to the sockets, and onto the tape, if there is one.
cdef void send_flush(Core* core) noexcept nogil
# Onto the tape alone.
cdef void tape_outbox(Core* core) noexcept nogil
