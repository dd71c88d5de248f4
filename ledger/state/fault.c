/* fault.c - what validators answer for: two votes that exclude each other, or two blocks of one view, cost stake, and the key; absence costs a
 * while outside. */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"

#include <string.h>

#define SHARE_FACTOR 3 /* an attack by a third of the stake costs it all */

/* Millionths of all stake that voted twice lately, this validator's among it; notes it. */
static uint32_t share_of(struct qn_apply *ap, const struct qn_validator *v)
{
    struct qn_faults f = { 0 };
    struct qn_stake_sets *sets = qn_arena_alloc(ap->arena, sizeof *sets);
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_META, QN_SPAN_STR("faults"), qn_faults_record(),
                           ap->arena, &f);
    QN_ASSERT(sets != NULL && (rc == QN_OK || rc == QN_E_NOTFOUND));
    if (rc) f.list.cnt = 0;
    qn_stake_set(ap->view, sets);
    struct qn_quorum q = qn_set_quorum(&sets->now);
    uint64_t window = qn_param(ap->view, QN_PARAM_slash_window_ms), sum = 0, mine;
    QN_ASSERT(qn_muldiv(QN_MIN(v->stake.uqn, q.all), 1000000, q.all, &mine));
    struct qn_fault *list = qn_arena_alloc(ap->arena, (f.list.cnt + 1) * sizeof *list);
    QN_ASSERT(list != NULL);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < f.list.cnt; i++)
        if (f.list.ptr[i].t_ms + window > ap->now_ms) list[cnt++] = f.list.ptr[i];
    if (cnt == 200) { /* more than a set has: the two oldest count as one */
        list[1].share_ppm = QN_MIN(list[0].share_ppm + list[1].share_ppm, 1000000u);
        memmove(list, list + 1, --cnt * sizeof *list);
    }
    list[cnt++] = (struct qn_fault){ ap->now_ms, (uint32_t)mine };
    for (uint32_t i = 0; i < cnt; i++)
        sum += list[i].share_ppm;
    f.list.cnt = cnt;
    f.list.ptr = list;
    qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("faults"), qn_faults_record(), &f);
    return (uint32_t)QN_MIN(sum, UINT64_C(1000000));
}

static qn_rc evidence_check(const void *body, struct qn_why *why)
{
    const struct evidence_submit *b = body;
    if (!qn_votes_exclude(&b->a, &b->b))
        return qn_why(why, QN_E_RANGE, "an honest validator may cast both votes");
    return QN_OK;
}

/* The validator that evidence of an epoch is held against, while its stake still answers for it. */
static qn_rc accused(struct qn_apply *ap, const struct qn_hash *id, uint32_t epoch,
                     struct qn_validator *ret, struct qn_why *why)
{
    struct qn_epoch e = qn_epoch_get(ap->view);
    qn_rc rc = qn_stake_get(ap->view, id, ap->arena, ret);
    if (rc) return qn_why(why, rc, "no stake stands behind that validator");
    if (ret->barred) return qn_why(why, QN_E_DUPLICATE, "it is out for good already");
    if (epoch > e.epoch + 1) return qn_why(why, QN_E_RANGE, "epoch %u has not begun", epoch);
    uint64_t age_ms = 0, epoch_ms = qn_param(ap->view, QN_PARAM_epoch_ms),
             most = qn_param(ap->view, QN_PARAM_unbond_ms);
    if (epoch < e.epoch) age_ms = (uint64_t)(e.epoch - epoch) * epoch_ms;
    if (age_ms > most)
        return qn_why(why, QN_E_EXPIRED, "the stake of that time may have left by now");
    return QN_OK;
}

static void punish(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *v)
{
    struct qn_penalty done;
    uint64_t ppm = (uint64_t)share_of(ap, v) * SHARE_FACTOR,
             least = qn_param(ap->view, QN_PARAM_slash_min_ppm);
    v->barred = true;
    qn_stake_slash(ap, id, v, (uint32_t)QN_MIN(QN_MAX(ppm, least), UINT64_C(1000000)), &ap->sender,
                   &done);
    qn_emit(ap, "validator.slashed", id, qn_penalty_record(), &done);
}

