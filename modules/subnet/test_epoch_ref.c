/* test_epoch_ref.c - the epoch against a plain dense reference on random graphs, bit for bit; and what the cases' reader carries over. */
#include "core/base/test.h"
#include "modules/subnet/epoch_json.h"
#include "modules/subnet/epoch_ref.h"

#include <stdlib.h>

struct rng {
    uint64_t s;
};

static uint64_t next(struct rng *r)
{
    r->s ^= r->s << 13;
    r->s ^= r->s >> 7;
    r->s ^= r->s << 17;
    return r->s * UINT64_C(2685821657736338717);
}

static uint64_t below(struct rng *r, uint64_t n)
{
    return (next(r) >> 11) % n;
}

static bool chance(struct rng *r, unsigned pct)
{
    return below(r, 100) < pct;
}

/* Few distinct values now and then, so that ties, zeros and extremes meet. */
static uint16_t share(struct rng *r)
{
    static const uint16_t FEW[] = { 0, 1, 2, 32767, 32768, 65534, 65535 };
    return chance(r, 40) ? FEW[below(r, QN_COUNT(FEW))] : (uint16_t)next(r);
}

static struct subnet_row row_of(struct rng *r, uint32_t n, unsigned pct, struct qn_arena *arena)
{
    struct subnet_row row = { 0, qn_arena_alloc(arena, n * sizeof(struct subnet_cell) + 1) };
    for (uint32_t j = 0; j < n; j++)
        if (chance(r, pct)) row.cells[row.cnt++] = (struct subnet_cell){ j, share(r) };
    return row;
}

static void world(struct rng *r, struct qn_arena *arena, struct subnet_epoch_in *in)
{
    uint32_t n = (uint32_t)below(r, chance(r, 5) ? 40 : 14);
    uint64_t *stake = qn_arena_alloc(arena, n * 8 + 1), *upd = qn_arena_alloc(arena, n * 8 + 1),
             *reg = qn_arena_alloc(arena, n * 8 + 1), *commit = qn_arena_alloc(arena, n * 8 + 1);
    bool *permit = qn_arena_alloc(arena, n + 1);
    struct subnet_row *w = qn_arena_alloc(arena, n * sizeof *w + 1),
                      *b = qn_arena_alloc(arena, n * sizeof *b + 1);
    unsigned dense = (unsigned)below(r, 101), shift = (unsigned)below(r, 50);
    for (uint32_t i = 0; i < n; i++) {
        stake[i] = chance(r, 15) ? 0 : chance(r, 20) ? 1000 : next(r) >> (14 + shift);
        upd[i] = below(r, 30);
        reg[i] = below(r, chance(r, 50) ? 30 : 6);
        commit[i] = chance(r, 70) ? UINT64_MAX : below(r, 30);
        permit[i] = chance(r, 70);
        w[i] = row_of(r, n, dense, arena);
        b[i] = row_of(r, n, dense, arena);
    }
    *in = (struct subnet_epoch_in){
        .n = n,
        .block = 15 + below(r, 20),
        .last_tempo = below(r, 20),
        .emission = next(r) >> below(r, 64),
        .stake = stake,
        .last_update = upd,
        .registered = reg,
        .commit_block = chance(r, 30) ? commit : NULL,
        .permit = permit,
        .weights = w,
        .bonds = b,
        .owner = n && chance(r, 40) ? (int64_t)below(r, n) : -1,
        .params = { .kappa = share(r),
                    .bonds_penalty = share(r),
                    .alpha_low = share(r),
                    .alpha_high = share(r),
                    .steepness = (int16_t)next(r),
                    .bonds_moving_average = (uint32_t)below(r, 1000001),
                    .max_validators = (uint32_t)below(r, n + 2),
                    .activity_cutoff = chance(r, 10) ? UINT64_MAX : below(r, 40),
                    .min_stake = chance(r, 50) ? 0 : below(r, 2000),
                    .yuma3 = chance(r, 60),
                    .liquid_alpha = chance(r, 50) },
    };
}

static bool same(const struct subnet_epoch_out *a, const struct subnet_epoch_out *b, uint32_t n)
{
    size_t len = n * sizeof(q32);
    bool ok = !memcmp(a->stake, b->stake, len) && !memcmp(a->active, b->active, len) &&
              !memcmp(a->consensus, b->consensus, len) && !memcmp(a->vtrust, b->vtrust, len) &&
              !memcmp(a->incentive, b->incentive, len) && !memcmp(a->dividend, b->dividend, len) &&
              !memcmp(a->server, b->server, len) && !memcmp(a->validator, b->validator, len) &&
              !memcmp(a->combined, b->combined, len) && !memcmp(a->permit, b->permit, n);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = a->bonds[i].cnt == b->bonds[i].cnt;
        for (uint32_t c = 0; ok && c < a->bonds[i].cnt; c++)
            ok = a->bonds[i].cells[c].uid == b->bonds[i].cells[c].uid &&
                 a->bonds[i].cells[c].val == b->bonds[i].cells[c].val;
    }
    return ok;
}

