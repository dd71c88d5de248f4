/* test_subnet.c - the market on a ledger in memory: seats and their price, stake, every way a row is refused, hidden weights, emission. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/module/module.h"
#include "ledger/state/fixture.h"
#include "modules/subnet/subnet.h"

#include <stdlib.h>

#define QN    QN_UQN_PER_QN
#define TEMPO 1000

enum { OWNER = 0, V1, V2, V3, M1, M2, M3, M4, OTHER };

extern const struct qn_module subnet_module;

struct market {
    struct qn_fix f;
    struct qn_why why;
    struct qn_exec_module mod;
};

static void market_init(struct market *m)
{
    *m = (struct market){ .mod = { .name = subnet_module.name,
                                   .txs = subnet_module.txs,
                                   .dues = subnet_module.dues,
                                   .tables = subnet_module.tables,
                                   .chain = subnet_module.chain } };
    qn_fix_init(&m->f, &m->mod, 1, NULL);
}

static qn_rc tx(struct market *m, unsigned person, uint16_t kind, const void *body)
{
    m->why.text[0] = 0;
    return qn_fix_tx(&m->f, person, kind, body, NULL, &m->why);
}

static uint64_t balance(struct market *m, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(m->f.view, &acct).uqn;
}

#define NAME QN_SPAN_STR("net")

static struct subnet_create a_subnet(void)
{
    return (struct subnet_create){ .name = NAME,
                                   .script = QN_SPAN_STR("return {}"),
                                   .lock = QN_UQN(10 * QN),
                                   .rules = { .tempo_ms = TEMPO,
                                              .rate_ms = 1,
                                              .seats = 8,
                                              .validators = 3,
                                              .immunity_ms = 1000000,
                                              .min_stake = QN_UQN(QN),
                                              .price_start = QN_UQN(1000),
                                              .price_min = QN_UQN(1000) } };
}

static struct subnet_state state(struct qn_test_state *t, struct market *m)
{
    struct subnet_state s = { 0 };
    struct qn_hash sid;
    CHECK_RC(subnet_get(m->f.view, NAME, &m->f.arena, &sid, &s, &m->why), QN_OK);
    return s;
}

static qn_rc seat(struct market *m, unsigned person, uint64_t burn_max)
{
    struct seat_burn b = { .subnet = NAME, .burn_max = QN_UQN(burn_max) };
    return tx(m, person, SUBNET_TX_BURN, &b);
}

static qn_rc stake(struct market *m, unsigned person, uint64_t uqn)
{
    struct stake_add b = { .subnet = NAME, .amount = QN_UQN(uqn) };
    return tx(m, person, SUBNET_TX_STAKE, &b);
}

static struct subnet_seat seat_of(struct market *m, uint32_t uid)
{
    struct subnet_seat s;
    struct qn_hash sid = subnet_id(NAME);
    subnet_seat_get(m->f.view, &sid, uid, &m->f.arena, &s);
    return s;
}

/* Lets the open epoch end. */
static void end_epoch(struct qn_test_state *t, struct market *m)
{
    uint64_t epoch = state(t, m).epoch;
    qn_fix_wait(&m->f, TEMPO);
    CHECK(state(t, m).epoch == epoch + 1);
}

