/* weights.c - rows of weights: the checks in the order of the published rule, open rows, and rows that are committed first and shown in the
 * next epoch, when copying them is too late. */
#include "modules/subnet/subnet.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct qn_hash weights_hash(const struct qn_hash *chain, const struct qn_hash *sid,
                            const struct qn_hash *hotkey, uint64_t epoch,
                            const struct qn_hash *leaf_root, uint32_t leaf_cnt,
                            const struct weights_body *body)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, chain->b, 32);
    qn_buf_put(&buf, hotkey->b, 32);
    qn_buf_put(&buf, sid->b, 32); /* head: subnet, mechanism, epoch, evidence */
    qn_buf_u8(&buf, 0);
    qn_buf_u64(&buf, epoch);
    qn_buf_put(&buf, leaf_root->b, 32);
    qn_buf_u32(&buf, leaf_cnt);
    qn_encode(weights_body_record(), body, &buf);
    struct qn_hash ret = qn_h("weights", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return ret;
}

/* A row as it came, and the seat that sets it. */
struct row {
    uint32_t cnt;
    const uint32_t *uids, *vals;
    uint64_t version, at_ms; /* when it counts from: a commit's own time */
    uint32_t uid;
    struct subnet_seat seat;
};

static qn_rc may_set(struct qn_apply *ap, const struct qn_hash *sid, const struct subnet_state *s,
                     struct row *r, struct qn_why *why)
{
    if (!subnet_uid_of(ap->view, sid, &ap->sender, &r->uid))
        return qn_why(why, QN_E_AUTH, "the account has no seat in this subnet");
    subnet_seat_get(ap->view, sid, r->uid, ap->arena, &r->seat);
    uint64_t bonded = subnet_bonded(ap->view, sid, &ap->sender);
    if (bonded < s->rules.min_stake.uqn)
        return qn_why(why, QN_E_LIMIT, "%" PRIu64 " uqn are bound, weights need %" PRIu64, bonded,
                      s->rules.min_stake.uqn);
    return QN_OK;
}

static qn_rc check_row(const struct subnet_state *s, const struct row *r,
                       const struct qn_hash *sender, uint16_t *ret_vals, struct qn_why *why)
{
    const struct subnet_rules *rules = &s->rules;
    uint64_t seen[SUBNET_SEATS_MAX / 64] = { 0 }, sum = 0, max = 0;
    bool self = r->cnt == 1 && r->uids[0] == r->uid;
    if (r->version != 0 && r->version < rules->version)
        return qn_why(why, QN_E_REFUSED, "version %" PRIu64 " is below %" PRIu64, r->version,
                      rules->version);
    if (r->seat.update_ms && r->at_ms < r->seat.update_ms + rules->rate_ms)
        return qn_why(why, QN_E_RATE, "the last row is %" PRIu64 " ms old, %" PRIu64 " must pass",
                      r->at_ms - QN_MIN(r->at_ms, r->seat.update_ms), rules->rate_ms);
    if (!r->seat.permit && !self && !qn_hash_eq(sender, &s->owner))
        return qn_why(why, QN_E_AUTH, "seat %" PRIu32 " has no validator's permit", r->uid);
    for (uint32_t i = 0; i < r->cnt; i++) {
        if (r->uids[i] >= SUBNET_SEATS_MAX) break; /* unknown; said below */
        uint64_t bit = UINT64_C(1) << (r->uids[i] % 64);
        if (seen[r->uids[i] / 64] & bit)
            return qn_why(why, QN_E_DUPLICATE, "seat %" PRIu32 " is named twice", r->uids[i]);
        seen[r->uids[i] / 64] |= bit;
    }
    for (uint32_t i = 0; i < r->cnt; i++)
        if (r->uids[i] >= s->n)
            return qn_why(why, QN_E_NOTFOUND, "there is no seat %" PRIu32, r->uids[i]);
    if (r->cnt < rules->min_cnt && !self)
        return qn_why(why, QN_E_RANGE, "%" PRIu32 " weights, %u at least", r->cnt, rules->min_cnt);
    q32 vals[SUBNET_SEATS_MAX];
    for (uint32_t i = 0; i < r->cnt; i++) {
        if (r->vals[i] > 65535)
            return qn_why(why, QN_E_RANGE, "a weight is at most 65535, not %" PRIu32, r->vals[i]);
        vals[i] = (q32)r->vals[i] << 32;
    }
    q32_upscale(vals, r->cnt, ret_vals);
    for (uint32_t i = 0; i < r->cnt; i++) {
        sum += ret_vals[i];
        max = QN_MAX(max, (uint64_t)ret_vals[i]);
    }
    if (rules->share_max < 65535 && !self && max * 65535 > sum * rules->share_max)
        return qn_why(why, QN_E_LIMIT, "one seat gets more than %u/65535 of the row",
                      rules->share_max);
    return QN_OK;
}

static int by_uid(const void *a, const void *b)
{
    uint32_t x = ((const uint32_t *)a)[0], y = ((const uint32_t *)b)[0];
    return x < y ? -1 : x > y;
}

