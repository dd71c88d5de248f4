/* test_seeds.c - what fuzzing begins with is of today's formats: a block, a genesis, proofs, a journal, a snapshot with all that it names. Where a format changed
 * the seed no longer reads, and QUOIN_SEEDS_WRITE=1 build/test_seeds makes it anew, from a chain of its own. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/still.h"
#include "ledger/store/journal.h"
#include "ledger/sync/replica.h"
#include "ledger/sync/snapshot.h"

#include <stdlib.h>

struct world {
    char home[64];
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms;
    struct qn_replica *r;
    struct qn_why why;
    struct qn_buf genesis;
    /* What a snapshot put, in the order that its manifest names it. */
    struct qn_buf parts;
};

static void up(struct world *w)
{
    struct qn_hash seed = qn_h("test seeds", "v", 1), rich = qn_h("test seeds", "r", 1);
    *w = (struct world){ .home = "/tmp/quoin-seeds-XXXXXX", .now_ms = 1700000001000 };
    QN_ASSERT(mkdtemp(w->home) != NULL);
    w->env = still_env(&w->now_ms, NULL);
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("seeds"),
                                  .t_ms = 1700000000000,
                                  .dev = true };
    genesis.validators.cnt = genesis.grants.cnt = 1;
    genesis.validators.ptr = &w->validator.pub;
    genesis.grants.ptr = &grant;
    qn_encode(qn_genesis_record(), &genesis, &w->genesis);
    struct qn_replica_conf conf = {
        .chain = { .home = w->home, .env = &w->env, .genesis = &genesis, .map_gib = 1 },
        .validator = &w->validator
    };
    QN_ASSERT(qn_replica_open(&conf, &w->r, &w->why) == QN_OK);
}

static void down(struct world *w)
{
    char cmd[100];
    qn_replica_close(w->r);
    qn_buf_free(&w->genesis);
    qn_buf_free(&w->parts);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->home);
    QN_ASSERT(system(cmd) == 0);
}

static void block(struct world *w, uint64_t salt)
{
    struct qn_chain *c = qn_replica_chain(w->r);
    struct qn_hash chain = qn_chain_id(c), id;
    uint64_t height = qn_chain_header(c)->height, wait;
    for (uint64_t i = 0; i < 2; i++) {
        struct qn_buf body = { 0 }, tx = { 0 };
        struct ledger_send s = { .to = qn_blake3(&i, sizeof i),
                                 .amount = QN_UQN(5),
                                 .memo = QN_SPAN_STR("seed") };
        struct qn_tx_opts opts = { .salt = salt << 8 | i };
        qn_encode(ledger_send_record(), &s, &body);
        qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &w->rich, w->now_ms, &opts, &tx, &id);
        QN_ASSERT(qn_replica_submit(w->r, qn_buf_get(&tx), &id, &w->why) == QN_OK);
        qn_buf_free(&body);
        qn_buf_free(&tx);
    }
    for (unsigned i = 0; i < 20 && qn_chain_header(c)->height == height; i++) {
        w->now_ms += 500;
        QN_ASSERT(qn_replica_turn(w->r, &wait, &w->why) == QN_OK);
    }
    w->now_ms += 99500; /* seven of them are ten minutes */
}

static qn_rc put(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    struct world *w = self;
    (void)why;
    *ret = qn_blake3(bytes.ptr, bytes.len);
    qn_buf_span(&w->parts, bytes);
    return QN_OK;
}

static void put_file(const char *name, const struct qn_buf *bytes)
{
    char path[200];
    struct qn_why why = { "" };
    snprintf(path, sizeof path, "tests/corpus/%s", name);
    qn_rc rc = qn_file_write(path, qn_buf_get(bytes), 0644, &why);
    printf("%s: %zu bytes %s\n", path, bytes->len, why.text);
    QN_ASSERT(rc == QN_OK);
}

static void put_frame(struct world *w, uint64_t height, const char *name)
{
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_buf buf = { 0 };
    QN_ASSERT(qn_chain_frame(qn_replica_chain(w->r), height, &arena, &f, &w->why) == QN_OK);
    qn_encode(qn_frame_record(), &f, &buf);
    put_file(name, &buf);
    qn_buf_free(&buf);
    qn_arena_free(&arena);
}

