/* chain.c - opening and recovering, the tree of blocks above the last final one, making them final. */
#include "ledger/state/chain.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "ledger/bft/beacon.h"
#include "ledger/bft/vote.h"
#include "ledger/state/idmap.h"
#include "ledger/store/journal.h"
#include "ledger/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_MS      2000
#define FLUSH_MS           1000 /* what waits in the journal is written by then */
#define CLOCK_AHEAD_MAX_MS 60000
#define KEEP_MIN_MS                                                                                \
    (2 * QN_TX_SPAN_MS) /* a transaction that an unkept block held has run out long ago */

/* An executed block that is not final. */
struct branch {
    struct branch *next, *parent; /* parent NULL: the head */
    struct qn_hash hash;
    struct qn_parcel *parcel;
    struct qn_frame frame; /* cert empty; the block is the parcel's, the rest the arena's */
    struct qn_idmap *has;  /* ids and slots, while it is not final */
    struct qn_arena arena;
    struct qn_delta *delta;     /* NULL: a filler */
    bool pledged;               /* the journal holds the body: */
    struct qn_frame_at pledge;  /* the frame, */
    uint8_t pledge_idx;         /* the number in it */
    struct qn_stake_sets *sets; /* of a block that ends its epoch: who votes then */
};

/* A segment of the journal that begins above this block, and needs none before it. */
struct anchor {
    uint64_t height, t_ms;
    uint32_t seg;
};

/* Where a block lies in the journal; apart: what made it final is there, and names where its body is. */
struct place {
    struct qn_frame_at at;
    bool apart;
};

struct pledge {
    struct pledge *next;
    struct qn_pledge p;
    struct qn_arena arena;
};

struct qn_chain {
    struct qn_chain_conf conf;
    struct qn_state *st;
    struct qn_journal *journal;
    struct qn_store *store;
    struct qn_hash id, head, set_root;
    struct qn_set set;
    struct qn_header header; /* of the head */
    struct qn_buf cert, by;  /* of the head, Borsh; empty: it has none of its own; or a filler's */
    struct qn_buf genesis;   /* Borsh */
    struct qn_store_meta saved; /* what the checkpoint holds */
    struct qn_trie *dirty;      /* keys changed since */
    struct qn_idmap *seen;      /* transaction id -> height; slot -> block time of its last */
    struct place *at;           /* where block at_base + i + 1 lies */
    size_t at_cnt, at_cap;
    uint64_t at_base;       /* the journal begins above this block */
    struct anchor *anchors; /* segments that begin with one */
    size_t anchor_cnt, anchor_cap;
    struct branch *branches, *tip; /* tip: whose changes the rows hold; NULL: the head's alone */
    struct pledge *pledges;        /* of views that are not over, first the newest */
    uint64_t saved_ms;             /* monotonic, of the last checkpoint */
    bool opened;                   /* what is here may be written; until then nothing is */
    uint64_t flushed_ms;           /* when nothing waited in the journal */
    uint64_t secret;               /* of maps by id */
};

/* Whether the header's beacon is the one its proposer could not choose. */
static bool beacon_ok(const struct qn_chain *c, const struct qn_hash *before,
                      const struct qn_header *h)
{
    struct qn_hash beacon;
    return qn_beacon_check(&h->proposer, &c->id, before, h->height, &h->vrf, &beacon) &&
           qn_hash_eq(&beacon, &h->beacon);
}

/* Whether a head may say this of who was heard to vote (not at all above a block of another set, or in a filler): nothing, or so many that
 * they certify a block, as who builds on one has them. Nobody can check more: a proposer may keep silent about votes that it saw, and say
 * that it saw some. fault.c judges with that in mind. */
static bool signers_ok(const struct qn_chain *c, const struct qn_hash *signers, bool may)
{
    uint64_t sum = 0;
    if (qn_hash_is_zero(signers)) return true;
    for (uint32_t i = 0; i < 8 * sizeof signers->b; i++) {
        if (!(signers->b[i / 8] >> (i % 8) & 1)) continue;
        if (i >= c->set.cnt) return false;
        sum += c->set.weights[i];
    }
    return may && sum >= qn_set_quorum(&c->set).q;
}

/* Tells the state what the block that is executed next says of it. */
static void tell_signers(struct qn_chain *c, const struct qn_hash *signers)
{
    qn_state_signers(c->st, signers->b, qn_hash_is_zero(signers) ? 0 : c->set.cnt);
}

static void note_dirty(void *arg, struct qn_span key)
{
    struct qn_chain *c = arg;
    qn_trie_put(c->dirty, key, QN_SPAN(NULL, 0));
}

