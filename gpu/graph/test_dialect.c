/* test_dialect.c - the texts by C floats, by integers and by vectors: equal bits, special values included;
 * elementary functions against double. Long: every argument instead of every 997th. */
#include "core/base/test.h"
#include "gpu/cpu/ops.h"
#include "gpu/graph/build.h"
#include "gpu/graph/tile_step.h"

#include <math.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

static uint64_t rnd(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static const uint32_t special[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
    0x7fffffff, 0x7f800001, 0x00000001, 0x807fffff, 0x00800000, 0x80800000, 0x00ffffff, 0x01000000,
    0x81000000, 0x01000001, 0x7f7fffff, 0xff7fffff, 0x202a8be5, 0x1fc022a4, 0x26000000, 0x25ffffff,
    0xa5ffffff, 0x5f000000, 0x5effffff, 0x5efff800, 0x5f7fffff, 0x3f7fffff, 0x3f800001, 0x4b800000,
    0x33800000, 0x34000000, 0x20000000, 0x1fffffff, 0x42b0bd71, 0xc2ae999a, 0xc2aeac50, 0x3f3504f3,
    0x2b800000, 0x2b7fffff, 0x411051ec, 0x3f200000, 0x3f1fffff, 0x00fff000, 0x3ffff7ff, 0x3ffff800,
    0x3ffff801, 0x40000800,
};

/* Any bits, biased to what breaks things: specials, exponents near those of `near`, few mantissa bits. */
static uint32_t value(uint64_t *s, uint32_t near)
{
    uint64_t r = rnd(s);
    uint32_t b = (uint32_t)(r >> 32);
    switch (r & 7) {
    case 0: return special[(r >> 8) % QN_COUNT(special)];
    case 1: return b & 0xfff00000;
    case 2: return (b & 0x80ffffff) | ((near + (b >> 24 & 3) * 0x00800000) & 0x7f000000);
    case 3: return (b & 0x81ffffff) | 0x3e000000;
    case 4: return (near ^ 0x80000000) + (b & 3) - 1; /* cancels */
    case 5:
        return (b & 0x807fffff) | (((254 - (near >> 23 & 255)) + (b >> 23 & 3)) << 23 &
                                   0x7f800000); /* product near 1 */
    case 6:
        return (b & 0x807fffff) |
               (((129 - (near >> 23 & 255)) + (b >> 23 & 3)) << 23 & 0x7f800000); /* near 2^-126 */
    default: return b;
    }
}

/* One map node over one tile each of a, b, c: the program is a single instruction on cleaned inputs. */
struct rig {
    struct qn_arena arena;
    struct graph g[MAP_SEL + 1];
    struct graph contract[2];
};

static void rig_init(struct rig *rig)
{
    static const char *const prog[] = { "const 0", "col",      "add a b", "sub a b", "mul a b",
                                        "div a b", "sqrt a",   "max a b", "min a b", "neg a",
                                        "abs a",   "exp a",    "log a",   "tanh a",  "eq a b",
                                        "lt a b",  "sel a b c" };
    *rig = (struct rig){ 0 };
    for (uint32_t op = 0; op <= MAP_SEL; op++) {
        struct graph_build b;
        graph_build_begin(&b, &rig->arena);
        uint32_t in[3];
        for (int i = 0; i < 3; i++)
            in[i] = graph_add_input(&b, 16, 16, 0);
        graph_add_map(&b, in, 3, prog[op]);
        rig->g[op] = b.g;
    }
    for (uint8_t kind = 0; kind < 2; kind++) {
        struct graph_build b;
        graph_build_begin(&b, &rig->arena);
        uint32_t x = graph_add_input(&b, 16, 256, 0), y = graph_add_input(&b, 256, 16, 0);
        graph_add_contract(&b, x, y, kind);
        rig->contract[kind] = b.g;
    }
}

static uint32_t cleaned(uint32_t b)
{
    uint32_t mag = b & 0x7fffffff;
    return mag > 0x7f800000 ? 0x7fc00000 : mag < 0x01000000 ? b & 0x80000000 : b;
}

/* C, integers and all vector variants on the same tile of one instruction. */
static void ins_tile(struct qn_test_state *t, const struct rig *rig, uint32_t op, uint64_t *seed)
{
    struct graph_tile in[3], soft, c, vec;
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 3; k++)
            in[k].v[i] = value(seed, k ? in[k - 1].v[i] : (uint32_t)rnd(seed));
    CHECK_RC(graph_tile_step(&rig->g[op], 3, 0, 0, 0, in, 3, (struct qn_span){ 0 }, &soft), QN_OK);
    CHECK_RC(graph_tile_step_c(&rig->g[op], 3, 0, 0, 0, in, 3, (struct qn_span){ 0 }, &c), QN_OK);
    for (int i = 0; i < 256; i++) {
        if (soft.v[i] != c.v[i])
            printf("op %u of %08x %08x %08x: soft %08x, c %08x\n", op, in[0].v[i], in[1].v[i],
                   in[2].v[i], soft.v[i], c.v[i]);
        CHECK(soft.v[i] == c.v[i]);
        CHECK(cleaned(c.v[i]) == c.v[i]);
        for (int k = 0; k < 3; k++)
            in[k].v[i] = cleaned(in[k].v[i]); /* the runtime never stores other values */
    }
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    const struct graph_ins *p = rig->g[op].node.ptr[3].prog.ptr;
    struct map_ins ins = { p->op, p->a, p->b, p->c, p->imm };
    struct cpu_map m = { .rows = 16,
                         .cols = 16,
                         .in_cnt = 3,
                         .ins_cnt = 1,
                         .ins = &ins,
                         .row_step = { 16, 16, 16 },
                         .col_step = { 1, 1, 1 } };
    float f[4][256];
    memcpy(f, in, sizeof in);
    for (int k = 0; k < 3; k++)
        m.in[k] = f[k];
    m.out = f[3];
    for (uint32_t i = 0; i < cnt; i++) {
        if (!all[i]->usable()) continue;
        all[i]->map(&m);
        memcpy(&vec, f[3], sizeof vec);
        CHECK(memcmp(&vec, &c, sizeof c) == 0);
    }
}

