# Batched datagram input and output. One syscall carries up to 256 messages out or 64 buffers in;
# with GSO and GRO one message of the kernel carries up to 64 datagrams.
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from siploadgen.core.memory cimport memory_ready, memory_release, memory_reserve
from siploadgen.core.net.addr cimport (
    peer_equal, PEER_TEXT_MAX, peer_format, peer_from_sockaddr, peer_parse, peer_to_sockaddr,
    sockaddr_storage, socklen_t,
)
from siploadgen.core.net.outbox cimport (
    OUTBOX_MESSAGE_MAX, OUTBOX_MESSAGES, Outbox, OutGroup, OutMessage, OutOrder, outbox_clear,
    outbox_close, outbox_commit, outbox_group, outbox_next, outbox_open, outbox_reserve,
)
from siploadgen.core.span cimport span_make
from siploadgen.core.types cimport (
    NONE, PEER_STREAM, Nanos, Peer, SLG_ASSERT, SLG_LIKELY, SLG_UNLIKELY,
)

cdef extern from "slg_net.h" nogil:
    enum: SLG_SEND_CONTROL
    enum: SLG_RECEIVE_CONTROL
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    cdef struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    cdef struct pollfd:
        int fd
        short events
        short revents
    cdef struct slg_received:
        int64_t stamp
        uint32_t segment
        uint32_t drops
        int has_drops
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    ssize_t recvmsg(int fd, msghdr* message, int flags)
    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    int fcntl(int fd, int command, ...)
    int close(int fd)
    int64_t slg_clock(int id)
    void slg_put_segment(msghdr* message, void* control, uint16_t size)
    void slg_get_received(msghdr* message, slg_received* out)
    int slg_get_error(msghdr* message)
    uint32_t slg_socket_drops(int fd)
    int slg_set_int(int fd, int level, int name, int value)
    int slg_get_int(int fd, int level, int name)
    void slg_set_buffer(int fd, int forced, int plain, int octets)
    int slg_socket_beside(int fd)
    int slg_connect(int fd, const void* address, socklen_t length)
    int slg_probe_gso()
    int errno
    const int AF_INET6
    const int CLOCK_MONOTONIC, CLOCK_REALTIME
    const int EAGAIN, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EINTR, EINVAL, EIO, EMSGSIZE
    const int ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPROTO
    const int F_GETFL, F_SETFL, O_NONBLOCK
    const int MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL
    const short POLLOUT
    const int SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP
    const int IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, IPV6_RECVERR, UDP_GRO, UDP_SEGMENT
    const int SO_DOMAIN, SO_RCVBUF, SO_RCVBUFFORCE, SO_RXQ_OVFL, SO_SNDBUF, SO_SNDBUFFORCE
    const int SO_TIMESTAMPNS, SO_TYPE, SOCK_DGRAM

cdef enum:
    # Receive buffers: any datagram fits. The 17 cache lines on top keep the starts of neighbouring
    # buffers apart in the caches, which 64 KiB steps would map to the same few lines.
    BUFFER_STEP = 65536 + 17 * 64
    BUFFERS = UDP_BATCH * BUFFER_STEP
    ERROR_BYTES = 2048              # an ICMP error holds at most a small packet
    SEND_WAITS = 20                 # 1 ms waits for room in one flush; then messages are dropped
    SINGLY = 4                      # entries that are not worth one system call for all of them
    SEND_AGAIN = 4                  # tries of one message against errors that earlier ones caused
    GSO_SIZE_SURE = 1200            # a path that takes no group of this size takes none
    CHIEF_VOTES = 200               # between two ticks: a peer worth a socket of its own

