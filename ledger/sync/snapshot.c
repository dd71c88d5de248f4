/* snapshot.c - making, checking and restoring a state to begin from. */
#include "ledger/sync/snapshot.h"

#include "core/crypto/hash.h"
#include "ledger/store/store.h"
#include "ledger/sync/home.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUT_BITS    14         /* 16,384 rows a chunk: 2.4 MB at 148 bytes a row */
#define CHUNK_BYTES (8u << 20) /* cut anyway beyond this */
#define PIECE_BYTES (2u << 20)

static const uint8_t MAGIC[5] = { 'Q', 'N', 'S', 'N', 1 };

/* --- making ------------------------------------------------------------------------------------------------ */

static bool cut_here(struct qn_span key, unsigned bits)
{
    struct qn_hash h = qn_blake3(key.ptr, key.len);
    return (h.b[0] << 8 | h.b[1]) >> (16 - bits) == 0;
}

/* Finds where the chunk that begins at from ends: ret_to is empty for the last. */
static struct qn_span chunk_end(const struct qn_trie *trie, struct qn_span from, unsigned bits,
                                uint8_t dst[QN_TRIE_KEY_MAX])
{
    struct qn_span key = from, val;
    size_t bytes = 0, rows = 0;
    for (bool first = true; qn_trie_next(trie, key, first, &key, &val); first = false) {
        if (rows && (bytes > CHUNK_BYTES || cut_here(key, bits))) {
            memcpy(dst, key.ptr, key.len);
            return QN_SPAN(dst, key.len);
        }
        rows++;
        bytes += key.len + val.len;
    }
    return QN_SPAN(dst, 0);
}

static qn_rc put_chunks(struct qn_trie *trie, const struct qn_chunks *chunks, struct qn_buf *ret,
                        struct qn_snapshot *info, struct qn_why *why)
{
    uint8_t from[QN_TRIE_KEY_MAX], to[QN_TRIE_KEY_MAX];
    struct qn_span start = QN_SPAN(from, 0), end;
    struct qn_buf rows = { 0 }, edge = { 0 };
    size_t mark = ret->len;
    qn_rc rc = QN_OK;
    qn_buf_u32(ret, 0);
    do {
        struct qn_hash hash;
        end = chunk_end(trie, start, chunks->cut_bits ? chunks->cut_bits : CUT_BITS, to);
        qn_buf_clear(&rows);
        qn_buf_clear(&edge);
        qn_trie_prove(trie, start, end, &rows, &edge);
        rc = chunks->put(chunks->self, qn_buf_get(&rows), &hash, why);
        if (rc) break;
        qn_buf_put(ret, hash.b, 32);
        qn_buf_u32(ret, (uint32_t)rows.len);
        qn_buf_u16(ret, (uint16_t)end.len);
        qn_buf_span(ret, end);
        qn_buf_u32(ret, (uint32_t)edge.len);
        qn_buf_span(ret, qn_buf_get(&edge));
        info->chunk_cnt++;
        info->bytes += rows.len;
        memcpy(from, to, end.len);
        start = QN_SPAN(from, end.len);
    } while (end.len);
    memcpy(ret->ptr + mark, &info->chunk_cnt, 4);
    info->row_cnt = qn_trie_cnt(trie);
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    return rc;
}

/* The lowest block that must come along; *ret_begin is the one before. */
static qn_rc find_begin(struct qn_chain *c, struct qn_header *ret_begin, struct qn_why *why)
{
    uint64_t height = qn_chain_header(c)->height, now = qn_chain_header(c)->t_ms;
    struct qn_arena arena = { 0 };
    struct qn_frame f;
    qn_rc rc = QN_OK;
    *ret_begin = (struct qn_header){ 0 };
    for (uint64_t h = height - 1; h > 0; h--) {
        rc = qn_chain_frame(c, h, &arena, &f, why);
        if (rc == QN_E_NOTFOUND)
            rc = qn_why(why, QN_E_AGAIN,
                        "this node does not hold the last ten minutes of blocks yet");
        if (rc) break;
        if (f.block.header.t_ms + QN_TX_SPAN_MS < now) {
            *ret_begin = f.block.header;
            break;
        }
        qn_arena_free(&arena);
    }
    qn_arena_free(&arena);
    return rc;
}

