"""When messages leave (see departure.pxd)."""

from libc.stdint cimport uint8_t, uint32_t
from siploadgen.core.counters cimport COUNT_LATE_STARTS
from siploadgen.core.hist cimport hist_record
from siploadgen.core.net.outbox cimport outbox_clear, OUTBOX_MESSAGES, OutMessage
from siploadgen.core.net.udp cimport udp_send
from siploadgen.core.records cimport (
    Clock, Core, core_count, Departure, Instance, instance_at, instance_clocks, Leg,
)
from siploadgen.core.sip.tokens cimport METHOD_BYE, METHOD_INVITE, METHOD_REGISTER
from siploadgen.core.slab cimport slab_get
from siploadgen.core.tape cimport tape_write
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Handle, Nanos, NONE, SLG_ASSERT


cdef void tape_outbox(Core* core) noexcept nogil:
    cdef const OutMessage* message
    cdef uint32_t i
    if core.tape.data == NULL:
        return
    for i in range(core.outbox.count):
        message = &core.outbox.messages[i]
        tape_write(&core.tape, message.left if message.left else core.now, True, &message.peer,
                   message.data, message.length)


cdef void record_lateness(Core* core, Nanos late) noexcept nogil:
    hist_record(core.histograms, late // 1000)
    if late > 1000000:
        core_count(core, COUNT_LATE_STARTS)


cdef inline Nanos corrected(Nanos time, const Departure* departure, Nanos left) noexcept nogil:
    return left if time == departure.made else time


cdef void departed(Core* core, const Departure* departure, Nanos left) noexcept nogil:
    """The times that were taken as a message was made become that at which it left."""
    cdef Tx* tx = <Tx*>slab_get(&core.txs, departure.tx)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, departure.leg)
    cdef Instance* instance
    cdef Clock* clock
    cdef uint32_t i
    if departure.intended >= 0:
        record_lateness(core, left - departure.intended)
    if leg != NULL:
        if departure.method == METHOD_BYE:
            leg.heard = corrected(leg.heard, departure, left)
        else:
            leg.began = corrected(leg.began, departure, left)
    if tx == NULL:
        return
    tx.started = corrected(tx.started, departure, left)
    if tx.owner != NONE:
        instance = instance_at(core, tx.owner)
        for i in range(core.clock_count):
            clock = instance_clocks(core, instance) + i
            clock.sent = corrected(clock.sent, departure, left)


cdef void departing(Core* core, Handle tx, Handle leg, uint8_t method,
                    Nanos intended) noexcept nogil:
    cdef Departure departure
    departure.tx = tx
    departure.leg = leg if method in (METHOD_INVITE, METHOD_REGISTER, METHOD_BYE) else 0
    departure.method = method
    departure.made = core.now
    departure.intended = intended
    departure.message = core.outbox.count - 1
    if core.live_clock:
        SLG_ASSERT(core.departing < OUTBOX_MESSAGES)
        core.departures[core.departing] = departure
        core.departing += 1
    elif intended >= 0:
        record_lateness(core, core.now - intended)


cdef void send_flush(Core* core) noexcept nogil:
    cdef uint32_t i
    cdef Nanos left
    udp_send(&core.udp, &core.outbox)
    tape_outbox(core)
    for i in range(core.departing):
        left = core.outbox.messages[core.departures[i].message].left
        departed(core, &core.departures[i], left if left else core.now)
    core.departing = 0
    outbox_clear(&core.outbox)
