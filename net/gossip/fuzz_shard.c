/* fuzz_shard.c - any bytes as a piece of a proposal: what reads must write back to the same bytes, and the pool keeps none of it unless
 * path and signature hold. */
#include "core/crypto/hash.h"
#include "net/gossip/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of all signatures hold, so that what lies behind is reached. */
static bool signed_by(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                      const struct qn_sig *sig)
{
    (void)self;
    (void)view;
    (void)message;
    return epoch % 2 == 0 || sig->b[0] % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct qn_hash CHAIN = { { 7 } };
    struct shard s;
    struct shard_event ev;
    if (shard_get(QN_SPAN(data, size), &s) == QN_OK) {
        QN_ASSERT(s.piece.len <= SHARD_BODY_MAX / RS_K_MAX + 1);
        QN_ASSERT(size == 121 + 32u * s.depth + s.piece.len);
        QN_ASSERT(s.piece.ptr + s.piece.len == data + size);
    }
    struct shard_pool *pool = shard_pool_new(&CHAIN, (struct shard_trust){ NULL, signed_by });
    for (int i = 0; i < 2; i++) {
        if (shard_pool_recv(pool, QN_SPAN(data, size), &ev) != QN_OK) continue;
        QN_ASSERT(shard_check(&ev.shard));
        QN_ASSERT(ev.fresh == (i == 0));
    }
    shard_pool_turn(pool, UINT64_MAX);
    shard_pool_free(pool);
    return 0;
}
