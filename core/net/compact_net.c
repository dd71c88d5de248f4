/* compact_net.c - the short form of proposals, made and put together; transactions asked for and given. */
#include "core/net/compact_net.h"

#include "core/net/question.h"
#include "net/gossip/compact.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT        4u /* proposals to answer from */
#define PENDING_MAX 64u
#define PEER_MAX    4u   /* of one peer: others are heard, too */
#define ANSWER_MS   700u /* of the sender, and of a second peer after it */
#define WHOLE_MS    500u /* between asking one peer and the next for the whole of it */
#define WHOLE_TRIES 6u
#define ANSWER_MAX  (8u << 20)
#define ASK_MAX     (4u + 36u + 4u * BLOCKTX_MAX)
#define KIND        5u /* of sync.def: a proposal */
#define ARENA_MAX   (64u << 20)
#define ABSENT      3u /* code of an answer */

/* A proposal that was sent or put together here: its transactions, one behind the other. */
struct kept {
    struct qn_hash block;
    struct qn_buf bytes;
    struct qn_span *tx; /* into bytes */
    uint32_t tx_cnt;
};

/* A question of ours under way. */
struct asking {
    struct pending *of; /* NULL: nobody waits for it any more; it goes with its stream */
    struct qn_stream *stream;
    struct qn_buf in;
};

/* Whom a pending proposal waits for. */
enum stage { SENDER, SECOND, WHOLE };

/* One being put together. */
struct pending {
    struct qn_compact *of;
    struct pending *next;
    struct compact *compact;
    struct asking *asking;
    enum stage stage;
    uint32_t peer, cnt, tries;
    uint64_t handle;
    bool judged; /* gossip has its verdict */
    uint32_t *idx;
    struct event *late;
};

struct qn_compact {
    struct qn_compact_conf conf;
    char proto[64];
    struct kept kept[KEPT];
    uint32_t kept_at, pending_cnt, turn; /* turn: of peers who are asked second */
    struct pending *pending;
    struct qn_questions *questions;
    struct qn_compact_stat stat;
};

static bool read_proposal(struct qn_span message, struct qn_arena *arena, struct qn_proposal *ret)
{
    uint8_t kind;
    return qn_take_u8(&message, &kind) && kind == KIND &&
           qn_decode(qn_proposal_record(), message, arena, ret, NULL) == QN_OK;
}

static struct kept *find_kept(struct qn_compact *c, const struct qn_hash *block)
{
    for (uint32_t i = 0; i < KEPT; i++)
        if (c->kept[i].tx && qn_hash_eq(&c->kept[i].block, block)) return &c->kept[i];
    return NULL;
}

/* all: the transactions' Borsh forms, one behind the other. */
static void keep(struct qn_compact *c, const struct qn_hash *block, const struct qn_tx *txs,
                 uint32_t cnt, struct qn_span all)
{
    struct kept *k = &c->kept[c->kept_at++ % KEPT];
    qn_buf_clear(&k->bytes);
    free(k->tx);
    k->tx = calloc(cnt + 1, sizeof *k->tx);
    QN_ASSERT(k->tx != NULL);
    k->block = *block;
    k->tx_cnt = cnt;
    qn_buf_span(&k->bytes, all);
    all = qn_buf_get(&k->bytes);
    for (uint32_t i = 0; i < cnt; i++)
        QN_ASSERT(qn_take(&all, qn_tx_len(&txs[i]), &k->tx[i]));
}

/* Where a block's transactions begin in its Borsh form: behind its header and their number. */
static size_t txs_at(const struct qn_header *h)
{
    struct qn_buf buf = { 0 };
    qn_encode(qn_header_record(), h, &buf);
    size_t at = buf.len + 4;
    qn_buf_free(&buf);
    return at;
}

