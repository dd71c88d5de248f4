/* test_mint.c - the whole curve of new coins, step by step; and what fees do under load. */
#include "core/base/test.h"
#include "ledger/state/fixture.h"
#include "ledger/state/state_in.h"

#define STEP_MS 10000

/* From the first coin to the last: at every time the rate is the base rate halved as often as half of what was left is out, nothing is lost
 * between blocks, and an era of 2^h has issued exactly its half when the next begins. */
static void test_curve(struct qn_test_state *t)
{
    struct qn_mint_state m = { 0 };
    uint64_t left = QN_SUPPLY_UQN, now = 0, era_ms = 0, eras = 0;
    for (unsigned h = 0; h < 17; h++) { /* 83,181 >> 17 is 0: the last 160 QN are never minted */
        uint64_t begin = left, until = QN_SUPPLY_UQN >> (h + 1), steps = 0, out = 0;
        uint64_t rate = 83181u >> h, carry = m.carry_nqn;
        while (left > until) { /* left << (h + 1) > supply */
            struct qn_amount a = qn_mint_step(&m, left, now += STEP_MS);
            left -= a.uqn;
            out += a.uqn;
            steps++;
        }
        CHECK(begin <= QN_SUPPLY_UQN >> h && begin - left == out);
        CHECK((__extension__(unsigned __int128) out) * 1000 + m.carry_nqn ==
              (__extension__(unsigned __int128) rate) * STEP_MS * steps +
                  carry);                                /* not a nano-quoin astray */
        CHECK(until - left < rate * STEP_MS / 1000 + 1); /* one step past the half at most */
        if (h == 0) era_ms = steps * STEP_MS;
        eras++;
    }
    CHECK(eras == 17);
    CHECK(era_ms >= 126230400000 - 60000000 && era_ms <= 126230400000 + 60000000); /* four years */
    struct qn_amount none = qn_mint_step(&m, left, now + STEP_MS);
    CHECK(none.uqn == 0 && left <= QN_SUPPLY_UQN >> 17 && left > 0);
}

/* The rate does not depend on how time is cut into blocks, but for a gap of more than ten seconds. */
static void test_cuts(struct qn_test_state *t)
{
    uint64_t want = 0;
    for (uint64_t step = 1; step <= 10000; step = step * 10) {
        struct qn_mint_state m = { 0 };
        uint64_t sum = 0;
        for (uint64_t at = step; at <= 1000000; at += step)
            sum += qn_mint_step(&m, QN_SUPPLY_UQN - sum, at).uqn;
        if (step == 1) want = sum;
        CHECK(sum == want && sum == 83181000);
    }
    struct qn_mint_state m = { 0 };
    CHECK(qn_mint_step(&m, QN_SUPPLY_UQN, 1000000).uqn == 831810);
}

static void test_price(struct qn_test_state *t)
{
    const uint64_t target = 50000000;
    CHECK(qn_fee_scale(1000, 0, target) == 1000);
    CHECK(qn_fee_scale(1000, 8 * target, target) == 2000);
    CHECK(qn_fee_scale(1000, 80 * target, target) == 1024000);
    CHECK(qn_fee_scale(1000000, 4 * target, target) == 1414213); /* root of two */
    CHECK(qn_fee_scale(1000000, target, target) == 1090507);     /* a full block: 9 % */
    CHECK(qn_fee_scale(1000, UINT64_MAX, target) == 1000ull << 30);
    CHECK(qn_fee_scale(UINT64_MAX / 2, UINT64_MAX, target) == UINT64_MAX);
    uint64_t last = 0;
    for (uint64_t x = 0; x < 300 * target; x += 777777) { /* never falls, never jumps */
        uint64_t p = qn_fee_scale(1000000000, x, target);
        CHECK(p >= last && (last == 0 || p - last <= last / 500));
        last = p;
    }
    struct qn_price price = { 1000, 100000 };
    CHECK(qn_fee_of(&price, 43000, 250).uqn == 43 + 25);
    CHECK(qn_fee_of(&price, 43001, 251).uqn == 44 + 26); /* rounded up, each */
    price.gas = UINT64_MAX;
    CHECK(qn_fee_of(&price, 1000000, 1).uqn == QN_SUPPLY_UQN);
}

/* Blocks above the target make the next ones dearer, blocks below it bring the price back to its least. */
static void test_market(struct qn_test_state *t)
{
    struct qn_fix f;
    qn_fix_init(&f, NULL, 0, NULL);
    struct qn_apply ap = { .view = f.view, .arena = &f.arena };
    uint64_t target = qn_param(f.view, QN_PARAM_gas_target), steps = 0;
    struct qn_price least = qn_fee_price(f.view), p = least;
    CHECK(least.gas == 1000 && least.byte == 100000);
    for (int i = 0; i < 8; i++)
        qn_fee_end(&ap, 2 * target, 0);
    p = qn_fee_price(f.view);
    CHECK(p.gas == 2000 && p.byte == 100000);
    qn_fee_end(&ap, UINT64_MAX / 2, 0); /* counts as a full block, no more */
    p = qn_fee_price(f.view);
    CHECK(p.gas == 2181);
    for (; p.gas > 1000; steps++) {
        qn_fee_end(&ap, target / 2, 0);
        p = qn_fee_price(f.view);
    }
    CHECK(steps == 18 || steps == 17); /* half as fast down as nine blocks went up */
    qn_state_accept(f.st, NULL, NULL);
    struct ledger_send send = { .to = qn_fix_acct(50), .amount = QN_UQN(1) };
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, NULL), QN_OK);
    uint64_t fee = f.last.fee.uqn;
    for (int i = 0; i < 80; i++)
        qn_fee_end(&ap, 2 * target, 0);
    qn_state_accept(f.st, NULL, NULL);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, NULL), QN_E_LIMIT); /* its fee_max is 1 QN */
    for (int i = 0; i < 40; i++)
        qn_fee_end(&ap, 0, 0);
    qn_state_accept(f.st, NULL, NULL);
    CHECK_RC(qn_fix_tx(&f, 0, QN_TX_SEND, &send, NULL, NULL), QN_OK);
    CHECK(f.last.fee.uqn > fee * 15 && f.last.fee.uqn < fee * 33);
    qn_fix_fini(&f);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_curve);
    TEST(test_cuts);
    TEST(test_price);
    TEST(test_market);
    return TEST_END();
}
