/* bench_ledger_sign.c - microseconds of processor time a signature, many at once through qn_verify_many, beside libsodium one by one in the same run. The
 * message is of the length of a transaction's. Best of many short rounds that take turns, since whatever else runs only ever takes away. */
#include "core/crypto/sign_lanes.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CNT = 512, MSG = 73, ROUNDS = 40 };

static double now_us(void)
{
    struct timespec t;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(void)
{
    static const size_t AT_ONCE[] = { 1, 3, 8, 16, 64, 512 };
    static struct qn_verify_item items[CNT];
    static struct qn_hash pubs[CNT];
    static struct qn_sig sigs[CNT];
    static uint8_t msgs[CNT][MSG];
    bool ok[CNT];
    double one = 1e9, many[QN_COUNT(AT_ONCE)];
    QN_ASSERT(qn_crypto_init() == QN_OK);
    for (size_t i = 0; i < CNT; i++) {
        uint8_t seed[32] = { (uint8_t)i, (uint8_t)(i >> 8) };
        struct qn_key key;
        qn_key_from_seed(seed, &key);
        memset(msgs[i], (int)i, MSG);
        pubs[i] = key.pub;
        sigs[i] = qn_sign(&key, QN_SPAN(msgs[i], MSG));
        items[i] = (struct qn_verify_item){ &pubs[i], &sigs[i], QN_SPAN(msgs[i], MSG) };
    }
    for (unsigned r = 0; r < ROUNDS; r++) {
        double begin = now_us();
        for (size_t i = 0; i < 64; i++)
            ok[i] = crypto_sign_verify_detached(sigs[i].b, msgs[i], MSG, pubs[i].b) == 0;
        one = QN_MIN(one, (now_us() - begin) / 64);
        for (size_t k = 0; k < QN_COUNT(AT_ONCE); k++) {
            size_t cnt = AT_ONCE[k], done = 0;
            begin = now_us();
            for (; done < 64; done += cnt)
                qn_verify_many(items, cnt, ok);
            double took = (now_us() - begin) / (double)done;
            many[k] = r == 0 ? took : QN_MIN(many[k], took);
            for (size_t i = 0; i < cnt; i++)
                QN_ASSERT(ok[i]);
        }
    }
    for (size_t k = 0; k < QN_COUNT(AT_ONCE); k++)
        printf("{\"name\":\"Ed25519 verified, %zu at once\",\"value\":%.2f,\"unit\":\"us "
               "each\",\"peer\":"
               "\"libsodium one by one\",\"peer_value\":%.2f,\"ratio\":%.2f}\n",
               AT_ONCE[k], many[k], one, one / many[k]);
    return 0;
}
