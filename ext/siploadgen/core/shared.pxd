# Variables of users and of the run: beyond one call, and shared by all engines of a run. An
# instance works with a copy of its own, which OP_SHARE reads and writes.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport Core, Instance, SharedPlace, SharedTable

# The memory of them; one object for all engines of a run.
cdef class Shared:
    cdef SharedTable table
    cdef uint64_t number_octets
    cdef uint64_t cell_octets
    cdef readonly tuple names

    cdef void _spread(self, SharedPlace* places, uint32_t count, uint32_t numbers, uint32_t cells)
    cdef uint64_t _at(self, name, row) except? 0xFFFFFFFFFFFFFFFF

# OP_SHARE, whose operand is given as its value.
cdef void share(Core* core, Instance* instance, const Insn* insn, int64_t operand) noexcept nogil
