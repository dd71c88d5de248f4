/* test_history.c - what a chain keeps of its past: old segments of the journal are let go, and what is left opens, goes on, and says what it no
 * longer has; one transaction of a slot is final in ten minutes, wherever it comes from. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/state/proof.h"
#include "ledger/sync/backup.h"
#include "ledger/sync/chain_world.h"
#include "ledger/sync/snapshot.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void block(struct chain_world *w, uint64_t salt)
{
    chain_world_block(w, salt, false);
}

/* Those of the window are known, by whatever way their blocks came here; who sends one again is told nothing new. */
static void check_window(struct qn_test_state *t, struct chain_world *w)
{
    struct qn_chain *c = qn_replica_chain(w->r);
    struct qn_hash head = qn_chain_head(c), got;
    uint64_t now = qn_chain_header(c)->t_ms, at, pooled = qn_replica_pooled(w->r);
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    unsigned in = 0;
    for (uint64_t h = qn_chain_first(c); h <= qn_chain_header(c)->height; h++) {
        struct qn_buf tx = { 0 };
        CHECK_RC(qn_chain_frame(c, h, &arena, &f, &w->why), QN_OK);
        for (uint32_t i = 0; i < f.block.txs.cnt; i++) {
            struct qn_hash id = qn_tx_id(&f.block.txs.ptr[i]);
            CHECK(qn_chain_tx(c, &id, &at) && at == h);
            if (f.block.header.t_ms + QN_TX_SPAN_MS <= now) continue;
            in++;
            CHECK(qn_chain_holds(c, &head, &id));
            qn_buf_clear(&tx);
            qn_encode(qn_tx_record(), &f.block.txs.ptr[i], &tx);
            CHECK_RC(qn_replica_submit(w->r, qn_buf_get(&tx), &got, &w->why), QN_OK);
        }
        qn_buf_free(&tx);
        qn_arena_free(&arena);
    }
    CHECK(in > 200);
    CHECK(qn_replica_pooled(w->r) == pooled);
}

/* The ids of a block. */
static uint32_t ids_at(struct chain_world *w, uint64_t height, struct qn_hash ids[4])
{
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    QN_ASSERT(qn_chain_frame(qn_replica_chain(w->r), height, &arena, &f, &w->why) == QN_OK);
    uint32_t cnt = f.receipts.cnt;
    QN_ASSERT(cnt <= 4);
    for (uint32_t i = 0; i < cnt; i++)
        ids[i] = f.receipts.ptr[i].tx;
    qn_arena_free(&arena);
    return cnt;
}