static void note_block(struct qn_chain *c, const struct qn_block *block, const struct qn_hash *ids,
                       struct place at)
{
    if (c->at_cnt == c->at_cap) {
        c->at_cap = QN_MAX(c->at_cap * 2, (size_t)1024);
        c->at = realloc(c->at, c->at_cap * sizeof *c->at);
        QN_ASSERT(c->at != NULL);
    }
    c->at[c->at_cnt++] = at;
    QN_ASSERT(c->at_base + c->at_cnt == block->header.height);
    for (uint32_t i = 0; i < block->txs.cnt; i++) {
        struct qn_hash slot;
        qn_idmap_put(c->seen, &ids[i], block->header.height);
        if (qn_tx_slot(&block->txs.ptr[i].sender, block->txs.ptr[i].salt, &slot))
            qn_idmap_put(c->seen, &slot, block->header.t_ms);
    }
    c->head = qn_header_hash(&block->header);
    c->header = block->header;
}

static void note_cert(struct qn_chain *c, const struct qn_frame *f)
{
    qn_buf_clear(&c->cert);
    qn_buf_clear(&c->by);
    if (f->cert.kind == 0) return;
    qn_encode(qn_cert_record(), &f->cert, &c->by);
    if (f->fillers.cnt == 0) qn_encode(qn_cert_record(), &f->cert, &c->cert);
}

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
    if (c->saved.height || !qn_hash_is_zero(&c->saved.chain)) {
        if (!qn_hash_eq(&c->saved.chain, &c->id))
            return qn_why(why, QN_E_FOREIGN, "state.mdb belongs to another chain than the journal");
    } else {
        qn_state_genesis(c->st, &g, &c->id);
        qn_state_accept(c->st, note_dirty, c);
    }
    return QN_OK;
}

static void pledge_free(struct pledge *p)
{
    qn_arena_free(&p->arena);
    free(p);
}

/* Forgets what was pledged in views that the head has ended. */
static void settle_pledges(struct qn_chain *c)
{
    for (struct pledge **at = &c->pledges; *at;) {
        struct pledge *p = *at;
        bool open = false;
        for (uint32_t i = 0; i < p->p.votes.cnt; i++)
            open |= p->p.votes.ptr[i].view > c->header.view;
        if (open) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pledge_free(p);
    }
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

static qn_rc open_frame(struct qn_chain *c, const struct qn_frame *frame, struct place at,
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
        if (qn_idmap_has(c->seen, &ids[i]) ||
            (qn_tx_slot(&f.block.txs.ptr[i].sender, f.block.txs.ptr[i].salt, &slot) &&
             qn_chain_slot(c, &c->head, &slot, h->t_ms)))
            return bad_block(why, h->height, "it holds a transaction a second time");
    }
    struct qn_hash body = qn_body_root(f.block.txs.ptr, f.block.txs.cnt), hash = qn_header_hash(h);
    if (!qn_hash_eq(&body, &h->body_root))
        return bad_block(why, h->height, "its body is not the one its head names");
    qn_rc rc = QN_OK;
    if (h->height > c->saved.height) { /* below, hashes lead to the checkpoint's block */
        if (!beacon_ok(c, &c->header.beacon, h))
            return bad_block(why, h->height, "its beacon is not the one its proposer had to draw");
        if (h->epoch != c->set.epoch || !qn_hash_eq(&h->set_root, &c->set_root))
            return bad_block(why, h->height, "it names other validators than the state before");
        if (!signers_ok(c, &h->signers, c->header.epoch == c->set.epoch))
            return bad_block(why, h->height, "it names signers that certify nothing");
        struct qn_why_final by = { &f.cert, f.fillers.ptr, f.fillers.cnt };
        if (f.cert.kind) rc = qn_final_check(h, &by, &c->set, why);
        if (rc) return bad_block(why, h->height, "its certificate does not verify");
        /* An audit believes no signature it has not checked. */
        if (c->conf.no_store && check_txs(&f.block, ids, &c->id, arena, why))
            return bad_block(why, h->height, "a transaction's signature does not verify");
        struct qn_hash proposer = qn_acct_key(&h->proposer);
        tell_signers(c, &h->signers);
        rc = qn_state_block(c->st, h->height, h->t_ms, &c->header.beacon, &proposer,
                            f.block.txs.ptr, ids, f.block.txs.cnt, arena, NULL, &out, why);
        if (rc || !qn_hash_eq(&out.root, &h->state_root)) {
            qn_state_reject(c->st);
            return bad_block(why, h->height, "executing it gives another state");
        }
        qn_state_accept(c->st, note_dirty, c);
        read_set(c);
    } else if (h->height == c->saved.height) {
        struct qn_hash root = qn_trie_root(qn_state_trie(c->st));
        if (!qn_hash_eq(&hash, &c->saved.block) || !qn_hash_eq(&root, &h->state_root))
            return qn_why(why, QN_E_CORRUPT,
                          "state.mdb is not the state after block %" PRIu64
                          "; remove it and start again: the journal has all",
                          h->height);
        qn_state_at(c->st, &c->id, h->height, h->t_ms, &c->header.beacon);
        read_set(c);
    }
    note_block(c, &f.block, ids, at);
    note_cert(c, &f);
    settle_pledges(c);
    return QN_OK;
}

