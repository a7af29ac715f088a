/*
 * Finding octets sixteen at a time: SSE2, NEON, or plain C with the same results.
 *
 * Every function is told where the readable buffer ends (`limit`) and never reads at or behind it,
 * nor before its first argument. Octets between the end of the searched part and `limit` may be
 * read, never reported.
 */
#ifndef SLG_SCAN_H
#define SLG_SCAN_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(SLG_SCAN_SCALAR)
#include <emmintrin.h>
typedef __m128i slg_v16;
static inline slg_v16 slg_load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline slg_v16 slg_fill16(uint8_t c) { return _mm_set1_epi8((char)c); }
static inline slg_v16 slg_equal16(slg_v16 a, slg_v16 b) { return _mm_cmpeq_epi8(a, b); }
static inline slg_v16 slg_or16(slg_v16 a, slg_v16 b) { return _mm_or_si128(a, b); }
static inline slg_v16 slg_and16(slg_v16 a, slg_v16 b) { return _mm_and_si128(a, b); }
static inline slg_v16 slg_atmost16(slg_v16 a, slg_v16 b) {
    return _mm_cmpeq_epi8(_mm_min_epu8(a, b), a);
}
static inline uint32_t slg_bits16(slg_v16 a) { return (uint32_t)_mm_movemask_epi8(a); }
#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(SLG_SCAN_SCALAR)
#include <arm_neon.h>
typedef uint8x16_t slg_v16;
static inline slg_v16 slg_load16(const uint8_t *p) { return vld1q_u8(p); }
static inline slg_v16 slg_fill16(uint8_t c) { return vdupq_n_u8(c); }
static inline slg_v16 slg_equal16(slg_v16 a, slg_v16 b) { return vceqq_u8(a, b); }
static inline slg_v16 slg_or16(slg_v16 a, slg_v16 b) { return vorrq_u8(a, b); }
static inline slg_v16 slg_and16(slg_v16 a, slg_v16 b) { return vandq_u8(a, b); }
static inline slg_v16 slg_atmost16(slg_v16 a, slg_v16 b) { return vcleq_u8(a, b); }
static inline uint32_t slg_bits16(slg_v16 a) {
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t w = vandq_u8(a, vld1q_u8(weights));
    return (uint32_t)vaddv_u8(vget_low_u8(w)) | (uint32_t)vaddv_u8(vget_high_u8(w)) << 8;
}
#else
typedef struct { uint8_t b[16]; } slg_v16;
static inline slg_v16 slg_load16(const uint8_t *p) { slg_v16 v; memcpy(v.b, p, 16); return v; }
static inline slg_v16 slg_fill16(uint8_t c) { slg_v16 v; memset(v.b, c, 16); return v; }
static inline slg_v16 slg_equal16(slg_v16 a, slg_v16 b) {
    for (int i = 0; i < 16; i++) a.b[i] = a.b[i] == b.b[i] ? 255 : 0;
    return a;
}
static inline slg_v16 slg_or16(slg_v16 a, slg_v16 b) {
    for (int i = 0; i < 16; i++) a.b[i] |= b.b[i];
    return a;
}
static inline slg_v16 slg_and16(slg_v16 a, slg_v16 b) {
    for (int i = 0; i < 16; i++) a.b[i] &= b.b[i];
    return a;
}
static inline slg_v16 slg_atmost16(slg_v16 a, slg_v16 b) {
    for (int i = 0; i < 16; i++) a.b[i] = a.b[i] <= b.b[i] ? 255 : 0;
    return a;
}
static inline uint32_t slg_bits16(slg_v16 a) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) bits |= (uint32_t)(a.b[i] >> 7) << i;
    return bits;
}
#endif

/* The searches are worth their speed only where their octets are known when compiled. */
#define SLG_SEARCH static inline __attribute__((always_inline)) const uint8_t *

/* Can 16 octets be read at p? */
static inline int slg_room16(const uint8_t *p, const uint8_t *limit) {
    return (uintptr_t)p <= (uintptr_t)limit - 16;
}

/* ---- line ends: one bit for each of 64 octets, used up from the bottom ---- */
typedef struct {
    const uint8_t *base;    /* first octet of the block that `bits` describes */
    const uint8_t *limit;
    uint64_t bits;
} slg_lines;

static inline uint64_t slg_lines_block(const uint8_t *p, const uint8_t *limit) {
    const slg_v16 lf = slg_fill16('\n');
    if (limit - p >= 64) {
        uint64_t a = slg_bits16(slg_equal16(slg_load16(p), lf));
        uint64_t b = slg_bits16(slg_equal16(slg_load16(p + 16), lf));
        uint64_t c = slg_bits16(slg_equal16(slg_load16(p + 32), lf));
        uint64_t d = slg_bits16(slg_equal16(slg_load16(p + 48), lf));
        return a | b << 16 | c << 32 | d << 48;
    }
    uint64_t bits = 0;
    unsigned shift = 0;
    for (; limit - p >= 16; p += 16, shift += 16)
        bits |= (uint64_t)slg_bits16(slg_equal16(slg_load16(p), lf)) << shift;
    for (; p < limit; p++, shift++)
        bits |= (uint64_t)(*p == '\n') << shift;
    return bits;
}

