/* tree.c - the shape of the tree, and one walk over it from both ends of a stream. */
#include "net/blob/tree.h"

#include <string.h>

uint64_t blob_group_cnt(uint64_t size)
{
    return size == 0 ? 1 : (size - 1) / QN_GROUP + 1;
}

uint32_t blob_group_len(uint64_t size, uint64_t group)
{
    QN_ASSERT(group < blob_group_cnt(size));
    return (uint32_t)QN_MIN((uint64_t)QN_GROUP, size - group * QN_GROUP);
}

uint64_t blob_outer_len(uint64_t size)
{
    return (blob_group_cnt(size) - 1) * BLOB_NODE;
}

/* The largest power of two below cnt > 1: the groups on the left. */
static uint64_t left_of(uint64_t cnt)
{
    return UINT64_C(1) << (63 - __builtin_clzll(cnt - 1));
}

/* Depth of recursion: BLOB_DEPTH_MAX. A subtree of n groups has n - 1 nodes, so the right one begins left_of nodes behind its parent. */
static struct qn_hash build(const struct qn_hash *cv, uint64_t cnt, uint8_t *outer, bool root)
{
    if (cnt == 1) return *cv;
    uint64_t left = left_of(cnt);
    struct qn_hash a = build(cv, left, outer + BLOB_NODE, false);
    struct qn_hash b = build(cv + left, cnt - left, outer + left * BLOB_NODE, false);
    memcpy(outer, a.b, 32);
    memcpy(outer + 32, b.b, 32);
    return qn_parent_cv(&a, &b, root);
}

void blob_outer_build(const struct qn_hash *cv, uint64_t cnt, uint8_t *outer,
                      struct qn_hash *ret_id)
{
    QN_ASSERT(cnt > 0 && cnt <= BLOB_SIZE_MAX / QN_GROUP);
    *ret_id = build(cv, cnt, outer, true);
}

static void walk_init(struct blob_walk *w, const struct qn_hash *id, uint64_t size)
{
    QN_ASSERT(size <= BLOB_SIZE_MAX);
    w->size = size;
    w->group_cnt = blob_group_cnt(size);
    w->depth = 1;
    w->part[0] = (struct blob_part){ .cnt = w->group_cnt, .cv = *id };
}

static void walk_ranges(struct blob_walk *w, const struct blob_range *range, uint32_t range_cnt)
{
    QN_ASSERT(range_cnt <= BLOB_RANGE_MAX);
    memcpy(w->range, range, range_cnt * sizeof *range);
    w->range_cnt = range_cnt;
}

static bool wanted(const struct blob_walk *w, const struct blob_part *p)
{
    for (uint32_t i = 0; i < w->range_cnt; i++) {
        const struct blob_range *r = &w->range[i];
        if (r->first >= w->group_cnt) return p->first + p->cnt == w->group_cnt;
        if (r->first >= p->first + p->cnt) return false;
        if (p->first < r->first || p->first - r->first < r->cnt) return true;
    }
    return false;
}

/* The next part that holds something wanted, on top of the stack; NULL at the end. */
static struct blob_part *walk_next(struct blob_walk *w)
{
    for (; w->depth; w->depth--)
        if (wanted(w, &w->part[w->depth - 1])) return &w->part[w->depth - 1];
    return NULL;
}

static bool is_root(const struct blob_walk *w, const struct blob_part *p)
{
    return p->cnt == w->group_cnt;
}

static uint32_t part_len(const struct blob_walk *w, const struct blob_part *p)
{
    return p->cnt > 1 ? BLOB_NODE : blob_group_len(w->size, p->first);
}

/* Checks the bytes of the part on top and, when they are right, puts its two halves in its place. */
static bool walk_check(struct blob_walk *w, const uint8_t *bytes)
{
    struct blob_part *p = &w->part[w->depth - 1], top = *p;
    struct qn_hash cv, left, right;
    bool root = is_root(w, p);
    if (top.cnt == 1) {
        cv = qn_group_cv(bytes, blob_group_len(w->size, top.first), top.first, root);
        if (!qn_hash_eq(&cv, &top.cv)) return false;
        w->depth--;
        return true;
    }
    memcpy(left.b, bytes, 32);
    memcpy(right.b, bytes + 32, 32);
    cv = qn_parent_cv(&left, &right, root);
    if (!qn_hash_eq(&cv, &top.cv)) return false;
    uint64_t half = left_of(top.cnt);
    QN_ASSERT(w->depth < QN_COUNT(w->part));
    p[0] = (struct blob_part){ top.first + half, top.cnt - half, top.node + half, right };
    p[1] = (struct blob_part){ top.first, half, top.node + 1, left };
    w->depth++;
    return true;
}

void blob_encode_init(struct blob_encoder *e, const struct qn_hash *id, uint64_t size,
                      const struct blob_range *range, uint32_t range_cnt)
{
    walk_init(&e->walk, id, size);
    walk_ranges(&e->walk, range, range_cnt);
    e->size_sent = false;
}

