/* discover.c - address book, chosen connections and hash table on one host. */
#include "net/libp2p/discover_int.h"

#include "net/libp2p/evict.h"
#include "net/libp2p/record.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MS  500
#define SAVE_MS  900000
#define FIRST_MS 30000 /* the first save: a short run leaves something too */
#define JOIN_MS  5000
#define EXTRA_MS 60000
#define CLAIMS   16    /* of where a peer is that are tried */
#define EXTRA    16    /* connections for questions alone that may stand */
#define MEET_MS  15000 /* to say of which chain it is; less than OUTBOUND_DIAL_MS */
#define SHUN_MS  3600000

uint64_t discover_now(const struct qn_discover *d)
{
    return d->start_ms + (qn_env_mono_us(d->conf.env) - d->start_us) / 1000;
}

void discover_begin(struct qn_discover *d, struct discover_work *work)
{
    work->d = d;
    work->next = d->works;
    work->at = &d->works;
    if (work->next) work->next->at = &work->next;
    d->works = work;
}

void discover_end(struct discover_work *work)
{
    if (!work->at) return;
    *work->at = work->next;
    if (work->next) work->next->at = work->at;
    work->at = NULL;
}

struct net_addr discover_addr(const struct qn_endpoint *e)
{
    struct net_addr a = { net_ip4(e->ip[0], e->ip[1], e->ip[2], e->ip[3]), e->port };
    if (e->v6) memcpy(a.ip.b, e->ip, 16);
    return a;
}

struct qn_endpoint discover_endpoint(const struct net_addr *addr)
{
    struct qn_endpoint e = { .v6 = !net_ip_is4(&addr->ip), .port = addr->port };
    memcpy(e.ip, addr->ip.b + (e.v6 ? 0 : 12), e.v6 ? 16 : 4);
    return e;
}

static bool is_self(const struct qn_discover *d, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < d->self_cnt; i++)
        if (net_addr_eq(&d->self[i], addr)) return true;
    return false;
}

static void self_add(struct qn_discover *d, const struct net_addr *addr)
{
    if (is_self(d, addr)) return;
    if (d->self_cnt == DISCOVER_SELF)
        memmove(d->self, d->self + 1, sizeof d->self - sizeof *d->self), d->self_cnt--;
    d->self[d->self_cnt++] = *addr;
}

/* Only where we have been ourselves and found another chain: what a stranger says of addresses could hide honest ones. */
static void shun(struct qn_discover *d, const struct net_addr *addr)
{
    addrbook_forget(d->book, addr);
    d->shun[d->shun_next++ % DISCOVER_SHUN] =
        (struct discover_shun){ *addr, discover_now(d) + SHUN_MS };
}

/* Neither our own, nor one where another chain was met. */
static bool fresh(const struct qn_discover *d, const struct net_addr *addr)
{
    uint64_t now_ms = discover_now(d);
    if (is_self(d, addr)) return false;
    for (uint32_t i = 0; i < DISCOVER_SHUN; i++)
        if (d->shun[i].until_ms > now_ms && net_addr_eq(&d->shun[i].addr, addr)) return false;
    return true;
}

static void know(struct qn_discover *d, const struct net_addr *addr, const struct qn_peer_id *id,
                 const struct net_ip *source)
{
    uint64_t now_ms = discover_now(d);
    if (fresh(d, addr)) addrbook_add(d->book, addr, id, source, now_ms, now_ms);
}

static void log_line(struct qn_discover *d, const char *line)
{
    if (d->conf.log) d->conf.log(d->conf.arg, line);
}

/* --- dials of the outbound machine --------------------------------------------------------------------- */

struct dial {
    struct discover_work work;
    struct net_addr addr;
    uint64_t start_ms; /* monotonic, as the host's up_ms */
};

/* It is of our chain, so it counts; a feeler has seen enough. */
static void meet_good(struct qn_discover *d, const struct discover_meet *m,
                      const struct qn_peer_id *id)
{
    enum outbound_kind other, kind = outbound_up(&d->out, &m->addr, id, m->peer, discover_now(d));
    if (kind == OUTBOUND_FEELER && m->fresh && !outbound_find(&d->out, m->peer, &other))
        qn_host_hangup(d->conf.host, m->peer, "a look whether you are there; thank you");
}

