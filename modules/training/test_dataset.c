/* test_dataset.c - IDX and QNDS: the real images where they are, and every way a file can be off. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/env/env.h"
#include "modules/training/dataset.h"
#include "modules/training/idx.h"

#include <zlib.h>

#define REAL "/usr/share/datasets/fashion-mnist/"

static void put_idx(struct qn_buf *buf, uint32_t rank, const uint32_t *dims, size_t bytes)
{
    const uint8_t head[] = { 0, 0, 8, (uint8_t)rank };
    qn_buf_put(buf, head, 4);
    for (uint32_t i = 0; i < rank; i++) {
        const uint8_t be[] = { (uint8_t)(dims[i] >> 24), (uint8_t)(dims[i] >> 16),
                               (uint8_t)(dims[i] >> 8), (uint8_t)dims[i] };
        qn_buf_put(buf, be, 4);
    }
    for (size_t i = 0; i < bytes; i++)
        qn_buf_u8(buf, (uint8_t)(i % 7));
}

static void test_idx(struct qn_test_state *t)
{
    const uint32_t dims[] = { 5, 3, 2 }, huge[] = { 0xffffffff, 0xffffffff, 0xffffffff },
                   none[] = { 0, 1, 1 };
    struct qn_buf b = { 0 };
    struct idx x;
    put_idx(&b, 3, dims, 30);
    CHECK_RC(idx_parse(qn_buf_get(&b), &x, NULL), QN_OK);
    CHECK(x.rank == 3 && x.rec_len == 6 && x.bytes.len == 30);
    for (size_t cut = 0; cut < b.len; cut++)
        CHECK_RC(idx_parse(QN_SPAN(b.ptr, cut), &x, NULL), QN_E_SHORT);
    qn_buf_u8(&b, 0);
    CHECK_RC(idx_parse(qn_buf_get(&b), &x, NULL), QN_E_EXTRA);
    b.ptr[2] = 0x0d; /* floats */
    CHECK_RC(idx_parse(qn_buf_get(&b), &x, NULL), QN_E_FORMAT);
    qn_buf_clear(&b);
    put_idx(&b, 3, huge, 100);
    CHECK_RC(idx_parse(qn_buf_get(&b), &x, NULL), QN_E_SHORT);
    qn_buf_clear(&b);
    put_idx(&b, 3, none, 0);
    CHECK_RC(idx_parse(qn_buf_get(&b), &x, NULL), QN_E_RANGE);
    qn_buf_free(&b);
}

static void test_gzip(struct qn_test_state *t)
{
    uint8_t plain[5000], packed[6000];
    struct qn_buf out = { 0 };
    memset(plain, 'x', sizeof plain);
    z_stream z = { 0 };
    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = plain;
    z.avail_in = sizeof plain;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    size_t len = z.total_out;
    deflateEnd(&z);
    CHECK_RC(idx_gunzip(QN_SPAN(packed, len), 5000, &out, NULL), QN_OK);
    CHECK(out.len == 5000 && memcmp(out.ptr, plain, 5000) == 0);
    for (size_t cut = 2; cut < len; cut++) {
        qn_buf_clear(&out);
        CHECK_RC(idx_gunzip(QN_SPAN(packed, cut), 5000, &out, NULL), QN_E_SHORT);
    }
    qn_buf_clear(&out);
    CHECK_RC(idx_gunzip(QN_SPAN(packed, len), 4999, &out, NULL),
             QN_E_TOOBIG); /* a bomb stops at the limit */
    qn_buf_clear(&out);
    CHECK_RC(idx_gunzip(QN_SPAN(packed, len + 1), 5000, &out, NULL), QN_E_EXTRA);
    packed[len - 5] ^= 1; /* the checksum */
    qn_buf_clear(&out);
    CHECK_RC(idx_gunzip(QN_SPAN(packed, len), 5000, &out, NULL), QN_E_FORMAT);
    qn_buf_free(&out);
}

