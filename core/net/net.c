/* net.c - host, dialling, and the ledger's messages between peers. */
#include "core/net/net.h"

#include "core/net/coded.h"
#include "core/net/compact_net.h"
#include "core/net/gossip_net.h"
#include "core/net/reach_net.h"
#include "core/net/votes.h"
#include "net/libp2p/chain.h"
#include "net/libp2p/discover.h"
#include "net/libp2p/frames.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_MAX       64
#define GENESIS_MAX    (1u << 20)
#define GENESIS_MS     30000
#define REDIAL_MIN     250 /* ms */
#define REDIAL_MAX     15000
#define REDIAL_SAY     1000 /* who does not answer by then is worth a line */
#define QUEUE_TX       (1u << 20)
#define QUEUE_BIG      (16u << 20) /* proposals, and blocks for who is behind: two messages at most */
#define VOTE_BYTES     (64u << 10) /* longer proposals do not stand before votes */
#define FOREIGN_SAY_MS 10000
#define FOREIGN_BAN_S  600
#define VERSION_SAY_MS 60000 /* one line a while, however many come and go */
/* P5 of a peer that a person named (join): as a validator's. So the peers that it names when its mesh is full are looked at. */
#define JOIN_POINTS  100
#define LEAVERS      16
#define GENESIS_NAME "/quoin/genesis/1"

#define VIEWS_AHEAD  8 /* of ours, and behind: those whose proposals are put together */
#define VIEWS_BEHIND 1
#define WIRE_VERSION                                                                               \
    2 /* of sync.def's messages: the protocol and topics that carry them end in it */
#define KIND_PROPOSAL 5 /* of sync.def */

enum { TOPIC_TX, TOPIC_VOTE, TOPIC_BLOCK, TOPIC_COMPACT, TOPIC_CNT };
/* What a replica makes of votes and blocks depends on where it stands: only transactions are fit for samples (unsampled). */
static const struct gossip_topic_conf TOPICS[TOPIC_CNT] = {
    [TOPIC_TX] = { "tx", 128u << 10, GOSSIP_TX, 500, false, false, WIRE_VERSION },
    [TOPIC_VOTE] = { "vote", VOTE_BYTES, GOSSIP_VOTE, 1000, false, true,
                     WIRE_VERSION }, /* and certificates */
    [TOPIC_BLOCK] = { "block", GOSSIP_DATA_MAX, GOSSIP_BLOCK, 1000, false, true, WIRE_VERSION },
    [TOPIC_COMPACT] = { "compact", GOSSIP_DATA_MAX, GOSSIP_BLOCK, 1000, false, true, WIRE_VERSION },
};

struct joint {
    struct qn_net *net;
    char addr[QN_MADDR_TEXT];
    uint32_t peer; /* 0: not connected */
    bool dialling;
    uint64_t at_ms, wait_ms; /* monotonic: when to dial again */
    char cause[100];         /* of the last failure; "": none */
    bool said;               /* it was told, once until it answers */
};

/* Of another chain, and hanging up: once it went it stays away. */
struct leaver {
    uint32_t peer; /* 0: free */
    char other[QN_CHAIN_HEX];
};

struct qn_net {
    struct qn_net_conf conf;
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_frames *frames;
    struct qn_gossip *gossip;
    struct qn_coded *coded;
    struct qn_discover *discover;
    struct reach_net *reach;
    struct net_nat_conf nat;
    char kad_proto[64];
    char *book;
    struct qn_compact *compact;
    uint32_t topics[TOPIC_CNT];
    uint32_t coded_epoch; /* of the last proposal that went out in pieces, and.. */
    uint64_t coded_view;
    struct qn_replica *replica;
    char proto[64], chain[QN_CHAIN_HEX];
    uint32_t foreign;        /* peers of other chains that were turned away */
    uint64_t foreign_say_ms; /* when the next may be worth a line */
    uint64_t version_say_ms;
    struct leaver leavers[LEAVERS];
    void (*turn)(void *arg);
    void *turn_arg;
    struct joint joins[JOIN_MAX];
    unsigned join_cnt;
    struct event *tick;
    struct votes *votes;
    /* While a genesis is wanted. */
    struct qn_buf *genesis;
    bool got, want;
};

static uint64_t mono_ms(void)
{
    return qn_env_mono_us(qn_env_real()) / 1000;
}

/* --- the genesis ------------------------------------------------------------------------------------------------------------ */

