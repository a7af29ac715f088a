# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# What libFuzzer runs of the engine: a caller and an answerer (see worlds.py), joined by a network
# that the input plays. The input is a list of commands: start calls, deliver, lose, repeat or
# damage what was sent, answer it with any status, ask back in its dialog, let time pass, hang up.
# After it both engines must be in balance and, aborted, own nothing; each message that they send
# must be SIP. A promise that is broken aborts, so that the fuzzer keeps the input.
#
# The engine's own source is included, so that its state can be taken hold of; an input touches no
# Python: before it both engines are laid back to the octets that they were opened with.
include "../../ext/siploadgen/core/engine.pyx"

from libc.stdio cimport fprintf, fwrite, stderr
from libc.stdint cimport INT64_MAX, uint16_t
from libc.stdlib cimport abort, getenv, malloc
from libc.string cimport memcmp, memmove, memset, strlen
from siploadgen.core.counters cimport COUNT_REFUSED_MALFORMED
from siploadgen.core.sip.parse cimport PARSE_DATAGRAM, PARSE_OK, sip_parse, SipMessage
from siploadgen.core.sip.tokens cimport (
    HEADER_CALL_ID, HEADER_CSEQ, HEADER_FROM, HEADER_RECORD_ROUTE, HEADER_TO, HEADER_VIA,
)
from siploadgen.core.net.outbox cimport OutGroups
from siploadgen.core.records cimport Merged, MERGED_SLOTS, Start, STARTS_COUNT
from siploadgen.core.slab cimport Slab
from siploadgen.core.span cimport Span
from siploadgen.core.table cimport TableEntry
from siploadgen.core.types cimport Nanos, NONE, PEER_IPV4, PEER_IPV6
from siploadgen.core.wheel cimport WheelNode

cdef extern from "slg_bits.h" nogil:
    void SLG_POISON(const void* data, size_t length)
    void SLG_UNPOISON(const void* data, size_t length)

cdef enum:
    KEPT = 32                   # messages that can still be delivered, answered, repeated
    ROOM = 4096                 # octets of one; longer ones are checked and forgotten
    COMMANDS = 48               # of one input
    WORLDS = 24
    DUE = 7                     # calls started by one command at most: more than there is room for
    MERGES = 1024               # datagrams of one input at most
    BUFFERS = 8                 # datagrams last delivered: poisoned, so that a pointer kept is seen
    BUFFER = 8704               # octets of one: a draft, and what no datagram may touch around it
    MESSAGES = 96               # sent by both engines before an input has had its say
    EVENTS = 150                # instants of virtual time likewise
    REST = 20000                # turns after which an engine that still has something to do is ill

cdef struct Side:
    Core* core
    uint8_t* opened             # octets of *core as it was opened
    uint64_t slots              # of the table of requests
    Peer peer

    uint32_t merges             # requests that it has compared with others, by slot
    uint32_t merged[1024]

cdef struct World:
    Side sides[2]               # caller, answerer

cdef struct Kept:
    uint32_t length
    uint8_t side                # who sent it
    bint waiting                # not yet delivered
    uint8_t data[ROOM]

cdef struct Draft:              # a message being written
    uint32_t length
    uint8_t data[2 * ROOM]

cdef struct Play:
    const uint8_t* data
    size_t left
    Nanos now
    Nanos lag                   # how long the next datagrams lay unread
    World* world
    uint32_t heads              # messages ever kept
    uint32_t messages           # ever sent
    uint32_t events             # instants at which a timer was due
    Peer stranger
    bint strange                # datagrams come from the stranger
    bint refused                # the datagram at hand was malformed and got an answer
    Start starts[DUE]

cdef World worlds[WORLDS]
cdef uint32_t world_count = 0
cdef Kept kept[KEPT]
cdef Play play
cdef SipMessage seen            # of a message that the engines sent
cdef Draft draft
cdef bint loud = False
cdef uint8_t[8][8704] buffers
cdef uint32_t buffer_next = 0

