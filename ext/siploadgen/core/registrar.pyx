"""A registrar's bindings (see registrar.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy
from siploadgen.core.counters cimport COUNT_BINDINGS_FULL
from siploadgen.core.records cimport Binding, Core, core_count, Registrar, REGISTRAR_LINES
from siploadgen.core.sip.parse cimport (
    address_parse, list_has, list_next, parameter_next, sip_header, sip_header_next, SipAddress,
    SipHeader, SipMessage, SipUri, uri_parameter, uri_parse,
)
from siploadgen.core.sip.tokens cimport (
    HEADER_CONTACT, HEADER_EXPIRES, HEADER_PATH, HEADER_SUPPORTED,
)
from siploadgen.core.slab cimport slab_at, slab_check, slab_close, slab_give, slab_open, slab_take
from siploadgen.core.span cimport (
    byte_lower, Span, span_equal, span_iequal, span_make, span_to_uint,
)
from siploadgen.core.table cimport (
    table_add, table_close, table_find, table_home, table_open, table_remove,
)
from siploadgen.core.texts cimport (
    text_data, text_give, text_head, text_take, TEXT_CLASSES, texts_close, texts_open,
)
from siploadgen.core.types cimport INDEX_MAX, Nanos, NONE, SLG_ASSERT

cdef extern from "slg_hash.h" nogil:
    uint64_t slg_hash64(const uint8_t* data, uint32_t length, uint64_t seed)
    void slg_hex16(uint8_t* out, uint64_t value)
    uint32_t slg_decimal(uint8_t* out, uint64_t value)

cdef enum:
    ADDRESS_MAX = 1024          # octets of an address of record
    LIST_ROOM = 49152           # octets of Contacts in one answer
    # ... of one line: a Contact, its instance once more, and twice the address of record
    LINE_ROOM = 2 * BIND_TEXT + 2 * ADDRESS_MAX + 256
    ECHO_OCTETS = 65536 - 64    # of Core.echo
    HOUR = 3600
    SWEEP = 4                   # records looked at for expiry with each new binding

cdef Nanos SECOND = 1_000_000_000

# One Contact of the request at hand.
cdef struct Item:
    Span uri
    uint64_t expires
    uint64_t instance           # hash of +sip.instance, 0: none
    uint32_t reg_id             # of outbound, 0: none
    uint32_t line               # where its text begins in Registrar.lines
    uint16_t uri_length
    uint16_t line_length        # without expires
    uint16_t instance_at        # where the value of +sip.instance is in its text
    uint16_t instance_length


cdef int registrar_open(Core* core, uint32_t bindings) except -1:
    cdef Registrar* registrar
    if not bindings:
        return 0
    if bindings > INDEX_MAX:
        raise ValueError(f"{bindings} bindings: at most {INDEX_MAX}")
    core.registrar = registrar = <Registrar*>calloc(1, sizeof(Registrar))
    if registrar == NULL:
        raise MemoryError("registrar")
    slab_open(&registrar.bindings, bindings, (sizeof(Binding) + 7) // 8 * 8)
    texts_open(&registrar.texts, bindings)
    table_open(&registrar.table, bindings)
    return 0


cdef void registrar_close(Core* core) noexcept nogil:
    cdef Registrar* registrar = core.registrar
    if registrar == NULL:
        return
    slab_close(&registrar.bindings)
    texts_close(&registrar.texts)
    table_close(&registrar.table)
    free(registrar)
    core.registrar = NULL


cdef int registrar_check(Core* core) except -1:
    cdef Registrar* registrar = core.registrar
    cdef uint32_t i, index, seen, texts = 0, heads = 0
    cdef Binding* one
    if registrar == NULL:
        return 0
    slab_check(&registrar.bindings)
    for i in range(<uint32_t>TEXT_CLASSES):
        slab_check(&registrar.texts.slabs[i])
        texts += registrar.texts.slabs[i].used
    for i in range(registrar.bindings.high):
        one = binding_at(registrar, i)
        if not one.generation & 1:
            continue
        index = list_head(registrar, one.aor)
        heads += index == i
        seen = 0
        while index != i:
            assert index != NONE, "a binding is in the list of its address"
            seen += 1
            assert seen < BIND_ADDRESS, "a list ends"
            index = binding_at(registrar, index).next
    assert heads == registrar.table.used, "the table has the first of each list"
    assert texts == registrar.bindings.used, "a binding has one text"
    return 0


cdef inline Binding* binding_at(Registrar* registrar, uint32_t index) noexcept nogil:
    return <Binding*>slab_at(&registrar.bindings, index)


cdef inline uint8_t* put(uint8_t* at, const char* text, uint32_t length) noexcept nogil:
    memcpy(at, text, length)
    return at + length


cdef inline uint8_t* put_span(uint8_t* at, Span span) noexcept nogil:
    if span.length:
        memcpy(at, span.data, span.length)
    return at + span.length


# --- equality ---

cdef inline int hex_digit(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 0x20
    return c - 87 if 97 <= c <= 102 else -1


cdef uint8_t* put_unescaped(uint8_t* at, Span text) noexcept nogil:
    """%HH is the octet that it stands for (RFC 3261 10.3 step 5, 19.1.4)."""
    cdef uint32_t i = 0
    if text.length == 0 or memchr(text.data, 37, text.length) == NULL:
        return put_span(at, text)
    while i < text.length:
        if text.data[i] == 37 and i + 2 < text.length and hex_digit(text.data[i + 1]) >= 0 \
                and hex_digit(text.data[i + 2]) >= 0:
            at[0] = <uint8_t>(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]))
            i += 3
        else:
            at[0] = text.data[i]
            i += 1
        at += 1
    return at


cdef uint8_t* put_lower(uint8_t* at, Span text) noexcept nogil:
    cdef uint32_t i
    for i in range(text.length):
        at[i] = byte_lower(text.data[i])
    return at + text.length


cdef uint32_t address_write(const SipUri* uri, uint8_t* out) noexcept nogil:
    """The canonical form of an address of record: escapes undone, no parameters."""
    cdef uint8_t* at = out
    at[0] = uri.kind
    at = put_unescaped(at + 1, uri.user)
    if uri.password.length:
        at[0] = 58
        at = put_unescaped(at + 1, uri.password)
    at[0] = 64
    at = put_lower(at + 1, uri.host)
    if uri.port:
        at[0] = 58
        at += 1 + slg_decimal(at + 1, uri.port)
    return <uint32_t>(at - out)


cdef bint to_uri(Core* core, SipUri* uri) noexcept nogil:
    cdef SipAddress address
    cdef Span rest = core.message.to_value
    return address_parse(&address, &rest) and uri_parse(uri, address.uri) \
        and (uri.kind == 1 or uri.kind == 2) and address.uri.length < ADDRESS_MAX - 8


cdef bint unescaped_same(Span a, Span b) noexcept nogil:
    cdef uint8_t left[1024]
    cdef uint8_t right[1024]
    if span_equal(a, b):
        return True
    if a.length > 1024 or b.length > 1024:
        return False
    return span_equal(span_make(left, <uint32_t>(put_unescaped(left, a) - left)),
                      span_make(right, <uint32_t>(put_unescaped(right, b) - right)))


cdef bint parameter_same(SipUri* a, SipUri* b, const char* name) noexcept nogil:
    """One that tells two URIs apart even when only one of them has it."""
    cdef bint in_a, in_b
    cdef Span left = uri_parameter(a, name, &in_a)
    cdef Span right = uri_parameter(b, name, &in_b)
    return in_a == in_b and span_iequal(left, right)


cdef bint others_same(SipUri* a, SipUri* b) noexcept nogil:
    """A parameter that both have has one value."""
    cdef Span rest = a.parameters
    cdef Span others, name, value, other, second
    while parameter_next(&rest, &name, &value):
        others = b.parameters
        while parameter_next(&others, &other, &second):
            if span_iequal(name, other) and not span_iequal(value, second):
                return False
    return True


cdef bint uri_same(Span left, Span right) noexcept nogil:
    """RFC 3261 19.1.4; URIs of other schemes octet by octet."""
    cdef SipUri a, b
    if span_equal(left, right):
        return True
    if not uri_parse(&a, left) or not uri_parse(&b, right) or a.kind != b.kind \
            or not (a.kind == 1 or a.kind == 2) or a.port != b.port:
        return False
    return span_iequal(a.host, b.host) and unescaped_same(a.user, b.user) \
        and unescaped_same(a.password, b.password) \
        and parameter_same(&a, &b, b"transport") and parameter_same(&a, &b, b"maddr") \
        and parameter_same(&a, &b, b"user") and parameter_same(&a, &b, b"ttl") \
        and parameter_same(&a, &b, b"method") and others_same(&a, &b) \
        and span_iequal(a.headers, b.headers)


# --- the bindings of one address of record ---

cdef inline Span binding_uri(Registrar* registrar, const Binding* one) noexcept nogil:
    return span_make(text_data(&registrar.texts, one.text) + 1, one.uri_length)


cdef uint32_t list_unlink(Registrar* registrar, uint32_t head, uint32_t index) noexcept nogil:
    """Take a binding out of its list and give it back; the head from then on."""
    cdef Binding* one = binding_at(registrar, index)
    cdef uint32_t previous = head
    if index == head:
        table_remove(&registrar.table, one.aor, index)
        head = one.next
        if head != NONE:
            table_add(&registrar.table, one.aor, head)
    else:
        while binding_at(registrar, previous).next != index:
            previous = binding_at(registrar, previous).next
            SLG_ASSERT(previous != NONE)
        binding_at(registrar, previous).next = one.next
    text_give(&registrar.texts, one.text)
    slab_give(&registrar.bindings, index)
    return head


cdef uint32_t list_head(Registrar* registrar, uint64_t aor) noexcept nogil:
    cdef uint32_t slot = table_home(&registrar.table, aor)
    cdef uint32_t index = table_find(&registrar.table, aor, &slot)
    while index != NONE and binding_at(registrar, index).aor != aor:
        index = table_find(&registrar.table, aor, &slot)
    return index


cdef uint32_t list_live(Registrar* registrar, uint64_t aor, Nanos now) noexcept nogil:
    """The first binding of an address, after those that have run out were dropped."""
    cdef uint32_t head = list_head(registrar, aor)
    cdef uint32_t index = head
    cdef uint32_t next
    while index != NONE:
        next = binding_at(registrar, index).next
        if binding_at(registrar, index).expires <= now:
            head = list_unlink(registrar, head, index)
        index = next
    return head


cdef uint32_t list_length(Registrar* registrar, uint32_t index) noexcept nogil:
    cdef uint32_t length = 0
    while index != NONE:
        length += 1
        index = binding_at(registrar, index).next
    return length


cdef uint32_t list_match(Registrar* registrar, uint32_t index, const Item* item) noexcept nogil:
    """The binding that a Contact is about: of outbound by instance and reg-id (RFC 5626 6)."""
    cdef Binding* one
    while index != NONE:
        one = binding_at(registrar, index)
        if one.reg_id == item.reg_id and (one.instance == item.instance if item.reg_id else
                                          uri_same(binding_uri(registrar, one), item.uri)):
            return index
        index = one.next
    return NONE


cdef void sweep(Registrar* registrar, Nanos now) noexcept nogil:
    """Bindings of addresses that nobody asks for any more run out too: each new one looks at a few
    records, so that all are looked at in turn.
    """
    cdef uint32_t _i, index
    cdef Binding* one
    for _i in range(min(<uint32_t>SWEEP, registrar.bindings.high)):
        index = registrar.swept % registrar.bindings.high
        registrar.swept = index + 1
        one = binding_at(registrar, index)
        if one.generation & 1 and one.expires <= now:
            list_unlink(registrar, list_head(registrar, one.aor), index)


# --- reading the request ---

cdef inline uint64_t seconds_of(Span text) noexcept nogil:
    """A malformed time counts as an hour (RFC 3261 10.2.1.1); 32 bits hold any other."""
    cdef uint64_t seconds
    return min(seconds, <uint64_t>0xFFFFFFFF) if span_to_uint(text, &seconds) else HOUR


cdef bint item_parameters(Core* core, Item* item, Span parameters, uint8_t* start,
                          uint8_t* at) noexcept nogil:
    """Read a Contact's parameters, and write those that stay behind its URI. False: too long."""
    cdef uint64_t number
    cdef Span name, value, bare
    while parameter_next(&parameters, &name, &value):
        if span_iequal(name, span_make(<const uint8_t*>b"expires", 7)):
            item.expires = seconds_of(value)
            continue
        if <uint64_t>(at - start) + name.length + value.length + 2 > BIND_TEXT:
            return False
        at[0] = 59
        at = put_span(at + 1, name)
        if value.data == NULL:
            continue
        at[0] = 61
        at += 1
        bare = value
        if span_iequal(name, span_make(<const uint8_t*>b"+sip.instance", 13)) \
                and value.length > 4 and value.data[0] == 34 and value.data[1] == 60:
            # "<urn:...>", of which pub-gruu wants what is between (RFC 5627 5.1)
            bare = span_make(value.data + 2, value.length - 4)
            item.instance_at = <uint16_t>(at - start + 2)
            item.instance_length = <uint16_t>bare.length
            item.instance = slg_hash64(bare.data, bare.length, core.hash_seed) | 1
        elif span_iequal(name, span_make(<const uint8_t*>b"reg-id", 6)) \
                and span_to_uint(value, &number) and 0 < number <= 0x7FFFFFFF:
            item.reg_id = <uint32_t>number
        at = put_span(at, value)
    item.line_length = <uint16_t>(at - start)
    if item.instance == 0:
        item.reg_id = 0                         # it means nothing alone (RFC 5626 6)
    return True