static void serve_genesis(void *arg, struct qn_stream *s)
{
    struct qn_net *net = arg;
    if (!net->replica) {
        qn_stream_reset(s);
        return;
    }
    if (qn_stream_write(s, qn_chain_genesis(qn_replica_chain(net->replica)))) qn_stream_reset(s);
    qn_stream_finish(s);
}

static void on_genesis(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct qn_net *net = arg;
    if (!net->genesis || net->got) return;
    if (net->genesis->len + bytes.len > GENESIS_MAX)
        qn_stream_reset(s);
    else
        qn_buf_span(net->genesis, bytes);
}

static void on_genesis_end(void *arg, struct qn_stream *s)
{
    struct qn_net *net = arg;
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis g;
    if (net->genesis && !net->got) {
        net->got =
            qn_decode(qn_genesis_record(), qn_buf_get(net->genesis), &arena, &g, NULL) == QN_OK;
        if (!net->got) qn_buf_clear(net->genesis);
        if (net->got) event_base_loopbreak(net->conf.base);
    }
    qn_arena_free(&arena);
    qn_stream_finish(s);
}

/* It answers, but with no chain: two that join each other would wait in silence. */
static void say_none(struct qn_net *net, uint32_t peer)
{
    for (unsigned i = 0; i < net->join_cnt; i++) {
        struct joint *j = &net->joins[i];
        if (j->peer != peer || j->said) continue;
        j->said = true;
        fprintf(stderr,
                "quoin: join: %s: it is there, and has no chain yet; asked again for %d s, then "
                "this node ends. Somebody begins: quoin up without --join\n",
                j->addr, GENESIS_MS / 1000);
    }
}

static void on_genesis_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct qn_net *net = arg;
    (void)end;
    if (!net->got && net->genesis) {
        qn_buf_clear(net->genesis);
        say_none(net, qn_stream_peer(s));
    }
    net->want = !net->got;
}

static const struct qn_stream_ops SERVE_GENESIS = { .on_open = serve_genesis };
static const struct qn_stream_ops ASK_GENESIS = { .on_data = on_genesis,
                                                  .on_finish = on_genesis_end,
                                                  .on_close = on_genesis_close };

/* Only those whom `join` names: whose chain this becomes is not for whoever dials us first to say. */
static void ask_genesis(struct qn_net *net, uint32_t peer)
{
    struct qn_stream *s;
    if (!net->genesis || net->got || !net->want) return;
    if (qn_host_stream(net->host, peer, GENESIS_NAME, QN_NET_CONTROL, &ASK_GENESIS, net, &s) ==
        QN_OK)
        net->want = false;
}

qn_rc qn_net_genesis(struct qn_net *net, const bool *end, struct qn_buf *ret, struct qn_why *why)
{
    uint64_t until = mono_ms() + GENESIS_MS;
    struct qn_buf causes = { 0 };
    net->genesis = ret;
    net->want = true;
    while (!net->got && !*end && mono_ms() < until)
        event_base_loop(net->conf.base, EVLOOP_ONCE);
    net->genesis = NULL;
    if (net->got) return QN_OK;
    if (*end) return QN_E_AGAIN;
    for (unsigned i = 0; i < net->join_cnt; i++) {
        const struct joint *j = &net->joins[i];
        qn_buf_printf(&causes, "%s%.120s: %s", i ? "; " : "", j->addr,
                      j->peer       ? "it is there, and has no chain yet"
                      : j->cause[0] ? j->cause
                                    : "no answer");
    }
    qn_buf_u8(&causes, 0);
    qn_why(why, QN_E_TIMEOUT,
           "no peer gave a genesis within %d s; try quoin net doctor there: %.300s",
           GENESIS_MS / 1000, (const char *)causes.ptr);
    qn_buf_free(&causes);
    return QN_E_TIMEOUT;
}

/* --- staying in touch --------------------------------------------------------------------------------------------------------- */

static void unanswered(struct joint *j, qn_rc rc, const struct qn_why *why)
{
    snprintf(j->cause, sizeof j->cause, "%.99s", why && why->text[0] ? why->text : qn_err_text(rc));
    if (j->said || j->wait_ms < REDIAL_SAY) return;
    j->said = true;
    if (j->net->genesis)
        fprintf(stderr, "quoin: join: %s: %s; dialled again for %d s, then this node ends\n",
                j->addr, j->cause, GENESIS_MS / 1000);
    else
        fprintf(stderr, "quoin: join: %s: %s; dialled again until it answers\n", j->addr, j->cause);
}

