/* kad.c - searches, answers, refreshing and publishing over the table. */
#include "net/libp2p/kad.h"

#include <stdlib.h>
#include <string.h>

#define QUERIES 256
#define PUBLISH 4 /* publishing searches at once */
#define NEVER   UINT64_MAX
#define SOON_MS UINT64_C(3000)

struct query {
    uint32_t no; /* 0: free */
    uint32_t search;
    struct qn_peer_id peer;
    uint64_t end_ms;
};

struct search {
    uint32_t no; /* 0: free */
    kad_search_fn *fn;
    void *arg;
    bool publish;
    uint32_t told; /* found so far, as fn knows */
    struct kad_find *find;
};

struct own {
    uint8_t key_len, key[KAD_RECORD_KEY];
    uint64_t due_ms;
};

struct kad {
    struct kad_conf conf;
    struct net_dice dice;
    struct kad_table table;
    struct kad_store store;
    struct kad_peer self;
    uint32_t last_query, last_search;
    struct query query[QUERIES];
    struct search search[KAD_SEARCHES];
    uint32_t own_cnt, own_cap;
    struct own *own;
    uint64_t refresh_ms;
    bool refresh_far;
};

struct kad *kad_new(const struct kad_conf *conf)
{
    struct kad *kad = calloc(1, sizeof *kad);
    QN_ASSERT(kad && conf->self.len);
    kad->conf = *conf;
    kad->self.id = conf->self;
    net_dice_init(&kad->dice, QN_SPAN_OF(conf->seed));
    kad_table_init(&kad->table, &conf->self);
    kad_store_init(&kad->store, &kad->table.self, QN_SPAN_OF(conf->seed), conf->record_max);
    return kad;
}

void kad_free(struct kad *kad)
{
    if (!kad) return;
    for (uint32_t i = 0; i < KAD_SEARCHES; i++)
        free(kad->search[i].find);
    kad_table_fini(&kad->table);
    kad_store_fini(&kad->store);
    free(kad->own);
    free(kad);
}

void kad_server_set(struct kad *kad, bool server)
{
    kad->conf.server = server;
}

void kad_self_set(struct kad *kad, const struct kad_addr *addrs, uint32_t cnt)
{
    kad->self.addr_cnt = (uint8_t)QN_MIN(cnt, (uint32_t)KAD_ADDRS);
    memcpy(kad->self.addr, addrs, kad->self.addr_cnt * sizeof *addrs);
}

/* Leaves out addresses of a house that is not everybody's, and of nowhere. */
static void usable(const struct kad *kad, struct kad_peer *peer)
{
    uint8_t cnt = 0;
    for (uint8_t i = 0; i < peer->addr_cnt; i++) {
        struct net_ip ip;
        enum net_range range = kad_addr_host(&peer->addr[i], &ip) ? net_ip_range(&ip) : NET_PUBLIC;
        if (range == NET_PUBLIC || (kad->conf.private && range != NET_NOWHERE))
            peer->addr[cnt++] = peer->addr[i];
    }
    memset(peer->addr + cnt, 0, (size_t)(KAD_ADDRS - cnt) * sizeof *peer->addr);
    peer->addr_cnt = cnt;
}

/* --- asking -------------------------------------------------------------------------------------------- */

static bool ask(struct kad *kad, enum kad_type type, struct qn_span key, uint32_t search,
                const struct kad_peer *peer, uint64_t now_ms)
{
    struct qn_buf buf = { 0 };
    struct kad_message *m;
    struct query *q = NULL;
    bool one_way = type == KAD_ADD_PROVIDER;
    for (uint32_t i = 0; i < QUERIES && !q && !one_way; i++)
        if (!kad->query[i].no) q = &kad->query[i];
    if (!q && !one_way) return false;
    m = calloc(1, sizeof *m);
    QN_ASSERT(m);
    m->type = type;
    m->key = key;
    if (one_way) m->provider[m->provider_cnt++] = kad->self;
    kad_write(m, &buf);
    free(m);
    if (q) {
        if (++kad->last_query == 0) kad->last_query = 1;
        *q = (struct query){
            .no = kad->last_query, .search = search, .peer = peer->id, .end_ms = now_ms + KAD_ASK_MS
        };
    }
    kad->conf.ops.ask(kad->conf.ops.arg, q ? q->no : 0, peer, qn_buf_get(&buf), one_way);
    qn_buf_free(&buf);
    return true;
}

