/* limit.h - limits on strangers, and the two ways of keeping them: budgets of memory, and the gate that new connections pass.
 *
 * Everything is reserved before it is used, at every level above (stream, peer, node), or refused. */
#ifndef QN_NET_LINK_LIMIT_H
#define QN_NET_LINK_LIMIT_H

#include "core/base/err.h"

struct qn_limits {
#define LIMIT(name, value, meaning) uint32_t name;
#include "net/link/limit.def"
#undef LIMIT
};

/* qn_limits_default is limit.def, with memory_max cut to an eighth of the machine's. */
struct qn_limits qn_limits_default(void);

/* qn_limits_share is what one of all peers may have of `max`, which the node has for them together, however greedy the others are: half of it goes
 * to who comes first, the other half in equal shares. Without that a crowd, each within its own limits, would leave nothing for the honest. */
size_t qn_limits_share(const struct qn_limits *limits, size_t max);

/* Bytes held for somebody; a level's parent pays as well. */
struct qn_budget {
    size_t used, high, max;
    size_t share; /* more than that only while the parent is less than half full; 0: no such rule */
    struct qn_budget *parent; /* NULL: the node */
};

/* qn_budget_take books bytes here and above, or nowhere (false). */
QN_CHECK bool qn_budget_take(struct qn_budget *b, size_t bytes);
void qn_budget_give(struct qn_budget *b, size_t bytes);

/* A bucket of tokens: rate a second, burst at most. Zeroed is full. */
struct qn_bucket {
    uint64_t at_us;
    uint64_t spent_u; /* millionths of a token taken and not yet refilled */
};
QN_CHECK bool qn_bucket_take(struct qn_bucket *b, uint32_t rate, uint32_t burst, uint64_t now_us);

/* Where a connection comes from. */
struct qn_origin {
    bool v6, local; /* local: loopback or private */
    uint8_t ip[16];
};

enum { QN_GATE_ROWS = 2, QN_GATE_NETS = 4096, QN_GATE_SHUNS = 256 };

/* The gate: connections whose peer is not known yet. */
struct qn_gate {
    const struct qn_limits *limits;
    uint64_t key[2]; /* of the table's hash: strangers cannot aim at one slot */
    struct qn_bucket shakes;
    /* By keyed hash of the network, another in each row: who shares a bucket with a flood in one row hardly does so in the other. */
    struct qn_bucket nets[QN_GATE_ROWS][QN_GATE_NETS];
    struct qn_origin *pending; /* pending_max rows */
    uint32_t cnt;
    struct {
        struct qn_origin from;
        uint64_t until_us;
    } shun[QN_GATE_SHUNS]; /* a ring */
    uint32_t shun_next;
};

void qn_gate_init(struct qn_gate *g, const struct qn_limits *limits, const uint8_t key[16]);
void qn_gate_fini(struct qn_gate *g);
/* qn_gate_enter lets a connection start its handshake: QN_E_RATE when its network is too quick, QN_E_LIMIT when its address has too
 * many, QN_E_REFUSED when it is shunned, QN_E_BUSY when all places are taken (the owner may make room and ask again). */
QN_CHECK qn_rc qn_gate_enter(struct qn_gate *g, const struct qn_origin *from, uint64_t now_us);
void qn_gate_leave(struct qn_gate *g, const struct qn_origin *from);
/* qn_gate_shun: who was there did what no accident explains. A new name costs nothing, so its address (IPv6: its /56) is let in again only after
 * shun_s; who shares it waits as well. */
void qn_gate_shun(struct qn_gate *g, const struct qn_origin *from, uint64_t now_us);
/* qn_gate_shake is asked before the curves are computed. */
QN_CHECK bool qn_gate_shake(struct qn_gate *g, uint64_t now_us);

#endif
