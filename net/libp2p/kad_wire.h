/* kad_wire.h - messages of the distributed hash table, as libp2p's Kademlia writes them (specs/kad-dht): protocol buffers, each behind its
 * length as a varint.
 *
 *     Message  type 1 | key 2 | record 3 | closerPeers 8 | providerPeers 9          at most 16 KiB
 *     Peer     id 1 | addrs 2 (multiaddr, repeated) | connection 3 */
#ifndef QN_NET_LIBP2P_KAD_WIRE_H
#define QN_NET_LIBP2P_KAD_WIRE_H

#include "net/libp2p/peerid.h"
#include "net/link/ip.h"

#define KAD_K           20 /* peers of a bucket and of an answer */
#define KAD_MESSAGE_MAX 16384
#define KAD_KEY_MAX     128
#define KAD_ADDR_MAX                                                                               \
    63 /* bytes of a multiaddr that is kept; longer ones (certificates of browsers) are not dialled here */
#define KAD_ADDRS 4 /* kept of one peer */

enum kad_type {
    KAD_PUT_VALUE,
    KAD_GET_VALUE,
    KAD_ADD_PROVIDER,
    KAD_GET_PROVIDERS,
    KAD_FIND_NODE,
    KAD_PING,
    KAD_TYPE_CNT
};

struct kad_addr {
    uint8_t len, b[KAD_ADDR_MAX];
};

struct kad_peer {
    struct qn_peer_id id;
    uint8_t addr_cnt;
    uint8_t connected; /* 1: the sender is connected to it */
    struct kad_addr addr[KAD_ADDRS];
};

struct kad_message {
    enum kad_type type;
    struct qn_span key; /* lent by the bytes it was read from */
    bool has_record;
    uint32_t closer_cnt, provider_cnt;
    struct kad_peer closer[KAD_K], provider[KAD_K];
};

/* kad_read reads one message that fills bytes. Peers whose id is no peer id are left out, as are addresses too long and peers past
 * the 20th: others may know kinds that we do not. QN_E_TOOBIG, QN_E_FORMAT, QN_E_SHORT, QN_E_RANGE (type). */
QN_CHECK qn_rc kad_read(struct qn_span bytes, struct kad_message *ret);
/* kad_write appends the message without a length in front; it stays within KAD_MESSAGE_MAX by its limits. */
void kad_write(const struct kad_message *m, struct qn_buf *buf);

/* kad_addr_ip gives the IP address and TCP port that a multiaddr begins with (/ip4 or /ip6, then /tcp); false for others. */
QN_CHECK bool kad_addr_ip(const struct kad_addr *addr, struct net_addr *ret);
/* kad_addr_host gives the IP address that it begins with, whatever comes behind; false for names. */
QN_CHECK bool kad_addr_host(const struct kad_addr *addr, struct net_ip *ret);
/* kad_addr_of writes /ip4|ip6/../tcp/... */
struct kad_addr kad_addr_of(const struct net_addr *addr);

/* kad_key is where an id or a content key lies: its SHA-256. */
struct qn_hash kad_key(struct qn_span bytes);
/* kad_near compares distances by XOR: whether a is nearer to key than b. */
bool kad_near(const struct qn_hash *key, const struct qn_hash *a, const struct qn_hash *b);

#endif
