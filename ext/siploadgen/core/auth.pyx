"""Digest on both sides of a call (see auth.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset
from siploadgen.core.counters cimport COUNT_RSPAUTH_MISMATCH, COUNT_SLAB_FULL
from siploadgen.core.program cimport (
    CHALLENGE_ALGORITHM, CHALLENGE_AUTH, CHALLENGE_AUTH_INT, CHALLENGE_NEXT, CHALLENGE_PROXY,
    CHALLENGE_SESSION, ENTRY_KEEPS_NONCES, FIELD_CHALLENGE, FIELD_TOKEN, Insn, Segment,
)
from siploadgen.core.records cimport (
    Core, core_count, Instance, instance_legs, instance_variables, Leg, leg_handle, rows_fill,
    texts_fill, tx_at,
)
from siploadgen.core.sip.aka cimport (
    aka_answer, AKA_AUTS, AKA_AUTS_LENGTH, aka_is_secret, AKA_LENGTH, AKA_NONE, AKA_RES,
    AKA_RES_LENGTH,
)
from siploadgen.core.sip.digest cimport (
    digest_algorithm, digest_credentials, digest_nonce, digest_nonce_age, digest_qop,
    digest_verify, DigestInput, DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA512_256, QOP_AUTH,
    QOP_NONE,
)
from siploadgen.core.sip.parse cimport (
    challenge_parse, credentials_parse, list_next, sip_header, sip_header_next, SipChallenge,
    SipCredentials, SipHeader,
)
from siploadgen.core.sip.stamp cimport stamp_message, StampFields
from siploadgen.core.sip.tokens cimport (
    HEADER_AUTHENTICATION_INFO, HEADER_AUTHORIZATION, HEADER_PROXY_AUTHENTICATE,
    HEADER_PROXY_AUTHORIZATION, HEADER_WWW_AUTHENTICATE, METHOD_INVITE,
)
from siploadgen.core.span cimport Span, span_equal, span_iequal, span_make, span_trim
from siploadgen.core.texts cimport text_data, text_give, text_head, text_take
from siploadgen.core.tx cimport Tx
from siploadgen.core.types cimport Nanos, NONE, TOKEN_LENGTH
from siploadgen.core.user cimport user_at

cdef extern from "<openssl/evp.h>" nogil:
    int EVP_EncodeBlock(unsigned char* out, const unsigned char* data, int length)

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    void slg_hex16(uint8_t* out, uint64_t value)
    uint64_t slg_mix64(uint64_t a, uint64_t b)

cdef enum:
    SECRET_MAX = 512                # octets of a user name, a password or a realm of ours
    LINES_AT = 8192                 # place of the lines in Core.scratch, and their room
    LINES_ROOM = 4096
    PASS_MS = 300000                # a nonce of ours is good for five minutes unless told otherwise


cdef uint32_t text_stamp(Core* core, const Instance* instance, uint16_t number, uint8_t* out,
                         uint32_t room) noexcept nogil:
    cdef StampFields fields
    cdef uint8_t token[TOKEN_LENGTH]
    if core.needs[number] & 1 << FIELD_TOKEN:
        memcpy(token, core.run_hex, 8)
        slg_hex16(token + 8, leg_handle(core, instance_legs(core, <Instance*>instance)[0]))
        fields.values[<int>FIELD_TOKEN] = span_make(token, TOKEN_LENGTH)
    fields.columns = core.columns
    rows_fill(&fields, instance.row, instance)
    fields.variables = instance_variables(core, <Instance*>instance)
    texts_fill(core, <Instance*>instance, &fields)
    return stamp_message(core.templates + number, core.segments, core.text, &fields, out, room)


# --- the challenges that are kept ---

cdef inline uint32_t* place_of(Core* core, Instance* instance) noexcept nogil:
    """Where the text with the challenges is noted, plus 1: in the instance or in its user."""
    if core.entries[instance.entry].flags & ENTRY_KEEPS_NONCES:
        return &user_at(core, instance.row).auth
    return &instance.auth


cdef inline uint32_t auth_size(const Auth* auth) noexcept nogil:
    return (<uint32_t>sizeof(Auth) + auth.lengths[0] + auth.lengths[1] + auth.lengths[2]
            + auth.lengths[3] + 3) // 4 * 4


cdef inline Auth* auth_next(Auth* auth) noexcept nogil:
    return <Auth*>(<uint8_t*>auth + auth_size(auth))


cdef inline Auth* auth_first(Core* core, uint32_t place, uint32_t* count) noexcept nogil:
    """First challenge of a text; `place` as the record has it."""
    cdef uint8_t* data
    count[0] = 0
    if place == 0:
        return NULL
    data = text_data(&core.texts, place - 1)
    memcpy(count, data, 4)
    return <Auth*>(data + 4)


cdef Span auth_string(const Auth* auth, uint32_t which) noexcept nogil:
    cdef const uint8_t* data = <const uint8_t*>auth + sizeof(Auth)
    cdef uint32_t i
    for i in range(which):
        data += auth.lengths[i]
    return span_make(data, auth.lengths[which])


cdef Auth* auth_of(Core* core, uint32_t place, bint proxy, Span realm,
                   uint32_t* number) noexcept nogil:
    """The challenge of a realm and its number; NULL and the next free number when there is none."""
    cdef uint32_t count, i
    cdef Auth* auth = auth_first(core, place, &count)
    for i in range(count):
        if auth.proxy == proxy and span_equal(auth_string(auth, 0), realm):
            number[0] = i
            return auth
        auth = auth_next(auth)
    number[0] = count
    return NULL


cdef bint auth_put(Core* core, Instance* instance, uint32_t number, const Auth* head,
                   const Span* strings) noexcept nogil:
    """Set the challenge of a number, or add it as the last one, in a new text."""
    cdef uint32_t* place = place_of(core, instance)
    cdef uint32_t count, i, k, text, total
    cdef Auth* old = auth_first(core, place[0], &count)
    cdef Auth* each = old
    cdef uint8_t* at
    total = 4 + auth_size(head)
    for i in range(count):
        if i != number:
            total += auth_size(each)
        each = auth_next(each)
    text = text_take(&core.texts, total)
    if text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return False
    at = text_data(&core.texts, text)
    i = count + 1 if number == count else count
    memcpy(at, &i, 4)
    at += 4
    each = old
    for i in range(count + 1):
        if i == number:
            memcpy(at, head, sizeof(Auth))
            total = sizeof(Auth)
            for k in range(4):
                if strings[k].length:
                    memcpy(at + total, strings[k].data, strings[k].length)
                total += strings[k].length
            at += auth_size(head)
        elif i < count:
            memcpy(at, each, auth_size(each))
            at += auth_size(each)
        if i < count:
            each = auth_next(each)
    text_give(&core.texts, place[0] - 1)
    if place != &instance.auth and place[0] == 0:
        core.users.texts += 1
    place[0] = text + 1
    return True


# --- challenged ---

cdef uint32_t auth_retries(const Instance* instance) noexcept nogil:
    cdef uint32_t most = 0
    cdef int i
    for i in range(AUTH_REALMS):
        most = max(most, <uint32_t>(instance.retries >> 2 * i & 3))
    return most


cdef bint head_fill(Core* core, Auth* head, const SipChallenge* challenge,
                    bint aka) noexcept nogil:
    """The fixed part of a challenge; False when it is none that we can answer."""
    cdef bint session
    cdef Span name = challenge.algorithm
    if not span_iequal(challenge.scheme, span_make(<const uint8_t*>b"Digest", 6)):
        return False
    if challenge.nonce.length == 0 or challenge.realm.length > 1024 \
            or challenge.nonce.length > 2048 or challenge.opaque.length > 1024 or name.length > 64:
        return False
    head.aka = name.length > 6 and span_iequal(
        span_make(name.data, 6), span_make(<const uint8_t*>b"AKAv1-", 6))
    if head.aka != aka:
        return False                # a SIM card's secret answers a network's challenges only
    if head.aka:
        name = span_make(name.data + 6, name.length - 6)
    head.algorithm = digest_algorithm(name, &session)
    head.session = session
    head.qop = digest_qop(challenge.qop)
    return head.algorithm != DIGEST_NONE and core.digest.kinds[head.algorithm] != NULL


cdef bint auth_accept(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef SipHeader* header = sip_header(core.message, HEADER_WWW_AUTHENTICATE)
    cdef bint proxy = False
    cdef uint8_t password[SECRET_MAX]
    cdef uint8_t res[AKA_LENGTH]
    cdef Span secret
    cdef Span strings[4]
    cdef SipChallenge challenge
    cdef Auth head
    cdef Auth* before
    cdef bint again
    cdef uint32_t number, answered
    cdef uint32_t taken = 0
    secret = span_make(password, text_stamp(core, instance, <uint16_t>insn.c, password, SECRET_MAX))
    while True:
        if header == NULL:
            if proxy:
                return taken != 0
            proxy = True
            header = sip_header(core.message, HEADER_PROXY_AUTHENTICATE)
            continue
        memset(&head, 0, sizeof(Auth))
        if challenge_parse(&challenge, header.value) \
                and head_fill(core, &head, &challenge, aka_is_secret(secret)):
            before = auth_of(core, place_of(core, instance)[0], proxy, challenge.realm, &number)
            if number < AUTH_REALMS and not taken & 1 << number:
                answered = instance.retries >> 2 * number & 3
                # AUTS asks for a challenge with another sequence number (RFC 3310 3.4).
                again = challenge.stale or (before != NULL and before.aka == AKA_AUTS)
                if answered and (not again or answered >= insn.flags):
                    return False
                if head.aka:
                    head.aka = <uint8_t>aka_answer(&core.aka, secret, challenge.nonce, res)
                    if head.aka == AKA_NONE:
                        return False
                head.proxy = proxy
                head.user = insn.a
                head.password = <uint16_t>insn.c
                strings[0] = challenge.realm
                strings[1] = challenge.nonce
                strings[2] = challenge.opaque
                strings[3] = challenge.algorithm
                for answered in range(4):
                    head.lengths[answered] = <uint16_t>strings[answered].length
                if not auth_put(core, instance, number, &head, strings):
                    return False
                taken |= 1 << number
                if instance.retries >> 2 * number & 3 != 3:
                    instance.retries += 1 << 2 * number
        header = sip_header_next(core.message, header)


# --- answering ---

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


cdef Span secret_of(Core* core, const Instance* instance, const Auth* auth,
                    uint8_t* out) noexcept nogil:
    """The password of a challenge; for a network's challenge what the SIM card answers."""
    cdef uint8_t res[AKA_LENGTH]
    cdef Span secret = span_make(out, text_stamp(core, instance, auth.password, out, SECRET_MAX))
    if auth.aka == AKA_NONE:
        return secret
    if aka_answer(&core.aka, secret, auth_string(auth, 1), res) != AKA_RES:
        return span_make(out, 0)                # beside AUTS the password is empty (RFC 3310 3.4)
    memcpy(out, res, AKA_RES_LENGTH)
    return span_make(out, AKA_RES_LENGTH)