bool qn_compact_make(struct qn_compact *c, struct qn_span message, struct qn_buf *ret)
{
    struct qn_arena arena = { .max = ARENA_MAX };
    struct qn_proposal p;
    struct qn_buf head = { 0 };
    uint64_t nonce;
    bool ok = read_proposal(message, &arena, &p) && p.block.txs.cnt <= COMPACT_TX_MAX;
    struct qn_hash block = { { 0 } };
    if (ok) block = qn_header_hash(&p.block.header);
    ok = ok && !find_kept(c, &block);
    if (ok) {
        uint32_t cnt = p.block.txs.cnt;
        struct compact_tx *tx = calloc(cnt + 1, sizeof *tx);
        QN_ASSERT(tx != NULL);
        size_t at = 1 + txs_at(&p.block.header), end = at;
        for (uint32_t i = 0; i < cnt; i++) {
            struct qn_hash whole;
            size_t len = qn_tx_len(&p.block.txs.ptr[i]);
            qn_tx_names(&p.block.txs.ptr[i], QN_SPAN(message.ptr + end, len), &tx[i].id, &whole);
            end += len;
        }
        keep(c, &block, p.block.txs.ptr, cnt, QN_SPAN(message.ptr + at, end - at));
        p.block.txs.cnt = 0;
        qn_encode(qn_proposal_record(), &p, &head);
        ok = head.len <= COMPACT_HEAD_MAX;
        qn_env_random(c->conf.env, &nonce, sizeof nonce);
        if (ok) {
            size_t before = ret->len;
            compact_put(&block, nonce, qn_buf_get(&head), tx, cnt, NULL, ret);
            c->stat.made++;
            c->stat.made_bytes += ret->len - before;
            c->stat.whole_bytes += message.len;
        }
        free(tx);
    }
    qn_buf_free(&head);
    qn_arena_free(&arena);
    return ok;
}

/* Whether the head is a proposal that its view's leader signed: before that, no memory and no question is spent on it. */
static enum gossip_verdict check_head(struct qn_compact *c, struct compact *compact)
{
    struct qn_arena arena = { .max = 1 << 20 };
    struct qn_proposal p;
    struct qn_hash leader, block;
    uint8_t text[47] = "quoin proposal";
    enum gossip_verdict verdict = GOSSIP_REJECT;
    if (qn_decode(qn_proposal_record(), compact_head(compact), &arena, &p, NULL) != QN_OK ||
        p.block.txs.cnt)
        goto out;
    block = qn_header_hash(&p.block.header);
    if (!qn_hash_eq(&block, compact_block(compact))) goto out;
    verdict = GOSSIP_IGNORE; /* of another epoch: late, or early */
    if (!c->conf.leader(c->conf.arg, p.block.header.epoch, p.block.header.view, &leader)) goto out;
    memcpy(text + 15, block.b, 32);
    verdict = qn_hash_eq(&leader, &p.block.header.proposer) &&
                      qn_verify(&leader, QN_SPAN(text, sizeof text), &p.sig)
                  ? GOSSIP_ACCEPT
                  : GOSSIP_REJECT;
out:
    qn_arena_free(&arena);
    return verdict;
}