/* Checks and stores a row; the caller saw to seat and stake. */
static qn_rc put_row(struct qn_apply *ap, const struct qn_hash *sid, const struct subnet_state *s,
                     struct row *r, struct qn_why *why)
{
    uint16_t vals[SUBNET_SEATS_MAX];
    uint32_t pairs[SUBNET_SEATS_MAX][2], uids[SUBNET_SEATS_MAX], wide[SUBNET_SEATS_MAX];
    if (r->cnt > SUBNET_SEATS_MAX)
        return qn_why(why, QN_E_TOOBIG, "a row has at most %d weights", SUBNET_SEATS_MAX);
    qn_rc rc = qn_gas_use(ap, UINT64_C(50) * r->cnt);
    if (rc == QN_OK) rc = check_row(s, r, &ap->sender, vals, why);
    if (rc) return rc;
    for (uint32_t i = 0; i < r->cnt; i++) {
        pairs[i][0] = r->uids[i];
        pairs[i][1] = vals[i];
    }
    qsort(pairs, r->cnt, sizeof pairs[0], by_uid);
    for (uint32_t i = 0; i < r->cnt; i++) {
        uids[i] = pairs[i][0];
        wide[i] = pairs[i][1];
    }
    struct subnet_cells cells = { .uids = { r->cnt, uids }, .vals = { r->cnt, wide } };
    struct subnet_key key = subnet_key_uid(sid, r->uid);
    qn_row_put_rec(ap, SUBNET_T_ROW, subnet_key_span(&key), subnet_cells_record(), &cells);
    r->seat.update_ms = r->at_ms;
    qn_row_put_rec(ap, SUBNET_T_SEAT, subnet_key_span(&key), subnet_seat_record(), &r->seat);
    qn_emit(ap, "weights.set", sid, subnet_cells_record(), &cells);
    return QN_OK;
}

qn_rc weights_set_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct weights_set *b = body;
    struct subnet_state s;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    if (s.rules.hidden)
        return qn_why(why, QN_E_STATE, "weights of this subnet are committed first");
    if (b->uids.cnt != b->vals.cnt)
        return qn_why(why, QN_E_RANGE, "%" PRIu32 " seats and %" PRIu32 " weights", b->uids.cnt,
                      b->vals.cnt);
    if (b->mech) return qn_why(why, QN_E_RANGE, "mech: this subnet has mechanism 0 alone");
    struct row r = { .cnt = b->uids.cnt,
                     .uids = b->uids.ptr,
                     .vals = b->vals.ptr,
                     .version = b->version,
                     .at_ms = ap->now_ms };
    rc = may_set(ap, &sid, &s, &r, why);
    return rc ? rc : put_row(ap, &sid, &s, &r, why);
}

qn_rc weights_commit_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct weights_commit *b = body;
    struct subnet_state s;
    struct subnet_commit c;
    struct row r = { 0 };
    struct qn_hash sid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    if (!s.rules.hidden) return qn_why(why, QN_E_STATE, "weights of this subnet are set openly");
    if (b->mech) return qn_why(why, QN_E_RANGE, "mech: this subnet has mechanism 0 alone");
    if (b->mode) return qn_why(why, QN_E_RANGE, "mode: 0, its maker shows it");
    if (b->epoch != s.epoch)
        return qn_why(why, QN_E_EXPIRED, "the open epoch is %" PRIu64 ", not %" PRIu64, s.epoch,
                      b->epoch);
    rc = may_set(ap, &sid, &s, &r, why);
    if (rc) return rc;
    if (subnet_commit_get(ap->view, &sid, b->epoch, &ap->sender, &c))
        return qn_why(why, QN_E_EXISTS, "the account committed in this epoch");
    c = (struct subnet_commit){ .body_hash = b->body_hash,
                                .leaf_root = b->leaf_root,
                                .leaf_cnt = b->leaf_cnt,
                                .at_ms = ap->now_ms };
    struct subnet_key key = subnet_key_commit(&sid, b->epoch, &ap->sender);
    qn_row_put_rec(ap, SUBNET_T_COMMIT, subnet_key_span(&key), subnet_commit_record(), &c);
    qn_emit(ap, "weights.committed", &sid, subnet_commit_record(), &c);
    return QN_OK;
}

qn_rc weights_reveal_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct weights_reveal *b = body;
    struct subnet_state s;
    struct subnet_commit c;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    if (b->epoch + 1 < s.epoch)
        return qn_why(why, QN_E_EXPIRED, "commits of epoch %" PRIu64 " are void", b->epoch);
    if (b->epoch + 1 > s.epoch)
        return qn_why(why, QN_E_STATE, "epoch %" PRIu64 " must end before its rows are shown",
                      b->epoch);
    if (!subnet_commit_get(ap->view, &sid, b->epoch, &ap->sender, &c))
        return qn_why(why, QN_E_NOTFOUND, "the account committed nothing in that epoch");
    if (c.shown) return qn_why(why, QN_E_DUPLICATE, "that row is shown already");
    rc = qn_gas_use(ap, UINT64_C(10) * b->body.uids.cnt);
    if (rc) return rc;
    struct qn_hash want =
        weights_hash(&ap->chain, &sid, &ap->sender, b->epoch, &c.leaf_root, c.leaf_cnt, &b->body);
    if (!qn_hash_eq(&want, &c.body_hash))
        return qn_why(why, QN_E_PROOF, "this is not the row that was committed");
    if (b->body.uids.cnt != b->body.vals.cnt)
        return qn_why(why, QN_E_RANGE, "%" PRIu32 " seats and %" PRIu32 " weights",
                      b->body.uids.cnt, b->body.vals.cnt);
    struct row r = { .cnt = b->body.uids.cnt,
                     .uids = b->body.uids.ptr,
                     .vals = b->body.vals.ptr,
                     .version = b->body.version,
                     .at_ms = c.at_ms };
    rc = may_set(ap, &sid, &s, &r, why);
    if (rc == QN_OK) rc = put_row(ap, &sid, &s, &r, why);
    if (rc) return rc;
    c.shown = true;
    struct subnet_key key = subnet_key_commit(&sid, b->epoch, &ap->sender);
    qn_row_put_rec(ap, SUBNET_T_COMMIT, subnet_key_span(&key), subnet_commit_record(), &c);
    return QN_OK;
}
