/* fuzz_offer.c - any bytes as a peer's offers: those that read have one byte form, and what they say of validators is believed for no hash. */
#include "core/node/offer.h"

#include "core/crypto/hash.h"
#include "ledger/state/steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct offers o;
    struct qn_buf again = { 0 };
    struct qn_set set;
    struct qn_hash trust, chain;
    if (offers_get(QN_SPAN(data, size), &o)) return 0;
    offers_put(&o, &again);
    QN_ASSERT(qn_span_eq(qn_buf_get(&again), QN_SPAN(data, size)));
    trust = qn_blake3("a block", 7);
    QN_ASSERT(qn_pin_take(&o.pin, &trust, 9, 0, &set, &chain, NULL) != QN_OK);
    qn_buf_free(&again);
    return 0;
}
