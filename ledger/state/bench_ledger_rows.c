/* bench_ledger_rows.c - what an account costs: bytes on the disk, processor time for a change (in the tree, hashed, in the checkpoint) beside the
 * bare LMDB put of the same rows, and how fast a node that starts reads all of it and hashes the root again. 1 M accounts, 10 M with
 * QUOIN_BENCH_LONG=1: the goals are of 100 M, and each line's limit is such a goal divided down. Accounts come in the order of their hashes'
 * drawing, 48,000 a checkpoint, as on a chain they do. */
#include "core/crypto/hash.h"
#include "ledger/state/state.h"
#include "ledger/store/store.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEY = 33, PER_COMMIT = 48000, BATCH = 10000, ROUNDS = 8 };

struct bench {
    char dir[64], path[96], bare[96];
    uint64_t cnt, salt;
    struct qn_trie *trie;
    struct qn_store *store;
    struct qn_store_meta meta;
};

/* Processor time: who else is on the machine does not count. */
static double cpu_s(void)
{
    struct timespec ts;
    QN_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void key_of(uint64_t i, uint8_t ret[KEY])
{
    struct qn_hash h = qn_h("bench account", &i, sizeof i);
    ret[0] = QN_TABLE_ACCOUNT;
    memcpy(ret + 1, h.b, 32);
}

static void value_of(uint64_t uqn, struct qn_buf *ret)
{
    struct qn_account a = { .balance = QN_UQN(uqn) };
    qn_buf_clear(ret);
    qn_encode(qn_account_record(), &a, ret);
}

/* Keys of a batch in order, as a chain's checkpoint visits them. */
static struct qn_trie *batch_of(struct bench *b, uint64_t first, uint64_t cnt, bool at_random)
{
    struct qn_trie *t = qn_trie_new();
    uint8_t key[KEY];
    for (uint64_t i = 0; i < cnt; i++) {
        uint64_t draw = b->salt++ * UINT64_C(0x9e3779b97f4a7c15);
        key_of(at_random ? (draw >> 20) % b->cnt : first + i, key);
        qn_trie_put(t, QN_SPAN(key, KEY), QN_SPAN(NULL, 0));
    }
    return t;
}

static void commit(struct bench *b, const struct qn_trie *keys)
{
    uint8_t last[KEY];
    struct qn_span key = QN_SPAN(last, 0), val, row;
    struct qn_why why;
    b->meta.height++;
    QN_ASSERT(qn_store_begin(b->store, &why) == QN_OK);
    for (bool first = true; qn_trie_next(keys, key, first, &key, &val); first = false) {
        QN_ASSERT(qn_trie_get(b->trie, key, &row));
        QN_ASSERT(qn_store_put(b->store, key, row, &why) == QN_OK);
        memcpy(last, key.ptr, KEY);
        key.ptr = last;
    }
    QN_ASSERT(qn_store_commit(b->store, &b->meta, &why) == QN_OK);
}

static void change(struct bench *b, const struct qn_trie *keys, uint64_t uqn)
{
    uint8_t last[KEY];
    struct qn_span key = QN_SPAN(last, 0), val;
    struct qn_buf row = { 0 };
    for (bool first = true; qn_trie_next(keys, key, first, &key, &val); first = false) {
        memcpy(last, key.ptr, KEY);
        key.ptr = last;
        value_of(uqn++, &row);
        qn_trie_put(b->trie, key, qn_buf_get(&row));
    }
    qn_buf_free(&row);
}

static void fill(struct bench *b)
{
    for (uint64_t i = 0; i < b->cnt; i += PER_COMMIT) {
        struct qn_trie *keys = batch_of(b, i, QN_MIN((uint64_t)PER_COMMIT, b->cnt - i), false);
        change(b, keys, 1000000 + i);
        commit(b, keys);
        qn_trie_free(keys);
    }
    (void)qn_trie_root(b->trie);
}

/* --- the bare put ------------------------------------------------------------------------------------------------------ */

struct bare {
    MDB_env *env;
    MDB_dbi rows;
};

static void bare_open(struct bare *l, const char *path)
{
    MDB_txn *txn;
    int err = mdb_env_create(&l->env);
    if (!err) err = mdb_env_set_mapsize(l->env, UINT64_C(64) << 30);
    if (!err) err = mdb_env_set_maxdbs(l->env, 4);
    if (!err) err = mdb_env_open(l->env, path, MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS, 0600);
    if (!err) err = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (!err) err = mdb_dbi_open(txn, "rows", 0, &l->rows);
    if (!err) err = mdb_txn_commit(txn);
    QN_ASSERT(err == 0);
}

static double bare_batch(struct bare *l, const struct qn_trie *keys)
{
    uint8_t last[KEY], row[64] = { 1 };
    struct qn_span key = QN_SPAN(last, 0), val;
    struct qn_buf like = { 0 };
    MDB_txn *txn;
    value_of(12345678, &like);
    double begin = cpu_s();
    int err = mdb_txn_begin(l->env, NULL, 0, &txn);
    for (bool first = true; !err && qn_trie_next(keys, key, first, &key, &val); first = false) {
        MDB_val k = { KEY, (void *)(uintptr_t)key.ptr }, v = { like.len, row };
        err = mdb_put(txn, l->rows, &k, &v, 0);
        memcpy(last, key.ptr, KEY);
        key.ptr = last;
    }
    if (!err) err = mdb_txn_commit(txn);
    QN_ASSERT(err == 0);
    qn_buf_free(&like);
    return cpu_s() - begin;
}

/* --- the lines --------------------------------------------------------------------------------------------------------- */

static void bench_bytes(const struct bench *b)
{
    struct stat st;
    QN_ASSERT(stat(b->path, &st) == 0);
    double each = (double)st.st_blocks * 512 / (double)b->cnt;
    printf("{\"name\":\"bytes on the disk for an account, of %llu\",\"value\":%.0f,\"unit\":\"B\","
           "\"limit\":\"100 M in 25 GB: 250 B\",\"limit_ratio\":%.3f}\n",
           (unsigned long long)b->cnt, each, each / 250);
}

static void bench_update(struct bench *b)
{
    struct bare bare;
    double ours = 1e9, theirs = 1e9;
    bare_open(&bare, b->bare);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct qn_trie *keys = batch_of(b, 0, BATCH, true);
        size_t cnt = qn_trie_cnt(keys);
        theirs = QN_MIN(theirs, bare_batch(&bare, keys) / (double)cnt);
        double begin = cpu_s();
        change(b, keys, 5000000);
        b->meta.root = qn_trie_root(b->trie);
        commit(b, keys);
        ours = QN_MIN(ours, (cpu_s() - begin) / (double)cnt);
        qn_trie_free(keys);
    }
    mdb_env_close(bare.env);
    printf("{\"name\":\"changes of accounts at random, tree, root and checkpoint, of %llu\","
           "\"value\":%.0f,\"unit\":\"1/s a core\",\"limit\":\"the same rows put into bare LMDB, "
           "%.0f/s\",\"limit_ratio\":%.3f}\n",
           (unsigned long long)b->cnt, 1 / ours, 1 / theirs, theirs / ours);
}

