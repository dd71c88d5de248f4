/* test_attack.c - what somebody without stake can do by being the first to pass something on, or by asking: each of these once stopped a node, held
 * up consensus, or made honest peers blame each other. */
#include "ledger/sync/far.h"

enum lie { LIE_NONE, LIE_BODY, LIE_CERT, LIE_PAD };
enum { GOOD = 64, BIGS = 1600, DRIPS = 9, ASKED = 100, CROWD = 60, GREEDY = 3 };

/* Who hears a proposal before the others do, and tells those in `victims` another with the same head and signature. */
struct liar {
    enum lie lie;
    unsigned victims, told, verdicts[QN_REJECT + 1];
    struct qn_tx extra;
};

static uint64_t blocks_in(struct net *net, uint64_t ms)
{
    uint64_t before = height(net, 0);
    run(net, ms);
    return height(net, 0) - before;
}

/* --- blocks with another body or a false certificate ------------------------------------------------------------------- */

static void forge(struct node *n, struct qn_span s)
{
    struct liar *liar = n->net->hook;
    struct qn_arena arena = { 0 };
    struct qn_proposal p;
    struct qn_why why;
    if (liar->lie == LIE_NONE || s.ptr[0] != SAY_PROPOSAL) return;
    QN_ASSERT(qn_decode(qn_proposal_record(), QN_SPAN(s.ptr + 1, s.len - 1), &arena, &p, NULL) ==
              QN_OK);
    if (liar->lie == LIE_BODY) {
        p.block.txs.cnt = !p.block.txs.cnt;
        p.block.txs.ptr = &liar->extra;
    }
    if (liar->lie != LIE_CERT) p.certs.cnt = 0;
    static struct qn_cert_vote votes[256];
    struct qn_cert pad = { .kind = QN_CERT_VIEW,
                           .epoch = p.block.header.epoch + 1,
                           .view = 1,
                           .votes = { QN_COUNT(votes), votes } };
    if (liar->lie == LIE_PAD) p.certs.ptr = &pad;
    if (liar->lie == LIE_PAD) p.certs.cnt = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        if (i == n->no || !(liar->victims >> i & 1)) continue;
        if (liar->lie == LIE_CERT) {
            if (p.certs.cnt == 0) continue;
            (void)tell(n->net, i, SAY_CERT, qn_cert_record(), p.certs.ptr, &why); /* now known */
            p.certs.ptr[0].votes.ptr[0].sig.b[0] ^= 1;
        }
        liar->verdicts[tell(n->net, i, SAY_PROPOSAL, qn_proposal_record(), &p, &why)]++;
        liar->told++;
        if (liar->lie == LIE_CERT) p.certs.ptr[0].votes.ptr[0].sig.b[0] ^= 1;
    }
    qn_arena_free(&arena);
}

/* At all four and at two. */
static void proposals(struct qn_test_state *t, enum lie lie)
{
    struct net *net = start(NODES);
    struct qn_arena arena = { 0 };
    struct qn_buf extra = { 0 };
    build_send(net, 0, 999999, &extra);
    struct liar liar = { .extra = read_tx(qn_buf_get(&extra), &arena) };
    net->hook = &liar;
    net->on_cast = forge;
    uint64_t calm = blocks_in(net, 20000);
    liar.lie = lie;
    for (unsigned k = 0; k < 2; k++) {
        liar.victims = k ? 3 : 15;
        liar.told = 0;
        uint64_t now = blocks_in(net, 20000);
        CHECK(calm > 10 && now * 4 >= calm * 3 && liar.told > now);
    }
    CHECK(liar.verdicts[QN_ACCEPT] == 0 && liar.verdicts[QN_IGNORE] == 0);
    liar.lie = LIE_NONE;
    run(net, 2000);
    check_equal(t, net);
    CHECK(net->rejected == 0); /* no honest one passed a lie on, or was blamed */
    end(net);
    qn_buf_free(&extra);
    qn_arena_free(&arena);
}

static void test_body_proposal(struct qn_test_state *t)
{
    proposals(t, LIE_BODY);
}

/* Of a view whose certificate is here: who lacks it would check it, and blame whoever passed it on. */
static void test_cert_proposal(struct qn_test_state *t)
{
    proposals(t, LIE_CERT);
}

