# Message -> places. See parse.pxd for what is promised.
#
# sip_parse walks once over the lines. A line end is a bit of a mask of 64 octets; a header name is
# one comparison of 16 octets; values that the engine does not need are stepped over. Faults do not
# stop it: they are noted, and the rest is read so that the message can be answered and its end be
# found. Nothing here depends on octets that have not come yet, so a stream gives the same messages
# however it is cut.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset, strlen
from siploadgen.core.span cimport (
    Span, span_between, span_equal, span_iequal, span_make, span_to_uint, span_trim,
)
from siploadgen.core.types cimport SLG_ASSERT, SLG_LIKELY, SLG_UNLIKELY
from siploadgen.core.sip.tokens cimport (
    HEADER_CALL_ID, HEADER_CONTACT, HEADER_CONTENT_LENGTH, HEADER_CSEQ, HEADER_EXPIRES,
    HEADER_FROM, HEADER_MAX_FORWARDS, HEADER_OTHER, HEADER_TO, HEADER_VIA, METHOD_UNKNOWN,
)

from siploadgen.core.sip.validate cimport message_validate

cdef extern from "slg_names.h" nogil:
    ctypedef struct slg_lines:
        pass
    void slg_lines_open(slg_lines* lines, const uint8_t* data, const uint8_t* limit)
    const uint8_t* slg_lines_next(slg_lines* lines)
    const uint8_t* slg_find(const uint8_t* p, const uint8_t* end, const uint8_t* limit, uint8_t a)
    const uint8_t* slg_find2(const uint8_t* p, const uint8_t* end, const uint8_t* limit,
                             uint8_t a, uint8_t b)
    const uint8_t* slg_find4(const uint8_t* p, const uint8_t* end, const uint8_t* limit,
                             uint8_t a, uint8_t b, uint8_t c, uint8_t d)
    const uint8_t* slg_find_break(const uint8_t* p, const uint8_t* end, const uint8_t* limit,
                                  uint8_t a, uint8_t b, uint8_t c)
    const uint8_t* slg_find_atmost(const uint8_t* p, const uint8_t* end, const uint8_t* limit,
                                   uint8_t c)
    unsigned slg_header_line(const uint8_t* p, uint32_t* length)
    bint slg_room16(const uint8_t* p, const uint8_t* limit)
    bint slg_word8(const uint8_t* p, const char* word)
    bint slg_word4(const uint8_t* p, const char* word)
    void slg_clear(void* p, size_t size)
    unsigned slg_header_find(const uint8_t* p, uint32_t length)
    unsigned slg_method_find(const uint8_t* p, uint32_t length)
    bint slg_is(uint8_t c, int classes)
    enum:
        SLG_TOKEN, SLG_DIGIT, SLG_ALPHA, SLG_SPACE

ctypedef const uint8_t* Place

cdef enum:
    LF = 10
    CR = 13
    SPACE = 32
    TAB = 9
    QUOTE = 34          # "
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
    BRACKET = 91        # [
    BACKSLASH = 92
    BRACKET_END = 93
    NO_INDEX = 0xFFFF
    NO_NAME = 0xFF

cdef uint64_t TOO_LARGE = 1ULL << 40     # more than any number that a header may hold

cdef enum:
    ONCE = 1 << HEADER_FROM | 1 << HEADER_TO | 1 << HEADER_CALL_ID | 1 << HEADER_CSEQ \
        | 1 << HEADER_MAX_FORWARDS | 1 << HEADER_CONTENT_LENGTH
    NEEDED = 1 << HEADER_VIA | 1 << HEADER_FROM | 1 << HEADER_TO | 1 << HEADER_CALL_ID \
        | 1 << HEADER_CSEQ


# --- small steps over text; all of them stop at `end` ---
cdef inline Place _skip_space(Place p, Place end) noexcept nogil:
    while p < end and slg_is(p[0], SLG_SPACE):
        p += 1
    return p


cdef inline Place _skip_token(Place p, Place end) noexcept nogil:
    while p < end and slg_is(p[0], SLG_TOKEN):
        p += 1
    return p


cdef inline Place _skip_quoted(Place p, Place end, Place limit) noexcept nogil:
    """Behind the closing quote of the string that opens at p; NULL when it does not close."""
    p += 1
    while True:
        p = slg_find2(p, end, limit, QUOTE, BACKSLASH)
        if p == end:
            return NULL
        if p[0] == QUOTE:
            return p + 1
        if end - p < 2:
            return NULL
        p += 2


cdef inline Place _end_of(Span text) noexcept nogil:
    """Behind the last octet; of nothing at all, which may be NULL, the same place."""
    return text.data + text.length if text.length else text.data


cdef inline bint _is_word(Place p, Place end, const char* word, uint32_t length) noexcept nogil:
    """Is [p, end) that word, given in lower case and made of letters only, in any case?"""
    cdef uint32_t i
    if end - p != length:
        return False
    for i in range(length):
        if (p[i] | 0x20) != <uint8_t>word[i]:
            return False
    return True


cdef uint64_t _long_number(Place p, Place end) noexcept nogil:
    """The number of more than 18 digits; all too large ones are the same."""
    cdef uint64_t number = 0
    while p < end:
        number = number * 10 + (p[0] - 48)
        if number > TOO_LARGE:
            number = TOO_LARGE
        p += 1
    return number


cdef inline Place _digits(Place p, Place end, uint64_t* number) noexcept nogil:
    """Over decimal digits, which may be none."""
    cdef Place start = p
    cdef uint64_t value = 0
    cdef uint8_t digit
    while p < end:
        digit = <uint8_t>(p[0] - 48)
        if digit > 9:
            break
        value = value * 10 + digit
        p += 1
    number[0] = value if SLG_LIKELY(p - start <= 18) else _long_number(start, p)
    return p


cdef inline void _fault(SipMessage* message, int error, Place at) noexcept nogil:
    if message.error == FAULT_NONE:
        message.error = error
        message.error_at = <uint32_t>(at - message.data)


