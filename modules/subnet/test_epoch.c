/* test_epoch.c - the published vectors (tests/golden/yuma.json), every one of them, exactly; and what foreign cases may not do. */
#include "core/base/test.h"
#include "modules/subnet/epoch.h"
#include "modules/subnet/epoch_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static const json_t *vector(const json_t *file, const char *id)
{
    json_t *list = json_object_get(file, "vectors"), *one;
    size_t i;
    json_array_foreach(list, i, one) if (strncmp(json_string_value(json_object_get(one, "id")), id,
                                                 strlen(id)) == 0) return one;
    QN_BUG("no such vector");
}

static json_t *load(void)
{
    json_t *file = json_load_file("tests/golden/yuma.json", 0, NULL);
    QN_ASSERT(file != NULL);
    return file;
}

/* A decimal as binary32, then to Q32, nearest even. */
static q32 from_f32(const json_t *val)
{
    return (q32)llrint(ldexp((double)(float)json_number_value(val), 32));
}

static size_t fixed_list(const json_t *list, q32 *ret)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        ret[i] = from_f32(json_array_get(list, i));
    return json_array_size(list);
}

static void check_upscale(struct qn_test_state *t, const json_t *in, const json_t *want, int form)
{
    for (size_t k = 0; k < json_array_size(in); k++) {
        const json_t *list = json_array_get(in, k), *w = json_array_get(want, k);
        q32 v[32];
        uint16_t got[32];
        size_t cnt = json_array_size(list);
        for (size_t i = 0; i < cnt; i++) {
            const json_t *x = json_array_get(list, i);
            v[i] = form == 0   ? from_f32(x)
                   : form == 1 ? json_integer_value(x)
                               : (q32)json_integer_value(x) << 32;
        }
        q32_upscale(v, cnt, got);
        CHECK(json_array_size(w) == cnt);
        for (size_t i = 0; i < cnt; i++)
            CHECK(got[i] == json_integer_value(json_array_get(w, i)));
    }
}

static void test_v01(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V01"), *in = json_object_get(v, "input"),
                 *want = json_object_get(v, "expected");
    static const char *const FORMS[] = { "fixed_from_f32", "fixed_bits", "u16" };
    for (int i = 0; i < 3; i++)
        check_upscale(t, json_object_get(in, FORMS[i]), json_object_get(want, FORMS[i]), i);
    json_decref(file);
}

static void test_v02(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V02"), *in = json_object_get(v, "input"),
                 *want = json_object_get(v, "expected");
    json_t *scalar = json_object_get(in, "scalar"), *columns = json_object_get(in, "columns"), *one;
    q32 stake[32], score[32];
    size_t i;
    json_array_foreach(scalar, i, one)
    {
        size_t cnt = fixed_list(json_object_get(one, "stake"), stake);
        fixed_list(json_object_get(one, "score"), score);
        if (json_is_true(json_object_get(one, "normalise_first"))) q32_norm(stake, cnt);
        q32 got =
            subnet_median(stake, score, cnt, Q32_ONE - from_f32(json_object_get(one, "majority")));
        CHECK(got == from_f32(json_array_get(json_object_get(want, "scalar"), i)));
    }
    json_array_foreach(columns, i, one)
    {
        const json_t *rows = json_object_get(one, "rows"),
                     *w = json_array_get(json_object_get(want, "columns"), i);
        q32 all[32];
        size_t cnt = fixed_list(json_object_get(one, "stake"), all), kept = 0;
        for (size_t r = 0; r < cnt; r++)
            if (all[r] > 0) stake[kept++] = all[r];
        q32_norm(stake, kept);
        q32 total = 0;
        for (size_t r = 0; r < kept; r++)
            total += stake[r];
        for (size_t c = 0; c < json_array_size(w); c++) {
            size_t k = 0;
            for (size_t r = 0; r < cnt; r++)
                if (all[r] > 0) score[k++] = from_f32(json_array_get(json_array_get(rows, r), c));
            q32 got = subnet_median(stake, score, kept,
                                    total - from_f32(json_object_get(one, "majority")));
            CHECK(got == from_f32(json_array_get(w, c)));
        }
    }
    json_decref(file);
}

/* --- a subnet that lives for some epochs ------------------------------------------------------------------------------- */

