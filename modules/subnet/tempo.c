/* tempo.c - the end of an epoch on the ledger: rows in, the kernel, emission out of the pool, rows back. */
#include "modules/subnet/subnet.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define PPM       1000000u
#define OWNER_PPM 180000u /* the rest is shared by miners and validators as 41 to 41 */
#define PAST_KEPT 64      /* epochs whose beacon and root stay on the ledger */

static void cells_get(const struct qn_view *view, uint8_t table, const struct qn_hash *sid,
                      uint32_t uid, struct qn_arena *arena, struct subnet_row *ret)
{
    struct subnet_cells cells;
    struct subnet_key key = subnet_key_uid(sid, uid);
    *ret = (struct subnet_row){ 0 };
    if (qn_view_rec(view, table, subnet_key_span(&key), subnet_cells_record(), arena, &cells))
        return;
    QN_ASSERT(cells.uids.cnt == cells.vals.cnt);
    ret->cells = qn_arena_alloc(arena, cells.uids.cnt * sizeof *ret->cells + 1);
    QN_ASSERT(ret->cells != NULL);
    for (uint32_t i = 0; i < cells.uids.cnt; i++)
        ret->cells[ret->cnt++] =
            (struct subnet_cell){ cells.uids.ptr[i], (uint16_t)cells.vals.ptr[i] };
}

void subnet_input(const struct qn_view *view, const struct qn_hash *sid,
                  const struct subnet_state *s, uint64_t emission, struct qn_arena *arena,
                  struct subnet_epoch_in *ret)
{
    const struct subnet_rules *r = &s->rules;
    size_t len = s->n * sizeof(uint64_t) + 1;
    uint64_t *stake = qn_arena_alloc(arena, len), *update = qn_arena_alloc(arena, len),
             *since = qn_arena_alloc(arena, len), *commit = qn_arena_alloc(arena, len);
    bool *permit = qn_arena_alloc(arena, s->n + 1u);
    struct subnet_row *rows = qn_arena_alloc(arena, s->n * sizeof *rows + 1),
                      *bonds = qn_arena_alloc(arena, s->n * sizeof *bonds + 1);
    uint64_t now_ms = qn_view_now_ms(view);
    QN_ASSERT(stake && update && since && commit && permit && rows && bonds);
    *ret = (struct subnet_epoch_in){
        .n = s->n,
        .block = now_ms,
        .last_tempo = s->paid_ms ? s->paid_ms + 1 : now_ms - QN_MIN(now_ms, (uint64_t)r->tempo_ms),
        .emission = emission,
        .stake = stake,
        .last_update = update,
        .registered = since,
        .commit_block = r->hidden ? commit : NULL,
        .permit = permit,
        .weights = rows,
        .bonds = bonds,
        .owner = -1,
        .params = { .kappa = r->kappa,
                    .bonds_penalty = r->penalty,
                    .alpha_low = r->alpha_low,
                    .alpha_high = r->alpha_high,
                    .steepness = 1000,
                    .bonds_moving_average = r->moving_average,
                    .max_validators = r->validators,
                    .activity_cutoff = r->cutoff_ms,
                    .min_stake = r->min_stake.uqn,
                    .yuma3 = true,
                    .liquid_alpha = r->liquid },
    };
    for (uint32_t i = 0; i < s->n; i++) {
        struct subnet_seat seat;
        struct subnet_commit c;
        subnet_seat_get(view, sid, i, arena, &seat);
        stake[i] = subnet_bonded(view, sid, &seat.hotkey);
        update[i] = seat.update_ms;
        since[i] = seat.since_ms;
        permit[i] = seat.permit;
        commit[i] = UINT64_MAX;
        if (subnet_commit_get(view, sid, s->epoch, &seat.hotkey, &c)) commit[i] = c.at_ms;
        if (qn_hash_eq(&seat.hotkey, &s->owner)) ret->owner = i;
        cells_get(view, SUBNET_T_ROW, sid, i, arena, &rows[i]);
        cells_get(view, SUBNET_T_BOND, sid, i, arena, &bonds[i]);
    }
}

static void bond_save(struct qn_apply *ap, const struct qn_hash *sid, uint32_t uid,
                      const struct subnet_row *row, struct qn_arena *arena, struct qn_buf *digest)
{
    struct subnet_key key = subnet_key_uid(sid, uid);
    uint32_t *uids = qn_arena_alloc(arena, row->cnt * sizeof *uids + 1),
             *vals = qn_arena_alloc(arena, row->cnt * sizeof *vals + 1);
    QN_ASSERT(uids && vals);
    for (uint32_t c = 0; c < row->cnt; c++) {
        uids[c] = row->cells[c].uid;
        vals[c] = row->cells[c].val;
        qn_buf_u32(digest, uids[c]);
        qn_buf_u32(digest, vals[c]);
    }
    struct subnet_cells cells = { .uids = { row->cnt, uids }, .vals = { row->cnt, vals } };
    if (row->cnt)
        qn_row_put_rec(ap, SUBNET_T_BOND, subnet_key_span(&key), subnet_cells_record(), &cells);
    else
        qn_row_del(ap, SUBNET_T_BOND, subnet_key_span(&key));
}

/* Moves what the kernel gave to each seat; returns the sum. */
static uint64_t pay(struct qn_apply *ap, const struct qn_hash *to, uint64_t uqn)
{
    const struct qn_hash zero = { { 0 } };
    const struct qn_hash pool = qn_acct_module(0, "subnets", &zero);
    qn_rc rc = qn_post(ap, &pool, to, QN_UQN(uqn), NULL);
    QN_ASSERT(rc == QN_OK); /* a subnet's share lies in the pool */
    return uqn;
}

