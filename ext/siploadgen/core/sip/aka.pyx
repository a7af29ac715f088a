"""The answers of a SIM card: see aka.pxd."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from siploadgen.core.span cimport Span, span_make
from siploadgen.core.sip.parse cimport list_next

cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    ctypedef struct OSSL_LIB_CTX:
        pass
    ctypedef struct OSSL_PARAM:
        pass
    EVP_CIPHER* EVP_CIPHER_fetch(OSSL_LIB_CTX* library, const char* name, const char* properties)
    void EVP_CIPHER_free(EVP_CIPHER* cipher)
    EVP_CIPHER_CTX* EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* context)
    int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX* context, int padding)
    int EVP_EncryptInit_ex2(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher,
                            const unsigned char* key, const unsigned char* iv,
                            const OSSL_PARAM* parameters)
    int EVP_EncryptUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* length,
                          const unsigned char* data, int data_length)
    int EVP_DecodeBlock(unsigned char* out, const unsigned char* text, int length)

cdef extern from "<openssl/err.h>" nogil:
    void ERR_clear_error()

cdef enum:
    BLOCK = 16
    CHALLENGE = 32              # octets of RAND and AUTN
    CHALLENGE_TEXT = 44         # base64 digits that hold them

cdef struct Card:               # what is read out of a secret
    uint8_t k[16]
    uint8_t opc[16]
    uint8_t amf[2]
    uint8_t sqn[6]
    bint has_k
    bint has_opc
    bint has_op
    bint has_amf
    bint has_sqn


cdef bint encrypt(Aka* aka, const uint8_t* data, uint8_t* out) noexcept nogil:
    """One block under the key that `keyed` set."""
    cdef int length = 0
    return EVP_EncryptUpdate(<EVP_CIPHER_CTX*>aka.context, out, &length, data, BLOCK) == 1 \
        and length == BLOCK


cdef bint keyed(Aka* aka, const uint8_t* k) noexcept nogil:
    cdef EVP_CIPHER_CTX* context = <EVP_CIPHER_CTX*>aka.context
    return aka.cipher != NULL \
        and EVP_EncryptInit_ex2(context, <const EVP_CIPHER*>aka.cipher, k, NULL, NULL) == 1 \
        and EVP_CIPHER_CTX_set_padding(context, 0) == 1


cdef inline void mix(uint8_t* block, const uint8_t* other) noexcept nogil:
    cdef int i
    for i in range(BLOCK):
        block[i] ^= other[i]


cdef bint milenage(Aka* aka, const Card* card, const uint8_t* rand, const uint8_t* sqn,
                   const uint8_t* amf, Milenage* out) noexcept nogil:
    """TS 35.206 4.1 with its constants r1 = 64, c1 = 0; r2 = 0, c2 = 1. `sqn` NULL: the one that
    f5 uncovers in the six octets that stand before `amf`.
    """
    cdef uint8_t temp[16]
    cdef uint8_t block[16]
    cdef uint8_t given[16]
    cdef int i
    memcpy(block, rand, BLOCK)
    mix(block, card.opc)
    if not encrypt(aka, block, temp):
        return False
    memcpy(block, temp, BLOCK)                  # f2 and f5
    mix(block, card.opc)
    block[15] ^= 1
    if not encrypt(aka, block, block):
        return False
    mix(block, card.opc)
    memcpy(out.ak, block, 6)
    memcpy(out.res, block + 8, 8)
    for i in range(6):                          # f1
        given[i] = sqn[i] if sqn != NULL else (amf - 6)[i] ^ out.ak[i]
    memcpy(given + 6, amf, 2)
    memcpy(given + 8, given, 8)
    mix(given, card.opc)
    for i in range(BLOCK):
        block[i] = temp[i] ^ given[(i + 8) % BLOCK]
    if not encrypt(aka, block, block):
        return False
    mix(block, card.opc)
    memcpy(out.mac, block, 8)
    return True


cdef bint resync(Aka* aka, const Card* card, const uint8_t* rand, const uint8_t* sqn,
                 const uint8_t* amf, Resync* out) noexcept nogil:
    """f1* and f5* (TS 35.206 4.1: r5 = 96, c5 = 8)."""
    cdef uint8_t temp[16]
    cdef uint8_t block[16]
    cdef uint8_t given[16]
    cdef int i
    memcpy(block, rand, BLOCK)
    mix(block, card.opc)
    if not encrypt(aka, block, temp):
        return False
    for i in range(BLOCK):                      # f5*
        block[i] = temp[(i + 12) % BLOCK] ^ card.opc[(i + 12) % BLOCK]
    block[15] ^= 8
    if not encrypt(aka, block, block):
        return False
    mix(block, card.opc)
    memcpy(out.ak, block, 6)
    memcpy(given, sqn, 6)                       # f1*, the other half of f1
    memcpy(given + 6, amf, 2)
    memcpy(given + 8, given, 8)
    mix(given, card.opc)
    for i in range(BLOCK):
        block[i] = temp[i] ^ given[(i + 8) % BLOCK]
    if not encrypt(aka, block, block):
        return False
    mix(block, card.opc)
    memcpy(out.mac, block + 8, 8)
    return True


cdef inline bint unhex(Span text, uint8_t* out, uint32_t length) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t c
    if text.length != 2 * length:
        return False
    for i in range(text.length):
        c = text.data[i]
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= (c | 0x20) <= 102:
            c = (c | 0x20) - 87
        else:
            return False
        out[i // 2] = c << 4 if i % 2 == 0 else out[i // 2] | c
    return True


cdef inline bint begins(Span text, const char* word, uint32_t length) noexcept nogil:
    return text.length >= length and memcmp(text.data, word, length) == 0


cdef inline Span behind(Span text, uint32_t length) noexcept nogil:
    return span_make(text.data + length, text.length - length)


cdef bint card_read(Aka* aka, Span secret, Card* card) noexcept nogil:
    """Also sets the key."""
    cdef Span rest = behind(secret, 4)
    cdef Span item
    cdef uint8_t op[16]
    memset(card, 0, sizeof(Card))
    while list_next(&rest, &item):
        if begins(item, b"k=", 2) and unhex(behind(item, 2), card.k, BLOCK):
            card.has_k = True
        elif begins(item, b"opc=", 4) and unhex(behind(item, 4), card.opc, BLOCK):
            card.has_opc = True
        elif begins(item, b"op=", 3) and unhex(behind(item, 3), op, BLOCK):
            card.has_op = True
        elif begins(item, b"amf=", 4) and unhex(behind(item, 4), card.amf, 2):
            card.has_amf = True
        elif begins(item, b"sqn=", 4) and unhex(behind(item, 4), card.sqn, 6):
            card.has_sqn = True
        else:
            return False
    if not card.has_k or card.has_op == card.has_opc or not keyed(aka, card.k):
        return False
    if card.has_op:
        if not encrypt(aka, op, card.opc):
            return False
        mix(card.opc, op)
    return True


cdef bint aka_is_secret(Span password) noexcept nogil:
    return begins(password, b"aka:", 4)


cdef bint nonce_read(Span nonce, uint8_t* challenge) noexcept nogil:
    """RAND and AUTN at the front of a nonce (RFC 3310 3.2); what follows is the server's own."""
    cdef uint8_t text[44]
    cdef uint8_t octets[33]
    if nonce.length < CHALLENGE_TEXT - 1:
        return False
    memcpy(text, nonce.data, CHALLENGE_TEXT - 1)
    text[CHALLENGE_TEXT - 1] = 61 if nonce.length < CHALLENGE_TEXT \
        else nonce.data[CHALLENGE_TEXT - 1]
    if EVP_DecodeBlock(octets, text, CHALLENGE_TEXT) != CHALLENGE + 1:
        ERR_clear_error()
        return False
    memcpy(challenge, octets, CHALLENGE)
    return True


