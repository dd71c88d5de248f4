/* replica.c - messages in, messages out; what the parts say to each other. */
#include "ledger/sync/replica.h"

#include "core/crypto/hash.h"
#include "ledger/bft/bft.h"
#include "ledger/pool/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema/define.h"
#include "ledger/sync/sync.def"

enum kind {
    SAY_STATUS = 1,
    SAY_TXS,
    SAY_VOTE,
    SAY_CERT,
    SAY_PROPOSAL,
    SAY_WANT,
    SAY_GET,
    SAY_BLOCKS,
};

#define BLOCK_MS    500
#define STATUS_MS   1000
#define RECAST_MS   3000 /* a transaction that waits so long is cast again */
#define RECAST_TXS  256
#define BODIES_MAX  96
#define BODIES_VIEW 4 /* of one view: an honest leader makes one */
#define VIEWS_AHEAD 8
#define BODIES_KEPT 16 /* heights below the head whose proposals are kept for who wants them */
#define BATCH_TXS   512
#define BATCH_MS                                                                                   \
    5 /* between two batches, unless one is full: a message costs as much as ten transactions in it */
#define CHECK_TXS     64 /* whose signatures are checked side by side */
#define BATCH_BYTES   (64u << 10)
#define GET_MAX       128
#define GET_BYTES     (6u << 20)
#define SLOTS         4 /* requests for final blocks on their way */
#define SLOT_MS       3000
#define SLOT_BLOCKS   64
#define EVIDENCE_MAX  256
#define PLEDGE_VOTES  64
#define PLEDGE_BLOCKS 4
#define PLEDGE_CERTS  8
#define FILLERS_MAX   256
#define WANT_VIEWS    64
#define DECODE_MAX    (64u << 20)
#define FORK_TRIES    4 /* certificates of one message that are checked for who signed a fork */

/* A proposal that is held. */
struct body {
    struct body *next;
    struct qn_hash hash;
    struct qn_bft_block b;
    struct qn_parcel *parcel;
    bool pledged; /* the journal has it */
    bool mine;    /* made here, and not cast yet: that waits for the vote to be synced */
};

struct peer {
    uint32_t no;
    bool met;                /* its status came */
    uint64_t height, oldest; /* oldest: the first block that it still has */
    uint64_t tokens_ms;      /* monotonic; a request costs REQUEST_MS of it */
};

/* A stretch of final blocks asked for, and the answer until what lies before it is here. */
struct slot {
    uint64_t from, until_ms;
    uint16_t cnt;
    uint32_t peer;
    struct qn_buf answer;
};

struct evidence {
    struct qn_vote a, b;
};

struct qn_replica {
    struct qn_replica_conf conf;
    struct qn_chain *chain;
    struct qn_bft *bft;
    struct qn_pool *pool;
    struct qn_set set; /* of the epoch that `bft` decides in */
    int self;
    struct body *bodies;
    struct peer *peers;
    uint32_t peer_cnt, peer_cap, turn_peer;
    struct slot slots[SLOTS];
    uint64_t behind_ms; /* since when a peer has more; 0: none has */
    bool asked;         /* consensus waits for the block that `ask` describes */
    bool fresh;         /* the pool has something that was not tried for it */
    struct qn_bft_action ask;
    uint64_t ask_ms, status_ms, recast_ms, expire_ms;
    struct qn_hash waits; /* the transaction that was the oldest at recast_ms */
    struct qn_buf batch;  /* transactions to cast: Borsh, one after the other */
    uint32_t batch_cnt;
    uint64_t batch_ms;                         /* monotonic, of the last */
    struct qn_bft_action pledge[PLEDGE_VOTES]; /* votes to journal */
    struct qn_cert *pledge_cert[PLEDGE_CERTS];
    unsigned pledge_cnt, pledge_cert_cnt;
    struct evidence *evidence;
    struct evidence_twins *twins;
    unsigned evidence_cnt, twins_cnt;
    struct qn_past past;
    struct qn_fork *fork; /* NULL: none was shown */
    qn_rc rc;             /* what the disk said: nothing goes on */
    struct qn_why why;
};

static uint64_t now_ms(const struct qn_replica *r)
{
    return qn_env_now_ms(r->conf.chain.env);
}

static uint64_t mono_ms(const struct qn_replica *r)
{
    return qn_env_mono_us(r->conf.chain.env) / 1000;
}

static uint64_t head_height(const struct qn_replica *r)
{
    return qn_chain_header(r->chain)->height;
}

static void failed(struct qn_replica *r, qn_rc rc, const struct qn_why *why)
{
    if (rc == QN_OK || r->rc) return;
    r->rc = rc;
    r->why = *why;
}

/* --- saying ------------------------------------------------------------------------------------------------------------------ */

static struct qn_span say(struct qn_buf *buf, enum kind kind, const struct qn_record *rec,
                          const void *obj)
{
    qn_buf_u8(buf, (uint8_t)kind);
    qn_encode(rec, obj, buf);
    return qn_buf_get(buf);
}

static bool alone(const struct qn_replica *r)
{
    return r->conf.wire.cast == NULL;
}

static void cast(struct qn_replica *r, enum qn_class class, enum kind kind,
                 const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    if (alone(r)) return;
    r->conf.wire.cast(r->conf.wire.self, class, say(&buf, kind, rec, obj));
    qn_buf_free(&buf);
}

static void send(struct qn_replica *r, uint32_t peer, enum qn_class class, enum kind kind,
                 const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    if (alone(r)) return;
    r->conf.wire.send(r->conf.wire.self, peer, class, say(&buf, kind, rec, obj));
    qn_buf_free(&buf);
}

static void flush_batch(struct qn_replica *r)
{
    struct qn_buf buf = { 0 };
    if (r->batch_cnt && !alone(r)) {
        qn_buf_u8(&buf, SAY_TXS);
        qn_buf_u32(&buf, r->batch_cnt);
        qn_buf_span(&buf, qn_buf_get(&r->batch));
        r->conf.wire.cast(r->conf.wire.self, QN_CLASS_TX, qn_buf_get(&buf));
    }
    qn_buf_free(&buf);
    qn_buf_clear(&r->batch);
    r->batch_cnt = 0;
    r->batch_ms = mono_ms(r);
}

static void batch_tx(struct qn_replica *r, struct qn_span bytes)
{
    if (alone(r)) return;
    if (r->batch_cnt == BATCH_TXS || (r->batch_cnt && r->batch.len + bytes.len > BATCH_BYTES))
        flush_batch(r);
    qn_buf_span(&r->batch, bytes);
    r->batch_cnt++;
}