static void put_snapshot(struct world *w, const char *name)
{
    struct qn_buf manifest = { 0 }, file = { 0 };
    struct qn_snapshot sn;
    const struct qn_chunks chunks = { .self = w, .cut_bits = 2, .put = put };
    qn_buf_clear(&w->parts);
    QN_ASSERT(qn_snapshot_make(qn_replica_chain(w->r), NULL, &chunks, &manifest, &sn, &w->why) ==
              QN_OK);
    qn_buf_u32(&file, (uint32_t)manifest.len);
    qn_buf_span(&file, qn_buf_get(&manifest));
    qn_buf_span(&file, qn_buf_get(&w->parts));
    put_file(name, &file);
    qn_buf_free(&manifest);
    qn_buf_free(&file);
}

/* The first frames of the chain's journal: the genesis and three blocks. */
static void put_journal(struct world *w, const char *name)
{
    char path[200];
    struct qn_buf file = { 0 };
    uint32_t len;
    size_t end = 0;
    snprintf(path, sizeof path, "%s/journal/seg-0000000000.qj", w->home);
    QN_ASSERT(qn_file_read(path, 64u << 20, &file, &w->why) == QN_OK);
    for (int i = 0; i < 4; i++) {
        memcpy(&len, file.ptr + end, sizeof len);
        end += 32 + (len + 7) / 8 * 8;
    }
    file.len = end;
    put_file(name, &file);
    qn_buf_free(&file);
}

static void write_all(void)
{
    struct world w;
    struct qn_buf proof = { 0 };
    uint64_t wait;
    up(&w);
    put_file("fuzz_block/genesis", &w.genesis);
    block(&w, 1);
    put_frame(&w, 1, "fuzz_block/frame");
    put_snapshot(&w, "fuzz_snapshot/young");
    for (uint64_t i = 2; i < 12; i++)
        block(&w, i);
    for (int i = 0; i < 4; i++, w.now_ms += 500) /* and one without transactions */
        QN_ASSERT(qn_replica_turn(w.r, &wait, &w.why) == QN_OK);
    struct qn_chain *c = qn_replica_chain(w.r);
    put_frame(&w, qn_chain_header(c)->height, "fuzz_block/last");
    put_snapshot(&w, "fuzz_snapshot/old");
    put_journal(&w, "fuzz_journal/four");
    QN_ASSERT(qn_proof_head(c, NULL, &proof, &w.why) == QN_OK);
    qn_proof_range(qn_chain_trie(c), QN_SPAN("\1", 1), QN_SPAN("\2", 1), &proof);
    put_file("fuzz_proof/accounts", &proof);
    qn_buf_free(&proof);
    down(&w);
}

/* --- what is there ------------------------------------------------------------------------------------------------------------ */

static bool load(struct qn_test_state *t, const char *name, struct qn_buf *ret)
{
    char path[200];
    struct qn_why why = { "" };
    qn_buf_clear(ret);
    snprintf(path, sizeof path, "tests/corpus/%s", name);
    CHECK_RC(qn_file_read(path, 1u << 20, ret, &why), QN_OK);
    return ret->len > 0;
}

static void test_blocks(struct qn_test_state *t)
{
    static const char *const NAMES[] = { "fuzz_block/frame", "fuzz_block/last" };
    struct qn_buf file = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_genesis g;
    for (size_t i = 0; i < QN_COUNT(NAMES); i++) {
        if (!load(t, NAMES[i], &file)) continue;
        qn_rc rc = qn_decode(qn_frame_record(), qn_buf_get(&file), &arena, &f, NULL);
        CHECK_RC(rc, QN_OK);
        if (rc) continue;
        CHECK(f.cert.votes.cnt == 1 && f.block.header.ver == QN_HEADER_VER);
        if (i == 0) CHECK(f.block.txs.cnt == 2 && f.receipts.cnt == 2);
    }
    if (load(t, "fuzz_block/genesis", &file))
        CHECK_RC(qn_decode(qn_genesis_record(), qn_buf_get(&file), &arena, &g, NULL), QN_OK);
    qn_buf_free(&file);
    qn_arena_free(&arena);
}

