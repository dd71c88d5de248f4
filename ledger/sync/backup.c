/* backup.c - copying a chain. */
#include "ledger/sync/backup.h"

#include "core/env/crash.h"
#include "ledger/state/proof.h"
#include "ledger/sync/home.h"

#include <string.h>

#define PAUSE_BYTES (4u << 20)
#define TELL_BLOCKS 64u

struct teller {
    void (*told)(void *arg, uint64_t done, uint64_t total);
    void *arg;
    uint64_t done, total;
};

static void say(const struct teller *t)
{
    if (t->told) t->told(t->arg, t->done, t->total);
}

static qn_rc put_rows(struct qn_trie *trie, struct qn_home *h, struct teller *t, struct qn_why *why)
{
    struct qn_span key = { NULL, 0 }, val;
    size_t bytes = 0;
    qn_rc rc = QN_OK;
    qn_crash_point("backup-rows");
    for (bool first = true; rc == QN_OK && qn_trie_next(trie, key, first, &key, &val);
         first = false) {
        rc = qn_home_row(h, key, val, why);
        bytes += key.len + val.len;
        t->done++;
        if (rc == QN_OK && bytes > PAUSE_BYTES) {
            rc = qn_home_pause(h, why);
            say(t);
            bytes = 0;
        }
    }
    return rc;
}

static void tell(struct qn_chain *c, uint64_t first, struct qn_backup *ret)
{
    *ret = (struct qn_backup){ .first = first,
                               .height = qn_chain_header(c)->height,
                               .row_cnt = qn_trie_cnt(qn_chain_trie(c)),
                               .chain = qn_chain_id(c),
                               .block = qn_chain_head(c) };
}

qn_rc qn_backup_make(struct qn_chain *c, const char *home, uint64_t map_gib, struct qn_backup *ret,
                     struct qn_why *why)
{
    return qn_backup_make_telling(c, home, map_gib, NULL, NULL, ret, why);
}

qn_rc qn_backup_make_telling(struct qn_chain *c, const char *home, uint64_t map_gib,
                             void (*told)(void *arg, uint64_t done, uint64_t total), void *arg,
                             struct qn_backup *ret, struct qn_why *why)
{
    struct qn_header begin = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_home *h = NULL;
    qn_rc rc = QN_OK;
    uint64_t at = qn_chain_first(c), head = qn_chain_header(c)->height;
    struct teller t = { .told = told, .arg = arg };
    t.total = head + 1 - QN_MIN(at, head) + qn_trie_cnt(qn_chain_trie(c));
    if (head == 0 || qn_chain_cert(c).len == 0)
        return qn_why(why, QN_E_AGAIN, "no block is final yet");
    if (at > 1 &&
        at < head) { /* the lowest block that is here becomes the one that it begins above */
        rc = qn_chain_frame(c, at++, &arena, &f, why);
        if (rc == QN_OK) begin = f.block.header;
    } else if (at > 1) {
        return qn_why(why, QN_E_AGAIN, "this chain holds no block yet");
    }
    if (rc == QN_OK) rc = qn_home_new(home, map_gib, qn_chain_genesis(c), &begin, &h, why);
    for (; rc == QN_OK && at <= head; at++) {
        qn_arena_free(&arena);
        rc = qn_chain_frame(c, at, &arena, &f, why);
        if (rc == QN_OK) rc = qn_home_frame(h, &f, why);
        if (t.done++ % TELL_BLOCKS == 0) say(&t);
    }
    if (rc == QN_OK) rc = put_rows(qn_chain_trie(c), h, &t, why);
    say(&t);
    if (rc == QN_OK) rc = qn_home_done(h, qn_chain_header(c), why);
    if (rc == QN_OK) tell(c, begin.height, ret);
    qn_home_free(h);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_backup_check(struct qn_chain *c, const struct qn_hash *trust, struct qn_backup *ret,
                      struct qn_why *why)
{
    struct qn_buf front = { 0 };
    struct qn_proof proof;
    qn_rc rc = qn_proof_head(
        c, NULL, &front,
        why); /* links and rows were checked as it opened; the last block's votes were not */
    struct qn_span s = qn_buf_get(&front);
    struct qn_hash chain = qn_chain_id(c);
    if (rc == QN_OK) rc = qn_proof_front(&s, trust ? trust : &chain, &proof, why);
    if (rc == QN_OK) tell(c, qn_chain_first(c) - 1, ret);
    qn_buf_free(&front);
    return rc;
}
