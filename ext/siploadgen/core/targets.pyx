"""The table of targets (see targets.pxd)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from siploadgen.core.net.addr cimport peer_same_address
from siploadgen.core.rand cimport rand_below
from siploadgen.core.records cimport (
    Core, Instance, instance_at, instance_legs, Leg, leg_at, Target, TARGET_NUMBERS, Targets,
    TARGETS_MAX,
)
from siploadgen.core.types cimport Nanos, Peer, SLG_ASSERT

cdef extern from "slg_atomic.h" nogil:
    uint64_t slg_load_acquire(const uint64_t* word)
    void slg_store_release(uint64_t* word, uint64_t value)

cdef enum:
    LEFT_OUT = 0x10000          # above every priority: tried last


cdef void targets_take(Core* core) noexcept nogil:
    cdef uint64_t given = slg_load_acquire(&core.targets_given)
    cdef Targets old = core.targets
    cdef Targets* new = &core.targets
    cdef uint32_t i, k
    new[0] = core.targets_next
    SLG_ASSERT(0 < new.count <= TARGETS_MAX)
    for i in range(new.count):
        for k in range(old.count):
            if peer_same_address(&new.entries[i].peer, &old.entries[k].peer):
                new.entries[i].out_until = old.entries[k].out_until
                new.entries[i].overload = old.entries[k].overload
    core.target = new.entries[0].peer
    slg_store_release(&core.targets_taken, given)


cdef const Target* target_choose(Core* core, uint64_t tried) noexcept nogil:
    cdef const Target* target
    cdef uint32_t ranks[16]
    cdef uint32_t i, count = 0
    cdef uint32_t best = 0xFFFFFFFF
    cdef uint32_t last = 0
    cdef uint64_t total = 0
    cdef uint64_t draw
    for i in range(core.targets.count):
        target = &core.targets.entries[i]
        ranks[i] = 0xFFFFFFFF
        if tried >> target.number & 1:
            continue
        ranks[i] = target.priority + (<uint32_t>LEFT_OUT if core.now < target.out_until else 0)
        if ranks[i] < best:
            best = ranks[i]
            count = 0
            total = 0
        if ranks[i] == best:
            count += 1
            total += target.share
            last = i
    if count == 0:
        return NULL
    if count > 1:
        draw = rand_below(&core.rand, total)
        for i in range(core.targets.count):
            if ranks[i] == best:
                if draw < core.targets.entries[i].share:
                    return &core.targets.entries[i]
                draw -= core.targets.entries[i].share
    return &core.targets.entries[last]


cdef void target_bind(Core* core, Leg* leg, const Target* target) noexcept nogil:
    cdef Instance* instance = instance_at(core, leg.instance)
    SLG_ASSERT(target.number < TARGET_NUMBERS)
    leg.target = target.number + 1
    leg_at(core, instance_legs(core, instance)[0]).target = leg.target
    leg.next_hop = target.peer
    core.target_calls[target.number] += 1


cdef void target_assign(Core* core, Leg* leg) noexcept nogil:
    cdef Instance* instance = instance_at(core, leg.instance)
    cdef uint32_t known = leg_at(core, instance_legs(core, instance)[0]).target
    cdef const Target* target
    cdef uint32_t i
    if known:
        for i in range(core.targets.count):
            target = &core.targets.entries[i]
            if <uint32_t>target.number + 1 == known:    # another leg of the call was there already
                leg.target = <uint8_t>known
                leg.next_hop = target.peer
                return
    target = target_choose(core, 0)
    if target != NULL:
        target_bind(core, leg, target)


cdef uint64_t target_failed(Core* core, const Peer* peer, Nanos length) noexcept nogil:
    cdef Target* target
    cdef uint32_t i
    for i in range(core.targets.count):
        target = &core.targets.entries[i]
        if peer_same_address(&target.peer, peer):
            target.out_until = max(target.out_until, core.now + length)
            return <uint64_t>1 << target.number
    return 0
