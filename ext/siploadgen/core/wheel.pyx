"""Timing wheel over node numbers: see wheel.pxd."""

cimport cython
from libc.stdint cimport INT64_MAX, uint32_t, uint64_t

from siploadgen.core.memory cimport (
    memory_ahead, memory_ready, memory_release, memory_reserve,
)
from siploadgen.core.types cimport NONE, SLG_ASSERT, Nanos, slg_clz64, slg_ctz64

cdef enum:
    IN_HEAD = 0x80000000                        # .prev is a list's number, not a node's
    SPAN_BITS = WHEEL_LEVEL_BITS * WHEEL_LEVELS  # ticks told apart by the slots: 2**30


cdef inline uint64_t tick_of(Nanos when) noexcept nogil:
    return <uint64_t>when >> WHEEL_TICK_SHIFT if when > 0 else 0


cdef inline void link(Wheel* wheel, uint32_t where, uint32_t node) noexcept nogil:
    """Put a node that is in no list at the front of one."""
    cdef uint32_t head = wheel.heads[where]
    wheel.nodes[node].next = head
    wheel.nodes[node].prev = IN_HEAD | where
    if head != NONE:
        wheel.nodes[head].prev = node + 1
    wheel.heads[where] = node


cdef void queue_shorten(Wheel* wheel, uint32_t node, uint32_t last) noexcept nogil:
    """A node that was the last of its list goes: if that is a queue, `last` is the last now."""
    cdef uint32_t queue
    for queue in range(<uint32_t>WHEEL_QUEUES):
        if wheel.tails[queue] == node:
            wheel.tails[queue] = last
            return


cdef inline void unlink(Wheel* wheel, uint32_t node) noexcept nogil:
    """Take a node out of its list; the slot's bit goes with its last node."""
    cdef uint32_t next = wheel.nodes[node].next
    cdef uint32_t prev = wheel.nodes[node].prev
    cdef uint32_t where
    if prev & IN_HEAD:
        where = prev & ~<uint32_t>IN_HEAD
        SLG_ASSERT(where < WHEEL_LISTS and wheel.heads[where] == node)
        wheel.heads[where] = next
        if next == NONE and where < WHEEL_NEAR:
            wheel.bits[where >> WHEEL_LEVEL_BITS] &= ~(<uint64_t>1 << (where & (WHEEL_SLOTS - 1)))
    else:
        wheel.nodes[prev - 1].next = next
    if next != NONE:
        wheel.nodes[next].prev = prev
    else:
        queue_shorten(wheel, node, NONE if prev & IN_HEAD else prev - 1)
    wheel.nodes[node].prev = 0


cdef inline uint32_t list_of(Wheel* wheel, uint64_t tick) noexcept nogil:
    """Where a node of that tick belongs.

    The highest digit in which it differs from the wheel's tick is the level, that digit the slot.
    """
    cdef int level
    if tick <= wheel.tick:
        return WHEEL_NEAR
    level = (63 - slg_clz64(tick ^ wheel.tick)) // WHEEL_LEVEL_BITS
    if level >= WHEEL_LEVELS:
        return WHEEL_FAR
    return <uint32_t>(level << WHEEL_LEVEL_BITS) | (
        <uint32_t>(tick >> (level * WHEEL_LEVEL_BITS)) & (WHEEL_SLOTS - 1))


cdef inline void place(Wheel* wheel, uint32_t node) noexcept nogil:
    cdef Nanos when = wheel.nodes[node].when
    cdef uint32_t where = list_of(wheel, tick_of(when))
    if where < WHEEL_NEAR:
        wheel.bits[where >> WHEEL_LEVEL_BITS] |= <uint64_t>1 << (where & (WHEEL_SLOTS - 1))
    elif where == WHEEL_NEAR and (wheel.heads[WHEEL_NEAR] == NONE or when < wheel.near_when):
        wheel.near_when = when
    link(wheel, where, node)


