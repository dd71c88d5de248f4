/* rpc.h - one gossipsub RPC, read part by part over borrowed bytes, and the writers of its parts.
 *
 *     frame     varint length || RPC
 *     RPC       subscriptions 1 { subscribe 1, topicid 2 }   publish 2 Message   control 3 { .. }
 *     Message   from 1, data 2, seqno 3, topic 4, signature 5, key 6      only data and topic from us, and taken from others
 *     control   ihave 1 { topic 1, ids 2 .. }   iwant 2 { ids 1 .. }   graft 3 { topic 1 }
 *               prune 4 { topic 1, peers 2 { id 1, record 2 } .., backoff seconds 3 }   idontwant 5 { ids 1 .. }
 *
 * Unknown fields are passed over, as protocol buffers want it. At most GOSSIP_PART_MAX parts are read from an RPC. */
#ifndef QN_NET_GOSSIP_RPC_H
#define QN_NET_GOSSIP_RPC_H

#include "core/base/span.h"

#define GOSSIP_PART_MAX 1024 /* parts of an RPC: subscriptions, messages, control entries */

enum gossip_part_kind {
    GOSSIP_PART_SUBSCRIBE,
    GOSSIP_PART_UNSUBSCRIBE,
    GOSSIP_PART_MESSAGE,
    GOSSIP_PART_IHAVE,
    GOSSIP_PART_IWANT,
    GOSSIP_PART_GRAFT,
    GOSSIP_PART_PRUNE,
    GOSSIP_PART_IDONTWANT
};

struct gossip_part {
    enum gossip_part_kind kind;
    bool foreign;         /* MESSAGE: has more than data and topic */
    struct qn_span topic; /* empty where there is none */
    struct qn_span
        data; /* MESSAGE: the body; IHAVE, IWANT, IDONTWANT: fields for gossip_rpc_id; PRUNE: for gossip_rpc_px */
    uint64_t backoff_s; /* PRUNE; 0: not said */
    uint32_t px_cnt;    /* PRUNE: peers it names */
};

struct gossip_rpc {
    struct qn_span rest, control;
    uint32_t parts;
};

void gossip_rpc_begin(struct gossip_rpc *rpc, struct qn_span bytes);
/* gossip_rpc_next reads the next part; what it lends lives as long as the bytes. QN_E_AGAIN at the end, QN_E_TOOBIG after
 * GOSSIP_PART_MAX parts, QN_E_SHORT and QN_E_FORMAT for what is no protocol buffer. */
QN_CHECK qn_rc gossip_rpc_next(struct gossip_rpc *rpc, struct gossip_part *ret);
/* gossip_rpc_id takes the next message id from part->data of kind; false at the end (the whole part was checked before). */
QN_CHECK bool gossip_rpc_id(enum gossip_part_kind kind, struct qn_span *fields,
                            struct qn_span *ret);

/* A peer that a PRUNE names (peer exchange): what it is called, and what it says of itself, signed. Both are foreign bytes of any length. */
struct gossip_px {
    struct qn_span id, record;
};
/* gossip_rpc_px takes the next such from part->data; what is none is passed over. False at the end. */
QN_CHECK bool gossip_rpc_px(struct qn_span *fields, struct gossip_px *ret);

/* gossip_frame takes the next whole frame from the front of bytes. QN_E_AGAIN: more must come; QN_E_TOOBIG above GOSSIP_RPC_MAX,
 * QN_E_FORMAT for a length that is none. */
QN_CHECK qn_rc gossip_frame(struct qn_span *bytes, struct qn_span *ret);

/* Writers. subs holds fields of the RPC, control fields of the control message. */
void gossip_put_varint(struct qn_buf *buf, uint64_t v);
void gossip_put_subscribe(struct qn_buf *subs, const char *topic, bool on);
void gossip_put_graft(struct qn_buf *control, const char *topic);
/* px: fields that gossip_put_px wrote, or nothing. */
void gossip_put_prune(struct qn_buf *control, const char *topic, uint64_t backoff_s,
                      struct qn_span px);
void gossip_put_px(struct qn_buf *px, const struct gossip_px *peer);
/* ids: cnt of GOSSIP_ID_LEN bytes each; topic for IHAVE only. */
void gossip_put_ids(struct qn_buf *control, enum gossip_part_kind kind, const char *topic,
                    const uint8_t *ids, size_t cnt);
/* gossip_put_message writes the field of an RPC that carries a message, in the one canonical form; returns where in it data lies. */
size_t gossip_message_len(size_t topic_len, size_t data_len); /* bytes it writes */
size_t gossip_put_message(struct qn_buf *rpc, const char *topic, struct qn_span data);

#endif
