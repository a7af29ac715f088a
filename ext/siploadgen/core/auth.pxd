# Digest on both sides of a call: the challenges that an instance or its user answers (kept in a
# text), and the challenge that the answering side gives and checks.
#
# What a request carries is kept with its transaction, so that a repeat is the same octets whatever
# was challenged meanwhile, and the ACK for a 2xx has what its INVITE had (RFC 3261 22.1).
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from siploadgen.core.program cimport Insn
from siploadgen.core.records cimport Core, Instance, Leg
from siploadgen.core.span cimport Span
from siploadgen.core.tx cimport Tx

cdef enum:
    AUTH_REALMS = 4                 # challenges that one instance or user keeps

# A text begins with the number of challenges; each is followed by its strings and starts at a
# multiple of four octets.
cdef struct Auth:
    uint32_t nc                     # last nonce count used
    uint16_t user                   # texts of the user name and the password
    uint16_t password
    uint16_t lengths[4]             # realm, nonce, opaque, algorithm as offered
    uint8_t algorithm               # DigestAlgorithm
    uint8_t qop                     # DigestQop
    uint8_t session
    uint8_t proxy                   # Proxy-Authenticate: Proxy-Authorization
    uint8_t aka                     # AkaAnswer: the nonce is a network's challenge (sip/aka.pxd)
    uint8_t spare[3]

# A TEMPLATE_TEXT of an instance: octets written, 0 when `room` does not hold them.
cdef uint32_t text_stamp(Core* core, const Instance* instance, uint16_t number, uint8_t* out,
                         uint32_t room) noexcept nogil
# Keep what core.message, a 401 or 407, asks for: of each realm the topmost challenge that we can
# answer. False: there is none, or one was answered already and is no `stale`, or more often than
# `attempts` in a row.
cdef bint auth_accept(Core* core, Instance* instance, const Insn* insn) noexcept nogil
# Challenges answered in a row for one realm, the most of all realms.
cdef uint32_t auth_retries(const Instance* instance) noexcept nogil
# The lines "Authorization: Digest ...\r\n" of a request, stamped without them at `message`; made
# when it is first sent and kept with the transaction. Length 0: nothing to say. NULL: no room.
cdef Span auth_lines(Core* core, Instance* instance, Tx* tx, const uint8_t* message,
                     uint32_t length) noexcept nogil
# Lines that a transaction or leg keeps (their member `auth`)
cdef Span auth_kept(Core* core, uint32_t auth) noexcept nogil
# The final response core.message to a request of ours: its Authentication-Info is looked at, and
# what the request carried goes to the leg for an ACK, or is forgotten.
cdef void auth_settle(Core* core, Instance* instance, Leg* leg, Tx* tx) noexcept nogil
# A template's FIELD_CHALLENGE, a pure function of the transaction; less than 160 octets.
cdef Span challenge_text(Core* core, uint16_t template, const Tx* tx, uint8_t* out) noexcept nogil
# True when core.message carries credentials for the realm that the password proves
# (OP_CHALLENGE_CHECK). When only their nonce is too old the challenge will say so.
cdef bint auth_check(Core* core, Instance* instance, const Insn* insn) noexcept nogil