static void meet_bad(struct qn_discover *d, const struct discover_meet *m)
{
    outbound_fail(&d->out, &m->addr);
    if (m->fresh) qn_host_hangup(d->conf.host, m->peer, "not of our network");
}

/* What a peer says of itself settles what was waiting for that. */
static void meet_settle(struct qn_discover *d, const struct qn_peer_info *info, enum qn_kin kin)
{
    for (uint32_t i = 0; i < d->meet_cnt;) {
        struct discover_meet m = d->meet[i];
        if (m.peer != info->peer || kin == QN_KIN_NONE) {
            i++;
            continue;
        }
        d->meet[i] = d->meet[--d->meet_cnt];
        if (kin == QN_KIN_OURS)
            meet_good(d, &m, &info->id);
        else
            meet_bad(d, &m);
    }
}

static void meet_late(struct qn_discover *d, uint64_t now_ms)
{
    for (uint32_t i = 0; i < d->meet_cnt;) {
        struct discover_meet m = d->meet[i];
        if (m.end_ms > now_ms) {
            i++;
            continue;
        }
        d->meet[i] = d->meet[--d->meet_cnt];
        meet_bad(d, &m);
    }
}

static void meet_gone(struct qn_discover *d, uint32_t peer)
{
    for (uint32_t i = 0; i < d->meet_cnt;) {
        if (d->meet[i].peer != peer) {
            i++;
            continue;
        }
        outbound_fail(&d->out, &d->meet[i].addr);
        d->meet[i] = d->meet[--d->meet_cnt];
    }
}

static void dial_done(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct dial *dial = arg, was = *dial;
    struct qn_discover *d = was.work.d;
    struct qn_peer_info info;
    (void)why;
    discover_end(&dial->work);
    free(dial);
    if (!d) return;
    if (rc == QN_E_STATE) self_add(d, &was.addr);
    if (rc || d->meet_cnt == OUTBOUND_SLOTS || !qn_host_peer(d->conf.host, peer, &info)) {
        outbound_fail(&d->out, &was.addr);
        return;
    }
    /* A feeler hangs up what it made, not what stood before. */
    d->meet[d->meet_cnt++] =
        (struct discover_meet){ .peer = peer,
                                .fresh = info.outbound && info.up_ms >= was.start_ms,
                                .addr = was.addr,
                                .end_ms = discover_now(d) + MEET_MS };
    char hex[QN_CHAIN_HEX];
    if (info.identified) meet_settle(d, &info, qn_peer_kin(&info, d->chain, hex));
}

static void on_dial(void *arg, const struct net_addr *addr, enum outbound_kind kind)
{
    struct qn_discover *d = arg;
    struct dial *dial = calloc(1, sizeof *dial);
    struct qn_endpoint e = discover_endpoint(addr);
    QN_ASSERT(dial);
    (void)kind;
    dial->addr = *addr;
    dial->start_ms = qn_env_mono_us(d->conf.env) / 1000;
    discover_begin(d, &dial->work);
    if (qn_host_dial_to(d->conf.host, &e, dial_done, dial, NULL) == QN_OK) return;
    discover_end(&dial->work);
    free(dial);
    outbound_fail(&d->out, addr);
}

static void on_hangup(void *arg, uint32_t peer)
{
    struct qn_discover *d = arg;
    qn_host_hangup(d->conf.host, peer, "making room for another");
}

static bool on_connected(void *arg, const struct addrbook_entry *e)
{
    struct qn_discover *d = arg;
    uint32_t peer;
    if (is_self(d, &e->addr)) return true;
    if (!e->id.len) return false;
    return qn_peer_id_eq(&e->id, qn_host_id(d->conf.host)) ||
           qn_host_find(d->conf.host, &e->id, &peer);
}

static struct outbound_ops ops_of(struct qn_discover *d)
{
    return (struct outbound_ops){
        .arg = d, .dial = on_dial, .hangup = on_hangup, .connected = on_connected
    };
}

