/* rig.h - for tests: one machine, and peers whose every byte the test writes and reads. */
#ifndef QN_NET_GOSSIP_RIG_H
#define QN_NET_GOSSIP_RIG_H

#include "core/base/test.h"
#include "net/gossip/state.h"

struct rig {
    struct gossip *g;
    uint64_t now_ms;
    uint32_t tx, vote, block;    /* topics */
    enum gossip_verdict verdict; /* of deliver */
    uint64_t handle;             /* of the last deliver */
    uint32_t delivered, from, drops, grafts, prunes;
    /* Peer exchange: what rig_px was given, and what it answers; the bytes of a peer's record, 0: it has none. */
    uint32_t px, px_from, px_named;
    qn_rc px_rc;
    size_t record_len;
    uint8_t record[2048];
};

static inline enum gossip_verdict rig_deliver(void *self, uint32_t topic, uint32_t peer,
                                              uint64_t handle, struct qn_span data)
{
    struct rig *r = self;
    (void)topic, (void)data;
    r->delivered++;
    r->from = peer;
    r->handle = handle;
    return r->verdict;
}
static inline void rig_wake(void *self, uint32_t peer)
{
    (void)self, (void)peer;
}
static inline void rig_event(void *self, enum gossip_event event, uint32_t peer, uint32_t topic)
{
    struct rig *r = self;
    (void)peer, (void)topic;
    switch (event) {
    case GOSSIP_GRAFTED: r->grafts++; break;
    case GOSSIP_PRUNED: r->prunes++; break;
    case GOSSIP_DROP:
    case GOSSIP_BAD: r->drops++; break;
    }
}

/* A peer is called by its number, as in rig_peer. */
static inline bool rig_record(void *self, uint32_t peer, uint32_t to, struct qn_span *ret_id,
                              struct qn_span *ret_record)
{
    struct rig *r = self;
    (void)to;
    if (!r->record_len) return false;
    r->px_named = peer;
    *ret_id = QN_SPAN_OF(r->px_named);
    *ret_record = QN_SPAN(r->record, r->record_len);
    return true;
}
static inline qn_rc rig_px(void *self, uint32_t from, struct qn_span id, struct qn_span record)
{
    struct rig *r = self;
    (void)id, (void)record;
    r->px++;
    r->px_from = from;
    return r->px_rc;
}

static inline void rig_init(struct rig *r)
{
    *r = (struct rig){ .now_ms = 1000000 };
    struct gossip_conf conf = {
        .seed = { 7 }, .hooks = { r, rig_deliver, rig_wake, rig_event, rig_record, rig_px }
    };
    r->g = gossip_new(&conf, r->now_ms);
    const struct gossip_topic_conf topics[] = {
        { "tx", 65536, GOSSIP_TX, 1000, false, false, 0 },
        { "vote", 65536, GOSSIP_VOTE, 1000, false, false, 0 },
        { "block", GOSSIP_DATA_MAX, GOSSIP_BLOCK, 1000, false, false, 0 },
    };
    uint32_t *ids[] = { &r->tx, &r->vote, &r->block };
    for (size_t i = 0; i < QN_COUNT(topics); i++) {
        qn_rc rc = gossip_topic_add(r->g, &topics[i], ids[i]);
        QN_ASSERT(rc == QN_OK);
    }
}

static inline void rig_run(struct rig *r, uint64_t ms)
{
    for (uint64_t end = r->now_ms + ms; r->now_ms < end;) {
        uint64_t next = gossip_turn(r->g, r->now_ms);
        r->now_ms = QN_MIN(end, next);
    }
    (void)gossip_turn(r->g, r->now_ms);
}

/* An RPC being written: subscriptions and messages in rpc, control apart. */
struct say {
    struct qn_buf rpc, control;
};

static inline qn_rc rig_say(struct rig *r, uint32_t peer, struct say *s)
{
    struct qn_buf frame = { 0 };
    if (s->control.len) {
        qn_buf_u8(&s->rpc, 0x1a);
        gossip_put_varint(&s->rpc, s->control.len);
        qn_buf_span(&s->rpc, qn_buf_get(&s->control));
    }
    gossip_put_varint(&frame, s->rpc.len);
    qn_buf_span(&frame, qn_buf_get(&s->rpc));
    qn_rc rc = gossip_recv(r->g, peer, qn_buf_get(&frame));
    qn_buf_free(&frame);
    qn_buf_free(&s->rpc);
    qn_buf_free(&s->control);
    return rc;
}

static inline void rig_subscribe(struct rig *r, uint32_t peer, uint32_t topic)
{
    struct say s = { 0 };
    gossip_put_subscribe(&s.rpc, gossip_topic_wire(r->g, topic), true);
    QN_ASSERT(rig_say(r, peer, &s) == QN_OK);
}

