"""Digest on both sides of a call (see auth.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.program cimport FIELD_CHALLENGE, Segment
from siploadgen.core.records cimport Core, core_count, Instance, instance_variables, texts_fill
from siploadgen.core.sip.digest cimport (
    digest_algorithm, digest_credentials, digest_nonce, digest_nonce_age, digest_qop,
    digest_verify, DigestInput, DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA512_256,
)
from siploadgen.core.sip.parse cimport (
    challenge_parse, credentials_parse, sip_header, sip_header_next, SipChallenge,
    SipCredentials, SipHeader,
)
from siploadgen.core.sip.stamp cimport stamp_message, StampFields
from siploadgen.core.sip.tokens cimport (
    HEADER_AUTHORIZATION, HEADER_PROXY_AUTHENTICATE, HEADER_PROXY_AUTHORIZATION,
    HEADER_WWW_AUTHENTICATE,
)
from siploadgen.core.span cimport Span, span_equal, span_iequal, span_make
from siploadgen.core.texts cimport text_data, text_give, text_take
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Nanos, NONE

cdef extern from "slg_hash.h" nogil:
    void slg_hex16(uint8_t* out, uint64_t value)
    uint64_t slg_mix64(uint64_t a, uint64_t b)

cdef enum:
    NONCE_LIFE_NS = 300000000000        # a challenge of ours is good for five minutes


cdef uint32_t text_stamp(Core* core, Instance* instance, uint16_t number, uint8_t* out,
                         uint32_t room) noexcept nogil:
    cdef StampFields fields
    fields.columns = core.columns
    fields.row = instance.row
    fields.variables = instance_variables(core, instance)
    texts_fill(core, instance, &fields)
    return stamp_message(core.templates + number, core.segments, core.text, &fields, out, room)


cdef bint auth_accept(Core* core, Instance* instance, uint16_t user_text,
                      uint16_t password_text) noexcept nogil:
    cdef uint8_t id = (HEADER_PROXY_AUTHENTICATE if core.message.status == 407
                       else HEADER_WWW_AUTHENTICATE)
    cdef SipHeader* header = sip_header(core.message, id)
    cdef SipChallenge challenge
    cdef Auth auth
    cdef Span strings[6]
    cdef uint8_t user[512]
    cdef uint8_t password[512]
    cdef uint8_t* at
    cdef bint session
    cdef uint32_t i, total, text
    memset(&auth, 0, sizeof(Auth))
    while header != NULL:
        if challenge_parse(&challenge, header.value) and challenge.nonce.length \
                and span_iequal(challenge.scheme, span_make(<const uint8_t*>b"Digest", 6)):
            auth.algorithm = digest_algorithm(challenge.algorithm, &session)
            auth.session = session
            auth.qop = digest_qop(challenge.qop)
            if auth.algorithm != DIGEST_NONE:
                break
        header = sip_header_next(core.message, header)
    if header == NULL or (instance.retries and not challenge.stale):
        return False
    auth.proxy = core.message.status == 407
    strings[0] = challenge.realm
    strings[1] = challenge.nonce
    strings[2] = challenge.opaque
    strings[3] = challenge.algorithm
    strings[4] = span_make(user, text_stamp(core, instance, user_text, user, 512))
    strings[5] = span_make(password, text_stamp(core, instance, password_text, password, 512))
    total = sizeof(Auth)
    for i in range(6):
        if strings[i].length > 4096:
            return False
        auth.lengths[i] = <uint16_t>strings[i].length
        total += strings[i].length
    text = text_take(&core.texts, total)
    if text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return False
    at = text_data(&core.texts, text)
    memcpy(at, &auth, sizeof(Auth))
    at += sizeof(Auth)
    for i in range(6):
        if strings[i].length:
            memcpy(at, strings[i].data, strings[i].length)
        at += strings[i].length
    text_give(&core.texts, instance.auth)
    instance.auth = text
    instance.retries += 1
    return True


cdef Span uri_of(const uint8_t* message, uint32_t length) noexcept nogil:
    """Request-URI of a stamped request: between the first two spaces."""
    cdef uint32_t start = 0
    cdef uint32_t end
    while start < length and message[start] != 32:
        start += 1
    start += 1
    end = start
    while end < length and message[end] != 32:
        end += 1
    return span_make(message + start, end - start)


cdef Span body_of(const uint8_t* message, uint32_t length) noexcept nogil:
    cdef uint32_t i
    for i in range(3, length):
        if message[i] == 10 and message[i - 1] == 13 and message[i - 2] == 10:
            return span_make(message + i + 1, length - i - 1)
    return span_make(message, 0)


cdef Span auth_header(Core* core, uint32_t text, Tx* tx, const uint8_t* message, uint32_t length,
                      uint8_t* out, uint32_t room) noexcept nogil:
    cdef Auth* auth = <Auth*>text_data(&core.texts, text)
    cdef const uint8_t* data = <const uint8_t*>auth + sizeof(Auth)
    cdef Span strings[6]
    cdef DigestInput values
    cdef uint8_t cnonce[16]
    cdef uint32_t i, n, used
    for i in range(6):
        strings[i] = span_make(data, auth.lengths[i])
        data += auth.lengths[i]
    memset(&values, 0, sizeof(DigestInput))
    if tx != NULL and tx.nc == 0:
        auth.nc += 1
        tx.nc = auth.nc
    values.nc = tx.nc if tx != NULL else auth.nc
    # The client nonce is a function of the server's and the count, so a retransmission repeats it.
    slg_hex16(cnonce, slg_mix64(core.hash_seed ^ values.nc, core.nonce_secret + text))
    values.algorithm = auth.algorithm
    values.qop = auth.qop
    values.session = auth.session
    values.realm = strings[0]
    values.nonce = strings[1]
    values.username = strings[4]
    values.password = strings[5]
    values.cnonce = span_make(cnonce, 16)
    values.uri = uri_of(message, length)
    values.method = span_make(message, <uint32_t>(values.uri.data - message) - 1)
    values.body = body_of(message, length)
    used = 21 if auth.proxy else 15
    memcpy(out, b"Proxy-Authorization: " if auth.proxy else b"Authorization: ", used)
    n = digest_credentials(&core.digest, &values, strings[2], strings[3], out + used,
                           room - used - 2)
    if n == 0:
        return span_make(out, 0)
    out[used + n] = 13
    out[used + n + 1] = 10
    return span_make(out, used + n + 2)


cdef uint8_t* put(uint8_t* at, const char* text, uint32_t length) noexcept nogil:
    memcpy(at, text, length)
    return at + length


cdef Span challenge_text(Core* core, uint16_t number, Nanos started, uint8_t* out) noexcept nogil:
    cdef const Segment* segment = core.segments + core.templates[number].first
    cdef uint8_t* at = out
    while segment.field != FIELD_CHALLENGE:
        segment += 1
    at = put(at, b'nonce="', 7)
    at += digest_nonce(&core.digest, core.nonce_secret, started, at)
    at = put(at, b'", algorithm=', 13)
    if segment.arg == DIGEST_SHA256:
        at = put(at, b"SHA-256", 7)
    elif segment.arg == DIGEST_SHA512_256:
        at = put(at, b"SHA-512-256", 11)
    else:
        at = put(at, b"MD5", 3)
    at = put(at, b', qop="auth"', 12)
    return span_make(out, <uint32_t>(at - out))


cdef bint auth_check(Core* core, Instance* instance, uint16_t password_text,
                     uint16_t realm_text) noexcept nogil:
    cdef SipHeader* header = sip_header(core.message, HEADER_AUTHORIZATION)
    cdef SipCredentials credentials
    cdef uint8_t password[512]
    cdef uint8_t realm[512]
    cdef Span proof = span_make(password, text_stamp(core, instance, password_text, password, 512))
    cdef Span place = span_make(realm, text_stamp(core, instance, realm_text, realm, 512))
    cdef Nanos age
    if header == NULL:
        header = sip_header(core.message, HEADER_PROXY_AUTHORIZATION)
    while header != NULL:
        if credentials_parse(&credentials, header.value) and span_equal(credentials.realm, place):
            age = digest_nonce_age(&core.digest, core.nonce_secret, core.now, credentials.nonce)
            return 0 <= age < <Nanos>NONCE_LIFE_NS and digest_verify(
                &core.digest, &credentials, core.message.method_text, proof, core.message.body)
        header = sip_header_next(core.message, header)
    return False
