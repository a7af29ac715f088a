"""What comes in (see feed.pxd). RFC 3261 17.1.3, 17.2.3, 8.1.3, 8.2, 9.2, 12.2.2 in the order of
the code.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp
from siploadgen.core.counters cimport (
    COUNT_ANSWERED, COUNT_DROPPED_BY_REQUEST, COUNT_KEEPALIVE, COUNT_LIMITED, COUNT_MALFORMED,
    COUNT_RECEIVED_AGAIN, COUNT_RETRANSMITTED, COUNT_RETRANSMITTED_OWN_FAULT, COUNT_STRAY_REQUEST,
    COUNT_STRAY_RESPONSE, COUNT_TRANSPORT_ERRORS, COUNT_UNEXPECTED,
)
from siploadgen.core.auth cimport auth_settle
from siploadgen.core.dialog cimport (
    dialog_find, dialog_from_request, dialog_from_response, dialog_is_of, dialog_place,
    dialog_refresh, host_is_local, token_read,
)
from siploadgen.core.hist cimport hist_record, HIST_STRIDE
from siploadgen.core.outgoing cimport (
    echo_keep, echo_make, send_ack, send_ack_failure, send_ack_orphan, send_again, send_cancel,
    send_plain, send_stateless, server_acknowledged, token_write, tx_event, tx_free, tx_open_server,
    TXF_CANCEL_WANTED, TXF_PASSED_2XX, TXF_REGISTRATION,
)
from siploadgen.core.program cimport (
    MATCH_CANCEL, MATCH_REQUEST, MATCH_RESPONSE, MATCH_TIMEOUT, MATCH_TRANSPORT, OP_AWAIT,
    OUTCOME_CANCELLED, OUTCOME_NO_ACK, OUTCOME_NO_RESOURCE, OUTCOME_REJECTED, OUTCOME_TIMEOUT,
    OUTCOME_TRANSPORT,
    OUTCOME_UNEXPECTED, Template,
)
from siploadgen.core.rand cimport rand_next
from siploadgen.core.records cimport (
    Core, core_count, HIST_RECEIVE_DELAY, Instance, instance_at, instance_legs, instance_rung, Leg,
    leg_at, LEG_CONFIRMED, leg_handle, ROLE_ANSWERER, RUNG_RECEIVED, RUNG_TIMEOUT, RUNG_TRANSPORT,
    STATUS_SPAN, STEP_FIELDS, STEP_TIMEOUT, STEP_UNEXPECTED, tx_at, tx_handle,
)
from siploadgen.core.sip.parse cimport (
    contact_expires,
    PARSE_DATAGRAM, PARSE_KEEPALIVE, PARSE_OK, ParseStatus, sip_parse, SipMessage, SipUri,
    uri_parse,
)
from siploadgen.core.sip.tokens cimport (
    METHOD_ACK, METHOD_BYE, METHOD_CANCEL, METHOD_INVITE, METHOD_OPTIONS, METHOD_UNKNOWN,
)
from siploadgen.core.slab cimport slab_get
from siploadgen.core.span cimport Span, span_equal, span_make
from siploadgen.core.table cimport table_find, table_home
from siploadgen.core.texts cimport text_give
from siploadgen.core.tx cimport (
    Tx, TX_ACCEPTED, TX_CLIENT, TX_COMPLETED, TX_PROCEEDING, TXA_END, TXA_FAIL_TIMEOUT,
    TXA_FAIL_TRANSPORT, TXA_PASS, TXA_RESEND, TXA_SEND_ACK, TXA_STRAY, TXE_1XX, TXE_2XX,
    TXE_3XX_6XX, TXE_ACK, TXE_REQUEST, TXE_TRANSPORT,
)
from siploadgen.core.types cimport Handle, handle_index, Nanos, NONE, Peer, TOKEN_LENGTH
from siploadgen.core.user cimport user_handle, user_registered, user_row
from siploadgen.core.vm cimport vm_end, vm_event, vm_run, vm_take

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)

cdef const char* COOKIE = b"z9hG4bK"


# --- responses ---

cdef uint32_t client_find(Core* core) noexcept nogil:
    """The client transaction that core.message, a response, belongs to (RFC 3261 17.1.3); NONE."""
    cdef SipMessage* message = core.message
    cdef Span branch = message.via.branch
    cdef const Template* template
    cdef Handle handle
    cdef uint32_t index
    cdef Tx* tx
    if message.via_count != 1 or branch.length != 7 + TOKEN_LENGTH \
            or memcmp(branch.data, COOKIE, 7) != 0:
        return NONE
    if not host_is_local(core, message.via.host) \
            or (message.via.port if message.via.port else 5060) != core.local_port:
        return NONE
    handle = token_read(core, span_make(branch.data + 7, TOKEN_LENGTH))
    tx = <Tx*>slab_get(&core.txs, handle)
    if tx == NULL or tx.kind > TX_CLIENT:
        return NONE
    index = handle_index(handle)
    if message.cseq_method == METHOD_CANCEL and tx.method == METHOD_INVITE:
        index = tx.text                         # the CANCEL shares its INVITE's branch
        if index == NONE:
            return NONE
        tx = tx_at(core, index)
    if tx.method != message.cseq_method or tx.cseq != message.cseq:
        return NONE
    template = core.templates + tx.template
    if tx.method == METHOD_UNKNOWN and not span_equal(message.cseq_method_text, span_make(
            core.text + template.method_offset, template.method_length)):
        return NONE
    return index


cdef void ack_orphan(Core* core) noexcept nogil:
    """ACK for a 2xx that is not the answer which some leg stands for."""
    cdef Span target, routes
    cdef Peer hop
    dialog_place(core, &target, &routes, &hop)
    send_ack_orphan(core, target, routes, &hop)


cdef void response_unwanted(Core* core, uint32_t index, uint32_t instance_index,
                            uint16_t status) noexcept nogil:
    """No CASE took it: a provisional response passes, a refusal ends the call."""
    cdef Instance* instance = instance_at(core, instance_index)
    cdef Tx* tx = tx_at(core, index)
    if status < 200:
        return
    core.steps[instance.wait_pc * STEP_FIELDS + STEP_UNEXPECTED] += 1
    instance.failed_status = status
    if status >= 300:
        vm_end(core, instance_index,
               OUTCOME_CANCELLED if status == 487 and instance.hung_up else OUTCOME_REJECTED)
        return
    core_count(core, COUNT_UNEXPECTED)
    if tx.method == METHOD_INVITE:
        ack_orphan(core)
        vm_end(core, instance_index, OUTCOME_UNEXPECTED)


cdef void user_answered(Core* core, Leg* leg, Tx* tx) noexcept nogil:
    """A final response to a request with credentials, or to a user's REGISTER: a 2xx says how long
    it is registered (RFC 3261 10.2.4).
    """
    cdef uint8_t token[24]
    if tx.auth or tx.method == METHOD_INVITE:
        auth_settle(core, instance_at(core, leg.instance), leg, tx)
    if tx.flags & TXF_REGISTRATION and core.message.status < 300:
        token_write(core, token, user_handle(core, tx.row))
        user_registered(core, tx.row, contact_expires(core.message,
                                                      span_make(token, TOKEN_LENGTH)))


cdef void response_pass(Core* core, uint32_t index) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef uint16_t status = message.status
    cdef uint32_t leg_index = handle_index(tx.leg)
    cdef uint32_t instance
    if tx.method == METHOD_CANCEL:
        if leg != NULL:                         # what matters is the INVITE's own final response
            vm_event(core, leg.instance, MATCH_RESPONSE, leg.number, METHOD_CANCEL, status)
        return
    if leg == NULL:
        if tx.method == METHOD_INVITE and 200 <= status < 300:
            ack_orphan(core)
        return
    instance = leg.instance
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, tx.method, status)
    if tx.method == METHOD_INVITE and status < 300:
        if status >= 200 and tx.flags & TXF_PASSED_2XX:
            # Each copy of a 2xx is acknowledged again (RFC 3261 13.2.2.4).
            core_count(core, COUNT_RECEIVED_AGAIN)
            if leg.invite != tx_handle(core, index) or not dialog_is_of(core, leg):
                # of an earlier INVITE, or of another branch of a fork
                ack_orphan(core)
            elif leg.ack_insn != NONE:
                send_ack(core, instance, leg_index, core.code[leg.ack_insn].a, leg.ack_insn)
                core_count(core, COUNT_RETRANSMITTED)
                core.retransmitted[<int>METHOD_ACK] += 1
            return
        if leg.state == LEG_CONFIRMED:
            dialog_refresh(core, leg_index)
        else:
            dialog_from_response(core, leg_index)
        if status >= 200:
            tx.flags |= TXF_PASSED_2XX
        elif tx.flags & TXF_CANCEL_WANTED:
            tx.flags &= <uint16_t>~TXF_CANCEL_WANTED
            send_cancel(core, index)
    if tx.auth | leg.auth | (tx.flags & TXF_REGISTRATION) and status >= 200:
        user_answered(core, leg, tx)
    if not vm_event(core, instance, MATCH_RESPONSE, leg.number, tx.method, status):
        response_unwanted(core, index, instance, status)


cdef void feed_response(Core* core) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t index = client_find(core)
    cdef uint32_t actions
    cdef Tx* tx
    core.received_responses[message.cseq_method * STATUS_SPAN + message.status - 100] += 1
    if index == NONE:
        core_count(core, COUNT_STRAY_RESPONSE)
        return
    tx = tx_at(core, index)
    # Sent again although this answer was already here: our own slowness, not the peer's.
    if tx.retransmits and tx.method != METHOD_CANCEL and core.received < <Nanos>tx.key:
        core_count(core, COUNT_RETRANSMITTED_OWN_FAULT)
        tx.key = 0
    tx.status = message.status
    actions = tx_event(core, index, TXE_1XX if message.status < 200
                       else (TXE_2XX if message.status < 300 else TXE_3XX_6XX))
    if actions & TXA_SEND_ACK:
        send_ack_failure(core, index)
    if actions & TXA_PASS:
        response_pass(core, index)
    else:
        core_count(core, COUNT_STRAY_RESPONSE if actions & TXA_STRAY else COUNT_RECEIVED_AGAIN)
    if actions & TXA_END:
        tx_free(core, index)


# --- requests ---

cdef uint64_t request_key(Core* core, uint8_t method) noexcept nogil:
    """Key of a server transaction (RFC 3261 17.2.3): branch, sent-by and method; without the cookie
    the RFC 2543 fields.
    """
    cdef SipMessage* message = core.message
    cdef Span branch = message.via.branch
    cdef uint64_t key = core.hash_seed + method
    key = slg_hash64(message.via.host.data, message.via.host.length,
                     key + (<uint64_t>message.via.port << 16))
    key = slg_hash64(branch.data, branch.length, key)
    if branch.length > 7 and memcmp(branch.data, COOKIE, 7) == 0:
        return key
    key = slg_hash64(message.uri.data, message.uri.length, key + message.cseq)
    key = slg_hash64(message.from_tag.data, message.from_tag.length, key)
    return slg_hash64(message.call_id.data, message.call_id.length, key)


cdef uint32_t server_find(Core* core, uint64_t key) noexcept nogil:
    cdef uint32_t slot = table_home(&core.requests, key)
    cdef uint32_t index = table_find(&core.requests, key, &slot)
    while index != NONE and tx_at(core, index).key != key:
        index = table_find(&core.requests, key, &slot)
    return index


cdef void feed_ack(Core* core, uint32_t index) noexcept nogil:
    cdef uint32_t leg_index, actions
    cdef Leg* leg
    cdef Tx* tx
    if index != NONE and tx_at(core, index).state != TX_ACCEPTED:
        tx = tx_at(core, index)
        actions = tx_event(core, index, TXE_ACK)
        if not actions & TXA_STRAY:             # an ACK before the final response changes nothing
            text_give(&core.texts, tx.text)     # no more answers to the INVITE
            tx.text = NONE
        leg = <Leg*>slab_get(&core.legs, tx.leg)
        if actions & TXA_PASS and leg != NULL:
            instance_rung(core, instance_at(core, leg.instance), RUNG_RECEIVED, METHOD_ACK, 0)
            vm_event(core, leg.instance, MATCH_REQUEST, leg.number, METHOD_ACK, 0)
        if actions & TXA_END:
            tx_free(core, index)
        return
    leg_index = dialog_find(core)
    if leg_index == NONE:
        core_count(core, COUNT_STRAY_REQUEST)
        return
    leg = leg_at(core, leg_index)
    index = leg.server_invite
    if index == NONE or tx_at(core, index).cseq != core.message.cseq \
            or tx_at(core, index).state != TX_ACCEPTED:
        core_count(core, COUNT_RECEIVED_AGAIN)
        return
    leg.server_invite = NONE
    server_acknowledged(core, index)
    instance_rung(core, instance_at(core, leg.instance), RUNG_RECEIVED, METHOD_ACK, 0)
    vm_event(core, leg.instance, MATCH_REQUEST, leg.number, METHOD_ACK, 0)


cdef void feed_cancel(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx
    cdef Leg* leg
    if index == NONE:
        send_stateless(core, 481, 0)
        return
    tx = tx_at(core, index)
    send_stateless(core, 200, tx.leg)
    leg = <Leg*>slab_get(&core.legs, tx.leg)
    if tx.state != TX_PROCEEDING or leg == NULL:
        return                                  # already answered: no effect (RFC 3261 9.2)
    instance_rung(core, instance_at(core, leg.instance), RUNG_RECEIVED, METHOD_CANCEL, 0)
    if not vm_event(core, leg.instance, MATCH_CANCEL, leg.number, METHOD_CANCEL, 0):
        send_plain(core, index, 487)
        vm_end(core, leg.instance, OUTCOME_CANCELLED)


cdef void request_done(Core* core) noexcept nogil:
    if core.fresh != NONE:
        echo_keep(core)
    core.request = NONE
    core.request_user = NONE
    core.fresh = NONE


cdef bint invite_refused(Core* core, uint32_t leg_index) noexcept nogil:
    """An INVITE in a dialog that comes while another is open (RFC 3261 14.2): 500 after one of the
    peer's, 491 when it
    crosses ours."""
    cdef Leg* leg = leg_at(core, leg_index)
    if leg.server_invite != NONE:
        send_stateless(core, 500, leg_handle(core, leg_index))
    elif leg.client_invite != NONE and tx_at(core, leg.client_invite).state < TX_COMPLETED:
        send_stateless(core, 491, leg_handle(core, leg_index))
    else:
        return False
    core_count(core, COUNT_UNEXPECTED)
    return True


cdef void feed_in_dialog(Core* core, uint64_t key) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t leg_index = dialog_find(core)
    cdef uint32_t index, instance
    cdef Leg* leg
    if leg_index == NONE:
        core_count(core, COUNT_STRAY_REQUEST)
        send_stateless(core, 481, 0)
        return
    leg = leg_at(core, leg_index)
    if leg.remote_cseq and message.cseq < leg.remote_cseq:
        send_stateless(core, 500, leg_handle(core, leg_index))      # RFC 3261 12.2.2
        return
    if message.method == METHOD_INVITE and invite_refused(core, leg_index):
        return
    index = tx_open_server(core, key, leg_handle(core, leg_index))
    if index == NONE:
        send_stateless(core, 503, leg_handle(core, leg_index))
        return
    if message.method != METHOD_INVITE and leg.server_other != NONE:
        send_plain(core, leg.server_other, 500)     # the program had not come to it
    leg.remote_cseq = message.cseq
    echo_make(core, NULL, 0)
    core.request = index
    core.fresh = index
    if message.method == METHOD_INVITE:
        leg.server_invite = index
        dialog_refresh(core, leg_index)
    else:
        leg.server_other = index
    instance = leg.instance
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, message.method, 0)
    if not vm_event(core, instance, MATCH_REQUEST, leg.number, message.method, 0):
        core.steps[instance_at(core, instance).wait_pc * STEP_FIELDS + STEP_UNEXPECTED] += 1
        core_count(core, COUNT_UNEXPECTED)
        if message.method == METHOD_BYE:
            send_plain(core, index, 200)
            if leg.server_invite != NONE:
                send_plain(core, leg.server_invite, 487)    # RFC 3261 15.1.2
            vm_end(core, instance, OUTCOME_UNEXPECTED)
        elif message.method == METHOD_OPTIONS:
            send_plain(core, index, 200)
        elif message.method == METHOD_INVITE:
            send_plain(core, index, 488)
        else:
            send_plain(core, index, 501 if message.method == METHOD_UNKNOWN else 405)
    request_done(core)


cdef uint32_t answer_entry(Core* core) noexcept nogil:
    """Entry of the first row of the answer table that fits core.message, NONE."""
    cdef SipMessage* message = core.message
    cdef SipUri uri
    cdef bint parsed = False
    cdef uint32_t i
    uri.user.length = 0
    for i in range(core.answer_count):
        if core.answers[i].method != message.method:
            continue
        if core.answers[i].user_length == 0:
            return core.answers[i].entry
        if not parsed:
            parsed = uri_parse(&uri, message.uri)
        if parsed and span_equal(uri.user, span_make(core.text + core.answers[i].user_offset,
                                                     core.answers[i].user_length)):
            return core.answers[i].entry
    return NONE


cdef bint rate_admits(Core* core) noexcept nogil:
    """A bucket of a tenth of a second's worth."""
    cdef double room = core.rate_limit * 0.1
    if core.rate_limit <= 0:
        return True
    core.rate_tokens += <double>(core.now - core.rate_at) * 1e-9 * core.rate_limit
    core.rate_at = core.now
    if core.rate_tokens > max(room, 1.0):
        core.rate_tokens = max(room, 1.0)
    if core.rate_tokens < 1.0 - 1e-6:           # a sum of tenths may fall just short of one
        return False
    core.rate_tokens -= 1.0
    return True


