/* test_evidence.c - a validator of four votes twice; one of the others sees it, reports it, and the chain takes its stake. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/node/evidence.h"
#include "ledger/bft/bft.h"
#include "ledger/state/stake.h"

#include <stdlib.h>
#include <unistd.h>

enum { HONEST = 3, ALL = 4, SAY_VOTE = 3, SAY_PROPOSAL = 5 }; /* ledger/sync/replica.c */

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
    struct qn_replica *r;
};
struct net {
    struct node node[HONEST];
    struct qn_key key[ALL];
    struct message *first, **last;
    uint64_t now_us;
    struct qn_env env;
    unsigned rejected;
};

static uint64_t env_now(void *self)
{
    return ((struct net *)self)->now_us / 1000;
}

static uint64_t env_mono(void *self)
{
    return ((struct net *)self)->now_us;
}

static void env_random(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

static void post(struct net *net, uint32_t from, uint32_t to, struct qn_span s)
{
    struct message *m = malloc(sizeof *m + s.len);
    QN_ASSERT(m != NULL);
    *m = (struct message){ .from = from, .to = to, .len = s.len };
    memcpy(m->bytes, s.ptr, s.len);
    *net->last = m;
    net->last = &m->next;
}

static void wire_send(void *self, uint32_t peer, enum qn_class class, struct qn_span s)
{
    struct node *n = self;
    (void)class;
    if (peer < HONEST) post(n->net, n->no, peer, s);
}

static void wire_cast(void *self, enum qn_class class, struct qn_span s)
{
    for (uint32_t i = 0; i < HONEST; i++)
        if (i != ((struct node *)self)->no) wire_send(self, i, class, s);
}

static void run(struct net *net, uint64_t ms)
{
    uint64_t until = net->now_us + ms * 1000, wait;
    struct qn_why why = { "" };
    for (; net->now_us < until; net->now_us += 5000) {
        for (struct message *m; (m = net->first);) {
            net->first = m->next;
            if (!net->first) net->last = &net->first;
            net->rejected += qn_replica_recv(net->node[m->to].r, m->from, QN_SPAN(m->bytes, m->len),
                                             &why) == QN_REJECT;
            free(m);
        }
        for (uint32_t i = 0; i < HONEST; i++)
            QN_ASSERT(qn_replica_turn(net->node[i].r, &wait, &why) == QN_OK);
    }
}

static void net_init(struct net *net)
{
    struct qn_hash set[ALL];
    struct qn_grant grants[ALL];
    struct qn_genesis_bond bonds[ALL];
    *net = (struct net){ .now_us = 1800000000000000, .last = &net->first };
    net->env = *qn_env_real();
    net->env.self = net;
    net->env.now_ms = env_now;
    net->env.mono_us = env_mono;
    net->env.random = env_random;
    for (uint32_t i = 0; i < ALL; i++) {
        struct qn_hash seed = qn_h("evidence", &i, sizeof i);
        qn_key_from_seed(seed.b, &net->key[i]);
        set[i] = net->key[i].pub;
        grants[i] = (struct qn_grant){ qn_acct_key(&set[i]), QN_UQN(QN_UQN_PER_QN) };
        bonds[i] = (struct qn_genesis_bond){ grants[i].acct, QN_UQN(100 * QN_UQN_PER_QN), 0 };
    }
    struct qn_genesis g = { .name = QN_SPAN_STR("evidence"),
                            .t_ms = net->now_us / 1000 - 1000,
                            .dev = true };
    g.validators.cnt = g.grants.cnt = g.bonds.cnt = ALL;
    g.validators.ptr = set;
    g.grants.ptr = grants;
    g.bonds.ptr = bonds;
    for (uint32_t i = 0; i < HONEST; i++) {
        struct node *n = &net->node[i];
        struct qn_why why = { "" };
        n->net = net;
        n->no = i;
        strcpy(n->home, "/tmp/quoin-evidence-XXXXXX");
        QN_ASSERT(mkdtemp(n->home) != NULL);
        struct qn_replica_conf conf = {
            .chain = { .home = n->home, .env = &net->env, .genesis = &g, .map_gib = 1 },
            .validator = &net->key[i],
            .wire = { n, wire_send, wire_cast }
        };
        QN_ASSERT(qn_replica_open(&conf, &n->r, &why) == QN_OK);
    }
    for (uint32_t i = 0; i < HONEST; i++)
        for (uint32_t k = 0; k < ALL; k++)
            if (k != i) qn_replica_peer(net->node[i].r, k, true);
}

static void net_fini(struct net *net)
{
    char line[128];
    for (struct message *m; (m = net->first); free(m))
        net->first = m->next;
    for (uint32_t i = 0; i < HONEST; i++) {
        qn_replica_close(net->node[i].r);
        snprintf(line, sizeof line, "rm -rf '%s'", net->node[i].home);
        QN_ASSERT(system(line) == 0);
    }
}

/* The traitor, number 3, votes for x in the view that node `to` is in. */
static void betray(struct net *net, uint32_t to, const char *x)
{
    struct qn_chain *chain = qn_replica_chain(net->node[to].r);
    struct qn_hash id = qn_chain_id(chain), block = qn_h("evidence block", x, strlen(x));
    const struct qn_set *set = qn_chain_set(chain);
    int no = qn_set_find(set, &net->key[3].pub);
    struct qn_buf m = { 0 };
    struct qn_vote v = qn_vote_make(&net->key[3], (uint16_t)no, &id, QN_VOTE_FIRST, set->epoch,
                                    qn_replica_info(net->node[to].r).view, &block);
    QN_ASSERT(no >= 0);
    qn_buf_u8(&m, SAY_VOTE);
    qn_encode(qn_vote_record(), &v, &m);
    post(net, 3, to, qn_buf_get(&m));
    qn_buf_free(&m);
}

/* The traitor leads one of the next views, and proposes two blocks in it. */
static void propose_two(struct net *net, uint32_t to)
{
    struct qn_chain *chain = qn_replica_chain(net->node[to].r);
    const struct qn_set *set = qn_chain_set(chain);
    const struct qn_header *head = qn_chain_header(chain);
    struct qn_bft_conf draw = { .chain = qn_chain_id(chain),
                                .cnt = set->cnt,
                                .set = set->keys,
                                .weights = set->weights,
                                .epoch = set->epoch };
    uint64_t view = qn_replica_info(net->node[to].r).view + 1;
    int no = qn_set_find(set, &net->key[3].pub);
    while (qn_bft_leader(&draw, view) != no) {
        run(net, 300);
        chain = qn_replica_chain(net->node[to].r);
        view = qn_replica_info(net->node[to].r).view + 1;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct qn_buf m = { 0 };
        uint8_t text[QN_PROPOSAL_TEXT];
        struct qn_proposal p = { .block.header = { .ver = 1,
                                                   .chain = qn_chain_id(chain),
                                                   .epoch = set->epoch,
                                                   .height = head->height + 2,
                                                   .view = view,
                                                   .t_ms = net->now_us / 1000 + i,
                                                   .parent = qn_h("evidence block", "p", 1),
                                                   .proposer = net->key[3].pub } };
        if (i == 0)
            p.block.header.body_root =
                qn_body_root(NULL, 0); /* the other's body is not its head's: a head all the same */
        struct qn_hash hash = qn_header_hash(&p.block.header);
        p.sig = qn_sign(&net->key[3], qn_proposal_text(&hash, text));
        qn_buf_u8(&m, SAY_PROPOSAL);
        qn_encode(qn_proposal_record(), &p, &m);
        post(net, 3, to, qn_buf_get(&m));
        qn_buf_free(&m);
    }
}

static struct qn_validator traitor(struct net *net, uint32_t at)
{
    struct qn_arena arena = { 0 };
    struct qn_validator v = { 0 };
    struct qn_hash id = qn_acct_key(&net->key[3].pub);
    const struct qn_view *view = qn_chain_view(qn_replica_chain(net->node[at].r));
    QN_ASSERT(qn_stake_get(view, &id, &arena, &v) == QN_OK);
    qn_arena_free(&arena);
    v.name = QN_SPAN(NULL, 0);
    return v;
}

static void test_report(struct qn_test_state *t)
{
    static struct net net;
    net_init(&net);
    run(&net, 3000);
    CHECK(qn_view_height(qn_chain_view(qn_replica_chain(net.node[0].r))) > 0);
    json_t *none = qn_evidence_json(net.node[0].r, NULL);
    CHECK(json_array_size(none) == 0);
    json_decref(none);
    CHECK(qn_evidence_report(net.node[0].r, NULL, &net.key[0], net.now_us / 1000) == 0);
    betray(&net, 0, "x"); /* in one view: to one node both, to the others nothing */
    betray(&net, 0, "y");
    run(&net, 100);
    json_t *list = qn_evidence_json(net.node[0].r, NULL);
    CHECK(json_array_size(list) == 1);
    json_decref(list);
    struct qn_hash me = qn_acct_key(&net.key[0].pub);
    const struct qn_hash burnt = qn_acct_burnt();
    const struct qn_view *view = qn_chain_view(qn_replica_chain(net.node[0].r));
    uint64_t mine = qn_view_balance(view, &me).uqn, was = traitor(&net, 0).stake.uqn,
             ash = qn_view_balance(view, &burnt).uqn;
    CHECK(qn_evidence_report(net.node[0].r, NULL, &net.key[0], net.now_us / 1000) == 1);
    run(&net, 5000);
    for (uint32_t i = 0; i < HONEST;
         i++) { /* final everywhere: a quarter of the stake voted twice, three quarters are gone */
        struct qn_validator v = traitor(&net, i);
        CHECK(v.barred && v.stake.uqn < was / 4 + 100000);
    }
    view = qn_chain_view(qn_replica_chain(net.node[0].r));
    CHECK(qn_view_balance(view, &me).uqn > mine + was * 7 / 100);
    CHECK(qn_view_balance(view, &burnt).uqn > ash + was * 67 / 100);
    CHECK(qn_state_sum(view).uqn == QN_SUPPLY_UQN);
    CHECK(qn_evidence_report(net.node[0].r, NULL, &net.key[0], net.now_us / 1000) ==
          0); /* it is known */
    net_fini(&net);
}

static void test_twins(struct qn_test_state *t)
{
    static struct net net;
    net_init(&net);
    run(&net, 3000);
    uint64_t was = traitor(&net, 0).stake.uqn;
    propose_two(&net, 1);
    run(&net, 100);
    json_t *list = qn_evidence_json(net.node[1].r, NULL);
    CHECK(json_array_size(list) == 1);
    CHECK(json_object_get(json_array_get(list, 0), "a_sig") != NULL);
    json_decref(list);
    CHECK(qn_evidence_report(net.node[1].r, NULL, &net.key[1], net.now_us / 1000) == 1);
    run(&net, 5000);
    for (uint32_t i = 0; i < HONEST; i++) {
        struct qn_validator v = traitor(&net, i);
        CHECK(v.barred && v.stake.uqn < was / 4 + 100000);
    }
    CHECK(qn_evidence_report(net.node[1].r, NULL, &net.key[1], net.now_us / 1000) == 0);
    net_fini(&net);
}

/* The fourth validator is never there: in jail after 5,000 blocks of 10,000, out of the set two epochs later, back when its owner asks.
 * So many blocks of three nodes are minutes of syncing: in the long run alone; test_stake counts the same blocks in every run. */
static void test_absent(struct qn_test_state *t)
{
    if (!test_long()) return;
    static struct net net;
    net_init(&net);
    struct validator_unjail body = { qn_acct_key(&net.key[3].pub) };
    for (unsigned i = 0; i < 400 && traitor(&net, 0).jailed_ms == 0; i++)
        run(&net, 10000);
    uint64_t out_ms = traitor(&net, 0).jailed_ms;
    CHECK(out_ms != 0);
    for (uint32_t i = 0; i < HONEST; i++) /* the three that are there stay */
        for (uint32_t k = 0; k < HONEST; k++) {
            struct qn_arena arena = { 0 };
            struct qn_validator v;
            struct qn_hash id = qn_acct_key(&net.key[k].pub);
            CHECK(qn_stake_get(qn_chain_view(qn_replica_chain(net.node[i].r)), &id, &arena, &v) ==
                      QN_OK &&
                  v.jailed_ms == 0);
            qn_arena_free(&arena);
        }
    for (unsigned i = 0; i < 20 && qn_chain_set(qn_replica_chain(net.node[0].r))->cnt == ALL; i++)
        run(&net, 10000);
    CHECK(qn_chain_set(qn_replica_chain(net.node[0].r))->cnt == HONEST);
    CHECK(net.now_us / 1000 > out_ms);
    struct qn_buf raw = { 0 }, tx = { 0 };
    struct qn_hash id, chain = qn_chain_id(qn_replica_chain(net.node[0].r));
    struct qn_tx_opts opts = { .gas_max = 200000 };
    struct qn_why why = { "" };
    qn_encode(validator_unjail_record(), &body, &raw);
    qn_tx_build(&chain, QN_TX_VALIDATOR_UNJAIL, qn_buf_get(&raw), &net.key[3], net.now_us / 1000,
                &opts, &tx, &id);
    CHECK_RC(qn_replica_submit(net.node[0].r, qn_buf_get(&tx), &id, &why), QN_OK);
    run(&net, 3000);
    for (uint32_t i = 0; i < HONEST; i++)
        CHECK(traitor(&net, i).jailed_ms == 0);
    for (unsigned i = 0; i < 20 && qn_chain_set(qn_replica_chain(net.node[0].r))->cnt == HONEST;
         i++)
        run(&net, 10000);
    CHECK(qn_chain_set(qn_replica_chain(net.node[0].r))->cnt == ALL); /* elected again */
    qn_buf_free(&raw);
    qn_buf_free(&tx);
    net_fini(&net);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_report);
    TEST(test_twins);
    TEST(test_absent);
    return TEST_END();
}
