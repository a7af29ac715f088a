# Regular expressions (POSIX extended, of octets) over messages and texts. regexec asks no lock of
# Python's; it takes memory of its own for a moment, so a scenario pays for it where it uses it.
from libc.stdint cimport uint32_t
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport Core, Instance

cdef enum:
    PATTERN_GROUPS = 10         # the whole, and nine in brackets

# Compile the patterns of all OP_MATCH; raises ValueError that names the pc.
cdef int patterns_open(Core* core, uint32_t templates) except -1
cdef void patterns_close(Core* core) noexcept
# OP_MATCH: whether it is there; its groups are filled, or emptied.
cdef bint pattern_match(Core* core, Instance* instance, const Insn* insn) noexcept nogil