cdef uint32_t auts_write(Core* core, const Instance* instance, const Auth* auth, uint8_t* out,
                         uint32_t room) noexcept nogil:
    """', auts="..."' for a challenge whose sequence number is not fresh; its length."""
    cdef uint8_t password[SECRET_MAX]
    cdef uint8_t token[AKA_LENGTH]
    cdef Span secret = span_make(password, text_stamp(core, instance, auth.password, password,
                                                      SECRET_MAX))
    # base64 of 14 octets, and the NUL that libcrypto writes behind it
    if room < 8 + 20 + 2 or aka_answer(&core.aka, secret, auth_string(auth, 1), token) != AKA_AUTS:
        return 0
    memcpy(out, b", auts=\"", 8)
    EVP_EncodeBlock(out + 8, token, AKA_AUTS_LENGTH)
    out[28] = 34
    return 29


cdef uint32_t line_write(Core* core, Instance* instance, Auth* auth, DigestInput* values,
                         uint8_t* out, uint32_t room) noexcept nogil:
    """One line, with the next nonce count; its length, 0: no room, or no such hash."""
    cdef uint8_t user[SECRET_MAX]
    cdef uint8_t password[SECRET_MAX]
    cdef uint8_t cnonce[16]
    cdef Span nonce = auth_string(auth, 1)
    cdef uint32_t used = 21 if auth.proxy else 15
    cdef uint32_t n
    if room < used + 2:
        return 0
    auth.nc += 1
    # RFC 7616 3.4.2: a session's key is made of its first client nonce, so it keeps that one.
    slg_hex16(cnonce, slg_mix64(core.hash_seed ^ (1 if auth.session else auth.nc),
                                slg_hash64(nonce.data, nonce.length, core.nonce_secret)))
    values.algorithm = auth.algorithm
    values.qop = auth.qop
    values.session = auth.session
    values.realm = auth_string(auth, 0)
    values.nonce = nonce
    values.username = span_make(user, text_stamp(core, instance, auth.user, user, SECRET_MAX))
    values.password = secret_of(core, instance, auth, password)
    values.cnonce = span_make(cnonce, 16)
    values.nc = auth.nc
    memcpy(out, b"Proxy-Authorization: " if auth.proxy else b"Authorization: ", used)
    n = digest_credentials(&core.digest, values, auth_string(auth, 2), auth_string(auth, 3),
                           out + used, room - used - 2)
    if n == 0:
        return 0
    if auth.aka == AKA_AUTS:
        n += auts_write(core, instance, auth, out + used + n, room - used - n - 2)
    out[used + n] = 13
    out[used + n + 1] = 10
    return used + n + 2


