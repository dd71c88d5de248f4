/* replica_msg.c - transactions, votes, certificates and proposals that peers send. */
#include "ledger/sync/replica_in.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#define BODIES_VIEW 4 /* of one view: an honest leader makes one */
#define VIEWS_AHEAD 8
#define CHECK_TXS   64 /* transactions, or votes, whose signatures are checked side by side */
#define LANES       8  /* of qn_verify_many */

/* A transaction on its way into the pool. */
struct newcomer {
    const struct qn_tx *tx;
    struct qn_pool_tx wait;
    uint64_t next_ms; /* about the time of the block that might hold it */
    bool known;
    bool unchecked; /* its signatures were not looked at, and will not be */
};

/* What costs less than its signatures is looked at first: one is 60 us alone. */
static qn_rc look(const struct qn_replica *r, const struct qn_tx *tx, struct qn_span bytes,
                  struct newcomer *ret, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain), slot, head;
    struct qn_charge charge;
    *ret = (struct newcomer){ .tx = tx };
    struct qn_pool_tx *w = &ret->wait;
    qn_tx_names(tx, bytes, &w->id, &w->whole);
    head = qn_chain_head(r->chain);
    ret->unchecked = !qn_pool_knows(r->pool, &w->id, &w->whole);
    ret->known = qn_pool_has(r->pool, &w->id) || qn_chain_holds(r->chain, &head, &w->id);
    if (ret->known) return QN_OK;
    ret->next_ms = QN_MAX(qn_replica_now_ms(r), qn_chain_header(r->chain)->t_ms + 1);
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
    rc = qn_pool_room(r->pool, w, why);
    ret->unchecked = rc != QN_OK;
    return rc;
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

/* What is known of a transaction that came from a call, before its signatures are checked; the memory is arena's. */
static void look_at(struct qn_replica *r, struct qn_arena *arena, struct qn_submit *s,
                    struct newcomer *ret)
{
    struct qn_tx *tx = qn_arena_alloc(arena, sizeof *tx);
    uint64_t height;
    QN_ASSERT(tx != NULL);
    *ret = (struct newcomer){ .tx = tx };
    if (s->tx.len > QN_TX_MAX)
        s->rc = qn_why(&s->why, QN_E_TOOBIG, "a transaction has at most %u bytes", QN_TX_MAX);
    else
        s->rc = qn_decode(qn_tx_record(), s->tx, arena, tx, &s->why);
    if (s->rc) return;
    s->rc = look(r, tx, s->tx, ret, &s->why);
    s->id = ret->wait.id;
    if (s->rc && tx->until_ms < ret->next_ms && qn_chain_tx(r->chain, &s->id, &height)) {
        ret->known = true; /* long ago: peers are not worth the look on the disk */
        s->rc = QN_OK;
    }
}

/* At most CHECK_TXS. */
static void submit(struct qn_replica *r, struct qn_submit *list, size_t cnt)
{
    struct qn_arena arena = { .max = CHECK_TXS * (8u << 20) };
    struct qn_hash chain = qn_chain_id(r->chain), ids[CHECK_TXS];
    struct newcomer news[CHECK_TXS];
    const struct qn_tx *txs[CHECK_TXS];
    size_t at[CHECK_TXS], new_cnt = 0;
    qn_rc rcs[CHECK_TXS];
    struct qn_why first;
    for (size_t i = 0; i < cnt; i++) {
        struct newcomer *n = &news[new_cnt];
        look_at(r, &arena, &list[i], n);
        if (list[i].rc || n->known) continue;
        txs[new_cnt] = n->tx;
        ids[new_cnt] = n->wait.id;
        at[new_cnt++] = i;
    }
    qn_rc any = qn_tx_check_many(txs, ids, new_cnt, &chain, rcs, &first);
    for (size_t k = 0; k < new_cnt; k++) {
        struct qn_submit *s = &list[at[k]];
        s->rc = rcs[k];
        if (any && s->rc) s->rc = qn_tx_check(txs[k], &ids[k], &chain, &s->why); /* in words */
        if (s->rc || qn_pool_has(r->pool, &ids[k])) continue; /* twice in the list */
        s->rc = admit(r, &news[k], &s->why);
        s->fresh = s->rc == QN_OK;
    }
    qn_arena_free(&arena);
}

