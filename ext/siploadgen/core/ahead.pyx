"""Datagrams parsed before their turn (see ahead.pxd)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from siploadgen.core.dialog cimport token_read
from siploadgen.core.records cimport Ahead, Core, MERGED_SLOTS
from siploadgen.core.sip.parse cimport (
    PARSE_DATAGRAM, PARSE_KEEPALIVE, PARSE_OK, sip_parse, SipMessage,
)
from siploadgen.core.sip.tokens cimport METHOD_ACK, METHOD_CANCEL, METHOD_INVITE
from siploadgen.core.slab cimport Slab
from siploadgen.core.span cimport Span, span_make
from siploadgen.core.stun cimport stun_is
from siploadgen.core.table cimport table_home
from siploadgen.core.types cimport (
    Handle, handle_index, slg_prefetch, SLG_UNLIKELY, TOKEN_LENGTH,
)

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    uint64_t slg_mix64(uint64_t a, uint64_t b)

cdef const char* COOKIE = b"z9hG4bK"

cdef enum:
    LINE = 64                   # octets that come from memory together


cdef uint64_t request_key(Core* core, const SipMessage* message, uint8_t method) noexcept nogil:
    """Key of a server transaction (RFC 3261 17.2.3): branch, sent-by and method; without the cookie
    the RFC 2543 fields.
    """
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


cdef uint64_t merged_print(Core* core, const SipMessage* message) noexcept nogil:
    """Of what is the same in all copies of a request: From tag, Call-ID and CSeq. Of a long tag
    the end is enough: no two callers share a Call-ID.
    """
    cdef Span tag = message.from_tag
    cdef uint64_t h = slg_hash64(message.call_id.data, message.call_id.length, core.hash_seed)
    cdef uint64_t end
    # not as part of the seed: that difference and one in the first octets of a Call-ID can cancel
    h = slg_mix64(h ^ (message.cseq + (<uint64_t>message.method << 32)), 0x589965CC75374CC3ULL)
    if tag.length < 8:
        return slg_hash64(tag.data, tag.length, h)
    memcpy(&end, tag.data + tag.length - 8, 8)
    return slg_mix64(h ^ end ^ tag.length, 0xE7037ED1A0B428DBULL)


cdef inline void fetch_record(const Slab* slab, Handle handle) noexcept nogil:
    cdef const uint8_t* record = slab.base + <uint64_t>handle_index(handle) * slab.record_size
    if handle and handle_index(handle) < slab.capacity:
        slg_prefetch(record)
        slg_prefetch(record + LINE)


cdef void fetch_request(Core* core, Ahead* ahead) noexcept nogil:
    cdef const SipMessage* message = &ahead.message
    cdef uint8_t method = message.method
    if method == METHOD_ACK or method == METHOD_CANCEL:
        method = METHOD_INVITE
    ahead.key = request_key(core, message, method)
    slg_prefetch(&core.requests.entries[table_home(&core.requests, ahead.key)])
    if message.to_tag.length:
        fetch_record(&core.legs, token_read(core, message.to_tag))
    elif core.merge:
        ahead.merged_print = merged_print(core, message)
        slg_prefetch(&core.merged[ahead.merged_print % MERGED_SLOTS])


cdef void ahead_parse(Core* core, Ahead* ahead, const uint8_t* data,
                      uint32_t length) noexcept nogil:
    cdef Span branch
    if SLG_UNLIKELY(stun_is(data, length)):
        ahead.status = PARSE_KEEPALIVE
        return
    ahead.status = sip_parse(&ahead.message, data, length, PARSE_DATAGRAM)
    if ahead.status != PARSE_OK:
        return
    if ahead.message.is_request:
        fetch_request(core, ahead)
        return
    branch = ahead.message.via.branch
    if branch.length == 7 + TOKEN_LENGTH:
        fetch_record(&core.txs, token_read(core, span_make(branch.data + 7, TOKEN_LENGTH)))
