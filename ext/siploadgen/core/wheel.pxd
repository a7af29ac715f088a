# Hierarchical timing wheel (Varghese and Lauck 1987) over node numbers. Ticks of 65.5 us, five levels of 64 slots with a
# bitmap each: 19.5 hours; later times wait in the top level and are placed again. It knows nothing of what a node is.
from siploadgen.core.types cimport Nanos
from libc.stdint cimport uint32_t, uint64_t, int64_t

cdef enum:
    WHEEL_TICK_SHIFT = 16       # one tick = 2**16 ns
    WHEEL_LEVEL_BITS = 6
    WHEEL_LEVELS = 5
    WHEEL_SLOTS = 64

cdef struct WheelNode:          # 16 bytes; four to a cache line
    uint32_t next
    uint32_t prev               # a node, or a slot (marked by the top bit); see wheel.pyx
    Nanos when                  # -1 while not armed

cdef struct Wheel:
    WheelNode* nodes
    uint32_t capacity
    uint32_t armed
    uint64_t tick               # every armed node is due at or after this tick
    uint64_t bits[5]
    uint32_t slots[5][64]       # first node of each slot, NONE when empty
    uint32_t expired            # list of nodes that are due and not yet popped

cdef int wheel_open(Wheel* wheel, uint32_t capacity, Nanos now) except -1
cdef void wheel_close(Wheel* wheel) noexcept nogil
cdef void wheel_add(Wheel* wheel, uint32_t node, Nanos when) noexcept nogil      # arms; an armed node is moved
cdef void wheel_del(Wheel* wheel, uint32_t node) noexcept nogil                  # disarms; nothing if not armed
cdef uint32_t wheel_pop(Wheel* wheel, Nanos now) noexcept nogil                  # a node with when <= now, disarmed; or NONE
cdef Nanos wheel_next(Wheel* wheel) noexcept nogil                               # call wheel_pop again then; INT64_MAX: never
cdef int wheel_check(Wheel* wheel) except -1                                     # invariants, by dumb looping
