from siploadgen.core.sip.parse cimport SipMessage

cdef int message_validate(SipMessage* message) noexcept nogil:
    return 0
