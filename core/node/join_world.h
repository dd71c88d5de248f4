/* join_world.h - what tests of joining share: a chain, and nodes on loopback that hold snapshots of it, lie about them, or join. */
#ifndef QN_CORE_NODE_JOIN_WORLD_H
#define QN_CORE_NODE_JOIN_WORLD_H

#include "core/crypto/hash.h"
#include "core/env/turns.h"
#include "core/net/blob.h"
#include "core/node/join.h"
#include "core/node/offer.h"
#include "core/node/snaps.h"
#include "ledger/sync/chain_world.h"
#include "ledger/sync/snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

enum { HONEST, LIAR, NOISE, JOINER, CNT };

struct node {
    char home[64];
    struct qn_key key;
    struct qn_host *host;
    struct share *share;
    struct snaps *snaps;
    struct aside *aside;
    struct join *join;
    struct qn_host_watch watch;
    uint32_t identified;
    char blamed[400]; /* letters of those it blamed: a, b, c */
    struct join_world *w;
};

struct join_world {
    struct chain_world c; /* the first: its on_block has no other way here */
    struct event_base *base;
    struct node n[CNT];
    struct qn_env env; /* of the joiner: the machine's, with time that may be ahead */
    uint64_t ahead_ms;
    struct qn_steps *steps;
    struct qn_why why;
    uint32_t noise;
    /* What the joiner said. */
    int ended;
    enum join_end how;
    uint32_t had; /* parts that were there when it began */
    char log[8192];
    void (*on_log)(struct join_world *w, const char *line);
};

/* As UNTIL; and each turn of the loop is step ms later for the joiner. */
#define UNTIL_AHEAD(w, step, cond)                                                                 \
    do {                                                                                           \
        uint64_t end_ = turns_ms() + 30000;                                                        \
        while (!(cond) && turns_ms() < end_) {                                                     \
            (w)->ahead_ms += (step);                                                               \
            event_base_loop((w)->base, EVLOOP_ONCE);                                               \
        }                                                                                          \
        CHECK(cond);                                                                               \
    } while (0)

/* --- the chain --------------------------------------------------------------------------------------------------------- */

static inline uint64_t ahead_mono_us(void *self)
{
    const struct join_world *w = self;
    return turns_ms() * 1000 + w->ahead_ms * 1000;
}

static inline uint64_t ahead_now_ms(void *self)
{
    (void)self;
    return qn_env_now_ms(qn_env_real());
}

static inline void ahead_random(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

static inline void note_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash)
{
    struct join_world *w = arg;
    (void)f, (void)hash;
    if (w->c.r) qn_steps_note(w->steps, qn_replica_chain(w->c.r));
}

static inline void more_blocks(struct join_world *w, uint64_t salt, uint64_t cnt)
{
    for (uint64_t i = 0; i < cnt; i++)
        chain_world_block(&w->c, salt + i, true);
}

static inline void world_open(struct qn_test_state *t, struct join_world *w, uint64_t blocks)
{
    CHECK_RC(qn_crypto_init(), QN_OK);
    memset(w, 0, sizeof *w);
    w->base = event_base_new();
    w->env = (struct qn_env){ w, ahead_now_ms, ahead_mono_us, ahead_random, NULL };
    chain_world_init(&w->c);
    w->c.on_block = note_block;
    CHECK_RC(qn_steps_open(w->c.home, &w->steps, NULL), QN_OK);
    CHECK_RC(chain_world_up(&w->c, false), QN_OK);
    more_blocks(w, 0, blocks);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------- */

static inline void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    (void)info;
    n->identified++;
}

static inline void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    struct qn_peer_info info;
    (void)how, (void)what;
    if (!qn_host_peer(n->host, peer, &info)) return;
    for (int i = 0; i < CNT; i++) {
        const struct qn_host *host = n->w->n[i].host;
        size_t len = strlen(n->blamed);
        if (host && memcmp(qn_host_id(host), &info.id, sizeof info.id) == 0 &&
            len + 1 < sizeof n->blamed)
            n->blamed[len] = (char)('a' + i);
    }
}

static inline void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
}

static inline void changed(void *arg)
{
    struct node *n = arg;
    if (n->join) join_turn(n->join);
}

static inline void node_open(struct qn_test_state *t, struct join_world *w, int i, bool shares)
{
    struct node *n = &w->n[i];
    uint8_t seed[32] = { (uint8_t)(i + 1), 99 };
    n->w = w;
    n->blamed[0] = 0;
    memset(n->blamed, 0, sizeof n->blamed);
    n->identified = 0;
    if (!n->home[0]) {
        snprintf(n->home, sizeof n->home, "/tmp/quoin-join-XXXXXX");
        QN_ASSERT(mkdtemp(n->home) != NULL);
    }
    qn_key_from_seed(seed, &n->key);
    const struct qn_host_conf host = { .base = w->base,
                                       .env = qn_env_real(),
                                       .key = &n->key,
                                       .listen = "127.0.0.1:0",
                                       .out_max = 128 };
    CHECK_RC(qn_host_open(&host, &n->host, NULL), QN_OK);
    n->watch = (struct qn_host_watch){ .arg = n, .on_identify = on_identify, .on_blame = on_blame };
    qn_host_watch(n->host, &n->watch);
    n->aside = aside_new(w->base, changed, n);
    const struct share_conf share = { .base = w->base,
                                      .env = i == JOINER ? &w->env : qn_env_real(),
                                      .host = n->host,
                                      .home = n->home,
                                      .changed = changed,
                                      .arg = n };
    if (shares) CHECK_RC(share_open(&share, &n->share, NULL), QN_OK);
}

