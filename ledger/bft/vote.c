/* vote.c - signing and weighing votes. */
#include "ledger/bft/vote.h"

#include <string.h>

static struct qn_span message(const struct qn_hash *chain, uint8_t kind, uint32_t epoch,
                              uint64_t view, const struct qn_hash *block, uint8_t dst[88])
{
    memcpy(dst, "quoin vote", 11);
    memcpy(dst + 11, chain->b, 32);
    dst[43] = kind;
    memcpy(dst + 44, &epoch, 4);
    memcpy(dst + 48, &view, 8);
    memcpy(dst + 56, block->b, 32);
    return QN_SPAN(dst, 88);
}

struct qn_vote qn_vote_make(const struct qn_key *key, uint16_t signer, const struct qn_hash *chain,
                            uint8_t kind, uint32_t epoch, uint64_t view,
                            const struct qn_hash *block)
{
    uint8_t msg[88];
    struct qn_vote vote = {
        .kind = kind, .epoch = epoch, .view = view, .block = *block, .signer = signer
    };
    vote.sig = qn_sign(key, message(chain, kind, epoch, view, block, msg));
    return vote;
}

bool qn_vote_ok(const struct qn_vote *vote, const struct qn_hash *chain, const struct qn_hash *pub)
{
    uint8_t msg[88];
    return qn_verify(pub, message(chain, vote->kind, vote->epoch, vote->view, &vote->block, msg),
                     &vote->sig);
}

qn_rc qn_cert_check(const struct qn_cert *cert, const struct qn_hash *chain,
                    const struct qn_hash *block, const struct qn_hash *set, uint32_t cnt,
                    struct qn_why *why)
{
    QN_ASSERT(cnt > 0 && cnt <= 200);
    uint32_t faults = (cnt - 1) / 3, need = cert->kind == QN_CERT_FAST ? cnt : cnt - faults;
    uint8_t kind = cert->kind == QN_CERT_FAST ? QN_VOTE_FIRST : QN_VOTE_FINAL;
    if (cert->kind != QN_CERT_FAST && cert->kind != QN_CERT_SLOW)
        return qn_why(why, QN_E_PROOF, "the certificate makes nothing final");
    if (!qn_hash_eq(&cert->block, block))
        return qn_why(why, QN_E_PROOF, "the certificate is for another block");
    if (cert->votes.cnt < need)
        return qn_why(why, QN_E_PROOF, "%u votes, %u are needed", cert->votes.cnt, need);
    int last = -1;
    for (uint32_t i = 0; i < cert->votes.cnt; i++) {
        const struct qn_vote *v = &cert->votes.ptr[i];
        if (v->signer >= cnt || v->signer <= last)
            return qn_why(why, QN_E_PROOF, "signers must rise and be of the set");
        last = v->signer;
        if (v->kind != kind || v->epoch != cert->epoch || v->view != cert->view ||
            !qn_hash_eq(&v->block, block))
            return qn_why(why, QN_E_PROOF, "a vote is not for this certificate");
        if (!qn_vote_ok(v, chain, &set[v->signer]))
            return qn_why(why, QN_E_SIGNATURE, "a vote's signature does not verify");
    }
    return QN_OK;
}