# --- the start line ---
cdef inline bint _is_version(Place p, Place end) noexcept nogil:
    """SIP-Version of any number (RFC 3261 25.1)."""
    if end - p < 7 or not _is_word(p, p + 3, b"sip", 3) or p[3] != SLASH:
        return False
    p += 4
    if not slg_is(p[0], SLG_DIGIT):
        return False
    while p < end and slg_is(p[0], SLG_DIGIT):
        p += 1
    if end - p < 2 or p[0] != DOT:
        return False
    p += 1
    while p < end and slg_is(p[0], SLG_DIGIT):
        p += 1
    return p == end


cdef bint _request_line_odd(SipMessage* message, Place p, Place end, Place limit) noexcept nogil:
    """Which rule of RFC 3261 7.1 does a Request-Line break from its URI on? False: it is no SIP."""
    cdef Place version = end
    cdef Place at
    while version > p and (version - 1)[0] != SPACE:
        version -= 1
    if version - p >= 2 and _is_version(version, end):
        message.uri = span_between(p, version - 1)
        at = slg_find_atmost(p, version - 1, limit, SPACE)
        if at == version - 1:
            _fault(message, FAULT_VERSION, version)
        else:
            _fault(message, FAULT_START_LINE, at)
        return True
    # "SIP/2.0" somewhere in it: somebody's damaged request, and worth an answer.
    at = slg_find_atmost(p, end, limit, SPACE)
    message.uri = span_between(p, at)
    _fault(message, FAULT_START_LINE, at)
    while end - at >= 8:
        if slg_is(at[0], SLG_SPACE) and _is_version(at + 1, at + 8):
            return True
        at += 1
    return False


cdef bint _status_line(SipMessage* message, Place p, Place end) noexcept nogil:
    """From "SIP/" on. False: not SIP at all."""
    cdef Place version = p
    while p < end and p[0] != SPACE:
        p += 1
    if not _is_version(version, p):
        _fault(message, FAULT_START_LINE, version)
        return False
    if not (p - version == 7 and version[4] == 50 and version[5] == 46 and version[6] == 48):
        _fault(message, FAULT_VERSION, version)
    if end - p < 4 or not slg_is(p[1], SLG_DIGIT) or not slg_is(p[2], SLG_DIGIT) \
            or not slg_is(p[3], SLG_DIGIT) or (end - p > 4 and p[4] != SPACE):
        _fault(message, FAULT_STATUS, p)
        return True
    message.status = (p[1] - 48) * 100 + (p[2] - 48) * 10 + (p[3] - 48)
    if message.status < 100 or message.status > 699:
        _fault(message, FAULT_STATUS, p + 1)
    if end - p > 5:
        message.reason = span_between(p + 5, end)
    return True


cdef inline bint _start_line(SipMessage* message, Place p, Place end, Place limit) noexcept nogil:
    """False: hopeless, this is not SIP; the fault is noted."""
    cdef Place q = slg_find(p, end, limit, SPACE)
    message.method = <uint8_t>slg_method_find(p, <uint32_t>(q - p))
    if message.method == METHOD_UNKNOWN or q == end:
        q = _skip_token(p, end)
    if q < end and q[0] == SPACE and q > p:
        message.is_request = True
        message.method_text = span_between(p, q)
        q += 1
        if SLG_LIKELY(end - q >= 9 and slg_word8(end - 8, b" sip/2.0")
                      and slg_find_atmost(q, end - 8, limit, SPACE) == end - 8):
            message.uri = span_between(q, end - 8)
            return True
        return _request_line_odd(message, q, end, limit)
    if q < end and q[0] == SLASH and _is_word(p, q, b"sip", 3):
        return _status_line(message, p, end)
    _fault(message, FAULT_START_LINE, q)
    return False


# --- the typed headers ---
cdef inline Place _via_value(Place p, Place end, Place limit, Span* value) noexcept nogil:
    """Over an unquoted value of a parameter, and the space behind it."""
    cdef Place start = p
    p = slg_find_break(p, end, limit, SEMICOLON, COMMA, COMMA)
    value[0] = span_between(start, p)
    return _skip_space(p, end)


cdef inline Place _via(SipVia* via, Place p, Place end, Place limit) noexcept nogil:
    """Where one via-parm ends: at its comma, or `end`; NULL: it is none (RFC 3261 20.42)."""
    cdef Place start
    cdef Place name
    cdef Place stop
    cdef Place value
    cdef uint64_t number
    cdef int _part
    via.branch = span_make(NULL, 0)
    via.received = span_make(NULL, 0)
    via.parameters = span_make(NULL, 0)
    via.port = 0
    via.rport_value = 0
    via.has_rport = False
    via.has_rport_value = False
    if SLG_LIKELY(end - p >= 8 and slg_word8(p, b"sip/2.0/")):
        p += 8
    else:
        # name, version: tokens with a slash behind them, spaces around it
        for _part in range(2):
            name = p
            p = _skip_token(p, end)
            stop = p
            p = _skip_space(p, end)
            if stop == name or p == end or p[0] != SLASH:
                return NULL
            p = _skip_space(p + 1, end)
    if SLG_LIKELY(end - p > 4 and (p[3] == SPACE and p[4] > SPACE) and (
            slg_word4(p, b"udp ") or slg_word4(p, b"tcp ") or slg_word4(p, b"tls "))):
        via.transport = span_make(p, 3)
        p += 4
    else:
        p = _skip_space(p, end)
        name = p
        p = _skip_token(p, end)
        via.transport = span_between(name, p)
        name = p
        p = _skip_space(p, end)
        if via.transport.length == 0 or p == name or p == end:
            return NULL
    name = p
    if p[0] == BRACKET:
        p = slg_find(p, end, limit, BRACKET_END)
        if p == end:
            return NULL
        p += 1
    else:
        # sip_validate knows hostnames
        p = slg_find_break(p, end, limit, COLON, SEMICOLON, COMMA)
    via.host = span_between(name, p)
    if p == name:
        return NULL
    p = _skip_space(p, end)
    if p < end and p[0] == COLON:
        p = _skip_space(p + 1, end)
        name = p
        p = _digits(p, end, &number)
        if p == name or number > 65535:
            return NULL
        via.port = <uint16_t>number
        p = _skip_space(p, end)
    start = p
    while p < end and p[0] == SEMICOLON:
        if SLG_LIKELY(end - p > 8 and slg_word8(p, b";branch=") and p[8] != QUOTE and p[8] > SPACE):
            p = _via_value(p + 8, end, limit, &via.branch)
            continue
        if SLG_LIKELY(end - p > 8 and slg_word4(p, b";rpo") and slg_word4(p + 2, b"port")):
            stop = p + 6
            if stop[0] == EQUALS:
                stop = _digits(p + 7, end, &number)
                if stop == p + 7 or number > 65535:
                    stop = NULL
            if stop != NULL and (stop == end or stop[0] == SEMICOLON or stop[0] == COMMA):
                via.has_rport = True
                if stop > p + 6:
                    via.has_rport_value = True
                    via.rport_value = <uint16_t>number
                p = stop
                continue
        elif SLG_LIKELY(end - p > 10 and slg_word8(p, b";receive") and slg_word4(p + 6, b"ved=")
                        and p[10] != QUOTE and p[10] > SPACE):
            p = _via_value(p + 10, end, limit, &via.received)
            continue
        name = _skip_space(p + 1, end)
        p = _skip_token(name, end)
        stop = p
        p = _skip_space(p, end)
        if stop == name:                # nothing between two semicolons harms nobody
            if p < end and p[0] == SEMICOLON:
                continue
            return NULL
        value = NULL
        if p < end and p[0] == EQUALS:
            p = _skip_space(p + 1, end)
            value = p
            if p < end and p[0] == QUOTE:
                p = _skip_quoted(p, end, limit)
                if p == NULL:
                    return NULL
            else:
                p = slg_find_break(p, end, limit, SEMICOLON, COMMA, COMMA)
        if _is_word(name, stop, b"branch", 6):
            if value != NULL:
                via.branch = span_between(value, p)
        elif _is_word(name, stop, b"rport", 5):
            via.has_rport = True
            if value != NULL and p > value:
                if _digits(value, p, &number) != p or number > 65535:
                    return NULL
                via.has_rport_value = True
                via.rport_value = <uint16_t>number
        elif _is_word(name, stop, b"received", 8):
            if value != NULL:
                via.received = span_between(value, p)
        p = _skip_space(p, end)
    if p < end and p[0] != COMMA:
        return NULL
    if p > start:
        via.parameters = span_make(start + 1, <uint32_t>(p - start - 1))
    return p