static struct search *search_of(struct kad *kad, uint32_t no)
{
    for (uint32_t i = 0; no && i < KAD_SEARCHES; i++)
        if (kad->search[i].no == no) return &kad->search[i];
    return NULL;
}

static struct query *query_of(struct kad *kad, uint32_t no)
{
    for (uint32_t i = 0; no && i < QUERIES; i++)
        if (kad->query[i].no == no) return &kad->query[i];
    return NULL;
}

/* The key was searched for: those nearest to it are told that we have it. */
static void publish(struct kad *kad, const struct kad_find *f, uint64_t now_ms)
{
    struct kad_peer near[KAD_K];
    uint32_t cnt = kad_find_near(f, near);
    for (uint32_t i = 0; i < cnt && kad->self.addr_cnt; i++)
        ask(kad, KAD_ADD_PROVIDER, QN_SPAN(f->key, f->key_len), 0, &near[i], now_ms);
    for (uint32_t i = 0; i < kad->own_cnt; i++) {
        struct own *own = &kad->own[i];
        if (own->key_len != f->key_len || memcmp(own->key, f->key, f->key_len) != 0) continue;
        /* Nobody there to tell: soon again. */
        own->due_ms = now_ms + (cnt && kad->self.addr_cnt ? KAD_REPUBLISH_MS : 30000);
    }
}

/* Asks on, tells of what was found, and ends what is done. */
static void pump(struct kad *kad, struct search *s, uint64_t now_ms)
{
    struct kad_find *f = s->find;
    struct kad_peer next;
    uint32_t no = s->no;
    while (kad_find_next(f, &next))
        if (!ask(kad, f->type, QN_SPAN(f->key, f->key_len), no, &next, now_ms))
            kad_find_fail(f, &next.id);
    bool done = kad_find_done(f);
    if (s->fn && f->found_cnt > s->told && !done) {
        s->told = f->found_cnt;
        s->fn(s->arg, f, false);
    }
    if (!done) return;
    struct search was = *s;
    *s = (struct search){ 0 };
    for (uint32_t i = 0; i < QUERIES; i++) /* late answers still feed the table */
        if (kad->query[i].search == no) kad->query[i].search = 0;
    if (was.publish) publish(kad, f, now_ms);
    if (was.fn) was.fn(was.arg, f, true);
    free(f);
}

static uint32_t start(struct kad *kad, enum kad_type type, struct qn_span key, uint32_t want,
                      kad_search_fn *fn, void *arg, bool publishes)
{
    struct kad_peer near[KAD_K];
    struct search *s = NULL;
    struct qn_hash target = kad_key(key);
    for (uint32_t i = 0; i < KAD_SEARCHES && !s; i++)
        if (!kad->search[i].no) s = &kad->search[i];
    if (!s || key.len > KAD_KEY_MAX || key.len == 0) return 0;
    uint32_t cnt = kad_table_near(&kad->table, &target, KAD_K, NULL, near);
    if (++kad->last_search == 0) kad->last_search = 1;
    *s = (struct search){ .no = kad->last_search, .fn = fn, .arg = arg, .publish = publishes };
    s->find = malloc(sizeof *s->find);
    QN_ASSERT(s->find);
    kad_find_init(s->find, type, key, &kad->conf.self, kad->conf.paths, want, near, cnt);
    return s->no;
}

