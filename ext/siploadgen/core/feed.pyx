"""What comes in (see feed.pxd). RFC 3261 17.1.3, 17.2.3, 8.1.3, 8.2, 9.2, 12.2.2 in the order of
the code.
"""

from libc.stdint cimport INT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy
from siploadgen.core.ahead cimport ahead_parse
from siploadgen.core.counters cimport (
    COUNT_ANSWERED, COUNT_DROPPED_BY_REQUEST, COUNT_FORKED_2XX, COUNT_KEEPALIVE, COUNT_LIMITED,
    COUNT_LINES_BUSY,
    COUNT_MALFORMED, COUNT_MERGED, COUNT_NO_PRACK, COUNT_RECEIVED_AGAIN, COUNT_RETRANSMITTED,
    COUNT_RETRANSMITTED_OWN_FAULT, COUNT_STRAY_REQUEST, COUNT_STRAY_RESPONSE, COUNT_TIMER_B,
    COUNT_TIMER_F, COUNT_TIMER_H, COUNT_TRANSPORT_ERRORS, COUNT_UNEXPECTED,
)
from siploadgen.core.auth cimport auth_settle
from siploadgen.core.dialog cimport (
    dialog_find, dialog_forked, dialog_from_fork, dialog_from_notify, dialog_from_request,
    dialog_from_response, dialog_is_of, dialog_place, dialog_refresh, dialog_tag_hash,
    host_is_local, token_read, dialog_named,
)
from siploadgen.core.failover cimport send_elsewhere
from siploadgen.core.hist cimport hist_record, HIST_STRIDE
from siploadgen.core.measure cimport measure_failure, measure_hung_up, measure_response
from siploadgen.core.outgoing cimport (
    ack_needs_whole, echo_keep, echo_make, send_ack, send_ack_failure, send_ack_orphan,
    send_again, send_cancel, send_hang_up, send_plain, server_acknowledged, server_pracked,
    token_write, tx_await_answer, tx_event, tx_free, tx_open_server, TXF_ABANDONED,
    TXF_CANCEL_WANTED, TXF_CANCELLED, TXF_OFFERED, TXF_PASSED_2XX, TXF_REGISTRATION,
    TXF_DESCRIBED,
)
from siploadgen.core.overload cimport overload_heard
from siploadgen.core.program cimport (
    MATCH_BINDING, MATCH_CANCEL, MATCH_REBINDING, MATCH_REQUEST, MATCH_RESPONSE, MATCH_TIMEOUT,
    MATCH_TRANSPORT, OP_AWAIT, OUTCOME_CANCELLED, OUTCOME_NO_ACK, OUTCOME_NO_RESOURCE,
    OUTCOME_REJECTED, OUTCOME_TIMEOUT, OUTCOME_TRANSPORT, OUTCOME_UNEXPECTED, Template,
)
from siploadgen.core.rand cimport rand_next
from siploadgen.core.records cimport (
    Ahead, Core, core_count, HIST_RECEIVE_DELAY, Instance, instance_at, instance_legs,
    instance_rung, Leg, leg_at, LEG_CONFIRMED, leg_handle, LEG_NEW, ROLE_ANSWERER, RUNG_RECEIVED,
    RUNG_TIMEOUT, RUNG_TRANSPORT, STATUS_SPAN, STEP_FIELDS, STEP_TIMEOUT, STEP_UNEXPECTED,
    TEMPLATE_NONE, tx_at, tx_handle,
)
from siploadgen.core.refuse cimport (
    ABSENT, refuse_acknowledged, refuse_find, REFUSE_LARGE, refuse_malformed, refuse_merged,
    refuse_merged_note, refuse_note_required, refuse_too_large, refuse_unwanted, send_refusal,
    send_stateless,
)
from siploadgen.core.sip.parse cimport (
    contact_expires, header_uint, list_has, PARSE_KEEPALIVE, PARSE_OK, parameter_find,
    sip_header, sip_validate, SipHeader, SipMessage, SipUri, SipVia, uri_parse,
)
from siploadgen.core.sip.tokens cimport (
    HEADER_RACK, HEADER_REPLACES, HEADER_REQUIRE, HEADER_RSEQ, HEADER_SIP_IF_MATCH, METHOD_ACK,
    METHOD_BYE, METHOD_CANCEL, METHOD_INVITE, METHOD_NOTIFY, method_opens_dialog,
    METHOD_OPTIONS, METHOD_PRACK, METHOD_PUBLISH, method_refreshes_target, METHOD_UNKNOWN,
    METHOD_UPDATE,
)
from siploadgen.core.slab cimport slab_get
from siploadgen.core.span cimport Span, span_equal, span_make, span_to_uint, span_trim, word_next
from siploadgen.core.stun cimport (
    STUN_ERROR, STUN_INDICATION, STUN_REQUEST, STUN_SUCCESS, stun_answer, stun_asked, stun_is,
    stun_same, stun_type,
)
from siploadgen.core.table cimport table_find, table_home
from siploadgen.core.tape cimport tape_write
from siploadgen.core.texts cimport text_give
from siploadgen.core.tx cimport (
    Tx, TX_ACCEPTED, TX_CLIENT, TX_COMPLETED, TX_INVITE_CLIENT, TX_PROCEEDING, TXA_END,
    TXA_FAIL_TIMEOUT, TXA_FAIL_TRANSPORT, TXA_PASS, TXA_RESEND, TXA_SEND_ACK, TXA_STRAY, TXE_1XX,
    TXE_2XX, TXE_3XX_6XX, TXE_ACK, TXE_REQUEST, TXE_TRANSPORT,
)
from siploadgen.core.types cimport (
    Handle, handle_index, Nanos, NONE, Peer, SLG_UNLIKELY, TOKEN_LENGTH,
)
from siploadgen.core.user cimport user_handle, user_registered, user_row
from siploadgen.core.vm cimport vm_end, vm_event, vm_forlorn, vm_invites, vm_run, vm_take

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    uint32_t slg_decimal(uint8_t* out, uint64_t value)

