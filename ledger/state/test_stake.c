/* test_stake.c - validators and their delegators: shares, leaving, moving, slashing, epochs; and a long random life whose sums hold. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"
#include "ledger/state/fixture.h"
#include "ledger/state/state_in.h"

#define QN(n) ((n)*QN_UQN_PER_QN)

/* A chain of four validators (keys 100 to 103, of persons 0 to 3), person 0's with 700 QN, the others' with 100 each. */
static void chain_of_four(struct qn_fix *f)
{
    struct qn_hash keys[4];
    struct qn_genesis_bond bonds[4];
    struct qn_grant grants[20];
    for (unsigned i = 0; i < 4; i++) {
        struct qn_key key;
        qn_fix_key(100 + i, &key);
        keys[i] = key.pub;
        bonds[i] = (struct qn_genesis_bond){ qn_fix_acct(i), QN_UQN(QN(i ? 100 : 700)), 100000 };
    }
    for (unsigned i = 0; i < 20; i++)
        grants[i] = (struct qn_grant){ qn_fix_acct(i), QN_UQN(QN(1000)) };
    struct qn_genesis g = { .name = QN_SPAN_STR("four"), .t_ms = 1000000, .dev = true };
    g.validators.cnt = g.bonds.cnt = 4;
    g.validators.ptr = keys;
    g.bonds.ptr = bonds;
    g.grants.cnt = 20;
    g.grants.ptr = grants;
    qn_fix_open(f, &g, NULL, 0, NULL);
}

static struct qn_validator get(const struct qn_fix *f, unsigned key)
{
    static struct qn_arena arena; /* names live until the process ends */
    struct qn_validator v = { 0 };
    struct qn_hash id = qn_fix_acct(key);
    QN_ASSERT(qn_stake_get(f->view, &id, &arena, &v) == QN_OK);
    return v;
}

static uint64_t held(const struct qn_fix *f, const char *what, unsigned key)
{
    struct qn_hash id = qn_fix_acct(key), acct = qn_acct_module(0, what, &id);
    return qn_view_balance(f->view, &acct).uqn;
}

static uint64_t balance(const struct qn_fix *f, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(f->view, &acct).uqn;
}

static uint64_t staked(const struct qn_fix *f, unsigned key, unsigned person)
{
    struct qn_hash id = qn_fix_acct(key), acct = qn_fix_acct(person);
    struct qn_validator v = get(f, key);
    return qn_stake_of(f->view, &id, &v, &acct).uqn;
}

static qn_rc stake(struct qn_fix *f, uint16_t kind, unsigned person, unsigned key, uint64_t uqn)
{
    struct validator_stake b = { qn_fix_acct(key), QN_UQN(uqn) };
    return qn_fix_tx(f, person, kind, &b, NULL, NULL);
}

static qn_rc move(struct qn_fix *f, unsigned person, unsigned key, unsigned to, uint64_t uqn)
{
    struct validator_move b = { qn_fix_acct(key), qn_fix_acct(to), QN_UQN(uqn) };
    return qn_fix_tx(f, person, QN_TX_REDELEGATE, &b, NULL, NULL);
}

static qn_rc create(struct qn_fix *f, unsigned person, unsigned key, unsigned signed_for,
                    uint64_t uqn)
{
    struct qn_key k;
    struct qn_hash owner = qn_fix_acct(signed_for);
    qn_fix_key(key, &k);
    struct validator_create b = { .key = k.pub,
                                  .proof = qn_stake_proof(&k, &f->chain, &owner),
                                  .name = QN_SPAN_STR("test"),
                                  .commission_ppm = 50000,
                                  .amount = QN_UQN(uqn) };
    return qn_fix_tx(f, person, QN_TX_VALIDATOR_CREATE, &b, NULL, NULL);
}

static qn_rc accuse(struct qn_fix *f, unsigned reporter, unsigned key, uint32_t epoch,
                    uint8_t kind_a, uint8_t kind_b)
{
    struct qn_key k;
    struct qn_hash x = qn_h("test", "x", 1), y = qn_h("test", "y", 1);
    qn_fix_key(key, &k);
    struct evidence_submit b = { qn_fix_acct(key),
                                 qn_vote_make(&k, 3, &f->chain, kind_a, epoch, 9, &x),
                                 qn_vote_make(&k, 3, &f->chain, kind_b, epoch, 9, &y) };
    return qn_fix_tx(f, reporter, QN_TX_EVIDENCE, &b, NULL, NULL);
}