/* What was committed so long ago that its evidence need not be kept; whether it was shown in time is settled long since. */
static void drop_commits(struct qn_apply *ap, const struct qn_hash *sid, uint64_t epoch)
{
    struct subnet_key prefix = subnet_key_epoch(sid, epoch), at;
    struct qn_span key, val, after = { 0 };
    while (qn_view_next(ap->view, SUBNET_T_COMMIT, subnet_key_span(&prefix), after, &key, &val)) {
        QN_ASSERT(key.len <= sizeof at.b);
        memcpy(at.b, key.ptr, key.len);
        at.len = key.len;
        after = subnet_key_span(&at);
        qn_row_del(ap, SUBNET_T_COMMIT, after);
    }
}

void subnet_due_epoch(struct qn_apply *ap, const struct qn_hash *sid)
{
    struct subnet_state s;
    struct subnet_pool pool;
    struct subnet_epoch_in in;
    struct subnet_epoch_out out;
    struct qn_arena arena = { 0 };
    struct qn_buf digest = { 0 };
    qn_rc rc = qn_view_rec(ap->view, SUBNET_T_STATE, QN_SPAN(sid->b, 32), subnet_state_record(),
                           ap->arena, &s);
    if (rc) return;
    subnet_share_sync(ap, &s, &pool);
    uint64_t owner = s.carry.uqn / PPM * OWNER_PPM + s.carry.uqn % PPM * OWNER_PPM / PPM, given = 0;
    subnet_input(ap->view, sid, &s, s.carry.uqn - owner, &arena, &in);
    uint64_t cells = 0;
    for (uint32_t i = 0; i < s.n; i++)
        cells += in.weights[i].cnt + in.bonds[i].cnt;
    qn_due_cost(ap, UINT64_C(4000) * s.n + 60 * cells);
    rc = subnet_epoch(&in, &arena, &out);
    QN_ASSERT(rc == QN_OK); /* the arena has no limit */
    bool anybody =
        false; /* nobody earned: nothing is given, unlike upstream, which pays stake then */
    for (uint32_t i = 0; i < s.n; i++)
        anybody |= out.incentive[i] > 0 || out.dividend[i] > 0;
    for (uint32_t i = 0; i < s.n; i++) {
        struct subnet_seat seat;
        struct subnet_key key = subnet_key_uid(sid, i);
        subnet_seat_get(ap->view, sid, i, &arena, &seat);
        seat.permit = out.permit[i];
        seat.stake = out.stake[i];
        seat.consensus = out.consensus[i];
        seat.trust = out.vtrust[i];
        seat.incentive = out.incentive[i];
        seat.dividend = out.dividend[i];
        seat.emission =
            QN_UQN(anybody ? pay(ap, &seat.hotkey, out.server[i] + out.validator[i]) : 0);
        /* Coins may go round: what a seat has earned in all is not bounded by what there is. */
        seat.earned.uqn = QN_MIN(seat.earned.uqn + seat.emission.uqn, QN_SUPPLY_UQN);
        given += seat.emission.uqn;
        qn_row_put_rec(ap, SUBNET_T_SEAT, subnet_key_span(&key), subnet_seat_record(), &seat);
        qn_buf_u64(&digest, seat.reg);
        qn_buf_u64(&digest, (uint64_t)seat.incentive);
        qn_buf_u64(&digest, (uint64_t)seat.dividend);
        qn_buf_u64(&digest, (uint64_t)seat.consensus);
        bond_save(ap, sid, i, &out.bonds[i], &arena, &digest);
    }
    if (anybody) {
        owner = pay(ap, &s.owner, owner);
        given += owner;
        s.paid_ms = ap->now_ms;
    } else {
        owner = 0;
    }
    QN_ASSERT(given <= s.carry.uqn);
    s.carry.uqn -= given; /* what rounding left goes on with the next */
    pool.counted -= given;
    qn_row_put_rec(ap, SUBNET_T_POOL, QN_SPAN_STR("pool"), subnet_pool_record(), &pool);
    struct subnet_past past = { .root = qn_h("subnet/epoch", digest.ptr, digest.len),
                                .at_ms = ap->now_ms,
                                .n = s.n,
                                .emission = QN_UQN(given),
                                .owner = QN_UQN(owner),
                                .carry = s.carry,
                                .beacon = s.beacon };
    struct subnet_key key = subnet_key_epoch(sid, s.epoch);
    qn_row_put_rec(ap, SUBNET_T_PAST, subnet_key_span(&key), subnet_past_record(), &past);
    if (s.epoch >= PAST_KEPT) {
        key = subnet_key_epoch(sid, s.epoch - PAST_KEPT);
        qn_row_del(ap, SUBNET_T_PAST, subnet_key_span(&key));
    }
    if (s.epoch >= SUBNET_COMMITS_KEPT) drop_commits(ap, sid, s.epoch - SUBNET_COMMITS_KEPT);
    s.epoch++;
    s.epoch_ms = ap->now_ms;
    s.beacon = ap->beacon;
    subnet_state_save(ap, sid, &s);
    qn_due_set(ap, SUBNET_DUE_EPOCH, sid, ap->now_ms + s.rules.tempo_ms);
    qn_emit(ap, "subnet.epoch", sid, subnet_past_record(), &past);
    qn_buf_free(&digest);
    qn_arena_free(&arena);
}
