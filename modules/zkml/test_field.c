/* test_field.c - field laws, vectors in all variants, encoding against its definition, the plan's figures. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "modules/zkml/fs.h"
#include "modules/zkml/plan.h"

#include <stdlib.h>

struct rng {
    struct qn_hash seed;
};

static uint64_t next(struct rng *r)
{
    uint64_t v;
    r->seed = qn_h("test", r->seed.b, 32);
    memcpy(&v, r->seed.b, 8);
    return v;
}

static zkml_f rand_f(struct rng *r)
{
    return (zkml_f)(next(r) % ZK_P);
}

static struct zkml_k rand_k(struct rng *r)
{
    struct zkml_k k;
    for (int i = 0; i < ZK_DEG; i++)
        k.c[i] = rand_f(r);
    return k;
}

static void test_numbers(struct qn_test_state *t)
{
    struct rng r = { 0 };
    static const uint32_t EDGE[] = {
        0, 1, 2, ZK_P - 1, ZK_P - 2, ZK_P / 2, ZK_P / 2 + 1, 0x7fffffff % ZK_P
    };
    for (size_t i = 0; i < QN_COUNT(EDGE) * QN_COUNT(EDGE) + 2000; i++) {
        uint32_t a = i < 64 ? EDGE[i / 8] : (uint32_t)(next(&r) % ZK_P);
        uint32_t b = i < 64 ? EDGE[i % 8] : (uint32_t)(next(&r) % ZK_P);
        zkml_f x = zkml_f_from(a), y = zkml_f_from(b);
        CHECK(zkml_f_to(x) == a && x < ZK_P);
        CHECK(zkml_f_to(zkml_f_mul(x, y)) == (uint64_t)a * b % ZK_P);
        CHECK(zkml_f_to(zkml_f_add(x, y)) == ((uint64_t)a + b) % ZK_P);
        CHECK(zkml_f_to(zkml_f_sub(x, y)) == ((uint64_t)a + ZK_P - b) % ZK_P);
    }
    CHECK(zkml_f_to(zkml_f_int(-1)) == ZK_P - 1 && zkml_f_from(1) == ZK_ONE);
    zkml_f w = zkml_f_root(ZK_TWO);
    CHECK(zkml_f_pow(w, 1u << 27) == ZK_ONE && zkml_f_pow(w, 1u << 26) == zkml_f_int(-1));
    CHECK(w == zkml_f_pow(zkml_f_from(31), 15));
    /* X^5 - 2 is irreducible: 2 is no fifth power */
    CHECK(zkml_f_to(zkml_f_pow(zkml_f_from(2), (ZK_P - 1) / 5)) == 815036133);
}

static void test_extension(struct qn_test_state *t)
{
    struct rng r = { { { 1 } } };
    for (int i = 0; i < 500; i++) {
        struct zkml_k a = rand_k(&r), b = rand_k(&r), c = rand_k(&r), slow = { 0 };
        if (i == 0)
            for (int j = 0; j < ZK_DEG; j++)
                a.c[j] = b.c[j] = ZK_P - 1; /* largest products */
        for (int x = 0; x < ZK_DEG; x++)
            for (int y = 0; y < ZK_DEG; y++) {
                zkml_f v = zkml_f_mul(a.c[x], b.c[y]);
                if (x + y >= ZK_DEG) v = zkml_f_add(v, v);
                slow.c[(x + y) % ZK_DEG] = zkml_f_add(slow.c[(x + y) % ZK_DEG], v);
            }
        CHECK(zkml_k_eq(zkml_k_mul(a, b), slow));
        CHECK(zkml_k_eq(zkml_k_mul(a, zkml_k_add(b, c)),
                        zkml_k_add(zkml_k_mul(a, b), zkml_k_mul(a, c))));
        CHECK(zkml_k_eq(zkml_k_mul(a, zkml_k_inv(a)), zkml_k_one()));
        uint8_t bytes[20];
        zkml_k_put(a, bytes);
        CHECK(zkml_k_get(bytes, &c) && zkml_k_eq(a, c));
    }
    uint8_t over[20] = { 1, 0, 0, 0x78 }; /* p itself */
    struct zkml_k k;
    CHECK(!zkml_k_get(over, &k));
}

static void test_variants(struct qn_test_state *t)
{
    enum { N = 67 };
    struct rng r = { { { 2 } } };
    zkml_f src[N], ref[3][N];
    for (int i = 0; i < N; i++)
        src[i] = i < 20 ? ZK_P - 1 : rand_f(&r);
    for (enum zkml_simd k = ZK_SIMD_C; k <= ZK_SIMD_AVX512; k++) {
        const struct zkml_ops *o = zkml_ops_get(k), *c = zkml_ops_get(ZK_SIMD_C);
        if (!o) continue;
        for (zkml_f m = ZK_P - 3; m < ZK_P; m++) {
            zkml_f a[2][N], b[2][N], x[16];
            memcpy(a[0], src, sizeof src), memcpy(a[1], src, sizeof src);
            o->axpy(a[0], m, src, N), c->axpy(a[1], m, src, N);
            CHECK(memcmp(a[0], a[1], sizeof a[0]) == 0);
            memcpy(b[0], src + 3, 64 * sizeof *src), memcpy(b[1], src + 3, 64 * sizeof *src);
            o->butterfly(a[0], b[0], m, 64), c->butterfly(a[1], b[1], m, 64);
            CHECK(memcmp(a[0], a[1], sizeof a[0]) == 0 &&
                  memcmp(b[0], b[1], 64 * sizeof *src) == 0);
            o->scale(b[0], m, src, 64), c->scale(b[1], m, src, 64);
            CHECK(memcmp(b[0], b[1], 64 * sizeof *src) == 0);
            memcpy(x, src + 12, sizeof x);
            memcpy(ref[0], src, sizeof src), memcpy(ref[1], src, sizeof src);
            o->horner(src, N, x, ref[0]), c->horner(src, N, x, ref[1]);
            CHECK(memcmp(ref[0], ref[1], sizeof ref[0]) == 0);
        }
    }
}

