/* test_ops.c - every variant against the written order in plain loops, over many shapes. */
#include "core/base/test.h"
#include "gpu/cpu/ops.h"

#include "gpu/dialect/c.h"

#include "gpu/dialect/num.k"

#include "gpu/kernels/rowmax.k"
#include "gpu/kernels/rowsum.k"

#include <stdlib.h>

static uint32_t rnd(uint64_t *s)
{
    *s = *s * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(*s >> 32);
}

static void fill(float *p, size_t n, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        u32 b = rnd(seed);
        b = b % 17 == 0 ? b << 31 : (b & 0x807fffff) | (100 + (b >> 10) % 40) << 23;
        p[i] = f_bits(b % 251 == 0 ? 0x24000000 : b); /* some are below the floor */
    }
}

/* gpu/graph/node.h, word by word. */
static void plain(const struct cpu_gemm *g, float *c)
{
    for (uint32_t m = 0; m < g->m; m++)
        for (uint32_t n = 0; n < g->n; n++) {
            f32 sum = 0;
            for (uint32_t k0 = 0; k0 < g->k; k0 += 256) {
                f32 s = 0;
                for (uint32_t k = k0; k < g->k && k < k0 + 256; k++) {
                    f32 a = g->ta ? g->a[k * g->lda + m] : g->a[m * g->lda + k];
                    f32 b = g->tb ? g->b[n * g->ldb + k] : g->b[k * g->ldb + n];
                    s = f32_add(s, f32_mul(g->t12 ? num_t12(a) : num_c32(a),
                                           g->t12 ? num_t12(b) : num_c32(b)));
                }
                sum = k0 ? f32_add(sum, s) : s;
            }
            c[m * g->ldc + n] = num_clean(sum);
        }
}

struct rig {
    float *a, *b, *c, *want, *space;
};

static void gemm_case(struct qn_test_state *t, const struct rig *x, uint32_t m, uint32_t n,
                      uint32_t k, unsigned flags)
{
    struct cpu_gemm g = { .m = m,
                          .n = n,
                          .k = k,
                          .a = x->a,
                          .b = x->b,
                          .c = x->c,
                          .ta = flags & 1,
                          .tb = flags & 2,
                          .t12 = flags & 4,
                          .ldc = n + 3,
                          .space = x->space };
    g.lda = (g.ta ? m : k) + 1;
    g.ldb = (g.tb ? k : n) + 2;
    size_t bytes = (size_t)m * g.ldc * 4;
    memset(x->want, 0x55, bytes);
    plain(&g, x->want);
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        if (!all[i]->usable()) continue;
        memset(x->c, 0x55, bytes); /* what lies between rows must stay */
        all[i]->gemm(&g);
        if (memcmp(x->c, x->want, bytes) != 0)
            printf("%s: m %u n %u k %u flags %u\n", all[i]->name, m, n, k, flags);
        CHECK(memcmp(x->c, x->want, bytes) == 0);
    }
}

static void test_gemm(struct qn_test_state *t)
{
    enum { MAX = 1100 * 1100 };
    struct rig x = { malloc(MAX * 4), malloc(MAX * 4), malloc(MAX * 4), malloc(MAX * 4),
                     aligned_alloc(64, CPU_GEMM_SPACE * 4) };
    uint64_t seed = 3;
    fill(x.a, MAX, &seed);
    fill(x.b, MAX, &seed);
    bool all = test_long();
    for (uint32_t m = 1; m <= 33; m++)
        for (uint32_t n = 1; n <= 33; n++)
            for (uint32_t k = 1; k <= 33; k++)
                if (all || (m * 7 + n * 11 + k * 13) % 9 == 0)
                    gemm_case(t, &x, m, n, k, (m + n + k) % 8);
    static const uint32_t shape[][3] = { { 64, 128, 784 },   { 784, 128, 64 },  { 64, 10, 128 },
                                         { 64, 128, 10 },    { 1, 10, 257 },    { 257, 33, 513 },
                                         { 200, 1030, 255 }, { 385, 65, 1025 }, { 15, 1, 768 } };
    for (uint32_t i = 0; i < QN_COUNT(shape); i++)
        for (unsigned flags = 0; flags < 8; flags++)
            gemm_case(t, &x, shape[i][0], shape[i][1], shape[i][2], flags);
    free(x.a);
    free(x.b);
    free(x.c);
    free(x.want);
    free(x.space);
}