cdef uint16_t items_read(Core* core, Item* items, uint32_t* count) noexcept nogil:
    """The Contacts of the request; 0, or the status that refuses it."""
    cdef Registrar* registrar = core.registrar
    cdef SipHeader* header = sip_header(core.message, HEADER_CONTACT)
    cdef SipHeader* expires = sip_header(core.message, HEADER_EXPIRES)
    cdef uint64_t asked = registrar.default_expires
    cdef uint32_t at = 0
    cdef SipAddress address
    cdef Item* item
    cdef Span rest, before, bad
    cdef uint8_t* start
    if expires != NULL:
        asked = seconds_of(expires.value)
    while header != NULL:
        rest = header.value
        while rest.length:
            before = rest
            if not address_parse(&address, &rest):
                if list_next(&before, &bad):
                    return 400
                break                           # blanks or a comma at the end
            if count[0] == BIND_ITEMS or at + BIND_TEXT > <uint32_t>REGISTRAR_LINES \
                    or address.uri.length + 2 > BIND_TEXT:
                return 513
            item = items + count[0]
            start = registrar.lines + at
            item.uri = address.uri
            item.expires = asked
            item.instance = 0
            item.reg_id = 0
            item.instance_at = 0
            item.instance_length = 0
            item.line = at
            item.uri_length = <uint16_t>address.uri.length
            start[0] = 60
            put_span(start + 1, address.uri)[0] = 62
            item.line_length = <uint16_t>(address.uri.length + 2)
            if address.parameters.length and not item_parameters(
                    core, item, address.parameters, start, start + item.line_length):
                return 513
            at += item.line_length
            count[0] += 1
        header = sip_header_next(core.message, header)
    return 0


