/* test_blob_tree.c - streams of every shape prove themselves, in any cut, and nothing else passes. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "net/blob/wire.h"

struct file { /* a blob and its outer nodes, in memory */
    uint8_t *bytes, *outer;
    uint64_t size;
    struct qn_hash id;
};

static struct file file_of(uint64_t size)
{
    struct file f = { .bytes = malloc(size + 1), .size = size };
    for (uint64_t i = 0; i < size; i++)
        f.bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    uint64_t cnt = blob_group_cnt(size);
    struct qn_hash *cv = malloc(cnt * sizeof *cv);
    f.outer = malloc(blob_outer_len(size) + 1);
    for (uint64_t i = 0; i < cnt; i++)
        cv[i] = qn_group_cv(f.bytes + i * QN_GROUP, blob_group_len(size, i), i, cnt == 1);
    blob_outer_build(cv, cnt, f.outer, &f.id);
    free(cv);
    return f;
}

static void file_free(struct file *f)
{
    free(f->bytes);
    free(f->outer);
}

static qn_rc get_node(void *self, uint64_t node, uint8_t ret[BLOB_NODE])
{
    const struct file *f = self;
    QN_ASSERT((node + 1) * BLOB_NODE <= blob_outer_len(f->size));
    memcpy(ret, f->outer + node * BLOB_NODE, BLOB_NODE);
    return QN_OK;
}

static qn_rc get_group(void *self, uint64_t group, uint8_t *dst, uint32_t len)
{
    const struct file *f = self;
    QN_ASSERT(group * QN_GROUP + len <= f->size);
    memcpy(dst, f->bytes + group * QN_GROUP, len);
    return QN_OK;
}

/* Where a stream arrives: everything it proves must be the file's. */
struct sink {
    const struct file *of;
    struct qn_test_state *t;
    uint64_t groups, nodes, last;
};

static qn_rc see_node(void *self, uint64_t node, const uint8_t bytes[BLOB_NODE])
{
    struct sink *s = self;
    struct qn_test_state *t = s->t;
    CHECK(memcmp(bytes, s->of->outer + node * BLOB_NODE, BLOB_NODE) == 0);
    s->nodes++;
    return QN_OK;
}

static qn_rc see_group(void *self, uint64_t group, struct qn_span bytes)
{
    struct sink *s = self;
    struct qn_test_state *t = s->t;
    CHECK(bytes.len == blob_group_len(s->of->size, group));
    CHECK(memcmp(bytes.ptr, s->of->bytes + group * QN_GROUP, bytes.len) == 0);
    s->groups++;
    s->last = group;
    return QN_OK;
}

static void encode(const struct file *f, const struct blob_range *range, uint32_t cnt,
                   struct qn_buf *out)
{
    struct blob_encoder *e = malloc(sizeof *e);
    const struct blob_source from = { (void *)(uintptr_t)f, get_node, get_group, NULL, NULL };
    bool more = true;
    blob_encode_init(e, &f->id, f->size, range, cnt);
    while (more)
        QN_ASSERT(blob_encode_next(e, &from, out, &more) == QN_OK);
    free(e);
}

static qn_rc decode(struct sink *to, const struct blob_range *range, uint32_t cnt,
                    struct qn_span in, size_t step, bool *ret_done)
{
    struct blob_decoder *d = malloc(sizeof *d);
    const struct blob_sink sink = { to, NULL, see_node, see_group, NULL };
    qn_rc rc = QN_OK;
    blob_decode_init(d, &to->of->id, BLOB_SIZE_MAX, range, cnt);
    for (size_t at = 0; at < in.len && rc == QN_OK; at += step)
        rc = blob_decode_put(d, QN_SPAN(in.ptr + at, QN_MIN(step, in.len - at)), &sink);
    *ret_done = blob_decode_done(d);
    free(d);
    return rc;
}

static void test_streams(struct qn_test_state *t)
{
    static const uint64_t SIZES[] = {
        0,     1,      1024,   16384,  16385,          32768,  32769,
        49152, 100000, 131072, 131073, 16384 * 13 + 5, 524288, 1048577
    };
    static const size_t STEPS[] = { 1, 7, 64, 16384, 16448, 1 << 20 };
    for (size_t n = 0; n < QN_COUNT(SIZES); n++) {
        struct file f = file_of(SIZES[n]);
        struct qn_hash want = qn_blake3(f.bytes, f.size);
        CHECK(qn_hash_eq(&f.id, &want));
        uint64_t cnt = blob_group_cnt(f.size);
        const struct blob_range all = { 0, cnt };
        for (size_t s = 0; s < QN_COUNT(STEPS); s++) {
            if (STEPS[s] < 64 && f.size > 200000) continue;
            struct qn_buf out = { 0 };
            struct sink sink = { .of = &f, .t = t };
            bool done;
            encode(&f, &all, 1, &out);
            CHECK(out.len == 8 + f.size + blob_outer_len(f.size));
            CHECK_RC(decode(&sink, &all, 1, qn_buf_get(&out), STEPS[s], &done), QN_OK);
            CHECK(done && sink.groups == cnt && sink.nodes == cnt - 1);
            if (out.len) { /* one byte less, one more */
                struct qn_span less = QN_SPAN(out.ptr, out.len - 1);
                if (f.size) {
                    CHECK_RC(decode(&sink, &all, 1, less, STEPS[s], &done), QN_OK);
                    CHECK(!done);
                }
                qn_buf_u8(&out, 0);
                CHECK_RC(decode(&sink, &all, 1, qn_buf_get(&out), STEPS[s], &done), QN_E_EXTRA);
            }
            qn_buf_free(&out);
        }
        file_free(&f);
    }
}