static inline void node_close(struct node *n)
{
    if (!n->host) return;
    aside_free(n->aside);
    join_detach(n->join);
    share_detach(n->share);
    qn_host_close(n->host);
    share_close(n->share);
    snaps_close(n->snaps);
    join_close(n->join);
    n->host = NULL;
    n->share = NULL;
    n->snaps = NULL;
    n->join = NULL;
}

static inline void offer_snaps(struct qn_test_state *t, struct node *n)
{
    const struct snaps_conf conf = { .home = n->home,
                                     .host = n->host,
                                     .share = n->share,
                                     .aside = n->aside,
                                     .chain = qn_replica_chain(n->w->c.r),
                                     .steps = n->w->steps,
                                     .keep = 2 };
    CHECK_RC(snaps_open(&conf, &n->snaps, NULL), QN_OK);
}

static inline void meet(struct qn_test_state *t, struct join_world *w, int a, int b)
{
    char addr[64];
    uint32_t before = w->n[a].identified;
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[b].host));
    CHECK_RC(qn_host_dial(w->n[a].host, addr, dialled, NULL, NULL), QN_OK);
    UNTIL(w, w->n[a].identified > before);
}

/* The snapshot, in many chunks, among the blobs of a home. */
static inline json_t *make_snapshot(struct qn_test_state *t, struct join_world *w, struct node *n)
{
    struct snap_work work = {
        .chain = qn_replica_chain(w->c.r), .steps = w->steps, .cut_bits = 5, .piece_bytes = 12000
    };
    uint64_t ticket;
    json_t *said = NULL;
    qn_rc rc;
    snprintf(work.dir, sizeof work.dir, "%s", n->home);
    CHECK_RC(aside_start(n->aside, "a test's", qn_snapshot_work, &work, &ticket, &w->why), QN_OK);
    CHECK_RC(aside_start(n->aside, "another", qn_snapshot_work, &work, &ticket, &w->why),
             QN_E_BUSY);
    while ((rc = aside_result(n->aside, ticket, &said, &w->why)) == QN_E_AGAIN)
        event_base_loop(w->base, EVLOOP_ONCE);
    CHECK_RC(rc, QN_OK);
    CHECK(json_integer_value(json_object_get(said, "chunks")) > 4);
    return said;
}

static inline void on_log(void *arg, const char *line)
{
    struct join_world *w = arg;
    const char *at = strstr(line, "MB, ");
    unsigned had;
    size_t len = strlen(w->log);
    if (at && sscanf(at, "MB, %u of them here", &had) == 1) w->had = had;
    if (len + strlen(line) + 2 < sizeof w->log)
        snprintf(w->log + len, sizeof w->log - len, "%s\n", line);
    if (w->on_log) w->on_log(w, line);
}

static inline void on_end(void *arg, enum join_end how, qn_rc rc, const struct qn_why *why)
{
    struct join_world *w = arg;
    (void)rc;
    if (why) w->why = *why;
    w->ended++;
    w->how = how;
}

static inline void join_begin(struct qn_test_state *t, struct join_world *w,
                              const struct qn_hash *trust, uint64_t height, bool patient)
{
    struct node *n = &w->n[JOINER];
    struct join_conf conf = { .base = w->base,
                              .env = &w->env,
                              .host = n->host,
                              .share = n->share,
                              .aside = n->aside,
                              .home = n->home,
                              .map_gib = 1,
                              .chain = qn_chain_id(qn_replica_chain(w->c.r)),
                              .pinned = trust != NULL,
                              .trust_height = height,
                              .patient = patient,
                              .arg = w,
                              .log = on_log,
                              .end = on_end };
    if (trust) conf.trust = *trust;
    w->ended = 0;
    w->log[0] = 0;
    w->had = UINT32_MAX;
    CHECK_RC(join_open(&conf, &n->join, &w->why), QN_OK);
}

/* What the joiner made opens, and is the chain. */
static inline void check_home(struct qn_test_state *t, struct join_world *w)
{
    struct qn_env env = w->c.env; /* its checkpoint is of LMDB, unlike that of a disk of our own */
    env.disk = NULL;
    struct qn_chain_conf conf = { .home = w->n[JOINER].home, .env = &env, .map_gib = 1 };
    struct qn_chain *c = NULL, *was = qn_replica_chain(w->c.r);
    CHECK_RC(qn_chain_open(&conf, &c, &w->why), QN_OK);
    if (!c) return;
    struct qn_hash root = qn_chain_root(c), want = qn_chain_root(was), head = qn_chain_head(c),
                   there = qn_chain_head(was);
    CHECK(qn_hash_eq(&root, &want));
    CHECK(qn_hash_eq(&head, &there));
    qn_chain_close(c);
}

static inline void remove_home(struct node *n)
{
    if (n->home[0]) chain_world_remove(n->home);
    n->home[0] = 0;
}

static inline void nodes_close(struct join_world *w)
{
    for (int i = 0; i < CNT; i++) {
        node_close(&w->n[i]);
        remove_home(&w->n[i]);
    }
}

static inline void world_close(struct join_world *w)
{
    nodes_close(w);
    qn_replica_close(w->c.r);
    qn_steps_close(w->steps);
    chain_world_remove(w->c.home);
    event_base_free(w->base);
}

#endif
