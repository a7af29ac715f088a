# Batched datagram input and output on the sockets of one engine: recvmmsg, sendmmsg, UDP GSO and
# GRO, kernel receive time stamps, queue overflow, ICMP errors. The only file beside loop.pyx that
# makes syscalls on the hot path.
from siploadgen.core.net.outbox cimport Outbox
from siploadgen.core.types cimport Nanos, Peer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    UDP_BATCH = 64                  # recvmmsg entries
    UDP_BATCH_GRO = 32              # ... with GRO, where one entry is up to 64 KiB of datagrams
    UDP_SOCKETS = 8
    UDP_LINES = 16                  # a socket has two: itself, and one connected to its chief peer
    # Most datagrams of one udp_receive. The kernel joins at most 64 (GRO) or 128 (GSO that crossed
    # loopback whole) in one buffer; anything beyond would be counted in receive_drops.
    UDP_RECEIVED = 4096
    UDP_BUFFER_WANTED = 33554432    # socket buffers asked for, octets

cdef struct Datagram:               # one received datagram (a GRO buffer is taken apart)
    const uint8_t* data
    uint32_t length
    Nanos received                  # monotonic clock, by the kernel's time stamp if it gave one
    Peer peer                       # source; .socket says where it came in

cdef struct UdpError:               # one ICMP error from the error queue
    int code                        # errno: ECONNREFUSED, EHOSTUNREACH ...
    Peer peer                       # where the refused datagram was going
    const uint8_t* data             # its first octets, as far as the ICMP message held them
    uint32_t length

cdef struct UdpStats:
    uint64_t sent                   # datagrams
    uint64_t sent_calls             # syscalls
    uint64_t sent_groups            # GSO groups of two or more
    uint64_t send_again             # EAGAIN or ENOBUFS: tried again
    uint64_t send_errors            # datagrams given up
    uint64_t received
    uint64_t receive_calls
    # SO_RXQ_OVFL, summed over sockets. With GRO a lower bound: the kernel counts a dropped buffer
    # of joined datagrams once.
    uint64_t receive_drops
    uint64_t icmp_errors
    uint64_t connected              # times that a socket was connected to a chief peer

# The chief peer of a socket, the one that most datagrams come from, gets a socket of its own on the
# same port, connected to it: the kernel then looks up no route for each datagram, which is a tenth
# of the cost of sending it. What others send still comes in by the open socket.
cdef struct Line:
    int fd                          # -1: none
    Peer chief                      # connected to; of an open socket: who may become it
    uint32_t votes                  # open socket: datagrams of `chief` less those of others
    uint32_t heard                  # connected socket: datagrams; both since the last tick
    # Connected socket: it was empty once since, so all that it holds is of `chief`, and the kernel
    # need not say so.
    bint known

cdef struct Udp:
    Line lines[16]                  # of socket i: 2 i the open one, 2 i + 1 the connected one
    uint32_t sockets
    uint32_t datagrams              # taken apart from the last udp_receive
    bint full                       # it filled every entry: the socket may hold more
    bint gso                        # in use (probe succeeded and asked for)
    uint32_t gso_size               # longest message that is sent in groups
    bint gro
    bint timestamps
    bint connects                   # chief peers get a socket of their own
    uint32_t errors                 # lines (bits) whose error queue may hold something
    int64_t realtime_offset         # CLOCK_REALTIME - CLOCK_MONOTONIC, by udp_tick
    UdpStats stats
    Datagram* received              # the last batch
    void* state                     # udp.pyx's own: mmsghdr arrays, control buffers

# A group that the kernel will not cut up leaves as single datagrams: `gso` goes off, or, when only
# the size was too much for the path, `gso_size` comes down.
cdef int udp_open(Udp* udp, bint want_gso, bint want_gro) except -1
cdef void udp_close(Udp* udp) noexcept nogil                # closes the sockets too
# Takes over a bound socket: non-blocking from now on, options set. Returns its number; on an error
# it stays the caller's.
cdef int udp_adopt(Udp* udp, int fd) except -1
# Buffer sizes as the kernel reports them (it doubles what was asked for, for its own bookkeeping).
cdef void udp_buffers(const Udp* udp, uint32_t socket, int* receive, int* send) noexcept nogil
# Fills udp.received, which is good until the next call; returns how many datagrams, 0: none.
cdef uint32_t udp_receive(Udp* udp, uint32_t line) noexcept nogil
# Sends all of it and notes when each message left; outbox_clear is the caller's. Messages of a
# socket leave in the order of their groups. Messages to streams (PEER_STREAM) are passed over:
# their own floor takes them before.
cdef void udp_send(Udp* udp, Outbox* outbox) noexcept nogil
# Next ICMP error, False when there is none. `data` is good until the next call. The kernel tells of
# an error in the next udp_receive or udp_send of the line; until then this makes no syscall.
cdef bint udp_error(Udp* udp, uint32_t line, UdpError* error) noexcept nogil
# About each 100 ms: the offset between the two clocks, drops that no later datagram told of, and
# chief peers.
cdef void udp_tick(Udp* udp, Nanos now) noexcept nogil
cdef Nanos clock_monotonic() noexcept nogil
