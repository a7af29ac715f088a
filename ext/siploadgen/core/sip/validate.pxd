# The grammar of RFC 3261 25.1 for the headers that sip_parse has left alone.
from siploadgen.core.sip.parse cimport SipMessage

# The SIP status that refuses the message, and its error and error_at set; 0 when all is well. See
# sip_validate in parse.pxd.
cdef int message_validate(SipMessage* message) noexcept nogil
