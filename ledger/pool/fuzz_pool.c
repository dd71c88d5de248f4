/* fuzz_pool.c - any sequence of transactions coming, leaving and running out: the pool does what a plain array does. */
#include "ledger/pool/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t BODY[64] = { 0 };
    struct qn_span s = QN_SPAN(data, size), op;
    static struct model m; /* 100 KB: not for the stack */
    memset(&m, 0, sizeof m);
    m.limits =
        (struct qn_pool_limits){ .bytes = 16 * 3 * (QN_POOL_OVER + 40), .calm = 5, .busy = 2 };
    struct qn_pool *pool = qn_pool_new(&m.limits);
    uint64_t now = 0;
    for (uint32_t n = 0; n < 200 && qn_take(&s, 6, &op); n++) {
        uint8_t what = op.ptr[0], who = op.ptr[1] % 16;
        if (what % 8 == 0 && m.cnt) {
            struct qn_hash id = m.at[op.ptr[2] % m.cnt].tx.id;
            qn_pool_drop(pool, &id);
            model_cut(&m, model_find(&m, &id));
        } else if (what % 8 == 1) {
            now += op.ptr[2];
            qn_pool_expire(pool, now);
            for (uint32_t i = m.cnt; i-- > 0;)
                if (now > m.at[i].tx.until_ms) model_cut(&m, i);
        } else {
            struct qn_pool_tx tx = { .id = { { what, who, op.ptr[2], op.ptr[3], op.ptr[4] } },
                                     .sender = { { who } },
                                     .payer = { { (uint8_t)(who / 2) } },
                                     .salt = (uint64_t)op.ptr[2] % 4 | (uint64_t)(what >> 7) << 63,
                                     .until_ms = now + op.ptr[5],
                                     .fee_uqn = op.ptr[3],
                                     .balance_uqn = 500,
                                     .tip_uqn = op.ptr[4] % 16,
                                     .gas_max = 1000,
                                     .bytes = QN_SPAN(BODY, 1 + op.ptr[5] % 64) };
            qn_rc want = model_put(&m, &tx), got = qn_pool_put(pool, &tx, NULL);
            QN_ASSERT(want == got);
        }
        QN_ASSERT(model_same(&m, pool));
    }
    qn_pool_free(pool);
    return 0;
}
