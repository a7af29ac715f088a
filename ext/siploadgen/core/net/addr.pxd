# Peer <-> socket address <-> text. Numeric addresses only: names are resolved before a run.
from siploadgen.core.span cimport Span, span_make, span_to_uint
from siploadgen.core.types cimport PEER_IPV4, PEER_IPV6, PEER_NONE, Peer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset, strlen

cdef enum:
    PEER_TEXT_MAX = 56          # "[v6]:port" with its final NUL

cdef extern from "slg_net.h" nogil:
    enum: AF_INET
    enum: AF_INET6
    ctypedef uint32_t socklen_t
    cdef struct sockaddr:
        uint16_t sa_family
    cdef struct sockaddr_storage:
        uint16_t ss_family
    cdef struct in_addr:
        uint32_t s_addr
    cdef struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    cdef struct in6_addr:
        uint8_t s6_addr[16]
    cdef struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t htons(uint16_t x)
    uint16_t ntohs(uint16_t x)
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)

cdef inline void peer_clear(Peer* peer) noexcept nogil:
    memset(peer, 0, sizeof(Peer))

cdef inline bint peer_equal(const Peer* a, const Peer* b) noexcept nogil:
    """The same address, port and socket of ours."""
    return memcmp(a, b, sizeof(Peer)) == 0

cdef inline bint peer_same_address(const Peer* a, const Peer* b) noexcept nogil:
    """The same address and port, whichever socket of ours it came in by."""
    return a.family == b.family and a.port == b.port and memcmp(a.ip, b.ip, 16) == 0

cdef inline void peer_from_sockaddr(
    Peer* peer, const sockaddr_storage* address, uint8_t socket
) noexcept nogil:
    """PEER_NONE for families other than the two."""
    peer_clear(peer)
    peer.socket = socket
    if address.ss_family == AF_INET:
        peer.family = PEER_IPV4
        peer.port = ntohs((<const sockaddr_in*>address).sin_port)
        memcpy(peer.ip, &(<const sockaddr_in*>address).sin_addr, 4)
    elif address.ss_family == AF_INET6:
        peer.family = PEER_IPV6
        peer.port = ntohs((<const sockaddr_in6*>address).sin6_port)
        memcpy(peer.ip, &(<const sockaddr_in6*>address).sin6_addr, 16)

cdef inline socklen_t peer_to_sockaddr(
    const Peer* peer, sockaddr_storage* address
) noexcept nogil:
    """The length to hand to the kernel; 0 when the peer is no IP address."""
    cdef sockaddr_in* v4 = <sockaddr_in*>address
    cdef sockaddr_in6* v6 = <sockaddr_in6*>address
    if peer.family == PEER_IPV4:
        memset(v4, 0, sizeof(sockaddr_in))
        v4.sin_family = AF_INET
        v4.sin_port = htons(peer.port)
        memcpy(&v4.sin_addr, peer.ip, 4)
        return sizeof(sockaddr_in)
    if peer.family == PEER_IPV6:
        memset(v6, 0, sizeof(sockaddr_in6))
        v6.sin6_family = AF_INET6
        v6.sin6_port = htons(peer.port)
        memcpy(&v6.sin6_addr, peer.ip, 16)
        return sizeof(sockaddr_in6)
    return 0

cdef inline bint host_parse(Span text, Peer* peer) noexcept nogil:
    """`a.b.c.d`, `[v6]` or bare `v6` into ip and family; False and unchanged when it is neither."""
    cdef char copy[PEER_TEXT_MAX]
    cdef uint8_t ip[16]
    cdef bint v6 = False
    if text.length >= 2 and text.data[0] == 91 and text.data[text.length - 1] == 93:   # [ ]
        text = span_make(text.data + 1, text.length - 2)
        v6 = True
    if text.length == 0 or text.length >= PEER_TEXT_MAX:
        return False
    memcpy(copy, text.data, text.length)
    copy[text.length] = 0
    if strlen(copy) != text.length:             # a NUL inside would end the text early
        return False
    memset(ip, 0, sizeof(ip))
    if not v6 and inet_pton(AF_INET, copy, ip) == 1:
        peer.family = PEER_IPV4
    elif inet_pton(AF_INET6, copy, ip) == 1:
        peer.family = PEER_IPV6
    else:
        return False
    memcpy(peer.ip, ip, 16)
    return True

cdef inline bint peer_parse(Span text, uint16_t default_port, Peer* peer) noexcept nogil:
    """`host`, `host:port`, `[v6]` or `[v6]:port`; socket stays 0. False: no address."""
    cdef Peer found
    cdef uint64_t port = default_port
    cdef uint32_t colons = 0
    cdef uint32_t colon = 0
    cdef uint32_t i
    peer_clear(&found)
    for i in range(text.length):
        if text.data[i] == 58:                  # :
            colons += 1
            colon = i
        elif text.data[i] == 93:                # ]: only the colon after it leads to a port
            colons = 0
    if colons == 1:
        if not span_to_uint(span_make(text.data + colon + 1, text.length - colon - 1), &port):
            return False
        if port > 65535:
            return False
        text = span_make(text.data, colon)
    if not host_parse(text, &found):
        return False
    found.port = <uint16_t>port
    peer[0] = found
    return True

cdef inline uint32_t host_format(const Peer* peer, char* text) noexcept nogil:
    """Writes `a.b.c.d` or `[v6]` and a NUL in PEER_TEXT_MAX octets; the length, 0: no IP."""
    cdef uint32_t length
    text[0] = 0
    if peer.family == PEER_IPV4:
        inet_ntop(AF_INET, peer.ip, text, PEER_TEXT_MAX)
        return <uint32_t>strlen(text)
    if peer.family == PEER_IPV6:
        text[0] = 91
        inet_ntop(AF_INET6, peer.ip, text + 1, PEER_TEXT_MAX - 8)
        length = <uint32_t>strlen(text)
        text[length] = 93
        text[length + 1] = 0
        return length + 1
    return 0

cdef inline uint32_t peer_format(const Peer* peer, char* text) noexcept nogil:
    """Writes `host:port` and a NUL in PEER_TEXT_MAX octets; the length, 0: no IP."""
    cdef uint32_t length = host_format(peer, text)
    cdef uint32_t port = peer.port
    cdef uint32_t digits = 1
    cdef uint32_t i
    if length == 0:
        return 0
    while port >= 10:
        port //= 10
        digits += 1
    port = peer.port
    text[length] = 58
    for i in range(digits):
        text[length + digits - i] = <char>(48 + port % 10)
        port //= 10
    text[length + digits + 1] = 0
    return length + digits + 1
