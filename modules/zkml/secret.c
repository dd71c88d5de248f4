/* secret.c - committing to a model's weights, and the file that keeps them. */
#include "modules/zkml/secret.h"

#include "core/crypto/hash.h"
#include "modules/zkml/tree.h"
#include "modules/zkml/wire.h"

#include <stdlib.h>
#include <string.h>

#define SECRET_MAGIC "QZKW"

/* --- randomness --------------------------------------------------------------------------------------------------- */

void zkml_rand_init(struct zkml_rand *r, const uint8_t seed[32], uint64_t what)
{
    *r = (struct zkml_rand){ .at = QN_COUNT(r->word) };
    memcpy(r->key, seed, 32);
    memcpy(r->key + 32, &what, 8);
}

zkml_f zkml_rand_f(struct zkml_rand *r)
{
    for (;;) {
        if (r->at == QN_COUNT(r->word)) {
            struct qn_hasher h;
            qn_hasher_label(&h, "zk/rand");
            qn_hasher_put(&h, r->key, sizeof r->key);
            qn_hasher_put(&h, &r->block, sizeof r->block);
            qn_hasher_xof(&h, r->word, sizeof r->word);
            r->block++;
            r->at = 0;
        }
        uint32_t v = r->word[r->at++] & 0x7fffffff;
        if (v < ZK_P) return v; /* uniform as it is: Montgomery form is a bijection */
    }
}

struct zkml_k zkml_rand_k(struct zkml_rand *r)
{
    struct zkml_k k;
    for (int i = 0; i < ZK_DEG; i++)
        k.c[i] = zkml_rand_f(r);
    return k;
}

#define SALTS 256

void zkml_leaves(const zkml_f *m, size_t n, size_t cnt, const uint8_t seed[32], uint8_t *ret)
{
    uint8_t in[SALTS][40];
    struct qn_hash salt[SALTS];
    size_t len = ZK_SALT + 4 * cnt;
    for (size_t l = 0; l < SALTS; l++)
        memcpy(in[l], seed, 32);
    for (size_t i = 0; i < n; i++) {
        if (i % SALTS == 0) {
            size_t k = QN_MIN(n - i, (size_t)SALTS);
            for (uint64_t l = 0; l < k; l++) {
                uint64_t row = i + l;
                memcpy(in[l] + 32, &row, 8);
            }
            qn_h_many("zk/salt", in, sizeof in[0], sizeof in[0], k, salt);
        }
        uint8_t *leaf = ret + i * len;
        memcpy(leaf, salt[i % SALTS].b, ZK_SALT);
        zkml_canonical(m + i * cnt, cnt, leaf + ZK_SALT);
    }
}

/* --- commitment ----------------------------------------------------------------------------------------------------- */

struct zkml_shape zkml_shape_of(const struct int8_model *net)
{
    struct zkml_shape s = { .layer_cnt = net->layer_cnt };
    for (uint32_t l = 0; l < net->layer_cnt; l++)
        s.layer[l] =
            (struct zkml_layer_shape){ net->layer[l].in, net->layer[l].out, net->layer[l].m,
                                       net->layer[l].s, net->layer[l].relu };
    return s;
}

static void commit(struct zkml_secret *s)
{
    const struct zkml_plan *p = &s->plan;
    size_t n = (size_t)1 << p->log_n, leaf = ZK_SALT + 4 * p->m;
    zkml_f *m = calloc(n * p->m, sizeof *m);
    s->coef = calloc((size_t)p->w_deg * p->m, sizeof *s->coef);
    s->leaves = malloc(n * leaf);
    s->nodes = malloc(2 * n * sizeof *s->nodes);
    QN_ASSERT(m && s->coef && s->leaves && s->nodes);
    for (uint32_t l = 0; l < p->shape.layer_cnt; l++) {
        const struct int8_layer *a = &s->net.layer[l];
        for (uint32_t o = 0; o < a->out; o++) {
            size_t col = p->layer[l].w_off + (size_t)(o / p->m) * (a->in + 1), row = o % p->m;
            for (uint32_t i = 0; i < a->in; i++)
                s->coef[(col + i) * p->m + row] = zkml_f_int(a->w[(size_t)o * a->in + i]);
            s->coef[(col + a->in) * p->m + row] = zkml_f_int(a->bias[o]);
        }
    }
    struct zkml_rand r;
    zkml_rand_init(&r, s->seed, 1);
    for (size_t i = (size_t)p->w_cols * p->m; i < (size_t)p->w_deg * p->m; i++)
        s->coef[i] = zkml_rand_f(&r);
    memcpy(m, s->coef, (size_t)p->w_deg * p->m * sizeof *m);
    zkml_encode(m, p->log_n, p->m, p->w_deg);
    zkml_leaves(m, n, p->m, s->seed, s->leaves);
    zkml_tree_build(s->leaves, leaf, p->log_n, s->nodes);
    free(m);
    s->root = s->nodes[1];
    s->model = zkml_model_hash(&p->shape, p->budget, &s->root);
}