cdef inline uint32_t _commas(Place p, Place end, Place limit) noexcept nogil:
    """Commas outside of quoted strings."""
    cdef uint32_t count = 0
    while True:
        p = slg_find2(p, end, limit, COMMA, QUOTE)
        if p == end:
            return count
        if p[0] == COMMA:
            count += 1
            p += 1
        else:
            p = _skip_quoted(p, end, limit)
            if p == NULL:
                return count


cdef inline Place _address_end(Place p, Place end, Place limit, Span* uri) noexcept nogil:
    """Over name-addr or addr-spec to the header parameters; NULL: a quote or "<" does not close."""
    cdef Place mark = p
    while True:
        if mark == end or mark[0] != LESS and mark[0] != QUOTE:
            mark = slg_find4(mark, end, limit, LESS, QUOTE, SEMICOLON, COMMA)
        if mark == end or mark[0] == SEMICOLON or mark[0] == COMMA:
            # addr-spec: its parameters are the header's (RFC 3261 20)
            uri[0] = span_trim(span_between(p, mark))
            return mark
        if mark[0] == LESS:
            break
        p = _skip_quoted(mark, end, limit)
        if p == NULL:
            return NULL
        mark = _skip_space(p, end)
    p = slg_find(mark, end, limit, GREATER)
    if p == end:
        return NULL
    uri[0] = span_make(mark + 1, <uint32_t>(p - mark - 1))
    return p + 1


cdef inline bint _tagged(Place value, Place end, Place limit, Span* tag) noexcept nogil:
    """The tag of a From or To; False when the address or the parameters do not end."""
    cdef Place name
    cdef Place stop
    cdef Place p
    cdef Span uri
    tag[0] = span_make(NULL, 0)
    uri = tag[0]
    p = _address_end(value, end, limit, &uri)
    if p == NULL or uri.length == 0:
        return False
    while True:
        p = _skip_space(p, end)
        if p == end:
            return True
        if p[0] != SEMICOLON:
            return False
        if SLG_LIKELY(end - p > 5 and slg_word4(p, b";tag") and p[4] == EQUALS and p[5] != QUOTE
                      and p[5] > SPACE and tag.length == 0):
            name = p + 5
            p = slg_find_break(name, end, limit, SEMICOLON, SEMICOLON, SEMICOLON)
            tag[0] = span_between(name, p)
            continue
        name = _skip_space(p + 1, end)
        p = _skip_token(name, end)
        stop = p
        p = _skip_space(p, end)
        if p < end and p[0] == EQUALS:
            p = _skip_space(p + 1, end)
            if p < end and p[0] == QUOTE:
                p = _skip_quoted(p, end, limit)
                if p == NULL:
                    return False
                continue
            if tag.length == 0 and _is_word(name, stop, b"tag", 3):
                name = p
                p = slg_find_break(p, end, limit, SEMICOLON, SEMICOLON, SEMICOLON)
                tag[0] = span_between(name, p)
            else:
                p = slg_find_break(p, end, limit, SEMICOLON, SEMICOLON, SEMICOLON)


cdef inline void _cseq(SipMessage* message, Place value, Place end) noexcept nogil:
    """RFC 3261 20.16; 8.1.1.5 asks for less than 2^31, and up to 2^32-1 is taken."""
    cdef uint64_t number
    cdef Place p = _digits(value, end, &number)
    if p == value or p == end or number > 0xFFFFFFFFULL or not slg_is(p[0], SLG_SPACE):
        _fault(message, FAULT_CSEQ, p)
        return
    p = _skip_space(p, end)
    message.cseq = <uint32_t>number
    message.cseq_method_text = span_between(p, end)
    message.cseq_method = <uint8_t>slg_method_find(p, message.cseq_method_text.length)
    if message.cseq_method == METHOD_UNKNOWN and _skip_token(p, end) != end:
        _fault(message, FAULT_CSEQ, p)
        message.cseq_method_text.length = 0


cdef inline int64_t _content_length(Place p, Place end) noexcept nogil:
    """-1: not a number, or of more than 31 bits."""
    cdef uint64_t number
    if p == end or _digits(p, end, &number) != end or number > 0x7FFFFFFF:
        return -1
    return <int64_t>number


