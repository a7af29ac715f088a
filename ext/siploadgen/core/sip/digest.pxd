# Digest access authentication (RFC 2617, 7616, 8760): challenges answered and answers checked.
# Hashes are libcrypto's. Strings are hashed and written as they stand, without their quotes and
# with the backslashes that they came with (unq() of RFC 7616 3.4).
#
# A password "ha1:" with as many hex digits as the hash has stands for H(user:realm:password), as
# servers keep it.
from siploadgen.core.span cimport Span
from siploadgen.core.sip.parse cimport SipCredentials
from siploadgen.core.types cimport Nanos
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
    DIGEST_NONCE_LENGTH = 32    # hex digits of a nonce of ours

cdef struct Digest:             # the EVP state of one engine
    void* context
    void* kinds[4]              # by DigestAlgorithm; NULL: libcrypto has it not (MD5 under FIPS)

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
# Algorithm and -sess flag of a challenge's algorithm parameter (empty: MD5); DIGEST_NONE when we do
# not know it.
cdef uint8_t digest_algorithm(Span name, bint* session) noexcept nogil
# Best of a challenge's qop list: auth before auth-int; QOP_NONE: none offered.
cdef uint8_t digest_qop(Span offered) noexcept nogil
# The `response` parameter, lower-case hex without a NUL; returns its length (32 or 64), 0 on
# failure.
cdef uint32_t digest_response(Digest* digest, const DigestInput* input, uint8_t* hex) noexcept nogil
# "Digest username=..., ..." into out; returns its length, 0 when room is short or the hash failed.
# opaque and algorithm_text of length 0 are left out; so are cnonce, qop and nc without a qop (the
# -sess forms always need cnonce).
cdef uint32_t digest_credentials(Digest* digest, const DigestInput* input, Span opaque,
                                 Span algorithm_text, uint8_t* out, uint32_t room) noexcept nogil
# Does the response of a request's credentials fit the password? Whether realm, nonce and uri are
# the right ones is for the caller to see.
cdef bint digest_verify(Digest* digest, const SipCredentials* credentials, Span method,
                        Span password, Span body) noexcept nogil
# A nonce that says when it was made and that `secret` made it, so that no table of nonces is kept;
# returns DIGEST_NONCE_LENGTH, 0 on failure.
cdef uint32_t digest_nonce(Digest* digest, uint64_t secret, Nanos now, uint8_t* hex) noexcept nogil
# Age of such a nonce; -1 when it is not ours or not yet made.
cdef Nanos digest_nonce_age(Digest* digest, uint64_t secret, Nanos now, Span nonce) noexcept nogil
