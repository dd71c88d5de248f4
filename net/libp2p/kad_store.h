/* kad_store.h - who provides what: provider records that this node keeps for others.
 *
 * A peer may speak for itself alone; a record lives 48 h unless renewed. Bounds: 64 providers of a key, 1,024 records of a peer,
 * 100,000 in all (some 36 MB). In a full store the record whose key lies farthest from us, of 16 drawn, makes room if the new one
 * lies nearer: those near are the ones that searches ask us for. */
#ifndef QN_NET_LIBP2P_KAD_STORE_H
#define QN_NET_LIBP2P_KAD_STORE_H

#include "net/libp2p/kad_wire.h"
#include "net/link/dice.h"

#define KAD_RECORD_MS  (48 * UINT64_C(3600000))
#define KAD_RECORD_KEY 64
#define KAD_RECORD_ONE 1024
#define KAD_RECORD_MAX 100000

struct kad_record;

struct kad_store {
    struct qn_hash self;
    struct net_dice dice;
    struct kad_record *record; /* dense, cnt of cap */
    uint32_t cnt, cap, max;
    uint32_t *by_key, *by_peer; /* heads of chains by keyed hash */
};

/* kad_store_init takes a bound of records below KAD_RECORD_MAX for tests; 0: that. */
void kad_store_init(struct kad_store *store, const struct qn_hash *self, struct qn_span seed,
                    uint32_t max);
void kad_store_fini(struct kad_store *store);
/* kad_store_put keeps or renews. QN_E_LIMIT when a bound says no. */
QN_CHECK qn_rc kad_store_put(struct kad_store *store, const struct qn_hash *key,
                             const struct kad_peer *peer, uint64_t now_ms);
/* kad_store_get copies up to max providers, drawn by lot when there are more. */
uint32_t kad_store_get(struct kad_store *store, const struct qn_hash *key, uint64_t now_ms,
                       uint32_t max, struct kad_peer *ret);
/* kad_store_expire drops what is over its time, looking at up to cnt records; call it now and then. */
void kad_store_expire(struct kad_store *store, uint32_t cnt, uint64_t now_ms);

#endif