cdef void _missing(SipMessage* message, uint64_t seen, Place at) noexcept nogil:
    if not seen & (1 << HEADER_VIA):
        _fault(message, FAULT_MISSING_VIA, at)
    elif not seen & (1 << HEADER_FROM):
        _fault(message, FAULT_MISSING_FROM, at)
    elif not seen & (1 << HEADER_TO):
        _fault(message, FAULT_MISSING_TO, at)
    elif not seen & (1 << HEADER_CALL_ID):
        _fault(message, FAULT_MISSING_CALL_ID, at)
    else:
        _fault(message, FAULT_MISSING_CSEQ, at)


cdef uint8_t _odd_name(Place p, Place end, Place limit, uint32_t* length,
                       Place* value) noexcept nogil:
    """HeaderId of a line of any other sort than slg_header_line knows; NO_NAME: it has no name."""
    cdef Place colon = slg_find(p, end, limit, COLON)
    cdef uint32_t size = <uint32_t>(colon - p)
    cdef uint8_t id
    if colon == end:
        return NO_NAME
    value[0] = colon + 1
    while size and (p[size - 1] == SPACE or p[size - 1] == TAB):        # HCOLON, RFC 3261 25.1
        size -= 1
    length[0] = size
    id = <uint8_t>slg_header_find(p, size)
    if id == HEADER_OTHER and (size == 0 or _skip_token(p, p + size) != p + size):
        return NO_NAME
    return id


# --- before and instead of a message ---
cdef ParseStatus _nothing(SipMessage* message, Place p, int mode) noexcept nogil:
    """Line ends only, or nothing at all."""
    if p == message.data:
        if mode == PARSE_STREAM:
            return PARSE_PARTIAL
        _fault(message, FAULT_EMPTY, p)
        return PARSE_BAD
    # The CR of a line end that is cut in two waits for its LF, or a ping (RFC 5626 4.4.1) would
    # look like less.
    if mode == PARSE_STREAM and (p - 1)[0] == CR:
        p -= 1
        if p == message.data:
            return PARSE_PARTIAL
    message.length = <uint32_t>(p - message.data)
    message.start = message.length
    return PARSE_KEEPALIVE


cdef bint _is_noise(Place p, Place limit) noexcept nogil:
    """What keeps a NAT binding open besides CRLF: NULs, and the "jaK" of some phones."""
    if limit - p == 3 and p[0] == 106 and p[1] == 97 and p[2] == 75:
        return True
    while p < limit and p[0] == 0:
        p += 1
    return p == limit


cdef ParseStatus _unfinished(SipMessage* message, Place stop, Place limit, int mode) noexcept nogil:
    """No empty line up to `stop`."""
    if stop < limit:
        message.error = FAULT_TOO_LARGE
        message.error_at = <uint32_t>(stop - message.data)
    elif mode == PARSE_STREAM:
        message.length = 0
        return PARSE_PARTIAL
    else:
        _fault(message, FAULT_NO_END, limit)
    message.length = 0 if mode == PARSE_STREAM else <uint32_t>(limit - message.data)
    return PARSE_BAD


