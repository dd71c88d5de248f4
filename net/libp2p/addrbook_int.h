/* addrbook_int.h - the inside of an address book, shared by its two files. */
#ifndef QN_NET_LIBP2P_ADDRBOOK_INT_H
#define QN_NET_LIBP2P_ADDRBOOK_INT_H

#include "net/libp2p/addrbook.h"

#define ADDRBOOK_HEADS  16384 /* chains of the index by address */
#define ADDRBOOK_GROUPS 16384 /* counters of entries by keyed hash of their group */

struct addrbook_node {
    struct addrbook_entry e;
    uint32_t next; /* in its chain, or among the free */
    uint32_t pos;  /* in order[] */
    uint32_t refs; /* slots of the new table */
};

/* An address that answered and whose tried slot is held by another. */
struct addrbook_dispute {
    struct net_addr addr;
    uint64_t since_ms;
};

struct addrbook {
    struct qn_hash key;
    struct net_dice dice;
    bool private;
    struct addrbook_node *node;
    uint32_t *order; /* those in use, in an order that sampling shuffles */
    uint32_t cnt, cap, free, tried_cnt;
    uint32_t anchor_cnt, dispute_cnt;
    struct net_addr anchor[ADDRBOOK_ANCHOR];
    struct addrbook_dispute dispute[10];
    uint32_t head[ADDRBOOK_HEADS];
    uint32_t group[2][ADDRBOOK_GROUPS]; /* told, tried */
    uint32_t slot_new[ADDRBOOK_NEW][ADDRBOOK_SLOTS];
    uint32_t slot_tried[ADDRBOOK_TRIED][ADDRBOOK_SLOTS];
    uint8_t
        in_new[ADDRBOOK_NEW]; /* slots in use of each bucket, so that a draw need not look at all */
    uint8_t in_tried[ADDRBOOK_TRIED];
};

/* addrbook_restore puts an entry of the file where it belongs, if that place is free. */
void addrbook_restore(struct addrbook *book, const struct addrbook_entry *e);

#endif