static void test_proof(struct qn_test_state *t)
{
    static const char *const NAMES[] = { "fuzz_proof/accounts", "fuzz_proof/handed",
                                         "fuzz_proof/overlap" };
    struct qn_buf file = { 0 };
    struct qn_proof proof;
    struct qn_why why = { "" };
    for (size_t i = 0; i < QN_COUNT(NAMES); i++)
        if (load(t, NAMES[i], &file))
            CHECK_RC(qn_proof_check(qn_buf_get(&file), NULL, &proof, &why), QN_OK);
    if (why.text[0]) printf("%s\n", why.text);
    qn_buf_free(&file);
}

static qn_rc count(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                   struct qn_span payload, struct qn_why *why)
{
    (void)seq, (void)at, (void)payload, (void)why;
    ((unsigned *)arg)[kind & 15]++;
    return QN_OK;
}

static void test_journal(struct qn_test_state *t)
{
    char dir[] = "/tmp/quoin-seeds-XXXXXX", path[200], cmd[100];
    struct qn_buf file = { 0 };
    struct qn_journal *j = NULL;
    struct qn_why why = { "" };
    unsigned cnt[16] = { 0 };
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/seg-0000000000.qj", dir);
    if (load(t, "fuzz_journal/four", &file)) {
        CHECK_RC(qn_file_write(path, qn_buf_get(&file), 0600, &why), QN_OK);
        CHECK_RC(qn_journal_open(dir, count, cnt, &j, &why), QN_OK);
        CHECK(cnt[QN_FRAME_GENESIS & 15] == 1 && cnt[QN_FRAME_BLOCK & 15] == 3);
    }
    if (why.text[0]) printf("%s\n", why.text);
    qn_journal_close(j);
    qn_buf_free(&file);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    QN_ASSERT(system(cmd) == 0);
}

static qn_rc find(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                  struct qn_why *why)
{
    const struct qn_span *all = self;
    for (size_t at = 0; max <= all->len && at <= all->len - max; at++) {
        struct qn_hash h = qn_blake3(all->ptr + at, max);
        if (!qn_hash_eq(&h, hash)) continue;
        qn_buf_put(ret, all->ptr + at, max);
        return QN_OK;
    }
    return qn_why(why, QN_E_NOTFOUND, "it is not there");
}

static void test_snapshots(struct qn_test_state *t)
{
    static const char *const NAMES[] = { "fuzz_snapshot/young", "fuzz_snapshot/old" };
    struct qn_buf file = { 0 };
    for (size_t i = 0; i < QN_COUNT(NAMES); i++) {
        struct qn_span all, manifest;
        struct qn_snapshot sn;
        struct qn_why why = { "" };
        uint32_t len;
        if (!load(t, NAMES[i], &file)) continue;
        all = qn_buf_get(&file);
        bool cut = qn_take_u32(&all, &len) && qn_take(&all, len, &manifest);
        CHECK(cut);
        if (!cut) continue;
        const struct qn_chunks chunks = { .self = &all, .get = find };
        qn_rc rc = qn_snapshot_check(manifest, NULL, &chunks, &sn, &why);
        CHECK_RC(rc, QN_OK);
        if (why.text[0]) printf("%s\n", why.text);
        if (rc == QN_OK)
            CHECK(sn.chunk_cnt > 2 && sn.block_cnt > 0 && (sn.begin.height > 0) == (i == 1));
    }
    qn_buf_free(&file);
}

int main(void)
{
    TEST_BEGIN();
    const char *write = getenv("QUOIN_SEEDS_WRITE");
    QN_ASSERT(qn_crypto_init() == QN_OK);
    if (write && write[0] == '1') write_all();
    TEST(test_blocks);
    TEST(test_proof);
    TEST(test_journal);
    TEST(test_snapshots);
    return TEST_END();
}
