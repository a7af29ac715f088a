# RFC 3261 25.1 and what it builds on, walked strictly. sip_parse has found the places of everything
# by now, so every walker gets the part [p, end) that has to fit one rule of the grammar.
#
# Deliberately wider than the grammar, because it harms nobody and peers do it: octets above 127 in
# user parts and display names, any visible octet in parameter values, "_" in host names, "#" in
# user parts, a fold beside a semicolon within < >, an empty parameter before another one, and the
# date that RFC 2543 let Expires carry.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from siploadgen.core.sip.parse cimport (
    FAULT_ADDRESS, FAULT_CALL_ID, FAULT_CHARACTER, FAULT_CONTACT, FAULT_DATE, FAULT_DUPLICATE,
    FAULT_FROM, FAULT_NONE, FAULT_NUMBER, FAULT_TO, FAULT_TOKEN, FAULT_URI,
    FAULT_VIA, SipHeader, SipMessage,
)
from siploadgen.core.sip.tokens cimport (
    HEADER_ALLOW, HEADER_ALLOW_EVENTS, HEADER_CALL_ID,
    HEADER_CONTACT, HEADER_CONTENT_TYPE, HEADER_DATE, HEADER_EVENT, HEADER_EXPIRES, HEADER_FROM,
    HEADER_MAX_FORWARDS, HEADER_MIN_EXPIRES, HEADER_MIN_SE, HEADER_PATH, HEADER_PROXY_REQUIRE,
    HEADER_RACK, HEADER_RECORD_ROUTE, HEADER_REFER_TO, HEADER_REFERRED_BY, HEADER_REPLACES,
    HEADER_REQUIRE, HEADER_ROUTE, HEADER_RSEQ, HEADER_SERVICE_ROUTE, HEADER_SESSION_EXPIRES,
    HEADER_SUBJECT, HEADER_SUBSCRIPTION_STATE, HEADER_SUPPORTED, HEADER_TO, HEADER_UNSUPPORTED,
    HEADER_VIA,
)
from siploadgen.core.span cimport byte_lower

cdef extern from "slg_names.h" nogil:
    bint slg_is(uint8_t c, int classes)
    enum:
        SLG_TOKEN, SLG_DIGIT, SLG_ALPHA, SLG_SPACE, SLG_HEX, SLG_USER, SLG_PARAM, SLG_WORD

ctypedef const uint8_t* Place

cdef enum:
    SPACE = 32
    TAB = 9
    LF = 10
    CR = 13
    QUOTE = 34
    PERCENT = 37
    PLUS = 43
    COMMA = 44
    MINUS = 45
    DOT = 46
    SLASH = 47
    COLON = 58
    SEMICOLON = 59
    LESS = 60
    EQUALS = 61
    GREATER = 62
    QUESTION = 63
    AT = 64
    BRACKET = 91
    BACKSLASH = 92
    BRACKET_END = 93

# Where a URI stands decides what it may carry (RFC 3261 19.1.1, table 1).
cdef enum Use:
    USE_REQUEST             # no headers
    USE_BARE                # addr-spec outside of < >: no comma, semicolon or question mark
    USE_ADDRESS             # in < >

# Headers that the grammar does not make lists: a second one contradicts the first.
cdef uint64_t SINGLE = (
    (<uint64_t>1 << HEADER_CONTENT_TYPE) | (<uint64_t>1 << HEADER_EXPIRES)
    | (<uint64_t>1 << HEADER_MIN_EXPIRES) | (<uint64_t>1 << HEADER_DATE)
    | (<uint64_t>1 << HEADER_EVENT) | (<uint64_t>1 << HEADER_SUBSCRIPTION_STATE)
    | (<uint64_t>1 << HEADER_REFER_TO) | (<uint64_t>1 << HEADER_REFERRED_BY)
    | (<uint64_t>1 << HEADER_REPLACES) | (<uint64_t>1 << HEADER_RSEQ)
    | (<uint64_t>1 << HEADER_RACK) | (<uint64_t>1 << HEADER_SESSION_EXPIRES)
    | (<uint64_t>1 << HEADER_MIN_SE) | (<uint64_t>1 << HEADER_SUBJECT)
)


# --- steps: where the thing at p ends, NULL when it is not there ---
cdef inline Place skip_space(Place p, Place end) noexcept nogil:
    while p < end and slg_is(p[0], SLG_SPACE):
        p += 1
    return p


