/* fuzz_snapshot.c - any bytes as a snapshot's manifest, and as the chunks and bodies that it names: u32 LE length | manifest | what it names, in its order.
 * Nothing that a stranger's chain did not sign is believed, and every refusal says why. */
#include "ledger/sync/snapshot.h"

#include "core/crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One part after the other; a second pass begins again. */
struct parts {
    struct qn_span all, left;
};

static qn_rc get(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                 struct qn_why *why)
{
    struct parts *p = self;
    struct qn_span part;
    (void)hash;
    if (!qn_take(&p->left, max, &part)) return qn_why(why, QN_E_NOTFOUND, "it is not there");
    qn_buf_span(ret, part);
    return QN_OK;
}

/* Chunks as they come from a peer, one by one, whatever their hash: their rows must lead to the state root. */
static void look_into(const struct qn_snapshot *sn, struct qn_span rest)
{
    struct qn_part part = { .rest = NULL };
    struct qn_span rows, key, val;
    while (qn_snapshot_next(sn, &part) && qn_take(&rest, part.bytes, &rows)) {
        if (!part.chunk || qn_snapshot_chunk(sn, &part, rows)) continue;
        while (rows.len)
            QN_ASSERT(qn_row_take(&rows, &key, &val)); /* what was found good is rows */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts parts = { .all = QN_SPAN(data, size) };
    struct qn_span manifest;
    struct qn_snapshot sn;
    struct qn_why why = { "" };
    struct qn_hash other = qn_blake3("another chain", 13);
    struct qn_chunks chunks = { .self = &parts, .get = get };
    uint32_t len;
    if (qn_crypto_init() || !qn_take_u32(&parts.all, &len) ||
        !qn_take(&parts.all, QN_MIN((size_t)len, parts.all.len), &manifest))
        return 0;
    parts.left = parts.all;
    QN_ASSERT(qn_snapshot_check(manifest, &other, &chunks, &sn, &why) != QN_OK);
    QN_ASSERT(why.text[0] != 0);
    if (qn_snapshot_read(manifest, NULL, NULL, &sn, &why)) return 0;
    look_into(&sn, parts.all);
    /* Bodies are looked at before chunks. */
    struct qn_part part = { .rest = NULL };
    struct qn_span skipped;
    parts.left = parts.all;
    while (qn_snapshot_next(&sn, &part) && part.chunk)
        if (!qn_take(&parts.left, part.bytes, &skipped)) return 0;
    struct qn_buf turned = { 0 }; /* bodies, then chunks */
    qn_buf_span(&turned, parts.left);
    qn_buf_put(&turned, parts.all.ptr, parts.all.len - parts.left.len);
    parts.left = qn_buf_get(&turned);
    if (qn_snapshot_check(manifest, NULL, &chunks, &sn, &why) == QN_OK)
        QN_ASSERT(sn.chunk_cnt > 0 && sn.block_cnt > 0);
    qn_buf_free(&turned);
    return 0;
}
