/* seat.c - founding subnets, buying seats, binding stake. */
#include "modules/subnet/subnet.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <string.h>

#define QN       QN_UQN_PER_QN
#define DAY_MS   UINT64_C(86400000)
#define LOCK_MIN (10 * QN)
#define PRUNE_KEEP                                                                                 \
    10 /* as long as more than so many are past their immunity, only these are pruned */
#define LEAVE_TEMPOS 8 /* evidence still bites while coins leave */

/* --- rules --------------------------------------------------------------------------------------------------------- */

static qn_rc within(uint64_t v, uint64_t lo, uint64_t hi, const char *name, struct qn_why *why)
{
    if (v >= lo && v <= hi) return QN_OK;
    return qn_why(why, QN_E_RANGE, "rules.%s: %" PRIu64 " to %" PRIu64, name, lo, hi);
}

#define STANDARD(field, value)                                                                     \
    if (r->field == 0) r->field = (value)
#define RANGE(field, lo, hi)                                                                       \
    if (rc == QN_OK) rc = within(r->field, (lo), (hi), #field, why)

qn_rc subnet_rules_fill(struct subnet_rules *r, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    STANDARD(tempo_ms, 180000);
    STANDARD(cutoff_ms, 2500000);
    STANDARD(immunity_ms, 2500000);
    STANDARD(rate_ms, QN_MIN(50000u, r->tempo_ms));
    STANDARD(seats, 256);
    STANDARD(validators, 64);
    STANDARD(min_cnt, 1);
    STANDARD(share_max, 65535);
    STANDARD(kappa, 32767);
    STANDARD(penalty, 65535);
    STANDARD(moving_average, 900000);
    STANDARD(alpha_low, 45875);
    STANDARD(alpha_high, 58982);
    STANDARD(price_start.uqn, QN);
    STANDARD(price_min.uqn, 500);
    STANDARD(price_max.uqn, 100 * QN);
    STANDARD(half_life, 360);
    STANDARD(mult_ppm, 1260000);
    RANGE(tempo_ms, 500, 7 * DAY_MS);
    RANGE(cutoff_ms, r->tempo_ms, 350 * DAY_MS);
    RANGE(immunity_ms, 0, 350 * DAY_MS);
    RANGE(rate_ms, 1, 7 * DAY_MS);
    RANGE(seats, 8, SUBNET_SEATS_MAX);
    RANGE(validators, 1, r->seats);
    RANGE(min_cnt, 1, r->seats);
    RANGE(moving_average, 0, 1000000);
    RANGE(alpha_low, 0, r->alpha_high);
    RANGE(half_life, 1, 7200); /* the price is brought up to date block by block */
    RANGE(mult_ppm, 1000000, 10000000);
    RANGE(price_min.uqn, 1, r->price_max.uqn);
    RANGE(price_start.uqn, r->price_min.uqn, r->price_max.uqn);
    return rc;
}

/* --- price --------------------------------------------------------------------------------------------------------- */

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

uint64_t subnet_burn_block(uint64_t price, q32 factor, uint64_t min, uint64_t max)
{
    return clamp((uint64_t)(((subnet_u128)price * (uint64_t)factor) >> 32), min, max);
}

uint64_t subnet_burn_bump(uint64_t price, uint32_t mult_ppm, uint64_t min, uint64_t max)
{
    uint64_t v;
    if (!qn_muldiv(price, mult_ppm, 1000000, &v)) v = max;
    return clamp(v, min, max);
}

uint64_t subnet_price(const struct subnet_state *s, uint64_t height)
{
    const struct subnet_rules *r = &s->rules;
    uint64_t p = s->price.uqn;
    q32 f = subnet_burn_factor(r->half_life);
    /* At its floor it stays; price_max falls to it within half_life * 64 blocks, which bounds the loop. */
    for (uint64_t h = s->price_height; h < height && p > r->price_min.uqn; h++)
        p = subnet_burn_block(p, f, r->price_min.uqn, r->price_max.uqn);
    return p;
}

/* --- the emission's pool ------------------------------------------------------------------------------------------------ */

static struct qn_hash pool_acct(void)
{
    const struct qn_hash zero = { { 0 } };
    return qn_acct_module(0, "subnets", &zero); /* the ledger mints into it */
}

static void pool_sync(struct qn_apply *ap, struct subnet_pool *ret)
{
    const struct qn_hash acct = pool_acct();
    *ret = (struct subnet_pool){ 0 };
    qn_rc rc = qn_view_rec(ap->view, SUBNET_T_POOL, QN_SPAN_STR("pool"), subnet_pool_record(),
                           ap->arena, ret);
    QN_ASSERT(rc == QN_OK || rc == QN_E_NOTFOUND);
    uint64_t has = qn_view_balance(ap->view, &acct).uqn;
    QN_ASSERT(has >= ret->counted);
    if (ret->cnt == 0) {
        ret->counted = has; /* from the time before the first subnet: nobody's */
    } else {
        uint64_t each = (has - ret->counted) / ret->cnt;
        ret->acc += each;
        ret->counted += each * ret->cnt;
    }
}

static void pool_save(struct qn_apply *ap, const struct subnet_pool *pool)
{
    qn_row_put_rec(ap, SUBNET_T_POOL, QN_SPAN_STR("pool"), subnet_pool_record(), pool);
}

void subnet_share_sync(struct qn_apply *ap, struct subnet_state *s, struct subnet_pool *ret)
{
    pool_sync(ap, ret);
    QN_ASSERT(ret->acc >= s->acc_in);
    s->carry.uqn += ret->acc - s->acc_in;
    s->acc_in = ret->acc;
    pool_save(ap, ret);
}

/* --- founding ---------------------------------------------------------------------------------------------------------- */

static bool name_ok(struct qn_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i))) return false;
    }
    return name.len >= 1;
}

