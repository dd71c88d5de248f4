/* test_blame.c - who is held to what: a stretch of blocks that does not hold, and waited for another's before it was looked at; a validator that
 * votes twice whenever it can. */
#include "ledger/sync/far.h"
#include "ledger/sync/snapshot.h"

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

static void count(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    (void)a, (void)b;
    ++*(unsigned *)arg;
}

/* One who votes twice in each view fills no list that somebody else's two votes are to be in. */
static void test_evidence(struct qn_test_state *t)
{
    struct net *net = start(NODES - 1);
    struct qn_replica *r = net->node[0].r;
    const struct qn_set *set = qn_chain_set(qn_replica_chain(r));
    struct qn_hash chain = qn_chain_id(qn_replica_chain(r));
    int self = qn_set_find(set, &net->node[NODES - 1].key.pub);
    unsigned cnt = 0, told = 0;
    struct qn_why why;
    QN_ASSERT(self >= 0);
    qn_replica_peer(r, FAR, true);
    for (unsigned i = 0; i < 20; i++, run(net, 500))
        for (uint8_t k = 0; k < 2; k++) {
            struct qn_hash x = { { 1, k } };
            struct qn_vote v = qn_vote_make(&net->node[NODES - 1].key, (uint16_t)self, &chain,
                                            QN_VOTE_FIRST, set->epoch, qn_replica_info(r).view, &x);
            told += tell(net, 0, SAY_VOTE, qn_vote_record(), &v, &why) == QN_ACCEPT;
        }
    qn_replica_evidence(r, count, &cnt);
    CHECK(told > 20 && cnt == 1);
    end(net);
}

/* A filler, empty, on an epoch's last block, with the certificate that makes that one final: peers have its head, and anybody its body. */
static struct sync_block fill(struct net *net, const struct qn_header *last,
                              struct qn_cert_vote votes[NODES])
{
    struct sync_block b = { .block.header = *last, .cert.votes.ptr = votes };
    struct qn_header *h = &b.block.header;
    h->parent = qn_header_hash(last);
    h->height++;
    h->view++;
    h->t_ms++;
    h->body_root = qn_body_root(NULL, 0);
    b.cert.kind = QN_CERT_SLOW;
    b.cert.epoch = h->epoch;
    b.cert.view = h->view;
    b.cert.block = qn_header_hash(h);
    for (uint16_t i = 0; i < NODES; i++)
        for (unsigned k = 0; k < NODES; k++)
            if (qn_hash_eq(&net->set[i], &net->node[k].key.pub)) {
                struct qn_vote v = qn_vote_make(&net->node[k].key, i, &h->chain, QN_VOTE_FINAL,
                                                h->epoch, h->view, &b.cert.block);
                qn_cert_add(&b.cert, &v);
            }
    return b;
}

/* Who is an epoch behind is given the filler for the next epoch's first block. It is certified, and no block: no reason to stop as one that is
 * broken, only to score who gave it. */
static void test_filler(struct qn_test_state *t)
{
    struct net *net = begin();
    struct drip d = { .after_us = 0 };
    struct qn_cert_vote votes[NODES];
    struct sync_block list[STRETCH];
    struct sync_blocks m = { .blocks = { 0, list } };
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_why why = { "" };
    for (unsigned i = 0; i + 1 < NODES; i++)
        boot(net, i);
    run(net, 20000);
    boot(net, NODES - 1);
    for (unsigned i = 0; i + 1 < NODES; i++)
        qn_replica_peer(net->node[NODES - 1].r, i, false);
    net->hook = &d;
    net->on_far = note_get;
    join(net, 1);
    CHECK(d.get.from == 1);
    for (uint32_t epoch = 0; m.blocks.cnt + 1 < STRETCH; m.blocks.cnt++) {
        QN_ASSERT(qn_chain_frame(qn_replica_chain(net->node[0].r), m.blocks.cnt + 1, &arena, &f,
                                 &why) == QN_OK);
        if (m.blocks.cnt && f.block.header.epoch != epoch) break;
        epoch = f.block.header.epoch;
        list[m.blocks.cnt] = (struct sync_block){ .block = f.block };
    }
    uint64_t last = m.blocks.cnt;
    list[last] = fill(net, &list[last - 1].block.header, votes);
    m.blocks.cnt++;
    struct qn_buf message = { 0 };
    qn_buf_u8(&message, SAY_BLOCKS);
    qn_encode(sync_blocks_record(), &m, &message);
    struct qn_replica *r = net->node[NODES - 1].r;
    CHECK(qn_replica_recv(r, FAR, qn_buf_get(&message), &why) == QN_REJECT);
    CHECK(height(net, NODES - 1) == last);
    for (unsigned i = 0; i + 1 < NODES; i++)
        qn_replica_peer(r, i, true);
    run(net, 10000); /* it goes on */
    CHECK(height(net, NODES - 1) + 2 >= height(net, 0));
    check_equal(t, net);
    end(net);
    qn_buf_free(&message);
    qn_arena_free(&arena);
}