static void test_build(struct qn_test_state *t)
{
    const uint32_t dims[] = { 5, 3, 2 }, cnt[] = { 5 }, other[] = { 4 };
    struct qn_buf x = { 0 }, y = { 0 }, few = { 0 }, blob = { 0 };
    struct dataset d;
    put_idx(&x, 3, dims, 30);
    put_idx(&y, 1, cnt, 5);
    put_idx(&few, 1, other, 4);
    CHECK_RC(dataset_build(qn_buf_get(&x), qn_buf_get(&few), &blob, NULL), QN_E_RANGE);
    CHECK_RC(dataset_build(qn_buf_get(&x), qn_buf_get(&x), &blob, NULL), QN_E_FORMAT);
    CHECK_RC(dataset_build(qn_buf_get(&x), qn_buf_get(&y), &blob, NULL), QN_OK);
    CHECK_RC(dataset_open(qn_buf_get(&blob), &d, NULL), QN_OK);
    CHECK(d.rec_bytes == 16 && d.rec_cnt == 5 && d.value_cnt == 6 && d.label_off == 6 &&
          d.class_cnt == 5);
    CHECK(d.recs.ptr[16 * 3 + 6] == 3 && d.recs.ptr[16 * 3] == 18 % 7);
    for (size_t cut = 0; cut < blob.len; cut++)
        CHECK_RC(dataset_open(QN_SPAN(blob.ptr, cut), &d, NULL), QN_E_SHORT);
    uint8_t keep = blob.ptr[64 + 6];
    blob.ptr[64 + 6] = 5; /* a label that is no class */
    CHECK_RC(dataset_open(qn_buf_get(&blob), &d, NULL), QN_E_RANGE);
    blob.ptr[64 + 6] = keep;
    blob.ptr[60] = 1;
    CHECK_RC(dataset_open(qn_buf_get(&blob), &d, NULL), QN_E_FORMAT);
    qn_buf_free(&x);
    qn_buf_free(&y);
    qn_buf_free(&few);
    qn_buf_free(&blob);
}

/* The 10,000 images of Debian's dataset-fashion-mnist, and their hash as this code names them. */
static void test_real(struct qn_test_state *t)
{
    struct qn_buf xz = { 0 }, yz = { 0 }, x = { 0 }, y = { 0 }, blob = { 0 };
    struct dataset d;
    if (qn_file_read(REAL "t10k-images-idx3-ubyte.gz", 1u << 30, &xz, NULL)) {
        printf("skipped: no %s (Debian package dataset-fashion-mnist)\n", REAL);
        return;
    }
    CHECK_RC(qn_file_read(REAL "t10k-labels-idx1-ubyte.gz", 1u << 30, &yz, NULL), QN_OK);
    CHECK_RC(idx_gunzip(qn_buf_get(&xz), 1u << 30, &x, NULL), QN_OK);
    CHECK_RC(idx_gunzip(qn_buf_get(&yz), 1u << 30, &y, NULL), QN_OK);
    CHECK_RC(dataset_build(qn_buf_get(&x), qn_buf_get(&y), &blob, NULL), QN_OK);
    CHECK_RC(dataset_open(qn_buf_get(&blob), &d, NULL), QN_OK);
    CHECK(d.rec_cnt == 10000 && d.rec_bytes == 800 && d.class_cnt == 10 && d.dims[0] == 28 &&
          d.dims[2] == 1);
    uint32_t of_class[10] = { 0 };
    for (size_t i = 0; i < d.rec_cnt; i++)
        of_class[d.recs.ptr[i * 800 + 784]]++;
    for (int c = 0; c < 10; c++)
        CHECK(of_class[c] == 1000);
    qn_buf_free(&xz);
    qn_buf_free(&yz);
    qn_buf_free(&x);
    qn_buf_free(&y);
    qn_buf_free(&blob);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_idx);
    TEST(test_gzip);
    TEST(test_build);
    TEST(test_real);
    return TEST_END();
}
