/* test_pressure.c - more proposals than are kept: one that waited for its parent, and whose body had to make room for others, comes back and is voted
 * for; and who is asked for one that is missed, where somebody brings only others. */
#include "ledger/sync/far.h"

enum { AHEAD = 8, LAST = NODES - 1 };

struct seen {
    struct qn_hash block;
    unsigned votes;
};

static void note_vote(struct node *n, struct qn_span s)
{
    struct seen *seen = n->net->hook;
    struct qn_arena arena = { 0 };
    struct qn_vote v;
    if (s.ptr[0] != SAY_VOTE || n->no != LAST) return;
    QN_ASSERT(qn_decode(qn_vote_record(), QN_SPAN(s.ptr + 1, s.len - 1), &arena, &v, NULL) ==
              QN_OK);
    seen->votes += qn_hash_eq(&v.block, &seen->block);
    qn_arena_free(&arena);
}

static const struct qn_key *leader(struct net *net, uint64_t view)
{
    struct qn_hash pub;
    QN_ASSERT(qn_replica_leader(net->node[0].r, 0, view, &pub));
    for (unsigned i = 0; i < NODES; i++)
        if (qn_hash_eq(&pub, &net->node[i].key.pub)) return &net->node[i].key;
    QN_BUG("a leader who is none of us");
}

static enum qn_verdict propose(struct net *net, const struct qn_block *block, struct qn_hash *ret)
{
    uint8_t text[QN_PROPOSAL_TEXT];
    struct qn_proposal p = { .block = *block };
    struct qn_why why;
    *ret = qn_header_hash(&block->header);
    p.sig = qn_sign(leader(net, block->header.view), qn_proposal_text(ret, text));
    return tell(net, LAST, SAY_PROPOSAL, qn_proposal_record(), &p, &why);
}

/* A block that holds, on node 0's chain. */
static struct qn_block make(struct net *net, uint64_t view, const struct qn_hash *parent,
                            struct qn_hash *ret)
{
    struct qn_chain *chain = qn_replica_chain(net->node[0].r);
    struct qn_make m = {
        .parent = *parent, .view = view, .t_ms = net->now_us / 1000, .key = leader(net, view)
    };
    struct qn_why why;
    bool misfit;
    QN_ASSERT(qn_chain_make(chain, &m, &misfit, ret, &why) == QN_OK);
    return *qn_chain_block(chain, ret);
}

/* Of each view from `from` to `to` four blocks, and what they stand on down to `from`: each is the parent of one that is here. */
static unsigned flood(struct net *net, uint64_t from, uint64_t to)
{
    const struct qn_header *head = qn_chain_header(qn_replica_chain(net->node[LAST].r));
    unsigned taken = 0;
    for (uint64_t top = from; top <= to; top++)
        for (unsigned k = 0; k < 4; k++) {
            struct qn_block chain[AHEAD] = { 0 };
            struct qn_hash hash = qn_h("test pressure", &k, sizeof k);
            for (uint64_t v = from; v <= top; v++) {
                struct qn_header *h = &chain[v - from].header;
                *h = *head;
                h->view = v;
                h->height = head->height + 8 + v - from;
                h->t_ms = head->t_ms + top * 4 + k; /* each another */
                h->parent = hash;
                h->proposer = leader(net, v)->pub;
                h->body_root = qn_body_root(NULL, 0);
                hash = qn_header_hash(h);
            }
            for (uint64_t v = top; v >= from; v--)
                taken += propose(net, &chain[v - from], &hash) == QN_ACCEPT;
        }
    return taken;
}

static enum qn_verdict vote(struct net *net, unsigned i, uint64_t view, const struct qn_hash *block)
{
    struct qn_hash chain = qn_chain_id(qn_replica_chain(net->node[0].r));
    const struct qn_set *set = qn_chain_set(qn_replica_chain(net->node[0].r));
    int signer = qn_set_find(set, &net->node[i].key.pub);
    struct qn_vote v = qn_vote_make(&net->node[i].key, (uint16_t)signer, &chain, QN_VOTE_FIRST,
                                    set->epoch, view, block);
    struct qn_why why;
    return tell(net, LAST, SAY_VOTE, qn_vote_record(), &v, &why);
}

