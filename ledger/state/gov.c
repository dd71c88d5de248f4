/* gov.c - proposing, voting, counting, and what follows. */
#include "ledger/state/state_in.h"

#include <inttypes.h>
#include <string.h>

#include "core/schema/define.h"

#include "ledger/state/gov.def"

#define VOICE                                                                                      \
    10000 /* part of all stake that a delegator's own vote takes: so many ballots at most */
#define BALLOT_GAS  2000
#define VERSION_MAX UINT64_C(65535)

enum { VOTING, REJECTED, PASSED, ENACTED, FAILED };
enum { NO, YES, ABSTAIN };

/* --- rows ------------------------------------------------------------------------------------------------ */

static qn_rc get(struct qn_apply *ap, const struct qn_hash *id, struct qn_gov_proposal *ret)
{
    return qn_view_rec(ap->view, QN_TABLE_PROPOSAL, QN_SPAN(id->b, 32), qn_gov_proposal_record(),
                       ap->arena, ret);
}

static void put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_gov_proposal *p)
{
    qn_row_put_rec(ap, QN_TABLE_PROPOSAL, QN_SPAN(id->b, 32), qn_gov_proposal_record(), p);
}

static struct qn_span ballot_key(const struct qn_hash *proposal, const struct qn_hash *validator,
                                 const struct qn_hash *voter, uint8_t dst[96])
{
    memcpy(dst, proposal->b, 32);
    memcpy(dst + 32, validator->b, 32);
    memcpy(dst + 64, voter->b, 32);
    return QN_SPAN(dst, 96);
}

static struct qn_hash deposit_of(const struct qn_hash *id)
{
    return qn_acct_module(0, "deposit", id);
}

/* All stake, and how many validators hold it; those barred have no say. */
static uint64_t all_stake(const struct qn_view *view, uint32_t *ret_cnt)
{
    struct qn_span key, val, after = { NULL, 0 };
    uint8_t last[32];
    uint64_t all = 0;
    *ret_cnt = 0;
    while (qn_view_next(view, QN_TABLE_VALIDATOR, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_arena arena = { 0 };
        struct qn_validator v;
        memcpy(last, key.ptr, sizeof last);
        after = QN_SPAN(last, sizeof last);
        QN_ASSERT(qn_decode(qn_validator_record(), val, &arena, &v, NULL) == QN_OK);
        if (!v.barred) {
            all += v.stake.uqn;
            ++*ret_cnt;
        }
        qn_arena_free(&arena);
    }
    return all;
}

/* --- transactions ------------------------------------------------------------------------------------------ */

static qn_rc propose_check(const void *body, struct qn_why *why)
{
    const struct gov_propose *b = body;
    enum qn_param which;
    if (b->title.len == 0) return qn_why(why, QN_E_RANGE, "title: say what for");
    if (b->param.len == 0)
        return b->value > 1 && b->value <= VERSION_MAX
                   ? QN_OK
                   : qn_why(why, QN_E_RANGE, "value: record versions go from 2 to 65535");
    if (!qn_param_find(b->param, &which))
        return qn_why(why, QN_E_RANGE, "param: there is no parameter %.*s; quoin param list",
                      (int)b->param.len, (const char *)b->param.ptr);
    const struct qn_param_info *info = qn_param_info(which);
    if (b->value < info->min || b->value > info->max)
        return qn_why(why, QN_E_RANGE, "value: %s may be %" PRIu64 " to %" PRIu64, info->name,
                      info->min, info->max);
    return QN_OK;
}

static qn_rc propose_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct gov_propose *b = body;
    const struct qn_hash acct = deposit_of(&ap->id);
    struct qn_gov_proposal p = { .proposer = ap->sender,
                                 .deposit = QN_UQN(qn_param(ap->view, QN_PARAM_gov_deposit)),
                                 .title = b->title,
                                 .param = b->param,
                                 .value = b->value,
                                 .height = b->height,
                                 .ends_ms = ap->now_ms + qn_param(ap->view, QN_PARAM_gov_vote_ms) };
    if (b->param.len == 0 && b->value <= qn_gov_version(ap->view))
        return qn_why(why, QN_E_STATE, "record version %u is in force", qn_gov_version(ap->view));
    qn_acct_own(ap, &acct, "deposit of a proposal", &ap->sender);
    qn_rc rc = qn_post(ap, &ap->sender, &acct, p.deposit, why);
    if (rc) return rc;
    put(ap, &ap->id, &p);
    qn_due_set(ap, QN_DUE_TALLY, &ap->id, p.ends_ms);
    qn_emit(ap, "gov.proposed", &ap->id, qn_gov_proposal_record(), &p);
    return QN_OK;
}

