/*
 * Words of SIP by number: header names (any case, compact ones too) and methods (exact octets).
 * The numbers are HeaderId and Method of sip/tokens.pxd; tests/sip/test_tokens.py tries them all.
 */
#ifndef SLG_NAMES_H
#define SLG_NAMES_H
#include "slg_scan.h"

#define SLG_NAME_LONGEST 19

typedef struct {
    uint8_t length;
    char text[SLG_NAME_LONGEST + 1];    /* as printed in the RFCs */
} slg_name;

static const slg_name slg_header_names[48] = {
    {0, ""},
    {3, "Via"}, {4, "From"}, {2, "To"},
    {7, "Call-ID"}, {4, "CSeq"}, {7, "Contact"},
    {12, "Max-Forwards"}, {5, "Route"}, {12, "Record-Route"},
    {14, "Content-Length"}, {12, "Content-Type"}, {7, "Expires"},
    {11, "Min-Expires"}, {7, "Require"}, {13, "Proxy-Require"},
    {9, "Supported"}, {11, "Unsupported"}, {5, "Allow"},
    {16, "WWW-Authenticate"}, {18, "Proxy-Authenticate"}, {13, "Authorization"},
    {19, "Proxy-Authorization"}, {19, "Authentication-Info"}, {11, "Retry-After"},
    {5, "Event"}, {18, "Subscription-State"}, {8, "Refer-To"},
    {11, "Referred-By"}, {8, "Replaces"}, {4, "RSeq"},
    {4, "RAck"}, {8, "SIP-ETag"}, {12, "SIP-If-Match"},
    {15, "Session-Expires"}, {6, "Min-SE"}, {4, "Path"},
    {13, "Service-Route"}, {6, "Accept"}, {16, "Content-Encoding"},
    {9, "Timestamp"}, {7, "Warning"}, {6, "Reason"},
    {4, "Date"}, {7, "Subject"}, {12, "Allow-Events"},
    {10, "User-Agent"}, {10, "Flow-Timer"},
};

/* (first letter, last letter, length) -> the only known name with that sum; found by trial. Times
 * eight, the case bit of the first letter leaves the octet. */
static inline uint8_t slg_name_hash(uint32_t first, uint32_t last, uint32_t length) {
    return (uint8_t)(first * 8 + (last & 31) * 9 + length * 4);
}
static const uint8_t slg_header_hash[256] = {
    0, 0, 0, 31, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 0, 0,
    33, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 19, 42, 0, 0, 0, 0, 0, 0, 0, 0, 3,
    0, 0, 0, 0, 0, 0, 0, 27, 0, 30, 0, 0, 0, 0, 0, 13,
    0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 40, 0, 0, 0, 4, 0, 0, 29, 0, 43, 24, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 34,
    0, 0, 0, 0, 46, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 39, 10, 0, 0, 0, 0, 28, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 35, 0, 0,
    0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 21, 0, 0, 0, 0, 0,
    0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 8, 0, 0, 38, 0, 0, 0, 36, 14, 0, 23, 0, 0, 0, 0,
    16, 15, 0, 45, 0, 0, 0, 0, 6, 0, 0, 18, 0, 9, 0, 12,
    25, 0, 0, 0, 0, 20, 0, 32, 17, 37, 47, 0, 0, 0, 0, 0,
};

/* RFC 3261 7.3.3 and the registry of compact forms: a ... z. */
static const uint8_t slg_header_compact[26] = {
    0, 28, 11, 0, 39, 2, 0, 0, 4, 0, 16, 10, 6,
    0, 25, 0, 0, 27, 44, 3, 45, 1, 0, 34, 0, 0,
};

/* What 16 octets of a line have to be, once `fold` is set in them, to begin with that name and a
 * colon; octets behind the colon do not matter. Nothing fits names of 16 and more, which have no
 * room for it. */
typedef struct {
    uint8_t fold[16];
    uint8_t text[16];
} slg_name_key;
static slg_name_key slg_header_keys[48] __attribute__((aligned(32)));

/* Filled when the module is loaded: before any thread can look. */
__attribute__((constructor)) static void slg_header_keys_fill(void) {
    for (unsigned id = 0; id < 48; id++) {
        const slg_name *name = &slg_header_names[id];
        const int fits = name->length > 0 && name->length < 16;
        slg_name_key *key = &slg_header_keys[id];
        for (unsigned i = 0; i < 16; i++) {
            const int letter = i < name->length && name->text[i] >= 'A';
            key->fold[i] = !fits || i > name->length ? 0xFF : letter ? 0x20 : 0;
            key->text[i] = !fits ? 0 : i > name->length ? 0xFF : i == name->length ? ':'
                : (uint8_t)(name->text[i] | key->fold[i]);
        }
    }
}

