/* net_calls.c - calls about the network: who is there, what is thought of them, what travels. */
#include "core/node/net.h"
#include "core/node/node.h"
#include "core/node/registry.h"
#include "net/gossip/gossip.h"
#include "net/link/ip.h"

#include "core/schema/declare.h"

#include "core/node/net_calls.def"

#include "core/schema/define.h"

#include "core/node/net_calls.def"

#include <stdio.h>
#include <string.h>

/* The short name of a topic: "tx" of "/quoin/0f3a..2c/tx/1". */
static void topic_name(const struct gossip *g, uint32_t topic, char dst[64])
{
    const char *wire = gossip_topic_wire(g, topic), *name = wire + strlen("/quoin/00000000/");
    snprintf(dst, 64, "%.*s", (int)strcspn(name, "/"), name);
}

static void topics_of(const struct gossip *g, uint32_t bits, char *dst, size_t len)
{
    char name[64];
    size_t at = 0;
    dst[0] = 0;
    for (uint32_t i = 0; g && i < gossip_topic_cnt(g) && at < len; i++) {
        if (!(bits >> i & 1)) continue;
        topic_name(g, i, name);
        at += (size_t)snprintf(dst + at, len - at, "%s%s", at ? "," : "", name);
    }
}

static json_t *peer_json(struct qn_net *net, const struct qn_peer_info *info)
{
    char id[QN_PEER_TEXT_MAX], topics[1024];
    struct gossip_peer_info said = { 0 };
    struct gossip *g = qn_net_gossip(net);
    qn_peer_id_print(&info->id, id);
    if (g && !gossip_peer_info(g, info->peer, &said)) said.meshed = 0;
    topics_of(g, said.meshed, topics, sizeof topics);
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:s}", "peer", id, "dir",
                     info->outbound ? "out" : "in", "rtt_us", (json_int_t)info->rtt_us,
                     "score_milli", (json_int_t)said.score_milli, "mesh", topics, "in_bytes",
                     (json_int_t)info->in_bytes, "out_bytes", (json_int_t)info->out_bytes, "agent",
                     info->agent);
}

struct listing {
    struct qn_net *net;
    json_t *list;
};

static void add_peer(void *arg, const struct qn_peer_info *info)
{
    struct listing *l = arg;
    json_array_append_new(l->list, peer_json(l->net, info));
}

static qn_rc net_peers(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    struct listing l = { qn_node_net(ctx->node), json_array() };
    (void)params, (void)why;
    if (l.net) qn_host_peers(qn_net_host(l.net), add_peer, &l);
    *ret = l.list;
    return QN_OK;
}

static qn_rc the_net(const struct qn_call_ctx *ctx, struct qn_net **ret, struct qn_why *why)
{
    *ret = qn_node_net(ctx->node);
    return *ret ? QN_OK
                : qn_why(why, QN_E_STATE,
                         "this node is a network of one: `quoin up --listen` or `--join`");
}

static qn_rc read_id(struct qn_span text, struct qn_peer_id *ret, struct qn_why *why)
{
    char id[QN_PEER_TEXT_MAX + 1];
    snprintf(id, sizeof id, "%.*s", (int)text.len, (const char *)text.ptr);
    qn_rc rc = qn_peer_id_parse(id, ret);
    return rc ? qn_why(why, QN_E_USAGE, "'%s' is no peer id", id) : QN_OK;
}

static qn_rc net_peer(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct net_peer *p = params;
    struct qn_net *net;
    struct qn_peer_id id;
    struct qn_peer_info info;
    uint32_t peer;
    qn_rc rc = the_net(ctx, &net, why);
    rc = rc ? rc : read_id(p->peer, &id, why);
    if (rc) return rc;
    struct qn_host *host = qn_net_host(net);
    if (!qn_host_find(host, &id, &peer) || !qn_host_peer(host, peer, &info))
        return qn_why(why, QN_E_NOTFOUND, "no such peer is connected");
    json_t *obj = peer_json(net, &info), *protos = json_array(), *addrs = json_array();
    for (uint32_t i = 0; i < info.proto_cnt; i++)
        json_array_append_new(protos, json_string(info.protos[i]));
    for (uint32_t i = 0; i < info.addr_cnt; i++) {
        char text[QN_MADDR_TEXT];
        qn_maddr_print(&info.addrs[i], text);
        json_array_append_new(addrs, json_string(text));
    }
    json_object_set_new(obj, "protocols", protos);
    json_object_set_new(obj, "addresses", addrs);
    json_object_set_new(obj, "up_ms",
                        json_integer((json_int_t)(qn_env_mono_us(ctx->env) / 1000 - info.up_ms)));
    json_object_set_new(obj, "queued", json_integer((json_int_t)info.queued));
    json_object_set_new(obj, "memory", json_integer((json_int_t)info.memory));
    json_object_set_new(obj, "streams", json_integer((json_int_t)info.streams));
    *ret = obj;
    return QN_OK;
}

static qn_rc net_dial(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct net_addr_at *p = params;
    char addr[QN_MADDR_TEXT + 1], id[QN_PEER_TEXT_MAX];
    struct qn_net *net;
    struct qn_peer_info info;
    uint32_t peer;
    qn_rc rc = the_net(ctx, &net, why);
    if (rc) return rc;
    snprintf(addr, sizeof addr, "%.*s", (int)p->addr.len, (const char *)p->addr.ptr);
    rc = qn_net_dial(net, addr, ctx->state, &peer, why);
    if (rc) return rc;
    if (!qn_host_peer(qn_net_host(net), peer, &info))
        return qn_why(why, QN_E_IO, "the peer was there and is gone again");
    qn_peer_id_print(&info.id, id);
    *ret = json_pack("{s:s}", "peer", id);
    return QN_OK;
}