struct world {
    struct subnet_epoch_in in;
    struct subnet_epoch_out out;
    struct qn_arena arena; /* everything of the test; nothing is freed before its end */
    uint64_t stake[512], last_update[512], registered[512];
    bool permit[512];
    struct subnet_row weights[512], bonds[512];
};

static uint64_t param(const json_t *p, const char *name, uint64_t otherwise)
{
    const json_t *val = json_object_get(p, name);
    return val ? (uint64_t)json_integer_value(val) : otherwise;
}

static struct world *world_new(uint32_t n, const json_t *p)
{
    struct world *w = calloc(1, sizeof *w);
    QN_ASSERT(w != NULL && n <= 512);
    w->in = (struct subnet_epoch_in){ .n = n,
                                      .block = 1,
                                      .emission = param(p, "emission", 1000000000),
                                      .stake = w->stake,
                                      .last_update = w->last_update,
                                      .registered = w->registered,
                                      .permit = w->permit,
                                      .weights = w->weights,
                                      .bonds = w->bonds,
                                      .owner = -1 };
    w->in.params =
        (struct subnet_params){ .kappa = (uint16_t)param(p, "kappa_u16", 32767),
                                .bonds_penalty = (uint16_t)param(p, "bonds_penalty_u16", 65535),
                                .alpha_low = (uint16_t)param(p, "alpha_low_u16", 45875),
                                .alpha_high = (uint16_t)param(p, "alpha_high_u16", 58982),
                                .steepness = (int16_t)param(p, "alpha_sigmoid_steepness", 1000),
                                .bonds_moving_average =
                                    (uint32_t)param(p, "bonds_moving_average", 900000),
                                .max_validators = (uint32_t)param(p, "max_validators", n),
                                .activity_cutoff = param(p, "activity_cutoff", 5000),
                                .min_stake = param(p, "min_stake", 0),
                                .yuma3 = json_is_true(json_object_get(p, "yuma3")),
                                .liquid_alpha = json_is_true(json_object_get(p, "liquid_alpha")) };
    for (uint32_t i = 0; i < n; i++)
        w->registered[i] = param(p, "block_at_registration", 1);
    return w;
}

static void world_free(struct world *w)
{
    qn_arena_free(&w->arena);
    free(w);
}

static void set_weights(struct world *w, uint32_t uid, const uint32_t *dests,
                        const uint16_t *values, uint32_t cnt)
{
    q32 fixed[512] = { 0 };
    uint16_t up[512];
    for (uint32_t i = 0; i < cnt; i++)
        fixed[i] = (q32)values[i] << 32;
    q32_upscale(fixed, cnt, up);
    struct subnet_cell *cells = qn_arena_alloc(&w->arena, cnt * sizeof *cells + 1);
    for (uint32_t i = 0; i < cnt; i++)
        cells[i] = (struct subnet_cell){ dests[i], up[i] };
    w->weights[uid] = (struct subnet_row){ cnt, cells };
    w->last_update[uid] = w->in.block;
}

static void run_epoch(struct world *w)
{
    QN_ASSERT(subnet_epoch(&w->in, &w->arena, &w->out) == QN_OK);
    memcpy(w->permit, w->out.permit, w->in.n);
    memcpy(w->bonds, w->out.bonds, w->in.n * sizeof *w->bonds);
}

static uint16_t bond(const struct world *w, uint32_t from, uint32_t to)
{
    for (uint32_t c = 0; c < w->bonds[from].cnt; c++)
        if (w->bonds[from].cells[c].uid == to) return w->bonds[from].cells[c].val;
    return 0;
}

