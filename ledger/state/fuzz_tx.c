/* fuzz_tx.c - any bytes as a signed transaction: one byte form, and no signature without its key. */
#include "core/crypto/hash.h"
#include "ledger/state/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_why why;
    struct qn_tx tx;
    if (qn_crypto_init() == QN_OK &&
        qn_decode(qn_tx_record(), QN_SPAN(data, size), &arena, &tx, &why) == QN_OK) {
        struct qn_buf again = { 0 };
        qn_encode(qn_tx_record(), &tx, &again);
        QN_ASSERT(qn_span_eq(qn_buf_get(&again), QN_SPAN(data, size)));
        struct qn_hash id = qn_tx_id(&tx), whole = qn_tx_whole(&tx), named[2], chain = tx.chain,
                       other = qn_blake3("x", 1);
        qn_tx_names(&tx, QN_SPAN(data, size), &named[0], &named[1]);
        QN_ASSERT(qn_hash_eq(&named[0], &id) && qn_hash_eq(&named[1], &whole));
        QN_ASSERT(qn_tx_check(&tx, &id, &other, &why) != QN_OK);
        if (qn_tx_check(&tx, &id, &chain, &why) == QN_OK) QN_ASSERT(tx.auths.cnt > 0);
        json_t *json = qn_to_json(qn_tx_record(), &tx);
        QN_ASSERT(json != NULL);
        json_decref(json);
        qn_buf_free(&again);
    }
    qn_arena_free(&arena);
    return 0;
}
