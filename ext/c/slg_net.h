/* What Cython cannot say about sockets: control messages, batched calls, slices of the scheduler.
 * Numbers that old kernel headers lack are defined here; whether the kernel knows them is found out
 * at run time. */
#ifndef SLG_NET_H
#define SLG_NET_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_SNDBUFFORCE
#define SO_SNDBUFFORCE 32
#endif
#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE 33
#endif
#ifndef SO_TIMESTAMPNS
#define SO_TIMESTAMPNS 35
#endif
#ifndef SCM_TIMESTAMPNS
#define SCM_TIMESTAMPNS SO_TIMESTAMPNS
#endif
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum {
    SLG_SEND_CONTROL = CMSG_SPACE(sizeof(uint16_t)),
    SLG_RECEIVE_CONTROL = 128, /* time stamp 32, overflow 24, GRO 24 octets, and some to spare */
    SLG_MEMINFO_DROPS = 8      /* place of the drop counter in what SO_MEMINFO gives */
};

static inline int64_t slg_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* in the vDSO: no system call */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Makes the kernel cut the message into datagrams of `size` octets. `control` holds
 * SLG_SEND_CONTROL octets. */
static inline void slg_put_segment(struct msghdr *message, void *control, uint16_t size)
{
    struct cmsghdr *c;
    message->msg_control = control;
    message->msg_controllen = SLG_SEND_CONTROL;
    c = CMSG_FIRSTHDR(message);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

struct slg_received {
    int64_t stamp;    /* CLOCK_REALTIME ns; 0: none */
    uint32_t segment; /* size of the datagrams that GRO joined; 0: one datagram */
    uint32_t drops;   /* running total of this socket */
    int has_drops;
};

/* Reads the control messages of one received message. */
static inline void slg_get_received(struct msghdr *message, struct slg_received *out)
{
    struct cmsghdr *c;
    memset(out, 0, sizeof *out);
    for (c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            out->stamp = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&out->drops, CMSG_DATA(c), sizeof out->drops);
            out->has_drops = 1;
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            out->segment = size > 0 ? (uint32_t)size : 0;
        }
    }
}

/* The errno of an error-queue message that a network (or this host) refused a datagram with;
 * 0 when it is about something else: how long a packet of this path may be, too, for the kernel has
 * noted that and cuts up the next copy. */
static inline int slg_get_error(struct msghdr *message)
{
    struct cmsghdr *c;
    for (c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            if (e.ee_errno != EMSGSIZE &&
                (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6 ||
                 e.ee_origin == SO_EE_ORIGIN_LOCAL))
                return (int)e.ee_errno;
        }
    }
    return 0;
}

/* The socket's running total of dropped datagrams, 0 when the kernel does not tell. */
static inline uint32_t slg_socket_drops(int fd)
{
    uint32_t info[16] = {0};
    socklen_t length = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) != 0 ||
        length < (SLG_MEMINFO_DROPS + 1) * sizeof info[0])
        return 0;
    return info[SLG_MEMINFO_DROPS];
}

/* Asks the scheduler (Linux 6.12 and later) for slices of `ns` for this thread: on a core that it
 * shares it is then given its turn when it wakes up, not when a neighbour's slice of 3 ms ends. It
 * gets no more of the core for that. */
static inline void slg_short_slices(uint64_t ns)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } about = {.size = sizeof about};
    if (syscall(SYS_sched_getattr, 0, &about, sizeof about, 0) != 0 || about.policy != 0)
        return; /* not SCHED_OTHER: somebody knew better */
    about.size = sizeof about;
    about.flags = 0;
    about.runtime = ns;
    (void)syscall(SYS_sched_setattr, 0, &about, 0);
}

static inline int slg_set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

static inline int slg_get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

/* Asks for a socket buffer: beyond the system's limit if we may, else as much as it allows. */
static inline void slg_set_buffer(int fd, int forced, int plain, int octets)
{
    if (slg_set_int(fd, SOL_SOCKET, forced, octets) != 0)
        (void)slg_set_int(fd, SOL_SOCKET, plain, octets);
}

/* A second datagram socket on the address of `fd`, -1 when it cannot be had. Both may share it only
 * while this binds: afterwards the port is nobody else's again. */
static inline int slg_socket_beside(int fd)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof local;
    int domain = slg_get_int(fd, SOL_SOCKET, SO_DOMAIN), bound = -1;
    int second = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (second < 0)
        return -1;
    if (domain == AF_INET6)
        (void)slg_set_int(second, SOL_IPV6, IPV6_V6ONLY, slg_get_int(fd, SOL_IPV6, IPV6_V6ONLY));
    if (getsockname(fd, (struct sockaddr *)&local, &length) == 0 &&
        slg_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
        slg_set_int(second, SOL_SOCKET, SO_REUSEADDR, 1) == 0)
        bound = bind(second, (struct sockaddr *)&local, length);
    (void)slg_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 0);
    (void)slg_set_int(second, SOL_SOCKET, SO_REUSEADDR, 0);
    if (bound == 0)
        return second;
    close(second);
    return -1;
}

static inline int slg_connect(int fd, const void *address, socklen_t length)
{
    return connect(fd, (const struct sockaddr *)address, length);
}

/* Sends two joined datagrams from one loopback socket to another: 1 when two came out. */
static inline int slg_probe_gso(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    socklen_t length = sizeof to;
    char data[32] = {0}, control[SLG_SEND_CONTROL] = {0};
    struct iovec v = {data, sizeof data};
    struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &v, .msg_iovlen = 1};
    int works = 0, got = 0;
    int in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (in >= 0 && out >= 0 && bind(in, (struct sockaddr *)&to, sizeof to) == 0 &&
        getsockname(in, (struct sockaddr *)&to, &length) == 0) {
        slg_put_segment(&m, control, 16);
        if (sendmsg(out, &m, 0) == (ssize_t)sizeof data) {
            struct pollfd p = {.fd = in, .events = POLLIN};
            works = 1;
            for (; got < 2 && works; got++)
                works = poll(&p, 1, 100) == 1 && recv(in, data, sizeof data, 0) == 16;
        }
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return works;
}
#endif
