/* test_int8.c - the written rule against itself computed otherwise, the batch against the reference. */
#include "gpu/graph/int8_batch.h"

#include "core/base/test.h"

#include <stdlib.h>

static uint32_t rnd(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

/* floor((m acc + 2^(s-1)) / 2^s) by division that truncates. */
static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && a < 0);
}

static void test_round(struct qn_test_state *t)
{
    const int32_t acc[] = { 0, 1, -1, 127, 128, -127, -128, -129, 12700000, INT32_MAX, INT32_MIN };
    size_t bad = 0;
    for (int32_t m = 1; m <= INT8_M_MAX; m++)
        for (uint8_t s = 1; s <= INT8_S_MAX; s++)
            for (int32_t i = -70; i < 70 + (int32_t)QN_COUNT(acc); i++) {
                int32_t a = i < 70 ? i * (1 << (s - 1)) / 3 : acc[i - 70];
                int64_t q = floor_div((int64_t)m * a + (1 << (s - 1)), 1 << s);
                int64_t y = q < -128 ? -128 : q > 127 ? 127 : q, r = q < 0 ? 0 : y;
                bad += int8_round(a, m, s) != q || int8_requant(a, m, s, false) != y ||
                       int8_requant(a, m, s, true) != r;
            }
    CHECK(bad == 0);
    /* Half rounds up, on both sides of zero. */
    CHECK(int8_requant(2, 1, 2, false) == 1 && int8_requant(-2, 1, 2, false) == 0);
    CHECK(int8_requant(6, 1, 2, false) == 2 && int8_requant(-6, 1, 2, false) == -1);
    CHECK(int8_requant(-3, 1, 2, false) == -1 && int8_requant(-3, 1, 2, true) == 0);
}

struct net {
    struct qn_arena arena;
    struct int8_model model;
};

static void net_make(struct net *net, const uint32_t *dims, uint32_t layer_cnt, uint32_t seed,
                     bool extreme)
{
    *net = (struct net){ .model.layer_cnt = layer_cnt };
    for (uint32_t l = 0; l < layer_cnt; l++) {
        uint32_t in = dims[l], out = dims[l + 1];
        int8_t *w = qn_arena_alloc(&net->arena, (size_t)in * out);
        int32_t *bias = qn_arena_alloc(&net->arena, 4 * (size_t)out);
        for (size_t i = 0; i < (size_t)in * out; i++)
            w[i] = extreme ? INT8_MIN : (int8_t)(rnd(&seed) & 255);
        for (uint32_t i = 0; i < out; i++)
            bias[i] = (int32_t)(rnd(&seed) % 200001) - 100000;
        net->model.layer[l] =
            (struct int8_layer){ in,
                                 out,
                                 w,
                                 bias,
                                 extreme ? INT8_M_MAX : 1 + (int32_t)(rnd(&seed) % 3),
                                 (uint8_t)(7 + rnd(&seed) % 8),
                                 l + 1 < layer_cnt };
    }
}

static void run_both(struct qn_test_state *t, const struct net *net, uint32_t cnt, uint32_t seed)
{
    const struct int8_model *m = &net->model;
    uint32_t in = int8_model_in(m), out = int8_model_out(m);
    int8_t *x = malloc((size_t)cnt * in), *want = malloc((size_t)cnt * out),
           *got = malloc((size_t)cnt * out);
    size_t build_cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&build_cnt);
    QN_ASSERT(x && want && got);
    CHECK_RC(int8_model_check(m, NULL), QN_OK);
    for (size_t i = 0; i < (size_t)cnt * in; i++)
        x[i] = (int8_t)(rnd(&seed) & 255);
    for (uint32_t i = 0; i < cnt; i++)
        CHECK_RC(int8_run(m, x + (size_t)i * in, want + (size_t)i * out), QN_OK);
    for (size_t b = 0; b < build_cnt; b++) {
        struct int8_batch batch;
        if (!builds[b]->runs()) continue;
        memset(got, 0x55, (size_t)cnt * out);
        CHECK_RC(int8_batch_init(&batch, m, builds[b]), QN_OK);
        CHECK_RC(int8_batch_run(&batch, x, cnt, got), QN_OK);
        CHECK(memcmp(got, want, (size_t)cnt * out) == 0);
        int8_batch_fini(&batch);
    }
    free(x);
    free(want);
    free(got);
}

