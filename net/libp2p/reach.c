/* reach.c - asking others whether they can reach us. */
#include "net/libp2p/reach_int.h"

#include "net/libp2p/vframe.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MS 250
#define ASK_MS  2000
#define WAIT_MS 60000
#define YES_MS  1800000
#define BUSY_MS 60000 /* too few had an answer: their limits are by the minute */
#define NO_MS   300000

uint64_t reach_now(const struct qn_reach *r)
{
    return qn_env_mono_us(r->conf.env) / 1000;
}

void reach_begin(struct qn_reach *r, struct reach_work **list, struct reach_work *work)
{
    work->r = r;
    work->next = *list;
    work->at = list;
    if (work->next) work->next->at = &work->next;
    *list = work;
}

void reach_end(struct reach_work *work)
{
    if (!work->at) return;
    *work->at = work->next;
    if (work->next) work->next->at = work->at;
    work->at = NULL;
}

static void forsake(struct reach_work **list)
{
    while (*list) {
        struct reach_work *work = *list;
        reach_end(work);
        work->r = NULL;
    }
}

struct net_addr reach_addr(const struct qn_endpoint *e)
{
    struct net_addr a = { net_ip4(e->ip[0], e->ip[1], e->ip[2], e->ip[3]), e->port };
    if (e->v6) memcpy(a.ip.b, e->ip, 16);
    return a;
}

bool reach_fit(const struct qn_reach *r, const struct net_ip *ip)
{
    enum net_range range = net_ip_range(ip);
    return range == NET_PUBLIC || (r->conf.private && range != NET_NOWHERE);
}

/* --- what may be our address ---------------------------------------------------------------------------- */

static void offer(struct qn_reach *r, const struct net_addr *addr)
{
    if (!addr->port || !reach_fit(r, &addr->ip)) return;
    for (uint32_t i = 0; i < r->cand_cnt; i++)
        if (net_addr_eq(&r->cand[i].addr, addr)) {
            r->cand[i].kept = true;
            return;
        }
    if (r->cand_cnt < REACH_CANDS)
        r->cand[r->cand_cnt++] = (struct reach_cand){ .addr = *addr, .kept = true };
}

/* The address that most networks see us at. */
struct tally {
    const struct qn_reach *r;
    bool out; /* of those we dialled alone */
    uint32_t cnt;
    struct {
        struct net_ip ip;
        uint64_t groups[8];
        uint32_t group_cnt;
    } row[8];
};

static void count(void *arg, const struct qn_peer_info *info)
{
    struct tally *t = arg;
    if (!info->observed.port || info->outbound != t->out) return;
    struct net_addr seen = reach_addr(&info->observed);
    uint64_t group = qn_endpoint_group(&info->remote);
    uint32_t i = 0;
    if (!reach_fit(t->r, &seen.ip)) return;
    while (i < t->cnt && !net_ip_eq(&t->row[i].ip, &seen.ip))
        i++;
    if (i == QN_COUNT(t->row)) return;
    if (i == t->cnt) t->row[t->cnt++].ip = seen.ip;
    for (uint32_t g = 0; g < t->row[i].group_cnt; g++)
        if (t->row[i].groups[g] == group) return;
    if (t->row[i].group_cnt < QN_COUNT(t->row[i].groups))
        t->row[i].groups[t->row[i].group_cnt++] = group;
}

static void offer_observed(struct qn_reach *r)
{
    struct tally t = { .r = r, .out = true };
    qn_host_peers(r->conf.host, count, &t);
    t.out = false;
    if (!t.cnt) qn_host_peers(r->conf.host, count, &t);
    uint32_t best = 0;
    for (uint32_t i = 1; i < t.cnt; i++)
        if (t.row[i].group_cnt > t.row[best].group_cnt) best = i;
    struct net_addr addr = { t.row[best].ip, (uint16_t)qn_host_port(r->conf.host) };
    if (t.cnt) offer(r, &addr);
}

static void candidates(struct qn_reach *r)
{
    struct qn_maddr own[16];
    for (uint32_t i = 0; i < r->cand_cnt; i++)
        r->cand[i].kept = false;
    if (r->mapped.port) offer(r, &r->mapped);
    uint32_t cnt = qn_host_addrs(r->conf.host, own, QN_COUNT(own));
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_endpoint e;
        if (qn_maddr_endpoint(&own[i], &e)) continue;
        struct net_addr addr = reach_addr(&e);
        offer(r, &addr);
    }
    offer_observed(r);
    for (uint32_t i = 0; i < r->cand_cnt; i++)
        if (!r->cand[i].kept) {
            memmove(r->cand + i, r->cand + i + 1, (r->cand_cnt - i - 1) * sizeof *r->cand);
            r->cand_cnt--, i--;
        }
}

