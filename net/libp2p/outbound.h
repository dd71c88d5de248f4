/* outbound.h - which addresses a node dials: a machine over the address book.
 *
 * Connections that we chose are what an attacker cannot make for us, so they are what keeps a node in the honest network: eight full
 * ones and two that carry blocks alone (whoever maps the net by watching transactions does not see those), of each /16 one at most.
 * The block-only ones become anchors, dialled first after a restart, so that a restart gains an attacker nothing. Every two minutes a
 * feeler dials one more address, to see whether it lives, and hangs up. Every half hour one of the chosen, by lot, makes room for another:
 * sybils never leave of themselves and honest peers do, so without that the places fill up with sybils however rarely one is drawn.
 * Addresses come from the user and peers; the machine asks for dials and is told what became of them. */
#ifndef QN_NET_LIBP2P_OUTBOUND_H
#define QN_NET_LIBP2P_OUTBOUND_H

#include "net/libp2p/addrbook.h"

enum outbound_kind {
    OUTBOUND_FULL,
    OUTBOUND_BLOCK,  /* blocks and votes only */
    OUTBOUND_FEELER, /* hang up when it answered */
};

#define OUTBOUND_FULL_CNT  8
#define OUTBOUND_BLOCK_CNT 2
#define OUTBOUND_FEELER_MS 120000
#define OUTBOUND_ROTATE_MS 1800000 /* not in private networks */
#define OUTBOUND_DIAL_MS   20000   /* a dial whose end was not told by then is forgotten */
#define OUTBOUND_SLOTS     64

struct outbound_slot {
    bool used, up;
    enum outbound_kind kind;
    struct net_addr addr;
    uint32_t peer; /* when up */
    uint64_t since_ms;
};

struct outbound {
    struct addrbook *book;
    bool private; /* private addresses are in no group */
    uint32_t full_cnt, block_cnt;
    /* When the next feeler and the next rotation are due; until when anchors come first. */
    uint64_t feeler_ms, rotate_ms, anchors_ms;
    bool started;
    struct outbound_slot slot[OUTBOUND_SLOTS];
    uint32_t anchor_cnt;
    struct net_addr anchor[ADDRBOOK_ANCHOR];
};

struct outbound_ops {
    void *arg;
    /* Dial it; the end is told by outbound_up or outbound_fail. */
    void (*dial)(void *arg, const struct net_addr *addr, enum outbound_kind kind);
    void (*hangup)(void *arg, uint32_t peer); /* outbound_down was done for it */
    /* Whether that peer is connected already, either way. */
    bool (*connected)(void *arg, const struct addrbook_entry *e);
};

/* outbound_init borrows the book. full and block 0: the defaults. */
void outbound_init(struct outbound *out, struct addrbook *book, bool private, uint32_t full,
                   uint32_t block);
/* outbound_turn asks for what is missing; call it every second or so, and after something ended. */
void outbound_turn(struct outbound *out, const struct outbound_ops *ops, uint64_t now_ms);
/* outbound_up: the dial of addr found a peer with that id. Returns its kind; a feeler is done with and should be closed. */
enum outbound_kind outbound_up(struct outbound *out, const struct net_addr *addr,
                               const struct qn_peer_id *id, uint32_t peer, uint64_t now_ms);
void outbound_fail(struct outbound *out, const struct net_addr *addr);
/* outbound_down: that peer went. */
void outbound_down(struct outbound *out, uint32_t peer);

/* outbound_count says how many of a kind are up. */
uint32_t outbound_count(const struct outbound *out, enum outbound_kind kind);
/* outbound_find tells of what kind a peer is; false when we did not choose it. */
QN_CHECK bool outbound_find(const struct outbound *out, uint32_t peer, enum outbound_kind *ret);

#endif
