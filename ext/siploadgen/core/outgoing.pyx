"""Messages on their way out (see outgoing.pxd)."""

from libc.stdint cimport INT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy
from siploadgen.core.counters cimport (
    COUNT_AUTO_ANSWERED, COUNT_LARGE_REQUESTS, COUNT_LINGER_CUT, COUNT_OVERSIZE,
    COUNT_RETRANSMITTED, COUNT_SLAB_FULL, COUNT_UNEXPECTED,
)
from siploadgen.core.auth cimport auth_kept, auth_lines, challenge_text
from siploadgen.core.departure cimport departing, record_lateness, send_flush
from siploadgen.core.net.outbox cimport outbox_commit, outbox_reserve, OUTBOX_MESSAGE_MAX
from siploadgen.core.overload cimport overload_announce, overload_spend
from siploadgen.core.plain cimport PLAIN_ROOM, plain_write
from siploadgen.core.program cimport (
    ENTRY_OWNS_USER, FIELD_AUTHORIZATION, FIELD_BRANCH, FIELD_CALL_ID, FIELD_CHALLENGE,
    FIELD_OWN_ADDRESS, FIELD_CONTACTS, FIELD_CSEQ, FIELD_ECHO, FIELD_ECHO_PARTIES, FIELD_FILL,
    FIELD_INITIAL_URI, FIELD_LOCAL, FIELD_LOCAL_HOST, FIELD_LOCAL_PARTY, FIELD_LOCAL_TAG,
    FIELD_RACK,
    FIELD_REMOTE_PARTY, FIELD_REMOTE_TAG, FIELD_REQUEST_URI, FIELD_ROUTES, FIELD_RSEQ,
    FIELD_SDP_ADDRESS, FIELD_TEXT, FIELD_TOKEN, FIELD_UUID, FIELD_VARIABLE, Template,
    TEMPLATE_RELIABLE, TEMPLATE_RESPONSE,
)
from siploadgen.core.records cimport (
    Core, CSEQ_BASE, Instance, instance_at, instance_rung, instance_variables, Leg, leg_at,
    LEG_CONFIRMED, leg_handle, OC_NONE, rows_fill, RUNG_SENT, STATUS_SPAN, STEP_FIELDS,
    STEP_RETRANSMITTED,
    STEP_SENT, TEMPLATE_NONE, texts_fill, tx_at, tx_handle, tx_node, core_count, User,
)
from siploadgen.core.sip.parse cimport sip_header, sip_header_next, SipHeader, SipMessage
from siploadgen.core.sip.stamp cimport stamp_message, StampFields
from siploadgen.core.sip.tokens cimport (
    HEADER_CSEQ, HEADER_RECORD_ROUTE, HEADER_TIMESTAMP, HEADER_VIA, METHOD_ACK, METHOD_BYE,
    METHOD_CANCEL, METHOD_INVITE, method_opens_dialog, METHOD_REGISTER,
)
from siploadgen.core.registrar cimport registrar_again
from siploadgen.core.slab cimport slab_get, slab_give, slab_take
from siploadgen.core.span cimport Span, span_iequal, span_make
from siploadgen.core.table cimport table_add, table_remove
from siploadgen.core.rand cimport rand_next
from siploadgen.core.texts cimport text_data, text_give, text_head, text_span, text_take
from siploadgen.core.tx cimport (
    Tx, tx_abandoned, TX_ACCEPTED, tx_acked, tx_cancelled, TX_CLIENT, TX_COMPLETED,
    TX_INVITE_CLIENT, TX_INVITE_SERVER, tx_next, tx_on_event, tx_pracked, TX_PROCEEDING,
    tx_reliable, TX_SERVER, TX_TRYING, tx_trying, TXA_END, TXE_1XX, TXE_2XX, TXE_3XX_6XX,
    TXE_START, TxTimers,
)
from siploadgen.core.types cimport (
    Handle, Nanos, NONE, Peer, PEER_IPV4, PEER_NONE, PEER_STREAM, TOKEN_LENGTH,
)
from siploadgen.core.measure cimport measure_answered, measure_released, measure_request
from siploadgen.core.net.addr cimport host_format
from siploadgen.core.targets cimport target_assign
from siploadgen.core.user cimport user_at, user_handle
from siploadgen.core.wheel cimport wheel_add, wheel_add_behind, wheel_del

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    void slg_hex16(uint8_t* out, uint64_t value)
    uint32_t slg_decimal(uint8_t* out, uint64_t value)

cdef enum:                                  # places in Core.scratch
    AT_TOKEN = 32                           # then "@host": the Call-ID
    AT_CSEQ = 128
    AT_RSEQ = 160
    AT_USER = 192                           # as AT_TOKEN, of a registration
    AT_RACK = 320
    AT_UUID = 400
    AT_BRANCH = 448                         # then what follows it in Via
    AT_PARTIES = 4096
    # auth.pyx has what is between
    AT_CHALLENGE = 12288
    # an ACK's branch is its INVITE's with this bit of the handle turned
    ACK_BRANCH_BIT = 63

cdef enum:
    ECHO_ROOM = 65536 - 16
    UDP_REQUEST_MAX = 1300
    # fields whose text may be another one when the message is repeated
    CHANGING = 1 << FIELD_VARIABLE | 1 << FIELD_TEXT | 1 << FIELD_RACK | 1 << FIELD_FILL


# --- transaction records ---

cdef inline bint is_hang_up(const Tx* tx) noexcept nogil:
    """The engine's own BYE (send_hang_up), kept whole because no template gives it."""
    return tx.kind == TX_CLIENT and tx.template == TEMPLATE_NONE


