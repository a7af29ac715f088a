"""Text of the responses that no template gives (see plain.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen
from siploadgen.core.program cimport Entry
from siploadgen.core.records cimport Core
from siploadgen.core.sip.parse cimport (
    FAULT_ADDRESS, FAULT_BODY_SHORT, FAULT_CALL_ID, FAULT_CHARACTER, FAULT_CONTACT,
    FAULT_CONTENT_LENGTH, FAULT_CSEQ, FAULT_CSEQ_METHOD, FAULT_DATE, FAULT_DUPLICATE,
    FAULT_FROM, FAULT_HEADER_NAME, FAULT_LINE_END, FAULT_NO_END, FAULT_NUMBER, FAULT_START_LINE,
    FAULT_TO, FAULT_TOKEN, FAULT_URI, FAULT_VIA, list_next, sip_header, sip_header_next,
    SipHeader,
)
from siploadgen.core.sip.tokens cimport HEADER_REQUIRE, METHOD_INVITE, METHOD_OPTIONS, METHOD_UPDATE
from siploadgen.core.span cimport Span, span_iequal, span_make
from siploadgen.core.types cimport NONE

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    uint32_t slg_decimal(uint8_t* out, uint64_t value)

cdef enum:
    UNSUPPORTED_ROOM = 512          # octets of option tags given back in a 420


cdef const char* phrase_of(uint16_t status) noexcept nogil:
    if status == 100:
        return b"Trying"
    elif status == 200:
        return b"OK"
    elif status == 400:
        return b"Bad Request"
    elif status == 404:
        return b"Not Found"
    elif status == 405:
        return b"Method Not Allowed"
    elif status == 406:
        return b"Not Acceptable"
    elif status == 415:
        return b"Unsupported Media Type"
    elif status == 416:
        return b"Unsupported URI Scheme"
    elif status == 420:
        return b"Bad Extension"
    elif status == 481:
        return b"Call/Transaction Does Not Exist"
    elif status == 482:
        return b"Loop Detected"
    elif status == 487:
        return b"Request Terminated"
    elif status == 488:
        return b"Not Acceptable Here"
    elif status == 489:
        return b"Bad Event"
    elif status == 491:
        return b"Request Pending"
    elif status == 500:
        return b"Server Internal Error"
    elif status == 501:
        return b"Not Implemented"
    elif status == 503:
        return b"Service Unavailable"
    elif status == 505:
        return b"Version Not Supported"
    elif status == 513:
        return b"Message Too Large"
    return b"Refused"


cdef const char* fault_phrase(int fault) noexcept nogil:
    """Why a request is bad, for the reason phrase (RFC 3261 21.4.1)."""
    if fault == FAULT_START_LINE:
        return b"Malformed Request-Line"
    elif fault == FAULT_LINE_END:
        return b"Line Without CRLF"
    elif fault == FAULT_NO_END:
        return b"Message Ends Within Its Headers"
    elif fault == FAULT_HEADER_NAME:
        return b"Malformed Header Name"
    elif fault == FAULT_DUPLICATE:
        return b"Header Twice"
    elif fault == FAULT_VIA:
        return b"Malformed Via"
    elif fault == FAULT_FROM:
        return b"Malformed From"
    elif fault == FAULT_TO:
        return b"Malformed To"
    elif fault == FAULT_CALL_ID:
        return b"Malformed Call-ID"
    elif fault == FAULT_CSEQ:
        return b"Malformed CSeq"
    elif fault == FAULT_CSEQ_METHOD:
        return b"CSeq Method Does Not Match Request Method"
    elif fault == FAULT_CONTACT:
        return b"Malformed Contact"
    elif fault == FAULT_CONTENT_LENGTH:
        return b"Malformed Content-Length"
    elif fault == FAULT_BODY_SHORT:
        return b"Body Shorter Than Content-Length"
    elif fault == FAULT_URI:
        return b"Malformed URI"
    elif fault == FAULT_ADDRESS:
        return b"Malformed Address"
    elif fault == FAULT_NUMBER:
        return b"Malformed Number"
    elif fault == FAULT_DATE:
        return b"Malformed Date"
    elif fault == FAULT_TOKEN:
        return b"Malformed Token"
    elif fault == FAULT_CHARACTER:
        return b"Control Character"
    return NULL


cdef inline uint8_t* put(uint8_t* at, const char* text) noexcept nogil:
    cdef uint32_t length = <uint32_t>strlen(text)
    memcpy(at, text, length)
    return at + length


cdef inline uint8_t* put_span(uint8_t* at, Span span) noexcept nogil:
    if span.length:
        memcpy(at, span.data, span.length)
    return at + span.length


cdef bint plain_lists(Span list, Span item) noexcept nogil:
    cdef Span known
    while list_next(&list, &known):
        if span_iequal(known, item) or (known.length == 1 and known.data[0] == 42):
            return True
    return False


cdef Span plain_extensions(Core* core) noexcept nogil:
    cdef const Entry* entry
    if core.asked == NONE or core.supported_given:
        return span_make(core.supported, core.supported_length)
    entry = core.entries + core.asked
    return span_make(core.text + entry.supported_offset, entry.supported_length)


cdef uint8_t* put_unsupported(Core* core, uint8_t* at) noexcept nogil:
    """The option tags that we do not know (RFC 3261 8.2.2.3)."""
    cdef SipHeader* header
    cdef Span rest, item
    cdef uint8_t* end = at + UNSUPPORTED_ROOM
    cdef bint first = True
    if core.message == NULL:
        return at
    header = sip_header(core.message, HEADER_REQUIRE)
    while header != NULL:
        rest = header.value
        while list_next(&rest, &item):
            if plain_lists(plain_extensions(core), item):
                continue
            if <uint64_t>(end - at) < <uint64_t>item.length + 20:
                break
            at = put(at, b"Unsupported: " if first else b", ")
            at = put_span(at, item)
            first = False
        header = sip_header_next(core.message, header)
    return at if first else put(at, b"\r\n")


cdef uint8_t* put_list(uint8_t* at, const char* name, const uint8_t* list,
                       uint32_t length) noexcept nogil:
    """A header with a list of ours; nothing when there is none."""
    if length == 0 or (length == 1 and list[0] == 42):
        return at
    at = put(at, name)
    at = put_span(at, span_make(list, length))
    return put(at, b"\r\n")


cdef uint8_t* plain_write(Core* core, uint8_t* out, uint16_t status, Span reason, Span echo,
                          uint8_t method) noexcept nogil:
    cdef const char* phrase = NULL
    cdef uint8_t* at = put(out, b"SIP/2.0 ")
    at += slg_decimal(at, status)
    at[0] = 32
    at += 1
    if reason.length:
        at = put_span(at, reason)
    else:
        if status == 400 and core.message != NULL:
            phrase = fault_phrase(core.message.error)
        at = put(at, phrase if phrase != NULL else phrase_of(status))
    at = put(at, b"\r\n")
    at = put_span(at, echo)
    if status == 405 or status == 501 or method == METHOD_OPTIONS:
        at = put_span(at, span_make(core.allow, core.allow_length))
    if status == 415 or status == 406 or status == 405 or status == 501 or method == METHOD_OPTIONS:
        at = put(at, b"Accept: application/sdp\r\n")
    if status == 415:
        at = put(at, b"Accept-Encoding: identity\r\n")      # RFC 3261 8.2.3
    elif status == 406:
        at = put(at, b"Warning: 399 siploadgen \"Only application/sdp describes sessions\"\r\n")
    elif status == 420:
        at = put_unsupported(core, at)
    elif status == 489:
        at = put_list(at, b"Allow-Events: ", core.packages, core.packages_length)
    elif status == 503 and core.retry_after:
        at = put(at, b"Retry-After: ")
        at += slg_decimal(at, core.retry_after)
        at = put(at, b"\r\n")
    elif status == 500 and (method == METHOD_INVITE or method == METHOD_UPDATE):
        # 0 to 10 s by chance (RFC 3261 14.2, 3311 5.2), and the same in each copy of the response.
        at = put(at, b"Retry-After: ")
        at += slg_decimal(at, slg_hash64(echo.data, echo.length, core.hash_seed) % 11)
        at = put(at, b"\r\n")
    if status == 200 and method == METHOD_OPTIONS:
        at = put_list(at, b"Supported: ", core.supported, core.supported_length)
        at = put_list(at, b"Allow-Events: ", core.packages, core.packages_length)
    return put(at, b"Server: siploadgen\r\nContent-Length: 0\r\n\r\n")
