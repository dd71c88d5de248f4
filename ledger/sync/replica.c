/* replica.c - opening, saying, proposals held, the owner's calls. */
#include "ledger/sync/replica_in.h"

#include <stdlib.h>
#include <string.h>

#include "core/schema/define.h"
#include "ledger/sync/sync.def"

#define BLOCK_MS    500
#define STATUS_MS   1000
#define LISTEN_MS   2000
#define RECAST_MS   3000 /* a transaction that waits so long is cast again */
#define RECAST_TXS  256
#define BODIES_MAX  96
#define BODIES_KEPT 16 /* heights below the head whose proposals are kept for who wants them */
#define BATCH_TXS   512
#define BATCH_MS                                                                                   \
    5 /* between two batches, unless one is full: a message costs as much as ten transactions in it */
#define BATCH_BYTES (64u << 10)
#define NOBODY      UINT32_MAX
#define DRAW_MS                                                                                    \
    5 /* after it is asked for a block that has nothing to hold yet, a leader draws its beacon: others are done with the one before */
#define SERVE_MS 10 /* questions that wait are looked at so often */

uint64_t qn_replica_now_ms(const struct qn_replica *r)
{
    return qn_env_now_ms(r->conf.chain.env);
}

uint64_t qn_replica_mono_ms(const struct qn_replica *r)
{
    return qn_env_mono_us(r->conf.chain.env) / 1000;
}

uint64_t qn_replica_head_height(const struct qn_replica *r)
{
    return qn_chain_header(r->chain)->height;
}

void qn_replica_failed(struct qn_replica *r, qn_rc rc, const struct qn_why *why)
{
    if (rc == QN_OK || r->rc) return;
    r->rc = rc;
    r->why = *why;
}

/* --- saying ------------------------------------------------------------------------------------------------------------------ */

struct qn_span qn_replica_say(struct qn_buf *buf, enum kind kind, const struct qn_record *rec,
                              const void *obj)
{
    qn_buf_u8(buf, (uint8_t)kind);
    qn_encode(rec, obj, buf);
    return qn_buf_get(buf);
}

bool qn_replica_alone(const struct qn_replica *r)
{
    return r->conf.wire.cast == NULL;
}

void qn_replica_cast(struct qn_replica *r, enum qn_class class, enum kind kind,
                     const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    if (qn_replica_alone(r)) return;
    r->conf.wire.cast(r->conf.wire.self, class, qn_replica_say(&buf, kind, rec, obj));
    qn_buf_free(&buf);
}

void qn_replica_send(struct qn_replica *r, uint32_t peer, enum qn_class class, enum kind kind,
                     const struct qn_record *rec, const void *obj)
{
    struct qn_buf buf = { 0 };
    if (qn_replica_alone(r)) return;
    r->conf.wire.send(r->conf.wire.self, peer, class, qn_replica_say(&buf, kind, rec, obj));
    qn_buf_free(&buf);
}

static void flush_batch(struct qn_replica *r)
{
    struct qn_buf buf = { 0 };
    if (r->batch_cnt && !qn_replica_alone(r)) {
        qn_buf_u8(&buf, SAY_TXS);
        qn_buf_u32(&buf, r->batch_cnt);
        qn_buf_span(&buf, qn_buf_get(&r->batch));
        r->conf.wire.cast(r->conf.wire.self, QN_CLASS_TX, qn_buf_get(&buf));
    }
    qn_buf_free(&buf);
    qn_buf_clear(&r->batch);
    r->batch_cnt = 0;
    r->batch_ms = qn_replica_mono_ms(r);
}

void qn_replica_batch(struct qn_replica *r, struct qn_span bytes)
{
    if (qn_replica_alone(r)) return;
    if (r->batch_cnt == BATCH_TXS || (r->batch_cnt && r->batch.len + bytes.len > BATCH_BYTES))
        flush_batch(r);
    qn_buf_span(&r->batch, bytes);
    r->batch_cnt++;
}