static bool is_wanted(const struct net *net, const struct qn_hash *block, uint32_t below)
{
    for (const struct message *m = net->first; m; m = m->next)
        if (m->from == LAST && m->to < below && m->bytes[0] == SAY_WANT &&
            memcmp(m->bytes + 1, block->b, 32) == 0)
            return true;
    return false;
}

static void test_pressure(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_replica *r = net->node[LAST].r;
    struct seen seen = { .votes = 0 };
    struct qn_why why;
    uint64_t wait;
    while (qn_bft_last(r->bft).view + 1 != qn_bft_view(r->bft) ||
           height(net, 0) != height(net, LAST))
        run(net, 5);
    uint64_t view = qn_bft_view(r->bft);
    struct qn_hash head = qn_chain_head(qn_replica_chain(r)), below, above;
    struct qn_block parent = make(net, view, &head, &below),
                    child = make(net, view + 1, &below, &above);
    seen.block = above;
    net->hook = &seen;
    net->on_cast = note_vote;
    qn_replica_peer(r, FAR, true);
    CHECK(propose(net, &child, &above) == QN_ACCEPT); /* its parent is not here */
    CHECK(qn_replica_body_find(r, &above) != NULL);
    CHECK(flood(net, view + 2, view + AHEAD) > 96);
    CHECK(qn_replica_body_find(r, &above) == NULL);
    CHECK(propose(net, &parent, &below) == QN_ACCEPT);
    for (unsigned i = 0; i < 3; i++)
        (void)vote(net, i, view, &below);
    for (unsigned i = 0; i < 2; i++)
        CHECK(vote(net, i, view + 1, &above) == QN_ACCEPT);
    CHECK(qn_bft_view(r->bft) == view + 1 && seen.votes == 0);
    net->now_us += 1001000;
    CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    CHECK(is_wanted(net, &above, UINT32_MAX));
    CHECK(propose(net, &child, &above) == QN_ACCEPT);
    CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    CHECK(seen.votes == 1);
    end(net);
}

/* One who leads brings blocks whose parents nobody has, one a second, and never what is asked for: the others owe those parents all the same. What is
 * needed now is asked of others, too. */
static void test_debtor(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_replica *r = net->node[LAST].r;
    const struct qn_header *head = qn_chain_header(qn_replica_chain(r));
    struct qn_hash missed = qn_h("test debtor", "x", 1), hash;
    struct qn_why why;
    unsigned asked_s = 0;
    uint64_t wait;
    while (qn_bft_last(r->bft).view + 1 != qn_bft_view(r->bft))
        run(net, 5);
    uint64_t view = qn_bft_view(r->bft);
    qn_replica_peer(r, FAR, true);
    for (unsigned i = 0; i < 4 * AHEAD && !asked_s; i++) {
        struct qn_block b = { .header = *head };
        b.header.view = view + 1 + i / 4;
        b.header.height = head->height + 3;
        b.header.parent = qn_h("test debtor", &i, sizeof i);
        b.header.proposer = leader(net, b.header.view)->pub;
        b.header.body_root = qn_body_root(NULL, 0);
        CHECK(propose(net, &b, &hash) == QN_ACCEPT);
        if (i == 12)
            for (unsigned k = 0; k < 2; k++)
                CHECK(vote(net, k, view, &missed) == QN_ACCEPT);
        net->now_us += 1001000;
        CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
        if (is_wanted(net, &missed, NODES)) asked_s = i;
    }
    CHECK(asked_s > 0 && asked_s < 12 + 10);
    end(net);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_debtor);
    TEST(test_pressure);
    return TEST_END();
}