qn_rc zkml_secret_make(const struct int8_model *net, uint32_t budget, const uint8_t seed[32],
                       struct zkml_secret *ret, struct qn_why *why)
{
    struct zkml_secret s = { .net.layer_cnt = net->layer_cnt };
    struct zkml_shape shape;
    qn_rc rc = int8_model_check(net, why);
    if (rc) return rc;
    shape = zkml_shape_of(net);
    rc = zkml_plan_make(&shape, budget, &s.plan, why);
    if (rc) return rc;
    memcpy(s.seed, seed, 32);
    for (uint32_t l = 0; l < net->layer_cnt; l++) {
        const struct int8_layer *a = &net->layer[l];
        for (uint32_t o = 0; o < a->out; o++)
            if (a->bias[o] > ZK_BIAS_MAX || a->bias[o] < -ZK_BIAS_MAX) {
                qn_arena_free(&s.arena);
                return qn_why(why, QN_E_RANGE, "layer %u: bias %d is beyond %d", l, a->bias[o],
                              ZK_BIAS_MAX);
            }
        s.net.layer[l] = *a;
        s.net.layer[l].w = qn_arena_copy(&s.arena, a->w, (size_t)a->in * a->out);
        s.net.layer[l].bias = qn_arena_copy(&s.arena, a->bias, 4 * (size_t)a->out);
    }
    commit(&s);
    *ret = s;
    return QN_OK;
}

void zkml_secret_free(struct zkml_secret *s)
{
    if (s->coef) explicit_bzero(s->coef, 4 * (size_t)s->plan.w_deg * s->plan.m);
    explicit_bzero(s->seed, sizeof s->seed);
    free(s->coef);
    free(s->leaves);
    free(s->nodes);
    qn_arena_free(&s->arena);
    *s = (struct zkml_secret){ 0 };
}

void zkml_secret_put(const struct zkml_secret *s, struct qn_buf *out)
{
    qn_buf_str(out, SECRET_MAGIC);
    qn_buf_u16(out, 1);
    zkml_shape_put(&s->plan.shape, out);
    qn_buf_u32(out, s->plan.budget);
    for (uint32_t l = 0; l < s->net.layer_cnt; l++) {
        const struct int8_layer *a = &s->net.layer[l];
        qn_buf_put(out, a->w, (size_t)a->in * a->out);
        qn_buf_put(out, a->bias, 4 * (size_t)a->out);
    }
    qn_buf_put(out, s->seed, 32);
}

qn_rc zkml_secret_get(struct qn_span file, struct zkml_secret *ret, struct qn_why *why)
{
    struct qn_span magic, w, b, seed;
    uint16_t version;
    struct zkml_shape shape;
    struct zkml_plan plan;
    uint32_t budget;
    struct int8_model net = { 0 };
    struct qn_arena arena = { 0 };
    if (!qn_take(&file, 4, &magic) || memcmp(magic.ptr, SECRET_MAGIC, 4) != 0 ||
        !qn_take_u16(&file, &version) || version != 1 || !zkml_shape_get(&file, &shape) ||
        !qn_take_u32(&file, &budget))
        return qn_why(why, QN_E_FORMAT, "this is no model secret");
    qn_rc rc = zkml_plan_make(&shape, budget, &plan, why);
    if (rc) return rc;
    net.layer_cnt = shape.layer_cnt;
    for (uint32_t l = 0; l < shape.layer_cnt && rc == QN_OK; l++) {
        const struct zkml_layer_shape *a = &shape.layer[l];
        if (!qn_take(&file, (size_t)a->in * a->out, &w) ||
            !qn_take(&file, 4 * (size_t)a->out, &b)) {
            rc = qn_why(why, QN_E_SHORT, "the model secret ends in layer %u", l);
            break;
        }
        net.layer[l] = (struct int8_layer){
            .in = a->in, .out = a->out, .m = a->m, .s = a->s, .relu = a->relu
        };
        net.layer[l].w = qn_arena_copy(&arena, w.ptr, w.len);
        net.layer[l].bias = qn_arena_copy(&arena, b.ptr, b.len); /* aligned, as the file is not */
    }
    if (rc == QN_OK && (!qn_take(&file, 32, &seed) || file.len))
        rc = qn_why(why, QN_E_FORMAT, "the model secret has not the length of its shape");
    if (rc == QN_OK) rc = zkml_secret_make(&net, budget, seed.ptr, ret, why);
    qn_arena_free(&arena);
    return rc;
}