/* Validators V1..V3 at uids 0..2 with stake, miners M1..M4 at 3..6; permits are given. */
static void begin(struct qn_test_state *t, struct market *m, bool hidden)
{
    struct subnet_create c = a_subnet();
    market_init(m);
    c.rules.hidden = hidden;
    CHECK_RC(tx(m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    for (unsigned p = V1; p <= M4; p++)
        CHECK_RC(seat(m, p, QN), QN_OK);
    for (unsigned p = V1; p <= V3; p++)
        CHECK_RC(stake(m, p, 10 * QN), QN_OK);
    end_epoch(t, m);
    CHECK(seat_of(m, 0).permit && seat_of(m, 2).permit && !seat_of(m, 3).permit);
}

static qn_rc set_row(struct market *m, unsigned person, const uint32_t *uids, const uint32_t *vals,
                     uint32_t cnt)
{
    struct weights_set b = { .subnet = NAME, .version = 0 };
    b.uids.cnt = b.vals.cnt = cnt;
    b.uids.ptr = (uint32_t *)(uintptr_t)uids;
    b.vals.ptr = (uint32_t *)(uintptr_t)vals;
    return tx(m, person, SUBNET_TX_SET, &b);
}

/* --- price ------------------------------------------------------------------------------------------------------------ */

static void test_price(struct qn_test_state *t)
{
    json_t *file = json_load_file("tests/golden/yuma.json", 0, NULL), *one, *v = NULL, *op;
    size_t k, i;
    json_array_foreach(json_object_get(file, "vectors"), k,
                       one) if (strncmp(json_string_value(json_object_get(one, "id")), "V08", 3) ==
                                0) v = one;
    json_t *want = json_object_get(json_object_get(v, "expected"), "prices");
    size_t checked = 0;
    json_array_foreach(json_object_get(v, "input"), k, one)
    {
        json_t *lo = json_object_get(one, "min"), *hi = json_object_get(one, "max"),
               *mult = json_object_get(one, "mult"), *half = json_object_get(one, "half_life");
        uint64_t p = (uint64_t)json_integer_value(json_object_get(one, "start"));
        uint64_t min = lo ? (uint64_t)json_integer_value(lo) : 0,
                 max = hi ? (uint64_t)json_integer_value(hi) : INT64_MAX;
        q32 f = subnet_burn_factor(half ? (uint32_t)json_integer_value(half) : 360);
        json_array_foreach(json_object_get(one, "ops"), i, op)
        {
            if (strcmp(json_string_value(op), "register") == 0)
                p = subnet_burn_bump(p, (uint32_t)(json_integer_value(mult) * 1000000), min, max);
            else
                p = subnet_burn_block(p, f, min, max);
            CHECK(p == (uint64_t)json_integer_value(json_array_get(json_array_get(want, k), i)));
            checked++;
        }
    }
    CHECK(checked >= 10);
    json_decref(file);
    /* The same on the ledger: each seat makes the next dearer, each block cheaper, never below the least. */
    struct market m;
    struct subnet_create c = a_subnet();
    market_init(&m);
    c.rules.price_start = QN_UQN(100000);
    c.rules.half_life = 2;
    c.rules.mult_ppm = 2000000;
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    uint64_t expect = 100000;
    q32 f = subnet_burn_factor(2);
    const struct qn_hash burnt = qn_acct_burnt();
    for (unsigned p = V1; p <= V3; p++) {
        expect = subnet_burn_block(expect, f, 1000, 100 * QN); /* a block passed */
        CHECK(subnet_price(&(struct subnet_state[]){ state(t, &m) }[0], m.f.height + 1) == expect);
        CHECK_RC(seat(&m, p, expect - 1), QN_E_LIMIT); /* costs a block as well */
        expect = subnet_burn_block(expect, f, 1000, 100 * QN);
        uint64_t before = qn_view_balance(m.f.view, &burnt).uqn;
        CHECK_RC(seat(&m, p, expect), QN_OK);
        CHECK(qn_view_balance(m.f.view, &burnt).uqn - before == expect + m.f.last.fee.uqn);
        expect *= 2;
    }
    CHECK_RC(seat(&m, V1, QN), QN_E_EXISTS);
    for (int n = 0; n < 30; n++)
        qn_fix_wait(&m.f, 1);
    CHECK(subnet_price(&(struct subnet_state[]){ state(t, &m) }[0], m.f.height) == 1000);
    qn_fix_fini(&m.f);
}

static void test_rules(struct qn_test_state *t)
{
    struct market m;
    struct subnet_create c = a_subnet();
    market_init(&m);
    c.name = QN_SPAN_STR("Net");
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_E_RANGE);
    c = a_subnet();
    c.lock = QN_UQN(QN);
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_E_RANGE);
    c = a_subnet();
    c.script = QN_SPAN_STR("");
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_E_FORMAT);
    c = a_subnet();
    c.rules.tempo_ms = 10;
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_E_RANGE);
    c = a_subnet();
    c.rules.alpha_low = 60000;
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_E_RANGE);
    c = a_subnet();
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    CHECK_RC(tx(&m, OTHER, SUBNET_TX_CREATE, &c), QN_E_EXISTS);
    struct subnet_state s = state(t, &m);
    CHECK(s.rules.kappa == 32767 && s.rules.half_life == 360 && s.rules.mult_ppm == 1260000);
    CHECK_RC(seat(&m, OWNER, 1), QN_E_LIMIT);
    struct seat_burn nowhere = { .subnet = QN_SPAN_STR("nowhere"), .burn_max = QN_UQN(QN) };
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_BURN, &nowhere), QN_E_NOTFOUND);
    qn_fix_fini(&m.f);
}