static void test_create(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK_RC(create(&f, 5, 110, 6, QN(50)), QN_E_SIGNATURE); /* the key signed for another owner */
    CHECK_RC(create(&f, 5, 110, 5, 999999), QN_E_RANGE);
    CHECK_RC(create(&f, 5, 110, 5, QN(50)), QN_OK);
    CHECK_RC(create(&f, 5, 110, 5, QN(50)), QN_E_EXISTS);
    CHECK_RC(create(&f, 6, 110, 6, QN(50)), QN_E_EXISTS);
    CHECK(get(&f, 110).stake.uqn == QN(50) && staked(&f, 110, 5) == QN(50));
    CHECK(held(&f, "bond", 110) == QN(50));
    CHECK_RC(stake(&f, QN_TX_VALIDATOR_BOND, 6, 110, QN(1)), QN_E_AUTH);
    CHECK_RC(stake(&f, QN_TX_VALIDATOR_BOND, 5, 110, QN(1)), QN_OK);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 6, 111, QN(1)), QN_E_NOTFOUND);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 6, 110, 0), QN_E_RANGE);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 6, 110, QN(9)), QN_OK);
    CHECK(get(&f, 110).stake.uqn == QN(60));
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 6, 110, QN(100000)), QN_E_FUNDS);
    struct validator_edit e = { .validator = qn_fix_acct(110), .commission_ppm = { true, 60000 } };
    CHECK_RC(qn_fix_tx(&f, 5, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_E_STATE); /* too soon */
    e.commission_ppm.v = 40000;
    CHECK_RC(qn_fix_tx(&f, 6, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_E_AUTH);
    CHECK_RC(qn_fix_tx(&f, 5, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_OK);
    qn_fix_wait(&f, 60000);
    e.commission_ppm.v = 200001;
    CHECK_RC(qn_fix_tx(&f, 5, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_E_RANGE);
    e.commission_ppm.v = 60000;
    CHECK_RC(qn_fix_tx(&f, 5, QN_TX_VALIDATOR_EDIT, &e, NULL, NULL), QN_OK);
    CHECK(get(&f, 110).commission_ppm == 60000);
    qn_fix_fini(&f);
}

/* Rewards: the owner's commission, the rest to all by shares; tips to the owner. */
static void test_rewards(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    f.proposer = qn_fix_acct(101);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 101, QN(300)), QN_OK);
    uint64_t owner = balance(&f, 1), stake_was = get(&f, 101).stake.uqn, mine = staked(&f, 101, 1),
             theirs = staked(&f, 101, 7);
    qn_fix_wait(&f, 10000);
    uint64_t part = 831810 / 5, kept = part / 10, rest = part - kept;
    CHECK(balance(&f, 1) - owner == kept);
    CHECK(get(&f, 101).stake.uqn - stake_was == rest && held(&f, "bond", 101) == stake_was + rest);
    CHECK(staked(&f, 101, 7) - theirs >= rest * 74 / 100 &&
          staked(&f, 101, 7) - theirs <= rest * 75 / 100 + 1);
    CHECK(staked(&f, 101, 1) - mine >= rest / 4 - 1);
    CHECK(balance(&f, 101) == 0); /* nothing stays with the hot key */
    qn_fix_fini(&f);
}

static void test_leave(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 102, QN(300)), QN_OK);
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 102, QN(301)), QN_E_FUNDS);
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 8, 102, 0), QN_E_FUNDS);
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 102, QN(100)), QN_OK);
    CHECK(staked(&f, 102, 7) == QN(200) && held(&f, "leaving", 102) == QN(100));
    uint64_t before = balance(&f, 7);
    qn_fix_wait(&f, 59000);
    CHECK(balance(&f, 7) == before);
    /* Caught on the way out: 100 of 1300 QN staked voted twice: thrice that share. */
    CHECK_RC(accuse(&f, 9, 102, 1, QN_VOTE_FIRST, QN_VOTE_FIRST), QN_OK);
    CHECK(held(&f, "leaving", 102) < QN(100));
    uint64_t left = held(&f, "leaving", 102);
    qn_fix_wait(&f, 2000);
    CHECK(balance(&f, 7) == before + left && held(&f, "leaving", 102) == 0);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 102, QN(1)), QN_E_REFUSED); /* barred */
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 102, 0), QN_OK);
    CHECK(staked(&f, 102, 7) == 0);
    qn_fix_fini(&f);
}

