/* test_gov.c - proposals: who may vote with what, what passes, when it takes effect. */
#include "core/base/test.h"
#include "ledger/state/fixture.h"
#include "ledger/state/state_in.h"

#define QN(n) ((n)*QN_UQN_PER_QN)

/* Validators 100 to 110 of persons 0 to 10: stake 100 QN each, but the first, with 500. */
#define VALIDATORS 11

static void chain_of_eleven(struct qn_fix *f)
{
    struct qn_hash keys[VALIDATORS];
    struct qn_genesis_bond bonds[VALIDATORS];
    struct qn_grant grants[20];
    for (unsigned i = 0; i < VALIDATORS; i++) {
        struct qn_key key;
        qn_fix_key(100 + i, &key);
        keys[i] = key.pub;
        bonds[i] = (struct qn_genesis_bond){ qn_fix_acct(i), QN_UQN(QN(i ? 100 : 500)), 0 };
    }
    for (unsigned i = 0; i < 20; i++)
        grants[i] = (struct qn_grant){ qn_fix_acct(i), QN_UQN(QN(1000)) };
    struct qn_genesis g = { .name = QN_SPAN_STR("gov"), .t_ms = 1000000, .dev = true };
    g.validators.cnt = g.bonds.cnt = VALIDATORS;
    g.validators.ptr = keys;
    g.bonds.ptr = bonds;
    g.grants.cnt = 20;
    g.grants.ptr = grants;
    qn_fix_open(f, &g, NULL, 0, NULL);
    f->proposer = qn_fix_acct(19); /* no validator: stakes stay as they are */
}

static qn_rc propose(struct qn_fix *f, const char *param, uint64_t value, uint64_t height,
                     struct qn_hash *ret_id)
{
    struct gov_propose b = { QN_SPAN_STR("a test"), QN_SPAN_STR(param), value, height };
    qn_rc rc = qn_fix_tx(f, 15, QN_TX_GOV_PROPOSE, &b, NULL, NULL);
    if (rc == QN_OK) QN_ASSERT(qn_fix_event(f, "gov.proposed", ret_id));
    return rc;
}

static qn_rc vote(struct qn_fix *f, unsigned who, const struct qn_hash *id, unsigned key,
                  uint8_t choice)
{
    struct gov_vote b = { *id, qn_fix_acct(key), choice };
    return qn_fix_tx(f, who, QN_TX_GOV_VOTE, &b, NULL, NULL);
}

static struct qn_gov_proposal get(struct qn_fix *f, const struct qn_hash *id)
{
    struct qn_gov_proposal p;
    QN_ASSERT(qn_view_rec(f->view, QN_TABLE_PROPOSAL, QN_SPAN(id->b, 32), qn_gov_proposal_record(),
                          &f->arena, &p) == QN_OK);
    return p;
}

static uint64_t balance(const struct qn_fix *f, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(f->view, &acct).uqn;
}

static void test_param(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_hash id;
    chain_of_eleven(&f);
    CHECK_RC(propose(&f, "no_such", 1, 0, &id), QN_E_RANGE);
    CHECK_RC(propose(&f, "gas_min", 1000001, 0, &id), QN_E_RANGE); /* out of its bounds */
    CHECK_RC(propose(&f, "", 1, 0, &id), QN_E_RANGE);
    uint64_t before = balance(&f, 15);
    CHECK_RC(propose(&f, "gas_min", 2000, 0, &id), QN_OK);
    CHECK(before - balance(&f, 15) == QN(1) + f.last.fee.uqn);
    CHECK_RC(vote(&f, 15, &id, 101, 1), QN_E_FUNDS); /* nothing staked */
    CHECK_RC(vote(&f, 1, &id, 120, 1), QN_E_NOTFOUND);
    CHECK_RC(vote(&f, 1, &f.chain, 101, 1), QN_E_NOTFOUND);
    for (unsigned i = 1; i < 6; i++)
        CHECK_RC(vote(&f, i, &id, 100 + i, 1), QN_OK); /* 500 of 1,500 */
    CHECK_RC(vote(&f, 6, &id, 106, 0), QN_OK);
    CHECK_RC(vote(&f, 6, &id, 106, 2), QN_OK); /* another mind */
    qn_fix_wait(&f, 20000);
    struct qn_gov_proposal p = get(&f, &id);
    CHECK(p.state == 2 && p.yes.uqn == QN(500) && p.no.uqn == 0 && p.abstain.uqn == QN(100));
    CHECK(p.all.uqn == QN(1500));
    CHECK(balance(&f, 15) + f.last.fee.uqn >= before - QN(1) / 100); /* the deposit is back */
    CHECK_RC(vote(&f, 7, &id, 107, 0), QN_E_EXPIRED);
    CHECK(qn_param(f.view, QN_PARAM_gas_min) == 1000);
    qn_fix_wait(&f, 9000);
    CHECK(qn_param(f.view, QN_PARAM_gas_min) == 1000); /* the lock */
    qn_fix_wait(&f, 1000);
    qn_fix_wait(&f, 1);
    CHECK(qn_param(f.view, QN_PARAM_gas_min) == 2000 && get(&f, &id).state == 3);
    struct ledger_send send = { .to = qn_fix_acct(50), .amount = QN_UQN(1) };
    struct qn_price price = qn_fee_price(f.view);
    CHECK(price.gas == 2000);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, NULL), QN_OK);
    CHECK(f.last.fee.uqn >= 86);
    qn_fix_fini(&f);
}

