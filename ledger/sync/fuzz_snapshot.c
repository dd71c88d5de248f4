/* fuzz_snapshot.c - any bytes as a snapshot's manifest, with chunks from their end: nothing that a stranger's chain did not sign is believed, and
 * every refusal says why. */
#include "ledger/sync/snapshot.h"

#include "core/crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is asked for is the input's tail. */
static qn_rc get(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                 struct qn_why *why)
{
    const struct qn_span *all = self;
    (void)hash;
    if (max > all->len) return qn_why(why, QN_E_NOTFOUND, "it is not there");
    qn_buf_put(ret, all->ptr + all->len - max, max);
    return QN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_span all = QN_SPAN(data, size);
    struct qn_chunks chunks = { .self = &all, .get = get };
    struct qn_snapshot sn;
    struct qn_why why = { "" };
    struct qn_hash other = qn_blake3("another chain", 13);
    if (qn_crypto_init()) return 0;
    QN_ASSERT(qn_snapshot_check(all, &other, &chunks, &sn, &why) != QN_OK);
    QN_ASSERT(why.text[0] != 0);
    if (qn_snapshot_check(all, NULL, &chunks, &sn, &why) == QN_OK)
        QN_ASSERT(sn.chunk_cnt > 0 && sn.block_cnt > 0);
    return 0;
}