cdef Span auth_kept(Core* core, uint32_t auth) noexcept nogil:
    if auth == 0:
        return span_make(NULL, 0)
    return span_make(text_data(&core.texts, auth - 1), text_head(&core.texts, auth - 1).length)


cdef Span auth_lines(Core* core, Instance* instance, Tx* tx, const uint8_t* message,
                     uint32_t length) noexcept nogil:
    cdef uint32_t count, _i, n, text
    cdef Auth* auth = auth_first(core, place_of(core, instance)[0], &count)
    cdef uint8_t* out = core.scratch + LINES_AT
    cdef uint32_t used = 0
    cdef DigestInput values
    if tx.auth:
        return auth_kept(core, tx.auth)
    if count == 0 or tx.retransmits:
        return span_make(out, 0)        # a repeat says no more than the request did
    memset(&values, 0, sizeof(DigestInput))
    values.uri = uri_of(message, length)
    values.method = span_make(message, <uint32_t>(values.uri.data - message) - 1)
    values.body = body_of(message, length)
    for _i in range(count):
        n = line_write(core, instance, auth, &values, out + used, LINES_ROOM - used)
        if n == 0:
            return span_make(NULL, 0)
        used += n
        auth = auth_next(auth)
    text = text_take(&core.texts, used)
    if text == NONE:
        core_count(core, COUNT_SLAB_FULL)
        return span_make(NULL, 0)
    memcpy(text_data(&core.texts, text), out, used)
    tx.auth = text + 1
    return auth_kept(core, tx.auth)


