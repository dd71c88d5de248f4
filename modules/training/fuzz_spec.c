/* fuzz_spec.c - a manifest's job from any text: its members, its graph, the figures of its data set. */
#include "modules/training/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 16u << 20 };
    const struct dataset set = { .rec_bytes = 16, .rec_cnt = 3 };
    struct qn_hash hash;
    struct graph g;
    uint64_t num;
    json_t *job = json_loadb((const char *)data, size, 0, NULL);
    if (spec_graph(job, &arena, &g, NULL) == QN_OK) QN_ASSERT(graph_check(&g, NULL) == QN_OK);
    if (spec_num(job, "steps", 1000, &num, NULL) == QN_OK) QN_ASSERT(num <= 1000);
    if (spec_data_fits(job, &set, NULL) == QN_OK)
        QN_ASSERT(spec_num(job, "rec_cnt", 3, &num, NULL) == QN_OK && num == 3);
    qn_rc rc = spec_hash(job, "order", &hash, NULL);
    (void)rc;
    json_decref(job);
    qn_arena_free(&arena);
    return 0;
}