static inline void slg_lines_open(slg_lines *lines, const uint8_t *data, const uint8_t *limit) {
    lines->base = data;
    lines->limit = limit;
    lines->bits = slg_lines_block(data, limit);
}

/* Place of the next LF; NULL when there is none before the limit. */
static inline const uint8_t *slg_lines_next(slg_lines *lines) {
    while (lines->bits == 0) {
        if (lines->limit - lines->base <= 64) return NULL;
        lines->base += 64;
        lines->bits = slg_lines_block(lines->base, lines->limit);
    }
    const uint8_t *place = lines->base + __builtin_ctzll(lines->bits);
    lines->bits &= lines->bits - 1;
    return place;
}

/* ---- first of up to four octets in [p, end); `end` when none is there ---- */
SLG_SEARCH slg_find4(const uint8_t *p, const uint8_t *end, const uint8_t *limit,
                                       uint8_t c0, uint8_t c1, uint8_t c2, uint8_t c3) {
    const slg_v16 v0 = slg_fill16(c0), v1 = slg_fill16(c1);
    const slg_v16 v2 = slg_fill16(c2), v3 = slg_fill16(c3);
    while (p < end) {
        if (!slg_room16(p, limit)) {
            for (; p < end; p++)
                if (*p == c0 || *p == c1 || *p == c2 || *p == c3) return p;
            return end;
        }
        slg_v16 x = slg_load16(p);
        uint32_t bits = slg_bits16(slg_or16(slg_or16(slg_equal16(x, v0), slg_equal16(x, v1)),
                                            slg_or16(slg_equal16(x, v2), slg_equal16(x, v3))));
        if (bits) {
            p += __builtin_ctz(bits);
            return p < end ? p : end;
        }
        p += 16;
    }
    return end;
}
SLG_SEARCH slg_find2(const uint8_t *p, const uint8_t *end, const uint8_t *limit,
                                       uint8_t a, uint8_t b) {
    return slg_find4(p, end, limit, a, b, a, b);
}
SLG_SEARCH slg_find(const uint8_t *p, const uint8_t *end, const uint8_t *limit, uint8_t a) {
    return slg_find4(p, end, limit, a, a, a, a);
}

/* First octet <= c (for c = 32: any space or control character). */
SLG_SEARCH slg_find_atmost(const uint8_t *p, const uint8_t *end, const uint8_t *limit,
                                             uint8_t c) {
    const slg_v16 v = slg_fill16(c);
    while (p < end) {
        if (!slg_room16(p, limit)) {
            for (; p < end; p++)
                if (*p <= c) return p;
            return end;
        }
        uint32_t bits = slg_bits16(slg_atmost16(slg_load16(p), v));
        if (bits) {
            p += __builtin_ctz(bits);
            return p < end ? p : end;
        }
        p += 16;
    }
    return end;
}

/* First octet that is one of three, a space or a control character. */
SLG_SEARCH slg_find_break(const uint8_t *p, const uint8_t *end, const uint8_t *limit,
                                            uint8_t c0, uint8_t c1, uint8_t c2) {
    const slg_v16 v0 = slg_fill16(c0), v1 = slg_fill16(c1);
    const slg_v16 v2 = slg_fill16(c2), space = slg_fill16(32);
    while (p < end) {
        if (!slg_room16(p, limit)) {
            for (; p < end; p++)
                if (*p <= 32 || *p == c0 || *p == c1 || *p == c2) return p;
            return end;
        }
        slg_v16 x = slg_load16(p);
        uint32_t bits = slg_bits16(slg_or16(slg_or16(slg_equal16(x, v0), slg_equal16(x, v1)),
                                            slg_or16(slg_equal16(x, v2), slg_atmost16(x, space))));
        if (bits) {
            p += __builtin_ctz(bits);
            return p < end ? p : end;
        }
        p += 16;
    }
    return end;
}

/* 1 when the 8 octets are `word` (given in lower case), whatever the case of their letters. */
static inline int slg_word8(const uint8_t *p, const char word[8]) {
    uint64_t a, b, letters = 0;
    memcpy(&a, p, 8);
    memcpy(&b, word, 8);
    for (int i = 0; i < 8; i++)
        if (word[i] >= 'a' && word[i] <= 'z') letters |= (uint64_t)0x20 << (8 * i);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    letters = __builtin_bswap64(letters);
#endif
    return (a | letters) == b;
}

/* The same of 4 octets. */
static inline int slg_word4(const uint8_t *p, const char word[4]) {
    uint32_t a, b, letters = 0;
    memcpy(&a, p, 4);
    memcpy(&b, word, 4);
    for (int i = 0; i < 4; i++)
        if (word[i] >= 'a' && word[i] <= 'z') letters |= (uint32_t)0x20 << (8 * i);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    letters = __builtin_bswap32(letters);
#endif
    return (a | letters) == b;
}

/* Zeroes; in pieces that the compiler turns into stores instead of a call. */
static inline void slg_clear(void *p, size_t size) {
    uint8_t *at = (uint8_t *)p;
#pragma GCC unroll 16
    for (size_t i = 0; i + 32 <= size; i += 32) __builtin_memset(at + i, 0, 32);
    __builtin_memset(at + size / 32 * 32, 0, size % 32);
}
#endif