cdef const char* COOKIE = b"z9hG4bK"

cdef enum:
    RSEQ_MAX = 0x7FFFFFFF


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
        if index == NONE or tx.flags & TXF_ABANDONED:
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


cdef bint hang_up_orphan(Core* core, uint32_t cseq) noexcept nogil:
    """ACK, then BYE in the dialog of a 2xx that nobody wants (RFC 3261 13.2.2.4). False: the BYE
    has gone out already, for an earlier copy.
    """
    cdef SipMessage* message = core.message
    cdef uint64_t key = slg_hash64(message.call_id.data, message.call_id.length,
                                   core.hash_seed + METHOD_BYE)
    cdef Span target, routes
    cdef Peer hop
    key = slg_hash64(message.to_tag.data, message.to_tag.length, key)
    dialog_place(core, &target, &routes, &hop)
    send_ack_orphan(core, target, routes, &hop)
    if server_find(core, key) != NONE:
        return False
    send_hang_up(core, key, cseq + 1, target, routes, &hop)
    return True


cdef inline bint is_open(Core* core, uint32_t index) noexcept nogil:
    return index != NONE and tx_at(core, index).state < TX_COMPLETED


cdef inline bint is_ending(Core* core, const Leg* leg) noexcept nogil:
    """We have sent a BYE that is not answered yet: the dialog is over (RFC 3261 15.1.1)."""
    return is_open(core, leg.client_other) and tx_at(core, leg.client_other).method == METHOD_BYE


cdef void answered_again(Core* core, uint32_t index, Leg* leg) noexcept nogil:
    """A further 2xx to an INVITE: each copy is acknowledged again, and that of another branch of a
    fork ends by BYE (RFC 3261 13.2.2.4).
    """
    cdef Tx* tx = tx_at(core, index)
    if tx.key != dialog_tag_hash(core, core.message.to_tag):
        if tx.flags & TXF_ABANDONED and tx.text != NONE:
            ack_orphan(core)                    # a re-INVITE in a dialog that is over
            return
        if not hang_up_orphan(core, leg.local_cseq if leg != NULL else tx.cseq):
            core_count(core, COUNT_RECEIVED_AGAIN)
        else:
            core_count(core, COUNT_FORKED_2XX if tx.flags & TXF_PASSED_2XX else COUNT_UNEXPECTED)
        return
    core_count(core, COUNT_RECEIVED_AGAIN)
    if leg == NULL or leg.invite != tx_handle(core, index):
        ack_orphan(core)                        # of an earlier INVITE, or of a call that is over
    elif leg.ack_insn != NONE:
        ack_again(core, handle_index(tx.leg))


cdef void ack_again(Core* core, uint32_t leg_index) noexcept nogil:
    cdef Leg* leg = leg_at(core, leg_index)
    send_ack(core, leg.instance, leg_index, core.code[leg.ack_insn].a, leg.ack_insn)
    core_count(core, COUNT_RETRANSMITTED)
    core.retransmitted[<int>METHOD_ACK] += 1