/* --- the addresses that a person named ----------------------------------------------------------------- */

struct joining {
    struct discover_work work;
    uint32_t idx;
};

static void join_done(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct joining *j = arg;
    struct qn_discover *d = j->work.d;
    uint32_t idx = j->idx;
    (void)rc, (void)peer, (void)why; /* on_identify tells whether it was worth it */
    discover_end(&j->work);
    free(j);
    if (d) d->join[idx].running = false;
}

static qn_rc join_dial(struct qn_discover *d, uint32_t idx, struct qn_why *why)
{
    struct joining *j = calloc(1, sizeof *j);
    QN_ASSERT(j);
    j->idx = idx;
    discover_begin(d, &j->work);
    d->join[idx].running = true;
    qn_rc rc = qn_host_dial(d->conf.host, d->join[idx].addr, join_done, j, why);
    if (rc) {
        d->join[idx].running = false;
        discover_end(&j->work);
        free(j);
    }
    return rc;
}

qn_rc qn_discover_join(struct qn_discover *d, const char *addr, struct qn_why *why)
{
    struct qn_maddr maddr;
    struct qn_endpoint e;
    qn_rc rc = qn_maddr_parse(addr, &maddr, why);
    if (!rc) rc = qn_maddr_endpoint(&maddr, &e);
    if (rc) return rc;
    if (d->join_cnt == DISCOVER_JOINS)
        return qn_why(why, QN_E_LIMIT, "%u addresses to join are enough", DISCOVER_JOINS);
    snprintf(d->join[d->join_cnt].addr, sizeof d->join->addr, "%s", addr);
    d->join_ms = discover_now(d) + JOIN_MS;
    rc = join_dial(d, d->join_cnt++, why);
    return rc == QN_E_STATE ? QN_OK : rc; /* ourselves: no harm */
}

/* --- the hash table ------------------------------------------------------------------------------------ */

static void peer_addrs(struct kad_peer *p, const struct qn_maddr *addr, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt && p->addr_cnt < KAD_ADDRS; i++) {
        if (addr[i].len > KAD_ADDR_MAX || addr[i].len == 0) continue;
        struct kad_addr *a = &p->addr[p->addr_cnt++];
        a->len = (uint8_t)addr[i].len;
        memcpy(a->b, addr[i].b, addr[i].len);
    }
}

static void on_heard(void *arg, const struct kad_peer *peer, const struct net_ip *source)
{
    struct qn_discover *d = arg;
    for (uint8_t i = 0; i < peer->addr_cnt; i++) {
        struct net_addr addr;
        if (kad_addr_ip(&peer->addr[i], &addr)) know(d, &addr, &peer->id, source);
    }
}

static bool on_find(void *arg, struct qn_span id, struct kad_peer *ret)
{
    struct qn_discover *d = arg;
    struct qn_peer_info info;
    struct qn_peer_id want;
    uint32_t peer;
    if (qn_peer_id_read(id, &want) || !qn_host_find(d->conf.host, &want, &peer)) return false;
    if (!qn_host_peer(d->conf.host, peer, &info)) return false;
    *ret = (struct kad_peer){ .id = want, .connected = 1 };
    peer_addrs(ret, info.addrs, info.addr_cnt);
    return ret->addr_cnt > 0;
}

void discover_extra(struct qn_discover *d, uint32_t peer)
{
    enum outbound_kind kind;
    for (uint32_t i = 0; i < d->extra_cnt; i++)
        if (d->extra[i] == peer) return;
    d->extra[d->extra_cnt++] = peer;
    for (uint32_t i = 0; i < d->extra_cnt && d->extra_cnt > EXTRA;) {
        uint32_t old = d->extra[i];
        struct qn_peer_info info;
        bool there = qn_host_peer(d->conf.host, old, &info);
        bool keep = there && (outbound_find(&d->out, old, &kind) ||
                              info.up_ms + EXTRA_MS > qn_env_mono_us(d->conf.env) / 1000);
        if (keep && d->extra_cnt < DISCOVER_EXTRA) {
            i++;
            continue;
        }
        memmove(d->extra + i, d->extra + i + 1, (d->extra_cnt - i - 1) * sizeof *d->extra);
        d->extra_cnt--;
        if (there && !keep) qn_host_hangup(d->conf.host, old, "nothing more to ask");
    }
}