static void test_v03(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V03"), *in = json_object_get(v, "input"),
                 *want = json_object_get(v, "expected");
    struct world *w = world_new(8, json_object_get(in, "params"));
    for (uint32_t i = 0; i < 8; i++) {
        w->stake[i] = (uint64_t)json_integer_value(json_array_get(json_object_get(in, "stake"), i));
        w->permit[i] =
            json_integer_value(json_array_get(json_object_get(in, "validator_permits"), i)) == 1;
    }
    w->in.block = param(json_object_get(in, "params"), "first_weight_block", 2);
    json_t *steps = json_object_get(in, "steps"), *step;
    size_t e;
    json_array_foreach(steps, e, step)
    {
        json_t *sets = json_object_get(step, "set_weights"), *set;
        size_t k;
        json_array_foreach(sets, k, set)
        {
            uint32_t dests[8];
            uint16_t values[8];
            const json_t *d = json_object_get(set, "dests"), *x = json_object_get(set, "values");
            for (size_t i = 0; i < json_array_size(d); i++) {
                dests[i] = (uint32_t)json_integer_value(json_array_get(d, i));
                values[i] = (uint16_t)json_integer_value(json_array_get(x, i));
            }
            set_weights(w, (uint32_t)json_integer_value(json_object_get(set, "uid")), dests, values,
                        (uint32_t)json_array_size(d));
        }
        w->in.block++;
        w->in.last_tempo = w->in.block - 1;
        run_epoch(w);
        const json_t *b = json_array_get(json_object_get(want, "bonds_u16"), e);
        for (uint32_t i = 0; json_is_object(b) && i < 4; i++)
            CHECK(bond(w, i, (uint32_t)json_integer_value(json_object_get(b, "col"))) ==
                  json_integer_value(json_array_get(json_object_get(b, "bonds"), i)));
        for (uint32_t i = 0; i < 8; i++)
            CHECK(w->out.combined[i] ==
                  (uint64_t)json_integer_value(json_array_get(
                      json_array_get(json_object_get(want, "combined_emission"), e), i)));
    }
    CHECK(e == 8);
    world_free(w);
    json_decref(file);
}

static void test_v04(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V04"), *in = json_object_get(v, "input"),
                 *want = json_object_get(v, "expected");
    struct world *w = world_new(5, json_object_get(in, "params"));
    const uint32_t miners[2] = { 3, 4 };
    for (uint32_t i = 0; i < 5; i++)
        w->stake[i] = (uint64_t)json_integer_value(json_array_get(json_object_get(in, "stake"), i));
    w->in.block = 2;
    w->in.last_tempo = 1;
    run_epoch(w); /* the empty one */
    const json_t *now = NULL;
    for (size_t e = 0; e < json_array_size(want); e++) {
        const json_t *fresh = json_array_get(json_object_get(in, "weights_per_epoch"), e),
                     *x = json_array_get(want, e);
        if (json_is_array(fresh)) now = fresh;
        for (uint32_t i = 0; i < 3; i++) {
            const json_t *row = json_array_get(now, i);
            uint16_t values[2] = { (uint16_t)json_integer_value(json_array_get(row, 0)),
                                   (uint16_t)json_integer_value(json_array_get(row, 1)) };
            set_weights(w, i, miners, values, 2);
        }
        w->in.block++;
        w->in.last_tempo = w->in.block - 1;
        run_epoch(w);
        for (uint32_t i = 0; i < 5; i++) {
            double decimal = ldexp((double)w->out.dividend[i], -32);
            CHECK(fabs(decimal - json_number_value(
                                     json_array_get(json_object_get(x, "dividends"), i))) < 1e-3);
        }
        for (uint32_t i = 0; i < 3; i++) {
            CHECK(q32_u16(w->out.dividend[i]) ==
                  json_integer_value(json_array_get(json_object_get(x, "exact_dividends_u16"), i)));
            for (uint32_t m = 0; m < 2; m++) {
                CHECK(bond(w, i, miners[m]) ==
                      json_integer_value(json_array_get(
                          json_array_get(json_object_get(x, "exact_bonds_u16"), i), m)));
                CHECK(fabs(bond(w, i, miners[m]) / 65535.0 -
                           json_number_value(json_array_get(
                               json_array_get(json_object_get(x, "bonds"), i), m))) < 1e-3);
            }
        }
    }
    world_free(w);
    json_decref(file);
}

/* Weights of uid towards itself alone: nobody agrees, stake decides. */
static void self_weights(struct qn_test_state *t, uint32_t n, uint64_t stake, uint64_t each)
{
    struct world *w = world_new(n, NULL);
    uint16_t full = 65535;
    for (uint32_t i = 0; i < n; i++) {
        w->stake[i] = stake;
        w->permit[i] = true;
    }
    w->in.block = 2;
    for (uint32_t i = 0; i < n; i++)
        set_weights(w, i, &i, &full, 1);
    w->in.block = 3;
    w->in.last_tempo = 2;
    run_epoch(w);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(w->out.consensus[i] == 0 && w->out.incentive[i] == 0 && w->out.dividend[i] == 0);
        if (each) CHECK(w->out.combined[i] == each);
    }
    world_free(w);
}

