/* test_chunk.c - every chunk of contents of many lengths proves itself, and nothing else does. */
#include "core/base/test.h"
#include "core/crypto/blake3.h"
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

/* Groups joined by hand are the hash, whatever the length; and so is one stream cut anywhere: wide and narrow steps meet. */
static void test_groups(struct qn_test_state *t)
{
    const size_t max = 10 * QN_GROUP - 100;
    uint8_t *src = malloc(max);
    for (size_t i = 0; i < max; i++)
        src[i] = (uint8_t)(i * 151 >> 5);
    for (size_t len = 0; len <= max; len = len < 3000 ? len + 251 : len + 1021) {
        struct qn_hash cvs[10], want = qn_blake3(src, len);
        size_t cnt = len ? (len + QN_GROUP - 1) / QN_GROUP : 1;
        for (size_t i = 0; i < cnt; i++)
            cvs[i] = qn_group_cv(src + i * QN_GROUP, QN_MIN((size_t)QN_GROUP, len - i * QN_GROUP),
                                 i, cnt == 1);
        struct qn_hash side[10];
        size_t whole = len / QN_GROUP;
        qn_group_cvs(src, whole, 0, side);
        CHECK(cnt == 1 || memcmp(side, cvs, whole * sizeof *cvs) == 0);
        for (; cnt > 1; cnt = (cnt + 1) / 2)
            for (size_t i = 0; i < cnt; i += 2)
                cvs[i / 2] = i + 1 < cnt ? qn_parent_cv(&cvs[i], &cvs[i + 1], cnt == 2) : cvs[i];
        CHECK(qn_hash_eq(&cvs[0], &want));
        struct qn_hasher h;
        qn_hasher_init(&h);
        size_t cut = len * 7 / 13;
        qn_hasher_put(&h, src, cut);
        qn_hasher_put(&h, src + cut, len - cut);
        struct qn_hash got = qn_hasher_end(&h);
        CHECK(qn_hash_eq(&got, &want));
        qn_hasher_init(&h); /* never wide */
        for (size_t at = 0; at < len; at += 4096)
            qn_hasher_put(&h, src + at, QN_MIN((size_t)4096, len - at));
        got = qn_hasher_end(&h);
        CHECK(qn_hash_eq(&got, &want));
    }
    free(src);
}

/* Lanes count their chunks past 2^32, where a file has four tebibytes. */
static void test_counter(struct qn_test_state *t)
{
    uint8_t *src = malloc(32 * QN_CHUNK);
    struct qn_hash many[32], one;
    for (size_t i = 0; i < 32 * QN_CHUNK; i++)
        src[i] = (uint8_t)(i * 17 >> 3);
    for (uint64_t first = (UINT64_C(1) << 32) - 20; first < (UINT64_C(1) << 32) + 2; first += 3) {
        qn_b3_chunks(QN_B3_IV, 0, src, first, 32, many);
        for (uint64_t i = 0; i < 32; i++) {
            qn_b3_chunks(QN_B3_IV, 0, src + i * QN_CHUNK, first + i, 1, &one);
            CHECK(qn_hash_eq(&one, &many[i]));
        }
    }
    free(src);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_lengths);
    TEST(test_groups);
    TEST(test_counter);
    return TEST_END();
}