qn_rc subnet_create_check(const void *body, struct qn_why *why)
{
    const struct subnet_create *b = body;
    struct subnet_rules rules = b->rules;
    if (!name_ok(b->name))
        return qn_why(why, QN_E_RANGE, "name: 1 to 32 of a-z, 0-9, - (not first)");
    if (b->script.len == 0) return qn_why(why, QN_E_FORMAT, "script: expected a Lua text");
    if (b->lock.uqn < LOCK_MIN) return qn_why(why, QN_E_RANGE, "lock: 10 QN at least");
    return subnet_rules_fill(&rules, why);
}

qn_rc subnet_create_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct subnet_create *b = body;
    struct qn_hash sid = subnet_id(b->name), acct = qn_acct_module(SUBNET_TAG, "lock", &sid);
    struct subnet_pool pool;
    struct qn_span row;
    if (qn_view_get(ap->view, SUBNET_T_STATE, QN_SPAN(sid.b, 32), &row))
        return qn_why(why, QN_E_EXISTS, "a subnet has that name");
    qn_rc rc = qn_gas_use(ap, 20 * b->script.len);
    if (rc) return rc;
    qn_acct_own(ap, &acct, "lock of a subnet", &ap->sender);
    rc = qn_post(ap, &ap->sender, &acct, b->lock, why);
    if (rc) return rc;
    struct subnet_state s = { .name = b->name,
                              .owner = ap->sender,
                              .script = qn_blake3(b->script.ptr, b->script.len),
                              .data = b->data,
                              .lock = b->lock,
                              .rules = b->rules,
                              .since_ms = ap->now_ms,
                              .epoch_ms = ap->now_ms,
                              .price_height = ap->height,
                              .beacon = ap->beacon };
    rc = subnet_rules_fill(&s.rules, why);
    QN_ASSERT(rc == QN_OK); /* check said so */
    s.price = s.rules.price_start;
    pool_sync(ap, &pool);
    s.acc_in = pool.acc;
    pool.cnt++;
    pool_save(ap, &pool);
    subnet_state_save(ap, &sid, &s);
    qn_row_put(ap, SUBNET_T_SCRIPT, QN_SPAN(sid.b, 32), b->script);
    qn_due_set(ap, SUBNET_DUE_EPOCH, &sid, ap->now_ms + s.rules.tempo_ms);
    qn_emit(ap, "subnet.created", &sid, subnet_state_record(), &s);
    return QN_OK;
}

/* --- seats --------------------------------------------------------------------------------------------------------------- */

/* Whose seat a newcomer gets when all are taken: least emission, then the older, then the lower uid; among those past their immunity as long
 * as more than PRUNE_KEEP are, else among all. The owner keeps its seat. */
