/* chain_world.h - what tests of a chain's past share: a chain of one validator in a time of its own, on a journal of small segments, so that old
 * ones are let go after a while. */
#ifndef QN_LEDGER_SYNC_CHAIN_WORLD_H
#define QN_LEDGER_SYNC_CHAIN_WORLD_H

#include "core/base/test.h"
#include "core/env/still.h"
#include "ledger/sync/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chain_world {
    char home[64];
    struct qn_disk disk;
    struct qn_env env;
    struct qn_key validator, rich;
    uint64_t now_ms;
    struct qn_replica *r;
    void (*on_block)(void *arg, const struct qn_frame *f, const struct qn_hash *hash);
    struct qn_why why;
};

static inline void chain_world_init(struct chain_world *w)
{
    struct qn_hash seed = qn_h("test world", "v", 1), rich = qn_h("test world", "r", 1);
    *w = (struct chain_world){ .home = "/tmp/quoin-chain-XXXXXX",
                               .disk = *qn_disk_real(),
                               .now_ms = 1700000001000 };
    QN_ASSERT(mkdtemp(w->home) != NULL);
    w->disk.file_bytes = 64 << 10;
    w->disk.grow_bytes = 16 << 10;
    w->env = still_env(&w->now_ms, &w->disk);
    qn_key_from_seed(seed.b, &w->validator);
    qn_key_from_seed(rich.b, &w->rich);
}

/* Opens the chain. audit: all of it is run again, and nobody votes. */
static inline qn_rc chain_world_up(struct chain_world *w, bool audit)
{
    struct qn_grant grant = { qn_acct_key(&w->rich.pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = genesis.grants.cnt = 1;
    genesis.validators.ptr = &w->validator.pub;
    genesis.grants.ptr = &grant;
    struct qn_replica_conf conf = { .chain = { .home = w->home,
                                               .env = &w->env,
                                               .genesis = &genesis,
                                               .map_gib = 1,
                                               .keep_ms = 1300000,
                                               .run_ids = 20,
                                               .no_store = audit,
                                               .on_block = w->on_block,
                                               .arg = w },
                                    .validator = audit ? NULL : &w->validator };
    w->why.text[0] = 0;
    return qn_replica_open(&conf, &w->r, &w->why);
}

/* One block that holds a few transfers, 10 s later: to four accounts, or (fresh) each to one of its own. */
static inline void chain_world_block(struct chain_world *w, uint64_t salt, bool fresh)
{
    struct qn_chain *c = qn_replica_chain(w->r);
    struct qn_hash chain = qn_chain_id(c), id;
    uint64_t height = qn_chain_header(c)->height, wait;
    for (uint64_t i = 0; i < 4; i++) {
        struct qn_buf body = { 0 }, tx = { 0 };
        uint64_t to = fresh ? salt << 8 | i : i;
        struct ledger_send s = { .to = qn_blake3(&to, sizeof to),
                                 .amount = QN_UQN(5),
                                 .memo =
                                     QN_SPAN_STR("a hundred bytes more or less, so that a "
                                                 "segment of the journal fills up in a while") };
        qn_encode(ledger_send_record(), &s, &body);
        struct qn_tx_opts opts = { .salt = salt << 8 | i };
        qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &w->rich, w->now_ms, &opts, &tx, &id);
        QN_ASSERT(qn_replica_submit(w->r, qn_buf_get(&tx), &id, &w->why) == QN_OK);
        qn_buf_free(&body);
        qn_buf_free(&tx);
    }
    for (unsigned i = 0; i < 20 && qn_chain_header(c)->height == height; i++) {
        w->now_ms += 500;
        QN_ASSERT(qn_replica_turn(w->r, &wait, &w->why) == QN_OK);
    }
    QN_ASSERT(qn_chain_header(c)->height > height);
    w->now_ms += 9500;
}

static inline void chain_world_remove(const char *home)
{
    char cmd[200];
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    QN_ASSERT(system(cmd) == 0);
}

#endif