cdef struct State:
    mmsghdr out[<int>OUTBOX_MESSAGES]
    iovec out_vectors[<int>OUTBOX_MESSAGES]
    sockaddr_storage out_names[<int>OUTBOX_MESSAGES]
    uint8_t out_control[<int>OUTBOX_MESSAGES][24]       # SLG_SEND_CONTROL, aligned to 8
    uint32_t out_group[<int>OUTBOX_MESSAGES]            # which group an entry of `out` sends
    uint32_t out_first[<int>OUTBOX_MESSAGES]            # ... and its first message
    mmsghdr inn[<int>UDP_BATCH]
    iovec in_vectors[<int>UDP_BATCH]
    sockaddr_storage in_names[<int>UDP_BATCH]
    uint8_t in_control[<int>UDP_BATCH][128]             # SLG_RECEIVE_CONTROL
    uint32_t drops[<int>UDP_LINES]                      # running totals last heard of
    uint8_t error_data[<int>ERROR_BYTES]
    uint8_t* buffers


cdef Nanos clock_monotonic() noexcept nogil:
    return slg_clock(CLOCK_MONOTONIC)


cdef void read_offset(Udp* udp) noexcept nogil:
    """Realtime minus monotonic, from the pair of readings that was least disturbed."""
    cdef Nanos before, between, after
    cdef Nanos least = 0
    cdef int i
    for i in range(3):
        before = slg_clock(CLOCK_MONOTONIC)
        between = slg_clock(CLOCK_REALTIME)
        after = slg_clock(CLOCK_MONOTONIC)
        if i == 0 or after - before < least:
            least = after - before
            udp.realtime_offset = between - (before + least // 2)


cdef int udp_open(Udp* udp, bint want_gso, bint want_gro) except -1:
    cdef State* state
    cdef uint32_t i
    memset(udp, 0, sizeof(Udp))
    udp.gso = want_gso and slg_probe_gso()
    udp.gso_size = OUTBOX_MESSAGE_MAX
    udp.gro = want_gro
    udp.timestamps = True
    udp.connects = True
    udp.received = <Datagram*>calloc(UDP_RECEIVED, sizeof(Datagram))
    state = <State*>calloc(1, sizeof(State))
    udp.state = state
    if state != NULL:
        state.buffers = <uint8_t*>memory_reserve(BUFFERS)
        memory_ready(state.buffers, BUFFERS)
    if udp.received == NULL or state == NULL:
        udp_close(udp)
        raise MemoryError("UDP buffers")
    for i in range(<uint32_t>UDP_BATCH):
        state.in_vectors[i].iov_base = state.buffers + i * <uint64_t>BUFFER_STEP
        state.in_vectors[i].iov_len = 65536
        state.inn[i].msg_hdr.msg_iov = &state.in_vectors[i]
        state.inn[i].msg_hdr.msg_iovlen = 1
        state.inn[i].msg_hdr.msg_control = state.in_control[i]
    read_offset(udp)
    return 0


cdef void udp_close(Udp* udp) noexcept nogil:
    cdef State* state = <State*>udp.state
    cdef uint32_t i
    for i in range(2 * udp.sockets):
        if udp.lines[i].fd >= 0:
            close(udp.lines[i].fd)
    if state != NULL:
        memory_release(state.buffers, BUFFERS)
    free(state)
    free(udp.received)
    memset(udp, 0, sizeof(Udp))


cdef void line_prepare(Udp* udp, uint32_t line, int fd, int domain) noexcept nogil:
    """Set what each socket of ours has, and take it as this line."""
    cdef State* state = <State*>udp.state
    slg_set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, UDP_BUFFER_WANTED)
    slg_set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, UDP_BUFFER_WANTED)
    slg_set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1)
    # A socket of IPv6 that also speaks IPv4 gets the errors of both.
    slg_set_int(fd, SOL_IP, IP_RECVERR, 1)
    if domain == AF_INET6:
        slg_set_int(fd, SOL_IPV6, IPV6_RECVERR, 1)
    if slg_set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) != 0:
        udp.timestamps = False
    if udp.gso and slg_set_int(fd, SOL_UDP, UDP_SEGMENT, 0) != 0:
        udp.gso = False
    if udp.gro and slg_set_int(fd, SOL_UDP, UDP_GRO, 1) != 0:
        udp.gro = False
    udp.lines[line].fd = fd
    state.drops[line] = slg_socket_drops(fd)


