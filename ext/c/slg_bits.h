/* Bits, branch hints and the assertion macro. */
#ifndef SLG_BITS_H
#define SLG_BITS_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SLG_LIKELY(x) __builtin_expect(!!(x), 1)
#define SLG_UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline int slg_ctz64(uint64_t x) { return __builtin_ctzll(x); }
static inline int slg_clz64(uint64_t x) { return __builtin_clzll(x); }
static inline uint64_t slg_rotl64(uint64_t x, int k) { return k ? (x << k) | (x >> (64 - k)) : x; }
static inline uint64_t slg_rotr64(uint64_t x, int k) { return k ? (x >> k) | (x << (64 - k)) : x; }
static inline void slg_prefetch(const void *p) { __builtin_prefetch(p); }

/* Whole numbers that stay at the end of their range rather than leave it. */
static inline int64_t slg_add(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}
static inline int64_t slg_sub(int64_t a, int64_t b) {
    int64_t rest;
    return __builtin_sub_overflow(a, b, &rest) ? (b < 0 ? INT64_MAX : INT64_MIN) : rest;
}
static inline int64_t slg_times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? ((a < 0) != (b < 0) ? INT64_MIN : INT64_MAX)
                                                  : product;
}
/* Cut towards 0, as C has it; by 0 it is 0. */
static inline int64_t slg_div(int64_t a, int64_t b) {
    return b == 0 ? 0 : b == -1 ? slg_sub(0, a) : a / b;
}
static inline int64_t slg_mod(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

/* A broken promise inside the core: says where and stops, in debug and sanitizer builds only. */
#ifdef SLG_DEBUG
#define SLG_ASSERT(cond)                                                                  \
    do {                                                                                  \
        if (SLG_UNLIKELY(!(cond))) {                                                      \
            fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                                      \
        }                                                                                 \
    } while (0)
#define SLG_UNREACHABLE()                                                                 \
    do {                                                                                  \
        fprintf(stderr, "%s:%d: unreachable\n", __FILE__, __LINE__);                      \
        abort();                                                                          \
    } while (0)
#else
#define SLG_ASSERT(cond) ((void)0)
#define SLG_UNREACHABLE() ((void)0)
#endif

/* Memory that is reserved but nobody's at the moment: AddressSanitizer reports who touches it. */
#if defined(__SANITIZE_ADDRESS__)
#define SLG_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLG_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef SLG_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define SLG_POISON(data, length) ASAN_POISON_MEMORY_REGION(data, length)
#define SLG_UNPOISON(data, length) ASAN_UNPOISON_MEMORY_REGION(data, length)
#else
#define SLG_POISON(data, length) ((void)0)
#define SLG_UNPOISON(data, length) ((void)0)
#endif
#endif
