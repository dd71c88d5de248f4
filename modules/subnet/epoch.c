/* epoch.c - the seventeen steps. Work is per cell of the sparse rows; columns are walked through an index built once. */
#include "modules/subnet/epoch.h"

#include <stdlib.h>
#include <string.h>

/* --- parts ------------------------------------------------------------------------------------------------------- */

struct scored {
    q32 score, stake;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return x->score < y->score ? -1 : x->score > y->score;
}

/* A column has an entry for each validator, mostly few: by hand without calls, and without the memory that qsort takes. */
static void sort_scores(struct scored *list, size_t cnt)
{
    if (cnt > 128) {
        qsort(list, cnt, sizeof *list, by_score);
        return;
    }
    for (size_t i = 1; i < cnt; i++) {
        struct scored one = list[i];
        size_t at = i;
        for (; at && list[at - 1].score > one.score; at--)
            list[at] = list[at - 1];
        list[at] = one;
    }
}

static q32 median_of(struct scored *list, size_t cnt, q32 minority)
{
    q32 cum = 0;
    if (cnt == 0) return 0;
    sort_scores(list, cnt);
    for (size_t i = 0; i < cnt; i++) {
        cum += list[i].stake;
        if (i + 1 < cnt && list[i + 1].score == list[i].score) continue;
        if (cum > minority) return list[i].score;
    }
    return list[cnt - 1].score;
}

q32 subnet_median(const q32 *stake, const q32 *score, size_t cnt, q32 minority)
{
    struct scored *list = malloc((cnt + 1) * sizeof *list);
    QN_ASSERT(list != NULL);
    for (size_t i = 0; i < cnt; i++)
        list[i] = (struct scored){ score[i], stake[i] };
    q32 ret = median_of(list, cnt, minority);
    free(list);
    return ret;
}

void subnet_topk(const q32 *v, size_t cnt, size_t k, uint32_t *scratch, bool *ret)
{
    for (size_t i = 0; i < cnt; i++)
        scratch[i] = (uint32_t)i;
    /* Insertion by (value, index) through binary search: stable, and n is at most a few thousand. */
    for (size_t i = 1; i < cnt; i++) {
        uint32_t at = scratch[i];
        size_t lo = 0, hi = i;
        while (lo < hi) {
            size_t mid = (lo + hi) / 2;
            if (v[scratch[mid]] <= v[at])
                lo = mid + 1;
            else
                hi = mid;
        }
        memmove(scratch + lo + 1, scratch + lo, (i - lo) * sizeof *scratch);
        scratch[lo] = at;
    }
    for (size_t i = 0; i < cnt; i++)
        ret[scratch[i]] = cnt <= k || i >= cnt - k;
}

void subnet_stake_norm(const uint64_t *stake, size_t cnt, q32 *ret)
{
    subnet_u128 sum = 0;
    for (size_t i = 0; i < cnt; i++)
        sum += stake[i];
    for (size_t i = 0; i < cnt; i++)
        ret[i] = sum ? (q32)((((subnet_u128)stake[i] << 64) / sum) >> 32) : 0;
}

q32 subnet_burn_factor(uint32_t half_life)
{
    q32 lo = 0, hi = Q32_ONE;
    while (hi - lo > 1) {
        q32 mid = lo + (hi - lo) / 2, pow = Q32_ONE, base = mid;
        for (uint32_t e = half_life; e; e >>= 1) {
            if (e & 1) pow = q32_mul(pow, base);
            base = q32_mul(base, base);
        }
        if (pow <= Q32_ONE / 2)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* --- sparse rows --------------------------------------------------------------------------------------------------- */

struct entry {
    uint32_t uid;
    q32 val;
};

struct sparse {
    uint32_t cnt;
    struct entry *e;
};

static struct sparse *rows_new(struct qn_arena *arena, uint32_t n)
{
    return qn_arena_alloc(arena, n * sizeof(struct sparse) + 1);
}

static bool row_room(struct qn_arena *arena, struct sparse *row, uint32_t cnt)
{
    row->cnt = 0;
    row->e = qn_arena_alloc(arena, cnt * sizeof *row->e + 1);
    return row->e != NULL;
}

static void row_add(struct sparse *row, uint32_t uid, q32 val)
{
    row->e[row->cnt++] = (struct entry){ uid, val };
}

/* Each entry divided by its column's sum. */
static void col_norm(struct sparse *rows, uint32_t n, q32 *sums)
{
    memset(sums, 0, n * sizeof *sums);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < rows[i].cnt; k++)
            sums[rows[i].e[k].uid] += rows[i].e[k].val;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < rows[i].cnt; k++)
            if (sums[rows[i].e[k].uid])
                rows[i].e[k].val = q32_div(rows[i].e[k].val, sums[rows[i].e[k].uid]);
}

