/* One shared word: written by one thread with release, read by another with acquire. */
#ifndef SLG_ATOMIC_H
#define SLG_ATOMIC_H
#include <stdint.h>

static inline uint64_t slg_load_acquire(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void slg_store_release(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
#endif
