# Memory of the core: zeroed address space that the kernel backs with pages as they are first
# touched. Reserving room for millions of records is free; only those in use cost memory.
from libc.stdint cimport uint64_t

cdef void* memory_reserve(uint64_t bytes) except NULL       # MemoryError names the bytes
# Backs the first `bytes` of a reservation that nothing has been written to. A page that the kernel
# has yet to find and clear (2 MiB at a time) stops the thread that touches it for up to 2 ms.
cdef void memory_ready(void* memory, uint64_t bytes) noexcept nogil
cdef void memory_release(void* memory, uint64_t bytes) noexcept nogil   # NULL: nothing