void qn_replica_pool_txs(struct qn_replica *r, struct qn_submit *list, size_t cnt)
{
    for (size_t i = 0; i < cnt; i += CHECK_TXS)
        submit(r, list + i, QN_MIN(cnt - i, (size_t)CHECK_TXS));
}

/* Up to CHECK_TXS of a message that are new: their signatures side by side, then each into the pool. *verdict gets worse or better by them; fresh are
 * those that went into the pool. */
static void take_txs(struct qn_replica *r, const struct newcomer *list, uint32_t cnt,
                     enum qn_verdict *verdict, struct qn_span *fresh, uint32_t *fresh_cnt,
                     struct qn_why *why)
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
        fresh[(*fresh_cnt)++] = list[i].wait.bytes;
    }
}

/* Which signatures a node checks depends on what it has; so it passes a message on only if it checked them all, or others would blame it for
 * one that it took somebody's word for. What was new in another message goes out in one of ours.
 * payload: what m was decoded from. Its transactions lie one behind the other in it, each in the only form it has. */
static enum qn_verdict on_txs(struct qn_replica *r, struct qn_span payload,
                              const struct sync_txs *m, struct qn_why *why)
{
    struct newcomer list[CHECK_TXS];
    enum qn_verdict verdict = QN_IGNORE;
    uint32_t cnt = 0, fresh_cnt = 0;
    bool checked = true;
    struct qn_span *fresh = malloc((m->txs.cnt + 1) * sizeof *fresh);
    QN_ASSERT(fresh != NULL);
    struct qn_span in = QN_SPAN(payload.ptr + 4, payload.len - 4), bytes;
    for (uint32_t i = 0; i < m->txs.cnt && verdict != QN_REJECT; i++) {
        bool whole = qn_take(&in, qn_tx_len(&m->txs.ptr[i]), &bytes);
        QN_ASSERT(whole);
        qn_rc rc = look(r, &m->txs.ptr[i], bytes, &list[cnt], why);
        if (rc == QN_E_SIGNATURE || rc == QN_E_FORMAT) verdict = QN_REJECT;
        checked = checked && !list[cnt].unchecked;
        cnt += rc == QN_OK && !list[cnt].known;
        if (cnt < CHECK_TXS && i + 1 < m->txs.cnt) continue;
        take_txs(r, list, cnt, &verdict, fresh, &fresh_cnt, why);
        cnt = 0;
    }
    if (verdict == QN_ACCEPT && !checked) {
        for (uint32_t i = 0; i < fresh_cnt; i++)
            qn_replica_batch(r, fresh[i]);
        verdict = QN_IGNORE;
    }
    free(fresh);
    return verdict;
}

/* Ours, and not cast here: a copy of this home runs. */
static bool is_twin(const struct qn_replica *r, const struct qn_vote *vote)
{
    return !r->twin && r->number >= 0 && vote->signer == r->number && vote->epoch == r->set.epoch &&
           !r->conf.deaf && !qn_bft_mine(r->bft, vote);
}

/* Whether a vote is worth its signature; then its signer is of the set. */
static bool is_news(const struct qn_replica *r, const struct qn_vote *vote)
{
    return is_twin(r, vote) || qn_bft_wants(r->bft, vote);
}

/* good: its signature verifies. What was news when that was looked at may not be any more. */
static enum qn_verdict take_vote(struct qn_replica *r, const struct qn_vote *vote, bool good,
                                 struct qn_why *why)
{
    if (!good) {
        qn_why(why, QN_E_SIGNATURE, "a vote's signature does not verify");
        return QN_REJECT;
    }
    if (!is_news(r, vote)) return QN_IGNORE;
    if (is_twin(r, vote)) { /* what we sign beside it would cost the stake */
        r->twin = true;
        qn_replica_mute(r);
    }
    qn_bft_vote(r->bft, vote);
    return QN_ACCEPT;
}

static enum qn_verdict on_vote(struct qn_replica *r, const struct qn_vote *vote, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (!is_news(r, vote)) return QN_IGNORE;
    return take_vote(r, vote, qn_vote_ok(vote, &chain, &r->set.keys[vote->signer]), why);
}

