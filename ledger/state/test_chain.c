/* test_chain.c - what a chain remembers of its transactions: over a great many of them memory stays what the window needs, no transaction of the
 * window is taken again, and every one is found where it is; before and after a checkpoint, a crash, a start, and without the checkpoint. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/still.h"
#include "ledger/state/chain.h"

#include <stdlib.h>
#include <string.h>

enum { TXS = 950, STEP_MS = 30000, RUN_IDS = 5 * TXS };

struct world {
    char home[80];
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms;
    struct qn_chain *c;
    struct qn_buf body;
    struct qn_why why;
};

static void world_init(struct world *w)
{
    struct qn_hash seed = qn_h("test chain", "v", 1), rich = qn_h("test chain", "r", 1);
    struct ledger_send s = { .to = qn_blake3("x", 1), .amount = QN_UQN(1) };
    *w = (struct world){ .home = "/tmp/quoin-chain-XXXXXX", .now_ms = 1700000001000 };
    QN_ASSERT(mkdtemp(w->home) != NULL);
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
    qn_encode(ledger_send_record(), &s, &w->body);
}

static qn_rc up(struct world *w)
{
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(100000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = genesis.grants.cnt = 1;
    genesis.validators.ptr = &w->validator.pub;
    genesis.grants.ptr = &grant;
    w->env = still_env(&w->now_ms, NULL);
    struct qn_chain_conf conf = {
        .home = w->home, .env = &w->env, .genesis = &genesis, .map_gib = 1, .run_ids = RUN_IDS
    };
    w->why.text[0] = 0;
    return qn_chain_open(&conf, &w->c, &w->why);
}

/* The i-th transaction that block h holds. Nobody looks at its signature here. */
static struct qn_tx tx_of(struct world *w, uint64_t h, uint64_t i)
{
    uint64_t t_ms = 1700000001000 + h * STEP_MS;
    struct qn_tx tx = { .ver = 1,
                        .chain = qn_chain_id(w->c),
                        .kind = QN_TX_SEND,
                        .sender = qn_acct_key(&w->rich.pub),
                        .salt = h << 16 | i,
                        .from_ms = t_ms - 1,
                        .until_ms = t_ms - 1 + QN_TX_SPAN_MS,
                        .gas_max = 1000000,
                        .fee_max = QN_UQN(QN_UQN_PER_QN),
                        .body = qn_buf_get(&w->body) };
    return tx;
}

static qn_rc make(struct world *w, uint64_t h, const struct qn_tx *txs, uint32_t cnt,
                  struct qn_hash *ret)
{
    struct qn_hash *ids = malloc((cnt + 1) * sizeof *ids);
    bool *misfit = malloc(cnt + 1);
    QN_ASSERT(ids && misfit);
    for (uint32_t i = 0; i < cnt; i++)
        ids[i] = qn_tx_id(&txs[i]);
    struct qn_make m = { .parent = qn_chain_head(w->c),
                         .view = h,
                         .t_ms = 1700000001000 + h * STEP_MS,
                         .key = &w->validator,
                         .txs = txs,
                         .ids = ids,
                         .cnt = cnt };
    qn_rc rc = qn_chain_make(w->c, &m, misfit, ret, &w->why);
    for (uint32_t i = 0; rc == QN_OK && i < cnt; i++)
        QN_ASSERT(!misfit[i]);
    free(ids);
    free(misfit);
    return rc;
}

static qn_rc block(struct world *w, uint32_t cnt)
{
    uint64_t h = qn_chain_header(w->c)->height + 1;
    struct qn_tx *txs = malloc((cnt + 1) * sizeof *txs);
    struct qn_why_final none = { NULL, NULL, 0 };
    struct qn_hash hash;
    QN_ASSERT(txs != NULL);
    for (uint32_t i = 0; i < cnt; i++)
        txs[i] = tx_of(w, h, i);
    w->now_ms = 1700000001000 + h * STEP_MS;
    qn_rc rc = make(w, h, txs, cnt, &hash);
    if (rc == QN_OK) {
        QN_ASSERT(qn_chain_block(w->c, &hash)->txs.cnt == cnt);
        rc = qn_chain_final(w->c, &hash, &none, &w->why);
    }
    if (rc == QN_OK) rc = qn_chain_save(w->c, &w->why);
    free(txs);
    return rc;
}

static void check_found(struct qn_test_state *t, struct world *w)
{
    uint64_t head = qn_chain_header(w->c)->height, height;
    struct qn_hash other = qn_blake3("none", 4);
    CHECK(!qn_chain_tx(w->c, &other, &height));
    for (uint64_t h = 1; h <= head; h += h + 30 < head ? 7 : 1)
        for (uint64_t i = 0; i < TXS; i += TXS - 1) {
            struct qn_tx tx = tx_of(w, h, i);
            struct qn_hash id = qn_tx_id(&tx);
            height = 0;
            CHECK(qn_chain_tx(w->c, &id, &height) && height == h);
        }
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    for (uint64_t h = 1; h <= head; h += 9) {
        CHECK_RC(qn_chain_frame(w->c, h, &arena, &f, &w->why), QN_OK);
        CHECK(f.block.header.height == h);
        qn_arena_free(&arena);
    }
}

