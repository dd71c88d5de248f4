/* chain_past.c - what a chain remembers of its final blocks: what they hold and where they lie. In memory as long as a transaction of theirs could come
 * again (QN_TX_SPAN_MS), and until the checkpoint has noted them; then in its annals. */
#include "ledger/state/chain_in.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of a run of the annals; whichever is reached first. Memory beyond the window's is bounded by it. */
#define RUN_IDS    65536u
#define RUN_BLOCKS 65536u

/* --- in memory ---------------------------------------------------------------------------------------------- */

static void put_place(struct qn_chain *c, struct qn_place at)
{
    if (c->at_off + c->at_cnt == c->at_cap) {
        if (c->at_off > c->at_cap / 2) {
            memmove(c->at, c->at + c->at_off, c->at_cnt * sizeof *c->at);
            c->at_off = 0;
        } else {
            c->at_cap = QN_MAX(c->at_cap * 2, (size_t)1024);
            c->at = realloc(c->at, c->at_cap * sizeof *c->at);
            QN_ASSERT(c->at != NULL);
        }
    }
    c->at[c->at_off + c->at_cnt++] = at;
}

/* A block of the window, or one that is not noted yet. */
static const struct qn_recent_block *block_at(const struct qn_chain *c, uint64_t height)
{
    return qn_recent_at(c->recent, (size_t)(height - qn_recent_at(c->recent, 0)->height));
}

/* Lets go of what is behind the window and noted, if it need be. */
static void trim(struct qn_chain *c)
{
    const struct qn_recent_block *b;
    uint64_t to = c->store ? QN_MIN(c->aged, c->noted) : c->aged;
    while ((b = qn_recent_at(c->recent, 0)) && b->height <= to)
        qn_recent_drop(c->recent);
    if (c->store && to > c->at_low) {
        size_t gone = (size_t)(to - c->at_low);
        QN_ASSERT(gone <= c->at_cnt);
        c->at_off += gone;
        c->at_cnt -= gone;
        c->at_low = to;
    }
}

void qn_chain_note_block(struct qn_chain *c, const struct qn_block *block,
                         const struct qn_hash *ids, struct qn_place at)
{
    const struct qn_header *h = &block->header;
    struct qn_hash slot;
    put_place(c, at);
    QN_ASSERT(c->at_low + c->at_cnt == h->height);
    qn_recent_block(c->recent, h->height, h->t_ms);
    for (uint32_t i = 0; i < block->txs.cnt; i++)
        qn_recent_id(c->recent, &ids[i]);
    for (uint32_t i = 0; i < block->txs.cnt; i++)
        if (qn_tx_slot(&block->txs.ptr[i].sender, block->txs.ptr[i].salt, &slot))
            qn_recent_slot(c->recent, &slot);
    c->head = qn_header_hash(h);
    c->header = *h;
    for (const struct qn_recent_block *b; c->aged < h->height; c->aged++) {
        b = block_at(c, c->aged + 1);
        if (b->t_ms + QN_TX_SPAN_MS >= h->t_ms) break;
        if (b->height > c->noted) c->aged_ids += b->id_cnt;
    }
    trim(c);
}

void qn_chain_begin_above(struct qn_chain *c, uint64_t height)
{
    c->at_base = c->at_low = c->aged = height;
    c->noted = QN_MAX(c->noted, height);
}

void qn_chain_forget_below(struct qn_chain *c, uint64_t height)
{
    QN_ASSERT(height <= c->aged);
    for (uint64_t h = c->noted + 1; h <= height; h++)
        c->aged_ids -= block_at(c, h)->id_cnt;
    c->at_base = height;
    c->noted = QN_MAX(c->noted, height);
    trim(c);
}

/* --- annals ------------------------------------------------------------------------------------------------- */

