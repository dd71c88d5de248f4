/* test_compact_net.c - proposals by ids between hosts: from the pool, with questions, and against those who lie or say nothing. */
#include "core/crypto/hash.h"
#include "core/env/turns.h"
#include "core/net/compact_net.h"
#include "net/gossip/compact.h"

enum { TXS = 40, PEER_MAX = 4, CROWD = 100 };

struct node {
    struct qn_key key;
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_compact *compact;
    uint32_t identified, peer, got, blames, whole;
    int verdict;    /* -1: none */
    uint32_t lacks; /* the pool lacks transactions below this */
    bool forged;    /* and holds another form of the last one */
    struct world *w;
};

struct world {
    struct event_base *base;
    struct node n[3]; /* who asks, who has it, who never answers */
    struct qn_hash chain;
    struct qn_key leader;
    struct qn_buf tx[TXS], message;
    struct qn_hash id[TXS];
};

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    n->identified++;
    (void)info;
}

static void pool(void *arg, void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                 void *to)
{
    struct node *n = arg;
    for (uint32_t i = n->lacks; i < TXS; i++) {
        struct qn_buf copy = { 0 };
        qn_buf_span(&copy, qn_buf_get(&n->w->tx[i]));
        if (n->forged && i == TXS - 1) copy.ptr[copy.len - 1] ^= 1; /* in its signature */
        visit(to, &n->w->id[i], qn_buf_get(&copy));
        qn_buf_free(&copy);
    }
}

static bool leader(void *arg, uint32_t epoch, uint64_t view, struct qn_hash *ret)
{
    const struct node *n = arg;
    if (epoch != 2 || view != 9) return false;
    *ret = n->w->leader.pub;
    return true;
}

static enum qn_verdict on_message(void *arg, uint32_t peer, struct qn_span message)
{
    struct node *n = arg;
    (void)peer;
    QN_ASSERT(qn_span_eq(message, qn_buf_get(&n->w->message)));
    n->got++;
    return QN_ACCEPT;
}

/* As a node that never gets it asks: its tries must come to an end by themselves. */
static bool whole(void *arg, const struct qn_hash *block)
{
    struct node *n = arg;
    (void)block;
    n->whole++;
    return true;
}

static void verdict(void *arg, uint64_t handle, enum gossip_verdict v)
{
    struct node *n = arg;
    QN_ASSERT(handle == 77);
    n->verdict = (int)v;
}

/* A proposal of TXS transactions, signed by the leader. view: 9 for one that others know the leader of. */
static void propose(struct world *w, uint32_t epoch, const struct qn_key *key, struct qn_buf *ret)
{
    struct qn_arena arena = { 0 };
    struct qn_tx *txs = qn_arena_alloc(&arena, TXS * sizeof *txs);
    uint8_t text[47] = "quoin proposal";
    for (uint32_t i = 0; i < TXS; i++)
        QN_ASSERT(qn_decode(qn_tx_record(), qn_buf_get(&w->tx[i]), &arena, &txs[i], NULL) == QN_OK);
    struct qn_proposal p = { 0 };
    p.block.header = (struct qn_header){ .ver = 1,
                                         .chain = w->chain,
                                         .epoch = epoch,
                                         .height = 4,
                                         .view = 9,
                                         .body_root = qn_body_root(txs, TXS),
                                         .proposer = key->pub };
    p.block.txs.ptr = txs;
    p.block.txs.cnt = TXS;
    struct qn_hash hash = qn_header_hash(&p.block.header);
    memcpy(text + 15, hash.b, 32);
    p.sig = qn_sign(key, QN_SPAN(text, sizeof text));
    qn_buf_u8(ret, 5);
    qn_encode(qn_proposal_record(), &p, ret);
    qn_arena_free(&arena);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    uint32_t *to = arg;
    (void)why;
    QN_ASSERT(rc == QN_OK);
    *to = peer;
}

/* The short form, as a node that has not seen the proposal makes it. */
static void shorten(const struct world *w, struct qn_span message, struct qn_buf *ret)
{
    struct qn_compact *c = w->n[1].compact;
    bool made = qn_compact_make(c, message, ret);
    QN_ASSERT(made);
}

