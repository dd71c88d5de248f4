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

static const uint8_t MAGIC[5] = { 'Q', 'N', 'S', 'N', 2 };

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
    size_t mark = ret->len, max = chunks->piece_bytes ? chunks->piece_bytes : PIECE_BYTES;
    qn_rc rc = QN_OK;
    qn_buf_u32(ret, 0);
    for (uint64_t h = info->begin.height + 1; h <= qn_chain_header(c)->height && rc == QN_OK; h++) {
        rc = qn_chain_frame(c, h, &arena, &f, why);
        if (rc) break;
        qn_buf_clear(&block);
        qn_encode(qn_block_record(), &f.block, &block);
        qn_arena_free(&arena);
        if (piece.len && piece.len + block.len > max)
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

static qn_rc cut_off(struct qn_why *why)
{
    return qn_why(why, QN_E_SHORT, "the manifest is cut off");
}

static qn_rc list_entries(struct qn_span *s, bool chunk, uint32_t max, struct qn_span *ret,
                          uint32_t *ret_cnt, struct qn_why *why)
{
    struct entry e;
    if (!qn_take_u32(s, ret_cnt)) return cut_off(why);
    if (*ret_cnt == 0)
        return qn_why(why, QN_E_FORMAT, "the manifest names no %s", chunk ? "chunk" : "body");
    if (*ret_cnt > max) return qn_why(why, QN_E_TOOBIG, "the manifest has too many parts");
    *ret = *s;
    for (uint32_t i = 0; i < *ret_cnt; i++) {
        if (!take_entry(s, chunk, &e)) return cut_off(why);
        if (chunk && (e.to.len == 0) != (i + 1 == *ret_cnt))
            return qn_why(why, QN_E_FORMAT, "the manifest's chunks do not reach to the end");
    }
    ret->len -= s->len;
    return QN_OK;
}

/* Everything behind the front. */
static qn_rc read_lists(struct qn_span s, struct qn_snapshot *ret, struct qn_why *why)
{
    struct qn_arena arena = { 0 };
    uint8_t has;
    if (!qn_take_u8(&s, &has)) return cut_off(why);
    if (has > 1) return qn_why(why, QN_E_FORMAT, "the manifest's header is marked %u", has);
    qn_rc rc = has ? qn_decode_front(qn_header_record(), &s, &arena, &ret->begin, why) : QN_OK;
    if (rc == QN_OK) rc = list_entries(&s, true, QN_PARTS_MAX, &ret->chunks, &ret->chunk_cnt, why);
    if (rc == QN_OK)
        rc = list_entries(&s, false, QN_PARTS_MAX - ret->chunk_cnt, &ret->pieces, &ret->piece_cnt,
                          why);
    if (rc == QN_OK && s.len) rc = qn_why(why, QN_E_EXTRA, "bytes behind the manifest");
    return rc;
}

static qn_rc take_front(struct qn_span *s, struct qn_snapshot *ret, struct qn_why *why)
{
    struct qn_span magic;
    uint32_t len;
    memset(ret, 0, sizeof *ret);
    if (!qn_take(s, sizeof MAGIC, &magic) || memcmp(magic.ptr, MAGIC, sizeof MAGIC) != 0)
        return qn_why(why, QN_E_FORMAT, "this is not a snapshot's manifest");
    return qn_take_u32(s, &len) && qn_take(s, len, &ret->front) ? QN_OK : cut_off(why);
}

qn_rc qn_snapshot_read(struct qn_span s, const struct qn_hash *trust, const struct qn_set *set,
                       struct qn_snapshot *ret, struct qn_why *why)
{
    qn_rc rc = take_front(&s, ret, why);
    if (rc) return rc;
    struct qn_span head = ret->front;
    rc = qn_proof_front_by(&head, trust, set, &ret->proof, why);
    if (rc) return rc;
    if (head.len) return qn_why(why, QN_E_EXTRA, "bytes behind the manifest's proof");
    rc = read_lists(s, ret, why);
    if (rc == QN_OK && ret->begin.height &&
        (ret->begin.height >= ret->proof.header.height ||
         ret->begin.t_ms + QN_TX_SPAN_MS >= ret->proof.header.t_ms))
        rc = qn_why(why, QN_E_PROOF, "the bodies begin later than ten minutes before the block");
    return rc;
}

qn_rc qn_snapshot_reread(struct qn_span s, const struct qn_hash *chain, struct qn_span header,
                         struct qn_snapshot *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 1u << 16 };
    qn_rc rc = take_front(&s, ret, why);
    if (rc == QN_OK) rc = qn_decode(qn_header_record(), header, &arena, &ret->proof.header, why);
    qn_arena_free(&arena);
    if (rc) return rc;
    ret->proof.block = qn_header_hash(&ret->proof.header);
    ret->proof.chain = *chain;
    return read_lists(s, ret, why);
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

struct qn_link qn_snapshot_link(const struct qn_snapshot *sn)
{
    return (struct qn_link){ .height = sn->proof.header.height, .block = sn->proof.block };
}

static bool take_block(struct qn_span *s, struct qn_arena *arena, struct qn_block *ret)
{
    struct qn_span bytes;
    uint32_t len;
    return qn_take_u32(s, &len) && qn_take(s, len, &bytes) &&
           qn_decode(qn_block_record(), bytes, arena, ret, NULL) == QN_OK;
}

/* Whether a block stands on another, with the body that its header names and another state; before: of that one, NULL: not known yet. */
static bool stands_on(const struct qn_block *block, uint64_t height, const struct qn_hash *parent,
                      const struct qn_hash *before)
{
    if (before && qn_hash_eq(before, &block->header.state_root)) return false;
    struct qn_hash root = qn_body_root(block->txs.ptr, block->txs.cnt);
    return block->header.height == height + 1 && qn_hash_eq(&block->header.parent, parent) &&
           qn_hash_eq(&root, &block->header.body_root);
}

static struct qn_link begin_of(const struct qn_snapshot *sn)
{
    return (struct qn_link){ .height = sn->begin.height,
                             .block =
                                 sn->begin.height ? qn_header_hash(&sn->begin) : sn->proof.chain };
}

qn_rc qn_snapshot_bodies(const struct qn_snapshot *sn, struct qn_span piece, bool first,
                         struct qn_link *link)
{
    struct qn_link at = { 0 }, before = { 0 }, begin = begin_of(sn);
    struct qn_hash root = sn->begin.state_root;
    qn_rc rc = piece.len ? QN_OK : QN_E_PROOF;
    for (bool begun = false; piece.len && rc == QN_OK; begun = true) {
        struct qn_arena arena = { .max = 64u << 20 };
        struct qn_block block;
        if (!take_block(&piece, &arena, &block)) {
            rc = QN_E_FORMAT;
        } else {
            if (!begun) {
                before = (struct qn_link){ block.header.height - 1, block.header.parent,
                                           block.header.state_root };
                at = before;
                if (block.header.height <= begin.height || block.header.height > link->height)
                    rc = QN_E_PROOF;
            }
            if (rc == QN_OK &&
                (at.height >= link->height ||
                 !stands_on(&block, at.height, &at.block, begun || first ? &root : NULL)))
                rc = QN_E_PROOF;
            at = (struct qn_link){ .height = block.header.height,
                                   .block = qn_header_hash(&block.header) };
            root = block.header.state_root;
        }
        qn_arena_free(&arena);
    }
    if (rc) return rc;
    if (at.height != link->height || !qn_hash_eq(&at.block, &link->block) ||
        qn_hash_eq(&root, &link->above))
        return QN_E_PROOF;
    bool to_begin = before.height == begin.height;
    if (to_begin != first || (first && !qn_hash_eq(&before.block, &begin.block))) return QN_E_PROOF;
    *link = before;
    return QN_OK;
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
    struct qn_link at = begin_of(sn), end = qn_snapshot_link(sn);
    struct qn_hash root = sn->begin.state_root;
    struct qn_span list = sn->pieces;
    struct qn_buf piece = { 0 };
    struct entry e;
    qn_rc rc = QN_OK;
    for (uint32_t i = 0; i < sn->piece_cnt && rc == QN_OK; i++) {
        QN_ASSERT(take_entry(&list, false, &e));
        rc = fetch(chunks, "body", i, sn->piece_cnt, &e, &piece, why);
        struct qn_span s = qn_buf_get(&piece);
        while (rc == QN_OK && s.len) {
            struct qn_arena arena = { .max = 64u << 20 };
            struct qn_block block;
            if (!take_block(&s, &arena, &block)) {
                rc = bad(why, QN_E_FORMAT, "body", i, sn->piece_cnt, &e, "a block does not decode");
            } else {
                if (!stands_on(&block, at.height, &at.block, &root))
                    rc = bad(why, QN_E_PROOF, "body", i, sn->piece_cnt, &e,
                             "a block does not lead to the final one");
                at = (struct qn_link){ .height = block.header.height,
                                       .block = qn_header_hash(&block.header) };
                root = block.header.state_root;
                sn->block_cnt++;
                if (rc == QN_OK && taker)
                    rc = taker->block(taker->self, &block, at.height == end.height, why);
            }
            qn_arena_free(&arena);
        }
    }
    qn_buf_free(&piece);
    if (rc == QN_OK && (at.height != end.height || !qn_hash_eq(&at.block, &end.block)))
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