bool qn_chain_old_due(const struct qn_chain *c)
{
    uint64_t ids = c->conf.run_ids ? c->conf.run_ids : RUN_IDS,
             blocks = c->conf.run_blocks ? c->conf.run_blocks : RUN_BLOCKS;
    return c->aged > c->noted && (c->aged_ids >= ids || c->aged - c->noted >= blocks);
}

qn_rc qn_chain_note_old(struct qn_chain *c, uint64_t *ret_to, struct qn_why *why)
{
    *ret_to = c->noted;
    if (!qn_chain_old_due(c)) return QN_OK;
    const struct qn_place *first = &c->at[c->at_off + (size_t)(c->noted - c->at_low)];
    qn_rc rc = qn_annals_note(c->store, c->recent, first, c->noted + 1, c->aged, why);
    if (rc == QN_OK && c->at_base) rc = qn_annals_cut(c->store, c->at_base, why);
    if (rc == QN_OK) *ret_to = c->aged;
    return rc;
}

void qn_chain_noted(struct qn_chain *c, uint64_t to)
{
    if (to == c->noted) return;
    QN_ASSERT(to == c->aged);
    c->noted = to;
    c->aged_ids = 0;
    trim(c);
}

qn_rc qn_chain_place(struct qn_chain *c, uint64_t height, struct qn_place *ret, struct qn_why *why)
{
    if (height > c->at_low) {
        *ret = c->at[c->at_off + (size_t)(height - c->at_low - 1)];
        return QN_OK;
    }
    if (c->store_bad)
        return qn_why(why, QN_E_CORRUPT,
                      "state.mdb is damaged, which knows where block %" PRIu64
                      " lies: quoin ledger repair",
                      height);
    qn_rc rc = qn_annals_place(c->store, height, ret, why);
    return rc == QN_E_NOTFOUND
               ? qn_why(why, QN_E_CORRUPT, "state.mdb does not know where block %" PRIu64 " lies",
                        height)
               : rc;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

bool qn_chain_holds(const struct qn_chain *c, const struct qn_hash *parent,
                    const struct qn_hash *id)
{
    if (qn_recent_find(c->recent, id)) return true;
    for (const struct branch *b = qn_chain_branch_find(c, parent); b; b = b->parent)
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
    const struct qn_recent_block *last = qn_recent_find(c->recent, slot);
    if (last && so_late(last->t_ms, t_ms)) return true;
    for (const struct branch *b = qn_chain_branch_find(c, parent); b; b = b->parent)
        if (qn_idmap_has(b->has, slot) && so_late(b->frame.block.header.t_ms, t_ms)) return true;
    return false;
}

struct search {
    struct qn_chain *c;
    const struct qn_hash *id;
    uint64_t height;
};

static bool is_in(void *arg, uint64_t height)
{
    struct search *s = arg;
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    bool found = false;
    if (qn_chain_frame(s->c, height, &arena, &f, NULL) == QN_OK)
        for (uint32_t i = 0; i < f.block.txs.cnt && !found; i++) {
            /* What came with a snapshot was not executed here, and has no receipts. */
            struct qn_hash tx =
                i < f.receipts.cnt ? f.receipts.ptr[i].tx : qn_tx_id(&f.block.txs.ptr[i]);
            found = qn_hash_eq(&tx, s->id);
        }
    if (found) s->height = height;
    qn_arena_free(&arena);
    return found;
}

bool qn_chain_tx(struct qn_chain *c, const struct qn_hash *id, uint64_t *ret_height)
{
    const struct qn_recent_block *b = qn_recent_find(c->recent, id);
    struct search s = { c, id, b ? b->height : 0 };
    if (!b && (!c->store || c->store_bad || qn_annals_find(c->store, id, is_in, &s, NULL)))
        return false;
    *ret_height = s.height;
    return true;
}

size_t qn_chain_recent_bytes(const struct qn_chain *c)
{
    return qn_recent_bytes(c->recent) + c->at_cap * sizeof *c->at;
}
