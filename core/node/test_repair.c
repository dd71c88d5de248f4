/* test_repair.c - a home whose journal begins late: a damaged checkpoint is made again from a snapshot, or left as it was. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/still.h"
#include "core/net/blob.h"
#include "core/node/proofs.h"
#include "core/node/registry.h"
#include "core/node/repair.h"
#include "ledger/sync/backup.h"
#include "ledger/sync/replica.h"
#include "ledger/sync/snapshot.h"

#include <stdlib.h>
#include <unistd.h>

struct world {
    char home[64];
    struct qn_disk disk;
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms;
    struct qn_exec_module exec[16];
    size_t exec_cnt;
    struct qn_replica *r;
    struct qn_why why;
};

static void world_open(struct world *w)
{
    const struct qn_module *mod;
    struct qn_hash seed = qn_h("test repair", "v", 1), rich = qn_h("test repair", "r", 1);
    *w = (struct world){ .home = "/tmp/quoin-repair-XXXXXX",
                         .disk = *qn_disk_real(),
                         .now_ms = 1700000001000 };
    QN_ASSERT(mkdtemp(w->home) != NULL);
    w->disk.file_bytes = 64 << 10; /* segments that fill up quickly */
    w->disk.grow_bytes = 16 << 10;
    w->env = still_env(&w->now_ms, &w->disk);
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(w->exec); i++)
        w->exec[w->exec_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = genesis.grants.cnt = 1;
    genesis.validators.ptr = &w->validator.pub;
    genesis.grants.ptr = &grant;
    struct qn_replica_conf conf = { .chain = { .home = w->home,
                                               .env = &w->env,
                                               .genesis = &genesis,
                                               .modules = w->exec,
                                               .module_cnt = w->exec_cnt,
                                               .vm = qn_contract_vm_get(),
                                               .keep_ms = 1300000 },
                                    .validator = &w->validator };
    QN_ASSERT(qn_replica_open(&conf, &w->r, &w->why) == QN_OK);
}

static void block(struct world *w, uint64_t salt)
{
    struct qn_chain *c = qn_replica_chain(w->r);
    struct qn_hash chain = qn_chain_id(c), id;
    uint64_t height = qn_chain_header(c)->height, wait;
    for (uint64_t i = 0; i < 4; i++) {
        struct qn_buf body = { 0 }, tx = { 0 };
        struct ledger_send s = { .to = qn_blake3(&i, sizeof i),
                                 .amount = QN_UQN(5),
                                 .memo =
                                     QN_SPAN_STR("a hundred bytes more or less, so that a "
                                                 "segment of the journal fills up in a while") };
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
    w->now_ms += 19500;
}

static void rot(const char *home)
{
    char cmd[200];
    snprintf(cmd, sizeof cmd,
             "dd if=/dev/urandom of=%s/state.mdb bs=4096 seek=2 count=4 conv=notrunc status=none",
             home);
    QN_ASSERT(system(cmd) == 0);
}

static struct qn_hash file_hash(const char *home, const char *name)
{
    char path[200];
    struct qn_buf file = { 0 };
    struct qn_why why;
    snprintf(path, sizeof path, "%s/%s", home, name);
    QN_ASSERT(qn_file_read(path, 1u << 30, &file, &why) == QN_OK);
    struct qn_hash h = qn_blake3(file.ptr, file.len);
    qn_buf_free(&file);
    return h;
}

static void test_snapshot(struct qn_test_state *t)
{
    char home[] = "/tmp/quoin-repaired-XXXXXX", path[4096], cmd[200];
    struct world w;
    struct qn_snapshot sn;
    struct qn_chunks chunks;
    struct qn_backup backup;
    struct qn_buf manifest = { 0 };
    struct qn_hash id;
    struct repair_said said = { 0 };
    struct qn_part part = { .rest = NULL };
    QN_ASSERT(mkdtemp(home) != NULL);
    world_open(&w);
    for (uint64_t i = 0; i < 200; i++)
        block(&w, i);
    struct qn_chain *c = qn_replica_chain(w.r);
    qn_chunks_in(home, &chunks);
    CHECK_RC(qn_snapshot_make(c, NULL, &chunks, &manifest, &sn, &w.why), QN_OK);
    CHECK_RC(blob_put(home, qn_buf_get(&manifest), &id, &w.why), QN_OK);
    snprintf(path, sizeof path, "%s/snapshot.qs", home);
    CHECK_RC(qn_file_write(path, qn_buf_get(&manifest), 0600, &w.why), QN_OK);
    uint64_t of = qn_chain_header(c)->height;
    for (uint64_t i = 200; i < 210; i++)
        block(&w, i);
    CHECK(qn_chain_first(c) > 1); /* the journal alone does not do */
    CHECK_RC(qn_backup_make(c, home, 0, &backup, &w.why), QN_OK);
    uint64_t height = qn_chain_header(c)->height, rows = qn_trie_cnt(qn_chain_trie(c));
    qn_replica_close(w.r);

    CHECK_RC(repair_home(home, &said, &w.why), QN_OK);
    CHECK(strcmp(said.from, "nothing") == 0 && said.height == height);
    rot(home);
    CHECK_RC(repair_home(home, &said, &w.why), QN_OK);
    if (w.why.text[0]) printf("%s\n", w.why.text);
    CHECK(strcmp(said.from, "snapshot") == 0 && said.height == height && said.snapshot == of &&
          said.rows == rows);
    CHECK_RC(repair_home(home, &said, &w.why), QN_OK);
    CHECK(strcmp(said.from, "nothing") == 0 && said.rows == rows);

    /* A chunk of it is damaged as well: nothing is changed, and the words say what else may be done. */
    rot(home);
    CHECK_RC(qn_snapshot_read(qn_buf_get(&manifest), NULL, NULL, &sn, &w.why), QN_OK);
    CHECK(qn_snapshot_next(&sn, &part));
    CHECK_RC(blob_path(home, &part.hash, path, sizeof path, &w.why), QN_OK);
    QN_ASSERT(truncate(path, part.bytes / 2) == 0);
    struct qn_hash before = file_hash(home, "state.mdb"), after;
    w.why.text[0] = 0;
    CHECK_RC(repair_home(home, &said, &w.why), QN_E_CORRUPT);
    CHECK(strstr(w.why.text, "restore a backup") != NULL);
    after = file_hash(home, "state.mdb");
    CHECK(qn_hash_eq(&before, &after));
    qn_buf_free(&manifest);
    snprintf(cmd, sizeof cmd, "rm -rf %s %s", home, w.home);
    CHECK(system(cmd) == 0);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_snapshot);
    return TEST_END();
}
