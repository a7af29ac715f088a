"""What time brings (see advance.pxd)."""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from siploadgen.core.counters cimport (
    COUNT_DUE, COUNT_NOT_STARTED_NO_SLOT, COUNT_NOT_STARTED_NO_USER, COUNT_NOT_STARTED_STOPPED,
    COUNT_NOT_STARTED_THROTTLED, COUNT_STARTED,
)
from siploadgen.core.feed cimport feed_failure
from siploadgen.core.outgoing cimport send_again, send_plain, tx_event, tx_free
from siploadgen.core.overload cimport overload_admits, overload_closed
from siploadgen.core.program cimport ENTRY_OWNS_USER, OUTCOME_ABORTED
from siploadgen.core.records cimport (
    Chunk, CHUNKS, COMMAND_HANG_UP, COMMAND_LAST_CHUNK, COMMAND_PAUSE, COMMAND_STOP_STARTS,
    Core, core_count, instance_at, instance_legs, leg_at, ROLE_CALLER, Target, tx_at, tx_node,
)
from siploadgen.core.tx cimport (
    Tx, tx_due, tx_next, TXA_END, TXA_FAIL_TIMEOUT, TXA_FAIL_TRANSPORT, TXA_RESEND, TXA_SEND,
    TXE_EVENTS,
)
from siploadgen.core.targets cimport target_bind, target_choose, targets_take
from siploadgen.core.types cimport Nanos, NONE
from siploadgen.core.user cimport user_give, user_take
from siploadgen.core.vm cimport vm_end, vm_hang_up, vm_run, vm_take, vm_timer
from siploadgen.core.wheel cimport wheel_add, wheel_next, wheel_pop

cdef extern from "slg_atomic.h" nogil:
    uint64_t slg_load_acquire(const uint64_t* word)
    void slg_store_release(uint64_t* word, uint64_t value)


