/* chain.c - the tree of executed blocks above the last final one: made here, or taken. */
#include "ledger/state/chain_in.h"

#include "core/crypto/hash.h"
#include "ledger/bft/beacon.h"

#include <stdlib.h>
#include <string.h>

#define DRAWS 32 /* beacons looked at side by side */

bool qn_chain_beacon_ok(const struct qn_chain *c, const struct qn_hash *before,
                        const struct qn_header *h)
{
    struct qn_hash beacon;
    return qn_beacon_check(&h->proposer, &c->id, before, h->height, &h->vrf, &beacon) &&
           qn_hash_eq(&beacon, &h->beacon);
}

bool qn_chain_signers_ok(const struct qn_chain *c, const struct qn_hash *signers, bool may)
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

void qn_chain_tell_signers(struct qn_chain *c, const struct qn_hash *signers)
{
    qn_state_signers(c->st, signers->b, qn_hash_is_zero(signers) ? 0 : c->set.cnt);
}

void qn_chain_note_dirty(void *arg, struct qn_span key)
{
    struct qn_chain *c = arg;
    qn_trie_put(c->dirty, key, QN_SPAN(NULL, 0));
}

void qn_chain_note_cert(struct qn_chain *c, const struct qn_frame *f)
{
    qn_buf_clear(&c->cert);
    qn_buf_clear(&c->by);
    if (f->cert.kind == 0) return;
    qn_encode(qn_cert_record(), &f->cert, &c->by);
    if (f->fillers.cnt == 0) qn_encode(qn_cert_record(), &f->cert, &c->cert);
}

/* --- the tree above the head --------------------------------------------------------------------------------- */

void qn_chain_branch_free(struct branch *b)
{
    free(b->sets);
    qn_delta_free(b->delta);
    qn_idmap_free(b->has);
    qn_parcel_unref(b->parcel);
    qn_arena_free(&b->arena);
    free(b);
}

struct branch *qn_chain_branch_find(const struct qn_chain *c, const struct qn_hash *hash)
{
    for (struct branch *b = c->branches; b; b = b->next)
        if (qn_hash_eq(&b->hash, hash)) return b;
    return NULL;
}

bool qn_chain_descends(const struct branch *b, const struct branch *from)
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

void qn_chain_go(struct qn_chain *c, struct branch *b)
{
    while (c->tip && !qn_chain_descends(b, c->tip)) {
        if (c->tip->delta) qn_delta_swap(c->st, c->tip->delta);
        c->tip = c->tip->parent;
    }
    if (b) put_in(c, b);
}

void qn_chain_to_head(struct qn_chain *c)
{
    qn_chain_go(c, NULL);
}