cdef inline Place skip_class(Place p, Place end, int classes) noexcept nogil:
    while p < end and slg_is(p[0], classes):
        p += 1
    return p


cdef Place skip_quoted(Place p, Place end) noexcept nogil:
    p += 1
    while p < end:
        if p[0] == QUOTE:
            return p + 1
        p += 2 if p[0] == BACKSLASH else 1
    return NULL


cdef inline bint at_char(Place p, Place end, uint8_t c) noexcept nogil:
    return p < end and p[0] == c


cdef inline Place find(Place p, Place end, uint8_t c) noexcept nogil:
    while p < end and p[0] != c:
        p += 1
    return p


cdef Place before_fold(Place p, Place end) noexcept nogil:
    """`end` without the fold that may stand there."""
    cdef Place stop = end
    cdef bint folded = False
    while stop > p and slg_is((stop - 1)[0], SLG_SPACE):
        stop -= 1
        folded = folded or stop[0] == LF
    return stop if folded else end


cdef Place behind_fold(Place p, Place end) noexcept nogil:
    cdef Place stop = skip_space(p, end)
    return stop if find(p, stop, LF) < stop else p


cdef bint is_chars(Place p, Place end, int classes, const char* more) noexcept nogil:
    """Only octets of the classes, of `more`, and %HH."""
    cdef const char* extra
    while p < end:
        if p[0] == PERCENT:
            if end - p < 3 or not slg_is(p[1], SLG_HEX) or not slg_is(p[2], SLG_HEX):
                return False
            p += 3
            continue
        if not slg_is(p[0], classes):
            extra = more
            while extra[0] != 0 and <uint8_t>extra[0] != p[0]:
                extra += 1
            if extra[0] == 0:
                return False
        p += 1
    return True


cdef bint is_user(Place p, Place end) noexcept nogil:
    """RFC 3261 19.1.1 user or password."""
    while p < end:
        if p[0] == PERCENT:
            if end - p < 3 or not slg_is(p[1], SLG_HEX) or not slg_is(p[2], SLG_HEX):
                return False
            p += 2
        elif not slg_is(p[0], SLG_USER) and p[0] != 35 and p[0] < 128:
            return False
        p += 1
    return True


cdef bint is_visible(Place p, Place end) noexcept nogil:
    """No spaces, controls, quotes or angle brackets; something at all."""
    if p == end:
        return False
    while p < end:
        if p[0] <= SPACE or p[0] == 127 or p[0] == QUOTE or p[0] == LESS or p[0] == GREATER:
            return False
        p += 1
    return True


cdef bint is_number(Place p, Place end, uint64_t most) noexcept nogil:
    """Decimal digits, leading zeros and all; more than `most` is none."""
    cdef uint64_t value = 0
    if p == end:
        return False
    while p < end:
        if not slg_is(p[0], SLG_DIGIT):
            return False
        value = value * 10 + (p[0] - 48)
        if value > most:
            return False
        p += 1
    return True


cdef bint is_host(Place p, Place end) noexcept nogil:
    """RFC 3261 25.1 host; RFC 5118 4.10 has peers say three colons in an IPv6 reference."""
    cdef uint32_t colons = 0
    if p == end:
        return False
    if p[0] == BRACKET:
        if (end - 1)[0] != BRACKET_END:
            return False
        p += 1
        end -= 1
        while p < end:
            if p[0] == COLON:
                colons += 1
            elif not slg_is(p[0], SLG_HEX) and p[0] != DOT:
                return False
            p += 1
        return colons >= 2
    while p < end:
        if not slg_is(p[0], SLG_ALPHA | SLG_DIGIT) and p[0] != MINUS and p[0] != DOT and p[0] != 95:
            return False
        p += 1
    return True


cdef bint is_hostport(Place p, Place end) noexcept nogil:
    cdef Place mark = find(p, end, BRACKET_END) if at_char(p, end, BRACKET) else p
    mark = find(mark, end, COLON)
    if not is_host(p, mark):
        return False
    return mark == end or is_number(mark + 1, end, 65535)


cdef bint is_word(Place p, Place end, const char* word) noexcept nogil:
    """That word, given in lower case, in any case."""
    while p < end and word[0] != 0 and byte_lower(p[0]) == <uint8_t>word[0]:
        p += 1
        word += 1
    return p == end and word[0] == 0


