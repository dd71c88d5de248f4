/* test_base.c - spans, hex, arena, amounts, errors. */
#include "core/base/amount.h"
#include "core/base/arena.h"
#include "core/base/test.h"

static void test_amount(struct qn_test_state *t)
{
    struct qn_amount a = { 0 };
    CHECK_RC(qn_amount_parse("2.5QN", &a), QN_OK);
    CHECK(a.uqn == 2500000);
    CHECK_RC(qn_amount_parse("300uqn", &a), QN_OK);
    CHECK(a.uqn == 300);
    CHECK_RC(qn_amount_parse("21000000", &a), QN_OK);
    CHECK_RC(qn_amount_parse("21000001", &a), QN_E_RANGE);
    CHECK_RC(qn_amount_parse("1.0000001", &a), QN_E_FORMAT);
    CHECK_RC(qn_amount_parse("-1", &a), QN_E_FORMAT);
    CHECK_RC(qn_amount_parse("99999999999999999999999", &a), QN_E_RANGE);
    CHECK_RC(qn_amount_parse("99999999999999999999999 coins", &a), QN_E_FORMAT);
    CHECK_RC(qn_amount_sub(QN_UQN(1), QN_UQN(2), &a), QN_E_FUNDS);
    CHECK_RC(qn_amount_add(QN_UQN(QN_SUPPLY_UQN), QN_UQN(1), &a), QN_E_OVERFLOW);
    CHECK(qn_amount_ppm(QN_UQN(QN_SUPPLY_UQN), 1000000).uqn == QN_SUPPLY_UQN);
}

static void test_span(struct qn_test_state *t)
{
    struct qn_buf buf = { 0 };
    qn_buf_u32(&buf, 0x01020304);
    qn_buf_u64be(&buf, 5);
    struct qn_span s = qn_buf_get(&buf);
    uint32_t v = 0;
    uint64_t w = 0;
    CHECK(qn_take_u32(&s, &v) && v == 0x01020304);
    CHECK(s.len == 8 && s.ptr[7] == 5);
    CHECK(qn_take_u64(&s, &w));
    CHECK(!qn_take_u32(&s, &v));
    char hex[9];
    qn_hex(buf.ptr, 4, hex);
    CHECK(strcmp(hex, "04030201") == 0);
    uint8_t back[4];
    CHECK(qn_unhex(hex, 8, back, 4) && memcmp(back, buf.ptr, 4) == 0);
    CHECK(!qn_unhex("0403020", 7, back, 4));
    CHECK(!qn_unhex("0403020x", 8, back, 4));
    for (unsigned c = 0; c < 256; c++) {
        static const char DIGITS[] = "0123456789abcdefABCDEF";
        char two[2] = { '7', (char)c };
        const char *at = c ? strchr(DIGITS, (int)c) : NULL;
        CHECK(qn_unhex(two, 2, back, 1) == (at != NULL));
        long digit = at ? at - DIGITS : 0;
        CHECK(!at || back[0] == 0x70 + (digit > 15 ? digit - 6 : digit));
    }
    char b64[16];
    qn_b64url("\xff\xee", 2, b64);
    CHECK(strcmp(b64, "_-4") == 0);
    qn_buf_free(&buf);
}

static void test_arena(struct qn_test_state *t)
{
    struct qn_arena arena = { .max = 10000 };
    char *a = qn_arena_copy(&arena, "abc", 3);
    CHECK(a && strcmp(a, "abc") == 0);
    CHECK(qn_arena_alloc(&arena, 9000) != NULL);
    CHECK(qn_arena_alloc(&arena, 2000) == NULL);
    qn_arena_free(&arena);
    CHECK(arena.used == 0);
}

static void test_err(struct qn_test_state *t)
{
    qn_rc rc = QN_OK;
    CHECK(qn_err_find("funds", &rc) && rc == QN_E_FUNDS);
    CHECK(qn_err_exit(QN_E_CORRUPT) == 78);
    struct qn_why why;
    CHECK_RC(qn_why(&why, QN_E_IO, "a\x1b[31m%d", 7), QN_E_IO);
    CHECK(strcmp(why.text, "a?[31m7") == 0);
    /* Texts of others are cut where the room ends, and must still go into JSON. */
    CHECK_RC(qn_why(&why, QN_E_IO,
                    "\xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82\xac\xf0\x9f\x99\x82\xc3"),
             QN_E_IO);
    CHECK(strcmp(why.text, "??? ??? ???? \xe2\x82\xac\xf0\x9f\x99\x82?") == 0);
    char euros[1000];
    for (size_t i = 0; i + 3 < sizeof euros; i += 3)
        memcpy(euros + i, "\xe2\x82\xac", 4);
    for (int shift = 0; shift < 3; shift++) {
        CHECK_RC(qn_why(&why, QN_E_IO, "%.*s%s", shift, "aa", euros), QN_E_IO);
        size_t cut = (sizeof why.text - 1 - (size_t)shift) % 3;
        CHECK(why.text[sizeof why.text - 2] == (cut ? '?' : '\xac'));
    }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_amount);
    TEST(test_span);
    TEST(test_arena);
    TEST(test_err);
    return TEST_END();
}