cdef uint32_t path_read(Core* core, uint8_t* out) noexcept nogil:
    """The Path of the request (RFC 3327 5.3), its length NONE when it is too long."""
    cdef SipHeader* header = sip_header(core.message, HEADER_PATH)
    cdef uint8_t* at = out
    while header != NULL:
        if <uint64_t>(at - out) + header.value.length + 2 > BIND_TEXT:
            return NONE
        if at > out:
            at = put(at, b", ", 2)
        at = put_span(at, header.value)
        header = sip_header_next(core.message, header)
    return <uint32_t>(at - out)


cdef bint edge_lacks_outbound(Core* core) noexcept nogil:
    """Something stands before us that keeps no flows (RFC 5626 6): several Vias, and no `ob` in the
    URI that the first of them gave as Path.
    """
    cdef SipHeader* header = sip_header(core.message, HEADER_PATH)
    cdef SipAddress address
    cdef SipUri uri
    cdef bint present = False
    cdef Span rest
    if core.message.via_count < 2:
        return False
    while header != NULL:
        rest = header.value
        while rest.length and address_parse(&address, &rest):
            present = False
            if uri_parse(&uri, address.uri):
                uri_parameter(&uri, b"ob", &present)
        header = sip_header_next(core.message, header)
    return not present


# --- deciding and doing ---

