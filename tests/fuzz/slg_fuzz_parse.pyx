# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# What libFuzzer runs: every function of the parser over one input, in a buffer of exactly its size.
# A promise that is broken aborts, so that the fuzzer keeps the input.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport abort
from siploadgen.core.sip.parse cimport (
    FAULT_NONE, PARSE_BAD, PARSE_DATAGRAM, PARSE_HEADERS, PARSE_KEEPALIVE, PARSE_OK, PARSE_PARTIAL,
    PARSE_STREAM, ParseStatus, SipAddress, SipChallenge, SipCredentials, SipHeader, SipMessage,
    SipUri, SipVia, address_parse, challenge_parse, contact_expires, credentials_parse,
    header_uint, list_has, list_next, parameter_find, parse_error_status, sip_parse, sip_validate,
    uri_parameter, uri_parse, via_parse,
)
from siploadgen.core.sip.tokens cimport HEADER_COUNT
from siploadgen.core.span cimport Span, span_equal


cdef void inside(const uint8_t* data, size_t size, Span part) noexcept nogil:
    if part.length and (part.data < data or part.data + part.length > data + size):
        abort()


cdef void check_value(const uint8_t* data, size_t size, Span value) noexcept nogil:
    cdef SipAddress address
    cdef SipChallenge challenge
    cdef SipCredentials credentials
    cdef SipUri uri
    cdef SipVia via
    cdef Span rest = value
    cdef Span item
    cdef bint present
    while rest.length:
        if address_parse(&address, &rest):
            inside(data, size, address.display)
            inside(data, size, address.parameters)
            inside(data, size, parameter_find(address.parameters, b"tag", &present))
            if uri_parse(&uri, address.uri):
                inside(data, size, uri.host)
                inside(data, size, uri.headers)
                inside(data, size, uri_parameter(&uri, b"lr", &present))
    rest = value
    while list_next(&rest, &item):
        if item.length == 0:
            abort()
        inside(data, size, item)
    rest = value
    while rest.length:
        if via_parse(&via, &rest):
            inside(data, size, via.host)
            inside(data, size, via.branch)
            inside(data, size, via.parameters)
    if challenge_parse(&challenge, value):
        inside(data, size, challenge.nonce)
    if credentials_parse(&credentials, value):
        inside(data, size, credentials.response)


cdef void check_message(SipMessage* message, const uint8_t* data, size_t size) noexcept nogil:
    cdef uint16_t i
    cdef uint16_t steps = 0
    cdef uint8_t id
    cdef uint64_t number
    cdef SipHeader* header
    if message.header_count > PARSE_HEADERS or message.error_at > size:
        abort()
    inside(data, size, message.method_text)
    inside(data, size, message.uri)
    inside(data, size, message.reason)
    inside(data, size, message.call_id)
    inside(data, size, message.cseq_method_text)
    inside(data, size, message.from_value)
    inside(data, size, message.from_tag)
    inside(data, size, message.to_value)
    inside(data, size, message.to_tag)
    inside(data, size, message.contact_uri)
    inside(data, size, message.body)
    inside(data, size, message.via.transport)
    inside(data, size, message.via.host)
    inside(data, size, message.via.branch)
    inside(data, size, message.via.received)
    for i in range(message.header_count):
        inside(data, size, message.headers[i].name)
        inside(data, size, message.headers[i].value)
        check_value(data, size, message.headers[i].value)
    for id in range(HEADER_COUNT):
        i = message.first[id]
        while i != 0xFFFF:
            header = &message.headers[i]
            if i >= message.header_count or header.id != id:
                abort()
            i = header.next
            steps += 1
        header_uint(message, id, &number)
        list_has(message, id, b"timer")
    if steps != message.header_count:
        abort()                         # every header is in exactly one chain
    contact_expires(message, message.method_text, 1)


cdef api int slg_fuzz_one(const uint8_t* data, size_t size) noexcept nogil:
    cdef SipMessage datagram
    cdef SipMessage stream
    cdef ParseStatus status = sip_parse(&datagram, data, <uint32_t>size, PARSE_DATAGRAM)
    cdef ParseStatus streamed = sip_parse(&stream, data, <uint32_t>size, PARSE_STREAM)
    if status == PARSE_PARTIAL or (status == PARSE_BAD) != (datagram.error != FAULT_NONE):
        abort()
    if status != PARSE_KEEPALIVE:
        check_message(&datagram, data, size)
    if status == PARSE_OK:
        if datagram.length > size or datagram.call_id.length == 0 or datagram.via_count == 0:
            abort()
        if sip_validate(&datagram) != parse_error_status(datagram.error):
            abort()
    if streamed == PARSE_OK:
        check_message(&stream, data, size)
        # The same octets as a datagram: there, too, the message is good and ends where it did.
        if stream.length > size or status != PARSE_OK or stream.length != datagram.length \
                or not span_equal(stream.body, datagram.body):
            abort()
    elif streamed == PARSE_BAD and stream.length > size:
        abort()
    return 0
