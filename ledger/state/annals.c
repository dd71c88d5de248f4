/* annals.c - runs of ids and places, written, cut and searched. */
#include "ledger/state/annals.h"

#include <stdlib.h>
#include <string.h>

#define ROW_IDS    256 /* of a row, and those of the last one's name */
#define ROW_PLACES 256
#define ID_BYTES   12
#define HEAD_BYTES 16 /* of a row of ids: base, top */
#define PLACE      13
#define CUT_ROWS   4096

struct named {
    uint64_t name, height;
};

static uint64_t name_of(const struct qn_hash *id)
{
    uint64_t name = 0;
    for (unsigned i = 0; i < 8; i++)
        name = name << 8 | id->b[i];
    return name;
}

/* Keys of both kinds; ret holds 13 bytes. */
static struct qn_span id_key(uint32_t run, uint64_t name, uint8_t *ret)
{
    ret[0] = 'i';
    for (unsigned i = 0; i < 4; i++)
        ret[1 + i] = (uint8_t)(run >> (24 - 8 * i));
    for (unsigned i = 0; i < 8; i++)
        ret[5 + i] = (uint8_t)(name >> (56 - 8 * i));
    return QN_SPAN(ret, 13);
}

static struct qn_span place_key(uint64_t height, uint8_t *ret)
{
    ret[0] = 'p';
    for (unsigned i = 0; i < 8; i++)
        ret[1 + i] = (uint8_t)(height >> (56 - 8 * i));
    return QN_SPAN(ret, 9);
}

static uint64_t big_endian(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return v;
}

static bool is_ids(struct qn_span key, struct qn_span val)
{
    return key.len == 13 && key.ptr[0] == 'i' && val.len >= HEAD_BYTES &&
           (val.len - HEAD_BYTES) % ID_BYTES == 0;
}

static bool is_places(struct qn_span key, struct qn_span val)
{
    return key.len == 9 && key.ptr[0] == 'p' && val.len % PLACE == 0;
}

/* A row that was found. */
struct found {
    struct qn_buf key, val;
};

static void found_free(struct found *f)
{
    qn_buf_free(&f->key);
    qn_buf_free(&f->val);
}

static qn_rc seek(struct qn_store *store, struct qn_span key, bool up, struct found *f,
                  struct qn_why *why)
{
    qn_buf_clear(&f->key);
    qn_buf_clear(&f->val);
    return up ? qn_store_ceil(store, key, &f->key, &f->val, why)
              : qn_store_floor(store, key, &f->key, &f->val, why);
}

/* --- writing ------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->name != y->name) return x->name < y->name ? -1 : 1;
    return x->height < y->height ? -1 : x->height > y->height;
}

static qn_rc next_run(struct qn_store *store, uint32_t *ret, struct qn_why *why)
{
    struct found f = { .key = { 0 } };
    uint8_t key[13];
    *ret = 0;
    qn_rc rc = seek(store, id_key(UINT32_MAX, UINT64_MAX, key), false, &f, why);
    if (rc == QN_OK && is_ids(qn_buf_get(&f.key), qn_buf_get(&f.val)))
        *ret = (uint32_t)big_endian(f.key.ptr + 1, 4) + 1;
    found_free(&f);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

static qn_rc note_ids(struct qn_store *store, const struct named *ids, size_t cnt, uint64_t base,
                      uint64_t top, struct qn_why *why)
{
    struct qn_buf row = { 0 };
    uint8_t key[13];
    uint32_t run;
    qn_rc rc = next_run(store, &run, why);
    for (size_t at = 0, end; rc == QN_OK && at < cnt; at = end) {
        end = QN_MIN(at + ROW_IDS, cnt);
        while (end < cnt && ids[end].name == ids[end - 1].name)
            end++; /* who looks for a name looks into one row */
        qn_buf_clear(&row);
        qn_buf_u64(&row, base);
        qn_buf_u64(&row, top);
        for (size_t i = at; i < end; i++) {
            qn_buf_u64(&row, ids[i].name);
            qn_buf_u32(&row, (uint32_t)(ids[i].height - base));
        }
        struct qn_span val = qn_buf_get(&row);
        rc = qn_store_note(store, id_key(run, ids[at].name, key), &val, why);
    }
    qn_buf_free(&row);
    return rc;
}

static qn_rc note_places(struct qn_store *store, const struct qn_place *places, uint64_t from,
                         uint64_t to, struct qn_why *why)
{
    struct qn_buf row = { 0 };
    uint8_t key[13];
    qn_rc rc = QN_OK;
    for (uint64_t at = from, end; rc == QN_OK && at <= to; at = end) {
        end = QN_MIN(at + ROW_PLACES, to + 1);
        qn_buf_clear(&row);
        for (uint64_t h = at; h < end; h++) {
            const struct qn_place *p = &places[h - from];
            qn_buf_u32(&row, p->at.seg);
            qn_buf_u64(&row, p->at.off);
            qn_buf_u8(&row, p->apart);
        }
        struct qn_span val = qn_buf_get(&row);
        rc = qn_store_note(store, place_key(at, key), &val, why);
    }
    qn_buf_free(&row);
    return rc;
}