cdef uint16_t items_refusal(Core* core, const Item* items, uint32_t count, uint32_t head,
                            uint64_t call_id) noexcept nogil:
    """What is wrong with the Contacts, before anything is changed (RFC 3261 10.3 steps 6 and 7)."""
    cdef Registrar* registrar = core.registrar
    cdef uint32_t i, match
    cdef uint32_t fresh = 0
    cdef uint32_t kept = 0
    cdef bint flows = False
    cdef const Binding* one
    for i in range(count):
        if 0 < items[i].expires < registrar.min_expires and items[i].expires < HOUR:
            return 423
        kept += items[i].expires > 0
        flows = flows or (items[i].reg_id and items[i].expires)
        match = list_match(registrar, head, items + i)
        if match == NONE:
            fresh += items[i].expires > 0
            continue
        one = binding_at(registrar, match)
        if one.call_id == call_id and core.message.cseq <= one.cseq:
            return 500
    if flows and kept > 1:
        return 400                              # one flow in a request (RFC 5626 6)
    if flows and edge_lacks_outbound(core):
        return 439
    if fresh == 0:
        return 0
    sweep(registrar, core.now)
    # The sweep leaves this address alone: what ran out of it is gone already.
    if registrar.bindings.used + fresh > registrar.bindings.capacity \
            or list_length(registrar, head) + fresh > BIND_ADDRESS:
        core_count(core, COUNT_BINDINGS_FULL)
        return 503
    return 0