# --- answered ---

cdef struct Info:                   # Authentication-Info (RFC 7616 3.5)
    Span nextnonce
    Span rspauth
    Span cnonce
    Span qop


cdef void info_parse(Info* info, Span value) noexcept nogil:
    cdef Span item, name, text
    cdef const uint8_t* equals
    memset(info, 0, sizeof(Info))
    while list_next(&value, &item):
        equals = <const uint8_t*>memchr(item.data, 61, item.length)
        if equals == NULL:
            continue
        name = span_trim(span_make(item.data, <uint32_t>(equals - item.data)))
        text = span_trim(span_make(equals + 1, item.length - <uint32_t>(equals + 1 - item.data)))
        if text.length >= 2 and text.data[0] == 34 and text.data[text.length - 1] == 34:
            text = span_make(text.data + 1, text.length - 2)
        if text.length and memchr(text.data, 34, text.length) != NULL:
            continue                    # broken, or with an escaped quote, which no server sends
        if span_iequal(name, span_make(<const uint8_t*>b"nextnonce", 9)):
            info.nextnonce = text
        elif span_iequal(name, span_make(<const uint8_t*>b"rspauth", 7)):
            info.rspauth = text
        elif span_iequal(name, span_make(<const uint8_t*>b"cnonce", 6)):
            info.cnonce = text
        elif span_iequal(name, span_make(<const uint8_t*>b"qop", 3)):
            info.qop = text