static void say_status(struct qn_replica *r, const uint32_t *peer)
{
    struct sync_status s = { .chain = qn_chain_id(r->chain),
                             .height = head_height(r),
                             .head = qn_chain_head(r->chain),
                             .oldest = qn_chain_first(r->chain) };
    if (peer)
        send(r, *peer, QN_CLASS_CONTROL, SAY_STATUS, sync_status_record(), &s);
    else
        for (uint32_t i = 0; i < r->peer_cnt; i++)
            send(r, r->peers[i].no, QN_CLASS_CONTROL, SAY_STATUS, sync_status_record(), &s);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------ */

static struct body *body_find(const struct qn_replica *r, const struct qn_hash *hash)
{
    for (struct body *b = r->bodies; b; b = b->next)
        if (qn_hash_eq(&b->hash, hash)) return b;
    return NULL;
}

static void body_free(struct body *b)
{
    qn_parcel_unref(b->parcel);
    free(b);
}

static void prune_bodies(struct qn_replica *r)
{
    uint64_t head = head_height(r);
    unsigned cnt = 0;
    for (struct body **at = &r->bodies; *at;) { /* the newest first */
        struct body *b = *at;
        if (b->b.height + BODIES_KEPT > head && ++cnt <= BODIES_MAX) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        body_free(b);
    }
}

static struct body *body_put(struct qn_replica *r, const struct qn_bft_block *block,
                             struct qn_parcel *parcel QN_TAKES)
{
    struct body *b = calloc(1, sizeof *b);
    QN_ASSERT(b != NULL);
    b->hash = block->hash;
    b->b = *block;
    b->parcel = parcel;
    b->next = r->bodies;
    r->bodies = b;
    return b;
}

static struct qn_bft_block known(const struct qn_replica *r, const struct qn_header *h,
                                 uint64_t parent_view)
{
    struct qn_bft_block b = { .hash = qn_header_hash(h),
                              .parent = h->parent,
                              .view = h->view,
                              .parent_view = parent_view,
                              .height = h->height,
                              .t_ms = h->t_ms,
                              .proposer = UINT16_MAX };
    int no = qn_set_find(&r->set, &h->proposer);
    if (no >= 0) b.proposer = (uint16_t)no;
    return b;
}

/* Adds the certificates that b's place rests on, as long as there is room; others were cast when they were made. */
static void add_certs(const struct qn_replica *r, const struct qn_bft_block *b,
                      struct qn_proposal *p, struct qn_cert *dst, uint32_t max)
{
    p->certs.ptr = dst;
    p->certs.cnt = 0;
    const struct qn_cert *cert = qn_bft_cert_of(r->bft, b->parent_view, false);
    if (cert) dst[p->certs.cnt++] = *cert;
    for (uint64_t v = b->parent_view + 1; v < b->view && p->certs.cnt < max; v++)
        if ((cert = qn_bft_cert_of(r->bft, v, true))) dst[p->certs.cnt++] = *cert;
}

/* --- taking up blocks ---------------------------------------------------------------------------------------------------------- */

/* Every signature in the block; those of a transaction that the pool holds to the last byte were checked when it came. */
static qn_rc check_txs(const struct qn_replica *r, struct qn_parcel *parcel, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    const struct qn_block *block = &parcel->p.block;
    uint32_t cnt = 0, max = block->txs.cnt + 1;
    struct qn_arena arena = { 0 };
    const struct qn_tx **txs = qn_arena_alloc(&arena, max * sizeof *txs);
    struct qn_hash *ids = qn_arena_alloc(&arena, max * sizeof *ids);
    qn_rc *rcs = qn_arena_alloc(&arena, max * sizeof *rcs);
    QN_ASSERT(txs && ids && rcs);
    qn_parcel_name(parcel);
    for (uint32_t i = 0; i < block->txs.cnt; i++) {
        if (qn_pool_knows(r->pool, &parcel->ids[i], &parcel->wholes[i])) continue;
        txs[cnt] = &block->txs.ptr[i];
        ids[cnt++] = parcel->ids[i];
    }
    qn_rc rc = qn_tx_check_many(txs, ids, cnt, &chain, rcs, why);
    qn_arena_free(&arena);
    return rc;
}

static void execute(struct qn_replica *r, const struct qn_hash *hash)
{
    struct qn_why why = { "" };
    struct body *b = body_find(r, hash);
    if (qn_chain_block(r->chain, hash)) {
        qn_bft_valid(r->bft, hash, true);
        return;
    }
    if (!b) return; /* forgotten under pressure: it will be wanted again */
    qn_rc rc = check_txs(r, b->parcel, &why);
    if (rc == QN_OK) rc = qn_chain_take(r->chain, b->parcel, &why);
    if (rc != QN_E_NOTFOUND) qn_bft_valid(r->bft, hash, rc == QN_OK);
}

/* --- making blocks --------------------------------------------------------------------------------------------------------------- */

struct skip {
    const struct qn_chain *chain;
    struct qn_hash parent;
    uint64_t t_ms; /* about the block's */
};

static bool is_held(void *arg, const struct qn_hash *id, const struct qn_hash *slot)
{
    const struct skip *s = arg;
    return qn_chain_holds(s->chain, &s->parent, id) ||
           (slot && qn_chain_slot(s->chain, &s->parent, slot, s->t_ms));
}

static void publish(struct qn_replica *r, const struct qn_block *block, uint64_t parent_view)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    struct qn_cert certs[32];
    struct qn_bft_block b = known(r, &block->header, parent_view);
    if (!alone(r)) {
        struct qn_buf message = { 0 };
        struct qn_proposal p = { .block = *block, .parent_view = parent_view };
        struct qn_parcel *parcel;
        p.sig = qn_sign(r->conf.validator, qn_proposal_text(&b.hash, text));
        add_certs(r, &b, &p, certs, QN_COUNT(certs));
        say(&message, SAY_PROPOSAL, qn_proposal_record(), &p);
        qn_rc rc = qn_parcel_read(qn_buf_get(&message), 1, &parcel, NULL);
        QN_ASSERT(rc == QN_OK);
        body_put(r, &b, parcel)->mine = true;
        qn_buf_free(&message);
    }
    qn_bft_proposal(r->bft, &b);
    qn_bft_valid(r->bft, &b.hash, true);
}

/* Says whether it made the block that consensus asks for, once it has something to hold or its time has come. */
static bool make(struct qn_replica *r)
{
    struct qn_arena arena = { 0 };
    struct qn_why why = { "" };
    struct skip skip = { r->chain, r->ask.block, now_ms(r) };
    struct qn_hash hash;
    uint64_t now = mono_ms(r), block_ms = r->conf.block_ms;
    bool due = now - r->ask_ms >= block_ms || head_height(r) == 0;
    if (!r->asked || (!due && !(r->fresh && qn_pool_cnt(r->pool)))) return false;
    if (r->ask.view < qn_bft_view(r->bft)) { /* its view is over */
        r->asked = false;
        return false;
    }
    uint32_t max = (uint32_t)QN_MIN(qn_pool_cnt(r->pool), (size_t)QN_BLOCK_TXS);
    struct qn_tx *txs = qn_arena_alloc(&arena, (max + 1) * sizeof *txs);
    struct qn_hash *ids = qn_arena_alloc(&arena, (max + 1) * sizeof *ids);
    bool *misfit = qn_arena_alloc(&arena, max + 1);
    QN_ASSERT(txs && ids && misfit);
    uint32_t cnt =
        max ? qn_pool_pick(r->pool, &arena, is_held, &skip, txs, ids, max, QN_BLOCK_BYTES) : 0;
    r->fresh = false;
    if (cnt == 0 && !due) goto out;
    r->asked = false;
    struct qn_make m = { .parent = r->ask.block,
                         .view = r->ask.view,
                         .t_ms = now_ms(r),
                         .signers = qn_bft_heard(r->bft, r->ask.parent_view),
                         .key = r->conf.validator,
                         .txs = txs,
                         .ids = ids,
                         .cnt = cnt };
    if (qn_chain_make(r->chain, &m, misfit, &hash, &why)) goto out; /* the view passes without */
    for (uint32_t i = 0; i < cnt; i++)
        if (misfit[i]) qn_pool_drop(r->pool, &ids[i]);
    publish(r, qn_chain_block(r->chain, &hash), r->ask.parent_view);
out:
    qn_arena_free(&arena);
    return !r->asked;
}

/* --- consensus -------------------------------------------------------------------------------------------------------------------- */

static void on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct qn_replica *r = arg;
    for (uint32_t i = 0; i < f->block.txs.cnt; i++) {
        const struct qn_hash *id = &f->receipts.ptr[i].tx; /* each has one, in order */
        qn_pool_final(r->pool, &f->block.txs.ptr[i], id);
    }
    if (r->conf.chain.on_block) r->conf.chain.on_block(r->conf.chain.arg, f, hash);
}

static void forget_pledge(struct qn_replica *r)
{
    for (unsigned i = 0; i < r->pledge_cert_cnt; i++) {
        free(r->pledge_cert[i]->votes.ptr);
        free(r->pledge_cert[i]);
    }
    r->pledge_cnt = r->pledge_cert_cnt = 0;
}

