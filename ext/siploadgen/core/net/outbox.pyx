# Grouping for UDP GSO. A message joins the latest group with its peer and length unless that group
# lies before one that its sender has written to: groups leave in the order in which they were
# opened, so joining an earlier one would let the message overtake.
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from siploadgen.core.memory cimport memory_ready, memory_release, memory_reserve
from siploadgen.core.net.addr cimport PEER_TEXT_MAX, peer_equal, peer_format, peer_parse
from siploadgen.core.span cimport span_make
from siploadgen.core.types cimport NONE, Peer, SLG_ASSERT, slg_rotl64

cdef enum:
    BYTES_RESERVED = 2 * OUTBOX_BYTES   # the least that is backed by one large page


cdef int outbox_open(Outbox* outbox, uint32_t group_max) except -1:
    memset(outbox, 0, sizeof(Outbox))
    outbox.epoch = 1                    # 0 is what a fresh OutOrder and a fresh table hold
    outbox.group_max = min(max(group_max, 1), <uint32_t>OUTBOX_GROUP_MAX)
    outbox.bytes = <uint8_t*>memory_reserve(BYTES_RESERVED)
    memory_ready(outbox.bytes, BYTES_RESERVED)
    outbox.messages = <OutMessage*>calloc(OUTBOX_MESSAGES, sizeof(OutMessage))
    outbox.state = calloc(1, sizeof(OutGroups))
    if outbox.messages == NULL or outbox.state == NULL:
        outbox_close(outbox)
        raise MemoryError("outbox")
    return 0


cdef void outbox_close(Outbox* outbox) noexcept nogil:
    memory_release(outbox.bytes, BYTES_RESERVED)
    free(outbox.messages)
    free(outbox.state)
    memset(outbox, 0, sizeof(Outbox))


cdef inline OutSlot* find_slot(
    Outbox* outbox, OutGroups* state, const Peer* to, uint32_t length
) noexcept nogil:
    """The slot of the latest group with this peer and length, or the free one where it belongs.

    It always ends: the table has twice as many slots as there can be groups.
    """
    cdef uint64_t word[2]
    cdef uint64_t hash
    cdef uint32_t place
    cdef OutSlot* slot
    cdef const OutMessage* message
    memcpy(word, to.ip, 16)
    hash = (word[0] ^ slg_rotl64(word[1], 32)) + ((<uint64_t>to.port << 32) | length)
    hash = (hash ^ to.socket) * <uint64_t>0x9E3779B97F4A7C15
    place = <uint32_t>(hash >> 40) & (OUTBOX_TABLE - 1)
    while True:
        slot = &state.table[place]
        if slot.epoch != outbox.epoch:
            return slot
        message = &outbox.messages[state.groups[slot.group].first]
        if message.length == length and peer_equal(&message.peer, to):
            return slot
        place = (place + 1) & (OUTBOX_TABLE - 1)


cdef inline void group_begin(Outbox* outbox, OutGroups* state, uint32_t number) noexcept nogil:
    """A group of one message so far, behind all others."""
    cdef OutGroup* group = &state.groups[outbox.groups]
    group.first = number
    group.last = number
    group.count = 1
    outbox.messages[number].group = outbox.groups
    outbox.groups += 1
    SLG_ASSERT(outbox.groups <= outbox.count)


cdef void outbox_commit(
    Outbox* outbox, uint32_t length, const Peer* to, OutOrder* order
) noexcept nogil:
    cdef OutGroups* state = <OutGroups*>outbox.state
    cdef uint32_t number = outbox.count
    cdef OutMessage* message = &outbox.messages[number]
    cdef uint32_t least = 0             # the first group that this message may join
    cdef OutSlot* slot
    cdef OutGroup* group
    SLG_ASSERT(number < OUTBOX_MESSAGES and length <= OUTBOX_MESSAGE_MAX)
    SLG_ASSERT(outbox.used + length <= OUTBOX_BYTES)
    message.data = outbox.bytes + outbox.used
    message.length = length
    message.left = 0
    message.peer = to[0]
    outbox.used += length
    outbox.count = number + 1
    state.next[number] = NONE
    if outbox.group_max == 1:           # nobody is joined, so nobody has to be found again
        group_begin(outbox, state, number)
        return
    if order != NULL and order.epoch == outbox.epoch:
        least = order.group

    slot = find_slot(outbox, state, to, length)
    if slot.epoch == outbox.epoch and slot.group >= least:
        group = &state.groups[slot.group]
        if group.count < outbox.group_max and (group.count + 1) * length <= OUTBOX_GROUP_BYTES:
            state.next[group.last] = number
            group.last = number
            group.count += 1
            message.group = slot.group
            if order != NULL:
                order.epoch = outbox.epoch
                order.group = message.group
            return
    slot.epoch = outbox.epoch
    slot.group = outbox.groups
    group_begin(outbox, state, number)
    if order != NULL:
        order.epoch = outbox.epoch
        order.group = message.group


