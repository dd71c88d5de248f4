/* compact.c - writing a block by ids, finding what a pool has of it, asking for the rest. */
#include "net/gossip/compact.h"

#include "core/crypto/hash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ID_LEN 6u
#define RUN_MAX                                                                                    \
    256u /* steps of a look-up: honest ids stay below 100 at 2^16 of them; more is made to be slow */

enum how { EMPTY, GIVEN, GUESSED, DISPUTED, ASKED };

struct place {
    uint64_t id; /* of those not given */
    enum how how;
    struct qn_hash full; /* of a guess: the same transaction twice is no dispute */
    uint8_t *bytes;
    size_t len;
};

struct compact {
    struct qn_hash block;
    uint8_t key[16];
    uint8_t *head;
    size_t head_len;
    uint32_t tx_cnt;
    struct place *place;
    /* Open addressing over the ids: 1 + index of a place, 0 empty. Two places of one id follow each other. */
    uint32_t *slot, slot_mask;
};

void compact_key(const struct qn_hash *block, uint64_t nonce, uint8_t ret[16])
{
    struct qn_hasher h;
    qn_hasher_label(&h, "compact");
    qn_hasher_put(&h, block->b, 32);
    qn_hasher_put(&h, &nonce, 8); /* little-endian machines only: blake3.c asserts it */
    qn_hasher_xof(&h, ret, 16);
}

uint64_t compact_id(const uint8_t key[16], const struct qn_hash *tx)
{
    uint64_t id;
    _Static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16, "SipHash-2-4");
    crypto_shorthash((uint8_t *)&id, tx->b, 32, key);
    return id & ((UINT64_C(1) << 8 * ID_LEN) - 1);
}

void compact_put(const struct qn_hash *block, uint64_t nonce, struct qn_span head,
                 const struct compact_tx *tx, uint32_t tx_cnt, const bool *given,
                 struct qn_buf *buf)
{
    QN_ASSERT(tx_cnt <= COMPACT_TX_MAX && head.len <= COMPACT_HEAD_MAX);
    uint8_t key[16];
    uint32_t given_cnt = 0, next = 0;
    compact_key(block, nonce, key);
    for (uint32_t i = 0; given && i < tx_cnt; i++)
        given_cnt += given[i];
    qn_buf_u8(buf, 1);
    qn_buf_put(buf, block->b, 32);
    qn_buf_u64(buf, nonce);
    qn_buf_u32(buf, (uint32_t)head.len);
    qn_buf_span(buf, head);
    qn_buf_u32(buf, tx_cnt);
    qn_buf_u32(buf, given_cnt);
    for (uint32_t i = 0; given && i < tx_cnt; i++) {
        if (!given[i]) continue;
        qn_buf_u32(buf, i - next);
        qn_buf_u32(buf, (uint32_t)tx[i].bytes.len);
        qn_buf_span(buf, tx[i].bytes);
        next = i + 1;
    }
    for (uint32_t i = 0; i < tx_cnt; i++) {
        if (given && given[i]) continue;
        uint64_t id = compact_id(key, &tx[i].id);
        qn_buf_put(buf, &id, ID_LEN);
    }
}

static void keep(struct place *p, enum how how, struct qn_span bytes)
{
    p->how = how;
    p->bytes = malloc(bytes.len ? bytes.len : 1);
    QN_ASSERT(p->bytes != NULL);
    if (bytes.len) memcpy(p->bytes, bytes.ptr, bytes.len);
    p->len = bytes.len;
}

static void empty(struct place *p, enum how how)
{
    free(p->bytes);
    p->bytes = NULL;
    p->len = 0;
    p->how = how;
}

void compact_close(struct compact *c)
{
    if (!c) return;
    for (uint32_t i = 0; c->place && i < c->tx_cnt; i++)
        free(c->place[i].bytes);
    free(c->place);
    free(c->slot);
    free(c->head);
    free(c);
}

static uint32_t slot_of(const struct compact *c, uint64_t id)
{
    return (uint32_t)(id ^ id >> 24) & c->slot_mask; /* SipHash has mixed it already */
}