cdef uint16_t refusal(uint8_t method) noexcept nogil:
    """What a request outside dialogs gets that no program wants."""
    if method == METHOD_OPTIONS:
        return 200                              # we are alive (RFC 3261 11)
    elif method == METHOD_UNKNOWN:
        return 501
    elif method == METHOD_BYE:
        return 481                              # RFC 3261 15.1.2
    return 405


cdef uint32_t request_user(Core* core) noexcept nogil:
    """Row of the user whose registered Contact core.message was sent to, NONE."""
    cdef SipUri uri
    if core.users.count == 0 or not uri_parse(&uri, core.message.uri):
        return NONE
    return user_row(core, token_read(core, uri.user))


cdef void feed_initial(Core* core, uint64_t key) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t entry = answer_entry(core)
    cdef uint32_t instance, leg_index, index
    cdef uint8_t tag[24]
    if entry == NONE:
        core_count(core, COUNT_UNEXPECTED)
        send_stateless(core, refusal(message.method), 0)
        return
    if core.drop_below and rand_next(&core.rand) < core.drop_below:
        core_count(core, COUNT_DROPPED_BY_REQUEST)
        return
    if not rate_admits(core):
        core_count(core, COUNT_LIMITED)
        send_stateless(core, 503, 0)
        return
    instance = vm_take(core, entry, ROLE_ANSWERER, core.received)
    if instance == NONE:
        send_stateless(core, 503, 0)
        return
    core_count(core, COUNT_ANSWERED)
    core.request_user = request_user(core)
    if core.request_user != NONE:
        instance_at(core, instance).row = core.request_user
    leg_index = instance_legs(core, instance_at(core, instance))[0]
    index = tx_open_server(core, key, leg_handle(core, leg_index))
    if index == NONE:
        send_stateless(core, 503, 0)
        vm_end(core, instance, OUTCOME_NO_RESOURCE)
        return
    token_write(core, tag, leg_handle(core, leg_index))
    echo_make(core, tag, TOKEN_LENGTH)
    core.request = index
    core.fresh = index
    if message.method == METHOD_INVITE:
        dialog_from_request(core, leg_index)
        leg_at(core, leg_index).server_invite = index
    else:
        leg_at(core, leg_index).server_other = index
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, message.method, 0)
    vm_run(core, instance)
    # A program may begin with the AWAIT of the request that starts it.
    if core.fresh == index and core.code[core.entries[entry].pc].op == OP_AWAIT:
        vm_event(core, instance, MATCH_REQUEST, 0, message.method, 0)
    request_done(core)