cdef ParseStatus sip_parse(SipMessage* message, const uint8_t* data, uint32_t length,
                           int mode) noexcept nogil:
    cdef Place limit = data + length
    cdef Place stop
    cdef Place p = data
    cdef Place end
    cdef Place line_feed
    cdef Place start
    cdef slg_lines lines
    cdef uint64_t seen = 0
    cdef uint64_t bit
    cdef int64_t body_length = -2           # -1: not a number; -2: no such header
    cdef uint32_t size
    cdef uint8_t id
    cdef uint16_t count = 0
    cdef uint16_t last[HEADER_COUNT]        # of each HeaderId whose message.first is set
    cdef Place value
    cdef SipHeader* header = message.headers

    # All but the header table, which is written as far as header_count goes.
    slg_clear(message, <size_t>(<char*>&message.first - <char*>message))
    memset(message.first, 0xFF, sizeof(message.first))
    message.data = data
    while p < limit and (p[0] == CR or p[0] == LF):         # RFC 3261 7.5
        p += 1
    if SLG_UNLIKELY(p == limit):
        return _nothing(message, p, mode)
    start = p
    message.start = <uint32_t>(p - data)
    if SLG_UNLIKELY(mode == PARSE_DATAGRAM and (p[0] == 0 or p[0] == 106) and _is_noise(p, limit)):
        message.length = length
        return PARSE_KEEPALIVE
    stop = limit if limit - p <= PARSE_SECTION else p + PARSE_SECTION

    slg_lines_open(&lines, p, stop)
    line_feed = slg_lines_next(&lines)
    if SLG_UNLIKELY(line_feed == NULL):
        end = _skip_token(p, stop)
        if end == p or (end < stop and end[0] != SPACE
                        and not (end[0] == SLASH and _is_word(p, end, b"sip", 3))):
            # no SIP, and never will be: do not wait for the rest of it
            _fault(message, FAULT_START_LINE, end)
            message.length = 0 if mode == PARSE_STREAM else length
            return PARSE_BAD
        return _unfinished(message, stop, limit, mode)
    end = line_feed
    if SLG_LIKELY(end > p and (end - 1)[0] == CR):
        end -= 1
    if SLG_UNLIKELY(not _start_line(message, p, end, limit)):
        message.is_request = False
        message.length = 0 if mode == PARSE_STREAM else length
        return PARSE_BAD
    if SLG_UNLIKELY(end == line_feed):
        _fault(message, FAULT_LINE_END, line_feed)

    while True:
        p = line_feed + 1
        line_feed = slg_lines_next(&lines)
        if SLG_UNLIKELY(line_feed == NULL):
            message.header_count = count
            return _unfinished(message, stop, limit, mode)
        end = line_feed - 1                                 # before an LF alone: the LF before it
        if SLG_UNLIKELY(end[0] != CR):
            _fault(message, FAULT_LINE_END, line_feed)
            end = line_feed
        if end == p:
            break                                           # the empty line
        while line_feed + 1 < stop and line_feed[1] <= SPACE and (
                line_feed[1] == SPACE or line_feed[1] == TAB):                  # RFC 3261 7.3.1
            start = line_feed
            line_feed = slg_lines_next(&lines)
            if line_feed == NULL:
                message.header_count = count
                return _unfinished(message, stop, limit, mode)
            end = line_feed - 1
            if end[0] != CR:
                _fault(message, FAULT_LINE_END, line_feed)
                end = line_feed

        id = HEADER_OTHER
        if SLG_LIKELY(slg_room16(p, limit)):
            id = <uint8_t>slg_header_line(p, &size)
        if SLG_UNLIKELY(id == HEADER_OTHER):
            id = _odd_name(p, end, limit, &size, &value)
            if id == NO_NAME:
                _fault(message, FAULT_HEADER_NAME, p)
                continue
        else:
            value = p + size + 1
        if SLG_LIKELY(value[0] == SPACE and value[1] > SPACE and (end - 1)[0] > SPACE):
            value += 1
        else:
            value = _skip_space(value, end)
            while end > value and slg_is((end - 1)[0], SLG_SPACE):
                end -= 1

        bit = <uint64_t>1 << id
        if SLG_LIKELY(count < PARSE_HEADERS):
            header.name.data = p
            header.name.length = size
            header.value.data = value
            header.value.length = <uint32_t>(end - value)
            header.next = NO_INDEX
            header.id = id
            if not seen & bit:
                message.first[id] = count
            else:
                message.headers[last[id]].next = count
            last[id] = count
            count += 1
            header += 1
        else:
            message.too_many_headers = True
        if SLG_UNLIKELY(seen & bit & ONCE):
            _fault(message, FAULT_DUPLICATE, p)
            if id == HEADER_CONTENT_LENGTH:
                # RFC 4475 3.3.9: no telling where the body ends
                body_length = -1
            continue
        if id == HEADER_VIA:
            if not seen & bit:
                p = _via(&message.via, value, end, limit)
                message.via_count = 1
                if SLG_UNLIKELY(p == NULL):
                    _fault(message, FAULT_VIA, value)
                    p = value
                if p != end:
                    message.via_count += _commas(p, end, limit)
            else:
                message.via_count += 1 + _commas(value, end, limit)
        elif id == HEADER_FROM:
            message.from_value = span_between(value, end)
            if SLG_UNLIKELY(not _tagged(value, end, limit, &message.from_tag)):
                _fault(message, FAULT_FROM, value)
        elif id == HEADER_TO:
            message.to_value = span_between(value, end)
            if SLG_UNLIKELY(not _tagged(value, end, limit, &message.to_tag)):
                _fault(message, FAULT_TO, value)
        elif id == HEADER_CALL_ID:
            message.call_id = span_between(value, end)
            if SLG_UNLIKELY(value == end):
                _fault(message, FAULT_CALL_ID, value)
        elif id == HEADER_CSEQ:
            _cseq(message, value, end)
        elif id == HEADER_CONTACT:
            if not seen & bit:
                p = _address_end(value, end, limit, &message.contact_uri)
                if SLG_UNLIKELY(p == NULL):
                    _fault(message, FAULT_CONTACT, value)
                elif message.contact_uri.length == 1 and message.contact_uri.data[0] == 42:
                    message.contact_uri.length = 0
        elif id == HEADER_CONTENT_LENGTH:
            body_length = _content_length(value, end)
            if SLG_UNLIKELY(body_length < 0):
                _fault(message, FAULT_CONTENT_LENGTH, value)
        seen |= bit

    message.header_count = count
    p = line_feed + 1
    SLG_ASSERT(p <= limit and count <= PARSE_HEADERS)
    if SLG_UNLIKELY(seen & NEEDED != NEEDED):
        _missing(message, seen, p)
    if not message.is_request:
        message.method = message.cseq_method
    elif SLG_UNLIKELY(message.cseq_method != message.method or (
            message.method == METHOD_UNKNOWN
            and not span_equal(message.method_text, message.cseq_method_text))):
        if message.cseq_method_text.length:
            _fault(message, FAULT_CSEQ_METHOD, message.cseq_method_text.data)
    return _body(message, p, limit, body_length, mode)


cdef inline ParseStatus _body(SipMessage* message, Place p, Place limit, int64_t length,
                              int mode) noexcept nogil:
    """RFC 3261 18.3."""
    cdef int64_t rest = limit - p
    SLG_ASSERT(rest >= 0 and (mode == PARSE_DATAGRAM or mode == PARSE_STREAM))
    if mode == PARSE_DATAGRAM:
        if SLG_UNLIKELY(length > rest):
            _fault(message, FAULT_BODY_SHORT, limit)
        if length < 0 or length > rest:
            length = rest
    elif length == -1:
        message.length = 0
        return PARSE_BAD
    elif length == -2:
        _fault(message, FAULT_NO_CONTENT_LENGTH, p)
        length = 0
    elif length > rest:
        message.length = <uint32_t>(p - message.data + length)
        return PARSE_PARTIAL
    message.body = span_make(p, <uint32_t>length)
    message.length = <uint32_t>(p - message.data + length)
    return PARSE_OK if message.error == FAULT_NONE else PARSE_BAD


cdef int parse_error_status(int error) noexcept nogil:
    if error == FAULT_VERSION:
        return 505
    if error == FAULT_TOO_LARGE:
        return 513
    if error == FAULT_NONE or error == FAULT_EMPTY or error == FAULT_STATUS:
        return 0
    return 400


cdef int sip_validate(SipMessage* message) noexcept nogil:
    return message_validate(message)