/* Too few voices: the deposit is burnt. More no than yes: it comes back. */
static void test_reject(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_hash id;
    chain_of_eleven(&f);
    uint64_t before = balance(&f, 15);
    CHECK_RC(propose(&f, "gas_min", 2000, 0, &id), QN_OK);
    uint64_t fee = f.last.fee.uqn;
    for (unsigned i = 1; i < 5; i++)
        CHECK_RC(vote(&f, i, &id, 100 + i, 1), QN_OK); /* 400 of 1,500 */
    qn_fix_wait(&f, 20000);
    CHECK(get(&f, &id).state == 1 && balance(&f, 15) == before - QN(1) - fee);
    before = balance(&f, 15);
    CHECK_RC(propose(&f, "gas_min", 2000, 0, &id), QN_OK);
    fee = f.last.fee.uqn;
    for (unsigned i = 1; i < 9; i++)
        CHECK_RC(vote(&f, i, &id, 100 + i, i % 2), QN_OK); /* a draw */
    qn_fix_wait(&f, 20000);
    CHECK(get(&f, &id).state == 1 && balance(&f, 15) == before - fee);
    qn_fix_wait(&f, 60000);
    CHECK(qn_param(f.view, QN_PARAM_gas_min) == 1000);
    qn_fix_fini(&f);
}

/* Nobody votes with more than a tenth for others; who delegates may vote otherwise than the validator. */
static void test_voices(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_hash id;
    chain_of_eleven(&f);
    struct validator_stake b = { qn_fix_acct(101), QN_UQN(QN(60)) };
    CHECK_RC(qn_fix_tx(&f, 12, QN_TX_DELEGATE, &b, NULL, NULL), QN_OK);
    b.amount = QN_UQN(100000);
    CHECK_RC(qn_fix_tx(&f, 13, QN_TX_DELEGATE, &b, NULL, NULL), QN_OK);
    CHECK_RC(propose(&f, "gas_min", 2000, 0, &id), QN_OK);
    CHECK_RC(vote(&f, 13, &id, 101, 1), QN_E_FUNDS); /* 0.1 QN is no voice */
    CHECK_RC(vote(&f, 0, &id, 100, 1), QN_OK);       /* 500, of which 156.01 count */
    CHECK_RC(vote(&f, 1, &id, 101, 1), QN_OK);       /* 100.1 without the one who votes */
    CHECK_RC(vote(&f, 12, &id, 101, 0), QN_OK);
    qn_fix_wait(&f, 20000);
    struct qn_gov_proposal p = get(&f, &id);
    CHECK(p.all.uqn == QN(1560) + 100000);
    CHECK(p.yes.uqn == p.all.uqn / 10 + QN(100) + 100000 && p.no.uqn == QN(60));
    struct qn_span k, v;
    CHECK(!qn_view_next(f.view, QN_TABLE_BALLOT, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &k, &v));
    qn_fix_fini(&f);
}

/* A record version takes effect at its height if Q announced it an epoch before; the block before, every node can tell. */
static void test_version(struct qn_test_state *t)
{
    for (unsigned ready = 7; ready < 9;
         ready++) { /* W = 1150, Q = 767: 150 of the first, 100 each */
        struct qn_fix f;
        struct qn_hash id;
        chain_of_eleven(&f);
        for (unsigned i = 0; i < ready; i++) {
            struct validator_edit e = { .validator = qn_fix_acct(100 + i), .version = { true, 2 } };
            CHECK_RC(qn_fix_tx(&f, i, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_OK);
        }
        struct qn_stake_sets s;
        qn_stake_set(f.view, &s);
        uint64_t have = 0, height = f.height + 40;
        for (unsigned i = 0; i < ready; i++)
            have += s.now.weights[i];
        bool enough = have >= qn_set_quorum(&s.now).q;
        CHECK_RC(propose(&f, "", 2, height, &id), QN_OK);
        for (unsigned i = 1; i < 9; i++)
            CHECK_RC(vote(&f, i, &id, 100 + i, 1), QN_OK);
        qn_fix_wait(&f, 20000);
        CHECK(get(&f, &id).state == 2);
        qn_fix_wait(&f, 40000);
        while (f.height < height - 1) {
            CHECK(qn_gov_version(f.view) == 1 && qn_gov_next(f.view) == 1);
            qn_fix_wait(&f, 1);
        }
        CHECK(qn_gov_version(f.view) == 1 && qn_gov_next(f.view) == (enough ? 2 : 1));
        qn_fix_wait(&f, 1);
        CHECK(qn_gov_version(f.view) == (enough ? 2 : 1));
        CHECK(get(&f, &id).state == (enough ? 3 : 4));
        CHECK(enough == (ready == 8));
        qn_fix_fini(&f);
    }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_param);
    TEST(test_reject);
    TEST(test_voices);
    TEST(test_version);
    return TEST_END();
}
