/* test_onnx.c - what goes out comes back to the bit; the same model written otherwise is read; anything else is refused
 * by node and operator. That other programs compute the same bits: tests/peers/onnx.sh. */
#include "core/schema/protobuf.h"
#include "gpu/graph/onnx_def.h"

#include "core/base/test.h"

#include <stdlib.h>

static uint32_t rnd(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

static void net_make(struct int8_model *m, struct qn_arena *arena, uint32_t seed)
{
    m->layer_cnt = 1 + rnd(&seed) % INT8_LAYER_MAX;
    uint32_t in = 1 + rnd(&seed) % 60;
    for (uint32_t l = 0; l < m->layer_cnt; l++) {
        uint32_t out = 1 + rnd(&seed) % 60;
        int8_t *w = qn_arena_alloc(arena, (size_t)in * out);
        int32_t *bias = qn_arena_alloc(arena, 4 * (size_t)out);
        for (size_t i = 0; i < (size_t)in * out; i++)
            w[i] = (int8_t)(rnd(&seed) & 255);
        for (uint32_t i = 0; i < out; i++)
            bias[i] = (int32_t)(rnd(&seed) % 2 ? rnd(&seed) % 20001 - 10000 : rnd(&seed) >> 2);
        m->layer[l] = (struct int8_layer){ in,
                                           out,
                                           w,
                                           bias,
                                           (int32_t)(1 + 2 * (rnd(&seed) % 64)),
                                           (uint8_t)(1 + rnd(&seed) % 14),
                                           rnd(&seed) % 2 };
        if (m->layer[l].m > 1 && rnd(&seed) % 2) m->layer[l].m = 1;
        in = out;
    }
}

/* m and s are one number: 6 / 2^4 comes back as 3 / 2^3. */
static bool same(const struct int8_model *a, const struct int8_model *b)
{
    if (a->layer_cnt != b->layer_cnt) return false;
    for (uint32_t l = 0; l < a->layer_cnt; l++) {
        const struct int8_layer *x = &a->layer[l], *y = &b->layer[l];
        if (x->in != y->in || x->out != y->out || x->relu != y->relu ||
            (int64_t)x->m << y->s != (int64_t)y->m << x->s ||
            memcmp(x->w, y->w, (size_t)x->in * x->out) != 0 ||
            memcmp(x->bias, y->bias, 4 * (size_t)x->out) != 0)
            return false;
    }
    return true;
}

static void test_round_trip(struct qn_test_state *t)
{
    for (uint32_t seed = 1; seed <= (test_long() ? 3000 : 200); seed++) {
        struct qn_arena arena = { 0 };
        struct qn_buf file = { 0 };
        struct int8_model m = { 0 }, got;
        struct onnx_info info;
        struct qn_why why = { "" };
        net_make(&m, &arena, seed * 7919);
        if (int8_model_check(&m, NULL) == QN_OK) {
            onnx_export(&m, &file);
            CHECK_RC(onnx_import(qn_buf_get(&file), &arena, &got, &info, &why), QN_OK);
            if (why.text[0]) printf("seed %u: %s\n", seed, why.text);
            CHECK(same(&m, &got) && info.pixels && info.opset == 13);
            CHECK(strcmp(info.producer, "quoin") == 0);
        }
        for (size_t cut = 0; cut < file.len; cut += 1 + cut / 9)
            CHECK(onnx_import(QN_SPAN(file.ptr, cut), &arena, &got, NULL, NULL) != QN_OK);
        qn_buf_free(&file);
        qn_arena_free(&arena);
    }
}

/* --- files written otherwise: a line of text a node, "Op in,in out attr=1" ----------------------------------------- */

static void put_msg(struct qn_buf *to, uint32_t number, struct qn_buf *msg)
{
    qn_pb_put_bytes(to, number, qn_buf_get(msg));
    qn_buf_free(msg);
}

static void put_node(struct qn_buf *graph, const char *line, size_t len)
{
    char copy[200], *save = NULL, *part;
    struct qn_buf n = { 0 };
    int at = 0;
    QN_ASSERT(len < sizeof copy);
    memcpy(copy, line, len);
    copy[len] = 0;
    for (part = strtok_r(copy, " ", &save); part; part = strtok_r(NULL, " ", &save), at++) {
        char *eq = strchr(part, '=');
        if (at == 0) {
            qn_pb_put_str(&n, NODE_OP, part);
        } else if (at == 1) {
            for (char *in = part; in;) {
                char *comma = strchr(in, ',');
                if (comma) *comma = 0;
                qn_pb_put_str(&n, NODE_IN, in);
                in = comma ? comma + 1 : NULL;
            }
        } else if (at == 2) {
            qn_pb_put_str(&n, NODE_OUT, part);
            qn_pb_put_str(&n, NODE_NAME, part);
        } else if (eq) {
            struct qn_buf a = { 0 };
            *eq = 0;
            qn_pb_put_str(&a, ATTR_NAME, part);
            if (eq[1] >= 'A')
                qn_pb_put_str(&a, ATTR_S, eq + 1);
            else
                qn_pb_put_varint(&a, ATTR_I, (uint64_t)atoll(eq + 1));
            put_msg(&n, NODE_ATTR, &a);
        }
    }
    put_msg(graph, GRAPH_NODE, &n);
}

static void tensor(struct qn_buf *ret, const char *name, uint32_t type, uint32_t rows,
                   uint32_t cols, const void *raw, size_t bytes)
{
    if (rows) qn_pb_put_varint(ret, TENSOR_DIMS, rows);
    if (cols) qn_pb_put_varint(ret, TENSOR_DIMS, cols);
    qn_pb_put_varint(ret, TENSOR_TYPE, type);
    qn_pb_put_str(ret, TENSOR_NAME, name);
    if (raw) qn_pb_put_bytes(ret, TENSOR_RAW, QN_SPAN(raw, bytes));
}

static void put_tensor(struct qn_buf *graph, const char *name, uint32_t type, uint32_t rows,
                       uint32_t cols, const void *raw, size_t bytes)
{
    struct qn_buf b = { 0 };
    tensor(&b, name, type, rows, cols, raw, bytes);
    put_msg(graph, GRAPH_INIT, &b);
}

static void put_value(struct qn_buf *graph, uint32_t field, const char *name, uint32_t type,
                      const uint32_t *dims, uint32_t rank)
{
    struct qn_buf v = { 0 }, o = { 0 }, tn = { 0 }, shape = { 0 };
    for (uint32_t i = 0; i < rank; i++) {
        struct qn_buf dim = { 0 };
        qn_pb_put_varint(&dim, DIM_VALUE, dims[i]);
        put_msg(&shape, SHAPE_DIM, &dim);
    }
    qn_pb_put_varint(&tn, TENSORTYPE_ELEM, type);
    put_msg(&tn, TENSORTYPE_SHAPE, &shape);
    put_msg(&o, TYPE_TENSOR, &tn);
    qn_pb_put_str(&v, VALUE_NAME, name);
    put_msg(&v, VALUE_TYPE, &o);
    put_msg(graph, field, &v);
}

static const int8_t W[6] = { 1, -2, 3, 4, 5, -6 }; /* (in 3, out 2) */
static const int32_t B[2] = { 100, -7 };

/* One layer of 3 values by 2, with every constant a variant may want. */
static void build(const char *nodes, uint32_t in_type, uint64_t opset, struct qn_buf *ret)
{
    struct qn_buf graph = { 0 }, ops = { 0 }, typed = { 0 };
    const float scale = 0.375f, half = 0.5f, low = -128, high = 127, zero = 0, eight = 8,
                odd = 0.3f;
    const int64_t shape[] = { -1, 3 }, wrong[] = { -1, 4 };
    const int8_t i8zero = 0, i8five = 5;
    const uint8_t u8one = 1, u8ten = 10;
    const double dscale = 0.375, dhalf = 0.5, dlow = -128, dhigh = 127;
    const uint32_t dims[] = { 1, 1, 3, 1 };
    while (*nodes) {
        size_t len = strcspn(nodes, "\n");
        put_node(&graph, nodes, len);
        nodes += len + (nodes[len] == '\n');
    }
    put_tensor(&graph, "w", ONNX_INT8, 3, 2, W, 6);
    put_tensor(&graph, "w2", ONNX_INT8, 2, 3, W, 6);
    put_tensor(&graph, "b", ONNX_INT32, 2, 0, B, 8);
    put_tensor(&graph, "brow", ONNX_INT32, 1, 2, B, 8);
    put_tensor(&graph, "bshort", ONNX_INT32, 2, 0, B, 7); /* a byte count that is off */
    put_tensor(&graph, "scale", ONNX_FLOAT, 0, 0, &scale, 4);
    put_tensor(&graph, "half", ONNX_FLOAT, 1, 0, &half, 4);
    put_tensor(&graph, "low", ONNX_FLOAT, 0, 0, &low, 4);
    put_tensor(&graph, "high", ONNX_FLOAT, 0, 0, &high, 4);
    put_tensor(&graph, "zero", ONNX_FLOAT, 0, 0, &zero, 4);
    put_tensor(&graph, "eight", ONNX_FLOAT, 0, 0, &eight, 4);
    put_tensor(&graph, "odd", ONNX_FLOAT, 0, 0, &odd, 4);
    put_tensor(&graph, "dscale", ONNX_DOUBLE, 0, 0, &dscale, 8);
    put_tensor(&graph, "dhalf", ONNX_DOUBLE, 0, 0, &dhalf, 8);
    put_tensor(&graph, "dlow", ONNX_DOUBLE, 0, 0, &dlow, 8);
    put_tensor(&graph, "dhigh", ONNX_DOUBLE, 0, 0, &dhigh, 8);
    put_tensor(&graph, "shape", ONNX_INT64, 2, 0, shape, 16);
    put_tensor(&graph, "wrong", ONNX_INT64, 2, 0, wrong, 16);
    put_tensor(&graph, "one", ONNX_UINT8, 0, 0, &u8one, 1);
    put_tensor(&graph, "ten", ONNX_UINT8, 0, 0, &u8ten, 1);
    put_tensor(&graph, "none", ONNX_INT8, 0, 0, &i8zero, 1);
    put_tensor(&graph, "five", ONNX_INT8, 0, 0, &i8five, 1);
    tensor(&typed, "typed", ONNX_INT8, 3, 2, NULL, 0);
    for (int i = 0; i < 6; i++) /* as sign-extended varints, one by one */
        qn_pb_put_varint(&typed, TENSOR_INT32S, (uint64_t)(int64_t)W[i]);
    put_msg(&graph, GRAPH_INIT, &typed);
    put_value(&graph, GRAPH_IN, "in", in_type, dims, 4);
    put_value(&graph, GRAPH_OUT, "out", ONNX_INT8, dims, 2);
    qn_pb_put_varint(&ops, OPSET_VERSION, opset);
    qn_pb_put_varint(ret, MODEL_IR, 8);
    put_msg(ret, MODEL_GRAPH, &graph);
    put_msg(ret, MODEL_OPSET, &ops);
}

#define END_FLOAT                                                                                  \
    "Cast acc real to=1\nMul real,scale s\nAdd s,half r\nFloor r f\nClip f,low,high c\n"           \
    "Cast c out to=3"

static void test_variants(struct qn_test_state *t)
{
    static const struct {
        const char *nodes;
        uint32_t in_type;
        int32_t bias[2];
        bool relu;
    } GOOD[] = {
        { "MatMulInteger in,w m\nAdd m,b acc\n" END_FLOAT, ONNX_INT8, { 100, -7 }, false },
        { "MatMulInteger in,typed m\nAdd brow,m acc\n" END_FLOAT, ONNX_INT8, { 100, -7 }, false },
        { "MatMulInteger in,w acc\n" END_FLOAT, ONNX_INT8, { 0, 0 }, false },
        { "Flatten in flat axis=1\nReshape flat,shape x\nMatMulInteger x,w m\nAdd m,b acc\n"
          "Identity acc acc2\nCast acc2 real to=11\nMul dscale,real s\nMax s,dlow x1\nMin x1,dhigh "
          "x2\nAdd x2,dhalf r\nFloor r f\nCast f out to=3",
          ONNX_INT8,
          { 100, -7 },
          false },
        /* sum of (x - 10) w: the columns of w sum up to 9 and -4 */
        { "BitShift in,one h direction=RIGHT\nMatMulInteger h,w,ten,none m\nAdd m,b "
          "acc\n" END_FLOAT,
          ONNX_UINT8,
          { 100 - 90, -7 + 40 },
          false },
        { "MatMulInteger in,w,five m\nAdd m,b acc\nCast acc real to=1\nMul real,scale s\nRelu s "
          "p\nAdd p,half r\nFloor r f\nClip f,,high c\nCast c out to=2",
          ONNX_INT8,
          { 100 - 45, -7 + 20 },
          true },
        { "MatMulInteger in,w m\nAdd m,b acc\nCast acc real to=1\nMul real,scale s\nAdd s,half r\n"
          "Floor r f\nClip f,low,high c\nCast c y to=3\nRelu y out",
          ONNX_INT8,
          { 100, -7 },
          true },
    };
    for (size_t i = 0; i < QN_COUNT(GOOD); i++) {
        struct qn_buf file = { 0 };
        struct qn_arena arena = { 0 };
        struct int8_model m;
        struct qn_why why = { "" };
        build(GOOD[i].nodes, GOOD[i].in_type, 14, &file);
        CHECK_RC(onnx_import(qn_buf_get(&file), &arena, &m, NULL, &why), QN_OK);
        if (why.text[0]) {
            printf("%zu: %s\n", i, why.text);
        } else {
            CHECK(m.layer_cnt == 1 && m.layer[0].in == 3 && m.layer[0].out == 2);
            CHECK(m.layer[0].m == 3 && m.layer[0].s == 3 && m.layer[0].relu == GOOD[i].relu);
            CHECK(memcmp(m.layer[0].bias, GOOD[i].bias, 8) == 0);
            CHECK(m.layer[0].w[0] == 1 && m.layer[0].w[1] == 3 && m.layer[0].w[2] == 5);
            CHECK(m.layer[0].w[3] == -2 && m.layer[0].w[4] == 4 && m.layer[0].w[5] == -6);
        }
        qn_buf_free(&file);
        qn_arena_free(&arena);
    }
}

static void test_refused(struct qn_test_state *t)
{
    static const struct {
        const char *nodes, *says;
        uint32_t in_type;
    } BAD[] = {
        { "MatMulInteger in,w m\nConv m,w out", "node 1 (Conv \"out\")", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,scale s\nRound s out",
          "halves to even", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,odd out", "no m / 2^s", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,dscale out", "types", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,scale s\nMul s,scale out",
          "scaled once", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,scale s\nFloor s out", "plus 0.5",
          ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,scale s\nAdd s,half r\nFloor r f\n"
          "Clip f,low,eight c\nCast c out to=3",
          "clipped", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc real to=1\nMul real,scale s\nAdd s,half r\nFloor r f\n"
          "Clip f,low,high c\nCast c out to=2",
          "clipped", ONNX_INT8 },
        { "MatMulInteger in,w acc\nCast acc out to=3", "no place", ONNX_INT8 },
        { "MatMulInteger in,w m\nAdd m,bshort acc\n" END_FLOAT, "bytes where its shape",
          ONNX_INT8 },
        { "MatMulInteger in,w2 acc\n" END_FLOAT, "3 values meet weights for 2", ONNX_INT8 },
        { "MatMulInteger in,w,none,five acc\n" END_FLOAT, "zero point 0", ONNX_INT8 },
        { "MatMulInteger in,w acc\n" END_FLOAT, "halved", ONNX_UINT8 },
        { "BitShift in,one h direction=LEFT\nMatMulInteger h,w acc\n" END_FLOAT, "right by one",
          ONNX_UINT8 },
        { "BitShift in,ten h direction=RIGHT\nMatMulInteger h,w acc\n" END_FLOAT, "right by one",
          ONNX_UINT8 },
        { "MatMulInteger in,nowhere acc\n" END_FLOAT, "is not there yet", ONNX_INT8 },
        { "MatMulInteger w,in acc\n" END_FLOAT, "constant weights", ONNX_INT8 },
        { "MatMulInteger in,w acc\nAdd acc,acc out", "two computed values", ONNX_INT8 },
        { "Reshape in,wrong out", "keep the records", ONNX_INT8 },
        { "MatMulInteger in,w in", "two values are called", ONNX_INT8 },
        { "MatMulInteger in,w out", "output \"out\"", ONNX_INT8 },
        { "MatMulInteger in,w m", "output \"out\"", ONNX_INT8 },
        { "ArgMax in out axis=1", "logits", ONNX_INT8 },
        { "MatMulInteger in,w acc\n" END_FLOAT, "element type 1", ONNX_FLOAT },
        { "Identity w out", "constants alone", ONNX_INT8 },
    };
    for (size_t i = 0; i < QN_COUNT(BAD); i++) {
        struct qn_buf file = { 0 };
        struct qn_arena arena = { 0 };
        struct int8_model m;
        struct qn_why why = { "" };
        build(BAD[i].nodes, BAD[i].in_type, 14, &file);
        qn_rc rc = onnx_import(qn_buf_get(&file), &arena, &m, NULL, &why);
        CHECK(rc != QN_OK && strstr(why.text, BAD[i].says) != NULL);
        if (!strstr(why.text, BAD[i].says)) printf("%zu: %s\n", i, why.text);
        qn_buf_free(&file);
        qn_arena_free(&arena);
    }
    struct qn_buf file = { 0 };
    struct qn_arena arena = { 0 }, tight = { .max = 8 };
    struct int8_model m;
    build("MatMulInteger in,w acc\n" END_FLOAT, ONNX_INT8, 10, &file);
    CHECK_RC(onnx_import(qn_buf_get(&file), &arena, &m, NULL, NULL), QN_E_RANGE);
    qn_buf_clear(&file);
    build("MatMulInteger in,w acc\n" END_FLOAT, ONNX_INT8, 13, &file);
    CHECK_RC(onnx_import(qn_buf_get(&file), &tight, &m, NULL, NULL), QN_E_MEMORY);
    qn_buf_free(&file);
    qn_arena_free(&arena);
    qn_arena_free(&tight);
}

/* Sums beyond 2^24 go through doubles; as floats they are refused. */
static void test_wide(struct qn_test_state *t)
{
    struct qn_arena arena = { 0 };
    struct qn_buf file = { 0 };
    struct int8_model m = { 1, { { 3, 2, W, NULL, 1, 3, false } } }, got;
    int32_t bias[2] = { 0, (1 << 24) - 127 * 15 - 4 };
    m.layer[0].bias = bias;
    CHECK(onnx_reach(&m.layer[0], 127) == ONNX_F32_EXACT);
    for (int i = 0; i < 2; i++) {
        qn_buf_clear(&file);
        onnx_export(&m, &file);
        bool wide = false;
        for (size_t k = 0; k + 1 < file.len; k++) /* TENSOR_TYPE = DOUBLE */
            wide |= file.ptr[k] == 0x10 && file.ptr[k + 1] == ONNX_DOUBLE;
        CHECK(wide == (i == 1));
        CHECK_RC(onnx_import(qn_buf_get(&file), &arena, &got, NULL, NULL), QN_OK);
        CHECK(same(&m, &got));
        bias[1]++;
    }
    qn_buf_free(&file);
    qn_arena_free(&arena);
}

static void test_protobuf(struct qn_test_state *t)
{
    struct qn_buf b = { 0 };
    struct qn_pb_field f;
    qn_pb_put_varint(&b, 1, 300);
    qn_pb_put_varint(&b, 99999, UINT64_MAX);
    qn_pb_put_str(&b, 2, "text");
    const uint8_t fixed[] = { 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0 };
    qn_buf_put(&b, fixed, sizeof fixed);
    CHECK(b.ptr[0] == 0x08 && b.ptr[1] == 0xac && b.ptr[2] == 0x02); /* the guide's own example */
    struct qn_span s = qn_buf_get(&b);
    CHECK_RC(qn_pb_next(&s, &f), QN_OK);
    CHECK(f.number == 1 && f.value == 300);
    CHECK_RC(qn_pb_next(&s, &f), QN_OK);
    CHECK(f.number == 99999 && f.value == UINT64_MAX);
    CHECK_RC(qn_pb_next(&s, &f), QN_OK);
    CHECK(f.wire == QN_PB_BYTES && qn_span_eq(f.bytes, QN_SPAN_STR("text")));
    CHECK_RC(qn_pb_next(&s, &f), QN_OK);
    CHECK(f.number == 3 && f.value == 1);
    CHECK_RC(qn_pb_next(&s, &f), QN_OK);
    CHECK(f.number == 4 && f.value == 2);
    CHECK_RC(qn_pb_next(&s, &f), QN_E_AGAIN);
    const struct {
        const char *bytes;
        size_t len;
        qn_rc rc;
    } bad[] = { { "\x00\x01", 2, QN_E_FORMAT },
                { "\x08", 1, QN_E_FORMAT },
                { "\x0b", 1, QN_E_FORMAT },
                { "\x12\x05zzzz", 6, QN_E_SHORT },
                { "\x15\x01\x02\x03", 4, QN_E_SHORT },
                { "\x11\x01", 2, QN_E_SHORT },
                { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, QN_E_FORMAT },
                { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, QN_E_SHORT } };
    for (size_t i = 0; i < QN_COUNT(bad); i++) {
        s = QN_SPAN(bad[i].bytes, bad[i].len);
        CHECK_RC(qn_pb_next(&s, &f), bad[i].rc);
        CHECK(s.len == bad[i].len);
    }
    qn_buf_free(&b);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_protobuf);
    TEST(test_round_trip);
    TEST(test_variants);
    TEST(test_wide);
    TEST(test_refused);
    return TEST_END();
}
