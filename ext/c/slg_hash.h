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

/* Hex digits are made and read eight at a time, one in each octet of a word; the least of them is
 * the lowest octet, so that a word is turned round before it is text and after. */
#define SLG_OCTETS 0x0101010101010101ull

static inline uint64_t slg_hex_digits(uint64_t nibbles)
{
    uint64_t letters = ((nibbles + 6 * SLG_OCTETS) >> 4) & SLG_OCTETS;
    return nibbles + '0' * SLG_OCTETS + letters * ('a' - '0' - 10);
}

static inline void slg_hex8(uint8_t *out, uint32_t value)
{
    uint64_t v = value;
    v = (v | v << 16) & 0x0000FFFF0000FFFFull;
    v = (v | v << 8) & 0x00FF00FF00FF00FFull;
    v = (v | v << 4) & 0x0F0F0F0F0F0F0F0Full;
    v = __builtin_bswap64(slg_hex_digits(v));
    memcpy(out, &v, 8);
}

/* The word that 8 lower-case hex digits spell; 0 when one of them is none. */
static inline int slg_unhex8(const uint8_t *text, uint64_t *value)
{
    uint64_t word, v;
    memcpy(&word, text, 8);
    v = (word & 15 * SLG_OCTETS) + ((word >> 6) & SLG_OCTETS) * 9;
    if ((v & 0xF0 * SLG_OCTETS) != 0 || slg_hex_digits(v) != word)
        return 0;
    v = __builtin_bswap64(v);
    v = (v | v >> 4) & 0x00FF00FF00FF00FFull;
    v = (v | v >> 8) & 0x0000FFFF0000FFFFull;
    *value = (v | v >> 16) & 0xFFFFFFFFull;
    return 1;
}

/* 16 lower-case hex digits of a word, most significant first. */
static inline void slg_hex16(uint8_t *out, uint64_t value)
{
    slg_hex8(out, (uint32_t)(value >> 32));
    slg_hex8(out + 8, (uint32_t)value);
}

/* The word that 16 lower-case hex digits spell; 0 when one of them is none. */
static inline int slg_unhex16(const uint8_t *text, uint64_t *value)
{
    uint64_t high, low;
    if (!slg_unhex8(text, &high) || !slg_unhex8(text + 8, &low))
        return 0;
    *value = high << 32 | low;
    return 1;
}

/* Decimal digits of a word; returns how many were written (at most 20). */
static inline uint32_t slg_decimal(uint8_t *out, uint64_t value)
{
    uint32_t n = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        n++;
    for (uint32_t i = n; i-- > 0; value /= 10)
        out[i] = (uint8_t)('0' + value % 10);
    return n;
}
#endif