cdef const char* EXTRA[8]
EXTRA[:] = [
    b"WWW-Authenticate: Digest realm=\"siploadgen\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n",
    b"Proxy-Authenticate: Digest realm=\"r\", nonce=\"n2\", algorithm=SHA-256, stale=true\r\n",
    b"Contact: <sip:peer@192.0.2.20:5060>\r\n",
    b"Contact: <sip:peer@192.0.2.77;transport=udp>;expires=60\r\n",
    b"Record-Route: <sip:192.0.2.30;lr>, <sip:192.0.2.31:5099;lr>\r\n",
    b"Record-Route: <sip:192.0.2.30>\r\n",
    b"Expires: 7\r\n",
    b"Min-Expires: 1800\r\n",
]
cdef const char* LINES[20]
LINES[:] = [
    b"Via: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bKx\r\n",
    b"v: SIP/2.0/UDP [2001:db8::9:1];branch=1\r\n",
    b"From: <sip:a@192.0.2.20>;tag=other\r\n",
    b"t: \"x\" <sip:b@192.0.2.10>\r\n",
    b"Call-ID: another@host\r\n",
    b"CSeq: 4294967295 INVITE\r\n",
    b"CSeq: 1 ACK\r\n",
    b"Contact: *\r\n",
    b"Contact: <sip:a@192.0.2.20;x=y>;expires=0, <sip:b@[::1]:9>;expires=99999999999\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 70000\r\n",
    b"Expires: 4294967295\r\n",
    b"Require: 100rel\r\n",
    b"Route: <sip:192.0.2.40;lr>\r\n",
    b"Record-Route: <sip:192.0.2.50>, <sip:192.0.2.51;lr>\r\n",
    b"Authorization: Digest username=\"u\", realm=\"siploadgen\", nonce=\"0\", uri=\"sip:x\", "
    b"response=\"0\"\r\n",
    b"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth-int\", "
    b"opaque=\"o\"\r\n",
    b"Retry-After: 5 (soon)\r\n",
    b"\r\n",
    b"X: y\r\n folded\r\n",
]
cdef const char* METHODS[16]
METHODS[:] = [
    b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"REGISTER", b"INFO", b"UPDATE", b"PRACK",
    b"SUBSCRIBE", b"NOTIFY", b"REFER", b"MESSAGE", b"PUBLISH", b"XYZZY", b"invite",
]
cdef uint16_t[26] STATUSES
STATUSES[:] = [
    100, 180, 183, 199, 200, 202, 299, 300, 301, 302, 401, 407, 403, 404, 408, 422, 423, 481, 486,
    487, 488, 491, 500, 503, 603, 699,
]
cdef int64_t[12] SPANS
SPANS[:] = [          # ns
    1, 1000000, 20000000, 500000000, 1000000000, 4000000000, 5000000000, 32000000000, 64000000000,
    180000000000, 3600000000000, 1000000000000000,
]


# --- the input ---

cdef uint32_t byte() noexcept nogil:
    cdef uint32_t value
    if play.left == 0:
        return 0
    value = play.data[0]
    play.data += 1
    play.left -= 1
    return value


cdef void fail(const char* what) noexcept nogil:
    fprintf(stderr, b"fuzz: %s\n", what)
    abort()


# --- messages ---

cdef void put(const void* data, uint32_t length) noexcept nogil:
    if length and draft.length + length <= sizeof(draft.data):
        memcpy(draft.data + draft.length, data, length)
        draft.length += length


cdef void put_text(const char* text) noexcept nogil:
    put(text, <uint32_t>strlen(text))


cdef void put_span(Span span) noexcept nogil:
    put(span.data, span.length)


cdef void put_number(uint32_t value) noexcept nogil:
    cdef uint8_t digits[10]
    cdef uint32_t count = 0
    while True:
        digits[9 - count] = <uint8_t>(48 + value % 10)
        count += 1
        value //= 10
        if value == 0:
            break
    put(digits + 10 - count, count)


cdef Kept* recall(uint32_t back) noexcept nogil:
    """The message kept `back` messages ago; NULL when there was none."""
    if play.heads == 0:
        return NULL
    back %= min(play.heads, <uint32_t>KEPT)
    return &kept[(play.heads - 1 - back) % KEPT]


cdef Kept* recall_request(uint32_t back) noexcept nogil:
    """The request kept at or before that; NULL when there is none."""
    cdef uint32_t i
    cdef Kept* one
    for i in range(min(play.heads, <uint32_t>KEPT)):
        one = recall(back + i)
        if one.length > 8 and memcmp(one.data, b"SIP/2.0 ", 8) != 0:
            return one
    return NULL


# --- the engines ---

