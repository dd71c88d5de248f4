/* fuzz_proof.c - any bytes as a proof file: nothing verifies against a chain that signed nothing. */
#include "core/crypto/hash.h"
#include "ledger/state/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_why why = { "" };
    struct qn_hash other = qn_blake3("another chain", 13);
    struct qn_proof proof;
    if (qn_crypto_init()) return 0;
    QN_ASSERT(qn_proof_check(QN_SPAN(data, size), &other, &proof, &why) != QN_OK);
    QN_ASSERT(why.text[0] != 0);
    if (qn_proof_check(QN_SPAN(data, size), NULL, &proof, &why) == QN_OK)
        json_decref(qn_proof_json(&proof));
    return 0;
}
