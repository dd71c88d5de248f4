/* replica_serve.c - what peers ask for: proposals, certificates, final blocks; and what that may cost. */
#include "ledger/sync/replica_in.h"

#include <stdlib.h>
#include <string.h>

#define WANT_VIEWS 64
/* What questions may cost us: a peer 16 MB a second, all together 32, which is a quarter of a core's time; and so much ahead. */
#define SPEND_MS 2000

/* Whether this peer's questions may cost more just now. */
static bool may_ask(const struct qn_replica *r, const struct peer *p)
{
    uint64_t most = qn_replica_mono_ms(r) + SPEND_MS;
    return p->spent_ms <= most && r->spent_ms <= most;
}

static void charge(struct qn_replica *r, struct peer *p, size_t bytes, uint32_t blocks)
{
    uint64_t now = qn_replica_mono_ms(r);
    p->spent_ms = QN_MAX(p->spent_ms, now) + 1 + bytes / (16u << 10) + blocks / 8;
    r->spent_ms = QN_MAX(r->spent_ms, now) + 1 + bytes / (32u << 10) + blocks / 16;
}

static void answer_want(struct qn_replica *r, struct peer *p, const struct sync_want *w)
{
    const struct body *b = qn_replica_body_find(r, &w->block);
    size_t bytes = 0;
    if (qn_hash_is_zero(&w->block) && w->epoch == r->set.epoch) {
        uint64_t last = QN_MIN(qn_bft_view(r->bft), w->view + WANT_VIEWS);
        for (uint64_t v = QN_MAX(w->view, qn_bft_last(r->bft).view + 1); v < last; v++) {
            const struct qn_cert *cert = qn_bft_cert_of(r->bft, v, true);
            if (!cert) cert = qn_bft_cert_of(r->bft, v, false);
            if (cert) qn_replica_send(r, p->no, QN_CLASS_VOTE, SAY_CERT, qn_cert_record(), cert);
            if (cert) bytes += qn_cert_cnt(cert) * sizeof *cert->votes.ptr;
        }
    }
    charge(r, p, bytes + (b ? b->parcel->message.len : 0), 0);
    if (b && !qn_replica_alone(r))
        r->conf.wire.send(r->conf.wire.self, p->no, QN_CLASS_BLOCK, b->parcel->message);
}

static void answer_get(struct qn_replica *r, struct peer *p, const struct sync_get *get)
{
    struct sync_block *list = calloc(GET_MAX, sizeof *list);
    struct sync_blocks m = { .blocks = { 0, list } };
    struct qn_arena arena = { .max = DECODE_MAX };
    struct qn_frame f;
    struct qn_why why;
    size_t bytes = 0;
    uint32_t cnt = 0, epoch = 0;
    QN_ASSERT(list != NULL);
    uint64_t begin = get->from >= qn_replica_gives(r) ? get->from : 0;
    for (uint64_t h = begin; h && cnt < GET_MAX && bytes < GET_BYTES; h++) {
        struct qn_buf one = { 0 };
        if (qn_chain_frame(r->chain, h, &arena, &f, &why)) break;
        list[cnt] = (struct sync_block){ .block = f.block, .cert = f.cert };
        list[cnt].fillers.cnt = f.fillers.cnt;
        list[cnt++].fillers.ptr = f.fillers.ptr;
        qn_encode(sync_block_record(), &list[cnt - 1], &one);
        bytes += one.len;
        qn_buf_free(&one);
        if (bytes > QN_MESSAGE_MAX - 1024) break;
        /* Who is in the epoch of the first block after a certificate knows the voters of that one and of the next. A certificate further on is
         * of use only to who was here before: one that was to come with a later block may have been lost with a full disk. */
        if (m.blocks.cnt + 1 == cnt) epoch = f.block.header.epoch;
        if (f.cert.kind && f.cert.epoch > epoch + 1) break;
        if (f.cert.kind) m.blocks.cnt = cnt;
        if (m.blocks.cnt >= get->cnt) break;
    }
    charge(r, p, bytes, cnt);
    qn_replica_send(r, p->no, QN_CLASS_REQUEST, SAY_BLOCKS, sync_blocks_record(), &m);
    qn_arena_free(&arena);
    free(list);
}

static bool waits(const struct peer *p)
{
    return p->want_cnt || p->get_cnt;
}

static void serve_one(struct qn_replica *r, struct peer *p)
{
    if (p->want_cnt) { /* what others decide now goes first */
        struct sync_want want = p->wants[0];
        memmove(p->wants, p->wants + 1, --p->want_cnt * sizeof *p->wants);
        answer_want(r, p, &want);
    } else {
        struct sync_get get = p->gets[0];
        memmove(p->gets, p->gets + 1, --p->get_cnt * sizeof *p->gets);
        answer_get(r, p, &get);
    }
}

bool qn_replica_serve(struct qn_replica *r)
{
    bool some = false;
    /* Each has its turn, whoever asks how often: next is who comes after the last that was answered, or the first few would take all that all may
     * cost. */
    for (uint32_t k = 0, first = r->serve_peer; k < r->peer_cnt; k++) {
        uint32_t i = (first + k) % r->peer_cnt;
        struct peer *p = &r->peers[i];
        if (waits(p) && may_ask(r, p)) {
            r->serve_peer = i + 1;
            serve_one(r, p);
        }
        some = some || waits(p);
    }
    return some;
}

void qn_replica_on_want(struct qn_replica *r, uint32_t from, const struct sync_want *want)
{
    struct peer *p = qn_replica_peer_find(r, from);
    if (!p || p->want_cnt == SLOTS) return; /* it asks others, too */
    p->wants[p->want_cnt++] = *want;
    (void)qn_replica_serve(r);
}

void qn_replica_on_get(struct qn_replica *r, uint32_t from, const struct sync_get *get)
{
    struct peer *p = qn_replica_peer_find(r, from);
    if (!p || p->get_cnt == SLOTS) return; /* nobody honest has more on their way */
    p->gets[p->get_cnt++] = *get;
    (void)qn_replica_serve(r);
}
