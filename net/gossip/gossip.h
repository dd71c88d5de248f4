/* gossip.h - gossipsub 1.1 and 1.2 as a machine: bytes of peers in, bytes to peers and messages for validation out. It has no socket and
 * no clock; all chance comes from the owner's seed, so that a network of a thousand replays bit for bit.
 *
 *     owner                                   machine
 *     gossip_turn(now)      ->                beats, timers; returns when it wants the next turn
 *     gossip_peer_up/down   ->
 *     gossip_recv(bytes)    ->                hooks.deliver(handle, data) -> verdict at once, or gossip_verdict later
 *     gossip_publish        ->                hooks.wake(peer): something waits
 *     gossip_pull(peer)     ->                one framed RPC with its class: call it while the link has room
 *
 * Time is what the last gossip_turn was given: call it before a batch of input as well (it is cheap when nothing is due).
 * Inside the hooks gossip_publish, gossip_verdict and the readers may be called, and nothing else.
 * Nothing grows by what a peer says beyond the bounds below; docs/why/network.md draws the wire. */
#ifndef QN_NET_GOSSIP_GOSSIP_H
#define QN_NET_GOSSIP_GOSSIP_H

#include "core/base/span.h"

#define GOSSIP_ID_LEN    20 /* SHA-256("quoin-gossip" || u8 topic_len || topic || data)[0..20] */
#define GOSSIP_DATA_MAX  (1u << 20) /* bytes, largest body of any topic */
#define GOSSIP_RPC_MAX   (GOSSIP_DATA_MAX + (64u << 10))
#define GOSSIP_TOPIC_CNT 32          /* topics one machine knows */
#define GOSSIP_TOPIC_LEN 128         /* bytes of a topic on the wire */
#define GOSSIP_PEER_CNT  512         /* peers at once; net/link keeps fewer */
#define GOSSIP_QUEUE_MAX (1u << 20)  /* bytes waiting for one peer, plus one message */
#define GOSSIP_CACHE_MAX (64u << 20) /* bytes of messages kept to answer IWANT */

/* What we speak, dearest first. */
#define GOSSIP_PROTOCOL_12 "/meshsub/1.2.0"
#define GOSSIP_PROTOCOL_11 "/meshsub/1.1.0"

/* The order in which a peer's queue leaves: control and votes strictly first, blocks and transactions by turns of 8 : 4. */
enum gossip_class { GOSSIP_CONTROL, GOSSIP_VOTE, GOSSIP_BLOCK, GOSSIP_TX, GOSSIP_CLASS_CNT };

enum gossip_verdict {
    GOSSIP_ACCEPT, /* pass it on */
    GOSSIP_IGNORE, /* late, known, of an unknown parent: no relay, no harm */
    GOSSIP_REJECT, /* no honest peer says this: all who sent it are scored down */
    GOSSIP_LATER /* only from deliver: gossip_verdict will follow (within a minute, else it counts as ignored) */
};

enum gossip_event {
    GOSSIP_GRAFTED, /* peer entered our mesh of topic */
    GOSSIP_PRUNED,  /* peer left it */
    GOSSIP_DROP, /* owner: disconnect the peer (its queue stayed full, or its score is hopeless) */
    /* The same by its own sins alone, told as the last of them happens: it is not to come again soon. As after all events, the machine is not to be
     * told of the peer's end in here. */
    GOSSIP_BAD
};

struct gossip;