static void open_world(struct qn_test_state *t, struct world *w)
{
    static const struct qn_stream_ops MUTE = { .on_data = NULL };
    *w = (struct world){ .base = event_base_new(), .chain = { { 0xab, 0xcd, 0xef, 0x01 } } };
    uint8_t seed[32] = { 50 }, body[100] = { 1 };
    CHECK_RC(qn_crypto_init(), QN_OK);
    qn_key_from_seed(seed, &w->leader);
    for (uint32_t i = 0; i < TXS; i++) {
        const struct qn_tx_opts opts = { .salt = i };
        qn_tx_build(&w->chain, 1, QN_SPAN(body, sizeof body), &w->leader, 1000000, &opts, &w->tx[i],
                    &w->id[i]);
    }
    propose(w, 2, &w->leader, &w->message);
    for (uint32_t i = 0; i < 3; i++) {
        struct node *n = &w->n[i];
        uint8_t own[32] = { (uint8_t)i, 7 };
        qn_key_from_seed(own, &n->key);
        n->w = w;
        const struct qn_host_conf host = {
            .base = w->base, .env = qn_env_real(), .key = &n->key, .listen = "127.0.0.1:0"
        };
        CHECK_RC(qn_host_open(&host, &n->host, NULL), QN_OK);
        n->watch = (struct qn_host_watch){ .arg = n, .on_identify = on_identify };
        qn_host_watch(n->host, &n->watch);
        const struct qn_compact_conf conf = { .base = w->base,
                                              .env = qn_env_real(),
                                              .host = n->host,
                                              .chain = w->chain,
                                              .arg = n,
                                              .pool = pool,
                                              .leader = leader,
                                              .on_message = on_message,
                                              .whole = whole,
                                              .verdict = verdict };
        const struct qn_proto mute = { .id = "/quoin/abcdef01/blocktx/1", .ops = &MUTE };
        if (i < 2)
            CHECK_RC(qn_compact_open(&conf, &n->compact, NULL), QN_OK);
        else
            CHECK_RC(qn_host_proto(n->host, &mute), QN_OK);
    }
    for (int i = 1; i < 3; i++) {
        char addr[64];
        snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[i].host));
        CHECK_RC(qn_host_dial(w->n[0].host, addr, dialled, &w->n[i].peer, NULL), QN_OK);
        UNTIL(w, w->n[i].peer && w->n[i].identified);
    }
    UNTIL(w, w->n[0].identified == 2);
}

static void close_world(struct world *w)
{
    for (int i = 0; i < 3; i++) {
        qn_compact_detach(w->n[i].compact);
        qn_host_close(w->n[i].host);
        qn_compact_close(w->n[i].compact);
    }
    for (uint32_t i = 0; i < TXS; i++)
        qn_buf_free(&w->tx[i]);
    qn_buf_free(&w->message);
    event_base_free(w->base);
}

/* lacks of TXS transactions are not in the pool; `from` is whom it came from. forgets: who had it has it no more. Returns the verdict in the
 * end, and the counts. */
static int take(struct qn_test_state *t, uint32_t lacks, bool forged, int from, bool forgets,
                struct qn_compact_stat *ret, uint32_t *ret_whole)
{
    static struct world w;
    struct qn_buf data = { 0 };
    open_world(t, &w);
    struct node *n = &w.n[0];
    shorten(&w, qn_buf_get(&w.message), &data);
    CHECK(data.len < 1000);
    for (uint32_t epoch = 3; forgets && epoch < 7; epoch++) { /* four others take its place */
        struct qn_buf other = { 0 }, made = { 0 };
        propose(&w, epoch, &w.leader, &other);
        shorten(&w, qn_buf_get(&other), &made);
        qn_buf_free(&other);
        qn_buf_free(&made);
    }
    n->lacks = lacks;
    n->forged = forged;
    n->verdict = -1;
    n->whole = 0;
    enum gossip_verdict v = qn_compact_take(n->compact, w.n[from].peer, 77, qn_buf_get(&data));
    CHECK((v == GOSSIP_LATER) == (lacks > 0 || forged));
    uint64_t begin = turns_ms();
    if (v == GOSSIP_LATER)
        UNTIL(&w, n->verdict >= 0);
    else
        n->verdict = (int)v;
    CHECK(turns_ms() - begin < 5000);
    CHECK(n->got == (n->verdict == GOSSIP_ACCEPT));
    if (n->got) /* known now: another form of it is no news */
        CHECK(qn_compact_take(n->compact, w.n[from].peer, 78, qn_buf_get(&data)) == GOSSIP_IGNORE);
    else /* asked for whole, of one after the other, and then no more */
        UNTIL(&w, n->whole >= 6);
    if (!n->got) turns_for(w.base, 1500);
    *ret = qn_compact_stat(n->compact);
    *ret_whole = n->whole;
    int verdict = n->verdict;
    qn_buf_free(&data);
    close_world(&w);
    return verdict;
}