cdef bint line_next(Span* lines, Span* value, bint* proxy) noexcept nogil:
    """The next kept line: what stands behind its name."""
    cdef const uint8_t* end = NULL
    cdef uint32_t skip
    if lines.length:
        end = <const uint8_t*>memchr(lines.data, 13, lines.length)
    if end == NULL:
        return False
    proxy[0] = lines.data[0] == 80
    skip = 21 if proxy[0] else 15
    value[0] = span_make(lines.data + skip, <uint32_t>(end - lines.data) - skip)
    lines[0] = span_make(end + 2, lines.length - <uint32_t>(end - lines.data) - 2)
    return True


cdef bint server_proved(Core* core, const Instance* instance, const Auth* auth,
                        SipCredentials* given, const Info* info) noexcept nogil:
    """The server knows the password too: our proof with no method, over its body."""
    cdef uint8_t password[SECRET_MAX]
    given.response = info.rspauth
    if info.qop.length and given.qop.length:
        given.qop = info.qop
    if auth.aka:
        given.algorithm = span_make(given.algorithm.data + 6, given.algorithm.length - 6)
    return digest_verify(&core.digest, given, span_make(password, 0),
                         secret_of(core, instance, auth, password), core.message.body)


cdef void info_take(Core* core, Instance* instance, const Tx* tx, Span value) noexcept nogil:
    """The server's proof and its next nonce, for the credentials that its client nonce names, else
    for the first that were not a proxy's.
    """
    cdef Info info
    cdef Span lines = auth_kept(core, tx.auth)
    cdef Span line
    cdef Span strings[4]
    cdef SipCredentials given
    cdef uint32_t number, i
    cdef bint proxy
    cdef Auth* auth
    cdef Auth head
    info_parse(&info, value)
    while line_next(&lines, &line, &proxy):
        if proxy or not credentials_parse(&given, line):
            continue
        if info.cnonce.length and given.cnonce.length \
                and not span_equal(info.cnonce, given.cnonce):
            continue
        auth = auth_of(core, place_of(core, instance)[0], False, given.realm, &number)
        if auth == NULL:
            return
        if info.rspauth.length and not server_proved(core, instance, auth, &given, &info):
            core_count(core, COUNT_RSPAUTH_MISMATCH)
        if info.nextnonce.length and info.nextnonce.length <= 2048 and not auth.aka:
            head = auth[0]
            for i in range(4):
                strings[i] = auth_string(auth, i)
            strings[1] = info.nextnonce
            head.lengths[1] = <uint16_t>info.nextnonce.length
            head.nc = 0
            auth_put(core, instance, number, &head, strings)
        return
    if info.rspauth.length:
        core_count(core, COUNT_RSPAUTH_MISMATCH)    # for none that we sent


cdef void auth_settle(Core* core, Instance* instance, Leg* leg, Tx* tx) noexcept nogil:
    cdef SipHeader* header
    if tx.auth and 200 <= core.message.status < 300:
        header = sip_header(core.message, HEADER_AUTHENTICATION_INFO)
        if header != NULL:
            info_take(core, instance, tx, header.value)
    if tx.method == METHOD_INVITE and core.message.status < 300:
        text_give(&core.texts, leg.auth - 1)
        leg.auth = tx.auth
    else:
        text_give(&core.texts, tx.auth - 1)
    tx.auth = 0


# --- the answering side ---

cdef uint8_t* put(uint8_t* at, const char* text, uint32_t length) noexcept nogil:
    memcpy(at, text, length)
    return at + length


