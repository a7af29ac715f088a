"""Digest access authentication: see digest.pxd."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset, strlen

from siploadgen.core.span cimport Span, span_equal, span_iequal, span_make, span_trim
from siploadgen.core.sip.parse cimport SipCredentials
from siploadgen.core.types cimport SLG_ASSERT, Nanos

cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    ctypedef struct OSSL_LIB_CTX:
        pass
    ctypedef struct OSSL_PARAM:
        pass
    EVP_MD* EVP_MD_fetch(OSSL_LIB_CTX* library, const char* name, const char* properties)
    void EVP_MD_free(EVP_MD* kind)
    EVP_MD_CTX* EVP_MD_CTX_new()
    void EVP_MD_CTX_free(EVP_MD_CTX* context)
    int EVP_DigestInit_ex2(EVP_MD_CTX* context, const EVP_MD* kind, const OSSL_PARAM* parameters)
    int EVP_DigestUpdate(EVP_MD_CTX* context, const void* data, size_t length)
    int EVP_DigestFinal_ex(EVP_MD_CTX* context, unsigned char* hash, unsigned int* length)
    int EVP_MAX_MD_SIZE

cdef extern from "<openssl/err.h>" nogil:
    void ERR_clear_error()

cdef enum:
    HASH_ROOM = 64              # EVP_MAX_MD_SIZE
    HASH_MAX = 32               # octets of the hashes used here
    NC_LENGTH = 8


cdef inline Span text(const char* literal) noexcept nogil:
    return span_make(<const uint8_t*>literal, <uint32_t>strlen(literal))


cdef inline void hex_write(const uint8_t* data, uint32_t length, uint8_t* hex) noexcept nogil:
    cdef const char* digits = "0123456789abcdef"
    cdef uint32_t i
    for i in range(length):
        hex[2 * i] = digits[data[i] >> 4]
        hex[2 * i + 1] = digits[data[i] & 15]


cdef inline bint hex_read(Span hex, uint64_t* value) noexcept nogil:
    """Up to 16 hex digits in either case."""
    cdef uint64_t v = 0
    cdef uint32_t i
    cdef uint8_t c
    if hex.length == 0 or hex.length > 16:
        return False
    for i in range(hex.length):
        c = hex.data[i]
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= (c | 0x20) <= 102:
            c = (c | 0x20) - 87
        else:
            return False
        v = v << 4 | c
    value[0] = v
    return True


cdef uint32_t hash_parts(Digest* digest, uint8_t algorithm, const Span* parts, int count,
                         uint8_t* hex) noexcept nogil:
    """Hash of the parts with ":" between them, in hex; its length, 0 on failure."""
    cdef EVP_MD_CTX* context = <EVP_MD_CTX*>digest.context
    cdef uint8_t hash[HASH_ROOM]
    cdef unsigned int length = 0
    cdef int i
    SLG_ASSERT(algorithm < 4)
    if digest.kinds[algorithm] == NULL:
        return 0
    if not EVP_DigestInit_ex2(context, <const EVP_MD*>digest.kinds[algorithm], NULL):
        return 0
    for i in range(count):
        if i and not EVP_DigestUpdate(context, b":", 1):
            return 0
        if parts[i].length and not EVP_DigestUpdate(context, parts[i].data, parts[i].length):
            return 0
    if not EVP_DigestFinal_ex(context, hash, &length):
        return 0
    SLG_ASSERT(length <= HASH_MAX)
    hex_write(hash, length, hex)
    return 2 * length


cdef uint32_t ha1_given(const DigestInput* input, uint8_t* ha1) noexcept nogil:
    """HA1 in lower case when the password is one, its length; else 0."""
    cdef uint32_t length = 32 if input.algorithm == DIGEST_MD5 else DIGEST_HEX_MAX
    cdef uint32_t i
    cdef uint8_t c
    if input.password.length != 4 + length or memcmp(input.password.data, b"ha1:", 4) != 0:
        return 0
    for i in range(length):
        c = input.password.data[4 + i]
        if 65 <= c <= 70:
            c |= 0x20
        if not (48 <= c <= 57 or 97 <= c <= 102):
            return 0
        ha1[i] = c
    return length


cdef uint32_t respond(Digest* digest, const DigestInput* input, Span nc,
                      uint8_t* hex) noexcept nogil:
    """RFC 7616 3.4.1 to 3.4.3."""
    cdef uint8_t ha1[DIGEST_HEX_MAX]
    cdef uint8_t ha2[DIGEST_HEX_MAX]
    cdef Span parts[6]
    cdef uint32_t length = ha1_given(input, ha1)
    if length == 0:
        parts[0] = input.username
        parts[1] = input.realm
        parts[2] = input.password
        length = hash_parts(digest, input.algorithm, parts, 3, ha1)
    if length == 0:
        return 0
    if input.session:
        parts[0] = span_make(ha1, length)
        parts[1] = input.nonce
        parts[2] = input.cnonce
        if hash_parts(digest, input.algorithm, parts, 3, ha1) == 0:
            return 0
    parts[0] = input.method
    parts[1] = input.uri
    if input.qop == QOP_AUTH_INT:
        # RFC 8760 2.6: no body hashes as the empty string
        if hash_parts(digest, input.algorithm, &input.body, 1, ha2) == 0:
            return 0
        parts[2] = span_make(ha2, length)
    if hash_parts(digest, input.algorithm, parts, 3 if input.qop == QOP_AUTH_INT else 2, ha2) == 0:
        return 0
    parts[0] = span_make(ha1, length)
    parts[1] = input.nonce
    if input.qop == QOP_NONE:
        parts[2] = span_make(ha2, length)
        return hash_parts(digest, input.algorithm, parts, 3, hex)
    parts[2] = nc
    parts[3] = input.cnonce
    parts[4] = qop_text(input.qop)
    parts[5] = span_make(ha2, length)
    return hash_parts(digest, input.algorithm, parts, 6, hex)


cdef inline Span qop_text(uint8_t qop) noexcept nogil:
    return text("auth-int") if qop == QOP_AUTH_INT else text("auth")


cdef inline void nc_write(uint32_t nc, uint8_t* hex) noexcept nogil:
    cdef uint8_t octets[4]
    octets[0] = nc >> 24
    octets[1] = nc >> 16 & 0xFF
    octets[2] = nc >> 8 & 0xFF
    octets[3] = nc & 0xFF
    hex_write(octets, 4, hex)


cdef uint32_t digest_response(Digest* digest, const DigestInput* input,
                              uint8_t* hex) noexcept nogil:
    cdef uint8_t nc[NC_LENGTH]
    nc_write(input.nc, nc)
    return respond(digest, input, span_make(nc, NC_LENGTH), hex)


cdef uint8_t digest_algorithm(Span name, bint* session) noexcept nogil:
    session[0] = name.length > 5 and span_iequal(
        span_make(name.data + name.length - 5, 5), text("-sess"))
    if session[0]:
        name.length -= 5
    if name.length == 0:
        return DIGEST_MD5 if not session[0] else DIGEST_NONE
    if span_iequal(name, text("MD5")):
        return DIGEST_MD5
    if span_iequal(name, text("SHA-256")):
        return DIGEST_SHA256
    if span_iequal(name, text("SHA-512-256")):
        return DIGEST_SHA512_256
    return DIGEST_NONE


cdef uint8_t digest_qop(Span offered) noexcept nogil:
    cdef uint8_t best = QOP_NONE
    cdef uint32_t start = 0, i
    cdef Span item
    for i in range(offered.length + 1):
        if i < offered.length and offered.data[i] != 44:
            continue
        item = span_trim(span_make(offered.data + start, i - start))
        if span_iequal(item, text("auth")):
            return QOP_AUTH
        if span_iequal(item, text("auth-int")):
            best = QOP_AUTH_INT
        start = i + 1
    return best


cdef struct Output:
    uint8_t* at
    uint32_t room
    bint short


cdef inline void put(Output* output, Span part) noexcept nogil:
    if part.length > output.room:
        output.short = True
        return
    if part.length:
        memcpy(output.at, part.data, part.length)
    output.at += part.length
    output.room -= part.length


cdef inline void put_quoted(Output* output, const char* name, Span value) noexcept nogil:
    put(output, text(name))
    put(output, value)
    put(output, text("\""))


cdef uint32_t digest_credentials(Digest* digest, const DigestInput* input, Span opaque,
                                 Span algorithm_text, uint8_t* out, uint32_t room) noexcept nogil:
    cdef uint8_t response[DIGEST_HEX_MAX]
    cdef uint8_t nc[NC_LENGTH]
    cdef Output output
    cdef uint32_t length
    nc_write(input.nc, nc)
    length = respond(digest, input, span_make(nc, NC_LENGTH), response)
    if length == 0:
        return 0
    output.at = out
    output.room = room
    output.short = False
    put_quoted(&output, "Digest username=\"", input.username)
    put_quoted(&output, ", realm=\"", input.realm)
    put_quoted(&output, ", nonce=\"", input.nonce)
    put_quoted(&output, ", uri=\"", input.uri)
    put_quoted(&output, ", response=\"", span_make(response, length))
    if algorithm_text.length:
        put(&output, text(", algorithm="))
        put(&output, algorithm_text)
    if input.qop != QOP_NONE or input.session:
        put_quoted(&output, ", cnonce=\"", input.cnonce)
    if input.qop != QOP_NONE:
        put(&output, text(", qop="))
        put(&output, qop_text(input.qop))
        put(&output, text(", nc="))
        put(&output, span_make(nc, NC_LENGTH))
    if opaque.length:
        put_quoted(&output, ", opaque=\"", opaque)
    return 0 if output.short else room - output.room


cdef bint digest_verify(Digest* digest, const SipCredentials* credentials, Span method,
                        Span password, Span body) noexcept nogil:
    cdef DigestInput input
    cdef uint8_t expected[DIGEST_HEX_MAX]
    cdef uint32_t length
    cdef uint64_t nc
    if not span_iequal(credentials.scheme, text("Digest")):
        return False
    memset(&input, 0, sizeof(input))
    input.algorithm = digest_algorithm(credentials.algorithm, &input.session)
    if input.algorithm == DIGEST_NONE:
        return False
    if credentials.qop.length:
        input.qop = digest_qop(credentials.qop)
        # one value, not a list, in credentials (RFC 7616 3.4)
        if input.qop == QOP_NONE or not span_iequal(credentials.qop, qop_text(input.qop)):
            return False
        if credentials.nc.length != NC_LENGTH or not hex_read(credentials.nc, &nc):
            return False
    input.username = credentials.username
    input.realm = credentials.realm
    input.password = password
    input.nonce = credentials.nonce
    input.cnonce = credentials.cnonce
    input.method = method
    input.uri = credentials.uri
    input.body = body
    length = respond(digest, &input, credentials.nc, expected)
    return length != 0 and span_equal(credentials.response, span_make(expected, length))


cdef uint32_t digest_nonce(Digest* digest, uint64_t secret, Nanos now, uint8_t* hex) noexcept nogil:
    cdef uint8_t octets[16]
    cdef uint8_t seal[DIGEST_HEX_MAX]
    cdef Span sealed = span_make(octets, 16)
    cdef int i
    for i in range(8):
        octets[i] = <uint64_t>now >> (56 - 8 * i) & 0xFF
        octets[8 + i] = secret >> (56 - 8 * i) & 0xFF
    if hash_parts(digest, DIGEST_SHA256, &sealed, 1, seal) == 0:
        return 0
    hex_write(octets, 8, hex)
    memcpy(hex + 16, seal, DIGEST_NONCE_LENGTH - 16)
    return DIGEST_NONCE_LENGTH


cdef Nanos digest_nonce_age(Digest* digest, uint64_t secret, Nanos now, Span nonce) noexcept nogil:
    cdef uint8_t expected[DIGEST_NONCE_LENGTH]
    cdef uint64_t made = 0
    if nonce.length != DIGEST_NONCE_LENGTH or not hex_read(span_make(nonce.data, 16), &made):
        return -1
    if <Nanos>made > now or not digest_nonce(digest, secret, <Nanos>made, expected):
        return -1
    if memcmp(nonce.data, expected, DIGEST_NONCE_LENGTH) != 0:
        return -1
    return now - <Nanos>made


cdef int digest_open(Digest* digest) except -1:
    memset(digest, 0, sizeof(digest[0]))
    digest.context = EVP_MD_CTX_new()
    if digest.context == NULL:
        raise MemoryError("cannot make a digest context")
    digest.kinds[<int>DIGEST_MD5] = EVP_MD_fetch(NULL, b"MD5", NULL)
    digest.kinds[<int>DIGEST_SHA256] = EVP_MD_fetch(NULL, b"SHA2-256", NULL)
    digest.kinds[<int>DIGEST_SHA512_256] = EVP_MD_fetch(NULL, b"SHA2-512/256", NULL)
    ERR_clear_error()   # left behind by a policy without MD5, which we tell by answering 0
    return 0


cdef void digest_close(Digest* digest) noexcept nogil:
    cdef int i
    for i in range(4):
        EVP_MD_free(<EVP_MD*>digest.kinds[i])
        digest.kinds[i] = NULL
    EVP_MD_CTX_free(<EVP_MD_CTX*>digest.context)
    digest.context = NULL


cdef Span borrow(bytes data) except *:
    return span_make(<const uint8_t*>data, <uint32_t>len(data))


def algorithm(bytes name not None):
    """DigestAlgorithm of a challenge's algorithm parameter and whether it is a -sess form."""
    cdef bint session = False
    cdef uint8_t found = digest_algorithm(borrow(name), &session)
    return DigestAlgorithm(found), bool(session)


