/* What the kernel takes to send a datagram on loopback: sendmmsg of a batch to a bound socket that
 * the same thread empties afterwards, outside of the time that counts. With a third argument of 1
 * the batch is one message that the kernel cuts up (UDP_SEGMENT).
 *
 *     send_cost OCTETS BATCHES SEGMENT
 *
 * prints one line of JSON: ns for a datagram in the best batch and in the middle one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { BATCH = 64, LARGEST = 1000, BATCHES_MAX = 100000 }; /* 64 of the largest fit one message */

static char octets_out[BATCH * LARGEST], octets_in[BATCH][LARGEST];

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bound(struct sockaddr_in *at)
{
    socklen_t length = sizeof *at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(at, 0, sizeof *at);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) != 0 ||
        getsockname(fd, (struct sockaddr *)at, &length) != 0)
        die("bind");
    return fd;
}

/* Messages over the octets of `count` places, `size` octets each. */
static void prepare(struct mmsghdr *messages, struct iovec *vectors, char *octets, int count,
                    int size)
{
    memset(messages, 0, (size_t)count * sizeof *messages);
    for (int i = 0; i < count; i++) {
        vectors[i].iov_base = octets + (size_t)i * (size_t)size;
        vectors[i].iov_len = (size_t)size;
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

int main(int argc, char **argv)
{
    int size = argc == 4 ? atoi(argv[1]) : 0, batches = argc == 4 ? atoi(argv[2]) : 0;
    int segment = argc == 4 && atoi(argv[3]) == 1, count = segment ? 1 : BATCH;
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec vectors_out[BATCH], vectors_in[BATCH];
    struct sockaddr_in from, to;
    int sender = bound(&from), receiver = bound(&to), room = 1 << 20;
    double *ns = calloc(BATCHES_MAX, sizeof *ns);
    long lost = 0;
    if (size < 1 || size > LARGEST || batches < 1 || batches > BATCHES_MAX || ns == NULL) {
        fprintf(stderr, "usage: send_cost OCTETS BATCHES SEGMENT\n");
        return 2;
    }
    setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (segment && setsockopt(sender, SOL_UDP, UDP_SEGMENT, &size, sizeof size) != 0)
        die("UDP_SEGMENT");
    memset(octets_out, 'x', sizeof octets_out);
    prepare(out, vectors_out, octets_out, count, segment ? BATCH * size : size);
    prepare(in, vectors_in, octets_in[0], BATCH, LARGEST);
    for (int i = 0; i < count; i++) {
        out[i].msg_hdr.msg_name = &to;
        out[i].msg_hdr.msg_namelen = sizeof to;
    }
    for (int batch = 0; batch < batches; batch++) {
        int64_t start = now_ns();
        int got = 0, more;
        if (sendmmsg(sender, out, (unsigned)count, 0) != count)
            die("sendmmsg");
        ns[batch] = (double)(now_ns() - start) / BATCH;
        while (got < BATCH &&
               (more = recvmmsg(receiver, in, (unsigned)(BATCH - got), MSG_DONTWAIT, NULL)) > 0) {
            for (int i = 0; i < more; i++)
                if (in[i].msg_len != (unsigned)size)
                    lost++;
            got += more;
        }
        lost += BATCH - got;
    }
    qsort(ns, (size_t)batches, sizeof *ns, by_value);
    printf("{\"octets\": %d, \"batch\": %d, \"batches\": %d, \"segment\": %s, \"lost\": %ld, "
           "\"ns\": %.1f, \"ns_median\": %.1f}\n",
           size, BATCH, batches, segment ? "true" : "false", lost, ns[0], ns[batches / 2]);
    return lost != 0;
}
