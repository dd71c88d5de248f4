/* coded.c - pieces out to relays, in from them, and on. */
#include "core/net/coded.h"

#include "ledger/state/stake.h"
#include "net/libp2p/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 512u
#define ROOTS_MAX 16u /* the last ones: a leader is barred for one */

struct qn_coded {
    struct qn_coded_conf conf;
    char proto[64];
    struct qn_frames *frames;
    struct shard_pool *pool;
    uint32_t peer[PEERS_MAX]; /* who speaks it */
    uint32_t peer_cnt;
    struct evidence_roots roots[ROOTS_MAX];
    uint64_t roots_cnt; /* ever */
    struct qn_coded_stat stat;
};

static bool signed_by(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                      const struct qn_sig *sig)
{
    const struct qn_coded *c = self;
    struct qn_hash key;
    return c->conf.leader(c->conf.arg, epoch, view, &key) &&
           qn_verify(&key, QN_SPAN(message->b, 32), sig);
}

static void on_peer(void *arg, uint32_t peer, bool up)
{
    struct qn_coded *c = arg;
    if (up && c->peer_cnt < PEERS_MAX) c->peer[c->peer_cnt++] = peer;
    for (uint32_t i = 0; !up && i < c->peer_cnt; i++)
        if (c->peer[i] == peer) c->peer[i--] = c->peer[--c->peer_cnt];
}

/* The same piece, marked as passed on. */
static void relay(struct qn_coded *c, uint32_t from, struct qn_span message)
{
    struct qn_buf buf = { 0 };
    qn_buf_u8(&buf, 1);
    qn_buf_span(&buf, message);
    qn_frames_cast(c->frames, from, QN_NET_URGENT, qn_buf_get(&buf));
    qn_buf_free(&buf);
    c->stat.relayed++;
}

static struct evidence_root root_of(const struct shard_head *h)
{
    return (struct evidence_root){ h->k, h->body_len, h->root, h->sig };
}

/* Both signatures hold: the pool keeps nothing else. Once for each view. */
static void note_roots(struct qn_coded *c, const struct shard_head *a, const struct shard_head *b)
{
    struct qn_hash key;
    uint64_t kept = QN_MIN(c->roots_cnt, (uint64_t)ROOTS_MAX);
    for (uint64_t i = 0; i < kept; i++)
        if (c->roots[i].epoch == a->epoch && c->roots[i].view == a->view) return;
    if (!c->conf.leader(c->conf.arg, a->epoch, a->view, &key)) return;
    c->roots[c->roots_cnt++ % ROOTS_MAX] =
        (struct evidence_roots){ qn_acct_key(&key), a->epoch, a->view, root_of(a), root_of(b) };
}

void qn_coded_roots(const struct qn_coded *c,
                    void (*visit)(void *arg, const struct evidence_roots *roots), void *arg)
{
    uint64_t kept = QN_MIN(c->roots_cnt, (uint64_t)ROOTS_MAX);
    for (uint64_t i = 0; i < kept; i++)
        visit(arg, &c->roots[i]);
}

/* Whether we know who leads there: an epoch begins, and ends, not for all at once. */
static bool has_leader(const struct qn_coded *c, struct qn_span piece)
{
    struct shard s;
    struct qn_hash key;
    return shard_get(piece, &s) == QN_OK &&
           c->conf.leader(c->conf.arg, s.head.epoch, s.head.view, &key);
}

static void on_piece(void *arg, uint32_t peer, struct qn_span bytes)
{
    struct qn_coded *c = arg;
    struct shard_event ev;
    uint8_t way = 2;
    struct qn_span piece = bytes;
    shard_pool_turn(c->pool, c->conf.view(c->conf.arg));
    qn_rc rc =
        !qn_take_u8(&piece, &way) || way > 1 ? QN_E_FORMAT : shard_pool_recv(c->pool, piece, &ev);
    /* Slow, or ahead of us: nobody's fault. */
    if (rc == QN_E_EXPIRED || (rc == QN_E_SIGNATURE && !has_leader(c, piece))) return;
    if (rc) {
        qn_host_blame(c->conf.host, peer, rc == QN_E_SIGNATURE ? QN_BLAME_SLIP : QN_BLAME_OFFENCE,
                      "a piece of a proposal that does not hold");
        return;
    }
    c->stat.split += ev.split;
    c->stat.twins += ev.twin != NULL;
    if (ev.twin) note_roots(c, ev.twin, &ev.shard.head);
    if (ev.fresh && way == 0) relay(c, peer, piece);
    if (ev.body.len == 0) return;
    c->stat.rebuilt++;
    c->conf.on_message(c->conf.arg, peer, ev.body);
}

qn_rc qn_coded_open(const struct qn_coded_conf *conf, struct qn_coded **ret, struct qn_why *why)
{
    struct qn_coded *c = calloc(1, sizeof *c);
    char hex[9];
    QN_ASSERT(c != NULL);
    c->conf = *conf;
    qn_hex(conf->chain.b, 4, hex);
    snprintf(c->proto, sizeof c->proto, "/quoin/%s/shard/1", hex);
    c->pool = shard_pool_new(&conf->chain, (struct shard_trust){ c, signed_by });
    struct qn_frames_conf frames = { .host = conf->host,
                                     .proto = c->proto,
                                     .message_max = 1 + SHARD_BYTES_MAX,
                                     .on_peer = on_peer,
                                     .on_message = on_piece,
                                     .arg = c };
    frames.queue_max[QN_NET_URGENT] = 2 * SHARD_BODY_MAX;
    qn_rc rc = qn_frames_open(&frames, &c->frames);
    if (rc) {
        shard_pool_free(c->pool);
        free(c);
        return qn_why(why, rc, "pieces of proposals cannot be served");
    }
    *ret = c;
    return QN_OK;
}

void qn_coded_close(struct qn_coded *c)
{
    if (!c) return;
    qn_frames_close(c->frames);
    shard_pool_free(c->pool);
    free(c);
}

bool qn_coded_cast(struct qn_coded *c, uint32_t epoch, uint64_t view, struct qn_span message)
{
    if (!c->conf.key || c->peer_cnt < QN_CODED_PEERS || message.len <= SHARD_BODY_MIN ||
        message.len > SHARD_BODY_MAX)
        return false;
    struct shard_set set;
    struct qn_buf buf = { 0 };
    shard_split(&set, epoch, view, message);
    struct qn_hash what = shard_message(&c->conf.chain, &set.head);
    set.head.sig = qn_sign(c->conf.key, QN_SPAN(what.b, 32));
    /* Peers by turns, beginning elsewhere in each view. Which of them are validators, and with what stake, is not known of a peer yet:
     * once it is, shard_relays says who. */
    for (unsigned i = 0; i < 2u * set.head.k; i++) {
        uint32_t peer = c->peer[(view + i) % c->peer_cnt];
        qn_buf_clear(&buf);
        qn_buf_u8(&buf, 0);
        shard_put(&set, i, &buf);
        if (qn_frames_send(c->frames, peer, QN_NET_URGENT, qn_buf_get(&buf)))
            continue; /* has its fill */
    }
    c->stat.sent++;
    qn_buf_free(&buf);
    shard_set_free(&set);
    return true;
}

uint32_t qn_coded_peer_cnt(const struct qn_coded *c)
{
    return c->peer_cnt;
}

struct qn_coded_stat qn_coded_stat(const struct qn_coded *c)
{
    return c->stat;
}
