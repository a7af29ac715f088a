"""Reserved address space for slabs, wheels and rings: zeroed, touched only when used."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport strerror

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE
    int MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
    int MADV_HUGEPAGE

cdef extern from "slg_memory.h" nogil:
    int MADV_POPULATE_WRITE

cdef enum:
    HUGE_PAGE = 2097152
    AHEAD = 2                   # records backed beforehand to those added since the last look
    PAGE = 4096                 # the smallest that there is; larger ones are touched more than once
    PAGE_LARGEST = 65536        # of ordinary pages


cdef void* memory_reserve(uint64_t bytes) except NULL:
    cdef uint64_t length = bytes if bytes else 1    # mmap refuses 0
    cdef void* memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if memory == MAP_FAILED:
        raise MemoryError(f"cannot reserve {bytes} bytes: {strerror(errno).decode()}")
    if length >= HUGE_PAGE:
        # Records are visited in no order, so this saves TLB misses; a kernel may refuse it.
        madvise(memory, length, MADV_HUGEPAGE)
    return memory


cdef void memory_ready(void* memory, uint64_t bytes) noexcept nogil:
    cdef uint64_t at = 0
    while at < bytes:
        (<uint8_t*>memory)[at] = 0
        at += PAGE


cdef void memory_ahead(Ahead* ahead, void* memory, uint32_t size, uint32_t first, uint32_t high,
                       uint32_t end) noexcept nogil:
    cdef uint64_t added = high - ahead.seen
    cdef uint64_t used = (<uint64_t>first + high) * size
    cdef uint64_t wanted = min(<uint64_t>first + high + AHEAD * added, <uint64_t>end) * size
    cdef uint64_t place = <uint64_t>memory + max(ahead.backed, used)
    ahead.seen = high
    if wanted <= max(ahead.backed, used):
        return
    place = max(place & ~<uint64_t>(PAGE_LARGEST - 1), <uint64_t>memory)
    if madvise(<void*>place, <uint64_t>memory + wanted - place, MADV_POPULATE_WRITE) == 0:
        ahead.backed = wanted


cdef void memory_release(void* memory, uint64_t bytes) noexcept nogil:
    if memory != NULL:
        munmap(memory, bytes if bytes else 1)