cdef void binding_write(Registrar* registrar, Binding* one, const Item* item, const uint8_t* path,
                        uint32_t path_length) noexcept nogil:
    """The text of a Contact and its Path, unless it is the one that is there."""
    cdef uint32_t length = item.line_length + path_length
    cdef const uint8_t* line = registrar.lines + item.line
    cdef uint32_t text
    cdef uint8_t* data
    if one.text != NONE and text_head(&registrar.texts, one.text).length == length \
            and one.line_length == item.line_length:
        data = text_data(&registrar.texts, one.text)
        if memcmp(data, line, item.line_length) == 0 \
                and (path_length == 0 or memcmp(data + item.line_length, path, path_length) == 0):
            return
    text = text_take(&registrar.texts, length)
    SLG_ASSERT(text != NONE)                    # there are twice as many as bindings of any size
    data = text_data(&registrar.texts, text)
    memcpy(data, line, item.line_length)
    if path_length:
        memcpy(data + item.line_length, path, path_length)
    text_give(&registrar.texts, one.text)
    one.text = text
    one.uri_length = item.uri_length
    one.line_length = item.line_length
    one.instance_at = item.instance_at
    one.instance_length = item.instance_length


cdef uint32_t item_apply(Core* core, const Item* item, uint32_t head, uint64_t aor,
                         uint64_t call_id, const uint8_t* path,
                         uint32_t path_length) noexcept nogil:
    """One Contact bound, refreshed or removed; the head of the list from then on."""
    cdef Registrar* registrar = core.registrar
    cdef uint32_t index = list_match(registrar, head, item)
    cdef Binding* one
    if item.expires == 0:
        return list_unlink(registrar, head, index) if index != NONE else head
    if index == NONE:
        index = slab_take(&registrar.bindings)
        SLG_ASSERT(index != NONE)
        one = binding_at(registrar, index)
        one.aor = aor
        one.next = NONE
        one.text = NONE
        one.instance = item.instance
        one.reg_id = item.reg_id
        if head == NONE:
            head = index
            table_add(&registrar.table, aor, index)
        else:                                   # behind the head, which the table knows
            one.next = binding_at(registrar, head).next
            binding_at(registrar, head).next = index
    one = binding_at(registrar, index)
    binding_write(registrar, one, item, path, path_length)
    one.instance = item.instance
    one.call_id = call_id
    one.cseq = core.message.cseq
    one.expires = core.now + <Nanos>min(item.expires, <uint64_t>registrar.max_expires) * SECOND
    return head