static void serve(struct qn_discover *d)
{
    if (d->serving) return;
    d->serving = discover_serve(d) == QN_OK;
    kad_server_set(d->kad, d->serving);
}

void qn_discover_public(struct qn_discover *d, bool on)
{
    if (on) serve(d);
    if (on || !d->serving || d->conf.private) return;
    d->serving = false;
    kad_server_set(d->kad, false);
    qn_host_unproto(d->conf.host, d->conf.proto);
}

/* --- what the host tells -------------------------------------------------------------------------------- */

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct qn_discover *d = arg;
    (void)id, (void)outbound;
    if (up) return;
    meet_gone(d, peer);
    outbound_down(&d->out, peer);
    for (uint32_t i = 0; i < d->extra_cnt; i++)
        if (d->extra[i] == peer) {
            d->extra_cnt--;
            memmove(d->extra + i, d->extra + i + 1, (d->extra_cnt - i) * sizeof *d->extra);
        }
}

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct qn_discover *d = arg;
    struct net_addr remote = discover_addr(&info->remote);
    uint64_t now_ms = discover_now(d);
    char hex[QN_CHAIN_HEX];
    enum qn_kin kin = qn_peer_kin(info, d->chain, hex);
    if (kin == QN_KIN_OTHER && info->outbound) shun(d, &remote);
    meet_settle(d, info, kin);
    if (kin != QN_KIN_OURS) return;
    struct kad_peer p = { .id = info->id, .connected = 1 };
    peer_addrs(&p, info->addrs, info->addr_cnt);
    on_heard(d, &p, &remote.ip);
    if (!p.addr_cnt && info->outbound) { /* it says nothing, but we know where it is */
        p.addr[0] = kad_addr_of(&remote);
        p.addr_cnt = 1;
    }
    if (info->outbound) addrbook_good(d->book, &remote, &info->id, now_ms);
    if (qn_host_speaks(d->conf.host, info->peer, d->conf.proto))
        kad_hello(d->kad, &p, &remote.ip, now_ms);
}

/* Who fell out of the table while a connection stands (a question was lost with another connection) gets in again. */
static void greet(void *arg, const struct qn_peer_info *info)
{
    struct qn_discover *d = arg;
    if (info->identified && !kad_table_get(kad_peers(d->kad), &info->id)) on_identify(d, info);
}

/* --- peers that others name ----------------------------------------------------------------------------- */

/* Reads a signed record, of `named` when that is not NULL, and notes its addresses, in *ret as well. */
static qn_rc hear(struct qn_discover *d, uint32_t peer, const struct qn_peer_id *named,
                  struct qn_span record, struct kad_peer *ret)
{
    struct qn_record *r = calloc(1, sizeof *r);
    struct qn_peer_info info;
    QN_ASSERT(r);
    qn_rc rc = qn_record_read(record, r);
    if (!rc && named && !qn_peer_id_eq(named, &r->id)) rc = QN_E_SIGNATURE;
    if (!rc && !qn_host_peer(d->conf.host, peer, &info)) rc = QN_E_NOTFOUND;
    if (!rc) {
        struct net_addr source = discover_addr(&info.remote);
        *ret = (struct kad_peer){ .id = r->id };
        peer_addrs(ret, r->addr, r->addr_cnt);
        on_heard(d, ret, &source.ip);
    }
    free(r);
    return rc;
}

qn_rc qn_discover_hear(struct qn_discover *d, uint32_t peer, struct qn_span record)
{
    struct kad_peer p;
    return hear(d, peer, NULL, record, &p);
}

static void px_dialled(void *arg, qn_rc rc, uint32_t peer)
{
    struct qn_discover *d = arg;
    d->px_cnt--;
    if (!rc) discover_extra(d, peer); /* it goes again, unless it is chosen or we know few */
}