cdef int udp_adopt(Udp* udp, int fd) except -1:
    cdef int domain = slg_get_int(fd, SOL_SOCKET, SO_DOMAIN)
    cdef int flags = fcntl(fd, F_GETFL, 0)
    cdef uint32_t line = 2 * udp.sockets
    if udp.sockets == UDP_SOCKETS:
        raise ValueError(f"an engine has at most {UDP_SOCKETS} UDP sockets")
    if flags < 0 or domain < 0:
        PyErr_SetFromErrno(OSError)
    if slg_get_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM:
        raise ValueError(f"descriptor {fd} is no datagram socket")
    if fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0:
        PyErr_SetFromErrno(OSError)
    line_prepare(udp, line, fd, domain)
    udp.lines[line + 1].fd = -1
    udp.sockets += 1
    return udp.sockets - 1


cdef void udp_buffers(const Udp* udp, uint32_t socket, int* receive, int* send) noexcept nogil:
    SLG_ASSERT(socket < udp.sockets)
    receive[0] = slg_get_int(udp.lines[2 * socket].fd, SOL_SOCKET, SO_RCVBUF)
    send[0] = slg_get_int(udp.lines[2 * socket].fd, SOL_SOCKET, SO_SNDBUF)


# --- the chief peer ---

cdef inline void vote(Line* line, const Peer* peer, uint32_t datagrams) noexcept nogil:
    """Majority vote of Boyer and Moore: who sent more than half is left over."""
    if peer_equal(&line.chief, peer):
        line.votes += datagrams
    elif line.votes >= datagrams:
        line.votes -= datagrams
    else:
        line.chief = peer[0]
        line.votes = datagrams - line.votes