static void on_row(void *arg, struct qn_span key, struct qn_span val)
{
    qn_trie_put(arg, key, val);
}

static void bench_rebuild(struct bench *b)
{
    struct qn_why why;
    struct qn_hash want = qn_trie_root(b->trie);
    qn_store_close(b->store);
    qn_trie_free(b->trie);
    double begin = cpu_s();
    b->trie = qn_trie_new();
    QN_ASSERT(qn_store_open(b->path, 64, &b->store, &b->meta, &why) == QN_OK);
    QN_ASSERT(qn_store_load(b->store, on_row, b->trie, &why) == QN_OK);
    struct qn_hash got = qn_trie_root(b->trie);
    double rate = (double)b->cnt / (cpu_s() - begin);
    QN_ASSERT(qn_hash_eq(&got, &want));
    printf("{\"name\":\"rows read and hashed to the root at a start, of %llu\",\"value\":%.0f,"
           "\"unit\":\"rows/s a core\",\"limit\":\"100 M in 5 minutes: 333333/s\",\"limit_ratio\":"
           "%.3f}\n",
           (unsigned long long)b->cnt, rate, rate / 333333);
}

int main(void)
{
    struct bench b = { .dir = "/tmp/quoin-bench-XXXXXX", .trie = qn_trie_new() };
    const char *env = getenv("QUOIN_BENCH_LONG");
    char cmd[256];
    struct qn_why why;
    b.cnt = env && env[0] == '1' ? 10000000 : 1000000;
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(b.dir) != NULL);
    snprintf(b.path, sizeof b.path, "%s/state.mdb", b.dir);
    snprintf(b.bare, sizeof b.bare, "%s/bare.mdb", b.dir);
    QN_ASSERT(qn_store_open(b.path, 64, &b.store, &b.meta, &why) == QN_OK);
    fill(&b);
    bench_bytes(&b);
    fflush(stdout);
    snprintf(cmd, sizeof cmd, "cp %s %s", b.path, b.bare);
    QN_ASSERT(system(cmd) == 0);
    bench_update(&b);
    fflush(stdout);
    bench_rebuild(&b);
    qn_store_close(b.store);
    qn_trie_free(b.trie);
    snprintf(cmd, sizeof cmd, "rm -rf %s", b.dir);
    return system(cmd) != 0;
}
