/* test_chunk.c - every chunk of contents of many lengths proves itself, and nothing else does. */
#include "core/base/test.h"
#include "core/crypto/chunk.h"

#include <stdlib.h>

static void one_length(struct qn_test_state *t, const uint8_t *src, uint64_t len)
{
    uint64_t cnt = (len + QN_CHUNK - 1) / QN_CHUNK;
    struct qn_hash cvs[40], path[QN_CHUNK_PATH_MAX + 1], root = qn_blake3(src, len);
    qn_chunk_cvs(src, len, cvs);
    for (uint64_t i = 0; i < cnt; i++) {
        uint32_t n = qn_chunk_path(cvs, cnt, i, path);
        struct qn_span chunk =
            QN_SPAN(src + i * QN_CHUNK, QN_MIN((uint64_t)QN_CHUNK, len - i * QN_CHUNK));
        CHECK(qn_chunk_check(&root, len, i, chunk, path, n));
        CHECK(!qn_chunk_check(&root, len, i ^ 1, chunk, path, n));
        CHECK(!qn_chunk_check(&root, len, i + cnt, chunk, path, n));
        CHECK(!qn_chunk_check(&root, len, i, QN_SPAN(chunk.ptr, chunk.len - 1), path, n));
        CHECK(!qn_chunk_check(&root, len, i, chunk, path, n + 1));
        if (n) CHECK(!qn_chunk_check(&root, len, i, chunk, path, n - 1));
        if (n) {
            path[n - 1].b[7] ^= 1;
            CHECK(!qn_chunk_check(&root, len, i, chunk, path, n));
        }
        uint8_t copy[QN_CHUNK];
        memcpy(copy, chunk.ptr, chunk.len);
        copy[chunk.len / 2] ^= 4;
        n = qn_chunk_path(cvs, cnt, i, path);
        CHECK(!qn_chunk_check(&root, len, i, QN_SPAN(copy, chunk.len), path, n));
    }
}

static void test_lengths(struct qn_test_state *t)
{
    const uint64_t lens[] = { 1,    64,   1023, 1024,  1025,  2048, 3000,
                              4096, 5121, 7168, 17000, 32768, 33000 };
    uint8_t *src = malloc(33000);
    for (size_t i = 0; i < 33000; i++)
        src[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < QN_COUNT(lens); i++)
        one_length(t, src, lens[i]);
    free(src);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_lengths);
    return TEST_END();
}
