# Batched datagram input and output on the sockets of one engine: recvmmsg, sendmmsg, UDP GSO and GRO, kernel receive
# time stamps, queue overflow, ICMP errors. The only file beside loop.pyx that makes syscalls on the hot path.
from siploadgen.core.net.outbox cimport Outbox
from siploadgen.core.types cimport Nanos, Peer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    UDP_BATCH = 64                  # recvmmsg entries
    UDP_SOCKETS = 8

cdef struct Datagram:               # one received datagram (a GRO buffer is taken apart)
    const uint8_t* data
    uint32_t length
    Nanos received                  # monotonic clock, from the kernel's time stamp when there is one
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
    uint64_t receive_drops          # SO_RXQ_OVFL, summed over sockets
    uint64_t icmp_errors

cdef struct Udp:
    int fds[8]
    uint32_t sockets
    uint32_t datagrams              # taken apart from the last udp_receive
    bint gso                        # in use (probe succeeded and asked for)
    bint gro
    bint timestamps
    int64_t realtime_offset         # CLOCK_REALTIME - CLOCK_MONOTONIC, refreshed now and then
    UdpStats stats
    Datagram* received              # the last batch
    void* state                     # udp.pyx's own: mmsghdr arrays, control buffers

cdef int udp_open(Udp* udp, bint want_gso, bint want_gro) except -1
cdef void udp_close(Udp* udp) noexcept nogil
cdef int udp_adopt(Udp* udp, int fd) except -1      # a bound, non-blocking socket; sets options, probes GSO; returns its number
cdef uint32_t udp_receive(Udp* udp, uint32_t socket) noexcept nogil     # fills udp.received; returns how many datagrams
cdef void udp_flush(Udp* udp, Outbox* outbox) noexcept nogil            # sends all of it, then outbox_clear
cdef bint udp_error(Udp* udp, uint32_t socket, UdpError* error) noexcept nogil   # next ICMP error, False when there is none
cdef Nanos clock_monotonic() noexcept nogil
