/* fuzz_sign.c - signatures side by side against libsodium one by one. The input is up to 24 of how u8 | at u8 | key[32] | sig[64] | len u8 | message;
 * how 0 takes them as they are, else key is the seed of a key that signs, and how changes a byte of what comes out. */
#include "core/crypto/sign_lanes.h"

#include <sodium.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX = 24 };
    struct qn_verify_item items[MAX];
    struct qn_hash pubs[MAX];
    struct qn_sig sigs[MAX];
    bool many[MAX], lanes[MAX];
    struct qn_span s = QN_SPAN(data, size), key, sig, msg;
    uint8_t how, at, len;
    size_t cnt = 0;
    if (qn_crypto_init()) return 0;
    for (; cnt < MAX && qn_take_u8(&s, &how) && qn_take_u8(&s, &at) && qn_take(&s, 32, &key) &&
           qn_take(&s, 64, &sig) && qn_take_u8(&s, &len) && qn_take(&s, len, &msg);
         cnt++) {
        memcpy(pubs[cnt].b, key.ptr, 32);
        memcpy(sigs[cnt].b, sig.ptr, 64);
        if (how) {
            struct qn_key k;
            qn_key_from_seed(key.ptr, &k);
            pubs[cnt] = k.pub;
            sigs[cnt] = qn_sign(&k, msg);
            if (at < 32) pubs[cnt].b[at] ^= (uint8_t)(how - 1);
            if (at >= 32 && at < 96) sigs[cnt].b[at - 32] ^= (uint8_t)(how - 1);
        }
        items[cnt] = (struct qn_verify_item){ &pubs[cnt], &sigs[cnt], msg };
    }
    qn_verify_many(items, cnt, many);
    memcpy(lanes, many, sizeof lanes);
    if (sign_lanes_can()) sign_lanes_verify(items, cnt, lanes);
    for (size_t i = 0; i < cnt; i++) {
        bool want = crypto_sign_verify_detached(sigs[i].b, items[i].msg.ptr, items[i].msg.len,
                                                pubs[i].b) == 0;
        QN_ASSERT(many[i] == want);
        QN_ASSERT(lanes[i] == want);
    }
    return 0;
}
