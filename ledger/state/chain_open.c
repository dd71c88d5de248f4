/* chain_open.c - opening and recovering: every frame of the journal, executed above the checkpoint. */
#include "ledger/state/chain_in.h"

#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_AHEAD_MAX_MS 60000

/* --- recovery --------------------------------------------------------------------------------------------- */

static qn_rc open_genesis(struct qn_chain *c, struct qn_span payload, struct qn_arena *arena,
                          struct qn_why *why)
{
    struct qn_genesis g;
    qn_rc rc = qn_decode(qn_genesis_record(), payload, arena, &g, why);
    if (rc) return qn_why(why, QN_E_CORRUPT, "the journal's genesis does not decode");
    if (qn_set_genesis(&g, &c->set, why)) return QN_E_CORRUPT;
    c->set_root = qn_set_hash(&c->set);
    c->id = c->head = qn_genesis_hash(&g);
    qn_buf_clear(&c->genesis);
    qn_buf_span(&c->genesis, payload);
    c->header = (struct qn_header){ .t_ms = g.t_ms, .beacon = c->id };
    if ((c->saved.height || !qn_hash_is_zero(&c->saved.chain)) &&
        !qn_hash_eq(&c->saved.chain, &c->id))
        return qn_why(why, QN_E_FOREIGN, "state.mdb belongs to another chain than the journal");
    if (c->saved.height == 0) {
        qn_state_genesis(c->st, &g, &c->id);
        qn_state_accept(c->st, qn_chain_note_dirty, c);
    }
    return QN_OK;
}

static qn_rc bad_block(struct qn_why *why, uint64_t height, const char *what)
{
    return qn_why(why, QN_E_CORRUPT, "block %" PRIu64 " of the journal: %s", height, what);
}

