# AKAv1-MD5 (RFC 3310): the nonce is a challenge of a mobile network, the digest's password what a
# SIM card answers it with. Milenage (3GPP TS 35.206) over libcrypto's AES.
#
# A secret is written "aka:k=HEX,opc=HEX" or "aka:k=HEX,op=HEX", 32 digits each, with ",amf=HEX"
# (four digits) when the challenge must name that management field, and ",sqn=HEX" (twelve) when the
# card has taken that sequence number already: it wants a higher one, and says so by AUTS.
from siploadgen.core.span cimport Span
from libc.stdint cimport uint8_t

cdef enum:
    AKA_RES_LENGTH = 8
    AKA_AUTS_LENGTH = 14
    AKA_LENGTH = 14             # room for either

cdef enum AkaAnswer:
    AKA_NONE = 0                # the secret is broken, the nonce no challenge, or not the network's
    AKA_RES                     # the password of the digest
    # the sequence number is not fresh: the token that tells the network which one would be; the
    # digest's password is then empty (RFC 3310 3.4)
    AKA_AUTS

cdef struct Aka:                # the EVP state of one engine
    void* context
    void* cipher                # NULL: libcrypto has no AES

cdef struct Milenage:           # what f1, f2 and f5 give for one RAND, SQN and AMF
    uint8_t mac[8]
    uint8_t res[8]
    uint8_t ak[6]

cdef struct Resync:             # what f1* and f5* give for one RAND and the card's own SQN
    uint8_t mac[8]
    uint8_t ak[6]

cdef int aka_open(Aka* aka) except -1
cdef void aka_close(Aka* aka) noexcept nogil
# Is the password written as such a secret?
cdef bint aka_is_secret(Span password) noexcept nogil
# The answer to a nonce, AKA_LENGTH octets at most.
cdef AkaAnswer aka_answer(Aka* aka, Span secret, Span nonce, uint8_t* out) noexcept nogil
