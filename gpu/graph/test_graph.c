/* test_graph.c - a real train step: codec, every variant's bits, fused and kept, and the referee on all of it. */
#include "core/base/test.h"
#include "core/env/env.h"
#include "gpu/cpu/ops.h"
#include "gpu/graph/mlp.h"
#include "gpu/graph/run.h"

#include <math.h>
#include <stdlib.h>

/* splitmix64 */
static uint64_t rnd(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#define REC 800u

/* Records whose class shows in their pixels. */
static uint8_t *records(uint32_t cnt, uint32_t pixels, uint64_t seed)
{
    uint8_t *p = calloc(cnt, REC);
    for (uint32_t i = 0; i < cnt; i++) {
        uint8_t *r = p + (size_t)i * REC;
        r[784] = (uint8_t)(rnd(&seed) % 10);
        for (uint32_t k = 0; k < pixels; k++)
            r[k] = (uint8_t)(rnd(&seed) % 3 ? rnd(&seed) & 127 : k % 10 == r[784] ? 255 : 0);
    }
    return p;
}

static struct graph_mlp small(uint8_t arith, uint8_t opt)
{
    struct graph_mlp o = graph_mlp_default(100);
    o.layer_cnt = 3;
    o.dims[0] = 300;
    o.dims[1] = 40;
    o.dims[2] = 17;
    o.dims[3] = 10;
    o.batch = 24;
    o.arith = arith;
    o.opt = opt;
    o.wd = 0x3c23d70a; /* 0.01 */
    return o;
}

static struct graph_run *run_new(struct qn_test_state *t, const struct graph *g,
                                 const char *variant, bool keep)
{
    struct graph_run *run = NULL;
    struct qn_why why = { "" };
    CHECK_RC(
        graph_run_new(g, &(struct graph_run_opt){ .keep = keep, .variant = variant }, &run, &why),
        QN_OK);
    return run;
}

static void test_codec(struct qn_test_state *t)
{
    struct qn_arena arena = { 0 };
    struct graph g, again;
    struct graph_mlp o = small(CONTRACT_T12, MLP_ADAM);
    CHECK_RC(graph_mlp(&o, &arena, &g, NULL), QN_OK);
    struct qn_buf buf = { 0 }, two = { 0 };
    graph_encode(&g, &buf);
    CHECK_RC(graph_decode(qn_buf_get(&buf), &arena, &again, NULL), QN_OK);
    graph_encode(&again, &two);
    CHECK(qn_span_eq(qn_buf_get(&buf), qn_buf_get(&two)));
    struct qn_hash a = graph_hash(&g), b = graph_hash(&again);
    CHECK(qn_hash_eq(&a, &b));
    CHECK(graph_decode(QN_SPAN(buf.ptr, buf.len - 1), &arena, &again, NULL) != QN_OK);
    /* Any changed byte is refused or is another graph. */
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        size_t at = rnd(&seed) % buf.len;
        uint8_t was = buf.ptr[at];
        buf.ptr[at] ^= (uint8_t)(1 + rnd(&seed) % 255);
        struct qn_arena tmp = { .max = 8 << 20 };
        if (graph_decode(qn_buf_get(&buf), &tmp, &again, NULL) == QN_OK) {
            b = graph_hash(&again);
            CHECK(!qn_hash_eq(&a, &b));
        }
        qn_arena_free(&tmp);
        buf.ptr[at] = was;
    }
    qn_buf_free(&buf);
    qn_buf_free(&two);
    qn_arena_free(&arena);
}

static bool same(const struct graph *g, const struct graph_run *x, const struct graph_run *y)
{
    for (uint32_t i = 0; i < g->next.cnt; i++) {
        uint32_t id = g->next.ptr[i].state;
        size_t bytes = (size_t)g->node.ptr[id].rows * g->node.ptr[id].cols * 4;
        if (memcmp(graph_run_state(x, id), graph_run_state(y, id), bytes) != 0) return false;
    }
    return true;
}

