/* gossip_net.h - the gossip machine (net/gossip) on a libp2p host: one meshsub stream each way a peer, time from the loop.
 *
 * Topics are added after opening; a message not seen before comes to on_message, whose answer says whether others should have it. Inside
 * on_message qn_gossip_publish and qn_gossip_verdict may be called. All of it runs on the host's loop. */
#ifndef QN_CORE_NET_GOSSIP_NET_H
#define QN_CORE_NET_GOSSIP_NET_H

#include "core/env/env.h"
#include "net/gossip/gossip.h"

struct event_base;
struct qn_host;
struct qn_gossip;
struct qn_peer_id;

struct qn_gossip_conf {
    struct event_base *base;
    struct qn_host *host; /* borrowed; closed right after the gossip, before the loop turns again */
    const struct qn_env *env;
    struct qn_hash genesis;
    void *arg;
    /* data is lent for the call. After GOSSIP_LATER: qn_gossip_verdict, within a minute. */
    enum gossip_verdict (*on_message)(void *arg, uint32_t topic, uint32_t peer, uint64_t handle,
                                      struct qn_span data);
    /* Fellow validators and configured peers: always sent everything, outside the mesh. NULL: none. */
    bool (*is_explicit)(void *arg, const struct qn_peer_id *id);
    /* P5 of a peer that came, in points (gossip_peer_credit). NULL: none. */
    int32_t (*credit)(void *arg, uint32_t peer);
    /* Peer exchange: whether others may hear of a peer (NULL: of all), and what to do with one that `from` named: QN_E_SIGNATURE when it is a
     * lie. NULL: what others name is not read. */
    bool (*tellable)(void *arg, uint32_t peer);
    qn_rc (*on_px)(void *arg, uint32_t from, struct qn_span id, struct qn_span record);
};

QN_CHECK qn_rc qn_gossip_open(const struct qn_gossip_conf *conf, struct qn_gossip **ret,
                              struct qn_why *why);
void qn_gossip_close(struct qn_gossip *gn);

QN_CHECK qn_rc qn_gossip_topic(struct qn_gossip *gn, const struct gossip_topic_conf *conf,
                               uint32_t *ret_topic);
/* qn_gossip_publish: QN_E_TOOBIG, QN_E_DUPLICATE; without a peer it is QN_OK all the same. */
QN_CHECK qn_rc qn_gossip_publish(struct qn_gossip *gn, uint32_t topic, struct qn_span data);
QN_CHECK qn_rc qn_gossip_publish_mesh(struct qn_gossip *gn, uint32_t topic, struct qn_span data);
void qn_gossip_verdict(struct qn_gossip *gn, uint64_t handle, enum gossip_verdict verdict);
/* qn_gossip_machine lends the machine for its readers and gossip_peer_credit, gossip_peer_fault. */
struct gossip *qn_gossip_machine(struct qn_gossip *gn);

#endif
