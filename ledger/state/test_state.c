/* test_state.c - sending, fees, rollback, mandates, mint, conservation. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/state/fixture.h"
#include "ledger/state/state_in.h"

static uint64_t balance(const struct qn_fix *f, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(f->view, &acct).uqn;
}

static void test_send(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    qn_fix_init(&f, NULL, 0, NULL);
    struct ledger_send send = { .to = qn_fix_acct(50), .amount = QN_UQN(5000000) };
    uint64_t before = balance(&f, 0);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_OK);
    CHECK(balance(&f, 50) == 5000000);
    CHECK(before - balance(&f, 0) == 5000000 + f.last.fee.uqn && f.last.fee.uqn > 0);
    send.amount = QN_UQN(2000 * QN_UQN_PER_QN); /* more than there is: only the fee goes */
    before = balance(&f, 0);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_E_FUNDS);
    CHECK(before - balance(&f, 0) == f.last.fee.uqn && balance(&f, 50) == 5000000);
    CHECK_RC(qn_fix_tx(&f, 99, QN_TX_SEND, &send, NULL, &why), QN_E_FUNDS); /* cannot pay the fee */
    send.amount = QN_UQN(0);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_E_RANGE);
    qn_fix_fini(&f);
}

/* Accounts that code keeps sums about: nobody sends coins into them, and what lay there before they were made is burnt. */
static void test_accounts_of_code(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    const struct qn_hash zero = { { 0 } };
    struct qn_hash pools[] = { qn_acct_fees(), qn_acct_burnt(), qn_acct_unissued(),
                               qn_acct_module(0, "subnets", &zero) };
    qn_fix_init(&f, NULL, 0, NULL);
    for (size_t i = 0; i < QN_COUNT(pools); i++) {
        struct ledger_send send = { .to = pools[i], .amount = QN_UQN(1) };
        CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_E_REFUSED);
    }
    struct qn_hash later = qn_acct_module(1, "bond", &zero);
    struct ledger_send send = { .to = later, .amount = QN_UQN(7) };
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_OK);
    CHECK(qn_view_balance(f.view, &later).uqn == 7);
    struct qn_apply ap = { .view = f.view, .arena = &f.arena };
    qn_acct_own(&ap, &later, "bond of a test", &zero);
    CHECK(qn_view_balance(f.view, &later).uqn == 0);
    CHECK(qn_state_sum(f.view).uqn == QN_SUPPLY_UQN);
    qn_state_accept(f.st, NULL, NULL);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, &why), QN_E_REFUSED);
    qn_fix_fini(&f);
}

static void test_mint(struct qn_test_state *t)
{
    struct qn_fix f;
    qn_fix_init(&f, NULL, 0, NULL);
    uint64_t before = balance(&f, 1000);
    qn_fix_wait(&f, 1000);
    CHECK(balance(&f, 1000) - before == 83181 / 5); /* 83,181 uqn a second, a fifth to validators */
    before = balance(&f, 1000);
    qn_fix_wait(&f, 1000000); /* a gap pays ten seconds at most */
    CHECK(balance(&f, 1000) - before == 831810 / 5);
    qn_fix_fini(&f);
}

static void test_mandate(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    struct qn_hash id = { { 0 } };
    qn_fix_init(&f, NULL, 0, NULL);
    struct mandate_payee payees[] = { { qn_fix_acct(2), QN_UQN(3000000), QN_UQN(0) },
                                      { qn_fix_acct(3), QN_UQN(0), QN_UQN(0) } };
    struct mandate_open open = { .key = qn_fix_acct(1),
                                 .total = QN_UQN(6000000),
                                 .call_max = QN_UQN(2000000),
                                 .rate_uqn_h = 3600000000,
                                 .burst_ms = 5000,
                                 .payees = { 2, payees },
                                 .expires_ms = f.now_ms + 1000000 };
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_MANDATE_OPEN, &open, NULL, &why), QN_OK);
    CHECK(qn_fix_event(&f, "mandate.opened", &id));
    struct ledger_send send = { .to = qn_fix_acct(2), .amount = QN_UQN(1000000) };
    uint64_t owner = balance(&f, 0), agent = balance(&f, 1);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_OK);
    CHECK(balance(&f, 1) == agent && owner - balance(&f, 0) == 1000000 + f.last.fee.uqn);
    CHECK_RC(qn_fix_tx(&f, 4, QN_TX_SEND, &send, &id, &why), QN_E_AUTH); /* another key */
    send.amount = QN_UQN(2000001);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_LIMIT); /* call_max */
    send.amount = QN_UQN(2000000);
    send.to = qn_fix_acct(5);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_AUTH); /* not a payee */
    send.to = qn_fix_acct(2);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_OK);
    send.amount = QN_UQN(1);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_LIMIT); /* payee's cap */
    send.to = qn_fix_acct(3);
    send.amount = QN_UQN(2000000);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_OK);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_LIMIT); /* rate or total */
    qn_fix_wait(&f, 100000);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_LIMIT); /* total */
    send.amount = QN_UQN(1000);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_OK);
    struct mandate_revoke revoke = { .mandate = id };
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_MANDATE_REVOKE, &revoke, NULL, &why), QN_E_AUTH);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_MANDATE_REVOKE, &revoke, NULL, &why), QN_OK);
    CHECK_RC(qn_fix_tx(&f, 1, QN_TX_SEND, &send, &id, &why), QN_E_AUTH);
    qn_fix_fini(&f);
}

