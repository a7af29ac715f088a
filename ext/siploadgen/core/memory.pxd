# Memory of the core: zeroed address space that the kernel backs with pages as they are first
# touched. Reserving room for millions of records is free; only those in use cost memory.
from libc.stdint cimport uint32_t, uint64_t

cdef struct Ahead:              # how far an array of records was backed by memory_ahead
    uint64_t backed             # octet of the reservation
    uint32_t seen               # records in use at its last look

cdef void* memory_reserve(uint64_t bytes) except NULL       # MemoryError names the bytes
# Backs the first `bytes` of a reservation that nothing has been written to. A page that the kernel
# has yet to find and clear (2 MiB at a time) stops the thread that touches it for up to 2 ms.
cdef void memory_ready(void* memory, uint64_t bytes) noexcept nogil
# From another thread than the one that uses the records, again and again: of records of `size`
# octets, those from `first` on, `high` are in use; twice as many as have been added since its last
# look get their memory before they are needed, as far as `end`. Nothing in them changes. Does
# nothing before Linux 5.14, and where there is no memory to be had.
cdef void memory_ahead(Ahead* ahead, void* memory, uint32_t size, uint32_t first, uint32_t high,
                       uint32_t end) noexcept nogil
cdef void memory_release(void* memory, uint64_t bytes) noexcept nogil   # NULL: nothing
