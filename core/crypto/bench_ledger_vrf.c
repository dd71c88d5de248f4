/* bench_ledger_vrf.c - microseconds of processor time a VRF proof, drawn and checked, alone and many at once, beside a check on libsodium alone in the same
 * run. The text is of the length of a beacon's, keys are those of 20 validators in turn. Best of many short rounds that take turns, since
 * whatever else runs only ever takes away. */
#include "core/crypto/vrf_lanes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CNT = 64, KEYS = 20, MSG = 85, ROUNDS = 20 };

static double now_us(void)
{
    struct timespec t;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void print(const char *name, double value, double plain)
{
    printf("{\"name\":\"VRF proof %s\",\"value\":%.2f,\"unit\":\"us each\",\"peer\":\"checked on "
           "libsodium alone\",\"peer_value\":%.2f,\"ratio\":%.2f}\n",
           name, value, plain, plain / value);
}

int main(void)
{
    static const size_t AT_ONCE[] = { 1, 2, 8, 64 };
    static struct qn_vrf_item items[CNT];
    static struct qn_key keys[CNT];
    static struct qn_vrf_proof pis[CNT];
    static uint8_t msgs[CNT][MSG], out[CNT][QN_VRF_OUT];
    bool ok[CNT];
    double plain = 1e9, draw = 1e9, many[QN_COUNT(AT_ONCE)];
    QN_ASSERT(qn_crypto_init() == QN_OK);
    for (size_t i = 0; i < CNT; i++) {
        uint8_t seed[32] = { (uint8_t)(i % KEYS) };
        qn_key_from_seed(seed, &keys[i]);
        memset(msgs[i], (int)i, MSG);
        items[i] = (struct qn_vrf_item){ &keys[i].pub, &pis[i], QN_SPAN(msgs[i], MSG) };
    }
    for (unsigned r = 0; r < ROUNDS; r++) {
        double begin = now_us();
        for (size_t i = 0; i < CNT; i++)
            qn_vrf_prove(&keys[i], items[i].alpha, &pis[i], out[i]);
        draw = QN_MIN(draw, (now_us() - begin) / CNT);
        begin = now_us();
        for (size_t i = 0; i < 16; i++)
            QN_ASSERT(vrf_plain_verify(items[i].pub, items[i].alpha, items[i].proof, out[i]));
        plain = QN_MIN(plain, (now_us() - begin) / 16);
        for (size_t k = 0; k < QN_COUNT(AT_ONCE); k++) {
            size_t cnt = AT_ONCE[k];
            begin = now_us();
            for (size_t done = 0; done < CNT; done += cnt)
                qn_vrf_verify_many(items + done, cnt, ok + done, out + done);
            double took = (now_us() - begin) / CNT;
            many[k] = r == 0 ? took : QN_MIN(many[k], took);
            for (size_t i = 0; i < CNT; i++)
                QN_ASSERT(ok[i]);
        }
    }
    print("drawn", draw, plain);
    for (size_t k = 0; k < QN_COUNT(AT_ONCE); k++) {
        char name[64];
        snprintf(name, sizeof name, "checked, %zu at once", AT_ONCE[k]);
        print(name, many[k], plain);
    }
    return 0;
}