cdef bint answered_late(Core* core) noexcept nogil:
    """A copy of the 2xx to the last INVITE of a live dialog, after the end of its transaction."""
    cdef SipMessage* message = core.message
    cdef Handle handle = token_read(core, message.from_tag)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, handle)
    if leg == NULL or message.via_count != 1 or not host_is_local(core, message.via.host) \
            or leg.ack_insn == NONE or leg.invite_cseq != message.cseq \
            or not dialog_is_of(core, leg):
        return False
    core_count(core, COUNT_RECEIVED_AGAIN)
    ack_again(core, handle_index(handle))
    return True


cdef void response_unwanted(Core* core, uint32_t index, uint32_t instance_index,
                            uint16_t status) noexcept nogil:
    """No CASE took it: a provisional response passes, a refusal ends the call, and so does a 2xx
    after which nothing can come that it waits for.
    """
    cdef Instance* instance = instance_at(core, instance_index)
    cdef Tx* tx = tx_at(core, index)
    if status < 200:
        return
    if tx.method == METHOD_INVITE and is_ending(core, leg_at(core, handle_index(tx.leg))):
        # Our BYE has ended the INVITE or crossed its answer (RFC 3261 15.1.2, 5407 3.1.3).
        if status < 300:
            ack_orphan(core)
        return
    core.steps[instance.wait_pc * STEP_FIELDS + STEP_UNEXPECTED] += 1
    instance.failed_status = status
    if status >= 300:
        vm_end(core, instance_index,
               OUTCOME_CANCELLED if status == 487 and instance.hung_up else OUTCOME_REJECTED)
        return
    core_count(core, COUNT_UNEXPECTED)
    if tx.method == METHOD_INVITE:
        hang_up_orphan(core, leg_at(core, handle_index(tx.leg)).local_cseq)
        vm_end(core, instance_index, OUTCOME_UNEXPECTED)
    elif vm_forlorn(core, instance_index):
        vm_end(core, instance_index, OUTCOME_UNEXPECTED)


cdef bint in_order(Core* core, Leg* leg) noexcept nogil:
    """A provisional response that is not reliable, or the next reliable one of its dialog: what is
    repeated or came out of order is dropped (RFC 3262 4).
    """
    cdef uint64_t number
    if sip_header(core.message, HEADER_RSEQ) == NULL \
            or not list_has(core.message, HEADER_REQUIRE, b"100rel"):
        return True
    if not header_uint(core.message, HEADER_RSEQ, &number) or number == 0 or number > RSEQ_MAX:
        return False
    if leg.remote_rseq and dialog_is_of(core, leg) and number != leg.remote_rseq + 1:
        return False
    leg.remote_rseq = <uint32_t>number
    return True


cdef inline void dialog_answered(Core* core, uint32_t index) noexcept nogil:
    if leg_at(core, index).state == LEG_CONFIRMED:
        # not from another branch of a fork than the one whose NOTIFY came first
        if dialog_is_of(core, leg_at(core, index)):
            dialog_refresh(core, index)
    else:
        dialog_from_response(core, index)


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
                                                      span_make(token, TOKEN_LENGTH), 0))


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
    if leg == NULL or tx.flags & TXF_PASSED_2XX:
        if tx.method == METHOD_INVITE and 200 <= status < 300:
            answered_again(core, index, leg)
        return
    instance = leg.instance
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, tx.method, status)
    if tx.method == METHOD_INVITE and status < 300:
        if status < 200 and not in_order(core, leg):
            core_count(core, COUNT_RECEIVED_AGAIN)
            return
        dialog_answered(core, leg_index)
        if status >= 200:
            tx.flags |= TXF_PASSED_2XX
            tx.key = leg.remote_tag_hash        # tells its copies from answers of other branches
        elif tx.flags & TXF_CANCEL_WANTED:
            tx.flags &= <uint16_t>~TXF_CANCEL_WANTED
            send_cancel(core, index)
    elif 200 <= status < 300 and method_refreshes_target(tx.method):
        dialog_answered(core, leg_index)
    measure_response(core, instance_at(core, instance), leg, tx, status)
    if message.first[<int>HEADER_REQUIRE] != ABSENT:
        refuse_note_required(core, core.templates + tx.template)
    if status == 503 and send_elsewhere(core, index):
        return
    if tx.auth | leg.auth | (tx.flags & TXF_REGISTRATION) and status >= 200:
        user_answered(core, leg, tx)
    if not vm_event(core, instance, MATCH_RESPONSE, leg.number, tx.method, status):
        response_unwanted(core, index, instance, status)