cdef uint32_t next_list(Wheel* wheel, uint64_t* start) noexcept nogil:
    """The next slot that holds nodes (or WHEEL_FAR) and the tick where it begins; NONE: no more.

    A level's slots all lie inside the current slot of the level above, so the lowest level with a
    later slot has the earliest one.
    """
    cdef int level, shift
    cdef uint32_t digit, slot
    cdef uint64_t later
    for level in range(WHEEL_LEVELS):
        shift = level * WHEEL_LEVEL_BITS
        digit = <uint32_t>(wheel.tick >> shift) & (WHEEL_SLOTS - 1)
        later = wheel.bits[level] >> digit >> 1
        if later:
            slot = digit + 1 + <uint32_t>slg_ctz64(later)
            start[0] = (wheel.tick >> shift << shift) + (<uint64_t>(slot - digit) << shift)
            return <uint32_t>(level << WHEEL_LEVEL_BITS) | slot
    if wheel.heads[WHEEL_FAR] != NONE:
        start[0] = ((wheel.tick >> SPAN_BITS) + 1) << SPAN_BITS
        return WHEEL_FAR
    return NONE


cdef void step(Wheel* wheel, uint64_t target) noexcept nogil:
    """Move on to the next slot that holds nodes and place those again, `target` at most."""
    cdef uint64_t start = 0
    cdef uint32_t where = next_list(wheel, &start)
    cdef uint32_t node, next
    if where == NONE or start > target:
        wheel.tick = target
        return
    if where == WHEEL_FAR:
        # All slots are empty: nothing is lost by skipping the rest, whole turns if need be.
        start = target
    else:
        wheel.bits[where >> WHEEL_LEVEL_BITS] &= ~(<uint64_t>1 << (where & (WHEEL_SLOTS - 1)))
    SLG_ASSERT(start > wheel.tick)
    wheel.tick = start
    node = wheel.heads[where]
    wheel.heads[where] = NONE
    while node != NONE:
        next = wheel.nodes[node].next
        place(wheel, node)
        node = next


cdef void expire(Wheel* wheel) noexcept nogil:
    """Sort WHEEL_NEAR into what is due at wheel.now and the rest."""
    cdef uint32_t node = wheel.heads[WHEEL_NEAR]
    cdef uint32_t next, last = NONE
    SLG_ASSERT(wheel.heads[WHEEL_EXPIRED] == NONE)
    wheel.near_when = INT64_MAX
    while node != NONE:
        next = wheel.nodes[node].next
        if wheel.nodes[node].when > wheel.now:
            if wheel.nodes[node].when < wheel.near_when:
                wheel.near_when = wheel.nodes[node].when
        else:
            unlink(wheel, node)
            if last == NONE:
                link(wheel, WHEEL_EXPIRED, node)
            else:
                wheel.nodes[last].next = node
                wheel.nodes[node].prev = last + 1
                wheel.nodes[node].next = NONE
            last = node
        node = next


cdef Nanos bound(Wheel* wheel) noexcept nogil:
    cdef uint64_t start = 0
    cdef Nanos when = INT64_MAX
    cdef uint32_t queue, node
    if wheel.heads[WHEEL_NEAR] != NONE:
        when = wheel.near_when
    elif next_list(wheel, &start) != NONE:
        when = <Nanos>(start << WHEEL_TICK_SHIFT)
    for queue in range(<uint32_t>WHEEL_QUEUES):
        node = wheel.heads[WHEEL_QUEUE + queue]
        if node != NONE and wheel.nodes[node].when < when:
            when = wheel.nodes[node].when
    return when


cdef uint32_t queued_due(Wheel* wheel) noexcept nogil:
    """The first of a queue that is due, NONE."""
    cdef uint32_t queue, node
    for queue in range(<uint32_t>WHEEL_QUEUES):
        node = wheel.heads[WHEEL_QUEUE + queue]
        if node != NONE and wheel.nodes[node].when <= wheel.now:
            return node
    return NONE