/* The one address of it that is worth a dial; false: none. */
static bool px_addr(const struct qn_discover *d, struct kad_peer *p)
{
    struct net_addr addr;
    for (uint8_t i = 0; i < p->addr_cnt; i++) {
        if (!kad_addr_ip(&p->addr[i], &addr) || !fresh(d, &addr)) continue;
        if (!addrbook_wants(d->book, &addr)) continue;
        p->addr[0] = p->addr[i];
        p->addr_cnt = 1;
        return true;
    }
    return false;
}

qn_rc qn_discover_px(struct qn_discover *d, uint32_t peer, struct qn_span id, struct qn_span record)
{
    struct qn_peer_id named;
    struct kad_peer p;
    uint32_t have;
    qn_rc rc = qn_peer_id_read(id, &named);
    if (!rc) rc = hear(d, peer, &named, record, &p);
    if (rc) return rc;
    if (qn_peer_id_eq(&p.id, qn_host_id(d->conf.host)) || qn_host_find(d->conf.host, &p.id, &have))
        return QN_OK;
    if (d->px_cnt < DISCOVER_PX && qn_host_peer_cnt(d->conf.host) < DISCOVER_PX_ENOUGH &&
        px_addr(d, &p)) {
        d->px_cnt++;
        qn_discover_dial(d, &p, px_dialled, d);
    }
    return QN_OK;
}

/* --- evicting ------------------------------------------------------------------------------------------ */

void qn_discover_useful(struct qn_discover *d, uint32_t peer, bool block)
{
    struct discover_useful *u = &d->useful[peer % DISCOVER_USEFUL];
    if (u->peer != peer) *u = (struct discover_useful){ .peer = peer };
    *(block ? &u->block_ms : &u->tx_ms) = discover_now(d);
}

struct candidates {
    struct qn_discover *d;
    uint32_t cnt;
    struct evict_peer peer[EVICT_MAX];
};

static void candidate(void *arg, const struct qn_peer_info *info)
{
    struct candidates *c = arg;
    if (info->outbound || c->cnt == EVICT_MAX) return;
    const struct discover_useful *u = &c->d->useful[info->peer % DISCOVER_USEFUL];
    bool known = u->peer == info->peer;
    struct net_addr addr = discover_addr(&info->remote);
    c->peer[c->cnt++] = (struct evict_peer){ .peer = info->peer,
                                             .keep = info->explicit,
                                             .ip = addr.ip,
                                             .up_ms = info->up_ms,
                                             .rtt_us = info->rtt_us,
                                             .block_ms = known ? u->block_ms : 0,
                                             .tx_ms = known ? u->tx_ms : 0 };
}

uint32_t qn_discover_evict(void *arg)
{
    struct candidates *c = calloc(1, sizeof *c);
    QN_ASSERT(c);
    c->d = arg;
    qn_host_peers(c->d->conf.host, candidate, c);
    uint32_t go = evict_pick(&c->d->dice, c->peer, c->cnt);
    free(c);
    return go;
}

bool qn_discover_kind(const struct qn_discover *d, uint32_t peer, enum outbound_kind *ret)
{
    return outbound_find(&d->out, peer, ret);
}

/* --- finding ------------------------------------------------------------------------------------------- */

struct finding {
    struct discover_work work;
    struct qn_peer_id id;
    uint32_t search, tried, dials; /* claims of the search that were dialled; dials that run */
    bool over;                     /* the search ended */
    qn_discover_peer_fn *peer_fn;
    qn_discover_provider_fn *provider_fn;
    void *arg;
};

static void find_end(struct finding *f, qn_rc rc, uint32_t peer)
{
    struct qn_discover *d = f->work.d;
    qn_discover_peer_fn *fn = f->peer_fn;
    f->peer_fn = NULL; /* dials that still run end in silence */
    if (d && !f->over) kad_stop(d->kad, f->search), f->over = true;
    if (fn && d) fn(f->arg, rc, peer);
}

static void find_dialled(void *arg, qn_rc rc, uint32_t peer)
{
    struct finding *f = arg;
    f->dials--;
    if (!rc && f->peer_fn) find_end(f, QN_OK, peer);
    if (f->dials || !f->over) return;
    if (f->peer_fn) find_end(f, QN_E_NOTFOUND, 0);
    discover_end(&f->work);
    free(f);
}