static qn_rc vote_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct gov_vote *b = body;
    struct qn_gov_proposal p;
    struct qn_validator v;
    struct qn_ballot ballot = { .choice = b->choice };
    uint8_t key[96];
    qn_rc rc = get(ap, &b->proposal, &p);
    if (rc) return qn_why(why, rc, "there is no such proposal");
    if (p.state != VOTING) return qn_why(why, QN_E_EXPIRED, "its vote is over");
    rc = qn_stake_get(ap->view, &b->validator, ap->arena, &v);
    if (rc) return qn_why(why, rc, "there is no such validator");
    bool owner = qn_hash_eq(&v.owner, &ap->sender);
    if (owner && v.barred)
        return qn_why(why, QN_E_REFUSED, "who voted twice has no say for others");
    uint64_t mine = qn_stake_of(ap->view, &b->validator, &v, &ap->sender).uqn;
    struct qn_stake_sets *sets = qn_arena_alloc(ap->arena, sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(ap->view, sets);
    uint64_t least = qn_set_quorum(&sets->now).all / VOICE + 1;
    if (!owner && mine < least)
        return qn_why(why, QN_E_FUNDS,
                      "%" PRIu64 " uqn are staked there, a voice of its own takes %" PRIu64
                      "; else the validator votes",
                      mine, least);
    qn_row_put_rec(ap, QN_TABLE_BALLOT, ballot_key(&b->proposal, &b->validator, &ap->sender, key),
                   qn_ballot_record(), &ballot);
    qn_emit(ap, "gov.voted", &b->proposal, gov_vote_record(), b);
    return QN_OK;
}

/* --- the count --------------------------------------------------------------------------------------------- */

struct count {
    uint64_t sum[3]; /* by choice */
    uint64_t cap;    /* of what one owner votes with */
    struct qn_hash id;
    struct qn_validator v; /* whose ballots are being counted */
    uint64_t apart;        /* votes there of those who vote themselves */
    int owner;             /* its owner's choice, -1: none */
    bool any;
};

static void count_end(struct count *c)
{
    if (!c->any || c->owner < 0) return;
    uint64_t rest = c->v.stake.uqn - QN_MIN(c->v.stake.uqn, c->apart);
    c->sum[c->owner] += QN_MIN(rest, c->cap);
}

static void count_ballot(const struct qn_view *view, struct qn_arena *arena, struct count *c,
                         const struct qn_hash *validator, const struct qn_hash *voter,
                         uint8_t choice)
{
    if (!c->any || !qn_hash_eq(&c->id, validator)) { /* the next validator's: they lie together */
        count_end(c);
        c->any = true;
        c->id = *validator;
        c->apart = 0;
        c->owner = -1;
        QN_ASSERT(qn_stake_get(view, validator, arena, &c->v) == QN_OK);
    }
    if (qn_hash_eq(voter, &c->v.owner)) {
        if (!c->v.barred) c->owner = choice;
        return;
    }
    uint64_t weight = c->v.barred ? 0 : qn_stake_of(view, validator, &c->v, voter).uqn;
    c->sum[choice] += weight;
    c->apart += weight;
}

/* Fills in the sums of a proposal; visits each ballot: so many were cast. */
static uint64_t count_all(const struct qn_view *view, struct qn_arena *arena,
                          const struct qn_hash *id, struct qn_gov_proposal *p)
{
    struct count c = { .owner = -1 };
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash validator, voter;
    uint8_t last[96];
    uint32_t validators;
    uint64_t ballots = 0;
    p->all = QN_UQN(all_stake(view, &validators));
    c.cap = QN_MAX(p->all.uqn / 10, p->all.uqn / QN_MAX(validators, 1u));
    while (qn_view_next(view, QN_TABLE_BALLOT, QN_SPAN(id->b, 32), after, &key, &val)) {
        uint8_t choice = 0;
        memcpy(last, key.ptr, sizeof last);
        memcpy(validator.b, last + 32, 32);
        memcpy(voter.b, last + 64, 32);
        QN_ASSERT(qn_take_u8(&val, &choice) && choice <= ABSTAIN);
        count_ballot(view, arena, &c, &validator, &voter, choice);
        after = QN_SPAN(last, sizeof last);
        ballots++;
    }
    count_end(&c);
    p->no = QN_UQN(c.sum[NO]);
    p->yes = QN_UQN(c.sum[YES]);
    p->abstain = QN_UQN(c.sum[ABSTAIN]);
    return ballots + validators;
}