/* All places are full: the proposal, if its header stands for it; false: a guess was wrong, or an answer. check_head has passed. */
static bool build(struct qn_compact *c, struct compact *compact, uint32_t peer,
                  enum gossip_verdict *ret)
{
    struct qn_arena arena = { .max = ARENA_MAX };
    struct qn_proposal p;
    struct qn_buf message = { 0 };
    uint32_t cnt = compact_tx_cnt(compact);
    qn_rc rc = qn_decode(qn_proposal_record(), compact_head(compact), &arena, &p, NULL);
    QN_ASSERT(rc == QN_OK);
    struct qn_hash block = *compact_block(compact);
    struct qn_tx *txs = qn_arena_alloc(&arena, (cnt + 1) * sizeof *txs);
    struct qn_hash *wholes = qn_arena_alloc(&arena, (cnt + 1) * sizeof *wholes), id;
    bool ok = txs && wholes;
    /* kind | header | number | transactions | what else the head holds */
    struct qn_span head = compact_head(compact);
    size_t at = txs_at(&p.block.header);
    *ret = GOSSIP_IGNORE;
    qn_buf_u8(&message, KIND);
    qn_buf_put(&message, head.ptr, at - 4);
    qn_buf_u32(&message, cnt);
    for (uint32_t i = 0; ok && i < cnt; i++) {
        struct qn_span tx = compact_tx(compact, i);
        ok = qn_decode(qn_tx_record(), tx, &arena, &txs[i], NULL) == QN_OK;
        if (ok) qn_tx_names(&txs[i], tx, &id, &wholes[i]);
        qn_buf_span(&message, tx);
    }
    struct qn_hash root = ok ? qn_body_root_of(wholes, cnt) : block;
    ok = ok && qn_hash_eq(&root, &p.block.header.body_root);
    if (!ok) goto out;
    if (!find_kept(c, &block))
        keep(c, &block, txs, cnt, QN_SPAN(message.ptr + 1 + at, message.len - 1 - at));
    qn_buf_put(&message, head.ptr + at, head.len - at);
    c->stat.built++;
    switch (c->conf.on_message(c->conf.arg, peer, qn_buf_get(&message))) {
    case QN_ACCEPT: *ret = GOSSIP_ACCEPT; break;
    case QN_IGNORE: break;
    case QN_REJECT: *ret = GOSSIP_REJECT; break;
    }
out:
    qn_buf_free(&message);
    qn_arena_free(&arena);
    return ok;
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

/* Nobody waits for the answer any more. */
static void leave(struct pending *p)
{
    struct asking *a = p->asking;
    p->asking = NULL;
    if (!a) return;
    a->of = NULL;
    qn_stream_reset(a->stream);
}

static void judge(struct pending *p, enum gossip_verdict verdict)
{
    if (!p->judged) p->of->conf.verdict(p->of->conf.arg, p->handle, verdict);
    p->judged = true;
}

/* The end of it, with what gossip is to think. */
static void settle(struct pending *p, enum gossip_verdict verdict)
{
    struct pending **at = &p->of->pending;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->of->pending_cnt--;
    leave(p);
    judge(p, verdict);
    event_free(p->late);
    compact_close(p->compact);
    free(p->idx);
    free(p);
}

static void next_stage(struct pending *p);

/* The answer is there: all that was missing, or no use. */
static void answered(struct pending *p, struct qn_span in, uint32_t peer)
{
    struct qn_compact *c = p->of;
    enum gossip_verdict verdict;
    uint8_t code;
    uint32_t len;
    if (!qn_take_u8(&in, &code) || code != 0 || !qn_take_u32(&in, &len) || in.len != len ||
        compact_answer_fill(in, p->idx, p->cnt, p->compact) != QN_OK) {
        next_stage(p);
        return;
    }
    if (build(c, p->compact, peer, &verdict)) {
        c->stat.filled += p->cnt;
        settle(p, verdict);
    } else {
        next_stage(p);
    }
}

static void answer_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct asking *a = arg;
    if (!a->of) return;
    if (bytes.len > ANSWER_MAX - a->in.len)
        qn_stream_reset(s);
    else
        qn_buf_span(&a->in, bytes);
}

static void answer_end(void *arg, struct qn_stream *s)
{
    struct asking *a = arg;
    struct pending *p = a->of;
    if (!p) return;
    a->of = NULL;
    p->asking = NULL;
    answered(p, qn_buf_get(&a->in), qn_stream_peer(s));
}

static void answer_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct asking *a = arg;
    struct pending *p = a->of;
    (void)s, (void)end;
    qn_buf_free(&a->in);
    free(a);
    if (!p) return;
    p->asking = NULL;
    next_stage(p);
}

static const struct qn_stream_ops ANSWER_OPS = { .on_data = answer_data,
                                                 .on_finish = answer_end,
                                                 .on_close = answer_close };

static void wait_ms(struct pending *p, uint32_t ms)
{
    const struct timeval late = { ms / 1000, (suseconds_t)(ms % 1000 * 1000) };
    event_add(p->late, &late);
}

/* Asks one peer for what is missing; false when it cannot be asked. */
static bool ask_peer(struct pending *p, uint32_t peer)
{
    struct qn_compact *c = p->of;
    struct qn_buf body = { 0 }, buf = { 0 };
    uint32_t missing;
    compact_missing(p->compact, NULL, 0, &missing);
    if (missing == 0 || missing > BLOCKTX_MAX) return false;
    struct asking *a = calloc(1, sizeof *a);
    QN_ASSERT(a != NULL);
    if (qn_host_stream(c->conf.host, peer, c->proto, QN_NET_BLOCK, &ANSWER_OPS, a, &a->stream)) {
        free(a);
        return false;
    }
    free(p->idx);
    p->idx = calloc(missing, sizeof *p->idx);
    QN_ASSERT(p->idx != NULL);
    p->cnt = compact_missing(p->compact, p->idx, missing, &missing);
    compact_ask_put(compact_block(p->compact), p->idx, p->cnt, &body);
    qn_buf_u32(&buf, (uint32_t)body.len);
    qn_buf_span(&buf, qn_buf_get(&body));
    bool sent = qn_stream_write(a->stream, qn_buf_get(&buf)) == QN_OK;
    if (sent) {
        a->of = p;
        p->asking = a;
        qn_stream_finish(a->stream);
    } else {
        qn_stream_reset(a->stream);
    }
    qn_buf_free(&body);
    qn_buf_free(&buf);
    return sent;
}

