/* chain.c - opening, recovering, making blocks. */
#include "ledger/state/chain.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "ledger/bft/bft.h"
#include "ledger/pool/pool.h"
#include "ledger/store/journal.h"
#include "ledger/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_MS      2000
#define BLOCK_TXS_MAX      4096
#define BLOCK_BYTES_MAX    (2u << 20)
#define CLOCK_AHEAD_MAX_MS 60000

struct qn_chain {
    struct qn_chain_conf conf;
    struct qn_state *st;
    struct qn_journal *journal;
    struct qn_store *store;
    struct qn_bft *bft; /* NULL in a chain that only reads */
    struct qn_pool *pool;
    struct qn_hash id, head, set_root;
    struct qn_hash set[QN_SET_MAX];
    uint64_t weights[QN_SET_MAX];
    uint32_t set_cnt;
    struct qn_header header;    /* of the head */
    struct qn_buf cert;         /* of the head, Borsh */
    struct qn_buf genesis;      /* Borsh */
    struct qn_store_meta saved; /* what the checkpoint holds */
    struct qn_trie *dirty;      /* keys changed since */
    struct qn_trie *seen;       /* transaction id -> height */
    struct qn_frame_at *at;     /* where block i + 1 lies */
    size_t at_cnt, at_cap;
    uint64_t checkpoint_ms, made_ms; /* monotonic, of the last */
    bool asked;                      /* consensus waits for the block that `ask` describes */
    struct qn_bft_action ask;
};

static uint64_t mono_ms(const struct qn_chain *c)
{
    return qn_env_mono_us(c->conf.env) / 1000;
}

static struct qn_hash body_root_of(const struct qn_hash *ids, uint32_t cnt)
{
    return qn_h("body", ids, cnt * sizeof *ids);
}

/* Until validators draw it by VRF: a hash chain over the blocks' own content. */
static struct qn_hash beacon_of(const struct qn_hash *before, const struct qn_hash *body,
                                uint64_t t_ms)
{
    uint8_t buf[72];
    memcpy(buf, before->b, 32);
    memcpy(buf + 32, body->b, 32);
    memcpy(buf + 64, &t_ms, 8);
    return qn_h("beacon", buf, sizeof buf);
}

static void note_dirty(void *arg, struct qn_span key)
{
    struct qn_chain *c = arg;
    qn_trie_put(c->dirty, key, QN_SPAN(NULL, 0));
}

static void note_block(struct qn_chain *c, const struct qn_block *block, const struct qn_hash *ids,
                       struct qn_frame_at at)
{
    if (c->at_cnt == c->at_cap) {
        c->at_cap = QN_MAX(c->at_cap * 2, (size_t)1024);
        c->at = realloc(c->at, c->at_cap * sizeof *c->at);
        QN_ASSERT(c->at != NULL);
    }
    c->at[c->at_cnt++] = at;
    QN_ASSERT(c->at_cnt == block->header.height);
    for (uint32_t i = 0; i < block->txs.cnt; i++)
        qn_trie_put(c->seen, QN_SPAN(ids[i].b, 32), QN_SPAN_OF(block->header.height));
    c->head = qn_header_hash(&block->header);
    c->header = block->header;
}

/* --- recovery --------------------------------------------------------------------------------------------- */

static qn_rc open_genesis(struct qn_chain *c, struct qn_span payload, struct qn_arena *arena,
                          struct qn_why *why)
{
    struct qn_genesis g;
    qn_rc rc = qn_decode(qn_genesis_record(), payload, arena, &g, why);
    if (rc) return qn_why(why, QN_E_CORRUPT, "the journal's genesis does not decode");
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g.grants.cnt; i++)
        sum += g.grants.ptr[i].amount.uqn; /* 1,000 grants of at most 2.1e13 */
    if (sum > QN_SUPPLY_UQN || g.validators.cnt == 0)
        return qn_why(why, QN_E_CORRUPT,
                      "the genesis grants more than there is, or names no validator");
    c->id = c->head = qn_genesis_hash(&g);
    qn_buf_clear(&c->genesis);
    qn_buf_span(&c->genesis, payload);
    c->set_cnt = g.validators.cnt;
    memcpy(c->set, g.validators.ptr, c->set_cnt * sizeof *c->set);
    c->set_root = qn_set_root(c->set, c->set_cnt);
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