/* --- stake ------------------------------------------------------------------------------------------------------------- */

static void test_stake(struct qn_test_state *t)
{
    struct market m;
    begin(t, &m, false);
    struct qn_hash sid = subnet_id(NAME), v1 = qn_fix_acct(V1);
    struct stake_unbond un = { .subnet = NAME, .amount = QN_UQN(11 * QN) };
    CHECK_RC(tx(&m, V1, SUBNET_TX_UNBOND, &un), QN_E_FUNDS);
    un.amount = QN_UQN(0);
    CHECK_RC(tx(&m, V1, SUBNET_TX_UNBOND, &un), QN_E_RANGE);
    un.amount = QN_UQN(4 * QN);
    CHECK_RC(tx(&m, OTHER, SUBNET_TX_UNBOND, &un), QN_E_NOTFOUND);
    CHECK_RC(tx(&m, V1, SUBNET_TX_UNBOND, &un), QN_OK);
    CHECK(subnet_bonded(m.f.view, &sid, &v1) == 6 * QN); /* counts no more at once */
    uint64_t before = balance(&m, V1);
    qn_fix_wait(&m.f, 7 * TEMPO);
    CHECK(balance(&m, V1) < before + 4 * QN); /* evidence still bites */
    qn_fix_wait(&m.f, TEMPO);
    CHECK(balance(&m, V1) >= before + 4 * QN);
    un.amount = QN_UQN(6 * QN);
    CHECK_RC(tx(&m, V1, SUBNET_TX_UNBOND, &un), QN_OK);
    qn_fix_wait(&m.f, 8 * TEMPO);
    CHECK(subnet_bonded(m.f.view, &sid, &v1) == 0);
    CHECK(!seat_of(&m, 0).permit); /* no stake, no permit */
    qn_fix_fini(&m.f);
}

/* --- rows ---------------------------------------------------------------------------------------------------------------- */

static void test_refused(struct qn_test_state *t)
{
    struct market m;
    begin(t, &m, false);
    const uint32_t uids[] = { 3, 4, 5 }, vals[] = { 10, 20, 30 };
    const uint32_t twice[] = { 3, 4, 3 }, unknown[] = { 3, 4, 7 }, far[] = { 3, 4, 4000000000u };
    const uint32_t high[] = { 10, 65536, 3 }, self[] = { 3 };
    struct weights_set b = { .subnet = NAME };
    b.uids.cnt = 3;
    b.vals.cnt = 2;
    b.uids.ptr = (uint32_t *)(uintptr_t)uids;
    b.vals.ptr = (uint32_t *)(uintptr_t)vals;
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_E_RANGE); /* lengths */
    b.vals.cnt = 3;
    b.mech = 1;
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_E_RANGE);    /* mechanism */
    CHECK_RC(set_row(&m, OTHER, uids, vals, 3), QN_E_AUTH); /* no seat */
    CHECK_RC(set_row(&m, M1, uids, vals, 3), QN_E_LIMIT);   /* no stake */
    CHECK_RC(stake(&m, M1, QN), QN_OK);
    CHECK_RC(set_row(&m, M1, uids, vals, 3), QN_E_AUTH); /* no permit */
    CHECK(strstr(m.why.text, "permit") != NULL);
    CHECK_RC(set_row(&m, M1, self, vals, 1), QN_OK); /* but oneself alone */
    CHECK_RC(set_row(&m, V1, twice, vals, 3), QN_E_DUPLICATE);
    CHECK_RC(set_row(&m, V1, unknown, vals, 3), QN_E_NOTFOUND);
    CHECK_RC(set_row(&m, V1, far, vals, 3), QN_E_NOTFOUND);
    CHECK_RC(set_row(&m, V1, uids, high, 3), QN_E_RANGE);
    CHECK_RC(set_row(&m, V1, uids, vals, 3), QN_OK);
    struct subnet_cells row;
    struct qn_hash sid = subnet_id(NAME);
    struct subnet_key key = subnet_key_uid(&sid, 0);
    CHECK_RC(qn_view_rec(m.f.view, SUBNET_T_ROW, subnet_key_span(&key), subnet_cells_record(),
                         &m.f.arena, &row),
             QN_OK);
    CHECK(row.vals.cnt == 3 && row.vals.ptr[2] == 65535 && row.vals.ptr[0] == 21845); /* upscaled */
    qn_fix_fini(&m.f);

    struct subnet_create c = a_subnet(); /* rules that the above had no use for */
    market_init(&m);
    c.rules.version = 7;
    c.rules.rate_ms = 500;
    c.rules.min_cnt = 3;
    c.rules.share_max = 32768;
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    for (unsigned p = V1; p <= M4; p++)
        CHECK_RC(seat(&m, p, QN), QN_OK);
    CHECK_RC(stake(&m, V1, 10 * QN), QN_OK);
    end_epoch(t, &m);
    b.mech = 0;
    b.version = 6;
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_E_REFUSED); /* version */
    CHECK_RC(set_row(&m, V1, uids, vals, 2), QN_E_RANGE);  /* too few */
    const uint32_t steep[] = { 1, 2, 300 };
    CHECK_RC(set_row(&m, V1, uids, steep, 3), QN_E_LIMIT); /* one gets too much */
    b.version = 7;
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_OK);
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_E_RATE);
    qn_fix_wait(&m.f, 500);
    CHECK_RC(tx(&m, V1, SUBNET_TX_SET, &b), QN_OK);
    struct weights_commit wc = { .subnet = NAME };
    CHECK_RC(tx(&m, V1, SUBNET_TX_COMMIT, &wc), QN_E_STATE); /* open weights here */
    qn_fix_fini(&m.f);
}