cdef uint16_t remove_all(Core* core, uint32_t head, uint64_t call_id) noexcept nogil:
    """`Contact: *` with Expires 0, which refuse.pyx has seen (RFC 3261 10.3 step 6)."""
    cdef Registrar* registrar = core.registrar
    cdef uint32_t index = head
    while index != NONE:
        if binding_at(registrar, index).call_id == call_id \
                and core.message.cseq <= binding_at(registrar, index).cseq:
            return 500
        index = binding_at(registrar, index).next
    while head != NONE:
        head = list_unlink(registrar, head, head)
    return 0


cdef uint16_t registrar_bind(Core* core) noexcept nogil:
    cdef SipMessage* message = core.message
    cdef Registrar* registrar = core.registrar
    cdef SipHeader* header
    cdef Item items[64]
    cdef uint8_t address[1024]
    cdef uint8_t path[1024]
    cdef SipUri uri
    cdef uint32_t count = 0
    cdef uint32_t path_length, head, i
    cdef uint64_t aor, call_id
    cdef uint16_t status = 0
    if message == NULL or core.fresh == NONE:
        return 500                              # the program did not answer at once
    if not to_uri(core, &uri):
        return 400
    aor = slg_hash64(address, address_write(&uri, address), core.hash_seed)
    head = list_live(registrar, aor, core.now)
    header = sip_header(message, HEADER_CONTACT)
    if header != NULL:
        call_id = slg_hash64(message.call_id.data, message.call_id.length, core.hash_seed)
        if header.value.length == 1 and header.value.data[0] == 42:
            status = remove_all(core, head, call_id)
            head = head if status else NONE
        else:
            path_length = path_read(core, path)
            status = items_read(core, items, &count)
            if path_length == NONE:
                return 513
            for i in range(count if path_length else 0):
                if items[i].line_length + path_length > BIND_TEXT:
                    return 513
            if status == 0:
                status = items_refusal(core, items, count, head, call_id)
            for i in range(0 if status else count):
                head = item_apply(core, items + i, head, aor, call_id, path, path_length)
        if status:
            return status
    core.contacts_length = lines_write(core, head, &uri, core.now)
    return 200


# --- the answer ---

