# Messages on their way out: the fields of a template filled from the records, stamped into the
# outbox, counted. And the transaction records that go with them.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.records cimport Core, Instance, Leg
from siploadgen.core.span cimport Span
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Handle, Peer

cdef enum:                          # Tx.flags
    TXF_PASSED_2XX = 1              # INVITE client: the first 2xx went up
    TXF_CANCEL_WANTED = 2           # INVITE client: CANCEL as soon as a provisional response comes
    TXF_CANCELLED = 4               # INVITE client: CANCEL sent; server: CANCEL received
    TXF_REGISTRATION = 8            # client: a REGISTER of the user whose row is in the record
    # INVITE client: its call is over; Tx.text is then what an ACK in its dialog needs, NONE when
    # the template knows enough
    TXF_ABANDONED = 16
    TXF_BRANCH = 32                 # INVITE server: a branch of a fork that this engine plays
    TXF_OFFERED = 64                # INVITE server: the request had a body
    TXF_DESCRIBED = 128             # INVITE server: a reliable response has had a body

# False: no record left, or the message was larger than a datagram; counted.
cdef bint send_request(Core* core, uint32_t instance, uint32_t leg, uint16_t template,
                       uint32_t insn) noexcept nogil
cdef bint send_ack(Core* core, uint32_t instance, uint32_t leg, uint16_t template,
                   uint32_t insn) noexcept nogil
cdef bint send_response(Core* core, uint32_t instance, uint32_t leg, uint16_t template,
                        uint32_t insn) noexcept nogil
# CANCEL of the leg's open INVITE: at once after a provisional response, else when the first one
# comes (RFC 3261 9.1).
cdef void send_cancel(Core* core, uint32_t tx) noexcept nogil
# Whether the ACK of a 3xx-6xx is made of the INVITE as it was sent, which is kept for that.
cdef bint ack_needs_whole(Core* core, const Tx* tx) noexcept nogil
# ACK of a 3xx-6xx (RFC 3261 17.1.1.3); core.message is that response.
cdef void send_ack_failure(Core* core, uint32_t tx) noexcept nogil
# ACK of a 2xx that no leg stands for (any more); everything comes from core.message, the place from
# dialog_place.
cdef void send_ack_orphan(Core* core, Span target, Span routes, const Peer* hop) noexcept nogil
# BYE in the same dialog, with a transaction that is found by `key` and belongs to nobody.
cdef bint send_hang_up(Core* core, uint64_t key, uint32_t cseq, Span target, Span routes,
                       const Peer* hop) noexcept nogil
# A response that no template gives, through the transaction.
cdef void send_plain(Core* core, uint32_t tx, uint16_t status) noexcept nogil
# Its text (see plain.pxd) into the outbox; False: there is no echo block, or no room for it.
cdef bint plain_stamp(Core* core, uint16_t status, Span reason, Span echo, uint8_t method,
                      const Peer* to) noexcept nogil
# The last message of a transaction once more, octet by octet the same. For a server transaction
# without kept text the repeated request itself (core.message) gives the echo.
cdef void send_again(Core* core, uint32_t tx) noexcept nogil

# Echo block of core.message into core.echo; tag: text of our To tag, length 0
# for none.
cdef void echo_make(Core* core, const uint8_t* tag, uint32_t tag_length) noexcept nogil
# of the fresh request, when its transaction still needs it
cdef void echo_keep(Core* core) noexcept nogil
# One of the strings that a leg keeps, in the order of their lengths in the record.
cdef Span leg_string(Core* core, const Leg* leg, uint32_t which) noexcept nogil
# Its Call-ID; in core.scratch when it is ours.
cdef Span leg_call_id(Core* core, uint32_t leg) noexcept nogil
# The Call-ID that we make for the owner of a handle, in core.scratch.
cdef Span token_call_id(Core* core, Handle handle) noexcept nogil
# TOKEN_LENGTH octets
cdef void token_write(Core* core, uint8_t* out, Handle handle) noexcept nogil

# The INVITE at hand gets a 100 if the program is silent for 200 ms more.
cdef void tx_await_answer(Core* core, uint32_t tx) noexcept nogil
# walks the table, arms the timer
cdef uint32_t tx_event(Core* core, uint32_t tx, uint32_t event) noexcept nogil
# An INVITE server transaction whose 2xx needs no more repeats: its ACK came, or its dialog is over.
cdef void server_acknowledged(Core* core, uint32_t tx) noexcept nogil
# An INVITE server transaction whose reliable provisional response was acknowledged.
cdef void server_pracked(Core* core, uint32_t tx) noexcept nogil
cdef void tx_free(Core* core, uint32_t tx) noexcept nogil
# An open INVITE of a call that ends: its final response is still acknowledged, a 2xx hung up (RFC
# 3261 13.2.2.4, 17.1.1.3).
cdef void tx_abandon(Core* core, uint32_t tx) noexcept nogil
# for core.message; NONE when full
cdef uint32_t tx_open_server(Core* core, uint64_t key, Handle leg) noexcept nogil
# The INVITE of `tx` once more, answered by another leg with a tag of its own, as another branch of
# a fork does. No message finds it but by that leg. NONE: no room, or the INVITE is over.
cdef uint32_t tx_open_branch(Core* core, uint32_t tx, Handle leg) noexcept nogil
# A copy of a kept text with each token of one leg made that of another; NONE when full.
cdef uint32_t text_renamed(Core* core, uint32_t text, Handle old, Handle new) noexcept nogil
# A datagram that is no message, to where the leg's requests go.
cdef void send_octets(Core* core, Instance* instance, const Leg* leg, Span octets) noexcept nogil
# Room for one message; NULL: none, though the outbox was flushed where it could be.
cdef uint8_t* outgoing_room(Core* core) noexcept nogil
