# A request that found its server unable goes to the next one (RFC 3263 4.3).
from libc.stdint cimport uint32_t
from siploadgen.core.records cimport Core

# The request of this client transaction, which has just failed, once more: the same but for the
# branch, at the next target. core.message is the 503 that failed it, NULL after a timeout or an
# ICMP error. False: there is nowhere else to go, or it was a request inside a dialog.
cdef bint send_elsewhere(Core* core, uint32_t tx) noexcept nogil
