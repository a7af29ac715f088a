"""The call program (see vm.pxd and program.pxd)."""

from libc.math cimport exp
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from siploadgen.core.auth cimport auth_accept, auth_check, auth_retries
from siploadgen.core.capture cimport (
    body_has, capture, extract_number, leg_datagram, leg_route, message_has, text_same,
)
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.dialog cimport dialog_branch
from siploadgen.core.hist cimport hist_record, HIST_STRIDE
from siploadgen.core.hook cimport hook_ask
from siploadgen.core.outgoing cimport (
    echo_keep, leg_call_id, send_ack, send_cancel, send_plain, send_request, send_response,
    server_acknowledged, token_call_id, token_write, tx_abandon, tx_free, TXF_BRANCH,
)
from siploadgen.core.pattern cimport pattern_match
from siploadgen.core.program cimport (
    CMP_OPERAND, OP_DIV, OP_HOOK, OP_MATCH, OP_MOD, OP_SHARE, OP_SUB, OP_TIMES, SHARE_ADD,
    CMP_EQ, CMP_GE, CMP_GT, CMP_LE, CMP_LT, CMP_NE, ENTRY_OWNS_USER, EXTRACT_CONTENT_LENGTH,
    EXTRACT_EXPIRES, EXTRACT_MIN_EXPIRES, EXTRACT_NUMBER, EXTRACT_RETRY_AFTER, EXTRACT_STATUS,
    Insn, MATCH_REQUEST, MATCH_RESPONSE, MATCH_TIMEOUT, MATCH_TRANSPORT, Matcher, OP_ADD, OP_AWAIT,
    OP_BIND, OP_BINDING, OP_CAPTURE,
    OP_CHALLENGE_CHECK, OP_CHANCE, OP_CLOCK_START, OP_CLOCK_STOP, OP_COUNT, OP_CREDENTIAL,
    OP_DATAGRAM, OP_END, OP_EXTRACT, OP_HAS, OP_JUMP, OP_JUMP_IF, OP_LEAVE, OP_MUL, OP_PAUSE,
    OP_ROUTE, OP_SAME, OP_SEND, OP_SET, Operand, OPERAND_COLUMN, OPERAND_CONST,
    OPERAND_EXPONENTIAL, OPERAND_GAMMA, OPERAND_LOGNORMAL, OPERAND_NORMAL, OPERAND_PARETO,
    OPERAND_SAMPLES, OPERAND_T1, OPERAND_UNIFORM, OPERAND_VARIABLE, OPERAND_WEIBULL,
    OUTCOME_COUNT, OUTCOME_NO_RESOURCE, OUTCOME_SUCCEEDED, TEMPLATE_ACK, TEMPLATE_CANCEL,
    TEMPLATE_REQUEST, TEMPLATE_RESPONSE, VAR_ELAPSED, VAR_RETRIES, VAR_STATUS, VAR_STOPPING,
)
from siploadgen.core.rand cimport (
    draw_below, draw_exponential, draw_gamma, draw_normal, draw_pareto, draw_unit, draw_weibull,
    rand_next,
)
from siploadgen.core.records cimport (
    Clock, Closed, COMMAND_HANG_UP, Core, Failure, HIST_CLOCKS, Instance, instance_at,
    instance_clocks, instance_legs, instance_rung, instance_texts, instance_variables, Leg,
    leg_at, leg_handle,
    Rest,
    ROLE_CALLER, RUNG_TIMEOUT, STEP_FIELDS, STEP_RECEIVED, STEP_TIMEOUT, tx_at, WAIT_AWAIT,
    WAIT_HOOK, WAIT_NOTHING, WAIT_PAUSE, core_count,
)
from siploadgen.core.registrar cimport registrar_bind
from siploadgen.core.ring cimport ring_push
from siploadgen.core.shared cimport share
from siploadgen.core.sip.parse cimport contact_expires, header_uint
from siploadgen.core.sip.tokens cimport (
    HEADER_MIN_EXPIRES, HEADER_RETRY_AFTER, METHOD_CANCEL, METHOD_INVITE, METHOD_UNKNOWN,
)
from siploadgen.core.slab cimport slab_give, slab_take
from siploadgen.core.span cimport Span, span_make, span_to_uint
from siploadgen.core.stun cimport stun_ask
from siploadgen.core.texts cimport text_give
from siploadgen.core.tx cimport (
    Tx, TX_ACCEPTED, TX_COMPLETED, TX_INVITE_CLIENT, TX_PROCEEDING, TX_TRYING,
)
from siploadgen.core.types cimport Nanos, NONE, SLG_ASSERT, SLG_UNREACHABLE, TOKEN_LENGTH
from siploadgen.core.user cimport instance_contact, user_give, user_handle
from siploadgen.core.wheel cimport wheel_add, wheel_del