static void test_rows(struct qn_test_state *t)
{
    enum { ROWS = 5, MAX = 1500 };
    float x[ROWS * MAX], sum[ROWS], top[ROWS];
    uint64_t seed = 4;
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t cols = 1; cols < MAX; cols += cols < 140 ? 1 : 97) {
        fill(x, ROWS * cols, &seed);
        x[rnd(&seed) % (ROWS * cols)] = f_bits(0x7f800000);
        if (cols % 5 == 0) x[rnd(&seed) % (ROWS * cols)] = f_bits(0x7fc00000);
        for (uint32_t i = 0; i < cnt; i++) {
            if (!all[i]->usable()) continue;
            all[i]->rowsum(x, ROWS, cols, sum);
            all[i]->rowmax(x, ROWS, cols, top);
            for (uint32_t r = 0; r < ROWS; r++) {
                f32 lanes[64] = { 0 };
                rowsum_add(lanes, x + r * cols, cols);
                CHECK(bits_f(rowsum_fold(lanes)) == bits_f(sum[r]));
                CHECK(bits_f(rowmax(x[r * cols], x + r * cols, cols)) == bits_f(top[r]));
            }
        }
    }
}

/* Spread inputs, column numbers and tails, against one element at a time. */
static void test_map_shapes(struct qn_test_state *t)
{
    float full[40 * 70], row[70], col[40], one[1], want[40 * 70], got[40 * 70];
    uint64_t seed = 8;
    static const struct map_ins ins[] = { { MAP_COL, 0, 0, 0, 0 },
                                          { MAP_ADD, 0, 1, 0, 0 },
                                          { MAP_MUL, 5, 2, 0, 0 },
                                          { MAP_SUB, 6, 3, 0, 0 },
                                          { MAP_ADD, 7, 4, 0, 0 } };
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t rows = 1; rows <= 40; rows += 3)
        for (uint32_t cols = 1; cols <= 70; cols++) {
            fill(full, QN_COUNT(full), &seed);
            fill(row, QN_COUNT(row), &seed);
            fill(col, QN_COUNT(col), &seed);
            fill(one, 1, &seed);
            bool use_col = cols % 2; /* else all is flat where it can be */
            struct cpu_map m = { .rows = rows,
                                 .cols = cols,
                                 .in_cnt = 4,
                                 .ins_cnt = use_col ? 5 : 4,
                                 .ins = ins,
                                 .in = { full, row, col, one },
                                 .row_step = { cols, 0, 1, 0 },
                                 .col_step = { 1, 1, 0, 0 } };
            struct map_ins four[] = { { MAP_ADD, 0, 1, 0, 0 },
                                      { MAP_MUL, 4, 2, 0, 0 },
                                      { MAP_SUB, 5, 3, 0, 0 },
                                      { MAP_ABS, 6, 0, 0, 0 } };
            if (!use_col) m.ins = four;
            for (uint32_t r = 0; r < rows; r++)
                for (uint32_t c = 0; c < cols; c++) {
                    f32 v = num_clean(f32_add(full[r * cols + c], row[c]));
                    v = num_clean(f32_sub(num_clean(f32_mul(v, col[r])), one[0]));
                    want[r * cols + c] = use_col ? num_clean(f32_add(v, (float)c)) : num_abs(v);
                }
            for (uint32_t i = 0; i < cnt; i++) {
                if (!all[i]->usable()) continue;
                m.out = got;
                all[i]->map(&m);
                CHECK(memcmp(got, want, (size_t)rows * cols * 4) == 0);
            }
        }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_gemm);
    TEST(test_rows);
    TEST(test_map_shapes);
    return TEST_END();
}
