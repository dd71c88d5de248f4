/* hash.h - BLAKE3 (the official specification, 2020), everywhere, domain-separated.
 *
 * H(label, x) = BLAKE3 in derive_key mode with context "quoin " + label, 32 bytes out. A label is a
 * string constant of the code, never foreign input. Plain BLAKE3 (no key) names content: blobs, tiles. */
#ifndef QN_CORE_CRYPTO_HASH_H
#define QN_CORE_CRYPTO_HASH_H

#include "core/base/span.h"

/* An incremental hash in one of the modes; opaque but for its size, no heap. */
struct qn_hasher {
    _Alignas(64) uint8_t state[2048];
};

void qn_hasher_init(struct qn_hasher *h);                     /* plain BLAKE3 */
void qn_hasher_label(struct qn_hasher *h, const char *label); /* H(label, ...) */
void qn_hasher_put(struct qn_hasher *h, const void *src, size_t len);
/* qn_hasher_end and _xof leave the hasher as it was: more may be put and the result taken again. */
struct qn_hash qn_hasher_end(const struct qn_hasher *h);
void qn_hasher_xof(const struct qn_hasher *h, void *dst, size_t len);

struct qn_hash qn_blake3(const void *src, size_t len);               /* plain */
struct qn_hash qn_h(const char *label, const void *src, size_t len); /* H(label, src) */
/* qn_h2 is H(label, a | b) of two hashes: the inner node of binary trees. */
struct qn_hash qn_h2(const char *label, const struct qn_hash *a, const struct qn_hash *b);

/* qn_blake3_many hashes cnt plain inputs of len bytes each (all the same len <= 1024, one BLAKE3 chunk), input i at src + i *
 * stride, as many side by side as the machine's vectors allow. Output bits equal qn_blake3's. */
void qn_blake3_many(const void *src, size_t stride, size_t len, size_t cnt, struct qn_hash *ret);
/* qn_h_many is the same under a label. */
void qn_h_many(const char *label, const void *src, size_t stride, size_t len, size_t cnt,
               struct qn_hash *ret);

#endif
