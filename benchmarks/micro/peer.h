/* Common to the peers' programs: read a file of messages, time batches of one function, print the
 * ns. */
#ifndef PEER_H
#define PEER_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEER_MESSAGES 256

static char *peer_data[PEER_MESSAGES];
static size_t peer_length[PEER_MESSAGES];
static int peer_count;

/* The file is a row of (decimal length, LF, that many octets). */
static void peer_read(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t length;
    if (file == NULL) exit(2);
    while (peer_count < PEER_MESSAGES && fscanf(file, "%zu", &length) == 1) {
        fgetc(file);
        peer_data[peer_count] = malloc(length + 1);
        if (fread(peer_data[peer_count], 1, length, file) != length) exit(2);
        peer_data[peer_count][length] = 0;
        peer_length[peer_count++] = length;
    }
    fclose(file);
}

static double peer_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One line: ns for each message, of every batch. */
static void peer_run(int batches, int rounds, int (*parse)(char *data, size_t length)) {
    for (int batch = 0; batch < batches; batch++) {
        double start = peer_now();
        for (int round = 0; round < rounds; round++)
            for (int i = 0; i < peer_count; i++)
                if (!parse(peer_data[i], peer_length[i])) exit(3);
        printf("%.1f ", (peer_now() - start) / rounds / peer_count);
    }
    printf("\n");
}
#endif