uint32_t kad_search(struct kad *kad, enum kad_type type, struct qn_span key, uint32_t want,
                    kad_search_fn *fn, void *arg, uint64_t now_ms)
{
    uint32_t no = start(kad, type, key, want, fn, arg, false);
    struct search *s = search_of(kad, no);
    if (!s) return 0;
    if (type == KAD_GET_PROVIDERS) {
        struct kad_peer known[KAD_K];
        uint32_t cnt = kad_store_get(&kad->store, &s->find->target, now_ms, KAD_K, known);
        for (uint32_t i = 0; i < cnt; i++)
            if (!qn_peer_id_eq(&known[i].id, &kad->conf.self))
                s->find->found[s->find->found_cnt++] = known[i];
    }
    /* Its first questions go out with the next turn, so that fn is not called in here. */
    return no;
}

void kad_stop(struct kad *kad, uint32_t no)
{
    struct search *s = search_of(kad, no);
    if (!s) return;
    free(s->find);
    *s = (struct search){ 0 };
    for (uint32_t i = 0; i < QUERIES; i++)
        if (kad->query[i].search == no) kad->query[i].search = 0;
}

/* --- hearing ------------------------------------------------------------------------------------------- */

void kad_hello(struct kad *kad, const struct kad_peer *peer, const struct net_ip *ip,
               uint64_t now_ms)
{
    struct kad_peer p = *peer, old;
    uint32_t before = kad->table.cnt;
    usable(kad, &p);
    if (p.addr_cnt == 0) return;
    qn_rc rc = kad_table_seen(&kad->table, &p, ip, now_ms, &old);
    if (rc == QN_E_BUSY) {
        const struct kad_node *n = kad_table_get(&kad->table, &old.id);
        QN_ASSERT(n);
        if (n->seen_ms + KAD_REFRESH_MS < now_ms)
            ask(kad, KAD_PING, QN_SPAN(old.id.b, 0), 0, &old, now_ms);
    }
    /* A table that is almost empty is worth more questions: those who told it little may know more by now. */
    if (!rc && kad->table.cnt > before && before < KAD_K)
        kad->refresh_ms = QN_MIN(kad->refresh_ms, now_ms + (before ? SOON_MS : 0));
}

qn_rc kad_answer(struct kad *kad, uint32_t no, const struct net_ip *ip, struct qn_span answer,
                 uint64_t now_ms)
{
    struct query *q = query_of(kad, no);
    if (!q) return QN_OK;
    struct query was = *q;
    struct kad_message *m = malloc(sizeof *m);
    QN_ASSERT(m);
    qn_rc rc = kad_read(answer, m);
    if (rc) {
        kad_fail(kad, no, now_ms);
        free(m);
        return rc;
    }
    *q = (struct query){ 0 };
    struct search *s = search_of(kad, was.search);
    const struct kad_node *n = kad_table_get(&kad->table, &was.peer);
    struct kad_peer peer = { .id = was.peer };
    if (n) peer = n->peer;
    for (uint32_t i = 0; i < KAD_PATHS && s && !n;
         i++) /* a newcomer: its addresses as the search knows them */
        for (uint32_t j = 0; j < s->find->path[i].cnt; j++)
            if (qn_peer_id_eq(&s->find->path[i].list[j].peer.id, &was.peer))
                peer = s->find->path[i].list[j].peer;
    kad_hello(kad, &peer, ip, now_ms);
    for (uint32_t i = 0; i < m->closer_cnt; i++)
        usable(kad, &m->closer[i]);
    for (uint32_t i = 0; i < m->provider_cnt; i++)
        usable(kad, &m->provider[i]);
    for (uint32_t i = 0; i < m->closer_cnt && kad->conf.ops.heard; i++)
        if (m->closer[i].addr_cnt && !qn_peer_id_eq(&m->closer[i].id, &kad->conf.self))
            kad->conf.ops.heard(kad->conf.ops.arg, &m->closer[i], ip);
    if (s) {
        kad_find_answer(s->find, &was.peer, m);
        pump(kad, s, now_ms);
    }
    free(m);
    return QN_OK;
}

