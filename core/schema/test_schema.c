/* test_schema.c - Borsh and JSON both ways, every cut and every flipped byte. */
#include "core/schema/sample.h"

#include "core/base/test.h"
#include "core/crypto/sign.h"

#include <stdlib.h>

#include "core/schema/define.h"
#include "core/schema/sample.def"

static const char FULL[] =
    "{\"a8\":1,\"a16\":513,\"a32\":67305985,\"a64\":\"18446744073709551615\","
    "\"num\":9007199254740991,\"amt\":\"2.5QN\",\"signed_num\":\"-7\",\"flag\":true,"
    "\"state\":\"closing\","
    "\"hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","
    "\"text\":\"h\xc3\xa9llo\",\"raw\":\"00ff\",\"point\":{\"x\":5,\"y\":6},\"opt_num\":3,"
    "\"opt_point\":{\"x\":7},\"u32s\":\"1,2,3\",\"nums\":[1,\"2\"],\"texts\":[\"a\",\"b\"],"
    "\"points\":[{\"x\":1},{\"y\":2}]}";

static qn_rc parse(const char *text, struct qn_arena *arena, struct sample *ret, struct qn_why *why)
{
    json_t *json = json_loads(text, 0, NULL);
    qn_rc rc = qn_from_json(sample_record(), json, arena, ret, why);
    json_decref(json);
    return rc;
}

static void test_round_trip(struct qn_test_state *t)
{
    struct qn_arena arena = { 0 };
    struct sample a, b;
    struct qn_why why = { "" };
    CHECK_RC(parse(FULL, &arena, &a, &why), QN_OK);
    CHECK(a.amt.uqn == 2500000 && a.signed_num == -7 && a.state == 1 && a.u32s.cnt == 3);
    CHECK(a.opt_point && a.opt_point->x == 7 && !a.opt_hash.has && a.points.ptr[1].y == 2);
    struct qn_buf one = { 0 }, two = { 0 };
    qn_encode(sample_record(), &a, &one);
    CHECK_RC(qn_decode(sample_record(), qn_buf_get(&one), &arena, &b, &why), QN_OK);
    qn_encode(sample_record(), &b, &two);
    CHECK(qn_span_eq(qn_buf_get(&one), qn_buf_get(&two)));
    json_t *back = qn_to_json(sample_record(), &b);
    struct sample c;
    CHECK_RC(qn_from_json(sample_record(), back, &arena, &c, &why), QN_OK);
    qn_buf_clear(&two);
    qn_encode(sample_record(), &c, &two);
    CHECK(qn_span_eq(qn_buf_get(&one), qn_buf_get(&two)));
    json_decref(back);
    for (size_t cut = 0; cut < one.len; cut++)
        CHECK(qn_decode(sample_record(), QN_SPAN(one.ptr, cut), &arena, &b, &why) != QN_OK);
    qn_buf_u8(&one, 0);
    CHECK_RC(qn_decode(sample_record(), qn_buf_get(&one), &arena, &b, &why), QN_E_EXTRA);
    one.len--;
    for (size_t i = 0; i < one.len; i++) { /* canonical: what decodes encodes to the same bytes */
        one.ptr[i] ^= 0x81;
        if (qn_decode(sample_record(), qn_buf_get(&one), &arena, &b, &why) == QN_OK) {
            qn_buf_clear(&two);
            qn_encode(sample_record(), &b, &two);
            CHECK(qn_span_eq(qn_buf_get(&one), qn_buf_get(&two)));
        }
        one.ptr[i] ^= 0x81;
    }
    qn_buf_free(&one);
    qn_buf_free(&two);
    qn_arena_free(&arena);
}

static void test_layout(struct qn_test_state *t)
{
    struct sample_point p = { .x = 0x0102, .y = 3 };
    struct qn_buf buf = { 0 };
    qn_encode(sample_point_record(), &p, &buf);
    CHECK(buf.len == 9 && memcmp(buf.ptr, "\x02\x01\0\0\0\0\0\0\x03", 9) == 0);
    qn_buf_free(&buf);
}

static void test_refusals(struct qn_test_state *t)
{
    static const char *const BAD[] = {
        "[1]",
        "{\"zzz\":1}",
        "{\"a8\":256}",
        "{\"a8\":-1}",
        "{\"a8\":\"1x\"}",
        "{\"a8\":1.5}",
        "{\"num\":9007199254740992}",
        "{\"amt\":21000000000001}",
        "{\"amt\":\"1.0000001QN\"}",
        "{\"state\":\"ope\"}",
        "{\"state\":\"open|closing\"}",
        "{\"hash\":\"00\"}",
        "{\"raw\":\"0\"}",
        "{\"raw\":\"zz\"}",
        "{\"text\":\"a\\u0007\"}",
        "{\"flag\":1}",
        "{\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        "{\"texts\":[\"12345678901\"]}",
        "{\"u32s\":[1,2,3,4,5,6,7,8,9]}",
        "{\"points\":[1]}",
        "{\"hash\":\"qn1qqqq\"}",
        "{\"signed_num\":\"9223372036854775808\"}",
        "{\"a64\":\"18446744073709551616\"}",
    };
    struct qn_arena arena = { 0 };
    struct sample a;
    for (size_t i = 0; i < QN_COUNT(BAD); i++) {
        struct qn_why why = { "" };
        qn_rc rc = parse(BAD[i], &arena, &a, &why);
        if (rc == QN_OK || !why.text[0]) printf("accepted: %s\n", BAD[i]);
        CHECK(rc != QN_OK && why.text[0]);
    }
    qn_arena_free(&arena);
}

static void test_bomb(struct qn_test_state *t)
{
    /* A count far beyond the bytes that follow takes no memory. */
    struct qn_arena arena = { .max = 1 << 16 };
    struct qn_buf buf = { 0 };
    struct sample a;
    memset(&a, 0, sizeof a);
    qn_encode(sample_record(), &a, &buf);
    memcpy(buf.ptr + buf.len - 4, "\x04\0\0\0", 4); /* points: 4, none follow */
    CHECK_RC(qn_decode(sample_record(), qn_buf_get(&buf), &arena, &a, NULL), QN_E_SHORT);
    memcpy(buf.ptr + buf.len - 4, "\xff\xff\xff\xff", 4);
    CHECK_RC(qn_decode(sample_record(), qn_buf_get(&buf), &arena, &a, NULL), QN_E_TOOBIG);
    CHECK(arena.used == 0);
    qn_buf_free(&buf);
}

static void test_schema(struct qn_test_state *t)
{
    json_t *schema = qn_schema_json(sample_record());
    json_t *props = json_object_get(schema, "properties");
    CHECK(json_object_size(props) == sample_record()->field_cnt);
    json_decref(schema);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_round_trip);
    TEST(test_layout);
    TEST(test_refusals);
    TEST(test_bomb);
    TEST(test_schema);
    return TEST_END();
}
