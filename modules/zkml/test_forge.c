/* test_forge.c - liars. Each makes a whole proof round one lie, everything else as an honest prover would; none may be
 * accepted. A lie that changes nothing where it is told (a clamp at its end) is left out and counted. */
#include "core/base/test.h"
#include "modules/zkml/testnet.h"
#include "modules/zkml/verify.h"

#include <stdlib.h>

struct suite {
    struct testnet n;
    unsigned told, accepted;
};

static void tell(struct suite *s, enum zkml_lie_kind kind, uint32_t at)
{
    struct zkml_lie lie = { kind, at };
    struct qn_buf proof = { 0 };
    struct qn_why why = { "" };
    struct zkml_verdict v;
    if (testnet_prove(&s->n, &lie, 1000 + at, &proof, NULL, &why) == QN_OK) {
        s->told++;
        if (zkml_verify(qn_buf_get(&proof), &v, &why) == QN_OK) {
            printf("ACCEPTED: lie %d at %u\n", (int)kind, at);
            s->accepted++;
        }
    }
    qn_buf_free(&proof);
}

static void suite_end(struct qn_test_state *t, struct suite *s, unsigned least)
{
    printf("%u lies, %u accepted\n", s->told, s->accepted);
    CHECK(s->accepted == 0 && s->told >= least);
    testnet_free(&s->n);
}

static void test_liars(struct qn_test_state *t)
{
    struct suite s = { 0 };
    struct qn_why why;
    bool all = test_long();
    CHECK_RC(testnet_make(&s.n, (const uint32_t[]){ 12, 9, 5 }, 2, 4, 21, &why), QN_OK);
    const struct zkml_plan *p = &s.n.secret.plan;
    uint32_t cells = p->cells, scalars = p->scalar_cnt;
    for (uint32_t o = 0; o < cells; o++)
        for (enum zkml_lie_kind k = ZK_LIE_ROUND_UP; k <= ZK_LIE_WRAP; k++)
            tell(&s, k, o);
    for (uint32_t at = 0; at < cells * p->slots; at += all ? 1 : 11)
        if (at % p->slots + 1 < p->slots) tell(&s, ZK_LIE_BIT, at);
    for (uint32_t at = 0; at < 12 * 9; at += all ? 1 : 13)
        tell(&s, ZK_LIE_WEIGHT, at);
    for (uint32_t at = 0; at < 5; at++)
        tell(&s, ZK_LIE_BIAS, at);
    for (uint32_t at = 0; at < 12; at++)
        tell(&s, ZK_LIE_INPUT, at);
    for (uint32_t at = 0; at < 32; at += 5)
        tell(&s, ZK_LIE_MODEL, at);
    for (uint32_t at = 0; at < scalars; at++)
        tell(&s, ZK_LIE_SCALAR, at);
    for (uint32_t at = 0; at < p->triple_cnt; at++)
        tell(&s, ZK_LIE_TRIPLE, at), tell(&s, ZK_LIE_TRIPLE_H, at);
    for (uint32_t at = 0; at < ZK_P_ROWS; at++)
        tell(&s, ZK_LIE_DEGREE, at);
    tell(&s, ZK_LIE_TAU, 0);
    for (uint32_t at = 0; at < 40; at++)
        tell(&s, ZK_LIE_END, at * 37);
    for (uint32_t at = 0; at < 4; at++)
        tell(&s, ZK_LIE_ABSORB, at);
    tell(&s, ZK_LIE_NONCE, 0);
    tell(&s, ZK_LIE_FIT, 0);
    for (uint32_t at = 0; at < 20; at++)
        tell(&s, ZK_LIE_LEAF, at), tell(&s, ZK_LIE_LEAF_W, at);
    suite_end(t, &s, 300);
}