/* --- hidden rows ------------------------------------------------------------------------------------------------------------ */

struct hidden {
    struct weights_commit commit;
    struct weights_reveal reveal;
    uint32_t uids[4], vals[4];
};

static void hide(struct market *m, struct hidden *h, unsigned person, uint64_t epoch,
                 const uint32_t *vals)
{
    struct qn_hash sid = subnet_id(NAME), who = qn_fix_acct(person);
    *h = (struct hidden){ .commit = { .subnet = NAME,
                                      .epoch = epoch,
                                      .leaf_root = qn_h("test", &person, sizeof person),
                                      .leaf_cnt = 12 },
                          .reveal = { .subnet = NAME,
                                      .epoch = epoch,
                                      .body = { .salt = qn_h("salt", &person, sizeof person) } } };
    for (uint32_t i = 0; i < 4; i++) {
        h->uids[i] = 3 + i;
        h->vals[i] = vals[i];
    }
    h->reveal.body.uids.cnt = h->reveal.body.vals.cnt = 4;
    h->reveal.body.uids.ptr = h->uids;
    h->reveal.body.vals.ptr = h->vals;
    h->commit.body_hash = weights_hash(&m->f.chain, &sid, &who, epoch, &h->commit.leaf_root,
                                       h->commit.leaf_cnt, &h->reveal.body);
}

static const uint32_t FAIR[] = { 60000, 30000, 0, 10000 };