static void test_move(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 102, QN(30)), QN_OK);
    CHECK_RC(move(&f, 7, 102, 102, 0), QN_E_RANGE);
    CHECK_RC(move(&f, 7, 102, 103, QN(20)), QN_OK);
    CHECK(staked(&f, 103, 7) == QN(20) && staked(&f, 102, 7) == QN(10));
    CHECK_RC(move(&f, 7, 103, 101, QN(1)), QN_E_FUNDS); /* one move an unbonding */
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 103, QN(1)), QN_E_FUNDS);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 103, QN(50)), QN_OK);
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 103, QN(50)), QN_OK); /* what was not moved is free */
    /* What moved answers for where it was, and those who were there before do not. */
    uint64_t others = staked(&f, 103, 3), mine = staked(&f, 103, 7), reporter = balance(&f, 9);
    CHECK_RC(accuse(&f, 9, 102, 0, QN_VOTE_FINAL, QN_VOTE_EXTRA), QN_OK);
    CHECK(balance(&f, 9) > reporter); /* a tenth of what was slashed is more than the fee */
    struct qn_hash at;
    CHECK(qn_fix_event(&f, "validator.slashed", &at));
    CHECK(staked(&f, 103, 3) >= others && staked(&f, 103, 3) <= others + 1);
    CHECK(staked(&f, 103, 7) < mine * 98 / 100);
    CHECK(held(&f, "bond", 103) == get(&f, 103).stake.uqn);
    qn_fix_wait(&f, 60000);
    CHECK_RC(stake(&f, QN_TX_UNDELEGATE, 7, 103, 0), QN_OK);
    CHECK(get(&f, 102).moves == 0);
    qn_fix_fini(&f);
}

/* A list that slashing walks is bounded, and dust does not fill it for the others. */
static void test_dust(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 7, 102, QN(10)), QN_OK);
    CHECK_RC(stake(&f, QN_TX_DELEGATE, 8, 102, QN(10)), QN_OK);
    for (unsigned i = 0; i < 500; i++)
        CHECK_RC(move(&f, 7, 102, 103, 2000), QN_OK);
    CHECK_RC(move(&f, 7, 102, 103, 2000), QN_E_LIMIT);
    CHECK(get(&f, 102).moves == 500);
    CHECK_RC(move(&f, 8, 102, 103, QN(10)), QN_OK);
    qn_fix_wait(&f, 60000);
    CHECK_RC(move(&f, 7, 102, 103, 2000), QN_OK);
    CHECK(get(&f, 102).moves == 1);
    qn_fix_fini(&f);
}