struct others {
    struct pending *p;
    uint32_t peer[16], cnt;
};

static void add_other(void *arg, const struct qn_peer_info *info)
{
    struct others *o = arg;
    const struct qn_compact *c = o->p->of;
    if (info->peer != o->p->peer && o->cnt < QN_COUNT(o->peer) &&
        qn_host_speaks(c->conf.host, info->peer, c->proto))
        o->peer[o->cnt++] = info->peer;
}

static bool ask_second(struct pending *p)
{
    struct others o = { .p = p };
    qn_host_peers(p->of->conf.host, add_other, &o);
    return o.cnt && ask_peer(p, o.peer[p->of->turn++ % o.cnt]);
}

/* The whole of it, of one peer after the other, until it is here. */
static void ask_whole(struct pending *p)
{
    if (p->tries++ < WHOLE_TRIES && p->of->conf.whole(p->of->conf.arg, compact_block(p->compact)))
        wait_ms(p, WHOLE_MS);
    else
        settle(p, GOSSIP_IGNORE);
}

static bool is_asked_whole(const struct pending *p)
{
    for (const struct pending *o = p->of->pending; o; o = o->next)
        if (o != p && o->stage == WHOLE &&
            qn_hash_eq(compact_block(o->compact), compact_block(p->compact)))
            return true;
    return false;
}

/* What was asked for did not come, or was of no use. A wrong guess of our own is not asked for twice: all that was guessed is, instead. */
static void next_stage(struct pending *p)
{
    struct qn_compact *c = p->of;
    uint32_t missing;
    leave(p);
    compact_missing(p->compact, NULL, 0, &missing);
    if (missing == 0) compact_doubt(p->compact);
    if (p->stage == SENDER) {
        p->stage = SECOND;
        if (ask_second(p)) {
            wait_ms(p, ANSWER_MS);
            return;
        }
    }
    if (p->stage == SECOND) {
        p->stage = WHOLE;
        c->stat.failed++;
        judge(p, GOSSIP_IGNORE);
        if (is_asked_whole(p)) {
            settle(p, GOSSIP_IGNORE);
            return;
        }
    }
    ask_whole(p);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    next_stage(arg);
}

/* Asks who sent it for what is missing. compact is the callee's from here on. */
static enum gossip_verdict ask(struct qn_compact *c, struct compact *compact QN_TAKES,
                               uint32_t peer, uint64_t handle)
{
    uint32_t of_peer = 0;
    for (const struct pending *p = c->pending; p; p = p->next)
        of_peer += p->peer == peer && p->stage != WHOLE;
    if (c->pending_cnt >= PENDING_MAX || of_peer >= PEER_MAX) {
        c->stat.failed++;
        c->conf.whole(c->conf.arg, compact_block(compact));
        compact_close(compact);
        return GOSSIP_IGNORE;
    }
    struct pending *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    *p = (struct pending){ .of = c, .compact = compact, .peer = peer, .handle = handle };
    p->late = event_new(c->conf.base, -1, 0, on_late, p);
    QN_ASSERT(p->late != NULL);
    p->next = c->pending;
    c->pending = p;
    c->pending_cnt++;
    /* Where it cannot be asked the second is, on a later turn: gossip waits for our answer here. */
    bool asked = ask_peer(p, peer);
    c->stat.asked += p->cnt;
    wait_ms(p, asked ? ANSWER_MS : 0);
    return GOSSIP_LATER;
}

/* Whoever sends ids may name all that waits here: no more is copied than a block holds. */
struct offering {
    struct compact *to;
    size_t bytes;
};

static void offer(void *to, const struct qn_hash *id, struct qn_span bytes)
{
    struct offering *o = to;
    if (bytes.len > QN_BLOCK_BYTES - o->bytes || !compact_offer(o->to, id, bytes)) return;
    o->bytes += bytes.len;
}