static void test_hidden(struct qn_test_state *t)
{
    struct market m;
    struct hidden h;
    begin(t, &m, true);
    uint64_t e = state(t, &m).epoch;
    CHECK_RC(set_row(&m, V1, FAIR, FAIR, 2), QN_E_STATE); /* nothing openly */
    hide(&m, &h, V1, e, FAIR);
    h.commit.mode = 1;
    CHECK_RC(tx(&m, V1, SUBNET_TX_COMMIT, &h.commit), QN_E_RANGE);
    h.commit.mode = 0;
    h.commit.epoch = e + 1;
    CHECK_RC(tx(&m, V1, SUBNET_TX_COMMIT, &h.commit), QN_E_EXPIRED);
    h.commit.epoch = e;
    CHECK_RC(tx(&m, M1, SUBNET_TX_COMMIT, &h.commit), QN_E_LIMIT); /* no stake */
    CHECK_RC(tx(&m, OTHER, SUBNET_TX_COMMIT, &h.commit), QN_E_AUTH);
    CHECK_RC(tx(&m, V1, SUBNET_TX_COMMIT, &h.commit), QN_OK);
    CHECK_RC(tx(&m, V1, SUBNET_TX_COMMIT, &h.commit), QN_E_EXISTS);
    uint64_t committed_ms = m.f.now_ms - 10;
    CHECK_RC(tx(&m, V1, SUBNET_TX_REVEAL, &h.reveal), QN_E_STATE); /* too early */
    end_epoch(t, &m);
    h.vals[0]--;
    CHECK_RC(tx(&m, V1, SUBNET_TX_REVEAL, &h.reveal), QN_E_PROOF); /* another row */
    h.vals[0]++;
    h.reveal.body.salt.b[0] ^= 1;
    CHECK_RC(tx(&m, V1, SUBNET_TX_REVEAL, &h.reveal), QN_E_PROOF);
    h.reveal.body.salt.b[0] ^= 1;
    CHECK_RC(tx(&m, V2, SUBNET_TX_REVEAL, &h.reveal), QN_E_NOTFOUND); /* somebody else's */
    CHECK_RC(tx(&m, V1, SUBNET_TX_REVEAL, &h.reveal), QN_OK);
    CHECK(seat_of(&m, 0).update_ms == committed_ms);
    CHECK_RC(tx(&m, V1, SUBNET_TX_REVEAL, &h.reveal), QN_E_DUPLICATE);
    /* one that is never shown in time is void */
    hide(&m, &h, V2, e + 1, FAIR);
    CHECK_RC(tx(&m, V2, SUBNET_TX_COMMIT, &h.commit), QN_OK);
    end_epoch(t, &m);
    end_epoch(t, &m);
    CHECK_RC(tx(&m, V2, SUBNET_TX_REVEAL, &h.reveal), QN_E_EXPIRED);
    CHECK(seat_of(&m, 1).update_ms == 0);
    for (int i = 0; i < SUBNET_COMMITS_KEPT; i++)
        end_epoch(t, &m);
    struct qn_span key, val; /* nothing stays for ever */
    CHECK(!qn_view_next(m.f.view, SUBNET_T_COMMIT, QN_SPAN(NULL, 0), QN_SPAN(NULL, 0), &key, &val));
    qn_fix_fini(&m.f);
}

/* Who registers between a commit and its showing inherits nothing from it. */
static void test_newcomer(struct qn_test_state *t)
{
    struct market m;
    struct hidden h;
    begin(t, &m, true);
    uint64_t e = state(t, &m).epoch;
    for (unsigned p = V1; p <= V3; p++) {
        hide(&m, &h, p, e, FAIR);
        h.uids[3] = 7; /* the seat that is still free */
        struct qn_hash sid = subnet_id(NAME), who = qn_fix_acct(p);
        h.commit.body_hash = weights_hash(&m.f.chain, &sid, &who, e, &h.commit.leaf_root,
                                          h.commit.leaf_cnt, &h.reveal.body);
        CHECK_RC(tx(&m, p, SUBNET_TX_COMMIT, &h.commit), QN_OK);
    }
    CHECK_RC(seat(&m, OTHER, QN), QN_OK);
    end_epoch(t, &m);
    for (unsigned p = V1; p <= V3; p++) {
        hide(&m, &h, p, e, FAIR);
        h.uids[3] = 7;
        CHECK_RC(tx(&m, p, SUBNET_TX_REVEAL, &h.reveal), QN_OK);
    }
    end_epoch(t, &m);
    CHECK(seat_of(&m, 3).incentive > 0);
    CHECK(seat_of(&m, 7).incentive == 0 && seat_of(&m, 7).earned.uqn == 0);
    qn_fix_fini(&m.f);
}

/* --- emission ------------------------------------------------------------------------------------------------------------------ */

static uint64_t pool_balance(struct market *m)
{
    const struct qn_hash zero = { { 0 } };
    struct qn_hash acct = qn_acct_module(0, "subnets", &zero);
    return qn_view_balance(m->f.view, &acct).uqn;
}

