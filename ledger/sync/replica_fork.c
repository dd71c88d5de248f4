/* replica_fork.c - chains that part from ours below what is final: noticed, told, never followed. */
#include "ledger/sync/replica_in.h"

#include <inttypes.h>
#include <stdlib.h>

#define FORK_TRIES 4 /* certificates of one message that are checked for who signed a fork */

/* --- forks --------------------------------------------------------------------------------------------------------------- */

static void accuse(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    qn_replica_on_evidence(arg, a, b);
}

/* Another block than ours is final for others, by a good certificate: cert, or one of a block above it (NULL). The first such is kept, and
 * replaced once by one that tells who signed both. */
static void note_fork(struct qn_replica *r, const struct qn_past_block *ours,
                      const struct qn_hash *theirs, const struct qn_cert *cert, struct qn_why *why)
{
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_fork *fork = calloc(1, sizeof *fork);
    struct qn_frame f;
    QN_ASSERT(fork != NULL);
    fork->ours = ours->hash;
    fork->theirs = *theirs;
    fork->height = ours->height;
    fork->epoch = ours->epoch;
    fork->view = cert ? cert->view : ours->view;
    if (cert && cert->view == ours->view && cert->epoch == r->set.epoch &&
        qn_chain_frame(r->chain, ours->height, &arena, &f, NULL) == QN_OK &&
        f.cert.kind >= QN_CERT_FAST && f.cert.view == cert->view)
        qn_fork_blame(fork, &r->set, &f.cert, cert, accuse, r);
    qn_arena_free(&arena);
    qn_why(why, QN_E_PROOF, "another block than the final one of height %" PRIu64, ours->height);
    if (r->fork && (r->fork->cnt || !fork->cnt)) {
        free(fork);
        return;
    }
    free(r->fork);
    r->fork = fork;
}

enum qn_verdict qn_replica_on_late_cert(struct qn_replica *r, const struct qn_cert *cert,
                                        struct qn_why *why)
{
    struct qn_hash chain = qn_chain_id(r->chain);
    if (cert->kind != QN_CERT_FAST && cert->kind != QN_CERT_SLOW) return QN_IGNORE;
    const struct qn_past_block *ours =
        qn_past_clash(&r->past, cert->epoch, cert->view, &cert->block);
    if (!ours) return QN_IGNORE;
    if (qn_cert_valid(cert, &chain, &r->set, why) == QN_OK)
        note_fork(r, ours, &cert->block, cert, why);
    return QN_REJECT;
}

void qn_replica_look_fork(struct qn_replica *r, uint32_t from, const struct sync_block *blocks,
                          uint32_t cnt, struct qn_why *why)
{
    struct qn_set set;
    const struct qn_past_block *ours = qn_past_at(&r->past, qn_replica_head_height(r));
    const struct qn_hash *theirs = &blocks[0].block.header.parent;
    struct qn_hash id = qn_chain_id(r->chain);
    while (cnt && blocks[cnt - 1].cert.kind == 0)
        cnt--;
    for (uint32_t i = 0; i < cnt;
         i++) /* else its voters may have signed for another chain of theirs */
        if (!qn_hash_eq(&blocks[i].block.header.chain, &id)) return;
    for (uint32_t i = 1; i < cnt; i++) {
        struct qn_hash at = qn_header_hash(&blocks[i - 1].block.header);
        if (!qn_hash_eq(&blocks[i].block.header.parent, &at)) return;
    }
    if (!ours || cnt == 0 || !qn_replica_set_of(r, blocks[cnt - 1].cert.epoch, &set)) return;
    const struct sync_block *last = &blocks[cnt - 1];
    struct qn_why_final by = { &last->cert, last->fillers.ptr, last->fillers.cnt };
    struct qn_why said;
    if (qn_final_check(&last->block.header, &by, &set, &said)) return;
    note_fork(r, ours, theirs, NULL, why);
    /* Further down the two chains have decided in the same views. */
    uint64_t low = ours->height > QN_PAST_MAX ? ours->height - QN_PAST_MAX : 0;
    struct sync_get get = { low + 1, QN_PAST_MAX };
    if (r->fork->cnt == 0)
        qn_replica_send(r, from, QN_CLASS_REQUEST, SAY_GET, sync_get_record(), &get);
}

enum qn_verdict qn_replica_on_other_blocks(struct qn_replica *r, const struct sync_blocks *m,
                                           struct qn_why *why)
{
    enum qn_verdict verdict = QN_IGNORE;
    unsigned tries = 0;
    for (uint32_t i = 0; r->fork && r->fork->cnt == 0 && i < m->blocks.cnt; i++) {
        const struct qn_cert *cert = &m->blocks.ptr[i].cert;
        const struct qn_past_block *ours =
            qn_past_clash(&r->past, cert->epoch, cert->view, &cert->block);
        if (!ours || ours->view != cert->view || cert->epoch != r->set.epoch) continue;
        verdict = qn_replica_on_late_cert(r, cert, why);
        if (++tries == FORK_TRIES) break;
    }
    return verdict;
}