cdef uint32_t wheel_pop_due(Wheel* wheel, Nanos now) noexcept nogil:
    cdef uint32_t node = wheel.heads[WHEEL_EXPIRED]
    cdef uint64_t target
    if node == NONE:
        if now > wheel.now:
            wheel.now = now
        target = tick_of(wheel.now)
        while True:
            if wheel.heads[WHEEL_NEAR] != NONE and wheel.near_when <= wheel.now:
                expire(wheel)
            if wheel.heads[WHEEL_EXPIRED] != NONE or wheel.tick == target:
                break
            step(wheel, target)
        wheel.soonest = bound(wheel)
        node = wheel.heads[WHEEL_EXPIRED]
        if node == NONE:
            node = queued_due(wheel)
            if node == NONE:
                return NONE
    unlink(wheel, node)
    wheel.armed -= 1
    SLG_ASSERT(wheel.nodes[node].when <= wheel.now)
    return node


cdef void wheel_add(Wheel* wheel, uint32_t node, Nanos when) noexcept nogil:
    SLG_ASSERT(node < wheel.capacity)
    if wheel.nodes[node].prev != 0:
        unlink(wheel, node)
    else:
        wheel.armed += 1
    wheel.nodes[node].when = when
    place(wheel, node)
    if when < wheel.soonest:
        wheel.soonest = when


cdef void wheel_add_behind(Wheel* wheel, uint32_t node, Nanos when, uint32_t queue) noexcept nogil:
    cdef uint32_t tail
    SLG_ASSERT(node < wheel.capacity and queue < WHEEL_QUEUES)
    if wheel.nodes[node].prev != 0:
        unlink(wheel, node)
    else:
        wheel.armed += 1
    wheel.nodes[node].when = when
    tail = wheel.tails[queue]
    if tail == NONE:
        link(wheel, WHEEL_QUEUE + queue, node)
        wheel.tails[queue] = node
    elif wheel.nodes[tail].when <= when:
        wheel.nodes[tail].next = node
        wheel.nodes[node].prev = tail + 1
        wheel.nodes[node].next = NONE
        wheel.tails[queue] = node
    else:
        place(wheel, node)
    if when < wheel.soonest:
        wheel.soonest = when


cdef void wheel_del(Wheel* wheel, uint32_t node) noexcept nogil:
    SLG_ASSERT(node < wheel.capacity)
    if wheel.nodes[node].prev != 0:
        unlink(wheel, node)
        wheel.armed -= 1


cdef int wheel_open(Wheel* wheel, uint32_t capacity, Nanos now) except -1:
    cdef int i
    wheel.nodes = NULL
    if capacity < 1 or capacity >= IN_HEAD - 1:
        raise ValueError(f"{capacity} nodes: not from 1 to {IN_HEAD - 2}")
    wheel.nodes = <WheelNode*>memory_reserve(<uint64_t>capacity * sizeof(WheelNode))
    wheel.capacity = capacity
    wheel.armed = 0
    for i in range(2):
        wheel.ahead[i].backed = 0
        wheel.ahead[i].seen = 0
    wheel.tick = tick_of(now)
    wheel.now = now
    wheel.soonest = INT64_MAX
    wheel.near_when = INT64_MAX
    for i in range(WHEEL_LEVELS):
        wheel.bits[i] = 0
    for i in range(WHEEL_LISTS):
        wheel.heads[i] = NONE
    for i in range(WHEEL_QUEUES):
        wheel.tails[i] = NONE
    return 0


cdef void wheel_ready(Wheel* wheel, uint32_t first, uint32_t nodes) noexcept nogil:
    SLG_ASSERT(wheel.armed == 0 and first + nodes <= wheel.capacity)
    memory_ready(wheel.nodes + first, nodes * <uint64_t>sizeof(WheelNode))


cdef void wheel_ahead(Wheel* wheel, uint32_t part, uint32_t first, uint32_t high) noexcept nogil:
    memory_ahead(&wheel.ahead[part], wheel.nodes, sizeof(WheelNode), first, high, wheel.capacity)


cdef void wheel_close(Wheel* wheel) noexcept nogil:
    memory_release(wheel.nodes, <uint64_t>wheel.capacity * sizeof(WheelNode))
    wheel.nodes = NULL
    wheel.capacity = 0
    wheel.armed = 0


