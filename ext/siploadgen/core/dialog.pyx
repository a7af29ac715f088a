"""Dialogs (see dialog.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from siploadgen.core.counters cimport COUNT_DIALOG_MISMATCH, COUNT_SLAB_FULL
from siploadgen.core.net.addr cimport host_parse, peer_clear, peer_format
from siploadgen.core.outgoing cimport text_renamed, token_write, tx_open_branch
from siploadgen.core.records cimport (
    Core, core_count, instance_at, instance_legs, Leg, leg_at, LEG_CONFIRMED, LEG_EARLY,
    leg_handle, LEG_NEW, ROLE_ANSWERER,
)
from siploadgen.core.sip.parse cimport (
    address_parse, list_next, sip_header, sip_header_next, SipAddress, SipHeader, SipMessage,
    SipUri, uri_parameter, uri_parse,
)
from siploadgen.core.sip.tokens cimport HEADER_RECORD_ROUTE
from siploadgen.core.slab cimport slab_get
from siploadgen.core.span cimport Span, span_equal, span_make
from siploadgen.core.texts cimport text_data, text_give, text_take
from siploadgen.core.types cimport (
    Handle, handle_index, INDEX_BITS, NONE, Peer, PEER_NONE, PEER_STREAM, TOKEN_LENGTH,
)

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    bint slg_unhex16(const uint8_t* text, uint64_t* value)

cdef enum:
    ROUTES_MAX = 32                 # Record-Route entries kept of one dialog
    DIALOG_MAX = 8000               # octets kept of one dialog


cdef Handle token_read(Core* core, Span token) noexcept nogil:
    cdef uint64_t handle
    if token.length != TOKEN_LENGTH or memcmp(token.data, core.run_hex, 8) != 0:
        return 0
    if not slg_unhex16(token.data + 8, &handle):
        return 0
    if ((handle >> INDEX_BITS) & 0xFF) != core.engine_id:
        return 0
    return handle


cdef uint32_t call_id_hash(Core* core, Span call_id) noexcept nogil:
    """32 bits of a Call-ID's hash, never 0."""
    return <uint32_t>slg_hash64(call_id.data, call_id.length, core.hash_seed) | 1


cdef uint32_t dialog_tag_hash(Core* core, Span tag) noexcept nogil:
    return call_id_hash(core, tag) if tag.length else 0


cdef bint host_is_local(Core* core, Span host) noexcept nogil:
    return host.length == core.local_host_length \
        and memcmp(host.data, core.local, host.length) == 0


cdef uint32_t fork_of(Core* core, const Leg* leg) noexcept nogil:
    """The leg that stands for another branch of this leg's SUBSCRIBE; NONE."""
    cdef uint32_t* legs = instance_legs(core, instance_at(core, leg.instance))
    cdef uint32_t call_id = call_id_hash(core, core.message.call_id)
    cdef uint32_t tag = call_id_hash(core, core.message.from_tag)
    cdef uint32_t i
    for i in range(core.leg_max):
        if legs[i] != NONE and leg_at(core, legs[i]).call_id_hash == call_id \
                and leg_at(core, legs[i]).remote_tag_hash == tag:
            return legs[i]
    return NONE


cdef Leg* dialog_forked(Core* core) noexcept nogil:
    cdef Leg* leg = <Leg*>slab_get(&core.legs, token_read(core, core.message.to_tag))
    if leg == NULL or leg.call_id_hash or leg.remote_tag_hash == 0 \
            or core.message.from_tag.length == 0:
        return NULL
    return leg


cdef uint32_t dialog_named(Core* core, Span call_id, Span to_tag, Span from_tag) noexcept nogil:
    cdef Handle handle = token_read(core, to_tag)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, handle)
    if leg == NULL:
        return NONE
    if leg.call_id_hash:
        if leg.call_id_hash != call_id_hash(core, call_id):
            core_count(core, COUNT_DIALOG_MISMATCH)
            return NONE
    # A dialog of ours: the Call-ID is the leg's own token and our host.
    elif call_id.length != TOKEN_LENGTH + 1 + core.local_host_length \
            or memcmp(call_id.data, to_tag.data, TOKEN_LENGTH) != 0 \
            or memcmp(call_id.data + TOKEN_LENGTH + 1, core.local, core.local_host_length) != 0:
        core_count(core, COUNT_DIALOG_MISMATCH)
        return NONE
    if leg.remote_tag_hash and leg.remote_tag_hash != call_id_hash(core, from_tag):
        core_count(core, COUNT_DIALOG_MISMATCH)
        return NONE
    return handle_index(handle)