/* Checked when it came by itself. */
static bool is_held(const void *bft, const struct qn_vote *vote)
{
    return qn_bft_holds(bft, vote);
}

static enum qn_verdict on_cert(struct qn_replica *r, const struct qn_cert *cert, struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (cert->epoch != r->set.epoch) return QN_IGNORE;
    if (cert->view <= qn_bft_last(r->bft).view) return qn_replica_on_late_cert(r, cert, why);
    if (cert->kind == QN_CERT_VIEW && qn_bft_cert_for(r->bft, cert->view, &cert->block))
        return QN_IGNORE;
    if (qn_cert_valid_but(cert, &chain, &r->set, is_held, r->bft, why)) return QN_REJECT;
    qn_bft_cert(r->bft, cert);
    return QN_ACCEPT;
}

/* One that came with a block, and holds. */
static void take_cert(struct qn_replica *r, const struct qn_cert *cert, struct qn_why *why)
{
    if (cert->epoch != r->set.epoch) return;
    if (cert->view <= qn_bft_last(r->bft).view)
        (void)qn_replica_on_late_cert(r, cert, why);
    else
        qn_bft_cert(r->bft, cert);
}

/* Two blocks of one view that their leader signed. */
static void note_twins(struct qn_replica *r, const struct qn_proposal *p, uint64_t view)
{
    const struct qn_header *h = &p->block.header;
    for (uint64_t i = 0; i < QN_MIN(r->twins_cnt, (uint64_t)EVIDENCE_MAX); i++)
        if (r->twins[i].a.epoch == h->epoch && qn_hash_eq(&r->twins[i].a.proposer, &h->proposer))
            return;
    for (const struct body *o = r->bodies; o; o = o->next) {
        const struct qn_proposal *q = &o->parcel->p;
        if (o->b.view != view || q->block.header.epoch != h->epoch) continue;
        if (!r->twins) r->twins = calloc(EVIDENCE_MAX, sizeof *r->twins);
        QN_ASSERT(r->twins != NULL);
        r->twins[r->twins_cnt++ % EVIDENCE_MAX] =
            (struct evidence_twins){ qn_acct_key(&h->proposer), q->block.header, q->sig, *h,
                                     p->sig };
        return;
    }
}

/* Certificates that may place a block: of views below its own in its epoch, each once, rising. What else stands there nobody checks, and everybody would
 * keep, journal and pass on. */
static bool are_placing(const struct qn_proposal *p)
{
    const struct qn_header *h = &p->block.header;
    for (uint32_t i = 0; i < p->certs.cnt; i++) {
        const struct qn_cert *c = &p->certs.ptr[i];
        if (c->kind != QN_CERT_VIEW || c->epoch != h->epoch || c->view >= h->view ||
            (i && c->view <= p->certs.ptr[i - 1].view))
            return false;
    }
    return true;
}