static void test_emission(struct qn_test_state *t)
{
    struct market m;
    begin(t, &m, false);
    const uint32_t uids[] = { 3, 4, 5, 6 }, friendly[] = { 0, 0, 65535, 0 };
    CHECK(seat_of(&m, 0).earned.uqn == 0); /* nobody had weights: nothing is given, all is kept */
    struct subnet_state s = state(t, &m);
    CHECK(s.carry.uqn > 0 && s.paid_ms == 0);
    CHECK_RC(set_row(&m, V1, uids, FAIR, 4), QN_OK);
    CHECK_RC(set_row(&m, V2, uids, FAIR, 4), QN_OK);
    CHECK_RC(set_row(&m, V3, uids, friendly, 4), QN_OK); /* lifts its friend, uid 5 */
    uint64_t before[9], pool = pool_balance(&m), carry, kept;
    for (unsigned p = 0; p < 9; p++)
        before[p] = balance(&m, p);
    qn_fix_wait(&m.f, TEMPO);
    s = state(t, &m);
    struct subnet_key key = subnet_key_epoch(&(struct qn_hash[]){ subnet_id(NAME) }[0], 1);
    struct subnet_past past;
    CHECK_RC(qn_view_rec(m.f.view, SUBNET_T_PAST, subnet_key_span(&key), subnet_past_record(),
                         &m.f.arena, &past),
             QN_OK);
    uint64_t sum = 0, miners = 0, validators = 0;
    for (uint32_t uid = 0; uid < 7; uid++) {
        uint64_t got = balance(&m, V1 + uid) - before[V1 + uid];
        CHECK(got == seat_of(&m, uid).emission.uqn && got == seat_of(&m, uid).earned.uqn);
        *(uid < 3 ? &validators : &miners) += got;
    }
    uint64_t owner = balance(&m, OWNER) - before[OWNER];
    sum = miners + validators + owner;
    CHECK(owner == past.owner.uqn && sum == past.emission.uqn && sum > 0);
    CHECK(balance(&m, OTHER) == before[OTHER]);
    /* 18 : 41 : 41, up to the rounding of seven shares */
    uint64_t all = sum + s.carry.uqn;
    CHECK(owner == all * 18 / 100);
    CHECK(miners + 8 >= all * 41 / 100 && miners <= all * 41 / 100 + 8);
    CHECK(validators + 8 >= all * 41 / 100 && validators <= all * 41 / 100 + 8);
    CHECK(s.carry.uqn < 20);
    /* the best miner gets most, the liar's friend nothing, the liar less than the honest */
    CHECK(seat_of(&m, 3).emission.uqn > seat_of(&m, 4).emission.uqn);
    CHECK(seat_of(&m, 4).emission.uqn > seat_of(&m, 6).emission.uqn);
    CHECK(seat_of(&m, 5).emission.uqn == 0);
    CHECK(seat_of(&m, 2).emission.uqn == 0 &&
          seat_of(&m, 0).emission.uqn == seat_of(&m, 1).emission.uqn);
    /* the pool lost exactly that, beside what the block minted into it */
    qn_fix_wait(&m.f, 1);
    carry = state(t, &m).carry.uqn;
    kept = pool_balance(&m);
    CHECK(kept + sum > pool && carry < 20);
    /* two subnets share alike */
    struct subnet_create c = a_subnet();
    c.name = QN_SPAN_STR("second");
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    qn_fix_wait(&m.f, 990);
    qn_fix_wait(&m.f, 20000);
    qn_fix_wait(&m.f, 20000);
    struct subnet_state second = { 0 };
    struct qn_hash sid;
    CHECK_RC(subnet_get(m.f.view, QN_SPAN_STR("second"), &m.f.arena, &sid, &second, &m.why), QN_OK);
    CHECK_RC(subnet_get(m.f.view, NAME, &m.f.arena, &sid, &s, &m.why), QN_OK);
    uint64_t got = 0;
    for (uint32_t uid = 0; uid < 7; uid++)
        got += seat_of(&m, uid).emission.uqn;
    CHECK(second.carry.uqn > 0 && second.epoch >= 2);
    CHECK(got * 100 / 82 + 200 > second.carry.uqn / 3);
    qn_fix_fini(&m.f);
}

