/* fuzz_range.c - a map, a range and changes to its proof, all from the input: whatever still verifies says what a plain list of the map says. */
#include "ledger/state/trie.h"

#include "core/crypto/hash.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 64 };

struct rows {
    struct qn_span key[ROWS_MAX], val[ROWS_MAX];
    size_t cnt;
    bool over; /* more came than a map of this size can have */
};

static void on_row(struct rows *r, struct qn_span key, struct qn_span val)
{
    if (r->cnt == ROWS_MAX) {
        r->over = true;
        return;
    }
    r->key[r->cnt] = key;
    r->val[r->cnt++] = val;
}

static void plain(const struct qn_trie *trie, struct qn_span from, struct qn_span to,
                  struct rows *ret)
{
    struct qn_span k = { NULL, 0 }, v;
    ret->cnt = 0;
    for (bool first = true; qn_trie_next(trie, k, first, &k, &v); first = false)
        if (qn_span_cmp(k, from) >= 0 && (to.len == 0 || qn_span_cmp(k, to) < 0)) on_row(ret, k, v);
}

static void read_rows(struct qn_span rows, struct rows *ret)
{
    struct qn_span k, v;
    ret->cnt = 0;
    while (qn_row_take(&rows, &k, &v))
        on_row(ret, k, v);
}

/* A key of 1 to 4 bytes whose first two bits say how many, so that none starts another. */
static struct qn_span take_key(struct qn_span *s, bool free)
{
    struct qn_span key = { NULL, 0 };
    if (s->len == 0) return key;
    size_t len = free ? s->ptr[0] % 6u : s->ptr[0] / 64u + 1u;
    if (free) {
        s->ptr++;
        s->len--;
    }
    return qn_take(s, QN_MIN(len, s->len), &key) ? key : QN_SPAN(NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_span s = QN_SPAN(data, size);
    static const uint8_t GROUND[8] = { 0 };
    struct rows want = { .cnt = 0 }, got = { .cnt = 0 };
    struct qn_buf rows = { 0 }, edge = { 0 };
    uint8_t cnt, op, with;
    uint16_t at;
    if (!qn_take_u8(&s, &cnt)) return 0;
    struct qn_trie *trie = qn_trie_new();
    for (unsigned i = 0; i < cnt % ROWS_MAX; i++) {
        struct qn_span key = take_key(&s, false);
        if (key.len == 0 || key.len != key.ptr[0] / 64u + 1u) break;
        qn_trie_put(trie, key, QN_SPAN(GROUND, i % 3));
    }
    struct qn_span from = take_key(&s, true), to = take_key(&s, true);
    struct qn_hash root = qn_trie_root(trie);
    qn_trie_prove(trie, from, to, &rows, &edge);
    QN_ASSERT(qn_trie_check(&root, from, to, qn_buf_get(&rows), qn_buf_get(&edge)) == QN_OK);
    plain(trie, from, to, &want);
    read_rows(qn_buf_get(&rows), &got);
    QN_ASSERT(got.cnt == want.cnt && !got.over);
    while (qn_take_u8(&s, &op) && qn_take_u16(&s, &at) && qn_take_u8(&s, &with)) {
        struct qn_buf *b = op & 0x80 && rows.len ? &rows : &edge;
        if (b->len == 0) break;
        at = (uint16_t)(at % b->len);
        if (op % 4 == 0) b->ptr[at] = with;
        if (op % 4 == 1) b->ptr[at] ^= (uint8_t)(1u << with % 8);
        if (op % 4 == 2) { /* cut out */
            size_t n = QN_MIN((size_t)with, b->len - at);
            memmove(b->ptr + at, b->ptr + at + n, b->len - at - n);
            b->len -= n;
        }
        if (op % 4 == 3) { /* the range moves under it */
            if (with % 2)
                from = take_key(&s, true);
            else
                to = take_key(&s, true);
        }
    }
    if (qn_trie_check(&root, from, to, qn_buf_get(&rows), qn_buf_get(&edge)) == QN_OK) {
        plain(trie, from, to, &want);
        read_rows(qn_buf_get(&rows), &got);
        QN_ASSERT(got.cnt == want.cnt && !got.over);
        for (size_t i = 0; i < got.cnt; i++)
            QN_ASSERT(qn_span_eq(got.key[i], want.key[i]) && qn_span_eq(got.val[i], want.val[i]));
    }
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    qn_trie_free(trie);
    return 0;
}