static void on_dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct joint *j = arg;
    j->dialling = false;
    if (rc) {
        unanswered(j, rc, why);
        return;
    }
    j->peer = peer;
    if (j->net->gossip) gossip_peer_credit(qn_gossip_machine(j->net->gossip), peer, JOIN_POINTS);
    j->wait_ms = 0;
    j->cause[0] = 0;
    j->said = false;
    ask_genesis(j->net, peer);
}

static void redial(struct qn_net *net)
{
    uint64_t now = mono_ms();
    for (unsigned i = 0; i < net->join_cnt; i++) {
        struct joint *j = &net->joins[i];
        struct qn_why why = { "" };
        if (j->peer || j->dialling || now < j->at_ms) continue;
        j->wait_ms = QN_MIN(QN_MAX(j->wait_ms * 2, (uint64_t)REDIAL_MIN), (uint64_t)REDIAL_MAX);
        j->at_ms = now + j->wait_ms;
        qn_rc rc = qn_host_dial(net->host, j->addr, on_dialled, j, &why);
        j->dialling = rc == QN_OK;
        if (rc) unanswered(j, rc, &why);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct qn_net *net = arg;
    const struct timeval soon = { 0, 100000 };
    (void)fd;
    (void)what;
    redial(net);
    for (unsigned i = 0; i < net->join_cnt; i++)
        if (net->joins[i].peer) ask_genesis(net, net->joins[i].peer);
    event_add(net->tick, &soon);
}

static void ban_foreign(struct qn_net *net, const struct qn_peer_id *id, const char *other)
{
    char what[64];
    snprintf(what, sizeof what, "of another chain, %s", other);
    qn_host_ban(net->host, id, FOREIGN_BAN_S, what);
}

static void on_host_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up,
                         bool outbound)
{
    struct qn_net *net = arg;
    (void)outbound;
    if (up) return;
    for (unsigned i = 0; i < net->join_cnt; i++)
        if (net->joins[i].peer == peer) net->joins[i].peer = 0;
    for (unsigned i = 0; i < LEAVERS; i++)
        if (net->leavers[i].peer == peer) {
            net->leavers[i].peer = 0;
            ban_foreign(net, id, net->leavers[i].other);
        }
}

/* --- other chains -------------------------------------------------------------------------------------------------------------- */

/* A peer's name and where it is, for a line. */
static void peer_text(const struct qn_peer_info *info, char id[QN_PEER_TEXT_MAX],
                      char at[QN_MADDR_TEXT])
{
    struct qn_endpoint bare = info->remote;
    struct qn_maddr addr;
    bare.has_id = false;
    qn_peer_id_print(&info->id, id);
    qn_maddr_of(&bare, &addr);
    qn_maddr_print(&addr, at);
}

/* Of our chain, in a version that this build does not speak: frames do not reach it, so nothing else needs doing. It may still help others find
 * peers. */
static void say_version(struct qn_net *net, const struct qn_peer_info *info)
{
    char id[QN_PEER_TEXT_MAX], at[QN_MADDR_TEXT];
    const char *other;
    uint64_t now = mono_ms();
    if (now < net->version_say_ms || !qn_peer_other_version(info, net->proto, &other)) return;
    net->version_say_ms = now + VERSION_SAY_MS;
    peer_text(info, id, at);
    fprintf(stderr, "quoin: %s at %s speaks %s, not %s: another version, not used\n", id, at, other,
            net->proto);
}

/* It has nothing for us and we have nothing for it: no place is worth holding. Both sides shall see why, so what is on its way (identify)
 * may still arrive. Whoever opens many such gets one line a while. */
