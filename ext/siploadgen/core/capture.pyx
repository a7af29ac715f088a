"""What a program learns from messages (see capture.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy
from siploadgen.core.auth cimport text_stamp
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.net.addr cimport host_parse, peer_clear
from siploadgen.core.outgoing cimport leg_call_id, leg_string, send_octets, token_write
from siploadgen.core.program cimport (
    CAPTURE_BODY, CAPTURE_DIALOG, CAPTURE_HEADER, CAPTURE_LIST, CAPTURE_OWN, CAPTURE_PARAMETER,
    CAPTURE_RANKED,
    CAPTURE_REQUEST_URI, CAPTURE_TEXT, CAPTURE_URI, CAPTURE_URI_HEADER, EXTRACT_NUMBER,
    EXTRACT_PARAMETER, EXTRACT_SIPFRAG, Insn, CAPTURE_ESCAPED, CAPTURE_STATUS_LINE,
)
from siploadgen.core.records cimport (
    Core, core_count, Instance, instance_legs, instance_texts, leg_at, leg_handle,
)
from siploadgen.core.sip.parse cimport (
    address_parse, contact_own, list_next, parameter_find, sip_header, sip_header_next, SipAddress,
    SipHeader, SipUri, uri_parse,
)
from siploadgen.core.span cimport Span, span_equal, span_iequal, span_make, span_trim
from siploadgen.core.texts cimport text_data, text_give, text_span, text_take
from siploadgen.core.types cimport NONE, Peer, PEER_NONE, SLG_UNREACHABLE, TOKEN_LENGTH
from siploadgen.core.user cimport instance_contact

cdef enum:
    NAME_MAX = 64               # octets of a parameter or header name
    TEXT_ROOM = 4096            # octets of a text made from a template
    HEADER_BITS = 8             # of the operand, below its text
    RANKED_MAX = 32             # addresses that are compared
    Q_ONE = 1000                # a q of 1, and of who names none


cdef Span nothing() noexcept nogil:
    return span_make(NULL, 0)


cdef Span first_header(Core* core, int64_t c) noexcept nogil:
    """Value of the first header with the number in the low bits of `c`."""
    cdef SipHeader* header = sip_header(core.message, <uint8_t>(c & 0xFF))
    return header.value if header != NULL else nothing()


cdef int64_t leading_number(Span text) noexcept nogil:
    """The digits that a text begins with; -1: none, or more than 18."""
    cdef int64_t value = 0
    cdef uint32_t i = 0
    while i < text.length and 48 <= text.data[i] <= 57:
        if i == 18:
            return -1
        value = value * 10 + (text.data[i] - 48)
        i += 1
    return value if i else -1


cdef Span parameters_of(Span value) noexcept nogil:
    """Parameters of a header's first item, which is an address, or any word (RFC 3261 7.3.1)."""
    cdef SipAddress address
    cdef Span rest = value
    cdef uint32_t i
    if address_parse(&address, &rest):
        return address.parameters
    for i in range(value.length):
        if value.data[i] == 59:
            return span_make(value.data + i + 1, value.length - i - 1)
    return nothing()


cdef Span parameter_of(Core* core, Instance* instance, int64_t c) noexcept nogil:
    """The parameter that a text from bit 8 of `c` names."""
    cdef uint8_t name[NAME_MAX + 1]
    cdef uint32_t length = text_stamp(core, instance, <uint16_t>(c >> HEADER_BITS), name, NAME_MAX)
    cdef bint present
    name[length] = 0
    return parameter_find(parameters_of(first_header(core, c)), <const char*>name, &present)


cdef int64_t sipfrag_status(Span body) noexcept nogil:
    """Status of a message/sipfrag that is a response (RFC 3420 2)."""
    if body.length < 11 or memcmp(body.data, b"SIP/2.0 ", 8) != 0:
        return -1
    return leading_number(span_make(body.data + 8, 3))


cdef int64_t extract_number(Core* core, Instance* instance, uint32_t what,
                            int64_t c) noexcept nogil:
    if what == EXTRACT_NUMBER:
        return leading_number(first_header(core, c))
    elif what == EXTRACT_PARAMETER:
        return leading_number(parameter_of(core, instance, c))
    elif what == EXTRACT_SIPFRAG:
        return sipfrag_status(core.message.body)
    SLG_UNREACHABLE()
    return -1


# --- texts ---

cdef Span address_uri(Span value) noexcept nogil:
    cdef SipAddress address
    cdef Span rest = value
    return address.uri if address_parse(&address, &rest) else nothing()


cdef uint32_t headers_at(Span uri) noexcept nogil:
    """Octets of a URI before its headers; all of it when it has none."""
    cdef uint32_t i
    for i in range(uri.length):
        if uri.data[i] == 63:
            return i
    return uri.length


