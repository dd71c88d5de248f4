/* test_channel.c - channels on a ledger in memory: every limit, replay, forgery, deadlines, mandates; no coin lost. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/module/module.h"
#include "ledger/state/fixture.h"
#include "modules/agents/channel.h"

#include <sodium.h>

extern const struct qn_module agents_module;

enum { OPEN = AGENTS_TAG << 8 | 0x10, FUND, CLAIM, CLOSE };

struct world {
    struct qn_fix fix;
    struct qn_exec_module exec;
    struct qn_key signer;
    struct qn_hash channel;
    struct qn_why why;
};

static uint64_t balance(const struct world *w, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(w->fix.view, &acct).uqn;
}

static void begin(struct world *w)
{
    const struct qn_module *m = &agents_module;
    w->exec = (struct qn_exec_module){ m->name,  m->txs,     m->dues,     m->tables,
                                       m->chain, m->genesis, m->block_end };
    qn_fix_init(&w->fix, &w->exec, 1, NULL);
    qn_fix_key(7, &w->signer);
}

static struct channel_open terms(const struct world *w)
{
    return (struct channel_open){ .payee = qn_fix_acct(1),
                                  .signer = w->signer.pub,
                                  .deposit = QN_UQN(1000000),
                                  .step_max = QN_UQN(1000),
                                  .calls_max = 1000,
                                  .rate_uqn_s = 0,
                                  .burst = QN_UQN(1000000),
                                  .delay_ms = 60000 };
}

static qn_rc open_channel(struct world *w, const struct channel_open *t, unsigned who,
                          const struct qn_hash *mandate)
{
    qn_rc rc = qn_fix_tx(&w->fix, who, OPEN, t, mandate, &w->why);
    if (rc == QN_OK) QN_ASSERT(qn_fix_event(&w->fix, "channel.opened", &w->channel));
    return rc;
}

static struct channel_claim claim(const struct world *w, uint64_t seq, uint64_t cum)
{
    struct channel_claim c = {
        .voucher = { .channel = w->channel, .seq = seq, .cum = QN_UQN(cum), .ack = seq }
    };
    voucher_sign(&w->fix.chain, &w->signer, &c.voucher);
    return c;
}

static qn_rc pay(struct world *w, uint64_t seq, uint64_t cum)
{
    struct channel_claim c = claim(w, seq, cum);
    return qn_fix_tx(&w->fix, 1, CLAIM, &c, NULL, &w->why);
}

static void test_limits(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    struct channel_open o = terms(&w);
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    CHECK_RC(pay(&w, 1, 1001), QN_E_LIMIT); /* step_max */
    CHECK_RC(pay(&w, 10, 9000), QN_OK);
    CHECK_RC(pay(&w, 10, 9500), QN_E_DUPLICATE); /* the same number again */
    CHECK_RC(pay(&w, 9, 9500), QN_E_DUPLICATE);
    CHECK_RC(pay(&w, 11, 8000), QN_E_RANGE);     /* less than before */
    CHECK_RC(pay(&w, 1001, 900000), QN_E_LIMIT); /* calls_max: the 1,001st */
    CHECK_RC(pay(&w, 1000, 999000), QN_OK);
    CHECK_RC(pay(&w, 1000, 999000), QN_E_DUPLICATE);
    struct channel_close close = { .channel = w.channel };
    uint64_t payer = balance(&w, 0);
    CHECK_RC(qn_fix_tx(&w.fix, 2, CLOSE, &close, NULL, &w.why), QN_E_AUTH);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLOSE, &close, NULL, &w.why), QN_OK); /* the payee ends at once */
    CHECK(balance(&w, 0) - payer == 1000);
    CHECK_RC(pay(&w, 1000, 999500), QN_E_STATE);
    qn_fix_fini(&w.fix);
}