static qn_rc open_block(struct qn_chain *c, struct qn_span payload, struct qn_frame_at at,
                        struct qn_arena *arena, struct qn_why *why)
{
    struct qn_frame f;
    if (qn_decode(qn_frame_record(), payload, arena, &f, why))
        return qn_why(why, QN_E_CORRUPT, "a block of the journal does not decode");
    return open_frame(c, &f, (struct place){ at, false }, arena, why);
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

static struct qn_frame frame_of(const struct qn_final *final, const struct qn_block *block)
{
    struct qn_frame f = { .block = *block, .cert = final->cert };
    f.fillers.cnt = final->fillers.cnt;
    f.fillers.ptr = final->fillers.ptr;
    f.receipts.cnt = final->receipts.cnt;
    f.receipts.ptr = final->receipts.ptr;
    f.events.cnt = final->events.cnt;
    f.events.ptr = final->events.ptr;
    return f;
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
    struct qn_frame f = frame_of(&final, block);
    return open_frame(c, &f, (struct place){ at, true }, arena, why);
}

static void note_anchor(struct qn_chain *c, const struct qn_header *h, uint32_t seg)
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
                      "; restore a snapshot or a backup",
                      c->saved.height, h->height);
    qn_rc rc = open_genesis(c, a->genesis, arena, why);
    if (rc) return rc;
    if (!qn_hash_eq(&h->chain, &c->id) || h->height == 0)
        return qn_why(why, QN_E_CORRUPT, "the journal's beginning is not of its chain");
    c->header = *h;
    c->head = qn_header_hash(h);
    c->at_base = h->height;
    if (h->height == c->saved.height) {
        struct qn_hash root = qn_trie_root(qn_state_trie(c->st));
        if (!qn_hash_eq(&c->head, &c->saved.block) || !qn_hash_eq(&root, &h->state_root))
            return qn_why(why, QN_E_CORRUPT,
                          "state.mdb is not the state after block %" PRIu64
                          "; restore a snapshot or a backup",
                          h->height);
        qn_state_at(c->st, &c->id, h->height, h->t_ms, &h->beacon);
        read_set(c);
    }
    note_cert(c, &(struct qn_frame){ .cert = a->cert });
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
    note_anchor(c, &a.header, at.seg);
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
    c->seen = qn_idmap_new(c->secret);
    qn_rc rc = QN_OK;
    if (!conf->no_store) {
        snprintf(path, sizeof path, "%s/state.mdb", conf->home);
        rc = qn_store_open_on(conf->env->disk, path, conf->map_gib ? conf->map_gib : 64, &c->store,
                              &c->saved, why);
        if (rc == QN_OK) rc = qn_store_load(c->store, on_row, c, why);
    }
    snprintf(path, sizeof path, "%s/journal", conf->home);
    if (rc == QN_OK) rc = qn_journal_open_on(conf->env->disk, path, on_frame, c, &c->journal, why);
    if (rc == QN_OK && c->header.height < c->saved.height)
        rc = qn_why(why, QN_E_CORRUPT,
                    "the journal ends at block %" PRIu64 ", state.mdb is of block %" PRIu64,
                    c->header.height, c->saved.height);
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

/* --- the tree above the head --------------------------------------------------------------------------------- */

static void branch_free(struct branch *b)
{
    free(b->sets);
    qn_delta_free(b->delta);
    qn_idmap_free(b->has);
    qn_parcel_unref(b->parcel);
    qn_arena_free(&b->arena);
    free(b);
}

static struct branch *branch_find(const struct qn_chain *c, const struct qn_hash *hash)
{
    for (struct branch *b = c->branches; b; b = b->next)
        if (qn_hash_eq(&b->hash, hash)) return b;
    return NULL;
}

static bool descends(const struct branch *b, const struct branch *from)
{
    while (b && b != from)
        b = b->parent;
    return b == from;
}

static void put_in(struct qn_chain *c, struct branch *b)
{
    if (c->tip == b) return;
    put_in(c, b->parent);
    if (b->delta) qn_delta_swap(c->st, b->delta);
    c->tip = b;
}

/* Makes the rows those after b; NULL: after the head. */
static void go(struct qn_chain *c, struct branch *b)
{
    while (c->tip && !descends(b, c->tip)) {
        if (c->tip->delta) qn_delta_swap(c->st, c->tip->delta);
        c->tip = c->tip->parent;
    }
    if (b) put_in(c, b);
}

static void to_head(struct qn_chain *c)
{
    go(c, NULL);
}

/* The rows and header that a child of `parent` stands on; *ret_up NULL: the head. */
static qn_rc stand_on(struct qn_chain *c, const struct qn_hash *parent, struct branch **ret_up,
                      const struct qn_header **ret_header, struct qn_why *why)
{
    *ret_up = branch_find(c, parent);
    if (!*ret_up && !qn_hash_eq(parent, &c->head))
        return qn_why(why, QN_E_NOTFOUND, "the block's parent is not known here");
    *ret_header = *ret_up ? &(*ret_up)->frame.block.header : &c->header;
    go(c, *ret_up);
    return QN_OK;
}

/* Whether what stands on `up` is a filler. */
static bool is_filler_place(const struct branch *up)
{
    return up && (up->sets || !up->delta);
}