static void test_forge(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    struct qn_key key;
    struct qn_buf raw = { 0 }, bytes = { 0 };
    struct qn_hash id;
    struct qn_tx tx;
    struct qn_tx_opts opts = { 0 };
    qn_fix_init(&f, NULL, 0, NULL);
    qn_fix_key(0, &key);
    struct ledger_send send = { .to = qn_fix_acct(1), .amount = QN_UQN(1) };
    qn_encode(ledger_send_record(), &send, &raw);
    qn_tx_build(&f.chain, QN_TX_SEND, qn_buf_get(&raw), &key, f.now_ms, &opts, &bytes, &id);
    for (size_t i = 0; i < bytes.len; i++) { /* every byte is bound by the signature */
        bytes.ptr[i] ^= 0x40;
        struct qn_arena arena = { 0 };
        if (qn_decode(qn_tx_record(), qn_buf_get(&bytes), &arena, &tx, &why) == QN_OK) {
            struct qn_hash other = qn_tx_id(&tx);
            CHECK(qn_tx_check(&tx, &other, &f.chain, &why) != QN_OK);
        }
        bytes.ptr[i] ^= 0x40;
        qn_arena_free(&arena);
    }
    qn_buf_free(&raw);
    qn_buf_free(&bytes);
    qn_fix_fini(&f);
}

/* Many at once: what is said of each is what is said of it alone, of plain keys and of policies of several. */
enum { MANY = 150 };

struct many {
    struct qn_hash ids[MANY];
    struct qn_tx tx[MANY];
    struct qn_auth auth[MANY];
    struct qn_auth_sig sigs[MANY][32];
    uint8_t policy[MANY][3 + 32 * 32];
};

static void many_make(struct many *m, const struct qn_hash *chain, unsigned i)
{
    static const uint8_t OF[4][2] = { { 1, 1 }, { 2, 3 }, { 32, 32 }, { 1, 5 } };
    uint8_t need = OF[i % 4][0], keys = OF[i % 4][1], msg[73] = "quoin tx";
    struct qn_key key;
    m->policy[i][0] = 1;
    m->policy[i][1] = need;
    m->policy[i][2] = keys;
    for (unsigned k = 0; k < keys; k++) {
        qn_fix_key(i + k, &key);
        memcpy(&m->policy[i][3 + 32 * k], key.pub.b, 32);
    }
    m->auth[i].policy = QN_SPAN(m->policy[i], 3 + 32u * keys);
    m->auth[i].acct = qn_h("acct", m->policy[i], m->auth[i].policy.len);
    m->auth[i].sigs.ptr = m->sigs[i];
    m->auth[i].sigs.cnt = need;
    m->tx[i] = (struct qn_tx){ .ver = 1,
                               .chain = *chain,
                               .kind = QN_TX_SEND,
                               .sender = m->auth[i].acct,
                               .salt = i,
                               .until_ms = 1000,
                               .auths = { 1, &m->auth[i] } };
    m->ids[i] = qn_tx_id(&m->tx[i]);
    memcpy(msg + 9, chain->b, 32);
    memcpy(msg + 41, m->ids[i].b, 32);
    for (uint8_t k = 0; k < need; k++) { /* the last keys */
        m->sigs[i][k].key = (uint8_t)(keys - need + k);
        qn_fix_key(i + m->sigs[i][k].key, &key);
        m->sigs[i][k].sig = qn_sign(&key, QN_SPAN(msg, sizeof msg));
    }
}

