/* network.h - what tests of a network share: four whole replicas in one process, over a queue, in a time of its own. Hooks let a test say what a peer
 * would that is no node of it. */
#ifndef QN_LEDGER_SYNC_NETWORK_H
#define QN_LEDGER_SYNC_NETWORK_H

#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/sync/replica.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NODES = 4,
    PEOPLE = 8,
    FAR = 9 /* a peer that is in another net, or in none; so are those above */
};

struct message {
    struct message *next;
    uint32_t from, to;
    size_t len;
    uint8_t bytes[];
};

struct net;
struct node {
    struct net *net;
    uint32_t no;
    char home[64];
    struct qn_key key;
    struct qn_replica *r;
    bool mute; /* it says nothing to all: no vote, no block */
};
struct net {
    struct node node[NODES];
    struct message *first, **last;
    unsigned rejected;
    struct net *far; /* whose node `far_no` is node `near_no`'s peer FAR */
    uint32_t far_no, near_no;
    void (*on_cast)(struct node *n, struct qn_span s); /* hears what n casts before anybody does */
    void (*on_far)(struct node *n, uint32_t peer, struct qn_span s); /* what n says to no node */
    void *hook;                                                      /* theirs */
    uint64_t now_us, salt;
    struct qn_env env;
    struct qn_genesis genesis;
    struct qn_hash set[NODES];
    struct qn_grant grants[PEOPLE];
    struct qn_key people[PEOPLE];
};

static inline uint64_t env_now(void *self)
{
    return ((struct net *)self)->now_us / 1000;
}

static inline uint64_t env_mono(void *self)
{
    return ((struct net *)self)->now_us;
}