/* What a filler says of the state: that it is as before. */
static void fill(const struct qn_header *before, struct qn_header *h)
{
    h->body_root = qn_body_root(NULL, 0);
    h->state_root = before->state_root;
}

static void grow(struct qn_chain *c, struct branch *b, struct branch *up)
{
    b->parent = up;
    b->next = c->branches;
    c->branches = b;
    b->hash = b->parcel->hash;
    if (!is_filler_place(up)) {
        struct qn_stake_sets *sets = malloc(sizeof *sets);
        QN_ASSERT(sets != NULL);
        b->delta = qn_state_keep(c->st);
        qn_stake_set(qn_state_view(c->st), sets);
        if (sets->last)
            b->sets = sets;
        else
            free(sets);
    }
    b->has = qn_idmap_new(c->secret);
    for (uint32_t i = 0; i < b->frame.block.txs.cnt; i++) {
        struct qn_hash slot;
        const struct qn_tx *tx = &b->frame.block.txs.ptr[i];
        qn_idmap_put(b->has, &b->parcel->ids[i], 0);
        if (qn_tx_slot(&tx->sender, tx->salt, &slot)) qn_idmap_put(b->has, &slot, 0);
    }
    c->tip = b;
}

/* Gives a branch its block, which it shares with who else counts the parcel. */
static void give(struct branch *b, struct qn_parcel *parcel QN_TAKES)
{
    qn_parcel_name(parcel);
    b->parcel = parcel;
    b->frame.block = parcel->p.block;
}

qn_rc qn_chain_make(struct qn_chain *c, const struct qn_make *m, bool *misfit,
                    struct qn_hash *ret_hash, struct qn_why *why)
{
    struct branch *up, *b = calloc(1, sizeof *b);
    const struct qn_header *before;
    struct qn_outcome out;
    QN_ASSERT(b != NULL);
    struct qn_hash proposer = qn_acct_key(&m->key->pub);
    qn_rc rc = stand_on(c, &m->parent, &up, &before, why);
    if (rc) goto fail;
    struct qn_block block = { .header = { .ver = QN_HEADER_VER,
                                          .chain = c->id,
                                          .epoch = c->set.epoch,
                                          .height = before->height + 1,
                                          .view = m->view,
                                          .t_ms = QN_MAX(m->t_ms, before->t_ms + 1),
                                          .parent = m->parent,
                                          .set_root = c->set_root,
                                          .proposer = m->key->pub } };
    struct qn_header *h = &block.header;
    qn_beacon_prove(m->key, &c->id, &before->beacon, h->height, &h->vrf, &h->beacon);
    if (is_filler_place(up)) {
        memset(misfit, 0, m->cnt * sizeof *misfit);
        fill(before, h);
        give(b, qn_parcel_of(&block));
        grow(c, b, up);
        *ret_hash = b->hash;
        return QN_OK;
    }
    if (signers_ok(c, &m->signers, before->epoch == c->set.epoch)) h->signers = m->signers;
    tell_signers(c, &h->signers);
    rc = qn_state_block(c->st, h->height, h->t_ms, &before->beacon, &proposer, m->txs, m->ids,
                        m->cnt, &b->arena, misfit, &out, why);
    if (rc) {
        qn_state_reject(c->st);
        goto fail;
    }
    block.txs.ptr = qn_arena_alloc(&b->arena, (out.receipt_cnt + 1) * sizeof *block.txs.ptr);
    QN_ASSERT(block.txs.ptr != NULL);
    for (uint32_t i = 0; i < out.receipt_cnt; i++) {
        if (misfit[i]) continue;
        out.receipts[block.txs.cnt] = out.receipts[i];
        block.txs.ptr[block.txs.cnt++] = m->txs[i];
    }
    for (uint32_t i = out.receipt_cnt; i < m->cnt; i++)
        misfit[i] = false; /* no room: the next block's */
    h->body_root = qn_body_root(block.txs.ptr, block.txs.cnt);
    h->state_root = out.root;
    /* What the branch keeps is its own: the pool may drop a transaction whose bytes these borrow. */
    give(b, qn_parcel_of(&block));
    b->frame.receipts.cnt = block.txs.cnt;
    b->frame.receipts.ptr = out.receipts;
    b->frame.events.cnt = out.event_cnt;
    b->frame.events.ptr = out.events;
    grow(c, b, up);
    *ret_hash = b->hash;
    return QN_OK;
fail:
    branch_free(b);
    return rc;
}

static qn_rc check_ids(const struct qn_chain *c, const struct branch *b, struct qn_why *why)
{
    const struct qn_header *h = &b->frame.block.header;
    struct qn_idmap *mine = qn_idmap_new(c->secret);
    qn_rc rc = QN_OK;
    for (uint32_t i = 0; i < b->frame.block.txs.cnt && rc == QN_OK; i++) {
        const struct qn_hash *id = &b->parcel->ids[i];
        if (qn_chain_holds(c, &h->parent, id) || qn_idmap_has(mine, id))
            rc = qn_why(why, QN_E_FORMAT, "the block holds a transaction a second time");
        qn_idmap_put(mine, id, 0);
        const struct qn_tx *tx = &b->frame.block.txs.ptr[i];
        struct qn_hash slot;
        if (!qn_tx_slot(&tx->sender, tx->salt, &slot)) continue;
        if (qn_chain_slot(c, &h->parent, &slot, h->t_ms) || qn_idmap_has(mine, &slot))
            rc = qn_why(why, QN_E_FORMAT, "the block holds two transactions of one slot");
        qn_idmap_put(mine, &slot, 0);
    }
    qn_idmap_free(mine);
    return rc;
}

