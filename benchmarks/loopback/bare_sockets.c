/* The ceiling for calls per second on this machine: a caller and an answerer exchange the six
 * datagrams of a call (INVITE 180 200 ACK BYE 200) over bare sockets, with no SIP in them. What a
 * load generator reaches between the same two cores is quoted as a share of this.
 *
 * A datagram holds its kind in the first octet and the number of its call in the next eight; the
 * rest is padding. The caller keeps `window` calls open for `seconds`, then lets them end. One line
 * of JSON goes to standard output; exit 1 when datagrams were lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum kind { INVITE, RINGING, OK_INVITE, ACK, BYE, OK_BYE, KINDS, QUIT = KINDS, HELLO };
enum {
    GROUP = 64,           /* datagrams in one GSO group */
    GROUP_BYTES = 65000,  /* and their octets */
    SENT_AT_ONCE = 256,   /* messages in one sendmmsg */
    BATCH = 64,           /* buffers in one recvmmsg */
    BATCH_GRO = 32,
    BUFFER = 65536 + 1088, /* apart from each other in the caches */
    SMALLEST = 16,
    LARGEST = 2000,
    SOCKET_BUFFER = 1 << 25
};

static struct options {
    int gso, gro, window, port, peer_port, cores[2];
    double seconds;
    int sizes[KINDS];
    const char *role;
} opt = {
    .window = 512, .cores = {0, 1}, .seconds = 2,
    .sizes = {480, 300, 500, 380, 370, 310}, .role = "both",
};

/* Messages of one kind that wait for the end of a batch: one after the other, as GSO wants them. */
struct queue {
    char *bytes;
    int count;
};

struct end {
    int fd, core, port;
    struct sockaddr_in peer;
    struct queue queues[KINDS];
    char *buffers;
    int64_t sent, received;
    double cpu_s;
};

static double seconds_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void *need(size_t octets)
{
    void *p = calloc(1, octets);
    if (p == NULL)
        die("memory");
    return p;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void set(int fd, int level, int name, int value, int must)
{
    if (setsockopt(fd, level, name, &value, sizeof value) != 0 && must)
        die("setsockopt");
}

/* Port 0: any free one. The peer's may be filled in later. */
static void end_open(struct end *e, int port, int peer_port, int core)
{
    struct sockaddr_in local = loopback(port);
    socklen_t length = sizeof local;
    struct timeval wait = {.tv_usec = 500000};
    int kind, i;
    e->core = core;
    e->peer = loopback(peer_port);
    e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&local, sizeof local) != 0)
        die("bind");
    if (getsockname(e->fd, (struct sockaddr *)&local, &length) != 0)
        die("getsockname");
    e->port = ntohs(local.sin_port);
    set(e->fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER, 0);
    set(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER, 0);
    set(e->fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER, 0);
    set(e->fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER, 0);
    if (setsockopt(e->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
        die("SO_RCVTIMEO");
    if (opt.gro)
        set(e->fd, SOL_UDP, UDP_GRO, 1, 1);
    e->buffers = need((size_t)BATCH * BUFFER);
    for (kind = 0; kind < KINDS; kind++) {
        e->queues[kind].bytes = need((size_t)SENT_AT_ONCE * (size_t)opt.sizes[kind]);
        memset(e->queues[kind].bytes, 'x', (size_t)SENT_AT_ONCE * (size_t)opt.sizes[kind]);
        for (i = 0; i < SENT_AT_ONCE; i++)
            e->queues[kind].bytes[i * opt.sizes[kind]] = (char)kind;
    }
}

static void end_pin(const struct end *e)
{
    cpu_set_t set_of_one;
    CPU_ZERO(&set_of_one);
    CPU_SET(e->core, &set_of_one);
    /* A machine with fewer cores runs both ends on what it has. */
    (void)sched_setaffinity(0, sizeof set_of_one, &set_of_one);
}

/* Sends `count` messages whole: however many calls it takes. */
static void send_all(struct end *e, struct mmsghdr *messages, int count)
{
    while (count > 0) {
        int sent = sendmmsg(e->fd, messages, (unsigned)count, 0);
        if (sent < 0) {
            if (errno == EINTR || errno == ENOBUFS || errno == ECONNREFUSED)
                continue;
            die("sendmmsg");
        }
        messages += sent;
        count -= sent;
    }
}

static void flush_kind(struct end *e, enum kind kind)
{
    struct queue *q = &e->queues[kind];
    struct mmsghdr messages[SENT_AT_ONCE];
    struct iovec vectors[SENT_AT_ONCE];
    char controls[SENT_AT_ONCE][CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));
    int size = opt.sizes[kind], most = 1, used = 0, at = 0;
    if (q->count == 0)
        return;
    if (opt.gso)
        most = GROUP * size <= GROUP_BYTES ? GROUP : GROUP_BYTES / size;
    for (; at < q->count; used++) {
        int members = q->count - at < most ? q->count - at : most;
        struct msghdr *m = &messages[used].msg_hdr;
        memset(m, 0, sizeof *m);
        vectors[used].iov_base = q->bytes + at * size;
        vectors[used].iov_len = (size_t)(members * size);
        m->msg_name = &e->peer;
        m->msg_namelen = sizeof e->peer;
        m->msg_iov = &vectors[used];
        m->msg_iovlen = 1;
        if (members > 1) {
            uint16_t segment = (uint16_t)size;
            struct cmsghdr *c;
            m->msg_control = controls[used];
            m->msg_controllen = sizeof controls[used];
            c = CMSG_FIRSTHDR(m);
            c->cmsg_level = SOL_UDP;
            c->cmsg_type = UDP_SEGMENT;
            c->cmsg_len = CMSG_LEN(sizeof segment);
            memcpy(CMSG_DATA(c), &segment, sizeof segment);
        }
        at += members;
    }
    send_all(e, messages, used);
    e->sent += q->count;
    q->count = 0;
}