def qop(bytes offered not None):
    """DigestQop that we take of a challenge's list."""
    return DigestQop(digest_qop(borrow(offered)))


@cython.final
cdef class Digester:
    """The hashes of one engine, for tests. All texts are bytes."""

    cdef Digest digest
    cdef DigestInput input

    def __cinit__(self):
        digest_open(&self.digest)

    def __dealloc__(self):
        digest_close(&self.digest)

    def forget(self, DigestAlgorithm kind):
        """Do without one algorithm from now on, as under a FIPS policy."""
        EVP_MD_free(<EVP_MD*>self.digest.kinds[<int>kind])
        self.digest.kinds[<int>kind] = NULL

    def response(self, bytes algorithm, uint8_t qop, bytes username, bytes realm, bytes password,
                 bytes nonce, bytes method, bytes uri, bytes cnonce=b"", uint32_t nc=1,
                 bytes body=b""):
        """Return the response parameter; ValueError when it cannot be computed."""
        cdef uint8_t hex[DIGEST_HEX_MAX]
        cdef uint32_t length
        self.fill(algorithm, qop, username, realm, password, nonce, method, uri, cnonce, nc, body)
        with nogil:
            length = digest_response(&self.digest, &self.input, hex)
        if not length:
            raise ValueError(f"no such algorithm: {algorithm!r}")
        return hex[:length]

    def credentials(self, bytes algorithm, uint8_t qop, bytes username, bytes realm,
                    bytes password, bytes nonce, bytes method, bytes uri, bytes cnonce=b"",
                    uint32_t nc=1, bytes body=b"", bytes opaque=b"", uint32_t room=1024):
        """Return the value of an Authorization header; None when `room` octets are not enough."""
        cdef bytearray out = bytearray(room)
        cdef uint8_t* start = out
        cdef uint32_t length
        cdef Span last = borrow(opaque), named = borrow(algorithm)
        self.fill(algorithm, qop, username, realm, password, nonce, method, uri, cnonce, nc, body)
        with nogil:
            length = digest_credentials(&self.digest, &self.input, last, named, start, room)
        return bytes(out[:length]) if length else None

    cdef int fill(self, bytes algorithm, uint8_t qop, bytes username, bytes realm, bytes password,
                  bytes nonce, bytes method, bytes uri, bytes cnonce, uint32_t nc,
                  bytes body) except -1:
        self.input.algorithm = digest_algorithm(borrow(algorithm), &self.input.session)
        self.input.qop = qop
        self.input.username = borrow(username)
        self.input.realm = borrow(realm)
        self.input.password = borrow(password)
        self.input.nonce = borrow(nonce)
        self.input.cnonce = borrow(cnonce)
        self.input.method = borrow(method)
        self.input.uri = borrow(uri)
        self.input.body = borrow(body)
        self.input.nc = nc
        return 0

    def verify(self, dict credentials not None, bytes method not None, bytes password not None,
               bytes body=b""):
        """Whether the response fits; `credentials` holds the parameters by name."""
        cdef SipCredentials given
        cdef Span by = borrow(method), word = borrow(password), content = borrow(body)
        given.scheme = borrow(credentials.get("scheme", b"Digest"))
        given.username = borrow(credentials.get("username", b""))
        given.realm = borrow(credentials.get("realm", b""))
        given.nonce = borrow(credentials.get("nonce", b""))
        given.uri = borrow(credentials.get("uri", b""))
        given.response = borrow(credentials.get("response", b""))
        given.algorithm = borrow(credentials.get("algorithm", b""))
        given.cnonce = borrow(credentials.get("cnonce", b""))
        given.opaque = borrow(credentials.get("opaque", b""))
        given.qop = borrow(credentials.get("qop", b""))
        given.nc = borrow(credentials.get("nc", b""))
        return bool(digest_verify(&self.digest, &given, by, word, content))

    def nonce(self, uint64_t secret, Nanos now):
        """Return a nonce of ours, made at `now` (ns)."""
        cdef uint8_t hex[DIGEST_NONCE_LENGTH]
        return hex[:digest_nonce(&self.digest, secret, now, hex)]

    def nonce_age(self, uint64_t secret, Nanos now, bytes nonce not None):
        """Age of a nonce of ours in ns; -1 when it is not."""
        return digest_nonce_age(&self.digest, secret, now, borrow(nonce))
