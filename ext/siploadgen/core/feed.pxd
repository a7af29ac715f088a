# What comes in: a datagram or an ICMP error is matched to its transaction, leg and program.
from libc.stdint cimport uint8_t, uint32_t
from siploadgen.core.records cimport Ahead, Core
from siploadgen.core.types cimport Nanos, Peer

# core.now is the time of processing; `received` the kernel's time stamp, 0 when there is none.
cdef void feed_datagram(Core* core, const uint8_t* data, uint32_t length, const Peer* source,
                        Nanos received) noexcept nogil
# The same in two steps: ahead_parse made `ahead` of it.
cdef void feed_parsed(Core* core, Ahead* ahead, const uint8_t* data, uint32_t length,
                      const Peer* source, Nanos received) noexcept nogil
cdef void feed_error(Core* core, const uint8_t* data, uint32_t length) noexcept nogil
# The owner of a transaction hears that it failed.
cdef void feed_failure(Core* core, uint32_t tx, uint32_t actions) noexcept nogil
