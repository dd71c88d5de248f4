/* limit.c - budgets, buckets and the gate. */
#include "net/link/limit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qn_limits qn_limits_default(void)
{
    struct qn_limits l = {
#define LIMIT(name, value, meaning) .name = (value),
#include "net/link/limit.def"
#undef LIMIT
    };
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) {
        uint64_t eighth = (uint64_t)pages * (uint64_t)size / 8;
        if (eighth < l.memory_max) l.memory_max = (uint32_t)eighth;
    }
    return l;
}

size_t qn_limits_share(const struct qn_limits *limits, size_t max)
{
    return QN_MAX(max / 2 / QN_MAX((size_t)limits->in_max + limits->out_max, (size_t)1), (size_t)1);
}

bool qn_budget_take(struct qn_budget *b, size_t bytes)
{
    for (const struct qn_budget *at = b; at; at = at->parent) {
        if (bytes > at->max || at->used > at->max - bytes) return false;
        if (at->share && at->used + bytes > at->share &&
            at->parent->used + bytes > at->parent->max / 2)
            return false;
    }
    for (; b; b = b->parent) {
        b->used += bytes;
        b->high = QN_MAX(b->high, b->used);
    }
    return true;
}

void qn_budget_give(struct qn_budget *b, size_t bytes)
{
    for (; b; b = b->parent) {
        QN_ASSERT(b->used >= bytes);
        b->used -= bytes;
    }
}

bool qn_bucket_take(struct qn_bucket *b, uint32_t rate, uint32_t burst, uint64_t now_us)
{
    uint64_t passed = now_us > b->at_us ? now_us - b->at_us : 0;
    if (passed >= b->spent_u / QN_MAX(rate, 1u)) /* also keeps the product below in range */
        b->spent_u = 0;
    else
        b->spent_u -= passed * rate;
    b->at_us = QN_MAX(now_us, b->at_us);
    if (b->spent_u + 1000000 > (uint64_t)burst * 1000000) return false;
    b->spent_u += 1000000;
    return true;
}

void qn_gate_init(struct qn_gate *g, const struct qn_limits *limits, const uint8_t key[16])
{
    memset(g, 0, sizeof *g);
    g->limits = limits;
    memcpy(g->key, key, 16);
    g->pending = calloc(QN_MAX(limits->pending_max, 1u), sizeof *g->pending);
    QN_ASSERT(g->pending != NULL);
}

void qn_gate_fini(struct qn_gate *g)
{
    free(g->pending);
    g->pending = NULL;
}

/* How many leading bits two origins share, of the same family. */
static bool shares(const struct qn_origin *a, const struct qn_origin *b, unsigned bytes)
{
    return a->v6 == b->v6 && memcmp(a->ip, b->ip, bytes) == 0;
}

static uint32_t alike(const struct qn_gate *g, const struct qn_origin *from, unsigned bytes)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < g->cnt; i++)
        if (shares(&g->pending[i], from, bytes)) cnt++;
    return cnt;
}

static bool quick(struct qn_gate *g, const struct qn_origin *from, uint64_t now_us)
{
    const struct qn_limits *l = g->limits;
    uint8_t net[8] = { from->v6 ? 6 : 4 }, out[8];
    bool quick = true;
    memcpy(net + 1, from->ip, from->v6 ? 6 : 3);
    for (uint8_t row = 0; row < QN_GATE_ROWS; row++) {
        uint64_t hash;
        net[7] = row;
        crypto_shorthash(out, net, sizeof net, (const uint8_t *)g->key);
        memcpy(&hash, out, 8);
        if (qn_bucket_take(&g->nets[row][hash % QN_GATE_NETS], l->accept_net_s, l->accept_net_burst,
                           now_us))
            quick = false;
    }
    return quick;
}

static bool shunned(const struct qn_gate *g, const struct qn_origin *from, uint64_t now_us)
{
    for (uint32_t i = 0; i < QN_GATE_SHUNS; i++)
        if (g->shun[i].until_us > now_us && shares(&g->shun[i].from, from, from->v6 ? 7 : 4))
            return true;
    return false;
}

void qn_gate_shun(struct qn_gate *g, const struct qn_origin *from, uint64_t now_us)
{
    uint32_t at = g->shun_next++ % QN_GATE_SHUNS;
    g->shun[at].from = *from;
    g->shun[at].until_us = now_us + g->limits->shun_s * 1000000ull;
}

qn_rc qn_gate_enter(struct qn_gate *g, const struct qn_origin *from, uint64_t now_us)
{
    const struct qn_limits *l = g->limits;
    bool exempt = from->local && l->local_exempt;
    if (!exempt) {
        if (shunned(g, from, now_us)) return QN_E_REFUSED;
        if (!from->v6 && alike(g, from, 4) >= l->pending_ip4) return QN_E_LIMIT;
        if (from->v6 && alike(g, from, 7) >= l->pending_ip6_56) return QN_E_LIMIT;
        if (from->v6 && alike(g, from, 6) >= l->pending_ip6_48) return QN_E_LIMIT;
    }
    if (g->cnt >= l->pending_max) return QN_E_BUSY;
    if (!exempt && quick(g, from, now_us)) return QN_E_RATE;
    g->pending[g->cnt++] = *from;
    return QN_OK;
}

void qn_gate_leave(struct qn_gate *g, const struct qn_origin *from)
{
    for (uint32_t i = 0; i < g->cnt; i++) {
        if (!shares(&g->pending[i], from, from->v6 ? 16 : 4)) continue;
        g->pending[i] = g->pending[--g->cnt];
        return;
    }
    QN_BUG("an origin that never entered");
}

bool qn_gate_shake(struct qn_gate *g, uint64_t now_us)
{
    return qn_bucket_take(&g->shakes, g->limits->shake_s, g->limits->shake_s, now_us);
}