void qn_reach_mapped(struct qn_reach *r, const struct net_addr *addr)
{
    r->mapped = addr ? *addr : (struct net_addr){ .port = 0 };
    r->next_ms = 0;
}

/* --- what was said ---------------------------------------------------------------------------------------- */

static uint32_t need(const struct qn_reach *r)
{
    return QN_MIN(QN_MAX(r->servers, 1u), AUTONAT_NEED);
}

static void judge(struct qn_reach *r)
{
    enum qn_reach_state was = r->state;
    struct net_addr before = r->addr;
    bool open = r->cand_cnt == 0;
    const struct reach_cand *yes = NULL;
    for (uint32_t i = 0; i < r->cand_cnt; i++) {
        const struct reach_cand *c = &r->cand[i];
        /* Once found good it stays so until others say no: more servers to ask are no reason to doubt. */
        bool stays = was == QN_REACH_YES && net_addr_eq(&c->addr, &before);
        if (!yes && autonat_public(&c->votes, stays ? 1 : r->servers)) yes = c;
        open |= c->votes.cnt < need(r);
    }
    if (yes) {
        r->state = QN_REACH_YES;
        r->addr = yes->addr;
    } else if (!open || was == QN_REACH_YES) { /* one that was good is not any more */
        r->state = open ? QN_REACH_UNKNOWN : QN_REACH_NO;
    }
    bool same = r->state == was && (r->state != QN_REACH_YES || net_addr_eq(&r->addr, &before));
    bool matters = r->state == QN_REACH_YES || was == QN_REACH_YES;
    if (!same && matters && r->conf.changed)
        r->conf.changed(r->conf.arg, r->state == QN_REACH_YES ? &r->addr : NULL);
}

/* --- a question ------------------------------------------------------------------------------------------- */

struct reach_question {
    struct reach_work work; /* first */
    struct autonat_client client;
    struct net_addr addr;
    struct qn_buf in;
};

static void verdict(struct reach_question *q, bool reached)
{
    struct qn_reach *r = q->work.r;
    for (uint32_t i = 0; r && i < r->cand_cnt; i++)
        if (net_addr_eq(&r->cand[i].addr, &q->addr)) autonat_vote(&r->cand[i].votes, reached);
    if (r) judge(r);
}

static qn_rc send_data(struct qn_stream *s, uint64_t bytes)
{
    struct qn_buf one = { 0 }, all = { 0 };
    for (uint64_t left = bytes; left;) {
        struct autonat_message m = { .kind = AUTONAT_DATA,
                                     .bytes = QN_MIN(left, (uint64_t)AUTONAT_CHUNK) };
        qn_buf_clear(&one);
        autonat_write(&m, &one);
        qn_vframe_put(&all, qn_buf_get(&one));
        left -= m.bytes;
    }
    qn_rc rc = qn_stream_write(s, qn_buf_get(&all));
    qn_buf_free(&one);
    qn_buf_free(&all);
    return rc;
}

static qn_rc heard(struct reach_question *q, struct qn_stream *s, struct qn_span bytes)
{
    struct autonat_message m;
    uint64_t data;
    uint32_t idx;
    qn_rc rc = autonat_read(bytes, &m);
    if (rc) return rc;
    switch (autonat_heard(&q->client, &m, &data, &idx)) {
    case AUTONAT_SEND: return send_data(s, data);
    case AUTONAT_REACHED: verdict(q, true); break;
    case AUTONAT_FAILED: verdict(q, false); break;
    case AUTONAT_WAIT:
    case AUTONAT_VOID: break;
    }
    qn_stream_finish(s);
    return QN_OK;
}

static void ask_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct reach_question *q = arg;
    struct qn_span message;
    size_t used;
    qn_rc rc = q->work.r && !q->client.over ? QN_OK : QN_E_STATE;
    if (!rc && q->in.len + bytes.len > AUTONAT_MESSAGE + QN_VFRAME_HEAD) rc = QN_E_TOOBIG;
    if (!rc) qn_buf_span(&q->in, bytes);
    while (!rc && !q->client.over &&
           (rc = qn_vframe_take(qn_buf_get(&q->in), AUTONAT_MESSAGE, &message, &used)) == QN_OK) {
        rc = heard(q, s, message);
        memmove(q->in.ptr, q->in.ptr + used, q->in.len - used);
        q->in.len -= used;
    }
    if (!rc || rc == QN_E_AGAIN) return;
    if (q->work.r && rc != QN_E_STATE)
        qn_host_blame(q->work.r->conf.host, qn_stream_peer(s), QN_BLAME_OFFENCE,
                      "an answer about reachability that cannot be read");
    qn_stream_reset(s);
}

