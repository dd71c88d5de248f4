/* gemm_body.h - contraction for LANES columns at once; included by each variant with GEMM_MR, GEMM_NV.
 *
 * The order of sums is fixed (gpu/graph/node.h): lanes are columns, rows are registers, k runs inside, so
 * tile shape, packing and blocking cannot change a bit. Operands pass num_c32 or num_t12 while they are
 * packed: A as rows of 256 k, or (ta) as columns; B as panels of GEMM_NR columns. */
#define GEMM_NR (GEMM_NV * LANES)
#define GEMM_KC 256u /* the block of the written order */
#define GEMM_MC 192u /* rows of A packed at once: 208 KiB */
#define GEMM_NC 1024u
#define GEMM_AS 272u /* step of a packed row, so that rows do not share cache sets */
_Static_assert((GEMM_MC + 16) * GEMM_AS + GEMM_NC * GEMM_KC <= CPU_GEMM_SPACE, "space");

#if defined __clang__
#define GEMM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM_UNROLL _Pragma("GCC unroll 16")
#endif
#define GEMM_INLINE static inline __attribute__((always_inline))

GEMM_INLINE f32 gemm_prep(f32 v, bool t12)
{
    return t12 ? num_t12_clean(v) : num_floor(v); /* stored values are clean */
}

/* dst[r][k] of rows x kc from A stored by rows. */
static void gemm_pack_rows(const float *a, size_t lda, uint32_t rows, uint32_t kc, bool t12,
                           float *dst)
{
    for (uint32_t r = 0; r < rows; r++, a += lda, dst += GEMM_AS) {
        uint32_t k = 0;
        for (; k + LANES <= kc; k += LANES)
            vec_store(dst + k, gemm_prep(vec_load(a + k), t12));
        if (k < kc) vec_store_n(dst + k, gemm_prep(vec_load_n(a + k, kc - k), t12), kc - k);
    }
}

/* dst[k][width] of kc x n from a matrix stored with n contiguous; columns n .. width - 1 are left alone. */
static void gemm_pack_cols(const float *b, size_t ldb, uint32_t n, uint32_t kc, bool t12,
                           float *dst, uint32_t width)
{
    for (uint32_t k = 0; k < kc; k++, b += ldb, dst += width) {
        uint32_t i = 0;
        for (; i + LANES <= n; i += LANES)
            vec_store(dst + i, gemm_prep(vec_load(b + i), t12));
        if (i < n) vec_store_n(dst + i, gemm_prep(vec_load_n(b + i, n - i), t12), n - i);
    }
}

/* dst[k][GEMM_NR] of kc x n from B stored (n, k). */
static void gemm_pack_trans(const float *b, size_t ldb, uint32_t n, uint32_t kc, bool t12,
                            float *dst)
{
    float row[GEMM_KC];
    for (uint32_t i = 0; i < n; i++) {
        gemm_pack_rows(b + i * ldb, 0, 1, kc, t12, row);
        for (uint32_t k = 0; k < kc; k++)
            dst[k * GEMM_NR + i] = row[k];
    }
}

/* mr rows, nv vectors of columns: C = S or C + S over kc. nv and mr are constants where this is inlined.
 * n: columns to store; cols: A is packed by columns. */
GEMM_INLINE void gemm_micro(uint32_t mr, uint32_t nv, bool cols, bool fma, uint32_t kc,
                            const float *a, const float *b, float *c, size_t ldc, uint32_t n,
                            bool first, bool last)
{
    f32 s[GEMM_MR][GEMM_NV];
    GEMM_UNROLL for (uint32_t r = 0; r < mr; r++) GEMM_UNROLL for (uint32_t j = 0; j < nv; j++)
        s[r][j] = F(0);
    for (uint32_t k = 0; k < kc; k++) {
        f32 vb[GEMM_NV];
        GEMM_UNROLL for (uint32_t j = 0; j < nv; j++) vb[j] = vec_load(b + k * GEMM_NR + j * LANES);
        GEMM_UNROLL for (uint32_t r = 0; r < mr; r++)
        {
            f32 va = vec_splat_bits(cols ? a + k * mr + r : a + r * GEMM_AS + k);
            GEMM_UNROLL for (uint32_t j = 0; j < nv; j++) s[r][j] =
                fma ? f32_fma_exact(va, vb[j], s[r][j]) : f32_add(s[r][j], f32_mul(va, vb[j]));
        }
    }
    GEMM_UNROLL for (uint32_t r = 0; r < mr; r++) GEMM_UNROLL for (uint32_t j = 0; j < nv; j++)
    {
        float *p = c + r * ldc + j * LANES;
        uint32_t w = n > j * LANES ? QN_MIN(n - j * LANES, (uint32_t)LANES) : 0;
        if (w == 0) continue;
        f32 v = s[r][j];
        if (!first) v = f32_add(w == LANES ? vec_load(p) : vec_load_n(p, w), v);
        if (last) v = num_clean(v);
        if (w == LANES)
            vec_store(p, v);
        else
            vec_store_n(p, v, w);
    }
}

struct gemm_call {
    uint32_t kc, n;
    const float *a, *b;
    float *c;
    size_t ldc;
    bool first, last;
};