static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct qn_net *net = arg;
    char other[QN_CHAIN_HEX], id[QN_PEER_TEXT_MAX], at[QN_MADDR_TEXT];
    struct leaver *slot = NULL;
    uint64_t now = mono_ms();
    if (net->chain[0]) say_version(net, info);
    if (!net->chain[0] || qn_peer_kin(info, net->chain, other) != QN_KIN_OTHER) return;
    for (unsigned i = 0; i < LEAVERS; i++) {
        if (net->leavers[i].peer == info->peer) return; /* said */
        if (!net->leavers[i].peer) slot = &net->leavers[i];
    }
    net->foreign++;
    if (now >= net->foreign_say_ms) {
        net->foreign_say_ms = now + FOREIGN_SAY_MS;
        peer_text(info, id, at);
        fprintf(stderr, "quoin: %s at %s is of chain %s, not %s: turned away (%u so far)\n", id, at,
                other, net->chain, net->foreign);
    }
    for (unsigned i = 0; i < net->join_cnt; i++) { /* whom a person named */
        struct joint *j = &net->joins[i];
        if (j->peer != info->peer) continue;
        j->said = true;
        fprintf(stderr,
                "quoin: join: %s is of chain %s, this home of %s; to join that one begin with a "
                "fresh --home\n",
                j->addr, other, net->chain);
    }
    qn_host_blame(net->host, info->peer, QN_BLAME_OFFENCE, "of another chain");
    if (!slot) {
        ban_foreign(net, &info->id, other);
        return;
    }
    slot->peer = info->peer;
    memcpy(slot->other, other, sizeof other);
    qn_host_hangup(net->host, info->peer, "of another chain");
}

static void identified(void *arg, const struct qn_peer_info *info)
{
    if (info->identified) on_identify(arg, info);
}

/* --- the ledger's messages ------------------------------------------------------------------------------------------------------- */

static const enum qn_net_class CLASSES[QN_CLASS_COUNT] = {
    [QN_CLASS_CONTROL] = QN_NET_CONTROL, [QN_CLASS_VOTE] = QN_NET_URGENT,
    [QN_CLASS_CERT] = QN_NET_URGENT,     [QN_CLASS_BLOCK] = QN_NET_BLOCK,
    [QN_CLASS_TX] = QN_NET_TX,           [QN_CLASS_REQUEST] = QN_NET_REQUEST
};

static void wire_send(void *self, uint32_t peer, enum qn_class class, struct qn_span message)
{
    struct qn_net *net = self;
    /* What does not fit a slow peer's queue it will ask for, or hear from others. */
    if (net->frames && qn_frames_send(net->frames, peer, CLASSES[class], message)) return;
}

/* To everybody: over the mesh. What is too long for it goes to those beside us, who pass it on in the same way. */
static qn_rc spread(struct qn_net *net, uint32_t but, enum qn_class class, struct qn_span message)
{
    int topic = class == QN_CLASS_TX        ? TOPIC_TX
                : message.len <= VOTE_BYTES ? TOPIC_VOTE
                                            : TOPIC_BLOCK;
    qn_rc rc = qn_gossip_publish(net->gossip, net->topics[topic], message);
    if (rc == QN_E_TOOBIG) qn_frames_cast(net->frames, but, CLASSES[class], message);
    return rc;
}

/* A long proposal to the mesh by the ids of its transactions. Once: what did not help is not said so again. */
static bool cast_compact(struct qn_net *net, enum qn_class class, struct qn_span message)
{
    struct qn_buf buf = { 0 };
    bool sent =
        class == QN_CLASS_VOTE && message.len > VOTE_BYTES &&
        qn_compact_make(net->compact, message, &buf) && buf.len < message.len / 2 &&
        qn_gossip_publish(net->gossip, net->topics[TOPIC_COMPACT], qn_buf_get(&buf)) == QN_OK;
    qn_buf_free(&buf);
    return sent;
}

/* A long proposal, where those who must have it are beside us: in pieces. Once a view: what did not help is not said so again. */
static bool cast_coded(struct qn_net *net, enum qn_class class, struct qn_span message)
{
    struct qn_span in = message, skip;
    uint8_t kind;
    uint32_t epoch;
    uint64_t height, view;
    struct qn_hash leader;
    if (class != QN_CLASS_VOTE || message.len <= SHARD_BODY_MIN) return false;
    /* kind 5 of sync.def | ver u16 | chain | epoch | height | view: the front of a block's header */
    if (!qn_take_u8(&in, &kind) || kind != 5 || !qn_take(&in, 34, &skip) ||
        !qn_take_u32(&in, &epoch) || !qn_take_u64(&in, &height) || !qn_take_u64(&in, &view))
        return false;
    /* Others' proposals, said again for who missed them, have no signature of ours to go in pieces under. */
    if ((epoch == net->coded_epoch && view == net->coded_view) ||
        !qn_replica_leader(net->replica, epoch, view, &leader) ||
        !qn_hash_eq(&leader, &net->conf.validator->pub) ||
        qn_replica_info(net->replica).validators > qn_coded_peer_cnt(net->coded) + 1)
        return false;
    if (!qn_coded_cast(net->coded, epoch, view, message)) return false;
    net->coded_epoch = epoch;
    net->coded_view = view;
    return true;
}

