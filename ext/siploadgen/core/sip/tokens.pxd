# Numbers for the words of SIP: methods and header names.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from siploadgen.core.span cimport Span

cpdef enum Method:
    METHOD_UNKNOWN = 0
    METHOD_INVITE
    METHOD_ACK
    METHOD_BYE
    METHOD_CANCEL
    METHOD_REGISTER
    METHOD_OPTIONS
    METHOD_SUBSCRIBE
    METHOD_NOTIFY
    METHOD_PUBLISH
    METHOD_REFER
    METHOD_INFO
    METHOD_UPDATE
    METHOD_PRACK
    METHOD_MESSAGE
    METHOD_COUNT = 16

cpdef enum HeaderId:
    HEADER_OTHER = 0
    HEADER_VIA
    HEADER_FROM
    HEADER_TO
    HEADER_CALL_ID
    HEADER_CSEQ
    HEADER_CONTACT
    HEADER_MAX_FORWARDS
    HEADER_ROUTE
    HEADER_RECORD_ROUTE
    HEADER_CONTENT_LENGTH
    HEADER_CONTENT_TYPE
    HEADER_EXPIRES
    HEADER_MIN_EXPIRES
    HEADER_REQUIRE
    HEADER_PROXY_REQUIRE
    HEADER_SUPPORTED
    HEADER_UNSUPPORTED
    HEADER_ALLOW
    HEADER_WWW_AUTHENTICATE
    HEADER_PROXY_AUTHENTICATE
    HEADER_AUTHORIZATION
    HEADER_PROXY_AUTHORIZATION
    HEADER_AUTHENTICATION_INFO
    HEADER_RETRY_AFTER
    HEADER_EVENT
    HEADER_SUBSCRIPTION_STATE
    HEADER_REFER_TO
    HEADER_REFERRED_BY
    HEADER_REPLACES
    HEADER_RSEQ
    HEADER_RACK
    HEADER_SIP_ETAG
    HEADER_SIP_IF_MATCH
    HEADER_SESSION_EXPIRES
    HEADER_MIN_SE
    HEADER_PATH
    HEADER_SERVICE_ROUTE
    HEADER_ACCEPT
    HEADER_CONTENT_ENCODING
    HEADER_TIMESTAMP
    HEADER_WARNING
    HEADER_REASON
    HEADER_DATE
    HEADER_SUBJECT
    HEADER_ALLOW_EVENTS
    HEADER_USER_AGENT
    HEADER_FLOW_TIMER
    HEADER_COUNT = 48

cdef inline bint method_opens_dialog(uint8_t method) noexcept nogil:
    """RFC 3261 12.1, 6665 4.1.2, 3515 2.4."""
    return method == METHOD_INVITE or method == METHOD_SUBSCRIBE or method == METHOD_REFER

cdef inline bint method_refreshes_target(uint8_t method) noexcept nogil:
    """RFC 3261 12.2, 3311 5, 6665 3.2, 6665 8.1."""
    return method_opens_dialog(method) or method == METHOD_UPDATE or method == METHOD_NOTIFY

# by exact octets
cdef uint8_t method_find(const uint8_t* data, uint32_t length) noexcept nogil
# any case, compact names too
cdef uint8_t header_find(const uint8_t* data, uint32_t length) noexcept nogil
cdef Span method_name(uint8_t method) noexcept nogil
# as printed in its RFC; length 0 for HEADER_OTHER
cdef Span header_name(uint8_t id) noexcept nogil