typedef void (*gemm_fn)(const struct gemm_call *x);

#define GEMM_ONE(mr, nv, cols, fma)                                                                \
    static void gemm_##mr##_##nv##_##cols##_##fma(const struct gemm_call *x)                       \
    {                                                                                              \
        gemm_micro(mr, nv, cols, fma, x->kc, x->a, x->b, x->c, x->ldc, x->n, x->first, x->last);   \
    }
#define GEMM_FOUR(mr, nv)                                                                          \
    GEMM_ONE(mr, nv, 0, 0) GEMM_ONE(mr, nv, 0, 1) GEMM_ONE(mr, nv, 1, 0) GEMM_ONE(mr, nv, 1, 1)
#define GEMM_ROW(mr)                                                                               \
    {                                                                                              \
        { { gemm_##mr##_1_0_0, gemm_##mr##_1_0_1 }, { gemm_##mr##_1_1_0, gemm_##mr##_1_1_1 } },    \
        {                                                                                          \
            { gemm_##mr##_2_0_0, gemm_##mr##_2_0_1 },                                              \
            {                                                                                      \
                gemm_##mr##_2_1_0, gemm_##mr##_2_1_1                                               \
            }                                                                                      \
        }                                                                                          \
    }
#define GEMM_EACH(X)    GEMM_SIZES(X)
#define GEMM_DEFINE(mr) GEMM_FOUR(mr, 1) GEMM_FOUR(mr, 2)
#define GEMM_LINE(mr)   [mr] = GEMM_ROW(mr),
GEMM_EACH(GEMM_DEFINE)
static const gemm_fn gemm_fns[GEMM_MR + 1][2][2][2] = { GEMM_EACH(GEMM_LINE) };

/* Rows of A are cut in equal panels, so that no panel is mostly empty. */
static uint32_t gemm_panel(uint32_t m)
{
    uint32_t panels = (m + GEMM_MR - 1) / GEMM_MR;
    return (m + panels - 1) / panels;
}

static void gemm_rows(const struct cpu_gemm *g, const struct gemm_call *base, uint32_t i0,
                      uint32_t mc, uint32_t k0, uint32_t j0, uint32_t nc, float *pa,
                      const float *pb)
{
    uint32_t mr = gemm_panel(mc);
    struct gemm_call x = *base;
    for (uint32_t i = 0, cnt; i < mc; i += cnt) {
        cnt = QN_MIN(mr, mc - i);
        if (g->ta)
            gemm_pack_cols(g->a + k0 * g->lda + i0 + i, g->lda, cnt, x.kc, g->t12,
                           pa + (size_t)i * GEMM_AS, cnt);
        else
            gemm_pack_rows(g->a + (i0 + i) * g->lda + k0, g->lda, cnt, x.kc, g->t12,
                           pa + (size_t)i * GEMM_AS);
    }
    /* A panel of A (15 KiB) stays in L1 while B streams from L2: 0.92 of OpenBLAS against 0.88 the other way
     * round (T12, 768 cubed); prefetching B changed nothing. */
    for (uint32_t i = 0, cnt; i < mc; i += cnt) {
        cnt = QN_MIN(mr, mc - i);
        x.a = pa + (size_t)i * GEMM_AS;
        for (uint32_t j = 0; j < nc; j += GEMM_NR) {
            x.n = QN_MIN(nc - j, (uint32_t)GEMM_NR);
            x.b = pb + (size_t)j * GEMM_KC;
            x.c = g->c + (i0 + i) * g->ldc + j0 + j;
            gemm_fns[cnt][x.n > LANES ? 1 : 0][g->ta][g->t12](&x);
        }
    }
}

static void ops_gemm(const struct cpu_gemm *g)
{
    float *pb = g->space, *pa = pb + GEMM_NC * GEMM_KC;
    for (uint32_t j0 = 0; j0 < g->n; j0 += GEMM_NC) {
        uint32_t nc = QN_MIN(g->n - j0, GEMM_NC);
        for (uint32_t k0 = 0; k0 < g->k; k0 += GEMM_KC) {
            struct gemm_call x = { .kc = QN_MIN(g->k - k0, GEMM_KC),
                                   .ldc = g->ldc,
                                   .first = k0 == 0,
                                   .last = k0 + GEMM_KC >= g->k };
            for (uint32_t j = 0; j < nc; j += GEMM_NR) {
                uint32_t n = QN_MIN(nc - j, (uint32_t)GEMM_NR);
                float *dst = pb + (size_t)j * GEMM_KC;
                if (n < GEMM_NR) memset(dst, 0, (size_t)GEMM_NR * x.kc * sizeof *dst);
                if (g->tb)
                    gemm_pack_trans(g->b + (j0 + j) * g->ldb + k0, g->ldb, n, x.kc, g->t12, dst);
                else
                    gemm_pack_cols(g->b + k0 * g->ldb + j0 + j, g->ldb, n, x.kc, g->t12, dst,
                                   GEMM_NR);
            }
            for (uint32_t i0 = 0; i0 < g->m; i0 += GEMM_MC)
                gemm_rows(g, &x, i0, QN_MIN(g->m - i0, GEMM_MC), k0, j0, nc, pa, pb);
        }
    }
}