static qn_rc net_ban(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct net_ban *p = params;
    struct qn_net *net;
    struct qn_peer_id id;
    qn_rc rc = the_net(ctx, &net, why);
    rc = rc ? rc : read_id(p->peer, &id, why);
    if (rc) return rc;
    qn_host_ban(qn_net_host(net), &id, p->seconds, "by the owner");
    *ret = json_pack("{s:I}", "seconds", (json_int_t)p->seconds);
    return QN_OK;
}

static qn_rc net_topics(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    struct qn_net *net = qn_node_net(ctx->node);
    struct gossip *g = net ? qn_net_gossip(net) : NULL;
    (void)params, (void)why;
    *ret = json_array();
    for (uint32_t i = 0; g && i < gossip_topic_cnt(g); i++) {
        struct gossip_topic_info info = gossip_topic_info(g, i);
        char name[64];
        topic_name(g, i, name);
        json_array_append_new(*ret, json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "topic", name,
                                              "peers", (int)info.peers, "mesh", (int)info.mesh,
                                              "outbound", (int)info.mesh_outbound, "pending",
                                              (int)info.pending, "wire", gossip_topic_wire(g, i)));
    }
    return QN_OK;
}

static void finding(json_t *list, const char *what, bool ok, const char *detail)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "check", what, "state",
                                          ok ? "ok" : "look", "detail", detail));
}

struct census {
    uint32_t in, out, group_cnt;
    uint64_t groups[512];
    int64_t worst_milli;
    const struct gossip *g;
};

static void count_peer(void *arg, const struct qn_peer_info *info)
{
    struct census *c = arg;
    struct gossip_peer_info said;
    struct net_ip ip =
        net_ip4(info->remote.ip[0], info->remote.ip[1], info->remote.ip[2], info->remote.ip[3]);
    if (info->remote.v6) memcpy(ip.b, info->remote.ip, sizeof ip.b);
    uint64_t group = net_ip_group(&ip);
    *(info->outbound ? &c->out : &c->in) += 1;
    uint32_t i = 0;
    while (i < c->group_cnt && c->groups[i] != group)
        i++;
    if (i == c->group_cnt && i < QN_COUNT(c->groups)) c->groups[c->group_cnt++] = group;
    if (c->g && gossip_peer_info(c->g, info->peer, &said))
        c->worst_milli = QN_MIN(c->worst_milli, said.score_milli);
}

static qn_rc net_doctor(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    struct qn_net *net = qn_node_net(ctx->node);
    json_t *list = json_array();
    char text[QN_MADDR_TEXT + 64];
    (void)params, (void)why;
    *ret = list;
    if (!net) {
        finding(list, "network", true, "a network of one: nobody to talk to");
        return QN_OK;
    }
    struct gossip *g = qn_net_gossip(net);
    struct census c = { .g = g };
    struct qn_host_stat stat = qn_host_stat(qn_net_host(net));
    qn_host_peers(qn_net_host(net), count_peer, &c);
    qn_net_addr(net, text);
    finding(list, "listens", text[0] != 0,
            text[0] ? text : "no: others cannot dial this node (--listen)");
    snprintf(text, sizeof text, "%u out, %u in, of %u networks", c.out, c.in, c.group_cnt);
    finding(list, "peers", c.out + c.in > 0, text);
    for (uint32_t i = 0; g && i < gossip_topic_cnt(g); i++) {
        struct gossip_topic_info info = gossip_topic_info(g, i);
        char name[64], what[80];
        topic_name(g, i, name);
        snprintf(what, sizeof what, "mesh %s", name);
        snprintf(text, sizeof text, "%u of %u peers, %u dialled by us", info.mesh, info.peers,
                 info.mesh_outbound);
        finding(list, what, info.mesh > 0 || info.peers == 0, text);
    }
    snprintf(text, sizeof text, "%.1f", (double)c.worst_milli / 1000.0);
    finding(list, "lowest score", c.worst_milli >= 0, text);
    snprintf(text, sizeof text, "%.1f MiB for peers, %.1f at most so far",
             (double)stat.memory / 1048576.0, (double)stat.memory_high / 1048576.0);
    finding(list, "memory", true, text);
    snprintf(text, sizeof text,
             "%llu handshakes, %llu failed, %llu connections refused, %llu evicted, %llu offences",
             (unsigned long long)stat.handshakes, (unsigned long long)stat.handshake_fails,
             (unsigned long long)stat.refused, (unsigned long long)stat.evicted,
             (unsigned long long)stat.blames);
    finding(list, "since the start", true, text);
    return QN_OK;
}

const struct qn_call QN_NET_CALLS[] = {
    { "net.peers", "who is connected, and what is thought of them", "net peers",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "peer dir rtt_us score_milli mesh in_bytes out_bytes agent", net_peers },
    { "net.peer", "all that is known of a connected peer", "net peer 12D3KooW..",
      QN_CALL_QUERY | QN_CALL_LOCAL, net_peer_record, "peer",
      "peer dir rtt_us score_milli mesh in_bytes out_bytes agent protocols addresses up_ms queued "
      "memory streams",
      net_peer },
    { "net.dial", "connect to a peer", "net dial 127.0.0.1:4460", QN_CALL_LOCAL, net_addr_at_record,
      "addr", "peer", net_dial },
    { "net.ban", "close a peer's connections and refuse it for a while", "net ban 12D3KooW.. 3600",
      QN_CALL_LOCAL, net_ban_record, "peer seconds", "seconds", net_ban },
    { "net.topics", "what travels through the mesh, and with whom", "net topics",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "topic peers mesh outbound pending wire", net_topics },
    { "net.doctor", "is this node well connected?", "net doctor",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "check state detail", net_doctor },
    { 0 },
};