static qn_rc put_piece(const struct qn_chunks *chunks, struct qn_buf *piece, struct qn_buf *ret,
                       struct qn_snapshot *info, struct qn_why *why)
{
    struct qn_hash hash;
    qn_rc rc = chunks->put(chunks->self, qn_buf_get(piece), &hash, why);
    if (rc) return rc;
    qn_buf_put(ret, hash.b, 32);
    qn_buf_u32(ret, (uint32_t)piece->len);
    info->piece_cnt++;
    info->bytes += piece->len;
    qn_buf_clear(piece);
    return QN_OK;
}

static qn_rc put_bodies(struct qn_chain *c, const struct qn_chunks *chunks, struct qn_buf *ret,
                        struct qn_snapshot *info, struct qn_why *why)
{
    struct qn_arena arena = { 0 };
    struct qn_buf piece = { 0 }, block = { 0 };
    struct qn_frame f;
    size_t mark = ret->len;
    qn_rc rc = QN_OK;
    qn_buf_u32(ret, 0);
    for (uint64_t h = info->begin.height + 1; h <= qn_chain_header(c)->height && rc == QN_OK; h++) {
        rc = qn_chain_frame(c, h, &arena, &f, why);
        if (rc) break;
        qn_buf_clear(&block);
        qn_encode(qn_block_record(), &f.block, &block);
        qn_arena_free(&arena);
        if (piece.len && piece.len + block.len > PIECE_BYTES)
            rc = put_piece(chunks, &piece, ret, info, why);
        qn_buf_u32(&piece, (uint32_t)block.len);
        qn_buf_span(&piece, qn_buf_get(&block));
        info->block_cnt++;
    }
    if (rc == QN_OK) rc = put_piece(chunks, &piece, ret, info, why);
    memcpy(ret->ptr + mark, &info->piece_cnt, 4);
    qn_buf_free(&piece);
    qn_buf_free(&block);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_snapshot_make(struct qn_chain *c, const struct qn_steps *steps,
                       const struct qn_chunks *chunks, struct qn_buf *ret, struct qn_snapshot *info,
                       struct qn_why *why)
{
    struct qn_buf head = { 0 };
    memset(info, 0, sizeof *info);
    qn_rc rc = qn_proof_head(c, steps, &head, why);
    if (rc == QN_OK) rc = find_begin(c, &info->begin, why);
    if (rc == QN_OK) {
        qn_buf_put(ret, MAGIC, sizeof MAGIC);
        qn_buf_u32(ret, (uint32_t)head.len);
        qn_buf_span(ret, qn_buf_get(&head));
        qn_buf_u8(ret, info->begin.height != 0);
        if (info->begin.height) qn_encode(qn_header_record(), &info->begin, ret);
        rc = put_chunks(qn_chain_trie(c), chunks, ret, info, why);
    }
    if (rc == QN_OK) rc = put_bodies(c, chunks, ret, info, why);
    info->proof.header = *qn_chain_header(c);
    info->proof.block = qn_chain_head(c);
    info->proof.chain = qn_chain_id(c);
    qn_buf_free(&head);
    return rc;
}

/* --- checking ---------------------------------------------------------------------------------------------- */

/* What is done with what was found good; NULL: nothing. */
struct taker {
    void *self;
    qn_rc (*row)(void *self, struct qn_span key, struct qn_span val, struct qn_why *why);
    qn_rc (*chunk)(void *self, struct qn_why *why); /* after a chunk's rows */
    qn_rc (*block)(void *self, const struct qn_block *block, bool last, struct qn_why *why);
};

struct entry {
    struct qn_hash hash;
    uint32_t bytes;
    struct qn_span to, edge; /* of a chunk */
};

static bool take_entry(struct qn_span *s, bool chunk, struct entry *ret)
{
    uint16_t to_len;
    uint32_t edge_len;
    if (!qn_take_hash(s, &ret->hash) || !qn_take_u32(s, &ret->bytes)) return false;
    return !chunk ||
           (qn_take_u16(s, &to_len) && to_len <= QN_TRIE_KEY_MAX && qn_take(s, to_len, &ret->to) &&
            qn_take_u32(s, &edge_len) && qn_take(s, edge_len, &ret->edge));
}

qn_rc qn_snapshot_read(struct qn_span s, const struct qn_hash *trust, const struct qn_set *set,
                       struct qn_snapshot *ret, struct qn_why *why)
{
    struct qn_arena arena = { 0 };
    struct qn_span magic, head;
    struct entry e;
    uint32_t len;
    uint8_t has;
    memset(ret, 0, sizeof *ret);
    if (!qn_take(&s, sizeof MAGIC, &magic) || memcmp(magic.ptr, MAGIC, sizeof MAGIC) != 0)
        return qn_why(why, QN_E_FORMAT, "this is not a snapshot's manifest");
    if (!qn_take_u32(&s, &len) || !qn_take(&s, len, &head))
        return qn_why(why, QN_E_SHORT, "the manifest is cut off");
    ret->front = head;
    qn_rc rc = qn_proof_front_by(&head, trust, set, &ret->proof, why);
    if (rc) return rc;
    if (head.len) return qn_why(why, QN_E_EXTRA, "bytes behind the manifest's proof");
    if (!qn_take_u8(&s, &has)) return qn_why(why, QN_E_SHORT, "the manifest is cut off");
    if (has > 1) return qn_why(why, QN_E_FORMAT, "the manifest's header is marked %u", has);
    if (has) rc = qn_decode_front(qn_header_record(), &s, &arena, &ret->begin, why);
    if (rc) return rc;
    for (unsigned chunk = 2; chunk-- > 0;) {
        struct qn_span *list = chunk ? &ret->chunks : &ret->pieces;
        uint32_t *cnt = chunk ? &ret->chunk_cnt : &ret->piece_cnt;
        if (!qn_take_u32(&s, cnt)) return qn_why(why, QN_E_SHORT, "the manifest is cut off");
        *list = s;
        for (uint32_t i = 0; i < *cnt; i++) {
            if (!take_entry(&s, chunk, &e))
                return qn_why(why, QN_E_SHORT, "the manifest is cut off");
            if (chunk && (e.to.len == 0) != (i + 1 == *cnt))
                return qn_why(why, QN_E_FORMAT, "the manifest's chunks do not reach to the end");
        }
        list->len -= s.len;
        if (*cnt == 0)
            return qn_why(why, QN_E_FORMAT, "the manifest names no %s", chunk ? "chunk" : "body");
    }
    return s.len ? qn_why(why, QN_E_EXTRA, "bytes behind the manifest") : QN_OK;
}

bool qn_snapshot_next(const struct qn_snapshot *sn, struct qn_part *at)
{
    struct entry e = { .to = { NULL, 0 } };
    struct qn_part before = *at;
    /* Where the one before ended tells where we are: the lists lie one behind the other. */
    const uint8_t *end = before.rest;
    bool chunk = end == NULL || (before.chunk && end < sn->chunks.ptr + sn->chunks.len);
    struct qn_span list = chunk ? sn->chunks : sn->pieces;
    if (end && chunk == before.chunk) {
        list.len -= (size_t)(end - list.ptr);
        list.ptr = end;
    }
    if (list.len == 0) return false;
    QN_ASSERT(take_entry(&list, chunk, &e)); /* qn_snapshot_read took it before */
    *at = (struct qn_part){ .hash = e.hash,
                            .bytes = e.bytes,
                            .chunk = chunk,
                            .from = end && chunk ? before.to : QN_SPAN(NULL, 0),
                            .to = e.to,
                            .edge = e.edge,
                            .rest = list.ptr };
    return true;
}

qn_rc qn_snapshot_chunk(const struct qn_snapshot *sn, const struct qn_part *chunk,
                        struct qn_span rows)
{
    if (chunk->to.len && qn_span_cmp(chunk->to, chunk->from) <= 0) return QN_E_FORMAT;
    return qn_trie_check(&sn->proof.header.state_root, chunk->from, chunk->to, rows, chunk->edge);
}

static qn_rc bad(struct qn_why *why, qn_rc rc, const char *what, uint32_t i, uint32_t cnt,
                 const struct entry *e, const char *how)
{
    char hex[65];
    qn_hex(e->hash.b, 32, hex);
    return qn_why(why, rc, "%s %u of %u (%.16s..): %s", what, i + 1, cnt, hex, how);
}

static qn_rc fetch(const struct qn_chunks *chunks, const char *what, uint32_t i, uint32_t cnt,
                   const struct entry *e, struct qn_buf *ret, struct qn_why *why)
{
    struct qn_why inner = { "" };
    qn_buf_clear(ret);
    if (e->bytes > QN_CHUNK_MAX)
        return bad(why, QN_E_TOOBIG, what, i, cnt, e, "larger than any may be");
    qn_rc rc = chunks->get(chunks->self, &e->hash, e->bytes, ret, &inner);
    if (rc) return bad(why, rc, what, i, cnt, e, inner.text[0] ? inner.text : qn_err_code(rc));
    struct qn_hash hash = qn_blake3(ret->ptr, ret->len);
    if (ret->len != e->bytes || !qn_hash_eq(&hash, &e->hash))
        return bad(why, QN_E_CORRUPT, what, i, cnt, e,
                   "it is damaged: its bytes have another hash");
    return QN_OK;
}

static qn_rc check_chunks(const struct qn_snapshot *sn, const struct qn_chunks *chunks,
                          const struct taker *taker, uint64_t *ret_rows, struct qn_why *why)
{
    struct qn_span list = sn->chunks, from = { NULL, 0 }, key, val;
    struct qn_buf rows = { 0 };
    struct entry e;
    qn_rc rc = QN_OK;
    for (uint32_t i = 0; i < sn->chunk_cnt && rc == QN_OK; i++) {
        QN_ASSERT(take_entry(&list, true, &e)); /* once before */
        rc = fetch(chunks, "chunk", i, sn->chunk_cnt, &e, &rows, why);
        if (rc) break;
        struct qn_span s = qn_buf_get(&rows);
        if (e.to.len && qn_span_cmp(e.to, from) <= 0) {
            rc = bad(why, QN_E_FORMAT, "chunk", i, sn->chunk_cnt, &e, "it ends before it begins");
            break;
        }
        rc = qn_trie_check(&sn->proof.header.state_root, from, e.to, s, e.edge);
        if (rc) {
            bad(why, rc, "chunk", i, sn->chunk_cnt, &e,
                "its rows do not lead to the block's state root");
            break;
        }
        while (rc == QN_OK && qn_row_take(&s, &key, &val)) {
            ++*ret_rows;
            if (taker) rc = taker->row(taker->self, key, val, why);
        }
        if (rc == QN_OK && taker) rc = taker->chunk(taker->self, why);
        from = e.to;
    }
    qn_buf_free(&rows);
    return rc;
}

static qn_rc check_bodies(struct qn_snapshot *sn, const struct qn_chunks *chunks,
                          const struct taker *taker, struct qn_why *why)
{
    const struct qn_header *end = &sn->proof.header;
    uint64_t height = sn->begin.height;
    struct qn_hash parent = height ? qn_header_hash(&sn->begin) : sn->proof.chain;
    struct qn_span list = sn->pieces;
    struct qn_buf piece = { 0 };
    struct entry e;
    qn_rc rc = QN_OK;
    if (height && sn->begin.t_ms + QN_TX_SPAN_MS >= end->t_ms)
        return qn_why(why, QN_E_PROOF, "the bodies begin later than ten minutes before the block");
    for (uint32_t i = 0; i < sn->piece_cnt && rc == QN_OK; i++) {
        QN_ASSERT(take_entry(&list, false, &e));
        rc = fetch(chunks, "body", i, sn->piece_cnt, &e, &piece, why);
        struct qn_span s = qn_buf_get(&piece), bytes;
        uint32_t len;
        while (rc == QN_OK && s.len) {
            struct qn_arena arena = { .max = 64u << 20 };
            struct qn_block block;
            if (!qn_take_u32(&s, &len) || !qn_take(&s, len, &bytes) ||
                qn_decode(qn_block_record(), bytes, &arena, &block, NULL)) {
                rc = bad(why, QN_E_FORMAT, "body", i, sn->piece_cnt, &e, "a block does not decode");
            } else {
                struct qn_hash root = qn_body_root(block.txs.ptr, block.txs.cnt);
                if (block.header.height != ++height || !qn_hash_eq(&block.header.parent, &parent) ||
                    !qn_hash_eq(&root, &block.header.body_root))
                    rc = bad(why, QN_E_PROOF, "body", i, sn->piece_cnt, &e,
                             "a block does not lead to the final one");
                parent = qn_header_hash(&block.header);
                sn->block_cnt++;
                if (rc == QN_OK && taker)
                    rc = taker->block(taker->self, &block, height == end->height, why);
            }
            qn_arena_free(&arena);
        }
    }
    qn_buf_free(&piece);
    if (rc == QN_OK && (height != end->height || !qn_hash_eq(&parent, &sn->proof.block)))
        rc = qn_why(why, QN_E_PROOF, "the bodies do not lead to the final block");
    return rc;
}

static qn_rc check(const struct qn_chunks *chunks, const struct taker *taker,
                   struct qn_snapshot *ret, struct qn_why *why)
{
    qn_rc rc = check_bodies(ret, chunks, taker, why);
    if (rc == QN_OK) rc = check_chunks(ret, chunks, taker, &ret->row_cnt, why);
    struct qn_span list[2] = { ret->chunks, ret->pieces };
    struct entry e;
    for (unsigned i = 0; i < 2; i++)
        while (rc == QN_OK && list[i].len && take_entry(&list[i], i == 0, &e))
            ret->bytes += e.bytes;
    return rc;
}

qn_rc qn_snapshot_check(struct qn_span manifest, const struct qn_hash *trust,
                        const struct qn_chunks *chunks, struct qn_snapshot *ret, struct qn_why *why)
{
    qn_rc rc = qn_snapshot_read(manifest, trust, NULL, ret, why);
    return rc ? rc : check(chunks, NULL, ret, why);
}

/* --- restoring --------------------------------------------------------------------------------------------- */

struct restore {
    struct qn_home *home;
    struct qn_cert cert; /* of the block */
};

static qn_rc restore_row(void *self, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    return qn_home_row(((struct restore *)self)->home, key, val, why);
}

static qn_rc restore_chunk(void *self, struct qn_why *why)
{
    return qn_home_pause(((struct restore *)self)->home, why);
}

static qn_rc restore_block(void *self, const struct qn_block *block, bool last, struct qn_why *why)
{
    struct restore *r = self;
    struct qn_frame f = { .block = *block };
    if (last) f.cert = r->cert;
    return qn_home_frame(r->home, &f, why);
}

qn_rc qn_snapshot_restore(struct qn_span manifest, const struct qn_hash *trust,
                          const struct qn_set *set, const struct qn_chunks *chunks,
                          const char *home, uint64_t map_gib, struct qn_snapshot *ret,
                          struct qn_why *why)
{
    struct restore r = { 0 };
    const struct taker taker = { &r, restore_row, restore_chunk, restore_block };
    struct qn_arena arena = { 0 };
    qn_rc rc = qn_snapshot_read(manifest, trust, set, ret, why);
    if (rc) return rc;
    rc = qn_decode(qn_cert_record(), ret->proof.cert, &arena, &r.cert, why);
    if (rc == QN_OK) rc = qn_home_new(home, map_gib, ret->proof.genesis, &ret->begin, &r.home, why);
    if (rc == QN_OK) rc = check(chunks, &taker, ret, why);
    if (rc == QN_OK) rc = qn_home_done(r.home, &ret->proof.header, why);
    qn_home_free(r.home);
    qn_arena_free(&arena);
    return rc;
}

static qn_rc store_row(void *self, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    return qn_store_put(self, key, val, why);
}

/* What is dirty stays small; until the last commit the file says that it is of no block. */
static qn_rc store_chunk(void *self, struct qn_why *why)
{
    const struct qn_store_meta none = { 0 };
    qn_rc rc = qn_store_commit(self, &none, why);
    return rc ? rc : qn_store_begin(self, why);
}

qn_rc qn_snapshot_store(struct qn_span manifest, const struct qn_chunks *chunks, const char *path,
                        uint64_t map_gib, struct qn_snapshot *ret, struct qn_why *why)
{
    struct qn_store *st = NULL;
    struct qn_store_meta meta;
    struct taker taker = { .row = store_row, .chunk = store_chunk };
    unlink(path);
    qn_rc rc = qn_snapshot_read(manifest, NULL, NULL, ret, why);
    if (rc == QN_OK) rc = qn_store_open(path, map_gib ? map_gib : 64, &st, &meta, why);
    if (rc) return rc;
    taker.self = st;
    rc = qn_store_begin(st, why);
    if (rc == QN_OK) rc = check_chunks(ret, chunks, &taker, &ret->row_cnt, why);
    const struct qn_header *h = &ret->proof.header;
    meta = (struct qn_store_meta){ ret->proof.chain, ret->proof.block, h->state_root, h->height };
    if (rc == QN_OK) rc = qn_store_commit(st, &meta, why);
    qn_store_close(st);
    return rc;
}