void qn_gov_count(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                  struct qn_gov_proposal *p)
{
    if (p->state == VOTING) count_all(view, arena, id, p);
}

static void tally_fire(struct qn_apply *ap, const struct qn_hash *id)
{
    struct qn_gov_proposal p;
    struct qn_span key, val;
    uint8_t last[96];
    QN_ASSERT(get(ap, id, &p) == QN_OK);
    uint64_t visited = count_all(ap->view, ap->arena, id, &p),
             took = p.no.uqn + p.yes.uqn + p.abstain.uqn;
    while (
        qn_view_next(ap->view, QN_TABLE_BALLOT, QN_SPAN(id->b, 32), QN_SPAN(NULL, 0), &key, &val)) {
        memcpy(last, key.ptr, sizeof last);
        qn_row_del(ap, QN_TABLE_BALLOT, QN_SPAN(last, sizeof last));
    }
    qn_due_cost(ap, BALLOT_GAS * visited);
    bool enough = p.all.uqn && took >= p.all.uqn / 3;
    const struct qn_hash acct = deposit_of(id), burnt = qn_acct_burnt();
    QN_ASSERT(qn_post(ap, &acct, enough ? &p.proposer : &burnt, p.deposit, NULL) == QN_OK);
    p.state = enough && p.yes.uqn > p.no.uqn ? PASSED : REJECTED;
    put(ap, id, &p);
    if (p.state == PASSED)
        qn_due_set(ap, QN_DUE_ENACT, id, ap->now_ms + qn_param(ap->view, QN_PARAM_gov_lock_ms));
    qn_emit(ap, p.state == PASSED ? "gov.passed" : "gov.rejected", id, qn_gov_proposal_record(),
            &p);
}

/* --- the effect -------------------------------------------------------------------------------------------- */

static void waiting(const struct qn_view *view, struct qn_arena *arena, struct qn_enactments *ret)
{
    qn_rc rc =
        qn_view_rec(view, QN_TABLE_META, QN_SPAN_STR("enact"), qn_enactments_record(), arena, ret);
    QN_ASSERT(rc == QN_OK || rc == QN_E_NOTFOUND);
    if (rc) ret->list.cnt = 0;
}

/* Whether validators of weight Q have announced a version for an epoch; of the set that votes on the next block. */
static bool announced(const struct qn_view *view, struct qn_arena *arena, uint64_t version,
                      uint64_t epoch_ms)
{
    struct qn_stake_sets *sets = qn_arena_alloc(arena, sizeof *sets);
    struct qn_mint_state
        m; /* knows the time of the last block, while the next is in execution and before */
    uint64_t have = 0;
    QN_ASSERT(qn_view_rec(view, QN_TABLE_META, QN_SPAN_STR("mint"), qn_mint_state_record(), arena,
                          &m) == QN_OK);
    QN_ASSERT(sets != NULL);
    qn_stake_set(view, sets);
    for (uint32_t i = 0; i < sets->now.cnt; i++) {
        struct qn_validator v;
        struct qn_hash id = qn_acct_key(&sets->now.keys[i]);
        if (qn_stake_get(view, &id, arena, &v) == QN_OK && v.version >= version &&
            v.version_ms + epoch_ms <= m.last_ms)
            have += sets->now.weights[i];
    }
    return have >= qn_set_quorum(&sets->now).q;
}