static qn_rc bad_block(struct qn_why *why, uint64_t height, const char *what)
{
    return qn_why(why, QN_E_CORRUPT, "block %" PRIu64 " of the journal: %s", height, what);
}

static qn_rc open_block(struct qn_chain *c, struct qn_span payload, struct qn_frame_at at,
                        struct qn_arena *arena, struct qn_why *why)
{
    struct qn_frame f;
    struct qn_outcome out;
    if (qn_decode(qn_frame_record(), payload, arena, &f, why))
        return qn_why(why, QN_E_CORRUPT, "a block of the journal does not decode");
    const struct qn_header *h = &f.block.header;
    if (h->height != c->header.height + 1 || !qn_hash_eq(&h->parent, &c->head) ||
        !qn_hash_eq(&h->chain, &c->id))
        return bad_block(why, h->height, "it does not follow the one before");
    struct qn_hash *ids = qn_arena_alloc(arena, (f.block.txs.cnt + 1) * sizeof *ids);
    for (uint32_t i = 0; i < f.block.txs.cnt; i++)
        ids[i] = qn_tx_id(&f.block.txs.ptr[i]);
    for (uint32_t i = 0; i < f.block.txs.cnt; i++) {
        struct qn_span val;
        if (qn_trie_get(c->seen, QN_SPAN(ids[i].b, 32), &val))
            return bad_block(why, h->height, "it holds a transaction a second time");
    }
    struct qn_hash body = body_root_of(ids, f.block.txs.cnt), hash = qn_header_hash(h);
    if (!qn_hash_eq(&body, &h->body_root))
        return bad_block(why, h->height, "its body is not the one its head names");
    qn_rc rc = QN_OK;
    if (h->height >
        c->saved
            .height) { /* below it the hashes lead to the checkpoint's block, whose certificate was checked */
        rc = qn_cert_check(&f.cert, &c->id, &hash, c->set, c->set_cnt, why);
        if (rc) return bad_block(why, h->height, "its certificate does not verify");
        if (c->conf.no_store) /* an audit believes no signature it has not checked */
            for (uint32_t i = 0; i < f.block.txs.cnt; i++)
                if (qn_tx_check(&f.block.txs.ptr[i], &ids[i], &c->id, why))
                    return bad_block(why, h->height, "a transaction's signature does not verify");
        struct qn_hash proposer = qn_acct_key(&h->proposer);
        rc = qn_state_block(c->st, h->height, h->t_ms, &c->header.beacon, &proposer,
                            f.block.txs.ptr, ids, f.block.txs.cnt, arena, NULL, &out, why);
        if (rc || !qn_hash_eq(&out.root, &h->state_root)) {
            qn_state_reject(c->st);
            return bad_block(why, h->height, "executing it gives another state");
        }
        qn_state_accept(c->st, note_dirty, c);
    } else if (h->height == c->saved.height) {
        struct qn_hash root = qn_trie_root(qn_state_trie(c->st));
        if (!qn_hash_eq(&hash, &c->saved.block) || !qn_hash_eq(&root, &h->state_root))
            return qn_why(why, QN_E_CORRUPT,
                          "state.mdb is not the state after block %" PRIu64
                          "; remove it and start again: the journal has all",
                          h->height);
        qn_state_at(c->st, &c->id, h->height, h->t_ms, &c->header.beacon);
    }
    note_block(c, &f.block, ids, at);
    qn_buf_clear(&c->cert);
    qn_encode(qn_cert_record(), &f.cert, &c->cert);
    return QN_OK;
}

