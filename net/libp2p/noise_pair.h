/* noise_pair.h - two upgrades of one process beside each other, for tests. */
#ifndef QN_NET_LIBP2P_NOISE_PAIR_H
#define QN_NET_LIBP2P_NOISE_PAIR_H

#include "net/libp2p/upgrade.h"

#include <string.h>

struct pair {
    struct qn_aead *aead;
    struct qn_key key[2];
    struct qn_noise_self self[2];
    struct qn_upgrade up[2];
    struct qn_buf wire[2]; /* from side i */
    qn_rc rc[2];
};

static inline void pair_open(struct pair *p, const struct qn_peer_id *want)
{
    uint8_t seed[32] = { 1 }, secret[32] = { 7 }, e[32] = { 9 };
    memset(p, 0, sizeof *p);
    p->aead = qn_aead_new();
    for (uint8_t i = 0; i < 2; i++) {
        seed[1] = secret[1] = e[1] = i;
        qn_key_from_seed(seed, &p->key[i]);
        qn_noise_self_init(&p->self[i], &p->key[i], secret);
        qn_upgrade_init(&p->up[i], i == 0, i == 0 ? want : NULL, e, p->aead, &p->self[i],
                        &p->wire[i]);
        p->rc[i] = QN_E_AGAIN;
    }
}

static inline void pair_close(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        qn_upgrade_wipe(&p->up[i]);
        qn_buf_free(&p->wire[i]);
    }
    qn_aead_free(p->aead);
}

#endif