/* alpha * fresh + (1 - alpha) * old over the union of entries; what is not above zero goes. */
static bool ema(const struct sparse *fresh, const struct sparse *old, q32 alpha, struct sparse *ret,
                struct qn_arena *arena)
{
    if (!row_room(arena, ret, fresh->cnt + old->cnt)) return false;
    for (uint32_t a = 0, b = 0; a < fresh->cnt || b < old->cnt;) {
        uint32_t ua = a < fresh->cnt ? fresh->e[a].uid : UINT32_MAX,
                 ub = b < old->cnt ? old->e[b].uid : UINT32_MAX;
        uint32_t uid = QN_MIN(ua, ub);
        q32 val = q32_add(ua == uid ? q32_mul(alpha, fresh->e[a].val) : 0,
                          ub == uid ? q32_mul(Q32_ONE - alpha, old->e[b].val) : 0);
        a += ua == uid;
        b += ub == uid;
        if (val > 0) row_add(ret, uid, val);
    }
    return true;
}

static q32 clamp(q32 x, q32 lo, q32 hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Step 15: a rate of its own for each pair; only pairs with a weight are kept. */
static bool liquid(const struct subnet_params *p, const struct sparse *wb, const struct sparse *old,
                   const q32 *consensus, struct sparse *ret, struct qn_arena *arena)
{
    q32 k = q32_div((q32)p->steepness * Q32_ONE, (q32)-100 * Q32_ONE), lo = q32_share(p->alpha_low),
        hi = q32_share(p->alpha_high);
    if (!row_room(arena, ret, wb->cnt)) return false;
    for (uint32_t a = 0, b = 0; a < wb->cnt; a++) {
        uint32_t uid = wb->e[a].uid;
        while (b < old->cnt && old->e[b].uid < uid)
            b++;
        q32 w = wb->e[a].val, bond = b < old->cnt && old->e[b].uid == uid ? old->e[b].val : 0;
        q32 d = clamp(w >= bond ? q32_sub(w, consensus[uid]) : q32_sub(bond, w), 0, Q32_ONE);
        q32 g = q32_div(Q32_ONE, q32_add(Q32_ONE, q32_exp(q32_mul(k, d - Q32_ONE / 2))));
        q32 alpha = clamp(q32_add(lo, q32_mul(g, q32_sub(hi, lo))), lo, hi);
        q32 val = q32_add(q32_mul(Q32_ONE - alpha, bond), q32_mul(alpha, w));
        if (val > Q32_ONE) val = Q32_ONE;
        if (val > 0) row_add(ret, uid, val);
    }
    return true;
}

/* --- the epoch ------------------------------------------------------------------------------------------------------ */

struct work {
    const struct subnet_epoch_in *in;
    struct qn_arena *arena;
    struct subnet_epoch_out *out;
    uint32_t n;
    bool *inactive;
    struct sparse *w, *x, *wb, *b, *e;
    q32 *tmp;
};

static bool is_owner(const struct work *k, uint32_t uid)
{
    return k->in->owner >= 0 && (uint64_t)k->in->owner == uid;
}

/* Steps 1-4: who is active, whose stake counts, who validates next. */
static bool stakes(struct work *k)
{
    const struct subnet_epoch_in *in = k->in;
    struct subnet_epoch_out *out = k->out;
    uint64_t *raw = qn_arena_alloc(k->arena, k->n * sizeof *raw + 1);
    uint32_t *order = qn_arena_alloc(k->arena, k->n * sizeof *order + 1);
    if (!raw || !order) return false;
    for (uint32_t i = 0; i < k->n; i++) {
        uint64_t until;
        k->inactive[i] =
            !__builtin_add_overflow(in->last_update[i], in->params.activity_cutoff, &until) &&
            until < in->block;
        raw[i] = in->stake[i] < in->params.min_stake && !is_owner(k, i) ? 0 : in->stake[i];
    }
    subnet_stake_norm(raw, k->n, out->stake);
    subnet_topk(out->stake, k->n, in->params.max_validators, order, out->permit);
    for (uint32_t i = 0; i < k->n; i++) {
        out->permit[i] = (out->permit[i] && out->stake[i] != 0) || is_owner(k, i);
        out->active[i] = k->inactive[i] || !in->permit[i] ? 0 : out->stake[i];
    }
    q32_norm(out->active, k->n);
    return true;
}

/* Steps 5-6: masks, then each row as shares of what is left. */
static bool shares(struct work *k)
{
    const struct subnet_epoch_in *in = k->in;
    for (uint32_t i = 0; i < k->n; i++) {
        const struct subnet_row *row = &in->weights[i];
        q32 sum = 0;
        if (!row_room(k->arena, &k->w[i], row->cnt)) return false;
        for (uint32_t c = 0; in->permit[i] && c < row->cnt; c++) {
            uint32_t j = row->cells[c].uid;
            if (j == i && !is_owner(k, i)) continue;
            if (in->last_update[i] <= in->registered[j]) continue;
            if (in->commit_block && in->commit_block[i] < in->registered[j]) continue;
            row_add(&k->w[i], j, (q32)row->cells[c].val << 32);
            sum += (q32)row->cells[c].val << 32;
        }
        /* Both are whole numbers, so that (W << 32) / sum in 64 bits is q32_div of them. */
        for (uint32_t c = 0; sum && c < k->w[i].cnt; c++)
            k->w[i].e[c].val = (q32)((uint64_t)k->w[i].e[c].val / (uint64_t)(sum >> 32));
    }
    return true;
}

/* Step 7: for each column the smallest score that more than the minority stands behind; an absent entry is a zero. */
static bool consensus(struct work *k)
{
    struct subnet_epoch_out *out = k->out;
    uint32_t rows = 0;
    size_t cells = 0;
    q32 *s = qn_arena_alloc(k->arena, k->n * sizeof *s + 1), total = 0;
    for (uint32_t i = 0; i < k->n; i++) {
        rows += out->active[i] > 0;
        cells += out->active[i] > 0 ? k->w[i].cnt : 0;
    }
    struct scored *list = qn_arena_alloc(k->arena, (cells + 1) * sizeof *list);
    size_t *begin = qn_arena_alloc(k->arena, (k->n + 2) * sizeof *begin);
    struct scored *col = qn_arena_alloc(k->arena, (rows + 2) * sizeof *col);
    if (!s || !list || !begin || !col) return false;
    for (uint32_t i = 0; i < k->n; i++)
        s[i] = out->active[i] > 0 ? out->active[i] : 0;
    q32_norm(s, k->n);
    for (uint32_t i = 0; i < k->n; i++)
        total += s[i];
    for (uint32_t i = 0; i < k->n; i++) /* count, then place: columns in one array */
        for (uint32_t c = 0; out->active[i] > 0 && c < k->w[i].cnt; c++)
            begin[k->w[i].e[c].uid + 2]++;
    for (uint32_t j = 2; j < k->n + 2; j++)
        begin[j] += begin[j - 1];
    for (uint32_t i = 0; i < k->n; i++)
        for (uint32_t c = 0; out->active[i] > 0 && c < k->w[i].cnt; c++)
            list[begin[k->w[i].e[c].uid + 1]++] = (struct scored){ k->w[i].e[c].val, s[i] };
    q32 minority = q32_sub(total, q32_share(k->in->params.kappa));
    for (uint32_t j = 0; j < k->n; j++) {
        size_t cnt = begin[j + 1] - begin[j];
        q32 given = 0;
        memcpy(col, list + begin[j], cnt * sizeof *col);
        for (size_t c = 0; c < cnt; c++)
            given += col[c].stake;
        if (rows > cnt) col[cnt++] = (struct scored){ 0, total - given };
        out->consensus[j] = 0;
        if (rows == 0) continue;
        if (minority < 0) { /* every score qualifies: the minimum */
            q32 least = INT64_MAX;
            for (size_t c = 0; c < cnt; c++)
                least = QN_MIN(least, col[c].score);
            out->consensus[j] = least;
        } else {
            out->consensus[j] = median_of(col, cnt, minority);
        }
    }
    return true;
}

/* Steps 8-10: clip to the consensus, trust, incentive, and the weights that bonds follow. */
static bool clip(struct work *k)
{
    struct subnet_epoch_out *out = k->out;
    q32 beta = q32_share(k->in->params.bonds_penalty);
    memset(out->incentive, 0, k->n * sizeof(q32));
    for (uint32_t i = 0; i < k->n; i++) {
        struct sparse *w = &k->w[i];
        if (!row_room(k->arena, &k->x[i], w->cnt) || !row_room(k->arena, &k->wb[i], w->cnt))
            return false;
        out->vtrust[i] = 0;
        for (uint32_t c = 0; c < w->cnt; c++) {
            uint32_t j = w->e[c].uid;
            q32 v = w->e[c].val, cut = QN_MIN(v, out->consensus[j]);
            bool gone = out->consensus[j] == 0 && v > 0;
            if (!gone) {
                row_add(&k->x[i], j, cut);
                out->vtrust[i] += cut;
                out->incentive[j] = q32_add(out->incentive[j], q32_mul(out->active[i], cut));
            }
            q32 wb = beta == 0         ? v
                     : beta == Q32_ONE ? (gone ? 0 : cut)
                                       : q32_add(v, q32_mul(beta, q32_sub(gone ? 0 : cut, v)));
            bool keep = beta == 0 ? true : beta == Q32_ONE ? !gone : wb > 0;
            if (keep) row_add(&k->wb[i], j, wb);
        }
    }
    q32_norm(out->incentive, k->n);
    return true;
}

/* Steps 11-16: bonds move towards the weights; dividends; what is stored. */
static bool bonds(struct work *k)
{
    const struct subnet_epoch_in *in = k->in;
    struct subnet_epoch_out *out = k->out;
    const struct subnet_params *p = &in->params;
    q32 alpha =
        q32_sub(Q32_ONE, q32_div((q32)p->bonds_moving_average * Q32_ONE, (q32)1000000 * Q32_ONE));
    bool liquid_on = false;
    for (uint32_t j = 0; j < k->n; j++)
        liquid_on |= p->yuma3 && p->liquid_alpha && out->consensus[j] != 0;
    for (uint32_t i = 0; i < k->n; i++) {
        const struct subnet_row *row = &in->bonds[i];
        if (!row_room(k->arena, &k->b[i], row->cnt)) return false;
        for (uint32_t c = 0; c < row->cnt; c++) {
            uint32_t j = row->cells[c].uid;
            if (in->registered[j] >= in->last_tempo) continue; /* a newcomer inherits nothing */
            q32 val = p->yuma3 ? QN_MIN(Q32_ONE, q32_share(row->cells[c].val))
                               : (q32)row->cells[c].val << 32;
            row_add(&k->b[i], j, val);
        }
    }
    struct sparse *target = k->wb;
    if (!p->yuma3) {
        col_norm(k->b, k->n, k->tmp);
        target = rows_new(k->arena, k->n);
        if (!target) return false;
        for (uint32_t i = 0; i < k->n; i++) {
            if (!row_room(k->arena, &target[i], k->wb[i].cnt)) return false;
            for (uint32_t c = 0; c < k->wb[i].cnt; c++)
                row_add(&target[i], k->wb[i].e[c].uid, q32_mul(k->wb[i].e[c].val, out->active[i]));
        }
        col_norm(target, k->n, k->tmp);
    }
    for (uint32_t i = 0; i < k->n; i++) {
        bool ok = liquid_on ? liquid(p, &target[i], &k->b[i], out->consensus, &k->e[i], k->arena)
                            : ema(&target[i], &k->b[i], alpha, &k->e[i], k->arena);
        if (!ok) return false;
    }
    struct sparse *col = rows_new(k->arena, k->n);
    if (!col) return false;
    for (uint32_t i = 0; i < k->n; i++) {
        col[i].cnt = k->e[i].cnt;
        col[i].e = qn_arena_copy(k->arena, k->e[i].e, k->e[i].cnt * sizeof(struct entry));
        if (!col[i].e) return false;
    }
    col_norm(col, k->n, k->tmp);
    for (uint32_t i = 0; i < k->n; i++) {
        q32 sum = 0;
        for (uint32_t c = 0; c < col[i].cnt; c++)
            sum = q32_add(sum, q32_mul(out->incentive[col[i].e[c].uid], col[i].e[c].val));
        out->dividend[i] = p->yuma3 ? q32_mul(sum, out->active[i]) : sum;
    }
    q32_norm(out->dividend, k->n);
    memset(k->tmp, 0, k->n * sizeof(q32)); /* greatest of each column */
    for (uint32_t i = 0; i < k->n; i++)
        for (uint32_t c = 0; c < col[i].cnt; c++)
            k->tmp[col[i].e[c].uid] = QN_MAX(k->tmp[col[i].e[c].uid], col[i].e[c].val);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sparse *from = p->yuma3 ? &k->e[i] : &col[i];
        out->bonds[i] = (struct subnet_row){ 0 };
        if (!out->permit[i]) continue;
        out->bonds[i].cells = qn_arena_alloc(k->arena, from->cnt * sizeof(struct subnet_cell) + 1);
        if (!out->bonds[i].cells) return false;
        for (uint32_t c = 0; c < from->cnt; c++) {
            q32 val = p->yuma3 ? from->e[c].val : q32_div(from->e[c].val, k->tmp[from->e[c].uid]);
            out->bonds[i].cells[out->bonds[i].cnt++] =
                (struct subnet_cell){ from->e[c].uid, q32_u16(val) };
        }
    }
    return true;
}