cdef extern from "slg_bits.h" nogil:
    int64_t slg_add(int64_t a, int64_t b)
    int64_t slg_sub(int64_t a, int64_t b)
    int64_t slg_times(int64_t a, int64_t b)
    int64_t slg_div(int64_t a, int64_t b)
    int64_t slg_mod(int64_t a, int64_t b)

cdef enum:
    # of one wake-up: a program that loops without waiting is ended
    INSTRUCTION_LIMIT = 100000
    # ns: what should have been done longer ago counts as this long ago, so that an engine which
    # was held up does not do all at once
    LATE_MAX = 1000000000
    TRACE_MESSAGE_MAX = 2048
    TRACE_CALL_IDS_MAX = 4096
    TRACE_RECORD_MAX = 256 + 2048 + 4096


# --- life ---

cdef uint32_t vm_take(Core* core, uint32_t entry, uint8_t role, Nanos due) noexcept nogil:
    cdef uint32_t index = slab_take(&core.instances)
    cdef uint32_t i
    cdef Instance* instance
    cdef uint32_t* legs
    cdef uint32_t* texts
    cdef Clock* clocks
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return NONE
    instance = instance_at(core, index)
    instance.entry = <uint16_t>entry
    instance.pc = core.entries[entry].pc
    instance.wait_pc = NONE
    instance.role = role
    instance.due = due
    instance.intended = due
    instance.deadline = INT64_MAX
    instance.scheduled = role == ROLE_CALLER
    legs = instance_legs(core, instance)
    for i in range(core.leg_max):
        legs[i] = NONE
    clocks = instance_clocks(core, instance)
    for i in range(core.clock_count):
        clocks[i].due = -1
    texts = instance_texts(core, instance)
    for i in range(core.text_count):
        texts[i] = NONE
    if leg_take(core, index, 0) == NONE:
        slab_give(&core.instances, index)
        return NONE
    if role == ROLE_CALLER:
        core.open_calls += 1
    else:
        core.open_answers += 1
        instance.series = <uint16_t>core.answer_series
        instance.draws = rand_next(&core.rand)
    return index


cdef uint32_t leg_take(Core* core, uint32_t instance_index, uint8_t number) noexcept nogil:
    """A new leg of an instance, NONE when none is left."""
    cdef uint32_t index = slab_take(&core.legs)
    cdef Leg* leg
    if index == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return NONE
    leg = leg_at(core, index)
    leg.learned = core.learned_length != 0
    leg.instance = instance_index
    leg.number = number
    leg.client_invite = NONE
    leg.client_other = NONE
    leg.server_invite = NONE
    leg.server_other = NONE
    leg.ack_insn = NONE
    leg.text = NONE
    instance_legs(core, instance_at(core, instance_index))[number] = index
    return index


cdef void client_release(Core* core, uint32_t index) noexcept nogil:
    """A client transaction whose instance ends: forgotten while it is open, but for an INVITE;
    else left to absorb duplicates.
    """
    cdef Tx* tx
    if index == NONE:
        return
    tx = tx_at(core, index)
    if tx.state >= TX_COMPLETED:
        return
    if tx.kind == TX_INVITE_CLIENT:
        tx_abandon(core, index)
    else:
        tx_free(core, index)


