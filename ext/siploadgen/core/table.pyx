"""Open-addressing table from 64-bit keys to record numbers (see table.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from siploadgen.core.memory cimport memory_ready, memory_release, memory_reserve
from siploadgen.core.types cimport NONE, SLG_ASSERT


cdef int table_open(Table* table, uint32_t capacity) except -1:
    cdef uint64_t slots = 64
    while slots < 2 * <uint64_t>capacity:
        slots *= 2
    table.entries = <TableEntry*>memory_reserve(slots * sizeof(TableEntry))
    table.mask = <uint32_t>(slots - 1)
    table.used = 0
    return 0


cdef void table_ready(Table* table) noexcept nogil:
    memory_ready(table.entries, (<uint64_t>table.mask + 1) * sizeof(TableEntry))


cdef void table_close(Table* table) noexcept nogil:
    if table.entries != NULL:
        memory_release(table.entries, (<uint64_t>table.mask + 1) * sizeof(TableEntry))
        table.entries = NULL


cdef void table_add(Table* table, uint64_t key, uint32_t value) noexcept nogil:
    cdef uint32_t slot = table_home(table, key)
    SLG_ASSERT(table.used <= table.mask // 2)
    while table.entries[slot].value != 0:
        slot = (slot + 1) & table.mask
    table.entries[slot].value = value + 1
    table.entries[slot].tag = <uint32_t>key
    table.used += 1


cdef uint32_t table_find(const Table* table, uint64_t key, uint32_t* slot) noexcept nogil:
    cdef uint32_t at = slot[0]
    cdef uint32_t value
    while table.entries[at].value != 0:
        value = table.entries[at].value - 1
        slot[0] = (at + 1) & table.mask
        if table.entries[at].tag == <uint32_t>key:
            return value
        at = slot[0]
    return NONE


cdef bint table_remove(Table* table, uint64_t key, uint32_t value) noexcept nogil:
    cdef uint32_t hole = table_home(table, key)
    cdef uint32_t slot, home
    while table.entries[hole].value != value + 1 or table.entries[hole].tag != <uint32_t>key:
        if table.entries[hole].value == 0:
            return False
        hole = (hole + 1) & table.mask
    slot = hole
    while True:
        slot = (slot + 1) & table.mask
        if table.entries[slot].value == 0:
            break
        home = table.entries[slot].tag & table.mask
        # The entry may fill the hole unless its home lies after the hole, cyclically.
        if ((slot - home) & table.mask) >= ((slot - hole) & table.mask):
            table.entries[hole] = table.entries[slot]
            hole = slot
    table.entries[hole].value = 0
    table.used -= 1
    return True


cdef class RecordTable:
    """Door to one table, for tests: ``add``, ``remove`` and ``find`` by 64-bit key.

    >>> table = RecordTable(10)
    >>> table.add(7, 3); table.find(7)
    [3]
    """

    cdef Table table
    cdef uint32_t capacity

    def __cinit__(self, uint32_t capacity):
        self.capacity = capacity
        table_open(&self.table, capacity)

    def __dealloc__(self):
        table_close(&self.table)

    def __len__(self):
        return self.table.used

    def add(self, uint64_t key, uint32_t value):
        """Add one value; raises OverflowError when the table is full."""
        if self.table.used >= self.capacity:
            raise OverflowError(f"the table holds {self.capacity} values")
        table_add(&self.table, key, value)

    def remove(self, uint64_t key, uint32_t value):
        """Remove one value; False when it is not there."""
        return table_remove(&self.table, key, value)

    def find(self, uint64_t key):
        """Every value whose key has the same low half."""
        cdef uint32_t slot = table_home(&self.table, key)
        cdef uint32_t value
        values = []
        while True:
            value = table_find(&self.table, key, &slot)
            if value == NONE:
                return values
            values.append(value)