cdef inline int hex_digit(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 0x20
    return c - 87 if 97 <= c <= 102 else -1


cdef Span unescaped(Span text, uint8_t* out) noexcept nogil:
    """%HH taken for the octet that it stands for, once; `out` holds text.length octets."""
    cdef uint32_t i = 0
    cdef uint32_t n = 0
    while i < text.length:
        if text.data[i] == 37 and i + 2 < text.length and hex_digit(text.data[i + 1]) >= 0 \
                and hex_digit(text.data[i + 2]) >= 0:
            out[n] = <uint8_t>(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]))
            # a line end or a NUL out of a URI would be a header of its own in the next message
            if out[n] < 32:
                return nothing()
            i += 3
        else:
            out[n] = text.data[i]
            i += 1
        n += 1
    return span_make(out, n)


cdef bint stands_in_uri(uint8_t c) noexcept nogil:
    """An octet that a header in a URI may hold as it is (RFC 3261 25.1): unreserved or
    hnv-unreserved. An apostrophe and parentheses are escaped all the same.
    """
    return 48 <= c <= 57 or 97 <= (c | 0x20) <= 122 or c in (
        33, 36, 42, 43, 45, 46, 47, 58, 63, 91, 93, 95, 126)


cdef Span escaped(Span text, uint8_t* out) noexcept nogil:
    """%HH for each octet that may not stand in a URI's header; `out` holds TEXT_ROOM octets."""
    cdef const char* digits = b"0123456789ABCDEF"
    cdef uint32_t i
    cdef uint32_t n = 0
    for i in range(text.length):
        if n + 3 > TEXT_ROOM:
            return nothing()
        if stands_in_uri(text.data[i]):
            out[n] = text.data[i]
            n += 1
        else:
            out[n] = 37
            out[n + 1] = <uint8_t>digits[text.data[i] >> 4]
            out[n + 2] = <uint8_t>digits[text.data[i] & 15]
            n += 3
    return span_make(out, n)


