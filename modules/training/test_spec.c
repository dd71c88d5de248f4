/* test_spec.c - what a worker refuses before it starts. */
#include "core/base/test.h"
#include "modules/training/spec.h"

static void test_members(struct qn_test_state *t)
{
    const struct dataset set = { .rec_bytes = 800, .rec_cnt = 60000 };
    json_t *job = json_pack("{s:I, s:s, s:s, s:i, s:s}", "rec_bytes", (json_int_t)800, "rec_cnt",
                            "60000", "order", "00ff", "seg", -1, "graph", "0102");
    struct qn_arena arena = { 0 };
    struct qn_hash hash;
    struct graph g;
    uint64_t num;
    CHECK_RC(spec_data_fits(job, &set, NULL), QN_OK);
    json_object_set_new(job, "rec_cnt", json_integer(59999)); /* the registry told something else */
    CHECK_RC(spec_data_fits(job, &set, NULL), QN_E_CHECK);
    json_object_set_new(job, "rec_cnt", json_string("6e4"));
    CHECK_RC(spec_data_fits(job, &set, NULL), QN_E_FORMAT);
    CHECK_RC(spec_num(job, "seg", 10, &num, NULL), QN_E_FORMAT);
    CHECK_RC(spec_num(job, "rec_bytes", 799, &num, NULL), QN_E_RANGE);
    CHECK_RC(spec_num(job, "absent", 799, &num, NULL), QN_E_FORMAT);
    CHECK_RC(spec_hash(job, "order", &hash, NULL), QN_E_FORMAT);
    CHECK_RC(spec_graph(job, &arena, &g, NULL), QN_E_SHORT);
    json_decref(job);
    qn_arena_free(&arena);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_members);
    return TEST_END();
}
