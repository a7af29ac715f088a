"""The loop of one engine on real sockets (see loop.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from siploadgen.core.advance cimport advance, advance_abort, advance_done, advance_next
from siploadgen.core.ahead cimport ahead_parse
from siploadgen.core.counters cimport COUNT_BUSY_NS, COUNT_LOOPS, COUNT_WAIT_NS
from siploadgen.core.departure cimport send_flush
from siploadgen.core.feed cimport feed_error, feed_parsed
from siploadgen.core.net.udp cimport (
    clock_monotonic, Datagram, UDP_LINES, udp_error, udp_receive, udp_tick, UdpError,
)
from siploadgen.core.records cimport COMMAND_ABORT, Core, core_count
from siploadgen.core.types cimport Nanos

cdef extern from "slg_atomic.h" nogil:
    uint64_t slg_load_acquire(const uint64_t* word)

cdef extern from "poll.h" nogil:
    enum:
        POLLIN

    struct pollfd:
        int fd
        short events
        short revents

cdef extern from "sys/eventfd.h" nogil:
    ctypedef uint64_t eventfd_t
    int eventfd_read(int fd, eventfd_t* value)

cdef extern from "sys/prctl.h" nogil:
    enum:
        PR_SET_TIMERSLACK

    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)

cdef extern from "time.h" nogil:
    enum:
        CLOCK_MONOTONIC
        TIMER_ABSTIME

    struct timespec:
        long tv_sec
        long tv_nsec

    int clock_nanosleep(int clock, int flags, const timespec* when, timespec* left)

cdef extern from "slg_net.h" nogil:
    void slg_short_slices(uint64_t ns)
    int ppoll(pollfd* fds, unsigned long count, const timespec* wait, const void* signals)

cdef enum:
    BATCHES = 4                 # receive batches before timers and starts get their turn
    BUDGET = 32                 # timers, and starts, of one turn
    FLUSH_AT = 128              # messages that wait for company before they leave
    CLOCK_EVERY = 8             # datagrams handled between two readings of the clock
    DUE_EVERY = 64              # ... and between two looks at what is due
    WAIT_MAX_NS = 5000000       # longest sleep: how soon a command is seen
    TICK_NS = 100000000         # clock offsets and chief peers are looked at this often
    SLICE_NS = 100000           # the shortest that the scheduler gives
    ALL_LINES = 0xFFFF


cdef uint32_t line_drain(Core* core, uint32_t line, bint* more) noexcept nogil:
    """Handle what one line holds, a few batches at most; how many datagrams that was. `more`: there
    may be others.
    """
    cdef uint32_t total = 0
    cdef uint32_t _batch, count, i
    cdef Datagram* datagram
    for _batch in range(<uint32_t>BATCHES):
        count = udp_receive(&core.udp, line)
        for i in range(count):
            datagram = &core.udp.received[i]
            if i == 0:
                ahead_parse(core, &core.parsed[0], datagram.data, datagram.length)
            if i + 1 < count:
                ahead_parse(core, &core.parsed[(i + 1) & 1], datagram[1].data, datagram[1].length)
            if i % <uint32_t>CLOCK_EVERY == 0:
                core.now = clock_monotonic()
                # what is due does not wait for a thousand datagrams that a GRO batch may hold
                if i % <uint32_t>DUE_EVERY == DUE_EVERY - CLOCK_EVERY:
                    advance(core, BUDGET)
            feed_parsed(core, &core.parsed[i & 1], datagram.data, datagram.length, &datagram.peer,
                        datagram.received)
            if core.outbox.count >= FLUSH_AT:
                send_flush(core)
        total += count
        if not core.udp.full:
            return total
    more[0] = True
    return total


cdef void errors_drain(Core* core) noexcept nogil:
    cdef UdpError error
    cdef uint32_t line
    for line in range(2 * core.udp.sockets):
        while udp_error(&core.udp, line, &error):
            feed_error(core, error.data, error.length)


cdef uint32_t lines_wait(Core* core, Nanos wait) noexcept nogil:
    """Wait for datagrams, or a hook's reply; the lines (bits) that have some."""
    cdef pollfd fds[<int>UDP_LINES + 1]
    cdef uint32_t count = 2 * core.udp.sockets
    cdef uint32_t lines = 0
    cdef uint32_t i
    cdef timespec left
    cdef eventfd_t _replies
    left.tv_sec = wait // 1000000000
    left.tv_nsec = wait % 1000000000
    for i in range(count + 1):
        # The kernel passes over descriptors below 0: lines not open, and no hooks.
        fds[i].fd = core.udp.lines[i].fd if i < count else core.replied_fd
        fds[i].events = POLLIN
        fds[i].revents = 0
    if ppoll(fds, count + 1, &left, NULL) < 0:
        return ALL_LINES
    if fds[count].revents:
        eventfd_read(core.replied_fd, &_replies)
    for i in range(count):
        if fds[i].revents:
            lines |= <uint32_t>1 << i
    return lines


cdef void sleep_until(Nanos when) noexcept nogil:
    cdef timespec at
    at.tv_sec = when // 1000000000
    at.tv_nsec = when % 1000000000
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)


cdef void loop_run(Core* core, bint until_idle) noexcept nogil:
    cdef Nanos woke, wait, before
    cdef Nanos ticked = 0
    cdef uint32_t line, done
    cdef bint more
    cdef uint32_t arrived = ALL_LINES   # lines that have datagrams, or of which it is not known
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    slg_short_slices(SLICE_NS)
    woke = clock_monotonic()
    while True:
        core_count(core, COUNT_LOOPS)
        done = 0
        more = False
        for line in range(2 * core.udp.sockets):
            if arrived & (<uint32_t>1 << line) and core.udp.lines[line].fd >= 0:
                done += line_drain(core, line, &more)
        core.now = clock_monotonic()
        if core.now - ticked > TICK_NS:
            ticked = core.now
            udp_tick(&core.udp, core.now)
        errors_drain(core)
        more = advance(core, BUDGET) or more
        done += core.outbox.count
        if core.outbox.count:
            send_flush(core)
        if slg_load_acquire(&core.command) & COMMAND_ABORT:
            advance_abort(core)
            if core.outbox.count:
                send_flush(core)
            break
        if until_idle and advance_done(core):
            break
        if more:
            arrived = ALL_LINES
            continue
        before = clock_monotonic()
        core.counters[<int>COUNT_BUSY_NS] += before - woke
        if done and before < woke + core.coalesce:
            # What comes close together is handled together: a wake-up costs more than a message or
            # a start does. The kernel has stamped what came, and lateness shows what was due.
            sleep_until(woke + core.coalesce)
            arrived = ALL_LINES
        else:
            wait = min(advance_next(core) - before, <Nanos>WAIT_MAX_NS)
            # What comes while a wait ends by time is seen by the next one, which ends at once.
            arrived = ALL_LINES if wait <= 0 else lines_wait(core, wait)
        woke = clock_monotonic()
        core.counters[<int>COUNT_WAIT_NS] += woke - before
    before = clock_monotonic()
    core.counters[<int>COUNT_BUSY_NS] += before - woke