static void test_evidence(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    for (uint8_t a = 1; a <= 3; a++)
        for (uint8_t b = 1; b <= 3; b++) {
            bool bad = a == QN_VOTE_FINAL || b == QN_VOTE_FINAL || (a == 1 && b == 1);
            if (!bad) CHECK_RC(accuse(&f, 9, 101, 0, a, b), QN_E_RANGE);
        }
    CHECK_RC(accuse(&f, 9, 111, 0, 1, 1), QN_E_NOTFOUND);
    CHECK_RC(accuse(&f, 9, 101, 2, 1, 1), QN_E_RANGE); /* an epoch that has not begun */
    struct qn_key k;
    struct qn_hash x = qn_h("test", "x", 1), y = qn_h("test", "y", 1);
    qn_fix_key(102, &k); /* another one's votes */
    struct evidence_submit b = { qn_fix_acct(101), qn_vote_make(&k, 1, &f.chain, 1, 0, 9, &x),
                                 qn_vote_make(&k, 1, &f.chain, 1, 0, 9, &y) };
    CHECK_RC(qn_fix_tx(&f, 9, QN_TX_EVIDENCE, &b, NULL, NULL), QN_E_SIGNATURE);
    qn_fix_key(101, &k);
    b.a = qn_vote_make(&k, 1, &x, 1, 0, 9, &x); /* of another chain */
    b.b = qn_vote_make(&k, 1, &x, 1, 0, 9, &y);
    CHECK_RC(qn_fix_tx(&f, 9, QN_TX_EVIDENCE, &b, NULL, NULL), QN_E_SIGNATURE);
    /* Weights are 250, 100, 100, 100 of 550: a first traitor loses 3/5.5, with a second one the share adds up. */
    uint64_t was = get(&f, 101).stake.uqn, burnt_is;
    const struct qn_hash burnt = qn_acct_burnt();
    CHECK_RC(accuse(&f, 9, 101, 0, 1, 1), QN_OK);
    uint64_t lost = was - get(&f, 101).stake.uqn;
    CHECK(lost == was * (181818 * 3) / 1000000);
    CHECK_RC(accuse(&f, 9, 101, 0, 1, 1), QN_E_DUPLICATE);
    was = get(&f, 102).stake.uqn;
    burnt_is = qn_view_balance(f.view, &burnt).uqn;
    CHECK_RC(accuse(&f, 9, 102, 0, 3, 1), QN_OK);
    CHECK(get(&f, 102).stake.uqn == 0); /* 6/5.5: all of it */
    CHECK(qn_view_balance(f.view, &burnt).uqn - burnt_is == was - was / 10 + f.last.fee.uqn);
    qn_fix_wait(&f, 60000 * 2);
    CHECK_RC(accuse(&f, 9, 103, 0, 1, 1), QN_OK);
    qn_fix_fini(&f);
    chain_of_four(&f);
    for (int i = 0; i < 3; i++) {
        qn_fix_wait(&f, 60000);
        qn_fix_wait(&f, 1);
    }
    CHECK_RC(accuse(&f, 9, 103, 0, 1, 1), QN_E_EXPIRED); /* unbonding is 60 s on this chain */
    CHECK_RC(accuse(&f, 9, 103, 2, 1, 1), QN_OK);
    qn_fix_fini(&f);
}

static qn_rc twins(struct qn_fix *f, unsigned key, unsigned signer, uint64_t view_b)
{
    struct qn_key k;
    uint8_t text[QN_PROPOSAL_TEXT];
    struct evidence_twins b = { .validator = qn_fix_acct(key) };
    qn_fix_key(key, &k);
    b.a = (struct qn_header){ .chain = f->chain, .view = 9, .t_ms = 1, .proposer = k.pub };
    b.b = (struct qn_header){ .chain = f->chain, .view = view_b, .t_ms = 2, .proposer = k.pub };
    struct qn_hash x = qn_header_hash(&b.a), y = qn_header_hash(&b.b);
    b.a_sig = qn_sign(&k, qn_proposal_text(&x, text));
    qn_fix_key(signer, &k);
    b.b_sig = qn_sign(&k, qn_proposal_text(&y, text));
    return qn_fix_tx(f, 9, QN_TX_EVIDENCE_TWINS, &b, NULL, NULL);
}

static void test_twins(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK(twins(&f, 103, 103, 10) != QN_OK); /* of two views: no fault */
    CHECK_RC(twins(&f, 103, 102, 9), QN_E_SIGNATURE);
    CHECK(!get(&f, 103).barred);
    uint64_t was = get(&f, 103).stake.uqn;
    CHECK_RC(twins(&f, 103, 103, 9), QN_OK);
    CHECK(get(&f, 103).barred && get(&f, 103).stake.uqn < was);
    CHECK_RC(twins(&f, 103, 103, 9), QN_E_DUPLICATE);
    qn_fix_fini(&f);
}

static struct evidence_root coded(const struct qn_fix *f, unsigned signer, uint64_t view,
                                  uint8_t root)
{
    struct qn_key k;
    struct evidence_root r = { .k = 32, .body_len = 100000, .root = { { root } } };
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, f->chain.b, 32);
    qn_buf_u32(&buf, 0);
    qn_buf_u64(&buf, view);
    qn_buf_u8(&buf, r.k);
    qn_buf_u32(&buf, r.body_len);
    qn_buf_put(&buf, r.root.b, 32);
    struct qn_hash what = qn_h("shard", buf.ptr, buf.len);
    qn_buf_free(&buf);
    qn_fix_key(signer, &k);
    r.sig = qn_sign(&k, QN_SPAN(what.b, 32));
    return r;
}

static qn_rc roots(struct qn_fix *f, unsigned signer_b, uint64_t view_b, uint8_t root_b)
{
    struct evidence_roots b = { .validator = qn_fix_acct(103), .view = 9 };
    b.a = coded(f, 103, 9, 1);
    b.b = coded(f, signer_b, view_b, root_b);
    return qn_fix_tx(f, 9, QN_TX_EVIDENCE_ROOTS, &b, NULL, NULL);
}