static void test_random(struct qn_test_state *t)
{
    uint64_t rounds = test_long() ? 1000000 : 10000, paid = 0;
    for (uint64_t seed = 1; seed <= rounds && !t->bad; seed++) {
        struct rng r = { seed * UINT64_C(0x9e3779b97f4a7c15) };
        struct qn_arena arena = { 0 };
        struct subnet_epoch_in in;
        world(&r, &arena, &in);
        for (int epoch = 0; epoch < 2; epoch++) {
            struct subnet_epoch_out a, b;
            CHECK_RC(subnet_epoch(&in, &arena, &a), QN_OK);
            CHECK_RC(subnet_epoch_ref(&in, &arena, &b), QN_OK);
            bool ok = same(&a, &b, in.n);
            if (!ok) printf("seed %llu epoch %d differs\n", (unsigned long long)seed, epoch);
            CHECK(ok);
            subnet_u128 sum = 0;
            for (uint32_t i = 0; i < in.n; i++) {
                sum += a.server[i] + a.validator[i];
                paid += a.server[i] != 0;
            }
            CHECK(sum <= (subnet_u128)in.emission + in.n); /* shares are rounded down */
            in.permit = a.permit;
            in.bonds = a.bonds;
            in.block += 3;
        }
        qn_arena_free(&arena);
    }
    CHECK(paid > rounds / 2); /* the graphs are not all dead ones */
}

/* exp and div against their definitions, without any short cut. */
static void test_shortcuts(struct qn_test_state *t)
{
    struct rng r = { 77 };
    for (int n = 0; n < 200000 && !t->bad; n++) {
        q32 x = (q32)(next(&r) >> below(&r, 40)), b = (q32)(next(&r) >> below(&r, 60));
        q32 a = x < 0 ? -(x + 1) : x, limit = (q32)20 << 32;
        if (b) {
            subnet_i128 q = ((subnet_i128)x * ((subnet_i128)1 << 32)) / b;
            CHECK(q32_div(x, b) == (q > INT64_MAX || q < INT64_MIN ? 0 : (q32)q));
        }
        a = QN_MIN(n % 2 ? a >> 26 : a, limit);
        q32 term = a, sum = Q32_ONE + a;
        for (q32 i = 2; i <= 31; i++) {
            term = q32_mul(term, a) / i;
            sum = q32_add(sum, term);
        }
        if (a == 0 || a == Q32_ONE) continue;
        CHECK(q32_exp(a) == sum && q32_exp(-a) == q32_div(Q32_ONE, sum));
    }
}

/* --- what steps override and carry ------------------------------------------------------------------------------------- */

struct lines {
    json_t *list;
};

static void keep(void *arg, size_t case_idx, size_t epoch, json_t *line)
{
    struct lines *l = arg;
    (void)case_idx, (void)epoch;
    json_array_append(l->list, line);
}

static json_t *run(struct qn_test_state *t, const char *change, const char *drop)
{
    json_t *file = json_load_file("tests/golden/yuma.json", 0, NULL), *vectors, *one = NULL, *v;
    size_t i;
    vectors = json_object_get(file, "vectors");
    json_array_foreach(vectors, i,
                       v) if (strncmp(json_string_value(json_object_get(v, "id")), "V07", 3) == 0)
        one = json_deep_copy(json_array_get(json_object_get(v, "input"), 1));
    json_object_del(one, "epochs");
    if (drop) json_object_del(one, drop);
    json_t *changes = json_loads(change, 0, NULL), *cases = json_pack("[o]", one);
    CHECK(changes != NULL);
    json_object_update(one, changes);
    struct lines l = { json_array() };
    struct qn_why why = { "" };
    CHECK_RC(subnet_epoch_json(cases, keep, &l, &why), QN_OK);
    if (why.text[0]) printf("%s\n", why.text);
    json_decref(changes);
    json_decref(cases);
    json_decref(file);
    return l.list;
}

static json_t *field(const json_t *lines, size_t idx, const char *name)
{
    return json_object_get(json_array_get(lines, idx), name);
}