/* order: 0 validators first, 1 every 8th uid, 2 shuffled. */
static void graph_512(struct qn_test_state *t, const json_t *want, int order, bool self)
{
    struct world *w = world_new(512, NULL);
    uint32_t uids[512], seed = 7;
    for (uint32_t i = 0; i < 512; i++)
        uids[i] = order == 1 ? (i < 64 ? i * 8 : (i - 64) / 7 * 8 + (i - 64) % 7 + 1) : i;
    for (uint32_t i = 511; order == 2 && i > 0; i--) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t k = seed % (i + 1), keep = uids[i];
        uids[i] = uids[k];
        uids[k] = keep;
    }
    bool validator[512] = { false };
    uint32_t miners[512], cnt = 0;
    uint16_t values[512];
    for (uint32_t i = 0; i < 64; i++) {
        validator[uids[i]] = true;
        w->stake[uids[i]] = 328125000000000;
        w->permit[uids[i]] = true;
    }
    for (uint32_t i = 0; i < 512; i++)
        if (!validator[i]) {
            miners[cnt] = i;
            values[cnt++] = 127;
        }
    w->in.params.max_validators = 64;
    w->in.block = 2;
    for (uint32_t i = 0; i < 512; i++) {
        uint16_t full = 65535;
        if (validator[i])
            set_weights(w, i, miners, values, cnt);
        else if (self)
            set_weights(w, i, &i, &full, 1);
    }
    for (int e = 0; e < 3; e++) {
        w->in.block++;
        w->in.last_tempo = w->in.block - 1;
        run_epoch(w);
    }
    const json_t *v = json_object_get(want, "validator"), *m = json_object_get(want, "miner");
    for (uint32_t i = 0; i < 512; i++) {
        const json_t *x = validator[i] ? v : m;
        CHECK(q32_u16(w->out.consensus[i]) == json_integer_value(json_object_get(x, "consensus")));
        CHECK(q32_u16(w->out.incentive[i]) == json_integer_value(json_object_get(x, "incentive")));
        CHECK(q32_u16(w->out.dividend[i]) == json_integer_value(json_object_get(x, "dividends")));
        CHECK(w->out.combined[i] == (uint64_t)json_integer_value(json_object_get(x, "emission")));
        CHECK(validator[i] ? w->bonds[i].cnt == 448 && bond(w, i, miners[0]) == 65535
                           : w->bonds[i].cnt == 0);
    }
    world_free(w);
}

static void test_v05(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *want = json_object_get(vector(file, "V05"), "expected");
    self_weights(t, 1, 1000000000, 0);
    self_weights(t, 10, 1,
                 (uint64_t)json_integer_value(
                     json_object_get(json_object_get(want, "graph_10"), "combined_emission_each")));
    for (int order = 0; order < 3; order++) {
        graph_512(t, json_object_get(want, "graph_512"), order, false);
        graph_512(t, json_object_get(want, "graph_512"), order, true);
    }
    json_decref(file);
}

static void test_v06(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V06"), *in = json_object_get(v, "input"),
                 *want = json_object_get(v, "expected");
    json_t *topk = json_object_get(in, "topk"), *permits = json_object_get(in, "permits"), *one;
    size_t k;
    json_array_foreach(topk, k, one)
    {
        q32 vals[32];
        uint32_t scratch[32];
        bool got[32];
        size_t cnt = fixed_list(json_object_get(one, "values"), vals);
        subnet_topk(vals, cnt, (size_t)json_integer_value(json_object_get(one, "k")), scratch, got);
        for (size_t i = 0; i < cnt; i++)
            CHECK(got[i] == (json_integer_value(json_array_get(
                                 json_array_get(json_object_get(want, "topk"), k), i)) == 1));
    }
    json_array_foreach(permits, k, one)
    {
        struct world *w = world_new(4, one);
        for (uint32_t i = 0; i < 4; i++)
            w->stake[i] =
                (uint64_t)json_integer_value(json_array_get(json_object_get(one, "stake"), i));
        run_epoch(w);
        for (uint32_t i = 0; i < 4; i++)
            CHECK(w->out.permit[i] ==
                  (json_integer_value(json_array_get(
                       json_array_get(json_object_get(want, "permits"), k), i)) == 1));
        world_free(w);
    }
    json_decref(file);
}

struct collect {
    struct qn_test_state *t;
    const json_t *want;
    size_t cnt;
};

