/* peer.c - who is there: one number a peer, whatever connections it has; bans, blame, and what is told about it. */
#include "net/libp2p/host_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_MEMORY                                                                                \
    (sizeof(struct conn) + 65536 + 4096) /* a connection with half a record in each direction */
#define FATAL_S 600

struct peer *peer_find(const struct qn_host *h, uint32_t num)
{
    uint32_t lo = 0, hi = h->peer_cnt;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (h->peers[mid]->num < num)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < h->peer_cnt && h->peers[lo]->num == num && !h->peers[lo]->gone ? h->peers[lo]
                                                                               : NULL;
}

struct peer *peer_by_id(const struct qn_host *h, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; i < h->peer_cnt; i++)
        if (!h->peers[i]->gone && qn_peer_id_eq(&h->peers[i]->id, id)) return h->peers[i];
    return NULL;
}

bool peer_is_explicit(const struct qn_host *h, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; i < h->explicit_cnt; i++)
        if (qn_peer_id_eq(&h->explicits[i], id)) return true;
    return false;
}

static struct peer *make(struct qn_host *h, const struct conn *c, const struct qn_peer_id *id)
{
    if (h->peer_cnt == h->peer_cap) {
        h->peer_cap = QN_MAX(16u, h->peer_cap * 2);
        h->peers = realloc(h->peers, h->peer_cap * sizeof(struct peer *));
        QN_ASSERT(h->peers != NULL);
    }
    struct peer *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->num = h->next_peer++;
    p->id = *id;
    p->host = h;
    p->outbound = c->outbound;
    p->up_us = host_now(h);
    p->explicit = peer_is_explicit(h, id);
    p->memory = (struct qn_budget){ .max = h->limits.peer_memory,
                                    .share = qn_limits_share(&h->limits, h->limits.memory_max),
                                    .parent = &h->memory };
    h->peers[h->peer_cnt++] = p;
    return p;
}

static void forget_told(struct peer *p)
{
    for (uint32_t i = 0; i < p->proto_cnt; i++)
        free(p->protos[i]);
    free(p->protos);
    free(p->addrs);
    free(p->agent);
    free(p->version);
    qn_buf_free(&p->record);
    p->protos = NULL;
    p->addrs = NULL;
    p->agent = p->version = NULL;
    p->proto_cnt = p->addr_cnt = 0;
    qn_budget_give(&p->memory, p->told);
    p->told = 0;
}

static void unmake(struct peer *p)
{
    struct qn_host *h = p->host;
    uint32_t i = 0;
    while (h->peers[i] != p)
        i++;
    memmove(&h->peers[i], &h->peers[i + 1], (h->peer_cnt - i - 1) * sizeof(struct peer *));
    h->peer_cnt--;
    forget_told(p);
    QN_ASSERT(p->queued == 0);
    qn_budget_give(&p->memory, p->memory.used); /* what protocols reserved and lost with the peer */
    free(p);
}

/* --- connections ---------------------------------------------------------------------------------------------- */

/* close: after a while we end it; else that is left to the peer. */
static void leave(struct conn *c, bool close)
{
    if (c->leaving) return;
    c->leaving = true;
    if (close) c->end_us = host_now(c->host) + c->host->limits.drain_ms * 1000ull;
    for (struct qn_stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        if (!s->dead && !s->mss && s->ops->on_move) s->ops->on_move(s->arg, s);
    }
}

/* Of two connections dialled by different ends the one stays that the smaller id dialled: both see the same, either closes the other. Of
 * two dialled by one end the later stays, as the first may be lost without a sign; who dialled closes it, for only there is it sure which
 * was later. */
static bool newer_stays(const struct conn *old, const struct conn *c)
{
    const struct qn_peer_id *us = &c->host->id, *them = &c->remote.id;
    if (old->outbound == c->outbound) return true;
    return c->outbound == (qn_peer_id_cmp(us, them) < 0);
}

static void drop_surplus(struct peer *p)
{
    uint32_t cnt = 0;
    struct conn *oldest = NULL;
    for (struct conn *c = p->conns; c; c = c->peer_next) {
        if (c->state == CONN_DEAD) continue;
        cnt++;
        if (c != p->cur) oldest = c; /* new ones are in front */
    }
    if (cnt > p->host->limits.peer_conns && oldest)
        conn_kill(oldest, QN_E_LIMIT, "too many connections");
}