static void test_check_many(struct qn_test_state *t)
{
    struct many *m = calloc(1, sizeof *m);
    struct qn_hash chain = { { 7 } };
    const struct qn_tx *txs[MANY];
    struct qn_why one, many;
    qn_rc rc[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        txs[i] = &m->tx[i];
        many_make(m, &chain, i);
    }
    CHECK_RC(qn_tx_check_many(txs, m->ids, 0, &chain, rc, &many), QN_OK);
    CHECK_RC(qn_tx_check_many(txs, m->ids, MANY, &chain, rc, &many), QN_OK);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_RC(rc[i], QN_OK);
    m->sigs[9][1].sig.b[3] ^= 1;
    m->sigs[42][31].sig.b[40] ^= 1;
    m->tx[77].ver = 2;
    m->sigs[101][0].key = 2; /* another's */
    m->auth[118].sigs.cnt = 31;
    m->policy[149][5] ^= 1;
    for (unsigned first = 0; first < MANY; first += 13) {
        qn_rc rc_one, want = QN_OK;
        qn_rc rc_many =
            qn_tx_check_many(txs + first, m->ids + first, MANY - first, &chain, rc, &many);
        for (unsigned i = first; i < MANY; i++) {
            rc_one = qn_tx_check(txs[i], &m->ids[i], &chain, &one);
            CHECK_RC(rc[i - first], rc_one);
            CHECK((rc_one != QN_OK) ==
                  (i == 9 || i == 42 || i == 77 || i == 101 || i == 118 || i == 149));
            if (want == QN_OK && rc_one) {
                want = rc_one;
                CHECK(strcmp(one.text, many.text) == 0);
            }
        }
        CHECK_RC(rc_many, want);
    }
    free(m);
}

/* What a contract keeps for its callers no mandate counts: an agent calls contracts in its owner's name only when told so. */
static void test_mandate_contract(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    struct qn_hash id = { { 0 } };
    struct mandate_payee payee = { .acct = qn_fix_acct(2) };
    uint64_t kinds[] = { QN_TX_CALL };
    qn_fix_init(&f, NULL, 0, NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct mandate_open open = { .key = qn_fix_acct(1),
                                     .total = QN_UQN(6000000),
                                     .call_max = QN_UQN(2000000),
                                     .payees = { 1, &payee },
                                     .kinds = { i, kinds },
                                     .expires_ms = f.now_ms + 1000000 };
        CHECK_RC(qn_fix_tx(&f, 0, QN_TX_MANDATE_OPEN, &open, NULL, &why), QN_OK);
        CHECK(qn_fix_event(&f, "mandate.opened", &id));
        struct qn_apply ap = { .view = f.view,
                               .arena = &f.arena,
                               .now_ms = f.now_ms,
                               .signer = qn_fix_acct(1),
                               .mandate = { true, id } };
        struct qn_hash owner;
        CHECK_RC(qn_mandate_begin(&ap, QN_TX_CALL, &owner, &why), i ? QN_OK : QN_E_AUTH);
        CHECK_RC(qn_mandate_begin(&ap, QN_TX_DEPLOY, &owner, &why), QN_E_AUTH);
        CHECK_RC(qn_mandate_begin(&ap, QN_TX_SEND, &owner, &why), i ? QN_E_AUTH : QN_OK);
    }
    qn_fix_fini(&f);
}

/* No node falls over coins that reached an account of the ledger's own. */
static void test_gifts(struct qn_test_state *t)
{
    struct qn_fix f;
    qn_fix_init(&f, NULL, 0, NULL);
    const struct qn_hash to[] = { qn_acct_fees(), qn_acct_unissued(), qn_acct_burnt() };
    for (size_t i = 0; i < QN_COUNT(to); i++) {
        qn_fix_gift(&f, 0, &to[i], 1000000);
        qn_fix_wait(&f, 10);
    }
    CHECK(qn_view_balance(f.view, &to[0]).uqn == 0);
    CHECK(qn_view_balance(f.view, &to[2]).uqn >= 2000000); /* what was sent to fees is burnt, too */
    qn_fix_wait(&f, 1000);
    qn_fix_fini(&f);
}

/* Nobody buys a transaction that holds every node up for seconds. */
static void test_gas_max(struct qn_test_state *t)
{
    struct qn_fix f;
    struct qn_why why = { "" };
    struct qn_key key;
    struct qn_hash id;
    struct qn_tx tx;
    struct qn_buf body = { 0 }, bytes = { 0 };
    qn_fix_init(&f, NULL, 0, NULL);
    qn_fix_key(0, &key);
    struct ledger_send send = { .to = qn_fix_acct(2), .amount = QN_UQN(1) };
    qn_encode(ledger_send_record(), &send, &body);
    for (unsigned i = 0; i < 2; i++) {
        struct qn_tx_opts opts = { .gas_max = i ? UINT32_MAX : 100000000u,
                                   .fee_max = QN_UQN(10 * QN_UQN_PER_QN) };
        qn_buf_clear(&bytes);
        qn_tx_build(&f.chain, QN_TX_SEND, qn_buf_get(&body), &key, f.now_ms, &opts, &bytes, &id);
        CHECK_RC(qn_decode(qn_tx_record(), qn_buf_get(&bytes), &f.arena, &tx, &why), QN_OK);
        CHECK_RC(qn_state_payable(f.st, &tx, bytes.len, f.now_ms, &why), i ? QN_E_GAS : QN_OK);
    }
    qn_buf_free(&body);
    qn_buf_free(&bytes);
    qn_fix_fini(&f);
}