static qn_rc run(struct qn_chain *c, struct branch *b, const struct branch *up,
                 const struct qn_header *before, struct qn_why *why)
{
    const struct qn_block *block = &b->frame.block;
    const struct qn_header *h = &block->header;
    struct qn_outcome out;
    struct qn_hash body = qn_body_root_of(b->parcel->wholes, block->txs.cnt);
    if (h->ver != QN_HEADER_VER || !qn_hash_eq(&h->chain, &c->id) ||
        !qn_hash_eq(&h->set_root, &c->set_root) || h->epoch != c->set.epoch ||
        h->height != before->height + 1 || h->t_ms <= before->t_ms)
        return qn_why(why, QN_E_FORMAT, "the block's head does not follow its parent's");
    if (block->txs.cnt > QN_BLOCK_TXS || !qn_hash_eq(&body, &h->body_root))
        return qn_why(why, QN_E_FORMAT, "the block's body is not the one its head names");
    if (!beacon_ok(c, &before->beacon, h))
        return qn_why(why, QN_E_FORMAT,
                      "the block's beacon is not the one its proposer had to draw");
    if (!signers_ok(c, &h->signers, before->epoch == c->set.epoch && !is_filler_place(up)))
        return qn_why(why, QN_E_FORMAT, "the block names signers that certify nothing");
    if (is_filler_place(up)) {
        if (block->txs.cnt || !qn_hash_eq(&h->state_root, &before->state_root))
            return qn_why(why, QN_E_FORMAT, "a block above its epoch's last is not empty");
        return QN_OK;
    }
    qn_rc rc = check_ids(c, b, why);
    if (rc) return rc;
    struct qn_hash proposer = qn_acct_key(&h->proposer);
    tell_signers(c, &h->signers);
    rc = qn_state_block(c->st, h->height, h->t_ms, &before->beacon, &proposer, block->txs.ptr,
                        b->parcel->ids, block->txs.cnt, &b->arena, NULL, &out, why);
    if (rc == QN_OK && !qn_hash_eq(&out.root, &h->state_root))
        rc = qn_why(why, QN_E_FORMAT, "executing the block gives another state");
    if (rc) {
        qn_state_reject(c->st);
        return rc;
    }
    b->frame.receipts.cnt = out.receipt_cnt;
    b->frame.receipts.ptr = out.receipts;
    b->frame.events.cnt = out.event_cnt;
    b->frame.events.ptr = out.events;
    return QN_OK;
}

qn_rc qn_chain_take(struct qn_chain *c, struct qn_parcel *parcel, struct qn_why *why)
{
    const struct qn_header *before;
    struct branch *up, *b;
    if (branch_find(c, &parcel->hash)) return QN_OK;
    qn_rc rc = stand_on(c, &parcel->p.block.header.parent, &up, &before, why);
    if (rc) return rc;
    b = calloc(1, sizeof *b);
    QN_ASSERT(b != NULL);
    give(b, qn_parcel_ref(parcel));
    rc = run(c, b, up, before, why);
    if (rc)
        branch_free(b);
    else
        grow(c, b, up);
    return rc;
}

qn_rc qn_chain_run(struct qn_chain *c, const struct qn_block *block, struct qn_why *why)
{
    struct qn_parcel *parcel = qn_parcel_of(block);
    qn_rc rc = qn_chain_take(c, parcel, why);
    qn_parcel_unref(parcel);
    return rc;
}

struct qn_parcel *qn_chain_parcel(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = branch_find(c, hash);
    return b ? b->parcel : NULL;
}

const struct qn_block *qn_chain_block(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = branch_find(c, hash);
    return b ? &b->frame.block : NULL;
}

bool qn_chain_ends_epoch(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = branch_find(c, hash);
    return b && b->sets;
}

bool qn_chain_holds(const struct qn_chain *c, const struct qn_hash *parent,
                    const struct qn_hash *id)
{
    if (qn_idmap_has(c->seen, id)) return true;
    for (const struct branch *b = branch_find(c, parent); b; b = b->parent)
        if (qn_idmap_has(b->has, id)) return true;
    return false;
}

static bool so_late(uint64_t last_ms, uint64_t t_ms)
{
    return t_ms <= last_ms + QN_TX_SPAN_MS;
}

bool qn_chain_slot(const struct qn_chain *c, const struct qn_hash *parent,
                   const struct qn_hash *slot, uint64_t t_ms)
{
    uint64_t last_ms;
    if (qn_idmap_get(c->seen, slot, &last_ms) && so_late(last_ms, t_ms)) return true;
    for (const struct branch *b = branch_find(c, parent); b; b = b->parent)
        if (qn_idmap_has(b->has, slot) && so_late(b->frame.block.header.t_ms, t_ms)) return true;
    return false;
}

