/* fuzz_noise.c - any bytes to either side of an upgrade, and as the payload of a peer: nobody is believed without a signature. The first byte
 * says how far an honest exchange went before. */
#include "net/libp2p/upgrade.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_aead *aead = qn_aead_new();
    struct qn_key key[2];
    struct qn_noise_self self[2];
    static struct qn_upgrade up[2];
    struct qn_buf wire[2] = { { 0 }, { 0 } };
    qn_rc rc[2] = { QN_E_AGAIN, QN_E_AGAIN };
    uint8_t seed[32] = { 1 };
    QN_ASSERT(qn_crypto_init() == QN_OK);
    for (uint8_t i = 0; i < 2; i++) {
        seed[1] = i;
        qn_key_from_seed(seed, &key[i]);
        qn_noise_self_init(&self[i], &key[i], seed);
        qn_upgrade_init(&up[i], i == 0, NULL, seed, aead, &self[i], &wire[i]);
    }
    if (size > 1) {
        int to = 1;
        for (int steps = data[0] % 3; steps > 0; steps--, to = !to) {
            struct qn_buf out = wire[!to];
            wire[!to] = (struct qn_buf){ 0 };
            struct qn_span in = qn_buf_get(&out);
            rc[to] = qn_upgrade_step(&up[to], aead, &self[to], &in, &wire[to]);
            qn_buf_free(&out);
        }
        struct qn_span in = QN_SPAN(data + 1, size - 1);
        if (rc[to] == QN_E_AGAIN)
            rc[to] = qn_upgrade_step(&up[to], aead, &self[to], &in, &wire[to]);
        QN_ASSERT(rc[to] != QN_OK); /* no input that was not signed */
        struct qn_noise_peer peer;
        QN_ASSERT(qn_noise_payload(QN_SPAN(data + 1, size - 1), self[0].pk, &peer) != QN_OK ||
                  (size > 100 && qn_peer_id_eq(&peer.id, &(struct qn_peer_id){ 0 }) == false));
    }
    for (int i = 0; i < 2; i++) {
        qn_upgrade_wipe(&up[i]);
        qn_buf_free(&wire[i]);
    }
    qn_aead_free(aead);
    return 0;
}
