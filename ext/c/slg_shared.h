/* What the engines of a run share: numbers by atomic operations, and texts in cells that a reader
 * finds whole or reads again. */
#ifndef SLG_SHARED_H
#define SLG_SHARED_H
#include <stdint.h>
#include <string.h>

#define SLG_CELL_TEXT 500

typedef struct {
    uint64_t turn; /* odd while it is being written */
    uint32_t length;
    uint8_t data[SLG_CELL_TEXT];
} slg_cell;

static inline int64_t slg_shared_read(const int64_t *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void slg_shared_write(int64_t *word, int64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* The sum. It wraps: a run does not count that far. */
static inline int64_t slg_shared_add(int64_t *word, int64_t value) {
    return (int64_t)__atomic_add_fetch((uint64_t *)word, (uint64_t)value, __ATOMIC_RELAXED);
}

/* `out` has room for SLG_CELL_TEXT octets. */
static inline uint32_t slg_cell_read(const slg_cell *cell, uint8_t *out) {
    for (;;) {
        uint64_t turn = __atomic_load_n(&cell->turn, __ATOMIC_ACQUIRE);
        uint32_t length;
        if (turn & 1)
            continue; /* a writer copies 500 octets at most */
        length = cell->length;
        if (length > SLG_CELL_TEXT)
            continue;
        memcpy(out, cell->data, length);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&cell->turn, __ATOMIC_RELAXED) == turn)
            return length;
    }
}

static inline void slg_cell_write(slg_cell *cell, const uint8_t *data, uint32_t length) {
    uint64_t turn = __atomic_load_n(&cell->turn, __ATOMIC_RELAXED) & ~(uint64_t)1;
    while (!__atomic_compare_exchange_n(&cell->turn, &turn, turn | 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
        turn &= ~(uint64_t)1;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    cell->length = length;
    if (length)
        memcpy(cell->data, data, length);
    __atomic_store_n(&cell->turn, turn + 2, __ATOMIC_RELEASE);
}
#endif