/* Forgets what does not descend from the new head, which `kept` was and is now out of the list; NULL: everything. */
static void prune(struct qn_chain *c, const struct branch *kept)
{
    if (kept && c->tip && !descends(c->tip, kept)) QN_BUG("the rows are of a branch that is cut");
    bool again = true;
    while (
        again) { /* children before parents: a parent's memory is read until the last child is judged */
        again = false;
        for (struct branch **at = &c->branches; *at;) {
            struct branch *b = *at, *child;
            if (kept && descends(b, kept)) {
                at = &b->next;
                continue;
            }
            for (child = c->branches; child && child->parent != b; child = child->next)
                ;
            if (child) {
                again = true;
                at = &b->next;
                continue;
            }
            *at = b->next;
            branch_free(b);
        }
    }
    for (struct branch *b = c->branches; b; b = b->next)
        if (b->parent == kept) b->parent = NULL;
    if (c->tip == kept) c->tip = NULL;
}

/* Begins a full journal's next segment with what is to be known of all before. */
static qn_rc anchor(struct qn_chain *c, struct qn_why *why)
{
    struct qn_anchor a = { .genesis = qn_buf_get(&c->genesis), .header = c->header };
    struct qn_arena arena = { 0 };
    struct qn_buf buf = { 0 };
    struct qn_frame_at at;
    if (!qn_journal_full(c->journal) || c->header.height == 0) return QN_OK;
    if (c->cert.len)
        QN_ASSERT(qn_decode(qn_cert_record(), qn_buf_get(&c->cert), &arena, &a.cert, NULL) ==
                  QN_OK);
    qn_encode(qn_anchor_record(), &a, &buf);
    qn_rc rc = qn_journal_append(c->journal, QN_FRAME_ANCHOR, qn_buf_get(&buf), &at, why);
    if (rc == QN_OK) note_anchor(c, &c->header, at.seg);
    qn_buf_free(&buf);
    qn_arena_free(&arena);
    return rc;
}

/* Lets go of segments whose blocks are older than keep_ms and in the checkpoint. What a validator pledged in them is of views that ended
 * long before. */
static qn_rc let_go(struct qn_chain *c, struct qn_why *why)
{
    uint64_t keep_ms = QN_MAX(c->conf.keep_ms, (uint64_t)KEEP_MIN_MS);
    size_t cnt = 0; /* anchors that may be passed */
    if (c->conf.keep_ms == 0) return QN_OK;
    while (cnt < c->anchor_cnt && c->anchors[cnt].height <= c->saved.height &&
           c->anchors[cnt].t_ms + keep_ms < c->header.t_ms)
        cnt++;
    if (cnt == 0 || c->anchors[cnt - 1].height <= c->at_base) return QN_OK;
    struct anchor last = c->anchors[cnt - 1];
    qn_rc rc = qn_journal_cut(c->journal, last.seg, why);
    if (rc) return rc;
    size_t gone = (size_t)(last.height - c->at_base);
    memmove(c->at, c->at + gone, (c->at_cnt - gone) * sizeof *c->at);
    c->at_cnt -= gone;
    c->at_base = last.height;
    memmove(c->anchors, c->anchors + cnt - 1, (c->anchor_cnt - cnt + 1) * sizeof *c->anchors);
    c->anchor_cnt -= cnt - 1;
    return QN_OK;
}

qn_rc qn_final_check(const struct qn_header *header, const struct qn_why_final *by,
                     const struct qn_set *set, struct qn_why *why)
{
    struct qn_hash at = qn_header_hash(header);
    for (uint32_t i = 0; i < by->filler_cnt; i++) {
        const struct qn_header *f = &by->fillers[i];
        if (!qn_hash_eq(&f->parent, &at) || !qn_hash_eq(&f->chain, &header->chain) ||
            f->epoch != header->epoch)
            return qn_why(why, QN_E_PROOF, "fillers that do not follow each other");
        at = qn_header_hash(f);
    }
    return qn_cert_final(by->cert, &header->chain, &at, set, why);
}

/* Journals a block that is final. Where its body was synced with a vote on it, every other voter has done so too: what makes it final is known
 * again after any crash, and need not be synced by itself. An epoch's last block is, for the votes on what follows it are forgotten. */
