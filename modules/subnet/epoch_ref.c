/* epoch_ref.c - seventeen steps over full matrices; has[i * n + j] says whether the pair is an entry, since an explicit zero is one. */
#include "modules/subnet/epoch_ref.h"

#include <string.h>

struct dense {
    uint32_t n;
    q32 *v;
    bool *has;
};

static bool dense_new(struct qn_arena *arena, uint32_t n, struct dense *ret)
{
    ret->n = n;
    ret->v = qn_arena_alloc(arena, (size_t)n * n * sizeof(q32) + 1);
    ret->has = qn_arena_alloc(arena, (size_t)n * n + 1);
    return ret->v && ret->has;
}

static void set(struct dense *m, uint32_t i, uint32_t j, q32 v)
{
    m->v[(size_t)i * m->n + j] = v;
    m->has[(size_t)i * m->n + j] = true;
}

static q32 at(const struct dense *m, uint32_t i, uint32_t j)
{
    return m->v[(size_t)i * m->n + j];
}

static bool has(const struct dense *m, uint32_t i, uint32_t j)
{
    return m->has[(size_t)i * m->n + j];
}

static void col(struct dense *m)
{
    for (uint32_t j = 0; j < m->n; j++) {
        q32 sum = 0;
        for (uint32_t i = 0; i < m->n; i++)
            sum += at(m, i, j);
        for (uint32_t i = 0; sum && i < m->n; i++)
            if (has(m, i, j)) set(m, i, j, q32_div(at(m, i, j), sum));
    }
}

/* Step 7 by its definition: try every score there is, and zero. */
static q32 consensus(const struct dense *w, const q32 *active, const q32 *s, uint32_t j, q32 m)
{
    q32 best = 0, greatest = 0, total = 0;
    bool any = false, found = false;
    for (uint32_t i = 0; i < w->n; i++) {
        if (active[i] <= 0) continue;
        total += s[i];
        greatest = any ? QN_MAX(greatest, at(w, i, j)) : at(w, i, j);
        any = true;
    }
    if (!any) return 0;
    if (m >= total) return greatest;
    for (uint32_t i = 0; i < w->n; i++) {
        q32 v = at(w, i, j), cum = 0;
        if (active[i] <= 0 || (found && v >= best)) continue;
        for (uint32_t k = 0; k < w->n; k++)
            if (active[k] > 0 && at(w, k, j) <= v) cum += s[k];
        if (cum > m) {
            best = v;
            found = true;
        }
    }
    return best;
}