static enum qn_verdict on_proposal(struct qn_replica *r, struct qn_parcel *parcel,
                                   struct qn_why *why)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    const struct qn_proposal *p = &parcel->p;
    const struct qn_header *h = &p->block.header;
    struct qn_bft_block b = qn_replica_known(r, h);
    struct qn_hash chain = qn_chain_id(r->chain);
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
    if (qn_replica_body_find(r, &b.hash)) return QN_IGNORE;
    bool awaited = qn_bft_awaits(r->bft, &b);
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
    note_twins(r, p, b.view); /* heads are what was signed, whatever body came with this one */
    if (!qn_parcel_whole(parcel)) {
        qn_why(why, QN_E_FORMAT,
               "a block with a body that its head does not name, or over its size");
        return QN_REJECT;
    }
    /* All of them, known or not: who gets this from us checks those that he lacks. The leader did not sign them. */
    if (!are_placing(p)) {
        qn_why(why, QN_E_FORMAT, "a block with certificates that are of no use to it");
        return QN_REJECT;
    }
    for (uint32_t i = 0; i < p->certs.cnt; i++)
        if (qn_cert_valid_but(&p->certs.ptr[i], &chain, &r->set, is_held, r->bft, why))
            return QN_REJECT;
    for (uint32_t i = 0; i < p->certs.cnt; i++)
        take_cert(r, &p->certs.ptr[i], why);
    qn_replica_body_put(r, &b, qn_parcel_ref(parcel));
    qn_bft_proposal(r->bft, &b);
    qn_replica_prune_bodies(r);
    return QN_ACCEPT;
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
    case SAY_STATUS: verdict = qn_replica_on_status(r, peer, &m.status, why); break;
    case SAY_TXS: verdict = on_txs(r, s, &m.txs, why); break;
    case SAY_VOTE: verdict = on_vote(r, &m.vote, why); break;
    case SAY_CERT: verdict = on_cert(r, &m.cert, why); break;
    case SAY_PROPOSAL: {
        struct peer *p = qn_replica_peer_find(r, peer);
        verdict = on_proposal(r, parcel, why);
        if (p && verdict == QN_ACCEPT) p->owes = 0;
        break;
    }
    case SAY_WANT: qn_replica_on_want(r, peer, &m.want); break;
    case SAY_GET: qn_replica_on_get(r, peer, &m.get); break;
    case SAY_BLOCKS: verdict = qn_replica_on_blocks(r, peer, s, &m.blocks, why); break;
    }
    qn_arena_free(&arena);
    qn_parcel_unref(parcel);
    if (!r->conf.hold) qn_replica_drain(r);
    return verdict;
}

static bool read_vote(struct qn_span message, struct qn_vote *ret)
{
    struct qn_arena arena = { .max = DECODE_MAX };
    uint8_t kind;
    bool ok = qn_take_u8(&message, &kind) && kind == SAY_VOTE &&
              qn_decode(qn_vote_record(), message, &arena, ret, NULL) == QN_OK;
    qn_arena_free(&arena);
    return ok;
}

bool qn_replica_vote_news(const struct qn_replica *r, struct qn_span message)
{
    struct qn_vote vote;
    return !r->rc && !r->conf.hold && read_vote(message, &vote) && is_news(r, &vote);
}

/* At most CHECK_TXS. */
static void recv_some(struct qn_replica *r, struct qn_heard *list, size_t cnt)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    struct qn_vote votes[CHECK_TXS];
    size_t at[CHECK_TXS], vote_cnt = 0, k = 0;
    bool good[CHECK_TXS];
    for (size_t i = 0; i < cnt && !r->rc && !r->conf.hold; i++) {
        struct qn_vote *vote = &votes[vote_cnt];
        if (read_vote(list[i].message, vote) && is_news(r, vote)) at[vote_cnt++] = i;
    }
    qn_votes_ok(votes, vote_cnt, &chain, &r->set, good);
    for (size_t i = 0; i < cnt; i++) {
        struct qn_heard *h = &list[i];
        h->why.text[0] = 0;
        if (k == vote_cnt || at[k] != i) {
            h->verdict = qn_replica_recv(r, h->peer, h->message, &h->why);
            continue;
        }
        h->verdict = r->rc ? QN_IGNORE : take_vote(r, &votes[k], good[k], &h->why);
        if (h->verdict == QN_ACCEPT) qn_replica_drain(r); /* before the next: it lends */
        k++;
    }
}

bool qn_replica_decides(const struct qn_replica *r, const struct qn_heard list[], size_t cnt)
{
    struct qn_vote votes[LANES];
    struct qn_arena arena = { .max = DECODE_MAX };
    bool decides = cnt >= LANES;
    for (size_t i = 0; i < cnt && !decides; i++) {
        struct qn_span s = list[i].message;
        uint8_t kind;
        decides = !qn_take_u8(&s, &kind) || kind != SAY_VOTE ||
                  qn_decode(qn_vote_record(), s, &arena, &votes[i], NULL);
    }
    qn_arena_free(&arena);
    return decides || qn_bft_decides(r->bft, votes, cnt);
}

void qn_replica_recv_many(struct qn_replica *r, struct qn_heard *list, size_t cnt)
{
    for (size_t i = 0; i < cnt; i += CHECK_TXS)
        recv_some(r, list + i, QN_MIN(cnt - i, (size_t)CHECK_TXS));
}