static void test_instructions(struct qn_test_state *t)
{
    struct rig rig;
    rig_init(&rig);
    uint64_t seed = 11;
    int reps = test_long() ? 40000 : 400;
    for (int rep = 0; rep < reps; rep++)
        for (uint32_t op = 0; op <= MAP_SEL; op++)
            ins_tile(t, &rig, op, &seed);
    qn_arena_free(&rig.arena);
}

/* The pair whose product is 0 under flush-to-zero and 2^-126 under denormals, rounded once. */
static void test_snap_pair(struct qn_test_state *t)
{
    struct rig rig;
    rig_init(&rig);
    struct graph_tile in[3] = { 0 }, out;
    in[0].v[0] = 0x202a8be5;
    in[1].v[0] = 0x1fc022a4;
    in[0].v[1] = 0x202a8be5;
    in[1].v[1] = 0x9fc022a4;
    CHECK_RC(graph_tile_step(&rig.g[MAP_MUL], 3, 0, 0, 0, in, 3, (struct qn_span){ 0 }, &out),
             QN_OK);
    CHECK(out.v[0] == 0 && out.v[1] == 0x80000000);
    CHECK_RC(graph_tile_step_c(&rig.g[MAP_MUL], 3, 0, 0, 0, in, 3, (struct qn_span){ 0 }, &out),
             QN_OK);
    CHECK(out.v[0] == 0 && out.v[1] == 0x80000000);
    qn_arena_free(&rig.arena);
}

/* Whole contraction tiles on wild operands: integers, C, and every variant's gemm. */
static void contract_tile_all(struct qn_test_state *t, const struct rig *rig, int kind,
                              uint64_t *seed, float *space)
{
    struct graph_tile in[32], soft, c, vec;
    static const uint32_t wild[] = { 0, 1, 2, 9 };
    uint32_t level = wild[rnd(seed) % 4]; /* 9: specials as well */
    for (int k = 0; k < 32; k++)
        for (int i = 0; i < 256; i++) {
            uint32_t b = (uint32_t)rnd(seed), e = level == 0   ? 126
                                                  : level == 1 ? 60 + b % 140
                                                               : 70 + b % 30;
            in[k].v[i] = level == 9 && b % 64 == 0 ? value(seed, b) : (b & 0x807fffff) | e << 23;
        }
    CHECK_RC(
        graph_tile_step(&rig->contract[kind], 2, 0, 0, 0, in, 32, (struct qn_span){ 0 }, &soft),
        QN_OK);
    CHECK_RC(graph_tile_step_c(&rig->contract[kind], 2, 0, 0, 0, in, 32, (struct qn_span){ 0 }, &c),
             QN_OK);
    CHECK(memcmp(&soft, &c, sizeof c) == 0);
    float a[16 * 256], b[256 * 16], out[256];
    for (int k = 0; k < 16; k++)
        for (int i = 0; i < 256; i++) {
            uint32_t va = cleaned(in[k].v[i]), vb = cleaned(in[16 + k].v[i]);
            memcpy(&a[i / 16 * 256 + k * 16 + i % 16], &va, 4);
            memcpy(&b[k * 256 + i], &vb, 4);
        }
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    struct cpu_gemm g = { .m = 16,
                          .n = 16,
                          .k = 256,
                          .a = a,
                          .b = b,
                          .c = out,
                          .lda = 256,
                          .ldb = 16,
                          .ldc = 16,
                          .t12 = kind,
                          .space = space };
    for (uint32_t i = 0; i < cnt; i++) {
        if (!all[i]->usable()) continue;
        all[i]->gemm(&g);
        memcpy(&vec, out, sizeof vec);
        CHECK(memcmp(&vec, &c, sizeof c) == 0);
    }
}

