/* ext/c/slg_scan.h against octet by octet: random texts, every length up to 200, right before a
 * page that must not be read. Exit status 0, or the number of the check that failed. It needs no
 * library where SCAN_ALONE says so (an arm64 build by clang without an arm64 libc), so that one
 * file serves every machine. */
#include "slg_scan.h"

enum { PAGE = 65536, LONGEST = 200 };

#ifdef SCAN_ALONE                       /* Linux on arm64, by hand */
static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
void *memset(void *to, int c, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] = (uint8_t)c;
    return to;
}
static uint8_t *guarded(void) {         /* mmap, then mprotect of the second half */
    uint8_t *p = (uint8_t *)call(222, 0, 2 * PAGE, 3, 0x22, -1, 0);
    return call(226, (long)(p + PAGE), PAGE, 0, 0, 0, 0) == 0 ? p : 0;
}
static int check(void);
void _start(void) { call(94, check(), 0, 0, 0, 0, 0); }
#else
#include <sys/mman.h>
static uint8_t *guarded(void) {
    uint8_t *p = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p + PAGE, PAGE, PROT_NONE) == 0 ? p : 0;
}
static int check(void);
int main(void) { return check(); }
#endif

static uint64_t state = 1;
static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static const uint8_t *plain(const uint8_t *p, const uint8_t *end, int most, const char *any) {
    for (; p < end; p++) {
        if (*p <= most) return p;
        for (const char *c = any; *c; c++)
            if (*p == (uint8_t)*c) return p;
    }
    return end;
}

static int lines(const uint8_t *p, const uint8_t *limit) {
    slg_lines all;
    slg_lines_open(&all, p, limit);
    for (; p < limit; p++)
        if (*p == '\n' && slg_lines_next(&all) != p) return 0;
    return slg_lines_next(&all) == 0;
}

static int words(const uint8_t *p) {
    static const char word[8] = {' ', 's', 'i', 'p', '/', '2', '.', '0'};
    uint8_t text[8];
    int same = 1;
    for (int i = 0; i < 8; i++) {
        text[i] = draw(40) ? (uint8_t)word[i] : p[i];
        if (text[i] >= 'A' && text[i] <= 'Z') text[i] |= 0x20;
        if (text[i] >= 'a' && text[i] <= 'z' && draw(2)) text[i] &= 0xDF;
    }
    for (int i = 0; i < 8; i++) {
        uint8_t low = text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i];
        same &= low == (uint8_t)word[i];
        if (i == 3 && slg_word4(text, word) != same) return 0;
    }
    return slg_word8(text, word) == same;
}

static int check(void) {
    static const uint8_t common[8] = {'\r', '\n', ' ', ':', ';', '=', '"', '<'};
    uint8_t zeroes[LONGEST + 2];
    uint8_t *base = guarded();
    if (base == 0) return 100;
    for (uint32_t length = 0; length <= LONGEST; length++)
        for (int round = 0; round < 60; round++) {
            const uint8_t *limit = base + PAGE;
            uint8_t *p = base + PAGE - length;
            /* Rare or frequent hits; octets from 0x80 on tell signed from unsigned comparisons. */
            uint32_t rare = 1 + draw(60);
            for (uint8_t *at = p; at < limit; at++)
                *at = draw(rare) ? (uint8_t)(33 + draw(223)) : common[draw(8)];
            const uint8_t *end = limit - (length ? draw(length + 1) : 0);
            if (slg_find(p, end, limit, ':') != plain(p, end, -1, ":")) return 1;
            if (slg_find2(p, end, limit, ';', '\xE9') != plain(p, end, -1, ";\xE9")) return 2;
            if (slg_find4(p, end, limit, ';', '=', '"', '<') != plain(p, end, -1, ";=\"<"))
                return 3;
            if (slg_find_atmost(p, end, limit, 32) != plain(p, end, 32, "")) return 4;
            if (slg_find_break(p, end, limit, ';', ',', '\xFF') != plain(p, end, 32, ";,\xFF"))
                return 5;
            if (!lines(p, limit)) return 6;
            if (length >= 8 && !words(p)) return 7;
            memset(zeroes, 255, sizeof zeroes);
            slg_clear(zeroes + 1, length);
            for (uint32_t i = 0; i < sizeof zeroes; i++)
                if (zeroes[i] != (i < 1 || i > length ? 255 : 0)) return 8;
        }
    return 0;
}