static void wire_cast(void *self, enum qn_class class, struct qn_span message)
{
    struct qn_net *net = self;
    if (!net->gossip || !net->coded || !net->compact) return; /* nobody is served yet */
    if (cast_coded(net, class, message) || cast_compact(net, class, message)) return;
    /* Of 200 validators each makes the same certificate of other votes: 199 times 9 KB each, were it to go to all. One that came by the mesh goes on
     * with its verdict. */
    if (class == QN_CLASS_CERT) {
        qn_rc rc = qn_gossip_publish_mesh(net->gossip, net->topics[TOPIC_VOTE], message);
        if (rc == QN_E_TOOBIG) qn_frames_cast(net->frames, 0, CLASSES[class], message);
        return;
    }
    /* Said before, and it did not help: the mesh would not carry it twice, so those beside us hear it again. */
    if (spread(net, 0, class, message) == QN_E_DUPLICATE)
        qn_frames_cast(net->frames, 0, CLASSES[class], message);
}

struct qn_wire qn_net_wire(struct qn_net *net)
{
    return (struct qn_wire){ net, wire_send, wire_cast };
}

static void on_frames_peer(void *arg, uint32_t peer, bool up)
{
    struct qn_net *net = arg;
    qn_replica_peer(net->replica, peer, up);
    net->turn(net->turn_arg);
}

/* It brought something new: kind 2 of sync.def are transactions. */
static void useful(struct qn_net *net, uint32_t peer, struct qn_span message)
{
    if (net->discover) qn_discover_useful(net->discover, peer, message.ptr[0] != 2);
}

static void on_message(void *arg, uint32_t peer, struct qn_span message)
{
    struct qn_net *net = arg;
    struct qn_why why = { "" };
    enum qn_verdict verdict = qn_replica_recv(net->replica, peer, message, &why);
    if (verdict == QN_REJECT) qn_host_blame(net->host, peer, QN_BLAME_OFFENCE, why.text);
    if (verdict == QN_ACCEPT) useful(net, peer, message);
    /* New here, so perhaps to others: kind 2 of sync.def are transactions. */
    if (verdict == QN_ACCEPT)
        (void)spread(net, peer, message.ptr[0] == 2 ? QN_CLASS_TX : QN_CLASS_VOTE, message);
    net->turn(net->turn_arg);
}

static bool vote_news(void *arg, struct qn_span message)
{
    const struct qn_net *net = arg;
    return qn_replica_vote_news(net->replica, message);
}

static bool votes_decide(void *arg, const struct qn_heard *list, unsigned cnt)
{
    const struct qn_net *net = arg;
    return qn_replica_decides(net->replica, list, cnt);
}

static void take_votes(void *arg, struct qn_heard *list, const uint64_t *handles, unsigned cnt)
{
    struct qn_net *net = arg;
    if (!net->gossip) return;
    qn_replica_recv_many(net->replica, list, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        const struct qn_heard *h = &list[i];
        if (h->verdict == QN_ACCEPT) useful(net, h->peer, h->message);
        qn_gossip_verdict(net->gossip, handles[i],
                          h->verdict == QN_ACCEPT   ? GOSSIP_ACCEPT
                          : h->verdict == QN_REJECT ? GOSSIP_REJECT
                                                    : GOSSIP_IGNORE);
    }
    net->turn(net->turn_arg);
}

static enum gossip_verdict on_gossip(void *arg, uint32_t topic, uint32_t peer, uint64_t handle,
                                     struct qn_span data)
{
    struct qn_net *net = arg;
    struct qn_why why = { "" };
    enum gossip_verdict verdict = GOSSIP_IGNORE;
    if (topic == net->topics[TOPIC_COMPACT]) {
        if (!net->compact) return GOSSIP_IGNORE;
        return qn_compact_take(net->compact, peer, handle, data);
    }
    if (net->votes && votes_fit(net->votes, data))
        return votes_keep(net->votes, peer, handle, data);
    switch (qn_replica_recv(net->replica, peer, data, &why)) {
    case QN_ACCEPT:
        verdict = GOSSIP_ACCEPT;
        useful(net, peer, data);
        break;
    case QN_IGNORE: break;
    case QN_REJECT: verdict = GOSSIP_REJECT; break;
    }
    if (net->votes) votes_look(net->votes); /* our own may have been the one that they waited for */
    net->turn(net->turn_arg);
    return verdict;
}

