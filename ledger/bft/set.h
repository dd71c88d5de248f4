/* set.h - the validators of one epoch: whose word counts, and how much.
 *
 * A set's root, which headers name, is H("set", key[32] | weight u64 LE, one after the other, in the set's order). A vote's `signer` is a
 * number in that order. */
#ifndef QN_LEDGER_BFT_SET_H
#define QN_LEDGER_BFT_SET_H

#include "ledger/bft/quorum.h"
#include "ledger/state/tx.h"

#define QN_EPOCH_MS     600000u /* of a chain whose genesis names none */
#define QN_EPOCH_DEV_MS 60000u
#define QN_EPOCH_MIN_MS 1000u /* what a genesis may ask for */
#define QN_EPOCH_MAX_MS 86400000u

struct qn_set {
    uint32_t epoch, cnt, fast_ppm;
    struct qn_hash keys[QN_SET_MAX];
    uint64_t weights[QN_SET_MAX]; /* uqn of stake, capped; or 1 each on a chain without stake */
};

struct qn_hash qn_set_hash(const struct qn_set *set);
struct qn_quorum qn_set_quorum(const struct qn_set *set);
/* qn_set_find gives a key's number in the set, -1 when it has none. */
int qn_set_find(const struct qn_set *set, const struct qn_hash *key);

/* qn_set_cap turns stakes into weights: none counts for more than max(W / 10, W / n), so that one rich validator is not the chain;
 * with n <= 10 that is an equal share. W is the sum before: of the sum after it, which is less, a share may be larger. A stake of 0 weighs 1. */
void qn_set_cap(uint64_t *stakes, uint32_t cnt);

/* qn_set_genesis checks what a genesis says about money and validators and gives the set of epoch 0, which serves epoch 1, too.
 * QN_E_RANGE in words. */
QN_CHECK qn_rc qn_set_genesis(const struct qn_genesis *genesis, struct qn_set *ret,
                              struct qn_why *why);

/* qn_set_overlap is how much of `trusted` signed: the weight there of those whose votes a certificate by `own` holds. Who trusts a set may
 * follow a certificate of a later one that holds 1/3 of it (and is valid by its own). The votes were checked before. */
uint64_t qn_set_overlap(const struct qn_set *trusted, const struct qn_set *own,
                        const struct qn_cert *cert);

#endif
