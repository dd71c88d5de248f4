/* fuzz_compact.c - any bytes as a compact block, as a request for transactions and as the answer to one. */
#include "core/crypto/hash.h"
#include "net/gossip/compact.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_span in = QN_SPAN(data, size);
    struct compact *c;
    struct qn_hash block;
    static const struct qn_hash ID = { { 4 } };
    uint32_t idx[BLOCKTX_MAX], cnt, all;
    if (compact_ask_get(in, COMPACT_TX_MAX, &block, idx, &cnt) == QN_OK) {
        struct qn_buf buf = { 0 };
        compact_ask_put(&block, idx, cnt, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), in));
        qn_buf_free(&buf);
    }
    if (compact_open(in, &c)) return 0;
    compact_offer(c, &ID, QN_SPAN_STR("a guess"));
    compact_missing(c, idx, BLOCKTX_MAX, &all);
    uint32_t first = QN_MIN(all, BLOCKTX_MAX);
    /* The same bytes as an answer, behind a head that fits. */
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, compact_block(c)->b, 32);
    qn_buf_u32(&buf, first);
    qn_buf_put(&buf, data, size);
    (void)!compact_answer_fill(qn_buf_get(&buf), idx, first, c);
    qn_buf_free(&buf);
    compact_doubt(c);
    while ((first = compact_missing(c, idx, BLOCKTX_MAX, &all)) != 0)
        for (uint32_t i = 0; i < first; i++)
            QN_ASSERT(compact_fill(c, idx[i], in));
    for (uint32_t i = 0; i < compact_tx_cnt(c); i++)
        QN_ASSERT(compact_tx(c, i).len <= size);
    compact_close(c);
    return 0;
}