struct gossip_hooks {
    void *self;
    /* A message not seen before. data is lent for the call; after GOSSIP_LATER gossip_data lends it again until the verdict. */
    enum gossip_verdict (*deliver)(void *self, uint32_t topic, uint32_t peer, uint64_t handle,
                                   struct qn_span data);
    /* gossip_pull has something for peer, had nothing before. */
    void (*wake)(void *self, uint32_t peer);
    /* NULL is welcome. topic is UINT32_MAX when the event is of the peer alone. */
    void (*event)(void *self, enum gossip_event event, uint32_t peer, uint32_t topic);
    /* Peer exchange; NULL: none is said, none taken. record lends what `peer` is called and its signed record, as `to` may have it, until the
     * next call (false: there is none). px takes one that `from`, of a score that deserves it, named as it threw us out of its mesh:
     * QN_E_SIGNATURE says that it is a lie, which counts as an invalid message and ends this PRUNE; other errors mean nothing. */
    bool (*record)(void *self, uint32_t peer, uint32_t to, struct qn_span *ret_id,
                   struct qn_span *ret_record);
    qn_rc (*px)(void *self, uint32_t from, struct qn_span id, struct qn_span record);
};

struct gossip_conf {
    uint8_t seed[32];       /* secret: what is withheld from whom follows from it */
    struct qn_hash genesis; /* in the names of topics */
    struct gossip_hooks hooks;
    uint32_t topic_cnt; /* most topics; 0: GOSSIP_TOPIC_CNT */
    bool no_sampling;   /* never withhold: for comparison in benches */
};

QN_GIVES struct gossip *gossip_new(const struct gossip_conf *conf, uint64_t now_ms);
void gossip_free(struct gossip *g);

struct gossip_topic_conf {
    const char *name;   /* "tx": on the wire "/quoin/<8 hex of genesis>/tx/1" */
    uint32_t bytes_max; /* 1 .. GOSSIP_DATA_MAX */
    enum gossip_class class;
    uint16_t weight_milli; /* share of good points of this topic, 0 .. 1000 */
    bool publish_only;     /* not subscribed: we publish to it through others (fanout) */
    /* Nothing is withheld on trial: for topics where an honest peer may ignore what we accept (it is ahead, or had the same from elsewhere)
     * and so brings nothing. */
    bool unsampled;
    uint8_t version; /* of what it carries, the last part of the name on the wire; 0: 1 */
};

/* gossip_topic_add makes a topic known, and subscribes. QN_E_LIMIT when there are topic_cnt, QN_E_EXISTS, QN_E_RANGE. */
QN_CHECK qn_rc gossip_topic_add(struct gossip *g, const struct gossip_topic_conf *conf,
                                uint32_t *ret_topic);
/* gossip_subscribe enters or leaves a known topic. */
void gossip_subscribe(struct gossip *g, uint32_t topic, bool on);
/* gossip_topic_wire lends the topic's full name. */
const char *gossip_topic_wire(const struct gossip *g, uint32_t topic);

struct gossip_peer_conf {
    struct qn_span id; /* bytes of its peer id: scores are kept under it after it leaves */
    uint64_t ip_group; /* same number: same IPv4 address or IPv6 /56; 0: private range, exempt */
    bool outbound;     /* we dialled */
    bool explicit;     /* always sent everything, never in the mesh: fellow validators */
    bool speaks_12;    /* negotiated GOSSIP_PROTOCOL_12 */
};

/* gossip_peer_up takes a peer whose meshsub stream is open; peer is the owner's number, not in use. QN_E_LIMIT at GOSSIP_PEER_CNT. */
QN_CHECK qn_rc gossip_peer_up(struct gossip *g, uint32_t peer, const struct gossip_peer_conf *conf);
/* gossip_peer_again says once more to a peer what topics we are in and in whose meshes we hold it: what was said so far may be lost. */
void gossip_peer_again(struct gossip *g, uint32_t peer);
/* gossip_peer_down forgets its queue and keeps its sins. An unknown number is no matter. */
void gossip_peer_down(struct gossip *g, uint32_t peer);
/* gossip_peer_credit sets what the ledger knows of the peer (validator +100, provider +20), in points; 0 takes it back. */
void gossip_peer_credit(struct gossip *g, uint32_t peer, int32_t points);
/* gossip_peer_fault notes a bad answer to a request (of another protocol). */
void gossip_peer_fault(struct gossip *g, uint32_t peer);