qn_rc blob_encode_next(struct blob_encoder *e, const struct blob_source *from, struct qn_buf *out,
                       bool *ret_more)
{
    if (!e->size_sent) {
        qn_buf_u64(out, e->walk.size);
        e->size_sent = true;
        *ret_more = true;
        return QN_OK;
    }
    struct blob_part *p = walk_next(&e->walk);
    if (!p) {
        *ret_more = false;
        return QN_OK;
    }
    uint32_t len = part_len(&e->walk, p);
    size_t before = out->len;
    uint8_t *dst = qn_buf_grow(out, len);
    qn_rc rc = p->cnt > 1 ? from->node(from->self, p->node, dst)
                          : from->group(from->self, p->first, dst, len);
    /* Hashed once more: what a disk turned must not go out under our name. */
    uint64_t group = p->first;
    if (rc == QN_OK && p->cnt == 1 && from->trusted && from->trusted(from->self, group)) {
        e->walk.depth--;
    } else if (rc == QN_OK) {
        bool leaf = p->cnt == 1; /* p is the stack's, which the check moves */
        if (!walk_check(&e->walk, dst))
            rc = QN_E_CORRUPT;
        else if (leaf && from->right)
            from->right(from->self, group);
    }
    if (rc) {
        out->len = before;
        return rc;
    }
    *ret_more = true;
    return QN_OK;
}

void blob_decode_init(struct blob_decoder *d, const struct qn_hash *id, uint64_t size_max,
                      const struct blob_range *range, uint32_t range_cnt)
{
    walk_ranges(&d->walk, range, range_cnt);
    d->walk.depth = 0;
    d->id = *id;
    d->size_known = false;
    d->size_max = QN_MIN(size_max, BLOB_SIZE_MAX);
    d->got = 0;
}

/* One item of the stream, whole and lent. */
static qn_rc take_item(struct blob_decoder *d, const uint8_t *bytes, uint32_t len,
                       const struct blob_sink *to)
{
    if (!d->size_known) {
        uint64_t size;
        memcpy(&size, bytes, sizeof size); /* little-endian machines only: blake3.c asserts it */
        if (size > d->size_max) return QN_E_RANGE;
        d->size_known = true;
        walk_init(&d->walk, &d->id, size);
        return to->size ? to->size(to->self, size) : QN_OK;
    }
    struct blob_part p = d->walk.part[d->walk.depth - 1];
    if (!walk_check(&d->walk, bytes)) return QN_E_PROOF;
    return p.cnt > 1 ? to->node(to->self, p.node, bytes)
                     : to->group(to->self, p.first, QN_SPAN(bytes, len));
}

qn_rc blob_decode_put(struct blob_decoder *d, struct qn_span in, const struct blob_sink *to)
{
    for (;;) {
        const struct blob_part *p = d->size_known ? walk_next(&d->walk) : NULL;
        if (d->size_known && !p) return in.len ? QN_E_EXTRA : QN_OK;
        uint32_t len = p ? part_len(&d->walk, p) : 8;
        qn_rc rc;
        if (d->got == 0)
            d->room = p && p->cnt == 1 && to->room ? to->room(to->self, p->first) : NULL;
        if (d->got == 0 && in.len >= len && !d->room) { /* where it lies */
            rc = take_item(d, in.ptr, len, to);
            in.ptr += len;
            in.len -= len;
        } else {
            uint32_t n = (uint32_t)QN_MIN((size_t)(len - d->got), in.len);
            uint8_t *at = d->room ? d->room : d->part;
            if (n) memcpy(at + d->got, in.ptr, n);
            d->got += n;
            in.ptr += n;
            in.len -= n;
            if (d->got < len) return QN_OK;
            d->got = 0;
            rc = take_item(d, at, len, to);
        }
        if (rc) return rc;
    }
}

bool blob_decode_done(const struct blob_decoder *d)
{
    struct blob_walk *w = (struct blob_walk *)(uintptr_t)&d->walk;
    return d->size_known && walk_next(w) == NULL;
}

void blob_recheck(const struct qn_hash *id, uint64_t size, const struct blob_source *from,
                  void (*right)(void *arg, uint64_t group), void *arg)
{
    struct blob_walk w;
    uint8_t bytes[QN_GROUP];
    walk_init(&w, id, size);
    w.range_cnt = 0;
    while (w.depth) {
        struct blob_part top = w.part[w.depth - 1];
        qn_rc rc = top.cnt > 1
                       ? from->node(from->self, top.node, bytes)
                       : from->group(from->self, top.first, bytes, blob_group_len(size, top.first));
        if (rc || !walk_check(&w, bytes))
            w.depth--; /* with all that is below */
        else if (top.cnt == 1)
            right(arg, top.first);
    }
}
