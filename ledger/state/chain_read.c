/* chain_read.c - what a chain says of itself, at its last final block. */
#include "ledger/state/chain_in.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct qn_frame qn_chain_frame_of(const struct qn_final *final, const struct qn_block *block)
{
    struct qn_frame f = { .block = *block, .cert = final->cert };
    f.fillers.cnt = final->fillers.cnt;
    f.fillers.ptr = final->fillers.ptr;
    f.receipts.cnt = final->receipts.cnt;
    f.receipts.ptr = final->receipts.ptr;
    f.events.cnt = final->events.cnt;
    f.events.ptr = final->events.ptr;
    return f;
}

struct qn_parcel *qn_chain_parcel(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = qn_chain_branch_find(c, hash);
    return b ? b->parcel : NULL;
}

const struct qn_block *qn_chain_block(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = qn_chain_branch_find(c, hash);
    return b ? &b->frame.block : NULL;
}

bool qn_chain_ends_epoch(const struct qn_chain *c, const struct qn_hash *hash)
{
    const struct branch *b = qn_chain_branch_find(c, hash);
    return b && b->sets;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

const struct qn_view *qn_chain_view(struct qn_chain *c)
{
    qn_chain_to_head(c);
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

struct qn_span qn_chain_by(const struct qn_chain *c)
{
    return qn_buf_get(&c->by);
}

struct qn_span qn_chain_genesis(const struct qn_chain *c)
{
    return qn_buf_get(&c->genesis);
}

struct qn_trie *qn_chain_trie(struct qn_chain *c)
{
    qn_chain_to_head(c);
    return qn_state_trie(c->st);
}

struct qn_hash qn_chain_root(struct qn_chain *c)
{
    qn_chain_to_head(c);
    return qn_trie_root(qn_state_trie(c->st));
}

const struct qn_set *qn_chain_set(const struct qn_chain *c)
{
    return &c->set;
}

void qn_chain_next_set(struct qn_chain *c, struct qn_set *ret)
{
    struct qn_stake_sets *sets = malloc(sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(qn_chain_view(c), sets);
    *ret = sets->next;
    free(sets);
}

uint64_t qn_chain_first(const struct qn_chain *c)
{
    return c->at_base + 1;
}

static qn_rc read_at(struct qn_chain *c, struct qn_frame_at at, const struct qn_record *rec,
                     struct qn_arena *arena, void *ret, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    qn_rc rc = qn_journal_read(c->journal, at, &buf, why);
    if (rc == QN_OK) {
        void *copy = qn_arena_copy(arena, buf.ptr, buf.len);
        rc = copy ? qn_decode(rec, QN_SPAN(copy, buf.len), arena, ret, why) : QN_E_MEMORY;
    }
    qn_buf_free(&buf);
    return rc;
}

qn_rc qn_chain_frame(struct qn_chain *c, uint64_t height, struct qn_arena *arena,
                     struct qn_frame *ret, struct qn_why *why)
{
    if (height == 0 || height > c->header.height)
        return qn_why(why, QN_E_NOTFOUND, "there is no block %" PRIu64 ", the last is %" PRIu64,
                      height, c->header.height);
    if (height <= c->at_base)
        return qn_why(why, QN_E_NOTFOUND,
                      "block %" PRIu64 " is not kept here, the first that is: %" PRIu64, height,
                      c->at_base + 1);
    struct qn_place place;
    qn_rc rc = qn_chain_place(c, height, &place, why);
    if (rc) return rc;
    struct qn_frame_at at = place.at;
    if (!place.apart) return read_at(c, at, qn_frame_record(), arena, ret, why);
    struct qn_final final;
    struct qn_pledge pledge;
    rc = read_at(c, at, qn_final_record(), arena, &final, why);
    if (rc == QN_OK)
        rc = read_at(c, (struct qn_frame_at){ at.seg, final.at }, qn_pledge_record(), arena,
                     &pledge, why);
    if (rc) return rc;
    if (final.idx >= pledge.proposals.cnt)
        return qn_why(why, QN_E_CORRUPT, "the journal does not hold block %" PRIu64, height);
    *ret = qn_chain_frame_of(&final, &pledge.proposals.ptr[final.idx].block);
    return QN_OK;
}