static void find_heard(void *arg, const struct kad_find *find, bool done)
{
    struct finding *f = arg;
    struct qn_discover *d = f->work.d;
    if (done) f->over = true;
    f->dials++; /* keeps f while dials start, which may fail at once */
    while (f->tried < QN_MIN(find->found_cnt, (uint32_t)CLAIMS) && f->peer_fn) {
        f->dials++;
        discover_dial(d, &find->found[f->tried++], find_dialled, f);
    }
    /* Ends f when nothing runs; a search is never stopped from in here, since it calls. */
    if (--f->dials || !f->over) return;
    if (f->peer_fn) find_end(f, QN_E_NOTFOUND, 0);
    discover_end(&f->work);
    free(f);
}

static void find_drop(struct discover_work *work)
{
    struct finding *f = (struct finding *)work; /* its first member */
    f->peer_fn = NULL;
    f->over = true;
    if (!f->dials) free(f); /* else the last dial does */
}

qn_rc qn_discover_peer(struct qn_discover *d, const struct qn_peer_id *id, qn_discover_peer_fn *fn,
                       void *arg)
{
    struct finding *f = calloc(1, sizeof *f);
    QN_ASSERT(f);
    f->id = *id;
    f->work.drop = find_drop;
    f->peer_fn = fn;
    f->arg = arg;
    f->search = kad_search(d->kad, KAD_FIND_NODE, QN_SPAN(id->b, id->len), 0, find_heard, f,
                           discover_now(d));
    if (!f->search) {
        free(f);
        return QN_E_LIMIT;
    }
    discover_begin(d, &f->work);
    return QN_OK;
}

static void providers_heard(void *arg, const struct kad_find *find, bool done)
{
    struct finding *f = arg;
    while (f->tried < find->found_cnt)
        f->provider_fn(f->arg, &find->found[f->tried++]);
    if (!done) return;
    f->provider_fn(f->arg, NULL);
    discover_end(&f->work);
    free(f);
}

qn_rc qn_discover_providers(struct qn_discover *d, struct qn_span key, uint32_t want,
                            qn_discover_provider_fn *fn, void *arg)
{
    struct finding *f = calloc(1, sizeof *f);
    QN_ASSERT(f);
    f->work.drop = find_drop;
    f->provider_fn = fn;
    f->arg = arg;
    f->search =
        kad_search(d->kad, KAD_GET_PROVIDERS, key, want, providers_heard, f, discover_now(d));
    if (!f->search) {
        free(f);
        return QN_E_LIMIT;
    }
    discover_begin(d, &f->work);
    return QN_OK;
}

qn_rc qn_discover_provide(struct qn_discover *d, struct qn_span key)
{
    return kad_provide(d->kad, key, discover_now(d));
}

void qn_discover_unprovide(struct qn_discover *d, struct qn_span key)
{
    kad_unprovide(d->kad, key);
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void save(struct qn_discover *d)
{
    struct qn_why why = { 0 };
    if (!d->book_path) return;
    if (addrbook_save(d->book, d->book_path, &why)) log_line(d, why.text);
}

static void own_addrs(struct qn_discover *d)
{
    struct qn_maddr addr[KAD_ADDRS * 2];
    struct kad_peer self = { 0 };
    uint32_t cnt = qn_host_addrs(d->conf.host, addr, QN_COUNT(addr)), fit = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_endpoint e;
        if (qn_maddr_endpoint(&addr[i], &e)) continue;
        struct net_addr own = discover_addr(&e);
        self_add(d, &own);
        /* Records of what we provide go to anybody: a house's addresses tell about us, and are of no use there. */
        if (d->conf.private || qn_endpoint_public(&e)) addr[fit++] = addr[i];
    }
    peer_addrs(&self, addr, fit);
    kad_self_set(d->kad, self.addr, self.addr_cnt);
}