# --- URIs ---
cdef bint is_sip_rest(Place p, Place end, int use) noexcept nogil:
    """What stands behind "sip:" or "sips:" (RFC 3261 19.1.1)."""
    cdef Place mark = find(p, end, AT)
    cdef Place stop
    if mark < end:
        stop = find(p, mark, COLON)
        if stop == p or not is_user(p, stop) or (stop < mark and not is_user(stop + 1, mark)):
            return False
        p = mark + 1
    mark = find(p, end, QUESTION)
    if mark < end:
        if use == USE_REQUEST or use == USE_BARE or not is_visible(mark + 1, end):
            return False
        end = mark
    mark = find(p, end, SEMICOLON)
    if not is_hostport(p, before_fold(p, mark)):
        return False
    while mark < end:
        p = behind_fold(mark + 1, end)
        mark = find(p, end, SEMICOLON)
        stop = find(p, before_fold(p, mark), EQUALS)
        if stop == p or not is_chars(p, stop, SLG_PARAM, b""):
            return False
        if stop < mark and stop[0] == EQUALS \
                and not is_chars(stop + 1, before_fold(p, mark), SLG_PARAM, b"=,@\""):
            return False
    return True


cdef bint is_uri(Place p, Place end, int use) noexcept nogil:
    cdef Place mark = p
    if p == end or not slg_is(p[0], SLG_ALPHA):
        return False
    while mark < end and (slg_is(mark[0], SLG_ALPHA | SLG_DIGIT) or mark[0] == PLUS
                          or mark[0] == MINUS or mark[0] == DOT):
        mark += 1
    if not at_char(mark, end, COLON):
        return False
    if is_word(p, mark, b"sip") or is_word(p, mark, b"sips"):
        return is_sip_rest(mark + 1, end, use)
    return is_visible(mark + 1, end)


# --- parameters and addresses ---
cdef Place skip_parameters(Place p, Place end) noexcept nogil:
    """*( SEMI generic-param ): where they end; NULL when one is malformed."""
    cdef Place name
    p = skip_space(p, end)
    while at_char(p, end, SEMICOLON):
        name = skip_space(p + 1, end)
        p = skip_class(name, end, SLG_TOKEN)
        if p == name:
            if at_char(p, end, SEMICOLON):
                continue
            return NULL
        p = skip_space(p, end)
        if at_char(p, end, EQUALS):
            p = skip_space(p + 1, end)
            if at_char(p, end, QUOTE):
                p = skip_quoted(p, end)
                if p == NULL:
                    return NULL
            else:
                while p < end and p[0] > SPACE and p[0] != SEMICOLON and p[0] != COMMA \
                        and p[0] != QUOTE:
                    p += 1
            p = skip_space(p, end)
    return p


cdef Place skip_address(Place p, Place end, bint brackets) noexcept nogil:
    """(name-addr / addr-spec) with its parameters, up to a comma or the end; NULL: malformed."""
    cdef Place mark = p
    if at_char(p, end, QUOTE):
        mark = skip_quoted(p, end)
        if mark == NULL:
            return NULL
        mark = skip_space(mark, end)
        if not at_char(mark, end, LESS):
            return NULL
    else:
        while mark < end and (slg_is(mark[0], SLG_TOKEN | SLG_SPACE) or mark[0] > 127):
            mark += 1
    if at_char(mark, end, LESS):
        p = mark + 1
        mark = find(p, end, GREATER)
        if mark == end or not is_uri(p, mark, USE_ADDRESS):
            return NULL
        mark += 1
    else:
        if brackets:
            return NULL
        mark = p
        while mark < end and mark[0] > SPACE and mark[0] != SEMICOLON and mark[0] != COMMA:
            mark += 1
        if not is_uri(p, mark, USE_BARE):
            return NULL
    mark = skip_parameters(mark, end)
    return mark if mark != NULL and (mark == end or mark[0] == COMMA) else NULL


cdef bint is_address(Place p, Place end) noexcept nogil:
    return skip_address(p, end, False) == end


cdef bint is_addresses(Place p, Place end, bint brackets) noexcept nogil:
    """One or more, with commas between; an empty element is nothing (RFC 3261 7.3.1)."""
    while p < end:
        if p[0] == COMMA or slg_is(p[0], SLG_SPACE):
            p += 1
            continue
        p = skip_address(p, end, brackets)
        if p == NULL:
            return False
    return True