cdef void server_release(Core* core, uint32_t index) noexcept nogil:
    """No request stays unanswered; a 2xx is not repeated for a dialog that is over."""
    cdef Tx* tx
    if index == NONE:
        return
    tx = tx_at(core, index)
    if tx.flags & TXF_BRANCH and tx.state == TX_PROCEEDING:
        tx_free(core, index)                    # the fork's other branches answer the request
    elif tx.state == TX_TRYING or tx.state == TX_PROCEEDING:
        send_plain(core, index, 500)
    elif tx.state == TX_ACCEPTED and not tx.acked:
        server_acknowledged(core, index)


cdef uint32_t call_id_note(Failure* failure, uint32_t used, Span call_id) noexcept nogil:
    """Append a Call-ID behind the `used` octets of those before; those used then."""
    cdef uint8_t* place = <uint8_t*>failure + sizeof(Failure) + failure.length + used
    cdef uint16_t length = <uint16_t>call_id.length
    if call_id.length > <uint32_t>TRACE_CALL_IDS_MAX - sizeof(uint16_t) \
            or used > TRACE_CALL_IDS_MAX - sizeof(uint16_t) - call_id.length:
        return used
    memcpy(place, &length, sizeof(uint16_t))
    memcpy(place + sizeof(uint16_t), call_id.data, length)
    failure.call_ids += 1
    return used + <uint32_t>sizeof(uint16_t) + length


cdef uint32_t call_ids_note(Core* core, Instance* instance, Failure* failure) noexcept nogil:
    """The Call-IDs of a call, in the order of its legs; their octets."""
    cdef uint32_t* legs = instance_legs(core, instance)
    cdef uint32_t used = 0
    cdef uint32_t i
    if core.entries[instance.entry].flags & ENTRY_OWNS_USER:
        used = call_id_note(failure, used, token_call_id(core, failure.leg))
    for i in range(core.leg_max):
        if legs[i] != NONE:
            used = call_id_note(failure, used, leg_call_id(core, legs[i]))
    return used


cdef void failure_trace(Core* core, Instance* instance, uint16_t outcome) noexcept nogil:
    """The first failures of each outcome go to Python with their ladder, the message that decided
    them and their Call-IDs.
    """
    cdef uint8_t record[TRACE_RECORD_MAX]
    cdef Failure* failure = <Failure*>record
    cdef uint32_t leg = instance_legs(core, instance)[0]
    cdef uint32_t used
    if core.trace_left[outcome] == 0:
        return                                  # enough of them, or a good end of the program's own
    core.trace_left[outcome] -= 1
    memset(failure, 0, sizeof(Failure))
    failure.pc = instance.wait_pc if instance.wait_pc != NONE else instance.pc
    failure.row = instance.row
    failure.outcome = outcome
    failure.status = instance.failed_status
    failure.role = instance.role
    failure.rungs = instance.rungs
    if core.entries[instance.entry].flags & ENTRY_OWNS_USER:
        failure.leg = user_handle(core, instance.row)   # its registrations have this Call-ID
    else:
        failure.leg = leg_handle(core, leg) if leg != NONE else 0
    failure.due = instance.due
    failure.ended = core.now
    memcpy(failure.ladder, instance.ladder, sizeof(instance.ladder))
    if core.message != NULL:
        failure.length = min(core.message.length, <uint32_t>TRACE_MESSAGE_MAX)
        memcpy(record + sizeof(Failure), core.message.data, failure.length)
    used = call_ids_note(core, instance, failure)
    ring_push(&core.trace, record, <uint32_t>sizeof(Failure) + failure.length + used)


cdef void leg_give(Core* core, uint32_t index) noexcept nogil:
    cdef Leg* leg = leg_at(core, index)
    client_release(core, leg.client_invite)
    client_release(core, leg.client_other)
    server_release(core, leg.server_invite)
    server_release(core, leg.server_other)
    if core.fresh != NONE:
        echo_keep(core)
        core.fresh = NONE
    text_give(&core.texts, leg.text)
    text_give(&core.texts, leg.auth - 1)
    slab_give(&core.legs, index)


cdef void leg_leave(Core* core, uint32_t index, uint8_t number) noexcept nogil:
    """A fresh leg in the place of one whose dialog is over."""
    cdef uint32_t* legs = instance_legs(core, instance_at(core, index))
    if legs[number] == NONE:
        return
    leg_give(core, legs[number])
    legs[number] = NONE
    if number == 0:
        leg_take(core, index, 0)        # an instance always has its first; there is room for it