static void test_take(struct qn_test_state *t)
{
    struct qn_compact_stat s;
    uint32_t whole;
    CHECK(take(t, 0, false, 1, false, &s, &whole) == GOSSIP_ACCEPT);
    CHECK(s.asked == 0 && s.failed == 0);
    CHECK(take(t, 7, false, 1, false, &s, &whole) == GOSSIP_ACCEPT);
    CHECK(s.asked == 7 && s.filled == 7 && s.failed == 0 && whole == 0);
    CHECK(take(t, TXS, false, 1, false, &s, &whole) == GOSSIP_ACCEPT);
    CHECK(s.asked == TXS && s.filled == TXS);
    /* A wrong guess: all that was guessed is asked for. */
    CHECK(take(t, 0, true, 1, false, &s, &whole) == GOSSIP_ACCEPT);
    CHECK(s.asked == TXS && s.filled == TXS && s.failed == 0 && whole == 0);
    /* Its sender never answers: the second does. */
    CHECK(take(t, 7, false, 2, false, &s, &whole) == GOSSIP_ACCEPT);
    CHECK(s.asked == 7 && s.filled == 7 && s.failed == 0 && whole == 0);
    CHECK(take(t, 0, true, 2, false, &s, &whole) == GOSSIP_ACCEPT);
    /* Nor does the second have it: the whole of it is asked for, six times. */
    CHECK(take(t, 7, false, 2, true, &s, &whole) == GOSSIP_IGNORE);
    CHECK(s.filled == 0 && s.failed == 1 && whole == 6);
    CHECK(take(t, 7, false, 1, true, &s, &whole) == GOSSIP_IGNORE);
    CHECK(s.filled == 0 && s.failed == 1 && whole == 6);
}

static void test_lies(struct qn_test_state *t)
{
    static struct world w;
    struct qn_buf other = { 0 }, data = { 0 };
    open_world(t, &w);
    struct node *n = &w.n[0];
    propose(&w, 3, &w.leader, &other); /* an epoch of which no leader is known */
    shorten(&w, qn_buf_get(&other), &data);
    CHECK(qn_compact_take(n->compact, w.n[1].peer, 77, qn_buf_get(&data)) == GOSSIP_IGNORE);
    qn_buf_clear(&other);
    qn_buf_clear(&data);
    propose(&w, 2, &w.n[1].key, &other); /* who does not lead */
    shorten(&w, qn_buf_get(&other), &data);
    n->lacks = 3; /* nothing is asked for it */
    CHECK(qn_compact_take(n->compact, w.n[1].peer, 77, qn_buf_get(&data)) == GOSSIP_REJECT);
    qn_buf_clear(&data);
    shorten(&w, qn_buf_get(&w.message), &data);
    uint32_t later = 0;
    for (size_t i = 0; i < data.len - 6 * TXS; i++) {
        /* All but ids: none is asked for, none believed. Under another nonce, or with another parent's view, which the leader
         * signs in the block alone, it is one that may be of use: it waits, within its bounds. */
        data.ptr[i] ^= 1;
        enum gossip_verdict v = qn_compact_take(n->compact, 0, 77, qn_buf_get(&data));
        CHECK(v != GOSSIP_ACCEPT);
        later += v == GOSSIP_LATER;
        data.ptr[i] ^= 1;
    }
    CHECK(later == PEER_MAX);
    CHECK(qn_compact_take(n->compact, w.n[1].peer, 77, QN_SPAN("x", 1)) == GOSSIP_REJECT);
    CHECK(n->got == 0 && qn_compact_stat(n->compact).asked == 0);
    CHECK(!qn_compact_make(n->compact, QN_SPAN("\5garbage", 8), &data));
    qn_buf_free(&other);
    qn_buf_free(&data);
    close_world(&w);
}

/* The leader signs the head, and nobody the ids: whoever heard it makes as many short forms of it as he likes. Who says nothing more has some of them
 * waited for, and the next peer's is taken all the same. */
static void test_crowd(struct qn_test_state *t)
{
    static struct world w;
    struct qn_buf data = { 0 };
    uint32_t later = 0;
    open_world(t, &w);
    struct node *n = &w.n[0];
    shorten(&w, qn_buf_get(&w.message), &data);
    n->lacks = 7;
    for (unsigned i = 0; i < CROWD; i++) {
        data.ptr[33]++; /* the nonce */
        later += qn_compact_take(n->compact, w.n[2].peer, 77, qn_buf_get(&data)) == GOSSIP_LATER;
    }
    CHECK(later == PEER_MAX);
    data.ptr[33] -= CROWD;
    n->verdict = -1;
    CHECK(qn_compact_take(n->compact, w.n[1].peer, 77, qn_buf_get(&data)) == GOSSIP_LATER);
    UNTIL(&w, n->got > 0);
    qn_buf_free(&data);
    close_world(&w);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_take);
    TEST(test_lies);
    TEST(test_crowd);
    return TEST_END();
}
