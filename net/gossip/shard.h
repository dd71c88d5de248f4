/* shard.h - coded proposals: a large body travels as 2 k signed pieces, each sent by the proposer to one relay and by that relay to
 * all; any k of them give the body back. Upload is 2 bytes a byte for the proposer and each relay, whatever the number of nodes.
 *
 *     u8 1 | u32 epoch | u64 view | u16 idx | u8 k | u32 body_len | root[32] | u8 depth | path[32 depth] | sig[64] | u32 len | piece
 *     leaf H(00 | idx | piece), node H(01 | left | right), missing leaves zero; sig over shard_message
 *
 * Nothing is kept before its path and its proposer's signature hold, and then at most one body a view in SHARD_VIEWS views. An epoch takes up views
 * that the one before had, too: a piece of a later epoch puts that of an earlier one out of its view. */
#ifndef QN_NET_GOSSIP_SHARD_H
#define QN_NET_GOSSIP_SHARD_H

#include "core/base/span.h"
#include "net/gossip/rs.h"

#define SHARD_BODY_MIN  (64u << 10) /* what is smaller travels whole */
#define SHARD_BODY_MAX  (8u << 20)
#define SHARD_DEPTH_MAX 8u
#define SHARD_CNT_MAX   (2 * RS_K_MAX)
#define SHARD_VIEWS     3u
#define SHARD_BYTES_MAX (121 + 32 * SHARD_DEPTH_MAX + SHARD_BODY_MAX / RS_K_MAX + 1)

/* What all pieces of a body have in common. */
struct shard_head {
    uint32_t epoch;
    uint64_t view;
    uint8_t k;
    uint32_t body_len;
    struct qn_hash root;
    struct qn_sig sig;
};

/* One piece as it came; path and piece are lent by the message. */
struct shard {
    struct shard_head head;
    uint16_t idx;
    uint8_t depth;
    const uint8_t *path; /* 32 * depth */
    struct qn_span piece;
};

/* shard_k gives the k of a body: 32 to 512 KiB, 64 to 1 MiB, 127 above. */
uint8_t shard_k(uint32_t body_len);
uint32_t shard_piece_len(uint32_t body_len);

/* shard_message is what the proposer signs: H("shard", chain | epoch | view | k | body_len | root). */
struct qn_hash shard_message(const struct qn_hash *chain, const struct shard_head *head);

/* --- making --------------------------------------------------------------------------------------------------------- */

struct shard_set {
    struct shard_head head; /* sig is the caller's to fill, over shard_message */
    uint32_t piece_len;
    uint8_t *bytes;                            /* 2 k pieces, one behind the other */
    struct qn_hash node[2 << SHARD_DEPTH_MAX]; /* heap order, the root at 1 */
};

/* shard_split makes all pieces of body (SHARD_BODY_MIN < len <= SHARD_BODY_MAX) and their tree; shard_set_free gives its memory back. */
void shard_split(struct shard_set *set, uint32_t epoch, uint64_t view, struct qn_span body);
void shard_set_free(struct shard_set *set);
/* shard_put appends piece idx < 2 k in wire form. */
void shard_put(const struct shard_set *set, unsigned idx, struct qn_buf *buf);

/* shard_relays writes the relay of each of 2 k pieces: validators by their place in stake (all but the proposer, cnt > 1), each as often
 * as its stake is worth, rounded up or down by lot; the same on every node. seed is H(chain, epoch, view, proposer). */
void shard_relays(const struct qn_hash *seed, const uint64_t *stake, unsigned cnt,
                  unsigned proposer, unsigned k, uint16_t *ret);

/* --- taking --------------------------------------------------------------------------------------------------------- */

/* shard_get reads a piece and checks its form: every length against k and body_len. Neither path nor signature. */
QN_CHECK qn_rc shard_get(struct qn_span message, struct shard *ret);
/* shard_check says whether the piece belongs under head.root. */
QN_CHECK bool shard_check(const struct shard *s);

/* Who may sign a proposal. */
struct shard_trust {
    void *self;
    /* signed_by says whether the proposer of that view signed message. */
    bool (*signed_by)(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                      const struct qn_sig *sig);
};

struct shard_event {
    bool fresh; /* the piece is right and was not here before: its relay passes it on */
    bool
        split; /* k pieces are here, and what they encode is not what the root says: the proposer lied */
    struct qn_span
        body;           /* with the piece that completes it: lent until the view goes; else empty */
    struct shard shard; /* what came, lent by the message */
    const struct shard_head
        *twin; /* another head that its proposer signed in this view: both together are evidence */
};

struct shard_pool; /* pieces of the present views */

QN_GIVES struct shard_pool *shard_pool_new(const struct qn_hash *chain, struct shard_trust trust);
void shard_pool_free(struct shard_pool *pool);
/* shard_pool_turn forgets views before `view`, and takes pieces of view .. view + SHARD_VIEWS - 1 from now on. */
void shard_pool_turn(struct shard_pool *pool, uint64_t view);
/* shard_pool_recv takes one message. QN_E_EXPIRED: of no present view, nobody's fault; QN_E_FORMAT, QN_E_RANGE, QN_E_SHORT, QN_E_EXTRA,
 * QN_E_PROOF, QN_E_SIGNATURE: its sender broke the rules. Else *ret says what it was worth. */
QN_CHECK qn_rc shard_pool_recv(struct shard_pool *pool, struct qn_span message,
                               struct shard_event *ret);

#endif
