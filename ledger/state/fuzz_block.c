/* fuzz_block.c - any bytes as what a peer or the journal says is a final block, and as a genesis. */
#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"
#include "ledger/state/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 64u << 20 };
    struct qn_why why;
    struct qn_frame frame;
    struct qn_genesis genesis;
    struct qn_buf again = { 0 };
    if (qn_crypto_init()) return 0;
    if (qn_decode(qn_frame_record(), QN_SPAN(data, size), &arena, &frame, &why) == QN_OK) {
        qn_encode(qn_frame_record(), &frame, &again);
        QN_ASSERT(qn_span_eq(qn_buf_get(&again), QN_SPAN(data, size)));
        struct qn_hash hash = qn_header_hash(&frame.block.header);
        struct qn_set set = { .epoch = frame.cert.epoch, .cnt = 1, .weights = { 1 } };
        set.keys[0] = qn_blake3("nobody's key", 12);
        QN_ASSERT(qn_cert_final(&frame.cert, &frame.block.header.chain, &hash, &set, &why) !=
                  QN_OK);
    }
    qn_buf_clear(&again);
    if (qn_decode(qn_genesis_record(), QN_SPAN(data, size), &arena, &genesis, &why) == QN_OK) {
        qn_encode(qn_genesis_record(), &genesis, &again);
        QN_ASSERT(qn_span_eq(qn_buf_get(&again), QN_SPAN(data, size)));
    }
    qn_buf_free(&again);
    qn_arena_free(&arena);
    return 0;
}
