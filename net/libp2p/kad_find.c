/* kad_find.c - three disjoint paths towards a key. */
#include "net/libp2p/kad_find.h"

#include <string.h>

static struct kad_candidate *on_path(struct kad_path *p, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; i < p->cnt; i++)
        if (qn_peer_id_eq(&p->list[i].peer.id, id)) return &p->list[i];
    return NULL;
}

static bool known(struct kad_find *f, const struct qn_peer_id *id)
{
    if (qn_peer_id_eq(&f->self, id)) return true;
    for (uint32_t i = 0; i < f->path_cnt; i++)
        if (on_path(&f->path[i], id)) return true;
    return false;
}

/* Addresses are only claims here, yet an attacker has to claim its own to be asked at all. */
static bool over_share(const struct kad_path *p, const struct kad_peer *peer)
{
    struct net_addr a, b;
    uint32_t cnt = 0;
    if (!peer->addr_cnt || !kad_addr_ip(&peer->addr[0], &a)) return false;
    if (net_ip_range(&a.ip) != NET_PUBLIC) return false;
    for (uint32_t i = 0; i < p->cnt; i++) {
        const struct kad_peer *o = &p->list[i].peer;
        cnt += o->addr_cnt && kad_addr_ip(&o->addr[0], &b) &&
               net_ip_group(&a.ip) == net_ip_group(&b.ip);
    }
    return cnt >= KAD_GROUP_PATH;
}

static void add(struct kad_find *f, struct kad_path *p, const struct kad_peer *peer)
{
    if (!peer->addr_cnt || known(f, &peer->id) || over_share(p, peer)) return;
    struct kad_candidate c = { .peer = *peer, .key = kad_key(QN_SPAN(peer->id.b, peer->id.len)) };
    uint32_t at = p->cnt;
    while (at > 0 && kad_near(&f->target, &c.key, &p->list[at - 1].key))
        at--;
    if (p->cnt == KAD_LIST) { /* the farthest that nobody waits for makes room */
        uint32_t go = KAD_LIST;
        for (uint32_t i = KAD_LIST; i-- > at && go == KAD_LIST;)
            if (p->list[i].state != KAD_ASKED) go = i;
        if (go == KAD_LIST) return;
        memmove(p->list + go, p->list + go + 1, (KAD_LIST - go - 1) * sizeof *p->list);
        p->cnt--;
    }
    memmove(p->list + at + 1, p->list + at, (p->cnt - at) * sizeof *p->list);
    p->list[at] = c;
    p->cnt++;
}

void kad_find_init(struct kad_find *f, enum kad_type type, struct qn_span key,
                   const struct qn_peer_id *self, uint32_t paths, uint32_t want,
                   const struct kad_peer *start, uint32_t start_cnt)
{
    QN_ASSERT(type == KAD_FIND_NODE || type == KAD_GET_PROVIDERS);
    QN_ASSERT(key.len <= KAD_KEY_MAX && paths <= KAD_PATHS);
    memset(f, 0, sizeof *f);
    f->type = type;
    f->key_len = (uint8_t)key.len;
    memcpy(f->key, key.ptr, key.len);
    f->target = kad_key(key);
    f->self = *self;
    f->path_cnt = paths ? paths : KAD_PATHS;
    f->want = want;
    for (uint32_t i = 0; i < start_cnt; i++)
        add(f, &f->path[i % f->path_cnt], &start[i]);
}

/* The place of the nearest of a path that is still to be asked, if one of its nearest few has not answered; else KAD_LIST. */
static uint32_t path_next(const struct kad_path *p)
{
    uint32_t live = 0;
    if (p->asks >= KAD_ASKS_MAX) return KAD_LIST;
    for (uint32_t i = 0; i < p->cnt && live < KAD_ENOUGH; i++) {
        if (p->list[i].state == KAD_NEW) return i;
        live += p->list[i].state != KAD_FAILED;
    }
    return KAD_LIST;
}

static bool sated(const struct kad_find *f)
{
    return f->want && f->found_cnt >= f->want;
}

