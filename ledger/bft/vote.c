/* vote.c - signing and weighing votes. */
#include "ledger/bft/vote.h"

#include <inttypes.h>
#include <stdlib.h>
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

void qn_votes_ok(const struct qn_vote votes[], size_t cnt, const struct qn_hash *chain,
                 const struct qn_set *set, bool ret_ok[])
{
    uint8_t msgs[64][88];
    struct qn_verify_item items[64];
    for (size_t from = 0, n; from < cnt; from += n) {
        n = QN_MIN(cnt - from, QN_COUNT(items));
        for (size_t i = 0; i < n; i++) {
            const struct qn_vote *v = &votes[from + i];
            QN_ASSERT(v->signer < set->cnt);
            items[i] = (struct qn_verify_item){ &set->keys[v->signer], &v->sig,
                                                message(chain, v->kind, v->epoch, v->view,
                                                        &v->block, msgs[i]) };
        }
        qn_verify_many(items, n, ret_ok + from);
    }
}

struct qn_span qn_proposal_text(const struct qn_hash *block, uint8_t dst[QN_PROPOSAL_TEXT])
{
    memcpy(dst, "quoin proposal", 15);
    memcpy(dst + 15, block->b, 32);
    return QN_SPAN(dst, QN_PROPOSAL_TEXT);
}

bool qn_votes_exclude(const struct qn_vote *a, const struct qn_vote *b)
{
    if (a->epoch != b->epoch || a->view != b->view || qn_hash_eq(&a->block, &b->block))
        return false;
    if (a->kind == QN_VOTE_FINAL || b->kind == QN_VOTE_FINAL) return true;
    return a->kind == QN_VOTE_FIRST && b->kind == QN_VOTE_FIRST;
}

/* What those in `votes` cast; in `extras` it is EXTRA. */
static uint8_t kind_of(const struct qn_cert *cert)
{
    return cert->kind == QN_CERT_SLOW ? QN_VOTE_FINAL : QN_VOTE_FIRST;
}

void qn_cert_add(struct qn_cert *cert, const struct qn_vote *vote)
{
    struct qn_cert_vote v = { .signer = vote->signer, .sig = vote->sig };
    if (vote->kind == QN_VOTE_EXTRA)
        cert->extras.ptr[cert->extras.cnt++] = v;
    else
        cert->votes.ptr[cert->votes.cnt++] = v;
}

struct qn_vote qn_cert_vote_whole(const struct qn_cert *cert, uint32_t i)
{
    QN_ASSERT(i < qn_cert_cnt(cert));
    const struct qn_cert_vote *v = qn_cert_at(cert, i);
    return (struct qn_vote){ .kind = i < cert->votes.cnt ? kind_of(cert) : QN_VOTE_EXTRA,
                             .epoch = cert->epoch,
                             .view = cert->view,
                             .block = cert->block,
                             .signer = v->signer,
                             .sig = v->sig };
}

struct qn_cert *qn_cert_copy(const struct qn_cert *cert)
{
    uint32_t cnt = qn_cert_cnt(cert);
    struct qn_cert *copy = malloc(sizeof *copy + cnt * sizeof(struct qn_cert_vote));
    QN_ASSERT(copy != NULL);
    *copy = *cert;
    copy->votes.ptr = (struct qn_cert_vote *)(copy + 1);
    copy->extras.ptr = copy->votes.ptr + cert->votes.cnt;
    for (uint32_t i = 0; i < cnt; i++)
        copy->votes.ptr[i] = *qn_cert_at(cert, i);
    return copy;
}

/* There are at most as many as the set has members; votes of one kind sign the same. */
static bool votes_ok(const struct qn_cert *cert, const struct qn_hash *chain,
                     const struct qn_set *set,
                     bool (*known)(const void *arg, const struct qn_vote *vote), const void *arg)
{
    uint8_t most[88], extra[88];
    struct qn_verify_item items[QN_SET_MAX] = { { 0 } };
    struct qn_span what =
        message(chain, kind_of(cert), cert->epoch, cert->view, &cert->block, most);
    struct qn_span other =
        message(chain, QN_VOTE_EXTRA, cert->epoch, cert->view, &cert->block, extra);
    bool ok[QN_SET_MAX], all = true;
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < qn_cert_cnt(cert); i++) {
        const struct qn_cert_vote *v = qn_cert_at(cert, i);
        if (known) {
            struct qn_vote whole = qn_cert_vote_whole(cert, i);
            if (known(arg, &whole)) continue;
        }
        items[cnt++] = (struct qn_verify_item){ &set->keys[v->signer], &v->sig,
                                                i < cert->votes.cnt ? what : other };
    }
    qn_verify_many(items, cnt, ok);
    for (uint32_t i = 0; i < cnt; i++)
        all = all && ok[i];
    return all;
}

qn_rc qn_cert_valid_but(const struct qn_cert *cert, const struct qn_hash *chain,
                        const struct qn_set *set,
                        bool (*known)(const void *arg, const struct qn_vote *vote), const void *arg,
                        struct qn_why *why)
{
    struct qn_quorum q = qn_set_quorum(set);
    uint64_t need = cert->kind == QN_CERT_FAST ? q.fast : q.q, have = 0;
    bool signs[QN_SET_MAX] = { false };
    if (cert->kind < QN_CERT_VIEW || cert->kind > QN_CERT_SLOW)
        return qn_why(why, QN_E_PROOF, "there is no certificate of kind %u", cert->kind);
    if (cert->epoch != set->epoch)
        return qn_why(why, QN_E_PROOF, "the certificate is of epoch %u, the validators of %u",
                      cert->epoch, set->epoch);
    if (cert->extras.cnt && cert->kind != QN_CERT_VIEW)
        return qn_why(why, QN_E_PROOF, "votes of a kind that makes nothing final");
    if (cert->kind != QN_CERT_VIEW && qn_hash_is_zero(&cert->block))
        return qn_why(why, QN_E_PROOF, "nothing is no block that could be final");
    int last = -1;
    for (uint32_t i = 0; i < qn_cert_cnt(cert); i++) {
        uint16_t who = qn_cert_at(cert, i)->signer;
        if (i == cert->votes.cnt) last = -1;
        if (who >= set->cnt || who <= last || signs[who])
            return qn_why(why, QN_E_PROOF, "signers must rise and be of the set");
        last = who;
        signs[who] = true;
        have += set->weights[who];
    }
    if (have < need)
        return qn_why(why, QN_E_PROOF, "votes weigh %" PRIu64 ", %" PRIu64 " is needed", have,
                      need);
    /* Last: it is what costs. */
    return votes_ok(cert, chain, set, known, arg)
               ? QN_OK
               : qn_why(why, QN_E_SIGNATURE, "a vote's signature does not verify");
}

qn_rc qn_cert_valid(const struct qn_cert *cert, const struct qn_hash *chain,
                    const struct qn_set *set, struct qn_why *why)
{
    return qn_cert_valid_but(cert, chain, set, NULL, NULL, why);
}

qn_rc qn_cert_final(const struct qn_cert *cert, const struct qn_hash *chain,
                    const struct qn_hash *block, const struct qn_set *set, struct qn_why *why)
{
    if (cert->kind != QN_CERT_FAST && cert->kind != QN_CERT_SLOW)
        return qn_why(why, QN_E_PROOF, "the certificate makes nothing final");
    if (!qn_hash_eq(&cert->block, block))
        return qn_why(why, QN_E_PROOF, "the certificate is for another block");
    return qn_cert_valid(cert, chain, set, why);
}