cdef AkaAnswer aka_answer(Aka* aka, Span secret, Span nonce, uint8_t* out) noexcept nogil:
    cdef uint8_t challenge[32]
    cdef Milenage answer
    cdef Resync token
    cdef Card card
    cdef int i
    cdef uint8_t* sqn = challenge + 16          # AUTN: SQN ^ AK, AMF, MAC
    cdef const uint8_t* amf = challenge + 22
    if not aka_is_secret(secret) or not card_read(aka, secret, &card) \
            or not nonce_read(nonce, challenge):
        return AKA_NONE
    if card.has_amf and memcmp(amf, card.amf, 2) != 0:
        return AKA_NONE
    if not milenage(aka, &card, challenge, NULL, amf, &answer) \
            or memcmp(answer.mac, challenge + 24, 8) != 0:
        return AKA_NONE
    for i in range(6):
        sqn[i] ^= answer.ak[i]
    if not card.has_sqn or memcmp(sqn, card.sqn, 6) > 0:
        memcpy(out, answer.res, AKA_RES_LENGTH)
        return AKA_RES
    # the AMF of a token is all zeros (TS 33.102 6.3.3)
    if not resync(aka, &card, challenge, card.sqn, <const uint8_t*>b"\0\0", &token):
        return AKA_NONE
    for i in range(6):
        out[i] = card.sqn[i] ^ token.ak[i]
    memcpy(out + 6, token.mac, 8)
    return AKA_AUTS