static bool room_for(struct conn *c, const struct qn_peer_id *id)
{
    struct qn_host *h = c->host;
    if (c->outbound || peer_by_id(h, id)) return true;
    if (peer_is_explicit(h, id)) return h->explicit_conns < h->limits.explicit_max;
    if (h->in_cnt < h->limits.in_max) return true;
    uint32_t victim = h->conf.evict ? h->conf.evict(h->conf.arg) : 0;
    struct peer *p = victim ? peer_find(h, victim) : NULL;
    if (!p || p->explicit) return false;
    h->stat.evicted++;
    for (struct conn *v = p->conns; v; v = v->peer_next)
        conn_kill(v, QN_E_LIMIT, "made room for another peer");
    return true;
}

static void tell_peer(struct peer *p, bool up)
{
    for (struct qn_host_watch *w = p->host->watches, *next; w; w = next) {
        next = w->next;
        if (w->on_peer) w->on_peer(w->arg, p->num, &p->id, up, p->outbound);
    }
}

bool peer_join(struct conn *c, const struct qn_peer_id *id)
{
    struct qn_host *h = c->host;
    const char *why = NULL;
    qn_rc rc = QN_E_AUTH;
    if (qn_peer_id_eq(id, &h->id)) {
        why = "that is this node";
        rc = QN_E_STATE;
    } else if (peer_banned(h, id)) {
        why = "the peer is banned";
    } else if (!room_for(c, id)) {
        why = "no room";
        rc = QN_E_LIMIT;
        h->stat.refused++;
    }
    if (why) {
        conn_kill(c, rc, why);
        return false;
    }
    struct peer *p = peer_by_id(h, id);
    bool first = p == NULL;
    if (first) p = make(h, c, id);
    if (!qn_budget_take(&p->memory, BASE_MEMORY)) {
        if (first) unmake(p);
        conn_kill(c, QN_E_LIMIT, "no memory for it");
        return false;
    }
    c->peer = p;
    c->peer_next = p->conns;
    p->conns = c;
    *(p->explicit ? &h->explicit_conns : &h->in_cnt) += !c->outbound;
    if (!p->cur || p->cur->state != CONN_READY) {
        p->cur = c;
        p->outbound = c->outbound;
    } else if (newer_stays(p->cur, c)) {
        struct conn *old = p->cur;
        p->cur = c;
        p->outbound = c->outbound;
        leave(old, old->outbound || c->outbound);
    } else {
        leave(c, true);
    }
    drop_surplus(p);
    if (first) {
        tell_peer(p, true);
        if (c->state == CONN_READY) identify_ask(p);
    }
    if (c->done && c->state == CONN_READY) {
        qn_dial_fn *done = c->done;
        c->done = NULL;
        done(c->done_arg, QN_OK, p->num, NULL);
    }
    return c->state == CONN_READY;
}

void peer_leave(struct conn *c)
{
    struct peer *p = c->peer;
    struct qn_host *h = c->host;
    struct conn **at = &p->conns;
    while (*at != c)
        at = &(*at)->peer_next;
    *at = c->peer_next;
    *(p->explicit ? &h->explicit_conns : &h->in_cnt) -= !c->outbound;
    qn_budget_give(&p->memory, BASE_MEMORY);
    c->peer = NULL;
    if (p->cur && p->cur != c) return;
    p->cur = NULL;
    for (struct conn *o = p->conns; o; o = o->peer_next) { /* one that was being left lives on */
        if (o->state != CONN_READY || o->hangup) continue;
        p->cur = o;
        p->outbound = o->outbound;
        o->leaving = false;
        o->end_us = 0;
        return;
    }
    if (p->conns) return;
    p->gone = true;
    tell_peer(p, false);
    unmake(p);
}

void qn_host_explicit(struct qn_host *h, const struct qn_peer_id *id, bool on)
{
    uint32_t i = 0;
    while (i < h->explicit_cnt && !qn_peer_id_eq(&h->explicits[i], id))
        i++;
    if (on && i == h->explicit_cnt && i < h->limits.explicit_max) {
        h->explicits = realloc(h->explicits, (i + 1) * sizeof *h->explicits);
        QN_ASSERT(h->explicits != NULL);
        h->explicits[h->explicit_cnt++] = *id;
    } else if (!on && i < h->explicit_cnt) {
        h->explicits[i] = h->explicits[--h->explicit_cnt];
    }
    struct peer *p = peer_by_id(h, id);
    bool is = peer_is_explicit(h, id);
    if (!p || p->explicit == is) return;
    uint32_t in = 0;
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        in += !c->outbound;
    p->explicit = is;
    *(is ? &h->explicit_conns : &h->in_cnt) += in;
    *(is ? &h->in_cnt : &h->explicit_conns) -= in;
}

void qn_host_hangup(struct qn_host *h, uint32_t num, const char *reason)
{
    struct peer *p = peer_find(h, num);
    (void)reason;
    for (struct conn *c = p ? p->conns : NULL; c; c = c->peer_next) {
        if (c->state != CONN_READY || c->hangup) continue;
        qn_yamux_goaway(&c->y, 0);
        c->hangup = true;
        c->end_us = host_now(h) + 200000;
        conn_dirty(c);
    }
}

