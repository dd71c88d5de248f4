/* test_blob_wire.c - requests, frames in any cut, have-lists; and the ways to get them wrong. */
#include "core/base/test.h"
#include "net/blob/wire.h"

static qn_rc ask(const struct blob_range *range, uint32_t cnt, struct blob_ask *ret)
{
    struct blob_ask in = { .id = { { 3 } }, .range_cnt = cnt };
    struct qn_buf buf = { 0 };
    memcpy(in.range, range, cnt * sizeof *range);
    blob_ask_put(&in, &buf);
    QN_ASSERT(buf.len <= BLOB_ASK_MAX);
    qn_rc rc = blob_ask_get(qn_buf_get(&buf), ret);
    qn_buf_free(&buf);
    return rc;
}

static void test_ask(struct qn_test_state *t)
{
    struct blob_ask got;
    CHECK_RC(ask((struct blob_range[]){ { 0, 1 }, { 2, 5 }, { BLOB_LAST, 1 } }, 3, &got), QN_OK);
    CHECK(got.range_cnt == 3 && got.range[1].cnt == 5 && got.range[2].first == BLOB_LAST);
    CHECK_RC(ask((struct blob_range[]){ { 0, BLOB_ASK_GROUPS } }, 1, &got), QN_OK);
    CHECK_RC(ask((struct blob_range[]){ { 0, BLOB_ASK_GROUPS + 1 } }, 1, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { 0, 1000 }, { 2000, 25 } }, 2, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { 0, 0 } }, 1, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { 5, 1 }, { 4, 1 } }, 2, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { 5, 2 }, { 6, 1 } }, 2, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { 5, 2 }, { 7, 1 } }, 2, &got), QN_E_RANGE); /* touches */
    CHECK_RC(ask((struct blob_range[]){ { BLOB_LAST, 1 }, { 0, 1 } }, 2, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { BLOB_LAST, 1 }, { BLOB_LAST, 1 } }, 2, &got), QN_E_RANGE);
    CHECK_RC(ask((struct blob_range[]){ { UINT64_MAX - 3, 9 }, { 4, 1 } }, 2, &got), QN_E_RANGE);
    struct qn_buf buf = { 0 };
    struct qn_hash id = { { 9 } }, back;
    blob_ask_put(&(struct blob_ask){ .range_cnt = 1, .range = { { 1, 1 } } }, &buf);
    for (size_t cut = 0; cut < buf.len; cut++)
        CHECK_RC(blob_ask_get(QN_SPAN(buf.ptr, cut), &got), QN_E_SHORT);
    qn_buf_u8(&buf, 0);
    CHECK_RC(blob_ask_get(qn_buf_get(&buf), &got), QN_E_EXTRA);
    qn_buf_clear(&buf);
    blob_have_ask_put(&id, &buf);
    CHECK_RC(blob_have_ask_get(qn_buf_get(&buf), &back), QN_OK);
    CHECK(qn_hash_eq(&id, &back));
    buf.ptr[0] = 31;
    CHECK_RC(blob_have_ask_get(qn_buf_get(&buf), &back), QN_E_RANGE);
    qn_buf_free(&buf);
}

static void test_frames(struct qn_test_state *t)
{
    struct qn_buf buf = { 0 };
    uint8_t big[3000];
    memset(big, 7, sizeof big);
    blob_frame_put(BLOB_OK, QN_SPAN(big, sizeof big), &buf);
    blob_frame_put(BLOB_OK, QN_SPAN(NULL, 0), &buf);
    blob_frame_put(BLOB_ABSENT, QN_SPAN_STR("not here"), &buf);
    for (size_t step = 1; step < 4000; step = step * 3 + 1) {
        struct blob_frames f = { 0 };
        size_t got[5] = { 0 }, lasts = 0;
        for (size_t at = 0; at < buf.len; at += step) {
            struct qn_span in = QN_SPAN(buf.ptr + at, QN_MIN(step, buf.len - at)), part;
            enum blob_code code;
            bool last;
            qn_rc rc;
            while ((rc = blob_frames_next(&f, &in, &code, &part, &last)) == QN_OK) {
                got[code] += part.len;
                lasts += last;
            }
            CHECK_RC(rc, QN_E_AGAIN);
            CHECK(in.len == 0);
        }
        CHECK(got[BLOB_OK] == sizeof big && got[BLOB_ABSENT] == 8 && lasts == 3);
        CHECK(blob_frames_idle(&f));
    }
    struct blob_frames f = { 0 };
    enum blob_code code;
    bool last;
    struct qn_span part, in = QN_SPAN("\5\0\0\0\0", 5);
    CHECK_RC(blob_frames_next(&f, &in, &code, &part, &last), QN_E_RANGE);
    f = (struct blob_frames){ 0 };
    in = QN_SPAN("\0\1\0\1\0", 5); /* 65,537 */
    CHECK_RC(blob_frames_next(&f, &in, &code, &part, &last), QN_E_RANGE);
    qn_buf_free(&buf);
}

static void test_have(struct qn_test_state *t)
{
    struct qn_buf buf = { 0 };
    struct blob_have have;
    const uint8_t bits[2] = { 0xa5, 0x03 };
    const uint64_t size = 9 * (uint64_t)BLOB_PIECE + 1; /* ten pieces */
    blob_have_put(size, bits, &buf);
    CHECK_RC(blob_have_get(qn_buf_get(&buf), BLOB_SIZE_MAX, &have), QN_OK);
    CHECK(!have.news && have.size == size && memcmp(have.bits, bits, 2) == 0);
    CHECK_RC(blob_have_get(qn_buf_get(&buf), size - 1, &have), QN_E_RANGE);
    CHECK_RC(blob_have_get(QN_SPAN(buf.ptr, buf.len - 1), size, &have), QN_E_SHORT);
    buf.ptr[buf.len - 1] = 4; /* an eleventh */
    CHECK_RC(blob_have_get(qn_buf_get(&buf), size, &have), QN_E_FORMAT);
    qn_buf_clear(&buf);
    blob_news_put((const uint32_t[]){ 4, 9 }, 2, &buf);
    CHECK_RC(blob_have_get(qn_buf_get(&buf), size, &have), QN_OK);
    CHECK(have.news && have.cnt == 2);
    CHECK_RC(blob_have_get(QN_SPAN(buf.ptr, 1), size, &have), QN_E_RANGE);
    CHECK_RC(blob_have_get(QN_SPAN(buf.ptr, 4), size, &have), QN_E_RANGE);
    CHECK_RC(blob_have_get(QN_SPAN("\2", 1), size, &have), QN_E_FORMAT);
    qn_buf_free(&buf);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_ask);
    TEST(test_frames);
    TEST(test_have);
    return TEST_END();
}