cdef int aka_open(Aka* aka) except -1:
    memset(aka, 0, sizeof(aka[0]))
    aka.context = EVP_CIPHER_CTX_new()
    if aka.context == NULL:
        raise MemoryError("cannot make a cipher context")
    aka.cipher = EVP_CIPHER_fetch(NULL, b"AES-128-ECB", NULL)
    ERR_clear_error()   # left behind by a libcrypto without AES, which we tell by no answer
    return 0


cdef void aka_close(Aka* aka) noexcept nogil:
    EVP_CIPHER_free(<EVP_CIPHER*>aka.cipher)
    EVP_CIPHER_CTX_free(<EVP_CIPHER_CTX*>aka.context)
    aka.cipher = NULL
    aka.context = NULL


@cython.final
cdef class SimCard:
    """One secret and the answers to challenges, for tests."""

    cdef Aka aka
    cdef bytes secret

    def __cinit__(self, bytes secret not None):
        aka_open(&self.aka)
        self.secret = secret

    def __dealloc__(self):
        aka_close(&self.aka)

    cdef Span text(self):
        return span_make(<const uint8_t*>self.secret, <uint32_t>len(self.secret))

    def milenage(self, bytes rand not None, bytes sqn not None, bytes amf not None):
        """Return MAC (f1), RES (f2) and AK (f5); ValueError for a broken secret or lengths."""
        cdef Card card
        cdef Milenage out
        if len(rand) != 16 or len(sqn) != 6 or len(amf) != 2:
            raise ValueError("RAND has 16 octets, SQN 6, AMF 2")
        if not aka_is_secret(self.text()) or not card_read(&self.aka, self.text(), &card) \
                or not milenage(&self.aka, &card, rand, sqn, amf, &out):
            raise ValueError("a broken secret")
        return out.mac[:8], out.res[:8], out.ak[:6]

    def resync(self, bytes rand not None, bytes sqn not None, bytes amf not None):
        """Return MAC-S (f1*) and AK (f5*); ValueError for a broken secret or lengths."""
        cdef Card card
        cdef Resync out
        if len(rand) != 16 or len(sqn) != 6 or len(amf) != 2:
            raise ValueError("RAND has 16 octets, SQN 6, AMF 2")
        if not aka_is_secret(self.text()) or not card_read(&self.aka, self.text(), &card) \
                or not resync(&self.aka, &card, rand, sqn, amf, &out):
            raise ValueError("a broken secret")
        return out.mac[:8], out.ak[:6]

    def answer(self, bytes nonce not None):
        """RES for a nonce, or AUTS; None when it cannot be answered."""
        cdef uint8_t out[AKA_LENGTH]
        cdef Span given = span_make(<const uint8_t*>nonce, <uint32_t>len(nonce))
        cdef AkaAnswer kind = aka_answer(&self.aka, self.text(), given, out)
        if kind == AKA_NONE:
            return None
        return out[:AKA_AUTS_LENGTH] if kind == AKA_AUTS else out[:AKA_RES_LENGTH]