/* Of a view that is near: who leads some of those to come may sign for all of them today. */
static bool leader_of(void *arg, uint32_t epoch, uint64_t view, struct qn_hash *ret)
{
    const struct qn_net *net = arg;
    uint64_t now = qn_replica_info(net->replica).view;
    return view + VIEWS_BEHIND >= now && view <= now + VIEWS_AHEAD &&
           qn_replica_leader(net->replica, epoch, view, ret);
}

static uint64_t view_of(void *arg)
{
    const struct qn_net *net = arg;
    return qn_replica_info(net->replica).view;
}

/* Out of pieces that its leader signed. Nobody is to blame for what is in it but that leader: each relay saw a piece, and says nothing else by it. */
static void on_coded(void *arg, uint32_t peer, struct qn_span message)
{
    struct qn_net *net = arg;
    struct qn_why why = { "" };
    if (message.ptr[0] != KIND_PROPOSAL) return;
    (void)qn_replica_recv(net->replica, peer, message, &why);
    net->turn(net->turn_arg);
}

/* Put together from ids, or from the ids and what was asked for. */
static enum qn_verdict on_compact(void *arg, uint32_t peer, struct qn_span message)
{
    struct qn_net *net = arg;
    struct qn_why why = { "" };
    enum qn_verdict verdict = qn_replica_recv(net->replica, peer, message, &why);
    if (verdict == QN_ACCEPT) useful(net, peer, message);
    net->turn(net->turn_arg);
    return verdict;
}

static bool want_whole(void *arg, const struct qn_hash *block)
{
    const struct qn_net *net = arg;
    return qn_replica_want(net->replica, block);
}

static void on_verdict(void *arg, uint64_t handle, enum gossip_verdict verdict)
{
    struct qn_net *net = arg;
    if (net->gossip) qn_gossip_verdict(net->gossip, handle, verdict);
}

static void waiting(void *arg,
                    void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                    void *to)
{
    const struct qn_net *net = arg;
    qn_replica_waiting(net->replica, visit, to);
}

/* Whether the network is one of a house or a machine: so its addresses are good, and everybody serves the hash table. */
static bool is_private(const struct qn_net *net)
{
    struct qn_maddr addr;
    struct qn_endpoint e;
    const char *listen = net->conf.listen;
    for (unsigned i = 0; i < net->join_cnt; i++)
        if (qn_maddr_parse(net->joins[i].addr, &addr, NULL) == QN_OK &&
            qn_maddr_endpoint(&addr, &e) == QN_OK)
            return !qn_endpoint_public(&e);
    /* Alone so far: what it listens on tells. Port 0 is fine here, so the text is taken apart by hand. */
    char host[NET_ADDR_TEXT];
    struct net_ip ip;
    const char *colon = listen ? strrchr(listen, ':') : NULL;
    if (!colon) return false;
    bool six = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen) - 2 * six, listen + six);
    enum net_range range = net_ip_parse(host, &ip) ? net_ip_range(&ip) : NET_NOWHERE;
    return range == NET_PRIVATE || range == NET_LOOPBACK;
}

static void on_discover_line(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "quoin: %s\n", line);
}

static int32_t credit_of(void *arg, uint32_t peer)
{
    const struct qn_net *net = arg;
    for (unsigned i = 0; i < net->join_cnt; i++)
        if (net->joins[i].peer == peer) return JOIN_POINTS;
    return 0;
}

/* The block-only connections are those that nobody shall know of. */
static bool tellable(void *arg, uint32_t peer)
{
    const struct qn_net *net = arg;
    enum outbound_kind kind;
    return !net->discover || !qn_discover_kind(net->discover, peer, &kind) ||
           kind != OUTBOUND_BLOCK;
}

static qn_rc on_px(void *arg, uint32_t from, struct qn_span id, struct qn_span record)
{
    struct qn_net *net = arg;
    return net->discover ? qn_discover_px(net->discover, from, id, record) : QN_E_ABSENT;
}