/* Blocks of another chain with the same voters, as when somebody begins anew with his keys: no fork of this one. */
static void test_other_chain(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_cert_vote votes[NODES];
    struct qn_replica *r = net->node[NODES - 1].r;
    struct qn_header other = *qn_chain_header(qn_replica_chain(r));
    struct drip d = { .after_us = 0 };
    struct qn_why why;
    for (unsigned own = 0; own < 2; own++) {
        if (!own) other.chain = qn_blake3("another", 7);
        other.t_ms++; /* its head is none of ours */
        struct sync_block b = fill(net, &other, votes);
        struct sync_blocks m = { .blocks = { 1, &b } };
        struct sync_status far = { .chain = qn_chain_id(qn_replica_chain(r)),
                                   .height = other.height + 10,
                                   .oldest = 1 };
        net->hook = &d;
        net->on_far = note_get;
        qn_replica_peer(r, FAR, true);
        CHECK(tell(net, NODES - 1, SAY_STATUS, sync_status_record(), &far, &why) == QN_IGNORE);
        CHECK(d.get.from == other.height + 1);
        CHECK(tell(net, NODES - 1, SAY_BLOCKS, sync_blocks_record(), &m, &why) == QN_REJECT);
        CHECK((qn_replica_fork(r) != NULL) == (own == 1));
        qn_replica_peer(r, FAR, false);
        other = *qn_chain_header(qn_replica_chain(r));
    }
    end(net);
}

static void put_block(struct qn_buf *piece, const struct qn_block *block)
{
    struct qn_buf one = { 0 };
    qn_encode(qn_block_record(), block, &one);
    qn_buf_u32(piece, (uint32_t)one.len);
    qn_buf_span(piece, qn_buf_get(&one));
    qn_buf_free(&one);
}

/* A snapshot of a filler: the state is the last block's, all of it proves itself, and who began from it would stand beside the chain for good. */
static void test_snapshot(struct qn_test_state *t)
{
    struct net *net = begin();
    struct qn_cert_vote votes[NODES];
    struct qn_arena arena = { 0 };
    struct qn_buf whole = { 0 }, apart = { 0 };
    struct qn_frame f, next;
    struct qn_why why;
    uint64_t last = 3;
    for (unsigned i = 0; i < NODES; i++)
        boot(net, i);
    run(net, 20000);
    struct qn_chain *chain = qn_replica_chain(net->node[0].r);
    for (;; last++) {
        CHECK_RC(qn_chain_frame(chain, last, &arena, &f, &why), QN_OK);
        CHECK_RC(qn_chain_frame(chain, last + 1, &arena, &next, &why), QN_OK);
        if (f.block.header.epoch != next.block.header.epoch) break;
    }
    struct qn_snapshot sn = { .proof.header = f.block.header, .proof.chain = qn_chain_id(chain) };
    sn.proof.block = qn_header_hash(&sn.proof.header);
    for (uint64_t h = 1; h <= last; h++) {
        CHECK_RC(qn_chain_frame(chain, h, &arena, &f, &why), QN_OK);
        put_block(&whole, &f.block);
    }
    struct qn_link link = qn_snapshot_link(&sn);
    CHECK_RC(qn_snapshot_bodies(&sn, qn_buf_get(&whole), true, &link), QN_OK);
    struct sync_block filler = fill(net, &sn.proof.header, votes);
    filler.block.header.state_root = f.block.header.state_root;
    sn.proof.header = filler.block.header;
    sn.proof.block = qn_header_hash(&sn.proof.header);
    put_block(&apart, &filler.block);
    link = qn_snapshot_link(&sn);
    CHECK_RC(qn_snapshot_bodies(&sn, qn_buf_get(&apart), false, &link), QN_OK); /* not known yet */
    CHECK_RC(qn_snapshot_bodies(&sn, qn_buf_get(&whole), true, &link), QN_E_PROOF);
    link = qn_snapshot_link(&sn);
    qn_buf_span(&whole, qn_buf_get(&apart));
    CHECK_RC(qn_snapshot_bodies(&sn, qn_buf_get(&whole), true, &link), QN_E_PROOF);
    end(net);
    qn_buf_free(&whole);
    qn_buf_free(&apart);
    qn_arena_free(&arena);
}

/* A view without a block, in which all said FIRST for nothing: that is no other block beside the final ones. */
static void test_nothing(struct qn_test_state *t)
{
    struct net *net = start(NODES);
    struct qn_replica *r = net->node[0].r;
    const struct qn_set *set = qn_chain_set(qn_replica_chain(r));
    struct qn_hash chain = qn_chain_id(qn_replica_chain(r)), none = { { 0 } };
    struct qn_cert_vote votes[NODES];
    struct qn_cert c = { .kind = QN_CERT_FAST, .epoch = set->epoch, .votes.ptr = votes };
    struct qn_why why;
    net->node[NODES - 1].mute = true; /* the views that it leads */
    run(net, 10000);
    net->node[NODES - 1].mute = false;
    run(net, 3000);
    for (uint64_t i = r->past.cnt - QN_MIN(r->past.cnt, (uint64_t)QN_PAST_MAX) + 1; i < r->past.cnt;
         i++) {
        uint64_t before = r->past.at[(i - 1) % QN_PAST_MAX].view;
        if (before + 1 < r->past.at[i % QN_PAST_MAX].view) c.view = before + 1;
    }
    QN_ASSERT(c.view != 0);
    for (uint16_t k = 0; k < set->cnt; k++)
        for (unsigned i = 0; i < NODES; i++) {
            if (!qn_hash_eq(&set->keys[k], &net->node[i].key.pub)) continue;
            struct qn_vote v =
                qn_vote_make(&net->node[i].key, k, &chain, QN_VOTE_FIRST, c.epoch, c.view, &none);
            qn_cert_add(&c, &v);
        }
    qn_replica_peer(r, FAR, true);
    CHECK(tell(net, 0, SAY_CERT, qn_cert_record(), &c, &why) == QN_REJECT);
    CHECK(qn_replica_fork(r) == NULL);
    end(net);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_blame);
    TEST(test_evidence);
    TEST(test_filler);
    TEST(test_other_chain);
    TEST(test_snapshot);
    TEST(test_nothing);
    return TEST_END();
}
