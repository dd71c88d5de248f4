/* fuzz_gossip.c - any bytes from several peers, with time passing between: first byte of each piece says who, how many bytes, how long after.
 * Whatever it is, memory stays within bounds, what comes out is well formed, and nobody is grafted in back-off (asserted in mesh.c). */
#include "net/gossip/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 0; p < 4; p++)
        rig_peer(&r, p, p & 1);
    for (uint32_t p = 2; p < 4; p++) /* what these name is taken */
        gossip_peer_credit(r.g, p, 200);
    r.record_len = 300;
    struct qn_span in = QN_SPAN(data, size), piece;
    uint8_t how, len;
    while (qn_take_u8(&in, &how) && qn_take_u8(&in, &len)) {
        if (!qn_take(&in, QN_MIN((size_t)len, in.len), &piece)) break;
        r.verdict = (enum gossip_verdict)(how >> 2 & 3);
        r.px_rc = how & 128 ? QN_E_SIGNATURE : QN_OK;
        uint32_t px = r.px;
        if (gossip_recv(r.g, how & 3, piece)) {
            gossip_peer_down(r.g, how & 3);
            rig_peer(&r, how & 3, how & 1);
        }
        QN_ASSERT(r.px - px <= 3 * PX_CNT); /* topics */
        if (how & 16) rig_run(&r, 500);
        if (how & 32) gossip_verdict(r.g, r.handle, GOSSIP_ACCEPT);
        if (how & 64) (void)rig_hear(&r, how & 3);
    }
    for (uint32_t p = 0; p < 4; p++)
        (void)rig_hear(&r, p);
    QN_ASSERT(gossip_memory(r.g) < (2u << 20) + 64 * size);
    gossip_free(r.g);
    return 0;
}