/* Begins to decide with the chain's present set, on its head, which cert made final (NULL: not known here). */
static void begin_bft(struct qn_replica *r, const struct qn_cert *cert)
{
    const struct qn_header *head = qn_chain_header(r->chain);
    struct qn_bft *before = r->bft;
    r->set = *qn_chain_set(r->chain);
    r->self = r->conf.validator ? qn_set_find(&r->set, &r->conf.validator->pub) : -1;
    struct qn_bft_block last = known(r, head, 0);
    last.hash = qn_chain_head(r->chain);
    struct qn_bft_conf conf = { .chain = qn_chain_id(r->chain),
                                .epoch = r->set.epoch,
                                .cnt = r->set.cnt,
                                .set = r->set.keys,
                                .weights = r->set.weights,
                                .fast_ppm = r->set.fast_ppm,
                                .self = r->self,
                                .key = r->conf.validator,
                                .block_ms = r->conf.block_ms,
                                .bug = (enum qn_bft_bug)r->conf.bug };
    r->bft = qn_bft_new(&conf, &last, cert);
    r->asked = false;
    qn_bft_free(before);
}

/* The head ended its epoch: what waited in the old one was never said, and need not be. */
static void next_epoch(struct qn_replica *r, const struct qn_cert *cert)
{
    forget_pledge(r);
    begin_bft(r, cert);
    qn_bft_start(r->bft, now_ms(r));
}

/* The headers of the fillers from block up to the one that cert is for, in the order of the chain; 0 when it is the block's own, or when one
 * is missing here. */
static uint32_t find_fillers(struct qn_replica *r, const struct qn_hash *block,
                             const struct qn_cert *cert, struct qn_header *dst)
{
    struct qn_hash at = cert->block;
    uint32_t cnt = 0;
    for (struct body *b; !qn_hash_eq(&at, block); at = b->b.parent) {
        b = body_find(r, &at);
        if (!b || cnt == FILLERS_MAX) {
            cnt = 0;
            break;
        }
        dst[cnt++] = b->parcel->p.block.header;
    }
    for (uint32_t i = 0; i < cnt / 2; i++) {
        struct qn_header h = dst[i];
        dst[i] = dst[cnt - 1 - i];
        dst[cnt - 1 - i] = h;
    }
    return cnt;
}

static void note_past(struct qn_replica *r)
{
    struct qn_hash head = qn_chain_head(r->chain);
    qn_past_put(&r->past, qn_chain_header(r->chain), &head);
}

static void on_final(struct qn_replica *r, const struct qn_bft_action *a)
{
    struct qn_header *fillers = NULL;
    struct qn_why_final by = { .cert = a->cert };
    struct qn_why why = { "" };
    if (r->rc) return;
    bool ends = qn_chain_ends_epoch(r->chain, &a->block);
    if (ends && !a->cert) {
        fillers = malloc(FILLERS_MAX * sizeof *fillers);
        QN_ASSERT(fillers != NULL);
        by.filler_cnt = find_fillers(r, &a->block, a->by, fillers);
        by.fillers = fillers;
        if (by.filler_cnt) by.cert = a->by;
    }
    qn_rc rc = qn_chain_final(r->chain, &a->block, &by, &why);
    failed(r, rc, &why);
    if (rc == QN_OK) note_past(r);
    if (rc == QN_OK && ends) next_epoch(r, a->by);
    free(fillers);
    prune_bodies(r);
}

/* Syncs the votes that wait, with what they stand on, in one write; then they may leave. Where nobody listens
 * nothing leaves this process before its block is synced with its certificate, so that its votes count as journalled at once. */
static void pledge(struct qn_replica *r)
{
    struct qn_vote votes[PLEDGE_VOTES];
    struct qn_proposal proposals[PLEDGE_BLOCKS];
    struct qn_cert certs[PLEDGE_CERTS];
    struct qn_pledge p = { .votes = { r->pledge_cnt, votes },
                           .proposals = { 0, proposals },
                           .certs = { r->pledge_cert_cnt, certs } };
    struct qn_why why = { "" };
    if (r->pledge_cnt == 0) return;
    for (unsigned i = 0; i < r->pledge_cnt; i++) {
        votes[i] = r->pledge[i].vote;
        struct body *b = body_find(r, &votes[i].block);
        if (!b || b->pledged || p.proposals.cnt == PLEDGE_BLOCKS) continue;
        proposals[p.proposals.cnt++] = b->parcel->p;
        b->pledged = true;
    }
    for (unsigned i = 0; i < r->pledge_cert_cnt; i++)
        certs[i] = *r->pledge_cert[i];
    if (!alone(r) && r->rc == QN_OK) failed(r, qn_chain_pledge(r->chain, &p, &why), &why);
    unsigned cnt = r->pledge_cnt;
    forget_pledge(r);
    for (unsigned i = 0; i < cnt && r->rc == QN_OK; i++)
        qn_bft_journalled(r->bft, r->pledge[i].token);
}

static void add_pledge_cert(struct qn_replica *r, const struct qn_cert *cert)
{
    if (!cert || r->pledge_cert_cnt == PLEDGE_CERTS) return;
    struct qn_cert *copy = malloc(sizeof *copy);
    QN_ASSERT(copy != NULL);
    *copy = *cert;
    copy->votes.ptr = malloc((cert->votes.cnt + 1) * sizeof *copy->votes.ptr);
    QN_ASSERT(copy->votes.ptr != NULL);
    memcpy(copy->votes.ptr, cert->votes.ptr, cert->votes.cnt * sizeof *copy->votes.ptr);
    r->pledge_cert[r->pledge_cert_cnt++] = copy;
}

static void add_pledge(struct qn_replica *r, const struct qn_bft_action *a)
{
    r->pledge[r->pledge_cnt++] = *a;
    add_pledge_cert(r, a->cert);
}

static void on_evidence(struct qn_replica *r, const struct qn_vote *a, const struct qn_vote *b)
{
    for (unsigned i = 0; i < r->evidence_cnt; i++)
        if (r->evidence[i].a.signer == a->signer && r->evidence[i].a.view == a->view) return;
    if (r->evidence_cnt == EVIDENCE_MAX) return;
    if (!r->evidence) r->evidence = calloc(EVIDENCE_MAX, sizeof *r->evidence);
    QN_ASSERT(r->evidence != NULL);
    r->evidence[r->evidence_cnt++] = (struct evidence){ *a, *b };
}

static void want(struct qn_replica *r, const struct qn_hash *hash, uint64_t view)
{
    struct sync_want w = { *hash, r->set.epoch, view };
    struct body *b = body_find(r, hash);
    if (b) { /* it came too early to be taken up */
        qn_bft_proposal(r->bft, &b->b);
        return;
    }
    if (r->peer_cnt == 0) return;
    r->turn_peer = (r->turn_peer + 1) % r->peer_cnt;
    send(r, r->peers[r->turn_peer].no, QN_CLASS_VOTE, SAY_WANT, sync_want_record(), &w);
}

/* A vote may leave. With the one for our own block goes the block: two of one view would be two only if both were synced. */
static void on_voted(struct qn_replica *r, const struct qn_vote *vote)
{
    struct body *b = body_find(r, &vote->block);
    if (b && b->mine && !alone(r))
        r->conf.wire.cast(r->conf.wire.self, QN_CLASS_VOTE, b->parcel->message);
    if (b) b->mine = false;
    cast(r, QN_CLASS_VOTE, SAY_VOTE, qn_vote_record(), vote);
}

static void drain(struct qn_replica *r)
{
    struct qn_bft_action a;
    bool made = false; /* one block a turn: others have their time too */
    do {
        while (r->rc == QN_OK && r->pledge_cnt < PLEDGE_VOTES && qn_bft_next(r->bft, &a)) {
            switch (a.what) {
            case QN_BFT_PROPOSE:
                r->ask = a;
                r->asked = r->fresh = true;
                r->ask_ms = mono_ms(r);
                break;
            case QN_BFT_EXECUTE: execute(r, &a.block); break;
            case QN_BFT_JOURNAL: add_pledge(r, &a); break;
            case QN_BFT_VOTE: on_voted(r, &a.vote); break;
            case QN_BFT_CERT: cast(r, QN_CLASS_VOTE, SAY_CERT, qn_cert_record(), a.cert); break;
            case QN_BFT_PROPOSAL: {
                const struct body *b = body_find(r, &a.block);
                if (b && !b->mine && !alone(r))
                    r->conf.wire.cast(r->conf.wire.self, QN_CLASS_VOTE, b->parcel->message);
                break;
            }
            case QN_BFT_FINAL: on_final(r, &a); break;
            case QN_BFT_WANT: want(r, &a.block, a.view); break;
            case QN_BFT_EVIDENCE: on_evidence(r, &a.vote, &a.other); break;
            }
        }
        if (r->rc == QN_OK && !made) made = make(r);
        pledge(r);
    } while (r->rc == QN_OK && qn_bft_pending(r->bft));
}

