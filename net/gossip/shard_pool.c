/* shard_pool.c - the pieces of the present views, until k of one body are here. */
#include "core/crypto/hash.h"
#include "net/gossip/shard.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    bool used, done, twin;
    struct shard_head head;
    uint64_t seen[4];       /* a bit a piece */
    uint8_t *bytes;         /* room for k pieces; the body once done */
    uint16_t idx[RS_K_MAX]; /* which pieces they are, as they came */
    unsigned cnt;
};

struct shard_pool {
    struct qn_hash chain;
    struct shard_trust trust;
    uint64_t view;
    struct slot slot[SHARD_VIEWS]; /* of view v: v modulo SHARD_VIEWS */
};

struct shard_pool *shard_pool_new(const struct qn_hash *chain, struct shard_trust trust)
{
    struct shard_pool *pool = calloc(1, sizeof *pool);
    QN_ASSERT(pool != NULL && trust.signed_by != NULL);
    pool->chain = *chain;
    pool->trust = trust;
    return pool;
}

static void slot_clear(struct slot *slot)
{
    free(slot->bytes);
    memset(slot, 0, sizeof *slot);
}

void shard_pool_free(struct shard_pool *pool)
{
    if (!pool) return;
    for (unsigned i = 0; i < SHARD_VIEWS; i++)
        slot_clear(&pool->slot[i]);
    free(pool);
}

void shard_pool_turn(struct shard_pool *pool, uint64_t view)
{
    pool->view = view;
    for (unsigned i = 0; i < SHARD_VIEWS; i++) {
        struct slot *slot = &pool->slot[i];
        if (slot->used && (slot->head.view < view || slot->head.view - view >= SHARD_VIEWS))
            slot_clear(slot);
    }
}

/* Everything but the signature, which two honest copies may have in two valid forms. */
static bool same_head(const struct shard_head *a, const struct shard_head *b)
{
    return a->epoch == b->epoch && a->view == b->view && a->k == b->k &&
           a->body_len == b->body_len && qn_hash_eq(&a->root, &b->root);
}

/* The body out of k pieces, in their place; false when they are not what the root is of. */
static bool rebuild(struct slot *slot)
{
    unsigned k = slot->head.k;
    uint32_t len = shard_piece_len(slot->head.body_len);
    const uint8_t *piece[SHARD_CNT_MAX] = { NULL };
    uint8_t *out[RS_K_MAX] = { NULL }, *body = malloc((size_t)k * len);
    QN_ASSERT(body != NULL);
    for (unsigned i = 0; i < k; i++) {
        piece[slot->idx[i]] = slot->bytes + (size_t)i * len;
        out[i] = body + (size_t)i * len;
    }
    for (unsigned i = 0; i < k; i++)
        if (piece[i]) memcpy(out[i], piece[i], len);
    bool have = rs_restore(k, piece, out, len);
    QN_ASSERT(have);
    free(slot->bytes);
    slot->bytes = body;
    struct shard_set again; /* its padding is zeros, so pieces with another padding do not pass */
    shard_split(&again, slot->head.epoch, slot->head.view, QN_SPAN(body, slot->head.body_len));
    bool ok = qn_hash_eq(&again.head.root, &slot->head.root);
    shard_set_free(&again);
    return ok;
}

qn_rc shard_pool_recv(struct shard_pool *pool, struct qn_span message, struct shard_event *ret)
{
    struct shard_event ev = { 0 };
    qn_rc rc = shard_get(message, &ev.shard);
    if (rc) return rc;
    const struct shard_head *head = &ev.shard.head;
    if (head->view < pool->view || head->view - pool->view >= SHARD_VIEWS) return QN_E_EXPIRED;
    struct slot *slot = &pool->slot[head->view % SHARD_VIEWS];
    unsigned idx = ev.shard.idx;
    /* An epoch begins with views that the one before spent on fillers. */
    if (slot->used && head->epoch < slot->head.epoch) return QN_E_EXPIRED;
    bool known = slot->used && same_head(head, &slot->head);
    bool newer = slot->used && head->epoch > slot->head.epoch;
    if (known && slot->seen[idx / 64] >> idx % 64 & 1) {
        *ret = ev; /* a copy, or a forgery that costs nothing to drop */
        return QN_OK;
    }
    if (slot->used && !known && !newer &&
        slot->twin) { /* what two heads prove a third does not add to */
        *ret = ev;
        return QN_OK;
    }
    if (!shard_check(&ev.shard)) return QN_E_PROOF;
    /* Another signature under a known head is checked as well: who relays it will be held to it. */
    if (!known || memcmp(head->sig.b, slot->head.sig.b, 64) != 0) {
        struct qn_hash what = shard_message(&pool->chain, head);
        if (!pool->trust.signed_by(pool->trust.self, head->epoch, head->view, &what, &head->sig))
            return QN_E_SIGNATURE;
    }
    if (!known) {
        if (newer) slot_clear(slot);
        if (slot->used) {
            slot->twin = true;
            ev.twin = &slot->head;
            *ret = ev;
            return QN_OK;
        }
        slot->used = true;
        slot->head = *head;
        slot->bytes = malloc((size_t)head->k * shard_piece_len(head->body_len));
        QN_ASSERT(slot->bytes != NULL);
    }
    slot->seen[idx / 64] |= UINT64_C(1) << idx % 64;
    ev.fresh = true;
    if (!slot->done) {
        memcpy(slot->bytes + (size_t)slot->cnt * ev.shard.piece.len, ev.shard.piece.ptr,
               ev.shard.piece.len);
        slot->idx[slot->cnt++] = ev.shard.idx;
        if (slot->cnt == slot->head.k) {
            slot->done = true;
            if (rebuild(slot))
                ev.body = QN_SPAN(slot->bytes, slot->head.body_len);
            else
                ev.split = true;
        }
    }
    *ret = ev;
    return QN_OK;
}