enum gossip_verdict qn_compact_take(struct qn_compact *c, uint32_t peer, uint64_t handle,
                                    struct qn_span data)
{
    struct compact *compact;
    uint32_t missing;
    if (compact_open(data, &compact)) return GOSSIP_REJECT;
    if (find_kept(c, compact_block(compact))) { /* ours, or another peer's short form of the same */
        compact_close(compact);
        return GOSSIP_IGNORE;
    }
    enum gossip_verdict verdict = check_head(c, compact);
    if (verdict != GOSSIP_ACCEPT) {
        compact_close(compact);
        return verdict;
    }
    struct offering o = { compact, 0 };
    c->conf.pool(c->conf.arg, offer, &o);
    compact_missing(compact, NULL, 0, &missing);
    if (missing) return ask(c, compact, peer, handle);
    if (!build(c, compact, peer, &verdict)) { /* a guess was wrong */
        if (compact_doubt(compact)) return ask(c, compact, peer, handle);
        c->stat.failed++;
        verdict = GOSSIP_IGNORE;
    }
    compact_close(compact);
    return verdict;
}

/* --- answering -------------------------------------------------------------------------------------------------------------- */

static bool answer(void *arg, struct qn_span in, struct qn_buf *ret)
{
    struct qn_compact *c = arg;
    struct qn_hash block = { { 0 } };
    struct qn_buf body = { 0 };
    uint32_t len, cnt = 0, *idx = calloc(BLOCKTX_MAX, sizeof *idx);
    QN_ASSERT(idx != NULL);
    bool good = qn_take_u32(&in, &len) && in.len == len &&
                compact_ask_get(in, COMPACT_TX_MAX, &block, idx, &cnt) == QN_OK;
    struct kept *k = good ? find_kept(c, &block) : NULL;
    if (k && idx[cnt - 1] < k->tx_cnt) {
        struct qn_span *tx = calloc(cnt, sizeof *tx);
        QN_ASSERT(tx != NULL);
        for (uint32_t i = 0; i < cnt; i++)
            tx[i] = k->tx[idx[i]];
        compact_answer_put(&block, tx, cnt, &body);
        free(tx);
    }
    qn_buf_u8(ret, body.len ? 0 : ABSENT);
    qn_buf_u32(ret, (uint32_t)body.len);
    qn_buf_span(ret, qn_buf_get(&body));
    qn_buf_free(&body);
    free(idx);
    return good;
}

/* --- opening ----------------------------------------------------------------------------------------------------------------- */

qn_rc qn_compact_open(const struct qn_compact_conf *conf, struct qn_compact **ret,
                      struct qn_why *why)
{
    struct qn_compact *c = calloc(1, sizeof *c);
    char hex[9];
    QN_ASSERT(c != NULL);
    c->conf = *conf;
    qn_hex(conf->chain.b, 4, hex);
    snprintf(c->proto, sizeof c->proto, "/quoin/%s/blocktx/1", hex);
    const struct qn_questions_conf questions = { .host = conf->host,
                                                 .proto = c->proto,
                                                 .class = QN_NET_BLOCK,
                                                 .in_max = 2,
                                                 .idle_ms = 5000,
                                                 .ask_max = ASK_MAX,
                                                 .answer_max = ANSWER_MAX,
                                                 .none = "a request for transactions that is none",
                                                 .answer = answer,
                                                 .arg = c };
    qn_rc rc = qn_questions_open(&questions, &c->questions, why);
    if (rc) {
        free(c);
        return rc;
    }
    *ret = c;
    return QN_OK;
}

void qn_compact_detach(struct qn_compact *c)
{
    if (!c) return;
    while (c->pending)
        settle(c->pending, GOSSIP_IGNORE);
}

void qn_compact_close(struct qn_compact *c)
{
    if (!c) return;
    QN_ASSERT(c->pending == NULL);
    qn_questions_close(c->questions);
    for (uint32_t i = 0; i < KEPT; i++) {
        qn_buf_free(&c->kept[i].bytes);
        free(c->kept[i].tx);
    }
    free(c);
}

struct qn_compact_stat qn_compact_stat(const struct qn_compact *c)
{
    return c->stat;
}