/* --- catching up ------------------------------------------------------------------------------------------------------------------- */

static struct peer *peer_find(struct qn_replica *r, uint32_t no)
{
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].no == no) return &r->peers[i];
    return NULL;
}

static void slot_clear(struct slot *s)
{
    qn_buf_free(&s->answer);
    *s = (struct slot){ 0 };
}

static uint64_t most(const struct qn_replica *r)
{
    uint64_t height = 0;
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        height = QN_MAX(height, r->peers[i].height);
    return height;
}

/* The first block that any peer with more blocks than are here still has; 0: there is no such peer. */
static uint64_t oldest(const struct qn_replica *r)
{
    uint64_t height = 0;
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i].height > head_height(r) && (height == 0 || r->peers[i].oldest < height))
            height = r->peers[i].oldest;
    return height;
}

/* The slot that a height is in; of height 0: a free one. Its first blocks may have become final here meanwhile. */
static struct slot *slot_at(struct qn_replica *r, uint64_t height)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (s->from <= height && (height == 0 || height < s->from + s->cnt)) return s;
    }
    return NULL;
}

static void ask_blocks(struct qn_replica *r)
{
    uint64_t now = mono_ms(r), head = head_height(r), top = most(r);
    if (r->conf.hold) return;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        bool late = s->from && s->answer.len == 0 && now >= s->until_ms;
        if (s->from && (late || s->from + s->cnt <= head + 1)) slot_clear(s);
    }
    if (top <= head) {
        r->behind_ms = 0;
        return;
    }
    if (r->behind_ms == 0) r->behind_ms = now;
    /* The last block or two come by consensus; who is further back, or stands still, asks. */
    if (top < head + 4 && now - r->behind_ms < 2000) return;
    uint64_t from = head + 1;
    for (unsigned i = 0; i < SLOTS && from <= top; i++) {
        struct slot *s = slot_at(r, from), *old = s;
        uint16_t cnt = (uint16_t)QN_MIN(top - from + 1, (uint64_t)SLOT_BLOCKS);
        if (!s) s = slot_at(r, 0);
        if (!s) return;
        for (uint32_t k = 0; !old && k < r->peer_cnt; k++) {
            r->turn_peer = (r->turn_peer + 1) % r->peer_cnt;
            const struct peer *p = &r->peers[r->turn_peer];
            if (p->height < from + cnt - 1u || p->oldest > from) continue;
            *s = (struct slot){ from, now + SLOT_MS, cnt, p->no, { 0 } };
            struct sync_get get = { from, cnt };
            send(r, p->no, QN_CLASS_REQUEST, SAY_GET, sync_get_record(), &get);
            break;
        }
        if (s->from == 0) return; /* nobody has it */
        from = s->from + s->cnt;
    }
}

/* The set of an epoch that the head's state knows: the present one or the next. */
static bool set_of(struct qn_replica *r, uint32_t epoch, struct qn_set *ret)
{
    if (epoch == r->set.epoch)
        *ret = r->set;
    else if (epoch == r->set.epoch + 1)
        qn_chain_next_set(r->chain, ret);
    return epoch == r->set.epoch || epoch == r->set.epoch + 1;
}

/* Makes blocks final that follow the head; cert is the last one's and good. */
static qn_rc take_piece(struct qn_replica *r, const struct sync_block *blocks, uint32_t cnt,
                        struct qn_why *why)
{
    const struct qn_cert *cert = &blocks[cnt - 1].cert;
    for (uint32_t i = 0; i < cnt; i++) {
        const struct qn_block *block = &blocks[i].block;
        struct qn_parcel *parcel = qn_parcel_of(block);
        struct qn_hash hash = parcel->hash;
        uint64_t parent_view = qn_chain_header(r->chain)->view;
        bool end = i + 1 == cnt;
        if (block->header.ver != QN_HEADER_VER) {
            qn_parcel_unref(parcel);
            qn_why(why, QN_E_ABSENT,
                   "block %" PRIu64
                   " is final and of version %u, this build knows %u: install a newer one",
                   block->header.height, block->header.ver, QN_HEADER_VER);
            failed(r, QN_E_ABSENT, why);
            return QN_E_ABSENT;
        }
        qn_rc rc = qn_chain_block(r->chain, &hash) ? QN_OK : check_txs(r, parcel, why);
        if (rc == QN_OK) rc = qn_chain_take(r->chain, parcel, why);
        qn_parcel_unref(parcel);
        if (rc == QN_E_IO || rc == QN_E_MEMORY) return rc;
        if (rc) {
            struct qn_why said = *why;
            qn_why(why, QN_E_CORRUPT, "block %" PRIu64 ", final elsewhere, is wrong here: %.200s",
                   block->header.height, said.text);
            failed(r, QN_E_CORRUPT, why);
            return QN_E_CORRUPT;
        }
        struct qn_why_final by = { NULL, NULL, 0 };
        if (end) by = (struct qn_why_final){ cert, blocks[i].fillers.ptr, blocks[i].fillers.cnt };
        rc = qn_chain_final(r->chain, &hash, &by, why);
        if (rc) {
            failed(r, rc, why);
            return rc;
        }
        note_past(r);
        if (qn_chain_set(r->chain)->epoch != r->set.epoch) {
            next_epoch(r, end ? cert : NULL);
        } else if (end) {
            struct qn_bft_block b = known(r, &block->header, parent_view);
            qn_bft_synced(r->bft, &b, cert);
        }
    }
    return QN_OK;
}

/* --- forks --------------------------------------------------------------------------------------------------------------- */

static void accuse(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    on_evidence(arg, a, b);
}

/* Another block than ours is final for others, by a good certificate: cert, or one of a block above it (NULL). The first such is kept, and
 * replaced once by one that tells who signed both. */
static void note_fork(struct qn_replica *r, const struct qn_past_block *ours,
                      const struct qn_hash *theirs, const struct qn_cert *cert, struct qn_why *why)
{
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_fork *fork = calloc(1, sizeof *fork);
    struct qn_frame f;
    QN_ASSERT(fork != NULL);
    fork->ours = ours->hash;
    fork->theirs = *theirs;
    fork->height = ours->height;
    fork->epoch = ours->epoch;
    fork->view = cert ? cert->view : ours->view;
    if (cert && cert->view == ours->view && cert->epoch == r->set.epoch &&
        qn_chain_frame(r->chain, ours->height, &arena, &f, NULL) == QN_OK &&
        f.cert.kind >= QN_CERT_FAST && f.cert.view == cert->view)
        qn_fork_blame(fork, &r->set, &f.cert, cert, accuse, r);
    qn_arena_free(&arena);
    qn_why(why, QN_E_PROOF, "another block than the final one of height %" PRIu64, ours->height);
    if (r->fork && (r->fork->cnt || !fork->cnt)) {
        free(fork);
        return;
    }
    free(r->fork);
    r->fork = fork;
}

/* Of a view that is over here: news only when it makes something else final. */
static enum qn_verdict on_late_cert(struct qn_replica *r, const struct qn_cert *cert,
                                    struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (cert->kind != QN_CERT_FAST && cert->kind != QN_CERT_SLOW) return QN_IGNORE;
    const struct qn_past_block *ours =
        qn_past_clash(&r->past, cert->epoch, cert->view, &cert->block);
    if (!ours) return QN_IGNORE;
    if (qn_cert_valid(cert, &chain, &r->set, why) == QN_OK)
        note_fork(r, ours, &cert->block, cert, why);
    return QN_REJECT;
}

/* A stretch that begins above the head but not on it. Its links and its last certificate may hold all the same: then who gave it is asked for what
 * it has in the head's place. */
