# Message -> places. No copy, no allocation; every Span points into the caller's buffer.
#
# sip_parse reads one message and everything that the engine needs to route and match it (the typed
# fields below).
# The rest is typed only when asked for, by the functions at the end.
from siploadgen.core.sip.tokens cimport HEADER_COUNT
from siploadgen.core.span cimport Span
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cpdef enum ParseStatus:
    PARSE_OK = 0
    PARSE_PARTIAL = 1           # a stream needs more octets; never for datagrams
    PARSE_KEEPALIVE = 2         # CRLFs, NULs or "jaK" only: not a message (RFC 5626, practice)
    PARSE_BAD = 3               # SipMessage.error says which rule and .error_at where

# Why a message is BAD. parse_error_status() gives the SIP status that refuses a request for it.
cpdef enum ParseFault:
    FAULT_NONE = 0
    FAULT_EMPTY                 # a datagram of no octets
    FAULT_START_LINE            # neither Request-Line nor Status-Line (RFC 3261 7.1, 7.2)
    FAULT_VERSION               # not SIP/2.0
    FAULT_STATUS                # not three digits, or outside 100-699
    FAULT_LINE_END              # LF without its CR (RFC 3261 7)
    FAULT_NO_END                # a datagram that ends before the empty line
    FAULT_TOO_LARGE             # header section longer than PARSE_SECTION
    FAULT_HEADER_NAME           # a header line without a colon or without a token before it
    FAULT_DUPLICATE             # a header that may stand once only, twice
    FAULT_MISSING_VIA
    FAULT_MISSING_FROM
    FAULT_MISSING_TO
    FAULT_MISSING_CALL_ID
    FAULT_MISSING_CSEQ
    FAULT_VIA
    FAULT_FROM
    FAULT_TO
    FAULT_CALL_ID
    FAULT_CSEQ                  # not a number of 32 bits and a method
    FAULT_CSEQ_METHOD           # another method than the start line's
    FAULT_CONTACT
    FAULT_CONTENT_LENGTH        # not a number, or more than 2^31-1
    FAULT_NO_CONTENT_LENGTH     # on a stream, where it is what ends the message (RFC 3261 18.3)
    FAULT_BODY_SHORT            # a datagram with less body than its Content-Length
    FAULT_URI                   # from here on: found by sip_validate only
    FAULT_ADDRESS
    FAULT_NUMBER
    FAULT_DATE
    FAULT_TOKEN
    FAULT_CHARACTER             # a control character where none may be
    FAULT_COUNT

cdef enum:
    PARSE_SECTION = 65536       # longest start line and headers, in octets
    # headers kept in the table; more are read and checked, flagged, not kept
    PARSE_HEADERS = 256
    PARSE_DATAGRAM = 0
    PARSE_STREAM = 1

cdef struct SipHeader:
    Span name
    Span value                  # trimmed; folds are still inside
    uint16_t next               # next header of the same id, 0xFFFF at the end
    uint8_t id                  # HeaderId

cdef struct SipVia:             # one via-parm
    Span transport              # "UDP"
    Span host                   # IPv6 with its brackets
    Span branch                 # length 0: none
    Span received
    Span parameters             # from after the first ';'
    uint16_t port               # 0: none given
    uint16_t rport_value
    bint has_rport
    bint has_rport_value

cdef struct SipMessage:
    const uint8_t* data
    # Octets consumed, CRLFs before the start line included. PARTIAL: octets needed in all, 0 when
    # not known yet. BAD on a stream: 0 when the end of the message cannot be known, so that the
    # stream has to be closed.
    uint32_t length
    uint32_t start              # where the start line begins: octets of CRLFs before it
    bint is_request
    uint8_t method              # Method of a request, or of the CSeq of a response
    uint8_t cseq_method         # Method
    bint too_many_headers
    uint16_t status             # 0 for a request
    uint16_t header_count
    int32_t error               # ParseFault of a PARSE_BAD: the first one met
    uint32_t error_at           # octet
    Span method_text
    Span uri                    # of a request
    Span reason
    Span call_id
    Span cseq_method_text
    Span from_value             # whole header value
    Span from_tag               # length 0: none
    Span to_value
    Span to_tag
    Span contact_uri            # first Contact, without < > and parameters; length 0: none or "*"
    SipVia via                  # topmost
    uint32_t via_count          # via-parms, comma separated ones counted
    uint32_t cseq
    Span body
    uint16_t first[48]          # HeaderId -> index of the first such header, 0xFFFF: none
    SipHeader headers[256]