/* Of another epoch: nobody here can check it, and everybody would journal it with the block, 17 KB each and up to 32, and pass it on. */
static void test_padded_proposal(struct qn_test_state *t)
{
    proposals(t, LIE_PAD);
}

/* --- who is calm says nothing twice ----------------------------------------------------------------------------------------- */

struct said_cnt {
    unsigned kind[SAY_BLOCKS + 1];
};

static void count_said(struct node *n, struct qn_span s)
{
    ((struct said_cnt *)n->net->hook)->kind[s.ptr[0]]++;
}

/* A block every half second, whatever votes take; of it each says one certificate, at most two votes, and one says the block. */
static void test_calm(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct said_cnt said = { { 0 } };
    run(net, 3000);
    net->hook = &said;
    net->on_cast = count_said;
    uint64_t cnt = blocks_in(net, 20000);
    CHECK(cnt >= 38 && cnt <= 41);
    CHECK(said.kind[SAY_CERT] > 0 && said.kind[SAY_CERT] <= (cnt + 1) * NODES);
    CHECK(said.kind[SAY_VOTE] <= 2 * (cnt + 1) * NODES);
    CHECK(said.kind[SAY_PROPOSAL] <= cnt + 1);
    check_equal(t, net);
    end(net);
}

/* --- catching up ---------------------------------------------------------------------------------------------------------- */

/* True heads with their true certificates over other transactions: the liar's fault, not this node's. */
static void test_body_sync(struct qn_test_state *t)
{
    struct net *net = start(NODES - 1);
    struct qn_arena arena = { 0 };
    struct qn_buf bytes = { 0 };
    struct drip d = { .after_us = 0 };
    unsigned gave = 0;
    run(net, 20000);
    build_send(net, 0, 999999, &bytes);
    struct qn_tx extra = read_tx(qn_buf_get(&bytes), &arena);
    boot(net, NODES - 1);
    net->hook = &d;
    net->on_far = note_get;
    join(net, 1);
    for (unsigned i = 0; i < 1000; i++, run(net, 5)) {
        if (!d.get.cnt) continue;
        CHECK(give(net, &d, FAR, 128, &extra) == QN_REJECT);
        gave++;
    }
    CHECK(gave > 0);
    CHECK(height(net, NODES - 1) + 2 >= height(net, 0));
    check_equal(t, net);
    end(net);
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
}

/* Three honest ones, and nine that give one true block each time, just before they would be late. */
static void test_drip(struct qn_test_state *t)
{
    struct net *net = start(NODES - 1);
    struct drip drips[DRIPS];
    unsigned gave = 0;
    while (height(net, 0) < 283)
        run(net, 1000);
    for (unsigned i = 0; i < NODES - 1; i++) /* no more blocks: only what is asked for comes */
        net->node[i].mute = true;
    boot(net, NODES - 1);
    for (unsigned i = 0; i < DRIPS; i++)
        drips[i] = (struct drip){ .after_us = 2900000 };
    net->hook = drips;
    net->on_far = note_get;
    join(net, DRIPS);
    for (unsigned k = 0; k < 2000; k++, run(net, 5))
        for (unsigned i = 0; i < DRIPS; i++) {
            if (!drips[i].get.cnt || drips[i].due_us > net->now_us) continue;
            (void)give(net, &drips[i], FAR + i, 1, NULL);
            gave++;
        }
    CHECK(gave > 0);
    CHECK(height(net, NODES - 1) >= 283);
    end(net);
}

/* Three honest ones in a crowd that says it has all, gives nothing, and comes back under another name when it was found out. */
static void test_crowd(struct qn_test_state *t)
{
    struct net *net = start(NODES - 1);
    struct qn_replica *r;
    static struct drip crowd[CROWD];
    unsigned came = 0;
    while (height(net, 0) < 640)
        run(net, 1000);
    for (unsigned i = 0; i < NODES - 1; i++)
        net->node[i].mute = true;
    boot(net, NODES - 1);
    r = net->node[NODES - 1].r;
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = (struct drip){ .after_us = 1100000 };
    net->hook = crowd;
    net->on_far = note_get;
    join(net, CROWD);
    for (unsigned k = 0; k < 5000 && height(net, NODES - 1) < 640; k++, run(net, 5))
        for (unsigned i = 0; i < CROWD; i++) {
            if (!crowd[i].get.cnt || crowd[i].due_us > net->now_us) continue;
            crowd[i].get.cnt = 0;
            qn_replica_peer(r, FAR + i, false);
            qn_replica_peer(r, FAR + i, true);
            CHECK(hail(net, i, height(net, 0)) == QN_IGNORE);
            came++;
        }
    CHECK(came > 0);
    CHECK(height(net, NODES - 1) >= 640);
    end(net);
}

