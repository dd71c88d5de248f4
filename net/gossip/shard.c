/* shard.c - pieces, their tree and wire form, their relays. What a node keeps of them: shard_pool.c. */
#include "net/gossip/shard.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

uint8_t shard_k(uint32_t body_len)
{
    return body_len <= 512u << 10 ? 32 : body_len <= 1u << 20 ? 64 : 127;
}

uint32_t shard_piece_len(uint32_t body_len)
{
    uint32_t k = shard_k(body_len);
    return (body_len + k - 1) / k;
}

static uint8_t depth_of(unsigned k)
{
    uint8_t depth = 0;
    while (1u << depth < 2 * k)
        depth++;
    return depth;
}

struct qn_hash shard_message(const struct qn_hash *chain, const struct shard_head *head)
{
    struct qn_hasher h;
    qn_hasher_label(&h, "shard");
    qn_hasher_put(&h, chain->b, 32);
    qn_hasher_put(&h, &head->epoch, 4); /* little-endian machines only: blake3.c asserts it */
    qn_hasher_put(&h, &head->view, 8);
    qn_hasher_put(&h, &head->k, 1);
    qn_hasher_put(&h, &head->body_len, 4);
    qn_hasher_put(&h, head->root.b, 32);
    return qn_hasher_end(&h);
}

static struct qn_hash leaf_hash(uint16_t idx, const uint8_t *piece, size_t len)
{
    struct qn_hasher h;
    const uint8_t head[3] = { 0, (uint8_t)idx, (uint8_t)(idx >> 8) };
    qn_hasher_label(&h, "shard");
    qn_hasher_put(&h, head, sizeof head);
    qn_hasher_put(&h, piece, len);
    return qn_hasher_end(&h);
}

static struct qn_hash node_hash(const void *left, const void *right)
{
    uint8_t both[65] = { 1 };
    memcpy(both + 1, left, 32);
    memcpy(both + 33, right, 32);
    return qn_h("shard", both, sizeof both);
}

void shard_split(struct shard_set *set, uint32_t epoch, uint64_t view, struct qn_span body)
{
    QN_ASSERT(body.len > SHARD_BODY_MIN && body.len <= SHARD_BODY_MAX);
    memset(set, 0, sizeof *set);
    uint8_t k = shard_k((uint32_t)body.len), depth = depth_of(k);
    set->head.epoch = epoch;
    set->head.view = view;
    set->head.k = k;
    set->head.body_len = (uint32_t)body.len;
    set->piece_len = shard_piece_len((uint32_t)body.len);
    set->bytes = malloc((size_t)2 * k * set->piece_len);
    QN_ASSERT(set->bytes != NULL);
    memcpy(set->bytes, body.ptr, body.len);
    memset(set->bytes + body.len, 0, (size_t)k * set->piece_len - body.len);
    uint8_t *piece[SHARD_CNT_MAX];
    for (unsigned i = 0; i < 2u * k; i++)
        piece[i] = set->bytes + (size_t)i * set->piece_len;
    rs_encode(k, (const uint8_t *const *)piece, piece + k, set->piece_len);
    for (unsigned i = 0; i < 2u * k; i++)
        set->node[(1u << depth) + i] = leaf_hash((uint16_t)i, piece[i], set->piece_len);
    for (unsigned i = (1u << depth) - 1; i > 0; i--)
        set->node[i] = node_hash(set->node[2 * i].b, set->node[2 * i + 1].b);
    set->head.root = set->node[1];
}

void shard_set_free(struct shard_set *set)
{
    free(set->bytes);
    set->bytes = NULL;
}

void shard_put(const struct shard_set *set, unsigned idx, struct qn_buf *buf)
{
    const struct shard_head *head = &set->head;
    QN_ASSERT(idx < 2u * head->k);
    uint8_t depth = depth_of(head->k);
    qn_buf_u8(buf, 1);
    qn_buf_u32(buf, head->epoch);
    qn_buf_u64(buf, head->view);
    qn_buf_u16(buf, (uint16_t)idx);
    qn_buf_u8(buf, head->k);
    qn_buf_u32(buf, head->body_len);
    qn_buf_put(buf, head->root.b, 32);
    qn_buf_u8(buf, depth);
    for (unsigned i = (1u << depth) + idx; i > 1; i /= 2)
        qn_buf_put(buf, set->node[i ^ 1].b, 32);
    qn_buf_put(buf, head->sig.b, 64);
    qn_buf_u32(buf, set->piece_len);
    qn_buf_put(buf, set->bytes + (size_t)idx * set->piece_len, set->piece_len);
}

