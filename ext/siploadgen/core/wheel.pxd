# Hierarchical timing wheel (Varghese and Lauck 1987) over node numbers. Ticks of 65.5 us, five
# levels of 64 slots with a bitmap each: 19.5 hours; later times wait apart. Ticks only sort: a node
# is delivered by its own nanosecond, never early. It knows nothing of what a node is. A node of
# zeroes is not armed, so the node array costs nothing until it is used.
from siploadgen.core.memory cimport Ahead
from siploadgen.core.types cimport Nanos, NONE, SLG_ASSERT
from libc.stdint cimport INT64_MAX, uint32_t, uint64_t, int64_t

cdef enum:
    WHEEL_TICK_SHIFT = 16       # one tick = 2**16 ns
    WHEEL_LEVEL_BITS = 6
    WHEEL_LEVELS = 5
    WHEEL_SLOTS = 64
    # Lists beside the 5 * 64 slots
    WHEEL_NEAR = 320            # ticks up to the wheel's own, looked through at .near_when
    WHEEL_FAR = 321             # beyond the top level's 2**30 ticks
    WHEEL_EXPIRED = 322         # due at the wheel's .now and not yet popped
    # Queues of nodes that are all armed for the same time ahead, so that each comes behind the ones
    # before: they are never sorted. A slot that many nodes stand in is sorted in one go when its
    # time comes, which stops an engine with a million lingering transactions for long.
    WHEEL_QUEUE = 323
    WHEEL_QUEUES = 8
    WHEEL_LISTS = 331

cdef struct WheelNode:          # 16 bytes; four to a cache line
    uint32_t next               # NONE at the end
    uint32_t prev               # 0: not armed; node + 1; or a list's number with the top bit set
    Nanos when                  # kept after disarming

cdef struct Wheel:
    WheelNode* nodes
    uint32_t capacity
    uint32_t armed
    uint64_t tick               # nodes up to this tick are in WHEEL_NEAR, later ones in the slots
    Nanos now                   # latest time that wheel_pop was told
    Nanos soonest               # no node but the expired is due before; never too late
    Nanos near_when             # the same for WHEEL_NEAR alone
    uint64_t bits[5]            # which slots hold nodes
    uint32_t heads[331]         # first node of each list (level * 64 + slot ...), or NONE
    uint32_t tails[8]           # last node of each queue, or NONE
    Ahead ahead[2]              # wheel_ahead's own

cdef int wheel_open(Wheel* wheel, uint32_t capacity, Nanos now) except -1
# Backs some of the nodes with memory, before any is armed.
cdef void wheel_ready(Wheel* wheel, uint32_t first, uint32_t nodes) noexcept nogil
# memory_ahead of the nodes from `first` on, of which `high` are in use; `part` is 0 or 1: which of
# two such stretches of nodes that is.
cdef void wheel_ahead(Wheel* wheel, uint32_t part, uint32_t first, uint32_t high) noexcept nogil
cdef void wheel_close(Wheel* wheel) noexcept nogil
# Arms; an armed node is moved.
cdef void wheel_add(Wheel* wheel, uint32_t node, Nanos when) noexcept nogil
# The same by a queue, for nodes whose `when` is not before that of the queue's last; another one is
# armed as wheel_add does.
cdef void wheel_add_behind(Wheel* wheel, uint32_t node, Nanos when, uint32_t queue) noexcept nogil
# Disarms; nothing if not armed.
cdef void wheel_del(Wheel* wheel, uint32_t node) noexcept nogil
# Invariants, by dumb looping.
cdef int wheel_check(Wheel* wheel) except -1
# wheel_pop's slow part.
cdef uint32_t wheel_pop_due(Wheel* wheel, Nanos now) noexcept nogil

cdef inline uint32_t wheel_pop(Wheel* wheel, Nanos now) noexcept nogil:
    """A node with when <= now, disarmed; NONE when there is no more. now never runs backwards."""
    if wheel.heads[WHEEL_EXPIRED] == NONE and now < wheel.soonest:
        return NONE
    return wheel_pop_due(wheel, now)

cdef inline Nanos wheel_next(Wheel* wheel) noexcept nogil:
    """Call wheel_pop again then, or now if that is past; it may find nothing. INT64_MAX: never."""
    if wheel.armed == 0:
        return INT64_MAX
    return wheel.now if wheel.heads[WHEEL_EXPIRED] != NONE else wheel.soonest

cdef inline bint wheel_armed(Wheel* wheel, uint32_t node) noexcept nogil:
    SLG_ASSERT(node < wheel.capacity)
    return wheel.nodes[node].prev != 0

cdef inline Nanos wheel_when(Wheel* wheel, uint32_t node) noexcept nogil:
    """When an armed node is due; INT64_MAX for one that is not armed."""
    return wheel.nodes[node].when if wheel_armed(wheel, node) else INT64_MAX
