/* test_leader.c - what one traitor of four may do with the views that it leads: nothing that it says in one of them may hold up those that come. The
 * bare machine, three honest ones in lockstep; the fourth is played by the tests. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/bft/bft.h"

#include <stdlib.h>
#include <string.h>

enum { CNT = 4, HONEST = 3, STEP_MS = 10, CALM_MS = 60000, BLOCKS = 4096, LIES = 6 };

struct say {
    struct say *next;
    unsigned to;
    struct qn_bft_block block; /* when its height is not 0 */
    struct qn_vote vote;       /* when its kind is not 0 */
    struct qn_cert cert;       /* when its kind is not 0; its votes are its own */
    struct qn_cert_vote votes[CNT], extras[CNT];
};

struct net {
    struct qn_bft *m[HONEST];
    struct qn_bft_conf conf;
    struct qn_hash set[CNT];
    uint64_t weights[CNT], now_ms, height[HONEST], salt;
    struct say *first, **last;
    struct qn_bft_block
        blocks[BLOCKS]; /* all there are; those of the traitor are fetched from who has them */
    unsigned has[BLOCKS], block_cnt;
    void (*lead)(struct net *net, uint64_t view, const struct qn_bft_block *parent);
    uint64_t led;     /* the view that it was for */
    uint64_t leap_ms; /* until then all clocks are an hour ahead */
    bool loses;       /* the first one has no body any more, once, of what it was to execute */
    bool lured;       /* somebody waits for more than there can be */
};

static struct qn_vote sign(void *arg, uint16_t signer, uint8_t kind, uint64_t view,
                           const struct qn_hash *block)
{
    (void)arg;
    return (struct qn_vote){ .kind = kind, .view = view, .block = *block, .signer = signer };
}

static struct say *say(struct net *net, unsigned to)
{
    struct say *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->to = to;
    *net->last = s;
    net->last = &s->next;
    return s;
}

static unsigned find(const struct net *net, const struct qn_hash *hash)
{
    unsigned i = 0;
    while (i < net->block_cnt && !qn_hash_eq(&net->blocks[i].hash, hash))
        i++;
    return i;
}

static struct qn_bft_block make(struct net *net, uint64_t view, const struct qn_bft_block *parent,
                                unsigned by)
{
    struct qn_bft_block b = { .parent = parent->hash,
                              .view = view,
                              .height = parent->height + 1,
                              .t_ms = net->now_ms,
                              .proposer = (uint16_t)by };
    uint64_t salt = net->salt++;
    b.hash = qn_h("test leader", &salt, sizeof salt);
    QN_ASSERT(net->block_cnt < BLOCKS);
    net->blocks[net->block_cnt++] = b;
    return b;
}

/* The certificates that place a block are with all honest ones already, unless the machine itself lost them. */
static void show_cert(struct net *net, unsigned to, const struct qn_cert *cert)
{
    struct say *s = say(net, to);
    s->cert = *cert;
    s->cert.votes.cnt = s->cert.extras.cnt = 0;
    s->cert.votes.ptr = s->votes;
    s->cert.extras.ptr = s->extras;
    for (uint32_t i = 0; i < qn_cert_cnt(cert); i++) {
        struct qn_vote v = qn_cert_vote_whole(cert, i);
        qn_cert_add(&s->cert, &v);
    }
}

static void show(struct net *net, unsigned to, const struct qn_bft_block *b)
{
    say(net, to)->block = *b;
}

static void propose(struct net *net, unsigned by, const struct qn_bft_action *a)
{
    unsigned at = find(net, &a->block);
    struct qn_bft_block genesis = { .hash = net->conf.chain };
    const struct qn_bft_block *parent = at < net->block_cnt ? &net->blocks[at] : &genesis;
    struct qn_bft_block b = make(net, a->view, parent, by);
    for (unsigned to = 0; to < HONEST; to++) {
        if (to == by) continue;
        for (uint64_t v = parent->view; v < a->view; v++) {
            const struct qn_cert *cert = v == parent->view
                                             ? qn_bft_cert_for(net->m[by], v, &parent->hash)
                                             : qn_bft_cert_of(net->m[by], v, true);
            if (cert) show_cert(net, to, cert);
        }
        show(net, to, &b);
    }
    net->has[net->block_cnt - 1] |= 1u << by;
    qn_bft_proposal(net->m[by], &b);
    qn_bft_valid(net->m[by], &b.hash, true);
}

