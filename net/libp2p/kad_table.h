/* kad_table.h - whom a node knows in the hash table: buckets of 20 by the length of the prefix that an id's key shares with its own.
 *
 * Only who answered us gets in, and with the address it answered from: of one /16 (IPv6 /32) two in a bucket and three in all, so
 * that a whole table costs an attacker as many networks. Who is in and answers stays; a newcomer takes a place only when the one
 * heard of longest ago fails (Maymounkov and Mazieres: the old ones live on). */
#ifndef QN_NET_LIBP2P_KAD_TABLE_H
#define QN_NET_LIBP2P_KAD_TABLE_H

#include "net/libp2p/kad_wire.h"

#define KAD_BUCKETS      256
#define KAD_GROUP_BUCKET 2 /* of one network group in a bucket; private addresses are in none */
#define KAD_GROUP_TABLE  3
#define KAD_FAILS        2 /* failures in a row after which a node is out */

struct kad_node {
    struct kad_peer peer;
    struct qn_hash key;
    struct net_ip ip; /* where it answered from */
    uint64_t seen_ms; /* when it answered last */
    uint8_t fails;
};

struct kad_bucket {
    uint32_t cnt;
    struct kad_node node[KAD_K];
};

struct kad_table {
    struct qn_hash self; /* key */
    uint32_t cnt;
    struct kad_bucket *bucket[KAD_BUCKETS]; /* made when the first one comes */
};

void kad_table_init(struct kad_table *table, const struct qn_peer_id *self);
void kad_table_fini(struct kad_table *table);

/* kad_table_seen notes that a server answered from ip. QN_E_LIMIT: its group has its share; QN_E_BUSY: the bucket is full, and
 * *ret_old (may be NULL) is who should be asked whether it still lives. */
QN_CHECK qn_rc kad_table_seen(struct kad_table *table, const struct kad_peer *peer,
                              const struct net_ip *ip, uint64_t now_ms, struct kad_peer *ret_old);
/* kad_table_fail notes that it did not answer; the second time in a row it is out. */
void kad_table_fail(struct kad_table *table, const struct qn_peer_id *id);
void kad_table_drop(struct kad_table *table, const struct qn_peer_id *id);
const struct kad_node *kad_table_get(const struct kad_table *table, const struct qn_peer_id *id);

/* kad_table_near copies the up to max (<= KAD_K) nearest to key, nearest first, but not the peer `but` (may be NULL). */
uint32_t kad_table_near(const struct kad_table *table, const struct qn_hash *key, uint32_t max,
                        const struct qn_peer_id *but, struct kad_peer *ret);

/* kad_table_deep returns the number of the deepest bucket in use: farther ones are those worth refreshing. */
uint32_t kad_table_deep(const struct kad_table *table);

#endif