static bool prune(const struct qn_view *view, const struct qn_hash *sid,
                  const struct subnet_state *s, uint64_t now_ms, struct qn_arena *arena,
                  uint32_t *ret)
{
    struct subnet_seat seat, best = { 0 };
    uint32_t past = 0;
    bool found = false;
    for (uint32_t uid = 0; uid < s->n; uid++) {
        subnet_seat_get(view, sid, uid, arena, &seat);
        past += seat.since_ms + s->rules.immunity_ms <= now_ms;
    }
    for (uint32_t uid = 0; uid < s->n; uid++) {
        subnet_seat_get(view, sid, uid, arena, &seat);
        bool immune = seat.since_ms + s->rules.immunity_ms > now_ms;
        if (qn_hash_eq(&seat.hotkey, &s->owner) || (past > PRUNE_KEEP && immune)) continue;
        if (found && (seat.emission.uqn > best.emission.uqn ||
                      (seat.emission.uqn == best.emission.uqn && seat.reg >= best.reg)))
            continue;
        best = seat;
        *ret = uid;
        found = true;
    }
    return found;
}

static void evict(struct qn_apply *ap, const struct qn_hash *sid, const struct subnet_state *s,
                  uint32_t uid)
{
    struct subnet_seat old;
    struct subnet_key key = subnet_key_uid(sid, uid);
    subnet_seat_get(ap->view, sid, uid, ap->arena, &old);
    qn_row_del(ap, SUBNET_T_ROW, subnet_key_span(&key));
    qn_row_del(ap, SUBNET_T_BOND, subnet_key_span(&key));
    key = subnet_key_hotkey(sid, &old.hotkey);
    qn_row_del(ap, SUBNET_T_HOTKEY, subnet_key_span(&key));
    for (uint64_t e = s->epoch - QN_MIN(s->epoch, (uint64_t)SUBNET_COMMITS_KEPT); e <= s->epoch;
         e++) {
        key = subnet_key_commit(sid, e, &old.hotkey);
        qn_row_del(ap, SUBNET_T_COMMIT, subnet_key_span(&key));
    }
    qn_emit(ap, "seat.pruned", sid, subnet_seat_record(), &old);
}

qn_rc seat_burn_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct seat_burn *b = body;
    const struct qn_hash burnt = qn_acct_burnt();
    struct subnet_state s;
    struct qn_hash sid;
    uint32_t uid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    if (subnet_uid_of(ap->view, &sid, &ap->sender, &uid))
        return qn_why(why, QN_E_EXISTS, "the account has seat %" PRIu32 " already", uid);
    uint64_t blocks =
        ap->height - s.price_height; /* at most so many turns, each some nanoseconds */
    rc = qn_gas_use(ap, 3 * QN_MIN(blocks, UINT64_C(64) * s.rules.half_life));
    if (rc) return rc;
    uint64_t price = subnet_price(&s, ap->height);
    if (price > b->burn_max.uqn)
        return qn_why(why, QN_E_LIMIT, "a seat costs %" PRIu64 " uqn, burn_max is %" PRIu64, price,
                      b->burn_max.uqn);
    uid = s.n;
    if (s.n == s.rules.seats) {
        rc = qn_gas_use(ap, UINT64_C(2000) * s.n);
        if (rc) return rc;
        if (!prune(ap->view, &sid, &s, ap->now_ms, ap->arena, &uid))
            return qn_why(why, QN_E_LIMIT, "every seat is taken for good");
        evict(ap, &sid, &s, uid);
    }
    rc = qn_post(ap, &ap->sender, &burnt, QN_UQN(price), why);
    if (rc) return rc;
    struct subnet_seat seat = { .hotkey = ap->sender, .reg = ++s.regs, .since_ms = ap->now_ms };
    struct subnet_key key = subnet_key_uid(&sid, uid);
    uint8_t le[4] = { (uint8_t)uid, (uint8_t)(uid >> 8), (uint8_t)(uid >> 16),
                      (uint8_t)(uid >> 24) };
    qn_row_put_rec(ap, SUBNET_T_SEAT, subnet_key_span(&key), subnet_seat_record(), &seat);
    key = subnet_key_hotkey(&sid, &ap->sender);
    qn_row_put(ap, SUBNET_T_HOTKEY, subnet_key_span(&key), QN_SPAN(le, sizeof le));
    s.n = QN_MAX(s.n, uid + 1);
    s.price = QN_UQN(
        subnet_burn_bump(price, s.rules.mult_ppm, s.rules.price_min.uqn, s.rules.price_max.uqn));
    s.price_height = ap->height;
    subnet_state_save(ap, &sid, &s);
    qn_emit(ap, "seat.taken", &sid, subnet_seat_record(), &seat);
    return QN_OK;
}