static qn_rc journal_final(struct qn_chain *c, struct branch *b, struct place *ret,
                           struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    qn_rc rc;
    qn_crash_point("block-before");
    ret->apart =
        b->pledged && b->pledge.seg == qn_journal_seg(c->journal) && !qn_journal_full(c->journal);
    if (ret->apart) {
        struct qn_final final = {
            .block = b->hash, .at = b->pledge.off, .idx = b->pledge_idx, .cert = b->frame.cert
        };
        final.fillers.cnt = b->frame.fillers.cnt;
        final.fillers.ptr = b->frame.fillers.ptr;
        final.receipts.cnt = b->frame.receipts.cnt;
        final.receipts.ptr = b->frame.receipts.ptr;
        final.events.cnt = b->frame.events.cnt;
        final.events.ptr = b->frame.events.ptr;
        qn_encode(qn_final_record(), &final, &buf);
        rc = b->sets
                 ? qn_journal_append(c->journal, QN_FRAME_FINAL, qn_buf_get(&buf), &ret->at, why)
                 : qn_journal_add(c->journal, QN_FRAME_FINAL, qn_buf_get(&buf), &ret->at, why);
    } else {
        qn_encode(qn_frame_record(), &b->frame, &buf);
        rc = qn_journal_append(c->journal, QN_FRAME_BLOCK, qn_buf_get(&buf), &ret->at, why);
    }
    qn_buf_free(&buf);
    if (rc == QN_OK) qn_crash_point("block-after");
    return rc;
}

qn_rc qn_chain_final(struct qn_chain *c, const struct qn_hash *hash, const struct qn_why_final *by,
                     struct qn_why *why)
{
    struct branch *b = branch_find(c, hash);
    QN_ASSERT(b && b->parent == NULL && b->delta);
    struct place at;
    if (by->cert) { /* lent for the call */
        b->frame.cert = *by->cert;
        b->frame.fillers.cnt = by->filler_cnt;
        b->frame.fillers.ptr = (struct qn_header *)(uintptr_t)by->fillers;
    }
    qn_rc rc = journal_final(c, b, &at, why);
    if (rc) return rc;
    if (!c->tip || !descends(c->tip, b)) go(c, b);
    for (struct branch **p = &c->branches; *p; p = &(*p)->next)
        if (*p == b) {
            *p = b->next;
            break;
        }
    if (b->sets) { /* what stands on it are fillers */
        go(c, b);
        prune(c, NULL);
        c->tip = NULL;
        c->set = b->sets->now;
        c->set_root = qn_set_hash(&c->set);
    } else {
        prune(c, b);
    }
    qn_delta_keys(b->delta, note_dirty, c);
    note_block(c, &b->frame.block, b->parcel->ids, at);
    note_cert(c, &b->frame);
    settle_pledges(c);
    if (c->conf.on_block) c->conf.on_block(c->conf.arg, &b->frame, &b->hash);
    branch_free(b);
    return anchor(c, why);
}

qn_rc qn_chain_pledge(struct qn_chain *c, const struct qn_pledge *pledge, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    struct qn_frame_at at;
    qn_encode(qn_pledge_record(), pledge, &buf);
    qn_crash_point("pledge-before");
    qn_rc rc = qn_journal_append(c->journal, QN_FRAME_VOTE, qn_buf_get(&buf), &at, why);
    qn_buf_free(&buf);
    if (rc) return rc;
    qn_crash_point("pledge-after");
    for (uint32_t i = 0; i < pledge->proposals.cnt; i++) {
        struct qn_hash hash = qn_header_hash(&pledge->proposals.ptr[i].block.header);
        struct branch *b = branch_find(c, &hash);
        if (!b || b->pledged) continue;
        b->pledged = true;
        b->pledge = at;
        b->pledge_idx = (uint8_t)i;
    }
    return anchor(c, why);
}

void qn_chain_pledges(const struct qn_chain *c,
                      void (*visit)(void *arg, const struct qn_pledge *pledge), void *arg)
{
    for (const struct pledge *p = c->pledges; p; p = p->next)
        visit(arg, &p->p);
}

/* --- checkpoint ------------------------------------------------------------------------------------------- */

static qn_rc checkpoint(struct qn_chain *c, struct qn_why *why)
{
    uint8_t last[QN_TRIE_KEY_MAX];
    struct qn_span key = QN_SPAN(last, 0), val, row;
    if (!c->store || c->header.height == c->saved.height) return QN_OK;
    to_head(c);
    qn_rc rc = qn_journal_flush(c->journal, why); /* it is never behind its checkpoint */
    if (rc == QN_OK) rc = qn_store_begin(c->store, why);
    if (rc) return rc;
    for (bool first = true; qn_trie_next(c->dirty, key, first, &key, &val); first = false) {
        if (qn_trie_get(qn_state_trie(c->st), key, &row))
            rc = qn_store_put(c->store, key, row, why);
        else
            rc = qn_store_del(c->store, key, why);
        if (rc) {
            qn_store_abort(c->store);
            return rc;
        }
        memcpy(last, key.ptr, key.len);
        key.ptr = last;
    }
    struct qn_store_meta meta = { c->id, c->head, c->header.state_root, c->header.height };
    rc = qn_store_commit(c->store, &meta, why);
    if (rc) return rc;
    c->saved = meta;
    qn_trie_free(c->dirty);
    c->dirty = qn_trie_new();
    return QN_OK;
}

