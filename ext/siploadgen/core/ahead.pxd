# A datagram is parsed while the one before it has yet to be handled, so that the memory which it is
# about (transaction, leg, places in the tables) is on its way when its turn comes.
from libc.stdint cimport uint8_t, uint32_t
from siploadgen.core.records cimport Ahead, Core

# `data` has to stay until it was handled.
cdef void ahead_parse(Core* core, Ahead* ahead, const uint8_t* data, uint32_t length) noexcept nogil