static void count_want(struct node *n, uint32_t peer, struct qn_span s)
{
    (void)peer;
    *(unsigned *)n->net->hook += s.ptr[0] == SAY_WANT;
}

/* A block that votes name is asked of who brings blocks, not of a crowd that never does; in two of three seconds (test_pressure.c says why). */
static void test_wants(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_replica *r = net->node[NODES - 1].r;
    unsigned asked = 0;
    for (unsigned i = 0; i < CROWD; i++)
        qn_replica_peer(r, FAR + i, true);
    net->hook = &asked;
    net->on_far = count_want;
    for (unsigned i = 0; i < 5 * CROWD; i++, run(net, 300)) {
        struct qn_hash x = qn_blake3(&i, sizeof i);
        CHECK(qn_replica_want(r, &x));
    }
    CHECK(asked > 0 && 3 * asked <= 2 * 5 * CROWD); /* 20 of 21 are of the crowd */
    check_equal(t, net);
    end(net);
}

/* --- questions -------------------------------------------------------------------------------------------------------------- */

static void count_blocks(struct node *n, uint32_t peer, struct qn_span s)
{
    (void)peer;
    *(unsigned *)n->net->hook += s.ptr[0] == SAY_BLOCKS && s.len > 2u << 20;
}

/* Eleven bytes for megabytes: what a peer asks for has a budget, its next questions wait for it, and those after them are not heard. */
static void test_questions(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_hash id;
    struct qn_why why;
    unsigned gave = 0;
    struct mandate_payee payees[32] = { { .cap = QN_UQN(1) } };
    struct mandate_open big = { .payees = { 32, payees },
                                .expires_ms = UINT64_C(1) << 52 }; /* too late */
    struct sync_get get = { height(net, 0) + 1, 128 };
    for (unsigned i = 0; i < BIGS; i++) {
        struct qn_buf tx = { 0 };
        build(net, QN_TX_MANDATE_OPEN, mandate_open_record(), &big, i % PEOPLE, i, &tx);
        CHECK_RC(qn_replica_submit(net->node[0].r, qn_buf_get(&tx), &id, &why), QN_OK);
        qn_buf_free(&tx);
    }
    run(net, 10000);
    CHECK(qn_replica_pooled(net->node[0].r) == 0);
    qn_replica_peer(net->node[0].r, FAR, true);
    net->hook = &gave;
    net->on_far = count_blocks;
    for (unsigned i = 0; i < ASKED; i++)
        (void)tell(net, 0, SAY_GET, sync_get_record(), &get, &why);
    unsigned at_once = gave;
    CHECK(at_once > 0 && at_once <= 20);
    CHECK(blocks_in(net, 10000) > 5);
    CHECK(gave > at_once && gave <= at_once + SLOTS);
    at_once = gave;
    (void)tell(net, 0, SAY_GET, sync_get_record(), &get, &why);
    CHECK(gave == at_once + 1);
    CHECK(net->rejected == 0);
    check_equal(t, net);
    end(net);
}

static void ask(struct net *net, uint32_t peer, const struct qn_hash *block)
{
    struct sync_want want = { *block, 0, 0 };
    struct qn_buf message = { 0 };
    struct qn_why why;
    qn_buf_u8(&message, SAY_WANT);
    qn_encode(sync_want_record(), &want, &message);
    QN_ASSERT(qn_replica_recv(net->node[0].r, peer, qn_buf_get(&message), &why) == QN_IGNORE);
    qn_buf_free(&message);
}

static void count_proposals(struct node *n, uint32_t peer, struct qn_span s)
{
    *(unsigned *)n->net->hook += peer == FAR + GREEDY && s.ptr[0] == SAY_PROPOSAL;
}