/* gossip_peer_offence notes cnt offences against some protocol. */
void gossip_peer_offence(struct gossip *g, uint32_t peer, uint32_t cnt);
/* gossip_peer_cut: the peer's bytes come on another stream from here on; half a frame of the old one is forgotten. */
void gossip_peer_cut(struct gossip *g, uint32_t peer);

/* gossip_recv takes bytes of the peer's stream as they come, any cut. After an error: reset the stream, and disconnect unless it is
 * QN_E_LIMIT (too much half-sent) or QN_E_NOTFOUND. */
QN_CHECK qn_rc gossip_recv(struct gossip *g, uint32_t peer, struct qn_span bytes);

/* gossip_pull appends one varint-framed RPC for peer to out. Small messages share one of up to 16 KiB.
 * Returns false when nothing waits; then wake will tell. */
bool gossip_pull(struct gossip *g, uint32_t peer, struct qn_buf *out, enum gossip_class *ret_class);

/* gossip_publish sends data (copied) to the topic. QN_E_TOOBIG, QN_E_DUPLICATE when it was seen. Without a peer it waits in the cache:
 * who comes within seconds hears of it. */
QN_CHECK qn_rc gossip_publish(struct gossip *g, uint32_t topic, struct qn_span data);
/* gossip_publish_mesh sends it to the mesh alone, as what comes from others, where gossip_publish tells every peer what is short: for what most have
 * by other ways. */
QN_CHECK qn_rc gossip_publish_mesh(struct gossip *g, uint32_t topic, struct qn_span data);

/* gossip_verdict answers a deliver that said GOSSIP_LATER. A handle of the past is no matter. */
void gossip_verdict(struct gossip *g, uint64_t handle, enum gossip_verdict verdict);
/* gossip_data lends the body of a pending handle until its verdict. */
QN_CHECK bool gossip_data(const struct gossip *g, uint64_t handle, struct qn_span *ret);

/* gossip_turn moves time (never back) and does what is due. Returns when to call again at the latest. */
uint64_t gossip_turn(struct gossip *g, uint64_t now_ms);

/* --- readers, for calls and tests ---------------------------------------------------------------------- */
struct gossip_peer_info {
    int64_t score_milli;         /* S, thousandths of a point */
    int64_t mesh_score_milli;    /* S without a positive P5: what the mesh goes by */
    uint32_t subscribed, meshed; /* bit i: topic i */
    uint64_t queued;             /* bytes */
};
QN_CHECK bool gossip_peer_info(const struct gossip *g, uint32_t peer, struct gossip_peer_info *ret);

struct gossip_topic_info {
    uint32_t peers, mesh, mesh_outbound, pending;
};
uint32_t gossip_topic_cnt(const struct gossip *g); /* topics are 0 .. cnt - 1 */
struct gossip_topic_info gossip_topic_info(const struct gossip *g, uint32_t topic);

struct gossip_stats {
    uint64_t rpc_in, rpc_out, bytes_in, bytes_out;
    uint64_t message_in, copy_in; /* bodies received; of these already known */
    uint64_t delivered, accepted, rejected, ignored;
    uint64_t message_out[GOSSIP_CLASS_CNT];
    uint64_t dropped; /* bodies not queued for want of room */
    uint64_t ihave_in, iwant_in, idontwant_in, graft_in, prune_in;
    uint64_t ihave_out, iwant_out, idontwant_out; /* ids */
    uint64_t px_in, px_out, px_unread; /* peers named in a PRUNE: taken, said, passed over */
    uint64_t over_budget;              /* parts of RPCs left unread because a budget was used up */
    uint64_t withheld, withheld_seen;  /* samples; of these the peer delivered */
};
const struct gossip_stats *gossip_stats(const struct gossip *g);

/* gossip_memory is what the machine holds in bytes, by its own count. */
size_t gossip_memory(const struct gossip *g);

#endif
