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
/* Message word order of each round: row r is the permutation (2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8) applied r times. Here, so that
 * unrolled rounds know it: as a table in memory it cost a fifth of the speed. */
static const uint8_t QN_B3_ORDER[7][16] = {
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 },
    { 3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1 },
    { 10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6 },
    { 12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4 },
    { 9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7 },
    { 11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13 },
};

/* qn_b3_compress mixes one 64-byte block (zero-padded behind len) into 16 output words; the first 8 are the
 * new chaining value. */
void qn_b3_compress(const uint32_t cv[8], const uint8_t block[64], uint32_t len, uint64_t counter,
                    uint32_t flags, uint32_t ret[16]);

/* qn_b3_chunks writes the chaining values of cnt whole chunks of one input, of which the first is number first; qn_b3_parents
 * those of cnt pairs of chaining values (ret may be src). None is a root. As many side by side as the vectors allow. */
void qn_b3_chunks(const uint32_t key[8], uint32_t flags, const void *src, uint64_t first,
                  size_t cnt, struct qn_hash *ret);
void qn_b3_parents(const uint32_t key[8], uint32_t flags, const struct qn_hash *src, size_t cnt,
                   struct qn_hash *ret);

/* qn_hasher_key lends out the key words a labelled hasher starts from. */
void qn_hasher_key(const struct qn_hasher *h, uint32_t ret[8]);

#endif
