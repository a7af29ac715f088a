"""What time brings (see advance.pxd)."""

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.counters cimport (
    COUNT_DUE, COUNT_NOT_STARTED_NO_SLOT, COUNT_NOT_STARTED_NO_USER, COUNT_NOT_STARTED_STOPPED,
    COUNT_NOT_STARTED_THROTTLED, COUNT_STARTED,
)
from siploadgen.core.feed cimport feed_failure
from siploadgen.core.rand cimport draw_seed
from siploadgen.core.outgoing cimport send_again, send_plain, tx_event, tx_free
from siploadgen.core.hook cimport hook_replied
from siploadgen.core.overload cimport overload_admits, overload_closed
from siploadgen.core.program cimport ENTRY_OWNS_USER, OUTCOME_ABORTED
from siploadgen.core.records cimport (
    Chunk, CHUNKS, Closed, COMMAND_HANG_UP, COMMAND_PAUSE, COMMAND_STOP_STARTS, Core, core_count,
    Instance,
    instance_at, instance_legs, leg_at, Queue, Rest, ROLE_CALLER, Start,
    STARTS_COUNT, STARTS_THROTTLED, Target, tx_at, tx_node,
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

# ns from a call of a closed workload that could not start to the next try, if none ends before
cdef Nanos CLOSED_RETRY = 100_000_000


cdef void hooks_go_on(Core* core) noexcept nogil:
    cdef uint32_t index
    if not core.hooks:
        return
    index = hook_replied(core)
    while index != NONE:
        vm_run(core, index)
        index = hook_replied(core)


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


cdef inline const Start* queue_peek(Queue* queue) noexcept nogil:
    """Next start, NULL when no chunk has one."""
    cdef Chunk* chunk
    while queue.tail != slg_load_acquire(&queue.head):
        chunk = &queue.chunks[queue.tail % CHUNKS]
        if queue.at < chunk.count:
            return chunk.starts + queue.at
        queue.at = 0
        slg_store_release(&queue.tail, queue.tail + 1)
    return NULL


cdef inline void start_note(Core* core, uint32_t series, uint32_t counter) noexcept nogil:
    """Count what became of a start, in all and by series."""
    cdef uint32_t column = counter if counter <= COUNT_NOT_STARTED_NO_USER else STARTS_THROTTLED
    core_count(core, counter)
    core.starts[series * STARTS_COUNT + column] += 1


cdef uint32_t row_take(Core* core) noexcept nogil:
    """The engine's next row: it has its rows to itself, so that a user is in one engine only."""
    cdef uint32_t row = core.next_row
    if core.rows:
        core.next_row = row + core.users.row_stride
        if core.next_row >= core.rows:
            core.next_row = core.users.first_row
    return row


cdef bint call_start(Core* core, const Start* start, Nanos due, uint32_t row, uint32_t series,
                     uint32_t closed, bint kept) noexcept nogil:
    """Whether the call was started; if not, why is counted. `kept`: its place has the row already,
    and the row's user.
    """
    cdef uint32_t index
    cdef Instance* instance
    cdef const Target* target = NULL
    cdef bint owns = core.entries[start.entry].flags & ENTRY_OWNS_USER != 0
    # A user of its own is nobody else's anyway, and a row that the engine chooses may be.
    cdef bint claims = core.unique[start.stream] and row != NONE and not owns
    start_note(core, series, COUNT_DUE)
    if row == NONE:
        row = row_take(core)
    if core.obey and core.targets.count:
        target = target_choose(core, overload_closed(core))
        if target == NULL or not overload_admits(core, target):
            start_note(core, series, COUNT_NOT_STARTED_THROTTLED)
            return False
    if core.open_calls >= core.max_calls or (
            core.bounds[start.stream] and core.opened[start.stream] >= core.bounds[start.stream]):
        start_note(core, series, COUNT_NOT_STARTED_NO_SLOT)
        return False
    if owns and not kept:
        row = user_take(core)
        if row == NONE:
            start_note(core, series, COUNT_NOT_STARTED_NO_USER)
            return False
    elif claims and core.claimed[row]:
        start_note(core, series, COUNT_NOT_STARTED_NO_USER)
        return False
    index = vm_take(core, start.entry, ROLE_CALLER, due)
    if index == NONE:
        start_note(core, series, COUNT_NOT_STARTED_NO_SLOT)
        if owns and not kept:
            user_give(core, row)
        return False
    start_note(core, series, COUNT_STARTED)
    core.opened[start.stream] += 1
    instance = instance_at(core, index)
    instance.row = row
    instance.claims = claims
    if claims:
        core.claimed[row] = 1
    instance.others[0] = start.others[0]
    instance.others[1] = start.others[1]
    instance.others[2] = start.others[2]
    instance.series = <uint16_t>series
    instance.stream = start.stream
    instance.closed = <uint16_t>closed
    instance.rest = start.due
    instance.number = start.number
    instance.draws = draw_seed(core.draw_seed, start.stream, start.number)
    if target != NULL:              # the one that admits it is the one that it goes to
        target_bind(core, leg_at(core, instance_legs(core, instance)[0]), target)
    vm_run(core, index)
    return True


cdef uint32_t calls_start(Core* core, uint32_t budget) noexcept nogil:
    cdef const Start* start
    cdef uint32_t count = 0
    while count < budget:
        start = queue_peek(&core.queue)
        if start == NULL or start.due > core.now:
            break
        core.queue.at += 1
        call_start(core, start, start.due, start.row, start.series, 0, False)
        count += 1
    return count


# --- closed workloads ---

cdef uint32_t closed_wanted(const Closed* closed) noexcept nogil:
    cdef double wanted = closed.wanted * closed.factor + 0.5
    return <uint32_t>wanted if wanted < closed.room else closed.room


cdef Rest rest_pop(Closed* closed) noexcept nogil:
    """The place that has rested longest."""
    cdef Rest* rests = closed.rests
    cdef Rest first = rests[0]
    cdef Rest last
    cdef uint32_t at = 0
    cdef uint32_t below
    closed.resting -= 1
    last = rests[closed.resting]
    while True:
        below = 2 * at + 1
        if below >= closed.resting:
            break
        if below + 1 < closed.resting and rests[below + 1].until < rests[below].until:
            below += 1
        if last.until <= rests[below].until:
            break
        rests[at] = rests[below]
        at = below
    rests[at] = last
    return first


cdef inline int64_t calls_ended(Core* core) noexcept nogil:
    return core.counters[<int>COUNT_STARTED] - core.open_calls


cdef inline bint closed_blocked(Core* core, const Closed* closed) noexcept nogil:
    """There was no room, or the target wants no call: nothing has ended since."""
    return core.now < closed.retry and closed.ended == calls_ended(core)


cdef inline void place_park(Closed* closed, uint32_t row) noexcept nogil:
    """A place that is not wanted, or whose call was refused, keeps its row."""
    closed.busy -= 1
    closed.parked += 1
    closed.rests[closed.room - closed.parked].row = row


cdef Nanos closed_next(Core* core, uint32_t number) noexcept nogil:
    """When a closed workload has something to do."""
    cdef Closed* closed = core.closed + number
    cdef Nanos level = INT64_MAX
    cdef Nanos when = INT64_MAX
    if closed.level_at < closed.level_count:
        level = closed.levels[closed.level_at].when
    if queue_peek(&closed.queue) == NULL:
        return level
    if closed.busy < closed_wanted(closed):
        when = core.now
    elif closed.resting:
        when = max(closed.rests[0].until, core.now)
    if closed_blocked(core, closed):
        when = max(when, closed.retry)
    return min(level, when)


cdef uint32_t closed_fill(Core* core, uint32_t number, uint32_t budget) noexcept nogil:
    """Fill the places that are free; how many places were looked at."""
    cdef Closed* closed = core.closed + number
    cdef const Start* start
    cdef uint32_t count = 0
    cdef uint32_t row
    cdef Nanos due
    cdef bint kept
    cdef Rest rest
    while closed.level_at < closed.level_count and closed.levels[closed.level_at].when <= core.now:
        closed.wanted = closed.levels[closed.level_at].wanted
        closed.series = closed.levels[closed.level_at].series
        closed.level_at += 1
    if closed_blocked(core, closed):
        return 0
    while count < budget:
        start = queue_peek(&closed.queue)
        if start == NULL:
            break
        if closed.resting and closed.rests[0].until <= core.now:
            rest = rest_pop(closed)
            row, due, kept = rest.row, rest.until, True
            if closed.busy > closed_wanted(closed):
                place_park(closed, row)
                count += 1
                continue
        elif closed.busy < closed_wanted(closed):
            row, due, kept = start.row, core.now, closed.parked > 0
            closed.busy += 1
            if kept:
                row = closed.rests[closed.room - closed.parked].row
                closed.parked -= 1
        else:
            break
        closed.queue.at += 1
        count += 1
        if not call_start(core, start, due, row, closed.series, number + 1, kept):
            closed.retry = core.now + CLOSED_RETRY
            closed.ended = calls_ended(core)
            if kept:
                place_park(closed, row)
            else:
                closed.busy -= 1
            break
    return count


cdef inline bint held(uint64_t command) noexcept nogil:
    """No call may start."""
    return command & (COMMAND_STOP_STARTS | COMMAND_PAUSE) != 0


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
    cdef uint32_t node, number, started, count = 0
    if slg_load_acquire(&core.targets_given) != core.targets_taken:
        targets_take(core)
    hooks_go_on(core)
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
    started = 0
    if not held(slg_load_acquire(&core.command)):
        started = calls_start(core, budget)
        for number in range(core.closed_count):
            started += closed_fill(core, number, budget)
    return calls_hang_up(core, budget) >= budget or started >= budget or count >= budget


cdef Nanos advance_next(Core* core) noexcept nogil:
    cdef Nanos when = wheel_next(&core.wheel)
    cdef const Start* start
    cdef uint32_t number
    cdef uint64_t command = slg_load_acquire(&core.command)
    if not held(command):
        start = queue_peek(&core.queue)
        if start != NULL and start.due < when:
            when = start.due
        for number in range(core.closed_count):
            when = min(when, closed_next(core, number))
    if command & COMMAND_HANG_UP and (not core.applied & COMMAND_HANG_UP or core.hang_up_at > 0):
        return core.now
    return when


cdef bint queue_over(Queue* queue) noexcept nogil:
    return slg_load_acquire(&queue.last) != 0 and queue_peek(queue) == NULL


cdef bint advance_done(Core* core) noexcept nogil:
    cdef uint32_t number
    if core.open_calls:
        return False
    if slg_load_acquire(&core.command) & COMMAND_STOP_STARTS:
        return True
    if not queue_over(&core.queue):
        return False
    for number in range(core.closed_count):
        # Over when its supply is, or when it shall hold no calls any more.
        if not queue_over(&core.closed[number].queue) and (
                core.closed[number].level_at < core.closed[number].level_count
                or core.closed[number].wanted > 0):
            return False
    return True


cdef void advance_finish(Core* core) noexcept nogil:
    cdef const Start* start = queue_peek(&core.queue)
    while start != NULL:
        core.queue.at += 1
        start_note(core, start.series, COUNT_DUE)
        start_note(core, start.series, COUNT_NOT_STARTED_STOPPED)
        start = queue_peek(&core.queue)


cdef void advance_abort(Core* core) noexcept nogil:
    cdef uint32_t i
    for i in range(core.instances.high):
        if instance_at(core, i).generation & 1:
            vm_end(core, i, OUTCOME_ABORTED)
    for i in range(core.txs.high):
        if tx_at(core, i).generation & 1:
            tx_free(core, i)