cdef void place_free(Core* core, Closed* closed, const Instance* instance) noexcept nogil:
    """A call of a closed workload is over: its place is free, or rests with its row."""
    cdef Rest* rests = closed.rests
    cdef uint32_t at = closed.resting
    cdef uint32_t above
    cdef Rest rest
    if not closed.keeps:
        closed.busy -= 1
        return
    SLG_ASSERT(closed.resting < closed.room)
    rest.until = core.now + instance.rest
    rest.row = instance.row
    closed.resting += 1
    while at:                                   # up the heap to where it belongs
        above = (at - 1) // 2
        if rests[above].until <= rest.until:
            break
        rests[at] = rests[above]
        at = above
    rests[at] = rest


cdef void vm_end(Core* core, uint32_t index, uint16_t outcome) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef uint32_t* legs = instance_legs(core, instance)
    cdef uint32_t i
    SLG_ASSERT(outcome < OUTCOME_COUNT)
    if outcome != OUTCOME_SUCCEEDED:
        failure_trace(core, instance, outcome)
    for i in range(core.leg_max):
        if legs[i] != NONE:
            leg_give(core, legs[i])
    if instance.role == ROLE_CALLER:
        core.outcomes[<uint64_t>instance.series * OUTCOME_COUNT + outcome] += 1
        core.open_calls -= 1
        core.opened[instance.stream] -= 1
        if instance.claims:
            core.claimed[instance.row] = 0
        if instance.closed:
            place_free(core, core.closed + (instance.closed - 1), instance)
        if core.entries[instance.entry].flags & ENTRY_OWNS_USER and not (
                instance.closed and core.closed[instance.closed - 1].keeps):
            user_give(core, instance.row)
    else:
        core.answered_outcomes[outcome] += 1
        core.open_answers -= 1
    text_give(&core.texts, instance.auth - 1)
    for i in range(core.text_count):
        text_give(&core.texts, instance_texts(core, instance)[i])
    wheel_del(&core.wheel, index)
    slab_give(&core.instances, index)


# --- values ---

cdef int64_t column_number(Core* core, Instance* instance, uint32_t column) noexcept nogil:
    """Digits of a row's text; 0 when it is no number."""
    cdef uint32_t feed = core.columns[column].feed
    cdef const uint32_t* offsets = core.columns[column].offsets \
        + (instance.others[feed - 1] if feed else instance.row)
    cdef uint64_t value = 0
    span_to_uint(span_make(core.columns[column].blob + offsets[0], offsets[1] - offsets[0]), &value)
    return <int64_t>value


cdef inline int64_t to_amount(double value) noexcept nogil:
    """Rounded, within 0 .. 2**62."""
    if not value > 0:
        return 0
    return <int64_t>(value + 0.5) if value < 4.6e18 else <int64_t>4600000000000000000


cdef int64_t operand_value(Core* core, Instance* instance, int64_t number) noexcept nogil:
    cdef const Operand* operand = core.operands + number
    if operand.kind == OPERAND_CONST:
        return operand.value
    elif operand.kind == OPERAND_VARIABLE:
        return variable_value(core, instance, <uint32_t>operand.value)
    elif operand.kind == OPERAND_COLUMN:
        return column_number(core, instance, <uint32_t>operand.value)
    elif operand.kind == OPERAND_UNIFORM:
        return to_amount(operand.p1 + (operand.p2 - operand.p1) * draw_unit(&instance.draws))
    elif operand.kind == OPERAND_NORMAL:
        return to_amount(operand.p1 + operand.p2 * draw_normal(&instance.draws))
    elif operand.kind == OPERAND_LOGNORMAL:
        return to_amount(exp(operand.p1 + operand.p2 * draw_normal(&instance.draws)))
    elif operand.kind == OPERAND_EXPONENTIAL:
        return to_amount(operand.p1 * draw_exponential(&instance.draws))
    elif operand.kind == OPERAND_T1:
        return operand.value * core.timers.t1
    elif operand.kind == OPERAND_WEIBULL:
        return to_amount(operand.p1 * draw_weibull(&instance.draws, operand.p2))
    elif operand.kind == OPERAND_PARETO:
        return to_amount(operand.p1 * draw_pareto(&instance.draws, operand.p2))
    elif operand.kind == OPERAND_GAMMA:
        return to_amount(operand.p1 * draw_gamma(&instance.draws, operand.p2))
    elif operand.kind == OPERAND_SAMPLES:
        return core.samples[operand.value + <int64_t>draw_below(
            &instance.draws, <uint64_t>operand.p1)]
    SLG_UNREACHABLE()
    return 0