cdef bint is_vias(Place p, Place end) noexcept nogil:
    """via-parm *(COMMA via-parm), RFC 3261 20.42."""
    cdef Place name
    cdef int part
    while True:
        p = skip_space(p, end)
        for part in range(3):
            name = p
            p = skip_class(p, end, SLG_TOKEN)
            if p == name:
                return False
            p = skip_space(p, end)
            if part < 2:
                if not at_char(p, end, SLASH):
                    return False
                p = skip_space(p + 1, end)
        if not slg_is((p - 1)[0], SLG_SPACE):
            return False
        name = p
        if at_char(p, end, BRACKET):
            p = find(p, end, BRACKET_END)
            p += p < end
        else:
            p = skip_class(p, end, SLG_TOKEN)
        if not is_host(name, p):
            return False
        p = skip_space(p, end)
        if at_char(p, end, COLON):
            name = skip_space(p + 1, end)
            p = skip_class(name, end, SLG_DIGIT)
            if not is_number(name, p, 65535):
                return False
        p = skip_parameters(p, end)
        if p == NULL:
            return False
        if p == end:
            return True
        if p[0] != COMMA:
            return False
        p += 1


# --- the rest ---
cdef bint is_tokens(Place p, Place end) noexcept nogil:
    """Tokens with commas between; none at all will do."""
    while True:
        p = skip_space(skip_class(skip_space(p, end), end, SLG_TOKEN), end)
        if p == end:
            return True
        if p[0] != COMMA:
            return False
        p += 1


cdef bint is_token_parameters(Place p, Place end) noexcept nogil:
    cdef Place stop = skip_class(p, end, SLG_TOKEN)
    return stop > p and skip_parameters(stop, end) == end


cdef bint is_media_type(Place p, Place end) noexcept nogil:
    cdef Place stop = skip_class(p, end, SLG_TOKEN)
    if stop == p:
        return False
    stop = skip_space(stop, end)
    if not at_char(stop, end, SLASH):
        return False
    return is_token_parameters(skip_space(stop + 1, end), end)


cdef bint is_seconds_parameters(Place p, Place end) noexcept nogil:
    cdef Place stop = skip_class(p, end, SLG_DIGIT)
    return is_number(p, stop, 0xFFFFFFFFULL) and skip_parameters(stop, end) == end


cdef bint is_rack(Place p, Place end) noexcept nogil:
    """RFC 3262 7.2: RSeq, CSeq number and method."""
    cdef Place stop
    cdef int _part
    for _part in range(2):
        stop = skip_class(p, end, SLG_DIGIT)
        if not is_number(p, stop, 0xFFFFFFFFULL):
            return False
        p = skip_space(stop, end)
        if p == stop:
            return False
    return p < end and skip_class(p, end, SLG_TOKEN) == end


cdef bint is_call_id(Place p, Place end) noexcept nogil:
    cdef Place mark = skip_class(p, end, SLG_WORD)
    if mark == p:
        return False
    if mark == end:
        return True
    return mark[0] == AT and mark + 1 < end and skip_class(mark + 1, end, SLG_WORD) == end