cdef void feed_request(Core* core) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t method = message.method
    cdef uint64_t key
    cdef uint32_t index, actions
    core.received_requests[method] += 1
    key = request_key(core,
                      METHOD_INVITE if method == METHOD_ACK or method == METHOD_CANCEL else method)
    index = server_find(core, key)
    if method == METHOD_ACK:
        feed_ack(core, index)
    elif method == METHOD_CANCEL:
        feed_cancel(core, index)
    elif index != NONE:
        actions = tx_event(core, index, TXE_REQUEST)
        core_count(core, COUNT_RECEIVED_AGAIN)
        if actions & TXA_RESEND:
            send_again(core, index)
        if actions & TXA_END:
            tx_free(core, index)
    elif message.to_tag.length:
        feed_in_dialog(core, key)
    else:
        feed_initial(core, key)


# --- doors of the floor ---

cdef void feed_datagram(Core* core, const uint8_t* data, uint32_t length, const Peer* source,
                        Nanos received) noexcept nogil:
    cdef ParseStatus status = sip_parse(&core.parsed, data, length, PARSE_DATAGRAM)
    if received <= 0 or received > core.now:
        received = core.now
    hist_record(core.histograms + HIST_RECEIVE_DELAY * HIST_STRIDE, (core.now - received) // 1000)
    if status != PARSE_OK:
        core_count(core, COUNT_KEEPALIVE if status == PARSE_KEEPALIVE else COUNT_MALFORMED)
        return
    core.message = &core.parsed
    core.source = source[0]
    core.received = received
    if core.parsed.is_request:
        feed_request(core)
    else:
        feed_response(core)
    core.message = NULL


cdef void feed_failure(Core* core, uint32_t index, uint32_t actions) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef bint transport = actions & TXA_FAIL_TRANSPORT != 0
    cdef uint32_t instance
    cdef uint8_t method = tx.method
    cdef bint server = tx.kind > TX_CLIENT
    if transport:
        core_count(core, COUNT_TRANSPORT_ERRORS)
    if leg == NULL or method == METHOD_CANCEL:
        return
    instance = leg.instance
    instance_rung(core, instance_at(core, instance), RUNG_TRANSPORT if transport else RUNG_TIMEOUT,
                  method, 0)
    if tx.insn != NONE and not transport:
        core.steps[tx.insn * STEP_FIELDS + STEP_TIMEOUT] += 1
    if vm_event(core, instance, MATCH_TRANSPORT if transport else MATCH_TIMEOUT, leg.number,
                method, 0):
        return
    vm_end(core, instance, OUTCOME_TRANSPORT if transport
           else (OUTCOME_NO_ACK if server else OUTCOME_TIMEOUT))


cdef void feed_error(Core* core, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint32_t actions, index
    cdef Tx* tx = NULL
    cdef Handle handle = 0
    # The quoted datagram may be cut anywhere, so it is not parsed: the first branch of ours in it
    # is enough.
    while at + 7 + TOKEN_LENGTH <= length:
        if data[at] == 122 and memcmp(data + at, COOKIE, 7) == 0:
            handle = token_read(core, span_make(data + at + 7, TOKEN_LENGTH))
            tx = <Tx*>slab_get(&core.txs, handle)
            break
        at += 1
    if tx == NULL or tx.kind > TX_CLIENT:
        return
    index = handle_index(handle)
    actions = tx_event(core, index, TXE_TRANSPORT)
    if actions & (TXA_FAIL_TRANSPORT | TXA_FAIL_TIMEOUT):
        feed_failure(core, index, actions)
    if actions & TXA_END:
        tx_free(core, index)