static void look_fork(struct qn_replica *r, uint32_t from, const struct sync_block *blocks,
                      uint32_t cnt, struct qn_why *why)
{
    struct qn_set set;
    const struct qn_past_block *ours = qn_past_at(&r->past, head_height(r));
    const struct qn_hash *theirs = &blocks[0].block.header.parent;
    while (cnt && blocks[cnt - 1].cert.kind == 0)
        cnt--;
    for (uint32_t i = 1; i < cnt; i++) {
        struct qn_hash at = qn_header_hash(&blocks[i - 1].block.header);
        if (!qn_hash_eq(&blocks[i].block.header.parent, &at)) return;
    }
    if (!ours || cnt == 0 || !set_of(r, blocks[cnt - 1].cert.epoch, &set)) return;
    const struct sync_block *last = &blocks[cnt - 1];
    struct qn_why_final by = { &last->cert, last->fillers.ptr, last->fillers.cnt };
    struct qn_why said;
    if (qn_final_check(&last->block.header, &by, &set, &said)) return;
    note_fork(r, ours, theirs, NULL, why);
    /* Further down the two chains have decided in the same views. */
    uint64_t low = ours->height > QN_PAST_MAX ? ours->height - QN_PAST_MAX : 0;
    struct sync_get get = { low + 1, QN_PAST_MAX };
    if (r->fork->cnt == 0) send(r, from, QN_CLASS_REQUEST, SAY_GET, sync_get_record(), &get);
}

/* What look_fork asked for, or an answer that came too late. */
static enum qn_verdict on_other_blocks(struct qn_replica *r, const struct sync_blocks *m,
                                       struct qn_why *why)
{
    enum qn_verdict verdict = QN_IGNORE;
    unsigned tries = 0;
    for (uint32_t i = 0; r->fork && r->fork->cnt == 0 && i < m->blocks.cnt; i++) {
        const struct qn_cert *cert = &m->blocks.ptr[i].cert;
        const struct qn_past_block *ours =
            qn_past_clash(&r->past, cert->epoch, cert->view, &cert->block);
        if (!ours || ours->view != cert->view || cert->epoch != r->set.epoch) continue;
        verdict = on_late_cert(r, cert, why);
        if (++tries == FORK_TRIES) break;
    }
    return verdict;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

/* Takes up a stretch that begins at the head: links first; then, piece by piece, the certificate furthest on whose voters are known, and
 * execution. What lies behind the last one is left for another answer. */
static qn_rc take_blocks(struct qn_replica *r, uint32_t from, const struct sync_blocks *m,
                         struct qn_why *why)
{
    struct qn_hash id = qn_chain_id(r->chain), at = qn_chain_head(r->chain);
    uint64_t height = head_height(r);
    uint32_t first = 0, cnt = m->blocks.cnt;
    while (first < cnt && m->blocks.ptr[first].block.header.height <= height)
        first++; /* became final here meanwhile */
    if (first == cnt) return cnt ? QN_OK : qn_why(why, QN_E_NOTFOUND, "the peer has no blocks");
    for (uint32_t i = first; i < cnt; i++) {
        const struct qn_header *h = &m->blocks.ptr[i].block.header;
        if (h->height != height + 1 + i - first || !qn_hash_eq(&h->parent, &at) ||
            !qn_hash_eq(&h->chain, &id)) {
            qn_why(why, QN_E_PROOF, "blocks that do not follow each other");
            if (i == first && h->height == height + 1)
                look_fork(r, from, &m->blocks.ptr[first], cnt - first, why);
            return QN_E_PROOF;
        }
        at = qn_header_hash(h);
    }
    while (first < cnt) {
        struct qn_set set;
        uint32_t end = cnt;
        while (end > first && (m->blocks.ptr[end - 1].cert.kind == 0 ||
                               !set_of(r, m->blocks.ptr[end - 1].cert.epoch, &set)))
            end--;
        if (end == first) return qn_why(why, QN_E_PROOF, "blocks without a certificate that holds");
        const struct sync_block *last = &m->blocks.ptr[end - 1];
        struct qn_why_final by = { &last->cert, last->fillers.ptr, last->fillers.cnt };
        qn_rc rc = qn_final_check(&last->block.header, &by, &set, why);
        if (rc == QN_OK) rc = take_piece(r, &m->blocks.ptr[first], end - first, why);
        if (rc) return rc;
        first = end;
    }
    prune_bodies(r);
    return QN_OK;
}

static enum qn_verdict take_answers(struct qn_replica *r, struct qn_why *why)
{
    enum qn_verdict verdict = QN_IGNORE;
    for (struct slot *s; r->rc == QN_OK && (s = slot_at(r, head_height(r) + 1)) && s->answer.len;) {
        struct qn_arena arena = { .max = DECODE_MAX };
        struct sync_blocks m;
        qn_rc rc = qn_decode(sync_blocks_record(), qn_buf_get(&s->answer), &arena, &m, why);
        if (rc == QN_OK) rc = take_blocks(r, s->peer, &m, why);
        struct peer *p = peer_find(r, s->peer);
        if (rc && p) p->height = 0; /* until it says again what it has */
        if (rc && rc != QN_E_NOTFOUND && r->rc == QN_OK) verdict = QN_REJECT;
        slot_clear(s);
        qn_arena_free(&arena);
        if (rc) break;
    }
    ask_blocks(r);
    return verdict;
}

/* --- messages ---------------------------------------------------------------------------------------------------------------------- */

static enum qn_verdict on_status(struct qn_replica *r, uint32_t from, const struct sync_status *s,
                                 struct qn_why *why)
{
    struct qn_hash id = qn_chain_id(r->chain);
    struct peer *p = peer_find(r, from);
    if (!qn_hash_eq(&s->chain, &id)) {
        qn_why(why, QN_E_FOREIGN, "the peer is of another chain");
        return QN_REJECT;
    }
    const struct qn_past_block *ours = qn_past_at(&r->past, s->height);
    if (ours && !qn_hash_eq(&ours->hash, &s->head)) {
        qn_why(why, QN_E_PROOF, "another block than the final one of height %" PRIu64, s->height);
        if (p) p->height = 0;
        return QN_REJECT;
    }
    if (p) {
        if (!p->met) say_status(r, &from);
        p->met = true;
        p->height = s->height;
        p->oldest = s->oldest;
    }
    ask_blocks(r);
    return QN_IGNORE;
}

/* A transaction on its way into the pool. */
struct newcomer {
    const struct qn_tx *tx;
    struct qn_pool_tx wait;
    uint64_t next_ms; /* about the time of the block that might hold it */
    bool known;
};

/* What costs less than its signatures is looked at first: one is 60 us alone. */
static qn_rc look(const struct qn_replica *r, const struct qn_tx *tx, struct qn_span bytes,
                  struct newcomer *ret, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain), slot, head;
    struct qn_charge charge;
    uint64_t height;
    *ret = (struct newcomer){ .tx = tx };
    struct qn_pool_tx *w = &ret->wait;
    qn_tx_names(tx, bytes, &w->id, &w->whole);
    ret->known = qn_pool_has(r->pool, &w->id) || qn_chain_tx(r->chain, &w->id, &height);
    if (ret->known) return QN_OK;
    ret->next_ms = QN_MAX(now_ms(r), qn_chain_header(r->chain)->t_ms + 1);
    head = qn_chain_head(r->chain);
    if (qn_tx_slot(&tx->sender, tx->salt, &slot) &&
        qn_chain_slot(r->chain, &head, &slot, qn_chain_header(r->chain)->t_ms))
        return qn_why(why, QN_E_EXISTS, "one with this salt is final");
    qn_rc rc = qn_tx_look(tx, &chain, why);
    if (rc == QN_OK)
        rc = qn_state_charge(qn_chain_state(r->chain), tx, bytes.len, ret->next_ms, &charge, why);
    if (rc) return rc;
    w->payer = charge.payer;
    w->sender = tx->sender;
    w->salt = tx->salt;
    w->until_ms = tx->until_ms;
    w->fee_uqn = charge.fee.uqn;
    w->balance_uqn = charge.balance.uqn;
    w->tip_uqn = tx->tip.uqn;
    w->gas_max = tx->gas_max;
    w->bytes = bytes;
    return qn_pool_room(r->pool, w, why);
}