cdef void chief_connect(Udp* udp, uint32_t line) noexcept nogil:
    """Connect the second socket of the open `line` to its chief."""
    cdef sockaddr_storage to
    cdef Peer* chief = &udp.lines[line].chief
    cdef Line* second = &udp.lines[line + 1]
    cdef bint fresh = second.fd < 0
    cdef int fd = slg_socket_beside(udp.lines[line].fd) if fresh else second.fd
    if fd < 0 or slg_connect(fd, &to, peer_to_sockaddr(chief, &to)) != 0:
        if fresh and fd >= 0:
            close(fd)
        udp.connects = False                    # the open socket does all, as before
        return
    if fresh:
        # What is never cut into fragments here needs no number of its own, which all sockets would
        # fetch from one place; what is too long for that leaves by the open socket.
        slg_set_int(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        line_prepare(udp, line + 1, fd, slg_get_int(fd, SOL_SOCKET, SO_DOMAIN))
    second.chief = chief[0]
    second.known = False
    udp.stats.connected += 1


cdef void chiefs_choose(Udp* udp) noexcept nogil:
    cdef uint32_t line
    for line in range(0, 2 * udp.sockets, 2):
        # A peer that is connected is heard by its own line; another takes its place when it is
        # heard twice as often.
        if udp.connects and udp.lines[line].votes >= CHIEF_VOTES + 2 * udp.lines[line + 1].heard:
            chief_connect(udp, line)
        udp.lines[line].votes = 0
        udp.lines[line + 1].heard = 0


cdef void note_drops(Udp* udp, uint32_t line, uint32_t total) noexcept nogil:
    """Count what a socket's running total grew by; it wraps, and may be told late."""
    cdef State* state = <State*>udp.state
    cdef uint32_t grown = total - state.drops[line]
    if grown != 0 and grown < <uint32_t>0x80000000:
        udp.stats.receive_drops += grown
        state.drops[line] = total


cdef void udp_tick(Udp* udp, Nanos now) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t total
    read_offset(udp)
    udp.errors = (<uint32_t>1 << (2 * udp.sockets)) - 1     # look once, whatever was missed
    for i in range(2 * udp.sockets):
        if udp.lines[i].fd >= 0:
            total = slg_socket_drops(udp.lines[i].fd)
            if total != 0:
                note_drops(udp, i, total)
    chiefs_choose(udp)


# --- receiving ---

cdef bint about_a_datagram(Udp* udp, uint32_t line, int error) noexcept nogil:
    """Errors of a socket that an earlier datagram of ours caused; the next call works again."""
    if error == EAGAIN or error == EINTR:
        return False
    udp.errors |= <uint32_t>1 << line
    return (error == ECONNREFUSED or error == EHOSTUNREACH or error == ENETUNREACH
            or error == EHOSTDOWN or error == EPROTO or error == ENOPROTOOPT
            or error == ENETDOWN or error == EOPNOTSUPP)


cdef uint32_t take_apart(
    Udp* udp, uint32_t line, mmsghdr* entry, uint32_t count, Nanos now
) noexcept nogil:
    """Append the datagrams of one buffer behind the first `count`; returns the new count."""
    cdef slg_received about
    cdef Datagram* datagram
    cdef const uint8_t* data = <const uint8_t*>entry.msg_hdr.msg_iov.iov_base
    cdef uint32_t left = entry.msg_len
    cdef uint32_t step, datagrams
    cdef Nanos received = now
    cdef Peer peer
    slg_get_received(&entry.msg_hdr, &about)
    if entry.msg_hdr.msg_name == NULL:
        peer = udp.lines[line].chief
    else:
        peer_from_sockaddr(&peer, <const sockaddr_storage*>entry.msg_hdr.msg_name,
                           <uint8_t>(line >> 1))
    if about.has_drops:
        note_drops(udp, line, about.drops)
    if about.stamp != 0 and about.stamp - udp.realtime_offset < now:
        received = about.stamp - udp.realtime_offset
    step = about.segment if about.segment != 0 else left
    datagrams = (left + step - 1) // step if step else 1
    if line & 1:
        udp.lines[line].heard += datagrams
    else:
        vote(&udp.lines[line], &peer, datagrams)
    while True:
        if count == UDP_RECEIVED:
            udp.stats.receive_drops += (left + step - 1) // step if step else 1
            return count
        datagram = &udp.received[count]
        datagram.data = data
        datagram.length = left if left < step else step
        datagram.received = received
        datagram.peer = peer
        count += 1
        data += datagram.length
        left -= datagram.length
        if left == 0:
            return count


cdef uint32_t udp_receive(Udp* udp, uint32_t line) noexcept nogil:
    cdef State* state = <State*>udp.state
    cdef uint32_t entries = UDP_BATCH_GRO if udp.gro else UDP_BATCH
    cdef uint32_t count = 0
    cdef uint32_t i
    cdef uint32_t _try
    cdef int got = 0
    cdef Nanos now
    SLG_ASSERT(line < 2 * udp.sockets and udp.lines[line].fd >= 0)
    for i in range(entries):
        state.inn[i].msg_hdr.msg_name = NULL if udp.lines[line].known else &state.in_names[i]
        state.inn[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
        state.inn[i].msg_hdr.msg_controllen = SLG_RECEIVE_CONTROL
    for _try in range(<uint32_t>SEND_AGAIN):
        got = recvmmsg(udp.lines[line].fd, state.inn, entries, MSG_DONTWAIT, NULL)
        udp.stats.receive_calls += 1
        if got >= 0 or not (errno == EINTR or about_a_datagram(udp, line, errno)):
            break
    udp.datagrams = 0
    udp.full = got == <int>entries
    udp.lines[line].known = line & 1 and not udp.full
    if got <= 0:
        return 0
    now = slg_clock(CLOCK_MONOTONIC)
    for i in range(<uint32_t>got):
        count = take_apart(udp, line, &state.inn[i], count, now)
    udp.datagrams = count
    udp.stats.received += count
    return count


cdef bint udp_error(Udp* udp, uint32_t line, UdpError* error) noexcept nogil:
    if not udp.errors & (<uint32_t>1 << line) or udp.lines[line].fd < 0:
        return False
    return next_error(udp, line, error)


cdef bint next_error(Udp* udp, uint32_t line, UdpError* error) noexcept nogil:
    """The error queue's next entry that is about a refused datagram; False at its end."""
    cdef State* state = <State*>udp.state
    cdef sockaddr_storage name
    cdef uint8_t control[512]
    cdef iovec vector
    cdef msghdr message
    cdef ssize_t length
    SLG_ASSERT(line < 2 * udp.sockets)
    while True:
        memset(&message, 0, sizeof(message))
        memset(&name, 0, sizeof(name))
        vector.iov_base = state.error_data
        vector.iov_len = ERROR_BYTES
        message.msg_name = &name
        message.msg_namelen = sizeof(name)
        message.msg_iov = &vector
        message.msg_iovlen = 1
        message.msg_control = control
        message.msg_controllen = sizeof(control)
        length = recvmsg(udp.lines[line].fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT)
        if length < 0:
            if errno == EINTR:
                continue
            udp.errors &= ~(<uint32_t>1 << line)
            return False
        error.code = slg_get_error(&message)
        if error.code == 0:
            continue
        peer_from_sockaddr(&error.peer, &name, <uint8_t>(line >> 1))
        error.data = state.error_data
        error.length = <uint32_t>length
        udp.stats.icmp_errors += 1
        return True


# --- sending ---

cdef uint32_t put_vectors(
    State* state, const Outbox* outbox, uint32_t message, uint32_t vectors
) noexcept nogil:
    """Vectors for the messages of a group from `message` on; neighbours in memory share one."""
    cdef const OutMessage* one
    cdef iovec* last = NULL
    while message != NONE:
        one = &outbox.messages[message]
        if last != NULL and <uint8_t*>last.iov_base + last.iov_len == one.data:
            last.iov_len += one.length
        else:
            last = &state.out_vectors[vectors]
            last.iov_base = one.data
            last.iov_len = one.length
            vectors += 1
        message = outbox_next(outbox, message)
    return vectors


cdef inline bint leaves_by(const Udp* udp, const Peer* to, uint32_t line) noexcept nogil:
    """What goes to the chief peer leaves by the socket that is connected to it."""
    cdef const Line* second = &udp.lines[line | 1]
    if to.socket != line >> 1 or to.family == PEER_STREAM:
        return False
    return (second.fd >= 0 and peer_equal(&second.chief, to)) == (line & 1)


cdef uint32_t put_groups(Udp* udp, const Outbox* outbox, uint32_t line) noexcept nogil:
    """Entries for every group of a line, in order; returns how many."""
    cdef State* state = <State*>udp.state
    cdef uint32_t entries = 0
    cdef uint32_t vectors = 0
    cdef uint32_t end
    cdef uint32_t number
    cdef uint32_t message
    cdef const OutGroup* group
    cdef const OutMessage* first
    cdef msghdr* header
    for number in range(outbox.groups):
        group = outbox_group(outbox, number)
        first = &outbox.messages[group.first]
        if not leaves_by(udp, &first.peer, line):
            continue
        message = group.first
        while message != NONE:
            SLG_ASSERT(entries < OUTBOX_MESSAGES and vectors < OUTBOX_MESSAGES)
            header = &state.out[entries].msg_hdr
            if line & 1:
                header.msg_name = NULL
                header.msg_namelen = 0
            else:
                header.msg_name = &state.out_names[entries]
                header.msg_namelen = peer_to_sockaddr(&first.peer, &state.out_names[entries])
            header.msg_iov = &state.out_vectors[vectors]
            header.msg_control = NULL
            header.msg_controllen = 0
            header.msg_flags = 0
            state.out_group[entries] = number
            state.out_first[entries] = message
            entries += 1
            if group.count > 1 and udp.gso and first.length <= udp.gso_size and first.length > 0:
                end = put_vectors(state, outbox, message, vectors)
                slg_put_segment(header, state.out_control[entries - 1], <uint16_t>first.length)
                message = NONE
            else:
                state.out_vectors[vectors].iov_base = outbox.messages[message].data
                state.out_vectors[vectors].iov_len = first.length
                end = vectors + 1
                message = outbox_next(outbox, message)
            header.msg_iovlen = end - vectors
            vectors = end
    return entries


cdef void give_up(Udp* udp, const Outbox* outbox, uint32_t entry) noexcept nogil:
    cdef State* state = <State*>udp.state
    if state.out[entry].msg_hdr.msg_control != NULL:
        udp.stats.send_errors += outbox_group(outbox, state.out_group[entry]).count
    else:
        udp.stats.send_errors += 1


cdef void note_sent(Udp* udp, const Outbox* outbox, uint32_t entry, Nanos when) noexcept nogil:
    cdef State* state = <State*>udp.state
    cdef uint32_t message = state.out_first[entry]
    udp.stats.sent += 1
    outbox.messages[message].left = when
    if state.out[entry].msg_hdr.msg_control != NULL:
        udp.stats.sent += outbox_group(outbox, state.out_group[entry]).count - 1
        udp.stats.sent_groups += 1
        message = outbox_next(outbox, message)
        while message != NONE:
            outbox.messages[message].left = when
            message = outbox_next(outbox, message)


cdef bint refuses_groups(int error) noexcept nogil:
    """What the kernel says when it, or the device, cannot cut a group up."""
    return (error == EIO or error == EINVAL or error == EMSGSIZE or error == EOPNOTSUPP
            or error == ENOPROTOOPT)


cdef void send_aside(
    Udp* udp, const Outbox* outbox, uint32_t message, uint32_t line
) noexcept nogil:
    """One message by the open socket of a line, which cuts it into fragments where it has to."""
    cdef const OutMessage* one = &outbox.messages[message]
    cdef uint32_t _try
    cdef sockaddr_storage to
    cdef mmsghdr single
    cdef iovec vector
    cdef int sent = 0
    memset(&single, 0, sizeof(single))
    single.msg_hdr.msg_name = &to
    single.msg_hdr.msg_namelen = peer_to_sockaddr(&one.peer, &to)
    single.msg_hdr.msg_iov = &vector
    single.msg_hdr.msg_iovlen = 1
    vector.iov_base = one.data
    vector.iov_len = one.length
    outbox.messages[message].left = clock_monotonic()
    udp.errors |= <uint32_t>1 << line           # the kernel may have left a word about it
    line &= ~<uint32_t>1
    for _try in range(<uint32_t>SEND_AGAIN):
        sent = sendmmsg(udp.lines[line].fd, &single, 1, MSG_DONTWAIT | MSG_NOSIGNAL)
        udp.stats.sent_calls += 1
        if sent == 1 or not (errno == EINTR or about_a_datagram(udp, line, errno)):
            break
    if sent == 1:
        udp.stats.sent += 1
    else:
        udp.stats.send_errors += 1


cdef void send_singly(
    Udp* udp, const Outbox* outbox, uint32_t entry, uint32_t line
) noexcept nogil:
    """The messages of a refused group one by one, and no such groups from now on."""
    cdef State* state = <State*>udp.state
    cdef uint32_t message = state.out_first[entry]
    cdef uint32_t length = outbox.messages[message].length
    if length > GSO_SIZE_SURE:
        udp.gso_size = length - 1       # perhaps only longer than the path's largest packet
    else:
        udp.gso = False
    while message != NONE:
        send_aside(udp, outbox, message, line)
        message = outbox_next(outbox, message)


cdef void send_entries(
    Udp* udp, const Outbox* outbox, uint32_t entries, uint32_t line
) noexcept nogil:
    """Send the prepared entries, whatever errors come between."""
    cdef State* state = <State*>udp.state
    cdef uint32_t done = 0
    cdef uint32_t waits = 0             # in this flush: a full device must not hold up the engine
    cdef uint32_t tries = 0             # of the entry at `done`
    cdef uint32_t i
    # Whoever receives an entry may take the core before the next one leaves. Few entries leave one
    # by one, so that each has its true time; many share what they took.
    cdef uint32_t most = 1 if entries <= SINGLY else entries
    cdef int fd = udp.lines[line].fd
    cdef int sent
    cdef pollfd room
    cdef Nanos before, each
    while done < entries:
        before = clock_monotonic()
        sent = sendmmsg(fd, &state.out[done], min(most, entries - done),
                        MSG_DONTWAIT | MSG_NOSIGNAL)
        udp.stats.sent_calls += 1
        if SLG_LIKELY(sent > 0):
            each = (clock_monotonic() - before) // sent if sent > 1 else 0
            for i in range(<uint32_t>sent):
                note_sent(udp, outbox, done + i, before + i * each)
            done += <uint32_t>sent
            tries = 0
            if SLG_UNLIKELY(done < entries and most > 1):   # the kernel forgets why it stopped
                udp.errors |= <uint32_t>1 << line
        elif errno == EINTR:
            pass
        elif (errno == EAGAIN or errno == ENOBUFS or errno == ENOMEM) and waits < SEND_WAITS:
            udp.stats.send_again += 1
            waits += 1
            # A full socket buffer wakes us up when there is room; a full device queue gives no
            # sign, and a socket with room would return at once: then only the time counts.
            room.fd = fd if errno == EAGAIN else -1
            room.events = POLLOUT
            room.revents = 0
            poll(&room, 1, 1)
        elif about_a_datagram(udp, line, errno) and tries < SEND_AGAIN:
            tries += 1                  # pending from an ICMP error: this call has cleared it
        elif state.out[done].msg_hdr.msg_control != NULL and refuses_groups(errno):
            send_singly(udp, outbox, done, line)
            done += 1
            tries = 0
        elif errno == EMSGSIZE and line & 1:
            send_aside(udp, outbox, state.out_first[done], line)
            done += 1
            tries = 0
        else:
            give_up(udp, outbox, done)
            done += 1
            tries = 0


cdef void udp_send(Udp* udp, Outbox* outbox) noexcept nogil:
    cdef uint32_t line
    cdef uint32_t entries
    cdef uint32_t i
    if outbox.count == 0:
        return
    for i in range(outbox.count):
        if SLG_UNLIKELY(outbox.messages[i].peer.socket >= udp.sockets
                        and outbox.messages[i].peer.family != PEER_STREAM):
            udp.stats.send_errors += 1
    for line in range(2 * udp.sockets):
        if udp.lines[line].fd >= 0:
            entries = put_groups(udp, outbox, line)
            if entries:
                send_entries(udp, outbox, entries, line)


# --- the door ---

def monotonic():
    """The core's clock (ns)."""
    return clock_monotonic()


def address(bytes text not None, uint16_t default_port=5060):
    """`text` read as a numeric address and written again; None when it is none."""
    cdef Peer peer
    cdef char written[PEER_TEXT_MAX]
    if not peer_parse(span_make(text, <uint32_t>len(text)), default_port, &peer):
        return None
    peer_format(&peer, written)
    return bytes(written)


cdef class UdpDoor:
    """Sockets and an outbox, driven by hand; for tests."""

    cdef Udp udp
    cdef Outbox outbox
    cdef OutOrder orders[64]

    def __cinit__(self, bint gso=True, bint gro=True, uint32_t group_max=32):
        memset(self.orders, 0, sizeof(self.orders))
        udp_open(&self.udp, gso, gro)
        outbox_open(&self.outbox, group_max)

    def __dealloc__(self):
        udp_close(&self.udp)
        outbox_close(&self.outbox)

    def adopt(self, int fd):
        """Take over a bound socket; returns its number."""
        return udp_adopt(&self.udp, fd)

    cdef uint32_t check_socket(self, uint32_t socket) except? 0:
        if socket >= self.udp.sockets:
            raise IndexError(f"no socket {socket}")
        return socket

    def post(self, bytes data, bytes peer, uint32_t socket=0, order=None):
        """Put a message into the outbox; flushes first when there is no room."""
        cdef Peer to
        cdef uint8_t* room
        cdef OutOrder* kept = NULL
        if len(data) > OUTBOX_MESSAGE_MAX:
            raise ValueError(f"{len(data)} octets: at most {OUTBOX_MESSAGE_MAX}")
        if not peer_parse(span_make(peer, <uint32_t>len(peer)), 5060, &to):
            raise ValueError(f"{peer!r} is no numeric address")
        to.socket = <uint8_t>socket
        if order is not None:
            if not 0 <= order < 64:
                raise ValueError(f"order {order}: 0 to 63")
            kept = &self.orders[<uint32_t>order]
        room = outbox_reserve(&self.outbox)
        if room == NULL:
            self.flush()
            room = outbox_reserve(&self.outbox)
        memcpy(room, <const uint8_t*>data, len(data))
        outbox_commit(&self.outbox, <uint32_t>len(data), &to, kept)

    def flush(self):
        """Send everything that was posted."""
        with nogil:
            udp_send(&self.udp, &self.outbox)
            outbox_clear(&self.outbox)

    def receive(self, uint32_t socket=0):
        """One batch of each of its lines: (data, source, time received in ns, socket)."""
        cdef uint32_t count
        cdef uint32_t i
        cdef uint32_t line
        cdef char text[PEER_TEXT_MAX]
        self.check_socket(socket)
        found = []
        for line in range(2 * socket, 2 * socket + 2):
            if self.udp.lines[line].fd < 0:
                continue
            with nogil:
                count = udp_receive(&self.udp, line)
            for i in range(count):
                peer_format(&self.udp.received[i].peer, text)
                found.append((
                    PyBytes_FromStringAndSize(
                        <const char*>self.udp.received[i].data, self.udp.received[i].length),
                    bytes(text), self.udp.received[i].received, self.udp.received[i].peer.socket))
        return found

    def error(self, uint32_t socket=0):
        """The next ICMP error: (errno, where the datagram was going, its first octets), or None."""
        cdef UdpError error
        cdef char text[PEER_TEXT_MAX]
        self.check_socket(socket)
        if not udp_error(&self.udp, 2 * socket, &error) \
                and not udp_error(&self.udp, 2 * socket + 1, &error):
            return None
        peer_format(&error.peer, text)
        return error.code, bytes(text), PyBytes_FromStringAndSize(
            <const char*>error.data, error.length)

    def tick(self):
        """Read the clocks and the drop counters, choose chief peers."""
        udp_tick(&self.udp, clock_monotonic())

    def chief(self, uint32_t socket=0):
        """Whom the second socket is connected to, None while there is none."""
        cdef char text[PEER_TEXT_MAX]
        self.check_socket(socket)
        if self.udp.lines[2 * socket + 1].fd < 0:
            return None
        peer_format(&self.udp.lines[2 * socket + 1].chief, text)
        return bytes(text)

    def buffers(self, uint32_t socket=0):
        """Octets of (receive buffer, send buffer) as the kernel reports them."""
        cdef int receive, send
        self.check_socket(socket)
        udp_buffers(&self.udp, socket, &receive, &send)
        return receive, send

    def stats(self):
        """UdpStats by name."""
        return dict(self.udp.stats)

    def set_realtime_offset(self, int64_t offset):
        """Pretend that the clocks lay so far apart (ns), until the next tick."""
        self.udp.realtime_offset = offset

    @property
    def realtime_offset(self):
        return self.udp.realtime_offset

    @property
    def gso(self):
        return bool(self.udp.gso)

    @property
    def gso_size(self):
        return self.udp.gso_size

    @property
    def gro(self):
        return bool(self.udp.gro)

    @property
    def timestamps(self):
        return bool(self.udp.timestamps)
