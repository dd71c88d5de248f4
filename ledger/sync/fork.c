/* fork.c - which final block a certificate denies, and who signed for both. */
#include "ledger/sync/fork.h"

#include <inttypes.h>

#define NAMES_MAX 8 /* in the line; the evidence has all */

static const struct qn_past_block *back(const struct qn_past *past, uint64_t steps)
{
    if (steps >= past->cnt || steps >= QN_PAST_MAX) return NULL;
    return &past->at[(past->cnt - 1 - steps) % QN_PAST_MAX];
}

void qn_past_put(struct qn_past *past, const struct qn_header *header, const struct qn_hash *hash)
{
    past->at[past->cnt++ % QN_PAST_MAX] =
        (struct qn_past_block){ header->epoch, header->view, header->height, *hash };
}

const struct qn_past_block *qn_past_at(const struct qn_past *past, uint64_t height)
{
    const struct qn_past_block *b;
    for (uint64_t i = 0; (b = back(past, i)); i++)
        if (b->height == height) return b;
    return NULL;
}

const struct qn_past_block *qn_past_clash(const struct qn_past *past, uint32_t epoch, uint64_t view,
                                          const struct qn_hash *block)
{
    const struct qn_past_block *b, *above = NULL;
    for (uint64_t i = 0; (b = back(past, i)); i++) {
        if (b->epoch < epoch || (b->epoch == epoch && b->view < view)) return above;
        if (b->epoch > epoch) continue;
        if (b->view == view) return qn_hash_eq(&b->hash, block) ? NULL : b;
        above = b;
    }
    return NULL; /* what lies below is not known */
}

void qn_fork_blame(struct qn_fork *fork, const struct qn_set *set, const struct qn_cert *ours,
                   const struct qn_cert *theirs,
                   void (*visit)(void *arg, const struct qn_vote *a, const struct qn_vote *b),
                   void *arg)
{
    fork->need = qn_set_quorum(set);
    fork->cnt = 0;
    fork->weight = 0;
    for (uint32_t i = 0, k = 0; i < ours->votes.cnt; i++) { /* signers rise in both */
        uint16_t signer = ours->votes.ptr[i].signer;
        while (k < theirs->votes.cnt && theirs->votes.ptr[k].signer < signer)
            k++;
        if (k == theirs->votes.cnt) break;
        if (theirs->votes.ptr[k].signer != signer) continue;
        struct qn_vote a = qn_cert_vote_whole(ours, i), b = qn_cert_vote_whole(theirs, k);
        if (!qn_votes_exclude(&a, &b)) continue;
        fork->who[fork->cnt++] = set->keys[signer];
        fork->weight += set->weights[signer];
        visit(arg, &a, &b);
    }
}

void qn_fork_print(const struct qn_fork *fork, struct qn_buf *dst)
{
    char ours[17], theirs[17], who[64];
    qn_hex(fork->ours.b, 8, ours);
    qn_hex(fork->theirs.b, 8, theirs);
    qn_buf_printf(dst,
                  "FORK at height %" PRIu64 " (epoch %u, view %" PRIu64
                  "): %s is final here and stays so, others hold a certificate for %s; ",
                  fork->height, fork->epoch, fork->view, ours, theirs);
    if (fork->cnt == 0) {
        qn_buf_printf(dst, "who signed both cannot be told from it");
        return;
    }
    qn_buf_printf(dst,
                  "signed both, %" PRIu64 " of %" PRIu64 " by weight where %" PRIu64 " are borne:",
                  fork->weight, fork->need.all, fork->need.traitors);
    for (uint32_t i = 0; i < fork->cnt && i < NAMES_MAX; i++) {
        struct qn_hash acct = qn_acct_key(&fork->who[i]);
        qn_addr_print(&acct, who);
        qn_buf_printf(dst, " %s", who);
    }
    if (fork->cnt > NAMES_MAX) qn_buf_printf(dst, " and %u more", fork->cnt - NAMES_MAX);
    qn_buf_printf(dst, " (quoin evidence list)");
}