# --- typed access, on demand ---
cdef bint uri_parse(SipUri* uri, Span text) noexcept nogil:
    cdef Place p = text.data
    cdef Place end = _end_of(text)
    cdef Place mark = p
    cdef Place colon
    cdef uint64_t port
    memset(uri, 0, sizeof(SipUri))
    if p == end or not slg_is(p[0], SLG_ALPHA):
        return False
    while mark < end and (slg_is(mark[0], SLG_ALPHA | SLG_DIGIT) or mark[0] == PLUS
                          or mark[0] == MINUS or mark[0] == DOT):
        mark += 1
    if mark == end or mark[0] != COLON:
        return False
    uri.scheme = span_between(p, mark)
    if _is_word(p, mark, b"sip", 3):
        uri.kind = 1
    elif _is_word(p, mark, b"sips", 4):
        uri.kind = 2
    elif _is_word(p, mark, b"tel", 3):
        uri.kind = 3
    p = mark + 1
    if uri.kind == 0 or uri.kind == 3:
        mark = slg_find(p, end, end, SEMICOLON) if uri.kind == 3 else end
        uri.user = span_between(p, mark)
        if mark < end:
            uri.parameters = span_between(mark + 1, end)
        return uri.user.length > 0
    mark = slg_find(p, end, end, AT)
    if mark < end:
        colon = slg_find(p, mark, end, COLON)
        uri.user = span_between(p, colon)
        if colon < mark:
            uri.password = span_between(colon + 1, mark)
        if colon == p:
            return False
        p = mark + 1
    if p < end and p[0] == BRACKET:
        mark = slg_find(p, end, end, BRACKET_END)
        if mark == end:
            return False
        mark += 1
    else:
        mark = slg_find4(p, end, end, COLON, SEMICOLON, QUESTION, SEMICOLON)
    uri.host = span_trim(span_between(p, mark))     # a fold before the semicolon
    if uri.host.length == 0:
        return False
    p = mark
    if p < end and p[0] == COLON:
        mark = slg_find2(p, end, end, SEMICOLON, QUESTION)
        if not span_to_uint(span_between(p + 1, mark), &port) or port > 65535:
            return False
        uri.port = <uint16_t>port
        p = mark
    if p < end and p[0] == SEMICOLON:
        mark = slg_find(p, end, end, QUESTION)
        uri.parameters = span_between(p + 1, mark)
        p = mark
    if p < end and p[0] == QUESTION:
        uri.headers = span_between(p + 1, end)
        p = end
    return p == end


cdef Span uri_parameter(SipUri* uri, const char* name, bint* present) noexcept nogil:
    return parameter_find(uri.parameters, name, present)


cdef bint parameter_next(Span* rest, Span* name, Span* value) noexcept nogil:
    cdef Place p = rest.data
    cdef Place end = _end_of(rest[0])
    cdef Place start
    while p < end and (p[0] == SEMICOLON or slg_is(p[0], SLG_SPACE)):
        p += 1
    start = p
    p = slg_find2(p, end, end, SEMICOLON, EQUALS)
    name[0] = span_trim(span_between(start, p))
    value[0] = span_make(NULL, 0)
    if p < end and p[0] == EQUALS:
        start = _skip_space(p + 1, end)
        p = start
        if p < end and p[0] == QUOTE:
            p = _skip_quoted(p, end, end)
            if p == NULL:
                p = end
        p = slg_find(p, end, end, SEMICOLON)
        value[0] = span_trim(span_between(start, p))
    rest[0] = span_between(p, end)
    return name.length > 0


cdef Span parameter_find(Span parameters, const char* name, bint* present) noexcept nogil:
    cdef Span wanted = span_make(<const uint8_t*>name, <uint32_t>strlen(name))
    cdef Span key
    cdef Span value
    present[0] = False
    while parameters.length:
        if parameter_next(&parameters, &key, &value) and span_iequal(key, wanted):
            present[0] = True
            if value.length >= 2 and value.data[0] == QUOTE \
                    and value.data[value.length - 1] == QUOTE:
                return span_make(value.data + 1, value.length - 2)
            return value
    return span_make(NULL, 0)


cdef inline Place _element_end(Place p, Place end) noexcept nogil:
    """The comma that ends a list element, outside of quotes and < >; `end`: there is none."""
    while True:
        p = slg_find4(p, end, end, COMMA, QUOTE, LESS, COMMA)
        if p == end or p[0] == COMMA:
            return p
        if p[0] == QUOTE:
            p = _skip_quoted(p, end, end)
            if p == NULL:
                return end
        else:
            p = slg_find(p, end, end, GREATER)


cdef bint list_next(Span* rest, Span* item) noexcept nogil:
    cdef Place p = rest.data
    cdef Place end = _end_of(rest[0])
    cdef Place stop
    while p < end:
        stop = _element_end(p, end)
        item[0] = span_trim(span_between(p, stop))
        p = stop + 1 if stop < end else end
        # an empty element is nothing (RFC 3261 7.3.1 lets lists be empty)
        if item.length:
            rest[0] = span_between(p, end)
            return True
    rest[0] = span_between(end, end)
    item[0] = rest[0]
    return False


cdef bint address_parse(SipAddress* address, Span* rest) noexcept nogil:
    cdef Span item
    cdef Place p
    cdef Place end
    memset(address, 0, sizeof(SipAddress))
    if not list_next(rest, &item):
        return False
    end = item.data + item.length
    p = _address_end(item.data, end, end, &address.uri)
    if p == NULL or address.uri.length == 0:
        return False
    if p > item.data and (p - 1)[0] == GREATER:
        address.display = span_trim(span_between(item.data, address.uri.data - 1))
    p = _skip_space(p, end)
    if p < end:
        if p[0] != SEMICOLON:
            return False
        address.parameters = span_between(p + 1, end)
    return True


cdef bint via_parse(SipVia* via, Span* rest) noexcept nogil:
    cdef Span item
    cdef Place end
    memset(via, 0, sizeof(SipVia))
    if not list_next(rest, &item):
        return False
    end = item.data + item.length
    return _via(via, item.data, end, end) == end


cdef bint list_has(SipMessage* message, uint8_t id, const char* token) noexcept nogil:
    cdef SipHeader* header = sip_header(message, id)
    cdef Span wanted = span_make(<const uint8_t*>token, <uint32_t>strlen(token))
    cdef Span rest
    cdef Span item
    while header != NULL:
        rest = header.value
        while list_next(&rest, &item):
            if span_iequal(item, wanted):
                return True
        header = sip_header_next(message, header)
    return False


cdef bint header_uint(SipMessage* message, uint8_t id, uint64_t* value) noexcept nogil:
    cdef SipHeader* header = sip_header(message, id)
    cdef uint32_t length = 0
    if header == NULL:
        return False
    while length < header.value.length and slg_is(header.value.data[length], SLG_DIGIT):
        length += 1
    if length < header.value.length and header.value.data[length] != SEMICOLON \
            and not slg_is(header.value.data[length], SLG_SPACE):
        return False
    return span_to_uint(span_make(header.value.data, length), value)


