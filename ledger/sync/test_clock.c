/* test_clock.c - a machine whose clock went back: the chain says so and waits for nobody to write over it. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/sync/replica.h"

#include <stdlib.h>
#include <string.h>

struct ahead {
    uint64_t by_ms;
};

static uint64_t now_ms(void *self)
{
    return qn_env_now_ms(qn_env_real()) + ((struct ahead *)self)->by_ms;
}

static uint64_t mono_us(void *self)
{
    (void)self;
    return qn_env_mono_us(qn_env_real());
}

static void fill(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

static void test_back(struct qn_test_state *t)
{
    char home[] = "/tmp/quoin-clock-XXXXXX", cmd[64];
    struct ahead ahead = { 7200000 };
    struct qn_env env = { &ahead, now_ms, mono_us, fill, NULL };
    struct qn_hash seed = qn_h("test clock", "", 0);
    struct qn_key key;
    struct qn_replica *r;
    struct qn_why why = { "" };
    uint64_t wait;
    QN_ASSERT(mkdtemp(home) != NULL);
    qn_key_from_seed(seed.b, &key);
    struct qn_genesis genesis = { .name = QN_SPAN_STR("test"), .t_ms = 1700000000000, .dev = true };
    genesis.validators.cnt = 1;
    genesis.validators.ptr = &key.pub;
    struct qn_replica_conf conf = {
        .chain = { .home = home, .env = &env, .genesis = &genesis, .map_gib = 1 },
        .validator = &key,
    };
    CHECK_RC(qn_replica_open(&conf, &r, &why), QN_OK);
    CHECK_RC(qn_replica_turn(r, &wait, &why), QN_OK);
    qn_replica_close(r);
    ahead.by_ms = 0; /* set right again: two hours before the last block */
    CHECK_RC(qn_replica_open(&conf, &r, &why), QN_E_CLOCK);
    CHECK(strstr(why.text, "ahead of this machine's clock") != NULL);
    ahead.by_ms = 7200000;
    CHECK_RC(qn_replica_open(&conf, &r, &why), QN_OK);
    CHECK(qn_view_height(qn_chain_view(qn_replica_chain(r))) == 1);
    qn_replica_close(r);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    CHECK(system(cmd) == 0);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_back);
    return TEST_END();
}