static void test_steps(struct qn_test_state *t)
{
    json_t *plain = run(t, "{\"epochs\":3}", NULL), *other;
    CHECK(json_array_size(plain) == 3);
    /* lists in place of the _all fields; permits in place of validators; null is as if left out */
    other = run(t,
                "{\"epochs\":3, \"last_update\":[10,10,10,10,10,10,10,10,10,10], "
                "\"block_at_registration\":[1,1,1,1,1,1,1,1,1,1], \"last_update_all\":99, "
                "\"permits\":[1,true,1,1,0,false,0,0,0,0], \"bonds\":null, \"owner\":null}",
                "validators");
    CHECK(json_equal(plain, other));
    json_decref(other);
    /* one object an epoch; what a step sets stays; more epochs than steps go on */
    other = run(t, "{\"epochs\":4, \"steps\":[{}, {\"stake\":[1,0,0,0,0,0,0,0,0,0]}, {}]}", NULL);
    CHECK(json_array_size(other) == 4);
    CHECK(json_equal(json_array_get(other, 0), json_array_get(plain, 0)));
    for (size_t i = 1; i < 4; i++)
        CHECK(json_integer_value(json_array_get(field(other, i, "stake_bits"), 0)) == Q32_ONE);
    json_decref(other);
    /* a stake in the first step alone is enough */
    other = run(t, "{\"steps\":[{\"stake\":[5,5,5,5,0,0,0,0,0,0]}]}", "stake");
    CHECK(json_array_size(other) == 1);
    CHECK(json_integer_value(json_array_get(field(other, 0, "stake_bits"), 3)) == Q32_ONE / 4);
    json_decref(other);
    /* new permits carry over: who had none by stake loses its say one epoch later; a step may give it back */
    other = run(
        t, "{\"max_validators\":1, \"steps\":[{}, {}, {\"permits\":[1,1,1,1,0,0,0,0,0,0]}]}", NULL);
    size_t voices[3] = { 0 };
    for (size_t e = 0; e < 3; e++)
        for (size_t i = 0; i < 10; i++)
            voices[e] += json_integer_value(json_array_get(field(other, e, "active_bits"), i)) > 0;
    CHECK(voices[0] == 4);
    CHECK(voices[1] == 1);
    CHECK(voices[2] == 4);
    json_decref(other);
    /* bonds carry over: with no weights left they decay to what their moving average leaves */
    other = run(t, "{\"steps\":[{}, {\"weights_u16\":[[],[],[],[],[],[],[],[],[],[]]}]}", NULL);
    json_t *before = json_array_get(field(other, 0, "bonds"), 0),
           *after = json_array_get(field(other, 1, "bonds"), 0);
    CHECK(json_array_size(before) > 0 && json_array_size(after) > 0);
    json_int_t was = json_integer_value(json_array_get(json_array_get(before, 0), 1)),
               is = json_integer_value(json_array_get(json_array_get(after, 0), 1));
    CHECK(is > 0 && is <= was * 9 / 10 && is >= was * 9 / 10 - 2);
    json_decref(other);
    /* a column registered since the last tempo inherits no bond and, being newer than the row, no weight */
    other = run(t,
                "{\"steps\":[{}, {\"block\":15, \"last_tempo\":13, "
                "\"block_at_registration\":[1,1,1,1,13,1,1,1,1,1]}]}",
                NULL);
    CHECK(json_integer_value(json_array_get(field(other, 0, "consensus_bits"), 4)) > 0 ||
          json_array_size(json_array_get(field(other, 0, "bonds"), 0)) > 0);
    CHECK(json_integer_value(json_array_get(field(other, 1, "incentive_bits"), 4)) == 0);
    json_t *row;
    size_t at, c;
    json_array_foreach(field(other, 1, "bonds"), at, row)
    {
        for (c = 0; c < json_array_size(row); c++)
            CHECK(json_integer_value(json_array_get(json_array_get(row, c), 0)) != 4);
    }
    json_decref(other);
    /* silent for longer than the cutoff: no active stake */
    other = run(t,
                "{\"activity_cutoff\":3, \"steps\":[{}, {\"block\":20, "
                "\"last_update\":[18,10,10,10,0,0,0,0,0,0]}]}",
                NULL);
    CHECK(json_integer_value(json_array_get(field(other, 1, "active_bits"), 0)) == Q32_ONE);
    CHECK(json_integer_value(json_array_get(field(other, 1, "active_bits"), 1)) == 0);
    json_decref(other);
    json_decref(plain);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_random);
    TEST(test_shortcuts);
    TEST(test_steps);
    return TEST_END();
}