static void ask_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct reach_question *q = arg;
    (void)s, (void)end;
    if (q->work.r) q->work.r->question = NULL;
    reach_end(&q->work);
    qn_buf_free(&q->in);
    free(q);
}

static const struct qn_stream_ops ASK_OPS = { .on_data = ask_data, .on_close = ask_close };

static void ask(struct qn_reach *r, struct reach_cand *c, uint32_t peer)
{
    struct reach_question *q = calloc(1, sizeof *q);
    struct kad_addr addr = kad_addr_of(&c->addr);
    struct qn_buf message = { 0 }, framed = { 0 };
    struct qn_stream *s;
    QN_ASSERT(q && c->asked_cnt < REACH_ASKED);
    c->asked[c->asked_cnt++] = peer;
    if (qn_host_stream(r->conf.host, peer, QN_REACH_ASK, QN_NET_REQUEST, &ASK_OPS, q, &s)) {
        free(q);
        return;
    }
    q->addr = c->addr;
    reach_begin(r, &r->works, &q->work);
    r->question = q;
    autonat_ask(&q->client, &r->dice, &addr, 1, &message);
    qn_vframe_put(&framed, qn_buf_get(&message));
    if (qn_stream_write(s, qn_buf_get(&framed))) qn_stream_reset(s);
    qn_stream_set_deadline(s, WAIT_MS);
    qn_buf_free(&message);
    qn_buf_free(&framed);
}

/* --- who is asked, and when --------------------------------------------------------------------------------- */

struct servers {
    const struct qn_reach *r;
    uint32_t cnt[2], peer[2][64]; /* inbound, outbound */
};

static void server(void *arg, const struct qn_peer_info *info)
{
    struct servers *s = arg;
    uint32_t *cnt = &s->cnt[info->outbound];
    struct net_addr remote = reach_addr(&info->remote);
    /* Who is inside our own house says nothing about the world. */
    if (!info->identified || *cnt == 64 || !reach_fit(s->r, &remote.ip)) return;
    if (qn_host_speaks(s->r->conf.host, info->peer, QN_REACH_ASK))
        s->peer[info->outbound][(*cnt)++] = info->peer;
}

static bool was_asked(const struct reach_cand *c, uint32_t peer)
{
    for (uint32_t i = 0; i < c->asked_cnt; i++)
        if (c->asked[i] == peer) return true;
    return false;
}

/* Asks one of the servers that this address was not put to yet. False: there is none. */
static bool ask_one(struct qn_reach *r, struct reach_cand *c, const struct servers *s, bool out)
{
    uint32_t cnt = s->cnt[out], from = cnt ? net_dice_below(&r->dice, cnt) : 0;
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t peer = s->peer[out][(from + i) % cnt];
        if (was_asked(c, peer)) continue;
        ask(r, c, peer);
        return true;
    }
    return false;
}

static void ask_next(struct qn_reach *r)
{
    uint64_t now = reach_now(r);
    struct servers s = { .r = r };
    qn_host_peers(r->conf.host, server, &s);
    bool out = s.cnt[true] > 0; /* those we chose are harder to fake than those who came */
    r->servers = s.cnt[out];
    candidates(r);
    judge(r);
    for (uint32_t i = 0; i < r->cand_cnt && r->servers; i++) {
        struct reach_cand *c = &r->cand[i];
        if (c->again_ms && now < c->again_ms) continue;
        if (c->again_ms) c->again_ms = 0, c->asked_cnt = 0;
        bool enough = c->asked_cnt >= need(r) && c->votes.cnt >= need(r);
        if (!enough && c->asked_cnt < REACH_ASKED && ask_one(r, c, &s, out)) return;
        c->again_ms = now + (c->votes.cnt < need(r)                  ? BUSY_MS
                             : autonat_public(&c->votes, r->servers) ? YES_MS
                                                                     : NO_MS);
    }
}

static void on_timer(int fd, short what, void *arg)
{
    struct qn_reach *r = arg;
    uint64_t now = reach_now(r);
    (void)fd, (void)what;
    reach_serve_turn(r);
    if (!r->conf.ask || !qn_host_port(r->conf.host) || r->question || now < r->next_ms) return;
    r->next_ms = now + r->conf.ask_ms;
    ask_next(r);
}

/* --- a dial back that comes ------------------------------------------------------------------------------------ */