cdef bint same(const Kept* one, const OutMessage* message) noexcept nogil:
    """Equal octets; by hand, because libFuzzer learns from each memcmp, and that costs."""
    cdef uint32_t i
    for i in range(one.length):
        if one.data[one.length - 1 - i] != message.data[one.length - 1 - i]:
            return False
    return True


cdef bint repeats(uint32_t side, const OutMessage* message) noexcept nogil:
    """One of the latest messages again: it has been looked at."""
    cdef Kept* one
    cdef uint32_t back
    for back in range(min(play.heads, <uint32_t>KEPT)):
        one = recall(back)
        if one.side == side and one.length == message.length and same(one, message):
            return True
    return False


cdef bint echoes_damage(const OutMessage* message) noexcept nogil:
    """A refusal of a malformed request gives back that request's headers as they came."""
    return play.refused and (memcmp(message.data, b"SIP/2.0 400 ", 12) == 0
                             or memcmp(message.data, b"SIP/2.0 505 ", 12) == 0
                             or memcmp(message.data, b"SIP/2.0 513 ", 12) == 0)


cdef void collect(uint32_t side) noexcept nogil:
    """What an engine has written: each is SIP; those of usual size are kept."""
    cdef Core* core = play.world.sides[side].core
    cdef OutMessage* message
    cdef Kept* one
    cdef uint32_t i
    for i in range(core.outbox.count):
        message = &core.outbox.messages[i]
        play.messages += 1
        if loud:
            fprintf(stderr, b"--- %lld ms, %s:\n", <long long>(play.now // 1000000),
                    b"answerer" if side else b"caller")
            fwrite(message.data, 1, message.length, stderr)
        if not repeats(side, message) \
                and sip_parse(&seen, message.data, message.length, PARSE_DATAGRAM) != PARSE_OK \
                and not echoes_damage(message):
            fwrite(message.data, 1, message.length, stderr)
            fail(b"an engine sent what is not SIP")
        if message.length > ROOM:
            continue
        one = &kept[play.heads % KEPT]
        play.heads += 1
        one.side = <uint8_t>side
        one.waiting = True
        one.length = message.length
        memcpy(one.data, message.data, message.length)
    outbox_clear(&core.outbox)


cdef const uint8_t* exposed(const uint8_t* data, uint32_t length) noexcept nogil:
    """A copy in memory of exactly that size; it is gone after BUFFERS more."""
    global buffer_next
    cdef uint8_t* copy = buffers[buffer_next] + 64
    buffer_next = (buffer_next + 1) % BUFFERS
    SLG_UNPOISON(copy, length)
    memcpy(copy, data, length)
    return copy


cdef void deliver(uint32_t to, const uint8_t* data, uint32_t length) noexcept nogil:
    """A datagram for one side, in memory of exactly its size."""
    cdef Side* side = &play.world.sides[to]
    cdef Core* core = side.core
    cdef int64_t refused = core.counters[<int>COUNT_REFUSED_MALFORMED]
    cdef Peer* source = &play.stranger if play.strange else &play.world.sides[1 - to].peer
    cdef const uint8_t* copy
    if side.merges == MERGES:
        return
    if loud:
        fprintf(stderr, b"--- %lld ms, to the %s: %.60s\n", <long long>(play.now // 1000000),
                b"answerer" if to else b"caller", <char*>data)
    copy = exposed(data, length)
    core.now = play.now
    feed_datagram(core, copy, length, source, play.now - play.lag)
    SLG_POISON(copy, length)
    side.merged[side.merges] = core.merged_print % MERGED_SLOTS
    side.merges += 1
    play.refused = core.counters[<int>COUNT_REFUSED_MALFORMED] != refused
    collect(to)
    play.refused = False


cdef void deliver_kept(Kept* one) noexcept nogil:
    cdef uint8_t data[ROOM]
    one.waiting = False
    memcpy(data, one.data, one.length)          # its place may be taken by an answer
    deliver(1 - one.side, data, one.length)


cdef void deliver_waiting(uint32_t count) noexcept nogil:
    """The oldest ones, and what they bring forth."""
    cdef uint32_t back, first
    while count:
        count -= 1
        first = min(play.heads, <uint32_t>KEPT)
        for back in range(first, 0, -1):
            if recall(back - 1).waiting:
                deliver_kept(recall(back - 1))
                break
        else:
            return


cdef void time_at(uint32_t side) noexcept nogil:
    """All that an engine has to do now."""
    cdef Core* core = play.world.sides[side].core
    cdef uint32_t turns = 0
    cdef bint more = True
    core.now = play.now
    while more:
        more = advance(core, OUTBOX_TURN)
        collect(side)
        turns += 1
        if turns > REST:
            fail(b"an engine never rests")


cdef void time_on(Nanos until, uint32_t events) noexcept nogil:
    """Each timer of both at its own instant, at most so many instants; then straight on."""
    cdef Nanos next, other
    while events:
        events -= 1
        play.events += 1
        next = advance_next(play.world.sides[0].core)
        other = advance_next(play.world.sides[1].core)
        next = min(next, other)
        if next > until or next == INT64_MAX:
            break
        if next > play.now:
            play.now = next
        time_at(0)
        time_at(1)
    if until < INT64_MAX and play.now < until:
        play.now = until
        time_at(0)
        time_at(1)


cdef void start_calls(uint32_t count) noexcept nogil:
    cdef Core* core = play.world.sides[0].core
    cdef Chunk* chunk
    cdef uint32_t i
    if core.queue.head - core.queue.tail >= CHUNKS // 2:
        return
    for i in range(DUE):
        if play.starts[i].due > play.now or core.queue.head == core.queue.tail:
            play.starts[i].due = play.now
        play.starts[i].number = i
        play.starts[i].row = NONE
    chunk = &core.queue.chunks[core.queue.head % CHUNKS]
    chunk.starts = play.starts
    chunk.count = count
    core.queue.head += 1
    time_at(0)


# --- commands ---

cdef void cmd_answer() noexcept nogil:
    """A response to a request that was sent, as its receiver would write it."""
    cdef Kept* one = recall_request(byte())
    cdef uint32_t status = STATUSES[byte() % 26]
    cdef uint32_t how = byte()
    cdef uint32_t extra = byte()
    cdef uint16_t i
    cdef uint8_t id
    if one == NULL or sip_parse(&seen, one.data, one.length, PARSE_DATAGRAM) != PARSE_OK:
        return
    draft.length = 0
    put_text(b"SIP/2.0 ")
    put_number(status)
    put_text(b" Any\r\n")
    for i in range(seen.header_count):
        id = seen.headers[i].id
        if id not in (HEADER_VIA, HEADER_FROM, HEADER_TO, HEADER_CALL_ID, HEADER_CSEQ,
                      HEADER_RECORD_ROUTE):
            continue
        put_span(seen.headers[i].name)
        put_text(b": ")
        if id == HEADER_CSEQ and how & 0x40:    # for the CANCEL, or any other
            put_number(seen.cseq)
            put_text(b" CANCEL")
        else:
            put_span(seen.headers[i].value)
        if id == HEADER_TO and seen.to_tag.length == 0 and status > 100 and how & 3:
            put_text(b";tag=p")
            put_number(how & 3)
        put_text(b"\r\n")
    for i in range(8):
        if extra >> i & 1:
            put_text(EXTRA[i])
    if how & 0x10:
        put_text(b"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n")
    else:
        put_text(b"Content-Length: 0\r\n\r\n")
    if how & 0x20:
        one.waiting = False
    deliver(one.side, draft.data, draft.length)


cdef void cmd_back() noexcept nogil:
    """A request in the dialog of a message that was sent, to who sent it."""
    cdef Kept* one = recall(byte())
    cdef const char* method = METHODS[byte() & 15]
    cdef uint32_t how = byte()
    cdef uint32_t number = byte()
    cdef bint swap
    if one == NULL or sip_parse(&seen, one.data, one.length, PARSE_DATAGRAM) != PARSE_OK:
        return
    swap = seen.is_request          # the other end speaks: From and To change places
    draft.length = 0
    put_text(method)
    put_text(b" sip:x@192.0.2.10 SIP/2.0\r\nVia: ")
    if how & 1:                     # the branch of the message (CANCEL, ACK for a failure)
        put_span(seen.headers[seen.first[<int>HEADER_VIA]].value)
    else:
        put_text(b"SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKb")
        put_number(how >> 4)
        if how & 2:
            put_text(b";rport")
    put_text(b"\r\nFrom: ")
    put_span(seen.to_value if swap else seen.from_value)
    if swap and seen.to_tag.length == 0:
        put_text(b";tag=p1")
    put_text(b"\r\nTo: ")
    put_span(seen.from_value if swap else seen.to_value)
    put_text(b"\r\nCall-ID: ")
    put_span(seen.call_id)
    put_text(b"\r\nCSeq: ")
    put_number(number if how & 4 else seen.cseq + (number & 3))
    put_text(b" ")
    put_text(method)
    if how & 8:
        put_text(b"\r\n")
        put_text(EXTRA[number & 7])
        put_text(b"Content-Length: 0\r\n\r\n")
    else:
        put_text(b"\r\nContent-Length: 0\r\n\r\n")
    deliver(one.side, draft.data, draft.length)


cdef void cmd_ask() noexcept nogil:
    """A request from outside dialogs."""
    cdef uint32_t to = byte() & 1
    cdef const char* method = METHODS[byte() & 15]
    cdef uint32_t name = byte()
    cdef uint32_t extra = byte()
    cdef uint32_t i
    draft.length = 0
    put_text(method)
    put_text(b" sip:service@192.0.2.20:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5070;")
    put_text(b"rport;branch=z9hG4bKq" if name & 1 else b"branch=q")
    put_number(name >> 4)
    put_text(b"\r\nMax-Forwards: 70\r\nFrom: <sip:a@192.0.2.10>")
    if name & 2:
        put_text(b";tag=f")
    put_text(b"\r\nTo: <sip:b@192.0.2.20>")
    if name & 4:
        put_text(b";tag=nobody")
    put_text(b"\r\nCall-ID: c")
    put_number(name >> 3 & 3)
    put_text(b"\r\nCSeq: 1 ")
    put_text(method)
    put_text(b"\r\n")
    for i in range(8):
        if extra >> i & 1:
            put_text(EXTRA[i])
    put_text(b"Content-Length: 0\r\n\r\n")
    deliver(to, draft.data, draft.length)


cdef uint32_t line_of(uint32_t number) noexcept nogil:
    """Where the line of that number begins in the draft."""
    cdef uint32_t i
    for i in range(draft.length):
        if number == 0:
            return i
        if draft.data[i] == 10:
            number -= 1
    return draft.length


cdef void splice(uint32_t at, uint32_t gone, const uint8_t* text, uint32_t length) noexcept nogil:
    """In the draft: `gone` octets make room for a text."""
    cdef uint32_t rest
    at = min(at, draft.length)
    gone = min(gone, draft.length - at)
    rest = draft.length - at - gone
    if draft.length - gone + length > sizeof(draft.data):
        return
    memmove(draft.data + at + length, draft.data + at + gone, rest)
    if length:
        memcpy(draft.data + at, text, length)
    draft.length = at + length + rest


cdef void cmd_damage() noexcept nogil:
    """A message that was sent arrives damaged."""
    cdef Kept* one = recall(byte())
    cdef uint32_t count = (byte() & 3) + 1
    cdef uint32_t kind, at, end, _edit
    cdef uint8_t line[ROOM]
    cdef const char* text
    if one == NULL:
        return
    draft.length = 0
    put(one.data, one.length)
    one.waiting = False
    for _edit in range(count):
        kind = byte() % 7
        at = byte()
        if kind == 0:                               # another octet
            at = at << 8 | byte()
            if draft.length:
                draft.data[at % draft.length] = <uint8_t>byte()
        elif kind == 1:                             # one more
            at = at << 8 | byte()
            line[0] = <uint8_t>byte()
            splice(at % (draft.length + 1), 0, line, 1)
        elif kind == 2:                             # some less
            at = at << 8 | byte()
            splice(at % (draft.length + 1), byte(), line, 0)
        elif kind == 6:                             # a long one
            at = line_of(at & 15)
            memset(line, 65 + (byte() & 31), ROOM)
            splice(at + 8, 0, line, byte() * 16)
        else:
            end = line_of((at & 15) + 1)
            at = line_of(at & 15)
            if kind == 3:                           # a line less
                splice(at, end - at, line, 0)
            elif kind == 4 and end - at <= sizeof(line):        # a line twice
                memcpy(line, draft.data + at, end - at)
                splice(line_of(byte() & 15), 0, line, end - at)
            else:                                   # another line in its place, or before it
                text = LINES[byte() % 20]
                splice(at, end - at if byte() & 1 else 0, <const uint8_t*>text,
                       <uint32_t>strlen(text))
    deliver(1 - one.side, draft.data, draft.length)


cdef void cmd_raw() noexcept nogil:
    cdef uint32_t to = byte() & 1
    cdef uint32_t length = byte() << 8
    length |= byte()
    length = min(length, <uint32_t>play.left)
    deliver(to, play.data, length)
    play.data += length
    play.left -= length


cdef void cmd_error() noexcept nogil:
    """An ICMP error that quotes a message."""
    cdef Kept* one = recall(byte())
    cdef uint32_t length = byte() * 8
    cdef const uint8_t* copy
    if one == NULL:
        return
    length = min(length, one.length)
    copy = exposed(one.data, length)
    play.world.sides[one.side].core.now = play.now
    feed_error(play.world.sides[one.side].core, copy, length)
    SLG_POISON(copy, length)
    collect(one.side)


cdef void command() noexcept nogil:
    cdef uint32_t what = byte() % 18
    cdef uint32_t side
    cdef Kept* one
    if loud:
        fprintf(stderr, b"=== command %u\n", what)
    if what == 0:
        side = byte()
        start_calls(DUE if side & 128 else side % 3 + 1)
    elif what in (1, 2):
        deliver_waiting(byte() % 8 + 1)
    elif what == 3:                                 # lost
        for side in range(min(play.heads, <uint32_t>KEPT), 0, -1):
            if recall(side - 1).waiting:
                recall(side - 1).waiting = False
                break
    elif what == 4:
        one = recall(byte())
        if one != NULL:
            deliver_kept(one)
    elif what == 5:                                 # on in time, by the timers
        time_on(play.now + SPANS[byte() % 12], 24)
    elif what == 6:                                 # a late loop
        play.now += SPANS[byte() % 12]
        time_at(byte() & 1)
    elif what in (7, 8):
        cmd_answer()
    elif what in (9, 10):
        cmd_back()
    elif what == 11:
        cmd_ask()
    elif what == 12:
        cmd_damage()
    elif what == 13:
        cmd_raw()
    elif what == 14:
        cmd_error()
    elif what == 15:
        side = byte()
        play.strange = side & 1
        play.lag = SPANS[side >> 1 & 3] if side & 8 else 0
        play.stranger.family = PEER_IPV6 if side & 16 else PEER_IPV4
    elif what == 16:
        side = byte()
        play.world.sides[side & 1].core.command ^= (COMMAND_HANG_UP if side & 2
                                                    else COMMAND_PAUSE)
        time_at(side & 1)
    else:
        side = byte()
        if side & 14 == 14:
            advance_abort(play.world.sides[side & 1].core)
            collect(side & 1)
        else:
            time_on(INT64_MAX, side >> 1 & 15)


# --- before and after ---

cdef void slab_again(Slab* slab) noexcept nogil:
    SLG_UNPOISON(slab.base, <size_t>slab.high * slab.record_size)
    memset(slab.base, 0, <size_t>slab.high * slab.record_size)


cdef void side_again(Side* side) noexcept nogil:
    """An engine as it was opened; the buffers inside it need no clearing."""
    cdef Core* core = side.core
    cdef uint8_t* octets = <uint8_t*>core
    cdef OutGroups* groups = <OutGroups*>core.outbox.state
    cdef size_t head = <size_t>(<uint8_t*>&core.parsed - octets)
    cdef size_t tail = <size_t>(<uint8_t*>&core.queue - octets)
    cdef uint32_t i
    slab_again(&core.instances)
    slab_again(&core.legs)
    slab_again(&core.txs)
    for i in range(TEXT_CLASSES):
        slab_again(&core.texts.slabs[i])
    if core.users.count:
        memset(core.users.base, 0, core.users.count * sizeof(User))
    memset(core.wheel.nodes, 0, core.wheel.capacity * sizeof(WheelNode))
    memset(core.requests.entries, 0, side.slots * sizeof(TableEntry))
    memset(groups.table, 0, sizeof(groups.table))
    memset(core.counters, 0, COUNT_COUNT * sizeof(int64_t))
    memset(core.outcomes, 0, OUTCOME_COUNT * sizeof(int64_t))
    memset(core.starts, 0, STARTS_COUNT * sizeof(int64_t))
    memset(core.opened, 0, core.streams * sizeof(uint32_t))
    memset(core.answered_outcomes, 0, OUTCOME_COUNT * sizeof(int64_t))
    for i in range(side.merges):
        memset(&core.merged[side.merged[i]], 0, sizeof(Merged))
    side.merges = 0
    memcpy(octets, side.opened, head)
    memcpy(octets + tail, side.opened + tail, sizeof(Core) - tail)


cdef void balance(Core* core) noexcept nogil:
    cdef int64_t* count = core.counters
    cdef int64_t ended = 0
    cdef int i
    for i in range(OUTCOME_COUNT):
        ended += core.outcomes[i]
    if count[0] != count[1] + count[2] + count[3] + count[4] \
            + count[<int>COUNT_NOT_STARTED_THROTTLED]:
        fail(b"due is not started + not started")
    if count[1] != ended + core.open_calls:
        fail(b"started is not ended + in progress")
    if core.open_calls + core.open_answers != core.instances.used:
        fail(b"open calls and live instances differ")


cdef void empty(Core* core) noexcept nogil:
    """After an abort nothing is left."""
    cdef uint32_t texts = 0
    cdef int i
    for i in range(TEXT_CLASSES):
        texts += core.texts.slabs[i].used
    texts -= core.users.texts           # what users know stays with them
    if core.instances.used or core.legs.used or core.txs.used or texts:
        fprintf(stderr, b"instances %u, legs %u, transactions %u, texts %u\n",
                core.instances.used, core.legs.used, core.txs.used, texts)
        fail(b"records are left over")
    if core.wheel.armed or core.requests.used:
        fail(b"timers or requests are left over")
    if core.open_calls or core.open_answers:
        fail(b"calls are left over")


cdef int structures(Core* core) except -1:
    cdef int i
    slab_check(&core.instances)
    slab_check(&core.legs)
    slab_check(&core.txs)
    for i in range(TEXT_CLASSES):
        slab_check(&core.texts.slabs[i])
    wheel_check(&core.wheel)
    users_check(core)
    return 0


cdef void sound(Core* core) noexcept:
    try:
        structures(core)
    except BaseException as error:
        print("fuzz:", error, flush=True)
        abort()


cdef api int slg_fuzz_one(const uint8_t* data, size_t size) noexcept:
    cdef uint32_t _command, side, end
    cdef Core* core
    memset(&play, 0, sizeof(Play))
    play.data = data
    play.left = size
    play.now = 1000000000000
    play.world = &worlds[byte() % world_count]
    end = byte()
    play.stranger.port = 5099
    play.stranger.ip[0] = 198
    play.stranger.ip[15] = 7
    for side in range(2):
        side_again(&play.world.sides[side])
    for _command in range(COMMANDS):
        if play.left == 0 or play.messages >= MESSAGES or play.events >= EVENTS:
            break
        command()
    for side in range(2):
        balance(play.world.sides[side].core)
        sound(play.world.sides[side].core)
    if end & 3 == 1:                    # to the end of every timer
        for side in range(2):
            play.world.sides[side].core.command |= COMMAND_STOP_STARTS
            if end & 4:
                play.world.sides[side].core.command |= COMMAND_HANG_UP
        time_on(INT64_MAX, REST)
        for side in range(2):
            core = play.world.sides[side].core
            if core.wheel.armed:
                fail(b"an engine never rests")
            balance(core)
            sound(core)
    for side in range(2):
        core = play.world.sides[side].core
        advance_abort(core)
        collect(side)
        balance(core)
        empty(core)
        sound(core)
    return 0


cdef int side_open(Side* side, Engine engine, address) except -1:
    side.core = engine.core
    side.slots = <uint64_t>engine.core.requests.mask + 1
    side.opened = <uint8_t*>malloc(sizeof(Core))
    if side.opened == NULL:
        raise MemoryError("the state of an engine")
    memcpy(side.opened, engine.core, sizeof(Core))
    engine._peer(address, &side.peer)
    return 0


_engines = []


def _open():
    SLG_POISON(buffers, sizeof(buffers))
    from tests.fuzz.worlds import ANSWERER, CALLER, START, all_worlds
    global world_count, loud
    loud = getenv(b"FUZZ_TRACE") != NULL
    for caller, answerer in all_worlds():
        pair = [Engine(**caller, now=START), Engine(**answerer, now=START)]
        _engines.append(pair)
        side_open(&worlds[world_count].sides[0], pair[0], CALLER)
        side_open(&worlds[world_count].sides[1], pair[1], ANSWERER)
        world_count += 1


_open()