cdef int wheel_check(Wheel* wheel) except -1:
    cdef uint32_t where, node, before, found = 0, armed = 0
    cdef WheelNode* record
    cdef Nanos last
    cdef bint bit
    assert wheel.tick <= tick_of(wheel.now), "the tick is not ahead of the time"
    for where in range(<uint32_t>WHEEL_LISTS):
        node = wheel.heads[where]
        if where < WHEEL_NEAR:
            bit = wheel.bits[where >> WHEEL_LEVEL_BITS] >> (where & (WHEEL_SLOTS - 1)) & 1
            assert bit == (node != NONE), f"slot {where}: the bit says whether it holds nodes"
        before = <uint32_t>(IN_HEAD | where)
        last = -INT64_MAX
        assert node != NONE or where < WHEEL_QUEUE or wheel.tails[where - WHEEL_QUEUE] == NONE, \
            f"queue {where} is empty"
        while node != NONE:
            assert node < wheel.capacity, f"list {where}: node {node} exists"
            record = &wheel.nodes[node]
            assert record.prev == before, f"list {where}: node {node} points back"
            if where == WHEEL_EXPIRED:
                assert record.when <= wheel.now, f"node {node} is due"
            elif where >= WHEEL_QUEUE:
                assert record.when >= last, f"queue {where}: node {node} is behind the one before"
                assert record.when >= wheel.soonest, f"node {node} is not before soonest"
                last = record.when
                assert record.next != NONE or wheel.tails[where - WHEEL_QUEUE] == node, \
                    f"queue {where}: its last node"
            else:
                assert where == list_of(wheel, tick_of(record.when)), f"node {node} is placed"
                assert record.when >= wheel.soonest, f"node {node} is not before soonest"
            if where == WHEEL_NEAR:
                assert record.when >= wheel.near_when, f"node {node} is not before near_when"
            found += 1
            assert found <= wheel.armed, "every list ends"
            before = node + 1
            node = record.next
    assert found == wheel.armed, "the lists hold every armed node"
    for node in range(wheel.capacity):
        armed += wheel.nodes[node].prev != 0
    assert armed == wheel.armed, "no node outside the lists is armed"
    return 0


@cython.final
cdef class TimerWheel:
    """A timing wheel over the nodes 0 .. capacity - 1, for tests."""

    cdef Wheel wheel

    def __cinit__(self, uint32_t capacity, Nanos now=0):
        wheel_open(&self.wheel, capacity, now)

    def __dealloc__(self):
        wheel_close(&self.wheel)

    cdef int known(self, uint32_t node) except -1:
        if node >= self.wheel.capacity:
            raise IndexError(node)
        return 0

    def add(self, uint32_t node, Nanos when):
        """Arm or move a node."""
        self.known(node)
        wheel_add(&self.wheel, node, when)

    def add_behind(self, uint32_t node, Nanos when, uint32_t queue):
        """Arm or move a node by a queue."""
        self.known(node)
        if queue >= WHEEL_QUEUES:
            raise IndexError(queue)
        wheel_add_behind(&self.wheel, node, when, queue)

    def delete(self, uint32_t node):
        """Disarm a node."""
        self.known(node)
        wheel_del(&self.wheel, node)

    def pop(self, Nanos now):
        """Disarm and return a node that is due at `now`, or None."""
        cdef uint32_t node = wheel_pop(&self.wheel, now)
        return None if node == NONE else node

    def next(self):
        """When to pop again, or None when nothing is armed."""
        cdef Nanos when = wheel_next(&self.wheel)
        return None if when == INT64_MAX else when

    def when(self, uint32_t node):
        """When a node is due, or None when it is not armed."""
        self.known(node)
        return wheel_when(&self.wheel, node) if wheel_armed(&self.wheel, node) else None

    @property
    def armed(self):
        """Armed nodes."""
        return self.wheel.armed

    def check(self):
        """Raise AssertionError naming the first broken invariant."""
        wheel_check(&self.wheel)
