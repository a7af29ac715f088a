"""Requests that are wrong or unwanted (see refuse.pxd). The order is that of RFC 3261 8.2."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, strlen
from siploadgen.core.counters cimport (
    COUNT_AUTO_ANSWERED, COUNT_REFUSED_MALFORMED, COUNT_UNKNOWN_REQUIRED,
)
from siploadgen.core.outgoing cimport echo_make, plain_stamp, token_write
from siploadgen.core.plain cimport plain_extensions, plain_lists
from siploadgen.core.program cimport Template
from siploadgen.core.records cimport Core, core_count, Merged, MERGED_SLOTS, STATUS_SPAN, tx_handle
from siploadgen.core.sip.parse cimport (
    address_parse, header_uint, list_next, parse_error_status, sip_header, sip_header_next,
    SipAddress, SipHeader, SipMessage, SipUri, uri_parse,
)
from siploadgen.core.sip.tokens cimport (
    HEADER_ACCEPT, HEADER_CONTACT, HEADER_CONTENT_ENCODING, HEADER_CONTENT_TYPE, HEADER_CSEQ,
    HEADER_EVENT, HEADER_EXPIRES, HEADER_OTHER, HEADER_RECORD_ROUTE, HEADER_REFER_TO,
    HEADER_REPLACES, HEADER_REQUIRE, HEADER_SUBSCRIPTION_STATE, HEADER_VIA, METHOD_ACK,
    METHOD_BYE, METHOD_INFO, METHOD_INVITE, METHOD_NOTIFY, METHOD_OPTIONS, METHOD_PRACK,
    METHOD_PUBLISH, METHOD_REFER, METHOD_REGISTER, METHOD_SUBSCRIBE, METHOD_UNKNOWN,
    METHOD_UPDATE,
)
from siploadgen.core.slab cimport slab_get
from siploadgen.core.span cimport Span, span_equal, span_iequal, span_make, span_trim
from siploadgen.core.texts cimport TEXT_MAX
from siploadgen.core.types cimport Handle, Peer, PEER_STREAM, TOKEN_LENGTH

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    void slg_hex16(uint8_t* out, uint64_t value)

cdef extern from "slg_scan.h" nogil:
    int slg_word4(const uint8_t* p, const char* word)

cdef enum:
    # what we add to the kept octets: names of headers, our tag, received
    KEPT_MARGIN = 512


cdef inline Span words(const char* text) noexcept nogil:
    return span_make(<const uint8_t*>text, <uint32_t>strlen(text))


# --- what may be wrong with a request ---

cdef uint16_t uri_refusal(Core* core, Span* reason) noexcept nogil:
    """A Request-URI that does not begin with "sip:" (RFC 3261 8.2.2.1)."""
    cdef SipUri uri
    if not uri_parse(&uri, core.message.uri):
        reason[0] = words(b"Malformed Request-URI")
        return 400
    return 0 if uri.kind else 416


cdef uint16_t require_refusal(Core* core) noexcept nogil:
    cdef SipHeader* header = sip_header(core.message, HEADER_REQUIRE)
    cdef Span supported = plain_extensions(core)
    cdef Span rest, item
    while header != NULL:
        rest = header.value
        while list_next(&rest, &item):
            if not plain_lists(supported, item):
                return 420
        header = sip_header_next(core.message, header)
    return 0


cdef void refuse_note_required(Core* core, const Template* template) noexcept nogil:
    cdef SipHeader* header = sip_header(core.message, HEADER_REQUIRE)
    cdef Span supported = span_make(core.text + template.supported_offset,
                                    template.supported_length)
    cdef Span rest, item
    # in a 421 it is what we should support (RFC 3261 21.4.16)
    while header != NULL and core.message.status != 421:
        rest = header.value
        while list_next(&rest, &item):
            if not plain_lists(supported, item):
                core_count(core, COUNT_UNKNOWN_REQUIRED)
                return
        header = sip_header_next(core.message, header)


cdef bint body_optional(SipMessage* message) noexcept nogil:
    """Content-Disposition says that whoever does not know the body may leave it (RFC 3261 20.11).
    """
    cdef SipHeader* header = sip_header(message, HEADER_OTHER)
    cdef Span name = words(b"content-disposition")
    cdef Span wanted = words(b"handling=optional")
    cdef uint32_t i
    while header != NULL:
        if span_iequal(header.name, name):
            for i in range(header.value.length):
                if header.value.length - i >= wanted.length and span_iequal(
                        span_make(header.value.data + i, wanted.length), wanted):
                    return True
            return False
        header = sip_header_next(message, header)
    return False


cdef bint has_sdp(SipMessage* message) noexcept nogil:
    """A multipart body with a session description among its parts (RFC 5621 3.1)."""
    cdef const uint8_t* at = message.body.data
    cdef const uint8_t* end = at + message.body.length
    cdef Span wanted = words(b"application/sdp")
    while end - at >= <int>wanted.length:
        if (at[0] | 0x20) == 97 and span_iequal(span_make(at, wanted.length), wanted):
            return True
        at += 1
    return False


cdef uint16_t session_refusal(SipMessage* message) noexcept nogil:
    """The body of an INVITE or UPDATE: a session description, or one among other parts."""
    cdef SipHeader* header = sip_header(message, HEADER_CONTENT_TYPE)
    cdef Span kind
    cdef uint32_t i
    if header == NULL:
        return 0
    kind = header.value
    if kind.length == 15 and memcmp(kind.data, b"application/sdp", 15) == 0:
        return 0
    for i in range(kind.length):
        if kind.data[i] == 59:
            kind = span_trim(span_make(kind.data, i))
            break
    if span_iequal(kind, words(b"application/sdp")):
        return 0
    if kind.length > 10 and span_iequal(span_make(kind.data, 10), words(b"multipart/")) \
            and has_sdp(message):
        return 0
    return 0 if body_optional(message) else 415


cdef bint accepts_sdp(SipMessage* message) noexcept nogil:
    """Accept names what we send, or whole families of it; parameters do not matter here."""
    cdef SipHeader* header = sip_header(message, HEADER_ACCEPT)
    cdef Span rest, item
    cdef uint32_t i
    while header != NULL:
        rest = header.value
        while list_next(&rest, &item):
            for i in range(item.length):
                if item.data[i] == 59:
                    item = span_trim(span_make(item.data, i))
                    break
            if span_iequal(item, words(b"application/sdp")) or span_equal(item, words(b"*/*")) \
                    or span_iequal(item, words(b"application/*")):
                return True
        header = sip_header_next(message, header)
    return False


cdef uint16_t headers_refusal(Core* core, Span* reason) noexcept nogil:
    """Require, Content-Encoding, Accept and Replaces, of which at least one is there."""
    cdef SipMessage* message = core.message
    cdef SipHeader* header = sip_header(message, HEADER_REPLACES)
    if header != NULL and (message.method != METHOD_INVITE
                           or sip_header_next(message, header) != NULL):
        reason[0] = words(b"One Replaces, in an INVITE Only")   # RFC 3891 3
        return 400
    if message.first[<int>HEADER_REQUIRE] != ABSENT and require_refusal(core):
        return 420
    header = sip_header(message, HEADER_CONTENT_ENCODING)
    if header != NULL and message.body.length and header.value.length \
            and not span_iequal(header.value, words(b"identity")):
        return 415
    if message.method == METHOD_INVITE and message.first[<int>HEADER_ACCEPT] != ABSENT \
            and not accepts_sdp(message):
        return 406                              # RFC 4475 3.3.15
    return 0


cdef bint party_is_sip(Span value) noexcept nogil:
    """The URI of a To is a SIP or SIPS one."""
    cdef SipAddress address
    cdef SipUri uri
    cdef const uint8_t* open = <const uint8_t*>memchr(value.data, 60, value.length)
    if open != NULL and value.length - <uint32_t>(open - value.data) > 5 \
            and slg_word4(open + 1, b"sip:"):
        return True
    return address_parse(&address, &value) and uri_parse(&uri, address.uri) \
        and 1 <= uri.kind <= 2


cdef bint star_is_wrong(SipMessage* message) noexcept nogil:
    """Contact "*" stands alone and with Expires 0 (RFC 3261 10.3 step 6)."""
    cdef SipHeader* header = sip_header(message, HEADER_CONTACT)
    cdef uint64_t expires
    if not header_uint(message, HEADER_EXPIRES, &expires) or expires:
        return True
    return header.value.length != 1 or sip_header_next(message, header) != NULL


cdef uint16_t register_refusal(SipMessage* message, Span* reason) noexcept nogil:
    if not party_is_sip(message.to_value):
        reason[0] = words(b"To Is Not a SIP URI")       # RFC 3261 10.3 step 3
        return 400
    if message.contact_uri.length == 0 and message.first[<int>HEADER_CONTACT] != ABSENT \
            and star_is_wrong(message):
        reason[0] = words(b"Contact * Needs Expires 0 and No Other Contact")
        return 400
    return 0


cdef Span package_of(SipHeader* event) noexcept nogil:
    """The package that an Event names."""
    cdef uint32_t i
    for i in range(event.value.length):
        if event.value.data[i] == 59:
            return span_trim(span_make(event.value.data, i))
    return event.value


cdef bint subscribes_to_refer(SipMessage* message) noexcept nogil:
    """A SUBSCRIBE to what a REFER alone can ask for (RFC 3515 2.4.4)."""
    cdef SipHeader* header = sip_header(message, HEADER_EVENT)
    return message.method == METHOD_SUBSCRIBE and message.to_tag.length == 0 \
        and header != NULL and span_equal(package_of(header), words(b"refer"))


cdef uint16_t event_refusal(Core* core, Span* reason) noexcept nogil:
    """RFC 6665 4.1.3, 8.2.1 and 3903 6: Event names a package that we know."""
    cdef SipMessage* message = core.message
    cdef SipHeader* header = sip_header(message, HEADER_EVENT)
    cdef Span package
    if header == NULL:
        reason[0] = words(b"Missing Event")
        return 489
    if subscribes_to_refer(message):
        return 403
    if core.packages_length:
        package = package_of(header)
        if not plain_lists(span_make(core.packages, core.packages_length), package):
            return 489
    if message.method == METHOD_NOTIFY \
            and message.first[<int>HEADER_SUBSCRIPTION_STATE] == ABSENT:
        reason[0] = words(b"Missing Subscription-State")
        return 400
    return 0


cdef uint16_t refer_refusal(SipMessage* message, Span* reason) noexcept nogil:
    """Exactly one Refer-To (RFC 3515 2.4.1)."""
    cdef SipHeader* header = sip_header(message, HEADER_REFER_TO)
    cdef Span rest, item
    reason[0] = words(b"Not Exactly One Refer-To")
    if header == NULL or sip_header_next(message, header) != NULL:
        return 400
    rest = header.value
    if not list_next(&rest, &item) or list_next(&rest, &item):
        return 400
    return 0


cdef uint16_t refuse_find(Core* core, Span* reason) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t method = message.method
    cdef uint16_t status = 0
    reason[0] = span_make(NULL, 0)
    if not slg_word4(message.uri.data, b"sip:"):
        status = uri_refusal(core, reason)
    if status == 0 and (message.first[<int>HEADER_REQUIRE]
                        & message.first[<int>HEADER_CONTENT_ENCODING]
                        & message.first[<int>HEADER_ACCEPT]
                        & message.first[<int>HEADER_REPLACES]) != ABSENT:
        status = headers_refusal(core, reason)
    if status:
        return status
    if method == METHOD_INVITE or method == METHOD_UPDATE:
        return session_refusal(message) if message.body.length else 0
    if method <= METHOD_OPTIONS and method != METHOD_REGISTER:
        return 0
    if method == METHOD_REGISTER:
        return register_refusal(message, reason)
    if method == METHOD_SUBSCRIBE or method == METHOD_NOTIFY or method == METHOD_PUBLISH:
        return event_refusal(core, reason)
    if method == METHOD_REFER:
        return refer_refusal(message, reason)
    return 0


cdef uint32_t kept_length(SipMessage* message) noexcept nogil:
    """Octets of a request that are kept until its answer, or for the dialog that it opens."""
    cdef uint32_t total = message.from_value.length + message.to_value.length \
        + message.call_id.length + message.contact_uri.length
    cdef SipHeader* header = sip_header(message, HEADER_VIA)
    while header != NULL:
        total += header.value.length + 8
        header = sip_header_next(message, header)
    header = sip_header(message, HEADER_RECORD_ROUTE)
    while header != NULL:
        total += header.value.length + 16
        header = sip_header_next(message, header)
    return total


cdef bint refuse_too_large(Core* core) noexcept nogil:
    return core.message.method == METHOD_INVITE \
        and kept_length(core.message) > TEXT_MAX - KEPT_MARGIN


cdef uint16_t refuse_unwanted(Core* core) noexcept nogil:
    cdef uint8_t method = core.message.method
    cdef uint32_t i
    if core.allowed >> METHOD_REFER & 1 and subscribes_to_refer(core.message):
        return 403
    for i in range(core.answer_count):
        if core.answers[i].method == method:
            return 404                          # for other users only (RFC 3261 8.2.2.1)
    if method == METHOD_OPTIONS:
        return 200                              # we are alive (RFC 3261 11)
    elif method == METHOD_UNKNOWN:
        return 501
    elif method == METHOD_BYE:
        return 481                              # RFC 3261 15.1.2
    elif core.allowed >> method & 1 and (
            method == METHOD_INFO or method == METHOD_UPDATE or method == METHOD_PRACK
            or method == METHOD_NOTIFY):
        return 481                              # served, but in a dialog only
    return 405


# --- merged requests ---

cdef bint refuse_merged(Core* core) noexcept nogil:
    cdef Merged* slot
    if not core.merge or core.message.from_tag.length == 0:
        return False
    slot = &core.merged[core.merged_print % MERGED_SLOTS]
    return slot.print == core.merged_print and slab_get(&core.txs, slot.tx) != NULL


cdef void refuse_merged_note(Core* core, uint32_t tx) noexcept nogil:
    cdef Merged* slot
    if not core.merge or core.message.from_tag.length == 0:
        return
    # A newer request takes the slot of an older one: copies come soon after each other.
    slot = &core.merged[core.merged_print % MERGED_SLOTS]
    slot.print = core.merged_print
    slot.tx = tx_handle(core, tx)


# --- responses without a transaction ---

cdef void stateless_tag(Core* core, uint8_t* tag) noexcept nogil:
    """The same request gets the same tag each time (RFC 3261 8.2.7)."""
    cdef Span call_id = core.message.call_id
    memcpy(tag, core.run_hex, 8)
    slg_hex16(tag + 8, slg_hash64(call_id.data, call_id.length, core.hash_seed))


cdef void send_refusal(Core* core, uint16_t status, Span reason, Handle leg) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t tag[24]
    cdef Peer to = core.source
    if leg:
        token_write(core, tag, leg)
    else:
        stateless_tag(core, tag)
    echo_make(core, tag, TOKEN_LENGTH)
    if not message.via.has_rport and to.family != PEER_STREAM:
        to.port = message.via.port if message.via.port else 5060
    if plain_stamp(core, status, reason, span_make(core.echo, core.echo_length), message.method,
                   &to):
        core.sent_responses[message.method * STATUS_SPAN + status - 100] += 1
        core_count(core, COUNT_AUTO_ANSWERED)


cdef void send_stateless(Core* core, uint16_t status, Handle leg) noexcept nogil:
    send_refusal(core, status, span_make(NULL, 0), leg)


cdef bint refuse_acknowledged(Core* core) noexcept nogil:
    cdef uint8_t tag[24]
    if core.message.to_tag.length != TOKEN_LENGTH:
        return False
    stateless_tag(core, tag)
    return memcmp(core.message.to_tag.data, tag, TOKEN_LENGTH) == 0


cdef void refuse_malformed(Core* core, int fault) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef int status = parse_error_status(fault)
    if status == 0 or not message.is_request or message.method == METHOD_ACK:
        return
    # A response that lacks one of these finds neither its way nor its transaction.
    if message.via_count == 0 or message.via.host.length == 0 or message.from_value.length == 0 \
            or message.to_value.length == 0 or message.call_id.length == 0 \
            or sip_header(message, HEADER_CSEQ) == NULL:
        return
    core_count(core, COUNT_REFUSED_MALFORMED)
    send_stateless(core, <uint16_t>status, 0)
