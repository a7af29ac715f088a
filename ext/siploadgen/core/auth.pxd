# Digest on both sides of a call: the challenge that an instance answers (kept as a text), and the
# challenge that the answering side gives and checks.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from siploadgen.core.records cimport Core, Instance
from siploadgen.core.span cimport Span
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Nanos

cdef struct Auth:                   # head of the text; the six strings follow in this order
    uint8_t algorithm               # DigestAlgorithm
    uint8_t qop                     # DigestQop
    uint8_t session
    uint8_t proxy                   # 407: Proxy-Authorization
    uint32_t nc                     # last nonce count used
    # realm, nonce, opaque, algorithm as offered, user name, password
    uint16_t lengths[6]

# A TEMPLATE_TEXT of an instance: octets written, 0 when `room` does not hold them.
cdef uint32_t text_stamp(Core* core, Instance* instance, uint16_t number, uint8_t* out,
                         uint32_t room) noexcept nogil
# Keep the topmost challenge of core.message that we can answer. False: none, or refused twice
# without `stale`.
cdef bint auth_accept(Core* core, Instance* instance, uint16_t user_text,
                      uint16_t password_text) noexcept nogil
# "Authorization: Digest ...\r\n" for the message stamped at `message`; the transaction's nonce
# count is set the first time.
cdef Span auth_header(Core* core, uint32_t auth, Tx* tx, const uint8_t* message, uint32_t length,
                      uint8_t* out, uint32_t room) noexcept nogil
# A template's FIELD_CHALLENGE, a pure function of `started`; less than 100 octets.
cdef Span challenge_text(Core* core, uint16_t template, Nanos started, uint8_t* out) noexcept nogil
# True when core.message carries credentials for the realm that the password proves.
cdef bint auth_check(Core* core, Instance* instance, uint16_t password_text,
                     uint16_t realm_text) noexcept nogil
