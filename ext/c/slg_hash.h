/* A keyed 64-bit hash of a few dozen octets: 128-bit multiplications folded, 8 octets at a time.
 * Not cryptographic; the seed is drawn for each run so that a peer cannot aim at one bucket. */
#ifndef SLG_HASH_H
#define SLG_HASH_H
#include <stdint.h>
#include <string.h>

static inline uint64_t slg_mix64(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t slg_hash64(const uint8_t *data, uint32_t length, uint64_t seed)
{
    uint64_t h = seed ^ 0x9E3779B97F4A7C15ull ^ length, word;
    while (length >= 8) {
        memcpy(&word, data, 8);
        h = slg_mix64(h ^ word, 0xE7037ED1A0B428DBull);
        data += 8;
        length -= 8;
    }
    word = 0;
    if (length)                     /* nothing may be a null pointer, which memcpy must not see */
        memcpy(&word, data, length);
    return slg_mix64(h ^ word ^ 0x8EBC6AF09C88C6E3ull, 0x589965CC75374CC3ull);
}

/* 16 lower-case hex digits of a word, most significant first. */
static inline void slg_hex16(uint8_t *out, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--) {
        out[i] = (uint8_t)digits[value & 15];
        value >>= 4;
    }
}

/* The word that 16 lower-case hex digits spell; 0 when one of them is none. */
static inline int slg_unhex16(const uint8_t *text, uint64_t *value)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        uint8_t c = text[i];
        uint8_t d = c >= '0' && c <= '9' ? (uint8_t)(c - '0')
                  : c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : 0xFF;
        if (d == 0xFF)
            return 0;
        v = v << 4 | d;
    }
    *value = v;
    return 1;
}

/* Decimal digits of a word; returns how many were written (at most 20). */
static inline uint32_t slg_decimal(uint8_t *out, uint64_t value)
{
    uint8_t reversed[20];
    uint32_t n = 0;
    do {
        reversed[n++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    for (uint32_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}
#endif
