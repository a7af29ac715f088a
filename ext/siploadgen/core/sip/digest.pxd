# Digest access authentication (RFC 2617, 7616, 8760): challenges answered and answers checked. Hashes are libcrypto's.
from siploadgen.core.span cimport Span
from siploadgen.core.sip.parse cimport SipChallenge, SipCredentials
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cpdef enum DigestAlgorithm:
    DIGEST_NONE = 0
    DIGEST_MD5
    DIGEST_SHA256
    DIGEST_SHA512_256

cpdef enum DigestQop:
    QOP_NONE = 0
    QOP_AUTH = 1
    QOP_AUTH_INT = 2

cdef enum:
    DIGEST_HEX_MAX = 64         # hex digits of the longest hash

cdef struct Digest:             # the EVP state of one engine
    void* context
    void* kinds[4]

cdef struct DigestInput:
    uint8_t algorithm           # DigestAlgorithm
    uint8_t qop                 # DigestQop
    bint session                # the -sess forms
    Span username
    Span realm
    Span password
    Span nonce
    Span cnonce
    Span method
    Span uri
    Span body                   # auth-int only
    uint32_t nc

cdef int digest_open(Digest* digest) except -1
cdef void digest_close(Digest* digest) noexcept nogil
# Algorithm and -sess flag of a challenge's algorithm parameter (empty: MD5); DIGEST_NONE when we do not know it.
cdef uint8_t digest_algorithm(Span name, bint* session) noexcept nogil
cdef uint8_t digest_qop(Span offered) noexcept nogil        # best of a challenge's qop list: auth before auth-int; QOP_NONE: none offered
# The `response` parameter, lower-case hex without a NUL; returns its length (32 or 64), 0 on failure.
cdef uint32_t digest_response(Digest* digest, const DigestInput* input, uint8_t* hex) noexcept nogil
# "Digest username=..., ..." into out; returns its length, 0 when room is short. opaque of length 0 is left out.
cdef uint32_t digest_credentials(Digest* digest, const DigestInput* input, Span opaque, Span algorithm_text,
                                 uint8_t* out, uint32_t room) noexcept nogil