static void test_encode(struct qn_test_state *t)
{
    enum { LOG_N = 7, N = 1 << LOG_N, CNT = 16 };
    struct rng r = { { { 3 } } };
    for (size_t used = 1; used <= N; used = used * 3 / 2 + 1) {
        zkml_f *m = calloc(N * CNT, sizeof *m), *coef = calloc(N * CNT, sizeof *coef);
        QN_ASSERT(m && coef);
        for (size_t i = 0; i < used * CNT; i++)
            m[i] = coef[i] = rand_f(&r);
        zkml_encode(m, LOG_N, CNT, used);
        bool same = true;
        for (uint32_t q = 0; q < N; q += 5)
            for (size_t l = 0; l < CNT; l += 3) {
                zkml_f v = 0, x = zkml_point(LOG_N, q);
                for (size_t i = used; i-- > 0;)
                    v = zkml_f_add(zkml_f_mul(v, x), coef[i * CNT + l]);
                same &= v == m[q * CNT + l];
            }
        CHECK(same);
        free(m), free(coef);
    }
    struct zkml_k z[3] = { rand_k(&r), rand_k(&r), rand_k(&r) }, e[8], sum = zkml_k_zero();
    zkml_eq(z, 3, e);
    for (int i = 0; i < 8; i++)
        sum = zkml_k_add(sum, e[i]);
    CHECK(zkml_k_eq(sum, zkml_k_one()));
    CHECK(zkml_k_eq(e[4], zkml_k_mul(z[0], zkml_k_mul(zkml_k_sub(zkml_k_one(), z[1]),
                                                      zkml_k_sub(zkml_k_one(), z[2])))));
}

static void test_transcript(struct qn_test_state *t)
{
    struct zkml_fs a, b;
    struct zkml_k x, y;
    zkml_fs_init(&a), zkml_fs_init(&b);
    zkml_fs_absorb(&a, 1, ZK_FS_BYTES, "ab", 2);
    zkml_fs_absorb(&b, 1, ZK_FS_BYTES, "a", 1);
    zkml_fs_absorb(&b, 1, ZK_FS_BYTES, "b", 1);
    zkml_fs_squeeze(&a, 9, &x, 1), zkml_fs_squeeze(&b, 9, &y, 1);
    CHECK(!zkml_k_eq(x, y)); /* where a message ends is part of it */
    uint64_t nonce = zkml_fs_grind(&a, 10);
    CHECK(zkml_fs_ground(&a, nonce, 10));
}

static const struct zkml_shape MLP = { 2, { { 784, 128, 1, 9, true }, { 128, 10, 1, 8, false } } };

static void test_plan(struct qn_test_state *t)
{
    struct zkml_plan p;
    struct qn_why why;
    CHECK_RC(zkml_plan_make(&MLP, 8, &p, &why), QN_OK);
    printf("plan: m %u cols %u deg %u/%u/%u N 2^%u queries %u slots %u z %u: %u bytes at most, "
           "%u.%u bits "
           "(query %u gap %u iop %u hash %u)\n",
           p.m, p.w_cols, p.w_deg, p.a_deg, p.z_deg, p.log_n, p.queries, p.slots, p.z_cells,
           p.proof_max, p.bits / 10, p.bits % 10, p.bits_query, p.bits_gap, p.bits_iop,
           p.bits_hash);
    CHECK(p.bits >= 1000 && p.proof_max <= ZK_PROOF_MAX && p.bits <= p.bits_query);
    /* ((1 + rho) / 2)^queries by hand in doubles: the rounded figure lies just below */
    double rho = (double)p.w_deg / (double)(1u << p.log_n), q = 1;
    for (uint32_t i = 0; i < p.queries; i++)
        q *= (1 + rho) / 2;
    double bits = 16;
    for (; q < 1; q *= 2)
        bits++;
    CHECK(bits * 10 >= p.bits_query && (bits - 1.2) * 10 <= p.bits_query);
    struct zkml_shape bad = MLP;
    bad.layer[1].in = 127;
    CHECK_RC(zkml_plan_make(&bad, 8, &p, &why), QN_E_RANGE);
    bad = MLP, bad.layer[0].m = 127;
    CHECK_RC(zkml_plan_make(&bad, 8, &p, &why), QN_E_RANGE); /* 784 * 2^14 * 127 > p: would wrap */
    bad = MLP, bad.layer[0].s = 0;
    CHECK_RC(zkml_plan_make(&bad, 8, &p, &why), QN_E_RANGE);
    CHECK_RC(zkml_plan_make(&MLP, 0, &p, &why), QN_E_RANGE);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_numbers);
    TEST(test_extension);
    TEST(test_variants);
    TEST(test_encode);
    TEST(test_transcript);
    TEST(test_plan);
    return TEST_END();
}