static void test_let_go(struct qn_test_state *t)
{
    struct chain_world w;
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct stat st;
    struct qn_hash ids[4], buf[4];
    uint64_t at;
    uint32_t id_cnt = 0;
    char path[200], cmd[200];
    chain_world_init(&w);
    CHECK_RC(chain_world_up(&w, false), QN_OK);
    for (uint64_t i = 0; i < 400; i++) {
        block(&w, i);
        if (i == 50) id_cnt = ids_at(&w, 20, ids);
        if (i == 100) { /* long out of memory, and on the disk */
            CHECK(qn_chain_tx(qn_replica_chain(w.r), &ids[0], &at) && at == 20);
            struct qn_hash head = qn_chain_head(qn_replica_chain(w.r));
            CHECK(!qn_chain_holds(qn_replica_chain(w.r), &head, &ids[0]));
        }
    }
    CHECK(id_cnt > 0);
    CHECK(!qn_chain_tx(qn_replica_chain(w.r), &ids[0], &at)); /* with its block it went */
    struct qn_chain *c = qn_replica_chain(w.r);
    uint64_t first = qn_chain_first(c), height = qn_chain_header(c)->height;
    CHECK(first > 100 &&
          first < 300); /* 1,300 s of 10 s a block stay, and what shares a segment with them */
    CHECK_RC(qn_chain_frame(c, first - 1, &arena, &f, &w.why), QN_E_NOTFOUND);
    CHECK(strstr(w.why.text, "not kept here") != NULL);
    for (uint64_t h = first; h <= height; h += 7) {
        CHECK_RC(qn_chain_frame(c, h, &arena, &f, &w.why), QN_OK);
        CHECK(f.block.header.height == h);
    }
    snprintf(path, sizeof path, "%s/journal/seg-0000000000.qj", w.home);
    CHECK(stat(path, &st) == 0 && st.st_size == 0);
    struct qn_hash root = qn_chain_root(c), head = qn_chain_head(c), again;
    qn_replica_close(w.r);

    CHECK_RC(chain_world_up(&w, false), QN_OK); /* opens from where it begins */
    c = qn_replica_chain(w.r);
    again = qn_chain_root(c);
    CHECK(qn_hash_eq(&root, &again));
    again = qn_chain_head(c);
    CHECK(qn_hash_eq(&head, &again) && qn_chain_first(c) == first);
    check_window(t, &w);
    CHECK(ids_at(&w, first, buf) > 0 && qn_chain_tx(c, &buf[0], &at) && at == first);
    for (uint64_t i = 400; i < 600; i++)
        block(&w, i);
    CHECK(qn_chain_first(c) > first);
    CHECK(qn_state_sum(qn_chain_view(c)).uqn == QN_SUPPLY_UQN);
    qn_replica_close(w.r);

    CHECK_RC(chain_world_up(&w, true), QN_E_NOTFOUND);
    CHECK(strstr(w.why.text, "only a whole history") != NULL);
    snprintf(cmd, sizeof cmd, "rm %s/state.mdb*", w.home);
    CHECK(system(cmd) == 0);
    CHECK_RC(chain_world_up(&w, false), QN_E_CORRUPT);
    CHECK(strstr(w.why.text, "restore a snapshot") != NULL);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w.home);
    CHECK(system(cmd) == 0);
    qn_arena_free(&arena);
}

static struct qn_hash send_slot(struct chain_world *w, uint64_t uqn, uint64_t tip,
                                struct qn_buf *ret)
{
    struct qn_hash chain = qn_chain_id(qn_replica_chain(w->r)), id;
    struct qn_buf body = { 0 };
    struct ledger_send s = { .to = qn_blake3("x", 1), .amount = QN_UQN(uqn) };
    struct qn_tx_opts opts = { .salt = UINT64_C(1) << 63 | 5,
                               .tip = QN_UQN(tip),
                               .span_ms = 500000 };
    qn_encode(ledger_send_record(), &s, &body);
    qn_buf_clear(ret);
    qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &w->rich, w->now_ms, &opts, ret, &id);
    qn_buf_free(&body);
    return id;
}