cdef Span status_line(Core* core, uint8_t* out) noexcept nogil:
    """The first line of the response at hand, without its end."""
    cdef uint32_t status = core.message.status
    cdef Span reason = core.message.reason
    if core.message.is_request or reason.length + 13 > TEXT_ROOM:
        return nothing()
    memcpy(out, b"SIP/2.0 ", 8)
    out[8] = <uint8_t>(48 + status // 100)
    out[9] = <uint8_t>(48 + status // 10 % 10)
    out[10] = <uint8_t>(48 + status % 10)
    out[11] = 32
    if reason.length:
        memcpy(out + 12, reason.data, reason.length)
    return span_make(out, 12 + reason.length)


cdef Span uri_header(Core* core, Instance* instance, int64_t c, uint8_t* out) noexcept nogil:
    """A header in the URI of the first address: `?Replaces=...&...` (RFC 3261 19.1.1)."""
    cdef uint8_t name[NAME_MAX]
    cdef Span wanted = span_make(
        name, text_stamp(core, instance, <uint16_t>(c >> HEADER_BITS), name, NAME_MAX))
    cdef Span uri = address_uri(first_header(core, c))
    cdef uint32_t at = headers_at(uri) + 1
    cdef uint32_t end, equals
    while at < uri.length:
        end = at
        while end < uri.length and uri.data[end] != 38:
            end += 1
        equals = at
        while equals < end and uri.data[equals] != 61:
            equals += 1
        if equals < end and span_iequal(span_make(uri.data + at, equals - at), wanted) \
                and end - equals - 1 <= TEXT_ROOM:
            return unescaped(span_make(uri.data + equals + 1, end - equals - 1), out)
        at = end + 1
    return nothing()


cdef Span dialog_name(Core* core, Instance* instance, uint32_t number, uint8_t* out) noexcept nogil:
    """The dialog of a leg as Replaces names it to our peer's other end (RFC 3891 6.1): the tags as
    our peer sees them, so its own is the to-tag.
    """
    cdef uint32_t index = instance_legs(core, instance)[number]
    cdef uint8_t* at = out
    cdef Span tag, call_id
    if index == NONE:
        return nothing()
    tag = leg_string(core, leg_at(core, index), 0)          # ";tag=..."
    call_id = leg_call_id(core, index)
    if tag.length <= 5 or call_id.length + tag.length + TOKEN_LENGTH + 32 > TEXT_ROOM:
        return nothing()
    memcpy(at, call_id.data, call_id.length)
    at += call_id.length
    memcpy(at, b";to-tag=", 8)
    at += 8
    memcpy(at, tag.data + 5, tag.length - 5)
    at += tag.length - 5
    memcpy(at, b";from-tag=", 10)
    at += 10
    token_write(core, at, leg_handle(core, index))
    return span_make(out, <uint32_t>(at - out) + TOKEN_LENGTH)


cdef uint32_t quality(Span parameters) noexcept nogil:
    """The q of an address in thousandths (RFC 3261 25.1: at most three digits)."""
    cdef bint present
    cdef Span text = parameter_find(parameters, b"q", &present)
    cdef uint32_t value, i
    cdef uint32_t unit = 100
    if not present or text.length == 0 or not 48 <= text.data[0] <= 49:
        return Q_ONE
    value = (text.data[0] - 48) * Q_ONE
    for i in range(2, min(text.length, <uint32_t>5)):
        if not 48 <= text.data[i] <= 57:
            break
        value += (text.data[i] - 48) * unit
        unit //= 10
    return min(value, <uint32_t>Q_ONE)


cdef Span ranked_uri(Core* core, int64_t c) noexcept nogil:
    """The URI with a rank by q: where a redirected request goes first, second ... (RFC 3261
    8.1.3.4). Only sip: URIs count, since no other can be followed.
    """
    cdef SipHeader* header = sip_header(core.message, <uint8_t>(c & 0xFF))
    cdef int64_t rank = c >> HEADER_BITS
    cdef uint32_t qs[RANKED_MAX]
    cdef Span uris[RANKED_MAX]
    cdef uint32_t count = 0
    cdef uint32_t i, best
    cdef SipAddress address
    cdef Span rest
    while header != NULL:
        rest = header.value
        while count < RANKED_MAX and address_parse(&address, &rest):
            if address.uri.length > 4 and span_iequal(span_make(address.uri.data, 4), span_make(
                    <const uint8_t*>b"sip:", 4)):
                uris[count] = span_make(address.uri.data, headers_at(address.uri))
                qs[count] = quality(address.parameters) + 1
                count += 1
        header = sip_header_next(core.message, header)
    while 0 < rank <= count:
        best = 0
        for i in range(1, count):
            if qs[i] > qs[best]:
                best = i
        rank -= 1
        if rank == 0:
            return uris[best]
        qs[best] = 0
    return nothing()


cdef Span listed(Core* core, int64_t c, uint8_t* out) noexcept nogil:
    """All headers of a kind as one (RFC 3261 7.3.1)."""
    cdef SipHeader* header = sip_header(core.message, <uint8_t>(c & 0xFF))
    cdef uint32_t length = 0
    while header != NULL:
        if length + header.value.length + 2 > TEXT_ROOM:
            return nothing()
        if length:
            memcpy(out + length, b", ", 2)
            length += 2
        memcpy(out + length, header.value.data, header.value.length)
        length += header.value.length
        header = sip_header_next(core.message, header)
    return span_make(out, length)


cdef Span own_parameter(Core* core, Instance* instance, int64_t c) noexcept nogil:
    """A parameter of the Contact that is ours among those of the answer to a REGISTER."""
    cdef uint8_t name[NAME_MAX + 1]
    cdef uint8_t token[24]
    cdef uint32_t length = text_stamp(core, instance, <uint16_t>(c >> HEADER_BITS), name, NAME_MAX)
    cdef SipAddress address
    cdef bint present
    name[length] = 0
    token_write(core, token, instance_contact(core, instance))
    if not contact_own(core.message, span_make(token, TOKEN_LENGTH), 0, &address):
        return nothing()
    return parameter_find(address.parameters, <const char*>name, &present)


cdef Span captured(Core* core, Instance* instance, const Insn* insn, uint8_t* out) noexcept nogil:
    cdef uint8_t room[TEXT_ROOM]
    cdef Span value
    if insn.flags == CAPTURE_TEXT:
        return span_make(out, text_stamp(core, instance, <uint16_t>insn.c, out, TEXT_ROOM))
    elif insn.flags == CAPTURE_ESCAPED:
        return escaped(span_make(room, text_stamp(core, instance, <uint16_t>insn.c, room,
                                                  TEXT_ROOM)), out)
    elif insn.flags == CAPTURE_DIALOG:
        return dialog_name(core, instance, <uint32_t>insn.c, out)
    elif core.message == NULL:
        return nothing()
    elif insn.flags == CAPTURE_HEADER:
        return first_header(core, insn.c)
    elif insn.flags == CAPTURE_URI:
        value = address_uri(first_header(core, insn.c))
        return span_make(value.data, headers_at(value))
    elif insn.flags == CAPTURE_URI_HEADER:
        return uri_header(core, instance, insn.c, out)
    elif insn.flags == CAPTURE_PARAMETER:
        return parameter_of(core, instance, insn.c)
    elif insn.flags == CAPTURE_RANKED:
        return ranked_uri(core, insn.c)
    elif insn.flags == CAPTURE_LIST:
        return listed(core, insn.c, out)
    elif insn.flags == CAPTURE_OWN:
        return own_parameter(core, instance, insn.c)
    elif insn.flags == CAPTURE_REQUEST_URI:
        return core.message.uri
    elif insn.flags == CAPTURE_BODY:
        return core.message.body
    elif insn.flags == CAPTURE_STATUS_LINE:
        return status_line(core, out)
    SLG_UNREACHABLE()
    return nothing()


cdef void capture(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint8_t room[TEXT_ROOM]
    cdef uint32_t* text = instance_texts(core, instance) + insn.a
    cdef Span value = captured(core, instance, insn, room)
    cdef uint32_t fresh = NONE
    cdef uint32_t i
    cdef uint8_t* out
    if value.length:
        fresh = text_take(&core.texts, value.length)
        if fresh == NONE:
            core_count(core, COUNT_SLAB_FULL)
        else:
            # A fold is one blank (RFC 3261 7.3.1); a body is kept as it is.
            out = text_data(&core.texts, fresh)
            if insn.flags == CAPTURE_BODY:
                memcpy(out, value.data, value.length)
            else:
                for i in range(value.length):
                    out[i] = 32 if value.data[i] == 13 or value.data[i] == 10 else value.data[i]
    text_give(&core.texts, text[0])
    text[0] = fresh


cdef bint text_same(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint8_t room[TEXT_ROOM]
    cdef Span other = span_make(
        room, text_stamp(core, instance, <uint16_t>insn.c, room, TEXT_ROOM))
    return span_equal(text_span(&core.texts, instance_texts(core, instance)[insn.a]), other)


# --- conditions ---

cdef Span item_word(Span item) noexcept nogil:
    """An item of a list without its parameters."""
    cdef uint32_t i
    for i in range(item.length):
        if item.data[i] == 59:
            return span_trim(span_make(item.data, i))
    return span_trim(item)


cdef bint message_has(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint8_t room[256]
    cdef uint8_t name[NAME_MAX]
    cdef Span called = nothing()
    cdef SipHeader* header
    cdef Span wanted, rest, item
    if core.message == NULL:
        return False
    header = sip_header(core.message, <uint8_t>(insn.c & 0xFF))
    if header == NULL:
        return False
    wanted = span_make(room, text_stamp(core, instance, insn.a, room, 256))
    if insn.c >> HEADER_BITS:
        called = span_make(name, text_stamp(core, instance, <uint16_t>(insn.c >> HEADER_BITS), name,
                                            NAME_MAX))
    while header != NULL:
        if called.length and not span_iequal(header.name, called):
            header = sip_header_next(core.message, header)
            continue
        if wanted.length == 0:
            return True
        rest = header.value
        while list_next(&rest, &item):
            if span_iequal(item_word(item), wanted):
                return True
        header = sip_header_next(core.message, header)
    return False


cdef bint body_has(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint8_t room[256]
    cdef Span wanted = span_make(room, text_stamp(core, instance, insn.a, room, 256))
    cdef Span body
    cdef uint32_t i
    cdef bint fresh = True                      # at the begin of a line
    if core.message == NULL:
        return False
    body = core.message.body
    if wanted.length == 0:
        return body.length != 0
    for i in range(body.length):
        if body.length - i < wanted.length:
            return False
        if fresh and memcmp(body.data + i, wanted.data, wanted.length) == 0:
            return True
        fresh = body.data[i] == 10
    return False


cdef void leg_route(Core* core, Instance* instance, uint32_t leg, uint16_t text) noexcept nogil:
    cdef uint8_t room[TEXT_ROOM]
    cdef Span uri = span_make(room, text_stamp(core, instance, text, room, TEXT_ROOM))
    cdef SipUri parts
    cdef Peer peer
    peer_clear(&peer)
    if uri_parse(&parts, uri) and host_parse(parts.host, &peer):
        peer.port = parts.port if parts.port else 5060
        peer.socket = core.target.socket
        leg_at(core, leg).next_hop = peer
    elif core.message != NULL and core.target.family == PEER_NONE:
        leg_at(core, leg).next_hop = core.source


cdef void leg_datagram(Core* core, Instance* instance, uint32_t leg, uint16_t text) noexcept nogil:
    cdef uint8_t room[TEXT_ROOM]
    send_octets(core, instance, leg_at(core, leg), span_make(
        room, text_stamp(core, instance, text, room, TEXT_ROOM)))