/* Each single group, and pairs, of shapes up to 20 groups: exactly what was asked for and the nodes above. */
static void test_ranges(struct qn_test_state *t)
{
    for (uint64_t cnt = 1; cnt <= 20; cnt++) {
        struct file f = file_of(cnt * QN_GROUP - 100);
        for (uint64_t a = 0; a < cnt; a++) {
            for (uint64_t b = a; b < cnt; b++) {
                struct blob_range range[2] = { { a, 1 }, { b, 1 } };
                uint32_t range_cnt = b > a + 1 ? 2 : 1;
                if (b == a + 1) range[0].cnt = 2;
                if (b == cnt - 1 && b != a) range[1].first = BLOB_LAST;
                struct qn_buf out = { 0 };
                struct sink sink = { .of = &f, .t = t };
                bool done;
                encode(&f, range, range_cnt, &out);
                CHECK_RC(decode(&sink, range, range_cnt, qn_buf_get(&out), 5000, &done), QN_OK);
                CHECK(done && sink.groups == (b == a ? 1 : 2) && sink.last == b);
                CHECK(sink.nodes <= 10);
                qn_buf_free(&out);
            }
        }
        file_free(&f);
    }
    struct file f = file_of(100000);
    const struct blob_range last = { BLOB_LAST, 1 };
    struct qn_buf out = { 0 };
    struct sink sink = { .of = &f, .t = t };
    bool done;
    encode(&f, &last, 1, &out);
    CHECK_RC(decode(&sink, &last, 1, qn_buf_get(&out), 100, &done), QN_OK);
    CHECK(done && sink.groups == 1 && sink.last == 6);
    qn_buf_free(&out);
    file_free(&f);
}

/* Every byte of a stream turned: none passes. */
static void test_lies(struct qn_test_state *t)
{
    struct file f = file_of(70000);
    const struct blob_range some[2] = { { 1, 1 }, { 3, 2 } };
    struct qn_buf out = { 0 };
    bool done;
    encode(&f, some, 2, &out);
    for (size_t i = 0; i < out.len; i += i < 400 ? 1 : 61) {
        struct sink sink = { .of = &f, .t = t };
        out.ptr[i] ^= 0x40;
        qn_rc rc = decode(&sink, some, 2, qn_buf_get(&out), 999, &done);
        CHECK(rc != QN_OK && !done);
        out.ptr[i] ^= 0x40;
    }
    qn_buf_free(&out);
    file_free(&f);
}

static qn_rc claim(struct qn_test_state *t, const struct file *f, uint64_t size)
{
    /* The honest nodes and groups that a liar of that size could send for the last group. */
    struct blob_decoder *d = malloc(sizeof *d);
    struct sink sink = { .of = f, .t = t };
    const struct blob_sink to = { &sink, NULL, see_node, see_group, NULL };
    const struct blob_range last = { BLOB_LAST, 1 };
    uint8_t head[8];
    memcpy(head, &size, 8);
    blob_decode_init(d, &f->id, 1 << 20, &last, 1);
    qn_rc rc = blob_decode_put(d, QN_SPAN(head, 8), &to);
    for (uint64_t node = 0; rc == QN_OK && !blob_decode_done(d) && d->walk.depth; node++) {
        const struct blob_part *p = &d->walk.part[d->walk.depth - 1];
        if (p->cnt > 1) {
            if (p->node * BLOB_NODE >= blob_outer_len(f->size)) break;
            rc = blob_decode_put(d, QN_SPAN(f->outer + p->node * BLOB_NODE, BLOB_NODE), &to);
        } else {
            uint32_t len = blob_group_len(size, p->first);
            uint64_t at = QN_MIN(p->first, blob_group_cnt(f->size) - 1) * QN_GROUP;
            uint8_t group[QN_GROUP] = { 0 };
            memcpy(group, f->bytes + at, QN_MIN((uint64_t)len, f->size - at));
            rc = blob_decode_put(d, QN_SPAN(group, len), &to);
        }
    }
    bool done = blob_decode_done(d);
    free(d);
    return rc ? rc : done ? QN_OK : QN_E_AGAIN;
}

static void test_sizes(struct qn_test_state *t)
{
    struct file f = file_of(QN_GROUP * 5 + 100);
    CHECK_RC(claim(t, &f, f.size), QN_OK);
    for (uint64_t size = 0; size < QN_GROUP * 12; size += size < 3000 ? 33 : 4057)
        CHECK(claim(t, &f, size) != QN_OK);
    CHECK(claim(t, &f, f.size - 1) != QN_OK);
    CHECK(claim(t, &f, f.size + 1) != QN_OK);
    CHECK_RC(claim(t, &f, (1 << 20) + 1), QN_E_RANGE);
    CHECK_RC(claim(t, &f, UINT64_MAX), QN_E_RANGE);
    file_free(&f);
}

/* A disk that turned a bit: the sender notices, and sends what comes before it only. */
static void test_rot(struct qn_test_state *t)
{
    struct file f = file_of(100000);
    struct blob_encoder *e = malloc(sizeof *e);
    const struct blob_source from = { &f, get_node, get_group, NULL, NULL };
    const struct blob_range all = { 0, 7 };
    struct qn_buf out = { 0 };
    bool more = true;
    f.bytes[50000] ^= 1;
    blob_encode_init(e, &f.id, f.size, &all, 1);
    qn_rc rc = QN_OK;
    while (rc == QN_OK && more)
        rc = blob_encode_next(e, &from, &out, &more);
    CHECK(rc == QN_E_CORRUPT);
    CHECK(out.len < 8 + 6 * BLOB_NODE + 50000);
    qn_buf_free(&out);
    free(e);
    file_free(&f);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_streams);
    TEST(test_ranges);
    TEST(test_lies);
    TEST(test_sizes);
    TEST(test_rot);
    return TEST_END();
}
