"""Names of what an engine measures of every call: RFC 6076, and the time to each final response."""

from enum import IntEnum

class Measure(IntEnum):
    MEASURE_RRD = 0
    MEASURE_SRD = 1
    MEASURE_SRD_FAILED = 2
    MEASURE_SDD = 3
    MEASURE_SDD_FAILED = 4
    MEASURE_SDT = 5
    MEASURE_SDT_FAILED = 6
    MEASURE_METHODS = 7

class AttemptKind(IntEnum):
    ATTEMPT_INVITE = 0
    ATTEMPT_REGISTER = 1
    ATTEMPT_BYE = 2
    ATTEMPT_KINDS = 3

class AttemptColumn(IntEnum):
    ATTEMPT_BEGUN = 0
    ATTEMPT_TIMEOUT = 1
    ATTEMPT_TRANSPORT = 2
    ATTEMPT_PROVED = 3
    ATTEMPT_COMPLETED = 4
