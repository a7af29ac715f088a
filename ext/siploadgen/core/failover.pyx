"""The next server (see failover.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from siploadgen.core.counters cimport COUNT_FAILOVER
from siploadgen.core.outgoing cimport (
    send_request, TXF_CANCEL_WANTED, TXF_CANCELLED, TXF_REGISTRATION,
)
from siploadgen.core.overload cimport overload_admits, overload_closed
from siploadgen.core.records cimport (
    Core, core_count, instance_at, Leg, LEG_CONFIRMED, LEG_NEW, Target, tx_at,
)
from siploadgen.core.sip.parse cimport header_uint
from siploadgen.core.sip.tokens cimport HEADER_RETRY_AFTER, METHOD_INVITE
from siploadgen.core.slab cimport slab_get
from siploadgen.core.targets cimport target_bind, target_choose, target_failed
from siploadgen.core.texts cimport text_give
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport handle_index, Nanos, NONE
from siploadgen.core.user cimport user_at

cdef enum:
    OUT_S = 30                  # how long a target that failed is left out
    OUT_MOST_S = 86400          # whatever Retry-After says


cdef inline Nanos out_length(Core* core) noexcept nogil:
    """How long the target does without us: as its Retry-After says (RFC 3261 21.5.4)."""
    cdef uint64_t seconds = OUT_S
    if core.message != NULL and header_uint(core.message, HEADER_RETRY_AFTER, &seconds):
        seconds = min(seconds, <uint64_t>OUT_MOST_S)
    return <Nanos>seconds * 1_000_000_000


cdef inline bint in_dialog(const Leg* leg, const Tx* tx) noexcept nogil:
    """An INVITE of an early dialog is the one that opens it; whatever else is inside."""
    return leg.state == LEG_CONFIRMED or (leg.state != LEG_NEW and tx.method != METHOD_INVITE)


cdef void dialog_forget(Core* core, Leg* leg) noexcept nogil:
    """What provisional responses of the server before said of a dialog is void."""
    text_give(&core.texts, leg.text)
    leg.text = NONE
    leg.tag_length = leg.target_length = leg.routes_length = 0
    leg.remote_tag_hash = 0
    leg.dialog_hash = 0
    leg.remote_rseq = 0
    leg.strict = 0
    leg.state = LEG_NEW


cdef bint send_elsewhere(Core* core, uint32_t index) noexcept nogil:
    cdef Tx* tx = tx_at(core, index)
    cdef Leg* leg = <Leg*>slab_get(&core.legs, tx.leg)
    cdef const Target* target
    cdef uint64_t tried
    cdef uint32_t last_cseq
    cdef bint sent
    if core.targets.count < 2 or leg == NULL or in_dialog(leg, tx):
        return False
    tried = tx.tried | target_failed(core, &tx.peer, out_length(core))
    if tx.flags & (TXF_CANCEL_WANTED | TXF_CANCELLED) or instance_at(core, leg.instance).hung_up:
        return False
    target = target_choose(core, tried | overload_closed(core))
    if target == NULL or not overload_admits(core, target):
        return False
    if leg.state != LEG_NEW:
        dialog_forget(core, leg)
    target_bind(core, leg, target)
    instance_at(core, leg.instance).retries = 0     # another server may challenge anew
    if tx.flags & TXF_REGISTRATION:
        user_at(core, tx.row).cseq -= 1
    # The same request but for the branch (RFC 3263 4.3): its CSeq does not move on.
    last_cseq = leg.local_cseq
    leg.local_cseq = tx.cseq - 1
    sent = send_request(core, leg.instance, handle_index(tx.leg), tx.template, tx.insn)
    leg.local_cseq = last_cseq
    if not sent:
        return False
    tx_at(core, leg.client_invite if tx.method == METHOD_INVITE else leg.client_other).tried = tried
    core_count(core, COUNT_FAILOVER)
    return True