static void test_slot(struct qn_test_state *t)
{
    struct chain_world w;
    struct qn_buf first = { 0 }, second = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_hash id, a, b;
    uint64_t wait, height;
    char cmd[200];
    chain_world_init(&w);
    CHECK_RC(chain_world_up(&w, false), QN_OK);
    struct qn_chain *c = qn_replica_chain(w.r);
    block(&w, 1);
    a = send_slot(&w, 1, 1000, &first);
    b = send_slot(&w, 2, 2000, &second);
    CHECK_RC(qn_replica_submit(w.r, qn_buf_get(&first), &id, &w.why), QN_OK);
    CHECK_RC(qn_replica_submit(w.r, qn_buf_get(&second), &id, &w.why), QN_OK);
    CHECK(qn_replica_tx(w.r, &a, &height) == QN_TX_UNKNOWN);
    for (unsigned i = 0; i < 9; i++, w.now_ms += 500)
        CHECK_RC(qn_replica_turn(w.r, &wait, &w.why), QN_OK);
    CHECK(qn_replica_tx(w.r, &b, &height) == QN_TX_FINAL);
    CHECK_RC(qn_replica_submit(w.r, qn_buf_get(&first), &id, &w.why), QN_E_EXISTS);
    /* A proposer that holds it all the same makes a block that nobody runs: not beside the first, nor with both in one. */
    struct qn_tx txs[2];
    struct qn_hash ids[2] = { a, b }, hash;
    bool misfit[2];
    CHECK_RC(qn_decode(qn_tx_record(), qn_buf_get(&first), &arena, &txs[0], &w.why), QN_OK);
    CHECK_RC(qn_decode(qn_tx_record(), qn_buf_get(&second), &arena, &txs[1], &w.why), QN_OK);
    struct qn_make m = { .parent = qn_chain_head(c),
                         .view = 1000,
                         .t_ms = w.now_ms,
                         .key = &w.validator,
                         .txs = txs,
                         .ids = ids,
                         .cnt = 1 };
    CHECK_RC(qn_chain_make(c, &m, misfit, &hash, &w.why), QN_OK);
    struct qn_block bad = *qn_chain_block(c, &hash);
    struct qn_buf bytes = { 0 };
    qn_encode(qn_block_record(), &bad, &bytes);
    qn_replica_close(w.r);
    CHECK_RC(chain_world_up(&w, false), QN_OK); /* has made no such block, but hears of it */
    c = qn_replica_chain(w.r);
    CHECK_RC(qn_decode(qn_block_record(), qn_buf_get(&bytes), &arena, &bad, &w.why), QN_OK);
    CHECK_RC(qn_chain_run(c, &bad, &w.why), QN_E_FORMAT);
    CHECK(strstr(w.why.text, "of one slot") != NULL);
    for (unsigned i = 0; i < 62; i++) /* when the ten minutes are over the slot is free */
        block(&w, 100 + i);
    a = send_slot(&w, 3, 1, &first);
    CHECK_RC(qn_replica_submit(w.r, qn_buf_get(&first), &id, &w.why), QN_OK);
    for (unsigned i = 0; i < 9; i++, w.now_ms += 500)
        CHECK_RC(qn_replica_turn(w.r, &wait, &w.why), QN_OK);
    CHECK(qn_replica_tx(w.r, &a, &height) == QN_TX_FINAL);
    qn_replica_close(w.r);
    CHECK_RC(chain_world_up(&w, true), QN_OK); /* and all of it replays */
    qn_replica_close(w.r);
    qn_buf_free(&first);
    qn_buf_free(&second);
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w.home);
    CHECK(system(cmd) == 0);
}

/* Chunks in memory, by their hash. */
static qn_rc chunk_put(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    (void)why;
    *ret = qn_blake3(bytes.ptr, bytes.len);
    qn_trie_put(self, QN_SPAN(ret->b, 32), bytes);
    return QN_OK;
}

static qn_rc chunk_get(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                       struct qn_why *why)
{
    struct qn_span val;
    if (!qn_trie_get(self, QN_SPAN(hash->b, 32), &val)) return qn_why(why, QN_E_NOTFOUND, "gone");
    if (val.len > max) return qn_why(why, QN_E_TOOBIG, "longer than said");
    qn_buf_span(ret, val);
    return QN_OK;
}

/* Opens a copy, finds the same head and rows there, and goes on from it. */
static void go_on(struct qn_test_state *t, const struct chain_world *from, const char *home,
                  uint64_t first, const struct qn_hash *head, const struct qn_hash *root)
{
    struct chain_world w = *from; /* its keys and time */
    char cmd[200];
    snprintf(w.home, sizeof w.home, "%s", home);
    w.env.self = &w.now_ms;
    w.env.disk = NULL; /* the machine's own, with LMDB */
    CHECK_RC(chain_world_up(&w, false), QN_OK);
    if (w.why.text[0]) printf("%s\n", w.why.text);
    struct qn_chain *c = qn_replica_chain(w.r);
    struct qn_hash h = qn_chain_head(c), r = qn_chain_root(c);
    CHECK(qn_hash_eq(&h, head) && qn_hash_eq(&r, root) && qn_chain_first(c) == first);
    if (qn_chain_header(c)->height - first > 100) check_window(t, &w);
    block(&w, 9999);
    CHECK(qn_state_sum(qn_chain_view(c)).uqn == QN_SUPPLY_UQN);
    qn_replica_close(w.r);
    CHECK_RC(chain_world_up(&w, false), QN_OK);
    qn_replica_close(w.r);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    CHECK(system(cmd) == 0);
}