static void put(struct end *e, enum kind kind, uint64_t call)
{
    struct queue *q = &e->queues[kind];
    if (q->count == SENT_AT_ONCE)
        flush_kind(e, kind);
    memcpy(q->bytes + q->count * opt.sizes[kind] + 1, &call, sizeof call);
    q->count++;
}

static void flush(struct end *e)
{
    int kind;
    for (kind = 0; kind < KINDS; kind++)
        flush_kind(e, (enum kind)kind);
}

static int segment_of(struct msghdr *m)
{
    struct cmsghdr *c;
    int size = 0;
    for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&size, CMSG_DATA(c), sizeof size);
    return size;
}

/* Hands every datagram of one batch to `take`, then sends what that put. 0: none came for a while;
 * -1: the other end quits. */
static int receive(struct end *e, void (*take)(struct end *, enum kind, uint64_t))
{
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    char controls[BATCH][64] __attribute__((aligned(8)));
    int entries = opt.gro ? BATCH_GRO : BATCH, got, i;
    for (i = 0; i < entries; i++) {
        struct msghdr *m = &messages[i].msg_hdr;
        memset(m, 0, sizeof *m);
        vectors[i].iov_base = e->buffers + (size_t)i * BUFFER;
        vectors[i].iov_len = 65536;
        m->msg_iov = &vectors[i];
        m->msg_iovlen = 1;
        m->msg_control = opt.gro ? controls[i] : NULL;
        m->msg_controllen = opt.gro ? sizeof controls[i] : 0;
    }
    got = recvmmsg(e->fd, messages, (unsigned)entries, MSG_WAITFORONE, NULL);
    if (got < 0)
        return errno == EINTR || errno == ECONNREFUSED ? 1 : 0;
    for (i = 0; i < got; i++) {
        const char *data = vectors[i].iov_base;
        int left = (int)messages[i].msg_len, segment = segment_of(&messages[i].msg_hdr);
        if (segment == 0)
            segment = left;
        for (; left >= SMALLEST; left -= segment, data += segment) {
            uint64_t call;
            if (*data == QUIT)
                return -1;
            if (*data == HELLO) {
                sendto(e->fd, data, SMALLEST, 0, (struct sockaddr *)&e->peer, sizeof e->peer);
                continue;
            }
            memcpy(&call, data + 1, sizeof call);
            e->received++;
            take(e, (enum kind)*data, call);
        }
    }
    flush(e);
    return 1;
}

static void answerer_take(struct end *e, enum kind kind, uint64_t call)
{
    if (kind == INVITE) {
        put(e, RINGING, call);
        put(e, OK_INVITE, call);
    } else if (kind == BYE) {
        put(e, OK_BYE, call);
    }
}