/* Number of the name of the `length` octets at p, 0 when it is not known. */
static inline unsigned slg_header_find(const uint8_t *p, uint32_t length) {
    if (length < 2 || length > SLG_NAME_LONGEST) {
        const uint8_t letter = length == 1 && p[0] >= 'A' ? (uint8_t)((p[0] | 0x20) - 'a') : 26;
        return letter < 26 ? slg_header_compact[letter] : 0;
    }
    const unsigned id = slg_header_hash[slg_name_hash(p[0], p[length - 1], length)];
    const slg_name *name = &slg_header_names[id];
    if (name->length != length) return 0;
    for (uint32_t i = 0; i < length; i++) {     /* letters may differ in case, hyphens not at all */
        const uint8_t fold = name->text[i] >= 'A' ? 0x20 : 0;
        if ((name->text[i] | fold) != (p[i] | fold)) return 0;
    }
    return id;
}

/* The same for a line of at least 16 readable octets that begins with a name of 2 to 15 octets and
 * its colon at once: *length is that of the name. 0 when it is not so; there may be a name all the
 * same. */
static inline unsigned slg_header_line(const uint8_t *p, uint32_t *length) {
    const slg_v16 seen = slg_load16(p);
    const uint32_t colons = slg_bits16(slg_equal16(seen, slg_fill16(':'))) | 0x10000;
    const uint32_t n = (uint32_t)__builtin_ctz(colons);
    *length = n;
    const unsigned id = slg_header_hash[slg_name_hash(p[0], p[(n - 1) & 15], n)];
    const slg_name_key *key = &slg_header_keys[id];
    const slg_v16 same = slg_equal16(slg_or16(seen, slg_load16(key->fold)), slg_load16(key->text));
    return slg_bits16(same) == 0xFFFF ? id : 0;
}

static inline unsigned slg_method_find(const uint8_t *p, uint32_t length) {
    switch (length) {
    case 3: return !memcmp(p, "ACK", 3) ? 2 : !memcmp(p, "BYE", 3) ? 3 : 0;
    case 4: return !memcmp(p, "INFO", 4) ? 11 : 0;
    case 5: return !memcmp(p, "REFER", 5) ? 10 : !memcmp(p, "PRACK", 5) ? 13 : 0;
    case 6:
        return !memcmp(p, "INVITE", 6) ? 1 : !memcmp(p, "CANCEL", 6) ? 4
            : !memcmp(p, "NOTIFY", 6) ? 8 : !memcmp(p, "UPDATE", 6) ? 12 : 0;
    case 7:
        return !memcmp(p, "OPTIONS", 7) ? 6 : !memcmp(p, "MESSAGE", 7) ? 14
            : !memcmp(p, "PUBLISH", 7) ? 9 : 0;
    case 8: return !memcmp(p, "REGISTER", 8) ? 5 : 0;
    case 9: return !memcmp(p, "SUBSCRIBE", 9) ? 7 : 0;
    default: return 0;
    }
}

/* What an octet may be part of. */
enum {
    SLG_TOKEN = 1,
    SLG_DIGIT = 2,
    SLG_ALPHA = 4,
    SLG_SPACE = 8,      /* SP, HTAB, and the CR and LF of a fold */
    SLG_HEX = 16,
    SLG_USER = 32,      /* unreserved and user-unreserved */
    SLG_PARAM = 64,     /* param-unreserved and unreserved */
    SLG_WORD = 128      /* of a Call-ID */
};
static const uint8_t slg_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 0, 0, 8, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 225, 128, 0, 96, 129, 96, 225, 224, 224, 225, 225, 32, 225, 225, 224,
    243, 243, 243, 243, 243, 243, 243, 243, 243, 243, 192, 32, 128, 32, 128, 160,
    0, 245, 245, 245, 245, 245, 245, 229, 229, 229, 229, 229, 229, 229, 229, 229,
    229, 229, 229, 229, 229, 229, 229, 229, 229, 229, 229, 192, 128, 192, 0, 225,
    129, 245, 245, 245, 245, 245, 245, 229, 229, 229, 229, 229, 229, 229, 229, 229,
    229, 229, 229, 229, 229, 229, 229, 229, 229, 229, 229, 128, 0, 128, 225, 0,
};

static inline int slg_is(uint8_t c, int classes) { return (slg_class[c] & classes) != 0; }
#endif