cdef void tx_timer(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef uint32_t event = tx_due(tx, core.now)
    cdef uint32_t actions
    if event == TXE_EVENTS:
        if tx_next(tx) != INT64_MAX:
            wheel_add(&core.wheel, tx_node(core, index), tx_next(tx))
        return
    actions = tx_event(core, index, event)
    if actions & TXA_RESEND:
        send_again(core, index)
    elif actions & TXA_SEND:
        send_plain(core, index, 100)
    if actions & (TXA_FAIL_TIMEOUT | TXA_FAIL_TRANSPORT):
        feed_failure(core, index, actions)
    if actions & TXA_END:
        tx_free(core, index)


cdef inline const int64_t* due_peek(Core* core) noexcept nogil:
    """Next due time, NULL when no chunk has one."""
    cdef Chunk* chunk
    while core.chunk_tail != slg_load_acquire(&core.chunk_head):
        chunk = &core.chunks[core.chunk_tail % CHUNKS]
        if core.chunk_at < chunk.count:
            return chunk.due + core.chunk_at
        core.chunk_at = 0
        slg_store_release(&core.chunk_tail, core.chunk_tail + 1)
    return NULL


cdef void call_start(Core* core, Nanos due) noexcept nogil:
    cdef uint32_t row = core.next_row
    cdef uint32_t index
    cdef const Target* target = NULL
    cdef bint owns = core.entries[core.entry].flags & ENTRY_OWNS_USER != 0
    core_count(core, COUNT_DUE)
    if core.rows:
        # An engine has its rows to itself, so that a user is in one engine only.
        core.next_row = row + core.users.row_stride
        if core.next_row >= core.rows:
            core.next_row = core.users.first_row
    if core.obey and core.targets.count:
        target = target_choose(core, overload_closed(core))
        if target == NULL or not overload_admits(core, target):
            core_count(core, COUNT_NOT_STARTED_THROTTLED)
            return
    if core.open_calls >= core.max_calls:
        core_count(core, COUNT_NOT_STARTED_NO_SLOT)
        return
    if owns:
        row = user_take(core)
        if row == NONE:
            core_count(core, COUNT_NOT_STARTED_NO_USER)
            return
    index = vm_take(core, core.entry, ROLE_CALLER, due)
    if index == NONE:
        core_count(core, COUNT_NOT_STARTED_NO_SLOT)
        if owns:
            user_give(core, row)
        return
    core_count(core, COUNT_STARTED)
    instance_at(core, index).row = row
    if target != NULL:              # the one that admits it is the one that it goes to
        target_bind(core, leg_at(core, instance_legs(core, instance_at(core, index))[0]), target)
    vm_run(core, index)


cdef uint32_t calls_start(Core* core, uint32_t budget) noexcept nogil:
    cdef const int64_t* due
    cdef uint32_t count = 0
    if slg_load_acquire(&core.command) & (COMMAND_STOP_STARTS | COMMAND_PAUSE):
        return 0
    while count < budget:
        due = due_peek(core)
        if due == NULL or due[0] > core.now:
            break
        core.chunk_at += 1
        call_start(core, due[0])
        count += 1
    return count


cdef uint32_t calls_hang_up(Core* core, uint32_t budget) noexcept nogil:
    """Walk over the instances that were open when the hang-up was wished, a few at a time."""
    cdef uint32_t count = 0
    if not slg_load_acquire(&core.command) & COMMAND_HANG_UP:
        return 0
    if not core.applied & COMMAND_HANG_UP:
        core.applied |= COMMAND_HANG_UP
        core.hang_up_at = core.instances.high
    while core.hang_up_at > 0 and count < budget:
        core.hang_up_at -= 1
        if instance_at(core, core.hang_up_at).generation & 1:
            vm_hang_up(core, core.hang_up_at)
            count += 1
    return count


cdef bint advance(Core* core, uint32_t budget) noexcept nogil:
    cdef uint32_t node, started, count = 0
    if slg_load_acquire(&core.targets_given) != core.targets_taken:
        targets_take(core)
    while count < budget:
        node = wheel_pop(&core.wheel, core.now)
        if node == NONE:
            break
        if node < core.instances.capacity:
            vm_timer(core, node)
        else:
            tx_timer(core, node - core.instances.capacity)
        count += 1
    # Starts have a share of their own, so that a flood of timers does not hold them back.
    started = calls_start(core, budget)
    return calls_hang_up(core, budget) >= budget or started >= budget or count >= budget


cdef Nanos advance_next(Core* core) noexcept nogil:
    cdef Nanos when = wheel_next(&core.wheel)
    cdef const int64_t* due
    cdef uint64_t command = slg_load_acquire(&core.command)
    if not command & (COMMAND_STOP_STARTS | COMMAND_PAUSE):
        due = due_peek(core)
        if due != NULL and due[0] < when:
            when = due[0]
    if command & COMMAND_HANG_UP and (not core.applied & COMMAND_HANG_UP or core.hang_up_at > 0):
        return core.now
    return when


cdef bint advance_done(Core* core) noexcept nogil:
    cdef uint64_t command = slg_load_acquire(&core.command)
    if core.open_calls:
        return False
    if command & COMMAND_STOP_STARTS:
        return True
    return command & COMMAND_LAST_CHUNK != 0 and due_peek(core) == NULL


cdef void advance_finish(Core* core) noexcept nogil:
    while due_peek(core) != NULL:
        core.chunk_at += 1
        core_count(core, COUNT_DUE)
        core_count(core, COUNT_NOT_STARTED_STOPPED)


cdef void advance_abort(Core* core) noexcept nogil:
    cdef uint32_t i
    for i in range(core.instances.high):
        if instance_at(core, i).generation & 1:
            vm_end(core, i, OUTCOME_ABORTED)
    for i in range(core.txs.high):
        if tx_at(core, i).generation & 1:
            tx_free(core, i)
