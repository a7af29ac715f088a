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

/* What is stored behind the first, and was seen before the second, comes after the word that was
 * stored before the first: whoever loads it behind the second sees that or a later one. */
static inline void slg_fence_release(void) {
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void slg_fence_acquire(void) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}
#endif
