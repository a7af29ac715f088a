# Walks the machines of siploadgen/tx_table.py. The table is read once, when this module is
# imported, into static arrays; from then on an event costs two array look-ups and, when the state
# changes, the start of its timers.
from libc.stdint cimport INT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from siploadgen.core.types cimport NONE, Nanos, SLG_ASSERT, SLG_UNREACHABLE

from siploadgen import tx_table

cdef enum:
    TRYING_AFTER = 200_000_000  # ns, RFC 3261 17.2.1

cdef enum First:                # when a state's retransmission timer fires for the first time
    FIRST_NEVER = 0
    FIRST_T1
    FIRST_RUNNING               # at the instant that the state before had set

cdef enum Then:                 # and the gaps after that
    THEN_NEVER = 0
    THEN_DOUBLE
    THEN_DOUBLE_TO_T2
    THEN_T2

cdef enum Deadline:
    DEADLINE_NONE = 0
    DEADLINE_RUNNING            # the instant that the state before had set
    DEADLINE_B
    DEADLINE_D
    DEADLINE_F
    DEADLINE_H
    DEADLINE_I
    DEADLINE_J
    DEADLINE_K
    DEADLINE_L
    DEADLINE_M

cdef struct Rule:
    uint16_t actions            # TXA_STRAY: no row
    uint8_t then

cdef struct Clock:
    uint8_t first
    uint8_t then
    uint8_t streams             # repeats on reliable transports too
    uint8_t deadline
    uint8_t expires             # event that the deadline gives; TXE_EVENTS: no timers here
    uint8_t zero_on_streams     # the deadline lasts no time on reliable transports
    uint8_t after_ack           # Deadline that takes over when the ACK came

cdef Rule rules[<int>TX_KINDS][<int>TX_STATES][<int>TXE_EVENTS]
cdef Clock clocks[<int>TX_KINDS][<int>TX_STATES]


cdef int read_rows() except -1:
    """Fill `rules` from the table; ValueError when two rows speak of the same case."""
    cdef uint32_t kind, state, event
    for kind in range(TX_KINDS):
        for state in range(TX_STATES):
            for event in range(TXE_EVENTS):
                rules[kind][state][event].actions = TXA_STRAY
                rules[kind][state][event].then = state
    for row in tx_table.ROWS:
        kind = TxKind["TX_" + row.kind]
        state = TxState["TX_" + row.state]
        event = TxEvent["TXE_" + row.event]
        if rules[kind][state][event].actions != TXA_STRAY:
            raise ValueError(f"two rows for {row.kind} {row.state} {row.event}")
        rules[kind][state][event].then = TxState["TX_" + row.then]
        rules[kind][state][event].actions = sum(TxAction["TXA_" + a] for a in row.actions)
    return 0


cdef int read_clocks() except -1:
    """Fill `clocks` from the table."""
    firsts = {"": FIRST_NEVER, "T1": FIRST_T1, "RUNNING": FIRST_RUNNING}
    thens = {
        "": THEN_NEVER, "DOUBLE": THEN_DOUBLE, "DOUBLE_TO_T2": THEN_DOUBLE_TO_T2, "T2": THEN_T2,
    }
    deadlines = {"": DEADLINE_NONE, "RUNNING": DEADLINE_RUNNING}
    deadlines.update((letter, DEADLINE_B + i) for i, letter in enumerate("BDFHIJKLM"))
    cdef uint32_t kind, state
    cdef Clock* clock
    memset(clocks, 0, sizeof(clocks))
    for kind in range(TX_KINDS):
        for state in range(TX_STATES):
            clocks[kind][state].expires = TXE_EVENTS
    for row in tx_table.CLOCKS:
        kind = TxKind["TX_" + row.kind]
        state = TxState["TX_" + row.state]
        clock = &clocks[kind][state]
        clock.first = firsts[row.first]
        clock.then = thens[row.then]
        clock.streams = row.streams
        clock.deadline = deadlines[row.deadline]
        clock.expires = TxEvent["TXE_" + row.expires]
        clock.zero_on_streams = row.zero_on_streams
        clock.after_ack = deadlines[row.after_ack]
    return 0


read_rows()
read_clocks()