/* Some ask for what nobody has, as often as they can, which uses up what all questions may cost; who asks for a proposal once gets it. */
static void test_greedy(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    unsigned gave = 0;
    for (uint32_t i = 0; i <= GREEDY; i++)
        qn_replica_peer(net->node[0].r, FAR + i, true);
    net->hook = &gave;
    net->on_far = count_proposals;
    for (unsigned k = 0; k < 20; k++, run(net, 50)) {
        for (unsigned i = 0; i < ASKED * GREEDY * (k ? 1 : 30); i++) {
            struct qn_hash none = qn_blake3(&i, sizeof i);
            ask(net, FAR + i % GREEDY, &none);
        }
        struct qn_hash head = qn_chain_head(qn_replica_chain(net->node[0].r));
        if (k % 4 == 1) ask(net, FAR + GREEDY, &head);
    }
    CHECK(gave == 5);
    check_equal(t, net);
    end(net);
}

/* --- blame ------------------------------------------------------------------------------------------------------------------ */

/* What node 0 casts of transactions: node 1 hears it at once. */
static void hear_batch(struct node *n, struct qn_span s)
{
    unsigned *seen = n->net->hook; /* by verdict, then all transactions */
    struct qn_why why;
    if (n->no != 0 || s.ptr[0] != SAY_TXS) return;
    seen[qn_replica_recv(n->net->node[1].r, 0, s, &why)]++;
    struct qn_span in = QN_SPAN(s.ptr + 1, s.len - 1);
    uint32_t cnt = 0;
    QN_ASSERT(qn_take_u32(&in, &cnt));
    seen[QN_REJECT + 1] += cnt;
}

/* 64 good transactions, and the first again with another signature: who has none of them does not look at that, who has one does. */
static void test_blame(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_buf message = { 0 }, one = { 0 }, tx = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_why why;
    unsigned seen[QN_REJECT + 2] = { 0 };
    uint64_t wait;
    struct qn_tx first = { 0 };
    qn_buf_u8(&message, SAY_TXS);
    qn_buf_u32(&message, GOOD + 1);
    for (unsigned i = 0; i < GOOD; i++) {
        qn_buf_clear(&tx);
        build_send(net, i % PEOPLE, 777000 + i, &tx);
        qn_buf_span(&message, qn_buf_get(&tx));
        if (i == 0) first = read_tx(qn_buf_get(&tx), &arena);
        if (i != 5) continue;
        qn_buf_u8(&one, SAY_TXS);
        qn_buf_u32(&one, 1);
        qn_buf_span(&one, qn_buf_get(&tx));
    }
    first.auths.ptr[0].sigs.ptr[0].sig.b[0] ^= 1;
    qn_encode(qn_tx_record(), &first, &message);
    for (unsigned i = 1; i < 3; i++)
        CHECK(qn_replica_recv(net->node[i].r, FAR, qn_buf_get(&one), &why) == QN_ACCEPT);
    CHECK(qn_replica_recv(net->node[0].r, FAR, qn_buf_get(&message), &why) == QN_IGNORE);
    CHECK(qn_replica_recv(net->node[2].r, FAR, qn_buf_get(&message), &why) == QN_REJECT);
    CHECK(qn_replica_pooled(net->node[0].r) == GOOD);
    net->hook = seen;
    net->on_cast = hear_batch;
    CHECK_RC(qn_replica_turn(net->node[0].r, &wait, &why), QN_OK); /* before a block has them */
    CHECK(seen[QN_ACCEPT] > 0 && seen[QN_REJECT] == 0 && seen[QN_REJECT + 1] == GOOD);
    net->on_cast = NULL;
    run(net, 3000);
    CHECK(net->rejected == 0 && qn_replica_pooled(net->node[0].r) == 0);
    check_equal(t, net);
    end(net);
    qn_buf_free(&message);
    qn_buf_free(&one);
    qn_buf_free(&tx);
    qn_arena_free(&arena);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_body_sync);
    TEST(test_calm);
    TEST(test_body_proposal);
    TEST(test_cert_proposal);
    TEST(test_padded_proposal);
    TEST(test_questions);
    TEST(test_greedy);
    TEST(test_blame);
    TEST(test_drip);
    TEST(test_crowd);
    TEST(test_wants);
    return TEST_END();
}