cdef uint8_t* put_gruus(Core* core, uint8_t* at, const Binding* one,
                        const SipUri* uri) noexcept nogil:
    """RFC 5627 5.1: the public one is the address of record and the instance, the temporary one
    another with each refresh.
    """
    cdef const uint8_t* data = text_data(&core.registrar.texts, one.text)
    cdef uint64_t seed = one.instance ^ one.call_id
    at = put(at, b";pub-gruu=\"sip:", 15) if uri.kind == 1 else put(at, b";pub-gruu=\"sips:", 16)
    at = put_span(at, uri.user)
    if uri.user.length:
        at = put(at, b"@", 1)
    at = put_span(at, uri.host)
    at = put(at, b";gr=", 4)
    at = put_span(at, span_make(data + one.instance_at, one.instance_length))
    at = put(at, b"\";temp-gruu=\"sip:tgruu.", 23) if uri.kind == 1 \
        else put(at, b"\";temp-gruu=\"sips:tgruu.", 24)
    slg_hex16(at, slg_hash64(<const uint8_t*>&one.cseq, sizeof(one.cseq), seed ^ one.aor))
    at = put(at + 16, b"@", 1)
    at = put_span(at, uri.host)
    return put(at, b";gr\"", 4)


cdef uint8_t* put_path(Core* core, uint8_t* at, const uint8_t* end) noexcept nogil:
    """RFC 3327 5.3: whoever says that it knows what it is gets its Path back."""
    cdef SipHeader* header = sip_header(core.message, HEADER_PATH)
    if header == NULL or not list_has(core.message, HEADER_SUPPORTED, b"path"):
        return at
    while header != NULL:
        if <uint64_t>(end - at) < <uint64_t>header.value.length + 8:
            return at
        at = put(at, b"Path: ", 6)
        at = put_span(at, header.value)
        at = put(at, b"\r\n", 2)
        header = sip_header_next(core.message, header)
    return at


cdef uint32_t lines_write(Core* core, uint32_t index, const SipUri* uri,
                          Nanos now) noexcept nogil:
    """Contact of each binding with the time that is left, and what goes with them, behind the echo
    block of the request at hand.
    """
    cdef Registrar* registrar = core.registrar
    cdef uint8_t* out = core.echo + core.echo_length
    cdef uint8_t* at = out
    cdef uint8_t* end = core.echo + ECHO_OCTETS
    cdef bint knows_gruu = False
    cdef bint asked = False
    cdef bint flows = False
    cdef Binding* one
    while index != NONE:
        one = binding_at(registrar, index)
        index = one.next
        if one.expires <= now:
            continue
        if <uint64_t>(end - at) < LINE_ROOM or <uint64_t>(at - out) > LIST_ROOM:
            break                               # a datagram has no room for more
        at = put(at, b"Contact: ", 9)
        at = put_span(at, span_make(text_data(&registrar.texts, one.text), one.line_length))
        at = put(at, b";expires=", 9)
        at += slg_decimal(at, <uint64_t>((one.expires - now + SECOND - 1) // SECOND))
        if one.instance:
            if not asked:
                knows_gruu = list_has(core.message, HEADER_SUPPORTED, b"gruu")
                asked = True
            if knows_gruu:
                at = put_gruus(core, at, one, uri)
        flows = flows or one.reg_id != 0
        at = put(at, b"\r\n", 2)
    if flows and <uint64_t>(end - at) > 64 \
            and list_has(core.message, HEADER_SUPPORTED, b"outbound"):
        at = put(at, b"Require: outbound\r\n", 19)          # RFC 5626 6
        if registrar.flow_timer:
            at = put(at, b"Flow-Timer: ", 12)
            at += slg_decimal(at, registrar.flow_timer)
            at = put(at, b"\r\n", 2)
    if core.message.first[<int>HEADER_PATH] != 0xFFFF:
        at = put_path(core, at, end)
    return <uint32_t>(at - out)


cdef void registrar_again(Core* core, Nanos then) noexcept nogil:
    cdef uint8_t address[1024]
    cdef SipUri uri
    if core.echo_length == 0 or not to_uri(core, &uri):
        return
    core.contacts_length = lines_write(core, list_head(core.registrar, slg_hash64(
        address, address_write(&uri, address), core.hash_seed)), &uri, then)