static void drain(struct net *net, unsigned by)
{
    struct qn_bft_action a;
    while (qn_bft_next(net->m[by], &a)) {
        unsigned at = find(net, &a.block);
        switch (a.what) {
        case QN_BFT_PROPOSE: propose(net, by, &a); break;
        case QN_BFT_EXECUTE:
            if (by == 0 && net->loses)
                qn_bft_lost(net->m[by], &a.block);
            else
                qn_bft_valid(net->m[by], &a.block, true);
            net->loses = net->loses && by != 0;
            break;
        case QN_BFT_JOURNAL: qn_bft_journalled(net->m[by], a.token); break;
        case QN_BFT_VOTE:
            for (unsigned to = 0; to < HONEST; to++)
                if (to != by) say(net, to)->vote = a.vote;
            break;
        case QN_BFT_CERT:
            for (unsigned to = 0; to < HONEST; to++)
                if (to != by) show_cert(net, to, a.cert);
            break;
        case QN_BFT_FINAL: net->height[by]++; break;
        case QN_BFT_WANT:
            if (at < net->block_cnt && net->has[at]) show(net, by, &net->blocks[at]);
            break;
        case QN_BFT_PROPOSAL:
        case QN_BFT_EVIDENCE: break;
        }
    }
}

static void hear(struct net *net)
{
    struct say *s = net->first;
    net->first = NULL;
    net->last = &net->first;
    while (s) {
        struct say *gone = s;
        struct qn_bft *m = net->m[s->to];
        if (s->block.height) net->has[find(net, &s->block.hash)] |= 1u << s->to;
        if (s->block.height) qn_bft_proposal(m, &s->block);
        if (s->cert.kind) qn_bft_cert(m, &s->cert);
        if (s->vote.kind && qn_bft_wants(m, &s->vote)) qn_bft_vote(m, &s->vote);
        drain(net, s->to);
        s = s->next;
        free(gone);
    }
}

static void run(struct net *net, uint64_t ms)
{
    for (uint64_t until = net->now_ms + ms; net->now_ms < until; net->now_ms += STEP_MS) {
        hear(net);
        for (unsigned i = 0; i < HONEST; i++) {
            uint64_t ahead_ms = net->now_ms < net->leap_ms ? 3600000 : 0;
            qn_bft_tick(net->m[i], net->now_ms, net->now_ms + ahead_ms);
            drain(net, i);
        }
        uint64_t view = qn_bft_view(net->m[0]);
        struct qn_bft_block last = qn_bft_last(net->m[0]);
        bool now = net->lead && net->led == 0 && last.view + 1 == view &&
                   qn_bft_leader(&net->conf, view) == HONEST;
        for (unsigned i = 1; i < HONEST; i++)
            now = now && qn_bft_view(net->m[i]) == view;
        if (!now) continue;
        net->led = view;
        net->lead(net, view, &last);
    }
}