/* Its signatures were checked; a kind's own check may cost more. */
static qn_rc admit(struct qn_replica *r, const struct newcomer *n, struct qn_why *why)
{
    qn_rc rc =
        qn_state_payable(qn_chain_state(r->chain), n->tx, n->wait.bytes.len, n->next_ms, why);
    if (rc == QN_OK) rc = qn_pool_put(r->pool, &n->wait, why);
    if (rc == QN_OK) r->fresh = true;
    return rc;
}

static qn_rc pool_tx(struct qn_replica *r, struct qn_span bytes, struct qn_hash *ret_id,
                     bool *ret_new, struct qn_why *why)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_hash chain = qn_chain_id(r->chain);
    struct newcomer n;
    struct qn_tx tx;
    *ret_new = false;
    if (bytes.len > QN_TX_MAX)
        return qn_why(why, QN_E_TOOBIG, "a transaction has at most %u bytes", QN_TX_MAX);
    qn_rc rc = qn_decode(qn_tx_record(), bytes, &arena, &tx, why);
    if (rc == QN_OK) {
        rc = look(r, &tx, bytes, &n, why);
        *ret_id = n.wait.id;
        if (rc == QN_OK && !n.known) {
            rc = qn_tx_check(&tx, ret_id, &chain, why);
            if (rc == QN_OK) rc = admit(r, &n, why);
            *ret_new = rc == QN_OK;
        }
    }
    qn_arena_free(&arena);
    return rc;
}

/* Up to CHECK_TXS of a message that are new: their signatures side by side, then each into the pool. *verdict gets worse or better by them. */
static void take_txs(struct qn_replica *r, const struct newcomer *list, uint32_t cnt,
                     enum qn_verdict *verdict, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain), ids[CHECK_TXS];
    const struct qn_tx *txs[CHECK_TXS];
    qn_rc rcs[CHECK_TXS];
    for (uint32_t i = 0; i < cnt; i++) {
        txs[i] = list[i].tx;
        ids[i] = list[i].wait.id;
    }
    qn_rc rc = qn_tx_check_many(txs, ids, cnt, &chain, rcs, why);
    if (rc == QN_E_SIGNATURE || rc == QN_E_FORMAT) *verdict = QN_REJECT;
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_why ignored;
        if (rcs[i] || admit(r, &list[i], &ignored)) continue;
        if (*verdict == QN_IGNORE) *verdict = QN_ACCEPT;
    }
}

/* payload: what m was decoded from. Its transactions lie one behind the other in it, each in the only form it has. */
static enum qn_verdict on_txs(struct qn_replica *r, struct qn_span payload,
                              const struct sync_txs *m, struct qn_why *why)
{
    struct newcomer list[CHECK_TXS];
    enum qn_verdict verdict = QN_IGNORE;
    uint32_t cnt = 0;
    struct qn_span in = QN_SPAN(payload.ptr + 4, payload.len - 4), bytes;
    for (uint32_t i = 0; i < m->txs.cnt && verdict != QN_REJECT; i++) {
        bool whole = qn_take(&in, qn_tx_len(&m->txs.ptr[i]), &bytes);
        QN_ASSERT(whole);
        qn_rc rc = look(r, &m->txs.ptr[i], bytes, &list[cnt], why);
        if (rc == QN_E_SIGNATURE || rc == QN_E_FORMAT) verdict = QN_REJECT;
        cnt += rc == QN_OK && !list[cnt].known;
        if (cnt < CHECK_TXS && i + 1 < m->txs.cnt) continue;
        take_txs(r, list, cnt, &verdict, why);
        cnt = 0;
    }
    return verdict;
}

static enum qn_verdict on_vote(struct qn_replica *r, const struct qn_vote *vote, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (!qn_bft_wants(r->bft, vote)) return QN_IGNORE;
    if (!qn_vote_ok(vote, &chain, &r->set.keys[vote->signer])) {
        qn_why(why, QN_E_SIGNATURE, "a vote's signature does not verify");
        return QN_REJECT;
    }
    qn_bft_vote(r->bft, vote);
    return QN_ACCEPT;
}

static enum qn_verdict on_cert(struct qn_replica *r, const struct qn_cert *cert, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (cert->epoch != r->set.epoch) return QN_IGNORE;
    if (cert->view <= qn_bft_last(r->bft).view) return on_late_cert(r, cert, why);
    if (cert->kind == QN_CERT_VIEW &&
        qn_bft_cert_of(r->bft, cert->view, qn_hash_is_zero(&cert->block)))
        return QN_IGNORE;
    if (qn_cert_valid(cert, &chain, &r->set, why)) return QN_REJECT;
    qn_bft_cert(r->bft, cert);
    return QN_ACCEPT;
}

/* Two blocks of one view that their leader signed. */
static void note_twins(struct qn_replica *r, const struct qn_proposal *p, uint64_t view)
{
    const struct qn_header *h = &p->block.header;
    for (unsigned i = 0; i < r->twins_cnt; i++)
        if (r->twins[i].a.epoch == h->epoch && r->twins[i].a.view == view) return;
    for (const struct body *o = r->bodies; o && r->twins_cnt < EVIDENCE_MAX; o = o->next) {
        const struct qn_proposal *q = &o->parcel->p;
        if (o->b.view != view || q->block.header.epoch != h->epoch) continue;
        if (!r->twins) r->twins = calloc(EVIDENCE_MAX, sizeof *r->twins);
        QN_ASSERT(r->twins != NULL);
        r->twins[r->twins_cnt++] = (struct evidence_twins){ qn_acct_key(&h->proposer),
                                                            q->block.header, q->sig, *h, p->sig };
        return;
    }
}

static enum qn_verdict on_proposal(struct qn_replica *r, struct qn_parcel *parcel,
                                   struct qn_why *why)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    const struct qn_proposal *p = &parcel->p;
    const struct qn_header *h = &p->block.header;
    struct qn_bft_block b = known(r, h, p->parent_view);
    unsigned of_view = 0;
    struct qn_bft_conf draw = { .chain = qn_chain_id(r->chain),
                                .cnt = r->set.cnt,
                                .set = r->set.keys,
                                .weights = r->set.weights,
                                .epoch = r->set.epoch };
    if (h->ver != QN_HEADER_VER) {
        qn_why(why, QN_E_FORMAT, "a block of version %u, where %u is spoken", h->ver,
               QN_HEADER_VER);
        return QN_REJECT;
    }
    if (body_find(r, &b.hash)) return QN_IGNORE;
    bool awaited = qn_bft_awaits(r->bft, &b.hash);
    for (const struct body *o = r->bodies; o; o = o->next)
        of_view += o->b.view == b.view;
    if (h->epoch != r->set.epoch || h->view <= qn_bft_last(r->bft).view ||
        (!awaited && (h->view > qn_bft_view(r->bft) + VIEWS_AHEAD || of_view >= BODIES_VIEW)))
        return QN_IGNORE;
    if (b.proposer != qn_bft_leader(&draw, h->view) ||
        !qn_verify(&h->proposer, qn_proposal_text(&b.hash, text), &p->sig)) {
        qn_why(why, QN_E_SIGNATURE, "a block that is not its view's leader's");
        return QN_REJECT;
    }
    for (uint32_t i = 0; i < p->certs.cnt; i++)
        if (on_cert(r, &p->certs.ptr[i], why) == QN_REJECT) return QN_REJECT;
    note_twins(r, p, b.view);
    body_put(r, &b, qn_parcel_ref(parcel));
    qn_bft_proposal(r->bft, &b);
    prune_bodies(r);
    return QN_ACCEPT;
}

static void on_want(struct qn_replica *r, uint32_t from, const struct sync_want *w)
{
    const struct body *b = body_find(r, &w->block);
    if (qn_hash_is_zero(&w->block) && w->epoch == r->set.epoch) {
        uint64_t last = QN_MIN(qn_bft_view(r->bft), w->view + WANT_VIEWS);
        for (uint64_t v = QN_MAX(w->view, qn_bft_last(r->bft).view + 1); v < last; v++) {
            const struct qn_cert *cert = qn_bft_cert_of(r->bft, v, true);
            if (!cert) cert = qn_bft_cert_of(r->bft, v, false);
            if (cert) send(r, from, QN_CLASS_VOTE, SAY_CERT, qn_cert_record(), cert);
        }
    }
    if (b && !alone(r))
        r->conf.wire.send(r->conf.wire.self, from, QN_CLASS_BLOCK, b->parcel->message);
}