static qn_rc find_others(struct qn_net *net, const char *hex, struct qn_why *why)
{
    snprintf(net->kad_proto, sizeof net->kad_proto, "/quoin/%s/kad/1.0.0", hex);
    const struct qn_discover_conf conf = { .base = net->conf.base,
                                           .env = qn_env_real(),
                                           .host = net->host,
                                           .proto = net->kad_proto,
                                           .book_path = net->book,
                                           .full = net->conf.outbound,
                                           .private = is_private(net),
                                           .log = on_discover_line };
    return qn_discover_open(&conf, &net->discover, why);
}

qn_rc qn_net_serve(struct qn_net *net, struct qn_replica *replica, void (*turn)(void *arg),
                   void *arg, struct qn_why *why)
{
    struct qn_hash id = qn_chain_id(qn_replica_chain(replica));
    char hex[9];
    qn_hex(id.b, 4, hex);
    snprintf(net->proto, sizeof net->proto, "/quoin/%s/ledger/%d", hex, WIRE_VERSION);
    net->replica = replica;
    net->turn = turn;
    net->turn_arg = arg;
    struct qn_frames_conf conf = { .host = net->host,
                                   .proto = net->proto,
                                   .message_max = QN_MESSAGE_MAX,
                                   .on_peer = on_frames_peer,
                                   .on_message = on_message,
                                   .arg = net };
    conf.queue_max[QN_NET_URGENT] = conf.queue_max[QN_NET_REQUEST] = QUEUE_BIG;
    conf.queue_max[QN_NET_TX] = QUEUE_TX;
    const struct qn_gossip_conf gossip = { .base = net->conf.base,
                                           .host = net->host,
                                           .env = qn_env_real(),
                                           .genesis = id,
                                           .arg = net,
                                           .on_message = on_gossip,
                                           .credit = credit_of,
                                           .tellable = tellable,
                                           .on_px = on_px };
    qn_rc rc = qn_frames_open(&conf, &net->frames);
    if (rc) return qn_why(why, rc, "%s cannot be served", net->proto);
    rc = qn_gossip_open(&gossip, &net->gossip, why);
    for (int i = 0; i < TOPIC_CNT && rc == QN_OK; i++)
        rc = qn_gossip_topic(net->gossip, &TOPICS[i], &net->topics[i]);
    const struct qn_coded_conf coded = { .host = net->host,
                                         .chain = id,
                                         .key = net->conf.validator,
                                         .arg = net,
                                         .leader = leader_of,
                                         .view = view_of,
                                         .on_message = on_coded };
    const struct qn_compact_conf compact = { .base = net->conf.base,
                                             .env = qn_env_real(),
                                             .host = net->host,
                                             .chain = id,
                                             .arg = net,
                                             .pool = waiting,
                                             .leader = leader_of,
                                             .on_message = on_compact,
                                             .whole = want_whole,
                                             .verdict = on_verdict };
    if (rc == QN_OK) rc = qn_coded_open(&coded, &net->coded, why);
    if (rc == QN_OK) rc = qn_compact_open(&compact, &net->compact, why);
    if (rc == QN_OK && net->conf.outbound) rc = find_others(net, hex, why);
    const struct reach_net_conf reach = { .base = net->conf.base,
                                          .host = net->host,
                                          .discover = net->discover,
                                          .private = is_private(net),
                                          .nat = net->nat };
    if (rc == QN_OK) rc = reach_net_open(&reach, &net->reach, why);
    memcpy(net->chain, hex, sizeof hex);
    qn_host_peers(net->host, identified, net); /* who told before we knew what to ask for */
    return rc;
}

/* --- opening --------------------------------------------------------------------------------------------------------------------- */

