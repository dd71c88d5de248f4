/* settle.c - the payee's claims: on its wish, when a payer closes a channel, and when a deposit is nearly used up. */
#include "modules/agents/serve.h"

#include "ledger/state/tx.h"
#include "modules/agents/channel.h"

#include <stdlib.h>

#define LOOK_CNT     64 /* channels looked at a block; all of them in turn */
#define AGAIN_BLOCKS 50 /* a claim that did not arrive is sent again */

struct settle {
    struct settle *next;
    struct svc *svc;
    struct paid_chan *chan;
    bool close;
};

qn_rc settle_send(struct agents_node *n, const struct svc *svc, const struct paid_chan *chan,
                  bool close, struct qn_hash *ret_tx, struct qn_why *why)
{
    struct channel_claim claim = { .voucher = chan->best, .close = close };
    struct qn_tx_opts opts = { 0 };
    struct qn_buf body = { 0 }, tx = { 0 };
    if (!chan->has_best) return qn_why(why, QN_E_NOTFOUND, "nothing was paid over the channel");
    qn_env_random(n->env, &opts.salt, sizeof opts.salt);
    qn_encode(channel_claim_record(), &claim, &body);
    uint64_t now_ms = QN_MAX(n->now_ms, qn_env_now_ms(n->env));
    qn_tx_build(&n->chain, CHANNEL_KIND_CLAIM, qn_buf_get(&body), &svc->key, now_ms, &opts, &tx,
                ret_tx);
    struct qn_hash id;
    qn_rc rc = n->ops->tx_send(n->node, qn_buf_get(&tx), &id, why);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    return rc;
}

static void send_all(void *arg)
{
    struct agents_node *n = arg;
    while (n->settle) {
        struct settle *s = n->settle;
        struct qn_hash tx;
        struct qn_why why;
        n->settle = s->next;
        qn_rc rc = settle_send(n, s->svc, s->chan, s->close, &tx, &why);
        (void)rc; /* looked at again AGAIN_BLOCKS later */
        free(s);
    }
}

static void look(struct qn_call_ctx *ctx, struct agents_node *n, struct paid_chan *chan)
{
    struct agents_channel c;
    struct qn_why why;
    uint64_t height = qn_view_height(ctx->view);
    if (!chan->has_best || channel_get(ctx->view, &chan->id, ctx->arena, &c, &why)) return;
    if (c.state == CHANNEL_CLOSED || chan->best.seq <= c.claimed_seq) return;
    struct svc *svc = serve_of(n, &c.payee);
    if (!svc || (chan->claim_height && height < chan->claim_height + AGAIN_BLOCKS)) return;
    uint64_t part;
    if (!qn_muldiv(chan->best.cum.uqn - c.claimed.uqn, 1000000, c.deposit.uqn, &part)) return;
    if (c.state != CHANNEL_CLOSING && part < svc->claim_ppm) return;
    struct settle *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    *s = (struct settle){ n->settle, svc, chan, c.state == CHANNEL_CLOSING };
    if (!n->settle) n->ops->later(n->node, 0, send_all, n); /* not from within a block */
    n->settle = s;
    chan->claim_height = height;
}

void settle_final(struct qn_call_ctx *ctx)
{
    struct agents_node *n = ctx->self;
    n->now_ms = qn_view_now_ms(ctx->view);
    if (!n->services) return;
    for (int i = 0; i < LOOK_CNT; i++) {
        if (!n->watch) n->watch = paid_chan_list(n->paid);
        if (!n->watch) return;
        look(ctx, n, n->watch);
        n->watch = n->watch->list;
        if (!n->watch) return; /* once around is enough for one block */
    }
}