static inline void env_random(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

static inline void post(struct node *n, uint32_t to, struct qn_span s)
{
    struct message *m = malloc(sizeof *m + s.len);
    QN_ASSERT(m != NULL);
    *m = (struct message){ .from = n->no, .to = to, .len = s.len };
    memcpy(m->bytes, s.ptr, s.len);
    *n->net->last = m;
    n->net->last = &m->next;
}

static inline void wire_send(void *self, uint32_t peer, enum qn_class class, struct qn_span s)
{
    struct node *n = self;
    (void)class;
    if (peer >= NODES && n->net->on_far) n->net->on_far(n, peer, s);
    post(n, peer, s);
}

static inline void wire_cast(void *self, enum qn_class class, struct qn_span s)
{
    struct node *n = self;
    (void)class;
    if (n->net->on_cast) n->net->on_cast(n, s);
    for (uint32_t i = 0; i < NODES; i++)
        if (i != n->no && n->net->node[i].r && !n->mute) post(n, i, s);
    if (n->net->far && n->no == n->net->near_no) post(n, FAR, s);
}

static inline void boot(struct net *net, uint32_t no)
{
    struct node *n = &net->node[no];
    struct qn_why why = { "" };
    struct qn_replica_conf conf = {
        .chain = { .home = n->home, .env = &net->env, .genesis = &net->genesis, .map_gib = 1 },
        .validator = &n->key,
        .wire = { n, wire_send, wire_cast }
    };
    qn_rc rc = qn_replica_open(&conf, &n->r, &why);
    if (rc) printf("node %u: %s\n", no, why.text);
    QN_ASSERT(rc == QN_OK);
    for (uint32_t i = 0; i < NODES; i++) {
        if (i == no || !net->node[i].r) continue;
        qn_replica_peer(n->r, i, true);
        qn_replica_peer(net->node[i].r, no, true);
    }
}

static inline void stop(struct net *net, uint32_t no)
{
    qn_replica_close(net->node[no].r);
    net->node[no].r = NULL;
    for (uint32_t i = 0; i < NODES; i++)
        if (net->node[i].r) qn_replica_peer(net->node[i].r, no, false);
}

static inline void run(struct net *net, uint64_t ms)
{
    uint64_t until = net->now_us + ms * 1000, wait;
    struct qn_why why = { "" };
    for (; net->now_us < until; net->now_us += 5000) {
        for (struct message *m; (m = net->first);) {
            net->first = m->next;
            if (!net->first) net->last = &net->first;
            bool away = m->to >= NODES;
            struct net *at = away ? net->far : net;
            struct qn_replica *r = !at ? NULL : at->node[away ? net->far_no : m->to].r;
            if (r && qn_replica_recv(r, away ? FAR : m->from, QN_SPAN(m->bytes, m->len), &why) ==
                         QN_REJECT) {
                if (!away) printf("rejected: %s\n", why.text);
                at->rejected++;
            }
            free(m);
        }
        for (uint32_t i = 0; i < NODES; i++) {
            if (!net->node[i].r) continue;
            qn_rc rc = qn_replica_turn(net->node[i].r, &wait, &why);
            if (rc) printf("node %u: %s\n", i, why.text);
            QN_ASSERT(rc == QN_OK);
        }
    }
}

static inline struct qn_hash pay(struct net *net, uint32_t at, unsigned from, unsigned to,
                                 uint64_t uqn)
{
    struct qn_buf body = { 0 }, tx = { 0 };
    struct qn_hash id, got, chain = qn_chain_id(qn_replica_chain(net->node[at].r));
    struct qn_why why;
    struct ledger_send s = { .to = qn_acct_key(&net->people[to].pub), .amount = QN_UQN(uqn) };
    qn_encode(ledger_send_record(), &s, &body);
    struct qn_tx_opts opts = { .salt = net->salt++ };
    qn_tx_build(&chain, QN_TX_SEND, qn_buf_get(&body), &net->people[from], net->now_us / 1000,
                &opts, &tx, &id);
    QN_ASSERT(qn_replica_submit(net->node[at].r, qn_buf_get(&tx), &got, &why) == QN_OK);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    return id;
}

static inline void key_of(const char *label, unsigned i, struct qn_key *ret)
{
    struct qn_hash seed = qn_h(label, &i, sizeof i);
    qn_key_from_seed(seed.b, ret);
}

static inline struct net *begin(void)
{
    struct net *net = calloc(1, sizeof *net);
    QN_ASSERT(net != NULL);
    net->last = &net->first;
    net->now_us = UINT64_C(1800000000000000);
    net->env = *qn_env_real();
    net->env.self = net;
    net->env.now_ms = env_now;
    net->env.mono_us = env_mono;
    net->env.random = env_random;
    for (unsigned i = 0; i < PEOPLE; i++) {
        key_of("test people", i, &net->people[i]);
        net->grants[i] =
            (struct qn_grant){ qn_acct_key(&net->people[i].pub), QN_UQN(1000 * QN_UQN_PER_QN) };
    }
    for (unsigned i = 0; i < NODES; i++) {
        struct node *n = &net->node[i];
        *n = (struct node){ .net = net, .no = i, .home = "/dev/shm/quoin-net-XXXXXX" };
        if (!mkdtemp(n->home)) { /* where no sync waits, if there is such a place */
            snprintf(n->home, sizeof n->home, "/tmp/quoin-net-XXXXXX");
            QN_ASSERT(mkdtemp(n->home) != NULL);
        }
        key_of("test validator", i, &n->key);
        net->set[i] = n->key.pub;
    }
    net->genesis = (struct qn_genesis){
        .name = QN_SPAN_STR("test"), .t_ms = net->now_us / 1000, .dev = true, .epoch_ms = 2000
    };
    net->genesis.validators.cnt = NODES;
    net->genesis.validators.ptr = net->set;
    net->genesis.grants.cnt = PEOPLE;
    net->genesis.grants.ptr = net->grants;
    return net;
}

static inline void end(struct net *net)
{
    char cmd[128];
    for (unsigned i = 0; i < NODES; i++) {
        if (net->node[i].r) stop(net, i);
        snprintf(cmd, sizeof cmd, "rm -rf %s", net->node[i].home);
        QN_ASSERT(system(cmd) == 0);
    }
    for (struct message *m; (m = net->first);) {
        net->first = m->next;
        free(m);
    }
    free(net);
}

static inline uint64_t height(const struct net *net, unsigned i)
{
    return qn_replica_info(net->node[i].r).height;
}

/* The same block at every height that both have, and the supply. */
static inline void check_equal(struct qn_test_state *t, struct net *net)
{
    struct qn_arena arena = { 0 };
    struct qn_frame a, b;
    struct qn_why why;
    uint64_t low = UINT64_MAX;
    for (unsigned i = 0; i < NODES; i++) {
        low = QN_MIN(low, height(net, i));
        CHECK(qn_state_sum(qn_chain_view(qn_replica_chain(net->node[i].r))).uqn == QN_SUPPLY_UQN);
    }
    for (unsigned i = 1; i < NODES; i++)
        for (uint64_t h = 1; h <= low; h++) {
            CHECK_RC(qn_chain_frame(qn_replica_chain(net->node[0].r), h, &arena, &a, &why), QN_OK);
            CHECK_RC(qn_chain_frame(qn_replica_chain(net->node[i].r), h, &arena, &b, &why), QN_OK);
            struct qn_hash x = qn_header_hash(&a.block.header), y = qn_header_hash(&b.block.header);
            CHECK(qn_hash_eq(&x, &y));
        }
    qn_arena_free(&arena);
}

/* tell has FAR say one thing to a node. */
static inline enum qn_verdict tell(struct net *net, uint32_t to, uint8_t kind,
                                   const struct qn_record *rec, const void *obj, struct qn_why *why)
{
    struct qn_buf message = { 0 };
    qn_buf_u8(&message, kind);
    qn_encode(rec, obj, &message);
    enum qn_verdict v = qn_replica_recv(net->node[to].r, FAR, qn_buf_get(&message), why);
    qn_buf_free(&message);
    return v;
}

#endif
