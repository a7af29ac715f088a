"""Users (see user.pxd)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from siploadgen.core.memory cimport memory_release, memory_reserve
from siploadgen.core.records cimport Core, User
from siploadgen.core.types cimport INDEX_MAX, NONE, SLG_ASSERT


cdef int users_open(Core* core, uint32_t count) except -1:
    core.users.free_head = NONE
    core.users.free_tail = NONE
    if count > INDEX_MAX:
        raise ValueError(f"{count} users in one engine: at most {INDEX_MAX}")
    if count:
        core.users.base = <User*>memory_reserve(<uint64_t>count * sizeof(User))
    core.users.count = count
    return 0


cdef void users_close(Core* core) noexcept nogil:
    if core.users.base != NULL:
        memory_release(core.users.base, <uint64_t>core.users.count * sizeof(User))
    core.users.base = NULL
    core.users.count = 0


cdef int users_check(Core* core) except -1:
    cdef uint32_t index = core.users.free_head
    cdef uint32_t free = 0, busy = 0, texts = 0
    cdef uint32_t i
    assert core.users.fresh <= core.users.count, "fresh <= count"
    while index != NONE:
        assert index < core.users.fresh, "users in the queue have been taken before"
        assert not core.users.base[index].busy, "users in the queue are nobody's"
        free += 1
        assert free <= core.users.fresh, "the queue holds every user once"
        assert core.users.base[index].next_free != NONE or index == core.users.free_tail, \
            "the queue ends at its tail"
        index = core.users.base[index].next_free
    for i in range(core.users.count):
        busy += core.users.base[i].busy
        texts += core.users.base[i].auth != 0
    assert busy + free == core.users.fresh, "a user that was taken is busy or in the queue"
    assert texts == core.users.texts, "texts of users are counted"
    return 0


cdef uint32_t user_take(Core* core) noexcept nogil:
    cdef uint32_t index = core.users.free_head
    if core.users.fresh < core.users.count:
        index = core.users.fresh
        core.users.fresh += 1
    elif index == NONE:
        return NONE
    else:
        core.users.free_head = core.users.base[index].next_free
        if core.users.free_head == NONE:
            core.users.free_tail = NONE
    SLG_ASSERT(not core.users.base[index].busy)
    core.users.base[index].busy = 1
    return core.users.first_row + index * core.users.row_stride


cdef void user_give(Core* core, uint32_t row) noexcept nogil:
    cdef uint32_t index = (row - core.users.first_row) // core.users.row_stride
    cdef User* user = core.users.base + index
    SLG_ASSERT(index < core.users.count and user.busy)
    user.busy = 0
    user.next_free = NONE
    if core.users.free_tail == NONE:
        core.users.free_head = index
    else:
        core.users.base[core.users.free_tail].next_free = index
    core.users.free_tail = index


cdef void user_registered(Core* core, uint32_t row, int64_t seconds) noexcept nogil:
    cdef User* user = core.users.base + (row - core.users.first_row) // core.users.row_stride
    # RFC 3261 20.19: an expiry has 32 bits, so the sum stays within 64.
    user.expires = core.now + seconds * 1000000000 \
        if 0 < seconds <= <int64_t>NONE else 0
