/* verify.c - the verifier: reads the file once, in the order of the conversation, and checks what is left at its end. */
#include "modules/zkml/verify.h"

#include "core/crypto/hash.h"
#include "modules/zkml/tree.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct qn_span scalars;
};

static qn_rc read_scalars(void *self, struct zkml_proto *p, enum zkml_step step, struct zkml_k *ret,
                          size_t cnt)
{
    struct reader *r = self;
    struct qn_span raw;
    (void)p, (void)step;
    for (size_t i = 0; i < cnt; i++)
        if (!qn_take(&r->scalars, 20, &raw) || !zkml_k_get(raw.ptr, &ret[i])) return QN_E_FORMAT;
    return QN_OK;
}

/* The vectors shown in clear at the end, plane by plane. */
struct ends {
    zkml_f *w, *a, *z;
};

static struct zkml_k plane_k(const zkml_f *planes, size_t n, size_t i)
{
    struct zkml_k k;
    for (size_t d = 0; d < ZK_DEG; d++)
        k.c[d] = planes[d * n + i];
    return k;
}

static struct zkml_k dot(const zkml_f *planes, size_t n, const struct zkml_k *cov, size_t cnt)
{
    struct zkml_k s = zkml_k_zero();
    for (size_t i = 0; i < cnt; i++)
        if (!zkml_k_is_zero(cov[i])) s = zkml_k_add(s, zkml_k_mul(plane_k(planes, n, i), cov[i]));
    return s;
}

static qn_rc ends_check(const struct zkml_proto *p, const struct ends *u, struct zkml_k tau,
                        struct zkml_k e, struct qn_why *why)
{
    const struct zkml_plan *pl = p->plan;
    struct zkml_k left = zkml_k_add(dot(u->w, pl->w_deg, p->w_cov, pl->w_cols),
                                    dot(u->a, pl->a_deg, p->a_cov, pl->a_cols));
    left = zkml_k_sub(left, dot(u->z, pl->z_deg, p->end.coef, pl->z_cells));
    if (!zkml_k_eq(left, zkml_k_add(tau, zkml_k_mul(e, p->end.pub))))
        return qn_why(why, QN_E_PROOF, "the proof does not verify: its claims do not hold");
    return QN_OK;
}

static bool read_row(const uint8_t *src, zkml_f *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!zkml_f_get(src + 4 * i, &dst[i])) return false;
    return true;
}

static struct zkml_k row_k(const zkml_f *row)
{
    struct zkml_k k;
    memcpy(k.c, row, sizeof k.c);
    return k;
}

/* At each opened row the committed words must be what the vectors say: mask + e * folded rows = vector. */
static qn_rc rows_check(struct zkml_proto *p, const struct ends *u, struct zkml_k e,
                        const uint32_t *rows, size_t cnt, const uint8_t *w_leaves,
                        const uint8_t *p_leaves, struct qn_why *why)
{
    const struct zkml_plan *pl = p->plan;
    struct zkml_k *val[3];
    zkml_f *x = qn_arena_alloc(&p->arena, cnt * sizeof *x), row_w[ZK_W_ROWS_MAX], row_p[ZK_P_ROWS];
    for (int i = 0; i < 3; i++) {
        val[i] = qn_arena_alloc(&p->arena, cnt * sizeof *val[i]);
        if (!val[i]) return QN_E_MEMORY;
    }
    if (!x) return QN_E_MEMORY;
    for (size_t i = 0; i < cnt; i++)
        x[i] = zkml_point(pl->log_n, rows[i]);
    zkml_eval(u->w, pl->w_deg, pl->w_deg, x, cnt, val[0]);
    zkml_eval(u->a, pl->a_deg, pl->a_deg, x, cnt, val[1]);
    zkml_eval(u->z, pl->z_deg, pl->z_deg, x, cnt, val[2]);
    for (size_t i = 0; i < cnt; i++) {
        struct zkml_k w = zkml_k_zero(), a = zkml_k_zero();
        if (!read_row(w_leaves + i * (ZK_SALT + 4 * pl->m) + ZK_SALT, row_w, pl->m) ||
            !read_row(p_leaves + i * (ZK_SALT + 4 * ZK_P_ROWS) + ZK_SALT, row_p, ZK_P_ROWS))
            return qn_why(why, QN_E_FORMAT, "an opened row holds a number that is not below p");
        for (uint32_t j = 0; j < pl->m; j++)
            w = zkml_k_add(w, zkml_k_scale(p->row_eq[j], row_w[j]));
        for (uint32_t j = 0; j < ZK_A_ROWS; j++)
            a = zkml_k_add(a, zkml_k_scale(p->row_eq[j], row_p[ZK_P_A + j]));
        if (!zkml_k_eq(val[0][i], zkml_k_add(row_k(row_p + ZK_P_SW), zkml_k_mul(e, w))) ||
            !zkml_k_eq(val[1][i], zkml_k_add(row_k(row_p + ZK_P_SA), zkml_k_mul(e, a))) ||
            !zkml_k_eq(val[2][i],
                       zkml_k_add(row_k(row_p + ZK_P_SZ), zkml_k_mul(e, row_k(row_p + ZK_P_Z)))))
            return qn_why(why, QN_E_PROOF,
                          "the proof does not verify: an opened row contradicts it");
    }
    return QN_OK;
}

