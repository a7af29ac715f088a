"""A ring of datagrams that overwrites its oldest (see tape.pxd)."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from siploadgen.core.atomic cimport (
    slg_fence_acquire, slg_fence_release, slg_load_acquire, slg_store_release,
)
from siploadgen.core.memory cimport memory_ready, memory_release, memory_reserve
from siploadgen.core.net.addr cimport PEER_TEXT_MAX, peer_format, peer_parse
from siploadgen.core.sip.parse cimport PARSE_DATAGRAM, sip_parse, SipMessage
from siploadgen.core.span cimport Span, span_equal, span_make
from siploadgen.core.types cimport Nanos, NONE, Peer, SLG_ASSERT, SLG_UNLIKELY

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)


cdef inline uint64_t footprint(uint32_t length) noexcept nogil:
    return (<uint64_t>length + sizeof(TapeRecord) + 7) & ~<uint64_t>7


cdef int tape_open(Tape* tape, uint64_t capacity, uint64_t block) except -1:
    memset(tape, 0, sizeof(Tape))
    if block < sizeof(TapeRecord) or block & (block - 1) or capacity & (capacity - 1) \
            or capacity < 2 * block:
        raise ValueError(f"a tape of {capacity} octets in blocks of {block}: powers of two, and at "
                         "least two blocks")
    tape.data = <uint8_t*>memory_reserve(capacity)
    memory_ready(tape.data, capacity)
    tape.capacity = capacity
    tape.block = block
    return 0


cdef void tape_close(Tape* tape) noexcept nogil:
    memory_release(tape.data, tape.capacity)
    tape.data = NULL


cdef void block_enter(Tape* tape, uint64_t head) noexcept nogil:
    """What the block at `head` held is given up, before the first octet is written over it."""
    if head + tape.block > tape.capacity:
        slg_store_release(&tape.tail, head + tape.block - tape.capacity)
        slg_fence_release()


cdef void tape_write(Tape* tape, Nanos when, bint sent, const Peer* peer, const uint8_t* data,
                     uint32_t length) noexcept nogil:
    cdef uint64_t need = footprint(length)
    cdef uint64_t head = tape.head
    cdef uint64_t left = tape.block - (head & (tape.block - 1))
    cdef TapeRecord* record = <TapeRecord*>(tape.data + (head & (tape.capacity - 1)))
    if SLG_UNLIKELY(need > left or left == tape.block):
        if need > tape.block:
            tape.dropped += 1
            return
        if need > left:
            record.length = NONE            # there is room for that: all lengths are multiples of 8
            head += left
            record = <TapeRecord*>(tape.data + (head & (tape.capacity - 1)))
        block_enter(tape, head)
    record.length = length
    record.sent = sent
    record.when = when
    record.peer = peer[0]
    memcpy(<uint8_t*>record + sizeof(TapeRecord), data, length)
    slg_store_release(&tape.head, head + need)


# --- reading ---

cdef struct Reading:                # a copy of a tape; what lies from `at` to `end` in it is whole
    uint8_t* copy
    uint64_t at
    uint64_t end
    uint64_t mask
    uint64_t block


cdef void tape_read(Tape* tape, uint8_t* copy, Reading* reading) noexcept nogil:
    """Copy the tape, into as many octets as it has, while it may be written."""
    cdef uint64_t end = slg_load_acquire(&tape.head)
    cdef uint64_t start = slg_load_acquire(&tape.tail)
    cdef uint64_t mask = tape.capacity - 1
    cdef uint64_t straight, held, tail
    if start < end:
        held = end - start
        straight = min(held, tape.capacity - (start & mask))
        memcpy(copy + (start & mask), tape.data + (start & mask), straight)
        memcpy(copy, tape.data, held - straight)
    slg_fence_acquire()
    tail = slg_load_acquire(&tape.tail)
    reading.copy = copy
    reading.at = min(max(start, tail), end)     # a tail is where a block begins
    reading.end = end
    reading.mask = mask
    reading.block = tape.block


cdef const TapeRecord* reading_next(Reading* reading) noexcept nogil:
    """The next record, NULL at the end."""
    cdef const TapeRecord* record
    while reading.at < reading.end:
        record = <const TapeRecord*>(reading.copy + (reading.at & reading.mask))
        if record.length == NONE:
            reading.at = (reading.at & ~(reading.block - 1)) + reading.block
            continue
        SLG_ASSERT(footprint(record.length) <= reading.block - (reading.at & (reading.block - 1)))
        reading.at += footprint(record.length)
        return record
    return NULL


cdef struct Wanted:                 # Call-IDs, by open addressing
    Span* spans
    uint32_t* slots                 # number of a Call-ID and 1, 0: free
    uint32_t mask


cdef uint32_t* wanted_slot(const Wanted* wanted, Span call_id) noexcept nogil:
    """Where that Call-ID stands, or the free slot where it belongs: one always is."""
    cdef uint32_t at = <uint32_t>slg_hash64(call_id.data, call_id.length, 0) & wanted.mask
    while wanted.slots[at] and not span_equal(wanted.spans[wanted.slots[at] - 1], call_id):
        at = (at + 1) & wanted.mask
    return &wanted.slots[at]


cdef struct Found:
    uint64_t at                     # of its record in the copy
    uint32_t number                 # of its Call-ID


cdef int64_t wanted_find(const Wanted* wanted, Reading* reading, SipMessage* message, Nanos since,
                         Found** found) noexcept nogil:
    """The records that belong to one of them, in `found` (for `free`); how many, -1: no memory."""
    cdef const TapeRecord* record
    cdef Found* more
    cdef int64_t count = 0
    cdef int64_t room = 0
    cdef uint32_t number
    while True:
        record = reading_next(reading)
        if record == NULL:
            return count
        if record.when < since:
            continue
        # what is malformed may have a Call-ID all the same
        sip_parse(message, <const uint8_t*>record + sizeof(TapeRecord), record.length,
                  PARSE_DATAGRAM)
        if message.call_id.length == 0:
            continue
        number = wanted_slot(wanted, message.call_id)[0]
        if number == 0:
            continue
        if count == room:
            room = max(2 * room, <int64_t>256)
            more = <Found*>realloc(found[0], <size_t>room * sizeof(Found))
            if more == NULL:
                return -1
            found[0] = more
        found[0][count].at = <uint64_t>(<const uint8_t*>record - reading.copy)
        found[0][count].number = number - 1
        count += 1


cdef object record_octets(const TapeRecord* record):
    return PyBytes_FromStringAndSize(<const char*>record + sizeof(TapeRecord), record.length)


cdef object record_peer(const TapeRecord* record):
    return PyBytes_FromStringAndSize(<const char*>&record.peer, sizeof(Peer))


cdef list tape_calls(Tape* tape, list call_ids, Nanos since):
    cdef uint32_t size = 2
    cdef uint32_t count = <uint32_t>len(call_ids)
    cdef uint32_t i
    cdef uint32_t* slot
    cdef uint8_t* copy = NULL
    cdef SipMessage* message = NULL
    cdef Found* found = NULL
    cdef int64_t total = 0
    cdef int64_t k
    cdef const TapeRecord* record
    cdef Wanted wanted
    cdef Reading reading
    if tape.data == NULL or count == 0:
        return []
    while size < 2 * count:
        size *= 2
    wanted.mask = size - 1
    wanted.spans = <Span*>malloc(count * sizeof(Span))
    wanted.slots = <uint32_t*>calloc(size, sizeof(uint32_t))
    try:
        copy = <uint8_t*>memory_reserve(tape.capacity)
        message = <SipMessage*>malloc(sizeof(SipMessage))
        if message == NULL or wanted.spans == NULL or wanted.slots == NULL:
            raise MemoryError("the copy of a tape")
        for i in range(count):
            one = <bytes?>call_ids[i]
            wanted.spans[i] = span_make(<const uint8_t*>PyBytes_AS_STRING(one),
                                        <uint32_t>PyBytes_GET_SIZE(one))
            slot = wanted_slot(&wanted, wanted.spans[i])
            if slot[0] == 0:
                slot[0] = i + 1
        with nogil:
            tape_read(tape, copy, &reading)
            total = wanted_find(&wanted, &reading, message, since, &found)
        if total < 0:
            raise MemoryError("what was found on a tape")
        result = []
        for k in range(total):
            record = <const TapeRecord*>(copy + found[k].at)
            result.append((found[k].number, record.when, bool(record.sent), record_peer(record),
                           record_octets(record)))
        # by when the kernel had it, which may be before what we sent meanwhile
        result.sort(key=lambda item: item[1])
        return result
    finally:
        free(found)
        free(message)
        free(wanted.slots)
        free(wanted.spans)
        memory_release(copy, tape.capacity)


@cython.final
cdef class TapeDoor:
    """A tape written by hand, for tests; see tape.pyi."""

    cdef Tape tape

    def __cinit__(self, uint64_t capacity, uint64_t block=TAPE_BLOCK):
        tape_open(&self.tape, capacity, block)

    def __dealloc__(self):
        tape_close(&self.tape)

    def write(self, int64_t when, bint sent, bytes peer not None, bytes data not None):
        cdef Peer to
        cdef const uint8_t* octets = data
        cdef uint32_t length = <uint32_t>len(data)
        if not peer_parse(span_make(peer, <uint32_t>len(peer)), 5060, &to):
            raise ValueError(f"{peer!r} is no numeric address")
        with nogil:
            tape_write(&self.tape, when, sent, &to, octets, length)

    def read(self):
        cdef uint8_t* copy = <uint8_t*>memory_reserve(self.tape.capacity)
        cdef char text[PEER_TEXT_MAX]
        cdef const TapeRecord* record
        cdef Reading reading
        found = []
        try:
            with nogil:
                tape_read(&self.tape, copy, &reading)
            while True:
                record = reading_next(&reading)
                if record == NULL:
                    return found
                peer_format(&record.peer, text)
                found.append((record.when, bool(record.sent), bytes(text), record_octets(record)))
        finally:
            memory_release(copy, self.tape.capacity)

    def calls(self, list call_ids not None, int64_t since=INT64_MIN):
        return [(number, when, sent, octets) for number, when, sent, _, octets
                in tape_calls(&self.tape, call_ids, since)]

    @property
    def dropped(self):
        return self.tape.dropped