static void enact_fire(struct qn_apply *ap, const struct qn_hash *id)
{
    struct qn_gov_proposal p;
    struct qn_enactments w = { 0 };
    QN_ASSERT(get(ap, id, &p) == QN_OK);
    waiting(ap->view, ap->arena, &w);
    if (w.list.cnt == 64) {
        p.state = FAILED;
        put(ap, id, &p);
        qn_emit(ap, "gov.failed", id, qn_gov_proposal_record(), &p);
        return;
    }
    struct qn_enactment *list = qn_arena_alloc(ap->arena, (w.list.cnt + 1) * sizeof *list),
                        mine = { QN_MAX(p.height, ap->height + 1), *id };
    uint32_t at = 0;
    QN_ASSERT(list != NULL);
    while (at < w.list.cnt && w.list.ptr[at].height <= mine.height)
        at++;
    if (at) memcpy(list, w.list.ptr, at * sizeof *list);
    list[at] = mine;
    if (at < w.list.cnt) memcpy(list + at + 1, w.list.ptr + at, (w.list.cnt - at) * sizeof *list);
    w.list.cnt++;
    w.list.ptr = list;
    qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("enact"), qn_enactments_record(), &w);
}

static void enact(struct qn_apply *ap, const struct qn_hash *id, uint64_t epoch_ms)
{
    struct qn_gov_proposal p;
    enum qn_param which;
    QN_ASSERT(get(ap, id, &p) == QN_OK);
    p.state = ENACTED;
    if (p.param.len) {
        QN_ASSERT(qn_param_find(p.param, &which)); /* lines of param.def stay */
        qn_param_set(ap, which, p.value);
    } else if (p.value > qn_gov_version(ap->view) &&
               announced(ap->view, ap->arena, p.value, epoch_ms)) {
        struct qn_version_row row = { (uint32_t)p.value, ap->height };
        qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("version"), qn_version_row_record(), &row);
    } else {
        p.state = FAILED;
    }
    put(ap, id, &p);
    qn_emit(ap, p.state == ENACTED ? "gov.enacted" : "gov.failed", id, qn_gov_proposal_record(),
            &p);
}

void qn_gov_begin(struct qn_apply *ap)
{
    struct qn_enactments w;
    uint32_t cnt = 0;
    uint64_t epoch_ms = qn_param(ap->view, QN_PARAM_epoch_ms); /* as qn_gov_next saw it */
    waiting(ap->view, ap->arena, &w);
    while (cnt < w.list.cnt && w.list.ptr[cnt].height <= ap->height)
        enact(ap, &w.list.ptr[cnt++].proposal, epoch_ms);
    if (cnt == 0) return;
    w.list.cnt -= cnt;
    w.list.ptr += cnt;
    if (w.list.cnt)
        qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("enact"), qn_enactments_record(), &w);
    else
        qn_row_del(ap, QN_TABLE_META, QN_SPAN_STR("enact"));
}

uint32_t qn_gov_version(const struct qn_view *view)
{
    struct qn_span val;
    uint32_t version = 1;
    if (qn_view_get(view, QN_TABLE_META, QN_SPAN_STR("version"), &val))
        QN_ASSERT(qn_take_u32(&val, &version)); /* the record's first field */
    return version;
}

uint32_t qn_gov_next(const struct qn_view *view)
{
    struct qn_arena arena = { 0 };
    struct qn_enactments w;
    uint32_t version = qn_gov_version(view);
    waiting(view, &arena, &w);
    for (uint32_t i = 0; i < w.list.cnt && w.list.ptr[i].height <= qn_view_height(view) + 1; i++) {
        struct qn_gov_proposal p;
        QN_ASSERT(qn_view_rec(view, QN_TABLE_PROPOSAL, QN_SPAN(w.list.ptr[i].proposal.b, 32),
                              qn_gov_proposal_record(), &arena, &p) == QN_OK);
        if (p.param.len == 0 && p.value > version &&
            announced(view, &arena, p.value, qn_param(view, QN_PARAM_epoch_ms)))
            version = (uint32_t)p.value;
    }
    qn_arena_free(&arena);
    return version;
}

const struct qn_tx_kind QN_GOV_TXS[] = {
    { QN_TX_GOV_PROPOSE, "gov.propose",
      "ask those who staked to change a parameter or the record version", gov_propose_record, 20000,
      propose_check, propose_apply },
    { QN_TX_GOV_VOTE, "gov.vote", "vote on a proposal with what you staked", gov_vote_record, 40000,
      NULL, vote_apply },
    { 0 },
};

const struct qn_due_kind QN_GOV_DUES[] = {
    { QN_DUE_TALLY, "tally", tally_fire },
    { QN_DUE_ENACT, "enact", enact_fire },
    { 0 },
};
