"""Overload control (see overload.pxd)."""

from libc.stdint cimport INT64_MIN, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset, strlen
from siploadgen.core.net.addr cimport peer_same_address
from siploadgen.core.rand cimport rand_unit
from siploadgen.core.records cimport Core, Leg, OC_LOSS, OC_NONE, OC_RATE, Overload, Target
from siploadgen.core.sip.parse cimport header_uint, list_next, parameter_find
from siploadgen.core.sip.tokens cimport HEADER_RETRY_AFTER
from siploadgen.core.span cimport (
    Span, span_between, span_iequal, span_make, span_to_uint, span_trim,
)
from siploadgen.core.types cimport Nanos, NONE, Peer, SLG_ASSERT

cdef extern from "slg_hash.h" nogil:
    uint32_t slg_decimal(uint8_t* out, uint64_t value)

cdef enum:
    VALIDITY_MS = 500               # without oc-validity (RFC 7339 4.3)
    VALIDITY_MOST_MS = 86_400_000   # whatever oc-validity says
    CLOSED_MOST_S = 86_400          # whatever Retry-After says
    SEQUENCE_UNIT = 100_000         # oc-seq has up to five decimals
    BURST = 5                       # requests at once, at a low rate (RFC 7415 3.5.1: TAU)
    BURST_PER_S = 100               # at a high one a hundredth of a second's worth

# Behind the branch (RFC 7339 4.1, 4.2, RFC 7415 3.2)
cdef const char* VIA_TAIL = b";oc;oc-algo=\"loss,rate\""

cdef Nanos MS = 1_000_000
cdef Nanos SECOND = 1_000_000_000


cdef void overload_obey(Core* core) noexcept nogil:
    core.obey = True
    core.via_tail_length = <uint32_t>strlen(VIA_TAIL)
    SLG_ASSERT(core.via_tail_length <= sizeof(core.via_tail))
    memcpy(core.via_tail, VIA_TAIL, core.via_tail_length)


cdef void overload_clear(Overload* state) noexcept nogil:
    memset(state, 0, sizeof(Overload))
    state.until = state.closed_until = state.sequence_until = INT64_MIN


# --- calling side ---

cdef inline bint span_is(Span span, const char* word) noexcept nogil:
    return span_iequal(span, span_make(<const uint8_t*>word, <uint32_t>strlen(word)))


cdef uint32_t algorithm_of(Span parameters) noexcept nogil:
    """What the server has chosen of what we offered; OC_NONE: none of it."""
    cdef bint present
    cdef Span names = parameter_find(parameters, b"oc-algo", &present)
    cdef Span name
    if not present:
        return OC_LOSS              # what everybody has (RFC 7339 4.2)
    if list_next(&names, &name):
        if span_is(name, b"loss"):
            return OC_LOSS
        if span_is(name, b"rate"):
            return OC_RATE
    return OC_NONE


cdef bint sequence_read(Span text, uint64_t* sequence) noexcept nogil:
    """`1282321615.782`, or without the decimals, in units of the fifth."""
    cdef uint64_t whole = 0
    cdef uint64_t part = 0
    cdef uint64_t unit = SEQUENCE_UNIT
    cdef uint32_t i = 0
    cdef uint32_t _k
    while i < text.length and text.data[i] != 46:
        i += 1
    if i > 12 or not span_to_uint(span_make(text.data, i), &whole):
        return False
    if i < text.length:
        if text.length - i > 6 or not span_to_uint(
                span_make(text.data + i + 1, text.length - i - 1), &part):
            return False
        for _k in range(text.length - i - 1):
            unit //= 10
    else:
        unit = 1
    sequence[0] = whole * SEQUENCE_UNIT + part * unit
    return True


cdef inline double burst(uint32_t per_s) noexcept nogil:
    return max(<double>per_s / BURST_PER_S, <double>BURST)


cdef void refill(Core* core, Overload* state) noexcept nogil:
    state.tokens = min(state.tokens + <double>(core.now - state.refilled) * 1e-9 * state.value,
                       burst(state.value))
    state.refilled = core.now


cdef void control_heard(Core* core, Overload* state) noexcept nogil:
    """The oc parameters of core.message."""
    cdef Span parameters = core.message.via.parameters
    cdef uint64_t value = 0
    cdef uint64_t validity = VALIDITY_MS
    cdef uint64_t sequence = 0
    cdef uint32_t algorithm
    cdef bint present
    # A server that knows nothing of this gives our own `oc` back, which has no value.
    if not span_to_uint(parameter_find(parameters, b"oc", &present), &value):
        return
    algorithm = algorithm_of(parameters)
    if algorithm == OC_NONE or value > NONE or (algorithm == OC_LOSS and value > 100):
        return
    if sequence_read(parameter_find(parameters, b"oc-seq", &present), &sequence):
        if core.now < state.sequence_until and sequence < state.sequence:
            return                  # overtaken on its way (RFC 7339 4.4)
        state.sequence = sequence
    span_to_uint(parameter_find(parameters, b"oc-validity", &present), &validity)
    validity = min(validity, <uint64_t>VALIDITY_MOST_MS)
    if algorithm == OC_RATE:
        if core.now < state.until and state.algorithm == OC_RATE:
            refill(core, state)     # what was earned at the rate before
        else:
            state.tokens = 1
            state.refilled = core.now
    state.algorithm = algorithm
    state.value = <uint32_t>value
    state.until = core.now + <Nanos>validity * MS       # 0: the control has ended
    # The order of what a server says matters as long as copies of it may be under way.
    state.sequence_until = max(state.until, core.now + VALIDITY_MS * MS)


