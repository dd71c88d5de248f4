/* net_calls.c - looking at peers, and dialling, pinging, banning them. */
#include "core/net/net.h"
#include "core/net/net_desk.h"
#include "core/net/reach_net.h"
#include "core/node/health.h"
#include "core/node/join.h"
#include "core/node/node.h"
#include "net/gossip/gossip.h"
#include "net/libp2p/discover.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema/declare.h"

#include "core/net/net.def"

#include "core/schema/define.h"

#include "core/net/net.def"

#define BAN_S       86400
#define BAN_MAX_S   (365 * 86400)
#define PREFIX      "12D3KooW" /* of every id with an Ed25519 key */
#define PREFIX_MIN  4          /* letters of an id, besides */
#define GROUPS_MAX  512
#define GROUPS_GOOD 3   /* fewer networks than this can be one attacker's */
#define CLOCK_MS    500 /* a block so far ahead of our clock: the clock is slow */

static qn_rc network(const struct qn_call_ctx *ctx, struct qn_net **ret, struct qn_why *why)
{
    *ret = qn_node_net(ctx->node);
    return *ret ? QN_OK
                : qn_why(why, QN_E_STATE,
                         "this node has no network: start it with quoin up --listen IP:PORT, or "
                         "--join ADDR");
}

static json_t *id_json(const struct qn_peer_id *id)
{
    char text[QN_PEER_TEXT_MAX];
    qn_peer_id_print(id, text);
    return json_string(text);
}

static json_t *addr_json(const struct qn_endpoint *e)
{
    struct qn_maddr addr;
    struct qn_endpoint bare = *e;
    char text[QN_MADDR_TEXT];
    bare.has_id = false;
    qn_maddr_of(&bare, &addr);
    qn_maddr_print(&addr, text);
    return json_string(text);
}

/* Foreign text, such as an agent, may be no UTF-8: then it has no place in JSON. */
static json_t *foreign(const char *text)
{
    json_t *ret = json_string(text);
    return ret ? ret : json_string("?");
}

/* "tx" of "/quoin/5f3a0000/tx/1" */
static void topic_name(const struct gossip *g, uint32_t topic, char dst[64])
{
    const char *at = gossip_topic_wire(g, topic);
    for (int slashes = 0; *at && slashes < 3; at++)
        slashes += *at == '/';
    snprintf(dst, 64, "%.*s", (int)strcspn(at, "/"), at);
}

/* Topics of a peer: those in whose mesh it is, and in parentheses those it only listens to. */
static void topics_of(const struct gossip *g, const struct gossip_peer_info *info, char dst[512])
{
    size_t len = 0;
    dst[0] = 0;
    for (uint32_t i = 0; i < gossip_topic_cnt(g) && len < 400; i++) {
        char name[64];
        bool in = info->meshed >> i & 1;
        if (!in && !(info->subscribed >> i & 1)) continue;
        topic_name(g, i, name);
        len += (size_t)snprintf(dst + len, 512 - len, in ? "%s%s" : "%s(%s)", len ? "," : "", name);
    }
}

/* --- who is meant ---------------------------------------------------------------------------------------------------- */

struct search {
    const char *begin;
    uint32_t cnt, peer;
    struct qn_peer_id id;
};

static void match(void *arg, const struct qn_peer_info *info)
{
    struct search *s = arg;
    char text[QN_PEER_TEXT_MAX];
    qn_peer_id_print(&info->id, text);
    const char *rest = strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? text + strlen(PREFIX) : text;
    if (strncmp(text, s->begin, strlen(s->begin)) != 0 &&
        strncmp(rest, s->begin, strlen(s->begin)) != 0)
        return;
    s->cnt++;
    s->peer = info->peer;
    s->id = info->id;
}

