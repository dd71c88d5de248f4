/* chain_final.c - making blocks final, votes journalled, checkpoints, letting go of old segments. */
#include "ledger/state/chain_in.h"

#include "core/env/crash.h"
#include "ledger/bft/vote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_MS 2000
#define FLUSH_MS      1000 /* what waits in the journal is written by then */
#define KEEP_MIN_MS                                                                                \
    (2 * QN_TX_SPAN_MS) /* a transaction that an unkept block held has run out long ago */

static void pledge_free(struct pledge *p)
{
    qn_arena_free(&p->arena);
    free(p);
}

void qn_chain_settle_pledges(struct qn_chain *c)
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

/* Forgets what does not descend from the new head, which `kept` was and is now out of the list; NULL: everything. */
static void prune(struct qn_chain *c, const struct branch *kept)
{
    if (kept && c->tip && !qn_chain_descends(c->tip, kept))
        QN_BUG("the rows are of a branch that is cut");
    bool again = true;
    while (
        again) { /* children before parents: a parent's memory is read until the last child is judged */
        again = false;
        for (struct branch **at = &c->branches; *at;) {
            struct branch *b = *at, *child;
            if (kept && qn_chain_descends(b, kept)) {
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
            qn_chain_branch_free(b);
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
    if (rc == QN_OK) qn_chain_note_anchor(c, &c->header, at.seg);
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
    qn_chain_forget_below(c, last.height);
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
 * again after any crash, and need not be synced by itself. An epoch's last block is, for the votes on what follows it are forgotten. more: others come
 * behind it, and all are synced before anybody hears of one. */
static qn_rc journal_final(struct qn_chain *c, struct branch *b, bool more, struct qn_place *ret,
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
        rc = more && !qn_journal_full(c->journal)
                 ? qn_journal_add(c->journal, QN_FRAME_BLOCK, qn_buf_get(&buf), &ret->at, why)
                 : qn_journal_append(c->journal, QN_FRAME_BLOCK, qn_buf_get(&buf), &ret->at, why);
    }
    qn_buf_free(&buf);
    if (rc == QN_OK) qn_crash_point("block-after");
    return rc;
}

/* A block that the journal has at `at` becomes the head. */
static void settle(struct qn_chain *c, struct branch *b, struct qn_place at)
{
    if (!c->tip || !qn_chain_descends(c->tip, b)) qn_chain_go(c, b);
    for (struct branch **p = &c->branches; *p; p = &(*p)->next)
        if (*p == b) {
            *p = b->next;
            break;
        }
    if (b->sets) { /* what stands on it are fillers */
        qn_chain_go(c, b);
        prune(c, NULL);
        c->tip = NULL;
        c->set = b->sets->now;
        c->set_root = qn_set_hash(&c->set);
    } else {
        prune(c, b);
    }
    qn_delta_keys(b->delta, qn_chain_note_dirty, c);
    qn_chain_note_block(c, &b->frame.block, b->parcel->ids, at);
    qn_chain_note_cert(c, &b->frame);
    qn_chain_settle_pledges(c);
    if (c->conf.on_block) c->conf.on_block(c->conf.arg, &b->frame, &b->hash);
    qn_chain_branch_free(b);
}

qn_rc qn_chain_finals(struct qn_chain *c, const struct qn_hash *hashes, uint32_t cnt,
                      const struct qn_why_final *by, struct qn_why *why)
{
    struct qn_place at[QN_FINALS_MAX];
    qn_rc rc = QN_OK;
    QN_ASSERT(cnt > 0);
    QN_ASSERT(cnt <= QN_FINALS_MAX);
    for (uint32_t from = 0, to; rc == QN_OK && from < cnt; from = to) {
        const struct branch *up = NULL;
        for (to = from; rc == QN_OK && to < cnt; to++) { /* as many as the segment has room for */
            struct branch *b = qn_chain_branch_find(c, &hashes[to]);
            QN_ASSERT(b && b->parent == up && b->delta);
            QN_ASSERT(!b->sets || to + 1 == cnt);
            if (to > from && qn_journal_full(c->journal)) break;
            if (to + 1 == cnt && by->cert) { /* lent for the call */
                b->frame.cert = *by->cert;
                b->frame.fillers.cnt = by->filler_cnt;
                b->frame.fillers.ptr = (struct qn_header *)(uintptr_t)by->fillers;
            }
            rc = journal_final(c, b, to + 1 < cnt, &at[to], why);
            up = b;
        }
        if (rc == QN_OK && cnt > 1) rc = qn_journal_flush(c->journal, why);
        for (uint32_t i = from; rc == QN_OK && i < to; i++)
            settle(c, qn_chain_branch_find(c, &hashes[i]), at[i]);
        if (rc == QN_OK) rc = anchor(c, why);
    }
    return rc;
}

qn_rc qn_chain_final(struct qn_chain *c, const struct qn_hash *hash, const struct qn_why_final *by,
                     struct qn_why *why)
{
    return qn_chain_finals(c, hash, 1, by, why);
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
        struct branch *b = qn_chain_branch_find(c, &hash);
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
    uint64_t noted;
    if (!c->store || c->store_bad || c->header.height == c->saved.height) return QN_OK;
    qn_chain_to_head(c);
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
    rc = qn_chain_note_old(c, &noted, why);
    if (rc) {
        qn_store_abort(c->store);
        return rc;
    }
    struct qn_store_meta meta = { c->id, c->head, c->header.state_root, c->header.height };
    rc = qn_store_commit(c->store, &meta, why);
    if (rc) return rc;
    c->saved = meta;
    qn_chain_noted(c, noted);
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
        qn_chain_branch_free(b);
    }
    while (c->pledges) {
        struct pledge *p = c->pledges;
        c->pledges = p->next;
        pledge_free(p);
    }
    qn_state_free(c->st);
    qn_trie_free(c->dirty);
    qn_recent_free(c->recent);
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