cdef void contact_learn(Core* core) noexcept nogil:
    """Take our address as the first response that has one shows it (RFC 3581 4)."""
    cdef const SipVia* via = &core.message.via
    cdef Span host = via.received if via.received.length else via.host
    cdef uint32_t port = via.rport_value if via.has_rport_value else core.local_port
    cdef uint8_t* at = core.learned
    cdef bint bare = memchr(host.data, 58, host.length) != NULL and host.data[0] != 91
    cdef uint32_t i
    if not via.received.length and not via.has_rport_value:
        return
    core.learns = False
    if host.length > sizeof(core.learned) - 8 or port == 0 \
            or (port == core.local_port and host_is_local(core, host)):
        return
    for i in range(host.length):    # it comes from outside and goes into messages
        if memchr(b"0123456789abcdefABCDEF.:[]", host.data[i], 26) == NULL:
            return
    if bare:                        # an IPv6 address: in brackets where a port follows
        at[0] = 91
        at += 1
    memcpy(at, host.data, host.length)
    at += host.length
    if bare:
        at[0] = 93
        at += 1
    at[0] = 58
    at += 1 + slg_decimal(at + 1, port)
    core.learned_length = <uint32_t>(at - core.learned)


cdef void feed_response(Core* core) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t index = client_find(core)
    cdef uint32_t actions
    cdef Tx* tx
    core.received_responses[message.cseq_method * STATUS_SPAN + message.status - 100] += 1
    if index == NONE:
        if message.cseq_method != METHOD_INVITE or not 200 <= message.status < 300 \
                or not answered_late(core):
            core_count(core, COUNT_STRAY_RESPONSE)
        return
    tx = tx_at(core, index)
    if core.learns:
        contact_learn(core)
    # Sent again although this answer was already here: our own slowness, not the peer's.
    if tx.retransmits and tx.method != METHOD_CANCEL and tx.template != TEMPLATE_NONE \
            and not tx.flags & TXF_PASSED_2XX and core.received < <Nanos>tx.key:
        core_count(core, COUNT_RETRANSMITTED_OWN_FAULT)
        tx.key = 0
    tx.status = message.status
    if message.status >= 200 and not ack_needs_whole(core, tx):
        text_give(&core.texts, tx.whole)        # nothing more to repeat
        tx.whole = NONE
    actions = tx_event(core, index, TXE_1XX if message.status < 200
                       else (TXE_2XX if message.status < 300 else TXE_3XX_6XX))
    if actions & TXA_SEND_ACK:
        send_ack_failure(core, index)
    if core.obey:
        overload_heard(core, &tx.peer, actions & TXA_PASS != 0)
    if actions & TXA_PASS:
        response_pass(core, index)
    else:
        core_count(core, COUNT_STRAY_RESPONSE if actions & TXA_STRAY else COUNT_RECEIVED_AGAIN)
    if actions & TXA_END:
        tx_free(core, index)


# --- requests ---

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
        if not refuse_acknowledged(core):
            core_count(core, COUNT_STRAY_REQUEST)
        return
    leg = leg_at(core, leg_index)
    index = leg.server_invite
    if index == NONE or tx_at(core, index).cseq != core.message.cseq \
            or tx_at(core, index).state != TX_ACCEPTED:
        core_count(core, COUNT_RECEIVED_AGAIN)
        return
    if core.message.body.length and tx_at(core, index).flags & TXF_OFFERED:
        core_count(core, COUNT_UNEXPECTED)      # an ACK brings no second offer (RFC 3261 13.2.1)
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
    if tx.flags & TXF_CANCELLED:
        return                                  # a repeat
    tx.flags |= TXF_CANCELLED
    instance_rung(core, instance_at(core, leg.instance), RUNG_RECEIVED, METHOD_CANCEL, 0)
    if not vm_event(core, leg.instance, MATCH_CANCEL, leg.number, METHOD_CANCEL, 0):
        send_plain(core, index, 487)
        if leg.state != LEG_CONFIRMED:          # a re-INVITE alone ends, its call goes on
            vm_end(core, leg.instance, OUTCOME_CANCELLED)