static void test_forgery(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    struct channel_open o = terms(&w);
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    struct channel_claim c = claim(&w, 1, 500);
    c.voucher.cum = QN_UQN(600);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_E_SIGNATURE);
    c = claim(&w, 1, 500);
    struct qn_hash other = qn_blake3("another chain", 13);
    voucher_sign(&other, &w.signer, &c.voucher);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_E_SIGNATURE);
    c = claim(&w, 1, 500);
    struct qn_key thief;
    qn_fix_key(9, &thief);
    voucher_sign(&w.fix.chain, &thief, &c.voucher);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_E_SIGNATURE);
    c = claim(&w, 1, 500);
    uint64_t before = balance(&w, 1);
    CHECK_RC(qn_fix_tx(&w.fix, 9, CLAIM, &c, NULL, &w.why),
             QN_OK); /* anyone may carry it: the payee is paid */
    CHECK(balance(&w, 1) - before == 500);
    qn_fix_fini(&w.fix);
}

static void test_rate_and_ticks(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    struct channel_open o = terms(&w);
    o.rate_uqn_s = 1000;
    o.burst = QN_UQN(500);
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    CHECK_RC(pay(&w, 1, 1000), QN_E_LIMIT); /* burst 500 and a few ms of rate */
    qn_fix_wait(&w.fix, 1000);
    CHECK_RC(pay(&w, 1, 1000), QN_OK);
    struct qn_hash link[5];
    link[0] = qn_blake3("secret", 6);
    for (int i = 1; i < 5; i++)
        crypto_hash_sha256(link[i].b, link[i - 1].b, 32);
    struct channel_claim c = claim(&w, 2, 1000);
    c.voucher.anchor = link[4];
    c.voucher.tick_cnt = 4;
    c.voucher.tick = QN_UQN(10);
    voucher_sign(&w.fix.chain, &w.signer, &c.voucher);
    c.ticks = 3;
    c.tick = link[2];
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_E_PROOF);
    c.tick = link[1];
    uint64_t before = balance(&w, 1);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_OK);
    CHECK(before + 30 == balance(&w, 1) + w.fix.last.fee.uqn);
    c.ticks = 5;
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLAIM, &c, NULL, &w.why), QN_E_LIMIT);
    qn_fix_fini(&w.fix);
}

static void test_deadline(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    struct channel_open o = terms(&w);
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    struct channel_close close = { .channel = w.channel };
    CHECK_RC(qn_fix_tx(&w.fix, 0, CLOSE, &close, NULL, &w.why), QN_OK);
    CHECK_RC(qn_fix_tx(&w.fix, 0, CLOSE, &close, NULL, &w.why), QN_E_STATE);
    CHECK_RC(pay(&w, 5, 4000), QN_OK); /* what was promised stays payable until the end */
    struct channel_fund fund = { .channel = w.channel, .amount = QN_UQN(5) };
    CHECK_RC(qn_fix_tx(&w.fix, 0, FUND, &fund, NULL, &w.why), QN_E_STATE);
    uint64_t before = balance(&w, 0);
    qn_fix_wait(&w.fix, 60000);
    CHECK(balance(&w, 0) - before == 996000);
    CHECK_RC(pay(&w, 6, 5000), QN_E_STATE);
    struct qn_hash acct = channel_acct(&w.channel);
    CHECK(qn_view_balance(w.fix.view, &acct).uqn == 0);
    qn_fix_fini(&w.fix);
}

static void test_mandate(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_hash id = { { 0 } };
    begin(&w);
    struct mandate_payee payee = { qn_fix_acct(1), QN_UQN(0), QN_UQN(0) };
    struct mandate_open m = { .key = qn_fix_acct(3),
                              .total = QN_UQN(1500000),
                              .call_max = QN_UQN(1000),
                              .rate_uqn_h = 7200000,
                              .burst_ms = 3600000,
                              .payees = { 1, &payee },
                              .expires_ms = w.fix.now_ms + 1000000 };
    CHECK_RC(qn_fix_tx(&w.fix, 0, QN_TX_MANDATE_OPEN, &m, NULL, &w.why), QN_OK);
    CHECK(qn_fix_event(&w.fix, "mandate.opened", &id));
    struct channel_open o = terms(&w);
    o.step_max = QN_UQN(1001);
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_E_LIMIT); /* one call above call_max */
    o.step_max = QN_UQN(1000);
    o.rate_uqn_s = 2001;
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_E_LIMIT); /* rate */
    o.rate_uqn_s = 1500;
    uint64_t owner = balance(&w, 0), agent = balance(&w, 3);
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_OK); /* a deposit far above call_max */
    CHECK(balance(&w, 3) == agent && owner - balance(&w, 0) == 1000000 + w.fix.last.fee.uqn);
    struct qn_hash first = w.channel;
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_E_LIMIT); /* a second one passes the rate */
    o.rate_uqn_s = 100;
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_E_LIMIT); /* and the total */
    o.payee = qn_fix_acct(2);
    o.deposit = QN_UQN(10000);
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_E_AUTH); /* not a payee */
    struct channel_close close = { .channel = first };
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLOSE, &close, NULL, &w.why), QN_OK);
    CHECK(balance(&w, 0) > owner - 10000); /* the deposit came back to the owner */
    o = terms(&w);
    o.rate_uqn_s = 1500;
    CHECK_RC(open_channel(&w, &o, 3, &id), QN_OK); /* and the mandate is free again */
    qn_fix_fini(&w.fix);
}

