"""RFC 6076 and times of requests (see measure.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.hist cimport hist_record, HIST_STRIDE
from siploadgen.core.records cimport (
    Core, Instance, Leg, LEG_CONFIRMED, ROLE_CALLER, STATUS_SPAN,
)
from siploadgen.core.sip.parse cimport sip_header
from siploadgen.core.sip.tokens cimport (
    HEADER_RETRY_AFTER, METHOD_BYE, METHOD_INVITE, METHOD_REGISTER,
)
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Nanos


cdef inline void record(Core* core, const Instance* instance, uint32_t row,
                        Nanos took) noexcept nogil:
    cdef uint64_t at = <uint64_t>instance.series * core.measure_rows + row
    hist_record(core.measures + at * HIST_STRIDE, took // 1000)
    core.measured[at] += 1


cdef inline void note(Core* core, const Instance* instance, uint32_t kind,
                      uint32_t column) noexcept nogil:
    core.attempts[(<uint64_t>instance.series * <int>ATTEMPT_KINDS + kind) * STATUS_SPAN
                  + column] += 1


cdef inline bint is_challenge(uint16_t status) noexcept nogil:
    return status == 401 or status == 402 or status == 407


cdef void begin(Core* core, const Instance* instance, Leg* leg, uint32_t kind,
                uint8_t open) noexcept nogil:
    """An INVITE or a REGISTER; `open` is followed by ..._AGAIN and ..._MOVED."""
    if leg.measure == open + 1:
        note(core, instance, kind, ATTEMPT_PROVED)
    else:
        note(core, instance, kind, ATTEMPT_BEGUN)
        if leg.measure != open + 2:
            leg.began = core.now
            leg.heard = 0
    leg.measure = open


cdef void measure_request(Core* core, const Instance* instance, Leg* leg,
                          uint8_t method) noexcept nogil:
    if method == METHOD_INVITE:
        if leg.state != LEG_CONFIRMED:
            begin(core, instance, leg, ATTEMPT_INVITE, MEASURING_INVITE)
    elif method == METHOD_REGISTER:
        if leg.measure < MEASURING_SESSION or leg.measure == MEASURING_OVER:
            begin(core, instance, leg, ATTEMPT_REGISTER, MEASURING_REGISTER)
    elif method == METHOD_BYE and leg.measure == MEASURING_SESSION:
        note(core, instance, ATTEMPT_BYE, ATTEMPT_BEGUN)
        leg.heard = core.now
        leg.measure = MEASURING_BYE


cdef inline void complete(Core* core, const Instance* instance, const Leg* leg) noexcept nogil:
    if leg.role == ROLE_CALLER:
        note(core, instance, ATTEMPT_INVITE, ATTEMPT_COMPLETED)


cdef void bye_answered(Core* core, const Instance* instance, Leg* leg,
                       uint16_t status) noexcept nogil:
    """A final response to our BYE; a challenge, and a 503 that says when, are no end of it."""
    if is_challenge(status) or (
            status == 503 and sip_header(core.message, HEADER_RETRY_AFTER) != NULL):
        return
    note(core, instance, ATTEMPT_BYE, status - 100)
    record(core, instance, MEASURE_SDT, leg.heard - leg.began)
    if status < 300:
        record(core, instance, MEASURE_SDD, core.received - leg.heard)
        complete(core, instance, leg)
    elif leg.measure == MEASURING_BYES:         # two BYEs: 481 is as good (RFC 5407 3.2.1)
        complete(core, instance, leg)
    else:
        record(core, instance, MEASURE_SDD_FAILED, core.received - leg.heard)
    leg.measure = MEASURING_OVER


cdef void invite_answered(Core* core, const Instance* instance, Leg* leg,
                          uint16_t status) noexcept nogil:
    cdef Nanos heard = leg.heard if leg.heard else core.received
    if status < 200:
        if status > 100 and leg.heard == 0:
            leg.heard = core.received
        return
    note(core, instance, ATTEMPT_INVITE, status - 100)
    if status < 300:
        record(core, instance, MEASURE_SRD, heard - leg.began)
        leg.began = core.received
        leg.measure = MEASURING_SESSION
    elif status < 400:
        leg.measure = MEASURING_INVITE_MOVED
    elif is_challenge(status):
        leg.measure = MEASURING_INVITE_AGAIN
    else:
        record(core, instance, MEASURE_SRD_FAILED, heard - leg.began)
        leg.measure = MEASURING_NOTHING


cdef void measure_response(Core* core, const Instance* instance, Leg* leg, const Tx* tx,
                           uint16_t status) noexcept nogil:
    cdef uint32_t slot = core.measure_slots[tx.method]
    if status >= 200 and slot:
        record(core, instance, slot + status // 100 - 2, core.received - tx.started)
    if tx.method == METHOD_INVITE:
        if leg.measure == MEASURING_INVITE:
            invite_answered(core, instance, leg, status)
    elif status < 200:
        pass
    elif tx.method == METHOD_BYE:
        if leg.measure == MEASURING_BYE or leg.measure == MEASURING_BYES:
            bye_answered(core, instance, leg, status)
    elif tx.method == METHOD_REGISTER and leg.measure == MEASURING_REGISTER:
        note(core, instance, ATTEMPT_REGISTER, status - 100)
        if status < 300:
            record(core, instance, MEASURE_RRD, core.received - leg.began)
            leg.measure = MEASURING_NOTHING
        elif status < 400:
            leg.measure = MEASURING_REGISTER_MOVED
        elif is_challenge(status):
            leg.measure = MEASURING_REGISTER_AGAIN
        else:
            leg.measure = MEASURING_NOTHING


cdef void measure_failure(Core* core, const Instance* instance, Leg* leg, uint8_t method,
                          bint transport) noexcept nogil:
    cdef uint32_t column = ATTEMPT_TRANSPORT if transport else ATTEMPT_TIMEOUT
    if method == METHOD_INVITE and leg.measure == MEASURING_INVITE:
        note(core, instance, ATTEMPT_INVITE, column)
        leg.measure = MEASURING_NOTHING
    elif method == METHOD_REGISTER and leg.measure == MEASURING_REGISTER:
        note(core, instance, ATTEMPT_REGISTER, column)
        leg.measure = MEASURING_NOTHING
    elif method == METHOD_BYE and (leg.measure == MEASURING_BYE or leg.measure == MEASURING_BYES):
        note(core, instance, ATTEMPT_BYE, column)
        record(core, instance, MEASURE_SDT_FAILED, core.now - leg.began)
        leg.measure = MEASURING_OVER


cdef void measure_answered(Core* core, Leg* leg) noexcept nogil:
    if leg.measure == MEASURING_NOTHING:
        leg.began = core.now
        leg.measure = MEASURING_SESSION


cdef void measure_hung_up(Core* core, const Instance* instance, Leg* leg) noexcept nogil:
    if leg.measure == MEASURING_SESSION:
        record(core, instance, MEASURE_SDT, core.received - leg.began)
        leg.measure = MEASURING_PEER_BYE
    elif leg.measure == MEASURING_BYE:
        leg.measure = MEASURING_BYES


cdef void measure_released(Core* core, const Instance* instance, Leg* leg) noexcept nogil:
    if leg.measure == MEASURING_PEER_BYE:
        complete(core, instance, leg)
        leg.measure = MEASURING_OVER