/* A last layer with ReLU: its outputs are public and have no bits, so their range is the verifier's to check. */
static void test_last_relu(struct qn_test_state *t)
{
    struct suite s = { 0 };
    struct qn_why why;
    struct qn_buf proof = { 0 };
    struct zkml_verdict v;
    uint8_t seed[32] = { 5 };
    CHECK_RC(testnet_make(&s.n, (const uint32_t[]){ 12, 9, 40 }, 2, 4, 23, &why), QN_OK);
    zkml_secret_free(&s.n.secret);
    s.n.net.layer[1].relu = true;
    CHECK_RC(zkml_secret_make(&s.n.net, 4, seed, &s.n.secret, &why), QN_OK);
    CHECK_RC(testnet_prove(&s.n, NULL, 6, &proof, NULL, &why), QN_OK);
    CHECK_RC(zkml_verify(qn_buf_get(&proof), &v, &why), QN_OK);
    struct zkml_witness run;
    struct qn_arena arena = { 0 };
    zkml_witness_make(&s.n.secret.plan, &s.n.net, s.n.x, NULL, &arena, &run);
    for (uint32_t o = 0; o < 40; o++)
        if (run.under[9 + o] > 0) tell(&s, ZK_LIE_UNCLAMPED, 9 + o);
    qn_arena_free(&arena);
    qn_buf_free(&proof);
    suite_end(t, &s, 8);
}

/* The statement's fields, one by one, after the fact: the transcript began with all of them. */
static void test_replay(struct qn_test_state *t)
{
    struct suite s = { 0 };
    struct qn_why why;
    struct qn_buf proof = { 0 }, other = { 0 }, st = { 0 };
    struct zkml_verdict v;
    struct zkml_file f;
    CHECK_RC(testnet_make(&s.n, (const uint32_t[]){ 12, 9, 5 }, 2, 4, 22, &why), QN_OK);
    CHECK_RC(testnet_prove(&s.n, NULL, 5, &proof, NULL, &why), QN_OK);
    CHECK_RC(zkml_verify(qn_buf_get(&proof), &v, &why), QN_OK);
    CHECK_RC(zkml_file_split(qn_buf_get(&proof), &f, &why), QN_OK);
    int8_t x[12], y[5];
    memcpy(x, v.st.x, 12), memcpy(y, v.st.y, 5);
    for (int i = 0; i < 12; i++) {
        struct zkml_statement w = v.st;
        w.x = x, w.y = y;
        memcpy(x, v.st.x, 12), memcpy(y, v.st.y, 5);
        switch (i) {
        case 0: w.chain.b[0] ^= 1; break;
        case 1: w.job.b[31] ^= 1; break;
        case 2: w.prover.b[7] ^= 1; break;
        case 3: w.height_to++; break;
        case 4: w.height_from++; break;
        case 5: x[2] ^= 1; break;
        case 6: y[4] ^= 1; break;
        case 7: w.budget++; break;
        case 8: w.shape.layer[0].s++; break;
        case 9: w.shape.layer[1].m++; break;
        case 10: w.shape.layer[0].relu = !w.shape.layer[0].relu; break;
        case 11: { /* a 12 x 9 as a 9 x 12 network */
            w.shape.layer[0].in = 9, w.shape.layer[0].out = 12, w.shape.layer[1].in = 12;
            break;
        }
        }
        struct zkml_file g = f;
        qn_buf_clear(&st), qn_buf_clear(&other);
        zkml_statement_put(&w, &st);
        g.sec[ZK_SEC_STATEMENT] = qn_buf_get(&st);
        zkml_file_join(&g, &other);
        struct zkml_verdict ignored;
        s.told++;
        s.accepted += zkml_verify(qn_buf_get(&other), &ignored, &why) == QN_OK;
    }
    qn_buf_free(&proof), qn_buf_free(&other), qn_buf_free(&st);
    suite_end(t, &s, 12);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_liars);
    TEST(test_last_relu);
    TEST(test_replay);
    return TEST_END();
}
