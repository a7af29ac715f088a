# The measures of RFC 6076, taken of every call and registration whatever its program says, and the
# time to the final response of each request by class. Times are from the first message of an
# attempt (never from a repeat) to the kernel's receive time; challenges are part of their attempt,
# and the clock goes on after redirections.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.records cimport Core, Instance, Leg
from siploadgen.core.tx cimport Tx

cpdef enum Measure:                 # rows of Core.measures; those of methods follow
    MEASURE_RRD = 0
    MEASURE_SRD
    MEASURE_SRD_FAILED
    MEASURE_SDD
    MEASURE_SDD_FAILED
    MEASURE_SDT
    MEASURE_SDT_FAILED
    MEASURE_METHODS                 # five for each method that the program sends: 2xx ... 6xx

cpdef enum AttemptKind:
    ATTEMPT_INVITE = 0              # those that open a dialog
    ATTEMPT_REGISTER
    ATTEMPT_BYE                     # of dialogs that a 2xx had opened
    ATTEMPT_KINDS

# Columns of Core.attempts: a final status less 100, or one of these, where no final status stands.
cpdef enum AttemptColumn:
    ATTEMPT_BEGUN = 0
    ATTEMPT_TIMEOUT                 # timer B or F
    ATTEMPT_TRANSPORT
    ATTEMPT_PROVED                  # sent again with credentials: part of the same attempt
    ATTEMPT_COMPLETED               # INVITE: a BYE of either side was answered by 2xx

cdef enum:                          # Leg.measure
    MEASURING_NOTHING = 0
    MEASURING_INVITE
    MEASURING_INVITE_AGAIN          # challenged: what follows is the same attempt
    MEASURING_INVITE_MOVED          # redirected: the clock goes on, the attempt is another
    MEASURING_REGISTER
    MEASURING_REGISTER_AGAIN
    MEASURING_REGISTER_MOVED
    MEASURING_SESSION
    MEASURING_BYE
    MEASURING_BYES                  # the peer's has crossed ours
    MEASURING_PEER_BYE
    MEASURING_OVER

# A request of the leg went out.
cdef void measure_request(Core* core, const Instance* instance, Leg* leg,
                          uint8_t method) noexcept nogil
# core.message, a response that its transaction passed on: provisional or the first final one.
cdef void measure_response(Core* core, const Instance* instance, Leg* leg, const Tx* tx,
                           uint16_t status) noexcept nogil
# No response came.
cdef void measure_failure(Core* core, const Instance* instance, Leg* leg, uint8_t method,
                          bint transport) noexcept nogil
# The answering side's 2xx to an INVITE went out.
cdef void measure_answered(Core* core, Leg* leg) noexcept nogil
# The peer's BYE came; our 2xx to it went out.
cdef void measure_hung_up(Core* core, const Instance* instance, Leg* leg) noexcept nogil
cdef void measure_released(Core* core, const Instance* instance, Leg* leg) noexcept nogil