/* A peer that subscribes to all three topics. */
static inline void rig_peer(struct rig *r, uint32_t peer, bool outbound)
{
    struct gossip_peer_conf conf = { .id = QN_SPAN_OF(peer),
                                     .outbound = outbound,
                                     .speaks_12 = true };
    QN_ASSERT(gossip_peer_up(r->g, peer, &conf) == QN_OK);
    rig_subscribe(r, peer, r->tx);
    rig_subscribe(r, peer, r->vote);
    rig_subscribe(r, peer, r->block);
}

static inline qn_rc rig_body(struct rig *r, uint32_t peer, uint32_t topic, struct qn_span data)
{
    struct say s = { 0 };
    gossip_put_message(&s.rpc, gossip_topic_wire(r->g, topic), data);
    return rig_say(r, peer, &s);
}

/* A body of len bytes with a number in it. */
static inline struct qn_buf rig_bytes(uint32_t number, size_t len)
{
    struct qn_buf b = { 0 };
    qn_buf_u32(&b, number);
    while (b.len < len)
        qn_buf_u8(&b, (uint8_t)b.len);
    return b;
}

/* rig_number sends body `number` of len bytes. */
static inline void rig_number(struct rig *r, uint32_t peer, uint32_t topic, uint32_t number,
                              size_t len)
{
    struct qn_buf b = rig_bytes(number, len);
    QN_ASSERT(rig_body(r, peer, topic, qn_buf_get(&b)) == QN_OK);
    qn_buf_free(&b);
}

static inline void rig_id(struct rig *r, uint32_t topic, uint32_t number, size_t len,
                          uint8_t id[GOSSIP_ID_LEN])
{
    struct qn_buf b = rig_bytes(number, len);
    gossip_message_id(r->g, &r->g->topic[topic], qn_buf_get(&b), id);
    qn_buf_free(&b);
}

/* What the machine told a peer since the last look. */
struct heard {
    uint32_t subs, messages, ihave, iwant, graft, prune, idontwant; /* ids for the ids */
    uint64_t bytes, backoff_s;
    uint32_t px;                        /* peers that PRUNEs name */
    uint32_t px_peer[64];               /* their numbers */
    uint32_t first_number, last_number; /* of bodies */
};

static inline struct heard rig_hear(struct rig *r, uint32_t peer)
{
    struct heard h = { 0 };
    struct qn_buf out = { 0 };
    enum gossip_class class;
    while (gossip_pull(r->g, peer, &out, &class)) {
        struct qn_span at = qn_buf_get(&out), frame, id;
        h.bytes += out.len;
        QN_ASSERT(gossip_frame(&at, &frame) == QN_OK && at.len == 0);
        struct gossip_rpc rpc;
        struct gossip_part part;
        gossip_rpc_begin(&rpc, frame);
        qn_rc rc;
        while ((rc = gossip_rpc_next(&rpc, &part)) == QN_OK) {
            uint32_t ids = 0, number;
            struct qn_span fields = part.data;
            bool lists = part.kind == GOSSIP_PART_IHAVE || part.kind == GOSSIP_PART_IWANT ||
                         part.kind == GOSSIP_PART_IDONTWANT;
            while (lists && gossip_rpc_id(part.kind, &fields, &id))
                ids++;
            switch (part.kind) {
            case GOSSIP_PART_SUBSCRIBE:
            case GOSSIP_PART_UNSUBSCRIBE: h.subs++; break;
            case GOSSIP_PART_MESSAGE:
                if (qn_take_u32(&part.data, &number)) {
                    if (h.messages == 0) h.first_number = number;
                    h.last_number = number;
                }
                h.messages++;
                break;
            case GOSSIP_PART_IHAVE: h.ihave += ids; break;
            case GOSSIP_PART_IWANT: h.iwant += ids; break;
            case GOSSIP_PART_IDONTWANT: h.idontwant += ids; break;
            case GOSSIP_PART_GRAFT: h.graft++; break;
            case GOSSIP_PART_PRUNE:
                h.prune++;
                h.backoff_s = part.backoff_s;
                for (struct gossip_px px; gossip_rpc_px(&fields, &px);) {
                    QN_ASSERT(px.id.len == 4 && h.px < QN_COUNT(h.px_peer));
                    memcpy(&h.px_peer[h.px++], px.id.ptr, 4);
                }
                break;
            }
        }
        QN_ASSERT(rc == QN_E_AGAIN);
        qn_buf_clear(&out);
    }
    qn_buf_free(&out);
    return h;
}

static inline int64_t rig_score(struct rig *r, uint32_t peer)
{
    struct gossip_peer_info info;
    QN_ASSERT(gossip_peer_info(r->g, peer, &info));
    return info.score_milli;
}

#endif