/* Blocks up to the next one with a certificate of its own, and so on to `cnt` or the bytes of a message. */
static void on_get(struct qn_replica *r, uint32_t from, const struct sync_get *get)
{
    struct sync_block *list = calloc(GET_MAX, sizeof *list);
    struct sync_blocks m = { .blocks = { 0, list } };
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_frame f;
    struct qn_why why;
    size_t bytes = 0;
    uint32_t cnt = 0;
    QN_ASSERT(list != NULL);
    for (uint64_t h = get->from; h && cnt < GET_MAX && bytes < GET_BYTES; h++) {
        struct qn_buf one = { 0 };
        if (qn_chain_frame(r->chain, h, &arena, &f, &why)) break;
        list[cnt] = (struct sync_block){ .block = f.block, .cert = f.cert };
        list[cnt].fillers.cnt = f.fillers.cnt;
        list[cnt++].fillers.ptr = f.fillers.ptr;
        qn_encode(sync_block_record(), &list[cnt - 1], &one);
        bytes += one.len;
        qn_buf_free(&one);
        if (bytes > QN_MESSAGE_MAX - 1024) break;
        if (f.cert.kind) m.blocks.cnt = cnt;
        if (m.blocks.cnt >= get->cnt) break;
    }
    send(r, from, QN_CLASS_REQUEST, SAY_BLOCKS, sync_blocks_record(), &m);
    qn_arena_free(&arena);
    free(list);
}

static enum qn_verdict on_blocks(struct qn_replica *r, uint32_t from, struct qn_span payload,
                                 const struct sync_blocks *m, struct qn_why *why)
{
    uint64_t first = m->blocks.cnt ? m->blocks.ptr[0].block.header.height : 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slots[i];
        if (!s->from || s->peer != from || s->answer.len || (first && s->from != first)) continue;
        if (first == 0) { /* the peer has less than it said */
            struct peer *p = peer_find(r, from);
            if (p) p->height = QN_MIN(p->height, s->from - 1);
            slot_clear(s);
            ask_blocks(r);
            return QN_IGNORE;
        }
        qn_buf_span(&s->answer, payload);
        s->cnt = (uint16_t)m->blocks.cnt;
        return take_answers(r, why);
    }
    return on_other_blocks(r, m, why);
}

enum qn_verdict qn_replica_recv(struct qn_replica *r, uint32_t peer, struct qn_span message,
                                struct qn_why *why)
{
    static const qn_record_fn KINDS[] = {
        [SAY_STATUS] = sync_status_record,
        [SAY_TXS] = sync_txs_record,
        [SAY_VOTE] = qn_vote_record,
        [SAY_CERT] = qn_cert_record,
        [SAY_PROPOSAL] = NULL, /* read into a parcel, which is kept */
        [SAY_WANT] = sync_want_record,
        [SAY_GET] = sync_get_record,
        [SAY_BLOCKS] = sync_blocks_record,
    };
    union {
        struct sync_status status;
        struct sync_txs txs;
        struct qn_vote vote;
        struct qn_cert cert;
        struct sync_want want;
        struct sync_get get;
        struct sync_blocks blocks;
    } m;
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_parcel *parcel = NULL;
    struct qn_span s = message;
    enum qn_verdict verdict = QN_IGNORE;
    uint8_t kind = 0;
    if (r->rc) return QN_IGNORE;
    bool ok = message.len <= QN_MESSAGE_MAX && qn_take_u8(&s, &kind) && kind > 0 &&
              kind < QN_COUNT(KINDS);
    if (ok && kind == SAY_PROPOSAL)
        ok = qn_parcel_read(message, 1, &parcel, why) == QN_OK;
    else if (ok)
        ok = qn_decode(KINDS[kind](), s, &arena, &m, why) == QN_OK;
    if (!ok) {
        bool later = message.len && kind >= QN_COUNT(KINDS);
        qn_arena_free(&arena);
        qn_why(why, QN_E_FORMAT,
               later ? "a message of kind %u: of a later version, or of none"
                     : "a message of kind %u that does not decode",
               kind);
        return QN_REJECT;
    }
    if (r->conf.hold && kind != SAY_STATUS) {
        qn_arena_free(&arena);
        qn_parcel_unref(parcel);
        return QN_IGNORE;
    }
    switch ((enum kind)kind) {
    case SAY_STATUS: verdict = on_status(r, peer, &m.status, why); break;
    case SAY_TXS: verdict = on_txs(r, s, &m.txs, why); break;
    case SAY_VOTE: verdict = on_vote(r, &m.vote, why); break;
    case SAY_CERT: verdict = on_cert(r, &m.cert, why); break;
    case SAY_PROPOSAL: verdict = on_proposal(r, parcel, why); break;
    case SAY_WANT: on_want(r, peer, &m.want); break;
    case SAY_GET: on_get(r, peer, &m.get); break;
    case SAY_BLOCKS: verdict = on_blocks(r, peer, s, &m.blocks, why); break;
    }
    qn_arena_free(&arena);
    qn_parcel_unref(parcel);
    if (!r->conf.hold) drain(r);
    return verdict;
}

/* --- the owner's calls ----------------------------------------------------------------------------------------------------------- */

void qn_replica_peer(struct qn_replica *r, uint32_t peer, bool up)
{
    struct peer *p = peer_find(r, peer);
    if (up && !p) {
        if (r->peer_cnt == r->peer_cap) {
            r->peer_cap = QN_MAX(r->peer_cap * 2, 16u);
            r->peers = realloc(r->peers, r->peer_cap * sizeof *r->peers);
            QN_ASSERT(r->peers != NULL);
        }
        r->peers[r->peer_cnt++] = (struct peer){ .no = peer };
        say_status(r, &peer);
    } else if (!up && p) {
        *p = r->peers[--r->peer_cnt];
        for (unsigned i = 0; i < SLOTS; i++)
            if (r->slots[i].from && r->slots[i].peer == peer && r->slots[i].answer.len == 0)
                slot_clear(&r->slots[i]);
    }
}

qn_rc qn_replica_submit(struct qn_replica *r, struct qn_span tx, struct qn_hash *ret_id,
                        struct qn_why *why)
{
    bool fresh;
    if (r->rc) return qn_why(why, r->rc, "%s", r->why.text);
    if (r->conf.hold)
        return qn_why(why, QN_E_REFUSED, "this node is fetching the state and takes none yet");
    qn_rc rc = pool_tx(r, tx, ret_id, &fresh, why);
    if (fresh) batch_tx(r, tx);
    return rc;
}

/* What waits for long was perhaps never heard of. */
static void recast(struct qn_replica *r)
{
    struct qn_arena arena = { 0 };
    struct qn_tx *txs = qn_arena_alloc(&arena, RECAST_TXS * sizeof *txs);
    struct qn_hash *ids = qn_arena_alloc(&arena, RECAST_TXS * sizeof *ids);
    QN_ASSERT(txs && ids);
    uint32_t cnt = qn_pool_pick(r->pool, &arena, NULL, NULL, txs, ids, RECAST_TXS, BATCH_BYTES);
    if (cnt && qn_hash_eq(&ids[0], &r->waits))
        for (uint32_t i = 0; i < cnt; i++) {
            struct qn_span bytes;
            if (qn_pool_get(r->pool, &ids[i], &bytes)) batch_tx(r, bytes);
        }
    r->waits = cnt ? ids[0] : (struct qn_hash){ { 0 } };
    qn_arena_free(&arena);
}

static bool is_due(uint64_t *last_ms, uint64_t now, uint64_t every_ms)
{
    if (now - *last_ms < every_ms) return false;
    *last_ms = now;
    return true;
}