static qn_rc on_frame(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                      struct qn_span payload, struct qn_why *why)
{
    struct qn_chain *c = arg;
    struct qn_arena arena = { 0 };
    qn_rc rc;
    if ((seq == 0) != (kind == QN_FRAME_GENESIS) || (seq != 0 && kind != QN_FRAME_BLOCK))
        rc = qn_why(why, QN_E_CORRUPT, "the journal has a frame of kind %u at %" PRIu64, kind, seq);
    else if (seq == 0)
        rc = open_genesis(c, payload, &arena, why);
    else
        rc = open_block(c, payload, at, &arena, why);
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
    c->dirty = qn_trie_new();
    c->seen = qn_trie_new();
    c->pool = qn_pool_new();
    qn_rc rc = QN_OK;
    if (!conf->no_store) {
        snprintf(path, sizeof path, "%s/state.mdb", conf->home);
        rc = qn_store_open_on(conf->env->disk, path, conf->map_gib ? conf->map_gib : 64, &c->store, &c->saved, why);
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
    if (rc)
        qn_chain_close(c);
    else
        *ret = c;
    return rc;
}

/* --- checkpoint ------------------------------------------------------------------------------------------- */

static qn_rc checkpoint(struct qn_chain *c, struct qn_why *why)
{
    uint8_t last[QN_TRIE_KEY_MAX];
    struct qn_span key = QN_SPAN(last, 0), val, row;
    if (!c->store || c->header.height == c->saved.height) return QN_OK;
    qn_rc rc = qn_store_begin(c->store, why);
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
    if (c->journal && checkpoint(c, &why))
        fprintf(stderr, "quoin: %s\n",
                why.text); /* the journal has it all: the next start catches up */
    qn_store_close(c->store);
    qn_journal_close(c->journal);
    qn_bft_free(c->bft);
    qn_pool_free(c->pool);
    qn_state_free(c->st);
    qn_trie_free(c->dirty);
    qn_trie_free(c->seen);
    qn_buf_free(&c->cert);
    qn_buf_free(&c->genesis);
    free(c->at);
    free(c);
}

/* --- making blocks ----------------------------------------------------------------------------------------- */

qn_rc qn_chain_submit(struct qn_chain *c, struct qn_span bytes, struct qn_hash *ret_id,
                      struct qn_why *why)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_tx tx;
    struct qn_span val;
    if (bytes.len > QN_TX_MAX)
        return qn_why(why, QN_E_TOOBIG, "a transaction has at most %u bytes", QN_TX_MAX);
    qn_rc rc = qn_decode(qn_tx_record(), bytes, &arena, &tx, why);
    if (rc) goto out;
    *ret_id = qn_tx_id(&tx);
    if (qn_trie_get(c->seen, QN_SPAN(ret_id->b, 32), &val) || qn_pool_has(c->pool, ret_id))
        goto out;
    rc = qn_tx_check(&tx, ret_id, &c->id, why); /* before anything that costs more */
    if (rc == QN_OK)
        rc = qn_state_payable(c->st, &tx, bytes.len,
                              QN_MAX(qn_env_now_ms(c->conf.env), c->header.t_ms + 1), why);
    if (rc == QN_OK) rc = qn_pool_put(c->pool, ret_id, &tx, bytes, why);
out:
    qn_arena_free(&arena);
    return rc;
}

size_t qn_chain_pooled(const struct qn_chain *c)
{
    return qn_pool_cnt(c->pool);
}

/* Executes what the pool has, leaving out what no longer fits; on QN_OK the state holds the block's changes. */
static qn_rc build(struct qn_chain *c, struct qn_arena *arena, uint64_t view, struct qn_frame *f,
                   struct qn_hash **ret_ids, struct qn_why *why)
{
    struct qn_header *h = &f->block.header;
    struct qn_outcome out;
    struct qn_hash proposer = qn_acct_key(&c->conf.validator->pub);
    struct qn_tx *txs = qn_arena_alloc(arena, BLOCK_TXS_MAX * sizeof *txs);
    struct qn_hash *ids = qn_arena_alloc(arena, BLOCK_TXS_MAX * sizeof *ids);
    uint32_t cnt = qn_pool_pick(c->pool, arena, txs, ids, BLOCK_TXS_MAX, BLOCK_BYTES_MAX);
    *h = (struct qn_header){ .ver = 1,
                             .chain = c->id,
                             .height = c->header.height + 1,
                             .view = view,
                             .t_ms = QN_MAX(qn_env_now_ms(c->conf.env), c->header.t_ms + 1),
                             .parent = c->head,
                             .set_root = c->set_root,
                             .proposer = c->conf.validator->pub };
    bool *misfit = qn_arena_alloc(arena, BLOCK_TXS_MAX * sizeof *misfit);
    qn_rc rc = qn_state_block(c->st, h->height, h->t_ms, &c->header.beacon, &proposer, txs, ids,
                              cnt, arena, misfit, &out, why);
    if (rc) {
        qn_state_reject(c->st);
        return rc;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out.receipt_cnt; i++) {
        if (misfit[i]) { /* it no longer fits: another block would not hold it either */
            qn_pool_drop(c->pool, &ids[i]);
            continue;
        }
        txs[kept] = txs[i];
        ids[kept] = ids[i];
        out.receipts[kept++] = out.receipts[i];
    }
    cnt = out.receipt_cnt = kept;
    f->block.txs.cnt = cnt;
    f->block.txs.ptr = txs;
    f->receipts.cnt = out.receipt_cnt;
    f->receipts.ptr = out.receipts;
    f->events.cnt = out.event_cnt;
    f->events.ptr = out.events;
    h->body_root = body_root_of(ids, cnt);
    h->state_root = out.root;
    h->beacon = beacon_of(&c->header.beacon, &h->body_root, h->t_ms);
    *ret_ids = ids;
    return QN_OK;
}