static void test_ranking(struct qn_test_state *t)
{
    struct market m;
    begin(t, &m, false);
    const uint32_t uids[] = { 3, 4, 5, 6 };
    for (unsigned p = V1; p <= V3; p++)
        CHECK_RC(set_row(&m, p, uids, FAIR, 4), QN_OK);
    json_t *ret = NULL, *ask = json_pack("{s:s, s:i}", "subnet", "net", "k", 2);
    CHECK_RC(SUBNET_CHAIN[0].fn(m.f.view, ask, &ret, &m.why), QN_OK);
    CHECK(json_array_size(ret) == 0); /* the open epoch is not told */
    json_decref(ret);
    end_epoch(t, &m);
    CHECK_RC(SUBNET_CHAIN[0].fn(m.f.view, ask, &ret, &m.why), QN_OK);
    CHECK(json_array_size(ret) == 2);
    CHECK(json_integer_value(json_object_get(json_array_get(ret, 0), "uid")) == 3);
    CHECK(json_integer_value(json_object_get(json_array_get(ret, 1), "uid")) == 4);
    json_decref(ret);
    json_object_set_new(ask, "k", json_integer(0));
    CHECK_RC(SUBNET_CHAIN[0].fn(m.f.view, ask, &ret, &m.why), QN_E_USAGE);
    json_object_set_new(ask, "k", json_integer(1));
    json_object_set_new(ask, "subnet", json_string("nowhere"));
    CHECK_RC(SUBNET_CHAIN[0].fn(m.f.view, ask, &ret, &m.why), QN_E_NOTFOUND);
    json_decref(ask);
    qn_fix_fini(&m.f);
}

/* A full subnet: the newcomer takes the seat of who earns least, the older first; its rows go. */
static void test_prune(struct qn_test_state *t)
{
    struct market m;
    begin(t, &m, false);
    const uint32_t uids[] = { 3, 4, 5, 6 }, vals[] = { 100, 50, 25, 70 };
    for (unsigned p = V1; p <= V3; p++)
        CHECK_RC(set_row(&m, p, uids, vals, 4), QN_OK);
    CHECK_RC(seat(&m, OWNER, QN), QN_OK); /* uid 7: never pruned though it earns nothing */
    end_epoch(t, &m);
    CHECK(seat_of(&m, 5).emission.uqn > 0 && seat_of(&m, 7).emission.uqn == 0);
    CHECK_RC(seat(&m, OTHER, QN), QN_OK);
    struct qn_hash other = qn_fix_acct(OTHER), gone = qn_fix_acct(M3), sid = subnet_id(NAME);
    struct subnet_seat s = seat_of(&m, 5);
    uint32_t uid;
    CHECK(qn_hash_eq(&s.hotkey, &other) && s.reg == 9 && s.earned.uqn == 0);
    CHECK(!subnet_uid_of(m.f.view, &sid, &gone, &uid));
    CHECK(subnet_uid_of(m.f.view, &sid, &other, &uid) && uid == 5);
    CHECK(state(t, &m).n == 8);
    end_epoch(t, &m);
    CHECK(seat_of(&m, 5).incentive ==
          0); /* the rows still name uid 5, but are older than the seat */
    qn_fix_fini(&m.f);
}

/* Coins sent to the account of a stake, before it exists or after, bind nothing and stop nothing. */
static void test_gift(struct qn_test_state *t)
{
    struct market m;
    struct qn_hash sid = subnet_id(NAME), who = qn_fix_acct(V1), id = subnet_stake_id(&sid, &who);
    struct qn_hash acct = qn_acct_module(SUBNET_TAG, "stake", &id);
    struct subnet_create c = a_subnet();
    market_init(&m);
    CHECK_RC(tx(&m, OWNER, SUBNET_TX_CREATE, &c), QN_OK);
    qn_fix_gift(&m.f, M1, &acct, 5);
    CHECK_RC(stake(&m, V1, QN), QN_OK);
    qn_fix_gift(&m.f, M1, &acct, 5);
    uint64_t before = balance(&m, V1);
    struct stake_unbond b = { .subnet = NAME, .amount = QN_UQN(QN) };
    CHECK_RC(tx(&m, V1, SUBNET_TX_UNBOND, &b), QN_OK);
    before -= m.f.last.fee.uqn;
    qn_fix_wait(&m.f, 9 * TEMPO);
    CHECK(balance(&m, V1) - before == QN);
    qn_fix_fini(&m.f);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_price);
    TEST(test_rules);
    TEST(test_stake);
    TEST(test_refused);
    TEST(test_hidden);
    TEST(test_newcomer);
    TEST(test_emission);
    TEST(test_ranking);
    TEST(test_prune);
    TEST(test_gift);
    return TEST_END();
}