cdef void tx_timers_default(TxTimers* timers, Nanos t1, Nanos t2, Nanos t4) noexcept nogil:
    timers.t1 = t1
    timers.t2 = t2
    timers.t4 = t4
    timers.timer_b = 64 * t1
    timers.timer_d = 32_000_000_000     # RFC 3261 17.1.1.2: at least 32 s, whatever T1 is
    timers.timer_f = 64 * t1
    timers.timer_h = 64 * t1
    timers.timer_i = t4
    timers.timer_j = 64 * t1
    timers.timer_k = t4
    timers.timer_l = 64 * t1
    timers.timer_m = 64 * t1


cdef inline Nanos timer_length(const TxTimers* timers, uint8_t deadline) noexcept nogil:
    if deadline == DEADLINE_B:
        return timers.timer_b
    elif deadline == DEADLINE_D:
        return timers.timer_d
    elif deadline == DEADLINE_F:
        return timers.timer_f
    elif deadline == DEADLINE_H:
        return timers.timer_h
    elif deadline == DEADLINE_I:
        return timers.timer_i
    elif deadline == DEADLINE_J:
        return timers.timer_j
    elif deadline == DEADLINE_K:
        return timers.timer_k
    elif deadline == DEADLINE_L:
        return timers.timer_l
    elif deadline == DEADLINE_M:
        return timers.timer_m
    else:
        SLG_UNREACHABLE()
        return 0


cdef inline Nanos after(Nanos now, Nanos length) noexcept nogil:
    """`now + length`, at most INT64_MAX: a timer set to "never" does not wrap round."""
    return INT64_MAX if length > INT64_MAX - now else now + length


cdef inline void repeat_never(Tx* tx) noexcept nogil:
    tx.next_retransmit = INT64_MAX
    tx.interval = 0


cdef uint32_t terminate(Tx* tx) noexcept nogil:
    tx.state = TX_TERMINATED
    tx.deadline = INT64_MAX
    repeat_never(tx)
    return TXA_END


cdef uint32_t enter(Tx* tx, uint8_t state, Nanos now, const TxTimers* timers) noexcept nogil:
    """Start the timers of `state`. TXA_END when the state lasts no time at all, else no action."""
    cdef const Clock* clock = &clocks[tx.kind][state]
    cdef Nanos length
    if state == TX_TERMINATED:
        return terminate(tx)
    tx.state = state
    if clock.first == FIRST_T1 and timers.t1 > 0 and (clock.streams or not tx.reliable):
        tx.interval = timers.t1
        tx.next_retransmit = after(now, timers.t1)
    elif clock.first != FIRST_RUNNING:
        repeat_never(tx)
    if clock.deadline == DEADLINE_NONE:
        tx.deadline = INT64_MAX
    elif clock.deadline != DEADLINE_RUNNING:
        length = timer_length(timers, clock.deadline)
        if clock.zero_on_streams and tx.reliable:
            length = 0
        if length <= 0 and clock.expires == TXE_LINGER:
            return terminate(tx)
        tx.deadline = after(now, length)
    return 0