void kad_fail(struct kad *kad, uint32_t no, uint64_t now_ms)
{
    struct query *q = query_of(kad, no);
    if (!q) return;
    struct query was = *q;
    *q = (struct query){ 0 };
    kad_table_fail(&kad->table, &was.peer);
    struct search *s = search_of(kad, was.search);
    if (!s) return;
    kad_find_fail(s->find, &was.peer);
    pump(kad, s, now_ms);
}

/* --- answering ----------------------------------------------------------------------------------------- */

static qn_rc add_provider(struct kad *kad, const struct qn_peer_id *from,
                          const struct kad_message *m, uint64_t now_ms)
{
    struct qn_hash key = kad_key(m->key);
    if (m->key.len == 0 || m->key.len > KAD_RECORD_KEY) return QN_E_RANGE;
    for (uint32_t i = 0; i < m->provider_cnt; i++) {
        struct kad_peer p = m->provider[i];
        if (!qn_peer_id_eq(&p.id, from)) continue; /* nobody speaks for another */
        usable(kad, &p);
        if (p.addr_cnt) return kad_store_put(&kad->store, &key, &p, now_ms);
    }
    return QN_OK;
}

static uint32_t closer(struct kad *kad, const struct qn_peer_id *from, struct qn_span key,
                       struct kad_peer ret[KAD_K])
{
    struct qn_hash target = kad_key(key);
    uint32_t cnt = kad_table_near(&kad->table, &target, KAD_K, from, ret);
    struct kad_peer one = { 0 };
    bool self = key.len == kad->conf.self.len && memcmp(key.ptr, kad->conf.self.b, key.len) == 0;
    if (self)
        one = kad->self;
    else if (cnt && ret[0].id.len == key.len && memcmp(ret[0].id.b, key.ptr, key.len) == 0)
        return cnt;
    else if (!kad->conf.ops.find || !kad->conf.ops.find(kad->conf.ops.arg, key, &one))
        return cnt;
    usable(kad, &one);
    if (!one.addr_cnt) return cnt;
    cnt = QN_MIN(cnt, KAD_K - 1u);
    memmove(ret + 1, ret, cnt * sizeof *ret);
    ret[0] = one;
    return cnt + 1;
}

qn_rc kad_serve(struct kad *kad, const struct qn_peer_id *from, struct qn_span request,
                uint64_t now_ms, struct qn_buf *reply)
{
    struct qn_hash target;
    if (!kad->conf.server) return QN_E_REFUSED;
    struct kad_message *m = malloc(sizeof *m);
    QN_ASSERT(m);
    qn_rc rc = kad_read(request, m);
    if (rc) goto out;
    switch (m->type) {
    case KAD_PUT_VALUE: rc = QN_E_REFUSED; goto out;
    case KAD_ADD_PROVIDER: rc = add_provider(kad, from, m, now_ms); goto out;
    case KAD_PING:
        m->key = (struct qn_span){ 0 };
        m->closer_cnt = m->provider_cnt = 0;
        break;
    case KAD_GET_PROVIDERS:
    case KAD_GET_VALUE:
    case KAD_FIND_NODE:
        if (m->key.len == 0) {
            rc = QN_E_RANGE;
            goto out;
        }
        target = kad_key(m->key);
        m->provider_cnt = m->type == KAD_GET_PROVIDERS
                              ? kad_store_get(&kad->store, &target, now_ms, KAD_K, m->provider)
                              : 0;
        m->closer_cnt = closer(kad, from, m->key, m->closer);
        break;
    case KAD_TYPE_CNT: QN_BUG("kad_read lets it through");
    }
    kad_write(m, reply);
out:
    free(m);
    return rc;
}

/* --- providing ----------------------------------------------------------------------------------------- */

static struct own *own_of(struct kad *kad, struct qn_span key)
{
    for (uint32_t i = 0; i < kad->own_cnt; i++)
        if (kad->own[i].key_len == key.len && memcmp(kad->own[i].key, key.ptr, key.len) == 0)
            return &kad->own[i];
    return NULL;
}