/* The bodies, from the last to the first: each piece alone is what it should be, and no other. */
static void check_bodies(struct qn_test_state *t, struct qn_trie *chunks, struct qn_span manifest,
                         const struct qn_hash *chain)
{
    struct qn_snapshot sn;
    struct qn_part at = { .rest = NULL }, part[64];
    struct qn_why why = { "" };
    uint32_t cnt = 0;
    CHECK_RC(qn_snapshot_read(manifest, chain, NULL, &sn, &why), QN_OK);
    while (qn_snapshot_next(&sn, &at))
        if (!at.chunk && cnt < QN_COUNT(part)) part[cnt++] = at;
    CHECK(cnt == sn.piece_cnt && cnt > 5);
    struct qn_link link = qn_snapshot_link(&sn), was = link;
    for (uint32_t i = cnt; i-- > 0;) {
        struct qn_span bytes, other;
        QN_ASSERT(qn_trie_get(chunks, QN_SPAN(part[i].hash.b, 32), &bytes) &&
                  qn_trie_get(chunks, QN_SPAN(part[i ? i - 1 : cnt - 1].hash.b, 32), &other));
        was = link;
        CHECK(qn_snapshot_bodies(&sn, other, i == 0, &link) != QN_OK);
        CHECK(qn_snapshot_bodies(&sn, QN_SPAN(bytes.ptr, 0), i == 0, &link) != QN_OK);
        CHECK(qn_snapshot_bodies(&sn, bytes, i != 0, &link) != QN_OK);
        for (size_t k = 0; k < bytes.len; k += 1 + k % 97) {
            uint8_t *byte = (uint8_t *)(uintptr_t)bytes.ptr + k;
            *byte ^= 1;
            CHECK(qn_snapshot_bodies(&sn, bytes, i == 0, &link) != QN_OK);
            *byte ^= 1;
        }
        for (size_t len = 1; len < bytes.len; len += 1 + len % 97)
            CHECK(qn_snapshot_bodies(&sn, QN_SPAN(bytes.ptr, len), i == 0, &link) != QN_OK);
        CHECK(link.height == was.height && qn_hash_eq(&link.block, &was.block));
        CHECK_RC(qn_snapshot_bodies(&sn, bytes, i == 0, &link), QN_OK);
        CHECK(link.height < was.height);
    }
    CHECK(link.height == sn.begin.height);
    /* One that would have them begin above another block. */
    struct qn_span bytes;
    sn.begin.t_ms ^= 1;
    QN_ASSERT(qn_trie_get(chunks, QN_SPAN(part[0].hash.b, 32), &bytes));
    CHECK_RC(qn_snapshot_bodies(&sn, bytes, true, &was), QN_E_PROOF);
}

