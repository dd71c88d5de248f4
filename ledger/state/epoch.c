/* epoch.c - epochs by block time, and the validator sets that serve them. stake.h says when a set changes, and why then. */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

/* One that may be elected. */
struct candidate {
    struct qn_hash id, key;
    uint64_t stake;
};

static struct qn_span set_key(uint32_t epoch, uint8_t dst[4])
{
    for (int i = 0; i < 4; i++)
        dst[i] = (uint8_t)(epoch >> (24 - 8 * i));
    return QN_SPAN(dst, 4);
}

struct qn_epoch qn_epoch_get(const struct qn_view *view)
{
    struct qn_arena arena = { 0 };
    struct qn_epoch e = { 0 };
    qn_rc rc =
        qn_view_rec(view, QN_TABLE_META, QN_SPAN_STR("epoch"), qn_epoch_record(), &arena, &e);
    QN_ASSERT(rc == QN_OK);
    qn_arena_free(&arena);
    return e;
}

static void epoch_put(struct qn_apply *ap, const struct qn_epoch *e)
{
    qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("epoch"), qn_epoch_record(), e);
}

static void set_put(struct qn_apply *ap, const struct qn_set *set)
{
    uint8_t key[4];
    struct qn_set_row row = { 0 };
    row.members.cnt = set->cnt;
    row.members.ptr = qn_arena_alloc(ap->arena, (set->cnt + 1) * sizeof *row.members.ptr);
    QN_ASSERT(row.members.ptr != NULL);
    for (uint32_t i = 0; i < set->cnt; i++)
        row.members.ptr[i] = (struct qn_set_member){ set->keys[i], set->weights[i] };
    qn_row_put_rec(ap, QN_TABLE_SET, set_key(set->epoch, key), qn_set_row_record(), &row);
}

static void set_get(const struct qn_view *view, uint32_t epoch, uint32_t fast_ppm,
                    struct qn_set *ret)
{
    struct qn_arena arena = { 0 };
    struct qn_set_row row = { 0 };
    uint8_t key[4];
    qn_rc rc =
        qn_view_rec(view, QN_TABLE_SET, set_key(epoch, key), qn_set_row_record(), &arena, &row);
    QN_ASSERT(rc == QN_OK && row.members.cnt >= 1 && row.members.cnt <= QN_SET_MAX);
    *ret = (struct qn_set){ .epoch = epoch, .cnt = row.members.cnt, .fast_ppm = fast_ppm };
    for (uint32_t i = 0; i < ret->cnt; i++) {
        ret->keys[i] = row.members.ptr[i].key;
        ret->weights[i] = row.members.ptr[i].weight;
    }
    qn_arena_free(&arena);
}

void qn_stake_set(const struct qn_view *view, struct qn_stake_sets *ret)
{
    struct qn_epoch e = qn_epoch_get(view);
    ret->last = e.last;
    ret->ends_ms = e.began_ms + qn_param(view, QN_PARAM_epoch_ms);
    set_get(view, e.epoch + e.last, e.fast_ppm, &ret->now);
    set_get(view, e.epoch + e.last + 1, e.fast_ppm, &ret->next);
}

bool qn_stake_past(const struct qn_view *view, uint32_t epoch, struct qn_set *ret)
{
    struct qn_span val;
    uint8_t key[4];
    if (!qn_view_get(view, QN_TABLE_SET, set_key(epoch, key), &val)) return false;
    set_get(view, epoch, qn_epoch_get(view).fast_ppm, ret);
    return true;
}

/* --- election -------------------------------------------------------------------------------------------- */

static int by_stake(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->stake != y->stake) return x->stake < y->stake ? 1 : -1;
    return qn_hash_cmp(&x->id, &y->id); /* no two are equal: any sort gives this order */
}

static bool eligible(const struct qn_view *view, const struct qn_hash *id,
                     const struct qn_validator *v)
{
    return !v->barred && v->jailed_ms == 0 && v->stake.uqn &&
           qn_stake_of(view, id, v, &v->owner).uqn >= qn_param(view, QN_PARAM_bond_min);
}

/* Fills set from the stake as it stands; false when there is not enough of it. */
static bool elect(struct qn_apply *ap, struct qn_epoch *e, struct qn_set *set)
{
    struct qn_span key, val, after = { NULL, 0 };
    struct candidate *list = NULL, c;
    size_t cnt = 0, cap = 0;
    uint64_t all = 0;
    while (qn_view_next(ap->view, QN_TABLE_VALIDATOR, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_arena arena = { 0 }; /* thousands of rows: one at a time */
        struct qn_validator v;
        memcpy(c.id.b, key.ptr, 32);
        after = QN_SPAN(c.id.b, 32);
        QN_ASSERT(qn_stake_get(ap->view, &c.id, &arena, &v) == QN_OK);
        if (eligible(ap->view, &c.id, &v)) {
            if (cnt == cap) {
                cap = QN_MAX(cap * 2, (size_t)64);
                list = realloc(list, cap * sizeof *list);
                QN_ASSERT(list != NULL);
            }
            list[cnt++] = (struct candidate){ c.id, v.key, v.stake.uqn };
            all += v.stake.uqn; /* at most the supply */
        }
        qn_arena_free(&arena);
    }
    e->staked |= cnt != 0 && all >= qn_param(ap->view, QN_PARAM_stake_floor);
    bool enough = e->staked && cnt != 0;
    if (enough) {
        qsort(list, cnt, sizeof *list, by_stake);
        set->cnt = (uint32_t)QN_MIN(cnt, (size_t)qn_param(ap->view, QN_PARAM_set_max));
        for (uint32_t i = 0; i < set->cnt; i++) {
            set->keys[i] = list[i].key;
            set->weights[i] = list[i].stake;
        }
        qn_set_cap(set->weights, set->cnt);
    }
    free(list);
    return enough;
}

/* --- through the blocks ------------------------------------------------------------------------------------ */

void qn_epoch_genesis(struct qn_apply *ap, const struct qn_genesis *genesis)
{
    struct qn_set set;
    struct qn_epoch e = { .began_ms = ap->now_ms,
                          .staked = genesis->bonds.cnt != 0,
                          .fast_ppm = genesis->fast_ppm };
    QN_ASSERT(qn_set_genesis(genesis, &set, NULL) == QN_OK); /* the opener's to check */
    set_put(ap, &set);
    set.epoch = 1;
    set_put(ap, &set);
    epoch_put(ap, &e);
}

void qn_epoch_begin(struct qn_apply *ap)
{
    struct qn_epoch e = qn_epoch_get(ap->view);
    uint8_t key[4];
    if (!e.last) return;
    if (e.epoch) qn_row_del(ap, QN_TABLE_SET, set_key(e.epoch - 1, key));
    e.epoch++;
    e.last = false;
    epoch_put(ap, &e);
}

void qn_epoch_end(struct qn_apply *ap)
{
    struct qn_epoch e = qn_epoch_get(ap->view);
    struct qn_set set;
    if (ap->now_ms < e.began_ms + qn_param(ap->view, QN_PARAM_epoch_ms)) return;
    set_get(ap->view, e.epoch + 1, e.fast_ppm, &set); /* stays, if nobody may be elected */
    bool elected = elect(ap, &e, &set);
    QN_ASSERT(elected || set.epoch == e.epoch + 1);
    set.epoch = e.epoch + 2;
    set_put(ap, &set);
    e.last = true;
    e.began_ms = ap->now_ms;
    epoch_put(ap, &e);
    struct qn_hash hash = qn_set_hash(&set);
    qn_emit(ap, "epoch.ended", &hash, qn_epoch_record(), &e);
}