static qn_rc read_joins(struct qn_net *net, struct qn_why *why)
{
    for (const char *at = net->conf.join; at && *at;) {
        size_t n = strcspn(at, ",");
        if (net->join_cnt == JOIN_MAX)
            return qn_why(why, QN_E_USAGE, "join takes at most %d addresses", JOIN_MAX);
        struct joint *j = &net->joins[net->join_cnt];
        struct qn_maddr addr;
        if (n >= sizeof j->addr) return qn_why(why, QN_E_USAGE, "an address of join is too long");
        if (n) {
            memcpy(j->addr, at, n);
            j->net = net;
            qn_rc rc = qn_maddr_parse(j->addr, &addr, why);
            if (rc) return rc;
            net->join_cnt++;
        }
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

static uint32_t evict(void *arg)
{
    struct qn_net *net = arg;
    return net->discover ? qn_discover_evict(net->discover) : 0;
}

qn_rc qn_net_open(const struct qn_net_conf *conf, struct qn_net **ret, struct qn_why *why)
{
    struct qn_net *net = calloc(1, sizeof *net);
    QN_ASSERT(net != NULL);
    net->conf = *conf;
    net->book = conf->book ? strdup(conf->book) : NULL;
    struct qn_host_conf host = {
        .base = conf->base, .env = qn_env_real(), .key = conf->key, .listen = conf->listen
    };
    host.evict = evict;
    host.arg = net;
    const struct qn_proto genesis = { .id = GENESIS_NAME,
                                      .ops = &SERVE_GENESIS,
                                      .arg = net,
                                      .class = QN_NET_REQUEST,
                                      .in_max = 1,
                                      .idle_ms = 10000 };
    net->watch =
        (struct qn_host_watch){ .arg = net, .on_peer = on_host_peer, .on_identify = on_identify };
    qn_rc rc = net_nat_parse(conf->nat ? conf->nat : "off", &net->nat, why);
    if (rc == QN_OK) rc = read_joins(net, why);
    if (rc == QN_OK) rc = qn_host_open(&host, &net->host, why);
    if (rc == QN_OK) rc = qn_host_proto(net->host, &genesis);
    if (rc) {
        qn_net_close(net);
        return rc;
    }
    qn_host_watch(net->host, &net->watch);
    net->votes =
        votes_new(&(struct votes_conf){ conf->base, net, vote_news, votes_decide, take_votes });
    net->tick = event_new(conf->base, -1, 0, on_tick, net);
    on_tick(-1, 0, net);
    *ret = net;
    return QN_OK;
}

void qn_net_close(struct qn_net *net)
{
    if (!net) return;
    if (net->tick) event_free(net->tick);
    votes_free(net->votes);
    net->votes = NULL;
    reach_net_close(net->reach);
    net->reach = NULL;
    qn_discover_close(net->discover);
    net->discover = NULL;
    qn_coded_close(net->coded);
    net->coded = NULL;
    qn_compact_detach(net->compact);
    qn_gossip_close(net->gossip);
    net->gossip = NULL;
    if (net->frames) qn_frames_close(net->frames);
    net->frames = NULL;
    if (net->host) {
        qn_host_unwatch(net->host, &net->watch);
        qn_host_close(net->host);
    }
    qn_compact_close(net->compact);
    free(net->book);
    free(net);
}

struct gossip *qn_net_gossip(struct qn_net *net)
{
    return net->gossip ? qn_gossip_machine(net->gossip) : NULL;
}

struct qn_compact *qn_net_compact(struct qn_net *net)
{
    return net->compact;
}

struct qn_discover *qn_net_discover(struct qn_net *net)
{
    return net->discover;
}

struct reach_net *qn_net_reach(struct qn_net *net)
{
    return net->reach;
}

struct qn_coded *qn_net_coded(struct qn_net *net)
{
    return net->coded;
}

struct others {
    const struct qn_net *net;
    uint32_t cnt;
};

static void count_other(void *arg, const struct qn_peer_info *info)
{
    struct others *o = arg;
    const char *other;
    o->cnt += qn_peer_other_version(info, o->net->proto, &other);
}

uint32_t qn_net_others(struct qn_net *net)
{
    struct others o = { .net = net };
    if (net->chain[0]) qn_host_peers(net->host, count_other, &o);
    return o.cnt;
}

uint32_t qn_net_foreign(const struct qn_net *net)
{
    return net->foreign;
}

struct qn_host *qn_net_host(struct qn_net *net)
{
    return net->host;
}

void qn_net_addr(const struct qn_net *net, char dst[QN_MADDR_TEXT])
{
    struct qn_maddr addr;
    struct qn_endpoint e;
    dst[0] = 0;
    if (!qn_host_addrs(net->host, &addr, 1)) return;
    if (qn_maddr_endpoint(&addr, &e) == QN_OK) {
        e.has_id = true;
        e.id = *qn_host_id(net->host);
        qn_maddr_of(&e, &addr);
    }
    qn_maddr_print(&addr, dst);
}

const char *qn_net_join(const struct qn_net *net)
{
    return net->conf.join;
}

uint32_t qn_net_joined(const struct qn_net *net, uint32_t *ret_cnt)
{
    uint32_t up = 0;
    for (unsigned i = 0; i < net->join_cnt; i++)
        up += net->joins[i].peer != 0;
    *ret_cnt = net->join_cnt;
    return up;
}
