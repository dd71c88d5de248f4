/* test_quantise.c - a perceptron trained on the real images loses less than 1 % as int8; weights and images that do not
 * fit are refused. */
#include "gpu/graph/int8_batch.h"
#include "gpu/graph/quantise.h"

#include "core/base/test.h"
#include "tests/fashion.h"

#include <stdlib.h>

static const struct matmul_i8_build *fast(void)
{
    size_t cnt;
    const struct matmul_i8_build *const *b = matmul_i8_builds(&cnt);
    while (!b[cnt - 1]->runs())
        cnt--;
    return b[cnt - 1];
}

static void test_fashion(struct qn_test_state *t)
{
    struct qn_buf train = { 0 }, test = { 0 }, blob = { 0 };
    struct qn_arena arena = { 0 };
    struct images calib, eval;
    struct weights w;
    struct int8_model model, again;
    struct quantise_report rep, rep2;
    struct quantise_opts opts = { 0 };
    struct qn_why why = { "" };
    if (!fashion_load("train", 20000, &train) || !fashion_load("t10k", 10000, &test)) {
        printf("skipped: no images in " FASHION "\n");
        return;
    }
    CHECK_RC(images_open(qn_buf_get(&train), &calib, &why), QN_OK);
    CHECK_RC(images_open(qn_buf_get(&test), &eval, &why), QN_OK);
    CHECK(calib.value_cnt == 784 && eval.rec_cnt == 10000);
    fashion_train(&calib, 600, 1, &blob);
    CHECK_RC(weights_open(qn_buf_get(&blob), &arena, &w, &why), QN_OK);
    CHECK_RC(quantise(&w, &calib, &eval, &opts, fast(), &arena, &model, &rep, &why), QN_OK);
    if (getenv("VERBOSE"))
        printf("f32 %.2f %%, int8 %.2f %%; s %u %u, cut %u %u of weights, %u %u ppm of outputs; "
               "scales %g %g %g %g\n",
               rep.right_f32 / 100.0, rep.right_int8 / 100.0, model.layer[0].s, model.layer[1].s,
               rep.layer[0].w_cut, rep.layer[1].w_cut, rep.layer[0].y_cut_ppm,
               rep.layer[1].y_cut_ppm, rep.layer[0].w_scale, rep.layer[0].y_scale,
               rep.layer[1].w_scale, rep.layer[1].y_scale);
    CHECK(rep.test_cnt == 10000 && rep.right_f32 > 8000);
    CHECK(rep.right_int8 + 100 > rep.right_f32);
    CHECK(model.layer_cnt == 2 && model.layer[0].in == 784 && model.layer[1].out == 10);
    CHECK(model.layer[0].m == 1 && model.layer[0].relu && !model.layer[1].relu);
    CHECK(rep.layer[0].y_cut_ppm < 50000);

    /* The report's count is that of the reference. */
    uint32_t right = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        int8_t x[784], y[10];
        int8_pixels(images_values(&eval, i), 784, x);
        CHECK_RC(int8_run(&model, x, y), QN_OK);
        right += int8_argmax(y, 10) == images_label(&eval, i);
    }
    struct images part = eval;
    part.rec_cnt = 1000;
    size_t build_cnt;
    const struct matmul_i8_build *plain = matmul_i8_builds(&build_cnt)[0];
    opts.sample_cnt = 200;
    CHECK_RC(quantise(&w, &calib, &part, &opts, plain, &arena, &again, &rep, &why), QN_OK);
    CHECK_RC(quantise(&w, &calib, &part, &opts, fast(), &arena, &model, &rep2, &why), QN_OK);
    CHECK(rep.right_int8 == rep2.right_int8); /* any variant gives the same model */
    for (uint32_t l = 0; l < 2; l++)
        CHECK(memcmp(again.layer[l].w, model.layer[l].w,
                     (size_t)model.layer[l].in * model.layer[l].out) == 0 &&
              memcmp(again.layer[l].bias, model.layer[l].bias, 4 * model.layer[l].out) == 0);
    CHECK(right > 780 && right < 1000);

    /* A random model is quantised as well as it is random; one ruined on purpose is refused. */
    qn_buf_clear(&blob);
    fashion_train(&calib, 0, 7, &blob);
    CHECK_RC(weights_open(qn_buf_get(&blob), &arena, &w, &why), QN_OK);
    opts = (struct quantise_opts){ .loss_max = 1 };
    CHECK_RC(quantise(&w, &calib, &part, &opts, fast(), &arena, &model, &rep, &why), QN_OK);
    CHECK(rep.right_f32 < 400);
    qn_buf_clear(&blob);
    fashion_train(&calib, 300, 7, &blob);
    CHECK_RC(weights_open(qn_buf_get(&blob), &arena, &w, &why), QN_OK);
    float *ruin = malloc(4 * 784 * 128); /* one giant weight takes all the resolution */
    QN_ASSERT(ruin);
    memcpy(ruin, w.tensor[0].v, 4 * 784 * 128);
    for (int i = 0; i < 128; i++) /* a corner no image fills */
        ruin[i] = 60;
    w.tensor[0].v = ruin;
    opts = (struct quantise_opts){ 0 };
    CHECK_RC(quantise(&w, &calib, &part, &opts, fast(), &arena, &model, &rep, &why), QN_E_CHECK);
    CHECK(strstr(why.text, "more than 1.00 lost") != NULL);
    free(ruin);

    part.value_cnt = 783;
    CHECK_RC(quantise(&w, &calib, &part, &opts, fast(), &arena, &model, &rep, &why), QN_E_RANGE);
    part = eval;
    part.class_cnt = 11;
    CHECK_RC(quantise(&w, &calib, &part, &opts, fast(), &arena, &model, &rep, &why), QN_E_RANGE);
    struct weights few = w;
    few.tensor_cnt = 3; /* no b1 */
    CHECK_RC(quantise(&few, &calib, &eval, &opts, fast(), &arena, &model, &rep, &why), QN_E_RANGE);
    few = w;
    few.tensor[2].dims[0] = 127;
    CHECK_RC(quantise(&few, &calib, &eval, &opts, fast(), &arena, &model, &rep, &why), QN_E_RANGE);
    qn_buf_free(&train);
    qn_buf_free(&test);
    qn_buf_free(&blob);
    qn_arena_free(&arena);
}

