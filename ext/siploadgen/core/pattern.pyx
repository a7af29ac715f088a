"""Regular expressions (see pattern.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from siploadgen.core.auth cimport text_stamp
from siploadgen.core.counters cimport COUNT_SLAB_FULL
from siploadgen.core.program cimport (
    Insn, MATCH_ANY_CASE, MATCH_IN_BODY, MATCH_IN_HEADER, MATCH_IN_MESSAGE, MATCH_IN_START_LINE,
    MATCH_IN_TEXT, OP_MATCH, Segment, Template,
)
from siploadgen.core.records cimport (
    Core, core_count, Instance, instance_texts, instance_variables,
)
from siploadgen.core.sip.parse cimport sip_header, sip_header_next, SipHeader
from siploadgen.core.span cimport Span, span_between, span_iequal, span_make
from siploadgen.core.texts cimport text_data, text_give, text_span, text_take
from siploadgen.core.types cimport NONE, SLG_UNREACHABLE

cdef extern from "<regex.h>" nogil:
    ctypedef struct regex_t:
        size_t re_nsub

    ctypedef struct regmatch_t:
        int rm_so
        int rm_eo

    enum:
        REG_EXTENDED
        REG_ICASE
        REG_STARTEND

    int regcomp(regex_t* compiled, const char* text, int flags)
    int regexec(const regex_t* compiled, const char* text, size_t count, regmatch_t* found,
                int flags)
    size_t regerror(int code, const regex_t* compiled, char* out, size_t room)
    void regfree(regex_t* compiled)

cdef extern from "<locale.h>" nogil:
    ctypedef void* locale_t
    enum:
        LC_ALL_MASK

    locale_t newlocale(int mask, const char* name, locale_t base)
    locale_t uselocale(locale_t locale)
    void freelocale(locale_t locale)

cdef enum:
    NAME_MAX = 64               # octets of a header's name


cdef int compile_octets(regex_t* compiled, bytes text, bint any_case) except -1:
    """Compile for octets, whatever the process's locale; ValueError says what is wrong."""
    cdef char said[256]
    cdef locale_t plain, before
    cdef int code
    if b"\0" in text:
        raise ValueError("a pattern cannot have a NUL")
    if _refers_back(text):
        raise ValueError("a pattern cannot refer back to what a group found")
    plain = newlocale(LC_ALL_MASK, b"C", <locale_t>NULL)
    before = uselocale(plain)
    code = regcomp(compiled, text, <int>REG_EXTENDED | (<int>REG_ICASE if any_case else 0))
    uselocale(before)
    freelocale(plain)
    if code:
        regerror(code, compiled, said, sizeof(said))
        raise ValueError(said.decode("ascii", "replace").lower())
    return 0


cdef bint _refers_back(bytes text):
    """`\\1`: what it matches takes exponential time to find."""
    cdef bint escaped = False
    cdef uint8_t one
    for one in text:
        if escaped and 49 <= one <= 57:
            return True
        escaped = one == 92 and not escaped
    return False


def pattern_groups(bytes pattern not None, bint any_case=False):
    """Return how many groups in brackets a POSIX extended regular expression has.

    ValueError: it is none, or one that refers back to a group.
    """
    cdef regex_t compiled
    compile_octets(&compiled, pattern, any_case)
    groups = compiled.re_nsub
    regfree(&compiled)
    return groups


cdef int patterns_open(Core* core, uint32_t templates) except -1:
    cdef const Insn* insn
    cdef const Template* template
    cdef const Segment* segment
    cdef regex_t* compiled
    cdef uint32_t pc
    core.pattern_count = 2 * templates              # the second half: in any case
    core.patterns = <void**>calloc(core.pattern_count + 1, sizeof(void*))
    if core.patterns == NULL:
        raise MemoryError("patterns")
    for pc in range(core.insns):
        insn = core.code + pc
        if insn.op != OP_MATCH or core.patterns[pattern_place(core, insn)] != NULL:
            continue
        template = core.templates + insn.a
        segment = core.segments + template.first
        compiled = <regex_t*>calloc(1, sizeof(regex_t))
        if compiled == NULL:
            raise MemoryError("a pattern")
        try:
            compile_octets(compiled, core.text[segment.offset:segment.offset + segment.length]
                           if template.count else b"", insn.c & MATCH_ANY_CASE != 0)
        except ValueError as error:
            free(compiled)
            raise ValueError(f"pc {pc}: {error}") from None
        core.patterns[pattern_place(core, insn)] = compiled
    return 0


cdef void patterns_close(Core* core) noexcept:
    cdef uint32_t i
    if core.patterns == NULL:
        return
    for i in range(core.pattern_count):
        if core.patterns[i] != NULL:
            regfree(<regex_t*>core.patterns[i])
            free(core.patterns[i])
    free(core.patterns)
    core.patterns = NULL