cdef bint contact_own(SipMessage* message, Span user, uint64_t reg_id,
                      SipAddress* address) noexcept nogil:
    cdef SipHeader* header = sip_header(message, HEADER_CONTACT)
    cdef SipUri uri
    cdef Span rest
    cdef bint present
    cdef uint64_t number
    while header != NULL:
        rest = header.value
        while rest.length:
            if not address_parse(address, &rest) or not uri_parse(&uri, address.uri) \
                    or not span_equal(uri.user, user):
                continue
            if reg_id == 0 or (span_to_uint(parameter_find(address.parameters, b"reg-id", &present),
                                            &number) and number == reg_id):
                return True
        header = sip_header_next(message, header)
    return False


cdef int64_t contact_expires(SipMessage* message, Span user, uint64_t reg_id) noexcept nogil:
    cdef SipAddress address
    cdef Span text
    cdef bint present
    cdef uint64_t seconds
    if contact_own(message, user, reg_id, &address):
        text = parameter_find(address.parameters, b"expires", &present)
        if present:
            # RFC 3261 10.2.1.1, 20.10
            return <int64_t>seconds if span_to_uint(text, &seconds) else 3600
    return <int64_t>seconds if header_uint(message, HEADER_EXPIRES, &seconds) else -1


cdef bint _auth_next(Place* at, Place end, Span* name, Span* value) noexcept nogil:
    """Next auth-param of a list; False at its end, *at being `end`, or where the list breaks."""
    cdef Place p = at[0]
    cdef Place mark
    while p < end and (p[0] == COMMA or slg_is(p[0], SLG_SPACE)):
        p += 1
    at[0] = p
    mark = _skip_token(p, end)
    if mark == p:
        return False
    name[0] = span_between(p, mark)
    p = _skip_space(mark, end)
    if p == end or p[0] != EQUALS:
        return False
    p = _skip_space(p + 1, end)
    mark = p
    if p < end and p[0] == QUOTE:
        p = _skip_quoted(p, end, end)
        if p == NULL:
            return False
        value[0] = span_between(mark + 1, p - 1)
    else:
        p = slg_find_break(p, end, end, COMMA, COMMA, COMMA)
        value[0] = span_between(mark, p)
    p = _skip_space(p, end)
    if p < end and p[0] != COMMA:
        return False
    at[0] = p
    return True


cdef inline Place _auth_scheme(Span value, Span* scheme) noexcept nogil:
    cdef Place end = _end_of(value)
    cdef Place p = _skip_token(value.data, end)
    scheme[0] = span_between(value.data, p)
    return p if scheme.length and (p == end or slg_is(p[0], SLG_SPACE)) else NULL


cdef inline bint _named(Span name, const char* word) noexcept nogil:
    return _is_word(name.data, name.data + name.length, word, <uint32_t>strlen(word))


cdef bint challenge_parse(SipChallenge* challenge, Span value) noexcept nogil:
    cdef Place end = _end_of(value)
    cdef Place p
    cdef Span name
    cdef Span text
    memset(challenge, 0, sizeof(SipChallenge))
    p = _auth_scheme(value, &challenge.scheme)
    if p == NULL:
        return False
    while _auth_next(&p, end, &name, &text):
        if _named(name, b"realm"):
            challenge.realm = text
        elif _named(name, b"nonce"):
            challenge.nonce = text
        elif _named(name, b"opaque"):
            challenge.opaque = text
        elif _named(name, b"algorithm"):
            challenge.algorithm = text
        elif _named(name, b"qop"):
            challenge.qop = text
        elif _named(name, b"stale"):
            challenge.stale = _named(text, b"true")
    return p == end


cdef bint credentials_parse(SipCredentials* credentials, Span value) noexcept nogil:
    cdef Place end = _end_of(value)
    cdef Place p
    cdef Span name
    cdef Span text
    memset(credentials, 0, sizeof(SipCredentials))
    p = _auth_scheme(value, &credentials.scheme)
    if p == NULL:
        return False
    while _auth_next(&p, end, &name, &text):
        if _named(name, b"username"):
            credentials.username = text
        elif _named(name, b"realm"):
            credentials.realm = text
        elif _named(name, b"nonce"):
            credentials.nonce = text
        elif _named(name, b"uri"):
            credentials.uri = text
        elif _named(name, b"response"):
            credentials.response = text
        elif _named(name, b"algorithm"):
            credentials.algorithm = text
        elif _named(name, b"cnonce"):
            credentials.cnonce = text
        elif _named(name, b"opaque"):
            credentials.opaque = text
        elif _named(name, b"qop"):
            credentials.qop = text
        elif _named(name, b"nc"):
            credentials.nc = text
    return p == end


# --- the door ---
cdef object _text(Span span):
    return span.data[:span.length] if span.length else b""


cdef dict _via_dict(SipVia* via):
    return {
        "transport": _text(via.transport), "host": _text(via.host), "port": via.port,
        "branch": _text(via.branch),
        "received": _text(via.received), "has_rport": bool(via.has_rport),
        "rport": via.rport_value if via.has_rport_value else None,
        "parameters": _text(via.parameters),
    }