cdef void request_done(Core* core) noexcept nogil:
    if core.fresh != NONE:
        tx_await_answer(core, core.fresh)
        echo_keep(core)
    core.request = NONE
    core.request_user = NONE
    core.fresh = NONE


cdef inline bint has_offer(Core* core, uint32_t index) noexcept nogil:
    """A request of ours is an UPDATE with a body, and not answered yet."""
    cdef const Template* template
    if not is_open(core, index) or tx_at(core, index).method != METHOD_UPDATE:
        return False
    template = core.templates + tx_at(core, index).template
    return template.body < template.count


cdef inline bint is_described(Core* core, uint32_t index) noexcept nogil:
    """The peer's INVITE is open, but a reliable response has settled the session (RFC 3311 5.1)."""
    cdef Tx* tx = tx_at(core, index)
    return tx.state == TX_PROCEEDING and tx.flags & TXF_DESCRIBED != 0 and tx.deadline == INT64_MAX


cdef uint16_t crossing_refusal(Core* core, const Leg* leg) noexcept nogil:
    """An INVITE or an UPDATE with an offer that comes while another offer or INVITE is open: 500
    after one of the peer's, 491 when it crosses ours (RFC 3261 14.2, 3311 5.2); 0: none is.
    """
    cdef bint invite = core.message.method == METHOD_INVITE
    if not invite and core.message.body.length == 0:
        # Without an offer an UPDATE has to wait for an earlier one only.
        return 500 if is_open(core, leg.server_other) \
            and tx_at(core, leg.server_other).method == METHOD_UPDATE else 0
    if leg.server_invite != NONE and (invite or (
            is_open(core, leg.server_invite) and not is_described(core, leg.server_invite))):
        return 500
    if not invite and is_open(core, leg.server_other) \
            and tx_at(core, leg.server_other).method == METHOD_UPDATE:
        return 500
    if has_offer(core, leg.client_other):
        return 491
    # In an early dialog our INVITE's offer may have had its answer in a provisional response.
    if is_open(core, leg.client_invite) and (invite or leg.state == LEG_CONFIRMED):
        return 491
    return 0


cdef bint pracked(Core* core, Leg* leg) noexcept nogil:
    """Whether core.message, a PRACK, acknowledges the reliable response that is repeated now."""
    cdef SipHeader* header = sip_header(core.message, HEADER_RACK)
    cdef uint64_t number, cseq
    cdef Span rest, word
    cdef Tx* tx
    if header == NULL or leg.server_invite == NONE or leg.local_rseq == 0:
        return False
    tx = tx_at(core, leg.server_invite)
    rest = header.value
    word = word_next(&rest)
    if not span_to_uint(word, &number) or number != leg.local_rseq:
        return False
    word = word_next(&rest)
    if not span_to_uint(word, &cseq) or cseq != tx.cseq \
            or not span_equal(rest, span_make(<const uint8_t*>b"INVITE", 6)):
        return False
    if tx.state != TX_PROCEEDING or tx.deadline == INT64_MAX:
        return False
    server_pracked(core, leg.server_invite)
    return True


cdef uint32_t notify_of_fork(Core* core) noexcept nogil:
    """A leg for a NOTIFY of another notifier, when the program wants one: a SUBSCRIBE that a proxy
    forked makes several subscriptions (RFC 6665 4.1.2.4, 4.4.1).
    """
    cdef Leg* leg = dialog_forked(core)
    cdef uint32_t index
    if leg == NULL:
        return NONE
    index = vm_invites(core, leg.instance, METHOD_NOTIFY)
    if index != NONE:
        dialog_from_fork(core, index)
    return index