cdef inline uint32_t pattern_place(Core* core, const Insn* insn) noexcept nogil:
    return insn.a + (core.pattern_count // 2 if insn.c & MATCH_ANY_CASE else 0)


cdef Span header_in(Core* core, Instance* instance, int64_t c) noexcept nogil:
    cdef uint8_t name[NAME_MAX]
    cdef SipHeader* header = sip_header(core.message, <uint8_t>(c >> 8 & 0xFF))
    cdef Span called = span_make(NULL, 0)
    cdef int64_t left = c >> 16 & 0xFF
    if c >> 32:
        called = span_make(name, text_stamp(core, instance, <uint16_t>(c >> 32), name, NAME_MAX))
    while header != NULL:
        if not called.length or span_iequal(header.name, called):
            left -= 1
            if left <= 0:
                return header.value
        header = sip_header_next(core.message, header)
    return span_make(NULL, 0)


cdef Span looked_in(Core* core, Instance* instance, int64_t c) noexcept nogil:
    """The octets that an OP_MATCH looks at; data NULL: there are none."""
    cdef int64_t where = c & 0xFF
    cdef uint32_t i
    cdef const uint8_t* line
    if where == MATCH_IN_TEXT:
        return text_span(&core.texts, instance_texts(core, instance)[c >> 8 & 0xFF])
    if core.message == NULL:
        return span_make(NULL, 0)
    line = core.message.data + core.message.start
    if where == MATCH_IN_MESSAGE:
        return span_between(line, core.message.data + core.message.length)
    elif where == MATCH_IN_START_LINE:
        i = 0
        while line[i] != 13 and line[i] != 10:          # it parsed, so there is an end
            i += 1
        return span_make(line, i)
    elif where == MATCH_IN_HEADER:
        return header_in(core, instance, c)
    elif where == MATCH_IN_BODY:
        return core.message.body
    SLG_UNREACHABLE()
    return span_make(NULL, 0)


cdef int64_t number_of(Span text) noexcept nogil:
    """The number that a text begins with; -1: none, or more than 18 digits."""
    cdef int64_t value = 0
    cdef uint32_t i = 0
    cdef bint below = text.length > 1 and text.data[0] == 45
    if below:
        i = 1
    while i < text.length and 48 <= text.data[i] <= 57:
        if i == 18:
            return -1
        value = value * 10 + (text.data[i] - 48)
        i += 1
    if i == <uint32_t>below:
        return -1
    return -value if below else value


cdef void group_fill(Core* core, Instance* instance, const Insn* group, Span found,
                     bint whole) noexcept nogil:
    """`whole`: a line end stays one; else it is a blank, as a fold is (RFC 3261 7.3.1)."""
    cdef uint32_t* text
    cdef uint8_t* out
    cdef uint32_t fresh = NONE
    cdef uint32_t i
    if group.flags:
        instance_variables(core, instance)[group.a] = number_of(found)
        return
    text = instance_texts(core, instance) + group.a
    if found.length:
        fresh = text_take(&core.texts, found.length)
        if fresh == NONE:
            core_count(core, COUNT_SLAB_FULL)
        else:
            out = text_data(&core.texts, fresh)
            for i in range(found.length):
                out[i] = 32 if not whole and (found.data[i] == 13 or found.data[i] == 10) \
                    else found.data[i]
    text_give(&core.texts, text[0])
    text[0] = fresh


cdef bint pattern_match(Core* core, Instance* instance, const Insn* insn) noexcept nogil:
    cdef const regex_t* compiled = <const regex_t*>core.patterns[pattern_place(core, insn)]
    cdef regmatch_t found[10]
    cdef Span where = looked_in(core, instance, insn.c)
    cdef bint there = False
    cdef int64_t source = insn.c & 0xFF
    cdef bint whole = source == MATCH_IN_BODY or source == MATCH_IN_TEXT
    cdef uint32_t i
    cdef const Insn* group
    cdef uint8_t kept[8192]
    memset(found, 0xFF, sizeof(found))
    if where.data != NULL:
        found[0].rm_so = 0
        found[0].rm_eo = <int>where.length
        there = regexec(compiled, <const char*>where.data, PATTERN_GROUPS, found,
                        REG_STARTEND) == 0
    if there and source == MATCH_IN_TEXT and insn.flags and where.length <= sizeof(kept):
        # one of the groups may be the text that is being looked at
        memcpy(kept, where.data, where.length)
        where.data = kept
    for i in range(insn.flags):
        group = insn + 1 + i
        if there and found[group.b].rm_so >= 0:
            group_fill(core, instance, group, span_make(
                where.data + found[group.b].rm_so,
                <uint32_t>(found[group.b].rm_eo - found[group.b].rm_so)), whole)
        else:
            group_fill(core, instance, group, span_make(NULL, 0), whole)
    return there