cdef class Parsed:
    """One message in the hands of Python: what sip_parse and sip_validate found in `data`."""
    cdef SipMessage message
    cdef readonly bytes data
    cdef readonly int outcome

    def __init__(self, data: bytes, stream: bool = False) -> None:
        cdef const uint8_t* start = <const uint8_t*><const char*>data
        cdef uint32_t length = <uint32_t>len(data)
        cdef int mode = PARSE_STREAM if stream else PARSE_DATAGRAM
        self.data = data
        with nogil:
            self.outcome = sip_parse(&self.message, start, length, mode)

    def validate(self) -> int:
        """Return 0, or the SIP status that refuses the message; `fields` then tells the fault."""
        cdef int status
        if self.outcome != PARSE_OK:
            return parse_error_status(self.message.error)
        with nogil:
            status = sip_validate(&self.message)
        return status

    def number(self, header: int) -> int | None:
        """Return the number that the first header of this HeaderId begins with."""
        cdef uint64_t value = 0
        return value if header_uint(&self.message, <uint8_t>header, &value) else None

    def has(self, header: int, token: bytes) -> bool:
        """Return whether a header of this HeaderId lists the token, in any case."""
        return bool(list_has(&self.message, <uint8_t>header, <const char*>token))

    def expires(self, user: bytes) -> int:
        """Return the seconds granted to the Contact of that user, -1 when nothing says so."""
        return contact_expires(&self.message, _span(user, len(user)), 0)

    def headers(self) -> list[tuple[int, bytes, bytes]]:
        """Return (HeaderId, name, value) of the headers that are kept, in order."""
        cdef SipHeader* header = self.message.headers
        return [(header[i].id, _text(header[i].name), _text(header[i].value))
                for i in range(self.message.header_count)]

    def chain(self, header: int) -> list[int]:
        """Return the places in `headers` of all headers of this HeaderId."""
        cdef SipHeader* place = sip_header(&self.message, <uint8_t>header)
        indexes = []
        while place != NULL:
            indexes.append(place - self.message.headers)
            place = sip_header_next(&self.message, place)
        return indexes

    def fields(self) -> dict[str, object]:
        """Return the typed fields of the message by the names of SipMessage."""
        cdef SipMessage* m = &self.message
        return {
            "length": m.length, "start": m.start, "is_request": bool(m.is_request),
            "method": m.method, "cseq_method": m.cseq_method,
            "too_many_headers": bool(m.too_many_headers), "status": m.status,
            "error": m.error, "error_at": m.error_at, "method_text": _text(m.method_text),
            "uri": _text(m.uri), "reason": _text(m.reason), "call_id": _text(m.call_id),
            "cseq_method_text": _text(m.cseq_method_text),
            "from_value": _text(m.from_value), "from_tag": _text(m.from_tag),
            "to_value": _text(m.to_value), "to_tag": _text(m.to_tag),
            "contact_uri": _text(m.contact_uri), "via": _via_dict(&m.via),
            "via_count": m.via_count, "cseq": m.cseq, "body": _text(m.body),
        }


cdef Span _span(const char* text, Py_ssize_t length):
    return span_make(<const uint8_t*>text, <uint32_t>length)


def refusal(error: int) -> int:
    """Return the SIP status that refuses a request with this ParseFault; 0: drop it."""
    return parse_error_status(error)


def uri(text: bytes) -> dict[str, object] | None:
    """Return the parts of a URI, None when it is not one."""
    cdef SipUri parts
    if not uri_parse(&parts, _span(text, len(text))):
        return None
    return {
        "scheme": _text(parts.scheme), "user": _text(parts.user), "password": _text(parts.password),
        "host": _text(parts.host), "port": parts.port, "parameters": _text(parts.parameters),
        "headers": _text(parts.headers), "kind": parts.kind,
    }


def addresses(value: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """Return (display, uri, parameters) of each address in a list, None when one is malformed."""
    cdef Span rest = _span(value, len(value))
    cdef SipAddress address
    found = []
    while rest.length:
        if address_parse(&address, &rest):
            found.append((_text(address.display), _text(address.uri), _text(address.parameters)))
        elif rest.length or address.uri.length or not found:
            return None
    return found


def vias(value: bytes) -> list[dict[str, object]] | None:
    """Return the via-parms of a list, None when one is malformed."""
    cdef Span rest = _span(value, len(value))
    cdef SipVia via
    found = []
    while rest.length:
        if not via_parse(&via, &rest):
            return None
        found.append(_via_dict(&via))
    return found


def items(value: bytes) -> list[bytes]:
    """Return the elements of a comma separated list."""
    cdef Span rest = _span(value, len(value))
    cdef Span item
    found = []
    while list_next(&rest, &item):
        found.append(_text(item))
    return found


def parameter(parameters: bytes, name: bytes) -> bytes | None:
    """Return the value of a parameter, empty when it has none; None: absent. Lower-case name."""
    cdef bint present = False
    cdef Span text = _span(parameters, len(parameters))
    cdef Span value = parameter_find(text, <const char*>name, &present)
    return _text(value) if present else None


def parameters(text: bytes) -> list[tuple[bytes, bytes | None]]:
    """Return (name, value) of each parameter as written; the value is None without a "="."""
    cdef Span rest = _span(text, len(text))
    cdef Span name
    cdef Span value
    found = []
    while rest.length:
        if parameter_next(&rest, &name, &value):
            found.append((_text(name), _text(value) if value.data != NULL else None))
    return found


def challenge(value: bytes) -> dict[str, object] | None:
    """Return the parts of a challenge (RFC 3261 20.44), None when it is malformed."""
    cdef SipChallenge parts
    if not challenge_parse(&parts, _span(value, len(value))):
        return None
    return {
        "scheme": _text(parts.scheme), "realm": _text(parts.realm), "nonce": _text(parts.nonce),
        "opaque": _text(parts.opaque), "algorithm": _text(parts.algorithm), "qop": _text(parts.qop),
        "stale": bool(parts.stale),
    }


def credentials(value: bytes) -> dict[str, object] | None:
    """Return the parts of credentials (RFC 3261 20.7), None when they are malformed."""
    cdef SipCredentials parts
    if not credentials_parse(&parts, _span(value, len(value))):
        return None
    return {
        "scheme": _text(parts.scheme), "username": _text(parts.username),
        "realm": _text(parts.realm),
        "nonce": _text(parts.nonce), "uri": _text(parts.uri), "response": _text(parts.response),
        "algorithm": _text(parts.algorithm), "cnonce": _text(parts.cnonce),
        "opaque": _text(parts.opaque),
        "qop": _text(parts.qop), "nc": _text(parts.nc),
    }


def parse_many(messages: list[bytes], rounds: int) -> int:
    """Parse all datagrams `rounds` times, making no Python object; return how many were OK."""
    cdef SipMessage message
    cdef Span places[256]
    cdef uint32_t count = <uint32_t>len(messages)
    cdef uint32_t i
    cdef uint64_t _turn
    cdef uint64_t turns = rounds
    cdef uint64_t good = 0
    if count > 256:
        raise ValueError("at most 256 messages")
    for i in range(count):
        text = messages[i]
        places[i] = _span(text, len(text))
    with nogil:
        for _turn in range(turns):
            for i in range(count):
                good += sip_parse(&message, places[i].data, places[i].length,
                                  PARSE_DATAGRAM) == PARSE_OK
    return good