cdef void feed_in_dialog(Core* core, uint64_t key) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint32_t leg_index = dialog_find(core)
    cdef uint32_t index, instance
    cdef uint16_t status
    cdef Span reason
    cdef Leg* leg
    if leg_index == NONE and message.method == METHOD_NOTIFY:
        leg_index = notify_of_fork(core)
    if leg_index == NONE:
        core_count(core, COUNT_STRAY_REQUEST)
        send_stateless(core, 481, 0)
        return
    leg = leg_at(core, leg_index)
    if message.method == METHOD_PRACK and not pracked(core, leg):
        core_count(core, COUNT_STRAY_REQUEST)
        send_stateless(core, 481, leg_handle(core, leg_index))      # RFC 3262 3
        return
    if leg.remote_cseq and message.cseq < leg.remote_cseq:
        send_stateless(core, 500, leg_handle(core, leg_index))      # RFC 3261 12.2.2
        return
    core.asked = instance_at(core, leg.instance).entry
    status = refuse_find(core, &reason)
    if status == 0 and (message.method == METHOD_INVITE or message.method == METHOD_UPDATE):
        status = crossing_refusal(core, leg)
    if status:
        core_count(core, COUNT_UNEXPECTED)
        send_refusal(core, status, reason, leg_handle(core, leg_index))
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
    else:
        leg.server_other = index
    if message.method == METHOD_NOTIFY and leg.remote_tag_hash == 0:
        dialog_from_notify(core, leg_index)
    elif method_refreshes_target(message.method):
        dialog_refresh(core, leg_index)
    instance = leg.instance
    if message.method == METHOD_BYE:
        measure_hung_up(core, instance_at(core, instance), leg)
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, message.method, 0)
    if vm_event(core, instance, MATCH_REQUEST, leg.number, message.method, 0):
        pass
    elif message.method == METHOD_OPTIONS:
        send_plain(core, index, 200)            # may be asked at any time (RFC 3261 11)
    else:
        core.steps[instance_at(core, instance).wait_pc * STEP_FIELDS + STEP_UNEXPECTED] += 1
        core_count(core, COUNT_UNEXPECTED)
        if message.method == METHOD_BYE:
            send_plain(core, index, 200)
            if leg.server_invite != NONE:
                send_plain(core, leg.server_invite, 487)    # RFC 3261 15.1.2
            vm_end(core, instance, OUTCOME_UNEXPECTED)
        elif is_ending(core, leg):
            send_plain(core, index, 481)        # it has crossed our BYE (RFC 5407 3.2.2, 3.3.3)
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


cdef uint32_t leg_of_token(Core* core, const uint8_t* token) noexcept nogil:
    cdef Handle handle = token_read(core, span_make(token, TOKEN_LENGTH))
    return handle_index(handle) if slab_get(&core.legs, handle) != NULL else NONE


cdef uint32_t addressed_leg(Core* core) noexcept nogil:
    """The leg whose publication a request outside of dialogs changes (RFC 3903 4.1), or whose
    Contact it calls; NONE.
    """
    cdef SipMessage* message = core.message
    cdef SipHeader* header
    if message.method == METHOD_PUBLISH:
        header = sip_header(message, HEADER_SIP_IF_MATCH)
        if header != NULL and header.value.length >= TOKEN_LENGTH:
            return leg_of_token(core, header.value.data)
    # "sip:" and the token
    elif message.uri.length > 4 + TOKEN_LENGTH and message.uri.data[4 + TOKEN_LENGTH] == 64:
        return leg_of_token(core, message.uri.data + 4)
    return NONE


cdef uint16_t replaced_leg(Core* core, Span value, uint32_t* leg_index) noexcept nogil:
    """A leg for an INVITE with Replaces, in the instance that has the dialog named; else the status
    that refuses it (RFC 3891 3).
    """
    cdef Span call_id = value
    cdef Span parameters = span_make(value.data + value.length, 0)
    cdef bint early_only, present
    cdef uint32_t i, index
    cdef Leg* leg
    for i in range(value.length):
        if value.data[i] == 59:
            call_id = span_trim(span_make(value.data, i))
            parameters = span_make(value.data + i + 1, value.length - i - 1)
            break
    index = dialog_named(core, call_id, parameter_find(parameters, b"to-tag", &present),
                         parameter_find(parameters, b"from-tag", &present))
    if index == NONE:
        return 481
    leg = leg_at(core, index)
    # an early dialog can be replaced where it began only
    if leg.state != LEG_CONFIRMED and (leg.role == ROLE_ANSWERER or leg.state == LEG_NEW):
        return 481
    if is_ending(core, leg):
        return 603
    parameter_find(parameters, b"early-only", &early_only)
    if early_only and leg.state == LEG_CONFIRMED:
        return 486
    leg_index[0] = vm_invites(core, leg.instance, METHOD_INVITE)
    return 480 if leg_index[0] == NONE else 0


cdef void feed_replacing(Core* core, Span value, uint64_t key) noexcept nogil:
    """An INVITE that takes the place of a dialog (RFC 3891)."""
    cdef uint32_t leg_index = NONE
    cdef Span reason
    cdef uint16_t status = refuse_find(core, &reason)
    if status == 0:
        status = replaced_leg(core, value, &leg_index)
    if status:
        core_count(core, COUNT_UNEXPECTED)
        send_refusal(core, status, reason, 0)
    else:
        feed_addressed(core, leg_index, key)


