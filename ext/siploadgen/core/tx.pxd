# The four transaction machines of RFC 3261 section 17 with RFC 6026, walked from the table in
# siploadgen/tx_table.py. Pure: an event and the time go in, the record changes, a set of actions
# comes out. It sends nothing and knows no calls.
from siploadgen.core.types cimport Handle, Nanos, Peer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cpdef enum TxKind:
    TX_INVITE_CLIENT = 0
    TX_CLIENT = 1               # non-INVITE
    TX_INVITE_SERVER = 2
    TX_SERVER = 3               # non-INVITE
    TX_KINDS = 4

cpdef enum TxState:
    TX_IDLE = 0                 # before TXE_START
    TX_CALLING                  # INVITE client
    TX_TRYING                   # non-INVITE client and server
    TX_PROCEEDING
    TX_COMPLETED
    TX_CONFIRMED                # INVITE server
    TX_ACCEPTED                 # RFC 6026
    TX_TERMINATED
    TX_STATES

cpdef enum TxEvent:
    TXE_START = 0               # client: request handed over; server: first request arrived
    TXE_1XX                     # client: received; server: the core sends it
    TXE_2XX
    TXE_3XX_6XX
    TXE_REQUEST                 # server: the request again
    TXE_ACK                     # INVITE server: the ACK with the INVITE's branch
    TXE_RETRANSMIT              # timer A, E or G; the core's 2xx repeat; a 100 is due
    TXE_TIMEOUT                 # timer B, F or H
    TXE_LINGER                  # timer D, I, J, K, L or M
    TXE_TRANSPORT               # the transport refused it (ICMP, connection lost)
    TXE_EVENTS

# What the caller does, in this order.
cpdef enum TxAction:
    TXA_SEND = 1                # client: the request; server: the response given by the core
    TXA_RESEND = 2              # the same octets again: the request, or the last response; counted
    TXA_SEND_ACK = 4            # INVITE client: ACK for a 3xx-6xx
    TXA_PASS = 8                # tell the owner of the message
    TXA_FAIL_TIMEOUT = 16       # tell the owner: timer B, F or H
    TXA_FAIL_TRANSPORT = 32     # tell the owner: transport error
    TXA_ABSORB = 64             # nothing to do: counted as a duplicate
    TXA_STRAY = 128             # impossible here: counted, dropped
    TXA_END = 256               # the record may be freed

cdef struct TxTimers:           # nanoseconds
    Nanos t1
    Nanos t2
    Nanos t4
    Nanos timer_b
    Nanos timer_d
    Nanos timer_f
    Nanos timer_h
    Nanos timer_i
    Nanos timer_j
    Nanos timer_k
    Nanos timer_l
    Nanos timer_m

cdef struct Tx:                 # 128 bytes
    uint32_t generation         # slab
    uint32_t owner              # instance index, NONE once it has ended
    uint8_t kind                # TxKind
    uint8_t state               # TxState
    uint8_t method              # sip.tokens.Method
    uint8_t reliable            # stream transport: no retransmission, no lingering of D, I, J, K
    uint8_t acked               # INVITE server in Accepted: the ACK came, 2xx repeats stopped
    uint8_t retransmits         # sent so far, saturating
    uint16_t template           # what to stamp again; 0xFFFF: a built-in response
    uint16_t status             # last status received (client) or sent (server)
    uint16_t flags              # engine's own
    Nanos next_retransmit       # INT64_MAX: none
    Nanos deadline              # INT64_MAX: none
    Nanos interval              # of the retransmission under way
    Nanos started
    # --- below: the engine's, never touched by tx.pyx ---
    Handle leg                  # owner's leg at the time; may be stale
    uint64_t key                # server: hash of branch and sent-by
    uint32_t cseq
    uint32_t row
    uint32_t text               # server: the echo block kept for repeats; NONE
    # client: text with the request's credentials, plus 1; server: 1 when their nonce was too old
    uint32_t auth
    Peer peer
    uint32_t insn               # program counter of the SEND
    # the message as it went out, when stamping it again could give another; NONE
    uint32_t whole
    uint64_t tried              # targets that this request failed at, a bit for each number

cdef void tx_timers_default(TxTimers* timers, Nanos t1, Nanos t2, Nanos t4) noexcept nogil
# Before TXE_START the caller sets kind, method, reliable and state = TX_IDLE; TXE_START sets the
# rest of what stands above the line. `status`, `template` and `flags` are the caller's to write
# after each message. A timer event that is not due is a stray.
cdef uint32_t tx_on_event(
    Tx* tx, uint32_t event, Nanos now, const TxTimers* timers
) noexcept nogil
# INVITE server in Accepted: the ACK for the 2xx came (found by dialog, so tx_on_event cannot know).
# Repeats stop and L ends the record, counted from the first 2xx: TXA_END when that time is over
# already, else 0. Without an ACK the record lives until H (64*T1), gives TXE_TIMEOUT and ends
# there, even where L is longer. Elsewhere, or twice: does nothing, returns 0.
cdef uint32_t tx_acked(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil
# INVITE client in Proceeding: a CANCEL was sent; without a final response the transaction times
# out after B (RFC 3261 9.1).
cdef void tx_cancelled(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil
# INVITE server in Proceeding: a provisional response went out that is repeated until its PRACK, at
# T1, doubling, for 64*T1 (RFC 3262 3); TXE_TIMEOUT then, and the record stays in Proceeding.
cdef void tx_reliable(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil
# Its PRACK came: nothing is repeated.
cdef void tx_pracked(Tx* tx) noexcept nogil
# INVITE client whose owner is gone: it is sent no more, and the final response that it still waits
# for must come within B.
cdef void tx_abandoned(Tx* tx, Nanos now, const TxTimers* timers) noexcept nogil
# INVITE server that has sent nothing yet: 200 ms from now TXE_RETRANSMIT asks for a 100 (RFC 3261
# 17.2.1). The first response of any kind takes that back.
cdef void tx_trying(Tx* tx, Nanos now) noexcept nogil
# The event that is due at `now` (TXE_RETRANSMIT, TXE_TIMEOUT, TXE_LINGER); TXE_EVENTS: none.
cdef uint32_t tx_due(const Tx* tx, Nanos now) noexcept nogil

cdef inline Nanos tx_next(const Tx* tx) noexcept nogil:
    """When the one wheel node of this transaction should fire; INT64_MAX: never."""
    return tx.next_retransmit if tx.next_retransmit < tx.deadline else tx.deadline
