/* replica_bft.c - taking up blocks and making them, votes journalled before they leave, what is final. */
#include "ledger/sync/replica_in.h"

#include <stdlib.h>
#include <string.h>

#define FILLERS_MAX 256
#define OWES_MAX    8

struct skip {
    const struct qn_chain *chain;
    struct qn_hash parent;
    uint64_t t_ms; /* about the block's */
};

/* --- taking up blocks ---------------------------------------------------------------------------------------------------------- */

qn_rc qn_replica_check_txs(const struct qn_replica *r, struct qn_parcel *const parcels[],
                           uint32_t block_cnt, uint32_t *ret_good, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    size_t cnt = 0, max = 1;
    struct qn_arena arena = { 0 };
    for (uint32_t k = 0; k < block_cnt; k++)
        max += parcels[k]->p.block.txs.cnt;
    const struct qn_tx **txs = qn_arena_alloc(&arena, max * sizeof *txs);
    struct qn_hash *ids = qn_arena_alloc(&arena, max * sizeof *ids);
    uint32_t *of = qn_arena_alloc(&arena, max * sizeof *of);
    qn_rc *rcs = qn_arena_alloc(&arena, max * sizeof *rcs);
    QN_ASSERT(txs && ids && of && rcs);
    for (uint32_t k = 0; k < block_cnt; k++) {
        const struct qn_block *block = &parcels[k]->p.block;
        qn_parcel_name(parcels[k]);
        for (uint32_t i = 0; i < block->txs.cnt; i++) {
            if (qn_pool_knows(r->pool, &parcels[k]->ids[i], &parcels[k]->wholes[i])) continue;
            txs[cnt] = &block->txs.ptr[i];
            of[cnt] = k;
            ids[cnt++] = parcels[k]->ids[i];
        }
    }
    qn_rc rc = qn_tx_check_many(txs, ids, cnt, &chain, rcs, why);
    *ret_good = block_cnt;
    for (size_t i = cnt; i-- > 0;)
        if (rcs[i]) *ret_good = of[i];
    qn_arena_free(&arena);
    return rc;
}

static void execute(struct qn_replica *r, const struct qn_hash *hash)
{
    struct qn_why why = { "" };
    struct body *b = qn_replica_body_find(r, hash);
    uint32_t good;
    if (qn_chain_block(r->chain, hash)) {
        qn_bft_valid(r->bft, hash, true);
        return;
    }
    if (!b) { /* let go among too many before its turn came */
        qn_bft_lost(r->bft, hash);
        return;
    }
    qn_rc rc = qn_replica_check_txs(r, &b->parcel, 1, &good, &why);
    if (rc == QN_OK) rc = qn_chain_take(r->chain, b->parcel, &why);
    if (rc != QN_E_NOTFOUND) qn_bft_valid(r->bft, hash, rc == QN_OK);
}

/* --- making blocks --------------------------------------------------------------------------------------------------------------- */

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
    struct qn_bft_block b = qn_replica_known(r, &block->header);
    if (!qn_replica_alone(r)) {
        struct qn_buf message = { 0 };
        struct qn_proposal p = { .block = *block };
        struct qn_parcel *parcel;
        p.sig = qn_sign(r->conf.validator, qn_proposal_text(&b.hash, text));
        qn_replica_add_certs(r, &b, parent_view, &p, certs, QN_COUNT(certs));
        qn_replica_say(&message, SAY_PROPOSAL, qn_proposal_record(), &p);
        qn_rc rc = qn_parcel_read(qn_buf_get(&message), 1, &parcel, NULL);
        QN_ASSERT(rc == QN_OK);
        qn_replica_body_put(r, &b, parcel)->mine = true;
        qn_buf_free(&message);
    }
    qn_bft_proposal(r->bft, &b);
    qn_bft_valid(r->bft, &b.hash, true);
}