static void turn(struct qn_discover *d)
{
    struct outbound_ops ops = ops_of(d);
    uint64_t now_ms = discover_now(d);
    own_addrs(d);
    meet_late(d, now_ms);
    outbound_turn(&d->out, &ops, now_ms);
    kad_turn(d->kad, now_ms);
    if (now_ms >= d->join_ms) {
        d->join_ms = now_ms + JOIN_MS;
        qn_host_peers(d->conf.host, greet, d);
        bool alone = qn_host_peer_cnt(d->conf.host) == 0;
        for (uint32_t i = 0; i < d->join_cnt && alone; i++) {
            qn_rc rc = d->join[i].running ? QN_OK : join_dial(d, i, NULL);
            (void)rc; /* no room or no network: again in five seconds */
        }
    }
    if (now_ms >= d->save_ms) {
        d->save_ms = now_ms + SAVE_MS;
        save(d);
    }
}

static void on_timer(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    turn(arg);
}

static void on_soon(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    discover_asks(arg, false);
}

qn_rc qn_discover_open(const struct qn_discover_conf *conf, struct qn_discover **ret,
                       struct qn_why *why)
{
    struct qn_discover *d = calloc(1, sizeof *d);
    QN_ASSERT(d && conf->proto);
    bool named = qn_proto_chain(conf->proto, d->chain);
    QN_ASSERT(named);
    d->conf = *conf;
    d->start_ms = qn_env_now_ms(conf->env);
    d->start_us = qn_env_mono_us(conf->env);
    struct qn_hash seed;
    struct qn_why damage = { 0 };
    qn_env_random(conf->env, seed.b, sizeof seed.b);
    net_dice_init(&d->dice, QN_SPAN_OF(seed));
    if (conf->book_path) {
        d->book_path = strdup(conf->book_path);
        d->book = addrbook_open(conf->env, conf->book_path, conf->private, &damage);
        if (damage.text[0]) log_line(d, damage.text);
    } else {
        d->book = addrbook_new(&seed, conf->private);
    }
    outbound_init(&d->out, d->book, conf->private, conf->full, conf->block);
    struct kad_conf kad = { .self = *qn_host_id(conf->host),
                            .seed = seed,
                            .private = conf->private,
                            .ops = { d, discover_ask, on_heard, on_find } };
    d->kad = kad_new(&kad);
    struct timeval every = { 0, TURN_MS * 1000 };
    d->timer = event_new(conf->base, -1, EV_PERSIST, on_timer, d);
    d->soon = event_new(conf->base, -1, 0, on_soon, d);
    QN_ASSERT(d->timer && d->soon);
    event_add(d->timer, &every);
    d->save_ms = d->start_ms + FIRST_MS;
    d->watch = (struct qn_host_watch){ .arg = d, .on_peer = on_peer, .on_identify = on_identify };
    qn_host_watch(conf->host, &d->watch);
    if (conf->server || conf->private) serve(d);
    (void)why;
    *ret = d;
    return QN_OK;
}

void qn_discover_close(struct qn_discover *d)
{
    if (!d) return;
    save(d);
    discover_asks(d, true);
    qn_host_unwatch(d->conf.host, &d->watch);
    if (d->serving) qn_host_unproto(d->conf.host, d->conf.proto);
    while (d->works) {
        struct discover_work *work = d->works;
        work->d = NULL;
        discover_end(work);
        if (work->drop) work->drop(work);
    }
    event_free(d->timer);
    event_free(d->soon);
    kad_free(d->kad);
    addrbook_free(d->book);
    free(d->book_path);
    free(d);
}

struct qn_discover_info qn_discover_info(const struct qn_discover *d)
{
    struct addrbook_cnt cnt = addrbook_count(d->book);
    return (struct qn_discover_info){ .told = cnt.told,
                                      .tried = cnt.tried,
                                      .full = outbound_count(&d->out, OUTBOUND_FULL),
                                      .block = outbound_count(&d->out, OUTBOUND_BLOCK),
                                      .strangers = d->shun_next,
                                      .server = d->serving,
                                      .kad = kad_info(d->kad) };
}

const struct kad_table *qn_discover_table(const struct qn_discover *d)
{
    return kad_peers(d->kad);
}