cdef void tx_free(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Tx* invite
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    if leg != NULL:
        if leg.client_invite == index:
            leg.client_invite = NONE
        if leg.client_other == index:
            leg.client_other = NONE
        if leg.server_invite == index:
            leg.server_invite = NONE
        if leg.server_other == index:
            leg.server_other = NONE
    if is_hang_up(tx):
        table_remove(&core.requests, tx.key, index)
    elif tx.kind >= TX_INVITE_SERVER:
        if not tx.flags & TXF_BRANCH:
            table_remove(&core.requests, tx.key, index)
        text_give(&core.texts, tx.text)
    else:
        text_give(&core.texts, tx.auth - 1)
    if tx.kind <= TX_CLIENT and tx.flags & TXF_ABANDONED:
        text_give(&core.texts, tx.text)
    elif tx.kind <= TX_CLIENT and tx.method == METHOD_CANCEL:
        # The INVITE outlives its CANCEL and must not point at whoever gets this record next.
        invite = <Tx*>slab_get(&core.txs, tx.key)
        if invite != NULL and invite.text == index:
            invite.text = NONE
    text_give(&core.texts, tx.whole)
    if core.request == index:
        core.request = NONE
    if core.fresh == index:
        core.fresh = NONE
    wheel_del(&core.wheel, tx_node(core, index))
    slab_give(&core.txs, index)


cdef inline void tx_arm(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Nanos when = tx_next(tx)
    if when == INT64_MAX:
        wheel_del(&core.wheel, tx_node(core, index))
    elif tx.state >= TX_COMPLETED and tx.next_retransmit == INT64_MAX:
        # it only lingers, for as long as all others of its kind
        wheel_add_behind(&core.wheel, tx_node(core, index), when,
                         2 * tx.kind + (tx.state == TX_ACCEPTED))
    else:
        wheel_add(&core.wheel, tx_node(core, index), when)


cdef void tx_abandon(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef uint16_t ack = core.templates[tx.template].ack
    cdef Span target, routes
    cdef uint8_t* data
    if ack == TEMPLATE_NONE or core.txs.used > core.linger_pressure:
        tx_free(core, index)
        return
    if tx.text != NONE and tx.flags & TXF_CANCELLED:
        tx_free(core, tx.text)
    tx.text = NONE
    tx.flags |= TXF_ABANDONED
    if leg != NULL and core.needs[ack] & (1 << FIELD_INITIAL_URI | 1 << FIELD_REQUEST_URI):
        target = leg_string(core, leg, 1)
        routes = leg_string(core, leg, 2)
        tx.text = text_take(&core.texts, 4 + target.length + routes.length)
        if tx.text == NONE:
            core_count(core, COUNT_SLAB_FULL)
            tx_free(core, index)
            return
        data = text_data(&core.texts, tx.text)
        memcpy(data, &target.length, 4)
        put_span(put_span(data + 4, target), routes)
    tx_abandoned(tx, core.now, &core.timers)
    tx_arm(core, index)


cdef inline const TxTimers* timers_of(Core* core) noexcept nogil:
    """Finished transactions are remembered for less time once the slab is nearly full."""
    if core.linger_auto and core.txs.used > core.linger_pressure:
        return &core.timers_short
    return &core.timers


cdef uint32_t tx_event(Core* core, uint32_t index, uint32_t event) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef const TxTimers* timers = timers_of(core)
    cdef uint32_t actions
    if timers != &core.timers and (event == TXE_2XX or event == TXE_3XX_6XX):
        core_count(core, COUNT_LINGER_CUT)
    actions = tx_on_event(tx, event, core.now, timers)
    if not actions & TXA_END:
        tx_arm(core, index)
    return actions


cdef void tx_await_answer(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    if tx.kind == TX_INVITE_SERVER and tx.state == TX_PROCEEDING and tx.status == 0:
        tx_trying(tx, core.now)
        tx_arm(core, index)


cdef void server_acknowledged(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    text_give(&core.texts, tx.text)
    tx.text = NONE
    text_give(&core.texts, tx.whole)            # the answer is not repeated any more
    tx.whole = NONE
    if core.fresh == index:
        core.fresh = NONE
    if tx_acked(tx, core.now, timers_of(core)) & TXA_END:
        tx_free(core, index)
    else:
        tx_arm(core, index)


cdef void server_pracked(Core* core, uint32_t index) noexcept nogil:
    tx_pracked(tx_at(core, index))
    tx_arm(core, index)


cdef uint32_t tx_open_server(Core* core, uint64_t key, Handle leg) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t index = slab_take(&core.txs)
    cdef Tx* tx
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return NONE
    tx = tx_at(core, index)
    tx.kind = TX_INVITE_SERVER if message.method == METHOD_INVITE else TX_SERVER
    tx.method = message.method
    tx.template = TEMPLATE_NONE
    tx.leg = leg
    tx.key = key
    tx.cseq = message.cseq
    tx.row = 0
    tx.text = NONE
    tx.started = core.now
    tx.peer = core.source
    tx.reliable = core.source.family == PEER_STREAM
    tx.insn = NONE
    tx.whole = NONE
    if message.body.length:
        tx.flags |= TXF_OFFERED
    # Without rport the answer goes to the port of the sent-by (RFC 3261 18.2.2, 3581).
    if not message.via.has_rport and not tx.reliable:
        tx.peer.port = message.via.port if message.via.port else 5060
    table_add(&core.requests, key, index)
    tx_event(core, index, TXE_START)
    return index


cdef uint32_t text_renamed(Core* core, uint32_t text, Handle old, Handle new) noexcept nogil:
    cdef Span kept = text_span(&core.texts, text)
    cdef uint32_t fresh = text_take(&core.texts, kept.length)
    cdef uint8_t name[24]
    cdef uint8_t* data
    cdef uint32_t i
    if fresh == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return NONE
    data = text_data(&core.texts, fresh)
    memcpy(data, kept.data, kept.length)
    token_write(core, name, old)
    for i in range(kept.length - TOKEN_LENGTH + 1 if kept.length >= TOKEN_LENGTH else 0):
        if data[i] == name[0] and memcmp(data + i, name, TOKEN_LENGTH) == 0:
            token_write(core, data + i, new)
    return fresh


cdef uint32_t tx_open_branch(Core* core, uint32_t first_index, Handle leg) noexcept nogil:
    cdef Tx* first = tx_at(core, first_index)
    cdef uint32_t index, text
    cdef Tx* tx
    if core.fresh == first_index:               # from here on two answers need the echo
        echo_keep(core)
        core.fresh = NONE
    if first.text == NONE:
        return NONE
    text = text_renamed(core, first.text, first.leg, leg)
    if text == NONE:
        return NONE
    index = slab_take(&core.txs)
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        text_give(&core.texts, text)
        return NONE
    tx = tx_at(core, index)
    tx.kind = TX_INVITE_SERVER
    tx.method = METHOD_INVITE
    tx.template = TEMPLATE_NONE
    tx.flags = TXF_BRANCH | (first.flags & TXF_OFFERED)
    tx.leg = leg
    tx.key = first.key
    tx.cseq = first.cseq
    tx.row = first.row
    tx.text = text
    tx.started = core.now
    tx.peer = first.peer
    tx.reliable = first.reliable
    tx.insn = NONE
    tx.whole = NONE
    tx_event(core, index, TXE_START)
    return index


# --- texts of fields ---

cdef void token_write(Core* core, uint8_t* out, Handle handle) noexcept nogil:
    memcpy(out, core.run_hex, 8)
    slg_hex16(out + 8, handle)


cdef inline uint8_t* put(uint8_t* at, const void* data, uint32_t length) noexcept nogil:
    memcpy(at, data, length)
    return at + length


cdef inline uint8_t* put_span(uint8_t* at, Span span) noexcept nogil:
    if span.length:
        memcpy(at, span.data, span.length)
    return at + span.length


cdef Span via_first(Span value) noexcept nogil:
    """The first via-parm of a Via value: up to a comma outside quotes."""
    cdef uint32_t i
    cdef bint quoted = False
    for i in range(value.length):
        if value.data[i] == 34:
            quoted = not quoted
        elif value.data[i] == 44 and not quoted:
            return span_make(value.data, i)
    return value


cdef uint32_t rport_place(Span value) noexcept nogil:
    """Octets up to the end of a valueless rport parameter; 0 when there is none."""
    cdef uint32_t i
    cdef uint8_t after
    for i in range(6, value.length + 1):
        if (value.data[i - 1] | 0x20) == 116 and (value.data[i - 5] | 0x20) == 114 \
                and (value.data[i - 4] | 0x20) == 112 and (value.data[i - 3] | 0x20) == 111 \
                and (value.data[i - 2] | 0x20) == 114 and value.data[i - 6] in (59, 32, 9):
            after = value.data[i] if i < value.length else 59
            if after == 59 or after == 32 or after == 9 or after == 44:
                return i
    return 0


cdef uint32_t source_write(const Peer* peer, uint8_t* out) noexcept nogil:
    """Host of a peer; quick for IPv4, which every request of a run may ask for."""
    cdef uint8_t* at = out
    cdef uint32_t i
    if peer.family != PEER_IPV4:
        return host_format(peer, <char*>out)
    for i in range(4):
        if i:
            at = put(at, b".", 1)
        at += slg_decimal(at, peer.ip[i])
    return <uint32_t>(at - out)


cdef uint8_t* put_top_via(Core* core, uint8_t* at, Span value) noexcept nogil:
    """The top Via with received and rport as RFC 3261 18.2.1 and RFC 3581 4 want them."""
    cdef SipMessage* message = core.message
    cdef uint8_t host[64]
    cdef Span source = span_make(host, source_write(&core.source, host))
    cdef Span bare = source
    cdef uint32_t place
    cdef Span first
    if source.length and host[0] == 91:
        bare = span_make(host + 1, source.length - 2)       # no brackets in received (RFC 5118 4.5)
    if message.via.has_rport and not message.via.has_rport_value:
        place = rport_place(value)
        if place:
            at = put(at, value.data, place)
            at = put(at, b"=", 1)
            at += slg_decimal(at, core.source.port)
            at = put(at, b";received=", 10)
            at = put_span(at, bare)
            return put(at, value.data + place, value.length - place)
    if message.via.received.length == 0 and not span_iequal(message.via.host, source):
        first = via_first(value)
        at = put_span(at, first)
        at = put(at, b";received=", 10)
        at = put_span(at, bare)
        return put(at, value.data + first.length, value.length - first.length)
    return put_span(at, value)


cdef uint32_t echo_size(SipMessage* message) noexcept nogil:
    """No less than what echo_make copies."""
    cdef uint32_t size = message.from_value.length + message.to_value.length \
        + message.call_id.length + message.cseq_method_text.length
    cdef uint32_t i
    for i in range(message.header_count):
        if message.headers[i].id == HEADER_VIA or message.headers[i].id == HEADER_RECORD_ROUTE:
            size += message.headers[i].value.length + 16
    return size


cdef void echo_make(Core* core, const uint8_t* tag, uint32_t tag_length) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef SipHeader* header = sip_header(message, HEADER_VIA)
    cdef uint8_t* at = core.echo
    cdef uint8_t* start
    cdef bint top = True
    core.echo_length = 0
    core.contacts_length = 0
    # Everything below copies parts of one datagram and adds less than 200 octets to them.
    if message.length > ECHO_ROOM - 1024 - 16 * message.via_count \
            and echo_size(message) > ECHO_ROOM - 1024:
        return
    while header != NULL:
        at = start = put(at, b"Via: ", 5)
        at = put_top_via(core, at, header.value) if top else put_span(at, header.value)
        if top and core.oc_algorithm != OC_NONE:
            at = overload_announce(core, start, at)
        at = put(at, b"\r\n", 2)
        top = False
        header = sip_header_next(message, header)
    header = sip_header(message, HEADER_RECORD_ROUTE)
    while header != NULL:
        at = put(at, b"Record-Route: ", 14)
        at = put_span(at, header.value)
        at = put(at, b"\r\n", 2)
        header = sip_header_next(message, header)
    at = put(at, b"From: ", 6)
    at = put_span(at, message.from_value)
    at = put(at, b"\r\nTo: ", 6)
    at = put_span(at, message.to_value)
    if message.to_tag.length == 0 and tag_length:
        at = put(at, b";tag=", 5)
        at = put(at, tag, tag_length)
    at = put(at, b"\r\nCall-ID: ", 11)
    at = put_span(at, message.call_id)
    at = put(at, b"\r\nCSeq: ", 8)
    if message.cseq_method_text.length:
        at += slg_decimal(at, message.cseq)
        at = put(at, b" ", 1)
        at = put_span(at, message.cseq_method_text)
    else:
        at = put_span(at, sip_header(message, HEADER_CSEQ).value)   # a 400 names it as it came
    at = put(at, b"\r\n", 2)
    header = sip_header(message, HEADER_TIMESTAMP)
    if header != NULL:                          # of a 100 it is wanted (RFC 3261 8.2.6.1)
        at = put(at, b"Timestamp: ", 11)
        at = put_span(at, header.value)
        at = put(at, b"\r\n", 2)
    core.echo_length = <uint32_t>(at - core.echo)


cdef void echo_keep(Core* core) noexcept nogil:
    cdef Tx* tx
    cdef uint8_t* data
    cdef uint32_t length = 4 + core.echo_length + core.contacts_length
    if core.fresh == NONE:
        return
    tx = tx_at(core, core.fresh)
    # A transaction that can be asked again only by the request itself needs nothing kept.
    if tx.kind == TX_INVITE_SERVER:
        if tx.state == TX_ACCEPTED and tx.acked:
            return
    elif tx.state == TX_COMPLETED:
        return
    tx.text = text_take(&core.texts, length)
    if tx.text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return
    data = text_data(&core.texts, tx.text)
    memcpy(data, &core.echo_length, 4)
    memcpy(data + 4, core.echo, length - 4)


cdef uint8_t* parties_write(Core* core, uint8_t* at) noexcept nogil:
    """From, To and Call-ID lines of core.message."""
    at = put(at, b"From: ", 6)
    at = put_span(at, core.message.from_value)
    at = put(at, b"\r\nTo: ", 6)
    at = put_span(at, core.message.to_value)
    at = put(at, b"\r\nCall-ID: ", 11)
    at = put_span(at, core.message.call_id)
    return put(at, b"\r\n", 2)


cdef Span leg_string(Core* core, const Leg* leg, uint32_t which) noexcept nogil:
    cdef const uint16_t* lengths = &leg.tag_length
    cdef const uint8_t* data
    cdef uint32_t i
    if leg.text == NONE:
        return span_make(NULL, 0)
    data = text_data(&core.texts, leg.text)
    for i in range(which):
        data += lengths[i]
    return span_make(data, lengths[which])


cdef inline Span own_call_id(Core* core, uint8_t* token) noexcept nogil:
    """The Call-ID of a dialog that we open: a token, and behind it our host."""
    token[TOKEN_LENGTH] = 64
    memcpy(token + TOKEN_LENGTH + 1, core.local, core.local_host_length)
    return span_make(token, TOKEN_LENGTH + 1 + core.local_host_length)


cdef Span token_call_id(Core* core, Handle handle) noexcept nogil:
    token_write(core, core.scratch + AT_TOKEN, handle)
    return own_call_id(core, core.scratch + AT_TOKEN)


cdef Span leg_call_id(Core* core, uint32_t leg) noexcept nogil:
    if leg_at(core, leg).call_id_length:
        return leg_string(core, leg_at(core, leg), 3)
    return token_call_id(core, leg_handle(core, leg))


cdef uint32_t rack_write(const Leg* leg, uint8_t* out) noexcept nogil:
    """Value of RAck (RFC 3262 7.2): the provisional response that came last, and our INVITE."""
    cdef uint8_t* at = out
    at += slg_decimal(at, leg.remote_rseq if leg != NULL else 0)
    at = put(at, b" ", 1)
    at += slg_decimal(at, leg.invite_cseq if leg != NULL else 0)
    at = put(at, b" INVITE", 7)
    return <uint32_t>(at - out)


cdef Span uuid_write(const uint8_t* token, uint8_t* out) noexcept nogil:
    """The digits of a token as a UUID of version 4, variant 1 (RFC 4122 4.1)."""
    cdef uint8_t* at = put(out, token, 8)
    at = put(at, b"-", 1)
    at = put(at, token + 8, 4)
    at = put(at, b"-4000-8000-", 11)
    at = put(at, token + 12, 12)
    return span_make(out, <uint32_t>(at - out))


cdef void fields_fill(Core* core, StampFields* fields, uint32_t needs, const Leg* leg,
                      Handle leg_name,
                      const Tx* tx, Handle branch, uint32_t cseq) noexcept nogil:
    """Texts of every field in `needs` but FIELD_AUTHORIZATION; leg NULL: gone, tx NULL: an ACK."""
    cdef uint8_t* scratch = core.scratch
    cdef uint8_t* data
    cdef uint32_t echo_length
    if needs & (1 << FIELD_BRANCH):
        token_write(core, scratch + AT_BRANCH, branch)
        put(scratch + AT_BRANCH + TOKEN_LENGTH, core.via_tail, core.via_tail_length)
        fields.values[<int>FIELD_BRANCH] = span_make(
            scratch + AT_BRANCH, TOKEN_LENGTH + core.via_tail_length)
    if needs & (1 << FIELD_CALL_ID | 1 << FIELD_LOCAL_TAG | 1 << FIELD_TOKEN | 1 << FIELD_UUID):
        token_write(core, scratch + AT_TOKEN, leg_name)
        fields.values[<int>FIELD_LOCAL_TAG] = span_make(scratch + AT_TOKEN, TOKEN_LENGTH)
        data = scratch + AT_TOKEN
        if tx != NULL and tx.flags & TXF_REGISTRATION:
            data = scratch + AT_USER
            token_write(core, data, user_handle(core, tx.row))
        fields.values[<int>FIELD_TOKEN] = span_make(data, TOKEN_LENGTH)
        fields.values[<int>FIELD_CALL_ID] = leg_string(core, leg, 3) \
            if leg != NULL and leg.call_id_length else own_call_id(core, data)
        if needs & (1 << FIELD_UUID):
            fields.values[<int>FIELD_UUID] = uuid_write(data, scratch + AT_UUID)
    if needs & (1 << FIELD_CSEQ):
        fields.values[<int>FIELD_CSEQ] = span_make(
            scratch + AT_CSEQ, slg_decimal(scratch + AT_CSEQ, cseq))
    if needs & (1 << FIELD_RSEQ | 1 << FIELD_RACK):
        fields.values[<int>FIELD_RSEQ] = span_make(scratch + AT_RSEQ, slg_decimal(
            scratch + AT_RSEQ, leg.local_rseq if leg != NULL else 0))
        fields.values[<int>FIELD_RACK] = span_make(
            scratch + AT_RACK, rack_write(leg, scratch + AT_RACK))
    if needs & (1 << FIELD_LOCAL | 1 << FIELD_LOCAL_HOST):
        fields.values[<int>FIELD_LOCAL] = span_make(core.local, core.local_length)
        fields.values[<int>FIELD_LOCAL_HOST] = span_make(core.local, core.local_host_length)
    if needs & (1 << FIELD_OWN_ADDRESS):
        fields.values[<int>FIELD_OWN_ADDRESS] = span_make(core.learned, core.learned_length) \
            if leg != NULL and leg.learned else span_make(core.local, core.local_length)
    if needs & (1 << FIELD_SDP_ADDRESS):
        fields.values[<int>FIELD_SDP_ADDRESS] = span_make(core.sdp_address,
                                                          core.sdp_address_length)
    if needs & (1 << FIELD_REQUEST_URI | 1 << FIELD_INITIAL_URI | 1 << FIELD_ROUTES
                | 1 << FIELD_REMOTE_TAG | 1 << FIELD_LOCAL_PARTY | 1 << FIELD_REMOTE_PARTY):
        if leg != NULL:
            fields.values[<int>FIELD_REMOTE_TAG] = leg_string(core, leg, 0)
            fields.values[<int>FIELD_REQUEST_URI] = leg_string(core, leg, 1)
            fields.values[<int>FIELD_ROUTES] = leg_string(core, leg, 2)
            fields.values[<int>FIELD_LOCAL_PARTY] = leg_string(core, leg, 4)
            fields.values[<int>FIELD_REMOTE_PARTY] = leg_string(core, leg, 5)
        else:
            fields.values[<int>FIELD_REMOTE_TAG].length = 0
            fields.values[<int>FIELD_REQUEST_URI].length = 0
            fields.values[<int>FIELD_ROUTES].length = 0
            fields.values[<int>FIELD_LOCAL_PARTY].length = 0
            fields.values[<int>FIELD_REMOTE_PARTY].length = 0
        fields.values[<int>FIELD_INITIAL_URI] = fields.values[<int>FIELD_REQUEST_URI]
    if needs & (1 << FIELD_ECHO | 1 << FIELD_CONTACTS):
        if tx.text != NONE:
            data = text_data(&core.texts, tx.text)
            memcpy(&echo_length, data, 4)
            fields.values[<int>FIELD_ECHO] = span_make(data + 4, echo_length)
            fields.values[<int>FIELD_CONTACTS] = span_make(
                data + 4 + echo_length, text_head(&core.texts, tx.text).length - 4 - echo_length)
        else:
            fields.values[<int>FIELD_ECHO] = span_make(core.echo, core.echo_length)
            fields.values[<int>FIELD_CONTACTS] = span_make(
                core.echo + core.echo_length, core.contacts_length)
    if needs & (1 << FIELD_ECHO_PARTIES):
        data = core.scratch + AT_PARTIES
        if core.message != NULL and core.message.from_value.length + core.message.to_value.length \
                + core.message.call_id.length < 4000:
            fields.values[<int>FIELD_ECHO_PARTIES] = span_make(
                data, <uint32_t>(parties_write(core, data) - data))
        else:
            fields.values[<int>FIELD_ECHO_PARTIES].length = 0
    fields.values[<int>FIELD_AUTHORIZATION].length = 0


# --- stamping and committing ---

cdef uint8_t* outgoing_room(Core* core) noexcept nogil:
    cdef uint8_t* out = outbox_reserve(&core.outbox)
    if out == NULL and core.live_clock:
        send_flush(core)
        out = outbox_reserve(&core.outbox)
    return out


cdef void whole_keep(Core* core, Tx* tx, const uint8_t* message, uint32_t length) noexcept nogil:
    """Keep a message that a later stamping may not repeat, because variables change."""
    text_give(&core.texts, tx.whole)
    tx.whole = text_take(&core.texts, length)
    if tx.whole == NONE:
        core_count(core, COUNT_SLAB_FULL)
    else:
        memcpy(text_data(&core.texts, tx.whole), message, length)


cdef inline void large_note(Core* core, const Template* template, uint32_t length,
                            const Peer* peer) noexcept nogil:
    """RFC 3261 18.1.1: where the path MTU is not known, such a request belongs on TCP."""
    if length > UDP_REQUEST_MAX and template.kind != TEMPLATE_RESPONSE \
            and peer.family != PEER_STREAM:
        core_count(core, COUNT_LARGE_REQUESTS)


cdef bint whole_send(Core* core, Tx* tx, Instance* instance) noexcept nogil:
    cdef Span message = text_span(&core.texts, tx.whole)
    cdef uint8_t* out = outgoing_room(core)
    if out == NULL:
        core_count(core, COUNT_OVERSIZE)
        return False
    memcpy(out, message.data, message.length)
    if tx.template != TEMPLATE_NONE:
        large_note(core, core.templates + tx.template, message.length, &tx.peer)
    outbox_commit(&core.outbox, message.length, &tx.peer,
                  &instance.order if instance != NULL else NULL)
    return True


cdef inline bint fields_whole(uint32_t needs, const StampFields* fields) noexcept nogil:
    """Nothing is empty that the dialog or the peer's message gives and that may have been too long
    to keep: without it this would be no message.
    """
    if needs & (1 << FIELD_REQUEST_URI | 1 << FIELD_INITIAL_URI) \
            and fields.values[<int>FIELD_REQUEST_URI].length == 0:
        return False
    if needs & (1 << FIELD_ECHO) and fields.values[<int>FIELD_ECHO].length == 0:
        return False
    return not needs & (1 << FIELD_ECHO_PARTIES) \
        or fields.values[<int>FIELD_ECHO_PARTIES].length > 0


cdef bint template_send(Core* core, Instance* instance, uint16_t number, StampFields* fields,
                        const Peer* peer, Tx* tx) noexcept nogil:
    """Stamp into the outbox. False when there is no room or the message is too large; counted."""
    cdef const Template* template = core.templates + number
    cdef uint8_t* out = outgoing_room(core)
    cdef uint32_t length
    if out == NULL:
        core_count(core, COUNT_OVERSIZE)
        return False
    if not fields_whole(core.needs[number], fields):
        return False
    fields.columns = core.columns
    rows_fill(fields, tx.row if tx != NULL else (instance.row if instance != NULL else 0),
              instance)
    fields.variables = instance_variables(core, instance) if instance != NULL else NULL
    fields.texts_known = False
    if core.needs[number] & (1 << FIELD_TEXT):
        texts_fill(core, instance, fields)
    length = stamp_message(template, core.segments, core.text, fields, out, OUTBOX_MESSAGE_MAX)
    if core.needs[number] & (1 << FIELD_AUTHORIZATION) and tx != NULL and instance != NULL \
            and length:
        # The digest covers Request-URI and body, which this first stamping has just spelled out.
        fields.values[<int>FIELD_AUTHORIZATION] = auth_lines(core, instance, tx, out, length)
        if fields.values[<int>FIELD_AUTHORIZATION].data == NULL:
            return False
        if fields.values[<int>FIELD_AUTHORIZATION].length:
            length = stamp_message(template, core.segments, core.text, fields, out,
                                   OUTBOX_MESSAGE_MAX)
    if length == 0:
        core_count(core, COUNT_OVERSIZE)
        return False
    if tx != NULL and core.needs[number] & CHANGING:
        whole_keep(core, tx, out, length)
    large_note(core, template, length, peer)
    outbox_commit(&core.outbox, length, peer, &instance.order if instance != NULL else NULL)
    return True


cdef inline void whole_drop(Core* core, Tx* tx) noexcept nogil:
    text_give(&core.texts, tx.whole)
    tx.whole = NONE


cdef inline Nanos due_time(Instance* instance) noexcept nogil:
    """Of a call's first request, or of one that a pause put off; -1: none, or it was sent before.

    Send lateness is recorded against it.
    """
    cdef Nanos intended = instance.intended if instance.scheduled else -1
    instance.scheduled = 0
    return intended


cdef inline const Peer* request_peer(Core* core, const Leg* leg) noexcept nogil:
    return &leg.next_hop if leg.next_hop.family != PEER_NONE else &core.target


cdef bint send_request(Core* core, uint32_t instance_index, uint32_t leg_index, uint16_t number,
                       uint32_t insn) noexcept nogil:
    cdef Instance* instance = instance_at(core, instance_index)
    cdef Leg* leg = leg_at(core, leg_index)
    cdef const Template* template = core.templates + number
    cdef uint32_t index = slab_take(&core.txs)
    cdef StampFields fields
    cdef Nanos intended
    cdef User* user
    cdef Tx* tx
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return False
    tx = tx_at(core, index)
    leg.local_cseq = leg.local_cseq + 1 if leg.local_cseq else CSEQ_BASE
    tx.kind = TX_INVITE_CLIENT if template.method == METHOD_INVITE else TX_CLIENT
    tx.method = template.method
    tx.template = number
    tx.owner = instance_index
    tx.leg = leg_handle(core, leg_index)
    tx.cseq = leg.local_cseq
    tx.row = instance.row
    tx.text = NONE
    tx.whole = NONE
    tx.insn = insn
    tx.started = core.now
    if leg.next_hop.family == PEER_NONE and core.targets.count:
        target_assign(core, leg)
    tx.peer = request_peer(core, leg)[0]
    tx.reliable = tx.peer.family == PEER_STREAM
    if template.method == METHOD_REGISTER \
            and core.entries[instance.entry].flags & ENTRY_OWNS_USER:
        user = user_at(core, instance.row)
        user.cseq = user.cseq + 1 if user.cseq else CSEQ_BASE
        tx.cseq = user.cseq
        tx.flags |= TXF_REGISTRATION
    tx_event(core, index, TXE_START)
    intended = due_time(instance)
    if core.obey:
        overload_spend(core, leg)
    fields_fill(core, &fields, core.needs[number], leg, tx.leg, tx, tx_handle(core, index), tx.cseq)
    if not template_send(core, instance, number, &fields, &tx.peer, tx):
        tx_free(core, index)
        if intended >= 0:
            record_lateness(core, core.now - intended)
        return False
    departing(core, tx_handle(core, index), tx.leg, tx.method, intended)
    if tx.kind == TX_INVITE_CLIENT:
        if instance.hung_up:
            tx.flags |= TXF_CANCEL_WANTED   # the answer to a challenge, after the hang-up
        if leg.client_invite != NONE and tx_at(core, leg.client_invite).state < TX_COMPLETED:
            tx_free(core, leg.client_invite)    # Proceeding has no end of its own
        leg.client_invite = index
        leg.invite_cseq = tx.cseq
        leg.invite = tx_handle(core, index)
        leg.ack_insn = NONE
    else:
        leg.client_other = index
    measure_request(core, instance, leg, template.method)
    core.sent_requests[template.method] += 1
    core.steps[insn * STEP_FIELDS + STEP_SENT] += 1
    instance_rung(core, instance, RUNG_SENT, template.method, 0)
    return True


cdef bint send_ack(Core* core, uint32_t instance_index, uint32_t leg_index, uint16_t number,
                   uint32_t insn) noexcept nogil:
    cdef Instance* instance = instance_at(core, instance_index)
    cdef Leg* leg = leg_at(core, leg_index)
    cdef StampFields fields
    fields_fill(core, &fields, core.needs[number], leg, leg_handle(core, leg_index), NULL,
                leg.invite ^ (<Handle>1 << ACK_BRANCH_BIT), leg.invite_cseq)
    # It repeats what its INVITE carried (RFC 3261 22.1).
    fields.values[<int>FIELD_AUTHORIZATION] = auth_kept(core, leg.auth)
    if not template_send(core, instance, number, &fields, request_peer(core, leg), NULL):
        return False
    core.sent_requests[<int>METHOD_ACK] += 1
    core.steps[insn * STEP_FIELDS
               + (STEP_SENT if leg.ack_insn == NONE else STEP_RETRANSMITTED)] += 1
    leg.ack_insn = insn
    instance_rung(core, instance, RUNG_SENT, METHOD_ACK, 0)
    return True


cdef uint32_t response_event(uint16_t status) noexcept nogil:
    return TXE_1XX if status < 200 else (TXE_2XX if status < 300 else TXE_3XX_6XX)


cdef void response_sent(Core* core, uint32_t index, uint32_t actions) noexcept nogil:
    """Book-keeping after a response went out: counters, the leg's open requests, the record's end.
    """
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    core.sent_responses[tx.method * STATUS_SPAN + tx.status - 100] += 1
    if leg != NULL and tx.status >= 200:
        if tx.method == METHOD_BYE and tx.status < 300:
            measure_released(core, instance_at(core, leg.instance), leg)
        if leg.server_other == index:
            leg.server_other = NONE
        if leg.server_invite == index and tx.status >= 300:
            leg.server_invite = NONE
    if actions & TXA_END:
        tx_free(core, index)


cdef Span echo_untagged(Core* core, Handle leg, Span echo) noexcept nogil:
    """An echo block without our To tag, which a 100 carries in a dialog only (RFC 3261 8.2.6.2)."""
    cdef const Leg* of = <const Leg*>slab_get(&core.legs, leg)
    cdef uint8_t tag[24]
    cdef uint8_t* out = core.scratch + AT_PARTIES
    cdef uint32_t i
    if of == NULL or of.state == LEG_CONFIRMED:
        return echo
    token_write(core, tag, leg)
    for i in range(5, echo.length - TOKEN_LENGTH if echo.length > TOKEN_LENGTH else 0):
        if echo.data[i] == tag[0] and memcmp(echo.data + i, tag, TOKEN_LENGTH) == 0:
            if echo.length - TOKEN_LENGTH - 5 > 4096:
                return echo
            memcpy(out, echo.data, i - 5)       # ";tag=" goes too
            memcpy(out + i - 5, echo.data + i + TOKEN_LENGTH, echo.length - i - TOKEN_LENGTH)
            return span_make(out, echo.length - TOKEN_LENGTH - 5)
    return echo


cdef inline bint echo_lost(Core* core, uint32_t index) noexcept nogil:
    """There was no room to keep what an answer to this request must repeat."""
    return tx_at(core, index).text == NONE and core.fresh != index


cdef bint send_response(Core* core, uint32_t instance_index, uint32_t leg_index, uint16_t number,
                        uint32_t insn) noexcept nogil:
    cdef Instance* instance = instance_at(core, instance_index)
    cdef Leg* leg = leg_at(core, leg_index)
    cdef const Template* template = core.templates + number
    cdef bint invite = template.method == METHOD_INVITE
    cdef uint32_t index = leg.server_invite if invite else leg.server_other
    cdef StampFields fields
    cdef uint32_t actions
    cdef Tx* tx
    if index == NONE:
        core_count(core, COUNT_UNEXPECTED)      # nothing open to answer: the peer has given up
        return True
    tx = tx_at(core, index)
    if tx.state != TX_PROCEEDING and tx.state != TX_TRYING:
        return True
    if echo_lost(core, index):
        return False
    whole_drop(core, tx)
    tx.template = number
    tx.status = template.status
    tx.row = instance.row
    tx.insn = insn
    if template.flags & TEMPLATE_RELIABLE:
        # RFC 3262 3: the first number is a random one below 2^31, the next are one higher each.
        leg.local_rseq = leg.local_rseq + 1 if leg.local_rseq \
            else <uint32_t>(rand_next(&core.rand) >> 34) + 1
    actions = tx_event(core, index, response_event(template.status))
    fields_fill(core, &fields, core.needs[number], leg, tx.leg, tx, 0, tx.cseq)
    if template.status == 100:
        fields.values[<int>FIELD_ECHO] = echo_untagged(core, tx.leg, fields.values[<int>FIELD_ECHO])
    if core.needs[number] & (1 << FIELD_CHALLENGE):
        fields.values[<int>FIELD_CHALLENGE] = challenge_text(
            core, number, tx, core.scratch + AT_CHALLENGE)
    if not template_send(core, instance, number, &fields, &tx.peer, tx):
        if actions & TXA_END:
            tx_free(core, index)
        return False
    if 200 <= template.status < 300 and method_opens_dialog(template.method):
        leg.state = LEG_CONFIRMED
        if invite:
            measure_answered(core, leg)
            departing(core, 0, tx.leg, tx.method, -1)
    if template.flags & TEMPLATE_RELIABLE:
        if template.body < template.count:
            tx.flags |= TXF_DESCRIBED
        tx_reliable(tx, core.now, &core.timers)
        tx_arm(core, index)
    core.steps[insn * STEP_FIELDS + STEP_SENT] += 1
    instance_rung(core, instance, RUNG_SENT, tx.method, template.status)
    response_sent(core, index, actions)
    return True


cdef void send_cancel(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* invite = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, invite.leg)
    cdef uint16_t number = core.templates[invite.template].cancel
    cdef StampFields fields
    cdef uint32_t cancel
    cdef Tx* tx
    if invite.kind != TX_INVITE_CLIENT or invite.flags & TXF_CANCELLED or number == TEMPLATE_NONE \
            or leg == NULL:
        return
    if invite.state != TX_PROCEEDING:
        if invite.state < TX_PROCEEDING:
            invite.flags |= TXF_CANCEL_WANTED
        return
    cancel = slab_take(&core.txs)
    if cancel == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return
    tx = tx_at(core, cancel)
    tx.kind = TX_CLIENT
    tx.method = METHOD_CANCEL
    tx.template = number
    tx.owner = leg.instance
    tx.leg = invite.leg
    tx.cseq = invite.cseq
    tx.row = invite.row
    tx.text = NONE
    tx.whole = NONE
    tx.insn = invite.insn
    tx.started = core.now
    tx.peer = invite.peer
    tx.reliable = invite.reliable
    tx.key = tx_handle(core, index)         # the INVITE's branch is the CANCEL's too
    invite.text = cancel
    invite.flags |= TXF_CANCELLED
    tx_cancelled(invite, core.now, &core.timers)
    tx_arm(core, index)
    tx_event(core, cancel, TXE_START)
    fields_fill(core, &fields, core.needs[number], leg, tx.leg, tx, tx.key, tx.cseq)
    if not template_send(core, instance_at(core, leg.instance), number, &fields, &tx.peer, tx):
        invite.text = NONE
        tx_free(core, cancel)
        return
    departing(core, tx_handle(core, cancel), 0, METHOD_CANCEL, -1)
    core.sent_requests[<int>METHOD_CANCEL] += 1
    instance_rung(core, instance_at(core, leg.instance), RUNG_SENT, METHOD_CANCEL, 0)


cdef inline bint is_line_of(Span line, const char* name, uint32_t length) noexcept nogil:
    return line.length > length and line.data[length] == 58 and span_iequal(
        span_make(line.data, length), span_make(<const uint8_t*>name, length))


cdef uint8_t* ack_lines(Span invite, uint8_t* at) noexcept nogil:
    """What the ACK of a 3xx-6xx has of its INVITE (RFC 3261 17.1.1.3): the line behind the method,
    top Via, routes.
    """
    cdef const uint8_t* end
    cdef bint first = True
    cdef bint topmost = True
    cdef Span line
    while True:
        end = <const uint8_t*>memchr(invite.data, 10, invite.length)
        if end == NULL:
            return at
        line = span_make(invite.data, <uint32_t>(end - invite.data) + 1)
        invite = span_make(end + 1, invite.length - line.length)
        if line.length <= 2:
            return at
        if is_line_of(line, b"via", 3) or is_line_of(line, b"v", 1):
            if topmost:
                at = put_span(at, line)
            topmost = False
        elif first or is_line_of(line, b"route", 5):
            at = put_span(at, line)
        first = False


cdef void whole_shorten(Core* core, Tx* tx) noexcept nogil:
    """Of an INVITE that was answered only this is kept, for as long as answers may be repeated."""
    cdef Span invite = text_span(&core.texts, tx.whole)
    cdef uint8_t room[2048]
    cdef uint32_t length, text
    if invite.length < 512 or invite.length > 2048:
        return
    length = <uint32_t>(ack_lines(invite, room) - room)
    text = text_take(&core.texts, length)
    if text == NONE:
        core_count(core, COUNT_LINGER_CUT)
    else:
        memcpy(text_data(&core.texts, text), room, length)
    text_give(&core.texts, tx.whole)
    tx.whole = text


cdef void ack_from_invite(Core* core, const Tx* tx) noexcept nogil:
    """The ACK of an INVITE whose Request-URI or routes were made of what changes: these and the
    top Via as the INVITE had them, the rest from core.message.
    """
    cdef Span invite = text_span(&core.texts, tx.whole)
    cdef uint8_t* out = outgoing_room(core)
    cdef uint8_t* at
    if out == NULL or invite.length + core.message.length + 256 > OUTBOX_MESSAGE_MAX:
        core_count(core, COUNT_OVERSIZE)
        return
    at = put(out, b"ACK", 3)
    at = ack_lines(span_make(invite.data + 6, invite.length - 6), at)       # "INVITE"
    at = put(at, b"Max-Forwards: 70\r\n", 18)
    at = parties_write(core, at)
    at = put(at, b"CSeq: ", 6)
    at += slg_decimal(at, tx.cseq)
    at = put(at, b" ACK\r\nContent-Length: 0\r\n\r\n", 27)
    outbox_commit(&core.outbox, <uint32_t>(at - out), &tx.peer, NULL)
    core.sent_requests[<int>METHOD_ACK] += 1


cdef bint ack_needs_whole(Core* core, const Tx* tx) noexcept nogil:
    cdef uint16_t number
    if tx.kind != TX_INVITE_CLIENT or tx.whole == NONE or tx.template == TEMPLATE_NONE:
        return False
    number = core.templates[tx.template].ack
    return number != TEMPLATE_NONE and core.needs[number] & CHANGING != 0


cdef void send_ack_failure(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef uint16_t number = core.templates[tx.template].ack
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef StampFields fields
    if number == TEMPLATE_NONE:
        return
    if ack_needs_whole(core, tx):
        ack_from_invite(core, tx)
        whole_shorten(core, tx)
        return
    if tx.flags & TXF_ABANDONED and tx.text != NONE:
        ack_abandoned(core, tx)
        return
    # Where an INVITE in a dialog went is known as long as its leg only.
    if leg == NULL and core.needs[number] & (1 << FIELD_INITIAL_URI | 1 << FIELD_REQUEST_URI):
        return
    fields_fill(core, &fields, core.needs[number], leg, tx.leg, tx, tx_handle(core, index), tx.cseq)
    # a Request-URI may be made of texts, which the instance has
    if template_send(core, NULL if leg == NULL else instance_at(core, leg.instance), number,
                     &fields, &tx.peer, tx):
        core.sent_requests[<int>METHOD_ACK] += 1


cdef uint8_t* orphan_write(Core* core, uint8_t* at, const char* method, uint32_t length,
                           Span target, Span routes, Span branch, uint64_t suffix,
                           uint32_t cseq) noexcept nogil:
    """A request in the dialog of core.message, a response to an INVITE of ours."""
    at = put(at, method, length)
    at = put(at, b" ", 1)
    at = put_span(at, target)
    at = put(at, b" SIP/2.0\r\nVia: SIP/2.0/UDP ", 27)
    at = put(at, core.local, core.local_length)
    at = put(at, b";rport;branch=", 14)
    at = put_span(at, branch)
    if suffix:
        slg_hex16(at, suffix)
        at += 16
    at = put(at, core.via_tail, core.via_tail_length)
    at = put(at, b"\r\n", 2)
    at = put_span(at, routes)
    at = put(at, b"Max-Forwards: 70\r\n", 18)
    at = parties_write(core, at)
    at = put(at, b"CSeq: ", 6)
    at += slg_decimal(at, cseq)
    at = put(at, b" ", 1)
    at = put(at, method, length)
    return put(at, b"\r\nContent-Length: 0\r\n\r\n", 23)


cdef void send_ack_orphan(Core* core, Span target, Span routes, const Peer* hop) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t* out = outgoing_room(core)
    cdef uint8_t* end
    if out == NULL or target.length == 0 or message.length > 32768:
        return
    # Its own branch for each dialog, and the same one for each copy of the 2xx (RFC 3261 13.2.2.4).
    end = orphan_write(core, out, b"ACK", 3, target, routes, message.via.branch,
                       slg_hash64(message.to_tag.data, message.to_tag.length, core.hash_seed) | 1,
                       message.cseq)
    outbox_commit(&core.outbox, <uint32_t>(end - out), hop, NULL)
    core.sent_requests[<int>METHOD_ACK] += 1


cdef void ack_abandoned(Core* core, const Tx* tx) noexcept nogil:
    """ACK of a 3xx-6xx to an INVITE in a dialog that is over."""
    cdef const uint8_t* data = text_data(&core.texts, tx.text)
    cdef uint8_t* out = outgoing_room(core)
    cdef uint8_t* end
    cdef uint32_t length
    if out == NULL or core.message.length > 32768:
        return
    memcpy(&length, data, 4)
    end = orphan_write(
        core, out, b"ACK", 3, span_make(data + 4, length),
        span_make(data + 4 + length, text_head(&core.texts, tx.text).length - 4 - length),
        core.message.via.branch, 0, tx.cseq)
    outbox_commit(&core.outbox, <uint32_t>(end - out), &tx.peer, NULL)
    core.sent_requests[<int>METHOD_ACK] += 1


cdef bint send_hang_up(Core* core, uint64_t key, uint32_t cseq, Span target, Span routes,
                       const Peer* hop) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t* out = outgoing_room(core)
    cdef uint8_t branch[31]
    cdef uint32_t index, length, text
    cdef Tx* tx
    if out == NULL or target.length == 0 or message.length > 32768:
        return False
    index = slab_take(&core.txs)
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return False
    memcpy(branch, b"z9hG4bK", 7)
    token_write(core, branch + 7, tx_handle(core, index))
    length = <uint32_t>(orphan_write(core, out, b"BYE", 3, target, routes, span_make(branch, 31),
                                     0, cseq) - out)
    text = text_take(&core.texts, length)
    if text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        slab_give(&core.txs, index)
        return False
    memcpy(text_data(&core.texts, text), out, length)
    tx = tx_at(core, index)
    tx.kind = TX_CLIENT
    tx.method = METHOD_BYE
    tx.template = TEMPLATE_NONE
    tx.owner = NONE
    tx.leg = 0
    tx.key = key
    tx.cseq = cseq
    tx.text = NONE
    tx.whole = text
    tx.insn = NONE
    tx.peer = hop[0]
    tx.reliable = hop.family == PEER_STREAM
    table_add(&core.requests, key, index)
    tx_event(core, index, TXE_START)
    outbox_commit(&core.outbox, length, hop, NULL)
    core.sent_requests[<int>METHOD_BYE] += 1
    return True


cdef void send_octets(Core* core, Instance* instance, const Leg* leg, Span octets) noexcept nogil:
    cdef uint8_t* out = outgoing_room(core)
    if out == NULL or octets.length > OUTBOX_MESSAGE_MAX:
        core_count(core, COUNT_OVERSIZE)
        return
    memcpy(out, octets.data, octets.length)
    outbox_commit(&core.outbox, octets.length, request_peer(core, leg), &instance.order)
    departing(core, 0, 0, 0, due_time(instance))


# --- responses of the engine itself ---

cdef bint plain_stamp(Core* core, uint16_t status, Span reason, Span echo, uint8_t method,
                      const Peer* to) noexcept nogil:
    cdef uint8_t* out = outgoing_room(core)
    if out == NULL or echo.length == 0 or echo.length > OUTBOX_MESSAGE_MAX - PLAIN_ROOM:
        return False
    outbox_commit(&core.outbox, <uint32_t>(plain_write(core, out, status, reason, echo, method)
                                           - out), to, NULL)
    return True


cdef Span echo_of(Core* core, const Tx* tx) noexcept nogil:
    cdef uint32_t length
    cdef Span echo
    if tx.text == NONE:
        echo = span_make(core.echo, core.echo_length)
    else:
        memcpy(&length, text_data(&core.texts, tx.text), 4)
        echo = span_make(text_data(&core.texts, tx.text) + 4, length)
    return echo_untagged(core, tx.leg, echo) if tx.status == 100 else echo


cdef void send_plain(Core* core, uint32_t index, uint16_t status) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef uint32_t actions
    if tx.state != TX_PROCEEDING and tx.state != TX_TRYING:
        return
    if echo_lost(core, index):
        tx_free(core, index)
        return
    whole_drop(core, tx)
    tx.template = TEMPLATE_NONE
    tx.status = status
    actions = tx_event(core, index, response_event(status))
    plain_stamp(core, status, span_make(NULL, 0), echo_of(core, tx), tx.method, &tx.peer)
    core_count(core, COUNT_AUTO_ANSWERED)
    response_sent(core, index, actions)


cdef void stamp_again(Core* core, Tx* tx, const Leg* leg, Instance* instance,
                      Handle branch) noexcept nogil:
    cdef StampFields fields
    fields_fill(core, &fields, core.needs[tx.template], leg, tx.leg, tx, branch, tx.cseq)
    if tx.kind >= TX_INVITE_SERVER and tx.status == 100:
        fields.values[<int>FIELD_ECHO] = echo_untagged(core, tx.leg, fields.values[<int>FIELD_ECHO])
    if core.needs[tx.template] & (1 << FIELD_CHALLENGE):
        fields.values[<int>FIELD_CHALLENGE] = challenge_text(
            core, tx.template, tx, core.scratch + AT_CHALLENGE)
    template_send(core, instance, tx.template, &fields, &tx.peer, tx)


cdef void send_again(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef Instance* instance = instance_at(core, leg.instance) if leg != NULL else NULL
    cdef Handle branch = tx_handle(core, index)
    cdef uint8_t tag[24]
    if tx.kind >= TX_INVITE_SERVER:
        if tx.text == NONE and tx.whole == NONE:
            if core.message == NULL:
                return
            token_write(core, tag, tx.leg)
            echo_make(core, tag, TOKEN_LENGTH)
            if tx.method == METHOD_REGISTER and core.registrar != NULL:
                registrar_again(core, tx.started)
        if tx.template == TEMPLATE_NONE:
            if tx.status:
                plain_stamp(core, tx.status, span_make(NULL, 0), echo_of(core, tx), tx.method,
                            &tx.peer)
                core_count(core, COUNT_RETRANSMITTED)
                core.retransmitted[tx.method] += 1
            return
        core.sent_responses[tx.method * STATUS_SPAN + tx.status - 100] += 1
    else:
        if tx.method == METHOD_CANCEL:
            branch = tx.key
        elif not is_hang_up(tx):
            tx.key = <uint64_t>core.now         # when it was last sent again
        core.sent_requests[tx.method] += 1
    if tx.whole != NONE:
        whole_send(core, tx, instance)
    else:
        stamp_again(core, tx, leg, instance, branch)
    core_count(core, COUNT_RETRANSMITTED)
    core.retransmitted[tx.method] += 1
    if tx.insn != NONE:
        core.steps[tx.insn * STEP_FIELDS + STEP_RETRANSMITTED] += 1