static void *answerer_run(void *argument)
{
    struct end *e = argument;
    double idle_since = seconds_of(CLOCK_MONOTONIC);
    int state;
    end_pin(e);
    while ((state = receive(e, answerer_take)) >= 0) {
        double now = seconds_of(CLOCK_MONOTONIC);
        if (state > 0)
            idle_since = now;
        else if (now - idle_since > 10)
            break;
    }
    e->cpu_s = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static struct {
    uint64_t started, done;
    int closing;
} calls;

static void caller_take(struct end *e, enum kind kind, uint64_t call)
{
    if (kind == OK_INVITE) {
        put(e, ACK, call);
        put(e, BYE, call);
    } else if (kind == OK_BYE) {
        calls.done++;
        if (!calls.closing)
            put(e, INVITE, calls.started++);
    }
}

/* Waits until the answerer is there: in another process it may start later. */
static void greet(struct end *e)
{
    char hello[SMALLEST] = {HELLO}, back[SMALLEST];
    for (int i = 0; i < 20; i++) {
        sendto(e->fd, hello, sizeof hello, 0, (struct sockaddr *)&e->peer, sizeof e->peer);
        if (recv(e->fd, back, sizeof back, 0) == SMALLEST && back[0] == HELLO)
            return;
        usleep(100000); /* refused: nobody there yet */
    }
    fprintf(stderr, "bare_sockets: no answerer on port %d\n", ntohs(e->peer.sin_port));
    exit(2);
}

/* Returns the seconds from the first INVITE to the last 200. */
static double caller_run(struct end *e)
{
    double start, last;
    char quit[SMALLEST] = {QUIT};
    end_pin(e);
    greet(e);
    start = last = seconds_of(CLOCK_MONOTONIC);
    for (int i = 0; i < opt.window; i++)
        put(e, INVITE, calls.started++);
    flush(e);
    while (calls.done < calls.started) {
        if (receive(e, caller_take) == 0)
            break; /* half a second of silence: the rest was lost */
        last = seconds_of(CLOCK_MONOTONIC);
        calls.closing = last - start >= opt.seconds;
    }
    e->cpu_s = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    sendto(e->fd, quit, sizeof quit, 0, (struct sockaddr *)&e->peer, sizeof e->peer);
    return last - start;
}

static int list(const char *text, int *values, int count, int low, int high)
{
    for (int i = 0; i < count; i++) {
        char *end;
        long value = strtol(text, &end, 10);
        if (end == text || value < low || value > high || *end != (i < count - 1 ? ',' : 0))
            return 0;
        values[i] = (int)value;
        text = end + 1;
    }
    return 1;
}

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"gso", no_argument, &opt.gso, 1},          {"gro", no_argument, &opt.gro, 1},
        {"window", required_argument, NULL, 'w'},   {"seconds", required_argument, NULL, 's'},
        {"sizes", required_argument, NULL, 'z'},    {"role", required_argument, NULL, 'r'},
        {"ports", required_argument, NULL, 'p'},    {"cores", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    int c, good = 1, ports[2] = {opt.port, opt.peer_port};
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'w')
            good &= list(optarg, &opt.window, 1, 1, 1 << 20);
        else if (c == 's')
            good &= (opt.seconds = atof(optarg)) > 0 && opt.seconds <= 60;
        else if (c == 'z')
            good &= list(optarg, opt.sizes, KINDS, SMALLEST, LARGEST);
        else if (c == 'r')
            opt.role = optarg;
        else if (c == 'p')
            good &= list(optarg, ports, 2, 1, 65535);
        else if (c == 'c')
            good &= list(optarg, opt.cores, 2, 0, CPU_SETSIZE - 1);
        else if (c != 0)
            good = 0;
    }
    opt.port = ports[0];
    opt.peer_port = ports[1];
    good &= !strcmp(opt.role, "both") || (opt.port && opt.peer_port);
    good &= !strcmp(opt.role, "both") || !strcmp(opt.role, "caller") ||
            !strcmp(opt.role, "answerer");
    if (!good || optind != argc) {
        fprintf(stderr,
                "usage: bare_sockets [--gso] [--gro] [--window CALLS] [--seconds S]\n"
                "  [--sizes INVITE,180,200,ACK,BYE,200] [--role both|caller|answerer]\n"
                "  [--ports ANSWERER,CALLER] [--cores ANSWERER,CALLER]\n"
                "two processes, one in each role, need --ports\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct end answerer = {0}, caller = {0};
    pthread_t thread;
    double took;
    int both;
    parse(argc, argv);
    both = !strcmp(opt.role, "both");
    if (strcmp(opt.role, "caller") != 0)
        end_open(&answerer, opt.port, opt.peer_port, opt.cores[0]);
    if (!strcmp(opt.role, "answerer")) {
        answerer_run(&answerer);
        return 0;
    }
    end_open(&caller, opt.peer_port, both ? answerer.port : opt.port, opt.cores[1]);
    answerer.peer = loopback(caller.port);
    if (both && pthread_create(&thread, NULL, answerer_run, &answerer) != 0)
        die("thread");
    took = caller_run(&caller);
    if (both)
        pthread_join(thread, NULL);
    printf("{\"gso\": %s, \"gro\": %s, \"window\": %d, \"sizes\": [%d, %d, %d, %d, %d, %d], "
           "\"seconds\": %.4f, \"calls\": %llu, \"lost_calls\": %llu, \"calls_per_s\": %.0f, "
           "\"messages_per_s\": %.0f, \"caller_cpu_s\": %.3f, \"answerer_cpu_s\": %.3f}\n",
           opt.gso ? "true" : "false", opt.gro ? "true" : "false", opt.window, opt.sizes[0],
           opt.sizes[1], opt.sizes[2], opt.sizes[3], opt.sizes[4], opt.sizes[5], took,
           (unsigned long long)calls.done, (unsigned long long)(calls.started - calls.done),
           (double)calls.done / took, 6 * (double)calls.done / took, caller.cpu_s,
           answerer.cpu_s);
    return calls.done == calls.started ? 0 : 1;
}