/* A peer by its id or the beginning of one. *ret_peer is 0 for a whole id that is not connected. */
static qn_rc who(struct qn_host *host, struct qn_span text, struct qn_peer_id *ret_id,
                 uint32_t *ret_peer, struct qn_why *why)
{
    char name[QN_PEER_TEXT_MAX];
    snprintf(name, sizeof name, "%.*s", (int)text.len, (const char *)text.ptr);
    *ret_peer = 0;
    if (qn_peer_id_parse(name, ret_id) == QN_OK) {
        if (!qn_host_find(host, ret_id, ret_peer)) *ret_peer = 0;
        return QN_OK;
    }
    size_t skip = strncmp(name, PREFIX, strlen(PREFIX)) == 0 ? strlen(PREFIX) : 0;
    struct search s = { .begin = name };
    if (strlen(name) < skip + PREFIX_MIN)
        return qn_why(why, QN_E_USAGE,
                      "a peer is named by its id, or by %d letters or more behind the " PREFIX
                      " that all begin with; see quoin net peers",
                      PREFIX_MIN);
    qn_host_peers(host, match, &s);
    if (s.cnt != 1)
        return qn_why(why, QN_E_NOTFOUND,
                      s.cnt ? "%u peers begin with %s"
                            : "%u peers begin with %s; see quoin net peers",
                      s.cnt, name);
    *ret_id = s.id;
    *ret_peer = s.peer;
    return QN_OK;
}

/* --- peers ------------------------------------------------------------------------------------------------------------- */

static json_t *peer_json(struct qn_node *node, const struct qn_peer_info *info)
{
    const struct gossip *g = qn_net_gossip(qn_node_net(node));
    struct gossip_peer_info score = { 0 };
    uint64_t now_ms = qn_env_mono_us(qn_env_real()) / 1000, up_ms = now_ms - info->up_ms, in_s,
             out_s;
    char topics[512] = "", text[QN_MADDR_TEXT];
    bool scored = g && gossip_peer_info(g, info->peer, &score);
    if (scored) topics_of(g, &score, topics);
    if (!net_desk_rate(qn_node_desk(node), info->peer, &in_s, &out_s)) { /* since it came */
        in_s = info->in_bytes * 1000 / QN_MAX(up_ms, (uint64_t)1000);
        out_s = info->out_bytes * 1000 / QN_MAX(up_ms, (uint64_t)1000);
    }
    json_t *listens = json_array(), *protos = json_array();
    for (uint32_t i = 0; i < info->addr_cnt; i++) {
        qn_maddr_print(&info->addrs[i], text);
        json_array_append_new(listens, foreign(text));
    }
    for (uint32_t i = 0; i < info->proto_cnt; i++)
        json_array_append_new(protos, foreign(info->protos[i]));
    json_t *ret =
        json_pack("{s:o, s:s, s:I, s:I, s:s, s:I, s:I, s:o}", "peer", id_json(&info->id), "dir",
                  info->outbound ? "out" : "in", "rtt_us", (json_int_t)info->rtt_us, "score_milli",
                  (json_int_t)score.score_milli, "topics", topics, "in_bytes_s", (json_int_t)in_s,
                  "out_bytes_s", (json_int_t)out_s, "agent", foreign(info->agent));
    /* Objects and lists: not columns of the table. */
    json_object_set_new(ret, "link",
                        json_pack("{s:o, s:I, s:i, s:I, s:I, s:I, s:I}", "addr",
                                  addr_json(&info->remote), "up_ms", (json_int_t)up_ms, "streams",
                                  (int)info->streams, "queued", (json_int_t)info->queued, "memory",
                                  (json_int_t)info->memory, "in_bytes", (json_int_t)info->in_bytes,
                                  "out_bytes", (json_int_t)info->out_bytes));
    json_object_set_new(ret, "sent",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "control",
                                  (json_int_t)info->class_bytes[QN_NET_CONTROL], "urgent",
                                  (json_int_t)info->class_bytes[QN_NET_URGENT], "block",
                                  (json_int_t)info->class_bytes[QN_NET_BLOCK], "tx",
                                  (json_int_t)info->class_bytes[QN_NET_TX], "request",
                                  (json_int_t)info->class_bytes[QN_NET_REQUEST], "blob",
                                  (json_int_t)info->class_bytes[QN_NET_BLOB]));
    json_object_set_new(ret, "gossip",
                        json_pack("{s:I, s:I}", "mesh_score_milli",
                                  (json_int_t)score.mesh_score_milli, "queued",
                                  (json_int_t)score.queued));
    json_object_set_new(ret, "listens", listens);
    json_object_set_new(ret, "protocols", protos);
    return ret;
}