# The first fault is reported, and parsing goes on to the end of the message, so that a BAD request
# can be answered: whatever could be read is filled in, and is_request tells whether there is
# somebody to answer. What is no SIP at all is given up at its start line.
# Where RFC 3261 18.3 leaves a choice: a datagram's body runs to its end when there is no
# Content-Length, and octets behind Content-Length are ignored; a message without Content-Length on
# a stream is BAD, its length that of an empty body.
# Only octets before `data + length` are read. headers[] is written up to header_count only.
cdef ParseStatus sip_parse(SipMessage* message, const uint8_t* data, uint32_t length,
                           int mode) noexcept nogil
cdef int parse_error_status(int error) noexcept nogil      # 0: no answer, drop it
# RFC grammar of everything that sip_parse left alone in a message that is OK, as far as headers are
# kept; 0, or the SIP status that refuses the request, with message.error and .error_at set.
cdef int sip_validate(SipMessage* message) noexcept nogil

cdef inline SipHeader* sip_header(SipMessage* message, uint8_t id) noexcept nogil:
    """First header of that id, or NULL."""
    cdef uint16_t index = message.first[id]
    return &message.headers[index] if index != 0xFFFF else NULL

cdef inline SipHeader* sip_header_next(SipMessage* message, SipHeader* header) noexcept nogil:
    return &message.headers[header.next] if header.next != 0xFFFF else NULL

# --- typed access, on demand ---
cdef struct SipUri:
    Span scheme                 # without the colon
    Span user
    Span password
    Span host                   # IPv6 with its brackets
    Span parameters             # from after the first ';', without the headers
    Span headers                # from after '?'
    uint16_t port               # 0: none
    uint8_t kind                # 1 sip, 2 sips, 3 tel, 0 any other

cdef bint uri_parse(SipUri* uri, Span text) noexcept nogil
# name in lower case
cdef Span uri_parameter(SipUri* uri, const char* name, bint* present) noexcept nogil

cdef struct SipAddress:         # name-addr or addr-spec, with its header parameters
    Span display                # quotes kept
    Span uri
    Span parameters             # from after the first ';' that belongs to the header

# takes the next of a comma separated list off rest
cdef bint address_parse(SipAddress* address, Span* rest) noexcept nogil
# Takes the next of "a=b;c" off rest: the value as written, its data NULL without "=". False: there
# was none.
cdef bint parameter_next(Span* rest, Span* name, Span* value) noexcept nogil
# ;a=b;c, quoted values unquoted
cdef Span parameter_find(Span parameters, const char* name, bint* present) noexcept nogil
# takes the next via-parm off rest
cdef bint via_parse(SipVia* via, Span* rest) noexcept nogil
# next comma separated item, quotes and <> kept whole
cdef bint list_next(Span* rest, Span* item) noexcept nogil
# option tag in any such header
cdef bint list_has(SipMessage* message, uint8_t id, const char* token) noexcept nogil
# Expires, Min-Expires, ...
cdef bint header_uint(SipMessage* message, uint8_t id, uint64_t* value) noexcept nogil
# The Contact whose user is `user`, and with a `reg_id` the one of that flow (RFC 5626 4.2.1).
cdef bint contact_own(SipMessage* message, Span user, uint64_t reg_id,
                      SipAddress* address) noexcept nogil
# Seconds granted to our own binding (RFC 3261 10.2.4): ;expires of that Contact, else Expires; -1:
# none
cdef int64_t contact_expires(SipMessage* message, Span user, uint64_t reg_id) noexcept nogil

# one WWW-Authenticate or Proxy-Authenticate; strings without their quotes
cdef struct SipChallenge:
    Span scheme
    Span realm
    Span nonce
    Span opaque
    Span algorithm
    Span qop
    bint stale

cdef bint challenge_parse(SipChallenge* challenge, Span value) noexcept nogil

# one Authorization or Proxy-Authorization; strings without their quotes
cdef struct SipCredentials:
    Span scheme
    Span username
    Span realm
    Span nonce
    Span uri
    Span response
    Span algorithm
    Span cnonce
    Span opaque
    Span qop
    Span nc

cdef bint credentials_parse(SipCredentials* credentials, Span value) noexcept nogil