bool kad_find_next(struct kad_find *f, struct kad_peer *ret)
{
    struct kad_path *go = NULL;
    uint32_t running = 0, at = 0;
    for (uint32_t i = 0; i < f->path_cnt; i++) {
        struct kad_path *p = &f->path[i];
        uint32_t next = path_next(p);
        running += p->running;
        if (next == KAD_LIST || (go && go->running <= p->running))
            continue; /* paths advance evenly */
        go = p, at = next;
    }
    if (!go || running >= KAD_ALPHA || sated(f)) return false;
    go->list[at].state = KAD_ASKED;
    go->asks++, go->running++;
    *ret = go->list[at].peer;
    return true;
}

static struct kad_candidate *asked(struct kad_find *f, const struct qn_peer_id *from,
                                   struct kad_path **ret_path)
{
    for (uint32_t i = 0; i < f->path_cnt; i++) {
        struct kad_candidate *c = on_path(&f->path[i], from);
        if (!c || c->state != KAD_ASKED) continue;
        *ret_path = &f->path[i];
        return c;
    }
    return NULL;
}

static void find_add(struct kad_find *f, const struct kad_peer *peer)
{
    for (uint32_t i = 0; i < f->found_cnt; i++) {
        const struct kad_peer *o = &f->found[i];
        bool same = o->addr_cnt == peer->addr_cnt &&
                    memcmp(o->addr, peer->addr, peer->addr_cnt * sizeof *o->addr) == 0;
        /* A provider counts once; of a peer sought each claim does, since some are lies. */
        if (qn_peer_id_eq(&o->id, &peer->id) && (f->type == KAD_GET_PROVIDERS || same)) return;
    }
    if (f->found_cnt < KAD_FOUND_MAX) f->found[f->found_cnt++] = *peer;
}

void kad_find_answer(struct kad_find *f, const struct qn_peer_id *from, const struct kad_message *m)
{
    struct kad_path *p;
    struct kad_candidate *c = asked(f, from, &p);
    if (!c) return;
    c->state = KAD_DONE;
    p->running--;
    for (uint32_t i = 0;
         f->type == KAD_GET_PROVIDERS && i < QN_MIN(m->provider_cnt, (uint32_t)KAD_FOUND_ONE); i++)
        find_add(f, &m->provider[i]);
    for (uint32_t i = 0; i < m->closer_cnt; i++) {
        const struct kad_peer *peer = &m->closer[i];
        bool sought = f->type == KAD_FIND_NODE && peer->id.len == f->key_len &&
                      memcmp(peer->id.b, f->key, f->key_len) == 0;
        if (sought && peer->addr_cnt) find_add(f, peer);
        if (!sought) add(f, p, peer); /* whom we seek we dial, and do not ask about itself */
    }
}

void kad_find_fail(struct kad_find *f, const struct qn_peer_id *from)
{
    struct kad_path *p;
    struct kad_candidate *c = asked(f, from, &p);
    if (!c) return;
    c->state = KAD_FAILED;
    p->running--;
}

bool kad_find_done(const struct kad_find *f)
{
    if (sated(f)) return true;
    for (uint32_t i = 0; i < f->path_cnt; i++) {
        if (f->path[i].running || path_next(&f->path[i]) != KAD_LIST) return false;
    }
    return true;
}

uint32_t kad_find_near(const struct kad_find *f, struct kad_peer ret[KAD_K])
{
    uint32_t at[KAD_PATHS] = { 0 }, cnt = 0;
    while (cnt < KAD_K) { /* the paths' lists are in order: merge */
        const struct kad_candidate *best = NULL;
        uint32_t from = 0;
        for (uint32_t i = 0; i < f->path_cnt; i++) {
            const struct kad_path *p = &f->path[i];
            while (at[i] < p->cnt && p->list[at[i]].state != KAD_DONE)
                at[i]++;
            if (at[i] == p->cnt) continue;
            const struct kad_candidate *c = &p->list[at[i]];
            if (!best || kad_near(&f->target, &c->key, &best->key)) best = c, from = i;
        }
        if (!best) break;
        ret[cnt++] = best->peer;
        at[from]++;
    }
    return cnt;
}