/* --- stake ----------------------------------------------------------------------------------------------------------------- */

qn_rc stake_check(const void *body, struct qn_why *why)
{
    const struct stake_add *b = body; /* stake_unbond has the same fields */
    _Static_assert(sizeof(struct stake_add) == sizeof(struct stake_unbond), "same form");
    return b->amount.uqn ? QN_OK : qn_why(why, QN_E_RANGE, "amount: above zero");
}

static struct qn_hash stake_acct(const struct qn_hash *id)
{
    return qn_acct_module(SUBNET_TAG, "stake", id);
}

static bool stake_get(struct qn_apply *ap, const struct qn_hash *id, struct subnet_stake *ret)
{
    return qn_view_rec(ap->view, SUBNET_T_STAKE, QN_SPAN(id->b, 32), subnet_stake_record(),
                       ap->arena, ret) == QN_OK;
}

static void stake_save(struct qn_apply *ap, const struct qn_hash *id, const struct subnet_stake *s)
{
    struct qn_hash acct = stake_acct(id);
    QN_ASSERT(qn_view_balance(ap->view, &acct).uqn >=
              s->bonded.uqn + s->leaving.uqn); /* more: anybody may send coins there */
    if (s->bonded.uqn + s->leaving.uqn)
        qn_row_put_rec(ap, SUBNET_T_STAKE, QN_SPAN(id->b, 32), subnet_stake_record(), s);
    else
        qn_row_del(ap, SUBNET_T_STAKE, QN_SPAN(id->b, 32));
}

qn_rc stake_add_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct stake_add *b = body;
    struct subnet_state s;
    struct subnet_stake stake;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    struct qn_hash id = subnet_stake_id(&sid, &ap->sender), acct = stake_acct(&id);
    if (!stake_get(ap, &id, &stake)) {
        stake = (struct subnet_stake){ .subnet = b->subnet, .hotkey = ap->sender };
        qn_acct_own(ap, &acct, "stake in a subnet", &ap->sender);
    }
    rc = qn_post(ap, &ap->sender, &acct, b->amount, why);
    if (rc == QN_OK) rc = qn_amount_add(stake.bonded, b->amount, &stake.bonded);
    if (rc) return rc;
    stake_save(ap, &id, &stake);
    qn_emit(ap, "stake.added", &sid, subnet_stake_record(), &stake);
    return QN_OK;
}

qn_rc stake_unbond_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct stake_unbond *b = body;
    struct subnet_state s;
    struct subnet_stake stake;
    struct qn_hash sid;
    qn_rc rc = subnet_get(ap->view, b->subnet, ap->arena, &sid, &s, why);
    if (rc) return rc;
    struct qn_hash id = subnet_stake_id(&sid, &ap->sender);
    if (!stake_get(ap, &id, &stake))
        return qn_why(why, QN_E_NOTFOUND, "the account has no coins bound there");
    if (b->amount.uqn > stake.bonded.uqn)
        return qn_why(why, QN_E_FUNDS, "%" PRIu64 " uqn are bound", stake.bonded.uqn);
    stake.bonded.uqn -= b->amount.uqn;
    stake.leaving.uqn += b->amount.uqn;
    stake.leave_ms = ap->now_ms + (uint64_t)LEAVE_TEMPOS * s.rules.tempo_ms;
    qn_due_set(ap, SUBNET_DUE_UNBOND, &id, stake.leave_ms);
    stake_save(ap, &id, &stake);
    qn_emit(ap, "stake.leaving", &sid, subnet_stake_record(), &stake);
    return QN_OK;
}

void subnet_due_unbond(struct qn_apply *ap, const struct qn_hash *id)
{
    struct subnet_stake stake;
    struct qn_hash acct = stake_acct(id);
    if (!stake_get(ap, id, &stake)) return;
    qn_rc rc = qn_post(ap, &acct, &stake.hotkey, stake.leaving, NULL);
    QN_ASSERT(rc == QN_OK); /* the account holds bonded + leaving */
    stake.leaving = QN_UQN(0);
    stake.leave_ms = 0;
    stake_save(ap, id, &stake);
    qn_emit(ap, "stake.left", id, subnet_stake_record(), &stake);
}