/* The rows and header that a child of `parent` stands on; *ret_up NULL: the head. */
static qn_rc stand_on(struct qn_chain *c, const struct qn_hash *parent, struct branch **ret_up,
                      const struct qn_header **ret_header, struct qn_why *why)
{
    *ret_up = qn_chain_branch_find(c, parent);
    if (!*ret_up && !qn_hash_eq(parent, &c->head))
        return qn_why(why, QN_E_NOTFOUND, "the block's parent is not known here");
    *ret_header = *ret_up ? &(*ret_up)->frame.block.header : &c->header;
    qn_chain_go(c, *ret_up);
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

void qn_chain_draw(struct qn_chain *c, const struct qn_key *key, const struct qn_hash *parent)
{
    const struct branch *up = qn_chain_branch_find(c, parent);
    const struct qn_header *before = up ? &up->frame.block.header : &c->header;
    if (!up && !qn_hash_eq(parent, &c->head)) return;
    if (qn_hash_eq(&c->drawn.parent, parent) && qn_hash_eq(&c->drawn.pub, &key->pub)) return;
    c->drawn.parent = *parent;
    c->drawn.pub = key->pub;
    qn_beacon_prove(key, &c->id, &before->beacon, before->height + 1, &c->drawn.vrf,
                    &c->drawn.beacon);
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
    qn_chain_draw(c, m->key, &m->parent);
    h->vrf = c->drawn.vrf;
    h->beacon = c->drawn.beacon;
    if (is_filler_place(up)) {
        memset(misfit, 0, m->cnt * sizeof *misfit);
        fill(before, h);
        give(b, qn_parcel_of(&block));
        grow(c, b, up);
        *ret_hash = b->hash;
        return QN_OK;
    }
    if (qn_chain_signers_ok(c, &m->signers, before->epoch == c->set.epoch)) h->signers = m->signers;
    qn_chain_tell_signers(c, &h->signers);
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
    qn_chain_branch_free(b);
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
    if (h->ver != QN_HEADER_VER || !qn_hash_eq(&h->chain, &c->id) ||
        !qn_hash_eq(&h->set_root, &c->set_root) || h->epoch != c->set.epoch ||
        h->height != before->height + 1 || h->t_ms <= before->t_ms)
        return qn_why(why, QN_E_FORMAT, "the block's head does not follow its parent's");
    if (!qn_parcel_whole(b->parcel))
        return qn_why(why, QN_E_FORMAT, "the block's body is not the one its head names");
    if (!b->parcel->beacon_ok && !qn_chain_beacon_ok(c, &before->beacon, h))
        return qn_why(why, QN_E_FORMAT,
                      "the block's beacon is not the one its proposer had to draw");
    if (!qn_chain_signers_ok(c, &h->signers, before->epoch == c->set.epoch && !is_filler_place(up)))
        return qn_why(why, QN_E_FORMAT, "the block names signers that certify nothing");
    if (is_filler_place(up)) {
        if (block->txs.cnt || !qn_hash_eq(&h->state_root, &before->state_root))
            return qn_why(why, QN_E_FORMAT, "a block above its epoch's last is not empty");
        return QN_OK;
    }
    qn_rc rc = check_ids(c, b, why);
    if (rc) return rc;
    struct qn_hash proposer = qn_acct_key(&h->proposer);
    qn_chain_tell_signers(c, &h->signers);
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

void qn_chain_beacons(const struct qn_chain *c, struct qn_parcel *const parcels[], uint32_t cnt)
{
    struct qn_beacon_draw draws[DRAWS];
    struct qn_parcel *of[DRAWS];
    struct qn_hash beacons[DRAWS];
    bool ok[DRAWS];
    size_t n = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        const struct qn_header *h = &parcels[i]->p.block.header, *before = NULL;
        const struct branch *up = qn_chain_branch_find(c, &h->parent);
        if (up)
            before = &up->frame.block.header;
        else if (qn_hash_eq(&h->parent, &c->head))
            before = &c->header;
        else if (i && qn_hash_eq(&h->parent, &parcels[i - 1]->hash))
            before = &parcels[i - 1]->p.block.header;
        if (before && !parcels[i]->beacon_ok) {
            of[n] = parcels[i];
            draws[n++] =
                (struct qn_beacon_draw){ &h->proposer, &before->beacon, h->height, &h->vrf };
        }
        if (n < DRAWS && i + 1 < cnt) continue;
        qn_beacon_check_many(draws, n, &c->id, ok, beacons);
        for (size_t k = 0; k < n; k++)
            of[k]->beacon_ok = ok[k] && qn_hash_eq(&beacons[k], &of[k]->p.block.header.beacon);
        n = 0;
    }
}

qn_rc qn_chain_take(struct qn_chain *c, struct qn_parcel *parcel, struct qn_why *why)
{
    const struct qn_header *before;
    struct branch *up, *b;
    if (qn_chain_branch_find(c, &parcel->hash)) return QN_OK;
    qn_rc rc = stand_on(c, &parcel->p.block.header.parent, &up, &before, why);
    if (rc) return rc;
    b = calloc(1, sizeof *b);
    QN_ASSERT(b != NULL);
    give(b, qn_parcel_ref(parcel));
    rc = run(c, b, up, before, why);
    if (rc)
        qn_chain_branch_free(b);
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
