/* test_rs.c - the field's laws, equal bits of all ways, and every loss that leaves k pieces. */
#include "core/base/test.h"
#include "net/gossip/rs.h"

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void test_field(struct qn_test_state *t)
{
    CHECK(rs_gf_mul(2, 0x80) == 0x1d);
    for (unsigned a = 0; a < 256; a++) {
        unsigned ones = 0;
        for (unsigned b = 0; b < 256; b++) {
            uint8_t ab = rs_gf_mul((uint8_t)a, (uint8_t)b);
            CHECK(ab == rs_gf_mul((uint8_t)b, (uint8_t)a));
            CHECK((ab == 0) == (a == 0 || b == 0));
            ones += ab == 1;
            CHECK(rs_gf_mul((uint8_t)a, (uint8_t)(b ^ 0x35)) == (ab ^ rs_gf_mul((uint8_t)a, 0x35)));
        }
        CHECK(ones == (a != 0));
    }
}

static void test_ways(struct qn_test_state *t)
{
    enum { ROWS = 19, COLS = 13, LEN = 1000 };
    uint64_t seed = 7;
    uint8_t matrix[ROWS * COLS], *src[COLS], *a[ROWS], *b[ROWS];
    for (size_t i = 0; i < sizeof matrix; i++)
        matrix[i] = (uint8_t)rnd(&seed);
    for (int i = 0; i < COLS; i++) {
        src[i] = malloc(LEN);
        for (int j = 0; j < LEN; j++)
            src[i][j] = (uint8_t)rnd(&seed);
    }
    for (int i = 0; i < ROWS; i++) {
        a[i] = malloc(LEN);
        b[i] = malloc(LEN);
    }
    for (size_t len = 1; len <= LEN; len = len < 300 ? len + 1 : len + 97) {
        rs_mul(RS_C, matrix, ROWS, COLS, (const uint8_t *const *)src, a, len);
        for (size_t at = 0; at < len; at += 41) {
            uint8_t want = 0;
            for (int c = 0; c < COLS; c++)
                want ^= rs_gf_mul(matrix[3 * COLS + c], src[c][at]);
            CHECK(a[3][at] == want);
        }
        for (int way = RS_AVX2; way <= (int)rs_way(); way++) {
            for (int i = 0; i < ROWS; i++)
                memset(b[i], 0xee, LEN);
            rs_mul((enum rs_way)way, matrix, ROWS, COLS, (const uint8_t *const *)src, b, len);
            for (int i = 0; i < ROWS; i++) {
                CHECK(memcmp(a[i], b[i], len) == 0);
                CHECK(len == LEN || b[i][len] == 0xee);
            }
        }
    }
    for (int i = 0; i < COLS; i++)
        free(src[i]);
    for (int i = 0; i < ROWS; i++) {
        free(a[i]);
        free(b[i]);
    }
}

/* Loses pieces by `lose` (2k flags) and wants the data back. */
static void lose_some(struct qn_test_state *t, unsigned k, uint8_t **piece, const bool *lose,
                      size_t len)
{
    const uint8_t *have[2 * RS_K_MAX];
    uint8_t *back[RS_K_MAX], *mem = malloc(k * len);
    unsigned left = 0;
    for (unsigned i = 0; i < 2 * k; i++) {
        have[i] = lose[i] ? NULL : piece[i];
        left += !lose[i];
        if (i < k) back[i] = mem + i * len;
    }
    bool ok = rs_restore(k, have, back, len);
    CHECK(ok == (left >= k));
    for (unsigned i = 0; ok && i < k; i++)
        if (lose[i]) CHECK(memcmp(back[i], piece[i], len) == 0);
    free(mem);
}

static void test_losses(struct qn_test_state *t)
{
    static const unsigned KS[] = { 1, 2, 3, 4, 32, 64, 127 };
    uint64_t seed = 99;
    for (size_t n = 0; n < QN_COUNT(KS); n++) {
        unsigned k = KS[n];
        size_t len = 150 + k;
        uint8_t *mem = malloc(2 * k * len), *piece[2 * RS_K_MAX];
        for (unsigned i = 0; i < 2 * k; i++)
            piece[i] = mem + i * len;
        for (size_t i = 0; i < k * len; i++)
            mem[i] = (uint8_t)rnd(&seed);
        rs_encode(k, (const uint8_t *const *)piece, piece + k, len);
        bool lose[2 * RS_K_MAX];
        if (k <= 4) { /* every subset */
            for (unsigned set = 0; set < 1u << 2 * k; set++) {
                for (unsigned i = 0; i < 2 * k; i++)
                    lose[i] = set >> i & 1;
                lose_some(t, k, piece, lose, len);
            }
        } else {
            for (unsigned i = 0; i < 2 * k; i++)
                lose[i] = i < k; /* all the data */
            lose_some(t, k, piece, lose, len);
            for (int round = 0; round < 20; round++) {
                unsigned left = k + (round % 4 == 3 ? 1 : 0);
                memset(lose, 0, sizeof lose);
                while (left) {
                    unsigned i = (unsigned)(rnd(&seed) % (2 * k));
                    if (lose[i]) continue;
                    lose[i] = true;
                    left--;
                }
                lose_some(t, k, piece, lose, len);
            }
        }
        free(mem);
    }
}

/* ISA-L 2.30, gf_gen_cauchy1_matrix(8, 4) and ec_encode_data over data[j][i] = 17 j + 31 i + 5. */
static void test_golden(struct qn_test_state *t)
{
    static const uint8_t WANT[4][8] = {
#include "tests/golden/rs_isal.txt"
    };
    uint8_t mem[8][8], *piece[8];
    for (unsigned j = 0; j < 8; j++)
        piece[j] = mem[j];
    for (unsigned j = 0; j < 4; j++)
        for (unsigned i = 0; i < 8; i++)
            mem[j][i] = (uint8_t)(17 * j + 31 * i + 5);
    rs_encode(4, (const uint8_t *const *)piece, piece + 4, 8);
    for (unsigned r = 0; r < 4; r++)
        CHECK(memcmp(mem[4 + r], WANT[r], 8) == 0);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_field);
    TEST(test_ways);
    TEST(test_losses);
    TEST(test_golden);
    return TEST_END();
}