/* What a node does for a transfer, processor time of one core (bench_ledger; Zen 4 with 8 lanes of AVX-512, 2.6 GHz):
 *
 *     8.5 us    its signature, among many at once (62 alone)
 *     4.1       decoding, id and whole hashed, fees, its place in the pool
 *    15.1       picking, executing, the rows' root, the journal's and the checkpoint's bytes
 *
 * 28 us in all, so that one core does 36,000 a second and four nodes on two cores at most 2 / (4 x 28 us) = 18,000, whatever the net costs. There
 * (bench_net_devnet) it is 55: the other half is what brings it, encrypted, to each of four (gossip, Noise, compact blocks) and once from
 * JSON. A signature is 0.3 of the first figure and 0.15 of the second: no verifier makes this twice as fast any more, rows and bytes would. */
/* How long the leader waits for transactions: until block_ms after its block's parent, by the parent's clock and ours. What votes and certificates took
 * is not waited for again, and after views without a block there is no wait. */
static uint64_t left_ms(const struct qn_replica *r)
{
    const struct qn_block *up = qn_chain_block(r->chain, &r->ask.block);
    uint64_t t_ms = up ? up->header.t_ms : qn_chain_header(r->chain)->t_ms;
    uint64_t now = qn_replica_now_ms(r), passed = now > t_ms ? now - t_ms : 0;
    if (qn_replica_head_height(r) == 0) return 0;
    return r->conf.block_ms - QN_MIN(passed, r->conf.block_ms);
}

/* Says whether it made the block that consensus asks for, once it has something to hold or its time has come. */
static bool make(struct qn_replica *r)
{
    struct qn_arena arena = { 0 };
    struct qn_why why = { "" };
    struct skip skip = { r->chain, r->ask.block, qn_replica_now_ms(r) };
    struct qn_hash hash;
    bool due = qn_replica_mono_ms(r) >= r->due_ms;
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
                         .t_ms = qn_replica_now_ms(r),
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

void qn_replica_on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct qn_replica *r = arg;
    for (uint32_t i = 0; i < f->block.txs.cnt; i++) {
        const struct qn_hash *id = &f->receipts.ptr[i].tx; /* each has one, in order */
        qn_pool_final(r->pool, &f->block.txs.ptr[i], id);
    }
    if (r->conf.chain.on_block) r->conf.chain.on_block(r->conf.chain.arg, f, hash);
}

void qn_replica_forget_pledge(struct qn_replica *r)
{
    for (unsigned i = 0; i < r->pledge_cert_cnt; i++)
        free(r->pledge_cert[i]);
    r->pledge_cnt = r->pledge_cert_cnt = 0;
}

int qn_replica_self(const struct qn_replica *r)
{
    return r->twin || r->silent || r->listening ? -1 : r->number;
}

void qn_replica_mute(struct qn_replica *r)
{
    r->asked = false;
    qn_replica_forget_pledge(r);
    qn_bft_mute(r->bft);
}

void qn_replica_begin_bft(struct qn_replica *r, const struct qn_cert *cert)
{
    const struct qn_header *head = qn_chain_header(r->chain);
    struct qn_bft *before = r->bft;
    r->set = *qn_chain_set(r->chain);
    r->number = r->conf.validator ? qn_set_find(&r->set, &r->conf.validator->pub) : -1;
    struct qn_bft_block last = qn_replica_known(r, head);
    last.hash = qn_chain_head(r->chain);
    struct qn_bft_conf conf = { .chain = qn_chain_id(r->chain),
                                .epoch = r->set.epoch,
                                .cnt = r->set.cnt,
                                .set = r->set.keys,
                                .weights = r->set.weights,
                                .fast_ppm = r->set.fast_ppm,
                                .self = qn_replica_self(r),
                                .key = r->conf.validator,
                                .block_ms = r->conf.block_ms,
                                .bug = (enum qn_bft_bug)r->conf.bug };
    r->bft = qn_bft_new(&conf, &last, cert);
    r->asked = false;
    qn_bft_free(before);
}