/* --- bans and blame ----------------------------------------------------------------------------------------------- */

struct ban *peer_banned(struct qn_host *h, const struct qn_peer_id *id)
{
    uint64_t now = host_now(h);
    for (uint32_t i = 0; i < h->ban_cnt; i++) {
        if (h->bans[i].until_us <= now) {
            h->bans[i--] = h->bans[--h->ban_cnt];
            continue;
        }
        if (qn_peer_id_eq(&h->bans[i].id, id)) return &h->bans[i];
    }
    return NULL;
}

static struct ban *new_ban(struct qn_host *h)
{
    if (h->ban_cnt == BAN_MAX) { /* the one that ends first */
        struct ban *first = h->bans;
        for (uint32_t i = 1; i < h->ban_cnt; i++)
            if (h->bans[i].until_us < first->until_us) first = &h->bans[i];
        return first;
    }
    if ((h->ban_cnt & (h->ban_cnt - 1)) == 0) {
        h->bans = realloc(h->bans, QN_MAX(1u, h->ban_cnt * 2) * sizeof *h->bans);
        QN_ASSERT(h->bans != NULL);
    }
    return &h->bans[h->ban_cnt++];
}

void qn_host_ban(struct qn_host *h, const struct qn_peer_id *id, uint32_t seconds,
                 const char *reason)
{
    struct ban *b = peer_banned(h, id);
    if (seconds == 0) {
        if (b) *b = h->bans[--h->ban_cnt];
        return;
    }
    if (!b) b = new_ban(h);
    b->id = *id;
    b->until_us = host_now(h) + seconds * 1000000ull;
    snprintf(b->reason, sizeof b->reason, "%s", reason ? reason : "");
    struct peer *p = peer_by_id(h, id);
    for (struct conn *c = p ? p->conns : NULL; c; c = c->peer_next)
        conn_kill(c, QN_E_AUTH, "banned");
}

void qn_host_bans(const struct qn_host *h,
                  void (*visit)(void *arg, const struct qn_peer_id *id, uint32_t left_s,
                                const char *reason),
                  void *arg)
{
    uint64_t now = host_now(h);
    for (uint32_t i = 0; i < h->ban_cnt; i++)
        if (h->bans[i].until_us > now)
            visit(arg, &h->bans[i].id, (uint32_t)((h->bans[i].until_us - now) / 1000000),
                  h->bans[i].reason);
}

/* Whoever watches may keep scores that say more; but not of a peer that it does not speak with, and an offence may have cost us a signature. */
static bool enough(struct peer *p, uint32_t slips)
{
    const struct qn_limits *l = &p->host->limits;
    uint64_t now = host_now(p->host), each = l->peer_blame_s * 1000000ull;
    uint64_t gone = QN_MIN((now - p->blamed_us) / QN_MAX(each, (uint64_t)1), (uint64_t)p->blamed);
    p->blamed_us = gone == p->blamed ? now : p->blamed_us + gone * each;
    p->blamed += slips - (uint32_t)gone;
    return p->blamed > l->peer_blames && !p->explicit;
}

void qn_host_blame(struct qn_host *h, uint32_t num, enum qn_blame how, const char *what)
{
    struct peer *p = peer_find(h, num);
    if (!p) return;
    if (how != QN_BLAME_FATAL && enough(p, how == QN_BLAME_SLIP ? 1 : 4)) how = QN_BLAME_FATAL;
    h->stat.blames++;
    for (struct qn_host_watch *w = h->watches, *next; w; w = next) {
        next = w->next;
        if (w->on_blame) w->on_blame(w->arg, num, how, what);
    }
    if (how != QN_BLAME_FATAL) return;
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        if (!c->outbound) qn_gate_shun(&h->gate, &c->origin, host_now(h));
    qn_host_ban(h, &p->id, FATAL_S, what);
}

bool qn_host_reserve(struct qn_host *h, uint32_t num, size_t bytes)
{
    struct peer *p = peer_find(h, num);
    return p && qn_budget_take(&p->memory, bytes);
}

void qn_host_short(struct qn_host *h, uint32_t num, size_t bytes, const char *what)
{
    const struct peer *p = peer_find(h, num);
    if (!p) return;
    size_t its = p->memory.used - p->queued; /* what waits for it, we put there */
    if (bytes > p->memory.max - QN_MIN(its, p->memory.max))
        qn_host_blame(h, num, QN_BLAME_SLIP, what);
}

void qn_host_release(struct qn_host *h, uint32_t num, size_t bytes)
{
    struct peer *p = peer_find(h, num);
    if (p) qn_budget_give(&p->memory, bytes);
}