static q32 clamp(q32 v, q32 lo, q32 hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static q32 liquid_rate(const struct subnet_params *p, q32 w, q32 b, q32 c)
{
    q32 k = q32_div((q32)p->steepness * Q32_ONE, -(q32)100 * Q32_ONE);
    q32 lo = q32_share(p->alpha_low), hi = q32_share(p->alpha_high);
    q32 d = clamp(w >= b ? q32_sub(w, c) : q32_sub(b, w), 0, Q32_ONE);
    q32 g = q32_div(Q32_ONE, q32_add(Q32_ONE, q32_exp(q32_mul(k, q32_sub(d, Q32_ONE / 2)))));
    return clamp(q32_add(lo, q32_mul(g, q32_sub(hi, lo))), lo, hi);
}

static uint64_t part(q32 share, uint64_t emission)
{
    return share > 0 ? (uint64_t)(((subnet_u128)(uint64_t)share * emission) >> 32) : 0;
}

qn_rc subnet_epoch_ref(const struct subnet_epoch_in *in, struct qn_arena *arena,
                       struct subnet_epoch_out *ret)
{
    const struct subnet_params *p = &in->params;
    uint32_t n = in->n;
    size_t q = n * sizeof(q32) + 1;
    struct dense w, x, wb, b, e, d;
    uint64_t *raw = qn_arena_alloc(arena, q);
    q32 *s = qn_arena_alloc(arena, q), *sum = qn_arena_alloc(arena, q), T = 0;
    *ret = (struct subnet_epoch_out){
        .stake = qn_arena_alloc(arena, q),
        .active = qn_arena_alloc(arena, q),
        .consensus = qn_arena_alloc(arena, q),
        .vtrust = qn_arena_alloc(arena, q),
        .incentive = qn_arena_alloc(arena, q),
        .dividend = qn_arena_alloc(arena, q),
        .server = qn_arena_alloc(arena, q),
        .validator = qn_arena_alloc(arena, q),
        .combined = qn_arena_alloc(arena, q),
        .permit = qn_arena_alloc(arena, n + 1),
        .bonds = qn_arena_alloc(arena, n * sizeof *ret->bonds + 1),
    };
    if (!raw || !sum || !ret->bonds || !dense_new(arena, n, &w) || !dense_new(arena, n, &x) ||
        !dense_new(arena, n, &wb) || !dense_new(arena, n, &b) || !dense_new(arena, n, &e) ||
        !dense_new(arena, n, &d))
        return QN_E_MEMORY;
    /* 1-4 */
    for (uint32_t i = 0; i < n; i++)
        raw[i] = in->stake[i] < p->min_stake && (int64_t)i != in->owner ? 0 : in->stake[i];
    subnet_stake_norm(raw, n, ret->stake);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t above = 0; /* those that a stable ascending sort puts behind i */
        for (uint32_t j = 0; j < n; j++)
            above += ret->stake[j] > ret->stake[i] || (ret->stake[j] == ret->stake[i] && j > i);
        ret->permit[i] =
            (ret->stake[i] != 0 && above < p->max_validators) || (int64_t)i == in->owner;
        bool inactive =
            (subnet_u128)in->last_update[i] + p->activity_cutoff < (subnet_u128)in->block;
        ret->active[i] = inactive || !in->permit[i] ? 0 : ret->stake[i];
    }
    q32_norm(ret->active, n);
    /* 5-6 */
    for (uint32_t i = 0; i < n; i++) {
        q32 row = 0;
        for (uint32_t c = 0; in->permit[i] && c < in->weights[i].cnt; c++) {
            uint32_t j = in->weights[i].cells[c].uid;
            if (j == i && (int64_t)i != in->owner) continue;
            if (in->last_update[i] <= in->registered[j]) continue;
            if (in->commit_block && in->commit_block[i] < in->registered[j]) continue;
            set(&w, i, j, (q32)in->weights[i].cells[c].val << 32);
            row += at(&w, i, j);
        }
        for (uint32_t j = 0; row && j < n; j++)
            if (has(&w, i, j)) set(&w, i, j, q32_div(at(&w, i, j), row));
    }
    /* 7 */
    for (uint32_t i = 0; i < n; i++)
        s[i] = QN_MAX(ret->active[i], (q32)0);
    q32_norm(s, n);
    for (uint32_t i = 0; i < n; i++)
        T += s[i];
    for (uint32_t j = 0; j < n; j++)
        ret->consensus[j] = consensus(&w, ret->active, s, j, q32_sub(T, q32_share(p->kappa)));
    /* 8-10 */
    q32 beta = q32_share(p->bonds_penalty);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) {
            if (!has(&w, i, j)) continue;
            q32 v = at(&w, i, j), c = ret->consensus[j], clip = QN_MIN(v, c);
            bool gone = c == 0 && v > 0;
            if (!gone) set(&x, i, j, clip);
            ret->vtrust[i] += gone ? 0 : clip;
            q32 mixed = q32_add(v, q32_mul(beta, q32_sub(gone ? 0 : clip, v)));
            if (beta == 0)
                set(&wb, i, j, v);
            else if (beta == Q32_ONE && !gone)
                set(&wb, i, j, clip);
            else if (beta != Q32_ONE && mixed > 0)
                set(&wb, i, j, mixed);
        }
    }
    for (uint32_t j = 0; j < n; j++)
        for (uint32_t i = 0; i < n; i++)
            ret->incentive[j] = q32_add(ret->incentive[j], q32_mul(ret->active[i], at(&x, i, j)));
    q32_norm(ret->incentive, n);
    /* 11 */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < in->bonds[i].cnt; c++) {
            uint32_t j = in->bonds[i].cells[c].uid;
            uint16_t v = in->bonds[i].cells[c].val;
            if (in->registered[j] < in->last_tempo)
                set(&b, i, j, p->yuma3 ? QN_MIN(Q32_ONE, q32_share(v)) : (q32)v << 32);
        }
    /* 12-15 */
    q32 alpha = Q32_ONE - q32_div((q32)p->bonds_moving_average << 32, (q32)1000000 << 32);
    bool liquid = false;
    for (uint32_t j = 0; j < n; j++)
        liquid |= p->yuma3 && p->liquid_alpha && ret->consensus[j] != 0;
    if (!p->yuma3) {
        col(&b);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++)
                if (has(&wb, i, j)) set(&wb, i, j, q32_mul(at(&wb, i, j), ret->active[i]));
        col(&wb);
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            q32 v = at(&wb, i, j), old = at(&b, i, j), a = alpha;
            if (liquid && !has(&wb, i, j)) continue;
            if (liquid) a = liquid_rate(p, v, old, ret->consensus[j]);
            q32 mix = q32_add(q32_mul(a, v), q32_mul(Q32_ONE - a, old));
            if (liquid) mix = QN_MIN(Q32_ONE, mix);
            if (mix > 0) set(&e, i, j, mix);
        }
    memcpy(d.v, e.v, (size_t)n * n * sizeof(q32));
    memcpy(d.has, e.has, (size_t)n * n);
    col(&d);
    for (uint32_t i = 0; i < n; i++) {
        q32 v = 0;
        for (uint32_t j = 0; j < n; j++)
            v = q32_add(v, q32_mul(ret->incentive[j], at(&d, i, j)));
        ret->dividend[i] = p->yuma3 ? q32_mul(v, ret->active[i]) : v;
    }
    q32_norm(ret->dividend, n);
    /* 16 */
    for (uint32_t j = 0; j < n; j++) {
        sum[j] = 0;
        for (uint32_t i = 0; i < n; i++)
            sum[j] = QN_MAX(sum[j], at(&d, i, j));
    }
    for (uint32_t i = 0; i < n; i++) {
        struct subnet_row *row = &ret->bonds[i];
        row->cells = qn_arena_alloc(arena, n * sizeof *row->cells + 1);
        if (!row->cells) return QN_E_MEMORY;
        for (uint32_t j = 0; ret->permit[i] && j < n; j++)
            if (has(&e, i, j))
                row->cells[row->cnt++] = (struct subnet_cell){
                    j, q32_u16(p->yuma3 ? at(&e, i, j) : q32_div(at(&d, i, j), sum[j]))
                };
    }
    /* 17 */
    q32 z = 0, a = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum[i] = ret->incentive[i] + ret->dividend[i];
        z += sum[i];
        a += ret->active[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        q32 both = z ? q32_div(sum[i], z) : a ? ret->active[i] : ret->stake[i];
        ret->combined[i] = part(both, in->emission);
        ret->server[i] = z ? part(q32_div(ret->incentive[i], z), in->emission) : 0;
        ret->validator[i] = z ? part(q32_div(ret->dividend[i], z), in->emission) : ret->combined[i];
    }
    return QN_OK;
}