static qn_rc evidence_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct evidence_submit *b = body;
    struct qn_validator v;
    qn_rc rc = accused(ap, &b->validator, b->a.epoch, &v, why);
    if (rc) return rc;
    if (!qn_vote_ok(&b->a, &ap->chain, &v.key) || !qn_vote_ok(&b->b, &ap->chain, &v.key))
        return qn_why(why, QN_E_SIGNATURE, "a vote's signature is not the validator's");
    punish(ap, &b->validator, &v);
    return QN_OK;
}

/* A proposal leaves only when its proposer's FIRST for it is synced, and of those there is one a view: an honest validator signs no two,
 * whatever becomes of its machine. They make nothing final without votes, but let each half of the network wait for another block. */
static qn_rc twins_check(const void *body, struct qn_why *why)
{
    const struct evidence_twins *b = body;
    struct qn_hash a_hash = qn_header_hash(&b->a), b_hash = qn_header_hash(&b->b);
    if (b->a.epoch != b->b.epoch || b->a.view != b->b.view || qn_hash_eq(&a_hash, &b_hash))
        return qn_why(why, QN_E_RANGE, "these are not two blocks of one view");
    return QN_OK;
}

static bool proposed(const struct qn_header *h, const struct qn_sig *sig,
                     const struct qn_hash *chain, const struct qn_hash *key)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    struct qn_hash hash = qn_header_hash(h);
    return qn_hash_eq(&h->chain, chain) && qn_hash_eq(&h->proposer, key) &&
           qn_verify(key, qn_proposal_text(&hash, text), sig);
}

static qn_rc twins_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct evidence_twins *b = body;
    struct qn_validator v;
    qn_rc rc = accused(ap, &b->validator, b->a.epoch, &v, why);
    if (rc) return rc;
    if (!proposed(&b->a, &b->a_sig, &ap->chain, &v.key) ||
        !proposed(&b->b, &b->b_sig, &ap->chain, &v.key))
        return qn_why(why, QN_E_SIGNATURE, "a block is not one that the validator signed");
    punish(ap, &b->validator, &v);
    return QN_OK;
}

/* Pieces go out under a root when the proposal that they rebuild may leave, so the same holds: one a view. Its bytes are kept with the vote, and coded the
 * same way after a restart. */
static qn_rc roots_check(const void *body, struct qn_why *why)
{
    const struct evidence_roots *b = body;
    if (b->a.k == b->b.k && b->a.body_len == b->b.body_len && qn_hash_eq(&b->a.root, &b->b.root))
        return qn_why(why, QN_E_RANGE, "these are not two roots");
    return QN_OK;
}

/* As net/gossip/shard.h writes it; core/net/test_coded.c holds the two together. */
static bool coded(const struct evidence_root *r, const struct qn_hash *chain, uint32_t epoch,
                  uint64_t view, const struct qn_hash *key)
{
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, chain->b, 32);
    qn_buf_u32(&buf, epoch);
    qn_buf_u64(&buf, view);
    qn_buf_u8(&buf, r->k);
    qn_buf_u32(&buf, r->body_len);
    qn_buf_put(&buf, r->root.b, 32);
    struct qn_hash what = qn_h("shard", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return qn_verify(key, QN_SPAN(what.b, 32), &r->sig);
}

static qn_rc roots_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct evidence_roots *b = body;
    struct qn_validator v;
    qn_rc rc = accused(ap, &b->validator, b->epoch, &v, why);
    if (rc) return rc;
    if (!coded(&b->a, &ap->chain, b->epoch, b->view, &v.key) ||
        !coded(&b->b, &ap->chain, b->epoch, b->view, &v.key))
        return qn_why(why, QN_E_SIGNATURE, "a root is not one that the validator signed");
    punish(ap, &b->validator, &v);
    return QN_OK;
}

/* --- absence ------------------------------------------------------------------------------------------------ */

/* WHAT COUNTS AS MISSED. A head's `signers` are what its proposer says of votes, and nobody can check it. So no proposer is believed alone:
 * a block counts against a validator only when those who proposed the blocks since it was last named, or proposed one itself, weigh WEAK =
 * F + P + 1, more than all traitors: one of them at least is honest and heard nothing of it. Traitors who keep its votes from the
 * heads can count none, as long as a single honest leader between them hears it; for who is really away, a few blocks more pass
 * before the first counts. Traitors may name a friend who is away, and delay its jail by that; what it harms meanwhile is what
 * they could harm themselves by silence.
 *
 * The row "missed" holds who is missed at present: a block that everybody signed writes nothing. */
