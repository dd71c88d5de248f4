/* fuzz_key.c - any text as an address or hex key, any bytes as a sealed secret. */
#include "core/crypto/sign.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[200], addr[64];
    struct qn_hash acct, again;
    struct qn_buf secret = { 0 };
    if (qn_crypto_init()) return 0;
    size_t len = QN_MIN(size, sizeof text - 1);
    memcpy(text, data, len);
    text[len] = 0;
    if (qn_addr_parse(text, &acct) == QN_OK) {
        qn_addr_print(&acct, addr);
        QN_ASSERT(qn_addr_parse(addr, &again) == QN_OK && qn_hash_eq(&acct, &again));
    }
    /* The cost of opening is the file's own claim: only cheap claims are tried here, the limit itself always. */
    uint32_t ops = 0, mem_kib = 0;
    if (size >= 12) {
        memcpy(&ops, data + 4, 4);
        memcpy(&mem_kib, data + 8, 4);
    }
    bool cheap = ops <= 2 && mem_kib <= 64, beyond = ops > 10 || mem_kib > 1048576;
    if (cheap || beyond)
        QN_ASSERT(qn_unseal(QN_SPAN(data, size), "not the passphrase", &secret) != QN_OK);
    QN_ASSERT(secret.len == 0);
    qn_buf_free(&secret);
    return 0;
}