cdef void outbox_clear(Outbox* outbox) noexcept nogil:
    outbox.used = 0
    outbox.count = 0
    outbox.groups = 0
    outbox.epoch += 1
    if outbox.epoch == 0:               # after 2**32 flushes: stale marks would look like new ones
        outbox.epoch = 1
        memset((<OutGroups*>outbox.state).table, 0, sizeof(OutSlot) * OUTBOX_TABLE)


cdef class OutboxDoor:
    """An outbox filled by hand; keys stand for the senders whose messages must stay in order."""

    cdef Outbox outbox
    cdef OutOrder orders[64]

    def __cinit__(self, uint32_t group_max=32):
        memset(self.orders, 0, sizeof(self.orders))
        outbox_open(&self.outbox, group_max)

    def __dealloc__(self):
        outbox_close(&self.outbox)

    def commit(self, bytes data, bytes peer, order=None, uint8_t socket=0):
        """Append a message for `peer`; returns the number of its group, None when it is full."""
        cdef Peer to
        cdef OutOrder* kept = NULL
        cdef uint8_t* room
        if len(data) > OUTBOX_MESSAGE_MAX:
            raise ValueError(f"{len(data)} octets: at most {OUTBOX_MESSAGE_MAX}")
        if not peer_parse(span_make(peer, <uint32_t>len(peer)), 5060, &to):
            raise ValueError(f"{peer!r} is no numeric address")
        to.socket = socket
        if order is not None:
            if not 0 <= order < 64:
                raise ValueError(f"order {order}: 0 to 63")
            kept = &self.orders[<uint32_t>order]
        room = outbox_reserve(&self.outbox)
        if room == NULL:
            return None
        memcpy(room, <const uint8_t*>data, len(data))
        outbox_commit(&self.outbox, <uint32_t>len(data), &to, kept)
        return self.outbox.messages[self.outbox.count - 1].group

    def groups(self):
        """The groups in the order of sending: (peer, messages)."""
        cdef uint32_t number, message
        cdef char text[PEER_TEXT_MAX]
        found = []
        for number in range(self.outbox.groups):
            message = outbox_group(&self.outbox, number).first
            peer_format(&self.outbox.messages[message].peer, text)
            members = []
            while message != NONE:
                members.append(PyBytes_FromStringAndSize(
                    <const char*>self.outbox.messages[message].data,
                    self.outbox.messages[message].length))
                message = outbox_next(&self.outbox, message)
            if len(members) != outbox_group(&self.outbox, number).count:
                raise AssertionError(f"group {number}: count differs from its members")
            found.append((bytes(text), members))
        return found

    def fill(self, uint32_t rounds, uint32_t senders, lengths, uint32_t peers=1):
        """Commit `rounds` messages to `peers` without the GIL, clearing when full.

        Senders (at most 64) take turns; each goes through `lengths` (at most 16). Returns the
        number of groups made.
        """
        cdef uint32_t sizes[16]
        cdef uint32_t kinds = len(lengths)
        cdef uint32_t groups = 0
        cdef uint32_t i
        cdef uint32_t _round
        cdef uint32_t sender = 0
        cdef uint32_t kind = 0
        cdef Peer to[64]                # of each sender
        if not 0 < kinds <= 16 or not 0 < senders <= 64 or peers == 0:
            raise ValueError("1 to 16 lengths, 1 to 64 senders, a peer")
        for i in range(kinds):
            sizes[i] = min(<uint32_t>lengths[i], <uint32_t>OUTBOX_MESSAGE_MAX)
        for i in range(senders):
            peer_parse(span_make(b"127.0.0.1", 9), <uint16_t>(1024 + i % peers), &to[i])
        with nogil:
            for _round in range(rounds):
                if outbox_reserve(&self.outbox) == NULL:
                    groups += self.outbox.groups
                    outbox_clear(&self.outbox)
                outbox_commit(&self.outbox, sizes[kind], &to[sender], &self.orders[sender])
                sender += 1
                if sender == senders:
                    sender = 0
                    kind = kind + 1 if kind + 1 < kinds else 0
            groups += self.outbox.groups
            outbox_clear(&self.outbox)
        return groups

    def clear(self):
        """As after a flush."""
        outbox_clear(&self.outbox)

    def set_epoch(self, uint32_t epoch):
        """Go on as if so many flushes had been made."""
        self.outbox.epoch = epoch

    @property
    def count(self):
        return self.outbox.count

    @property
    def group_max(self):
        return self.outbox.group_max