struct back {
    struct reach_work work; /* first */
    struct qn_buf in;
};

static bool back_admit(void *arg, uint32_t peer)
{
    const struct qn_reach *r = arg;
    struct qn_peer_info info;
    return r->question && qn_host_peer(r->conf.host, peer, &info) && !info.outbound;
}

static void back_open(void *arg, struct qn_stream *s)
{
    struct qn_reach *r = arg;
    struct back *b = calloc(1, sizeof *b);
    QN_ASSERT(b);
    reach_begin(r, &r->works, &b->work);
    qn_stream_set_arg(s, b);
    qn_stream_set_deadline(s, 10000);
}

static void back_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct back *b = arg;
    struct qn_reach *r = b->work.r;
    struct qn_span message;
    struct qn_buf ok = { 0 };
    uint64_t nonce;
    size_t used;
    if (!r || b->in.len + bytes.len > 1024) {
        qn_stream_reset(s);
        return;
    }
    qn_buf_span(&b->in, bytes);
    qn_rc rc = qn_vframe_take(qn_buf_get(&b->in), 1000, &message, &used);
    if (rc == QN_E_AGAIN) return;
    if (!rc) rc = autonat_back_read(message, &nonce);
    if (rc || !r->question || !autonat_back(&r->question->client, nonce)) {
        qn_stream_reset(s);
        return;
    }
    qn_vframe_put(&ok,
                  (struct qn_span){ 0 }); /* DialBackResponse: OK is 0, so nothing is written */
    if (qn_stream_write(s, qn_buf_get(&ok)))
        qn_stream_reset(s);
    else
        qn_stream_finish(s);
    qn_buf_free(&ok);
}

static void back_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct back *b = arg;
    (void)s, (void)end;
    reach_end(&b->work);
    qn_buf_free(&b->in);
    free(b);
}

static const struct qn_stream_ops BACK_OPS = { .on_open = back_open,
                                               .on_data = back_data,
                                               .on_close = back_close };

/* --- opening ------------------------------------------------------------------------------------------------------ */

qn_rc qn_reach_open(const struct qn_reach_conf *conf, struct qn_reach **ret, struct qn_why *why)
{
    struct qn_reach *r = calloc(1, sizeof *r);
    struct timeval every = { 0, TURN_MS * 1000 };
    uint8_t seed[32];
    QN_ASSERT(r);
    r->conf = *conf;
    qn_env_random(conf->env, seed, sizeof seed);
    net_dice_init(&r->dice, QN_SPAN_OF(seed));
    qn_env_random(conf->env, seed, sizeof seed);
    net_dice_init(&r->server.dice, QN_SPAN_OF(seed));
    if (!r->conf.ask_ms) r->conf.ask_ms = ASK_MS;
    r->next_ms = reach_now(r) + r->conf.ask_ms;
    const struct qn_proto back = { .id = QN_REACH_BACK,
                                   .ops = &BACK_OPS,
                                   .arg = r,
                                   .class = QN_NET_CONTROL,
                                   .in_max = 1,
                                   .admit = back_admit };
    qn_rc rc = reach_serve(r);
    if (rc == QN_OK && conf->ask) rc = qn_host_proto(conf->host, &back);
    if (rc) {
        free(r);
        return qn_why(why, rc, "reachability cannot be served");
    }
    r->timer = event_new(conf->base, -1, EV_PERSIST, on_timer, r);
    QN_ASSERT(r->timer);
    event_add(r->timer, &every);
    *ret = r;
    return QN_OK;
}

void qn_reach_close(struct qn_reach *r)
{
    if (!r) return;
    event_free(r->timer);
    forsake(&r->works);
    forsake(&r->jobs);
    if (r->conf.ask) qn_host_unproto(r->conf.host, QN_REACH_BACK);
    reach_serve_close(r);
    free(r);
}

struct qn_reach_info qn_reach_info(const struct qn_reach *r)
{
    struct qn_reach_info info = { .state = r->state, .served = r->served };
    const struct reach_cand *c = r->cand_cnt ? &r->cand[0] : NULL;
    for (uint32_t i = 0; i < r->cand_cnt; i++) {
        bool is = r->state == QN_REACH_YES && net_addr_eq(&r->cand[i].addr, &r->addr);
        if (is || (r->state != QN_REACH_YES && r->cand[i].votes.cnt > c->votes.cnt))
            c = &r->cand[i];
    }
    if (!c) return info;
    info.addr = c->addr;
    info.asked = c->votes.cnt;
    info.reached = autonat_yes(&c->votes);
    return info;
}