cdef void repeat_again(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil:
    """The retransmission timer fired: set its next instant."""
    cdef uint8_t then = clocks[tx.kind][tx.state].then
    if then == THEN_T2:
        tx.interval = timers.t2
    elif tx.interval > INT64_MAX // 2:
        tx.interval = INT64_MAX
    else:
        tx.interval *= 2
    if then == THEN_DOUBLE_TO_T2 and tx.interval > timers.t2:
        tx.interval = timers.t2
    if tx.interval <= 0:                # T2 of 0: no more repeats, rather than one at every look
        repeat_never(tx)
        return
    # Counted from the instant that was due, so that a late look does not move the whole schedule;
    # but a sender that slept over several of them does not make up for it by a burst.
    tx.next_retransmit = after(tx.next_retransmit, tx.interval)
    if tx.next_retransmit <= now:
        tx.next_retransmit = after(now, tx.interval)


cdef uint32_t tx_due(const Tx* tx, Nanos now) noexcept nogil:
    SLG_ASSERT(tx.kind < TX_KINDS and tx.state < TX_STATES)
    if tx.state == TX_IDLE or tx.state == TX_TERMINATED:
        return TXE_EVENTS
    if tx.deadline <= now:
        return TXE_LINGER if tx.acked else clocks[tx.kind][tx.state].expires
    if tx.next_retransmit <= now:
        return TXE_RETRANSMIT
    return TXE_EVENTS


cdef uint32_t tx_acked(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil:
    cdef const Clock* clock = &clocks[tx.kind][tx.state]
    cdef Nanos accepted
    if clock.after_ack == DEADLINE_NONE or tx.acked:
        return 0
    # The deadline so far was the wait for the ACK, so it tells when the 2xx was sent: L's start.
    accepted = now
    if tx.deadline != INT64_MAX:
        accepted = tx.deadline - timer_length(timers, clock.deadline)
    tx.acked = 1
    repeat_never(tx)
    tx.deadline = after(accepted, timer_length(timers, clock.after_ack))
    if tx.deadline <= now:
        return terminate(tx)
    return 0


cdef void tx_cancelled(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil:
    if tx.kind == TX_INVITE_CLIENT and tx.state == TX_PROCEEDING and tx.deadline == INT64_MAX:
        tx.deadline = after(now, timers.timer_b)


cdef void tx_reliable(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil:
    if tx.kind == TX_INVITE_SERVER and tx.state == TX_PROCEEDING:
        tx.interval = timers.t1
        tx.next_retransmit = after(now, timers.t1) if timers.t1 > 0 else INT64_MAX
        tx.deadline = after(now, timers.timer_h)


cdef void tx_pracked(Tx* tx) noexcept nogil:
    if tx.kind == TX_INVITE_SERVER and tx.state == TX_PROCEEDING:
        repeat_never(tx)
        tx.deadline = INT64_MAX


cdef void tx_abandoned(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil:
    if tx.kind == TX_INVITE_CLIENT and (tx.state == TX_CALLING or tx.state == TX_PROCEEDING):
        repeat_never(tx)
        if tx.deadline == INT64_MAX:
            tx.deadline = after(now, timers.timer_b)


cdef void tx_trying(Tx* tx, Nanos now) noexcept nogil:
    if tx.kind == TX_INVITE_SERVER and tx.state == TX_PROCEEDING and tx.status == 0:
        tx.next_retransmit = after(now, TRYING_AFTER)


cdef uint32_t tx_on_event(Tx* tx, uint32_t event, Nanos now, const TxTimers* timers) noexcept nogil:
    SLG_ASSERT(tx.kind < TX_KINDS and tx.state < TX_STATES and event < TXE_EVENTS)
    cdef const Rule* rule = &rules[tx.kind][tx.state][event]
    cdef uint32_t actions = rule.actions
    if actions == TXA_STRAY:
        return TXA_STRAY
    if TXE_RETRANSMIT <= event <= TXE_LINGER and tx_due(tx, now) != event:
        return TXA_STRAY                # a timer that was stopped, or is not up yet
    if event == TXE_START:
        tx.acked = 0
        tx.retransmits = 0
        tx.status = 0
        tx.started = now
    if rule.then != tx.state:
        actions |= enter(tx, rule.then, now, timers)
    elif event == TXE_RETRANSMIT:
        repeat_again(tx, now, timers)
    elif event == TXE_TIMEOUT:
        tx_pracked(tx)                  # a state that outlives its deadline: it has no more of it
    elif event == TXE_ACK:
        actions |= tx_acked(tx, now, timers)
    elif event == TXE_1XX and tx.kind == TX_INVITE_SERVER and tx.deadline == INT64_MAX:
        repeat_never(tx)                # no 100 of the machine's own any more
    if actions & TXA_RESEND:
        if tx.status == 0 and tx.kind >= TX_INVITE_SERVER:
            # RFC 3261 17.2.1: nothing to repeat yet; its own timer asks for a 100.
            return actions ^ (TXA_RESEND | (TXA_SEND if event == TXE_RETRANSMIT else TXA_ABSORB))
        if tx.retransmits < 255:
            tx.retransmits += 1
    SLG_ASSERT(((actions & TXA_END) != 0) == (tx.state == TX_TERMINATED))
    return actions


def rule(int kind, int state, int event):
    """The compiled row of a case as (next state, actions)."""
    if not (0 <= kind < TX_KINDS and 0 <= state < TX_STATES and 0 <= event < TXE_EVENTS):
        raise IndexError("no such kind, state or event")
    return rules[kind][state][event].then, rules[kind][state][event].actions


def spin(int kind, events, uint32_t rounds, *, bint reliable=False):
    """Run a transaction through `events` (at most 16) so many times without the GIL.

    Timer events come when they are due. Returns the sum of all actions, so that work of any kind
    shows; ValueError: an event that is impossible there.
    """
    cdef uint8_t sequence[16]
    cdef uint32_t count = len(events)
    cdef uint64_t total = 0
    cdef uint32_t actions
    cdef uint32_t _round
    cdef uint32_t i
    cdef bint stray = False
    cdef Nanos now = 0
    cdef TxTimers timers
    cdef Tx tx
    if not 0 <= kind < TX_KINDS or count > 16:
        raise ValueError("no such kind, or more than 16 events")
    for i in range(count):
        sequence[i] = events[i]
        if sequence[i] >= TXE_EVENTS:
            raise ValueError(f"no event {events[i]}")
    tx_timers_default(&timers, 500_000_000, 4_000_000_000, 5_000_000_000)
    memset(&tx, 0, sizeof(Tx))
    tx.kind = kind
    tx.reliable = reliable
    with nogil:
        for _round in range(rounds):
            tx.state = TX_IDLE
            for i in range(count):
                if TXE_RETRANSMIT <= sequence[i] <= TXE_LINGER:
                    now = tx_next(&tx)
                actions = tx_on_event(&tx, sequence[i], now, &timers)
                stray |= actions & TXA_STRAY != 0
                total += actions
    if stray:
        raise ValueError("an event was impossible in its state")
    return total


cdef class Transaction:
    """One transaction, driven by hand: what tests and the documentation use."""

    cdef Tx tx
    cdef TxTimers timers

    def __cinit__(self, int kind, *, bint reliable=False, Nanos t1=500_000_000,
                  Nanos t2=4_000_000_000, Nanos t4=5_000_000_000, **timers):
        if not 0 <= kind < TX_KINDS:
            raise ValueError(f"kind {kind}: 0 to {TX_KINDS - 1}")
        memset(&self.tx, 0, sizeof(Tx))
        self.tx.kind = kind
        self.tx.state = TX_IDLE
        self.tx.owner = NONE
        self.tx.reliable = reliable
        tx_timers_default(&self.timers, t1, t2, t4)
        for name, value in timers.items():
            self.set_timer(name, value)

    cdef int set_timer(self, str name, Nanos value) except -1:
        cdef dict places = {letter: i for i, letter in enumerate("bdfhijklm")}
        cdef Nanos* first = &self.timers.timer_b
        if name not in places:
            raise TypeError(f"no timer {name!r}: t1, t2, t4 or one of {', '.join(places)}")
        first[<int>places[name]] = value        # the members stand in this order
        return 0

    def on_event(self, int event, Nanos now, int status=-1):
        """Take an event at `now` (ns); returns TxAction bits. `status`: of the response it was."""
        cdef uint32_t actions
        if not 0 <= event < TXE_EVENTS:
            raise ValueError(f"event {event}: 0 to {TXE_EVENTS - 1}")
        actions = tx_on_event(&self.tx, event, now, &self.timers)
        if status >= 0:
            self.tx.status = status
        return actions

    def on_acked(self, Nanos now):
        """The ACK for our 2xx came; returns TxAction bits."""
        return tx_acked(&self.tx, now, &self.timers)

    def on_cancelled(self, Nanos now):
        """A CANCEL was sent for this INVITE."""
        tx_cancelled(&self.tx, now, &self.timers)

    def on_abandoned(self, Nanos now):
        """Nobody waits for the answer to this INVITE any more."""
        tx_abandoned(&self.tx, now, &self.timers)

    def on_silence(self, Nanos now):
        """The program has not answered this INVITE yet."""
        tx_trying(&self.tx, now)

    def due(self, Nanos now):
        """The timer event that is due at `now`, or None."""
        cdef uint32_t event = tx_due(&self.tx, now)
        return None if event == TXE_EVENTS else TxEvent(event)

    @property
    def next(self):
        """When `due` has something to say (ns); 2**63 - 1: never."""
        return tx_next(&self.tx)

    @property
    def kind(self):
        return TxKind(self.tx.kind)

    @property
    def state(self):
        return TxState(self.tx.state)

    @property
    def acked(self):
        return bool(self.tx.acked)

    @property
    def retransmits(self):
        return self.tx.retransmits

    @property
    def status(self):
        return self.tx.status

    @property
    def next_retransmit(self):
        return self.tx.next_retransmit

    @property
    def deadline(self):
        return self.tx.deadline

    @property
    def interval(self):
        return self.tx.interval

    @property
    def started(self):
        return self.tx.started
