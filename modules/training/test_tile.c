/* test_tile.c - tiles, trees, paths; the layouts of a trace. */
#include "core/base/test.h"
#include "modules/training/trace.h"

#include <stdlib.h>

static void test_tree(struct qn_test_state *t)
{
    struct qn_hash leaves[41], path[TREE_DEPTH_MAX + 1], level[41];
    for (uint32_t i = 0; i < QN_COUNT(leaves); i++)
        leaves[i] = qn_blake3(&i, sizeof i);
    CHECK(tree_height(1) == 0 && tree_height(2) == 1 && tree_height(3) == 2 &&
          tree_height(392) == 9);
    for (uint32_t cnt = 1; cnt <= QN_COUNT(leaves); cnt++) {
        struct qn_hash root = tree_root(leaves, cnt);
        for (uint32_t i = 0; i < cnt; i++) {
            uint32_t n = tree_path(leaves, cnt, i, path);
            CHECK(tree_check(&root, cnt, i, &leaves[i], path, n));
            CHECK(!tree_check(&root, cnt, i, &leaves[(i + 1) % 41], path, n));
            CHECK(!tree_check(&root, cnt, i, &leaves[i], path, n + 1));
            CHECK(!tree_check(&root, cnt, cnt, &leaves[i], path, n));
            if (n) CHECK(!tree_check(&root, cnt, i, &leaves[i], path, n - 1));
            if (n) CHECK(!tree_check(&root, cnt, i ^ 1, &leaves[i], path, n));
        }
        /* a subtree is a tree of its own: what the game narrows through */
        for (uint32_t up = 0; up <= tree_height(cnt); up++) {
            memcpy(level, leaves, sizeof leaves);
            uint32_t got = tree_up(level, cnt, up);
            CHECK(got == tree_level_cnt(cnt, up));
            for (uint32_t i = 0; i < got; i++) {
                uint32_t first = i << up, len = QN_MIN(UINT32_C(1) << up, cnt - first);
                struct qn_hash sub = tree_root(leaves + first, len);
                CHECK(qn_hash_eq(&sub, &level[i]));
            }
        }
    }
}

static void test_tiles(struct qn_test_state *t)
{
    const uint32_t shapes[][2] = { { 1, 1 },     { 16, 16 }, { 17, 33 },
                                   { 784, 128 }, { 64, 10 }, { 3, 200 } };
    for (size_t s = 0; s < QN_COUNT(shapes); s++) {
        uint32_t rows = shapes[s][0], cols = shapes[s][1],
                 cnt = graph_tiles(rows) * graph_tiles(cols);
        float *src = malloc(sizeof *src * rows * cols),
              *back = calloc(sizeof *back, (size_t)rows * cols);
        struct qn_hash *leaves = malloc(sizeof *leaves * cnt);
        for (uint32_t i = 0; i < rows * cols; i++)
            src[i] = (float)i * 0.5f;
        tile_hashes(src, rows, cols, leaves);
        for (uint32_t i = 0; i < cnt; i++) {
            struct graph_tile tile;
            tile_get(src, rows, cols, i, &tile);
            struct qn_hash h = tile_hash(&tile);
            CHECK(qn_hash_eq(&h, &leaves[i]));
            tile_put(back, rows, cols, i, &tile);
        }
        CHECK(memcmp(src, back, sizeof *src * rows * cols) == 0);
        struct qn_hash root = tile_root(src, rows, cols), same = tree_root(leaves, cnt);
        CHECK(qn_hash_eq(&root, &same));
        uint32_t bits;
        memcpy(&bits, &src[rows * cols - 1], 4);
        bits ^= 1; /* one ulp in the last element */
        memcpy(&src[rows * cols - 1], &bits, 4);
        struct qn_hash other = tile_root(src, rows, cols);
        CHECK(!qn_hash_eq(&root, &other));
        free(src);
        free(back);
        free(leaves);
    }
}

static void test_layout(struct qn_test_state *t)
{
    struct trace_segment seg = { .seg = 7, .flags = 0 }, seg2;
    struct trace_step step = { .step = 99, .loss = 0x3f800000, .gnorm = 5 }, step2;
    uint8_t a[TRACE_SEGMENT_BYTES], b[TRACE_STEP_BYTES];
    seg.from = qn_blake3("f", 1), seg.to = qn_blake3("t", 1), seg.steps = qn_blake3("s", 1),
    seg.wit = qn_blake3("w", 1);
    step.batch_root = qn_blake3("b", 1), step.chain = qn_blake3("c", 1);
    trace_segment_put(&seg, a);
    trace_segment_get(a, &seg2);
    CHECK(memcmp(&seg, &seg2, sizeof seg) == 0 && a[0] == 7);
    trace_step_put(&step, b);
    trace_step_get(b, &step2);
    CHECK(step2.step == 99 && step2.loss == step.loss && step2.gnorm == 5);
    CHECK(qn_hash_eq(&step2.batch_root, &step.batch_root) && qn_hash_eq(&step2.chain, &step.chain));
    CHECK(trace_seg_len(UINT64_C(12) * 101770, 64) == 36); /* 784-128-10, Adam, batch 64 */
    CHECK(trace_seg_len(UINT64_C(1) << 30, 64) == 250 && trace_seg_len(1, 1) == 2300);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_tree);
    TEST(test_tiles);
    TEST(test_layout);
    return TEST_END();
}