static void contract_reps(struct qn_test_state *t, int reps, uint64_t seed)
{
    struct rig rig;
    rig_init(&rig);
    float *space = aligned_alloc(64, CPU_GEMM_SPACE * sizeof *space);
    for (int rep = 0; rep < reps; rep++)
        contract_tile_all(t, &rig, rep & 1, &seed, space);
    free(space);
    qn_arena_free(&rig.arena);
}

static void test_contract_tiles(struct qn_test_state *t)
{
    contract_reps(t, test_long() ? 100000 : 300, 5);
}

/* No bit depends on the processor's denormal modes. */
static void test_modes(struct qn_test_state *t)
{
#ifdef __SSE2__
    unsigned csr = _mm_getcsr();
    for (unsigned mode = 0; mode < 4; mode++) {
        _mm_setcsr(csr | (mode & 1 ? 0x8000u : 0) | (mode & 2 ? 0x0040u : 0)); /* FTZ, DAZ */
        struct rig rig;
        rig_init(&rig);
        uint64_t seed = 77;
        for (int rep = 0; rep < 100; rep++)
            for (uint32_t op = 0; op <= MAP_SEL; op++)
                ins_tile(t, &rig, op, &seed);
        qn_arena_free(&rig.arena);
        contract_reps(t, 40, 6);
        test_snap_pair(t);
    }
    _mm_setcsr(csr);
#else
    (void)t;
#endif
}

/* Largest error in units of the last place of the true value, normal results only. */
static void sweep(struct qn_test_state *t, uint32_t op, double (*truth)(double), double limit)
{
    const struct cpu_ops *ops = cpu_ops_best();
    struct map_ins ins = { (uint8_t)op, 0, 0, 0, 0 };
    uint32_t stride = test_long() ? 1 : 997;
    double worst = 0;
    float x[1024], y[1024], at = 0;
    for (uint64_t b = 0; b < UINT64_C(1) << 32;) {
        uint32_t n = 0;
        for (; n < 1024 && b < UINT64_C(1) << 32; b += stride) {
            uint32_t v = cleaned((uint32_t)b);
            memcpy(&x[n++], &v, 4);
        }
        struct cpu_map m = { .rows = 1,
                             .cols = n,
                             .in_cnt = 1,
                             .ins_cnt = 1,
                             .ins = &ins,
                             .in = { x },
                             .row_step = { n },
                             .col_step = { 1 },
                             .out = y };
        ops->map(&m);
        for (uint32_t i = 0; i < n; i++) {
            double want = truth((double)x[i]);
            if (isnan(want)) {
                CHECK(isnan(y[i]));
                continue;
            }
            if (fabs(want) < 0x1p-124 || fabs(want) > 2.3e38)
                continue; /* snapped, or past the clamp */
            int e;
            frexp(want, &e);
            double ulp = fabs((double)y[i] - want) / ldexp(1, e - 24);
            if (ulp > worst) {
                worst = ulp;
                at = x[i];
            }
        }
    }
    printf("op %u: %.3f ulp at %.9g\n", op, worst, (double)at);
    CHECK(worst < limit);
}

static void test_ulp(struct qn_test_state *t)
{
    sweep(t, MAP_EXP, exp, 1.0);
    sweep(t, MAP_LOG, log, 1.0);
    sweep(t, MAP_TANH, tanh, 1.5);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_snap_pair);
    TEST(test_instructions);
    TEST(test_contract_tiles);
    TEST(test_modes);
    TEST(test_ulp);
    return TEST_END();
}