struct listing {
    struct qn_node *node;
    json_t *list;
};

static void list_peer(void *arg, const struct qn_peer_info *info)
{
    struct listing *l = arg;
    json_array_append_new(l->list, peer_json(l->node, info));
}

static qn_rc net_peers(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    struct qn_net *net;
    qn_rc rc = network(ctx, &net, why);
    (void)params;
    if (rc) return rc;
    struct listing l = { ctx->node, json_array() };
    qn_host_peers(qn_net_host(net), list_peer, &l);
    *ret = l.list;
    return QN_OK;
}

static qn_rc net_peer(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_peer *p = params;
    struct qn_net *net;
    struct qn_peer_id id;
    struct qn_peer_info info;
    uint32_t peer = 0;
    qn_rc rc = network(ctx, &net, why);
    if (rc == QN_OK) rc = who(qn_net_host(net), p->peer, &id, &peer, why);
    if (rc) return rc;
    if (!qn_host_peer(qn_net_host(net), peer, &info))
        return qn_why(why, QN_E_NOTFOUND, "that peer is not connected");
    *ret = peer_json(ctx->node, &info);
    return QN_OK;
}

/* --- topics -------------------------------------------------------------------------------------------------------------- */

static qn_rc net_topics(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    struct qn_net *net;
    qn_rc rc = network(ctx, &net, why);
    (void)params;
    if (rc) return rc;
    const struct gossip *g = qn_net_gossip(net);
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

/* --- dial, ping, ban -------------------------------------------------------------------------------------------------------- */

/* Checked here, so that an odd word is the asker's and not a peer's. */
static qn_rc dial_begin(struct net_desk *desk, const char *addr, bool ping, uint64_t *ret_ticket,
                        struct qn_why *why)
{
    struct qn_maddr read;
    if (!*addr)
        return qn_why(
            why, QN_E_USAGE,
            "which address? IP:PORT, NAME:PORT, /ip4/IP/tcp/PORT/p2p/ID or /dnsaddr/NAME");
    return qn_maddr_parse(addr, &read, why) ? QN_E_USAGE
                                            : net_desk_dial(desk, addr, ping, ret_ticket, why);
}

static qn_rc net_dial(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_net_addr *p = params;
    struct qn_net *net;
    struct net_answer answer;
    struct net_desk *desk = qn_node_desk(ctx->node);
    char addr[QN_MADDR_TEXT];
    qn_rc rc = network(ctx, &net, why);
    if (rc) return rc;
    snprintf(addr, sizeof addr, "%.*s", (int)p->addr.len, (const char *)p->addr.ptr);
    if (!*ctx->state) rc = dial_begin(desk, addr, false, ctx->state, why);
    if (rc) return rc;
    struct qn_why cause = { "" };
    rc = net_desk_answer(desk, *ctx->state, &answer, &cause);
    if (rc == QN_E_AGAIN) return rc;
    if (rc)
        return qn_why(why, rc, "%s: %s; see quoin net doctor", addr,
                      cause.text[0] ? cause.text : qn_err_text(rc));
    *ret =
        json_pack("{s:o, s:I}", "peer", id_json(&answer.id), "dial_us", (json_int_t)answer.dial_us);
    return QN_OK;
}

static qn_rc ping_begin(struct qn_host *host, struct net_desk *desk, struct qn_span to,
                        uint64_t *ret_ticket, struct qn_why *why)
{
    char addr[QN_MADDR_TEXT];
    struct qn_peer_id id;
    uint32_t peer;
    snprintf(addr, sizeof addr, "%.*s", (int)to.len, (const char *)to.ptr);
    if (strpbrk(addr, "/:")) return dial_begin(desk, addr, true, ret_ticket, why);
    qn_rc rc = who(host, to, &id, &peer, why);
    return rc ? rc : net_desk_ping(desk, peer, ret_ticket, why);
}

static qn_rc net_ping(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_net_ping *p = params;
    struct qn_net *net;
    struct net_answer answer;
    struct net_desk *desk = qn_node_desk(ctx->node);
    qn_rc rc = network(ctx, &net, why);
    if (rc == QN_OK && !*ctx->state)
        rc = ping_begin(qn_net_host(net), desk, p->to, ctx->state, why);
    if (rc) return rc;
    struct qn_why cause = { "" };
    rc = net_desk_answer(desk, *ctx->state, &answer, &cause);
    if (rc == QN_E_AGAIN) return rc;
    if (rc)
        return qn_why(why, rc, "%.*s: %s; see quoin net doctor",
                      (int)QN_MIN(p->to.len, (size_t)100), (const char *)p->to.ptr,
                      cause.text[0] ? cause.text : qn_err_text(rc));
    *ret = json_pack("{s:o, s:I, s:I}", "peer", id_json(&answer.id), "rtt_us",
                     (json_int_t)answer.rtt_us, "dial_us", (json_int_t)answer.dial_us);
    return QN_OK;
}

static qn_rc net_ban(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct node_net_ban *p = params;
    struct qn_net *net;
    struct qn_peer_id id;
    uint32_t peer;
    uint64_t seconds = p->seconds.has ? p->seconds.v : BAN_S;
    qn_rc rc = network(ctx, &net, why);
    if (rc == QN_OK) rc = who(qn_net_host(net), p->peer, &id, &peer, why);
    if (rc) return rc;
    if (seconds > BAN_MAX_S)
        return qn_why(why, QN_E_USAGE, "seconds: a year, %d, at most", BAN_MAX_S);
    qn_host_ban(qn_net_host(net), &id, (uint32_t)seconds, "by the owner");
    *ret = json_pack("{s:o, s:I, s:b}", "peer", id_json(&id), "seconds", (json_int_t)seconds,
                     "was_connected", peer != 0);
    return QN_OK;
}

static void list_ban(void *arg, const struct qn_peer_id *id, uint32_t left_s, const char *reason)
{
    json_array_append_new(arg, json_pack("{s:o, s:I, s:o}", "peer", id_json(id), "left_s",
                                         (json_int_t)left_s, "reason", foreign(reason)));
}

static qn_rc net_bans(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    struct qn_net *net;
    qn_rc rc = network(ctx, &net, why);
    (void)params;
    if (rc) return rc;
    *ret = json_array();
    qn_host_bans(qn_net_host(net), list_ban, *ret);
    return QN_OK;
}

/* --- doctor ------------------------------------------------------------------------------------------------------------------ */

struct survey {
    const struct gossip *g;
    uint32_t peers, in, out, in_public, far; /* far: over the internet */
    int64_t worst_milli;
    uint64_t group[GROUPS_MAX];
    uint32_t group_cnt;
};

static void look(void *arg, const struct qn_peer_info *info)
{
    struct survey *s = arg;
    struct gossip_peer_info score;
    bool public = qn_endpoint_public(&info->remote), seen = false;
    uint64_t group = qn_endpoint_group(&info->remote);
    s->peers++;
    s->out += info->outbound;
    s->in += !info->outbound;
    s->in_public += public && !info->outbound;
    s->far += public;
    if (s->g && gossip_peer_info(s->g, info->peer, &score))
        s->worst_milli = QN_MIN(s->worst_milli, score.mesh_score_milli);
    for (uint32_t i = 0; i < s->group_cnt; i++)
        seen |= s->group[i] == group;
    if (!seen && s->group_cnt < GROUPS_MAX) s->group[s->group_cnt++] = group;
}

/* A line of the list; todo is what to do about it, NULL: nothing; "": it says so itself. */
QN_PRINTF(4, 5)
static void finding(json_t *list, const char *what, const char *todo, const char *fmt, ...)
{
    struct qn_buf text = { 0 };
    char said[QN_MADDR_TEXT + HEALTH_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(said, sizeof said, fmt, args);
    va_end(args);
    qn_buf_printf(&text, "%s%s%s", said, todo && *todo ? ": " : "", todo ? todo : "");
    json_array_append_new(list, json_pack("{s:s, s:s, s:s%}", "check", what, "state",
                                          todo ? "look" : "ok", "detail", (const char *)text.ptr,
                                          text.len));
    qn_buf_free(&text);
}

static void count_ban(void *arg, const struct qn_peer_id *id, uint32_t left_s, const char *reason)
{
    (void)id, (void)left_s, (void)reason;
    ++*(unsigned *)arg;
}

static void doctor_reach(json_t *list, struct qn_net *net, const struct survey *s, const char *own)
{
    const struct reach_net *rn = qn_net_reach(net);
    struct reach_net_info info = { .nat = "" };
    char at[NET_ADDR_TEXT], todo[100];
    if (rn) info = reach_net_info(rn);
    const struct qn_reach_info *r = &info.reach;
    net_addr_print(&r->addr, at);
    if (!qn_host_port(qn_net_host(net))) {
        finding(list, "reachable", "quoin up --listen IP:PORT lets others dial in",
                "no, it only dials");
        return;
    }
    switch (r->state) {
    case QN_REACH_YES:
        finding(list, "reachable", NULL, "yes, %s (%u of %u dialled back)", at, r->reached,
                r->asked);
        break;
    case QN_REACH_NO:
        snprintf(todo, sizeof todo,
                 "open TCP port %u in the router; a node that only dials works, too",
                 qn_host_port(qn_net_host(net)));
        finding(list, "reachable", todo, "no, %s (%u of %u dialled back)", at, r->reached,
                r->asked);
        break;
    case QN_REACH_UNKNOWN:
        finding(list, "reachable", NULL, "%s, %s",
                s->in_public ? "yes, from the internet"
                : s->in      ? "from this machine or house"
                             : "not known, nobody has dialled in yet",
                own);
        break;
    }
    if (*info.nat) finding(list, "router", NULL, "%s", info.nat);
}

static void doctor_peers(json_t *list, struct qn_node *node, const struct survey *s)
{
    struct qn_net *net = qn_node_net(node);
    char deaf[HEALTH_TEXT];
    struct qn_host *host = qn_net_host(net);
    unsigned bans = 0;
    char addr[QN_MADDR_TEXT];
    qn_net_addr(net, addr);
    qn_host_bans(host, count_ban, &bans);
    doctor_reach(list, net, s, addr);
    finding(list, "peers",
            !s->peers && health_deaf(node, deaf) ? deaf
            : !s->peers                          ? "quoin net dial ADDR, or start with --join ADDR"
            : s->far && !s->out
                ? "all came by themselves, so an attacker could be all of them; dial some"
                : NULL,
            "%u out, %u in, %u banned", s->out, s->in, bans);
    finding(list, "groups",
            s->far && s->far == s->peers && s->group_cnt < GROUPS_GOOD
                ? "one owner could have them all; dial others"
                : NULL,
            "peers are of %u network%s", s->group_cnt, s->group_cnt == 1 ? "" : "s");
}

static void doctor_mesh(json_t *list, const struct gossip *g, const struct survey *s)
{
    for (uint32_t i = 0; g && i < gossip_topic_cnt(g); i++) {
        struct gossip_topic_info info = gossip_topic_info(g, i);
        char name[64], what[80];
        topic_name(g, i, name);
        snprintf(what, sizeof what, "mesh %s", name);
        finding(list, what,
                info.mesh == 0 && info.peers ? "no peer lets us in; see quoin net peers" : NULL,
                "%u of %u peers, %u of them dialled by us", info.mesh, info.peers,
                info.mesh_outbound);
    }
    if (s->worst_milli != INT64_MAX)
        finding(list, "lowest score", s->worst_milli < 0 ? "see quoin net peers" : NULL, "%.1f",
                (double)s->worst_milli / 1000);
}

static qn_rc net_doctor(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    struct qn_net *net;
    qn_rc rc = network(ctx, &net, why);
    (void)params;
    if (rc) return rc;
    const struct qn_replica_info info = qn_replica_info(qn_node_replica(ctx->node));
    const struct qn_host_stat stat = qn_host_stat(qn_net_host(net));
    struct survey s = { .g = qn_net_gossip(net), .worst_milli = INT64_MAX };
    int64_t age_ms = (int64_t)qn_env_now_ms(ctx->env) - (int64_t)qn_view_now_ms(ctx->view);
    char text[HEALTH_TEXT], halt[HEALTH_TEXT];
    json_t *list = *ret = json_array();
    qn_host_peers(qn_net_host(net), look, &s);
    doctor_peers(list, ctx->node, &s);
    if (qn_net_discover(net)) {
        struct qn_discover_info d = qn_discover_info(qn_net_discover(net));
        finding(list, "addresses",
                d.tried + d.told ? NULL : "quoin net dial IP:PORT, or up with --join IP:PORT",
                "%u answered once, %u heard of; hash table: %u peers, %u records%s", d.tried,
                d.told, d.kad.peers, d.kad.records, d.server ? "" : ", not served to others");
    }
    if (qn_net_foreign(net))
        finding(list, "other chains", NULL, "%u peers turned away; quoin net bans lists them",
                qn_net_foreign(net));
    uint32_t others = qn_net_others(net);
    if (others)
        finding(list, "other versions", "the older of both builds needs a newer one",
                "%u peer%s of this chain speak%s another version of its protocol, and %s not used",
                others, others == 1 ? "" : "s", others == 1 ? "s" : "", others == 1 ? "is" : "are");
    doctor_mesh(list, s.g, &s);
    bool out = health_self(ctx, text), halted = health_halted(ctx, halt);
    char joins[JOIN_TEXT] = "";
    if (qn_node_join(ctx->node)) join_text(qn_node_join(ctx->node), joins);
    finding(list, "validator", out ? "" : NULL, "%s", text);
    finding(list, "chain",
            joins[0]       ? joins
            : info.syncing ? "it is catching up"
            : halted       ? halt
                           : NULL,
            "block %" PRIu64 ", peers have %" PRIu64, info.height, info.peer_height);
    /* Blocks carry their proposers' clocks, and each is later than the one before. */
    finding(list, "clock",
            age_ms < -CLOCK_MS ? "this clock is slow; sudo timedatectl set-ntp true" : NULL,
            "the last block is %.1f s %s", (double)(age_ms < 0 ? -age_ms : age_ms) / 1000,
            age_ms < 0 ? "in the future" : "old");
    finding(list, "memory", NULL, "%.1f MiB held for peers, %.1f at most so far",
            (double)stat.memory / 1048576, (double)stat.memory_high / 1048576);
    finding(list, "since start", NULL,
            "%" PRIu64 " handshakes, %" PRIu64 " failed; %" PRIu64 " connections refused, %" PRIu64
            " evicted; %" PRIu64 " offences",
            stat.handshakes, stat.handshake_fails, stat.refused, stat.evicted, stat.blames);
    return QN_OK;
}

const struct qn_call QN_NET_CALLS[] = {
    { "net.peers",
      "who is connected: round trip, score, meshes it is in (others in parentheses), bytes a "
      "second",
      "net peers", QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "peer dir rtt_us score_milli topics in_bytes_s out_bytes_s agent link sent gossip listens "
      "protocols",
      net_peers },
    { "net.peer", "all that is known of a connected peer", "net peer 12D3KooWD3eck..",
      QN_CALL_QUERY | QN_CALL_LOCAL, node_peer_record, "peer",
      "peer dir rtt_us score_milli topics in_bytes_s out_bytes_s agent link sent gossip listens "
      "protocols",
      net_peer },
    { "net.dial", "connect to an address, once; --join of quoin up stays in touch",
      "net dial 192.0.2.7:4460", QN_CALL_LOCAL, node_net_addr_record, "addr", "peer dial_us",
      net_dial },
    { "net.ping", "measure a round trip to a peer, or to an address that is dialled for it",
      "net ping 192.0.2.7:4460", QN_CALL_LOCAL, node_net_ping_record, "to", "peer rtt_us dial_us",
      net_ping },
    { "net.ban", "close a peer's connections and refuse it for a while, until a restart at most",
      "net ban 12D3KooWD3eck.. 3600", QN_CALL_LOCAL, node_net_ban_record, "peer seconds",
      "peer seconds was_connected", net_ban },
    { "net.bans", "who is refused, why, and for how much longer", "net bans",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "peer left_s reason", net_bans },
    { "net.topics", "what is gossiped, with how many peers and how many in the mesh", "net topics",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL,
      "topic peers mesh outbound pending wire", net_topics },
    { "net.doctor", "how this node stands in its network, and what to do about it", "net doctor",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "check state detail", net_doctor },
    { 0 },
};