/* The set that votes on what follows the state. */
static void read_set(struct qn_chain *c)
{
    struct qn_stake_sets *sets = malloc(sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(qn_state_view(c->st), sets);
    if (sets->now.epoch != c->set.epoch) {
        c->set = sets->now;
        c->set_root = qn_set_hash(&c->set);
    }
    free(sets);
}

static qn_rc check_txs(const struct qn_block *block, const struct qn_hash *ids,
                       const struct qn_hash *chain, struct qn_arena *arena, struct qn_why *why)
{
    uint32_t cnt = block->txs.cnt;
    const struct qn_tx **txs = qn_arena_alloc(arena, (cnt + 1) * sizeof *txs);
    qn_rc *rcs = qn_arena_alloc(arena, (cnt + 1) * sizeof *rcs);
    if (!txs || !rcs) return QN_E_MEMORY;
    for (uint32_t i = 0; i < cnt; i++)
        txs[i] = &block->txs.ptr[i];
    return qn_tx_check_many(txs, ids, cnt, chain, rcs, why);
}

/* A journal of which the checkpoint knows little goes by: what is old is noted on the way, else it would all be in memory. Nothing there is of
 * a block that is not in the journal. */
static qn_rc note_old(struct qn_chain *c, struct qn_why *why)
{
    uint64_t to;
    if (!c->store || !qn_chain_old_due(c)) return QN_OK;
    qn_rc rc = qn_store_begin(c->store, why);
    if (rc) return rc;
    rc = qn_chain_note_old(c, &to, why);
    if (rc)
        qn_store_abort(c->store);
    else
        rc = qn_store_commit(c->store, &c->saved, why);
    if (rc == QN_OK) qn_chain_noted(c, to);
    return rc;
}

static qn_rc open_frame(struct qn_chain *c, const struct qn_frame *frame, struct qn_place at,
                        struct qn_arena *arena, struct qn_why *why)
{
    struct qn_frame f = *frame;
    struct qn_outcome out;
    const struct qn_header *h = &f.block.header;
    if (h->height != c->header.height + 1 || !qn_hash_eq(&h->parent, &c->head) ||
        !qn_hash_eq(&h->chain, &c->id))
        return bad_block(why, h->height, "it does not follow the one before");
    struct qn_hash *ids = qn_arena_alloc(arena, (f.block.txs.cnt + 1) * sizeof *ids);
    for (uint32_t i = 0; i < f.block.txs.cnt; i++)
        ids[i] = qn_tx_id(&f.block.txs.ptr[i]);
    for (uint32_t i = 0; i < f.block.txs.cnt; i++) {
        struct qn_hash slot;
        if (qn_recent_find(c->recent, &ids[i]) ||
            (qn_tx_slot(&f.block.txs.ptr[i].sender, f.block.txs.ptr[i].salt, &slot) &&
             qn_chain_slot(c, &c->head, &slot, h->t_ms)))
            return bad_block(why, h->height, "it holds a transaction a second time");
    }
    struct qn_hash body = qn_body_root(f.block.txs.ptr, f.block.txs.cnt), hash = qn_header_hash(h);
    if (!qn_hash_eq(&body, &h->body_root))
        return bad_block(why, h->height, "its body is not the one its head names");
    qn_rc rc = QN_OK;
    if (h->height > c->saved.height) { /* below, hashes lead to the checkpoint's block */
        if (!qn_chain_beacon_ok(c, &c->header.beacon, h))
            return bad_block(why, h->height, "its beacon is not the one its proposer had to draw");
        if (h->epoch != c->set.epoch || !qn_hash_eq(&h->set_root, &c->set_root))
            return bad_block(why, h->height, "it names other validators than the state before");
        if (!qn_chain_signers_ok(c, &h->signers, c->header.epoch == c->set.epoch))
            return bad_block(why, h->height, "it names signers that certify nothing");
        struct qn_why_final by = { &f.cert, f.fillers.ptr, f.fillers.cnt };
        if (f.cert.kind) rc = qn_final_check(h, &by, &c->set, why);
        if (rc) return bad_block(why, h->height, "its certificate does not verify");
        /* An audit believes no signature it has not checked. */
        if (c->conf.no_store && check_txs(&f.block, ids, &c->id, arena, why))
            return bad_block(why, h->height, "a transaction's signature does not verify");
        struct qn_hash proposer = qn_acct_key(&h->proposer);
        qn_chain_tell_signers(c, &h->signers);
        rc = qn_state_block(c->st, h->height, h->t_ms, &c->header.beacon, &proposer,
                            f.block.txs.ptr, ids, f.block.txs.cnt, arena, NULL, &out, why);
        if (rc || !qn_hash_eq(&out.root, &h->state_root)) {
            qn_state_reject(c->st);
            return bad_block(why, h->height, "executing it gives another state");
        }
        qn_state_accept(c->st, qn_chain_note_dirty, c);
        read_set(c);
    } else if (h->height == c->saved.height) {
        struct qn_hash root = qn_trie_root(qn_state_trie(c->st));
        if (!qn_hash_eq(&hash, &c->saved.block) || !qn_hash_eq(&root, &h->state_root))
            return qn_why(why, QN_E_CORRUPT,
                          "state.mdb is not the state after block %" PRIu64
                          ": quoin ledger repair makes it again",
                          h->height);
        qn_state_at(c->st, &c->id, h->height, h->t_ms, &c->header.beacon);
        read_set(c);
    }
    qn_chain_note_block(c, &f.block, ids, at);
    qn_chain_note_cert(c, &f);
    qn_chain_settle_pledges(c);
    if (h->height == c->noted && c->store) {
        struct qn_place told = { .apart = false };
        rc = qn_annals_place(c->store, h->height, &told, why);
        if (rc && rc != QN_E_NOTFOUND) return rc;
        c->strange = rc || told.at.seg != at.at.seg || told.at.off != at.at.off;
    }
    return note_old(c, why);
}

static qn_rc open_block(struct qn_chain *c, struct qn_span payload, struct qn_frame_at at,
                        struct qn_arena *arena, struct qn_why *why)
{
    struct qn_frame f;
    if (qn_decode(qn_frame_record(), payload, arena, &f, why))
        return qn_why(why, QN_E_CORRUPT, "a block of the journal does not decode");
    return open_frame(c, &f, (struct qn_place){ at, false }, arena, why);
}

/* The body that was pledged under that hash; NULL: none. */
static const struct qn_block *pledged(const struct qn_chain *c, const struct qn_hash *hash)
{
    for (const struct pledge *p = c->pledges; p; p = p->next)
        for (uint32_t i = 0; i < p->p.proposals.cnt; i++) {
            struct qn_hash h = qn_header_hash(&p->p.proposals.ptr[i].block.header);
            if (qn_hash_eq(&h, hash)) return &p->p.proposals.ptr[i].block;
        }
    return NULL;
}

static qn_rc open_final(struct qn_chain *c, struct qn_span payload, struct qn_frame_at at,
                        struct qn_arena *arena, struct qn_why *why)
{
    struct qn_final final;
    if (qn_decode(qn_final_record(), payload, arena, &final, why))
        return qn_why(why, QN_E_CORRUPT, "a final block of the journal does not decode");
    const struct qn_block *block = pledged(c, &final.block);
    if (!block)
        return qn_why(why, QN_E_CORRUPT,
                      "the journal says of a block that it is final, and does not hold it");
    struct qn_frame f = qn_chain_frame_of(&final, block);
    return open_frame(c, &f, (struct qn_place){ at, true }, arena, why);
}

void qn_chain_note_anchor(struct qn_chain *c, const struct qn_header *h, uint32_t seg)
{
    if (c->anchor_cnt == c->anchor_cap) {
        c->anchor_cap = QN_MAX(c->anchor_cap * 2, (size_t)16);
        c->anchors = realloc(c->anchors, c->anchor_cap * sizeof *c->anchors);
        QN_ASSERT(c->anchors != NULL);
    }
    c->anchors[c->anchor_cnt++] = (struct anchor){ h->height, h->t_ms, seg };
}

/* A journal that begins above block a->header: the checkpoint must have what came before. */
static qn_rc open_begin(struct qn_chain *c, const struct qn_anchor *a, struct qn_arena *arena,
                        struct qn_why *why)
{
    const struct qn_header *h = &a->header;
    if (c->conf.no_store)
        return qn_why(why, QN_E_NOTFOUND,
                      "the journal begins above block %" PRIu64
                      ": only a whole history can be executed again",
                      h->height);
    if (c->saved.height < h->height)
        return qn_why(why, QN_E_CORRUPT,
                      "state.mdb is of block %" PRIu64 ", the journal begins above block %" PRIu64
                      ": quoin ledger repair, or restore a snapshot or a backup",
                      c->saved.height, h->height);
    qn_rc rc = open_genesis(c, a->genesis, arena, why);
    if (rc) return rc;
    if (!qn_hash_eq(&h->chain, &c->id) || h->height == 0)
        return qn_why(why, QN_E_CORRUPT, "the journal's beginning is not of its chain");
    c->header = *h;
    c->head = qn_header_hash(h);
    qn_chain_begin_above(c, h->height);
    if (h->height == c->saved.height) {
        struct qn_hash root = qn_trie_root(qn_state_trie(c->st));
        if (!qn_hash_eq(&c->head, &c->saved.block) || !qn_hash_eq(&root, &h->state_root))
            return qn_why(why, QN_E_CORRUPT,
                          "state.mdb is not the state after block %" PRIu64
                          ": quoin ledger repair makes it again",
                          h->height);
        qn_state_at(c->st, &c->id, h->height, h->t_ms, &h->beacon);
        read_set(c);
    }
    qn_chain_note_cert(c, &(struct qn_frame){ .cert = a->cert });
    return QN_OK;
}

static qn_rc open_anchor(struct qn_chain *c, bool first, struct qn_span payload,
                         struct qn_frame_at at, struct qn_arena *arena, struct qn_why *why)
{
    struct qn_anchor a;
    if (qn_decode(qn_anchor_record(), payload, arena, &a, why))
        return qn_why(why, QN_E_CORRUPT, "an anchor of the journal does not decode");
    if (first) {
        qn_rc rc = open_begin(c, &a, arena, why);
        if (rc) return rc;
    }
    struct qn_hash hash = qn_header_hash(&a.header);
    if (!qn_hash_eq(&hash, &c->head))
        return qn_why(why, QN_E_CORRUPT, "an anchor of the journal is of another block");
    qn_chain_note_anchor(c, &a.header, at.seg);
    return QN_OK;
}

static qn_rc open_pledge(struct qn_chain *c, struct qn_span payload, struct qn_why *why)
{
    struct pledge *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->next = c->pledges;
    c->pledges = p;
    void *copy = qn_arena_copy(&p->arena, payload.ptr, payload.len);
    QN_ASSERT(copy != NULL);
    if (qn_decode(qn_pledge_record(), QN_SPAN(copy, payload.len), &p->arena, &p->p, why))
        return qn_why(why, QN_E_CORRUPT, "a vote of the journal does not decode");
    return QN_OK;
}

static qn_rc on_frame(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                      struct qn_span payload, struct qn_why *why)
{
    struct qn_chain *c = arg;
    struct qn_arena arena = { 0 };
    qn_rc rc;
    bool first = qn_hash_is_zero(&c->id);
    if (kind == QN_FRAME_ANCHOR)
        rc = open_anchor(c, first, payload, at, &arena, why);
    else if (first != (kind == QN_FRAME_GENESIS))
        rc = qn_why(why, QN_E_CORRUPT, "the journal has a frame of kind %u at %" PRIu64, kind, seq);
    else if (kind == QN_FRAME_GENESIS)
        rc = open_genesis(c, payload, &arena, why);
    else if (kind == QN_FRAME_BLOCK)
        rc = open_block(c, payload, at, &arena, why);
    else if (kind == QN_FRAME_FINAL)
        rc = open_final(c, payload, at, &arena, why);
    else if (kind == QN_FRAME_VOTE)
        rc = open_pledge(c, payload, why);
    else
        rc = qn_why(why, QN_E_CORRUPT, "the journal has a frame of kind %u at %" PRIu64, kind, seq);
    qn_arena_free(&arena);
    return rc;
}

static void on_row(void *arg, struct qn_span key, struct qn_span val)
{
    struct qn_chain *c = arg;
    qn_trie_put(qn_state_trie(c->st), key, val);
}

qn_rc qn_chain_open(const struct qn_chain_conf *conf, struct qn_chain **ret, struct qn_why *why)
{
    char path[4096];
    struct qn_chain *c = calloc(1, sizeof *c);
    QN_ASSERT(c != NULL);
    c->conf = *conf;
    c->st = qn_state_new(conf->modules, conf->module_cnt, conf->vm);
    qn_state_trace(c->st, conf->trace);
    c->dirty = qn_trie_new();
    qn_env_random(conf->env, &c->secret, sizeof c->secret);
    c->recent = qn_recent_new(c->secret);
    qn_rc rc = QN_OK;
    if (!conf->no_store) {
        snprintf(path, sizeof path, "%s/state.mdb", conf->home);
        rc = qn_store_open_on(conf->env->disk, path, conf->map_gib ? conf->map_gib : 64, &c->store,
                              &c->saved, why);
        if (rc == QN_OK) rc = qn_store_load(c->store, on_row, c, why);
        if (rc == QN_OK && c->saved.height == 0 && qn_trie_cnt(qn_state_trie(c->st)))
            rc = qn_why(why, QN_E_CORRUPT,
                        "state.mdb has rows and names no block that they come after: quoin ledger "
                        "repair makes it again");
        if (rc == QN_OK) rc = qn_annals_top(c->store, &c->noted, why);
    }
    snprintf(path, sizeof path, "%s/journal", conf->home);
    if (rc == QN_OK) rc = qn_journal_open_on(conf->env->disk, path, on_frame, c, &c->journal, why);
    if (rc == QN_OK && c->header.height < c->saved.height)
        rc = qn_why(why, QN_E_CORRUPT,
                    "the journal ends at block %" PRIu64 ", state.mdb is of block %" PRIu64,
                    c->header.height, c->saved.height);
    if (rc == QN_OK && (c->strange || c->noted > c->header.height))
        rc = qn_why(
            why, QN_E_CORRUPT,
            "state.mdb is beside another journal than its own; where that begins at block 1, "
            "remove it and start again: the journal has all");
    if (rc == QN_OK && qn_journal_seq(c->journal) == 0) {
        struct qn_buf buf = { 0 };
        struct qn_frame_at at;
        struct qn_arena arena = { 0 };
        if (!conf->genesis) {
            rc = qn_why(why, QN_E_NOTFOUND, "%s holds no chain", conf->home);
        } else {
            qn_encode(qn_genesis_record(), conf->genesis, &buf);
            rc = open_genesis(c, qn_buf_get(&buf), &arena, why);
        }
        if (rc == QN_OK)
            rc = qn_journal_append(c->journal, QN_FRAME_GENESIS, qn_buf_get(&buf), &at, why);
        qn_buf_free(&buf);
        qn_arena_free(&arena);
    }
    if (rc == QN_OK && !conf->no_store &&
        c->header.t_ms > qn_env_now_ms(conf->env) + CLOCK_AHEAD_MAX_MS)
        rc =
            qn_why(why, QN_E_CLOCK, "the last block is %" PRIu64 " s ahead of this machine's clock",
                   (c->header.t_ms - qn_env_now_ms(conf->env)) / 1000);
    c->opened = rc == QN_OK;
    if (rc)
        qn_chain_close(c);
    else
        *ret = c;
    return rc;
}
