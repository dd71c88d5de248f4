/* net_metrics.c - what /metrics tells of the network. */
#include "core/net/net.h"

#include "net/gossip/gossip.h"

#include <inttypes.h>

static void head(struct qn_buf *out, const char *name, const char *type)
{
    qn_buf_printf(out, "# TYPE quoin_net_%s %s\n", name, type);
}

static void one(struct qn_buf *out, const char *name, const char *type, uint64_t value)
{
    head(out, name, type);
    qn_buf_printf(out, "quoin_net_%s %" PRIu64 "\n", name, value);
}

static void count_dir(void *arg, const struct qn_peer_info *info)
{
    ((uint32_t *)arg)[info->outbound]++;
}

static void gossip_lines(const struct gossip *g, struct qn_buf *out)
{
    const struct gossip_stats *s = gossip_stats(g);
    one(out, "gossip_messages_in_total", "counter", s->message_in);
    one(out, "gossip_copies_in_total", "counter", s->copy_in); /* of these, known before */
    one(out, "gossip_accepted_total", "counter", s->accepted);
    one(out, "gossip_rejected_total", "counter", s->rejected);
    one(out, "gossip_dropped_total", "counter", s->dropped);
    one(out, "gossip_over_budget_total", "counter", s->over_budget);
    head(out, "gossip_mesh_peers", "gauge");
    for (uint32_t i = 0; i < gossip_topic_cnt(g); i++)
        qn_buf_printf(out, "quoin_net_gossip_mesh_peers{topic=\"%s\"} %u\n",
                      gossip_topic_wire(g, i), gossip_topic_info(g, i).mesh);
}

void qn_net_metrics(struct qn_net *net, struct qn_buf *out)
{
    static const char *const CLASSES[QN_NET_CLASS_CNT] = {
        [QN_NET_CONTROL] = "control", [QN_NET_URGENT] = "urgent",   [QN_NET_BLOCK] = "block",
        [QN_NET_TX] = "tx",           [QN_NET_REQUEST] = "request", [QN_NET_BLOB] = "blob",
    };
    const struct qn_host_stat s = qn_host_stat(qn_net_host(net));
    uint32_t peers[2] = { 0 }; /* in, out */
    qn_host_peers(qn_net_host(net), count_dir, peers);
    head(out, "peers", "gauge");
    qn_buf_printf(out, "quoin_net_peers{dir=\"in\"} %u\nquoin_net_peers{dir=\"out\"} %u\n",
                  peers[0], peers[1]);
    one(out, "in_bytes_total", "counter", s.in_bytes);
    one(out, "out_bytes_total", "counter", s.out_bytes);
    head(out, "sent_bytes_total", "counter");
    for (int i = 0; i < QN_NET_CLASS_CNT; i++)
        qn_buf_printf(out, "quoin_net_sent_bytes_total{class=\"%s\"} %" PRIu64 "\n", CLASSES[i],
                      s.class_bytes[i]);
    one(out, "handshakes_total", "counter", s.handshakes);
    one(out, "handshake_fails_total", "counter", s.handshake_fails);
    one(out, "refused_total", "counter", s.refused);
    one(out, "evicted_total", "counter", s.evicted);
    one(out, "foreign_total", "counter", qn_net_foreign(net)); /* peers of other chains */
    one(out, "blames_total", "counter", s.blames);
    one(out, "memory_bytes", "gauge", s.memory);
    one(out, "memory_high_bytes", "gauge", s.memory_high);
    if (qn_net_gossip(net)) gossip_lines(qn_net_gossip(net), out);
}