/* A mandate without a rate counts the rates of its channels all the same: more than the row can hold is refused. */
static void test_rates(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_hash id = { { 0 } };
    begin(&w);
    struct mandate_payee payee = { qn_fix_acct(1), QN_UQN(0), QN_UQN(0) };
    struct mandate_open open = { .key = qn_fix_acct(2),
                                 .total = QN_UQN(100000000),
                                 .call_max = QN_UQN(1000000),
                                 .payees = { 1, &payee },
                                 .expires_ms = w.fix.now_ms + 1000000 };
    CHECK_RC(qn_fix_tx(&w.fix, 0, QN_TX_MANDATE_OPEN, &open, NULL, &w.why), QN_OK);
    CHECK(qn_fix_event(&w.fix, "mandate.opened", &id));
    struct channel_open o = terms(&w);
    o.rate_uqn_s = QN_NUM_MAX / 3600;
    CHECK_RC(open_channel(&w, &o, 2, &id), QN_OK);
    CHECK_RC(open_channel(&w, &o, 2, &id), QN_E_LIMIT);
    struct channel_close close = { .channel = w.channel };
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLOSE, &close, NULL, &w.why), QN_OK);
    CHECK_RC(open_channel(&w, &o, 2, &id), QN_OK);
    /* What a channel pays out at once counts against the rate like a payment. */
    open.rate_uqn_h = 7200000;
    open.burst_ms = 1000; /* 2,000 uqn */
    CHECK_RC(qn_fix_tx(&w.fix, 0, QN_TX_MANDATE_OPEN, &open, NULL, &w.why), QN_OK);
    CHECK(qn_fix_event(&w.fix, "mandate.opened", &id));
    o.rate_uqn_s = 1000;
    CHECK_RC(open_channel(&w, &o, 2, &id), QN_E_LIMIT);
    o.burst = QN_UQN(1000);
    CHECK_RC(open_channel(&w, &o, 2, &id), QN_OK);
    qn_fix_fini(&w.fix);
}

/* Coins that a stranger sends to a channel's account neither reach a party nor stop its end. */
static void test_gift(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    struct channel_open o = terms(&w);
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    struct qn_hash acct = channel_acct(&w.channel);
    qn_fix_gift(&w.fix, 3, &acct, 5);
    struct channel_close close = { .channel = w.channel };
    uint64_t payer = balance(&w, 0);
    CHECK_RC(qn_fix_tx(&w.fix, 1, CLOSE, &close, NULL, &w.why), QN_OK);
    CHECK(balance(&w, 0) - payer == 1000000);
    o.payee =
        qn_acct_fees(); /* anybody can be a payee: what lands there is burnt at the block's end */
    CHECK_RC(open_channel(&w, &o, 0, NULL), QN_OK);
    CHECK_RC(pay(&w, 10, 9000), QN_OK);
    CHECK(qn_view_balance(w.fix.view, &o.payee).uqn == 0);
    qn_fix_fini(&w.fix);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_limits);
    TEST(test_forgery);
    TEST(test_rate_and_ticks);
    TEST(test_deadline);
    TEST(test_mandate);
    TEST(test_rates);
    TEST(test_gift);
    return TEST_END();
}