static void test_weights(struct qn_test_state *t)
{
    const float v[] = { 1.5f, -2, 0, 3e38f, -0.0f, 7 };
    struct weights w = { 2,
                         { { "w0", 2, { 2, 2, 1, 1 }, 4, v },
                           { "b", 1, { 2, 1, 1, 1 }, 2, v + 4 } } },
                   got;
    struct qn_buf b = { 0 };
    struct qn_arena arena = { 0 };
    weights_put(&w, &b);
    CHECK_RC(weights_open(qn_buf_get(&b), &arena, &got, NULL), QN_OK);
    CHECK(got.tensor_cnt == 2 && got.tensor[0].cnt == 4 && got.tensor[1].dims[0] == 2);
    CHECK(memcmp(got.tensor[0].v, v, 16) == 0 && memcmp(got.tensor[1].v, v + 4, 8) == 0);
    CHECK(weights_find(&got, "b") == &got.tensor[1] && !weights_find(&got, "c"));
    for (size_t cut = 0; cut < b.len; cut++)
        CHECK_RC(weights_open(QN_SPAN(b.ptr, cut), &arena, &got, NULL), QN_E_SHORT);
    qn_buf_u8(&b, 0);
    CHECK_RC(weights_open(qn_buf_get(&b), &arena, &got, NULL), QN_E_EXTRA);
    b.len--;
    struct {
        size_t at;
        uint8_t to;
        qn_rc rc;
    } const bad[] = {
        { 0, 'q', QN_E_FORMAT },          { 4, 2, QN_E_FORMAT },  { 8, 0, QN_E_TOOBIG },
        { 8, 65, QN_E_TOOBIG },           { 12, 0, QN_E_FORMAT }, { 12, 32, QN_E_FORMAT },
        { 16, 0, QN_E_FORMAT },           { 18, 5, QN_E_FORMAT }, { 22, 0, QN_E_FORMAT },
        { 25, 255, QN_E_TOOBIG },         { 22, 3, QN_E_SHORT },  { 22, 1, QN_E_EXTRA },
        { b.len - 21, 0xff, QN_E_RANGE }, /* 1.5 becomes not a number */
    };
    for (size_t i = 0; i < QN_COUNT(bad); i++) {
        uint8_t keep = b.ptr[bad[i].at];
        b.ptr[bad[i].at] = bad[i].to;
        if (bad[i].rc == QN_E_RANGE) b.ptr[b.len - 22] = 0xc0;
        CHECK_RC(weights_open(qn_buf_get(&b), &arena, &got, NULL), bad[i].rc);
        b.ptr[bad[i].at] = keep;
    }
    qn_buf_free(&b);
    qn_arena_free(&arena);
}

static void test_images(struct qn_test_state *t)
{
    struct qn_buf b = { 0 };
    const uint32_t words[] = { 0x53444e51, 1, 8, 3, 2, 3, 0, 0, 7, 4 };
    struct images set;
    for (size_t i = 0; i < QN_COUNT(words); i++)
        qn_buf_u32(&b, words[i]);
    memset(qn_buf_grow(&b, 24 + 3 * 8), 0, 24 + 3 * 8);
    b.ptr[64 + 8 + 7] = 3;
    CHECK_RC(images_open(qn_buf_get(&b), &set, NULL), QN_OK);
    CHECK(set.value_cnt == 6 && images_label(&set, 1) == 3 && images_label(&set, 2) == 0);
    for (size_t cut = 0; cut < b.len; cut++)
        CHECK_RC(images_open(QN_SPAN(b.ptr, cut), &set, NULL), QN_E_SHORT);
    struct {
        size_t at;
        uint8_t to;
        qn_rc rc;
    } const bad[] = {
        { 0, 0, QN_E_FORMAT }, { 4, 2, QN_E_FORMAT }, { 8, 5, QN_E_RANGE },
        { 8, 7, QN_E_RANGE },  { 12, 0, QN_E_RANGE }, { 12, 2, QN_E_EXTRA },
        { 12, 4, QN_E_SHORT }, { 16, 9, QN_E_RANGE }, { 19, 99, QN_E_RANGE },
        { 32, 5, QN_E_RANGE }, { 32, 8, QN_E_RANGE }, { 36, 0, QN_E_RANGE },
        { 36, 3, QN_E_RANGE }, { 37, 9, QN_E_RANGE }, { 15, 255, QN_E_SHORT },
    };
    for (size_t i = 0; i < QN_COUNT(bad); i++) {
        uint8_t keep = b.ptr[bad[i].at];
        b.ptr[bad[i].at] = bad[i].to;
        CHECK_RC(images_open(qn_buf_get(&b), &set, NULL), bad[i].rc);
        b.ptr[bad[i].at] = keep;
    }
    qn_buf_free(&b);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_weights);
    TEST(test_images);
    TEST(test_fashion);
    return TEST_END();
}