static qn_rc openings_check(struct zkml_proto *p, const struct zkml_file *f,
                            const struct qn_hash *root_p, const struct ends *u, struct zkml_k e,
                            struct qn_why *why)
{
    const struct zkml_plan *pl = p->plan;
    uint32_t rows[ZK_QUERIES_MAX];
    uint64_t nonce;
    struct qn_span level = f->sec[ZK_SEC_LEVELS], open = f->sec[ZK_SEC_OPENINGS], w, ws, s, ss;
    struct qn_hash *work = qn_arena_alloc(&p->arena, 4 * ZK_QUERIES_MAX * sizeof *work);
    if (!work) return QN_E_MEMORY;
    if (!qn_take_u64(&level, &nonce) || !zkml_fs_ground(&p->fs, nonce, pl->grind))
        return qn_why(why, QN_E_PROOF, "the proof does not verify: its nonce was not worked for");
    size_t cnt = zkml_proto_rows(p, nonce, rows), w_len = ZK_SALT + 4 * pl->m,
           s_len = ZK_SALT + 4 * ZK_P_ROWS;
    size_t sib = 32 * zkml_tree_siblings(pl->log_n, rows, cnt);
    if (!qn_take(&open, cnt * w_len, &w) || !qn_take(&open, sib, &ws) ||
        !qn_take(&open, cnt * s_len, &s) || !qn_take(&open, sib, &ss) || open.len)
        return qn_why(why, QN_E_FORMAT,
                      "the openings have not the length that the drawn rows ask for");
    if (!zkml_tree_check(&p->st->root_w, pl->log_n, rows, cnt, w.ptr, w_len, ws, work))
        return qn_why(why, QN_E_PROOF,
                      "the proof does not verify: opened weights are not the model's");
    if (!zkml_tree_check(root_p, pl->log_n, rows, cnt, s.ptr, s_len, ss, work))
        return qn_why(why, QN_E_PROOF,
                      "the proof does not verify: an opened row is not the committed one");
    return rows_check(p, u, e, rows, cnt, w.ptr, s.ptr, why);
}

static qn_rc conversation(struct zkml_proto *p, const struct zkml_file *f,
                          const struct qn_hash *root_p, struct qn_why *why)
{
    const struct zkml_plan *pl = p->plan;
    struct zkml_k tau, e;
    struct qn_span end = f->sec[ZK_SEC_END], tau_raw, vectors;
    struct ends u;
    zkml_proto_root(p, root_p);
    qn_rc rc = zkml_proto_run(p);
    if (rc == QN_E_FORMAT) return qn_why(why, rc, "a scalar of the proof is not below p");
    if (rc) return qn_why(why, rc, "the proof does not verify");
    if (!qn_take(&end, 20, &tau_raw) || !zkml_k_get(tau_raw.ptr, &tau))
        return qn_why(why, QN_E_FORMAT, "a scalar of the proof is not below p");
    zkml_proto_tau(p, tau_raw.ptr, &e);
    vectors = end;
    u.w = qn_arena_alloc(&p->arena, 20 * (size_t)pl->w_deg);
    u.a = qn_arena_alloc(&p->arena, 20 * (size_t)pl->a_deg);
    u.z = qn_arena_alloc(&p->arena, 20 * (size_t)pl->z_deg);
    if (!u.w || !u.a || !u.z) return QN_E_MEMORY;
    if (!zkml_planes_get(&end, pl->w_deg, u.w) || !zkml_planes_get(&end, pl->a_deg, u.a) ||
        !zkml_planes_get(&end, pl->z_deg, u.z) || end.len)
        return qn_why(why, QN_E_FORMAT, "a number of the proof's end is not below p");
    zkml_proto_ends(p, vectors);
    rc = ends_check(p, &u, tau, e, why);
    return rc ? rc : openings_check(p, f, root_p, &u, e, why);
}

