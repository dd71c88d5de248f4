/* far.h - peers of the last node that are no nodes themselves, and give it blocks as a test will have it. */
#ifndef QN_LEDGER_SYNC_FAR_H
#define QN_LEDGER_SYNC_FAR_H

#include "ledger/sync/network.h"
#include "ledger/sync/replica_in.h"

/* The first cnt nodes, in one epoch all along. */
static inline struct net *start(unsigned cnt)
{
    struct net *net = begin();
    net->genesis.epoch_ms = 6000000;
    for (unsigned i = 0; i < cnt; i++)
        boot(net, i);
    run(net, 3000);
    return net;
}

static inline void build(struct net *net, uint16_t kind, const struct qn_record *rec,
                         const void *body, unsigned from, uint64_t salt, struct qn_buf *ret)
{
    struct qn_buf bytes = { 0 };
    struct qn_hash id, chain = qn_chain_id(qn_replica_chain(net->node[0].r));
    struct qn_tx_opts opts = { .salt = salt };
    qn_encode(rec, body, &bytes);
    qn_tx_build(&chain, kind, qn_buf_get(&bytes), &net->people[from], net->now_us / 1000, &opts,
                ret, &id);
    qn_buf_free(&bytes);
}

static inline void build_send(struct net *net, unsigned from, uint64_t salt, struct qn_buf *ret)
{
    struct ledger_send s = { .to = qn_acct_key(&net->people[1].pub), .amount = QN_UQN(7) };
    build(net, QN_TX_SEND, ledger_send_record(), &s, from, salt, ret);
}

static inline struct qn_tx read_tx(struct qn_span bytes, struct qn_arena *arena)
{
    struct qn_tx tx;
    QN_ASSERT(qn_decode(qn_tx_record(), bytes, arena, &tx, NULL) == QN_OK);
    return tx;
}

struct drip {
    struct sync_get get; /* cnt 0: nothing was asked */
    uint64_t due_us, after_us;
};

static inline void note_get(struct node *n, uint32_t peer, struct qn_span s)
{
    struct drip *d = (struct drip *)n->net->hook + (peer - FAR);
    struct qn_arena arena = { 0 };
    if (s.ptr[0] != SAY_GET) return;
    QN_ASSERT(qn_decode(sync_get_record(), QN_SPAN(s.ptr + 1, s.len - 1), &arena, &d->get, NULL) ==
              QN_OK);
    d->due_us = n->net->now_us + d->after_us;
    qn_arena_free(&arena);
}

/* Peer FAR + i of the last node says that it has so many blocks of node 0's. */
static inline enum qn_verdict hail(struct net *net, unsigned i, uint64_t blocks)
{
    struct qn_chain *chain = qn_replica_chain(net->node[0].r);
    struct sync_status s = { .chain = qn_chain_id(chain), .height = blocks, .oldest = 1 };
    struct qn_buf message = { 0 };
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    struct qn_why why;
    QN_ASSERT(qn_chain_frame(chain, blocks, &arena, &f, &why) == QN_OK);
    s.head = qn_header_hash(&f.block.header);
    qn_arena_free(&arena);
    qn_buf_u8(&message, SAY_STATUS);
    qn_encode(sync_status_record(), &s, &message);
    enum qn_verdict v =
        qn_replica_recv(net->node[NODES - 1].r, FAR + i, qn_buf_get(&message), &why);
    qn_buf_free(&message);
    return v;
}

/* Peers FAR.. of the last node say that they have what node 0 has. */
static inline void join(struct net *net, unsigned cnt)
{
    for (unsigned i = 0; i < cnt; i++)
        qn_replica_peer(net->node[NODES - 1].r, FAR + i, true);
    for (unsigned i = 0; i < cnt; i++)
        QN_ASSERT(hail(net, i, height(net, 0)) != QN_REJECT);
}

/* Up to max true blocks, with extra in the first if there is one. */
static inline enum qn_verdict give(struct net *net, struct drip *d, uint32_t peer, uint32_t max,
                                   struct qn_tx *extra)
{
    struct qn_arena arena = { 0 };
    struct sync_block list[128];
    struct sync_blocks m = { .blocks = { 0, list } };
    struct qn_buf message = { 0 };
    struct qn_why why;
    struct qn_frame f;
    for (bool done = false; !done && m.blocks.cnt < QN_COUNT(list); m.blocks.cnt++) {
        uint64_t h = d->get.from + m.blocks.cnt;
        if (qn_chain_frame(qn_replica_chain(net->node[0].r), h, &arena, &f, &why)) break;
        list[m.blocks.cnt] = (struct sync_block){ .block = f.block, .cert = f.cert };
        done = f.cert.kind && m.blocks.cnt + 1 >= QN_MIN(max, (uint32_t)d->get.cnt);
    }
    if (extra) list[0].block.txs.cnt = 1;
    if (extra) list[0].block.txs.ptr = extra;
    qn_buf_u8(&message, SAY_BLOCKS);
    qn_encode(sync_blocks_record(), &m, &message);
    enum qn_verdict v = qn_replica_recv(net->node[NODES - 1].r, peer, qn_buf_get(&message), &why);
    qn_buf_free(&message);
    qn_arena_free(&arena);
    d->get.cnt = 0;
    return v;
}

#endif
