# Users: one record for each row of the data that this engine plays (rows first_row, first_row +
# row_stride, ...). A record is never freed. Its handle has a generation that no live record of a
# slab has, so that its text, 24 digits as that of a leg's token, is never one of those.
from libc.stdint cimport int64_t, uint32_t
from siploadgen.core.program cimport ENTRY_OWNS_USER
from siploadgen.core.records cimport Core, Instance, instance_legs, leg_handle, User
from siploadgen.core.types cimport Handle, handle_generation, handle_index, handle_make, NONE

cdef enum:
    USER_GENERATION = 2         # even: live records have odd ones

cdef int users_open(Core* core, uint32_t count) except -1
cdef void users_close(Core* core) noexcept nogil
# Walks everything; raises AssertionError naming the broken rule
cdef int users_check(Core* core) except -1
# Row of a user that no instance has to itself, and from now on one has: those never taken come
# first, in the order of the rows, then those given back, oldest first. NONE: all are busy.
cdef uint32_t user_take(Core* core) noexcept nogil
cdef void user_give(Core* core, uint32_t row) noexcept nogil
# The registrar's answer: seconds granted to the user's Contact; 0 or less: not registered any more.
cdef void user_registered(Core* core, uint32_t row, int64_t seconds) noexcept nogil

cdef inline uint32_t user_index(Core* core, uint32_t row) noexcept nogil:
    return (row - core.users.first_row) // core.users.row_stride

cdef inline User* user_at(Core* core, uint32_t row) noexcept nogil:
    return core.users.base + user_index(core, row)

cdef inline Handle user_handle(Core* core, uint32_t row) noexcept nogil:
    """What the Contact and the Call-ID of the user's registration carry."""
    return handle_make(USER_GENERATION, core.engine_id, user_index(core, row))

cdef inline Handle instance_contact(Core* core, Instance* instance) noexcept nogil:
    """What the Contact of an instance's registration carries."""
    if core.entries[instance.entry].flags & ENTRY_OWNS_USER:
        return user_handle(core, instance.row)
    return leg_handle(core, instance_legs(core, instance)[0])

cdef inline uint32_t user_row(Core* core, Handle handle) noexcept nogil:
    """Row of the user that a handle (of token_read) stands for, NONE when it is none's."""
    if handle_generation(handle) != USER_GENERATION or handle_index(handle) >= core.users.count:
        return NONE
    return core.users.first_row + handle_index(handle) * core.users.row_stride