cdef Span challenge_text(Core* core, uint16_t number, const Tx* tx, uint8_t* out) noexcept nogil:
    cdef const Segment* segment = core.segments + core.templates[number].first
    cdef uint8_t* at = out
    cdef uint32_t kind
    while segment.field != FIELD_CHALLENGE:
        segment += 1
    if segment.arg & CHALLENGE_NEXT:
        at = put(at, b'nextnonce="', 11)
    else:
        at = put(at, b'nonce="', 7)
    at += digest_nonce(&core.digest, core.nonce_secret, tx.started, at)
    at = put(at, b'"', 1)
    if segment.arg & CHALLENGE_NEXT:
        return span_make(out, <uint32_t>(at - out))
    if tx.auth:
        at = put(at, b", stale=true", 12)
    at = put(at, b", algorithm=", 12)
    kind = segment.arg & CHALLENGE_ALGORITHM
    if kind == DIGEST_SHA256:
        at = put(at, b"SHA-256", 7)
    elif kind == DIGEST_SHA512_256:
        at = put(at, b"SHA-512-256", 11)
    else:
        at = put(at, b"MD5", 3)
    if segment.arg & CHALLENGE_SESSION:
        at = put(at, b"-sess", 5)
    if segment.arg & CHALLENGE_AUTH and segment.arg & CHALLENGE_AUTH_INT:
        at = put(at, b', qop="auth,auth-int"', 21)
    elif segment.arg & CHALLENGE_AUTH:
        at = put(at, b', qop="auth"', 12)
    elif segment.arg & CHALLENGE_AUTH_INT:
        at = put(at, b', qop="auth-int"', 16)
    return span_make(out, <uint32_t>(at - out))


cdef bint as_asked(const SipCredentials* given, uint32_t asked) noexcept nogil:
    """The algorithm and the protection of the challenge, not weaker ones."""
    cdef bint session
    cdef uint8_t qop = digest_qop(given.qop)
    if digest_algorithm(given.algorithm, &session) != asked & CHALLENGE_ALGORITHM \
            or session != (asked & CHALLENGE_SESSION != 0):
        return False
    if qop == QOP_NONE:
        return not asked & (CHALLENGE_AUTH | CHALLENGE_AUTH_INT)
    return asked & (CHALLENGE_AUTH if qop == QOP_AUTH else CHALLENGE_AUTH_INT) != 0


cdef SipHeader* credentials_next(Core* core, SipHeader* header, uint32_t asked,
                                 bint* proxy) noexcept nogil:
    """Authorization lines, then Proxy-Authorization lines; only one kind once it is known which."""
    cdef bint other = asked & CHALLENGE_ALGORITHM == 0
    if header != NULL:
        header = sip_header_next(core.message, header)
    elif not proxy[0]:
        header = sip_header(core.message, HEADER_PROXY_AUTHORIZATION if asked & CHALLENGE_PROXY
                            else HEADER_AUTHORIZATION)
    if header == NULL and other and not proxy[0]:
        proxy[0] = True
        header = sip_header(core.message, HEADER_PROXY_AUTHORIZATION)
    return header


cdef bint auth_check(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef uint32_t asked = insn.flags
    cdef Nanos life = (insn.c >> 32 if insn.c >> 32 else PASS_MS) * 1000000
    cdef uint8_t password[SECRET_MAX]
    cdef uint8_t realm[SECRET_MAX]
    cdef Span proof = span_make(password, text_stamp(core, instance, insn.a, password, SECRET_MAX))
    cdef Span place = span_make(realm, text_stamp(core, instance, <uint16_t>insn.c, realm,
                                                  SECRET_MAX))
    cdef SipCredentials given
    cdef bint proxy = False
    cdef SipHeader* header = credentials_next(core, NULL, asked, &proxy)
    cdef Nanos age
    while header != NULL:
        if credentials_parse(&given, header.value) and span_equal(given.realm, place):
            if asked and not as_asked(&given, asked):
                return False
            age = digest_nonce_age(&core.digest, core.nonce_secret, core.now, given.nonce)
            if age < 0 or not digest_verify(&core.digest, &given, core.message.method_text, proof,
                                            core.message.body):
                return False
            # RFC 7616 3.3: `stale` tells who knows the password only.
            if age >= life and core.request != NONE:
                tx_at(core, core.request).auth = 1
            return age < life
        header = credentials_next(core, header, asked, &proxy)
    return False
