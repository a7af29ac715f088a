# AKAv1-MD5 (RFC 3310): the nonce is a challenge of a mobile network, the digest's password what a
# SIM card answers it with. Milenage (3GPP TS 35.206) over libcrypto's AES.
#
# A secret is written "aka:k=HEX,opc=HEX" or "aka:k=HEX,op=HEX", 32 digits each, with ",amf=HEX"
# (four digits) when the challenge must name that management field.
from siploadgen.core.span cimport Span
from libc.stdint cimport uint8_t

cdef enum:
    AKA_RES_LENGTH = 8

cdef struct Aka:                # the EVP state of one engine
    void* context
    void* cipher                # NULL: libcrypto has no AES

cdef struct Milenage:           # what f1, f2 and f5 give for one RAND, SQN and AMF
    uint8_t mac[8]
    uint8_t res[8]
    uint8_t ak[6]

cdef int aka_open(Aka* aka) except -1
cdef void aka_close(Aka* aka) noexcept nogil
# Is the password written as such a secret?
cdef bint aka_is_secret(Span password) noexcept nogil
# The answer to a nonce, AKA_RES_LENGTH octets. False: the secret is broken, the nonce no challenge,
# or its MAC not the network's (RFC 3310 3.4). Which sequence numbers are fresh is not looked at.
cdef bint aka_answer(Aka* aka, Span secret, Span nonce, uint8_t* res) noexcept nogil