static void test_roots(struct qn_test_state *t)
{
    struct qn_fix f;
    chain_of_four(&f);
    CHECK(roots(&f, 103, 9, 1) != QN_OK);            /* one root, twice */
    CHECK_RC(roots(&f, 103, 10, 2), QN_E_SIGNATURE); /* signed in another view */
    CHECK_RC(roots(&f, 102, 9, 2), QN_E_SIGNATURE);
    CHECK(!get(&f, 103).barred);
    uint64_t was = get(&f, 103).stake.uqn;
    CHECK_RC(roots(&f, 103, 9, 2), QN_OK);
    CHECK(get(&f, 103).barred && get(&f, 103).stake.uqn < was);
    CHECK_RC(roots(&f, 103, 9, 3), QN_E_DUPLICATE);
    qn_fix_fini(&f);
}

static void test_jail(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_stake_sets sets;
    struct validator_unjail un = { qn_fix_acct(103) };
    const uint8_t bits[] = { 0x07 }, all[] = { 0x0f }; /* 103 does not sign */
    chain_of_four(&f);
    for (unsigned i = 0; i < 150;
         i++) { /* 101 says it heard nothing of 103; 102 did, and 184 of 550 would be needed */
        f.proposer = qn_fix_acct(i % 3 == 2 ? 102 : 101);
        qn_state_signers(f.st, i % 3 == 2 ? all : bits, 4);
        qn_fix_wait(&f, 1);
    }
    CHECK(get(&f, 103).absent_cnt == 0);
    /* Half of 10,000 blocks are a quarter of an hour and more of a devnet that nobody uses: no restart takes so long. What one window has
     * seen is forgotten with it. */
    for (unsigned part = 0; part < 2; part++) {
        while (part && f.height < 10000)
            qn_fix_wait(&f, 1);
        for (unsigned i = 0; i < 4999; i++) {
            f.proposer = qn_fix_acct(100 + i % 3);
            qn_state_signers(f.st, bits, 4);
            qn_fix_wait(&f, 1);
        }
        CHECK(get(&f, 103).jailed_ms == 0 && get(&f, 103).absent_cnt == 4999);
    }
    qn_state_signers(f.st, bits, 4);
    qn_fix_wait(&f, 1);
    CHECK(get(&f, 103).jailed_ms != 0 && get(&f, 102).absent_cnt == 0);
    CHECK_RC(qn_fix_tx(&f, 3, QN_TX_VALIDATOR_UNJAIL, &un, NULL, NULL), QN_E_STATE);
    qn_fix_wait(&f, 60000); /* ends the epoch: who is jailed is not elected */
    qn_stake_set(f.view, &sets);
    CHECK(sets.last && sets.now.epoch == 1 && sets.now.cnt == 4);
    CHECK(sets.next.epoch == 2 && sets.next.cnt == 3);
    CHECK_RC(qn_fix_tx(&f, 2, QN_TX_VALIDATOR_UNJAIL, &un, NULL, NULL), QN_E_AUTH);
    CHECK_RC(qn_fix_tx(&f, 3, QN_TX_VALIDATOR_UNJAIL, &un, NULL, NULL), QN_OK);
    CHECK_RC(qn_fix_tx(&f, 3, QN_TX_VALIDATOR_UNJAIL, &un, NULL, NULL), QN_E_STATE);
    qn_fix_fini(&f);
}