/* Of a chain whose first blocks are gone: snapshot and backup, restored, go on; the light client follows its epochs from the genesis. */
static void test_copies(struct qn_test_state *t)
{
    char snap_home[] = "/tmp/quoin-snap-XXXXXX", copy_home[] = "/tmp/quoin-copy-XXXXXX",
         empty_home[] = "/tmp/quoin-none-XXXXXX", again_home[] = "/tmp/quoin-again-XXXXXX",
         path[60], cmd[200];
    struct chain_world w;
    struct qn_snapshot sn, checked;
    struct qn_backup backup;
    struct qn_buf manifest = { 0 }, proof = { 0 };
    struct qn_chunks chunks = { .self = qn_trie_new(),
                                .cut_bits = 2,
                                .piece_bytes = 10000,
                                .put = chunk_put,
                                .get = chunk_get };
    struct qn_proof said;
    QN_ASSERT(mkdtemp(snap_home) && mkdtemp(copy_home) && mkdtemp(empty_home) &&
              mkdtemp(again_home));
    chain_world_init(&w);
    CHECK_RC(chain_world_up(&w, false), QN_OK);
    for (uint64_t i = 0; i < 300; i++)
        block(&w, i);
    struct qn_chain *c = qn_replica_chain(w.r);
    struct qn_hash head = qn_chain_head(c), root = qn_chain_root(c), id = qn_chain_id(c);
    CHECK(qn_chain_first(c) > 1 && qn_chain_header(c)->epoch > 20);

    CHECK_RC(qn_proof_head(c, NULL, &proof, &w.why), QN_OK);
    qn_proof_range(qn_chain_trie(c), QN_SPAN("\1", 1), QN_SPAN("\2", 1), &proof);
    CHECK_RC(qn_proof_check(qn_buf_get(&proof), &id, &said, &w.why), QN_OK);
    CHECK(qn_hash_eq(&said.block, &head));

    CHECK_RC(qn_snapshot_make(c, NULL, &chunks, &manifest, &sn, &w.why), QN_OK);
    CHECK(sn.chunk_cnt > 3 && sn.begin.height > 200 &&
          sn.begin.t_ms + 600000 < qn_chain_header(c)->t_ms);
    check_bodies(t, chunks.self, qn_buf_get(&manifest), &id);
    CHECK_RC(qn_snapshot_check(qn_buf_get(&manifest), &id, &chunks, &checked, &w.why), QN_OK);
    CHECK(checked.row_cnt == sn.row_cnt && checked.block_cnt == sn.block_cnt &&
          checked.bytes == sn.bytes);
    CHECK_RC(qn_snapshot_restore(qn_buf_get(&manifest), &id, NULL, &chunks, snap_home, 1, &checked,
                                 &w.why),
             QN_OK);
    CHECK_RC(qn_backup_make(c, copy_home, 1, &backup, &w.why), QN_OK);
    uint64_t first = qn_chain_first(c) + 1; /* the one below is what the copy begins above */
    /* A checkpoint alone, of an older block than the journal's last. */
    for (uint64_t i = 300; i < 310; i++)
        block(&w, i);
    struct qn_hash later_head = qn_chain_head(c), later_root = qn_chain_root(c);
    CHECK_RC(qn_backup_make(c, again_home, 1, &backup, &w.why), QN_OK);
    snprintf(path, sizeof path, "%s/state.mdb", again_home);
    QN_ASSERT(truncate(path, 0) == 0);
    CHECK_RC(qn_snapshot_store(qn_buf_get(&manifest), &chunks, path, 1, &checked, &w.why), QN_OK);
    CHECK(checked.row_cnt == sn.row_cnt);
    qn_replica_close(w.r);
    go_on(t, &w, again_home, backup.first + 1, &later_head, &later_root);
    go_on(t, &w, snap_home, sn.begin.height + 1, &head, &root);
    go_on(t, &w, copy_home, first, &head, &root);

    /* No altered byte of the manifest, no missing or altered chunk restores anything. */
    for (size_t at = 0; at < manifest.len; at += 1 + at % 7) {
        manifest.ptr[at] ^= 1;
        qn_rc rc = qn_snapshot_check(qn_buf_get(&manifest), &id, &chunks, &checked, &w.why);
        manifest.ptr[at] ^= 1;
        /* Only where two chunks part may move to where no row is between: the same rows, as well proved. */
        if (rc == QN_OK)
            CHECK(checked.row_cnt == sn.row_cnt && checked.bytes == sn.bytes &&
                  qn_hash_eq(&checked.proof.block, &head));
    }
    struct qn_span key = { NULL, 0 }, val;
    for (bool one = true; qn_trie_next(chunks.self, key, one, &key, &val); one = false) {
        struct qn_hash at;
        uint8_t *byte = (uint8_t *)(uintptr_t)val.ptr + val.len / 2;
        memcpy(at.b, key.ptr, 32);
        *byte ^= 1;
        CHECK_RC(qn_snapshot_restore(qn_buf_get(&manifest), &id, NULL, &chunks, empty_home, 1,
                                     &checked, &w.why),
                 QN_E_CORRUPT);
        *byte ^= 1;
        CHECK(strstr(w.why.text, "it is damaged") != NULL);
    }
    snprintf(cmd, sizeof cmd, "rmdir %s && rm -rf %s", empty_home, w.home);
    CHECK(system(cmd) == 0);
    qn_trie_free(chunks.self);
    qn_buf_free(&manifest);
    qn_buf_free(&proof);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_let_go);
    TEST(test_slot);
    TEST(test_copies);
    return TEST_END();
}
