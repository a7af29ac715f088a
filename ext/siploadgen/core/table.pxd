# Open-addressing table from 64-bit keys to record numbers: server transactions by branch. It stores
# the low half of the key; the caller compares the whole key with the record's own. Deletion shifts
# back, so there are no tombstones.
from libc.stdint cimport uint32_t, uint64_t

cdef struct TableEntry:
    uint32_t value          # record number + 1; 0: empty
    uint32_t tag            # low half of the key; its low bits are the home slot

cdef struct Table:
    TableEntry* entries
    uint32_t mask           # slots - 1
    uint32_t used

# room for `capacity` values at half load
cdef int table_open(Table* table, uint32_t capacity) except -1
# Backs all of it with memory, before anything is added: its entries lie everywhere.
cdef void table_ready(Table* table) noexcept nogil
cdef void table_close(Table* table) noexcept nogil
cdef void table_add(Table* table, uint64_t key, uint32_t value) noexcept nogil
cdef bint table_remove(Table* table, uint64_t key, uint32_t value) noexcept nogil
# Values with that tag, one after the other: start with *slot = (home) from table_home; NONE at the
# end.
cdef uint32_t table_find(const Table* table, uint64_t key, uint32_t* slot) noexcept nogil

cdef inline uint32_t table_home(const Table* table, uint64_t key) noexcept nogil:
    return <uint32_t>key & table.mask