static void compare(void *arg, size_t case_idx, size_t epoch, json_t *line)
{
    struct collect *c = arg;
    struct qn_test_state *t = c->t;
    if (c->want) CHECK(json_equal(line, json_array_get(json_array_get(c->want, case_idx), epoch)));
    c->cnt++;
}

static void test_v07(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V07");
    struct collect c = { t, json_object_get(v, "expected"), 0 };
    struct qn_why why = { "" };
    CHECK_RC(subnet_epoch_json(json_object_get(v, "input"), compare, &c, &why), QN_OK);
    CHECK(c.cnt == 9);
    /* The same by steps that override nothing. */
    json_t *cases = json_deep_copy(json_object_get(v, "input")), *one;
    size_t i;
    json_array_foreach(cases, i, one)
    {
        json_object_del(one, "epochs");
        json_object_set_new(one, "steps", json_pack("[{}, {s:i}, {}]", "block", 12));
    }
    c.cnt = 0;
    CHECK_RC(subnet_epoch_json(cases, compare, &c, &why), QN_OK);
    CHECK(c.cnt == 9);
    json_decref(cases);
    json_decref(file);
}

static void test_v08(struct qn_test_state *t)
{
    json_t *file = load();
    const json_t *v = vector(file, "V08"), *want = json_object_get(v, "expected");
    json_t *in = json_object_get(v, "input"), *one, *factors = json_object_get(want, "factor_q32"),
           *val;
    const char *name;
    size_t k;
    json_object_foreach(factors, name, val)
        CHECK(subnet_burn_factor((uint32_t)strtoul(name, NULL, 10)) == json_integer_value(val));
    json_array_foreach(in, k, one)
    {
        uint64_t p = param(one, "start", 0), lo = param(one, "min", 0),
                 hi = param(one, "max", INT64_MAX);
        q32 f = subnet_burn_factor((uint32_t)param(one, "half_life", 360));
        json_t *ops = json_object_get(one, "ops"), *op;
        size_t i;
        json_array_foreach(ops, i, op)
        {
            bool reg = strcmp(json_string_value(op), "register") == 0;
            p = reg ? p * param(one, "mult", 1) : (uint64_t)(((subnet_u128)p * (uint64_t)f) >> 32);
            p = p < lo ? lo : p > hi ? hi : p;
            CHECK(p == (uint64_t)json_integer_value(
                           json_array_get(json_array_get(json_object_get(want, "prices"), k), i)));
        }
    }
    json_decref(file);
}

static void test_refusals(struct qn_test_state *t)
{
    static const char *const CHANGES[] = {
        "{\"n\":5000}",
        "{\"n\":-1}",
        "{\"n\":9}",
        "{\"stake\":[1]}",
        "{\"kappa_u16\":65536}",
        "{\"weights_u16\":[[[10,1]],[],[],[],[],[],[],[],[],[]]}",
        "{\"weights_u16\":[[[1,1],[1,2]],[],[],[],[],[],[],[],[],[]]}",
        "{\"weights_u16\":[[[1,70000]],[],[],[],[],[],[],[],[],[]]}",
        "{\"permits\":[2,0,0,0,0,0,0,0,0,0]}",
        "{\"epochs\":1001}",
        "{\"block\":\"12\"}",
        "{\"alpha_sigmoid_steepness\":40000}",
        "{\"bonds_moving_average\":1000001}",
    };
    json_t *file = load();
    const json_t *base = json_array_get(json_object_get(vector(file, "V07"), "input"), 0);
    for (size_t i = 0; i < QN_COUNT(CHANGES); i++) {
        struct qn_why why = { "" };
        json_t *one = json_deep_copy(base), *change = json_loads(CHANGES[i], 0, NULL), *cases;
        json_object_update(one, change);
        cases = json_pack("[o]", one);
        struct collect c = { t, NULL, 0 };
        qn_rc rc = subnet_epoch_json(cases, compare, &c, &why);
        if (rc == QN_OK || !strstr(why.text, "case 0"))
            printf("accepted: %s (%s)\n", CHANGES[i], why.text);
        CHECK(rc != QN_OK && strstr(why.text, "case 0") != NULL);
        json_decref(change);
        json_decref(cases);
    }
    json_decref(file);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_v01);
    TEST(test_v02);
    TEST(test_v03);
    TEST(test_v04);
    TEST(test_v05);
    TEST(test_v06);
    TEST(test_v07);
    TEST(test_v08);
    TEST(test_refusals);
    return TEST_END();
}
