/* test_proof.c - honest proofs verify, for several shapes; changed bytes never do. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "modules/zkml/prove.h"
#include "modules/zkml/testnet.h"
#include "modules/zkml/verify.h"

#include <stdlib.h>

static void honest(struct qn_test_state *t, const uint32_t *dims, uint32_t layers, uint64_t seed)
{
    struct testnet n;
    struct qn_why why = { "" };
    struct qn_buf proof = { 0 };
    struct zkml_verdict v;
    int8_t y[64], ref[64];
    CHECK_RC(testnet_make(&n, dims, layers, 4, seed, &why), QN_OK);
    CHECK_RC(testnet_prove(&n, NULL, 1, &proof, y, &why), QN_OK);
    qn_rc rc = zkml_verify(qn_buf_get(&proof), &v, &why);
    if (rc) printf("%s\n", why.text);
    CHECK_RC(rc, QN_OK);
    CHECK_RC(int8_run(&n.secret.net, n.x, ref), QN_OK);
    CHECK(memcmp(y, ref, n.net.layer[layers - 1].out) == 0);
    CHECK(v.class_idx == int8_argmax(ref, n.net.layer[layers - 1].out));
    CHECK(v.bits >= 1000 && v.hiding && qn_hash_eq(&v.model, &n.secret.model));
    CHECK(proof.len <= n.secret.plan.proof_max);
    printf("%u layers from %u: %zu bytes, m %u N 2^%u t %u\n", layers, dims[0], proof.len,
           n.secret.plan.m, n.secret.plan.log_n, n.secret.plan.queries);
    qn_buf_free(&proof);
    testnet_free(&n);
}

static void test_shapes(struct qn_test_state *t)
{
    honest(t, (const uint32_t[]){ 784, 128, 10 }, 2, 1);
    honest(t, (const uint32_t[]){ 784, 56, 10 }, 2, 2);
    honest(t, (const uint32_t[]){ 3, 4 }, 1, 3);
    honest(t, (const uint32_t[]){ 1, 1, 1 }, 2, 4);
    honest(t, (const uint32_t[]){ 20, 33, 17, 9, 5 }, 4, 5);
    honest(t, (const uint32_t[]){ 64, 129, 3 }, 2, 6);
}

/* Any byte changed, anywhere: refused with one line. */
static void test_bytes(struct qn_test_state *t)
{
    struct testnet n;
    struct qn_why why = { "" };
    struct qn_buf proof = { 0 };
    struct zkml_verdict v;
    struct zkml_file f;
    size_t accepted = 0, silent = 0, cnt = test_long() ? 20000 : 1000;
    CHECK_RC(testnet_make(&n, (const uint32_t[]){ 784, 128, 10 }, 2, 8, 11, &why), QN_OK);
    CHECK_RC(testnet_prove(&n, NULL, 2, &proof, NULL, &why), QN_OK);
    CHECK_RC(zkml_verify(qn_buf_get(&proof), &v, &why), QN_OK);
    CHECK_RC(zkml_file_split(qn_buf_get(&proof), &f, &why), QN_OK);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < cnt; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t at = (size_t)(state >> 16) % proof.len;
        if (i % 4 == 1) { /* evenly over the sections, as most bytes are openings */
            struct qn_span sec = f.sec[i / 4 % ZK_SEC_CNT];
            at = (size_t)(sec.ptr - proof.ptr) + at % sec.len;
        } else if (i % 16 == 2) {
            at %= ZK_HEAD_LEN;
        }
        uint8_t was = proof.ptr[at];
        proof.ptr[at] = (uint8_t)(was ^ (1 + (state >> 56) % 255));
        why.text[0] = 0;
        accepted += zkml_verify(qn_buf_get(&proof), &v, &why) == QN_OK;
        silent += why.text[0] == 0 || strchr(why.text, '\n') != NULL;
        proof.ptr[at] = was;
    }
    CHECK(accepted == 0 && silent == 0);
    printf("%zu changed bytes, %zu accepted\n", cnt, accepted);
    for (size_t len = 0; len < proof.len; len += len < 200 ? 1 : 1009)
        accepted += zkml_verify(QN_SPAN(proof.ptr, len), &v, &why) == QN_OK;
    CHECK(accepted == 0);
    qn_buf_u8(&proof, 0);
    CHECK_RC(zkml_verify(qn_buf_get(&proof), &v, &why), QN_E_EXTRA);
    /* numbers written as themselves plus p, in each section that holds numbers */
    for (int sec = ZK_SEC_SCALARS; sec <= ZK_SEC_END; sec++) {
        size_t base = (size_t)(f.sec[sec].ptr - proof.ptr), bad = 0;
        proof.len = (size_t)(f.sec[ZK_SEC_END].ptr + f.sec[ZK_SEC_END].len - proof.ptr);
        for (size_t i = 0; i + 4 <= f.sec[sec].len && bad < 50; i += 4) {
            uint32_t was, over;
            memcpy(&was, proof.ptr + base + i, 4);
            if (was > UINT32_MAX - ZK_P) continue;
            over = was + ZK_P;
            memcpy(proof.ptr + base + i, &over, 4);
            accepted += zkml_verify(qn_buf_get(&proof), &v, &why) == QN_OK;
            memcpy(proof.ptr + base + i, &was, 4);
            bad++;
        }
    }
    CHECK(accepted == 0);
    CHECK_RC(zkml_verify(qn_buf_get(&proof), &v, &why), QN_OK); /* all was put back */
    qn_buf_free(&proof);
    testnet_free(&n);
}

