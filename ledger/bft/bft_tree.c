/* bft_tree.c - the tree of blocks above the last final one, and which of them is final. */
#include "ledger/bft/bft_in.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS_MAX 4 /* blocks kept of one view: an honest leader makes one */

struct block *qn_bft_block_find(const struct qn_bft *m, const struct qn_hash *hash)
{
    for (struct block *b = m->blocks; b; b = b->next)
        if (qn_bft_same(&b->b.hash, hash)) return b;
    return NULL;
}

/* --- the tree ------------------------------------------------------------------------------------------------------------ */

static bool is_nothing(const struct qn_bft *m, uint64_t view)
{
    const struct view *v = qn_bft_view_find(m, view);
    return qn_bft_has_bug(m, QN_BUG_SKIP_NOTHING) || (v && v->cert[1]);
}

/* The view of a block's parent; 0: the parent is not here. The block's hash names its parent, whose hash holds its view. */
static uint64_t parent_view(const struct qn_bft *m, const struct qn_bft_block *b)
{
    if (qn_bft_same(&b->parent, &m->last.hash)) return m->last.view;
    const struct block *up = qn_bft_block_find(m, &b->parent);
    return up ? up->b.view : 0;
}

static bool is_certified(const struct qn_bft *m, const struct qn_hash *hash, uint64_t view)
{
    const struct view *v = qn_bft_view_find(m, view);
    if (qn_bft_has_bug(m, QN_BUG_ANY_PARENT)) return true;
    return qn_bft_same(hash, &m->last.hash) || (v && qn_bft_view_cert(v, hash));
}

bool qn_bft_well_placed(const struct qn_bft *m, const struct qn_bft_block *b)
{
    uint64_t parent = parent_view(m, b);
    if (parent >= b->view || parent < m->last.view || !is_certified(m, &b->parent, parent))
        return false;
    for (uint64_t v = parent + 1; v < b->view; v++)
        if (!is_nothing(m, v)) return false;
    return true;
}

bool qn_bft_is_held(const struct qn_bft *m, const struct qn_hash *hash)
{
    const struct block *b = qn_bft_block_find(m, hash);
    return qn_bft_same(hash, &m->last.hash) || (b && b->valid);
}

void qn_bft_ask_run(struct qn_bft *m)
{
    for (struct block *b = m->blocks; b; b = b->next) {
        if (b->asked || !qn_bft_is_held(m, &b->b.parent)) continue;
        b->asked = true;
        struct qn_bft_action *a = qn_bft_emit(m, QN_BFT_EXECUTE);
        a->block = b->b.hash;
        a->view = b->b.view;
    }
}

void qn_bft_want(struct qn_bft *m, const struct qn_hash *hash)
{
    qn_bft_emit(m, QN_BFT_WANT)->block = *hash;
}

void qn_bft_advance(struct qn_bft *m)
{
    struct block *child = NULL, *b;
    if (!m->ending) return;
    struct qn_hash at = m->end;
    /* Down to the last final block, turning each `up` towards the end; a tick asks for what is missing. */
    for (; !qn_bft_same(&at, &m->last.hash); at = b->b.parent) {
        b = qn_bft_block_find(m, &at);
        if (!b || !b->valid || b->b.view <= m->last.view) return;
        b->up = child;
        child = b;
    }
    for (b = child; b; b = b->up) {
        struct qn_bft_action *a = qn_bft_emit(m, QN_BFT_FINAL);
        a->block = b->b.hash;
        a->view = b->b.view;
        a->by = qn_bft_view_find(m, m->end_view)->cert[2];
        if (!b->up) a->cert = a->by;
        m->last = b->b;
    }
    m->ending = false;
    if (m->view <= m->last.view) qn_bft_enter(m, m->last.view + 1);
}

void qn_bft_make_final(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x)
{
    if (v->no <= m->last.view || (m->ending && m->end_view >= v->no)) return;
    if (!v->cert[2]) v->cert[2] = qn_bft_cert_make(m, v, kind, x);
    m->ending = true;
    m->end = *x;
    m->end_view = v->no;
    if (!qn_bft_block_find(m, x)) qn_bft_want(m, x);
    qn_bft_advance(m);
}

/* A parent is of a lower view and height than its child: else who leads one view might show a chain without end in it. */
bool qn_bft_awaits(const struct qn_bft *m, const struct qn_bft_block *block)
{
    const struct qn_hash *hash = &block->hash;
    if (qn_bft_block_find(m, hash)) return false;
    if (m->ending && qn_bft_same(&m->end, hash)) return true;
    for (const struct view *v = m->views; v; v = v->next)
        if (qn_bft_view_cert(v, hash)) return true;
    for (const struct block *b = m->blocks; b; b = b->next)
        if (qn_bft_same(&b->b.parent, hash) && b->b.view > block->view &&
            b->b.height == block->height + 1)
            return true;
    const struct view *now = qn_bft_view_find(m, m->view);
    return now && qn_bft_weigh(m, now, FIRSTS, hash) >= m->need.weak;
}

void qn_bft_proposal(struct qn_bft *m, const struct qn_bft_block *block)
{
    unsigned cnt = 0;
    qn_bft_prune(m);
    if (block->view <= m->last.view || qn_bft_block_find(m, &block->hash)) return;
    for (const struct block *b = m->blocks; b; b = b->next)
        cnt += b->b.view == block->view;
    bool awaited = qn_bft_awaits(m, block);
    if (!awaited && (cnt >= BLOCKS_MAX || block->view > m->view + AHEAD_MAX)) return;
    struct block *b = calloc(1, sizeof *b);
    QN_ASSERT(b != NULL);
    b->b = *block;
    b->next = m->blocks;
    m->blocks = b;
    if (awaited && !qn_bft_same(&block->parent, &m->last.hash) &&
        !qn_bft_block_find(m, &block->parent))
        qn_bft_want(m, &block->parent); /* on its way down to what is known */
    qn_bft_react(m);
}

void qn_bft_lost(struct qn_bft *m, const struct qn_hash *block)
{
    for (struct block **at = &m->blocks; *at; at = &(*at)->next) {
        struct block *b = *at;
        if (b->judged || !qn_bft_same(&b->b.hash, block)) continue;
        *at = b->next;
        free(b);
        return;
    }
}

void qn_bft_valid(struct qn_bft *m, const struct qn_hash *block, bool valid)
{
    qn_bft_prune(m);
    struct block *b = qn_bft_block_find(m, block);
    if (!b || b->judged) return;
    b->asked = b->judged = true;
    b->valid = valid;
    qn_bft_react(m);
}