static struct qn_bft_block known(const struct qn_header *h, const struct qn_hash *hash,
                                 uint64_t parent_view)
{
    return (struct qn_bft_block){ .hash = *hash,
                                  .parent = h->parent,
                                  .view = h->view,
                                  .parent_view = parent_view,
                                  .height = h->height,
                                  .t_ms = h->t_ms };
}

static void open_bft(struct qn_chain *c)
{
    struct qn_arena arena = { 0 };
    struct qn_cert cert;
    struct qn_bft_block last = known(&c->header, &c->head, 0);
    struct qn_bft_conf conf = { .chain = c->id,
                                .cnt = c->set_cnt,
                                .set = c->set,
                                .weights = c->weights,
                                .self = -1,
                                .key = c->conf.validator,
                                .block_ms = QN_BLOCK_EMPTY_MS };
    for (uint32_t i = 0; i < c->set_cnt; i++) {
        c->weights[i] = 1;
        if (qn_hash_eq(&c->set[i], &c->conf.validator->pub)) conf.self = (int)i;
    }
    bool has = c->cert.len &&
               qn_decode(qn_cert_record(), qn_buf_get(&c->cert), &arena, &cert, NULL) == QN_OK;
    c->bft = qn_bft_new(&conf, &last, has ? &cert : NULL);
    qn_bft_start(c->bft, qn_env_now_ms(c->conf.env));
    qn_arena_free(&arena);
}

/* Journals and publishes the executed block f, final by cert. */
static qn_rc finish(struct qn_chain *c, struct qn_frame *f, const struct qn_hash *ids,
                    const struct qn_cert *cert, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    struct qn_frame_at at;
    struct qn_hash hash = qn_header_hash(&f->block.header);
    f->cert = *cert;
    qn_encode(qn_frame_record(), f, &buf);
    qn_crash_point("block-before");
    qn_rc rc = qn_journal_append(c->journal, QN_FRAME_BLOCK, qn_buf_get(&buf), &at, why);
    qn_buf_free(&buf);
    if (rc) {
        qn_state_reject(c->st);
        return rc;
    }
    qn_crash_point("block-after");
    qn_state_accept(c->st, note_dirty, c);
    note_block(c, &f->block, ids, at);
    qn_buf_clear(&c->cert);
    qn_encode(qn_cert_record(), &f->cert, &c->cert);
    for (uint32_t i = 0; i < f->block.txs.cnt; i++)
        qn_pool_drop(c->pool, &ids[i]);
    if (c->conf.on_block) c->conf.on_block(c->conf.arg, f, &hash);
    return QN_OK;
}

/* Lets the machine run until it has made one block final or waits. With one validator nothing leaves this process before `finish` has
 * synced block and certificate in one write, so that every vote counts as journalled at once. */