void qn_replica_say_status(struct qn_replica *r, const uint32_t *peer)
{
    struct sync_status s = { .chain = qn_chain_id(r->chain),
                             .height = qn_replica_head_height(r),
                             .head = qn_chain_head(r->chain),
                             .oldest = qn_replica_gives(r) };
    if (peer)
        qn_replica_send(r, *peer, QN_CLASS_CONTROL, SAY_STATUS, sync_status_record(), &s);
    else
        for (uint32_t i = 0; i < r->peer_cnt; i++)
            qn_replica_send(r, r->peers[i].no, QN_CLASS_CONTROL, SAY_STATUS, sync_status_record(),
                            &s);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------ */

struct body *qn_replica_body_find(const struct qn_replica *r, const struct qn_hash *hash)
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

void qn_replica_prune_bodies(struct qn_replica *r)
{
    uint64_t head = qn_replica_head_height(r);
    unsigned cnt = 0;
    for (struct body **at = &r->bodies; *at;) { /* the newest first */
        struct body *b = *at;
        /* One that was executed is held by the chain until another is final in its place: who lacks it must find it here, however long that takes. */
        bool stays = b->b.height > head && qn_chain_block(r->chain, &b->hash);
        if (stays || (b->b.height + BODIES_KEPT > head && ++cnt <= BODIES_MAX)) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        body_free(b);
    }
}

struct body *qn_replica_body_put(struct qn_replica *r, const struct qn_bft_block *block,
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

struct qn_bft_block qn_replica_known(const struct qn_replica *r, const struct qn_header *h)
{
    struct qn_bft_block b = { .hash = qn_header_hash(h),
                              .parent = h->parent,
                              .view = h->view,
                              .height = h->height,
                              .t_ms = h->t_ms,
                              .proposer = UINT16_MAX };
    int no = qn_set_find(&r->set, &h->proposer);
    if (no >= 0) b.proposer = (uint16_t)no;
    return b;
}

void qn_replica_add_certs(const struct qn_replica *r, const struct qn_bft_block *b,
                          uint64_t parent_view, struct qn_proposal *p, struct qn_cert *dst,
                          uint32_t max)
{
    p->certs.ptr = dst;
    p->certs.cnt = 0;
    const struct qn_cert *cert = qn_bft_cert_for(r->bft, parent_view, &b->parent);
    if (cert) dst[p->certs.cnt++] = *cert;
    for (uint64_t v = parent_view + 1; v < b->view && p->certs.cnt < max; v++)
        if ((cert = qn_bft_cert_of(r->bft, v, true))) dst[p->certs.cnt++] = *cert;
}

/* --- the owner's calls ----------------------------------------------------------------------------------------------------------- */

void qn_replica_peer(struct qn_replica *r, uint32_t peer, bool up)
{
    struct peer *p = qn_replica_peer_find(r, peer);
    if (up && !p) {
        if (r->peer_cnt == r->peer_cap) {
            r->peer_cap = QN_MAX(r->peer_cap * 2, 16u);
            r->peers = realloc(r->peers, r->peer_cap * sizeof *r->peers);
            QN_ASSERT(r->peers != NULL);
        }
        r->peers[r->peer_cnt++] = (struct peer){ .no = peer };
        qn_replica_say_status(r, &peer);
    } else if (!up && p) {
        *p = r->peers[--r->peer_cnt];
        for (unsigned i = 0; i < SLOTS; i++)
            if (r->slots[i].from && r->slots[i].peer == peer && r->slots[i].answer.len == 0)
                qn_replica_slot_clear(&r->slots[i]);
    }
}

void qn_replica_submit_many(struct qn_replica *r, struct qn_submit *list, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        list[i].why.text[0] = 0;
        list[i].fresh = false;
        if (r->rc)
            list[i].rc = qn_why(&list[i].why, r->rc, "%s", r->why.text);
        else if (r->conf.hold)
            list[i].rc = qn_why(&list[i].why, QN_E_REFUSED,
                                "this node is fetching the state and takes none yet");
    }
    if (r->rc || r->conf.hold) return;
    qn_replica_pool_txs(r, list, cnt);
    for (size_t i = 0; i < cnt; i++)
        if (list[i].fresh) qn_replica_batch(r, list[i].tx);
}

qn_rc qn_replica_submit(struct qn_replica *r, struct qn_span tx, struct qn_hash *ret_id,
                        struct qn_why *why)
{
    struct qn_submit one = { .tx = tx };
    qn_replica_submit_many(r, &one, 1);
    *ret_id = one.id;
    if (one.rc && why) *why = one.why;
    return one.rc;
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
            if (qn_pool_get(r->pool, &ids[i], &bytes)) qn_replica_batch(r, bytes);
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

/* A start with votes of an earlier run: a copy of this home may be running, so its votes are waited for before ours leave. */
static void listen(struct qn_replica *r, uint64_t now_ms)
{
    if (!r->listening) return;
    if (r->listen_ms == 0 && r->peer_cnt) r->listen_ms = now_ms;
    if (r->listen_ms == 0 || now_ms - r->listen_ms < LISTEN_MS) return;
    r->listening = false;
    if (qn_replica_self(r) >= 0) qn_bft_speak(r->bft, r->number);
}

void qn_replica_silence(struct qn_replica *r, bool silent)
{
    if (silent == r->silent) return;
    r->silent = silent;
    if (silent)
        qn_replica_mute(r);
    else if (qn_replica_self(r) >= 0)
        qn_bft_speak(r->bft, r->number);
}

qn_rc qn_replica_turn(struct qn_replica *r, uint64_t *ret_wait_ms, struct qn_why *why)
{
    uint64_t now = qn_replica_mono_ms(r);
    bool waits = false;
    *ret_wait_ms = STATUS_MS;
    if (r->rc == QN_OK) {
        if (is_due(&r->expire_ms, now, STATUS_MS)) qn_pool_expire(r->pool, qn_replica_now_ms(r));
        if (!qn_replica_alone(r) && is_due(&r->status_ms, now, STATUS_MS)) {
            struct qn_why said;
            qn_replica_say_status(r, NULL);
            /* What an answer waited for may be here by now. */
            if (!r->conf.hold) qn_replica_take_answers(r, NOBODY, &said);
        }
        if (r->conf.hold) return QN_OK;
        if (!qn_replica_alone(r) && is_due(&r->recast_ms, now, RECAST_MS)) recast(r);
        listen(r, now);
        qn_bft_tick(r->bft, qn_replica_mono_ms(r), qn_replica_now_ms(r));
        qn_replica_drain(r);
        if (r->asked && qn_replica_mono_ms(r) - r->ask_ms >= DRAW_MS) /* now may be before it */
            qn_chain_draw(r->chain, r->conf.validator, &r->ask.block);
        if (r->batch_cnt && qn_replica_mono_ms(r) - r->batch_ms >= BATCH_MS) flush_batch(r);
        waits = qn_replica_serve(r);
    }
    if (r->rc == QN_OK) {
        struct qn_why said;
        qn_replica_failed(r, qn_chain_save(r->chain, &said), &said);
    }
    if (r->rc) return qn_why(why, r->rc, "%s", r->why.text);
    uint64_t mono = qn_replica_mono_ms(r), wake = qn_bft_wake_ms(r->bft);
    *ret_wait_ms = wake > mono ? QN_MIN(wake - mono, (uint64_t)STATUS_MS) : 0;
    if (r->batch_cnt) *ret_wait_ms = QN_MIN(*ret_wait_ms, (uint64_t)BATCH_MS);
    if (waits) *ret_wait_ms = QN_MIN(*ret_wait_ms, (uint64_t)SERVE_MS);
    if (r->asked) {
        uint64_t passed = mono - r->ask_ms;
        uint64_t left = mono < r->due_ms ? r->due_ms - mono : 0;
        if (passed < DRAW_MS) left = QN_MIN(left, DRAW_MS - passed);
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

/* What those weigh of whom a vote of the present view is known. */
static uint64_t heard(const struct qn_replica *r)
{
    struct qn_hash bits = qn_bft_heard(r->bft, qn_bft_view(r->bft) + QN_BFT_HEARD - 1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->set.cnt; i++)
        if (bits.b[i / 8] >> i % 8 & 1) sum += r->set.weights[i];
    return sum;
}

struct qn_replica_info qn_replica_info(const struct qn_replica *r)
{
    const struct qn_quorum q = r->set.cnt ? qn_set_quorum(&r->set) : (struct qn_quorum){ .all = 0 };
    return (struct qn_replica_info){ .view = qn_bft_view(r->bft),
                                     .height = qn_replica_head_height(r),
                                     .peer_height = qn_replica_most(r),
                                     .peer_oldest = qn_replica_oldest(r),
                                     .peers = r->peer_cnt,
                                     .validators = r->set.cnt,
                                     .block_ms = r->conf.block_ms,
                                     .weight = q.all,
                                     .quorum = q.q,
                                     .heard = heard(r),
                                     .self = r->twin || r->silent ? -1 : r->number,
                                     .twin = r->twin,
                                     .syncing =
                                         qn_replica_most(r) > qn_replica_head_height(r) + 4 };
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
    for (uint64_t i = 0; i < QN_MIN(r->evidence_cnt, (uint64_t)EVIDENCE_MAX); i++)
        visit(arg, &r->evidence[i].a, &r->evidence[i].b);
}

void qn_replica_twins(const struct qn_replica *r,
                      void (*visit)(void *arg, const struct evidence_twins *twins), void *arg)
{
    for (uint64_t i = 0; i < QN_MIN(r->twins_cnt, (uint64_t)EVIDENCE_MAX); i++)
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
        if ((int)p->votes.ptr[i].signer == r->number && p->votes.ptr[i].epoch == r->set.epoch) {
            qn_bft_restore(r->bft, &p->votes.ptr[i]);
            r->listening = r->set.cnt > 1 && !qn_replica_alone(r) && !r->conf.deaf;
        }
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
        struct qn_bft_block b = qn_replica_known(r, &q->block.header);
        if (b.height <= qn_replica_head_height(r) || q->block.header.epoch != r->set.epoch ||
            qn_replica_body_find(r, &b.hash))
            continue;
        for (uint32_t k = 0; k < q->certs.cnt; k++)
            if (q->certs.ptr[k].view > qn_bft_last(r->bft).view)
                qn_bft_cert(r->bft, &q->certs.ptr[k]);
        struct qn_buf message = { 0 };
        struct qn_parcel *parcel;
        qn_replica_say(&message, SAY_PROPOSAL, qn_proposal_record(), q);
        qn_rc rc = qn_parcel_read(qn_buf_get(&message), 1, &parcel, NULL);
        QN_ASSERT(rc == QN_OK);
        qn_replica_body_put(r, &b, parcel)->pledged = true;
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
    qn_replica_begin_bft(r, has ? &cert : NULL);
    qn_arena_free(&arena);
    qn_chain_pledges(r->chain, restore_votes, r);
    qn_replica_note_past(r);
    if (r->listening) qn_bft_mute(r->bft);
    qn_bft_start(r->bft, qn_replica_mono_ms(r), qn_replica_now_ms(r));
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
    chain.on_block = qn_replica_on_block;
    chain.arg = r;
    qn_rc rc = qn_chain_open(&chain, &r->chain, why);
    if (rc) {
        qn_replica_close(r);
        return rc;
    }
    qn_replica_find_gives(r);
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
        qn_replica_slot_clear(&r->slots[i]);
    qn_replica_forget_pledge(r);
    qn_buf_free(&r->batch);
    free(r->peers);
    free(r->evidence);
    free(r->twins);
    free(r->fork);
    free(r);
}