void qn_replica_next_epoch(struct qn_replica *r, const struct qn_cert *cert)
{
    qn_replica_forget_pledge(r);
    qn_replica_begin_bft(r, cert);
    qn_bft_start(r->bft, qn_replica_mono_ms(r), qn_replica_now_ms(r));
}

/* The headers of the fillers from block up to the one that cert is for, in the order of the chain; 0 when it is the block's own, or when one
 * is missing here. */
static uint32_t find_fillers(struct qn_replica *r, const struct qn_hash *block,
                             const struct qn_cert *cert, struct qn_header *dst)
{
    struct qn_hash at = cert->block;
    uint32_t cnt = 0;
    for (struct body *b; !qn_hash_eq(&at, block); at = b->b.parent) {
        b = qn_replica_body_find(r, &at);
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

void qn_replica_note_past(struct qn_replica *r)
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
    qn_replica_failed(r, rc, &why);
    if (rc == QN_OK) qn_replica_note_past(r);
    if (rc == QN_OK && ends) qn_replica_next_epoch(r, a->by);
    free(fillers);
    qn_replica_prune_bodies(r);
}

/* Syncs the votes that wait, with what they stand on, in one write; then they may leave. Where nobody listens
 * nothing leaves this process before its block is synced with its certificate, so that its votes count as journalled at once. */
static void pledge(struct qn_replica *r)
{
    struct qn_vote votes[PLEDGE_MAX];
    struct qn_proposal proposals[PLEDGE_MAX];
    struct qn_cert certs[PLEDGE_MAX];
    struct qn_pledge p = { .votes = { r->pledge_cnt, votes },
                           .proposals = { 0, proposals },
                           .certs = { r->pledge_cert_cnt, certs } };
    struct qn_why why = { "" };
    if (r->pledge_cnt == 0) return;
    for (unsigned i = 0; i < r->pledge_cnt; i++) {
        votes[i] = r->pledge[i].vote;
        struct body *b = qn_replica_body_find(r, &votes[i].block);
        if (!b || b->pledged) continue;
        proposals[p.proposals.cnt++] = b->parcel->p;
        b->pledged = true;
    }
    for (unsigned i = 0; i < r->pledge_cert_cnt; i++)
        certs[i] = *r->pledge_cert[i];
    if (!qn_replica_alone(r) && r->rc == QN_OK)
        qn_replica_failed(r, qn_chain_pledge(r->chain, &p, &why), &why);
    unsigned cnt = r->pledge_cnt;
    qn_replica_forget_pledge(r);
    for (unsigned i = 0; i < cnt && r->rc == QN_OK; i++)
        qn_bft_journalled(r->bft, r->pledge[i].token);
}

static void add_pledge(struct qn_replica *r, const struct qn_bft_action *a)
{
    r->pledge[r->pledge_cnt++] = *a;
    if (a->cert) r->pledge_cert[r->pledge_cert_cnt++] = qn_cert_copy(a->cert);
}

void qn_replica_on_evidence(struct qn_replica *r, const struct qn_vote *a, const struct qn_vote *b)
{
    for (uint64_t i = 0; i < QN_MIN(r->evidence_cnt, (uint64_t)EVIDENCE_MAX); i++)
        if (r->evidence[i].a.signer == a->signer && r->evidence[i].a.epoch == a->epoch) return;
    if (!r->evidence) r->evidence = calloc(EVIDENCE_MAX, sizeof *r->evidence);
    QN_ASSERT(r->evidence != NULL);
    r->evidence[r->evidence_cnt++ % EVIDENCE_MAX] = (struct evidence){ *a, *b };
}

/* Whom to ask: in turn, of those who brought something lately. That may be one who brings blocks of his own making and never what is asked for, while
 * others owe what nobody has: so in every third second it is by the clock and the hash, which nobody else moves, and each has his time. */
static struct peer *whom(struct qn_replica *r, const struct qn_hash *hash)
{
    struct peer *best = NULL;
    uint64_t draw, s = qn_replica_mono_ms(r) / 1000;
    memcpy(&draw, hash->b, sizeof draw);
    if (s % 3 == 0) return &r->peers[(draw % r->peer_cnt + s / 3) % r->peer_cnt];
    for (uint32_t k = 0, turn = r->turn_peer; k < r->peer_cnt; k++) {
        uint32_t i = (turn + 1 + k) % r->peer_cnt;
        if (best && best->owes <= r->peers[i].owes) continue;
        best = &r->peers[i];
        r->turn_peer = i;
    }
    return best;
}

static void want(struct qn_replica *r, const struct qn_hash *hash, uint64_t view)
{
    struct sync_want w = { *hash, r->set.epoch, view };
    struct body *b = qn_replica_body_find(r, hash);
    if (b) { /* it came too early to be taken up */
        qn_bft_proposal(r->bft, &b->b);
        return;
    }
    if (r->peer_cnt == 0) return;
    struct peer *best = whom(r, hash);
    best->owes = (uint8_t)QN_MIN(best->owes + 1, OWES_MAX);
    qn_replica_send(r, best->no, QN_CLASS_VOTE, SAY_WANT, sync_want_record(), &w);
}

/* A vote may leave. With the one for our own block goes the block: two of one view would be two only if both were synced. */
static void on_voted(struct qn_replica *r, const struct qn_vote *vote)
{
    struct body *b = qn_replica_body_find(r, &vote->block);
    if (b && b->mine && !qn_replica_alone(r))
        r->conf.wire.cast(r->conf.wire.self, QN_CLASS_VOTE, b->parcel->message);
    if (b) b->mine = false;
    qn_replica_cast(r, QN_CLASS_VOTE, SAY_VOTE, qn_vote_record(), vote);
}

void qn_replica_drain(struct qn_replica *r)
{
    struct qn_bft_action a;
    bool made = false; /* one block a turn: others have their time too */
    do {
        while (r->rc == QN_OK && r->pledge_cnt < PLEDGE_MAX && qn_bft_next(r->bft, &a)) {
            switch (a.what) {
            case QN_BFT_PROPOSE:
                r->ask = a;
                r->asked = r->fresh = true;
                r->ask_ms = qn_replica_mono_ms(r);
                r->due_ms = r->ask_ms + left_ms(r);
                break;
            case QN_BFT_EXECUTE: execute(r, &a.block); break;
            case QN_BFT_JOURNAL: add_pledge(r, &a); break;
            case QN_BFT_VOTE: on_voted(r, &a.vote); break;
            case QN_BFT_CERT:
                qn_replica_cast(r, a.again ? QN_CLASS_VOTE : QN_CLASS_CERT, SAY_CERT,
                                qn_cert_record(), a.cert);
                break;
            case QN_BFT_PROPOSAL: {
                const struct body *b = qn_replica_body_find(r, &a.block);
                if (b && !b->mine && !qn_replica_alone(r))
                    r->conf.wire.cast(r->conf.wire.self, QN_CLASS_VOTE, b->parcel->message);
                break;
            }
            case QN_BFT_FINAL: on_final(r, &a); break;
            case QN_BFT_WANT: want(r, &a.block, a.view); break;
            case QN_BFT_EVIDENCE: qn_replica_on_evidence(r, &a.vote, &a.other); break;
            }
        }
        if (r->rc == QN_OK && !made) made = make(r);
        pledge(r);
    } while (r->rc == QN_OK && qn_bft_pending(r->bft));
}

bool qn_replica_want(struct qn_replica *r, const struct qn_hash *block)
{
    if (r->conf.hold || r->peer_cnt == 0 || qn_replica_body_find(r, block) ||
        qn_chain_block(r->chain, block))
        return false;
    want(r, block, qn_bft_view(r->bft));
    return true;
}