qn_rc kad_provide(struct kad *kad, struct qn_span key, uint64_t now_ms)
{
    if (key.len == 0 || key.len > KAD_RECORD_KEY) return QN_E_TOOBIG;
    struct own *own = own_of(kad, key);
    if (!own) {
        if (kad->own_cnt == KAD_OWN_MAX) return QN_E_LIMIT;
        if (kad->own_cnt == kad->own_cap) {
            kad->own_cap = QN_MAX(kad->own_cap * 2, 16u);
            kad->own = realloc(kad->own, kad->own_cap * sizeof *kad->own);
            QN_ASSERT(kad->own);
        }
        own = &kad->own[kad->own_cnt++];
        own->key_len = (uint8_t)key.len;
        memcpy(own->key, key.ptr, key.len);
    }
    own->due_ms = now_ms;
    return QN_OK;
}

void kad_unprovide(struct kad *kad, struct qn_span key)
{
    struct own *own = own_of(kad, key);
    if (own) *own = kad->own[--kad->own_cnt];
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void republish(struct kad *kad, uint64_t now_ms)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < KAD_SEARCHES; i++)
        running += kad->search[i].no && kad->search[i].publish;
    for (uint32_t i = 0; i < kad->own_cnt && running < PUBLISH; i++) {
        struct own *own = &kad->own[i];
        struct qn_span key = QN_SPAN(own->key, own->key_len);
        if (own->due_ms > now_ms) continue;
        struct qn_hash at = kad_key(key);
        if (kad->self.addr_cnt) { /* who asks us first need not ask further */
            qn_rc rc = kad_store_put(&kad->store, &at, &kad->self, now_ms);
            (void)rc; /* full: others keep it */
        }
        if (!start(kad, KAD_FIND_NODE, key, 0, NULL, NULL, true)) return;
        own->due_ms = NEVER; /* until it is done */
        running++;
    }
}

/* Turn about: our own place, then somewhere in a bucket that may be poor. */
static void refresh(struct kad *kad, uint64_t now_ms)
{
    uint8_t key[32];
    kad->refresh_ms = now_ms + KAD_REFRESH_MS / 2 + net_dice_below(&kad->dice, KAD_REFRESH_MS);
    if (!kad->refresh_far) {
        struct qn_peer_id *id = &kad->conf.self;
        (void)start(kad, KAD_FIND_NODE, QN_SPAN(id->b, id->len), 0, NULL, NULL, false);
    } else {
        for (size_t i = 0; i < sizeof key; i += 8) {
            uint64_t v = net_dice_draw(&kad->dice);
            memcpy(key + i, &v, 8);
        }
        (void)start(kad, KAD_FIND_NODE, QN_SPAN_OF(key), 0, NULL, NULL, false);
    }
    kad->refresh_far = !kad->refresh_far;
}

void kad_turn(struct kad *kad, uint64_t now_ms)
{
    for (uint32_t i = 0; i < QUERIES; i++)
        if (kad->query[i].no && kad->query[i].end_ms <= now_ms)
            kad_fail(kad, kad->query[i].no, now_ms);
    if (kad->table.cnt && kad->refresh_ms <= now_ms) refresh(kad, now_ms);
    if (kad->table.cnt) republish(kad, now_ms);
    for (uint32_t i = 0; i < KAD_SEARCHES; i++)
        if (kad->search[i].no) pump(kad, &kad->search[i], now_ms);
    kad_store_expire(&kad->store, 16, now_ms);
}

struct kad_info kad_info(const struct kad *kad)
{
    struct kad_info info = { .peers = kad->table.cnt,
                             .records = kad->store.cnt,
                             .own = kad->own_cnt };
    for (uint32_t i = 0; i < KAD_SEARCHES; i++)
        info.searches += kad->search[i].no != 0;
    for (uint32_t i = 0; i < QUERIES; i++)
        info.queries += kad->query[i].no != 0;
    return info;
}

const struct kad_table *kad_peers(const struct kad *kad)
{
    return &kad->table;
}