/* Each count is held against the bytes that are left before memory is taken for it. */
static qn_rc read_places(struct compact *c, struct qn_span in)
{
    uint32_t given_cnt, at = 0;
    if (!qn_take_u32(&in, &c->tx_cnt) || !qn_take_u32(&in, &given_cnt)) return QN_E_SHORT;
    if (c->tx_cnt > COMPACT_TX_MAX || given_cnt > c->tx_cnt) return QN_E_RANGE;
    if (in.len < (uint64_t)given_cnt * 8 + (uint64_t)(c->tx_cnt - given_cnt) * ID_LEN)
        return QN_E_SHORT;
    c->place = calloc(c->tx_cnt ? c->tx_cnt : 1, sizeof *c->place);
    QN_ASSERT(c->place != NULL);
    for (uint32_t i = 0; i < given_cnt; i++, at++) {
        uint32_t gap, len;
        struct qn_span tx;
        if (!qn_take_u32(&in, &gap) || !qn_take_u32(&in, &len) || !qn_take(&in, len, &tx))
            return QN_E_SHORT;
        if (gap >= c->tx_cnt - at) return QN_E_RANGE;
        at += gap;
        keep(&c->place[at], GIVEN, tx);
        if (i + 1 < given_cnt && at + 1 == c->tx_cnt) return QN_E_RANGE;
    }
    c->slot_mask = 15;
    while (c->slot_mask < 2 * c->tx_cnt)
        c->slot_mask = 2 * c->slot_mask + 1;
    c->slot = calloc((size_t)c->slot_mask + 1, sizeof *c->slot);
    QN_ASSERT(c->slot != NULL);
    for (uint32_t i = 0; i < c->tx_cnt; i++) {
        struct qn_span id;
        if (c->place[i].how == GIVEN) continue;
        if (!qn_take(&in, ID_LEN, &id)) return QN_E_SHORT;
        memcpy(&c->place[i].id, id.ptr, ID_LEN);
        uint32_t s = slot_of(c, c->place[i].id), steps = 0;
        for (; c->slot[s]; s = (s + 1) & c->slot_mask)
            if (++steps > RUN_MAX) return QN_E_FORMAT;
        c->slot[s] = i + 1;
    }
    return in.len ? QN_E_EXTRA : QN_OK;
}

/* Two places of one id: no pool can say which is which. */
static void dispute_twins(struct compact *c)
{
    for (uint32_t i = 0; i < c->tx_cnt; i++) {
        if (c->place[i].how == GIVEN) continue;
        for (uint32_t s = slot_of(c, c->place[i].id); c->slot[s]; s = (s + 1) & c->slot_mask) {
            uint32_t other = c->slot[s] - 1;
            if (other != i && c->place[other].id == c->place[i].id)
                c->place[i].how = c->place[other].how = DISPUTED;
        }
    }
}

qn_rc compact_open(struct qn_span in, struct compact **ret)
{
    if (in.len > COMPACT_BYTES_MAX) return QN_E_TOOBIG;
    struct qn_hash block;
    struct qn_span head;
    uint8_t version;
    uint64_t nonce;
    uint32_t head_len;
    if (!qn_take_u8(&in, &version)) return QN_E_SHORT;
    if (version != 1) return QN_E_FORMAT;
    if (!qn_take_hash(&in, &block) || !qn_take_u64(&in, &nonce) || !qn_take_u32(&in, &head_len))
        return QN_E_SHORT;
    if (head_len > COMPACT_HEAD_MAX) return QN_E_RANGE;
    if (!qn_take(&in, head_len, &head)) return QN_E_SHORT;
    struct compact *c = calloc(1, sizeof *c);
    QN_ASSERT(c != NULL);
    c->block = block;
    compact_key(&block, nonce, c->key);
    c->head = malloc(head.len + 1);
    QN_ASSERT(c->head != NULL);
    if (head.len) memcpy(c->head, head.ptr, head.len);
    c->head_len = head.len;
    qn_rc rc = read_places(c, in);
    if (rc) {
        compact_close(c);
        return rc;
    }
    dispute_twins(c);
    *ret = c;
    return QN_OK;
}

const struct qn_hash *compact_block(const struct compact *c)
{
    return &c->block;
}

struct qn_span compact_head(const struct compact *c)
{
    return QN_SPAN(c->head, c->head_len);
}

uint32_t compact_tx_cnt(const struct compact *c)
{
    return c->tx_cnt;
}

bool compact_offer(struct compact *c, const struct qn_hash *tx, struct qn_span bytes)
{
    uint64_t id = compact_id(c->key, tx);
    for (uint32_t s = slot_of(c, id); c->slot[s]; s = (s + 1) & c->slot_mask) {
        struct place *p = &c->place[c->slot[s] - 1];
        if (p->id != id) continue;
        if (p->how == EMPTY) {
            keep(p, GUESSED, bytes);
            p->full = *tx;
            return true;
        }
        if (p->how != GUESSED) return false;
        if (qn_hash_eq(&p->full, tx)) return true;
        empty(p, DISPUTED);
        return false;
    }
    return false;
}