qn_rc shard_get(struct qn_span in, struct shard *ret)
{
    struct shard s = { 0 };
    struct qn_span path, sig;
    uint8_t version;
    uint32_t len;
    if (!qn_take_u8(&in, &version)) return QN_E_SHORT;
    if (version != 1) return QN_E_FORMAT;
    if (!qn_take_u32(&in, &s.head.epoch) || !qn_take_u64(&in, &s.head.view) ||
        !qn_take_u16(&in, &s.idx) || !qn_take_u8(&in, &s.head.k) ||
        !qn_take_u32(&in, &s.head.body_len) || !qn_take_hash(&in, &s.head.root) ||
        !qn_take_u8(&in, &s.depth))
        return QN_E_SHORT;
    if (s.head.body_len <= SHARD_BODY_MIN || s.head.body_len > SHARD_BODY_MAX) return QN_E_RANGE;
    if (s.head.k != shard_k(s.head.body_len) || s.idx >= 2u * s.head.k) return QN_E_RANGE;
    if (s.depth != depth_of(s.head.k)) return QN_E_RANGE;
    if (!qn_take(&in, 32u * s.depth, &path) || !qn_take(&in, 64, &sig) || !qn_take_u32(&in, &len))
        return QN_E_SHORT;
    if (len != shard_piece_len(s.head.body_len)) return QN_E_RANGE;
    if (!qn_take(&in, len, &s.piece)) return QN_E_SHORT;
    if (in.len) return QN_E_EXTRA;
    s.path = path.ptr;
    memcpy(s.head.sig.b, sig.ptr, 64);
    *ret = s;
    return QN_OK;
}

bool shard_check(const struct shard *s)
{
    struct qn_hash at = leaf_hash(s->idx, s->piece.ptr, s->piece.len);
    unsigned idx = s->idx;
    for (unsigned i = 0; i < s->depth; i++, idx /= 2) {
        const uint8_t *side = s->path + 32 * i;
        at = idx & 1 ? node_hash(side, at.b) : node_hash(at.b, side);
    }
    return qn_hash_eq(&at, &s->head.root);
}

__extension__ typedef unsigned __int128 u128; /* stake times pieces */

/* A stream of numbers out of the seed. */
struct lot {
    struct qn_hasher h;
    uint64_t word[512];
    unsigned used;
};

static void lot_init(struct lot *lot, const struct qn_hash *seed)
{
    qn_hasher_label(&lot->h, "shard relays");
    qn_hasher_put(&lot->h, seed->b, 32);
    qn_hasher_xof(&lot->h, lot->word, sizeof lot->word);
    lot->used = 0;
}

/* Below n; off even by less than n / 2^64. */
static uint64_t lot_draw(struct lot *lot, uint64_t n)
{
    QN_ASSERT(lot->used < QN_COUNT(lot->word));
    return (uint64_t)((u128)lot->word[lot->used++] * n >> 64);
}

void shard_relays(const struct qn_hash *seed, const uint64_t *stake, unsigned cnt,
                  unsigned proposer, unsigned k, uint16_t *ret)
{
    QN_ASSERT(cnt > 1 && cnt <= 256 && k <= RS_K_MAX);
    struct lot lot;
    uint16_t order[256];
    unsigned n = 0;
    u128 total = 0;
    lot_init(&lot, seed);
    for (unsigned i = 0; i < cnt; i++) {
        if (i == proposer) continue;
        order[n++] = (uint16_t)i;
        total += stake[i];
    }
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)lot_draw(&lot, i);
        uint16_t keep = order[j];
        order[j] = order[i - 1];
        order[i - 1] = keep;
    }
    bool even = total == 0; /* without any stake all count the same */
    if (even) total = n;
    /* Systematic sampling: stakes lie end to end in the drawn order, and 2 k marks at equal distance, the first at a drawn place, say
     * whose turn it is: each gets its share rounded down or up. In units of 1 / 2k. */
    u128 mark = 0, end = 0;
    uint64_t start = lot_draw(&lot, UINT64_MAX);
    mark = (total * (start >> 32)) >> 32;
    unsigned who = 0;
    end = (u128)(even ? 1 : stake[order[0]]) * (2 * k);
    for (unsigned i = 0; i < 2 * k; i++, mark += total) {
        while (mark >= end && who + 1 < n) {
            who++;
            end += (u128)(even ? 1 : stake[order[who]]) * (2 * k);
        }
        ret[i] = order[who];
    }
    for (unsigned i = 2 * k; i > 1; i--) { /* so that no relay holds a run of data pieces */
        unsigned j = (unsigned)lot_draw(&lot, i);
        uint16_t keep = ret[j];
        ret[j] = ret[i - 1];
        ret[i - 1] = keep;
    }
}
