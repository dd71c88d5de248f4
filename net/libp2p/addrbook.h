/* addrbook.h - the addresses a node knows, held so that nobody can push out those it has made good experience with.
 *
 * After Bitcoin Core's addrman (Heilman et al., "Eclipse Attacks on Bitcoin's Peer-to-Peer Network", USENIX Security 2015): 1,024
 * buckets of 64 for addresses that somebody told us, 256 of 64 for those that answered. Which bucket and slot is a keyed hash of the
 * address' group and, for told ones, of the group of who told it: a teller of one /16 reaches 64 buckets of 1,024 however much it
 * says, a group of addresses 8 of 256 once they answer. A full slot of the second table is only given away when its holder was
 * dialled again (a feeler) and stayed silent. Unlike there, a draw gives each group the same chance and not each slot: four sybils for
 * each honest node, in 40 networks, otherwise hold four of five draws (test_sybil.c).
 *
 * An entry's peer id is a hint from who told it; it becomes what was found there. It is never a reason to refuse an address: else a
 * lie about an id would hide an honest node. A machine: time comes in, nothing goes out but picks. */
#ifndef QN_NET_LIBP2P_ADDRBOOK_H
#define QN_NET_LIBP2P_ADDRBOOK_H

#include "core/env/env.h"
#include "net/libp2p/peerid.h"
#include "net/link/dice.h"
#include "net/link/ip.h"

#define ADDRBOOK_NEW    1024 /* buckets */
#define ADDRBOOK_TRIED  256
#define ADDRBOOK_SLOTS  64
#define ADDRBOOK_MAX    ((ADDRBOOK_NEW + ADDRBOOK_TRIED) * ADDRBOOK_SLOTS)
#define ADDRBOOK_ANCHOR 2

struct addrbook;

struct addrbook_entry {
    struct net_addr addr;
    struct qn_peer_id id; /* a hint until ok_ms is set */
    struct net_ip source;
    uint64_t seen_ms, ok_ms, try_ms;
    uint32_t fails; /* attempts since the last success */
    bool tried;
};

/* addrbook_new makes an empty book.
 *
 * key      32 secret bytes: who knows them can aim at slots. Draws start from them too
 * private  addresses of houses and of this machine are taken as well (the network itself is such a one) */
struct addrbook *addrbook_new(const struct qn_hash *key, bool private) QN_GIVES;
void addrbook_free(struct addrbook *book);

/* addrbook_wants says whether an address is one that the book would hold. */
bool addrbook_wants(const struct addrbook *book, const struct net_addr *addr);

/* addrbook_add notes that `source` spoke of addr, last seen then; true when it is new here. What is not wanted is dropped. */
bool addrbook_add(struct addrbook *book, const struct net_addr *addr, const struct qn_peer_id *id,
                  const struct net_ip *source, uint64_t seen_ms, uint64_t now_ms);
/* addrbook_tried notes an attempt to dial, which of an unknown address means nothing; addrbook_good a connection to a peer of our
 * network, with the id found there, and again while it stands. */
void addrbook_tried(struct addrbook *book, const struct net_addr *addr, uint64_t now_ms);
void addrbook_good(struct addrbook *book, const struct net_addr *addr, const struct qn_peer_id *id,
                   uint64_t now_ms);
/* addrbook_forget drops an address and its anchor, however good it was: somebody else lives there now. */
void addrbook_forget(struct addrbook *book, const struct net_addr *addr);

/* addrbook_pick draws an address to dial: even between tables (unless only_new), then between groups, old failures less
 * likely. False when there is none. */
QN_CHECK bool addrbook_pick(struct addrbook *book, bool only_new, uint64_t now_ms,
                            struct addrbook_entry *ret);
/* addrbook_feeler gives what a feeler should dial: the holder of a tried slot that another address wants, else a new one. It also
 * settles such disputes whose test is over. */
QN_CHECK bool addrbook_feeler(struct addrbook *book, uint64_t now_ms, struct addrbook_entry *ret);
/* addrbook_sample copies up to max (and a quarter of the book) distinct good entries for others: peer exchange. */
uint32_t addrbook_sample(struct addrbook *book, uint32_t max, uint64_t now_ms,
                         struct addrbook_entry *ret);
QN_CHECK bool addrbook_find(const struct addrbook *book, const struct net_addr *addr,
                            struct addrbook_entry *ret);

/* addrbook_draw gives a number below max (> 0) from the book's own dice. */
uint32_t addrbook_draw(struct addrbook *book, uint32_t max);

struct addrbook_cnt {
    uint32_t told, tried;
};
struct addrbook_cnt addrbook_count(const struct addrbook *book);

/* Anchors: at most two addresses of block-only peers; a restart dials them first. */
void addrbook_anchor_set(struct addrbook *book, const struct net_addr *addrs, uint32_t cnt);
uint32_t addrbook_anchor_get(const struct addrbook *book, struct net_addr ret[ADDRBOOK_ANCHOR]);

/* addrbook_write appends the file's bytes; addrbook_read makes a book of them. QN_E_CORRUPT with why when they are not whole. */
void addrbook_write(const struct addrbook *book, struct qn_buf *buf);
QN_CHECK qn_rc addrbook_read(struct qn_span bytes, bool private, struct addrbook **ret,
                             struct qn_why *why);

/* addrbook_open reads path, or starts a fresh book when there is none or it is damaged (QN_OK all the same; then why holds one line
 * to log, else why->text is empty). addrbook_save writes it whole or not at all. */
struct addrbook *addrbook_open(const struct qn_env *env, const char *path, bool private,
                               struct qn_why *why) QN_GIVES;
QN_CHECK qn_rc addrbook_save(const struct addrbook *book, const char *path, struct qn_why *why);

#endif