cdef bint is_digits_at(Place p, uint32_t at, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(at, at + count):
        if not slg_is(p[i], SLG_DIGIT):
            return False
    return True


cdef bint is_one_of(Place p, const char* words) noexcept nogil:
    """One of the words of three letters, in this case."""
    while words[0] != 0:
        if p[0] == <uint8_t>words[0] and p[1] == <uint8_t>words[1] and p[2] == <uint8_t>words[2]:
            return True
        words += 3
    return False


cdef bint is_date(Place p, Place end) noexcept nogil:
    """RFC 3261 20.17: "Sat, 13 Nov 2010 23:29:00 GMT" and nothing else."""
    return (
        end - p == 29 and is_one_of(p, b"MonTueWedThuFriSatSun") and p[3] == COMMA
        and p[4] == SPACE and is_digits_at(p, 5, 2) and p[7] == SPACE
        and is_one_of(p + 8, b"JanFebMarAprMayJunJulAugSepOctNovDec") and p[11] == SPACE
        and is_digits_at(p, 12, 4) and p[16] == SPACE and is_digits_at(p, 17, 2)
        and p[19] == COLON and is_digits_at(p, 20, 2) and p[22] == COLON and is_digits_at(p, 23, 2)
        and p[25] == SPACE and is_one_of(p + 26, b"GMT")
    )


cdef Place bad_character(Place p, Place end) noexcept nogil:
    """First control character that is neither a tab, a fold nor escaped by a backslash; NULL."""
    cdef Place start = p
    while p < end:
        if p[0] < SPACE and p[0] != TAB:
            if p[0] == CR and end - p > 2 and p[1] == LF and (p[2] == SPACE or p[2] == TAB):
                p += 2
                continue
            if p == start or (p - 1)[0] != BACKSLASH:
                return p
        p += 1
    return NULL


cdef int fault_of(uint8_t id, Place p, Place end) noexcept nogil:
    """The fault of one header value, FAULT_NONE when there is none."""
    if id == HEADER_VIA:
        return FAULT_NONE if is_vias(p, end) else FAULT_VIA
    elif id == HEADER_FROM:
        return FAULT_NONE if is_address(p, end) else FAULT_FROM
    elif id == HEADER_TO:
        return FAULT_NONE if is_address(p, end) else FAULT_TO
    elif id == HEADER_CALL_ID:
        return FAULT_NONE if is_call_id(p, end) else FAULT_CALL_ID
    elif id == HEADER_CONTACT:
        if end - p == 1 and p[0] == 42:
            return FAULT_NONE
        return FAULT_NONE if is_addresses(p, end, False) else FAULT_CONTACT
    elif id == HEADER_REFER_TO or id == HEADER_REFERRED_BY:
        return FAULT_NONE if is_address(p, end) else FAULT_ADDRESS
    elif id == HEADER_ROUTE or id == HEADER_RECORD_ROUTE or id == HEADER_PATH \
            or id == HEADER_SERVICE_ROUTE:
        return FAULT_NONE if is_addresses(p, end, True) else FAULT_ADDRESS
    elif id == HEADER_MAX_FORWARDS:
        return FAULT_NONE if is_number(p, end, 255) else FAULT_NUMBER
    elif id == HEADER_EXPIRES:
        return FAULT_NONE if is_number(p, end, 0xFFFFFFFFULL) or is_date(p, end) else FAULT_NUMBER
    elif id == HEADER_MIN_EXPIRES or id == HEADER_RSEQ:
        return FAULT_NONE if is_number(p, end, 0xFFFFFFFFULL) else FAULT_NUMBER
    elif id == HEADER_SESSION_EXPIRES or id == HEADER_MIN_SE:
        return FAULT_NONE if is_seconds_parameters(p, end) else FAULT_NUMBER
    elif id == HEADER_RACK:
        return FAULT_NONE if is_rack(p, end) else FAULT_NUMBER
    elif id == HEADER_DATE:
        return FAULT_NONE if is_date(p, end) else FAULT_DATE
    elif id == HEADER_CONTENT_TYPE:
        return FAULT_NONE if is_media_type(p, end) else FAULT_TOKEN
    elif id == HEADER_EVENT or id == HEADER_SUBSCRIPTION_STATE:
        return FAULT_NONE if is_token_parameters(p, end) else FAULT_TOKEN
    elif id == HEADER_ALLOW or id == HEADER_REQUIRE or id == HEADER_PROXY_REQUIRE \
            or id == HEADER_SUPPORTED or id == HEADER_UNSUPPORTED or id == HEADER_ALLOW_EVENTS:
        return FAULT_NONE if is_tokens(p, end) else FAULT_TOKEN
    return FAULT_NONE


cdef int refuse(SipMessage* message, int error, Place at) noexcept nogil:
    message.error = error
    message.error_at = <uint32_t>(at - message.data)
    return 400


cdef int message_validate(SipMessage* message) noexcept nogil:
    cdef SipHeader* header
    cdef Place p = message.uri.data
    cdef Place end
    cdef Place bad
    cdef uint64_t seen = 0
    cdef uint64_t bit
    cdef uint16_t i
    cdef int error
    if message.is_request and not is_uri(p, p + message.uri.length, USE_REQUEST):
        return refuse(message, FAULT_URI, p)
    if message.reason.length:
        p = message.reason.data
        bad = bad_character(p, p + message.reason.length)
        if bad != NULL:
            return refuse(message, FAULT_CHARACTER, bad)
    for i in range(message.header_count):
        header = &message.headers[i]
        p = header.value.data
        end = p + header.value.length
        bit = <uint64_t>1 << header.id
        if seen & bit & SINGLE:
            return refuse(message, FAULT_DUPLICATE, header.name.data)
        seen |= bit
        bad = bad_character(p, end)
        if bad != NULL:
            return refuse(message, FAULT_CHARACTER, bad)
        error = fault_of(header.id, p, end)
        if error != FAULT_NONE:
            return refuse(message, error, p)
    return 0
