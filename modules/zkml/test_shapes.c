/* test_shapes.c - statements about every kind of shape that a plan admits: the verifier's memory and tables must hold them. A
 * proof of zeros is well formed, so that it is heard to its end, and false. */
#include "core/base/test.h"
#include "modules/zkml/secret.h"
#include "modules/zkml/verify.h"

#include <stdlib.h>

static uint32_t below(struct zkml_rand *r, uint32_t n)
{
    return zkml_f_to(zkml_rand_f(r)) % n;
}

/* Small sizes and the largest are where tables end. */
static uint32_t dim(struct zkml_rand *r)
{
    switch (below(r, 5)) {
    case 0: return 1;
    case 1: return 1 + below(r, 16);
    case 2: return (1u << below(r, 13)) - 1 + below(r, 2);
    case 3: return ZK_DIM_MAX - below(r, 2);
    default: return 1 + below(r, 600);
    }
}

static void shape_draw(struct zkml_rand *r, struct zkml_shape *s)
{
    uint32_t in = dim(r);
    *s = (struct zkml_shape){ .layer_cnt = 1 + below(r, ZK_LAYERS_MAX) };
    for (uint32_t l = 0; l < s->layer_cnt; l++) {
        uint32_t out = dim(r);
        s->layer[l] = (struct zkml_layer_shape){ in, out, below(r, 4) ? 1 : 1 + (int)below(r, 127),
                                                 (uint8_t)(1 + below(r, 14)), below(r, 2) };
        in = out;
    }
}

static void zeros(struct qn_buf *b, size_t n)
{
    memset(qn_buf_grow(b, n), 0, n);
}

static qn_rc judge(const struct zkml_plan *p, struct qn_why *why)
{
    struct qn_buf st = { 0 }, none = { 0 }, file = { 0 };
    struct zkml_statement s = { .shape = p->shape, .budget = p->budget };
    struct zkml_verdict v;
    int8_t *values = calloc(ZK_DIM_MAX, 1);
    QN_ASSERT(values);
    s.x = s.y = values;
    zkml_statement_put(&s, &st);
    size_t scalars = 20 * (size_t)p->scalar_cnt,
           end = 20 * ((size_t)p->w_deg + p->a_deg + p->z_deg + 1);
    zeros(&none, QN_MAX(QN_MAX(scalars, end), (size_t)64));
    const struct zkml_file f = { { qn_buf_get(&st), QN_SPAN(none.ptr, 64),
                                   QN_SPAN(none.ptr, scalars), QN_SPAN(none.ptr, 8),
                                   QN_SPAN(none.ptr, 0), QN_SPAN(none.ptr, end) } };
    zkml_file_join(&f, &file);
    qn_rc rc = zkml_verify(qn_buf_get(&file), &v, why);
    qn_buf_free(&st), qn_buf_free(&none), qn_buf_free(&file);
    free(values);
    return rc;
}

static void test_shapes(struct qn_test_state *t)
{
    struct zkml_rand r;
    uint8_t seed[32] = { 77 };
    unsigned planned = 0, wanted = getenv("QUOIN_TEST_LONG") ? 3000 : 150;
    zkml_rand_init(&r, seed, 0);
    for (unsigned i = 0; planned < wanted && i < 200 * wanted; i++) {
        struct zkml_shape s;
        struct zkml_plan p;
        struct qn_why why = { "" };
        shape_draw(&r, &s);
        qn_rc rc = zkml_plan_make(&s, 1 + below(&r, below(&r, 2) ? 4 : 64), &p, &why);
        if (rc) continue;
        planned++;
        CHECK(p.bits >= 1000 && p.proof_max <= ZK_PROOF_MAX);
        CHECK_RC(judge(&p, &why), QN_E_PROOF);
        CHECK(strstr(why.text, "claims") != NULL);
    }
    CHECK(planned == wanted);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_shapes);
    return TEST_END();
}
