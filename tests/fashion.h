/* fashion.h - for tests and benches: the real images as data set blobs, and a perceptron trained on them by the
 * product's own train step. */
#ifndef QN_TESTS_FASHION_H
#define QN_TESTS_FASHION_H

#include "gpu/graph/images.h"
#include "gpu/graph/mlp.h"
#include "gpu/graph/run.h"
#include "gpu/graph/weights.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define FASHION "/usr/share/datasets/fashion-mnist/"

/* fashion_load appends a blob of the first cnt images of "train" or "t10k"; false when they are not installed. */
static inline bool fashion_load(const char *part, uint32_t cnt, struct qn_buf *ret)
{
    char path[128];
    uint8_t head[16];
    snprintf(path, sizeof path, FASHION "%s-images-idx3-ubyte.gz", part);
    gzFile images = gzopen(path, "rb");
    snprintf(path, sizeof path, FASHION "%s-labels-idx1-ubyte.gz", part);
    gzFile labels = gzopen(path, "rb");
    bool ok = images && labels && gzread(images, head, 16) == 16 && gzread(labels, head, 8) == 8;
    if (ok) {
        const uint32_t words[] = { 0x53444e51, 1, 800, cnt, 28, 28, 1, 0, 784, 10 };
        for (size_t i = 0; i < QN_COUNT(words); i++)
            qn_buf_u32(ret, words[i]);
        memset(qn_buf_grow(ret, 24), 0, 24);
    }
    for (uint32_t i = 0; ok && i < cnt; i++) {
        uint8_t *rec = qn_buf_grow(ret, 800);
        memset(rec, 0, 800);
        ok = gzread(images, rec, 784) == 784 && gzread(labels, rec + 784, 1) == 1;
    }
    if (images) gzclose(images);
    if (labels) gzclose(labels);
    return ok;
}

/* fashion_train appends the weights blob of a 784-128-10 perceptron after so many steps of 64 images; 0 steps: as it
 * was drawn from seed. */
static inline void fashion_train(const struct images *set, uint32_t steps, uint64_t seed,
                                 struct qn_buf *ret)
{
    static const char *const NAMES[] = { "w0", "b0", "w1", "b1" };
    struct qn_arena arena = { 0 };
    struct graph graph;
    struct graph_run *run = NULL;
    struct graph_mlp opt = graph_mlp_default(steps ? steps : 1);
    struct graph_run_opt how = { 0 };
    struct weights w = { .tensor_cnt = 4 };
    qn_rc rc = graph_mlp(&opt, &arena, &graph, NULL);
    if (rc == QN_OK) rc = graph_run_new(&graph, &how, &run, NULL);
    QN_ASSERT(rc == QN_OK);
    graph_run_init(run, seed);
    for (uint32_t s = 0; s < steps; s++) {
        struct graph_result result;
        uint32_t first = s * 64 % (set->rec_cnt - 63);
        struct graph_records rec = { images_values(set, first), set->rec_bytes, set->rec_bytes,
                                     64 };
        rc = graph_run_step(run, s, &rec, &result, NULL);
        QN_ASSERT(rc == QN_OK);
    }
    for (uint32_t i = 0; i < 4; i++) {
        const struct graph_node *node = &graph.node.ptr[graph.next.ptr[i].state];
        struct weights_tensor *t = &w.tensor[i];
        snprintf(t->name, sizeof t->name, "%s", NAMES[i]);
        t->rank = i % 2 ? 1 : 2;
        t->dims[0] = i % 2 ? node->cols : node->rows;
        t->dims[1] = node->cols;
        t->cnt = (size_t)node->rows * node->cols;
        t->v = graph_run_state(run, graph.next.ptr[i].state);
    }
    weights_put(&w, ret);
    graph_run_free(run);
    qn_arena_free(&arena);
}

#endif
