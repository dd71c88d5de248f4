/* test_stretch.c - who is to blame for a stretch of blocks that does not hold, when it waited for another's before it was looked at. */
#include "ledger/sync/far.h"

enum { HONEST, LIAR, PEERS, STRETCH = 64 };

/* The liar gives what is to follow the honest one's, and first. */
static void test_blame(struct qn_test_state *t)
{
    struct net *net = start(NODES - 1);
    struct qn_arena arena = { 0 };
    struct qn_buf bytes = { 0 };
    struct drip d[PEERS] = { 0 };
    while (height(net, 0) < 2 * STRETCH)
        run(net, 1000);
    build_send(net, 0, 999999, &bytes);
    struct qn_tx extra = read_tx(qn_buf_get(&bytes), &arena);
    boot(net, NODES - 1);
    for (unsigned i = 0; i < NODES - 1; i++)
        qn_replica_peer(net->node[NODES - 1].r, i, false);
    net->hook = d;
    net->on_far = note_get;
    for (unsigned i = 0; i < PEERS; i++)
        qn_replica_peer(net->node[NODES - 1].r, FAR + i, true);
    CHECK(hail(net, HONEST, STRETCH) == QN_IGNORE);
    CHECK(hail(net, LIAR, 2 * STRETCH) == QN_IGNORE);
    CHECK(d[HONEST].get.from == 1 && d[LIAR].get.from == STRETCH + 1);
    CHECK(give(net, &d[LIAR], FAR + LIAR, STRETCH, &extra) == QN_IGNORE);
    CHECK(give(net, &d[HONEST], FAR + HONEST, STRETCH, NULL) != QN_REJECT);
    CHECK(height(net, NODES - 1) == STRETCH);
    CHECK(hail(net, HONEST, STRETCH) == QN_IGNORE);
    CHECK(hail(net, LIAR, 2 * STRETCH) == QN_REJECT);
    CHECK(hail(net, LIAR, 2 * STRETCH) == QN_IGNORE); /* once */
    end(net);
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_blame);
    return TEST_END();
}