cdef bint feed_called(Core* core, uint32_t leg_index, uint64_t key) noexcept nogil:
    """A request to the Contact or the publication of a leg. False: its instance waits for none."""
    cdef Span reason
    cdef uint16_t status
    core.asked = instance_at(core, leg_at(core, leg_index).instance).entry
    status = refuse_find(core, &reason)
    if status:                                  # before a leg is taken for it
        core_count(core, COUNT_UNEXPECTED)
        send_refusal(core, status, reason, 0)
        return True
    if core.message.method != METHOD_PUBLISH:
        leg_index = vm_invites(core, leg_at(core, leg_index).instance, core.message.method)
    if leg_index == NONE:
        return False
    feed_addressed(core, leg_index, key)
    return True


cdef void feed_addressed(Core* core, uint32_t leg_index, uint64_t key) noexcept nogil:
    """A request outside of dialogs that goes to a running instance."""
    cdef SipMessage* message = core.message
    cdef Leg* leg = leg_at(core, leg_index)
    cdef uint32_t instance = leg.instance
    cdef uint32_t index = tx_open_server(core, key, leg_handle(core, leg_index))
    if index == NONE:
        send_stateless(core, 503, leg_handle(core, leg_index))
        return
    if message.method != METHOD_INVITE and leg.server_other != NONE:
        send_plain(core, leg.server_other, 500)     # the program had not come to it
    request_open(core, leg_index, index)
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, message.method, 0)
    if not vm_event(core, instance, MATCH_REQUEST, leg.number, message.method, 0):
        core_count(core, COUNT_UNEXPECTED)
        send_plain(core, index, 480)
    request_done(core)


cdef void request_open(Core* core, uint32_t leg_index, uint32_t index) noexcept nogil:
    """A request outside of dialogs is the one that its leg answers, and opens its dialog."""
    cdef uint8_t method = core.message.method
    cdef uint8_t tag[24]
    token_write(core, tag, leg_handle(core, leg_index))
    echo_make(core, tag, TOKEN_LENGTH)
    core.request = index
    core.fresh = index
    if method_opens_dialog(method) and leg_at(core, leg_index).text == NONE:
        dialog_from_request(core, leg_index)
    if method == METHOD_INVITE:
        leg_at(core, leg_index).server_invite = index
    else:
        leg_at(core, leg_index).server_other = index


cdef uint32_t request_user(Core* core) noexcept nogil:
    """Row of the user whose registered Contact core.message was sent to, NONE."""
    cdef SipUri uri
    if core.users.count == 0 or not uri_parse(&uri, core.message.uri):
        return NONE
    return user_row(core, token_read(core, uri.user))


cdef void feed_initial(Core* core, uint64_t key) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef SipHeader* replaces = sip_header(message, HEADER_REPLACES)
    cdef uint32_t leg_index = NONE
    cdef uint32_t entry, instance, index
    cdef Span reason = span_make(NULL, 0)
    cdef uint16_t status
    if replaces != NULL and message.method == METHOD_INVITE:
        core.asked = NONE                       # for whoever has that dialog
        feed_replacing(core, replaces.value, key)
        return
    leg_index = addressed_leg(core)
    if leg_index != NONE and feed_called(core, leg_index, key):
        return
    core.asked = entry = answer_entry(core)
    status = refuse_unwanted(core) if entry == NONE else 0
    if status == 0 or status == 200:
        status = max(refuse_find(core, &reason), status)
    if status == 0 and message.length > REFUSE_LARGE and refuse_too_large(core):
        status = 513
    if status:
        core_count(core, COUNT_UNEXPECTED)
        send_refusal(core, status, reason, 0)
        return
    if refuse_merged(core):
        core_count(core, COUNT_MERGED)
        send_stateless(core, 482, 0)
        return
    if core.drop_below and rand_next(&core.rand) < core.drop_below:
        core_count(core, COUNT_DROPPED_BY_REQUEST)
        return
    if not rate_admits(core):
        core_count(core, COUNT_LIMITED)
        send_stateless(core, 503, 0)
        return
    if core.lines and core.open_answers >= core.lines and message.method == METHOD_INVITE:
        core_count(core, COUNT_LINES_BUSY)
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
    refuse_merged_note(core, index)
    request_open(core, leg_index, index)
    instance_rung(core, instance_at(core, instance), RUNG_RECEIVED, message.method, 0)
    vm_run(core, instance)
    # A program may begin with the AWAIT of the request that starts it.
    if core.fresh == index and core.code[core.entries[entry].pc].op == OP_AWAIT:
        vm_event(core, instance, MATCH_REQUEST, 0, message.method, 0)
    request_done(core)