static void test_epochs(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_stake_sets s, before;
    struct qn_key k;
    chain_of_four(&f);
    qn_stake_set(f.view, &s);
    CHECK(!s.last && s.now.epoch == 0 && s.now.cnt == 4 && s.next.epoch == 1 && s.next.cnt == 4);
    CHECK(s.now.weights[0] == QN(250) && s.now.weights[3] == QN(100));
    CHECK_RC(create(&f, 5, 110, 5, QN(500)), QN_OK);
    qn_fix_wait(&f, 30000);
    qn_stake_set(f.view, &before);
    CHECK(!before.last && before.next.cnt == 4); /* fixed an epoch before */
    qn_fix_wait(&f, 30000);
    qn_stake_set(f.view, &s);
    CHECK(s.last && s.now.epoch == 1 && s.now.cnt == 4 && s.next.epoch == 2 && s.next.cnt == 5);
    qn_fix_key(100, &k);
    CHECK(qn_hash_eq(&s.next.keys[0], &k.pub)); /* most stake first */
    qn_fix_key(110, &k);
    CHECK(qn_hash_eq(&s.next.keys[1], &k.pub) && s.next.weights[1] == QN(300)); /* capped */
    struct qn_hash next = qn_set_hash(&s.next), now;
    qn_fix_wait(&f, 1);
    qn_stake_set(f.view, &s);
    CHECK(!s.last && s.now.epoch == 1 && s.next.epoch == 2);
    now = qn_set_hash(&s.next);
    CHECK(qn_hash_eq(&next, &now));
    qn_fix_wait(&f, 70000);
    qn_fix_wait(&f, 1);
    qn_stake_set(f.view, &s);
    now = qn_set_hash(&s.now);
    CHECK(!s.last && s.now.epoch == 2 && qn_hash_eq(&next, &now));
    CHECK(!qn_stake_past(f.view, 0, &before.now) && !qn_stake_past(f.view, 4, &before.now));
    CHECK(qn_stake_past(f.view, 1, &before.now) && before.now.cnt == 4 && before.now.epoch == 1);
    CHECK(qn_stake_past(f.view, 3, &before.now) && before.now.cnt == 5);
    qn_fix_fini(&f);
}

/* Without stake the genesis' validators stay, through any number of epochs; until enough is staked. */
static void test_unstaked(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_stake_sets s;
    struct qn_key k;
    qn_fix_init(&f, NULL, 0, NULL);
    for (int i = 0; i < 10; i++)
        qn_fix_wait(&f, 60000);
    qn_fix_key(1000, &k);
    CHECK_RC(create(&f, 5, 110, 5, QN(500)), QN_OK);
    for (int i = 0; i < 4; i++)
        qn_fix_wait(&f, 60000);
    qn_stake_set(f.view, &s);
    CHECK(s.now.cnt == 1 && qn_hash_eq(&s.now.keys[0], &k.pub) && s.now.weights[0] == 1);
    for (unsigned i = 6; i < 18; i++)
        CHECK_RC(stake(&f, QN_TX_DELEGATE, i, 110, QN(900)), QN_OK); /* past 10,000 QN */
    for (int i = 0; i < 3; i++)
        qn_fix_wait(&f, 60000);
    qn_stake_set(f.view, &s);
    qn_fix_key(110, &k);
    CHECK(s.now.cnt == 1 && qn_hash_eq(&s.now.keys[0], &k.pub) && s.now.weights[0] > QN(10000));
    qn_fix_fini(&f);
}

/* --- a long life ------------------------------------------------------------------------------------------- */

struct sums {
    uint64_t shares[8], leaving[8], locked[8][20];
    uint32_t moves[8];
};

static int number(const struct qn_hash *id)
{
    for (unsigned i = 0; i < 8; i++) {
        struct qn_hash k = qn_fix_acct(100 + i);
        if (qn_hash_eq(&k, id)) return (int)i;
    }
    QN_BUG("a validator of nobody");
}

static int person(const struct qn_hash *acct)
{
    for (unsigned i = 0; i < 20; i++) {
        struct qn_hash a = qn_fix_acct(i);
        if (qn_hash_eq(&a, acct)) return (int)i;
    }
    QN_BUG("an account of nobody");
}

