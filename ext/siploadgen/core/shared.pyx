"""Variables of users and of the run (see shared.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.memory cimport memory_release, memory_reserve
from siploadgen.core.program cimport (
    Insn, SHARE_ADD, SHARE_READ, SHARE_READ_TEXT, SHARE_WRITE, SHARE_WRITE_TEXT,
)
from siploadgen.core.records cimport (
    Core, core_count, Instance, instance_texts, instance_variables, SharedPlace,
)
from siploadgen.core.span cimport Span
from siploadgen.core.texts cimport text_data, text_give, text_span, text_take
from siploadgen.core.types cimport NONE, SLG_UNREACHABLE

cdef extern from "slg_shared.h" nogil:
    enum:
        SLG_CELL_TEXT

    ctypedef struct slg_cell:
        pass

    int64_t slg_shared_read(const int64_t* word)
    void slg_shared_write(int64_t* word, int64_t value)
    int64_t slg_shared_add(int64_t* word, int64_t value)
    uint32_t slg_cell_read(const slg_cell* cell, uint8_t* out)
    void slg_cell_write(slg_cell* cell, const uint8_t* data, uint32_t length)


cdef inline uint64_t place_at(Core* core, const Instance* instance, uint32_t number) noexcept nogil:
    """Where the variable stands among the numbers, or among the cells."""
    cdef const SharedPlace* place = core.shared.places + number
    cdef uint64_t row
    if not place.stride:
        return place.at
    row = instance.row if instance.row < core.shared.rows else 0
    return place.at + row * place.stride


cdef void text_read(Core* core, Instance* instance, const Insn* insn,
                    const slg_cell* cell) noexcept nogil:
    cdef uint8_t room[500]
    cdef uint32_t length = slg_cell_read(cell, room)
    cdef uint32_t* text = instance_texts(core, instance) + insn.a
    text_give(&core.texts, text[0])
    text[0] = NONE
    if length:
        text[0] = text_take(&core.texts, length)
        if text[0] == NONE:
            core_count(core, COUNT_SLAB_FULL)
        else:
            memcpy(text_data(&core.texts, text[0]), room, length)


cdef void text_write(Core* core, Instance* instance, const Insn* insn,
                     slg_cell* cell) noexcept nogil:
    """What is longer than a cell is not kept: the variable is empty then, and it is counted."""
    cdef Span text = text_span(&core.texts, instance_texts(core, instance)[insn.a])
    if text.length > <uint32_t>SLG_CELL_TEXT:
        core_count(core, COUNT_SLAB_FULL)
        text.length = 0
    slg_cell_write(cell, text.data, text.length)


cdef void share(Core* core, Instance* instance, const Insn* insn, int64_t operand) noexcept nogil:
    cdef uint64_t at = place_at(core, instance, insn.b)
    cdef int64_t* variable = instance_variables(core, instance) + insn.a
    if insn.flags == SHARE_READ:
        variable[0] = slg_shared_read(core.shared.numbers + at)
    elif insn.flags == SHARE_WRITE:
        slg_shared_write(core.shared.numbers + at, variable[0])
    elif insn.flags == SHARE_ADD:
        variable[0] = slg_shared_add(core.shared.numbers + at, operand)
    elif insn.flags == SHARE_READ_TEXT:
        text_read(core, instance, insn, <const slg_cell*>core.shared.cells + at)
    elif insn.flags == SHARE_WRITE_TEXT:
        text_write(core, instance, insn, <slg_cell*>core.shared.cells + at)
    else:
        SLG_UNREACHABLE()


cdef class Shared:
    """The variables of users and run that a program has, all 0 or empty, for one run.

    `shared` are the program's (name, "number" or "text"); those of `user.` have a place for each of
    `rows` users. Memory of users that nothing was written to costs nothing.
    """

    def __cinit__(self, tuple shared not None, uint32_t rows):
        cdef uint32_t per_user[2]
        cdef uint32_t of_run[2]
        cdef uint32_t number, kind
        cdef SharedPlace* places
        self.names = shared
        self.table.rows = rows if rows else 1
        places = <SharedPlace*>calloc(len(shared) + 1, sizeof(SharedPlace))
        if places == NULL:
            raise MemoryError("shared variables")
        self.table.places = places
        per_user[0] = per_user[1] = of_run[0] = of_run[1] = 0
        for name, what in shared:
            kind = what == "text"
            if name.startswith("user."):
                per_user[kind] += 1
            else:
                of_run[kind] += 1
        for number, (name, what) in enumerate(shared):
            kind = what == "text"
            places[number].text = kind
            if name.startswith("user."):
                places[number].stride = per_user[kind]
                places[number].at = of_run[kind]
        self._spread(places, len(shared), of_run[0], of_run[1])
        self.number_octets = 8 * (
            of_run[0] + <uint64_t>self.table.rows * per_user[0] + 1)
        self.cell_octets = sizeof(slg_cell) * (
            of_run[1] + <uint64_t>self.table.rows * per_user[1] + 1)
        self.table.numbers = <int64_t*>memory_reserve(self.number_octets)
        self.table.cells = memory_reserve(self.cell_octets)

    cdef void _spread(self, SharedPlace* places, uint32_t count, uint32_t numbers,
                      uint32_t cells):
        """Give each of them its own place: those of the run first, then a user's together."""
        cdef uint32_t run_at[2]
        cdef uint32_t user_at[2]
        cdef uint32_t i, kind
        run_at[0] = run_at[1] = 0
        user_at[0] = numbers
        user_at[1] = cells
        for i in range(count):
            kind = places[i].text
            if places[i].stride:
                places[i].at = user_at[kind]
                user_at[kind] += 1
            else:
                places[i].at = run_at[kind]
                run_at[kind] += 1

    def __dealloc__(self):
        memory_release(self.table.numbers, self.number_octets)
        memory_release(self.table.cells, self.cell_octets)
        free(<void*>self.table.places)

    cdef uint64_t _at(self, name, row) except? 0xFFFFFFFFFFFFFFFF:
        cdef uint32_t number = [one[0] for one in self.names].index(name)
        if not 0 <= row < self.table.rows:
            raise IndexError(f"row {row} of {self.table.rows}")
        return self.table.places[number].at + <uint64_t>row * self.table.places[number].stride

    def value(self, name, row=0):
        """Return what a variable holds now, an int or bytes; ValueError when there is none."""
        cdef uint8_t room[500]
        cdef uint64_t at = self._at(name, row)
        cdef uint32_t length
        if dict(self.names)[name] == "text":
            length = slg_cell_read(<const slg_cell*>self.table.cells + at, room)
            return room[:length]
        return slg_shared_read(self.table.numbers + at)