/* One view of the traitor's is as lead would have it; in all others it says nothing. Whether all go on. */
static bool survives(void (*lead)(struct net *net, uint64_t view, const struct qn_bft_block *last))
{
    struct net *net = calloc(1, sizeof *net);
    QN_ASSERT(net != NULL);
    net->last = &net->first;
    net->now_ms = 1000000;
    net->lead = lead;
    for (unsigned i = 0; i < CNT; i++)
        net->weights[i] = 1;
    net->conf = (struct qn_bft_conf){ .chain = qn_blake3("leader", 6),
                                      .cnt = CNT,
                                      .set = net->set,
                                      .weights = net->weights,
                                      .sign = sign,
                                      .block_ms = 50 };
    struct qn_bft_block genesis = { .hash = net->conf.chain };
    for (unsigned i = 0; i < HONEST; i++) {
        struct qn_bft_conf conf = net->conf;
        conf.self = (int)i;
        net->m[i] = qn_bft_new(&conf, &genesis, NULL);
        qn_bft_start(net->m[i], net->now_ms, net->now_ms);
    }
    run(net, CALM_MS);
    uint64_t before = net->height[0];
    bool goes = net->led > 0 && before > 0 && !net->lured;
    run(net, CALM_MS);
    for (unsigned i = 0; i < HONEST; i++)
        goes = goes && net->height[i] > before + 20;
    for (struct say *s; (s = net->first);) {
        net->first = s->next;
        free(s);
    }
    for (unsigned i = 0; i < HONEST; i++)
        qn_bft_free(net->m[i]);
    free(net);
    return goes;
}

static void silent(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    (void)net, (void)view, (void)last;
}

static void test_silent(struct qn_test_state *t)
{
    CHECK(survives(silent));
}

static void vote(struct net *net, unsigned to, uint8_t kind, uint64_t view,
                 const struct qn_bft_block *b)
{
    say(net, to)->vote = sign(NULL, HONEST, kind, view, &b->hash);
}

/* Each honest one has its own block of the view, and is shown enough votes for another: all three are certified, each to somebody else first. Who
 * knows only one certificate of a view never votes for a child of another. */
static void three(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    struct qn_bft_block b[HONEST];
    for (unsigned i = 0; i < HONEST; i++)
        b[i] = make(net, view, last, HONEST);
    for (unsigned i = 0; i < HONEST; i++)
        show(net, i, &b[i]);
    for (unsigned i = 0; i < HONEST; i++) {
        show(net, i, &b[(i + 1) % HONEST]);
        vote(net, i, QN_VOTE_FIRST, view, &b[(i + 1) % HONEST]);
    }
}

static void test_three(struct qn_test_state *t)
{
    CHECK(survives(three));
}

/* Two vote for a block that the third did not get, for it was shown others, as many as it keeps: without the third there is no certificate. */
static void many(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    struct qn_bft_block b = make(net, view, last, HONEST);
    for (unsigned i = 0; i < LIES; i++) {
        struct qn_bft_block other = make(net, view, last, HONEST);
        show(net, HONEST - 1, &other);
    }
    for (unsigned i = 0; i + 1 < HONEST; i++)
        show(net, i, &b);
}

static void test_many(struct qn_test_state *t)
{
    CHECK(survives(many));
}

/* A chain in one view, shown from its end: each would be the missing parent of the one before. */
static void endless(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    struct qn_bft_block chain[LIES] = { make(net, view, last, HONEST) };
    for (unsigned i = 1; i < LIES; i++)
        chain[i] = make(net, view, &chain[i - 1], HONEST);
    for (unsigned i = LIES; i-- > 0;) {
        bool lures = i + 1 < LIES && qn_bft_awaits(net->m[0], &chain[i]);
        net->lured = net->lured || lures;
        qn_bft_proposal(net->m[0], &chain[i]);
        drain(net, 0);
    }
}

static void test_endless(struct qn_test_state *t)
{
    CHECK(survives(endless));
}

/* A time server sets all clocks wrong, and right again: that is no reason to wait for the hour between. */
static void leap(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    (void)view, (void)last;
    net->leap_ms = net->now_ms + 5000;
}

static void test_leap(struct qn_test_state *t)
{
    CHECK(survives(leap));
}

/* A body that went before it was executed: without it one of three does not vote, and with the traitor away there is no certificate. */
static void lose(struct net *net, uint64_t view, const struct qn_bft_block *last)
{
    (void)view, (void)last;
    net->loses = true;
}

static void test_lost(struct qn_test_state *t)
{
    CHECK(survives(lose));
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_silent);
    TEST(test_three);
    TEST(test_many);
    TEST(test_endless);
    TEST(test_leap);
    TEST(test_lost);
    return TEST_END();
}
