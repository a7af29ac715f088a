# A registrar's bindings (RFC 3261 10.3, 3327, 5626, 5627): records of a fixed number, made when the
# engine opens and linked by index, found by one look-up of a keyed hash. 64 bits stand for an
# address of record: two of a million share one with a chance of 3 in 10^8.
from libc.stdint cimport uint16_t, uint32_t
from siploadgen.core.records cimport Core, Registrar
from siploadgen.core.types cimport Nanos

cdef enum:
    BIND_ITEMS = 64             # Contacts in one request
    BIND_ADDRESS = 128          # bindings of one address of record
    BIND_TEXT = 1000            # octets of a Contact and its Path

# `bindings` of 0: none is opened, and nothing of it costs anything.
cdef int registrar_open(Core* core, uint32_t bindings) except -1
cdef void registrar_close(Core* core) noexcept nogil
# Walks everything; raises AssertionError naming the broken rule
cdef int registrar_check(Core* core) except -1
# The REGISTER at hand done: 200, and its Contacts stand behind the echo block; else what refuses
# it, and nothing is changed.
cdef uint16_t registrar_bind(Core* core) noexcept nogil
# The lines of a 200 once more, for a request that came again: `then` is when it came first.
cdef void registrar_again(Core* core, Nanos then) noexcept nogil