static uint64_t portion(q32 share, uint64_t emission)
{
    return share <= 0 ? 0 : (uint64_t)(((subnet_u128)(uint64_t)share * emission) >> 32);
}

/* Step 17: shares of the emission. */
static void emissions(struct work *k)
{
    struct subnet_epoch_out *out = k->out;
    q32 z = 0, both = 0, active = 0;
    for (uint32_t i = 0; i < k->n; i++) {
        z += out->incentive[i] + out->dividend[i];
        active += out->active[i];
    }
    for (uint32_t i = 0; i < k->n; i++) {
        k->tmp[i] = out->incentive[i] + out->dividend[i];
        both += k->tmp[i];
    }
    if (both == 0)
        memcpy(k->tmp, active ? out->active : out->stake, k->n * sizeof(q32));
    else
        q32_norm(k->tmp, k->n);
    for (uint32_t i = 0; i < k->n; i++) {
        out->combined[i] = portion(k->tmp[i], k->in->emission);
        out->server[i] = z ? portion(q32_div(out->incentive[i], z), k->in->emission) : 0;
        out->validator[i] =
            z ? portion(q32_div(out->dividend[i], z), k->in->emission) : out->combined[i];
    }
}

qn_rc subnet_epoch(const struct subnet_epoch_in *in, struct qn_arena *arena,
                   struct subnet_epoch_out *ret)
{
    QN_ASSERT(in->n <= SUBNET_UIDS_MAX);
    size_t n = in->n;
    struct work k = { .in = in, .arena = arena, .out = ret, .n = in->n };
    q32 **const arrays[] = { &ret->stake,     &ret->active,   &ret->consensus, &ret->vtrust,
                             &ret->incentive, &ret->dividend, &k.tmp };
    uint64_t **const shared[] = { &ret->server, &ret->validator, &ret->combined };
    struct sparse **const rows[] = { &k.w, &k.x, &k.wb, &k.b, &k.e };
    *ret = (struct subnet_epoch_out){ 0 };
    for (size_t i = 0; i < QN_COUNT(arrays); i++)
        if (!(*arrays[i] = qn_arena_alloc(arena, n * sizeof(q32) + 1))) return QN_E_MEMORY;
    for (size_t i = 0; i < QN_COUNT(shared); i++)
        if (!(*shared[i] = qn_arena_alloc(arena, n * sizeof(uint64_t) + 1))) return QN_E_MEMORY;
    for (size_t i = 0; i < QN_COUNT(rows); i++)
        if (!(*rows[i] = rows_new(arena, in->n))) return QN_E_MEMORY;
    ret->permit = qn_arena_alloc(arena, n + 1);
    ret->bonds = qn_arena_alloc(arena, n * sizeof *ret->bonds + 1);
    k.inactive = qn_arena_alloc(arena, n + 1);
    if (!ret->permit || !ret->bonds || !k.inactive) return QN_E_MEMORY;
    if (!stakes(&k) || !shares(&k) || !consensus(&k) || !clip(&k) || !bonds(&k)) return QN_E_MEMORY;
    emissions(&k);
    return QN_OK;
}