/* A block that holds a transaction of the window again is nobody's, and says so before it is executed; one that is older ran out. */
static void check_refused(struct qn_test_state *t, struct world *w)
{
    uint64_t head = qn_chain_header(w->c)->height;
    struct qn_hash at = qn_chain_head(w->c);
    for (uint64_t ago = 0; ago < 25 && ago < head; ago++) {
        uint64_t h = head - ago;
        struct qn_tx tx = tx_of(w, h, ago);
        struct qn_hash id = qn_tx_id(&tx), hash;
        bool in = (ago + 1) * STEP_MS <= QN_TX_SPAN_MS; /* of a block that comes next */
        if (in) CHECK(qn_chain_holds(w->c, &at, &id));
        QN_ASSERT(make(w, head + 1, NULL, 0, &hash) == QN_OK);
        struct qn_block bad = *qn_chain_block(w->c, &hash);
        bad.txs.cnt = 1;
        bad.txs.ptr = &tx;
        bad.header.body_root = qn_body_root(&tx, 1);
        qn_rc rc = qn_chain_run(w->c, &bad, &w->why);
        CHECK(rc == QN_E_FORMAT || (!in && rc == QN_E_EXPIRED));
        if (in) CHECK(strstr(w->why.text, "a second time") != NULL);
    }
}

static void test_many(struct qn_test_state *t)
{
    struct world w;
    char cmd[300];
    size_t most = 0;
    world_init(&w);
    CHECK_RC(up(&w), QN_OK);
    for (unsigned i = 0; i < 110; i++) {
        CHECK_RC(block(&w, TXS), QN_OK);
        size_t bytes = qn_chain_recent_bytes(w.c);
        if (i < 50)
            most = QN_MAX(most, bytes); /* window and a run: 20 and 5 blocks */
        else
            CHECK(bytes <= most);
        if (i == 20 || i == 57) check_refused(t, &w);
    }
    CHECK(most < 100 * (22 + 6) * TXS);
    check_found(t, &w);
    check_refused(t, &w);

    /* As the power's failing would leave it, with blocks that no checkpoint has; its own checkpoint after that. */
    w.now_ms -= 1000;
    struct world copy = w;
    uint64_t before = w.now_ms;
    snprintf(copy.home, sizeof copy.home, "%s-copy", w.home);
    snprintf(cmd, sizeof cmd, "cp -r --sparse=always %s %s", w.home, copy.home);
    CHECK(system(cmd) == 0);
    CHECK_RC(up(&copy), QN_OK);
    check_found(t, &copy);
    check_refused(t, &copy);
    qn_chain_close(copy.c);
    qn_chain_close(w.c);

    CHECK_RC(up(&w), QN_OK);
    check_found(t, &w);
    check_refused(t, &w);
    for (unsigned i = 0; i < 8; i++)
        CHECK_RC(block(&w, TXS), QN_OK);
    CHECK(qn_chain_recent_bytes(w.c) <= most);
    check_found(t, &w);
    qn_chain_close(w.c);

    /* The journal has all. */
    snprintf(cmd, sizeof cmd, "rm %s/state.mdb*", copy.home);
    CHECK(system(cmd) == 0);
    copy.now_ms = before;
    CHECK_RC(up(&copy), QN_OK);
    CHECK(qn_chain_recent_bytes(copy.c) <= most);
    check_found(t, &copy);
    check_refused(t, &copy);
    qn_chain_close(copy.c);

    qn_buf_free(&w.body);
    snprintf(cmd, sizeof cmd, "rm -rf %s %s", w.home, copy.home);
    CHECK(system(cmd) == 0);
}

/* A message holds four times what a block may: a leader's block that is larger is nobody's to keep. */
static void test_size(struct qn_test_state *t)
{
    static uint8_t body[500000];
    struct qn_tx txs[5] = { { 0 } };
    struct qn_block block = { .txs = { 0, txs } };
    for (uint32_t i = 0; i < QN_COUNT(txs); i++)
        txs[i] = (struct qn_tx){ .salt = i, .body = QN_SPAN_OF(body) };
    for (block.txs.cnt = 3; block.txs.cnt <= 5; block.txs.cnt++) {
        block.header.body_root = qn_body_root(txs, block.txs.cnt);
        struct qn_parcel *p = qn_parcel_of(&block);
        CHECK(qn_parcel_whole(p) == (block.txs.cnt < 5));
        CHECK(qn_parcel_whole(p) == (block.txs.cnt < 5)); /* and the second time */
        qn_parcel_unref(p);
    }
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_many);
    TEST(test_size);
    return TEST_END();
}