qn_rc qn_annals_note(struct qn_store *store, const struct qn_recent *recent,
                     const struct qn_place *places, uint64_t from, uint64_t to, struct qn_why *why)
{
    const struct qn_recent_block *first = qn_recent_at(recent, 0), *b;
    size_t cnt = 0, at = 0;
    QN_ASSERT(first && from >= first->height);
    QN_ASSERT(to - from < UINT32_MAX);
    for (uint64_t h = from; h <= to; h++)
        cnt += qn_recent_at(recent, (size_t)(h - first->height))->id_cnt;
    struct named *ids = malloc((cnt + 1) * sizeof *ids);
    QN_ASSERT(ids != NULL);
    for (uint64_t h = from; h <= to; h++) {
        b = qn_recent_at(recent, (size_t)(h - first->height));
        QN_ASSERT(b->height == h);
        for (uint32_t i = 0; i < b->id_cnt; i++)
            ids[at++] = (struct named){ name_of(qn_recent_key(recent, b->first + i)), h };
    }
    if (cnt) qsort(ids, cnt, sizeof *ids, by_name);
    qn_rc rc = note_ids(store, ids, cnt, from, to, why);
    if (rc == QN_OK) rc = note_places(store, places, from, to, why);
    free(ids);
    return rc;
}

/* Up to which block what a row tells goes. */
static uint64_t row_top(const struct found *f)
{
    uint64_t top;
    if (f->key.ptr[0] == 'p') return big_endian(f->key.ptr + 1, 8) + f->val.len / PLACE - 1;
    memcpy(&top, f->val.ptr + 8, 8);
    return top;
}

static qn_rc cut(struct qn_store *store, struct qn_span first, uint64_t height, struct qn_why *why)
{
    struct found f = { .key = { 0 } };
    struct qn_buf at = { 0 };
    qn_rc rc = QN_OK;
    qn_buf_span(&at, first);
    for (unsigned i = 0; rc == QN_OK && i < CUT_ROWS; i++) {
        rc = seek(store, qn_buf_get(&at), true, &f, why);
        struct qn_span key = qn_buf_get(&f.key), val = qn_buf_get(&f.val);
        if (rc || !(first.ptr[0] == 'i' ? is_ids(key, val) : is_places(key, val)) ||
            row_top(&f) > height)
            break;
        rc = qn_store_note(store, key, NULL, why);
        qn_buf_clear(&at);
        qn_buf_span(&at, key);
        qn_buf_u8(&at, 0); /* the next key that there could be */
    }
    qn_buf_free(&at);
    found_free(&f);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

qn_rc qn_annals_cut(struct qn_store *store, uint64_t height, struct qn_why *why)
{
    uint8_t key[13];
    qn_rc rc = cut(store, id_key(0, 0, key), height, why);
    return rc ? rc : cut(store, place_key(0, key), height, why);
}

/* --- searching ---------------------------------------------------------------------------------------------- */

qn_rc qn_annals_top(struct qn_store *store, uint64_t *ret_height, struct qn_why *why)
{
    struct found f = { .key = { 0 } };
    uint8_t key[13];
    *ret_height = 0;
    qn_rc rc = seek(store, place_key(UINT64_MAX, key), false, &f, why);
    if (rc == QN_OK && is_places(qn_buf_get(&f.key), qn_buf_get(&f.val))) *ret_height = row_top(&f);
    found_free(&f);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

qn_rc qn_annals_place(struct qn_store *store, uint64_t height, struct qn_place *ret,
                      struct qn_why *why)
{
    struct found f = { .key = { 0 } };
    uint8_t key[13];
    qn_rc rc = seek(store, place_key(height, key), false, &f, why);
    if (rc == QN_OK && (!is_places(qn_buf_get(&f.key), qn_buf_get(&f.val)) || row_top(&f) < height))
        rc = QN_E_NOTFOUND;
    if (rc == QN_OK) {
        const uint8_t *p = f.val.ptr + (height - big_endian(f.key.ptr + 1, 8)) * PLACE;
        memcpy(&ret->at.seg, p, 4);
        memcpy(&ret->at.off, p + 4, 8);
        ret->apart = p[12];
    }
    found_free(&f);
    return rc;
}

/* The first of a row's ids whose name is at least that. */
static size_t lower(struct qn_span row, uint64_t name)
{
    size_t low = 0, high = (row.len - HEAD_BYTES) / ID_BYTES;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint64_t at;
        memcpy(&at, row.ptr + HEAD_BYTES + mid * ID_BYTES, 8);
        if (at < name)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool search(struct qn_span row, uint64_t name, bool (*fits)(void *arg, uint64_t height),
                   void *arg)
{
    uint64_t base, at;
    uint32_t delta;
    memcpy(&base, row.ptr, 8);
    for (size_t i = lower(row, name); i < (row.len - HEAD_BYTES) / ID_BYTES; i++) {
        memcpy(&at, row.ptr + HEAD_BYTES + i * ID_BYTES, 8);
        memcpy(&delta, row.ptr + HEAD_BYTES + i * ID_BYTES + 8, 4);
        if (at != name) break;
        if (fits(arg, base + delta)) return true;
    }
    return false;
}

qn_rc qn_annals_find(struct qn_store *store, const struct qn_hash *id,
                     bool (*fits)(void *arg, uint64_t height), void *arg, struct qn_why *why)
{
    struct found f = { .key = { 0 } };
    uint8_t key[13];
    uint64_t name = name_of(id);
    uint32_t run = UINT32_MAX;
    qn_rc rc;
    for (;;) {
        rc = seek(store, id_key(run, name, key), false, &f, why);
        if (rc == QN_OK && !is_ids(qn_buf_get(&f.key), qn_buf_get(&f.val))) rc = QN_E_NOTFOUND;
        if (rc) break;
        uint32_t in = (uint32_t)big_endian(f.key.ptr + 1, 4);
        if (in == run) {
            if (search(qn_buf_get(&f.val), name, fits, arg)) break;
            if (run == 0) {
                rc = QN_E_NOTFOUND;
                break;
            }
            in--;
        }
        run = in; /* else run has nothing so low, or there is none: the one before it */
    }
    found_free(&f);
    return rc;
}