cdef void overload_heard(Core* core, const Peer* peer, bint first) noexcept nogil:
    cdef Overload* state = NULL
    cdef uint64_t seconds
    cdef uint32_t i
    for i in range(core.targets.count):
        if peer_same_address(&core.targets.entries[i].peer, peer):
            state = &core.targets.entries[i].overload
            break
    if state == NULL:
        return
    if core.message.status == 503 and first \
            and header_uint(core.message, HEADER_RETRY_AFTER, &seconds):
        # RFC 3261 21.5.4; without Retry-After the request alone has failed.
        seconds = min(seconds, <uint64_t>CLOSED_MOST_S)
        state.closed_until = max(state.closed_until, core.now + <Nanos>seconds * SECOND)
    control_heard(core, state)


cdef uint64_t overload_closed(Core* core) noexcept nogil:
    cdef uint64_t closed = 0
    cdef uint32_t i
    if not core.obey:
        return 0
    for i in range(core.targets.count):
        if core.now < core.targets.entries[i].overload.closed_until:
            closed |= <uint64_t>1 << core.targets.entries[i].number
    return closed


cdef bint overload_admits(Core* core, const Target* target) noexcept nogil:
    cdef Overload* state = <Overload*>&target.overload
    if not core.obey or core.now >= state.until:
        return True
    if state.algorithm == OC_LOSS:
        return rand_unit(&core.rand) * 100.0 >= state.value
    refill(core, state)
    # a sum of parts may fall just short of one
    return state.value > 0 and state.tokens >= 1.0 - 1e-6


cdef void overload_spend(Core* core, const Leg* leg) noexcept nogil:
    cdef Overload* state
    cdef uint32_t i
    for i in range(core.targets.count):
        if <uint32_t>core.targets.entries[i].number + 1 == leg.target:
            state = &core.targets.entries[i].overload
            if state.algorithm == OC_RATE and core.now < state.until:
                refill(core, state)
                state.tokens -= 1.0
            return


# --- answering side ---

cdef uint8_t* part_end(uint8_t* at, uint8_t* end) noexcept nogil:
    """Behind `at` the next ";" or "," outside quotes."""
    cdef bint quoted = False
    at += 1
    while at < end and (quoted or (at[0] != 59 and at[0] != 44)):
        if at[0] == 34:
            quoted = not quoted
        elif quoted and at[0] == 92 and at + 1 < end:
            at += 1
        at += 1
    return at


cdef bint is_ours(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """`;name` or `;name=value` is one that the answer replaces."""
    cdef const uint8_t* stop = at
    cdef Span name
    while stop < end and stop[0] != 61:
        stop += 1
    name = span_trim(span_between(at + 1, stop))
    return span_is(name, b"oc") or span_is(name, b"oc-algo") or span_is(name, b"oc-validity") \
        or span_is(name, b"oc-seq")


cdef inline uint8_t* put(uint8_t* at, const char* text) noexcept nogil:
    cdef uint32_t length = <uint32_t>strlen(text)
    memcpy(at, text, length)
    return at + length


cdef uint8_t* control_write(Core* core, uint8_t* at) noexcept nogil:
    cdef uint64_t sequence = <uint64_t>(core.now // 10_000)
    cdef uint64_t unit = SEQUENCE_UNIT // 10
    at = put(at, b";oc=")
    at += slg_decimal(at, core.oc_value)
    at = put(at, b";oc-algo=\"loss\"" if core.oc_algorithm == OC_LOSS else b";oc-algo=\"rate\"")
    at = put(at, b";oc-validity=")
    at += slg_decimal(at, core.oc_validity)
    # The time of the answer, which grows (RFC 7339 4.4); a copy made anew has a later one.
    at = put(at, b";oc-seq=")
    at += slg_decimal(at, sequence // SEQUENCE_UNIT)
    at = put(at, b".")
    while unit:
        at[0] = <uint8_t>(48 + sequence // unit % 10)
        at += 1
        unit //= 10
    return at


cdef bint is_asked(Core* core, Span parameters) noexcept nogil:
    """The client has announced `oc`, and our algorithm among its own (RFC 7339 5.1)."""
    cdef bint present
    cdef Span names = parameter_find(parameters, b"oc", &present)
    cdef Span name
    if not present or names.data != NULL:
        return False
    names = parameter_find(parameters, b"oc-algo", &present)
    if not present:
        return core.oc_algorithm == OC_LOSS
    while list_next(&names, &name):
        if span_is(name, b"loss" if core.oc_algorithm == OC_LOSS else b"rate"):
            return True
    return False


cdef uint8_t* overload_announce(Core* core, uint8_t* via, uint8_t* end) noexcept nogil:
    cdef uint8_t text[128]
    cdef uint8_t* first = via           # where the parameters begin
    cdef uint8_t* stop                  # where the topmost via-parm ends
    cdef uint8_t* at
    cdef uint8_t* out
    cdef uint32_t length
    SLG_ASSERT(via < end)
    first = part_end(via, end)
    stop = first
    while stop < end and stop[0] == 59:
        stop = part_end(stop, end)
    if first == stop or not is_asked(core, span_between(first + 1, stop)):
        return end
    at = out = first
    while at < stop:
        first = at
        at = part_end(at, stop)
        if not is_ours(first, at):
            memmove(out, first, at - first)
            out += at - first
    length = <uint32_t>(control_write(core, text) - text)
    memmove(out + length, stop, end - stop)
    memcpy(out, text, length)
    return out + length + (end - stop)
