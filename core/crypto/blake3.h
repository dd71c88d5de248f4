/* blake3.h - inside of core/crypto: the compression function and its flags (BLAKE3 specification 2.1-2.2). */
#ifndef QN_CORE_CRYPTO_BLAKE3_H
#define QN_CORE_CRYPTO_BLAKE3_H

#include "core/crypto/hash.h"

enum {
    QN_B3_CHUNK_START = 1,
    QN_B3_CHUNK_END = 2,
    QN_B3_PARENT = 4,
    QN_B3_ROOT = 8,
    QN_B3_CONTEXT = 32,
    QN_B3_MATERIAL = 64,
};

extern const uint32_t QN_B3_IV[8];
extern const uint8_t QN_B3_ORDER[7][16]; /* message word order of each round */

/* qn_b3_compress mixes one 64-byte block (zero-padded behind len) into 16 output words; the first 8 are the
 * new chaining value. */
void qn_b3_compress(const uint32_t cv[8], const uint8_t block[64], uint32_t len, uint64_t counter,
                    uint32_t flags, uint32_t ret[16]);

/* qn_hasher_key lends out the key words a labelled hasher starts from. */
void qn_hasher_key(const struct qn_hasher *h, uint32_t ret[8]);

#endif