/* Sections of two proofs of one model do not fit together, whichever are exchanged. */
static void test_splice(struct qn_test_state *t)
{
    struct testnet n;
    struct qn_why why;
    struct qn_buf a = { 0 }, b = { 0 }, c = { 0 };
    struct zkml_verdict v;
    struct zkml_file fa, fb;
    CHECK_RC(testnet_make(&n, (const uint32_t[]){ 20, 12, 10 }, 2, 4, 12, &why), QN_OK);
    CHECK_RC(testnet_prove(&n, NULL, 3, &a, NULL, &why), QN_OK);
    n.x[3] ^= 5;
    CHECK_RC(testnet_prove(&n, NULL, 4, &b, NULL, &why), QN_OK);
    CHECK_RC(zkml_file_split(qn_buf_get(&a), &fa, &why), QN_OK);
    CHECK_RC(zkml_file_split(qn_buf_get(&b), &fb, &why), QN_OK);
    for (unsigned set = 1; set + 1 < 1u << ZK_SEC_CNT; set++) {
        struct zkml_file f = fa;
        if (set == 1u << ZK_SEC_LEVELS && qn_span_eq(fa.sec[3], fb.sec[3])) continue;
        for (int s = 0; s < ZK_SEC_CNT; s++)
            if (set >> s & 1) f.sec[s] = fb.sec[s];
        qn_buf_clear(&c);
        zkml_file_join(&f, &c);
        CHECK(zkml_verify(qn_buf_get(&c), &v, &why) != QN_OK);
    }
    qn_buf_free(&a), qn_buf_free(&b), qn_buf_free(&c);
    testnet_free(&n);
}

/* chi counts numbers of F by their low four bits, and adds up how far the counts are from even ones. */
static double chi(const uint32_t cnt[16])
{
    double sum = 0, all = 0;
    for (int i = 0; i < 16; i++)
        all += cnt[i];
    for (int i = 0; i < 16; i++)
        sum += (cnt[i] - all / 16) * (cnt[i] - all / 16) / (all / 16);
    return sum;
}

static void count(uint32_t cnt[16], const uint8_t *src, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i += 4)
        cnt[src[i] & 15]++;
}

/* A network of zeros on an input of zeros has a witness of almost only zeros. What its proofs show looks like noise all
 * the same: scalars, vectors at the end, opened rows of weights. 15 degrees of freedom: 45 is one in 10^4;
 * seeds are fixed, so this holds or does not. */
static void test_hiding(struct qn_test_state *t)
{
    struct testnet n;
    struct qn_why why;
    struct zkml_file f;
    uint32_t scalars[16] = { 0 }, w[16] = { 0 }, ends[16] = { 0 };
    int8_t zero[8 * 6] = { 0 };
    int32_t bias[8] = { 0 };
    struct qn_buf proof = { 0 };
    CHECK_RC(testnet_make(&n, (const uint32_t[]){ 6, 8, 3 }, 2, 4, 41, &why), QN_OK);
    zkml_secret_free(&n.secret);
    for (uint32_t l = 0; l < 2; l++)
        n.net.layer[l].w = zero, n.net.layer[l].bias = bias;
    memset(n.x, 0, 6);
    CHECK_RC(zkml_secret_make(&n.net, 4, (const uint8_t *)"thirty-two bytes of a fixed seed",
                              &n.secret, &why),
             QN_OK);
    const struct zkml_plan *p = &n.secret.plan;
    for (uint64_t seed = 0; seed < 4; seed++) {
        qn_buf_clear(&proof);
        CHECK_RC(testnet_prove(&n, NULL, 100 + seed, &proof, NULL, &why), QN_OK);
        CHECK_RC(zkml_file_split(qn_buf_get(&proof), &f, &why), QN_OK);
        count(scalars, f.sec[ZK_SEC_SCALARS].ptr, f.sec[ZK_SEC_SCALARS].len);
        count(ends, f.sec[ZK_SEC_END].ptr, f.sec[ZK_SEC_END].len);
        size_t w_len = ZK_SALT + 4 * p->m, rows = p->queries * 9 / 10;
        for (size_t i = 0; i < rows; i++) /* all rows but repetitions stand in front */
            count(w, f.sec[ZK_SEC_OPENINGS].ptr + i * w_len + ZK_SALT, 4 * p->m);
    }
    printf("chi-square of scalars %.1f, ends %.1f, rows of W %.1f\n", chi(scalars), chi(ends),
           chi(w));
    CHECK(chi(scalars) < 45 && chi(ends) < 45 && chi(w) < 45);
    qn_buf_free(&proof);
    testnet_free(&n);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_shapes);
    TEST(test_bytes);
    TEST(test_splice);
    TEST(test_hiding);
    return TEST_END();
}
