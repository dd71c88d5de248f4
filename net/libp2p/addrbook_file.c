/* addrbook_file.c - the address book as HOME/peers.dat: a bounded record with its hash behind it. */
#include "net/libp2p/addrbook_int.h"

#include "core/crypto/hash.h"
#include "core/schema/schema.h"

#include "core/schema/declare.h"
#include "net/libp2p/addrbook.def"

#include "core/schema/define.h"
#include "net/libp2p/addrbook.def"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX   (ADDRBOOK_MAX * 160u + 4096u)
#define FILE_LABEL "peers.dat"

void addrbook_write(const struct addrbook *book, struct qn_buf *buf)
{
    struct book_anchor anchor[ADDRBOOK_ANCHOR];
    struct book_row *row = calloc(book->cnt ? book->cnt : 1, sizeof *row);
    QN_ASSERT(row);
    struct book_file file = { .version = 1, .key = book->key };
    file.anchors.ptr = anchor;
    file.anchors.cnt = book->anchor_cnt;
    for (uint32_t i = 0; i < book->anchor_cnt; i++)
        anchor[i] = (struct book_anchor){ .ip = QN_SPAN_OF(book->anchor[i].ip.b),
                                          .port = book->anchor[i].port };
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < book->cnt && cnt < ADDRBOOK_MAX; i++) {
        const struct addrbook_entry *e = &book->node[book->order[i]].e;
        row[cnt++] = (struct book_row){ .ip = QN_SPAN_OF(e->addr.ip.b),
                                        .port = e->addr.port,
                                        .id = QN_SPAN(e->id.b, e->id.len),
                                        .source = QN_SPAN_OF(e->source.b),
                                        .tried = e->tried,
                                        .seen_ms = QN_MIN(e->seen_ms, QN_NUM_MAX),
                                        .ok_ms = QN_MIN(e->ok_ms, QN_NUM_MAX),
                                        .try_ms = QN_MIN(e->try_ms, QN_NUM_MAX),
                                        .fails = e->fails };
    }
    file.rows.ptr = row;
    file.rows.cnt = cnt;
    size_t start = buf->len;
    qn_encode(book_file_record(), &file, buf);
    struct qn_hash sum = qn_h(FILE_LABEL, buf->ptr + start, buf->len - start);
    qn_buf_put(buf, sum.b, sizeof sum.b);
    free(row);
}

static bool row_entry(const struct book_row *row, struct addrbook_entry *ret)
{
    struct addrbook_entry e = { .addr.port = row->port,
                                .tried = row->tried,
                                .seen_ms = row->seen_ms,
                                .ok_ms = row->ok_ms,
                                .try_ms = row->try_ms,
                                .fails = row->fails };
    if (row->ip.len != 16 || row->source.len != 16) return false;
    memcpy(e.addr.ip.b, row->ip.ptr, 16);
    memcpy(e.source.b, row->source.ptr, 16);
    if (row->id.len && qn_peer_id_read(row->id, &e.id)) return false;
    *ret = e;
    return true;
}

static qn_rc fill(struct addrbook *book, const struct book_file *file, struct qn_why *why)
{
    struct net_addr anchor[ADDRBOOK_ANCHOR];
    for (uint32_t i = 0; i < file->anchors.cnt; i++) {
        if (file->anchors.ptr[i].ip.len != 16) return qn_why(why, QN_E_CORRUPT, "anchor %u", i);
        memcpy(anchor[i].ip.b, file->anchors.ptr[i].ip.ptr, 16);
        anchor[i].port = file->anchors.ptr[i].port;
    }
    addrbook_anchor_set(book, anchor, file->anchors.cnt);
    for (uint32_t i = 0; i < file->rows.cnt; i++) {
        struct addrbook_entry e;
        if (!row_entry(&file->rows.ptr[i], &e)) return qn_why(why, QN_E_CORRUPT, "row %u", i);
        addrbook_restore(book, &e);
    }
    return QN_OK;
}

qn_rc addrbook_read(struct qn_span bytes, bool private, struct addrbook **ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 32u << 20 };
    struct book_file file;
    struct addrbook *book = NULL;
    struct qn_why inner = { 0 };
    struct qn_hash sum;
    if (bytes.len < sizeof sum || bytes.len > FILE_MAX)
        return qn_why(why, QN_E_CORRUPT, "peers.dat has %zu bytes", bytes.len);
    struct qn_span body = QN_SPAN(bytes.ptr, bytes.len - sizeof sum);
    memcpy(sum.b, body.ptr + body.len, sizeof sum.b);
    struct qn_hash want = qn_h(FILE_LABEL, body.ptr, body.len);
    if (!qn_hash_eq(&sum, &want))
        return qn_why(why, QN_E_CORRUPT, "peers.dat: its hash does not fit its %zu bytes",
                      bytes.len);
    qn_rc rc = qn_decode(book_file_record(), body, &arena, &file, &inner);
    if (rc || file.version != 1) {
        rc = qn_why(why, QN_E_CORRUPT, "peers.dat is not a version 1 address book: %.200s",
                    inner.text);
        goto out;
    }
    book = addrbook_new(&file.key, private);
    rc = fill(book, &file, &inner);
    if (rc) rc = qn_why(why, rc, "peers.dat: %.200s does not make sense", inner.text);
out:
    qn_arena_free(&arena);
    if (rc)
        addrbook_free(book);
    else
        *ret = book;
    return rc;
}

struct addrbook *addrbook_open(const struct qn_env *env, const char *path, bool private,
                               struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    struct addrbook *book = NULL;
    struct qn_hash key;
    struct qn_why inner = { 0 };
    why->text[0] = 0;
    qn_rc rc = qn_file_read(path, FILE_MAX, &buf, &inner);
    if (!rc) rc = addrbook_read(qn_buf_get(&buf), private, &book, &inner);
    if (rc) {
        if (rc != QN_E_NOTFOUND)
            rc = qn_why(why, rc, "%.250s; starting a fresh address book", inner.text);
        qn_env_random(env, key.b, sizeof key.b);
        book = addrbook_new(&key, private);
    }
    qn_buf_free(&buf);
    return book;
}

qn_rc addrbook_save(const struct addrbook *book, const char *path, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    addrbook_write(book, &buf);
    qn_rc rc = qn_file_write(path, qn_buf_get(&buf), 0600, why);
    qn_buf_free(&buf);
    return rc;
}