cdef uint32_t dialog_find(Core* core) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Leg* leg = dialog_forked(core)
    cdef uint32_t index
    if leg != NULL and leg.remote_tag_hash != call_id_hash(core, message.from_tag):
        index = fork_of(core, leg)
        if index != NONE:
            return index
    return dialog_named(core, message.call_id, message.to_tag, message.from_tag)


cdef uint32_t routes_collect(SipMessage* message, Span* routes, bint reverse) noexcept nogil:
    """Record-Route entries as name-addr texts, in the order in which Route headers carry them."""
    cdef SipHeader* header = sip_header(message, HEADER_RECORD_ROUTE)
    cdef Span rest, item
    cdef uint32_t count = 0
    cdef uint32_t i
    while header != NULL:
        rest = header.value
        while list_next(&rest, &item) and count < ROUTES_MAX:
            routes[count] = item
            count += 1
        header = sip_header_next(message, header)
    if reverse:
        for i in range(count // 2):
            item = routes[i]
            routes[i] = routes[count - 1 - i]
            routes[count - 1 - i] = item
    return count


cdef bint uri_of_route(Span route, SipUri* uri, Span* text) noexcept nogil:
    cdef SipAddress address
    cdef Span rest = route
    if not address_parse(&address, &rest) or not uri_parse(uri, address.uri):
        return False
    text[0] = address.uri
    return True


cdef Peer next_hop(Core* core, Span target, const SipUri* first, bint routed,
                   Peer known) noexcept nogil:
    """Where requests in the dialog go: the first route or the remote target when numeric, else
    where we met the peer.
    """
    cdef SipUri uri
    cdef Peer peer
    if core.source.family == PEER_STREAM:
        return core.source
    if routed:
        uri = first[0]
    elif not uri_parse(&uri, target):
        uri.host.length = 0
    peer_clear(&peer)
    if uri.host.length and host_parse(uri.host, &peer):
        peer.port = uri.port if uri.port else 5060
        peer.socket = core.source.socket
        return peer
    return core.source if known.family == PEER_NONE else known


cdef inline uint8_t* put(uint8_t* at, const void* data, uint32_t length) noexcept nogil:
    if length:
        memcpy(at, data, length)
    return at + length


cdef bint uri_stands(Span uri) noexcept nogil:
    """It may stand in a start line: no fold, blank or control character would end it early."""
    cdef uint32_t i
    for i in range(uri.length):
        if uri.data[i] <= 32:
            return False
    return uri.length > 0


cdef uint8_t* target_write(uint8_t* at, Span target, Span* routes, uint32_t count,
                           uint32_t* uri_length,
                           bint* strict, SipUri* first, bint* routed) noexcept nogil:
    """Request-URI, then Route lines. A strict router first in the set becomes the Request-URI and
    the target the last
    Route (RFC 3261 12.2.1.1)."""
    cdef Span first_text
    cdef bint loose = False
    cdef uint8_t* mark = at
    cdef uint32_t i
    routed[0] = count > 0 and uri_of_route(routes[0], first, &first_text)
    if routed[0]:
        uri_parameter(first, b"lr", &loose)
    strict[0] = routed[0] and not loose and uri_stands(first_text)
    if strict[0]:
        at = put(at, first_text.data, first_text.length)
    else:
        at = put(at, target.data, target.length)
    uri_length[0] = <uint32_t>(at - mark)
    for i in range(1 if strict[0] else 0, count):
        at = put(at, b"Route: ", 7)
        at = put(at, routes[i].data, routes[i].length)
        at = put(at, b"\r\n", 2)
    if strict[0]:
        at = put(at, b"Route: <", 8)
        at = put(at, target.data, target.length)
        at = put(at, b">\r\n", 3)
    return at


cdef Span target_of(Core* core, uint8_t* out) noexcept nogil:
    """The Contact of core.message; who sends none is reached where the message came from."""
    cdef uint32_t length
    if uri_stands(core.message.contact_uri):
        return core.message.contact_uri
    if core.source.family == PEER_STREAM:
        return span_make(out, 0)
    memcpy(out, b"sip:", 4)
    length = peer_format(&core.source, <char*>out + 4)
    return span_make(out, length + 4 if length else 0)


cdef uint32_t place_length(Span target, const Span* routes, uint32_t count) noexcept nogil:
    cdef uint32_t total = target.length + 64
    cdef uint32_t i
    for i in range(count):
        total += routes[i].length + 16
    return total


cdef bint dialog_is_of(Core* core, const Leg* leg) noexcept nogil:
    return leg.remote_tag_hash == dialog_tag_hash(core, core.message.to_tag)


cdef void dialog_place(Core* core, Span* target, Span* routes, Peer* hop) noexcept nogil:
    cdef Span set[32]
    cdef uint8_t host[72]
    cdef uint32_t count = routes_collect(core.message, set, True)
    cdef Span contact = target_of(core, host)
    cdef uint8_t* end
    cdef uint32_t length
    cdef bint strict, routed
    cdef SipUri first
    target.length = routes.length = 0
    hop[0] = core.source
    if place_length(contact, set, count) > DIALOG_MAX:
        return
    end = target_write(core.scratch, contact, set, count, &length, &strict, &first, &routed)
    target[0] = span_make(core.scratch, length)
    routes[0] = span_make(core.scratch + length, <uint32_t>(end - core.scratch) - length)
    hop[0] = next_hop(core, contact, &first, routed, core.source)


cdef void dialog_write(Core* core, uint32_t index, Span tag, Span target, Span* routes,
                       uint32_t count,
                       Span call_id, Span local, Span remote) noexcept nogil:
    """Lay the strings of a leg down in one text."""
    cdef Leg* leg = leg_at(core, index)
    cdef uint8_t* out = core.scratch
    cdef uint8_t* at
    cdef uint8_t* mark
    cdef SipUri uri
    cdef uint32_t total, text, length
    cdef bint routed, strict
    total = tag.length + call_id.length + local.length + remote.length \
        + place_length(target, routes, count)
    if total > DIALOG_MAX:
        core_count(core, COUNT_SLAB_FULL)
        return
    at = out
    if tag.length:
        at = put(at, b";tag=", 5)
        at = put(at, tag.data, tag.length)
    leg.tag_length = <uint16_t>(at - out)
    mark = at
    at = target_write(at, target, routes, count, &length, &strict, &uri, &routed)
    leg.strict = strict
    leg.target_length = <uint16_t>length
    leg.routes_length = <uint16_t>(<uint32_t>(at - mark) - length)
    leg.next_hop = next_hop(core, target, &uri, routed, leg.next_hop)
    at = put(at, call_id.data, call_id.length)
    leg.call_id_length = <uint16_t>call_id.length
    mark = at
    at = put(at, local.data, local.length)
    if local.length and core.message.to_tag.length == 0:
        at = put(at, b";tag=", 5)
        token_write(core, at, leg_handle(core, index))
        at += TOKEN_LENGTH
    leg.local_length = <uint16_t>(at - mark)
    at = put(at, remote.data, remote.length)
    leg.remote_length = <uint16_t>remote.length
    total = <uint32_t>(at - out)
    text = text_take(&core.texts, total)
    if text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        leg.tag_length = leg.target_length = leg.routes_length = 0
        leg.call_id_length = leg.local_length = leg.remote_length = 0
    else:
        memcpy(text_data(&core.texts, text), out, total)
    text_give(&core.texts, leg.text)
    leg.text = text


cdef uint64_t dialog_fingerprint(Core* core) noexcept nogil:
    """Of all that a leg takes from a response, so that the same answer is not laid down twice."""
    cdef SipMessage* message = core.message
    cdef SipHeader* header = sip_header(message, HEADER_RECORD_ROUTE)
    cdef uint64_t h = slg_hash64(message.to_tag.data, message.to_tag.length, core.hash_seed)
    h = slg_hash64(message.contact_uri.data, message.contact_uri.length, h)
    while header != NULL:
        h = slg_hash64(header.value.data, header.value.length, h)
        header = sip_header_next(message, header)
    return h


cdef void dialog_from_response(Core* core, uint32_t index) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Leg* leg = leg_at(core, index)
    cdef Span routes[32]
    cdef uint8_t host[72]
    cdef uint64_t h
    cdef uint32_t count
    if message.to_tag.length == 0 and message.status < 200:
        return
    h = dialog_fingerprint(core)
    if h != leg.dialog_hash:
        leg.dialog_hash = h
        if leg.state == LEG_NEW:
            peer_clear(&leg.next_hop)   # so far the target; who answered is nearer to the peer
        count = routes_collect(message, routes, True)
        leg.remote_tag_hash = call_id_hash(core, message.to_tag) if message.to_tag.length else 0
        dialog_write(core, index, message.to_tag, target_of(core, host), routes, count,
                     span_make(NULL, 0), span_make(NULL, 0), span_make(NULL, 0))
    leg.state = LEG_CONFIRMED if message.status >= 200 else LEG_EARLY


cdef void dialog_from_request(Core* core, uint32_t index) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Leg* leg = leg_at(core, index)
    cdef Span routes[32]
    cdef uint8_t host[72]
    cdef uint32_t count = routes_collect(message, routes, False)
    leg.role = ROLE_ANSWERER
    leg.state = LEG_EARLY
    leg.remote_cseq = message.cseq
    leg.call_id_hash = call_id_hash(core, message.call_id)
    leg.remote_tag_hash = call_id_hash(core, message.from_tag) if message.from_tag.length else 0
    dialog_write(core, index, span_make(NULL, 0), target_of(core, host), routes, count,
                 message.call_id, message.to_value, message.from_value)


cdef void dialog_branch(Core* core, uint32_t first_index, uint32_t index) noexcept nogil:
    cdef Leg* first = leg_at(core, first_index)
    cdef Leg* leg = leg_at(core, index)
    cdef Handle name = leg_handle(core, index)
    if leg.text != NONE or first.text == NONE or first.server_invite == NONE:
        return
    leg.server_invite = tx_open_branch(core, first.server_invite, name)
    if leg.server_invite == NONE:
        return
    leg.text = text_renamed(core, first.text, leg_handle(core, first_index), name)
    if leg.text == NONE:
        return
    leg.role = ROLE_ANSWERER
    leg.state = LEG_EARLY
    leg.strict = first.strict
    leg.remote_cseq = first.remote_cseq
    leg.tag_length = first.tag_length
    leg.target_length = first.target_length
    leg.routes_length = first.routes_length
    leg.call_id_length = first.call_id_length
    leg.local_length = first.local_length
    leg.remote_length = first.remote_length
    leg.call_id_hash = first.call_id_hash
    leg.remote_tag_hash = first.remote_tag_hash
    leg.next_hop = first.next_hop


cdef void dialog_from_notify(Core* core, uint32_t index) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Leg* leg = leg_at(core, index)
    cdef Span routes[32]
    cdef uint8_t host[72]
    cdef uint32_t count = routes_collect(message, routes, False)
    leg.remote_tag_hash = call_id_hash(core, message.from_tag)
    dialog_write(core, index, message.from_tag, target_of(core, host), routes, count,
                 span_make(NULL, 0), span_make(NULL, 0), span_make(NULL, 0))
    leg.state = LEG_CONFIRMED


cdef void dialog_from_fork(Core* core, uint32_t index) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Leg* leg = leg_at(core, index)
    cdef Span routes[32]
    cdef uint8_t host[72]
    cdef uint32_t count = routes_collect(message, routes, False)
    leg.role = ROLE_ANSWERER
    leg.call_id_hash = call_id_hash(core, message.call_id)
    leg.remote_tag_hash = call_id_hash(core, message.from_tag)
    dialog_write(core, index, span_make(NULL, 0), target_of(core, host), routes, count,
                 message.call_id, message.to_value, message.from_value)
    leg.state = LEG_CONFIRMED


cdef uint32_t last_route(Span routes) noexcept nogil:
    """Octets before the last Route line."""
    cdef uint32_t i = routes.length - 2 if routes.length > 2 else 0
    while i and routes.data[i - 1] != 10:
        i -= 1
    return i


cdef void dialog_refresh(Core* core, uint32_t index) noexcept nogil:
    cdef Leg* leg = leg_at(core, index)
    cdef Span strings[6]
    cdef const uint16_t* lengths = &leg.tag_length
    cdef const uint8_t* data
    cdef uint8_t kept[8192]
    cdef uint32_t i, total = 0
    cdef uint8_t* at
    cdef Span contact = core.message.contact_uri
    cdef uint32_t routes_length = 0
    if leg.text == NONE or not uri_stands(contact) or contact.length > 1024:
        return
    data = text_data(&core.texts, leg.text)
    for i in range(6):
        strings[i] = span_make(data, lengths[i])
        data += lengths[i]
        total += lengths[i]
    if span_equal(strings[1], contact) or total + 1024 + 11 > DIALOG_MAX:
        return
    at = kept
    for i in range(6):
        if leg.strict and i == 2:
            # Behind a strict router the target is the last Route (RFC 3261 12.2.1.1).
            at = put(at, strings[2].data, last_route(strings[2]))
            at = put(at, b"Route: <", 8)
            at = put(at, contact.data, contact.length)
            at = put(at, b">\r\n", 3)
            routes_length = <uint32_t>(at - kept) - strings[0].length - strings[1].length
        elif not leg.strict and i == 1:
            at = put(at, contact.data, contact.length)
        else:
            at = put(at, strings[i].data, strings[i].length)
    total = <uint32_t>(at - kept)
    i = text_take(&core.texts, total)
    if i == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return
    memcpy(text_data(&core.texts, i), kept, total)
    text_give(&core.texts, leg.text)
    leg.text = i
    if leg.strict:
        leg.routes_length = <uint16_t>routes_length
        return
    leg.target_length = <uint16_t>contact.length
    if leg.routes_length == 0:
        leg.next_hop = next_hop(core, contact, NULL, False, leg.next_hop)