/* --- what is known -------------------------------------------------------------------------------------------------- */

static char *text_of(struct qn_span s)
{
    char *t = strndup(s.ptr ? (const char *)s.ptr : "", s.len);
    QN_ASSERT(t != NULL);
    return t;
}

static void info_of(const struct peer *p, struct qn_peer_info *ret)
{
    *ret = (struct qn_peer_info){
        .peer = p->num,
        .id = p->id,
        .outbound = p->outbound,
        .identified = p->identified,
        .observed = p->observed,
        .up_ms = p->up_us / 1000,
        .rtt_us = p->rtt_us,
        .in_bytes = p->in_bytes,
        .out_bytes = p->out_bytes,
        .queued = p->queued,
        .explicit = p->explicit,
        .memory = p->memory.used,
        .agent = p->agent ? p->agent : "",
        .version = p->version ? p->version : "",
        .protos = (const char *const *)p->protos,
        .proto_cnt = p->proto_cnt,
        .addrs = p->addrs,
        .addr_cnt = p->addr_cnt,
        .record = qn_buf_get(&p->record),
    };
    memcpy(ret->class_bytes, p->class_bytes, sizeof ret->class_bytes);
    const struct conn *any = p->cur ? p->cur : p->conns;
    if (any) ret->remote = any->remote;
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        if (c->state == CONN_READY) ret->streams += c->y.in_cnt + c->y.out_cnt;
}

void peer_told(struct peer *p, const struct qn_identify *id)
{
    struct qn_record rec;
    struct qn_host *h = p->host;
    const uint32_t proto_cnt = QN_MIN(id->proto_cnt, h->limits.peer_protos);
    const uint32_t addr_cnt = QN_MIN(id->addr_cnt, h->limits.peer_addrs);
    size_t bytes = (proto_cnt + 2) * (QN_IDENTIFY_TEXT + 16) + addr_cnt * sizeof(struct qn_maddr) +
                   id->record.len;
    forget_told(p);
    if (!qn_budget_take(&p->memory, bytes)) return;
    p->told = bytes;
    p->identified = true;
    p->agent = text_of(id->agent);
    p->version = text_of(id->version);
    p->protos = calloc(QN_MAX(proto_cnt, 1u), sizeof(char *));
    p->addrs = calloc(QN_MAX(addr_cnt, 1u), sizeof *p->addrs);
    QN_ASSERT(p->protos && p->addrs);
    for (uint32_t i = 0; i < proto_cnt; i++)
        p->protos[p->proto_cnt++] = text_of(id->protos[i]);
    for (uint32_t i = 0; i < addr_cnt; i++)
        p->addrs[p->addr_cnt++] = id->addrs[i];
    if (!id->observed.len || qn_maddr_endpoint(&id->observed, &p->observed) != QN_OK)
        p->observed.port = 0;
    if (id->record.len && qn_record_read(id->record, &rec) == QN_OK &&
        qn_peer_id_eq(&rec.id, &p->id))
        qn_buf_span(&p->record, id->record);
    struct qn_peer_info info;
    info_of(p, &info);
    for (struct qn_host_watch *w = h->watches, *next; w; w = next) {
        next = w->next;
        if (w->on_identify) w->on_identify(w->arg, &info);
    }
}

/* One that was just closed is told of in the next turn; until then it makes room for nobody a second time. */
static bool lives(const struct peer *p)
{
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        if (c->state != CONN_DEAD) return true;
    return false;
}

bool qn_host_peer(const struct qn_host *h, uint32_t num, struct qn_peer_info *ret)
{
    const struct peer *p = peer_find(h, num);
    if (p) info_of(p, ret);
    return p != NULL;
}

void qn_host_peers(const struct qn_host *h,
                   void (*visit)(void *arg, const struct qn_peer_info *info), void *arg)
{
    struct qn_peer_info info;
    for (uint32_t i = 0; i < h->peer_cnt; i++) {
        if (h->peers[i]->gone || !lives(h->peers[i])) continue;
        info_of(h->peers[i], &info);
        visit(arg, &info);
    }
}

uint32_t qn_host_peer_cnt(const struct qn_host *h)
{
    return h->peer_cnt;
}

bool qn_host_find(const struct qn_host *h, const struct qn_peer_id *id, uint32_t *ret)
{
    const struct peer *p = peer_by_id(h, id);
    if (p) *ret = p->num;
    return p != NULL;
}

bool qn_host_speaks(const struct qn_host *h, uint32_t num, const char *proto)
{
    const struct peer *p = peer_find(h, num);
    for (uint32_t i = 0; p && i < p->proto_cnt; i++)
        if (strcmp(p->protos[i], proto) == 0) return true;
    return false;
}