struct qn_hash zkml_input_hash(const int8_t *x, size_t len)
{
    return qn_h("zk/input", x, len);
}

static void verdict(const struct zkml_file *f, const struct zkml_statement *st,
                    const struct zkml_plan *plan, struct zkml_verdict *ret)
{
    uint32_t out = st->shape.layer[st->shape.layer_cnt - 1].out;
    struct qn_span s = f->sec[ZK_SEC_STATEMENT];
    *ret = (struct zkml_verdict){ .st = *st,
                                  .model = zkml_model_hash(&st->shape, st->budget, &st->root_w),
                                  .input = zkml_input_hash(st->x, st->shape.layer[0].in),
                                  .id = qn_h("zk/proof", s.ptr, s.len),
                                  .out_cnt = out,
                                  .bits = plan->bits,
                                  .hiding = true };
    for (uint32_t o = 1; o < out; o++)
        if (st->y[o] > st->y[ret->class_idx]) ret->class_idx = o;
}

static qn_rc stated(struct qn_span proof, struct zkml_file *f, struct zkml_verdict *ret,
                    struct zkml_plan *plan, struct qn_hash *ret_root_p, struct qn_why *why)
{
    struct zkml_statement st;
    struct qn_hash root_w;
    qn_rc rc = zkml_file_split(proof, f, why);
    if (rc) return rc;
    struct qn_span roots = f->sec[ZK_SEC_ROOTS];
    if (!qn_take_hash(&roots, &root_w) || !qn_take_hash(&roots, ret_root_p) || roots.len)
        return qn_why(why, QN_E_FORMAT, "a proof has two roots");
    rc = zkml_statement_get(f->sec[ZK_SEC_STATEMENT], &root_w, &st, why);
    if (rc == QN_OK) rc = zkml_plan_make(&st.shape, st.budget, plan, why);
    if (rc) return rc;
    /* Outputs have no bits that bound them. Of an int8 only what lies below a ReLU is out of its clamp's range. */
    const struct zkml_plan_layer *last = &plan->layer[st.shape.layer_cnt - 1];
    for (uint32_t o = 0; o < st.shape.layer[st.shape.layer_cnt - 1].out; o++)
        if (st.y[o] < last->lo || st.y[o] > last->hi)
            return qn_why(why, QN_E_PROOF, "output %u is %d, which the last layer cannot give", o,
                          st.y[o]);
    if (f->sec[ZK_SEC_SCALARS].len != 20 * (size_t)plan->scalar_cnt ||
        f->sec[ZK_SEC_LEVELS].len != 8 ||
        f->sec[ZK_SEC_END].len != 20 * ((size_t)plan->w_deg + plan->a_deg + plan->z_deg + 1))
        return qn_why(why, QN_E_FORMAT,
                      "a section has not the length that the model's shape asks for");
    verdict(f, &st, plan, ret);
    return QN_OK;
}

qn_rc zkml_verdict_read(struct qn_span proof, struct zkml_verdict *ret, struct zkml_plan *ret_plan,
                        struct qn_why *why)
{
    struct zkml_file f;
    struct qn_hash root_p;
    return stated(proof, &f, ret, ret_plan, &root_p, why);
}

qn_rc zkml_verify(struct qn_span proof, struct zkml_verdict *ret, struct qn_why *why)
{
    struct zkml_file f;
    struct zkml_verdict v;
    struct zkml_plan plan;
    struct qn_hash root_p;
    qn_rc rc = stated(proof, &f, &v, &plan, &root_p, why);
    if (rc) return rc;
    struct zkml_proto *p = malloc(sizeof *p);
    if (!p) return QN_E_MEMORY;
    struct reader r = { f.sec[ZK_SEC_SCALARS] };
    const struct zkml_source src = { &r, read_scalars };
    rc = zkml_proto_begin(p, &plan, &v.st, &src);
    if (rc == QN_OK) rc = conversation(p, &f, &root_p, why);
    QN_ASSERT(rc != QN_OK || r.scalars.len == 0);
    if (rc == QN_OK) *ret = v;
    zkml_proto_fini(p);
    free(p);
    return rc;
}