static bool is_set(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static uint64_t weigh(const struct qn_set *set, const struct qn_hash *bits)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < set->cnt; i++)
        if (is_set(bits->b, i)) sum += set->weights[i];
    return sum;
}

/* One block more of the window that a validator missed. */
static void count_missed(struct qn_apply *ap, const struct qn_hash *key)
{
    struct qn_validator v;
    struct qn_hash id = qn_acct_key(key);
    uint64_t window = qn_param(ap->view, QN_PARAM_absent_window), most;
    QN_ASSERT(qn_muldiv(window, qn_param(ap->view, QN_PARAM_absent_ppm), 1000000, &most));
    if (qn_stake_get(ap->view, &id, ap->arena, &v) || v.jailed_ms || v.barred) return;
    uint64_t now = ap->height / window;
    v.absent_cnt = v.absent_window == now ? v.absent_cnt + 1 : 1;
    v.absent_window = now;
    bool out = v.absent_cnt >= most;
    if (out) v.jailed_ms = ap->now_ms + qn_param(ap->view, QN_PARAM_jail_ms);
    qn_stake_put(ap, &id, &v);
    if (out) qn_emit(ap, "validator.jailed", &id, qn_validator_record(), &v);
}

static void note_missed(struct qn_apply *ap, struct qn_arena *arena, const struct qn_set *set,
                        const uint8_t *signers, uint32_t cnt, uint32_t by)
{
    struct qn_missed was = { 0 }, m = { .epoch = set->epoch };
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_META, QN_SPAN_STR("missed"), qn_missed_record(),
                           arena, &was);
    QN_ASSERT(rc == QN_OK || rc == QN_E_NOTFOUND);
    if (rc || was.epoch != set->epoch) was.list.cnt = 0;
    m.list.ptr = qn_arena_alloc(arena, (set->cnt + 1) * sizeof *m.list.ptr);
    QN_ASSERT(m.list.ptr != NULL);
    for (uint32_t i = 0, k = 0; i < set->cnt; i++) {
        while (k < was.list.cnt && was.list.ptr[k].no < i)
            k++;
        if (i == by || (i < cnt && is_set(signers, i))) continue;
        struct qn_missed_one one = { (uint16_t)i, { { 0 } } };
        if (k < was.list.cnt && was.list.ptr[k].no == i) one.by = was.list.ptr[k].by;
        one.by.b[by / 8] |= (uint8_t)(1u << by % 8);
        m.list.ptr[m.list.cnt++] = one;
        if (weigh(set, &one.by) >= qn_set_quorum(set).weak) count_missed(ap, &set->keys[i]);
    }
    if (m.list.cnt || was.list.cnt)
        qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("missed"), qn_missed_record(), &m);
}

void qn_fault_absent(struct qn_apply *ap, const uint8_t *signers, uint32_t cnt,
                     const struct qn_hash *proposer)
{
    struct qn_arena arena = { 0 }; /* two sets are 16 KiB: not for the block's own */
    if (cnt == 0) return;          /* it does not say */
    struct qn_stake_sets *sets = qn_arena_alloc(&arena, sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(ap->view, sets);
    const struct qn_set *set = &sets->now;
    uint32_t by = 0;
    for (struct qn_hash id; by < set->cnt; by++) {
        id = qn_acct_key(&set->keys[by]);
        if (qn_hash_eq(&id, proposer)) break;
    }
    /* The last block of an epoch was signed by the set before `now`. */
    if (!sets->last && by < set->cnt) note_missed(ap, &arena, set, signers, cnt, by);
    qn_arena_free(&arena);
}

const struct qn_tx_kind QN_FAULT_TXS[] = {
    { QN_TX_EVIDENCE, "evidence.submit",
      "prove that a validator voted twice; a tenth of what it loses is yours",
      evidence_submit_record, 120000, evidence_check, evidence_apply },
    { QN_TX_EVIDENCE_TWINS, "evidence.twins",
      "prove that a validator proposed two blocks in one view; a tenth of what it loses is yours",
      evidence_twins_record, 120000, twins_check, twins_apply },
    { QN_TX_EVIDENCE_ROOTS, "evidence.roots",
      "prove that a validator coded two proposals in one view; a tenth of what it loses is yours",
      evidence_roots_record, 120000, roots_check, roots_apply },
    { 0 },
};