cdef int64_t variable_value(Core* core, Instance* instance, uint32_t number) noexcept nogil:
    if number == VAR_STOPPING:
        return instance.hung_up or core.command & COMMAND_HANG_UP != 0
    elif number == VAR_STATUS:
        return instance.status
    elif number == VAR_RETRIES:
        return auth_retries(instance)
    elif number == VAR_ELAPSED:
        return max(instance.intended, core.now - LATE_MAX) - instance.due
    return instance_variables(core, instance)[number]


cdef bint compare(int64_t value, uint8_t how, int64_t other) noexcept nogil:
    if how == CMP_EQ:
        return value == other
    elif how == CMP_NE:
        return value != other
    elif how == CMP_LT:
        return value < other
    elif how == CMP_LE:
        return value <= other
    elif how == CMP_GT:
        return value > other
    elif how == CMP_GE:
        return value >= other
    SLG_UNREACHABLE()
    return False


cdef inline bint holds(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    """The comparison of an OP_JUMP_IF."""
    cdef int64_t value = variable_value(core, instance, insn.a)
    if insn.flags & CMP_OPERAND:
        return compare(value, insn.flags & 7, operand_value(core, instance, insn.c))
    return compare(value, insn.flags, insn.c)


cdef int64_t scaled(int64_t value, int64_t billionths) noexcept nogil:
    """Within what a double holds exactly enough, and 64 bits do."""
    cdef double product = <double>value * <double>billionths / 1e9
    if not -9.2e18 < product < 9.2e18:
        return <int64_t>-9200000000000000000 if product < 0 else <int64_t>9200000000000000000
    return <int64_t>product


cdef int64_t changed(uint8_t op, int64_t value, int64_t operand) noexcept nogil:
    """A variable after one of the operations that take an operand."""
    if op == OP_SET:
        return operand
    elif op == OP_ADD:
        return slg_add(value, operand)
    elif op == OP_SUB:
        return slg_sub(value, operand)
    elif op == OP_MUL:
        return scaled(value, operand)
    elif op == OP_TIMES:
        return slg_times(value, operand)
    elif op == OP_DIV:
        return slg_div(value, operand)
    elif op == OP_MOD:
        return slg_mod(value, operand)
    SLG_UNREACHABLE()
    return value


cdef int64_t extract_value(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint32_t what = insn.b
    cdef uint64_t value
    cdef uint8_t token[24]
    if core.message == NULL:
        return -1
    if what >= EXTRACT_NUMBER:
        return extract_number(core, instance, what, insn.c)
    if what == EXTRACT_STATUS:
        return core.message.status
    elif what == EXTRACT_EXPIRES:
        token_write(core, token, instance_contact(core, instance))
        return contact_expires(core.message, span_make(token, TOKEN_LENGTH), <uint64_t>insn.c)
    elif what == EXTRACT_MIN_EXPIRES:
        return <int64_t>value if header_uint(core.message, HEADER_MIN_EXPIRES, &value) else -1
    elif what == EXTRACT_RETRY_AFTER:
        return <int64_t>value if header_uint(core.message, HEADER_RETRY_AFTER, &value) else -1
    elif what == EXTRACT_CONTENT_LENGTH:
        return core.message.body.length
    SLG_UNREACHABLE()
    return -1


# --- clocks ---

cdef void clock_stop(Core* core, Instance* instance, uint32_t number) noexcept nogil:
    cdef Clock* clock = instance_clocks(core, instance) + number
    cdef int64_t* histogram
    cdef Nanos at = core.received if core.message != NULL else core.now
    if clock.due < 0:
        return
    histogram = core.histograms + HIST_STRIDE * (
        HIST_CLOCKS + 2 * (<uint64_t>instance.series * core.clock_count + number))
    hist_record(histogram, (at - clock.due) // 1000)
    hist_record(histogram + HIST_STRIDE, (at - clock.sent) // 1000)
    clock.due = -1


# --- running ---

cdef bint send_template(Core* core, uint32_t index, const Insn* insn, uint32_t pc) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef uint32_t leg = instance_legs(core, instance)[insn.b]
    cdef uint8_t kind = core.templates[insn.a].kind
    if leg == NONE:
        leg = leg_take(core, index, <uint8_t>insn.b)
        if leg == NONE:
            return False
    if kind == TEMPLATE_REQUEST:
        instance.wait_pc = NONE
        return send_request(core, index, leg, insn.a, pc)
    elif kind == TEMPLATE_RESPONSE:
        if insn.b and core.templates[insn.a].method == METHOD_INVITE:
            dialog_branch(core, instance_legs(core, instance)[0], leg)
        return send_response(core, index, leg, insn.a, pc)
    elif kind == TEMPLATE_ACK:
        return send_ack(core, index, leg, insn.a, pc)
    elif kind == TEMPLATE_CANCEL:
        if leg_at(core, leg).client_invite != NONE:
            send_cancel(core, leg_at(core, leg).client_invite)
        return True
    SLG_UNREACHABLE()
    return False


cdef bint pause_begin(Core* core, uint32_t index, const Insn* insn, uint32_t pc) noexcept nogil:
    """True: the instance waits. False: there is nothing to wait for."""
    cdef Instance* instance = instance_at(core, index)
    cdef int64_t length
    if instance.hung_up:
        instance.wait_pc = NONE
        return False
    if instance.wait_pc != pc:
        length = operand_value(core, instance, insn.c)
        if length <= 0:
            instance.wait_pc = NONE
            return False
        length = min(length, <int64_t>4600000000000000000)      # the sum stays within 64 bits
        # A pause counts from when it was due, so that lateness does not add up along a call.
        instance.deadline = max(instance.intended, core.now - LATE_MAX) + length
        instance.wait_pc = pc
    wheel_add(&core.wheel, index, instance.deadline)
    instance.wait = WAIT_PAUSE
    return True


cdef void await_begin(Core* core, uint32_t index, const Insn* insn, uint32_t pc) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    if instance.wait_pc != pc:
        instance.wait_pc = pc
        instance.deadline = INT64_MAX
        if insn.c:
            instance.deadline = core.now + insn.c * (core.timers.t1 if insn.flags else 1)
            wheel_add(&core.wheel, index, instance.deadline)
    instance.wait = WAIT_AWAIT


cdef void vm_run(Core* core, uint32_t index) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef uint32_t pc = instance.pc
    cdef uint32_t steps = 0
    cdef const Insn* insn
    cdef Clock* clock
    cdef int64_t* variables = instance_variables(core, instance)
    instance.wait = WAIT_NOTHING
    while True:
        SLG_ASSERT(pc < core.insns)
        insn = core.code + pc
        steps += 1
        if insn.op == OP_SEND:
            if not send_template(core, index, insn, pc):
                vm_end(core, index, OUTCOME_NO_RESOURCE)
                return
            pc += 1
        elif insn.op == OP_AWAIT:
            instance.pc = pc
            await_begin(core, index, insn, pc)
            return
        elif insn.op == OP_PAUSE:
            instance.pc = pc
            if pause_begin(core, index, insn, pc):
                return
            pc = insn.b
        elif insn.op == OP_CLOCK_START:
            clock = instance_clocks(core, instance) + insn.a
            clock.due = instance.intended
            clock.sent = core.now
            pc += 1
        elif insn.op == OP_CLOCK_STOP:
            clock_stop(core, instance, insn.a)
            pc += 1
        elif insn.op == OP_JUMP:
            if insn.flags:
                instance.wait_pc = NONE
            pc = insn.b
        elif insn.op == OP_END:
            instance.pc = pc
            vm_end(core, index, insn.a)
            return
        elif insn.op == OP_JUMP_IF:
            pc = insn.b if holds(core, instance, insn) else pc + 1
        elif insn.op == OP_CHANCE:
            pc = insn.b if <int64_t>draw_below(&instance.draws, 1000000000) < insn.c else pc + 1
        elif OP_SET <= insn.op <= OP_MUL or OP_SUB <= insn.op <= OP_MOD:
            variables[insn.a] = changed(
                insn.op, variables[insn.a], operand_value(core, instance, insn.c))
            pc += 1
        elif insn.op == OP_SHARE:
            share(core, instance, insn, operand_value(core, instance, insn.c)
                  if insn.flags == SHARE_ADD else 0)
            pc += 1
        elif insn.op == OP_MATCH:
            pc = pc + 1 + insn.flags if pattern_match(core, instance, insn) else insn.b
        elif insn.op == OP_HOOK:
            if hook_ask(core, index, insn, pc):
                return
            pc = insn.b
        elif insn.op == OP_EXTRACT:
            variables[insn.a] = extract_value(core, instance, insn)
            pc += 1
        elif insn.op == OP_CREDENTIAL:
            pc = pc + 1 if core.message != NULL \
                and auth_accept(core, instance, insn) else insn.b
        elif insn.op == OP_CHALLENGE_CHECK:
            pc = pc + 1 if core.message != NULL \
                and auth_check(core, instance, insn) else insn.b
        elif insn.op == OP_CAPTURE:
            capture(core, instance, insn)
            pc += 1
        elif insn.op == OP_HAS:
            pc = pc + 1 if (body_has(core, instance, insn) if insn.flags
                            else message_has(core, instance, insn)) else insn.b
        elif insn.op == OP_SAME:
            pc = pc + 1 if text_same(core, instance, insn) else insn.b
        elif insn.op == OP_ROUTE:
            if instance_legs(core, instance)[insn.b] == NONE \
                    and leg_take(core, index, <uint8_t>insn.b) == NONE:
                vm_end(core, index, OUTCOME_NO_RESOURCE)
                return
            leg_route(core, instance, instance_legs(core, instance)[insn.b], insn.a)
            pc += 1
        elif insn.op == OP_DATAGRAM or insn.op == OP_BINDING:
            if instance_legs(core, instance)[insn.b] == NONE \
                    and leg_take(core, index, <uint8_t>insn.b) == NONE:
                vm_end(core, index, OUTCOME_NO_RESOURCE)
                return
            if insn.op == OP_DATAGRAM:
                leg_datagram(core, instance, instance_legs(core, instance)[insn.b], insn.a)
            else:
                stun_ask(core, instance_legs(core, instance)[insn.b], insn.flags)
            instance.wait_pc = NONE             # the next wait begins anew
            pc += 1
        elif insn.op == OP_LEAVE:
            leg_leave(core, index, <uint8_t>insn.b)
            pc += 1
        elif insn.op == OP_BIND:
            variables[insn.a] = registrar_bind(core)
            pc += 1
        elif insn.op == OP_COUNT:
            core.user_counters[insn.a] += insn.c
            pc += 1
        else:
            SLG_UNREACHABLE()
            vm_end(core, index, OUTCOME_NO_RESOURCE)
            return
        if steps > INSTRUCTION_LIMIT:
            instance.pc = pc
            vm_end(core, index, OUTCOME_NO_RESOURCE)
            return


# --- waking ---

cdef inline bint matcher_fits(const Matcher* matcher, uint8_t kind, uint8_t leg, uint8_t method,
                              uint16_t status) noexcept nogil:
    if matcher.kind != kind or (matcher.leg != 0xFF and matcher.leg != leg):
        return False
    if matcher.method != METHOD_UNKNOWN and matcher.method != method:
        return False
    return kind != MATCH_RESPONSE or matcher.low <= status <= matcher.high


cdef bint vm_event(Core* core, uint32_t index, uint8_t kind, uint8_t leg, uint8_t method,
                   uint16_t status) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef uint32_t pc = instance.wait_pc
    cdef const Insn* insn
    cdef uint32_t i
    if instance.wait == WAIT_NOTHING or instance.wait == WAIT_HOOK:
        return False
    SLG_ASSERT(pc < core.insns)
    insn = core.code + pc
    for i in range(1, insn.a + 1):
        if matcher_fits(core.matchers + insn[i].a, kind, leg, method, status):
            core.steps[(pc + i) * STEP_FIELDS + STEP_RECEIVED] += 1
            instance.status = status
            if kind == MATCH_RESPONSE and status >= 200 and status != 401 and status != 407:
                instance.retries = 0
            if insn[i].b == pc:
                return True
            instance.intended = core.received if core.message != NULL else core.now
            instance.pc = insn[i].b
            vm_run(core, index)
            return True
    return False


cdef uint32_t vm_invites(Core* core, uint32_t index, uint8_t method) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef const Insn* insn
    cdef const Matcher* matcher
    cdef uint32_t i
    if instance.wait == WAIT_NOTHING or instance.wait == WAIT_HOOK:
        return NONE
    insn = core.code + instance.wait_pc
    for i in range(1, insn.a + 1):
        matcher = core.matchers + insn[i].a
        if matcher.kind == MATCH_REQUEST and matcher.leg < core.leg_max \
                and (matcher.method == method or matcher.method == METHOD_UNKNOWN) \
                and instance_legs(core, instance)[matcher.leg] == NONE:
            return leg_take(core, index, matcher.leg)
    return NONE


cdef inline bint client_open(Core* core, uint32_t index) noexcept nogil:
    return index != NONE and tx_at(core, index).state < TX_COMPLETED


cdef bint vm_forlorn(Core* core, uint32_t index) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef const Insn* insn
    cdef const Matcher* matcher
    cdef const Leg* leg
    cdef uint32_t i
    if instance.wait != WAIT_AWAIT or instance.deadline != INT64_MAX:
        return False
    insn = core.code + instance.wait_pc
    for i in range(1, insn.a + 1):
        matcher = core.matchers + insn[i].a
        if matcher.kind not in (MATCH_RESPONSE, MATCH_TIMEOUT, MATCH_TRANSPORT) \
                or matcher.method == METHOD_CANCEL:
            return False
    for i in range(core.leg_max):
        if instance_legs(core, instance)[i] == NONE:
            continue
        leg = leg_at(core, instance_legs(core, instance)[i])
        if client_open(core, leg.client_invite) or client_open(core, leg.client_other) \
                or leg.server_invite != NONE:
            return False
    return True


cdef void vm_timer(Core* core, uint32_t index) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef const Insn* insn
    if instance.wait == WAIT_NOTHING or instance.deadline == INT64_MAX:
        return
    if core.now < instance.deadline:
        wheel_add(&core.wheel, index, instance.deadline)    # left over from an earlier wait
        return
    insn = core.code + instance.wait_pc
    instance.intended = instance.deadline
    if instance.wait == WAIT_PAUSE:
        instance.scheduled = instance.role == ROLE_CALLER
    else:
        core.steps[instance.wait_pc * STEP_FIELDS + STEP_TIMEOUT] += 1
        instance_rung(core, instance, RUNG_TIMEOUT, 0, 0)
    instance.deadline = INT64_MAX
    instance.wait_pc = NONE
    instance.pc = insn.b
    vm_run(core, index)


cdef void vm_hang_up(Core* core, uint32_t index) noexcept nogil:
    cdef Instance* instance = instance_at(core, index)
    cdef uint32_t i
    cdef Leg* leg
    if instance.hung_up:
        return
    instance.hung_up = 1
    if instance.wait == WAIT_PAUSE:
        instance.deadline = core.now
        instance.intended = core.now
        instance.wait_pc = NONE
        instance.pc = core.code[instance.pc].b
        vm_run(core, index)
        return
    for i in range(core.leg_max):
        if instance_legs(core, instance)[i] != NONE:
            leg = leg_at(core, instance_legs(core, instance)[i])
            if leg.client_invite != NONE:
                send_cancel(core, leg.client_invite)