/* Every variant, kept and fused, walks through the same states. */
static void test_variants(struct qn_test_state *t)
{
    for (int kind = 0; kind < 4; kind++) {
        struct qn_arena arena = { 0 };
        struct graph g;
        struct graph_mlp o = small(kind & 1, kind & 2 ? MLP_SGD : MLP_ADAM);
        CHECK_RC(graph_mlp(&o, &arena, &g, NULL), QN_OK);
        uint8_t *rec = records(o.batch * 8, o.dims[0], 7);
        struct graph_run *ref = run_new(t, &g, "c", true);
        graph_run_init(ref, 42);
        struct graph_run *runs[8];
        uint32_t cnt, n = 0;
        const struct cpu_ops *const *all = cpu_ops_all(&cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            if (!all[i]->usable()) continue;
            for (int keep = 0; keep < 2; keep++) {
                runs[n] = run_new(t, &g, all[i]->name, keep);
                graph_run_init(runs[n++], 42);
            }
        }
        float first = 0, last = 0;
        for (uint32_t s = 0; s < 40; s++) {
            struct graph_records r = { rec + (size_t)(s % 8) * o.batch * REC, REC, REC, o.batch };
            struct graph_result want, got;
            CHECK_RC(graph_run_step(ref, s, &r, &want, NULL), QN_OK);
            memcpy(s ? &last : &first, &want.loss, 4);
            for (uint32_t i = 0; i < n; i++) {
                CHECK_RC(graph_run_step(runs[i], s, &r, &got, NULL), QN_OK);
                CHECK(got.loss == want.loss && got.gnorm == want.gnorm);
                CHECK(same(&g, ref, runs[i]));
            }
        }
        CHECK(isfinite(first) && last < first);
        for (uint32_t i = 0; i < n; i++)
            graph_run_free(runs[i]);
        graph_run_free(ref);
        free(rec);
        qn_arena_free(&arena);
    }
}

/* One tile of one node by the referee against the runtime; flip: an input bit is changed first. */
static void judge(struct qn_test_state *t, const struct graph_run *run, const struct graph *g,
                  uint32_t node, uint32_t tile, uint64_t step, const struct graph_records *rec,
                  uint64_t *seed)
{
    struct graph_tile in[GRAPH_IN_MAX], out[GRAPH_CARRY_MAX], ref[GRAPH_CARRY_MAX], want;
    uint32_t k = (uint32_t)(rnd(seed) % graph_tile_steps(g, node)), cnt = 0;
    struct graph_need need;
    CHECK_RC(graph_tile_inputs(g, node, tile, k, &need), QN_OK);
    uint8_t bytes[256];
    struct qn_span span = { bytes, (size_t)need.slot_cnt * need.rec_len };
    for (uint32_t i = 0; i < need.slot_cnt; i++)
        memcpy(bytes + i * need.rec_len, rec->ptr + (need.slot + i) * rec->stride + need.rec_off,
               need.rec_len);
    CHECK_RC(graph_run_gather(run, node, tile, k, in, &cnt), QN_OK);
    CHECK_RC(graph_tile_step(g, node, tile, k, step, in, cnt, span, out), QN_OK);
    CHECK_RC(graph_tile_step_c(g, node, tile, k, step, in, cnt, span, ref), QN_OK);
    CHECK(memcmp(out, ref, need.out_cnt * sizeof *out) == 0);
    if (need.last) {
        graph_run_tile(run, node, tile, &want);
        if (memcmp(out, &want, sizeof want) != 0)
            printf("node %u (%s) tile %u k %u differs\n", node, graph_op_word(g->node.ptr[node].op),
                   tile, k);
        CHECK(memcmp(out, &want, sizeof want) == 0);
    } else {
        CHECK_RC(graph_run_carry(run, node, tile, k, ref), QN_OK);
        CHECK(memcmp(out, ref, need.out_cnt * sizeof *out) == 0);
    }
}

/* Whether any of some changed input bits changes what comes out. */
static bool flips(struct qn_test_state *t, const struct graph_run *run, const struct graph *g,
                  uint32_t node, uint64_t step, uint64_t *seed)
{
    struct graph_tile in[GRAPH_IN_MAX], want[GRAPH_CARRY_MAX], out[GRAPH_CARRY_MAX];
    struct graph_need need;
    uint32_t cnt = 0;
    for (int rep = 0; rep < 400; rep++) {
        uint32_t k = (uint32_t)(rnd(seed) % graph_tile_steps(g, node)),
                 tile = (uint32_t)(rnd(seed) % graph_tile_cnt(&g->node.ptr[node]));
        CHECK_RC(graph_tile_inputs(g, node, tile, k, &need), QN_OK);
        if (need.open_cnt == 0) return true;
        CHECK_RC(graph_run_gather(run, node, tile, k, in, &cnt), QN_OK);
        CHECK_RC(graph_tile_step(g, node, tile, k, step, in, cnt, (struct qn_span){ 0 }, want),
                 QN_OK);
        in[rnd(seed) % cnt].v[rnd(seed) % 2 ? 0 : rnd(seed) % 256] ^= 1u << (12 + rnd(seed) % 20);
        CHECK_RC(graph_tile_step(g, node, tile, k, step, in, cnt, (struct qn_span){ 0 }, out),
                 QN_OK);
        if (memcmp(out, want, need.out_cnt * sizeof *out) != 0) return true;
    }
    return false;
}