static void check_sums(struct qn_test_state *t, const struct qn_fix *f)
{
    struct sums s = { 0 };
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_arena arena = { 0 };
    struct qn_hash a, b;
    uint8_t last[64];
    while (qn_view_next(f->view, QN_TABLE_UNBOND, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_unbond u;
        QN_ASSERT(qn_decode(qn_unbond_record(), val, &arena, &u, NULL) == QN_OK);
        int v = number(&u.validator);
        if (u.to.has) {
            s.locked[number(&u.to.v)][person(&u.owner)] += u.shares;
            s.moves[v]++;
        } else {
            s.leaving[v] += u.shares;
        }
        memcpy(last, key.ptr, 32);
        after = QN_SPAN(last, 32);
    }
    after = QN_SPAN(NULL, 0);
    while (qn_view_next(f->view, QN_TABLE_DELEGATION, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_delegation d;
        QN_ASSERT(qn_decode(qn_delegation_record(), val, &arena, &d, NULL) == QN_OK);
        memcpy(last, key.ptr, 64);
        memcpy(a.b, last, 32);
        memcpy(b.b, last + 32, 32);
        after = QN_SPAN(last, 64);
        s.shares[number(&a)] += d.shares;
        CHECK(d.locked == s.locked[number(&a)][person(&b)]);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct qn_hash id = qn_fix_acct(100 + i);
        struct qn_validator v;
        if (qn_stake_get(f->view, &id, &arena, &v)) continue;
        CHECK(v.shares == s.shares[i] && v.leaving_shares == s.leaving[i]);
        CHECK(v.moves == s.moves[i]);
        CHECK(held(f, "bond", 100 + i) == v.stake.uqn);
        CHECK(held(f, "leaving", 100 + i) == v.leaving.uqn);
    }
    qn_arena_free(&arena);
}

static void test_life(struct qn_test_state *t)
{
    uint64_t seeds = test_long() ? 40 : 4, done[16] = { 0 };
    for (uint64_t seed = 0; seed < seeds && !t->bad; seed++) {
        struct qn_fix f;
        uint64_t r = seed * 977 + 1;
        chain_of_four(&f);
        for (unsigned i = 0; i < 600 && !t->bad; i++) {
            struct qn_hash draw = qn_h("life", &r, sizeof r);
            memcpy(&r, draw.b, sizeof r);
            unsigned who = draw.b[8] % 20, key = 100 + draw.b[9] % 8, to = 100 + draw.b[10] % 8,
                     what = draw.b[11] % 12;
            uint64_t uqn = draw.b[12] % 4 == 0   ? 0
                           : draw.b[12] % 4 == 1 ? 1u + draw.b[13]
                                                 : QN(1 + draw.b[13] % 60) + draw.b[14];
            struct qn_hash id = qn_fix_acct(key), to_id = qn_fix_acct(to);
            struct qn_validator v;
            bool is = qn_stake_get(f.view, &id, &f.arena, &v) == QN_OK;
            f.proposer = is ? id : qn_fix_acct(100);
            qn_rc rc = QN_E_AGAIN;
            if (!is)
                rc = create(&f, who, key, who, QN(2) + uqn);
            else if (what < 4)
                rc = stake(&f, QN_TX_DELEGATE, who, key, uqn);
            else if (what < 7)
                rc = stake(&f, QN_TX_UNDELEGATE, who, key, uqn);
            else if (what < 9 && qn_stake_get(f.view, &to_id, &f.arena, &v) == QN_OK)
                rc = move(&f, who, key, to, uqn);
            else if (what == 9 && draw.b[15] < 30)
                rc = accuse(&f, who, key, qn_epoch_get(f.view).epoch, 1, 1);
            else
                qn_fix_wait(&f, draw.b[16] * 100u);
            if (rc == QN_OK) done[QN_MIN(what, 15u)]++;
            if (i % 10 == 0) check_sums(t, &f);
        }
        check_sums(t, &f);
        qn_fix_wait(&f, 100000); /* all that left is paid, all that moved is free */
        check_sums(t, &f);
        struct qn_span k, val;
        CHECK(!qn_view_next(f.view, QN_TABLE_UNBOND, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &k, &val));
        CHECK(!qn_view_next(f.view, QN_TABLE_MOVE, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &k, &val));
        for (unsigned key = 100; key < 108; key++) /* everybody leaves: nothing stays behind */
            for (unsigned who = 0; who < 20; who++) {
                qn_rc rc = stake(&f, QN_TX_UNDELEGATE, who, key, 0);
                CHECK(rc == QN_OK || rc == QN_E_FUNDS || rc == QN_E_NOTFOUND || rc == QN_E_STATE);
            }
        qn_fix_wait(&f, 100000);
        check_sums(t, &f);
        for (unsigned key = 100; key < 108; key++)
            CHECK(held(&f, "leaving", key) == 0);
        qn_fix_fini(&f);
    }
    CHECK(done[0] && done[4] && done[7] && done[9]); /* each thing happened */
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_create);
    TEST(test_rewards);
    TEST(test_leave);
    TEST(test_move);
    TEST(test_dust);
    TEST(test_evidence);
    TEST(test_twins);
    TEST(test_roots);
    TEST(test_jail);
    TEST(test_epochs);
    TEST(test_unstaked);
    TEST(test_life);
    return TEST_END();
}