qn_rc qn_replica_turn(struct qn_replica *r, uint64_t *ret_wait_ms, struct qn_why *why)
{
    uint64_t now = mono_ms(r);
    *ret_wait_ms = STATUS_MS;
    if (r->rc == QN_OK) {
        if (is_due(&r->expire_ms, now, STATUS_MS)) qn_pool_expire(r->pool, now_ms(r));
        if (!alone(r) && is_due(&r->status_ms, now, STATUS_MS)) {
            struct qn_why said;
            say_status(r, NULL);
            if (!r->conf.hold) take_answers(r, &said); /* what one waited for may be here by now */
        }
        if (r->conf.hold) return QN_OK;
        if (!alone(r) && is_due(&r->recast_ms, now, RECAST_MS)) recast(r);
        qn_bft_tick(r->bft, now_ms(r));
        drain(r);
        if (r->batch_cnt && mono_ms(r) - r->batch_ms >= BATCH_MS) flush_batch(r);
    }
    if (r->rc == QN_OK) {
        struct qn_why said;
        failed(r, qn_chain_save(r->chain, &said), &said);
    }
    if (r->rc) return qn_why(why, r->rc, "%s", r->why.text);
    uint64_t wall = now_ms(r), wake = qn_bft_wake_ms(r->bft);
    *ret_wait_ms = wake > wall ? QN_MIN(wake - wall, (uint64_t)STATUS_MS) : 0;
    if (r->batch_cnt) *ret_wait_ms = QN_MIN(*ret_wait_ms, (uint64_t)BATCH_MS);
    if (r->asked) {
        uint64_t passed = mono_ms(r) - r->ask_ms, block_ms = r->conf.block_ms;
        uint64_t left = passed < block_ms ? block_ms - passed : 0;
        *ret_wait_ms = r->fresh && qn_pool_cnt(r->pool) ? 0 : QN_MIN(*ret_wait_ms, left);
    }
    return QN_OK;
}

struct qn_chain *qn_replica_chain(struct qn_replica *r)
{
    return r->chain;
}

size_t qn_replica_pooled(const struct qn_replica *r)
{
    return qn_pool_cnt(r->pool);
}

enum qn_tx_where qn_replica_tx(const struct qn_replica *r, const struct qn_hash *id,
                               uint64_t *ret_height)
{
    if (qn_chain_tx(r->chain, id, ret_height)) return QN_TX_FINAL;
    return qn_pool_has(r->pool, id) ? QN_TX_POOLED : QN_TX_UNKNOWN;
}

struct qn_replica_info qn_replica_info(const struct qn_replica *r)
{
    return (struct qn_replica_info){ .view = qn_bft_view(r->bft),
                                     .height = head_height(r),
                                     .peer_height = most(r),
                                     .peer_oldest = oldest(r),
                                     .peers = r->peer_cnt,
                                     .validators = r->set.cnt,
                                     .self = r->self,
                                     .syncing = most(r) > head_height(r) + 4 };
}

bool qn_replica_leader(const struct qn_replica *r, uint32_t epoch, uint64_t view,
                       struct qn_hash *ret)
{
    struct qn_bft_conf draw = { .chain = qn_chain_id(r->chain),
                                .cnt = r->set.cnt,
                                .set = r->set.keys,
                                .weights = r->set.weights,
                                .epoch = r->set.epoch };
    if (r->set.epoch != epoch || r->set.cnt == 0) return false;
    *ret = r->set.keys[qn_bft_leader(&draw, view)];
    return true;
}

bool qn_replica_want(struct qn_replica *r, const struct qn_hash *block)
{
    if (r->conf.hold || r->peer_cnt == 0 || body_find(r, block) || qn_chain_block(r->chain, block))
        return false;
    want(r, block, qn_bft_view(r->bft));
    return true;
}

void qn_replica_waiting(const struct qn_replica *r,
                        void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                        void *to)
{
    qn_pool_visit(r->pool, visit, to);
}

void qn_replica_evidence(const struct qn_replica *r,
                         void (*visit)(void *arg, const struct qn_vote *a, const struct qn_vote *b),
                         void *arg)
{
    for (unsigned i = 0; i < r->evidence_cnt; i++)
        visit(arg, &r->evidence[i].a, &r->evidence[i].b);
}

void qn_replica_twins(const struct qn_replica *r,
                      void (*visit)(void *arg, const struct evidence_twins *twins), void *arg)
{
    for (unsigned i = 0; i < r->twins_cnt; i++)
        visit(arg, &r->twins[i]);
}

const struct qn_fork *qn_replica_fork(const struct qn_replica *r)
{
    return r->fork;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------------- */

static void restore_votes(void *arg, const struct qn_pledge *p)
{
    struct qn_replica *r = arg;
    for (uint32_t i = 0; i < p->votes.cnt; i++)
        if ((int)p->votes.ptr[i].signer == r->self && p->votes.ptr[i].epoch == r->set.epoch)
            qn_bft_restore(r->bft, &p->votes.ptr[i]);
}

/* Certificates and blocks come back as if a peer sent them. */
static void restore_certs(void *arg, const struct qn_pledge *p)
{
    struct qn_replica *r = arg;
    for (uint32_t i = 0; i < p->certs.cnt; i++)
        if (p->certs.ptr[i].view > qn_bft_last(r->bft).view) qn_bft_cert(r->bft, &p->certs.ptr[i]);
}

static void restore_blocks(void *arg, const struct qn_pledge *p)
{
    struct qn_replica *r = arg;
    for (uint32_t i = 0; i < p->proposals.cnt; i++) {
        const struct qn_proposal *q = &p->proposals.ptr[i];
        struct qn_bft_block b = known(r, &q->block.header, q->parent_view);
        if (b.height <= head_height(r) || q->block.header.epoch != r->set.epoch ||
            body_find(r, &b.hash))
            continue;
        for (uint32_t k = 0; k < q->certs.cnt; k++)
            if (q->certs.ptr[k].view > qn_bft_last(r->bft).view)
                qn_bft_cert(r->bft, &q->certs.ptr[k]);
        struct qn_buf message = { 0 };
        struct qn_parcel *parcel;
        say(&message, SAY_PROPOSAL, qn_proposal_record(), q);
        qn_rc rc = qn_parcel_read(qn_buf_get(&message), 1, &parcel, NULL);
        QN_ASSERT(rc == QN_OK);
        body_put(r, &b, parcel)->pledged = true;
        qn_buf_free(&message);
        qn_bft_proposal(r->bft, &b);
    }
}

static void open_bft(struct qn_replica *r)
{
    struct qn_arena arena = { 0 };
    struct qn_cert cert;
    bool has = qn_chain_by(r->chain).len &&
               qn_decode(qn_cert_record(), qn_chain_by(r->chain), &arena, &cert, NULL) == QN_OK;
    begin_bft(r, has ? &cert : NULL);
    qn_arena_free(&arena);
    qn_chain_pledges(r->chain, restore_votes, r);
    note_past(r);
    qn_bft_start(r->bft, now_ms(r));
    qn_chain_pledges(r->chain, restore_certs, r);
    qn_chain_pledges(r->chain, restore_blocks, r);
}

qn_rc qn_replica_open(const struct qn_replica_conf *conf, struct qn_replica **ret,
                      struct qn_why *why)
{
    struct qn_replica *r = calloc(1, sizeof *r);
    QN_ASSERT(r != NULL);
    r->conf = *conf;
    if (r->conf.block_ms == 0) r->conf.block_ms = BLOCK_MS;
    struct qn_pool_limits limits = { 0 };
    qn_env_random(conf->chain.env, &limits.secret, sizeof limits.secret);
    r->pool = qn_pool_new(&limits);
    struct qn_chain_conf chain = conf->chain;
    chain.on_block = on_block;
    chain.arg = r;
    qn_rc rc = qn_chain_open(&chain, &r->chain, why);
    if (rc) {
        qn_replica_close(r);
        return rc;
    }
    open_bft(r);
    *ret = r;
    return QN_OK;
}

void qn_replica_close(struct qn_replica *r)
{
    if (!r) return;
    qn_chain_close(r->chain);
    qn_bft_free(r->bft);
    qn_pool_free(r->pool);
    while (r->bodies) {
        struct body *b = r->bodies;
        r->bodies = b->next;
        body_free(b);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        slot_clear(&r->slots[i]);
    forget_pledge(r);
    qn_buf_free(&r->batch);
    free(r->peers);
    free(r->evidence);
    free(r->twins);
    free(r->fork);
    free(r);
}