static void test_referee(struct qn_test_state *t)
{
    uint64_t seed = 99;
    uint32_t seen[GRAPH_OP_CNT] = { 0 };
    for (int kind = 0; kind < 2; kind++) {
        struct qn_arena arena = { 0 };
        struct graph g;
        struct graph_mlp o = small((uint8_t)kind, MLP_ADAM);
        o.dims[1] = kind ? 40 : 300; /* rowsums of more than 256 columns too */
        CHECK_RC(graph_mlp(&o, &arena, &g, NULL), QN_OK);
        uint8_t *rec = records(o.batch * 4, o.dims[0], 5);
        struct graph_run *run = run_new(t, &g, NULL, true);
        graph_run_init(run, 4242);
        struct graph_tile a, b;
        for (uint32_t i = 0; i < g.next.cnt; i++) {
            uint32_t id = g.next.ptr[i].state,
                     tile = (uint32_t)(rnd(&seed) % graph_tile_cnt(&g.node.ptr[id]));
            CHECK_RC(graph_init_tile(&g, id, tile, 4242, &a), QN_OK);
            graph_run_tile(run, id, tile, &b);
            CHECK(memcmp(&a, &b, sizeof a) == 0);
        }
        for (uint32_t s = 0; s < 6; s++) {
            struct graph_records r = { rec + (size_t)(s % 4) * o.batch * REC, REC, REC, o.batch };
            struct graph_result res;
            CHECK_RC(graph_run_step(run, s, &r, &res, NULL), QN_OK);
            for (uint32_t i = 0; i < g.node.cnt; i++) {
                if (g.node.ptr[i].op == GRAPH_STATE) continue;
                for (int rep = 0; rep < 4; rep++)
                    judge(t, run, &g, i, (uint32_t)(rnd(&seed) % graph_tile_cnt(&g.node.ptr[i])), s,
                          &r, &seed);
                seen[g.node.ptr[i].op]++;
                if (s == 2) CHECK(flips(t, run, &g, i, s, &seed));
            }
        }
        graph_run_free(run);
        free(rec);
        qn_arena_free(&arena);
    }
    for (uint32_t op = 0; op < GRAPH_OP_CNT; op++)
        CHECK(seen[op] || op == GRAPH_STATE);
}

/* What the ledger hands in may be anything: each misuse has its error. */
static void test_bounds(struct qn_test_state *t)
{
    struct qn_arena arena = { 0 };
    struct graph g;
    struct graph_mlp o = small(CONTRACT_T12, MLP_ADAM);
    CHECK_RC(graph_mlp(&o, &arena, &g, NULL), QN_OK);
    struct graph_need need;
    struct graph_tile in[GRAPH_IN_MAX] = { 0 }, out[GRAPH_CARRY_MAX];
    uint32_t w0 = 0, loss = g.loss;
    CHECK(graph_find_state(&g, "w0", &w0) && !graph_find_state(&g, "w", &w0));
    CHECK_RC(graph_tile_inputs(&g, g.node.cnt, 0, 0, &need), QN_E_RANGE);
    CHECK_RC(graph_tile_inputs(&g, loss, 1, 0, &need), QN_E_RANGE);
    CHECK_RC(graph_tile_inputs(&g, loss, 0, 1, &need), QN_E_RANGE);
    CHECK_RC(graph_tile_inputs(&g, w0, 0, 0, &need), QN_E_NOTFOUND);
    CHECK_RC(graph_tile_step(&g, loss, 0, 0, 0, in, 1, (struct qn_span){ 0 }, out),
             QN_E_RANGE); /* two tiles */
    CHECK_RC(graph_tile_step(&g, loss, 0, 0, 0, in, 2, QN_SPAN(in, 5), out), QN_E_RANGE);
    CHECK_RC(graph_init_tile(&g, loss, 0, 0, out), QN_E_NOTFOUND);
    CHECK_RC(graph_init_tile(&g, w0, 1 << 20, 0, out), QN_E_RANGE);
    struct graph_run *run = run_new(t, &g, NULL, false);
    float bad[17 * 10] = { 0 };
    uint32_t w2 = 0, denormal = 1;
    CHECK(graph_find_state(&g, "w2", &w2));
    CHECK_RC(graph_run_set(run, w2, bad, 169), QN_E_RANGE);
    CHECK_RC(graph_run_set(run, w2, bad, 170), QN_OK);
    memcpy(&bad[3], &denormal, 4);
    CHECK_RC(graph_run_set(run, w2, bad, 170), QN_E_RANGE);
    uint8_t rec[REC * 24] = { 0 };
    struct graph_result res;
    CHECK_RC(graph_run_step(run, 0, &(struct graph_records){ rec, REC, REC, 23 }, &res, NULL),
             QN_E_RANGE);
    CHECK_RC(graph_run_step(run, 0, &(struct graph_records){ rec, REC, 784, 24 }, &res, NULL),
             QN_E_RANGE);
    CHECK_RC(graph_run_step(run, 0, &(struct graph_records){ rec, REC, 785, 24 }, &res, NULL),
             QN_OK);
    graph_run_free(run);
    qn_arena_free(&arena);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_bounds);
    TEST(test_codec);
    TEST(test_variants);
    TEST(test_referee);
    return TEST_END();
}