static bool is_missing(const struct place *p)
{
    return p->how == EMPTY || p->how == DISPUTED;
}

uint32_t compact_missing(const struct compact *c, uint32_t *ret_idx, uint32_t max,
                         uint32_t *ret_cnt)
{
    uint32_t all = 0, wrote = 0;
    for (uint32_t i = 0; i < c->tx_cnt; i++) {
        if (!is_missing(&c->place[i])) continue;
        if (wrote < max) ret_idx[wrote++] = i;
        all++;
    }
    *ret_cnt = all;
    return wrote;
}

bool compact_fill(struct compact *c, uint32_t idx, struct qn_span bytes)
{
    if (idx >= c->tx_cnt || !is_missing(&c->place[idx])) return false;
    keep(&c->place[idx], ASKED, bytes);
    return true;
}

uint32_t compact_doubt(struct compact *c)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < c->tx_cnt; i++) {
        if (c->place[i].how != GUESSED) continue;
        empty(&c->place[i], DISPUTED);
        cnt++;
    }
    return cnt;
}

struct qn_span compact_tx(const struct compact *c, uint32_t idx)
{
    QN_ASSERT(idx < c->tx_cnt);
    const struct place *p = &c->place[idx];
    return is_missing(p) ? QN_SPAN(NULL, 0) : QN_SPAN(p->bytes, p->len);
}

void compact_ask_put(const struct qn_hash *block, const uint32_t *idx, uint32_t cnt,
                     struct qn_buf *buf)
{
    QN_ASSERT(cnt <= BLOCKTX_MAX);
    qn_buf_put(buf, block->b, 32);
    qn_buf_u32(buf, cnt);
    for (uint32_t i = 0, next = 0; i < cnt; next = idx[i++] + 1) {
        QN_ASSERT(idx[i] >= next);
        qn_buf_u32(buf, idx[i] - next);
    }
}

qn_rc compact_ask_get(struct qn_span in, uint32_t tx_cnt_max, struct qn_hash *ret_block,
                      uint32_t *ret_idx, uint32_t *ret_cnt)
{
    struct qn_hash block;
    uint32_t cnt, at = 0;
    if (!qn_take_hash(&in, &block) || !qn_take_u32(&in, &cnt)) return QN_E_SHORT;
    if (cnt == 0 || cnt > BLOCKTX_MAX) return QN_E_RANGE;
    if (in.len != 4u * (size_t)cnt) return in.len < 4u * (size_t)cnt ? QN_E_SHORT : QN_E_EXTRA;
    for (uint32_t i = 0; i < cnt; i++, at++) {
        uint32_t gap = 0;
        if (!qn_take_u32(&in, &gap)) return QN_E_SHORT;
        if (at >= tx_cnt_max || gap >= tx_cnt_max - at) return QN_E_RANGE;
        at += gap;
        ret_idx[i] = at;
    }
    *ret_block = block;
    *ret_cnt = cnt;
    return QN_OK;
}

void compact_answer_put(const struct qn_hash *block, const struct qn_span *tx, uint32_t cnt,
                        struct qn_buf *buf)
{
    qn_buf_put(buf, block->b, 32);
    qn_buf_u32(buf, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        qn_buf_u32(buf, (uint32_t)tx[i].len);
        qn_buf_span(buf, tx[i]);
    }
}

qn_rc compact_answer_fill(struct qn_span in, const uint32_t *idx, uint32_t cnt, struct compact *c)
{
    struct qn_hash block;
    uint32_t got, len;
    struct qn_span tx;
    if (!qn_take_hash(&in, &block) || !qn_take_u32(&in, &got)) return QN_E_SHORT;
    if (!qn_hash_eq(&block, &c->block) || got != cnt) return QN_E_FORMAT;
    struct qn_span look = in;
    for (uint32_t i = 0; i < cnt; i++)
        if (!qn_take_u32(&look, &len) || !qn_take(&look, len, &tx)) return QN_E_SHORT;
    if (look.len) return QN_E_EXTRA;
    for (uint32_t i = 0; i < cnt; i++) {
        bool ok = qn_take_u32(&in, &len) && qn_take(&in, len, &tx);
        QN_ASSERT(ok);
        /* A place that somebody else has filled meanwhile stays as it is. */
        if (idx[i] < c->tx_cnt && is_missing(&c->place[idx[i]])) keep(&c->place[idx[i]], ASKED, tx);
    }
    return QN_OK;
}