static qn_rc make_block(struct qn_chain *c, struct qn_why *why)
{
    struct qn_arena arena = { 0 };
    struct qn_frame f = { 0 };
    struct qn_hash *ids = NULL;
    struct qn_bft_action a;
    qn_rc rc = QN_OK;
    bool built = false, final = false;
    qn_bft_tick(c->bft, qn_env_now_ms(c->conf.env));
    bool more = c->asked; /* left by the last turn */
    a = c->ask;
    c->asked = false;
    for (; rc == QN_OK && (more || qn_bft_next(c->bft, &a)); more = false) {
        switch (a.what) {
        case QN_BFT_PROPOSE:
            if (built) { /* the next block has its own time */
                c->ask = a;
                c->asked = true;
                goto out;
            }
            rc = build(c, &arena, a.view, &f, &ids, why);
            if (rc) break;
            built = true;
            struct qn_hash hash = qn_header_hash(&f.block.header);
            struct qn_bft_block block = known(&f.block.header, &hash, a.parent_view);
            qn_bft_proposal(c->bft, &block);
            qn_bft_valid(c->bft, &hash, true);
            break;
        case QN_BFT_JOURNAL: qn_bft_journalled(c->bft, a.token); break;
        case QN_BFT_FINAL:
            QN_ASSERT(built && !final && a.cert); /* one validator: FAST, at its own vote */
            final = true;
            rc = finish(c, &f, ids, a.cert, why);
            break;
        case QN_BFT_EXECUTE: /* built a moment ago */
        case QN_BFT_VOTE:    /* nobody else to tell */
        case QN_BFT_CERT:
        case QN_BFT_PROPOSAL:
        case QN_BFT_WANT:
        case QN_BFT_EVIDENCE: break;
        }
    }
out:
    if (built && !final && rc == QN_OK)
        qn_state_reject(c->st); /* its view was over: the clock jumped */
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_chain_turn(struct qn_chain *c, uint64_t *ret_wait_ms, struct qn_why *why)
{
    uint64_t now = mono_ms(c);
    qn_rc rc = QN_OK;
    *ret_wait_ms = QN_BLOCK_EMPTY_MS;
    if (!c->conf.validator) return QN_OK;
    if (!c->bft) open_bft(c);
    qn_pool_expire(c->pool, qn_env_now_ms(c->conf.env));
    if (qn_pool_cnt(c->pool) || now - c->made_ms >= QN_BLOCK_EMPTY_MS || c->made_ms == 0) {
        rc = make_block(c, why);
        c->made_ms = mono_ms(c);
    }
    if (rc == QN_OK && now - c->checkpoint_ms >= CHECKPOINT_MS) {
        rc = checkpoint(c, why);
        c->checkpoint_ms = mono_ms(c);
    }
    uint64_t passed = mono_ms(c) - c->made_ms;
    *ret_wait_ms =
        qn_pool_cnt(c->pool) || passed >= QN_BLOCK_EMPTY_MS ? 0 : QN_BLOCK_EMPTY_MS - passed;
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

const struct qn_view *qn_chain_view(const struct qn_chain *c)
{
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

struct qn_span qn_chain_genesis(const struct qn_chain *c)
{
    return qn_buf_get(&c->genesis);
}

struct qn_trie *qn_chain_trie(struct qn_chain *c)
{
    return qn_state_trie(c->st);
}

struct qn_hash qn_chain_root(struct qn_chain *c)
{
    return qn_trie_root(qn_state_trie(c->st));
}

enum qn_tx_where qn_chain_tx(struct qn_chain *c, const struct qn_hash *id, uint64_t *ret_height)
{
    struct qn_span val;
    if (qn_trie_get(c->seen, QN_SPAN(id->b, 32), &val)) {
        memcpy(ret_height, val.ptr, sizeof *ret_height);
        return QN_TX_FINAL;
    }
    return qn_pool_has(c->pool, id) ? QN_TX_POOLED : QN_TX_UNKNOWN;
}

qn_rc qn_chain_frame(struct qn_chain *c, uint64_t height, struct qn_arena *arena,
                     struct qn_frame *ret, struct qn_why *why)
{
    if (height == 0 || height > c->at_cnt)
        return qn_why(why, QN_E_NOTFOUND, "there is no block %" PRIu64 ", the last is %zu", height,
                      c->at_cnt);
    struct qn_buf buf = { 0 };
    qn_rc rc = qn_journal_read(c->journal, c->at[height - 1], &buf, why);
    if (rc == QN_OK) {
        void *copy = qn_arena_copy(arena, buf.ptr, buf.len);
        rc = copy ? qn_decode(qn_frame_record(), QN_SPAN(copy, buf.len), arena, ret, why)
                  : QN_E_MEMORY;
    }
    qn_buf_free(&buf);
    return rc;
}