static void test_batch(struct qn_test_state *t)
{
    static const uint32_t SHAPES[][4] = {
        { 784, 128, 10, 0 }, { 1, 1, 1, 1 }, { 17, 33, 5, 3 }, { 64, 10, 0, 0 }
    };
    for (size_t s = 0; s < QN_COUNT(SHAPES); s++) {
        uint32_t layers = 1;
        struct net net;
        while (layers < 3 && SHAPES[s][layers + 1])
            layers++;
        net_make(&net, SHAPES[s], layers, 99 + (uint32_t)s, false);
        run_both(t, &net, s == 0 ? 301 : 7, 5);
        qn_arena_free(&net.arena);
    }
    static const uint32_t DEEP[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
    struct net net;
    net_make(&net, DEEP, INT8_LAYER_MAX, 3, false);
    run_both(t, &net, 600, 6);
    qn_arena_free(&net.arena);
    static const uint32_t WIDE[] = { 65536, 2, 3 }; /* m * acc leaves 32 bits: the other path */
    net_make(&net, WIDE, 2, 4, true);
    run_both(t, &net, 3, 7);
    qn_arena_free(&net.arena);
}

static void test_check(struct qn_test_state *t)
{
    static const uint32_t DIMS[] = { 20, 6, 4 };
    struct net net;
    struct int8_model m;
    net_make(&net, DIMS, 2, 1, false);
    m = net.model;
    CHECK_RC(int8_model_check(&m, NULL), QN_OK);
    m.layer_cnt = 0;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m.layer_cnt = INT8_LAYER_MAX + 1;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m = net.model, m.layer[1].in = 5;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m = net.model, m.layer[0].m = 0;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m.layer[0].m = 128;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m = net.model, m.layer[1].s = 0;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m.layer[1].s = 15;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    m = net.model, m.layer[0].out = INT8_DIM_MAX + 1;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    /* The bound is exact: at 2^31 - 1 it holds, one more does not. */
    int32_t bias[4] = { 0 };
    m = (struct int8_model){ 1, { { 20, 4, net.model.layer[0].w, bias, 1, 1, false } } };
    uint64_t acc = 0;
    for (uint32_t i = 0; i < 20; i++)
        acc += (uint64_t)abs(m.layer[0].w[60 + i]) * 128;
    bias[3] = (int32_t)(INT32_MAX - (int64_t)acc);
    CHECK_RC(int8_model_check(&m, NULL), QN_OK);
    CHECK(int8_layer_acc_max(&m.layer[0], 128) == INT32_MAX);
    bias[3]++;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    bias[3] = INT32_MIN;
    CHECK_RC(int8_model_check(&m, NULL), QN_E_RANGE);
    qn_arena_free(&net.arena);
}

static void test_small(struct qn_test_state *t)
{
    const int8_t ties[] = { -5, 7, 7, -128, 7 };
    CHECK(int8_argmax(ties, 5) == 1 && int8_argmax(ties, 1) == 0);
    const uint8_t pixels[] = { 0, 1, 2, 254, 255 };
    const int8_t x0[] = { 0, 0, 1, 127, 127 };
    int8_t x[5];
    int8_pixels(pixels, 5, x);
    CHECK(memcmp(x, x0, 5) == 0);
    const int8_t w[] = { 1, -2, 3, 4, 5, -6 };
    const int32_t bias[] = { 10, -10 };
    const int8_t in[] = { 7, -8, 9 };
    int32_t acc[2];
    int8_t y[2];
    struct int8_layer layer = { 3, 2, w, bias, 3, 2, true };
    int8_layer_run(&layer, in, acc, y);
    CHECK(acc[0] == 60 && acc[1] == -76);
    CHECK(y[0] == 45 && y[1] == 0);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_round);
    TEST(test_small);
    TEST(test_check);
    TEST(test_batch);
    return TEST_END();
}