static void dear_fire(struct qn_apply *ap, const struct qn_hash *id)
{
    qn_due_cost(ap, 30000000);
    qn_emit(ap, "dear.fired", id, qn_due_row_record(), &(struct qn_due_row){ 0 });
}

static void dear_genesis(struct qn_apply *ap)
{
    for (uint32_t i = 0; i < 10; i++) {
        struct qn_hash id = qn_h("dear", &i, sizeof i);
        qn_due_set(ap, 0x0101, &id, ap->now_ms + 1000);
    }
}

/* Deadlines that fall together do not stop a block: a block's gas of them fire, the others in the next ones. */
static void test_dear_dues(struct qn_test_state *t)
{
    static const struct qn_due_kind dues[] = { { 0x0101, "dear", dear_fire }, { 0 } };
    const struct qn_exec_module mod = { .name = "dear", .dues = dues, .genesis = dear_genesis };
    struct qn_fix f;
    qn_fix_init(&f, &mod, 1, NULL);
    qn_fix_wait(&f, 1000);
    CHECK(f.event_cnt == 4);
    qn_fix_wait(&f, 1);
    CHECK(f.event_cnt == 4);
    qn_fix_wait(&f, 1);
    CHECK(f.event_cnt == 2);
    qn_fix_fini(&f);
}

/* A block of more bytes than one may have, of cheap transactions with long policies: who makes it leaves out what is too much, who is shown it
 * takes none of it. */
static void test_block_bytes(struct qn_test_state *t)
{
    enum { CNT = 2000, POLICY = 1100 };
    struct qn_fix f;
    struct qn_why why = { "" };
    struct qn_buf body = { 0 }, bytes = { 0 };
    struct qn_outcome out;
    static struct qn_tx txs[CNT];
    static struct qn_hash ids[CNT];
    static bool misfit[CNT];
    static const uint8_t policy[POLICY];
    size_t len = 0, room = 0;
    qn_fix_init(&f, NULL, 0, NULL);
    struct ledger_send send = { .to = qn_fix_acct(30), .amount = QN_UQN(1) };
    qn_encode(ledger_send_record(), &send, &body);
    for (unsigned i = 0; i < CNT; i++) {
        struct qn_key key;
        struct qn_tx_opts opts = { .salt = i };
        qn_fix_key(i % 20, &key);
        qn_buf_clear(&bytes);
        qn_tx_build(&f.chain, QN_TX_SEND, qn_buf_get(&body), &key, f.now_ms, &opts, &bytes,
                    &ids[i]);
        void *copy = qn_arena_copy(&f.arena, bytes.ptr, bytes.len);
        CHECK_RC(qn_decode(qn_tx_record(), QN_SPAN(copy, bytes.len), &f.arena, &txs[i], &why),
                 QN_OK);
        txs[i].auths.ptr[0].policy = QN_SPAN_OF(policy); /* not looked at any more here */
        len += qn_tx_len(&txs[i]);
        if (len <= QN_BLOCK_BYTES) room = i + 1;
    }
    CHECK(len > QN_BLOCK_BYTES && room > 0);
    struct qn_hash root = qn_trie_root(qn_state_trie(f.st));
    CHECK_RC(qn_state_block(f.st, 1, f.now_ms + 10, &f.chain, &f.proposer, txs, ids, CNT, &f.arena,
                            NULL, &out, &why),
             QN_E_LIMIT);
    qn_state_reject(f.st);
    struct qn_hash after = qn_trie_root(qn_state_trie(f.st));
    CHECK(qn_hash_eq(&root, &after));
    CHECK_RC(qn_state_block(f.st, 1, f.now_ms + 10, &f.chain, &f.proposer, txs, ids, CNT, &f.arena,
                            misfit, &out, &why),
             QN_OK);
    CHECK(out.receipt_cnt == room);
    qn_state_reject(f.st);
    CHECK_RC(qn_state_block(f.st, 1, f.now_ms + 10, &f.chain, &f.proposer, txs, ids, (uint32_t)room,
                            &f.arena, NULL, &out, &why),
             QN_OK);
    qn_state_reject(f.st);
    qn_buf_free(&body);
    qn_buf_free(&bytes);
    qn_fix_fini(&f);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_send);
    TEST(test_accounts_of_code);
    TEST(test_mint);
    TEST(test_mandate);
    TEST(test_forge);
    TEST(test_check_many);
    TEST(test_mandate_contract);
    TEST(test_gifts);
    TEST(test_gas_max);
    TEST(test_dear_dues);
    TEST(test_block_bytes);
    return TEST_END();
}
