/* map_body.h - maps and row reductions for LANES values at once; included by each variant. */
#define MAP_VECS                                                                                   \
    16 /* vectors a block: a value's block is 1 KiB at 16 lanes, a program's working set fits L1 */

static void map_ins_run(const struct map_ins *s, f32 (*v)[MAP_VECS], f32 *y, uint32_t vecs,
                        uint32_t col)
{
    const f32 *pa = v[s->a], *pb = v[s->b], *pc = v[s->c];
    switch ((enum graph_map_op)s->op) {
    case MAP_CONST: break; /* filled once */
    case MAP_COL:
        for (uint32_t i = 0; i < vecs; i++)
            for (uint32_t l = 0; l < LANES; l++)
                y[i][l] = (float)(col + i * LANES + l);
        break;
#define X(word, expr)                                                                              \
    case MAP_##word:                                                                               \
        for (uint32_t i = 0; i < vecs; i++) {                                                      \
            f32 a = pa[i], b QN_UNUSED = pb[i], c QN_UNUSED = pc[i];                               \
            y[i] = expr;                                                                           \
        }                                                                                          \
        break;
        MAP_OPS(X)
#undef X
    }
}

static void map_load(f32 *dst, const float *src, uint32_t n)
{
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        dst[i / LANES] = vec_load(src + i);
    if (i < n) dst[i / LANES] = vec_load_n(src + i, n - i);
}

static void map_fill(f32 *dst, const float *src)
{
    for (uint32_t i = 0; i < MAP_VECS; i++)
        dst[i] = vec_splat_bits(src);
}

static void ops_map(const struct cpu_map *m)
{
    f32 v[MAP_IN_MAX + MAP_INS_MAX][MAP_VECS];
    bool flat = true; /* one long row when nothing depends on the column */
    for (uint32_t k = 0; k < m->in_cnt; k++)
        flat &= m->col_step[k] ? m->row_step[k] == m->cols : m->row_step[k] == 0;
    for (uint32_t p = 0; p < m->ins_cnt; p++) {
        flat &= m->ins[p].op != MAP_COL;
        if (m->ins[p].op != MAP_CONST) continue;
        float x;
        memcpy(&x, &m->ins[p].imm, 4);
        map_fill(v[m->in_cnt + p], &x);
    }
    size_t rows = flat ? 1 : m->rows, cols = flat ? (size_t)m->rows * m->cols : m->cols;
    for (size_t r = 0; r < rows; r++) {
        for (uint32_t k = 0; k < m->in_cnt; k++)
            if (!m->col_step[k]) map_fill(v[k], m->in[k] + r * m->row_step[k]);
        for (size_t c = 0; c < cols; c += MAP_VECS * LANES) {
            uint32_t n = (uint32_t)QN_MIN(cols - c, (size_t)MAP_VECS * LANES),
                     vecs = (n + LANES - 1) / LANES;
            for (uint32_t k = 0; k < m->in_cnt; k++)
                if (m->col_step[k]) map_load(v[k], m->in[k] + r * m->row_step[k] + c, n);
            for (uint32_t p = 0; p < m->ins_cnt; p++)
                map_ins_run(&m->ins[p], v, v[m->in_cnt + p], vecs, (uint32_t)c);
            const f32 *y = v[m->in_cnt + m->ins_cnt - 1];
            float *out = m->out + r * cols + c;
            uint32_t i = 0;
            for (; i + LANES <= n; i += LANES)
                vec_store(out + i, y[i / LANES]);
            if (i < n) vec_store_n(out + i, y[i / LANES], n - i);
        }
    }
}

static void ops_rowsum(const float *x, uint32_t rows, uint32_t cols, float *out)
{
    for (uint32_t r = 0; r < rows; r++, x += cols) {
        f32 lane[64 / LANES];
        for (uint32_t i = 0; i < 64 / LANES; i++)
            lane[i] = F(0);
        uint32_t c = 0;
        for (; c + 64 <= cols; c += 64)
            for (uint32_t i = 0; i < 64 / LANES; i++)
                lane[i] = num_snap(f32_add(lane[i], vec_load(x + c + i * LANES)));
        float last[64] = { 0 }; /* + 0 changes no lane: a lane is never -0 */
        memcpy(last, x + c, (cols - c) * sizeof *last);
        for (uint32_t i = 0; c < cols && i < 64 / LANES; i++)
            lane[i] = num_snap(f32_add(lane[i], vec_load(last + i * LANES)));
        for (uint32_t half = 32 / LANES; half; half /= 2)
            for (uint32_t i = 0; i < half; i++)
                lane[i] = num_snap(f32_add(lane[i], lane[i + half]));
        float l[2 * LANES] = { 0 }; /* halves of one vector; what lies above the half is not used */
        for (uint32_t half = LANES / 2; half; half /= 2) {
            vec_store(l, lane[0]);
            lane[0] = num_snap(f32_add(lane[0], vec_load(l + half)));
        }
        lane[0] = num_clean(lane[0]); /* a NaN stays one until here */
        out[r] = lane[0][0];
    }
}

static void ops_rowmax(const float *x, uint32_t rows, uint32_t cols, float *out)
{
    for (uint32_t r = 0; r < rows; r++, x += cols) {
        f32 best = vec_splat_bits(x);
        uint32_t c = 0;
        for (; c + LANES <= cols; c += LANES)
            best = num_max(best, vec_load(x + c));
        float tail[2 * LANES];
        memcpy(tail, &best, sizeof best);
        uint32_t n = LANES;
        for (; c < cols; c++)
            tail[n++] = x[c];
        best = vec_splat_bits(tail);
        for (uint32_t i = 1; i < n; i++)
            best = num_max(best, vec_splat_bits(tail + i));
        memcpy(&out[r], &best, 4);
    }
}

static void ops_adam(const struct cpu_adam *x)
{
    f32 b1 = vec_splat_bits(&x->b1), b1c = vec_splat_bits(&x->b1c), b2 = vec_splat_bits(&x->b2),
        b2c = vec_splat_bits(&x->b2c);
    f32 c1 = vec_splat_bits(&x->c1), c2 = vec_splat_bits(&x->c2), lr = vec_splat_bits(&x->lr);
    f32 eps = vec_splat_bits(&x->eps), wd = vec_splat_bits(&x->wd);
    for (size_t i = 0; i < x->n; i += LANES) {
        uint32_t n = (uint32_t)QN_MIN(x->n - i, (size_t)LANES);
        bool whole = n == LANES;
        f32 g = whole ? vec_load(x->g + i) : vec_load_n(x->g + i, n);
        f32 m = whole ? vec_load(x->m + i) : vec_load_n(x->m + i, n);
        f32 v = whole ? vec_load(x->v + i) : vec_load_n(x->v + i, n);
        f32 w = whole ? vec_load(x->w + i) : vec_load_n(x->w + i, n);
        m = adam_m(m, g, b1, b1c);
        v = adam_v(v, g, b2, b2c);
        w = num_clean(adam_w(w, m, v, c1, c2, lr, eps, wd));
        m = num_clean(m);
        v = num_clean(v);
        if (whole) {
            vec_store(x->m + i, m);
            vec_store(x->v + i, v);
            vec_store(x->w + i, w);
        } else {
            vec_store_n(x->m + i, m, n);
            vec_store_n(x->v + i, v, n);
            vec_store_n(x->w + i, w, n);
        }
    }
}

static void ops_bytes(const uint8_t *src, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)src[i];
}