cdef void feed_request(Core* core, uint64_t key) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef uint8_t method = message.method
    cdef uint32_t index = server_find(core, key)
    cdef uint32_t actions
    core.received_requests[method] += 1
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

cdef void feed_stun(Core* core, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint16_t kind = stun_type(data, length)
    cdef Leg* leg
    if kind == STUN_REQUEST:
        stun_answer(core, data, length)
    elif kind == STUN_INDICATION:
        core_count(core, COUNT_KEEPALIVE)       # which nobody answers (RFC 5389 7.3.2)
    elif kind == STUN_SUCCESS or kind == STUN_ERROR:
        leg = stun_asked(core, data)
        if leg == NULL:
            core_count(core, COUNT_STRAY_RESPONSE)
            return
        if kind == STUN_SUCCESS and stun_same(core, leg, data, length):
            vm_event(core, leg.instance, MATCH_BINDING, leg.number, METHOD_UNKNOWN, 0)
        else:
            vm_event(core, leg.instance, MATCH_REBINDING, leg.number, METHOD_UNKNOWN, 0)
    else:
        core_count(core, COUNT_MALFORMED)


cdef void feed_parsed(Core* core, Ahead* ahead, const uint8_t* data, uint32_t length,
                      const Peer* source, Nanos received) noexcept nogil:
    if received <= 0 or received > core.now:
        received = core.now
    hist_record(core.histograms + HIST_RECEIVE_DELAY * HIST_STRIDE, (core.now - received) // 1000)
    if core.tape.data != NULL:
        tape_write(&core.tape, received, False, source, data, length)
    core.source = source[0]
    if SLG_UNLIKELY(stun_is(data, length)):
        feed_stun(core, data, length)
        return
    if ahead.status == PARSE_KEEPALIVE:
        core_count(core, COUNT_KEEPALIVE)
        return
    core.message = &ahead.message
    core.received = received
    if ahead.status != PARSE_OK or (core.strict and sip_validate(core.message)):
        core_count(core, COUNT_MALFORMED)
        refuse_malformed(core, core.message.error)
    elif core.message.is_request:
        core.merged_print = ahead.merged_print
        feed_request(core, ahead.key)
    else:
        feed_response(core)
    core.message = NULL


cdef void feed_datagram(Core* core, const uint8_t* data, uint32_t length, const Peer* source,
                        Nanos received) noexcept nogil:
    ahead_parse(core, &core.parsed[0], data, length)
    feed_parsed(core, &core.parsed[0], data, length, source, received)


cdef void feed_failure(Core* core, uint32_t index, uint32_t actions) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef bint transport = actions & TXA_FAIL_TRANSPORT != 0
    cdef uint32_t instance
    cdef uint8_t method = tx.method
    cdef bint server = tx.kind > TX_CLIENT
    cdef bint provisional = tx.state == TX_PROCEEDING       # of a server: no PRACK came
    if transport:
        core_count(core, COUNT_TRANSPORT_ERRORS)
    elif not server:
        core_count(core, COUNT_TIMER_B if tx.kind == TX_INVITE_CLIENT else COUNT_TIMER_F)
    else:
        core_count(core, COUNT_NO_PRACK if provisional else COUNT_TIMER_H)
    if leg == NULL or method == METHOD_CANCEL:
        return
    instance = leg.instance
    if not server:
        measure_failure(core, instance_at(core, instance), leg, method, transport)
    instance_rung(core, instance_at(core, instance), RUNG_TRANSPORT if transport else RUNG_TIMEOUT,
                  method, 0)
    if tx.insn != NONE and not transport:
        core.steps[tx.insn * STEP_FIELDS + STEP_TIMEOUT] += 1
    # A timeout speaks against the server only when nothing came from it (RFC 3263 4.3).
    if not server and (transport or tx.status == 0) and send_elsewhere(core, index):
        return
    if vm_event(core, instance, MATCH_TRANSPORT if transport else MATCH_TIMEOUT, leg.number,
                method, 0):
        return
    vm_end(core, instance, OUTCOME_TRANSPORT if transport
           else (OUTCOME_NO_ACK if server and not provisional else OUTCOME_TIMEOUT))


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