void qn_chain_close(struct qn_chain *c)
{
    if (!c) return;
    struct qn_why why;
    if (c->opened && (qn_journal_flush(c->journal, &why) || checkpoint(c, &why)))
        fprintf(stderr, "quoin: %s\n",
                why.text); /* the journal has it all: the next start catches up */
    qn_store_close(c->store);
    qn_journal_close(c->journal);
    while (c->branches) {
        struct branch *b = c->branches;
        c->branches = b->next;
        branch_free(b);
    }
    while (c->pledges) {
        struct pledge *p = c->pledges;
        c->pledges = p->next;
        pledge_free(p);
    }
    qn_state_free(c->st);
    qn_trie_free(c->dirty);
    qn_idmap_free(c->seen);
    qn_buf_free(&c->cert);
    qn_buf_free(&c->by);
    qn_buf_free(&c->genesis);
    free(c->at);
    free(c->anchors);
    free(c);
}

qn_rc qn_chain_save(struct qn_chain *c, struct qn_why *why)
{
    uint64_t now = qn_env_mono_us(c->conf.env) / 1000;
    qn_rc rc = QN_OK;
    if (!qn_journal_waits(c->journal)) c->flushed_ms = now;
    if (now - c->flushed_ms >= FLUSH_MS) rc = qn_journal_flush(c->journal, why);
    if (rc || now - c->saved_ms < CHECKPOINT_MS) return rc;
    rc = checkpoint(c, why);
    if (rc == QN_OK) rc = let_go(c, why);
    c->saved_ms = qn_env_mono_us(c->conf.env) / 1000;
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

const struct qn_view *qn_chain_view(struct qn_chain *c)
{
    to_head(c);
    return qn_state_view(c->st);
}

const struct qn_state *qn_chain_state(const struct qn_chain *c)
{
    return c->st;
}

struct qn_hash qn_chain_id(const struct qn_chain *c)
{
    return c->id;
}

struct qn_hash qn_chain_head(const struct qn_chain *c)
{
    return c->head;
}

const struct qn_header *qn_chain_header(const struct qn_chain *c)
{
    return &c->header;
}

struct qn_span qn_chain_cert(const struct qn_chain *c)
{
    return qn_buf_get(&c->cert);
}

struct qn_span qn_chain_by(const struct qn_chain *c)
{
    return qn_buf_get(&c->by);
}

struct qn_span qn_chain_genesis(const struct qn_chain *c)
{
    return qn_buf_get(&c->genesis);
}

struct qn_trie *qn_chain_trie(struct qn_chain *c)
{
    to_head(c);
    return qn_state_trie(c->st);
}

struct qn_hash qn_chain_root(struct qn_chain *c)
{
    to_head(c);
    return qn_trie_root(qn_state_trie(c->st));
}

const struct qn_set *qn_chain_set(const struct qn_chain *c)
{
    return &c->set;
}

void qn_chain_next_set(struct qn_chain *c, struct qn_set *ret)
{
    struct qn_stake_sets *sets = malloc(sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(qn_chain_view(c), sets);
    *ret = sets->next;
    free(sets);
}

bool qn_chain_tx(const struct qn_chain *c, const struct qn_hash *id, uint64_t *ret_height)
{
    return qn_idmap_get(c->seen, id, ret_height);
}

uint64_t qn_chain_first(const struct qn_chain *c)
{
    return c->at_base + 1;
}

static qn_rc read_at(struct qn_chain *c, struct qn_frame_at at, const struct qn_record *rec,
                     struct qn_arena *arena, void *ret, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    qn_rc rc = qn_journal_read(c->journal, at, &buf, why);
    if (rc == QN_OK) {
        void *copy = qn_arena_copy(arena, buf.ptr, buf.len);
        rc = copy ? qn_decode(rec, QN_SPAN(copy, buf.len), arena, ret, why) : QN_E_MEMORY;
    }
    qn_buf_free(&buf);
    return rc;
}

qn_rc qn_chain_frame(struct qn_chain *c, uint64_t height, struct qn_arena *arena,
                     struct qn_frame *ret, struct qn_why *why)
{
    if (height == 0 || height > c->header.height)
        return qn_why(why, QN_E_NOTFOUND, "there is no block %" PRIu64 ", the last is %" PRIu64,
                      height, c->header.height);
    if (height <= c->at_base)
        return qn_why(why, QN_E_NOTFOUND,
                      "block %" PRIu64 " is not kept here, the first that is: %" PRIu64, height,
                      c->at_base + 1);
    struct qn_frame_at at = c->at[height - c->at_base - 1].at;
    if (!c->at[height - c->at_base - 1].apart)
        return read_at(c, at, qn_frame_record(), arena, ret, why);
    struct qn_final final;
    struct qn_pledge pledge;
    qn_rc rc = read_at(c, at, qn_final_record(), arena, &final, why);
    if (rc == QN_OK)
        rc = read_at(c, (struct qn_frame_at){ at.seg, final.at }, qn_pledge_record(), arena,
                     &pledge, why);
    if (rc) return rc;
    if (final.idx >= pledge.proposals.cnt)
        return qn_why(why, QN_E_CORRUPT, "the journal does not hold block %" PRIu64, height);
    *ret = frame_of(&final, &pledge.proposals.ptr[final.idx].block);
    return QN_OK;
}
